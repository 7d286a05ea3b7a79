/** Recurrent networks: PyTorch's numbers whole and packed, carried states, masks, gradients, errors. */
import * as nn from '@infinigrad/nn';
import {
  concat,
  DTypeError,
  Key,
  ones,
  ShapeError,
  tensor,
  ValueError,
  zeros,
  type Tensor,
} from '@infinigrad/tensor';
import { expectAllClose } from '@infinigrad/tensor/testing';
import { describe, expect, test } from 'vitest';
import { fixture, numbers } from '../support.ts';
import {
  callKey,
  layersConform,
  type ErrorRow,
  type LayerOptions,
  type LayerRow,
  type TwinCase,
} from './conformance.ts';

const cases = fixture<Record<string, TwinCase>>('layers-recurrent');
const dtype = 'f64' as const;
const key = new Key(0);
const used = new Set<string>();

type State = Tensor | nn.LSTMState;
type Network = nn.Module & { forward(x: Tensor, call?: object): nn.RecurrentResult<State> };

const parts = (state: State): Tensor[] => ('h' in state ? [state.h, state.c] : [state]);
const joined = ({ output, state }: nn.RecurrentResult<State>): Tensor =>
  concat([output, ...parts(state)].map((x) => x.flatten()));
const stateOf = (tensors: readonly Tensor[]): State =>
  tensors.length === 2 ? { h: tensors[0]!, c: tensors[1]! } : tensors[0]!;

type Options = Omit<nn.RNNOptions, 'key' | 'dtype'>;
type Make = (options: LayerOptions & Options) => Network;
const networks: Record<string, Make> = {
  RNN: (o) => new nn.RNN(2, 3, o) as Network,
  GRU: (o) => new nn.GRU(2, 3, o) as Network,
  LSTM: (o) => new nn.LSTM(2, 3, o) as unknown as Network,
};
const settings: Record<string, Options> = {
  '': {},
  ' without bias': { bias: false },
  ' deep, both ways': { numLayers: 2, bidirectional: true },
  ' three layers': { numLayers: 3 },
  ' relu': { nonlinearity: 'relu' },
};

const rows: Record<string, LayerRow> = {};
for (const [name, make] of Object.entries(networks))
  for (const [label, options] of Object.entries(settings)) {
    if (label === ' relu' && name !== 'RNN') continue;
    const twins = ['whole', 'packed'].map((how) => {
      const of = `${name}${label}, ${how}`;
      used.add(of);
      return { name: of, case: cases[of]! };
    });
    rows[`${name}${label}`] = {
      make: (o: LayerOptions) => make({ ...o, ...options }),
      inputs: (k) => {
        const layers = (options.numLayers ?? 1) * (options.bidirectional ? 2 : 1);
        const count = name === 'LSTM' ? 2 : 1;
        return [
          k.normal([2, 3, 2], { dtype }),
          tensor([
            [true, true, true],
            [true, false, false],
          ]),
          ...Array.from({ length: count }, (_, i) => k.foldIn(i).normal([layers, 2, 3], { dtype })),
        ];
      },
      forward: (network: Network, [x, mask, ...initial]) =>
        joined(network.forward(x!, { mask: mask!, initialState: stateOf(initial) })),
      twins,
      gradcheck: { mode: 'direction' },
    };
  }

const refuses = (body: () => unknown, says: string, type: ErrorRow['type'] = ShapeError): ErrorRow => ({
  body,
  type,
  says,
});
const gru = (): nn.GRU => new nn.GRU(2, 3, { key });
rows['GRU'] = {
  ...rows['GRU']!,
  errors: {
    'another size': refuses(
      () => gru().forward(ones([2, 3, 4])),
      'GRU: needs [batch, T, 2] or [T, 2]: [2, 3, 4] f32',
    ),
    'no step': refuses(() => gru().forward(ones([2, 0, 2])), 'GRU: needs one step or more'),
    'another state': refuses(
      () => gru().forward(ones([2, 3, 2]), { initialState: ones([2, 2, 3]) }),
      'GRU: the initial state must be [1, 2, 3]: [2, 3, 2] f32, [2, 2, 3] f32',
    ),
    'another mask': refuses(
      () => gru().forward(ones([2, 3, 2]), { mask: ones([2, 2], { dtype: 'bool' }) }),
      'GRU: the mask must be [2, 3]',
    ),
    'a mask of numbers': refuses(
      () => gru().forward(ones([2, 3, 2]), { mask: ones([2, 3]) }),
      'GRU: the mask must be bool',
      DTypeError,
    ),
    'no size': refuses(() => new nn.GRU(2, 0, { key }), 'GRU: hiddenSize must be an integer ≥ 1', ValueError),
    'a probability that is none': refuses(
      () => new nn.GRU(2, 3, { key, dropout: 2 }),
      'GRU: the probability of dropout must lie in [0, 1], got 2',
      ValueError,
    ),
    'another nonlinearity': refuses(
      () => new nn.RNN(2, 3, { key, nonlinearity: 'gelu' as never }),
      "RNN: nonlinearity must be tanh or relu, got 'gelu'",
      ValueError,
    ),
  },
};
rows['LSTM with dropout between layers'] = {
  make: (o: LayerOptions) => new nn.LSTM(2, 3, { ...o, numLayers: 2, dropout: 0.5 }),
  inputs: (k) => [k.normal([2, 3, 2], { dtype })],
  forward: (network: nn.LSTM, [x], k) => network.forward(x!, { key: k }).output,
  modes: 'differ',
  gradcheck: { mode: 'direction' },
  naive: (s, [x]) => {
    const layer = (i: number): nn.LSTM => {
      const one = new nn.LSTM(i === 0 ? 2 : 3, 3, { key, dtype });
      const names = ['weightIh', 'weightHh', 'biasIh', 'biasHh'];
      one.loadStateDict(Object.fromEntries(names.map((name) => [`${name}L0`, s[`${name}L${i}`]!])));
      return one;
    };
    const hidden = layer(0).forward(x!).output;
    // Drawn in the order of time.
    const drawn = callKey.foldIn(1).bernoulli(0.5, [3, 2, 3]).transpose(0, 1);
    const kept = drawn.where(hidden.mul(2), 0);
    return layer(1).forward(kept).output;
  },
};

