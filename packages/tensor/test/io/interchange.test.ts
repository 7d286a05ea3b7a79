/** Files that the Python libraries wrote, and files that they read: committed ones, and, where there is a Python, live. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeSafetensors, dtypes, FormatError, fromData, Key, type Tensor } from '@infinigrad/tensor';
import {
  loadNpy,
  loadNpz,
  loadSafetensors,
  loadSafetensorsSharded,
  saveNpy,
  saveNpz,
  saveSafetensors,
  saveSafetensorsSharded,
} from '@infinigrad/tensor/node';
import { afterAll, describe, expect, test } from 'vitest';
import {
  bitsOf,
  dtypeOfCode,
  explainSkip,
  fixtures,
  fromBase64,
  numbers,
  python,
  runPython,
} from './tools.ts';

describe('a safetensors file that the Python library wrote', () => {
  const bytes = fromBase64(fixtures.safetensors.bytes);

  test('is read, with leave to narrow', () => {
    const { tensors, metadata } = decodeSafetensors(bytes, { narrow: true });
    expect(metadata).toEqual({ made: 'elsewhere' });
    expect(Object.keys(tensors).sort()).toEqual(Object.keys(fixtures.safetensors.tensors).sort());
    for (const [name, { shape, values }] of Object.entries(fixtures.safetensors.tensors)) {
      const x = tensors[name]!;
      expect([x.dtype, x.shape]).toEqual([name === 'bf' ? 'bf16' : dtypeOfCode[name.slice(0, 2)], shape]);
      expect([...x.dataSync()], name).toEqual(numbers(values));
    }
  });

  test('is refused without it, as it holds wider integers', () => {
    expect(() => decodeSafetensors(bytes)).toThrow(FormatError);
    expect(() => decodeSafetensors(bytes)).toThrow(/dtype [IU]\d+, which no tensor here has/);
  });
});

explainSkip('interchange of files with Python');
describe.skipIf(!python)('the Python libraries', () => {
  const folder = mkdtempSync(join(tmpdir(), 'infinigrad-interchange-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const shapes = [[], [0], [3], [2, 3], [2, 0, 3], [2, 3, 4]];
  const key = new Key(5);
  const tensors: Record<string, Tensor> = {};
  for (const dtype of dtypes)
    for (const shape of shapes) {
      const x = key.foldIn(Object.keys(tensors).length).normal(shape, { std: 100, dtype: 'f64' });
      tensors[`${dtype}.${shape.join('x')}`] =
        dtype === 'bool' ? x.cast('i32').cast('bool') : (dtype === 'u8' ? x.abs() : x).cast(dtype);
    }
  tensors['f32.special'] = fromData(Float32Array.of(NaN, Infinity, -Infinity, -0, 1e-45), [5]);
  for (const dtype of ['f16', 'bf16'] as const)
    tensors[`${dtype}.every`] = fromData(
      Uint16Array.from({ length: 65536 }, (_, i) => i),
      [256, 256],
      { dtype },
    );
  const inNumPy = Object.fromEntries(Object.entries(tensors).filter(([, { dtype }]) => dtype !== 'bf16'));
  /** name → [the library's dtype, shape, bytes in hexadecimal] */
  const told = (names: Readonly<Record<string, string>>, list: Readonly<Record<string, Tensor>>): unknown =>
    Object.fromEntries(
      Object.entries(list).map(([name, x]) => [
        name,
        [names[x.dtype], x.shape, Buffer.from(bitsOf(x)[2] as number[]).toString('hex')],
      ]),
    );
  const numpyNames = {
    bool: 'bool',
    u8: 'uint8',
    i32: 'int32',
    f16: 'float16',
    f32: 'float32',
    f64: 'float64',
  };
  const formatNames = {
    bool: 'BOOL',
    u8: 'U8',
    i32: 'I32',
    f16: 'F16',
    bf16: 'BF16',
    f32: 'F32',
    f64: 'F64',
  };
  const same = (back: Readonly<Record<string, Tensor>>, list: Readonly<Record<string, Tensor>>): void => {
    expect(Object.keys(back).sort()).toEqual(Object.keys(list).sort());
    for (const [name, x] of Object.entries(list)) expect(bitsOf(back[name]!), name).toEqual(bitsOf(x));
  };

  test('safetensors reads what we write and we what it writes, of every dtype', async () => {
    await saveSafetensors(join(folder, 'ours.safetensors'), tensors, { made: 'here' });
    const seen = runPython(
      `
import json, numpy as np
from safetensors import TensorSpec, deserialize, safe_open, serialize_file
data = open('ours.safetensors', 'rb').read()
held = deserialize(data)
print(json.dumps({n: [t['dtype'], t['shape'], bytes(t['data']).hex()] for n, t in held}))
names = {'BOOL': 'bool', 'U8': 'uint8', 'I32': 'int32', 'F16': 'float16', 'BF16': 'bfloat16', 'F32': 'float32', 'F64': 'float64'}
arrays = {n: (t, np.frombuffer(bytes(t['data']), np.uint8)) for n, t in held}
specs = {n: TensorSpec(dtype=names[t['dtype']], shape=t['shape'], data_ptr=a.ctypes.data, data_len=a.nbytes) for n, (t, a) in arrays.items()}
serialize_file(specs, 'theirs.safetensors', {'made': 'there'})
with safe_open('ours.safetensors', 'np') as f:
    assert f.metadata() == {'made': 'here'}
`,
      folder,
    );
    expect(seen).toEqual(told(formatNames, tensors));
    const { tensors: back, metadata } = await loadSafetensors(join(folder, 'theirs.safetensors'));
    expect(metadata).toEqual({ made: 'there' });
    same(back, tensors);
  });

  test('a checkpoint in several files is read by its index, and ours by theirs', async () => {
    await saveSafetensorsSharded(folder, tensors, { maxShardBytes: 1000 });
    const seen = runPython(
      `
import json
from safetensors import deserialize, safe_open
index = json.load(open('model.safetensors.index.json'))
out, total = {}, 0
for file in sorted(set(index['weight_map'].values())):
    with safe_open(file, 'np') as f:
        assert all(index['weight_map'][n] == file for n in f.keys())
    for n, t in deserialize(open(file, 'rb').read()):
        out[n] = [t['dtype'], t['shape'], bytes(t['data']).hex()]
        total += len(t['data'])
assert index['metadata']['total_size'] == total
print(json.dumps(out))
`,
      folder,
    );
    expect(seen).toEqual(told(formatNames, tensors));
    same((await loadSafetensorsSharded(folder)).tensors, tensors);
  });

  test('NumPy reads the arrays that we write and writes the same bytes', async () => {
    const names = Object.keys(inNumPy);
    for (const name of names) await saveNpy(join(folder, `${name}.npy`), inNumPy[name]!);
    const seen = runPython(
      `
import json, numpy as np
out = {}
for name in json.loads('''${JSON.stringify(names)}'''):
    x = np.load(name + '.npy', allow_pickle=False)
    out[name] = [x.dtype.name, list(x.shape), x.tobytes().hex()]
    np.save('theirs.' + name + '.npy', x)
print(json.dumps(out))
`,
      folder,
    );
    expect(seen).toEqual(told(numpyNames, inNumPy));
    for (const name of names) {
      const [ours, theirs] = [join(folder, `${name}.npy`), join(folder, `theirs.${name}.npy`)];
      expect(readFileSync(theirs).equals(readFileSync(ours)), name).toBe(true);
      expect(bitsOf(await loadNpy(theirs))).toEqual(bitsOf(inNumPy[name]!));
    }
  });

  test.each([false, true])(
    'NumPy reads the archives that we write and we its (compressed: %s)',
    async (compress) => {
      await saveNpz(join(folder, 'ours.npz'), { ...inNumPy, é: inNumPy['f32.3']! }, { compress });
      const seen = runPython(
        `
import json, numpy as np, zipfile
assert zipfile.ZipFile('ours.npz').testzip() is None
arrays = np.load('ours.npz', allow_pickle=False)
np.${compress ? 'savez_compressed' : 'savez'}('theirs.npz', **arrays)
print(json.dumps({n: [x.dtype.name, list(x.shape), x.tobytes().hex()] for n, x in arrays.items()}))
`,
        folder,
      );
      const list = { ...inNumPy, é: inNumPy['f32.3']! };
      expect(seen).toEqual(told(numpyNames, list));
      same(await loadNpz(join(folder, 'theirs.npz')), list);
    },
  );
});
