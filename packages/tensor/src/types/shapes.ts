/**
 * Shapes that the compiler knows. A shape given as a literal tuple (`[2, 3] as const`) flows through the ops, and sizes that do not
 * fit are errors in the editor; a shape given as `number[]` stays what it was: any. Sizes known only at run time are `number`.
 */
import type { Shape } from '../shape.ts';
import type { Multiply } from './numbers.ts';

/** What the compiler shows in place of an argument that does not fit. */
export interface Mismatch<Message extends string> {
  readonly 'shapes do not fit': Message;
}

/** A shape whose rank is not known is any shape. */
export type Known<S extends Shape> = number extends S['length'] ? Shape : S;

/** Whether the rank is unknown. */
type Unknown<S extends Shape> = number extends S['length'] ? true : false;

type Written<S extends Shape> = S extends readonly [infer First extends number, ...infer Rest extends Shape]
  ? Rest extends readonly []
    ? `${First}`
    : `${First}, ${Written<Rest>}`
  : '';
/** A shape as text. */
export type Text<S extends Shape> = `[${Written<S>}]`;

type Last<S extends Shape> = S extends readonly [...Shape, infer N extends number] ? N : number;
type Init<S extends Shape> = S extends readonly [...infer Rest extends Shape, number] ? Rest : [];

/** The size at which two sizes meet, or never. */
type Meet<A extends number, B extends number> = A extends B
  ? number extends A
    ? B
    : A
  : number extends A
    ? B extends 1
      ? A
      : B
    : number extends B
      ? A extends 1
        ? B
        : A
      : A extends 1
        ? B
        : B extends 1
          ? A
          : never;

type MeetAll<A extends Shape, B extends Shape, Found extends Shape = []> = A extends readonly []
  ? readonly [...B, ...Found]
  : B extends readonly []
    ? readonly [...A, ...Found]
    : Meet<Last<A>, Last<B>> extends infer N extends number
      ? [N] extends [never]
        ? never
        : MeetAll<Init<A>, Init<B>, [N, ...Found]>
      : never;

/** The shape to which two shapes broadcast; never where they do not. */
export type Broadcast<A extends Shape, B extends Shape> = true extends Unknown<A> | Unknown<B>
  ? Shape
  : MeetAll<A, B>;
export type FitsBroadcast<A extends Shape, B extends Shape> = [Broadcast<A, B>] extends [never]
  ? Mismatch<`${Text<A>} and ${Text<B>} do not broadcast`>
  : unknown;

type SameSize<A extends number, B extends number> = number extends A
  ? true
  : number extends B
    ? true
    : A extends B
      ? true
      : false;

/** The matrix product's shape; a vector on either side acts as a row or a column. */
export type MatMul<A extends Shape, B extends Shape> = true extends Unknown<A> | Unknown<B>
  ? Shape
  : A extends readonly [number]
    ? B extends readonly [number]
      ? readonly []
      : readonly [...Init<Init<B>>, Last<B>]
    : B extends readonly [number]
      ? Init<A>
      : Broadcast<Init<Init<A>>, Init<Init<B>>> extends infer Batch extends Shape
        ? readonly [...Batch, Last<Init<A>>, Last<B>]
        : never;
export type FitsMatMul<A extends Shape, B extends Shape> = true extends Unknown<A> | Unknown<B>
  ? unknown
  : A extends readonly []
    ? Mismatch<'matmul needs at least vectors, not single numbers'>
    : B extends readonly []
      ? Mismatch<'matmul needs at least vectors, not single numbers'>
      : SameSize<Last<A>, B extends readonly [infer N extends number] ? N : Last<Init<B>>> extends true
        ? A extends readonly [number]
          ? unknown
          : B extends readonly [number]
            ? unknown
            : FitsBroadcast<Init<Init<A>>, Init<Init<B>>>
        : Mismatch<`the inner sizes of ${Text<A>} and ${Text<B>} differ`>;

/** The number of elements. */
export type Size<S extends Shape> = S extends readonly []
  ? 1
  : S extends readonly [infer First extends number, ...infer Rest extends Shape]
    ? Rest extends readonly []
      ? First
      : Multiply<First, Size<Rest>>
    : number;

/** -1 in a shape asked for stands for a size that is worked out at run time. */
type Open<S extends Shape> = { readonly [I in keyof S]: S[I] extends -1 ? number : S[I] };
export type Reshaped<S extends Shape, To extends Shape> = true extends Unknown<S> | Unknown<To>
  ? Shape
  : Open<To>;
export type FitsReshape<S extends Shape, To extends Shape> = true extends Unknown<S> | Unknown<To>
  ? unknown
  : SameSize<Size<S>, Size<Open<To>>> extends true
    ? unknown
    : Mismatch<`${Text<S>} has ${Size<S>} elements, ${Text<To>} has ${Size<Open<To>>}`>;

