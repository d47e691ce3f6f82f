#!/usr/bin/env python3
"""run.py: how fast the generated code is, beside what the machine can do.

    run.py [--lqft build/lqft] [--quick]

One table: the limits of a core (peak.c), leapfrog steps of phi^4 written by hand
(leapfrog.c) and generated, other models, a whole HMC step, and the time from a model file
to its first trajectory.  All times are CPU time, of one thread, so that a busy machine
matters little; runs that are compared are run in turn.  --quick asserts what is promised
and takes a few seconds."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# Promised.
SHARE = 1 / 3                  # of the hand-written leapfrog
LATENCY = 0.100                # seconds of CPU time from source to the first trajectory

PHI4 = """
import samplers.hmc
param kappa  = 0.21
param lambda = 0.022
lattice X = torus(%(shape)s)
field   phi[X] : real
action S(phi) = sum[x in X] ( -2*kappa * sum[mu in X.dirs] phi[x]*phi[x + mu]
                              + (1 - 2*lambda) * phi[x]^2 + lambda * phi[x]^4 )
sample phi ~ exp(-S(phi)) with hmc(length = %(length)g, steps = 10, integrator = leapfrog, jitter = 0, tune = false) {
  chains = 8
  warmup = 0
  draws  = 1
}
report action = E[S]
"""

XY = """
import samplers.hmc
lattice X = torus(%(shape)s)
field   theta[X] : angle
action S(theta) = -1.0 * sum[x in X, mu in X.dirs] cos(theta[x + mu] - theta[x])
sample theta ~ exp(-S(theta)) with hmc(length = %(length)g, steps = 10, integrator = leapfrog, jitter = 0, tune = false) {
  chains = 8
  warmup = 0
  draws  = 1
}
report energy = E[S]
"""


# ---- measuring ---------------------------------------------------------------------------

class Run:
    """A process: its output, and what it used."""

    def __init__(self, command):
        start = time.monotonic()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.wall = time.monotonic() - start
            self.cpu = usage.ru_utime + usage.ru_stime
            self.megabytes = usage.ru_maxrss / 1024
            out.seek(0), err.seek(0)
            self.text = out.read().decode()
            if process.returncode:
                sys.exit("%s\nfailed with %d:\n%s" % (" ".join(command), process.returncode, err.read().decode()))


def build(folder, name):
    binary = os.path.join(folder, name)
    Run([os.environ.get("CC", "gcc"), "-O3", "-march=native", os.path.join(HERE, name + ".c"), "-o", binary, "-lm"])
    return binary


class Model:
    """A model file that is run with settings from the command line."""

    def __init__(self, lqft, folder, name, text, sites, **values):
        self.command = [lqft, "run", os.path.join(folder, name + ".lqft"), "--threads", "1", "--json", "--quiet", "--seed", "1"]
        self.sites = sites
        with open(self.command[2], "w") as f:
            f.write(text % values)

    def run(self, **settings):
        return Run(self.command + ["%s=%s" % s for s in settings.items()])

    def leapfrog(self, chains, seconds=0.3):
        """Gsite-updates/s of CPU time: long trajectories less short ones, so that compiling,
        draws and energies do not count."""
        def cpu(steps):
            # short steps: the fields must not go anywhere in so many of them
            return self.run(steps=steps, length=1e-5 * steps, chains=chains).cpu
        steps = int(seconds * 3e9 / (chains * self.sites))
        return 1e-9 * chains * self.sites * steps / (cpu(steps + 10) - cpu(10))


def hand_written(binary, chains, repeats=3):
    steps = 16000 // chains
    return statistics.median(float(x) for x in Run([binary, str(chains), str(steps), str(repeats)]).text.split())


def pairs(hand, model, chains, n):
    """Both in turn: medians of the rates and of their ratio."""
    both = [(hand_written(hand, chains), model.leapfrog(chains)) for _ in range(n)]
    return (statistics.median(a for a, _ in both), statistics.median(b for _, b in both),
            statistics.median(b / a for a, b in both))


def latency(lqft, n):
    """From the start of the program to the end of a run of one warm-up step and one draw:
    the medians of CPU and wall time, of the front half, and of making code."""
    runs = [Run([lqft, "run", "examples/phi4.lqft", "chains=8", "warmup=1", "draws=1", "--threads", "1", "--json",
                 "--quiet", "--out", tempfile.gettempdir()]) for _ in range(n)]
    timing = [json.loads(r.text)["timing"] for r in runs]
    median = statistics.median
    return (median(r.cpu for r in runs), median(r.wall for r in runs),
            median(t["front"] for t in timing), median(t["compile"] for t in timing), max(r.megabytes for r in runs))


# ---- the table ------------------------------------------------------------------------------

def line(what, value, note=""):
    print("%-46s %12s   %s" % (what, value, note), flush=True)


def rate(x):
    return "%.2f G/s" % x


def limits(folder):
    fma, l1, l2, memory = (float(x) for x in Run([build(folder, "peak")]).text.split())
    line("fused multiply-add, double", "%.0f GF/s" % fma)
    line("a += s b", "%.0f GB/s" % l1, "16 KiB; 256 KiB: %.0f, 128 MiB: %.0f GB/s" % (l2, memory))
    return fma


def whole_steps(lqft, folder):
    """A step of HMC with ten leapfrog steps, and what of it is not the integrator."""
    model = Model(lqft, folder, "hmc", PHI4, 1024, shape="32, 32", length=1)
    def cpu(steps, draws):
        return (model.run(steps=steps, draws=draws, chains=8).cpu - model.run(steps=steps, draws=1, chains=8).cpu) / (draws - 1)
    ten = statistics.median(cpu(10, 1001) for _ in range(5))
    sixty = statistics.median(cpu(60, 401) for _ in range(5))
    step = (sixty - ten) / 50
    line("HMC, 10 leapfrog steps, 8 chains, L = 32", "%.0f us" % (1e6 * ten), "%.2f Gsite-updates/s" % (1e-9 * 10 * 8192 / ten))
    line("  of it 10 leapfrog steps", "%.0f us" % (1e7 * step), "%.0f %%" % (1000 * step / ten))
    line("  momenta, energies, accept, measurement", "%.0f us" % (1e6 * (ten - 10 * step)), "%.2f ns a site" % (1e9 * (ten - 10 * step) / 8192))


def table(lqft, folder):
    fma = limits(folder)
    hand = build(folder, "leapfrog")
    model = Model(lqft, folder, "phi4", PHI4, 1024, shape="32, 32", length=1)
    for chains in (8, 64):
        by_hand, made, ratio = pairs(hand, model, chains, 7)
        line("phi^4 leapfrog, L = 32, %d chains, by hand" % chains, rate(by_hand), "12 operations a site: %.0f %% of the peak" % (1200 * by_hand / fma))
        line("phi^4 leapfrog, L = 32, %d chains, generated" % chains, rate(made), "%.2f of the hand-written" % ratio)
    for name, text, shape, sites in (("phi4_4d", PHI4, "8, 8, 8, 8", 4096), ("phi4_large", PHI4, "256, 256", 65536), ("xy", XY, "32, 32", 1024)):
        other = Model(lqft, folder, name, text, sites, shape=shape, length=1)
        line("%s leapfrog, [%s], 8 chains" % (name.split("_")[0], shape), rate(statistics.median(other.leapfrog(8) for _ in range(3))))
    whole_steps(lqft, folder)
    report_latency(latency(lqft, 20))


def report_latency(measured):
    cpu, wall, front, compile_, megabytes = measured
    line("source to first trajectory, examples/phi4.lqft", "%.0f ms" % (1e3 * cpu),
         "wall %.0f ms; front %.1f, compile %.0f ms wall; %.0f MB" % (1e3 * wall, 1e3 * front, 1e3 * compile_, megabytes))


# ---- the promises -------------------------------------------------------------------------------

def insist(what, attempt, tries=4):
    """A busy machine may spoil a measurement, but not all of them."""
    for left in reversed(range(tries)):
        if attempt():
            return 0
        if left:
            time.sleep(1)
    print("FAILED: " + what)
    return 1


def quick(lqft, folder):
    hand = build(folder, "leapfrog")
    model = Model(lqft, folder, "phi4", PHI4, 1024, shape="32, 32", length=1)

    def fast():
        by_hand, made, ratio = pairs(hand, model, 8, 5)
        line("phi^4 leapfrog, L = 32, 8 chains", rate(made), "by hand %s, share %.2f" % (rate(by_hand), ratio))
        return ratio >= SHARE

    def prompt():
        measured = latency(lqft, 7)
        report_latency(measured)
        return measured[0] < LATENCY

    return insist("the generated leapfrog reaches %.2f of the hand-written one" % SHARE, fast) + \
        insist("a first trajectory within %.0f ms" % (1e3 * LATENCY), prompt)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--lqft", default=os.path.join(ROOT, "build", "lqft"))
    p.add_argument("--quick", action="store_true")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(quick(os.path.abspath(a.lqft), folder) if a.quick else table(os.path.abspath(a.lqft), folder))


if __name__ == "__main__":
    main()
