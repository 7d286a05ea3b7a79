/** What checkpoint refuses: functions that do not do the same again. */
import { checkpoint } from '@infinigrad/autograd';
import { concat, GradientError, scope, tensor, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { giveValue, leaf, t, thrownBy } from '../support.ts';

describe('refuses', () => {
  it.each<[string, () => unknown]>([
    ['nothing', () => undefined],
    ['a number', () => 3],
    ['an empty list', () => []],
    ['tensors among numbers', () => [t([1]), 3]],
    ['a promise', () => Promise.resolve(t([1]))],
  ])('a function that returns %s', (_, f) => {
    const error = thrownBy(checkpoint(f as () => Tensor));
    expect(error).toBeInstanceOf(GradientError);
    expect(error.message).toContain('checkpoint: the function must return tensors');
  });

  /** A function that does one thing first and another later. */
  const fickle = (...results: ((x: Tensor) => Tensor | Tensor[])[]): Error => {
    let calls = 0;
    const f = checkpoint((x: Tensor): Tensor | Tensor[] => results[calls++]!(x));
    return thrownBy(() => {
      const y = f(leaf([1, 2]));
      concat([y].flat()).sum().backward();
    });
  };
  const hint =
    '. Hint: the function must depend on nothing but its arguments, and on what does not change; randomness comes by key';
  it('another shape', () =>
    expect(
      fickle(
        (x) => x.exp(),
        (x) => x.sum(),
      ).message,
    ).toBe(
      `checkpoint: result 0 has another shape or dtype when the function is called again: [2] f64, [] f64${hint}`,
    ));
  it('another dtype', () =>
    expect(
      fickle(
        (x) => x.exp(),
        (x) => x.cast('f32'),
      ).message,
    ).toContain('[2] f64, [2] f32'));
  it('another number of results', () =>
    expect(
      fickle(
        (x) => [x.exp(), x.sin()],
        (x) => x.exp(),
      ).message,
    ).toContain('checkpoint: the function gave 2 tensors, and 1 when called again'));
  it('a result that has lost its gradient', () =>
    expect(
      fickle(
        (x) => x.exp(),
        (x) => x.detach(),
      ).message,
    ).toContain('checkpoint: result 0 needs no gradient when the function is called again: [2] f64'));
  it('a tensor that was not there before', () => {
    const w = leaf([3, 4]);
    expect(
      fickle(
        (x) => x.exp(),
        (x) => x.mul(w),
      ).message,
    ).toContain(
      'checkpoint: the function depends on a tensor, when called again, that it did not depend on before',
    );
  });
  it('a tensor that is not there any more', () => {
    const [x, w] = [leaf([1, 2]), leaf([3, 4])];
    let calls = 0;
    const f = checkpoint((y: Tensor) => (calls++ === 0 ? y.mul(w) : y.mul(w.detach())));
    const z = f(x).sum();
    expect(thrownBy(() => z.backward()).message).toContain(
      'checkpoint: the function depended on a tensor that it does not depend on when called again',
    );
    // A leaf made anew each time: its gradient would go nowhere.
    const g = checkpoint((y: Tensor) => y.mul(leaf([3, 4])));
    expect(thrownBy(() => g(x).sum().backward()).message).toContain('does not depend on when called again');
  });
  it('a parameter with a new value, captured or given', () => {
    const w = leaf([3, 4]);
    for (const f of [
      (): Tensor => checkpoint((x: Tensor) => x.mul(w))(leaf([1, 2])),
      () => checkpoint((x: Tensor) => x.exp())(w),
    ]) {
      const y = f().sum();
      giveValue(w, t([5, 6]));
      expect(thrownBy(() => y.backward()).message).toContain(
        'checkpoint: a tensor that the function reads was given a new value after the forward pass: [2] f64',
      );
    }
  });
  it('a second pass over what is not retained', () => {
    const y = checkpoint((x: Tensor) => x.exp())(leaf([1])).sum();
    y.backward();
    expect(thrownBy(() => y.backward()).message).toContain('released by an earlier backward pass');
  });
  it('and says what went wrong inside as it is', () => {
    expect(() => checkpoint((x: Tensor) => x.matmul(tensor([1, 2, 3])))(leaf([1, 2]))).toThrow('matmul: ');
    const x = leaf([1, 2]);
    // The scope of the failed call is closed.
    expect(scope(() => x.exp()).storage.disposed).toBe(false);
  });
});
