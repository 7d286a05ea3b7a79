// jax-js on its wasm device, at its best: everything under `jit`, one for the whole training step.
import { gptName, main, read, say, work } from './work.mjs';

// Node 20 has no iterator helpers, which jax-js uses; and `init()` without a device reads `navigator`, which it lacks too.
const iterators = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));
iterators.map ??= function* (f) {
  let i = 0;
  for (const value of this) yield f(value, i++);
};
iterators.filter ??= function* (f) {
  let i = 0;
  for (const value of this) if (f(value, i++)) yield value;
};
iterators.toArray ??= function () {
  return [...this];
};
const {
  blockUntilReady,
  defaultDevice,
  grad,
  init,
  jit,
  nn,
  numpy: np,
  tree,
  valueAndGrad,
} = await import('@jax-js/jax');
await init('wasm');
defaultDevice('wasm');
if (work.settings.threads > 1) say({ note: 'jax-js has one thread in Node, as it is shipped' });

// An array is used up where it is used; `.ref` is one more use.
const array = (name) => {
  const { shape, data } = read(name);
  return np.array(data, { shape });
};
const done = async (result) => {
  await blockUntilReady(result);
  tree.dispose(result);
};

const standard = (x, p) => nn.standardize(x, -1).mul(p.weight).add(p.bias);
const ops = {
  gelu: (x) => nn.gelu(x.mul(1.1).add(0.1)).mul(0.7),
  add: (a, b) => a.add(b),
  softmax: (x) => nn.softmax(x, -1),
  layerNorm: (x, weight, bias) => standard(x, { weight, bias }),
  rmsNorm: (x, weight) => {
    const size = np.sqrt(np.mean(np.square(x.ref), -1, { keepdims: true }).add(1e-6));
    return x.div(size).mul(weight);
  },
  // jax-js wants [batch, T, heads, size].
  attention: (q, k, v) => nn.dotProductAttention(q, k, v, { isCausal: true }),
};
function prepare({ op, inputs, transposed = [], gradient }) {
  const headsFirst = (x) => (op === 'attention' ? np.transpose(x, [0, 2, 1, 3]) : x);
  let given = inputs.map((name, i) => headsFirst(transposed[i] ? np.transpose(array(name)) : array(name)));
  let f = op === 'matmul' ? (a, b) => np.matmul(a, b) : ops[op];
  if (op === 'embedding') {
    const index = given[1];
    given = given.slice(0, 1);
    f = (table) => table.slice(index.ref);
  }
  const refs = () => given.map((x) => x.ref);
  let run;
  if (gradient) {
    const upstream = gradient.upstream === null ? null : headsFirst(array(gradient.upstream));
    const argnums = given.map((_, i) => (upstream ? i + 1 : i));
    const loss = upstream ? (u, ...x) => np.sum(f(...x).mul(u)) : (...x) => np.sum(f(...x));
    const gradients = jit(grad(loss, { argnums }));
    run = () => gradients(...(upstream ? [upstream.ref] : []), ...refs());
  } else {
    const compiled = jit(f);
    run = () => compiled(...refs());
  }
  const check = async () => {
    const result = run();
    const [first, ...others] = gradient && Array.isArray(result) ? result : [result];
    tree.dispose(others);
    return np.sum(gradient ? np.abs(first) : first).jsAsync();
  };
  return { call: () => done(run()), check };
}

const sizes = work.gpts[gptName];
const { learningRate: rate, beta1, beta2, eps, weightDecay } = work.adamW;

/** The parameters as a tree: `blocks.0.qkv.weight` is at P.blocks0.qkv.weight. */
function parameters() {
  const P = {};
  for (const { name } of sizes.weights) {
    const path = name.replace('blocks.', 'blocks').split('.');
    let at = P;
    for (const key of path.slice(0, -1)) at = at[key] ??= {};
    at[path.at(-1)] = array(`${gptName}/${name}`);
  }
  return P;
}

const linear = (x, { weight, bias }) => (bias ? np.matmul(x, weight).add(bias) : np.matmul(x, weight));

/** `x` [rows, width]; `attend` mixes the rows' queries, keys and values [rows, 3 · width]. All arguments are used up. */
function block(x, P, attend) {
  const middle = x.ref.add(linear(attend(linear(standard(x, P.norm1), P.qkv)), P.proj));
  return middle.ref.add(linear(nn.gelu(linear(standard(middle, P.norm2), P.up)), P.down));
}

