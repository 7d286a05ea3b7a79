/** Event files that TensorBoard reads. */
import { appendFile, mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Logger } from '../log/logger.ts';
import { histogramEvent, restartEvent, scalarEvent, textEvent, versionEvent } from '../log/tensorboard.ts';

export interface TensorBoardOptions {
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: () => number;
}

/** A logger whose folder `tensorboard --logdir` shows. Where a run goes on, readers drop what was logged after its step. */
export class TensorBoard implements Logger {
  readonly folder: string;
  readonly #now: () => number;
  #path: string | null = null;

  /** @param folder made where there is none, at the first event */
  constructor(folder: string, { now = () => Date.now() }: TensorBoardOptions = {}) {
    this.folder = folder;
    this.#now = now;
  }

  scalars(step: number, values: Readonly<Record<string, number>>): Promise<void> {
    return this.#append(scalarEvent(this.#time(), step, values));
  }

  histogram(step: number, name: string, values: ArrayLike<number>): Promise<void> {
    return this.#append(histogramEvent(this.#time(), step, name, values));
  }

  text(step: number, name: string, text: string): Promise<void> {
    return this.#append(textEvent(this.#time(), step, name, text));
  }

  resume(step: number): Promise<void> {
    return this.#append(restartEvent(this.#time(), step + 1));
  }

  #time(): number {
    return this.#now() / 1000;
  }

  async #append(record: Uint8Array): Promise<void> {
    if (this.#path === null) {
      const time = this.#time();
      await mkdir(this.folder, { recursive: true });
      // Readers take files in the order of their names.
      const name = `events.out.tfevents.${time.toFixed(3).padStart(14, '0')}.${hostname()}.${process.pid}`;
      this.#path = join(this.folder, name);
      await appendFile(this.#path, versionEvent(time));
    }
    await appendFile(this.#path, record);
  }
}
