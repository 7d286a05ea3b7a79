/** `infinigrad generate`: a model goes on with a text, or answers in a chat. */
import { createInterface } from 'node:readline';
import { text as readAll } from 'node:stream/consumers';
import { Option, type Command } from 'commander';
import { Key } from '@infinigrad/tensor';
import { stream, type ChatMessage, type GenerationOptions, type Tokenizer } from '@infinigrad/zoo';
import { integer, integers, number, path, repeated } from '../arguments.ts';
import { CommandError, UsageError } from '../errors.ts';
import { fillerFor, type Filled, type Filler } from '../generate/fill.ts';
import { loadModel, needTokenizer, readerOf, type LoadedModel, type LoadedReader } from '../model.ts';
import { objectiveNames, type ObjectiveName } from '../objectives/names.ts';
import type { Io } from '../output.ts';
import { untilSignal } from '../signals.ts';
import { TextStream } from '../text-stream.ts';

interface Flags {
  readonly objective?: ObjectiveName;
  readonly tokens?: readonly number[];
  readonly chat?: boolean;
  readonly system?: string;
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty: number;
  readonly stop: readonly string[];
  readonly seed: number;
  readonly json?: boolean;
}

const usualTemperature = 0.8;

const examples = `
Examples:
  infinigrad generate runs/tiny "the cat"            goes on, by draws
  infinigrad generate runs/tiny "the cat" --temperature 0 --max-tokens 20
                                                     the most likely tokens
  infinigrad generate runs/tiny "the cat" --top-p 0.9 --seed 7 --stop . --json
                                                     other draws, for programs
  infinigrad generate runs/chain --tokens 0,1,2 --max-tokens 8
                                                     a model without text
  infinigrad generate runs/bert "the c[MASK]t s[MASK]t"
                                                     fills in what is left open
  infinigrad generate runs/t5 "the <extra_id_0> on a <extra_id_1>" --json
                                                     the same by a T5

BERT and the first GLM fill in every [MASK] of the prompt, with one token or with as
many as there should be, T5 every <extra_id_N>; then the most likely is taken unless
--temperature says otherwise.

Without a prompt it is read from the standard input. With --chat, for models with a
chat template, every line of the input is a turn, and the prompt is the first.`;

export function defineGenerate(program: Command, io: Io): void {
  program
    .command('generate')
    .description('Let a model go on with a text, as it comes, or fill in what is left open in one.')
    .argument('<model>', 'folder of a model', path)
    .argument('[prompt]', 'the text to go on with, or to fill in')
    .option('--tokens <id,…>', 'a prompt of tokens; tokens come out', integers(0))
    .addOption(
      new Option(
        '--objective <name>',
        'how the prompt is read: causal, or prefix for both ways (default: as the model was trained)',
      ).choices([...objectiveNames]),
    )
    .option('--chat', 'answer in turns, by the chat template of the model')
    .option('--system <text>', 'with --chat: what the model is told first')
    .option('--max-tokens <n>', 'most tokens that come, or that fill in a blank', integer(1), 100)
    .option(
      '--temperature <x>',
      `logits are divided by it; 0 is the most likely token (default: ${usualTemperature}; 0 to fill in)`,
      number(0),
    )
    .option('--top-k <n>', 'draw among the k most likely tokens', integer(1))
    .option('--top-p <p>', 'draw among the fewest tokens of this probability', number(0, 1, false))
    .option('--min-p <p>', 'draw among tokens this likely beside the most likely', number(0, 1))
    .option(
      '--repetition-penalty <x>',
      'above 1: tokens that were there come less',
      number(0, Infinity, false),
      1,
    )
    .option('--stop <text>', 'end before this text; may come again', repeated, [])
    .option('--seed <n>', 'decides the draws', integer(0, 2 ** 32 - 1), 0)
    .option('--json', 'everything as JSON, at the end')
    .addHelpText('after', examples)
    .action(async (folder: string, prompt: string | undefined, flags: Flags) => {
      if (flags.tokens && (prompt !== undefined || flags.chat || flags.stop.length > 0))
        throw new UsageError('--tokens goes without a prompt, --chat and --stop');
      if (flags.system !== undefined && !flags.chat) throw new UsageError('--system goes with --chat');
      if (flags.json && flags.chat) throw new UsageError('--json goes without --chat');
      if (flags.stop.includes('')) throw new UsageError('--stop needs a text');
      const loaded = await loadModel(folder, flags.objective);
      if (flags.chat) await chat(readerOf(loaded), folder, prompt, flags, io);
      else await once(loaded, folder, prompt, flags, io);
    });
}

