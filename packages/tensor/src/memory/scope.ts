/// <reference lib="esnext.disposable" preserve="true" />
/** Scopes: what is made inside is given back at the end, but for what is returned or kept. */
import type { Backend, BackendBuffer } from '../backends/backend.ts';
import { ValueError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { Storage, type Owner } from './storage.ts';

/** A tensor's attachment that leads to further tensors (autograd: to those that a backward pass needs). */
export interface Attachment {
  /** Tensors and attachments it leads to. */
  held?(): Iterable<Tensor | Attachment>;
}

let current: Scope | null = null;

export interface ScopeOptions {
  /**
   * Let elementwise ops wait until a result is read, kept or handed to another op, so that chains of them become one pass
   * over memory. The numbers are the same. Default false.
   */
  readonly fuse?: boolean;
}

/** Closes the scope at the end of the block: `using s = openScope()` (TypeScript 5.2), or call `close()`. */
export class Scope implements Owner {
  readonly #parent: Scope | null;
  readonly #storages: Storage[] = [];
  /** Elementwise ops called directly in it wait, so that chains of them become one pass. */
  readonly fuses: boolean;
  #open = true;

  constructor(parent: Scope | null, { fuse = false }: ScopeOptions = {}) {
    this.#parent = parent;
    this.fuses = fuse;
  }

  /** The scope around this one. */
  get parent(): Scope | null {
    return this.#parent;
  }

  add(storage: Storage): void {
    this.#storages.push(storage);
  }

  /** Lifts a storage of this scope into the one around it. */
  lift(storage: Storage): void {
    if (storage.pinned) storage.exported = true;
    else if (storage.owner === this) {
      if (this.#parent) storage.own(this.#parent);
      else storage.free();
    }
  }

  /** Runs `body` (synchronous) in the scope around this one, or in none where there is none. */
  suspend<T>(body: () => T): T {
    const before = current;
    current = this.#parent;
    try {
      return body();
    } finally {
      current = before;
    }
  }

  /** Gives back all that was made inside and not kept. */
  close(): void {
    if (!this.#open) return;
    if (current !== this)
      throw new ValueError('scope', 'scopes end innermost first', {
        hint: 'close the scopes opened inside before',
      });
    this.#open = false;
    current = this.#parent;
    for (const storage of this.#storages) if (storage.owner === this) storage.dispose();
  }
}

// Browsers that lack the symbol lack `using` too; what compiles it away defines the symbol under this name.
const disposeSymbol = (Symbol as { dispose?: symbol }).dispose ?? Symbol.for('Symbol.dispose');
Object.defineProperty(Scope.prototype, disposeSymbol, {
  value(this: Scope) {
    this.close();
  },
});
export interface Scope {
  /** For `using`. */
  [Symbol.dispose](): void;
}

/** A scope until its `close`. Most callers want `scope`. */
export function openScope(options: ScopeOptions = {}): Scope {
  return (current = new Scope(current, options));
}

/** The innermost scope, or null. */
export function currentScope(): Scope | null {
  return current;
}

/** True inside a scope. */
export function inScope(): boolean {
  return current !== null;
}

/** The innermost scope where it lets elementwise ops wait, else null. */
export function fusingScope(): Scope | null {
  return current?.fuses ? current : null;
}

/** The storage of a new buffer, owned by the scope at hand. */
export function newStorage(backend: Backend, buffer: BackendBuffer, bytes: number, madeBy: string): Storage {
  return new Storage(backend, buffer, bytes, madeBy, current);
}

/**
 * Runs `body` (synchronous). Tensors made inside are given back when it ends, but for those in its result (a tensor, or
 * arrays, maps and plain objects of them, with all that their gradients need) and those that were kept.
 */
export function scope<T>(body: () => T, options: ScopeOptions = {}): T {
  const inner = openScope(options);
  try {
    const result = body();
    if (result instanceof Promise)
      throw new ValueError(
        'scope',
        'the body is asynchronous: what it makes after its first await is outside',
        {
          hint: 'await first, or use openScope() and close()',
        },
      );
    lift(inner, result);
    return result;
  } finally {
    inner.close();
  }
}

/** Keeps a tensor (or all in arrays, maps and plain objects) beyond the scope at hand: for the scope around it, if there is one. */
export function keep<T>(value: T): T {
  if (current) lift(current, value);
  return value;
}

type Companion = (x: Tensor) => Tensor | undefined;

let companions: readonly Companion[] = [];

/**
 * Tells scopes of a further tensor that goes with one (its tangent, the one it stands for): what keeps the one keeps the
 * other. The function returned takes it back.
 */
export function accompany(companion: Companion): () => void {
  const own: Companion = (x) => companion(x);
  companions = [...companions, own];
  return () => {
    companions = companions.filter((other) => other !== own);
  };
}

/** The storages of a tensor and of all that goes with it. */
export function storagesOf(x: Tensor): readonly Storage[] {
  if (companions.length === 0) return [x.storage];
  const all = new Set([x]);
  for (const at of all)
    for (const companion of companions) {
      const other = companion(at);
      if (other) all.add(other);
    }
  return [...all].map(({ storage }) => storage);
}

/** Makes a tensor outlive all scopes, for caches. Returns it. */
export function pin(x: Tensor): Tensor {
  x.storage.pin();
  return x;
}

/**
 * Takes one pin from a storage whose tensor has been given another. After the last it goes with the scope at hand, or at
 * once where there is none; to the garbage collector where somebody may hold a handle to it.
 */
export function retire(storage: Storage): void {
  if (!storage.unpin()) return;
  if (storage.exported) storage.free();
  else if (current) storage.own(current);
  else storage.dispose();
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

// What a tensor is, without importing it: its module needs this one.
let isTensor: ((value: object) => value is Tensor) | null = null;

/** Tells scopes what a tensor is. */
export function recogniseTensors(test: (value: object) => value is Tensor): void {
  isTensor = test;
}

/** Lifts all storages that a value leads to, without recursion: graphs are deep. */
function lift(from: Scope, value: unknown): void {
  const values: unknown[] = [value];
  const attachments: Attachment[] = [];
  const seen = new Set<object>();
  const visit = (at: unknown): void => {
    if (typeof at !== 'object' || at === null || seen.has(at)) return;
    seen.add(at);
    if (isTensor?.(at)) {
      from.lift(at.storage);
      if (at.attachment) attachments.push(at.attachment);
      for (const companion of companions) values.push(companion(at));
    } else if (Array.isArray(at) || at instanceof Set) for (const item of at) values.push(item);
    else if (at instanceof Map) for (const item of at.values()) values.push(item);
    else if (isPlain(at)) for (const item of Object.values(at)) values.push(item);
  };
  while (values.length > 0 || attachments.length > 0) {
    if (values.length > 0) visit(values.pop());
    else {
      const at = attachments.pop()!;
      if (seen.has(at)) continue;
      seen.add(at);
      for (const held of at.held?.() ?? []) {
        if (isTensor?.(held)) values.push(held);
        else attachments.push(held as Attachment);
      }
    }
  }
}
