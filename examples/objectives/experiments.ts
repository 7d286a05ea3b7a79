/** All experiments by name. */
import { glm } from './blanks.ts';
import { gpt, llama } from './causal.ts';
import type { Experiment } from './experiment.ts';
import { bert } from './masked.ts';
import { prefix } from './prefix.ts';
import { t5 } from './spans.ts';

export const experiments = { bert, t5, glm, prefix, gpt, llama } as const satisfies Readonly<
  Record<string, Experiment>
>;

export type ExperimentName = keyof typeof experiments;

export const experimentNames = Object.keys(experiments) as ExperimentName[];
