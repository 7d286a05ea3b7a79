// What the JavaScript peers share: the work, the clock and the way of telling. Runs beside the peer's own node_modules.
import { openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';

const [part, folder] = process.argv.slice(2);
export const benchmark = part;
export const work = JSON.parse(readFileSync(join(folder, 'workload.json'), 'utf8'));
const { sampling, steps: amounts } = work.settings;
const inputs = openSync(join(folder, 'inputs.bin'), 'r');

/** @returns {{ shape: number[], data: Float32Array | Int32Array }} */
export function read(name) {
  const { shape, dtype, offset } = work.tensors[name];
  const length = shape.reduce((a, b) => a * b, 1);
  const data = dtype === 'i32' ? new Int32Array(length) : new Float32Array(length);
  readSync(inputs, data, 0, data.byteLength, offset);
  return { shape, data };
}

export const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const reasonOf = (error) =>
  String(error?.message ?? error)
    .split('\n')[0]
    .slice(0, 200);

/** Median milliseconds of a call, awaited; short ones are timed several at a time. */
async function timeOf(call) {
  for (let i = 0; i < sampling.warmups; i++) await call();
  const first = performance.now();
  await call();
  const once = performance.now() - first;
  const atOnce = Math.max(1, Math.ceil(5 / Math.max(once, 1e-3)));
  const times = [];
  const cpu = process.cpuUsage();
  const started = performance.now();
  while (times.length < sampling.minSamples || performance.now() - started < sampling.seconds * 1e3) {
    const before = performance.now();
    for (let i = 0; i < atOnce; i++) await call();
    times.push((performance.now() - before) / atOnce);
  }
  const { user, system } = process.cpuUsage(cpu);
  return { ms: median(times), cpu: (user + system) / 1e3 / (performance.now() - started) };
}

/**
 * Times single ops.
 * @param prepare (case) → { call, check }: what to time, and a number that all peers agree on
 */
export async function micro(prepare) {
  for (const one of (work.cases[benchmark] ?? []).filter(({ alone }) => !alone)) {
    const { name, flops, micro: fine } = one;
    try {
      const { call, check } = await prepare(one);
      const agreed = await check();
      const { ms, cpu } = await timeOf(call);
      const time = fine ? { value: ms * 1e3, unit: 'µs' } : { value: ms, unit: 'ms' };
      const figure = flops === undefined ? time : { value: flops / ms / 1e6, unit: 'GFLOP/s' };
      say({ name, ...figure, cpu, check: agreed });
    } catch (error) {
      say({ name, missing: reasonOf(error) });
    }
  }
}

const resident = () => process.memoryUsage.rss() / 2 ** 20;
const peak = () => process.resourceUsage().maxRSS / 1024;

/** The GPT that a benchmark trains. */
export const gptName = benchmark === 'gpt-large' ? 'large' : 'small';

/**
 * Trains, and tells speed and losses, or with `memory` what is resident.
 * @param step (x, y, number from 1) → the loss, when all of the step is done
 */
export async function train(step) {
  const watching = benchmark === 'memory';
  const steps = watching ? amounts.memory : amounts[gptName];
  const { batch, length } = work.gpts[gptName];
  const [x, y] = [read(`${gptName}/x`), read(`${gptName}/y`)];
  const cut = ({ data }, i) => data.slice(i * batch * length, (i + 1) * batch * length);
  const times = [];
  const losses = [];
  if (watching) say({ name: 'memory/training: resident before', value: resident(), unit: 'MB' });
  const cpu = process.cpuUsage();
  const started = performance.now();
  for (let i = 0; i < steps; i++) {
    const before = performance.now();
    losses.push(await step(cut(x, i), cut(y, i), i + 1));
    times.push(performance.now() - before);
    if (watching && [1, 10, 50, 100, 200, 300].includes(i + 1))
      say({ name: `memory/training: resident at step ${i + 1}`, value: resident(), unit: 'MB' });
  }
  if (watching) return say({ name: 'memory/training: peak', value: peak(), unit: 'MB' });
  const { user, system } = process.cpuUsage(cpu);
  const share = (user + system) / 1e3 / (performance.now() - started);
  const ms = median(times.slice(Math.min(amounts.untimed, steps - 1)));
  const row = `gpt-${gptName}`;
  say({ name: `${row}/step`, value: ms, unit: 'ms', cpu: share });
  say({ name: `${row}/tokens`, value: ((batch * length) / ms) * 1e3, unit: 'tokens/s', cpu: share });
  say({ name: `${row}/first step`, value: times[0], unit: 'ms' });
  for (const at of [1, 10, 100])
    if (at <= steps) say({ name: `${row}/loss at ${at}`, value: losses[at - 1], unit: 'nats' });
}

/** Times greedy decoding with cached keys and values. @param run (first token, count) → the tokens */
export async function decode(run) {
  const { tokens, warmups, runs } = work.settings.decode;
  const first = work.gpts.small.firstToken;
  const times = [];
  let check = 7;
  for (let i = 0; i < 1 + warmups + runs; i++) {
    const before = performance.now();
    const out = await run(first, tokens);
    times.push(performance.now() - before);
    if (i === 0) check = out.reduce((hash, token) => (hash * 31 + token) % 1_000_003, 7);
  }
  const rate = (time) => (tokens / time) * 1e3;
  const name = 'decode/cached keys and values';
  say({ name: `${name}, the first time`, value: rate(times[0]), unit: 'tokens/s', check });
  say({ name, value: rate(median(times.slice(1 + warmups))), unit: 'tokens/s', check });
}

/** Runs what the benchmark asks for; a failure is told as what is missing. */
export async function main({ prepare, trainer, decoder }) {
  say({ threads: 1 });
  try {
    if (benchmark.startsWith('gpt') || benchmark === 'memory') await train(await trainer());
    else if (benchmark === 'decode') await decode(await decoder());
    else await micro(prepare);
  } catch (error) {
    say({ name: benchmark, missing: reasonOf(error) });
  }
  process.exit(0);
}
