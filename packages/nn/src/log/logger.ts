/** Where numbers go while a model is trained. */

export interface Logger {
  /** Numbers by name, at a step. */
  scalars(step: number, values: Readonly<Record<string, number>>): void | Promise<void>;
  /** How the elements are spread. */
  histogram?(step: number, name: string, values: ArrayLike<number>): void | Promise<void>;
  text?(step: number, name: string, text: string): void | Promise<void>;
  /** A run goes on after this step: what was logged after it will come again. */
  resume?(step: number): void | Promise<void>;
  /** Nothing more will come. */
  close?(): void | Promise<void>;
}
