/**
 * What every layer must show, derived from one row per layer: `layersConform('linear family', rows)` in a test file.
 * A row tells how the layer is made and called; its twin is a case of a fixture that PyTorch wrote (scripts/fixtures/nn/), or a
 * second definition written in the test, of nothing but loops or plain ops.
 */
import { functionalCall, type Module } from '@infinigrad/nn';
import { gradcheck, noGrad, type GradcheckOptions } from '@infinigrad/autograd';
import {
  currentBackend,
  isFloat,
  Key,
  memoryStats,
  scope,
  ValueError,
  type Backend,
  type DType,
  type FloatDType,
  type Tensor,
} from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, expect, test } from 'vitest';
import { expectClose, numbers, restored, type Stored } from '../support.ts';

/** A tensor of a fixture; floating unless it says otherwise. */
export interface TypedStored extends Stored {
  readonly dtype?: DType;
}

/** What PyTorch made of a layer (see scripts/fixtures/nn/common.py); gradients are of Σ output · weights. */
export interface TwinCase {
  readonly options: Readonly<Record<string, unknown>>;
  /** What goes into forward, in order. */
  readonly inputs: Readonly<Record<string, TypedStored>>;
  /** Parameters, and buffers before the call, named as in our stateDict; every one of them. */
  readonly state: Readonly<Record<string, TypedStored>>;
  readonly output: TypedStored;
  readonly weights: TypedStored;
  /** Of floating inputs and of parameters, by name. */
  readonly gradients: Readonly<Record<string, TypedStored>>;
  /** Buffers after the call. */
  readonly after?: Readonly<Record<string, TypedStored>>;
  /** Whether the layer was training. Default true. */
  readonly training?: boolean;
}

export interface LayerOptions {
  readonly key: Key;
  readonly dtype: FloatDType;
}

export interface ErrorRow {
  readonly body: () => unknown;
  readonly type: new (...args: never[]) => Error;
  /** Words that the message must contain. */
  readonly says: string;
}

type Called = Module & { forward?(...inputs: any[]): unknown };

export interface LayerRow<M extends Module = any> {
  readonly make: (options: LayerOptions) => M;
  /** What goes into forward; floating ones must be of f64 (they are cast for other dtypes). */
  readonly inputs: (key: Key) => readonly Tensor[];
  /** Default: `module.forward(...inputs)`, where that gives a tensor. The key is for layers that draw. */
  readonly forward?: (module: M, inputs: readonly Tensor[], key: Key) => Tensor;
  /** PyTorch's results, one or several; `make` must give a layer of the same sizes. Each may bring its own constructor and call. */
  readonly twins?: readonly {
    readonly name: string;
    readonly case: TwinCase;
    readonly make?: (options: LayerOptions) => M;
    readonly forward?: (module: M, inputs: readonly Tensor[], key: Key) => Tensor;
  }[];
  /** A second, independent definition, of the state and the inputs. A row has twins, this, or both. */
  readonly naive?: (
    state: Readonly<Record<string, Tensor>>,
    inputs: readonly Tensor[],
    module: M,
  ) => Tensor | readonly number[];
  /** Whether training and evaluation differ. Default `same`: bit for bit. */
  readonly modes?: 'same' | 'differ';
  /** Parameters that these inputs give no gradient, on purpose. */
  readonly withoutGradient?: readonly string[];
  /** Of inputs, those (by number) that gradients are not checked of, though they float. */
  readonly constants?: readonly number[];
  /** Default order 2. */
  readonly gradcheck?: GradcheckOptions;
  /** Closeness of f32 to f64. Default 1e-4. */
  readonly f32Tolerance?: number;
  readonly errors?: Readonly<Record<string, ErrorRow>>;
}

const dtype = 'f64' as const;
const key = new Key(2718);
/** The key that a row's `forward` gets. */
export const callKey: Key = key.foldIn(99);

function call<M extends Called>(row: LayerRow<M>, module: M, inputs: readonly Tensor[]): Tensor {
  if (row.forward) return row.forward(module, inputs, callKey);
  return module.forward!(...inputs) as Tensor;
}

