/** T5 on periodic text: spans that were taken out can be told without fail, once the period is found. */
import {
  corruptSpans,
  encoderDecoderBatch,
  generate,
  periodicText,
  spanCounts,
  spanMask,
  T5ForConditionalGeneration,
  type Corrupted,
  type EncoderDecoderBatch,
} from '@infinigrad/zoo';
import type { Experiment, Scored, Task } from './experiment.ts';

const pad = 0;
const end = 1;
const first = 2;
const symbols = 8;
const periods = [4, 5, 6, 7, 8];
const text = { symbols, periods, first };
const sentinels = 4;
const vocabSize = first + symbols + sentinels;
const noise = { sentinel: vocabSize - 1, sentinels, end };

/**
 * Only the numbers of relative positions tell where a token is, and they are far from what they must become: steps of Adam, as large for each
 * parameter, would take thousands to get there.
 */
const quicker = 20;

type Batch = EncoderDecoderBatch & Scored & { readonly pairs: readonly Corrupted[] };

export const t5: Experiment = {
  title: `T5: spans taken out of "abcdabcd…", periods ${periods[0]} to ${periods.at(-1)}`,
  recipe: { steps: 500, batchSize: 32, length: 32, learningRate: 5e-3, evaluationTexts: 256 },
  build({ length }, keys): Task<T5ForConditionalGeneration, Batch> {
    const model = new T5ForConditionalGeneration(
      {
        vocabSize,
        dModel: 64,
        dKv: 16,
        dFf: 128,
        numLayers: 2,
        numHeads: 4,
        relativeAttentionNumBuckets: 32,
        relativeAttentionMaxDistance: 64,
        dropoutRate: 0,
        initializerFactor: 0.3,
        feedForwardProj: 'gated-gelu',
        tieWordEmbeddings: false,
        padTokenId: pad,
        eosTokenId: end,
        decoderStartTokenId: pad,
      },
      keys.model,
    );
    const all = model.parameters();
    const positions = new Set(
      [model.encoder, model.decoder].map((stack) => stack.relativeAttentionBias.weight),
    );
    const { floor, targets } = spanFloor(length);
    const { noise: taken, spans } = spanCounts(length);
    return {
      model,
      source: { 'tokens of targets': targets, floor },
      batch(texts, key) {
        const pairs = Array.from({ length: texts }, (_, i) => {
          const own = key.foldIn(i);
          const tokens = periodicText(length, text, own.foldIn(0));
          return corruptSpans(tokens, spanMask(length, {}, own.foldIn(1)), noise);
        });
        const batch = encoderDecoderBatch(pairs, { pad, targetLength: taken + spans + 1 });
        const ids = batch.targets.dataSync() as Int32Array;
        return {
          ...batch,
          pairs,
          floors: new Float64Array(ids.length),
          baselines: { uniform: Float64Array.from(ids, (id) => (id < 0 ? 0 : Math.log(vocabSize))) },
        };
      },
      parameters: (learningRate) => [
        { params: all.filter((p) => !positions.has(p)) },
        { params: positions, learningRate: quicker * learningRate, weightDecay: 0 },
      ],
      logits: (model, { inputIds, attentionMask, decoderInputIds }) =>
        model.forward(inputIds, { attentionMask, decoderInputIds }).logits,
      async further(model, batches) {
        const score = { spans: 0, exact: 0, counted: 0 };
        for (const { pairs } of batches) {
          const written = await answers(model, pairs, taken + spans + 2);
          pairs.forEach((pair, i) => {
            const right = spansOf(pair.targets);
            const guess = spansOf(written[i]!);
            const counted = countedOn(pair, right);
            for (const [sentinel, span] of right) {
              score.spans++;
              if (guess.get(sentinel)?.join() === span.join()) score.exact++;
              if (counted.get(sentinel)!.join() === span.join()) score.counted++;
            }
          });
        }
        return {
          'exact spans': score.exact / score.spans,
          'exact spans by counting on': score.counted / score.spans,
          spans: score.spans,
        };
      },
      goals: (_, further) => [
        { what: 'exact spans', value: further['exact spans']!, is: 'at least', bound: 0.95 },
      ],
    };
  },
};

/** What the model writes by itself, token by token. */
async function answers(
  model: T5ForConditionalGeneration,
  pairs: readonly Corrupted[],
  maxNewTokens: number,
): Promise<number[][]> {
  const prompts = pairs.map(({ inputs }) => Array.from(inputs));
  const { tokens } = await generate(model, prompts, { maxNewTokens });
  return tokens.map((row) => [...row]);
}

/** The spans of targets by their sentinels, in order; the end token ends them. */
export function spansOf(targets: ArrayLike<number>): Map<number, number[]> {
  const spans = new Map<number, number[]>();
  let span: number[] = [];
  for (const token of Array.from(targets)) {
    if (token === end) break;
    if (token > noise.sentinel - sentinels && !spans.has(token)) spans.set(token, (span = []));
    else span.push(token);
  }
  return spans;
}

/** The baseline: counts on from the token before the span, as if no period ended there; how many it must tell is given to it. */
export function countedOn(
  { inputs }: Corrupted,
  right: ReadonlyMap<number, number[]>,
): Map<number, number[]> {
  const spans = new Map<number, number[]>();
  inputs.forEach((token, at) => {
    const span = right.get(token);
    if (span)
      spans.set(
        token,
        span.map((_, i) => inputs[at - 1]! + 1 + i),
      );
  });
  return spans;
}

/**
 * The entropy of targets given inputs, in nats for each token of the targets: all texts and all ways to take spans out of them are
 * counted out.
 */
export function spanFloor(length: number): { readonly floor: number; readonly targets: number } {
  const { noise: taken, spans } = spanCounts(length);
  const all = new Map<string, Map<string, number>>();
  for (const period of periods)
    for (let offset = 0; offset < period; offset++) {
      const tokens = Int32Array.from({ length }, (_, t) => first + ((offset + t) % period));
      for (const kept of partitions(length - taken, spans))
        for (const noisy of partitions(taken, spans)) {
          const mask = kept.flatMap((n, i) => [
            ...new Array<number>(n).fill(0),
            ...new Array<number>(noisy[i]!).fill(1),
          ]);
          const pair = corruptSpans(tokens, mask, noise);
          const told = all.get(pair.inputs.join()) ?? new Map<string, number>();
          all.set(pair.inputs.join(), told);
          told.set(pair.targets.join(), (told.get(pair.targets.join()) ?? 0) + 1 / period);
        }
    }
  let [sum, entropy] = [0, 0];
  for (const told of all.values()) {
    const whole = [...told.values()].reduce((a, b) => a + b, 0);
    for (const p of told.values()) entropy -= p * Math.log(p / whole);
    sum += whole;
  }
  const targets = taken + spans + 1;
  return { floor: entropy / sum / targets, targets };
}

/** All ways to write n as an ordered sum of so many numbers ≥ 1. */
function partitions(n: number, parts: number): number[][] {
  if (parts === 1) return [[n]];
  return Array.from({ length: n - parts + 1 }, (_, i) => i + 1).flatMap((head) =>
    partitions(n - head, parts - 1).map((rest) => [head, ...rest]),
  );
}
