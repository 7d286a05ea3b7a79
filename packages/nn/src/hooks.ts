/** Hooks around `forward`, which no layer has to know of, and the outputs of modules inside a model. */
import { currentScope, keep, ValueError } from '@infinigrad/tensor';
import { pick, type NamePattern } from './pattern.ts';
import { survey, type TreeNode } from './tree.ts';

/** A module that can be called. */
export interface Callable {
  forward(...inputs: any[]): unknown;
}

type Inputs<M> = M extends { forward(...inputs: infer I): unknown } ? I : unknown[];
type Output<M> = M extends { forward(...inputs: any[]): infer O } ? O : unknown;

/** Sees the inputs of a call. What it returns, unless that is undefined, takes their place. */
export type BeforeForward<M> = (call: {
  readonly module: M;
  readonly inputs: Inputs<M>;
}) => readonly unknown[] | void;

/** Sees a call and its output. What it returns, unless that is undefined, takes the output's place. */
export type AfterForward<M> = (call: {
  readonly module: M;
  readonly inputs: Inputs<M>;
  readonly output: Output<M>;
}) => Output<M> | void;

type Forward = (...inputs: unknown[]) => unknown;

interface Hooks {
  readonly before: Set<BeforeForward<unknown>>;
  readonly after: Set<AfterForward<unknown>>;
  readonly uninstall: () => void;
}

const hooked = new WeakMap<object, Hooks>();

/** A module's `forward` is covered by a property of its own while there are hooks; it is not enumerable, so not a part of it. */
function hooksOf(op: string, module: object): Hooks {
  const known = hooked.get(module);
  if (known) return known;
  const own = Object.getOwnPropertyDescriptor(module, 'forward');
  const { forward } = module as { forward?: Forward };
  if (typeof forward !== 'function')
    throw new ValueError(op, `a ${module.constructor.name} has no forward`, {
      hint: 'hook the modules inside it',
    });
  const before = new Set<BeforeForward<unknown>>();
  const after = new Set<AfterForward<unknown>>();
  // What calls its own forward (a batch of one, say) is one call.
  let inside = false;
  const covering = (...given: unknown[]): unknown => {
    if (inside) return forward.apply(module, given);
    inside = true;
    try {
      let inputs: readonly unknown[] = given;
      for (const hook of before) inputs = hook({ module, inputs: inputs as unknown[] }) ?? inputs;
      let output = forward.apply(module, [...inputs]);
      for (const hook of after) output = hook({ module, inputs: inputs as unknown[], output }) ?? output;
      return output;
    } finally {
      inside = false;
    }
  };
  Object.defineProperty(module, 'forward', { value: covering, configurable: true, writable: true });
  const uninstall = (): void => {
    hooked.delete(module);
    if (own) Object.defineProperty(module, 'forward', own);
    else Reflect.deleteProperty(module, 'forward');
  };
  const hooks = { before, after, uninstall };
  hooked.set(module, hooks);
  return hooks;
}

/** Puts a hook on; the function returned takes it off. */
function hook<H>(op: string, module: object, list: (hooks: Hooks) => Set<H>, given: H): () => void {
  if (typeof given !== 'function') throw new ValueError(op, 'needs a function');
  const hooks = hooksOf(op, module);
  // Of its own, so that one function can be put on twice.
  const own = ((call: never) => (given as (call: never) => unknown)(call)) as H;
  list(hooks).add(own);
  return () => {
    list(hooks).delete(own);
    if (hooks.before.size + hooks.after.size === 0 && hooked.get(module) === hooks) hooks.uninstall();
  };
}

export function hookBefore<M extends object>(module: M, given: BeforeForward<M>): () => void {
  return hook('beforeForward', module, ({ before }) => before, given as BeforeForward<unknown>);
}

export function hookAfter<M extends object>(module: M, given: AfterForward<M>): () => void {
  return hook('onForward', module, ({ after }) => after, given as AfterForward<unknown>);
}

export interface Captured<T, O> {
  /** What `run` returned. */
  readonly result: T;
  /** What each module returned, call by call, by its name; none for one that was not called. */
  readonly outputs: Readonly<Record<string, readonly O[]>>;
}

/**
 * Runs `run` (synchronous) and gives the outputs of modules inside `module`, as they come, with their gradients:
 *
 * ```ts
 * const { outputs } = capture(model, 'layers.*', () => model.forward(tokens));
 * outputs['layers.3']![0]; // what the fourth layer returned
 * ```
 *
 * @param names of `namedModules()`; '' is the module itself
 * @throws ValueError for names that no module has, and for modules without `forward`
 */
export function capture<T, O = any>(module: TreeNode, names: NamePattern, run: () => T): Captured<T, O> {
  const { nodes } = survey(module);
  const found = pick('capture', 'module', [...nodes.keys()], names, false);
  const outputs: Record<string, O[]> = {};
  const scope = currentScope();
  const off: (() => void)[] = [];
  try {
    for (const name of found) {
      const list: O[] = (outputs[name] = []);
      off.push(
        hookAfter(nodes.get(name)!, ({ output }) => {
          // Scopes that `run` opens end before the outputs are looked at.
          if (currentScope() !== scope) keep(output);
          list.push(output as O);
        }),
      );
    }
    const result = run();
    if (result instanceof Promise)
      throw new ValueError('capture', 'the function is asynchronous', { hint: 'await outside' });
    return { result, outputs };
  } finally {
    for (const stop of off) stop();
  }
}
