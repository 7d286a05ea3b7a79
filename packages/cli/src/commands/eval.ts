/** `infinigrad eval`: how well a model tells texts, and what it finds again in long ones. */
import { Option, type Command } from 'commander';
import type { Tokenizer } from '@infinigrad/zoo';
import { integer, integers, path } from '../arguments.ts';
import { CommandError, UsageError } from '../errors.ts';
import { needleTable, type NeedleCell } from '../evaluate/needle.ts';
import { passkeyTable, type PasskeySettings } from '../evaluate/passkey.ts';
import { objectiveLoss } from '../evaluate/objective.ts';
import { perplexity } from '../evaluate/perplexity.ts';
import { pseudoPerplexity } from '../evaluate/pseudo-perplexity.ts';
import { loadModel, needTokenizer, readerOf, type LoadedModel } from '../model.ts';
import { courseOf } from '../objectives/courses.ts';
import { objectiveNames, type ObjectiveName } from '../objectives/names.ts';
import { count, digits, json, table, type Io } from '../output.ts';
import { readTexts } from '../train/data.ts';
import { generatorOf } from '../train/generators.ts';
import { usualNoise } from '../train/plan.ts';

interface Flags {
  readonly task: 'text' | 'passkey' | 'needle';
  readonly objective?: ObjectiveName;
  readonly length?: number;
  readonly stride?: number;
  readonly batchSize: number;
  readonly limit?: number;
  readonly lengths?: readonly number[];
  readonly samples: number;
  readonly seed: number;
  readonly json?: boolean;
}

const usualLength = 128;
/** Of a text whose tokens are told one by one, each from all others. */
const usualLimit = 1000;

const examples = `
Examples:
  infinigrad eval runs/tiny text.txt                 perplexity on a text
  infinigrad eval runs/tiny text.txt --length 64 --stride 16 --limit 500 --json
                                                     every token with 48 before it
  infinigrad eval runs/bert text.txt --length 32 --limit 40
                                                     each token told from all others
  infinigrad eval runs/t5 text.txt --seed 1          spans that are drawn anew
  infinigrad eval runs/passkey --task passkey --lengths 64,128 --samples 2
                                                     digits hidden in filler
  infinigrad eval runs/tiny text.txt --task needle --lengths 128 --samples 2
                                                     a number hidden in a text

A text is looked at as the model was trained: causal models give the perplexity, BERT the
pseudo-perplexity (each token masked alone), others the loss of their objective.
--task passkey is for models that were trained on it (--generator passkey).`;

export function defineEval(program: Command, io: Io): void {
  program
    .command('eval')
    .description('Tell the perplexity of a model on texts, or what it finds again in long ones.')
    .argument('<model>', 'folder of a model', path)
    .argument('[text...]', 'texts in UTF-8')
    .addOption(
      new Option('--task <name>', 'what to look at').choices(['text', 'passkey', 'needle']).default('text'),
    )
    .addOption(
      new Option(
        '--objective <name>',
        'text: what is to be told (default: what the model was trained on)',
      ).choices([...objectiveNames]),
    )
    .option(
      '--length <n>',
      `text: tokens in a window (default: that of the run, or ${usualLength})`,
      integer(2),
    )
    .option(
      '--stride <n>',
      'text: tokens between windows, for the perplexity (default: the length)',
      integer(1),
    )
    .option(
      '--limit <n>',
      `text: tokens of the text (default: all, or ${usualLimit} for the pseudo-perplexity)`,
      integer(2),
    )
    .option('--batch-size <n>', 'text: windows together', integer(1, 4096), 8)
    .option('--lengths <n,…>', 'passkey, needle: lengths of texts in tokens', integers(8))
    .option('--samples <n>', 'passkey, needle: texts of each kind', integer(1, 10_000), 8)
    .option('--seed <n>', 'decides what is drawn', integer(0, 2 ** 32 - 1), 0)
    .option('--json', 'as JSON')
    .addHelpText('after', examples)
    .action(async (folder: string, files: readonly string[], flags: Flags, command: Command) => {
      const given = (name: keyof Flags): boolean => command.getOptionValueSource(name) === 'cli';
      checkTogether(files, flags, given);
      await { text: evalText, passkey: evalPasskey, needle: evalNeedle }[flags.task](
        folder,
        files,
        flags,
        io,
      );
    });
}

function checkTogether(
  files: readonly string[],
  { task }: Flags,
  given: (name: keyof Flags) => boolean,
): void {
  if (task === 'passkey' && files.length > 0) throw new UsageError('--task passkey makes its own texts');
  if (task !== 'passkey' && files.length === 0) throw new UsageError('say which text to look at');
  const others: readonly (keyof Flags)[] =
    task === 'text' ? ['lengths', 'samples'] : ['objective', 'length', 'stride', 'limit', 'batchSize'];
  const wrong = others.filter(given).map((name) => `--${name === 'batchSize' ? 'batch-size' : name}`);
  if (wrong.length > 0) throw new UsageError(`--task ${task} goes without ${wrong.join(', ')}`);
}

