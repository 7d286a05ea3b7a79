/** Transformations of functions. */
export { jvp } from './jvp.ts';
export { unrolledOps, vmap, type BatchAxes, type VmapOptions } from './vmap.ts';
export {
  hessian,
  hvp,
  jacobian,
  type HessianOptions,
  type JacobianOf,
  type JacobianOptions,
} from './jacobian.ts';
export { linearize } from './linearize.ts';
