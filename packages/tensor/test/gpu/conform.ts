/** Whether an op on the GPU gives what it gives on the reference; the same in Node and in a page. */
import { BackendError, getBackend, opNames, recordOf, type DType, type OpName } from '@infinigrad/tensor';
import { backendsAgreeAsync } from '@infinigrad/tensor/testing';

export interface Case {
  readonly op: OpName;
  readonly dtype: DType;
}

/** Whether the inputs that a sample leaves open take the dtype; those accept more than conditions do. */
const accepted = (op: OpName, dtype: DType): boolean =>
  recordOf(op)
    .accepts.find((list) => list.length > 1)!
    .includes(dtype);

/** Every op in every dtype that can be on the GPU. */
export const cases: readonly Case[] = opNames.flatMap((op) =>
  (['f32', 'i32', 'u8', 'bool'] as const)
    .filter((dtype) => accepted(op, dtype))
    .map((dtype) => ({ op, dtype })),
);

/**
 * Tries a case, in layouts of all kinds.
 * @returns why the GPU lacks it, or null where it agrees with the reference
 * @throws Error where it does not
 */
export async function conform({ op, dtype }: Case, runs: number): Promise<string | null> {
  const lack = recordOf(op).kind === 'fused' ? null : getBackend('gpu').lacks(op, dtype);
  if (lack !== null) return lack;
  try {
    await backendsAgreeAsync(op, { backend: 'gpu', runs, dtype, rtol: 1e-5, atol: 1e-5 });
    return null;
  } catch (error) {
    const { cause } = error as Error;
    // An op that it is made of is lacking, or the dtype that the sample asks for.
    if (cause instanceof BackendError && /cannot run it|has no/.test(cause.problem))
      return `${cause.op}: ${cause.problem}`;
    throw error;
  }
}

/** What came of all cases, in one line for each reason of absence. */
export class Tally {
  passed = 0;
  readonly failed: string[] = [];
  readonly absent = new Map<string, string[]>();

  add({ op, dtype }: Case, lack: string | null): void {
    if (lack === null) this.passed++;
    else this.absent.set(lack, [...(this.absent.get(lack) ?? []), `${op} ${dtype}`]);
  }

  get absentCount(): number {
    return [...this.absent.values()].reduce((sum, list) => sum + list.length, 0);
  }

  reasons(): string[] {
    return [...this.absent].map(([reason, list]) => `  absent, ${reason}: ${list.join(', ')}`);
  }
}
