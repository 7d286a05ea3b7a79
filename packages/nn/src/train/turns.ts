/** Lets others have their turn: a browser draw, a server answer. */

/** Longest time in which nobody else gets a turn. */
const milliseconds = 12;

export class Turns {
  #since = 0;

  /** Waits for the event loop to turn, where that has not been so for a while. */
  async give(): Promise<void> {
    if (performance.now() - this.#since < milliseconds) return;
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 0);
    });
    this.#since = performance.now();
  }
}
