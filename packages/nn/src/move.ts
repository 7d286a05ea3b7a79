/** Tensors on another backend, and modules of another dtype or on another backend. */
import {
  BackendError,
  fromData,
  getBackend,
  isFloat,
  type Backend,
  type FloatDType,
  type Tensor,
} from '@infinigrad/tensor';
import type { StateTensor } from './parameter.ts';
import { survey, type TreeNode } from './tree.ts';

export interface MoveOptions {
  /** Of all floating-point parameters and buffers; others keep theirs. Default: as they are. */
  readonly dtype?: FloatDType;
  /** The name of a backend. Default: where they are. */
  readonly backend?: string;
}

/** The same elements on another backend, at once; without history where they move. */
export function carriedOver(x: Tensor, backend: Backend): Tensor {
  if (x.backend === backend) return x;
  const { shape, dtype } = x;
  return fromData(x.dataSync(), shape, { dtype, backend });
}

async function carriedOverLater(x: Tensor, backend: Backend): Promise<Tensor> {
  if (x.backend === backend) return x;
  const { shape, dtype } = x;
  return fromData(await x.data(), shape, { dtype, backend });
}

/** What is to be converted, and gradients beside it. */
function held(module: TreeNode): { target: StateTensor; gradient: Tensor | null }[] {
  return [...survey(module).leaves.values()].map(({ tensor }) => ({
    target: tensor as StateTensor,
    gradient: tensor.requiresGrad ? tensor.grad : null,
  }));
}

interface Moved {
  readonly target: StateTensor;
  readonly value: Tensor;
  readonly gradient: Tensor | null;
}

function settle(moved: readonly Moved[], dtype: FloatDType | undefined): void {
  const cast = (x: Tensor): Tensor => (dtype && isFloat(x.dtype) ? x.cast(dtype) : x);
  const ready = moved.map(({ target, value, gradient }) => ({
    target,
    value: cast(value),
    gradient: gradient && cast(gradient),
  }));
  for (const { target, value, gradient } of ready) {
    if (value.dtype === target.dtype && value.backend === target.backend) continue;
    target.convert(value);
    if (gradient) target.grad = gradient;
  }
}

/** See `Module.to`. */
export function moveTo(module: TreeNode, { dtype, backend }: MoveOptions): void {
  const to = backend === undefined ? null : getBackend(backend);
  const all = held(module);
  for (const { target } of all)
    if (to && target.backend !== to && !target.backend.synchronous)
      throw new BackendError('to', `what lies on ${target.backend.name} cannot be read at once`, {
        operands: [target],
        hint: 'await toAsync(…)',
      });
  settle(
    all.map(({ target, gradient }) => ({
      target,
      value: carriedOver(target.detach(), to ?? target.backend),
      gradient: gradient && carriedOver(gradient, to ?? gradient.backend),
    })),
    dtype,
  );
}

/** See `Module.toAsync`. */
export async function moveToLater(module: TreeNode, { dtype, backend }: MoveOptions): Promise<void> {
  const to = backend === undefined ? null : getBackend(backend);
  const moved = await Promise.all(
    held(module).map(async ({ target, gradient }) => ({
      target,
      value: await carriedOverLater(target.detach(), to ?? target.backend),
      gradient: gradient && (await carriedOverLater(gradient, to ?? gradient.backend)),
    })),
  );
  settle(moved, dtype);
}
