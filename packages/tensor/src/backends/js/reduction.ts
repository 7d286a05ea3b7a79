/** Reductions: a loop nest over the axes that stay, around one over the axes that go, with an f64 accumulator. */
import * as ir from '../../ir.ts';
import type { ReductionRecord } from '../../ops/record.ts';
import { contiguousLayout, sizeOf } from '../../shape.ts';
import type { KernelCall } from '../backend.ts';
import { collapse, compileLoop, isEmpty, printBounds, printExpression, printLoops } from './print.ts';

export function runReduction({ op, inputs, output, attrs }: KernelCall, record: ReductionRecord): void {
  if (isEmpty(output)) return;
  const x = inputs[0]!;
  const axes = attrs['axes'] as readonly number[];
  const pick = (gone: boolean): number[] => x.shape.map((_, i) => i).filter((i) => axes.includes(i) === gone);
  const part = (which: readonly number[]): { shape: number[]; strides: number[]; offset: number } => ({
    shape: which.map((i) => x.shape[i]!),
    strides: which.map((i) => x.strides[i]!),
    offset: 0,
  });
  const stay = part(pick(false));
  const go = part(pick(true));
  const outer = collapse([contiguousLayout(stay.shape), stay]);
  const inner = collapse([go]);
  const key = `${op} ${x.dtype} ${output.dtype} ${outer.sizes.length} ${inner.sizes.length}`;
  const loop = compileLoop(key, () => {
    const accumulator = ir.input(0);
    const step = printExpression(record.combine(accumulator, ir.input(1)), x.dtype, ['acc', 'a[p1]']);
    const end = printExpression(record.finish?.(accumulator, ir.input(1)) ?? accumulator, x.dtype, [
      'acc',
      'count',
    ]);
    const body = `let acc = initial;
      { ${printLoops('j', inner.sizes.length, ['p1'], `${step.statements} acc = ${step.value};`)} }
      ${end.statements} out[p0] = ${end.value};`;
    return `(out, [a], offsets, initial, count, sizes, steps, innerSizes, innerSteps) => {
      let p0 = offsets[0], p1 = offsets[1];
      ${printBounds('i', outer.sizes.length, ['p0', 'p1'], 'sizes', 'steps')}
      ${printBounds('j', inner.sizes.length, ['p1'], 'innerSizes', 'innerSteps')}
      ${printLoops('i', outer.sizes.length, ['p0', 'p1'], body)}
    }`;
  });
  const bounds = [outer.sizes, outer.strides, inner.sizes, inner.strides];
  loop(
    output.buffer,
    [x.buffer],
    [output.offset, x.offset],
    record.initial(x.dtype),
    sizeOf(go.shape),
    ...bounds,
  );
}
