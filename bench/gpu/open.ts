/** Opens the GPU that is to be measured. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { useGpu, type Gpu, type WebGpuModule } from '@infinigrad/tensor/gpu';
import type { GpuBenchOptions } from './options.ts';

/** Debian's Chromium brings a driver that computes on the CPU. */
const swiftShader = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** The package `webgpu`: in the folder that INFINIGRAD_WEBGPU names, else beside this program; undefined where it is not. */
async function webGpu(): Promise<WebGpuModule | undefined> {
  const folder = process.env['INFINIGRAD_WEBGPU'];
  if (folder) return createRequire(join(folder, 'package.json'))('webgpu') as WebGpuModule;
  const name: string = 'webgpu';
  return import(name).catch(() => undefined) as Promise<WebGpuModule | undefined>;
}

/** @throws BackendError with the reasons where there is none */
export async function openGpu({ mode, force }: Pick<GpuBenchOptions, 'mode' | 'force'>): Promise<Gpu> {
  if (force && !process.env['VK_ICD_FILENAMES'] && existsSync(swiftShader))
    process.env['VK_ICD_FILENAMES'] = swiftShader;
  const webgpu = await webGpu();
  return useGpu({ mode, force, ...(webgpu && { webgpu }) });
}
