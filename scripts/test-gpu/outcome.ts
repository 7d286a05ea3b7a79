/** What came of one way to a GPU. */
export interface Outcome {
  readonly line: string;
  readonly failed: boolean;
}

export const notRun = (name: string, reason: string): Outcome => ({
  line: `${name}: not run (${reason})`,
  failed: false,
});

export const ran = (name: string, passed: number, failed: number, absent: number): Outcome => ({
  line: `${name}: ${passed} passed, ${failed} failed, ${absent} declared absent`,
  failed: failed > 0 || passed === 0,
});
