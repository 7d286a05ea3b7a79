/**
 * The laws that every model obeys, run over a table: a family writes a row and calls `describeModel(row)` in a test file of its own.
 *
 * Models are tiny and in f64, where laws hold to 1e-10. What a family cannot do is declared in `without`, with the reason.
 */
import { AdamW, crossEntropy, documentMask, type Module } from '@infinigrad/nn';
import { concat, decodeSafetensors, encodeSafetensors, Key, type Tensor } from '@infinigrad/tensor';
import { PretrainedModel } from '@infinigrad/zoo';
import { describe, expect, test } from 'vitest';
import {
  idsOf,
  largestDifference,
  perturbed,
  positionsAfter,
  present,
  randomIds,
  type CacheOptions,
  type Law,
  type ModelCacheLike,
  type ModelRow,
} from './row.ts';

export {
  idsOf,
  largestDifference,
  randomIds,
  type CacheOptions,
  type CallOptions,
  type ModelCacheLike,
  type ModelRow,
} from './row.ts';

const tolerance = 1e-10;

function defaultLoss<M extends Module>(row: ModelRow<M>) {
  return (model: M, ids: Tensor, key: Key | undefined): Tensor => {
    const length = ids.shape[1]!;
    if (!row.causal) return crossEntropy(row.logits(model, ids, { key }), ids);
    const logits = row.logits(model, ids.narrow(1, 0, length - 1), { key });
    return crossEntropy(logits, ids.narrow(1, 1, length - 1));
  };
}

