/** Buffers of the backend: what a tensor holds, and what the GPU holds for it. */
import type { BackendBuffer } from '../backend.ts';
import type { Handle } from './device.ts';

/** Memory on the GPU, from when it is asked for until it is given back. Does not lead to the buffer that it is for. */
export interface Home {
  readonly length: number;
  /** The elements, once they are there. */
  handle: Handle | null;
  /** Why they never will be, or null. */
  failure: Error | null;
  freed: boolean;
  /** The elements as they were uploaded, where the host may want them again: single numbers, and integers. */
  readonly host: Float32Array | null;
}

/** What a tensor holds. */
export class GpuBuffer {
  readonly home: Home;

  constructor(length: number, host: Float32Array | null = null) {
    this.home = { length, handle: null, failure: null, freed: false, host };
  }
}

export function homeOf(buffer: BackendBuffer): Home {
  return (buffer as GpuBuffer).home;
}
