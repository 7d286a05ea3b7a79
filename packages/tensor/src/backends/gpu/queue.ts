/** Work for the GPU, done one piece after the other, in the order in which it was asked for. */

/** A piece of work. */
export type Task = () => void | Promise<void>;

/** Launches, and bytes made by them, after which the GPU must have caught up. */
const launchesAhead = 32;
const bytesAhead = 2 ** 27;

export class Queue {
  readonly #drain: () => Promise<void>;
  #tasks: Task[] = [];
  #next = 0;
  #running = false;
  #launches = 0;
  #bytes = 0;

  /** @param drain resolves when the GPU has caught up */
  constructor(drain: () => Promise<void>) {
    this.#drain = drain;
  }

  /** Tasks look after their own errors: none may throw. */
  push(task: Task): void {
    this.#tasks.push(task);
    if (this.#running) return;
    this.#running = true;
    void this.#run();
  }

  /** Counts a launch: buffers given back are free to the driver only when the GPU is done with them. */
  launched(bytes: number): void {
    this.#launches++;
    this.#bytes += bytes;
  }

  /** Resolves when all that was pushed before is done. */
  flushed(): Promise<void> {
    return new Promise((resolve) => this.push(resolve));
  }

  async #run(): Promise<void> {
    // The caller goes on first.
    await Promise.resolve();
    while (this.#next < this.#tasks.length) {
      const pending = this.#tasks[this.#next]!();
      // What a task holds may be collected.
      this.#tasks[this.#next++] = done;
      if (this.#next > 1024) {
        this.#tasks = this.#tasks.slice(this.#next);
        this.#next = 0;
      }
      if (pending) await pending;
      if (this.#launches >= launchesAhead || this.#bytes >= bytesAhead) {
        this.#launches = 0;
        this.#bytes = 0;
        await this.#drain();
      }
    }
    this.#tasks = [];
    this.#next = 0;
    this.#running = false;
  }
}

const done: Task = () => {};
