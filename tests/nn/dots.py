#!/usr/bin/env python3
"""The transposed dot product, for every layer and activation of stdlib/nn: <F'(x) v, y> = <v, F'(x)^T y>.

    tests/nn/dots.py [--lqft PATH] [-v] [NAME …]

x are the input and all weights together, moved off their start; v and y are normal. The right side is
grad; the left is the slope of t -> <F(x + t v), y> at 0 by the central difference of eighth order,

    slope = sum_k c_k (f(k h) - f(-k h))/h,   k = 1 … 4,   c = 4/5, -1/5, 4/105, -1/280,   h = 3e-4.

Its error: (h/r)^8, about, where f has a radius of convergence r; normalised groups of few elements have
r = 0.02 and 1e-14. And rounding, 2 sum |c_k| eps/h = 1.5e-12 if f were wrong by eps = 2e-16 of the size that
it is divided by, the sum of the |terms| of the right side; the terms are more than f, so some 1e-13 are
to be expected, and 1e-11 is a bound. Where F has kinks (relu, max) none may lie within 4 h v: so it is
at the seed used here, and one that is crossed shows as 1e-4.

The layers are those that `lqft doc` finds; one for which no program stands here is a failure.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BOUND = 1e-11

PROGRAM = """import {modules}
optimizer dot_test(L, w; h = 3e-4) {{
  z ~ normal(0*w, 0.3)
  w = w + z
  v ~ normal(0*w, 1)
  slope = (4/5*(L(w + h*v) - L(w - h*v)) - 1/5*(L(w + 2*h*v) - L(w - 2*h*v)) + 4/105*(L(w + 3*h*v) - L(w - 3*h*v)) - 1/280*(L(w + 4*h*v) - L(w - 4*h*v)))/h
  terms = grad(L, w)*v
  state worst = 0
  worst = max(worst, abs(slope - sum(terms))/sum(abs(terms)))
  monitor worst
}}
{sets}
data a{over} = normal(0, 1)
{more}
network f = {layer}
data like = zeros(f({shifted}))
data y = normal(like, 1)
minimize sum(y*f({applied})) over {weights}x{over} : real with dot_test() {{ steps = 3 }}
"""

VECTOR = ("axis A = 5", "[A]", "")
PLANE = ("lattice X = torus(4, 6)", "[c in 0..1, s in X]", "")
COARSE = ("lattice X = torus(8, 4)", "[c in 0..1, s in coarse(X, 2)]", "")


def sites(text, channels=2):
    return (f"lattice X = {text}", f"[c in 0..{channels - 1}, s in X]", "")


# name: (layer, input: sets, index sets, more declarations; further arguments; has it weights?)
CASES = {
    "dense": [("dense(3)", VECTOR), ("dense(4, tanh) >> dense(3, softplus, bias = false)", VECTOR), ("dense(2)", PLANE)],
    "conv": [("conv(3, k = 3)", sites("torus(6)")), ("conv(3, k = 5, act = tanh)", sites("torus(8)", 1)),
             ("conv(2)", PLANE), ("conv(2)", sites("torus(4, 2, 4)")), ("conv(2)", sites("torus(4, 2, 3, 2)")),
             ("conv(2)", sites("box(6)")), ("conv(2, act = tanh)", sites("box(4, 6)")), ("conv(2)", sites("box(3, 4, 3)")),
             ("conv(2)", sites("box(3, 2, 3, 2)")), ("conv(2, k = 2)", sites("box(4, 6)")),
             ("conv(2)", sites("torus(6; boundary = antiperiodic)")), ("conv(2)", sites("torus(4, 4; boundary = (open, periodic))")),
             ("conv(3, k = 2, stride = 2, bias = false)", PLANE), ("conv(2, k = 3, stride = 2)", sites("box(4, 6)")),
             ("conv(2, k = 2, stride = 2)", sites("torus(4, 2, 2, 2)")), ("conv(2, k = 3, stride = 3)", sites("torus(6, 3, 3)")),
             ("conv(2, mask = causal(X, 3))", PLANE), ("conv(2, mask = causal(X, 3; own = true), act = tanh) >> conv(1)", sites("box(4, 4)"))],
    "conv_up": [("conv_up(3, k = 2)", COARSE), ("conv_up(2, k = 3, stride = 2, act = tanh)", COARSE),
                ("conv_up(2, k = 2, bias = false)", ("lattice X = box(4, 4, 2)", "[c in 0..1, s in coarse(X, 2)]", ""))],
    "pool": [("pool(2)", PLANE), ("pool(2, by = max)", PLANE), ("pool(2)", sites("box(4, 2, 2)"))],
    "upsample": [("upsample(2)", COARSE)],
    "mean_sites": [("mean_sites", PLANE)],
    "squeeze": [("squeeze", PLANE)],
    "residual": [("dense(4) >> residual(dense(4, tanh))", VECTOR), ("residual(dense(3), shortcut = dense(3, bias = false))", VECTOR)],
    "added": [("added(dense(3), dense(3, tanh))", VECTOR)],
    "joined": [("joined", (PLANE[0], PLANE[1], "data b[c in 0..2, s in X] = normal(0, 1)"), ", b")],
    "skip": [("skip(conv(3, act = tanh))", PLANE)],
    "branch": [("branch(conv(1), conv(2, act = tanh))", PLANE)],
    "flatten": [("flatten", PLANE)],
    "layer_norm": [("layer_norm", VECTOR), ("layer_norm", PLANE)],
    "group_norm": [("group_norm(1)", PLANE), ("group_norm(2)", sites("torus(4, 2)", 4)), ("group_norm(2)", sites("box(6)"))],
    "fourier": [("dense(4, tanh) >> mean >> fourier(8, highest = 10)", VECTOR)],
    "conv_block": [("conv_block(2, groups = 2)", PLANE, ", 0"), ("conv_block(2, groups = 1)", (PLANE[0], PLANE[1], "data e[i in 0..2] = normal(0, 1)"), ", e")],
    "unet_level": [("unet_level(2, conv_block(2, groups = 1), groups = 1)", PLANE, ", 0")],
    "unet": [("unet(channels = (2, 4), groups = 2)", sites("torus(4, 4)", 1)), ("unet(channels = (2, 2), groups = 1, out = 2)", sites("box(2, 4)"))],
    "unet_in_time": [("unet_in_time(channels = (2, 4), groups = 2, times = 4)", sites("torus(4, 4)", 1), ", 0.3")],
    "prelu": [("dense(4, act = prelu()) >> prelu(slope = 0.1)", VECTOR)],
    "unet_levels": [("unet_levels((2, 2), 3, tanh, 1)", PLANE, ", 0")],
}
CASES.update({act: [(f"dense(4, {act}) >> dense(2)", VECTOR)] for act in ("relu", "leaky_relu", "elu", "gelu", "swish", "sigmoid", "softplus", "tanh")})
BARE = ("pool", "upsample", "mean_sites", "squeeze", "joined", "flatten")       # no weights
# Functions of the library that are neither layers nor activations.
NO_LAYER = ("causal", "extent_count")


def library(lqft):
    """The names of the layers and functions in stdlib/nn, from the pages that `lqft doc` writes."""
    folder = os.path.join(ROOT, "stdlib", "nn")
    names = []
    for module in sorted(os.listdir(folder)):
        if not module.endswith(".lqft"):
            continue
        page = subprocess.run([lqft, "doc", os.path.join(folder, module)], stdout=subprocess.PIPE, text=True, check=True).stdout
        names += re.findall(r"^    (?:layer|def) ([^\W\d][\w']*)", page, re.M)
    return [n for n in names if n not in NO_LAYER]


def modules():
    return ", ".join("nn." + m[:-5] for m in sorted(os.listdir(os.path.join(ROOT, "stdlib", "nn"))) if m.endswith(".lqft"))


def off(lqft, name, layer, inputs, arguments=""):
    sets, over, more = inputs
    weights = "" if name in BARE else "f.weights, "
    text = PROGRAM.format(modules=modules(), sets=sets, over=over, more=more, layer=layer, shifted="a" + arguments,
                          applied="a + x" + arguments, weights=weights)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "dot.lqft")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        done = subprocess.run([lqft, "run", path, "--seed", "1", "--threads", "1", "--json", "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)["minimize"][0]["monitors"]["worst"]["value"]


def main():
    options = argparse.ArgumentParser(description="the transposed dot product of every layer")
    options.add_argument("--lqft", default=os.path.join(ROOT, "build", "lqft"))
    options.add_argument("-v", action="store_true", help="each layer, not only those that fail")
    options.add_argument("names", nargs="*", metavar="NAME")
    o = options.parse_args()
    lqft = os.path.abspath(o.lqft)
    found = library(lqft)
    missing = [n for n in found if n not in CASES]
    failed = len(missing)
    for name in missing:
        print(f"FAIL  {name}: a layer or activation without a program in tests/nn/dots.py")
    if len(found) < 20:
        failed += 1
        print(f"FAIL  {len(found)} layers were found in the library")
    jobs = [(n, case) for n in (o.names or CASES) for case in CASES[n]]
    worst = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = [(n, case, pool.submit(off, lqft, n, *case)) for n, case in jobs]
        for name, case, future in futures:
            what = f"{case[0]}, {case[1][0]}"
            try:
                e = future.result()
                worst = max(worst, e)
                good, said = 0 <= e < BOUND, f"{e:.1e}"
            except (RuntimeError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as problem:
                good, said = False, str(problem)
            failed += not good
            if o.v or not good:
                print(f"{'ok   ' if good else 'FAIL '} {what}: {said}")
    print(f"{len(jobs)} programs, {len(found)} layers and activations of the library, worst {worst:.1e}; {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
