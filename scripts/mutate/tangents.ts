/** Forward mode sees in a rule what gradients do not: whether it says rightly that its op is linear. */
import { jvp, vjp } from '@infinigrad/autograd';
import { apply, isFloat, Key, zerosLike, type OpName, type Tensor } from '@infinigrad/tensor';
import { holdsForCalls, inputsOf } from '@infinigrad/tensor/testing';

const inner = (x: Tensor, y: Tensor): number => x.mul(y).sum().itemSync() as number;

/**
 * ⟨u, J v⟩ = ⟨Jᵀ u, v⟩, for directions in which some inputs stand still.
 * @throws where it is not so
 */
export function tangentsHold(op: OpName): void {
  let seed = 0;
  holdsForCalls(op, { dtype: 'f64', runs: 30, seed: 1 }, (call) => {
    const key = new Key(seed++);
    const inputs = inputsOf(call);
    const floats = inputs.flatMap((x, i) => (isFloat(x.dtype) ? [i] : []));
    const still = floats.length > 1 ? floats[seed % (floats.length + 1)] : undefined;
    const tangents = inputs.map((x, i) =>
      isFloat(x.dtype) && i !== still ? key.foldIn(i).normal(x.shape, { dtype: 'f64' }) : zerosLike(x),
    );
    const f = (...xs: Tensor[]): Tensor => apply(op, xs, call.attrs);
    const { value, tangent } = jvp(f, inputs, tangents);
    const u = key.foldIn(100).normal(value.shape, { dtype: 'f64' });
    const back = vjp(f, ...inputs).pullback(u);
    const [forward, backward] = [
      inner(u, tangent),
      floats.reduce((total, i) => total + inner(back[i]!, tangents[i]!), 0),
    ];
    const size = Math.sqrt(inner(u, u) * inner(tangent, tangent));
    if (!(Math.abs(forward - backward) <= 1e-10 * Math.max(1, size)))
      throw new RangeError(`forward ${forward}, backward ${backward}`);
  });
}
