/** Markov chains: text whose best possible loss is known, so that a test compares with a theorem and not with a lucky number. */
import { ValueError, type Key } from '@infinigrad/tensor';
import { checkCount, checkTokens, type Tokens } from './checks.ts';
import { cumulativeOf, Draws } from './draws.ts';

/** Windows are numbered as numbers to the base of `states`, the oldest token first. */
const mostWindows = 2 ** 24;

/** A stationary chain over the tokens 0 … states - 1. All floors are in nats for each token. */
export class MarkovChain {
  readonly states: number;
  /** Tokens that decide over the next one. */
  readonly order: number;
  /** P(next | context), [states^order][states]. */
  readonly transition: readonly Float64Array[];
  /** P(context) anywhere in a long text. */
  readonly stationary: Float64Array;

  /**
   * @param transition a row for each context: states^order rows of `states` probabilities
   * @throws ValueError for rows that are no probabilities, and for a chain that does not forget where it began
   */
  constructor(transition: readonly ArrayLike<number>[]) {
    const op = 'MarkovChain';
    const states = transition[0]?.length ?? 0;
    let order = 0;
    for (let rows = 1; states >= 2 && rows < transition.length; rows *= states) order++;
    if (order < 1 || states ** order !== transition.length)
      throw new ValueError(
        op,
        `needs states^order rows of at least 2 states, got ${transition.length} rows of ${states}`,
      );
    transition.forEach((row, i) => {
      const probabilities = Array.from(row);
      const sum = probabilities.reduce((a, b) => a + b, 0);
      if (row.length !== states || !probabilities.every((p) => p >= 0) || !(Math.abs(sum - 1) <= 1e-9))
        throw new ValueError(
          op,
          `row ${i} must be ${states} probabilities, it has ${row.length} of sum ${sum}`,
        );
    });
    this.states = states;
    this.order = order;
    this.transition = transition.map((row) => Float64Array.from(row));
    this.stationary = settled(this.transition, states);
  }

  /** P of each window of so many tokens, [states^length]. */
  windows(length: number): Float64Array {
    const op = 'MarkovChain.windows';
    checkCount(op, 'length', length, 0);
    const { states, order, stationary } = this;
    if (states ** length > mostWindows)
      throw new ValueError(op, `${states}^${length} windows are more than ${mostWindows}`);
    const known = Math.min(length, order);
    let joint: Float64Array = new Float64Array(states ** known);
    stationary.forEach((p, context) => (joint[context % joint.length]! += p));
    for (let n = known; n < length; n++) joint = extended(joint, this.transition, states);
    return joint;
  }

  /** Entropy of a token on its own: the floor without context. */
  get unigram(): number {
    return entropyOf(this.windows(1));
  }

  /** Entropy of a token given the one before: the floor of a bigram table. It is `rate` for order 1. */
  get bigram(): number {
    return entropyOf(this.windows(2)) - this.unigram;
  }

  /** Entropy of a token given all before it: the floor of a causal language model. */
  get rate(): number {
    return this.stationary.reduce((sum, p, context) => sum + p * entropyOf(this.transition[context]!), 0);
  }

  /**
   * The floor of a causal model over rows of so many tokens that begin anywhere, their first token being given: the next ones
   * have less than `order` tokens before them.
   */
  rowFloor(length: number): number {
    checkCount('MarkovChain.rowFloor', 'length', length, 2);
    const short = Math.min(this.order, length);
    const early = entropyOf(this.windows(short)) - this.unigram;
    return (early + (length - short) * this.rate) / (length - 1);
  }

  /** Entropy of a token given all others, before and after: the floor of one masked token alone. */
  get twoSided(): number {
    const { states, order } = this;
    const joint = this.windows(2 * order + 1);
    const after = states ** order;
    const around = new Float64Array(after * after);
    joint.forEach((p, window) => {
      const before = Math.floor(window / (after * states));
      around[before * after + (window % after)]! += p;
    });
    return entropyOf(joint) - entropyOf(around);
  }

  /**
   * The floor of masked tokens of a chain of order 1 in a long text of which each token is masked with this probability, all of the masked
   * ones by [MASK]: neighbours that are masked too are looked past.
   */
  maskedFloor(rate: number): number {
    const op = 'MarkovChain.maskedFloor';
    if (this.order !== 1) throw new ValueError(op, `needs a chain of order 1, this one has ${this.order}`);
    if (!(rate >= 0 && rate <= 0.9)) throw new ValueError(op, `rate must lie in [0, 0.9], got ${rate}`);
    // powers[i] is P^(i + 1)
    const powers = [this.transition];
    let floor = 0;
    for (let sum = 0; rate ** sum > 1e-13; sum++) {
      powers[sum + 1] = product(powers[sum]!, this.transition);
      let at = 0;
      for (let i = 0; i <= sum; i++) at += this.#between(powers[i]!, powers[sum - i]!);
      floor += (1 - rate) ** 2 * rate ** sum * at;
      if (rate === 0) break;
    }
    return floor;
  }

