/** What a running session tells whoever shows it. */
import type { CellReport, StepReport } from '@infinigrad/zoo';
import type { ModelName, RunPlan, SubjectName } from './plan.ts';

export type RunEvent =
  | {
      readonly type: 'started';
      readonly plan: RunPlan;
      readonly parameters: number;
      readonly resumedAt: string | null;
    }
  | { readonly type: 'training'; readonly model: ModelName; readonly step: number; readonly steps: number }
  | {
      readonly type: 'step';
      readonly model: ModelName;
      readonly report: StepReport;
      readonly seconds: number;
    }
  | { readonly type: 'saved'; readonly model: ModelName; readonly step: number }
  | {
      readonly type: 'evaluating';
      readonly subject: SubjectName;
      readonly length: number;
      readonly multiple: number;
    }
  | { readonly type: 'cell'; readonly subject: SubjectName; readonly cell: CellReport }
  | { readonly type: 'stopped'; readonly at: string }
  | { readonly type: 'finished'; readonly table: string }
  | { readonly type: 'failed'; readonly message: string; readonly stack: string; readonly exitCode: number };

export type Emit = (event: RunEvent) => void;

/** One line of metrics.jsonl. */
export type MetricLine =
  | ({ readonly kind: 'step'; readonly model: ModelName; readonly seconds: number } & StepReport)
  | ({ readonly kind: 'cell'; readonly subject: SubjectName } & CellReport)
  | { readonly kind: 'done' };
export type StepLine = Extract<MetricLine, { kind: 'step' }>;
export type CellLine = Extract<MetricLine, { kind: 'cell' }>;
