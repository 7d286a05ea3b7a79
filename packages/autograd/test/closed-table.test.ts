/** The derivative table is closed: an op without an entry does not compile, and the compiler says which. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { derivatives } from '@infinigrad/autograd';
import { opNames } from '@infinigrad/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const source = (file: string): string => JSON.stringify(join(root, 'packages/autograd/src', file));
const folder = mkdtempSync(join(tmpdir(), 'infinigrad-closed-table-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What must compile, and what must not, each on a line of its own under a name. */
const right: Record<string, string> = {
  'the table itself': 'DerivativeTable = derivatives',
  'the table entry by entry': 'DerivativeTable = { ...derivatives }',
  'a reason for an absent derivative': "Rule = { kind: 'none', reason: 'a reason' }",
  'the ops of the table are those of tensor': 'Same<keyof DerivativeTable, OpName> = true',
  'the table is declared closed, not as any record': 'Same<typeof derivatives, DerivativeTable> = true',
};
const wrong: Record<string, string> = {
  'an absent derivative without a reason': "Rule = { kind: 'none' }",
  'no derivative at all': 'Rule = null',
  'a differentiable rule that does not say what it saves': "Rule = { kind: 'differentiable', inputs: [] }",
  'a rule that gives a number': 'InputRule = () => 1',
};
const without = (op: string): string =>
  `DerivativeTable = {} as Omit<DerivativeTable, ${JSON.stringify(op)}>`;

/** Diagnostics of the generated file by the name of the line they are on. */
const errors = new Map<string, string>();

beforeAll(() => {
  const lines = [
    ...Object.entries(right),
    ...Object.entries(wrong),
    ...opNames.map((op) => [op, without(op)] as const),
  ];
  const header = [
    `import type { OpName } from ${JSON.stringify(join(root, 'packages/tensor/src/index.ts'))};`,
    `import { derivatives, type DerivativeTable } from ${source('rules/table.ts')};`,
    `import type { InputRule, Rule } from ${source('rules/rule.ts')};`,
    'type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;',
  ];
  const body = lines.map(([, text], i) => `export const line${i}: ${text};`);
  writeFileSync(join(folder, 'generated.mts'), [...header, ...body].join('\n'));
  const compilerOptions = {
    noEmit: true,
    composite: false,
    declaration: false,
    declarationMap: false,
    allowImportingTsExtensions: true,
    rewriteRelativeImportExtensions: false,
    lib: ['ES2023', 'DOM'],
  };
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: join(root, 'tsconfig.base.json'), compilerOptions, files: ['generated.mts'] }),
  );
  for (const [, row, message] of compile().matchAll(
    /^generated\.mts\((\d+),\d+\): error (TS\d+: .*(?:\n {2}.*)*)/gm,
  ))
    errors.set(lines[Number(row) - header.length - 1]?.[0] ?? 'the header', message!);
}, 60_000);

/** What the compiler says of the generated file. */
function compile(): string {
  const from = createRequire(join(root, 'package.json'));
  const tsc = join(dirname(from.resolve('@typescript/native/package.json')), 'bin/tsc');
  try {
    return execFileSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], {
      cwd: folder,
      encoding: 'utf8',
    });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

describe('compiles', () => {
  it('the generated header', () => expect(errors.get('the header')).toBeUndefined());
  it.each(Object.keys(right))('%s', (name) => expect(errors.get(name)).toBeUndefined());
});

describe('does not compile', () => {
  it.each(Object.keys(wrong))('%s', (name) => expect(errors.get(name)).toMatch(/^TS2322|^TS2739|^TS2741/));
  it.each(opNames)('a table without %s, and the error names it', (op) =>
    expect(errors.get(op)).toContain(`Property '${op}' is missing`),
  );
});

it('at run time, too, the table has an entry for every op and none besides', () => {
  expect(Object.keys(derivatives).sort()).toEqual([...opNames].sort());
});
