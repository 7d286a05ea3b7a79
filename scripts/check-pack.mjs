// Packs the packages, checks the tarballs, and uses them from a foreign project as a user would.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const packages = ['tensor', 'autograd', 'nn', 'zoo', 'cli'];
const root = resolve(import.meta.dirname, '..');
const bin = (name) => join(root, 'node_modules', '.bin', name);
const work = mkdtempSync(join(tmpdir(), 'infinigrad-pack-'));
const pnpm = /pnpm\.c?js$/.test(process.env.npm_execpath ?? '')
  ? [process.execPath, process.env.npm_execpath]
  : ['npx', '-y', 'pnpm@10.34.9'];
let passed = 0;
let failed = 0;

function check(name, [command, ...args], options = {}) {
  const run = spawnSync(command, args, { cwd: root, encoding: 'utf8', ...options });
  const good = run.status === 0;
  console.log(`${good ? 'ok  ' : 'FAIL'} ${name}`);
  if (good) passed++;
  else {
    failed++;
    console.log(`${run.stdout ?? ''}${run.stderr ?? ''}${run.error ?? ''}`);
  }
  return good;
}

const consumer = `
import { BackendError, tensor, Key, ShapeError } from '@infinigrad/tensor';
import { saveSafetensors, loadSafetensors } from '@infinigrad/tensor/node';
import { useGpu, type Gpu } from '@infinigrad/tensor/gpu';
import { viewsAgree } from '@infinigrad/tensor/testing';
import { grad, gradcheck } from '@infinigrad/autograd';
import { gradientHolds } from '@infinigrad/autograd/testing';
import { AdamW, Linear, Trainer, crossEntropy } from '@infinigrad/nn';
import { Checkpoints } from '@infinigrad/nn/node';
import { InfiniTransformer, LlamaForCausalLM, generate, llamaConfig, trainBpe } from '@infinigrad/zoo';
import { loadTokenizer } from '@infinigrad/zoo/huggingface';
import { loadPretrained, savePretrained } from '@infinigrad/zoo/node';

const expect = (good: boolean, what: string): void => { if (!good) throw new Error(what); };
const x = tensor([[1, 2], [3, 4]]);
expect(x.matmul(x).sum().itemSync() === 54, 'matmul');
expect(grad((y: typeof x) => y.square().sum())(x).sum().itemSync() === 20, 'grad');
gradcheck((y) => y.exp().sum(), [x.cast('f64')], { order: 2 });
try { x.matmul(tensor([[1, 2, 3]])); expect(false, 'shapes must be refused'); }
catch (error) { expect(error instanceof ShapeError, 'a typed error'); }
const layer = new Linear(2, 3, { key: new Key(0) });
const optimizer = new AdamW(layer.parameters(), { learningRate: 0.1 });
const step = () => optimizer.minimize(() => crossEntropy(layer.forward(x), tensor([0, 2], { dtype: 'i32' })));
const first = step().itemSync();
for (let i = 0; i < 20; i++) step();
expect(step().itemSync() < first, 'the loss falls');
const labels = tensor([0, 2], { dtype: 'i32' });
const trainer = new Trainer({ model: layer, optimizer, data: () => x, steps: 3, checkpoints: new Checkpoints('checkpoints'),
  loss: (m, batch) => crossEntropy(m.forward(batch), labels) });
expect((await trainer.fit()).step === 3 && (await new Checkpoints('checkpoints').latest()) !== null, 'training leaves a checkpoint');
const model = new InfiniTransformer({ vocabSize: 8, hiddenSize: 8, numLayers: 1, numHeads: 2, segmentLength: 4 }, new Key(0));
expect(model.forward(tensor([[1, 2, 3, 4, 5]], { dtype: 'i32' })).logits.shape.join() === '1,5,8', 'logits');
await saveSafetensors('model.safetensors', model.stateDict());
const { tensors } = await loadSafetensors('model.safetensors');
model.loadStateDict(tensors);
await savePretrained(model, 'saved');
const tokens = tensor([[1, 2, 3, 4, 5]], { dtype: 'i32' });
const sum = async (m: InfiniTransformer): Promise<number> => m.forward(tokens).logits.abs().sum().item();
expect(await sum(await loadPretrained('saved')) === await sum(model), 'a saved model comes back');
const llama = new LlamaForCausalLM(llamaConfig({ vocabSize: 16, hiddenSize: 8, numHiddenLayers: 1, numAttentionHeads: 2, intermediateSize: 16, maxPositionEmbeddings: 32 }), new Key(0));
expect((await generate(llama, [[1, 2, 3]], { maxNewTokens: 4 })).tokens[0]!.length > 0, 'generation');
expect(typeof trainBpe === 'function' && typeof loadTokenizer === 'function', 'tokenizers');
expect(typeof viewsAgree === 'function' && typeof gradientHolds === 'function', 'proof kits');
const refusal: unknown = await useGpu().then((gpu: Gpu) => gpu.close(), (error: unknown) => error);
expect(refusal instanceof BackendError && refusal.hint === 'npm install gpu.js@2.24.1', 'the gpu backend asks for gpu.js');
console.log('the consumer ran');
`;

try {
  check('build', [bin('tsc'), '-b']);
  for (const name of packages) {
    const folder = join(root, 'packages', name);
    check(`pack ${name}`, [...pnpm, 'pack', '--pack-destination', work], { cwd: folder });
  }
  const tarballs = readdirSync(work).filter((file) => file.endsWith('.tgz'));
  for (const file of tarballs) {
    check(`publint ${file}`, [bin('publint'), join(work, file), '--strict']);
    // The command line exports nothing.
    if (!file.startsWith('infinigrad-cli-'))
      check(`attw ${file}`, [bin('attw'), join(work, file), '--profile', 'esm-only']);
  }
  const project = join(work, 'project');
  cpSync(join(root, 'LICENSE'), join(project, 'LICENSE'));
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true, type: 'module' }),
  );
  const sources = tarballs.map((file) => join(work, file));
  const tools = ['fast-check@4.10.2', '@types/node@20'];
  check(
    'npm install in a foreign project',
    ['npm', 'install', '--no-audit', '--no-fund', ...sources, ...tools],
    { cwd: project },
  );
  writeFileSync(join(project, 'consumer.ts'), consumer);
  for (const [module, resolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ]) {
    const flags = [
      '--strict',
      '--target',
      'es2022',
      '--types',
      'node',
      '--module',
      module,
      '--moduleResolution',
      resolution,
    ];
    check(`type-check, ${resolution}`, [bin('tsc'), ...flags, '--noEmit', 'consumer.ts'], { cwd: project });
  }
  const emit = [
    '--target',
    'es2022',
    '--types',
    'node',
    '--module',
    'nodenext',
    '--moduleResolution',
    'nodenext',
  ];
  check('emit', [bin('tsc'), ...emit, 'consumer.ts'], { cwd: project });
  check('run in plain node', [process.execPath, 'consumer.js'], { cwd: project });
  const command = join(project, 'node_modules', '.bin', 'infinigrad');
  check('the command inspects', [command, 'inspect', 'saved'], { cwd: project });
  const tiny = ['--steps', '2', '--batch-size', '2', '--length', '16', '--out', 'run'];
  check('the command trains', [command, 'train', '--data', 'consumer.ts', ...tiny], { cwd: project });
  check('the command generates', [command, 'generate', 'run', 'import'], { cwd: project });
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
