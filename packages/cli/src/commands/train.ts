/** `infinigrad train`: a language model from texts or from a generator. */
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { assignments, integer, number, path } from '../arguments.ts';
import { checkFree } from '../aside.ts';
import { CommandError, UsageError } from '../errors.ts';
import { families, familyOf, modelsFor, mostTokens } from '../families.ts';
import { courseOf, nextToken, type Course, type CourseOptions } from '../objectives/courses.ts';
import {
  chosenObjective,
  kinds,
  objectiveHelp,
  objectiveNames,
  type ObjectiveName,
} from '../objectives/names.ts';
import type { Io } from '../output.ts';
import { saveTokenizer, tokenizerIn } from '../tokenizer.ts';
import { baseOf, modelKey, tokenizerFor, type BaseFlags } from '../train/base.ts';
import { generatedData, readTexts, textData, type TrainData } from '../train/data.ts';
import { generatorHelp, generatorOf } from '../train/generators.ts';
import { planIn, scheduleNames, usualNoise, type TrainPlan } from '../train/plan.ts';
import { runSession } from '../train/session.ts';

interface Flags extends BaseFlags {
  readonly data?: readonly string[];
  readonly generator?: string;
  readonly noise?: number;
  readonly spanLength?: number;
  readonly out?: string;
  readonly resume?: string;
  readonly json?: boolean;
  readonly steps: number;
  readonly batchSize: number;
  readonly length?: number;
  readonly accumulate: number;
  readonly learningRate: number;
  readonly schedule: TrainPlan['schedule'];
  readonly warmup?: number;
  readonly finalFactor: number;
  readonly weightDecay: number;
  readonly clip: number;
  readonly validation: number;
  readonly evalEvery: number;
  readonly saveEvery?: number;
  readonly logEvery?: number;
}

const usualLength = 128;

const models = families
  .map(({ type, presets }) => `  ${`${type}:`.padEnd(21)}${Object.keys(presets).join(', ')}`)
  .join('\n');
const modelsOf = (name: ObjectiveName): string[] =>
  modelsFor((kind) => (kinds[kind] as readonly ObjectiveName[]).includes(name));

const examples = `
Models, by type:
${models}

Objectives, with the types of models that take them (the usual one of a model first):
${objectiveHelp(modelsOf)}

Generators, with their settings:
${generatorHelp}

Examples:
  infinigrad train --data text.txt --out runs/tiny   a small LLaMA over bytes
  infinigrad train --model gpt2-tiny --data text.txt --tokenizer bpe:300 --steps 50 --out runs/gpt
                                                     a small GPT-2 with its own tokens
  infinigrad train --generator markov:states=4 --set hiddenSize=32 --steps 60 --out runs/chain
                                                     beside the best possible loss
  infinigrad train --objective masked --data text.txt --out runs/bert
                                                     a small BERT, from both sides
  infinigrad train --model t5-tiny --data text.txt --noise 0.2 --out runs/t5
                                                     a T5 that fills in spans
  infinigrad train --model gpt2-tiny --objective prefix --data text.txt --out runs/prefix
                                                     the beginning is read both ways
  infinigrad train --from runs/tiny --data text.txt --steps 20 --learning-rate 1e-4 --out runs/tuned
                                                     go on from a saved model
  infinigrad train --resume runs/tiny                go on with a run that was stopped

A run leaves config.json, model.safetensors and what its tokenizer needs in its
folder, beside run.json, metrics.jsonl and checkpoints. Ctrl-C stops it so that
--resume goes on to the bit.`;

