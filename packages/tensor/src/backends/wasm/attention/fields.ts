/** Records of numbers in memory, by which a call tells a kernel what to do: written by JavaScript, read by wasm. */
import { i32, type I32 } from '../assembler/index.ts';

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

  /** The fields of the record at a pointer; each use loads one. */
  at(pointer: I32): Readonly<Record<Name, I32>> {
    const loads: Partial<Record<Name, I32>> = {};
    for (const name of this.names) loads[name] = i32.load(pointer, this.place(name));
    return loads as Record<Name, I32>;
  }
}
