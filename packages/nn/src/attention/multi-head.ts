/**
 * Multi-head attention.
 *
 * - Heads of keys and values may be fewer than those of queries: grouped-query (arXiv 2305.13245) and multi-query attention (1911.02150).
 * - Attends to itself, causally or not, within a window or not, or to another sequence.
 * - Positions by turning queries and keys (RoPE) or in the scores (ALiBi, T5, Transformer-XL); norms of queries and keys;
 *   capped scores; dropout of weights.
 * - Reads a sequence in pieces with a cache of keys and values.
 */
import {
  broadcastShapes,
  DTypeError,
  sameShape,
  ShapeError,
  Tensor,
  ValueError,
  type Key,
} from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';
import { Linear } from '../layers/linear.ts';
import { LayerNorm, RMSNorm } from '../layers/norm.ts';
import { Module } from '../module.ts';
import type { Positions } from '../positions/positions.ts';
import type { RotaryEmbedding } from '../positions/rope.ts';
import type { ScorePositions } from '../positions/score-positions.ts';
import { grouped, groupedHeads, joinedHeads, splitHeads } from './heads.ts';
import { AttentionMask, causalMask, prefixMask } from './masks.ts';
import type { MultiHeadAttentionInputs, MultiHeadAttentionOptions } from './multi-head-options.ts';
import {
  attentionWithWeights,
  scaledDotProductAttention,
  type AttentionOptions,
  type WeightedAttention,
} from './scaled-dot-product.ts';

interface Heads {
  /** [batch, kvHeads, S, headDim]. */
  readonly keys: Tensor;
  readonly values: Tensor;
}

export class MultiHeadAttention extends Module {
  readonly dim: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly causal: boolean;
  readonly window: number | null;
  readonly scale: number;
  readonly softcap: number | null;
  readonly dropout: number;
  readonly rope: RotaryEmbedding | null;
  readonly scorePositions: ScorePositions | null;
  /** [numHeads · headDim, dim]. */
  readonly qProj: Linear;
  /** [numKvHeads · headDim, kvDim]. */
  readonly kProj: Linear;
  /** [numKvHeads · headDim, kvDim]. */
  readonly vProj: Linear;
  /** [dim, numHeads · headDim]. */
  readonly oProj: Linear;
  /** Over headDim. */
  readonly qNorm: RMSNorm | LayerNorm | null;
  readonly kNorm: RMSNorm | LayerNorm | null;
  /** What errors name. */
  protected readonly name: string;

  /** @throws ValueError for sizes and options that make no layer */
  constructor(dim: number, options: MultiHeadAttentionOptions, name = 'MultiHeadAttention') {
    super();
    const {
      numHeads,
      numKvHeads = numHeads,
      headDim = dim / numHeads,
      kvDim = dim,
      bias = true,
      outBias = bias,
      causal = false,
      window = null,
      scale = 1 / Math.sqrt(headDim),
      softcap = null,
      rope = null,
      scorePositions = null,
      qkNorm = null,
      qkNormEps: eps = 1e-6,
      dropout = 0,
      key,
      std,
      dtype = 'f32',
    } = options;
    checkSizes(name, { dim, numHeads, numKvHeads, headDim, kvDim, ...(window !== null && { window }) });
    if (numHeads % numKvHeads !== 0)
      throw new ValueError(name, `numHeads ${numHeads} is not a multiple of numKvHeads ${numKvHeads}`);
    if (rope && rope.headDim !== headDim)
      throw new ValueError(name, `the rotary embedding is for headDim ${rope.headDim}, not ${headDim}`);
    if (!Number.isFinite(scale)) throw new ValueError(name, `the scale must be finite, got ${scale}`);
    if (softcap !== null && !(softcap > 0 && softcap < Infinity))
      throw new ValueError(name, `softcap must be a number > 0, got ${softcap}`);
    if (!(dropout >= 0 && dropout <= 1))
      throw new ValueError(name, `dropout must lie in [0, 1], got ${dropout}`);
    if (qkNorm !== null && qkNorm !== 'rms' && qkNorm !== 'layer')
      throw new ValueError(name, `qkNorm must be 'rms', 'layer' or null, got '${String(qkNorm)}'`);
    const keys = key.split(4) as [Key, Key, Key, Key];
    const linear = (inputs: number, outputs: number, k: Key, withBias: boolean): Linear =>
      new Linear(inputs, outputs, { key: k, bias: withBias, dtype, ...(std !== undefined && { std }) });
    const norm = (): RMSNorm | LayerNorm | null =>
      qkNorm === null ? null : new (qkNorm === 'rms' ? RMSNorm : LayerNorm)(headDim, { eps, dtype });
    this.dim = dim;
    this.numHeads = numHeads;
    this.numKvHeads = numKvHeads;
    this.headDim = headDim;
    this.causal = causal || window !== null;
    this.window = window;
    this.scale = scale;
    this.softcap = softcap;
    this.dropout = dropout;
    this.rope = rope;
    this.scorePositions = scorePositions;
    this.qProj = linear(dim, numHeads * headDim, keys[0], bias);
    this.kProj = linear(kvDim, numKvHeads * headDim, keys[1], bias);
    this.vProj = linear(kvDim, numKvHeads * headDim, keys[2], bias);
    this.oProj = linear(numHeads * headDim, dim, keys[3], outBias);
    this.qNorm = norm();
    this.kNorm = norm();
    this.name = name;
  }

