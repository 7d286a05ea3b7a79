/** Gradients of rmsNorm and layerNorm over the last axis, each line in one go. */
import { broadcastLayout, contiguousLayout, sizeOf } from '../../../shape.ts';
import type { BufferView } from '../../backend.ts';
import { f64x2 } from '../assembler/index.ts';
import type { Engine } from '../engine.ts';
import type { FusedKernel } from '../structured.ts';
import { buildBlocks, withColumnSums } from './column-sums.ts';
import { elements, runLines, withLastAxisDense } from './launch.ts';
import { add, LineCode, mul, sub, type Operand } from './lines.ts';
import { inverseRoot, mean, meanSquare, moments, normExtras } from './norms.ts';
import { rounded, Sum, TwoSums } from './sums.ts';

type Build = (line: LineCode, operands: readonly Operand[]) => void;

/** With r = 1 / √(mean x² + eps) and h = g · weight: dx = r h - r³ x mean(h x), dweight = Σ g x r. */
const buildRms: Build = (line, [dx, g, x, weight, dWeight]) => {
  const r = inverseRoot(line, meanSquare(line, x!));
  const products = new Sum(line);
  line.pass((place) => {
    const h = mul(place.load(g!), place.load(weight!));
    products.add(place.within(mul(h, place.load(x!))));
  });
  const cube = f64x2.mul(f64x2.mul(r, r), r);
  const pull = line.everywhere(rounded(line, f64x2.mul(cube, mean(line, products.total()[0]!.low))));
  const scale = line.everywhere(rounded(line, r));
  line.pass((place) => {
    const [values, slopes] = [place.load(x!), place.load(g!)];
    const scaled = line.keep(mul(slopes, scale));
    place.store(dx!, sub(mul(scaled, place.load(weight!)), mul(values, pull)));
    place.store(dWeight!, add(place.load(dWeight!), mul(scaled, values)));
  });
};

/**
 * With n = (x - mean) r, r = 1 / √(variance + eps) and h = g · weight: dx = r (h - mean h - n mean(h n)),
 * dweight = Σ g n, dbias = Σ g.
 */
const buildLayer: Build = (line, [dx, g, x, weight, dWeight, dBias]) => {
  const found = moments(line, x!);
  const [centre, rest] = [line.everywhere(found.mean), line.everywhere(found.rest)];
  const r = inverseRoot(line, found.variance);
  const scale = line.everywhere(rounded(line, r));
  const sums = new TwoSums(line);
  line.pass((place) => {
    const h = line.keep(place.within(mul(place.load(g!), place.load(weight!))));
    sums.add(h, place.within(mul(h, sub(sub(place.load(x!), centre), rest))));
  });
  const [total, products] = sums.totals();
  const level = line.everywhere(rounded(line, mean(line, total)));
  const slope = line.everywhere(rounded(line, f64x2.mul(r, mean(line, products))));
  line.pass((place) => {
    const slopes = place.load(g!);
    const n = line.keep(mul(sub(sub(place.load(x!), centre), rest), scale));
    const off = sub(mul(slopes, place.load(weight!)), level);
    place.store(dx!, mul(sub(off, mul(n, slope)), scale));
    place.store(dWeight!, add(place.load(dWeight!), mul(slopes, n)));
    place.store(dBias!, add(place.load(dBias!), slopes));
  });
};

/** @param sums how many vectors are summed over the lines: of the weight, or of weight and bias */
function kernel(op: string, build: Build, sums: 1 | 2): FusedKernel {
  const own = ['dx', 'g', 'x', 'weight'].map(() => 'elements' as const);
  const compiled = (engine: Engine) =>
    engine.kernels.get(op, (module, constants) => {
      const operands = [...own, ...new Array<'elements'>(sums).fill('elements')];
      const line = new LineCode(module, constants, {
        name: 'block',
        mode: 'along',
        operands,
        extras: normExtras,
      });
      line.eachLine(() => build(line, line.operands));
      buildBlocks(module, line.fn, { own: own.length, vectors: sums, extras: normExtras });
    })['run']!;
  return (engine, { inputs, output, attrs }) => {
    const { shape } = inputs[1]!;
    const n = shape.at(-1)!;
    const dx: BufferView = { ...output, ...contiguousLayout(shape), offset: output.offset };
    const rest: BufferView = {
      ...output,
      shape: [sums, n],
      strides: [n, 1],
      offset: output.offset + sizeOf(shape),
    };
    withLastAxisDense(engine, inputs, ([g, x, weight]) =>
      withColumnSums(engine, rest, (sumsOf) => {
        if (sizeOf(shape) === 0) return;
        const stretched: BufferView = { ...weight!, ...broadcastLayout(weight!, shape) };
        runLines(engine, {
          axis: shape.length - 1,
          operands: [dx, g!, x!, stretched].map(elements),
          kernel: () => compiled(engine),
          cost: 1,
          extras: [attrs['eps'] as number, 1 / n],
          memory: sumsOf,
        });
      }),
    );
  };
}

export const rmsNormGrad = kernel('rmsNormGrad', buildRms, 1);
export const layerNormGrad = kernel('layerNormGrad', buildLayer, 2);
