/** NaN, infinities, the largest and the smallest on the wasm kernels along lines, and targets that are no classes. */
import { apply, getBackend, IndexError, tensor, withBackend, type OpName } from '@infinigrad/tensor';
import { allClose } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { range } from '../naive.ts';
import { discrepancy, normal, rowCases } from './rows-cases.ts';

describe('special values, as the reference has them', () => {
  const [nan, inf] = [NaN, Infinity];
  const lines = [
    [nan],
    [inf],
    [-inf],
    [inf, -inf],
    [nan, inf],
    [-inf, nan],
    [inf, inf, inf, -inf],
    [3e38, -3e38],
    [1e-40, -1e-45],
    [-0, 0],
    [1e30, 1],
  ];
  /** The special ones at every place of a line of ordinary ones; and lines of nothing else. */
  const matrix = (columns: number, down: boolean, most = inf): number[][] => {
    const ordinary = (i: number): number => Math.fround(Math.sin(i + 1));
    const chosen = lines.filter((special) =>
      special.every((v) => !(Math.abs(v) > most && Math.abs(v) < inf)),
    );
    const rows = chosen.flatMap((special) => [
      ...[0, 3, columns - special.length].map((at) =>
        range(columns).map((i) => special[i - at] ?? ordinary(i)),
      ),
      range(columns).map((i) => special[i % special.length]!),
    ]);
    return down ? range(columns).map((i) => rows.map((row) => row[i]!)) : rows;
  };
  const agree = (
    op: OpName,
    inputs: readonly number[][][],
    attrs: Record<string, number | boolean>,
  ): void => {
    const run = (backend: string) =>
      withBackend(backend, () =>
        apply(
          op,
          inputs.map((x) => tensor(x, { dtype: 'f32' })),
          attrs,
        ),
      );
    const [actual, expected] = [run('wasm'), run('js')];
    expect(allClose(actual, Array.from(expected.dataSync()), { rtol: 1e-6, atol: 1e-6 }), op).toBeNull();
  };
  it.each(['softmax', 'logSoftmax', 'logSumExp', 'cumsum', 'logCumSumExp', 'argMax', 'argMin'] as const)(
    '%s',
    (op) => {
      for (const columns of [4, 5, 21, 36])
        for (const axis of [0, 1]) {
          // What a sum of one order loses beside the largest numbers, that of another keeps.
          const x = matrix(columns, axis === 0, op === 'cumsum' ? 1e20 : inf);
          agree(op, [x], { axis, keepDims: false });
        }
    },
  );
  it('small shares are as small as f32 goes', () => {
    const x = range(40).map((i) => -3 * i);
    agree('softmax', [[x]], { axis: 1 });
    const shares = withBackend('wasm', () => tensor([x]).softmax(1).dataSync());
    expect(shares[34]).toBeGreaterThan(0);
    expect(shares[34]).toBeLessThan(2 ** -140);
    expect(shares[36]).toBe(0);
  });
  it.each(['softmaxGrad', 'logSoftmaxGrad'] as const)('%s', (op) => {
    const ordinary = (x: readonly number[][]): number[][] =>
      x.map((row, i) => row.map((_, j) => Math.cos(i + 3 * j)));
    for (const axis of [0, 1]) {
      const x = matrix(21, axis === 0, 1e20);
      agree(op, [x, ordinary(x)], { axis });
      agree(op, [ordinary(x), x], { axis });
    }
  });
  it('norms and their gradients', () => {
    for (const columns of [4, 5, 21]) {
      const x = matrix(columns, false, 1e20);
      const weight = range(columns).map((i) => Math.fround(Math.cos(i)));
      const run = (op: OpName, rows: number[][], backend: string) =>
        withBackend(backend, () => {
          const w = tensor(weight);
          const g = tensor(rows.map((row, i) => row.map((_, j) => Math.fround(Math.cos(i + 2 * j)))));
          const all = op.endsWith('Grad') ? [g, tensor(rows), w] : [tensor(rows), w];
          return apply(op, all, { eps: 1e-3 });
        });
      for (const row of x)
        for (const op of ['rmsNorm', 'layerNorm', 'rmsNormGrad', 'layerNormGrad'] as const) {
          const expected = Array.from(run(op, [row], 'js').dataSync());
          const message = allClose(run(op, [row], 'wasm'), expected, { rtol: 1e-6, atol: 2e-6 });
          expect(message, `${op} of ${row.join()}`).toBeNull();
        }
    }
  });
  it('cross-entropy', () => {
    for (const columns of [4, 5, 21])
      for (const target of [0, 3, columns - 1]) {
        const x = matrix(columns, false);
        const run = (op: OpName, backend: string) =>
          withBackend(backend, () => {
            const targets = tensor(
              x.map(() => target),
              { dtype: 'i32' },
            );
            const g = tensor(x.map((_, i) => Math.fround(Math.cos(i))));
            const all = op.endsWith('Grad') ? [g, tensor(x), targets] : [tensor(x), targets];
            return Array.from(apply(op, all, { ignoreIndex: -100 }).dataSync());
          });
        for (const op of ['softmaxCrossEntropy', 'softmaxCrossEntropyGrad'] as const) {
          const [actual, expected] = [run(op, 'wasm'), run(op, 'js')];
          actual.forEach((a, i) => {
            const b = expected[i]!;
            const close = Object.is(a, b) || a === b || Math.abs(a - b) <= 1e-6 * (1 + Math.abs(b));
            expect(close, `${op} at ${i}: ${a} instead of ${b}`).toBe(true);
          });
        }
      }
  });
  it.each([5, 40])('a loss next to nothing keeps its bits, of %d classes', (columns) => {
    const backend = getBackend('wasm');
    const x = tensor([range(columns).map((i) => (i === 0 ? 20 : 0))], { backend });
    const attrs = { ignoreIndex: -100 };
    const target = tensor([0], { dtype: 'i32', backend });
    const loss = apply('softmaxCrossEntropy', [x, target], attrs).dataSync()[0]!;
    const slope = apply('softmaxCrossEntropyGrad', [tensor([1], { backend }), x, target], attrs);
    const rest = (columns - 1) * Math.exp(-20);
    expect(loss / Math.log1p(rest)).toBeCloseTo(1, 6);
    expect(-x.logSoftmax(1).dataSync()[0]! / Math.log1p(rest)).toBeCloseTo(1, 6);
    expect((-slope.dataSync()[0]! * (1 + rest)) / rest).toBeCloseTo(1, 6);
  });
  it('lines of equal values have no variance, wherever they lie', () => {
    const x = tensor([new Array<number>(21).fill(16777213), new Array<number>(21).fill(-1e-30)]);
    const y = withBackend('wasm', () =>
      apply('layerNorm', [x, tensor(new Array<number>(21).fill(1))], { eps: 1e-12 }).dataSync(),
    );
    expect(Array.from(y)).toEqual(new Array(42).fill(0));
  });
  it('a first value far out does not cost the others their bits', () => {
    const x = normal([1, 4001]);
    const values = x.values.map((v, i) => (i === 0 ? 3e5 : v));
    const inputs = [
      { ...x, values },
      { shape: [4001], values: new Array<number>(4001).fill(1) },
    ];
    expect(
      discrepancy(
        { op: 'layerNorm', inputs, attrs: { eps: 1e-5 } },
        { ...rowCases['layerNorm']!, relative: 3, ofLargest: 0.01 },
      ),
    ).toBeNull();
  });
});

