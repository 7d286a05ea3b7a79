/** Checkpoints in a folder: the newest few and the best, each whole or not there. */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ValueError } from '@infinigrad/tensor';
import { checkCount } from '../data/cursor.ts';
import type { CheckpointStore, TrainerState } from '../train/state.ts';
import { readCheckpoint, readInfo, writeCheckpoint, type CheckpointInfo } from './checkpoint-files.ts';
import { CheckpointError } from './errors.ts';

export interface CheckpointsOptions {
  /** How many of the newest stay. Default 3. */
  readonly keep?: number;
  /** The best stays too, by the value that was monitored; what is better. Default `min`; null: it does not. */
  readonly best?: 'min' | 'max' | null;
  /** Told of every checkpoint that is refused. Default: nobody. */
  readonly onRefused?: (error: CheckpointError) => void;
}

interface Entry {
  readonly name: string;
  readonly step: number;
  /** Which of those of one step. */
  readonly turn: number;
}

/** What a write or a removal that was killed leaves behind. */
const leftover = /^\..+\.tmp$/;
const named = /^step-(\d+)(?:-(\d+))?$/;

/**
 * A folder of checkpoints, `step-00000100/state.safetensors` and `state.json`, for a Trainer. Each is written aside, flushed and
 * renamed, so that a crash at any moment leaves those before it whole; each carries checksums of all its bytes. One that has been
 * refused goes with the next save. One process at a time.
 */
export class Checkpoints implements CheckpointStore {
  readonly folder: string;
  readonly #keep: number;
  readonly #mode: 'min' | 'max' | null;
  readonly #onRefused: (error: CheckpointError) => void;
  readonly #refused = new Set<string>();

  /** @param folder made where there is none, at the first save; @throws ValueError for settings out of range */
  constructor(folder: string, { keep = 3, best = 'min', onRefused = () => {} }: CheckpointsOptions = {}) {
    checkCount('Checkpoints', 'keep', keep);
    if (best !== null && best !== 'min' && best !== 'max')
      throw new ValueError('Checkpoints', `best must be min, max or null, got '${String(best)}'`);
    this.folder = folder;
    this.#keep = keep;
    this.#mode = best;
    this.#onRefused = onRefused;
  }

  /** Writes a checkpoint, and removes those that need not stay. */
  async save(
    state: TrainerState,
    { step, value }: { readonly step: number; readonly value?: number },
  ): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    const before = await this.#entries();
    const turn = Math.max(0, ...before.filter((entry) => entry.step === step).map((entry) => entry.turn)) + 1;
    const known = before.some((entry) => entry.step === step);
    const name = `step-${String(step).padStart(8, '0')}${known ? `-${turn}` : ''}`;
    await writeCheckpoint(join(this.folder, name), state, { step, value: value ?? null });
    await this.#rotate(name);
  }

  /** The steps of the checkpoints there are, oldest first. */
  async steps(): Promise<number[]> {
    return [...new Set((await this.#entries()).map(({ step }) => step))];
  }

  /**
   * The newest checkpoint that is whole; null where there are none.
   * @throws CheckpointError of the newest where there are some and none is whole
   */
  async latest(): Promise<TrainerState | null> {
    return this.#first((await this.#entries()).toReversed());
  }

  /** The best checkpoint, or null where no value has been monitored. @throws CheckpointError where it is not whole */
  async best(): Promise<TrainerState | null> {
    const best = await this.#bestEntry(await this.#entries());
    return best && readCheckpoint(join(this.folder, best.name));
  }

  /** The checkpoint of a step. @throws ValueError where there is none, CheckpointError where it is not whole */
  async load(step: number): Promise<TrainerState> {
    const entries = (await this.#entries()).filter((entry) => entry.step === step);
    const state = await this.#first(entries.toReversed());
    if (!state)
      throw new ValueError('Checkpoints.load', `there is no checkpoint of step ${step} in ${this.folder}`, {
        hint: `steps: ${(await this.steps()).join(', ')}`,
      });
    return state;
  }

  async #first(entries: readonly Entry[]): Promise<TrainerState | null> {
    let newest: CheckpointError | null = null;
    for (const { name } of entries)
      try {
        return await readCheckpoint(join(this.folder, name));
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        newest ??= error;
        this.#refused.add(name);
        this.#onRefused(error);
      }
    if (newest) throw newest;
    return null;
  }

  /** Oldest first. */
  async #entries(): Promise<Entry[]> {
    let names: string[];
    try {
      names = await readdir(this.folder);
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return [];
      throw error;
    }
    return names
      .flatMap((name): Entry[] => {
        const [, step, turn] = named.exec(name) ?? [];
        return step === undefined ? [] : [{ name, step: Number(step), turn: Number(turn ?? 1) }];
      })
      .toSorted((a, b) => a.step - b.step || a.turn - b.turn);
  }

  async #bestEntry(entries: readonly Entry[]): Promise<Entry | null> {
    let best: { readonly entry: Entry; readonly value: number } | null = null;
    for (const entry of entries) {
      const value = (await this.#infoOf(entry))?.value ?? NaN;
      const better =
        this.#mode === 'max' ? value > (best?.value ?? -Infinity) : value < (best?.value ?? Infinity);
      if (better) best = { entry, value };
    }
    return best?.entry ?? null;
  }

  async #infoOf({ name }: Entry): Promise<CheckpointInfo | null> {
    try {
      return await readInfo(join(this.folder, name));
    } catch (error) {
      if (error instanceof CheckpointError) return null;
      throw error;
    }
  }

  /** @param written stays in any case */
  async #rotate(written: string): Promise<void> {
    const entries = await this.#entries();
    const whole = entries.filter(({ name }) => !this.#refused.has(name));
    const staying = new Set(whole.slice(-this.#keep));
    const best = this.#mode === null || whole.length <= this.#keep ? null : await this.#bestEntry(whole);
    if (best) staying.add(best);
    for (const entry of entries)
      if (!staying.has(entry) && entry.name !== written) await this.#remove(entry.name);
    for (const name of await readdir(this.folder))
      if (leftover.test(name)) await rm(join(this.folder, name), { recursive: true, force: true });
  }

  /** Out of sight first: what is half removed must not be taken for a checkpoint. */
  async #remove(name: string): Promise<void> {
    const aside = join(this.folder, `.${randomUUID()}.tmp`);
    await rename(join(this.folder, name), aside);
    await rm(aside, { recursive: true, force: true });
  }
}
