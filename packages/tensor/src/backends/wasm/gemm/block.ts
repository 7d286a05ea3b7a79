/**
 * The macro-kernel: takes the micro-kernel over a block of C. (The scheme of Goto and van de Geijn, doi
 * 10.1145/1356052.1356053, but that rows of A are read where they are, if they lie well.)
 */
import {
  i32,
  perform,
  select,
  type FunctionBuilder,
  type I32,
  type Local,
  type ModuleBuilder,
} from '../assembler/index.ts';
import { buildPackB, buildPanel, type PackMode } from './pack.ts';
import { allI32, blocking, parameters, type TileShape } from './shape.ts';
import { buildTile, tileParameters, type Edge } from './tile.ts';

/** How A is read, and how it is packed before, if it is. */
export const leftAccesses = ['along', 'side', 'pack side', 'pack any'] as const;
export type LeftAccess = (typeof leftAccesses)[number];
/** How B is read, and how it is packed before, if it is. */
export const rightAccesses = ['direct', 'pack side', 'pack along', 'pack any'] as const;
export type RightAccess = (typeof rightAccesses)[number];

const packingOf = (access: LeftAccess | RightAccess): PackMode | null =>
  access.startsWith('pack ') ? (access.slice(5) as PackMode) : null;

type Locals<Names extends string> = Readonly<Record<Names, Local<'i32'>>>;
type TileArguments = Readonly<Record<(typeof tileParameters)[number], I32>>;

/** The module of one shape and one way to read the operands: functions `packB` (where B is packed), `block`, `products`. */
export function buildGemm(
  module: ModuleBuilder,
  shape: TileShape,
  left: LeftAccess,
  right: RightAccess,
): void {
  const packB = packingOf(right);
  const packer = packB && buildPackB(module, shape, packB);
  const block = buildBlock(module, shape, left, right);
  buildProducts(module, block, packer);
}

export const blockParameters = [
  'a',
  'b',
  'c',
  'rows',
  'columns',
  'inner',
  'lineA',
  'innerA',
  'innerB',
  'stepC',
  'add',
  'scratch',
] as const;

/** Calls the function that is made for so many rows, 1 … shape.rows. */
type ByHeight = (height: I32, args: TileArguments) => ReturnType<typeof perform>;

function buildTiles(
  module: ModuleBuilder,
  shape: TileShape,
  left: LeftAccess,
  right: RightAccess,
  edge: Edge,
): { full: FunctionBuilder; some: ByHeight } {
  const tiles = Array.from({ length: shape.rows }, (_, i) =>
    buildTile(module, shape, {
      rows: i + 1,
      left: left === 'along' ? 'along' : 'side',
      right: right === 'direct' ? 'direct' : 'packed',
      edge,
    }),
  );
  const fn = module.function(`some rows ${edge}`, allI32(tileParameters.length + 1));
  const args = tileParameters.map((_, i) => fn.param(i, 'i32'));
  const height = fn.param(tileParameters.length, 'i32');
  tiles
    .toReversed()
    .forEach((tile, i) =>
      fn.if(i32.eq(height, i32.const(shape.rows - i)), () => fn.do(perform(tile, ...args))),
    );
  return {
    full: tiles.at(-1)!,
    some: (h, named) => perform(fn, ...tileParameters.map((name) => named[name]), h),
  };
}

/**
 * Calls `body` for tile after tile of `left` rows, which are used up: full ones, and so that no small one is left, the last
 * two of about one height.
 */
function eachTile(
  fn: FunctionBuilder,
  shape: TileShape,
  left: Local<'i32'>,
  full: () => void,
  some: (height: I32) => void,
): void {
  const enough = i32.ge(left, i32.const(2 * shape.rows));
  fn.if(enough, () =>
    fn.loop((again) => {
      full();
      fn.advance(left, -shape.rows);
      fn.branchIf(again, enough);
    }),
  );
  const height = fn.local('i32');
  fn.loop((again) => {
    const half = i32.div(i32.add(left, i32.const(1)), i32.const(2));
    fn.set(height, select(i32.gt(left, i32.const(shape.rows)), half, left));
    some(height);
    fn.set(left, i32.sub(left, height));
    fn.branchIf(again, left);
  });
}

/**
 * block(a, b, c, rows, columns, inner, row step of A, inner step of A, inner step of B (where it is not packed), row step of C,
 * add to C, scratch memory for packed rows of A): rows, columns and inner ≥ 1; steps in bytes.
 */
