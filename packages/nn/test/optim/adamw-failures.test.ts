/** A step of AdamW that fails changes nothing. */
import { AdamW, Parameter } from '@infinigrad/nn';
import { GradientError, ShapeError, tensor, ValueError, type Tensor } from '@infinigrad/tensor';
import { describe, expect, test } from 'vitest';
import { numbers } from '../support.ts';
import { dtype, plainState, thrownBy, training, valuesOf, type Training } from './support.ts';

const parameter = (values: number[]): Parameter => new Parameter(tensor(values, { dtype }));

describe('a step that fails changes nothing', () => {
  /** What a failing step must leave as it is, and a failing step. */
  const fail = (
    run: Training,
    loss: (w: Parameter) => Tensor,
    how: 'minimize' | 'step' = 'minimize',
  ): Error => {
    const [w] = run.params as [Parameter];
    const error = thrownBy(() => {
      if (how === 'minimize') run.optimizer.minimize(() => loss(w));
      else {
        run.optimizer.zeroGrad();
        loss(w).backward();
        run.optimizer.step();
      }
    });
    run.optimizer.zeroGrad();
    return error;
  };
  const failures: Record<string, [(w: Parameter) => Tensor, says: string]> = {
    'a loss of NaN': [
      (w) => w.sum().mul(NaN),
      'AdamW.minimize: the loss is NaN at step 4. Hint: nothing was changed',
    ],
    'an infinite loss': [
      (w) => w.square().sum().mul(Infinity),
      'AdamW.minimize: the loss is Infinity at step 4. Hint: nothing was changed',
    ],
    'a gradient of NaN under a finite loss': [
      // √0 · 0: the value is 0, its gradient ∞ · 0
      (w) => w.mul(0).sqrt().sum(),
      'AdamW.minimize: the norm of the gradients is NaN at step 4, first in the parameter: [3, 4] f64. Hint: nothing was changed',
    ],
    'an infinite gradient under a finite loss': [
      // √0, whose slope is infinite
      (w) => w.sub(w.detach()).sqrt().sum(),
      'AdamW.minimize: the norm of the gradients is Infinity at step 4, first in the parameter: [3, 4] f64',
    ],
    'an error in the function': [
      () => {
        throw new RangeError('of the function');
      },
      'of the function',
    ],
    'a loss of several numbers': [
      (w) => w.square(),
      'AdamW.minimize: the loss must be a single number: [3, 4] f64. Hint: take its mean',
    ],
    'no tensor': [(() => 3) as unknown as () => Tensor, 'AdamW.minimize: the loss must be a single number'],
    'a loss that depends on nothing': [() => tensor(3, { dtype }), 'does not depend on any tensor'],
  };
  test.each(Object.entries(failures))('%s', (_, [loss, says]) => {
    const [run, undisturbed] = [training(dtype), training(dtype)];
    for (let i = 0; i < 3; i++) run.step(i);
    const [values, state] = [valuesOf(run), plainState(run.optimizer.stateDict())];
    const { lastGradNorm, learningRate } = run.optimizer;
    expect(fail(run, loss).message).toContain(says);
    expect(valuesOf(run)).toEqual(values);
    expect(plainState(run.optimizer.stateDict())).toEqual(state);
    expect([run.optimizer.lastGradNorm, run.optimizer.learningRate]).toEqual([lastGradNorm, learningRate]);
    // Training goes on as if it had not been tried.
    const losses = Array.from({ length: 6 }, (_, i) => undisturbed.step(i));
    for (let i = 3; i < 6; i++) expect(run.step(i)).toBe(losses[i]);
    expect(valuesOf(run)).toEqual(valuesOf(undisturbed));
  });
  test('in step as well', () => {
    const run = training(dtype);
    run.step(0);
    const [values, state] = [valuesOf(run), plainState(run.optimizer.stateDict())];
    const error = fail(run, (w) => w.sum().mul(NaN), 'step');
    expect(error).toBeInstanceOf(ValueError);
    expect(error.message).toContain('AdamW.step: the norm of the gradients is NaN at step 2');
    expect(valuesOf(run)).toEqual(values);
    expect(plainState(run.optimizer.stateDict())).toEqual(state);
  });
  test('a schedule that gives no rate', () => {
    const p = parameter([1, 2]);
    const optimizer = new AdamW([p], { schedule: (step) => (step === 1 ? NaN : step === 2 ? -1 : 1) });
    optimizer.minimize(() => p.square().sum());
    const before = numbers(p);
    expect(thrownBy(() => optimizer.minimize(() => p.square().sum())).message).toBe(
      'AdamW.minimize: the learning rate is NaN at step 2. Hint: look at the schedule',
    );
    expect([numbers(p), optimizer.stepCount]).toEqual([before, 1]);
  });
  test('the kinds of errors', () => {
    const run = training(dtype);
    expect(fail(run, (w) => w.sum().mul(NaN))).toBeInstanceOf(ValueError);
    expect(fail(run, (w) => w.mul(0).sqrt().sum())).toBeInstanceOf(ValueError);
    expect(fail(run, (w) => w)).toBeInstanceOf(ShapeError);
    expect(fail(run, () => tensor(1))).toBeInstanceOf(GradientError);
  });
});
