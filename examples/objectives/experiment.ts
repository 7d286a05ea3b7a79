/** What an experiment is: a model, texts whose best loss is known, and what must come out. */
import type { Module, ParameterGroup } from '@infinigrad/nn';
import type { Key, Tensor } from '@infinigrad/tensor';

export interface Recipe {
  readonly steps: number;
  /** Texts in a step. */
  readonly batchSize: number;
  /** Tokens of a text. */
  readonly length: number;
  /** Its peak: it warms up, and falls along a cosine. */
  readonly learningRate: number;
  /** Texts that were not trained on, for the result. */
  readonly evaluationTexts: number;
}

/** A batch beside what is known of its targets. */
export interface Scored {
  /** i32 [texts, T]; -100 where nothing is to be told. */
  readonly targets: Tensor;
  /** -log P of each target by the law that made the text, [texts · T]: no model is better in the mean. 0 where nothing is to be told. */
  readonly floors: Float64Array;
  /** The same by predictors that know less. */
  readonly baselines: Readonly<Record<string, Float64Array>>;
}

/** What a model did on texts it was not trained on; losses in nats for each target. */
export interface Measured {
  readonly loss: number;
  /** Of the same texts. */
  readonly floor: number;
  readonly baselines: Readonly<Record<string, number>>;
  /** loss - floor, target by target, so that luck with the texts counts for neither. */
  readonly excess: number;
  /** Its standard error, texts being drawn apart from one another. */
  readonly standardError: number;
  readonly targets: number;
}

/** A number that must come out. */
export interface Goal {
  readonly what: string;
  readonly value: number;
  readonly is: 'at most' | 'at least';
  readonly bound: number;
}

export interface Task<M extends Module = any, B extends Scored = any> {
  readonly model: M;
  /** Numbers of the source, by name: entropies in nats for each token. */
  readonly source: Readonly<Record<string, number>>;
  batch(texts: number, key: Key): B;
  /** Parameters that learn at a pace of their own. Default: all alike. */
  parameters?(learningRate: number): readonly ParameterGroup[];
  /** [texts, T, vocabulary]. */
  logits(model: M, batch: B): Tensor;
  /** What else is measured, by name. Default: nothing. */
  further?(model: M, batches: readonly B[]): Promise<Readonly<Record<string, number>>>;
  goals(measured: Measured, further: Readonly<Record<string, number>>): readonly Goal[];
}

export interface Experiment {
  readonly title: string;
  readonly recipe: Recipe;
  /** @param keys of weights, and of the source */
  build(recipe: Recipe, keys: { readonly model: Key; readonly source: Key }): Task;
}
