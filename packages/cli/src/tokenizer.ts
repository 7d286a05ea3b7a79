/** How a model's texts become tokens: bytes, or the tokenizer in its folder. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  BpeTokenizer,
  ByteTokenizer,
  readBpe,
  trainBpe,
  writeBpe,
  type SpecialTokens,
  type Tokenizer,
} from '@infinigrad/zoo';
import { FormatError, InfinigradError, ValueError } from '@infinigrad/tensor';
import { writeFileAtomic } from '@infinigrad/tensor/node';
import { kindOf, readObject } from './checkpoint.ts';
import { CommandError, UsageError } from './errors.ts';
import type { OwnSpecials } from './objectives/special.ts';

const configName = 'tokenizer_config.json';
const fileName = 'tokenizer.json';
const templateName = 'chat_template.jinja';
const byteClass = 'ByteTokenizer';

/** The end of a text, for tokenizers that are trained here. */
const endOfText = '<|endoftext|>';

/**
 * The tokenizer that a model's folder holds; bytes where it holds none and the model has 256 tokens.
 * @returns null where there is none, as for models of generators
 */
export async function tokenizerIn(folder: string, vocabSize: number): Promise<Tokenizer | null> {
  const [file, config] = [join(folder, fileName), join(folder, configName)];
  if ((await kindOf(file)) === 'file') return fromFiles(file, config, join(folder, templateName));
  if ((await kindOf(config)) === 'file') {
    const json = await readObject(config);
    const { tokenizer_class: name } = json;
    if (name === byteClass) return bytesFrom(json, config);
    throw new CommandError(`${folder} holds no ${fileName}, which a ${String(name)} needs`);
  }
  // That of a model of 256 tokens can hardly be anything else, but a run of a generator has said so.
  const generated = (await kindOf(join(folder, 'run.json'))) === 'file';
  return vocabSize === 256 && !generated ? new ByteTokenizer() : null;
}

/** What `saveTokenizer` wrote. */
function bytesFrom(json: Readonly<Record<string, unknown>>, file: string): ByteTokenizer {
  const special: SpecialTokens = Object.fromEntries(
    Object.entries(json).flatMap(([name, text]) => {
      const role = /^(pad|bos|eos|unk|mask|sep|cls)_token$/.exec(name)?.[1];
      return role === undefined ? [] : [[role, text]];
    }),
  );
  const added = json['additional_special_tokens'] ?? [];
  if (!Array.isArray(added)) throw new CommandError(`${file}: additional_special_tokens must be a list`);
  try {
    return new ByteTokenizer({ special, added: added as string[] });
  } catch (error) {
    if (error instanceof ValueError) throw new CommandError(`${file}: ${error.problem}`);
    throw error;
  }
}

function bytesJson({ special, specialTokens }: ByteTokenizer): Readonly<Record<string, unknown>> {
  const added = specialTokens.texts.filter((text) => !Object.values(special).includes(text));
  return {
    tokenizer_class: byteClass,
    ...Object.fromEntries(Object.entries(special).map(([role, text]) => [`${role}_token`, text])),
    ...(added.length > 0 && { additional_special_tokens: added }),
  };
}

async function fromFiles(file: string, config: string, template: string): Promise<Tokenizer> {
  const text = await readFile(file, 'utf8');
  const about = (await kindOf(config)) === 'file' ? await readFile(config, 'utf8') : '{}';
  const own = (await kindOf(template)) === 'file' ? await readFile(template, 'utf8') : undefined;
  try {
    // Ours reads what we have trained, and needs no library beside it.
    if (own === undefined && !about.includes('"chat_template"')) return readBpe(text, about);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
  const { loadTokenizer } = await import('@infinigrad/zoo/huggingface');
  try {
    return await loadTokenizer(text, about, own === undefined ? {} : { chatTemplate: own });
  } catch (error) {
    if (error instanceof InfinigradError) throw new CommandError(`${file}: ${error.message}`);
    throw error;
  }
}

/**
 * What `--tokenizer` asks for: `bytes`, `bpe:SIZE` (trained on the texts), or a folder that holds one.
 * @throws UsageError for what is none of these
 */
export async function tokenizerNamed(
  name: string,
  texts: () => Iterable<string>,
  { special, added }: OwnSpecials,
): Promise<Tokenizer> {
  if (name === 'bytes') return new ByteTokenizer({ special, ...(added && { added }) });
  const size = /^bpe:(\d+)$/.exec(name)?.[1];
  if (size !== undefined)
    try {
      return trainBpe(texts(), {
        vocabSize: Number(size),
        special: { eos: endOfText, ...special },
        ...(added && { added }),
      });
    } catch (error) {
      if (error instanceof ValueError) throw new UsageError(`--tokenizer ${name}: ${error.problem}`);
      throw error;
    }
  if ((await kindOf(name)) !== 'folder')
    throw new UsageError(`--tokenizer must be bytes, bpe:SIZE or a folder with a ${fileName}, got '${name}'`);
  const found = await tokenizerIn(name, 0);
  if (found) return found;
  throw new CommandError(`${name} holds no ${fileName}`);
}

/** Writes what `tokenizerIn` reads. @param from the folder that it was read from, where it is none of ours */
export async function saveTokenizer(
  tokenizer: Tokenizer,
  folder: string,
  from: string | null,
): Promise<void> {
  const write = (name: string, text: string): Promise<void> => writeFileAtomic(join(folder, name), text);
  if (tokenizer instanceof ByteTokenizer)
    return write(configName, `${JSON.stringify(bytesJson(tokenizer), null, 2)}\n`);
  if (tokenizer instanceof BpeTokenizer)
    return void (await Promise.all(
      Object.entries(writeBpe(tokenizer)).map(([name, text]) => write(name, text)),
    ));
  for (const name of [fileName, configName, templateName])
    if (from && (await kindOf(join(from, name))) === 'file')
      await write(name, await readFile(join(from, name), 'utf8'));
}
