/** A module as a function of its parameters: gradients of each example, ensembles, checks of whole models; and it is left as it was. */
import {
  checkpoint,
  customGradient,
  grad,
  gradcheck,
  hessian,
  hvp,
  jvp,
  valueAndGrad,
  vmap,
} from '@infinigrad/autograd';
import {
  CausalSelfAttention,
  functionalCall,
  Linear,
  Module,
  Parameter,
  RMSNorm,
  RotaryEmbedding,
  SwiGLU,
} from '@infinigrad/nn';
import {
  Key,
  memoryStats,
  ones,
  stack,
  ValueError,
  zeros,
  type FloatDType,
  type Tensor,
} from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';

const key = new Key(0);

class Model extends Module {
  readonly layers: readonly [Linear, SwiGLU];
  readonly norm: RMSNorm;

  constructor(dtype: FloatDType = 'f64') {
    super();
    this.layers = [
      new Linear(3, 4, { key: key.foldIn(1), dtype }),
      new SwiGLU(4, 5, { key: key.foldIn(2), dtype }),
    ];
    this.norm = new RMSNorm(4, { dtype });
  }

  forward(x: Tensor): Tensor {
    return this.norm.forward(this.layers.reduce((y, layer) => layer.forward(y), x));
  }
}

type Parameters = Readonly<Record<string, Tensor>>;

const normal = (shape: readonly number[], seed: number, dtype: FloatDType = 'f64'): Tensor =>
  key.foldIn(seed).normal(shape, { dtype });
const loss =
  (model: Model) =>
  (p: Parameters, x: Tensor, y: Tensor): Tensor =>
    functionalCall(model, p, (m) => m.forward(x).sub(y).square().mean());

describe('the gradient of every example', () => {
  it.each([
    ['f32', 1e-5],
    ['f64', 1e-12],
  ] as const)('is what backward leaves for that example, in %s', (dtype, rtol) => {
    const model = new Model(dtype);
    const [xs, ys] = [normal([6, 3], 3, dtype), normal([6, 4], 4, dtype)];
    const each = vmap(grad(loss(model)), { inAxes: [null, 0, 0] })(model.stateDict(), xs, ys);
    expect(Object.keys(each)).toEqual([...model.namedParameters().keys()]);
    for (let i = 0; i < 6; i++) {
      for (const p of model.parameters()) p.grad = null;
      model.forward(xs.select(0, i)).sub(ys.select(0, i)).square().mean().backward();
      for (const [name, { grad: gradient }] of model.namedParameters())
        expectAllClose(each[name]!.select(0, i), gradient!, { rtol, atol: rtol });
    }
  });
});

it('takes the tensors given, in all places of a shared parameter, and leaves the others as they are', () => {
  class Tied extends Module {
    readonly first = new Parameter(ones([2], { dtype: 'f64' }));
    readonly second = new Parameter(ones([2], { dtype: 'f64' }));
    readonly again: { readonly in: readonly Parameter[] } = { in: [this.first] };
    forward(x: Tensor): Tensor {
      return x.mul(this.first).add(this.second).mul(this.again.in[0]!);
    }
  }
  const model = new Tied();
  const x = ones([2], { dtype: 'f64' });
  expectAllClose(
    functionalCall(model, { first: x.mul(3) }, (m) => m.forward(x)),
    x.mul(12),
  );
  const gradient = grad((p: Parameters) => functionalCall(model, p, (m) => m.forward(x).sum()))(
    model.stateDict(),
  );
  expectAllClose(gradient['first']!, x.mul(3));
  expectAllClose(gradient['second']!, x);
  expect([model.first.grad, model.second.grad]).toEqual([null, null]);
});

