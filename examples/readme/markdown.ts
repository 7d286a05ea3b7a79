/** What the tests and tools need to know of a Markdown file: its blocks of code, and its marked part. */

export interface Block {
  readonly language: string;
  readonly code: string;
  /** Line of the opening fence, counted from 1. */
  readonly line: number;
}

/** The fenced blocks, in order. */
export function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(({ 1: language, 2: code, index }) => ({
    language: language!,
    code: code!,
    line: markdown.slice(0, index).split('\n').length,
  }));
}

/** The text under a heading, up to the next one of its level or above. @throws Error where there is none */
export function sectionOf(markdown: string, heading: string): string {
  const lines = markdown.split('\n');
  const level = /^#+/.exec(heading)![0].length;
  const start = lines.indexOf(heading);
  if (start < 0) throw new Error(`there is no heading '${heading}'`);
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => new RegExp(`^#{1,${level}} `).test(line));
  return rest.slice(0, end < 0 ? undefined : end).join('\n');
}

const begin = /^<!-- results: .* -->$/m;
const end = '<!-- /results -->';

/** Puts a new text between the marks of the results. @throws Error where they are missing */
export function withResults(markdown: string, results: string): string {
  const mark = begin.exec(markdown);
  const stop = markdown.indexOf(end);
  if (!mark || stop < mark.index) throw new Error('the marks of the results are missing');
  return `${markdown.slice(0, mark.index + mark[0].length)}\n\n${results}\n\n${markdown.slice(stop)}`;
}

/** What stands between them. */
export function resultsOf(markdown: string): string {
  const mark = begin.exec(markdown);
  const stop = markdown.indexOf(end);
  if (!mark || stop < mark.index) throw new Error('the marks of the results are missing');
  return markdown.slice(mark.index + mark[0].length, stop).trim();
}
