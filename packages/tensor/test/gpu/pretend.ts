/**
 * A GPU that is as bad as any may be, without a GPU: kernels run as the JavaScript that their text is, over functions that
 * are wrong wherever a driver has been seen to be, and what gpu.js takes wrongly in silence is an error here.
 */
import type { Compiled, Device, Handle, Limits } from '../../src/backends/gpu/device.ts';
import { mostElements } from '../../src/backends/gpu/device.ts';

interface Run extends Handle {
  readonly data: Float32Array;
  released: boolean;
}

type Body = (this: { thread: Thread }, ...args: unknown[]) => unknown;

interface Thread {
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

interface Kernel extends Compiled {
  readonly body: Body;
  readonly grid: readonly number[];
  readonly arrays: readonly number[];
  readonly numbers: number;
  discarded: boolean;
}

/** Which way quotients of whole numbers are off, when they are rounded down. */
export type Division = 'exact' | 'low' | 'high';

const slip: Readonly<Record<Division, number>> = { exact: 0, low: -1, high: 1 };

/** What is left to a GPU, wrong where drivers are; all else there is not. */
const driver = (division: Division): object => ({
  abs: Math.abs,
  floor: Math.floor,
  ceil: Math.ceil,
  sqrt: (x: number) => (x >= 0 ? Math.sqrt(x) : 12345),
  // Of NaN and of what overflows comes anything but that.
  exp: (x: number) => (x > -104 && x < 88.73 ? Math.exp(x) : 12345),
  log: (x: number) => (x > 0 && x <= 3.4028235e38 ? Math.log(x) : -88.03),
  pow: (x: number, y: number) => (x > 0 ? x ** y : 8),
  quotient: (x: number, y: number) => Math.floor(x / y) + slip[division],
});

/** What a text must not have, and why. */
const forbidden: readonly (readonly [RegExp, string])[] = [
  [/\b([a-z]\w*) [!=]== \1\b/, 'WGSL takes x !== x for false'],
  [/\b(?:Infinity|NaN)\b/, 'literals of them become 3.4e38'],
  [/\breturn \[/, 'results of several numbers cannot be read by other kernels'],
  [/=>/, 'gpu.js takes no arrow functions'],
];
const loop = /for \(/g;
/** The end is a literal: gpu.js cuts other loops at 1,000. The counter starts at a whole number: WGSL steps no float. */
const goodLoop = /for \(let (\w+) = 0; \1 < \d+; \1\+\+\)/g;

export interface PretendOptions {
  readonly division: Division;
  readonly grid: Limits['grid'];
}

export class PretendDevice implements Device {
  readonly mode = 'webgpu';
  readonly adapter = { name: 'pretended', software: true };
  readonly lacks = {};
  readonly lost = new Promise<string>(() => {});
  readonly limits: Limits;
  readonly #division: Division;

  constructor({ division, grid }: PretendOptions) {
    this.#division = division;
    this.limits = { elements: mostElements, inputs: 7, grid };
  }

  compile(source: string, grid: readonly number[], arrays: readonly number[], numbers: number): Compiled {
    const wrong = (why: string): never => {
      throw new Error(`${why}: ${source}`);
    };
    for (const [pattern, why] of forbidden) if (pattern.test(source)) wrong(why);
    if (source.match(loop)?.length !== source.match(goodLoop)?.length) wrong('a loop that gpu.js cuts');
    if (arrays.length > this.limits.inputs) wrong(`${arrays.length} arrays`);
    if (grid.length > 3 || !grid.every((n) => n >= 1)) wrong(`a grid of [${grid}]`);
    if (grid.length > 1 && grid.some((n, i) => n > this.limits.grid[i]!)) wrong(`a grid of [${grid}]`);
    // Of floats a quotient that is off is the driver's affair: not so by a size, nor where it is put right afterwards.
    const text = source
      .replaceAll(/Math\.floor\(([\w.]+) \/ (\d+)\)/g, 'Math.quotient($1, $2)')
      .replaceAll(/(let \w+ = )Math\.floor\((\w+) \/ (\w+)\)/g, '$1Math.quotient($2, $3)');
    const body = new Function('Math', `'use strict'; return ${text}`)(driver(this.#division)) as Body;
    const length = grid.reduce((a, b) => a * b, 1);
    return { length, body, grid, arrays, numbers, discarded: false } as Kernel;
  }

  launch(compiled: Compiled, handles: readonly Handle[], numbers: readonly number[]): Handle {
    const { body, grid, arrays, length, discarded, numbers: count } = compiled as Kernel;
    const runs = handles as readonly Run[];
    if (discarded) throw new Error('a kernel that was given back is launched');
    if (runs.some(({ released }) => released)) throw new Error('a kernel reads what was given back');
    // On WebGL a texture of another side is read wrongly.
    if (runs.map((run) => run.length).join() !== arrays.join()) throw new Error('arrays of other lengths');
    if (numbers.length !== count) throw new Error(`${numbers.length} numbers instead of ${count}`);
    const inputs = runs.map(({ data }) => guarded(data));
    const out = new Float32Array(length);
    const [across = 1, down = 1, deep = 1] = grid;
    let at = 0;
    for (let z = 0; z < deep; z++)
      for (let y = 0; y < down; y++)
        for (let x = 0; x < across; x++) {
          const value = body.call({ thread: { x, y, z } }, ...inputs, ...numbers.map(Math.fround));
          if (typeof value !== 'number') throw new Error(`a kernel gives ${String(value)}`);
          out[at++] = value;
        }
    return this.#holding(out);
  }

  #holding(data: Float32Array): Run {
    return { length: data.length, data, released: false };
  }

  upload(data: Float32Array): Handle {
    if (data.length === 0) throw new Error('an upload of nothing');
    return this.#holding(data.slice());
  }

  async download(handle: Handle, offset: number, length: number): Promise<Float32Array> {
    const { data, released } = handle as Run;
    if (released) throw new Error('what was given back is read');
    return data.slice(offset, offset + length);
  }

  release(handle: Handle): void {
    const run = handle as Run;
    if (run.released) throw new Error('given back twice');
    run.released = true;
    // On WebGL what was given back keeps its elements; on WebGPU others may take its place.
    run.data.fill(12345);
  }

  discard(kernel: Compiled): void {
    (kernel as Kernel).discarded = true;
  }

  /** How often somebody has waited for what was launched. */
  drains = 0;

  async drain(): Promise<void> {
    this.drains++;
  }
  complaint(): null {
    return null;
  }
  complaintOfLoss(): null {
    return null;
  }
  async close(): Promise<void> {}
}

/** Elements, out of which nothing may be read. */
function guarded(data: Float32Array): Float32Array {
  return new Proxy(data, {
    get(target, key) {
      const value = Reflect.get(target, key) as number | undefined;
      return value === undefined ? wildly(target, Number(key)) : value;
    },
  });
}

/** GPUs read some other element. */
function wildly(data: Float32Array, at: number): number {
  return data[Math.abs(Math.floor(at)) % data.length] ?? 12345;
}
