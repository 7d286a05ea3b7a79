/** `infinigrad train`: a language model from texts or from a generator. */
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { Key } from '@infinigrad/tensor';
import type { Tokenizer } from '@infinigrad/zoo';
import { assignments, integer, number, path } from '../arguments.ts';
import { checkFree } from '../aside.ts';
import { readObject } from '../checkpoint.ts';
import { asUsage, CommandError, UsageError } from '../errors.ts';
import {
  familyOf,
  mostTokens,
  presetNames,
  presetOf,
  savedModel,
  type CausalModel,
  type Family,
} from '../families.ts';
import type { Io } from '../output.ts';
import { saveTokenizer, tokenizerIn, tokenizerNamed } from '../tokenizer.ts';
import { generatedData, readTexts, textData, type TrainData } from '../train/data.ts';
import { generatorHelp } from '../train/generators.ts';
import { planIn, scheduleNames, type TrainPlan } from '../train/plan.ts';
import { runSession } from '../train/session.ts';

interface Flags {
  readonly model?: string;
  readonly config?: string;
  readonly from?: string;
  readonly set?: Readonly<Record<string, unknown>>;
  readonly data?: readonly string[];
  readonly generator?: string;
  readonly tokenizer?: string;
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
  readonly seed: number;
}

const usualLength = 128;

