/**
 * Tries every op on every way to a GPU that is at hand, and ends with one line for each: `webgl2: N passed, M failed, K
 * declared absent`, or `webgpu: not run (reason)`; `webgpu in Node` is one of its own. Ways can be named as arguments: node, webgpu, webgl2,
 * headlessgl.
 */
import { tryInChromium } from './chromium.ts';
import { tryHeadless } from './headless.ts';
import { tryInNode } from './node.ts';

const wanted = process.argv.slice(2);
const ways = {
  node: tryInNode,
  webgpu: () => tryInChromium('webgpu'),
  webgl2: () => tryInChromium('webgl2'),
  headlessgl: tryHeadless,
} as const;

const lines: string[] = [];
let failed = false;
for (const [name, run] of Object.entries(ways)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const outcome = await run();
  lines.push(outcome.line);
  failed ||= outcome.failed;
}
console.log(`\n${lines.join('\n')}`);
process.exitCode = failed ? 1 : 0;
