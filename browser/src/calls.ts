/** Calls of cases by name: from the test into a page, and on into its worker. */
import type { Cases } from './cases.ts';
import type { Lack } from './host.ts';

/** Where a case runs. */
export type Place = 'page' | 'worker';

export interface Call {
  readonly name: keyof Cases;
  readonly args: readonly unknown[];
}

/** What a worker is sent: first what it has to do without, then calls. */
export type ToWorker = { readonly lack: Lack | undefined } | Call;

/** What comes back of a call. */
export type Answer = { readonly value: unknown } | { readonly error: string };

export async function answer(cases: Cases, { name, args }: Call): Promise<Answer> {
  try {
    return { value: await (cases[name] as (...args: readonly unknown[]) => unknown)(...args) };
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
