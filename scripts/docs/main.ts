/** Writes what is made from the op table: the reference page, and the comments that editors show. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { opDocsFile } from './editor.ts';
import { opsPage } from './ops.ts';

const root = join(import.meta.dirname, '../..');
const pages = {
  'docs/reference/ops.md': opsPage,
  'packages/tensor/src/types/op-docs.ts': opDocsFile,
};
for (const [name, page] of Object.entries(pages)) {
  const target = join(root, name);
  writeFileSync(`${target}.part`, page());
  renameSync(`${target}.part`, target);
  console.log(`wrote ${target}`);
}
