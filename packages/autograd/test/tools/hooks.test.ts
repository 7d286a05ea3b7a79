/** Hooks on gradients, and gradients of results. */
import { checkpoint, customGradient, grad, gradcheck, vjp } from '@infinigrad/autograd';
import { GradientError, keep, memoryStats, scope, tensor, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';
import { gradientOf, leaf, list, spread, t, thrownBy } from '../support.ts';
import { onEachKind } from './kinds.ts';

onEachKind(({ normal, leaf: leafOf }, test) => {
  test('a hook sees the whole gradient of a leaf or a result, once a pass', () => {
    const x = leafOf([3]);
    const seen: [string, number[]][] = [];
    x.registerHook((g) => void seen.push(['x', list(g)]));
    const y = x.mul(2);
    y.registerHook((g) => void seen.push(['y', list(g)]));
    const loss = y.mul(3).add(y.mul(5)).add(x.mul(7)).sum();
    loss.registerHook((g) => void seen.push(['loss', list(g)]));
    const expected = [
      ['loss', [1]],
      ['y', [8, 8, 8]],
      ['x', [23, 23, 23]],
    ];
    loss.backward(undefined, { retainGraph: true });
    expect(seen).toEqual(expected);
    scope(() => loss.backward());
    // Of this pass alone, though x.grad holds both.
    expect(seen).toEqual([...expected, ...expected]);
    expect(gradientOf(x)).toEqual([46, 46, 46]);
  });
  test('what it returns takes the place of the gradient, and hooks run in order', () => {
    const x = leafOf([2]);
    const order: number[] = [];
    const times =
      (n: number) =>
      (g: Tensor): Tensor => {
        order.push(n);
        return g.add(n).mul(n);
      };
    const y = x.mul(1);
    y.registerHook(times(2));
    y.registerHook(() => undefined);
    y.registerHook(times(3));
    x.registerHook((g) => g.mul(100));
    scope(() => y.sum().backward(undefined, { consume: true }));
    // ((1 + 2) · 2 + 3) · 3
    expect([gradientOf(x), order]).toEqual([
      [2700, 2700],
      [2, 3],
    ]);
  });
  test('taken away it runs no more, and takes no other with it', () => {
    const x = leafOf([1]);
    const hook = (g: Tensor): Tensor => g.mul(2);
    const [first, second] = [x.registerHook(hook), x.registerHook(hook)];
    const after = (): number => {
      x.grad = null;
      x.mul(1).sum().backward();
      return gradientOf(x)[0]!;
    };
    expect(after()).toBe(4);
    first();
    first();
    expect(after()).toBe(2);
    second();
    expect(after()).toBe(1);
  });
  test('works in grad and vjp, for the arguments and on the way', () => {
    const x = normal([3]);
    const f = (y: Tensor): Tensor => {
      y.registerHook((g) => g.mul(10));
      const z = y.mul(2);
      z.registerHook((g) => g.add(1));
      return z.sum();
    };
    expect(list(grad(f)(x))).toEqual([40, 40, 40]);
    expect(list(vjp(f, x).pullback(tensor(1, { dtype: x.dtype }))[0])).toEqual([40, 40, 40]);
    const outer = grad((y: Tensor) => grad(f)(y).mul(y).sum())(x);
    expect(list(outer)).toEqual([40, 40, 40]);
  });
  test('a gradient held by a hook lives as if it had been made where backward was called', () => {
    const x = leafOf([4]);
    const held: Tensor[] = [];
    const pass = (options = {}): void => {
      const y = x.mul(2);
      y.registerHook((g) => void held.push(g, g.mul(2)));
      y.square().sum().backward(undefined, options);
    };
    pass();
    scope(() => {
      pass({ consume: true });
      expect(held.map(({ storage }) => storage.disposed)).toEqual([false, false, false, false]);
      keep(held[2]);
    });
    expect(held.map(({ storage }) => storage.disposed)).toEqual([false, false, false, true]);
    const double = list(x.detach().mul(4));
    expect([held[0]!, held[1]!, held[2]!].map(list)).toEqual([double, double.map((g) => 2 * g), double]);
  });
  test('leaves no memory behind', () => {
    const x = leafOf([32, 32]);
    x.registerHook((g) => g.mul(2));
    const step = (): void =>
      scope(() => {
        x.grad = null;
        const y = x.exp();
        y.registerHook((g) => g.tanh().add(g));
        y.retainGrad();
        y.square().sum().backward(undefined, { consume: true });
      });
    step();
    const { bytes } = memoryStats();
    for (let i = 0; i < 10; i++) step();
    expect(memoryStats().bytes).toBe(bytes);
  });
  test('runs in checkpoints, on their results and inside, and on several results of one call', () => {
    const run = (
      wrap: <A extends readonly unknown[]>(f: (...args: A) => Tensor) => (...args: A) => Tensor,
    ) => {
      const x = leafOf([3]);
      const calls: string[] = [];
      const y = wrap((z: Tensor) => {
        const e = z.exp();
        if (e.requiresGrad) e.registerHook((g) => (calls.push('inside'), g.mul(3)));
        return e.sin();
      })(x);
      y.registerHook((g) => (calls.push('result'), g.mul(5)));
      y.sum().backward();
      return [calls, gradientOf(x)];
    };
    expect(run(checkpoint)).toEqual(run((f) => f));
    const both = customGradient(
      (x: Tensor) => ({ output: [x.mul(2), x.mul(3)] }),
      ([a, b]) => a!.mul(2).add(b!.mul(3)),
    );
    const x = leafOf([2]);
    const [a, b] = both(x) as [Tensor, Tensor];
    a.registerHook((g) => g.mul(10));
    b.retainGrad();
    a.add(b.mul(4)).sum().backward();
    expect([gradientOf(x), gradientOf(b)]).toEqual([
      [32, 32],
      [4, 4],
    ]);
  });

  test('retainGrad leaves the gradient of a result in its grad, after the hooks', () => {
    const x = leafOf([2]);
    const y = x.mul(2).retainGrad();
    y.registerHook((g) => g.mul(3));
    const z = y.mul(5);
    expect([y.grad, z.grad]).toEqual([null, null]);
    z.sum().backward(undefined, { retainGraph: true });
    expect([gradientOf(y), z.grad, gradientOf(x)]).toEqual([[15, 15], null, [30, 30]]);
    z.sum().backward();
    expect(gradientOf(y)).toEqual([30, 30]);
    y.grad = null;
    expect(y.grad).toBeNull();
    // Once more, and where the result itself is where the pass begins.
    const own = x.mul(2).retainGrad().retainGrad();
    own.backward(own.detach());
    expect(gradientOf(own)).toEqual(list(own));
    // A leaf has its gradient anyway, and grad fills none.
    expect(x.retainGrad()).toBe(x);
    const inner: Tensor[] = [];
    grad((v: Tensor) => {
      inner.push(v.mul(2).retainGrad());
      return inner[0]!.sum();
    })(x.detach());
    expect(inner[0]!.grad).toBeNull();
  });
  test('a retained gradient goes with its scope, and comes along with its tensor', () => {
    const x = leafOf([2]);
    const [kept, gone] = scope(() => {
      const [y, z] = [x.exp().retainGrad(), x.sin().retainGrad()];
      y.mul(z).sum().backward(undefined, { consume: true });
      return [keep(y), [z.grad!].map(({ storage }) => storage)[0]!] as const;
    });
    expect(gradientOf(kept)).toEqual(list(x.detach().sin()));
    expect(gone.disposed).toBe(true);
  });
  test('retained gradients can be differentiable', () => {
    const x = leafOf([2]);
    const y = x.square().retainGrad();
    y.square().sum().backward(undefined, { createGraph: true });
    const g = y.grad!;
    x.grad = null;
    g.sum().backward();
    // dy²/dy = 2y = 2x²
    expect(gradientOf(x)).toEqual(list(x.detach().mul(4)));
  });
});

it('a hook is differentiated where the gradient is', () => {
  const f = (x: Tensor): Tensor => {
    const y = x.sin();
    // The gradient of y³/3 in the place of that of y; the first derivative is what it says.
    y.registerHook((g) => g.mul(2));
    return y.sum();
  };
  gradcheck((x) => grad((y: Tensor) => f(y))(x), [spread([3])]);
});

describe('refuses', () => {
  const of = (hook: (g: Tensor) => unknown): Error => {
    const x = leaf([1, 2]);
    x.registerHook(hook as (g: Tensor) => void);
    const error = thrownBy(() => x.mul(2).sum().backward());
    expect(error).toBeInstanceOf(GradientError);
    expect(x.grad).toBeNull();
    return error;
  };
  it('a hook that gives another shape or dtype', () => {
    expect(of(() => t([1])).message).toBe(
      'registerHook: a hook must keep the shape and the dtype of the gradient: [2] f64, [1] f64',
    );
    expect(of((g) => g.cast('f32')).message).toContain('[2] f64, [2] f32');
  });
  it('a hook that gives no tensor', () => {
    expect(of(() => 3).message).toContain(
      'registerHook: a hook must return a tensor or nothing, got 3: [2] f64',
    );
    expect(of(async () => {}).message).toContain('got a promise');
    expect(of(() => null).message).toContain('got null');
  });
  it('a hook that is no function', () => {
    expect(thrownBy(() => leaf([1]).registerHook(null as never)).message).toBe(
      'registerHook: a hook must be a function, got null: [1] f64',
    );
  });
  it('a tensor that needs no gradient', () => {
    expect(thrownBy(() => t([1]).registerHook(() => {})).message).toBe(
      'registerHook: the tensor needs no gradient: [1] f64. Hint: set requiresGrad on it, or on what it is made of',
    );
    expect(thrownBy(() => t([1]).retainGrad()).message).toContain(
      'retainGrad: the tensor needs no gradient: [1] f64',
    );
  });
  it('a gradient for a result that retains none', () => {
    const y = leaf([1]).mul(2);
    expect(thrownBy(() => (y.grad = t([1]))).message).toContain(
      'grad: only a leaf that requires a gradient holds one',
    );
    y.retainGrad();
    y.grad = t([1]);
    expect(gradientOf(y)).toEqual([1]);
    expect(thrownBy(() => (y.grad = t([1, 2]))).message).toContain(
      'grad: tensor and gradient must have one shape',
    );
  });
});
