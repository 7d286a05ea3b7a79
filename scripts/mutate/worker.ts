/** Runs the laws on mutants that the parent sends, and answers with the verdicts. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { derivatives, type Rule } from '@infinigrad/autograd';
import { conventionsHold, gradientHolds, secondGradientHolds } from '@infinigrad/autograd/testing';
import type { OpName } from '@infinigrad/tensor';
import ts from 'typescript';
import { rulesFolder } from './places.ts';
import { tangentsHold } from './tangents.ts';

export interface Task {
  readonly number: number;
  readonly ops: readonly string[];
  /** Relative to the folder of rules. */
  readonly file: string;
  readonly source: string;
}

export interface Verdict {
  readonly number: number;
  /** What noticed, and what it said; null where nothing did. */
  readonly caughtBy: string | null;
}

const table = derivatives as Record<string, Rule>;
/** Beside the packages that the rules import, where nothing is tracked. */
const folder = join(rulesFolder, '../../node_modules/.mutants', String(process.pid));
mkdirSync(folder, { recursive: true });
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** The entries of a mutated file. */
async function load({ number, file, source }: Task): Promise<Record<string, Rule>> {
  const here = source.replaceAll(
    /from '(\.[^']+)'/g,
    (_, path: string) => `from '${pathToFileURL(join(rulesFolder, dirname(file), path)).href}'`,
  );
  const { outputText } = ts.transpileModule(here, {
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
      verbatimModuleSyntax: true,
    },
  });
  const path = join(folder, `${number}.mjs`);
  writeFileSync(path, outputText);
  const exported = (await import(pathToFileURL(path).href)) as Record<string, Record<string, Rule>>;
  return Object.assign({}, ...Object.values(exported).filter((x) => typeof x === 'object')) as Record<
    string,
    Rule
  >;
}

const laws: Readonly<Record<string, (op: OpName) => void>> = {
  gradientHolds: (op) => gradientHolds(op, { seed: 1 }),
  secondGradientHolds: (op) => secondGradientHolds(op, { seed: 1 }),
  conventionsHold,
  tangentsHold,
};

async function judge(task: Task): Promise<Verdict> {
  const { number } = task;
  let entries: Record<string, Rule>;
  try {
    entries = await load(task);
  } catch (error) {
    return { number, caughtBy: `loading: ${String(error)}` };
  }
  for (const op of task.ops) {
    const own = table[op]!;
    table[op] = entries[op] ?? own;
    try {
      for (const [name, law] of Object.entries(laws))
        try {
          law(op as OpName);
        } catch (error) {
          return {
            number,
            caughtBy: `${name}(${op})` + (error instanceof Error ? '' : `: ${String(error)}`),
          };
        }
    } finally {
      table[op] = own;
    }
  }
  return { number, caughtBy: null };
}

process.on('message', (task: Task) => {
  void judge(task).then((verdict) => process.send!(verdict));
});
process.on('disconnect', () => process.exit());
