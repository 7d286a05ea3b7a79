/** What a run begins with: a preset, a configuration or a saved model, and its tokenizer. */
import { Key } from '@infinigrad/tensor';
import type { Tokenizer } from '@infinigrad/zoo';
import { readObject } from '../checkpoint.ts';
import { asUsage, CommandError, UsageError } from '../errors.ts';
import { familyOf, presetOf, savedModel, type Family, type TrainedModel } from '../families.ts';
import { usualModels, type ObjectiveName } from '../objectives/names.ts';
import { ownSpecials } from '../objectives/special.ts';
import { tokenizerIn, tokenizerNamed } from '../tokenizer.ts';

/** What the command line says of it. */
export interface BaseFlags {
  readonly model?: string;
  readonly config?: string;
  readonly from?: string;
  readonly set?: Readonly<Record<string, unknown>>;
  readonly tokenizer?: string;
  readonly objective?: ObjectiveName;
  readonly seed: number;
}

/** Decides the weights. */
export const modelKey = ({ seed }: { readonly seed: number }): Key => new Key(seed).foldIn(0);

/** What is trained: its family, and how it is made once the number of tokens is known. */
export interface Base {
  readonly family: Family;
  /** Fields that decide before that, with their defaults. */
  readonly config: object;
  /** @param tokenizer of the texts; null where a generator makes tokens */
  make(
    vocabSize: number,
    tokenizer: Tokenizer | null,
  ): { readonly config: object; readonly model: TrainedModel };
}

/** @throws UsageError for flags that name no model, or none of sense */
export async function baseOf(flags: BaseFlags): Promise<Base> {
  const { model: name, config: file, from, set = {}, seed, objective } = flags;
  const given = [name, file, from].filter((one) => one !== undefined).length;
  if (given > 1) throw new UsageError('say one of --model, --config and --from');
  if (from !== undefined) {
    if (flags.set) throw new UsageError('--from begins with a model as it is: it goes without --set');
    const { family, model } = await savedModel(from);
    model.train();
    const { config } = model;
    const own = (config as { vocabSize: number }).vocabSize;
    const make = (vocabSize: number) => {
      if (vocabSize > own)
        throw new CommandError(`the model in ${from} has ${own} tokens, and the data ${vocabSize}`);
      return { config, model };
    };
    return { family, config, make };
  }
  const { family, options } =
    file === undefined ? presetOf(name ?? usualModels[objective ?? 'causal']) : await configOf(file);
  const own = asUsage(() => family.schema.make({ ...options, ...set }));
  return {
    family,
    config: own,
    make: (vocabSize, tokenizer) => {
      const fit = 'vocabSize' in set ? {} : fitting(own, vocabSize, tokenizer);
      const config = asUsage(() => family.schema.make({ ...options, ...fit, ...set }));
      const { vocabSize: made } = config as { vocabSize: number };
      if (made < vocabSize)
        throw new UsageError(`--set vocabSize=${made} is less than the ${vocabSize} tokens of the data`);
      return { config, model: asUsage(() => family.make(config, modelKey({ seed }))) };
    },
  };
}

/** The size of the vocabulary, and special tokens that lie in it. A vocabulary of the model's own size is the model's own. */
function fitting(
  own: object,
  vocabSize: number,
  tokenizer: Tokenizer | null,
): Readonly<Record<string, unknown>> {
  if ((own as { vocabSize: number }).vocabSize === vocabSize) return {};
  const id = (role: 'eos' | 'pad'): number | null =>
    tokenizer?.special[role] === undefined ? null : tokenizer.specialId(role);
  const special = {
    bosTokenId: null,
    eosTokenId: id('eos'),
    padTokenId: id('pad'),
    decoderStartTokenId: id('pad'),
  };
  return { vocabSize, ...Object.fromEntries(Object.entries(special).filter(([name]) => name in own)) };
}

async function configOf(file: string): Promise<ReturnType<typeof presetOf>> {
  const json = await readObject(file);
  const family = familyOf(json['model_type']);
  return {
    family,
    options: asUsage(() => family.schema.fromJson(json)) as Readonly<Record<string, unknown>>,
  };
}

/** @throws UsageError, CommandError where there is none */
export async function tokenizerFor(
  flags: BaseFlags,
  { config, family }: Base,
  texts: readonly string[],
  objective: ObjectiveName,
): Promise<Tokenizer> {
  const { tokenizer: kind, from } = flags;
  // A T5 reads an end after each text, whatever it is trained on.
  const specials = ownSpecials[family.kind === 'encoderDecoder' ? 'span' : objective];
  if (kind !== undefined) return tokenizerNamed(kind, () => texts, specials);
  if (from === undefined) return tokenizerNamed('bytes', () => texts, specials);
  const own = await tokenizerIn(from, (config as { vocabSize: number }).vocabSize);
  if (own) return own;
  throw new CommandError(`${from} holds no tokenizer: say which with --tokenizer`);
}
