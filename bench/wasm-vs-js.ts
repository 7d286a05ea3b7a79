/**
 * What the wasm backend gains over the reference: matrix products, elementwise ops, reductions, a training step.
 *   node --conditions=@infinigrad/source --import tsx bench/wasm-vs-js.ts [part …]
 * Parts: matmul, elementwise, training. Each figure is the best of many samples.
 */
import { apply, fromData, setBackend, type OpName, type Tensor } from '@infinigrad/tensor';
import { PasskeyTrainer, passkeyRecipe } from '@infinigrad/zoo';

const parts = process.argv.slice(2);
const wanted = (part: string): boolean => parts.length === 0 || parts.includes(part);
const backends = ['js', 'wasm'] as const;

/** The least time of a call, in milliseconds, over about `budget` milliseconds. */
function best(run: () => void, budget = 300): number {
  run();
  const started = performance.now();
  run();
  const once = performance.now() - started;
  const repeats = Math.max(1, Math.ceil(0.5 / Math.max(once, 1e-4)));
  let least = Infinity;
  const end = performance.now() + budget;
  do {
    const before = performance.now();
    for (let i = 0; i < repeats; i++) run();
    least = Math.min(least, (performance.now() - before) / repeats);
  } while (performance.now() < end);
  return least;
}

function wave(shape: readonly number[]): Tensor {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < data.length; i++) data[i] = Math.sin(i * 0.37) * 2;
  return fromData(data, shape);
}

/** A row of figures, one for each backend. */
function row(name: string, unit: string, measure: () => number): void {
  const figures = backends.map((backend) => {
    setBackend(backend);
    return measure();
  });
  console.log(`${name.padEnd(34)}${figures.map((x) => x.toFixed(2).padStart(11)).join('')}  ${unit}`);
}

console.log(`${''.padEnd(34)}${backends.map((name) => name.padStart(11)).join('')}`);

if (wanted('matmul')) {
  const product = (name: string, flops: number, operands: () => [Tensor, Tensor]): void =>
    row(name, 'GFLOP/s', () => {
      const [a, b] = operands();
      return flops / best(() => void a.matmul(b)) / 1e6;
    });
  for (const n of [64, 128, 256, 512, 1024])
    product(`matmul ${n}`, 2 * n ** 3, () => [wave([n, n]), wave([n, n])]);
  product('matmul 256 A·Bᵀ', 2 * 256 ** 3, () => [wave([256, 256]), wave([256, 256]).transpose()]);
  product('matmul 256 Aᵀ·B', 2 * 256 ** 3, () => [wave([256, 256]).transpose(), wave([256, 256])]);
  product('matmul [32,128,64]·[32,64,128]', 2 * 32 * 128 * 64 * 128, () => [
    wave([32, 128, 64]),
    wave([32, 64, 128]),
  ]);
  product('matmul [1024,64]·[64,168]', 2 * 1024 * 64 * 168, () => [wave([1024, 64]), wave([64, 168])]);
  product('matmul [1,512]·[512,2048]', 2 * 512 * 2048, () => [wave([1, 512]), wave([512, 2048])]);
}

if (wanted('elementwise')) {
  const size = 1024 * 128;
  const perElement = (name: string, run: (x: Tensor) => void): void =>
    row(name, 'ns/element', () => {
      const x = wave([1024, 128]);
      return (best(() => run(x)) * 1e6) / size;
    });
  for (const op of [
    'exp',
    'log1p',
    'tanh',
    'gelu',
    'geluTanh',
    'silu',
    'sigmoid',
    'softmax',
    'logSoftmax',
    'clone',
  ] as const satisfies OpName[])
    perElement(op, (x) => void apply(op, [x], op.endsWith('oftmax') ? { axis: -1 } : {}));
  perElement('add', (x) => void x.add(x));
  perElement('add a row', (x) => void x.add(x.narrow(0, 0, 1)));
  perElement('relu', (x) => void x.relu());
  perElement('sum', (x) => void x.sum());
  perElement('sum of rows', (x) => void x.sum(-1));
  perElement('sum of columns', (x) => void x.sum(0));
  perElement('max of rows', (x) => void x.max(-1));
  perElement('transposed copy', (x) => void x.transpose().clone());
  row('add of 4 elements', 'µs', () => {
    const x = wave([4]);
    return best(() => void x.add(x)) * 1e3;
  });
}

if (wanted('training')) {
  const steps = 20;
  row('passkey training step', 'ms', () => {
    const trainer = new PasskeyTrainer(passkeyRecipe('gated', { steps }));
    const times: number[] = [];
    const started = performance.now();
    let tokens = 0;
    let before = started;
    for (const report of trainer.run()) {
      const now = performance.now();
      times.push((now - before) / report.tokens);
      tokens += report.tokens;
      before = now;
    }
    const seconds = (performance.now() - started) / 1e3;
    console.log(
      `  ${(tokens / seconds).toFixed(0)} tokens/s; at best ${(1e3 / Math.min(...times)).toFixed(0)}`,
    );
    return (seconds * 1e3) / steps;
  });
}
