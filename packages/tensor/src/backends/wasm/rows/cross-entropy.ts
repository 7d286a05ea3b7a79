/** Cross-entropy from logits, and its gradient: a loss next to 0 keeps its bits. */
import { IndexError } from '../../../errors.ts';
import type { BufferView } from '../../backend.ts';
import { isEmpty } from '../../js/print.ts';
import { f32x4, f64x2, i32, v128, type I32, type Local } from '../assembler/index.ts';
import type { Engine } from '../engine.ts';
import { arrayOver } from '../fallback.ts';
import type { WasmBuffer } from '../heap.ts';
import type { FusedKernel } from '../structured.ts';
import { elements, perLine, runLines, withLastAxisDense, withRowMajors, type LineView } from './launch.ts';
import { LineCode, mul, wide, type Operand } from './lines.ts';
import { exponentials, largest, logOfSum } from './softmax.ts';
import { rounded, Sum } from './sums.ts';

/** The target of the line at hand, and where its element lies in a tensor. */
interface Target {
  readonly counts: I32;
  readonly place: (of: Operand) => Local<'i32'>;
}

function targetOf(line: LineCode, targets: Operand, dtype: string): Target {
  const load = dtype === 'u8' ? i32.load8 : i32.load;
  const index = line.let(load(targets.base));
  return {
    counts: i32.ne(index, line.extra(0, 'i32')),
    place: (of) => line.let(i32.add(of.base, i32.shl(index, i32.const(2)))),
  };
}

/** log Σ e^(x - top) + top - x[target] */
function buildLoss(line: LineCode, [out, x, targets]: readonly Operand[], dtype: string): void {
  const { fn } = line;
  const target = targetOf(line, targets!, dtype);
  const loss = line.let(line.f32(0));
  fn.if(target.counts, () => {
    const top = largest(line, x!);
    const sum = new Sum(line);
    line.pass((place) => sum.addEach(place.within(exponentials(line, place.load(x!), top))));
    const log = logOfSum(line, sum.total())[0]!.low;
    const own = v128.load32Zero(target.place(x!));
    const behind = f64x2.sub(f64x2.promote(top[0]!), f64x2.promote(own));
    fn.set(loss, f32x4.demote(f64x2.add(log, behind)));
  });
  line.storeLine(out!, [loss]);
}

/** g e^(x - top) / Σ e^(x - top), and for the target g (e^(x - top) - Σ) / Σ */
function buildGradient(line: LineCode, [out, g, x, targets]: readonly Operand[], dtype: string): void {
  const { fn, m } = line;
  const target = targetOf(line, targets!, dtype);
  fn.if(
    target.counts,
    () => {
      const top = largest(line, x!);
      const sum = new Sum(line);
      line.pass((place) => {
        const e = exponentials(line, place.load(x!), top);
        place.store(out!, e);
        sum.addEach(place.within(e));
      });
      const total = sum.total()[0]!.low;
      const share = line.let(f64x2.div(m.f64x2(1), total));
      const pull = line.loadLine(g!);
      const place = target.place(out!);
      const off = f64x2.mul(f64x2.sub(f64x2.promote(v128.load32Zero(place)), total), share);
      const own = line.let(f64x2.mul(off, f64x2.promote(pull[0]!)));
      const shares = line.everywhere(rounded(line, share));
      line.pass((at) => at.store(out!, mul(mul(at.load(out!), shares), pull)));
      fn.do(v128.store32Lane(place, f32x4.demote(own), 0));
    },
    () =>
      line.pass((at) =>
        at.store(
          out!,
          wide(at.width, () => m.f32x4(0)),
        ),
      ),
  );
}

/** @throws IndexError where a target is neither a class nor to be ignored */
function checkTargets(
  engine: Engine,
  op: string,
  inputs: readonly BufferView[],
  targets: BufferView,
  classes: number,
  ignored: number,
): void {
  withRowMajors(engine, [targets], ([view]) => {
    const { buffer, dtype, offset } = view!;
    const values = arrayOver(engine.heap, buffer as WasmBuffer, dtype);
    const end = offset + targets.shape.reduce((a, b) => a * b, 1);
    for (let i = offset; i < end; i++) {
      const index = values[i]!;
      if (!(index >= 0 && index < classes) && index !== ignored)
        throw new IndexError(op, `index ${index} is out of range for an axis of size ${classes}`, {
          operands: inputs,
        });
    }
  });
}

function kernel(op: string, isGradient: boolean): FusedKernel {
  const build = isGradient ? buildGradient : buildLoss;
  return (engine, { inputs, output, attrs }) => {
    const [logits, targets] = inputs.slice(-2) as [BufferView, BufferView];
    const classes = logits.shape.at(-1)!;
    const ignored = attrs['ignoreIndex'] as number;
    checkTargets(engine, op, inputs, targets, classes, ignored);
    if (isEmpty(output)) return;
    withLastAxisDense(engine, [logits], ([x]) => {
      const lines: LineView[] = isGradient
        ? [elements(output), perLine(inputs[0]!), elements(x!), perLine(targets)]
        : [perLine(output), elements(x!), perLine(targets)];
      runLines(engine, {
        axis: logits.shape.length - 1,
        operands: lines,
        kernel: (mode) =>
          engine.kernels.get(`${op} ${targets.dtype}`, (module, constants) => {
            const operands = lines.map(({ kind }) => kind);
            const line = new LineCode(module, constants, { mode, operands, extras: ['i32'] });
            line.eachLine(() => build(line, line.operands, targets.dtype));
          })['run']!,
        cost: 1.4,
        // All targets are classes now, or to be ignored: what does not fit an i32 matches none.
        extras: [ignored === (ignored | 0) ? ignored : -1],
      });
    });
  };
}

export const softmaxCrossEntropy = kernel('softmaxCrossEntropy', false);
export const softmaxCrossEntropyGrad = kernel('softmaxCrossEntropyGrad', true);
