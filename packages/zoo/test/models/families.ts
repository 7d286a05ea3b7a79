/** A tiny model of every class of the zoo, and how it is called: for what is asked of all of them. */
import type { AttentionMask } from '@infinigrad/nn';
import { fromData, Key, type FloatDType, type Tensor } from '@infinigrad/tensor';
import {
  BertForMaskedLM,
  BertForNextSentencePrediction,
  BertForPreTraining,
  BertForQuestionAnswering,
  BertForSequenceClassification,
  BertForTokenClassification,
  BertModel,
  GlmForBlankInfilling,
  GlmForCausalLM,
  GlmModel,
  GopherForCausalLM,
  GPT2LMHeadModel,
  GPT2Model,
  GPTNeoForCausalLM,
  GPTNeoModel,
  InfiniLlamaForCausalLM,
  InfiniTransformer,
  LlamaForCausalLM,
  LlamaModel,
  T5EncoderModel,
  T5ForConditionalGeneration,
  TransformerXL,
  type GenerativeModel,
  type ModelInit,
  type PretrainedModel,
} from '@infinigrad/zoo';

export type Model = PretrainedModel<object>;

export interface ModelClass {
  readonly meta: Model['meta'];
  new (options: never, key: Key, init?: ModelInit): Model;
}

export interface FamilyOptions {
  readonly outputHiddenStates?: boolean;
  readonly outputAttentions?: boolean;
  /** Of both texts, where there are two. */
  readonly attentionMask?: AttentionMask;
  readonly positionIds?: Tensor;
  readonly key?: Key;
}

/** What all calls give that have it, whatever its name is there. */
export interface FamilyOutput {
  /** Logits, or states; of one kind where there are several. */
  readonly main: Tensor;
  readonly hiddenStates?: readonly Tensor[] | undefined;
  readonly attentions?: readonly Tensor[] | undefined;
}

export interface FamilyEntry {
  readonly modelClass: ModelClass;
  readonly options: object;
  /** @param ids i32 [batch, length], below `vocabulary` */
  call(model: Model, ids: Tensor, options?: FamilyOptions): FamilyOutput;
  /** What `generate` takes; null where the model writes no text. */
  readonly writer: ((model: Model) => GenerativeModel) | null;
}

export const vocabulary = 13;

type Called<M> = (model: M, ids: Tensor, options: FamilyOptions) => object;

/** Which member of an output is the main one. */
const mains = ['logits', 'predictionLogits', 'startLogits', 'lastHiddenState'] as const;

function entry<M>(
  modelClass: { readonly meta: unknown; new (options: never, key: Key, init?: ModelInit): M },
  options: object,
  call: Called<M>,
  writer: ((model: M) => GenerativeModel) | null = null,
): FamilyEntry {
  return {
    modelClass: modelClass as unknown as ModelClass,
    options,
    call: (model, ids, given = {}) => {
      const made = call(model as unknown as M, ids, given) as Readonly<Record<string, unknown>>;
      const main = mains.map((name) => made[name]).find((x) => x !== undefined) as Tensor;
      const states = (made['hiddenStates'] ?? made['decoderHiddenStates']) as readonly Tensor[] | undefined;
      const weights = (made['attentions'] ?? made['decoderAttentions']) as readonly Tensor[] | undefined;
      return { main, hiddenStates: states, attentions: weights };
    },
    writer: writer as FamilyEntry['writer'],
  };
}

interface Plain {
  forward(ids: Tensor, options: FamilyOptions): object;
}
/** Some models take fewer options than others. */
const plainly = (model: unknown, ids: Tensor, options: FamilyOptions): object =>
  (model as Plain).forward(ids, options);
const itself = (model: unknown): GenerativeModel => model as GenerativeModel;

