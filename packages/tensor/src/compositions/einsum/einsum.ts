/** Einstein summation: any product of tensors with sums over some of their axes, written in letters. */
import { isFloat, promote, type DType } from '../../dtype.ts';
import { describeValue, ValueError, type OperandInfo } from '../../errors.ts';
import type { Shape } from '../../shape.ts';
import { Tensor } from '../../tensor.ts';
import { arrange, contract, type Lettered } from './contract.ts';
import { bind, parseEquation, type Bound } from './equation.ts';
import { findPath, productOf, type PathStep } from './path.ts';

interface Plan extends Bound {
  /** The letters of each operand that are left once diagonals are taken, sizes of 1 dropped and solitary letters summed. */
  readonly terms: readonly (readonly string[])[];
  readonly steps: readonly PathStep[];
}

const plans = new Map<string, Plan>();
const planLimit = 256;

function planFor(op: string, equation: string, operands: readonly OperandInfo[]): Plan {
  const key = `${equation}|${operands.map(({ shape }) => shape.join(' ')).join('|')}`;
  const known = plans.get(key);
  if (known) return known;
  const bound = bind(op, parseEquation(op, equation), operands);
  const { inputs, output, sizes } = bound;
  // An axis of size 1 says nothing: without it, its letter has the size that it has elsewhere.
  const told = inputs.map((letters, i) => [
    ...new Set(letters.filter((_, axis) => operands[i]!.shape[axis] !== 1)),
  ]);
  const needed = (letter: string, i: number): boolean =>
    output.includes(letter) || told.some((letters, k) => k !== i && letters.includes(letter));
  const terms = told.map((letters, i) => letters.filter((letter) => needed(letter, i)));
  const plan = { ...bound, terms, steps: findPath(terms, output, sizes) };
  if (plans.size >= planLimit) plans.delete(plans.keys().next().value!);
  plans.set(key, plan);
  return plan;
}

/** Diagonals where a letter occurs twice, no axes of size 1, and sums over the letters that are in no other term. */
function prepare(x: Tensor, letters: readonly string[], term: readonly string[]): Lettered {
  let own = [...letters];
  let y = x;
  const repeated = (): number => own.findIndex((letter, axis) => own.indexOf(letter) !== axis);
  for (let second = repeated(); second >= 0; second = repeated()) {
    const letter = own[second]!;
    const first = own.indexOf(letter);
    y = y.diagonal(0, first, second);
    own = [...own.filter((_, axis) => axis !== first && axis !== second), letter];
  }
  const wide = own.filter((_, axis) => y.shape[axis] !== 1);
  if (wide.length < own.length) y = y.reshape(y.shape.filter((n) => n !== 1));
  const gone = wide.flatMap((letter, axis) => (term.includes(letter) ? [] : [axis]));
  if (gone.length > 0) y = y.sum(gone);
  return { x: y, letters: wide.filter((letter) => term.includes(letter)) };
}

/**
 * Sums of products of tensors, by an equation such as `'bhqd,bhkd->bhqk'`: a letter for each axis of each operand, and for
 * each axis of the result; letters that the result lacks are summed over. Without `->` the result has the letters that occur once,
 * in alphabetical order. A letter twice in one operand takes the diagonal. `...` stands for further axes, which broadcast (and are
 * summed over where the result has no `...`). Sizes of one letter must be equal or 1. Spaces do not count.
 *
 * Two operands at a time are contracted, in the order that `einsumPath` tells, by one matrix product on views wherever strides allow.
 * Operands meet in their common dtype, integers in i32; integers multiply out before they are summed.
 * @throws ValueError where the equation cannot be read or is for another number of operands
 * @throws ShapeError where ranks or sizes do not fit
 */
export function einsum(equation: string, ...operands: readonly Tensor[]): Tensor {
  const given: readonly unknown[] = [equation, ...operands];
  const wrong = given.findIndex((x, i) => (i === 0 ? typeof x !== 'string' : !(x instanceof Tensor)));
  if (wrong >= 0)
    throw new ValueError('einsum', `needs an equation, then tensors, not ${describeValue(given[wrong])}`, {
      hint: "as in einsum('ij,jk->ik', a, b)",
    });
  const { inputs, output, sizes, terms, steps } = planFor('einsum', equation, operands);
  const common = operands.reduce<DType>((dtype, x) => promote(dtype, x.dtype), 'bool');
  const target = operands.length === 1 || isFloat(common) ? common : 'i32';
  const left = operands.map((x, i) =>
    prepare(x.dtype === target ? x : x.cast(target), inputs[i]!, terms[i]!),
  );
  for (const { pair, output: kept } of steps) {
    const [i, j] = pair;
    const result = contract(left[i]!, left[j]!, kept, output);
    left.splice(j, 1);
    left.splice(i, 1);
    left.push(result);
  }
  const [last] = left as [Lettered];
  const result = arrange(
    last,
    output.filter((letter) => last.letters.includes(letter)),
  );
  return result.rank === output.length ? result : result.reshape(output.map((letter) => sizes.get(letter)!));
}

/** One contraction of `einsumPath`. */
export interface EinsumStep {
  /** The places of the two in the list of those that are left; the result goes to its end (NumPy's format). */
  readonly pair: readonly [number, number];
  /** Without axes of size 1. Axes under `...` have letters of their own. */
  readonly equation: string;
  readonly shape: Shape;
  readonly flops: number;
}

/** In which order `einsum` contracts, and what it saves. */
export interface EinsumPath {
  readonly steps: readonly EinsumStep[];
  /** Floating-point operations: of sums before, and of all steps. */
  readonly flops: number;
  /** The same where all operands are multiplied at once. */
  readonly naiveFlops: number;
}

/**
 * The order in which `einsum` contracts operands of these shapes: of all orders the one of fewest operations for up to six, above that
 * a greedy one.
 * @throws ValueError and ShapeError as `einsum`
 */
export function einsumPath(
  equation: string,
  ...operands: readonly { readonly shape: Shape; readonly dtype?: DType }[]
): EinsumPath {
  const infos = operands.map(({ shape, dtype = 'f32' }) => ({ shape, dtype }));
  const { inputs, output, sizes, terms, steps } = planFor('einsumPath', equation, infos);
  const before = inputs.map((letters, i) => {
    const own = [...new Set(letters.filter((_, axis) => infos[i]!.shape[axis] !== 1))];
    return own.length > terms[i]!.length ? productOf(own, sizes) : 0;
  });
  const all = new Set(inputs.flat());
  const sums = [...all].some((letter) => !output.includes(letter)) ? 1 : 0;
  return {
    steps: steps.map(({ pair, inputs: [a, b], output: kept, flops }) => ({
      pair,
      equation: `${a.join('')},${b.join('')}->${kept.join('')}`,
      shape: kept.map((letter) => sizes.get(letter)!),
      flops,
    })),
    flops: before.reduce((sum, n) => sum + n, 0) + steps.reduce((sum, { flops }) => sum + flops, 0),
    naiveFlops: productOf(all, sizes) * (operands.length - 1 + sums),
  };
}
