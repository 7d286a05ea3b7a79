/** @infinigrad/autograd/testing: the laws of the derivative table; needs fast-check. */
export * from './laws.ts';
export * from './conventions.ts';
