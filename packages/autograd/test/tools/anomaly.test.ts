/** Anomaly detection: which op made the first NaN or infinity, from what, and where it was called. */
import {
  checkpoint,
  customGradient,
  detectAnomaly,
  grad,
  jvp,
  setAnomaly,
  vjp,
  vmap,
} from '@infinigrad/autograd';
import { NumericError, ops, scope, tensor, ValueError, where, type Tensor } from '@infinigrad/tensor';
import { afterEach, describe, expect, it } from 'vitest';
import { gradientOf, leaf, list, t, thrownBy } from '../support.ts';
import { onEachKind } from './kinds.ts';

afterEach(() => setAnomaly(false));

/** The NumericError of a body under detection, which must be called in this file. */
function found(body: () => unknown): NumericError {
  const error = thrownBy(() => detectAnomaly(body));
  expect(error).toBeInstanceOf(NumericError);
  expect((error as NumericError).site).toMatch(/anomaly\.test\.ts:\d+:\d+/);
  expect(error.message).toMatch(/called at .*anomaly\.test\.ts:\d+:\d+/);
  return error as NumericError;
}

/** The row of this file that an error names. */
const rowOf = (error: NumericError): number => Number(/anomaly\.test\.ts:(\d+)/.exec(error.site!)![1]);
/** The row of this file that calls this. */
const row = (): number =>
  Number(/anomaly\.test\.ts:(\d+)/.exec(new Error('here').stack!.split('\n')[2]!)![1]);

