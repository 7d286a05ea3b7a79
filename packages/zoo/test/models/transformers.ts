/** Asks transformers what it makes of folders that were saved here; one process answers all. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { decodeSafetensors, type Tensor } from '@infinigrad/tensor';

export interface ModelJob {
  readonly folder: string;
  /** By transformers' names. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** How many tokens it goes on with; 0 where it writes none. */
  readonly newTokens: number;
}

export interface TokenizerJob {
  readonly folder: string;
  readonly texts: readonly string[];
}

export interface ModelAnswer {
  /** Keys that did not find their place. */
  readonly left: readonly string[];
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** Of the sum of output[i] · cos(i). */
  readonly gradients: Readonly<Record<string, Tensor>>;
  /** The first row, gone on with. */
  readonly written: readonly number[] | null;
}

export interface TokenizerAnswer {
  readonly ids: readonly (readonly number[])[];
  readonly eos: string;
  readonly pad: number;
}

/** By folder. */
export interface Answers {
  readonly models: Readonly<Record<string, ModelAnswer>>;
  readonly tokenizers: Readonly<Record<string, TokenizerAnswer>>;
}

const program = fileURLToPath(new URL('../../../../scripts/fixtures/zoo/live.py', import.meta.url));

export async function askTransformers(
  python: string,
  models: readonly ModelJob[],
  tokenizers: readonly TokenizerJob[],
): Promise<Answers> {
  const process = spawn(python, [program]);
  const plain = models.map(({ folder, inputs, newTokens }) => ({
    folder,
    newTokens,
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, x.toArraySync()])),
  }));
  process.stdin.end(JSON.stringify({ models: plain, tokenizers }));
  const [out, errors] = await Promise.all([text(process.stdout), text(process.stderr)]);
  const line = out.split('\n').find((one) => one.startsWith('RESULT'));
  if (line === undefined) throw new Error(`transformers gives no answer: ${errors}`);
  const told = JSON.parse(line.slice('RESULT'.length)) as {
    models: Record<string, Pick<ModelAnswer, 'left' | 'written'>>;
    tokenizers: Record<string, TokenizerAnswer>;
  };
  const whole = Object.entries(told.models).map(([folder, answer]) => {
    const { tensors } = decodeSafetensors(readFileSync(join(folder, 'outputs.safetensors')));
    const part = (of: string): Record<string, Tensor> =>
      Object.fromEntries(
        Object.entries(tensors).flatMap(([name, x]) =>
          name.startsWith(`${of}/`) ? [[name.slice(of.length + 1), x]] : [],
        ),
      );
    return [folder, { ...answer, outputs: part('output'), gradients: part('gradient') }] as const;
  });
  return { models: Object.fromEntries(whole), tokenizers: told.tokenizers };
}
