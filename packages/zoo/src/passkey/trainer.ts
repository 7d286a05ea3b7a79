/** Trains an Infini-Transformer on passkeys, one reported step at a time, resumable to the bit. */
import { noGrad } from '@infinigrad/autograd';
import { AdamW, crossEntropy, warmupCosine, type Parameter, type ParameterGroup } from '@infinigrad/nn';
import { fromData, Key, keep, scope, stack, ValueError, type Tensor } from '@infinigrad/tensor';
import type { MemoryState } from '../infini/memory.ts';
import { InfiniTransformer, type InfiniTransformerOutput, type Memories } from '../infini/model.ts';
import { draw } from './draw.ts';
import { packFigures } from './figures.ts';
import { passkeyModelOptions, type PasskeyRecipe } from './recipe.ts';
import { fillerSymbols, passkeyBatch, passkeyTargets, passkeyVocabSize, type PasskeyBatch } from './task.ts';

export interface StepReport {
  /** Steps done, counting this one. */
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  /** Mean cross-entropy of the answer digits, in nats. */
  readonly answerLoss: number;
  /** Fraction of answer digits right in this batch, the true digits before each being given. */
  readonly accuracy: number;
  /** NaN where the optimizer does not read it: on a GPU. */
  readonly gradNorm: number;
  readonly learningRate: number;
  /** Tokens in this step. */
  readonly tokens: number;
  readonly segments: number;
  /** sigmoid(β) by layer with memory, by head. */
  readonly gates: readonly (readonly number[])[];
  /** Mean opening of the write gates on the key's digits and on everything else; null without write gates. */
  readonly writeGate: { readonly digits: number; readonly filler: number } | null;
}

/** What a step's figures are made of, without history. */
interface Results {
  readonly logits: Tensor;
  readonly losses: Tensor;
  readonly writeLogits: readonly Tensor[];
}

/** A step that was taken, its figures not read yet. */
interface Taken {
  readonly packed: Tensor;
  readonly report: (data: ArrayLike<number>) => StepReport;
}

/** All that a resumed run needs. */
export interface TrainerState {
  readonly tensors: Record<string, Tensor>;
  readonly meta: { readonly step: number; readonly control: boolean; readonly recipe: PasskeyRecipe };
}

const optimizerPrefix = 'optimizer.';
const modelPrefix = 'model.';

export class PasskeyTrainer {
  readonly recipe: PasskeyRecipe;
  readonly control: boolean;
  readonly model: InfiniTransformer;
  private readonly optimizer: AdamW;
  private readonly dataKey: Key;
  private done = 0;

  /** @param options.control train the same model without memory */
  constructor(recipe: PasskeyRecipe, { control = false }: { readonly control?: boolean } = {}) {
    const [modelKey, dataKey] = new Key(recipe.seed).split(2) as [Key, Key];
    this.recipe = recipe;
    this.control = control;
    this.dataKey = dataKey;
    this.model = new InfiniTransformer(passkeyModelOptions(recipe, control), modelKey);
    this.optimizer = makeOptimizer(this.model, recipe);
  }

  /** Steps done. */
  get step(): number {
    return this.done;
  }

  /**
   * The steps that are left, one report each.
   * @throws ValueError naming the step when loss or gradients are not finite; the model stays as after the last good step
   * @throws BackendError on a GPU, from where nothing is read at once: `runAsync` does there
   */
  *run(): Generator<StepReport> {
    while (this.done < this.recipe.steps) {
      const { packed, report } = this.next();
      yield report(packed.dataSync());
    }
  }

  /**
   * As `run`, and on a GPU too.
   * @throws ValueError naming the step when the loss is not finite; on a GPU the model has taken that step
   */
  async *runAsync(): AsyncGenerator<StepReport> {
    while (this.done < this.recipe.steps) {
      const { packed, report } = this.next();
      yield report(await packed.data());
    }
  }

  private next(): Taken {
    return scope(() => this.trainStep());
  }

