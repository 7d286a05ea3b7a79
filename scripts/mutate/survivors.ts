/** Mutants that no law can notice, and why: the change makes no difference. */
export const explained: readonly { readonly id: RegExp; readonly why: string }[] = [
  {
    id: /^elementwise\.ts pow: factor: 1 → \(1 \+ 0\.5\)/,
    why: 'the 1 stands in for a base of 0 and is multiplied by 0: any finite number would do',
  },
  {
    id: /^special\.ts hypot: factor: 1 →/,
    why: 'the 1 stands in for a length of 0, by which 0 is divided: any would do',
  },
  {
    id: /^linalg\/solutions\.ts matrixExp: (?:op: largest\.gt|factor: 1 →)/,
    why: 'the scale is multiplied in again: any would do but for rounding',
  },
  {
    id: /^linalg\/solutions\.ts matrixExp: (?:sign|factor): g →/,
    why: 'what is returned for matrices without elements',
  },
  {
    id: /^linalg\/spectra\.ts eighPacked\+svdPacked: factor: 1 →/,
    why: 'what stands for a gap where 0 is taken in place of the quotient',
  },
  {
    id: /^linalg\/spectra\.ts eighPacked\+svdPacked: axis: x\.transpose\(\) → x/,
    why: 'matters where two values are equal, which packages/autograd/test/linalg-degenerate.test.ts holds',
  },
];
