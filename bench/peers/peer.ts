/** What is measured: the framework, or a peer that has been made ready. */
import type { Command } from '../run/process.ts';

/** A cold start, in the peer's language: its import, and a first product of two 64 × 64 matrices that is read back. */
export interface ColdStart {
  /** Appended to the names of the rows. */
  readonly label?: string;
  readonly language: 'js' | 'python';
  /** Where imports are looked up. */
  readonly cwd?: string;
  readonly load: string;
  readonly multiply: string;
}

export interface Peer {
  readonly name: string;
  readonly version: string;
  /** The program that measures a part of a benchmark, given the folder of the work. */
  program(part: string, folder: string): Command;
  /** The interpreter of its cold starts. */
  readonly interpreter: string;
  readonly coldStarts: readonly ColdStart[];
}

export type PeerName = 'jax-js' | 'tfjs' | 'torch';

/** A peer, or why it cannot be measured. */
export type Readied = Peer | { readonly name: PeerName; readonly reason: string };
