/**
 * Reductions: a thread for each element that stays, and where those are few and what goes is long, first one for each
 * stretch of it. Sums are added up in stretches, so that f32 rounding stays that of a few hundred additions.
 */
import type { DType } from '../../dtype.ts';
import * as ir from '../../ir.ts';
import type { ReductionRecord } from '../../ops/record.ts';
import { contiguousLayout, sizeOf, type Layout } from '../../shape.ts';
import type { KernelCall } from '../backend.ts';
import { collapse } from '../js/print.ts';
import { printExpression, stored } from './expressions.ts';
import type { Launcher } from './launcher.ts';
import { homeOf, type Home } from './memory.ts';
import { affine, Source } from './source.ts';
import { threadsOver } from './threads.ts';

/** With fewer threads than this, what goes is parted among more. */
const fewThreads = 4096;
/** What one thread adds up is no shorter than this. */
const shortest = 64;

interface Reduced {
  readonly home: Home;
  readonly stay: Layout;
  readonly go: Layout;
  readonly offset: number;
}

const part = (x: Layout, axes: readonly number[]): Layout => ({
  shape: axes.map((i) => x.shape[i]!),
  strides: axes.map((i) => x.strides[i]!),
  offset: 0,
});

export function runReduction(launcher: Launcher, call: KernelCall, record: ReductionRecord): void {
  const { op, inputs, output, attrs } = call;
  const x = inputs[0]!;
  const axes = attrs['axes'] as readonly number[];
  const pick = (gone: boolean): number[] => x.shape.map((_, i) => i).filter((i) => axes.includes(i) === gone);
  const reduced = {
    home: homeOf(x.buffer),
    stay: part(x, pick(false)),
    go: part(x, pick(true)),
    offset: x.offset,
  };
  const fold = new Fold(launcher, op, record, x.dtype, output.dtype);
  const staying = sizeOf(reduced.stay.shape);
  const going = sizeOf(reduced.go.shape);
  const out = homeOf(output.buffer);
  const parts = Math.min(Math.ceil(going / shortest), Math.ceil(Math.sqrt(going)));
  if (staying >= fewThreads || parts < 4) return fold.run(reduced, out, 1, going);
  const partial = launcher.temporary(staying * parts);
  fold.run(reduced, partial, parts, null);
  const rest = {
    home: partial,
    stay: { shape: [staying], strides: [parts], offset: 0 },
    go: { shape: [parts], strides: [1], offset: 0 },
    offset: 0,
  };
  fold.run(rest, out, 1, going);
  launcher.free(partial);
}

class Fold {
  readonly launcher: Launcher;
  readonly op: string;
  readonly record: ReductionRecord;
  readonly dtype: DType;
  readonly result: DType;

  constructor(launcher: Launcher, op: string, record: ReductionRecord, dtype: DType, result: DType) {
    this.launcher = launcher;
    this.op = op;
    this.record = record;
    this.dtype = dtype;
    this.result = result;
  }

  /** @param count of all that is folded, where this is the end of it; else null */
  run({ home, stay, go, offset }: Reduced, out: Home, parts: number, count: number | null): void {
    const { launcher, dtype, record, result } = this;
    const source = new Source();
    const outer = collapse([contiguousLayout(stay.shape), stay]);
    const shape = parts > 1 ? [...outer.sizes, parts] : outer.sizes;
    const { grid, indices } = threadsOver(source, shape, launcher.device.limits);
    const start = affine(indices.slice(0, outer.sizes.length), outer.strides[1]!, source.offset(offset));
    const inner = collapse([go]);
    const size = sizeOf(go.shape);
    const array = source.array(home);
    const initial = source.constant(record.initial(dtype));
    const combine = (accumulator: string, element: string): string =>
      printExpression(source, record.combine(ir.input(0), ir.input(1)), dtype, [accumulator, element]);
    const base = source.value(start);
    const total = source.variable(initial);
    const element = (i: string): string => {
      const at = source.indices(i, inner.sizes);
      return source.value(`${array}[${affine([base, ...at], [1, ...inner.strides[0]!])}]`);
    };
    const each = Math.ceil(size / parts);
    const first = parts > 1 ? source.value(`${indices.at(-1)!} * ${each}`) : '0';
    /** Takes in the element that comes `i` after the first, if there is one. */
    const take = (into: string, i: string, all: boolean): void => {
      const at = first === '0' ? i : source.value(`${first} + ${i}`);
      const step = (): void => source.line(`${into} = ${combine(into, element(at))};`);
      if (all && parts === 1) step();
      else source.when(all ? `${at} < ${size}` : `${i} < ${each} && ${at} < ${size}`, step);
    };
    if (each <= 2 * shortest) source.loop(each, (i) => take(total, i, true));
    else {
      const stretch = Math.ceil(Math.sqrt(each));
      source.loop(Math.ceil(each / stretch), (i) => {
        const sum = source.variable(initial);
        source.loop(stretch, (j) => take(sum, source.value(`${i} * ${stretch} + ${j}`), false));
        source.line(`${total} = ${combine(total, sum)};`);
      });
    }
    const value =
      count !== null && record.finish
        ? printExpression(source, record.finish(ir.input(0), ir.input(1)), dtype, [total, String(count)])
        : total;
    const kept = count === null ? value : stored(source, value, result);
    launcher.launch(this.op, out, source.program(kept, grid));
  }
}
