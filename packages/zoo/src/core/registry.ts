/** Every class of models that a folder may hold. A family adds its classes; of one model type the first is what is made where a config names none. */
import {
  BertForMaskedLM,
  BertForNextSentencePrediction,
  BertForPreTraining,
  BertForQuestionAnswering,
  BertForSequenceClassification,
  BertForTokenClassification,
} from '../bert/heads.ts';
import { BertModel } from '../bert/model.ts';
import { GPTNeoForCausalLM, GPTNeoModel } from '../gpt-neo/model.ts';
import { GPT2LMHeadModel, GPT2Model } from '../gpt2/model.ts';
import { GlmForBlankInfilling } from '../glm/blank-infilling.ts';
import { GlmForCausalLM, GlmModel } from '../glm/model.ts';
import { InfiniLlamaForCausalLM } from '../infini/llama.ts';
import { InfiniTransformer } from '../infini/model.ts';
import { GopherForCausalLM } from '../gopher/model.ts';
import { LlamaForCausalLM, LlamaModel } from '../llama/model.ts';
import { T5EncoderModel } from '../t5/encoder.ts';
import { T5ForConditionalGeneration } from '../t5/model.ts';
import { TransformerXL } from '../transformer-xl/model.ts';
import type { PretrainedClass } from './pretrained.ts';

export const pretrainedClasses: readonly PretrainedClass[] = [
  LlamaForCausalLM,
  LlamaModel,
  InfiniTransformer,
  InfiniLlamaForCausalLM,
  BertModel,
  BertForPreTraining,
  BertForMaskedLM,
  BertForNextSentencePrediction,
  BertForSequenceClassification,
  BertForTokenClassification,
  BertForQuestionAnswering,
  GPT2LMHeadModel,
  GPT2Model,
  GPTNeoForCausalLM,
  GPTNeoModel,
  GlmForCausalLM,
  GlmModel,
  GlmForBlankInfilling,
  GopherForCausalLM,
  TransformerXL,
  T5ForConditionalGeneration,
  T5EncoderModel,
];
