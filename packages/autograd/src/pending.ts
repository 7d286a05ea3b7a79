/** Gradients on their way: added up, and given back as soon as they have been passed on. */
import {
  bytesPerElement,
  openScope,
  storagesOf,
  type Scope,
  type Storage,
  type Tensor,
} from '@infinigrad/tensor';
import { Leaf, type Source } from './source.ts';

/** A small part of a large tensor by itself: a leaf's gradient stays to the end of the pass, what it lies in need not. */
function compact(g: Tensor): Tensor {
  return g.storage.bytes > 2 * g.size * bytesPerElement(g.dtype) ? g.clone() : g;
}

export class Pending {
  /** The gradient so far, by where it arrives. */
  readonly gradients = new Map<Source, Tensor>();
  /** All that the pass makes; null where the pass itself is recorded and everything stays for its graph. */
  readonly #scope: Scope | null;
  /** How many gradients lie in a storage. */
  readonly #uses = new Map<Storage, number>();
  /** Storages that the pass has made. */
  readonly #own = new Set<Storage>();
  /** Storages in which gradients have come to lie during a visit, and those in which none lies any more. */
  #added: Storage[] = [];
  readonly #idle = new Set<Storage>();

  constructor(recorded: boolean) {
    this.#scope = recorded ? null : openScope();
  }

  add(source: Source, g: Tensor): void {
    const before = this.gradients.get(source);
    const sum = before ? before.add(g) : this.#scope && source instanceof Leaf ? compact(g) : g;
    this.#put(source, sum);
    if (before) this.#leave(before);
  }

  #put(source: Source, g: Tensor): void {
    this.gradients.set(source, g);
    for (const storage of storagesOf(g)) {
      this.#uses.set(storage, (this.#uses.get(storage) ?? 0) + 1);
      this.#added.push(storage);
    }
  }

  /**
   * Runs the rules of one node. What they make on the way is given back, but for the gradients added; chains of elementwise
   * ops in them become one pass.
   */
  visit(body: () => void): void {
    if (!this.#scope) return body();
    const inner = openScope({ fuse: true });
    this.#added = [];
    try {
      body();
      for (const storage of this.#added)
        if (this.#uses.has(storage) && storage.owner === inner) {
          inner.lift(storage);
          this.#own.add(storage);
        }
      // Only now: the sums lifted may have waited for what they replace.
      this.#sweep();
    } finally {
      inner.close();
    }
  }

  /** Puts another gradient in the place of a source's. */
  replace(source: Source, g: Tensor): void {
    const before = this.gradients.get(source)!;
    this.#put(source, g);
    this.#leave(before);
    this.#sweep();
  }

  /** True where a gradient lies in the storage. */
  readonly holds = (storage: Storage): boolean => this.#uses.has(storage);

  /** Runs what may keep `g` for itself: it and what is made lives as if there were no pass. */
  outside<T>(g: Tensor, body: () => T): T {
    const scope = this.#scope;
    if (!scope) return body();
    for (const storage of storagesOf(g)) {
      let owner = storage.owner as Scope | null;
      while (owner && owner !== scope) owner = owner.parent;
      if (!owner) continue;
      this.#own.delete(storage);
      if (scope.parent) storage.own(scope.parent);
      else storage.free();
    }
    return scope.suspend(body);
  }

  /** Runs a part of the pass that needs memory of its own: of what is made, only gradients stay. */
  within(body: () => void): void {
    if (!this.#scope) return body();
    const inner = openScope();
    try {
      body();
      for (const storage of this.#uses.keys()) if (storage.owner === inner) inner.lift(storage);
    } finally {
      inner.close();
    }
  }

  /** The gradient of a source has been passed on. */
  done(source: Source): void {
    const g = this.gradients.get(source);
    this.gradients.delete(source);
    if (!g) return;
    this.#leave(g);
    this.#sweep();
  }

  /** Ends the pass; the gradients left are what it was for. */
  close(): void {
    if (!this.#scope) return;
    for (const g of this.gradients.values()) for (const storage of storagesOf(g)) this.#scope.lift(storage);
    this.#scope.close();
  }

  /** One gradient fewer lies in its storages. */
  #leave(g: Tensor): void {
    for (const storage of storagesOf(g)) {
      const left = this.#uses.get(storage)! - 1;
      if (left > 0) this.#uses.set(storage, left);
      else {
        this.#uses.delete(storage);
        this.#idle.add(storage);
      }
    }
  }

  /** Gives back what the pass has made and no gradient lies in. */
  #sweep(): void {
    for (const storage of this.#idle)
      if (!this.#uses.has(storage) && this.#own.delete(storage)) storage.dispose();
    this.#idle.clear();
  }
}
