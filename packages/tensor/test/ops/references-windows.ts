/** References: windows and convolutions by loops over every element and every place in a window. */
import type { Attrs } from '@infinigrad/tensor';
import { fromValues, indices, naive, positive, range, type Naive } from '../naive.ts';

type Reference = (inputs: readonly Naive[], attrs: Attrs) => Naive;
type List = readonly number[];

const lists = (attrs: Attrs, ...names: string[]): List[] => names.map((name) => attrs[name] as List);

/** Sums by place. */
function sums(shape: List): { add: (index: List, value: number) => void; total: () => Naive } {
  const values = new Map(indices(shape).map((index) => [index.join(), 0]));
  return {
    add: (index, value) => values.set(index.join(), values.get(index.join())! + value),
    total: () => fromValues([...values.values()], shape),
  };
}

/** Where element `k` of the window `index` lies. */
function placed(index: List, k: List, attrs: Attrs, rank: number): number[] {
  const [axes, steps, dilations] = lists(attrs, 'axes', 'steps', 'dilations') as [List, List, List];
  const out = [...index];
  axes.forEach((given, i) => {
    const axis = positive(given, rank);
    out[axis] = index[axis]! * steps[i]! + k[i]! * dilations[i]!;
  });
  return out;
}

/** Every product of a convolution: calls `body` with the places of input, weight and output that meet. */
function eachProduct(
  attrs: Attrs,
  y: List,
  w: List,
  x: List,
  body: (x: List, w: List, y: List) => void,
): void {
  const { stride, padding, dilation, groups } = attrs as unknown as {
    stride: List;
    padding: readonly List[];
    dilation: List;
    groups: number;
  };
  for (const [n, o, ...at] of indices(y))
    for (const [c, ...k] of indices(w.slice(1))) {
      const group = Math.floor(o! / (w[0]! / groups));
      const place = at.map((i, axis) => i * stride[axis]! + k[axis]! * dilation[axis]! - padding[axis]![0]!);
      if (place.every((i, axis) => i >= 0 && i < x[2 + axis]!))
        body([n!, group * w[1]! + c!, ...place], [o!, c!, ...k], [n!, o!, ...at]);
    }
}

/** How many places a kernel has along an axis, by trying them. */
function places(attrs: Attrs, axis: number, size: number, kernel: number): number {
  const [stride, dilation] = lists(attrs, 'stride', 'dilation') as [List, List];
  const [before, after] = (attrs['padding'] as readonly List[])[axis] as [number, number];
  return range(size + before + after).filter(
    (i) => 0 === i % stride[axis]! && i + dilation[axis]! * (kernel - 1) < size + before + after,
  ).length;
}

const convolution: Reference = ([x, w], attrs) => {
  const out = x!.shape.slice(2).map((size, axis) => places(attrs, axis, size, w!.shape[2 + axis]!));
  const y = sums([x!.shape[0]!, w!.shape[0]!, ...out]);
  eachProduct(attrs, y.total().shape, w!.shape, x!.shape, (i, k, o) => y.add(o, x!.at(i) * w!.at(k)));
  return y.total();
};

const convolutionTranspose: Reference = ([y, w], attrs) => {
  const shape = [y!.shape[0]!, (attrs['groups'] as number) * w!.shape[1]!, ...(attrs['size'] as List)];
  const x = sums(shape);
  eachProduct(attrs, y!.shape, w!.shape, shape, (i, k, o) => x.add(i, y!.at(o) * w!.at(k)));
  return x.total();
};

const convolutionWeight: Reference = ([x, y], attrs) => {
  const channels = x!.shape[1]! / (attrs['groups'] as number);
  const shape = [y!.shape[1]!, channels, ...(attrs['kernel'] as List)];
  const w = sums(shape);
  eachProduct(attrs, y!.shape, shape, x!.shape, (i, k, o) => w.add(k, x!.at(i) * y!.at(o)));
  return w.total();
};

export const windowingReferences: Readonly<
  Record<'windows' | 'overlapAdd' | 'convolution' | 'convolutionTranspose' | 'convolutionWeight', Reference>
> = {
  windows: ([x], attrs) => {
    const [axes, sizes] = lists(attrs, 'axes', 'sizes') as [List, List];
    const rank = x!.shape.length;
    const counts = x!.shape.map((size, axis) => {
      const i = axes.findIndex((given) => positive(given, rank) === axis);
      if (i < 0) return size;
      const zero = range(rank).map(() => 0);
      const last = sizes.map((n) => n - 1);
      return range(size).filter((at) => placed(zero.with(axis, at), last, attrs, rank)[axis]! < size).length;
    });
    return naive([...counts, ...sizes], (index) =>
      x!.at(placed(index.slice(0, rank), index.slice(rank), attrs, rank)),
    );
  },
  overlapAdd: ([x], attrs) => {
    const shape = attrs['shape'] as List;
    const rank = shape.length;
    const out = sums(shape);
    for (const index of indices(x!.shape))
      out.add(placed(index.slice(0, rank), index.slice(rank), attrs, rank), x!.at(index));
    return out.total();
  },
  convolution,
  convolutionTranspose,
  convolutionWeight,
};
