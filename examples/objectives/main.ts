/** `pnpm example:objectives`: trains models of the zoo from scratch, down to losses that are known to be the best. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { showProgress } from '@infinigrad/nn/node';
import { InfinigradError } from '@infinigrad/tensor';
import { experiments } from './experiments.ts';
import { parseOptions, quickSteps, UsageError, type Request } from './options.ts';
import { runExperiment, type Result } from './run.ts';
import { headingOf, resultText, tableOf } from './table.ts';

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function run({ names, seed, steps, quick, out }: Request): Promise<number> {
  const results: Result[] = [];
  mkdirSync(out, { recursive: true });
  for (const name of names) {
    const experiment = experiments[name];
    const recipe = {
      ...(steps !== undefined && { steps }),
      ...(quick && { steps: quickSteps, evaluationTexts: 64 }),
    };
    const result = await runExperiment(
      name,
      experiment,
      { seed, recipe },
      async (trainer, { source, model }) => {
        say(headingOf({ title: experiment.title, seed, source, parameters: model.numParameters() }));
        await showProgress(trainer);
      },
    );
    say(`${resultText(result)}\n`);
    results.push(result);
    writeFileSync(join(out, `${name}-seed${seed}.json`), `${JSON.stringify(result, null, 2)}\n`);
  }
  say(tableOf(results));
  say(`\nResults: ${out}`);
  return results.every(({ passed }) => passed) ? 0 : 1;
}

try {
  const request = parseOptions(process.argv.slice(2), (text) => process.stdout.write(text));
  process.exitCode = request ? await run(request) : 0;
} catch (error) {
  if (!(error instanceof UsageError || error instanceof InfinigradError)) throw error;
  process.stderr.write(
    `objectives: ${error.message}${error instanceof UsageError ? ' (--help shows all options)' : ''}\n`,
  );
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
