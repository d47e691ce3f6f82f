#!/usr/bin/env python3
"""cache.py: code kept on disk changes nothing but time.

    cache.py --lqft build/lqft

Every run below must print the same numbers: without a cache, when the code is made, when it
is found, when the file has been damaged in any of several ways (it is then made anew), when
the folder cannot be used, when several processes begin at once, and after other programs."""

import argparse
import json
import os
import subprocess
import sys
import tempfile

MODEL = """
import samplers.hmc
param kappa = 0.2
param L = 16
lattice X = torus(L, L)
field phi[X] : real
data table[x in X] = cos(x[0])
action S(phi) = sum[x in X] ( -2*kappa*sum[mu in X.dirs] phi[x]*phi[x + mu] + phi[x]^2 + 0.1*table[x]^2*phi[x]^4 )
sample phi ~ exp(-S(phi)) with hmc(length = 1, steps = 5) { chains = 8  warmup = 5  draws = 5 }
report action = E[S]
"""

failures = []


def check(good, what):
    print(("ok    " if good else "FAIL  ") + what)
    if not good:
        failures.append(what)


class Runs:
    def __init__(self, lqft, model):
        self.command = [lqft, "run", model, "--seed", "5", "--json", "--quiet", "--threads", "1"]

    def start(self, cache, *more):
        env = dict(os.environ, LQFT_CACHE=cache)
        return subprocess.Popen(self.command + list(more), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, process):
        out, err = process.communicate(timeout=120)
        if process.returncode:
            return "exit status %d: %s" % (process.returncode, err)
        return json.loads(out)["report"]

    def run(self, cache, *more):
        return self.finish(self.start(cache, *more))


def files(folder):
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def damage(path, how):
    with open(path, "rb") as f:
        data = bytearray(f.read())
    if how == "a byte in the middle":
        data[len(data) // 2] ^= 0x40
    elif how == "a byte of the head":
        data[20] ^= 1
    elif how == "cut short":
        data = data[:len(data) // 3]
    elif how == "longer":
        data += b"more"
    elif how == "empty":
        data = b""
    elif how == "other bytes":
        data = bytearray(os.urandom(5000))
    with open(path, "wb") as f:
        f.write(data)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--lqft", required=True)
    lqft = os.path.abspath(p.parse_args().lqft)
    with tempfile.TemporaryDirectory() as top:
        model, cache = os.path.join(top, "m.lqft"), os.path.join(top, "deep", "cache")
        with open(model, "w") as f:
            f.write(MODEL)
        runs = Runs(lqft, model)
        want = runs.run("off")
        check(isinstance(want, dict) and not files(cache), "without a cache")
        check(runs.run(cache) == want and len(files(cache)) == 1, "made, and kept in a folder that did not exist")
        path = os.path.join(cache, files(cache)[0])
        before = os.stat(path)
        check(runs.run(cache) == want, "found")
        check(os.stat(path).st_ino == before.st_ino, "and not written again")
        for how in ("a byte in the middle", "a byte of the head", "cut short", "longer", "empty", "other bytes"):
            damage(path, how)
            spoilt = os.stat(path).st_ino
            check(runs.run(cache) == want and os.stat(path).st_ino != spoilt, "damaged (%s): made anew" % how)
        other = runs.run(cache, "kappa=0.21")
        check(other != want and len(files(cache)) == 1, "another parameter is the same code, with other numbers")
        larger = runs.run(cache, "L=12")
        check(larger != want and len(files(cache)) == 2, "another extent is other code")
        check(runs.run(cache, "L=12") == larger and runs.run(cache, "kappa=0.21") == other and runs.run(cache) == want, "both are found")
        blocked = os.path.join(top, "file")
        open(blocked, "w").close()
        check(runs.run(os.path.join(blocked, "cache")) == want, "a folder that cannot be made")
        crowd = os.path.join(top, "crowd")
        check(all(r == want for r in [runs.finish(q) for q in [runs.start(crowd) for _ in range(6)]]), "six processes at once")
        check(len(files(crowd)) == 1, "leave one file")
    print("%d failures" % len(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
