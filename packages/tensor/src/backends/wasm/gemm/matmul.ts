/** Matrix products: blocks of A and B are packed, then multiplied tile by tile. */
import { bytesPerElement } from '../../../dtype.ts';
import { broadcastLayout, sizeOf, type Layout } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { collapse } from '../../js/print.ts';
import { ModuleBuilder, f32x4, i32, v128 } from '../assembler/index.ts';
import { eachOuter } from '../chunks.ts';
import { arrayOver } from '../fallback.ts';
import type { WasmBuffer } from '../heap.ts';
import { validates } from '../host.ts';
import { scratchStart, type KernelCache, type Kernels } from '../kernels.ts';
import { buildBlock, buildTile } from './micro-kernel.ts';
import { buildPacking, type PackMode } from './pack.ts';
import { blocking, tileShape, type TileShape } from './shape.ts';

/** True where the host has relaxed SIMD, whose multiply-add rounds once. */
function hasFused(): boolean {
  const module = new ModuleBuilder();
  const x = f32x4.const(1);
  module.function('fused', []).do(v128.store(i32.const(0), f32x4.relaxedMadd(x, x, x)));
  return validates(module.encode());
}

/** A matrix in memory; steps in bytes. */
interface Matrix {
  pointer: number;
  readonly lineStep: number;
  readonly innerStep: number;
}

export class Gemm {
  readonly #kernels: KernelCache;
  readonly #shapes: Readonly<Record<'f32' | 'f64', TileShape>>;
  readonly #packedA: number;
  readonly #packedB: number;

  constructor(kernels: KernelCache) {
    const fused = hasFused();
    this.#kernels = kernels;
    this.#shapes = { f32: tileShape('f32', fused), f64: tileShape('f64', fused) };
    const room = (lines: number): number => (lines + 8) * blocking.inner * 8 + 64;
    this.#packedA = kernels.heap.reserve(room(blocking.rows));
    this.#packedB = kernels.heap.reserve(room(blocking.columns));
  }

  #functions(shape: TileShape): Kernels {
    return this.#kernels.get(`gemm ${shape.dtype}`, (module) => {
      const tiles = Array.from({ length: shape.rows }, (_, i) => buildTile(module, shape, i + 1));
      buildBlock(module, shape, tiles);
      buildPacking(module, shape);
    });
  }

  /** [..., m, k] × [..., k, n] in f32 or f64; leading axes broadcast. */
  run({ inputs, output }: KernelCall): boolean {
    const [a, b] = inputs as [BufferView, BufferView];
    if (sizeOf(output.shape) === 0) return true;
    const inner = a.shape.at(-1)!;
    if (inner === 0) {
      const { offset } = output;
      arrayOver(this.#kernels.heap, output.buffer as WasmBuffer, output.dtype).fill(
        0,
        offset,
        offset + sizeOf(output.shape),
      );
      return true;
    }
    const shape = this.#shapes[output.dtype as 'f32' | 'f64'];
    const width = bytesPerElement(output.dtype);
    const base = [output, a, b].map((x) => (x.buffer as WasmBuffer).pointer);
    const columns = output.shape.at(-1)!;
    const stepsB = b.strides.slice(-2) as [number, number];
    const right: Matrix = { pointer: 0, lineStep: stepsB[1] * width, innerStep: stepsB[0] * width };
    const innerStep = a.strides.at(-1)! * width;
    const batch = output.shape.slice(0, -2);
    const leading = (x: BufferView): Layout =>
      broadcastLayout({ shape: x.shape.slice(0, -2), strides: x.strides.slice(0, -2), offset: 0 }, batch);
    // One B for all: the batch is more rows of A, where these lie at one step.
    const shared = leading(b).strides.every((s, i) => s === 0 || batch[i] === 1);
    const allRows = shared ? collapse([withRows(leading(a), a.shape.at(-2)!, a.strides.at(-2)!)]) : null;
    if (allRows && allRows.sizes.length <= 1) {
      const left: Matrix = {
        pointer: base[1]! + a.offset * width,
        lineStep: (allRows.strides[0]![0] ?? 0) * width,
        innerStep,
      };
      right.pointer = base[2]! + b.offset * width;
      this.#multiply(
        shape,
        left,
        right,
        base[0]! + output.offset * width,
        allRows.sizes[0] ?? 1,
        columns,
        inner,
        false,
      );
      return true;
    }
    const rows = a.shape.at(-2)!;
    const { sizes, strides } = collapse([
      { shape: batch, strides: output.strides.slice(0, -2), offset: 0 },
      leading(a),
      leading(b),
    ]);
    let packed = -1;
    eachOuter(sizes, strides, [output.offset, a.offset, b.offset], ([o, p, q]) => {
      const left: Matrix = { pointer: base[1]! + p! * width, lineStep: a.strides.at(-2)! * width, innerStep };
      right.pointer = base[2]! + q! * width;
      this.#multiply(
        shape,
        left,
        right,
        base[0]! + o! * width,
        rows,
        columns,
        inner,
        right.pointer === packed,
      );
      packed = right.pointer;
    });
    return true;
  }

  /** @param again true where B is as in the call before */
  #multiply(
    shape: TileShape,
    a: Matrix,
    b: Matrix,
    c: number,
    rows: number,
    columns: number,
    inner: number,
    again: boolean,
  ): void {
    const f = this.#functions(shape);
    const { bytes } = shape;
    const packA = f[`packA${modeOf(a, bytes)}`]!;
    const packB = f[`packB${modeOf(b, bytes)}`]!;
    const block = f['block']!;
    const step = columns * bytes;
    const kept = again && columns <= blocking.columns && inner <= blocking.inner;
    for (let j = 0; j < columns; j += blocking.columns) {
      const width = Math.min(blocking.columns, columns - j);
      for (let k = 0; k < inner; k += blocking.inner) {
        const depth = Math.min(blocking.inner, inner - k);
        if (!kept)
          packB(
            b.pointer + j * b.lineStep + k * b.innerStep,
            this.#packedB,
            width,
            depth,
            b.lineStep,
            b.innerStep,
          );
        for (let i = 0; i < rows; i += blocking.rows) {
          const height = Math.min(blocking.rows, rows - i);
          packA(
            a.pointer + i * a.lineStep + k * a.innerStep,
            this.#packedA,
            height,
            depth,
            a.lineStep,
            a.innerStep,
          );
          block(
            this.#packedA,
            this.#packedB,
            c + i * step + j * bytes,
            height,
            width,
            depth,
            step,
            k > 0 ? 1 : 0,
            scratchStart,
          );
        }
      }
    }
  }
}

const withRows = (x: Layout, rows: number, step: number): Layout => ({
  shape: [...x.shape, rows],
  strides: [...x.strides, step],
  offset: 0,
});

function modeOf({ lineStep, innerStep }: Matrix, bytes: number): PackMode {
  return lineStep === bytes ? 'side' : innerStep === bytes ? 'along' : 'any';
}
