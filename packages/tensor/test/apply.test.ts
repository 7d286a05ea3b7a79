/** The single place where ops happen: checks, promotion, the order of interceptors, and backends. */
import {
  apply,
  BackendError,
  backendNames,
  currentBackend,
  DTypeError,
  getBackend,
  intercept,
  registerBackend,
  ShapeError,
  tensor,
  withBackend,
  type Backend,
  type Interception,
  type Interceptor,
  type OpCall,
  type OpName,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { under } from './interceptors.ts';

const list = (x: Tensor): number[] => Array.from(x.dataSync());
const [x, y] = [tensor([1, 2]), tensor([3, 4])];

describe('apply', () => {
  it('is what methods end up in', () => {
    const seen: OpName[] = [];
    const y2 = under([(call, next) => (seen.push(call.op), next(call))], () =>
      x.transpose(0, 0).add(y).softmax(),
    );
    expect(seen).toEqual(expect.arrayContaining(['permute', 'add', 'softmax']));
    expect(list(apply('softmax', [apply('add', [x, y])], { axis: 0 }))).toEqual(list(y2));
  });
  it('hands on inputs in one dtype, attributes in canonical form, and the shape and dtype of the result', () => {
    const calls: OpCall[] = [];
    under([(call, next) => (calls.push(call), next(call))], () =>
      apply('sum', [apply('mul', [tensor([[1, 2]], { dtype: 'i32' }), tensor([[0.5, 1]])])], {
        axes: -1,
        keepDims: true,
      }),
    );
    expect(calls.map(({ op }) => op)).toEqual(['cast', 'mul', 'sum']);
    const [, mul, sum] = calls as [OpCall, OpCall, OpCall];
    expect(mul.inputs.map(({ dtype }) => dtype)).toEqual(['f32', 'f32']);
    expect(sum.plan).toEqual({ shape: [1, 1], dtype: 'f32', attrs: { axes: [1], keepDims: true } });
  });
  it('checks before anything runs', () => {
    let ran = 0;
    const count: Interceptor = (call, next) => (ran++, next(call));
    under([count], () => {
      expect(() => apply('neg', [tensor([true])])).toThrow(DTypeError);
      expect(() => apply('neg', [tensor([true])])).toThrow(
        'neg: input 0 does not accept bool: [1] bool. Hint: accepted: u8, i32, f16, bf16, f32, f64; cast() converts',
      );
      expect(() => apply('indexSelect', [x, y], { axis: 0 })).toThrow(
        'indexSelect: input 1 does not accept f32',
      );
      expect(() => apply('add', [x, tensor([1, 2, 3])])).toThrow(ShapeError);
    });
    expect(ran).toBe(0);
  });
  it('gives attributes that are plain data', () => {
    const calls: OpCall[] = [];
    under([(call, next) => (calls.push(call), next(call))], () =>
      tensor([[1, 2, 3]])
        .slice([null, [-1, null, -1]])
        .pad([[1, 0]], -1)
        .clip(0, Infinity)
        .cast('f64')
        .flip(1)
        .mean([0, -1]),
    );
    expect(calls.length).toBeGreaterThanOrEqual(6);
    for (const { plan } of calls) expect(structuredClone(plan)).toEqual(plan);
  });
});

describe('interceptors', () => {
  const noting =
    (log: string[], name: string): Interceptor =>
    (call, next) => {
      log.push(`${name} in`);
      const output = next(call);
      log.push(`${name} out`);
      return output;
    };

  it('the last one put on sees a call first and its result last', () => {
    const log: string[] = [];
    under([noting(log, 'a'), noting(log, 'b')], () => x.add(y));
    expect(log).toEqual(['b in', 'a in', 'a out', 'b out']);
  });
  it('go away one by one, in any order', () => {
    const log: string[] = [];
    const [a, b, c] = ['a', 'b', 'c'].map((name) => intercept(noting(log, name))) as [
      Interception,
      Interception,
      Interception,
    ];
    const seen = (): string[] => {
      log.length = 0;
      x.neg();
      return log.filter((line) => line.endsWith('in')).map((line) => line[0]!);
    };
    expect(seen()).toEqual(['c', 'b', 'a']);
    b();
    expect(seen()).toEqual(['c', 'a']);
    b();
    expect(seen()).toEqual(['c', 'a']);
    const again = intercept(noting(log, 'd'));
    c();
    expect(seen()).toEqual(['d', 'a']);
    a();
    again();
    expect(seen()).toEqual([]);
  });
  it('may answer themselves, and may change the call', () => {
    const answer = tensor([42]);
    expect(under([() => answer], () => x.add(y))).toBe(answer);
    const swap: Interceptor = (call, next) =>
      next(call.op === 'sub' ? { ...call, inputs: call.inputs.toReversed() } : call);
    expect(list(under([swap], () => x.sub(y)))).toEqual([2, 2]);
  });
  it('see the ops that other interceptors call, those inside included', () => {
    const seen: string[] = [];
    let busy = false;
    const expanding: Interceptor = (call, next) => {
      if (call.op !== 'square' || busy) return next(call);
      busy = true;
      try {
        return call.inputs[0]!.mul(call.inputs[0]!);
      } finally {
        busy = false;
      }
    };
    const z = under([(call, next) => (seen.push(call.op), next(call)), expanding], () => x.square());
    expect([list(z), seen]).toEqual([[1, 4], ['mul']]);
  });
  it('an exception in one goes to the caller, and leaves the others in place', () => {
    const log: string[] = [];
    under([noting(log, 'a')], () => {
      const stop = intercept(() => {
        throw new RangeError('of the interceptor');
      });
      expect(() => x.neg()).toThrow('of the interceptor');
      stop();
      x.neg();
    });
    expect(log).toEqual(['a in', 'a out']);
  });
  it('do not see reading and printing', () => {
    let calls = 0;
    under([(call, next) => (calls++, next(call))], () => {
      const turned = tensor([
        [1, 2],
        [3, 4],
      ]).transpose();
      calls = 0;
      turned.dataSync();
      turned.toArraySync();
      turned.format();
    });
    expect(calls).toBe(0);
  });
});

describe('backends', () => {
  const names = backendNames();
  it('there are several to mix', () => expect(names).toEqual(expect.arrayContaining(['js', 'wasm'])));
  it('inputs on two of them are refused, by name', () => {
    const [a, b] = ['js', 'wasm'].map((name) => withBackend(name, () => tensor([1, 2])));
    const mixed = (body: () => unknown): void => {
      expect(body).toThrow(BackendError);
      expect(body).toThrow('inputs live on different backends');
    };
    mixed(() => a!.add(b!));
    mixed(() => b!.matmul(a!));
    mixed(() => apply('concat', [a!, a!, b!], { axis: 0 }));
    mixed(() => apply('where', [tensor([true], { backend: a!.backend }), a!, b!]));
    expect(() => a!.add(b!)).toThrow(
      'add: inputs live on different backends (js and wasm): [2] f32, [2] f32',
    );
  });
  it.each(names)('results, views and scalars stay on %s, whichever is current', (name) => {
    const z = withBackend(name, () => tensor([1, 2]));
    for (const current of names)
      withBackend(current, () => {
        const made = [z.add(1), z.mul(z), z.reshape([2, 1]), z.gt(1.5), z.sum(), z.cast('i32').oneHot(3)];
        expect(made.map(({ backend }) => backend.name)).toEqual(made.map(() => name));
      });
  });

  describe('one that cannot do everything', () => {
    /** The reference under another name, far away, and without exponentials in f64. */
    const js = getBackend('js');
    const far: Backend = Object.create(js, {
      name: { value: 'far' },
      synchronous: { value: false },
      lacks: {
        value: (op: OpName, dtype: string) => (op === 'exp' && dtype === 'f64' ? 'no f64 here' : null),
      },
      download: { value: async (...args: Parameters<Backend['download']>) => js.downloadSync(...args) },
      downloadSync: {
        value: () => {
          throw new BackendError('dataSync', 'the elements are far away', { hint: 'await data()' });
        },
      },
    }) as Backend;
    registerBackend(far);
    const there = withBackend('far', () => tensor([0, 1]));

    it('is known by its name', () => {
      expect(backendNames()).toContain('far');
      expect(getBackend('far')).toBe(far);
      expect(currentBackend().name).not.toBe('far');
    });
    it('says what it lacks, op and dtype, and runs the rest', async () => {
      expect(await there.exp().data()).toEqual(Float32Array.of(1, Math.fround(Math.E)));
      expect(() => there.cast('f64').exp()).toThrow(BackendError);
      expect(() => there.cast('f64').exp()).toThrow(
        'exp: the far backend cannot run it: no f64 here: [2] f64',
      );
    });
    it('is read by waiting, and not at once', async () => {
      expect(await there.add(1).data()).toEqual(Float32Array.of(1, 2));
      expect(await there.add(1).reshape([2, 1]).toArray()).toEqual([[1], [2]]);
      expect(await there.sum().item()).toBe(1);
      expect(() => there.dataSync()).toThrow('dataSync: the elements are far away. Hint: await data()');
      expect(() => there.sum().itemSync()).toThrow(BackendError);
      expect(() => there.toArraySync()).toThrow(BackendError);
    });
    it('prints the head of its tensors, and where the rest is', () => {
      expect(String(there)).toBe('Tensor f32 [2] (on a device: await data())');
    });
  });
});
