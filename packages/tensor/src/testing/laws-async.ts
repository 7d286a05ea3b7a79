/** The law that backends agree, for those whose elements come later. */
import fc from 'fast-check';
import { currentBackend, getBackend, setBackend } from '../backends/registry.ts';
import type { Backend } from '../backends/backend.ts';
import { fromData } from '../creation.ts';
import { recordOf } from '../ops/table.ts';
import type { Tensor } from '../tensor.ts';
import { callsOf, runCall } from './calls.ts';
import { mustAgree, roundingOf, runOptions, type BackendOptions } from './laws.ts';
import { subjectOf, type Lawful } from './subject.ts';

/** The same tensor on another backend. */
async function moved(x: Tensor, backend: Backend): Promise<Tensor> {
  return fromData(await x.data(), x.shape, { dtype: x.dtype, backend });
}

/** As `backendsAgree`, where the elements must be waited for. Nothing else may make tensors meanwhile. */
export async function backendsAgreeAsync(what: Lawful, options: BackendOptions = {}): Promise<void> {
  const { name } = subjectOf(what);
  const backend = getBackend(options.backend ?? currentBackend().name);
  const reference = getBackend(options.reference ?? 'js');
  const property = fc.asyncProperty(callsOf(what, options), async (call) => {
    const first = call.inputs[0];
    if (typeof what === 'string' && first && !['view', 'fused'].includes(recordOf(what).kind))
      if (backend.lacks(what, first.dtype) !== null) return;
    const before = currentBackend().name;
    const on = (where: Backend): Tensor => {
      setBackend(where.name);
      try {
        return runCall(what, call, { backend: where });
      } finally {
        setBackend(before);
      }
    };
    const expected = on(reference);
    const there = on(backend);
    if (there.dtype !== expected.dtype)
      throw new Error(`${name}: ${there.dtype} on ${backend.name}, ${expected.dtype} on ${reference.name}`);
    const actual = await moved(there, reference);
    mustAgree(name, `${backend.name} differs from ${reference.name}`, actual, expected, {
      ...roundingOf(actual.dtype),
      ...options,
    });
  });
  await fc.assert(property, runOptions(options));
}
