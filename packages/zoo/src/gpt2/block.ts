/** The block that GPT-2 and GPT-Neo are made of, and the sizes and options in which they differ. */
import {
  Dropout,
  LayerNorm,
  MLP,
  Module,
  MultiHeadAttention,
  type MultiHeadAttentionInputs,
} from '@infinigrad/nn';
import type { FloatDType, Key, Tensor } from '@infinigrad/tensor';
import { activationNamed, type HiddenAct } from '../core/activations.ts';

/** A decoder with learned positions. */
export interface GPTSizes {
  /** What errors name. */
  readonly name: string;
  readonly vocabSize: number;
  readonly positions: number;
  readonly hiddenSize: number;
  /** Width of the feed-forward layers. */
  readonly innerSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly activation: HiddenAct;
  readonly epsilon: number;
  readonly embeddingDropout: number;
  /** After attention and after the feed-forward layer. */
  readonly residualDropout: number;
  readonly attentionDropout: number;
  /** Standard deviation of initial weights. */
  readonly std: number;
  /** Of those whose result is added to the residual stream, as a share of it. */
  readonly residualGain: number;
  /** Biases of the projections of queries, keys and values; all other layers have them. */
  readonly queryBias: boolean;
  /** Factor of the scores of a layer. */
  readonly scale: (layer: number) => number;
  /** Tokens that those of a layer see, themselves included; null: all before. */
  readonly window: (layer: number) => number | null;
}

/** x + attention(ln1 x), then x + mlp(ln2 x). */
export class GPTBlock extends Module {
  readonly ln1: LayerNorm;
  readonly attn: MultiHeadAttention;
  readonly ln2: LayerNorm;
  readonly mlp: MLP;
  readonly drop: Dropout;

  constructor(sizes: GPTSizes, layer: number, key: Key, dtype: FloatDType) {
    super();
    const { hiddenSize, epsilon: eps, std } = sizes;
    const [attention, mlp] = key.split(2) as [Key, Key];
    this.ln1 = new LayerNorm(hiddenSize, { eps, dtype });
    this.attn = new MultiHeadAttention(
      hiddenSize,
      {
        numHeads: sizes.heads,
        bias: sizes.queryBias,
        outBias: true,
        causal: true,
        window: sizes.window(layer),
        scale: sizes.scale(layer),
        dropout: sizes.attentionDropout,
        key: attention,
        std,
        dtype,
      },
      sizes.name,
    );
    this.ln2 = new LayerNorm(hiddenSize, { eps, dtype });
    const activation = activationNamed(sizes.activation);
    this.mlp = new MLP(hiddenSize, sizes.innerSize, { activation, key: mlp, std, dtype });
    this.drop = new Dropout(sizes.residualDropout);
    if (sizes.residualGain !== 1)
      for (const { weight } of [this.attn.oProj, this.mlp.downProj])
        weight.assign(weight.detach().mul(sizes.residualGain));
  }

  /** @param x [batch, length, hiddenSize] */
  forward(x: Tensor, inputs: MultiHeadAttentionInputs = {}): Tensor {
    const [attention, ...keys] = keysOf(inputs.key);
    return this.#finish(x, this.attn.forward(this.ln1.forward(x), { ...inputs, key: attention }), keys);
  }

  /** The same, and the weights of attention. */
  forwardWithWeights(x: Tensor, inputs: MultiHeadAttentionInputs): { output: Tensor; weights: Tensor } {
    const [attention, ...keys] = keysOf(inputs.key);
    const seen = this.attn.forwardWithWeights(this.ln1.forward(x), { ...inputs, key: attention });
    return { output: this.#finish(x, seen.output, keys), weights: seen.weights };
  }

  #finish(x: Tensor, attended: Tensor, [first, second]: readonly (Key | undefined)[]): Tensor {
    const middle = x.add(this.drop.forward(attended, first));
    return middle.add(this.drop.forward(this.mlp.forward(this.ln2.forward(middle)), second));
  }
}

/** For the weights of attention, and for what either half adds. */
function keysOf(key: Key | undefined): (Key | undefined)[] {
  return key ? key.split(3) : [undefined, undefined, undefined];
}
