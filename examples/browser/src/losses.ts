/** The losses of each step side by side, and how far they are from those of the wasm backend. */
import { html } from './dom.ts';
import { labels } from './labels.ts';
import type { BackendName, Step } from './messages.ts';

export interface Difference {
  readonly largest: number;
  readonly step: number;
}

const signed = (x: number): string => (x === 0 ? '0' : `${x > 0 ? '+' : ''}${x.toExponential(1)}`);

export class Losses {
  readonly #steps = new Map<BackendName, Step[]>();
  readonly #table: HTMLTableElement;
  readonly #rows: HTMLTableRowElement[] = [];
  #columns: readonly BackendName[] = [];

  constructor(table: HTMLTableElement) {
    this.#table = table;
    this.begin(['wasm']);
  }

  /** Empties it. @param backends one column each; another for the difference where there is a wasm to differ from */
  begin(backends: readonly BackendName[]): void {
    this.#columns = backends;
    this.#steps.clear();
    this.#rows.length = 0;
    for (const name of backends) this.#steps.set(name, []);
    const heads = backends.flatMap((name) => [labels[name], ...(this.#differs(name) ? ['difference'] : [])]);
    this.#table.replaceChildren(
      html(
        'thead',
        {},
        html('tr', {}, ...['step', ...heads].map((head) => html('th', { scope: 'col' }, head))),
      ),
      html('tbody'),
    );
  }

  #differs(name: BackendName): boolean {
    return name !== 'wasm' && this.#columns.includes('wasm');
  }

  stepsOf(name: BackendName): readonly Step[] {
    return this.#steps.get(name) ?? [];
  }

  add(name: BackendName, step: Step): void {
    const steps = this.#steps.get(name)!;
    const at = steps.push(step) - 1;
    const row = (this.#rows[at] ??= this.#newRow(step.step));
    const column =
      1 + this.#columns.slice(0, this.#columns.indexOf(name)).reduce((n, one) => n + this.#width(one), 0);
    row.cells[column]!.textContent = step.loss.toFixed(6);
    const wasm = this.#steps.get('wasm')?.[at];
    if (this.#differs(name) && wasm) row.cells[column + 1]!.textContent = signed(step.loss - wasm.loss);
  }

  #width(name: BackendName): number {
    return this.#differs(name) ? 2 : 1;
  }

  #newRow(step: number): HTMLTableRowElement {
    const count = this.#columns.reduce((n, name) => n + this.#width(name), 0);
    const cells = Array.from({ length: count }, () => html('td'));
    const row = html('tr', {}, html('th', { scope: 'row' }, String(step)), ...cells);
    this.#table.tBodies[0]!.append(row);
    return row;
  }

  /** The largest difference from wasm over the steps that both have, or null where there are none. */
  difference(name: BackendName): Difference | null {
    if (!this.#differs(name)) return null;
    const wasm = this.stepsOf('wasm');
    let found: Difference | null = null;
    this.stepsOf(name).forEach(({ loss, step }, i) => {
      if (!wasm[i]) return;
      const apart = Math.abs(loss - wasm[i].loss);
      if (!found || apart > found.largest) found = { largest: apart, step };
    });
    return found;
  }
}
