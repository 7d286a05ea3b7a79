/**
 * gpu.js as it is, which its own typings do not say; the one file that imports it. What follows reaches into objects that
 * are not its public interface, so the version is pinned exactly.
 */
import { BackendError } from '../../errors.ts';
import type { Mode } from './device.ts';
import type { RawGl } from './webgl-context.ts';

export interface RawBuffer {
  readonly size: number;
  destroy(): void;
  mapAsync(mode: number, offset: number, size: number): Promise<void>;
  getMappedRange(offset: number, size: number): ArrayBuffer;
  unmap(): void;
}

export interface RawPipeline {
  getBindGroupLayout(group: number): object;
}

export interface RawPass {
  setPipeline(pipeline: RawPipeline): void;
  setBindGroup(index: number, group: object): void;
  dispatchWorkgroups(x: number, y: number, z: number): void;
  end(): void;
}

export interface RawDevice {
  readonly queue: {
    writeBuffer(buffer: RawBuffer, offset: number, data: Float32Array | Uint32Array): void;
    submit(commands: readonly object[]): void;
    onSubmittedWorkDone(): Promise<void>;
  };
  readonly limits: Readonly<Record<string, number>>;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  onuncapturederror: ((event: { readonly error: { readonly message: string } }) => void) | null;
  createBuffer(settings: { size: number; usage: number }): RawBuffer;
  createShaderModule(settings: { readonly code: string }): object;
  createComputePipelineAsync(settings: {
    readonly layout: 'auto';
    readonly compute: { readonly module: object; readonly entryPoint: string };
  }): Promise<RawPipeline>;
  createBindGroup(settings: {
    readonly layout: object;
    readonly entries: readonly {
      readonly binding: number;
      readonly resource: { readonly buffer: RawBuffer };
    }[];
  }): object;
  createCommandEncoder(): {
    copyBufferToBuffer(from: RawBuffer, at: number, to: RawBuffer, toAt: number, size: number): void;
    beginComputePass(): RawPass;
    finish(): object;
  };
  destroy(): void;
}

export interface RawContext {
  readonly device: RawDevice;
  readonly adapter: {
    readonly info?: Readonly<Record<string, unknown>>;
    readonly isFallbackAdapter?: boolean;
  };
}

/** What stands for a storage buffer in mode webgpu. */
export interface RawHandle {
  readonly type: string;
  readonly buffer: RawBuffer;
}

export interface RawKernel {
  (...args: readonly unknown[]): unknown;
  readonly kernel: object & {
    readonly constructor: { readonly mode: string };
    readonly fallbackReason?: string | null;
    /** In mode webgpu: what the next run writes to. */
    outputBuffer: RawBuffer | null;
    bindGroupDirty: boolean;
    /** On WebGL: what it is built to, what it writes to, and the rectangle that it draws. */
    readonly program: object | null;
    readonly framebuffer: object | null;
    texture: object | null;
    buffer: object | null;
  };
  destroy(): void;
}

export interface RawSettings {
  readonly output: readonly number[];
  readonly argumentTypes?: readonly string[];
  readonly pipeline: true;
  readonly immutable: boolean;
  readonly precision: 'single';
  readonly tactic?: 'precision';
  readonly loopMaxIterations: number;
}

export interface RawGpu {
  readonly context: RawGl | null;
  createKernel(source: string, settings: RawSettings): RawKernel;
  destroy(): Promise<void>;
}

type Kind = abstract new (...args: never[]) => object;

export interface Library {
  readonly GPU: {
    new (settings: { readonly mode: Mode; readonly context?: RawGl; readonly canvas?: object }): RawGpu;
    readonly isHeadlessGLSupported: boolean;
    readonly isWebGL2Supported: boolean;
    readonly isSinglePrecisionSupported: boolean;
  };
  readonly WebGPUKernel: Kind;
  readonly WebGL2Kernel: Kind;
  readonly HeadlessGLKernel: Kind;
  readonly utils: { closestSquareDimensions(length: number): ArrayLike<number> };
  readonly WebGPUContext: { acquire(): Promise<RawContext>; destroy(): Promise<void> };
  readonly WebGPUBufferResult: new (settings: {
    readonly buffer: RawBuffer;
    readonly output: readonly number[];
    readonly componentCount: number;
    readonly context: RawContext;
    readonly kernel: null;
  }) => RawHandle;
}

/** @throws BackendError where it is not installed */
export async function loadLibrary(): Promise<Library> {
  try {
    const module = (await import('gpu.js')) as unknown as Library & { readonly default?: Library };
    return module.default?.GPU ? module.default : module;
  } catch (error) {
    throw new BackendError('useGpu', `gpu.js does not load (${firstLine(error)})`, {
      hint: 'npm install gpu.js@2.24.1',
    });
  }
}

export function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}

/** The kernels of each mode; the class is what tells: all of WebGL call their mode `gpu`. */
const classes = {
  webgpu: 'WebGPUKernel',
  webgl2: 'WebGL2Kernel',
  headlessgl: 'HeadlessGLKernel',
} as const satisfies Record<Mode, string>;

/** @throws BackendError where another mode ran than the one that was chosen: gpu.js falls back by itself */
export function assertMode(library: Library, { kernel }: RawKernel, mode: Mode): void {
  if (!(kernel instanceof library[classes[mode]]))
    throw new BackendError(
      'gpu',
      `gpu.js ran a kernel in mode '${kernel.constructor.mode}' instead of '${mode}'`,
      {
        hint: kernel.fallbackReason ?? 'another mode of useGpu() may do',
      },
    );
}
