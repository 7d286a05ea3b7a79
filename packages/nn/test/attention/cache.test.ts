/** Caches: against plain lists, whatever the order of what is done with them; what was handed out stays; what they cost. */
import fc from 'fast-check';
import { vmap } from '@infinigrad/autograd';
import { KeyValueCache, RecurrentCache } from '@infinigrad/nn';
import {
  DTypeError,
  fromData,
  Key,
  memoryStats,
  scope,
  ShapeError,
  ValueError,
  withBackend,
  writeInPlace,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers } from '../support.ts';

const heads = 2;
const [d, dv] = [2, 3];

/** A token as the lists know it: the number that all its keys start from. */
type Rows = number[][];

/** Keys and values of tokens: each number of a token tells token, head and place. */
function tokens(rows: Rows, width: number): Tensor {
  const count = rows[0]?.length ?? 0;
  const data = rows.flatMap((row) =>
    Array.from({ length: heads }, (_, h) =>
      row.flatMap((token) => Array.from({ length: width }, (__, i) => token + 0.25 * h + 0.03125 * i)),
    ).flat(),
  );
  return fromData(Float32Array.from(data), [rows.length, heads, count, width]);
}

type Command =
  | { readonly what: 'append'; readonly count: number }
  | { readonly what: 'truncate'; readonly part: number }
  | { readonly what: 'reorder'; readonly picks: readonly number[] }
  | { readonly what: 'clone' }
  | { readonly what: 'reset' };

