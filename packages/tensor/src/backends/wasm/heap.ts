/**
 * Buffers in the wasm heap, and those moved out of it. The heap holds the buffers that lie in it; one that has been
 * moved out is held by its tensors alone, so that the garbage collector, which knows nothing of wasm memory, finds it.
 */
import { BackendError } from '../../errors.ts';
import { Allocator, type Block } from './allocator.ts';
import { host, maxPages, pageBytes, type WasmMemory } from './host.ts';

/** Where a buffer lies. Outlives the buffer, and does not lead to it once it has been moved out. */
export interface Home {
  /** Null while the buffer is out of the heap. */
  block: Block | null;
  buffer: WasmBuffer | null;
  /** The run that touched it last. */
  touched: number;
  older: Home | null;
  newer: Home | null;
}

/** Memory of one or more tensors. */
export class WasmBuffer {
  readonly bytes: number;
  readonly home: Home;
  /** The contents while out of the heap. */
  array: Uint8Array | null = null;

  constructor(bytes: number) {
    this.bytes = bytes;
    this.home = { block: null, buffer: this, touched: 0, older: null, newer: null };
  }

  /** The address in the heap; only where `Heap.touch` has been called in this run. */
  get pointer(): number {
    return this.home.block!.pointer;
  }
}

export interface HeapOptions {
  /** Bytes of buffers in the heap above which the oldest are moved out. Default 64 MiB; it rises where buffers are soon asked for again. */
  readonly softLimit?: number;
  readonly shared?: boolean;
}

export interface HeapStats {
  /** Bytes of buffers in the heap. */
  readonly residentBytes: number;
  /** Bytes of wasm memory in use or free for use. */
  readonly reservedBytes: number;
  /** Bytes moved out to JavaScript memory since the start. */
  readonly movedOut: number;
  /** Bytes brought back since the start. */
  readonly broughtBack: number;
}

/** Kernels may read (not write) so far beyond the end of a buffer. */
const slack = 256;
const growthPages = 256;
/** The limit never rises above this part of what there can be. */
const highestLimit = 0.7 * maxPages * pageBytes;

/** As much address space as the host grants, up to 4 GiB; not shared where it grants none to share. */
function newMemory(shared: boolean): { memory: WasmMemory; shared: boolean; maximum: number } {
  let refusal: unknown;
  for (const share of shared ? [true, false] : [false])
    for (let maximum = maxPages; maximum >= 4 * growthPages; maximum /= 2)
      try {
        const memory = new host!.Memory({ initial: growthPages, maximum, ...(share && { shared: true }) });
        return { memory, shared: share, maximum };
      } catch (error) {
        refusal = error;
      }
  throw new BackendError('allocate', `the host grants no memory for wasm (${String(refusal)})`);
}

export class Heap {
  readonly memory: WasmMemory;
  /** The memory can be handed to other threads. */
  readonly shared: boolean;
  readonly #maxPages: number;
  /** Bytes of buffers in the heap above which the oldest are moved out. Rises where they are soon asked for again. */
  softLimit: number;
  /** Bytes of buffers that may be in the heap at most. */
  limit: number;
  /** See `Backend.onMove`. */
  onMove: ((claim: object, out: boolean) => void) | undefined;
  readonly #allocator: Allocator;
  #capacity: number;
  #run = 1;
  #oldest: Home | null = null;
  #newest: Home | null = null;
  // Null until asked for, and after the memory has grown: it alone grows it, and asking the memory for its buffer is slow.
  #bytes: Uint8Array | null = null;
  #words: Int32Array | null = null;
  #floats: Float32Array | null = null;
  #movedOut = 0;
  #broughtBack = 0;

  /** @param reserved bytes at the start of the memory that are not for buffers */
  constructor(reserved: number, { softLimit = 64 * 2 ** 20, shared = false }: HeapOptions = {}) {
    const made = newMemory(shared);
    this.memory = made.memory;
    this.shared = made.shared;
    this.#maxPages = made.maximum;
    this.limit = made.maximum * pageBytes;
    this.#capacity = growthPages * pageBytes;
    this.#allocator = new Allocator(reserved);
    this.softLimit = softLimit;
  }

