/** Softmax and what is computed from the same sums: the largest is taken away first, so that nothing overflows. */
import type { KernelCall } from '../../backend.ts';
import { isEmpty } from '../../js/print.ts';
import { f32x4, f64x2, v128, type ModuleBuilder } from '../assembler/index.ts';
import type { ConstantPool } from '../constants.ts';
import type { Engine } from '../engine.ts';
import { expScale, scaledExp32 } from '../math/single.ts';
import { log64 } from '../math/wide.ts';
import type { StructuredKernel } from '../structured.ts';
import { elements, perLine, runLines } from './launch.ts';
import { LineCode, mul, sub, type Mode, type Operand, type Wide, type WideLocals } from './lines.ts';
import { each, eachTwo, narrow, Sum, widen, type Pairs } from './sums.ts';

type Build = (line: LineCode, out: Operand, x: Operand) => void;

/** The largest of each line, NaN passed over: it shows in the sum of the exponentials. */
export function largest(line: LineCode, x: Operand): WideLocals {
  const top = line.accumulator(line.f32(-Infinity));
  line.pass((place) => line.combine(top, place.load(x, -Infinity), f32x4.pmax));
  return line.meet(top, f32x4.pmax);
}

/** e^(x - top), scaled. */
export function exponentials(line: LineCode, x: Wide, top: Wide): WideLocals {
  return line.keep(sub(x, top).map((v) => scaledExp32(line.m, line.let(v))));
}

/** log Σ e^(x - top), where `top` is finite, from the sum of scaled exponentials. */
export function logOfSum(line: LineCode, total: Pairs): Pairs {
  return each(line, total, (s) => log64(line.m, line.let(f64x2.mul(s, line.m.f64x2(1 / expScale)))));
}

const buildSoftmax: Build = (line, out, x) => {
  const top = largest(line, x);
  const sum = new Sum(line);
  line.pass((place) => {
    const e = exponentials(line, place.load(x), top);
    place.store(out, e);
    sum.add(place.within(e));
  });
  const share = narrow(
    line,
    each(line, sum.total(), (s) => f64x2.div(line.m.f64x2(1), s)),
  );
  line.pass((place) => place.store(out, mul(place.load(out), share)));
};

const buildLogSoftmax: Build = (line, out, x) => {
  const top = largest(line, x);
  const sum = new Sum(line);
  line.pass((place) => sum.addEach(place.within(exponentials(line, place.load(x), top))));
  const log = narrow(line, logOfSum(line, sum.total()));
  line.pass((place) => place.store(out, sub(sub(place.load(x), top), log)));
};

const buildLogSumExp: Build = (line, out, x) => {
  // Here NaN wins: beside an infinity it would be lost.
  const all = line.accumulator(line.f32(-Infinity));
  line.pass((place) => line.combine(all, place.load(x, -Infinity), f32x4.max));
  const top = line.meet(all, f32x4.max);
  const sum = new Sum(line);
  line.pass((place) => sum.addEach(place.within(exponentials(line, place.load(x), top))));
  const logs = logOfSum(line, sum.total());
  const result = narrow(line, eachTwo(line, logs, widen(line, top), f64x2.add));
  const infinite = top.map((t) => f32x4.eq(f32x4.abs(t), line.f32(Infinity)));
  line.storeLine(
    out,
    result.map((v, k) => v128.select(infinite[k]!, top[k]!, v)),
  );
};

function kernel(op: string, build: Build, keepsAxis: boolean): StructuredKernel {
  const make = (mode: Mode) => (module: ModuleBuilder, constants: ConstantPool) => {
    const line = new LineCode(module, constants, {
      mode,
      operands: [keepsAxis ? 'elements' : 'line', 'elements'],
    });
    const [out, x] = line.operands as readonly [Operand, Operand];
    line.eachLine(() => build(line, out, x));
  };
  return (engine: Engine, { inputs, output, attrs }: KernelCall) => {
    if (output.dtype !== 'f32') return false;
    if (isEmpty(output)) return true;
    const axis = attrs['axis'] as number;
    const out = keepsAxis ? elements(output) : perLine(output, attrs['keepDims'] === true ? axis : undefined);
    runLines(engine, {
      axis,
      operands: [out, elements(inputs[0]!)],
      kernel: (mode) => engine.kernels.get(`${op} ${mode}`, make(mode))['run']!,
      cost: 1,
    });
    return true;
  };
}

export const softmax = kernel('softmax', buildSoftmax, true);
export const logSoftmax = kernel('logSoftmax', buildLogSoftmax, true);
export const logSumExp = kernel('logSumExp', buildLogSumExp, false);
