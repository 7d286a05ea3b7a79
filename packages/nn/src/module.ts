/** Modules: trees of parameters with names, a training flag, and a state that can be saved and loaded. */
import { isFloat, sameShape, Tensor, ValueError } from '@infinigrad/tensor';
import { Parameter } from './parameter.ts';

export interface LoadOptions {
  /** Refuse a state that lacks a parameter or holds one too many. Default true. */
  readonly strict?: boolean;
}

export interface LoadReport {
  /** Parameters that the state does not hold. */
  readonly missing: string[];
  /** Entries of the state that name no parameter. */
  readonly unexpected: string[];
}

/**
 * Base class of everything with parameters. Parameters and modules are found in the fields of an instance, also
 * inside arrays and plain objects; a name is the path to it, `layers.0.attention.qProj.weight`. Fields whose names
 * start with `#` are not seen.
 */
export abstract class Module {
  /** Whether layers that behave otherwise in training (dropout) should. Set with `train` and `eval`. */
  training = true;

  /** Sets `training` here and in every module below. */
  train(mode = true): this {
    for (const module of this.namedModules().values()) module.training = mode;
    return this;
  }

  /** `train(false)`. */
  eval(): this {
    return this.train(false);
  }

  /** Every parameter by its path. One that can be reached twice has the first name only. */
  namedParameters(): Map<string, Parameter> {
    const found = new Map<string, Parameter>();
    visit(this, (name, part) => part instanceof Parameter && found.set(name, part));
    return found;
  }

  /** Every parameter once, in the order of `namedParameters`. */
  parameters(): Parameter[] {
    return [...this.namedParameters().values()];
  }

  /** This module (under the name '') and every module below, by its path; each once. */
  namedModules(): Map<string, Module> {
    const found = new Map<string, Module>();
    visit(this, (name, part) => part instanceof Module && found.set(name, part));
    return found;
  }

  /** The values of all parameters as they are now, without history; later updates do not change them. */
  stateDict(): Record<string, Tensor> {
    return Object.fromEntries(
      [...this.namedParameters()].map(([name, parameter]) => [name, parameter.detach()]),
    );
  }

  /**
   * Gives parameters the values of a state, converted to their dtypes. Nothing is changed where it throws.
   * @returns what was left out, on either side (empty lists in strict mode)
   * @throws ValueError that lists every shape that does not fit and, in strict mode, all that is missing or unexpected
   */
  loadStateDict(state: Readonly<Record<string, Tensor>>, { strict = true }: LoadOptions = {}): LoadReport {
    const named = this.namedParameters();
    const missing = [...named.keys()].filter((name) => !Object.hasOwn(state, name));
    const unexpected = Object.keys(state).filter((name) => !named.has(name));
    const pairs = [...named].flatMap(([name, parameter]) =>
      Object.hasOwn(state, name) ? [{ name, parameter, value: state[name]! }] : [],
    );
    const mismatched = pairs
      .filter(({ parameter, value }) => !isFloat(value.dtype) || !sameShape(value.shape, parameter.shape))
      .map(
        ({ name, parameter, value }) =>
          `${name} (parameter ${describe(parameter)}, state ${describe(value)})`,
      );
    const problems = [
      ...(strict && missing.length > 0 ? [`missing ${missing.join(', ')}`] : []),
      ...(strict && unexpected.length > 0 ? [`unexpected ${unexpected.join(', ')}`] : []),
      ...(mismatched.length > 0 ? [`mismatched ${mismatched.join(', ')}`] : []),
    ];
    if (problems.length > 0)
      throw new ValueError('loadStateDict', problems.join('; '), {
        hint:
          mismatched.length > 0 ? 'was the model made with the same sizes?' : 'strict: false loads what fits',
      });
    const values = pairs.map(({ parameter, value }) => value.detach().cast(parameter.dtype));
    pairs.forEach(({ parameter }, i) => parameter.assign(values[i]!));
    return { missing, unexpected };
  }

  /** The number of numbers in all parameters together; shared ones count once. */
  numParameters(): number {
    return this.parameters().reduce((total, { size }) => total + size, 0);
  }
}

function describe({ shape, dtype }: Tensor): string {
  return `[${shape.join(', ')}] ${dtype}`;
}

/** Parameters and modules below `root` and itself, in the order of fields, each once and under its first name. */
function visit(root: Module, found: (name: string, part: Parameter | Module) => void): void {
  const seen = new Set<object>();
  const walk = (value: unknown, name: string): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    const part = value instanceof Module || value instanceof Parameter;
    if (!part && !Array.isArray(value) && !isPlain(value)) return;
    seen.add(value);
    if (part) found(name, value);
    if (value instanceof Parameter) return;
    for (const [key, inner] of Object.entries(value)) walk(inner, name === '' ? key : `${name}.${key}`);
  };
  walk(root, '');
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
