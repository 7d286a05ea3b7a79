/** The GPU as a backend: calls return at once, and what they ask for is done in its turn. */
import { isFloat, type DType, type TypedArray } from '../../dtype.ts';
import { BackendError } from '../../errors.ts';
import type { OpName, StructuredOp } from '../../ops/table.ts';
import { sizeOf } from '../../shape.ts';
import type { Backend, BackendBuffer, KernelCall } from '../backend.ts';
import { runElementwise as runElementwiseHere } from '../js/elementwise.ts';
import { structuredKernels as referenceKernels } from '../js/kernels/index.ts';
import { runReduction as runReductionHere } from '../js/reduction.ts';
import type { Device } from './device.ts';
import { runElementwise } from './elementwise.ts';
import { lackOf } from './lacks.ts';
import { Launcher, type KernelStats } from './launcher.ts';
import { GpuBuffer, homeOf, type Home } from './memory.ts';
import { checkDType, decode, encode } from './numbers.ts';
import { runReduction } from './reduction.ts';
import { structuredKernels } from './structured/index.ts';

export class GpuBackend implements Backend {
  readonly name = 'gpu';
  readonly fuses = true;
  readonly synchronous = false;
  readonly #launcher: Launcher;
  readonly #lacks = new Map<string, string | null>();

  constructor(device: Device) {
    this.#launcher = new Launcher(device);
  }

  get device(): Device {
    return this.#launcher.device;
  }

  get kernelStats(): KernelStats {
    return this.#launcher.stats;
  }

  /** Kernels kept to be launched again, at most. */
  set mostKernels(count: number) {
    this.#launcher.mostKernels = count;
  }

  lacks(op: OpName, dtype: DType): string | null {
    const key = `${op} ${dtype}`;
    let lack = this.#lacks.get(key);
    if (lack === undefined) this.#lacks.set(key, (lack = lackOf(op, dtype, this.device.lacks)));
    return lack;
  }

  allocate(dtype: DType, length: number): BackendBuffer {
    checkDType('gpu', dtype);
    this.#checkLength(length);
    return new GpuBuffer(length);
  }

  upload(dtype: DType, data: TypedArray): BackendBuffer {
    checkDType('fromData', dtype);
    this.#checkLength(data.length);
    this.#launcher.checkLost('fromData');
    const elements = encode(data, dtype);
    const keeps = data.length === 1 || !isFloat(dtype);
    const buffer = new GpuBuffer(data.length, keeps ? elements : null);
    if (data.length > 1) this.#launcher.upload('fromData', buffer.home, elements);
    return buffer;
  }

  #checkLength(length: number): void {
    const { elements } = this.device.limits;
    if (length > elements)
      throw new BackendError(
        'gpu',
        `a tensor of ${length} elements is too large: this GPU takes ${elements}`,
        {
          hint: 'compute in parts, or on another backend',
        },
      );
  }

  async download(buffer: BackendBuffer, dtype: DType, offset: number, length: number): Promise<TypedArray> {
    if (length === 0) return decode(new Float32Array(0), dtype);
    return decode(await this.#launcher.read(homeOf(buffer), offset, length), dtype);
  }

  downloadSync(): TypedArray {
    throw new BackendError('dataSync', 'the elements are on the GPU, from where they come later', {
      hint: 'await data(), item() or toArray()',
    });
  }

  claim(buffer: BackendBuffer): object {
    return homeOf(buffer);
  }

  free(claim: object): void {
    this.#launcher.free(claim as Home);
  }

  run(call: KernelCall): void {
    const { record, output, inputs } = call;
    this.#launcher.checkLost(call.op);
    if (sizeOf(output.shape) === 0) return;
    if (inputs.every((x) => sizeOf(x.shape) === 0)) this.#runOfNothing(call);
    else if (record.kind === 'elementwise') runElementwise(this.#launcher, call, record);
    else if (record.kind === 'reduction') runReduction(this.#launcher, call, record);
    else structuredKernels[call.op as StructuredOp]!(this.#launcher, call);
  }

  /** What comes of empty inputs the reference says. */
  #runOfNothing(call: KernelCall): void {
    const { record, output } = call;
    const { dtype, shape } = output;
    const data = new Float32Array(sizeOf(shape));
    const inputs = call.inputs.map((x) => ({ ...x, buffer: new Float32Array(0), offset: 0 }));
    const there = { ...call, inputs, output: { ...output, buffer: data } };
    if (record.kind === 'elementwise') runElementwiseHere(there, record);
    else if (record.kind === 'reduction') runReductionHere(there, record);
    else referenceKernels[call.op as StructuredOp](there);
    this.#launcher.upload(call.op, homeOf(output.buffer), encode(data, dtype));
  }

  sync(): Promise<void> {
    return this.#launcher.sync();
  }
}
