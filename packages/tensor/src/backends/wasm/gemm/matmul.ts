/** Matrix products: which kernels run over what. */
import { bytesPerElement } from '../../../dtype.ts';
import { broadcastLayout, sizeOf, type Layout } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { collapse } from '../../js/print.ts';
import { ModuleBuilder, f32x4, i32, v128 } from '../assembler/index.ts';
import { eachOuter } from '../chunks.ts';
import { arrayOver } from '../fallback.ts';
import type { WasmBuffer } from '../heap.ts';
import { validates } from '../host.ts';
import type { Kernel, KernelCache, Kernels } from '../kernels.ts';
import { buildGemm, type LeftAccess, type RightAccess } from './block.ts';
import { buildDots, dottedColumns, dottedRows } from './dot.ts';
import { blocking, keyOf, tileShape, variants, type Float, type TileShape, type Variant } from './shape.ts';
import { buildStreams, streamedRows, streamedVectors } from './stream.ts';

/** True where the host has relaxed SIMD, whose multiply-add rounds once. */
export function hasFused(): boolean {
  const module = new ModuleBuilder();
  const x = f32x4.const(1);
  module.function('fused', []).do(v128.store(i32.const(0), f32x4.relaxedMadd(x, x, x)));
  return validates(module.encode());
}

/** What matrix products need of the engine. */
export interface Launcher {
  readonly kernels: KernelCache;
  readonly threads: number;
  overItems(
    kernel: Kernel,
    items: number,
    cost: number,
    args: (start: number, count: number, lane: number) => readonly number[],
  ): void;
}

/** One product of matrices in memory; steps in bytes. */
interface Product {
  readonly dtype: Float;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  a: number;
  readonly lineA: number;
  readonly innerA: number;
  b: number;
  readonly lineB: number;
  readonly innerB: number;
  c: number;
}

/** How products of one operand pair with the next ones: steps in bytes. */
interface Batch {
  readonly count: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** Multiplications in a nanosecond, roughly. */
const speed = 22;
/** Multiplications of a product that is worth cutting up. */
const smallProduct = 2 ** 22;
/** As `speed`, of kernels for a few rows. */
const vectorSpeed = 10;
/** Elements of B from which on these are worth it. */
const smallVector = 1024;

export class Gemm {
  readonly #engine: Launcher;
  readonly #fused = hasFused();
  #variant: Variant;
  readonly #modules = new Map<string, Kernels>();
  readonly #scratch: { readonly a: number; readonly b: number }[] = [];

  constructor(engine: Launcher) {
    this.#engine = engine;
    this.#variant = this.variants[0]!;
  }

  /** The micro-kernels for this host. All give the same sums. */
  get variants(): readonly Variant[] {
    return variants[this.#fused ? 'fused' : 'plain'];
  }

  /** The micro-kernel in use. */
  get variant(): Variant {
    return this.#variant;
  }

  set variant(variant: Variant) {
    this.#variant = variant;
    this.#modules.clear();
  }

  #module(dtype: Float, name: string, build: (module: ModuleBuilder, shape: TileShape) => void): Kernels {
    const key = dtype === 'f32' ? name : `${dtype} ${name}`;
    let found = this.#modules.get(key);
    if (!found) {
      const shape = tileShape(dtype, this.#fused, this.#variant);
      found = this.#engine.kernels.get(`gemm ${keyOf(shape)} ${name}`, (module) => build(module, shape));
      this.#modules.set(key, found);
    }
    return found;
  }

  /** Memory for packed operands. */
  #room(lane: number): { readonly a: number; readonly b: number } {
    return (this.#scratch[lane] ??= {
      a: this.#engine.kernels.heap.reserve((blocking.rows + 8) * blocking.inner * 8 + 64),
      b: this.#engine.kernels.heap.reserve((blocking.columns + 8) * blocking.inner * 8 + 64),
    });
  }

