/** The numbers of a step, read. */
import type { StepReport } from './events.ts';

/** `loss`, the metrics, `learningRate`, and where they are known `gradNorm` and `weightPerSecond`. */
export async function readValues(
  report: StepReport,
): Promise<{ readonly loss: number } & Record<string, number>> {
  const { metrics, learningRate, gradNorm, seconds, weight } = report;
  const values: { loss: number } & Record<string, number> = { loss: await report.loss.item() };
  for (const [name, x] of Object.entries(metrics)) values[name] = await x.item();
  values['learningRate'] = learningRate;
  if (gradNorm !== null) values['gradNorm'] = gradNorm;
  if (seconds > 0) values['weightPerSecond'] = weight / seconds;
  return values;
}