async function evalText(folder: string, files: readonly string[], flags: Flags, io: Io): Promise<void> {
  const { texts } = await readTexts(files);
  const loaded = await loadModel(folder, flags.objective);
  const tokenizer = needTokenizer(loaded, folder, ': its texts are not words');
  const length = flags.length ?? Math.min(loaded.plan?.length ?? usualLength, loaded.most);
  if (length > loaded.most)
    throw new UsageError(`--length ${length} is more than the ${loaded.most} tokens that the model can read`);
  const { objective } = loaded;
  const asked = { loaded, tokenizer, texts, length, objective, flags };
  const { json: wanted, text } =
    objective === 'causal'
      ? await byPerplexity(asked)
      : objective === 'masked'
        ? await byPseudoPerplexity(asked)
        : await byObjective(asked);
  io.out(flags.json ? json({ model: folder, objective, length, ...wanted }) : `${text}\n`);
}

interface Asked {
  readonly loaded: LoadedModel;
  readonly tokenizer: Tokenizer;
  readonly texts: readonly string[];
  readonly length: number;
  readonly objective: ObjectiveName;
  readonly flags: Flags;
}

interface Told {
  readonly json: object;
  readonly text: string;
}

async function byPerplexity({ loaded, tokenizer, texts, length, flags }: Asked): Promise<Told> {
  const { stride = length, batchSize, limit = Infinity } = flags;
  if (stride > length)
    throw new UsageError(`--stride ${stride} is more than --length ${length}: it would skip tokens`);
  const found = await perplexity(loaded, tokenizer, texts.join(''), { length, stride, batchSize, limit });
  return {
    json: { stride, ...found },
    text: `perplexity ${digits(found.perplexity)}  (${digits(found.loss)} nats a token, ${digits(found.bitsPerByte)} bits a byte; ${count(found.tokens)} tokens in windows of ${length})`,
  };
}

function needNoStride({ flags, objective }: Asked): void {
  if (flags.stride !== undefined) throw new UsageError(`--objective ${objective} goes without --stride`);
}

async function byPseudoPerplexity(asked: Asked): Promise<Told> {
  needNoStride(asked);
  const { loaded, tokenizer, texts, length, flags } = asked;
  const { batchSize, limit = usualLimit } = flags;
  const found = await pseudoPerplexity(loaded, tokenizer, texts.join(''), { length, batchSize, limit });
  return {
    json: found,
    text: `pseudo-perplexity ${digits(found.pseudoPerplexity)}  (${digits(found.loss)} nats a token, each told from all others; ${count(found.tokens)} tokens in windows of ${length})`,
  };
}

async function byObjective(asked: Asked): Promise<Told> {
  needNoStride(asked);
  const { loaded, tokenizer, texts, length, objective, flags } = asked;
  const { batchSize, limit = Infinity, seed } = flags;
  const { noise, spanLength } = loaded.plan ?? usualNoise;
  const options = { kind: loaded.family.kind, vocabSize: loaded.vocabSize, length, noise, spanLength };
  const course = courseOf(objective, options, tokenizer);
  const found = await objectiveLoss(loaded, tokenizer, texts, course, { batchSize, limit, seed });
  return {
    json: { noise, spanLength, seed, ...found },
    text: `loss ${digits(found.loss)} nats a target, ${(100 * found.accuracy).toFixed(1)}% right  (${objective}: ${count(found.targets)} targets in ${count(found.tokens)} tokens, windows of ${length})`,
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(0)}%`;

async function evalPasskey(folder: string, _: readonly string[], flags: Flags, io: Io): Promise<void> {
  const loaded = await loadModel(folder);
  const { settings, length } = passkeySettings(loaded);
  const lengths = flags.lengths ?? [length, 2 * length, 4 * length];
  const cells = await passkeyTable(readerOf(loaded), settings, { ...flags, lengths });
  if (flags.json) io.out(json({ model: folder, task: 'passkey', cells }));
  else
    io.out(
      `${table(
        ['>tokens', 'key at', '>all digits', '>digits'],
        cells.map(({ length, position, exact, digitsRight }) => [
          count(length),
          position,
          percent(exact),
          percent(digitsRight),
        ]),
      )}\n`,
    );
}

/** As the model was trained, where its run tells. */
function passkeySettings({ plan }: LoadedModel): { settings: PasskeySettings; length: number } {
  const usual = { settings: { digits: 3, segment: 32, filler: 'cyclic' } as const, length: 128 };
  if (!plan || !('generator' in plan.data)) return usual;
  const { name, settings } = generatorOf(plan.data.generator, plan.length);
  return name === 'passkey'
    ? { settings: settings as unknown as PasskeySettings, length: plan.length }
    : usual;
}

async function evalNeedle(folder: string, files: readonly string[], flags: Flags, io: Io): Promise<void> {
  const { texts } = await readTexts(files);
  const loaded = await loadModel(folder, flags.objective);
  const tokenizer = needTokenizer(loaded, folder, ': its texts are not words');
  const lengths = flags.lengths ?? [Math.min(512, loaded.most)];
  const cells = await needleTable(readerOf(loaded), tokenizer, texts.join(''), { ...flags, lengths });
  if (flags.json) return io.out(json({ model: folder, task: 'needle', cells }));
  const depths = [...new Set(cells.map(({ depth }) => depth))];
  const at = (length: number, depth: number): NeedleCell => {
    const found = cells.find((cell) => cell.length === length && cell.depth === depth);
    if (!found) throw new CommandError('internal: a cell is missing');
    return found;
  };
  io.out(
    `${table(
      ['>tokens', ...depths.map((depth) => `>at ${percent(depth)}`)],
      lengths.map((length) => [count(length), ...depths.map((depth) => percent(at(length, depth).found))]),
    )}\n`,
  );
}
