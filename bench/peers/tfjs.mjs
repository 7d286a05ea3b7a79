// TensorFlow.js on wasm, tuned by hand: its fast matrix product takes neither transposed nor batched operands, so both are
// written out, in gradients too; gathers have no gradient on wasm, so the GPT's embedding is a product with one-hot rows.
import { gptName, main, read, say, work } from './work.mjs';
import { ready, tf } from './tfjs-backend.mjs';

const { threads } = work.settings;
const had = await ready(threads);
if (had < threads) say({ note: `tfjs: asked for ${threads} threads, has ${had}` });

const tensor = (name) => {
  const { shape, data } = read(name);
  return tf.tensor(data, shape, data instanceof Int32Array ? 'int32' : 'float32');
};
const factor = Math.sqrt(2 / Math.PI);
const gelu = (x) => {
  const inner = tf.mul(tf.mul(x, tf.add(tf.mul(tf.mul(x, x), 0.044715), 1)), factor);
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
};
function layerNorm(x, weight, bias) {
  const { mean, variance } = tf.moments(x, -1, true);
  return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), weight), bias);
}
const product = tf.customGrad((a, b, save) => {
  save([a, b]);
  return {
    value: tf.matMul(a, b),
    gradFunc: (g, [a, b]) => [tf.matMul(g, tf.transpose(b)), tf.matMul(tf.transpose(a), g)],
  };
});
const matrix = (x, i) => tf.reshape(tf.slice(x, [i, 0, 0], [1, ...x.shape.slice(1)]), x.shape.slice(1));
const oneByOne = (a, b) =>
  tf.stack(Array.from({ length: a.shape[0] }, (_, i) => tf.matMul(matrix(a, i), matrix(b, i))));
const turned = (x) => tf.transpose(x, [0, 2, 1]);
const products = tf.customGrad((a, b, save) => {
  save([a, b]);
  return {
    value: oneByOne(a, b),
    gradFunc: (g, [a, b]) => [oneByOne(g, turned(b)), oneByOne(turned(a), g)],
  };
});
const hidden = (length) =>
  tf.tensor2d(
    Float32Array.from({ length: length ** 2 }, (_, i) => (i % length > Math.floor(i / length) ? -1e9 : 0)),
    [length, length],
  );

/** q, k, v [batch · heads, T, size]. */
function attend(q, k, v, mask) {
  const scores = tf.mul(products(q, turned(k)), 1 / Math.sqrt(q.shape[2]));
  return products(tf.softmax(mask ? tf.add(scores, mask) : scores), v);
}

const ops = {
  gelu: (x) => tf.mul(gelu(tf.add(tf.mul(x, 1.1), 0.1)), 0.7),
  add: (a, b) => tf.add(a, b),
  softmax: (x) => tf.softmax(x),
  layerNorm,
  rmsNorm: (x, weight) => tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), 1e-6))), weight),
};

function prepare({ op, inputs, transposed = [], gradient }) {
  let given = inputs.map(tensor);
  let f = ops[op];
  if (op === 'matmul') f = (a, b) => tf.matMul(a, b, transposed[0], transposed[1]);
  if (op === 'embedding') {
    const index = given[1];
    given = given.slice(0, 1);
    f = (table) => tf.gather(table, index);
  }
  if (op === 'attention') {
    const [batch, heads, length, size] = given[0].shape;
    const mask = hidden(length);
    const flat = (x) => tf.reshape(x, [batch * heads, length, size]);
    f = (q, k, v) => tf.reshape(attend(flat(q), flat(k), flat(v), mask), [batch, heads, length, size]);
  }
  const upstream = gradient?.upstream ? tensor(gradient.upstream) : undefined;
  const run = gradient ? () => tf.grads((...x) => f(...x))(given, upstream) : () => [f(...given)];
  const sum = ([first]) => tf.sum(gradient ? tf.abs(first) : first).dataSync()[0];
  return {
    call: () => void tf.tidy(() => void run()),
    check: () => tf.tidy(() => sum(run())),
  };
}

