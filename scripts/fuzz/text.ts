/** Changes to the text of headers: numbers, keys, lists, nesting. */
import { numbers } from './blind.ts';
import type { Choices } from './random.ts';

/** The text of a header with one thing changed that headers have. */
export function inText(text: string, choices: Choices): string {
  const at = choices.below(text.length + 1);
  switch (choices.below(9)) {
    case 0: {
      const found = [...text.matchAll(/-?\d+/g)];
      if (found.length === 0) return text;
      const { 0: digits, index } = choices.pick(found);
      return (
        text.slice(0, index) +
        choices.pick([...numbers, String(Number(digits) + 1), String(Number(digits) * 2)]) +
        text.slice(index + digits.length)
      );
    }
    case 1: {
      // A list or an object again, inside or beside itself
      const found = [...text.matchAll(/[[{(][^[\]{}()]*[\]})]/g)];
      if (found.length === 0) return text;
      const [from, to] = [choices.pick(found), choices.pick(found)];
      return (
        text.slice(0, to.index) + from[0] + text.slice(to.index + (choices.chance(0.5) ? to[0].length : 0))
      );
    }
    case 2: {
      const found = [...text.matchAll(/"[^"]*"|'[^']*'/g)];
      if (found.length === 0) return text;
      const { 0: old, index } = choices.pick(found);
      const quote = old[0]!;
      const inside = choices.pick([
        '',
        '__proto__',
        'constructor',
        'toString',
        'dtype',
        'shape',
        'data_offsets',
        '__metadata__',
        'a',
        '\\ud800',
        '\\u0061',
        '\u0000',
        '\\',
        'é',
        'x'.repeat(5000),
        'F32',
        'I64',
        'U64',
        'I8',
        'F16',
        'BF16',
        'BOOL',
        'F8_E4M3',
        'F4',
        '<f4',
        '>f4',
        '<f2',
        '>f8',
        '|b1',
        '|u1',
        '|i1',
        '<i8',
        '>u8',
        '<u2',
        '|O',
        '<U3',
        '<c8',
        'descr',
        'fortran_order',
        ...found.map(([other]) => other.slice(1, -1)),
      ]);
      return text.slice(0, index) + quote + inside + quote + text.slice(index + old.length);
    }
    case 3: {
      const depth = choices.pick([1, 2, 127, 128, 129, 1000, 3000]);
      const [open, close] = choices.pick([
        ['[', ']'],
        ['{"a":', '}'],
        ['(', ')'],
      ] as const);
      return text.slice(0, at) + open.repeat(depth) + close.repeat(depth) + text.slice(at);
    }
    case 4: {
      const rank = choices.pick([1, 2, 63, 64, 65, 500]);
      return text.replace(
        /([[(])([\d, ]*)([\])])/,
        (_, open: string, sizes: string, close: string) =>
          `${open}${sizes}${sizes.trim() === '' || sizes.trim().endsWith(',') ? '' : ', '}${Array<string>(
            rank,
          )
            .fill(choices.pick(['1', '1', '0', '2']))
            .join(', ')}${open === '(' ? ',' : ''}${close}`,
      );
    }
    case 5:
      return (
        text.slice(0, at) +
        choices.pick([
          ' ',
          '\n',
          '\t',
          ',',
          ':',
          '{}',
          '[]',
          '()',
          'null',
          'true',
          'True',
          'False',
          '"',
          "'",
          '\\',
          '#',
          '\uFEFF',
        ]) +
        text.slice(at)
      );
    case 6:
      return text.slice(0, at) + text.slice(at + 1 + choices.below(4));
    case 7:
      return choices.pick([
        text.replace('False', 'True'),
        text.replace('True', 'False'),
        text.replaceAll("'", '"'),
        text.replaceAll(' ', ''),
        text.replaceAll(',', ' , '),
        text.replaceAll(':', ' :\n'),
      ]);
    default: {
      // Two parts between commas change places
      const parts = text.split(',');
      const [i, k] = [choices.below(parts.length), choices.below(parts.length)];
      [parts[i], parts[k]] = [parts[k]!, parts[i]!];
      return parts.join(',');
    }
  }
}

/** JSON with one of its keys a second time. */
export function duplicated(text: string, choices: Choices): string {
  const found = [...text.matchAll(/"[^"]*":(?:"[^"]*"|\[[^[\]]*\]|\{[^{}]*\})/g)];
  if (found.length === 0) return text;
  const { 0: pair, index } = choices.pick(found);
  return `${text.slice(0, index)}${pair},${text.slice(index)}`;
}
