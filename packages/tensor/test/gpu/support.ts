/** What a GPU is declared to run, seen without one: the reference computes in its place, and refuses what it would. */
import {
  BackendError,
  recordOf,
  registerBackend,
  scope,
  withBackend,
  type Backend,
  type Draw,
  type DType,
  type OpName,
  type Sample,
} from '@infinigrad/tensor';
import type { Mode } from '@infinigrad/tensor/gpu';
import { callsOf, runCall, subjectOf, type DrawnCall, type Subject } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import { lackOf, wrongIn } from '../../src/backends/gpu/lacks.ts';
import { checkDType, lackOfDType } from '../../src/backends/gpu/numbers.ts';
import { JsBackend } from '../../src/backends/js/backend.ts';

export const dtypesOnGpu = ['f32', 'i32', 'u8', 'bool'] as const;

/** Whether the inputs that a sample leaves open take the dtype; those accept more than conditions do. */
export const accepted = (op: OpName, dtype: DType): boolean =>
  recordOf(op)
    .accepts.find((list) => list.length > 1)!
    .includes(dtype);

function standInFor(mode: Mode): Backend {
  const js = new JsBackend();
  return registerBackend({
    name: `${mode}-declared`,
    fuses: false,
    synchronous: true,
    lacks: (op, dtype) => lackOf(op, dtype, wrongIn[mode]),
    allocate(dtype, length) {
      checkDType('gpu', dtype);
      return js.allocate(dtype, length);
    },
    upload(dtype, data) {
      checkDType('fromData', dtype);
      return js.upload(dtype, data);
    },
    download: (...args) => js.download(...args),
    downloadSync: (...args) => js.downloadSync(...args),
    claim: () => null,
    free: () => {},
    run: (call) => js.run(call),
    sync: () => js.sync(),
  });
}

const standIns = new Map<Mode, Backend>();

/** An op as sampled, but where a sample asks for a dtype that no GPU has, for another. */
export function subjectOnGpu(op: OpName): Subject {
  const whole = subjectOf(op);
  const sample = (draw: Draw): Sample => {
    const drawn = whole.sample(draw);
    const dtype = drawn.attrs?.['dtype'] as DType | undefined;
    if (dtype === undefined || lackOfDType(dtype) === null) return drawn;
    return { ...drawn, attrs: { ...drawn.attrs, dtype: draw.pick(dtypesOnGpu) } };
  };
  return { ...whole, sample };
}

/** Why a backend refuses a call, or null where it takes it. */
export function refusalOn(backend: Backend, op: OpName, call: DrawnCall): string | null {
  try {
    withBackend(backend.name, () => scope(() => void runCall(op, call, { backend })));
    return null;
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return error.problem.replace(/^the \S+ backend (?:cannot run it: )?/, '');
  }
}

/** Calls by which it is seen what is declared. */
const declaring = { seed: 1, numRuns: 10 };

/**
 * Why an op of inputs in some dtype is declared absent in some mode, or null. For ops that are made of others, and where
 * inputs are promoted first, it is the reason of what is run in the end.
 */
export function declaredLack(mode: Mode, op: OpName, dtype: DType): string | null {
  let backend = standIns.get(mode);
  if (!backend) standIns.set(mode, (backend = standInFor(mode)));
  for (const call of fc.sample(callsOf(subjectOnGpu(op), { dtype }), declaring)) {
    const refusal = refusalOn(backend, op, call);
    if (refusal !== null) return refusal;
  }
  return null;
}
