/** Anomaly detection in asynchronous bodies. */
import { detectAnomaly, detectAnomalyAsync } from '@infinigrad/autograd';
import { NumericError, tensor, type Tensor } from '@infinigrad/tensor';
import { describe, expect, it } from 'vitest';

const bad = (): Tensor => tensor([-1]).log();
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

describe('detectAnomalyAsync', () => {
  it('is on until the body has ended', async () => {
    const body = async (): Promise<number> => {
      await pause();
      bad();
      return 1;
    };
    await expect(detectAnomalyAsync(body)).rejects.toThrow(NumericError);
    bad();
  });

  it('throws where the op is called, where elements are at hand', async () => {
    let after = false;
    await detectAnomalyAsync(() => {
      expect(bad).toThrow(NumericError);
      after = true;
    });
    expect(after).toBe(true);
  });

  it('returns what the body returns', async () => {
    expect(await detectAnomalyAsync(() => 3)).toBe(3);
    expect(await detectAnomalyAsync(async () => tensor([2]).log().item())).toBeCloseTo(Math.LN2, 6);
  });

  it('goes one inside the other', async () => {
    await detectAnomalyAsync(async () => {
      await detectAnomalyAsync(pause);
      expect(detectAnomaly(() => 1)).toBe(1);
      expect(bad).toThrow(NumericError);
    });
    bad();
  });
});
