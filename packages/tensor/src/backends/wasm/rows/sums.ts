/**
 * Sums over lines, in f64. What f32 results are made of is right to the last bits of f32 however long the line; and what
 * is computed once for each line costs little.
 */
import { f32x4, f64x2, shuffle32, shuffle64, type Local, type V128 } from '../assembler/index.ts';
import { upperHalf } from '../lanes/lanes.ts';
import { wide, type LineCode, type Wide, type WideLocals } from './lines.ts';

/** Four f64 for each vector: one number for each line at hand. */
export interface Pair {
  readonly low: Local<'v128'>;
  readonly high: Local<'v128'>;
}
export type Pairs = readonly Pair[];

/** Adds up in a tree: as many additions as in a row, few of which wait for one another. */
function tree(values: Wide, op: (a: V128, b: V128) => V128): V128 {
  const half = values.length >> 1;
  return half === 0 ? values[0]! : op(tree(values.slice(0, half), op), tree(values.slice(half), op));
}

/** A sum for each line at hand. */
export class Sum {
  readonly #line: LineCode;
  /** In `along` all adds up in one vector. */
  readonly #parts: Pairs;

  /** 0 at this point. */
  constructor(line: LineCode) {
    this.#line = line;
    const zero = line.m.f64x2(0);
    this.#parts = wide(line.mode === 'down' ? line.width : 1, () => {
      const low = line.let(zero);
      return { low, high: line.mode === 'down' ? line.let(zero) : low };
    });
  }

  /** Adds values that are about as large as one another: a few of one line first meet in f32. */
  add(values: Wide): void {
    this.addEach(this.#line.mode === 'down' ? values : [tree(values, f32x4.add)]);
  }

  /** Adds values each of which counts, however small beside the others. */
  addEach(values: Wide): void {
    const { mode, fn } = this.#line;
    const halves = values.map((v) => widenHalves(this.#line, v));
    if (mode === 'along') {
      const { low } = this.#parts[0]!;
      fn.set(low, f64x2.add(low, tree(halves.flat(), f64x2.add)));
      return;
    }
    halves.forEach(([low, high], k) => {
      const part = this.#parts[k]!;
      fn.set(part.low, f64x2.add(part.low, low));
      fn.set(part.high, f64x2.add(part.high, high));
    });
  }

  /** The sums, one for each line at hand. */
  total(): Pairs {
    const { mode, fn, width } = this.#line;
    if (mode === 'down') return this.#parts;
    const total = this.#parts[0]!;
    fn.set(total.low, f64x2.add(total.low, shuffle64(total.low, total.low, [1, 0])));
    return wide(width, () => total);
  }
}

/** Two sums along a line at once, of values as `Sum.add` wants them: cheaper than two of those. */
export class TwoSums {
  readonly #line: LineCode;
  readonly #first: Local<'v128'>;
  readonly #second: Local<'v128'>;

  constructor(line: LineCode) {
    this.#line = line;
    this.#first = line.let(line.m.f64x2(0));
    this.#second = line.let(line.m.f64x2(0));
  }

  add(first: Wide, second: Wide): void {
    const { fn } = this.#line;
    const [a, b] = [first, second].map((values) => this.#line.let(tree(values, f32x4.add)));
    // Two lanes of the one, two of the other.
    const both = f32x4.add(shuffle32(a!, b!, [0, 1, 4, 5]), shuffle32(a!, b!, [2, 3, 6, 7]));
    const [low, high] = widenHalves(this.#line, both);
    fn.set(this.#first, f64x2.add(this.#first, low));
    fn.set(this.#second, f64x2.add(this.#second, high));
  }

  totals(): readonly [first: V128, second: V128] {
    const whole = (v: V128): V128 => this.#line.let(f64x2.add(v, shuffle64(v, v, [1, 0])));
    return [whole(this.#first), whole(this.#second)];
  }
}

/** Four f32 as f64, two and two. */
export function widenHalves(line: LineCode, v: V128): readonly [low: V128, high: V128] {
  const kept = line.let(v);
  return [f64x2.promote(kept), f64x2.promote(upperHalf(kept))];
}

/** f of each number, computed once where one stands for all. */
export function each(line: LineCode, pairs: Pairs, f: (x: Local<'v128'>) => V128): Pairs {
  return line.once(pairs, ({ low, high }) => {
    const first = line.let(f(low));
    return { low: first, high: high === low ? first : line.let(f(high)) };
  });
}

/** f of two numbers for each line at hand. */
export function eachTwo(line: LineCode, a: Pairs, b: Pairs, f: (x: V128, y: V128) => V128): Pairs {
  const known = new Map<Pair, Pair>();
  return a.map((x, k) => {
    const y = b[k]!;
    let made = known.get(x);
    if (!made) {
      const low = line.let(f(x.low, y.low));
      const same = x.high === x.low && y.high === y.low;
      known.set(x, (made = { low, high: same ? low : line.let(f(x.high, y.high)) }));
    }
    return made;
  });
}

/** The f64 in the low lane, rounded to f32, in all lanes. */
export function rounded(line: LineCode, x: V128): Local<'v128'> {
  const v = line.let(f32x4.demote(x));
  return line.let(shuffle32(v, v, [0, 0, 0, 0]));
}

/** Rounded to f32. */
export function narrow(line: LineCode, pairs: Pairs): WideLocals {
  return line.once(pairs, ({ low, high }) => {
    if (high === low) return rounded(line, low);
    return line.let(shuffle32(f32x4.demote(low), f32x4.demote(high), [0, 1, 4, 5]));
  });
}

/** As f64, exactly. */
export function widen(line: LineCode, values: WideLocals): Pairs {
  return line.once(values, (v) => {
    const low = line.let(f64x2.promote(v));
    return { low, high: line.mode === 'along' ? low : line.let(f64x2.promote(upperHalf(v))) };
  });
}
