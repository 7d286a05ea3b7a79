/** What holds of generation for every model: the same text however it is read, and however it is handed over. */
import { fromData, Key, memoryStats, type MemoryStats, type Tensor } from '@infinigrad/tensor';
import {
  generate,
  generationSteps,
  InfiniTransformer,
  stream,
  streamText,
  TransformerXL,
  type CacheKind,
  type GenerationOptions,
  type GenerativeModel,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { drawn } from '../../src/generation/sampling.ts';
import {
  argMax,
  ids,
  lastLogits,
  plainGreedy,
  prompts,
  softmax,
  tinyLlama,
  tinyT5,
  vocabSize,
} from './support.ts';

const llama = tinyLlama();
const t5 = tinyT5();
const infini = new InfiniTransformer(
  { vocabSize, hiddenSize: 16, numLayers: 2, numHeads: 2, segmentLength: 5 },
  new Key(4),
  { embeddingStd: 1, gain: 1.5 },
);
const xl = new TransformerXL(
  { vocabSize, hiddenSize: 16, numLayers: 2, numHeads: 2, segmentLength: 5, memoryLength: 7 },
  new Key(6),
  { embeddingStd: 1, gain: 1.5 },
);
const all = { eosTokenId: null } as const;

/** No more than before; constants and tables of positions, which models keep for good, must have been made then. */
function expectNoMore({ tiers }: MemoryStats): void {
  const now = memoryStats().tiers;
  for (const tier of ['scoped', 'pinned', 'free'] as const)
    expect([tier, Math.max(now[tier], tiers[tier])]).toEqual([tier, tiers[tier]]);
}

/** A model, and the logits after a prompt and an answer by one plain call. */
interface Row {
  readonly name: string;
  readonly model: GenerativeModel;
  readonly after: (prompt: readonly number[], answer: readonly number[]) => readonly number[];
  readonly caches: readonly CacheKind[];
}

const table: readonly Row[] = [
  {
    name: 'LLaMA',
    model: llama,
    after: (prompt, answer) => lastLogits(llama, [...prompt, ...answer]),
    caches: ['growing', 'fixed', 'none'],
  },
  {
    name: 'T5',
    model: t5,
    after: (prompt, answer) =>
      lastLogits({ forward: (decoderInputIds) => t5.forward(ids(prompt), { decoderInputIds }) }, [
        0,
        ...answer,
      ]),
    caches: ['growing', 'fixed', 'none'],
  },
  {
    name: 'Infini-Transformer',
    model: infini,
    after: (prompt, answer) => lastLogits(infini, [...prompt, ...answer]),
    caches: ['growing'],
  },
  {
    name: 'Transformer-XL',
    model: xl,
    after: (prompt, answer) => lastLogits(xl, [...prompt, ...answer]),
    caches: ['growing'],
  },
];

/** Prompts in the vocabulary of all models. */
const some = prompts.map((row) => row.map((token) => token % 23));

describe.each(table)('$name', ({ model, after, caches }) => {
  const greedy = (prompt: readonly number[], count: number): number[] =>
    plainGreedy((row) => after(prompt, row.slice(prompt.length)), prompt, count);

  test.each(caches)(
    'greedy is the most likely token after the whole text each time: cache %s',
    async (cache) => {
      for (const prompt of some) {
        const { tokens } = await generate(model, prompt, { ...all, maxNewTokens: 24, cache });
        expect(tokens).toEqual([greedy(prompt, 24)]);
      }
    },
  );

  test('a batch is its rows', async () => {
    const even =
      caches.length === 1 // Segments begin for all rows together.
        ? [
            [5, 9, 2],
            [7, 11, 4],
            [1, 1, 1],
          ]
        : some;
    for (const options of [{}, { key: new Key(5), temperature: 1.5 }] as GenerationOptions[])
      for (const cache of caches) {
        const together = await generate(model, even, { ...all, ...options, cache, maxNewTokens: 16 });
        const first = await generate(model, even[0]!, { ...all, ...options, cache, maxNewTokens: 16 });
        expect(together.tokens[0]).toEqual(first.tokens[0]);
        if (!options.key)
          for (const [i, prompt] of even.entries()) expect(together.tokens[i]).toEqual(greedy(prompt, 16));
      }
  });

  test('a stream is the whole, token by token', async () => {
    for (const options of [{}, { key: new Key(2) }] as GenerationOptions[]) {
      const whole = await generate(model, some[1]!, { ...options, maxNewTokens: 18 });
      const streamed: number[] = [];
      for await (const token of stream(model, some[1]!, { ...options, maxNewTokens: 18 }))
        streamed.push(token);
      expect([streamed]).toEqual(whole.tokens);
    }
  });

  test('beams score what the model says of their tokens, and the best at least as well as greedy text', async () => {
    const scoreOf = (prompt: readonly number[], answer: readonly number[]): number =>
      answer.reduce((sum, token, i) => sum + Math.log(softmax(after(prompt, answer.slice(0, i)))[token]!), 0);
    for (const prompt of some) {
      const options = { ...all, maxNewTokens: 7, numBeams: 6, lengthPenalty: 0, numReturnSequences: 6 };
      const { tokens, sequenceScores } = await generate(model, prompt, options);
      tokens.forEach((row, i) => expect(sequenceScores![i]).toBeCloseTo(scoreOf(prompt, row), 3));
      expect(sequenceScores).toEqual(sequenceScores!.toSorted((a, b) => b - a));
      expect(new Set(tokens.map(String)).size).toBe(6);
      expect(sequenceScores![0]!).toBeGreaterThanOrEqual(scoreOf(prompt, greedy(prompt, 7)) - 1e-4);
    }
  });

  test('log-probabilities and scores are those of the model', async () => {
    for (const cache of caches) {
      const options = { ...all, cache, maxNewTokens: 6, outputLogProbs: true, outputScores: true };
      const { tokens, logProbs, scores } = await generate(model, [some[0]!, some[0]!], options);
      expect(scores!.length).toBe(6);
      tokens.forEach((row, r) =>
        row.forEach((token, i) => {
          const expected = after(some[0]!, row.slice(0, i));
          expect(logProbs![r]![i]).toBeCloseTo(Math.log(softmax(expected)[token]!), 4);
          const given = scores![i]!.select(0, r).dataSync();
          expected.forEach((x, k) => expect(given[k]).toBeCloseTo(x, 3));
        }),
      );
    }
  });

  test('memory stays as it is', async () => {
    for (const options of [{}, { key: new Key(0), topP: 0.9 }, { numBeams: 3 }] as GenerationOptions[]) {
      const run = (count: number): Promise<unknown> =>
        generate(model, some[1]!, { ...all, ...options, maxNewTokens: count, repetitionPenalty: 1.2 });
      await run(40);
      const before = memoryStats();
      await run(40);
      expectNoMore(before);
    }
  });
});

test('from token to token nothing is left but what the cache holds', async () => {
  const options = { ...all, maxNewTokens: 40, cache: 'fixed', key: new Key(1), topK: 8 } as const;
  await generate(llama, prompts[1]!, options);
  let before: MemoryStats | null = null;
  for await (const _ of stream(llama, prompts[1]!, options)) {
    if (before) expectNoMore(before);
    before = memoryStats();
  }
});

describe('draws', () => {
  /** Says the same logits whatever it reads. */
  const fixed = (logits: readonly number[]): GenerativeModel => ({
    forward: (tokens: Tensor) => {
      const row = fromData(Float32Array.from(logits), [1, 1, logits.length]);
      return { logits: row.expand([tokens.shape[0]!, 1, logits.length]) };
    },
  });
  const logits = [0.3, -1.2, 1.4, -Infinity, 0.9, 0, -0.4];

  test('come as often as they are likely', async () => {
    const count = 6000;
    for (const [options, probabilities] of [
      [{}, softmax(logits)],
      [{ temperature: 0.5 }, softmax(logits.map((x) => 2 * x))],
      [{ topK: 3 }, softmax(logits.map((x) => (x >= 0.3 ? x : -Infinity)))],
    ] as const) {
      const { tokens } = await generate(
        fixed(logits),
        Array.from({ length: 20 }, () => [0]),
        {
          ...options,
          key: new Key(17),
          maxNewTokens: count / 20,
        },
      );
      const seen = logits.map((_, token) => tokens.flat().filter((other) => other === token).length);
      let chiSquare = 0;
      probabilities.forEach((p, token) => {
        if (p === 0) expect(seen[token]).toBe(0);
        else chiSquare += (seen[token]! - count * p) ** 2 / (count * p);
      });
      // The 0.999 quantile with 5 degrees of freedom.
      expect(chiSquare).toBeLessThan(20.5);
    }
  });

  test('at a border between two tokens are the second', () => {
    // Sums of 4,096 equal probabilities are multiples of 2^-12, which some of the uniform numbers are too.
    let met = 0;
    for (let seed = 0; met < 2; seed++) {
      const u = (new Key(seed).bits(1)[0]! >>> 9) / 2 ** 23;
      if (!Number.isInteger(u * 4096)) continue;
      met++;
      expect(drawn(fromData(new Float32Array(4096), [1, 4096]), new Key(seed)).itemSync()).toBe(u * 4096);
    }
  });

  test('are the same for the same key, and others for another', async () => {
    const run = async (seed: number): Promise<readonly number[]> =>
      (await generate(fixed(logits), [0], { key: new Key(seed), maxNewTokens: 40 })).tokens[0]!;
    expect(await run(1)).toEqual(await run(1));
    expect(await run(1)).not.toEqual(await run(2));
  });

  test('differ among the sequences of one prompt', async () => {
    const options = { ...all, key: new Key(0), numReturnSequences: 5, maxNewTokens: 12 };
    const { tokens, sequences } = await generate(llama, some.slice(0, 2), options);
    expect(new Set(tokens.map(String)).size).toBe(10);
    expect(sequences.map((row) => row[0])).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1].map((i) => some[i]![0]));
    const alone = await generate(llama, some[0]!, { ...options, numReturnSequences: 1 });
    expect(alone.tokens[0]).toEqual(tokens[0]);
  });
});

