/**
 * A function with a gradient of the user's own inside a vmap that is differentiated from outside: there the graph is one of
 * whole batches, so the call is one on whole batches, whose `forward` and `backward` are those of the user under a vmap.
 */
import type { Tensor } from '@infinigrad/tensor';
import { gradientsOf, Slot, slotsOf } from './custom-node.ts';
import { sourceOf } from './graph.ts';
import { recording } from './modes.ts';
import { isMoving } from './transforms/differentiated.ts';
import {
  currentLevel,
  deepest,
  depthOf,
  Level,
  opened,
  stand,
  standingFor,
  wholeOf,
} from './transforms/levels.ts';
import { during } from './transforms/vmap.ts';
import { isHolder, mapParts, replaceTensors, tensorsIn } from './trees.ts';

interface Forward {
  readonly output: unknown;
  readonly saved?: unknown;
}

/** A function with a gradient, as `customGradient` takes it. */
export interface Custom {
  readonly name: string;
  readonly forward: (...args: readonly unknown[]) => Forward;
  readonly backward: (gradients: unknown, saved: unknown, needs: readonly boolean[]) => unknown;
}

/** The vmap that the tensors are inside of, if one around it, or what surrounds that, is differentiated along them. */
export function differentiatedAround(tensors: readonly Tensor[]): Level | null {
  const depth = deepest(tensors);
  if (depth === 0) return null;
  const differentiated = (x: Tensor): boolean => (recording() && sourceOf(x) !== null) || isMoving(x);
  const around = tensors.some((x) => {
    if (depthOf(x) < depth && differentiated(x)) return true;
    for (let at = standingFor(x); at; at = standingFor(at.inner)) if (differentiated(at.inner)) return true;
    return false;
  });
  return around ? standingFor(tensors.find((x) => depthOf(x) === depth)!)!.level : null;
}

/** What has been saved, with whole batches in the place of tensors that differ from example to example. */
interface SavedBatch {
  readonly saved: unknown;
  readonly batched: readonly boolean[];
}

/**
 * Calls a function on the examples of a vmap at once.
 * @param custom makes a function of what it is to do with whole batches
 * @returns what `forward` returns, at the level; arguments and results among what is saved are known by their handles
 */
export function onBatch(
  level: Level,
  { name, forward, backward }: Custom,
  args: readonly unknown[],
  custom: (whole: Custom) => (...args: readonly unknown[]) => unknown,
): Forward {
  const given = tensorsIn(args);
  const batched = given.map((x) => opened(x, level).batched);
  const slots = slotsOf(args) as readonly unknown[];
  let first: Forward | null = null;
  const call = custom({
    name,
    forward: (...whole) => {
      const inner = new Level(currentLevel(), level.size);
      let i = 0;
      const handed: Tensor[] = [];
      const examples = replaceTensors(whole, (x) => {
        handed.push(batched[i++] ? stand(x, inner, true) : x);
        return handed.at(-1)!;
      });
      const made = during(inner, () => forward(...examples));
      const outputs = tensorsIn(made.output);
      const saved = tensorsIn(made.saved);
      const outside = (x: Tensor): unknown => {
        const [argument, result] = [handed.indexOf(x), outputs.indexOf(x)];
        if (argument >= 0) return given[argument]!;
        if (result >= 0) return new Result(result);
        const at = opened(x, inner);
        return at.batched ? stand(at.inner, level, true) : at.inner;
      };
      first ??= { output: made.output, saved: replaceTensors(made.saved, outside) };
      return {
        output: replaceTensors(made.output, (y) => wholeOf(y, inner)),
        saved: {
          saved: replaceTensors(made.saved, (x) => opened(x, inner).inner),
          batched: saved.map((x) => opened(x, inner).batched),
        } satisfies SavedBatch,
      };
    },
    backward: (gradients, made, needs) => {
      const { saved, batched: differs } = made as SavedBatch;
      const inner = new Level(currentLevel(), level.size);
      let i = 0;
      const each = replaceTensors(saved, (x) => (differs[i++] ? stand(x, inner, true) : x));
      const arrived = replaceTensors(gradients, (g) => stand(g, inner, true));
      const found = during(inner, () =>
        gradientsOf(name, slots, backward(arrived, each, needs), given.length),
      ).map((g, k) => {
        const whole = g && wholeOf(g, inner);
        return whole && !batched[k] ? whole.sum(0) : whole;
      });
      return slots.map((slot) => gradientTree(slot, found));
    },
  });
  level.state = 'aside';
  let output: unknown;
  try {
    output = level.below!(() => call(...replaceTensors(args, (x) => opened(x, level).inner)));
  } finally {
    level.state = 'open';
  }
  const results: Tensor[] = [];
  const shown = replaceTensors(output, (y) => {
    results.push(stand(y, level, true));
    return results.at(-1)!;
  });
  return { output: shown, saved: linked(first!.saved, results) };
}

/** Stands for a result among what is saved. */
class Result {
  readonly index: number;

  constructor(index: number) {
    this.index = index;
  }
}

function linked(saved: unknown, results: readonly Tensor[]): unknown {
  if (saved instanceof Result) return results[saved.index]!;
  if (!isHolder(saved)) return saved;
  return mapParts(saved, '', (part) => linked(part, results));
}

/** Gradients in the form of an argument; null for what has none. */
function gradientTree(slot: unknown, gradients: readonly (Tensor | null)[]): unknown {
  if (slot instanceof Slot) return gradients[slot.index]!;
  if (!isHolder(slot)) return null;
  return mapParts(slot, '', (part) => gradientTree(part, gradients));
}
