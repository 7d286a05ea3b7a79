/** Prints scalar expressions as SIMD code over four elements. */
import { isFloat, isHalf, type DType } from '../../../dtype.ts';
import type { BinaryIntrinsic, Expr, Relation, TernaryIntrinsic, UnaryIntrinsic } from '../../../ir.ts';
import { f32x4, f64x2, v128, type V128 } from '../assembler/index.ts';
import type { MathContext } from '../math/context.ts';
import { sigmoid32 } from '../math/single.ts';
import { expansions } from './expansions.ts';
import { roundHalves } from './halves.ts';
import {
  binaryLanes,
  relations32,
  relations64,
  relationsI32,
  ternaryLanes,
  unaryLanes,
} from './functions.ts';
import {
  asF64,
  asI32,
  asKind,
  asMask,
  choose,
  everyLane,
  keep,
  narrowMask,
  type LaneKind,
  type Lanes,
} from './lanes.ts';

/** The kind in which a dtype is computed. */
export function kindOf(dtype: DType): 'f32' | 'f64' | 'i32' {
  return isHalf(dtype) ? 'f32' : isFloat(dtype) ? dtype : 'i32';
}

const relationNames: ReadonlySet<string> = new Set<Relation>(['eq', 'ne', 'lt', 'le', 'gt', 'ge']);
const binaryNames: ReadonlySet<string> = new Set<BinaryIntrinsic>([
  'add',
  'sub',
  'mul',
  'div',
  'floorDiv',
  'rem',
  'pow',
  'atan2',
  'min',
  'max',
  'fmod',
  'hypot',
  'bitAnd',
  'bitOr',
  'bitXor',
  'shiftLeft',
  'shiftRight',
  'polygamma',
  'sinc',
  'besselI',
  'besselIe',
  'gammaincc',
]);
const connectives: Readonly<Record<string, (a: V128, b: V128) => V128>> = {
  and: v128.and,
  or: v128.or,
  xor: v128.xor,
};

/** An operand: lanes, or a number that takes the kind of what it meets. */
type Operand = Lanes | number;

/**
 * The value of an expression, kept in locals. Sub-expressions that occur more than once (as one object) are computed once.
 * @param kind what plain numbers are where nothing else says so
 */
