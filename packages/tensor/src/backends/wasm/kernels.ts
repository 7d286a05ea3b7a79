/** Compiles modules and keeps their functions by structural key. */
import { BackendError, internalError } from '../../errors.ts';
import { importModule, ModuleBuilder } from './assembler/index.ts';
import { ConstantPool } from './constants.ts';
import type { Heap } from './heap.ts';
import { host } from './host.ts';
import { hostFunctions } from './host-functions.ts';

/** A compiled function; all numbers. */
export type Kernel = (...args: number[]) => number | undefined;
export type Kernels = Readonly<Record<string, Kernel>>;

/** Where a kernel comes from, for threads that make their own instance of its module. */
export interface KernelPlace {
  /** The module's number. */
  readonly module: number;
  /** The kernel's number among the module's exports. */
  readonly index: number;
  readonly bytes: Uint8Array;
}

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
  readonly #places = new Map<Kernel, KernelPlace>();

  constructor(heap: Heap) {
    this.heap = heap;
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

  /** Null for kernels that call back into JavaScript: those stay on the thread that made them. */
  placeOf(kernel: Kernel): KernelPlace | null {
    return this.#places.get(kernel) ?? null;
  }

  #instantiate(key: string, module: ModuleBuilder): Kernels {
    const imports: Record<string, unknown> = { memory: this.heap.memory };
    for (const name of module.imports) imports[name] = hostFunctions[name];
    try {
      const bytes = module.encode({ shared: this.heap.shared });
      const instance = new host!.Instance(new host!.Module(bytes), { [importModule]: imports });
      const kernels = instance.exports as Kernels;
      if (module.imports.length === 0) {
        const number = this.#modules.size;
        Object.values(kernels).forEach((kernel, index) =>
          this.#places.set(kernel, { module: number, index, bytes }),
        );
      }
      return kernels;
    } catch (error) {
      if (/content security policy|unsafe-eval/i.test(String(error)))
        throw new BackendError('wasm', "the page's Content-Security-Policy forbids compiling WebAssembly", {
          hint: "allow script-src 'wasm-unsafe-eval'",
        });
      throw internalError(`the wasm kernel '${key}' does not compile: ${String(error)}`);
    }
  }
}
