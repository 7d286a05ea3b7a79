/** What the page and the host of a backend say to each other. */
import type { CellReport, PasskeyRecipe, StepReport } from '@infinigrad/zoo';

export const backendNames = ['wasm', 'webgpu', 'webgl2', 'js'] as const;
export type BackendName = (typeof backendNames)[number];

/** What is tried when a model is trained: lengths in multiples of the training length, and sequences of each. */
export interface Trial {
  readonly recipe: PasskeyRecipe;
  readonly multiples: readonly number[];
  readonly samples: number;
}

export type ToHost =
  | { readonly kind: 'open'; readonly backend: BackendName; readonly force: boolean }
  | { readonly kind: 'train'; readonly trial: Trial }
  | { readonly kind: 'stop' };

/** How a backend was found: the adapter as its driver calls it, or why there is none. */
export type Found =
  | { readonly adapter: string }
  | {
      readonly lack: string;
      /** True where this thread has no way to it at all, so that another one may. */
      readonly unreachable: boolean;
    };

/** A step, and when it was done: seconds since training began. */
export type Step = Pick<StepReport, 'step' | 'loss' | 'tokens'> & { readonly seconds: number };
export type Cell = Pick<CellReport, 'multiple' | 'exactMatch' | 'samples'>;

export type FromHost =
  | { readonly kind: 'found'; readonly found: Found }
  | { readonly kind: 'step'; readonly step: Step }
  | { readonly kind: 'cell'; readonly cell: Cell }
  | { readonly kind: 'end'; readonly end: End };

/** How training ended. */
export type End =
  | { readonly kind: 'done' | 'stopped' }
  | { readonly kind: 'failed'; readonly message: string };
