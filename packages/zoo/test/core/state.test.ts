/** Key maps and configurations as tables, on a model made for it. */
import { Linear, Module } from '@infinigrad/nn';
import { concat, Key, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import {
  checks,
  ModelCache,
  PretrainedError,
  stateEntries,
  type KeyRule,
  type StateSpelling,
} from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import { BlankKey } from '../../src/core/blank-key.ts';
import { configSchema, type ConfigBase } from '../../src/core/config.ts';
import { scaling } from '../../src/core/rope-fields.ts';
import { loadPretrainedState, pretrainedState } from '../../src/core/state.ts';

class Block extends Module {
  readonly qProj: Linear;
  readonly kProj: Linear;
  readonly outProj: Linear;

  constructor(key: Key) {
    super();
    const keys = key.split(3) as [Key, Key, Key];
    this.qProj = new Linear(3, 4, { key: keys[0], dtype: 'f64' });
    this.kProj = new Linear(3, 2, { key: keys[1], dtype: 'f64' });
    this.outProj = new Linear(3, 3, { key: keys[2], dtype: 'f64' });
  }
}

class Two extends Module {
  readonly layers: readonly Block[];

  constructor(seed: number) {
    super();
    this.layers = [new Block(new Key(seed)), new Block(new Key(seed + 1))];
  }
}

const keyMap: readonly KeyRule[] = [
  {
    from: ['layers.{i}.qProj.{part}', 'layers.{i}.kProj.{part}'],
    to: 'base.h.{i}.c_attn.{part}',
    transpose: true,
  },
  { from: 'layers.{i}.{rest*}', to: 'base.h.{i}.{rest}' },
];
const spelling: StateSpelling = { keyMap, basePrefix: 'base.', tied: [] };
const numbers = (x: Tensor): ArrayLike<number> => x.dataSync();

describe('key maps', () => {
  test('join, turn, rename and fall back to snake case', () => {
    expect(stateEntries(['a.{i}', 'layers.0.innerPart.qProj.weight'], [])).toEqual([
      { key: 'a.{i}', names: ['a.{i}'], transpose: false },
      {
        key: 'layers.0.inner_part.q_proj.weight',
        names: ['layers.0.innerPart.qProj.weight'],
        transpose: false,
      },
    ]);
    const entries = stateEntries([...new Two(0).namedParameters().keys()], keyMap);
    expect(entries.slice(0, 4)).toEqual([
      {
        key: 'base.h.0.c_attn.weight',
        names: ['layers.0.qProj.weight', 'layers.0.kProj.weight'],
        transpose: true,
      },
      {
        key: 'base.h.0.c_attn.bias',
        names: ['layers.0.qProj.bias', 'layers.0.kProj.bias'],
        transpose: true,
      },
      { key: 'base.h.0.outProj.weight', names: ['layers.0.outProj.weight'], transpose: false },
      { key: 'base.h.0.outProj.bias', names: ['layers.0.outProj.bias'], transpose: false },
    ]);
  });

  test('that lose or double a tensor are refused', () => {
    expect(() => stateEntries(['layers.0.qProj.weight'], keyMap)).toThrow(
      /of base\.h\.0\.c_attn\.weight there is layers\.0\.qProj\.weight alone/,
    );
    expect(() => stateEntries(['a.x', 'b.x'], [{ from: '{m}.x', to: 'x' }])).toThrow(
      /a\.x and b\.x both are x/,
    );
  });
});

describe('a state in the keys of a file', () => {
  const model = new Two(0);
  const state = pretrainedState(model, spelling);

  test('is joined and turned, and comes back the same', () => {
    const { qProj, kProj } = model.layers[1]!;
    const joined = concat([qProj.weight.detach(), kProj.weight.detach()], 0).transpose().clone();
    expect(state['base.h.1.c_attn.weight']!.shape).toEqual([3, 6]);
    expect(numbers(state['base.h.1.c_attn.weight']!)).toEqual(numbers(joined));
    expect(state['base.h.1.c_attn.bias']!.shape).toEqual([6]);
    const other = new Two(7);
    loadPretrainedState(other, spelling, state);
    for (const [name, value] of Object.entries(other.stateDict()))
      expect(numbers(value), name).toEqual(numbers(model.stateDict()[name]!));
  });

  test('may lack the prefix of the base, and have older names', () => {
    const older = Object.fromEntries(
      Object.entries(state).map(([key, x]) => [key.replace('base.', '').replace('.weight', '.gamma'), x]),
    );
    const other = new Two(7);
    expect(() => loadPretrainedState(other, spelling, older)).toThrow(PretrainedError);
    const renames = [{ from: /\.gamma$/, to: '.weight' }];
    loadPretrainedState(other, { ...spelling, renames }, older);
    expect(numbers(other.layers[0]!.qProj.weight)).toEqual(numbers(model.layers[0]!.qProj.weight));
  });

  test('that does not fit changes nothing, and the error tells all', () => {
    const other = new Two(7);
    const before = Object.fromEntries(
      Object.entries(other.stateDict()).map(([name, x]) => [name, [...x.dataSync()]]),
    );
    const { 'base.h.0.c_attn.bias': _bias, ...rest } = state;
    const wrong = {
      ...rest,
      'base.h.0.c_attn.weight': state['base.h.0.c_attn.weight']!.transpose().clone(),
      more: zeros([1]),
      'h.1.attn.masked_bias': zeros([1]),
    };
    const options = { ignore: [/masked_bias$/g] };
    for (let again = 0; again < 2; again++) {
      let error: unknown;
      try {
        loadPretrainedState(other, spelling, wrong, options);
      } catch (e) {
        error = e;
      }
      expect(error).toBeInstanceOf(PretrainedError);
      expect(error).toBeInstanceOf(ValueError);
      const { report } = error as PretrainedError;
      expect(report).toEqual({
        missing: ['base.h.0.c_attn.bias'],
        unexpected: ['more'],
        mismatched: [{ name: 'base.h.0.c_attn.weight', reason: 'model [3, 6] f64, file [6, 3] f64' }],
        ignored: ['h.1.attn.masked_bias'],
        tied: [],
      });
    }
    for (const [name, x] of Object.entries(other.stateDict()))
      expect([...x.dataSync()]).toEqual(before[name]);
  });
});

describe('configurations as tables', () => {
  interface Small extends ConfigBase {
    readonly width: number;
    readonly inner: number;
    readonly dropout: number;
    readonly end: number | null;
  }
  const schema = configSchema<Small>('Small', 'small', {
    width: { key: 'hidden_size', check: checks.integer() },
    inner: { key: 'ff', check: checks.integer(), default: (before) => 4 * (before['width'] as number) },
    dropout: { key: 'p', check: checks.number(0, 1), default: 0.1 },
    end: { key: 'eos', check: checks.nullable(checks.integer(0)), default: 2 },
  });

  test('have defaults, also such as follow from others', () => {
    expect(schema.make({ width: 3 })).toEqual({ width: 3, inner: 12, dropout: 0.1, end: 2, extra: {} });
    expect(schema.make({ width: 3, inner: undefined, end: null }).end).toBeNull();
    expect(schema.fromJson({ hidden_size: 3, ff: null, eos: null })).toMatchObject({ inner: 12, end: null });
  });

  test('are written and read in the spelling of the file, with what they do not know', () => {
    const json = { model_type: 'small', hidden_size: 3, ff: 5, p: 0, eos: null, mine: [1, { a: null }] };
    const config = schema.fromJson({ ...json, torch_dtype: 'float32', architectures: ['X'] });
    expect(config.extra).toEqual({ mine: [1, { a: null }] });
    expect(schema.toJson(config)).toEqual(json);
  });

  test.each([
    [() => schema.make({}), /Small: width is missing/],
    [() => schema.make({ width: 2.5 }), /Small: width must be an integer ≥ 1, got 2\.5/],
    [() => schema.make({ width: 3, dropout: 2 }), /dropout must be a number from 0 to 1, got 2/],
    [() => schema.make({ width: 3, heigth: 3 } as never), /there is no heigth; the fields are width, inner/],
    [() => schema.fromJson({}), /hidden_size is missing/],
    [
      () => schema.fromJson({ hidden_size: 'x'.repeat(200) }),
      /hidden_size must be an integer ≥ 1, got the text/,
    ],
    [() => schema.fromJson([1]), /needs a JSON object, got an array/],
    [() => schema.fromJson({ model_type: 'other', hidden_size: 3 }), /of model type 'other', not 'small'/],
  ])('refuse nonsense (%#)', (body, says) => {
    expect(body).toThrow(ValueError);
    expect(body).toThrow(says);
  });

  test.each([
    [checks.positive, [1, 0.5], [0, -1, Infinity, '1', null]],
    [checks.flag, [true], [1, 'true', null]],
    [checks.text, [''], [1, null]],
    [checks.oneOf('a', null), ['a', null], ['b', undefined]],
    [checks.listOf(checks.integer(0)), [[], [0, 3]], [3, [0.5], ['1']]],
    [checks.tokenIds, [0, [1, 2], null], ['1', [1, 'x'], 0.5]],
    [scaling, [null, { type: 'linear', factor: 2 }], ['linear', 3, { type: 'spiral' }, { type: 'linear' }]],
  ])('check %#', (check, right, wrong) => {
    for (const value of right as unknown[]) expect(check(value)).toBeNull();
    for (const value of wrong as unknown[]) expect(check(value)).toEqual(expect.any(String));
  });
});

test('a blank key draws nothing, and no more than its budget', () => {
  const key = new BlankKey(20);
  const layer = new Linear(3, 4, { key });
  expect([...layer.weight.dataSync()].every((x) => x === 0)).toBe(true);
  expect(() => new Linear(1000, 1000, { key: key.foldIn(3).split(2)[1]! })).toThrow(/more than 20 numbers/);
});

test('a cache of no layers is empty', () => {
  const cache = new ModelCache([]);
  expect([cache.length, cache.bytes]).toEqual([0, 0]);
});
