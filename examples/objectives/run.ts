/** Trains and measures an experiment, and judges it. */
import { inferenceMode } from '@infinigrad/autograd';
import { AdamW, crossEntropy, Trainer, warmupCosine, type Module } from '@infinigrad/nn';
import { fromData, Key, scope, type Tensor } from '@infinigrad/tensor';
import type { Experiment, Goal, Measured, Recipe, Scored, Task } from './experiment.ts';

/** A loss so many standard errors below the floor is no luck: the model has seen what it was to tell. */
const luck = 3;
const evaluationBatch = 64;

export interface Judged extends Goal {
  readonly reached: boolean;
}

export interface Result extends Measured {
  readonly experiment: string;
  readonly title: string;
  readonly seed: number;
  readonly recipe: Recipe;
  readonly parameters: number;
  /** Tokens trained on. */
  readonly tokens: number;
  /** Of training, with all that else went on on the machine. */
  readonly seconds: number;
  /** Of them, those that this process was given, all threads together. */
  readonly processorSeconds: number;
  readonly source: Readonly<Record<string, number>>;
  readonly further: Readonly<Record<string, number>>;
  /** Before training, on texts that are not those of the evaluation. */
  readonly lossBefore: number;
  readonly log: readonly { readonly step: number; readonly loss: number; readonly floor: number }[];
  /** The loss lies below the floor by more than chance allows. */
  readonly leak: boolean;
  readonly goals: readonly Judged[];
  /** False where fewer steps were taken than the recipe has: then goals may be missed. */
  readonly whole: boolean;
  readonly passed: boolean;
}

export type Observer = (trainer: Trainer<any, any>, task: Task) => void | Promise<void>;

type Labelled = Scored & { readonly floor: Tensor };

/** Runs one. @param recipe what differs from the experiment's */
export async function runExperiment(
  name: string,
  experiment: Experiment,
  { seed, recipe: changes = {} }: { readonly seed: number; readonly recipe?: Partial<Recipe> },
  observe: Observer = () => {},
): Promise<Result> {
  const recipe = { ...experiment.recipe, ...changes };
  const [model, source, data, evaluation] = new Key(seed).split(4) as [Key, Key, Key, Key];
  const task = experiment.build(recipe, { model, source });
  const trainer = new Trainer<Module, Labelled>({
    model: task.model,
    optimizer: new AdamW(task.parameters?.(recipe.learningRate) ?? task.model.parameters(), {
      learningRate: recipe.learningRate,
      weightDecay: 0.01,
      maxGradNorm: 1,
      schedule: warmupCosine({ warmupSteps: Math.ceil(recipe.steps / 10), totalSteps: recipe.steps }),
    }),
    key: data,
    data: (_, key) => {
      const batch = task.batch(recipe.batchSize, key!) as Scored;
      return { ...batch, floor: fromData(Float32Array.of(meanOf(batch)), []) };
    },
    steps: recipe.steps,
    logEvery: Math.max(1, Math.min(25, Math.floor(recipe.steps / 4))),
    loss: (model, batch) => ({
      loss: crossEntropy(task.logits(model, batch), batch.targets),
      metrics: { floor: batch.floor },
    }),
  });
  const log: { step: number; loss: number; floor: number }[] = [];
  trainer.on('log', ({ step, values }) => {
    log.push({ step, loss: values['loss']!, floor: values['floor']! });
  });
  const before = measure(task, [
    task.batch(Math.min(evaluationBatch, recipe.evaluationTexts), evaluation.foldIn(0)),
  ]);
  await observe(trainer, task);
  const [began, used] = [performance.now(), process.cpuUsage()];
  await trainer.fit();
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(used);

  task.model.eval();
  const batches: Scored[] = [];
  for (let left = recipe.evaluationTexts; left > 0; left -= evaluationBatch)
    batches.push(task.batch(Math.min(left, evaluationBatch), evaluation.foldIn(1 + batches.length)));
  const measured = measure(task, batches);
  const further = (await task.further?.(task.model, batches)) ?? {};
  const goals = task.goals(measured, further).map((goal) => ({ ...goal, reached: reached(goal) }));
  const leak = leaks(measured);
  const whole = recipe.steps >= experiment.recipe.steps;
  return {
    experiment: name,
    title: experiment.title,
    seed,
    recipe,
    parameters: task.model.numParameters(),
    tokens: recipe.steps * recipe.batchSize * recipe.length,
    seconds,
    processorSeconds: (user + system) / 1e6,
    source: task.source,
    ...measured,
    further,
    lossBefore: before.loss,
    log,
    leak,
    goals,
    whole,
    passed: !leak && (!whole || goals.every((goal) => goal.reached)),
  };
}

const reached = ({ value, is, bound }: Goal): boolean => (is === 'at most' ? value <= bound : value >= bound);

/** Below the floor by more than chance, and by more than sums in f32 are off. */
export const leaks = ({ excess, standardError }: Pick<Measured, 'excess' | 'standardError'>): boolean =>
  excess < -luck * standardError - 1e-5;

/** The model's losses beside what is known of the same targets. */
export function measure(task: Pick<Task, 'model' | 'logits'>, batches: readonly Scored[]): Measured {
  const rows: { readonly excess: number; readonly targets: number }[] = [];
  const sums: Record<string, number> = { loss: 0, floor: 0 };
  const baselines = Object.keys(batches[0]!.baselines);
  for (const name of baselines) sums[`baseline ${name}`] = 0;
  for (const batch of batches) {
    const [losses, targets] = inferenceMode(() =>
      scope(() => {
        const each = crossEntropy(task.logits(task.model, batch), batch.targets, { reduction: 'none' });
        return [each.cast('f64').dataSync().slice(), batch.targets.dataSync().slice()] as const;
      }),
    );
    const length = batch.targets.shape[1]!;
    for (let from = 0; from < targets.length; from += length) {
      const row = { excess: 0, targets: 0 };
      for (let at = from; at < from + length; at++) {
        if (Number(targets[at]) < 0) continue;
        const loss = Number(losses[at]);
        row.excess += loss - batch.floors[at]!;
        row.targets++;
        sums['loss']! += loss;
        sums['floor']! += batch.floors[at]!;
        for (const name of baselines) sums[`baseline ${name}`]! += batch.baselines[name]![at]!;
      }
      rows.push(row);
    }
  }
  const count = rows.reduce((sum, row) => sum + row.targets, 0);
  const excess = rows.reduce((sum, row) => sum + row.excess, 0) / count;
  const spread = rows.reduce((sum, row) => sum + (row.excess - row.targets * excess) ** 2, 0);
  return {
    loss: sums['loss']! / count,
    floor: sums['floor']! / count,
    baselines: Object.fromEntries(baselines.map((name) => [name, sums[`baseline ${name}`]! / count])),
    excess,
    standardError: Math.sqrt(spread) / count,
    targets: count,
  };
}

function meanOf({ floors, targets }: Scored): number {
  const count = (targets.dataSync() as Int32Array).filter((id) => id >= 0).length;
  return floors.reduce((a, b) => a + b, 0) / Math.max(1, count);
}
