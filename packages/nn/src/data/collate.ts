/** From samples to a batch. */
import { describeValue, fromData, ShapeError, stack, Tensor, tensor, ValueError } from '@infinigrad/tensor';

type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;
/** What `collate` takes: tensors, typed arrays, numbers, truth values and texts, in arrays and plain objects. */
export type Sample =
  | Tensor
  | Numbers
  | number
  | boolean
  | string
  | readonly Sample[]
  | { readonly [key: string]: Sample };

/** What becomes of samples: a tensor for tensors, typed arrays, numbers and truth values, a list for texts. */
export type Collated<T> = T extends Tensor | Numbers | number | boolean
  ? Tensor
  : T extends string
    ? string[]
    : { readonly [K in keyof T]: Collated<T[K]> };

/**
 * A batch of samples of one form: what stands in the same place becomes one tensor with the batch as its first axis. Typed
 * arrays keep their dtype (Float32Array f32, Int32Array i32 …), numbers become f32, truth values bool; texts stay a list.
 * @throws ValueError where samples differ in form, ShapeError where they differ in length
 */
export function collate<T>(samples: readonly T[]): Collated<T> {
  return together(samples as unknown as readonly Sample[], '') as Collated<T>;
}

function together(samples: readonly Sample[], path: string): unknown {
  const first = samples[0];
  if (first === undefined) throw new ValueError('collate', 'needs at least one sample');
  const where = path === '' ? '' : ` in ${path.slice(1)}`;
  const all = <S>(test: (x: unknown) => x is S): S[] => {
    const odd = samples.find((x) => !test(x));
    if (odd !== undefined)
      throw new ValueError(
        'collate',
        `samples differ in form${where}: ${describeValue(first)} and ${describeValue(odd)}`,
      );
    return samples as unknown as S[];
  };
  if (first instanceof Tensor) return stack(all((x): x is Tensor => x instanceof Tensor));
  if (isNumbers(first)) {
    const { constructor } = first;
    return stacked(
      all((x): x is Numbers => isNumbers(x) && x.constructor === constructor),
      where,
    );
  }
  if (typeof first === 'number')
    return tensor(
      all((x) => typeof x === 'number'),
      { dtype: 'f32' },
    );
  if (typeof first === 'boolean') return tensor(all((x) => typeof x === 'boolean'));
  if (typeof first === 'string') return all((x) => typeof x === 'string');
  if (Array.isArray(first)) {
    const { length } = first;
    const lists = all((x): x is Sample[] => Array.isArray(x) && x.length === length);
    return first.map((_, i) =>
      together(
        lists.map((x) => x[i]!),
        `${path}.${i}`,
      ),
    );
  }
  if (!isPlain(first))
    throw new ValueError('collate', `cannot take ${describeValue(first)}${where}`, {
      hint: 'give the loader a collate of its own',
    });
  const names = Object.keys(first).sort().join();
  const records = all(
    (x): x is Record<string, Sample> => isPlain(x) && Object.keys(x).sort().join() === names,
  );
  return Object.fromEntries(
    Object.keys(first).map((name) => [
      name,
      together(
        records.map((x) => x[name]!),
        `${path}.${name}`,
      ),
    ]),
  );
}

function stacked(parts: readonly Numbers[], where: string): Tensor {
  const { length } = parts[0]!;
  const odd = parts.find((part) => part.length !== length);
  if (odd) throw new ShapeError('collate', `samples differ in length${where}: ${length} and ${odd.length}`);
  const Kind = parts[0]!.constructor as new (length: number) => Numbers;
  const out = new Kind(parts.length * length);
  parts.forEach((part, i) => out.set(part, i * length));
  return fromData(out, [parts.length, length]);
}

function isNumbers(x: unknown): x is Numbers {
  return (
    x instanceof Float32Array ||
    x instanceof Float64Array ||
    x instanceof Int32Array ||
    x instanceof Uint8Array
  );
}

function isPlain(x: unknown): x is Record<string, unknown> {
  if (typeof x !== 'object' || x === null) return false;
  const prototype: unknown = Object.getPrototypeOf(x);
  return prototype === Object.prototype || prototype === null;
}
