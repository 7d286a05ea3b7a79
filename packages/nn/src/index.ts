/** @infinigrad/nn: modules, layers, losses, optimizers. */
export * from './parameter.ts';
export * from './module.ts';
export * from './layers/linear.ts';
export * from './layers/embedding.ts';
export * from './layers/norm.ts';
export * from './layers/swiglu.ts';
export * from './layers/dropout.ts';
export * from './layers/rope.ts';
export * from './layers/attention.ts';
export * from './losses.ts';
export * from './optim/adamw.ts';
export * from './optim/clip.ts';
export * from './optim/schedule.ts';