test('contrastive search by its definition', async () => {
  const [alpha, k] = [0.6, 4];
  const hiddenOf = (row: readonly number[]): number[][] => {
    const x = llama.forward(ids(row), { outputHiddenStates: true }).hiddenStates!.at(-1)!;
    return x.squeeze(0).toArraySync() as number[][];
  };
  const cosine = (a: readonly number[], b: readonly number[]): number => {
    const dot = (x: readonly number[], y: readonly number[]): number =>
      x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  };
  const plain = (prompt: readonly number[], count: number): number[] => {
    const row = [...prompt];
    for (let i = 0; i < count; i++) {
      const p = softmax(lastLogits(llama, row));
      const best = p
        .map((value, token) => ({ value, token }))
        .toSorted((a, b) => b.value - a.value)
        .slice(0, k);
      const context = hiddenOf(row);
      const scores = best.map(({ value, token }) => {
        const own = hiddenOf([...row, token]).at(-1)!;
        return (1 - alpha) * value - alpha * Math.max(...context.map((h) => cosine(h, own)));
      });
      row.push(best[argMax(scores)]!.token);
    }
    return row.slice(prompt.length);
  };
  const expected = prompts.map((prompt) => plain(prompt, 12));
  expect(expected).not.toEqual(
    prompts.map((prompt) => plainGreedy((row) => lastLogits(llama, row), prompt, 12)),
  );
  for (const cache of ['growing', 'fixed', 'none'] as const) {
    const options = { ...all, penaltyAlpha: alpha, topK: k, maxNewTokens: 12, cache };
    expect((await generate(llama, prompts, options)).tokens).toEqual(expected);
    for (const [i, prompt] of prompts.entries())
      expect((await generate(llama, prompt, options)).tokens).toEqual([expected[i]]);
  }
  // Whatever padding is like.
  for (let padTokenId = 0; padTokenId < vocabSize; padTokenId += 3) {
    const options = { ...all, penaltyAlpha: 0.95, topK: k, maxNewTokens: 4, padTokenId };
    const together = await generate(llama, prompts, options);
    expect(together.tokens[2]).toEqual((await generate(llama, prompts[2]!, options)).tokens[0]);
  }
  const before = memoryStats();
  await generate(llama, prompts[0]!, { ...all, penaltyAlpha: alpha, topK: k, maxNewTokens: 12 });
  expectNoMore(before);
});

