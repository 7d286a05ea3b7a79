/** Attention forward: for each block of queries, tile after tile of keys with a running softmax (arXiv 2205.14135). */
import {
  f32,
  i32,
  perform,
  select,
  type FunctionBuilder,
  type I32,
  type ModuleBuilder,
} from '../assembler/index.ts';
import type { ConstantPool } from '../constants.ts';
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
import { buildFinish, buildSoftmax, lowest } from './softmax.ts';
import { buildUnpackLines } from './unpack.ts';

/** What is the same for all items of a call; steps in bytes. */
export const forwardCall = new Fields([
  'scale',
  'one',
  'keys',
  'd',
  'dv',
  'causal',
  'stepQ',
  'stepK',
  'stepV',
  'stepY',
  'stepMask',
  'maskKeys',
  'tileKeys',
  'panelStep',
]);

/** The areas of a lane's scratch memory. */
export const forwardAreas = new Fields([
  'maxima',
  'sums',
  'factors',
  'scores',
  'keyTile',
  'valueTile',
  'queries',
  'outputs',
]);

/** A block of queries: where its operands start (the mask 0 where there is none), and how many keys its first query sees. */
export const forwardItem = new Fields(['q', 'k', 'v', 'mask', 'y', 'queries', 'seen']);

/** Keys of a tile at most. */
export const tileKeys = 64;
const tileBytes = 4 * tileKeys;

export interface ForwardParts {
  readonly fill: FunctionBuilder;
  readonly packLines: FunctionBuilder;
  readonly unpackLines: FunctionBuilder;
  readonly finish: FunctionBuilder;
}

