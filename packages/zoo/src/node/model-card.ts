/** README.md of a model, as Hugging Face shows it: what it is, what it was trained on, under which license. */
import { ValueError } from '@infinigrad/tensor';
import type { PretrainedModel } from '../core/pretrained.ts';

export interface ModelCard {
  /** Default: the architecture. */
  readonly title?: string;
  /** In Markdown. */
  readonly description?: string;
  /** As Hugging Face spells it: `mit`, `apache-2.0`. */
  readonly license?: string;
  /** `en`, `de`. */
  readonly languages?: readonly string[];
  readonly tags?: readonly string[];
  readonly datasets?: readonly string[];
  /** What was measured, on what is up to you: `{ 'validation loss': 1.23 }`. */
  readonly metrics?: Readonly<Record<string, number | string>>;
  /** Settings of the training, seeds among them. */
  readonly training?: Readonly<Record<string, number | string | boolean>>;
}

/** A text in YAML that means itself whatever it holds. */
const quoted = (text: string): string => JSON.stringify(text);

/** A cell of a table in Markdown. */
const cell = (value: unknown): string =>
  String(value)
    .replaceAll('|', String.raw`\|`)
    .replaceAll('\n', ' ');

function table(head: string, rows: readonly (readonly [string, unknown])[]): string {
  return [`| ${head} | |`, '|---|---|', ...rows.map(([a, b]) => `| ${cell(a)} | ${cell(b)} |`), ''].join(
    '\n',
  );
}

/** @throws ValueError for a member that is no text where it must be one */
export function modelCard(model: PretrainedModel<object>, card: ModelCard): string {
  for (const name of ['title', 'description', 'license'] as const)
    if (card[name] !== undefined && typeof card[name] !== 'string')
      throw new ValueError('modelCard', `${name} must be a text, got ${String(card[name])}`);
  const { license, languages = [], tags = [], datasets = [], metrics = {}, training = {} } = card;
  const list = (key: string, values: readonly string[]): string[] =>
    values.length === 0 ? [] : [`${key}:`, ...values.map((value) => `- ${quoted(value)}`)];
  const { architecture } = model.meta;
  const facts: [string, unknown][] = [
    ['architecture', architecture],
    ['parameters', model.numParameters().toLocaleString('en')],
    ['of these, not in embeddings', model.numParameters({ embeddings: false }).toLocaleString('en')],
  ];
  const sections = [
    `# ${card.title ?? architecture}`,
    ...(card.description ? [card.description] : []),
    table('Model', facts),
    ...(Object.keys(metrics).length > 0 ? [`## Metrics\n\n${table('Metric', Object.entries(metrics))}`] : []),
    ...(Object.keys(training).length > 0
      ? [`## Training\n\n${table('Setting', Object.entries(training))}`]
      : []),
  ];
  const front = [
    '---',
    'library_name: infinigrad',
    ...(license ? [`license: ${quoted(license)}`] : []),
    ...list('language', languages),
    ...list('tags', [model.modelType, ...tags]),
    ...list('datasets', datasets),
    ...list('metrics', Object.keys(metrics)),
    '---',
    '',
  ];
  return `${front.join('\n')}\n${sections.map((part) => part.trimEnd()).join('\n\n')}\n`;
}
