/** Rotary positions in config.json: `rope_theta` and `rope_scaling`, or, since transformers 5, both in `rope_parameters`. */
import { ropeScalingFromConfig, type RopeScaling } from '@infinigrad/nn';
import type { Check } from './checks.ts';
import { listOf, number, positive } from './checks.ts';
import type { Field, Json } from './config.ts';

/** A number under `rope_parameters`, or at the top as older files have it. */
export function ropeParameter(json: Json, key: string): unknown {
  const { rope_parameters: both } = json as { rope_parameters?: unknown };
  const inside = typeof both === 'object' && both !== null && Object.hasOwn(both, key);
  return inside ? (both as Json)[key] : Object.hasOwn(json, key) ? json[key] : undefined;
}

/** The base of the frequencies. @param base default 10000 */
export function ropeTheta(base = 10000): Field<number> {
  return {
    key: 'rope_theta',
    check: positive,
    default: base,
    read: (json) => ropeParameter(json, 'rope_theta'),
  };
}

const names = {
  factor: 'factor',
  maxPositions: 'max_position_embeddings',
  originalMaxPositions: 'original_max_position_embeddings',
  betaFast: 'beta_fast',
  betaSlow: 'beta_slow',
  attentionFactor: 'attention_factor',
  mscale: 'mscale',
  mscaleAllDim: 'mscale_all_dim',
  truncate: 'truncate',
  shortFactor: 'short_factor',
  longFactor: 'long_factor',
  lowFreqFactor: 'low_freq_factor',
  highFreqFactor: 'high_freq_factor',
} as const;

/** What each scheme must have; what it may have. */
const schemes: Readonly<
  Record<RopeScaling['type'], readonly [must: readonly string[], may: readonly string[]]>
> = {
  linear: [['factor'], []],
  dynamic: [['factor', 'maxPositions'], []],
  yarn: [
    ['factor', 'originalMaxPositions'],
    ['betaFast', 'betaSlow', 'attentionFactor', 'mscale', 'mscaleAllDim', 'truncate'],
  ],
  longrope: [['factor', 'originalMaxPositions', 'shortFactor', 'longFactor'], ['attentionFactor']],
  llama3: [['factor', 'lowFreqFactor', 'highFreqFactor', 'originalMaxPositions'], []],
};

/** null, or a scaling of nn with the numbers that its scheme needs. */
export const scaling: Check = (value) => {
  if (value === null) return null;
  const { type } = value as { type?: RopeScaling['type'] };
  if (typeof value !== 'object' || type === undefined || !Object.hasOwn(schemes, type))
    return `null or a scaling of type ${Object.keys(schemes).join(', ')}`;
  const [must, may] = schemes[type];
  for (const [name, part] of Object.entries(value)) {
    if (name === 'type' || (part === undefined && may.includes(name))) continue;
    if (!must.includes(name) && !may.includes(name)) return `a scaling '${type}', which has no ${name}`;
    const check: Check =
      name.endsWith('Factor') && must.includes(name) && Array.isArray(part) ? listOf(positive) : number();
    const wanted = name === 'truncate' ? (typeof part === 'boolean' ? null : 'true or false') : check(part);
    if (wanted) return `a scaling '${type}', whose ${name} is ${wanted}`;
  }
  const lacking = must.find((name) => (value as Json)[name] === undefined);
  return lacking ? `a scaling '${type}' with ${lacking}` : null;
};

/** How frequencies are stretched to longer sequences. Default null: not at all. */
export function ropeScaling(): Field<RopeScaling | null> {
  return {
    key: 'rope_scaling',
    also: ['rope_parameters'],
    check: scaling,
    default: null,
    read: (json) => {
      for (const key of ['rope_scaling', 'rope_parameters']) {
        const given = json[key] ?? null;
        if (given !== null && (typeof given !== 'object' || Array.isArray(given))) return given;
      }
      const found = ropeScalingFromConfig(json);
      return found && Object.fromEntries(Object.entries(found).filter(([, part]) => part !== undefined));
    },
    write: (value) => ({ rope_scaling: value && ropeScalingToJson(value) }),
  };
}

/** A scaling in the spelling of config.json. */
export function ropeScalingToJson({ type, ...parts }: RopeScaling): Record<string, unknown> {
  const entries = Object.entries(parts).filter(
    ([name, part]) => part !== undefined && name !== 'maxPositions',
  );
  return {
    rope_type: type,
    ...Object.fromEntries(
      entries.map(([name, part]) => [names[name as keyof typeof names], part as unknown]),
    ),
  };
}
