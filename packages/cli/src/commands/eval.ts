/** `infinigrad eval`: how well a model tells texts, and what it finds again in long ones. */
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { integer, integers, path } from '../arguments.ts';
import { kindOf } from '../checkpoint.ts';
import { CommandError, UsageError } from '../errors.ts';
import { needleTable, type NeedleCell } from '../evaluate/needle.ts';
import { passkeyTable, type PasskeySettings } from '../evaluate/passkey.ts';
import { perplexity } from '../evaluate/perplexity.ts';
import { loadModel, needTokenizer } from '../model.ts';
import { count, digits, json, table, type Io } from '../output.ts';
import { readTexts } from '../train/data.ts';
import { generatorOf } from '../train/generators.ts';
import { planIn } from '../train/plan.ts';

interface Flags {
  readonly task: 'text' | 'passkey' | 'needle';
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

const examples = `
Examples:
  infinigrad eval runs/tiny text.txt                 perplexity on a text
  infinigrad eval runs/tiny text.txt --length 64 --stride 16 --limit 500 --json
                                                     every token with 48 before it
  infinigrad eval runs/passkey --task passkey --lengths 64,128 --samples 2
                                                     digits hidden in filler
  infinigrad eval runs/tiny text.txt --task needle --lengths 128 --samples 2
                                                     a number hidden in a text

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
    .option(
      '--length <n>',
      `text: tokens in a window (default: ${usualLength}, or what the model can)`,
      integer(2),
    )
    .option('--stride <n>', 'text: tokens between windows (default: the length)', integer(1))
    .option('--limit <n>', 'text: tokens of the text (default: all)', integer(2))
    .option('--batch-size <n>', 'text: windows together', integer(1, 4096), 8)
    .option('--lengths <n,…>', 'passkey, needle: lengths of texts in tokens', integers(8))
    .option('--samples <n>', 'passkey, needle: texts of each kind', integer(1, 10_000), 8)
    .option('--seed <n>', 'passkey, needle: decides the texts', integer(0, 2 ** 32 - 1), 0)
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
    task === 'text' ? ['lengths', 'samples', 'seed'] : ['length', 'stride', 'limit', 'batchSize'];
  const wrong = others.filter(given).map((name) => `--${name === 'batchSize' ? 'batch-size' : name}`);
  if (wrong.length > 0) throw new UsageError(`--task ${task} goes without ${wrong.join(', ')}`);
}

async function evalText(folder: string, files: readonly string[], flags: Flags, io: Io): Promise<void> {
  const { texts } = await readTexts(files);
  const loaded = await loadModel(folder);
  const tokenizer = needTokenizer(loaded, folder, ': its texts are not words');
  const length = flags.length ?? Math.min(usualLength, loaded.most);
  if (length > loaded.most)
    throw new UsageError(`--length ${length} is more than the ${loaded.most} tokens that the model can read`);
  const stride = flags.stride ?? length;
  if (stride > length)
    throw new UsageError(`--stride ${stride} is more than --length ${length}: it would skip tokens`);
  const { batchSize, limit = Infinity } = flags;
  const found = await perplexity(loaded, tokenizer, texts.join(''), { length, stride, batchSize, limit });
  io.out(
    flags.json
      ? json({ model: folder, length, stride, ...found })
      : `perplexity ${digits(found.perplexity)}  (${digits(found.loss)} nats a token, ${digits(found.bitsPerByte)} bits a byte; ${count(found.tokens)} tokens in windows of ${length})\n`,
  );
}

const percent = (share: number): string => `${(100 * share).toFixed(0)}%`;

async function evalPasskey(folder: string, _: readonly string[], flags: Flags, io: Io): Promise<void> {
  const loaded = await loadModel(folder);
  const { settings, length } = await passkeySettings(folder);
  const lengths = flags.lengths ?? [length, 2 * length, 4 * length];
  const cells = await passkeyTable(loaded, settings, { ...flags, lengths });
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
async function passkeySettings(folder: string): Promise<{ settings: PasskeySettings; length: number }> {
  const usual = { settings: { digits: 3, segment: 32, filler: 'cyclic' } as const, length: 128 };
  if ((await kindOf(join(folder, 'run.json'))) !== 'file') return usual;
  const { data, length } = await planIn(folder);
  if (!('generator' in data)) return usual;
  const { name, settings } = generatorOf(data.generator, length);
  return name === 'passkey' ? { settings: settings as unknown as PasskeySettings, length } : usual;
}

async function evalNeedle(folder: string, files: readonly string[], flags: Flags, io: Io): Promise<void> {
  const { texts } = await readTexts(files);
  const loaded = await loadModel(folder);
  const tokenizer = needTokenizer(loaded, folder, ': its texts are not words');
  const lengths = flags.lengths ?? [Math.min(512, loaded.most)];
  const cells = await needleTable(loaded, tokenizer, texts.join(''), { ...flags, lengths });
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
