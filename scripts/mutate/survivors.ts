/** Mutants that no law can notice, and why: the change makes no difference. */
export const explained: readonly { readonly id: RegExp; readonly why: string }[] = [
  {
    id: /^elementwise\.ts pow: factor: 1 → \(1 \+ 0\.5\)/,
    why: 'the 1 stands in for a base of 0 and is multiplied by 0: any finite number would do',
  },
];
