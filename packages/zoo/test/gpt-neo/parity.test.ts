/** GPT-Neo against transformers (scripts/fixtures/zoo/gpt-neo.py). */
import { GPTNeoForCausalLM } from '@infinigrad/zoo';
import { describeDecoder } from '../models/decoder-parity.ts';

describeDecoder('gpt-neo', ['stories', 'odd', 'wide'], GPTNeoForCausalLM);
