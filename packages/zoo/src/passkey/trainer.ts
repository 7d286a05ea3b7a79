/** Trains an Infini-Transformer on passkeys, one reported step at a time, resumable to the bit. */
import { noGrad } from '@infinigrad/autograd';
import { AdamW, crossEntropy, warmupCosine, type Parameter, type ParameterGroup } from '@infinigrad/nn';
import { fromData, Key, keep, scope, ValueError, type Tensor } from '@infinigrad/tensor';
import type { MemoryState } from '../infini/memory.ts';
import { InfiniTransformer, type InfiniTransformerOutput, type Memories } from '../infini/model.ts';
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
   */
  *run(): Generator<StepReport> {
    while (this.done < this.recipe.steps) yield this.next();
  }

  private next(): StepReport {
    return scope(() => this.trainStep());
  }

  private trainStep(): StepReport {
    const { recipe, model } = this;
    const { batchSize, maxSegments, curriculum, steps } = recipe;
    const key = this.dataKey.foldIn(this.done);
    const progress = this.done / steps;
    // The longest length grows from 2 to maxSegments; each step draws one up to it.
    const longest = Math.min(
      maxSegments,
      2 + Math.floor(((maxSegments - 1) * progress) / Math.max(curriculum, 1e-9)),
    );
    const segments = key
      .foldIn(0)
      .randint(2, longest + 1, [])
      .itemSync();
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
    this.done++;
    const answers = this.answerStatistics(batch, results!);
    return {
      step: this.done,
      steps,
      loss: loss.itemSync(),
      ...answers,
      gradNorm: this.optimizer.lastGradNorm ?? 0,
      learningRate: this.optimizer.learningRate,
      tokens: batch.data.length,
      segments,
      gates: model.gates(),
      writeGate: this.openings(batch, results!),
    };
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

  private answerStatistics(
    batch: PasskeyBatch,
    { logits, losses }: Results,
  ): { answerLoss: number; accuracy: number } {
    const { digits } = this.recipe;
    const start = batch.tokens.shape[1]! - digits - 1;
    return noGrad(() => {
      const guesses = logits.narrow(1, start, digits).argMax(-1).dataSync();
      const right = batch.answers.flat().filter((digit, i) => digit === guesses[i]).length;
      return {
        answerLoss: losses.narrow(1, start, digits).mean().itemSync(),
        accuracy: right / guesses.length,
      };
    });
  }

  private openings(batch: PasskeyBatch, { writeLogits }: Results): StepReport['writeGate'] {
    if (writeLogits.length === 0) return null;
    const gates = this.model.layers.flatMap(({ attention }) => (attention.writeGate ? [attention] : []));
    // Digits occur only in keys and answers; [batch, length] → [batch, 1, length]
    const digit = batch.tokens.lt(10).cast('f32').unsqueeze(1);
    return noGrad(() => {
      const sums = writeLogits.map((a, i) => {
        const w = gates[i]!.openness(a);
        return [w.mul(digit).sum().itemSync() / w.shape[1]!, w.sum().itemSync() / w.shape[1]!] as const;
      });
      const count = digit.sum().itemSync();
      const onDigits = sums.reduce((t, [d]) => t + d, 0) / sums.length;
      const total = sums.reduce((t, [, all]) => t + all, 0) / sums.length;
      return { digits: onDigits / count, filler: (total - onDigits) / (batch.data.length - count) };
    });
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

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
