/** What is measured on the GPU and on the wasm backend: series of one thing in growing sizes, and training steps. */
import { AdamW, crossEntropy } from '@infinigrad/nn';
import { fromData, Key, ones, scope, type Tensor } from '@infinigrad/tensor';
import { PasskeyTrainer, passkeyRecipe } from '@infinigrad/zoo';
import { Gpt } from '../gpt.ts';
import { adamW, gptSizes, type GptSizes } from '../workload/gpt.ts';
import { symmetric } from '../workload/numbers.ts';
import { batch, stream } from '../workload/text.ts';
import type { Call } from './measure.ts';

export const seriesNames = ['matmul', 'elementwise', 'softmax', 'norms', 'gpt', 'passkey'] as const;
export type SeriesName = (typeof seriesNames)[number];

/** A case on a backend: made there, with tensors of its own. */
export interface Ready {
  readonly call: Call;
  /** A number that all backends must agree on. */
  check(): Promise<number>;
}

export interface Case {
  readonly name: string;
  /** Cases of one line differ in size alone, and grow. */
  readonly line: string;
  /** Of the size, as it is told. */
  readonly size: string;
  readonly flops?: number;
  /** Tokens of one call. */
  readonly tokens?: number;
  readonly ready: () => Ready;
}

export interface Series {
  readonly title: string;
  readonly about: string;
  readonly cases: readonly Case[];
}

const power = (exponent: number): string => `2^${exponent}`;

/** f of tensors with numbers within ±bound, as a case. */
function ofTensors(
  line: string,
  size: string,
  shapes: readonly (readonly number[])[],
  f: (...x: Tensor[]) => Tensor,
  flops?: number,
): Case {
  const ready = (): Ready => {
    const tensors = shapes.map((shape, i) => {
      const length = shape.reduce((a, b) => a * b, 1);
      return fromData(symmetric(i + 1, length, 2), shape);
    });
    return {
      call: () => scope(() => void f(...tensors)),
      check: () =>
        scope(() =>
          f(...tensors)
            .square()
            .mean(),
        ).item(),
    };
  };
  return { name: `${line} ${size}`, line, size, ready, ...(flops !== undefined && { flops }) };
}

/** A training step of the GPT of these benchmarks; nothing is read. */
function gpt(name: string, sizes: GptSizes): Case {
  const ready = (): Ready => {
    const { learningRate, beta1, beta2, eps, weightDecay } = adamW;
    const model = new Gpt(sizes, new Key(1));
    const optimizer = new AdamW(model.parameters(), {
      learningRate,
      betas: [beta1, beta2],
      eps,
      weightDecay,
    });
    const tokens = stream(sizes.vocabulary);
    const loss = (step: number): Tensor => {
      const { x, y } = batch(tokens, step, sizes.batch, sizes.length);
      const shape = [sizes.batch, sizes.length];
      return crossEntropy(model.forward(fromData(x, shape)), fromData(y, shape));
    };
    let step = 0;
    return {
      call: () => scope(() => void optimizer.minimize(() => loss(step++))),
      // As it was at the beginning: how many steps were taken since is not the same everywhere.
      check: () =>
        new Gpt(sizes, new Key(1))
          .forward(ones([1, 4], { dtype: 'i32' }))
          .square()
          .mean()
          .item(),
    };
  };
  return { name, line: name, size: '', ready, tokens: sizes.batch * sizes.length };
}

/** Training steps of the passkey recipe; each reads its figures, as they are shown. */
function passkey(maxSegments: number, batchSize: number): Case {
  const options = { steps: 1_000_000, curriculum: 0, maxSegments, batchSize };
  const ready = (): Ready => {
    const steps = new PasskeyTrainer(passkeyRecipe('gated', options)).runAsync();
    let first: number | null = null;
    const call = async (): Promise<void> => {
      const { value } = await steps.next();
      first ??= (value as { readonly loss: number }).loss;
    };
    return {
      call,
      check: async () => {
        if (first === null) await call();
        return first!;
      },
    };
  };
  const size = `batch ${batchSize}, 2–${maxSegments} segments`;
  return { name: `step, ${size}`, line: 'step', size, ready };
}

const tiny: GptSizes = { layers: 1, width: 32, heads: 2, inner: 64, length: 16, batch: 2, vocabulary: 64 };

/** @param quick small sizes only */
export function seriesOf(quick: boolean): Readonly<Record<SeriesName, Series>> {
  const upTo = <T>(whole: readonly T[], few: number): readonly T[] => (quick ? whole.slice(0, few) : whole);
  return {
    matmul: {
      title: 'Matrix products',
      about: 'n × n by n × n, f32.',
      cases: upTo([64, 128, 256, 512, 1024, 2048], 2).map((n) =>
        ofTensors(
          'matmul',
          String(n),
          [
            [n, n],
            [n, n],
          ],
          (a, b) => a!.matmul(b!),
          2 * n ** 3,
        ),
      ),
    },
    elementwise: {
      title: 'Elementwise',
      about: 'x + y, gelu, and (x · 1.1 + 0.1) through gelu as one kernel, by number of elements.',
      cases: upTo([16, 18, 20, 22, 24], 2)
        .flatMap((k) => {
          const shape = [2 ** k];
          return [
            ofTensors('add', power(k), [shape, shape], (x, y) => x!.add(y!)),
            ofTensors('gelu', power(k), [shape], (x) => x!.gelu()),
            ofTensors('chain', power(k), [shape], (x) =>
              scope(() => x!.mul(1.1).add(0.1).gelu(), { fuse: true }),
            ),
          ];
        })
        .toSorted((a, b) => (a.line < b.line ? -1 : Number(a.line > b.line))),
    },
    softmax: {
      title: 'Softmax',
      about: 'Over rows of 1024.',
      cases: upTo([64, 256, 1024, 4096, 16384], 2).map((rows) =>
        ofTensors('softmax', `${rows}×1024`, [[rows, 1024]], (x) => x!.softmax(-1)),
      ),
    },
    norms: {
      title: 'Norms',
      about: 'Over rows of 512, with weights.',
      cases: (['layerNorm', 'rmsNorm'] as const).flatMap((norm) =>
        upTo([256, 1024, 4096, 16384], 1).map((rows) =>
          ofTensors(norm, `${rows}×512`, [[rows, 512], [512]], (x, weight) =>
            norm === 'layerNorm' ? x!.layerNorm(weight!, null, 1e-5) : x!.rmsNorm(weight!, 1e-6),
          ),
        ),
      ),
    },
    gpt: {
      title: 'A training step of a GPT',
      about:
        'Forward, cross-entropy, backward, AdamW; the loss is not read. The sizes are those of `pnpm bench`.',
      cases: quick ? [gpt('tiny', tiny)] : [gpt('small', gptSizes.small), gpt('large', gptSizes.large)],
    },
    passkey: {
      title: 'A training step of the passkey recipe',
      about:
        'The Infini-Transformer, its figures read after each step. What a step costs varies with the number of segments drawn.',
      cases: quick ? [passkey(2, 2)] : [passkey(4, 32), passkey(4, 256)],
    },
  };
}
