/** Where the rules are. */
import { join } from 'node:path';

export const rulesFolder = join(import.meta.dirname, '../../packages/autograd/src/rules');
/** Not tables of rules, but what they are made with. */
export const notRules = new Set(['rule.ts', 'table.ts']);
