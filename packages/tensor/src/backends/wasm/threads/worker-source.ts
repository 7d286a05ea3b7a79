/**
 * What a helper thread runs. Plain text, so that it needs no file of its own: neither loaders nor bundlers see it. It waits
 * for jobs in shared memory, claims lanes of them, makes their calls, and says that it has.
 */
import { field, laneWords, messageWords } from './layout.ts';

/** Looks at the generation so often before it sleeps: some 0.1 ms. */
const spins = 20_000;

export const workerSource = `
const start = ({ control, code, args, memory }) => {
  const at = ${JSON.stringify(field)};
  const modules = [];
  const load = (id) => {
    const entry = at.modules + 2 * id;
    const bytes = new Uint8Array(code).slice(control[entry], control[entry] + control[entry + 1]);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
    return Object.values(exports);
  };
  const fail = (error, place) => {
    const text = String(error).slice(0, ${messageWords});
    for (let i = 0; i < text.length; i++) control[at.message + i] = text.charCodeAt(i);
    control[at.messageLength] = text.length;
    Atomics.store(control, place, -1);
  };
  let seen = 0;
  const wait = () => {
    for (let spin = 0; Atomics.load(control, at.generation) === seen; spin++) {
      if (spin < ${spins}) continue;
      Atomics.add(control, at.asleep, 1);
      Atomics.wait(control, at.generation, seen);
      Atomics.sub(control, at.asleep, 1);
      spin = 0;
    }
    seen = Atomics.load(control, at.generation);
  };
  Atomics.add(control, at.ready, 1);
  for (;;) {
    wait();
    for (let place = at.lanes + (control[at.lanesOfJob] - 1) * ${laneWords}; place >= at.lanes; place -= ${laneWords}) {
      if (Atomics.compareExchange(control, place + at.open, 1, 0) !== 1) continue;
      try {
        const module = control[at.module];
        const kernel = (modules[module] ??= load(module))[control[at.kernel]];
        const width = control[at.width];
        let p = control[place + at.first];
        for (let left = control[place + at.calls]; left > 0; left--, p += width) kernel(...args.subarray(p, p + width));
        Atomics.store(control, place + at.finished, 1);
      } catch (error) {
        Atomics.sub(control, at.ready, 1);
        return fail(error, place + at.finished);
      }
    }
  }
};
if (typeof require === 'function') start(require('node:worker_threads').workerData);
else self.onmessage = ({ data }) => start(data);
`;
