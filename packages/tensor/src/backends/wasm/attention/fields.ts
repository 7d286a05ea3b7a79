/** Records of numbers in memory, by which a call tells a kernel what to do: written by JavaScript, read by wasm. */
import { i32, type FunctionBuilder, type I32, type Local } from '../assembler/index.ts';
import { padded, plus } from './shape.ts';

/** The fields of a record in order, four bytes each. */
export class Fields<const Name extends string> {
  readonly names: readonly Name[];
  readonly bytes: number;

  constructor(names: readonly Name[]) {
    this.names = names;
    this.bytes = 4 * names.length;
  }

  /** Bytes from the start of the record to a field. */
  place(name: Name): number {
    return 4 * this.names.indexOf(name);
  }

  write(words: Int32Array, at: number, values: Readonly<Record<Name, number>>): void {
    const { names } = this;
    for (let i = 0; i < names.length; i++) words[at + i] = values[names[i]!];
  }

  #each<T>(body: (place: number) => T): Readonly<Record<Name, T>> {
    return Object.fromEntries(this.names.map((name, i) => [name, body(4 * i)])) as Record<Name, T>;
  }

  /** The fields of the record so many bytes behind a pointer; each use loads one. */
  at(pointer: I32, offset = 0): Readonly<Record<Name, I32>> {
    return this.#each((place) => i32.load(pointer, place + offset));
  }

  /** The fields as places behind `base`, in locals. */
  placesAt(
    fn: FunctionBuilder,
    pointer: I32,
    offset: number,
    base: I32,
  ): Readonly<Record<Name, Local<'i32'>>> {
    return this.#each((place) => fn.let(plus(base, i32.load(pointer, place + offset))));
  }
}

const cacheLine = 64;

/** Areas of so many bytes one behind the other: where each starts, and bytes in all. */
export function layOut<Name extends string>(
  { names }: Fields<Name>,
  sizes: Readonly<Record<Name, number>>,
): { readonly places: readonly number[]; readonly bytes: number } {
  let bytes = 0;
  const places = names.map((name) => {
    const start = bytes;
    bytes += padded(sizes[name], cacheLine);
    return start;
  });
  return { places, bytes };
}
