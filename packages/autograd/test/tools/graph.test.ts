/** Graphs as text and as drawings: all that is there, once, the same every time. */
import { readFileSync } from 'node:fs';
import { checkpoint, customGradient, grad, graphSvg, graphText, noGrad } from '@infinigrad/autograd';
import { GradientError, scope, tensor, ValueError, type Tensor } from '@infinigrad/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { figure } from '../../../../scripts/graph-figure.ts';
import { inputs, programs, run } from '../programs.ts';
import { leaf, runs, t, thrownBy } from '../support.ts';
import { onEachKind } from './kinds.ts';

onEachKind(({ leaf: leafOf, dtype }, test) => {
  test('a line for each leaf and call, by name, shape and dtype; what is shared stands once', () => {
    const [x, w] = [leafOf([2, 3]), leafOf([3])];
    const h = x.mul(w);
    const y = scope(() => h.mul(h).add(h.mul(2)).sum(0));
    expect(graphText(y, { names: { x, w, h } })).toBe(
      [
        `x: [2, 3] ${dtype}`,
        `w: [3] ${dtype}`,
        `h = mul(x, w): [2, 3] ${dtype}`,
        `%0 = mul(h, h): [2, 3] ${dtype}`,
        `%1 = mul(h, [] ${dtype}): [2, 3] ${dtype}`,
        `%2 = add(%0, %1): [2, 3] ${dtype}`,
        `%3 = sum(%2) axes: [0], keepDims: false: [3] ${dtype}`,
      ].join('\n'),
    );
  });
  test('the graph of a gradient', () => {
    const x = leafOf([2]);
    x.exp().sum().backward(undefined, { createGraph: true });
    const text = graphText(x.grad!, { names: { x } });
    expect(text).toContain('= exp(x)');
    expect(text).toContain('= mul(');
    const inside: string[] = [];
    grad((y: Tensor) => {
      const z = y.sin().sum();
      inside.push(graphText(z, { names: { y } }));
      return z;
    })(x.detach());
    expect(inside[0]).toContain(`y: [2] ${dtype}\n%0 = sin(y)`);
  });
});

describe('graphText', () => {
  it('shows functions with a gradient of their own, their results, and checkpoints', () => {
    const x = leaf([1, 2]);
    const two = customGradient(
      (y: Tensor) => ({ output: [y.mul(2), y.sum()] as const }),
      ([a, b]) => a.mul(2).add(b),
      { name: 'two' },
    );
    const [a, b] = two(x);
    const w = leaf([3, 4]);
    const y = checkpoint((z: Tensor) => z.exp().mul(w))(a.add(b));
    expect(graphText([y, b], { names: { x, w } })).toBe(
      [
        'x: [2] f64',
        '%0 = two(x) result: 0: [2] f64',
        '%1 = two(x) result: 1: [] f64',
        'w: [2] f64',
        '%2 = add(%0, %1): [2] f64',
        '%3 = checkpoint(w, %2) result: 0: [2] f64',
      ].join('\n'),
    );
  });
  it('names what the user names, and numbers the rest', () => {
    const [a, b] = [leaf([1]), leaf([2])];
    expect(graphText(a.mul(b), { names: { b, c: t([3]) } })).toBe(
      'leaf0: [1] f64\nb: [1] f64\n%0 = mul(leaf0, b): [1] f64',
    );
    expect(graphText(a)).toBe('leaf0: [1] f64');
  });
  it('is still there when the graph has been released', () => {
    const x = leaf([1]);
    const y = x.exp();
    y.sum().backward();
    expect(graphText(y)).toContain('exp(leaf0)');
  });
});

describe('graphSvg', () => {
  const boxes = (svg: string): { x: number; y: number; width: number; height: number }[] =>
    [...svg.matchAll(/<rect [^>]*x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)" height="([\d.]+)"/g)].map(
      (m) => {
        const [x, y, width, height] = m.slice(1).map(Number) as [number, number, number, number];
        return { x, y, width, height };
      },
    );
  it('of any graph has a box for all there is, none on another, all inside, and is the same twice', () => {
    const law = fc.property(programs, fc.nat(), (program, seed) => {
      const y = run(
        program,
        inputs(seed).map((x) => x.requireGrad()),
      );
      const svg = graphSvg(y);
      expect(graphSvg(y)).toBe(svg);
      const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number) as [
        number,
        number,
        number,
      ];
      const all = boxes(svg);
      const lines = graphText(y).split('\n').length;
      const constants = [...svg.matchAll(/>constant</g)].length;
      expect(all).toHaveLength(lines + constants);
      all.forEach((a, i) => {
        expect(a.x >= 0 && a.y >= 0 && a.x + a.width <= width && a.y + a.height <= height).toBe(true);
        for (const b of all.slice(i + 1))
          expect(a.y !== b.y || a.x + a.width < b.x || b.x + b.width < a.x, 'boxes overlap').toBe(true);
      });
      expect(svg).not.toMatch(/NaN|Infinity/);
    });
    fc.assert(law, { numRuns: runs });
  });
  it('has an edge for each input, downwards, and one box for what is used twice', () => {
    const x = leaf([1]);
    const y = x.exp();
    const svg = graphSvg(y.mul(y).add(x), { names: { x } });
    expect(boxes(svg)).toHaveLength(4);
    const edges = [...svg.matchAll(/class="ig-edge" d="M[\d.]+ ([\d.]+).* ([\d.]+)"/g)].map(
      (m) => Number(m[2]) - Number(m[1]),
    );
    expect(edges).toHaveLength(5);
    expect(edges.every((fall) => fall > 0)).toBe(true);
  });
  it('escapes names, and says what is behind a box', () => {
    const x = leaf([1]);
    const svg = graphSvg(x.sum(0), { names: { '<a & "b">': x } });
    expect(svg).toContain('&lt;a &amp; &quot;b&quot;&gt;');
    expect(svg).toContain('<title>axes: [0], keepDims: false</title>');
    expect(svg).toContain('prefers-color-scheme:dark');
  });
  it('is the figure in the guide', () => {
    const file = new URL('../../../../docs/guide/graph.svg', import.meta.url);
    expect(readFileSync(file, 'utf8')).toBe(figure());
  });
});

describe.each([
  ['graphText', graphText],
  ['graphSvg', graphSvg],
])('%s refuses', (name, draw) => {
  it('more nodes than the limit', () => {
    let y = leaf([1]);
    for (let i = 0; i < 499; i++) y = y.neg();
    draw(y);
    const error = thrownBy(() => draw(y.neg()));
    expect(error).toBeInstanceOf(ValueError);
    expect(error.message).toBe(
      `${name}: the graph has more than 500 nodes. Hint: print a smaller part, of one layer say, or raise the limit`,
    );
    draw(y.neg(), { limit: 501 });
    expect(() => draw(y, { limit: 10 })).toThrow('more than 10 nodes');
  });
  it('what has no graph', () => {
    for (const y of [t([1]), noGrad(() => leaf([1]).mul(2)), tensor([1], { dtype: 'i32' })]) {
      const error = thrownBy(() => draw(y));
      expect(error).toBeInstanceOf(GradientError);
      expect(error.message).toContain(`${name}: there is no graph behind it: [1] `);
    }
  });
});
