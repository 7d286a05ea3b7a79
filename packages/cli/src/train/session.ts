/** A run from its plan to a saved model: training, what is shown meanwhile, and how it ends. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AdamW, Trainer } from '@infinigrad/nn';
import { Checkpoints, JsonLinesFile, showProgress } from '@infinigrad/nn/node';
import { Key, NumericError } from '@infinigrad/tensor';
import { writeFileAtomic } from '@infinigrad/tensor/node';
import { savePretrained } from '@infinigrad/zoo/node';
import { CommandError, Interrupted } from '../errors.ts';
import type { TrainedModel } from '../families.ts';
import { lossOf, type Batch, type Course } from '../objectives/courses.ts';
import { count, digits, type Io } from '../output.ts';
import { exitCodes, onSignal, type Signal } from '../signals.ts';
import type { TrainData } from './data.ts';
import { lockFolder } from './lock.ts';
import { planName, planText, scheduleOf, type TrainPlan } from './plan.ts';

export interface Session {
  readonly out: string;
  readonly plan: TrainPlan;
  readonly model: TrainedModel;
  readonly data: TrainData;
  readonly course: Course;
  /** Go on with what the folder holds. */
  readonly resume: boolean;
  /** Write events as lines of JSON. */
  readonly json: boolean;
  /** Writes what belongs to the model beside its weights, into a folder that is new. */
  prepare(folder: string): Promise<void>;
}

const checkpointsOf = (out: string): Checkpoints => new Checkpoints(join(out, 'checkpoints'));

function trainerOf({ out, plan, model, data, course }: Session): Trainer<TrainedModel, Batch> {
  const all = model.parameters();
  const matrices = all.filter(({ rank }) => rank >= 2);
  const rest = all.filter(({ rank }) => rank < 2);
  const groups = [
    { params: matrices, weightDecay: plan.weightDecay },
    { params: rest, weightDecay: 0 },
  ].filter(({ params }) => params.length > 0);
  const { validation } = data;
  return new Trainer<TrainedModel, Batch>({
    model,
    optimizer: new AdamW(groups, {
      learningRate: plan.learningRate,
      betas: [0.9, 0.95],
      maxGradNorm: plan.clip,
      schedule: scheduleOf(plan),
    }),
    loss: (own, batch, { key, training }) =>
      lossOf(course, own, batch, training ? key?.foldIn(1) : undefined),
    data: (_, key) => data.batch(key!),
    weight: ({ count: targets }) => targets,
    key: new Key(plan.seed).foldIn(1),
    steps: plan.steps,
    accumulate: plan.accumulate,
    logEvery: plan.logEvery,
    loggers: [new JsonLinesFile(join(out, 'metrics.jsonl'))],
    checkpoints: checkpointsOf(out),
    saveEvery: plan.saveEvery,
    // As JSON has it: what a file cannot hold is no difference.
    run: JSON.parse(planText(plan)) as never,
    ...(validation && {
      evaluation: { data: validation, ...(plan.evalEvery > 0 && { every: plan.evalEvery }) },
    }),
  });
}

/**
 * Trains to the end, and saves the model in the run's folder.
 * @throws Interrupted where a signal ended it: it can be gone on with; CommandError where it cannot go on
 */
export async function runSession(session: Session, io: Io): Promise<void> {
  const { out, plan, model, data, resume, json } = session;
  await mkdir(out, { recursive: true });
  const unlock = lockFolder(out);
  const say = (event: Readonly<Record<string, unknown>>, text: string): void =>
    io.out(`${json ? JSON.stringify(event) : text}\n`);
  try {
    const trainer = trainerOf(session);
    if (!resume) {
      await session.prepare(out);
      // Where it is killed before its first checkpoint, a run that began with a saved model has that to go on from.
      await checkpointsOf(out).save(trainer.state(), { step: 0 });
      await writeFileAtomic(join(out, planName), planText(plan));
    }
    const from = resume ? await trainer.resume() : null;
    say(
      {
        event: 'start',
        out,
        parameters: model.numParameters(),
        step: from ?? 0,
        steps: plan.steps,
        floor: data.floor,
      },
      `${count(model.numParameters())} parameters, ${data.about}; ${from === null ? '' : `from step ${from}, `}${count(plan.steps)} steps of ${plan.batchSize * plan.accumulate} × ${plan.length} tokens, into ${out}`,
    );
    let evaluated: Readonly<Record<string, number>> | null = null;
    trainer.on('evaluate', ({ values }) => {
      evaluated = values;
    });
    if (json) tellEvents(trainer, io);
    else await showProgress(trainer, { stream: io.stream });
    const signal = await fit(trainer, say);
    if (signal)
      throw new Interrupted(
        `Stopped at step ${trainer.step} of ${plan.steps}; saved. Go on with: infinigrad train --resume ${quoted(out)}`,
        exitCodes[signal],
      );
    await savePretrained(model, out);
    const floor = data.floor === null ? '' : ` (no model can have less than ${digits(data.floor)})`;
    const found = evaluated as Readonly<Record<string, number>> | null;
    say(
      { event: 'finished', out, step: trainer.step, evaluation: found, floor: data.floor },
      `${found ? `Evaluated: loss ${digits(found['loss']!)}${floor}, ${(100 * found['accuracy']!).toFixed(1)}% of targets right. ` : ''}Saved in ${out}`,
    );
  } finally {
    unlock();
  }
}

/** @returns the signal that ended it, or null */
async function fit(
  trainer: Trainer<TrainedModel, Batch>,
  say: (event: Readonly<Record<string, unknown>>, text: string) => void,
): Promise<Signal | null> {
  let heard: Signal | null = null;
  const off = onSignal((signal) => {
    heard = signal;
    trainer.stop();
    say({ event: 'stopping' }, 'Stopping after this step; Ctrl-C again stops at once.');
  });
  try {
    const { reason } = await trainer.fit();
    return reason === 'asked' ? heard : null;
  } catch (error) {
    if (!(error instanceof NumericError)) throw error;
    throw new CommandError(
      `${error.message}; after ${trainer.step} steps. A smaller --learning-rate may help; the checkpoints stay`,
    );
  } finally {
    off();
  }
}

function tellEvents(trainer: Trainer<TrainedModel, Batch>, io: Io): void {
  const tell = (event: string, values: object): void => io.out(`${JSON.stringify({ event, ...values })}\n`);
  trainer.on('log', ({ step, values }) => tell('log', { step, ...values }));
  trainer.on('evaluate', ({ step, values }) => tell('evaluate', { step, ...values }));
  trainer.on('save', ({ step }) => tell('save', { step }));
}

/** As a shell takes it. */
const quoted = (text: string): string =>
  /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
