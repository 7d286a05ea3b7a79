/** Configurations of which one value is wrong, whatever it is: refused by name, or a model of a sane size. */
import { InfinigradError } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { BlankKey } from '../../src/core/blank-key.ts';
import { families, type ModelClass } from '../models/families.ts';

const values: readonly unknown[] = [
  'x',
  '',
  -1,
  0,
  0.5,
  3,
  1e9,
  2 ** 53,
  1e300,
  Infinity,
  NaN,
  null,
  true,
  [],
  [1, 2],
  {},
  { type: 'linear' },
  { rope_type: 'yarn', factor: 'x' },
  [[['local'], 1e9]],
];
/** Keys that files of some families have, or that only an attacker would write. */
const further = [
  '__proto__',
  'constructor',
  'rope_parameters',
  'rope_scaling',
  'num_labels',
  'id2label',
  'model_type',
];
/** Far more numbers than the tiny models have; a file that holds so few makes no larger model. */
const budget = 100_000;
/** Bytes that no tiny model takes, and any that is made of 1e9 of something does; a heap grows by less. */
const tooMuch = 1e9;

const schemas = new Map(
  Object.entries(families).map(([name, { modelClass, options }]) => [
    modelClass.meta.config.modelType,
    { name, modelClass, options },
  ]),
);

/** What came of a configuration: the message of a refusal by name, or the number of numbers. */
function outcome(modelClass: ModelClass, json: object): string | number {
  try {
    const config = modelClass.meta.config.fromJson(json);
    return new modelClass(config as never, new BlankKey(budget)).numParameters();
  } catch (error) {
    if (!(error instanceof InfinigradError)) throw error;
    return error.message;
  }
}

describe.each([...schemas])('%s', (_, { modelClass, options }) => {
  const schema = modelClass.meta.config;
  const json = schema.toJson(schema.make(options));

  test('one wrong value', () => {
    for (const key of [...Object.keys(json), ...further])
      for (const value of values) {
        const given = structuredClone(json);
        Object.defineProperty(given, key, { value, enumerable: true });
        const before = process.memoryUsage().arrayBuffers;
        const found = outcome(modelClass, given);
        if (typeof found === 'number')
          expect(found, `${key} ${JSON.stringify(value)}`).toBeLessThan(2 * budget);
        const taken = process.memoryUsage().arrayBuffers - before;
        expect(taken, `${key} ${JSON.stringify(value)}`).toBeLessThan(tooMuch);
      }
  });

  test('one key that is missing: a default, or refused', () => {
    for (const key of Object.keys(json)) {
      const { [key]: _left, ...rest } = json;
      const found = outcome(modelClass, rest);
      // Defaults may be of a size that is too large here; norms and biases are not counted against the budget.
      if (typeof found === 'number') expect(found, key).toBeLessThan(2 * budget);
    }
  });

  test.each([null, 5, 'x', [], [{}], undefined])('%j is no configuration', (given) => {
    expect(() => schema.fromJson(given)).toThrow(InfinigradError);
  });

  test('of another type is refused', () => {
    expect(() => schema.fromJson({ ...json, model_type: 'nothing' })).toThrow(/'nothing'/);
  });
});
