/** Counts the bytes that typed arrays and ArrayBuffers are asked for. To be imported before what it is to watch. */
let asked = 0;
let watching = false;

function count(bytes: number): void {
  if (watching && Number.isFinite(bytes)) asked += bytes;
}

const kinds = [
  'Uint8Array',
  'Int8Array',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
] as const;

const scope = globalThis as unknown as Record<string, new (...args: unknown[]) => object>;
const patched = Symbol.for('infinigrad.fuzz.counting');
if (!(patched in globalThis)) {
  Object.defineProperty(globalThis, patched, { value: true });
  for (const name of [...kinds, 'ArrayBuffer', 'SharedArrayBuffer']) {
    const original = scope[name]!;
    const width = (original as unknown as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    scope[name] = new Proxy(original, {
      construct(target, args: unknown[], newTarget) {
        const [first] = args;
        if (typeof first === 'number') count(first * width);
        else if (
          typeof first === 'object' &&
          first !== null &&
          !(first instanceof ArrayBuffer) &&
          'length' in first
        )
          count(Number(first.length) * width);
        return Reflect.construct(target, args, newTarget);
      },
    });
  }
}

/** What `body` gives or throws, and the bytes that it asked for. */
export async function measured<T>(
  body: () => T | Promise<T>,
): Promise<{ result: { value: T } | { error: unknown }; bytes: number }> {
  asked = 0;
  watching = true;
  try {
    return { result: { value: await body() }, bytes: asked };
  } catch (error) {
    return { result: { error }, bytes: asked };
  } finally {
    watching = false;
  }
}
