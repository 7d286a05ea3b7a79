/** Compiles modules and keeps their functions by structural key. */
import { internalError } from '../../errors.ts';
import { importModule, ModuleBuilder } from './assembler/index.ts';
import { ConstantPool } from './constants.ts';
import type { Heap } from './heap.ts';
import { host } from './host.ts';
import { hostFunctions } from './host-functions.ts';

/** A compiled function; all numbers. */
export type Kernel = (...args: number[]) => number | undefined;
export type Kernels = Readonly<Record<string, Kernel>>;

/** What is at the start of the memory, before the buffers. */
export const scratchStart = 1024;
export const scratchBytes = 7168;
const constantsStart = scratchStart + scratchBytes;
/** Where buffers start. */
export const reservedBytes = 65536;

export class KernelCache {
  readonly heap: Heap;
  readonly constants: ConstantPool;
  readonly #modules = new Map<string, Kernels>();
  readonly #shared: boolean;

  constructor(heap: Heap, shared = false) {
    this.heap = heap;
    this.#shared = shared;
    this.constants = new ConstantPool(heap.memory, constantsStart, reservedBytes);
  }

  /** The functions of the module that `build` fills, compiled once for each key. */
  get(key: string, build: (module: ModuleBuilder, constants: ConstantPool) => void): Kernels {
    let found = this.#modules.get(key);
    if (!found) {
      const module = new ModuleBuilder();
      build(module, this.constants);
      this.#modules.set(key, (found = this.#instantiate(key, module)));
    }
    return found;
  }

  #instantiate(key: string, module: ModuleBuilder): Kernels {
    const imports: Record<string, unknown> = { memory: this.heap.memory };
    for (const name of module.imports) imports[name] = hostFunctions[name];
    try {
      const compiled = new host!.Module(module.encode({ shared: this.#shared }));
      return new host!.Instance(compiled, { [importModule]: imports }).exports as Kernels;
    } catch (error) {
      throw internalError(`the wasm kernel '${key}' does not compile: ${String(error)}`);
    }
  }
}
