export {
  einopsMethods,
  rearrange,
  reduce,
  repeat,
  type PatternReduction,
  type TensorOrTensors,
} from './einops.ts';
