/** Transformations of functions. */
export { jvp } from './jvp.ts';
