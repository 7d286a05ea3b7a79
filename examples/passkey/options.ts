/** The command line: every flag, its default and its limits. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { InfinigradError } from '@infinigrad/tensor';
import {
  checkLayout,
  infiniTransformerConfig,
  passkeyModelOptions,
  passkeyRecipe,
  passkeyVariants,
  type PasskeyRecipe,
  type PasskeyVariant,
} from '@infinigrad/zoo';
import { startCommand, trainingLength, type EvaluationPlan, type RunRequest } from './plan.ts';

/** A mistake on the command line, told in one line; exit code 2. With exit code 0 there is nothing to say (--help). */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly exitCode: number;
  constructor(text: string, exitCode = 2) {
    super(text);
    this.exitCode = exitCode;
  }
}

interface Flags {
  readonly variant?: PasskeyVariant;
  readonly steps?: number;
  readonly seed?: number;
  readonly out?: string;
  readonly maxLength?: number;
  readonly samples?: number;
  readonly batchSize?: number;
  readonly hiddenSize?: number;
  readonly numHeads?: number;
  readonly segmentLength?: number;
  readonly digits?: number;
  readonly filler?: 'cyclic' | 'random';
  readonly learningRate?: number;
  readonly control: boolean;
  readonly resume?: string;
  readonly full?: boolean;
}

/** Lengths and samples; the recipe says the rest. `--full` takes as many samples as when the recipe was measured. */
const usualEvaluation = { maxLength: 131_072, samples: 16 };
const fullSamples = 64;
/** The controls are evaluated up to this multiple of the training length, or with `--full` up to the longest. */
const usualControlMultiple = 16;
/** Tokens of one cell: what is held at once. */
const maxCellTokens = 2 ** 28;

const usual = passkeyRecipe('gated');

const examples = `
Examples, each after ${startCommand}:
  (no options)                   train the gated model and its control, evaluate
                                 up to 1,024 times the training length
  --full                         four times the samples, the controls at all
                                 lengths
  --max-length 1048576 --samples 8 --no-control
                                 up to 8,192 times the training length
  --variant published --seed 1   the paper's equations as they stand
  --steps 20 --no-control --max-length 128 --samples 4
                                 a first look
  --resume runs/gated-seed0      go on exactly where a run stopped

A run leaves config.json, model.safetensors, metrics.jsonl and report.html in
its folder. Ctrl-C stops it so that it can be resumed. Exit codes: 0 done, 1 the
run failed, 2 wrong options, 130 stopped by Ctrl-C, 143 by SIGTERM. With
INFINIGRAD_DEBUG=1 an error shows its stack.`;

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(
        `Give an integer from ${min.toLocaleString('en')} to ${max.toLocaleString('en')}.`,
      );
    return value;
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('Give a number above 0.');
  return value;
}

function folder(text: string): string {
  // `--out --full` is a folder forgotten, not a folder called --full.
  if (text.trim() === '' || text.startsWith('-')) throw new InvalidArgumentError('Give a folder.');
  return text;
}

function command(write: (text: string) => void): Command {
  return new Command('passkey')
    .description(
      'Train a tiny Infini-Transformer to carry a passkey through a stream far longer than any it was trained on.',
    )
    .addOption(new Option('--variant <name>', 'which recipe (default: gated)').choices([...passkeyVariants]))
    .option(
      '--steps <n>',
      `training steps (default: ${passkeyVariants.map((v) => `${passkeyRecipe(v).steps} for ${v}`).join(', ')})`,
      integer(1, 1_000_000),
    )
    .option('--seed <n>', 'decides weights and data (default: 0)', integer(0, 2 ** 32 - 1))
    .option('--out <dir>', 'folder of the run (default: runs/<variant>-seed<seed>)', folder)
    .option(
      '--max-length <tokens>',
      `longest evaluated sequence (default: ${usualEvaluation.maxLength})`,
      integer(1, 2 ** 24),
    )
    .option(
      '--samples <n>',
      `evaluated sequences a length and position (default: ${usualEvaluation.samples})`,
      integer(1, 10_000),
    )
    .option('--batch-size <n>', `sequences a step (default: ${usual.batchSize})`, integer(1, 4096))
    .option('--hidden-size <n>', `width of the model (default: ${usual.hiddenSize})`, integer(2, 4096))
    .option('--num-heads <n>', `attention heads (default: ${usual.numHeads})`, integer(1, 256))
    .option(
      '--segment-length <n>',
      `tokens that attention sees (default: ${usual.segmentLength})`,
      integer(4, 4096),
    )
    .option('--digits <n>', `digits of the passkey (default: ${usual.digits})`, integer(1, 32))
    .addOption(
      new Option('--filler <kind>', `what lies around the passkey (default: ${usual.filler})`).choices([
        'cyclic',
        'random',
      ]),
    )
    .option('--learning-rate <x>', `peak learning rate (default: ${usual.learningRate})`, positive)
    .option('--no-control', 'do not train the same model without memory beside it')
    .option('--resume <dir>', 'go on with the run in this folder', folder)
    .option('--full', `${fullSamples} samples, and the controls at all lengths`)
    .addHelpText('after', examples)
    .helpOption('--help', 'show this')
    .exitOverride()
    .configureOutput({ writeOut: write, writeErr: () => {}, outputError: () => {} });
}

