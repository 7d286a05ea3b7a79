/** Bundles pages as an app would, and serves them from memory under various headers. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { build, defaultClientConditions, type Rollup } from 'vite';

/** The packages' sources, not what was built of them. */
export const conditions = ['@infinigrad/source', ...defaultClientConditions];

/** Contents by file name. */
export type Bundle = ReadonlyMap<string, string | Uint8Array>;

/** A production build, minified, of the index.html in `root`. */
export async function bundle(root: string): Promise<Bundle> {
  const result = await build({
    root,
    configFile: false,
    logLevel: 'error',
    base: './',
    resolve: { conditions },
    worker: { format: 'es' },
    build: { write: false, target: 'es2022', reportCompressedSize: false },
  });
  const { output } = (Array.isArray(result) ? result[0] : result) as Rollup.RollupOutput;
  return new Map(output.map((file) => [file.fileName, file.type === 'chunk' ? file.code : file.source]));
}

const isolated = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};
const policies = {
  open: {},
  isolated,
  /** Threads cannot start: their workers come from blobs. */
  noBlobs: { ...isolated, 'Content-Security-Policy': "worker-src 'self'" },
  /** WebAssembly may be compiled, JavaScript may not. */
  noEval: { ...isolated, 'Content-Security-Policy': "script-src 'self' 'wasm-unsafe-eval' blob:" },
  /** Neither may. */
  noCompiling: { 'Content-Security-Policy': "script-src 'self'" },
} as const satisfies Record<string, Record<string, string>>;

/** What a page is served with: the first part of its path. */
export type Policy = keyof typeof policies;

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
};

/** @param port one that is free unless told */
export async function serve(
  files: Bundle,
  port = 0,
): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((request, response) => {
    const [, policy, ...rest] = new URL(request.url!, 'http://localhost').pathname.split('/');
    const name = rest.join('/') || 'index.html';
    const content = files.get(name);
    if (content === undefined || !Object.hasOwn(policies, policy!)) {
      response.writeHead(404).end();
      return;
    }
    response
      .writeHead(200, { 'Content-Type': types[extname(name)]!, ...policies[policy as Policy] })
      .end(content);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve);
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}
