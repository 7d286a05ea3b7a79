/** Attention backward: which items there are, and where what they need lies. */
import { broadcastLayout, rowMajorStrides, sizeOf, type Shape } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { eachOuter } from '../chunks.ts';
import type { Engine } from '../engine.ts';
import { arrayOver } from '../fallback.ts';
import type { WasmBuffer } from '../heap.ts';
import { backwardAreas, backwardCall, backwardItem, buildBackward, gradTile } from './backward.ts';
import { layOut } from './fields.ts';
import { launch } from './launch.ts';
import { leadSteps, lineStep, maskSteps, withUnitLines } from './operands.ts';
import { hasFused } from '../relaxed.ts';
import { accumulate, padded, panelBytes, panelColumns, queriesAtOnce } from './shape.ts';

/** attentionGrad(g, y, q, k, v, mask?): see the op's record. */
export function runAttentionGrad(engine: Engine, call: KernelCall): void {
  withUnitLines(engine, call.inputs, (inputs) => run(engine, { ...call, inputs }));
}

function run(engine: Engine, { inputs, output, attrs }: KernelCall): void {
  const [g, y, q, k, v, mask] = inputs as [
    BufferView,
    BufferView,
    BufferView,
    BufferView,
    BufferView,
    BufferView?,
  ];
  const lead = y.shape.slice(0, -2);
  const [rows, d] = q.shape.slice(-2) as [number, number];
  const [keys, dv] = v.shape.slice(-2) as [number, number];
  const count = sizeOf(lead);
  if (count * rows * keys === 0) {
    const size = sizeOf(output.shape);
    arrayOver(engine.heap, output.buffer as WasmBuffer, 'f32').fill(0, output.offset, output.offset + size);
    return;
  }
  const sources = [q, k, v];
  const { apart, together } = axesOf(
    lead,
    sources.map((x) => x.shape),
  );
  const masked = maskSteps(mask, lead, rows, keys);
  const steps = [
    ...[q, k, v].map((x) => leadSteps(x, lead)),
    masked.lead,
    leadSteps(g, lead),
    leadSteps(y, lead),
  ];
  const results = sources.map((x) => resultSteps(x.shape, lead));
  const starts = [q, k, v, mask, g, y].map((x) => (x ? engine.address(x) : 0));
  let end = engine.address(output);
  for (const { shape } of sources) {
    starts.push(end);
    end += 4 * sizeOf(shape);
  }
  const all = [...steps, ...results];
  const sizes = (axes: readonly number[]): number[] => axes.map((axis) => lead[axis]!);

  // Of the records of an item, the first one to come to a place stores, those after it add.
  const adds: number[] = [];
  const seen = results.map(() => new Set<number>());
  eachOuter(
    sizes(together),
    only(results, together),
    results.map(() => 0),
    (place) => {
      place.forEach((position, i) => {
        adds.push(seen[i]!.has(position) ? 1 : 0);
        seen[i]!.add(position);
      });
    },
  );

  const panelsD = Math.max(1, Math.ceil(d / panelColumns));
  const panelsV = Math.max(1, Math.ceil(dv / panelColumns));
  const lines = padded(rows, queriesAtOnce);
  // Not a multiple of 4096 bytes, or the panels would fight for the same lines of the cache.
  const panelStep = lines * panelBytes + 128;
  const tileD = gradTile.keys * panelsD * panelBytes;
  const tileV = gradTile.keys * panelsV * panelBytes;
  const square = 4 * gradTile.keys * gradTile.queries;
  const areas = layOut(backwardAreas, {
    sums: 4 * lines + 16,
    pulls: 4 * lines + 16,
    keyColumns: tileD,
    valueColumns: tileV,
    keyLines: tileD,
    dKeys: tileD,
    dValues: tileV,
    weights: square,
    slopes: square,
    queries: panelsD * panelStep,
    gradients: panelsV * panelStep,
    dQueries: panelsD * panelStep,
  });
  const kernels = engine.kernels.get('attentionGrad', (module, constants) =>
    buildBackward(module, constants, accumulate(hasFused())),
  );
  const records = sizeOf(sizes(together));
  launch(engine, {
    kernel: kernels['backward']!,
    call: backwardCall,
    values: {
      scale: attrs['scale'] as number,
      one: 1,
      rows,
      keys,
      d,
      dv,
      causal: attrs['causal'] === true ? 1 : 0,
      stepQ: lineStep(q),
      stepK: lineStep(k),
      stepV: lineStep(v),
      stepG: lineStep(g),
      stepY: lineStep(y),
      stepMask: masked.query,
      maskKeys: masked.key,
      panelStep,
    },
    floats: ['scale', 'one'],
    areas,
    items: count / records,
    records,
    recordBytes: backwardItem.bytes,
    write: (words, first) => {
      let at = first;
      eachOuter(sizes(apart), only(all, apart), starts, (start) => {
        let flag = 0;
        eachOuter(sizes(together), only(all, together), [...start], (place) => {
          for (let i = 0; i < place.length; i++) words[at++] = place[i]!;
          for (let i = 0; i < results.length; i++) words[at++] = adds[flag++]!;
        });
      });
    },
    cost: (records * rows * keys * (d + dv + 16)) / (attrs['causal'] === true ? 13 : 8),
  });
}

/**
 * The leading axes along which all three gradients differ, and those along which one is summed up: what differs only in
 * the latter is worked on in order, as one item.
 */
function axesOf(lead: Shape, shapes: readonly Shape[]): { apart: number[]; together: number[] } {
  const axes = lead.map((_, axis) => axis).filter((axis) => lead[axis]! > 1);
  const isApart = (axis: number): boolean =>
    shapes.every((shape) => (shape[axis - lead.length + shape.length - 2] ?? 1) > 1);
  return { apart: axes.filter(isApart), together: axes.filter((axis) => !isApart(axis)) };
}

/** Steps along some of the axes. */
const only = (steps: readonly (readonly number[])[], axes: readonly number[]): number[][] =>
  steps.map((step) => axes.map((axis) => step[axis]!));

/** Bytes from one matrix to the next of a row-major result, which stays in place along axes that it is summed over. */
function resultSteps(shape: Shape, lead: Shape): readonly number[] {
  const strides = rowMajorStrides(shape).slice(0, -2);
  return broadcastLayout({ shape: shape.slice(0, -2), strides, offset: 0 }, lead).strides.map(
    (step) => 4 * step,
  );
}
