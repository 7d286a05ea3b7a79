/** Selections against the definition of indexing, in every layout; what they cost; and where they cannot be. */
import {
  BackendError,
  fromData,
  getBackend,
  intercept,
  range,
  registerBackend,
  scope,
  tensor,
  withBackend,
  zeros,
  type Backend,
  type IndexItem,
  type NestedArray,
  type Operand,
  type Selection,
  type Tensor,
} from '@infinigrad/tensor';
import {
  contiguousPlan,
  drawLayout,
  expectAllClose,
  realise,
  type Generator,
} from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { flat, fromTensor, indices, stretchedAt } from '../naive.ts';
import { runs } from '../support.ts';
import { naiveChange, naiveSelection, type PlainItem } from './naive.ts';

const between = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });

/** Choices for one index: items as plain data, and as they are given to `at`. */
class Draws {
  readonly #g: Generator;
  constructor(g: Generator) {
    this.#g = g;
  }
  int(min: number, max: number): number {
    return this.#g(between, min, max);
  }
  shape(maxRank: number, maxSize: number): number[] {
    return Array.from({ length: this.int(0, maxRank) }, () => this.int(1, maxSize));
  }
  nested(shape: readonly number[], leaf: () => number | boolean): NestedArray {
    const [n, ...rest] = shape;
    return n === undefined ? leaf() : Array.from({ length: n }, () => this.nested(rest, leaf));
  }
  /** As an array, or as a tensor in some layout. */
  given(item: NestedArray, dtype: 'bool' | 'i32' | 'u8'): IndexItem {
    if (Array.isArray(item) && this.int(0, 2) === 0) return item as IndexItem;
    const plain = tensor(item, { dtype });
    const layout = drawLayout(this.#g, plain.shape, { repeats: false });
    return realise(Array.from(plain.dataSync()), plain.shape, dtype, layout);
  }
  tensor(shape: readonly number[], values: readonly number[]): Tensor {
    const repeats = contiguousPlan(shape.length).repeats;
    return realise(values, shape, 'f64', { ...drawLayout(this.#g, shape), repeats });
  }

  /** Items that fit a shape. */
  items(shape: readonly number[]): { plain: PlainItem[]; given: IndexItem[] } {
    const plain: PlainItem[] = [];
    const given: IndexItem[] = [];
    const add = (item: PlainItem, as: IndexItem): void => {
      plain.push(item);
      given.push(as);
    };
    // Index arrays meet in this shape.
    const met = this.shape(2, 3);
    let axis = 0;
    while (axis < shape.length && this.int(0, 9) > 0) {
      const size = shape[axis]!;
      const place = (): number => this.int(-size, size - 1);
      const end = (): number | null => (this.int(0, 2) === 0 ? null : this.int(-size - 2, size + 2));
      switch (this.int(0, 8)) {
        case 0:
          add(null, null);
          continue;
        case 1:
          if (!plain.includes('...')) {
            add('...', '...');
            axis += this.int(0, shape.length - axis);
          }
          continue;
        case 2: {
          const at = place();
          add(at, at);
          axis++;
          break;
        }
        case 3: {
          const text = `${end() ?? ''}:${end() ?? ''}:${this.int(0, 1) === 0 ? 1 : -this.int(1, 2)}`;
          add(text, text as IndexItem);
          axis++;
          break;
        }
        case 4: {
          const run = range(end(), end(), this.int(0, 1) === 0 ? -1 : this.int(1, 3));
          add(run, run);
          axis++;
          break;
        }
        case 5: {
          // A mask that holds as often as the arrays are long, so that they meet.
          const rank = this.int(0, Math.min(2, shape.length - axis));
          const sizes = shape.slice(axis, axis + rank);
          const wanted = met.at(-1) ?? 1;
          const cells = indices(sizes).map((_, i) => i);
          if (cells.length < wanted) continue;
          const chosen = new Set<number>();
          while (chosen.size < wanted)
            chosen.add(cells[(this.int(0, cells.length - 1) + chosen.size) % cells.length]!);
          let next = 0;
          const mask = this.nested(sizes, () => chosen.has(next++));
          add(mask as PlainItem, this.given(mask, 'bool'));
          axis += rank;
          break;
        }
        default: {
          const own = met.slice(this.int(0, met.length)).map((n) => (this.int(0, 3) === 0 ? 1 : n));
          const bytes = this.int(0, 3) === 0;
          const places = this.nested(own, bytes ? () => this.int(0, size - 1) : place);
          add(places as PlainItem, this.given(places, bytes ? 'u8' : 'i32'));
          axis++;
        }
      }
    }
    // An ellipsis stands for what it has been taken to stand for only where the rest of the axes are spoken of.
    if (plain.includes('...')) for (; axis < shape.length; axis++) add(':', ':');
    return { plain, given };
  }
}

interface Drawn {
  readonly x: Tensor;
  readonly items: readonly PlainItem[];
  readonly at: () => Selection;
  readonly draws: Draws;
}

/** A tensor of rank 0 … 4 in any layout, and items that fit it. */
function holds(check: (drawn: Drawn) => void): void {
  const law = fc.property(fc.gen(), (g) => {
    const draws = new Draws(g);
    const shape = draws.shape(4, 4);
    const x = draws.tensor(
      shape,
      indices(shape).map((_, i) => i * 1.5 - 7),
    );
    const { plain, given } = draws.items(shape);
    check({ x, items: plain, at: () => x.at(...given), draws });
  });
  fc.assert(law, { numRuns: 5 * runs });
}

const changes = {
  set: (_: number, given: number) => given,
  add: (there: number, given: number) => there + given,
  mul: (there: number, given: number) => there * given,
  max: (there: number, given: number) => (there > given ? there : given),
  min: (there: number, given: number) => (there < given ? there : given),
} as const;

describe.each(['js', 'wasm'])('on %s', (backend) => {
  it('get reads what the definition says', () =>
    withBackend(backend, () =>
      holds(({ x, items, at }) => {
        const { shape, source } = naiveSelection(x.shape, items);
        const values = fromTensor(x);
        const y = at().get();
        expect(at().shape).toEqual(shape);
        expect(y.shape).toEqual(shape);
        expectAllClose(
          y,
          indices(shape).map((index) => values.at(source(index))),
        );
      }),
    ));

  it.each(Object.keys(changes) as (keyof typeof changes)[])('%s changes what the definition says', (name) =>
    withBackend(backend, () =>
      holds(({ x, items, at, draws }) => {
        const selected = naiveSelection(x.shape, items);
        const before = flat(fromTensor(x));
        const own = selected.shape
          .slice(draws.int(0, 3) === 0 ? 1 : 0)
          .map((n) => (draws.int(0, 4) === 0 ? 1 : n));
        const spread = draws.tensor(
          own,
          indices(own).map(() => draws.int(-3, 3)),
        );
        const number = draws.int(-3, 3);
        const value: Operand = draws.int(0, 4) === 0 ? number : spread;
        const naive = fromTensor(spread);
        const expected = naiveChange(
          fromTensor(x),
          selected,
          (index) => (value === number ? number : stretchedAt(naive, index)),
          changes[name],
        );
        const y = at()[name](value);
        expect(y.shape).toEqual(x.shape);
        expectAllClose(y, expected, { rtol: 1e-12, atol: 1e-12 });
        expectAllClose(x, before);
      }),
    ),
  );
});

describe('what it costs', () => {
  /** The ops that a body runs, views aside. */
  function opsOf(body: () => unknown): string[] {
    const seen: string[] = [];
    const remove = intercept((call, next) => {
      if (!['reshape', 'permute', 'expand', 'slice'].includes(call.op)) seen.push(call.op);
      return next(call);
    });
    try {
      body();
    } finally {
      remove();
    }
    return seen;
  }
  const x = zeros([3, 4, 5]).clone();
  const places = tensor([0, 2], { dtype: 'i32' });

  it('without index tensors, a view', () => {
    const views = [
      x.at(1),
      x.at('...', -1),
      x.at('::2', null, '::-1', 2),
      x.at(range(1), ':', range(null, null, -2)),
      x.at(),
      x.at(0, 0, 0),
    ];
    for (const selection of views) {
      expect(opsOf(() => selection.get())).toEqual([]);
      expect(selection.get().storage).toBe(x.storage);
    }
  });
  it('with them, one pick', () => {
    expect(opsOf(() => x.at([0, 2]).get())).toEqual(['indexSelect']);
    expect(opsOf(() => x.at(places).get())).toEqual(['indexSelect']);
    expect(opsOf(() => x.at('1:', places).get())).toEqual(['indexSelect']);
    expect(opsOf(() => x.at(0, ':', places).get())).toEqual(['indexSelect']);
    const [pick, ...others] = opsOf(() => x.at(places, [1, 3]).get()).toReversed();
    expect([pick, others]).toEqual(['indexSelect', ['add', 'mul']]);
    expect(opsOf(() => x.at(x.eq(1)).get())).toEqual(['eq', 'indexSelect']);
  });
  it('an update, one write', () => {
    expect(opsOf(() => x.at(1, '::2').set(1))).toEqual(['sliceScatter']);
    expect(opsOf(() => x.at(1, '::2').add(1))).toEqual(['add', 'sliceScatter']);
    expect(opsOf(() => x.at(places).set(1))).toEqual(['scatterSet']);
    expect(opsOf(() => x.at(places).add(1))).toEqual(['indexAdd']);
    expect(opsOf(() => x.at(':', places).max(1))).toEqual(['scatterMax']);
    expect(opsOf(() => x.at('1:', places).min(1))).toEqual(['scatterMin', 'sliceScatter']);
  });
  it('a mask and a number, a choice: nothing is read', () => {
    const mask = x.eq(1);
    expect(opsOf(() => x.at(mask).set(1))).toEqual(['where']);
    expect(opsOf(() => x.at(mask).add(1))).toEqual(['add', 'where']);
  });
  it('one selection serves many scopes', () => {
    const selections = [x.at(places, [[1], [3]]), x.at(x.eq(0)), x.at(places, ':', places), x.at('::2', -1)];
    for (const selection of selections) {
      const { shape } = selection;
      const first = scope(() => selection.set(2));
      expect(scope(() => selection.get()).shape).toEqual(shape);
      expect(first.sum().itemSync()).toBe(2 * selection.get().size);
    }
  });
});

describe('dtypes', () => {
  it('a selection has that of the tensor, a change that in which tensor and value meet', () => {
    const x = tensor([1, 2, 3], { dtype: 'i32' });
    expect(x.at([0, 1]).get().dtype).toBe('i32');
    expect([x.at(0).set(7).dtype, x.at([0]).set(7).dtype, x.at([0]).add(7).dtype]).toEqual([
      'i32',
      'i32',
      'i32',
    ]);
    expect([x.at(0).set(0.5).dtype, x.at([0]).set(0.5).dtype]).toEqual(['f32', 'f32']);
    expect(x.at([0]).set(tensor([0.5], { dtype: 'f64' })).dtype).toBe('f64');
    expect(tensor([true, false]).at([1]).set(true).toArraySync()).toEqual([true, true]);
  });
  it('places in u8 reach as far as places in i32', () => {
    const x = fromData(
      Float32Array.from({ length: 600 }, (_, i) => i),
      [3, 200],
    );
    const [rows, columns] = [
      [2, 1],
      [199, 150],
    ].map((values) => tensor(values, { dtype: 'u8' }));
    expect(x.at(rows!, columns!).get().toArraySync()).toEqual([599, 350]);
    expect(x.at(rows!, columns!).set(-1).at(2, 199).get().itemSync()).toBe(-1);
  });
});

describe('on a backend that cannot be read at once', () => {
  const js = getBackend('js');
  const far: Backend = Object.create(js, {
    name: { value: 'far away' },
    synchronous: { value: false },
    downloadSync: {
      value: () => {
        throw new BackendError('dataSync', 'the elements are far away');
      },
    },
  }) as Backend;
  registerBackend(far);
  const x = withBackend('far away', () =>
    tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]),
  );
  const places = withBackend('far away', () => tensor([-1, 0], { dtype: 'i32' }));
  const read = (y: Tensor): number[] => Array.from(js.downloadSync(y.storage.buffer, y.dtype, 0, y.size));

  it('places are places all the same', () => {
    expect(read(x.at(':', places).get())).toEqual([3, 1, 6, 4]);
    expect(read(x.at(':', places).set(0))).toEqual([0, 2, 0, 0, 5, 0]);
    expect(read(x.at(x.gt(2)).set(0))).toEqual([1, 2, 0, 0, 0, 0]);
    expect(read(x.take(places))).toEqual([6, 1]);
  });
  it.each<[string, () => unknown]>([
    ['at', () => x.at(x.gt(2)).get()],
    ['at', () => x.at(x.gt(2)).shape],
    ['at', () => x.at(x.gt(2)).set(zeros([4], { backend: far }))],
    ['nonzero', () => x.nonzero()],
    ['maskedSelect', () => x.maskedSelect(x.gt(2))],
    ['unique', () => x.unique()],
    ['bincount', () => places.bincount()],
    ['histogram', () => x.histogram(3)],
  ])('%s says that it would have to wait', (op, body) => {
    expect(body).toThrow(BackendError);
    expect(body).toThrow(
      `${op}: the shape of its result depends on elements, which the far away backend cannot`,
    );
  });
  it('a histogram over a range that is told needs no reading', () =>
    expect(read(x.histogram(3, [0, 6]).counts.clone())).toEqual([1, 2, 3]));
});
