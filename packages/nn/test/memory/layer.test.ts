/** The compressive memory as a layer: what every layer must show, and what it refuses. */
import { CompressiveMemory, type CompressiveMemoryOptions } from '@infinigrad/nn';
import { DTypeError, Key, ones, ShapeError, ValueError, zeros, type Tensor } from '@infinigrad/tensor';
import { layersConform, type LayerRow } from '../layers/conformance.ts';
import { numbers } from '../support.ts';
import { key, sizes, make, draw, read } from './support.ts';
import { memoryWrittenOut } from './written-out.ts';

const inputs = (own: Key): Tensor[] => {
  const { q, k, v, local, x } = draw(5, numbers(own.randint(0, 1000, [1]))[0]!, 1);
  return [q, k, v, local, x];
};
const row = (options: Partial<CompressiveMemoryOptions>): LayerRow<CompressiveMemory> => ({
  make: (given) => make({ segmentLength: 2, ...options, ...given }),
  inputs,
  forward: (memory, [q, k, v, local, x]) => memory.forward(q!, k!, v!, { local: local!, x: x! }),
  naive: (state, [q, k, v, local, x], memory) =>
    memoryWrittenOut(memory, state, { q: q!, k: k!, v: v!, local: local!, x: x! }).output,
});

layersConform('memory', {
  'CompressiveMemory, linear': row({ normalize: 'rmsNorm', gate: 'perChannel' }),
  CompressiveMemory: {
    ...row({ gate: 'input', writeGate: 'sigmoid', initState: 'learned', update: 'delta' }),
    errors: {
      'no heads': {
        body: () => make({ numHeads: 0 }),
        type: ValueError,
        says: 'CompressiveMemory: numHeads must be an integer ≥ 1',
      },
      'an unknown rule': {
        body: () => make({ update: 'hebb' as never }),
        type: ValueError,
        says: "update must be one of linear, delta, got 'hebb'",
      },
      'an unknown feature map': {
        body: () => make({ featureMap: 'elu' as never }),
        type: ValueError,
        says: 'featureMap: must be one of elu1',
      },
      'a decay of 0': {
        body: () => make({ decay: 0 }),
        type: ValueError,
        says: 'decay must lie in (0, 1], got 0',
      },
      'an eps below 0': { body: () => make({ eps: -1 }), type: ValueError, says: 'eps must be a number ≥ 0' },
      'a margin below 0': {
        body: () => make({ writeGateMargin: -1 }),
        type: ValueError,
        says: 'writeGateMargin',
      },
      'no gate': { body: () => make({ gateInit: NaN }), type: ValueError, says: 'gateInit must be a number' },
      'cutting every 0': { body: () => make({ detachEvery: 0 }), type: ValueError, says: 'detachEvery' },
      'gates without a size': {
        body: () => new CompressiveMemory({ ...sizes, key, gate: 'input' }),
        type: ValueError,
        says: 'gates that read the input need its size',
      },
      'other heads': {
        body: () => make().read(...([1, 2, 3].map(() => zeros([1, 3, 2, 4])) as [Tensor, Tensor, Tensor])),
        type: ShapeError,
        says: 'needs q and k [batch, 2, T, 4] and v [batch, 2, T, 3]',
      },
      integers: {
        body: () =>
          make().read(zeros([1, 2, 1, 4], { dtype: 'i32' }), zeros([1, 2, 1, 4]), zeros([1, 2, 1, 3])),
        type: DTypeError,
        says: 'needs floating-point tensors',
      },
      'another local': {
        body: () => read(make(), { ...draw(4), local: draw(5).local }),
        type: ShapeError,
        says: "what is mixed with must have the values' shape",
      },
      'mixing without a gate': {
        body: () => read(make({ gate: 'none' }), draw(4)),
        type: ValueError,
        says: "gate 'none' mixes with nothing",
      },
      'another mask': {
        body: () => read(make(), draw(4), { mask: ones([2, 3]) }),
        type: ShapeError,
        says: 'the mask must be [2, 4]',
      },
      'a mask of numbers': {
        body: () => read(make(), draw(4), { mask: ones([2, 4]) }),
        type: DTypeError,
        says: 'the mask must be bool',
      },
      'no input': {
        body: () => make({ writeGate: 'hard' }).read(draw(4).q, draw(4).k, draw(4).v),
        type: ValueError,
        says: 'the gates need the input',
      },
      'another input': {
        body: () => read(make({ writeGate: 'hard' }), draw(4), { x: zeros([2, 4, 6]) }),
        type: ShapeError,
        says: 'x must be [2, 4, 5]',
      },
      'another state': {
        body: () =>
          read(make(), draw(4), {
            initialState: { matrix: zeros([2, 2, 4, 4]), normalizer: zeros([2, 2, 4]) },
          }),
        type: ShapeError,
        says: 'the state must be [2, 2, 4, 3] and [2, 2, 4]',
      },
    },
  },
});
