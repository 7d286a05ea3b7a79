/**
 * Code over the lines of tensors along one axis, written once for two ways in which lines lie in memory. `along`: the
 * elements of a line are neighbours, and four of them make a vector. `down`: lines are neighbours, and four lines make
 * a vector; so the lanes of an accumulator meet at the end of a line in the one, and stay apart in the other.
 */
import {
  f32x4,
  i32,
  i32x4,
  shuffle32,
  v128,
  type FunctionBuilder,
  type I32,
  type Local,
  type ModuleBuilder,
  type V128,
  type Value,
  type ValueType,
} from '../assembler/index.ts';
import type { ConstantPool } from '../constants.ts';
import { laneMask, storeLanes } from '../lanes/memory.ts';
import { MathContext } from '../math/context.ts';

export type Mode = 'along' | 'down';
/** A few vectors that are worked on side by side; one number for each line, or for each element at hand. */
export type Wide = readonly V128[];
export type WideLocals = readonly Local<'v128'>[];

/** A tensor that the code goes over: where its next line starts, and the step to the one after (in `down`: to the next element). */
export interface Operand {
  readonly base: Local<'i32'>;
  readonly step: Local<'i32'>;
  readonly at: Local<'i32'>;
}

export interface LineOptions {
  /** The function's name; `run` unless told. */
  readonly name?: string;
  readonly mode: Mode;
  /** For each operand, whether it has the elements of lines, or one number a line. */
  readonly operands: readonly ('elements' | 'line')[];
  /** Vectors worked on side by side; 4 unless told. */
  readonly width?: number;
  /** Further parameters. */
  readonly extras?: readonly ValueType[];
}

/** Elements of the lines at hand: in `along`, the next few of one line; in `down`, the next one of several lines. */
export interface Place {
  readonly width: number;
  /** @param neutral stands in lanes past the end of the line; there is anything where it is left out */
  load(from: Operand, neutral?: number): WideLocals;
  store(to: Operand, values: Wide): void;
  /** Values with 0 in lanes past the end of the line. */
  within(values: Wide): Wide;
  /** The positions of the elements in their lines, as i32. */
  positions(): Wide;
}

/** A function (n, lines, base and step of each operand, extras…): steps in bytes. */
export class LineCode {
  readonly m: MathContext;
  readonly fn: FunctionBuilder;
  readonly mode: Mode;
  readonly operands: readonly Operand[];
  /** How many vectors stand for the lines at hand, in accumulators. */
  width: number;
  readonly #kinds: LineOptions['operands'];
  readonly #n: Local<'i32'>;
  readonly #lines: Local<'i32'>;
  readonly #left: Local<'i32'>;
  /** In `down`: how many lines of the last vector there are. */
  #some: I32 | undefined;

  constructor(module: ModuleBuilder, constants: ConstantPool, options: LineOptions) {
    const { name = 'run', mode, operands, width = 4, extras = [] } = options;
    const pairs = new Array<'i32'>(2 + 2 * operands.length).fill('i32');
    this.fn = module.function(name, [...pairs, ...extras]);
    this.m = new MathContext(module, this.fn, constants);
    this.mode = mode;
    this.width = width;
    this.#kinds = operands;
    this.#n = this.fn.param(0, 'i32');
    this.#lines = this.fn.param(1, 'i32');
    this.operands = operands.map((_, k) => ({
      base: this.fn.param(2 + 2 * k, 'i32'),
      step: this.fn.param(3 + 2 * k, 'i32'),
      at: this.fn.local('i32'),
    }));
    this.#left = this.fn.local('i32');
  }

  /** The i-th of the further parameters. */
  extra<T extends ValueType>(i: number, type: T): Local<T> {
    return this.fn.param(2 + 2 * this.operands.length + i, type);
  }

  /** Writes the loop over lines around `body`. */
  eachLine(body: () => void): void {
    const { fn } = this;
    if (this.mode === 'along') {
      fn.times(this.#lines, () => {
        body();
        for (const { base, step } of this.operands) fn.advance(base, step);
      });
      return;
    }
    const full = this.width;
    const block = (width: number): void => {
      this.width = width;
      body();
      for (const { base } of this.operands) fn.advance(base, 16 * width);
    };
    fn.steps(this.#lines, 4 * full, () => block(full));
    if (full > 1) fn.steps(this.#lines, 4, () => block(1));
    fn.if(this.#lines, () => {
      this.#some = this.#lines;
      block(1);
    });
    this.#some = undefined;
    this.width = full;
  }

