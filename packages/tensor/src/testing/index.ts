/** @infinigrad/tensor/testing: the laws of tensor functions and what they are made of; needs fast-check. */
export * from './draw.ts';
export * from './fill.ts';
export * from './matrices.ts';
export * from './layouts.ts';
export * from './calls.ts';
export * from './close.ts';
export * from './subject.ts';
export * from './laws.ts';
export * from './laws-async.ts';
export * from './halves.ts';
export * from './structure.ts';
export * from './arbitraries.ts';
export * from './matchers.ts';
