/** BERT with heads: pre-training, masked tokens, next sentence, classification of texts and tokens, answers in a text. */
import {
  activationOf,
  Dropout,
  LayerNorm,
  Linear,
  Module,
  Parameter,
  type ActivationName,
} from '@infinigrad/nn';
import { zeros, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import { activationNamed } from '../core/activations.ts';
import type { KeyRule } from '../core/key-map.ts';
import { PretrainedModel, type ModelInit, type ModelMeta } from '../core/pretrained.ts';
import { bertConfig, type BertConfig, type BertOptions } from './config.ts';
import { bertKeyMap, BertModel, type BertCall, type BertInside } from './model.ts';

export interface BertLogits extends BertInside {
  readonly logits: Tensor;
}

export interface BertForPreTrainingOutput extends BertInside {
  /** [batch, length, vocabSize]. */
  readonly predictionLogits: Tensor;
  /** [batch, 2]; 0: the second text follows the first, 1: it is another's. */
  readonly seqRelationshipLogits: Tensor;
}

export interface BertAnswer extends BertInside {
  /** Where the answer starts, [batch, length]. */
  readonly startLogits: Tensor;
  /** Its last token, [batch, length]. */
  readonly endLogits: Tensor;
}

/** LN(act(W h + b)) · Eᵀ + bias, with the embedding's table E. */
class BertPredictions extends Module {
  readonly transform: Linear;
  readonly norm: LayerNorm;
  /** [vocabSize, hiddenSize]; null where it is the embedding's table. */
  readonly decoder: Linear | null;
  /** [vocabSize]. */
  readonly bias: Parameter;
  private readonly activation: ActivationName;

  constructor(config: BertConfig, key: Key, dtype: FloatDType) {
    super();
    const { hiddenSize, vocabSize, initializerRange: std, layerNormEps: eps } = config;
    const [transform, decoder] = key.split(2) as [Key, Key];
    this.transform = new Linear(hiddenSize, hiddenSize, { key: transform, std, dtype });
    this.norm = new LayerNorm(hiddenSize, { eps, dtype });
    this.decoder = config.tieWordEmbeddings
      ? null
      : new Linear(hiddenSize, vocabSize, { key: decoder, bias: false, std, dtype });
    this.bias = new Parameter(zeros([vocabSize], { dtype }));
    this.activation = activationNamed(config.hiddenAct);
  }

  forward(x: Tensor, { embeddings: { wordEmbeddings } }: BertModel): Tensor {
    const hidden = this.norm.forward(activationOf('Bert', this.activation)(this.transform.forward(x)));
    return (this.decoder ? this.decoder.forward(hidden) : wordEmbeddings.attend(hidden)).add(this.bias);
  }
}

const predictionKeys: readonly KeyRule[] = [
  { from: 'predictions.transform.{p}', to: 'cls.predictions.transform.dense.{p}' },
  { from: 'predictions.norm.{p}', to: 'cls.predictions.transform.LayerNorm.{p}' },
  { from: 'predictions.{rest*}', to: 'cls.predictions.{rest}' },
];
const relationKeys: readonly KeyRule[] = [{ from: 'seqRelationship.{p}', to: 'cls.seq_relationship.{p}' }];

/** Heads of other models, and what old files hold as if it were weights. */
const buffers = /(^|\.)embeddings\.(position_ids|token_type_ids)$/;
const otherHeads = /^cls\./;
const pooler = /^(bert\.)?pooler\./;

function metaOf(
  architecture: string,
  keys: readonly KeyRule[],
  ignored: readonly RegExp[],
  predicts = false,
): ModelMeta<BertConfig> {
  const { shape, ...base } = BertModel.meta;
  return {
    ...base,
    architecture,
    keyMap: [...bertKeyMap('bert.'), ...keys],
    ignored: [buffers, ...ignored],
    shape: (config) => ({
      ...shape!(config),
      tiedHead: predicts && config.tieWordEmbeddings ? config.vocabSize * config.hiddenSize : 0,
    }),
    tied: ({ tieWordEmbeddings }) =>
      predicts
        ? [
            ['cls.predictions.bias', 'cls.predictions.decoder.bias'],
            ...(tieWordEmbeddings
              ? [['bert.embeddings.word_embeddings.weight', 'cls.predictions.decoder.weight']]
              : []),
          ]
        : [],
  };
}

abstract class BertWithHead extends PretrainedModel<BertConfig> {
  readonly bert: BertModel;

  constructor(options: BertOptions, key: Key, init: ModelInit & { readonly pooler: boolean }) {
    const config = bertConfig(options);
    super(config);
    this.bert = new BertModel(config, key.foldIn(0), init);
  }

  get gradientCheckpointing(): boolean {
    return this.bert.gradientCheckpointing;
  }

  set gradientCheckpointing(on: boolean) {
    this.bert.gradientCheckpointing = on;
  }

  protected override layersOfTexts(): readonly (Linear | null)[] {
    return [this.bert.pooler];
  }

  protected linear(outputs: number, key: Key, { dtype = 'f32' }: ModelInit): Linear {
    const { hiddenSize, initializerRange: std } = this.config;
    return new Linear(hiddenSize, outputs, { key: key.foldIn(1), std, dtype });
  }

  /** Before a classifier. */
  protected dropped(): Dropout {
    return new Dropout(this.config.classifierDropout ?? this.config.hiddenDropoutProb);
  }

  /** Of the classifier's dropout: apart from those of the layers. */
  protected headKey({ key }: BertCall): Key | undefined {
    return key?.foldIn(this.config.numHiddenLayers + 1);
  }
}

/** What BERT was trained with: tokens that were masked, and whether the second text follows the first. */
export class BertForPreTraining extends BertWithHead {
  static readonly meta = metaOf('BertForPreTraining', [...predictionKeys, ...relationKeys], [], true);
  readonly predictions: BertPredictions;
  readonly seqRelationship: Linear;

  constructor(options: BertOptions, key: Key, init: ModelInit = {}) {
    super(options, key, { ...init, pooler: true });
    this.predictions = new BertPredictions(this.config, key.foldIn(2), init.dtype ?? 'f32');
    this.seqRelationship = this.linear(2, key, init);
  }

  protected override layersOfTexts(): readonly (Linear | null)[] {
    return [...super.layersOfTexts(), this.seqRelationship];
  }

  /** As `BertModel.forward`. */
  forward(inputIds: Tensor, call: BertCall = {}): BertForPreTrainingOutput {
    const { lastHiddenState, poolerOutput, ...inside } = this.bert.forward(inputIds, call);
    return {
      predictionLogits: this.predictions.forward(lastHiddenState, this.bert),
      seqRelationshipLogits: this.seqRelationship.forward(poolerOutput!),
      ...inside,
    };
  }
}

/** Tokens that were masked: logits [batch, length, vocabSize]. */
export class BertForMaskedLM extends BertWithHead {
  static readonly meta = metaOf(
    'BertForMaskedLM',
    predictionKeys,
    [pooler, /^cls\.seq_relationship\./],
    true,
  );
  readonly predictions: BertPredictions;

  constructor(options: BertOptions, key: Key, init: ModelInit = {}) {
    super(options, key, { ...init, pooler: false });
    this.predictions = new BertPredictions(this.config, key.foldIn(2), init.dtype ?? 'f32');
  }

  /** As `BertModel.forward`. */
  forward(inputIds: Tensor, call: BertCall = {}): BertLogits {
    const { lastHiddenState, poolerOutput: _, ...inside } = this.bert.forward(inputIds, call);
    return { logits: this.predictions.forward(lastHiddenState, this.bert), ...inside };
  }
}

/** Whether the second text follows the first: logits [batch, 2], 0 where it does. */
export class BertForNextSentencePrediction extends BertWithHead {
  static readonly meta = metaOf('BertForNextSentencePrediction', relationKeys, [/^cls\.predictions\./]);
  readonly seqRelationship: Linear;

  constructor(options: BertOptions, key: Key, init: ModelInit = {}) {
    super(options, key, { ...init, pooler: true });
    this.seqRelationship = this.linear(2, key, init);
  }

  protected override layersOfTexts(): readonly (Linear | null)[] {
    return [...super.layersOfTexts(), this.seqRelationship];
  }

  /** As `BertModel.forward`. */
  forward(inputIds: Tensor, call: BertCall = {}): BertLogits {
    const { lastHiddenState: _, poolerOutput, ...inside } = this.bert.forward(inputIds, call);
    return { logits: this.seqRelationship.forward(poolerOutput!), ...inside };
  }
}

/** Classes of texts: logits [batch, labels]. */
export class BertForSequenceClassification extends BertWithHead {
  static readonly meta = metaOf('BertForSequenceClassification', [], [otherHeads]);
  readonly drop: Dropout;
  readonly classifier: Linear;

  constructor(options: BertOptions, key: Key, init: ModelInit = {}) {
    super(options, key, { ...init, pooler: true });
    this.drop = this.dropped();
    this.classifier = this.linear(this.config.labels.length, key, init);
  }

  protected override layersOfTexts(): readonly (Linear | null)[] {
    return [...super.layersOfTexts(), this.classifier];
  }

  /** As `BertModel.forward`. */
  forward(inputIds: Tensor, call: BertCall = {}): BertLogits {
    const { lastHiddenState: _, poolerOutput, ...inside } = this.bert.forward(inputIds, call);
    const pooled = this.drop.forward(poolerOutput!, this.headKey(call));
    return { logits: this.classifier.forward(pooled), ...inside };
  }
}

/** Classes of tokens: logits [batch, length, labels]. */
export class BertForTokenClassification extends BertWithHead {
  static readonly meta = metaOf('BertForTokenClassification', [], [otherHeads, pooler]);
  readonly drop: Dropout;
  readonly classifier: Linear;

  constructor(options: BertOptions, key: Key, init: ModelInit = {}) {
    super(options, key, { ...init, pooler: false });
    this.drop = this.dropped();
    this.classifier = this.linear(this.config.labels.length, key, init);
  }

  /** As `BertModel.forward`. */
  forward(inputIds: Tensor, call: BertCall = {}): BertLogits {
    const { lastHiddenState, poolerOutput: _, ...inside } = this.bert.forward(inputIds, call);
    const hidden = this.drop.forward(lastHiddenState, this.headKey(call));
    return { logits: this.classifier.forward(hidden), ...inside };
  }
}

/** Where in a text the answer to a question stands. */
export class BertForQuestionAnswering extends BertWithHead {
  static readonly meta = metaOf('BertForQuestionAnswering', [], [otherHeads, pooler]);
  /** [2, hiddenSize]: start and end. */
  readonly qaOutputs: Linear;

  constructor(options: BertOptions, key: Key, init: ModelInit = {}) {
    super(options, key, { ...init, pooler: false });
    this.qaOutputs = this.linear(2, key, init);
  }

  /** As `BertModel.forward`. */
  forward(inputIds: Tensor, call: BertCall = {}): BertAnswer {
    const { lastHiddenState, poolerOutput: _, ...inside } = this.bert.forward(inputIds, call);
    const both = this.qaOutputs.forward(lastHiddenState);
    const [startLogits, endLogits] = [0, 1].map((i) => both.narrow(-1, i, 1).squeeze(-1)) as [Tensor, Tensor];
    return { startLogits, endLogits, ...inside };
  }
}
