/** The command line: what each flag asks for, and what each mistake is told. */
import { describe, expect, test } from 'vitest';
import { passkeyRecipe, passkeyVariants } from '@infinigrad/zoo';
import { parseOptions, UsageError } from '../options.ts';
import type { RunPlan } from '../plan.ts';

const parse = (...args: string[]) => parseOptions(args, () => {});
const planOf = (...args: string[]): RunPlan => {
  const request = parse(...args);
  if (request.kind !== 'new') throw new Error('not a new run');
  return request.plan;
};

function usageError(args: readonly string[]): UsageError {
  try {
    parse(...args);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return error as UsageError;
  }
  throw new Error(`accepted: ${args.join(' ')}`);
}

describe('a new run', () => {
  test('without flags: the gated recipe as it was measured, with its control, up to 131,072 tokens', () => {
    expect(parse()).toEqual({
      kind: 'new',
      out: 'runs/gated-seed0',
      plan: {
        recipe: passkeyRecipe('gated'),
        control: true,
        evaluation: { maxLength: 131_072, controlMaxLength: 2048, samples: 16 },
      },
    });
  });

  test('every flag', () => {
    const request = parse(
      ...'--variant published --steps 12 --seed 4294967295 --out here --max-length 512 --samples 3'.split(
        ' ',
      ),
      ...'--batch-size 5 --hidden-size 24 --num-heads 3 --segment-length 16 --digits 2'.split(' '),
      ...'--filler random --learning-rate 2e-3 --no-control'.split(' '),
    );
    expect(request).toEqual({
      kind: 'new',
      out: 'here',
      plan: {
        recipe: passkeyRecipe('published', {
          steps: 12,
          seed: 4_294_967_295,
          batchSize: 5,
          hiddenSize: 24,
          intermediateSize: 64,
          numHeads: 3,
          segmentLength: 16,
          digits: 2,
          filler: 'random',
          learningRate: 0.002,
        }),
        control: false,
        evaluation: { maxLength: 512, controlMaxLength: 512, samples: 3 },
      },
    });
  });

  test('--flag=value, and the -- that some package managers pass on', () => {
    expect(planOf('--', '--steps=7').recipe.steps).toBe(7);
  });

  for (const variant of passkeyVariants)
    test(`--full is the recipe of ${variant} as measured`, () => {
      const { recipe, evaluation } = planOf('--full', '--variant', variant);
      expect(recipe).toEqual(passkeyRecipe(variant));
      expect(evaluation).toEqual({ maxLength: 131_072, controlMaxLength: 131_072, samples: 64 });
    });

  test('what is given wins over --full', () => {
    const { recipe, evaluation } = planOf('--full', '--steps', '9', '--max-length', '512', '--samples', '2');
    expect([recipe.steps, evaluation]).toEqual([9, { maxLength: 512, controlMaxLength: 512, samples: 2 }]);
  });

  test('the folder is named after variant and seed', () => {
    expect(parse('--variant', 'published', '--seed', '3').out).toBe('runs/published-seed3');
  });

  test('the defaults, given, are the defaults', () => {
    const line = '--variant gated --steps 600 --seed 0 --max-length 131072 --samples 16 --batch-size 32';
    const rest = '--hidden-size 64 --num-heads 2 --segment-length 32 --digits 3 --filler cyclic';
    expect(parse(...`${line} ${rest} --learning-rate 0.003`.split(' '))).toEqual(parse());
  });
});

describe('--resume', () => {
  test('takes the run as it is', () => {
    expect(parse('--resume', 'there')).toEqual({ kind: 'resume', out: 'there', evaluation: {} });
  });

  test('may change what is evaluated', () => {
    expect(parse('--resume', 'there', '--max-length', '9', '--samples', '2')).toEqual({
      kind: 'resume',
      out: 'there',
      evaluation: { maxLength: 9, samples: 2 },
    });
  });

  const fixed: readonly (readonly string[])[] = [
    ['--variant', 'gated'],
    ['--steps', '3'],
    ['--seed', '0'],
    ['--out', 'x'],
    ['--batch-size', '32'],
    ['--hidden-size', '64'],
    ['--num-heads', '2'],
    ['--segment-length', '32'],
    ['--digits', '3'],
    ['--filler', 'cyclic'],
    ['--learning-rate', '0.003'],
    ['--no-control'],
    ['--full'],
  ];
  test.each(fixed)('refuses %s', (...flag) => {
    expect(usageError(['--resume', 'there', ...flag.filter(Boolean)]).message).toBe(
      `--resume goes on with the run as it was started; only --max-length and --samples may change, not ${flag[0]}`,
    );
  });
});

