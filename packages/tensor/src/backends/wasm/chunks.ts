/** Walks the outer axes of a collapsed loop nest. */

/** Calls `body` with the position of each operand (in elements) for each index of the outer axes. */
export function eachOuter(
  sizes: readonly number[],
  strides: readonly (readonly number[])[],
  offsets: number[],
  body: (at: readonly number[]) => void,
): void {
  const rank = sizes.length;
  if (rank === 0) return body(offsets);
  const index = new Array<number>(rank).fill(0);
  for (;;) {
    body(offsets);
    let axis = rank - 1;
    for (; axis >= 0; axis--) {
      for (let k = 0; k < offsets.length; k++) offsets[k]! += strides[k]![axis]!;
      if (++index[axis]! < sizes[axis]!) break;
      for (let k = 0; k < offsets.length; k++) offsets[k]! -= strides[k]![axis]! * sizes[axis]!;
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}
