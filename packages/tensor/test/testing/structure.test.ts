/** The laws of structure pass what keeps them, and show the smallest case of what does not. */
import { concat, tensor, type Tensor } from '@infinigrad/tensor';
import {
  backendsAgree,
  causal,
  domains,
  equivariant,
  linear,
  referenceAgrees,
  subject,
  viewsAgree,
  type Action,
  type Subject,
} from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import { runs } from '../support.ts';

const { real } = domains;
const one = (name: string, f: (x: Tensor) => Tensor): Subject =>
  subject(name, f, (draw) => [{ shape: draw.shape({ minRank: 2 }), domain: real }]);
const failure = (body: () => void): string => {
  try {
    body();
  } catch (error) {
    return `${String(error)}\n${String((error as Error).cause)}`;
  }
  throw new Error('nothing was thrown');
};

describe('linear', () => {
  it('holds for sums, differences and running sums', () => {
    linear('sum', { runs });
    linear('sub', { runs });
    linear('cumsum', { runs });
    linear(
      one('a third', (x) => x.div(3)),
      { runs, dtype: 'f32' },
    );
  });
  it('holds for each factor of a product, not for both at once', () => {
    linear('matmul', { runs, inputs: [0] });
    linear('matmul', { runs, inputs: [1] });
    expect(failure(() => linear('matmul', { runs }))).toMatch(/matmul: f\(.* x \+ .* y\) is not/);
  });
  it('does not hold for what adds a constant, and the smallest case is one number', () => {
    const message = failure(() => linear(one('affine', (x) => x.mul(2).add(1))));
    expect(message).toContain('affine of');
    expect(message).toContain('input 0: f64 [1, 1] = [0]');
    expect(message).toContain('affine: f(0 x + 0 y) is not 0 f(x) + 0 f(y)');
  });
});

describe('equivariant', () => {
  const reverse: Action = ([x]) => ({ inputs: [x!.flip(0)], output: (y) => y.flip(0) });
  const scale: Action = ([x], draw) => {
    const by = draw.int(-4, 4);
    return { inputs: [x!.mul(by)], output: (y) => y.mul(by) };
  };
  it('holds for what acts on every row alike', () => {
    equivariant(
      one('rows', (x) => x.softmax(-1)),
      reverse,
      { runs },
    );
    equivariant('sum', (x, draw) => ({ ...scale(x, draw) }), { runs });
  });
  it('does not hold for what tells rows apart', () => {
    const message = failure(() =>
      equivariant(
        one('running', (x) => x.cumsum(0)),
        reverse,
      ),
    );
    expect(message).toContain('running: acting first and last differ');
    // Two rows, of which one is not zero.
    expect(message).toMatch(/input 0: f64 \[(?:1, )?[234], 1\]/);
  });
});

describe('causal', () => {
  const before = (x: Tensor): Tensor => x.cumsum(-2);
  it('holds for running sums along time, in f64 and f32', () => {
    causal(one('past', before), { runs });
    causal(one('past', before), { runs, dtype: 'f32' });
  });
  it('holds for what runs along another axis, where that is said', () => {
    const last = one('last axis', (x) => x.cumsum(-1));
    causal(last, { runs, axis: -1 });
    const back = one('backwards', (x) => x.flip(-1));
    expect(failure(() => causal(back, { axis: -1, runs }))).toContain('backwards: what comes at time');
  });
  it('does not hold for what looks one step ahead', () => {
    const ahead = one('ahead', (x) => {
      const n = x.shape.at(-2)!;
      return n < 2 ? x : concat([x.narrow(-2, 1, n - 1), x.narrow(-2, 0, 1)], -2);
    });
    const message = failure(() => causal(ahead));
    expect(message).toMatch(/ahead: what comes at time [123] or later changes an output before it/);
    // Small, if not always the smallest there is: a few moments of one number.
    expect(message).toMatch(/input 0: f64 \[(?:1, )?[234], 1\]/);
  });
  it('refuses inputs that do not run along one time', () => {
    const two = subject(
      'two',
      (x, y) => x.add(y),
      () => [
        { shape: [2, 1], domain: real },
        { shape: [1, 1], domain: real },
      ],
    );
    expect(failure(() => causal(two, { inputs: [0, 1] }))).toContain('as many moments');
  });
});

describe('the other laws, on functions', () => {
  const good = subject(
    'good',
    (x, y) => x.mul(y).tanh(),
    (draw) => draw.broadcastable(2).map((shape) => ({ shape, domain: real })),
  );
  it('hold', () => {
    viewsAgree(good, { runs });
    referenceAgrees(good, { runs });
    backendsAgree(good, { runs, backend: 'wasm' });
  });
  it('notice what depends on the layout', () => {
    const bad = one('memory order', (x) => tensor(Array.from(x.flatten().dataSync())).mul(x.layout.offset));
    expect(failure(() => viewsAgree(bad))).toContain('a view gives another result than a copy');
  });
  it('notice what depends on the backend', () => {
    const bad = one('who', (x) => x.add(x.backend.name === 'js' ? 0 : 1));
    expect(failure(() => backendsAgree(bad, { backend: 'wasm' }))).toContain('wasm differs from js');
  });
  it('notice what loses digits in f32', () => {
    const bad = one('cancels', (x) => x.add(1e4).sub(1e4));
    expect(failure(() => referenceAgrees(bad))).toContain('f32 is not f64 rounded');
  });
  it('see a failure again by its seed and path', () => {
    const bad = one('cancels', (x) => x.add(1e4).sub(1e4));
    const [, seed, path] = /seed: (-?\d+), path: "([\d:]+)"/.exec(failure(() => referenceAgrees(bad)))!;
    const again = failure(() => referenceAgrees(bad, { seed: Number(seed), path: path! }));
    expect(again).toContain('Property failed after 1 tests');
  });
});

it('a seed draws the same calls again', () => {
  const seen: string[] = [];
  const watch = one('watch', (x) => (seen.push(x.toArraySync().toString()), x));
  linear(watch, { seed: 3, runs: 5 });
  const first = seen.splice(0);
  linear(watch, { seed: 3, runs: 5 });
  expect(seen).toEqual(first);
});
