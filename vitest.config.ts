import { defineConfig } from 'vitest/config';

const condition = '@infinigrad/source';
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
  test: { name, root, environment: 'node' as const, include: [include], testTimeout: 120_000 },
});

export default defineConfig({
  test: {
    // All processors: by default one is left idle.
    maxWorkers: '100%',
    coverage: { provider: 'v8', include: ['packages/*/src/**/*.ts'], reporter: ['text', 'lcov'] },
    projects: [
      ...['tensor', 'autograd', 'nn', 'zoo'].map((name) =>
        project(name, `packages/${name}`, 'test/**/*.test.ts'),
      ),
      project('examples', 'examples', '**/test/*.test.ts'),
      project('scripts', 'scripts', 'test/*.test.ts'),
      project('browser', 'browser', 'test/*.test.ts'),
    ],
  },
});
