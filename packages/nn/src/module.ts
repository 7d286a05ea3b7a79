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

  /** Every parameter by its path. One that can be reached twice has the first name only. Inside `functionalCall`, what stands in for it. */
  namedParameters(): Map<string, Parameter> {
    const found = new Map<string, Parameter>();
    visit(this, (name, part) => !(part instanceof Module) && found.set(name, part));
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

/** A field, or an element of an array, that holds a parameter. */
export interface Place {
  readonly holder: Record<string, unknown>;
  readonly key: string;
}

/** Where tensors stand in the place of parameters, by what holds them. */
const standIns = new WeakMap<object, Set<string>>();

/** Puts a tensor in the place of a parameter; the function returned puts back what was there. */
export function standIn({ holder, key }: Place, value: Tensor): () => void {
  const before = holder[key];
  const keys = standIns.get(holder) ?? new Set();
  const first = !keys.has(key);
  standIns.set(holder, keys.add(key));
  holder[key] = value;
  return () => {
    holder[key] = before;
    if (first) keys.delete(key);
  };
}

/** Where the parameters of a module stand, by their names in `namedParameters`. */
export function parameterPlaces(module: Module): Map<string, { parameter: Tensor; at: Place[] }> {
  const places = new Map<string, { parameter: Tensor; at: Place[] }>();
  const names = new Map<Tensor, string>();
  visit(
    module,
    (name, part) => {
      if (part instanceof Module) return;
      names.set(part, name);
      places.set(name, { parameter: part, at: [] });
    },
    (parameter, place) => places.get(names.get(parameter)!)!.at.push(place),
  );
  return places;
}

/**
 * Parameters (or what stands in for them) and modules below `root` and itself, in the order of fields, each once and under its
 * first name.
 * @param standing sees every place where a parameter stands
 */
function visit(
  root: Module,
  found: (name: string, part: Parameter | Module) => void,
  standing?: (parameter: Parameter, place: Place) => void,
): void {
  const seen = new Set<object>();
  const isParameter = (value: unknown, holder: object, key: string): value is Parameter =>
    value instanceof Parameter || (value instanceof Tensor && standIns.get(holder)?.has(key) === true);
  const walk = (holder: object, path: string): void => {
    seen.add(holder);
    if (holder instanceof Module) found(path, holder);
    for (const [key, value] of Object.entries(holder) as [string, unknown][]) {
      const name = path === '' ? key : `${path}.${key}`;
      if (isParameter(value, holder, key)) {
        if (!seen.has(value)) found(name, value);
        seen.add(value);
        standing?.(value, { holder: holder as Place['holder'], key });
      } else if (typeof value === 'object' && value !== null && !seen.has(value))
        if (value instanceof Module || Array.isArray(value) || isPlain(value)) walk(value, name);
    }
  };
  walk(root, '');
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
