/** Functions evaluated at variables of their own: what grad, vjp and the transformations share. */
import { GradientError, isFloat, Tensor } from '@infinigrad/tensor';
import { refuseSealed } from './graph.ts';
import { mapTreeOf, type Tree } from './map-tree.ts';
import { enableGrad } from './modes.ts';
import { isDifferentiated } from './transforms/differentiated.ts';
import { carry, currentLevel, depthOf, stand } from './transforms/levels.ts';

/** A variable with the elements of x: linked to x where that needs a gradient, with the tangents that x has. */
export function variableOf(x: Tensor): Tensor {
  const level = currentLevel();
  const own = depthOf(x) === (level?.depth ?? 0);
  if (own && x.requiresGrad) return enableGrad(() => x.reshape(x.shape));
  // A shallower tensor keeps the graph that it has where it is.
  const fresh = own ? new Tensor(x.storage, x.layout, x.dtype) : stand(x, level!, false);
  return carry(x, fresh).requireGrad();
}

/** Fresh variables in place of the tensors of the arguments; where those need gradients, linked to them. */
function freshVariables<A extends readonly Tree[]>(
  op: string,
  args: A,
): { args: A; variables: Tensor[]; linked: boolean } {
  const variables: Tensor[] = [];
  let linked = false;
  const fresh = mapTreeOf(op, args as readonly Tree[], (x) => {
    if (!isFloat(x.dtype)) return x;
    refuseSealed(op, [x]);
    linked ||= isDifferentiated(x);
    const variable = variableOf(x);
    variables.push(variable);
    return variable;
  }) as unknown as A;
  if (variables.length === 0) throw new GradientError(op, 'no argument is a floating-point tensor');
  return { args: fresh, variables, linked };
}

let depth = 0;

/**
 * Evaluates a function at fresh variables.
 * @returns the value, the arguments with the variables in them, and whether the gradients may have to be differentiable
 */
export function evaluate<A extends readonly Tree[], Y>(
  op: string,
  f: (...args: A) => Y,
  args: A,
): { value: Y; fresh: A; variables: Tensor[]; nested: boolean } {
  const { args: fresh, variables, linked } = freshVariables(op, args);
  depth++;
  try {
    const value = enableGrad(() => f(...fresh));
    return { value, fresh, variables, nested: linked || depth > 1 };
  } finally {
    depth--;
  }
}

/** @throws GradientError where a function has not returned one floating-point tensor */
export function checkValue(op: string, value: unknown): Tensor {
  if (!(value instanceof Tensor))
    throw new GradientError(op, 'the function must return one tensor', {
      ...(Array.isArray(value) && { hint: 'with hasAux: true it returns [value, aux]' }),
    });
  if (!isFloat(value.dtype))
    throw new GradientError(op, 'the function must return a floating-point tensor', { operands: [value] });
  return value;
}
