/** What a bundler makes of a program: how large it is, and of which modules. */
import { relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type Rollup } from 'vite';
import { conditions } from './serve.ts';

export interface Bundled {
  /** Bytes, minified. */
  readonly bytes: number;
  /** Bytes, minified and compressed by gzip. */
  readonly zipped: number;
  /** Modules of which something is left, from the root of the workspace. */
  readonly modules: readonly string[];
}

const root = `${import.meta.dirname}/..`;
const name = 'virtual:program';

/** A production build of a module's text, which may import the workspace's packages. */
export async function bundleProgram(text: string): Promise<Bundled> {
  const result = await build({
    root,
    configFile: false,
    logLevel: 'error',
    resolve: { conditions },
    plugins: [
      {
        name: 'program',
        resolveId: (id) => (id === name ? `\0${name}` : null),
        load: (id) => (id === `\0${name}` ? text : null),
      },
    ],
    build: {
      write: false,
      target: 'es2022',
      reportCompressedSize: false,
      rollupOptions: { input: name },
    },
  });
  const { output } = (Array.isArray(result) ? result[0] : result) as Rollup.RollupOutput;
  const chunks = output.filter((file): file is Rollup.OutputChunk => file.type === 'chunk');
  const first = chunks.filter((chunk) => !chunk.isDynamicEntry);
  const code = first.map((chunk) => chunk.code).join('\n');
  const modules = first.flatMap((chunk) =>
    Object.entries(chunk.modules)
      .filter(([, module]) => module.renderedLength > 0)
      .map(([id]) => relative(`${root}/..`, id)),
  );
  return { bytes: Buffer.byteLength(code), zipped: gzipSync(code, { level: 9 }).length, modules };
}
