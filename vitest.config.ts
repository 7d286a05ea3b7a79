import { configDefaults, defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const condition = '@infinigrad/source';
const pathOf = (file: string): string => new URL(file, import.meta.url).pathname;
const setup = pathOf('vitest.setup.ts');
const shared = {
  resolve: { conditions: [condition, 'module', 'browser', 'development|production'] },
  ssr: {
    resolve: {
      conditions: [condition, 'module', 'node', 'development|production'],
      externalConditions: [condition],
    },
  },
};
/** Tests of a GPU, which is opened once for a process. */
const onGpu = ['test/gpu/*.test.ts', 'test/**/gpu.test.ts'];

interface Sharing {
  /** Whether its files share processes, which takes two thirds of the time, or have one each. */
  readonly shares?: boolean;
  readonly exclude?: string[];
}

const project = (
  name: string,
  root: string,
  include: string[],
  { shares = false, exclude = [] }: Sharing = {},
) => ({
  ...shared,
  test: {
    name,
    root,
    environment: 'node' as const,
    include,
    exclude: [...configDefaults.exclude, ...exclude],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    isolate: !shares,
    setupFiles: shares ? [setup, pathOf('vitest.shared.ts')] : [setup],
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
      // Tensor's tests are about memory, threads and backends: about the process.
      project('tensor', 'packages/tensor', ['test/**/*.test.ts']),
      ...['autograd', 'nn', 'zoo', 'cli'].map((name) =>
        project(name, `packages/${name}`, ['test/**/*.test.ts'], { shares: true, exclude: onGpu }),
      ),
      project(
        'gpu',
        'packages',
        onGpu.map((files) => `{autograd,nn,zoo}/${files}`),
      ),
      project('examples', 'examples', ['**/test/*.test.ts']),
      project('scripts', 'scripts', ['test/*.test.ts']),
      project('browser', 'browser', ['test/*.test.ts']),
    ],
  },
});
