#!/usr/bin/env python3
"""Runs every program of models/ and compares its reports with the answers in its comments.

    tests/physics/models.py [--seed N] [--lqft PATH] [NAME …]

A comment `# expect NAME = VALUE ± UNCERTAINTY` demands |report - VALUE| <= 4 sigma, where
sigma combines the uncertainty with the error that lqft reports; ± 0 is an exact answer.
NAME is a report, an element such as G[2, 0] (a multi-index counts the elements of a
lattice in row-major order), or tau_int(NAME) with its own error.  An exact report must
agree to 1e-9.  The answers come from closed forms, quadrature, transfer matrices and
inverse matrices computed outside this project.

False alarms: a correct program exceeds 4 sigma in one of 16000 comparisons; the errors are
themselves estimates, which makes it about one in 5000.  The last line but one gives the
number of comparisons, a few hundred, and so a chance of a few per cent for a new seed.
The seed is fixed: the outcome of a version on one kind of processor does not change from
run to run.
"""
import argparse
import json
import math
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LIMIT = 4.0
EXPECT = re.compile(r"# expect (.+?)(?:\[([\d, ]+)\])? = (\S+) ± (\S+)$")


def expectations(path):
    """The comments of a file: (name, index or None, value, uncertainty)."""
    found = []
    with open(path, encoding="utf-8") as f:
        for line in f:
            if not line.startswith("# expect"):
                continue
            m = EXPECT.match(line.rstrip())
            if not m:
                raise ValueError(f"cannot read: {line.strip()}")
            index = tuple(int(i) for i in m[2].split(",")) if m[2] else None
            found.append((m[1], index, float(m[3]), float(m[4])))
    return found


def flat(values):
    return [x for v in values for x in flat(v)] if isinstance(values, list) else [values]


def element(values, index):
    """The element of a nested list: by its index, or by blocks of rows for lattice indices."""
    if index is None:
        return values
    deep = values
    for i in index:
        if not isinstance(deep, list):
            break
        deep = deep[i] if i < len(deep) else None
    if isinstance(deep, (int, float)):
        return deep
    numbers = flat(values)                 # the indices are sites of lattices of equal size
    size = round(len(numbers) ** (1 / len(index)))
    at = 0
    for i in index:
        at = at * size + i
    return numbers[at]


def run(lqft, path, seed):
    command = [lqft, "run", path, "--json", "--quiet", "--seed", str(seed), "--threads", "1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}: {done.stderr.strip()[-400:]}")
    result = json.loads(done.stdout)
    failed = [d["text"] for d in result["diagnostics"] if d["failed"]]
    if failed:
        raise RuntimeError(failed[0])
    return result["report"]


def compare(path, report):
    """Pulls, and complaints about those above the limit."""
    worst, complaints, number = 0.0, [], 0
    for name, index, want, sigma in expectations(path):
        tau = re.fullmatch(r"tau_int\((.+)\)", name)
        entry = report[tau[1] if tau else name]
        value = element(entry["tau_int" if tau else "value"], index)
        error = element(entry["tau_int_error" if tau else "error"], index)
        label = name + (str(list(index)) if index else "")
        number += 1
        if value is None or error is None:
            complaints.append(f"{label} is not a number")
            continue
        off, combined = abs(value - want), math.hypot(error, sigma)
        pull = 0.0 if off <= 1e-9 * max(1, abs(want)) else off / combined if combined > 0 else math.inf
        worst = max(worst, pull)
        if not pull <= LIMIT:
            complaints.append(f"{label} = {value:.8g} +- {error:.2g}, expected {want:.8g} +- {sigma:.2g} ({pull:.1f} sigma)")
    if number == 0:
        complaints.append("expects nothing")
    return number, worst, complaints


def check(lqft, path, seed):
    start = time.monotonic()
    try:
        number, worst, complaints = compare(path, run(lqft, path, seed))
    except (RuntimeError, OSError, ValueError, KeyError, TypeError, IndexError) as problem:
        number, worst, complaints = 0, math.inf, [f"{type(problem).__name__}: {problem}"]
    return path, number, worst, complaints, time.monotonic() - start


def main():
    options = argparse.ArgumentParser(description="compare small models with known answers")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--lqft", default=os.path.join(ROOT, "build", "lqft"))
    options.add_argument("names", nargs="*", metavar="NAME")
    o = options.parse_args()
    folder = os.path.join(HERE, "models")
    paths = [os.path.join(folder, f) for f in sorted(os.listdir(folder)) if f.endswith(".lqft")]
    if o.names:
        paths = [p for p in paths if any(n in os.path.basename(p) for n in o.names)]
    passed = failed = comparisons = 0
    with ThreadPoolExecutor(2) as pool:
        for path, number, worst, complaints, took in pool.map(lambda p: check(o.lqft, p, o.seed), paths):
            comparisons += number
            passed, failed = passed + (not complaints), failed + bool(complaints)
            name = os.path.basename(path)[:-len(".lqft")]
            print(f"{'FAIL' if complaints else 'ok  '} {name:34} {number:3d} numbers, worst {worst:4.1f} sigma, {took:5.1f} s", flush=True)
            for line in complaints:
                print(f"     {line}", flush=True)
    chance = 1 - (1 - math.erfc(LIMIT / math.sqrt(2))) ** comparisons
    print(f"{comparisons} comparisons; a correct program fails one of them with probability {chance:.3f}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
