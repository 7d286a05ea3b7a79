/** What recurrent networks share: layers, directions, masks, states; weights are PyTorch's, under its names in camelCase. */
import {
  concat,
  DTypeError,
  ShapeError,
  stack,
  ValueError,
  zeros,
  type FloatDType,
  type Key,
  type Tensor,
} from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';
import { uniform } from '../initializers.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';
import { Dropout } from './dropout.ts';

export interface RecurrentOptions {
  /** Decides the initial weights, all uniform within ±1/√hiddenSize. */
  readonly key: Key;
  /** Layers one upon the other. Default 1. */
  readonly numLayers?: number;
  /** Default true. */
  readonly bias?: boolean;
  /** Whether every layer also reads from the end; the outputs of both ways lie side by side. Default false. */
  readonly bidirectional?: boolean;
  /** Whether inputs and outputs are [batch, T, size]; else [T, batch, size]. Default true (PyTorch: false). */
  readonly batchFirst?: boolean;
  /** Probability of dropout between layers. Default 0. */
  readonly dropout?: number;
  /** Default f32. */
  readonly dtype?: FloatDType;
}

export interface RecurrentCall<State> {
  /** What the last call returned as `state`. Default zeros. */
  readonly initialState?: State;
  /**
   * bool [batch, T] (or [T]; of this order whatever batchFirst), false for steps that count for nothing: they leave the state as it is and give zeros. True up
   * to each length and false from there on does what PyTorch's packed sequences do, in both directions.
   */
  readonly mask?: Tensor;
  /** For dropout between layers. */
  readonly key?: Key;
}

/** The weights of one layer in one direction. */
export interface CellWeights {
  readonly weightIh: Tensor;
  readonly weightHh: Tensor;
  readonly biasIh: Tensor | null;
  readonly biasHh: Tensor | null;
}

/** x wᵀ + b for rows of x. */
export const affine = (x: Tensor, weight: Tensor, bias: Tensor | null): Tensor => {
  const y = x.matmul(weight.transpose());
  return bias ? y.add(bias) : y;
};

const weightNames = {
  weightIh: 'weightIh',
  weightHh: 'weightHh',
  biasIh: 'biasIh',
  biasHh: 'biasHh',
} as const;

/** A network over sequences, of cells whose state is one or several tensors [batch, hiddenSize], the first of which is the output. */
export abstract class RecurrentNetwork extends Module {
  readonly kind: string;
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly bidirectional: boolean;
  readonly batchFirst: boolean;
  readonly dropout: Dropout | null;

  /** @param gates how many times hiddenSize the weights have rows; states: how many tensors a state is of */
  constructor(kind: string, gates: number, inputSize: number, hiddenSize: number, options: RecurrentOptions) {
    super();
    const {
      key,
      numLayers = 1,
      bias = true,
      bidirectional = false,
      batchFirst = true,
      dropout = 0,
    } = options;
    const { dtype = 'f32' } = options;
    checkSizes(kind, { inputSize, hiddenSize, numLayers });
    if (!(dropout >= 0 && dropout <= 1))
      throw new ValueError(kind, `the probability of dropout must lie in [0, 1], got ${dropout}`);
    this.kind = kind;
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.numLayers = numLayers;
    this.bidirectional = bidirectional;
    this.batchFirst = batchFirst;
    this.dropout = dropout === 0 ? null : new Dropout(dropout);
    const bound = 1 / Math.sqrt(hiddenSize);
    const draw = uniform({ min: -bound, max: bound });
    const rows = gates * hiddenSize;
    let drawn = 0;
    for (let layer = 0; layer < numLayers; layer++)
      for (const suffix of this.suffixes(layer)) {
        const inputs = layer === 0 ? inputSize : hiddenSize * (bidirectional ? 2 : 1);
        const shapes = {
          weightIh: [rows, inputs],
          weightHh: [rows, hiddenSize],
          biasIh: [rows],
          biasHh: [rows],
        };
        for (const name of Object.values(weightNames))
          if (bias || name.startsWith('weight'))
            this.fields[name + suffix] = new Parameter(draw(key.foldIn(drawn++), shapes[name], dtype));
      }
  }

  /** One step of the cell from the state, given the input's share of the gates [batch, gates · hiddenSize]. */
  protected abstract step(input: Tensor, state: readonly Tensor[], weights: CellWeights): readonly Tensor[];

  private get fields(): Record<string, Parameter | undefined> {
    return this as unknown as Record<string, Parameter | undefined>;
  }

  /** How the names of a layer's weights end, one for each direction. */
  private suffixes(layer: number): string[] {
    return this.bidirectional ? [`L${layer}`, `L${layer}Reverse`] : [`L${layer}`];
  }

  /** The weights as they stand in the fields now. */
  private weights(suffix: string): CellWeights {
    const { fields } = this;
    return {
      weightIh: fields[`weightIh${suffix}`]!,
      weightHh: fields[`weightHh${suffix}`]!,
      biasIh: fields[`biasIh${suffix}`] ?? null,
      biasHh: fields[`biasHh${suffix}`] ?? null,
    };
  }

