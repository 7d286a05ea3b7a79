/** What layers have in common that are made to be put one after the other. */
import type { Key, Tensor } from '@infinigrad/tensor';
import type { Module } from '../module.ts';

/** A module from one tensor to another. */
export type Layer = Module & { forward(x: Tensor): Tensor };

/** A layer that draws, and is given a key after its input. */
export interface Drawing {
  readonly takesKey: true;
  forward(x: Tensor, key?: Key): Tensor;
}

const draws = (layer: object): layer is Drawing => (layer as Partial<Drawing>).takesKey === true;

/** Calls a layer, with the key where it takes one: the second argument of others may be anything. */
export function callLayer(layer: Layer, x: Tensor, key: Key | undefined): Tensor {
  return draws(layer) ? layer.forward(x, key) : layer.forward(x);
}
