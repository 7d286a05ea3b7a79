/** A run's folder: one run, written so that a crash at any moment leaves it readable. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  configToJson,
  infiniTransformerConfig,
  passkeyModelOptions,
  type TrainerState,
} from '@infinigrad/zoo';
import type { Module } from '@infinigrad/nn';
import { loadSafetensors, saveSafetensors, writeFileAtomic } from '@infinigrad/tensor/node';
import type { MetricLine } from './events.ts';
import { lockFolder, lockName } from './lock.ts';
import { parseMetrics, planFromJson } from './parse.ts';
import { resumeCommand, RunError, type ModelName, type RunPlan, type RunRequest } from './plan.ts';

export interface Checkpoint {
  readonly model: ModelName;
  readonly state: TrainerState;
}

const weightsName: Readonly<Record<ModelName, string>> = {
  model: 'model.safetensors',
  control: 'control.safetensors',
};
const checkpointKey = 'passkey.checkpoint';

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
   * Opens the folder for a request and holds it until `close`. Where it throws, nothing in it has changed.
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
      const folder = new RunFolder(out, plan, metrics, unlock);
      await folder.writeConfig();
      return folder;
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

  /** @throws FormatError where the checkpoint is damaged */
  async loadCheckpoint(): Promise<Checkpoint | null> {
    const path = this.file('checkpoint.safetensors');
    if (!existsSync(path)) return null;
    const { tensors, metadata } = await loadSafetensors(path);
    const text = metadata[checkpointKey];
    if (text === undefined) throw new RunError(`${path} is not a checkpoint of this program`);
    const { model, meta } = JSON.parse(text) as { model: ModelName; meta: TrainerState['meta'] };
    return { model, state: { tensors, meta } };
  }

  /** One file, so that the tensors and the step they belong to cannot part. */
  async saveCheckpoint({ model, state }: Checkpoint): Promise<void> {
    const meta = JSON.stringify({ model, meta: state.meta });
    await saveSafetensors(this.file('checkpoint.safetensors'), state.tensors, { [checkpointKey]: meta });
  }

  async saveWeights(name: ModelName, model: Module): Promise<void> {
    await saveSafetensors(this.file(weightsName[name]), model.stateDict());
  }

  async loadWeights(name: ModelName, model: Module): Promise<void> {
    const { tensors } = await loadSafetensors(this.file(weightsName[name]));
    model.loadStateDict(tensors);
  }

  append(line: MetricLine): void {
    this.metrics.push(line);
    appendFileSync(this.file('metrics.jsonl'), `${JSON.stringify(line)}\n`);
  }

  /** Leaves the lines that `keep` wants: what was recorded after the checkpoint happens again. */
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

  private async writeConfig(): Promise<void> {
    const config = configToJson(infiniTransformerConfig(passkeyModelOptions(this.plan.recipe)));
    await writeFileAtomic(
      this.file('config.json'),
      `${JSON.stringify({ ...config, passkey: this.plan }, null, 2)}\n`,
    );
  }
}

function unusable(out: string, error?: Error): never {
  throw new RunError(
    `${out} cannot be used as a run's folder${error ? ` (${(error as { code?: string }).code ?? error.message})` : ''}`,
  );
}

async function checkEmpty(out: string): Promise<void> {
  const others = (await readdir(out)).filter((name) => name !== lockName && !name.endsWith('.tmp'));
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
