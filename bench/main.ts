/** Measures: `pnpm bench --help`. Each part of a benchmark runs in a process of its own, one after the other. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { infoOf, type BenchmarkName } from './benchmarks.ts';
import { parseOptions, UsageError, type Options } from './options.ts';
import { ownPeer } from './own/peer.ts';
import type { Peer } from './peers/peer.ts';
import { readyPeers } from './peers/ready.ts';
import { disagreements, wrongDecoding, wrongLosses } from './report/agreement.ts';
import { writeDay, writePlain } from './report/files.ts';
import { Findings } from './report/rows.ts';
import { asText, tablesOf } from './report/tables.ts';
import { bareStart, buildPackages, coldStart } from './run/cold.ts';
import { machine, pinTo, type Pin } from './run/machine.ts';
import { runProgram, stopProgram } from './run/process.ts';
import { writeWork } from './workload/folder.ts';
import { settingsOf, type Settings } from './workload/settings.ts';

const progress = (text: string): void => void process.stderr.write(`${text}\n`);

/** One benchmark of one peer. */
async function measure(
  name: BenchmarkName,
  peer: Peer,
  ours: boolean,
  {
    folder,
    settings,
    pin,
    findings,
  }: Readonly<{ folder: string; settings: Settings; pin: Pin; findings: Findings }>,
): Promise<void> {
  const hear = findings.listener(peer.name);
  const broken = ours ? buildPackages() : null;
  if (broken !== null) {
    findings.faults.push(`${name}: ${broken}`);
    return;
  }
  if (name === 'cold') {
    if (ours) bareStart(settings.cold.runs, pin, hear);
    coldStart(peer, settings.cold.runs, pin, hear);
    return;
  }
  const { parts, peerParts } = infoOf(name);
  for (const part of (ours ? parts : (peerParts ?? parts)) ?? [name]) {
    const { failure } = await runProgram(peer.program(part, folder), pin, hear);
    if (failure === null) continue;
    hear({ name, missing: failure });
    if (ours) findings.faults.push(`${part}: ${failure}`);
  }
}

/** How the benchmarks were called, without where figures were written to. */
function commandOf(): string {
  const args = process.argv
    .slice(2)
    .filter((arg, i, all) => arg !== '--' && !/^--json\b/.test(arg) && all[i - 1] !== '--json');
  return ['pnpm bench', ...args].join(' ');
}

async function run(options: Options): Promise<number> {
  const { only, check, threads, json } = options;
  const settings = settingsOf(options, check);
  const us = ownPeer(options.backend);
  const pin = pinTo(threads);
  const findings = new Findings({
    started: new Date().toISOString(),
    command: commandOf(),
    threads,
    pinned: pin.told,
  });
  const folder = mkdtempSync(join(tmpdir(), 'infinigrad-bench-'));
  const tidy = (): void => rmSync(folder, { recursive: true, force: true });
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.once(signal, () => {
      stopProgram();
      tidy();
      process.exit(code);
    });
  try {
    writeWork(folder, only, settings);
    const readied = options.peers ? readyPeers(progress) : [];
    const peers = [us, ...readied.filter((peer): peer is Peer => 'program' in peer)];
    for (const peer of readied)
      if ('reason' in peer) findings.note(`${peer.name} is not measured: ${peer.reason}`);
    const jobs = only.flatMap((name) =>
      peers.filter((peer) => peer === us || !infoOf(name).alone).map((peer) => ({ name, peer })),
    );
    for (const [i, { name, peer }] of jobs.entries()) {
      const started = performance.now();
      const told = findings.rows.length;
      await measure(name, peer, peer === us, { folder, settings, pin, findings });
      const seconds = ((performance.now() - started) / 1e3).toFixed(1);
      progress(
        `[${i + 1}/${jobs.length}] ${name}, ${peer.name}: ${findings.rows.length - told} figures in ${seconds} s`,
      );
    }
    findings.faults.push(
      ...wrongLosses(findings.rows),
      ...wrongDecoding(findings.rows, us.name),
      ...disagreements(findings.rows, us.name),
    );
    console.log(`${tablesOf(findings.rows, findings.gaps, us.name).map(asText).join('\n\n')}\n`);
    for (const note of [...findings.notes, pin.told]) console.log(note);
    if (json !== null) writePlain(json, findings.plain());
    if (options.write) {
      const about = {
        date: findings.run.started.slice(0, 10),
        machine: machine(),
        peers: Object.fromEntries(peers.map((peer) => [peer.name, peer.version])),
      };
      for (const path of writeDay(import.meta.dirname, findings, about, us.name))
        console.log(`written: ${path}`);
    } else if (!check) console.log('RESULTS.md is as it was: --write puts these figures into it');
    for (const fault of findings.faults) console.error(`\n!!! ${fault}`);
    if (check && findings.faults.length === 0) console.log('check: all as it must be');
    return findings.faults.length === 0 ? 0 : 1;
  } finally {
    tidy();
  }
}

let options: Options | null = null;
try {
  options = parseOptions(process.argv.slice(2), (text) => process.stdout.write(text));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  if (error.exitCode !== 0) process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
if (options) process.exitCode = await run(options);
