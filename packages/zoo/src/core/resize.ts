/** Models with more tokens, or fewer. */
import { concat, ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { LoraLinear } from './lora.ts';
import type { PretrainedModel } from './pretrained.ts';

/**
 * The model with a vocabulary of another size: what it knows of the tokens that stay, it knows on. New tokens start beside the mean of
 * those before, each off it by what a new model would start with, so that none stands out. Everything else is shared until either side
 * changes it; what was frozen is frozen.
 * @param vocabSize of the new model; tokens from there on are forgotten
 * @param key decides how new tokens start
 * @throws ValueError for a size that is none, and a model without a vocabulary, or with adapters
 */
export function resizeVocabulary<M extends PretrainedModel<object>>(
  model: M,
  vocabSize: number,
  key: Key,
): M {
  if (typeof (model.config as { readonly vocabSize?: unknown }).vocabSize !== 'number')
    throw new ValueError('resizeVocabulary', `a ${model.meta.architecture} has no vocabSize`);
  if (model.modules().some((layer) => layer instanceof LoraLinear))
    throw new ValueError('resizeVocabulary', 'the model has adapters', {
      hint: 'mergeLora or removeLora first',
    });
  const made = model.remade({ vocabSize }, key);
  const fresh = made.stateDict();
  const state = Object.fromEntries(
    Object.entries(model.stateDict()).map(([name, value]) => [name, withRows(value, fresh[name]!)]),
  );
  made.loadStateDict(state);
  const own = model.namedParameters();
  for (const [name, parameter] of made.namedParameters())
    parameter.requiresGrad = own.get(name)!.requiresGrad;
  if ('gradientCheckpointing' in model)
    Object.assign(made, { gradientCheckpointing: model.gradientCheckpointing });
  return made.train(model.training);
}

/** The first rows of a value; further ones are those of `fresh`, moved to the mean of the value's. */
function withRows(value: Tensor, fresh: Tensor): Tensor {
  const [rows, wanted] = [value.shape[0] ?? 0, fresh.shape[0] ?? 0];
  if (rows === wanted) return value;
  if (wanted < rows) return value.narrow(0, 0, wanted);
  return concat([value, fresh.narrow(0, rows, wanted - rows).add(value.mean(0, true))], 0);
}
