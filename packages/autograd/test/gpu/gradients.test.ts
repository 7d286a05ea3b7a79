/** Gradients on the GPU are those on the reference: rules are written in ops, and nothing else is needed. */
import { derivatives, grad, valueAndGrad } from '@infinigrad/autograd';
import {
  BackendError,
  fromData,
  getBackend,
  isFloat,
  Key,
  opNames,
  scope,
  setBackend,
  type Backend,
  type OpName,
  type Tensor,
} from '@infinigrad/tensor';
import { allClose, callsOf, inputsOf, subjectOf, type DrawnCall } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { gpu } from '../../../tensor/test/gpu/host.ts';

const runs = Number(process.env['INFINIGRAD_GPU_RUNS'] ?? 3);
const reference = 'js';

/** Numbers from 0.5 to 1.5, of a shape. */
const weights = (shape: readonly number[], backend: Backend): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  const data = Float32Array.from({ length: size }, (_, i) => 0.5 + ((i * 7) % 11) / 11);
  return fromData(data, shape, { backend });
};

/** The gradients of Σ w f(x) in all float inputs. */
function gradients(op: OpName, call: DrawnCall, name: string): Tensor[] {
  const backend = getBackend(name);
  setBackend(name);
  try {
    return scope(() => {
      const inputs = inputsOf(call, { backend });
      const { run } = subjectOf(op);
      const moving = inputs.filter((x) => isFloat(x.dtype));
      const f = (floats: Tensor[]): Tensor => {
        const left = [...floats];
        const y = run(
          inputs.map((x) => (isFloat(x.dtype) ? left.shift()! : x)),
          call.attrs,
        );
        return y.mul(weights(y.shape, backend)).sum();
      };
      return grad(f)(moving);
    });
  } finally {
    setBackend(reference);
  }
}

describe.skipIf(!gpu)('gradients on the gpu', () => {
  setBackend(reference);
  const absent: string[] = [];
  let agreed = 0;
  const differentiable = opNames.filter((op) => derivatives[op].kind !== 'none');

  it.each(differentiable)('of %s are those of the reference', async (op) => {
    const property = fc.asyncProperty(callsOf(op, { dtype: 'f32' }), async (call) => {
      const expected = gradients(op, call, reference);
      const actual = gradients(op, call, 'gpu');
      for (const [i, x] of actual.entries()) {
        const here = fromData(await x.data(), x.shape, { dtype: x.dtype });
        const message = allClose(here, expected[i]!, { rtol: 1e-4, atol: 1e-4 });
        if (message !== null) throw new Error(`input ${i}: ${message}`);
      }
    });
    try {
      await fc.assert(property, { numRuns: runs });
      agreed++;
    } catch (error) {
      const cause = (error as Error).cause;
      if (!(cause instanceof BackendError) || !/cannot run it|has no/.test(cause.problem)) throw error;
      absent.push(`${op} (${cause.op})`);
    }
  });

  it('of a perceptron are those of the wasm backend, and it learns', async () => {
    const shapes = { w1: [2, 8], b1: [8], w2: [8, 1], b2: [1] };
    const keys = new Key(0).split(5);
    const initial = Object.fromEntries(
      Object.entries(shapes).map(([name, shape], i) => [
        name,
        {
          shape,
          data: keys[i]!.normal(shape).dataSync() as Float32Array,
        },
      ]),
    );
    const points = Float32Array.from({ length: 32 }, (_, i) => Math.sin(3 * i));
    type Parameters = Record<keyof typeof shapes, Tensor>;
    const train = async (name: string, steps: number) => {
      setBackend(name);
      try {
        const x = fromData(points, [16, 2]);
        const y = x
          .narrow(1, 0, 1)
          .mul(x.narrow(1, 1, 1))
          .clone();
        const loss = (p: Parameters): Tensor =>
          x.matmul(p.w1).add(p.b1).tanh().matmul(p.w2).add(p.b2).sub(y).square().mean();
        let parameters = Object.fromEntries(
          Object.entries(initial).map(([key, { shape, data }]) => [key, fromData(data, shape)]),
        ) as Parameters;
        const losses: number[] = [];
        let first: Record<string, Float32Array> | null = null;
        for (let step = 0; step < steps; step++) {
          const { value, grad: slopes } = valueAndGrad(loss)(parameters) as never as {
            value: Tensor;
            grad: Parameters;
          };
          const entries = Object.entries(slopes);
          first ??= Object.fromEntries(
            await Promise.all(
              entries.map(async ([key, g]) => [key, (await g.data()) as Float32Array] as const),
            ),
          );
          parameters = Object.fromEntries(
            entries.map(([key, g]) => [key, parameters[key as keyof Parameters].sub(g.mul(0.1))]),
          ) as Parameters;
          losses.push(await value.item());
        }
        return { losses, first: first! };
      } finally {
        setBackend(reference);
      }
    };
    const there = await train('gpu', 20);
    const here = await train('wasm', 20);
    for (const [key, g] of Object.entries(here.first))
      g.forEach((value, i) => expect(there.first[key]![i]).toBeCloseTo(value, 5));
    there.losses.forEach((loss, i) => expect(loss).toBeCloseTo(here.losses[i]!, 4));
    expect(there.losses.at(-1)!).toBeLessThan(there.losses[0]! / 2);
  });

  afterAll(async () => {
    console.log(
      `webgpu: gradients of ${agreed} ops agree, ${absent.length} need what is absent: ${absent.join(', ')}`,
    );
    setBackend('wasm');
    await gpu!.close();
  });
});