test.each([
  ['Infini-Transformer', infini, infini],
  ['Transformer-XL', xl, xl],
] as const)(
  'contrastive search of segments is that of texts read anew for each token: %s',
  async (_, plain, decoder) => {
    const anew: GenerativeModel = {
      forward: (tokens: Tensor) => plain.forward(tokens, { outputHiddenStates: true }),
    };
    for (const prompt of some) {
      const options = { ...all, penaltyAlpha: 0.6, topK: 4, maxNewTokens: 13 };
      const { tokens } = await generate(decoder, prompt, options);
      expect(tokens).toEqual((await generate(anew, prompt, options)).tokens);
      expect(tokens).not.toEqual((await generate(decoder, prompt, { ...all, maxNewTokens: 13 })).tokens);
    }
  },
);

/** Says these tokens, one after the other, whatever it has read. */
function fixedTokens(tokens: readonly number[]): GenerativeModel {
  let at = 0;
  return {
    forward: () => {
      const token = tokens[at++];
      const logits = Float32Array.from({ length: 10 }, (_, i) => Number(i === token));
      return { logits: fromData(logits, [1, 1, 10]) };
    },
  };
}

describe('the end', () => {
  const decode = (tokens: readonly number[]): string =>
    tokens.map((token) => String.fromCharCode(97 + (token % 26))).join('');

  test('stop strings end a row, also across tokens, and are no part of its text', async () => {
    const whole = (await generate(llama, prompts, { ...all, maxNewTokens: 20, decode })).texts!;
    const stops = [whole[1]!.slice(6, 9), whole[0]!.slice(9, 13)];
    const { texts, tokens, finishReasons } = await generate(llama, prompts, {
      ...all,
      maxNewTokens: 20,
      decode,
      stopStrings: stops,
    });
    whole.forEach((text, i) => {
      const ends = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
      const at = Math.min(text.length, ...ends);
      expect(texts![i]).toBe(text.slice(0, at));
      expect(finishReasons[i]).toBe(ends.length > 0 ? 'stop' : 'length');
      const found = stops.find((stop) => text.startsWith(stop, at)) ?? '';
      expect(decode(tokens[i]!)).toBe(text.slice(0, at) + found);
    });
    expect(finishReasons).toContain('stop');
    expect(finishReasons).toContain('length');
  });

  test('a stream of text gives whole characters, and nothing of what ends it', async () => {
    // Each token is half of a character of two bytes, or a whole one of one byte.
    const bytes = (tokens: readonly number[]): string =>
      new TextDecoder().decode(
        Uint8Array.from(
          tokens.flatMap((t) => (t % 3 === 0 ? [97 + (t % 26)] : t % 3 === 1 ? [0xc3] : [0xa0 + t])),
        ),
      );
    for (const decoder of [decode, bytes])
      for (const prompt of prompts) {
        const options = { ...all, maxNewTokens: 20, decode: decoder };
        const whole = (await generate(llama, prompt, options)).texts![0]!;
        const within = whole.replaceAll('\uFFFD', '');
        for (const stopStrings of [
          [],
          [within.slice(2, 5)],
          [`${within.slice(1, 3)}?`, within.slice(4, 6)],
        ]) {
          const expected = (await generate(llama, prompt, { ...options, stopStrings })).texts![0]!;
          const pieces: string[] = [];
          for await (const piece of streamText(llama, prompt, { ...options, stopStrings }))
            pieces.push(piece);
          expect(pieces.join('')).toBe(expected);
          expect(pieces).not.toContain('');
        }
      }
    const pieces: string[] = [];
    const scripted = fixedTokens([1, 9, 8, 0]);
    const euro = (tokens: readonly number[]): string =>
      new TextDecoder().decode(
        Uint8Array.from(tokens.flatMap((t) => [0x61, 0xe2, 0, 0, 0, 0, 0, 0, 0xac, 0x82][t]!)),
      );
    for await (const piece of streamText(scripted, [0], { decode: euro, maxNewTokens: 4 }))
      pieces.push(piece);
    expect(pieces).toEqual(['€', 'a']);
  });

  test('a long stream of text decodes the end of it alone for each token, and gives the same text', async () => {
    const count = 700;
    // Characters of one to four bytes, one byte a token, and texts that begin like a stop string.
    const bytes = new TextEncoder().encode('aé漢😀 ab abc '.repeat(40)).subarray(0, count);
    const scripted = (): GenerativeModel => {
      let at = 0;
      return {
        forward: () => {
          const row = new Float32Array(256);
          row[bytes[at++]!] = 1;
          return { logits: fromData(row, [1, 1, 256]) };
        },
      };
    };
    for (const stopStrings of [[], ['abcd'], ['ab abc aéx', '漢😀 ab abc aé漢😀 ab abc aéQ']]) {
      let most = 0;
      let calls = 0;
      const decoder = (tokens: readonly number[]): string => {
        calls++;
        if (tokens.length < count) most = Math.max(most, tokens.length);
        return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(tokens));
      };
      const pieces: string[] = [];
      const options = { decode: decoder, stopStrings, maxNewTokens: count, eosTokenId: null };
      for await (const piece of streamText(scripted(), [0], options)) pieces.push(piece);
      expect(pieces.join('')).toBe(new TextDecoder().decode(bytes));
      expect(pieces.length).toBeGreaterThan(30);
      expect(pieces.slice(0, -1).join('')).not.toContain('\uFFFD');
      expect(most).toBeLessThan(160);
      expect(calls).toBeLessThan(3 * count);
    }
  });

  test('end tokens and stop tokens end rows; only end tokens wait for minNewTokens', async () => {
    const whole = (await generate(llama, prompts[1]!, { ...all, maxNewTokens: 20 })).tokens[0]!;
    const token = whole[5]!;
    const first = whole.indexOf(token);
    for (const options of [{ eosTokenId: [token] }, { ...all, stopTokenIds: [token] }]) {
      const { tokens, finishReasons, texts } = await generate(llama, prompts[1]!, { ...options, decode });
      expect(tokens).toEqual([whole.slice(0, first + 1)]);
      expect(texts).toEqual([decode(whole.slice(0, first))]);
      expect(finishReasons).toEqual(['end']);
    }
    const held = await generate(llama, prompts[1]!, { eosTokenId: token, minNewTokens: 10 });
    expect(held.tokens[0]!.slice(0, 10)).not.toContain(token);
    expect(held.tokens[0]!.length).toBeGreaterThanOrEqual(10);
    const stopped = await generate(llama, prompts[1]!, { ...all, stopTokenIds: [token], minNewTokens: 10 });
    expect(stopped.tokens).toEqual([whole.slice(0, first + 1)]);
  });

  test('rows that have ended are null in further steps', async () => {
    const rows: (number | null)[][] = prompts.map(() => []);
    for await (const { tokens } of generationSteps(llama, prompts, { maxNewTokens: 24 }))
      tokens.forEach((token, i) => rows[i]!.push(token));
    const { tokens } = await generate(llama, prompts, { maxNewTokens: 24 });
    rows.forEach((row, i) => {
      expect(row.slice(0, tokens[i]!.length)).toEqual(tokens[i]);
      expect(row.slice(tokens[i]!.length).every((token) => token === null)).toBe(true);
    });
    expect(new Set(tokens.map(({ length }) => length)).size).toBeGreaterThan(1);
  });

  test('a signal ends generation while it runs, and the memory comes back', async () => {
    await generate(t5, some[0]!, { numBeams: 2 });
    const before = memoryStats();
    for (const options of [{}, { numBeams: 2 }] as GenerationOptions[]) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error('enough')), 30);
      const endless = generate(t5, some[0]!, {
        ...all,
        ...options,
        maxNewTokens: 1e6,
        signal: controller.signal,
      });
      await expect(endless).rejects.toThrow('enough');
    }
    const late = generate(llama, prompts[0]!, { signal: AbortSignal.abort(new Error('before')) });
    await expect(late).rejects.toThrow('before');
    expectNoMore(before);
  });

  test('leaving a stream gives the memory back', async () => {
    await generate(llama, prompts[0]!, { ...all, maxNewTokens: 50 });
    const before = memoryStats();
    let count = 0;
    for await (const _ of stream(llama, prompts[0]!, { ...all, maxNewTokens: 50 })) if (++count === 5) break;
    expectNoMore(before);
  });
});

