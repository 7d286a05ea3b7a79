/** Where the user's code is. */

/** Stack lines inside the framework, and inside the host. */
const ours =
  /[/\\]packages[/\\](tensor|autograd|nn|zoo)[/\\](src|dist)[/\\]|@infinigrad[/\\](tensor|autograd|nn|zoo)[/\\]|node:internal|\(<anonymous>\)/;

interface StackLimit {
  stackTraceLimit?: number;
}

/** The stack as it is now; its text costs only when it is asked for. */
export function here(): Error {
  const limits = Error as StackLimit;
  const before = limits.stackTraceLimit;
  limits.stackTraceLimit = 60;
  try {
    return new Error('here');
  } finally {
    if (before === undefined) delete limits.stackTraceLimit;
    else limits.stackTraceLimit = before;
  }
}

/** The innermost line of a stack outside the framework; null where there is no stack. */
export function siteOf(trace: Error | undefined): string | null {
  const lines = (trace?.stack ?? '').split('\n').filter((line) => /:\d+/.test(line));
  const line = lines.find((text) => !ours.test(text)) ?? lines.at(-1);
  return line?.trim().replace(/^at /, '') ?? null;
}
