/** Downloads, from a server on this machine that speaks as the hub does. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Key, ValueError } from '@infinigrad/tensor';
import { LlamaForCausalLM } from '@infinigrad/zoo';
import {
  download,
  DownloadError,
  fromPretrained,
  savePretrained,
  type DownloadOptions,
  type DownloadProgress,
} from '@infinigrad/zoo/node';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

const model = new LlamaForCausalLM(
  { vocabSize: 50, hiddenSize: 48, intermediateSize: 96, numHiddenLayers: 2, numAttentionHeads: 4 },
  new Key(1),
);
const weights = 'model.safetensors';

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly token: string | undefined;
}

/** What the server does; each test says how it is to misbehave. */
let files: Map<string, Buffer>;
let asked: Asked[];
let sent: number;
let cutAfter: number | null;
let answer: ((request: IncomingMessage, response: ServerResponse) => boolean) | null;
let hub: Server;
let store: Server;
let folder: string;
let source: string;

const originOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const gitHash = (bytes: Buffer): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

/** Small files at the hub, under git's hash; large ones in a store elsewhere, under SHA-256. */
const isLarge = (name: string): boolean => name.endsWith('.safetensors');

function note(request: IncomingMessage): void {
  const { range, authorization } = request.headers;
  asked.push({ method: request.method!, path: request.url!, range, token: authorization });
}

function give(request: IncomingMessage, response: ServerResponse, bytes: Buffer, tag: string): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const headers = { etag: `"${tag}"`, 'content-length': bytes.length - from };
  if (from > 0)
    response.writeHead(206, {
      ...headers,
      'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`,
    });
  else response.writeHead(200, headers);
  if (request.method === 'HEAD') return void response.end();
  const part = bytes.subarray(from, from + (cutAfter ?? bytes.length));
  sent += part.length;
  response.write(part, () => {
    if (cutAfter === null || part.length === bytes.length - from) response.end();
    else response.destroy();
  });
}

beforeAll(async () => {
  source = mkdtempSync(join(tmpdir(), 'infinigrad-hub-source-'));
  hub = createServer((request, response) => {
    note(request);
    if (answer?.(request, response)) return;
    const name = /^\/owner\/model\/resolve\/main\/(.*)$/.exec(request.url!)?.[1] ?? '';
    const bytes = files.get(name);
    if (!bytes) return void response.writeHead(404).end();
    if (!isLarge(name)) return give(request, response, bytes, gitHash(bytes));
    response
      .writeHead(302, {
        location: `${originOf(store)}/${name}`,
        'x-linked-etag': `"${sha256(bytes)}"`,
        'x-linked-size': bytes.length,
      })
      .end();
  });
  store = createServer((request, response) => {
    note(request);
    give(request, response, files.get(request.url!.slice(1))!, 'of-the-store');
  });
  for (const server of [hub, store]) await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
});
afterAll(() => {
  for (const server of [hub, store]) server.close();
  rmSync(source, { recursive: true, force: true });
});

async function serve(maxShardBytes = Infinity): Promise<void> {
  rmSync(source, { recursive: true, force: true });
  await savePretrained(model, source, { maxShardBytes });
  writeFileSync(join(source, 'tokenizer.json'), '{}');
  writeFileSync(join(source, 'chat_template.jinja'), '{{ messages }}');
  files = new Map(readdirSync(source).map((name) => [name, readFileSync(join(source, name))]));
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'infinigrad-hub-'));
  [asked, sent, cutAfter, answer] = [[], 0, null, null];
  await serve();
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const get = (options: DownloadOptions = {}, id = 'owner/model'): Promise<string> =>
  download(id, { endpoint: originOf(hub), cacheFolder: folder, ...options });
const failure = async (loading: Promise<unknown>): Promise<string> => {
  const error = await loading.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(DownloadError);
  return (error as Error).message;
};

