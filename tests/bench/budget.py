#!/usr/bin/env python3
"""budget.py: what the generated code may cost, counted rather than timed.

    budget.py [--lqft build/lqft]

  kernels   a kick and the drift after it are one sweep over the lattice and move 32 bytes
            a site: momentum and field in, momentum and field out
  indices   no division, no remainder, no table of neighbours
  vectors   arithmetic on fields is arithmetic on vectors of eight chains, or on two at once
  links     the force on angles costs one sine for each link, though each has two ends

(That nothing allocates inside a trajectory is counted by allocations.c.)"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = ["phi4", "phi4_4d", "phi4_mass", "xy", "double_well", "oscillator", "my_sampler"]
INTEGRATED = ["phi4", "phi4_4d", "xy", "double_well"]
PAIRS = {"leapfrog": 1, "omelyan2": 2, "omelyan4": 5}     # kicks followed by a drift, in the loop
SINE = 20                                                  # flops that `lqft show` counts for one
SMALL_BYTES = 0.02                                         # of 32: numbers that belong to no site

MODEL = """
import samplers.hmc
lattice X = %(lattice)s
field phi[X] : real
action S(phi) = sum[x in X] ( %(term)s + phi[x]^2 + 0.1*phi[x]^4 )
sample phi ~ exp(-S(phi)) with hmc(length = 1, steps = 10, integrator = %(integrator)s) {
  chains = 8
  draws  = 2
}
report s = E[S]
"""
NEAREST = "-0.2*sum[mu in X.dirs] phi[x]*phi[x + mu]"
THIRD = "-0.2*sum[mu in X.dirs] phi[x]*phi[x + 3*mu]"
GENERATED = [
    ("leapfrog", "torus(8, 8)", NEAREST, "leapfrog"),
    ("omelyan4", "torus(8, 8)", NEAREST, "omelyan4"),
    ("3d", "torus(4, 6, 8)", NEAREST, "omelyan2"),
    ("odd", "torus(5, 7, 3)", NEAREST, "leapfrog"),
    ("shift3", "torus(8, 8)", THIRD, "leapfrog"),
    ("shift3_3d", "torus(5, 4, 7)", THIRD, "omelyan2"),
    ("open", "torus(6, 9; boundary = open)", NEAREST, "leapfrog"),
    ("mixed", "torus(6, 9; boundary = (open, periodic))", THIRD, "leapfrog"),
    ("antiperiodic", "torus(6, 9; boundary = (antiperiodic, periodic))", NEAREST, "leapfrog"),
]
failures = []


def fail(name, text):
    failures.append("%s: %s" % (name, text))


def show(lqft, path, what):
    """What `lqft show` prints; code of LLVM comes on stderr."""
    r = subprocess.run([lqft, "show", path, what, "--lanes", "chains"], capture_output=True, text=True, cwd=ROOT, timeout=120)
    if r.returncode:
        fail(path, "`lqft show … %s` ended with %d: %s" % (what, r.returncode, r.stderr[:300]))
        return ""
    return r.stderr if what == "llvm" else r.stdout


# ---- kernels --------------------------------------------------------------------------------

def step_loops(text):
    """Per loop of the step functions: bytes a site of each kernel in its body, and its copies."""
    loops, stack, in_step = [], [], False
    for line in text.splitlines():
        word = line.split()
        if not word:
            continue
        if word[0] == "program":
            in_step = word[1].startswith("step")
        elif not in_step:
            continue
        elif word[0] == "loop":
            stack.append({"bytes": [], "flops": [], "copies": 0})
        elif word[0] == "}":
            loops.append(stack.pop())
        elif stack and word[0] == "copy":
            stack[-1]["copies"] += 1
        elif stack and len(word) > 1 and word[1].startswith("bytes/site"):
            stack[-1]["bytes"].append(float(word[0]))
            stack[-1]["flops"].append(float(word[2]))
    return loops


def check_links(name, text, flops):
    dear = [f for loop in step_loops(text) for f in loop["flops"] if f > flops]
    if dear:
        fail(name, "%g flops a site in the integrator, more than %g" % (max(dear), flops))


def check_kernels(name, text, pairs):
    loops = step_loops(text)
    if len(loops) != 1:
        return fail(name, "%d loops in a step, expected the one of the integrator" % len(loops))
    cost = loops[0]["bytes"]
    print("%-14s %d kernels an iteration: %s bytes/site" % (name, len(cost), ", ".join("%g" % b for b in cost)))
    if len(cost) != pairs:
        fail(name, "%d kernels in the loop of the integrator, expected %d" % (len(cost), pairs))
    if any(b > 32 * (1 + SMALL_BYTES) for b in cost):
        fail(name, "more than 32 bytes a site")
    if loops[0]["copies"]:
        fail(name, "%d copies in the loop of the integrator" % loops[0]["copies"])


# ---- code -----------------------------------------------------------------------------------

def check_code(name, text):
    halves = text.split("; ---- LLVM, ")
    code = halves[-1]                     # after optimisation
    if "define" not in code or not code.startswith("optimised"):
        return fail(name, "no optimised code was printed")
    divisions = re.findall(r"^.* (?:urem|srem|udiv|sdiv|frem) .*$", text, re.M)
    if divisions:
        fail(name, "%d divisions or remainders, such as `%s`" % (len(divisions), divisions[0].strip()))
    tables = re.findall(r"^@.* constant \[\d+ x i\d+\].*$", text, re.M)
    if tables:
        fail(name, "%d tables of integers, such as `%s`" % (len(tables), tables[0][:80]))
    vector = len(re.findall(r"= f(?:add|sub|mul|div|neg) (?:\w+ )*<8 x double>|@llvm\.fma\.v8f64\(<8", code))
    scalar = re.findall(r"^.*= f(?:add|sub|mul|div|neg) (?:\w+ )*double .*$|^.*@llvm\.fma\.f64\(double.*$", code, re.M)
    scalar = [s for s in scalar if not s.startswith("declare")]
    lanes = re.findall(r"^.* (?:extractelement|insertelement) <8 x double>.*$", code, re.M)
    lanes = [s for s in lanes if "poison" not in s]        # a number spread over a vector is fine
    other = re.findall(r"<(?!8 x|16 x)\d+ x double>", code)
    print("%-14s %4d vector operations, %d scalar" % (name, vector, len(scalar)))
    if not vector:
        fail(name, "no arithmetic on vectors")
    if scalar:
        fail(name, "%d scalar operations on numbers, such as `%s`" % (len(scalar), scalar[0].strip()))
    if lanes:
        fail(name, "%d single lanes taken out of vectors, such as `%s`" % (len(lanes), lanes[0].strip()))
    if other:
        fail(name, "vectors of another width: %s" % other[0])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--lqft", default=os.path.join(ROOT, "build", "lqft"))
    lqft = os.path.abspath(p.parse_args().lqft)
    for name in EXAMPLES:
        path = os.path.join("examples", name + ".lqft")
        if name in INTEGRATED:
            check_kernels(name, show(lqft, path, "kernels"), PAIRS["omelyan2"])
        if name == "xy":
            check_links(name, show(lqft, path, "kernels"), 2 * SINE + 16)
        check_code(name, show(lqft, path, "llvm"))
    with tempfile.TemporaryDirectory() as folder:
        for name, lattice, term, integrator in GENERATED:
            path = os.path.join(folder, name + ".lqft")
            with open(path, "w") as f:
                f.write(MODEL % {"lattice": lattice, "term": term, "integrator": integrator})
            check_kernels(name, show(lqft, path, "kernels"), PAIRS[integrator])
            check_code(name, show(lqft, path, "llvm"))
    for f in failures:
        print("FAILED " + f)
    print("%d failures" % len(failures))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
