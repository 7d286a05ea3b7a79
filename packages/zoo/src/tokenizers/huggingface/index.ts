/** @infinigrad/zoo/huggingface: tokenizers and chat templates of Hugging Face; their two libraries are to be installed beside. */
export { loadTokenizer, type LoadTokenizerOptions } from './load.ts';
export { chatTemplate } from './chat.ts';
