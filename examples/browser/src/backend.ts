/** A backend as the page sees it: in a worker of its own, or on the page where a worker cannot reach it. */
import type { BackendName, Cell, End, Found, FromHost, Step, ToHost, Trial } from './messages.ts';

export type Place = 'worker' | 'page';

export interface Listener {
  step(step: Step): void;
  cell(cell: Cell): void;
}

export class Backend {
  readonly name: BackendName;
  place: Place;
  #say: ((message: ToHost) => void) | null = null;
  #hear: (message: FromHost) => void = () => {};

  constructor(name: BackendName, place: Place) {
    this.name = name;
    this.place = place;
  }

  /** @param force a program on the CPU that stands in for a GPU will do */
  async find(force: boolean): Promise<Found> {
    const found = await this.#find(force);
    if ('adapter' in found || !found.unreachable || this.place === 'page') return found;
    this.place = 'page';
    this.#say = null;
    return this.#find(force);
  }

  async #find(force: boolean): Promise<Found> {
    this.#say ??= this.place === 'worker' ? this.#startWorker() : await this.#startHere();
    return new Promise((resolve) => {
      this.#hear = (message) => {
        if (message.kind === 'found') resolve(message.found);
        // The worker did not come up.
        if (message.kind === 'end' && message.end.kind === 'failed')
          resolve({ lack: message.end.message, unreachable: false });
      };
      this.#say!({ kind: 'open', backend: this.name, force });
    });
  }

  train(trial: Trial, listener: Listener): Promise<End> {
    return new Promise((resolve) => {
      this.#hear = (message) => {
        if (message.kind === 'step') listener.step(message.step);
        else if (message.kind === 'cell') listener.cell(message.cell);
        else if (message.kind === 'end') resolve(message.end);
      };
      this.#say!({ kind: 'train', trial });
    });
  }

  stop(): void {
    this.#say!({ kind: 'stop' });
  }

  #startWorker(): (message: ToHost) => void {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    worker.addEventListener('message', ({ data }: MessageEvent<FromHost>) => this.#hear(data));
    worker.addEventListener('error', ({ message }) =>
      this.#hear({ kind: 'end', end: { kind: 'failed', message: message || 'the worker does not load' } }),
    );
    return (message) => worker.postMessage(message);
  }

  async #startHere(): Promise<(message: ToHost) => void> {
    const { makeHost } = await import('./host.ts');
    const answer = makeHost((message) => this.#hear(message));
    return (message) => void answer(message);
  }
}
