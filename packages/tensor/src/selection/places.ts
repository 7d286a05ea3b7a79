/** Index tensors and masks as places: i32 numbers in 0 … size - 1. */
import type { TypedArray } from '../dtype.ts';
import { fromData } from '../creation.ts';
import { BackendError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { outside } from './items.ts';

/**
 * The elements, of which the shape of a result depends.
 * @throws BackendError where they are not in this process's memory
 */
export function readNow(op: string, x: Tensor): TypedArray {
  if (!x.backend.synchronous)
    throw new BackendError(
      op,
      `the shape of its result depends on elements, which the ${x.backend.name} backend cannot read at once`,
      { operands: [x], hint: 'await data(), and go on from what it says' },
    );
  return x.dataSync();
}

/** Where a mask (or any tensor) is not 0, counted in row-major order. */
export function truePlaces(op: string, mask: Tensor): Int32Array {
  const data = readNow(op, mask);
  let count = 0;
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) count++;
  const places = new Int32Array(count);
  for (let i = 0, next = 0; next < count; i++) if (data[i] !== 0) places[next++] = i;
  return places;
}

/** As `truePlaces`, as a vector on the mask's backend. */
export function maskPlaces(op: string, mask: Tensor): Tensor {
  const places = truePlaces(op, mask);
  return fromData(places, [places.length], { backend: mask.backend });
}

/**
 * An index tensor in i32 with its negative places counted from the end of an axis of x.
 * @throws IndexError where a place is outside the axis; where the index cannot be read at once, that is up to the kernels
 */
export function indexPlaces(op: string, x: Tensor, axis: number, index: Tensor): Tensor {
  const size = x.shape[axis]!;
  const places = index.dtype === 'i32' ? index : index.cast('i32');
  if (index.backend.synchronous && !index.storage.unreadable) {
    let negative = false;
    for (const place of index.dataSync()) {
      if (place < -size || place >= size) throw outside(op, x, axis, place);
      negative ||= place < 0;
    }
    if (!negative) return places;
  }
  return places.lt(0).where(places.add(size), places);
}
