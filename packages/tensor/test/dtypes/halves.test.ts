/** Every op on f16 and bf16, over all layouts: f32 on the same values, rounded once. */
import { opNames, withBackend } from '@infinigrad/tensor';
import { backendsAgree, halvesAgree, viewsAgree } from '@infinigrad/tensor/testing';
import { describe, it } from 'vitest';
import { runs } from '../support.ts';

describe.each(['f16', 'bf16'] as const)('%s', (dtype) => {
  describe.each(['js', 'wasm'])('on %s', (backend) => {
    it.each(opNames)('%s is f32, rounded once', (op) =>
      withBackend(backend, () => halvesAgree(op, { runs, dtype })),
    );
  });
  it.each(opNames)('%s gives one result in every layout', (op) => viewsAgree(op, { runs, dtype }));
  it.each(opNames)('%s gives on wasm what it gives on js', (op) =>
    backendsAgree(op, { runs, dtype, backend: 'wasm' }),
  );
});
