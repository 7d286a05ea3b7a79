/** Functions made of table ops: their gradients, views and backends come from those. Here are the methods; free functions follow. */
import { basics } from './basics.ts';
import { convolutionMethods } from './convolution.ts';
import { einopsMethods } from './einops/index.ts';
import { fourierMethods } from './fourier.ts';
import { linalgMethods } from './linalg.ts';
import { rearrangingMethods } from './rearranging.ts';
import { selectingMethods } from './selecting.ts';
import { sortingMethods } from './sorting.ts';
import { specialMethods } from './special.ts';

export const compositions = {
  ...basics,
  ...selectingMethods,
  ...sortingMethods,
  ...rearrangingMethods,
  ...einopsMethods,
  ...convolutionMethods,
  ...fourierMethods,
  ...linalgMethods,
  ...specialMethods,
};

export type Compositions = typeof compositions;

export { stack } from './basics.ts';
export type { ScatterOptions } from './selecting.ts';
export type { SearchOptions } from '../ops/scatter.ts';
export type { Histogram, Unique } from '../selection/counting.ts';
export { range, type IndexItem, type IndexRange } from '../selection/items.ts';
export { Selection } from '../selection/selection.ts';
export * from './einsum/index.ts';
export { rearrange, reduce, repeat, type PatternReduction, type TensorOrTensors } from './einops/index.ts';
export { cartesianProd, meshgrid, type MeshgridOptions } from './rearranging.ts';
export { multiDot, type FactorOptions, type MatrixNormOrder } from './linalg.ts';
export type { Picked } from './sorting.ts';
export type { TopKOptions } from '../ops/sorting.ts';
export { complex, fftfreq, rfftfreq } from './fourier.ts';
export type { IstftOptions, SpectrogramOptions, StftOptions } from './spectrogram.ts';
export type { FourierNorm } from '../ops/fourier.ts';