  /**
   * @param x [batch, T, dim], or [T, dim] for one sequence
   * @returns of x's shape
   * @throws ShapeError, DTypeError, ValueError for inputs that do not fit
   */
  forward(x: Tensor, inputs: MultiHeadAttentionInputs = {}): Tensor {
    return this.#run(x, inputs, (q, k, v, options) => ({
      output: scaledDotProductAttention(q, k, v, options),
    })).output;
  }

  /** The same, and the weights [batch, numHeads, T, S] (or [numHeads, T, S]), after dropout. */
  forwardWithWeights(x: Tensor, inputs: MultiHeadAttentionInputs = {}): WeightedAttention {
    const { output, weights } = this.#run(x, inputs, attentionWithWeights);
    return { output, weights: weights! };
  }

  #run(
    x: Tensor,
    inputs: MultiHeadAttentionInputs,
    attend: (
      q: Tensor,
      k: Tensor,
      v: Tensor,
      options: AttentionOptions,
    ) => { output: Tensor; weights?: Tensor },
  ): { output: Tensor; weights?: Tensor } {
    const { name, numHeads, numKvHeads } = this;
    if (x.rank === 2) {
      const one = (y: Tensor | undefined): Tensor | undefined => (y?.rank === 2 ? y.unsqueeze(0) : y);
      const { context, keyMask } = inputs;
      const row = keyMask?.rank === 1 ? keyMask.unsqueeze(0) : keyMask;
      const { output, weights } = this.#run(
        x.unsqueeze(0),
        { ...inputs, context: one(context), keyMask: row },
        attend,
      );
      return { output: output.squeeze(0), ...(weights && { weights: weights.squeeze(0) }) };
    }
    if (x.rank !== 3)
      throw new ShapeError(name, 'needs [batch, T, dim] or [T, dim]', {
        operands: inputs.keyMask ? [x, inputs.keyMask] : [x],
      });
    const { context, cache } = inputs;
    const [batch, length] = x.shape as readonly [number, number, number];
    const count =
      (context && cache?.content)?.keys.shape[2] ?? context?.shape[1] ?? (cache?.kept ?? 0) + length;
    // All that may be wrong is found before the cache reads anything.
    this.#check(x, inputs, count);
    const mask = this.#mask(x, inputs, count);
    const positions = inputs.positions ?? (context ? 0 : (cache?.position ?? 0));
    const normed = (y: Tensor, norm: RMSNorm | LayerNorm | null): Tensor => (norm ? norm.forward(y) : y);
    const queries = normed(groupedHeads(this.qProj.forward(x), numHeads, numKvHeads), this.qNorm);
    const q = this.rope ? this.rope.apply(queries, positions) : queries;
    const { keys, values } = this.#keysAndValues(x, inputs, positions);
    const scored = this.#scored(q, count, inputs.bias);
    const { output, weights } = attend(scored.q, keys.unsqueeze(2), values.unsqueeze(2), {
      bias: scored.bias,
      // With a prefix the mask has causality.
      causal: this.causal && !context && !inputs.prefix,
      window: context ? null : this.window,
      scale: this.scale,
      softcap: this.softcap,
      mask,
      dropout: this.training ? this.dropout : 0,
      key: inputs.key,
    });
    return {
      output: this.oProj.forward(joinedHeads(output)),
      ...(weights && { weights: weights.reshape([batch, numHeads, length, count]) }),
    };
  }

  #keysAndValues(x: Tensor, { context, cache }: MultiHeadAttentionInputs, positions: Positions): Heads {
    const known = context && cache?.content;
    if (known) return known;
    const source = context ?? x;
    const split = (y: Tensor): Tensor => splitHeads(y, this.numKvHeads);
    const projected = split(this.kProj.forward(source));
    const normed = this.kNorm ? this.kNorm.forward(projected) : projected;
    const keys = this.rope ? this.rope.apply(normed, context ? 0 : positions) : normed;
    const values = split(this.vProj.forward(source));
    return cache ? cache.append(keys, values) : { keys, values };
  }

  /** Queries as they meet the keys, and all that is added to their scores, over [batch, kvHeads, group, T, S]. */
  #scored(q: Tensor, keys: number, given: Tensor | null | undefined): { q: Tensor; bias: Tensor | null } {
    const { scorePositions, numKvHeads, numHeads, scale } = this;
    const own = given ? grouped(given, numHeads, numKvHeads) : null;
    if (!scorePositions) return { q, bias: own };
    const [batch, , , length, headDim] = q.shape as readonly [number, number, number, number, number];
    const flat = q.reshape([batch, numHeads, length, headDim]);
    const bias = grouped(scorePositions.bias(flat, keys, scale), numHeads, numKvHeads);
    const moved = scorePositions.queries?.(flat);
    return { q: moved ? moved.reshape(q.shape) : q, bias: own ? bias.add(own) : bias };
  }

  /** All masks in one, over [batch, kvHeads, group, T, S]. */
  #mask(
    { shape, backend }: Tensor,
    { mask, keyMask, context, cache, prefix }: MultiHeadAttentionInputs,
    keys: number,
  ): Tensor | null {
    const queries = shape[1]!;
    const parts: Tensor[] = [];
    const padding = cache && !context ? cache.keyMask(cache.length + queries, keys, backend) : null;
    if (padding) parts.push(padding);
    if (prefix) parts.push(causalMask().or(prefixMask(prefix)).tensor({ queries, keys, backend }));
    if (keyMask) parts.push(keyMask.reshape([keyMask.shape[0]!, 1, 1, keys]));
    if (mask) parts.push(mask instanceof AttentionMask ? mask.tensor({ queries, keys, backend }) : mask);
    if (parts.length === 0) return null;
    return grouped(
      parts.reduce((a, b) => a.logicalAnd(b)),
      this.numHeads,
      this.numKvHeads,
    );
  }

  #check(x: Tensor, inputs: MultiHeadAttentionInputs, keys: number): void {
    const { context, cache, keyMask, mask, bias, key, prefix } = inputs;
    const { name, window, numHeads, scorePositions } = this;
    for (const given of [mask, keyMask])
      if (given instanceof Tensor && given.dtype !== 'bool')
        throw new DTypeError(name, 'the mask must be bool', {
          operands: [given],
          hint: 'true where a key may be seen',
        });
    const [batch, length] = x.shape as readonly [number, number, number];
    if (context && (context.rank !== 3 || context.shape[0] !== batch))
      throw new ShapeError(name, `the context must be [${batch}, S, ${this.kProj.inFeatures}]`, {
        operands: [x, context],
      });
    if (prefix && (!this.causal || window !== null || scorePositions || context))
      throw new ValueError(name, 'a prefix needs causal attention to its own tokens', {
        operands: [x],
        hint: 'without a window, and without positions in the scores',
      });
    if (prefix && prefix.length !== batch)
      throw new ValueError(name, `prefix must hold ${batch} numbers, got [${prefix.join(', ')}]`, {
        operands: [x],
      });
    const scores = { shape: [batch, numHeads, length, keys], dtype: x.dtype };
    for (const given of [mask, bias])
      if (given instanceof Tensor && !sameShape(broadcastShapes(name, [scores, given]), scores.shape))
        throw new ShapeError(name, `the scores are [${scores.shape.join(', ')}]`, { operands: [x, given] });
    if (this.training && this.dropout > 0 && !key)
      throw new ValueError(name, 'needs a key in training, where weights are dropped', {
        operands: [x],
        hint: 'pass forward(x, { key }), or call eval()',
      });
    if (keyMask && !(keyMask.rank === 2 && keyMask.shape[0] === batch && keyMask.shape[1] === keys))
      throw new ShapeError(name, `the mask must be [${batch}, ${keys}]`, { operands: [x, keyMask] });
    if (!cache || context) return;
    if (!this.causal)
      throw new ValueError(name, 'a cache needs causal attention', {
        hint: 'what was read before would have to see what comes later',
      });
    if (cache.window !== undefined && (window === null || cache.window < window))
      throw new ValueError(
        name,
        `the cache keeps the last ${cache.window} tokens, the layer looks ${window === null ? 'at all' : `at ${window}`}`,
      );
  }
}
