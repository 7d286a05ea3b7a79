/**
 * Attention backward: for each tile of keys, tile after tile of queries; the weights are computed anew from the scores and
 * their log-sum-exp (arXiv 2205.14135, algorithm 4). With P the weights, G the gradient of the output, Δ the pulls:
 *   dS = P ∘ (G Vᵀ - Δ),  dV += Pᵀ G,  dQ += scale dS K,  dK += scale dSᵀ Q
 */
import { f32, i32, perform, select, type I32, type ModuleBuilder } from '../assembler/index.ts';
import type { ConstantPool } from '../constants.ts';
import { buildDifferentiate, buildPulls } from './differentiate.ts';
import { Fields } from './fields.ts';
import { buildFill, buildPackColumns, buildPackLines } from './pack.ts';
import { buildProduct } from './product.ts';
import { buildHide, buildMask } from './scores.ts';
import {
  least,
  panelBytes,
  panelColumns,
  parameters,
  plus,
  queriesAtOnce,
  roundedUp,
  times,
  type Accumulate,
} from './shape.ts';
import { buildUnpackLines } from './unpack.ts';

/** What is the same for all items of a call; steps in bytes. */
export const backwardCall = new Fields([
  'scale',
  'one',
  'rows',
  'keys',
  'd',
  'dv',
  'causal',
  'stepQ',
  'stepK',
  'stepV',
  'stepG',
  'stepY',
  'stepMask',
  'maskKeys',
  'panelStep',
]);

/** The areas of a lane's scratch memory. */
export const backwardAreas = new Fields([
  'sums',
  'pulls',
  'queries',
  'gradients',
  'dQueries',
  'keyColumns',
  'valueColumns',
  'keyLines',
  'dKeys',
  'dValues',
  'weights',
  'slopes',
]);

/** Where operands and results start (the mask 0 where there is none), and which results are added to what is there. */
export const backwardItem = new Fields([
  'q',
  'k',
  'v',
  'mask',
  'g',
  'y',
  'dq',
  'dk',
  'dv',
  'addQ',
  'addK',
  'addV',
]);

/** Keys and queries of a tile at most. */
export const gradTile = { keys: 64, queries: 32 } as const;
const tileBytes = 4 * gradTile.keys;

