/**
 * The work as files, so that all peers start from the same numbers whatever they are written in: `workload.json` says what
 * to do, `inputs.bin` holds the tensors one after the other, row-major.
 */
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { adamW, gptNames, gptSizes, initialWeights, type GptName, type GptSizes } from './gpt.ts';
import { microCases, microInput, type Input, type MicroCase } from './micro.ts';
import type { Settings } from './settings.ts';
import { batch, stream } from './text.ts';

export interface StoredTensor {
  readonly shape: readonly number[];
  readonly dtype: 'f32' | 'i32';
  /** In bytes. */
  readonly offset: number;
}

export interface GptWork extends GptSizes {
  /** In the order of the parameters; the tensors are called `<gpt>/<name>`. */
  readonly weights: readonly { readonly name: string; readonly linear: boolean }[];
  /** Decoding starts from it. */
  readonly firstToken: number;
}

export interface WorkFile {
  readonly settings: Settings;
  readonly adamW: typeof adamW;
  /** By benchmark. */
  readonly cases: Readonly<Record<string, readonly MicroCase[]>>;
  readonly gpts: Readonly<Partial<Record<GptName, GptWork>>>;
  /** Inputs by name; `<gpt>/x` and `<gpt>/y` are the batches of all steps, [steps, batch · length]. */
  readonly tensors: Readonly<Record<string, StoredTensor>>;
}

/** The GPT that a benchmark is about. */
function gptOf(benchmark: string): GptName | null {
  if (benchmark === 'gpt-large') return 'large';
  return ['gpt-small', 'layers', 'decode', 'memory'].includes(benchmark) ? 'small' : null;
}

function* gptTensors(name: GptName, steps: number): Generator<[string, Input]> {
  const sizes = gptSizes[name];
  for (const { name: weight, shape, data } of initialWeights(sizes))
    yield [`${name}/${weight}`, { shape, data }];
  const tokens = stream(sizes.vocabulary);
  const size = sizes.batch * sizes.length;
  const x = new Int32Array(steps * size);
  const y = new Int32Array(steps * size);
  for (let step = 0; step < steps; step++) {
    const cut = batch(tokens, step, sizes.batch, sizes.length);
    x.set(cut.x, step * size);
    y.set(cut.y, step * size);
  }
  yield [`${name}/x`, { shape: [steps, size], data: x }];
  yield [`${name}/y`, { shape: [steps, size], data: y }];
}

/** Writes all that the benchmarks need into a folder. */
export function writeWork(folder: string, benchmarks: readonly string[], settings: Settings): void {
  const cases = Object.fromEntries(benchmarks.map((name) => [name, microCases(name)]));
  const tensors: Record<string, StoredTensor> = {};
  const file = openSync(join(folder, 'inputs.bin'), 'w');
  let offset = 0;
  const store = (name: string, { shape, data }: Input): void => {
    if (name in tensors) return;
    writeSync(file, data, 0, data.byteLength, offset);
    tensors[name] = { shape, dtype: data instanceof Int32Array ? 'i32' : 'f32', offset };
    offset += data.byteLength;
  };
  for (const { inputs, gradient } of Object.values(cases).flat())
    for (const name of [...inputs, gradient?.upstream]) if (name) store(name, microInput(name));
  const gpts: Partial<Record<GptName, GptWork>> = {};
  for (const name of gptNames.filter((gpt) => benchmarks.some((benchmark) => gptOf(benchmark) === gpt))) {
    const { small, large, memory } = settings.steps;
    for (const [tensor, input] of gptTensors(name, name === 'small' ? Math.max(small, memory) : large))
      store(tensor, input);
    gpts[name] = {
      ...gptSizes[name],
      weights: initialWeights(gptSizes[name]).map(({ name: weight, linear }) => ({ name: weight, linear })),
      firstToken: stream(gptSizes[name].vocabulary)[0]!,
    };
  }
  closeSync(file);
  writeFileSync(
    join(folder, 'workload.json'),
    JSON.stringify({ settings, adamW, cases, gpts, tensors } satisfies WorkFile),
  );
}

/** The work in a folder, for the framework's own programs. */
export class Work {
  readonly file: WorkFile;
  readonly #inputs: number;

  constructor(folder: string) {
    this.file = JSON.parse(readFileSync(join(folder, 'workload.json'), 'utf8')) as WorkFile;
    this.#inputs = openSync(join(folder, 'inputs.bin'), 'r');
  }

  /** @throws Error where the work holds no such tensor */
  read(name: string): Input {
    const stored = this.file.tensors[name];
    if (!stored) throw new Error(`the work holds no tensor ${name}`);
    const length = stored.shape.reduce((a, b) => a * b, 1);
    const data = stored.dtype === 'i32' ? new Int32Array(length) : new Float32Array(length);
    readSync(this.#inputs, data, 0, data.byteLength, stored.offset);
    return { shape: stored.shape, data };
  }
}
