/** GPT-2 against transformers (scripts/fixtures/zoo/gpt2.py). */
import { GPT2LMHeadModel } from '@infinigrad/zoo';
import { describeDecoder } from '../models/decoder-parity.ts';

describeDecoder('gpt2', ['plain', 'odd', 'inverse', 'narrow'], GPT2LMHeadModel);
