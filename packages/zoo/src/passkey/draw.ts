/** Random numbers for the host, on whatever backend the model computes. */
import { withBackend, type Tensor, type TypedArray } from '@infinigrad/tensor';

/** The elements of what `make` draws: the same on every backend, so made on one that can be read at once. */
export const draw = (make: () => Tensor): TypedArray => withBackend('js', () => make().dataSync());
