/** Whether ops are being recorded for differentiation. */
import { GradientError, scope, ValueError } from '@infinigrad/tensor';

/**
 * `on`: ops on tensors that need gradients are recorded. `off`: they are not. `inference`: nor can what they make be
 * differentiated later. `closed`: as `off`, but a tensor that needs a gradient is an error.
 */
export type Mode = 'on' | 'off' | 'inference' | 'closed';

let current: Mode = 'on';

export function currentMode(): Mode {
  return current;
}

/** True where ops on tensors that need gradients are recorded. */
export function recording(): boolean {
  return current === 'on';
}

export function withMode<T>(mode: Mode, body: () => T): T {
  const before = current;
  current = mode;
  try {
    return body();
  } finally {
    current = before;
  }
}

/**
 * Runs `body` without recording: its results need no gradient and cost no memory beyond themselves.
 * @throws ValueError where `body` is asynchronous
 */
export function noGrad<T>(body: () => T): T {
  return synchronous('noGrad', withMode(current === 'inference' ? current : 'off', body));
}

function synchronous<T>(op: string, result: T): T {
  if (result instanceof Promise)
    throw new ValueError(op, 'the body is asynchronous: what comes after its first await is outside', {
      hint: 'await outside, or put each part between two awaits into one of its own',
    });
  return result;
}

/**
 * Runs `body` with recording on, also inside `noGrad`.
 * @throws GradientError inside `inferenceMode`, ValueError where `body` is asynchronous
 */
export function enableGrad<T>(body: () => T): T {
  refuseInference('enableGrad');
  return synchronous('enableGrad', withMode('on', body));
}

/** @throws GradientError inside `inferenceMode` */
export function refuseInference(op: string): void {
  if (current === 'inference')
    throw new GradientError(op, 'inside inferenceMode nothing can be differentiated', {
      hint: 'use noGrad where gradients are wanted inside',
    });
}

/**
 * Runs `body` (synchronous) for its results alone: nothing is recorded, chains of elementwise ops become one pass, and what
 * is made inside is given back at once, but for what is returned or kept (see `scope`). The results are the same to the
 * bit as under `noGrad`. They can never be part of a graph: using one beside a tensor that needs a gradient, or asking
 * for its gradient, is a GradientError; `clone()` gives a tensor that can.
 */
export function inferenceMode<T>(body: () => T): T {
  return scope(() => withMode('inference', body), { fuse: true });
}
