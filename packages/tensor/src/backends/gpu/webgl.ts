/** The GPU by way of WebGL: elements lie in textures, one f32 a texel. */
import {
  isSoftware,
  mostElements,
  type Adapter,
  type Compiled,
  type Device,
  type Handle,
  type Limits,
} from './device.ts';
import { assertMode, type Library, type RawGpu, type RawHandle, type RawKernel } from './gpujs.ts';

interface WebGlHandle extends Handle {
  readonly raw: RawHandle;
}

interface WebGlKernel extends Compiled {
  readonly raw: RawKernel;
}

const rawOf = (handle: Handle): RawHandle => (handle as WebGlHandle).raw;
const bitwise = 'WebGL computes bits of negative numbers wrongly';
const identity = 'function (a) { return a[this.thread.x]; }';

/** Why a mode cannot run here, or null. */
export function lackOfWebGl({ GPU }: Library, mode: 'webgl2' | 'headlessgl'): string | null {
  if (mode === 'headlessgl')
    return GPU.isHeadlessGLSupported
      ? null
      : "the package 'gl' is not installed and built, or there is no display (xvfb-run gives one)";
  if (!GPU.isWebGL2Supported) return 'there is no WebGL 2 here';
  return GPU.isSinglePrecisionSupported ? null : 'this GPU does not write textures of 32-bit floats';
}

export class WebGlDevice implements Device {
  readonly mode: 'webgl2' | 'headlessgl';
  readonly adapter: Adapter;
  readonly limits: Limits;
  readonly lacks = { bitAnd: bitwise, bitOr: bitwise, bitXor: bitwise, shiftRight: bitwise };
  /** Loss is noticed when something is read. */
  readonly lost = new Promise<string>(() => {});
  readonly #library: Library;
  readonly #gpu: RawGpu;
  /** Kernels that upload, by length. */
  readonly #uploads = new Map<number, RawKernel>();

  constructor(library: Library, mode: 'webgl2' | 'headlessgl') {
    this.mode = mode;
    this.#library = library;
    this.#gpu = new library.GPU({ mode });
    // A first kernel makes the context.
    this.release(this.upload(new Float32Array(1)));
    const gl = this.#gpu.context;
    const debug = gl?.getExtension('WEBGL_debug_renderer_info');
    const name = String(
      (debug && gl?.getParameter(debug.UNMASKED_RENDERER_WEBGL)) ?? gl?.getParameter(gl.RENDERER),
    );
    this.adapter = { name, software: isSoftware(name) };
    const side = Number(gl?.getParameter(gl.MAX_TEXTURE_SIZE) ?? 4096);
    this.limits = {
      elements: Math.min(mostElements, side * side),
      inputs: 7,
      // Of more axes come textures of other classes and sides, for which a kernel is not made.
      grid: [0, 0, 0],
    };
  }

  compile(source: string, grid: readonly number[]): Compiled {
    const raw = this.#gpu.createKernel(source, {
      output: grid,
      pipeline: true,
      immutable: true,
      precision: 'single',
      loopMaxIterations: mostElements,
    });
    return { raw, length: grid.reduce((a, b) => a * b, 1) } as WebGlKernel;
  }

  launch(compiled: Compiled, arrays: readonly Handle[], numbers: readonly number[]): Handle {
    const { raw, length } = compiled as WebGlKernel;
    const result = raw(...arrays.map(rawOf), ...numbers) as RawHandle;
    assertMode(this.#library, raw, this.mode);
    return { raw: result, length } as WebGlHandle;
  }

  upload(data: Float32Array): Handle {
    const { length } = data;
    let kernel = this.#uploads.get(length);
    if (!kernel) {
      kernel = (this.compile(identity, [length]) as WebGlKernel).raw;
      this.#uploads.set(length, kernel);
    }
    const raw = kernel(this.#library.input(data, [length])) as RawHandle;
    assertMode(this.#library, kernel, this.mode);
    return { raw, length } as WebGlHandle;
  }

  async download(handle: Handle, offset: number, length: number): Promise<Float32Array> {
    if (this.complaintOfLoss() !== null) throw new Error('the WebGL context was lost');
    const data = await rawOf(handle).toArray();
    return Float32Array.from(data.slice(offset, offset + length));
  }

  release(handle: Handle): void {
    rawOf(handle).delete();
  }

  /** Textures need the kernel that made them. */
  discard(): void {}

  async drain(): Promise<void> {
    const handle = this.upload(new Float32Array(1));
    await this.download(handle, 0, 1);
    this.release(handle);
  }

  complaint(): null {
    return null;
  }

  complaintOfLoss(): string | null {
    return this.#gpu.context?.isContextLost() === true ? 'the WebGL context was lost' : null;
  }

  async close(): Promise<void> {
    await this.#gpu.destroy();
  }
}
