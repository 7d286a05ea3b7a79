"""PyTorch on the same work: torch_peer.py PART FOLDER. Prints a JSON object a line."""
import json, resource, statistics, sys, time
import numpy as np
import torch
import torch.nn.functional as F

part, folder = sys.argv[1:3]
work = json.load(open(f"{folder}/workload.json"))
settings = work["settings"]
torch.set_num_threads(settings["threads"])


def say(**line):
    print(json.dumps(line), flush=True)


def read(name):
    entry = work["tensors"][name]
    kind = np.int32 if entry["dtype"] == "i32" else np.float32
    count = int(np.prod(entry["shape"]))
    data = np.fromfile(f"{folder}/inputs.bin", kind, count, offset=entry["offset"])
    return torch.from_numpy(data.reshape(entry["shape"]))


def time_of(call):
    sampling = settings["sampling"]
    for _ in range(sampling["warmups"]):
        call()
    before = time.perf_counter()
    call()
    at_once = max(1, int(5e-3 / max(time.perf_counter() - before, 1e-6)) + 1)
    times, cpu, started = [], time.process_time(), time.perf_counter()
    while len(times) < sampling["minSamples"] or time.perf_counter() - started < sampling["seconds"]:
        before = time.perf_counter()
        for _ in range(at_once):
            call()
        times.append((time.perf_counter() - before) / at_once * 1e3)
    wall = time.perf_counter() - started
    return statistics.median(times), (time.process_time() - cpu) / wall


def gelu(x):
    return F.gelu(x * 1.1 + 0.1, approximate="tanh") * 0.7


def op_of(op, inputs):
    """The function of the floating-point inputs, and those."""
    if op == "embedding":
        table, index = inputs
        return lambda t: F.embedding(index.long(), t), [table]
    functions = dict(
        matmul=torch.matmul,
        gelu=gelu,
        add=torch.add,
        softmax=lambda x: torch.softmax(x, -1),
        layerNorm=lambda x, w, b: F.layer_norm(x, w.shape, w, b, 1e-5),
        rmsNorm=lambda x, w: F.rms_norm(x, w.shape, w, 1e-6),
        attention=lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    )
    return functions[op], inputs


def micro():
    for case in work["cases"].get(part, []):
        name, flops, gradient = case["name"], case.get("flops"), case.get("gradient")
        if case.get("alone"):
            continue
        try:
            flipped = case.get("transposed", [False, False])
            tensors = [read(n) for n in case["inputs"]]
            tensors = [t.T if i < 2 and flipped[i] else t for i, t in enumerate(tensors)]
            f, inputs = op_of(case["op"], tensors)
            if gradient:
                inputs = [t.requires_grad_(True) for t in inputs]
                upstream = read(gradient["upstream"]) if gradient["upstream"] else torch.ones_like(f(*inputs))
                call = lambda: torch.autograd.grad(f(*inputs), inputs, upstream)
                check = float(call()[0].double().abs().sum())
            else:
                def call():
                    with torch.no_grad():
                        return f(*inputs)
                check = float(call().double().sum())
            ms, cpu = time_of(call)
            figure = dict(value=ms * 1e3, unit="µs") if case.get("micro") else dict(value=ms, unit="ms")
            if flops is not None:
                figure = dict(value=flops / ms / 1e6, unit="GFLOP/s")
            say(name=name, cpu=cpu, check=check, **figure)
        except Exception as error:
            say(name=name, missing=str(error).split("\n")[0][:200])


