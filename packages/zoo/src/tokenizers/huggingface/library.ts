/** What we use of the libraries that are installed beside. */
import { BackendError } from '@infinigrad/tensor';

export interface LibraryTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: (number | undefined)[] };
  decode(
    ids: number[],
    options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean },
  ): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  get_vocab(withAdded: boolean): Map<string, number>;
}
export interface TokenizersLibrary {
  readonly Tokenizer: new (json: object, config: object) => LibraryTokenizer;
}
export interface JinjaLibrary {
  readonly Template: new (source: string) => { render(items: Record<string, unknown>): string };
}

/** Loads a library when it is first asked for. @throws BackendError where it is not installed */
async function loaded<T>(name: string, load: () => Promise<unknown>): Promise<T> {
  try {
    return (await load()) as T;
  } catch {
    throw new BackendError('huggingface', `${name} cannot be loaded`, { hint: `npm install ${name}` });
  }
}

export const tokenizersLibrary = (): Promise<TokenizersLibrary> =>
  loaded('@huggingface/tokenizers', () => import('@huggingface/tokenizers'));
export const jinjaLibrary = (): Promise<JinjaLibrary> =>
  loaded('@huggingface/jinja', () => import('@huggingface/jinja'));
