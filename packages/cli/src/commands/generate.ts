/** `infinigrad generate`: a model goes on with a text, or answers in a chat. */
import { createInterface } from 'node:readline';
import { text as readAll } from 'node:stream/consumers';
import type { Command } from 'commander';
import { Key } from '@infinigrad/tensor';
import { stream, type ChatMessage, type GenerationOptions, type Tokenizer } from '@infinigrad/zoo';
import { integer, integers, number, path, repeated } from '../arguments.ts';
import { CommandError, Interrupted, UsageError } from '../errors.ts';
import { loadReader, needTokenizer, type LoadedReader } from '../model.ts';
import type { Io } from '../output.ts';
import { exitCodes, onSignal, type Signal } from '../signals.ts';
import { TextStream } from '../text-stream.ts';

interface Flags {
  readonly tokens?: readonly number[];
  readonly chat?: boolean;
  readonly system?: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty: number;
  readonly stop: readonly string[];
  readonly seed: number;
  readonly json?: boolean;
}

const examples = `
Examples:
  infinigrad generate runs/tiny "the cat"            goes on, by draws
  infinigrad generate runs/tiny "the cat" --temperature 0 --max-tokens 20
                                                     the most likely tokens
  infinigrad generate runs/tiny "the cat" --top-p 0.9 --seed 7 --stop . --json
                                                     other draws, for programs
  infinigrad generate runs/chain --tokens 0,1,2 --max-tokens 8
                                                     a model without text

Without a prompt it is read from the standard input. With --chat, for models with a
chat template, every line of the input is a turn, and the prompt is the first.`;

export function defineGenerate(program: Command, io: Io): void {
  program
    .command('generate')
    .description('Let a model go on with a text, as it comes.')
    .argument('<model>', 'folder of a model', path)
    .argument('[prompt]', 'the text to go on with')
    .option('--tokens <id,…>', 'a prompt of tokens; tokens come out', integers(0))
    .option('--chat', 'answer in turns, by the chat template of the model')
    .option('--system <text>', 'with --chat: what the model is told first')
    .option('--max-tokens <n>', 'most tokens that come', integer(1), 100)
    .option('--temperature <x>', 'logits are divided by it; 0 is the most likely token', number(0), 0.8)
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
      const loaded = await loadReader(folder);
      if (flags.chat) await chat(loaded, folder, prompt, flags, io);
      else await once(loaded, folder, prompt, flags, io);
    });
}

/** What the flags say of drawing. @param turn makes the draws of each turn others */
function optionsOf(flags: Flags, turn: number): GenerationOptions {
  const { temperature, topK, topP, minP, repetitionPenalty } = flags;
  const drawn = { key: new Key(flags.seed).foldIn(turn), temperature, topK, topP, minP };
  return { repetitionPenalty, ...(temperature > 0 && drawn) };
}

async function once(
  loaded: LoadedReader,
  folder: string,
  prompt: string | undefined,
  flags: Flags,
  io: Io,
): Promise<void> {
  if (flags.tokens) {
    const tokens: number[] = [];
    await answer(loaded, flags.tokens, flags, optionsOf(flags, 0), (token) => {
      tokens.push(token);
      if (!flags.json) io.out(tokens.length === 1 ? `${token}` : `,${token}`);
    });
    io.out(flags.json ? `${JSON.stringify({ prompt: flags.tokens, tokens })}\n` : '\n');
    return;
  }
  const tokenizer = needTokenizer(loaded, folder, ': give --tokens');
  const given = prompt ?? (await readAll(process.stdin));
  const ids = idsOf(tokenizer, given);
  const text = await answerText(loaded, tokenizer, ids, flags, 0, (piece) => {
    if (!flags.json) io.out(piece);
  });
  io.out(flags.json ? `${JSON.stringify({ prompt: given, ...text })}\n` : '\n');
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

/** @throws Interrupted where a signal ended it; CommandError for a prompt that is too long or of tokens that there are not */
async function answer(
  { reader, most, vocabSize }: LoadedReader,
  ids: readonly number[],
  { maxTokens }: Flags,
  options: GenerationOptions,
  take: (token: number) => void,
): Promise<void> {
  if (ids.length >= most)
    throw new CommandError(`the prompt has ${ids.length} tokens, and the model can read ${most} in all`);
  const unknown = ids.find((id) => id >= vocabSize);
  if (unknown !== undefined)
    throw new CommandError(`there is no token ${unknown}: the model has ${vocabSize} tokens`);
  const abort = new AbortController();
  let heard = null as Signal | null;
  const off = onSignal((signal) => {
    heard = signal;
    abort.abort();
  });
  let came = 0;
  try {
    const maxNewTokens = Math.min(maxTokens, most - ids.length);
    for await (const token of stream(reader, ids, { ...options, maxNewTokens, signal: abort.signal })) {
      came++;
      take(token);
    }
  } catch (error) {
    if (heard === null) throw error;
    throw new Interrupted(`Stopped after ${came} tokens.`, exitCodes[heard]);
  } finally {
    off();
  }
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
