/** Lengths to evaluate, and the command that resumes. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { passkeyRecipe } from '@infinigrad/zoo';
import { multiplesUpTo, resumeCommand, startCommand, trainingLength } from '../plan.ts';
import { root } from './support.ts';

describe('multiplesUpTo: powers of 4 times the training length, and a longest power of 2', () => {
  const recipe = passkeyRecipe('gated');
  test.each([
    [127, []],
    [128, [1]],
    [511, [1]],
    [512, [1, 4]],
    [32_768, [1, 4, 16, 64, 256]],
    [131_071, [1, 4, 16, 64, 256]],
    [131_072, [1, 4, 16, 64, 256, 1024]],
    [1_048_576, [1, 4, 16, 64, 256, 1024, 4096, 8192]],
    [256, [1, 2]],
    [384, [1]],
  ])('%i tokens', (tokens, multiples) => {
    expect(trainingLength(recipe)).toBe(128);
    expect(multiplesUpTo(recipe, tokens)).toEqual(multiples);
  });

  test('follows the segment length', () => {
    expect(multiplesUpTo(passkeyRecipe('gated', { segmentLength: 16 }), 300)).toEqual([1, 4]);
  });
});

describe('the command that resumes', () => {
  test('starts the package manager that the workspace asks for', () => {
    const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      packageManager: string;
    };
    expect(startCommand).toBe(`npx -y ${packageManager.replace(/\+.*/, '')} start`);
  });

  test.each(['runs/a-1', 'two words', "o'clock", '$HOME `x` "y"', 'a\\b'])('names %s for a shell', (out) => {
    const words = resumeCommand(out).slice(startCommand.length);
    expect(execFileSync('sh', ['-c', `printf '%s|' ${words}`], { encoding: 'utf8' })).toBe(
      `--resume|${out}|`,
    );
  });
});
