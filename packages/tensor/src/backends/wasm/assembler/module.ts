/** Puts functions together as a module over an imported memory. */
import { appendBytes, typeBytes, unsigned, type Callee, type ValueType } from './code.ts';
import { FunctionBuilder } from './function.ts';

/** A function of the host that the module calls. */
export interface HostFunction extends Callee {
  readonly name: string;
}

/** Where the imports are found: `env.memory` and `env.<function>`. */
export const importModule = 'env';

/** `\0asm`, version 1. */
const magic = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const vector = (items: readonly (readonly number[])[]): number[] => {
  const bytes = unsigned(items.length);
  for (const item of items) appendBytes(bytes, item);
  return bytes;
};
const section = (id: number, body: readonly number[]): number[] => {
  const bytes = [id, ...unsigned(body.length)];
  appendBytes(bytes, body);
  return bytes;
};
const text = (s: string): number[] => {
  const bytes = [...s].map((c) => c.charCodeAt(0));
  return [...unsigned(bytes.length), ...bytes];
};

export class ModuleBuilder {
  readonly #functions: FunctionBuilder[] = [];
  readonly #imports = new Map<string, HostFunction>();

  /** A new function, exported under its name. */
  function(name: string, params: readonly ValueType[], result: ValueType | null = null): FunctionBuilder {
    const made = new FunctionBuilder(name, params, result);
    this.#functions.push(made);
    return made;
  }

  /** A function of the host; asked for twice, it is imported once. */
  hostFunction<R extends ValueType>(
    name: string,
    params: readonly ValueType[],
    result: R,
  ): HostFunction & { readonly result: R } {
    let known = this.#imports.get(name);
    if (!known) this.#imports.set(name, (known = { name, params, result, index: -1 }));
    return known as HostFunction & { readonly result: R };
  }

  /** The names of the host functions that an instance needs. */
  get imports(): readonly string[] {
    return [...this.#imports.keys()];
  }

  /** The module, over a memory of up to 65,536 pages. */
  encode({
    maximum = 65536,
    shared = false,
  }: { readonly maximum?: number; readonly shared?: boolean } = {}): Uint8Array<ArrayBuffer> {
    const imports = [...this.#imports.values()];
    const callees: readonly Callee[] = [...imports, ...this.#functions];
    callees.forEach((callee, i) => (callee.index = i));
    const signatures = new Map<string, number>();
    const types: number[][] = [];
    const typeOf = ({ params, result }: Callee): number[] => {
      const key = `${params.join()}:${result}`;
      let at = signatures.get(key);
      if (at === undefined) {
        signatures.set(key, (at = types.length));
        types.push([
          0x60,
          ...vector(params.map((t) => [typeBytes[t]])),
          ...vector(result === null ? [] : [[typeBytes[result]]]),
        ]);
      }
      return unsigned(at);
    };
    const importEntries = imports.map((f) => [...text(importModule), ...text(f.name), 0, ...typeOf(f)]);
    importEntries.push([
      ...text(importModule),
      ...text('memory'),
      2,
      shared ? 3 : 1,
      ...unsigned(1),
      ...unsigned(maximum),
    ]);
    const functionTypes = this.#functions.map(typeOf);
    const sections = [
      magic,
      section(1, vector(types)),
      section(2, vector(importEntries)),
      section(3, vector(functionTypes)),
      section(7, vector(this.#functions.map((f) => [...text(f.name), 0, ...unsigned(f.index)]))),
      section(10, vector(this.#functions.map((f) => f.encode()))),
    ];
    const bytes = new Uint8Array(sections.reduce((total, { length }) => total + length, 0));
    let at = 0;
    for (const part of sections) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}
