/** rmsNorm and layerNorm over the last axis. */
import { broadcastLayout } from '../../../shape.ts';
import { isEmpty } from '../../js/print.ts';
import { f64x2, i32, v128, type Local, type V128, type ValueType } from '../assembler/index.ts';
import type { FusedKernel } from '../structured.ts';
import { elements, runLines, withLastAxisDense } from './launch.ts';
import { add, LineCode, mul, sub, type Operand } from './lines.ts';
import { rounded, Sum, TwoSums } from './sums.ts';

/** Further parameters of a norm's kernel: eps, and one over the length of a line. */
export const normExtras: readonly ValueType[] = ['f64', 'f64'];

/** A number of the line at hand, in both lanes of f64 or all four of f32. */
type Scalar = Local<'v128'>;

const parameter = (line: LineCode, i: 0 | 1): Scalar =>
  line.fn.hoist(`parameter ${i}`, () => f64x2.splat(line.extra(i, 'f64')));

export const mean = (line: LineCode, total: V128): Scalar => line.let(f64x2.mul(total, parameter(line, 1)));

/** 1 / √(x + eps) */
export const inverseRoot = (line: LineCode, x: V128): Scalar =>
  line.let(f64x2.div(line.m.f64x2(1), f64x2.sqrt(f64x2.add(x, parameter(line, 0)))));

/** The mean of squares of a line. */
export function meanSquare(line: LineCode, x: Operand): Scalar {
  const squares = new Sum(line);
  line.pass((place) => {
    const v = place.load(x);
    squares.add(place.within(mul(v, v)));
  });
  return mean(line, squares.total()[0]!.low);
}

/** Mean (as two f32, for one alone loses bits of small deviations from a large mean) and variance of a line. */
export interface Moments {
  readonly mean: Scalar;
  readonly rest: Scalar;
  readonly variance: Scalar;
}

/**
 * Sums deviations from some value of the line and their squares. That is exact enough unless the value lies far out
 * beside the others; then once more, from the mean.
 */
export function moments(line: LineCode, x: Operand): Moments {
  const { fn, m } = line;
  const centre = line.let(v128.load32Splat(x.base));
  const turns = line.let(i32.const(2));
  const [middle, variance] = [fn.local('v128'), fn.local('v128')];
  fn.loop((again) => {
    const sums = new TwoSums(line);
    line.pass((place) => {
      const d = line.keep(place.within(sub(place.load(x), line.everywhere(centre))));
      sums.add(d, mul(d, d));
    });
    const [deviations, squares] = sums.totals();
    const off = mean(line, deviations);
    const offSquare = line.let(f64x2.mul(off, off));
    fn.set(variance, f64x2.pmax(f64x2.sub(mean(line, squares), offSquare), m.f64x2(0)));
    fn.set(middle, f64x2.add(f64x2.promote(centre), off));
    fn.set(centre, rounded(line, middle));
    fn.advance(turns, -1);
    const farOut = v128.anyTrue(f64x2.gt(offSquare, f64x2.mul(variance, m.f64x2(9))));
    fn.branchIf(again, i32.and(farOut, turns));
  });
  const rest = rounded(line, f64x2.sub(middle, f64x2.promote(centre)));
  return { mean: centre, rest, variance };
}

type Build = (line: LineCode, out: Operand, x: Operand, weight: Operand, bias?: Operand) => void;

const buildRms: Build = (line, out, x, weight) => {
  const scale = line.everywhere(rounded(line, inverseRoot(line, meanSquare(line, x))));
  line.pass((place) => place.store(out, mul(mul(place.load(x), scale), place.load(weight))));
};

const buildLayer: Build = (line, out, x, weight, bias) => {
  const found = moments(line, x);
  const [mean, rest] = [line.everywhere(found.mean), line.everywhere(found.rest)];
  const scale = line.everywhere(rounded(line, inverseRoot(line, found.variance)));
  line.pass((place) => {
    const y = mul(mul(sub(sub(place.load(x), mean), rest), scale), place.load(weight));
    place.store(out, bias ? add(y, place.load(bias)) : y);
  });
};

function kernel(op: string, build: Build): FusedKernel {
  return (engine, { inputs, output, attrs }) => {
    if (isEmpty(output)) return;
    const { shape } = output;
    withLastAxisDense(engine, inputs, (views) => {
      const operands = [elements(output)];
      for (const view of views) {
        const { strides, offset } = broadcastLayout(view, shape);
        operands.push(elements({ buffer: view.buffer, dtype: view.dtype, shape, strides, offset }));
      }
      runLines(engine, {
        axis: shape.length - 1,
        operands,
        kernel: (mode) =>
          engine.kernels.get(`${op} ${inputs.length}`, (module, constants) => {
            const operands = new Array<'elements'>(1 + inputs.length).fill('elements');
            const line = new LineCode(module, constants, { mode, operands, extras: normExtras });
            const [out, from, weight, bias] = line.operands as [Operand, Operand, Operand, Operand?];
            line.eachLine(() => build(line, out, from, weight, bias));
          })['run']!,
        cost: 0.4,
        extras: [attrs['eps'] as number, 1 / shape.at(-1)!],
      });
    });
  };
}

export const rmsNorm = kernel('rmsNorm', buildRms);
export const layerNorm = kernel('layerNorm', buildLayer);
