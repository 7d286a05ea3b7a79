/** What the help and the guide tell can be typed as it stands. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli, root, temporaryFolder, writeText } from './support.ts';

const commands = ['train', 'generate', 'eval', 'inspect', 'convert'];
const small = ['--steps', '2', '--batch-size', '2', '--length', '64', '--validation', '0.2'];
const { folder, remove } = temporaryFolder();
const home = process.cwd();
beforeAll(async () => {
  process.chdir(folder);
  writeText(folder);
  const made = await cli('train', '--generator', 'passkey', '--out', 'runs/passkey', ...small);
  expect(made.err).toBe('');
});
afterAll(() => {
  process.chdir(home);
  remove();
});

/** As a shell parts it. */
const words = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c!);

/** A command as it is told, but small: whatever makes a run long is made short. */
async function runs(line: string): Promise<void> {
  const [name, ...args] = words(line);
  expect(name).toBe('infinigrad');
  const training = args[0] === 'train' && !args.includes('--resume');
  const short = args[0] === 'generate' ? ['--max-tokens', '8'] : [];
  const { code, err, out } = await cli(...args, ...(training ? small : short));
  expect(err).toBe('');
  expect(code).toBe(0);
  expect(out).not.toBe('');
}

describe('--help', () => {
  test('lists every command, and each its options and examples', async () => {
    const all = await cli('--help');
    expect([all.code, all.err]).toEqual([0, '']);
    for (const command of commands) {
      expect(all.out).toContain(`\n  ${command} [options]`);
      const { code, out } = await cli(command, '--help');
      expect(code).toBe(0);
      expect(out).toContain(`Usage: infinigrad ${command}`);
      expect(out).toContain('--json');
    }
  });

  test('--version tells that of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'packages/cli/package.json'), 'utf8')) as {
      version: string;
    };
    expect(await cli('--version')).toEqual({ code: 0, out: `${version}\n`, err: '' });
  });

  test('its examples run', async () => {
    for (const command of commands) {
      const { out } = await cli(command, '--help');
      const examples = [...out.matchAll(/^ {2}(infinigrad \S.*?)(?: {2,}.*)?$/gm)].map(([, line]) => line!);
      expect(examples.length).toBeGreaterThanOrEqual(3);
      for (const example of examples) await runs(example);
    }
  });
});

const documents = ['docs/guide/cli.md', 'README.md', 'packages/cli/README.md'];

test.each(documents)('the commands of %s run', async (document) => {
  const own = temporaryFolder();
  const page = readFileSync(join(root, document), 'utf8');
  const blocks = [...page.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) => block!);
  const lines = blocks.flatMap((block) => block.match(/(?<=^npx (-y pnpm@\S+ )?)infinigrad .*$/gm) ?? []);
  expect(lines.length).toBeGreaterThanOrEqual(3);
  process.chdir(own.folder);
  writeText('.');
  writeText('.', 'README.md');
  try {
    for (const line of lines) await runs(line.replace(/ #.*$/, ''));
  } finally {
    process.chdir(folder);
    own.remove();
  }
});
