/** Running sums, in f64. */
import { isEmpty } from '../../js/print.ts';
import { f64x2, shuffle64, type Local, type V128 } from '../assembler/index.ts';
import { asF32 } from '../lanes/lanes.ts';
import type { StructuredKernel } from '../structured.ts';
import { elements, runLines } from './launch.ts';
import { LineCode, wide, type Operand, type Place } from './lines.ts';
import { widenHalves } from './sums.ts';

type Low = Local<'v128'>;

function buildDown(line: LineCode, out: Operand, x: Operand): void {
  const { fn } = line;
  const zero = line.m.f64x2(0);
  const sums = wide(line.width, () => ({ low: line.let(zero), high: line.let(zero) }));
  line.pass((place) =>
    place.store(
      out,
      place.load(x).map((v, k) => {
        const [low, high] = widenHalves(line, v);
        const sum = sums[k]!;
        fn.set(sum.low, f64x2.add(sum.low, low));
        fn.set(sum.high, f64x2.add(sum.high, high));
        return asF32({ kind: 'f64', ...sum });
      }),
    ),
  );
}

/** The sums within four elements first; those wait for no others. */
function buildAlong(line: LineCode, out: Operand, x: Operand): void {
  const zero = line.m.f64x2(0);
  const before = line.let(zero);
  /** [a, b] to [a, a + b] */
  const running = (v: V128): Low => {
    const kept = line.let(v);
    return line.let(f64x2.add(kept, shuffle64(zero, kept, [0, 2])));
  };
  const last = (v: V128): V128 => shuffle64(v, v, [1, 1]);
  const four = (v: V128): V128 => {
    const [first, second] = widenHalves(line, v);
    const low = running(first);
    const high = line.let(f64x2.add(running(second), last(low)));
    const sum = line.let(asF32({ kind: 'f64', low: f64x2.add(low, before), high: f64x2.add(high, before) }));
    line.fn.set(before, f64x2.add(before, last(high)));
    return sum;
  };
  line.pass((place: Place) => place.store(out, place.load(x).map(four)));
}

export const cumsum: StructuredKernel = (engine, { inputs, output, attrs }) => {
  if (output.dtype !== 'f32') return false;
  if (isEmpty(output)) return true;
  runLines(engine, {
    axis: attrs['axis'] as number,
    operands: [output, inputs[0]!].map(elements),
    kernel: (mode) =>
      engine.kernels.get(`cumsum ${mode}`, (module, constants) => {
        const line = new LineCode(module, constants, { mode, operands: ['elements', 'elements'] });
        const [out, x] = line.operands as readonly [Operand, Operand];
        line.eachLine(() => (mode === 'down' ? buildDown : buildAlong)(line, out, x));
      })['run']!,
    cost: 0.4,
  });
  return true;
};
