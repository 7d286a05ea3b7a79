/** Hooks around forward, captured outputs, and summaries. */
import { grad } from '@infinigrad/autograd';
import { capture, Dropout, Linear, Module, ModuleBuffer, summary, updateBuffer } from '@infinigrad/nn';
import {
  intercept,
  Key,
  memoryStats,
  ones,
  recordOf,
  scope,
  ValueError,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers } from './support.ts';

const key = new Key(0);

class Model extends Module {
  readonly layers = [0, 1].map((i) => new Linear(3, 3, { key: key.foldIn(i) }));
  readonly drop = new Dropout(0.5);
  readonly unused = new Linear(3, 7, { key });
  readonly calls = new ModuleBuffer(zeros([]));
  forward(x: Tensor, dropKey?: Key): { hidden: Tensor; logits: Tensor } {
    updateBuffer('Model', this, 'calls', this.calls.add(1));
    const hidden = this.layers[0]!.forward(x);
    const logits = this.layers[1]!.forward(
      this.layers[1]!.forward(dropKey ? this.drop.forward(hidden, dropKey) : hidden),
    );
    return { hidden, logits };
  }
}

const x = (): Tensor => new Key(9).normal([2, 3]);

describe('hooks', () => {
  test('see module, inputs and output; and go', () => {
    const model = new Model();
    const layer = model.layers[0]!;
    const seen: unknown[][] = [];
    const input = x();
    const off = layer.onForward(({ module, inputs, output }) => void seen.push([module, inputs[0], output]));
    const { hidden } = model.forward(input);
    expect(seen.map((row) => row.map((part, i) => part === [layer, input, hidden][i]))).toEqual([
      [true, true, true],
    ]);
    off();
    off();
    model.forward(input);
    expect(seen.length).toBe(1);
    expect(Object.getOwnPropertyNames(layer)).not.toContain('forward');
    expect(Object.keys(model.stateDict()).length).toBe(7);
  });

  test('change inputs and outputs, in the order they were put on', () => {
    const layer = new Linear(3, 3, { key, bias: false });
    const input = x();
    const doubled = numbers(layer.forward(input.mul(2)).add(1));
    const offs = [
      layer.beforeForward(({ inputs: [y] }) => [y.mul(2)]),
      layer.onForward(({ output }) => output.add(1)),
      layer.onForward(() => undefined),
    ];
    expect(numbers(layer.forward(input))).toEqual(doubled);
    const squared = layer.onForward(({ output }) => output.square());
    expect(numbers(layer.forward(input))).toEqual(doubled.map((v) => Math.fround(v * v)));
    for (const off of [...offs, squared]) off();
    expect(numbers(layer.forward(input))).toEqual(numbers(input.matmul(layer.weight.transpose())));
  });

  test('changes are differentiated', () => {
    const layer = new Linear(3, 3, { key });
    const plain = grad((y: Tensor) => layer.forward(y).square().sum())(x());
    const off = layer.onForward(({ output }) => output.mul(2));
    const hooked = grad((y: Tensor) => layer.forward(y).square().sum())(x());
    off();
    expect(numbers(hooked)).toEqual(numbers(plain.mul(4)));
  });

  test('a forward that calls itself is one call', () => {
    class Batched extends Module {
      forward(y: Tensor): Tensor {
        return y.rank === 1 ? this.forward(y.unsqueeze(0)).squeeze(0) : y.sum(1, true);
      }
    }
    const layer = new Batched();
    let calls = 0;
    const off = layer.onForward(({ output }) => {
      calls++;
      return output.add(1);
    });
    expect(numbers(layer.forward(ones([3])))).toEqual([4]);
    off();
    expect(calls).toBe(1);
  });

  test('go off although forward throws, and the next call is seen again', () => {
    const layer = new Linear(3, 3, { key });
    let [before, after] = [0, 0];
    layer.beforeForward(() => void before++);
    layer.onForward(() => void after++);
    expect(() => layer.forward(ones([4]))).toThrow();
    layer.forward(ones([3]));
    expect([before, after]).toEqual([2, 1]);
  });

  test('cover a forward of the instance, and bring it back', () => {
    class Own extends Module {
      forward = (y: Tensor): Tensor => y.mul(3);
    }
    const own = new Own();
    const { forward } = own;
    const off = own.onForward(({ output }) => output.add(1));
    expect(numbers(own.forward(ones([1])))).toEqual([4]);
    off();
    expect(own.forward).toBe(forward);
  });

  test('need a forward, and a function', () => {
    class Bare extends Module {}
    expect(() => new Bare().onForward(() => undefined)).toThrow(ValueError);
    expect(() => new Bare().beforeForward(() => undefined)).toThrow('beforeForward: a Bare has no forward');
    expect(() => new Model().onForward(3 as never)).toThrow('onForward: needs a function');
  });
});

