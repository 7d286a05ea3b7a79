// Node 20 does not hand the loader of the main thread on to workers.
import { register } from 'tsx/esm/api';

register();
await import('./worker.ts');
