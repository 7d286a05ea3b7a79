/** A run's folder: one run, written so that a crash at any moment leaves it readable. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  configToJson,
  infiniTransformerConfig,
  passkeyModelOptions,
  type TrainerState,
} from '@infinigrad/zoo';
import type { Module } from '@infinigrad/nn';
import { InfinigradError } from '@infinigrad/tensor';
import { loadSafetensors, saveSafetensors, writeFileAtomic } from '@infinigrad/tensor/node';
import type { MetricLine } from './events.ts';
import { lockFolder, lockName } from './lock.ts';
import { checkpointFromJson, parseMetrics, planFromJson } from './parse.ts';
import { resumeCommand, RunError, type ModelName, type RunPlan, type RunRequest } from './plan.ts';

export interface Checkpoint {
  readonly model: ModelName;
  readonly state: TrainerState;
}

const weightsName: Readonly<Record<ModelName, string>> = {
  model: 'model.safetensors',
  control: 'control.safetensors',
};
const checkpointName = 'checkpoint.safetensors';
const checkpointKey = 'passkey.checkpoint';
/** What a write that was killed leaves behind. */
const leftover = /^\..+\.tmp$/;

export class RunFolder {
  readonly path: string;
  readonly plan: RunPlan;
  /** Every line of metrics.jsonl, as it stands on the disk. */
  readonly metrics: MetricLine[];
  private readonly unlock: () => void;

  private constructor(path: string, plan: RunPlan, metrics: MetricLine[], unlock: () => void) {
    this.path = path;
    this.plan = plan;
    this.metrics = metrics;
    this.unlock = unlock;
  }

  /**
   * Opens the folder for a request and holds it until `close`. Nothing in it has changed yet; `begin` comes first.
   * @throws RunError where the folder holds something else, or another process is at work in it
   */
  static async open(request: RunRequest): Promise<RunFolder> {
    const { out } = request;
    const found = existsSync(join(out, 'config.json'));
    if (request.kind === 'resume' && !found)
      throw new RunError(`${out} holds no run (no config.json there); start one with --out ${out}`);
    if (request.kind === 'new')
      await mkdir(out, { recursive: true }).catch((error: Error) => unusable(out, error));
    const unlock = lockFolder(out);
    try {
      const plan = found ? readPlan(out, request) : request.kind === 'new' ? request.plan : unusable(out);
      if (!found) await checkEmpty(out);
      const metrics = readMetrics(out);
      if (request.kind === 'new' && metrics.some(({ kind }) => kind === 'done'))
        throw new RunError(
          `${out} holds this very run, finished: see ${join(out, 'report.html')}, or start another with --out`,
        );
      return new RunFolder(out, plan, metrics, unlock);
    } catch (error) {
      unlock();
      throw error;
    }
  }

  close(): void {
    this.unlock();
  }

  file(name: string): string {
    return join(this.path, name);
  }

  get checkpointPath(): string {
    return this.file(checkpointName);
  }

  /** @throws FormatError, RunError where the checkpoint is damaged or of another run */
  async loadCheckpoint(): Promise<Checkpoint | null> {
    const path = this.checkpointPath;
    if (!existsSync(path)) return null;
    const { tensors, metadata } = await loadSafetensors(path);
    const { model, meta } = checkpointFromJson(path, metadata[checkpointKey], this.plan);
    return { model, state: { tensors, meta } };
  }

  /** One file, so that the tensors and the step they belong to cannot part. */
  async saveCheckpoint({ model, state }: Checkpoint): Promise<void> {
    const meta = JSON.stringify({ model, meta: state.meta });
    await saveSafetensors(this.checkpointPath, state.tensors, { [checkpointKey]: meta });
  }

  async saveWeights(name: ModelName, model: Module): Promise<void> {
    await saveSafetensors(this.file(weightsName[name]), model.stateDict());
  }

  async loadWeights(name: ModelName, model: Module): Promise<void> {
    const path = this.file(weightsName[name]);
    const { tensors } = await loadSafetensors(path);
    naming(path, () => model.loadStateDict(tensors));
  }

  append(line: MetricLine): void {
    this.metrics.push(line);
    appendFileSync(this.file('metrics.jsonl'), `${JSON.stringify(line)}\n`);
  }

  /** Writes the plan, and leaves the metrics that `keep` wants: what was recorded after the checkpoint happens again. */
  async begin(keep: (line: MetricLine) => boolean): Promise<void> {
    for (const name of await readdir(this.path))
      if (leftover.test(name)) await rm(this.file(name), { force: true });
    const config = configToJson(infiniTransformerConfig(passkeyModelOptions(this.plan.recipe)));
    await writeFileAtomic(
      this.file('config.json'),
      `${JSON.stringify({ ...config, passkey: this.plan }, null, 2)}\n`,
    );
    await this.keepMetrics(keep);
  }

  /** Leaves the lines that `keep` wants. */
  async keepMetrics(keep: (line: MetricLine) => boolean): Promise<void> {
    const kept = this.metrics.filter(keep);
    this.metrics.splice(0, this.metrics.length, ...kept);
    await writeFileAtomic(
      this.file('metrics.jsonl'),
      kept.map((line) => `${JSON.stringify(line)}\n`).join(''),
    );
  }

  async writeReport(html: string): Promise<void> {
    await writeFileAtomic(this.file('report.html'), html);
  }
}

/** Does what it is told; where that fails, the error says which file it is about. */
export function naming(path: string, what: () => unknown): void {
  try {
    what();
  } catch (error) {
    if (!(error instanceof InfinigradError)) throw error;
    throw new RunError(`${path} does not fit this run (${error.message}); start anew with another --out`);
  }
}

function unusable(out: string, error?: Error): never {
  throw new RunError(
    `${out} cannot be used as a run's folder${error ? ` (${(error as { code?: string }).code ?? error.message})` : ''}`,
  );
}

async function checkEmpty(out: string): Promise<void> {
  const others = (await readdir(out)).filter((name) => name !== lockName && !leftover.test(name));
  if (others.length > 0)
    throw new RunError(
      `${out} is not empty and holds no run (${others.slice(0, 3).join(', ')}); choose another folder with --out`,
    );
}

/** The plan on the disk, which for a new run must be the one asked for. */
function readPlan(out: string, request: RunRequest): RunPlan {
  const plan = planFromJson(join(out, 'config.json'), readText(join(out, 'config.json')));
  if (request.kind === 'resume') return { ...plan, evaluation: changed(plan, request.evaluation) };
  if (JSON.stringify(plan) === JSON.stringify(request.plan)) return plan;
  throw new RunError(
    `${out} holds another run; go on with that one (${resumeCommand(out)}) or choose another folder with --out`,
  );
}

function changed({ evaluation }: RunPlan, change: Partial<RunPlan['evaluation']>): RunPlan['evaluation'] {
  const { maxLength = evaluation.maxLength, samples = evaluation.samples } = change;
  const all = evaluation.controlMaxLength === evaluation.maxLength;
  return {
    maxLength,
    controlMaxLength: all ? maxLength : Math.min(maxLength, evaluation.controlMaxLength),
    samples,
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new RunError(`${path} cannot be read (${(error as { code?: string }).code ?? String(error)})`);
  }
}

function readMetrics(out: string): MetricLine[] {
  const path = join(out, 'metrics.jsonl');
  return existsSync(path) ? parseMetrics(path, readText(path)) : [];
}
