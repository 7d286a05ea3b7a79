/** Copies of modules. */
import { ModuleBuffer, Parameter } from './parameter.ts';
import { TreeNode } from './tree.ts';

/** See `Module.deepCopy`. */
export function copyOf<M extends TreeNode>(root: M): M {
  const copies = new Map<object, object>();
  const copy = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    const known = copies.get(value);
    if (known) return known;
    const made = blank(value);
    if (!made) return value;
    copies.set(value, made);
    if (made instanceof Parameter || made instanceof ModuleBuffer) return made;
    for (const [key, part] of Object.entries(value) as [string, unknown][])
      (made as Record<string, unknown>)[key] = copy(part);
    return made;
  };
  return copy(root) as M;
}

/** What is to become the copy of a part of a module, or null for what both may share. */
function blank(value: object): object | null {
  if (value instanceof Parameter) {
    const made = new Parameter(value);
    made.requiresGrad = value.requiresGrad;
    return made;
  }
  if (value instanceof ModuleBuffer) return new ModuleBuffer(value, { persistent: value.persistent });
  if (Array.isArray(value)) return [];
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (value instanceof TreeNode || prototype === Object.prototype || prototype === null)
    return Object.create(prototype) as object;
  return null;
}
