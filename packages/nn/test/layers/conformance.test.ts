/** The runner itself, on a layer that keeps its laws. */
import { Linear } from '@infinigrad/nn';
import { Key, ShapeError } from '@infinigrad/tensor';
import { layersConform } from './conformance.ts';

layersConform('rows that conform', {
  Linear: {
    make: (options) => new Linear(3, 2, options),
    inputs: (key) => [key.normal([4, 3], { dtype: 'f64' })],
    naive: ({ weight, bias }, [x]) => x!.unsqueeze(-2).mul(weight!).sum(-1).add(bias!),
    errors: {
      'another size': {
        body: () => new Linear(3, 2, { key: new Key(0) }).forward(new Key(0).normal([2])),
        type: ShapeError,
        says: 'Linear: the last axis must have size 3',
      },
    },
  },
});
