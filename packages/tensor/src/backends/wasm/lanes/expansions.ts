/** Functions of numbers that are made of other ones here, where a call for each element would cost more. */
import * as ir from '../../../ir.ts';
import type { Expr, Intrinsic } from '../../../ir.ts';
import type { LaneKind } from './lanes.ts';

type Expansion = (args: readonly Expr[], kind: LaneKind) => Expr;

/** √(x² + y²): of f32 in f64, where squares have room, else with the longer side taken out. */
const hypot: Expansion = ([x, y], kind) => {
  const [a, b] = [ir.abs(x!), ir.abs(y!)];
  const infinite = ir.or(ir.eq(a, Infinity), ir.eq(b, Infinity));
  if (kind === 'f32') {
    const [c, d] = [ir.cast(x!, 'f32', 'f64'), ir.cast(y!, 'f32', 'f64')];
    const length = ir.sqrt(ir.add(ir.mul(c, c), ir.mul(d, d)));
    return ir.select(infinite, Infinity, ir.cast(length, 'f64', 'f32'));
  }
  const longer = ir.max(a, b);
  const ratio = ir.div(ir.min(a, b), longer);
  const length = ir.mul(longer, ir.sqrt(ir.add(ir.mul(ratio, ratio), 1)));
  return ir.select(infinite, Infinity, ir.select(ir.eq(longer, 0), 0, length));
};

export const expansions: Partial<Record<Intrinsic, Expansion>> = { hypot };
