/** What is used of a context of WebGL, and how one is had. */

type GlNumbers = Readonly<
  Record<
    | 'ARRAY_BUFFER'
    | 'CLAMP_TO_EDGE'
    | 'COLOR_ATTACHMENT0'
    | 'FLOAT'
    | 'FRAMEBUFFER'
    | 'IMPLEMENTATION_COLOR_READ_FORMAT'
    | 'IMPLEMENTATION_COLOR_READ_TYPE'
    | 'LINK_STATUS'
    | 'MAX_TEXTURE_SIZE'
    | 'NEAREST'
    | 'NO_ERROR'
    | 'OUT_OF_MEMORY'
    | 'RENDERER'
    | 'RGBA'
    | 'STATIC_DRAW'
    | 'TEXTURE_2D'
    | 'TEXTURE_MAG_FILTER'
    | 'TEXTURE_MIN_FILTER'
    | 'TEXTURE_WRAP_S'
    | 'TEXTURE_WRAP_T'
    | 'UNPACK_FLIP_Y_WEBGL',
    number
  >
>;

export interface RawGl extends GlNumbers {
  /** WebGL 2 only. */
  readonly R32F?: number;
  readonly RED?: number;
  texStorage2D?(target: number, levels: number, format: number, width: number, height: number): void;
  bindBuffer(target: number, buffer: object): void;
  bindFramebuffer(target: number, framebuffer: object): void;
  bindTexture(target: number, texture: object): void;
  bufferData(target: number, bytes: number, usage: number): void;
  createBuffer(): object;
  createFramebuffer(): object;
  createTexture(): object;
  deleteTexture(texture: object): void;
  framebufferTexture2D(
    target: number,
    attachment: number,
    kind: number,
    texture: object | null,
    level: number,
  ): void;
  getError(): number;
  getExtension(name: string): {
    readonly UNMASKED_RENDERER_WEBGL?: number;
    loseContext?(): void;
  } | null;
  getParameter(name: number): unknown;
  getProgramInfoLog(program: object): string | null;
  getProgramParameter(program: object, name: number): unknown;
  isContextLost(): boolean;
  pixelStorei(name: number, value: number): void;
  readPixels(
    x: number,
    y: number,
    width: number,
    height: number,
    format: number,
    type: number,
    into: Float32Array,
  ): void;
  texImage2D(
    target: number,
    level: number,
    internalFormat: number,
    width: number,
    height: number,
    border: 0,
    format: number,
    type: number,
    data: Float32Array | null,
  ): void;
  texParameteri(target: number, name: number, value: number): void;
  texSubImage2D(
    target: number,
    level: number,
    x: number,
    y: number,
    width: number,
    height: number,
    format: number,
    type: number,
    data: Float32Array,
  ): void;
}

interface Canvas {
  getContext(kind: 'webgl2', settings: object): RawGl | null;
  addEventListener(name: 'webglcontextlost', told: () => void): void;
}

interface Host {
  readonly document?: { createElement(name: 'canvas'): Canvas };
  readonly OffscreenCanvas?: new (width: number, height: number) => Canvas;
}

/**
 * A context of its own, on a canvas that nobody sees.
 * @param lost told when the browser has taken it away
 * @throws Error where the browser gives none
 */
export function openWebGl2(lost: () => void): RawGl {
  const { document, OffscreenCanvas } = globalThis as unknown as Host;
  const canvas = document ? document.createElement('canvas') : new OffscreenCanvas!(1, 1);
  const gl = canvas.getContext('webgl2', {
    alpha: false,
    depth: false,
    antialias: false,
    powerPreference: 'high-performance',
  });
  if (!gl) throw new Error('the browser gives no context for WebGL 2');
  canvas.addEventListener('webglcontextlost', lost);
  return gl;
}
