/** Attention forward: which items there are, and where what they need lies. */
import { sizeOf, type Shape } from '../../../shape.ts';
import type { BufferView, KernelCall } from '../../backend.ts';
import { eachOuter } from '../chunks.ts';
import type { Engine } from '../engine.ts';
import { arrayOver } from '../fallback.ts';
import type { WasmBuffer } from '../heap.ts';
import type { Kernels } from '../kernels.ts';
import { buildFew, fewQueries, fewTileKeys } from './few.ts';
import { buildForward, forwardAreas, forwardCall, forwardItem, tileKeys } from './forward.ts';
import { layOut } from './fields.ts';
import { launch } from './launch.ts';
import { leadSteps, lineStep, maskSteps, withUnitLines } from './operands.ts';
import { hasFused } from '../relaxed.ts';
import { accumulate, padded, panelBytes, panelColumns, queriesAtOnce } from './shape.ts';

/** Queries of an item at most. */
const blockQueries = 256;

/** Queries and leading axes, with the steps of each operand in bytes; `queries` along lines of q, the mask and y. */
interface Axes {
  readonly lead: Shape;
  readonly rows: number;
  readonly steps: Readonly<Record<'q' | 'k' | 'v' | 'mask' | 'y', readonly number[]>>;
  readonly queries: { readonly q: number; readonly mask: number; readonly y: number };
  readonly maskKeys: number;
}

const kernelsOf = (engine: Engine): Kernels =>
  engine.kernels.get('attention', (module, constants) => {
    const add = accumulate(hasFused());
    buildFew(module, constants, add, buildForward(module, constants, add));
  });

/** attention(q, k, v, mask?): see the op's record. */
export function runAttention(engine: Engine, call: KernelCall): void {
  withUnitLines(engine, call.inputs, (inputs) => run(engine, inputs, call));
}

function run(engine: Engine, inputs: readonly BufferView[], { output, attrs }: KernelCall): void {
  const [q, k, v, mask] = inputs as [BufferView, BufferView, BufferView, BufferView?];
  const [keys, dv] = v.shape.slice(-2) as [number, number];
  if (sizeOf(output.shape) === 0) return;
  if (keys === 0) return seeNothing(engine, output, mask !== undefined);
  const d = q.shape.at(-1)!;
  const { lead, rows, steps, queries, maskKeys } = folded(axesOf(q, k, v, mask, output));
  // A single query, beside the last key, sees them all.
  const causal = attrs['causal'] === true && q.shape.at(-2)! > 1;
  const few = rows <= fewQueries;
  const blocks = Math.ceil(rows / blockQueries);
  const block = few ? rows : Math.min(rows, padded(Math.ceil(rows / blocks), queriesAtOnce));
  const lines = few ? 1 : padded(block, queriesAtOnce);
  const tile = Math.min(few ? fewTileKeys : tileKeys, padded(keys, panelColumns));
  const panelsD = Math.max(1, Math.ceil(d / panelColumns));
  const panelsV = Math.max(1, Math.ceil(dv / panelColumns));
  // Not a multiple of 4096 bytes, or the panels would fight for the same lines of the cache.
  const panelStep = few ? panelBytes : lines * panelBytes + 128;
  const areas = layOut(forwardAreas, {
    maxima: Math.max(lines, 4) * 4,
    sums: Math.max(lines, 4) * 4,
    factors: Math.max(lines, 4) * 4,
    scores: 4 * (few ? fewTileKeys : queriesAtOnce * tileKeys),
    keyTile: few ? 0 : tile * panelsD * panelBytes,
    valueTile: few ? 0 : tile * panelsV * panelBytes,
    queries: panelsD * panelStep,
    outputs: panelsV * panelStep,
  });
  const kernels = kernelsOf(engine);
  launch(engine, {
    kernel: kernels[few ? 'few' : 'forward']!,
    call: forwardCall,
    values: {
      scale: attrs['scale'] as number,
      one: 1,
      keys,
      d,
      dv,
      causal: causal ? 1 : 0,
      stepQ: queries.q,
      stepK: lineStep(k),
      stepV: lineStep(v),
      stepY: queries.y,
      stepMask: queries.mask,
      maskKeys,
      tileKeys: tile,
      panelStep,
    },
    floats: ['scale', 'one'],
    areas,
    items: sizeOf(lead) * blocks,
    records: 1,
    recordBytes: forwardItem.bytes,
    write: (words, start) => {
      let at = start;
      eachOuter(
        lead,
        [steps.q, steps.k, steps.v, steps.mask, steps.y],
        [q, k, v, mask, output].map((x) => (x ? engine.address(x) : 0)),
        ([pq, pk, pv, pm, py]) => {
          for (let first = 0; first < rows; first += block) {
            words[at++] = pq! + first * queries.q;
            words[at++] = pk!;
            words[at++] = pv!;
            words[at++] = pm! + first * queries.mask;
            words[at++] = py! + first * queries.y;
            words[at++] = Math.min(block, rows - first);
            words[at++] = causal ? first + keys - rows + 1 : keys;
          }
        },
      );
    },
    cost: (block * keys * (d + dv + 16)) / (causal ? 30 : 18),
  });
}

function axesOf(
  q: BufferView,
  k: BufferView,
  v: BufferView,
  mask: BufferView | undefined,
  y: BufferView,
): Axes {
  const lead = y.shape.slice(0, -2);
  const rows = y.shape.at(-2)!;
  const masked = maskSteps(mask, lead, rows, k.shape.at(-2)!);
  return {
    lead,
    rows,
    steps: {
      q: leadSteps(q, lead),
      k: leadSteps(k, lead),
      v: leadSteps(v, lead),
      mask: masked.lead,
      y: leadSteps(y, lead),
    },
    queries: { q: lineStep(q), mask: masked.query, y: lineStep(y) },
    maskKeys: masked.key,
  };
}

/** Where there is one query, a leading axis along which keys and values stay the same becomes that of the queries. */
function folded(axes: Axes): Axes {
  const { lead, rows, steps, maskKeys } = axes;
  const axis = lead.findLastIndex((n, i) => n > 1 && steps.k[i] === 0 && steps.v[i] === 0);
  if (rows !== 1 || axis < 0) return axes;
  const without = <T>(list: readonly T[]): readonly T[] => list.toSpliced(axis, 1);
  return {
    lead: without(lead),
    rows: lead[axis]!,
    steps: {
      q: without(steps.q),
      k: without(steps.k),
      v: without(steps.v),
      mask: without(steps.mask),
      y: without(steps.y),
    },
    queries: { q: steps.q[axis]!, mask: steps.mask[axis]!, y: steps.y[axis]! },
    maskKeys,
  };
}

/** No keys: zeros, and the log-sum-exp of no scores, which a mask would turn to 0 as well. */
function seeNothing(engine: Engine, { buffer, offset, dtype, shape }: BufferView, masked: boolean): void {
  const out = arrayOver(engine.heap, buffer as WasmBuffer, dtype);
  const width = shape.at(-1)!;
  for (let i = 0; i < sizeOf(shape); i++)
    out[offset + i] = i % width === width - 1 && !masked ? -Infinity : 0;
}
