/** When ops are recorded, and what tensors say of it. */
import { enableGrad, noGrad, recording } from '@infinigrad/autograd';
import { describe, expect, it } from 'vitest';
import { gradientOf, leaf, list, t, thrownBy } from './support.ts';

describe('requiresGrad, grad, isLeaf, detach', () => {
  it('are off for new tensors and on for what is made of leaves', () => {
    const plain = t([1]);
    expect([plain.requiresGrad, plain.isLeaf, plain.grad]).toEqual([false, true, null]);
    const x = leaf([1]);
    expect([x.requiresGrad, x.isLeaf, x.grad]).toEqual([true, true, null]);
    const y = x.add(plain);
    expect([y.requiresGrad, y.isLeaf, y.grad]).toEqual([true, false, null]);
    const z = plain.add(plain);
    expect([z.requiresGrad, z.isLeaf]).toEqual([false, true]);
  });
  it('requireGrad gives the tensor itself; setting what is set keeps the gradient', () => {
    const x = t([1]);
    expect(x.requireGrad()).toBe(x);
    x.sum().backward();
    x.requiresGrad = true;
    expect(gradientOf(x)).toEqual([1]);
  });
  it('switched off, a leaf is a constant and forgets its gradient', () => {
    const x = leaf([1]);
    x.sum().backward();
    x.requiresGrad = false;
    expect([x.requiresGrad, x.grad, x.mul(2).requiresGrad]).toEqual([false, null, false]);
  });
  it('a leaf takes the gradient it is given', () => {
    const x = leaf([1, 2]);
    x.grad = t([10, 20]);
    x.sum().backward();
    expect(gradientOf(x)).toEqual([11, 21]);
  });
  it('results keep no gradient of their own', () => {
    const x = leaf([2]);
    const y = x.square();
    y.mul(3).sum().backward();
    expect([y.grad, gradientOf(x)]).toEqual([null, [12]]);
  });
  it('detach gives the same elements without the history', () => {
    const x = leaf([2]);
    const y = x.square();
    const cut = y.detach();
    expect([list(cut), cut.dtype, cut.requiresGrad, cut.isLeaf]).toEqual([[4], 'f64', false, true]);
    y.mul(cut).sum().backward();
    expect(gradientOf(x)).toEqual([4 * 4]);
    expect(cut.grad).toBeNull();
  });
  it('a detached leaf can be a leaf of its own', () => {
    const x = leaf([2]);
    const y = x.detach().requireGrad();
    x.mul(y).sum().backward();
    expect([gradientOf(x), gradientOf(y)]).toEqual([[2], [2]]);
    y.requiresGrad = false;
    expect(x.requiresGrad).toBe(true);
  });
});

describe('recording', () => {
  it('noGrad records nothing and gives back what its body returns', () => {
    const x = leaf([2]);
    const { y, was } = noGrad(() => ({ y: x.square(), was: recording() }));
    expect([y.requiresGrad, list(y), was, recording()]).toEqual([false, [4], false, true]);
    expect(x.square().requiresGrad).toBe(true);
  });
  it.each([
    ['noGrad', noGrad],
    ['enableGrad', enableGrad],
  ])('%s refuses a body that goes on later', (name, mode) => {
    expect(thrownBy(() => mode(async () => {})).message).toBe(
      `${name}: the body is asynchronous: what comes after its first await is outside. Hint: await outside, or put each part between two awaits into one of its own`,
    );
    expect(leaf([1]).mul(2).requiresGrad).toBe(true);
  });
  it('a result made under noGrad is a constant to what follows', () => {
    const x = leaf([3]);
    const factor = noGrad(() => x.mul(10));
    x.mul(factor).sum().backward();
    expect(gradientOf(x)).toEqual([30]);
  });
  it('nests, each level restoring the one outside', () => {
    const x = leaf([1]);
    const seen: boolean[] = [];
    const look = (): void => void seen.push(x.mul(2).requiresGrad, recording());
    look();
    noGrad(() => {
      look();
      enableGrad(() => {
        look();
        noGrad(look);
        look();
      });
      look();
      noGrad(look);
      look();
    });
    look();
    const [on, off] = [
      [true, true],
      [false, false],
    ];
    expect(seen).toEqual([on, off, on, off, on, off, off, off, on].flat());
  });
  it.each([
    ['noGrad', noGrad, true],
    ['noGrad within noGrad', (body: () => never) => noGrad(() => noGrad(body)), true],
    ['enableGrad within noGrad', (body: () => never) => noGrad(() => enableGrad(body)), true],
  ] as const)('%s is undone by an exception, which goes on its way', (_, run, expected) => {
    const failure = new Error('of the body');
    expect(
      thrownBy(() =>
        run(() => {
          throw failure;
        }),
      ),
    ).toBe(failure);
    expect(recording()).toBe(expected);
    expect(leaf([1]).mul(2).requiresGrad).toBe(true);
    noGrad(() => {
      expect(() => enableGrad(() => t([1]).add(t([1, 2, 3]).reshape([5])))).toThrow('reshape');
      expect(recording()).toBe(false);
    });
  });
  it('backward switches it off and restores it, also where it fails', () => {
    const x = leaf([1]);
    const y = x.exp().sum();
    y.backward();
    expect(recording()).toBe(true);
    expect(() => y.backward()).toThrow('released');
    expect(recording()).toBe(true);
  });
  it('leaves can be made and gradients taken inside noGrad', () => {
    const x = leaf([2]);
    const y = x.square().sum();
    noGrad(() => {
      y.backward();
      expect(t([1]).requireGrad().requiresGrad).toBe(true);
    });
    expect(gradientOf(x)).toEqual([4]);
  });
});
