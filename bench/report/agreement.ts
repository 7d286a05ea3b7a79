/** Whether all did the same work: losses as known, results alike. A speed that does not compute the thing is none. */
import { gptNames, knownLosses } from '../workload/gpt.ts';
import type { Row } from './rows.ts';

/** Losses are known to four places; more than a unit of the last one off is another computation. */
const lossTolerance = 1.5e-4;
/** Sums of f32 results over up to a million elements differ in their last digits. */
const checkTolerance = 2e-3;

/** A complaint for each loss that is not what PyTorch computes. */
export function wrongLosses(rows: readonly Row[]): string[] {
  return gptNames.flatMap((gpt) =>
    Object.entries(knownLosses[gpt]).flatMap(([step, known]) =>
      rows
        .filter(({ name }) => name === `gpt-${gpt}/loss at ${step}`)
        .filter(({ value }) => !(Math.abs(value - known) <= lossTolerance))
        .map(
          ({ peer, name, value }) =>
            `${peer}: ${name} is ${value.toFixed(4)}, not ${known}: it does not train this network`,
        ),
    ),
  );
}

/** A complaint for each result of ours that a peer does not share. */
export function disagreements(rows: readonly Row[], ours: string): string[] {
  return rows
    .filter(({ peer, check }) => peer === ours && check !== undefined)
    .flatMap(({ name, check }) =>
      rows
        .filter((row) => row.name === name && row.peer !== ours && row.check !== undefined)
        .filter((row) => Math.abs(row.check! - check!) > checkTolerance * Math.max(1, Math.abs(check!)))
        .map((row) => `${name}: ${ours} has the check sum ${check}, ${row.peer} ${row.check}`),
    );
}

/** Decoding with a cache and without must give the same tokens. */
export function wrongDecoding(rows: readonly Row[], ours: string): string[] {
  const [first, ...others] = rows.filter(({ name, peer }) => peer === ours && name.startsWith('decode/'));
  return others.some(({ check }) => check !== first!.check)
    ? ['decode: the tokens with cached keys and values are not those computed anew']
    : [];
}
