/** Lets others have their turn: without it nobody could abort what never waits. */

/** Longest time in which nobody else gets a turn. */
const milliseconds = 12;

export class Turns {
  #since = performance.now();

  /** Waits for the event loop to turn, where that has not been so for a while. */
  async give(): Promise<void> {
    if (performance.now() - this.#since < milliseconds) return;
    // A message comes at once, where browsers make timers wait for 4 ms.
    await new Promise<void>((resolve) => {
      const { port1, port2 } = new MessageChannel();
      const arrived = (): void => {
        port1.close();
        resolve();
      };
      port1.addEventListener('message', arrived, { once: true });
      port1.start();
      port2.postMessage(null);
    });
    this.#since = performance.now();
  }
}
