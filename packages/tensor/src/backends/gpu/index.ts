/** @infinigrad/tensor/gpu: tensors on the GPU, through gpu.js (npm install gpu.js@2.24.1). */
export { useGpu, type Gpu, type GpuOptions } from './use.ts';
export type { Limits, Mode } from './device.ts';
export type { KernelStats } from './launcher.ts';
export type { WebGpuModule } from './node-webgpu.ts';
