/** Sees what ops make, and says where the first NaN or infinity was made. */
import {
  BackendError,
  isFloat,
  NumericError,
  recordOf,
  Tensor,
  type AttrValue,
  type OpCall,
  type OperandInfo,
  type Storage,
} from '@infinigrad/tensor';
import { Node, sourceOf } from '../graph.ts';
import type { Watcher } from '../watcher.ts';
import { lookAt, lookNow, rangeLater, rangeText, type Look, type Range } from './ranges.ts';
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

/** Something that has happened; to be judged when the ranges of tensors are known. */
type Judgement = (look: Look) => void;

export class Detector implements Watcher {
  /** Where the calls behind nodes were made. */
  readonly #traces = new WeakMap<Node, Error>();
  /** What holds NaN, and has been reported. */
  readonly #reported = new WeakSet<Storage>();
  /** Inside an op or a derivative rule, of which only the result counts. */
  #inside = false;
  #passes = 0;
  /** The first op inside a derivative rule that has made what is not finite. */
  #inner: { readonly op: string; readonly trace: Error } | null = null;
  /** What is to be judged when elements have come, in order; null where nobody waits for that. */
  #later: { readonly ranges: Promise<ReadonlyMap<Tensor, Range>>; readonly judge: Judgement }[] | null = null;
  /** Of tensors that are read later. */
  readonly #ranges = new WeakMap<Tensor, Promise<Range>>();

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
    if (recordOf(call.op).kind === 'view') return output;
    const where = this.#passes > 0 ? 'in the backward pass' : 'in the forward pass';
    this.#happen([output, ...inputs], (look) => {
      if (look.isFinite(output)) return;
      if (outer) {
        if (inputs.every(look.isFinite)) this.#inner ??= { op, trace };
        return;
      }
      this.#judge(look, {
        op,
        where,
        made: output,
        from: inputs.map((tensor, i) => ({ name: `input ${i}`, tensor })),
        wanted: Object.values(plan.attrs).some(infinite),
        site: siteOf(trace),
      });
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
    const first = gradients[0];
    if (!outer && first) this.#happen([first], () => (this.#inner = null));
    let g: Tensor | null;
    try {
      g = node.pull(gradients, k);
    } finally {
      this.#inside = outer;
    }
    if (outer || !g) return g;
    const made = g;
    const saved = [...node.held()].filter((x): x is Tensor => x instanceof Tensor);
    this.#happen([made, ...gradients, ...saved], (look) => {
      if (look.isFinite(made)) return;
      const by = this.#inner ? ` (by ${this.#inner.op}, one of the ops of its rule)` : '';
      this.#judge(look, {
        op: node.op,
        where: `in the gradient of input ${k}${by}`,
        made,
        from: [
          ...gradients.map((tensor) => ({ name: 'the gradient of its result', tensor })),
          ...saved.map((tensor) => ({ name: 'a tensor that its rule needs', tensor })),
        ],
        wanted: false,
        site: siteOf(this.#traces.get(node)),
      });
    });
    return g;
  }

  /** Judges at once where the elements are in this process, else when they have come. */
  #happen(tensors: readonly Tensor[], judge: Judgement): void {
    const later = tensors.find(({ backend }) => !backend.synchronous);
    if (!later) {
      judge(lookNow);
      return;
    }
    if (!this.#later)
      throw new BackendError('detectAnomaly', `what is made on ${later.backend.name} is read later`, {
        operands: [later],
        hint: 'await detectAnomalyAsync(body)',
      });
    const read = async (x: Tensor): Promise<[Tensor, Range]> => [x, await this.#rangeLater(x)];
    const floats = [...new Set(tensors)].filter(({ dtype }) => isFloat(dtype));
    const ranges = Promise.all(floats.map(read)).then((list) => new Map(list));
    // It may be long before somebody waits for it.
    ranges.catch(() => {});
    this.#later.push({ ranges, judge });
  }

  #rangeLater(x: Tensor): Promise<Range> {
    let range = this.#ranges.get(x);
    if (!range) this.#ranges.set(x, (range = rangeLater(x)));
    return range;
  }

  /** Has what is read later be judged by `settle`. */
  collect(): void {
    this.#later ??= [];
  }

  /** Judges what has been collected. @throws NumericError */
  async settle(): Promise<void> {
    const list = this.#later ?? [];
    this.#later = null;
    for (const { ranges, judge } of list) judge(lookAt(await ranges));
  }

  /** @throws NumericError unless what is made is excused by what it is made of */
  #judge(look: Look, { op, where, made, from, wanted, site }: Making): void {
    const range = look.range(made);
    const parts = from
      .filter(({ tensor }) => isFloat(tensor.dtype))
      .map((part) => ({ ...part, range: look.range(part.tensor) }));
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
