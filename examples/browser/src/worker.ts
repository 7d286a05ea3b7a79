/** The worker: a host, by messages. */
import { makeHost } from './host.ts';
import type { ToHost } from './messages.ts';

const answer = makeHost((message) => postMessage(message));
addEventListener('message', ({ data }: MessageEvent<ToHost>) => void answer(data));
