#!/usr/bin/env python3
"""networks.py [--lqft PATH] [--before PATH] [--python PY] [ROW …] — training steps against PyTorch and JAX, one thread.

    p2p     one Adam step of a network 1-64-64-64-1 through the Källén-Lehmann integral, 500 ω, 25 momenta
    conv    three convolutions of 32 channels, 3 x 3, on 32 x 32 periodic sites, batch 64: forward, backward, step

Rates are medians of several runs in turn, in steps a second of CPU time, double precision, on one
core, to which all programs are bound: JAX takes as many threads as it has cores, whatever its flags; ratios are medians of the ratios of runs next to
each other.  A framework that PY (this Python, or the one of --python) does not have is left out.
With --before another lqft is measured in turn too.  Prints one table.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUNS = 5

P2P = """import spectral.shapes, nn.dense, nn.activations, optimizers.adam
grid P = linspace(0.8, 20, 25)
grid W = linspace(0.04, 20, 500)
def truth(w) = breit_wigner(w; M = 2, Gamma = 0.5)
data k[p in P, w in W] = kallen_lehmann(p, w)
data D[p in P] = integral[w in W] k[p, w]*truth(w)
network net = dense(64, elu)^3 >> dense(1, softplus)
def rho() { r[w in W] = net(w); return r }
loss chi2 = sum[p in P] ((integral[w in W] k[p, w]*rho[w] - D[p])/1e-3)^2/2
minimize chi2 over net.weights with adam(rate = 1e-3) { steps = STEPS }
"""
CONV = """import nn.conv, nn.activations, optimizers.adam
lattice X = torus(32, 32)
axis C = 32
axis N = 64
data a[n in N, c in C, x in X] = sin(n + 3*c + x[0] + 2*x[1])
network net = conv(32, 3, relu) >> conv(32, 3, relu) >> conv(32, 3, relu)
loss energy = mean[n in N] sumsq(net(a[n, ..]))/size(X)
minimize energy over net.weights with adam(rate = 1e-3) { steps = STEPS }
"""

TORCH = r"""
import sys, time, json, math, torch
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
row, steps = sys.argv[1], int(sys.argv[2])
nn = torch.nn
if row == "p2p":
    w = torch.linspace(0.04, 20, 500); p = torch.linspace(0.8, 20, 25); dw = float(w[1] - w[0])
    k = w[None, :]/(math.pi*(w[None, :]**2 + p[:, None]**2))*dw
    D = k @ (4*0.5*w/((4 + 0.25 - w**2)**2 + w**2))
    net = nn.Sequential(nn.Linear(1, 64), nn.ELU(), nn.Linear(64, 64), nn.ELU(), nn.Linear(64, 64), nn.ELU(), nn.Linear(64, 1), nn.Softplus())
    x = w[:, None]
    loss = lambda: (((k @ net(x)[:, 0] - D)/1e-3)**2).sum()/2
else:
    x = torch.randn(64, 32, 32, 32)
    layer = lambda: nn.Conv2d(32, 32, 3, padding=1, padding_mode="circular")
    net = nn.Sequential(layer(), nn.ReLU(), layer(), nn.ReLU(), layer(), nn.ReLU())
    loss = lambda: (net(x)**2).sum()/64/1024
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
def step():
    opt.zero_grad(set_to_none=True); l = loss(); l.backward(); opt.step()
for _ in range(3): step()
t = time.process_time()
for _ in range(steps): step()
print(json.dumps({"rate": steps/(time.process_time() - t), "version": torch.__version__}))
"""
JAX = r"""
import os, sys, time, json, math
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"
import jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", True)
row, steps = sys.argv[1], int(sys.argv[2])
key = jax.random.PRNGKey(0)
if row == "p2p":
    w = jnp.linspace(0.04, 20, 500); p = jnp.linspace(0.8, 20, 25); dw = w[1] - w[0]
    k = w[None, :]/(math.pi*(w[None, :]**2 + p[:, None]**2))*dw
    D = k @ (4*0.5*w/((4 + 0.25 - w**2)**2 + w**2))
    sizes = [1, 64, 64, 64, 1]
    params = [(jax.random.normal(jax.random.fold_in(key, i), (a, b))*(2/(a + b))**0.5, jnp.zeros(b)) for i, (a, b) in enumerate(zip(sizes, sizes[1:]))]
    def loss(params):
        h = w[:, None]
        for a, b in params[:-1]: h = jax.nn.elu(h @ a + b)
        r = jax.nn.softplus(h @ params[-1][0] + params[-1][1])[:, 0]
        return (((k @ r - D)/1e-3)**2).sum()/2
