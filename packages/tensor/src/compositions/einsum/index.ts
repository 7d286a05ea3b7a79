export { einsum, einsumPath, type EinsumPath, type EinsumStep } from './einsum.ts';
