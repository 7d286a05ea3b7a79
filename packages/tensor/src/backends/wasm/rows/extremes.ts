/** Positions of the largest and the smallest: each lane remembers its best and where that was. */
import { isEmpty } from '../../js/print.ts';
import { f32x4, i32x4, shuffle32, v128, type Local, type V128 } from '../assembler/index.ts';
import type { StructuredKernel } from '../structured.ts';
import { elements, perLine, runLines } from './launch.ts';
import { LineCode, wide, type Operand } from './lines.ts';

interface Found {
  readonly value: Local<'v128'>;
  readonly at: Local<'v128'>;
}

interface Order {
  /** Worse than everything, or as bad. */
  readonly worst: number;
  readonly better: (a: V128, b: V128) => V128;
}

const isNaN = (v: V128): V128 => f32x4.ne(v, v);

function build(line: LineCode, out: Operand, x: Operand, { worst, better }: Order): void {
  const { fn } = line;
  /** Puts another in the place of what was found where `wins` says so. */
  const replace = (found: Found, wins: V128, value: V128, at: V128): void => {
    const mask = line.let(wins);
    fn.set(found.value, v128.select(mask, value, found.value));
    fn.set(found.at, v128.select(mask, at, found.at));
  };
  /** NaN is better than any number. */
  const beats = (a: V128, b: V128): V128 => v128.or(better(a, b), v128.andNot(isNaN(a), isNaN(b)));
  /** Of equals, the one that comes first. */
  const merge = (found: Found, value: Local<'v128'>, at: Local<'v128'>): void => {
    const equal = v128.or(f32x4.eq(value, found.value), v128.and(isNaN(value), isNaN(found.value)));
    const first = v128.and(equal, i32x4.lt(at, found.at));
    replace(found, v128.or(beats(value, found.value), first), value, at);
  };

  const founds = wide(line.width, (): Found => ({
    value: line.let(line.f32(worst)),
    at: line.let(i32x4.const(0)),
  }));
  line.pass((place) => {
    const positions = place.positions();
    place.load(x, worst).forEach((v, k) => replace(founds[k]!, beats(v, founds[k]!.value), v, positions[k]!));
  });
  if (line.mode === 'along') {
    const [found, ...others] = founds as readonly [Found, ...Found[]];
    for (const other of others) merge(found, other.value, other.at);
    for (const lanes of [
      [2, 3, 0, 1],
      [1, 0, 3, 2],
    ] as const) {
      const [value, at] = [found.value, found.at].map((v) => line.let(shuffle32(v, v, lanes)));
      merge(found, value!, at!);
    }
  }
  line.storeLine(
    out,
    founds.map(({ at }) => at),
  );
}

function kernel(op: string, order: Order): StructuredKernel {
  return (engine, { inputs, output, attrs }) => {
    const x = inputs[0]!;
    if (x.dtype !== 'f32') return false;
    if (isEmpty(output)) return true;
    const axis = attrs['axis'] as number;
    runLines(engine, {
      axis,
      operands: [perLine(output, attrs['keepDims'] === true ? axis : undefined), elements(x)],
      kernel: (mode) =>
        engine.kernels.get(`${op} ${mode}`, (module, constants) => {
          const line = new LineCode(module, constants, { mode, operands: ['line', 'elements'] });
          const [out, from] = line.operands as readonly [Operand, Operand];
          line.eachLine(() => build(line, out, from, order));
        })['run']!,
      cost: 0.4,
    });
    return true;
  };
}

export const argMax = kernel('argMax', { worst: -Infinity, better: f32x4.gt });
export const argMin = kernel('argMin', { worst: Infinity, better: f32x4.lt });
