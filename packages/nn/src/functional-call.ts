/** Modules as functions of their parameters. */
import { surrounded } from '@infinigrad/autograd';
import { isFloat, sameShape, Tensor, ValueError } from '@infinigrad/tensor';
import type { Module } from './module.ts';
import { standIn, survey } from './tree.ts';

/**
 * Calls `f` while tensors stand in the place of the module's parameters and buffers, named as in `namedParameters` and
 * `namedBuffers`; those that are not named stay as they are. So gradients, Jacobians and whole batches of a model are those of a function of its parameters:
 *
 * ```ts
 * const loss = (p: Record<string, Tensor>, x: Tensor, y: Tensor) =>
 *   functionalCall(model, p, (m) => m.forward(x).sub(y).square().mean());
 * const parameters = model.stateDict(); // the same numbers, as constants
 * vmap(grad(loss), { inAxes: [null, 0, 0] })(parameters, xs, ys); // the gradient of every example
 * ```
 *
 * A parameter that stands in several places is replaced in all of them. The tensors may be of another floating dtype. A layer that
 * updates a buffer (BatchNorm) updates what stands in for it: `f` finds that in `namedBuffers()`.
 * Afterwards, also where `f` throws, the module is as it was; what a checkpoint inside calls again finds the tensors again.
 * @param f gets the module; synchronous
 * @returns what `f` returns
 * @throws ValueError, before anything is changed, for names that the module does not have and tensors that do not fit; for an
 * asynchronous `f`
 */
export function functionalCall<M extends Module, T>(
  module: M,
  parameters: Readonly<Record<string, Tensor>>,
  f: (module: M) => T,
): T {
  const { leaves } = survey(module);
  const problems = Object.entries(parameters).flatMap(([name, value]) => {
    const own = leaves.get(name)?.tensor;
    if (!own) return [`no parameter ${name}`];
    if (!(value instanceof Tensor)) return [`no tensor for ${name}`];
    const { shape, dtype } = value;
    return isFloat(dtype) === isFloat(own.dtype) && sameShape(shape, own.shape)
      ? []
      : [
          `${name} (${leaves.get(name)!.kind} [${own.shape.join(', ')}] ${own.dtype}, given [${shape.join(', ')}] ${dtype})`,
        ];
  });
  if (problems.length > 0)
    throw new ValueError('functionalCall', problems.join('; '), {
      hint: 'names and shapes are those of namedParameters()',
    });
  const replaced = Object.entries(parameters).flatMap(([name, value]) =>
    leaves.get(name)!.places.map((place) => ({ place, value })),
  );
  return surrounded(
    (body) => {
      const restore = replaced.map(({ place, value }) => standIn(place, value));
      try {
        const result = body();
        if (result instanceof Promise)
          throw new ValueError('functionalCall', 'the function is asynchronous', { hint: 'await outside' });
        return result;
      } finally {
        for (const back of restore.toReversed()) back();
      }
    },
    () => f(module),
  );
}
