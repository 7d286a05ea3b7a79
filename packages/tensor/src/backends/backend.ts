/** What a backend is: about ten methods over dumb buffers. Shapes, promotion and gradients are decided above it. */
import type { DType, TypedArray } from '../dtype.ts';
import type { Layout } from '../shape.ts';
import type { Attrs, OpRecord } from '../ops/record.ts';
import type { OpName } from '../ops/table.ts';

/** Memory that a backend owns; opaque to everyone else. */
export type BackendBuffer = object;

/** Elements of a buffer, as laid out. */
export interface BufferView extends Layout {
  readonly buffer: BackendBuffer;
  readonly dtype: DType;
}

/** One op, ready to run: inputs promoted, attributes canonical, a row-major output allocated. */
export interface KernelCall {
  /** The op's name, or where several were fused, one that tells their structure. */
  readonly op: string;
  readonly record: OpRecord;
  readonly inputs: readonly BufferView[];
  readonly output: BufferView;
  readonly attrs: Attrs;
}

export interface Backend {
  readonly name: string;
  /** True where a chain of elementwise ops is better run as one. */
  readonly fuses: boolean;
  /** True where buffers lie in this process's memory, so that they can be read at once. */
  readonly synchronous: boolean;
  /** Why the backend cannot run the op in this dtype, or null where it can. */
  lacks(op: OpName, dtype: DType): string | null;
  /** Whether the op's kernel takes an input in f16 or bf16 in the place of the same in f32, to the same results. */
  takesHalf?(op: OpName, input: number): boolean;
  allocate(dtype: DType, length: number): BackendBuffer;
  /** A buffer with a copy of the data. */
  upload(dtype: DType, data: TypedArray): BackendBuffer;
  /** A copy of `length` elements from `offset` on. */
  download(buffer: BackendBuffer, dtype: DType, offset: number, length: number): Promise<TypedArray>;
  /** As `download`, at once. Throws a BackendError where the backend is not synchronous. */
  downloadSync(buffer: BackendBuffer, dtype: DType, offset: number, length: number): TypedArray;
  /**
   * What `free` needs to give a buffer's memory back once nothing leads to the buffer any more; it must not lead there
   * itself. Null where the garbage collector does all.
   */
  claim(buffer: BackendBuffer): object | null;
  /** Gives back the memory behind a claim. */
  free(claim: object): void;
  /**
   * Called where a buffer is moved to memory that the garbage collector knows (`out`), and where it is brought back. Set
   * for every backend that is registered.
   */
  onMove?: ((claim: object, out: boolean) => void) | undefined;
  run(call: KernelCall): void;
  /**
   * Copies the elements of one view to the places of another, in another buffer; both of one shape and dtype. Absent where
   * buffers cannot be changed.
   */
  copyInto?(from: BufferView, to: BufferView): void;
  /** Resolves when all that was asked for has been done. */
  sync(): Promise<void>;
}
