/**
 * A pre-norm GPT as every peer here trains it.
 *
 * - Learned positions; blocks of LayerNorm, causal attention, LayerNorm and an MLP with the tanh approximation of gelu.
 * - Queries, keys and values from one linear layer; biases throughout but in the head, which is not tied to the embedding.
 * - Decoding with the keys and values of the positions before: `caches`.
 */
import { causalAttention, Embedding, KeyValueCache, LayerNorm, Linear, Module } from '@infinigrad/nn';
import { Key, type Tensor } from '@infinigrad/tensor';
import type { GptSizes } from './workload/gpt.ts';

class Block extends Module {
  readonly norm1: LayerNorm;
  readonly qkv: Linear;
  readonly proj: Linear;
  readonly norm2: LayerNorm;
  readonly up: Linear;
  readonly down: Linear;
  private readonly heads: number;

  constructor({ width, heads, inner }: GptSizes, key: Key) {
    super();
    const [qkv, proj, up, down] = key.split(4) as [Key, Key, Key, Key];
    this.heads = heads;
    this.norm1 = new LayerNorm(width);
    this.qkv = new Linear(width, 3 * width, { key: qkv });
    this.proj = new Linear(width, width, { key: proj });
    this.norm2 = new LayerNorm(width);
    this.up = new Linear(width, inner, { key: up });
    this.down = new Linear(inner, width, { key: down });
  }

  forward(x: Tensor, cache?: KeyValueCache): Tensor {
    const [batch, length, width] = x.shape as [number, number, number];
    const heads = this.qkv
      .forward(this.norm1.forward(x))
      .reshape([batch, length, 3, this.heads, width / this.heads])
      .permute([2, 0, 3, 1, 4]);
    const [own, values] = [heads.select(0, 1), heads.select(0, 2)];
    const seen = cache ? cache.append(own, values) : { keys: own, values };
    const mixed = causalAttention(heads.select(0, 0), seen.keys, seen.values);
    const middle = x.add(this.proj.forward(mixed.transpose(1, 2).reshape([batch, length, width])));
    return middle.add(this.down.forward(this.up.forward(this.norm2.forward(middle)).geluTanh()));
  }
}

export class Gpt extends Module {
  readonly tokens: Embedding;
  readonly positions: Embedding;
  readonly blocks: readonly Block[];
  readonly norm: LayerNorm;
  readonly head: Linear;

  constructor(sizes: GptSizes, key: Key) {
    super();
    const { layers, width, length, vocabulary } = sizes;
    const [tokens, positions, head, ...blocks] = key.split(3 + layers) as [Key, Key, Key, ...Key[]];
    this.tokens = new Embedding(vocabulary, width, { key: tokens, std: 0.02 });
    this.positions = new Embedding(length, width, { key: positions, std: 0.02 });
    this.blocks = blocks.map((block) => new Block(sizes, block));
    this.norm = new LayerNorm(width);
    this.head = new Linear(width, vocabulary, { key: head, bias: false });
  }

  /** One a block, empty. */
  newCaches(): KeyValueCache[] {
    return this.blocks.map(() => new KeyValueCache());
  }

  /** Logits [batch, length, vocabulary] for tokens [batch, length] (i32), after those that `caches` have read. */
  forward(ids: Tensor, caches?: readonly KeyValueCache[]): Tensor {
    const length = ids.shape[1]!;
    const start = caches?.[0]!.length ?? 0;
    let x = this.tokens.forward(ids).add(this.positions.weight.narrow(0, start, length));
    this.blocks.forEach((block, i) => {
      x = block.forward(x, caches?.[i]);
    });
    return this.head.forward(this.norm.forward(x));
  }
}