/** Registers the laws of one family. */
export function describeModel<M extends Module>(row: ModelRow<M>): void {
  const { name, vocabSize, logits, causal, without = {}, newCache } = row;
  const made = (seed = 0): M => row.make(new Key(seed), { dtype: 'f64' }).eval();
  const loss = row.loss ?? defaultLoss(row);
  /** A law, unless the row tells why the family is without it. */
  const law = (of: Law, title: string, body: () => void): void => {
    const reason = without[of];
    if (reason === undefined) test(title, body);
    else test.skip(`${title} (${reason})`, body);
  };
  const cacheOf = (model: M, options: CacheOptions): ModelCacheLike => {
    if (!newCache) throw new Error(`the row of ${name} has neither newCache nor a reason in without.cache`);
    return newCache(model, options);
  };

  describe(name, () => {
    test('gives [batch, T, width] at every length, and the same model for the same key', () => {
      const [model, same, other] = [made(), made(), made(1)];
      for (const [batch, length] of [
        [1, 1],
        [2, 7],
        [3, 2],
      ] as const) {
        const ids = randomIds(vocabSize, batch, length);
        const y = logits(model, ids, {});
        expect(y.shape).toEqual([batch, length, row.width ?? vocabSize]);
        expect(y.dataSync().every(Number.isFinite)).toBe(true);
        expect(largestDifference(y, logits(same, ids, {}))).toBe(0);
        expect(largestDifference(y, logits(other, ids, {}))).toBeGreaterThan(1e-6);
      }
    });

    test('rows of a batch do not know each other', () => {
      const model = made();
      const ids = randomIds(vocabSize, 3, 6);
      const whole = logits(model, ids, {});
      for (let i = 0; i < 3; i++)
        expect(largestDifference(whole.narrow(0, i, 1), logits(model, ids.narrow(0, i, 1), {}))).toBeLessThan(
          tolerance,
        );
    });

    test(
      causal ? 'no token sees a later one, and each sees those before' : 'every token sees every other',
      () => {
        const model = made();
        const length = 9;
        const ids = randomIds(vocabSize, 2, length);
        const y = logits(model, ids, {});
        for (const at of [0, 4, length - 1]) {
          const z = logits(model, perturbed(ids, at, vocabSize), {});
          for (let t = 0; t < length; t++) {
            const change = largestDifference(y.narrow(1, t, 1), z.narrow(1, t, 1));
            if (causal && t < at) expect(change).toBeLessThan(tolerance);
            else if (t === at || t === length - 1 || (!causal && t === 0))
              expect(change).toBeGreaterThan(1e-9);
          }
        }
      },
    );

    law('cache', 'read in pieces with a cache equals read at once', () => {
      const model = made();
      const ids = randomIds(vocabSize, 2, 12);
      const whole = logits(model, ids, {});
      for (const pieces of [[5, 1, 1, 5], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [12], [11, 1]]) {
        const cache = cacheOf(model, { batch: 2 });
        let at = 0;
        for (const count of pieces) {
          const y = logits(model, ids.narrow(1, at, count), { cache });
          expect(largestDifference(y, whole.narrow(1, at, count))).toBeLessThan(tolerance);
          at += count;
          expect(cache.length).toBe(at);
        }
        expect(cache.bytes).toBeGreaterThan(0);
      }
    });

    law('cache', 'a cache is cloned, reordered and reset', () => {
      const model = made();
      const ids = randomIds(vocabSize, 2, 8);
      const whole = logits(model, ids, {});
      const cache = cacheOf(model, { batch: 2 });
      logits(model, ids.narrow(1, 0, 5), { cache });
      const copy = cache.clone();
      const turned = cache.clone();
      turned.reorder([1, 0, 1]);
      const rest = ids.narrow(1, 5, 3);
      expect(largestDifference(logits(model, rest, { cache }), whole.narrow(1, 5, 3))).toBeLessThan(
        tolerance,
      );
      expect(copy.length).toBe(5);
      expect(largestDifference(logits(model, rest, { cache: copy }), whole.narrow(1, 5, 3))).toBeLessThan(
        tolerance,
      );
      const rows = (x: Tensor): Tensor =>
        concat([x.narrow(0, 1, 1), x.narrow(0, 0, 1), x.narrow(0, 1, 1)], 0);
      expect(
        largestDifference(logits(model, rows(rest), { cache: turned }), rows(whole).narrow(1, 5, 3)),
      ).toBeLessThan(tolerance);
      cache.reset();
      expect(cache.length).toBe(0);
      expect(largestDifference(logits(model, ids, { cache }), whole)).toBeLessThan(tolerance);
    });

    if (!without.cache)
      law('truncation', 'a cache forgets its last tokens', () => {
        const model = made();
        const ids = randomIds(vocabSize, 2, 8);
        const whole = logits(model, ids, {});
        const cache = cacheOf(model, { batch: 2 });
        logits(model, ids.narrow(1, 0, 5), { cache });
        logits(model, randomIds(vocabSize, 2, 2, 5), { cache });
        cache.truncate(5);
        expect(cache.length).toBe(5);
        expect(
          largestDifference(logits(model, ids.narrow(1, 5, 3), { cache }), whole.narrow(1, 5, 3)),
        ).toBeLessThan(tolerance);
      });

    law('leftPadding', 'rows of different lengths, padded on the left, equal single runs', () => {
      const model = made();
      const counts = [0, 3, 5];
      const length = 8;
      const ids = randomIds(vocabSize, 3, length);
      const further = randomIds(vocabSize, 3, 2, 7);
      const options = {
        attentionMask: present(counts, length, 'left'),
        positionIds: positionsAfter(counts, length),
      };
      const batch = logits(model, ids, options);
      const cache = without.cache ? null : cacheOf(model, { batch: 3, leftPadding: counts });
      const first = cache && logits(model, ids, { cache });
      const second = cache && logits(model, further.narrow(1, 0, 1), { cache });
      const third = cache && logits(model, further.narrow(1, 1, 1), { cache });
      counts.forEach((count, i) => {
        const own = ids.narrow(0, i, 1).narrow(1, count, length - count);
        const part = (x: Tensor): Tensor => x.narrow(0, i, 1);
        const alone = logits(model, own, {});
        expect(largestDifference(part(batch).narrow(1, count, length - count), alone)).toBeLessThan(
          tolerance,
        );
        if (!first) return;
        const single = logits(model, concat([own, further.narrow(0, i, 1)], 1), {});
        expect(largestDifference(part(first).narrow(1, count, length - count), alone)).toBeLessThan(
          tolerance,
        );
        [second!, third!].forEach((y, step) =>
          expect(largestDifference(part(y), single.narrow(1, length - count + step, 1))).toBeLessThan(
            tolerance,
          ),
        );
      });
    });

    law('rightPadding', 'rows of different lengths, padded on the right, equal single runs', () => {
      const model = made();
      const counts = [0, 2, 6];
      const length = 7;
      const ids = randomIds(vocabSize, 3, length);
      const batch = logits(model, ids, { attentionMask: present(counts, length, 'right') });
      counts.forEach((count, i) => {
        const own = ids.narrow(0, i, 1).narrow(1, 0, length - count);
        expect(
          largestDifference(batch.narrow(0, i, 1).narrow(1, 0, length - count), logits(model, own, {})),
        ).toBeLessThan(tolerance);
      });
    });

    law('packing', 'documents packed into one row equal single runs', () => {
      const model = made();
      const lengths = [4, 1, 6];
      const ids = randomIds(vocabSize, 1, 11);
      const positionIds = idsOf([lengths.flatMap((n) => Array.from({ length: n }, (_, i) => i))]);
      const packed = logits(model, ids, { attentionMask: documentMask(lengths), positionIds });
      let at = 0;
      for (const n of lengths) {
        const alone = logits(model, ids.narrow(1, at, n), {});
        expect(largestDifference(packed.narrow(1, at, n), alone)).toBeLessThan(tolerance);
        at += n;
      }
    });

    law('lastLogits', 'the last logits alone are the last of all', () => {
      const model = made();
      const ids = randomIds(vocabSize, 2, 6);
      const whole = logits(model, ids, {});
      for (const count of [1, 4, 6])
        expect(
          largestDifference(logits(model, ids, { lastLogits: count }), whole.narrow(1, 6 - count, count)),
        ).toBeLessThan(tolerance);
    });

    test('every parameter gets a gradient', () => {
      const model = made().train();
      loss(model, randomIds(vocabSize, 3, 8), new Key(3)).backward();
      const idle: string[] = [];
      for (const [parameter, { grad }] of model.namedParameters()) {
        const largest = grad ? Math.max(...Array.from(grad.abs().dataSync(), Number)) : Number.NaN;
        if (!(largest > 1e-9)) idle.push(parameter);
        if (row.idle?.test(parameter)) expect(largest).toBeLessThan(1e-12);
      }
      expect(idle.filter((parameter) => !row.idle?.test(parameter))).toEqual([]);
    });

    law('dropout', 'dropout is a matter of the key, and off in evaluation', () => {
      const model = row.dropping!(new Key(0)).train();
      const ids = randomIds(vocabSize, 2, 6);
      const [a, again, b] = [1, 1, 2].map((seed) => logits(model, ids, { key: new Key(seed) })) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      expect(largestDifference(a, again)).toBe(0);
      expect(largestDifference(a, b)).toBeGreaterThan(1e-9);
      expect(() => logits(model, ids, {})).toThrow(/key in training/);
      model.eval();
      expect(largestDifference(logits(model, ids, {}), logits(model, ids, { key: new Key(1) }))).toBe(0);
    });

    test('over-fits one batch', () => {
      const model = row.make(new Key(1), { dtype: 'f32' }).train();
      const ids = randomIds(vocabSize, 2, 9);
      const optimizer = new AdamW(model.parameters(), {
        learningRate: row.learningRate ?? 0.01,
        weightDecay: 0,
      });
      const step = (i: number): number => optimizer.minimize(() => loss(model, ids, new Key(i))).itemSync();
      const first = step(0);
      for (let i = 1; i < (row.steps ?? 60); i++) step(i);
      expect(step(row.steps ?? 60)).toBeLessThan(first / 10);
    });

    test('saved, loaded into another and saved again it is the same file and the same model', () => {
      const save =
        row.save ??
        ((model: M): Uint8Array =>
          encodeSafetensors(model instanceof PretrainedModel ? model.pretrainedState() : model.stateDict()));
      const load =
        row.load ??
        ((model: M, bytes: Uint8Array): void => {
          const { tensors } = decodeSafetensors(bytes);
          if (model instanceof PretrainedModel) model.loadPretrainedState(tensors);
          else model.loadStateDict(tensors);
        });
      const [model, other] = [made(), made(1)];
      const bytes = save(model);
      load(other, bytes);
      expect(Buffer.compare(save(other), bytes)).toBe(0);
      const ids = randomIds(vocabSize, 2, 5);
      expect(largestDifference(logits(model, ids, {}), logits(other, ids, {}))).toBe(0);
    });
  });
}
