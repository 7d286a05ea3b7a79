#!/usr/bin/env node
/** The command `infinigrad`. */
import { run } from './program.ts';

// A reader that goes away (`| head`) is no error: nobody is left to be told.
process.stdout.on('error', () => process.exit(1));
process.exitCode = await run(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
  stream: process.stdout,
});
