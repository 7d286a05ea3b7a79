/** Small models of every family that transformers has, odd ones among them, for the live comparison. */
import { readFileSync } from 'node:fs';
import { decodeSafetensors, Key, type Tensor } from '@infinigrad/tensor';
import {
  BertForMaskedLM,
  BertForPreTraining,
  BertForQuestionAnswering,
  BertForSequenceClassification,
  BertModel,
  GlmForCausalLM,
  GPT2LMHeadModel,
  GPT2Model,
  GPTNeoForCausalLM,
  LlamaForCausalLM,
  T5ForConditionalGeneration,
  type PretrainedModel,
} from '@infinigrad/zoo';
import { idsOf, randomIds } from './row.ts';

type Model = PretrainedModel<object>;

export interface LiveModel {
  readonly model: Model;
  /** By transformers' names. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly forward: (model: Model) => object;
  /** True for models that go on with texts. */
  readonly writes: boolean;
}

const key = new Key(0);
const vocabSize = 13;
const positions = 96;

const bert = {
  vocabSize,
  hiddenSize: 12,
  numHiddenLayers: 2,
  numAttentionHeads: 3,
  intermediateSize: 17,
  maxPositionEmbeddings: 16,
  initializerRange: 0.3,
} as const;
const gpt2 = {
  vocabSize,
  nPositions: positions,
  nEmbd: 12,
  nLayer: 2,
  nHead: 3,
  nInner: 17,
  initializerRange: 0.3,
  scaleAttnByInverseLayerIdx: true,
  bosTokenId: 1,
  eosTokenId: 1,
} as const;
const neo = {
  vocabSize,
  maxPositionEmbeddings: positions,
  hiddenSize: 12,
  numLayers: 3,
  numHeads: 3,
  windowSize: 2,
  initializerRange: 0.3,
  bosTokenId: 1,
  eosTokenId: 1,
} as const;
const glm = {
  vocabSize: 31,
  hiddenSize: 12,
  intermediateSize: 18,
  numHiddenLayers: 2,
  numAttentionHeads: 4,
  numKeyValueHeads: 2,
  headDim: 8,
  initializerRange: 0.3,
  padTokenId: 0,
  eosTokenId: [1],
} as const;
const t5 = { vocabSize: 31, dModel: 12, dKv: 5, dFf: 18, numLayers: 2, numHeads: 3 } as const;

/** What is called with tokens alone, and of decoders what goes on with them. */
function plain(
  model: Model & { forward(ids: Tensor): object },
  writes: boolean,
  vocab = vocabSize,
): LiveModel {
  const ids = randomIds(vocab, 2, 9);
  const inputs = { input_ids: ids, ...(writes && { attention_mask: ids.mul(0).add(1) }) };
  return { model, writes, inputs, forward: (m) => (m as typeof model).forward(ids) };
}

/** Two texts of unlike length, of two segments each. */
function encoder(
  model: Model & { forward(ids: Tensor, call: { attentionMask: Tensor; tokenTypeIds: Tensor }): object },
): LiveModel {
  const ids = randomIds(vocabSize, 2, 9);
  const attentionMask = idsOf([
    [1, 1, 1, 1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1, 0, 0, 0],
  ]);
  const tokenTypeIds = idsOf([
    [0, 0, 0, 1, 1, 1, 1, 1, 1],
    [0, 0, 0, 0, 1, 1, 0, 0, 0],
  ]);
  return {
    model,
    writes: false,
    inputs: { input_ids: ids, attention_mask: attentionMask, token_type_ids: tokenTypeIds },
    forward: (m) => (m as typeof model).forward(ids, { attentionMask, tokenTypeIds }),
  };
}