  /** H(b | a, c), where a comes so many steps before b, and c so many after. */
  #between(before: readonly Float64Array[], after: readonly Float64Array[]): number {
    const all: number[] = [];
    const around = new Float64Array(this.states ** 2);
    for (let a = 0; a < this.states; a++)
      for (let b = 0; b < this.states; b++)
        for (let c = 0; c < this.states; c++) {
          const p = this.stationary[a]! * before[a]![b]! * after[b]![c]!;
          all.push(p);
          around[a * this.states + c]! += p;
        }
    return entropyOf(all) - entropyOf(around);
  }

  /** A text of so many tokens that begins anywhere. */
  sample(length: number, key: Key): Int32Array {
    checkCount('MarkovChain.sample', 'length', length, 0);
    const draws = new Draws(key);
    const rows = this.transition.map((row) => cumulativeOf(Array.from(row)));
    const contexts = this.stationary.length;
    let context = draws.pick(cumulativeOf(Array.from(this.stationary)));
    const text = new Int32Array(length);
    for (let t = 0; t < length; t++) {
      if (t >= this.order) {
        const next = draws.pick(rows[context]!);
        text[t] = next;
        context = (context * this.states + next) % contexts;
      } else text[t] = Math.floor(context / this.states ** (this.order - 1 - t)) % this.states;
    }
    return text;
  }

  /** Texts of so many tokens, each by a key of its own. */
  samples(count: number, length: number, key: Key): Int32Array[] {
    checkCount('MarkovChain.samples', 'count', count, 0);
    return Array.from({ length: count }, (_, i) => this.sample(length, key.foldIn(i)));
  }

  /** -log P of each token after the first `order` ones. Its mean nears `rate`, with a spread that tells how far a loss may lie below. */
  surprises(tokens: Tokens): Float64Array {
    const op = 'MarkovChain.surprises';
    checkTokens(op, tokens, 0);
    const { states, order } = this;
    const out = new Float64Array(Math.max(0, tokens.length - order));
    let context = 0;
    for (let t = 0; t < tokens.length; t++) {
      const token = tokens[t]!;
      if (token >= states) throw new ValueError(op, `token ${token} is no state: there are ${states}`);
      if (t >= order) out[t - order] = -Math.log(this.transition[context]![token]!);
      context = (context * states + token) % this.stationary.length;
    }
    return out;
  }
}

export interface RandomChainOptions {
  readonly states: number;
  /** Tokens that decide over the next one. Default 1. */
  readonly order?: number;
  /**
   * An integer: each row is proportional to u^-sharpness, u uniform in (0, 1). 0 makes all states as likely, and the more, the fewer are likely
   * at all. Default 1.
   */
  readonly sharpness?: number;
}

/** A chain drawn by a key. @throws ValueError for settings out of range */
export function randomChain({ states, order = 1, sharpness = 1 }: RandomChainOptions, key: Key): MarkovChain {
  const op = 'randomChain';
  checkCount(op, 'states', states, 2);
  checkCount(op, 'order', order);
  checkCount(op, 'sharpness', sharpness, 0);
  if (states ** (order + 1) > mostWindows || sharpness > 8)
    throw new ValueError(
      op,
      `states^(order + 1) must be ≤ ${mostWindows} and sharpness ≤ 8, got ${states}, ${order}, ${sharpness}`,
    );
  const draws = new Draws(key);
  return new MarkovChain(
    Array.from({ length: states ** order }, () => {
      const weights = Array.from({ length: states }, () => {
        const u = draws.unit() + 2 ** -53;
        let weight = 1;
        for (let i = 0; i < sharpness; i++) weight /= u;
        return weight;
      });
      const sum = weights.reduce((a, b) => a + b, 0);
      return weights.map((weight) => weight / sum);
    }),
  );
}

/** -Σ p log p. */
export function entropyOf(probabilities: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) {
    const p = probabilities[i]!;
    if (p > 0) sum -= p * Math.log(p);
  }
  return sum;
}

/** Windows that are one token longer. */
function extended(joint: Float64Array, transition: readonly Float64Array[], states: number): Float64Array {
  const longer = new Float64Array(joint.length * states);
  joint.forEach((p, window) => {
    const row = transition[window % transition.length]!;
    for (let next = 0; next < states; next++) longer[window * states + next] = p * row[next]!;
  });
  return longer;
}

/** The law that one more token leaves as it is. */
function settled(transition: readonly Float64Array[], states: number): Float64Array {
  const contexts = transition.length;
  let now = new Float64Array(contexts).fill(1 / contexts);
  for (let step = 0; step < 20_000; step++) {
    const next = new Float64Array(contexts);
    extended(now, transition, states).forEach((p, window) => (next[window % contexts]! += p));
    const moved = next.reduce((sum, p, i) => sum + Math.abs(p - now[i]!), 0);
    now = next;
    if (moved < 1e-14) return now;
  }
  throw new ValueError('MarkovChain', 'the chain does not settle', {
    hint: 'every state must be reached from every other, and not in a fixed rhythm',
  });
}

function product(a: readonly Float64Array[], b: readonly Float64Array[]): Float64Array[] {
  return a
    .map((row) => b.map((_, j) => row.reduce((sum, p, k) => sum + p * b[k]![j]!, 0)) as number[])
    .map((row) => Float64Array.from(row));
}
