/** A saved model with its tokenizer, ready to be asked. */
import { join } from 'node:path';
import {
  infiniDecoder,
  InfiniLlamaForCausalLM,
  InfiniTransformer,
  T5ForConditionalGeneration,
  type GenerativeModel,
  type Tokenizer,
} from '@infinigrad/zoo';
import { fromPretrained } from '@infinigrad/zoo/node';
import { configName, kindOf, readObject } from './checkpoint.ts';
import { CommandError } from './errors.ts';
import { mostTokens, savedModel, type CausalModel } from './families.ts';
import { tokenizerIn } from './tokenizer.ts';

/** A model as generation reads it. */
export interface LoadedReader {
  readonly reader: GenerativeModel;
  /** null where the folder holds none. */
  readonly tokenizer: Tokenizer | null;
  readonly vocabSize: number;
  /** Tokens that a text may have. */
  readonly most: number;
}

export interface LoadedModel extends LoadedReader {
  readonly model: CausalModel;
}

/** @throws CommandError where the folder holds no language model; FormatError where it is damaged */
export async function loadModel(folder: string): Promise<LoadedModel> {
  await checkFolder(folder);
  const { family, model } = await savedModel(folder);
  const { vocabSize } = model.config as { vocabSize: number };
  return {
    model,
    reader: readerOf(model),
    tokenizer: await tokenizerIn(folder, vocabSize),
    vocabSize,
    most: mostTokens(family, model.config),
  };
}

function readerOf(model: object): GenerativeModel {
  const hasMemory = model instanceof InfiniTransformer || model instanceof InfiniLlamaForCausalLM;
  return hasMemory ? infiniDecoder(model) : (model as GenerativeModel);
}

/** As `loadModel`, and models that answer a text that an encoder has read. */
export async function loadReader(folder: string): Promise<LoadedReader> {
  await checkFolder(folder);
  const { model_type: type } = await readObject(join(folder, configName));
  if (type !== 't5') return loadModel(folder);
  const reader = await fromPretrained(folder, { modelClass: T5ForConditionalGeneration });
  const { vocabSize } = reader.config;
  return { reader, tokenizer: await tokenizerIn(folder, vocabSize), vocabSize, most: Infinity };
}

async function checkFolder(folder: string): Promise<void> {
  if ((await kindOf(folder)) !== 'folder') throw new CommandError(`there is no folder ${folder}`);
  const unfinished =
    (await kindOf(join(folder, configName))) === null && (await kindOf(join(folder, 'run.json'))) === 'file';
  if (unfinished)
    throw new CommandError(`${folder} holds a run that is not finished: infinigrad train --resume ${folder}`);
}

/** @throws CommandError where there is none */
export function needTokenizer({ tokenizer }: LoadedReader, folder: string, hint: string): Tokenizer {
  if (!tokenizer) throw new CommandError(`${folder} holds no tokenizer${hint}`);
  return tokenizer;
}
