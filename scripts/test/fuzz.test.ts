/** The readers of files hold against mutated ones; `pnpm fuzz` tries many more. */
import { expect, test } from 'vitest';
import { parse, Wrong } from '../fuzz/json.ts';
import { judge, type Judged } from '../fuzz/run.ts';
import { element } from '../fuzz/values.ts';

test('3,500 mutated files are read rightly or refused rightly, in time and within the limit', async () => {
  const verdicts = new Map<string, number>();
  const bad: Omit<Judged, 'bytes'>[] = [];
  for (let file = 0; file < 3500; file++) {
    const { bytes, ...judged } = await judge(11, file);
    const key = `${judged.reader}: ${judged.verdict}`;
    verdicts.set(key, (verdicts.get(key) ?? 0) + 1);
    if (judged.verdict !== 'accepted' && judged.verdict !== 'refused') bad.push(judged);
    expect(bytes).toBeInstanceOf(Uint8Array);
  }
  expect(bad).toEqual([]);
  // Each reader has something to accept and something to refuse
  expect(verdicts.size).toBe(12);
  for (const [key, n] of verdicts) expect(n, key).toBeGreaterThan(20);
});

test('a file is the same whenever it is made', async () => {
  const [first, again] = [await judge(3, 17), await judge(3, 17)];
  expect(first).toEqual(again);
  expect((await judge(4, 17)).bytes).not.toEqual(first.bytes);
});

test("the validator's own parser and numbers", () => {
  for (const text of ['{"a":[1,-2.5e3,"\\u00e9\\n",true,null,{}]}', ' [ ] ', '"x"'])
    expect(plain(parse(text))).toEqual(JSON.parse(text));
  for (const text of [
    '',
    '{',
    '{"a":1,"a":1}',
    '[1,]',
    '01',
    '"\\ud800"',
    '"\t"',
    '{} {}',
    'nul',
    '1.',
    '{"a"}',
  ])
    expect(() => parse(text), text).toThrow(Wrong);
  const view = new DataView(new ArrayBuffer(8));
  for (const x of [
    0,
    -0,
    1,
    -1.5,
    1 / 3,
    2 ** -1074,
    2 ** -1022,
    Number.MAX_VALUE,
    Infinity,
    -Infinity,
    NaN,
  ]) {
    view.setFloat64(0, x, true);
    expect(element('f64', new Uint8Array(view.buffer), true)).toBe(x);
    view.setFloat32(0, x);
    expect(element('f32', new Uint8Array(view.buffer, 0, 4), false)).toBe(Math.fround(x));
  }
});

function plain(json: ReturnType<typeof parse>): unknown {
  if (Array.isArray(json)) return json.map(plain);
  if (json instanceof Map) return Object.fromEntries([...json].map(([key, value]) => [key, plain(value)]));
  return typeof json === 'object' && json !== null ? Number(json.number) : json;
}
