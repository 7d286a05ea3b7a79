/** The traps that were found in gpu.js and in drivers, and which test would notice the return of each. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

/** What holds, and the tests: of this folder with the words of their titles, of the WebGL page with their names. */
interface Held {
  readonly trap: string;
  readonly by: readonly (readonly [file: string, title: string])[];
}

const values = 'values.test.ts';
const lives = 'lives.test.ts';
const pretend = 'pretend.ts';
const page = '../../../../browser/gpu/traps-values.ts';
const pageLives = '../../../../browser/gpu/traps-lives.ts';

const traps: readonly Held[] = [
  {
    trap: '1: indices of more than 2^24 elements are wrong in silence',
    by: [[values, 'refuses tensors of more than 2^24 elements, and holds as many']],
  },
  {
    trap: '2: quotients of whole numbers may be rounded the wrong way',
    by: [
      [values, 'divides whole numbers exactly'],
      ['pretend.test.ts', 'indices are taken apart rightly'],
      [pretend, 'quotient: (x: number, y: number) => Math.floor(x / y) + slip[division]'],
    ],
  },
  {
    trap: '3: on WebGL a kernel built for one shape reads another as garbage',
    by: [
      [lives, 'makes a kernel for each shape'],
      ['pretend.test.ts', 'makes a kernel for each length of what it reads'],
      [pretend, 'arrays of other lengths'],
      [page, '3: a kernel for each shape'],
    ],
  },
  {
    trap: '4: WGSL takes x !== x for false',
    by: [
      [values, 'knows NaN and the infinities'],
      [pretend, 'WGSL takes x !== x for false'],
    ],
  },
  {
    trap: '5: NaN is lost in max, exp and log; literals of infinities become 3.4e38',
    by: [
      [values, 'knows NaN and the infinities'],
      [pretend, 'literals of them become 3.4e38'],
      [page, '4, 5: NaN and the infinities are known, and come through'],
    ],
  },
  {
    trap: '6: tanh is NaN far out; log1p, expm1 and tanh have few bits near 0; sin far out',
    by: [
      [values, 'computes what drivers get wrong'],
      ['functions.test.ts', '$name from $low to $high is right to $rtol'],
      [page, '6: tanh far out, log1p and its kin near zero, sin far out'],
    ],
  },
  {
    trap: '7: powers of negative numbers are NaN, or of the wrong sign',
    by: [
      [values, 'computes what drivers get wrong'],
      ['pretend.test.ts', 'raises negative numbers to powers without asking the GPU'],
      [pretend, 'pow: (x: number, y: number) => (x > 0 ? x ** y : 8)'],
      [page, '7: powers of negative numbers'],
    ],
  },
  {
    trap: '8: loops are cut at 1,000',
    by: [
      [values, 'goes through loops to their end'],
      [pretend, 'a loop that gpu.js cuts'],
      [page, '8: loops go to their end'],
    ],
  },
  {
    trap: '9: WGSL steps no counter that starts at a float',
    by: [
      [lives, 'add up where they repeat'],
      [pretend, 'a loop that gpu.js cuts'],
      [page, '9: loops whose bounds are computed'],
    ],
  },
  {
    trap: '10: a kernel reads at most seven arrays',
    by: [
      [lives, 'splits a chain that reads more arrays than a kernel can'],
      [pretend, 'arrays.length > this.limits.inputs'],
      [page, '10: more arrays than a kernel reads'],
    ],
  },
  {
    trap: '11: sizes that a grid does not take, and sizes of 0',
    by: [
      [values, 'has larger axes than a grid takes'],
      [values, 'needs no kernel for what is empty'],
      [pretend, 'a grid of'],
    ],
  },
  {
    trap: '12: what is read out of range is some other element',
    by: [
      [lives, 'that the host knows are checked at once'],
      [lives, 'that the GPU has computed are read back, and checked where the result is read'],
      [pretend, 'GPUs read some other element'],
      [page, '12: indices out of range are found on the host, also those that were computed'],
    ],
  },
  {
    trap: '13: what was given back is read on; what a kernel has made dies with it on WebGL',
    by: [
      [lives, 'what was given back'],
      [lives, 'has kernels go while their results live, and builds them again'],
      [pretend, 'a kernel reads what was given back'],
      [pageLives, '13: kernels go while their results live, and are built again'],
      [pageLives, '13: kernels draw after the one that was built last is gone'],
    ],
  },
  {
    trap: '14: memory that is given back is there again only when the queue has drained',
    by: [
      [lives, 'keeps memory flat over 1,000 steps'],
      ['pretend.test.ts', 'lets the GPU catch up where nothing is read'],
      [pageLives, '14: 1,000 steps leave nothing behind'],
    ],
  },
  {
    trap: '15: results of several numbers a thread cannot be read by other kernels',
    by: [[pretend, 'results of several numbers cannot be read by other kernels']],
  },
  {
    trap: '16: nothing can be handed from one instance of gpu.js to another',
    by: [
      [lives, 'is one in a process: asked for again, the same'],
      ['loss.test.ts', 'can be had again, and does not mix with what was lost'],
      [pageLives, '16: tensors of a GPU that was lost do not mix with those of another'],
    ],
  },
  {
    trap: '17: gpu.js goes over to the CPU with no more than a warning',
    by: [
      [lives, 'refuses what gpu.js has run in another mode than was asked for'],
      [lives, 'runs in the mode that was asked for, and says on what'],
      [pageLives, '17: another mode than the chosen one is an error'],
    ],
  },
  {
    trap: '18: what cannot be built is printed as well',
    by: [
      [lives, 'of the driver to build a kernel are not printed'],
      [lives, 'to build a kernel show where the result is read, with the op named'],
      [
        pageLives,
        '18: a kernel that cannot be built is an error where its result is read, with the op named',
      ],
    ],
  },
];

describe('each trap', () => {
  it('is on the list', () => {
    expect(traps.map(({ trap }) => Number(trap.split(':')[0]))).toEqual(
      Array.from({ length: 18 }, (_, i) => i + 1),
    );
  });

  it.each(traps)('has its tests: $trap', ({ by }) => {
    expect(by.length).toBeGreaterThan(0);
    for (const [name, title] of by) {
      const file = resolve(join(import.meta.dirname, name));
      expect(existsSync(file), file).toBe(true);
      expect(readFileSync(file, 'utf8'), name).toContain(title);
    }
  });
});
