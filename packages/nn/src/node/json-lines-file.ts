/** Lines of JSON in a file. */
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeFileAtomic } from '@infinigrad/tensor/node';
import { JsonLines } from '../log/json-lines.ts';
import type { Logger } from '../log/logger.ts';

/** A logger that appends to a file. Where a run goes on, the lines after its step are taken away, and so is one that was cut off. */
export class JsonLinesFile implements Logger {
  readonly path: string;
  readonly #lines: JsonLines;
  #made = false;

  constructor(path: string) {
    this.path = path;
    this.#lines = new JsonLines(async (line) => {
      if (!this.#made) await mkdir(dirname(path), { recursive: true });
      this.#made = true;
      await appendFile(path, `${line}\n`);
    });
  }

  async scalars(step: number, values: Readonly<Record<string, number>>): Promise<void> {
    await this.#lines.scalars(step, values);
  }

  async text(step: number, name: string, text: string): Promise<void> {
    await this.#lines.text(step, name, text);
  }

  async resume(step: number): Promise<void> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return;
      throw error;
    }
    const kept = text.split('\n').filter((line) => stepOf(line) <= step);
    await writeFileAtomic(this.path, kept.map((line) => `${line}\n`).join(''));
  }
}

/** Infinity for what is no whole line. */
function stepOf(line: string): number {
  try {
    const { step } = JSON.parse(line) as { step?: unknown };
    return typeof step === 'number' ? step : Infinity;
  } catch {
    return Infinity;
  }
}
