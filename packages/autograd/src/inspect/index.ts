/** Graphs to look at. */
export { graphSvg } from './svg.ts';
export { graphText } from './text.ts';
export type { GraphOptions } from './walk.ts';