const commands = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ what: fc.constant('append' as const), count: fc.integer({ min: 0, max: 20 }) }),
    },
    { weight: 2, arbitrary: fc.record({ what: fc.constant('append' as const), count: fc.constant(1) }) },
    fc.record({ what: fc.constant('truncate' as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({
      what: fc.constant('reorder' as const),
      picks: fc.array(fc.nat(5), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ what: fc.constant('clone' as const) }),
    fc.record({ what: fc.constant('reset' as const) }),
  ),
  { maxLength: 14 },
) as fc.Arbitrary<Command[]>;

interface Known {
  readonly cache: KeyValueCache;
  rows: Rows;
}

/** Runs commands on a cache and on lists; of clones and what they were cloned from, each gets its turn. */
function follow(list: readonly Command[], window: number | undefined): void {
  const all: Known[] = [{ cache: new KeyValueCache({ window }), rows: [[], []] }];
  const handed: { tensor: Tensor; expected: number[] }[] = [];
  const look = ({ cache, rows }: Known): void => {
    expect(cache.length).toBe(rows[0]!.length);
    const { content } = cache;
    if (!content) return expect(rows[0]!.length).toBe(0);
    const stored = content.keys.shape[2]!;
    expect(stored).toBeGreaterThanOrEqual(Math.min(rows[0]!.length, (window ?? Infinity) - 1));
    const last = rows.map((row) => row.slice(row.length - stored));
    expect(numbers(content.keys)).toEqual(numbers(tokens(last, d)));
    expect(numbers(content.values)).toEqual(numbers(tokens(last, dv)));
  };
  let next = 1;
  list.forEach((command, turn) => {
    const at = all[turn % all.length]!;
    const { cache, rows } = at;
    if (command.what === 'append') {
      const fresh = rows.map(() => Array.from({ length: command.count }, () => next++));
      const seen = rows.map((row) => row.slice(Math.max(0, row.length - (window ?? Infinity) + 1)));
      const { keys, values } = cache.append(tokens(fresh, d), tokens(fresh, dv));
      rows.forEach((row, b) => row.push(...fresh[b]!));
      const visible = seen.map((row, b) => [...row, ...fresh[b]!]);
      expect(numbers(keys)).toEqual(numbers(tokens(visible, d)));
      expect(numbers(values)).toEqual(numbers(tokens(visible, dv)));
      handed.push({ tensor: keys, expected: numbers(keys) }, { tensor: values, expected: numbers(values) });
    } else if (command.what === 'truncate') {
      const to = Math.round(command.part * rows[0]!.length);
      try {
        cache.truncate(to);
      } catch (error) {
        expect(window).toBeDefined();
        expect(error).toBeInstanceOf(ValueError);
        return;
      }
      at.rows = rows.map((row) => row.slice(0, to));
    } else if (command.what === 'reorder') {
      if (!cache.content) return;
      const picks = command.picks.map((n) => n % rows.length);
      cache.reorder(picks);
      at.rows = picks.map((n) => [...rows[n]!]);
    } else if (command.what === 'clone') {
      all.push({ cache: cache.clone(), rows: rows.map((row) => [...row]) });
    } else {
      cache.reset();
      expect(cache.bytes).toBe(0);
      at.rows = [[], []];
    }
    for (const one of all) look(one);
  });
  for (const { tensor, expected } of handed) expect(numbers(tensor)).toEqual(expected);
}

/** As `withBackend`; `copying` is the reference as if it could not write into a buffer, like the GPU. */
function on<T>(name: string, body: () => T): T {
  if (name !== 'copying') return withBackend(name, body);
  return withBackend('js', () => {
    const { backend } = zeros([1]);
    backend.copyInto = undefined!;
    try {
      return body();
    } finally {
      delete backend.copyInto;
    }
  });
}

describe.each(['js', 'wasm', 'copying'])('KeyValueCache on %s', (backend) => {
  const law = (body: (list: readonly Command[], window: number) => void): void =>
    on(backend, () => fc.assert(fc.property(commands, fc.integer({ min: 1, max: 6 }), body)));
  test('is a list, in whatever order things are done; what it handed out never changes', () =>
    law((list) => follow(list, undefined)));
  test('within scopes too', () => law((list) => scope(() => follow(list, undefined))));
  test('with a window it is the end of the list', () => law((list, window) => follow(list, window)));
});

test('where nothing can be written in place, nothing is', () =>
  on('copying', () => {
    expect(writeInPlace(zeros([2]).clone(), zeros([2]))).toBe(false);
  }));

const one = (seed: number, count = 1): { keys: Tensor; values: Tensor } => ({
  keys: new Key(seed).normal([2, heads, count, d]),
  values: new Key(seed + 1000).normal([2, heads, count, dv]),
});

describe('what a token costs', () => {
  /** Bytes allocated by reading so many tokens one by one. */
  const allocated = (cache: KeyValueCache, count: number): number => {
    const token = one(1);
    const before = memoryStats().allocatedBytes;
    for (let t = 0; t < count; t++) scope(() => void cache.append(token.keys, token.values));
    return memoryStats().allocatedBytes - before;
  };
  const size = 2 * heads * (d + dv) * 4;

  test('the room doubles: reading n tokens allocates no more than a few times n', () => {
    for (const count of [100, 1000]) {
      const spent = allocated(new KeyValueCache(), count);
      expect(spent).toBeLessThan(6 * count * size);
      expect(spent).toBeGreaterThanOrEqual(count * size);
    }
  });
  test('with maxLength everything is allocated once', () => {
    const cache = new KeyValueCache({ maxLength: 100 });
    expect(allocated(cache, 100)).toBe(100 * size);
    expect(cache.bytes).toBe(100 * size);
  });
  test('with a window the bytes do not depend on the length', () => {
    const cache = new KeyValueCache({ window: 8 });
    expect(allocated(cache, 1000)).toBeLessThan(4 * 1000 * size);
    expect(cache.bytes).toBe(16 * size);
    // Nor on the length of a first piece.
    const { keys, values } = one(1, 300);
    const read = new KeyValueCache({ window: 8 });
    scope(() => void read.append(keys, values));
    expect(read.bytes).toBeLessThanOrEqual(17 * size);
  });
  test.each([
    ['growing', {}],
    ['with a window', { window: 5 }],
  ])('memory is flat but for what is kept, %s', (_, options) => {
    const cache = new KeyValueCache(options);
    const token = one(3);
    const step = (): void => scope(() => void cache.append(token.keys, token.values));
    for (let t = 0; t < 40; t++) step();
    const [before, kept] = [memoryStats(), cache.bytes];
    for (let t = 0; t < 400; t++) step();
    const after = memoryStats();
    expect(after.buffers).toBe(before.buffers);
    expect(after.bytes - before.bytes).toBe(cache.bytes - kept);
    scope(() => cache.reset());
    expect(memoryStats().bytes).toBeLessThan(before.bytes);
    expect(memoryStats().buffers).toBe(before.buffers - 2);
  });
  test('a clone costs nothing until it reads', () => {
    const cache = new KeyValueCache();
    const { keys, values } = one(1, 50);
    cache.append(keys, values);
    const before = memoryStats().allocatedBytes;
    const copy = cache.clone();
    expect(memoryStats().allocatedBytes).toBe(before);
    expect(copy.bytes).toBe(cache.bytes);
  });
});

describe('gradients', () => {
  test('reach what is read now, and end at what was read before', () => {
    const cache = new KeyValueCache();
    const [a, b] = [one(1, 3), one(2, 2)].map(({ keys, values }) => ({
      keys: keys.requireGrad(),
      values: values.requireGrad(),
    })) as [{ keys: Tensor; values: Tensor }, { keys: Tensor; values: Tensor }];
    cache.append(a.keys, a.values);
    const { keys, values } = cache.append(b.keys, b.values);
    expect(keys.shape).toEqual([2, heads, 5, d]);
    keys.square().sum().add(values.square().sum()).backward();
    expect(numbers(b.keys.grad!)).toEqual(numbers(b.keys.mul(2)));
    expect(numbers(b.values.grad!)).toEqual(numbers(b.values.mul(2)));
    expect([a.keys.grad, a.values.grad]).toEqual([null, null]);
    expect(cache.content!.keys.requiresGrad).toBe(false);
  });
});

describe('left padding', () => {
  test('masks the first tokens of each row, and moves its positions', () => {
    const cache = new KeyValueCache({ leftPadding: [2, 0] });
    const { backend } = zeros([1]);
    expect(cache.position).toEqual([-2, 0]);
    const { keys, values } = one(1, 3);
    cache.append(keys, values);
    expect(cache.position).toEqual([1, 3]);
    expect(numbers(cache.keyMask(3, 3, backend)!)).toEqual([0, 0, 1, 1, 1, 1]);
    // Of the last one no longer anything is padding.
    expect(cache.keyMask(3, 1, backend)).toBe(null);
    cache.reorder([1, 0, 0]);
    expect(cache.position).toEqual([3, 1, 1]);
    expect(numbers(cache.keyMask(3, 2, backend)!)).toEqual([1, 1, 0, 1, 0, 1]);
    expect(cache.clone().leftPadding).toEqual([0, 2, 2]);
  });
  test('none is none', () => {
    const { backend } = zeros([1]);
    expect(new KeyValueCache().position).toBe(0);
    expect(new KeyValueCache().keyMask(0, 0, backend)).toBe(null);
  });
});

describe('RecurrentCache', () => {
  const state = (seed: number, batch = 2): { s: Tensor; parts: [Tensor, null] } => ({
    s: new Key(seed).normal([batch, 3]),
    parts: [new Key(seed + 1).normal([batch, 2, 2]), null],
  });
  test('keeps the last state, beyond scopes, without history', () => {
    const cache = new RecurrentCache<ReturnType<typeof state>>();
    expect([cache.state, cache.length, cache.bytes]).toEqual([null, 0, 0]);
    const given = state(1);
    scope(() => cache.update({ ...given, s: given.s.requireGrad().mul(2) }, 3));
    scope(() => cache.update({ ...cache.state!, s: cache.state!.s.add(1) }, 2));
    expect(numbers(cache.state!.s)).toEqual(numbers(given.s.mul(2).add(1)));
    expect(numbers(cache.state!.parts[0])).toEqual(numbers(given.parts[0]));
    expect(cache.state!.parts[1]).toBe(null);
    expect(cache.state!.s.requiresGrad).toBe(false);
    expect([cache.length, cache.bytes]).toEqual([5, 4 * (6 + 8)]);
  });
  test('clones go their own ways; rows are picked; nothing is taken back', () => {
    const cache = new RecurrentCache<ReturnType<typeof state>>();
    cache.update(state(1), 4);
    const copy = cache.clone();
    copy.update(state(5), 1);
    expect(numbers(cache.state!.s)).toEqual(numbers(state(1).s));
    expect([copy.length, cache.length]).toEqual([5, 4]);
    cache.reorder([1, 1, 0]);
    const rows = state(1).s.toArraySync() as number[][];
    expect(cache.state!.s.toArraySync()).toEqual([rows[1], rows[1], rows[0]]);
    cache.truncate(4);
    expect(() => cache.truncate(3)).toThrow(
      'RecurrentCache.truncate: a recurrent state cannot forget the last 1 tokens alone. Hint: clone() the cache',
    );
    cache.truncate(0);
    expect([cache.state, cache.length]).toEqual([null, 0]);
  });
  test('memory is flat', () => {
    const cache = new RecurrentCache<Tensor>();
    cache.update(zeros([2, 8]).add(1), 1);
    const step = (): void => scope(() => cache.update(cache.state!.mul(0.5), 1));
    step();
    const before = memoryStats();
    for (let t = 0; t < 200; t++) step();
    expect(memoryStats().bytes).toBe(before.bytes);
    expect(memoryStats().buffers).toBe(before.buffers);
  });
  test('errors', () => {
    const cache = new RecurrentCache<Tensor>();
    expect(() => cache.update(zeros([]), 1)).toThrow(ShapeError);
    expect(() => cache.update(zeros([2]), -1)).toThrow('the number of tokens must be an integer ≥ 0, got -1');
    cache.update(zeros([2]), 1);
    expect(() => cache.reorder([2])).toThrow('RecurrentCache.reorder: the batch has 2 rows, got row 2');
    expect(() => cache.truncate(2)).toThrow('needs an integer from 0 to 1, the tokens read so far, got 2');
    expect(() => vmap((x: Tensor) => (cache.update(x.unsqueeze(0), 1), x))(zeros([3, 2]).add(1))).toThrow(
      'cannot keep what vmap or jvp go through',
    );
    expect([cache.length, numbers(cache.state!)]).toEqual([1, [0, 0]]);
  });
});

describe('KeyValueCache: errors, before anything is changed', () => {
  const filled = (options = {}): KeyValueCache => {
    const cache = new KeyValueCache(options);
    const { keys, values } = one(1, 3);
    cache.append(keys, values);
    return cache;
  };
  const kv = (shape: number[], value = shape): [Tensor, Tensor] => [zeros(shape), zeros(value)];
  const rows: [string, () => unknown, new (...args: never[]) => Error, string][] = [
    [
      'no room for any',
      () => new KeyValueCache({ maxLength: 0 }),
      ValueError,
      'maxLength must be an integer ≥ 1',
    ],
    ['a window of none', () => new KeyValueCache({ window: 0 }), ValueError, 'window must be an integer ≥ 1'],
    [
      'negative padding',
      () => new KeyValueCache({ leftPadding: [1, -1] }),
      ValueError,
      'leftPadding must hold integers ≥ 0, got -1',
    ],
    [
      'keys of rank 3',
      () => filled().append(...kv([2, 2, 2])),
      ShapeError,
      'KeyValueCache: needs keys and values [batch, heads, T, d]',
    ],
    [
      'more keys than values',
      () => filled().append(...kv([2, 2, 2, d], [2, 2, 1, dv])),
      ShapeError,
      'differ in number',
    ],
    [
      'another batch',
      () => filled().append(...kv([3, 2, 1, d], [3, 2, 1, dv])),
      ShapeError,
      'rows differ from those read before',
    ],
    [
      'other heads',
      () => filled().append(...kv([2, 1, 1, d], [2, 1, 1, dv])),
      ShapeError,
      'rows differ from those read before',
    ],
    [
      'other values',
      () => filled().append(...kv([2, 2, 1, d], [2, 2, 1, d])),
      ShapeError,
      'rows differ from those read before',
    ],
    [
      'another dtype',
      () =>
        filled().append(...(kv([2, 2, 1, d], [2, 2, 1, dv]).map((x) => x.cast('f64')) as [Tensor, Tensor])),
      DTypeError,
      'differ in dtype',
    ],
    [
      'padding for another batch',
      () => filled({ leftPadding: [1, 2, 3] }),
      ShapeError,
      'leftPadding is for a batch of 3',
    ],
    [
      'too many tokens',
      () => filled({ maxLength: 4 }).append(...kv([2, 2, 2, d], [2, 2, 2, dv])),
      ValueError,
      'has room for 4 tokens, of which 3 are taken; 2 more do not fit',
    ],
    [
      'rows that are not there',
      () => filled().reorder([0, 2]),
      ValueError,
      'the batch has 2 rows, got row 2',
    ],
    [
      'rows of padding that are not there',
      () => new KeyValueCache({ leftPadding: [1] }).reorder([1]),
      ValueError,
      'the batch has 1 rows, got row 1',
    ],
    ['a longer length', () => filled().truncate(4), ValueError, 'needs an integer from 0 to 3'],
    ['what the window forgot', () => filled({ window: 1 }).truncate(-1), ValueError, 'got -1'],
  ];
  test.each(rows)('%s', (_, body, kind, says) => {
    expect(body).toThrow(kind);
    expect(body).toThrow(says);
  });
  test('beyond what the window has kept', () => {
    const cache = new KeyValueCache({ window: 3 });
    for (let t = 0; t < 40; t++) {
      const { keys, values } = one(t);
      cache.append(keys, values);
    }
    expect(() => cache.truncate(10)).toThrow('of the first 10 tokens the window has kept 0 alone');
    cache.truncate(39);
    expect(cache.length).toBe(39);
  });
  test('refused tokens leave no trace', () => {
    const cache = filled();
    const before = numbers(cache.content!.keys);
    expect(() => cache.append(zeros([2, 2, 1, d]), zeros([2, 2, 1, d]))).toThrow(ShapeError);
    expect([cache.length, cache.content!.keys.shape[2], cache.content!.values.shape[2]]).toEqual([3, 3, 3]);
    expect(numbers(cache.content!.keys)).toEqual(before);
  });
  test('vmap cannot go through', () => {
    const cache = new KeyValueCache();
    const { keys, values } = one(1, 2);
    const body = vmap((k: Tensor, v: Tensor) => cache.append(k.unsqueeze(0), v.unsqueeze(0)).keys.squeeze(0));
    expect(() => body(keys, values)).toThrow(ValueError);
    expect(cache.length).toBe(0);
    // What stands for many has no one place to be written to.
    const target = zeros([3]).clone();
    const written: boolean[] = [];
    vmap((x: Tensor) => {
      written.push(writeInPlace(target, x));
      return x;
    })(zeros([2, 3]).add(1));
    expect(written).toEqual([false]);
    expect(numbers(target)).toEqual([0, 0, 0]);
  });
});