  /** Goes over the elements of the lines at hand, from the first. */
  pass(body: (place: Place) => void): void {
    const { fn, mode } = this;
    const used = new Set<Operand>();
    const go = (width: number, left?: I32): void => body(this.#place(width, used, left));
    fn.set(this.#left, this.#n);
    this.operands.forEach((o, k) => this.#kinds[k] === 'elements' && fn.set(o.at, o.base));
    if (mode === 'down') {
      fn.times(this.#left, () => {
        go(this.width, this.#some);
        for (const o of used) fn.advance(o.at, o.step);
      });
      return;
    }
    const step = (width: number): void =>
      fn.steps(this.#left, 4 * width, () => {
        go(width);
        for (const o of used) fn.advance(o.at, 16 * width);
      });
    if (this.width > 1) step(this.width);
    step(1);
    fn.if(this.#left, () => go(1, this.#left));
  }

  #place(width: number, used: Set<Operand>, left: I32 | undefined): Place {
    const { fn, m, mode } = this;
    let known: V128 | undefined;
    const mask = (some: I32): V128 => (known ??= fn.let(laneMask(some)));
    const partial = mode === 'along' ? left : undefined;
    return {
      width,
      load: (from, neutral) => {
        used.add(from);
        return wide(width, (k) => {
          const v = fn.let(v128.load(from.at, 16 * k));
          if (neutral === undefined || !partial) return v;
          return fn.let(v128.select(mask(partial), v, m.f32x4(neutral)));
        });
      },
      within: (values) => (partial ? values.map((v) => v128.and(v, mask(partial))) : values),
      store: (to, values) => {
        used.add(to);
        values.forEach((v, k) => {
          if (left) storeLanes(fn, 'f32', to.at, { kind: 'f32', v }, left);
          else fn.do(v128.store(to.at, v, 16 * k));
        });
      },
      positions: () => {
        const first = i32x4.splat(i32.sub(this.#n, this.#left));
        if (mode === 'down') {
          const same = fn.let(first);
          return wide(width, () => same);
        }
        const from = fn.let(i32x4.add(first, i32x4.constants(0, 1, 2, 3)));
        return wide(width, (k) => (k === 0 ? from : fn.let(i32x4.add(from, i32x4.const(4 * k)))));
      },
    };
  }

  /** Locals that hold the values of this point. */
  keep(values: Wide): WideLocals {
    return this.once(values, (v) => this.fn.let(v));
  }

  /** f for each vector; once where one stands for all. */
  once<A, B>(values: readonly A[], f: (value: A) => B): readonly B[] {
    const known = new Map<A, B>();
    return values.map((v) => {
      if (!known.has(v)) known.set(v, f(v));
      return known.get(v)!;
    });
  }

  /** An accumulator, at its start. */
  accumulator(initial: V128): WideLocals {
    return wide(this.width, () => this.fn.let(initial));
  }

  /** Takes values (as many as fit the place) into an accumulator. */
  combine(accumulator: WideLocals, values: Wide, op: (a: V128, b: V128) => V128): void {
    values.forEach((v, k) => this.fn.set(accumulator[k]!, op(accumulator[k]!, v)));
  }

  /** One number for each line at hand: what the lanes of an accumulator come to. */
  meet(accumulator: WideLocals, op: (a: V128, b: V128) => V128): WideLocals {
    if (this.mode === 'down') return accumulator;
    const { fn } = this;
    const [first] = accumulator as readonly [Local<'v128'>];
    accumulator.forEach((v, k) => k > 0 && fn.set(first, op(first, v)));
    fn.set(first, op(first, shuffle32(first, first, [2, 3, 0, 1])));
    fn.set(first, op(first, shuffle32(first, first, [1, 0, 3, 2])));
    return wide(this.width, () => first);
  }

  /** A number for each line from memory. */
  loadLine(from: Operand): WideLocals {
    if (this.mode === 'along') {
      const v = this.fn.let(v128.load32Splat(from.base));
      return wide(this.width, () => v);
    }
    return wide(this.width, (k) => this.fn.let(v128.load(from.base, 16 * k)));
  }

  /** A number (f32 or i32) for each line to memory. */
  storeLine(to: Operand, values: Wide): void {
    const { fn } = this;
    if (this.mode === 'along') fn.do(v128.store32Lane(to.base, values[0]!, 0));
    else
      values.forEach((v, k) => {
        if (this.#some) storeLanes(fn, 'f32', to.base, { kind: 'f32', v }, this.#some);
        else fn.do(v128.store(to.base, v, 16 * k));
      });
  }

  /** One vector for all lines at hand. */
  everywhere<T extends V128>(value: T): readonly T[] {
    return wide(this.width, () => value);
  }

  /** A number in every lane. */
  f32(x: number): V128 {
    return this.m.f32x4(x);
  }

  let<T extends ValueType>(value: Value<T>): Local<T> {
    return this.fn.let(value);
  }
}

export const wide = <T>(width: number, f: (k: number) => T): readonly T[] =>
  Array.from({ length: width }, (_, k) => f(k));

/** Vector by vector; the second may have more of them. */
export const zip = (a: Wide, b: Wide, op: (x: V128, y: V128) => V128): Wide => a.map((x, k) => op(x, b[k]!));
export const mul = (a: Wide, b: Wide): Wide => zip(a, b, f32x4.mul);
export const add = (a: Wide, b: Wide): Wide => zip(a, b, f32x4.add);
export const sub = (a: Wide, b: Wide): Wide => zip(a, b, f32x4.sub);
