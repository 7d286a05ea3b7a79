export type { Logger } from './logger.ts';
export { JsonLines, type WriteLine } from './json-lines.ts';
