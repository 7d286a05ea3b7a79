/** The training loop: steps, logs, evaluations, the best model, checkpoints, and a state that a run goes on from to the bit. */
import { NumericError, ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import type { Module } from '../module.ts';
import type { Optimizer } from '../optim/optimizer.ts';
import { Batches } from './batches.ts';
import { evaluate } from './evaluate.ts';
import {
  Emitter,
  type EvaluationReport,
  type Listener,
  type StepReport,
  type StopReason,
  type TrainerEvents,
} from './events.ts';
import { readValues } from './log-values.ts';
import { Monitor } from './monitor.ts';
import { checkOptions, type FitResult, type TrainerOptions } from './options.ts';
import { checkMeta, partOf, prefixed, type TrainerState } from './state.ts';
import { trainStep, type TrainStepResult } from './step.ts';
import { Turns } from './turns.ts';

/**
 * Trains a model. Nothing is read within a step, so that it works where reading takes time; every so many steps the loss is.
 *
 * ```ts
 * const trainer = new Trainer({ model, optimizer, data: loader, steps: 1000, loss: (m, { x, y }) => crossEntropy(m.forward(x), y) });
 * trainer.on('log', ({ step, values }) => console.log(step, values.loss));
 * await trainer.fit();
 * ```
 *
 * Where a loss or a gradient is not finite, training ends with a NumericError and the model is as after the last good step; on
 * backends that cannot be read at once, as at the last log.
 */
export class Trainer<M extends Module, B> {
  readonly model: M;
  readonly optimizer: Optimizer<any>;
  readonly #options: TrainerOptions<M, B>;
  readonly #events = new Emitter<TrainerEvents>();
  readonly #batches: Batches<B>;
  readonly #monitor: Monitor;
  readonly #turns = new Turns();
  readonly #now: () => number;
  #step = 0;
  #epoch = 0;
  #asked = false;
  #savedStep = -1;
  /** True where a step looks at its own loss. */
  #readable = true;
  #best: Readonly<Record<string, Tensor>> | null = null;
  /** The last state that is known to be good, where steps cannot be looked at. */
  #good: TrainerState | null = null;

  /** @throws ValueError for settings out of range */
  constructor(options: TrainerOptions<M, B>) {
    checkOptions(options);
    this.model = options.model;
    this.optimizer = options.optimizer;
    this.#options = options;
    this.#batches = new Batches(options.data, options.accumulate ?? 1);
    this.#monitor = new Monitor(options.monitor);
    this.#now = options.now ?? (() => performance.now());
  }

  /** Steps done. */
  get step(): number {
    return this.#step;
  }

  /** Epochs done. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The best evaluation so far. */
  get best(): { readonly value: number; readonly step: number } | null {
    return this.#monitor.best;
  }

  /** Calls a listener with every event of a type, and waits for it. @returns takes the listener away */
  on<K extends keyof TrainerEvents>(type: K, listener: Listener<TrainerEvents[K]>): () => void {
    return this.#events.on(type, listener);
  }

  /** Ends training after the step at hand. */
  stop(): void {
    this.#asked = true;
  }

  /** Takes all steps that are left. @throws NumericError, and whatever else goes wrong in a step */
  async fit(): Promise<FitResult> {
    let reason: StopReason = 'finished';
    const off = this.on('stop', (event) => {
      reason = event.reason;
    });
    try {
      for await (const _ of this.run());
    } finally {
      off();
    }
    return { step: this.#step, epoch: this.#epoch, reason, best: this.best };
  }

  /** The steps that are left, one report each, for loops of your own. */
  async *run(): AsyncGenerator<StepReport, void, undefined> {
    this.#asked = false;
    const { model } = this.#options;
    this.#readable = model.parameters().every(({ backend }) => backend.synchronous);
    await this.#emit('start', { step: this.#step, steps: this.#steps, parameters: model.numParameters() });
    try {
      let last: StepReport | null = null;
      let reason = this.#ended();
      let fruitless = false;
      while (!reason) {
        const parts = await this.#batches.next(this.#step, this.#stepKey());
        if (parts) {
          fruitless = false;
          last = await this.#take(parts);
          await this.#whatIsDue(last);
          yield last;
          await this.#turns.give();
        } else {
          if (fruitless) throw new ValueError('Trainer', 'the data has no batches');
          fruitless = true;
          await this.#emit('epoch', { epoch: this.#epoch++, step: this.#step });
        }
        reason = this.#ended();
      }
      await this.#finish(last, reason);
    } catch (error) {
      await this.#emit('error', { step: this.#step, error });
      throw error;
    } finally {
      await this.#batches.leave();
    }
  }

  get #steps(): number | null {
    return this.#options.steps ?? null;
  }

  #stepKey(): Key | undefined {
    return this.#options.key?.foldIn(this.#step);
  }

  #ended(): StopReason | null {
    const { steps = Infinity, epochs = Infinity } = this.#options;
    if (this.#step >= steps || this.#epoch >= epochs) return 'finished';
    if (this.#monitor.exhausted) return 'early';
    return this.#asked ? 'asked' : null;
  }

  async #take(parts: readonly B[]): Promise<StepReport> {
    const { model, optimizer, loss, weight, precision } = this.#options;
    if (this.#good === null && !this.#readable) this.#good = this.state();
    const learningRate = optimizer.learningRate;
    const key = this.#stepKey();
    const began = this.#now();
    const result: TrainStepResult = trainStep(model, optimizer, loss, parts, {
      ...(weight && { weight }),
      ...(key && { key }),
      ...(precision && { precision }),
    });
    const seconds = (this.#now() - began) / 1000;
    this.#step++;
    const counts = { step: this.#step, steps: this.#steps, epoch: this.#epoch };
    const gradNorm = result.skipped ? null : optimizer.lastGradNorm;
    const report = { ...counts, ...result, learningRate, gradNorm, seconds };
    await this.#emit('step', report);
    return report;
  }

  async #whatIsDue(report: StepReport): Promise<void> {
    const { logEvery = 10, evaluation, saveEvery = Infinity } = this.#options;
    const { step } = report;
    if (step % logEvery === 0) await this.#log(report);
    if (evaluation?.every !== undefined && step % evaluation.every === 0) await this.evaluate();
    // After the last step there is more to come.
    if (step % saveEvery === 0 && !this.#ended()) await this.#save();
  }

  /** Looks once more, and saves what there is. */
  async #finish(last: StepReport | null, reason: StopReason): Promise<void> {
    const { logEvery = 10, evaluation, checkpoints } = this.#options;
    const step = this.#step;
    if (last && step % logEvery !== 0) await this.#log(last);
    if (evaluation && reason === 'finished' && this.#monitor.lastStep !== step) await this.evaluate();
    if (checkpoints && this.#savedStep !== step) await this.#save();
    await this.#emit('stop', { step, reason });
  }

  async #log(report: StepReport): Promise<void> {
    const { step, steps, epoch, skipped } = report;
    const values = await readValues(report);
    // A step that was skipped tells nothing.
    if (!Number.isFinite(values.loss) && !skipped) this.#giveUp(step, values.loss);
    if (!this.#readable) this.#good = this.state();
    await this.#emit('log', { step, steps, epoch, values });
    for (const logger of this.#options.loggers ?? []) await logger.scalars(step, values);
  }

  /** Back to what is known to be good. */
  #giveUp(step: number, loss: number): never {
    const good = this.#good;
    if (good) this.load(good);
    throw new NumericError('Trainer', `the loss is ${loss} at step ${step}`, {
      hint: good ? `the model is as after step ${this.#step}` : 'the model has taken this step',
    });
  }

  /** Evaluates now; what is monitored takes note. @throws ValueError where no evaluation was asked for */
  async evaluate(): Promise<EvaluationReport> {
    const { evaluation, loss, weight, precision, loggers = [] } = this.#options;
    if (!evaluation) throw new ValueError('Trainer.evaluate', 'no evaluation was asked for');
    const { data } = evaluation;
    const values = await evaluate(
      this.model,
      evaluation.loss ?? loss,
      typeof data === 'function' ? data() : data,
      { step: this.#step, ...(weight && { weight }), ...(precision && { precision }) },
    );
    const improved = this.#monitor.take(this.#step, values);
    this.#savedStep = -1;
    if (improved && this.#options.keepBest) this.#best = this.model.stateDict();
    const report = { step: this.#step, epoch: this.#epoch, values, improved };
    await this.#emit('evaluate', report);
    const named = Object.fromEntries(Object.entries(values).map(([name, v]) => [`evaluation/${name}`, v]));
    for (const logger of loggers) await logger.scalars(this.#step, named);
    return report;
  }

  /** Gives the model the values it had at its best evaluation. @throws ValueError where none was kept */
  restoreBest(): void {
    if (!this.#best)
      throw new ValueError('Trainer.restoreBest', 'no best model was kept', { hint: 'set keepBest' });
    this.model.loadStateDict(this.#best);
  }

  async #save(): Promise<void> {
    const step = this.#step;
    const { lastStep, lastValue } = this.#monitor;
    const info = { step, ...(lastStep === step && lastValue !== null && { value: lastValue }) };
    await this.#options.checkpoints!.save(this.state(), info);
    this.#savedStep = step;
    await this.#emit('save', { step });
  }

  /** Goes on from the newest checkpoint, where there is one. @returns its step, or null; @throws ValueError for one of another run */
  async resume(): Promise<number | null> {
    const { checkpoints, loggers = [] } = this.#options;
    if (!checkpoints) throw new ValueError('Trainer.resume', 'there are no checkpoints to resume from');
    const state = await checkpoints.latest();
    if (!state) return null;
    this.load(state);
    this.#savedStep = this.#step;
    for (const logger of loggers) await logger.resume?.(this.#step);
    return this.#step;
  }

  /** All that a run needs to go on: the same steps follow, to the bit. */
  state(): TrainerState {
    const { precision, key, run = null } = this.#options;
    const optimizer = this.optimizer.stateDict();
    return {
      tensors: Object.fromEntries([
        ...prefixed('model', this.model.stateDict()),
        ...prefixed('optimizer', optimizer.tensors),
        ...prefixed('best', this.#best ?? {}),
      ]),
      meta: {
        format: 1,
        step: this.#step,
        epoch: this.#epoch,
        optimizerStep: optimizer.step,
        key: key?.words ?? null,
        data: this.#batches.state(),
        precision: precision?.state() ?? null,
        monitor: this.#monitor.state(),
        run,
      },
    };
  }

  /** Goes on where a state was taken. @throws ValueError for one of another run; nothing is then changed */
  load(state: TrainerState): void {
    const { key, run = null } = this.#options;
    checkMeta(state.meta, { key: key?.words ?? null, run });
    const before = this.state();
    try {
      this.#adopt(state);
    } catch (error) {
      this.#adopt(before);
      throw error;
    }
  }

  #adopt({ tensors, meta }: TrainerState): void {
    this.model.loadStateDict(partOf(tensors, 'model'));
    this.optimizer.loadStateDict({ step: meta.optimizerStep, tensors: partOf(tensors, 'optimizer') });
    this.#options.precision?.load(meta.precision);
    this.#monitor.load(meta.monitor);
    this.#batches.load(meta.data);
    const best = partOf(tensors, 'best');
    this.#best = Object.keys(best).length > 0 ? best : null;
    this.#step = meta.step;
    this.#epoch = meta.epoch;
  }

  #emit<K extends keyof TrainerEvents>(type: K, event: TrainerEvents[K]): Promise<void> {
    return this.#events.emit(type, event);
  }
}