const examples = `
Models: ${presetNames.join(', ')}.

Generators, with their settings:
${generatorHelp}

Examples:
  infinigrad train --data text.txt --out runs/tiny   a small LLaMA over bytes
  infinigrad train --model gpt2-tiny --data text.txt --tokenizer bpe:300 --steps 50 --out runs/gpt
                                                     a small GPT-2 with its own tokens
  infinigrad train --generator markov:states=4 --set hiddenSize=32 --steps 60 --out runs/chain
                                                     beside the best possible loss
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
    .option('--model <name>', 'which model and size, see below (default: llama-tiny)')
    .option('--config <file>', 'a config.json in place of --model', path)
    .option('--from <dir>', 'begin with the model in this folder', path)
    .option('--set <field=value>', 'change a field of the configuration; may come again', assignments)
    .option('--data <file...>', 'texts in UTF-8')
    .option('--generator <name:settings>', 'a task in place of texts, see below')
    .option(
      '--tokenizer <kind>',
      'bytes, bpe:SIZE (trained on the texts), or a folder with a tokenizer.json (default: bytes, or that of --from)',
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
  const vocabSize = (config as { vocabSize: number }).vocabSize;
  let data: TrainData;
  if ('generator' in plan.data) data = generatedData(plan.data.generator, plan);
  else {
    const { texts, sha256 } = await readTexts(plan.data.files);
    if (sha256 !== plan.data.sha256)
      throw new CommandError(`the texts of the run in ${out} have changed: start anew with another --out`);
    const tokenizer = await tokenizerIn(out, vocabSize);
    if (!tokenizer)
      throw new CommandError(`${out} holds no tokenizer any more: start anew with another --out`);
    data = textData(texts, tokenizer, plan);
  }
  const json = flags.json ?? false;
  await runSession({ out, plan, model, data, resume: true, json, prepare: () => Promise.resolve() }, io);
}

const flagOf = (name: string): string => `--${name.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;

const modelKey = ({ seed }: { readonly seed: number }): Key => new Key(seed).foldIn(0);

async function start(flags: Flags, io: Io): Promise<void> {
  const { out, data: files, generator: spec, json = false } = flags;
  if (out === undefined) throw new UsageError('say where the run goes: --out DIR');
  if ((files === undefined) === (spec === undefined))
    throw new UsageError('say what to train on: either --data FILE or --generator NAME');
  if (spec !== undefined && flags.tokenizer !== undefined)
    throw new UsageError('a generator makes tokens: it goes without --tokenizer');
  const base = await baseOf(flags);
  await checkFree(out);
  const read = files && (await readTexts(files));
  const tokenizer = read ? await tokenizerFor(flags, base, read.texts) : null;
  const length = flags.length ?? Math.min(usualLength, mostTokens(base.family, base.config));
  const sizes = { ...flags, length };
  const generated = spec === undefined ? null : generatedData(spec, sizes);
  const data = generated ?? textData(read!.texts, tokenizer!, sizes);
  const { config, model } = base.make(data);
  if (length > mostTokens(base.family, config))
    throw new UsageError(
      `--length ${length} is more than the ${mostTokens(base.family, config)} tokens that the model can read`,
    );
  const plan: TrainPlan = {
    model: base.family.schema.toJson(config),
    data: files ? { files: files.map((file) => resolve(file)), sha256: read!.sha256 } : { generator: spec! },
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
  await runSession({ out, plan, model, data, resume: false, json, prepare }, io);
}

/** What the data needs of a model. */
type Vocabulary = Pick<TrainData, 'vocabSize' | 'eos'>;

/** What is trained: its family, and how it is made once the number of tokens is known. */
interface Base {
  readonly family: Family;
  /** Fields that decide before that, with their defaults. */
  readonly config: object;
  make(vocabulary: Vocabulary): { readonly config: object; readonly model: CausalModel };
}

async function baseOf(flags: Flags): Promise<Base> {
  const { model: name, config: file, from, set = {}, seed } = flags;
  const given = [name, file, from].filter((one) => one !== undefined).length;
  if (given > 1) throw new UsageError('say one of --model, --config and --from');
  if (from !== undefined) {
    if (flags.set) throw new UsageError('--from begins with a model as it is: it goes without --set');
    const { family, model } = await savedModel(from);
    model.train();
    const { config } = model;
    const own = (config as { vocabSize: number }).vocabSize;
    const make = ({ vocabSize }: Vocabulary) => {
      if (vocabSize > own)
        throw new CommandError(`the model in ${from} has ${own} tokens, and the data ${vocabSize}`);
      return { config, model };
    };
    return { family, config, make };
  }
  const { family, options } = file === undefined ? presetOf(name ?? 'llama-tiny') : await configOf(file);
  const own = asUsage(() => family.schema.make({ ...options, ...set }));
  return {
    family,
    config: own,
    make: (vocabulary) => {
      const { vocabSize } = vocabulary;
      const fit = 'vocabSize' in set ? {} : fitting(own, vocabulary);
      const config = asUsage(() => family.schema.make({ ...options, ...fit, ...set }));
      const { vocabSize: made } = config as { vocabSize: number };
      if (made < vocabSize)
        throw new UsageError(`--set vocabSize=${made} is less than the ${vocabSize} tokens of the data`);
      return { config, model: asUsage(() => family.make(config, modelKey({ seed }))) };
    },
  };
}

/** The size of the vocabulary, and special tokens that lie in it. A vocabulary of the model's own size is the model's own. */
function fitting(own: object, { vocabSize, eos }: Vocabulary): Readonly<Record<string, unknown>> {
  if ((own as { vocabSize: number }).vocabSize === vocabSize) return {};
  const special = { bosTokenId: null, eosTokenId: eos, padTokenId: null };
  return { vocabSize, ...Object.fromEntries(Object.entries(special).filter(([name]) => name in own)) };
}

async function configOf(file: string): Promise<ReturnType<typeof presetOf>> {
  const json = await readObject(file);
  const family = familyOf(json['model_type']);
  return {
    family,
    options: asUsage(() => family.schema.fromJson(json)) as Readonly<Record<string, unknown>>,
  };
}

async function tokenizerFor(flags: Flags, { config }: Base, texts: readonly string[]): Promise<Tokenizer> {
  const { tokenizer: kind, from } = flags;
  if (kind !== undefined) return tokenizerNamed(kind, () => texts);
  if (from === undefined) return tokenizerNamed('bytes', () => texts);
  const own = await tokenizerIn(from, (config as { vocabSize: number }).vocabSize);
  if (own) return own;
  throw new CommandError(`${from} holds no tokenizer: say which with --tokenizer`);
}
