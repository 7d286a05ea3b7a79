/** Runs a kernel over items: what it has to know is written to memory first. */
import type { Engine } from '../engine.ts';
import type { Kernel } from '../kernels.ts';
import type { Fields } from './fields.ts';
import { padded } from './shape.ts';

const cacheLine = 64;

/** Places for areas of so many bytes one behind the other. */
export function layOut<Name extends string>(
  sizes: Readonly<Record<Name, number>>,
): { readonly places: Readonly<Record<Name, number>>; readonly bytes: number } {
  const places: Partial<Record<Name, number>> = {};
  let bytes = 0;
  for (const name of Object.keys(sizes) as Name[]) {
    places[name] = bytes;
    bytes += padded(sizes[name], cacheLine);
  }
  return { places: places as Record<Name, number>, bytes };
}

export interface Launch<Call extends string> {
  /** kernel(items, count, call, scratch) */
  readonly kernel: Kernel;
  readonly call: Fields<Call>;
  readonly values: Readonly<Record<Call, number>>;
  /** The fields of the call that are f32. */
  readonly floats: readonly Call[];
  /** Pieces of work that may be under way at once, each of so many records one behind the other. */
  readonly items: number;
  readonly records: number;
  readonly recordBytes: number;
  /** Writes the records of all items. */
  readonly write: (words: Int32Array) => void;
  /** Bytes for each lane. */
  readonly scratch: number;
  /** Nanoseconds for an item, roughly. */
  readonly cost: number;
}

export function launch<Call extends string>(
  engine: Engine,
  { kernel, call, values, floats, items, records, recordBytes, write, scratch, cost }: Launch<Call>,
): void {
  const itemBytes = records * recordBytes;
  const table = padded(call.bytes, cacheLine);
  const lanes = table + padded(items * itemBytes, cacheLine);
  engine.borrow(lanes + scratch * engine.threads, (pointer) => {
    const memory = engine.heap.memory.buffer;
    const words = new Int32Array(memory, pointer, lanes / 4);
    call.names.forEach((name, i) => (words[i] = values[name]));
    const numbers = new Float32Array(memory, pointer, table / 4);
    for (const name of floats) numbers[call.place(name) / 4] = values[name];
    write(words.subarray(table / 4));
    engine.overItems(kernel, items, cost, (start, count, lane) => [
      pointer + table + start * itemBytes,
      count * records,
      pointer,
      pointer + lanes + lane * scratch,
    ]);
  });
}
