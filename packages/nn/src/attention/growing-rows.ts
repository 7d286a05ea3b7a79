/** A tensor that grows along its last axis but one without being copied each time. */
import { noGrad } from '@infinigrad/autograd';
import {
  bytesPerElement,
  concat,
  DTypeError,
  sameShape,
  ShapeError,
  sizeOf,
  Tensor,
  writeInPlace,
  zeros,
} from '@infinigrad/tensor';
import { checkPlain, checkRows, handle, hold, pickedRows, release } from './cache.ts';

/**
 * Rows [..., T, d] in a buffer with room to spare. New rows are written into the spare room, which no tensor that was handed
 * out shows; where that cannot be (the buffer is full, belongs to a clone, or its rows were seen before a truncation; the
 * backend cannot write in place) the rows move to a new buffer.
 */
export class GrowingRows {
  readonly #op: string;
  /** [..., capacity, d]. */
  #buffer: Tensor | null = null;
  #first = 0;
  #end = 0;
  /** Rows from here on have been shown to nobody. */
  #unseen = 0;
  /** False where the spare room is another's. */
  #own = true;

  /** @param op what errors name */
  constructor(op: string) {
    this.#op = op;
  }

  get length(): number {
    return this.#end - this.#first;
  }

  /** Bytes of the buffer, spare room included. */
  get bytes(): number {
    return this.#buffer ? sizeOf(this.#buffer.shape) * bytesPerElement(this.#buffer.dtype) : 0;
  }

  /** The rows [..., T, d], in a handle for whoever wants it; null before the first. */
  get rows(): Tensor | null {
    return this.#buffer && noGrad(() => handle(this.#rows()));
  }

  #rows(): Tensor {
    return this.#buffer!.narrow(-2, this.#first, this.length);
  }

  /** @throws ShapeError, DTypeError for rows [batch, ..., T, d] that are not like those before, ValueError inside vmap and jvp, before anything is changed */
  check(x: Tensor): void {
    const buffer = this.#buffer;
    checkPlain(x);
    if (!buffer) return;
    const others = (shape: readonly number[]): number[] => shape.toSpliced(-2, 1);
    if (!sameShape(others(x.shape), others(buffer.shape)))
      throw new ShapeError(this.#op, 'rows differ from those read before in more than their number', {
        operands: [x, this.#rows()],
        hint: 'reset() forgets those',
      });
    if (x.dtype !== buffer.dtype)
      throw new DTypeError(this.#op, 'rows differ in dtype from those read before', {
        operands: [x, this.#rows()],
      });
  }

  /** Adds rows at the end. @param room rows that a new buffer has room for, at least what is needed */
  append(x: Tensor, room: number): void {
    noGrad(() => {
      const count = x.shape.at(-2)!;
      const buffer = this.#buffer;
      const there = buffer && this.#own && this.#unseen === this.#end;
      if (!there || this.#end + count > buffer.shape.at(-2)! || !this.#write(this.#end, x))
        this.#move(room, count, [x]);
      this.#end += count;
      this.#unseen = this.#end;
    });
  }

  /** Forgets rows at the start. */
  drop(count: number): void {
    this.#first += count;
  }

  /** Forgets all but the first rows. */
  truncate(length: number): void {
    this.#end = this.#first + length;
  }

  /** Gives up room beyond `room` rows. */
  shrink(room: number): void {
    if (this.#buffer && this.#buffer.shape.at(-2)! > room) noGrad(() => this.#move(room, 0, []));
  }

  /** Row i of the first axis becomes what row `rows[i]` was. */
  reorder(rows: readonly number[]): void {
    const buffer = this.#buffer;
    if (!buffer) return;
    checkRows(`${this.#op}.reorder`, rows, buffer.shape[0]!);
    noGrad(() => {
      const before = this.#rows();
      const shape = buffer.shape.with(0, rows.length);
      const length = this.length;
      if (buffer.backend.copyInto) {
        this.#take(roomOf(shape, buffer));
        rows.forEach((row, i) =>
          writeInPlace(this.#buffer!.narrow(0, i, 1).narrow(-2, 0, length), before.narrow(0, row, 1)),
        );
      } else this.#take(pickedRows(before, rows));
      this.#end = this.#unseen = length;
    });
  }

  clone(): GrowingRows {
    const copy = new GrowingRows(this.#op);
    copy.#buffer = this.#buffer && hold(handle(this.#buffer));
    copy.#first = this.#first;
    copy.#end = copy.#unseen = this.#end;
    copy.#own = false;
    return copy;
  }

  reset(): void {
    if (this.#buffer) release(this.#buffer);
    this.#buffer = null;
    this.#first = this.#end = this.#unseen = 0;
    this.#own = true;
  }

  #write(at: number, x: Tensor): boolean {
    return writeInPlace(this.#buffer!.narrow(-2, at, x.shape.at(-2)!), x);
  }

  /** Moves the rows, and `more` after them, to the start of a new buffer; `count` rows are added by the caller's account. */
  #move(room: number, count: number, more: readonly Tensor[]): void {
    const parts = [...(this.#buffer ? [this.#rows()] : []), ...more];
    const { length } = this;
    const like = parts[0]!;
    if (like.backend.copyInto) {
      this.#take(roomOf(sized(like.shape, Math.max(room, length + count)), like));
      let at = 0;
      for (const part of parts) {
        this.#write(at, part);
        at += part.shape.at(-2)!;
      }
    } else this.#take(concat(parts, -2));
    this.#end = this.#unseen = length;
  }

  /** Takes a buffer, which nobody else has, in the place of the one before. */
  #take(buffer: Tensor): void {
    const before = this.#buffer;
    this.#buffer = hold(buffer);
    if (before) release(before);
    this.#first = 0;
    this.#own = true;
  }
}

function roomOf(shape: readonly number[], { dtype, backend }: Tensor): Tensor {
  return zeros(shape, { dtype, backend }).clone();
}

/** [..., T, d] with another T. */
const sized = (shape: readonly number[], rows: number): readonly number[] => shape.toSpliced(-2, 1, rows);
