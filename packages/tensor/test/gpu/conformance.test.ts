/** Every op of the table, in every dtype that the GPU has and in every layout, against the reference. */
import {
  BackendError,
  getBackend,
  opNames,
  recordOf,
  setBackend,
  type DType,
  type OpName,
} from '@infinigrad/tensor';
import { backendsAgreeAsync } from '@infinigrad/tensor/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { gpu } from './host.ts';

const runs = Number(process.env['INFINIGRAD_GPU_RUNS'] ?? 8);
const dtypes: readonly DType[] = ['f32', 'i32', 'u8', 'bool'];

const accepted = (op: OpName, dtype: DType): boolean =>
  recordOf(op)
    .accepts.find((list) => list.length > 1)!
    .includes(dtype);

describe.skipIf(!gpu)('the gpu backend agrees with the reference', () => {
  setBackend('wasm');
  const ran: string[] = [];
  const absent = new Map<string, string[]>();
  const lacking = (reason: string, what: string): void =>
    void absent.set(reason, [...(absent.get(reason) ?? []), what]);

  const cases = opNames.flatMap((op) =>
    dtypes.filter((dtype) => accepted(op, dtype)).map((dtype) => ({ op, dtype })),
  );
  it.each(cases)('$op $dtype', async ({ op, dtype }) => {
    const { kind } = recordOf(op);
    const lack = kind === 'fused' ? null : getBackend('gpu').lacks(op, dtype);
    if (lack !== null) {
      expect(lack).toMatch(/\S/);
      lacking(lack, `${op} ${dtype}`);
      return;
    }
    try {
      await backendsAgreeAsync(op, { backend: 'gpu', runs, dtype, rtol: 1e-5, atol: 1e-5 });
      ran.push(`${op} ${dtype}`);
    } catch (error) {
      const cause = (error as Error).cause;
      // An op that it is made of, or the dtype that the sample asks for.
      if (!(cause instanceof BackendError) || !/cannot run it|has no/.test(cause.problem)) throw error;
      lacking(`${cause.op}: ${cause.problem}`, `${op} ${dtype}`);
    }
  });

  afterAll(async () => {
    const count = [...absent.values()].reduce((sum, list) => sum + list.length, 0);
    console.log(`webgpu: ${ran.length} of op and dtype agree, ${count} declared absent`);
    for (const [reason, list] of absent) console.log(`  ${reason}: ${list.join(', ')}`);
    await gpu!.close();
  });
});
