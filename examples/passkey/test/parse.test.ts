/** What a run has written is read back whole, or refused in one line that names the file. */
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { checkpointFromJson, parseMetrics, planFromJson } from '../parse.ts';
import { RunError } from '../plan.ts';
import { cellLine, planOf, stepLine } from './support.ts';

function refusal(what: () => unknown): string {
  try {
    what();
  } catch (error) {
    expect(error).toBeInstanceOf(RunError);
    const { message } = error as RunError;
    expect(message).toMatch(/^here\//);
    expect(message).not.toContain('\n');
    return message;
  }
  throw new Error('accepted');
}

describe('config.json', () => {
  const plan = planOf();
  const text = (change: object = {}): string => JSON.stringify({ passkey: { ...plan, ...change } });
  const refused = (json: string): string => refusal(() => planFromJson('here/config.json', json));

  test('gives the plan back', () => {
    expect(planFromJson('here/config.json', text())).toEqual(plan);
  });

  test.each(['', '{', text().slice(0, -2)])('cut short: %s', (json) => {
    expect(refused(json)).toMatch(/damaged \(not JSON\).*--out/);
  });

  test.each(['null', '3', '[]', '{}', '{"passkey":null}', '{"passkey":[1]}', '{"model_type":"llama"}'])(
    'of something else: %s',
    (json) => {
      expect(refused(json)).toMatch(/describes no passkey run/);
    },
  );

  test.each([
    { recipe: undefined },
    { recipe: [] },
    { control: 'yes' },
    { evaluation: undefined },
    { evaluation: { ...plan.evaluation, samples: 0 } },
    { evaluation: { ...plan.evaluation, maxLength: '128' } },
    { evaluation: { ...plan.evaluation, controlMaxLength: 1.5 } },
  ])('incomplete: %j', (change) => {
    expect(refused(text(change))).toMatch(/is incomplete/);
  });

  test.each(Object.keys(plan.recipe).filter((name) => name !== 'variant'))('a recipe without %s', (name) => {
    expect(refused(text({ recipe: { ...plan.recipe, [name]: undefined } }))).toContain(`lacks ${name}`);
  });

  test.each(Object.keys(plan.recipe).filter((name) => !['variant', 'filler'].includes(name)))(
    'a recipe whose %s is text',
    (name) => {
      expect(refused(text({ recipe: { ...plan.recipe, [name]: '3' } }))).toContain(
        `${name} "3", not a number`,
      );
    },
  );

  test.each([
    [{ variant: 'best' }, /no variant 'best'/],
    [{ filler: 'none' }, /has filler 'none'/],
    [{ steps: 0 }, /steps must be an integer ≥ 1/],
    [{ segmentLength: 4 }, /a segment of 4 tokens does not hold/],
    [{ hiddenSize: 63 }, /headDim/],
  ])('a recipe that makes no run: %j', (change, told) => {
    expect(refused(text({ recipe: { ...plan.recipe, ...change } }))).toMatch(told);
  });

  test('any JSON is a plan or refused', () =>
    fc.assert(
      fc.property(fc.json(), (json) => {
        refused(json);
      }),
    ));
});

describe('the word of a checkpoint', () => {
  const plan = planOf();
  const word = { model: 'model', meta: { step: 50, control: false, recipe: plan.recipe } };
  const read = (value: unknown) =>
    checkpointFromJson('here/checkpoint.safetensors', JSON.stringify(value), plan);

  test('is read back', () => {
    expect(read(word)).toEqual(word);
    const control = { model: 'control', meta: { ...word.meta, control: true } };
    expect(read(control)).toEqual(control);
  });

  test.each([
    undefined,
    null,
    [],
    {},
    { ...word, model: 'other' },
    { ...word, model: 'control' },
    { ...word, meta: null },
    { ...word, meta: { ...word.meta, step: '50' } },
    { ...word, meta: { ...word.meta, step: -1 } },
    { ...word, meta: { ...word.meta, step: plan.recipe.steps + 1 } },
    { ...word, meta: { ...word.meta, recipe: { ...plan.recipe, seed: 1 } } },
  ])('is of this run or refused: %j', (value) => {
    expect(refusal(() => read(value))).toMatch(/is not a checkpoint of this run/);
  });

  test('of a control is refused where the plan has none', () => {
    const control = JSON.stringify({ model: 'control', meta: { ...word.meta, control: true } });
    expect(refusal(() => checkpointFromJson('here/c', control, { ...plan, control: false }))).toMatch(
      /not a checkpoint of this run/,
    );
  });
});

describe('metrics.jsonl', () => {
  const lines = [stepLine(1), stepLine(2, { writeGate: null, gates: [] }), cellLine(1), { kind: 'done' }];
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  const parse = (json: string) => parseMetrics('here/metrics.jsonl', json);

  test('comes back', () => {
    expect(parse(text)).toEqual(lines);
    expect(parse('')).toEqual([]);
  });

  test('a last line that was cut short is left out, wherever the cut', () => {
    for (let cut = 1; cut <= JSON.stringify(lines[3]).length; cut++)
      expect(parse(text.slice(0, -1 - cut))).toEqual(lines.slice(0, 3));
  });

  test.each([
    '',
    '{',
    'null',
    '[]',
    '{"kind":"other"}',
    '{"kind":"step"}',
    '{"kind":"cell"}',
    JSON.stringify({ ...stepLine(1), model: 'zeroed' }),
    JSON.stringify({ ...stepLine(1), loss: null }),
    JSON.stringify({ ...stepLine(1), gates: [0.5] }),
    JSON.stringify({ ...stepLine(1), writeGate: {} }),
    JSON.stringify({ ...cellLine(1), subject: 'x' }),
    JSON.stringify({ ...cellLine(1), position: 'top' }),
    JSON.stringify({ ...cellLine(1), digitAccuracy: '1' }),
  ])('any other damaged line is refused with its number: %s', (line) => {
    expect(refusal(() => parse(`${JSON.stringify(lines[0])}\n${line}\n${text}`))).toMatch(
      /metrics\.jsonl is damaged in line 2/,
    );
  });
});
