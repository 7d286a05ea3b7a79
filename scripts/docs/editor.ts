/** packages/tensor/src/types/op-docs.ts: the docs of the records as comments, which is where editors look. */
import { opNames, recordOf } from '@infinigrad/tensor';

/** The file. */
export function opDocsFile(): string {
  const lines = opNames.flatMap((op) => [
    `  /** ${recordOf(op).doc.replaceAll('*/', '* /')} */`,
    `  readonly ${op}: unknown;`,
  ]);
  return [
    '/** What editors show of each op. Written by `pnpm docs:ops`, from the op table; a test holds that it is true. */',
    'export interface OpDocs {',
    ...lines,
    '}',
    '',
  ].join('\n');
}
