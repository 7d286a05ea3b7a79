/** Keeps count of a session: where it is, how fast, how long it will take. */
import type { StepReport } from '@infinigrad/zoo';
import type { RunEvent } from '../events.ts';
import type { ModelName, SubjectName } from '../plan.ts';

/** Weight of the newest step in the running speed. */
const freshness = 0.1;

export class Progress {
  /** What is trained; null before and after. */
  model: ModelName | null = null;
  step = 0;
  steps = 0;
  last: StepReport | null = null;
  /** Answer losses of this model so far. */
  losses: number[] = [];
  tokensPerSecond = 0;
  /** Step of the last checkpoint; null before there is one. */
  savedStep: number | null = null;
  /** What is evaluated, since when (performance.now); null while training. */
  evaluating: {
    readonly subject: SubjectName;
    readonly length: number;
    readonly multiple: number;
    readonly since: number;
  } | null = null;
  private secondsPerStep = 0;

  add(event: RunEvent): void {
    if (event.type === 'training') {
      this.model = event.model;
      this.evaluating = null;
      this.step = event.step;
      this.steps = event.steps;
      this.last = null;
      this.losses = [];
      this.secondsPerStep = 0;
    } else if (event.type === 'step') {
      const { report, seconds } = event;
      const speed = report.tokens / Math.max(seconds, 1e-6);
      const blend = (old: number, now: number): number =>
        this.secondsPerStep === 0 ? now : old + freshness * (now - old);
      this.tokensPerSecond = blend(this.tokensPerSecond, speed);
      this.secondsPerStep = blend(this.secondsPerStep, seconds);
      this.step = report.step;
      this.last = report;
      this.losses.push(report.answerLoss);
    } else if (event.type === 'saved') this.savedStep = event.step;
    else if (event.type === 'evaluating') {
      this.model = null;
      this.evaluating = { ...event, since: performance.now() };
    } else if (event.type === 'cell' && this.evaluating)
      this.evaluating = { ...this.evaluating, since: performance.now() };
  }

  /** Seconds until this model is trained; null before the first step. */
  get secondsLeft(): number | null {
    return this.secondsPerStep === 0 ? null : (this.steps - this.step) * this.secondsPerStep;
  }
}
