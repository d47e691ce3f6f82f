#!/usr/bin/env python3
"""verdicts.py [--lqft PATH] [--seed N]: what a run says of itself, on models whose answer is known.

The tail of the force of complex Langevin dynamics for S = sigma/2 z^2 + 1/4 z^4: it falls
off fast where 3 (Re sigma)^2 > (Im sigma)^2 and Re sigma > 0 (Aarts, Giudice, Seiler, Ann.
Phys. 337 (2013) 238), and like a power elsewhere.  A correct program calls a fast tail a
power with probability below 6e-4 for each of the cases; the seed is fixed.  Also: what
`warn` says, always or in a part of the steps, and the exit status of --strict."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

INTEGRAL = """
import samplers.langevin
param re = 1
param im = 1
field z : complex
action S(z) = (re + im*1i)/2*z^2 + z^4/4
sample z ~ exp(-S(z)) with complex_langevin(step = 0.01) { chains = 64  draws = %d  warmup = 100 }
report z2 = E[z^2]
"""

WARNINGS = """
param loud = true
field x : real
sampler walk(S, q) {
  step ~ normal(0, 1)
  accept q + step with exp(S(q) - S(q + step))
  if step > 0 { warn "upwards" }
  repeat 3 { if step > 100 { warn "far" } }
  if loud { warn "loud" }
  if warmup { warn "in the warm-up" }
}
sample x ~ exp(-x^2/2) with walk() { chains = 16  draws = 1000 }
report x2 = E[x^2]
"""

failures = 0


def check(ok, what):
    global failures
    failures += not ok
    print(("ok   " if ok else "FAIL ") + what, flush=True)


def run(o, text, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.lqft")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        done = subprocess.run([o.lqft, "run", path, "--json", "--quiet", "--strict", "--seed", str(o.seed), *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode not in (0, 3):
        raise SystemExit(f"exit status {done.returncode}: {done.stderr}")
    return json.loads(done.stdout), done.returncode


def tails(o):
    for re, im, power, draws in ((1, 1, False, 4000), (1, 0.5, False, 4000), (0.5, 0.25, False, 4000), (0, 1.5, True, 8000),
                                 (0, 3, True, 4000), (-1, 2, True, 4000), (-1, 4, True, 4000)):
        result, status = run(o, INTEGRAL % draws, f"re={re}", f"im={im}")
        tail = result["sample"][0]["tails"]["force"]
        codes = {d["code"]: d["severity"] for d in result["diagnostics"]}
        right = tail["verdict"] == ("power" if power else "exponential")
        right &= codes.get("D0111") == ("failed" if power else None) and codes.get("D0110") == (None if power else "note")
        check(right and status == (3 if power else 0),
              f"sigma = {re} + {im}i: {tail['verdict']}, shape {tail['shape']:.3f}({tail['shape_error']:.3f}), status {status}")


def warnings(o):
    result, status = run(o, WARNINGS)
    texts = [d["text"] for d in result["diagnostics"] if d["code"] == "D0109"]
    check(status == 0, "warnings do not fail a run")
    check(any("loud" in t and "%" not in t for t in texts), "a warning that always holds")
    check(any("upwards" in t and 45 < float(t.split(" in ")[1].split()[0]) < 55 for t in texts), "a warning in half of the steps")
    check(len(texts) == 2, f"nothing else is said: {texts}")
    result, _ = run(o, WARNINGS, "loud=false")
    texts = [d["text"] for d in result["diagnostics"] if d["code"] == "D0109"]
    check(len(texts) == 1 and "loud" not in texts[0], "a warning whose condition is known not to hold")


def main():
    options = argparse.ArgumentParser(description="what runs say of themselves")
    options.add_argument("--lqft", default=os.path.join(ROOT, "build", "lqft"))
    options.add_argument("--seed", type=int, default=1)
    o = options.parse_args()
    tails(o)
    warnings(o)
    print("all checks passed" if not failures else f"{failures} checks failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
