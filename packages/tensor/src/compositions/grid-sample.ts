/** Images read at places between their elements, and the places that an affine map gives. */
import { fromData } from '../creation.ts';
import { ShapeError, ValueError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { asFloat } from './linalg/support.ts';

export interface AffineGridOptions {
  /** Whether -1 and 1 are the middles of the first and last elements (else their outer edges). Default false. */
  readonly alignCorners?: boolean;
}

export interface GridSampleOptions extends AffineGridOptions {
  /** Whether the four elements around a place are weighed, or the nearest is taken. Default `bilinear`. */
  readonly mode?: 'bilinear' | 'nearest';
  /** What lies outside: zeros, the nearest element of the border, or the image's mirror image. Default `zeros`. */
  readonly padding?: 'zeros' | 'border' | 'reflection';
}

function oneOf<T extends string>(op: string, what: string, value: T, known: readonly T[]): T {
  if (!known.includes(value))
    throw new ValueError(op, `${what} '${String(value)}' is not known`, { hint: known.join(', ') });
  return value;
}

/** Coordinates folded back into low … high, as between two mirrors. */
function mirrored(x: Tensor, low: number, high: number): Tensor {
  const span = high - low;
  if (span === 0) return x.mul(0);
  const distance = x.sub(low).abs();
  const turns = distance.div(span).floor();
  const rest = distance.sub(turns.mul(span));
  return turns.remainder(2).eq(0).where(rest.add(low), rest.neg().add(high));
}

export const gridSampleMethods = {
  /**
   * An image [N, C, H, W] read at the places of a grid [N, Ho, Wo, 2]: [N, C, Ho, Wo]. Places are (x, y) = (along W, along H),
   * from -1 to 1. PyTorch's grid_sample. Gradients flow to the image, and with `bilinear` to the grid.
   * @throws ShapeError where the shapes do not fit
   * @throws ValueError for an option that is not known
   */
  gridSample: (x: Tensor, grid: Tensor, options: GridSampleOptions = {}): Tensor => {
    const op = 'gridSample';
    const { alignCorners = false } = options;
    const mode = oneOf(op, 'mode', options.mode ?? 'bilinear', ['bilinear', 'nearest']);
    const padding = oneOf(op, 'padding', options.padding ?? 'zeros', ['zeros', 'border', 'reflection']);
    if (x.rank !== 4 || grid.rank !== 4 || grid.shape[3] !== 2 || grid.shape[0] !== x.shape[0])
      throw new ShapeError(op, 'needs an image [N, C, H, W] and a grid [N, Ho, Wo, 2]', {
        operands: [x, grid],
      });
    const [n, c, h, w] = x.shape as readonly [number, number, number, number];
    if (h * w === 0) throw new ShapeError(op, 'the image is empty', { operands: [x, grid] });
    const [, rows, columns] = grid.shape as readonly [number, number, number, number];
    const count = rows * columns;
    const image = asFloat(x).reshape([n, c, h * w]);
    const places = (which: number, size: number): Tensor => {
      const g = asFloat(grid).select(-1, which).reshape([n, count]);
      const at = alignCorners ? g.add(1).mul((size - 1) / 2) : g.add(1).mul(size).sub(1).div(2);
      if (padding === 'zeros') return at;
      if (padding === 'border') return at.clip(0, size - 1);
      const folded = alignCorners ? mirrored(at, 0, size - 1) : mirrored(at, -0.5, size - 0.5);
      return folded.clip(0, size - 1);
    };
    const within = (at: Tensor, size: number): Tensor => at.ge(0).logicalAnd(at.le(size - 1));
    /** The elements in whole places, 0 outside. */
    const read = (across: Tensor, down: Tensor): Tensor => {
      const place = down
        .clip(0, h - 1)
        .cast('i32')
        .mul(w)
        .add(across.clip(0, w - 1).cast('i32'));
      const values = image.gather(2, place.unsqueeze(1).expand([n, c, count]));
      const inside = within(across, w).logicalAnd(within(down, h)).unsqueeze(1);
      return inside.where(values, 0);
    };
    const [px, py] = [places(0, w), places(1, h)];
    if (mode === 'nearest') return read(px.round(), py.round()).reshape([n, c, rows, columns]);
    const [left, top] = [px.floor(), py.floor()];
    const [dx, dy] = [px.sub(left), py.sub(top)];
    const weighed = (across: Tensor, down: Tensor, weight: Tensor): Tensor =>
      read(across, down).mul(weight.unsqueeze(1));
    const [ex, ey] = [dx.neg().add(1), dy.neg().add(1)];
    return weighed(left, top, ex.mul(ey))
      .add(weighed(left.add(1), top, dx.mul(ey)))
      .add(weighed(left, top.add(1), ex.mul(dy)))
      .add(weighed(left.add(1), top.add(1), dx.mul(dy)))
      .reshape([n, c, rows, columns]);
  },

  /**
   * The places [N, H, W, 2] that affine maps [N, 2, 3] give to those of an image of H × W elements, for `gridSample`: PyTorch's
   * affine_grid.
   * @param size H and W
   * @throws ShapeError where the maps are not [N, 2, 3], ValueError where the sizes are no integers ≥ 1
   */
  affineGrid: (
    maps: Tensor,
    size: readonly [height: number, width: number],
    { alignCorners = false }: AffineGridOptions = {},
  ): Tensor => {
    if (maps.rank !== 3 || maps.shape[1] !== 2 || maps.shape[2] !== 3)
      throw new ShapeError('affineGrid', 'needs maps [N, 2, 3]', { operands: [maps] });
    if (!Array.isArray(size) || size.length !== 2 || !size.every((m) => Number.isInteger(m) && m >= 1))
      throw new ValueError('affineGrid', `needs a height and a width ≥ 1, got [${[size].flat().join(', ')}]`);
    const [height, width] = size;
    const at = (i: number, m: number): number =>
      alignCorners ? (m === 1 ? 0 : (2 * i) / (m - 1) - 1) : (2 * i + 1) / m - 1;
    const points = new Float64Array(height * width * 3);
    for (let i = 0; i < height; i++)
      for (let j = 0; j < width; j++) points.set([at(j, width), at(i, height), 1], (i * width + j) * 3);
    const base = fromData(points, [height * width, 3], { backend: maps.backend });
    const f = asFloat(maps);
    return base.cast(f.dtype).matmul(f.transpose()).reshape([maps.shape[0]!, height, width, 2]);
  },
};