class Block(torch.nn.Module):
    def __init__(self, sizes):
        super().__init__()
        width, inner = sizes["width"], sizes["inner"]
        self.heads = sizes["heads"]
        self.norm1, self.norm2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.qkv, self.proj = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, inner), torch.nn.Linear(inner, width)

    def forward(self, x, cache):
        batch, length, width = x.shape
        heads = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        if cache is not None:
            if cache:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            cache[:] = [k, v]
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=length > 1)
        x = x + self.proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt(torch.nn.Module):
    def __init__(self, name):
        super().__init__()
        sizes = work["gpts"][name]
        width, vocabulary = sizes["width"], sizes["vocabulary"]
        self.tokens = torch.nn.Embedding(vocabulary, width)
        self.positions = torch.nn.Embedding(sizes["length"], width)
        self.blocks = torch.nn.ModuleList(Block(sizes) for _ in range(sizes["layers"]))
        self.norm = torch.nn.LayerNorm(width)
        self.head = torch.nn.Linear(width, vocabulary, bias=False)
        weights = {w["name"]: read(f"{name}/{w['name']}") for w in sizes["weights"]}
        linear = {w["name"] for w in sizes["weights"] if w["linear"]}
        self.load_state_dict({n: t.T if n in linear else t for n, t in weights.items()})

    def forward(self, ids, start=0, caches=None):
        x = self.tokens(ids) + self.positions.weight[start:start + ids.shape[1]]
        for i, block in enumerate(self.blocks):
            x = block(x, None if caches is None else caches[i])
        return self.head(self.norm(x))


def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20


def train(name):
    watching = part == "memory"
    sizes, a = work["gpts"][name], work["adamW"]
    batch, length, vocabulary = sizes["batch"], sizes["length"], sizes["vocabulary"]
    steps = settings["steps"]["memory" if watching else name]
    model = Gpt(name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=a["learningRate"], betas=(a["beta1"], a["beta2"]), eps=a["eps"], weight_decay=a["weightDecay"])
    xs, ys = read(f"{name}/x").long(), read(f"{name}/y").long()
    times, losses, cpu, started = [], [], time.process_time(), time.perf_counter()
    if watching:
        say(name="memory/training: resident before", value=resident(), unit="MB")
    for step in range(steps):
        before = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(xs[step].view(batch, length)).view(-1, vocabulary), ys[step])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        times.append((time.perf_counter() - before) * 1e3)
        if watching and step + 1 in (1, 10, 50, 100, 200, 300):
            say(name=f"memory/training: resident at step {step + 1}", value=resident(), unit="MB")
    if watching:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return say(name="memory/training: peak", value=peak, unit="MB")
    cpu = (time.process_time() - cpu) / (time.perf_counter() - started)
    ms = statistics.median(times[min(settings["steps"]["untimed"], steps - 1):])
    say(name=f"gpt-{name}/step", value=ms, unit="ms", cpu=cpu)
    say(name=f"gpt-{name}/tokens", value=batch * length / ms * 1e3, unit="tokens/s", cpu=cpu)
    say(name=f"gpt-{name}/first step", value=times[0], unit="ms")
    for at in (1, 10, 100):
        if at <= steps:
            say(name=f"gpt-{name}/loss at {at}", value=losses[at - 1], unit="nats")


def decode():
    model, count = Gpt("small"), settings["decode"]["tokens"]

    def run():
        caches, out = [[] for _ in model.blocks], [work["gpts"]["small"]["firstToken"]]
        with torch.no_grad():
            for i in range(count):
                out.append(int(model(torch.tensor([[out[-1]]]), i, caches)[0, -1].argmax()))
        return out[1:]

    check, times, warmups = 7, [], settings["decode"]["warmups"]
    for i in range(1 + warmups + settings["decode"]["runs"]):
        before = time.perf_counter()
        out = run()
        times.append(time.perf_counter() - before)
        for token in out if i == 0 else []:
            check = (check * 31 + token) % 1_000_003
    name = "decode/cached keys and values"
    say(name=f"{name}, the first time", value=count / times[0], unit="tokens/s", check=check)
    say(name=name, value=count / statistics.median(times[1 + warmups :]), unit="tokens/s", check=check)


say(threads=torch.get_num_threads())
if part.startswith("gpt-") or part == "memory":
    train("large" if part == "gpt-large" else "small")
elif part == "decode":
    decode()
else:
    micro()
