/** Plain lines for logs and pipes: one every few seconds, whatever the run is doing. */
import {
  cellText,
  count,
  duration,
  gateText,
  loss,
  modelTitle,
  percent,
  startLine,
  subjectTitle,
} from './format.ts';
import type { View } from './display.ts';
import type { Progress } from './progress.ts';

const millisecondsBetweenSteps = 3000;
/** Longest silence. */
const heartbeatMilliseconds = 10_000;

export function plainView(stream: NodeJS.WriteStream, progress: Progress): View {
  let writtenAt = 0;
  const line = (text: string): void => {
    writtenAt = performance.now();
    stream.write(`${text}\n`);
  };
  const stepLine = (): string => {
    const { model, last, step, steps, tokensPerSecond, secondsLeft } = progress;
    if (!model || !last) return `${modelTitle[model ?? 'model']}: step ${step}/${steps}`;
    const left = secondsLeft === null || step === steps ? '' : `  ${duration(secondsLeft)} left`;
    const gates = gateText(last);
    return (
      `${modelTitle[model]}  step ${step}/${steps}  loss ${loss(last.loss)}  answers ${loss(last.answerLoss)}  digits right ${percent(last.accuracy)}` +
      `${gates && `  ${gates}`}  ${count(tokensPerSecond)} tokens/s${left}`
    );
  };
  return {
    line,
    update(event) {
      if (event.type === 'started') line(startLine(event.plan, event.parameters, event.resumedAt));
      else if (event.type === 'cell') line(cellText(event.subject, event.cell));
      else if (event.type === 'step') {
        const { step, steps } = event.report;
        if (step === 1 || step === steps || performance.now() - writtenAt >= millisecondsBetweenSteps)
          line(stepLine());
      }
    },
    tick() {
      if (performance.now() - writtenAt < heartbeatMilliseconds) return;
      const { evaluating } = progress;
      if (evaluating)
        line(
          `${subjectTitle[evaluating.subject]}: evaluating ${count(evaluating.length)} tokens, ${duration((performance.now() - evaluating.since) / 1000)} so far`,
        );
      else line(`${stepLine()} (still at it)`);
    },
    end() {},
  };
}
