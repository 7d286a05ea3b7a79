/** Writing into a buffer that is there already: for those who alone know of it. */
import { BackendError, DTypeError, ShapeError, ValueError } from './errors.ts';
import { storagesOf } from './memory/scope.ts';
import { sameShape } from './shape.ts';
import type { Tensor } from './tensor.ts';

/**
 * Writes the elements of `source` over those of `target`, without a new buffer. Elements never change under a handle that
 * anybody else has: whoever calls this answers for it that no other tensor shows the places of `target` (the spare room of a
 * growing cache). No interceptor sees it, and no gradient goes through it.
 * @returns false, and nothing has been written, on a backend that cannot, and for what vmap or jvp go through
 * @throws ShapeError, DTypeError, BackendError where the two differ; ValueError where they share a buffer, or where places of
 * the target coincide
 */
export function writeInPlace(target: Tensor, source: Tensor): boolean {
  const operands = [target, source];
  for (const x of operands) x.storage.check('writeInPlace', operands);
  if (!sameShape(target.shape, source.shape))
    throw new ShapeError('writeInPlace', 'target and source must have one shape', { operands });
  if (target.dtype !== source.dtype)
    throw new DTypeError('writeInPlace', 'target and source must have one dtype', { operands });
  if (target.backend !== source.backend)
    throw new BackendError('writeInPlace', 'target and source live on different backends', { operands });
  const { backend, size } = target;
  if (size > 0 && target.storage === source.storage)
    throw new ValueError('writeInPlace', 'target and source share a buffer', { operands });
  if (size > 0 && target.layout.strides.some((step, i) => step === 0 && target.shape[i]! > 1))
    throw new ValueError('writeInPlace', 'elements of the target share a place', { operands });
  if (!backend.copyInto || operands.some((x) => storagesOf(x).length > 1)) return false;
  if (size > 0) backend.copyInto(source.view(), target.view());
  return true;
}
