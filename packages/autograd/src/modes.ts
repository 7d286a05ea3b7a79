/** Whether ops are being recorded for differentiation. */

let enabled = true;

/** True where ops on tensors that need gradients are recorded. */
export function recording(): boolean {
  return enabled;
}

function withRecording<T>(value: boolean, body: () => T): T {
  const before = enabled;
  enabled = value;
  try {
    return body();
  } finally {
    enabled = before;
  }
}

/** Runs `body` (synchronous) without recording: its results need no gradient and cost no memory beyond themselves. */
export function noGrad<T>(body: () => T): T {
  return withRecording(false, body);
}

/** Runs `body` with recording on, also inside `noGrad`. */
export function enableGrad<T>(body: () => T): T {
  return withRecording(true, body);
}
