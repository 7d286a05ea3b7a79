/** What reads elements does without, or waits, or says what to do, where elements come later. */
import { customGradient, detectAnomaly, detectAnomalyAsync, gradcheck, vjp } from '@infinigrad/autograd';
import {
  BackendError,
  getBackend,
  GradientError,
  NumericError,
  registerBackend,
  scope,
  setBackend,
  tensor,
  type Backend,
  type Tensor,
} from '@infinigrad/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GpuBackend } from '../../../tensor/src/backends/gpu/backend.ts';
import { gpu } from '../../../tensor/test/gpu/host.ts';
import { PretendDevice } from '../../../tensor/test/gpu/pretend.ts';

const pretended = new GpuBackend(new PretendDevice({ division: 'exact', grid: [64, 64, 64] }));
const backends: readonly (readonly [name: string, backend: Backend])[] = [
  ['a pretended GPU', pretended],
  ...(gpu ? ([['WebGPU', getBackend('gpu')]] as const) : []),
];

afterAll(() => gpu?.close());

describe.each(backends)('on %s', (_, backend) => {
  beforeAll(() => {
    registerBackend(backend);
    setBackend('gpu');
  });
  afterAll(() => setBackend('wasm'));

  describe('detectAnomalyAsync', () => {
    const leaf = (...values: number[]): Tensor => tensor(values).requireGrad();
    const square = (x: Tensor): Tensor => x.square();
    const safeRoot = customGradient(
      (x: Tensor) => ({ output: x.sqrt(), saved: x }),
      (g: Tensor, x) => x.gt(0).where(vjp((y: Tensor) => y.sqrt(), x).pullback(g)[0], 0),
    );

    /** What makes NaN or an infinity, in how many ways there are to. */
    const wrong: readonly (readonly [what: string, body: () => unknown])[] = [
      ['an op', () => tensor([4, -2, 1]).sqrt().add(1)],
      [
        'an op of two inputs',
        () =>
          tensor([1, 0.5])
            .log()
            .sum()
            .log()
            .mul(tensor([2, 3])),
      ],
      [
        'a fused op',
        () =>
          tensor([[Infinity, Infinity]])
            .sub(Infinity)
            .softmax(),
      ],
      ['a gradient', () => leaf(4, 0).sqrt().sum().backward()],
      ['a gradient that is added up', () => ((x) => x.mul(2).add(x.sqrt()).sum().backward())(leaf(4, 0))],
      ['NaN that was there', () => tensor([NaN, 1]).add(1)],
      [
        'in a scope',
        () =>
          scope(
            () =>
              void square(tensor([1, -1]))
                .sub(2)
                .log()
                .exp(),
          ),
      ],
      ['in a scope that fuses', () => scope(() => tensor([1, -1]).sub(2).log().exp().sum(), { fuse: true })],
      [
        'after what a backward of your own puts right',
        () => {
          safeRoot(leaf(4, 0)).sum().backward();
          leaf(0).pow(0.5).sum().backward();
        },
      ],
      ['before something else fails', () => tensor([-1]).log().reshape([2])],
    ];

    it.each(wrong)('finds what is found elsewhere: %s', async (_what, body) => {
      setBackend('wasm');
      const here = await detectAnomalyAsync(body).catch((error: unknown) => error);
      setBackend('gpu');
      const there = await detectAnomalyAsync(body).catch((error: unknown) => error);
      expect(there).toBeInstanceOf(NumericError);
      expect((there as Error).message).toBe((here as Error).message);
      expect((there as NumericError).site).toMatch(/reads\.test\.ts:\d+/);
    });

    it('lets pass what is well, and leaves gradients as they are', async () => {
      const [a, b] = [leaf(1, 2, 3, 4), leaf(1, 2, 3, 4)];
      const f = (x: Tensor): Tensor =>
        x
          .reshape([2, 2])
          .matmul(x.reshape([2, 2]))
          .softmax()
          .gelu()
          .sum();
      f(a).backward();
      const value = await detectAnomalyAsync(async () => {
        const y = f(b);
        y.backward();
        return y.item();
      });
      expect(value).toBe(await f(a).item());
      expect(await b.grad!.data()).toEqual(await a.grad!.data());
    });

    it('hands on why a body fails that makes nothing wrong', async () => {
      await expect(detectAnomalyAsync(() => tensor([1]).reshape([2]))).rejects.toThrow('reshape');
    });

    it('is off afterwards', async () => {
      await detectAnomalyAsync(() => tensor([-1]).log()).catch(() => {});
      expect(await tensor([-1]).log().data()).toEqual(new Float32Array([NaN]));
    });
  });

  it('detectAnomaly says what to do', () => {
    const body = (): Tensor => tensor([1]).log();
    expect(() => detectAnomaly(body)).toThrow(BackendError);
    expect(() => detectAnomaly(body)).toThrow('await detectAnomalyAsync(body)');
    expect(() => body()).not.toThrow();
  });

  describe('gradcheck', () => {
    it('says where it can', () => {
      const check = (): void => gradcheck((x) => x.exp(), [tensor([1])]);
      expect(check).toThrow(GradientError);
      expect(check).toThrow(
        'gradcheck: input 0 is on gpu, which has no f64 and is not read at once: [1] f32',
      );
      expect(check).toThrow("setBackend('wasm')");
    });

    it('works beside a GPU, for inputs that are elsewhere', () => {
      const x = tensor([0.5, 1.5], { dtype: 'f64', backend: getBackend('wasm') });
      gradcheck((y) => y.exp().mul(2), [x], { order: 2 });
    });
  });
});
