/**
 * Orders along lines, by merging: runs that are in order become runs of twice the length, all by launches of one kernel.
 * Each thread finds which element comes to its place (merge path: Green, McColl and Bader, ICS 2012).
 */
import { contiguousLayout, type Layout } from '../../../shape.ts';
import type { BufferView } from '../../backend.ts';
import type { Launcher } from '../launcher.ts';
import type { Home } from '../memory.ts';
import { less, overLines } from './lines.ts';
import { product } from './kernel.ts';

/** A row-major view of memory that is nobody's tensor. */
export const viewOf = (home: Home, shape: readonly number[]): BufferView => ({
  buffer: { home },
  dtype: 'i32',
  ...(contiguousLayout(shape) as Layout),
});

/** The positions of the elements of each line in order; equal elements keep theirs, a NaN counts as largest. */
export function order(
  launcher: Launcher,
  op: string,
  x: BufferView,
  axis: number,
  descending: boolean,
): Home {
  const n = x.shape[axis]!;
  let positions = launcher.temporary(product(x.shape));
  const { source, grid, here } = overLines(launcher, x.shape, axis, []);
  launcher.launch(op, positions, source.program(here, grid));
  for (let width = 1; width < n; width *= 2) {
    const merged = launcher.temporary(product(x.shape));
    merge(launcher, op, x, axis, descending, width, positions, merged);
    launcher.free(positions);
    positions = merged;
  }
  return positions;
}

/** One launch: neighbouring runs of a width become one. */
function merge(
  launcher: Launcher,
  op: string,
  x: BufferView,
  axis: number,
  descending: boolean,
  width: number,
  positions: Home,
  merged: Home,
): void {
  const n = x.shape[axis]!;
  const views = [x, viewOf(positions, x.shape)];
  const { source, grid, at, here } = overLines(launcher, x.shape, axis, views);
  const [element, position] = at as [(i: string) => string, (i: string) => string];
  // Not part of the text: one kernel serves all widths. Powers of two divide exactly.
  const w = source.number(width);
  const first = source.value(`Math.floor(${here} * ${source.number(0.5 / width)}) * 2 * ${w}`);
  const second = source.value(`(${first} + ${w} < ${n} ? ${first} + ${w} : ${n})`);
  const end = source.value(`(${second} + ${w} < ${n} ? ${second} + ${w} : ${n})`);
  const place = source.value(`${here} - ${first}`);
  const [lengthA, lengthB] = [source.value(`${second} - ${first}`), source.value(`${end} - ${second}`)];
  /** Whether the j-th of the second run comes before the i-th of the first, which goes first where they are equal. */
  const overtakes = (i: string, j: string): string => {
    const a = source.value(element(source.value(position(source.value(`${first} + ${i}`)))));
    const b = source.value(element(source.value(position(source.value(`${second} + ${j}`)))));
    return descending ? less(a, b) : less(b, a);
  };
  // How many of the first run come before this place.
  const low = source.variable(`(${place} > ${lengthB} ? ${place} - ${lengthB} : 0)`);
  const high = source.variable(`(${place} < ${lengthA} ? ${place} : ${lengthA})`);
  source.loop(Math.ceil(Math.log2(n)) + 1, () =>
    source.when(`${low} < ${high}`, () => {
      const middle = source.value(`Math.floor((${low} + ${high}) * 0.5)`);
      const condition = overtakes(middle, source.value(`${place} - 1 - ${middle}`));
      source.line(`if (${condition}) { ${high} = ${middle}; } else { ${low} = ${middle} + 1; }`);
    }),
  );
  const rest = source.value(`${place} - ${low}`);
  const taken = source.variable(`${second} + ${rest}`);
  source.when(`${low} < ${lengthA}`, () => {
    source.line(`${taken} = ${first} + ${low};`);
    source.when(`${rest} < ${lengthB}`, () =>
      source.line(`if (${overtakes(low, rest)}) { ${taken} = ${second} + ${rest}; }`),
    );
  });
  launcher.launch(op, merged, source.program(source.value(position(taken)), grid));
}
