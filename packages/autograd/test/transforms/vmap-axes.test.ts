/** vmap: axes in and out, and what it refuses. */
import { grad, vmap } from '@infinigrad/autograd';
import { DisposedError, IndexError, ShapeError, tensor, ValueError, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { expectClose, list, t, thrownBy } from '../support.ts';
import { expectSame } from './support.ts';

describe('axes', () => {
  const xs = t([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  it('count from the end too, in and out', () => {
    expectSame(vmap((x: Tensor) => x.mul(2), { inAxes: -1, outAxes: -1 })(xs), xs.mul(2));
    expectSame(vmap((x: Tensor) => x, { inAxes: 1 })(xs), xs.transpose());
  });
  it('of trees: one for all parts, or one for each; null hands over one for all examples', () => {
    const f = ({ a, b }: { a: Tensor; b: readonly Tensor[] }, c: Tensor): { sum: Tensor; same: Tensor } => ({
      sum: a.add(b[0]!).add(c),
      same: c,
    });
    const args = { a: xs, b: [xs.transpose()] };
    const { sum, same } = vmap(f, { inAxes: [{ a: 0, b: [1] }, null], outAxes: { sum: 1, same: null } })(
      args,
      t(10),
    );
    expectSame(sum, xs.mul(2).add(10).transpose());
    expectSame(same, t(10));
    const both = vmap(f, { inAxes: [0, null] })({ a: xs, b: [xs] }, t(1));
    expectSame(both.sum, xs.mul(2).add(1));
    expectSame(both.same, t([1, 1]));
  });
  it('null hands over anything', () => {
    const f = (x: Tensor, options: { power: number }, axis: number): Tensor => x.pow(options.power).sum(axis);
    expect(list(vmap(f, { inAxes: [0, null, null] })(xs, { power: 2 }, 0))).toEqual([14, 77]);
  });
});

describe('errors', () => {
  const xs = t([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  const id = (x: Tensor): Tensor => x;
  let escaped = xs;
  vmap((x: Tensor) => (escaped = x))(xs);
  const rows: [string, () => unknown, new (...args: never[]) => Error, string][] = [
    [
      'reading an element',
      () => vmap((x: Tensor) => t(x.sum().itemSync()))(xs),
      ValueError,
      'data: stands for every example of a vmap at once, so there is no one value to read: [] f64. Hint: return it',
    ],
    [
      'reading all',
      () => vmap((x: Tensor) => t(Array.from(x.dataSync())))(xs),
      ValueError,
      'data: stands for every example',
    ],
    [
      'reading nested arrays',
      () => vmap((x: Tensor) => t(x.toArraySync()))(xs),
      ValueError,
      'data: stands for every example',
    ],
    [
      'sizes that differ',
      () => vmap((x: Tensor, y: Tensor) => x.add(y), { inAxes: [0, 1] })(xs, xs),
      ShapeError,
      'vmap: the mapped axes differ in size (2 and 3): [2, 3] f64, [2, 3] f64',
    ],
    ['nothing mapped', () => vmap(id, { inAxes: null })(xs), ValueError, 'vmap: no argument is mapped'],
    ['no argument', () => vmap(() => xs)(), ValueError, 'vmap: no argument is mapped'],
    [
      'an axis too far',
      () => vmap(id, { inAxes: 2 })(xs),
      IndexError,
      'vmap: axis 2 is out of range for rank 2',
    ],
    ['an axis of a number', () => vmap(id)(t(1)), IndexError, 'vmap: axis 0 is out of range for rank 0'],
    [
      'an out axis too far',
      () => vmap(id, { outAxes: 2 })(xs),
      IndexError,
      'vmap: axis 2 is out of range for rank 2',
    ],
    [
      'no axis for what differs',
      () => vmap(id, { outAxes: null })(xs),
      ValueError,
      'vmap: a result differs from example to example, but outAxes names no axis for it: [3] f64',
    ],
    [
      'fewer axes than arguments',
      () => vmap((x: Tensor, y: Tensor) => x.add(y), { inAxes: [0] })(xs, xs),
      ValueError,
      'vmap: inAxes has other parts than what it names axes for',
    ],
    [
      'axes for other parts',
      () => vmap((x: { a: Tensor }) => x.a, { inAxes: [{ b: 0 }] })({ a: xs }),
      ValueError,
      'vmap: inAxes has other parts',
    ],
    [
      'axes for parts of a tensor',
      () => vmap(id, { inAxes: [[0]] })(xs),
      ValueError,
      'vmap: inAxes names axes for parts, but there is one tensor: [2, 3] f64',
    ],
    [
      'out axes for other parts',
      () => vmap(id, { outAxes: [0] })(xs),
      ValueError,
      'vmap: outAxes names axes for parts, but there is one tensor',
    ],
    [
      'an axis of a setting',
      () => vmap((x: Tensor, n: number) => x.mul(n))(xs, 3),
      ValueError,
      'vmap: inAxes names an axis for 3, which is no tensor. Hint: null hands it over',
    ],
    [
      'a number returned',
      () => vmap((() => 3) as unknown as typeof id)(xs),
      ValueError,
      'vmap: outAxes names an axis for 3, which is no tensor',
    ],
    [
      'a promise returned',
      () => vmap((async (x: Tensor) => x) as unknown as typeof id)(xs),
      ValueError,
      'vmap: the function is asynchronous',
    ],
    [
      'a tensor that has escaped',
      () => escaped.add(1),
      DisposedError,
      'add: a tensor from inside a vmap is used after it has ended: [3] f64',
    ],
    [
      'an op that refuses an example',
      () => vmap((x: Tensor) => x.matmul(t([[1], [2]])))(xs),
      ShapeError,
      'matmul: inner sizes differ (3 and 2): [1, 3] f64, [2, 1] f64',
    ],
    [
      'an index out of range in one example',
      () => vmap((x: Tensor, i: Tensor) => x.indexSelect(0, i))(xs, tensor([0, 3], { dtype: 'i32' })),
      IndexError,
      'index 3 is out of range',
    ],
  ];
  it.each(rows)('%s', (_, body, kind, says) => {
    const error = thrownBy(body);
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toContain(says);
  });
  it('reading later is a rejection', async () => {
    let later: Promise<unknown> = Promise.resolve();
    vmap((x: Tensor) => {
      later = x.data();
      later.catch(() => {});
      return x;
    })(xs);
    await expect(later).rejects.toThrow('data: stands for every example');
  });
  it('what the function throws goes on its way, and nothing is mapped any more', () => {
    const failure = new Error('of the function');
    expect(
      thrownBy(() =>
        vmap((x: Tensor): Tensor => {
          x.add(1);
          throw failure;
        })(xs),
      ),
    ).toBe(failure);
    expectClose(list(grad((x: Tensor) => x.square().sum())(xs)), list(xs.mul(2)));
  });
});