export function printLanes(m: MathContext, root: Expr, kind: LaneKind, inputs: readonly Lanes[]): Lanes {
  const known = new Map<Expr, Lanes>();
  const constants = { f32x4: (x: number) => m.f32x4(x), f64x2: (x: number) => m.f64x2(x) };
  /** A fraction beside integers is computed with in f64. */
  const fits = (x: number, wanted: LaneKind): LaneKind =>
    wanted === 'i32' && (x | 0) !== x ? 'f64' : wanted;
  const settle = (x: Operand, wanted: LaneKind): Lanes =>
    typeof x === 'number' ? everyLane(x, fits(x, wanted), constants) : x;
  const meet = (operands: readonly Operand[]): Lanes[] => {
    const lanes = operands.find((x) => typeof x !== 'number') as Lanes | undefined;
    const wanted = lanes ? (lanes.kind === 'mask' ? 'i32' : lanes.kind) : kind === 'mask' ? 'i32' : kind;
    const settled = operands.map((x) => settle(x, wanted));
    const highest = (['f64', 'f32', 'i32'] as const).find((k) => settled.some((x) => x.kind === k)) ?? 'i32';
    return settled.map((x) => (x.kind === highest ? x : keep(m.fn, asKind(m.fn, x, highest))));
  };
  const operand = (e: Expr): Operand => (e.kind === 'const' ? e.value : print(e));
  const relate = (name: Relation, [x, y]: readonly Lanes[]): Lanes => {
    if (x!.kind === 'f64' && y!.kind === 'f64') {
      const op = relations64[name];
      return { kind: 'mask', v: narrowMask(op(x!.low, y!.low), op(x!.high, y!.high)) };
    }
    const op = (x!.kind === 'f32' ? relations32 : relationsI32)[name];
    return { kind: 'mask', v: op((x as { v: V128 }).v, (y as { v: V128 }).v) };
  };
  const truth = (e: Expr): V128 => asMask(settle(operand(e), 'mask'));

  const compute = (e: Expr): Lanes => {
    if (e.kind === 'input') return inputs[e.index]!;
    if (e.kind === 'const') return settle(e.value, kind);
    if (e.kind === 'cast') return castLanes(m, settle(operand(e.arg), kindOf(e.from)), e.dtype);
    const { fn: name, args } = e;
    const expansion = expansions[name];
    if (expansion) return print(expansion(args, kind));
    if (relationNames.has(name)) return relate(name as Relation, meet(args.map(operand)));
    if (name === 'not') return { kind: 'mask', v: v128.not(truth(args[0]!)) };
    if (connectives[name]) return { kind: 'mask', v: connectives[name](truth(args[0]!), truth(args[1]!)) };
    if (name === 'select') {
      const [x, y] = meet([operand(args[1]!), operand(args[2]!)]);
      return choose(m.fn, truth(args[0]!), x!, y!);
    }
    if (binaryNames.has(name)) {
      const inner = kind === 'f32' ? sigmoidArgument(e) : null;
      if (inner)
        return { kind: 'f32', v: sigmoid32(m, (asKind(m.fn, print(inner), 'f32') as { v: V128 }).v) };
      const [x, y] = meet([operand(args[0]!), operand(args[1]!)]);
      return binaryLanes(m, name as BinaryIntrinsic, x!, y!);
    }
    if (args.length === 3) return ternaryLanes(m, name as TernaryIntrinsic, meet(args.map(operand)));
    return unaryLanes(m, name as UnaryIntrinsic, settle(operand(args[0]!), kind));
  };
  const print = (e: Expr): Lanes => {
    const before = known.get(e);
    if (before) return before;
    const lanes = e.kind === 'input' ? inputs[e.index]! : keep(m.fn, compute(e));
    known.set(e, lanes);
    return lanes;
  };
  return print(root);
}

const isConst = (e: Expr | undefined, value: number): boolean => e?.kind === 'const' && e.value === value;

/** The x of 1 / (1 + e⁻ˣ), which has a routine of its own; null where the expression is another. */
function sigmoidArgument(e: Expr): Expr | null {
  if (e.kind !== 'call' || e.fn !== 'div' || !isConst(e.args[0], 1)) return null;
  const sum = e.args[1]!;
  if (sum.kind !== 'call' || sum.fn !== 'add' || !isConst(sum.args[0], 1)) return null;
  const power = sum.args[1]!;
  if (power.kind !== 'call' || power.fn !== 'exp') return null;
  const negated = power.args[0]!;
  return negated.kind === 'call' && negated.fn === 'neg' ? negated.args[0]! : null;
}

/** As the dtype holds it: floats truncate into integers (i32 saturates, u8 wraps), anything nonzero is true. */
function castLanes(m: MathContext, x: Lanes, dtype: DType): Lanes {
  if (dtype === 'bool') return { kind: 'mask', v: asMask(x) };
  if (isHalf(dtype)) return { kind: 'f32', v: roundHalves(m.fn, dtype, x) };
  if (dtype !== 'u8') return asKind(m.fn, x, kindOf(dtype));
  if (x.kind === 'f32') {
    const t = m.let(f32x4.trunc(x.v));
    const turns = f32x4.floor(f32x4.mul(t, m.f32x4(1 / 256)));
    return { kind: 'i32', v: asI32({ kind: 'f32', v: f32x4.sub(t, f32x4.mul(turns, m.f32x4(256))) }) };
  }
  if (x.kind === 'f64') {
    const wrap = (v: V128): V128 => {
      const t = m.let(f64x2.trunc(v));
      return f64x2.sub(t, f64x2.mul(f64x2.floor(f64x2.mul(t, m.f64x2(1 / 256))), m.f64x2(256)));
    };
    const { low, high } = asF64(m.fn, x);
    return { kind: 'i32', v: asI32({ kind: 'f64', low: wrap(low), high: wrap(high) }) };
  }
  return { kind: 'i32', v: asI32(x) };
}
