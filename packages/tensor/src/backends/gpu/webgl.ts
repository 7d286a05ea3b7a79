/** The GPU by way of WebGL: elements lie in textures, one f32 a texel, which are kept and used again. */
import {
  isSoftware,
  mostElements,
  type Adapter,
  type Compiled,
  type Device,
  type Handle,
  type Limits,
} from './device.ts';
import { assertMode, type Library, type RawGpu, type RawKernel } from './gpujs.ts';
import { wrongIn } from './lacks.ts';
import { type RawTexture, Textures } from './webgl-textures.ts';
import { openWebGl2, type RawGl } from './webgl-context.ts';

interface WebGlHandle extends Handle {
  readonly raw: RawTexture;
}

interface WebGlKernel extends Compiled {
  readonly raw: RawKernel;
}

const rawOf = (handle: Handle): RawTexture => (handle as WebGlHandle).raw;
const lossReason = 'the WebGL context was lost';

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
  readonly lacks = wrongIn.webgl2;
  readonly prefersOwn = false;
  readonly lost: Promise<string>;
  readonly #library: Library;
  readonly #gpu: RawGpu;
  readonly #gl: RawGl;
  readonly #textures: Textures;
  /** The rectangle that all kernels draw: of one that is destroyed the others would have none. */
  readonly #corners: object;

  constructor(library: Library, mode: 'webgl2' | 'headlessgl') {
    this.mode = mode;
    this.#library = library;
    let lose!: (reason: string) => void;
    this.lost = new Promise((resolve) => (lose = resolve));
    if (mode === 'webgl2') {
      const gl = openWebGl2(() => lose(lossReason));
      // gpu.js resizes the canvas with each kernel, which is work for nothing.
      this.#gpu = new library.GPU({ mode, context: gl, canvas: { width: 1, height: 1 } });
      this.#gl = gl;
    } else {
      this.#gpu = new library.GPU({ mode });
      // A kernel makes the context.
      this.#gpu.createKernel('function () { return 0; }', settingsOf([1]));
      this.#gl = this.#gpu.context!;
    }
    const gl = this.#gl;
    for (const name of ['EXT_color_buffer_float', 'OES_texture_float', 'WEBGL_color_buffer_float'])
      gl.getExtension(name);
    this.#textures = new Textures(library, gl, mode === 'webgl2' ? 1 : 4);
    this.#corners = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#corners);
    gl.bufferData(gl.ARRAY_BUFFER, bytesOfCorners, gl.STATIC_DRAW);
    const debug = gl.getExtension('WEBGL_debug_renderer_info');
    const name = String(
      (debug && gl.getParameter(debug.UNMASKED_RENDERER_WEBGL!)) ?? gl.getParameter(gl.RENDERER),
    );
    this.adapter = { name, software: isSoftware(name) };
    const side = Number(gl.getParameter(gl.MAX_TEXTURE_SIZE));
    this.limits = {
      // Of what is a little less than a square the longer side is one more.
      elements: Math.min(mostElements, (side - 1) ** 2),
      inputs: 7,
      // Of more axes come textures of other classes and sides, for which a kernel is not made.
      grid: [0, 0, 0],
    };
  }

  compile(source: string, grid: readonly number[]): Compiled {
    const raw = this.#gpu.createKernel(source, settingsOf(grid));
    return { raw, length: grid.reduce((a, b) => a * b, 1) } as WebGlKernel;
  }

  launch(compiled: Compiled, arrays: readonly Handle[], numbers: readonly number[]): Handle {
    const { raw, length } = compiled as WebGlKernel;
    const texture = this.#textures.take(length);
    const { kernel } = raw;
    const built = kernel.program !== null;
    kernel.texture = texture;
    kernel.buffer = this.#corners;
    try {
      raw(...arrays.map(rawOf), ...numbers);
      assertMode(this.#library, raw, this.mode);
      if (!built) this.#checkLinked(raw);
    } catch (error) {
      this.#textures.keep(texture);
      throw error;
    } finally {
      // What was written to must not be destroyed with the kernel, nor be held by it.
      kernel.texture = null;
      if (kernel.framebuffer) this.#textures.detach(kernel.framebuffer);
    }
    return { raw: texture, length } as WebGlHandle;
  }

  /** gpu.js does not ask: what is not linked draws nothing. */
  #checkLinked({ kernel }: RawKernel): void {
    const gl = this.#gl;
    if (kernel.program && gl.getProgramParameter(kernel.program, gl.LINK_STATUS) === false)
      throw new Error(`the kernel does not link: ${gl.getProgramInfoLog(kernel.program)}`);
  }

  upload(data: Float32Array): Handle {
    const raw = this.#textures.take(data.length);
    this.#textures.write(raw, data);
    return { raw, length: data.length } as WebGlHandle;
  }

  async download(handle: Handle, offset: number, length: number): Promise<Float32Array> {
    const data = this.#textures.read(rawOf(handle), offset, length);
    // Of a context that is lost come zeros.
    if (this.complaintOfLoss() !== null) throw new Error(lossReason);
    return data;
  }

  release(handle: Handle): void {
    this.#textures.keep(rawOf(handle));
  }

  discard(compiled: Compiled): void {
    const { raw } = compiled as WebGlKernel;
    raw.kernel.buffer = null;
    raw.destroy();
  }

  async drain(): Promise<void> {
    const handle = this.upload(new Float32Array(1));
    await this.download(handle, 0, 1).finally(() => this.release(handle));
  }

  complaint(): string | null {
    const gl = this.#gl;
    const code = gl.getError();
    if (code === gl.NO_ERROR || this.complaintOfLoss() !== null) return null;
    return code === gl.OUT_OF_MEMORY ? 'out of memory' : `WebGL error ${code}`;
  }

  complaintOfLoss(): string | null {
    return this.#gl.isContextLost() ? lossReason : null;
  }

  async close(): Promise<void> {
    await this.#gpu.destroy();
    this.lose();
  }

  /** Takes the GPU away, as a driver may. */
  lose(): void {
    if (!this.#gl.isContextLost()) this.#gl.getExtension('WEBGL_lose_context')?.loseContext!();
  }
}

/** Four corners, and four of a texture, of two f32 each; gpu.js writes them. */
const bytesOfCorners = 64;

const settingsOf = (grid: readonly number[]) =>
  ({
    output: grid,
    pipeline: true,
    // `launch` says what to write to.
    immutable: false,
    precision: 'single',
    // Else gpu.js takes the least precise floats whose range counts the elements: on phones, of 16 bits.
    tactic: 'precision',
    loopMaxIterations: mostElements,
  }) as const;
