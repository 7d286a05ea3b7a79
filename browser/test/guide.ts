/** The app in docs/guide/browser.md, written to a folder and served by Vite with the configuration that the guide gives. */
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createServer } from 'vite';
import { conditions } from './serve.ts';

const root = resolve(import.meta.dirname, '../..');

/** The files that the guide shows, by name: each block of code whose first line is a comment with a name. */
export function filesOfGuide(): Map<string, string> {
  const text = readFileSync(join(root, 'docs/guide/browser.md'), 'utf8');
  return new Map(
    [...text.matchAll(/^```\w+\n((?:\/\/|<!--) ([\w.]+)[^]*?)^```$/gm)].map(([, code, name]) => [
      name!,
      code!,
    ]),
  );
}

export async function serveGuide(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'infinigrad-guide-'));
  symlinkSync(join(root, 'browser/node_modules'), join(folder, 'node_modules'));
  for (const [name, code] of filesOfGuide()) writeFileSync(join(folder, name), code);
  const server = await createServer({
    root: folder,
    configFile: join(folder, 'vite.config.js'),
    logLevel: 'error',
    cacheDir: join(folder, 'cache'),
    resolve: { conditions },
    server: { host: '127.0.0.1', port: 0, fs: { strict: false } },
  });
  await server.listen();
  return {
    url: server.resolvedUrls!.local[0]!,
    close: async () => {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
