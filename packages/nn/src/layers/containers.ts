/** Modules made of modules: one after the other, listed, named. */
import { IndexError, ValueError, type Key, type Tensor } from '@infinigrad/tensor';
import { Module } from '../module.ts';
import { callLayer, type Layer } from './layer.ts';

function checkModule(op: string, what: string, value: unknown): void {
  if (!(value instanceof Module)) throw new ValueError(op, `${what} is not a module`);
}

/** Modules under the names 0, 1, … as in PyTorch. Plain arrays in fields do the same for modules that are never put in later. */
export class ModuleList<M extends Module = Module> extends Module {
  readonly [place: number]: M;
  length = 0;

  /** @throws ValueError for what is not a module */
  constructor(modules: Iterable<M> = []) {
    super();
    this.push(...modules);
  }

  /** Puts modules at the end. @returns the new length */
  push(...modules: readonly M[]): number {
    modules.forEach((module, i) => checkModule(this.constructor.name, `entry ${this.length + i}`, module));
    for (const module of modules) (this as Record<number, M>)[this.length++] = module;
    return this.length;
  }

  /** The module at a place; from the end where it is negative. @throws IndexError where there is none */
  at(place: number): M {
    const module = this[place < 0 ? place + this.length : place];
    if (!module || !Number.isInteger(place))
      throw new IndexError(this.constructor.name, `there is no entry ${place} among ${this.length}`);
    return module;
  }

  [Symbol.iterator](): IterableIterator<M> {
    return Array.from({ length: this.length }, (_, i) => this[i]!).values();
  }
}

/**
 * Layers one after the other: each gets what the one before gave. Those that draw (`takesKey`: dropout, and containers of
 * layers) each get a key of their own.
 */
export class Sequential extends ModuleList<Layer> {
  readonly takesKey = true as const;

  constructor(...layers: readonly Layer[]) {
    super(layers);
  }

  /** @param key for layers that draw; in training these throw a ValueError without one */
  forward(x: Tensor, key?: Key): Tensor {
    let [y, place] = [x, 0];
    for (const layer of this) y = callLayer(layer, y, key?.foldIn(place++));
    return y;
  }
}

/** Modules by name. A name must not be that of a member of Module (`forward`, `train`). */
export class ModuleDict<M extends Module = Module> extends Module {
  /** @throws ValueError for what is not a module, and for names that are taken */
  constructor(modules: Readonly<Record<string, M>> = {}) {
    super();
    for (const [name, module] of Object.entries(modules)) this.set(name, module);
  }

  /** Puts a module under a name, in place of one that was there. */
  set(name: string, module: M): this {
    checkModule('ModuleDict', name, module);
    if (name in this && !this.has(name)) throw new ValueError('ModuleDict', `the name ${name} is taken`);
    if (name === '' || name.includes('.'))
      throw new ValueError('ModuleDict', `'${name}' is no name of one part`);
    (this as unknown as Record<string, M>)[name] = module;
    return this;
  }

  /** The module of a name. @throws IndexError where there is none */
  get(name: string): M {
    if (!this.has(name))
      throw new IndexError('ModuleDict', `there is no module ${name}`, {
        hint: `there is ${[...this.keys()].join(', ')}`,
      });
    return (this as unknown as Record<string, M>)[name]!;
  }

  has(name: string): boolean {
    return Object.hasOwn(this, name) && (this as unknown as Record<string, unknown>)[name] instanceof Module;
  }

  keys(): IterableIterator<string> {
    return Object.keys(this)
      .filter((name) => this.has(name))
      .values();
  }

  [Symbol.iterator](): IterableIterator<[string, M]> {
    return [...this.keys()].map((name): [string, M] => [name, this.get(name)]).values();
  }
}

/** x as it is. */
export class Identity extends Module {
  forward(x: Tensor): Tensor {
    return x;
  }
}

/** Some neighbouring axes as one. */
export class Flatten extends Module {
  readonly start: number;
  readonly end: number;

  /** @param start first axis, default 1; end: last axis, default -1 */
  constructor(start = 1, end = -1) {
    super();
    this.start = start;
    this.end = end;
  }

  /** @throws IndexError where there are no such axes */
  forward(x: Tensor): Tensor {
    return x.flatten(this.start, this.end);
  }
}
