export { bertConfig, bertParameterCount, bertPresets, type BertConfig, type BertOptions } from './config.ts';
export { BertModel, type BertCall, type BertInside, type BertModelOutput } from './model.ts';
export * from './heads.ts';
