#!/usr/bin/env python3
"""Runs the examples at the points of cases.py and compares with the known values.

    tests/physics/run.py [--quick] [--single] [--seed N] [--lqft PATH] [NAME …]

A comparison passes when |value - expected| <= 4 sigma, sigma combining the error that
lqft reports with that of the expected value.  Every error must also be at most 1 % of its
value (except where a case says `loose`, and for lists), so that passing means something.
NAME selects the cases whose name contains it.  --single runs them in single precision: the
same values are expected, since rounding moves them by far less than their errors.

False alarms: a correct program exceeds 4 sigma in one of 16000 comparisons.  The last
line but one gives the number of comparisons made and the chance that any of them does so:
about 3 % for all cases, below 1 % with --quick.  The seed is fixed, so that the outcome
of a given version on one kind of processor does not change from run to run.
"""
import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import CASES

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT = 4.0
PRECISION = 0.01


def run(lqft, case, seed, single=False):
    with tempfile.TemporaryDirectory() as folder:
        command = [lqft, "run", os.path.join(ROOT, case.file), *case.arguments.split(), *(["precision=single"] if single else []),
                   "--json", "--quiet", "--seed", str(seed), "--out", os.path.join(folder, "out")]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout)["report"]


def compare(case, report):
    """Yields (name, pull, complaint or None) for every number of a case."""
    for name, expected in case.expected.items():
        if name not in report:
            yield name, 0.0, "is not reported"
            continue
        value, error = report[name]["value"], report[name]["error"]
        several = isinstance(expected, list)
        if not several:
            expected, value, error = [expected], [value], [error]
        for k, (want, sigma) in enumerate(expected):
            label = f"{name}[{k}]" if several else name
            v, e = value[k], error[k]
            if v is None or e is None:
                yield label, 0.0, "is not a number"
                continue
            combined = math.hypot(e, sigma)
            pull = (v - want) / combined if combined > 0 else (0.0 if abs(v - want) < 1e-9 else math.inf)
            complaint = None
            if not abs(pull) <= LIMIT:
                complaint = f"= {v:.8g} +- {e:.2g}, expected {want:.8g} +- {sigma:.2g} ({pull:+.1f} sigma)"
            elif not several and name not in case.loose and e > PRECISION * abs(v):
                complaint = f"= {v:.8g} has the error {e:.2g}, more than 1 %"
            yield label, pull, complaint


def main():
    options = argparse.ArgumentParser(description="compare the examples with known values")
    options.add_argument("--quick", action="store_true", help="the cases marked quick only")
    options.add_argument("--single", action="store_true", help="in single precision")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--lqft", default=os.path.join(ROOT, "build", "lqft"))
    options.add_argument("names", nargs="*", metavar="NAME")
    o = options.parse_args()
    passed = failed = comparisons = 0
    for case in CASES:
        if o.quick and not case.quick or o.names and not any(n in case.name for n in o.names):
            continue
        start = time.monotonic()
        try:
            results = list(compare(case, run(o.lqft, case, o.seed, o.single)))
        except (RuntimeError, OSError, ValueError, KeyError, TypeError, IndexError) as problem:
            results = [("", 0.0, f"{type(problem).__name__}: {problem}")]
        complaints = [f"{name} {complaint}" for name, _, complaint in results if complaint]
        comparisons += len(results)
        worst = max(abs(pull) for _, pull, _ in results)
        passed, failed = passed + (not complaints), failed + bool(complaints)
        print(f"{'FAIL' if complaints else 'ok  '} {case.name:34} {len(results):3d} numbers, worst {worst:4.1f} sigma, "
              f"{time.monotonic() - start:5.1f} s", flush=True)
        for line in complaints:
            print(f"     {line}", flush=True)
    chance = 1 - (1 - math.erfc(LIMIT / math.sqrt(2))) ** comparisons
    print(f"{comparisons} comparisons; a correct program fails one of them with probability {chance:.3f}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
