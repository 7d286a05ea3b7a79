/** Builds the body of one function: statements in order, with structured control. */
import {
  appendBytes,
  appendCode,
  typeBytes,
  unsigned,
  type Action,
  type Callee,
  type Code,
  type Local,
  type Value,
  type ValueType,
} from './code.ts';
import { i32, type I32 } from './instructions.ts';

/** A place to branch to: the start of a loop, or the end of a block. */
export interface Label {
  readonly depth: number;
}

export class FunctionBuilder implements Callee {
  readonly name: string;
  readonly params: readonly ValueType[];
  readonly result: ValueType | null;
  index = -1;
  readonly #locals: ValueType[] = [];
  readonly #preamble: Code[number][] = [];
  readonly #body: Code[number][] = [];
  readonly #hoisted = new Map<string, Local>();
  #depth = 0;

  constructor(name: string, params: readonly ValueType[], result: ValueType | null = null) {
    this.name = name;
    this.params = params;
    this.result = result;
  }

  /** The i-th parameter, which can be set like a local. */
  param<T extends ValueType>(i: number, type: T): Local<T> {
    return this.#localAt(i, type);
  }

  /** A new local, 0 at first. */
  local<T extends ValueType>(type: T): Local<T> {
    this.#locals.push(type);
    return this.#localAt(this.params.length + this.#locals.length - 1, type);
  }

  #localAt<T extends ValueType>(index: number, type: T): Local<T> {
    return { type, index, code: [0x20, ...unsigned(index)] };
  }

  /** A new local that holds a value. */
  let<T extends ValueType>(value: Value<T>): Local<T> {
    const local = this.local(value.type);
    this.set(local, value);
    return local;
  }

  set<T extends ValueType>(local: Local<T>, value: Value<T>): void {
    this.#body.push(value.code, 0x21, unsigned(local.index));
  }

  /** A local that holds a value from the function's start on; one key names one value. */
  hoist<T extends ValueType>(key: string, value: () => Value<T>): Local<T> {
    const known = this.#hoisted.get(key);
    if (known) return known as Local<T>;
    const made = value();
    const local = this.local(made.type);
    this.#preamble.push(made.code, 0x21, unsigned(local.index));
    this.#hoisted.set(key, local);
    return local;
  }

  do(action: Action): void {
    this.#body.push(action.code);
  }

  /** Leaves the function with a value. */
  return(value: Value): void {
    this.#body.push(value.code, 0x0f);
  }

  #structure(opcode: number, body: (label: Label) => void, otherwise?: (label: Label) => void): void {
    this.#body.push(opcode, 0x40);
    const label = { depth: ++this.#depth };
    body(label);
    if (otherwise) {
      this.#body.push(0x05);
      otherwise(label);
    }
    this.#depth--;
    this.#body.push(0x0b);
  }

  /** Runs once; branching to the label leaves it. */
  block(body: (out: Label) => void): void {
    this.#structure(0x02, body);
  }

  /** Runs once; branching to the label starts it again. */
  loop(body: (again: Label) => void): void {
    this.#structure(0x03, body);
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    this.#body.push(condition.code);
    this.#structure(0x04, then, otherwise);
  }

  branchIf(label: Label, condition: I32): void {
    this.#body.push(condition.code, 0x0d, unsigned(this.#depth - label.depth));
  }

  /** Adds to an i32 local. */
  advance(local: Local<'i32'>, by: number | I32): void {
    this.set(local, i32.add(local, typeof by === 'number' ? i32.const(by) : by));
  }

  /** The body as often as `count` says, which is left at 0; not at all where it is 0. */
  times(count: Local<'i32'>, body: () => void): void {
    this.if(count, () =>
      this.loop((again) => {
        body();
        this.advance(count, -1);
        this.branchIf(again, count);
      }),
    );
  }

  /** The body for each full `step` left in `count`, which is left at the rest. */
  steps(count: Local<'i32'>, step: number, body: () => void): void {
    this.if(i32.ge(count, i32.const(step)), () =>
      this.loop((again) => {
        body();
        this.advance(count, -step);
        this.branchIf(again, i32.ge(count, i32.const(step)));
      }),
    );
  }

  /** The function as the code section has it, with the numbers of its callees in place. */
  encode(): number[] {
    const runs: [count: number, type: ValueType][] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last?.[1] === type) last[0]++;
      else runs.push([1, type]);
    }
    const body = unsigned(runs.length);
    for (const [count, type] of runs) appendBytes(body, [...unsigned(count), typeBytes[type]]);
    appendCode(body, this.#preamble);
    appendCode(body, this.#body);
    body.push(0x0b);
    const bytes = unsigned(body.length);
    appendBytes(bytes, body);
    return bytes;
  }
}