describe('a model', () => {
  test.each([Infinity, 40_000])(
    'arrives whole, and is loaded (at most %d bytes a file)',
    async (maxShardBytes) => {
      await serve(maxShardBytes);
      const at = await get();
      for (const [name, bytes] of files) expect(readFileSync(join(at, name)).equals(bytes), name).toBe(true);
      expect(readdirSync(at).filter((name) => /\.(?:part|tag)$/.test(name))).toEqual([]);
      const back = await fromPretrained(at, { modelClass: LlamaForCausalLM });
      for (const [name, x] of Object.entries(model.stateDict()))
        expect(back.stateDict()[name]!.dataSync(), name).toEqual(x.dataSync());
      expect(await get({}, `${originOf(hub)}/owner/model`)).toBe(at);
    },
  );

  test('that is here is not asked for again, unless told', async () => {
    const at = await get();
    const before = asked.length;
    expect(await get()).toBe(at);
    expect(await get({ endpoint: 'http://127.0.0.1:9' })).toBe(at);
    expect(asked.length).toBe(before);
    const bytes = sent;
    await get({ refresh: true });
    expect(asked.length).toBeGreaterThan(before);
    expect(sent).toBe(bytes);
    // A file that was lost is fetched alone.
    rmSync(join(at, 'config.json'));
    await get();
    expect(sent).toBe(bytes + files.get('config.json')!.length);
    files.set('config.json', Buffer.from(`${files.get('config.json')!.toString()} `));
    await get({ refresh: true });
    expect(readFileSync(join(at, 'config.json')).equals(files.get('config.json')!)).toBe(true);
  });

  test('that was interrupted goes on where it stopped', async () => {
    const whole = files.get(weights)!;
    cutAfter = Math.floor(whole.length / 3);
    expect(await failure(get())).toMatch(/cannot be reached.*call again once there is a connection/);
    const at = join(folder, 'owner--model', 'main');
    expect(existsSync(join(at, weights))).toBe(false);
    const here = statSync(join(at, `${weights}.part`)).size;
    expect(here).toBeGreaterThan(0);
    cutAfter = null;
    const progress: DownloadProgress[] = [];
    await get({ onProgress: (p) => progress.push(p) });
    expect(asked.filter(({ range }) => range === `bytes=${here}-`).length).toBeGreaterThan(0);
    expect(readFileSync(join(at, weights)).equals(whole)).toBe(true);
    expect(sent).toBe([...files.values()].reduce((sum, { length }) => sum + length, 0));
    const own = progress.filter(({ file }) => file === weights);
    expect(own.at(-1)).toEqual({ file: weights, loaded: whole.length, total: whole.length });
    expect(own.every(({ loaded }) => loaded > here)).toBe(true);
  });

  test('that has changed since it was interrupted begins anew', async () => {
    cutAfter = 1000;
    await failure(get());
    cutAfter = null;
    const other = Buffer.from(files.get(weights)!);
    other[other.length - 1]! ^= 1;
    files.set(weights, other);
    const at = await get();
    expect(asked.some(({ range }) => range !== undefined)).toBe(false);
    expect(readFileSync(join(at, weights)).equals(other)).toBe(true);
  });

  test('is asked for with the token, which no other origin sees', async () => {
    await get({ token: 'secret' });
    const fromStore = asked.filter(({ path }) => path === `/${weights}`);
    expect(fromStore.length).toBeGreaterThan(0);
    for (const { path, token } of asked)
      expect(token, path).toBe(fromStore.some((one) => one.path === path) ? undefined : 'Bearer secret');
  });
});

describe('fromPretrained', () => {
  test.each(['owner/model', 'page'])('brings %s here', async (name) => {
    const source = name === 'page' ? `${originOf(hub)}/owner/model` : name;
    const options = { ...(name !== 'page' && { endpoint: originOf(hub) }), cacheFolder: folder };
    const seen: string[] = [];
    const back = await fromPretrained(source, {
      modelClass: LlamaForCausalLM,
      download: { ...options, onProgress: ({ file }) => seen.push(file) },
    });
    expect(seen).toContain(weights);
    for (const [key, x] of Object.entries(model.stateDict()))
      expect(back.stateDict()[key]!.dataSync(), key).toEqual(x.dataSync());
    // What is here is not asked for again.
    const before = asked.length;
    await fromPretrained(source, { download: options });
    expect(asked.length).toBe(before);
  });

  test('a folder here comes first', async () => {
    const here = process.cwd();
    process.chdir(folder);
    try {
      mkdirSync(join('owner', 'model'), { recursive: true });
      await savePretrained(model, join('owner', 'model'));
      await fromPretrained('owner/model', { download: { endpoint: originOf(hub), cacheFolder: folder } });
      expect(asked).toEqual([]);
    } finally {
      process.chdir(here);
    }
  });

  test('what is neither here nor there is told', async () => {
    const options = { endpoint: 'http://127.0.0.1:9', cacheFolder: folder };
    expect(await failure(fromPretrained('owner/model', { download: options }))).toMatch(
      /there is no folder owner\/model here, and http.*cannot be reached/,
    );
    await expect(fromPretrained('./owner/model', { download: options })).rejects.toThrow(/no file owner/);
    expect(asked).toEqual([]);
  });
});

