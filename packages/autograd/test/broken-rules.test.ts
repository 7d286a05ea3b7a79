/**
 * Broken rules are caught: each law of the derivative table fails when the rule of an op is replaced, in memory, by a
 * wrong one. The faults are those that hands and merges make; docs/decisions/0010-broken-rules-are-caught.md lists them.
 */
import {
  derivatives,
  type DifferentiableRule,
  type InputRule,
  type Rule,
  type RuleContext,
} from '@infinigrad/autograd';
import { gradientHolds, secondGradientHolds } from '@infinigrad/autograd/testing';
import {
  isFloat,
  opNames,
  recordOf,
  sameShape,
  zerosLike,
  type OpName,
  type Shape,
  type Tensor,
} from '@infinigrad/tensor';
import { afterEach, describe, expect, it } from 'vitest';
import { thrownBy } from './support.ts';

const table = derivatives as Record<OpName, Rule>;
const whole = { ...table };
afterEach(() => expect(table).toEqual(whole));

/** Runs `body` with another rule in the place of an op's own. */
function withRule<T>(op: OpName, rule: Rule, body: () => T): T {
  table[op] = rule;
  try {
    return body();
  } finally {
    table[op] = whole[op];
  }
}

const ruleOf = (op: OpName): DifferentiableRule => whole[op] as DifferentiableRule;
const differentiable = opNames.filter((op) => whole[op].kind === 'differentiable');
/** Ops that share the rule of floor: a gradient of zero, of which neither sign nor factor can be wrong. */
const flat = (op: OpName): boolean => whole[op] === whole['floor'];
const sloped = differentiable.filter((op) => !flat(op));
/** The inputs of an op that have a gradient; the last rule stands for all further inputs. */
const places = (op: OpName): number[] => ruleOf(op).inputs.flatMap((rule, i) => (rule ? [i] : []));

/** A rule with the gradient of each input changed. */
function changed(
  op: OpName,
  change: (rule: InputRule, g: Tensor, call: RuleContext, i: number) => Tensor,
): Rule {
  const rule = ruleOf(op);
  return {
    ...rule,
    inputs: rule.inputs.map((own): InputRule | null => own && ((g, call, i) => change(own, g, call, i))),
  };
}

