/** The results as a table. */
import { describe, expect, test } from 'vitest';
import { chanceTexts, columns, formatTable, rowTexts, tableRows } from '../table.ts';
import { cellLine, planOf, stepLine } from './support.ts';

const plan = planOf();
const metrics = [
  stepLine(1),
  cellLine(4, { exactMatch: 0.5, digitAccuracy: [1, 0.75, 0.5] }),
  cellLine(1),
  cellLine(1, { position: 'end', exactMatch: 1 }),
  cellLine(1, { subject: 'control', exactMatch: 0, digitAccuracy: [0, 0.25, 0.5] }),
  cellLine(1, { subject: 'zeroed', exactMatch: 0, digitAccuracy: [0.25, 0.25, 0.25] }),
];

describe('tableRows', () => {
  test('one row for each cell of the model, by length, the controls beside it', () => {
    const rows = tableRows(plan, metrics);
    expect(rows.map(({ length, position, exactMatch }) => [length, position, exactMatch])).toEqual([
      [128, 'start', 0.75],
      [128, 'end', 1],
      [512, 'start', 0.5],
    ]);
    expect(rows[0]!.control).toMatchObject({ exactMatch: 0, digitAccuracy: [0, 0.25, 0.5] });
    expect(rows[0]!.zeroed).toMatchObject({ digitAccuracy: [0.25, 0.25, 0.25] });
    expect([rows[1]!.control, rows[2]!.zeroed]).toEqual([null, null]);
  });

  test('lengths beyond the plan are left out', () => {
    const short = planOf({}, { evaluation: { maxLength: 128, controlMaxLength: 128, samples: 4 } });
    expect(tableRows(short, metrics).map(({ length }) => length)).toEqual([128, 128]);
  });
});

describe('formatTable', () => {
  test('lines up, to the letter', () => {
    expect(formatTable(plan, tableRows(plan, metrics))).toMatchInlineSnapshot(`
      "tokens  ×  key at  exact match      each digit  state bytes  tokens/s    local only  memory emptied
      ───────────────────────────────────────────────────────────────────────────────────────────────────
         128  1  start         0.750  1.00 1.00 0.75        8,448    12,346  0.000 (0.25)    0.000 (0.25)
         128  1  end           1.000  1.00 1.00 0.75        8,448    12,346             –               –
         512  4  start         0.500  1.00 0.75 0.50        8,448    12,346             –               –
      ───────────────────────────────────────────────────────────────────────────────────────────────────
      chance                   0.001            0.10                         0.001 (0.10)    0.001 (0.10)

      Trained on up to 128 tokens (1×); 4 sequences a row; answers are generated digit by digit.
      Local only: the same model trained without memory. Memory emptied: the model with its memory cleared before each segment. In brackets: the mean over digits."
    `);
  });

  test('without rows it is still a table', () => {
    expect(formatTable(plan, []).split('\n')[0]).toContain('exact match');
  });

  test('every row has every column', () => {
    expect(rowTexts(tableRows(plan, metrics)[0]!)).toHaveLength(columns.length);
    expect(chanceTexts(plan)).toHaveLength(columns.length);
  });

  test.each([
    [1, '0.100'],
    [3, '0.001'],
    [5, '0.00001'],
    [8, '1e-8'],
  ])('the chance to guess %i digits is %s', (digits, text) => {
    expect(chanceTexts(planOf({ digits }))[3]).toBe(text);
  });

  test('says where there is no control', () => {
    expect(formatTable(planOf({}, { control: false }), [])).toContain('not trained (--no-control)');
  });
});
