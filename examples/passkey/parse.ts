/** Reads back what a run has written, trusting nothing in it. */
import { InfinigradError } from '@infinigrad/tensor';
import { infiniTransformerConfig, passkeyModelOptions, passkeyRecipe } from '@infinigrad/zoo';
import type { MetricLine } from './events.ts';
import { RunError, type EvaluationPlan, type RunPlan } from './plan.ts';

/** The plan in a config.json. @throws RunError that names the file where it holds none */
export function planFromJson(path: string, text: string): RunPlan {
  const damaged = (what: string): never => {
    throw new RunError(`${path} ${what}: the run cannot be resumed; start anew with another --out`);
  };
  let plan: Partial<RunPlan> | undefined;
  try {
    plan = (JSON.parse(text) as { passkey?: Partial<RunPlan> } | null)?.passkey;
  } catch {
    return damaged('is damaged (not JSON)');
  }
  if (typeof plan !== 'object' || plan === null) return damaged('describes no passkey run');
  const { recipe, control, evaluation } = plan;
  if (!recipe || typeof recipe !== 'object' || typeof control !== 'boolean' || !isEvaluation(evaluation))
    return damaged('is incomplete');
  try {
    // What is missing would silently become a default: a plan is whole or refused.
    const checked = passkeyRecipe(recipe.variant, recipe);
    const lacks = Object.keys(checked).filter((name) => !Object.hasOwn(recipe, name));
    if (lacks.length > 0) return damaged(`lacks ${lacks.join(', ')}`);
    infiniTransformerConfig(passkeyModelOptions(checked));
    return { recipe: checked, control, evaluation };
  } catch (error) {
    if (error instanceof InfinigradError) return damaged(`does not describe a run (${error.message})`);
    throw error;
  }
}

function isEvaluation(value: EvaluationPlan | undefined): value is EvaluationPlan {
  return (
    typeof value === 'object' &&
    value !== null &&
    [value.maxLength, value.controlMaxLength, value.samples].every((n) => Number.isSafeInteger(n) && n > 0)
  );
}

/**
 * The lines of a metrics.jsonl. A last line that was cut short is left out.
 * @throws RunError for any other line that is not a metric
 */
export function parseMetrics(path: string, text: string): MetricLine[] {
  const lines = text.split('\n');
  const whole = lines.slice(0, -1);
  return whole.map((line, i) => {
    try {
      const value = JSON.parse(line) as MetricLine;
      if (['step', 'cell', 'done'].includes(value.kind)) return value;
    } catch {
      // told below
    }
    throw new RunError(`${path} is damaged in line ${i + 1}; delete that file to go on without its record`);
  });
}
