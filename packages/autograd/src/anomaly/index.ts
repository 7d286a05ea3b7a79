/** Anomaly detection: the first NaN or infinity that an op makes, forward or backward, is an error that tells where. */
import {
  intercept,
  isFloat,
  NumericError,
  recordOf,
  Tensor,
  ValueError,
  type AttrValue,
  type OpCall,
  type OperandInfo,
  type Storage,
} from '@infinigrad/tensor';
import { Node, sourceOf } from '../graph.ts';
import { setWatcher, type Watcher } from '../watcher.ts';
import { isFinite, rangeOf, rangeText, type Range } from './ranges.ts';
import { here, siteOf } from './site.ts';

const infinite = (value: AttrValue): boolean =>
  Array.isArray(value) ? value.some(infinite) : typeof value === 'number' && Math.abs(value) === Infinity;

/** A tensor that something is made of, and what an error calls it. */
interface Part {
  readonly name: string;
  readonly tensor: Tensor;
}

/** What an error says of something made. */
interface Making {
  readonly op: string;
  /** `in the forward pass`, `in the gradient of input 0`. */
  readonly where: string;
  readonly made: Tensor;
  readonly from: readonly Part[];
  /** Whether an infinity is what was asked for. */
  readonly wanted: boolean;
  readonly site: string | null;
}

class Detector implements Watcher {
  /** Where the calls behind nodes were made. */
  readonly #traces = new WeakMap<Node, Error>();
  /** What holds NaN, and has been reported. */
  readonly #reported = new WeakSet<Storage>();
  /** Inside an op or a derivative rule, of which only the result counts. */
  #inside = false;
  #passes = 0;
  /** The first op inside a derivative rule that has made what is not finite. */
  #inner: { readonly op: string; readonly trace: Error } | null = null;

  readonly see = (call: OpCall, next: (call: OpCall) => Tensor): Tensor => {
    const trace = here();
    const outer = this.#inside;
    this.#inside = true;
    let output: Tensor;
    try {
      output = next(call);
    } finally {
      this.#inside = outer;
    }
    const source = sourceOf(output);
    if (source instanceof Node && !this.#traces.has(source)) this.#traces.set(source, trace);
    const { op, inputs, plan } = call;
    if (recordOf(call.op).kind === 'view' || isFinite(output)) return output;
    if (outer) {
      if (inputs.every(isFinite)) this.#inner ??= { op, trace };
      return output;
    }
    this.#judge({
      op,
      where: this.#passes > 0 ? 'in the backward pass' : 'in the forward pass',
      made: output,
      from: inputs.map((tensor, i) => ({ name: `input ${i}`, tensor })),
      wanted: Object.values(plan.attrs).some(infinite),
      site: siteOf(trace),
    });
    return output;
  };

  recorded(node: Node): void {
    this.#traces.set(node, here());
  }

  during<T>(pass: () => T): T {
    this.#passes++;
    try {
      return pass();
    } finally {
      this.#passes--;
    }
  }

  pull(node: Node, gradients: readonly Tensor[], k: number): Tensor | null {
    const outer = this.#inside;
    this.#inside = true;
    if (!outer) this.#inner = null;
    let g: Tensor | null;
    try {
      g = node.pull(gradients, k);
    } finally {
      this.#inside = outer;
    }
    if (outer || !g || isFinite(g)) return g;
    const saved = [...node.held()].filter((x): x is Tensor => x instanceof Tensor);
    const by = this.#inner ? ` (by ${this.#inner.op}, one of the ops of its rule)` : '';
    this.#judge({
      op: node.op,
      where: `in the gradient of input ${k}${by}`,
      made: g,
      from: [
        ...gradients.map((tensor) => ({ name: 'the gradient of its result', tensor })),
        ...saved.map((tensor) => ({ name: 'a tensor that its rule needs', tensor })),
      ],
      wanted: false,
      site: siteOf(this.#traces.get(node)),
    });
    return g;
  }

  /** @throws NumericError unless what is made is excused by what it is made of */
  #judge({ op, where, made, from, wanted, site }: Making): void {
    const range = rangeOf(made);
    const parts = from
      .filter(({ tensor }) => isFloat(tensor.dtype))
      .map((part) => ({ ...part, range: rangeOf(part.tensor) }));
    const holding = parts.filter(({ range: { nan } }) => nan > 0);
    const operands = [made, ...from.map(({ tensor }) => tensor)];
    if (range.nan > 0 && holding.length > 0) {
      this.#reported.add(made.storage);
      const fresh = holding.filter(({ tensor }) => !this.#reported.has(tensor.storage));
      if (fresh.length === 0) return;
      for (const { tensor } of fresh) this.#reported.add(tensor.storage);
      throw refusal(op, `${fresh[0]!.name} holds NaN already`, range, parts, operands, site, {
        hint: 'it came from outside: data, a parameter, or an op that was called before the detection was on',
      });
    }
    if (range.nan === 0 && (wanted || parts.some(({ range: { infinite: count } }) => count > 0))) return;
    const what = range.nan > 0 ? 'NaN' : 'an infinity';
    throw refusal(op, `made ${what} ${where}`, range, parts, operands, site, {});
  }
}

function refusal(
  op: string,
  problem: string,
  made: Range,
  parts: readonly (Part & { readonly range: Range })[],
  operands: readonly OperandInfo[],
  site: string | null,
  details: { readonly hint?: string },
): NumericError {
  const of = parts.map(({ name, range }) => `${name}: ${rangeText(range)}`);
  const ranges = [`the result: ${rangeText(made)}`, ...of].join('; ');
  const called = site === null ? 'called where the detection was off' : `called at ${site}`;
  return new NumericError(op, `${problem}, ${called}; ${ranges}`, { operands, site, ...details });
}

const detector = new Detector();
let stop: (() => void) | null = null;
let always = false;
let bodies = 0;

function update(): void {
  if (always || bodies > 0) {
    stop ??= intercept(detector.see);
    setWatcher(detector);
  } else {
    stop?.();
    stop = null;
    setWatcher(null);
  }
}

/**
 * Turns anomaly detection on or off. While it is on, the first op that makes a NaN or an infinity throws a NumericError: which
 * op, whether in the forward pass or in the gradient of which of its inputs, where your code called it, and the shapes,
 * dtypes and ranges of what went in. Infinities that were there before, as in a mask, are let pass until one makes
 * NaN. NaN that an input holds already is reported as such, once. Every result is read, so it is slow; off, it costs nothing.
 */
export function setAnomaly(on: boolean): void {
  always = on;
  update();
}

/**
 * Runs `body` (synchronous) with anomaly detection on, and returns what it returns. Calls of `backward` belong inside.
 * @throws NumericError for the first NaN or infinity that an op makes; see `setAnomaly`
 */
export function detectAnomaly<T>(body: () => T): T {
  bodies++;
  update();
  try {
    const result = body();
    if (result instanceof Promise)
      throw new ValueError('detectAnomaly', 'the body is asynchronous', {
        hint: 'use setAnomaly(true) and setAnomaly(false) around it',
      });
    return result;
  } finally {
    bodies--;
    update();
  }
}
