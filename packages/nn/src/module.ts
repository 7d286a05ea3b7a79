/** Modules: objects whose fields are parameters and other modules. */
import { sameShape, Tensor, ValueError } from '@infinigrad/tensor';
import { Parameter } from './parameter.ts';

export interface LoadReport {
  /** Names that the module has and the state has not. */
  readonly missing: readonly string[];
  /** Names that the state has and the module has not. */
  readonly unexpected: readonly string[];
}

export abstract class Module {
  /** Whether layers that behave differently in training (dropout) do so. */
  training = true;

  /** Switches this module and all inside it to training (or, with false, to evaluation). */
  train(mode = true): this {
    for (const module of this.namedModules().values()) module.training = mode;
    return this;
  }

  /** Switches to evaluation. */
  eval(): this {
    return this.train(false);
  }

  /** This module ('') and every module inside, by dotted name; one that is reachable twice appears once. */
  namedModules(): Map<string, Module> {
    const found = new Map<string, Module>();
    walk(this, '', new Set(), (name, value) => {
      if (value instanceof Module) found.set(name, value);
    });
    return found;
  }

  /** Every parameter by dotted name, `layers.0.attention.qProj.weight`; one that is reachable twice (tied) appears once. */
  namedParameters(): Map<string, Parameter> {
    const found = new Map<string, Parameter>();
    walk(this, '', new Set(), (name, value) => {
      if (value instanceof Parameter) found.set(name, value);
    });
    return found;
  }

  parameters(): Parameter[] {
    return [...this.namedParameters().values()];
  }

  /** The number of trained numbers. */
  numParameters(): number {
    return this.parameters().reduce((total, p) => total + p.size, 0);
  }

  /** The parameters' present values by name. */
  stateDict(): Record<string, Tensor> {
    return Object.fromEntries([...this.namedParameters()].map(([name, p]) => [name, p.detach()]));
  }

  /**
   * Gives the parameters the values in `state`.
   * @param options.strict refuse a state that has not exactly the module's names. Default true
   * @throws ValueError that lists what is missing, unexpected and of another shape or dtype; nothing is changed then
   */
  loadStateDict(state: Readonly<Record<string, Tensor>>, { strict = true }: { readonly strict?: boolean } = {}): LoadReport {
    const parameters = this.namedParameters();
    const missing = [...parameters.keys()].filter((name) => !Object.hasOwn(state, name));
    const unexpected = Object.keys(state).filter((name) => !parameters.has(name));
    const wrong: string[] = [];
    for (const [name, p] of parameters) {
      const value = Object.hasOwn(state, name) ? state[name]! : null;
      if (value && !(sameShape(value.shape, p.shape) && value.dtype === p.dtype))
        wrong.push(`${name} is [${value.shape.join(', ')}] ${value.dtype}, not [${p.shape.join(', ')}] ${p.dtype}`);
    }
    const problems = [
      ...(strict && missing.length > 0 ? [`missing: ${missing.join(', ')}`] : []),
      ...(strict && unexpected.length > 0 ? [`unexpected: ${unexpected.join(', ')}`] : []),
      ...(wrong.length > 0 ? [`mismatched: ${wrong.join('; ')}`] : []),
    ];
    if (problems.length > 0) throw new ValueError('loadStateDict', problems.join('. '));
    for (const [name, p] of parameters) if (Object.hasOwn(state, name)) p.assign(state[name]!);
    return { missing, unexpected };
  }
}

type Visit = (name: string, value: Module | Parameter) => void;

function walk(value: unknown, name: string, seen: Set<unknown>, visit: Visit): void {
  const isPart = value instanceof Module || value instanceof Parameter;
  if (!(isPart || Array.isArray(value)) || seen.has(value)) return;
  seen.add(value);
  if (isPart) visit(name, value);
  if (value instanceof Tensor) return;
  for (const [field, inner] of Object.entries(value)) walk(inner, name === '' ? field : `${name}.${field}`, seen, visit);
}
