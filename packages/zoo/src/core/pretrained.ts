/** What all models of the zoo are: a configuration, parameters, and how both are spelled in Hugging Face's files. */
import { Embedding, Module, type Linear } from '@infinigrad/nn';
import { ValueError, type FloatDType, type Key, type Tensor } from '@infinigrad/tensor';
import type { ConfigSchema } from './config.ts';
import {
  flopsPerToken,
  footprints,
  matrixNumbers,
  type AttentionShape,
  type FlopsOptions,
} from './counting.ts';
import {
  loadPretrainedState,
  pretrainedState,
  type PretrainedReport,
  type StateOptions,
  type StateSpelling,
} from './state.ts';

/** What the class of a model knows of its family, as data. */
export interface ModelMeta<C extends object> extends Omit<StateSpelling, 'tied'> {
  /** Name of the class in Hugging Face's `architectures`. */
  readonly architecture: string;
  readonly config: ConfigSchema<C>;
  /** Keys of one tensor, the one that is saved first. Default none. */
  tied?(config: C): readonly (readonly string[])[];
  /** What its costs depend on; models without it have `flopsPerToken` and `memoryFootprint` of their own, or none. */
  shape?(config: C): AttentionShape;
}

export interface ModelInit {
  /** Default f32. */
  readonly dtype?: FloatDType | undefined;
}

/** A class of models. */
export interface PretrainedClass {
  readonly meta: ModelMeta<object>;
  new (options: never, key: Key, init?: ModelInit): PretrainedModel<object>;
}

export interface CountOptions {
  /** Count what needs gradients alone. Default false. */
  readonly trainable?: boolean;
  /** Count tables of tokens and of positions. Default true; with an output head tied to it, the table goes too. */
  readonly embeddings?: boolean;
}

export abstract class PretrainedModel<C extends object> extends Module {
  readonly config: C;

  constructor(config: C) {
    super();
    this.config = config;
  }

  /** What the class knows: its static `meta`. */
  get meta(): ModelMeta<C> {
    return (this.constructor as unknown as { readonly meta: ModelMeta<C> }).meta;
  }

  /** Hugging Face's `model_type`. */
  get modelType(): string {
    return this.meta.config.modelType;
  }

  /** How this model's state is spelled in files. */
  get spelling(): StateSpelling {
    return { ...this.meta, tied: this.meta.tied?.(this.config) ?? [] };
  }

  /** The content of config.json, but for the dtype. */
  configJson(): Record<string, unknown> {
    const { config, architecture } = this.meta;
    return { architectures: [architecture], ...config.toJson(this.config) };
  }

  /**
   * Another model of its class and dtype, with initial weights, and a configuration that differs in some fields.
   * @throws ValueError for fields that make no sense
   */
  remade(changes: Partial<C>, key: Key): this {
    const modelClass = this.constructor as new (options: C, key: Key, init: ModelInit) => this;
    return new modelClass({ ...this.config, ...changes }, key, this.init());
  }

  /** What it was made with besides its configuration. */
  protected init(): ModelInit {
    return { dtype: this.parameters()[0]!.dtype as FloatDType };
  }

  /** The weights in Hugging Face's keys, shapes and layout. */
  pretrainedState(): Record<string, Tensor> {
    return pretrainedState(this, this.spelling);
  }

  /**
   * Gives the model weights in Hugging Face's keys, all or none.
   * @throws PretrainedError with the report, for tensors that do not fit and, in strict mode, that are missing or too many
   */
  loadPretrainedState(
    tensors: Readonly<Record<string, Tensor>>,
    options: StateOptions = {},
  ): PretrainedReport {
    return loadPretrainedState(this, this.spelling, tensors, options);
  }

  /** The number of numbers in all parameters together; shared ones count once. */
  override numParameters({ trainable = false, embeddings = true }: CountOptions = {}): number {
    const tables = new Set<Tensor>(
      embeddings ? [] : this.modules().flatMap((m) => (m instanceof Embedding ? [m.weight] : [])),
    );
    return this.parameters()
      .filter((p) => !(trainable && !p.requiresGrad) && !tables.has(p))
      .reduce((total, { size }) => total + size, 0);
  }

  /** Floating-point operations of a token, see `flopsPerToken`. @throws ValueError for a model that does not tell its shape */
  flopsPerToken(options: FlopsOptions = {}): number {
    const shape = this.attentionShape();
    return flopsPerToken(matrixNumbers(this, this.layersOfTexts()) + shape.tiedHead, shape, options);
  }

  /** Layers that look at one token of a text alone, whose cost is not a token's. */
  protected layersOfTexts(): readonly (Linear | null)[] {
    return [];
  }

  /**
   * Numbers that are kept, of each row of a batch, once so many tokens have been read.
   * @throws ValueError for a model that does not tell its shape
   */
  memoryFootprint(length: number): number {
    const { kvHeads, ...shape } = this.attentionShape();
    return footprints.transformer({ ...shape, heads: kvHeads }, length);
  }

  /** @throws ValueError for a model that does not tell it */
  protected attentionShape(): AttentionShape {
    const shape = this.meta.shape?.(this.config);
    if (!shape) throw new ValueError(this.meta.architecture, 'does not tell the shape of its attention');
    return shape;
  }
}
