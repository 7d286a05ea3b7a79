/** The state of a module: its parameters and persistent buffers by name, taken and given back. */
import { isFloat, sameShape, Tensor, ValueError } from '@infinigrad/tensor';
import { carriedOver } from './move.ts';
import { ModuleBuffer, type StateTensor } from './parameter.ts';
import { survey, type Leaf, type TreeNode } from './tree.ts';

export interface LoadOptions {
  /** Refuse a state that lacks an entry or holds one too many. Default true. */
  readonly strict?: boolean;
  /** Leave out entries whose shape or kind of dtype does not fit, instead of refusing the state. Default false. */
  readonly ignoreMismatched?: boolean;
}

/** An entry that does not fit. */
export interface Mismatch {
  readonly name: string;
  readonly reason: string;
}

export interface LoadReport {
  /** Parameters and persistent buffers that the state does not hold. */
  readonly missing: string[];
  /** Entries of the state that name nothing. */
  readonly unexpected: string[];
  /** Entries that do not fit what they name. */
  readonly mismatched: Mismatch[];
  /** Entries under a further name of a parameter that stands in several places, and its first name. */
  readonly tied: { readonly name: string; readonly first: string }[];
}

/** A state that does not fit; `report` holds all that the message says. */
export class StateError extends ValueError {
  override readonly name: string = 'StateError';
  readonly report: LoadReport;

  constructor(problem: string, report: LoadReport, hint: string) {
    super('loadStateDict', problem, { hint });
    this.report = report;
  }
}

/** The leaves that a state holds. */
export function persistentLeaves(module: TreeNode): Leaf[] {
  return [...survey(module).leaves.values()].filter(
    ({ tensor }) => !(tensor instanceof ModuleBuffer) || tensor.persistent,
  );
}

const describe = ({ shape, dtype }: Tensor): string => `[${shape.join(', ')}] ${dtype}`;

/** Why a value cannot become that of a leaf, or null. */
function misfit({ kind, tensor }: Leaf, value: Tensor): string | null {
  if (!(value instanceof Tensor)) return 'is no tensor';
  if (!sameShape(value.shape, tensor.shape) || isFloat(value.dtype) !== isFloat(tensor.dtype))
    return `${kind} ${describe(tensor)}, state ${describe(value)}`;
  if (value.storage.unreadable) return value.storage.unreadable.problem;
  if (value.backend !== tensor.backend && !value.backend.synchronous)
    return `${kind} on ${tensor.backend.name}, state on ${value.backend.name}, which cannot be read at once`;
  return null;
}

/** Whether two tensors can be seen to differ: where they cannot be read at once, they are taken to agree. */
function differ(a: Tensor, b: Tensor): boolean {
  if (a === b || !a.backend.synchronous || !b.backend.synchronous) return false;
  if (!sameShape(a.shape, b.shape)) return true;
  const [x, y] = [a.dataSync(), b.dataSync()];
  return x.some((value, i) => !Object.is(value, y[i]));
}

interface Assignment {
  readonly target: StateTensor;
  readonly name: string;
  readonly value: Tensor;
}

function compare(
  leaves: readonly Leaf[],
  state: Readonly<Record<string, Tensor>>,
): { report: LoadReport; fits: Assignment[] } {
  const report: LoadReport = { missing: [], unexpected: [], mismatched: [], tied: [] };
  const known = new Set<string>();
  const fits: Assignment[] = [];
  for (const leaf of leaves) {
    const given = leaf.places.map(({ name }) => name).filter((name) => Object.hasOwn(state, name));
    for (const name of leaf.places.map((place) => place.name)) known.add(name);
    for (const name of given) if (name !== leaf.name) report.tied.push({ name, first: leaf.name });
    const [first, ...others] = given;
    if (first === undefined) {
      report.missing.push(leaf.name);
      continue;
    }
    const value = state[first]!;
    const reason = misfit(leaf, value);
    const torn = reason === null && others.find((name) => differ(value, state[name]!));
    if (reason !== null) report.mismatched.push({ name: first, reason });
    else if (torn)
      report.mismatched.push({ name: torn, reason: `differs from ${first}, with which it is tied` });
    else fits.push({ target: leaf.tensor as StateTensor, name: first, value });
  }
  report.unexpected.push(...Object.keys(state).filter((name) => !known.has(name)));
  return { report, fits };
}

/** See `Module.loadStateDict`. */
export function loadState(
  module: TreeNode,
  state: Readonly<Record<string, Tensor>>,
  { strict = true, ignoreMismatched = false }: LoadOptions,
): LoadReport {
  const { report, fits } = compare(persistentLeaves(module), state);
  const { missing, unexpected, mismatched } = report;
  const listed = mismatched.map(({ name, reason }) => `${name} (${reason})`);
  const refused = ignoreMismatched ? [] : listed;
  const problems = [
    ...(strict && missing.length > 0 ? [`missing ${missing.join(', ')}`] : []),
    ...(strict && unexpected.length > 0 ? [`unexpected ${unexpected.join(', ')}`] : []),
    ...(refused.length > 0 ? [`mismatched ${refused.join(', ')}`] : []),
  ];
  if (problems.length > 0)
    throw new StateError(
      problems.join('; '),
      report,
      refused.length > 0 ? 'was the model made with the same sizes?' : 'strict: false loads what fits',
    );
  // All that may fail comes before the first change.
  const values = fits.map(({ target, value }) => ready(value, target));
  fits.forEach(({ target }, i) => target.assign(values[i]!));
  return report;
}

/** What has the dtype already is shared, not copied: a checkpoint would be in memory twice. */
function ready(value: Tensor, { backend, dtype }: Tensor): Tensor {
  const here = carriedOver(value.detach(), backend);
  return here.dtype === dtype ? here : here.cast(dtype);
}
