/** Modules: trees of parameters with names, a training flag, and a state that can be saved and loaded. */
import type { Tensor } from '@infinigrad/tensor';
import { copyOf } from './copy.ts';
import { hookAfter, hookBefore, type AfterForward, type BeforeForward } from './hooks.ts';
import { moveTo, moveToLater, type MoveOptions } from './move.ts';
import type { ModuleBuffer, Parameter } from './parameter.ts';
import { pick, type NamePattern } from './pattern.ts';
import { loadState, persistentLeaves, type LoadOptions, type LoadReport } from './state.ts';
import { childrenOf, survey, TreeNode, type Leaf } from './tree.ts';

/**
 * Base class of everything with parameters. Parameters, buffers and modules are found in the fields of an instance, also
 * inside arrays and plain objects; a name is the path to it, `layers.0.attention.qProj.weight`. Fields whose names
 * start with `#` are not seen.
 */
export abstract class Module extends TreeNode {
  /** Sets `training` here and in every module below. */
  train(mode = true): this {
    for (const module of this.namedModules().values()) module.training = mode;
    return this;
  }

  /** `train(false)`. */
  eval(): this {
    return this.train(false);
  }

  /** Every parameter by its path. One that can be reached twice has the first name only. Inside `functionalCall`, what stands in for it. */
  namedParameters(): Map<string, Parameter> {
    return tensorsOf<Parameter>(this, 'parameter');
  }

  /** Every parameter once, in the order of `namedParameters`. */
  parameters(): Parameter[] {
    return [...this.namedParameters().values()];
  }

  /** Every buffer by its path, persistent or not. Inside `functionalCall`, what stands in for it. */
  namedBuffers(): Map<string, ModuleBuffer> {
    return tensorsOf<ModuleBuffer>(this, 'buffer');
  }

  /** Every buffer once, in the order of `namedBuffers`. */
  buffers(): ModuleBuffer[] {
    return [...this.namedBuffers().values()];
  }

  /** This module (under the name '') and every module below, by its path; each once. */
  namedModules(): Map<string, Module> {
    return survey(this).nodes as Map<string, Module>;
  }

  /** This module and every module below, in the order of `namedModules`. */
  modules(): Module[] {
    return [...this.namedModules().values()];
  }

  /** The modules in the fields of this one, not those below them, by their paths; each once. */
  namedChildren(): Map<string, Module> {
    return childrenOf(this) as Map<string, Module>;
  }

  /** The modules in the fields of this one, in the order of `namedChildren`. */
  children(): Module[] {
    return [...this.namedChildren().values()];
  }

  /** Calls `f` with every module, this one last, as PyTorch's `apply`. */
  apply(f: (module: Module, name: string) => void): this {
    for (const [name, module] of [...this.namedModules()].reverse()) f(module, name);
    return this;
  }

  /**
   * Parameters stop needing gradients, so that none are computed and optimizers pass over them.
   * @param which all unless told: `freeze('layers.0')`, `freeze(/bias$/)`
   * @returns the names of the parameters meant
   * @throws ValueError for a pattern that fits no parameter
   */
  freeze(which?: NamePattern): string[] {
    return setRequiresGrad(this, 'freeze', which, false);
  }

  /** Undoes `freeze`. */
  unfreeze(which?: NamePattern): string[] {
    return setRequiresGrad(this, 'unfreeze', which, true);
  }

  /**
   * Calls `hook` after each call of this module's `forward`, with the inputs and the output; what it returns, unless that is
   * undefined, takes the output's place. A `forward` that calls itself is one call.
   * @returns what takes the hook off
   * @throws ValueError where the module has no `forward`
   */
  onForward<M extends Module>(this: M, hook: AfterForward<NoInfer<M>>): () => void {
    return hookAfter(this, hook);
  }

  /** Calls `hook` before each call of this module's `forward`; an array that it returns takes the place of the inputs. */
  beforeForward<M extends Module>(this: M, hook: BeforeForward<NoInfer<M>>): () => void {
    return hookBefore(this, hook);
  }

  /** The values of all parameters and persistent buffers as they are now, without history; later updates do not change them. */
  stateDict(): Record<string, Tensor> {
    return Object.fromEntries(persistentLeaves(this).map(({ name, tensor }) => [name, tensor.detach()]));
  }

  /**
   * Gives parameters and buffers the values of a state, converted to their dtypes and brought to their backends. Nothing is changed
   * where it throws, and nothing waits. An entry under any name of a tied parameter will do.
   * @returns what was left out, on either side
   * @throws StateError (a ValueError with the report) that lists all that does not fit and, in strict mode, all that is missing or
   * unexpected
   */
  loadStateDict(state: Readonly<Record<string, Tensor>>, options: LoadOptions = {}): LoadReport {
    return loadState(this, state, options);
  }

  /** The number of numbers in all parameters together; shared ones count once. */
  numParameters(): number {
    return this.parameters().reduce((total, { size }) => total + size, 0);
  }

  /**
   * A module of the same class with parameters and buffers of its own (tied ones stay tied), of the same values. Arrays, plain
   * objects and modules in its fields are copied too, all else is shared; hooks and gradients stay behind. Elements are shared until
   * either side changes them. Not for classes with `#private` fields, nor for those that hold functions bound to themselves.
   */
  deepCopy(): this {
    return copyOf(this);
  }

  /**
   * Parameters and buffers, and gradients, become those of another dtype or backend; they stay the same objects, so that optimizers
   * keep them. Integer buffers keep their dtypes. Tensor hooks on what changes are taken off.
   * @throws BackendError where a backend is not at hand, or what lies on one cannot be read at once (`toAsync` waits)
   */
  to(options: MoveOptions): this {
    moveTo(this, options);
    return this;
  }

  /** As `to`, also from backends whose elements are not in this process's memory. */
  async toAsync(options: MoveOptions): Promise<this> {
    await moveToLater(this, options);
    return this;
  }
}

function tensorsOf<T extends Tensor>(module: Module, kind: Leaf['kind']): Map<string, T> {
  const found = new Map<string, T>();
  for (const leaf of survey(module).leaves.values())
    if (leaf.kind === kind) found.set(leaf.name, leaf.tensor as T);
  return found;
}

function setRequiresGrad(
  module: Module,
  op: string,
  which: NamePattern = () => true,
  value: boolean,
): string[] {
  const named = module.namedParameters();
  const names = pick(op, 'parameter', [...named.keys()], which, true);
  for (const name of names) named.get(name)!.requiresGrad = value;
  return names;
}
