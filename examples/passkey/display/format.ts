/** The words and numbers of the display. */
import type { CellReport, StepReport } from '@infinigrad/zoo';
import type { ModelName, RunPlan, RunRequest, SubjectName } from '../plan.ts';

export const modelTitle: Readonly<Record<ModelName, string>> = {
  model: 'model',
  control: 'local-only control',
};
export const subjectTitle: Readonly<Record<SubjectName, string>> = {
  model: 'model',
  zeroed: 'memory emptied',
  control: 'local-only control',
};

export function duration(seconds: number): string {
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  const m = Math.floor(s / 60);
  return m < 60 ? `${m} min ${s % 60} s` : `${Math.floor(m / 60)} h ${m % 60} min`;
}

export const percent = (x: number): string => `${Math.round(100 * x)} %`;
export const count = (x: number): string => Math.round(x).toLocaleString('en');

/** A loss with three digits that matter. */
export const loss = (x: number): string => (x >= 0.01 ? x.toFixed(3) : x.toExponential(1));

/** The first line of a run. */
export function headline(request: RunRequest): string {
  if (request.kind === 'resume') return `passkey: going on with ${request.out}`;
  const { recipe, control } = request.plan;
  return `passkey: ${recipe.variant}, seed ${recipe.seed}, ${count(recipe.steps)} steps${control ? ', and a local-only control' : ''}, into ${request.out}`;
}

export function startLine(plan: RunPlan, parameters: number, resumedAt: string | null): string {
  const { recipe } = plan;
  return `${count(parameters)} parameters, segments of ${recipe.segmentLength} tokens, trained on up to ${recipe.segmentLength * recipe.maxSegments} tokens${resumedAt ? `; going on after ${resumedAt}` : ''}`;
}

/** How far the memory is mixed in, and what is written into it. */
export function gateText({ gates, writeGate }: StepReport): string {
  const parts =
    gates.length > 0
      ? [`memory gate ${gates.map((heads) => heads.map((g) => g.toFixed(2)).join(' ')).join(' | ')}`]
      : [];
  if (writeGate)
    parts.push(`written: digits ${writeGate.digits.toFixed(2)}, the rest ${writeGate.filler.toFixed(3)}`);
  return parts.join('   ');
}

export function cellText(subject: SubjectName, cell: CellReport): string {
  const { length, multiple, position, exactMatch, digitAccuracy, tokensPerSecond } = cell;
  return (
    `${subjectTitle[subject].padEnd(18)}  ${count(length).padStart(9)} tokens (${count(multiple)}×)  key at ${position.padEnd(6)}  ` +
    `exact match ${exactMatch.toFixed(3)}  digits ${digitAccuracy.map((x) => x.toFixed(2)).join(' ')}  ${count(tokensPerSecond)} tokens/s`
  );
}
