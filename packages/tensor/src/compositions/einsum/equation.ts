/** Equations of einsum: reading them, and giving a letter to every axis of the operands. */
import { ShapeError, ValueError, type OperandInfo } from '../../errors.ts';

/** Letters of one operand or of the result; `null` stands for the ellipsis. */
type Term = readonly (string | null)[];

export interface Equation {
  readonly text: string;
  readonly inputs: readonly Term[];
  readonly output: Term;
}

/** An equation whose operands are known: one letter for each axis (of an ellipsis too), and the size of each letter. */
export interface Bound {
  readonly inputs: readonly (readonly string[])[];
  readonly output: readonly string[];
  readonly sizes: ReadonlyMap<string, number>;
}

const hint = "as in 'bij,bjk->bik' or '...ij,...jk'";

function readTerm(op: string, text: string, equation: string): Term {
  const term: (string | null)[] = [];
  for (let i = 0; i < text.length; i++) {
    const letter = text[i]!;
    if (/[a-zA-Z]/.test(letter)) term.push(letter);
    else if (text.startsWith('...', i)) {
      if (term.includes(null)) throw new ValueError(op, `two ellipses in '${text}' of '${equation}'`);
      term.push(null);
      i += 2;
    } else
      throw new ValueError(
        op,
        `'${letter}' in '${equation}' is neither a letter nor part of an ellipsis (...)`,
        { hint },
      );
  }
  return term;
}

/** Where no result is written: the ellipsis, and the letters that occur once, in alphabetical order. */
function impliedOutput(inputs: readonly Term[]): Term {
  const letters = inputs.flat();
  const once = letters.filter(
    (letter) => letter !== null && letters.filter((l) => l === letter).length === 1,
  );
  return [...(letters.includes(null) ? [null] : []), ...once.toSorted((a, b) => (a! < b! ? -1 : 1))];
}

/** @throws ValueError where the text is no equation */
export function parseEquation(op: string, text: string): Equation {
  const bare = text.replaceAll(/\s/g, '');
  const sides = bare.split('->');
  if (sides.length > 2) throw new ValueError(op, `two arrows in '${text}'`, { hint });
  const inputs = sides[0]!.split(',').map((term) => readTerm(op, term, text));
  if (sides.length === 1) return { text, inputs, output: impliedOutput(inputs) };
  const output = readTerm(op, sides[1]!, text);
  output.forEach((letter, i) => {
    if (letter === null) return;
    if (!inputs.some((term) => term.includes(letter)))
      throw new ValueError(op, `the result's letter '${letter}' is in no operand of '${text}'`);
    if (output.indexOf(letter) !== i)
      throw new ValueError(op, `the result names '${letter}' twice in '${text}'`, {
        hint: 'an operand may, for its diagonal',
      });
  });
  return { text, inputs, output };
}

/** Letters that the equation does not use, for the axes under ellipses: the last axis first. */
function unusedLetters({ inputs }: Equation, count: number): string[] {
  const used = new Set(inputs.flat());
  const letters: string[] = [];
  const all = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'];
  for (let i = 0; letters.length < count; i++) {
    const letter = all[i] ?? String.fromCodePoint(0x3b1 + i - all.length);
    if (!used.has(letter)) letters.push(letter);
  }
  return letters;
}

/**
 * Gives letters to the axes under ellipses (aligned at the right) and finds the size of each letter; 1 stretches.
 * @throws ValueError where the number of operands is another
 * @throws ShapeError where ranks or sizes do not fit
 */
export function bind(op: string, equation: Equation, operands: readonly OperandInfo[]): Bound {
  const { text, inputs, output } = equation;
  if (inputs.length !== operands.length)
    throw new ValueError(
      op,
      `'${text}' is for ${inputs.length} operand${inputs.length === 1 ? '' : 's'}, got ${operands.length}`,
      { operands },
    );
  const hidden = inputs.map((term, i) => {
    const { shape } = operands[i]!;
    const named = term.filter((letter) => letter !== null).length;
    const rest = shape.length - named;
    if (rest < 0 || (rest > 0 && !term.includes(null)))
      throw new ShapeError(op, `'${text}' names ${named} axes of operand ${i}, which has ${shape.length}`, {
        operands,
        ...(rest > 0 && { hint: '... stands for any axes' }),
      });
    return term.includes(null) ? rest : 0;
  });
  const rank = Math.max(0, ...hidden);
  const letters = unusedLetters(equation, rank).toReversed();
  const spelled = (term: Term, count: number): string[] =>
    term.flatMap((letter) => letter ?? letters.slice(rank - count));
  const bound = inputs.map((term, i) => spelled(term, hidden[i]!));
  const nameOf = (letter: string): string =>
    letters.includes(letter)
      ? `axis ${letters.indexOf(letter) - rank} of the ellipsis`
      : `letter '${letter}'`;
  return { inputs: bound, output: spelled(output, rank), sizes: sizesOf(op, bound, operands, nameOf) };
}

function sizesOf(
  op: string,
  inputs: readonly (readonly string[])[],
  operands: readonly OperandInfo[],
  nameOf: (letter: string) => string,
): Map<string, number> {
  const sizes = new Map<string, number>();
  const from = new Map<string, number>();
  inputs.forEach((term, i) =>
    term.forEach((letter, axis) => {
      const n = operands[i]!.shape[axis]!;
      const first = operands[i]!.shape[term.indexOf(letter)]!;
      if (n !== first)
        throw new ShapeError(op, `${nameOf(letter)} has sizes ${first} and ${n} in operand ${i}`, {
          operands,
          hint: 'a diagonal needs equal sizes',
        });
      const known = sizes.get(letter) ?? 1;
      if (known !== 1 && n !== 1 && n !== known)
        throw new ShapeError(
          op,
          `${nameOf(letter)} has size ${known} in operand ${from.get(letter)} and ${n} in operand ${i}`,
          { operands, hint: 'sizes of a letter must be equal or 1' },
        );
      if (known === 1) {
        sizes.set(letter, n);
        from.set(letter, i);
      }
    }),
  );
  return sizes;
}