  /** [..., m, k] × [..., k, n] in f32 or f64; leading axes broadcast. */
  run({ inputs, output }: KernelCall): boolean {
    const [a, b] = inputs as [BufferView, BufferView];
    const { shape, dtype } = output;
    const size = sizeOf(shape);
    if (size === 0) return true;
    const inner = a.shape.at(-1)!;
    if (inner === 0) {
      arrayOver(this.#engine.kernels.heap, output.buffer as WasmBuffer, dtype).fill(
        0,
        output.offset,
        output.offset + size,
      );
      return true;
    }
    const bytes = bytesPerElement(dtype);
    const product = productOf(a, b, output, inner, bytes);
    if (shape.length === 2) {
      this.#multiply(product, { count: 1, a: 0, b: 0, c: 0 });
      return true;
    }
    const batch = shape.slice(0, -2);
    const leading = (x: BufferView): Layout =>
      broadcastLayout({ shape: x.shape.slice(0, -2), strides: x.strides.slice(0, -2), offset: 0 }, batch);
    const [fromA, fromB] = [leading(a), leading(b)];
    // One B for all: the batch is more rows of A, where these lie at one step.
    if (fromB.strides.every((s, i) => s === 0 || batch[i] === 1)) {
      const all = collapse([withRows(fromA, a.shape.at(-2)!, a.strides.at(-2)!)]);
      if (all.sizes.length <= 1) {
        const rows = all.sizes[0] ?? 1;
        const lineA = rows === 1 ? bytes : all.strides[0]![0]! * bytes;
        this.#multiply({ ...product, rows, lineA }, { count: 1, a: 0, b: 0, c: 0 });
        return true;
      }
    }
    const { sizes, strides } = collapse([
      { shape: batch, strides: output.strides.slice(0, -2), offset: 0 },
      fromA,
      fromB,
    ]);
    const count = sizes.pop() ?? 1;
    const [c, p, q] = strides.map((steps) => (steps.pop() ?? 0) * bytes) as [number, number, number];
    eachOuter(sizes, strides, [0, 0, 0], ([toC, toA, toB]) =>
      this.#multiply(
        {
          ...product,
          a: product.a + toA! * bytes,
          b: product.b + toB! * bytes,
          c: product.c + toC! * bytes,
        },
        { count, a: p, b: q, c },
      ),
    );
    return true;
  }

  #multiply(p: Product, batch: Batch): void {
    if (p.columns === 1 && p.rows > streamedRows) {
      const turned = transposed(p);
      if (this.#vectors(turned, { ...batch, a: batch.b, b: batch.a })) return;
    } else if (p.rows <= streamedRows && this.#vectors(p, batch)) return;
    const left = leftAccess(p);
    const right = rightAccess(p);
    const functions = this.#module(p.dtype, `${left} ${right}`, (module, shape) =>
      buildGemm(module, shape, left, right),
    );
    const work = p.rows * p.columns * p.inner;
    const fits =
      p.inner <= blocking.inner
        ? right === 'direct' || p.columns <= blocking.columns
        : right === 'direct' && !left.startsWith('pack');
    if (work <= smallProduct && fits) this.#small(functions['products']!, p, batch, work / speed);
    else
      for (let i = 0, packed = false; i < batch.count; i++) {
        packed = this.#large(functions, p, packed && batch.b === 0);
        p.a += batch.a;
        p.b += batch.b;
        p.c += batch.c;
      }
  }

  /** @returns false where the kernels for a few rows do not fit */
  #vectors(p: Product, batch: Batch): boolean {
    const bytes = bytesPerElement(p.dtype);
    const dots = p.innerA === bytes && p.innerB === bytes;
    if (!dots && p.lineB !== bytes) return false;
    if (p.columns * p.inner < smallVector) return false;
    const functions = this.#module(p.dtype, dots ? 'dots' : 'streams', dots ? buildDots : buildStreams);
    const step = p.columns * bytes;
    // As many columns as the kernel takes at a time.
    const group = dots ? dottedColumns : streamedVectors * (16 / bytes);
    const atOnce = dots ? dottedRows : streamedRows;
    for (let i = 0; i < batch.count; i++)
      for (let row = 0; row < p.rows; row += atOnce) {
        const rows = Math.min(atOnce, p.rows - row);
        const cost = (group * p.inner * rows) / vectorSpeed;
        const a = p.a + i * batch.a + row * p.lineA;
        const b = p.b + i * batch.b;
        const c = p.c + i * batch.c + row * step;
        this.#engine.overItems(
          functions[`${dots ? 'dot' : 'stream'}${rows}`]!,
          Math.ceil(p.columns / group),
          cost,
          (start, count) => {
            const from = start * group;
            const width = Math.min(count * group, p.columns - from);
            return dots
              ? [a, b + from * p.lineB, c + from * bytes, width, p.inner, p.lineA, p.lineB, step]
              : [a, b + from * bytes, c + from * bytes, width, p.inner, p.lineA, p.innerA, p.innerB, step];
          },
        );
      }
    return true;
  }

  #small(products: Kernel, p: Product, batch: Batch, cost: number): void {
    const step = p.columns * bytesPerElement(p.dtype);
    this.#engine.overItems(products, batch.count, cost, (start, count, lane) => {
      const room = this.#room(lane);
      return [
        count,
        p.a + start * batch.a,
        p.b + start * batch.b,
        p.c + start * batch.c,
        batch.a,
        batch.b,
        batch.c,
        p.rows,
        p.columns,
        p.inner,
        p.lineA,
        p.innerA,
        p.lineB,
        p.innerB,
        step,
        room.a,
        room.b,
      ];
    });
  }

  /**
   * @param packed true where B is the one that has been packed last
   * @returns true where all of B is packed now
   */
  #large(functions: Kernels, p: Product, packed: boolean): boolean {
    const bytes = bytesPerElement(p.dtype);
    const step = p.columns * bytes;
    const packB = functions['packB'];
    const block = functions['block']!;
    const tile = this.#variant.rows;
    const passes = Math.ceil(p.inner / blocking.inner);
    const longest = Math.ceil(p.inner / passes / 8) * 8;
    const whole = passes === 1 && p.columns <= blocking.columns;
    const panel = 32 / bytes;
    const target = packB ? this.#room(0).b : 0;
    for (let j = 0; j < p.columns; j += blocking.columns) {
      const width = Math.min(blocking.columns, p.columns - j);
      for (let k = 0; k < p.inner; k += longest) {
        const depth = Math.min(longest, p.inner - k);
        const source = p.b + j * p.lineB + k * p.innerB;
        if (packB && !packed)
          this.#engine.overItems(packB, Math.ceil(width / panel), panel * depth, (start, count) => [
            source + start * panel * p.lineB,
            target + start * panel * depth * bytes,
            Math.min(count * panel, width - start * panel),
            depth,
            p.lineB,
            p.innerB,
          ]);
        const cost = (tile * width * depth) / speed;
        this.#engine.overItems(block, Math.ceil(p.rows / tile), cost, (start, count, lane) => [
          p.a + start * tile * p.lineA + k * p.innerA,
          packB ? target : source,
          p.c + start * tile * step + j * bytes,
          Math.min(count * tile, p.rows - start * tile),
          width,
          depth,
          p.lineA,
          p.innerA,
          p.innerB,
          step,
          k > 0 ? 1 : 0,
          this.#room(lane).a,
        ]);
      }
    }
    return whole;
  }
}

