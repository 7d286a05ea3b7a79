/**
 * For projects whose test files share a process, which spares the loading of everything for each of them: a file must leave the
 * process as it found it, and says so itself where it does not. What earlier files have left to the garbage collector is
 * collected first, so that a file that counts bytes counts its own.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect } from 'vitest';
import { recording } from './packages/autograd/src/modes.ts';
import { currentBackend, currentScope } from './packages/tensor/src/index.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

beforeAll(async () => {
  collect();
  // What was collected is told when the event loop turns.
  await new Promise((resolve) => setTimeout(resolve, 0));
});

afterAll(() => {
  expect(currentBackend().name, 'the backend that the file leaves behind').toBe('wasm');
  expect(currentScope(), 'the scope that the file leaves open').toBeNull();
  expect(recording(), 'whether gradients are recorded after the file').toBe(true);
});
