/** Draws docs/guide/graph.svg: node --conditions=@infinigrad/source --import tsx scripts/graph-figure.ts */
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { graphSvg } from '../packages/autograd/src/index.ts';
import { zeros } from '../packages/tensor/src/index.ts';

/** One layer, its loss, and weight decay. */
export function figure(): string {
  const x = zeros([8, 4]);
  const w = zeros([4, 2]).requireGrad();
  const b = zeros([2]).requireGrad();
  const h = x.matmul(w).add(b);
  const loss = h.gelu().square().mean().add(w.square().sum().mul(0.01));
  return graphSvg(loss, { names: { w, b, h, loss } });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  writeFileSync(new URL('../docs/guide/graph.svg', import.meta.url), figure());
