/** What a trap is, and what it is tried with. */
import type { Gpu, Mode } from '@infinigrad/tensor/gpu';

export interface Bench {
  readonly mode: Mode;
  readonly gpu: Gpu;
  /** The GPU again, or another after a loss. */
  open(kernels?: number): Promise<Gpu>;
  /** Objects that live on the GPU by kind; empty where they cannot be counted. */
  alive(): Readonly<Record<string, number>>;
  /** What kernels were built from so far, as the driver got them; empty where that cannot be seen. */
  sources(): readonly string[];
  /** Has the driver complain. */
  offend(): void;
}

export interface Trap {
  readonly name: string;
  /** Where it can be tried; everywhere unless told. */
  readonly modes?: readonly Mode[];
  /** In a page of its own where textures seem to have no longer sides than this. */
  readonly side?: number;
  /** @throws Error where it snaps */
  run(bench: Bench): Promise<void>;
}