it('parameters inside are what stands in for them, and calls nest', () => {
  const model = new Model();
  const twice = (p: Parameters): Parameters =>
    Object.fromEntries(Object.entries(p).map(([n, x]) => [n, x.mul(2)]));
  const p = twice(model.stateDict());
  const seen = functionalCall(model, p, (m) => {
    expect(m.namedParameters().get('norm.weight')).toBe(p['norm.weight']);
    expect(m.numParameters()).toBe(3 * 4 + 4 + 3 * 20 + 4);
    const inner = functionalCall(m.layers[0], { bias: zeros([4], { dtype: 'f64' }) }, (layer) => [
      layer.forward(zeros([3], { dtype: 'f64' })),
      layer.weight,
    ]);
    return [inner[0]!, inner[1]!, m.layers[0].bias!];
  });
  expectAllClose(seen[0]!, zeros([4], { dtype: 'f64' }));
  expect(seen.slice(1)).toEqual([p['layers.0.weight'], p['layers.0.bias']]);
  expect(model.layers[0].weight).toBeInstanceOf(Parameter);
  expect(model.parameters().every((parameter) => parameter instanceof Parameter)).toBe(true);
});

it('a whole model passes gradcheck to second order in f64, though it is of f32', () => {
  const model = new Model('f32');
  const names = [...model.namedParameters().keys()];
  const values = Object.values(model.stateDict()).map((x) => x.cast('f64'));
  const f = (x: Tensor, ...ps: Tensor[]): Tensor =>
    functionalCall(model, Object.fromEntries(names.map((name, i) => [name, ps[i]!])), (m) => m.forward(x));
  gradcheck(f, [normal([2, 3], 5), ...values], { order: 2 });
});

it('an ensemble is a vmap over stacked parameters', () => {
  const models = [1, 2, 3].map((seed) => new Linear(3, 2, { key: new Key(seed), dtype: 'f64' }));
  const x = normal([4, 3], 6);
  const states = models.map((model) => model.stateDict());
  const stacked = {
    weight: stack(states.map((s) => s['weight']!)),
    bias: stack(states.map((s) => s['bias']!)),
  };
  expectAllClose(
    vmap((p: Parameters) => functionalCall(models[0]!, p, (m) => m.forward(x)))(stacked),
    stack(models.map((model) => model.forward(x))),
    { rtol: 1e-12 },
  );
});

describe('what is called again in the backward pass finds the tensors again', () => {
  const model = new Model();
  const p = Object.fromEntries(Object.entries(model.stateDict()).map(([n, x]) => [n, x.mul(1.5)]));
  const x = normal([2, 3], 7);
  const plain = (q: Parameters, y: Tensor): Tensor =>
    functionalCall(model, q, (m) => m.forward(y).square().sum());
  it('a checkpoint, whose parameters are given, frozen, or the gradient of whose argument is wanted', () => {
    const segment = checkpoint((y: Tensor) => model.forward(y));
    const f = (q: Parameters, y: Tensor): Tensor => functionalCall(model, q, () => segment(y).square().sum());
    const [own, other] = [grad(f)(p, x), grad(plain)(p, x)];
    for (const name of Object.keys(p)) expectAllClose(own[name]!, other[name]!, { rtol: 0, atol: 0 });
    const at = (g: typeof f): Tensor => grad((y: Tensor) => g(p, y))(x);
    expectAllClose(at(f), at(plain), { rtol: 0, atol: 0 });
    for (const parameter of model.parameters()) parameter.requiresGrad = false;
    expectAllClose(at(f), at(plain), { rtol: 0, atol: 0 });
    for (const parameter of model.parameters()) parameter.requiresGrad = true;
    expectAllClose(
      hvp((y: Tensor) => f(p, y), x, x),
      hvp((y: Tensor) => plain(p, y), x, x),
      { rtol: 1e-12 },
    );
  });
  it('a checkpoint in a call inside a call: the inner one has the last word', () => {
    const layer = new Linear(2, 2, { key: key.foldIn(14), dtype: 'f64' });
    for (const parameter of layer.parameters()) parameter.requiresGrad = false;
    const [outer, inner] = [15, 16].map((seed) => ({ weight: normal([2, 2], seed) }));
    const of = (f: (y: Tensor) => Tensor) => (y: Tensor) =>
      functionalCall(layer, outer!, () => functionalCall(layer, inner!, () => f(y).square().sum()));
    const y = normal([2], 17);
    const forward = (z: Tensor): Tensor => layer.forward(z);
    expectAllClose(grad(of(checkpoint(forward)))(y), grad(of(forward))(y), { rtol: 0, atol: 0 });
  });
  it('a function with a gradient of its own', () => {
    const layer = new Linear(2, 2, { key: key.foldIn(8), dtype: 'f64' });
    for (const parameter of layer.parameters()) parameter.requiresGrad = false;
    const square = customGradient(
      (y: Tensor) => ({ output: layer.forward(y).square(), saved: layer.forward(y) }),
      (g: Tensor, z: Tensor) => g.mul(z).mul(2).matmul(layer.weight),
    );
    const q = { weight: normal([2, 2], 9), bias: normal([2], 10) };
    const of = (f: (y: Tensor) => Tensor) => (y: Tensor) => functionalCall(layer, q, () => f(y).sum());
    const y = normal([2], 11);
    const plain = (z: Tensor): Tensor => layer.forward(z).square();
    type Derivative = (f: (z: Tensor) => Tensor) => (z: Tensor) => Tensor;
    for (const derivative of [grad, hessian] as Derivative[])
      expectAllClose(derivative(of(square))(y), derivative(of(plain))(y), { rtol: 1e-12 });
  });
});

