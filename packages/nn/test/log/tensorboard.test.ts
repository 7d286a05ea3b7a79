/** Event files: known checksums, a reader written a second time, a golden file, and TensorBoard itself where it is at hand. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { TensorBoard } from '@infinigrad/nn/node';
import { afterAll, describe, expect, test } from 'vitest';
import { crc32c, framed } from '../../src/log/records.ts';
import { bucketsOf, scalarEvent } from '../../src/log/tensorboard.ts';

const folder = mkdtempSync(join(tmpdir(), 'infinigrad-events-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Everything a logger can write, at a fixed time. */
async function write(at: string): Promise<string> {
  let now = 1_700_000_000_000;
  const board = new TensorBoard(join(folder, at), { now: () => (now += 250) });
  await board.scalars(1, { loss: 1.5, 'evaluation/loss': -0.25 });
  await board.scalars(300, { loss: 0.1 });
  await board.histogram(2, 'weights', [1, 2, 3, 4, NaN, -5.5]);
  await board.text(3, 'notes', 'Grüße 😀');
  await board.resume(200);
  await board.scalars(201, { loss: 0.125 });
  const [name] = readdirSync(join(folder, at));
  return join(folder, at, name!);
}

/** Records of a file, their checksums looked at. */
function recordsOf(file: Uint8Array): Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const check = (start: number, end: number): void => {
    const crc = crc32c(file.subarray(start, end));
    expect(view.getUint32(end, true)).toBe((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  };
  const records: Uint8Array[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(view.getBigUint64(at, true));
    check(at, at + 8);
    check(at + 12, at + 12 + length);
    records.push(file.subarray(at + 12, at + 12 + length));
    at += length + 16;
  }
  return records;
}

type Parsed = [field: number, value: number | bigint | Uint8Array][];

/** Protobuf's wire format, read. */
function fieldsOf(message: Uint8Array): Parsed {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const fields: Parsed = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const key = Number(varint());
    const wire = key % 8;
    if (wire === 0) fields.push([key >> 3, varint()]);
    else if (wire === 1) fields.push([key >> 3, view.getFloat64((at += 8) - 8, true)]);
    else if (wire === 5) fields.push([key >> 3, view.getFloat32((at += 4) - 4, true)]);
    else {
      const length = Number(varint());
      fields.push([key >> 3, message.subarray(at, (at += length))]);
    }
  }
  return fields;
}

const text = (bytes: unknown): string => new TextDecoder().decode(bytes as Uint8Array);
const get = (fields: Parsed, field: number): unknown => fields.find(([f]) => f === field)?.[1];

describe('records', () => {
  // RFC 3720, B.4, and the check value of the catalogue of parametrised CRC algorithms.
  test.each<[string, Uint8Array, number]>([
    ['32 zeros', new Uint8Array(32), 0x8a9136aa],
    ['32 ones', new Uint8Array(32).fill(255), 0x62a8ab43],
    ['0 … 31', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ['123456789', new TextEncoder().encode('123456789'), 0xe3069283],
    ['nothing', new Uint8Array(0), 0],
  ])('CRC-32C of %s', (_, bytes, crc) => expect(crc32c(bytes)).toBe(crc));
  test('frame what they hold', () =>
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }), (contents) => {
        const file = Uint8Array.from(contents.flatMap((content) => [...framed(content)]));
        expect(recordsOf(file).map((r) => [...r])).toEqual(contents.map((c) => [...c]));
      }),
    ));
});

