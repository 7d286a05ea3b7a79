/** What docs/guide/proofs.md tells: the right functions keep the laws, and the slips are shown as it prints them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { concat, Key } from '@infinigrad/tensor';
import { gradientHolds, secondGradientHolds } from '@infinigrad/autograd/testing';
import {
  backendsAgree,
  causal,
  equivariant,
  referenceAgrees,
  viewsAgree,
  type Subject,
} from '@infinigrad/tensor/testing';
import { describe, expect, it } from 'vitest';
import * as attention from '../attention.ts';
import * as softcap from '../softcap.ts';

/** Without the last digits, which hosts round as they like. */
const brief = (text: string): string => text.replaceAll(/(\.\d{5})\d+/g, '$1');
const guide = brief(readFileSync(join(import.meta.dirname, '../../../docs/guide/proofs.md'), 'utf8'));

/** The lines of a failure that the guide prints: the smallest case, and what is wrong with it. */
function told(law: (what: Subject, options: { seed: number }) => void, what: Subject): string[] {
  try {
    law(what, { seed: 1 });
  } catch (error) {
    const { message, cause } = error as Error;
    const counterexample = /Counterexample: \[([^]*?)\n(?:,|\])/.exec(message)![1]!;
    return [...counterexample.split('\n'), (cause as Error).message];
  }
  throw new Error('the law holds');
}

describe('softcap', () => {
  const right = softcap.subjectOf(softcap.softcap);
  it('keeps the laws', () => {
    viewsAgree(right);
    referenceAgrees(right);
    backendsAgree(right, { backend: 'wasm' });
    gradientHolds(right);
    secondGradientHolds(right);
  });
  it('with the slip is caught, in the words of the guide', () => {
    const wrong = softcap.subjectOf(softcap.wrongSoftcap);
    viewsAgree(wrong);
    for (const line of told(gradientHolds, wrong)) expect(guide).toContain(brief(line.trim()));
  });
});

describe('attention', () => {
  const right = attention.subjectOf(new attention.Attention());
  it('keeps the laws', () => {
    causal(right);
    gradientHolds(right);
    secondGradientHolds(right, { runs: 20 });
    equivariant(right, ([x]) => ({ inputs: [x!.flip(0)], output: (y) => y.flip(0) }));
  });
  it('that leaks is caught, in the words of the guide, though its gradients are right', () => {
    const leaking = attention.subjectOf(new attention.Attention(true));
    gradientHolds(leaking);
    for (const line of told(causal, leaking)) expect(guide).toContain(brief(line.trim()));
  });
  it('is not symmetric in time, which equivariant would notice', () => {
    const swap = (x: ReturnType<Key['normal']>) => {
      const n = x.shape[1]!;
      return n < 2 ? x : concat([x.narrow(1, 1, n - 1), x.narrow(1, 0, 1)], 1);
    };
    expect(() => equivariant(right, ([x]) => ({ inputs: [swap(x!)], output: swap }))).toThrow(
      'Property failed',
    );
  });
});
