/** Functions made of table ops: their gradients, views and backends come from those. Here are the methods; free functions follow. */
import { basics } from './basics.ts';
import { convolutionMethods } from './convolution.ts';
import { distanceMethods } from './distances.ts';
import { einopsMethods } from './einops/index.ts';
import { fourierMethods } from './fourier.ts';
import { gridSampleMethods } from './grid-sample.ts';
import { linalgMethods } from './linalg.ts';
import { pieceMethods } from './pieces.ts';
import { rearrangingMethods } from './rearranging.ts';
import { selectingMethods } from './selecting.ts';
import { signalMethods } from './signal.ts';
import { sortingMethods } from './sorting.ts';
import { specialMethods } from './special.ts';
import { statisticsMethods } from './statistics.ts';

export const compositions = {
  ...basics,
  ...selectingMethods,
  ...sortingMethods,
  ...rearrangingMethods,
  ...pieceMethods,
  ...einopsMethods,
  ...convolutionMethods,
  ...gridSampleMethods,
  ...fourierMethods,
  ...signalMethods,
  ...linalgMethods,
  ...specialMethods,
  ...statisticsMethods,
  ...distanceMethods,
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
export { blackmanWindow, hammingWindow, hannWindow, type WindowOptions } from './signal.ts';
export type { NormalizeOptions } from './distances.ts';
export type { AffineGridOptions, GridSampleOptions } from './grid-sample.ts';
export type { CovarianceOptions, IsCloseOptions } from './statistics.ts';
export type { DiffOptions } from './rearranging.ts';
export type { HistogramOptions } from '../selection/counting.ts';
export { complex, fftfreq, rfftfreq } from './fourier.ts';
export type { IstftOptions, SpectrogramOptions, StftOptions } from './spectrogram.ts';
export type { FourierNorm } from '../ops/fourier.ts';
