/** What interceptors do below themselves, and what goes with a tensor through scopes. */
import {
  accompany,
  below,
  DisposedError,
  intercept,
  keep,
  scope,
  storagesOf,
  tensor,
  type Interceptor,
  type OpName,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { under } from './interceptors.ts';

const list = (x: Tensor): number[] => Array.from(x.dataSync());
const x = tensor([1, 2]);

const noting =
  (seen: OpName[]): Interceptor =>
  (call, next) => (seen.push(call.op), next(call));

describe('an interceptor', () => {
  it('works below itself: those under it see that, it and those above do not', () => {
    const [above, beneath]: [OpName[], OpName[]] = [[], []];
    const doubling: Interceptor = (call, next) => below(next, () => next(call).add(next(call)));
    expect(list(under([noting(beneath), doubling, noting(above)], () => x.exp()))).toEqual(
      list(x.exp().mul(2)),
    );
    expect([above, beneath]).toEqual([['exp'], ['exp', 'exp', 'add']]);
  });
  it('that calls ops on its own is seen by itself and by those under it, never by those above', () => {
    const [above, beneath]: [OpName[], OpName[]] = [[], []];
    const own: OpName[] = [];
    const splitting: Interceptor = (call, next) => {
      own.push(call.op);
      return call.op === 'square' ? call.inputs[0]!.mul(call.inputs[0]!) : next(call);
    };
    under([noting(beneath), splitting, noting(above)], () => x.square());
    expect([above, own, beneath]).toEqual([['square'], ['square', 'mul'], ['mul']]);
  });
  it('may put others on while it works below, and take them away', () => {
    const [inner, beneath]: [OpName[], OpName[]] = [[], []];
    const nesting: Interceptor = (call, next) =>
      below(next, () => under([noting(inner)], () => next(call).neg().abs()));
    under([noting(beneath), nesting], () => {
      x.exp();
      x.log();
    });
    expect(inner).toEqual(['neg', 'abs', 'neg', 'abs']);
    expect(beneath).toEqual(['exp', 'neg', 'abs', 'log', 'neg', 'abs']);
  });
  it('has a way to run things as if it and those above it were not there, and to be back afterwards', () => {
    const [lower, own, upper, inside]: OpName[][] = [[], [], [], []];
    const stops = [intercept(noting(lower!)), intercept(noting(own!)), intercept(noting(upper!))] as const;
    stops[1].below(() => {
      x.neg();
      const stop = intercept(noting(inside!));
      x.abs();
      stop();
      expect(() => stops[1].below(fail)).toThrow('below');
    });
    x.exp();
    for (const stop of stops) stop();
    expect([lower, own, upper, inside]).toEqual([['neg', 'abs', 'exp'], ['exp'], ['exp'], ['abs']]);
  });
  it('that is taken away while another works below is gone afterwards', () => {
    const seen: OpName[] = [];
    const stop = intercept(noting(seen));
    under([(call, next) => below(next, () => (stop(), next(call)))], () => {
      x.exp();
      seen.length = 0;
      x.neg();
    });
    x.abs();
    expect(seen).toEqual([]);
  });
  it('leaves all as it was where what it does below fails', () => {
    const seen: OpName[] = [];
    under(
      [noting(seen), (call, next) => (call.op === 'exp' ? below(next, () => fail()) : next(call))],
      () => {
        expect(() => x.exp()).toThrow('below');
        x.neg();
      },
    );
    expect(seen).toEqual(['neg']);
  });
});

function fail(): never {
  throw new RangeError('below');
}

describe('what goes with a tensor', () => {
  it('stays where the tensor does: returned, kept, and so on from one to the next', () => {
    const others = new Map<Tensor, Tensor>();
    const stop = accompany((y) => others.get(y));
    const [a, b, c, lost] = scope(() => {
      const made = [x.add(1), x.add(2), x.add(3), x.add(4)] as const;
      others.set(made[0], made[1]).set(made[1], made[2]).set(made[2], made[0]);
      expect(new Set(storagesOf(made[0]))).toEqual(new Set(made.slice(0, 3).map(({ storage }) => storage)));
      keep(made[0]);
      return made.map((y) => () => y);
    }) as [() => Tensor, () => Tensor, () => Tensor, () => Tensor];
    expect([a, b, c].map((y) => list(y()))).toEqual([
      [2, 3],
      [3, 4],
      [4, 5],
    ]);
    expect(() => list(lost())).toThrow(DisposedError);
    stop();
    expect(storagesOf(a())).toEqual([a().storage]);
  });
});