export function defineTrain(program: Command, io: Io): void {
  program
    .command('train')
    .description('Train a language model on texts, or on a task that a generator makes.')
    .option(
      '--model <name>',
      'which model and size, see below (default: llama-tiny, or what fits --objective)',
    )
    .option('--config <file>', 'a config.json in place of --model', path)
    .option('--from <dir>', 'begin with the model in this folder', path)
    .option('--set <field=value>', 'change a field of the configuration; may come again', assignments)
    .option('--data <file...>', 'texts in UTF-8')
    .option('--generator <name:settings>', 'a task in place of texts, see below')
    .option(
      '--tokenizer <kind>',
      'bytes, bpe:SIZE (trained on the texts), or a folder with a tokenizer.json (default: bytes, or that of --from)',
    )
    .addOption(
      new Option(
        '--objective <name>',
        'what it is trained on, see below (default: what the model is made for)',
      ).choices([...objectiveNames]),
    )
    .option(
      '--noise <share>',
      `masked, span, blank: how many of the tokens are to be told (default: ${usualNoise.noise})`,
      number(0.001, 0.999),
    )
    .option(
      '--span-length <x>',
      `span, blank: how many of them stand together, in the mean (default: ${usualNoise.spanLength})`,
      number(1, 999),
    )
    .option('--out <dir>', 'folder of the run, new or empty', path)
    .option('--resume <dir>', 'go on with the run in this folder', path)
    .option('--steps <n>', 'training steps', integer(1), 200)
    .option('--batch-size <n>', 'texts in a batch', integer(1, 65_536), 16)
    .option(
      '--length <n>',
      `tokens of a text (default: ${usualLength}, or what the model can)`,
      integer(2, 2 ** 24),
    )
    .option('--accumulate <n>', 'batches that make a step', integer(1, 65_536), 1)
    .option('--learning-rate <x>', 'the highest learning rate', number(0, Infinity, false), 3e-3)
    .addOption(
      new Option('--schedule <name>', 'how the learning rate falls')
        .choices([...scheduleNames])
        .default('cosine'),
    )
    .option('--warmup <n>', 'steps in which it rises (default: a tenth)', integer(0))
    .option('--final-factor <x>', 'share of it that is left at the end', number(0, 1), 0.1)
    .option('--weight-decay <x>', 'of matrices', number(0), 0.1)
    .option('--clip <x>', 'longest gradient', number(0, Infinity, false), 1)
    .option('--validation <share>', 'the end of the text that is kept for evaluations', number(0, 0.9), 0.1)
    .option('--eval-every <n>', 'steps between evaluations; 0: at the end', integer(0), 0)
    .option('--save-every <n>', 'steps between checkpoints (default: a tenth)', integer(1))
    .option('--log-every <n>', 'steps between logs (default: a twentieth)', integer(1))
    .option('--seed <n>', 'decides weights and batches', integer(0, 2 ** 32 - 1), 0)
    .option('--json', 'events as lines of JSON')
    .addHelpText('after', examples)
    .action(async (flags: Flags, command: Command) => {
      const given = (name: string): boolean => command.getOptionValueSource(name) === 'cli';
      await (flags.resume === undefined ? start(flags, io) : resume(flags.resume, flags, given, io));
    });
}

async function resume(out: string, flags: Flags, given: (name: string) => boolean, io: Io): Promise<void> {
  const fixed = Object.keys(flags).filter((name) => given(name) && name !== 'resume' && name !== 'json');
  if (fixed.length > 0)
    throw new UsageError(
      `--resume goes on with the run as it was started: it goes without ${fixed.map(flagOf).join(', ')}`,
    );
  const plan = await planIn(out);
  const family = familyOf(plan.model['model_type']);
  const config = family.schema.fromJson(plan.model);
  const model = family.make(config, modelKey(plan));
  const { vocabSize } = config as { vocabSize: number };
  let [data, course]: [TrainData?, Course?] = [];
  if ('generator' in plan.data) {
    data = generatedData(generatorOf(plan.data.generator, plan.length), plan);
    course = nextToken;
  } else {
    const { texts, sha256 } = await readTexts(plan.data.files);
    if (sha256 !== plan.data.sha256)
      throw new CommandError(`the texts of the run in ${out} have changed: start anew with another --out`);
    const tokenizer = await tokenizerIn(out, vocabSize);
    if (!tokenizer)
      throw new CommandError(`${out} holds no tokenizer any more: start anew with another --out`);
    course = courseOf(plan.objective, { ...plan, kind: family.kind, vocabSize }, tokenizer);
    data = textData(texts, tokenizer, course, plan);
  }
  const json = flags.json ?? false;
  const session = { out, plan, model, data, course, json };
  await runSession({ ...session, resume: true, prepare: () => Promise.resolve() }, io);
}

