/** What a run is to do, as plain data: the same plan in the same folder is the same run. */
import type { PasskeyRecipe } from '@infinigrad/zoo';

export interface EvaluationPlan {
  /** Longest evaluated sequence, in tokens. */
  readonly maxLength: number;
  /** Longest one for the two controls, which never see beyond one segment. */
  readonly controlMaxLength: number;
  /** Sequences a cell (one length, one position of the key). */
  readonly samples: number;
}

export interface RunPlan {
  readonly recipe: PasskeyRecipe;
  /** Train the same model without memory, too. */
  readonly control: boolean;
  readonly evaluation: EvaluationPlan;
}

export type RunRequest =
  | { readonly kind: 'new'; readonly out: string; readonly plan: RunPlan }
  | { readonly kind: 'resume'; readonly out: string; readonly evaluation: Partial<EvaluationPlan> };

/** The two models that a run trains. */
export type ModelName = 'model' | 'control';
/** What is evaluated: the model, the model with its memory emptied before each segment, and the control. */
export type SubjectName = 'model' | 'zeroed' | 'control';

/** Tokens of the longest training sequence: 1×. */
export function trainingLength({ segmentLength, maxSegments }: PasskeyRecipe): number {
  return segmentLength * maxSegments;
}

/** Evaluated lengths as multiples of the training length: powers of 4 up to a number of tokens, and that number itself where it is a power of 2. */
export function multiplesUpTo(recipe: PasskeyRecipe, maxLength: number): number[] {
  const most = Math.floor(maxLength / trainingLength(recipe));
  const multiples: number[] = [];
  for (let m = 1; m <= most; m *= 4) multiples.push(m);
  // A longest length that is a power of 2 has a row of its own.
  if (
    most * trainingLength(recipe) === maxLength &&
    Number.isInteger(Math.log2(most)) &&
    multiples.at(-1) !== most
  )
    multiples.push(most);
  return multiples;
}

/** Runs the main job wherever there is Node and npm. */
export const startCommand = 'npx -y pnpm@10.34.9 start';

/** Names the folder as the user would type it. */
export function resumeCommand(out: string): string {
  return `${startCommand} --resume ${/^[\w./-]+$/.test(out) ? out : `'${out.replaceAll("'", String.raw`'\''`)}'`}`;
}

/** An error that is the user's to solve: shown as one line. */
export class RunError extends Error {
  override readonly name = 'RunError';
}
