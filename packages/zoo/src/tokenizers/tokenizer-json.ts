/** Hugging Face's tokenizer.json and tokenizer_config.json, looked through before anything is made of them. */
import { describeValue, FormatError } from '@infinigrad/tensor';
import { roles, type Role, type SpecialTokens } from './tokenizer.ts';

/** Characters of a file; the largest vocabularies in use take 35 million. */
const mostCharacters = 2 ** 27;
/** Tokens. */
const mostTokens = 2 ** 22;
const deepest = 64;
/** Characters of a pattern: patterns run on every text. */
const longestPattern = 10_000;

export type JsonObject = Readonly<Record<string, unknown>>;

export const isObject = (x: unknown): x is JsonObject =>
  typeof x === 'object' && x !== null && !Array.isArray(x);

const bad = (problem: string, hint?: string): never => {
  throw new FormatError('tokenizer.json', problem, hint === undefined ? {} : { hint });
};

/** A file as an object. @throws FormatError for what is none */
export function parseFile(file: string | object, what: string): JsonObject {
  let value: unknown = file;
  if (typeof file === 'string') {
    if (file.length > mostCharacters) bad(`${what} is longer than ${mostCharacters} characters`);
    try {
      value = JSON.parse(file);
    } catch {
      bad(`${what} is not JSON`, 'it is damaged or of another format');
    }
  }
  if (!isObject(value)) return bad(`${what} must be an object, got ${describeValue(value)}`);
  checkDepth(value, what);
  return value;
}

/** Parts are made of parts: no deeper than a stack can take, and with patterns of a sane length. */
function checkDepth(value: JsonObject, what: string): void {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > deepest) bad(`${what} is nested deeper than ${deepest}`);
    const next: unknown[] = [];
    for (const item of level) {
      if (typeof item !== 'object' || item === null) continue;
      const { Regex } = item as { Regex?: unknown };
      if (typeof Regex === 'string' && Regex.length > longestPattern)
        bad(`${what} has a pattern of ${Regex.length} characters`);
      for (const child of Object.values(item))
        if (typeof child === 'object' && child !== null) next.push(child);
    }
    level = next;
  }
}

const isId = (x: unknown): x is number =>
  Number.isInteger(x) && (x as number) >= 0 && (x as number) < mostTokens;

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

/** What is added to the vocabulary of the model. */
export function addedTokens(file: JsonObject): readonly AddedToken[] {
  const list = file['added_tokens'] ?? [];
  if (!Array.isArray(list) || list.length > mostTokens)
    return bad(`added_tokens must be a list, got ${describeValue(list)}`);
  const seen = new Set<number>();
  // Of a parsed file places may be empty, too.
  return Array.from(list, (token: unknown, i) => {
    if (
      !isObject(token) ||
      !isId(token['id']) ||
      typeof token['content'] !== 'string' ||
      token['content'] === ''
    )
      return bad(`added_tokens[${i}] must have an id and a content`);
    if (seen.has(token['id'])) bad(`added_tokens has the id ${token['id']} twice`);
    seen.add(token['id']);
    return { id: token['id'], content: token['content'], special: token['special'] === true };
  });
}

/** The vocabulary of WordPiece and BPE. */
export function vocabOf(model: JsonObject): Map<string, number> {
  const { vocab } = model;
  if (!isObject(vocab)) return bad(`model.vocab must be an object, got ${describeValue(vocab)}`);
  const entries = Object.entries(vocab);
  if (entries.length > mostTokens) bad(`model.vocab has more than ${mostTokens} tokens`);
  const seen = new Set<unknown>();
  for (const [token, id] of entries) {
    if (!isId(id))
      bad(`the id of '${token}' must be an integer from 0 to ${mostTokens - 1}, got ${describeValue(id)}`);
    if (seen.has(id)) bad(`model.vocab has the id ${String(id)} twice`);
    seen.add(id);
  }
  return new Map(entries as [string, number][]);
}

/** The merges of BPE: pairs, or texts with one space, as older files have them. */
export function mergesOf(
  model: JsonObject,
  vocab: ReadonlyMap<string, number>,
): (readonly [string, string])[] {
  const { merges } = model;
  if (!Array.isArray(merges) || merges.length > mostTokens)
    return bad(`model.merges must be a list, got ${describeValue(merges)}`);
  return Array.from(merges, (merge: unknown, i) => {
    const parts: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
    if (!Array.isArray(parts) || parts.length !== 2 || !parts.every((part) => typeof part === 'string'))
      return bad(`model.merges[${i}] must be two tokens`);
    const [first, second] = parts as [string, string];
    for (const token of [first, second])
      if (!vocab.has(token)) bad(`model.merges[${i}]: '${token}' is not in the vocabulary`);
    return [first, second] as const;
  });
}

/** The pieces of a Unigram model, with their scores. */
export function checkUnigram({ vocab, unk_id: unknown }: JsonObject): void {
  if (!Array.isArray(vocab) || vocab.length === 0 || vocab.length > mostTokens)
    return bad(`model.vocab must be a list of pieces, got ${describeValue(vocab)}`);
  Array.from(vocab).forEach((piece: unknown, i) => {
    if (
      !Array.isArray(piece) ||
      piece.length !== 2 ||
      typeof piece[0] !== 'string' ||
      !Number.isFinite(piece[1])
    )
      bad(`model.vocab[${i}] must be a piece and its score`);
  });
  if (unknown !== null && !(isId(unknown) && unknown < vocab.length))
    bad(`model.unk_id must be one of ${vocab.length} pieces, got ${describeValue(unknown)}`);
}

/** The model of a file, and what kind it is. */
export function modelOf(file: JsonObject): readonly [model: JsonObject, type: string] {
  const { model } = file;
  if (!isObject(model)) return bad('has no model', 'is it a tokenizer.json?');
  const type = model['type'];
  // Files that are very old leave it out.
  if (type !== undefined && typeof type !== 'string')
    return bad(`model.type must be a text, got ${describeValue(type)}`);
  return [model, type ?? (Array.isArray(model['merges']) ? 'BPE' : 'WordPiece')];
}

/** Special tokens that tokenizer_config.json gives a role: texts, or objects with a content. */
export function rolesOf(config: JsonObject, known: (token: string) => boolean): SpecialTokens {
  const found: { [R in Role]?: string } = {};
  for (const role of roles) {
    const given = config[`${role}_token`];
    const text = isObject(given) ? given['content'] : given;
    if (text === undefined || text === null) continue;
    if (typeof text !== 'string' || !known(text))
      throw new FormatError(
        'tokenizer_config.json',
        `${role}_token must be a token of the vocabulary, got ${describeValue(text)}`,
      );
    found[role] = text;
  }
  return found;
}