const llama = {
  vocabSize: vocabulary,
  hiddenSize: 12,
  intermediateSize: 20,
  numHiddenLayers: 2,
  numAttentionHeads: 3,
  numKeyValueHeads: 1,
  headDim: 6,
  initializerRange: 0.3,
};
const bert = {
  vocabSize: vocabulary,
  hiddenSize: 12,
  numHiddenLayers: 2,
  numAttentionHeads: 3,
  intermediateSize: 17,
  maxPositionEmbeddings: 64,
  initializerRange: 0.3,
  hiddenDropoutProb: 0,
  attentionProbsDropoutProb: 0,
};
const gpt2 = {
  vocabSize: vocabulary,
  nPositions: 64,
  nEmbd: 12,
  nLayer: 2,
  nHead: 3,
  initializerRange: 0.3,
  embdPdrop: 0,
  residPdrop: 0,
  attnPdrop: 0,
};
const gptNeo = {
  vocabSize: vocabulary,
  maxPositionEmbeddings: 64,
  hiddenSize: 12,
  numLayers: 2,
  numHeads: 3,
  windowSize: 32,
  initializerRange: 0.3,
};
const glm = { ...llama, headDim: 8, padTokenId: null };
const blank = {
  vocabSize: vocabulary,
  hiddenSize: 12,
  numLayers: 2,
  numAttentionHeads: 3,
  maxSequenceLength: 64,
  initializerRange: 0.3,
  embeddingDropoutProb: 0,
  attentionDropoutProb: 0,
  outputDropoutProb: 0,
};
const gopher = {
  vocabSize: vocabulary,
  hiddenSize: 12,
  numHiddenLayers: 2,
  numAttentionHeads: 3,
  headDim: 5,
  initializerRange: 0.3,
};
const segmented = {
  vocabSize: vocabulary,
  hiddenSize: 12,
  intermediateSize: 20,
  numLayers: 2,
  numHeads: 2,
  segmentLength: 8,
};
const t5 = {
  vocabSize: vocabulary,
  dModel: 12,
  dKv: 5,
  dFf: 20,
  numLayers: 2,
  numDecoderLayers: 3,
  numHeads: 3,
  dropoutRate: 0,
};

/** The first two tokens are the text, the others what is filled in. */
export function blankCall(ids: Tensor): { sep: number[]; positionIds: Tensor } {
  const [batch, length] = ids.shape as readonly [number, number];
  const sep = Math.min(2, length);
  const places = Array.from({ length }, (_, i) => Math.min(i, sep));
  const within = Array.from({ length }, (_, i) => Math.max(0, i - sep + 1));
  const rows = Array.from({ length: batch }, () => [...places, ...within]).flat();
  return {
    sep: Array.from({ length: batch }, () => sep),
    positionIds: fromData(Int32Array.from(rows), [batch, 2, length]),
  };
}

/** By the names of the classes. */
export const families: Readonly<Record<string, FamilyEntry>> = {
  LlamaForCausalLM: entry(LlamaForCausalLM, { ...llama, tieWordEmbeddings: true }, plainly, itself),
  LlamaModel: entry(LlamaModel, llama, plainly),
  GPT2LMHeadModel: entry(GPT2LMHeadModel, gpt2, plainly, itself),
  GPT2Model: entry(GPT2Model, gpt2, plainly),
  GPTNeoForCausalLM: entry(GPTNeoForCausalLM, gptNeo, plainly, itself),
  GPTNeoModel: entry(GPTNeoModel, gptNeo, plainly),
  GlmForCausalLM: entry(GlmForCausalLM, glm, plainly, itself),
  GlmModel: entry(GlmModel, glm, plainly),
  GlmForBlankInfilling: entry(GlmForBlankInfilling, blank, (model, ids, options) =>
    model.forward(ids, { ...options, ...blankCall(ids), attentionMask: options.attentionMask as never }),
  ),
  GopherForCausalLM: entry(GopherForCausalLM, gopher, plainly, itself),
  BertModel: entry(BertModel, bert, plainly),
  BertForPreTraining: entry(BertForPreTraining, bert, plainly),
  BertForMaskedLM: entry(BertForMaskedLM, bert, plainly),
  BertForNextSentencePrediction: entry(BertForNextSentencePrediction, bert, plainly),
  BertForSequenceClassification: entry(BertForSequenceClassification, bert, plainly),
  BertForTokenClassification: entry(BertForTokenClassification, bert, plainly),
  BertForQuestionAnswering: entry(BertForQuestionAnswering, bert, plainly),
  T5ForConditionalGeneration: entry(
    T5ForConditionalGeneration,
    t5,
    (model, ids, options) =>
      model.forward(ids, {
        decoderInputIds: ids,
        decoderAttentionMask: options.attentionMask,
        ...options,
      }),
    itself,
  ),
  T5EncoderModel: entry(T5EncoderModel, t5, plainly),
  TransformerXL: entry(TransformerXL, { ...segmented, memoryLength: 6 }, plainly, itself),
  InfiniTransformer: entry(InfiniTransformer, segmented, plainly, itself),
  InfiniLlamaForCausalLM: entry(InfiniLlamaForCausalLM, { ...llama, segmentLength: 8 }, plainly, itself),
};

export function made(name: string, seed = 0, options: object = {}, dtype: FloatDType = 'f64'): Model {
  const { modelClass, options: own } = families[name]!;
  return new modelClass({ ...own, ...options } as never, new Key(seed), { dtype }).eval();
}