describe('capture', () => {
  test('gives the outputs of modules by name, call by call', () => {
    const model = new Model();
    const input = x();
    const { result, outputs } = capture(model, ['layers.*', 'unused', ''], () => model.forward(input));
    expect(Object.keys(outputs)).toEqual(['', 'layers.0', 'layers.1', 'unused']);
    expect(outputs['layers.0']).toEqual([result.hidden]);
    expect(outputs['layers.1']!.length).toBe(2);
    expect(outputs['layers.1']![1]).toBe(result.logits);
    expect([outputs[''], outputs['unused']]).toEqual([[result], []]);
    expect(Object.getOwnPropertyNames(model.layers[0]!)).not.toContain('forward');
  });

  test('keeps them beyond scopes inside, and leaves nothing behind', () => {
    const model = new Model();
    const input = x();
    const step = (): number => {
      scope(() => {
        const { outputs } = capture(model, 'layers.0', () =>
          scope(() => model.forward(input).logits.sum().itemSync()),
        );
        expect(numbers(outputs['layers.0']![0]).length).toBe(6);
      });
      return memoryStats().tiers.scoped;
    };
    const first = step();
    expect([step(), step()]).toEqual([first, first]);
  });

  test('lifts nothing out of the scope that it is called in', () => {
    const model = new Model();
    const input = x();
    scope(() => {
      const before = memoryStats().tiers.scoped;
      scope(() => void capture(model, 'layers.*', () => model.forward(input)));
      expect(memoryStats().tiers.scoped).toBe(before);
    });
  });

  test('takes its hooks off where the function throws, and refuses what it does not know', () => {
    const model = new Model();
    const failure = new Error('of the function');
    const body = (): unknown =>
      capture(model, '', () => {
        throw failure;
      });
    expect(body).toThrow(failure);
    expect(Object.getOwnPropertyNames(model)).not.toContain('forward');
    expect(() => capture(model, 'layers', () => 1)).toThrow("capture: no module fits 'layers'");
    expect(() => capture(model, '', async () => 1)).toThrow('capture: the function is asynchronous');
  });
});

describe('summary', () => {
  test('counts what the ops themselves count, for each module and in all', () => {
    const model = new Model();
    const input = x();
    let flops = 0;
    const stop = intercept((call, next) => {
      flops += recordOf(call.op).flops(call.inputs, call.plan);
      return next(call);
    });
    const outside = model.deepCopy();
    flops = 0;
    outside.forward(input);
    stop();
    const { rows, ...totals } = summary(model, [input]);
    expect(totals.flops).toBe(flops);
    const row = (name: string) => rows.find((one) => one.name === name)!;
    expect(rows.map(({ name, depth }) => [name, depth])).toEqual([
      ['', 0],
      ['layers.0', 1],
      ['layers.1', 1],
      ['drop', 1],
      ['unused', 1],
    ]);
    // 2 · 2 · 3 · 3 for the product, 2 · 3 for the bias; a result of 24 bytes.
    expect(row('layers.0')).toEqual({
      name: 'layers.0',
      kind: 'Linear',
      depth: 1,
      outputShape: [2, 3],
      output: '[2, 3] f32',
      calls: 1,
      parameters: 12,
      trainable: 12,
      flops: 42,
      activationBytes: 24,
    });
    expect([row('layers.1').flops, row('layers.1').calls]).toEqual([84, 2]);
    expect([row('unused').calls, row('unused').outputShape, row('unused').output]).toEqual([0, null, '']);
    expect(row('').output).toBe('{ hidden: [2, 3] f32, logits: [2, 3] f32 }');
    expect(row('').flops).toBe(totals.flops);
    expect([totals.parameters, totals.parameterBytes, totals.bufferBytes]).toEqual([52, 208, 4]);
  });

  test('changes nothing, and leaves nothing behind', () => {
    const model = new Model();
    model.freeze('unused');
    const before = memoryStats().tiers.scoped;
    const made = summary(model, (m) => m.forward(x(), key));
    expect(memoryStats().tiers.scoped).toBe(before);
    expect(numbers(model.calls)).toEqual([0]);
    expect(model.parameters().every((p) => p.grad === null)).toBe(true);
    expect([made.trainable, made.parameters]).toEqual([24, 52]);
    expect(made.rows.find(({ name }) => name === 'drop')!.calls).toBe(1);
    for (const module of model.modules()) expect(Object.getOwnPropertyNames(module)).not.toContain('forward');
  });

  test('prints a table', () => {
    const text = String(summary(new Model(), [x()]));
    expect(text.split('\n')[0]).toMatch(/^module +output +parameters +FLOPs +memory$/);
    expect(text).toMatch(/^ {2}layers\.1 \(Linear\) × 2 +\[2, 3\] f32 +12 +84 +48 B$/m);
    expect(text).toMatch(/^52 parameters \(52 trainable\), 208 B; buffers 4 B; forward 127 FLOPs/m);
  });

  test('needs a forward, or a function that calls it', () => {
    class Bare extends Module {}
    expect(() => summary(new Bare(), [])).toThrow('summary: a Bare has no forward');
    expect(() => summary(new Bare(), async () => 1)).toThrow('asynchronous');
  });
});
