/** Hugging Face's tokenizers (WordPiece, BPE, Unigram), by @huggingface/tokenizers. */
import { describeValue, FormatError, ValueError } from '@infinigrad/tensor';
import {
  addedTokens,
  checkUnigram,
  isObject,
  mergesOf,
  modelOf,
  parseFile,
  rolesOf,
  vocabOf,
  type JsonObject,
} from '../tokenizer-json.ts';
import {
  Tokenizer,
  unknownId,
  type DetokenizeOptions,
  type TokenizeOptions,
  type SpecialTokens,
} from '../tokenizer.ts';
import { chatTemplate } from './chat.ts';
import { tokenizersLibrary, type LibraryTokenizer } from './library.ts';

/** Parts that a file may leave out. */
const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };

/** A tokenizer of the library. */
class HuggingFaceTokenizer extends Tokenizer {
  override readonly vocabSize: number;
  override readonly special: SpecialTokens;
  readonly #library: LibraryTokenizer;
  readonly #specialIds: ReadonlySet<number>;
  readonly #cleanUp: boolean;

  constructor(
    library: LibraryTokenizer,
    options: { vocabSize: number; special: SpecialTokens; specialIds: ReadonlySet<number>; cleanUp: boolean },
  ) {
    super();
    this.#library = library;
    this.vocabSize = options.vocabSize;
    this.special = options.special;
    this.#specialIds = options.specialIds;
    this.#cleanUp = options.cleanUp;
  }

  override encode(text: string, { special = true, specialInText = true }: TokenizeOptions = {}): Int32Array {
    const op = 'HuggingFaceTokenizer.encode';
    if (typeof text !== 'string') throw new ValueError(op, `needs a text, got ${describeValue(text)}`);
    if (!specialInText)
      throw new ValueError(op, 'always reads special tokens in texts', {
        hint: 'take them out of the text before, or use readBpe',
      });
    const { ids } = this.#library.encode(text, { add_special_tokens: special });
    if (ids.some((id) => typeof id !== 'number'))
      throw new ValueError(op, 'the text holds what is not in the vocabulary, and there is no unk token');
    return Int32Array.from(ids as number[]);
  }

  override decode(ids: ArrayLike<number>, { skipSpecial = false }: DetokenizeOptions = {}): string {
    const list = Array.from(ids);
    for (const id of list)
      if (this.token(id) === undefined) unknownId('HuggingFaceTokenizer.decode', id, this.vocabSize);
    const kept = skipSpecial ? list.filter((id) => !this.#specialIds.has(id)) : list;
    if (kept.length === 0) return '';
    return this.#library.decode(kept, {
      skip_special_tokens: false,
      clean_up_tokenization_spaces: this.#cleanUp,
    });
  }

  override token(id: number): string | undefined {
    return Number.isInteger(id) && id >= 0 && id < this.vocabSize ? this.#library.id_to_token(id) : undefined;
  }

  override id(token: string): number | undefined {
    return this.#library.token_to_id(token);
  }

  override isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }
}

export interface LoadTokenizerOptions {
  /** chat_template.jinja, where it is a file of its own. Default: what tokenizer_config.json holds. */
  readonly chatTemplate?: string;
}

/**
 * A tokenizer from its files, as texts or parsed.
 * @param file tokenizer.json
 * @param config tokenizer_config.json: roles of special tokens, and the chat template. Default: none
 * @throws FormatError for files that are damaged or hold what the library does not know; BackendError where @huggingface/tokenizers, or
 * @huggingface/jinja for a template, is not installed
 */
export async function loadTokenizer(
  file: string | object,
  config: string | object = {},
  options: LoadTokenizerOptions = {},
): Promise<Tokenizer> {
  const op = 'loadTokenizer';
  const json = parseFile(file, 'tokenizer.json');
  const settings = parseFile(config, 'tokenizer_config.json');
  const [model, type] = modelOf(json);
  const largest = checkedModel(model, type);
  const added = addedTokens(json);
  const { Tokenizer: Library } = await tokenizersLibrary();
  let library: LibraryTokenizer;
  try {
    library = new Library(
      { ...parts, ...json, model: { ...model, type }, added_tokens: json['added_tokens'] ?? [] },
      settings,
    );
    // What a damaged part does only shows when it runs.
    library.encode('a b', { add_special_tokens: true });
  } catch (error) {
    throw new FormatError(
      op,
      `cannot use the file: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const special = rolesOf(settings, (token) => library.token_to_id(token) !== undefined);
  const specialIds = new Set(added.filter((token) => token.special).map(({ id }) => id));
  for (const text of Object.values(special)) specialIds.add(library.token_to_id(text)!);
  const tokenizer = new HuggingFaceTokenizer(library, {
    vocabSize: added.reduce((most, { id }) => Math.max(most, id), largest) + 1,
    special,
    specialIds,
    // It takes spaces that BPE has kept: transformers 5 leaves them, too, whatever the config asks for.
    cleanUp: settings['clean_up_tokenization_spaces'] === true && type !== 'BPE',
  });
  const template = options.chatTemplate ?? templateOf(settings['chat_template']);
  if (template !== null) tokenizer.chatTemplate = await chatTemplate(template, special);
  return tokenizer;
}

/** The largest id of a model. @throws FormatError for what is damaged, or of a kind that is not known */
function checkedModel(model: JsonObject, type: string): number {
  if (type === 'Unigram') {
    checkUnigram(model);
    return (model['vocab'] as unknown[]).length - 1;
  }
  if (type !== 'BPE' && type !== 'WordPiece')
    throw new FormatError('loadTokenizer', `does not know models of type '${type}'`, {
      hint: 'it knows WordPiece, BPE and Unigram',
    });
  const vocab = vocabOf(model);
  if (type === 'BPE') mergesOf(model, vocab);
  const unknown = model['unk_token'];
  if (type === 'WordPiece' && !(typeof unknown === 'string' && vocab.has(unknown)))
    throw new FormatError(
      'loadTokenizer',
      `model.unk_token ${describeValue(unknown)} is not in the vocabulary`,
    );
  let largest = -1;
  for (const id of vocab.values()) largest = Math.max(largest, id);
  return largest;
}

/** A template, or the one named default of several. */
function templateOf(given: unknown): string | null {
  if (given === undefined || given === null) return null;
  if (typeof given === 'string') return given;
  const list: unknown[] = Array.isArray(given) ? given : [];
  const main = list.find((item) => isObject(item) && item['name'] === 'default');
  if (isObject(main) && typeof main['template'] === 'string') return main['template'];
  throw new FormatError(
    'tokenizer_config.json',
    'chat_template must be a text, or a list with one named default',
  );
}
