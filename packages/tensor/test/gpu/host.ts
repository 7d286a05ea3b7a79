/** The GPU that the tests run on: WebGPU in Node, over whatever Vulkan driver there is. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { useGpu, type Gpu, type WebGpuModule } from '@infinigrad/tensor/gpu';

/** Debian's Chromium brings a driver that computes on the CPU. */
const swiftShader = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (!process.env['VK_ICD_FILENAMES'] && existsSync(swiftShader))
  process.env['VK_ICD_FILENAMES'] = swiftShader;
process.env['XDG_RUNTIME_DIR'] ??= '/tmp';

/** The package `webgpu`: in the folder that INFINIGRAD_WEBGPU names, else beside these tests. */
export function webGpu(): WebGpuModule {
  const folder = process.env['INFINIGRAD_WEBGPU'];
  const from = folder ? join(folder, 'package.json') : import.meta.filename;
  return createRequire(from)('webgpu') as WebGpuModule;
}

async function open(): Promise<Gpu | string> {
  try {
    return await useGpu({ mode: 'webgpu', force: true, webgpu: webGpu() });
  } catch (error) {
    return (error as Error).message.split('\n')[0]!;
  }
}

const opened = await open();

/** The GPU, or null. */
export const gpu: Gpu | null = typeof opened === 'string' ? null : opened;
/** Why there is none, or null. */
export const missing: string | null = typeof opened === 'string' ? opened : null;
if (missing !== null) console.log(`webgpu: not run (${missing})`);
