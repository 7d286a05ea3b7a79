/** What transformers makes of a folder that was saved here: for tests that skip unless INFINIGRAD_PYTHON names a python that has it. */
import { spawnSync } from 'node:child_process';
import { fromData, type Tensor } from '@infinigrad/tensor';

export const python = pythonWith('torch', 'transformers');

const script = `
import json, sys, torch, transformers
folder, inputs = sys.argv[1], json.loads(sys.argv[2])
config = transformers.AutoConfig.from_pretrained(folder)
model, info = getattr(transformers, config.architectures[0]).from_pretrained(folder, output_loading_info=True, attn_implementation="eager")
with torch.no_grad():
    logits = model.eval().double()(**{name: torch.tensor(rows) for name, rows in inputs.items()}).logits
keys = ["missing_keys", "unexpected_keys", "mismatched_keys"]
print("RESULT" + json.dumps({"left": [str(key) for kind in keys for key in info[kind]], "shape": logits.shape, "logits": logits.flatten().tolist()}))
`;
import { pythonWith } from './python.ts';

/** The logits, f64, and the keys that did not find their place. Norms, softmax and angles are computed in f32 there. */
export function logitsOfTransformers(
  folder: string,
  inputs: Readonly<Record<string, Tensor>>,
): { readonly logits: Tensor; readonly left: readonly string[] } {
  const lists = Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, x.toArraySync()]));
  const { stdout, stderr } = spawnSync(python!, ['-c', script, folder, JSON.stringify(lists)], {
    encoding: 'utf8',
  });
  const line = stdout.split('\n').find((text) => text.startsWith('RESULT'));
  if (line === undefined) throw new Error(stderr);
  const result = JSON.parse(line.slice('RESULT'.length)) as {
    left: string[];
    shape: number[];
    logits: number[];
  };
  const logits = fromData(Float64Array.from(result.logits), result.shape, { dtype: 'f64' });
  return { logits, left: result.left };
}