describe('mistakes are told in one line, exit code 2', () => {
  const mistakes: readonly (readonly [string, RegExp])[] = [
    ['--foo', /unknown option '--foo'/],
    ['-h', /unknown option '-h'/],
    ['--step 3', /unknown option '--step' \(Did you mean --steps\?\)/],
    ['again', /too many arguments/],
    ['--variant best', /--variant.*'best' is invalid.*published, published-prefix, gated/],
    ['--filler none', /--filler.*'none' is invalid.*cyclic, random/],
    ['--steps', /--steps <n>' argument missing/],
    ['--steps 0', /--steps.*'0' is invalid.*integer from 1 to 1,000,000/],
    ['--steps -3', /--steps.*'-3' is invalid/],
    ['--steps 1.5', /--steps.*integer/],
    ['--steps 1e3', /--steps.*integer/],
    ['--steps 0x10', /--steps.*integer/],
    ['--steps NaN', /--steps.*integer/],
    ['--steps 1000001', /--steps.*integer from 1 to 1,000,000/],
    ['--steps 99999999999999999999', /--steps.*integer/],
    ['--seed 4294967296', /--seed.*integer from 0 to 4,294,967,295/],
    ['--max-length 0', /--max-length.*integer from 1 to 16,777,216/],
    ['--max-length 127', /--max-length 127 is below the training length: give at least 128 tokens/],
    ['--samples 0', /--samples.*integer from 1 to 10,000/],
    ['--samples 10000 --max-length 32768', /--max-length 32768 times --samples 10000 is too much/],
    ['--batch-size 0', /--batch-size.*integer from 1 to 4,096/],
    ['--hidden-size 1', /--hidden-size.*integer from 2 to 4,096/],
    ['--hidden-size 30', /--hidden-size 30 does not divide into --num-heads 2 .*multiple of 4/],
    ['--num-heads 0', /--num-heads.*integer from 1 to 256/],
    ['--num-heads 5', /--hidden-size 64 does not divide into --num-heads 5 .*multiple of 10/],
    ['--segment-length 3', /--segment-length.*integer from 4 to 4,096/],
    ['--segment-length 7', /^a segment of 7 tokens does not hold a key and a query of 3 digits/],
    ['--digits 0', /--digits.*integer from 1 to 32/],
    ['--digits 16', /^a segment of 32 tokens does not hold a key and a query of 16 digits/],
    ['--learning-rate 0', /--learning-rate.*number above 0/],
    ['--learning-rate -1', /--learning-rate.*number above 0/],
    ['--learning-rate Infinity', /--learning-rate.*number above 0/],
    ['--learning-rate fast', /--learning-rate.*number above 0/],
    ['--out --no-control', /--out.*Give a folder/],
    ['--resume --samples 3', /--resume.*Give a folder/],
    ['--variant published-prefix --filler random', /filler prefix is exact for cyclic filler only/],
  ];
  test.each(mistakes)('%s', (line, told) => {
    const error = usageError(line.split(' '));
    expect(error.message).toMatch(told);
    expect(error.message).not.toMatch(/\n|passkey: /);
    expect(error.exitCode).toBe(2);
  });

  test.each([
    ['--out', ''],
    ['--steps', ''],
    ['--learning-rate', ' '],
  ])('%s with nothing', (flag, value) => {
    expect(usageError([flag, value]).message).toContain(flag);
  });
});

describe('--help', () => {
  let text = '';
  test('is text and exit code 0', () => {
    try {
      parseOptions(['--help'], (part) => {
        text += part;
      });
    } catch (error) {
      expect((error as UsageError).exitCode).toBe(0);
    }
    expect(text).toContain('Usage: passkey [options]');
  });

  /** What the text calls the default of a flag, on however many lines. */
  const documented = (flag: string): string =>
    new RegExp(String.raw`${flag} [^(]*\(default:\s([^)]*)\)`).exec(text)![1]!.replaceAll(/\s+/g, ' ');

  test('names the defaults that hold', () => {
    const { recipe, evaluation } = planOf();
    expect({
      variant: documented('--variant'),
      seed: documented('--seed'),
      maxLength: documented('--max-length'),
      samples: documented('--samples'),
      batchSize: documented('--batch-size'),
      hiddenSize: documented('--hidden-size'),
      numHeads: documented('--num-heads'),
      segmentLength: documented('--segment-length'),
      digits: documented('--digits'),
      filler: documented('--filler'),
      learningRate: documented('--learning-rate'),
    }).toEqual({
      variant: recipe.variant,
      seed: String(recipe.seed),
      maxLength: String(evaluation.maxLength),
      samples: String(evaluation.samples),
      batchSize: String(recipe.batchSize),
      hiddenSize: String(recipe.hiddenSize),
      numHeads: String(recipe.numHeads),
      segmentLength: String(recipe.segmentLength),
      digits: String(recipe.digits),
      filler: recipe.filler,
      learningRate: String(recipe.learningRate),
    });
    expect(documented('--steps')).toBe(
      passkeyVariants
        .map((variant) => `${planOf('--variant', variant).recipe.steps} for ${variant}`)
        .join(', '),
    );
  });

  test('fits a terminal of 80 columns', () => {
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });
});