/** Parameters moved away from the ones and zeros that some start as. */
function moved<M extends Module>(module: M, by = 0.3): M {
  let i = 0;
  for (const p of module.parameters())
    p.assign(
      p.detach().add(key.foldIn(1000 + i++).normal(p.shape, { std: by, dtype: p.dtype as FloatDType })),
    );
  return module;
}

/** Tests for every row; the names of rows become names of tests. */
export function layersConform(family: string, rows: Readonly<Record<string, LayerRow>>): void {
  describe(family, () => {
    describe.each(Object.entries(rows))('%s', (_, row) => layerConforms(row));
  });
}

function layerConforms(row: LayerRow): void {
  const make = (seed = 0, type: FloatDType = dtype): Called =>
    row.make({ key: key.foldIn(seed), dtype: type });
  const inputs = (): readonly Tensor[] => row.inputs(key.foldIn(7));
  const state = (module: Module): Record<string, Tensor> => module.stateDict();

  test('has a second definition', () => expect(row.twins?.length ?? row.naive).toBeTruthy());

  for (const twin of row.twins ?? [])
    test(`equals PyTorch: ${twin.name}`, () =>
      expectTwin(
        { ...row, ...(twin.make && { make: twin.make }), ...(twin.forward && { forward: twin.forward }) },
        twin.case,
      ));

  const { naive } = row;
  if (naive)
    test('equals its second definition', () => {
      const module = moved(make());
      const given = state(module);
      const expected = naive(given, inputs(), module);
      const actual = call(row, module, inputs());
      if ('shape' in expected) expectAllClose(actual, expected, { rtol: 1e-11, atol: 1e-11 });
      else expectClose(actual, { shape: actual.shape, data: expected as readonly number[] }, 1e-11);
    });

  test('passes gradcheck, of inputs and of all parameters', () => {
    const module = moved(make());
    const given = inputs();
    const varied = given.flatMap((x, i) => (isFloat(x.dtype) && !row.constants?.includes(i) ? [i] : []));
    const parameters = [...module.namedParameters()];
    gradcheck(
      (...all) =>
        functionalCall(
          module,
          Object.fromEntries(parameters.map(([name], i) => [name, all[varied.length + i]!])),
          () =>
            call(
              row,
              module,
              given.map((x, i) => (varied.includes(i) ? all[varied.indexOf(i)]! : x)),
            ),
        ),
      [...varied.map((i) => given[i]!), ...parameters.map(([, p]) => p.detach())],
      { order: 2, ...row.gradcheck },
    );
  });

  test('gives every parameter a gradient', () => {
    const module = moved(make());
    if (module.parameters().length === 0) return;
    const y = call(row, module, inputs());
    // Weighted, or what sums to a constant (a norm, a softmax) would give none.
    y.mul(key.foldIn(8).normal(y.shape, { dtype: y.dtype as FloatDType }))
      .sum()
      .backward();
    for (const [name, { grad, shape }] of module.namedParameters()) {
      const got = grad !== null && numbers(grad).some((g) => g !== 0);
      expect(got, name).toBe(!row.withoutGradient?.includes(name));
      if (!got) continue;
      expect(grad.shape, name).toEqual(shape);
      expect(numbers(grad).every(Number.isFinite), name).toBe(true);
    }
  });

  test(`training and evaluation ${row.modes === 'differ' ? 'differ' : 'agree bit for bit'}`, () => {
    const [training, evaluating] = [moved(make()), moved(make()).eval()];
    const [a, b] = [call(row, training, inputs()), call(row, evaluating, inputs())].map(numbers);
    if (row.modes === 'differ') expect(a).not.toEqual(b);
    else expect(a).toEqual(b);
    expect(numbers(call(row, evaluating, inputs()))).toEqual(b);
  });

  test('its state makes another layer the same', () => {
    const [a, b] = [moved(make(1)).eval(), make(2).eval()];
    call(row, a.train(), inputs());
    a.eval();
    const before = numbers(call(row, b, inputs()));
    b.loadStateDict(state(a));
    const after = numbers(call(row, b, inputs()));
    expect(after).toEqual(numbers(call(row, a, inputs())));
    if (Object.keys(state(a)).length === 0) return;
    expect(after).not.toEqual(before);
    const [name] = Object.keys(state(a)) as [string];
    const lacking = Object.fromEntries(Object.entries(state(a)).slice(1));
    expect(() => b.loadStateDict(lacking)).toThrow(ValueError);
    expect(() => b.loadStateDict(lacking)).toThrow(`missing ${name}`);
  });

  test('starts from its key alone', () => {
    const values = (seed: number): number[][] => Object.values(state(make(seed))).map(numbers);
    expect(values(1)).toEqual(values(1));
  });

  test('gives in f32 nearly what it gives in f64', () => {
    const [double, single] = [moved(make()), make(0, 'f32')];
    single.loadStateDict(state(double));
    for (const p of single.parameters()) expect(p.dtype).toBe('f32');
    const narrow = inputs().map((x) => (isFloat(x.dtype) ? x.cast('f32') : x));
    const y = call(row, single, narrow);
    expect(y.dtype).toBe('f32');
    const tolerance = row.f32Tolerance ?? 1e-4;
    expectAllClose(y.cast('f64'), call(row, double, inputs()), { rtol: tolerance, atol: tolerance });
  });

  test('leaves nothing behind in memory', () => {
    const module = make();
    const given = inputs();
    const step = (): { scoped: number; pinned: number } => {
      scope(() => {
        const y = call(row, module, given);
        if (y.requiresGrad) y.sum().backward();
        module.parameters().forEach((p) => (p.grad = null));
      });
      const { scoped, pinned } = memoryStats().tiers;
      return { scoped, pinned };
    };
    step();
    const first = step();
    for (let i = 0; i < 3; i++) expect(step()).toEqual(first);
  });

  test('reads nothing back: it could all lie on a GPU', () => {
    const module = make();
    const given = inputs();
    const other = state(make(1));
    unread(given[0]?.backend ?? currentBackend(), () => {
      const y = call(row, module, given);
      if (y.requiresGrad) y.sum().backward();
      module.loadStateDict(other);
      call(row, module.eval(), given);
    });
  });

  test.each(Object.entries(row.errors ?? {}))('refuses %s', (_, { body, type, says }) => {
    expect(body).toThrow(type);
    expect(body).toThrow(says);
  });
}

