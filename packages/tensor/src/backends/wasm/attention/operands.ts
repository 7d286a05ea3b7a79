/** The operands of attention as a kernel wants them: lines of elements side by side, and leading axes walked in bytes. */
import { bytesPerElement } from '../../../dtype.ts';
import { broadcastLayout, type Shape } from '../../../shape.ts';
import type { BufferView } from '../../backend.ts';
import type { Engine } from '../engine.ts';

/** Whether elements of a line lie side by side; those of a mask may be one for all. */
function unitLines({ shape, strides, dtype }: BufferView): boolean {
  const step = strides.at(-1);
  return shape.length === 0 || shape.at(-1)! <= 1 || step === 1 || (step === 0 && dtype === 'bool');
}

/** Calls `body` with the views, or where their lines are not of elements side by side, with copies. */
export function withUnitLines(
  engine: Engine,
  views: readonly BufferView[],
  body: (views: readonly BufferView[]) => void,
): void {
  const odd = views.findIndex((view) => !unitLines(view));
  if (odd < 0) return body(views);
  engine.withRowMajor(views[odd]!, (copy) => withUnitLines(engine, views.with(odd, copy), body));
}

/** Bytes from one matrix to the next along leading axes that a view's own are stretched to. */
export function leadSteps(view: BufferView, lead: Shape): readonly number[] {
  const layout = { shape: view.shape.slice(0, -2), strides: view.strides.slice(0, -2), offset: 0 };
  const width = bytesPerElement(view.dtype);
  return broadcastLayout(layout, lead).strides.map((step) => step * width);
}

/** Bytes from one line of a matrix to the next. */
export const lineStep = (view: BufferView): number => view.strides.at(-2)! * bytesPerElement(view.dtype);

/** How a mask is walked, in bytes; nowhere where there is none. */
export interface MaskSteps {
  readonly lead: readonly number[];
  readonly query: number;
  readonly key: number;
}

export function maskSteps(
  mask: BufferView | undefined,
  lead: Shape,
  queries: number,
  keys: number,
): MaskSteps {
  if (!mask) return { lead: lead.map(() => 0), query: 0, key: 0 };
  const { strides } = broadcastLayout(mask, [...lead, queries, keys]);
  return { lead: strides.slice(0, -2), query: strides.at(-2)!, key: keys === 1 ? 0 : strides.at(-1)! };
}