/** The places of a shape, '0' | '1' | …, also as they are counted from the end. */
type Places<S extends Shape> = Exclude<keyof S, keyof (readonly unknown[])>;
type Negatives<S extends Shape, Found extends readonly string[] = []> = S extends readonly [
  unknown,
  ...infer Rest extends Shape,
]
  ? Negatives<Rest, [`-${[...Found, '']['length']}`, ...Found]>
  : Found;
/** The place, '0', '1', …, that an axis names; never where there is no such axis. */
type Place<S extends Shape, Axis extends number> =
  `${Axis}` extends Places<S>
    ? `${Axis}`
    : {
        [I in Places<S>]: I extends keyof Negatives<S>
          ? Negatives<S>[I] extends `${Axis}`
            ? I
            : never
          : never;
      }[Places<S>];

type AxisOf<Axes extends number | Shape> = Axes extends Shape ? Axes[number] : Axes;
type Reduce<S extends Shape, Gone, Keep extends boolean, At extends readonly 0[] = []> = S extends readonly [
  infer First extends number,
  ...infer Rest extends Shape,
]
  ? readonly [
      ...(`${At['length']}` extends Gone ? (Keep extends true ? [1] : []) : [First]),
      ...Reduce<Rest, Gone, Keep, [...At, 0]>,
    ]
  : readonly [];
type AllGone<S extends Shape, Keep extends boolean> = Keep extends true
  ? { readonly [I in keyof S]: 1 }
  : readonly [];

/** The shape without some axes, or with them at size 1. `undefined`: all of them. */
export type Reduced<S extends Shape, Axes extends number | Shape | undefined, Keep extends boolean> =
  true extends Unknown<S>
    ? Shape
    : boolean extends Keep
      ? Shape
      : Axes extends undefined
        ? AllGone<S, Keep>
        : Axes extends number | Shape
          ? number extends AxisOf<Axes>
            ? Shape
            : Reduce<
                S,
                AxisOf<Axes> extends infer A extends number ? (A extends A ? Place<S, A> : never) : never,
                Keep
              >
          : Shape;
export type FitsAxes<S extends Shape, Axes extends number | Shape | undefined> =
  true extends Unknown<S>
    ? unknown
    : Axes extends number | Shape
      ? number extends AxisOf<Axes>
        ? unknown
        : Missing<S, AxisOf<Axes>> extends infer M
          ? [M] extends [never]
            ? unknown
            : Mismatch<`axis ${M & number} is out of range for ${Text<S>}`>
          : unknown
      : unknown;
type Missing<S extends Shape, Axis extends number> = Axis extends Axis
  ? [Place<S, Axis>] extends [never]
    ? Axis
    : never
  : never;

/** Axes in another order. */
export type Permuted<S extends Shape, Axes extends Shape> = true extends Unknown<S> | Unknown<Axes>
  ? Shape
  : { readonly [I in keyof Axes]: S[Place<S, Axes[I] & number> & keyof S] & number };
export type FitsPermutation<S extends Shape, Axes extends Shape> = true extends Unknown<S> | Unknown<Axes>
  ? unknown
  : S['length'] extends Axes['length']
    ? FitsAxes<S, Axes>
    : Mismatch<`${Text<S>} and the order ${Text<Axes>} differ in rank`>;

/** Two axes swapped. */
export type Transposed<S extends Shape, A extends number, B extends number> =
  true extends Unknown<S>
    ? Shape
    : number extends A | B
      ? Shape
      : {
          readonly [I in keyof S]: I extends Place<S, A>
            ? S[Place<S, B> & keyof S] & number
            : I extends Place<S, B>
              ? S[Place<S, A> & keyof S] & number
              : S[I];
        };

/** A new axis of size 1 in front of a place counted in the result. */
export type Unsqueezed<S extends Shape, Axis extends number> =
  true extends Unknown<S>
    ? Shape
    : number extends Axis
      ? Shape
      : Place<readonly [...S, 0], Axis> extends infer P
        ? [P] extends [never]
          ? Shape
          : Insert<S, P>
        : Shape;
type Insert<S extends Shape, P, At extends readonly 0[] = []> = `${At['length']}` extends P
  ? readonly [1, ...S]
  : S extends readonly [infer First extends number, ...infer Rest extends Shape]
    ? readonly [First, ...Insert<Rest, P, [...At, 0]>]
    : readonly [];

/** The shape of nested arrays that are literal tuples; of anything else any shape. */
export type LiteralShape<T> = T extends readonly unknown[] ? NestedShape<T> : Shape;
type NestedShape<T> = T extends readonly unknown[]
  ? number extends T['length']
    ? Shape
    : T extends readonly [infer First, ...unknown[]]
      ? NestedShape<First> extends infer Inner extends Shape
        ? number extends Inner['length']
          ? Shape
          : readonly [T['length'], ...Inner]
        : Shape
      : readonly [0]
  : readonly [];