describe('prompts', () => {
  const expected = async (): Promise<unknown> => (await generate(llama, prompts)).tokens;
  const length = Math.max(...prompts.map((row) => row.length));
  const left = <T>(row: readonly T[], fill: T): T[] => [
    ...new Array<T>(length - row.length).fill(fill),
    ...row,
  ];
  const padded = (fill: number): Tensor =>
    fromData(Int32Array.from(prompts.flatMap((row) => left(row, fill))), [prompts.length, length]);
  const mask = prompts.map((row) =>
    left<number>(
      row.map(() => 1),
      0,
    ),
  );

  test('are rows, or a tensor with a mask or a padding token', async () => {
    expect((await generate(llama, padded(0))).tokens).toEqual(await expected());
    expect((await generate(llama, padded(9), { attentionMask: mask })).tokens).toEqual(await expected());
    const attentionMask = fromData(Uint8Array.from(mask.flat()), [prompts.length, length], { dtype: 'bool' });
    expect((await generate(llama, padded(9), { attentionMask })).tokens).toEqual(await expected());
    const one = fromData(Int32Array.from(prompts[2]!), [prompts[2]!.length]);
    expect((await generate(llama, one)).tokens[0]).toEqual((await generate(llama, prompts[2]!)).tokens[0]);
  });

  test('of an encoder may be padded on either side', async () => {
    const whole = await generate(t5, some);
    const right = some.flatMap((row) => [...row, ...new Array<number>(length - row.length).fill(0)]);
    const tensor = fromData(Int32Array.from(right), [some.length, length]);
    expect((await generate(t5, tensor)).tokens).toEqual(whole.tokens);
    expect(whole.sequences.every((row) => row[0] === 0)).toBe(true);
  });
});
