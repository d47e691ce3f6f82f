#!/usr/bin/env python3
"""networks.py [--lqft PATH] [--python PY] [ROW …] — training steps against PyTorch and JAX, one thread.

    p2p     one Adam step of a network 1-64-64-64-1 through the Källén-Lehmann integral, 500 ω, 25 momenta
    conv    three convolutions of 32 channels, 3 x 3, on 32 x 32 periodic sites, batch 64: forward, backward, step

Rates are medians of several runs, in steps a second, double precision; a framework that PY (this
Python, or the one of --python) does not have is left out.  Prints one table.
"""
import argparse
import json
import os
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
t = time.perf_counter()
for _ in range(steps): step()
print(json.dumps({"rate": steps/(time.perf_counter() - t), "version": torch.__version__}))
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
t = time.perf_counter()
for i in range(steps): params, m, v = step(params, m, v, i + 2.0)
jax.block_until_ready(params)
print(json.dumps({"rate": steps/(time.perf_counter() - t), "version": jax.__version__}))
"""
ROWS = {"p2p": (P2P, 400), "conv": (CONV, 4)}


def ours(lqft, row, folder):
    model, steps = ROWS[row]
    path = os.path.join(folder, row + ".lqft")
    with open(path, "w") as f:
        f.write(model.replace("STEPS", str(steps)))
    done = subprocess.run([lqft, "run", path, "--seed", "1", "--threads", "1", "--json", "--quiet"], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    return steps/answer["timing"]["sampling"], answer["timing"]


def theirs(python, text, row):
    done = subprocess.run([python, "-c", text, row, str(ROWS[row][1])], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--lqft", default=os.path.join(ROOT, "build", "lqft"))
    a.add_argument("--python", default=sys.executable)
    a.add_argument("rows", nargs="*", default=list(ROWS))
    a = a.parse_args()
    print("| training step | lqft, steps/s | PyTorch | ratio | JAX | ratio |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for row in a.rows or ROWS:
            rates = {"lqft": [], "torch": [], "jax": []}
            for _ in range(RUNS):
                rates["lqft"].append(ours(a.lqft, row, folder)[0])
                for name, text in (("torch", TORCH), ("jax", JAX)):
                    got = theirs(a.python, text, row)
                    if got:
                        rates[name].append(got["rate"])
            mid = {k: statistics.median(v) if v else None for k, v in rates.items()}
            cells = [row, f"{mid['lqft']:.4g}"]
            for name in ("torch", "jax"):
                cells += [f"{mid[name]:.4g}", f"{mid['lqft']/mid[name]:.2f}"] if mid[name] else ["–", "–"]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
