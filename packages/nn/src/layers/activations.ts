/** Activation functions, by name and as modules. */
import { full, ValueError, type FloatDType, type Tensor } from '@infinigrad/tensor';
import { checkSizes } from '../init.ts';
import { Module } from '../module.ts';
import { Parameter } from '../parameter.ts';

const functions = {
  identity: (x: Tensor): Tensor => x,
  relu: (x: Tensor): Tensor => x.relu(),
  relu2: (x: Tensor): Tensor => x.relu2(),
  relu6: (x: Tensor): Tensor => x.relu6(),
  leakyRelu: (x: Tensor): Tensor => x.leakyRelu(),
  elu: (x: Tensor): Tensor => x.elu(),
  selu: (x: Tensor): Tensor => x.selu(),
  celu: (x: Tensor): Tensor => x.celu(),
  gelu: (x: Tensor): Tensor => x.gelu(),
  geluTanh: (x: Tensor): Tensor => x.geluTanh(),
  silu: (x: Tensor): Tensor => x.silu(),
  mish: (x: Tensor): Tensor => x.mish(),
  softplus: (x: Tensor): Tensor => x.softplus(),
  softsign: (x: Tensor): Tensor => x.softsign(),
  sigmoid: (x: Tensor): Tensor => x.sigmoid(),
  logSigmoid: (x: Tensor): Tensor => x.logSigmoid(),
  hardsigmoid: (x: Tensor): Tensor => x.hardsigmoid(),
  hardswish: (x: Tensor): Tensor => x.hardswish(),
  hardtanh: (x: Tensor): Tensor => x.hardtanh(),
  tanh: (x: Tensor): Tensor => x.tanh(),
};

export type ActivationName = keyof typeof functions;

/** An activation of a layer: its name, or any function of a tensor. */
export type ActivationFunction = ActivationName | ((x: Tensor) => Tensor);

/** The function meant. @throws ValueError for a name that is not known */
export function activationOf(op: string, activation: ActivationFunction): (x: Tensor) => Tensor {
  if (typeof activation === 'function') return activation;
  if (!Object.hasOwn(functions, activation))
    throw new ValueError(op, `activation '${String(activation)}' is not known`, {
      hint: `one of ${Object.keys(functions).join(', ')}, or a function`,
    });
  return functions[activation];
}

function checkFinite(layer: string, name: string, value: number): void {
  if (!Number.isFinite(value)) throw new ValueError(layer, `${name} must be a number, got ${value}`);
}

/** max(x, 0). */
export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return x.relu();
  }
}

/** max(x, 0)² (arXiv 2109.08668). */
export class ReLU2 extends Module {
  forward(x: Tensor): Tensor {
    return x.relu2();
  }
}

/** x held between 0 and 6. */
export class ReLU6 extends Module {
  forward(x: Tensor): Tensor {
    return x.relu6();
  }
}

/** x where x > 0, else slope · x. */
export class LeakyReLU extends Module {
  readonly slope: number;

  /** @param slope default 0.01 */
  constructor(slope = 0.01) {
    super();
    checkFinite('LeakyReLU', 'the slope', slope);
    this.slope = slope;
  }

  forward(x: Tensor): Tensor {
    return x.leakyRelu(this.slope);
  }
}

/** x where x > 0, else weight · x, with slopes that are learnt: one, or one for each channel [batch, channels, …] (arXiv 1502.01852). */
export class PReLU extends Module {
  /** [numParameters]. */
  readonly weight: Parameter;

  /** @param numParameters 1 (the default), or the number of channels; initial: of the slopes, default 0.25; dtype: default f32 */
  constructor(
    numParameters = 1,
    { initial = 0.25, dtype = 'f32' }: { readonly initial?: number; readonly dtype?: FloatDType } = {},
  ) {
    super();
    checkSizes('PReLU', { numParameters });
    checkFinite('PReLU', 'the initial slope', initial);
    this.weight = new Parameter(full([numParameters], initial, { dtype }));
  }

  /** @throws ShapeError where there are neither one slope nor one for each channel */
  forward(x: Tensor): Tensor {
    return x.prelu(this.weight);
  }
}

/** x where x > 0, else α(eˣ - 1) (arXiv 1511.07289). */
export class ELU extends Module {
  readonly alpha: number;

  /** @param alpha default 1 */
  constructor(alpha = 1) {
    super();
    checkFinite('ELU', 'alpha', alpha);
    this.alpha = alpha;
  }