const sizes = work.gpts[gptName];

function parameters() {
  return Object.fromEntries(
    sizes.weights.map(({ name }) => [name, tf.variable(tensor(`${gptName}/${name}`), true, name)]),
  );
}

/** Logits [rows, vocabulary] of `ids` [batch · length]; `caches` are read and replaced. */
function forward(P, ids, batch, length, mask, start = 0, caches = null) {
  const { layers, heads, width } = sizes;
  const linear = (x, name) => {
    const y = product(x, P[`${name}.weight`]);
    return P[`${name}.bias`] ? tf.add(y, P[`${name}.bias`]) : y;
  };
  const norm = (x, name) => layerNorm(x, P[`${name}.weight`], P[`${name}.bias`]);
  const rows = tf.cast(tf.oneHot(ids, sizes.vocabulary), 'float32');
  const tokens = tf.reshape(product(rows, P['tokens.weight']), [batch, length, width]);
  const places = tf.slice(P['positions.weight'], [start, 0], [length, width]);
  let x = tf.reshape(tf.add(tokens, places), [batch * length, width]);
  for (let i = 0; i < layers; i++) {
    const at = `blocks.${i}`;
    const split = tf.reshape(linear(norm(x, `${at}.norm1`), `${at}.qkv`), [
      batch,
      length,
      3 * heads,
      width / heads,
    ]);
    const parts = tf.split(tf.transpose(split, [2, 0, 1, 3]), 3, 0);
    let [q, k, v] = parts.map((part) => tf.reshape(part, [heads * batch, length, width / heads]));
    if (caches) {
      const before = caches[i];
      if (before) [k, v] = [tf.concat([before[0], k], 1), tf.concat([before[1], v], 1)];
      tf.dispose(before ?? []);
      caches[i] = [tf.keep(k), tf.keep(v)];
    }
    const mixed = tf.transpose(
      tf.reshape(attend(q, k, v, mask), [heads, batch, length, width / heads]),
      [1, 2, 0, 3],
    );
    x = tf.add(x, linear(tf.reshape(mixed, [batch * length, width]), `${at}.proj`));
    x = tf.add(x, linear(gelu(linear(norm(x, `${at}.norm2`), `${at}.up`)), `${at}.down`));
  }
  return linear(norm(x, 'norm'), 'head');
}

function trainer() {
  const { batch, length, vocabulary } = sizes;
  const { learningRate, beta1, beta2, eps, weightDecay } = work.adamW;
  const P = parameters();
  const variables = Object.values(P);
  const mask = hidden(length);
  const adam = tf.train.adam(learningRate, beta1, beta2, eps);
  return (x, y) =>
    tf.tidy(() => {
      const targets = tf.cast(tf.oneHot(tf.tensor1d(y, 'int32'), vocabulary), 'float32');
      const { value, grads } = tf.variableGrads(() => {
        const logits = forward(P, tf.tensor1d(x, 'int32'), batch, length, mask);
        return tf.neg(tf.mean(tf.sum(tf.mul(targets, tf.logSoftmax(logits)), -1)));
      }, variables);
      for (const variable of variables) variable.assign(tf.mul(variable, 1 - learningRate * weightDecay));
      adam.applyGradients(grads);
      return value.dataSync()[0];
    });
}

function decoder() {
  const P = parameters();
  return (first, count) => {
    const caches = [];
    const out = [first];
    for (let i = 0; i < count; i++)
      tf.tidy(() => {
        const logits = forward(P, tf.tensor1d([out.at(-1)], 'int32'), 1, 1, null, i, caches);
        out.push(tf.argMax(logits, -1).dataSync()[0]);
      });
    tf.dispose(caches);
    return out.slice(1);
  };
}

await main({ prepare, trainer, decoder });
