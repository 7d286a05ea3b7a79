/** The process that has the display and the GPU; ends with the line that tells what came of it. */
import { page } from '../../browser/gpu/page.ts';
import { notRun } from './outcome.ts';
import { Count, memoryTrap, only, onlyTraps, runs, tryMemory } from './tries.ts';

const name = 'headlessgl';
const opened = await page.open('headlessgl');
if (typeof opened === 'string') {
  console.log(notRun(name, opened).line);
  process.exit();
}
console.log(`${name}: ${opened.adapter}`);
const count = new Count(name);
for (const one of page.cases.filter(({ op }) => only.test(op)))
  count.addCase(one, await page.tryCase(one, runs));
count.add('training', await page.train());
const megabytes = (): number => Math.round(process.memoryUsage().rss / 2 ** 20);
if (onlyTraps.test(memoryTrap))
  count.add(memoryTrap, await tryMemory(page.takeSteps, megabytes).catch(String));
for (const { name: trap } of page.traps('headlessgl').filter((one) => onlyTraps.test(one.name)))
  count.add(trap, await page.tryTrap(trap));
console.log(count.outcome().line);
process.exit();
