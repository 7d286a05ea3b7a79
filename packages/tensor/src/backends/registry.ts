/** The backends at hand and the one that new tensors go to. */
import { BackendError } from '../errors.ts';
import { noteMove } from '../memory/storage.ts';
import type { Backend } from './backend.ts';
import { JsBackend } from './js/backend.ts';
import { WasmBackend } from './wasm/backend.ts';

const registry = new Map<string, Backend>();
const reference = registerBackend(new JsBackend());
/** WebAssembly where the host has it with SIMD, else the reference. */
let current: Backend = WasmBackend.supported() ? registerBackend(new WasmBackend()) : reference;

/** Makes a backend known by its name, in place of any of the same name. */
export function registerBackend(backend: Backend): Backend {
  backend.onMove = noteMove;
  registry.set(backend.name, backend);
  return backend;
}

/** The names of all backends at hand. */
export function backendNames(): string[] {
  return [...registry.keys()];
}

/** @throws BackendError where no backend has that name. */
export function getBackend(name: string): Backend {
  const backend = registry.get(name);
  if (!backend)
    throw new BackendError('getBackend', `there is no backend '${name}'`, {
      hint: `at hand: ${backendNames().join(', ')}`,
    });
  return backend;
}

/** The backend on which new tensors are made. */
export function currentBackend(): Backend {
  return current;
}

/** Makes a backend (by name) the one on which new tensors are made; tensors that exist stay where they are. */
export function setBackend(name: string): void {
  current = getBackend(name);
}

/** Runs `body` with another backend for new tensors. */
export function withBackend<T>(name: string, body: () => T): T {
  const before = current;
  setBackend(name);
  try {
    return body();
  } finally {
    current = before;
  }
}