onEachKind(({ dtype }, test) => {
  const x = (...values: number[]): Tensor => tensor(values, { dtype });
  const v = (...values: number[]): Tensor => x(...values).requireGrad();

  test('in the forward pass, with the ranges of what went in', () => {
    const error = found(() => x(4, -2, 1, 0).sqrt());
    expect(error.message).toContain('sqrt: made NaN in the forward pass');
    expect(error.message).toContain(
      `; the result: min 0, max 2, 1 NaN, 0 Infinity; input 0: min -2, max 4, 0 NaN, 0 Infinity: [4] ${dtype}, [4] ${dtype}`,
    );
    expect([error.op, error.operands.length]).toEqual(['sqrt', 2]);
    const infinite = found(() => x(1, 2).div(x(1, 0)));
    expect(infinite.message).toContain('div: made an infinity in the forward pass');
    expect(infinite.message).toContain('min 1, max 1, 0 NaN, 1 Infinity; input 0: min 1, max 2');
  });

  test('names the line that called the op', () => {
    let at = 0;
    const error = found(() => {
      const y = x(1).sub(1);
      at = row() + 1;
      const z = y.log();
      return z.exp();
    });
    expect(rowOf(error)).toBe(at);
  });

  test('in the backward pass, under the op whose gradient it is, and where that was called', () => {
    let at = 0;
    const error = found(() => {
      const y = v(1, 0);
      at = row() + 1;
      const z = y.sqrt();
      z.sum().backward();
    });
    expect(error.message).toContain(
      'sqrt: made an infinity in the gradient of input 0 (by div, one of the ops of its rule)',
    );
    expect(error.message).toContain('the gradient of its result: min 1, max 1, 0 NaN, 0 Infinity');
    expect(error.message).toContain('a tensor that its rule needs: min 0, max 1, 0 NaN, 0 Infinity');
    expect(rowOf(error)).toBe(at);
  });

  test('inside vmap, the op of the function of one example', () => {
    let at = 0;
    const of = (y: Tensor): Tensor => {
      at = row() + 1;
      const z = y.sqrt();
      return z.mul(2);
    };
    const error = found(() => vmap(grad(of))(x(1, 0)));
    expect(error.message).toContain('sqrt: made an infinity in the gradient of input 0');
    expect(rowOf(error)).toBe(at);
    expect(rowOf(found(() => grad((y: Tensor) => vmap(of)(y).sum())(x(1, 0))))).toBe(at);
  });

  test('the gradient of the second input, and of a gradient', () => {
    // d(x/y)/dy = -x/y²
    const [tiny, huge] = dtype === 'f32' ? [1e-25, 1e-10] : [1e-200, 1e-20];
    expect(found(() => x(huge).div(v(tiny)).sum().backward()).message).toContain(
      'div: made an infinity in the gradient of input 1',
    );
    const twice = found(() => {
      const y = v(0);
      y.pow(1.5).sum().backward(undefined, { createGraph: true });
      const g = y.grad!;
      g.sum().backward();
    });
    expect(twice.message).toMatch(/made an infinity in the gradient of input 0/);
  });

  test('where gradients are added up', () => {
    const big = dtype === 'f32' ? 2e38 : 1e308;
    const y = v(1e-10);
    const error = found(() => y.mul(big).add(y.mul(big)).sum().backward());
    expect(error.message).toContain('add: made an infinity in the backward pass');
    y.mul(big).sum().backward();
    const accumulated = found(() => y.mul(big).sum().backward());
    expect(accumulated.message).toContain('add: made an infinity in the backward pass');
  });

  test('no scope that fuses hides it', () => {
    const error = found(() => scope(() => x(1, 2).neg().add(1).log().mul(2).add(3), { fuse: true }));
    expect(error.message).toContain('log: made NaN in the forward pass');
    const inGrad = found(() =>
      grad((y: Tensor) => scope(() => y.sub(1).abs().sqrt().sum(), { fuse: true }))(x(1, 2)),
    );
    expect(inGrad.message).toMatch(/made (NaN|an infinity) in the gradient of input 0/);
  });

  test('fused ops are one op, whatever they compute on the way', () => {
    expect(found(() => x(1, Infinity).softmax()).message).toContain('softmax: made NaN in the forward pass');
    const masked = tensor([[true, false]]);
    detectAnomaly(() => {
      const scores = v(1, 2).reshape([1, 2]);
      const y = masked.where(scores, -Infinity).softmax();
      y.mul(x(3, 5)).sum().backward();
      scores.logSumExp(-1).sum().backward();
      const q = v(1, 2, 3, 4).reshape([2, 2]);
      ops.attention(q, q, q, { causal: true }).square().sum().backward();
    });
  });

  test('infinities that were there, or were asked for, pass until they make NaN', () => {
    detectAnomaly(() => {
      const mask = x(0, -Infinity);
      expect(list(v(1, 2).add(mask).exp())).toEqual(
        [Math.fround(Math.E), 0].map((n) => (dtype === 'f32' ? n : n && Math.E)),
      );
      where(tensor([true, false]), x(1, 2), -Infinity).maximum(0);
      x(1, 2)
        .pad([[1, 1]], -Infinity)
        .max();
    });
    const error = found(() => x(-Infinity).sub(x(-Infinity)));
    expect(error.message).toContain('sub: made NaN in the forward pass');
    expect(error.message).toContain('input 0: nothing finite, 0 NaN, 1 Infinity');
  });

  test('NaN that was there is reported as such, once', () => {
    const data = x(1, NaN);
    setAnomaly(true);
    const error = thrownBy(() => data.mul(2));
    expect(error).toBeInstanceOf(NumericError);
    expect(error.message).toContain('mul: input 0 holds NaN already');
    expect(error.message).toContain('Hint: it came from outside');
    // Whoever goes on knows of it; what is new is still found.
    expect(list(data.mul(2).add(1).exp())[1]).toBeNaN();
    expect(thrownBy(() => x(-1).log()).message).toContain('log: made NaN');
    expect(thrownBy(() => data.mul(x(NaN, 1))).message).toContain('mul: input 1 holds NaN already');
  });

  test('NaN that comes with the gradient given', () => {
    const y = x(1, 2);
    const error = found(() => vjp((z: Tensor) => z.exp(), y).pullback(x(NaN, 1)));
    expect(error.message).toContain('exp: the gradient of its result holds NaN already');
    expect(found(() => y.requireGrad().exp().backward(x(NaN, 1))).message).toContain('holds NaN already');
  });

  test('in functions with a gradient of their own, and in checkpoints', () => {
    const inside = customGradient(
      (y: Tensor) => ({ output: y.log(), saved: y }),
      (g: Tensor, y) => g.div(y),
      { name: 'myLog' },
    );
    expect(found(() => inside(v(-1))).message).toContain('log: made NaN in the forward pass');
    const root = customGradient(
      (y: Tensor) => ({ output: y.sqrt(), saved: y }),
      (g: Tensor, y) => g.div(y.sqrt().mul(2)),
      { name: 'mySqrt' },
    );
    let at = 0;
    const error = found(() => {
      at = row() + 1;
      const y = root(v(0));
      y.sum().backward();
    });
    expect(error.message).toContain('mySqrt: made an infinity in the gradient of input 0 (by div');
    expect(rowOf(error)).toBe(at);
    expect(
      found(() =>
        checkpoint((y: Tensor) => y.sqrt())(v(0))
          .sum()
          .backward(),
      ).message,
    ).toContain('sqrt: made an infinity in the gradient of input 0');
  });

  test('what a backward of your own puts right on the way is right', () => {
    const safe = customGradient(
      (y: Tensor) => ({ output: y.sqrt(), saved: y }),
      (g: Tensor, y) => y.gt(0).where(vjp((z: Tensor) => z.sqrt(), y).pullback(g)[0], 0),
    );
    const y = v(4, 0);
    detectAnomaly(() => safe(y).sum().backward());
    expect(gradientOf(y)).toEqual([0.25, 0]);
    const later = found(() => {
      safe(y).sum().backward();
      v(0).pow(0.5).sum().backward();
    });
    expect(later.message).toContain('pow: made an infinity in the gradient of input 0 (by pow, ');
  });

  test('a graph made while it was off tells what it can', () => {
    const y = v(0).sqrt();
    const error = thrownBy(() => detectAnomaly(() => y.sum().backward())) as NumericError;
    expect(error.message).toContain('sqrt: made an infinity in the gradient of input 0');
    expect(error.message).toContain('called where the detection was off');
    expect(error.site).toBeNull();
  });

  test('leaves results and gradients as they are', () => {
    const f = (y: Tensor): Tensor => y.matmul(y).softmax().gelu().sum();
    const [a, b] = [v(1, 2, 3, 4), v(1, 2, 3, 4)];
    f(a.reshape([2, 2])).backward();
    detectAnomaly(() =>
      scope(() => f(b.reshape([2, 2])).backward(undefined, { consume: true }), { fuse: true }),
    );
    expect(gradientOf(b)).toEqual(gradientOf(a));
  });
});

