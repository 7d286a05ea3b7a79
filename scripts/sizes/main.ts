/** `pnpm docs:sizes`: writes docs/reference/sizes.md. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sizesPage } from './page.ts';

const target = join(import.meta.dirname, '../../docs/reference/sizes.md');
writeFileSync(`${target}.part`, await sizesPage());
renameSync(`${target}.part`, target);
console.log(`wrote ${target}`);
