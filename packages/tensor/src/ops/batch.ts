/**
 * How an op runs on a whole batch of examples at once: for elementwise ops and reductions that follows from their kind, other
 * records may say it (`batch`). What has no such rule is composed, or run example by example: always right, only slower.
 */
import type { Tensor } from '../tensor.ts';
import type { Attrs, OpRecord, Plan } from './record.ts';

/** A call on every example of a batch. */
export interface BatchedCall {
  /** Those that differ from example to example have the batch as a further first axis; the others are as they come. */
  readonly inputs: readonly Tensor[];
  /** Which inputs have the batch axis; at least one of them. */
  readonly batched: readonly boolean[];
  /** The number of examples. */
  readonly size: number;
  /** The call on one example. */
  readonly plan: Plan;
}

/**
 * The results of all examples, with the batch as the first axis; null where there is no way to have them at once.
 * @param run runs the op itself on other inputs with other attributes
 */
export type Batch = (
  call: BatchedCall,
  run: (inputs: readonly Tensor[], attrs: Attrs) => Tensor,
) => Tensor | null;

/** Every input with the batch axis; those that lacked it repeat, without a copy. */
export function everyBatched({ inputs, batched, size }: BatchedCall): Tensor[] {
  return inputs.map((x, i) => (batched[i] ? x : x.expand([size, ...x.shape])));
}

/** The highest rank among the inputs, as one example sees them. */
const highestRank = ({ inputs, batched }: BatchedCall): number =>
  Math.max(...inputs.map((x, i) => x.rank - Number(batched[i])));

/** Inputs whose axes are aligned at the right: between the batch axis and those of an example come axes of size 1 up to `rank`. */
export function aligned(call: BatchedCall, rank = highestRank(call)): Tensor[] {
  return call.inputs.map((x, i) => {
    const missing = rank + 1 - x.rank;
    if (!call.batched[i] || missing <= 0) return x;
    const [size, ...rest] = x.shape as [number, ...number[]];
    return x.reshape([size, ...new Array<number>(missing).fill(1), ...rest]);
  });
}

/** Leading axes broadcast, and the op works on those behind: the batch is one more leading axis. */
export const leading: Batch = (call, run) => run(aligned(call), call.plan.attrs);

/** Leading axes are free but must be those of all inputs. */
export const leadingOfAll: Batch = (call, run) => run(everyBatched(call), call.plan.attrs);

/** Leading axes of the first input are free; the others have none. */
export const leadingOfFirst: Batch = ({ inputs, batched, plan }, run) =>
  batched.slice(1).some(Boolean) ? null : run(inputs, plan.attrs);

/** All inputs have one rank, and `attrs.axis` counts their axes. */
export const alongAxis: Batch = (call, run) => {
  const { attrs } = call.plan;
  return run(everyBatched(call), { ...attrs, axis: (attrs['axis'] as number) + 1 });
};

/** As `alongAxis`, for the list `attrs.axes`. */
export const overAxes: Batch = (call, run) => {
  const { attrs } = call.plan;
  return run(everyBatched(call), {
    ...attrs,
    axes: (attrs['axes'] as readonly number[]).map((axis) => axis + 1),
  });
};

/** The way in which a record's op runs on a batch at once; null where there is none. */
export function batchOf(record: OpRecord): Batch | null {
  if (record.batch) return record.batch;
  switch (record.kind) {
    case 'elementwise':
      return leading;
    case 'reduction':
      return overAxes;
    default:
      return null;
  }
}