describe('on and off', () => {
  const bad = (): Tensor => t([-1]).log();
  it('is off unless told, inside the body alone, and off again whatever happens there', () => {
    bad();
    expect(() => detectAnomaly(bad)).toThrow(NumericError);
    bad();
    expect(detectAnomaly(() => detectAnomaly(() => 3))).toBe(3);
    detectAnomaly(() => {
      detectAnomaly(() => 1);
      expect(bad).toThrow(NumericError);
    });
    bad();
  });
  it('is on from setAnomaly(true) to setAnomaly(false)', () => {
    setAnomaly(true);
    setAnomaly(true);
    detectAnomaly(() => 1);
    expect(bad).toThrow(NumericError);
    setAnomaly(false);
    bad();
    const y = leaf([0]).sqrt().sum();
    y.backward();
  });
  it('refuses an asynchronous body', () => {
    const error = thrownBy(() => detectAnomaly(async () => {}));
    expect(error).toBeInstanceOf(ValueError);
    expect(error.message).toBe(
      'detectAnomaly: the body is asynchronous. Hint: await detectAnomalyAsync(body)',
    );
  });
  it('sees tangents too', () => {
    expect(() => detectAnomaly(() => jvp((y: Tensor) => y.sqrt(), [t([0])], [t([1])]))).toThrow(NumericError);
  });
});
