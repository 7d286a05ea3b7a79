/** The table of results: a row for each backend, filled while it trains. */
import { html } from './dom.ts';
import { labels } from './labels.ts';
import { backendNames, type BackendName, type Cell, type Step } from './messages.ts';
import type { Difference } from './losses.ts';
import { multiples } from './sizes.ts';

const columns = [
  'state',
  'step',
  'tokens/s',
  'loss',
  ...multiples.map((m) => `at ${m}×`),
  'from wasm',
] as const;
/** Steps over which the speed is taken. */
const window = 20;

export class Results {
  readonly #rows = new Map<BackendName, Map<string, HTMLTableCellElement>>();

  constructor(table: HTMLTableElement) {
    const head = ['backend', ...columns].map((text) => html('th', { scope: 'col' }, text));
    const rows = backendNames.map((name) => {
      const cells = columns.map((column) => [column, html('td', {}, '–')] as const);
      this.#rows.set(name, new Map(cells));
      return html(
        'tr',
        { 'data-backend': name },
        html('th', { scope: 'row' }, labels[name]),
        ...cells.map(([, cell]) => cell),
      );
    });
    table.append(html('thead', {}, html('tr', {}, ...head)), html('tbody', {}, ...rows));
  }

  #set(name: BackendName, column: string, text: string): void {
    this.#rows.get(name)!.get(column)!.textContent = text;
  }

  begin(chosen: readonly BackendName[]): void {
    for (const name of backendNames) {
      for (const column of columns) this.#set(name, column, '–');
      if (chosen.includes(name)) this.state(name, 'waits');
    }
  }

  state(name: BackendName, text: string, bad = false): void {
    this.#set(name, 'state', text);
    this.#rows.get(name)!.get('state')!.classList.toggle('bad', bad);
  }

  steps(name: BackendName, steps: readonly Step[], difference: Difference | null): void {
    const last = steps.at(-1)!;
    const earlier = steps.at(-1 - window);
    const tokens = steps.slice(-window).reduce((sum, step) => sum + step.tokens, 0);
    this.#set(name, 'step', String(last.step));
    this.#set(
      name,
      'tokens/s',
      Math.round(tokens / (last.seconds - (earlier?.seconds ?? 0))).toLocaleString('en'),
    );
    this.#set(name, 'loss', last.loss.toFixed(4));
    if (difference) this.#set(name, 'from wasm', `≤ ${difference.largest.toExponential(1)}`);
  }

  cell(name: BackendName, { multiple, exactMatch }: Cell): void {
    this.#set(name, `at ${multiple}×`, `${(100 * exactMatch).toFixed(0)} %`);
  }
}
