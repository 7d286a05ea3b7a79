/** The judge judged: gradcheck passes what is right, and says of what is wrong where and by how much. */
import { gradcheck, type GradcheckOptions } from '@infinigrad/autograd';
import {
  backendNames,
  getBackend,
  GradientError,
  Key,
  tensor,
  withBackend,
  type Tensor,
} from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leaf, list, runs, spread, t, thrownBy } from './support.ts';

// Wrong gradients are made with detach(): the value counts it, the gradient does not.

/** x², with the gradient x. */
const half = (x: Tensor): Tensor => x.mul(x.detach());
/** x², with the right gradient 2x, whose own gradient is 0. */
const straight = (x: Tensor): Tensor => {
  const c = x.detach();
  return x.mul(c).mul(2).sub(c.square());
};

interface Complaint {
  readonly where: string;
  readonly analytic: number;
  readonly numeric: number;
  readonly error: GradientError;
}

/** The parts of what gradcheck says of a wrong gradient. */
function complaint(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): Complaint {
  const error = thrownBy(() => gradcheck(f, inputs, options));
  expect(error).toBeInstanceOf(GradientError);
  const parts = /^gradcheck: (order .*): analytic (\S+), numeric (\S+): \[/.exec(error.message);
  expect(parts, error.message).not.toBeNull();
  const [, where, analytic, numeric] = parts!;
  return {
    where: where!,
    analytic: Number(analytic),
    numeric: Number(numeric),
    error: error as GradientError,
  };
}

describe('passes', () => {
  const rows: Record<string, [(...inputs: Tensor[]) => Tensor, Tensor[]]> = {
    'a smooth function of one input': [(x) => x.sin().mul(x), [spread([2, 3])]],
    'several inputs, broadcasting': [(x, y) => x.mul(y).tanh(), [spread([2, 3], 1), spread([3], 2)]],
    'a single number': [(x) => x.exp(), [t(0.5)]],
    'outputs of several axes, through views': [
      (x) =>
        x
          .transpose()
          .slice([null, [null, null, -1]])
          .square(),
      [spread([2, 3])],
    ],
    'strided inputs': [
      (x) => x.square().mul(x),
      [
        spread([4, 3])
          .transpose()
          .slice([[null, null, -2]]),
      ],
    ],
    'stretched inputs': [(x) => x.square(), [t([0.5]).expand([2, 3])]],
    'integer inputs beside': [
      (x, index) => x.indexSelect(0, index!).square(),
      [spread([3, 2]), tensor([2, 0, 2], { dtype: 'i32' })],
    ],
    'an input that does not matter': [(x) => x.square(), [spread([2], 1), spread([3], 2)]],
    'an empty input': [(x, y) => x.square().sum().add(y.sum()), [spread([2]), t([])]],
    'an empty output': [(x) => x.slice([[0, 0]]).square(), [spread([2])]],
    'functions that detach what does not matter': [
      (x) => x.sub(x.detach().max(-1, true)).softmax(),
      [spread([2, 3])],
    ],
  };
  it.each(Object.entries(rows))('%s', (_, [f, inputs]) => {
    for (const order of [1, 2] as const)
      for (const mode of ['full', 'direction'] as const) gradcheck(f, inputs, { order, mode });
  });
  it('and leaves the inputs as they were', () => {
    const [x, y] = [leaf([1, 2]), t([3, 4])];
    gradcheck((a, b) => a.mul(b), [x, y], { order: 2 });
    expect([x.grad, x.requiresGrad, y.requiresGrad, list(x), list(y)]).toEqual([
      null,
      true,
      false,
      [1, 2],
      [3, 4],
    ]);
  });
});

describe('names', () => {
  it('the order, the input, the element and both values', () => {
    const x = t([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    // Wrong at one place alone, in the second of three inputs.
    const at = tensor([
      [false, false, false],
      [false, false, true],
    ]);
    const { where, analytic, numeric, error } = complaint(
      (a, b, c) =>
        a
          .add(at.where(half(b), b.square()))
          .mul(c)
          .sum(),
      [spread([3]), x, t([2])],
    );
    expect(where).toBe('order 1, input 1, element [1, 2]');
    // The output's random weight is common to both.
    expect(numeric / analytic).toBeCloseTo(2, 6);
    expect(error.op).toBe('gradcheck');
    expect(error.operands).toEqual([{ shape: [2, 3], dtype: 'f64' }]);
    expect(error.message).toContain(
      ': [2, 3] f64. Hint: the derivative rule is wrong, or the function is not',
    );
  });
  it('an element of a single number by an empty index', () => {
    expect(complaint(half, [t(3)]).where).toBe('order 1, input 0, element []');
  });
  it('both values in full mode: what the rule gives and what the function does', () => {
    // One element in and out: the weight is a factor common to both.
    const law = fc.property(fc.double({ min: 0.5, max: 3, noNaN: true }), (v) => {
      const { analytic, numeric } = complaint(half, [t([v])], { mode: 'full' });
      expect(numeric / analytic).toBeCloseTo(2, 5);
    });
    fc.assert(law, { numRuns: runs });
  });
  it('the second order apart from the first', () => {
    gradcheck(straight, [spread([2, 2])]);
    const { where, analytic } = complaint(straight, [spread([2, 2])], { order: 2 });
    expect(where).toBe('order 2, input 0, element [0, 0]');
    expect(analytic).toBe(0);
    expect(complaint(half, [spread([2])], { order: 2 }).where).toMatch(/^order 1, input 0/);
  });
  it('the input at second order, counted as the caller does', () => {
    const { where } = complaint((x, y) => x.square().add(straight(y)), [spread([2], 1), spread([2], 2)], {
      order: 2,
    });
    expect(where).toBe('order 2, input 1, element [0]');
  });
});

describe('catches', () => {
  const x = spread([2, 2]);
  const rows: Record<string, (x: Tensor) => Tensor> = {
    'a missing factor': half,
    'a missing gradient': (y) => y.detach().square(),
    'a wrong sign': (y) => y.detach().mul(2).sub(y),
    'an error of a tenth of a percent': (y) => y.mul(0.999).add(y.detach().mul(0.001)),
    'a gradient that is NaN': (y) => y.add(y.mul(0).sqrt()),
    'a kink': (y) => y.sub(x).relu(),
  };
  it.each(Object.entries(rows))('%s, in either mode', (_, f) => {
    for (const mode of ['full', 'direction'] as const)
      expect(complaint(f, [x], { mode }).where).toMatch(/^order 1, input 0/);
  });
  it('a wrong gradient of any one input', () => {
    const inputs = [spread([2], 1), spread([1, 2], 2), spread([2, 1], 3)];
    inputs.forEach((_, wrong) => {
      const f = (...all: Tensor[]): Tensor =>
        all.map((y, i) => (i === wrong ? half(y) : y.square())).reduce((a, b) => a.mul(b));
      for (const mode of ['full', 'direction'] as const)
        expect(complaint(f, inputs, { mode }).where).toContain(`order 1, input ${wrong}`);
    });
  });
  it('a wrong second derivative in either mode, with either being first-order right', () => {
    for (const mode of ['full', 'direction'] as const) {
      gradcheck(straight, [x], { mode });
      expect(complaint(straight, [x], { order: 2, mode }).where).toMatch(/^order 2, input 0/);
    }
  });
  it('a wrong gradient under any key', () => {
    const law = fc.property(fc.nat(), (seed) => {
      for (const mode of ['full', 'direction'] as const)
        complaint(half, [spread([3, 3])], { mode, key: new Key(seed) });
    });
    fc.assert(law, { numRuns: runs });
  });
});

describe('options', () => {
  it('up to 64 elements go one by one, more along a random direction; mode decides otherwise', () => {
    const where = (sizes: number[], options: GradcheckOptions = {}): string =>
      complaint(
        (...xs) => xs.map((x) => half(x).sum()).reduce((a, b) => a.add(b)),
        sizes.map((n) => spread([n], n)),
        options,
      ).where;
    expect(where([64])).toBe('order 1, input 0, element [0]');
    expect(where([65])).toBe('order 1, input 0, along a random direction');
    expect(where([40, 25])).toBe('order 1, input 0, along a random direction');
    expect(where([65], { mode: 'full' })).toBe('order 1, input 0, element [0]');
    expect(where([2], { mode: 'direction' })).toBe('order 1, input 0, along a random direction');
  });
  it('integers do not count toward the 64', () => {
    const index = tensor(
      Array.from({ length: 100 }, (_, i) => i % 2),
      { dtype: 'i32' },
    );
    expect(complaint((x, i) => half(x).indexSelect(0, i!), [spread([2]), index]).where).toBe(
      'order 1, input 0, element [0]',
    );
  });
  it('rtol and atol set what agrees', () => {
    const off = (x: Tensor): Tensor => x.mul(0.99).add(x.detach().mul(0.01));
    complaint(off, [spread([3])]);
    gradcheck(off, [spread([3])], { rtol: 0.02 });
    gradcheck(off, [spread([3])], { atol: 1 });
    complaint(off, [spread([3])], { rtol: 0.009, atol: 0 });
  });
  it('step is what inputs are moved by', () => {
    const seen: number[] = [];
    const f = (x: Tensor): Tensor => {
      if (!x.requiresGrad) seen.push(x.itemSync());
      return x.mul(3);
    };
    gradcheck(f, [t(2)], { step: 0.25 });
    expect(seen).toEqual([2.25, 1.75]);
  });
  it('one key gives one verdict, another other directions', () => {
    const at = (seed: number): number =>
      complaint(half, [spread([5])], { mode: 'direction', key: new Key(seed) }).analytic;
    expect(at(1)).toBe(at(1));
    expect(at(1)).not.toBe(at(2));
    const moved = (seed: number): number => {
      const seen: number[] = [];
      const f = (x: Tensor): Tensor => {
        if (!x.requiresGrad) seen.push(x.itemSync());
        return x.mul(3);
      };
      gradcheck(f, [t(2)], { mode: 'direction', key: new Key(seed) });
      return seen[0]!;
    };
    expect(moved(1)).toBe(moved(1));
    expect(moved(1)).not.toBe(moved(2));
    // Without one it is new Key(0).
    expect(complaint(half, [spread([5])], { mode: 'direction' }).analytic).toBe(at(0));
  });
});

describe('refuses', () => {
  const rows: [string, () => void, string][] = [
    [
      'an f32 input, by its number',
      () => gradcheck((x, y) => x.mul(y), [t([1]), tensor([1])]),
      "gradcheck: input 1 is f32, too coarse for finite differences: [1] f32. Hint: cast('f64')",
    ],
    [
      'a function that returns f32',
      () => gradcheck((x) => x.cast('f32'), [t([1])]),
      'gradcheck: the function returns f32, too coarse for finite differences: [1] f32',
    ],
    [
      'a function that returns integers',
      () => gradcheck((x) => x.gt(0), [t([1])]),
      'vjp: the function must return a floating-point tensor: [1] bool',
    ],
    [
      'inputs that are all integers',
      () => gradcheck((x) => x.cast('f64'), [tensor([1], { dtype: 'i32' })]),
      'no argument is a floating-point tensor',
    ],
    ['no inputs', () => gradcheck(() => t(1), []), 'no argument is a floating-point tensor'],
  ];
  it.each(rows)('%s', (_, body, says) => {
    const error = thrownBy(body);
    expect(error).toBeInstanceOf(GradientError);
    expect(error.message).toContain(says);
  });
});

describe('backends', () => {
  const names = backendNames().filter((name) => getBackend(name).synchronous);
  it.each(names)('checks where the inputs live (%s), whichever backend is current', (name) => {
    const [x, y] = withBackend(name, () => [spread([2, 3], 1), spread([3], 2)]);
    for (const current of names)
      withBackend(current, () => {
        gradcheck((a, b) => a.mul(b).sin(), [x!, y!], { order: 2 });
        expect(complaint(half, [x!]).where).toBe('order 1, input 0, element [0, 0]');
      });
  });
  it('there is more than one to choose from', () => expect(names.length).toBeGreaterThan(1));
});
