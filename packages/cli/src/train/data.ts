/** Batches of a run: windows of texts, or what a generator makes; each made from a key alone. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Tokenizer } from '@infinigrad/zoo';
import { Key } from '@infinigrad/tensor';
import { CommandError, reason } from '../errors.ts';
import { tokensOf, type Batch, type Course } from '../objectives/courses.ts';
import { count } from '../output.ts';
import type { Generator as Task } from './generators.ts';
import type { TrainPlan } from './plan.ts';

/** Batches of an evaluation. */
const evaluated = 16;
/** Bytes of all files together. */
const mostBytes = 2 ** 29;

export interface TrainData {
  readonly about: string;
  batch(key: Key): Batch;
  /** Those that the model is evaluated on; none where there is too little text. */
  readonly validation: (() => Iterable<Batch>) | null;
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
export function textData(
  texts: readonly string[],
  tokenizer: Tokenizer,
  course: Course,
  { batchSize, length, validation: share, seed }: Sizes,
): TrainData {
  const tokens = tokensOf(texts, tokenizer, course);
  const { window } = course;
  if (tokens.length < window)
    throw new CommandError(
      `the text has ${count(tokens.length)} tokens, and --length ${length} needs ${window}`,
    );
  const wanted = Math.floor(tokens.length * share);
  const kept = wanted >= window && tokens.length - wanted >= window ? wanted : 0;
  const end = tokens.length - kept;
  return {
    about: `${count(tokens.length)} tokens of text${kept > 0 ? `, the last ${count(kept)} for evaluation` : ''}`,
    batch: (key) => {
      const words = key.foldIn(0).bits(batchSize);
      const starts = Array.from(words, (word) => Math.floor((word / 2 ** 32) * (end - window + 1)));
      return course.batch(
        starts.map((start) => tokens.subarray(start, start + window)),
        key.foldIn(1),
      );
    },
    validation:
      kept === 0
        ? null
        : () => evaluationBatches(course, tokens.subarray(end), { batchSize, seed, batches: evaluated }),
    floor: null,
  };
}

/** Windows that follow on one another, and whatever is drawn, drawn alike whenever they are asked for. */
export function* evaluationBatches(
  course: Course,
  tokens: Int32Array,
  {
    batchSize,
    seed,
    batches,
  }: { readonly batchSize: number; readonly seed: number; readonly batches: number },
): Generator<Batch, void, undefined> {
  const key = new Key(seed).foldIn(evaluationKey);
  const { window } = course;
  // What is told of a window of the next token alone is not read again.
  const stride = course.overlaps ? window - 1 : window;
  let rows: Int32Array[] = [];
  let made = 0;
  for (let start = 0; start + window <= tokens.length && made < batches; start += stride) {
    rows.push(tokens.subarray(start, start + window));
    if (rows.length < batchSize) continue;
    yield course.batch(rows, key.foldIn(made++));
    rows = [];
  }
  if (rows.length > 0 && made < batches) yield course.batch(rows, key.foldIn(made));
}

/** What a generator makes. */
export function generatedData(generator: Task, { batchSize: batch, length, seed }: Sizes): TrainData {
  // No step's key: those of steps are folded once more.
  const key = new Key(seed).foldIn(evaluationKey);
  return {
    about: `generated: ${generator.spec}`,
    batch: (own) => generator.batch({ batch, length, whole: false }, own.foldIn(0)),
    validation: () =>
      Array.from({ length: 4 }, (_, i) => generator.batch({ batch, length, whole: true }, key.foldIn(i))),
    floor: generator.floor,
  };
}

const evaluationKey = 2;
