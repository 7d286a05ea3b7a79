/**
 * Places within a linear memory: free blocks in bins by size, split on allocation, joined with their neighbours on
 * release, so that the same memory serves sizes that change. Knows addresses only.
 */
import { internalError } from '../../errors.ts';

/** Addresses are multiples of this; a cache line. */
export const alignment = 64;

export interface Block {
  pointer: number;
  bytes: number;
  free: boolean;
  /** The neighbours in memory. */
  before: Block | null;
  after: Block | null;
  /** The neighbours in the bin, while free. */
  previous: Block | null;
  next: Block | null;
}

const binCount = 128;

/** Four bins to each doubling of the size. */
function binOf(bytes: number): number {
  const units = bytes / alignment;
  if (units < 8) return units;
  const doubling = 31 - Math.clz32(units);
  return 8 + (doubling - 3) * 4 + ((units >>> (doubling - 2)) & 3);
}

export class Allocator {
  readonly #bins = new Array<Block | null>(binCount).fill(null);
  #last: Block | null = null;
  #end: number;
  #used = 0;

  /** @param start the first address to give out */
  constructor(start: number) {
    this.#end = Math.ceil(start / alignment) * alignment;
  }

  /** One past the highest address given out so far. */
  get end(): number {
    return this.#end;
  }

  /** Bytes in blocks that are not free. */
  get used(): number {
    return this.#used;
  }

  /** A free place of at least so many bytes among those given back, or null. */
  reuse(size: number): Block | null {
    const bytes = roundUp(size);
    const own = binOf(bytes);
    for (let bin = own; bin < binCount; bin++)
      for (let block: Block | null = this.#bins[bin]!; block; block = block.next) {
        // Blocks of the own bin may be too small; any of a higher one will do.
        if (block.bytes < bytes) continue;
        this.#unlink(block);
        this.#split(block, bytes);
        this.#used += block.bytes;
        return block;
      }
    return null;
  }

  /** The end that `extend` would lead to. */
  endAfter(size: number): number {
    const spare = this.#last?.free ? this.#last.bytes : 0;
    return this.#end - spare + roundUp(size);
  }

  /** A place at the end of what has been given out so far. */
  extend(size: number): Block {
    const bytes = roundUp(size);
    let block = this.#last;
    if (block?.free) {
      this.#unlink(block);
      this.#end += bytes - block.bytes;
      block.bytes = bytes;
    } else {
      block = {
        pointer: this.#end,
        bytes,
        free: false,
        before: this.#last,
        after: null,
        previous: null,
        next: null,
      };
      if (this.#last) this.#last.after = block;
      this.#last = block;
      this.#end += bytes;
    }
    this.#used += bytes;
    return block;
  }

  release(block: Block): void {
    if (block.free) throw internalError('a block of the wasm heap is released twice');
    this.#used -= block.bytes;
    if (block.before?.free) {
      const { before } = block;
      this.#unlink(before);
      before.free = false;
      this.#merge(before, block);
      block = before;
    }
    if (block.after?.free) {
      this.#unlink(block.after);
      this.#merge(block, block.after);
    }
    this.#link(block);
  }

  #link(block: Block): void {
    const bin = binOf(block.bytes);
    const first = this.#bins[bin]!;
    block.free = true;
    block.previous = null;
    block.next = first;
    if (first) first.previous = block;
    this.#bins[bin] = block;
  }

  #unlink(block: Block): void {
    block.free = false;
    if (block.next) block.next.previous = block.previous;
    if (block.previous) block.previous.next = block.next;
    else this.#bins[binOf(block.bytes)] = block.next;
    block.previous = block.next = null;
  }

  #split(block: Block, bytes: number): void {
    const rest = block.bytes - bytes;
    if (rest < alignment) return;
    const tail: Block = {
      pointer: block.pointer + bytes,
      bytes: rest,
      free: false,
      before: block,
      after: block.after,
      previous: null,
      next: null,
    };
    if (block.after) block.after.before = tail;
    else this.#last = tail;
    block.after = tail;
    block.bytes = bytes;
    this.#link(tail);
  }

  /** Two neighbours as one, under the first's name. */
  #merge(first: Block, second: Block): void {
    first.bytes += second.bytes;
    first.after = second.after;
    if (second.after) second.after.before = first;
    else this.#last = first;
  }
}

function roundUp(size: number): number {
  return Math.max(alignment, Math.ceil(size / alignment) * alignment);
}
