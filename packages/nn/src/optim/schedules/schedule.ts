/** Learning-rate schedules: what they are, and what their constructors check. */
import { ValueError } from '@infinigrad/tensor';

/** From the step, counted from 0, to a factor of every group's learning rate. */
export type Schedule = (step: number) => number;

export function checkSteps(op: string, name: string, value: number, least = 0): void {
  if (!Number.isInteger(value) || value < least)
    throw new ValueError(op, `${name} must be an integer ≥ ${least}, got ${value}`);
}

export function checkFinite(op: string, name: string, value: number): void {
  if (!Number.isFinite(value)) throw new ValueError(op, `${name} must be finite, got ${value}`);
}

export function checkFactor(op: string, name: string, value: number): void {
  if (!(value >= 0 && value < Infinity))
    throw new ValueError(op, `${name} must be a number ≥ 0, got ${value}`);
}
