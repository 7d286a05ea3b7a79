/** The framework, as one of those that are measured. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Peer } from '../peers/peer.ts';

const bench = resolve(import.meta.dirname, '..');

/** The name under which a backend's figures stand. */
export function ownName(backend: string): string {
  return backend === 'wasm' ? 'infinigrad' : `infinigrad-${backend}`;
}

export function ownPeer(backend: string): Peer {
  const { version } = JSON.parse(readFileSync(join(bench, 'package.json'), 'utf8')) as { version: string };
  const program = join(import.meta.dirname, 'main.ts');
  const multiply = `setBackend('${backend}');
    const a = ones([64, 64]);
    a.matmul(a).dataSync();`;
  return {
    name: ownName(backend),
    version,
    program: (part, folder) => ({
      // The packages as they are published: what runs TypeScript from its sources names each closure that is made.
      command: [process.execPath, '--import', 'tsx', program, part, folder],
      cwd: resolve(bench, '..'),
    }),
    interpreter: process.execPath,
    coldStarts: [
      {
        language: 'js',
        cwd: bench,
        load: `const { ones, setBackend } = await import('@infinigrad/tensor'); await import('@infinigrad/nn');`,
        multiply,
      },
      {
        label: 'without gradients',
        language: 'js',
        cwd: bench,
        load: `const { ones, setBackend } = await import('@infinigrad/tensor');`,
        multiply,
      },
    ],
  };
}
