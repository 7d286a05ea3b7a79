/** The few kinds of fields that TensorBoard's messages have, in protobuf's wire format (protobuf.dev/programming-guides/encoding). */

/** A field, or several of one number. */
export type Field = Uint8Array;

const text = new TextEncoder();

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** An integer from 0 to 2⁵³ - 1, seven bits a byte. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let left = value;
  while (left > 127) {
    bytes.push((left % 128) + 128);
    left = Math.floor(left / 128);
  }
  bytes.push(left);
  return Uint8Array.from(bytes);
}

const tag = (field: number, wire: 0 | 1 | 2 | 5): Uint8Array => varint(field * 8 + wire);

export const integer = (field: number, value: number): Field => joined([tag(field, 0), varint(value)]);

export const double = (field: number, value: number): Field => joined([tag(field, 1), doubles([value])]);

export function float(field: number, value: number): Field {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return joined([tag(field, 5), bytes]);
}

export const bytes = (field: number, content: Uint8Array): Field =>
  joined([tag(field, 2), varint(content.length), content]);

export const string = (field: number, content: string): Field => bytes(field, text.encode(content));

export const message = (field: number, ...fields: readonly Field[]): Field => bytes(field, joined(fields));

export const packedDoubles = (field: number, values: ArrayLike<number>): Field =>
  bytes(field, doubles(values));

function doubles(values: ArrayLike<number>): Uint8Array {
  const out = new Uint8Array(8 * values.length);
  const view = new DataView(out.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat64(8 * i, values[i]!, true);
  return out;
}
