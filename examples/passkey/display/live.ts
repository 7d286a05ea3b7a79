/** The terminal display: what has happened scrolls, what is happening stays at the bottom and moves. */
import asciichart from 'asciichart';
import { createLogUpdate } from 'log-update';
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

const chartHeight = 6;
const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

export function liveView(stream: NodeJS.WriteStream, progress: Progress): View {
  const live = createLogUpdate(stream);
  let frame = 0;
  const draw = (): void => live(screen(progress, stream.columns ?? 80, spinner[frame % spinner.length]!));
  const line = (text: string): void => {
    live.clear();
    stream.write(`${text}\n`);
    draw();
  };
  return {
    line,
    update(event) {
      if (event.type === 'started') line(startLine(event.plan, event.parameters, event.resumedAt));
      else if (event.type === 'cell') line(cellText(event.subject, event.cell));
      else if (event.type === 'step' && event.report.step === event.report.steps) {
        const { loss: total, accuracy } = event.report;
        line(`${modelTitle[event.model]} trained: loss ${loss(total)}, digits right ${percent(accuracy)}`);
      }
    },
    tick() {
      frame++;
      draw();
    },
    end() {
      live.clear();
      live.done();
    },
  };
}

function screen(progress: Progress, width: number, spin: string): string {
  const { model, evaluating, step, steps, last, losses, tokensPerSecond, secondsLeft, savedStep } = progress;
  if (evaluating) {
    const seconds = (performance.now() - evaluating.since) / 1000;
    return `${spin} ${subjectTitle[evaluating.subject]}: evaluating ${count(evaluating.length)} tokens (${count(evaluating.multiple)}×)  ${duration(seconds)}`;
  }
  if (!model) return `${spin} getting ready`;
  const left = secondsLeft === null ? '' : `  ${duration(secondsLeft)} left`;
  const lines = [
    `${spin} ${modelTitle[model]}  ${bar(step / steps, Math.min(40, Math.max(10, width - 60)))}  step ${step}/${steps}${left}`,
  ];
  if (last) {
    lines.push(
      `  loss ${loss(last.loss)}   answers ${loss(last.answerLoss)}   digits right ${percent(last.accuracy)}   ${count(tokensPerSecond)} tokens/s`,
    );
    const gates = gateText(last);
    if (gates) lines.push(`  ${gates}`);
    lines.push(
      `  learning rate ${last.learningRate.toExponential(1)}   gradient ${last.gradNorm.toFixed(2)}   ${savedStep === null ? 'nothing saved yet' : `saved at step ${savedStep}`}`,
    );
    if (losses.length > 1 && width >= 40)
      lines.push(
        '',
        '  loss of the answers',
        asciichart.plot(thin(losses, Math.min(70, width - 14)), { height: chartHeight, min: 0 }),
      );
  }
  return lines.join('\n');
}

function bar(share: number, width: number): string {
  const filled = Math.round(share * width);
  return '█'.repeat(filled) + '░'.repeat(width - filled);
}

/** Means of neighbours, so that at most `count` values are left. */
function thin(values: readonly number[], most: number): number[] {
  if (values.length <= most) return [...values];
  return Array.from({ length: most }, (_, i) => {
    const part = values.slice(
      Math.floor((i * values.length) / most),
      Math.floor(((i + 1) * values.length) / most),
    );
    return part.reduce((a, b) => a + b, 0) / part.length;
  });
}