it('a transformer block: parameters in one jvp, and flat memory over many steps', () => {
  const block = new CausalSelfAttention(8, {
    numHeads: 2,
    key: key.foldIn(12),
    rope: new RotaryEmbedding(4),
    dtype: 'f32',
  });
  const x = normal([2, 5, 8], 13, 'f32');
  const f = (q: Parameters): Tensor => functionalCall(block, q, (m) => m.forward(x).square().mean());
  const p = block.stateDict();
  const { tangent } = jvp(f, [p], [p]);
  const gradients = grad(f)(p);
  const expected = Object.keys(p).reduce(
    (total, n) => total + (p[n]!.mul(gradients[n]!).sum().itemSync() as number),
    0,
  );
  expect(tangent.itemSync()).toBeCloseTo(expected, 5);
  const step = (): number => {
    valueAndGrad(f)(p);
    return memoryStats().tiers.scoped;
  };
  expect([step(), step(), step()]).toEqual([0, 0, 0]);
});

describe('errors', () => {
  const model = new Model();
  const before = model.parameters();
  it.each<[string, () => unknown, string]>([
    [
      'names and shapes that do not fit, all of them at once',
      () =>
        functionalCall(
          model,
          { nothing: ones([1]), 'norm.weight': ones([3]), 'layers.0.bias': ones([4], { dtype: 'i32' }) },
          () => 1,
        ),
      'functionalCall: no parameter nothing; norm.weight (parameter [4] f64, given [3] f32); layers.0.bias (parameter [4] f64, given [4] i32). Hint: names and shapes are those of namedParameters()',
    ],
    [
      'no tensor',
      () => functionalCall(model, { 'norm.weight': 3 as unknown as Tensor }, () => 1),
      'functionalCall: no tensor for norm.weight',
    ],
    [
      'a function that goes on later',
      () => functionalCall(model, model.stateDict(), async () => 1),
      'functionalCall: the function is asynchronous. Hint: await outside',
    ],
  ])('%s', (_, body, says) => {
    expect(body).toThrow(ValueError);
    expect(body).toThrow(says);
    expect(model.parameters()).toEqual(before);
  });
  it('what the function throws goes on its way, and the module is as it was', () => {
    const failure = new Error('of the function');
    const body = (): unknown =>
      functionalCall(model, model.stateDict(), () => {
        throw failure;
      });
    expect(body).toThrow(failure);
    expect(model.parameters().every((p, i) => p === before[i])).toBe(true);
  });
});