const flagOf = (name: string): string => `--${name.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;

async function start(flags: Flags, io: Io): Promise<void> {
  const { out, data: files, generator: spec, json = false } = flags;
  if (out === undefined) throw new UsageError('say where the run goes: --out DIR');
  if ((files === undefined) === (spec === undefined))
    throw new UsageError('say what to train on: either --data FILE or --generator NAME');
  if (spec !== undefined && flags.tokenizer !== undefined)
    throw new UsageError('a generator makes tokens: it goes without --tokenizer');
  const base = await baseOf(flags);
  const { family } = base;
  const objective = chosenObjective(flags.objective, family);
  if (spec !== undefined && objective !== 'causal')
    throw new UsageError(
      `a generator makes texts for the next token (--objective causal), and ${objective} needs --data`,
    );
  const noise = noiseOf(flags, objective);
  await checkFree(out);
  const read = files && (await readTexts(files));
  const tokenizer = read ? await tokenizerFor(flags, base, read.texts, objective) : null;
  const length = flags.length ?? Math.min(usualLength, mostTokens(family, base.config));
  const sizes = { ...flags, ...noise, length };
  const generator = spec === undefined ? null : generatorOf(spec, length);
  const vocabSize = generator?.vocabSize ?? tokenizer!.vocabSize;
  const { config, model } = base.make(vocabSize, tokenizer);
  if (length > mostTokens(family, config))
    throw new UsageError(
      `--length ${length} is more than the ${mostTokens(family, config)} tokens that the model can read`,
    );
  const courseOptions: CourseOptions = {
    ...sizes,
    kind: family.kind,
    vocabSize: (config as { vocabSize: number }).vocabSize,
  };
  const course = generator ? nextToken : courseOf(objective, courseOptions, tokenizer!);
  const data = generator ? generatedData(generator, sizes) : textData(read!.texts, tokenizer!, course, sizes);
  const plan: TrainPlan = {
    model: family.schema.toJson(config),
    data: files ? { files: files.map((file) => resolve(file)), sha256: read!.sha256 } : { generator: spec! },
    objective,
    ...noise,
    seed: flags.seed,
    steps: flags.steps,
    batchSize: flags.batchSize,
    length,
    accumulate: flags.accumulate,
    learningRate: flags.learningRate,
    schedule: flags.schedule,
    warmupSteps: Math.min(flags.warmup ?? Math.ceil(flags.steps / 10), flags.steps),
    finalFactor: flags.finalFactor,
    weightDecay: flags.weightDecay,
    clip: flags.clip,
    validation: flags.validation,
    evalEvery: flags.evalEvery,
    saveEvery: flags.saveEvery ?? Math.max(1, Math.floor(flags.steps / 10)),
    logEvery: flags.logEvery ?? Math.max(1, Math.floor(flags.steps / 20)),
  };
  const prepare = (folder: string): Promise<void> =>
    tokenizer ? saveTokenizer(tokenizer, folder, flags.tokenizer ?? flags.from ?? null) : Promise.resolve();
  await runSession({ out, plan, model, data, course, resume: false, json, prepare }, io);
}

/** @throws UsageError for what the objective does not take */
function noiseOf({ noise, spanLength }: Flags, objective: ObjectiveName): typeof usualNoise {
  const wrong = [
    ...(noise !== undefined && !['masked', 'span', 'blank'].includes(objective) ? ['--noise'] : []),
    ...(spanLength !== undefined && !['span', 'blank'].includes(objective) ? ['--span-length'] : []),
  ];
  if (wrong.length > 0) throw new UsageError(`--objective ${objective} goes without ${wrong.join(', ')}`);
  return {
    noise: noise ?? usualNoise.noise,
    spanLength: spanLength ?? usualNoise.spanLength,
  } as typeof usualNoise;
}