/**
 * What the arguments ask for.
 * @param write takes the text of --help
 * @throws UsageError with one line that says what is wrong
 */
export function parseOptions(argv: readonly string[], write: (text: string) => void): RunRequest {
  const parser = command(write);
  try {
    parser.parse(argv[0] === '--' ? argv.slice(1) : argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) throw new UsageError('', 0);
    throw new UsageError(error.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' '));
  }
  const flags = parser.opts<Flags>();
  const given = (name: keyof Flags): boolean => parser.getOptionValueSource(name) === 'cli';
  try {
    return flags.resume === undefined ? newRun(flags) : resumedRun(flags, flags.resume, given);
  } catch (error) {
    if (error instanceof InfinigradError) throw new UsageError(error.message.slice(error.op.length + 2));
    throw error;
  }
}

function resumedRun(
  { maxLength, samples, full: all }: Flags,
  out: string,
  given: (name: keyof Flags) => boolean,
): RunRequest {
  const fixed = (
    [
      'variant',
      'steps',
      'seed',
      'out',
      'batchSize',
      'hiddenSize',
      'numHeads',
      'segmentLength',
      'digits',
      'filler',
      'learningRate',
      'control',
      'full',
    ] as const
  ).filter(given);
  if (fixed.length > 0 || all)
    throw new UsageError(
      `--resume goes on with the run as it was started; only --max-length and --samples may change, not ${fixed.map(flagOf).join(', ')}`,
    );
  return {
    kind: 'resume',
    out,
    evaluation: { ...(maxLength !== undefined && { maxLength }), ...(samples !== undefined && { samples }) },
  };
}

function flagOf(name: keyof Flags): string {
  return name === 'control' ? '--no-control' : `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
}

function newRun(flags: Flags): RunRequest {
  const { variant = 'gated', hiddenSize, control, full: all = false } = flags;
  const picked = Object.fromEntries(
    (
      ['steps', 'seed', 'batchSize', 'numHeads', 'segmentLength', 'digits', 'filler', 'learningRate'] as const
    ).flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]])),
  ) as Partial<PasskeyRecipe>;
  const recipe = passkeyRecipe(variant, {
    ...picked,
    ...(hiddenSize !== undefined && {
      hiddenSize,
      // In the recipe's proportion, so that its own width gives its own model.
      intermediateSize: Math.round(((hiddenSize / usual.hiddenSize) * usual.intermediateSize) / 8) * 8,
    }),
  });
  if (recipe.hiddenSize % (2 * recipe.numHeads) !== 0)
    throw new UsageError(
      `--hidden-size ${recipe.hiddenSize} does not divide into --num-heads ${recipe.numHeads} heads of even size: give a multiple of ${2 * recipe.numHeads}`,
    );
  checkLayout(recipe, recipe.maxSegments);
  infiniTransformerConfig(passkeyModelOptions(recipe));
  const once = trainingLength(recipe);
  const {
    maxLength = Math.max(once, usualEvaluation.maxLength),
    samples = all ? fullSamples : usualEvaluation.samples,
  } = flags;
  const controlMaxLength = all ? maxLength : Math.min(maxLength, usualControlMultiple * once);
  const evaluation: EvaluationPlan = { maxLength, controlMaxLength, samples };
  checkEvaluation(recipe, evaluation);
  return {
    kind: 'new',
    out: flags.out ?? `runs/${variant}-seed${recipe.seed}`,
    plan: { recipe, control, evaluation },
  };
}

/** @throws UsageError for lengths and samples that cannot be evaluated */
export function checkEvaluation(recipe: PasskeyRecipe, { maxLength, samples }: EvaluationPlan): void {
  const once = trainingLength(recipe);
  if (maxLength < once)
    throw new UsageError(
      `--max-length ${maxLength} is below the training length: give at least ${once} tokens`,
    );
  if (maxLength * samples > maxCellTokens)
    throw new UsageError(
      `--max-length ${maxLength} times --samples ${samples} is too much to hold: keep the product below ${maxCellTokens}`,
    );
}
