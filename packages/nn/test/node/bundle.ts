/** One file of a module and all it needs, so that a process or a thread begins in a fraction of a second. */
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** @param entry beside this file */
export async function bundle(entry: string, outfile: string): Promise<void> {
  const require = createRequire(import.meta.url);
  const { build } = createRequire(require.resolve('tsx/package.json'))('esbuild') as {
    build: (options: object) => Promise<unknown>;
  };
  await build({
    entryPoints: [join(import.meta.dirname, entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['log-update'],
    conditions: ['@infinigrad/source'],
  });
}
