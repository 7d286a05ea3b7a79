/**
 * Textures of WebGL as runs of f32: made, written, read and kept here, so that they outlive the kernels that write to them.
 * WebGL 2 has textures of one number a texel; WebGL 1 spends four.
 */
import type { Library } from './gpujs.ts';
import type { RawGl } from './webgl-context.ts';

/** Freed textures that wait to be used again, at most. */
const mostKeptBytes = 2 ** 28;

/**
 * NaNs that lie where elements are to be read to: where one stays, nothing came. A driver that is going down says so later; and
 * since an element may be one of them, there are two.
 */
const marks = [0x7fb1a2c3, 0x7fc4d5e6];

/** A texture as gpu.js takes it for an argument, and for what a kernel writes to. Its class must be one and the same. */
export class RawTexture {
  /** An own property: gpu.js asks for it so. */
  readonly type = 'ArrayTexture(1)';
  readonly texture: object;
  readonly context: RawGl;
  /** Sides. */
  readonly size: ArrayLike<number>;
  readonly dimensions: readonly number[];

  constructor(context: RawGl, texture: object, size: ArrayLike<number>, length: number) {
    this.context = context;
    this.texture = texture;
    this.size = size;
    this.dimensions = [length, 1, 1];
  }

  /** gpu.js asks whether this takes the place of what was written to before. */
  beforeMutate(): boolean {
    return true;
  }
}

export class Textures {
  readonly #gl: RawGl;
  readonly #sidesOf: (length: number) => ArrayLike<number>;
  /** Numbers a texel, and the names of such a texture. */
  readonly #channels: 1 | 4;
  readonly #internalFormat: number;
  readonly #format: number;
  /** What is read by. */
  readonly #frame: object;
  /** Whether numbers are read one a texel; known when something has been read. */
  #tight: boolean | null = null;
  /** Freed textures by their sides. */
  readonly #kept = new Map<string, object[]>();
  #keptBytes = 0;

  constructor(library: Library, gl: RawGl, channels: 1 | 4) {
    this.#gl = gl;
    this.#sidesOf = (length) => library.utils.closestSquareDimensions(length);
    this.#channels = channels;
    this.#internalFormat = channels === 1 ? gl.R32F! : gl.RGBA;
    this.#format = channels === 1 ? gl.RED! : gl.RGBA;
    this.#frame = gl.createFramebuffer();
  }

  /** A texture for so many elements, whatever is in it. */
  take(length: number): RawTexture {
    const gl = this.#gl;
    const size = this.#sidesOf(length);
    const [w, h] = [size[0]!, size[1]!];
    const kept = this.#kept.get(`${w} ${h}`)?.pop();
    if (kept) {
      this.#keptBytes -= this.#bytesOf(size);
      return new RawTexture(gl, kept, size, length);
    }
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
      gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
      gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
    if (gl.texStorage2D) gl.texStorage2D(gl.TEXTURE_2D, 1, this.#internalFormat, w, h);
    else gl.texImage2D(gl.TEXTURE_2D, 0, this.#internalFormat, w, h, 0, this.#format, gl.FLOAT, null);
    return new RawTexture(gl, texture, size, length);
  }

  /** Gives a texture back, to be used again. */
  keep({ texture, size }: RawTexture): void {
    const bytes = this.#bytesOf(size);
    if (this.#keptBytes + bytes > mostKeptBytes) {
      this.#gl.deleteTexture(texture);
      return;
    }
    this.#keptBytes += bytes;
    const key = `${size[0]} ${size[1]}`;
    const kept = this.#kept.get(key);
    if (kept) kept.push(texture);
    else this.#kept.set(key, [texture]);
  }

  write({ texture, size }: RawTexture, data: Float32Array): void {
    const gl = this.#gl;
    const w = size[0]!;
    const whole = Math.floor(data.length / w);
    const rest = data.length - whole * w;
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, 0);
    const put = (row: number, columns: number, rows: number, from: number): void => {
      const part = this.#spread(data.subarray(from, from + columns * rows));
      gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, row, columns, rows, this.#format, gl.FLOAT, part);
    };
    if (whole > 0) put(0, w, whole, 0);
    if (rest > 0) put(whole, rest, 1, whole * w);
  }

  /** @throws Error where nothing is to be had */
  read({ texture, size }: RawTexture, offset: number, length: number): Float32Array {
    const gl = this.#gl;
    const w = size[0]!;
    const first = Math.floor(offset / w);
    const rows = Math.ceil((offset + length) / w) - first;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.#frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    // Reading one number a texel is allowed to drivers, four they must offer.
    this.#tight ??=
      this.#channels === 1 &&
      gl.getParameter(gl.IMPLEMENTATION_COLOR_READ_FORMAT) === gl.RED &&
      gl.getParameter(gl.IMPLEMENTATION_COLOR_READ_TYPE) === gl.FLOAT;
    const step = this.#tight ? 1 : 4;
    const data = new Float32Array(w * rows * step);
    const bits = new Uint32Array(data.buffer);
    const came = marks.some((mark) => {
      bits[0] = mark;
      gl.readPixels(0, first, w, rows, this.#tight ? gl.RED! : gl.RGBA, gl.FLOAT, data);
      return bits[0] !== mark;
    });
    this.detach(this.#frame);
    if (!came) throw new Error('the driver gives nothing to read');
    const skip = offset - first * w;
    if (step === 1) return data.slice(skip, skip + length);
    return Float32Array.from({ length }, (_, i) => data[(skip + i) * 4]!);
  }

  /** What is written to or read by does not hold its texture any longer. */
  detach(framebuffer: object): void {
    const gl = this.#gl;
    gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, null, 0);
  }

  /** Numbers, one a texel. */
  #spread(data: Float32Array): Float32Array {
    if (this.#channels === 1) return data;
    const out = new Float32Array(data.length * 4);
    data.forEach((x, i) => (out[i * 4] = x));
    return out;
  }

  #bytesOf(size: ArrayLike<number>): number {
    return size[0]! * size[1]! * this.#channels * 4;
  }
}
