export { chain, tokenMask, type LogitsProcessor, type ProcessorContext } from './processor.ts';
export { minNewTokens, noRepeatNgrams, repetitionPenalty, suppressTokens } from './history.ts';
export { minP, temperature, topK, topP, typicalP } from './distribution.ts';
