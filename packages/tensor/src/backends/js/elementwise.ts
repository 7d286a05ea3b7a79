/** Elementwise ops: the record's expression inside a loop nest over strided, broadcast inputs. */
import { isHalf, type DType } from '../../dtype.ts';
import * as ir from '../../ir.ts';
import { attrsText } from '../../ops/attrs.ts';
import type { ElementwiseRecord } from '../../ops/record.ts';
import { broadcastLayout } from '../../shape.ts';
import type { KernelCall } from '../backend.ts';
import { collapse, compileLoop, isEmpty, printBounds, printExpression, printLoops } from './print.ts';

/** An element as a number, and a number as an element; f16 and bf16 lie there as words. */
const read = (dtype: DType, element: string): string =>
  isHalf(dtype) ? `h.from${dtype.toUpperCase()}(${element})` : element;
const written = (dtype: DType, value: string): string =>
  isHalf(dtype) ? `h.to${dtype.toUpperCase()}(+${value})` : value;

export function runElementwise({ op, inputs, output, attrs }: KernelCall, record: ElementwiseRecord): void {
  if (isEmpty(output)) return;
  const layouts = inputs.map((x) => broadcastLayout(x, output.shape));
  const { sizes, strides } = collapse([output, ...layouts]);
  const rank = sizes.length;
  const dtype = inputs.at(-1)!.dtype;
  const key = `${op} ${inputs.map((x) => x.dtype).join()} ${output.dtype} ${rank} ${attrsText(attrs)}`;
  const loop = compileLoop(key, () => {
    const expression = record.define(
      inputs.map((_, k) => ir.input(k)),
      dtype,
      attrs,
    );
    // A copy is of the words: made into numbers, signalling NaNs would become quiet.
    const copies = expression.kind === 'input' && dtype === output.dtype;
    const elements = inputs.map((_, k) => `a${k}[p${k + 1}]`);
    const values = copies ? elements : elements.map((element, k) => read(inputs[k]!.dtype, element));
    const { statements, value } = printExpression(expression, dtype, values);
    const pointers = ['p0', ...inputs.map((_, k) => `p${k + 1}`)];
    return `(out, inputs, offsets, sizes, steps) => {
      ${inputs.map((_, k) => `const a${k} = inputs[${k}];`).join(' ')}
      ${pointers.map((p, k) => `let ${p} = offsets[${k}];`).join(' ')}
      ${printBounds('i', rank, pointers, 'sizes', 'steps')}
      ${printLoops('i', rank, pointers, `${statements} out[p0] = ${copies ? value : written(output.dtype, value)};`)}
    }`;
  });
  loop(
    output.buffer,
    inputs.map((x) => x.buffer),
    [output.offset, ...inputs.map((x) => x.offset)],
    sizes,
    strides,
  );
}
