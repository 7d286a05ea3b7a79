/**
 * Training of byte-level BPE: the pair of tokens that stands side by side most often becomes a token, again and again. Of pairs that are as
 * frequent the one with the smaller ids comes first, so that a text gives one vocabulary: that of Hugging Face's BpeTrainer.
 */
import { ValueError } from '@infinigrad/tensor';
import { pairBase } from './bpe-merge.ts';
import { BpeTokenizer } from './bpe.ts';
import { byteCharacters, words } from './byte-level.ts';
import { Heap } from './heap.ts';
import { Specials, type SpecialOptions } from './special.ts';

export interface BpeTrainingOptions extends SpecialOptions {
  /** Tokens in all: special ones, 256 bytes, and what is merged. Fewer, where the text gives no more. */
  readonly vocabSize: number;
  /** How often a pair must stand side by side to become a token. Default 2. */
  readonly minFrequency?: number;
  /** Told now and then how many tokens there are. */
  readonly onProgress?: (tokens: number, of: number) => void;
}

const encoder = new TextEncoder();

/** @throws ValueError for a vocabulary that does not hold the bytes and the special tokens */
export function trainBpe(texts: Iterable<string>, options: BpeTrainingOptions): BpeTokenizer {
  const op = 'trainBpe';
  const { vocabSize, minFrequency = 2, onProgress, ...special } = options;
  if (typeof texts === 'string')
    throw new ValueError(op, 'needs a list of texts, got one text', { hint: 'put it into [ ]' });
  const specials = new Specials(op, special, (n) => n);
  const least = specials.texts.length + 256;
  if (!Number.isInteger(vocabSize) || vocabSize < least || vocabSize >= pairBase)
    throw new ValueError(
      op,
      `vocabSize must be an integer from ${least} (${specials.texts.length} special tokens and 256 bytes) to 2^24 - 1, got ${vocabSize}`,
    );
  if (!Number.isInteger(minFrequency) || minFrequency < 1)
    throw new ValueError(op, `minFrequency must be an integer ≥ 1, got ${minFrequency}`);

  // Special tokens, then bytes in the order of their characters.
  const tokens = [...specials.texts, ...byteCharacters.toSorted()];
  const vocab = new Map(tokens.map((token, id) => [token, id]));
  if (vocab.size < tokens.length) throw new ValueError(op, 'a special token is the character of a byte');
  const pairs = new Pairs(counted(texts, specials), (byte) => vocab.get(byteCharacters[byte]!)!);
  const merges: [string, string][] = [];
  while (vocab.size < vocabSize) {
    const best = pairs.best(minFrequency);
    if (!best) break;
    const [first, second] = [tokens[best.first]!, tokens[best.second]!];
    const token = first + second;
    if (specials.id(token) !== undefined) {
      pairs.drop(best);
      continue;
    }
    let id = vocab.get(token);
    if (id === undefined) {
      id = tokens.push(token) - 1;
      vocab.set(token, id);
    }
    merges.push([first, second]);
    pairs.merge(best, id);
    if (merges.length % 1000 === 0) onProgress?.(vocab.size, vocabSize);
  }
  onProgress?.(vocab.size, vocabSize);
  return new BpeTokenizer({ vocab, merges, ...special });
}

/** How often each word stands in the texts, special tokens left out. */
function counted(texts: Iterable<string>, specials: Specials): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    if (typeof text !== 'string') throw new ValueError('trainBpe', `needs texts, got ${typeof text}`);
    for (const { id, from, to } of specials.split(text))
      if (id === null)
        for (const [word] of words(text.slice(from, to))) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

interface Pair {
  readonly first: number;
  readonly second: number;
  /** How often it stands in the texts, now. */
  count: number;
  /** Words that it stands in, or did. */
  readonly words: number[];
}

/** A place in the queue: the pair as often as it was when it was put there. */
interface Entry {
  readonly pair: Pair;
  readonly count: number;
}

/** Pairs that stand side by side in the words, the most frequent first. */
class Pairs {
  readonly #words: { symbols: Int32Array; readonly count: number }[];
  readonly #pairs = new Map<number, Pair>();
  readonly #entries: Entry[] = [];
  readonly #queue = new Heap((a, b) => {
    const [x, y] = [this.#entries[a]!, this.#entries[b]!];
    if (x.count !== y.count) return x.count > y.count;
    return x.pair.first !== y.pair.first ? x.pair.first < y.pair.first : x.pair.second < y.pair.second;
  });

  constructor(counts: ReadonlyMap<string, number>, byteId: (byte: number) => number) {
    const ids = Int32Array.from({ length: 256 }, (_, byte) => byteId(byte));
    this.#words = Array.from(counts, ([word, count]) => ({
      symbols: Int32Array.from(encoder.encode(word), (byte) => ids[byte]!),
      count,
    }));
    this.#words.forEach(({ symbols, count }, word) => {
      for (let i = 1; i < symbols.length; i++) this.#add(symbols[i - 1]!, symbols[i]!, count, word);
    });
    for (const pair of this.#pairs.values()) this.#enqueue(pair);
  }

  #add(first: number, second: number, count: number, word: number): Pair {
    const key = first * pairBase + second;
    let pair = this.#pairs.get(key);
    if (!pair) {
      pair = { first, second, count: 0, words: [] };
      this.#pairs.set(key, pair);
    }
    pair.count += count;
    if (count > 0 && pair.words.at(-1) !== word) pair.words.push(word);
    return pair;
  }

  #enqueue(pair: Pair): void {
    this.#queue.push(this.#entries.push({ pair, count: pair.count }) - 1);
  }

  /** The most frequent pair, if it is frequent enough. */
  best(least: number): Pair | null {
    for (let top = this.#queue.pop(); top !== undefined; top = this.#queue.pop()) {
      const { pair, count } = this.#entries[top]!;
      if (count !== pair.count) {
        // Others took of it since.
        if (pair.count > 0) this.#enqueue(pair);
        continue;
      }
      return count >= least ? pair : null;
    }
    return null;
  }

  /** Leaves a pair as it is, for good. */
  drop(pair: Pair): void {
    pair.count = 0;
    pair.words.length = 0;
  }

  /** Makes one token of a pair, wherever it stands. */
  merge({ first, second, words: where }: Pair, id: number): void {
    const grown = new Set<Pair>();
    for (const number of where) {
      const word = this.#words[number]!;
      const { symbols, count } = word;
      let length = 0;
      for (let i = 0; i < symbols.length; i++) {
        if (symbols[i] !== first || symbols[i + 1] !== second) {
          symbols[length++] = symbols[i]!;
          continue;
        }
        if (length > 0) {
          this.#add(symbols[length - 1]!, first, -count, number);
          grown.add(this.#add(symbols[length - 1]!, id, count, number));
        }
        i++;
        if (i + 1 < symbols.length) {
          this.#add(second, symbols[i + 1]!, -count, number);
          grown.add(this.#add(id, symbols[i + 1]!, count, number));
        }
        symbols[length++] = id;
      }
      if (length < symbols.length) word.symbols = symbols.slice(0, length);
    }
    this.drop(this.#pairs.get(first * pairBase + second)!);
    for (const pair of grown) if (pair.count > 0) this.#enqueue(pair);
  }
}
