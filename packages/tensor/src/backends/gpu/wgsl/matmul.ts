/**
 * Matrix products in WGSL: a workgroup computes a tile of the result, each of its threads a block of it in registers,
 * from tiles of both operands that it has copied to shared memory. gpu.js can say none of this.
 */

/** A matrix of a batch: where element (batch, i, j) lies is Σ batch · strides + i · row + j · column. */
export interface Operand {
  readonly row: number;
  readonly column: number;
  /** One for each axis of the batch. */
  readonly batch: readonly number[];
  /** Whether it starts at a multiple of four. */
  readonly aligned: boolean;
}

export interface Problem {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: readonly number[];
  readonly a: Operand;
  readonly b: Operand;
}

/** How a product is cut up. */
export interface Cut {
  /** Threads along each side of a tile. */
  readonly threads: number;
  /** Rows and columns of a thread's block: 4 or 8. */
  readonly block: number;
  /** How far a tile reaches along the inner axis. */
  readonly depth: number;
  /** Into how many stretches the inner axis is parted. Each gives a result of its own: their sum is the product. */
  readonly parts: number;
}

export interface Printed {
  readonly wgsl: string;
  readonly workgroups: readonly [number, number, number];
  /** Elements written: parts · batch · m · n. */
  readonly length: number;
}

const count = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
const u = (value: number): string => `${value}u`;

const cuts: readonly Omit<Cut, 'parts'>[] = [
  { threads: 16, block: 8, depth: 8 },
  { threads: 16, block: 4, depth: 16 },
  { threads: 8, block: 4, depth: 16 },
];
/** Workgroups that keep a GPU busy. */
const busy = 128;
/** A stretch of the inner axis that is worth a workgroup. */
const stretch = 256;

/** The largest tiles of which there are enough; where even small ones are few, the inner axis is parted. */
export function cutOf({ m, n, k, batch }: Problem): Cut {
  const tiles = ({ threads, block }: Omit<Cut, 'parts'>): number =>
    Math.ceil(m / (threads * block)) * Math.ceil(n / (threads * block)) * count(batch);
  const cut = cuts.find((one) => tiles(one) >= busy) ?? cuts.at(-1)!;
  const parts = Math.max(1, Math.min(Math.floor(k / stretch), Math.floor(busy / tiles(cut))));
  return { ...cut, parts };
}

const range = (size: number): number[] => Array.from({ length: size }, (_, i) => i);
/** Σ of what is not 0. */
const sum = (terms: readonly (string | false)[]): string => terms.filter(Boolean).join(' + ') || '0u';
const times = (name: string, stride: number): string | false =>
  stride !== 0 && (stride === 1 ? name : `${name} * ${u(stride)}`);
const all = (conditions: readonly (string | false)[]): string => conditions.filter(Boolean).join(' && ');
/** A value where conditions hold, else zeros. */
const guarded = (read: string, zero: string, conditions: string): string =>
  conditions === '' ? read : `select(${zero}, ${read}, ${conditions})`;
const components = ['x', 'y', 'z', 'w'] as const;

/** The kernel of a product; its numbers are where a and b start. */
export function printMatmul(problem: Problem, cut: Cut): Printed {
  const { m, n, batch } = problem;
  const side = cut.threads * cut.block;
  const results = count(batch) * cut.parts;
  return {
    wgsl: new Printer(problem, cut).text(),
    workgroups: [Math.ceil(n / side), Math.ceil(m / side), results],
    length: results * m * n,
  };
}

class Printer {
  readonly problem: Problem;
  readonly cut: Cut;
  /** Of a tile, in elements and in quadruples. */
  readonly side: number;
  readonly wide: number;
  /** Quadruples on the side of a block. */
  readonly quads: readonly number[];
  /** Rows of a block. */
  readonly rows: readonly number[];

  constructor(problem: Problem, cut: Cut) {
    this.problem = problem;
    this.cut = cut;
    this.side = cut.threads * cut.block;
    this.wide = this.side / 4;
    this.quads = range(cut.block / 4);
    this.rows = range(cut.block);
  }

  text(): string {
    const { problem, cut, side, wide, quads, rows } = this;
    const { m, n, k, batch } = problem;
    const { threads, depth, parts } = cut;
    const each = depth * Math.ceil(k / parts / depth);
    const elements = (quadruple: boolean): string => (quadruple ? 'vec4<f32>' : 'f32');
    const sums = rows.flatMap((i) => quads.map((j) => `var c${i}_${j} = vec4<f32>();`));
    return `
@group(0) @binding(0) var<storage, read> a: array<${elements(this.quadrupled('a'))}>;
@group(0) @binding(1) var<storage, read> b: array<${elements(this.quadrupled('b'))}>;
@group(0) @binding(2) var<storage, read_write> c: array<${elements(n % 4 === 0)}>;
@group(0) @binding(3) var<uniform> start: vec4<u32>;
var<workgroup> tile_a: array<vec4<f32>, ${wide * depth}>;
var<workgroup> tile_b: array<vec4<f32>, ${wide * depth}>;

@compute @workgroup_size(${threads}, ${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>,
        @builtin(local_invocation_index) index: u32) {
  ${this.bases()}
  let begin = (group.z / ${u(count(batch))}) * ${u(each)};
  let end = min(begin + ${u(each)}, ${u(k)});
  ${sums.join(' ')}
  for (var k0 = begin; k0 < end; k0 += ${u(depth)}) {
    ${this.copy('a', `group.y * ${u(side)}`)}
    ${this.copy('b', `group.x * ${u(side)}`)}
    workgroupBarrier();
    for (var q = 0u; q < ${u(depth)}; q++) {
      ${this.multiply()}
    }
    workgroupBarrier();
  }
  let row = group.y * ${u(side)} + local.y * 4u;
  let column = group.x * ${u(side)} + local.x * 4u;
  let base = group.z * ${u(m * n)};
  ${rows.flatMap((i) => quads.map((j) => this.store(i, j))).join('\n  ')}
}`;
  }