function trainer() {
  const { layers, heads, width, length, batch, vocabulary } = sizes;
  const places = np.array(Int32Array.from({ length: batch * length }, (_, i) => i % length));
  const attend = (qkv) => {
    const parts = np.split(qkv.reshape([batch, length, 3 * heads, width / heads]), 3, 2);
    return nn.dotProductAttention(...parts, { isCausal: true }).reshape([batch * length, width]);
  };
  const loss = (P, x, y) => {
    // Gathered positions, rows throughout and one-hot targets: around a reshaped gather, gradients do not compile.
    let h = P.tokens.weight.slice(x).add(P.positions.weight.slice(places.ref));
    for (let i = 0; i < layers; i++) h = block(h, P[`blocks${i}`], attend);
    const logs = nn.logSoftmax(linear(standard(h, P.norm), P.head), -1);
    return np.sum(logs.mul(nn.oneHot(y, vocabulary))).mul(-1 / (batch * length));
  };
  const update = jit((P, M, S, x, y, correction1, correction2) => {
    const [value, G] = valueAndGrad(loss)(tree.ref(P), x, y);
    const means = tree.map((m, g) => m.mul(beta1).add(g.mul(1 - beta1)), M, tree.ref(G));
    const squares = tree.map((s, g) => s.mul(beta2).add(np.square(g).mul(1 - beta2)), S, G);
    const next = (p, m, s) => {
      const root = np.sqrt(s.div(correction2.ref)).add(eps);
      return p.mul(1 - rate * weightDecay).sub(m.div(correction1.ref).mul(rate).div(root));
    };
    const values = tree.map(next, P, tree.ref(means), tree.ref(squares));
    correction1.dispose();
    correction2.dispose();
    return [value, values, means, squares];
  });
  let P = parameters();
  let M = tree.map((p) => np.zerosLike(p), tree.ref(P));
  let S = tree.map((p) => np.zerosLike(p), tree.ref(P));
  return async (x, y, step) => {
    const corrections = [np.array(1 - beta1 ** step), np.array(1 - beta2 ** step)];
    let value;
    [value, P, M, S] = update(P, M, S, np.array(x), np.array(y), ...corrections);
    await blockUntilReady([P, M, S]);
    return value.jsAsync();
  };
}

function decoder() {
  const { layers, heads, width, length } = sizes;
  const size = width / heads;
  const P = parameters();
  // Caches of full length, so that one compiled step serves all positions.
  const one = jit((P, keys, values, token, place) => {
    const count = () => np.arange(length).astype(np.int32);
    const here = count().equal(place.ref).reshape([1, length, 1, 1]);
    const seen = count().lessEqual(place.ref).reshape([1, 1, 1, length]);
    let x = P.tokens.weight.slice(token).add(P.positions.weight.slice(place.reshape([1])));
    const [allKeys, allValues] = [[], []];
    for (let i = 0; i < layers; i++) {
      const attend = (qkv) => {
        const [q, k, v] = np.split(qkv.reshape([1, 1, 3 * heads, size]), 3, 2);
        allKeys[i] = np.where(here.ref, k, keys[i]);
        allValues[i] = np.where(here.ref, v, values[i]);
        const mixed = nn.dotProductAttention(q, allKeys[i].ref, allValues[i].ref, { mask: seen.ref });
        return mixed.reshape([1, width]);
      };
      x = block(x, P[`blocks${i}`], attend);
    }
    here.dispose();
    seen.dispose();
    return [np.argmax(linear(standard(x, P.norm), P.head), -1).astype(np.int32), allKeys, allValues];
  });
  const empty = () => Array.from({ length: layers }, () => np.zeros([1, length, heads, size]));
  return async (first, count) => {
    let [token, keys, values] = [np.array(new Int32Array([first])), empty(), empty()];
    const out = [];
    for (let i = 0; i < count; i++) {
      [token, keys, values] = one(tree.ref(P), keys, values, token, np.array(i, { dtype: np.int32 }));
      out.push((await token.ref.data())[0]);
    }
    tree.dispose([token, keys, values]);
    return out;
  };
}

await main({ prepare, trainer, decoder });