describe('what goes wrong is told', () => {
  test('damage on the way, and nothing of it stays', async () => {
    const right = sha256(files.get(weights)!);
    const damaged = Buffer.from(files.get(weights)!);
    damaged[5000]! ^= 1;
    answer = (request, response) => {
      if (!request.url!.endsWith(weights)) return false;
      response
        .writeHead(302, {
          location: `${originOf(store)}/${weights}`,
          'x-linked-etag': right,
          'x-linked-size': damaged.length,
        })
        .end();
      return true;
    };
    files.set(weights, damaged);
    expect(await failure(get())).toMatch(/model\.safetensors has arrived damaged: its checksum is another/);
    expect(
      readdirSync(join(folder, 'owner--model', 'main')).filter((name) => name.startsWith(`${weights}`)),
    ).toEqual([]);
  });

  test('a small file that is damaged here is fetched again', async () => {
    const at = await get();
    truncateSync(join(at, 'config.json'), 3);
    await get();
    expect(readFileSync(join(at, 'config.json')).equals(files.get('config.json')!)).toBe(true);
  });

  test('no connection', async () => {
    expect(await failure(get({ endpoint: 'http://127.0.0.1:9' }))).toMatch(
      /download: http:\/\/127\.0\.0\.1:9\/owner\/model\/resolve\/main\/config\.json cannot be reached \(/,
    );
    expect(await failure(get({ endpoint: 'http://no-such-host.invalid' }))).toMatch(/cannot be reached/);
  });

  test('no model, no weights, no right to them', async () => {
    expect(await failure(get({}, 'owner/other'))).toMatch(/there is no config\.json of owner\/other at/);
    files.delete(weights);
    expect(await failure(get())).toMatch(/has no weights as safetensors/);
    for (const [status, says] of [
      [401, /is not for everyone \(401\).*pass a token/],
      [403, /is not for everyone \(403\)/],
      [500, /cannot be had \(status 500\)/],
    ] as const) {
      answer = (_, response) => {
        response.writeHead(status).end();
        return true;
      };
      expect(await failure(get())).toMatch(says);
    }
  });

  test('redirects without end, or to elsewhere without a checksum', async () => {
    answer = (request, response) => {
      response.writeHead(307, { location: request.url! }).end();
      return true;
    };
    expect(await failure(get())).toMatch(/leads from one place to another more than 5 times/);
    answer = (_, response) => {
      response.writeHead(302, { location: `${originOf(store)}/config.json` }).end();
      return true;
    };
    expect(await failure(get())).toMatch(/leads to http.*, without a checksum/);
  });

  test('a renamed model is followed at its own origin', async () => {
    answer = (request, response) => {
      if (!request.url!.startsWith('/old/')) return false;
      response.writeHead(307, { location: request.url!.replace('/old/name/', '/owner/model/') }).end();
      return true;
    };
    expect(readdirSync(await get({}, 'old/name'))).toContain(weights);
  });

  test('an index that leads elsewhere', async () => {
    await serve(40_000);
    for (const name of ['../../escaped.safetensors', '/etc/passwd', 'model.bin', 3]) {
      files.set('model.safetensors.index.json', Buffer.from(JSON.stringify({ weight_map: { a: name } })));
      expect(await failure(get())).toMatch(/which is no file beside it/);
    }
    files.set('model.safetensors.index.json', Buffer.from('{'));
    expect(await failure(get())).toMatch(/is not JSON/);
    files.set(
      'model.safetensors.index.json',
      Buffer.from(JSON.stringify({ weight_map: { a: 'model-9.safetensors' } })),
    );
    expect(await failure(get())).toMatch(/lacks model-9\.safetensors, which its index names/);
  });

  test('a configuration without end', async () => {
    answer = (request, response) => {
      if (!request.url!.endsWith('config.json')) return false;
      response.writeHead(200, { 'content-length': 1e9, etag: 'x' }).end();
      return true;
    };
    expect(await failure(get())).toMatch(/has 1000000000 bytes, more than 100000000/);
  });

  test('a call that is broken off gives the reason', async () => {
    const stop = new AbortController();
    const loading = get({ signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) });
    await expect(loading).rejects.toThrow('enough');
  });

  test.each(['', '../x', 'a/b/c', 'a/../b', 'a b/c', '/abs', 'ftp://x/y/z'])('the name %j', async (id) => {
    await expect(get({}, id)).rejects.toThrow(ValueError);
  });

  test('revisions and files that are none', async () => {
    for (const revision of ['', '../main', 'a//b', '/a'])
      await expect(get({ revision })).rejects.toThrow(/is no revision/);
    await expect(get({ also: ['../x'] })).rejects.toThrow(/is no name of a file/);
  });
});
