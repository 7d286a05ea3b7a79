/** Patterns such as `'b (h w) c -> b c h w'`: reading them, and finding the size of every axis that they name. */
import { ShapeError, ValueError, type OperandInfo } from '../../errors.ts';

/** An axis by its name; one that is given by its size alone has a name of its own, and a size. */
interface Axis {
  readonly name: string;
  readonly size?: number;
}

/** One axis of a tensor: the axes that it is composed of, outermost first (none: size 1). `null`: those under a bare ellipsis. */
type Group = readonly Axis[] | null;

export interface Pattern {
  readonly text: string;
  readonly left: readonly Group[];
  readonly right: readonly Group[];
}

/** A pattern whose tensor is known: names of axes alone, grouped, those under the ellipsis included. */
export interface Bound {
  readonly left: readonly (readonly string[])[];
  readonly right: readonly (readonly string[])[];
  readonly sizes: ReadonlyMap<string, number>;
}

export type Sizes = Readonly<Record<string, number>>;

const ellipsis = '...';
/** What sets axes without a name apart, on the left and on the right. */
const marks = ['<', '>'] as const;

/** An axis as the pattern shows it. */
export const shown = (name: string): string => name.replace(/[<>].*/, '');

function readSide(op: string, side: string, pattern: string, mark: string): Group[] {
  const refuse = (problem: string): never => {
    throw new ValueError(op, `${problem} in '${pattern}'`, { hint: "as in 'b (h w) c -> b c h w'" });
  };
  const groups: Group[] = [];
  let open: Axis[] | null = null;
  const names = new Set<string>();
  for (const token of side.match(/\.{3}|[a-zA-Z]\w*|\d+|\S/g) ?? []) {
    if (token === '(') {
      if (open) refuse('parentheses inside parentheses');
      open = [];
    } else if (token === ')') {
      groups.push(open ?? refuse("')' without '('"));
      open = null;
    } else if (token === '1') {
      if (!open) groups.push([]);
    } else if (/^\d/.test(token)) {
      if (token === '0') refuse('an axis of size 0');
      const axis = { name: `${token}${mark}${names.size}`, size: Number(token) };
      names.add(axis.name);
      if (open) open.push(axis);
      else groups.push([axis]);
    } else if (token === ellipsis || /^[a-zA-Z]/.test(token)) {
      if (names.has(token)) refuse(`'${token}' stands twice on one side`);
      names.add(token);
      if (open) open.push({ name: token });
      else groups.push(token === ellipsis ? null : [{ name: token }]);
    } else refuse(`'${token}'`);
  }
  if (open) refuse("'(' without ')'");
  return groups;
}

/** @throws ValueError where the text is no pattern */
export function parsePattern(op: string, text: string): Pattern {
  const sides = text.split('->');
  if (sides.length !== 2)
    throw new ValueError(op, `needs one -> in '${text}'`, { hint: "as in 'b (h w) c -> b c h w'" });
  const [left, right] = sides.map((side, i) => readSide(op, side, text, marks[i]!)) as [Group[], Group[]];
  if (left.some((group) => group?.some(({ name }) => name === ellipsis)))
    throw new ValueError(op, `an ellipsis in parentheses on the left of '${text}'`);
  const onRight = right.some((group) => group === null || group.some(({ name }) => name === ellipsis));
  if (onRight && !left.includes(null)) throw new ValueError(op, `an ellipsis on the right of '${text}' only`);
  return { text, left, right };
}

/** All names on a side, the ellipsis among them. */
export const namesOf = (side: readonly Group[]): string[] =>
  side.flatMap((group) => (group === null ? ellipsis : group.map(({ name }) => name)));

/** The names of a side's axes, one list for each axis of the tensor, with `count` axes under the ellipsis. */
function spelled(groups: readonly Group[], count: number): string[][] {
  const hidden = Array.from({ length: count }, (_, i) => `${ellipsis}${i}`);
  return groups.flatMap((group) =>
    group === null
      ? hidden.map((name) => [name])
      : [group.flatMap(({ name }) => (name === ellipsis ? hidden : name))],
  );
}

const composed = (names: readonly string[]): string =>
  names.length === 1 ? shown(names[0]!) : `(${names.map(shown).join(' ')})`;

/**
 * Finds the size of every axis, from the tensor's shape and the sizes given.
 * @throws ShapeError where the tensor does not fit
 * @throws ValueError where sizes are missing, or given for nothing
 */
export function bind(op: string, pattern: Pattern, x: OperandInfo, given: Sizes): Bound {
  const { text } = pattern;
  const details = { operands: [x] };
  const bare = pattern.left.filter((group) => group !== null).length;
  const hidden = pattern.left.includes(null) ? x.shape.length - bare : 0;
  if (hidden < 0 || (!pattern.left.includes(null) && x.shape.length !== bare))
    throw new ShapeError(
      op,
      `'${text}' is for ${bare} ${bare === 1 ? 'axis' : 'axes'}${hidden < 0 ? ' or more' : ''}, got ${x.shape.length}`,
      details,
    );
  const left = spelled(pattern.left, hidden);
  const right = spelled(pattern.right, hidden);
  const sizes = new Map<string, number>();
  for (const { name, size } of [...pattern.left, ...pattern.right].flatMap((group) => group ?? []))
    if (size !== undefined) sizes.set(name, size);
  const named = new Set([...left, ...right].flat());
  for (const [name, size] of Object.entries(given)) {
    if (!named.has(name) || !/^[a-zA-Z]/.test(name))
      throw new ValueError(op, `a size is given for '${name}', which is not in '${text}'`, details);
    if (!Number.isInteger(size) || size < 1)
      throw new ValueError(op, `sizes must be integers ≥ 1, got ${name} = ${size} for '${text}'`, details);
    sizes.set(name, size);
  }
  left.forEach((names, axis) => solve(op, text, names, axis, x, sizes));
  return { left, right, sizes };
}

/** Finds the size of the one axis of a group that is not known yet. */
function solve(
  op: string,
  text: string,
  names: readonly string[],
  axis: number,
  x: OperandInfo,
  sizes: Map<string, number>,
): void {
  const details = { operands: [x] };
  const size = x.shape[axis]!;
  const unknown = names.filter((name) => !sizes.has(name));
  const known = names.reduce((product, name) => product * (sizes.get(name) ?? 1), 1);
  if (unknown.length > 1)
    throw new ValueError(op, `the sizes of ${unknown.join(' and ')} in '${text}' cannot be told apart`, {
      ...details,
      hint: `give all but one of them, as in { ${unknown[0]}: 2 }`,
    });
  if (unknown.length === 0 && known !== size)
    throw new ShapeError(
      op,
      names.length === 0
        ? `axis ${axis} has size ${size}, '${text}' says 1`
        : `axis ${axis} has size ${size}, '${text}' says ${composed(names)} = ${known}`,
      details,
    );
  if (unknown.length === 1) {
    if (size % known !== 0)
      throw new ShapeError(
        op,
        `axis ${axis} of size ${size} does not divide into ${composed(names)} of '${text}' by ${known}`,
        details,
      );
    sizes.set(unknown[0]!, size / known);
  }
}
