#!/usr/bin/env python3
"""Layers, losses and optimizers: every program of models/.

    tests/nn/run.py [--lqft PATH] [-v] [NAME …]

  gradients  `lqft check`: the gradient of each objective by each array of weights agrees with
             central differences to 1e-5 of its size (compiler/run/check_loss.c says why; what is seen
             is 1e-9), and there is a line for each `minimize`
  values     the reports are what the comments say, as in the reference: `# => name = 0.50(1)`,
             without a bracket to nine digits
  bits       the reference interpreter, machine code, and a second run with the same seed give
             the same JSON, bit for bit; another seed gives other weights
  files      weights that were saved and loaded give the same reports
"""
import argparse
import concurrent.futures
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MODELS = os.path.join(HERE, "models")
SLOW = ("lbfgs",)              # not in the interpreter: thousands of iterations

spec = importlib.util.spec_from_file_location("reference", os.path.join(ROOT, "tests", "reference", "run.py"))
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)


class Failed(Exception):
    pass


def call(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=200)
    if done.returncode:
        raise Failed(f"exit status {done.returncode} of {' '.join(command[1:])}\n{done.stdout}{done.stderr}")
    return done.stdout


def reports(lqft, path, *arguments):
    return json.loads(call(lqft, "run", path, "--json", "--quiet", *arguments))["report"]


def check_gradients(lqft, path, text):
    lines = [line for line in call(lqft, "check", path).splitlines() if "gradient of" in line]
    wanted = sum(line.startswith("minimize ") for line in text.splitlines())
    if len(lines) != wanted or not wanted:
        raise Failed(f"{len(lines)} gradients were tested, of {wanted} objectives")
    return f"{wanted} gradients"


def check_bits(lqft, path, first):
    again = reports(lqft, path, "--seed", "1")
    if again != first:
        raise Failed("a second run with the same seed gives other numbers")
    if os.path.basename(path)[:-5] in SLOW:
        return "twice the same"
    slow = reports(lqft, path, "--seed", "1", "--device", "interp")
    for name in first:
        if slow[name] != first[name]:
            raise Failed(f"`{name}` is {first[name]['value']} in machine code and {slow[name]['value']} in the interpreter")
    return "interpreter and machine code agree"


def check_model(lqft, name):
    path = os.path.join(MODELS, name + ".lqft")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    told = [check_gradients(lqft, path, text)]
    first = reports(lqft, path, "--seed", "1")
    wrong = list(reference.check_expected(text, first))
    if wrong:
        raise Failed("\n".join(wrong))
    told.append(f"{len(reference.EXPECTED.findall(text))} values")
    told.append(check_bits(lqft, path, first))
    return ", ".join(told)


TRAINED = """import nn.dense, optimizers.adam
grid P = linspace(-1, 1, 20)
network net = dense(8, tanh) >> dense(1)
loss fit = mean[p in P] (net(p) - sin(3*p))^2
{first}
report f = fit
report w = sumsq(net.weights)
{last}
"""


def check_files(lqft):
    """Saved weights are the weights, whatever the file; the start depends on the seed."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "p.lqft")

        def run(first, last, *arguments):
            with open(path, "w", encoding="utf-8") as f:
                f.write(TRAINED.format(first=first, last=last))
            return reports(lqft, path, *arguments)
        train = "minimize fit over net.weights with adam(rate = 3e-2) { steps = 500 }"
        for ending in ("safetensors", "npz", "h5"):
            trained = run(train, f'save net.weights to "w.{ending}"', "--seed", "1")
            if trained["f"]["value"] > 0.05:
                raise Failed(f"the network did not learn: {trained['f']['value']}")
            loaded = run(f'load net.weights from "w.{ending}"', "", "--seed", "2")
            if loaded != trained:
                raise Failed(f"w.{ending}: {loaded} instead of {trained}")
        if run("", "", "--seed", "1")["w"] == run("", "", "--seed", "2")["w"]:
            raise Failed("two seeds give the same weights")
    return "safetensors, npz, h5"


def main():
    options = argparse.ArgumentParser(description="layers, losses and optimizers")
    options.add_argument("--lqft", default=os.path.join(ROOT, "build", "lqft"))
    options.add_argument("-v", action="store_true")
    options.add_argument("names", nargs="*", metavar="NAME")
    o = options.parse_args()
    lqft = os.path.abspath(o.lqft)
    names = o.names or sorted(n[:-5] for n in os.listdir(MODELS) if n.endswith(".lqft"))
    jobs = [(n, check_model, (lqft, n)) for n in names] + ([] if o.names else [("files", check_files, (lqft,))])
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = [(name, pool.submit(function, *arguments)) for name, function, arguments in jobs]
        for name, future in futures:
            try:
                print(f"ok    {name}: {future.result()}")
            except (Failed, OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as problem:
                failed += 1
                print(f"FAIL  {name}: {problem}")
    print(f"{len(jobs) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
