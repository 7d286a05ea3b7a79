/** A trained BPE as Hugging Face's tokenizer.json and tokenizer_config.json, and back. */
import { FormatError, ValueError } from '@infinigrad/tensor';
import { BpeTokenizer } from './bpe.ts';
import { addedTokens, isObject, mergesOf, modelOf, parseFile, rolesOf, vocabOf } from './tokenizer-json.ts';
import { roles } from './tokenizer.ts';

export interface TokenizerFiles {
  readonly 'tokenizer.json': string;
  readonly 'tokenizer_config.json': string;
}

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };

/** Both files, which libraries of Hugging Face read. The same tokenizer gives the same bytes. */
export function writeBpe(tokenizer: BpeTokenizer): TokenizerFiles {
  const { vocab, merges, special } = tokenizer;
  const { texts, before, after } = tokenizer.specialTokens;
  const idOf = (text: string): number => vocab.get(text)!;
  const around = [...new Set([...before, ...after])];
  const token = (id: string): object => ({ SpecialToken: { id, type_id: 0 } });
  const single = [...before.map(token), { Sequence: { id: 'A', type_id: 0 } }, ...after.map(token)];
  const json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: texts
      .map((content) => ({
        id: idOf(content),
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      }))
      .toSorted((a, b) => a.id - b.id),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor:
      around.length === 0
        ? null
        : {
            type: 'TemplateProcessing',
            single,
            pair: [...single, { Sequence: { id: 'B', type_id: 1 } }, ...after.map(token)],
            special_tokens: Object.fromEntries(
              around.map((id) => [id, { id, ids: [idOf(id)], tokens: [id] }]),
            ),
          },
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries([...vocab].sort((a, b) => a[1] - b[1])),
      merges,
    },
  };
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    ...Object.fromEntries(
      roles.flatMap((role) => (special[role] === undefined ? [] : [[`${role}_token`, special[role]]])),
    ),
  };
  return {
    'tokenizer.json': `${JSON.stringify(json, null, 1)}\n`,
    'tokenizer_config.json': `${JSON.stringify(config, null, 1)}\n`,
  };
}

/**
 * Reads byte-level BPE of the form that `writeBpe` gives: GPT-2's pattern, no normalizer, added tokens that are special.
 * For all else there is `loadTokenizer` of @infinigrad/zoo/huggingface.
 * @param file tokenizer.json, as text or parsed
 * @param config tokenizer_config.json, from which the roles of special tokens are read
 * @throws FormatError for files that are damaged, or of another form
 */
export function readBpe(file: string | object, config: string | object = {}): BpeTokenizer {
  const op = 'readBpe';
  const refuse = (what: string): never => {
    throw new FormatError(op, `does not read ${what}`, {
      hint: 'loadTokenizer of @infinigrad/zoo/huggingface reads all kinds',
    });
  };
  const json = parseFile(file, 'the file');
  const [model, type] = modelOf(json);
  if (type !== 'BPE') refuse(`models of type '${type}'`);
  for (const name of ['dropout', 'unk_token', 'continuing_subword_prefix', 'end_of_word_suffix'])
    if ((model[name] ?? '') !== '') refuse(`BPE with ${name}`);
  for (const name of ['byte_fallback', 'ignore_merges']) if (model[name] === true) refuse(`BPE with ${name}`);
  if ((json['normalizer'] ?? null) !== null) refuse('normalizers');
  for (const part of ['pre_tokenizer', 'decoder']) {
    const given = json[part];
    if (!isObject(given) || given['type'] !== 'ByteLevel')
      return refuse(`files whose ${part} is not ByteLevel`);
    if (part === 'pre_tokenizer' && (given['add_prefix_space'] === true || given['use_regex'] === false))
      refuse('ByteLevel with add_prefix_space or without use_regex');
  }
  const added = addedTokens(json);
  if (added.some((token) => !token.special)) refuse('added tokens that are not special');
  const vocab = vocabOf(model);
  const merges = mergesOf(model, vocab);
  for (const { id, content } of added) {
    if ((vocab.get(content) ?? id) !== id)
      throw new FormatError(op, `'${content}' has the ids ${vocab.get(content)} and ${id}`);
    vocab.set(content, id);
  }
  const special = rolesOf(parseFile(config, 'tokenizer_config.json'), (text) =>
    added.some(({ content }) => content === text),
  );
  const [before, after] = templateOf(json['post_processor'] ?? null, refuse);
  try {
    return new BpeTokenizer({
      vocab,
      merges,
      special,
      added: added.map(({ content }) => content),
      before,
      after,
    });
  } catch (error) {
    if (error instanceof ValueError) throw new FormatError(op, error.problem);
    throw error;
  }
}

/** Special tokens before a text and after it. */
function templateOf(processor: unknown, refuse: (what: string) => never): [string[], string[]] {
  // What only trims offsets sets nothing around.
  if (processor === null || (isObject(processor) && processor['type'] === 'ByteLevel')) return [[], []];
  if (
    !isObject(processor) ||
    processor['type'] !== 'TemplateProcessing' ||
    !Array.isArray(processor['single'])
  )
    return refuse('post_processors other than TemplateProcessing');
  const sides: [string[], string[]] = [[], []];
  let side = 0;
  for (const part of processor['single'] as unknown[]) {
    const { SpecialToken: token, Sequence: sequence } = isObject(part) ? part : {};
    if (isObject(token) && typeof token['id'] === 'string') sides[side]!.push(token['id']);
    else if (isObject(sequence) && side === 0) side = 1;
    else return refuse('templates of parts other than one text and special tokens');
  }
  return side === 1 ? sides : refuse('templates without a text');
}
