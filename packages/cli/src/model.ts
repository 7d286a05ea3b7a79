/** A saved model with its tokenizer, ready to be asked. */
import { join } from 'node:path';
import { infiniDecoder, InfiniTransformer, type GenerativeModel, type Tokenizer } from '@infinigrad/zoo';
import { kindOf } from './checkpoint.ts';
import { CommandError } from './errors.ts';
import { mostTokens, savedModel, type CausalModel } from './families.ts';
import { tokenizerIn } from './tokenizer.ts';

export interface LoadedModel {
  readonly model: CausalModel;
  /** The model as generation reads it. */
  readonly reader: GenerativeModel;
  /** null where the folder holds none. */
  readonly tokenizer: Tokenizer | null;
  readonly vocabSize: number;
  /** Tokens that a text may have. */
  readonly most: number;
}

/** @throws CommandError where the folder holds no language model; FormatError where it is damaged */
export async function loadModel(folder: string): Promise<LoadedModel> {
  if ((await kindOf(folder)) !== 'folder') throw new CommandError(`there is no folder ${folder}`);
  const unfinished =
    (await kindOf(join(folder, 'config.json'))) === null &&
    (await kindOf(join(folder, 'run.json'))) === 'file';
  if (unfinished)
    throw new CommandError(`${folder} holds a run that is not finished: infinigrad train --resume ${folder}`);
  const { family, model } = await savedModel(folder);
  const { vocabSize } = model.config as { vocabSize: number };
  return {
    model,
    reader: model instanceof InfiniTransformer ? infiniDecoder(model) : (model as unknown as GenerativeModel),
    tokenizer: await tokenizerIn(folder, vocabSize),
    vocabSize,
    most: mostTokens(family, model.config),
  };
}

/** @throws CommandError where there is none */
export function needTokenizer({ tokenizer }: LoadedModel, folder: string, hint: string): Tokenizer {
  if (!tokenizer) throw new CommandError(`${folder} holds no tokenizer${hint}`);
  return tokenizer;
}