function buildBlock(
  module: ModuleBuilder,
  shape: TileShape,
  left: LeftAccess,
  right: RightAccess,
): FunctionBuilder {
  const packA = packingOf(left);
  const panels = packA
    ? Array.from({ length: shape.rows }, (_, i) =>
        buildPanel(module, shape, `panel of A ${i + 1}`, i + 1, packA),
      )
    : [];
  const tiles = {
    full: buildTiles(module, shape, left, right, 'full'),
    wide: buildTiles(module, shape, left, right, 'wide'),
    half: buildTiles(module, shape, left, right, 'half'),
  };
  const fn = module.function('block', allI32(blockParameters.length));
  const p = parameters(fn, blockParameters);
  const [count, left_, columns] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const [a, b, c, panelC] = [fn.local('i32'), fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const bytes = i32.const(shape.bytes);
  const panelBytes = i32.const(shape.columns * shape.bytes);
  const rowA = packA ? fn.let(i32.mul(p.inner, bytes)) : p.lineA;
  const panelB = right === 'direct' ? panelBytes : fn.let(i32.mul(p.inner, panelBytes));
  const sweep = (edge: Edge): void => {
    const { full, some } = tiles[edge];
    const args = (height: I32): TileArguments => ({
      a,
      b,
      c,
      inner: p.inner,
      stepA: packA ? i32.mul(height, bytes) : left === 'along' ? p.lineA : p.innerA,
      stepB: p.innerB,
      stepC: p.stepC,
      add: p.add,
      columns,
    });
    const advance = (height: I32): void => {
      fn.advance(a, i32.mul(rowA, height));
      fn.advance(c, i32.mul(p.stepC, height));
    };
    fn.set(left_, count);
    fn.set(a, packA ? p.scratch : p.a);
    fn.set(c, panelC);
    eachTile(
      fn,
      shape,
      left_,
      () => {
        const height = i32.const(shape.rows);
        const named = args(height);
        fn.do(perform(full, ...tileParameters.map((name) => named[name])));
        advance(height);
      },
      (height) => {
        fn.do(some(height, args(height)));
        advance(height);
      },
    );
  };
  fn.loop((again) => {
    fn.set(count, select(i32.lt(p.rows, i32.const(blocking.rows)), p.rows, i32.const(blocking.rows)));
    if (packA) packRows(fn, shape, panels, p, count, [left_, a, c]);
    fn.set(columns, p.columns);
    fn.set(b, p.b);
    fn.set(panelC, p.c);
    fn.steps(columns, shape.columns, () => {
      sweep('full');
      fn.advance(b, panelB);
      fn.advance(panelC, panelBytes);
    });
    fn.if(columns, () =>
      fn.if(
        i32.gt(columns, i32.const(shape.lanes)),
        () => sweep('wide'),
        () => sweep('half'),
      ),
    );
    fn.advance(p.a, i32.mul(count, p.lineA));
    fn.advance(p.c, i32.mul(count, p.stepC));
    fn.set(p.rows, i32.sub(p.rows, count));
    fn.branchIf(again, p.rows);
  });
  return fn;
}

/** Packs `count` rows of A, in panels as high as the tiles that read them. */
function packRows(
  fn: FunctionBuilder,
  shape: TileShape,
  panels: readonly FunctionBuilder[],
  p: Locals<'a' | 'inner' | 'lineA' | 'innerA' | 'scratch'>,
  count: Local<'i32'>,
  [left, source, target]: readonly [Local<'i32'>, Local<'i32'>, Local<'i32'>],
): void {
  fn.set(left, count);
  fn.set(source, p.a);
  fn.set(target, p.scratch);
  const pack = (panel: FunctionBuilder, height: I32): void => {
    fn.do(perform(panel, source, target, p.inner, p.lineA, p.innerA, height));
    fn.advance(source, i32.mul(p.lineA, height));
    fn.advance(target, i32.mul(i32.mul(p.inner, i32.const(shape.bytes)), height));
  };
  eachTile(
    fn,
    shape,
    left,
    () => pack(panels.at(-1)!, i32.const(shape.rows)),
    (height) => {
      panels.forEach((panel, i) =>
        fn.if(i32.eq(height, i32.const(i + 1)), () => pack(panel, i32.const(i + 1))),
      );
    },
  );
}

export const productsParameters = [
  'count',
  'a',
  'b',
  'c',
  'batchA',
  'batchB',
  'batchC',
  'rows',
  'columns',
  'inner',
  'lineA',
  'innerA',
  'lineB',
  'innerB',
  'stepC',
  'scratchA',
  'scratchB',
] as const;

/**
 * products(count, a, b, c, steps from product to product, rows, columns, inner, steps within the matrices, scratch memory):
 * whole products, one after another.
 */
function buildProducts(module: ModuleBuilder, block: FunctionBuilder, packB: FunctionBuilder | null): void {
  const fn = module.function('products', allI32(productsParameters.length));
  const p = parameters(fn, productsParameters);
  const pack = fn.let(i32.const(1));
  fn.times(p.count, () => {
    if (packB)
      fn.if(pack, () => fn.do(perform(packB, p.b, p.scratchB, p.columns, p.inner, p.lineB, p.innerB)));
    fn.do(
      perform(
        block,
        p.a,
        packB ? p.scratchB : p.b,
        p.c,
        p.rows,
        p.columns,
        p.inner,
        p.lineA,
        p.innerA,
        p.innerB,
        p.stepC,
        i32.const(0),
        p.scratchA,
      ),
    );
    fn.advance(p.a, p.batchA);
    fn.advance(p.b, p.batchB);
    fn.advance(p.c, p.batchC);
    // One B for all is packed once.
    fn.set(pack, p.batchB);
  });
}
