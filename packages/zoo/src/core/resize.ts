/** Models with more tokens, or fewer. */
import { concat, ValueError, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import type { ModelInit, PretrainedModel } from './pretrained.ts';

/**
 * The model with a vocabulary of another size: what it knows of the tokens that stay, it knows on. New tokens start beside the mean of
 * those before, each off it by what a new model would start with, so that none stands out. Everything else is shared until either side
 * changes it.
 * @param vocabSize of the new model; tokens from there on are forgotten
 * @param key decides how new tokens start
 * @throws ValueError for a size that is none, and a model without a vocabulary
 */
export function resizeVocabulary<M extends PretrainedModel<object>>(
  model: M,
  vocabSize: number,
  key: Key,
): M {
  const config = model.config as Readonly<Record<string, unknown>>;
  const before = config['vocabSize'];
  if (typeof before !== 'number')
    throw new ValueError('resizeVocabulary', `a ${model.meta.architecture} has no vocabSize`);
  const dtype = model.parameters()[0]!.dtype as FloatDType;
  const modelClass = model.constructor as new (options: object, key: Key, init: ModelInit) => M;
  const made = new modelClass({ ...config, vocabSize }, key, { dtype });
  const fresh = made.stateDict();
  const state = Object.fromEntries(
    Object.entries(model.stateDict()).map(([name, value]) => [name, withRows(value, fresh[name]!)]),
  );
  made.loadStateDict(state);
  return made.train(model.training);
}

/** The first rows of a value; further ones are those of `fresh`, moved to the mean of the value's. */
function withRows(value: Tensor, fresh: Tensor): Tensor {
  const [rows, wanted] = [value.shape[0] ?? 0, fresh.shape[0] ?? 0];
  if (rows === wanted) return value;
  if (wanted < rows) return value.narrow(0, 0, wanted);
  return concat([value, fresh.narrow(0, rows, wanted - rows).add(value.mean(0, true))], 0);
}
