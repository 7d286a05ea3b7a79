/** Signals that end a command, and the exit codes that tell so. */
import { Interrupted } from './errors.ts';

export const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;
export type Signal = keyof typeof exitCodes;

/** Calls `act` for the first signal; a second one ends the process at once. @returns stops listening */
export function onSignal(act: (signal: Signal) => void): () => void {
  let heard = false;
  const listener = (signal: Signal): void => {
    if (heard) process.exit(exitCodes[signal]);
    heard = true;
    act(signal);
  };
  process.on('SIGINT', listener).on('SIGTERM', listener);
  return () => void process.off('SIGINT', listener).off('SIGTERM', listener);
}

/** Work that a signal ends. @throws Interrupted with what is then to be told */
export async function untilSignal<T>(
  work: (signal: AbortSignal) => Promise<T>,
  told: () => string,
): Promise<T> {
  const abort = new AbortController();
  let heard = null as Signal | null;
  const off = onSignal((signal) => {
    heard = signal;
    abort.abort();
  });
  try {
    return await work(abort.signal);
  } catch (error) {
    if (heard === null) throw error;
    throw new Interrupted(told(), exitCodes[heard]);
  } finally {
    off();
  }
}
