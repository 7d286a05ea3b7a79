/** `useGpu`: finds a GPU, and makes it the backend of new tensors. */
import { BackendError, ValueError } from '../../errors.ts';
import { registerBackend, setBackend } from '../registry.ts';
import { GpuBackend } from './backend.ts';
import type { Device, Limits, Mode } from './device.ts';
import { firstLine, loadLibrary, type Library } from './gpujs.ts';
import type { KernelStats } from './launcher.ts';
import { provideWebGpu, type WebGpuModule } from './node-webgpu.ts';
import { lackOfWebGl, WebGlDevice } from './webgl.ts';
import { WebGpuDevice } from './webgpu.ts';

export interface GpuOptions {
  /** How to reach the GPU. Default `auto`: the first that works of webgpu, webgl2 and headlessgl. */
  readonly mode?: Mode | 'auto';
  /** Takes a program on the CPU that stands in for a GPU, too: slower than the wasm backend. Default false. */
  readonly force?: boolean;
  /** How many kernels are kept to be launched again; those not used for longest go first. Default 1000. */
  readonly kernels?: number;
  /** In Node: the module `webgpu`, where it cannot be imported by its name. */
  readonly webgpu?: WebGpuModule;
}

export interface Gpu {
  readonly mode: Mode;
  /** As the driver calls it. */
  readonly adapter: string;
  /** True where a program on the CPU stands in for a GPU. */
  readonly software: boolean;
  readonly limits: Limits;
  /** Kernels built and launched so far. */
  kernelStats(): KernelStats;
  /** Gives the GPU back; tensors on it are gone. Without it, Node may not end by itself. */
  close(): Promise<void>;
}

interface Used {
  readonly gpu: Gpu;
  readonly backend: GpuBackend;
}

const order: readonly Mode[] = ['webgpu', 'webgl2', 'headlessgl'];

/** What is in use, by mode: a second call gives the same. */
const inUse = new Map<Mode, Used>();

/**
 * Finds a GPU and makes the backend `gpu` of it, the one on which new tensors are made.
 * @throws BackendError with the reason for each mode, where none works
 * @throws ValueError where no kernel may be kept
 */
export async function useGpu(options: GpuOptions = {}): Promise<Gpu> {
  const { mode = 'auto', force = false, kernels } = options;
  if (kernels !== undefined && !(Number.isInteger(kernels) && kernels > 0))
    throw new ValueError('useGpu', `kernels is ${kernels}`, {
      hint: 'a whole number above 0: of how many are kept',
    });
  const modes = mode === 'auto' ? order : order.filter((one) => one === mode);
  if (modes.length === 0)
    throw new BackendError('useGpu', `'${mode}' is no mode`, { hint: `auto, ${order.join(', ')}` });
  const library = await loadLibrary();
  const reasons: string[] = [];
  for (const one of modes) {
    const known = usable(one);
    if (known && (force || !known.gpu.software)) return select(known, kernels);
    const device =
      known?.backend.device ??
      (await open(library, one, options).catch((error: unknown) => firstLine(error)));
    if (typeof device === 'string') reasons.push(`${one}: ${device}`);
    else if (device.adapter.software && !force) {
      reasons.push(`${one}: ${device.adapter.name} is a program on the CPU (force: true takes it)`);
      if (!known) await device.close();
    } else return use(device, kernels);
  }
  throw new BackendError('useGpu', `no GPU is at hand: ${reasons.join('; ')}`, {
    hint: 'the wasm backend, which is the default, needs none',
  });
}

async function open(library: Library, mode: Mode, { webgpu }: GpuOptions): Promise<Device> {
  if (mode === 'webgpu') {
    await provideWebGpu(webgpu);
    return WebGpuDevice.open(library);
  }
  const lack = lackOfWebGl(library, mode);
  if (lack !== null) throw new Error(lack);
  return new WebGlDevice(library, mode);
}

/** What is in use and not lost. */
function usable(mode: Mode): Used | undefined {
  const known = inUse.get(mode);
  // A driver may tell of a loss a little later.
  if (!known || known.backend.device.complaintOfLoss() === null) return known;
  inUse.delete(mode);
  return undefined;
}

async function use(device: Device, kernels: number | undefined): Promise<Gpu> {
  const backend = new GpuBackend(device);
  await checkArithmetic(backend);
  const { mode, adapter, limits } = device;
  // A GPU that is gone is not given again.
  const forget = (): void => {
    if (inUse.get(mode)?.backend === backend) inUse.delete(mode);
  };
  void device.lost.then(forget);
  const gpu: Gpu = {
    mode,
    adapter: adapter.name,
    software: adapter.software,
    limits,
    kernelStats: () => backend.kernelStats,
    close: async () => {
      forget();
      await backend.sync().catch(() => {});
      await device.close();
    },
  };
  inUse.set(mode, { gpu, backend });
  return select({ gpu, backend }, kernels);
}

function select({ gpu, backend }: Used, kernels: number | undefined): Gpu {
  if (kernels !== undefined) backend.mostKernels = kernels;
  registerBackend(backend);
  setBackend('gpu');
  return gpu;
}

/** A first kernel: what runs is what was chosen, and it can count. */
async function checkArithmetic(backend: GpuBackend): Promise<void> {
  const { device } = backend;
  const given = device.upload(new Float32Array([1, 2, 3]));
  const kernel = device.compile('function (a, s) { return a[this.thread.x] * s; }', [3], [3], 1);
  const made = await device.launch(kernel, [given], [2.5]);
  const result = await device.download(made, 0, 3);
  device.release(given);
  device.release(made);
  device.discard(kernel);
  if (result.join() !== '2.5,5,7.5')
    throw new BackendError(
      'useGpu',
      `${device.adapter.name} computes [${result.join(', ')}] for 2.5 · [1, 2, 3]`,
    );
}
