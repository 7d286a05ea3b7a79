/** Writes the reference pages that are made from the op table. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { opsPage } from './ops.ts';

const target = join(import.meta.dirname, '../../docs/reference/ops.md');
writeFileSync(`${target}.part`, opsPage());
renameSync(`${target}.part`, target);
console.log(`wrote ${target}`);
