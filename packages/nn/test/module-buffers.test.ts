/** Buffers: state that is no parameter, and what functionalCall and vmap make of updates. */
import { vmap } from '@infinigrad/autograd';
import { functionalCall, Module, ModuleBuffer, Parameter, StateError, updateBuffer } from '@infinigrad/nn';
import {
  DTypeError,
  Key,
  memoryStats,
  ones,
  scope,
  ShapeError,
  tensor,
  ValueError,
  zeros,
} from '@infinigrad/tensor';
import type { Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers } from './support.ts';

class Counter extends Module {
  readonly total = new ModuleBuffer(zeros([2]));
  readonly calls = new ModuleBuffer(zeros([], { dtype: 'i32' }));
  readonly table = new ModuleBuffer(ones([3]), { persistent: false });
  readonly scale = new Parameter(ones([2]));
  forward(x: Tensor): Tensor {
    updateBuffer('Counter', this, 'total', this.total.add(x));
    updateBuffer('Counter', this, 'calls', this.calls.add(1));
    return x.mul(this.scale);
  }
}

class Model extends Module {
  readonly parts = [new Counter(), new Counter()];
}

describe('buffers', () => {
  test('have names, are no parameters, and go to the state if they are persistent', () => {
    const model = new Model();
    expect([...model.namedBuffers().keys()]).toEqual([
      'parts.0.total',
      'parts.0.calls',
      'parts.0.table',
      'parts.1.total',
      'parts.1.calls',
      'parts.1.table',
    ]);
    expect(model.buffers()[0]).toBe(model.parts[0]!.total);
    expect([...model.namedParameters().keys()]).toEqual(['parts.0.scale', 'parts.1.scale']);
    expect(Object.keys(model.stateDict())).toEqual(
      ['parts.0', 'parts.1'].flatMap((part) => ['total', 'calls', 'scale'].map((name) => `${part}.${name}`)),
    );
    expect(model.parts[0]!.total.requiresGrad).toBe(false);
  });

  test('are updated without history, saved and loaded', () => {
    const [a, b] = [new Counter(), new Counter()];
    const x = tensor([1, 2]).requireGrad();
    a.forward(x);
    a.forward(x);
    expect([numbers(a.total), numbers(a.calls), a.total.requiresGrad]).toEqual([[2, 4], [2], false]);
    expect(b.loadStateDict(a.stateDict()).missing).toEqual([]);
    expect([numbers(b.total), numbers(b.calls), b.calls.dtype]).toEqual([[2, 4], [2], 'i32']);
    b.forward(x);
    expect(numbers(a.total)).toEqual([2, 4]);
  });

  test('take no floats for integers, nor integers for floats', () => {
    const state = { ...new Counter().stateDict(), calls: zeros([]), total: zeros([2], { dtype: 'i32' }) };
    const counter = new Counter();
    expect(() => counter.loadStateDict(state)).toThrow(StateError);
    expect(() => counter.loadStateDict(state)).toThrow(
      'mismatched total (buffer [2] f32, state [2] i32), calls (buffer [] i32, state [] f32)',
    );
  });

  test('outlive scopes, and give back what they held', () => {
    const counter = new Counter();
    const x = tensor([1, 2]);
    const step = (): number => {
      scope(() => void counter.forward(x));
      return memoryStats().tiers.pinned;
    };
    const first = step();
    expect([step(), step()]).toEqual([first, first]);
    expect(numbers(counter.total)).toEqual([3, 6]);
  });

  test('refuse another shape or dtype by name', () => {
    const { total } = new Counter();
    expect(() => total.assign(zeros([3]))).toThrow(ShapeError);
    expect(() => total.assign(zeros([3]))).toThrow('Buffer.assign: buffer and value must have one shape');
    expect(() => total.assign(zeros([2], { dtype: 'f64' }))).toThrow(DTypeError);
  });
});

describe('in a functionalCall', () => {
  test('what stands in is updated, the function finds it, and the buffer stays as it is', () => {
    const counter = new Counter();
    const x = tensor([1, 2]).requireGrad();
    const total = functionalCall(counter, { total: tensor([10, 10]) }, (m) => {
      m.forward(x);
      m.forward(x);
      return m.namedBuffers().get('total')!;
    });
    expect(total.requiresGrad).toBe(false);
    expect(numbers(total)).toEqual([12, 14]);
    expect([numbers(counter.total), numbers(counter.calls)]).toEqual([[0, 0], [2]]);
    expect(counter.total).toBeInstanceOf(ModuleBuffer);
  });

  test('a whole state, and a vmap over examples, give every example its own', () => {
    const counter = new Counter();
    const xs = new Key(0).normal([3, 2]);
    const totals = vmap((x: Tensor) =>
      functionalCall(counter, counter.stateDict(), (m) => {
        m.forward(x);
        return m.namedBuffers().get('total')!.detach();
      }),
    )(xs);
    expect(numbers(totals)).toEqual(numbers(xs));
    expect(numbers(counter.total)).toEqual([0, 0]);
  });

  test('without a stand-in, an update inside a vmap is refused', () => {
    const counter = new Counter();
    const body = (): unknown => vmap((x: Tensor) => counter.forward(x))(new Key(0).normal([3, 2]));
    expect(body).toThrow(ValueError);
    expect(body).toThrow(
      'Counter: its buffer total cannot take a value for every example of a vmap: [2] f32. Hint: call eval()',
    );
  });
});