  private trainStep(): Taken {
    const { recipe, model } = this;
    const { batchSize, maxSegments, curriculum, steps } = recipe;
    const key = this.dataKey.foldIn(this.done);
    const progress = this.done / steps;
    // The longest length grows from 2 to maxSegments; each step draws one up to it.
    const longest = Math.min(
      maxSegments,
      2 + Math.floor(((maxSegments - 1) * progress) / Math.max(curriculum, 1e-9)),
    );
    const segments = draw(() => key.foldIn(0).randint(2, longest + 1, []))[0]!;
    const batch = passkeyBatch(
      recipe,
      { batch: batchSize, segments, position: 'any', ownSegment: recipe.ownSegment },
      key.foldIn(1),
    );
    const { targets, weights } = passkeyTargets(recipe, batch, recipe.otherWeight);
    const memories = this.prefixMemories(batch, key.foldIn(2));
    let results: Results | null = null;
    const loss = this.optimizer.minimize(() => {
      const output = model.forward(batch.tokens, memories ? { memories } : {});
      const losses = crossEntropy(output.logits, targets, { reduction: 'none' });
      results = keep({
        logits: output.logits.detach(),
        losses: losses.detach(),
        writeLogits: output.writeLogits.map((a) => a.detach()),
      });
      const task = losses.mul(weights).sum();
      const penalty = this.writePenalty(output);
      return penalty ? task.add(penalty) : task;
    });
    const step = ++this.done;
    const { learningRate, lastGradNorm } = this.optimizer;
    const { packed, unpack } = packFigures({
      loss: [loss],
      ...this.answerFigures(batch, results!),
      gates: model.gateTensors(),
      openings: this.openingFigures(batch, results!),
    });
    const report = (data: ArrayLike<number>): StepReport => {
      const figures = unpack(data);
      const value = figures.loss[0]![0]!;
      if (!Number.isFinite(value))
        throw new ValueError('PasskeyTrainer', `the loss is ${value} at step ${step}`, {
          hint: 'the model has taken the step: go on from an earlier state',
        });
      const guesses = figures.guesses[0]!;
      return {
        step,
        steps,
        loss: value,
        answerLoss: figures.answerLoss[0]![0]!,
        accuracy: batch.answers.flat().filter((digit, i) => digit === guesses[i]).length / guesses.length,
        gradNorm: lastGradNorm ?? NaN,
        learningRate,
        tokens: batch.data.length,
        segments,
        gates: figures.gates,
        writeGate: meanOpenings(figures.openings, batch.data.length, recipe.numHeads),
      };
    };
    return { packed, report };
  }

  /** λ · mean softplus(a): on the pre-activation, so that it still pushes where the gate is shut. */
  private writePenalty({ writeLogits }: InfiniTransformerOutput): Tensor | null {
    const { gatePenalty, steps } = this.recipe;
    if (gatePenalty === 0 || writeLogits.length === 0) return null;
    const weight = gatePenalty * Math.min(1, this.done / (0.2 * steps));
    const means = writeLogits.map((a) => a.softplus().mean());
    return means.reduce((a, b) => a.add(b)).mul(weight / means.length);
  }

  /**
   * Memories as after a long stretch of filler. The top layer's input does not depend on what came before the
   * segment, and the filler repeats every lcm(24, segmentLength) tokens, so the state after n periods is n times the
   * state after one: a single pass without gradient, multiplied by n ~ log-uniform per row.
   */
  private prefixMemories(batch: PasskeyBatch, key: Key): Memories | null {
    const { prefix, steps, batchSize, segmentLength } = this.recipe;
    const progress = this.done / steps;
    if (this.control || prefix === 0 || progress <= 0.2) return null;
    const top = 1 + (prefix - 1) * Math.min(1, (progress - 0.2) / 0.3) ** 2;
    const period = (fillerSymbols * segmentLength) / gcd(fillerSymbols, segmentLength);
    const length = batch.tokens.shape[1]!;
    const first = passkeyVocabSize - fillerSymbols;
    const filler = new Int32Array(batchSize * period);
    for (let row = 0; row < batchSize; row++) {
      // The phase that runs on into the row: its last token is filler or part of the query; count back from a filler one.
      const at = batch.data.subarray(row * length, (row + 1) * length).findIndex((token) => token >= first);
      const phase = batch.data[row * length + at]! - first - at;
      for (let t = 0; t < period; t++)
        filler[row * period + t] = first + ((((phase + t) % fillerSymbols) + fillerSymbols) % fillerSymbols);
    }
    const periods = key.uniform([batchSize, 1, 1]).mul(Math.log(top)).exp();
    return noGrad(() => {
      const { memories } = this.model.forward(fromData(filler, [batchSize, period]), { lastLogits: 0 });
      const scale = (m: MemoryState | null): MemoryState | null =>
        m && { matrix: m.matrix.mul(periods.unsqueeze(-1)), normalizer: m.normalizer.mul(periods) };
      return memories.map(scale);
    });
  }

