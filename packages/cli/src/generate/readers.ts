/** Models of prefixes as generation reads them: the prompt is seen both ways. */
import { RecurrentCache } from '@infinigrad/nn';
import { concat, fromData, type Tensor } from '@infinigrad/tensor';
import type { GenerativeModel, Reader } from '@infinigrad/zoo';
import type { TrainedModel } from '../families.ts';
import { wholeText } from '../objectives/courses.ts';

/** A decoder: what it reads first is its prefix. */
export function prefixReader(model: TrainedModel): GenerativeModel {
  const { newCache } = model as unknown as Pick<Required<CausalGenerative>, 'newCache'>;
  return {
    config: model.config,
    newCache: newCache.bind(model),
    forward(inputIds: Tensor, options) {
      const { cache } = options as { readonly cache?: { readonly length: number } };
      const [batch, length] = inputIds.shape as [number, number];
      // What comes later sees all before it anyway.
      const first = cache !== undefined && cache.length === 0;
      return model.forward(inputIds, {
        ...options,
        ...(first && { prefix: new Array<number>(batch).fill(length) }),
      });
    },
  } satisfies CausalGenerative;
}

type CausalGenerative = Extract<GenerativeModel, { newCache?: unknown; encode?: never }>;

/** The first GLM, which has no cache: all is read anew for each token. One text at a time. */
export function wholeTextReader(model: TrainedModel): GenerativeModel {
  return {
    config: model.config,
    reader(): Reader {
      const held = new RecurrentCache<Tensor>();
      let prefix = 0;
      return {
        read(tokens) {
          const before = held.state;
          if (!before) prefix = tokens.shape[1]!;
          const all = before ? concat([before, tokens], 1) : tokens;
          held.update(all, tokens.shape[1]!);
          const { logits } = model.forward(
            all,
            wholeText(all, new Array<number>(all.shape[0]!).fill(prefix)),
          );
          return { logits: lastOf(logits) };
        },
        reorder: (rows) => held.reorder(rows),
        release: () => held.reset(),
      };
    },
  };
}

const lastOf = (logits: Tensor): Tensor => logits.narrow(1, logits.shape[1]! - 1, 1).squeeze(1);

/** The first GLM in a blank: part A, blanks that were told, and one that is being told where its mask stands. */
export function blankReader(
  model: TrainedModel,
  sep: number,
  told: { readonly positions: readonly number[]; readonly blockPositions: readonly number[] },
  mask: number,
): GenerativeModel {
  const known = told.positions.length;
  return {
    config: {},
    forward(inputIds: Tensor) {
      const length = inputIds.shape[1]!;
      const places = Int32Array.from({ length: 2 * length }, (_, i) => {
        const at = i % length;
        if (at < known) return (i < length ? told.positions : told.blockPositions)[at]!;
        return i < length ? mask : at - known + 1;
      });
      const positionIds = fromData(places, [1, 2, length]);
      const { logits } = model.forward(inputIds, { sep: [sep], positionIds });
      return { logits: logits.narrow(1, length - 1, 1) };
    },
  };
}

/** Logits that are there already, [1, vocabulary], as those of the token after any text. */
export const knownReader = (logits: Tensor): GenerativeModel => ({
  config: {},
  forward: () => ({ logits: logits.unsqueeze(1) }),
});
