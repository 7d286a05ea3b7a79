/** Buffers behind tensors, and the account of them. */
import type { Backend, BackendBuffer } from './backends/backend.ts';

/** A buffer and the backend it lives on; shared by all views of it. */
export interface Storage {
  readonly backend: Backend;
  readonly buffer: BackendBuffer;
  readonly bytes: number;
}

export interface MemoryStats {
  /** Bytes in buffers not yet found unreachable; a collected buffer leaves the count when the event loop next turns. */
  readonly bytes: number;
  /** The highest that `bytes` has been. */
  readonly peakBytes: number;
  /** Buffers behind `bytes`. */
  readonly buffers: number;
  /** Buffers allocated since the start. */
  readonly allocations: number;
  /** Bytes allocated since the start. */
  readonly allocatedBytes: number;
}

const account = { bytes: 0, peakBytes: 0, buffers: 0, allocations: 0, allocatedBytes: 0 };

interface Claim {
  readonly backend: Backend;
  readonly claim: object;
  readonly bytes: number;
}

// Nothing here leads to a buffer: a WeakRef made here would keep its buffer alive until the event loop turns.
const collected = new FinalizationRegistry<number | Claim>((held) => {
  account.bytes -= typeof held === 'number' ? held : held.bytes;
  account.buffers--;
  if (typeof held !== 'number') held.backend.free(held.claim);
});

export function newStorage(backend: Backend, buffer: BackendBuffer, bytes: number): Storage {
  const storage: Storage = { backend, buffer, bytes };
  account.allocations++;
  account.allocatedBytes += bytes;
  account.buffers++;
  account.bytes += bytes;
  if (account.bytes > account.peakBytes) account.peakBytes = account.bytes;
  const claim = backend.claim(buffer);
  collected.register(storage, claim ? { backend, claim, bytes } : bytes);
  return storage;
}

/** What tensors hold in memory, over all backends. */
export function memoryStats(): MemoryStats {
  return { ...account };
}