  private answerFigures(
    batch: PasskeyBatch,
    { logits, losses }: Results,
  ): { readonly answerLoss: Tensor[]; readonly guesses: Tensor[] } {
    const { digits } = this.recipe;
    const start = batch.tokens.shape[1]! - digits - 1;
    return noGrad(() => ({
      answerLoss: [losses.narrow(1, start, digits).mean()],
      guesses: [logits.narrow(1, start, digits).argMax(-1)],
    }));
  }

  /** For each layer with a write gate: its openings summed on digits, and on all tokens; then how many digits there are. */
  private openingFigures(batch: PasskeyBatch, { writeLogits }: Results): Tensor[] {
    if (writeLogits.length === 0) return [];
    const gates = this.model.layers.flatMap(({ attention }) => (attention.writeGate ? [attention] : []));
    // Digits occur only in keys and answers; [batch, length] → [batch, 1, length]
    const digit = batch.tokens.lt(10).cast('f32').unsqueeze(1);
    return noGrad(() => [
      ...writeLogits.map((a, i) => {
        const w = gates[i]!.openness(a);
        return stack([w.mul(digit).sum(), w.sum()]);
      }),
      digit.sum(),
    ]);
  }

  stateDict(): TrainerState {
    const tensors: Record<string, Tensor> = {};
    for (const [name, value] of Object.entries(this.model.stateDict())) tensors[modelPrefix + name] = value;
    for (const [name, value] of Object.entries(this.optimizer.stateDict().tensors))
      tensors[optimizerPrefix + name] = value;
    return { tensors, meta: { step: this.done, control: this.control, recipe: this.recipe } };
  }

  /** Goes on where the state was taken. @throws ValueError where it belongs to another run; nothing is changed then */
  loadStateDict({ tensors, meta }: TrainerState): void {
    if (JSON.stringify(meta.recipe) !== JSON.stringify(this.recipe) || meta.control !== this.control)
      throw new ValueError('PasskeyTrainer', 'the checkpoint belongs to a run with another recipe');
    const part = (prefix: string): Record<string, Tensor> =>
      Object.fromEntries(
        Object.entries(tensors).flatMap(([name, x]) =>
          name.startsWith(prefix) ? [[name.slice(prefix.length), x]] : [],
        ),
      );
    this.model.loadStateDict(part(modelPrefix));
    this.optimizer.loadStateDict({ step: meta.step, tensors: part(optimizerPrefix) });
    this.done = meta.step;
  }
}

function makeOptimizer(model: InfiniTransformer, recipe: PasskeyRecipe): AdamW {
  const betas = model.gateParameters();
  const writeGates = model.writeGateParameters();
  const special = new Set<Parameter>([...betas, ...writeGates]);
  const groups: ParameterGroup[] = [
    { name: 'weights', params: model.parameters().filter((p) => !special.has(p)) },
    { name: 'beta', params: betas, learningRate: recipe.betaLearningRate, weightDecay: 0 },
    { name: 'writeGate', params: writeGates, learningRate: recipe.gateLearningRate, weightDecay: 0 },
  ];
  return new AdamW(groups, {
    learningRate: recipe.learningRate,
    betas: [0.9, 0.98],
    eps: 1e-8,
    weightDecay: recipe.weightDecay,
    maxGradNorm: recipe.clipNorm,
    schedule: warmupCosine({
      warmupSteps: Math.min(recipe.warmupSteps, Math.floor(recipe.steps / 4)),
      totalSteps: recipe.steps,
      finalFactor: recipe.finalFactor,
    }),
  });
}

/** @param sums as openingFigures gives them */
function meanOpenings(
  sums: readonly (readonly number[])[],
  tokens: number,
  heads: number,
): StepReport['writeGate'] {
  if (sums.length === 0) return null;
  const layers = sums.slice(0, -1);
  const count = sums.at(-1)![0]!;
  const mean = (i: number): number => layers.reduce((t, layer) => t + layer[i]! / heads, 0) / layers.length;
  const [onDigits, total] = [mean(0), mean(1)];
  return { digits: onDigits / count, filler: (total - onDigits) / (tokens - count) };
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
