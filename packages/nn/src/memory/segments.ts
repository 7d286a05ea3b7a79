/** Reading from and writing to a compressive memory, segment by segment, and mixing what is read with local attention. */
import { full, isHalf, zeros, type FloatDType, type Tensor } from '@infinigrad/tensor';
import { featureDim, featureMap, type FeatureMap } from '../linear-attention/feature-maps.ts';
import { writeOpenness, type MemoryParameters } from './parameters.ts';
import { retrieveMemory, walkMemory, type MemoryRules, type MemoryState } from './rules.ts';

export interface MemorySettings extends MemoryRules {
  readonly featureMap: FeatureMap;
  readonly writeGate: 'none' | 'sigmoid' | 'hard';
  /** m of the hard write gate. */
  readonly writeGateMargin: number;
  /** With an empty memory: `gated` mixes in a read of zeros, `local` lets local attention through unchanged. */
  readonly firstSegment: 'gated' | 'local';
  /** What M and z are kept and computed in; null: the values' own, f32 for 16 bits. */
  readonly memoryDtype: FloatDType | null;
}

/** One or more whole segments. */
export interface SegmentedInput {
  /** [batch, heads, segments, n, d_key]. */
  readonly queries: Tensor;
  readonly keys: Tensor;
  /** [batch, heads, segments, n, d_value]. */
  readonly values: Tensor;
  /** What local attention gives, of the values' shape; null where there is none to mix with. */
  readonly local: Tensor | null;
  /** [batch, segments · n, inputDim]: what input-dependent gates read. */
  readonly x: Tensor | null;
  /** bool [batch, segments · n], false for padding. */
  readonly present: Tensor | null;
  /** M_0 and z_0; null at the start of a sequence. */
  readonly state: MemoryState | null;
}

export interface SegmentedOutput {
  /** [batch, heads, segments, n, d_value]. */
  readonly output: Tensor;
  readonly state: MemoryState;
  /** a_t of the write gate, [batch, segments · n, heads]. */
  readonly writeLogits: Tensor | null;
}

/** Eq. (7) to (10). Each segment reads what the segments before it have written, never its own. */
export function throughMemory(
  settings: MemorySettings,
  parameters: MemoryParameters,
  { queries, keys, values, local, x, present, state }: SegmentedInput,
): SegmentedOutput {
  const { writeGate, writeGateMargin, featureMap: kind } = settings;
  const [batch, heads, segments, length, dv] = values.shape as readonly [
    number,
    number,
    number,
    number,
    number,
  ];
  const memoryDtype = settings.memoryDtype ?? (isHalf(values.dtype) ? 'f32' : (values.dtype as FloatDType));
  const kept = (y: Tensor): Tensor => (y.dtype === memoryDtype ? y : y.cast(memoryDtype));
  /** [batch, segments · n, heads] → [batch, heads, segments, n, 1]. */
  const perToken = (y: Tensor): Tensor =>
    y.reshape([batch, segments, length, heads]).permute([0, 3, 1, 2]).unsqueeze(-1);
  const q = featureMap(kind, queries);
  const plainKeys = featureMap(kind, keys);
  let written = plainKeys;
  let writeLogits: Tensor | null = null;
  if (parameters.writeGate && writeGate !== 'none') {
    writeLogits = parameters.writeGate.forward(x!);
    written = written.mul(perToken(writeOpenness(writeLogits, writeGate, writeGateMargin)));
  }
  if (present) written = written.mul(present.cast(written.dtype).reshape([batch, 1, segments, length, 1]));
  const start = state ?? emptyMemory(settings, parameters, { queries, values, dtype: memoryDtype });
  const walk = walkMemory(settings, kept(written), kept(plainKeys), kept(values), start);
  let read = retrieveMemory(settings, kept(q), walk.matrices, walk.normalizers);
  if (read.dtype !== values.dtype) read = read.cast(values.dtype);
  if (parameters.readNorm) read = parameters.readNorm.forward(read);
  if (!local) return { output: read, state: walk.last, writeLogits };
  // Eq. (10): sigmoid(β) is the weight of the memory.
  let g = parameters.gateProj
    ? perToken(parameters.gateProj.forward(x!).sigmoid())
    : parameters.beta!.sigmoid().reshape([1, heads, 1, 1, parameters.beta!.rank === 1 ? 1 : dv]);
  const startsEmpty = state === null && parameters.initialMatrix === null;
  if (startsEmpty && settings.firstSegment === 'local') {
    const later = full([segments], 1, { dtype: values.dtype, backend: values.backend })
      .narrow(0, 1, segments - 1)
      .pad([[1, 0]]);
    g = g.mul(later.reshape([1, 1, segments, 1, 1]));
  }
  return { output: local.add(g.mul(read.sub(local))), state: walk.last, writeLogits };
}

/** M_0 and z_0: learned, or nothing. */
function emptyMemory(
  { featureMap: kind }: Pick<MemorySettings, 'featureMap'>,
  { initialMatrix, initialNormalizer }: Pick<MemoryParameters, 'initialMatrix' | 'initialNormalizer'>,
  {
    queries,
    values,
    dtype,
  }: { readonly queries: Tensor; readonly values: Tensor; readonly dtype: FloatDType },
): MemoryState {
  const [batch, heads] = values.shape as readonly [number, number];
  const features = featureDim(kind, queries.shape.at(-1)!);
  const dv = values.shape.at(-1)!;
  const own = (y: Tensor): Tensor => (y.dtype === dtype ? y : y.cast(dtype));
  const options = { dtype, backend: values.backend };
  return {
    matrix: initialMatrix
      ? own(initialMatrix).expand([batch, heads, features, dv])
      : zeros([batch, heads, features, dv], options),
    normalizer: initialNormalizer
      ? own(initialNormalizer.softplus()).expand([batch, heads, features])
      : zeros([batch, heads, features], options),
  };
}
