/** Checkpointed blocks train as plain ones, to the bit. */
import { checkpoint } from '@infinigrad/autograd';
import { Key, memoryStats, withBackend, type Tensor } from '@infinigrad/tensor';
import { AdamW, Dropout, Linear, RMSNorm, type Parameter } from '@infinigrad/nn';
import { describe, expect, it } from 'vitest';

const width = 8;

/** A block with parameters, a norm and dropout. */
function block(key: Key): { parameters: Parameter[]; forward: (x: Tensor, key: Key) => Tensor } {
  const [norm, up, drop, down] = [
    new RMSNorm(width),
    new Linear(width, 2 * width, { key: key.foldIn(0) }),
    new Dropout(0.25),
    new Linear(2 * width, width, { key: key.foldIn(1) }),
  ];
  return {
    parameters: [...norm.parameters(), ...up.parameters(), ...down.parameters()],
    forward: (x, key) => x.add(down.forward(drop.forward(up.forward(norm.forward(x)).gelu(), key))),
  };
}

function train(checkpointed: boolean): { losses: number[]; parameters: number[][]; bytes: number[] } {
  const blocks = [1, 2, 3].map((i) => block(new Key(i)));
  const parameters = blocks.flatMap((b) => b.parameters);
  const optimizer = new AdamW(parameters, { learningRate: 0.01 });
  const [x, y] = [new Key(10).normal([5, width]), new Key(11).normal([5, width])];
  const bytes: number[] = [];
  const losses = Array.from({ length: 4 }, (_, step) => {
    const key = new Key(20).foldIn(step);
    const loss = optimizer.minimize(() => {
      const output = blocks.reduce((z, { forward }, i) => {
        const own = key.foldIn(i);
        return checkpointed ? checkpoint(forward)(z, own) : forward(z, own);
      }, x);
      return output.sub(y).square().mean();
    });
    bytes.push(memoryStats().tiers.scoped);
    return loss.itemSync();
  });
  return { losses, parameters: parameters.map((p) => Array.from(p.dataSync())), bytes };
}

describe.each(['js', 'wasm'])('on %s, training with checkpoints', (backend) => {
  it('gives the same losses and parameters, and leaves nothing in scopes', () => {
    withBackend(backend, () => {
      const { losses, parameters, bytes } = train(true);
      const plain = train(false);
      expect(losses).toEqual(plain.losses);
      expect(parameters).toEqual(plain.parameters);
      expect(losses[3]!).toBeLessThan(losses[0]!);
      expect(new Set(bytes)).toEqual(new Set([bytes[0]]));
    });
  });
});
