/** Numbers as lines of JSON. */
import type { Logger } from './logger.ts';

/** Where lines go: a file, a server, an array. */
export type WriteLine = (line: string) => void | Promise<void>;

/** A line for each call: `{"step":10,"loss":1.5}`. What is not finite becomes a text: JSON has no word for it. */
export class JsonLines implements Logger {
  readonly #write: WriteLine;

  constructor(write: WriteLine) {
    this.#write = write;
  }

  scalars(step: number, values: Readonly<Record<string, number>>): void | Promise<void> {
    const said = Object.entries(values).map(([name, value]) => [
      name,
      Number.isFinite(value) ? value : String(value),
    ]);
    return this.#write(JSON.stringify({ step, ...Object.fromEntries(said) }));
  }

  text(step: number, name: string, text: string): void | Promise<void> {
    return this.#write(JSON.stringify({ step, [name]: text }));
  }
}
