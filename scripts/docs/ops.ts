/** docs/reference/ops.md: every op, from its record, its derivative rule, and what the backends do when asked. */
import { derivatives, type Rule } from '@infinigrad/autograd';
import { conventions } from '@infinigrad/autograd/testing';
import {
  dtypes,
  fallbackStats,
  getBackend,
  opFamilies,
  opNames,
  recordOf,
  withBackend,
  type DType,
  type OpName,
  type OpRecord,
} from '@infinigrad/tensor';
import { callsOf, runCall, type DrawnCall } from '@infinigrad/tensor/testing';
import fc from 'fast-check';
import type { Mode } from '@infinigrad/tensor/gpu';
import { accepted, declaredLack, dtypesOnGpu } from '../../packages/tensor/test/gpu/support.ts';

/** Calls from which it is seen where an op runs. */
const trials = 20;

/** Drawn calls in a dtype; none where the op does not take it. */
function callsIn(op: OpName, dtype: DType): DrawnCall[] {
  const drawn = fc.sample(callsOf(op, { dtype }), { seed: 1, numRuns: trials });
  const { accepts } = recordOf(op);
  return drawn.filter(({ inputs }) =>
    inputs.every((x, i) => accepts[Math.min(i, accepts.length - 1)]!.includes(x.dtype)),
  );
}

type Place = 'its kernel' | "the reference's kernel" | 'its composition' | 'now one, now the other' | null;

/** Where the wasm backend runs an op in a dtype, observed. */
function observed(op: OpName, dtype: DType): Place {
  const calls = callsIn(op, dtype);
  if (calls.length === 0) return null;
  const kernel = calls.filter((call) => {
    const before = fallbackStats()[op] ?? 0;
    withBackend('wasm', () => runCall(op, call));
    return (fallbackStats()[op] ?? 0) === before;
  }).length;
  if (kernel === calls.length) return getBackend('wasm').lacks(op, dtype) ? 'its composition' : 'its kernel';
  return kernel === 0 ? "the reference's kernel" : 'now one, now the other';
}

const computed: readonly DType[] = dtypes.filter((dtype) => dtype !== 'f16' && dtype !== 'bf16');

/** What is the case in all dtypes, or else in which. */
function inWords(places: readonly { readonly dtype: DType; readonly place: string }[]): string {
  const kinds = [...new Set(places.map(({ place }) => place))];
  if (kinds.length === 1) return kinds[0]!;
  return kinds
    .map((kind) => {
      const where = places.filter(({ place }) => place === kind).map(({ dtype }) => dtype);
      return `${where.join(', ')}: ${kind}`;
    })
    .join('; ');
}

/** Where the wasm backend runs an op, in words. */
function onWasm(op: OpName, record: OpRecord): string {
  if (record.kind === 'view') return 'a view';
  const places = computed.flatMap((dtype) => {
    const place = observed(op, dtype);
    return place === null ? [] : [{ dtype, place }];
  });
  return inWords(places);
}

/** Where a GPU runs an op, in words: as its backend declares. */
function onGpu(op: OpName, record: OpRecord, mode: Mode): string {
  if (record.kind === 'view') return 'a view';
  const kernel = record.kind === 'fused' ? 'its composition' : 'its kernel';
  const places = dtypesOnGpu
    .filter((dtype) => accepted(op, dtype))
    .map((dtype) => {
      const lack = declaredLack(mode, op, dtype);
      return { dtype, place: lack === null ? kernel : `absent: ${lack.replace(/^it has (?=no )/, '')}` };
    });
  return inWords(places);
}

function onJs(record: OpRecord): string {
  if (record.kind === 'view') return 'a view';
  return record.kind === 'fused' ? 'its composition' : 'its kernel';
}

function gradientOf(rule: Rule): string {
  if (rule.kind === 'none') return `none: ${rule.reason}`;
  return rule.kind === 'composed' ? '1, 2, …, by its composition' : '1, 2, …';
}

/** Dtypes that inputs may have, as short as it can be said. */
function takes({ accepts }: OpRecord): string {
  const say = (list: readonly DType[]): string =>
    list.length === dtypes.length ? 'any' : list.filter((dtype) => computed.includes(dtype)).join(' ');
  const said = accepts.map(say);
  return said.every((text) => text === said[0]) ? said[0]! : said.join(' · ');
}

const promotions: Readonly<Record<OpRecord['promote'], string>> = {
  none: 'as it comes',
  common: 'the highest',
  number: 'the highest, bool as i32',
  total: 'the highest, at least i32',
  float: 'the highest, at least f32',
};

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const row = (...cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;

function refusals(record: OpRecord): string {
  const said = record.errors
    .filter(({ error }) => error !== 'DTypeError')
    .map(({ error, says }) => `${error} “${says}”`);
  return [...new Set(said)].join('; ');
}

function family(title: string, records: Readonly<Record<string, OpRecord>>): string[] {
  const names = Object.keys(records) as OpName[];
  if (names.length === 0) return [];
  return [
    `## ${title}`,
    '',
    row(
      'op',
      'what it gives',
      'inputs',
      'computes in',
      'js',
      'wasm',
      'webgpu',
      'webgl',
      'gradients',
      'refuses, beside other dtypes',
    ),
    row(...Array.from({ length: 10 }, () => '---')),
    ...names.map((op) => {
      const record = recordOf(op);
      return row(
        `\`${op}\``,
        record.doc,
        takes(record),
        promotions[record.promote],
        onJs(record),
        onWasm(op, record),
        onGpu(op, record, 'webgpu'),
        onGpu(op, record, 'webgl2'),
        gradientOf(derivatives[op]),
        refusals(record),
      );
    }),
    '',
  ];
}

/** The page. */
export function opsPage(): string {
  const rules = opNames.map((op) => derivatives[op]);
  const without = rules.filter(({ kind }) => kind === 'none').length;
  const flat = conventions.map(({ op, says, inputs, gradients }) =>
    row(`\`${op}\``, says, inputs.map((x) => JSON.stringify(x)).join(', '), JSON.stringify(gradients)),
  );
  return [
    '# Ops',
    '',
    '<!-- Written by `pnpm docs:ops`, from the op table; a test holds that it is true. Change the records, not this page. -->',
    '',
    `${opNames.length} ops: ${opNames.length - without} with gradients of every order, of which the first and second are checked against finite`,
    `differences, and ${without} without, each for the reason given. Methods of tensors that are made of these (and so have their gradients) are`,
    'not listed.',
    '',
    '- **inputs**: the dtypes that are taken, by input where they differ. f16 and bf16 are taken by every op that takes f32: they are widened,',
    '  and the result is rounded once.',
    '- **computes in**: what inputs of different dtypes are promoted to first.',
    "- **js**, **wasm**: who does the work. *The reference's kernel*: the wasm backend runs the JavaScript one over its own memory, which",
    "  `fallbackStats()` counts and `setFallback('forbid')` refuses. *Its composition*: the ops that a fused op is made of. Seen by running calls.",
    '- **webgpu**, **webgl**: the same of the [gpu backend](../guide/gpu.md), in either of its modes, for f32, i32, u8 and bool; no other dtype is on a',
    '  GPU. What is *absent* is refused with the reason given, never computed elsewhere. As the backend declares: the GPU tests hold it to that.',
    '',
    ...Object.entries(opFamilies).flatMap(([title, records]) => family(title, records)),
    '## Where there is no derivative',
    '',
    'At a kink or a tie the gradient is a convention:',
    '',
    row('op', 'convention', 'at', 'gradients of the sum'),
    row('---', '---', '---', '---'),
    ...flat,
    '',
  ].join('\n');
}
