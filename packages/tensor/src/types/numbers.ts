/** Products of number literals, worked out by the compiler: long multiplication on decimal digits. */

/** Digits in reverse: 120 is [0, 2, 1]. */
type Digits<Text extends string, Found extends readonly number[] = []> = Text extends `${infer First extends
  number}${infer Rest}`
  ? Digits<Rest, [First, ...Found]>
  : Found;

type Text<D extends readonly number[], Found extends string = ''> = D extends readonly [
  infer First extends number,
  ...infer Rest extends readonly number[],
]
  ? Text<Rest, `${First}${Found}`>
  : Found;

/** A tuple as long as a digit says. */
type Count<D extends number, Found extends readonly 0[] = []> = Found['length'] extends D
  ? Found
  : Count<D, [...Found, 0]>;
/** A tuple as long as a count times a digit. */
type CountProduct<
  A extends readonly 0[],
  D extends number,
  Times extends readonly 0[] = [],
  Found extends readonly 0[] = [],
> = Times['length'] extends D ? Found : CountProduct<A, D, [...Times, 0], [...Found, ...A]>;

type Multiple<A, D extends number> = A extends readonly 0[] ? CountProduct<A, D> : never;

/** The last digit of a count below 100, and what is carried. */
type Carry<N extends readonly 0[]> =
  `${N['length']}` extends `${infer Tens extends number}${infer Ones extends number}`
    ? { digit: Ones; carry: Count<Tens> }
    : { digit: N['length']; carry: [] };

type Sum<A, B, C extends readonly 0[]> = A extends readonly 0[]
  ? B extends readonly 0[]
    ? Carry<[...A, ...B, ...C]>
    : never
  : never;

/** total + a · d, digit by digit. */
type AddMultiple<
  Total extends readonly number[],
  A extends readonly number[],
  D extends number,
  Carried extends readonly 0[] = [],
  Found extends readonly number[] = [],
> = A extends readonly [infer First extends number, ...infer Rest extends readonly number[]]
  ? Sum<Count<Head<Total>>, Multiple<Count<First>, D>, Carried> extends {
      digit: infer Digit extends number;
      carry: infer Next extends readonly 0[];
    }
    ? AddMultiple<Tail<Total>, Rest, D, Next, [...Found, Digit]>
    : never
  : Total extends readonly [infer First extends number, ...infer Rest extends readonly number[]]
    ? Sum<Count<First>, [], Carried> extends {
        digit: infer Digit extends number;
        carry: infer Next extends readonly 0[];
      }
      ? AddMultiple<Rest, [], D, Next, [...Found, Digit]>
      : never
    : Carried extends readonly []
      ? Found
      : [...Found, Carried['length']];

type Head<T extends readonly number[]> = T extends readonly [infer First extends number, ...unknown[]]
  ? First
  : 0;
type Tail<T extends readonly number[]> = T extends readonly [unknown, ...infer Rest extends readonly number[]]
  ? Rest
  : [];

type Long<
  A extends readonly number[],
  B extends readonly number[],
  Shifted extends readonly number[] = [],
  Total extends readonly number[] = [],
> = B extends readonly [infer First extends number, ...infer Rest extends readonly number[]]
  ? Long<A, Rest, [...Shifted, 0], AddMultiple<Total, [...Shifted, ...A], First>>
  : Total;

type Trim<T extends string> = T extends `0${infer Rest}` ? (Rest extends '' ? T : Trim<Rest>) : T;
type ToNumber<T extends string> = T extends `${infer N extends number}` ? N : number;

/** The product of two literals that are not negative; `number` where either is no literal. */
export type Multiply<A extends number, B extends number> = number extends A
  ? number
  : number extends B
    ? number
    : ToNumber<Trim<Text<Long<Digits<`${A}`>, Digits<`${B}`>>>>>;
