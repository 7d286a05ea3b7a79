import { describe, expect, it } from 'vitest';
import { experimentNames } from '../experiments.ts';
import { parseOptions, UsageError } from '../options.ts';

const parse = (...argv: string[]) => parseOptions(argv, () => {});

describe('parseOptions', () => {
  it('has defaults', () => {
    expect(parse('bert')).toEqual({ names: ['bert'], seed: 0, quick: false, out: 'runs/objectives' });
  });

  it('takes several names once each, or all', () => {
    expect(parse('--', 't5', 'gpt', 't5', '--steps', '7', '--seed', '3', '--out', 'x')).toEqual({
      names: ['t5', 'gpt'],
      seed: 3,
      steps: 7,
      quick: false,
      out: 'x',
    });
    expect(parse('all', '--quick')).toMatchObject({ names: experimentNames, quick: true });
  });

  it('writes help that names every experiment', () => {
    let text = '';
    expect(parseOptions(['--help'], (more) => (text += more))).toBeNull();
    for (const name of experimentNames) expect(text).toContain(`  ${name} `);
  });

  it.each([
    [[], /missing required argument/],
    [['gpt5'], /Allowed choices are bert, t5/],
    [['bert', '--steps', '0'], /Give an integer from 1 to 1,000,000/],
    [['bert', '--seed', '-1'], /Give an integer from 0/],
    [['bert', '--quick', '--steps', '3'], /either --quick or --steps/],
    [['bert', '--fast'], /unknown option '--fast'/],
  ])('refuses %j', (argv, message) => {
    expect(() => parse(...argv)).toThrow(UsageError);
    expect(() => parse(...argv)).toThrow(message);
  });
});
