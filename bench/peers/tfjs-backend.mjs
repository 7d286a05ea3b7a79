// TensorFlow.js with its wasm backend. Only the union package registers gradients in Node.
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

console.warn = () => {}; // an advertisement
const load = async (name) => {
  const module = await import(name);
  return module.default ?? module;
};
export const tf = await load('@tensorflow/tfjs');
const wasm = await load('@tensorflow/tfjs-backend-wasm');

/** Starts the backend. @returns the threads it has: Node gives it none */
export async function ready(threads) {
  const { resolve } = createRequire(import.meta.url);
  wasm.setWasmPaths(`${dirname(resolve('@tensorflow/tfjs-backend-wasm'))}/`);
  if (threads > 1) wasm.setThreadsCount(threads);
  await tf.setBackend('wasm');
  await tf.ready();
  return (await tf.env().getAsync('WASM_HAS_MULTITHREAD_SUPPORT')) ? threads : 1;
}
