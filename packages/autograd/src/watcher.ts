/** Who looks on while gradients are made; nobody, unless anomaly detection is on. */
import type { Tensor } from '@infinigrad/tensor';
import type { Node } from './graph.ts';

export interface Watcher {
  /** A node has been recorded, outside the sight of interceptors. */
  recorded(node: Node): void;
  /** Runs a backward pass. */
  during<T>(pass: () => T): T;
  /** In the place of `node.pull`. */
  pull(node: Node, gradients: readonly Tensor[], k: number): Tensor | null;
}

export let watcher: Watcher | null = null;

export function setWatcher(next: Watcher | null): void {
  watcher = next;
}

/** Runs a backward pass in the sight of who looks on. */
export function watched<T>(pass: () => T): T {
  return watcher ? watcher.during(pass) : pass();
}
