/** Runs a kernel over items: what it has to know is written to memory first. */
import type { Engine } from '../engine.ts';
import type { Kernel } from '../kernels.ts';
import type { Fields } from './fields.ts';
import { padded } from './shape.ts';

export interface Launch<Call extends string> {
  /** kernel(items, count, call, scratch) */
  readonly kernel: Kernel;
  readonly call: Fields<Call>;
  readonly values: Readonly<Record<Call, number>>;
  /** The fields of the call that are f32. */
  readonly floats: readonly Call[];
  /** The areas of the scratch memory that each lane has: written behind the call. */
  readonly areas: { readonly places: readonly number[]; readonly bytes: number };
  /** Pieces of work that may be under way at once, each of so many records one behind the other. */
  readonly items: number;
  readonly records: number;
  readonly recordBytes: number;
  /** Writes the records of all items, from a place in the heap's words on. */
  readonly write: (words: Int32Array, at: number) => void;
  /** Nanoseconds for an item, roughly. */
  readonly cost: number;
}

const cacheLine = 64;

export function launch<Call extends string>(
  engine: Engine,
  { kernel, call, values, floats, areas, items, records, recordBytes, write, cost }: Launch<Call>,
): void {
  const itemBytes = records * recordBytes;
  const table = padded(call.bytes + 4 * areas.places.length, cacheLine);
  const scratch = table + padded(items * itemBytes, cacheLine);
  const lanes = Math.min(engine.lanes, items);
  engine.borrow(scratch + lanes * areas.bytes, (pointer) => {
    const { words, floats: numbers } = engine.heap;
    const at = pointer / 4;
    call.write(words, at, values);
    areas.places.forEach((place, i) => (words[at + call.bytes / 4 + i] = place));
    for (const name of floats) numbers[at + call.place(name) / 4] = values[name];
    write(words, (pointer + table) / 4);
    engine.overItems(kernel, items, cost, (start, count, lane) => [
      pointer + table + start * itemBytes,
      count * records,
      pointer,
      pointer + scratch + lane * areas.bytes,
    ]);
  });
}
