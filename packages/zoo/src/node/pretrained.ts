/** The Infini-Transformer from a folder. */
import { InfiniTransformer } from '../infini/model.ts';
import { fromPretrained } from './from-pretrained.ts';

/**
 * The Infini-Transformer in a folder, its weights as they were saved, f64 where any of them is; those of f16 and bf16 as f32. In
 * training mode, unlike what `fromPretrained` gives.
 * @throws FormatError that names the file where one is missing, damaged, of another model, or does not fit the other
 */
export async function loadPretrained(folder: string): Promise<InfiniTransformer> {
  return (await fromPretrained(folder, { modelClass: InfiniTransformer })).train();
}
