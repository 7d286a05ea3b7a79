/** Errors: one form, typed, with their parts as fields, thrown by the op that was called. */
import * as tensorModule from '@infinigrad/tensor';
import {
  BackendError,
  describeOperand,
  DisposedError,
  DTypeError,
  FormatError,
  GradientError,
  IndexError,
  InfinigradError,
  internalError,
  NumericError,
  opNames,
  ShapeError,
  tensor,
  ValueError,
  zeros,
} from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';

const kinds = {
  InfinigradError,
  ShapeError,
  DTypeError,
  IndexError,
  ValueError,
  DisposedError,
  BackendError,
  GradientError,
  FormatError,
  NumericError,
};

describe('the form', () => {
  const operands = [
    { shape: [2, 3], dtype: 'f32' },
    { shape: [], dtype: 'i32' },
  ];
  it.each(Object.entries(kinds))('of %s: op: what: operands. Hint: what to do', (name, Kind) => {
    const error = new Kind('someOp', 'does not fit', { operands, hint: 'make it fit' });
    expect(error.message).toBe('someOp: does not fit: [2, 3] f32, [] i32. Hint: make it fit');
    expect(String(error)).toBe(`${name}: ${error.message}`);
    expect(error).toBeInstanceOf(InfinigradError);
    expect(error).toBeInstanceOf(Error);
    expect([error.name, error.op, error.operands, error.hint]).toEqual([
      name,
      'someOp',
      operands,
      'make it fit',
    ]);
    expect(error.stack).toContain('errors.test.ts');
  });
  it.each(Object.values(kinds))('leaves out what there is not', (Kind) => {
    expect(new Kind('someOp', 'is wrong').message).toBe('someOp: is wrong');
    expect(new Kind('someOp', 'is wrong', { hint: 'do this' }).message).toBe(
      'someOp: is wrong. Hint: do this',
    );
    expect(new Kind('someOp', 'is wrong', { operands }).message).toBe('someOp: is wrong: [2, 3] f32, [] i32');
    const bare = new Kind('someOp', 'is wrong');
    expect([bare.operands, bare.hint]).toEqual([[], undefined]);
  });
  it('every error class that is exported is one of them', () => {
    const exported = Object.entries(tensorModule).filter(
      ([, value]) => typeof value === 'function' && value.prototype instanceof Error,
    );
    expect(exported.map(([name]) => name).sort()).toEqual(Object.keys(kinds).sort());
  });
  it('NumericError tells the place, where it is known', () => {
    expect(new NumericError('log', 'made NaN', { site: 'model.ts:3:4' }).site).toBe('model.ts:3:4');
    expect(new NumericError('log', 'made NaN').site).toBeNull();
  });
  it('keeps shape and dtype of the operands, not the tensors', () => {
    const x = tensor([1, 2]);
    const error = new ShapeError('someOp', 'is wrong', { operands: [x] });
    expect(error.operands).toEqual([{ shape: [2], dtype: 'f32' }]);
    expect(JSON.parse(JSON.stringify(error.operands))).toEqual([{ shape: [2], dtype: 'f32' }]);
  });
  it('describes an operand by shape and dtype', () => {
    expect([zeros([2, 0]), tensor(true)].map(describeOperand)).toEqual(['[2, 0] f32', '[] bool']);
  });
  it('marks our own mistakes', () => {
    const error = internalError('a state that cannot be');
    expect(error.message).toBe('internal: a state that cannot be');
    expect(error).not.toBeInstanceOf(InfinigradError);
  });
});

describe('thrown', () => {
  it('is the typed error of the op called, with both operands', () => {
    try {
      tensor([1, 2, 3]).add(zeros([2, 4], { dtype: 'f64' }));
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ShapeError);
      const { op, operands, message } = error as ShapeError;
      expect([op, operands]).toEqual([
        'add',
        [
          { shape: [3], dtype: 'f64' },
          { shape: [2, 4], dtype: 'f64' },
        ],
      ]);
      expect(message).toMatch(/^add: shapes do not broadcast .*: \[3\] f64, \[2, 4\] f64\. Hint: /);
    }
  });
  it('can be told apart by name where classes are not at hand', () => {
    const names = [
      () => zeros([2]).matmul(zeros([3])),
      () => tensor([true]).neg(),
      () => zeros([2]).sum(1),
      () => zeros([2]).clip(1, 0),
    ].map((body) => {
      try {
        body();
      } catch (error) {
        return (error as Error).name;
      }
      return 'none';
    });
    expect(names).toEqual(['ShapeError', 'DTypeError', 'IndexError', 'ValueError']);
  });
  it('names an op that exists, in every error row of the table', () => {
    // The rows themselves are run in ops/laws.test.ts; here only the kinds they name.
    for (const op of opNames)
      for (const { error } of tensorModule.recordOf(op).errors) expect(Object.keys(kinds)).toContain(error);
  });
});
