/** What is wrong with a checkpoint. */
import { FormatError } from '@infinigrad/tensor';

/** A checkpoint that is torn, altered, or not one of ours. */
export class CheckpointError extends FormatError {
  override readonly name: string = 'CheckpointError';
  readonly path: string;

  constructor(path: string, problem: string) {
    super('Checkpoints', `${path}: ${problem}`);
    this.path = path;
  }
}
