/**
 * The macro-kernel: takes the micro-kernel over a block of C. (The scheme of Goto and van de Geijn, doi
 * 10.1145/1356052.1356053, but that rows of A are read where they are, if they lie well.)
 */
import {
  allI32,
  i32,
  parameters,
  perform,
  select,
  type FunctionBuilder,
  type I32,
  type Local,
  type ModuleBuilder,
} from '../assembler/index.ts';
import { buildPackB, buildPanel, eachDepth, type PackMode } from './pack.ts';
import { blocking, type TileShape } from './shape.ts';
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

const blockParameters = [
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
  const fn = module.function(`some rows ${edge}`, allI32([...tileParameters, 'height']));
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

/** How rows are divided: into so many full tiles, and so that no small one is left, two more of about one height (or 0). */
interface Division {
  readonly tiles: Local<'i32'>;
  readonly rest: readonly [Local<'i32'>, Local<'i32'>];
}

function divide(fn: FunctionBuilder, shape: TileShape): Division & { set: (rows: I32) => void } {
  const [tiles, high, low] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const height = i32.const(shape.rows);
  return {
    tiles,
    rest: [high, low],
    set: (rows) => {
      fn.set(tiles, i32.div(rows, height));
      fn.set(low, i32.sub(rows, i32.mul(tiles, height)));
      // One full tile goes together with what is left.
      fn.if(i32.and(i32.ne(tiles, i32.const(0)), i32.ne(low, i32.const(0))), () => {
        fn.advance(tiles, -1);
        fn.advance(low, shape.rows);
      });
      const half = i32.div(i32.add(low, i32.const(1)), i32.const(2));
      fn.set(high, select(i32.gt(low, height), half, low));
      fn.set(low, i32.sub(low, high));
    },
  };
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
  const fn = module.function('block', allI32(blockParameters));
  const p = parameters(fn, blockParameters);
  const [count, columns] = [fn.local('i32'), fn.local('i32')];
  const [a, b, c, panelC] = [fn.local('i32'), fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const division = divide(fn, shape);
  const bytes = i32.const(shape.bytes);
  const panelBytes = i32.const(shape.columns * shape.bytes);
  const rowA = packA ? fn.let(i32.mul(p.inner, bytes)) : p.lineA;
  const panelB = right === 'direct' ? panelBytes : fn.let(i32.mul(p.inner, panelBytes));
  const sweep = (edge: Edge): void => {
    const args = (count: I32, height: I32): TileArguments => ({
      a,
      b,
      c,
      tiles: count,
      inner: p.inner,
      rowA,
      stepA: packA ? i32.mul(height, bytes) : p.innerA,
      stepB: p.innerB,
      stepC: p.stepC,
      add: p.add,
      columns,
    });
    const advance = (rows: I32): void => {
      fn.advance(a, i32.mul(rowA, rows));
      fn.advance(c, i32.mul(p.stepC, rows));
    };
    const { full, some } = tiles[edge];
    fn.set(a, packA ? p.scratch : p.a);
    fn.set(c, panelC);
    fn.if(division.tiles, () => {
      const named = args(division.tiles, i32.const(shape.rows));
      fn.do(perform(full, ...tileParameters.map((name) => named[name])));
      advance(i32.mul(division.tiles, i32.const(shape.rows)));
    });
    for (const height of division.rest)
      fn.if(height, () => {
        fn.do(some(height, args(i32.const(1), height)));
        advance(height);
      });
  };
  fn.loop((again) => {
    fn.set(count, select(i32.lt(p.rows, i32.const(blocking.rows)), p.rows, i32.const(blocking.rows)));
    division.set(count);
    if (packA) packRows(fn, shape, packA, panels, p, division);
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

/** Packs rows of A, in panels as high as the tiles that read them. */
function packRows(
  fn: FunctionBuilder,
  shape: TileShape,
  mode: PackMode,
  panels: readonly FunctionBuilder[],
  p: Locals<'a' | 'inner' | 'lineA' | 'innerA' | 'scratch'>,
  { tiles, rest }: Division,
): void {
  const [left, from, to] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  eachDepth(fn, mode, p.inner, (done, depth) => {
    const pack = (height: number): void => {
      const target = i32.add(to, i32.mul(done, i32.const(height * shape.bytes)));
      fn.do(perform(panels[height - 1]!, from, target, depth, p.lineA, p.innerA, i32.const(height)));
      fn.advance(from, i32.mul(p.lineA, i32.const(height)));
      fn.advance(to, i32.mul(p.inner, i32.const(height * shape.bytes)));
    };
    fn.set(left, tiles);
    fn.set(from, i32.add(p.a, i32.mul(p.innerA, done)));
    fn.set(to, p.scratch);
    fn.times(left, () => pack(shape.rows));
    for (const height of rest)
      panels.forEach((_, i) => fn.if(i32.eq(height, i32.const(i + 1)), () => pack(i + 1)));
  });
}

const productsParameters = [
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
  const fn = module.function('products', allI32(productsParameters));
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