  /** The whole memory. Goes stale when the memory grows: not to be kept. */
  get bytes(): Uint8Array {
    return (this.#bytes ??= new Uint8Array(this.memory.buffer));
  }

  /** The same in words of 32 bits, and as f32. */
  get words(): Int32Array {
    return (this.#words ??= new Int32Array(this.memory.buffer));
  }

  get floats(): Float32Array {
    return (this.#floats ??= new Float32Array(this.memory.buffer));
  }

  stats(): HeapStats {
    return {
      residentBytes: this.#allocator.used,
      reservedBytes: this.#capacity,
      movedOut: this.#movedOut,
      broughtBack: this.#broughtBack,
    };
  }

  /** A buffer with undefined contents, in the heap. */
  allocate(bytes: number): WasmBuffer {
    const buffer = new WasmBuffer(bytes);
    this.#settle(buffer);
    return buffer;
  }

  /** The address of memory that stays where it is for good. */
  reserve(bytes: number): number {
    return this.#extend(bytes).pointer;
  }

  /** Starts a run: what it touches stays in the heap until the next one starts. */
  beginRun(): void {
    this.#run++;
  }

  /** Marks a buffer as in use by this run, bringing it back into the heap where it was moved out. */
  touch(buffer: WasmBuffer): void {
    const { home } = buffer;
    if (!home.block) return this.#bringBack(buffer);
    home.touched = this.#run;
    if (home === this.#newest) return;
    this.#unlink(home);
    this.#link(home);
  }

  /** Gives back the place that a buffer may still have in the heap. */
  release(home: Home): void {
    if (!home.block) return;
    this.#allocator.release(home.block);
    this.#unlink(home);
    home.block = null;
    home.buffer = null;
  }

  #bringBack(buffer: WasmBuffer): void {
    const array = buffer.array!;
    // It was not so old after all: leave more room.
    this.softLimit = Math.max(this.softLimit, Math.min(this.softLimit + array.length, highestLimit));
    this.#settle(buffer);
    this.bytes.set(array, buffer.pointer);
    buffer.array = null;
    this.#broughtBack += array.length;
    this.onMove?.(buffer.home, false);
  }

  #settle(buffer: WasmBuffer): void {
    const { bytes, home } = buffer;
    const soft = Math.min(this.softLimit, this.limit);
    if (this.#allocator.used + bytes > soft) this.#moveOut(Math.max(0, soft * 0.875 - bytes));
    if (this.#allocator.used + bytes > this.limit) throw this.#full(bytes);
    home.block = this.#allocator.reuse(bytes) ?? this.#extend(bytes);
    home.buffer = buffer;
    home.touched = this.#run;
    this.#link(home);
  }

  #extend(bytes: number): Block {
    for (;;) {
      const needed = this.#allocator.endAfter(bytes) + slack;
      if (needed <= this.#capacity || this.#grow(needed)) return this.#allocator.extend(bytes);
      // No more memory to be had: make room, if there is anything left to move.
      const before = this.#allocator.used;
      this.#moveOut(Math.max(0, Math.min(before / 2, before - bytes)));
      const block = this.#allocator.reuse(bytes);
      if (block) return block;
      if (this.#allocator.used === before) throw this.#full(bytes);
    }
  }

  #full(bytes: number): BackendError {
    const mebibytes = (n: number): string => `${(n / 2 ** 20).toFixed(1)} MiB`;
    return new BackendError(
      'allocate',
      `${mebibytes(bytes)} do not fit into the wasm heap: ${mebibytes(this.#allocator.used)} are in use, the limit is ${mebibytes(this.limit)}`,
      { hint: 'smaller batches, scopes that end sooner, or setMemoryLimit() where it was set' },
    );
  }

  #grow(needed: number): boolean {
    const pages = Math.ceil(needed / pageBytes);
    if (pages > this.#maxPages) return false;
    const now = this.#capacity / pageBytes;
    const target = Math.min(this.#maxPages, Math.max(pages, now + growthPages));
    try {
      this.memory.grow(target - now);
    } catch {
      return false;
    }
    this.#capacity = target * pageBytes;
    this.#bytes = this.#words = this.#floats = null;
    return true;
  }

  /** Moves the oldest buffers out until no more than `target` bytes are in use, sparing those of this run. */
  #moveOut(target: number): void {
    while (this.#allocator.used > target) {
      const home = this.#oldest;
      if (!home || home.touched === this.#run) return;
      const buffer = home.buffer!;
      buffer.array = this.bytes.slice(buffer.pointer, buffer.pointer + buffer.bytes);
      this.#movedOut += buffer.bytes;
      this.release(home);
      this.onMove?.(home, true);
    }
  }

  #link(home: Home): void {
    home.older = this.#newest;
    home.newer = null;
    if (this.#newest) this.#newest.newer = home;
    else this.#oldest = home;
    this.#newest = home;
  }

  #unlink(home: Home): void {
    if (home.older) home.older.newer = home.newer;
    else this.#oldest = home.newer;
    if (home.newer) home.newer.older = home.older;
    else this.#newest = home.older;
    home.older = home.newer = null;
  }
}
