/** Gradients of softmax and logSoftmax, from their results. */
import { isEmpty } from '../../js/print.ts';
import { exp32 } from '../math/single.ts';
import type { FusedKernel } from '../structured.ts';
import { elements, runLines } from './launch.ts';
import { LineCode, mul, sub, type Operand } from './lines.ts';
import { narrow, Sum } from './sums.ts';

type Build = (line: LineCode, out: Operand, g: Operand, y: Operand) => void;

/** y (g - Σ g y) */
const buildSoftmax: Build = (line, out, g, y) => {
  const sum = new Sum(line);
  line.pass((place) => sum.add(place.within(mul(place.load(g), place.load(y)))));
  const total = narrow(line, sum.total());
  line.pass((place) => place.store(out, mul(place.load(y), sub(place.load(g), total))));
};

/** g - eʸ Σ g */
const buildLogSoftmax: Build = (line, out, g, y) => {
  const sum = new Sum(line);
  line.pass((place) => sum.add(place.within(place.load(g))));
  const total = narrow(line, sum.total());
  line.pass((place) => {
    const weights = line.keep(place.load(y).map((v) => exp32(line.m, v)));
    place.store(out, sub(place.load(g), mul(weights, total)));
  });
};

function kernel(op: string, build: Build, cost: number): FusedKernel {
  return (engine, { inputs, output, attrs }) => {
    if (isEmpty(output)) return;
    runLines(engine, {
      axis: attrs['axis'] as number,
      operands: [output, ...inputs].map(elements),
      kernel: (mode) =>
        engine.kernels.get(`${op} ${mode}`, (module, constants) => {
          const operands = ['elements', 'elements', 'elements'] as const;
          const line = new LineCode(module, constants, { mode, operands });
          const [out, g, y] = line.operands as readonly [Operand, Operand, Operand];
          line.eachLine(() => build(line, out, g, y));
        })['run']!,
      cost,
    });
  };
}

export const softmaxGrad = kernel('softmaxGrad', buildSoftmax, 0.4);
export const logSoftmaxGrad = kernel('logSoftmaxGrad', buildLogSoftmax, 1);