/** A call as its rule sees it, but for some of what it says. */
function seenAs(call: RuleContext, lies: Partial<RuleContext>): RuleContext {
  return new Proxy(call, {
    get: (target, name) => {
      if (Object.hasOwn(lies, name)) return lies[name as keyof RuleContext];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** What a law says of a rule: that its property failed, and the error behind that. */
function verdict(law: (op: OpName) => void, op: OpName, rule: Rule): string {
  const error = thrownBy(() => withRule(op, rule, () => law(op)));
  expect(error.message).toMatch(/^Property failed after .*seed: /s);
  return String(error.cause);
}

/** The law notices a wrong value: it says which gradient, what the rule gives and what the function does. */
function expectWrongValue(law: (op: OpName) => void, op: OpName, rule: Rule, order: 1 | 2 = 1): void {
  expect(verdict(law, op, rule)).toMatch(
    new RegExp(`gradcheck: order ${order}, .*: analytic \\S+, numeric \\S+`),
  );
}

/** The law notices: a wrong value, a wrong shape, or an op in the rule that refuses its operands. */
function expectCaught(law: (op: OpName) => void, op: OpName, rule: Rule): void {
  expect(verdict(law, op, rule)).toMatch(/gradcheck: order 1|^ShapeError|^IndexError|^ValueError/);
}

it('the rules as they are pass the laws that follow', () => {
  expect(differentiable.length).toBeGreaterThan(50);
  for (const op of ['mul', 'sum', 'softmax'] as const) {
    gradientHolds(op);
    secondGradientHolds(op);
    // As does a copy: it is the fault that is caught, not the replacing.
    withRule(
      op,
      changed(op, (own, g, call, i) => own(g, seenAs(call, {}), i)),
      () => secondGradientHolds(op),
    );
  }
});

describe('of every op, the gradient', () => {
  it.each(sloped)('of %s with the wrong sign', (op) =>
    expectWrongValue(
      gradientHolds,
      op,
      changed(op, (own, g, call, i) => own(g, call, i).neg()),
    ),
  );
  it.each(sloped)('of %s a tenth of a percent too large', (op) =>
    expectWrongValue(
      gradientHolds,
      op,
      changed(op, (own, g, call, i) => own(g, call, i).mul(1.001)),
    ),
  );
  it.each(differentiable.filter(flat))('of %s passed straight through', (op) =>
    expectWrongValue(
      gradientHolds,
      op,
      changed(op, (_, g, call, i) => g.sumTo(call.shapes[i]!)),
    ),
  );
  it.each(sloped.flatMap((op) => places(op).map((i) => [op, i] as const)))(
    'of %s, missing for input %d',
    (op, i) => {
      const rule = ruleOf(op);
      expectWrongValue(gradientHolds, op, { ...rule, inputs: rule.inputs.with(i, null) });
    },
  );
  it.each(sloped.flatMap((op) => places(op).map((i) => [op, i] as const)))(
    'of %s, zero for input %d',
    (op, i) => {
      const rule = ruleOf(op);
      const zero: InputRule = (g, call, k) =>
        zerosLike(g).sum().expand(call.shapes[k]!).cast(call.dtypes[k]!);
      expectWrongValue(gradientHolds, op, { ...rule, inputs: rule.inputs.with(i, zero) });
    },
  );

  const several = differentiable.filter((op) => places(op).length > 1 || op === 'concat');
  it.each(several)("of %s, another input's", (op) => {
    const { inputs } = ruleOf(op);
    const at = (i: number): InputRule | null => inputs[Math.min(i, inputs.length - 1)]!;
    const wrong = changed(op, (own, g, call, i) => {
      const others = call.shapes.flatMap((_, k) => (k !== i && at(k) ? [k] : []));
      const k = others.find((n) => n > i) ?? others[0];
      return k === undefined ? own(g, call, i) : at(k)!(g, call, k);
    });
    expectCaught(gradientHolds, op, wrong);
  });

  const composed = opNames.filter((op) => whole[op].kind === 'composed');
  it.each(composed)('of %s, none in place of that of its parts', (op) =>
    expectWrongValue(gradientHolds, op, {
      kind: 'differentiable',
      saves: { inputs: [], output: false },
      inputs: [null],
    }),
  );
});

describe('a missing reduction after broadcasting', () => {
  const binary = differentiable.filter((op) => recordOf(op).kind === 'elementwise' && places(op).length > 1);
  const stretched: Partial<Record<OpName, (call: RuleContext, i: number) => Shape>> = {
    ...Object.fromEntries(binary.map((op) => [op, (call: RuleContext) => call.shape])),
    expand: (call) => call.shape,
    matmul: (call, i) => [...call.shape.slice(0, -2), ...call.shapes[i]!.slice(-2)],
  };
  it('is tried on every op that broadcasts', () =>
    expect(Object.keys(stretched)).toEqual(
      expect.arrayContaining(['add', 'sub', 'mul', 'div', 'pow', 'maximum', 'where', 'atan2', 'remainder']),
    ));
  it.each(Object.entries(stretched))('in %s', (op, shapeOf) => {
    const wrong = changed(op as OpName, (own, g, call, i) => {
      const shapes = call.shapes.with(i, shapeOf(call, i));
      return own(g, seenAs(call, { shapes }), i);
    });
    expectCaught(gradientHolds, op as OpName, wrong);
  });
  it.each(['add', 'mul'] as const)('in %s, where it leaves but an axis of size 1 too many', (op) => {
    const wrong = changed(op, (own, g, call, i) => own(g, call, i).unsqueeze(0));
    expect(verdict(gradientHolds, op, wrong)).toContain(
      'input and gradient must have one shape and one dtype',
    );
  });
});

describe('a wrong axis', () => {
  const along = differentiable.filter((op) =>
    ['axis', 'axes'].some((name) => Object.hasOwn(attrsOf(op), name)),
  );
  it('is tried on every op that has one', () =>
    expect(along).toEqual(
      expect.arrayContaining([
        'sum',
        'mean',
        'softmax',
        'cumsum',
        'gather',
        'concat',
        'permute',
        'indexSelect',
      ]),
    ));
  const turned = (call: RuleContext): RuleContext => {
    const rank = call.shapes[0]!.length;
    const next = (axis: number): number => (axis + 1) % rank;
    const { axis, axes } = call.attrs as { axis?: number; axes?: readonly number[] };
    const attrs = {
      ...call.attrs,
      ...(axis !== undefined && { axis: next(axis) }),
      ...(axes !== undefined && { axes: axes.map(next) }),
    };
    return seenAs(call, { attrs });
  };
  it.each(along)('in %s', (op) =>
    expectCaught(
      gradientHolds,
      op,
      changed(op, (own, g, call, i) => own(g, turned(call), i)),
    ),
  );
  // A piece cut from the wrong axis of a concatenation never fits, windows over the wrong axis only where they change nothing.
  const neverFits: ReadonlySet<OpName> = new Set(['concat', 'overlapAdd']);
  it.each(along.filter((op) => !neverFits.has(op)))('in %s, where the shapes happen to fit', (op) => {
    const wrong = changed(op, (own, g, call, i) => {
      try {
        const y = own(g, turned(call), i);
        if (sameShape(y.shape, call.shapes[i]!)) return y;
      } catch {
        // It does not fit: only then the right axis.
      }
      return own(g, call, i);
    });
    // Square inputs are rare among the samples.
    expectWrongValue((name) => gradientHolds(name, { runs: 1000 }), op, wrong);
  });

  /** The attributes of one call that the record samples. */
  function attrsOf(op: OpName): object {
    const sample = recordOf(op).sample({
      int: (min) => min,
      bool: () => false,
      pick: (items) => items[0]!,
      shape: ({ minRank = 0 } = {}) => new Array<number>(Math.max(2, minRank)).fill(2),
      broadcastable: (n) => Array.from({ length: n }, () => [2, 2]),
    });
    return sample.attrs ?? {};
  }
});

describe('a slip of the pen', () => {
  type Slip = (g: Tensor, call: RuleContext, i: number) => Tensor;
  const slips: [string, OpName, Slip][] = [
    [
      'an operand not transposed',
      'matmul',
      (g, c, i) => (i === 0 ? g.matmul(c.input(1)) : c.input(0).matmul(g)),
    ],
    [
      'the result transposed',
      'matmul',
      (g, c, i) => {
        const right = i === 0 ? g.matmul(c.input(1).transpose()) : c.input(0).transpose().matmul(g);
        return right.transpose().sumTo(c.shapes[i]!);
      },
    ],
    ['the factor 2 missing', 'square', (g, c) => g.mul(c.input(0))],
    ['the factor 1/2 missing', 'sqrt', (g, c) => g.div(c.output())],
    [
      '1/n missing',
      'mean',
      (g, c) => (whole['sum'].kind === 'differentiable' ? whole['sum'].inputs[0]!(g, c, 0) : g),
    ],
    ['the logarithm of the base missing', 'log2', (g, c) => g.div(c.input(0))],
    ['2/√π missing', 'erf', (g, c) => g.mul(c.input(0).square().neg().exp())],
    ['the density missing', 'gelu', (g, c) => g.mul(c.input(0).mul(Math.SQRT1_2).erf().add(1).mul(0.5))],
    ['the inner derivative missing', 'silu', (g, c) => g.mul(c.input(0).sigmoid())],
    ['1 forgotten', 'tanh', (g, c) => g.mul(c.output().square().neg())],
    ['the derivative of the output, of the input', 'exp', (g, c) => g.mul(c.output().exp())],
    ['sine for cosine', 'sin', (g, c) => g.mul(c.output())],
    [
      'even shares in place of softmax',
      'logSumExp',
      (g, c) => {
        const axis = c.attrs['axis'] as number;
        const lines = c.attrs['keepDims'] === true ? g : g.unsqueeze(axis);
        return lines.expand(c.shapes[0]!).div(c.shapes[0]![axis]!);
      },
    ],
    ['the sum over the line missing', 'softmax', (g, c) => g.mul(c.output())],
    ['running sums not turned back', 'cumsum', (g, c) => g.cumsum(c.attrs['axis'] as number)],
    [
      'running sums turned once',
      'cumsum',
      (g, c) => g.flip(c.attrs['axis'] as number).cumsum(c.attrs['axis'] as number),
    ],
    [
      'axes as they came, not inverted',
      'permute',
      (g, c) => g.permute(c.attrs['axes'] as number[]).reshape(c.shapes[0]!),
    ],
    [
      'always the first piece',
      'concat',
      (g, c, i) => {
        const axis = c.attrs['axis'] as number;
        return g.narrow(axis, 0, c.shapes[i]![axis]!);
      },
    ],
    ['the frame not cut off, the end instead', 'pad', (g, c) => g.slice(c.shapes[0]!.map((n) => [0, n]))],
    [
      'the steps forgotten',
      'slice',
      (g, c) =>
        g.unslice(
          c.shapes[0]!,
          (c.attrs['starts'] as number[]).map((s, k) => Math.min(s, c.shapes[0]![k]! - g.shape[k]!)),
          g.shape.map(() => 1),
        ),
    ],
    [
      'repeated places not added up',
      'indexSelect',
      (g, c) => {
        const axis = c.attrs['axis'] as number;
        const [x, index] = [zerosLike(g).sum().expand(c.shapes[0]!), c.input(1)];
        const counts = x.indexAdd(axis, index, g.mul(0).add(1)).clip(1, Infinity);
        return x.indexAdd(axis, index, g).div(counts);
      },
    ],
    [
      'all elements taken for the largest',
      'max',
      (g, c) => {
        const axes = c.attrs['axes'] as number[];
        return g
          .reshape(c.shapes[0]!.map((n, k) => (axes.includes(k) ? 1 : n)))
          .expand(c.shapes[0]!)
          .add(0);
      },
    ],
    [
      'the branches the wrong way round',
      'where',
      (g, c, i) => {
        const [zero, taken] = [zerosLike(g), c.input(0)];
        return (i === 1 ? taken.where(zero, g) : taken.where(g, zero)).sumTo(c.shapes[i]!);
      },
    ],
    ['the ends of the range', 'clip', (g, c) => g.mul(c.input(0).gt(0).cast(g.dtype))],
    ['left in the dtype of the output', 'cast', (g) => g.cast('f32')],
  ];
  it.each(slips)('%s in %s', (_, op, slip) => {
    const rule = ruleOf(op);
    const wrong: Rule = {
      kind: 'differentiable',
      saves: { inputs: 'all', output: true },
      inputs: rule.inputs.map((own) => own && slip),
    };
    // Some show in few of the calls that are drawn: an order of three axes in a round, of different sizes.
    expectCaught((what) => gradientHolds(what, { runs: 1000 }), op, wrong);
  });
  it('a rule for what has none', () => {
    const wrong: Rule = { kind: 'differentiable', saves: { inputs: [], output: false }, inputs: [(g) => g] };
    expect(verdict(gradientHolds, 'argMax', wrong)).toContain('must return a floating-point tensor');
  });
  it('a rule that asks for what it does not save', () => {
    const wrong: Rule = { ...ruleOf('square'), saves: { inputs: [], output: false } };
    expect(verdict(gradientHolds, 'square', wrong)).toContain(
      'internal: the derivative rule of square asks for input 0, which it does not save',
    );
  });
});

describe('a right gradient whose own gradient is wrong', () => {
  /** Enough to see that the first order is right; the faulty order is tried in full. */
  const few = { runs: 25 };
  /** Ops whose rule reads values, but whose second derivative is zero wherever it exists. */
  const piecewiseLinear: readonly OpName[] = [
    'abs',
    'relu',
    'maximum',
    'minimum',
    'max',
    'min',
    'clip',
    'remainder',
    'fmod',
    'leakyRelu',
    'hardsigmoid',
    'scatterMax',
    'scatterMin',
  ];
  /** Whether a rule saves anything that a derivative could flow through. */
  const readsValues = (op: OpName): boolean => {
    const { saves } = ruleOf(op);
    const dtypesOf = (i: number): readonly string[] => {
      const { accepts } = recordOf(op);
      return accepts[Math.min(i, accepts.length - 1)]!;
    };
    const inputs = saves.inputs === 'all' ? ruleOf(op).inputs.map((_, i) => i) : saves.inputs;
    return saves.output || inputs.some((i) => dtypesOf(i).some((dtype) => isFloat(dtype as 'f32')));
  };
  const detached = (op: OpName): Rule =>
    changed(op, (own, g, call, i) =>
      own(g, seenAs(call, { input: (k) => call.input(k).detach(), output: () => call.output().detach() }), i),
    );
  const curved = sloped.filter((op) => readsValues(op) && !piecewiseLinear.includes(op));

  it('is tried on most ops', () => expect(curved.length).toBeGreaterThan(30));
  it.each(curved)('in %s: values taken as constants', (op) => {
    withRule(op, detached(op), () => gradientHolds(op, few));
    expectWrongValue(secondGradientHolds, op, detached(op), 2);
  });
  it.each(piecewiseLinear)('in %s there is none to miss', (op) =>
    withRule(op, detached(op), () => secondGradientHolds(op, few)),
  );
  it.each(sloped)('in %s: the incoming gradient taken as a constant', (op) => {
    const wrong = changed(op, (own, g, call, i) => own(g.detach(), call, i));
    withRule(op, wrong, () => gradientHolds(op, few));
    expectWrongValue(secondGradientHolds, op, wrong, 2);
  });
});
