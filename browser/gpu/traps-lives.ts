/** What lives too long, too short, or somewhere else: kernels, textures, the GPU itself. */
import {
  BackendError,
  DisposedError,
  fromData,
  getBackend,
  ir,
  memoryStats,
  ones,
  openScope,
  scope,
  Storage,
  tensor,
  Tensor,
} from '@infinigrad/tensor';
import type { Mode } from '@infinigrad/tensor/gpu';
import { fails, ok, reads, same } from './check.ts';
import type { Bench, Trap } from './trap.ts';

const webgl: readonly Mode[] = ['webgl2', 'headlessgl'];

interface Handle {
  readonly length: number;
}

/** The backend's device, as far as traps are set for it. */
interface Device {
  compile(source: string, grid: readonly number[], arrays: readonly number[], numbers: number): object;
  launch(kernel: object, arrays: readonly Handle[], numbers: readonly number[]): Handle | Promise<Handle>;
  upload(data: Float32Array): Handle;
  download(handle: Handle, offset: number, length: number): Promise<Float32Array>;
  release(handle: Handle): void;
  discard(kernel: object): void;
  lose(): void;
}

/** A kernel as gpu.js has it. */
interface Kernel {
  readonly raw: { readonly kernel: { readonly constructor: { lookupKernelValueType: unknown } } };
}

const device = (): Device => (getBackend('gpu') as unknown as { readonly device: Device }).device;

/** A result of an op that no kernel can be built for. */
function broken(text: string): Tensor {
  const backend = getBackend('gpu');
  const buffer = backend.allocate('f32', 2);
  const layout = { shape: [2], strides: [1], offset: 0 };
  backend.run({
    op: 'brokenOp',
    record: { kind: 'elementwise', define: () => ir.constant(text as never) } as never,
    inputs: [tensor([1, 2]).view()],
    output: { buffer, dtype: 'f32', ...layout },
    attrs: {},
  });
  return new Tensor(new Storage(backend, buffer, 8, 'brokenOp', null), layout, 'f32');
}

/** No more of any kind than before, but for some that may be kept. */
function noMore({ alive }: Bench, before: Readonly<Record<string, number>>, spare = 0): void {
  for (const [kind, count] of Object.entries(alive()))
    ok(count <= before[kind]! + spare, `${count} of ${kind} live, of ${before[kind]} before`);
}

/** One step of something in training. A result is of 256 KiB. */
function stepper(): () => Tensor {
  const w = ones([512, 128]).clone();
  const small = ones([16, 16]).clone();
  return () => scope(() => w.mul(0.5).add(small.matmul(small).sum()).sum(0).max(), { fuse: true });
}

/** Takes steps; reads now and then. */
export async function takeSteps(count: number): Promise<void> {
  const whole = openScope();
  const step = stepper();
  let last = 0;
  for (let i = 1; i <= count; i++) {
    const inner = openScope();
    const loss = step();
    if (i % 50 === 0) last = await loss.item();
    inner.close();
  }
  whole.close();
  await getBackend('gpu').sync();
  same([last], [512 * (0.5 + 16 ** 3)]);
}

