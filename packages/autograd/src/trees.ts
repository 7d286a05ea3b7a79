/** Tensors in arguments and results: alone, or in arrays and plain objects as deep as you like, among whatever else. */
import { Tensor } from '@infinigrad/tensor';

/** What may hold tensors. */
export type Holder = readonly unknown[] | { readonly [key: string]: unknown };

/** An array or a plain object. */
export function isHolder(value: unknown): value is Holder {
  if (typeof value !== 'object' || value === null || value instanceof Tensor) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The parts of a holder by their key; the path to a part is `path.key`, or `path[0]` in an array. */
export function partsOf(holder: Holder, path: string): [key: string, part: unknown, path: string][] {
  return Object.entries(holder).map(([key, part]) => [
    key,
    part,
    Array.isArray(holder) ? `${path}[${key}]` : `${path}.${key}`,
  ]);
}

/** A holder of the same kind, of what `f` makes of each part. */
export function mapParts(
  holder: Holder,
  path: string,
  f: (part: unknown, path: string, key: string) => unknown,
): Holder {
  const parts = partsOf(holder, path).map(([key, part, at]) => [key, f(part, at, key)] as const);
  return Array.isArray(holder) ? parts.map(([, part]) => part) : Object.fromEntries(parts);
}

/** The same with each tensor replaced; whatever else there is stays. */
export function replaceTensors<T>(value: T, replace: (x: Tensor, path: string) => unknown, path = ''): T {
  if (value instanceof Tensor) return replace(value, path) as T;
  if (!isHolder(value)) return value;
  return mapParts(value, path, (part, at) => replaceTensors(part, replace, at)) as T;
}

/** All tensors, in order. */
export function tensorsIn(value: unknown): Tensor[] {
  const found: Tensor[] = [];
  replaceTensors(value, (x) => found.push(x));
  return found;
}

/** Whether there is a tensor, and nothing else. */
export function onlyTensors(value: unknown): boolean {
  const all = (part: unknown): boolean =>
    part instanceof Tensor || (isHolder(part) && partsOf(part, '').every(([, inner]) => all(inner)));
  return all(value) && tensorsIn(value).length > 0;
}
