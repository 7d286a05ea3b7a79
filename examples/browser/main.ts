/** Bundles the page and serves it: `example:browser --port 8080`. */
import { parseArgs } from 'node:util';
import { bundle, serve } from '../../browser/test/serve.ts';

const { values } = parseArgs({ options: { port: { type: 'string', default: '8080' } } });
const port = Number(values.port);
if (!Number.isInteger(port) || port < 0 || port > 65535) {
  console.error(`--port takes a number from 0 to 65535, not '${values.port}'`);
  process.exitCode = 2;
} else {
  const files = await bundle(import.meta.dirname);
  try {
    const { url } = await serve(files, port);
    console.log(`${url}/isolated/ (Ctrl-C ends it)`);
  } catch (error) {
    console.error(`the page cannot be served: ${(error as Error).message} (--port takes another port)`);
    process.exitCode = 1;
  }
}
