/** README.md and the guides do not lie: their TypeScript runs and prints what it says, their paths are there. */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { columns } from '../../passkey/table.ts';
import { startCommand } from '../../passkey/plan.ts';
import { blocksOf, resultsOf, sectionOf, withResults } from '../markdown.ts';

const root = resolve(import.meta.dirname, '../../..');
const guides = join(root, 'docs/guide');
const documents = [
  join(root, 'README.md'),
  ...['tensor', 'autograd', 'nn', 'zoo', 'cli'].map((name) => join(root, 'packages', name, 'README.md')),
  ...readdirSync(guides).map((name) => join(guides, name)),
];
/** Relative to the root. */
const everyDocument = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !name.startsWith('api'))
    .map((name) => join('docs', name)),
];
const readme = readFileSync(documents[0]!, 'utf8');
const run = promisify(execFile);

/** A project of its own, in which the packages are the workspace's sources. */
const project = mkdtempSync(join(tmpdir(), 'infinigrad-readme-'));
afterAll(() => rmSync(project, { recursive: true, force: true }));
symlinkSync(join(root, 'examples/node_modules'), join(project, 'node_modules'));
writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
writeFileSync(
  join(project, 'tsconfig.json'),
  JSON.stringify({
    extends: join(root, 'tsconfig.dev.json'),
    compilerOptions: { typeRoots: [join(root, 'node_modules/@types')] },
    include: ['*.ts'],
    references: [],
  }),
);
const blocks = documents.flatMap((document) =>
  blocksOf(readFileSync(document, 'utf8'))
    .filter(({ language }) => language === 'ts')
    .map(({ code, line }, i) => {
      const name = relative(root, document);
      const file = join(project, `${name.replaceAll(/\W/g, '-')}-${i}.ts`);
      // As many lines down as in the document, so that errors name its lines.
      writeFileSync(file, '\n'.repeat(line) + code);
      return { name: `${name}, line ${line}`, file, code };
    }),
);

describe('the TypeScript in the documents', () => {
  test('is there', () => {
    expect(blocks.some(({ name }) => name.startsWith('README.md'))).toBe(true);
  });

  test('type-checks', async () => {
    const output = await run(join(root, 'node_modules/.bin/tsc'), ['-p', project], { cwd: project }).then(
      () => '',
      (error: { stdout: string }) => error.stdout,
    );
    // What is wrong in the packages themselves is told elsewhere.
    expect(output.split('\n').filter((line) => /^[\w-]+\.ts\(/.test(line))).toEqual([]);
  });

  test.each(blocks)('runs and prints what it says: $name', async ({ file, code }) => {
    const args = [
      '--conditions=@infinigrad/source',
      '--import',
      join(root, 'node_modules/tsx/dist/esm/index.mjs'),
    ];
    const { stdout } = await run(process.execPath, [...args, file], { cwd: project });
    const said = [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text!);
    const plain = (text: string): string => text.replaceAll(/\s/g, '');
    expect(plain(stdout)).toBe(plain(said.join('')));
  });
});

describe('README.md', () => {
  test('gives the two commands', () => {
    const { code } = blocksOf(readme).find(({ language }) => language === 'sh')!;
    expect(code).toContain(startCommand);
    expect(code).toContain(startCommand.replace('start', 'test'));
  });

  test('every path that the tree names is there', () => {
    const [tree] = blocksOf(sectionOf(readme, '## Where things are'));
    const open: string[] = [];
    const lines = tree!.code.trimEnd().split('\n');
    for (const line of lines) {
      const [, indent, name, what] = /^( *)(\S+) +(\S.*)$/.exec(line) ?? [];
      expect(what, `a line without a word on it: ${line}`).toBeDefined();
      open.splice(indent!.length / 2, Infinity, name!);
      expect(existsSync(join(root, ...open)), open.join('')).toBe(true);
    }
    expect(lines.length).toBeGreaterThan(20);
  });

  test('the results are a table of the main job', () => {
    const [block] = blocksOf(resultsOf(readme));
    const lines = block!.code.trimEnd().split('\n');
    const cells = (line: string): string[] => line.trim().split(/ {2,}/);
    expect(cells(lines[0]!)).toEqual(columns);
    const rows = lines.filter((line) => /^ *[\d,]+ +[\d,]+ +(?:start|middle|end)/.test(line));
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) expect(cells(row)).toHaveLength(columns.length);
    expect(withResults(readme, resultsOf(readme))).toBe(readme);
  });
});

describe.each(everyDocument)('%s', (document) => {
  const text = readFileSync(join(root, document), 'utf8');

  test('links to files that are there', () => {
    for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g))
      expect(existsSync(join(root, dirname(document), target!)), target).toBe(true);
  });

  test('names paths that are there', () => {
    for (const [, path] of text.matchAll(/`((?:packages|examples|docs|bench|scripts)\/[\w./-]+)`/g))
      expect(existsSync(join(root, path!)), path).toBe(true);
  });
});