export const lifeTraps: readonly Trap[] = [
  {
    name: '13: a tensor that was given back is not read',
    async run() {
      let inner!: Tensor;
      scope(() => {
        inner = tensor([1, 2]).add(1);
      });
      await fails(() => inner.data(), DisposedError, /./);
      await fails(() => inner.add(1), DisposedError, /./);
    },
  },
  {
    name: '13: what was given back and is used again takes nothing from what lives',
    async run() {
      const kept = Array.from({ length: 40 }, (_, i) =>
        scope(() => fromData(new Float32Array(100).fill(i), [100]).mul(2)),
      );
      for (const [i, y] of kept.entries()) await reads(y, new Array<number>(100).fill(2 * i));
    },
  },
  {
    name: '13: kernels go while their results live, and are built again',
    async run(bench) {
      const gpu = await bench.open(4);
      await getBackend('gpu').sync();
      const before = bench.alive();
      const { built } = gpu.kernelStats();
      const made = Array.from({ length: 24 }, (_, i) => ones([i + 2]).mul(i));
      const sums = made.map((x) => x.add(1).sum());
      await getBackend('gpu').sync();
      ok(gpu.kernelStats().built >= built + 48, 'kernels were not built');
      ok(gpu.kernelStats().kept <= 4, `${gpu.kernelStats().kept} kernels are kept`);
      for (const kind of ['Program', 'Shader', 'Framebuffer', 'Buffer'])
        if (kind in before && bench.mode !== 'webgpu')
          ok(bench.alive()[kind]! <= before[kind]! + 8, `${bench.alive()[kind]} of ${kind} live`);
      for (const [i, x] of made.entries()) await reads(x, new Array<number>(i + 2).fill(i));
      for (const [i, x] of sums.entries()) await reads(x, [(i + 2) * (i + 1)]);
      for (const [i, x] of made.entries()) await reads(x.mul(2), new Array<number>(i + 2).fill(2 * i));
      await bench.open(1000);
    },
  },
  {
    name: '13: kernels draw after the one that was built last is gone',
    async run() {
      const there = device();
      const given = there.upload(new Float32Array([1, 2, 3]));
      const [first, last] = [2, 3].map((by) =>
        there.compile(`function (a) { return a[this.thread.x] * ${by}; }`, [3], [3], 0),
      ) as [object, object];
      const handles = [await there.launch(first, [given], []), await there.launch(last, [given], [])];
      there.discard(last);
      handles.push(await there.launch(first, [given], []));
      for (const [i, expected] of [
        [2, 4, 6],
        [3, 6, 9],
        [2, 4, 6],
      ].entries())
        same(await there.download(handles[i]!, 0, 3), expected);
      there.discard(first);
      for (const handle of [given, ...handles]) there.release(handle);
    },
  },
  {
    name: '14: 1,000 steps leave nothing behind',
    async run(bench) {
      await takeSteps(60);
      const [before, bytes] = [bench.alive(), memoryStats().bytes];
      await takeSteps(1000);
      noMore(bench, before, 2);
      ok(memoryStats().bytes <= bytes + 2 ** 20, `${memoryStats().bytes - bytes} bytes more of tensors`);
    },
  },
  {
    name: '14: lengths that come once leave no kernels behind that upload them',
    async run(bench) {
      const upload = async (from: number): Promise<void> => {
        for (let n = from; n < from + 100; n++) scope(() => void fromData(new Float32Array(n), [n]));
        await getBackend('gpu').sync();
      };
      await upload(1000);
      const before = bench.alive();
      await upload(2000);
      for (const kind of ['Program', 'Shader', 'Framebuffer'])
        if (kind in before)
          ok(
            bench.alive()[kind] === before[kind],
            `${bench.alive()[kind]} of ${kind} live, of ${before[kind]}`,
          );
    },
  },
  {
    name: '17: another mode than the chosen one is an error',
    modes: webgl,
    async run({ gpu, mode }) {
      ok(gpu.mode === mode, `mode ${gpu.mode} runs instead of ${mode}`);
      const there = device();
      const kernel = there.compile('function (s) { return s * 2; }', [2], [], 1);
      const kinds = (kernel as Kernel).raw.kernel.constructor;
      const { lookupKernelValueType } = kinds;
      // Of an argument that it has no class for gpu.js makes a kernel on the CPU, with no more than a warning.
      kinds.lookupKernelValueType = () => null;
      try {
        await fails(async () => there.launch(kernel, [], [1]), BackendError, /in mode 'cpu' instead of/);
      } finally {
        kinds.lookupKernelValueType = lookupKernelValueType;
      }
      const good = there.compile('function (s) { return s * 2; }', [2], [], 1);
      const made = await there.launch(good, [], [1]);
      same(await there.download(made, 0, 2), [2, 2]);
      there.release(made);
      there.discard(good);
    },
  },
  {
    name: '18: a kernel that cannot be built is an error where its result is read, with the op named',
    async run(bench) {
      await reads(tensor([1]).add(1), [2]);
      const before = bench.alive();
      // What gpu.js refuses, and what the driver does.
      for (const text of ['a[', 'notThere']) {
        const failed = /^brokenOp: its kernel failed on the GPU/;
        await fails(() => broken(text).add(1).data(), BackendError, failed);
        broken(text);
        await fails(() => getBackend('gpu').sync(), BackendError, failed);
      }
      await getBackend('gpu').sync();
      await reads(tensor([1]).add(1), [2]);
      const { Texture = 0, GPUBuffer = 0 } = before;
      noMore(bench, { ...before, Texture: Texture + 4, GPUBuffer: GPUBuffer + 8 });
    },
  },
  {
    name: 'what the driver complains of is an error',
    modes: ['webgl2'],
    async run({ offend }) {
      const x = tensor([1, 2]).add(1);
      offend();
      await fails(() => x.data(), BackendError, /driver complains/);
      await reads(x, [2, 3]);
    },
  },
  {
    name: 'computes in 32 bits also where a driver offers fewer',
    modes: ['webgl2'],
    async run({ sources }) {
      const { length } = sources();
      const sines = await ones([123]).clone().sinh().sum().item();
      same([sines], [123 * Math.sinh(1)], 1e-5);
      const built = sources().slice(length);
      ok(built.length > 0, 'no kernel was built');
      const poor = built.filter((text) => /\b(lowp|mediump)\b/.test(text));
      ok(poor.length === 0, `${poor.length} of ${built.length} kernels ask for less: ${poor[0]}`);
    },
  },
  {
    name: '16: tensors of a GPU that was lost do not mix with those of another',
    modes: ['webgpu', 'webgl2'],
    async run(bench) {
      const old = tensor([1, 2]).add(1);
      await reads(old, [2, 3]);
      device().lose();
      await fails(() => old.data(), BackendError, /the GPU was lost.*call useGpu\(\) again/s);
      await fails(() => getBackend('gpu').sync(), BackendError, /the GPU was lost/);
      await fails(() => old.add(1), BackendError, /^add: the GPU was lost/);
      await fails(() => tensor([1, 2]), BackendError, /the GPU was lost/);
      await bench.open();
      await reads(tensor([1, 2]).add(1), [2, 3]);
      await fails(() => old.add(tensor([1, 2])), BackendError, /different backends/);
      await fails(() => old.data(), BackendError, /the GPU was lost/);
    },
  },
  {
    name: '16: what was asked for before a loss fails, and what comes after another was opened does not',
    modes: ['webgpu', 'webgl2'],
    async run(bench) {
      // More than are launched before the GPU must have caught up.
      const chain = (): Tensor => {
        let x = tensor([1, 2]).mul(3);
        for (let i = 0; i < 100; i++) x = x.add(1);
        return x;
      };
      await reads(chain(), [103, 106]);
      const pending = chain();
      const data = pending.data();
      device().lose();
      await Promise.allSettled([data]);
      await fails(() => pending.data(), BackendError, /the GPU was lost/);
      await (await bench.open()).close();
      const again = await bench.open();
      await reads(tensor([1, 2]).mul(3), [3, 6]);
      ok(again.mode === bench.mode, `mode ${again.mode}`);
    },
  },
  {
    name: '16: a GPU that was lost this moment is not given again',
    modes: ['webgl2'],
    async run(bench) {
      device().lose();
      await bench.open();
      await reads(tensor([1, 2]).add(1), [2, 3]);
    },
  },
];
