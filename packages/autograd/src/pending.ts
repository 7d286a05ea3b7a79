/** Gradients on their way: added up, and given back as soon as they have been passed on. */
import { openScope, type Scope, type Storage, type Tensor } from '@infinigrad/tensor';
import type { Source } from './graph.ts';

export class Pending {
  /** The gradient so far, by where it arrives. */
  readonly gradients = new Map<Source, Tensor>();
  /** All that the pass makes; null where the pass itself is recorded and everything stays for its graph. */
  readonly #scope: Scope | null;
  /** How many gradients lie in a storage. */
  readonly #uses = new Map<Storage, number>();
  /** Storages that the pass has made. */
  readonly #own = new Set<Storage>();
  #added: Tensor[] = [];
  #replaced: Tensor[] = [];

  constructor(recorded: boolean) {
    this.#scope = recorded ? null : openScope();
  }

  add(source: Source, g: Tensor): void {
    const before = this.gradients.get(source);
    const sum = before ? before.add(g) : g;
    this.gradients.set(source, sum);
    this.#uses.set(sum.storage, (this.#uses.get(sum.storage) ?? 0) + 1);
    this.#added.push(sum);
    // The sum may still wait for it.
    if (before) this.#replaced.push(before);
  }

  /**
   * Runs the rules of one node. What they make on the way is given back, but for the gradients added; chains of elementwise
   * ops in them become one pass.
   */
  visit(body: () => void): void {
    if (!this.#scope) return body();
    const inner = openScope({ fuse: true });
    this.#added = [];
    this.#replaced = [];
    try {
      body();
      const replaced = new Set(this.#replaced);
      for (const g of this.#added)
        if (!replaced.has(g) && g.storage.owner === inner) {
          inner.lift(g.storage);
          this.#own.add(g.storage);
        }
      for (const g of replaced) this.#drop(g);
    } finally {
      inner.close();
    }
  }

  /** The gradient of a source has been passed on. */
  done(source: Source): void {
    const g = this.gradients.get(source);
    this.gradients.delete(source);
    if (g) this.#drop(g);
  }

  /** Ends the pass; the gradients left are what it was for. */
  close(): void {
    if (!this.#scope) return;
    for (const { storage } of this.gradients.values()) this.#scope.lift(storage);
    this.#scope.close();
  }

  #drop({ storage }: Tensor): void {
    const left = this.#uses.get(storage)! - 1;
    this.#uses.set(storage, left);
    if (left > 0) return;
    this.#uses.delete(storage);
    if (this.#own.delete(storage)) storage.dispose();
  }
}
