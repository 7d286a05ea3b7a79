/** Matrix products: which kernels run over what. */
import type { HalfDType } from '../../../half.ts';
import { sizeOf } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import type { ModuleBuilder } from '../assembler/index.ts';
import { arrayOver } from '../fallback.ts';
import type { WasmBuffer } from '../heap.ts';
import type { Kernels } from '../kernels.ts';
import { hasFused } from '../relaxed.ts';
import { buildGemm, leftAccesses, rightAccesses, type LeftAccess, type RightAccess } from './block.ts';
import { Calibration } from './calibrate.ts';
import { buildDots } from './dot.ts';
import { launchBlocks, launchFewRows, launchWhole, PackingRoom, type Launcher } from './launch.ts';
import {
  batchAxes,
  firstProduct,
  foldRows,
  leftAccess,
  rightAccess,
  single,
  transposed,
  type Batch,
  type Product,
} from './product.ts';
import { blocking, keyOf, tileShape, variants, type Float, type TileShape, type Variant } from './shape.ts';
import { buildStreams, streamedRows } from './stream.ts';

/** Multiplications of a product that is worth cutting up; of one among several. */
const largeAlone = 2 ** 20;
const largeInBatch = 2 ** 22;
/** Products from which on there are several. */
const several = 4;
/** Rows up to which dot products, two rows at a time, beat packing. */
const mostDottedRows = 6;
/** Elements of B from which on kernels for a few rows are worth it. */
const smallVector = 1024;

export class Gemm {
  readonly #engine: Launcher;
  readonly #fused = hasFused();
  readonly #room: PackingRoom;
  readonly #calibration: Calibration;
  /** By dtype and by how the operands are read; of the kernels for a few rows. */
  #blocks: Kernels[] = [];
  #lines: Kernels[] = [];
  #halves: Partial<Record<HalfDType, Kernels>> = {};
  #variant: Variant;

  constructor(engine: Launcher) {
    this.#engine = engine;
    this.#room = new PackingRoom(engine.kernels);
    this.#calibration = new Calibration(
      engine.kernels,
      () => this.#room.right(0),
      this.variants,
      this.#fused,
    );
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
    this.#blocks = [];
    this.#lines = [];
    this.#halves = {};
  }

  /** [..., m, k] × [..., k, n] in f32 or f64; leading axes broadcast. */
  run({ inputs, output }: KernelCall): boolean {
    this.multiply(inputs[0]!, inputs[1]!, output);
    return true;
  }

  /** As `run` has it. */
  multiply(a: BufferView, b: BufferView, output: BufferView): void {
    const size = sizeOf(output.shape);
    if (size === 0) return;
    const p = firstProduct(a, b, output);
    if (p.inner === 0) {
      const { buffer, dtype, offset } = output;
      const { heap } = this.#engine.kernels;
      arrayOver(heap, buffer as WasmBuffer, dtype).fill(0, offset, offset + size);
      return;
    }
    if (output.shape.length === 2) return this.#multiply(p, single);
    const axes = batchAxes(a, b, output, p.bytes);
    if (axes.length > 0 && foldRows(p, axes.at(-1)!)) axes.pop();
    const batch = axes.pop() ?? single;
    this.#overAxes(p, axes, 0, batch);
  }

  /**
   * A few rows [m, k] of f32 × [k, n] of 16 bits whose columns lie along memory: widened as it is read, to the same sums.
   * @returns false where it must be widened before
   */
  multiplyHalves(a: BufferView, b: BufferView, output: BufferView): boolean {
    const p = firstProduct(a, b, output);
    if (p.rows > mostDottedRows || p.inner === 0 || p.innerA !== p.bytes || p.innerB !== p.bytesB)
      return false;
    const half = b.dtype as HalfDType;
    launchFewRows(this.#engine, (this.#halves[half] ??= this.#halfKernels(half)), true, p, single);
    return true;
  }

  #overAxes(p: Product, axes: readonly Batch[], axis: number, batch: Batch): void {
    if (axis === axes.length) return this.#multiply(p, batch);
    const { count, a, b, c } = axes[axis]!;
    for (let i = 0; i < count; i++)
      this.#overAxes({ ...p, a: p.a + i * a, b: p.b + i * b, c: p.c + i * c }, axes, axis + 1, batch);
  }

  /** May change the product. */
  #multiply(p: Product, batch: Batch): void {
    if (p.rows <= mostDottedRows && this.#fewRows(p, batch)) return;
    if (p.columns === 1 && this.#fewRows(transposed(p), { ...batch, a: batch.b, b: batch.a })) return;
    const left = leftAccess(p);
    const right = rightAccess(p);
    const work = p.rows * p.columns * p.inner;
    const fastest = this.#calibration.after(work * batch.count);
    if (fastest) this.variant = fastest;
    const kernels = this.#kernels(p.dtype, left, right);
    const fits =
      p.inner <= blocking.inner
        ? right === 'direct' || p.columns <= blocking.columns
        : right === 'direct' && !left.startsWith('pack');
    if (fits && work <= (batch.count >= several ? largeInBatch : largeAlone))
      launchWhole(this.#engine, kernels['products']!, this.#room, p, batch);
    else
      for (let i = 0, packed = false; i < batch.count; i++) {
        const whole = launchBlocks(this.#engine, kernels, this.#room, p, this.#variant.rows, packed);
        packed = whole && batch.b === 0;
        p.a += batch.a;
        p.b += batch.b;
        p.c += batch.c;
      }
  }

  /** @returns false where there is no kernel of this kind */
  #fewRows(p: Product, batch: Batch): boolean {
    const dots = p.innerA === p.bytes && p.innerB === p.bytes;
    const streams = p.rows <= streamedRows && p.lineB === p.bytes;
    if (!(dots || streams) || p.columns * p.inner < smallVector) return false;
    const kernels = this.#fewRowsKernels(p.dtype, dots);
    launchFewRows(this.#engine, kernels, dots, p, batch);
    return true;
  }

  #kernels(dtype: Float, left: LeftAccess, right: RightAccess): Kernels {
    const key =
      (leftAccesses.indexOf(left) * 4 + rightAccesses.indexOf(right)) * 2 + (dtype === 'f32' ? 0 : 1);
    return (this.#blocks[key] ??= this.#compile(dtype, `${left} ${right}`, (module, shape) =>
      buildGemm(module, shape, left, right),
    ));
  }

  #fewRowsKernels(dtype: Float, dots: boolean): Kernels {
    const key = (dots ? 2 : 0) + (dtype === 'f32' ? 0 : 1);
    return (this.#lines[key] ??= dots
      ? this.#compile(dtype, 'dots', buildDots)
      : this.#compile(dtype, 'streams', buildStreams));
  }

  #halfKernels(half: HalfDType): Kernels {
    return this.#compile('f32', `dots ${half}`, (module, shape) => buildDots(module, shape, half));
  }

  #compile(dtype: Float, name: string, build: (module: ModuleBuilder, shape: TileShape) => void): Kernels {
    const shape = tileShape(dtype, this.#fused, this.#variant);
    return this.#engine.kernels.get(`gemm ${keyOf(shape)} ${name}`, (module) => build(module, shape));
  }
}