/** What the flags say of drawing. @param turn makes the draws of each turn others */
function optionsOf(flags: Flags, turn: number, usual = usualTemperature): GenerationOptions {
  const { temperature = usual, topK, topP, minP, repetitionPenalty } = flags;
  const drawn = { key: new Key(flags.seed).foldIn(turn), temperature, topK, topP, minP };
  return { repetitionPenalty, ...(temperature > 0 && drawn) };
}

async function once(
  loaded: LoadedModel,
  folder: string,
  prompt: string | undefined,
  flags: Flags,
  io: Io,
): Promise<void> {
  if (flags.tokens) {
    checkPrompt(loaded, flags.tokens);
    const fill = fillerFor(loaded, flags.tokens);
    const tokens: number[] = [];
    if (fill) {
      const { tokens: all, fills } = await filled(fill, loaded, flags.tokens, flags);
      io.out(
        flags.json ? `${JSON.stringify({ prompt: flags.tokens, tokens: all, fills })}\n` : `${all.join()}\n`,
      );
      return;
    }
    await answer(readerOf(loaded), flags.tokens, flags, optionsOf(flags, 0), (token) => {
      tokens.push(token);
      if (!flags.json) io.out(tokens.length === 1 ? `${token}` : `,${token}`);
    });
    io.out(flags.json ? `${JSON.stringify({ prompt: flags.tokens, tokens })}\n` : '\n');
    return;
  }
  const tokenizer = needTokenizer(loaded, folder, ': give --tokens');
  const given = prompt ?? (await promptOf(process.stdin));
  const ids = endedFor(loaded, tokenizer, idsOf(tokenizer, given));
  checkPrompt(loaded, ids);
  const fill = fillerFor(loaded, ids);
  if (fill) return fillText(fill, loaded, given, ids, flags, io);
  const text = await answerText(readerOf(loaded), tokenizer, ids, flags, 0, (piece) => {
    if (!flags.json) io.out(piece);
  });
  io.out(flags.json ? `${JSON.stringify({ prompt: given, ...text })}\n` : '\n');
}

/** What was piped in; the line's end that a shell adds is none of the text. */
async function promptOf(input: NodeJS.ReadStream): Promise<string> {
  if (input.isTTY) throw new UsageError('say what to go on with: a prompt, or one on the standard input');
  return (await readAll(input)).replace(/\r?\n$/, '');
}

/** A T5 reads an end after its text. */
function endedFor(
  { family, model }: LoadedModel,
  tokenizer: Tokenizer,
  ids: readonly number[],
): readonly number[] {
  const { eosTokenId } = model.config as { readonly eosTokenId?: number | null };
  if (family.kind !== 'encoderDecoder' || typeof eosTokenId !== 'number') return ids;
  return ids.at(-1) === eosTokenId || eosTokenId >= tokenizer.vocabSize ? ids : [...ids, eosTokenId];
}

async function filled(
  fill: Filler,
  loaded: LoadedModel,
  ids: readonly number[],
  flags: Flags,
): Promise<Filled> {
  const tokenizer = needTokenizer(loaded, loaded.folder, ', which would tell its masks');
  if (flags.stop.length > 0) throw new UsageError('--stop goes with a text that is gone on with');
  return untilSignal(
    (signal) =>
      fill(ids, {
        loaded,
        tokenizer,
        maxTokens: flags.maxTokens,
        draws: (turn) => ({ ...optionsOf(flags, turn, 0), signal }),
      }),
    () => 'Stopped.',
  );
}

async function fillText(
  fill: Filler,
  loaded: LoadedModel,
  prompt: string,
  ids: readonly number[],
  flags: Flags,
  io: Io,
): Promise<void> {
  const { tokens, fills } = await filled(fill, loaded, ids, flags);
  const decode = (some: readonly number[]): string => loaded.tokenizer!.decode(some, { skipSpecial: true });
  const text = decode(tokens);
  const parts = fills.map(({ tokens: own, at, ...further }) => ({
    at,
    text: decode(own),
    tokens: own,
    ...further,
  }));
  io.out(flags.json ? `${JSON.stringify({ prompt, text, fills: parts })}\n` : `${text}\n`);
}

