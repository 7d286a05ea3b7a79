/** What the page calls the backends. */
import type { BackendName } from './messages.ts';

export const labels: Readonly<Record<BackendName, string>> = {
  wasm: 'wasm',
  webgpu: 'WebGPU',
  webgl2: 'WebGL 2',
  js: 'js',
};
