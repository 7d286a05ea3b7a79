/** Indexing and counting against NumPy's own answers (made by scripts/fixtures/indexing.py). */
import { readFileSync } from 'node:fs';
import {
  fromData,
  InfinigradError,
  tensor,
  withBackend,
  type IndexItem,
  type NestedArray,
  type Selection,
  type Tensor,
} from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';

interface Stored {
  readonly shape: readonly number[];
  /** null for NaN. */
  readonly data: readonly (number | null)[];
}
type Items = readonly (number | boolean | null | string | readonly NestedArray[])[];
interface Case {
  readonly shape: readonly number[];
  readonly items: Items;
  readonly output: Stored;
  readonly value: Stored;
  readonly changes: Readonly<Partial<Record<'set' | 'add' | 'mul' | 'max' | 'min', readonly number[]>>>;
}
interface Fixture {
  readonly cases: readonly Case[];
  readonly refused: readonly Pick<Case, 'shape' | 'items'>[];
  readonly histograms: readonly {
    readonly x: Stored;
    readonly bins: number | readonly number[];
    readonly range: readonly [number, number] | null;
    readonly counts: Stored;
    readonly edges: Stored;
  }[];
  readonly searches: readonly {
    readonly x: Stored;
    readonly values: Stored;
    readonly left: readonly number[];
    readonly right: readonly number[];
  }[];
  readonly bincounts: readonly {
    readonly x: readonly number[];
    readonly minLength: number;
    readonly output: readonly number[];
  }[];
  readonly nonzero: readonly { readonly x: Stored; readonly output: NestedArray }[];
}

const url = new URL('../fixtures/indexing.json', import.meta.url);
const fixture = JSON.parse(readFileSync(url, 'utf8')) as Fixture;

const elements = ({ data }: Stored): number[] => data.map((value) => value ?? NaN);
const restored = (stored: Stored): Tensor => fromData(Float64Array.from(elements(stored)), stored.shape);
const numbered = (shape: readonly number[]): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return fromData(
    Float64Array.from({ length: size }, (_, i) => i + 1),
    shape,
  );
};
const list = (x: Tensor): number[] => Array.from(x.dataSync());

/** Lists as arrays, or as tensors. */
function itemsOf(items: Items, as: 'arrays' | 'tensors'): IndexItem[] {
  return items.map((item): IndexItem => {
    if (as === 'arrays' || !Array.isArray(item)) return item as IndexItem;
    const nested = item as readonly NestedArray[];
    const truth = nested.flat(9 as 1).some((value) => typeof value === 'boolean');
    return tensor(nested, { dtype: truth ? 'bool' : 'i32' });
  });
}

const named = <T extends { readonly shape: readonly number[]; readonly items: Items }>(
  rows: readonly T[],
): [string, T][] => rows.map((row) => [`[${row.shape.join(', ')}] at ${JSON.stringify(row.items)}`, row]);

describe.each(['js', 'wasm'])('on %s', (backend) => {
  describe.each(['arrays', 'tensors'] as const)('places in %s', (as) => {
    it.each(named(fixture.cases))('%s', (_, { shape, items, output, value, changes }) =>
      withBackend(backend, () => {
        const x = numbered(shape);
        const at = (): Selection => x.at(...itemsOf(items, as));
        expect(at().shape).toEqual(output.shape);
        const y = at().get();
        expect(y.shape).toEqual(output.shape);
        expect(list(y)).toEqual(output.data);
        expect(Object.keys(changes).length).toBeGreaterThan(1);
        for (const [name, expected] of Object.entries(changes)) {
          const changed = at()[name as keyof Case['changes']](restored(value));
          expect(changed.shape).toEqual(shape);
          expect([name, list(changed)]).toEqual([name, expected]);
        }
        expect(list(x)).toEqual(list(numbered(shape)));
      }),
    );
    it.each(named(fixture.refused))('%s is refused', (_, { shape, items }) =>
      withBackend(backend, () => {
        const body = (): unknown =>
          numbered(shape)
            .at(...itemsOf(items, as))
            .get();
        expect(body).toThrow(InfinigradError);
        expect(body).toThrow(/^at: /);
      }),
    );
  });

  it.each(fixture.histograms)('histogram %#', ({ x, bins, range, counts, edges }) =>
    withBackend(backend, () => {
      const made = restored(x).histogram(bins, range ?? undefined);
      expect(list(made.counts)).toEqual(counts.data);
      expectAllClose(made.edges, elements(edges), { rtol: 1e-15, atol: 1e-15 });
    }),
  );
  it.each(fixture.searches)('searchSorted %#', ({ x, values, left, right }) =>
    withBackend(backend, () => {
      const row = restored(x);
      expect(list(row.searchSorted(restored(values)))).toEqual(left);
      expect(list(row.searchSorted(restored(values), { side: 'right' }))).toEqual(right);
    }),
  );
  it.each(fixture.bincounts)('bincount %#', ({ x, minLength, output }) =>
    withBackend(backend, () => expect(list(tensor(Int32Array.from(x)).bincount(minLength))).toEqual(output)),
  );
  it.each(fixture.nonzero)('nonzero %#', ({ x, output }) =>
    withBackend(backend, () => expect(restored(x).nonzero().toArraySync()).toEqual(output)),
  );
});