/** A text as tokens: where there is none, what begins one. */
function idsOf(tokenizer: Tokenizer, text: string): readonly number[] {
  const ids = Array.from(tokenizer.encode(text));
  if (ids.length > 0) return ids;
  for (const role of ['bos', 'eos'] as const)
    if (tokenizer.special[role] !== undefined) return [tokenizer.specialId(role)];
  throw new CommandError('the prompt is empty, and this model has no token that begins a text');
}

interface Answer {
  readonly text: string;
  readonly tokens: readonly number[];
}

async function answerText(
  loaded: LoadedReader,
  tokenizer: Tokenizer,
  ids: readonly number[],
  flags: Flags,
  turn: number,
  write: (piece: string) => void,
): Promise<Answer> {
  const decode = (tokens: readonly number[]): string => tokenizer.decode(tokens, { skipSpecial: true });
  const text = new TextStream(decode, flags.stop, write);
  const options = { ...optionsOf(flags, turn), decode, stopStrings: flags.stop };
  try {
    await answer(loaded, ids, flags, options, (token) => text.add(token));
  } finally {
    text.end();
  }
  return { text: text.written, tokens: text.tokens };
}

/** @throws Interrupted where a signal ended it; CommandError for a prompt that is too long */
async function answer(
  { reader, most }: LoadedReader,
  ids: readonly number[],
  { maxTokens }: Flags,
  options: GenerationOptions,
  take: (token: number) => void,
): Promise<void> {
  if (ids.length >= most)
    throw new CommandError(`the prompt has ${ids.length} tokens, and the model can read ${most} in all`);
  let came = 0;
  await untilSignal(
    async (signal) => {
      const maxNewTokens = Math.min(maxTokens, most - ids.length);
      for await (const token of stream(reader, ids, { ...options, maxNewTokens, signal })) {
        came++;
        take(token);
      }
    },
    () => `Stopped after ${came} tokens.`,
  );
}

/** @throws CommandError for a prompt that is too long, or of tokens that there are not */
function checkPrompt(
  { most, vocabSize }: Pick<LoadedReader, 'most' | 'vocabSize'>,
  ids: readonly number[],
): void {
  if (ids.length > most)
    throw new CommandError(`the prompt has ${ids.length} tokens, and the model can read ${most} in all`);
  const unknown = ids.find((id) => id >= vocabSize);
  if (unknown !== undefined)
    throw new CommandError(`there is no token ${unknown}: the model has ${vocabSize} tokens`);
}

async function chat(
  loaded: LoadedReader,
  folder: string,
  first: string | undefined,
  flags: Flags,
  io: Io,
): Promise<void> {
  const tokenizer = needTokenizer(loaded, folder, '');
  if (!tokenizer.chatTemplate) throw new CommandError(`the tokenizer in ${folder} has no chat template`);
  const messages: ChatMessage[] = [];
  if (flags.system !== undefined) messages.push({ role: 'system', content: flags.system });
  let turn = 0;
  for await (const content of turnsOf(first, io)) {
    messages.push({ role: 'user', content });
    const ids = Array.from(tokenizer.encodeChat(messages, { addGenerationPrompt: true }));
    checkPrompt(loaded, ids);
    const { text } = await answerText(loaded, tokenizer, ids, flags, turn++, (piece) => io.out(piece));
    io.out('\n');
    messages.push({ role: 'assistant', content: text });
  }
}

/** The prompt, and then, or in its place, the lines of the input; from a terminal until it is closed. */
async function* turnsOf(first: string | undefined, io: Io): AsyncGenerator<string, void, undefined> {
  const live = process.stdin.isTTY;
  if (first !== undefined) yield first;
  if (first !== undefined && !live) return;
  const lines = createInterface({ input: process.stdin });
  try {
    if (live) io.out('> ');
    for await (const line of lines) {
      if (line.trim() !== '') yield line;
      if (live) io.out('> ');
    }
  } finally {
    lines.close();
  }
}
