/** Running sums and products, in f64. */
import type { KernelCall } from '../../backend.ts';
import { isEmpty } from '../../js/print.ts';
import { f64x2, shuffle64, type Local, type V128 } from '../assembler/index.ts';
import { asF32 } from '../lanes/lanes.ts';
import type { Engine } from '../engine.ts';
import type { FusedKernel, StructuredKernel } from '../structured.ts';
import { elements, runLines } from './launch.ts';
import { LineCode, wide, type Operand, type Place } from './lines.ts';
import { widenHalves } from './sums.ts';

type Low = Local<'v128'>;

/** What runs along a line: an operation of two, and the number that changes nothing. */
interface Running {
  readonly neutral: number;
  readonly join: (before: V128, value: V128) => V128;
}

function buildDown(line: LineCode, out: Operand, x: Operand, { neutral, join }: Running): void {
  const { fn } = line;
  const start = line.m.f64x2(neutral);
  const all = wide(line.width, () => ({ low: line.let(start), high: line.let(start) }));
  line.pass((place) =>
    place.store(
      out,
      place.load(x).map((v, k) => {
        const [low, high] = widenHalves(line, v);
        const one = all[k]!;
        fn.set(one.low, join(one.low, low));
        fn.set(one.high, join(one.high, high));
        return asF32({ kind: 'f64', ...one });
      }),
    ),
  );
}

/** Within four elements first; those wait for no others. */
function buildAlong(line: LineCode, out: Operand, x: Operand, { neutral, join }: Running): void {
  const start = line.m.f64x2(neutral);
  const before = line.let(start);
  /** [a, b] to [a, a ∘ b] */
  const running = (v: V128): Low => {
    const kept = line.let(v);
    return line.let(join(kept, shuffle64(start, kept, [0, 2])));
  };
  const last = (v: V128): V128 => shuffle64(v, v, [1, 1]);
  const four = (v: V128): V128 => {
    const [first, second] = widenHalves(line, v);
    const low = running(first);
    const high = line.let(join(running(second), last(low)));
    const all = line.let(asF32({ kind: 'f64', low: join(low, before), high: join(high, before) }));
    line.fn.set(before, join(before, last(high)));
    return all;
  };
  line.pass((place: Place) => place.store(out, place.load(x).map(four)));
}

function run(name: string, running: Running, engine: Engine, { inputs, output, attrs }: KernelCall): void {
  if (isEmpty(output)) return;
  runLines(engine, {
    axis: attrs['axis'] as number,
    operands: [output, inputs[0]!].map(elements),
    kernel: (mode) =>
      engine.kernels.get(`${name} ${mode}`, (module, constants) => {
        const line = new LineCode(module, constants, { mode, operands: ['elements', 'elements'] });
        const [out, x] = line.operands as readonly [Operand, Operand];
        line.eachLine(() => (mode === 'down' ? buildDown : buildAlong)(line, out, x, running));
      })['run']!,
    cost: 0.4,
  });
}

export const cumsum: StructuredKernel = (engine, call) => {
  if (call.output.dtype !== 'f32') return false;
  run('cumsum', { neutral: 0, join: f64x2.add }, engine, call);
  return true;
};

export const cumprod: FusedKernel = (engine, call) =>
  run('cumprod', { neutral: 1, join: f64x2.mul }, engine, call);
