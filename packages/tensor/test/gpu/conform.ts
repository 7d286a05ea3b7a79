/** Whether an op on the GPU gives what it gives on the reference; the same in Node and in a page. */
import { getBackend, opNames, type DType, type OpName } from '@infinigrad/tensor';
import { backendsAgreeAsync, callsOf } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import type { GpuBackend } from '../../src/backends/gpu/backend.ts';
import { accepted, declaredLack, dtypesOnGpu, refusalOn, subjectOnGpu } from './support.ts';

export interface Case {
  readonly op: OpName;
  readonly dtype: DType;
}

/** Every op in every dtype that can be on the GPU. */
export const cases: readonly Case[] = opNames.flatMap((op) =>
  dtypesOnGpu.filter((dtype) => accepted(op, dtype)).map((dtype) => ({ op, dtype })),
);

/**
 * Tries a case, in layouts of all kinds: what the page of ops declares absent must be refused, with the reason that it
 * gives, and all else must run.
 * @returns why the GPU lacks it, or null where it agrees with the reference
 * @throws Error where it does not, or where it is not as declared
 */
export async function conform({ op, dtype }: Case, runs: number): Promise<string | null> {
  const backend = getBackend('gpu') as GpuBackend;
  const declared = declaredLack(backend.device.mode, op, dtype);
  const subject = subjectOnGpu(op);
  if (declared === null) {
    await backendsAgreeAsync(subject, { backend: 'gpu', runs, dtype, rtol: 1e-5, atol: 1e-5 });
    return null;
  }
  for (const call of fc.sample(callsOf(subject, { dtype }), runs)) {
    const refusal = refusalOn(backend, op, call);
    if (refusal !== declared) throw new Error(`${op} ${dtype} is declared absent (${declared}): ${refusal}`);
  }
  return declared;
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