layersConform('recurrent networks', rows);

test('the fixture has a row for every case', () =>
  expect(Object.keys(cases).filter((name) => name !== 'torch' && !used.has(name))).toEqual([]));

describe.each(Object.entries(networks))('%s', (_, make) => {
  const network = make({ key, dtype, numLayers: 2 });
  const x = key.normal([2, 5, 2], { dtype });

  test('goes on from the state that it returned', () => {
    const whole = network.forward(x);
    const first = network.forward(x.narrow(1, 0, 2));
    const second = network.forward(x.narrow(1, 2, 3), { initialState: first.state });
    expectAllClose(concat([first.output, second.output], 1), whole.output, { rtol: 1e-13 });
    parts(second.state).forEach((s, i) => expectAllClose(s, parts(whole.state)[i]!, { rtol: 1e-13 }));
  });

  test('reads [T, batch] without batchFirst, and one sequence without a batch', () => {
    const { output, state } = network.forward(x);
    const other = make({ key, dtype, numLayers: 2, batchFirst: false });
    const turned = other.forward(x.transpose(0, 1));
    expectAllClose(turned.output.transpose(0, 1), output, { rtol: 1e-13 });
    const one = network.forward(x.select(0, 1), {
      initialState: stateOf(parts(state).map((s) => zeros([2, 3], { dtype }).mul(s.select(1, 1)))),
      mask: ones([5], { dtype: 'bool' }),
    });
    expect(one.output.shape).toEqual([5, 3]);
    expectAllClose(one.output, output.select(0, 1), { rtol: 1e-13 });
    parts(one.state).forEach((s, i) => expectAllClose(s, parts(state)[i]!.select(1, 1), { rtol: 1e-13 }));
    expectAllClose(other.forward(x.select(0, 1)).output, one.output, { rtol: 1e-13 });
  });

  test('what is masked changes nothing, and gets no gradient', () => {
    const both = make({ key, dtype, bidirectional: true });
    const mask = tensor([
      [true, true, true, false, false],
      [true, true, true, true, true],
    ]);
    const leaf = x.clone().requireGrad();
    const { output, state } = both.forward(leaf, { mask });
    const short = both.forward(x.narrow(0, 0, 1).narrow(1, 0, 3));
    expectAllClose(output.narrow(0, 0, 1).narrow(1, 0, 3), short.output, { rtol: 1e-13 });
    parts(state).forEach((s, i) =>
      expectAllClose(s.narrow(1, 0, 1), parts(short.state)[i]!, { rtol: 1e-13 }),
    );
    expect(numbers(output.select(0, 0).narrow(0, 3, 2)).every((v) => v === 0)).toBe(true);
    joined({ output, state }).sum().backward();
    expect(numbers(leaf.grad!.select(0, 0).narrow(0, 3, 2)).every((v) => v === 0)).toBe(true);
    expect(numbers(leaf.grad!.select(0, 0).narrow(0, 0, 3)).every((v) => v !== 0)).toBe(true);
  });

  test('names and first values of its weights', () => {
    const both = make({ key, dtype, numLayers: 2, bidirectional: true });
    expect([...both.namedParameters().keys()]).toEqual(
      ['L0', 'L0Reverse', 'L1', 'L1Reverse'].flatMap((suffix) =>
        ['weightIh', 'weightHh', 'biasIh', 'biasHh'].map((name) => name + suffix),
      ),
    );
    const values = both.parameters().flatMap(numbers);
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(3));
    expect(new Set(values).size).toBe(values.length);
  });
});
