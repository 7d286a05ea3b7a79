/**
 * Mutates the derivative table: every rule is altered in turn (a sign, a factor, an operand, an op, an axis, a flag, branches changed
 * round, a reduction or a gradient dropped, a false word on linearity), in memory, and the laws of gradients and tangents are run on
 * the ops concerned. Prints the mutants that nothing notices, with the reason where one is
 * known, and ends with `caught N of M`. Exit code 1 where fewer than 99 % are caught or a survivor has no explanation.
 */
import { fork } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { opNames } from '@infinigrad/tensor';
import { mutantsOf, type Mutant } from './mutants.ts';
import { notRules, rulesFolder } from './places.ts';
import { explained } from './survivors.ts';
import type { Task, Verdict } from './worker.ts';

const [only] = process.argv.slice(2);
const known = new Set<string>(opNames);
const mutants = readdirSync(rulesFolder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !notRules.has(name))
  .toSorted()
  .flatMap((name) => mutantsOf(name, readFileSync(join(rulesFolder, name), 'utf8'), known))
  .filter(({ id }) => only === undefined || id.includes(only));
if (mutants.length === 0) throw new Error(`no mutants${only === undefined ? '' : ` of '${only}'`}`);
console.log(
  `${mutants.length} mutants of the rules of ${new Set(mutants.flatMap(({ ops }) => ops)).size} ops`,
);

const live = process.stderr.isTTY;
const verdicts: (Verdict | undefined)[] = Array.from({ length: mutants.length });
let next = 0;
let judged = 0;

/** A process that judges mutants until there are no more. */
function work(): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = fork(join(import.meta.dirname, 'worker.ts'), { execArgv: process.execArgv });
    const send = (): void => {
      if (next === mutants.length) {
        worker.disconnect();
        return;
      }
      const number = next++;
      const { ops, file, source } = mutants[number]!;
      worker.send({ number, ops, file, source } satisfies Task);
    };
    worker.on('message', (verdict: Verdict) => {
      verdicts[verdict.number] = verdict;
      judged++;
      if (live) process.stderr.write(`\r${judged} of ${mutants.length}`);
      else if (judged % 200 === 0) console.log(`${judged} judged`);
      send();
    });
    worker.on('error', reject);
    worker.on('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`a worker ended with code ${code}`)),
    );
    send();
  });
}

await Promise.all(Array.from({ length: Math.max(1, availableParallelism()) }, work));
if (live) process.stderr.write('\r');

const survivors: Mutant[] = mutants.filter((_, i) => verdicts[i]?.caughtBy === null);
const reasonFor = ({ id }: Mutant): string | undefined => explained.find((row) => row.id.test(id))?.why;
for (const mutant of survivors)
  console.log(`survived (line ${mutant.line}): ${mutant.id}\n  ${reasonFor(mutant) ?? 'NOT EXPLAINED'}`);

for (const kind of new Set(mutants.map((mutant) => mutant.kind))) {
  const of = mutants.filter((mutant) => mutant.kind === kind);
  const left = survivors.filter((mutant) => mutant.kind === kind);
  console.log(`${kind}: ${of.length - left.length} of ${of.length}`);
}
const caught = mutants.length - survivors.length;
const unexplained = survivors.filter((mutant) => reasonFor(mutant) === undefined).length;
if (caught < 0.99 * mutants.length || unexplained > 0) process.exitCode = 1;
if (unexplained > 0) console.log(`${unexplained} survivors have no explanation`);
console.log(`caught ${caught} of ${mutants.length}`);
