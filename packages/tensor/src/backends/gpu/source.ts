/** Builds the source text of one kernel: arguments, indices, statements. Sizes and strides are written into it. */
import type { Home } from './memory.ts';

/** A number as source text: with a sign in brackets, and infinities as the arguments that carry them. */
export function literal(value: number): string {
  if (Object.is(value, -0)) return '(-0)';
  return value < 0 ? `(${value})` : String(value);
}

/** A kernel to be launched: its text, its threads, and what it reads. */
export interface Program {
  readonly source: string;
  readonly grid: readonly number[];
  readonly arrays: readonly Home[];
  readonly numbers: readonly number[];
  /** Where the text is WGSL and the grid one of workgroups: elements that it writes. */
  readonly ownLength?: number;
}

export class Source {
  readonly #arrays: Home[] = [];
  readonly #numbers: number[] = [];
  readonly #named = new Map<string, string>();
  readonly #lines: string[] = [];
  #names = 0;

  get arrays(): readonly Home[] {
    return this.#arrays;
  }

  /** The argument for an array. */
  array(home: Home): string {
    let at = this.#arrays.indexOf(home);
    if (at < 0) at = this.#arrays.push(home) - 1;
    return `a${at}`;
  }

  /** An argument for a number that is not part of the text, so that its changing makes no new kernel. */
  number(value: number): string {
    return `s${this.#numbers.push(value) - 1}`;
  }

  /** An argument under a name of its own, once. */
  special(name: string, value: number): string {
    let known = this.#named.get(name);
    if (!known) this.#named.set(name, (known = this.number(value)));
    return known;
  }

  /** Where a view starts: not part of the text, so that one kernel serves every window of a tensor. */
  offset(value: number): number | string {
    return value === 0 ? 0 : this.number(value);
  }

  infinity(): string {
    return this.special('infinity', Infinity);
  }

  nan(): string {
    return this.special('nan', NaN);
  }

  /** A number as text; infinities and NaN are arguments, since literals of them become something else. */
  constant(value: number): string {
    if (Number.isNaN(value)) return this.nan();
    if (value === Infinity) return this.infinity();
    return value === -Infinity ? `(-${this.infinity()})` : literal(value);
  }

  line(text: string): void {
    this.#lines.push(text);
  }

  /** A fresh name. */
  name(prefix = 't'): string {
    return `${prefix}${this.#names++}`;
  }

  /** A name for the value of an expression. */
  value(expression: string): string {
    const name = this.name();
    this.#lines.push(`const ${name} = ${expression};`);
    return name;
  }

  /** A name for a value that statements change. */
  variable(expression: string): string {
    const name = this.name('v');
    this.#lines.push(`let ${name} = ${expression};`);
    return name;
  }

  /** Statements inside a loop over 0 … count - 1; `body` gets the counter. */
  loop(count: number, body: (i: string) => void): void {
    const i = this.name('i');
    this.#lines.push(`for (let ${i} = 0; ${i} < ${count}; ${i}++) {`);
    body(i);
    this.#lines.push('}');
  }

  /** Statements under a condition. */
  when(condition: string, body: () => void): void {
    this.#lines.push(`if (${condition}) {`);
    body();
    this.#lines.push('}');
  }

  /**
   * Quotient and remainder of whole numbers by a size. Products by powers of two are exact. Division may be off by 2.5
   * units in the last place: of whole numbers below 2²⁴ by one when it is rounded down, by two where they are divided by 3;
   * the quotient is put right afterwards.
   */
  split(index: string, size: number): { quotient: string; rest: string } {
    if (size === 1) return { quotient: index, rest: '0' };
    if (Number.isInteger(Math.log2(size))) {
      const quotient = this.value(`Math.floor(${index} * ${1 / size})`);
      return { quotient, rest: this.value(`${index} - ${quotient} * ${size}`) };
    }
    const q = this.variable(`Math.floor(${index} / ${size})`);
    const r = this.variable(`${index} - ${q} * ${size}`);
    for (let off = size === 3 ? 2 : 1; off > 0; off--) {
      this.#lines.push(`if (${r} < 0) { ${q} = ${q} - 1; ${r} = ${r} + ${size}; }`);
      this.#lines.push(`if (${r} >= ${size}) { ${q} = ${q} + 1; ${r} = ${r} - ${size}; }`);
    }
    return { quotient: q, rest: r };
  }

  /** The index along each axis of a row-major shape. */
  indices(flat: string, shape: readonly number[]): string[] {
    const out = new Array<string>(shape.length).fill('0');
    let left = flat;
    let rest = shape.findIndex((n) => n !== 1);
    if (rest < 0) return out;
    for (let axis = shape.length - 1; axis > rest; axis--) {
      const n = shape[axis]!;
      if (n === 1) continue;
      const { quotient, rest: here } = this.split(left, n);
      out[axis] = here;
      left = quotient;
    }
    out[rest] = left;
    return out;
  }

  program(result: string, grid: readonly number[]): Program {
    const names = [...this.#arrays.map((_, i) => `a${i}`), ...this.#numbers.map((_, i) => `s${i}`)];
    return {
      source: `function (${names.join(', ')}) {\n${this.#lines.join('\n')}\nreturn ${result};\n}`,
      grid,
      arrays: this.#arrays,
      numbers: this.#numbers,
    };
  }
}

/** offset + Σ index · stride, with what is 0 left out. */
export function affine(
  indices: readonly string[],
  strides: readonly number[],
  offset: number | string = 0,
): string {
  const terms: string[] = [];
  indices.forEach((index, axis) => {
    const stride = strides[axis]!;
    if (index === '0' || stride === 0) return;
    terms.push(stride === 1 ? index : `${index} * ${literal(stride)}`);
  });
  if (offset !== 0 || terms.length === 0) terms.push(String(offset));
  return terms.join(' + ');
}
