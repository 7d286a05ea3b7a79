/** What the host lacks, and what is noted about it: arranged before the library is loaded. */

/** Takes away what some hosts have not: all of WebAssembly, its SIMD, or relaxed SIMD (a multiply-add that rounds once). */
export type Lack = 'wasm' | 'simd' | 'relaxed';

export interface Notes {
  /** Calls of Atomics.wait on this thread. */
  waits: number;
  /** Bytes of each module that was compiled on this thread. */
  readonly modules: number[];
}

export const notes: Notes = { waits: 0, modules: [] };

/** The opcodes of f32x4.relaxed_madd and f64x2.relaxed_madd, which LEB128 writes in two bytes. */
const relaxedMadds = ['253,133,2', '253,135,2'];

/** @returns what puts it back */
export function takeAway(lack: Lack | undefined): () => void {
  const there = globalThis.WebAssembly;
  if (lack === 'wasm') Reflect.deleteProperty(globalThis, 'WebAssembly');
  if (lack === 'simd' || lack === 'relaxed') {
    const { validate } = there;
    there.validate = (bytes) =>
      lack === 'relaxed' &&
      !relaxedMadds.some((code) =>
        Array.from(bytes as Uint8Array<ArrayBuffer>)
          .join()
          .includes(code),
      ) &&
      validate(bytes);
    return () => void (there.validate = validate);
  }
  return () => void (globalThis.WebAssembly = there);
}

/** Notes from now on what this thread does. */
export function takeNotes(): void {
  const { wait } = Atomics;
  Atomics.wait = ((...args: Parameters<typeof wait>) => {
    notes.waits++;
    return wait(...args);
  }) as typeof wait;
  if (typeof WebAssembly === 'undefined') return;
  WebAssembly.Module = new Proxy(WebAssembly.Module, {
    construct: (target, [bytes]: [Uint8Array<ArrayBuffer>]) => {
      notes.modules.push(bytes.byteLength);
      return new target(bytes);
    },
  });
}