  forward(x: Tensor): Tensor {
    const { alpha } = this;
    if (alpha === 1) return x.elu();
    return x.gt(0).where(x, x.minimum(0).expm1().mul(alpha));
  }
}

/** λ·x where x > 0, else λα(eˣ - 1): keeps mean 0 and variance 1 (arXiv 1706.02515). */
export class SELU extends Module {
  forward(x: Tensor): Tensor {
    return x.selu();
  }
}

/** x where x > 0, else α(e^(x/α) - 1) (arXiv 1704.07483). */
export class CELU extends Module {
  readonly alpha: number;

  /** @param alpha > 0, default 1 */
  constructor(alpha = 1) {
    super();
    if (!(alpha > 0 && alpha < Infinity)) throw new ValueError('CELU', `alpha must be > 0, got ${alpha}`);
    this.alpha = alpha;
  }

  forward(x: Tensor): Tensor {
    return x.celu(this.alpha);
  }
}

/** x · Φ(x), exact or by its tanh approximation (arXiv 1606.08415). */
export class GELU extends Module {
  readonly approximate: 'none' | 'tanh';

  /** @param approximate `none` (the default) or `tanh` */
  constructor(approximate: 'none' | 'tanh' = 'none') {
    super();
    if (approximate !== 'none' && approximate !== 'tanh')
      throw new ValueError('GELU', `approximate must be none or tanh, got '${String(approximate)}'`);
    this.approximate = approximate;
  }

  forward(x: Tensor): Tensor {
    return this.approximate === 'tanh' ? x.geluTanh() : x.gelu();
  }
}

/** x · sigmoid(x), also called swish (arXiv 1702.03118). */
export class SiLU extends Module {
  forward(x: Tensor): Tensor {
    return x.silu();
  }
}

/** x · tanh(softplus(x)) (arXiv 1908.08681). */
export class Mish extends Module {
  forward(x: Tensor): Tensor {
    return x.mish();
  }
}

/** log(1 + e^(βx)) / β, without overflow. */
export class Softplus extends Module {
  readonly beta: number;

  /** @param beta > 0, default 1 */
  constructor(beta = 1) {
    super();
    if (!(beta > 0 && beta < Infinity)) throw new ValueError('Softplus', `beta must be > 0, got ${beta}`);
    this.beta = beta;
  }

  forward(x: Tensor): Tensor {
    const { beta } = this;
    return beta === 1 ? x.softplus() : x.mul(beta).softplus().div(beta);
  }
}

/** x / (1 + |x|). */
export class Softsign extends Module {
  forward(x: Tensor): Tensor {
    return x.softsign();
  }
}

/** 1 / (1 + e⁻ˣ). */
export class Sigmoid extends Module {
  forward(x: Tensor): Tensor {
    return x.sigmoid();
  }
}

/** log(sigmoid(x)), without overflow. */
export class LogSigmoid extends Module {
  forward(x: Tensor): Tensor {
    return x.logSigmoid();
  }
}

/** x/6 + 1/2 held between 0 and 1 (arXiv 1905.02244). */
export class Hardsigmoid extends Module {
  forward(x: Tensor): Tensor {
    return x.hardsigmoid();
  }
}

/** x · hardsigmoid(x) (arXiv 1905.02244). */
export class Hardswish extends Module {
  forward(x: Tensor): Tensor {
    return x.hardswish();
  }
}

/** x held between two numbers. */
export class Hardtanh extends Module {
  readonly min: number;
  readonly max: number;

  /** @param min default -1; max: default 1 */
  constructor(min = -1, max = 1) {
    super();
    if (!(min < max)) throw new ValueError('Hardtanh', `min ${min} is not < max ${max}`);
    this.min = min;
    this.max = max;
  }

  forward(x: Tensor): Tensor {
    return x.hardtanh(this.min, this.max);
  }
}

/** Hyperbolic tangent. */
export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return x.tanh();
  }
}

/** eˣ / Σ eˣ along an axis. */
export class Softmax extends Module {
  readonly axis: number;

  /** @param axis default the last one */
  constructor(axis = -1) {
    super();
    this.axis = axis;
  }

  /** @throws IndexError where there is no such axis */
  forward(x: Tensor): Tensor {
    return x.softmax(this.axis);
  }
}

/** log(softmax(x)) along an axis, without underflow. */
export class LogSoftmax extends Module {
  readonly axis: number;

  /** @param axis default the last one */
  constructor(axis = -1) {
    super();
    this.axis = axis;
  }

  /** @throws IndexError where there is no such axis */
  forward(x: Tensor): Tensor {
    return x.logSoftmax(this.axis);
  }
}
