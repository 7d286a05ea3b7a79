/** Activation functions by the names that config.json gives them. */
import type { ActivationName } from '@infinigrad/nn';
import { ValueError } from '@infinigrad/tensor';
import { oneOf, type Check } from './checks.ts';

const known = {
  linear: 'identity',
  relu: 'relu',
  relu2: 'relu2',
  relu6: 'relu6',
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'geluTanh',
  gelu_fast: 'geluTanh',
  gelu_pytorch_tanh: 'geluTanh',
  silu: 'silu',
  swish: 'silu',
  mish: 'mish',
  tanh: 'tanh',
  sigmoid: 'sigmoid',
} as const satisfies Readonly<Record<string, ActivationName>>;

/** An activation as config.json names it. */
export type HiddenAct = keyof typeof known;

/** A field that names an activation. */
export const activation: Check = oneOf(...Object.keys(known));

/** What layers of nn call an activation of config.json. @throws ValueError for one that is not known */
export function activationNamed(name: string): ActivationName {
  const problem = activation(name);
  if (problem) throw new ValueError('activation', `must be ${problem}, got '${name}'`);
  return known[name as HiddenAct];
}
