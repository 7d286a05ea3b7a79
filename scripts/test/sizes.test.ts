/** Bundles hold what is used, and the page of sizes says how large they are. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bundleProgram } from '../../browser/test/entry.ts';
import { entries, programOf } from '../sizes/page.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/reference/sizes.md'), 'utf8');

/** In kB: what the page says of an import. */
function written(what: string): number {
  const line = page.split('\n').find((one) => one.startsWith(`| ${what} `));
  return Number(line?.split('|')[2]);
}

/** Folders of nn, beside files of its root, that an import takes. */
async function foldersOf(name: string): Promise<string[]> {
  const { modules } = await bundleProgram(programOf({ names: [name], from: '@infinigrad/nn' }));
  const parts = modules.flatMap((id) => /^packages\/nn\/src\/([^/]+)\//.exec(id)?.[1] ?? []);
  return [...new Set(parts)].sort();
}

describe('bundles', () => {
  it('of one import hold what it needs of nn', async () => {
    expect(await foldersOf('Linear')).toEqual(['layers']);
    expect(await foldersOf('AdamW')).toEqual(['optim']);
    expect(await foldersOf('crossEntropy')).toEqual(['losses']);
    expect(await foldersOf('RotaryEmbedding')).toEqual(['positions']);
    const { modules } = await bundleProgram(programOf({ names: ['Linear'], from: '@infinigrad/nn' }));
    const layers = modules.filter((id) => id.startsWith('packages/nn/src/layers/'));
    expect(layers).toEqual(['packages/nn/src/layers/linear.ts']);
  }, 60_000);

  it('are as large as the page says, to a twentieth', async () => {
    for (const entry of [entries[0]!, entries.find(({ names }) => names[0] === 'MultiHeadAttention')!]) {
      const { bytes } = await bundleProgram(programOf(entry));
      const said = written(`\`${entry.names.join(', ')}\` of \`${entry.from}\``);
      expect(Math.abs(bytes / 1000 / said - 1), `${entry.names[0]}: pnpm docs:sizes`).toBeLessThan(0.05);
    }
  }, 60_000);
});
