/** Gives back what a graph has saved as soon as no node that is left needs it. */
import type { Scope, Storage, Tensor } from '@infinigrad/tensor';
import { Node, type Source } from './graph.ts';

export class Consumption {
  readonly #owner: Scope | null;
  /** How many nodes still need a storage. */
  readonly #uses = new Map<Storage, number>();
  readonly #spared: ReadonlySet<Storage>;

  /**
   * @param spared tensors that stay
   * @param owner the scope whose storages are given back
   */
  constructor(graph: readonly Source[], spared: readonly Tensor[], owner: Scope | null) {
    this.#owner = owner;
    this.#spared = new Set(spared.map(({ storage }) => storage));
    for (const node of graph)
      if (node instanceof Node)
        for (const storage of node.storages()) this.#uses.set(storage, (this.#uses.get(storage) ?? 0) + 1);
  }

  /**
   * Releases a node. Of what it alone still needed, that which the owner holds is given back.
   * @param busy whether a gradient lies in a storage
   */
  release(node: Node, busy: (storage: Storage) => boolean): void {
    const storages = [...node.storages()];
    node.release();
    for (const storage of storages) {
      const left = this.#uses.get(storage)! - 1;
      this.#uses.set(storage, left);
      if (left > 0 || !this.#owner || storage.owner !== this.#owner) continue;
      if (!this.#spared.has(storage) && !busy(storage)) storage.dispose();
    }
  }
}
