/** Transformations of functions. */
export { jvp } from './jvp.ts';
export { unrolledOps, vmap, type BatchAxes, type VmapOptions } from './vmap.ts';
