/** A line search for the strong Wolfe conditions (Nocedal and Wright, Numerical Optimization, Algorithms 3.5 and 3.6), as PyTorch's. */

/** The function along the line. */
export interface LinePoint<G> {
  /** Steps of the direction from the start. */
  readonly at: number;
  readonly value: number;
  /** Along the line. */
  readonly slope: number;
  readonly gradient: G;
}

export interface WolfeOptions {
  /** Largest change of a coordinate in one step of the direction. */
  readonly reach: number;
  readonly mostEvaluations: number;
  /** A bracket that moves no coordinate by more is small enough. */
  readonly tolerance: number;
}

/** Sufficient decrease, and curvature. */
const [c1, c2] = [1e-4, 0.9];

/** The minimum between two points of the cubic through their values and slopes, within bounds (eq. 3.59). */
function cubicMinimum(
  a: Omit<LinePoint<unknown>, 'gradient'>,
  b: Omit<LinePoint<unknown>, 'gradient'>,
  [least, most]: readonly [number, number],
): number {
  const [left, right] = a.at <= b.at ? [a, b] : [b, a];
  const d1 = a.slope + b.slope - (3 * (a.value - b.value)) / (a.at - b.at);
  const square = d1 * d1 - a.slope * b.slope;
  if (!(square >= 0)) return (least + most) / 2;
  const d2 = Math.sqrt(square);
  const at =
    right.at - (right.at - left.at) * ((right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2));
  return Math.min(Math.max(at, least), most);
}

/**
 * @param evaluate the function at a place on the line
 * @param start at 0, with a slope below 0
 * @param first place to look at
 * @returns the best point found, and how often the function was evaluated
 */
export function strongWolfe<G>(
  evaluate: (at: number) => LinePoint<G>,
  start: LinePoint<G>,
  first: number,
  { reach, mostEvaluations, tolerance }: WolfeOptions,
): { readonly point: LinePoint<G>; readonly evaluations: number } {
  const tooHigh = ({ at, value }: LinePoint<G>): boolean => value > start.value + c1 * at * start.slope;
  const flat = ({ slope }: LinePoint<G>): boolean => Math.abs(slope) <= -c2 * start.slope;
  let evaluations = 1;
  let point = evaluate(first);
  let previous = start;
  let bracket: [LinePoint<G>, LinePoint<G>] | null = null;
  // Go on until a minimum lies behind.
  let rounds = 0;
  for (; rounds < mostEvaluations; rounds++) {
    if (tooHigh(point) || (rounds > 1 && point.value >= previous.value)) bracket = [previous, point];
    else if (flat(point)) return { point, evaluations };
    else if (point.slope >= 0) bracket = [previous, point];
    if (bracket) break;
    const bounds = [point.at + 0.01 * (point.at - previous.at), 10 * point.at] as const;
    const next = cubicMinimum(previous, point, bounds);
    previous = point;
    point = evaluate(next);
    evaluations++;
  }
  bracket ??= [start, point];

  // Narrow the bracket down around it.
  let low = bracket[0].value <= bracket[1].value ? 0 : 1;
  let slow = false;
  while (rounds < mostEvaluations) {
    const [a, b] = bracket;
    if (Math.abs(b.at - a.at) * reach < tolerance) break;
    const [least, most] = [Math.min(a.at, b.at), Math.max(a.at, b.at)];
    let at = cubicMinimum(a, b, [least, most]);
    const margin = 0.1 * (most - least);
    const close = Math.min(most - at, at - least) < margin;
    // Twice next to an end, or on it: away from there.
    if (close && (slow || at >= most || at <= least)) {
      at = Math.abs(at - most) < Math.abs(at - least) ? most - margin : least + margin;
      slow = false;
    } else slow = close;
    point = evaluate(at);
    evaluations++;
    rounds++;
    const high = 1 - low;
    if (tooHigh(point) || point.value >= bracket[low]!.value) {
      bracket[high] = point;
      low = bracket[0].value <= bracket[1].value ? 0 : 1;
    } else {
      const done = flat(point);
      if (!done && point.slope * (bracket[high]!.at - bracket[low]!.at) >= 0) bracket[high] = bracket[low]!;
      bracket[low] = point;
      if (done) break;
    }
  }
  return { point: bracket[low]!, evaluations };
}
