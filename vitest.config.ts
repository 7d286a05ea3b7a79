import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const condition = '@infinigrad/source';
const setup = new URL('vitest.setup.ts', import.meta.url).pathname;
const shared = {
  resolve: { conditions: [condition, 'module', 'browser', 'development|production'] },
  ssr: {
    resolve: {
      conditions: [condition, 'module', 'node', 'development|production'],
      externalConditions: [condition],
    },
  },
};
const project = (name: string, root: string, include: string) => ({
  ...shared,
  test: {
    name,
    root,
    environment: 'node' as const,
    include: [include],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    setupFiles: [setup],
  },
});

/** What takes longest, the longest first: all else is a matter of seconds. */
const longest = [
  'autograd/test/laws-second',
  'examples/readme/test/readme',
  'browser/test/browser',
  'tensor/test/backends/wasm',
  'tensor/test/ops/laws',
  'autograd/test/laws',
  'tensor/test/dtypes/halves',
  'examples/passkey/test/resume',
  'cli/test/process',
  'autograd/test/broken-rules',
  'examples/passkey/test/run',
];

/** Begins with what takes longest, so that no processor is left alone with it; a fresh clone knows no earlier timings. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = longest.findIndex((name) => moduleId.includes(`/${name}.`));
      return at < 0 ? longest.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    // All processors: by default one is left idle.
    maxWorkers: '100%',
    sequence: { sequencer: LongestFirst },
    coverage: { provider: 'v8', include: ['packages/*/src/**/*.ts'], reporter: ['text', 'lcov'] },
    projects: [
      ...['tensor', 'autograd', 'nn', 'zoo', 'cli'].map((name) =>
        project(name, `packages/${name}`, 'test/**/*.test.ts'),
      ),
      project('examples', 'examples', '**/test/*.test.ts'),
      project('scripts', 'scripts', 'test/*.test.ts'),
      project('browser', 'browser', 'test/*.test.ts'),
    ],
  },
});
