/** Tests passkey retrieval free-running, at lengths far beyond training, with the memory as the only state carried. */
import { noGrad } from '@infinigrad/autograd';
import { concat, fromData, Key, scope, type Tensor } from '@infinigrad/tensor';
import { memoryBytes } from '../infini/memory.ts';
import type { InfiniTransformer, Memories } from '../infini/model.ts';
import type { PasskeyRecipe } from './recipe.ts';
import { passkeyBatch, type KeyPosition } from './task.ts';

export interface EvaluateOptions {
  /** Lengths, in multiples of the training length (maxSegments segments). */
  readonly multiples: readonly number[];
  readonly positions?: readonly KeyPosition[];
  /** Sequences a cell. */
  readonly samples: number;
  readonly seed: number;
  /** Empty the memory before every segment: what is left is what local attention can do. */
  readonly zeroMemory?: boolean;
  /** The time in milliseconds. Default Date.now. */
  readonly clock?: () => number;
}

export interface CellReport {
  /** Tokens. */
  readonly length: number;
  readonly multiple: number;
  readonly position: KeyPosition;
  readonly samples: number;
  /** Fraction of sequences with all digits right. */
  readonly exactMatch: number;
  /** Fraction right of each digit. */
  readonly digitAccuracy: readonly number[];
  /** Bytes of memory that one sequence carries from segment to segment. */
  readonly stateBytes: number;
  readonly tokensPerSecond: number;
}

/** Tokens of one call while streaming: enough for the kernels, little for the memory. */
const chunkTokens = 2048;
/** Calls in one scope. */
const callsTogether = 32;

/**
 * One report for each length and position. The key never lies in the query's own segment. Answers are generated
 * digit by digit, each fed back (argmax over the whole vocabulary).
 * @throws BackendError on a GPU, from where nothing is read at once: `evaluatePasskeyAsync` does there
 */
export function* evaluatePasskey(
  model: InfiniTransformer,
  recipe: PasskeyRecipe,
  options: EvaluateOptions,
): Generator<CellReport> {
  for (const cell of cellsOf(options)) {
    const { guesses, report } = answer(model, recipe, options, cell);
    yield report(guesses.dataSync());
  }
}

/** As `evaluatePasskey`, and on a GPU too. */
export async function* evaluatePasskeyAsync(
  model: InfiniTransformer,
  recipe: PasskeyRecipe,
  options: EvaluateOptions,
): AsyncGenerator<CellReport> {
  for (const cell of cellsOf(options)) {
    const { guesses, report } = answer(model, recipe, options, cell);
    yield report(await guesses.data());
  }
}

interface Cell {
  readonly multiple: number;
  readonly position: KeyPosition;
  readonly key: Key;
}

function* cellsOf(options: EvaluateOptions): Generator<Cell> {
  const { multiples, positions = ['start', 'middle', 'end'], seed } = options;
  for (const multiple of multiples)
    for (const [p, position] of positions.entries())
      yield { multiple, position, key: new Key(seed).foldIn(multiple).foldIn(p) };
}

/** What the model answers, [rows, digits], not read yet; and the report that comes of it. */
function answer(
  model: InfiniTransformer,
  recipe: PasskeyRecipe,
  { samples, zeroMemory = false, clock = Date.now }: EvaluateOptions,
  { multiple, position, key }: Cell,
): { readonly guesses: Tensor; readonly report: (guesses: ArrayLike<number>) => CellReport } {
  const { segmentLength, maxSegments, digits } = recipe;
  const segments = multiple * maxSegments;
  const length = segments * segmentLength;
  const { data, answers } = passkeyBatch(recipe, { batch: samples, segments, position }, key);
  const started = clock();
  const { guesses, stateBytes } = noGrad(() =>
    answerFreely(model, recipe, data, samples, length, zeroMemory),
  );
  const report = (given: ArrayLike<number>): CellReport => {
    const seconds = Math.max(1, clock() - started) / 1000;
    const right = answers.map((row, r) => row.map((digit, i) => digit === given[r * digits + i]));
    return {
      length,
      multiple,
      position,
      samples,
      exactMatch: right.filter((row) => row.every(Boolean)).length / samples,
      digitAccuracy: Array.from({ length: digits }, (_, i) => right.filter((row) => row[i]).length / samples),
      stateBytes,
      tokensPerSecond: (samples * length) / seconds,
    };
  };
  return { guesses, report };
}

/** The generated digits, [rows, digits], and the bytes of state that one sequence carried. */
function answerFreely(
  model: InfiniTransformer,
  { segmentLength, digits }: PasskeyRecipe,
  data: Int32Array,
  rows: number,
  length: number,
  zeroMemory: boolean,
): { guesses: Tensor; stateBytes: number } {
  const piece = (from: number, to: number): Tensor => {
    const out = new Int32Array(rows * (to - from));
    for (let row = 0; row < rows; row++)
      out.set(data.subarray(row * length + from, row * length + to), row * (to - from));
    return fromData(out, [rows, to - from]);
  };
  const lastStart = length - segmentLength;
  const step = zeroMemory
    ? segmentLength
    : Math.max(1, Math.floor(chunkTokens / rows / segmentLength)) * segmentLength;
  let memories: Memories | undefined;
  let stateBytes = 0;
  const read = (from: number): void => {
    const options = { ...(memories && { memories }), lastLogits: 0 };
    const to = Math.min(from + step, lastStart);
    const after = scope(() => model.forward(piece(from, to), options).memories, { fuse: true });
    stateBytes = memoryBytes(after) / rows;
    if (!zeroMemory) memories = after;
  };
  for (let at = 0; at < lastStart; at += step * callsTogether)
    // Of the memories in between none is left behind.
    scope(() => {
      for (let i = 0; i < callsTogether && at + i * step < lastStart; i++) read(at + i * step);
      return memories;
    });
  // The last segment up to the query, then each guess appended; the memory before it stays as it is.
  let tokens = piece(lastStart, length - digits);
  for (let i = 0; i < digits; i++) {
    const options = { ...(memories && { memories }), lastLogits: 1 };
    const guess = scope(() => model.forward(tokens, options).logits.argMax(-1), { fuse: true });
    tokens = concat([tokens, guess], 1);
  }
  return { guesses: tokens.narrow(1, segmentLength - digits, digits), stateBytes };
}
