/** Typed errors of one form: `op: what is wrong: operands. Hint: what to do.` */

/** What an error says of one operand. */
export interface OperandInfo {
  readonly shape: readonly number[];
  readonly dtype: string;
}

export interface ErrorDetails {
  /** Operands involved, printed as `[2, 3] f32`. */
  readonly operands?: readonly OperandInfo[];
  /** What the caller can do about it. */
  readonly hint?: string;
}

export function describeOperand({ shape, dtype }: OperandInfo): string {
  return `[${shape.join(', ')}] ${dtype}`;
}

/** Base class of every error that infinigrad throws on bad input. */
export class InfinigradError extends Error {
  override readonly name: string = 'InfinigradError';
  readonly op: string;
  /** What is wrong, without the op, the operands and the hint. */
  readonly problem: string;
  readonly operands: readonly OperandInfo[];
  readonly hint: string | undefined;

  constructor(op: string, problem: string, details: ErrorDetails = {}) {
    const operands = (details.operands ?? []).map(({ shape, dtype }) => ({ shape: [...shape], dtype }));
    const listed = operands.length > 0 ? `: ${operands.map(describeOperand).join(', ')}` : '';
    super(`${op}: ${problem}${listed}${details.hint ? `. Hint: ${details.hint}` : ''}`);
    this.op = op;
    this.problem = problem;
    this.operands = operands;
    this.hint = details.hint;
  }
}

/** Shapes that do not fit the op. */
export class ShapeError extends InfinigradError {
  override readonly name: string = 'ShapeError';
}
/** A dtype that the op does not accept. */
export class DTypeError extends InfinigradError {
  override readonly name: string = 'DTypeError';
}
/** An axis or an index outside its range. */
export class IndexError extends InfinigradError {
  override readonly name: string = 'IndexError';
}
/** An argument whose value makes no sense. */
export class ValueError extends InfinigradError {
  override readonly name: string = 'ValueError';
}
/** Use of a tensor whose memory has been given back. */
export class DisposedError extends InfinigradError {
  override readonly name: string = 'DisposedError';
}
/** A backend that is missing, lacks an op, or was mixed with another. */
export class BackendError extends InfinigradError {
  override readonly name: string = 'BackendError';
}
/** A gradient that was asked for and does not exist, or does not hold. */
export class GradientError extends InfinigradError {
  override readonly name: string = 'GradientError';
}
/** A NaN or an infinity where there must be none: what anomaly detection and optimizers throw. */
export class NumericError extends ValueError {
  override readonly name: string = 'NumericError';
  /** Where the op was called, as the stack tells it; null where that is not known. */
  readonly site: string | null;

  constructor(op: string, problem: string, details: ErrorDetails & { readonly site?: string | null } = {}) {
    super(op, problem, details);
    this.site = details.site ?? null;
  }
}
/** A file that cannot be parsed, or is not what it says it is. */
export class FormatError extends InfinigradError {
  override readonly name: string = 'FormatError';
}

/** A value of a wrong kind, as errors name it. */
export function describeValue(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return `the text '${value}'`;
  if (typeof value === 'number' || typeof value === 'boolean') return `the ${typeof value} ${value}`;
  if (typeof value === 'bigint') return `the bigint ${value}n`;
  if (typeof value === 'object' && value !== null) {
    const { name } = (value as object).constructor;
    return name === 'Object' ? 'an object' : `a ${name}`;
  }
  return typeof value === 'function' ? 'a function' : String(value);
}

/** For states that only a bug of ours can reach. */
export function internalError(message: string): Error {
  return new Error(`internal: ${message}`);
}
