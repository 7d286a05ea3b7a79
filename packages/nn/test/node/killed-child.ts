/** Goes on with the run in the folder given, saving after every step; says when it begins, and when it has saved. */
import { Checkpoints } from '@infinigrad/nn/node';
import { makeTrainer } from './killed-run.ts';

const trainer = makeTrainer(new Checkpoints(process.argv[2]!, { keep: 2 }));
trainer.on('save', ({ step }) => void process.stdout.write(`saved ${step}\n`));
await trainer.resume();
process.stdout.write(`from ${trainer.step}\n`);
await trainer.fit();
process.stdout.write('done\n');
