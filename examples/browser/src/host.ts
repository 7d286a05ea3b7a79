/** Trains on one backend, in a worker or on the page itself, and tells of every step. */
import { InfinigradError, setBackend, backendNames, threadStats } from '@infinigrad/tensor';
import { useGpu } from '@infinigrad/tensor/gpu';
import { evaluatePasskeyAsync, PasskeyTrainer } from '@infinigrad/zoo';
import type { BackendName, End, Found, FromHost, ToHost, Trial } from './messages.ts';

type Send = (message: FromHost) => void;

const { port1, port2 } = new MessageChannel();

/** Back to the event loop: messages come in, helper threads come up, and a page is painted. Timers would wait for 4 ms. */
const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    port2.addEventListener('message', () => resolve(), { once: true });
    port2.start();
    port1.postMessage(null);
  });

async function open(backend: BackendName, force: boolean): Promise<Found> {
  if (backend === 'webgpu' || backend === 'webgl2')
    try {
      return { adapter: (await useGpu({ mode: backend, force })).adapter };
    } catch (error) {
      const problem = error instanceof InfinigradError ? error.problem : String(error);
      return {
        lack: problem.replace(`no GPU is at hand: ${backend}: `, '').replace(' (force: true takes it)', ''),
        unreachable:
          backend === 'webgpu'
            ? !('gpu' in navigator)
            : !('document' in globalThis || 'OffscreenCanvas' in globalThis),
      };
    }
  if (!backendNames().includes(backend))
    return { lack: threadStats().lack ?? 'there is none here', unreachable: false };
  setBackend(backend);
  if (backend === 'js') return { adapter: 'plain JavaScript: slow, the reference' };
  const { count, lack } = threadStats();
  return { adapter: `SIMD, ${count === 1 ? 'one thread' : `${count} threads`}${lack ? ` (${lack})` : ''}` };
}

const told = (error: unknown): string =>
  error instanceof InfinigradError ? `${error.op}: ${error.problem}` : String(error);

export function makeHost(send: Send): (message: ToHost) => Promise<void> {
  let opened: { readonly backend: BackendName; readonly force: boolean } | undefined;
  let stopped = false;

  async function train({ recipe, multiples, samples }: Trial): Promise<End> {
    const found = await open(opened!.backend, opened!.force);
    if ('lack' in found) return { kind: 'failed', message: found.lack };
    const trainer = new PasskeyTrainer(recipe);
    const started = performance.now();
    for await (const { step, loss, tokens } of trainer.runAsync()) {
      send({ kind: 'step', step: { step, loss, tokens, seconds: (performance.now() - started) / 1000 } });
      await breathe();
      if (stopped) return { kind: 'stopped' };
    }
    const options = { multiples, samples, positions: ['any'], seed: recipe.seed } as const;
    for await (const { multiple, exactMatch } of evaluatePasskeyAsync(trainer.model, recipe, options)) {
      send({ kind: 'cell', cell: { multiple, exactMatch, samples } });
      await breathe();
      if (stopped) return { kind: 'stopped' };
    }
    return { kind: 'done' };
  }

  return async (message) => {
    if (message.kind === 'open') {
      opened = message;
      send({ kind: 'found', found: await open(message.backend, message.force) });
    } else if (message.kind === 'stop') stopped = true;
    else {
      stopped = false;
      const end = await train(message.trial).catch((error: unknown): End => ({
        kind: 'failed',
        message: told(error),
      }));
      send({ kind: 'end', end });
    }
  };
}