/** backward(items, count, call, scratch) */
export function buildBackward(module: ModuleBuilder, constants: ConstantPool, accumulate: Accumulate): void {
  const fill = buildFill(module);
  const packLines = buildPackLines(module);
  const packColumns = buildPackColumns(module);
  const unpackLines = buildUnpackLines(module);
  const pull = buildPulls(module);
  const differentiate = buildDifferentiate(module, constants, tileBytes, accumulate);
  const hide = buildHide(module, queriesAtOnce, tileBytes);
  const mask = buildMask(module, queriesAtOnce, tileBytes);
  // Lines of four queries times columns of keys, to a tile.
  const toTile = buildProduct(
    module,
    'to tile',
    { line: panelBytes, inner: 4, panels: true, target: tileBytes, start: 'zero' },
    accumulate,
  );
  // Four queries of a tile times lines of keys.
  const toQueries = buildProduct(
    module,
    'to queries',
    { line: tileBytes, inner: 4, panels: false, target: panelBytes, start: 'sum' },
    accumulate,
  );
  // Four keys of a tile times lines of queries.
  const toKeys = buildProduct(
    module,
    'to keys',
    { line: 4, inner: tileBytes, panels: false, target: panelBytes, start: 'sum' },
    accumulate,
  );

  const fn = module.function('backward', ['i32', 'i32', 'i32', 'i32']);
  const p = parameters(fn, ['items', 'count', 'call', 'scratch']);
  const call = backwardCall.at(p.call);
  const item = backwardItem.at(p.items);
  const { sums, pulls, queries, gradients, dQueries, keyColumns, valueColumns, keyLines, ...tile } =
    backwardAreas.placesAt(fn, p.call, backwardCall.bytes, p.scratch);
  const { dKeys, dValues, weights, slopes } = tile;
  const factor = (name: 'scale' | 'one'): I32 => plus(p.call, backwardCall.place(name));
  const eighth = (x: I32): I32 => i32.shrUnsigned(x, i32.const(3));
  const half = (x: I32): I32 => i32.shrUnsigned(x, i32.const(1));
  const zero = i32.const(0);
  const keyPanel = i32.const(gradTile.keys * panelBytes);

  const inner = fn.let(roundedUp(call.d, panelColumns));
  const outer = fn.let(roundedUp(call.dv, panelColumns));
  const [k, v, first, n, row, height] = [0, 1, 2, 3, 4, 5].map(() => fn.local('i32')) as Six;
  const [line, seen, width, key, from, started] = [0, 1, 2, 3, 4, 5].map(() => fn.local('i32')) as Six;
  /** How many keys of the tile a query sees, before it is cut to those there are. */
  const seenBy = (query: I32): I32 =>
    plus(i32.sub(call.keys, first), times(call.causal, plus(i32.sub(query, call.rows), 1)));
  const lines = (base: I32, at: I32): I32 => plus(base, times(at, panelBytes));

  /** Four queries, `line` lines into the tile: their weights, the gradients of their scores, and dQ. */
  const strip = (): void => {
    const query = plus(row, line);
    const weight = plus(weights, times(line, tileBytes));
    const slope = plus(slopes, times(line, tileBytes));
    const panels = eighth(width);
    fn.set(seen, seenBy(query));
    fn.set(width, roundedUp(least(plus(seen, times(call.causal, 3)), n), panelColumns));
    const product = (a: I32, b: I32, to: I32, depth: I32): void =>
      fn.do(
        perform(
          toTile,
          lines(a, query),
          b,
          to,
          panels,
          eighth(depth),
          call.panelStep,
          times(depth, panelBytes),
          i32.const(panelBytes),
          zero,
        ),
      );
    product(queries, keyColumns, weight, inner);
    fn.if(item.mask, () => {
      const place = plus(plus(item.mask, times(query, call.stepMask)), times(first, call.maskKeys));
      const after = i32.sub(plus(call.rows, -1), query);
      fn.do(perform(mask, weight, place, call.stepMask, call.maskKeys, width, after));
    });
    fn.if(i32.lt(seen, width), () => fn.do(perform(hide, weight, seen, call.causal, width)));
    product(gradients, valueColumns, slope, outer);
    const of = (base: I32): I32 => plus(base, times(query, 4));
    const vectors = i32.shrUnsigned(width, i32.const(2));
    fn.do(perform(differentiate, weight, slope, vectors, of(sums), of(pulls)));
    const target = lines(dQueries, query);
    fn.do(
      perform(
        toQueries,
        slope,
        keyLines,
        target,
        eighth(inner),
        half(width),
        zero,
        keyPanel,
        call.panelStep,
        first,
      ),
    );
  };

  /** Four keys of the tile: dV and dK from the queries of the tile that see them. */
  const column = (): void => {
    // Strips before this one have not reached these keys.
    const panel = i32.and(key, i32.const(-panelColumns));
    fn.set(from, i32.sub(plus(panel, -2), seenBy(row)));
    fn.set(from, select(i32.and(call.causal, i32.gt(from, zero)), roundedUp(from, queriesAtOnce), zero));
    const after = i32.sub(roundedUp(height, queriesAtOnce), from);
    const turns = half(select(i32.gt(after, zero), after, zero));
    const add = (tile: I32, b: I32, to: I32, columns: I32): void =>
      fn.do(
        perform(
          toKeys,
          plus(plus(tile, times(from, tileBytes)), times(key, 4)),
          lines(b, plus(row, from)),
          lines(to, key),
          eighth(columns),
          turns,
          zero,
          call.panelStep,
          keyPanel,
          started,
        ),
      );
    add(weights, gradients, dValues, outer);
    add(slopes, queries, dKeys, inner);
  };

  fn.times(p.count, () => {
    const whole = roundedUp(call.rows, queriesAtOnce);
    const step = call.panelStep;
    fn.do(perform(packLines, item.q, queries, call.rows, whole, call.d, call.stepQ, step, factor('scale')));
    fn.do(perform(packLines, item.g, gradients, call.rows, whole, call.dv, call.stepG, step, factor('one')));
    const tail = i32.shl(i32.and(call.rows, i32.const(-4)), i32.const(2));
    fn.do(perform(fill, plus(sums, tail), i32.const(1), f32.const(0)));
    fn.do(perform(fill, plus(pulls, tail), i32.const(1), f32.const(0)));
    fn.do(perform(pull, item.g, item.y, call.rows, call.dv, call.stepG, call.stepY, pulls, sums));
    fn.set(k, item.k);
    fn.set(v, item.v);
    fn.set(first, zero);
    fn.loop((next) => {
      fn.set(n, least(i32.const(gradTile.keys), i32.sub(call.keys, first)));
      const some = roundedUp(n, panelColumns);
      fn.do(perform(packColumns, k, keyColumns, n, call.d, inner, call.stepK));
      fn.do(perform(packColumns, v, valueColumns, n, call.dv, outer, call.stepV));
      fn.do(perform(packLines, k, keyLines, n, some, call.d, call.stepK, keyPanel, factor('one')));
      // The first four queries of which one sees something here.
      fn.set(row, i32.sub(i32.const(1), seenBy(zero)));
      fn.set(
        row,
        select(i32.and(call.causal, i32.gt(row, zero)), i32.and(row, i32.const(-queriesAtOnce)), zero),
      );
      fn.set(started, zero);
      fn.loop((again) => {
        fn.set(height, least(i32.const(gradTile.queries), i32.sub(call.rows, row)));
        fn.set(line, zero);
        fn.loop((more) => {
          strip();
          fn.advance(line, queriesAtOnce);
          fn.branchIf(more, i32.lt(line, height));
        });
        fn.set(key, zero);
        fn.loop((more) => {
          column();
          fn.advance(key, 4);
          fn.branchIf(more, i32.lt(key, n));
        });
        fn.set(started, i32.const(1));
        fn.advance(row, gradTile.queries);
        fn.branchIf(again, i32.lt(row, call.rows));
      });
      const out = (from: I32, to: I32, columns: I32, add: I32): void => {
        const bytes = times(columns, 4);
        const target = plus(to, times(first, bytes));
        fn.do(perform(unpackLines, from, target, n, columns, keyPanel, bytes, factor('one'), zero, add));
      };
      out(dKeys, item.dk, call.d, item.addK);
      out(dValues, item.dv, call.dv, item.addV);
      fn.advance(k, times(n, call.stepK));
      fn.advance(v, times(n, call.stepV));
      fn.advance(first, n);
      fn.branchIf(next, i32.lt(first, call.keys));
    });
    fn.do(
      perform(
        unpackLines,
        dQueries,
        item.dq,
        call.rows,
        call.d,
        step,
        times(call.d, 4),
        factor('scale'),
        zero,
        item.addQ,
      ),
    );
    fn.advance(p.items, backwardItem.bytes);
  });
}

type Local = ReturnType<typeof parameters<['x']>>['x'];
type Six = [Local, Local, Local, Local, Local, Local];
