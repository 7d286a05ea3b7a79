/** Low-rank adaptation (arXiv 2106.09685): a model learns by few numbers beside its own, which stay as they are. */
import { noGrad } from '@infinigrad/autograd';
import { Linear, Parameter, type Module } from '@infinigrad/nn';
import {
  isFloat,
  sameShape,
  ValueError,
  zeros,
  type FloatDType,
  type Key,
  type Tensor,
} from '@infinigrad/tensor';
import { BlankKey } from './blank-key.ts';

export interface LoraOptions {
  /** Columns between the two matrices. */
  readonly rank: number;
  /** The product is multiplied by alpha / rank. Default rank. */
  readonly alpha?: number;
  /** Which linear layers: by the last part of their names, by their whole names, or by an expression. Default qProj and vProj. */
  readonly targets?: readonly string[] | RegExp;
  /** Decides how the first matrices start; the second ones start as zeros. */
  readonly key: Key;
}

/** y = x Wᵀ + b + (alpha / rank) · x Aᵀ Bᵀ. */
export class LoraLinear extends Linear {
  override readonly weight: Parameter;
  override readonly bias: Parameter | null;
  /** [rank, inFeatures]. */
  readonly loraA: Parameter;
  /** [outFeatures, rank]. */
  readonly loraB: Parameter;
  readonly scale: number;

  /** @param base whose weights it uses, as they are */
  constructor(base: Linear, rank: number, scale: number, key: Key) {
    const { inFeatures, outFeatures } = base;
    super(inFeatures, outFeatures, { key: new BlankKey(), bias: false });
    const dtype = base.weight.dtype as FloatDType;
    const bound = 1 / Math.sqrt(inFeatures);
    this.weight = base.weight;
    this.bias = base.bias;
    this.loraA = new Parameter(key.uniform([rank, inFeatures], { min: -bound, max: bound, dtype }));
    this.loraB = new Parameter(zeros([outFeatures, rank], { dtype }));
    this.scale = scale;
    this.training = base.training;
  }

  override forward(x: Tensor): Tensor {
    const aside = x.matmul(this.loraA.transpose()).matmul(this.loraB.transpose());
    return super.forward(x).add(this.scale === 1 ? aside : aside.mul(this.scale));
  }

  /** W + (alpha / rank) · B A. */
  merged(): Tensor {
    return noGrad(() => this.weight.add(this.loraB.matmul(this.loraA).mul(this.scale)));
  }
}

/** What stands at a path of fields. */
function placeOf(model: Module, path: string): { holder: Record<string, unknown>; key: string } {
  const steps = path.split('.');
  const key = steps.pop()!;
  const holder = steps.reduce<unknown>((at, step) => (at as Record<string, unknown>)[step], model);
  return { holder: holder as Record<string, unknown>, key };
}

function adapted(op: string, model: Module): [name: string, layer: LoraLinear][] {
  const found = [...model.namedModules()].filter(
    (entry): entry is [string, LoraLinear] => entry[1] instanceof LoraLinear,
  );
  if (found.length === 0)
    throw new ValueError(op, 'the model has no adapters', { hint: 'addLora gives it some' });
  return found;
}

/**
 * Gives linear layers of a model adapters, and freezes everything else. The model computes what it did before until they are trained.
 * Make optimizers after it; `mergeLora` makes one model of both.
 * @returns the names of the layers
 * @throws ValueError for a rank or a scale that makes no sense, targets that name no linear layer, and a model that has adapters
 */
export function addLora(model: Module, options: LoraOptions): string[] {
  const { rank, alpha = rank, targets = ['qProj', 'vProj'], key } = options;
  if (!Number.isInteger(rank) || rank < 1)
    throw new ValueError('addLora', `the rank must be an integer ≥ 1, got ${rank}`);
  if (!Number.isFinite(alpha)) throw new ValueError('addLora', `alpha must be a number, got ${alpha}`);
  const layers = [...model.namedModules()].filter(
    (entry): entry is [string, Linear] => entry[1] instanceof Linear,
  );
  if (layers.some(([, layer]) => layer instanceof LoraLinear))
    throw new ValueError('addLora', 'the model has adapters already', {
      hint: 'mergeLora or removeLora first',
    });
  const meant = (name: string): boolean =>
    targets instanceof RegExp
      ? name.search(targets) >= 0
      : targets.some((target) => name === target || name.endsWith(`.${target}`));
  const chosen = layers.filter(([name]) => meant(name));
  if (chosen.length === 0)
    throw new ValueError('addLora', `the targets name no linear layer`, {
      hint: `there is ${layers
        .slice(0, 4)
        .map(([name]) => name)
        .join(', ')}${layers.length > 4 ? ', …' : ''}`,
    });
  model.freeze();
  chosen.forEach(([name, base], i) => {
    const { holder, key: field } = placeOf(model, name);
    holder[field] = new LoraLinear(base, rank, alpha / rank, key.foldIn(i));
  });
  return chosen.map(([name]) => name);
}

/** The adapters alone, by the names of `namedParameters`: what there is to save of a training. @throws ValueError where there are none */
export function loraState(model: Module): Record<string, Tensor> {
  return Object.fromEntries(
    adapted('loraState', model).flatMap(([name, { loraA, loraB }]) => [
      [`${name}.loraA`, loraA.detach()],
      [`${name}.loraB`, loraB.detach()],
    ]),
  );
}

/**
 * Gives adapters the values of a state, all or none.
 * @throws ValueError where names or shapes are not those of the model's adapters
 */
export function loadLoraState(model: Module, state: Readonly<Record<string, Tensor>>): void {
  const own = loraState(model);
  const problems = [
    ...Object.keys(own)
      .filter((name) => !Object.hasOwn(state, name))
      .map((name) => `missing ${name}`),
    ...Object.entries(state).flatMap(([name, value]) => {
      const wanted = own[name];
      if (!wanted) return [`unexpected ${name}`];
      return sameShape(wanted.shape, value.shape) && isFloat(value.dtype)
        ? []
        : [`${name} is [${value.shape.join(', ')}] ${value.dtype}, not [${wanted.shape.join(', ')}]`];
    }),
  ];
  if (problems.length > 0) throw new ValueError('loadLoraState', problems.join('; '));
  model.loadStateDict(state, { strict: false });
}

/**
 * Adds what adapters have learnt to the weights that they stand beside, and takes them away. Everything needs gradients again.
 * @returns the names of the layers
 * @throws ValueError where there are none
 */
export function mergeLora(model: Module): string[] {
  return ended(adapted('mergeLora', model), model, (layer) => layer.weight.assign(layer.merged()));
}

/** Takes adapters away, with what they have learnt. Everything needs gradients again. @throws ValueError where there are none */
export function removeLora(model: Module): string[] {
  return ended(adapted('removeLora', model), model, () => {});
}

function ended(
  layers: readonly [string, LoraLinear][],
  model: Module,
  first: (layer: LoraLinear) => void,
): string[] {
  for (const [name, layer] of layers) {
    first(layer);
    const { holder, key } = placeOf(model, name);
    const plain = new Linear(layer.inFeatures, layer.outFeatures, { key: new BlankKey(), bias: false });
    holder[key] = Object.assign(plain, { weight: layer.weight, bias: layer.bias, training: layer.training });
  }
  model.unfreeze();
  return layers.map(([name]) => name);
}
