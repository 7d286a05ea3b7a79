/** What a module is made of: modules, parameters and buffers in its fields, by the paths that lead to them. */
import { recomputing } from '@infinigrad/autograd';
import { Tensor, ValueError } from '@infinigrad/tensor';
import { ModuleBuffer, Parameter } from './parameter.ts';

/** What `Module` extends, so that this file need not know it. */
export abstract class TreeNode {
  /** Whether layers that behave otherwise in training (dropout) should. Set with `train` and `eval`. */
  training = true;
}

/** A field, or an element of an array, that holds a parameter or a buffer. */
export interface Place {
  readonly holder: Record<string, unknown>;
  readonly key: string;
  /** The path to it. */
  readonly name: string;
}

/** A parameter or a buffer (or what stands in for it), and every place where it stands. */
export interface Leaf {
  /** The path to its first place. */
  readonly name: string;
  readonly kind: 'parameter' | 'buffer';
  readonly tensor: Tensor;
  readonly places: Place[];
}

export interface Survey {
  /** Modules below the root and itself (''), each once, under its first name. */
  readonly nodes: Map<string, TreeNode>;
  readonly leaves: Map<string, Leaf>;
}

/** Where tensors stand in the place of parameters and buffers, by what holds them. */
const standIns = new WeakMap<object, Map<string, Leaf['kind']>>();

function kindOf(value: unknown, holder: object, key: string): Leaf['kind'] | null {
  if (value instanceof Parameter) return 'parameter';
  if (value instanceof ModuleBuffer) return 'buffer';
  return value instanceof Tensor ? (standIns.get(holder)?.get(key) ?? null) : null;
}

/** Puts a tensor in the place of a parameter or buffer; the function returned puts back what was there. */
export function standIn({ holder, key }: Place, value: Tensor): () => void {
  const before = holder[key];
  const kinds = standIns.get(holder) ?? new Map<string, Leaf['kind']>();
  const first = !kinds.has(key);
  standIns.set(holder, kinds.set(key, kindOf(before, holder, key)!));
  holder[key] = value;
  return () => {
    holder[key] = before;
    if (first) kinds.delete(key);
  };
}

/**
 * Gives the buffer in a field of a module a new value, without history. Where `functionalCall` has put a tensor in its place, that
 * is replaced: the buffer itself stays as it is, and the function called finds the new value in `namedBuffers`. Where a checkpoint calls
 * a layer again, nothing happens: the first call has done it.
 * @throws ValueError inside a vmap, where there is a value for every example, unless a tensor stands in for the buffer
 */
export function updateBuffer(op: string, holder: object, key: string, value: Tensor): void {
  if (recomputing()) return;
  const fields = holder as Record<string, unknown>;
  const buffer = fields[key];
  const now = value.detach();
  if (!(buffer instanceof ModuleBuffer)) fields[key] = now;
  else if (now.storage.unreadable)
    throw new ValueError(op, `its buffer ${key} cannot take a value for every example of a vmap`, {
      operands: [buffer],
      hint: 'call eval(), or give functionalCall the buffers too',
    });
  else buffer.assign(now);
}

export function survey(root: TreeNode): Survey {
  const nodes = new Map<string, TreeNode>();
  const leaves = new Map<string, Leaf>();
  const byTensor = new Map<Tensor, Leaf>();
  const seen = new Set<object>();
  const walk = (holder: object, path: string): void => {
    seen.add(holder);
    if (holder instanceof TreeNode) nodes.set(path, holder);
    for (const [key, value] of Object.entries(holder) as [string, unknown][]) {
      if (typeof value !== 'object' || value === null) continue;
      const name = path === '' ? key : `${path}.${key}`;
      const kind = kindOf(value, holder, key);
      if (kind) {
        const tensor = value as Tensor;
        let leaf = byTensor.get(tensor);
        if (!leaf) {
          leaf = { name, kind, tensor, places: [] };
          byTensor.set(tensor, leaf);
          leaves.set(name, leaf);
        }
        leaf.places.push({ holder: holder as Place['holder'], key, name });
      } else if (!seen.has(value) && (value instanceof TreeNode || Array.isArray(value) || isPlain(value)))
        walk(value, name);
    }
  };
  walk(root, '');
  return { nodes, leaves };
}

/** The modules in the fields of one, not those below them, by their paths. */
export function childrenOf(root: TreeNode): Map<string, TreeNode> {
  const found = new Map<string, TreeNode>();
  const seen = new Set<object>([root]);
  const walk = (holder: object, path: string): void => {
    for (const [key, value] of Object.entries(holder) as [string, unknown][]) {
      if (typeof value !== 'object' || value === null || seen.has(value)) continue;
      const name = path === '' ? key : `${path}.${key}`;
      const node = value instanceof TreeNode;
      if (!node && !Array.isArray(value) && !isPlain(value)) continue;
      seen.add(value);
      if (node) found.set(name, value);
      else walk(value, name);
    }
  };
  walk(root, '');
  return found;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
