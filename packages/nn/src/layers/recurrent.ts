/** Recurrent networks: Elman's, GRU, LSTM. Several layers, both directions, initial states, masks; weights and gates as in PyTorch. */
import { ValueError, type Tensor } from '@infinigrad/tensor';
import {
  affine,
  gatesOf,
  RecurrentNetwork,
  type CellWeights,
  type RecurrentCall,
  type RecurrentOptions,
} from './recurrent-network.ts';

export interface RecurrentResult<State> {
  /** The outputs of the last layer: [batch, T, hiddenSize], twice as wide in both directions. */
  readonly output: Tensor;
  /** The states after the last step, to go on with: [layers · directions, batch, hiddenSize], the directions of a layer side by side. */
  readonly state: State;
}

/** What gives its state, and remembers nothing else. */
abstract class OfOneState extends RecurrentNetwork {
  /**
   * @param x [batch, T, inputSize] (batchFirst), or [T, inputSize] for one sequence, whose states are [layers · directions, hiddenSize]
   * @throws ShapeError, DTypeError for inputs, states and masks that do not fit
   */
  forward(x: Tensor, { initialState, ...call }: RecurrentCall<Tensor> = {}): RecurrentResult<Tensor> {
    const { output, state } = this.run(x, 1, {
      ...call,
      ...(initialState && { initialState: [initialState] }),
    });
    return { output, state: state[0]! };
  }
}

export interface RNNOptions extends RecurrentOptions {
  /** Default tanh. */
  readonly nonlinearity?: 'tanh' | 'relu';
}

/** h′ = tanh(W_ih x + b_ih + W_hh h + b_hh). */
export class RNN extends OfOneState {
  readonly nonlinearity: 'tanh' | 'relu';

  /** @throws ValueError for sizes that are none and another nonlinearity */
  constructor(inputSize: number, hiddenSize: number, options: RNNOptions) {
    super('RNN', 1, inputSize, hiddenSize, options);
    const { nonlinearity = 'tanh' } = options;
    if (nonlinearity !== 'tanh' && nonlinearity !== 'relu')
      throw new ValueError('RNN', `nonlinearity must be tanh or relu, got '${String(nonlinearity)}'`);
    this.nonlinearity = nonlinearity;
  }

  protected override step(input: Tensor, [h]: readonly Tensor[], w: CellWeights): Tensor[] {
    const sum = input.add(affine(h!, w.weightHh, w.biasHh));
    return [this.nonlinearity === 'relu' ? sum.relu() : sum.tanh()];
  }
}

/** Gated recurrent units (arXiv 1406.1078, in the form of cuDNN, which is PyTorch's). Gates in the order r, z, n. */
export class GRU extends OfOneState {
  /** @throws ValueError for sizes that are none */
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions) {
    super('GRU', 3, inputSize, hiddenSize, options);
  }

  // n = tanh(W_in x + b_in + r (W_hn h + b_hn)),  h′ = (1 - z) n + z h
  protected override step(input: Tensor, [h]: readonly Tensor[], w: CellWeights): Tensor[] {
    const own = affine(h!, w.weightHh, w.biasHh);
    const [xr, xz, xn] = gatesOf(input, this.hiddenSize) as [Tensor, Tensor, Tensor];
    const [hr, hz, hn] = gatesOf(own, this.hiddenSize) as [Tensor, Tensor, Tensor];
    const r = xr.add(hr).sigmoid();
    const z = xz.add(hz).sigmoid();
    const n = xn.add(r.mul(hn)).tanh();
    return [n.add(z.mul(h!.sub(n)))];
  }
}

/** The state of an LSTM: what it gives, and what it remembers. */
export interface LSTMState {
  readonly h: Tensor;
  readonly c: Tensor;
}

/** Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates). Gates in the order i, f, g, o. */
export class LSTM extends RecurrentNetwork {
  /** @throws ValueError for sizes that are none */
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions) {
    super('LSTM', 4, inputSize, hiddenSize, options);
  }

  /**
   * @param x [batch, T, inputSize] (batchFirst), or [T, inputSize] for one sequence, whose states are [layers · directions, hiddenSize]
   * @throws ShapeError, DTypeError for inputs, states and masks that do not fit
   */
  forward(x: Tensor, { initialState, ...call }: RecurrentCall<LSTMState> = {}): RecurrentResult<LSTMState> {
    const { output, state } = this.run(x, 2, {
      ...call,
      ...(initialState && { initialState: [initialState.h, initialState.c] }),
    });
    return { output, state: { h: state[0]!, c: state[1]! } };
  }

  // c′ = σ(f) c + σ(i) tanh(g),  h′ = σ(o) tanh(c′)
  protected override step(input: Tensor, [h, c]: readonly Tensor[], w: CellWeights): Tensor[] {
    const sum = input.add(affine(h!, w.weightHh, w.biasHh));
    const [i, f, g, o] = gatesOf(sum, this.hiddenSize) as [Tensor, Tensor, Tensor, Tensor];
    const memory = f.sigmoid().mul(c!).add(i.sigmoid().mul(g.tanh()));
    return [o.sigmoid().mul(memory.tanh()), memory];
  }
}
