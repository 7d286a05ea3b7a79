/** Steps on a backend whose elements come later: nothing is read, and a guard keeps what is not finite out. */
import { LBFGS, Parameter, type Optimizer } from '@infinigrad/nn';
import {
  BackendError,
  getBackend,
  registerBackend,
  tensor,
  withBackend,
  type Backend,
  type Tensor,
} from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { expectNumbers, numbers } from '../support.ts';
import { optimizers } from './problem.ts';

/** The reference, but that it cannot be read at once. */
const reference = getBackend('js');
const later = Object.assign(Object.create(reference) as Backend, {
  name: 'later',
  synchronous: false,
  download: async (...args: Parameters<Backend['download']>) => reference.downloadSync(...args),
  downloadSync: (): never => {
    throw new BackendError('downloadSync', 'the elements come later');
  },
});
registerBackend(later);

const there = <T>(body: () => T): T => withBackend('later', body);
const values = async (x: Tensor): Promise<number[]> => Array.from(await x.data());
const start = [
  [1, -2],
  [0.5, 3],
];

describe.each(Object.keys(optimizers))('%s', (name) => {
  const begin = (more: object): { p: Parameter; optimizer: Optimizer } => {
    const { make, options } = optimizers[name]!;
    const p = new Parameter(tensor(start));
    return { p, optimizer: make([p] as never, { ...options, ...more } as never) };
  };
  test.each([{}, { maxGradNorm: 0.5 }, { maxGradValue: 0.5, lookahead: { every: 2 } }, { guard: true }])(
    'steps as where elements can be read, %j',
    async (more) => {
      if (name === 'ScheduleFreeAdamW') more = { ...more, lookahead: undefined } as never;
      const here = begin(more);
      const away = there(() => begin(more));
      for (let i = 0; i < 4; i++) {
        const loss = here.optimizer.minimize(() => here.p.square().sum()).itemSync();
        const later = there(() => away.optimizer.minimize(() => away.p.square().sum()));
        expect(away.optimizer.lastGradNorm).toBeNull();
        expectNumbers(await values(later), [loss], 1e-5);
        expectNumbers(await values(away.p), numbers(here.p), 1e-5);
      }
    },
  );
  test('with a guard a gradient that is not finite changes nothing', async () => {
    const { p, optimizer } = there(() => begin({ guard: true, maxGradNorm: 1 }));
    const step = (loss: () => Tensor): void => void there(() => optimizer.minimize(loss));
    step(() => p.square().sum());
    const state = async (): Promise<number[][]> => {
      const { tensors } = optimizer.stateDict();
      const kept = Object.entries(tensors).filter(([, x]) => x.rank > 0);
      return Promise.all([p, ...kept.map(([, x]) => x)].map(values));
    };
    const before = await state();
    step(() => p.square().sum().mul(NaN));
    expect(await state()).toEqual(before);
    step(() => p.mul(0).sqrt().sum());
    expect(await state()).toEqual(before);
    step(() => p.square().sum());
    const after = await state();
    expect(after).not.toEqual(before);
    expect(after.flat().every(Number.isFinite)).toBe(true);
  });
});

test('without one it goes through, and the loss shows it', async () => {
  const { make } = optimizers['SGD']!;
  const p = there(() => new Parameter(tensor(start)));
  const optimizer = make([p] as never, {} as never);
  const loss = there(() => optimizer.minimize(() => p.square().sum().mul(NaN)));
  expect(await values(loss)).toEqual([NaN]);
  expect(await values(p)).toEqual([NaN, NaN, NaN, NaN]);
});

test('L-BFGS reads numbers back, and says so', () => {
  const p = there(() => new Parameter(tensor(start)));
  expect(() => there(() => new LBFGS([p]).minimize(() => p.square().sum()))).toThrow(BackendError);
});