/** Runs `body` while nothing can be read from a backend. */
function unread(backend: Backend, body: () => void): void {
  const own = backend as { synchronous: boolean; downloadSync: Backend['downloadSync'] };
  const before = { synchronous: own.synchronous, downloadSync: own.downloadSync };
  own.synchronous = false;
  own.downloadSync = () => {
    throw new Error('something was read');
  };
  try {
    body();
  } finally {
    Object.assign(own, before);
  }
}

/** Holds a layer against PyTorch's case: output, gradients of inputs and parameters, buffers afterwards. */
export function expectTwin(row: LayerRow, twin: TwinCase, tolerance = 1e-12): void {
  const module: Called = row.make({ key, dtype });
  module.train(twin.training ?? true);
  const parameters = module.namedParameters();
  const stored = (x: TypedStored): Tensor => restored(x, x.dtype ?? dtype);
  module.loadStateDict(Object.fromEntries(Object.entries(twin.state).map(([name, x]) => [name, stored(x)])));
  const given = Object.entries(twin.inputs).map(([name, x]) =>
    Object.hasOwn(twin.gradients, name) ? stored(x).requireGrad() : stored(x),
  );
  const y = call(row, module, given);
  expectClose(y, twin.output, tolerance);
  if (Object.keys(twin.gradients).length > 0) y.mul(stored(twin.weights)).sum().backward();
  Object.keys(twin.inputs).forEach((name, i) => {
    const gradient = twin.gradients[name];
    if (gradient) expectClose(given[i]!.grad!, gradient, tolerance);
  });
  for (const [name, p] of parameters) {
    const gradient = twin.gradients[name];
    expect(p.grad === null, `${name}: has it a gradient?`).toBe(gradient === undefined);
    if (gradient) expectClose(p.grad!, gradient, tolerance);
  }
  const now = noGrad(() => module.stateDict());
  for (const [name, x] of Object.entries(twin.after ?? {})) expectClose(now[name]!.cast(dtype), x, tolerance);
}
