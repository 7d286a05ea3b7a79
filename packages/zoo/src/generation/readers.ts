/** Readers of models with a cache, and of models without. */
import { RecurrentCache, type CacheTree } from '@infinigrad/nn';
import { concat, fromData, ValueError, type Backend, type Tensor } from '@infinigrad/tensor';
import {
  bringsReader,
  hasEncoder,
  type CausalModel,
  type EncoderDecoderModel,
  type GenerativeCache,
  type GenerativeModel,
  type GenerativeOutput,
  type Reader,
  type ReaderOptions,
  type Reading,
} from './model.ts';

/** i32 [rows, T] of rows of one length. */
export function tokenTensor(rows: readonly (readonly number[])[], backend?: Backend): Tensor {
  return fromData(Int32Array.from(rows.flat()), [rows.length, rows[0]!.length], backend ? { backend } : {});
}

/** The logits after the last token, and its layer's output. */
function lastOf(
  { logits, hiddenStates, decoderHiddenStates }: GenerativeOutput,
  wantsHidden: boolean,
): Reading {
  const hidden = (hiddenStates ?? decoderHiddenStates)?.at(-1);
  if (wantsHidden && !hidden)
    throw new ValueError('generate', 'contrastive search needs a model that gives its hidden states', {
      hint: 'forward(…, { outputHiddenStates: true }) must return hiddenStates',
    });
  return { logits: logits.select(1, logits.shape[1]! - 1), ...(wantsHidden && { hidden }) };
}

interface PaddedCall {
  readonly attentionMask?: Tensor;
  readonly positionIds?: Tensor;
}

/** Mask and positions of whole rows of which some begin with padding. */
export function paddedCall(padding: readonly number[] | null, length: number, backend: Backend): PaddedCall {
  if (!padding?.some((count) => count > 0)) return {};
  const over = (f: (count: number, i: number) => number): number[] =>
    padding.flatMap((count) => Array.from({ length }, (_, i) => f(count, i)));
  const shape = [padding.length, length];
  return {
    attentionMask: fromData(Uint8Array.from(over((count, i) => Number(i >= count))), shape, {
      dtype: 'bool',
      backend,
    }),
    positionIds: fromData(Int32Array.from(over((count, i) => Math.max(0, i - count))), shape, { backend }),
  };
}

/** Calls a model on tokens that come after those before. */
interface Course {
  call(tokens: Tensor, cache: GenerativeCache | null, padded: PaddedCall, hidden: boolean): GenerativeOutput;
  reorder(rows: readonly number[]): void;
  release(): void;
}

const decoderCourse = (model: CausalModel): Course => ({
  call: (tokens, cache, padded, hidden) =>
    model.forward(tokens, {
      ...padded,
      lastLogits: 1,
      ...(cache && { cache: cache as never }),
      ...(hidden && { outputHiddenStates: true }),
    }),
  reorder: () => {},
  release: () => {},
});

/** The decoder's course over what the encoder has made of `inputIds`. */
export function encodedCourse(
  model: EncoderDecoderModel,
  inputIds: Tensor,
  attentionMask: Tensor | null,
): Course {
  const held = new RecurrentCache();
  const encoderOutput = model.encode(inputIds, attentionMask ? { attentionMask } : {}) as CacheTree;
  held.update({ encoderOutput, inputIds, attentionMask }, 0);
  return {
    call: (decoderInputIds, cache, _, hidden) => {
      const state = held.state as {
        encoderOutput: CacheTree;
        inputIds: Tensor;
        attentionMask: Tensor | null;
      };
      return model.forward(state.inputIds, {
        decoderInputIds,
        encoderOutput: state.encoderOutput as never,
        lastLogits: 1,
        ...(state.attentionMask && { attentionMask: state.attentionMask }),
        ...(cache && { cache: cache as never }),
        ...(hidden && { outputHiddenStates: true }),
      });
    },
    reorder: (rows) => held.reorder(rows),
    release: () => held.reset(),
  };
}

/** The cache remembers; only new tokens are read. */
function cachedReader(course: Course, cache: GenerativeCache): Reader {
  return {
    read: (tokens, { hidden = false } = {}) => lastOf(course.call(tokens, cache, {}, hidden), hidden),
    reorder: (rows) => {
      cache.reorder(rows);
      course.reorder(rows);
    },
    release: () => {
      cache.reset();
      course.release();
    },
  };
}

/** All tokens are kept, and read anew each time. */
function forgetfulReader(course: Course, leftPadding: readonly number[] | null): Reader {
  const held = new RecurrentCache<Tensor>();
  let padding = leftPadding;
  return {
    read: (tokens, { hidden = false } = {}) => {
      const before = held.state;
      const all = before ? concat([before, tokens], 1) : tokens;
      held.update(all, tokens.shape[1]!);
      const padded = paddedCall(padding, all.shape[1]!, all.backend);
      const reading = lastOf(course.call(all, null, padded, hidden), hidden);
      const count = tokens.shape[1]!;
      return reading.hidden
        ? { ...reading, hidden: reading.hidden.narrow(1, all.shape[1]! - count, count) }
        : reading;
    },
    reorder: (rows) => {
      held.reorder(rows);
      padding &&= rows.map((row) => padding![row]!);
      course.reorder(rows);
    },
    release: () => {
      held.reset();
      course.release();
    },
  };
}

/** @param encoded what an encoder-decoder model reads besides, see `encodedCourse` */
export function readerOf(model: GenerativeModel, options: ReaderOptions, encoded: Course | null): Reader {
  if (bringsReader(model)) return model.reader(options);
  const course = encoded ?? (hasEncoder(model) ? null : decoderCourse(model));
  if (!course) throw new ValueError('generate', 'the encoder of an encoder-decoder model has read nothing');
  const { batch, leftPadding, maxLength, cache } = options;
  if (cache === 'none' || !model.newCache) return forgetfulReader(course, leftPadding);
  return cachedReader(
    course,
    model.newCache({
      batch,
      ...(cache === 'fixed' && { maxLength }),
      ...(leftPadding?.some((count) => count > 0) && { leftPadding }),
    }),
  );
}
