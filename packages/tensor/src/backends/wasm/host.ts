/** The part of the host's WebAssembly interface in use, typed here so that no DOM library is needed. */

export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

export interface WasmHost {
  validate(bytes: Uint8Array): boolean;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (
    module: object,
    imports: Record<string, Record<string, unknown>>,
  ) => { readonly exports: Record<string, unknown> };
  Memory: new (descriptor: { initial: number; maximum: number; shared?: boolean }) => WasmMemory;
}

/** The host's WebAssembly, or undefined where there is none. */
export const host = (globalThis as { WebAssembly?: WasmHost }).WebAssembly;

/** Bytes of a page of WebAssembly memory. */
export const pageBytes = 65536;
/** The most that a memory with 32-bit addresses can hold. */
export const maxPages = 65536;

/** True where this host runs a module. */
export function validates(bytes: Uint8Array): boolean {
  return host !== undefined && host.validate(bytes);
}
