/** The work's tensors, on the backend at hand. */
import { fromData, type Tensor } from '@infinigrad/tensor';
import type { Work } from '../workload/folder.ts';

export function readTensor(work: Work, name: string): Tensor {
  const { shape, data } = work.read(name);
  return fromData(data, shape);
}
