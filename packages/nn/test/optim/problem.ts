/** The small problem of scripts/fixtures/nn/optim.py, and every optimizer by name. */
import {
  ChainOptimizer,
  Adadelta,
  Adafactor,
  Adagrad,
  Adam,
  Adamax,
  AdamW,
  LAMB,
  Lion,
  Muon,
  NAdam,
  RAdam,
  RMSprop,
  ScheduleFreeAdamW,
  SGD,
  transforms,
  Parameter,
  type Optimizer,
  type OptimizerState,
} from '@infinigrad/nn';
import { fromData, type FloatDType, type Tensor } from '@infinigrad/tensor';
import { fixture, numbers, restored, type Stored } from '../support.ts';

export type Name = 'weight' | 'bias' | 'late' | 'tall';
export const names: readonly Name[] = ['weight', 'bias', 'late', 'tall'];

export interface TraceCase {
  readonly name: string;
  readonly optimizer: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly params: readonly (
    | Name
    | { readonly params: readonly Name[]; readonly [setting: string]: unknown }
  )[];
  readonly snapshots: readonly (readonly number[])[];
  readonly schedule_options?: { readonly totalSteps: number };
  readonly average?: number;
}

interface Stage {
  readonly x: Stored;
  readonly target: Stored;
  readonly start: Readonly<Record<Name, Stored>>;
  readonly cases: readonly TraceCase[];
}

export const stage: Stage = fixture<Stage>('optim');

export type Loose = (params: never, options: never) => Optimizer;

/** Every optimizer that takes parameters and options, with options under which the small problem is solved. */
export const optimizers: Readonly<Record<string, { readonly make: Loose; readonly options: object }>> = {
  SGD: { make: (p, o) => new SGD(p, o), options: { learningRate: 0.02, momentum: 0.9 } },
  Adam: { make: (p, o) => new Adam(p, o), options: { learningRate: 0.05, weightDecay: 1e-4 } },
  AdamW: { make: (p, o) => new AdamW(p, o), options: { learningRate: 0.05, weightDecay: 0 } },
  NAdam: { make: (p, o) => new NAdam(p, o), options: { learningRate: 0.05 } },
  RAdam: { make: (p, o) => new RAdam(p, o), options: { learningRate: 0.1 } },
  Adamax: { make: (p, o) => new Adamax(p, o), options: { learningRate: 0.05 } },
  LAMB: { make: (p, o) => new LAMB(p, o), options: { learningRate: 0.02 } },
  Lion: { make: (p, o) => new Lion(p, o), options: { learningRate: 0.01 } },
  Adagrad: { make: (p, o) => new Adagrad(p, o), options: { learningRate: 0.3 } },
  RMSprop: { make: (p, o) => new RMSprop(p, o), options: { learningRate: 0.02 } },
  Adadelta: { make: (p, o) => new Adadelta(p, o), options: { learningRate: 1, eps: 1e-4 } },
  Adafactor: { make: (p, o) => new Adafactor(p, o), options: { learningRate: 0.1 } },
  Muon: { make: (p, o) => new Muon(p, o), options: { learningRate: 0.02, weightDecay: 0 } },
  ScheduleFreeAdamW: { make: (p, o) => new ScheduleFreeAdamW(p, o), options: { learningRate: 0.05 } },
  /** With a transform that looks at all updates in the middle, and the same names twice. */
  'a chain': {
    make: (p, o) =>
      new ChainOptimizer(
        p,
        transforms.chain(
          transforms.clipByValue(10),
          transforms.scaleByAdam({ betas: [0.5, 0.9] }),
          transforms.clipByGlobalNorm(1.5),
          transforms.ema(0.5),
          transforms.ema(0.3, { debias: false }),
          transforms.scaleByLearningRate(),
        ),
        o,
      ),
    options: { learningRate: 0.05 },
  },
};

export type Problem = Readonly<Record<Name, Parameter>>;

export function start(dtype: FloatDType = 'f64'): Problem {
  return Object.fromEntries(
    names.map((name) => [name, new Parameter(restored(stage.start[name], dtype))]),
  ) as unknown as Problem;
}

/** `late` takes no part in the first four steps. */
export function lossAt({ weight, bias, late, tall }: Problem, step: number): Tensor {
  const { dtype } = weight;
  const y = restored(stage.x, dtype).matmul(weight).add(bias);
  return (step >= 4 ? y.mul(late) : y).tanh().matmul(tall).sub(restored(stage.target, dtype)).square().sum();
}

export const valuesOf = (problem: Problem): number[] => names.flatMap((name) => numbers(problem[name]));

/** What an optimizer is made over: those of a case's list, or Muon's matrices. */
export function chosen(problem: Problem, params: TraceCase['params']): unknown[] {
  return params.map((item) =>
    typeof item === 'string' ? problem[item] : { ...item, params: item.params.map((name) => problem[name]) },
  );
}

/** A copy that shares nothing with the original, as one that has been through a file. */
export const copied = ({ step, tensors }: OptimizerState): OptimizerState => ({
  step,
  tensors: Object.fromEntries(
    Object.entries(tensors).map(([name, x]) => [name, fromData(x.dataSync(), x.shape, { dtype: x.dtype })]),
  ),
});

/** A state as plain data. */
export const plainState = ({ step, tensors }: OptimizerState): object => ({
  step,
  tensors: Object.fromEntries(
    Object.entries(tensors).map(([name, x]) => [name, { dtype: x.dtype, shape: x.shape, data: numbers(x) }]),
  ),
});

export const paramsOf = (problem: Problem, optimizer: string): Parameter[] =>
  (optimizer === 'Muon' ? (['weight', 'tall'] as const) : names).map((name) => problem[name]);