function productOf(a: BufferView, b: BufferView, output: BufferView, inner: number, bytes: number): Product {
  const [rankA, rankB] = [a.shape.length, b.shape.length];
  const rows = a.shape[rankA - 2]!;
  const columns = b.shape[rankB - 1]!;
  const pointer = (x: BufferView): number => (x.buffer as WasmBuffer).pointer + x.offset * bytes;
  // Along axes of size 1 any step is as good as the one that is there.
  return {
    dtype: output.dtype as Float,
    rows,
    columns,
    inner,
    a: pointer(a),
    lineA: rows === 1 ? bytes : a.strides[rankA - 2]! * bytes,
    innerA: inner === 1 ? bytes : a.strides[rankA - 1]! * bytes,
    b: pointer(b),
    lineB: columns === 1 ? bytes : b.strides[rankB - 1]! * bytes,
    innerB: inner === 1 ? bytes : b.strides[rankB - 2]! * bytes,
    c: pointer(output),
  };
}

const withRows = (x: Layout, rows: number, step: number): Layout => ({
  shape: [...x.shape, rows],
  strides: [...x.strides, step],
  offset: 0,
});

/** Of the transposes, in the other order; only where C is a column. */
const transposed = (p: Product): Product => ({
  ...p,
  rows: 1,
  columns: p.rows,
  a: p.b,
  lineA: p.lineB,
  innerA: p.innerB,
  b: p.a,
  lineB: p.lineA,
  innerB: p.innerA,
});

function leftAccess({ dtype, innerA, lineA, columns, rows, inner }: Product): LeftAccess {
  const bytes = bytesPerElement(dtype);
  if (innerA === bytes) return 'along';
  if (lineA !== bytes) return 'pack any';
  return columns <= 32 || rows * inner <= 64 * 64 ? 'side' : 'pack side';
}

function rightAccess({ dtype, innerB, lineB, columns, rows, inner }: Product): RightAccess {
  const bytes = bytesPerElement(dtype);
  if (lineB === bytes) return rows <= 24 || columns * inner <= 64 * 64 ? 'direct' : 'pack side';
  return innerB === bytes ? 'pack along' : 'pack any';
}