/** A text that is padded on the left beside one that is not. */
function both(model: T5ForConditionalGeneration): LiveModel {
  const [inputIds, labels] = [randomIds(31, 2, 14, 1), randomIds(31, 2, 12, 2)];
  const attentionMask = idsOf([new Array<number>(14).fill(1), [0, 0, ...new Array<number>(12).fill(1)]]);
  const decoderInputIds = model.shiftRight(labels);
  return {
    model,
    writes: true,
    inputs: {
      input_ids: inputIds,
      attention_mask: attentionMask,
      decoder_input_ids: decoderInputIds,
      // What pads is decoded from, too.
      decoder_attention_mask: decoderInputIds.mul(0).add(1),
    },
    forward: (m) => (m as typeof model).forward(inputIds, { attentionMask, decoderInputIds }),
  };
}

function llama(name: string): LiveModel {
  const file = (part: string): Buffer =>
    readFileSync(new URL(`../fixtures/llama/${name}/${part}`, import.meta.url));
  const config = LlamaForCausalLM.meta.config.fromJson(JSON.parse(file('config.json').toString()));
  const model = new LlamaForCausalLM(config, key);
  model.loadPretrainedState(decodeSafetensors(file('model.safetensors')).tensors);
  return plain(model, true, config.vocabSize);
}

/** Made when they are asked for. */
export const liveModels: Readonly<Record<string, () => LiveModel>> = {
  'BERT, masked': () => encoder(new BertForMaskedLM({ ...bert, hiddenAct: 'gelu_new' }, key)),
  'BERT, pre-training': () => encoder(new BertForPreTraining(bert, key)),
  'BERT, base': () => encoder(new BertModel(bert, key)),
  'BERT, classes': () =>
    encoder(new BertForSequenceClassification({ ...bert, labels: ['a', 'b', 'c'] }, key)),
  'BERT, answers': () => encoder(new BertForQuestionAnswering(bert, key)),
  'GPT-2': () => plain(new GPT2LMHeadModel(gpt2, key), true),
  'GPT-2, untied': () => plain(new GPT2LMHeadModel({ ...gpt2, tieWordEmbeddings: false }, key), true),
  'GPT-2, base': () => plain(new GPT2Model(gpt2, key), false),
  'GPT-Neo': () => plain(new GPTNeoForCausalLM(neo, key), true),
  'GPT-Neo, untied': () => plain(new GPTNeoForCausalLM({ ...neo, tieWordEmbeddings: false }, key), true),
  'LLaMA, plain': () => llama('plain'),
  'LLaMA, llama3': () => llama('llama3'),
  'LLaMA, yarn': () => llama('yarn'),
  'LLaMA, linear': () => llama('linear'),
  'GLM, half': () => plain(new GlmForCausalLM(glm, key), true, 31),
  'GLM, whole': () =>
    plain(
      new GlmForCausalLM(
        { ...glm, partialRotaryFactor: 1, tieWordEmbeddings: true, attentionBias: false },
        key,
      ),
      true,
      31,
    ),
  'GLM, odd': () =>
    plain(
      new GlmForCausalLM(
        { ...glm, partialRotaryFactor: 0.25, ropeTheta: 333, hiddenAct: 'gelu_new', rmsNormEps: 1e-3 },
        key,
      ),
      true,
      31,
    ),
  'GLM, stretched': () =>
    plain(new GlmForCausalLM({ ...glm, ropeScaling: { type: 'linear', factor: 3 } }, key), true, 31),
  'T5, v1.0': () => both(new T5ForConditionalGeneration(t5, key)),
  'T5, v1.1': () =>
    both(
      new T5ForConditionalGeneration({ ...t5, feedForwardProj: 'gated-gelu', tieWordEmbeddings: false }, key),
    ),
  'T5, odd': () =>
    both(
      new T5ForConditionalGeneration(
        {
          ...t5,
          numDecoderLayers: 1,
          feedForwardProj: 'silu',
          relativeAttentionNumBuckets: 8,
          relativeAttentionMaxDistance: 9,
          padTokenId: 2,
          decoderStartTokenId: 4,
        },
        key,
      ),
    ),
};
