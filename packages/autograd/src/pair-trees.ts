/** Two trees of tensors walked side by side. */
import { GradientError, isFloat, sameShape, Tensor } from '@infinigrad/tensor';
import { isHolder, mapParts } from './trees.ts';

/** What errors call the two. */
export interface PairNames {
  readonly op: string;
  /** `arguments and tangents`. */
  readonly both: string;
}

/**
 * A tree like `x`, of what `f` makes of each tensor and its counterpart in `y`.
 * @throws GradientError where they are not of one structure
 */
export function pairTrees<T>(
  x: T,
  y: unknown,
  { op, both }: PairNames,
  f: (x: Tensor, y: Tensor) => Tensor,
): T {
  const walk = (a: unknown, b: unknown, path: string): unknown => {
    const differ = (): GradientError => {
      const at = path && `, and differ at ${path.replace(/^\./, '')}`;
      return new GradientError(op, `${both} must have one structure${at}`);
    };
    if (a instanceof Tensor) {
      if (!(b instanceof Tensor)) throw differ();
      return f(a, b);
    }
    if (!isHolder(a) || !isHolder(b) || Array.isArray(a) !== Array.isArray(b)) throw differ();
    const [keys, others] = [Object.keys(a), b as Readonly<Record<string, unknown>>];
    if (keys.length !== Object.keys(others).length || !keys.every((key) => Object.hasOwn(others, key)))
      throw differ();
    return mapParts(a, path, (part, at, key) => walk(part, others[key], at));
  };
  return walk(x, y, '') as T;
}

/**
 * A direction for a tensor, in its dtype.
 * @throws GradientError for another shape or an integer dtype
 */
export function directionOf(op: string, x: Tensor, t: Tensor): Tensor {
  if (!isFloat(t.dtype))
    throw new GradientError(op, 'the tangent must be of floating point', { operands: [x, t] });
  if (!sameShape(x.shape, t.shape))
    throw new GradientError(op, 'argument and tangent must have one shape', { operands: [x, t] });
  return t.dtype === x.dtype ? t : t.cast(x.dtype);
}
