/** Batches of a run: windows of texts, or what a generator makes; each made from a key alone. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { causalBatch, type CausalBatch, type Tokenizer } from '@infinigrad/zoo';
import type { PackedRow } from '@infinigrad/nn';
import { Key } from '@infinigrad/tensor';
import { CommandError, reason } from '../errors.ts';
import { count } from '../output.ts';
import { generatorOf } from './generators.ts';
import type { TrainPlan } from './plan.ts';

/** Batches of an evaluation. */
const evaluated = 16;
/** Bytes of all files together. */
const mostBytes = 2 ** 29;

export interface TrainData {
  readonly about: string;
  readonly vocabSize: number;
  /** The token that ends a text; null where there is none. */
  readonly eos: number | null;
  batch(key: Key): CausalBatch;
  /** Those that the model is evaluated on; none where there is too little text. */
  readonly validation: (() => Iterable<CausalBatch>) | null;
  /** The loss that the best possible model has; null where that is not known. */
  readonly floor: number | null;
}

/** The files' texts, and a checksum of all of them. @throws CommandError for a file that cannot be read */
export async function readTexts(
  files: readonly string[],
): Promise<{ readonly texts: readonly string[]; readonly sha256: string }> {
  const hash = createHash('sha256');
  const texts: string[] = [];
  let total = 0;
  for (const file of files) {
    let bytes: Buffer;
    try {
      bytes = await readFile(file);
    } catch (error) {
      const what = reason(error);
      throw new CommandError(
        what === 'ENOENT' ? `there is no file ${file}` : `${file} cannot be read (${what})`,
      );
    }
    total += bytes.length;
    if (total > mostBytes)
      throw new CommandError(`the texts have more than ${count(mostBytes)} bytes: take fewer of them`);
    hash.update(bytes);
    texts.push(bytes.toString('utf8'));
  }
  return { texts, sha256: hash.digest('hex') };
}

type Sizes = Pick<TrainPlan, 'batchSize' | 'length' | 'validation' | 'seed'>;

/** A text in which windows begin anywhere; its end is kept for evaluations. @throws CommandError where it is shorter than a window */
export function textData(texts: readonly string[], tokenizer: Tokenizer, sizes: Sizes): TrainData {
  const { batchSize, length, validation: share } = sizes;
  const tokens = tokensOf(texts, tokenizer);
  const window = length + 1;
  if (tokens.length < window)
    throw new CommandError(
      `the text has ${count(tokens.length)} tokens, and --length ${length} needs ${window}`,
    );
  const wanted = Math.floor(tokens.length * share);
  const kept = wanted >= window && tokens.length - wanted >= window ? wanted : 0;
  const end = tokens.length - kept;
  return {
    about: `${count(tokens.length)} tokens of text${kept > 0 ? `, the last ${count(kept)} for evaluation` : ''}`,
    vocabSize: tokenizer.vocabSize,
    eos: tokenizer.special.eos === undefined ? null : tokenizer.specialId('eos'),
    batch: (key) => {
      const words = key.bits(batchSize);
      const starts = Array.from(words, (word) => Math.floor((word / 2 ** 32) * (end - window + 1)));
      return causalBatch(starts.map((start) => windowRow(tokens, start, length)));
    },
    validation: kept === 0 ? null : () => windowsFrom(tokens, end, sizes),
    floor: null,
  };
}

function tokensOf(texts: readonly string[], tokenizer: Tokenizer): Int32Array {
  const eos = tokenizer.special.eos === undefined ? [] : [tokenizer.specialId('eos')];
  const parts = texts.flatMap((text) => [tokenizer.encode(text), Int32Array.from(eos)]);
  const all = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** So many tokens, each with the one that comes next. */
export function windowRow(tokens: Int32Array, start: number, length: number): PackedRow {
  return {
    tokens: tokens.slice(start, start + length),
    targets: tokens.slice(start + 1, start + length + 1),
    documents: new Int32Array(length).fill(1),
    positions: Int32Array.from({ length }, (_, t) => t),
    count: length,
  };
}

/** Windows that follow on one another. */
function* windowsFrom(tokens: Int32Array, from: number, { batchSize, length }: Sizes): Iterable<CausalBatch> {
  let rows: PackedRow[] = [];
  let batches = 0;
  for (let start = from; start + length < tokens.length && batches < evaluated; start += length) {
    rows.push(windowRow(tokens, start, length));
    if (rows.length < batchSize) continue;
    yield causalBatch(rows);
    rows = [];
    batches++;
  }
  if (rows.length > 0 && batches < evaluated) yield causalBatch(rows);
}

/** @throws UsageError for what is no generator */
export function generatedData(spec: string, { batchSize: batch, length, seed }: Sizes): TrainData {
  const generator = generatorOf(spec, length);
  // No step's key: those of steps are folded once more.
  const key = new Key(seed).foldIn(evaluationKey);
  return {
    about: `generated: ${spec}`,
    vocabSize: generator.vocabSize,
    eos: null,
    batch: (own) => generator.batch({ batch, length, whole: false }, own),
    validation: () =>
      Array.from({ length: 4 }, (_, i) => generator.batch({ batch, length, whole: true }, key.foldIn(i))),
    floor: generator.floor,
  };
}

const evaluationKey = 2;