  /** The whole network. A state has a tensor [layers · directions, batch, hiddenSize] for each of `states`. */
  protected run(
    x: Tensor,
    states: number,
    call: RecurrentCall<readonly Tensor[]>,
  ): { readonly output: Tensor; readonly state: readonly Tensor[] } {
    const { kind, inputSize, hiddenSize, numLayers, batchFirst, dropout } = this;
    if ((x.rank !== 2 && x.rank !== 3) || x.shape.at(-1) !== inputSize)
      throw new ShapeError(
        kind,
        `needs [${batchFirst ? 'batch, T' : 'T, batch'}, ${inputSize}] or [T, ${inputSize}]`,
        {
          operands: [x],
        },
      );
    if (x.rank === 2) {
      const { initialState, mask, ...rest } = call;
      const { output, state } = this.run(x.unsqueeze(batchFirst ? 0 : 1), states, {
        ...rest,
        ...(initialState && { initialState: initialState.map((s) => s.unsqueeze(1)) }),
        ...(mask && { mask: mask.unsqueeze(0) }),
      });
      return { output: output.squeeze(batchFirst ? 0 : 1), state: state.map((s) => s.squeeze(1)) };
    }
    // Time first: the steps then lie one after the other.
    const steps = batchFirst ? x.transpose(0, 1) : x;
    const [length, batch] = steps.shape as readonly [number, number, number];
    if (length === 0) throw new ShapeError(kind, 'needs one step or more', { operands: [x] });
    const { mask, initialState, key } = call;
    this.checkMask(mask, x, batch, length);
    const directions = this.suffixes(0).length;
    const shape = [numLayers * directions, batch, hiddenSize];
    for (const s of initialState ?? [])
      if (s.rank !== 3 || s.shape.some((n, i) => n !== shape[i]))
        throw new ShapeError(kind, `the initial state must be [${shape.join(', ')}]`, { operands: [x, s] });
    const start = (at: number): Tensor[] =>
      initialState
        ? initialState.map((s) => s.select(0, at))
        : Array.from({ length: states }, () =>
            zeros([batch, hiddenSize], { dtype: x.dtype, backend: x.backend }),
          );
    let y = steps;
    const ends: (readonly Tensor[])[] = [];
    for (let layer = 0; layer < numLayers; layer++) {
      if (layer > 0 && dropout) y = dropout.forward(y, key?.foldIn(layer));
      const outputs = this.suffixes(layer).map((suffix, way) => {
        const { output, state } = this.direction(
          y,
          start(ends.length),
          this.weights(suffix),
          mask,
          way === 1,
        );
        ends.push(state);
        return output;
      });
      y = outputs.length === 1 ? outputs[0]! : concat(outputs, -1);
    }
    return {
      output: batchFirst ? y.transpose(0, 1) : y,
      state: Array.from({ length: states }, (_, i) => stack(ends.map((end) => end[i]!))),
    };
  }

  private checkMask(mask: Tensor | undefined, x: Tensor, batch: number, length: number): void {
    if (!mask) return;
    const { kind } = this;
    if (mask.dtype !== 'bool') throw new DTypeError(kind, 'the mask must be bool', { operands: [x, mask] });
    if (mask.rank !== 2 || mask.shape[0] !== batch || mask.shape[1] !== length)
      throw new ShapeError(kind, `the mask must be [${batch}, ${length}]`, { operands: [x, mask] });
  }

  /** One layer, one way: x [T, batch, inputs]. */
  private direction(
    x: Tensor,
    initial: readonly Tensor[],
    weights: CellWeights,
    mask: Tensor | undefined,
    backwards: boolean,
  ): { readonly output: Tensor; readonly state: readonly Tensor[] } {
    const [length, batch, inputs] = x.shape as readonly [number, number, number];
    // The inputs' share of all steps in one product.
    const shares = affine(x.reshape([length * batch, inputs]), weights.weightIh, weights.biasIh);
    const each = halved(shares.reshape([length, batch, weights.weightIh.shape[0]!]));
    let state = initial;
    const outputs = new Array<Tensor>(length);
    for (let i = 0; i < length; i++) {
      const t = backwards ? length - 1 - i : i;
      const next = this.step(each[t]!, state, weights);
      const counts = mask?.narrow(1, t, 1);
      const before = state;
      state = counts ? next.map((s, k) => counts.where(s, before[k]!)) : next;
      outputs[t] = counts ? counts.where(next[0]!, 0) : next[0]!;
    }
    return { output: stack(outputs), state };
  }
}

/**
 * All slices along the first axis, by halves of halves: the gradient of a slice is zeros but for it, of the size of what it was cut
 * from, so cutting them all from the whole would take time that grows with the square of their number.
 */
function halved(x: Tensor): Tensor[] {
  const n = x.shape[0]!;
  if (n === 1) return [x.squeeze(0)];
  const half = n >> 1;
  return [...halved(x.narrow(0, 0, half)), ...halved(x.narrow(0, half, n - half))];
}

/** The parts of the gates [batch, n · size], one after the other. */
export function gatesOf(x: Tensor, size: number): Tensor[] {
  return x.split(size, 1);
}