describe('events', () => {
  test('a scalar of every name, step and value is read back', () =>
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 200 }),
        fc.nat(Number.MAX_SAFE_INTEGER),
        fc.float({ noNaN: true }),
        fc.double({ min: 0, max: 4e9, noNaN: true }),
        (name, step, value, time) => {
          const [record] = recordsOf(scalarEvent(time, step, { [name]: value }));
          const event = fieldsOf(record!);
          expect([get(event, 1), get(event, 2) ?? 0n]).toEqual([time, BigInt(step)]);
          const one = fieldsOf(get(fieldsOf(get(event, 5) as Uint8Array), 1) as Uint8Array);
          expect([text(get(one, 1)), get(one, 2)]).toEqual([name, value]);
        },
      ),
    ));
  test('a histogram counts every finite number once, in its bucket', () =>
    fc.assert(
      fc.property(fc.array(fc.float()), (values) => {
        const { min, max, num, sum, sumSquares, limits, counts } = bucketsOf(values);
        const finite = values.filter(Number.isFinite);
        expect(num).toBe(finite.length);
        expect(counts.reduce((a, b) => a + b, 0)).toBe(num);
        if (num === 0) return;
        expect([min, max]).toEqual([Math.min(...finite), Math.max(...finite)]);
        expect([sum, sumSquares]).toEqual([
          finite.reduce((a, b) => a + b, 0),
          finite.reduce((a, b) => a + b * b, 0),
        ]);
        expect(limits.at(-1)).toBe(max);
        // Up to rounding at the edges.
        const slack = 1e-9 * Math.max(1, max - min);
        let below = 0;
        limits.forEach((limit, i) => {
          below += counts[i]!;
          expect(below).toBeGreaterThanOrEqual(finite.filter((v) => v < limit - slack).length);
          expect(below).toBeLessThanOrEqual(finite.filter((v) => v <= limit + slack).length);
        });
      }),
    ));
  test('a file begins with its version, and is the golden one, byte for byte', async () => {
    const file = readFileSync(await write('golden'));
    const first = fieldsOf(recordsOf(file)[0]!);
    expect([get(first, 1), text(get(first, 3))]).toEqual([1_700_000_000.5, 'brain.Event:2']);
    const golden = new URL('../fixtures/golden.tfevents', import.meta.url);
    expect(file.equals(readFileSync(golden))).toBe(true);
  });
});

/** What TensorBoard makes of a folder. */
const reader = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1])
a.Reload()
tags = a.Tags()
h = a.Histograms("weights")[0]
print(json.dumps({
    "scalars": {t: [[e.wall_time, e.step, e.value] for e in a.Scalars(t)] for t in tags["scalars"]},
    "histogram": [h.step, h.histogram_value.min, h.histogram_value.max, h.histogram_value.num, h.histogram_value.sum,
                  h.histogram_value.sum_squares, sum(h.histogram_value.bucket), len(h.histogram_value.bucket_limit)],
    "texts": [[e.step, e.tensor_proto.string_val[0].decode()] for e in a.Tensors("notes")],
    "plugin": a.SummaryMetadata("notes").plugin_data.plugin_name,
}))
`;
const python = process.env['INFINIGRAD_PYTHON'];
const run = promisify(execFile);
const hasTensorBoard =
  python !== undefined &&
  (await run(python, ['-c', 'import tensorboard']).then(
    () => true,
    () => false,
  ));

describe('TensorBoard', () => {
  test.skipIf(!hasTensorBoard)(
    `reads back what was written${hasTensorBoard ? '' : ' (skipped: INFINIGRAD_PYTHON names no Python that has tensorboard)'}`,
    async () => {
      await write('real');
      const { stdout } = await run(python!, ['-c', reader, join(folder, 'real')]);
      expect(JSON.parse(stdout)).toEqual({
        scalars: {
          // What came after the step at which the run went on is dropped.
          loss: [
            [1_700_000_000.25, 1, 1.5],
            [1_700_000_001.75, 201, 0.125],
          ],
          'evaluation/loss': [[1_700_000_000.25, 1, -0.25]],
        },
        histogram: [2, -5.5, 4, 5, 4.5, 60.25, 5, 30],
        texts: [[3, 'Grüße 😀']],
        plugin: 'text',
      });
    },
  );
});
