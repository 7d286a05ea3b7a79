/** The GPU by way of WebGPU: elements lie in storage buffers, which are kept and used again. */
import {
  isSoftware,
  mostElements,
  type Adapter,
  type Compiled,
  type Device,
  type Handle,
  type Limits,
} from './device.ts';
import {
  assertMode,
  type Library,
  type RawBuffer,
  type RawContext,
  type RawGpu,
  type RawHandle,
  type RawKernel,
} from './gpujs.ts';
import { OwnKernel } from './wgsl/kernel.ts';

const storage = 0x80;
const copyFrom = 0x04;
const copyTo = 0x08;
const mapRead = 0x01;

/** Freed buffers that wait to be used again, at most. */
const mostKeptBytes = 2 ** 28;

interface WebGpuHandle extends Handle {
  readonly raw: RawHandle;
}

interface WebGpuKernel extends Compiled {
  readonly raw: RawKernel;
}

const rawOf = (handle: Handle): RawHandle => (handle as WebGpuHandle).raw;

function adapterOf({ adapter }: RawContext): Adapter {
  const info = adapter.info ?? {};
  const words = ['vendor', 'architecture', 'device', 'description'].map((key) => info[key]);
  const name = [...new Set(words.filter((word) => typeof word === 'string' && word !== ''))].join(' ');
  const fallback = adapter.isFallbackAdapter === true || info['isFallbackAdapter'] === true;
  return { name: name || 'unnamed', software: fallback || isSoftware(name) };
}

export class WebGpuDevice implements Device {
  readonly mode = 'webgpu';
  readonly adapter: Adapter;
  readonly limits: Limits;
  readonly lacks = {};
  readonly prefersOwn: boolean;
  readonly lost: Promise<string>;
  readonly #library: Library;
  readonly #gpu: RawGpu;
  readonly #context: RawContext;
  /** Freed buffers by size. */
  readonly #kept = new Map<number, RawBuffer[]>();
  #keptBytes = 0;
  #complaint: string | null = null;

  private constructor(library: Library, context: RawContext) {
    this.#library = library;
    this.#context = context;
    this.#gpu = new library.GPU({ mode: 'webgpu' });
    this.adapter = adapterOf(context);
    this.prefersOwn = !this.adapter.software;
    const { device } = context;
    const { limits } = device;
    const bytes = Math.min(limits['maxStorageBufferBindingSize']!, limits['maxBufferSize']!);
    const groups = limits['maxComputeWorkgroupsPerDimension'] ?? 65535;
    this.limits = {
      elements: Math.min(mostElements, Math.floor(bytes / 4)),
      // gpu.js asks for no more than there are at least; one goes to the output.
      inputs: 7,
      grid: [groups * 8, groups * 8, groups],
    };
    this.lost = device.lost.then(({ reason, message }) => message || reason || 'no reason given');
    device.onuncapturederror = ({ error }) => {
      this.#complaint ??= error.message;
    };
  }

  static async open(library: Library): Promise<WebGpuDevice> {
    return new WebGpuDevice(library, await library.WebGPUContext.acquire());
  }

  compile(source: string, grid: readonly number[], arrays: readonly number[], numbers: number): Compiled {
    const types = [...arrays.map(() => 'WebGPUBuffer'), ...new Array<string>(numbers).fill('Float')];
    const raw = this.#gpu.createKernel(source, {
      output: grid,
      argumentTypes: types,
      pipeline: true,
      // `launch` says what to write to.
      immutable: false,
      precision: 'single',
      loopMaxIterations: mostElements,
    });
    return { raw, length: grid.reduce((a, b) => a * b, 1) } as WebGpuKernel;
  }

  compileOwn(wgsl: string, workgroups: readonly [number, number, number], length: number): Compiled {
    return new OwnKernel(this.#context.device, wgsl, workgroups, length);
  }

  async launch(compiled: Compiled, arrays: readonly Handle[], numbers: readonly number[]): Promise<Handle> {
    if (compiled instanceof OwnKernel) return this.#launchOwn(compiled, arrays, numbers);
    const { raw, length } = compiled as WebGpuKernel;
    const buffer = this.#take(length * 4);
    const { kernel } = raw;
    kernel.outputBuffer = buffer;
    kernel.bindGroupDirty = true;
    try {
      await raw(...arrays.map(rawOf), ...numbers);
      assertMode(this.#library, raw, this.mode);
    } catch (error) {
      this.#keep(buffer);
      throw error;
    } finally {
      kernel.outputBuffer = null;
    }
    return this.#wrap(buffer, length);
  }

  async #launchOwn(
    kernel: OwnKernel,
    arrays: readonly Handle[],
    numbers: readonly number[],
  ): Promise<Handle> {
    const buffer = this.#take(kernel.length * 4);
    try {
      await kernel.launch(
        arrays.map((handle) => rawOf(handle).buffer),
        buffer,
        numbers,
      );
    } catch (error) {
      this.#keep(buffer);
      throw error;
    }
    return this.#wrap(buffer, kernel.length);
  }

  upload(data: Float32Array): Handle {
    const buffer = this.#take(data.byteLength);
    this.#context.device.queue.writeBuffer(buffer, 0, data);
    return this.#wrap(buffer, data.length);
  }

  async download(handle: Handle, offset: number, length: number): Promise<Float32Array> {
    const { device } = this.#context;
    const bytes = length * 4;
    const staging = device.createBuffer({ size: bytes, usage: mapRead | copyTo });
    try {
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(rawOf(handle).buffer, offset * 4, staging, 0, bytes);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(mapRead, 0, bytes);
      const data = new Float32Array(staging.getMappedRange(0, bytes).slice(0));
      staging.unmap();
      return data;
    } finally {
      staging.destroy();
    }
  }

  release(handle: Handle): void {
    this.#keep(rawOf(handle).buffer);
  }

  discard(compiled: Compiled): void {
    if (compiled instanceof OwnKernel) compiled.destroy();
    else (compiled as WebGpuKernel).raw.destroy();
  }

  async drain(): Promise<void> {
    await this.#context.device.queue.onSubmittedWorkDone();
  }

  complaint(): string | null {
    const complaint = this.#complaint;
    this.#complaint = null;
    return complaint;
  }

  complaintOfLoss(): null {
    return null;
  }

  async close(): Promise<void> {
    await this.#gpu.destroy();
    await this.#library.WebGPUContext.destroy();
  }

  /** Takes the GPU away, as a driver may. */
  lose(): void {
    this.#context.device.destroy();
  }

  #take(bytes: number): RawBuffer {
    const size = Math.ceil(bytes / 256) * 256;
    const kept = this.#kept.get(size)?.pop();
    if (kept) {
      this.#keptBytes -= size;
      return kept;
    }
    return this.#context.device.createBuffer({ size, usage: storage | copyFrom | copyTo });
  }

  #keep(buffer: RawBuffer): void {
    if (this.#keptBytes + buffer.size > mostKeptBytes) {
      buffer.destroy();
      return;
    }
    this.#keptBytes += buffer.size;
    const kept = this.#kept.get(buffer.size);
    if (kept) kept.push(buffer);
    else this.#kept.set(buffer.size, [buffer]);
  }

  #wrap(buffer: RawBuffer, length: number): WebGpuHandle {
    const raw = new this.#library.WebGPUBufferResult({
      buffer,
      output: [length],
      componentCount: 1,
      context: this.#context,
      kernel: null,
    });
    return { raw, length };
  }
}
