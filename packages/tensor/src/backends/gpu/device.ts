/** What the backend asks of a GPU: kernels from source text, and flat runs of f32 that they read and write. */

import type { Intrinsic } from '../../ir.ts';

/** How gpu.js reaches the GPU. */
export type Mode = 'webgpu' | 'webgl2' | 'headlessgl';

/** Elements on the GPU. */
export interface Handle {
  readonly length: number;
}

/** A kernel; built when it is first launched. */
export interface Compiled {
  /** Elements that it makes. */
  readonly length: number;
}

export interface Adapter {
  /** As the driver calls it. */
  readonly name: string;
  /** True where a program on the CPU stands in for a GPU. */
  readonly software: boolean;
}

export interface Limits {
  /** Elements of one tensor. */
  readonly elements: number;
  /** Arrays that one kernel reads. */
  readonly inputs: number;
  /** Threads along each axis of a grid of two or three; 0 where only one axis will do. */
  readonly grid: readonly [number, number, number];
}

/** Calls must come one after the other: each is awaited before the next. */
export interface Device {
  readonly mode: Mode;
  readonly adapter: Adapter;
  readonly limits: Limits;
  /** Functions that it gets wrong, and how. */
  readonly lacks: Readonly<Partial<Record<Intrinsic, string>>>;
  /**
   * A kernel in the GPU's own language (WGSL), where it takes such: its arrays are bound in order, then what it writes, then a
   * uniform of four u32.
   */
  readonly compileOwn?: (
    wgsl: string,
    workgroups: readonly [number, number, number],
    length: number,
  ) => Compiled;
  /** Whether such kernels are worth their building: a program on the CPU takes a second for one with barriers. */
  readonly prefersOwn?: boolean;
  /** Resolves with the reason when the GPU is gone. */
  readonly lost: Promise<string>;
  /**
   * A kernel that computes one element in each thread of a grid ([x], [x, y] or [x, y, z], x fastest).
   * @param arrays how many elements each array that it reads has
   * @param numbers how many numbers it takes after those
   */
  compile(source: string, grid: readonly number[], arrays: readonly number[], numbers: number): Compiled;
  launch(kernel: Compiled, arrays: readonly Handle[], numbers: readonly number[]): Handle | Promise<Handle>;
  upload(data: Float32Array): Handle;
  download(handle: Handle, offset: number, length: number): Promise<Float32Array>;
  release(handle: Handle): void;
  /** Gives back a kernel that will not be launched again. */
  discard(kernel: Compiled): void;
  /** Resolves when all that was launched is done. */
  drain(): Promise<void>;
  /** What the driver has complained about since it was last asked, or null. */
  complaint(): string | null;
  /** Why the GPU is gone, where it is known only when asked for; else null. */
  complaintOfLoss(): string | null;
  close(): Promise<void>;
}

/** Indices are computed in f32, which counts no further. */
export const mostElements = 2 ** 24;

const software = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render|\bcpu\b/i;
export const isSoftware = (name: string): boolean => software.test(name);