else:
    x = jax.random.normal(key, (64, 32, 32, 32))
    params = [(jax.random.normal(jax.random.fold_in(key, i), (32, 32, 3, 3))*0.06, jnp.zeros(32)) for i in range(3)]
    def loss(params):
        h = x
        for a, b in params:
            h = jnp.pad(h, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="wrap")
            h = jax.nn.relu(jax.lax.conv_general_dilated(h, a, (1, 1), "VALID") + b[None, :, None, None])
        return (h**2).sum()/64/1024
m = jax.tree_util.tree_map(jnp.zeros_like, params); v = m
@jax.jit
def step(params, m, v, t):
    g = jax.grad(loss)(params)
    m = jax.tree_util.tree_map(lambda a, b: 0.9*a + 0.1*b, m, g)
    v = jax.tree_util.tree_map(lambda a, b: 0.999*a + 0.001*b*b, v, g)
    params = jax.tree_util.tree_map(lambda p, a, b: p - 1e-3*(a/(1 - 0.9**t))/(jnp.sqrt(b/(1 - 0.999**t)) + 1e-8), params, m, v)
    return params, m, v
t0 = 1.0
params, m, v = jax.block_until_ready(step(params, m, v, t0))
t = time.process_time()
for i in range(steps): params, m, v = step(params, m, v, i + 2.0)
jax.block_until_ready(params)
print(json.dumps({"rate": steps/(time.process_time() - t), "version": jax.__version__}))
"""
ROWS = {"p2p": (P2P, 1000), "conv": (CONV, 5)}


def run(command):
    core = max(os.sched_getaffinity(0))
    return subprocess.run(command, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}))


def cpu_of(lqft, row, folder, steps):
    path = os.path.join(folder, f"{row}{steps}.lqft")
    with open(path, "w") as f:
        f.write(ROWS[row][0].replace("STEPS", str(steps)))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run([lqft, "run", path, "--seed", "1", "--threads", "1", "--json", "--quiet"]).check_returncode()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(lqft, row, folder):
    """Many steps less one: neither compiling nor data count."""
    steps = ROWS[row][1]
    cpu_of(lqft, row, folder, 1), cpu_of(lqft, row, folder, steps)     # into the cache
    return (steps - 1)/max(cpu_of(lqft, row, folder, steps) - cpu_of(lqft, row, folder, 1), 1e-9)


def theirs(python, text, row):
    done = run([python, "-c", text, row, str(ROWS[row][1])])
    return json.loads(done.stdout) if done.returncode == 0 else None


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--lqft", default=os.path.join(ROOT, "build", "lqft"))
    a.add_argument("--before")
    a.add_argument("--python", default=sys.executable)
    a.add_argument("rows", nargs="*", default=list(ROWS))
    a = a.parse_args()
    names = [n for n in ("before", "torch", "jax") if n != "before" or a.before]
    titles = {"before": "lqft before", "torch": "PyTorch", "jax": "JAX"}
    print("| training step | lqft, steps/s | " + " | ".join(f"{titles[n]} | ratio" for n in names) + " |")
    print("|---" * (2 + 2*len(names)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for row in a.rows or ROWS:
            rates = {n: [] for n in ["lqft"] + names}
            for _ in range(RUNS):
                rates["lqft"].append(ours(a.lqft, row, folder))
                if a.before:
                    rates["before"].append(ours(a.before, row, folder))
                for name, text in (("torch", TORCH), ("jax", JAX)):
                    got = theirs(a.python, text, row)
                    if got:
                        rates[name].append(got["rate"])
            cells = [row, f"{statistics.median(rates['lqft']):.4g}"]
            for name in names:
                ratio = [x/y for x, y in zip(rates["lqft"], rates[name])]
                cells += [f"{statistics.median(rates[name]):.4g}", f"{statistics.median(ratio):.2f}"] if ratio else ["–", "–"]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
