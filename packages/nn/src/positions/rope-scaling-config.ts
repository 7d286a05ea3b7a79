/** Rotary scalings as config.json of Hugging Face spells them. */
import { ValueError } from '@infinigrad/tensor';
import type { RopeScaling } from './rope-scaling.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * The scaling that a config names under `rope_scaling` (or `rope_parameters`, since transformers 5); null where there is none.
 * Lengths and factors that it leaves out follow from `max_position_embeddings` and `original_max_position_embeddings`.
 * @throws ValueError for a type that is not known, and where a number is missing
 */
export function ropeScalingFromConfig(config: Json): RopeScaling | null {
  const given = (config['rope_scaling'] ?? config['rope_parameters'] ?? null) as Json | null;
  const type = given?.['rope_type'] ?? given?.['type'] ?? 'default';
  if (given === null || type === 'default') return null;
  const lookUp = (name: string): number | undefined =>
    typeof given[name] === 'number' ? given[name] : undefined;
  const number = (name: string, otherwise?: number): number => {
    const value = lookUp(name) ?? otherwise;
    if (value === undefined)
      throw new ValueError('ropeScalingFromConfig', `the scaling '${String(type)}' lacks ${name}`);
    return value;
  };
  const whole = config['max_position_embeddings'] as number | undefined;
  const original = (): number =>
    number(
      'original_max_position_embeddings',
      (config['original_max_position_embeddings'] as number | undefined) ?? whole,
    );
  const ratio = (): number => number('factor', whole === undefined ? undefined : whole / original());
  const attentionFactor = lookUp('attention_factor');
  switch (type) {
    case 'linear':
      return { type: 'linear', factor: number('factor') };
    case 'dynamic':
      return {
        type: 'dynamic',
        factor: number('factor'),
        maxPositions: number('max_position_embeddings', whole),
      };
    case 'yarn':
      return {
        type: 'yarn',
        factor: ratio(),
        originalMaxPositions: original(),
        betaFast: lookUp('beta_fast'),
        betaSlow: lookUp('beta_slow'),
        attentionFactor,
        mscale: lookUp('mscale'),
        mscaleAllDim: lookUp('mscale_all_dim'),
        truncate: given['truncate'] as boolean | undefined,
      };
    case 'longrope':
      return {
        type: 'longrope',
        factor: ratio(),
        originalMaxPositions: original(),
        shortFactor: given['short_factor'] as number[],
        longFactor: given['long_factor'] as number[],
        attentionFactor,
      };
    case 'llama3':
      return {
        type: 'llama3',
        factor: number('factor'),
        lowFreqFactor: number('low_freq_factor'),
        highFreqFactor: number('high_freq_factor'),
        originalMaxPositions: original(),
      };
    default:
      throw new ValueError('ropeScalingFromConfig', `the scaling '${String(type)}' is not known`);
  }
}
