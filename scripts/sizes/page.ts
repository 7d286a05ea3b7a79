/** The page of sizes: what a bundler takes of the packages for one import. */
import { bundleProgram, type Bundled } from '../../browser/test/entry.ts';

export interface Entry {
  readonly names: readonly string[];
  readonly from: string;
}

export const entries: readonly Entry[] = [
  { names: ['tensor'], from: '@infinigrad/tensor' },
  { names: ['grad'], from: '@infinigrad/autograd' },
  { names: ['crossEntropy'], from: '@infinigrad/nn' },
  { names: ['Linear'], from: '@infinigrad/nn' },
  { names: ['LayerNorm'], from: '@infinigrad/nn' },
  { names: ['LSTM'], from: '@infinigrad/nn' },
  { names: ['Conv2d'], from: '@infinigrad/nn' },
  { names: ['MultiHeadAttention'], from: '@infinigrad/nn' },
  { names: ['RotaryEmbedding'], from: '@infinigrad/nn' },
  { names: ['GatedDeltaNet'], from: '@infinigrad/nn' },
  { names: ['CompressiveMemory'], from: '@infinigrad/nn' },
  { names: ['SGD'], from: '@infinigrad/nn' },
  { names: ['AdamW'], from: '@infinigrad/nn' },
  { names: ['Trainer'], from: '@infinigrad/nn' },
  { names: ['InfiniTransformer'], from: '@infinigrad/zoo' },
  { names: ['LlamaForCausalLM', 'generate'], from: '@infinigrad/zoo' },
  { names: ['BertForMaskedLM'], from: '@infinigrad/zoo' },
  { names: ['T5ForConditionalGeneration'], from: '@infinigrad/zoo' },
];

/** Everything that a package has. */
const whole = ['@infinigrad/tensor', '@infinigrad/autograd', '@infinigrad/nn', '@infinigrad/zoo'] as const;

export const programOf = ({ names, from }: Entry): string =>
  `import { ${names.join(', ')} } from '${from}';\nglobalThis.kept = [${names.join(', ')}];`;

const row = (what: string, { bytes, zipped, modules }: Bundled): string => {
  const ofNn = modules.filter((id) => id.startsWith('packages/nn/')).length;
  const kilobytes = (n: number): string => (n / 1000).toFixed(0);
  return `| ${what} | ${kilobytes(bytes)} | ${kilobytes(zipped)} | ${modules.length} | ${ofNn} |`;
};

export async function sizesPage(): Promise<string> {
  const rows: string[] = [];
  for (const entry of entries)
    rows.push(
      row(`\`${entry.names.join(', ')}\` of \`${entry.from}\``, await bundleProgram(programOf(entry))),
    );
  for (const from of whole)
    rows.push(
      row(
        `all of \`${from}\``,
        await bundleProgram(`import * as all from '${from}';\nglobalThis.kept = all;`),
      ),
    );
  return `<!-- Written by \`pnpm docs:sizes\`. -->

# Sizes

What a production build (Vite, minified) takes of the packages for one import, in kB of 1000 bytes, as it is and compressed by gzip. The table of ops, their
derivative rules and the backends js and wasm are always there; of nn and zoo comes what is used. gpu.js is loaded by \`useGpu()\` alone.

| import | minified | gzip | modules | of nn |
| --- | ---: | ---: | ---: | ---: |
${rows.join('\n')}
`;
}
