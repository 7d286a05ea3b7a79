/** The Kullback-Leibler divergence. */
import { ValueError, type Tensor } from '@infinigrad/tensor';
import { checkAlike, checkReduction, inWide, reduced, type Reduction } from './reduction.ts';

export interface KLDivOptions {
  /** As elsewhere (`mean`: over all elements), or `batchMean`: the sum divided by the size of the first axis. Default `mean`. */
  readonly reduction?: Reduction | 'batchMean';
  /** The target is given as its logarithm. Default false. */
  readonly logTarget?: boolean;
}

/**
 * p (log p - log q) for each element, of log q and a target p: summed over the last axis, the divergence of q from p.
 * @param logProbs log q
 * @param target of the same shape: p, or with `logTarget` log p. Where p is 0 the term is 0
 * @throws ShapeError, DTypeError, ValueError
 */
export function klDiv(
  logProbs: Tensor,
  target: Tensor,
  { reduction = 'mean', logTarget = false }: KLDivOptions = {},
): Tensor {
  const op = 'klDiv';
  checkAlike(op, [logProbs, target]);
  checkReduction(op, reduction, ['mean', 'sum', 'none', 'batchMean']);
  if (reduction === 'batchMean' && logProbs.rank === 0)
    throw new ValueError(op, 'batchMean needs a batch', { operands: [logProbs] });
  return inWide([logProbs, target], (q, p) => {
    const terms = logTarget ? p.exp().mul(p.sub(q)) : p.xlogy(p).sub(p.mul(q));
    return reduction === 'batchMean' ? terms.sum().div(q.shape[0]!) : reduced(terms, reduction);
  });
}
