/** From text to ids and back. */
export {
  continuations,
  Tokenizer,
  type BatchEncodeOptions,
  type ChatMessage,
  type ChatOptions,
  type ChatTemplate,
  type DetokenizeOptions,
  type TokenizeOptions,
  type Encoding,
  type Role,
  type SpecialTokens,
  type TokenBatch,
} from './tokenizer.ts';
export type { SpecialOptions } from './special.ts';
export { ByteTokenizer } from './byte.ts';
export { CharacterTokenizer } from './character.ts';
export { BpeTokenizer, type BpeVocabulary } from './bpe.ts';
export { trainBpe, type BpeTrainingOptions } from './bpe-train.ts';
export { readBpe, writeBpe, type TokenizerFiles } from './bpe-file.ts';
