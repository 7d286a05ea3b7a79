/** How commands show what they found. */

/** Where output goes: the process's own, or a test's. */
export interface Io {
  out(text: string): void;
  /** What is alive on the screen, where there is one. */
  readonly stream: NodeJS.WriteStream;
}

export const count = (n: number): string => n.toLocaleString('en');

/** Bytes in the largest unit of which there is one. */
export function bytes(n: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const at = n < 1 ? 0 : Math.min(names.length - 1, Math.floor(Math.log2(n) / 10));
  return at === 0 ? `${n} B` : `${(n / 2 ** (10 * at)).toFixed(1)} ${names[at]}`;
}

export const digits = (n: number): string =>
  Number.isInteger(n) ? String(n) : String(Number(n.toPrecision(5)));

/** Rows under headings, columns as wide as they need; numbers (and what follows `>`) on the right. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = headings.map((heading) => heading.startsWith('>'));
  const all = [headings.map((heading) => heading.replace(/^>/, '')), ...rows];
  const widths = headings.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  return all
    .map((row) =>
      row
        .map((cell, i) => (right[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
