/** Elementwise ops: the record's expression in every thread, over strided, broadcast inputs. */
import { isFloat, type DType } from '../../dtype.ts';
import * as ir from '../../ir.ts';
import type { ElementwiseRecord } from '../../ops/record.ts';
import { broadcastLayout, contiguousLayout, type Shape } from '../../shape.ts';
import type { BufferView, KernelCall } from '../backend.ts';
import { collapse } from '../js/print.ts';
import { printExpression, stored } from './expressions.ts';
import type { Launcher } from './launcher.ts';
import { homeOf, type Home } from './memory.ts';
import { affine, Source } from './source.ts';
import { threadsOver } from './threads.ts';

export function runElementwise(
  launcher: Launcher,
  { op, inputs, output, attrs }: KernelCall,
  record: ElementwiseRecord,
): void {
  // What is fused is of floats and truths: any float makes it all float.
  const own = inputs.at(-1)!.dtype;
  const dtype = [output, ...inputs].find((x) => isFloat(x.dtype) && isFloat(own))?.dtype ?? own;
  const expression = record.define(
    inputs.map((_, k) => ir.input(k)),
    own,
    attrs,
  );
  const job = new Job(launcher, op, output.shape, dtype);
  job.run(withExponents(expression, inputs), inputs, output);
}

/** The number that a view of one element holds, where the host knows it. */
function numberIn({ buffer, offset }: BufferView): number | null {
  const { host, length } = homeOf(buffer);
  return host && length === 1 ? host[offset]! : null;
}

/** Exponents that the host knows become part of the text: powers are then products. */
function withExponents(root: ir.Expr, inputs: readonly BufferView[]): ir.Expr {
  const known = new Map<ir.Expr, ir.Expr>();
  const visit = (e: ir.Expr): ir.Expr => {
    if (e.kind === 'input' || e.kind === 'const') return e;
    let made = known.get(e);
    if (made) return made;
    if (e.kind === 'cast') made = { ...e, arg: visit(e.arg) };
    else {
      const args = e.args.map(visit);
      const exponent = e.fn === 'pow' ? args[1]! : null;
      const value = exponent?.kind === 'input' ? numberIn(inputs[exponent.index]!) : null;
      if (value !== null && Number.isFinite(value)) args[1] = ir.constant(value);
      made = { ...e, args };
    }
    known.set(e, made);
    return made;
  };
  return visit(root);
}

/** One pass over a shape, or where there are more inputs than a kernel can read, several. */
class Job {
  readonly #launcher: Launcher;
  readonly #op: string;
  readonly #shape: Shape;
  readonly #dtype: DType;

  constructor(launcher: Launcher, op: string, shape: Shape, dtype: DType) {
    this.#launcher = launcher;
    this.#op = op;
    this.#shape = shape;
    this.#dtype = dtype;
  }

  run(root: ir.Expr, inputs: readonly BufferView[], output: BufferView): void {
    const most = this.#launcher.device.limits.inputs;
    const all = [...inputs];
    const made: Home[] = [];
    let expression = root;
    while (arraysOf(expression, all).size > most) {
      const part = partOf(expression, all, most);
      const home = this.#launcher.temporary(output.shape.reduce((a, b) => a * b, 1));
      this.#launch(part, all, home, 'f32');
      made.push(home);
      all.push({ buffer: { home }, dtype: 'f32', ...contiguousLayout(this.#shape) });
      expression = replaced(expression, part, ir.input(all.length - 1));
    }
    this.#launch(expression, all, homeOf(output.buffer), output.dtype);
    for (const home of made) this.#launcher.free(home);
  }

  #launch(expression: ir.Expr, inputs: readonly BufferView[], out: Home, result: DType): void {
    const source = new Source();
    const used = [...indicesOf(expression)];
    const arrays = used.filter((k) => numberIn(inputs[k]!) === null);
    const layouts = arrays.map((k) => broadcastLayout(inputs[k]!, this.#shape));
    const { sizes, strides } = collapse([contiguousLayout(this.#shape), ...layouts]);
    const names = arrays.map((k) => source.array(homeOf(inputs[k]!.buffer)));
    const { grid, indices } = threadsOver(source, sizes, this.#launcher.device.limits);
    const values = new Array<string>(inputs.length).fill('');
    for (const k of used) {
      const at = arrays.indexOf(k);
      const number = numberIn(inputs[k]!);
      values[k] =
        number !== null
          ? source.number(number)
          : source.value(
              `${names[at]}[${affine(indices, strides[at + 1]!, source.offset(layouts[at]!.offset))}]`,
            );
    }
    const value = printExpression(source, expression, this.#dtype, values);
    const isInput = expression.kind === 'input';
    this.#launcher.launch(
      this.#op,
      out,
      source.program(isInput ? value : stored(source, value, result), grid),
    );
  }
}

/** The inputs that an expression has. */
function indicesOf(root: ir.Expr): Set<number> {
  const out = new Set<number>();
  const seen = new Set<ir.Expr>();
  const visit = (e: ir.Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === 'input') out.add(e.index);
    else if (e.kind === 'cast') visit(e.arg);
    else if (e.kind === 'call') e.args.forEach(visit);
  };
  visit(root);
  return out;
}

/** The buffers that an expression reads. */
function arraysOf(root: ir.Expr, inputs: readonly BufferView[]): Set<Home> {
  const indices = [...indicesOf(root)].filter((k) => numberIn(inputs[k]!) === null);
  return new Set(indices.map((k) => homeOf(inputs[k]!.buffer)));
}

/** The part that reads most buffers, of those that read no more than `most`. */
function partOf(root: ir.Expr, inputs: readonly BufferView[], most: number): ir.Expr {
  let best = root;
  let bestCount = 1;
  const seen = new Set<ir.Expr>();
  const visit = (e: ir.Expr): void => {
    if (seen.has(e) || e.kind === 'input' || e.kind === 'const') return;
    seen.add(e);
    const count = arraysOf(e, inputs).size;
    if (count <= most && count > bestCount) [best, bestCount] = [e, count];
    if (e.kind === 'cast') visit(e.arg);
    else e.args.forEach(visit);
  };
  visit(root);
  return best;
}

function replaced(root: ir.Expr, part: ir.Expr, by: ir.Expr): ir.Expr {
  const known = new Map<ir.Expr, ir.Expr>([[part, by]]);
  const visit = (e: ir.Expr): ir.Expr => {
    const before = known.get(e);
    if (before) return before;
    const made =
      e.kind === 'cast'
        ? { ...e, arg: visit(e.arg) }
        : e.kind === 'call'
          ? { ...e, args: e.args.map(visit) }
          : e;
    known.set(e, made);
    return made;
  };
  return visit(root);
}
