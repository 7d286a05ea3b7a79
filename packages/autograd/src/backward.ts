/** The reverse pass. */
import { currentScope, GradientError, isFloat, onesLike, sameShape, type Tensor } from '@infinigrad/tensor';
import { Consumption } from './consumption.ts';
import { Pending } from './pending.ts';
import { Leaf, Node, ruleFor, sourceOf, type Source } from './graph.ts';
import { enableGrad, noGrad } from './modes.ts';

export interface BackwardOptions {
  /** Record the backward pass too, so that the gradients can be differentiated. Default false. */
  readonly createGraph?: boolean;
  /** Keep what the graph has saved, for another pass over it. Default: as `createGraph`. */
  readonly retainGraph?: boolean;
  /**
   * Give back what the graph has saved as soon as it is not needed any more, as far as the innermost scope owns it: for
   * callers that know that nobody else will look at it. Default false: it goes with its scope.
   */
  readonly consume?: boolean;
}

/** All that the gradient can flow to from these sources, oldest first. */
function reachable(roots: readonly Source[]): Source[] {
  const seen = new Set<Source>(roots);
  const stack = [...seen];
  for (let at = stack.pop(); at; at = stack.pop())
    if (at instanceof Node)
      for (const source of at.sources)
        if (source && !seen.has(source)) {
          seen.add(source);
          stack.push(source);
        }
  return [...seen].sort((a, b) => a.order - b.order);
}

/**
 * Gradients of Σ outputs · cotangents at the `targets` (at every leaf where none are given).
 * @returns the gradient by source; a target that the outputs do not depend on is missing.
 */
export function propagate(
  outputs: readonly Tensor[],
  cotangents: readonly Tensor[],
  targets: readonly Source[] | null,
  options: BackwardOptions = {},
): Map<Source, Tensor> {
  const { createGraph = false, retainGraph = createGraph, consume = false } = options;
  const owner = currentScope();
  const pending = new Pending(createGraph);
  const roots: Source[] = [];
  const wanted = targets && new Set<Source>(targets);
  const pass = (): void => {
    outputs.forEach((y, i) => {
      const source = sourceOf(y);
      if (!source) return;
      roots.push(source);
      pending.add(source, cotangents[i]!);
    });
    const order = reachable(roots);
    // Only what leads to a target is worth visiting; inputs are older, so one pass from the oldest on decides.
    const useful = wanted && new Set<Source>();
    if (useful)
      for (const source of order)
        if (wanted.has(source) || (source instanceof Node && source.sources.some((s) => s && useful.has(s))))
          useful.add(source);
    const consumption = consume && !retainGraph ? new Consumption(order, outputs, owner) : null;
    for (let i = order.length - 1; i >= 0; i--) {
      const node = order[i]!;
      const g = pending.gradients.get(node);
      if (!(node instanceof Node) || !g || (useful && !useful.has(node))) continue;
      pending.visit(() =>
        node.sources.forEach((source, k) => {
          if (source && (!useful || useful.has(source)))
            pending.add(source, ruleFor(node.rule, k)!(g, node, k));
        }),
      );
      node.leave();
      if (!wanted?.has(node)) pending.done(node);
      if (consumption) consumption.release(node);
      else if (!retainGraph) node.release();
    }
  };
  try {
    (createGraph ? enableGrad : noGrad)(pass);
  } finally {
    pending.close();
  }
  return pending.gradients;
}

/**
 * Adds the gradient of `y` to `grad` of every leaf it depends on.
 * @param gradient the gradient with respect to y, of its shape; 1 unless told, which needs y to be a single number
 */
export function backward(y: Tensor, gradient?: Tensor, options: BackwardOptions = {}): void {
  const root = sourceOf(y);
  if (!root)
    throw new GradientError('backward', 'the tensor does not depend on any tensor that needs a gradient', {
      operands: [y],
      hint: 'set requiresGrad on an input, outside noGrad',
    });
  checkCotangent('backward', y, gradient);
  const seed = gradient?.cast(y.dtype) ?? onesLike(y);
  const gradients = propagate([y], [seed], null, options);
  (options.createGraph ? enableGrad : noGrad)(() => {
    for (const [source, g] of gradients) if (source instanceof Leaf) source.accumulate(g);
  });
}

export function checkCotangent(op: string, y: Tensor, gradient: Tensor | undefined): void {
  if (gradient === undefined) {
    if (y.size !== 1)
      throw new GradientError(op, 'the output is not a single number', {
        operands: [y],
        hint: 'reduce it (sum, mean) or pass the gradient with respect to it',
      });
  } else if (!isFloat(gradient.dtype))
    throw new GradientError(op, 'the gradient must be of floating point', { operands: [y, gradient] });
  else if (!sameShape(gradient.shape, y.shape))
    throw new GradientError(op, 'output and gradient must have one shape', { operands: [y, gradient] });
}
