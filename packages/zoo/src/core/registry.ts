/** Every class of models that a folder may hold. A family adds its classes; of one model type the first is what is made where a config names none. */
import { LlamaForCausalLM, LlamaModel } from '../llama/model.ts';
import { T5EncoderModel } from '../t5/encoder.ts';
import { T5ForConditionalGeneration } from '../t5/model.ts';
import type { PretrainedClass } from './pretrained.ts';

export const pretrainedClasses: readonly PretrainedClass[] = [
  LlamaForCausalLM,
  LlamaModel,
  T5ForConditionalGeneration,
];
