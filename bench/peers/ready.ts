/** Makes the peers ready: what can be installed, what is there, or why not. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Peer, PeerName, Readied } from './peer.ts';

const here = import.meta.dirname;
/** Outside the repository; what has been installed there once serves the next run. */
const scratch = join(tmpdir(), `infinigrad-bench-peers-${userInfo().username}`);

interface NpmPeer {
  readonly name: PeerName;
  /** The first is the one whose version is told. */
  readonly packages: Readonly<Record<string, string>>;
  readonly program: string;
  readonly load: string;
  readonly multiply: string;
}

const npmPeers: readonly NpmPeer[] = [
  {
    name: 'jax-js',
    packages: { '@jax-js/jax': '0.1.25' },
    program: 'jaxjs.mjs',
    load: `const { init, defaultDevice, numpy } = await import('@jax-js/jax');`,
    multiply: `await init('wasm'); defaultDevice('wasm');
      await numpy.matmul(numpy.ones([64, 64]), numpy.ones([64, 64])).data();`,
  },
  {
    name: 'tfjs',
    packages: { '@tensorflow/tfjs': '4.22.0', '@tensorflow/tfjs-backend-wasm': '4.22.0' },
    program: 'tfjs.mjs',
    load: `const { tf, ready } = await import('./tfjs-backend.mjs');`,
    multiply: `await ready(1); tf.matMul(tf.ones([64, 64]), tf.ones([64, 64])).dataSync();`,
  },
];

/** The end of what npm says, in a line. */
function complaint(output: string): string {
  const lines = output
    .split('\n')
    .filter((line) => /^npm (error|ERR!)/.test(line) && !line.includes('complete log'));
  return (
    lines.map((line) => line.replace(/^npm (error|ERR!)\s*/, '')).find((line) => !line.startsWith('code')) ??
    'npm failed'
  ).slice(0, 200);
}

function installed(folder: string, packages: NpmPeer['packages']): boolean {
  return Object.entries(packages).every(([name, version]) => {
    const path = join(folder, 'node_modules', name, 'package.json');
    return (
      existsSync(path) && (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version === version
    );
  });
}

/** @returns why it cannot be installed, or null */
function install(folder: string, packages: NpmPeer['packages']): string | null {
  if (installed(folder, packages)) return null;
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ private: true, type: 'module', dependencies: packages }),
  );
  const { status, stderr, error } = spawnSync(
    'npm',
    ['install', '--ignore-scripts', '--no-audit', '--no-fund'],
    {
      cwd: folder,
      encoding: 'utf8',
      timeout: 600_000,
    },
  );
  if (error) return error.message;
  return status === 0 && installed(folder, packages) ? null : complaint(stderr);
}

function readyNpm({ name, packages, program, load, multiply }: NpmPeer): Readied {
  const folder = join(scratch, name);
  const reason = install(folder, packages);
  if (reason !== null) return { name, reason };
  for (const file of ['work.mjs', 'tfjs-backend.mjs', program])
    copyFileSync(join(here, file), join(folder, file));
  return {
    name,
    version: Object.values(packages)[0]!,
    program: (part, work) => ({
      command: [process.execPath, join(folder, program), part, work],
      cwd: folder,
    }),
    interpreter: process.execPath,
    coldStarts: [{ language: 'js', cwd: folder, load, multiply }],
  } satisfies Peer;
}

function readyTorch(): Readied {
  const named = process.env['INFINIGRAD_PYTHON'];
  const python = named ?? 'python3';
  const code = 'import numpy, torch; print(torch.__version__)';
  const { status, stdout, error } = spawnSync(python, ['-c', code], { encoding: 'utf8' });
  const which = named === undefined ? 'python3' : 'the Python that INFINIGRAD_PYTHON names';
  if (error) return { name: 'torch', reason: `${which} does not start` };
  if (status !== 0)
    return {
      name: 'torch',
      reason: `${which} has no torch and numpy; INFINIGRAD_PYTHON can name one that has`,
    };
  return {
    name: 'torch',
    version: stdout.trim(),
    program: (part, work) => ({ command: [python, join(here, 'torch_peer.py'), part, work] }),
    interpreter: python,
    coldStarts: [
      { language: 'python', load: 'import torch', multiply: 'a = torch.ones(64, 64)\n(a @ a).sum().item()' },
    ],
  } satisfies Peer;
}

/** All peers. Installing takes a minute or two the first time. */
export function readyPeers(tell: (text: string) => void): Readied[] {
  const ready = (name: string, make: () => Readied): Readied => {
    const peer = make();
    tell('reason' in peer ? `${name}: ${peer.reason}` : `${name} ${peer.version} is ready`);
    return peer;
  };
  return [...npmPeers.map((peer) => ready(peer.name, () => readyNpm(peer))), ready('torch', readyTorch)];
}
