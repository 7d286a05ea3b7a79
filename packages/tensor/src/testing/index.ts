/** @infinigrad/tensor/testing: the laws of the op table and what they are made of; needs fast-check. */
export * from './draw.ts';
export * from './fill.ts';
export * from './layouts.ts';
export * from './calls.ts';
export * from './close.ts';
export * from './laws.ts';
