/** Reads back what a run has written, trusting nothing in it. */
import { InfinigradError } from '@infinigrad/tensor';
import {
  checkLayout,
  infiniTransformerConfig,
  passkeyModelOptions,
  passkeyRecipe,
  type PasskeyRecipe,
  type TrainerState,
} from '@infinigrad/zoo';
import type { CellLine, MetricLine, StepLine } from './events.ts';
import { RunError, type EvaluationPlan, type ModelName, type RunPlan, type SubjectName } from './plan.ts';

const models: readonly ModelName[] = ['model', 'control'];
const subjects: readonly SubjectName[] = ['model', 'zeroed', 'control'];
const positions: readonly CellLine['position'][] = ['start', 'middle', 'end', 'any'];

type Unknown<T> = { readonly [K in keyof T]?: unknown };

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isNumber = (value: unknown): value is number => typeof value === 'number';
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isNumbers = (value: unknown): value is number[] => Array.isArray(value) && value.every(isNumber);
const isOneOf = <T>(list: readonly T[], value: unknown): value is T => list.includes(value as T);

/** The plan in a config.json. @throws RunError that names the file where it holds none */
export function planFromJson(path: string, text: string): RunPlan {
  const damaged = (what: string): never => {
    throw new RunError(`${path} ${what}: the run cannot be resumed; start anew with another --out`);
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return damaged('is damaged (not JSON)');
  }
  if (!isRecord(json) || !isRecord(json['passkey'])) return damaged('describes no passkey run');
  const { recipe, control, evaluation } = json['passkey'] as Unknown<RunPlan>;
  if (!isRecord(recipe) || typeof control !== 'boolean' || !isEvaluation(evaluation))
    return damaged('is incomplete');
  try {
    const given = recipe as unknown as PasskeyRecipe;
    // What is missing would silently become a default: a plan is whole or refused.
    const whole = Object.entries(passkeyRecipe(given.variant));
    const lacks = whole.filter(([name]) => !Object.hasOwn(recipe, name)).map(([name]) => name);
    if (lacks.length > 0) return damaged(`lacks ${lacks.join(', ')}`);
    for (const [name, value] of whole)
      if (typeof recipe[name] !== typeof value)
        return damaged(`has ${name} ${JSON.stringify(recipe[name])}, not a ${typeof value}`);
    if (!isOneOf(['cyclic', 'random'], given.filler)) return damaged(`has filler '${String(given.filler)}'`);
    const checked = passkeyRecipe(given.variant, given);
    checkLayout(checked, checked.maxSegments);
    infiniTransformerConfig(passkeyModelOptions(checked));
    return { recipe: checked, control, evaluation };
  } catch (error) {
    if (error instanceof InfinigradError) return damaged(`does not describe a run (${error.message})`);
    throw error;
  }
}

function isEvaluation(value: unknown): value is EvaluationPlan {
  if (!isRecord(value)) return false;
  const { maxLength, controlMaxLength, samples } = value as Unknown<EvaluationPlan>;
  return [maxLength, controlMaxLength, samples].every((n) => isCount(n) && n > 0);
}

/** Whose checkpoint it is, and at which step. @throws RunError that names the file where the text does not say */
export function checkpointFromJson(
  path: string,
  text: string | undefined,
  { recipe, control }: RunPlan,
): { readonly model: ModelName; readonly meta: TrainerState['meta'] } {
  const fail = (): never => {
    throw new RunError(`${path} is not a checkpoint of this run; start anew with another --out`);
  };
  let json: unknown;
  try {
    json = JSON.parse(text ?? '');
  } catch {
    return fail();
  }
  if (!isRecord(json) || !isRecord(json['meta'])) return fail();
  const { model, meta } = json as unknown as { model: unknown; meta: Unknown<TrainerState['meta']> };
  const { step } = meta;
  if (!isOneOf(control ? models : models.slice(0, 1), model) || !isCount(step) || step > recipe.steps)
    return fail();
  if (meta.control !== (model === 'control') || JSON.stringify(meta.recipe) !== JSON.stringify(recipe))
    return fail();
  return { model, meta: { step, control: meta.control, recipe } };
}

/**
 * The lines of a metrics.jsonl. A last line that was cut short is left out.
 * @throws RunError for any other line that is not a metric
 */
export function parseMetrics(path: string, text: string): MetricLine[] {
  const whole = text.split('\n').slice(0, -1);
  return whole.map((line, i) => {
    try {
      const value: unknown = JSON.parse(line);
      if (isMetric(value)) return value;
    } catch {
      // told below
    }
    throw new RunError(`${path} is damaged in line ${i + 1}; delete that file to go on without its record`);
  });
}

function isMetric(value: unknown): value is MetricLine {
  if (!isRecord(value)) return false;
  if (value['kind'] === 'step') return isStep(value as Unknown<StepLine>);
  return value['kind'] === 'cell' ? isCell(value as Unknown<CellLine>) : value['kind'] === 'done';
}

function isStep({ model, gates, writeGate, ...numbers }: Unknown<StepLine>): boolean {
  const { seconds, step, steps, loss, answerLoss, accuracy, gradNorm, learningRate, tokens, segments } =
    numbers;
  return (
    isOneOf(models, model) &&
    isNumbers([seconds, step, steps, loss, answerLoss, accuracy, gradNorm, learningRate, tokens, segments]) &&
    Array.isArray(gates) &&
    gates.every(isNumbers) &&
    (writeGate === null || (isRecord(writeGate) && isNumbers([writeGate['digits'], writeGate['filler']])))
  );
}

function isCell({ subject, position, digitAccuracy, ...numbers }: Unknown<CellLine>): boolean {
  const { length, multiple, samples, exactMatch, stateBytes, tokensPerSecond } = numbers;
  return (
    isOneOf(subjects, subject) &&
    isOneOf(positions, position) &&
    isNumbers(digitAccuracy) &&
    isNumbers([length, multiple, samples, exactMatch, stateBytes, tokensPerSecond])
  );
}
