/** The buffer behind a tensor and its views, and the three ways in which its memory comes back. */
import type { Backend, BackendBuffer } from '../backends/backend.ts';
import { DisposedError, internalError, type OperandInfo } from '../errors.ts';
import { closeEntry, currentSite, moveEntry, openEntry, reopenEntry, type Entry } from './account.ts';

/** What a scope is to the storages made in it. */
export interface Owner {
  add(storage: Storage): void;
}

interface Held {
  readonly entry: Entry;
  readonly backend: Backend;
  readonly claim: object | null;
}

// Nothing here leads to a buffer: what does would keep it alive until the event loop turns.
const collected = new FinalizationRegistry<Held>(({ entry, backend, claim }) => {
  closeEntry(entry);
  if (claim) backend.free(claim);
});

/** What is registered, by claim. */
const byClaim = new WeakMap<object, Held>();

/**
 * A buffer that was moved out is the garbage collector's alone: nothing is left to be given back, and it is not counted.
 * Where many are made without a scope and without the event loop turning, this is what keeps the registry short.
 */
export function noteMove(claim: object, out: boolean): void {
  const held = byClaim.get(claim);
  if (!held) return;
  if (out) {
    collected.unregister(claim);
    closeEntry(held.entry);
  } else reopenEntry(held.entry);
}

export class Storage {
  readonly backend: Backend;
  readonly bytes: number;
  /** The op or function that made it. */
  readonly madeBy: string;
  readonly #site: string | null;
  #entry: Entry | null = null;
  #buffer: BackendBuffer | null = null;
  /** Makes the buffer when it is first wanted. */
  #make: (() => BackendBuffer) | null;
  #owner: Owner | null = null;
  #pins = 0;
  #registered = false;
  /** True where somebody may hold a handle to it beyond the scope at hand. Matters while it is pinned. */
  exported = false;

  /** @param source the buffer, or what makes it when it is first wanted (only within a scope that settles or drops it) */
  constructor(
    backend: Backend,
    source: BackendBuffer | (() => BackendBuffer),
    bytes: number,
    madeBy: string,
    owner: Owner | null,
  ) {
    this.backend = backend;
    this.bytes = bytes;
    this.madeBy = madeBy;
    this.#site = currentSite();
    this.#make = typeof source === 'function' ? (source as () => BackendBuffer) : null;
    this.#owner = owner;
    owner?.add(this);
    if (!this.#make) this.#hold(source);
  }

  /** Why nobody can read the elements, or null. */
  get unreadable(): { readonly problem: string; readonly hint: string } | null {
    return null;
  }

  get buffer(): BackendBuffer {
    this.settle();
    if (this.#buffer === null)
      throw internalError(`a buffer made by ${this.madeBy} is used after it was given back`);
    return this.#buffer;
  }

  /** True until the buffer has been made. */
  get pending(): boolean {
    return this.#make !== null;
  }

  /** Makes the buffer if it has not been made. */
  settle(): void {
    const make = this.#make;
    if (!make) return;
    this.#make = null;
    this.#hold(make());
  }

  #hold(buffer: BackendBuffer): void {
    this.#buffer = buffer;
    this.#entry = openEntry(this.bytes, this.#owner ? 'scoped' : 'free', this.madeBy, this.#site);
    if (!this.#owner) this.#register();
  }

  /** The scope that gives it back; null where it is the garbage collector that does. */
  get owner(): Owner | null {
    return this.#owner;
  }

  get pinned(): boolean {
    return this.#pins > 0;
  }

  get disposed(): boolean {
    return this.#buffer === null && this.#make === null;
  }

  /** Hands it to a scope. */
  own(owner: Owner): void {
    this.settle();
    this.#owner = owner;
    this.#unregister();
    moveEntry(this.#entry!, 'scoped');
    owner.add(this);
  }

  /** Leaves it to the garbage collector. */
  free(): void {
    this.settle();
    this.#owner = null;
    moveEntry(this.#entry!, 'free');
    this.#register();
  }

  /** Makes it outlive every scope, until it has been unpinned as often as pinned. */
  pin(): void {
    this.settle();
    if (this.#pins++ > 0) return;
    // Whoever made it outside a scope has a handle to it.
    this.exported ||= this.#owner === null;
    this.#owner = null;
    moveEntry(this.#entry!, 'pinned');
    this.#register();
  }

  /** Takes one pin away. @returns true where it was the last: the storage then has no owner */
  unpin(): boolean {
    return this.#pins > 0 && --this.#pins === 0;
  }

  /** Gives the memory back now. */
  dispose(): void {
    this.#make = null;
    if (this.#buffer === null) return;
    const claim = this.backend.claim(this.#buffer);
    this.#unregister();
    this.#buffer = null;
    this.#owner = null;
    this.#pins = 0;
    closeEntry(this.#entry!);
    if (claim) this.backend.free(claim);
  }

  /** @throws DisposedError where the memory has been given back */
  check(op: string, operands: readonly OperandInfo[]): void {
    if (!this.disposed) return;
    const site = this.#site === null ? '' : `, made at ${this.#site}`;
    throw new DisposedError(op, `a tensor's scope has ended (it was made by ${this.madeBy}${site})`, {
      operands,
      hint: `return it from its scope or keep() it${this.#site === null ? '; setMemoryDebug(true) tells where it was made' : ''}`,
    });
  }

  #register(): void {
    if (this.#registered || this.#buffer === null) return;
    this.#registered = true;
    const claim = this.backend.claim(this.#buffer);
    const held = { entry: this.#entry!, backend: this.backend, claim };
    if (claim) byClaim.set(claim, held);
    collected.register(this, held, claim ?? this);
  }

  #unregister(): void {
    if (!this.#registered) return;
    this.#registered = false;
    const claim = this.#buffer && this.backend.claim(this.#buffer);
    if (claim) byClaim.delete(claim);
    collected.unregister(claim ?? this);
  }
}
