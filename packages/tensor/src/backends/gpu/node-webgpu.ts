/** WebGPU where the host has none of its own: in Node, from the package `webgpu` (Dawn), if it is installed. */
import { firstLine } from './gpujs.ts';

/** The package `webgpu`, 0.6 or later. */
export interface WebGpuModule {
  create(options: string[]): object;
  readonly globals: object;
}

interface Host {
  navigator?: { readonly gpu?: object };
  readonly process?: { readonly platform: string };
}

const host = globalThis as Host;

/** @throws Error with the reason where there is no WebGPU */
export async function provideWebGpu(given?: WebGpuModule): Promise<void> {
  if (host.navigator?.gpu) return;
  if (!host.process)
    throw new Error('this browser has no navigator.gpu (in a page that is not secure none has)');
  const module = given ?? (await importPackage());
  const gpu = module.create(host.process.platform === 'linux' ? ['backend=vulkan'] : []);
  for (const [name, value] of Object.entries(module.globals))
    if (!(name in globalThis))
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  if (host.navigator) Object.defineProperty(host.navigator, 'gpu', { value: gpu, configurable: true });
  else Object.defineProperty(host, 'navigator', { value: { gpu }, configurable: true });
}

async function importPackage(): Promise<WebGpuModule> {
  // Bundlers, and compilers that look for its types, need not find it.
  const name: string = 'webgpu';
  try {
    return (await import(/* @vite-ignore */ name)) as WebGpuModule;
  } catch (error) {
    throw new Error(`the package 'webgpu' does not load (${firstLine(error)}; npm install webgpu@^0.6)`, {
      cause: error,
    });
  }
}