/** forward(items, count, call, scratch) */
export function buildForward(
  module: ModuleBuilder,
  constants: ConstantPool,
  accumulate: Accumulate,
): ForwardParts {
  const fill = buildFill(module);
  const packLines = buildPackLines(module);
  const packColumns = buildPackColumns(module);
  const unpackLines = buildUnpackLines(module);
  const multiply = buildProduct(
    module,
    'queries times keys',
    { line: panelBytes, inner: 4, panels: true, target: tileBytes, start: 'zero' },
    accumulate,
  );
  const weigh = buildProduct(
    module,
    'weights times values',
    { line: tileBytes, inner: 4, panels: false, target: panelBytes, start: 'factors' },
    accumulate,
  );
  const hide = buildHide(module, queriesAtOnce, tileBytes);
  const mask = buildMask(module, queriesAtOnce, tileBytes);
  const softmax = buildSoftmax(module, constants, queriesAtOnce, tileBytes, accumulate);
  const finish = buildFinish(module, constants);

  const fn = module.function('forward', ['i32', 'i32', 'i32', 'i32']);
  const p = parameters(fn, ['items', 'count', 'call', 'scratch']);
  const call = forwardCall.at(p.call);
  const item = forwardItem.at(p.items);
  const { maxima, sums, factors, scores, keyTile, valueTile, queries, outputs } = forwardAreas.placesAt(
    fn,
    p.call,
    forwardCall.bytes,
    p.scratch,
  );
  const factor = (name: 'scale' | 'one'): I32 => plus(p.call, forwardCall.place(name));

  const inner = fn.let(roundedUp(call.d, panelColumns));
  const outer = fn.let(roundedUp(call.dv, panelColumns));
  const valuePanel = fn.let(times(call.tileKeys, panelBytes));
  const [rows, seen, last, first, n] = [0, 1, 2, 3, 4].map(() => fn.local('i32')) as Five;
  const [k, v, row, limit, width] = [0, 1, 2, 3, 4].map(() => fn.local('i32')) as Five;
  const zero = i32.const(0);
  const eighth = (x: I32): I32 => i32.shrUnsigned(x, i32.const(3));

  /** Four queries from `row` on over the tile from `first` on, of which the first one sees `limit` keys. */
  const strip = (): void => {
    const of = (base: I32): I32 => plus(base, times(row, 4));
    const lines = (base: I32): I32 => plus(base, times(row, panelBytes));
    fn.set(limit, plus(i32.sub(seen, first), times(call.causal, row)));
    fn.set(width, roundedUp(least(plus(limit, times(call.causal, 3)), n), panelColumns));
    fn.do(
      perform(
        multiply,
        lines(queries),
        keyTile,
        scores,
        eighth(width),
        eighth(inner),
        call.panelStep,
        times(inner, panelBytes),
        i32.const(panelBytes),
        zero,
      ),
    );
    fn.if(item.mask, () => {
      const place = plus(plus(item.mask, times(row, call.stepMask)), times(first, call.maskKeys));
      const after = i32.sub(plus(rows, -1), row);
      fn.do(perform(mask, scores, place, call.stepMask, call.maskKeys, width, after));
    });
    // The last tile ends where the last query's keys end, so that `limit` tells its width as well.
    fn.if(i32.lt(limit, width), () => fn.do(perform(hide, scores, limit, call.causal, width)));
    const vectors = i32.shrUnsigned(width, i32.const(2));
    fn.do(perform(softmax, scores, vectors, of(maxima), of(sums), of(factors)));
    fn.do(
      perform(
        weigh,
        scores,
        valueTile,
        lines(outputs),
        eighth(outer),
        i32.shrUnsigned(width, i32.const(1)),
        zero,
        valuePanel,
        call.panelStep,
        select(first, of(factors), zero),
      ),
    );
  };

  fn.times(p.count, () => {
    fn.set(rows, item.queries);
    fn.set(seen, item.seen);
    const whole = roundedUp(rows, queriesAtOnce);
    const vectors = i32.shrUnsigned(plus(rows, 3), i32.const(2));
    fn.do(
      perform(packLines, item.q, queries, rows, whole, call.d, call.stepQ, call.panelStep, factor('scale')),
    );
    fn.do(perform(fill, maxima, vectors, f32.const(lowest)));
    fn.do(perform(fill, sums, vectors, f32.const(0)));
    fn.set(last, least(call.keys, plus(seen, times(call.causal, plus(rows, -1)))));
    fn.set(k, item.k);
    fn.set(v, item.v);
    fn.set(first, zero);
    fn.loop((next) => {
      fn.set(n, least(call.tileKeys, i32.sub(last, first)));
      const lines = roundedUp(n, panelColumns);
      fn.do(perform(packColumns, k, keyTile, n, call.d, inner, call.stepK));
      fn.do(perform(packLines, v, valueTile, n, lines, call.dv, call.stepV, valuePanel, factor('one')));
      // The first four queries of which one sees something here.
      fn.set(row, i32.and(plus(i32.sub(first, seen), 1), i32.const(-queriesAtOnce)));
      fn.set(row, select(i32.gt(row, zero), row, zero));
      fn.loop((again) => {
        strip();
        fn.advance(row, queriesAtOnce);
        fn.branchIf(again, i32.lt(row, rows));
      });
      fn.advance(k, times(call.tileKeys, call.stepK));
      fn.advance(v, times(call.tileKeys, call.stepV));
      fn.advance(first, call.tileKeys);
      fn.branchIf(next, i32.lt(first, last));
    });
    const target = plus(item.y, times(call.dv, 4));
    fn.do(perform(finish, maxima, sums, factors, target, call.stepY, rows));
    fn.do(
      perform(
        unpackLines,
        outputs,
        item.y,
        rows,
        call.dv,
        call.panelStep,
        call.stepY,
        factors,
        i32.const(4),
        zero,
      ),
    );
    fn.advance(p.items, forwardItem.bytes);
  });
  return { fill, packLines, unpackLines, finish };
}

type Local = ReturnType<typeof parameters<['x']>>['x'];
type Five = [Local, Local, Local, Local, Local];