  /** Of an operand: the strides along the result's side and along the inner axis, and the size of that side. */
  strides(name: 'a' | 'b'): { along: number; inner: number; size: number } {
    const { a, b, m, n } = this.problem;
    return name === 'a'
      ? { along: a.row, inner: a.column, size: m }
      : { along: b.column, inner: b.row, size: n };
  }

  /** Whether an operand can be read four elements at a time along the result's side. */
  quadrupled(name: 'a' | 'b'): boolean {
    const { along, inner, size } = this.strides(name);
    const { batch, aligned } = this.problem[name];
    return along === 1 && [size, inner, ...batch].every((value) => value % 4 === 0) && aligned;
  }

  /** Where the matrices of this workgroup start. */
  bases(): string {
    const { batch, a, b } = this.problem;
    const lines = [`var left = group.z % ${u(count(batch))};`];
    const starts = { a: ['start.x'], b: ['start.y'] };
    for (let axis = batch.length - 1; axis >= 0; axis--) {
      lines.push(`let at${axis} = left % ${u(batch[axis]!)};`, `left /= ${u(batch[axis]!)};`);
      for (const name of ['a', 'b'] as const) {
        const term = times(`at${axis}`, { a, b }[name].batch[axis]!);
        if (term) starts[name].push(term);
      }
    }
    lines.push(`let base_a = ${starts.a.join(' + ')};`, `let base_b = ${starts.b.join(' + ')};`);
    return lines.join('\n  ');
  }

  /**
   * Copies a tile to shared memory, as quadruples along the result's side for each place along the inner axis, zeros beyond the
   * matrix. Neighbouring threads read neighbouring elements.
   */
  copy(name: 'a' | 'b', first: string): string {
    const { wide, cut, side, problem } = this;
    const { depth, threads } = cut;
    const { along, inner, size } = this.strides(name);
    const insideInner = problem.k % depth !== 0 && 'i < end';
    const insideSide = (shift: number): string | false => size % side !== 0 && `s + ${shift}u < ${u(size)}`;
    const at = (shift: number): string =>
      sum([`base_${name}`, times('i', inner), times(`(s + ${shift}u)`, along)]);
    const one = (shift: number): string =>
      guarded(`${name}[${at(shift)}]`, '0.0', all([insideInner, insideSide(shift)]));
    const four = this.quadrupled(name)
      ? guarded(`${name}[(${at(0)}) / 4u]`, 'vec4<f32>()', all([insideInner, insideSide(0)]))
      : `vec4<f32>(${range(4).map(one).join(', ')})`;
    const place =
      inner === 1 && along !== 1
        ? `let q = e % ${u(depth)}; let w = e / ${u(depth)};`
        : `let w = e % ${u(wide)}; let q = e / ${u(wide)};`;
    return `for (var e = index; e < ${u(wide * depth)}; e += ${u(threads * threads)}) {
      ${place}
      let s = ${first} + w * 4u; let i = k0 + q;
      tile_${name}[q * ${u(wide)} + w] = ${four};
    }`;
  }

  /** Adds the products at one place along the inner axis. Quadruples of one thread lie apart: neighbours read neighbouring ones. */
  multiply(): string {
    const { quads, rows, wide, cut } = this;
    const read = (name: string, local: string, i: number): string =>
      `tile_${name}[q * ${u(wide)} + ${local} + ${u(i * cut.threads)}];`;
    return [
      ...quads.map((i) => `let x${i} = ${read('a', 'local.y', i)}`),
      ...quads.map((j) => `let y${j} = ${read('b', 'local.x', j)}`),
      ...rows.flatMap((i) => quads.map((j) => `c${i}_${j} += x${i >> 2}.${components[i & 3]} * y${j};`)),
    ].join('\n      ');
  }

  /** Writes four elements of the i-th row of the block. */
  store(i: number, j: number): string {
    const { side, cut, problem } = this;
    const { m, n } = problem;
    const row = `row + ${u((i >> 2) * cut.threads * 4 + (i & 3))}`;
    const column = `column + ${u(j * cut.threads * 4)}`;
    const at = `base + (${row}) * ${u(n)} + ${column}`;
    const inside = m % side !== 0 && `${row} < ${u(m)}`;
    const put = (guard: string, line: string): string => (guard === '' ? line : `if (${guard}) { ${line} }`);
    if (n % 4 === 0)
      return put(all([inside, n % side !== 0 && `${column} < ${u(n)}`]), `c[(${at}) / 4u] = c${i}_${j};`);
    return range(4)
      .map((l) =>
        put(
          all([inside, `${column} + ${u(l)} < ${u(n)}`]),
          `c[${at} + ${u(l)}] = c${i}_${j}.${components[l]};`,
        ),
      )
      .join('\n  ');
  }
}