describe('targets that are no classes', () => {
  const rows = 1000;
  const columns = 130;
  it.each([
    ['i32', 130],
    ['i32', -1],
    ['i32', -100],
    ['u8', 200],
  ] as const)('are refused before anything is written: %s %d', (dtype, wrong) => {
    withBackend('wasm', () => {
      const logits = tensor(normal([rows * columns]).values).reshape([rows, columns]);
      const g = tensor(normal([rows]).values);
      const before = [logits, g].map((x) => Array.from(x.dataSync()));
      for (const place of [0, rows - 1]) {
        const targets = tensor(
          range(rows).map((i) => (i === place ? wrong : i % columns)),
          { dtype },
        );
        const wide = tensor(
          range(2 * rows).map((i) => (i === 2 * place ? wrong : i % columns)),
          { dtype },
        ).slice([[0, 2 * rows, 2]]);
        for (const t of [targets, wide])
          for (const [op, inputs] of [
            ['softmaxCrossEntropy', [logits, t]],
            ['softmaxCrossEntropyGrad', [g, logits, t]],
          ] as const) {
            const attempt = (): unknown => apply(op, inputs, { ignoreIndex: -7 });
            expect(attempt).toThrow(IndexError);
            expect(attempt).toThrow(`${op}: index ${wrong} is out of range for an axis of size ${columns}`);
          }
      }
      expect([logits, g].map((x) => Array.from(x.dataSync()))).toEqual(before);
    });
  });
  it('are welcome where they are ignored, however large the number', () => {
    withBackend('wasm', () => {
      const x = tensor([[1, 2, 3]]);
      const loss = (target: number, ignoreIndex: number): number =>
        apply('softmaxCrossEntropy', [x, tensor([target], { dtype: 'i32' })], { ignoreIndex }).dataSync()[0]!;
      expect(loss(-100, -100)).toBe(0);
      expect(loss(7, 7)).toBe(0);
      // 2³² is not 0.
      expect(loss(0, 2 ** 32)).toBeGreaterThan(2);
    });
  });
});
