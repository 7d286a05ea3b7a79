/** What comes out wrong on GPUs, or through gpu.js, and must not here. Numbers are those of the list of traps. */
import {
  apply,
  arange,
  BackendError,
  concat,
  fromData,
  getBackend,
  IndexError,
  ones,
  opNames,
  openScope,
  recordOf,
  tensor,
  zeros,
  type OpName,
  type Tensor,
} from '@infinigrad/tensor';
import { fails, ok, reads, same } from './check.ts';
import type { Trap } from './trap.ts';

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

export const valueTraps: readonly Trap[] = [
  {
    name: '1: tensors of more elements than are counted exactly are refused, as many are right to the last',
    async run({ gpu }) {
      const many = gpu.limits.elements;
      await fails(() => zeros([many + 1]).clone(), BackendError, /is too large: this GPU takes/);
      const side = Math.floor(Math.sqrt(many));
      const square = arange(0, side * side, 1, { dtype: 'f32' }).reshape([side, side]);
      const turned = square.transpose().clone();
      const corner = turned.slice([
        [side - 2, side, 1],
        [side - 1, side, 1],
      ]);
      await reads(corner, [side * side - 2, side * side - 1]);
    },
  },
  {
    name: '2: whole numbers are divided exactly',
    async run() {
      const n = 2 ** 12;
      const x = arange(-n, n);
      for (const d of [3, 7, -7, 49, 1000]) {
        const quotients = count(2 * n).map((i) => Math.floor((i - n) / d));
        await reads(x.floorDivide(d), quotients);
        await reads(
          x.fmod(d),
          count(2 * n).map((i) => (i - n) % d),
        );
      }
      await reads(
        arange(0, 3 * 5 * 7, 1, { dtype: 'f32' })
          .reshape([3, 5, 7])
          .permute([2, 0, 1])
          .clone(),
        count(105).map(
          (i) => ((i % 15) / 5 >= 0 ? Math.floor((i % 15) / 5) : 0) * 35 + (i % 5) * 7 + Math.floor(i / 15),
        ),
      );
    },
  },
  {
    name: '3: a kernel for each shape',
    async run() {
      for (const n of [4, 9, 16, 2, 4, 7, 9])
        await reads(
          arange(0, n, 1, { dtype: 'f32' }).mul(2),
          count(n).map((i) => 2 * i),
        );
      // Of one text and as many threads, on textures of other sides.
      for (const n of [4, 9, 25, 100, 4])
        await reads(arange(0, n, 1, { dtype: 'f32' }).clone().narrow(0, 0, 4).mul(3), [0, 3, 6, 9]);
    },
  },
  {
    name: '4, 5: NaN and the infinities are known, and come through',
    async run() {
      const x = tensor([NaN, Infinity, -Infinity, 1]);
      await reads(x.isNaN(), [1, 0, 0, 0]);
      await reads(x.isFinite(), [0, 0, 0, 1]);
      await reads(x.isInf(), [0, 1, 1, 0]);
      await reads(x.clone(), [NaN, Infinity, -Infinity, 1]);
      await reads(x.relu(), [NaN, Infinity, 0, 1]);
      await reads(x.maximum(0), [NaN, Infinity, 0, 1]);
      await reads(x.max(), [NaN]);
      await reads(x.exp(), [NaN, Infinity, 0, Math.E], 1e-5);
      await reads(tensor([0, -1, Infinity, NaN]).log(), [-Infinity, NaN, Infinity, NaN]);
      await reads(tensor([-1, NaN]).sqrt(), [NaN, NaN]);
      await reads(tensor([1, NaN, 3]).argMax(), [1]);
      await reads(tensor([1, NaN, 3]).eq(NaN), [0, 0, 0]);
      await reads(tensor([[-Infinity, 0, -Infinity]]).softmax(), [0, 1, 0]);
      await reads(x.isNaN().where(-Infinity, 2), [-Infinity, 2, 2, 2]);
    },
  },
  {
    name: '5: functions of NaN are NaN where they are so on the reference',
    async run() {
      const there = getBackend('gpu');
      const wrong: string[] = [];
      let tried = 0;
      const given = [
        [NaN, 0.5, NaN, 0.5],
        [0.5, NaN, NaN, 0.5],
        [0.5, 0.5, 0.5, 0.5],
      ].map((row) => Float32Array.from(row));
      const on = (backend: string, op: OpName, count: number): Tensor =>
        apply(
          op,
          given.slice(0, count).map((row) => fromData(row, [4], { backend: getBackend(backend) })),
        );
      for (const op of opNames) {
        if (recordOf(op).kind !== 'elementwise' || there.lacks(op, 'f32') !== null) continue;
        for (const inputs of [1, 2, 3]) {
          let expected: ArrayLike<number>;
          try {
            expected = on('js', op, inputs).dataSync();
          } catch {
            // It takes another number of tensors.
            continue;
          }
          tried++;
          const actual = await on('gpu', op, inputs).data();
          if (actual.some((x, i) => Number.isNaN(x) !== Number.isNaN(expected[i])))
            wrong.push(`${op} ${Array.from(actual)} instead of ${Array.from(expected)}`);
          break;
        }
      }
      ok(tried > 60, `${tried} functions were tried`);
      ok(wrong.length === 0, wrong.join(', '));
    },
  },
  {
    name: '6: tanh far out, log1p and its kin near zero, sin far out',
    async run() {
      await reads(tensor([1000, -1000, 0]).tanh(), [1, -1, 0]);
      const tiny = 1e-6;
      for (const f of ['log1p', 'expm1', 'tanh', 'sinh', 'asinh', 'atanh', 'sin'] as const)
        await reads(tensor([tiny])[f]().div(tiny), [Math[f](tiny) / tiny], 1e-5);
      const far = [100, 1000.5, -5000];
      await reads(tensor(far).sin(), far.map(Math.sin), 1e-4);
    },
  },
  {
    name: '7: powers of negative numbers',
    async run() {
      await reads(tensor([-2, -2, 2]).pow(tensor([3, 2, -1])), [-8, 4, 0.5], 1e-5);
      await reads(tensor([-2, 3]).pow(3), [-8, 27]);
      await reads(tensor([0, 0, -2]).pow(tensor([0, 2, 0.5])), [1, 0, NaN]);
    },
  },
  {
    name: '8: loops go to their end',
    async run() {
      await reads(ones([5000]).clone().sum(), [5000]);
      await reads(ones([3, 2500]).clone().sum(1), [2500, 2500, 2500]);
      await reads(
        ones([1, 3000])
          .clone()
          .matmul(ones([3000, 1]).clone()),
        [3000],
      );
      same([(await ones([3000]).clone().cumsum().data()).at(-1)!], [3000]);
      const same3000 = zeros([3000], { dtype: 'i32' });
      await reads(zeros([2]).indexAdd(0, same3000, ones([3000])), [3000, 0]);
    },
  },
  {
    name: '9: loops whose bounds are computed',
    async run() {
      const index = tensor([1, 1, 1, 0], { dtype: 'i32' });
      await reads(zeros([2, 3]).indexAdd(0, index, ones([4, 3])), [1, 1, 1, 3, 3, 3]);
      const table = arange(0, 6, 1, { dtype: 'f32' }).reshape([3, 2]);
      await reads(table.indexSelect(0, tensor([2, 0, 2], { dtype: 'i32' })), [4, 5, 0, 1, 4, 5]);
    },
  },
  {
    name: '10: more arrays than a kernel reads',
    async run({ gpu }) {
      ok(gpu.limits.inputs === 7, `a kernel reads ${gpu.limits.inputs} arrays`);
      const parts = count(40).map((i) => fromData(new Float32Array([i, 2 * i]), [2]));
      const inner = openScope({ fuse: true });
      const tree = (list: readonly Tensor[]): Tensor => {
        if (list.length === 1) return list[0]!;
        const half = Math.ceil(list.length / 2);
        return tree(list.slice(0, half)).add(tree(list.slice(half)));
      };
      const total = tree(parts).data();
      inner.close();
      same(await total, [780, 1560]);
      await reads(
        concat(parts),
        count(40).flatMap((i) => [i, 2 * i]),
      );
    },
  },
  {
    name: '11: tensors of more elements than textures hold are refused, as many are right',
    modes: ['webgl2'],
    side: 64,
    async run({ gpu }) {
      const most = gpu.limits.elements;
      ok(most > 62 ** 2 && most <= 64 ** 2, `textures of 64 × 64 are said to hold ${most}`);
      await fails(() => ones([most + 1]).clone(), BackendError, /is too large: this GPU takes/);
      for (let n = most; n > most - 130; n--) await reads(ones([n]).clone().mul(2).sum(), [2 * n]);
    },
  },
  {
    name: '12: indices out of range are found on the host, also those that were computed',
    async run() {
      const x = arange(1, 7, 1, { dtype: 'f32' }).reshape([3, 2]);
      await fails(() => x.indexSelect(0, tensor([3], { dtype: 'i32' })), IndexError, /index 3/);
      await fails(() => x.gather(0, tensor([[-1, 0]], { dtype: 'i32' })), IndexError, /index -1/);
      const computed = tensor([0, 1], { dtype: 'i32' }).add(1);
      await reads(x.indexSelect(0, computed), [3, 4, 5, 6]);
      const wrong = x.indexSelect(0, computed.add(1)).add(1);
      await fails(() => wrong.data(), IndexError, /indexSelect: index 3 is out of range/);
    },
  },
  {
    name: 'windows of a tensor are read from where they start',
    async run() {
      const x = arange(0, 1000, 1, { dtype: 'f32' });
      for (const [start, length] of [
        [0, 1],
        [31, 2],
        [500, 499],
        [999, 1],
      ] as const)
        await reads(
          x.narrow(0, start, length),
          count(length).map((i) => start + i),
        );
    },
  },
];
