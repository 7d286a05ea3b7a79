/** Where files come from: asked what they are, and for their bytes. */
import { FormatError } from '@infinigrad/tensor';

/** What could not be had. */
export class DownloadError extends FormatError {
  override readonly name: string = 'DownloadError';

  constructor(problem: string, hint?: string) {
    super('download', problem, hint === undefined ? {} : { hint });
  }
}

export interface RemoteFile {
  readonly url: string;
  readonly size: number;
  /** SHA-256 of the content, or git's hash of it; something else where the origin tells no checksum. */
  readonly tag: string;
}

interface Ask {
  readonly method?: string;
  readonly redirect?: 'manual';
  readonly headers?: Readonly<Record<string, string>>;
}

const mostRedirects = 5;

export class Origin {
  readonly #base: string;
  readonly #token: string | undefined;
  readonly #signal: AbortSignal | undefined;

  constructor(base: string, token: string | undefined, signal: AbortSignal | undefined) {
    this.#base = base;
    this.#token = token;
    this.#signal = signal;
  }

  /** What is known of a file; null where there is none. */
  async look(name: string): Promise<RemoteFile | null> {
    const url = `${this.#base}/${name}`;
    let at = url;
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      const { status, headers } = await this.#ask(at, { method: 'HEAD', redirect: 'manual' });
      if (status === 404) return null;
      const linked = headers.get('x-linked-etag');
      const location = headers.get('location');
      // What the hub says of a large file stands on the way to it.
      if (status >= 300 && status < 400 && location && !linked) {
        const next = new URL(location, at);
        if (next.origin !== new URL(url).origin)
          throw new DownloadError(`${url} leads to ${next.origin}, without a checksum`);
        at = next.href;
        continue;
      }
      if (status >= 400) throw refused(url, status);
      const size = Number(headers.get('x-linked-size') ?? headers.get('content-length') ?? Number.NaN);
      if (!Number.isSafeInteger(size) || size < 0)
        throw new DownloadError(`${url} does not say how long it is`);
      const tag = (linked ?? headers.get('etag') ?? '').replace(/^W\//, '').replaceAll('"', '');
      return { url: at, size, tag };
    }
    throw new DownloadError(`${url} leads from one place to another more than ${mostRedirects} times`);
  }

  /** The bytes of a file from one on; from the start where the origin knows no parts. */
  async read({ url }: RemoteFile, from: number): Promise<{ body: AsyncIterable<Uint8Array>; from: number }> {
    const response = await this.#ask(url, { headers: from > 0 ? { range: `bytes=${from}-` } : {} });
    if (response.status >= 400 || !response.body) throw refused(url, response.status);
    const range = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '');
    const start = response.status === 206 && range ? Number(range[1]) : 0;
    return { body: this.#chunks(url, response.body), from: start };
  }

  async *#chunks(url: string, body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of body) yield chunk;
    } catch (error) {
      throw this.#failed(url, error);
    }
  }

  async #ask(url: string, init: Ask): Promise<Response> {
    const headers: Record<string, string> = { 'accept-encoding': 'identity', ...init.headers };
    // Where a redirect leads to another origin, fetch takes it off.
    if (this.#token !== undefined) headers['authorization'] = `Bearer ${this.#token}`;
    try {
      return await fetch(url, { ...init, headers, signal: this.#signal ?? null });
    } catch (error) {
      throw this.#failed(url, error);
    }
  }

  #failed(url: string, error: unknown): unknown {
    if (this.#signal?.aborted) return this.#signal.reason;
    const { cause, message } = error as { cause?: { code?: string }; message?: string };
    return new DownloadError(
      `${url} cannot be reached (${cause?.code ?? message ?? String(error)})`,
      'what has arrived stays; call again once there is a connection',
    );
  }
}

function refused(url: string, status: number): DownloadError {
  return status === 401 || status === 403
    ? new DownloadError(`${url} is not for everyone (${status})`, 'pass a token that may read it')
    : new DownloadError(`${url} cannot be had (status ${status})`);
}
