/** What the kernels of structured ops share. */
import type { KernelCall } from '../../backend.ts';
import type { Launcher } from '../launcher.ts';

/** Lowers a call to programs, and has them launched. */
export type GpuKernel = (launcher: Launcher, call: KernelCall) => void;

export const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
