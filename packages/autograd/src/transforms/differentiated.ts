/** What a tensor is differentiated along: the graph behind it, and the tangents beside it, at any depth of vmap. */
import type { Tensor } from '@infinigrad/tensor';
import { sourceOf } from '../graph.ts';
import { standingFor } from './levels.ts';

/** A call of jvp at work. */
export interface Moving {
  /** Sees nothing for a while. */
  readonly suspended: boolean;
  /** The tangent of a tensor. */
  get(x: Tensor): Tensor | undefined;
}

/** Calls of jvp at work, one inside the other, the innermost last. */
export const active: Moving[] = [];

/** Whether a tensor depends, at any depth of vmap, on a source older than `before`. */
export function hasGraph(x: Tensor, before = Infinity): boolean {
  const source = sourceOf(x);
  if (source && source.oldest < before) return true;
  const standing = standingFor(x);
  return standing !== null && hasGraph(standing.inner, before);
}

/**
 * Whether a tensor depends on a source older than `before`, or moves along a tangent that does, or that moves along one that does.
 * @param calls of jvp whose tangents count
 */
export function isDifferentiated(x: Tensor, calls: readonly Moving[] = active, before = Infinity): boolean {
  if (hasGraph(x, before)) return true;
  return calls.some((call) => {
    for (let at: Tensor | undefined = x; at; at = standingFor(at)?.inner) {
      const tangent = call.get(at);
      if (!tangent) continue;
      const others = calls.filter((other) => other !== call);
      if (isDifferentiated(tangent, others, before)) return true;
    }
    return false;
  });
}

/** Whether a call of jvp at work has a tangent for a tensor. */
export function hasTangent(x: Tensor): boolean {
  return active.some((call) => call.get(x) !== undefined);
}

/** Whether a tensor has a tangent in a call of jvp that sees what is done now. */
export function isMoving(x: Tensor): boolean {
  return active.some((call) => !call.suspended && call.get(x) !== undefined);
}

/** Whether a tensor has a tangent that can be differentiated. */
export function hasRecordedTangent(x: Tensor): boolean {
  return active.some((call) => {
    const tangent = call.get(x);
    return (
      tangent !== undefined &&
      isDifferentiated(
        tangent,
        active.filter((other) => other !== call),
      )
    );
  });
}
