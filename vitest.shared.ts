/**
 * For projects whose test files share a process, which spares the loading of everything for each of them: a file must leave the
 * process as it found it, and says so itself where it does not.
 */
import { afterAll, expect } from 'vitest';
import { recording } from './packages/autograd/src/modes.ts';
import { currentBackend, currentScope } from './packages/tensor/src/index.ts';

afterAll(() => {
  expect(currentBackend().name, 'the backend that the file leaves behind').toBe('wasm');
  expect(currentScope(), 'the scope that the file leaves open').toBeNull();
  expect(recording(), 'whether gradients are recorded after the file').toBe(true);
});
