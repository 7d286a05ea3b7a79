/** AdamW's state: a run goes on from it to the bit, and what is refused. */
import type { OptimizerState } from '@infinigrad/nn';
import { fromData, tensor, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { dtype, plainState, thrownBy, training, valuesOf } from './support.ts';

/** A copy that shares nothing with the original, as one that has been through a file. */
const copied = ({ step, tensors }: OptimizerState): OptimizerState => ({
  step,
  tensors: Object.fromEntries(
    Object.entries(tensors).map(([name, x]) => [name, fromData(x.dataSync(), x.shape, { dtype: x.dtype })]),
  ),
});

describe.each(['f32', 'f64'] as const)('resuming, %s', (kind) => {
  test.each([1, 2, 5])('after step %d goes on bit for bit', (at) => {
    const straight = training(kind);
    const losses = Array.from({ length: 8 }, (_, i) => straight.step(i));

    const first = training(kind);
    for (let i = 0; i < at; i++) first.step(i);
    const state = copied(first.optimizer.stateDict());
    const second = training(kind);
    second.params.forEach((p, i) => p.assign(first.params[i]!.detach()));
    second.optimizer.loadStateDict(state);
    expect(plainState(second.optimizer.stateDict())).toEqual(plainState(state));
    for (let i = at; i < 8; i++) expect(second.step(i)).toBe(losses[i]);
    expect(valuesOf(second)).toEqual(valuesOf(straight));
    expect(plainState(second.optimizer.stateDict())).toEqual(plainState(straight.optimizer.stateDict()));
  });
  test('a state keeps what it was taken with, and so does what was loaded from it', () => {
    const one = training(kind);
    one.step(0);
    one.step(2);
    const state = one.optimizer.stateDict();
    const before = plainState(state);
    const two = training(kind);
    two.optimizer.loadStateDict(state);
    for (let i = 2; i < 5; i++) one.step(i);
    expect(plainState(state)).toEqual(before);
    expect(plainState(two.optimizer.stateDict())).toEqual(before);
    for (let i = 2; i < 5; i++) two.step(i);
    expect(plainState(state)).toEqual(before);
  });
  test('a parameter that has had no gradient is not in the state; loading takes its means away', () => {
    const one = training(kind);
    const early = one.optimizer.stateDict();
    expect(early).toEqual({ step: 0, tensors: {} });
    one.step(0);
    const names = Object.keys(one.optimizer.stateDict().tensors);
    expect(names).toEqual(['0.step', '0.moment', '0.secondMoment', '2.step', '2.moment', '2.secondMoment']);
    for (let i = 1; i < 4; i++) one.step(i);
    expect(Object.keys(one.optimizer.stateDict().tensors).length).toBe(9);
    one.optimizer.loadStateDict(early);
    expect(one.optimizer.stateDict()).toEqual({ step: 0, tensors: {} });
    expect([one.optimizer.stepCount, one.optimizer.lastGradNorm]).toEqual([0, null]);
  });
});

describe('loadStateDict refuses', () => {
  const good = (): OptimizerState => {
    const run = training(dtype);
    for (let i = 0; i < 3; i++) run.step(i);
    return run.optimizer.stateDict();
  };
  type Change = (tensors: Record<string, Tensor>) => void;
  const rows: Record<string, [Change, string]> = {
    'a part of one parameter missing': [
      (all) => delete all['1.moment'],
      'AdamW.loadStateDict: missing 1.moment. Hint: is the model the same, and are the groups in the same order?',
    ],
    'two parts missing': [
      (all) => {
        delete all['1.step'];
        delete all['1.secondMoment'];
      },
      'missing 1.step, 1.secondMoment',
    ],
    'a parameter too many': [(all) => (all['3.step'] = tensor([1], { dtype: 'i32' })), 'unexpected 3.step'],
    'another shape': [
      (all) => (all['0.moment'] = zeros([4, 3], { dtype })),
      '0.moment is [4, 3] f64, the parameter [3, 4] f64',
    ],
    'another dtype': [
      (all) => (all['0.secondMoment'] = zeros([3, 4])),
      '0.secondMoment is [3, 4] f32, the parameter [3, 4] f64',
    ],
    'several step counts': [(all) => (all['2.step'] = tensor([1, 2], { dtype: 'i32' })), '2.step is [2] i32'],
  };
  test.each(Object.entries(rows))('%s, and changes nothing', (_, [change, says]) => {
    const run = training(dtype);
    run.step(0);
    const before = plainState(run.optimizer.stateDict());
    const state = good();
    change(state.tensors);
    const error = thrownBy(() => run.optimizer.loadStateDict(state));
    expect(error).toBeInstanceOf(ValueError);
    expect(error.message).toContain(says);
    expect(plainState(run.optimizer.stateDict())).toEqual(before);
  });
  test.each([-1, 1.5, NaN])('step %d', (step) => {
    const run = training(dtype);
    expect(() => run.optimizer.loadStateDict({ ...good(), step })).toThrow(
      `step ${step} is not an integer ≥ 0`,
    );
  });
  test('all at once', () => {
    const state = good();
    delete state.tensors['1.moment'];
    state.tensors['x'] = zeros([1]);
    state.tensors['0.moment'] = zeros([1]);
    const { message } = thrownBy(() => training(dtype).optimizer.loadStateDict({ ...state, step: -1 }));
    for (const part of ['step -1', 'missing 1.moment', '0.moment is [1] f32', 'unexpected x'])
      expect(message).toContain(part);
  });
});
