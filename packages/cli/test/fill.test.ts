/** What is left open in a text, and texts whose beginning is read both ways: against what the models say of whole rows. */
import { noGrad } from '@infinigrad/autograd';
import { crossEntropy } from '@infinigrad/nn';
import { fromData, Key, type Tensor } from '@infinigrad/tensor';
import {
  BertForMaskedLM,
  bertPresets,
  blankGlmPresets,
  ByteTokenizer,
  generate,
  GlmForBlankInfilling,
  infillBlanks,
  LlamaForCausalLM,
  llamaPresets,
  T5ForConditionalGeneration,
  t5Presets,
  type Span,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { objectiveLoss } from '../src/evaluate/objective.ts';
import { pseudoPerplexity } from '../src/evaluate/pseudo-perplexity.ts';
import { familyOf, type TrainedModel } from '../src/families.ts';
import { fillerFor, type FillOptions } from '../src/generate/fill.ts';
import { prefixReader, wholeTextReader } from '../src/generate/readers.ts';
import type { LoadedModel } from '../src/model.ts';
import { courseOf, lossOf, wholeText } from '../src/objectives/courses.ts';
import type { ObjectiveName } from '../src/objectives/names.ts';
import { blankTokens, ownSpecials } from '../src/objectives/special.ts';
import { evaluationBatches } from '../src/train/data.ts';

const ids = (tokens: readonly number[]): Tensor => fromData(Int32Array.from(tokens), [1, tokens.length]);
const argMax = (logits: Tensor, t: number, never: readonly number[] = []): number => {
  const row = Array.from(logits.narrow(1, t, 1).dataSync(), Number);
  for (const id of never) row[id] = -Infinity;
  return row.indexOf(Math.max(...row));
};

function loaded(type: string, objective: ObjectiveName, model: object): LoadedModel & FillOptions {
  const tokenizer = new ByteTokenizer(ownSpecials[objective]);
  const all: LoadedModel = {
    folder: 'nowhere',
    model: model as TrainedModel,
    family: familyOf(type),
    objective,
    plan: null,
    tokenizer,
    vocabSize: tokenizer.vocabSize,
    most: 64,
  };
  return { ...all, loaded: all, tokenizer, maxTokens: 6, draws: () => ({}) };
}

describe('masks', () => {
  /** Sure of the letter after its left neighbour; where that is masked too, it cares little. */
  const alphabet = {
    forward(inputIds: Tensor) {
      const row = Array.from(inputIds.dataSync(), Number);
      const logits = new Float32Array(row.length * 258);
      row.forEach((_, t) => {
        const left = row[t - 1] ?? 256;
        logits[t * 258 + (left < 256 ? left + 1 : 63)] = left < 256 ? 9 : 1;
        // What never is to be written is likely everywhere.
        logits[t * 258 + 257] = 20;
      });
      return { logits: fromData(logits, [1, row.length, 258]) };
    },
  };
  test('are filled in where the model is most certain first, and then read', async () => {
    const own = loaded('bert', 'masked', alphabet);
    const prompt = Array.from(own.tokenizer.encode('[MASK]b[MASK][MASK][MASK]x'));
    const { tokens, fills } = await fillerFor(own, prompt)!(prompt, own);
    expect(own.tokenizer.decode(tokens)).toBe('?bcdex');
    expect(fills.map(({ at, tokens: [token] }) => [at, token])).toEqual([
      [0, 63],
      [2, 99],
      [3, 100],
      [4, 101],
    ]);
    for (const [i, logit] of [1, 9, 9, 9].entries())
      expect(fills[i]!.probability).toBeCloseTo(Math.exp(logit) / (Math.exp(logit) + 255), 5);
  });
});

describe('blanks', () => {
  test('are what the model would tell of the whole row', async () => {
    const model = new GlmForBlankInfilling(
      { ...blankGlmPresets['glm-blank-tiny'], vocabSize: 260, initializerRange: 0.3 },
      new Key(2),
    ).eval();
    const own = loaded('glm_blank_infilling', 'blank', model);
    const special = blankTokens(own.tokenizer);
    const prompt = Array.from(own.tokenizer.encode('ab[MASK]cd[MASK]e'));
    const { tokens, fills } = await fillerFor(own, prompt)!(prompt, own);
    expect(fills.map(({ at }) => at)).toEqual([2, 5]);
    expect(fills.every((fill) => fill.tokens.length <= 6)).toBe(true);
    let moved = 0;
    const spans = fills.map(({ at, tokens: { length } }): Span => {
      const from = at + moved;
      moved += length - 1;
      return [from, from + length];
    });
    // An empty blank is none that was ever trained on.
    expect(spans.every(([from, to]) => to > from)).toBe(true);
    const row = infillBlanks(tokens, spans, [0, 1], special);
    const length = row.inputIds.length;
    const places = fromData(Int32Array.from([...row.positions, ...row.blockPositions]), [1, 2, length]);
    const { logits } = noGrad(() =>
      model.forward(ids([...row.inputIds]), { sep: [row.sep], positionIds: places }),
    );
    for (let t = row.sep; t < length; t++) {
      const never = [special.mask, special.start, special.pad];
      const said = argMax(logits, t, never);
      // One that was cut off after most tokens would have gone on.
      if (row.targets[t] !== special.end || row.blockPositions[t]! <= 6) expect(said).toBe(row.targets[t]);
    }
    expect(own.tokenizer.decode(tokens)).toMatch(/^ab[^]+cd[^]+e$/);
  });
});

describe('sentinels', () => {
  test('become what the decoder writes after them', async () => {
    const tokenizer = new ByteTokenizer(ownSpecials.span);
    const said = Array.from(tokenizer.encode('<extra_id_0>at<extra_id_1>mat</s>'));
    const answering = {
      config: { eosTokenId: 257, padTokenId: 256, decoderStartTokenId: 256 },
      encode: () => ({ lastHiddenState: ids([0]) }),
      forward(_: unknown, { decoderInputIds }: { readonly decoderInputIds: Tensor }) {
        const logits = new Float32Array(358);
        logits[said[decoderInputIds.shape[1]! - 1]!] = 1;
        return { logits: fromData(logits, [1, 1, 358]) };
      },
    };
    const own = { ...loaded('t5', 'span', answering), maxTokens: 20 };
    const prompt = Array.from(tokenizer.encode('the c<extra_id_0> on the <extra_id_1><extra_id_2>.</s>'));
    const { tokens, fills } = await fillerFor(own, prompt)!(prompt, own);
    expect(tokenizer.decode(tokens)).toBe('the cat on the mat.');
    expect(fills.map((fill) => tokenizer.decode(fill.tokens))).toEqual(['at', 'mat', '']);
    expect(fillerFor(own, [5, 6])).toBeNull();
  });
});

describe('a beginning that is read both ways', () => {
  const prompt = [10, 200, 30, 40];
  const greedily = (forward: (all: Tensor) => Tensor): number[] => {
    const all = [...prompt];
    for (let i = 0; i < 6; i++)
      all.push(
        argMax(
          noGrad(() => forward(ids(all))),
          all.length - 1,
        ),
      );
    return all.slice(prompt.length);
  };

  test('by a decoder with its cache', async () => {
    const model = new LlamaForCausalLM(
      { ...llamaPresets['llama-tiny'], initializerRange: 0.2 },
      new Key(3),
    ).eval();
    const { tokens } = await generate(prefixReader(model), prompt, { maxNewTokens: 6, eosTokenId: null });
    expect(tokens[0]).toEqual(greedily((all) => model.forward(all, { prefix: [4] }).logits));
    expect(tokens[0]).not.toEqual(greedily((all) => model.forward(all).logits));
  });

  test('by the first GLM', async () => {
    const model = new GlmForBlankInfilling(
      { ...blankGlmPresets['glm-blank-tiny'], initializerRange: 0.3 },
      new Key(3),
    ).eval();
    const { tokens } = await generate(wholeTextReader(model as never), prompt, {
      maxNewTokens: 6,
      eosTokenId: null,
    });
    expect(tokens[0]).toEqual(greedily((all) => model.forward(all, wholeText(all, [4])).logits));
    expect(tokens[0]).not.toEqual(greedily((all) => model.forward(all, wholeText(all, [1])).logits));
  });
});

describe('measures', () => {
  test('pseudo-perplexity is that of each token masked alone, in windows', async () => {
    const tokenizer = new ByteTokenizer(ownSpecials.masked);
    const model = new BertForMaskedLM(
      { ...bertPresets['bert-tiny'], vocabSize: 258, hiddenSize: 32, initializerRange: 0.2 },
      new Key(1),
    ).eval();
    const text = 'the cat sat';
    const found = await pseudoPerplexity({ model: model as never, vocabSize: 258 }, tokenizer, text, {
      length: 7,
      batchSize: 3,
      limit: 10,
    });
    let sum = 0;
    const tokens = [...tokenizer.encode(text)].slice(0, 10);
    tokens.forEach((token, t) => {
      const from = t - (t % 7);
      const window = tokens.slice(from, from + 7).map((id, i) => (i === t % 7 ? 257 : id));
      const { logits } = noGrad(() => model.forward(ids(window)));
      sum += crossEntropy(logits.narrow(1, t % 7, 1), ids([token])).itemSync();
    });
    expect(found.tokens).toBe(10);
    expect(found.loss).toBeCloseTo(sum / 10, 5);
    expect(found.pseudoPerplexity).toBeCloseTo(Math.exp(sum / 10), 2);
  });

  test('the loss of an objective weighs each target alike, and is drawn by the seed', async () => {
    const tokenizer = new ByteTokenizer(ownSpecials.span);
    const model = new T5ForConditionalGeneration(
      { ...t5Presets['t5-tiny'], vocabSize: 358 },
      new Key(1),
    ).eval();
    const course = courseOf(
      'prefix',
      { kind: 'encoderDecoder', length: 8, vocabSize: 358, noise: 0.15, spanLength: 3 },
      tokenizer,
    );
    const own = { model: model as never as TrainedModel, vocabSize: 358 };
    const text = 'the cat sat on a mat and saw it';
    const of = (seed: number) =>
      objectiveLoss(own, tokenizer, [text], course, { batchSize: 2, limit: 1000, seed });
    const found = await of(5);
    const sums = [0, 0];
    let targets = 0;
    const tokens = tokenizer.encode(text);
    for (const batch of evaluationBatches(course, tokens, { batchSize: 2, seed: 5, batches: 99 })) {
      const { loss, metrics } = noGrad(() => lossOf(course, own.model, batch));
      sums[0]! += loss.itemSync() * batch.count;
      sums[1]! += metrics.accuracy.itemSync() * batch.count;
      targets += batch.count;
    }
    expect(found.targets).toBe(targets);
    expect(found.loss).toBeCloseTo(sums[0]! / targets, 5);
    expect(found.accuracy).toBeCloseTo(sums[1]! / targets, 5);
    expect(await of(5)).toEqual(found);
    expect((await of(6)).loss).not.toBe(found.loss);
  });
});
