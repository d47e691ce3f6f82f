#!/usr/bin/env python3
"""check.py: do the programs written by hand compute what the generated code computes?

    check.py [--lqft build/lqft] [--quick]

Each follows CHECK_STEPS steps from a start that hand.h and MODEL below define alike, and
prints a weighted sum of the fields, which any wrong neighbour, momentum or lane changes.
Both round differently, by 2^-53 (2^-24 in single precision) times a number of order one at
each of 20 steps and V sites, with weights and fields of order one: with random signs that is
2^-53 sqrt(20 V) for the sum, 1e-13 (7e-5) for the largest V, 16^4.  The bounds below are a
hundred times that; a wrong sign or neighbour changes the sum by more than 1e-2.

Also: the command that prints the table runs.  --quick leaves that out, and single precision."""

import argparse
import json
import os
import subprocess
import sys
import tempfile

from measure import HERE, ROOT, Hand, Run

BOUND = {"": 1e-11, "-DSINGLE": 7e-3}

MODEL = """import samplers.hmc
param steps = 20
lattice X = torus(%(shape)s)
def number(x) = %(number)s
data start[x in X] = sin(1 + 0.375*number(x))
data push[x in X]  = cos(0.5 + 0.109375*number(x))
data weight[x in X] = cos(0.6875*number(x))
%(body)s
## Kicks and drifts from a given start.
sampler follow(S, q; eps) {
  p = push
  repeat steps {
    p = p - eps*grad(S, q)
    q = drift(q, eps*p)
  }
  return q
}
sample phi ~ exp(-S(phi)) with follow(eps = 0.05) { chains = %(chains)d  warmup = 0  draws = 1  start = start }
report sum_ = E[sum[x in X] weight[x]*phi[x]]
"""

PHI4 = """
field phi[X] : real
action S(phi) = sum[x in X] ( -0.42 * sum[mu in X.dirs] phi[x]*phi[x + mu] + 0.956 * phi[x]^2 + 0.022 * phi[x]^4 )
"""

XY = """
field phi[X] : angle
action S(phi) = -1.0 * sum[x in X, mu in X.dirs] cos(phi[x + mu] - phi[x])
"""

# program, its definitions, the extents, chains, the model
CASES = [
    ("chains2d", "-DNV=1", (32, 32), 16, PHI4),
    ("chains2d", "-DNV=2", (32, 32), 16, PHI4),
    ("lattice2d", "-DL=64", (64, 64), 1, PHI4),
    ("lattice4d", "-DL=8 -DCHAINS", (8,) * 4, 8, PHI4),
    ("lattice4d", "-DL=16", (16,) * 4, 1, PHI4),
    ("xy", "", (32, 32), 8, XY),
    ("xy", "-DSITES", (32, 32), 8, XY),
]
DOUBLE = ("xy",)               # has no single form
# These check themselves against a scalar program, and print 1: no two programs draw alike.
ALONE = [("metropolis", ""), ("metropolis", "-DISING")]


def generated(lqft, folder, case):
    name, _, extents, chains, body = case
    number = "x[0]"
    for i, n in enumerate(extents[1:], 1):
        number = "(%s)*%d + x[%d]" % (number, n, i)
    path = os.path.join(folder, name + ".lqft")
    with open(path, "w") as f:
        f.write(MODEL % {"shape": ", ".join(map(str, extents)), "number": number, "body": body, "chains": chains})
    report = json.loads(Run([lqft, "run", path, "--json", "--quiet", "--seed", "1", "--threads", "1"]).text)["report"]
    return report["sum_"]["value"]


def compare(lqft, folder, case, bounds):
    failures, expected = 0, generated(lqft, folder, case)
    for precision, bound in bounds.items():
        if precision and case[0] in DOUBLE:
            continue
        for numbers in Hand(folder, case[0], (case[1] + " " + precision).strip()).check():
            for x in numbers:
                wrong = not abs(x - expected) <= bound
                failures += wrong
                print("%-8s %-10s %-16s %-8s %.15g, generated %.15g, apart %.1e" %
                      ("FAILED" if wrong else "ok", case[0], case[1], precision, x, expected, abs(x - expected)))
    return failures


def by_itself(folder, name, defines):
    wrong = any(numbers != [1] for numbers in Hand(folder, name, defines).check())
    print("%-8s %-10s %s" % ("FAILED" if wrong else "ok", name, defines))
    return wrong


def table(lqft):
    """A few rows that are quick, one repeat of each."""
    command = [sys.executable, os.path.join(HERE, "run.py"), "--lqft", lqft, "--repeats", "1", "limits", "chains-8", "4d-8-one", "cold"]
    r = subprocess.run(command, capture_output=True, text=True)
    print(r.stdout + r.stderr)
    wrong = r.returncode or "–" in r.stdout or r.stderr
    if wrong:
        print("FAILED the table")
    return bool(wrong)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--lqft", default=os.path.join(ROOT, "build", "lqft"))
    p.add_argument("--quick", action="store_true")
    a = p.parse_args()
    lqft, bounds = os.path.abspath(a.lqft), {"": BOUND[""]} if a.quick else BOUND
    with tempfile.TemporaryDirectory() as folder:
        failures = sum(compare(lqft, folder, case, bounds) for case in CASES) + sum(by_itself(folder, *a) for a in ALONE)
    if not a.quick:
        failures += table(lqft)
    print("%d failures" % failures)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
