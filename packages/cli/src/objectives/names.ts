/** What models are trained on, by name, and which models take what. */
import { UsageError } from '../errors.ts';

export const objectiveNames = ['causal', 'masked', 'span', 'blank', 'prefix'] as const;
export type ObjectiveName = (typeof objectiveNames)[number];

/** How a model reads: what it can be trained on, its usual objective first. */
export const kinds = {
  /** Each token sees those before it, and nothing else. */
  decoder: ['causal'],
  /** The same, and a prefix may be seen by all. */
  prefixDecoder: ['causal', 'prefix'],
  /** Each token sees all. */
  encoder: ['masked'],
  encoderDecoder: ['span', 'prefix'],
  /** The first GLM. */
  blankFiller: ['blank', 'prefix'],
} as const satisfies Readonly<Record<string, readonly ObjectiveName[]>>;
export type Kind = keyof typeof kinds;

export const usualObjective = (kind: Kind): ObjectiveName => kinds[kind][0];

/** What `--model` is where an objective alone is given. */
export const usualModels: Readonly<Record<ObjectiveName, string>> = {
  causal: 'llama-tiny',
  masked: 'bert-tiny',
  span: 't5-tiny',
  blank: 'glm-blank-tiny',
  prefix: 'llama-tiny',
};

const about: Readonly<Record<ObjectiveName, string>> = {
  causal: 'the next token',
  masked: 'tokens that are hidden, told from both sides',
  span: 'runs of tokens that are taken out, told by a decoder',
  blank: 'blanks, told token by token from both sides',
  prefix: 'what follows a beginning that is read both ways',
};

/** What `--objective` can be, a line each. @param modelsOf the models that take one */
export const objectiveHelp = (modelsOf: (name: ObjectiveName) => readonly string[]): string =>
  objectiveNames.map((name) => `  ${name.padEnd(8)}${about[name]}: ${modelsOf(name).join(', ')}`).join('\n');

/**
 * The objective that is asked for, or the usual one.
 * @throws UsageError for one that the model does not take
 */
export function chosenObjective(
  name: ObjectiveName | undefined,
  { type, kind }: { readonly type: string; readonly kind: Kind },
): ObjectiveName {
  const able: readonly ObjectiveName[] = kinds[kind];
  if (name === undefined) return usualObjective(kind);
  if (able.includes(name)) return name;
  throw new UsageError(
    `--objective ${name} (${about[name]}) is not for models of type ${type}: they take ${able.join(' or ')}`,
  );
}
