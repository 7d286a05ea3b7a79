/** Shows a running session: alive in a terminal, plain lines anywhere else. */
import type { RunEvent } from '../events.ts';
import type { RunRequest } from '../plan.ts';
import { headline } from './format.ts';
import { liveView } from './live.ts';
import { plainView } from './plain.ts';
import { Progress } from './progress.ts';

export interface Display {
  show(event: RunEvent): void;
  /** A line that stays. */
  note(text: string): void;
  /** Stops the display; a last text stays. */
  end(text?: string): void;
}

/** What a way of showing has to do. */
export interface View {
  /** Something has happened; `progress` already counts it. */
  update(event: RunEvent): void;
  /** Called often, also while nothing happens. */
  tick(): void;
  line(text: string): void;
  end(): void;
}

export function createDisplay(stream: NodeJS.WriteStream, request: RunRequest): Display {
  const progress = new Progress();
  const view: View = stream.isTTY ? liveView(stream, progress) : plainView(stream, progress);
  view.line(headline(request));
  const timer = setInterval(() => view.tick(), 100);
  let ended = false;
  return {
    show(event) {
      if (ended) return;
      progress.add(event);
      view.update(event);
    },
    note: (text) => view.line(text),
    end(text) {
      if (ended) return;
      ended = true;
      clearInterval(timer);
      view.end();
      if (text !== undefined) stream.write(`${text}\n`);
    },
  };
}
