/** BERT: configurations of all versions, and what is refused. */
import { full, Key, ones, zeros, type Tensor } from '@infinigrad/tensor';
import { BertModel, bertConfig, bertPresets, type BertOptions } from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { randomIds } from '../models/runner.ts';
import { tiny } from './support.ts';

const i32 = (shape: readonly number[], value = 0): Tensor => full(shape, value, { dtype: 'i32' });

describe('errors', () => {
  const { config: schema } = BertModel.meta;

  test.each<[BertOptions & Record<string, unknown>, RegExp]>([
    [{ hiddenSize: 10, numAttentionHeads: 3 }, /hiddenSize 10 is not a multiple of numAttentionHeads 3/],
    [{ numHiddenLayers: 0 }, /numHiddenLayers must be/],
    [{ hiddenDropoutProb: 1.5 }, /hiddenDropoutProb must be a number from 0 to 1/],
    [{ padTokenId: 13, vocabSize: 13 }, /padTokenId 13 is no token of 13/],
    [{ padTokenId: -1 }, /padTokenId must be/],
    [{ labels: [] }, /there must be a label/],
    [{ hiddenAct: 'none' as 'gelu' }, /hiddenAct must be one of/],
    [{ layerNormEps: -1 }, /layerNormEps must be/],
    [{ hidden_size: 3 }, /there is no hidden_size/],
  ])('of a configuration: %o', (options, message) => {
    expect(() => bertConfig(options)).toThrow(message);
  });

  test.each<[unknown, RegExp]>([
    [[], /needs a JSON object/],
    [{ model_type: 'roberta' }, /'roberta', not 'bert'/],
    [{ is_decoder: true }, /is_decoder is true, and this is an encoder/],
    [{ add_cross_attention: true }, /add_cross_attention is true/],
    [
      { position_embedding_type: 'relative_key' },
      /position_embedding_type must be 'absolute', got "relative_key"/,
    ],
    [{ id2label: 'x' }, /id2label must be a list/],
    [{ id2label: { '1': 'a' } }, /id2label must be a list/],
    [{ num_labels: 1e12 }, /id2label must be a list/],
    [{ vocab_size: [] }, /vocab_size must be an integer/],
  ])('of config.json: %o', (json, message) => {
    expect(() => schema.fromJson(json)).toThrow(message);
  });

  test('config.json of versions 4 and 5 is read, also where it says little', () => {
    const little = { hidden_size: 128, intermediate_size: 512, num_hidden_layers: 2, num_attention_heads: 2 };
    expect(schema.fromJson(little)).toEqual(bertConfig(bertPresets['bert-tiny']));
    const four = {
      model_type: 'bert',
      torch_dtype: 'float32',
      position_embedding_type: 'absolute',
      gradient_checkpointing: false,
    };
    const config = schema.fromJson(four);
    expect(config.extra).toEqual({ position_embedding_type: 'absolute', gradient_checkpointing: false });
    expect(schema.fromJson({ ...schema.toJson(config), dtype: 'float32' })).toEqual(config);
  });

  const ids = randomIds(13, 2, 5);
  test.each<[string, (model: BertModel) => unknown, RegExp]>([
    ['no batch', (m) => m.forward(i32([5])), /tokens must be \[batch, length\]/],
    ['no tokens', (m) => m.forward(i32([2, 0])), /not empty/],
    ['no integers', (m) => m.forward(ones([2, 5])), /ids must be integers/],
    ['no such token', (m) => m.forward(i32([1, 2], 13)), /13 is out of range/],
    ['too long', (m) => m.forward(i32([1, 17])), /17 tokens, and positions for 16/],
    ['no such segment', (m) => m.forward(ids, { tokenTypeIds: i32([2, 5], 3) }), /3 is out of range/],
    [
      'segments of another shape',
      (m) => m.forward(ids, { tokenTypeIds: i32([5]) }),
      /tokenTypeIds must be \[2, 5\]/,
    ],
    [
      'segments of numbers',
      (m) => m.forward(ids, { tokenTypeIds: zeros([2, 5]) }),
      /tokenTypeIds must be i32/,
    ],
    [
      'positions of another shape',
      (m) => m.forward(ids, { positionIds: i32([2, 4]) }),
      /positionIds must be \[2, 5\]/,
    ],
    ['no such position', (m) => m.forward(ids, { positionIds: i32([5], 16) }), /16 is out of range/],
    ['a mask of another shape', (m) => m.forward(ids, { attentionMask: i32([2, 4], 1) }), /must be \[2, 5\]/],
    ['a mask of numbers', (m) => m.forward(ids, { attentionMask: ones([2, 5]) }), /must be bool or integers/],
  ])('of a call: %s', (_, call, message) => {
    expect(() => call(new BertModel(tiny, new Key(0)).eval())).toThrow(message);
  });
});
