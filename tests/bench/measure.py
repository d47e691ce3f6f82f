"""measure.py: programs that are run to see how long they take.

Times are CPU time where one thread is meant, so that a busy machine matters little, and the
clock on the wall where the gain by several threads is."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


class Failed(Exception):
    """A program that did not end well, or is not there."""


class Run:
    """A process: its output, and what it used."""

    def __init__(self, command, cores=None, env=None):
        start = time.monotonic()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT, env=env)
            if cores:
                os.sched_setaffinity(process.pid, cores)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.wall = time.monotonic() - start
            self.cpu = usage.ru_utime + usage.ru_stime
            self.megabytes = usage.ru_maxrss / 1024
            out.seek(0), err.seek(0)
            self.text = out.read().decode()
            if process.returncode:
                raise Failed("%s\nended with %d:\n%s" % (" ".join(command), process.returncode, err.read().decode()))

    def numbers(self):
        return [[float(x) for x in line.split()] for line in self.text.splitlines()]


# ---- by hand ------------------------------------------------------------------------------

def compilers():
    """What may be here, by default both: the faster program counts."""
    names = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang-19"]
    return [n for n in names if any(os.access(os.path.join(d, n), os.X_OK) for d in os.environ["PATH"].split(":")) or os.path.isabs(n)]


class Hand:
    """A program written by hand, with its definitions and its arguments; of each compiler's
    code the faster counts."""

    built = {}

    def __init__(self, folder, name, defines="", arguments=""):
        self.arguments = arguments.split()
        self.binaries = [self.build(folder, name, defines, c) for c in compilers()]
        if not self.binaries:
            raise Failed("no C compiler")

    @classmethod
    def build(cls, folder, name, defines, compiler):
        key = (name, defines, compiler)
        if key not in cls.built:
            binary = os.path.join(folder, "%s-%d" % (name, len(cls.built)))
            Run([compiler, "-std=gnu17", "-O3", "-march=native", *defines.split(), os.path.join(HERE, name + ".c"), "-o", binary, "-lm"])
            cls.built[key] = binary
        return cls.built[key]

    def all(self, repeats=1):
        return Run([self.binaries[0], "rate", str(repeats), *self.arguments]).numbers()

    def rate(self):
        """One repeat.  The first call decides between the compilers."""
        if len(self.binaries) > 1:
            trial = {b: max(x[0] for x in Run([b, "rate", "3", *self.arguments]).numbers()) for b in self.binaries}
            self.binaries = [max(trial, key=trial.get)]
        return self.all()[0][0]

    def check(self):
        """By compiler, the numbers that everybody must find."""
        return [[float(x) for x in Run([b, "check"]).text.split()] for b in self.binaries]


# ---- generated ----------------------------------------------------------------------------

FASTEST = 16                                 # Gsite-updates/s of no core


class Model:
    """A model file that is run with settings from the command line."""

    def __init__(self, lqft, folder, name, text, sites, **settings):
        self.lqft, self.sites, self.settings = lqft, sites, settings
        self.path = os.path.join(folder, name + ".lqft")
        self.guess = 0.2
        with open(self.path, "w") as f:
            f.write(text)

    def run(self, threads=1, **settings):
        given = {**self.settings, **settings}
        return Run([self.lqft, "run", self.path, "--threads", str(threads), "--json", "--quiet", "--seed", "1"] +
                   ["%s=%s" % s for s in given.items()])

    def seconds(self, clock, threads=1, **settings):
        return json.loads(self.run(threads, **settings).text)["timing"][clock]

    def per_second(self, name, few, updates, seconds, clock="sampling_cpu", **settings):
        """Gsite-updates/s: of many rounds less a few, so that what comes once does not
        count.  `name` is the setting that says how many, `updates` the site updates of one."""
        once = self.seconds(clock, **{name: few}, **settings)
        # Where the start takes long, and not always as long, the rounds take longer.
        rounds = max(2 * few, int(max(seconds, 4 * once) * self.guess * 1e9 / updates))
        many = self.seconds(clock, **{name: few + rounds}, **settings)
        rate = 1e-9 * updates * rounds / max(many - once, 1e-6)
        self.guess = min(rate, FASTEST)      # a start that took its time must not make the next run endless
        return rate

    def leapfrog(self, chains, seconds=0.3, clock="sampling_cpu", threads=1):
        """Long trajectories less short ones, of steps so short that the fields go nowhere."""
        return self.steady(lambda t: self.per_second("n", 10, chains * self.sites, t, clock, chains=chains, threads=threads), seconds)

    def hmc(self, chains, seconds=0.3, steps=10):
        """Whole steps of a sampler: many draws less a few."""
        return self.steady(lambda t: self.per_second("thin", 2, chains * self.sites * steps, t, chains=chains), seconds)

    def steady(self, measure, seconds):
        """The first time, only to learn how many rounds make so many seconds."""
        if self.guess == 0.2:
            for t in (0.02, 0.1):
                measure(t)
        return measure(seconds)

    def show(self, what, **settings):
        given = {**self.settings, **settings}
        return Run([self.lqft, "show", self.path, what] + ["%s=%s" % s for s in given.items()]).text


# ---- statistics -----------------------------------------------------------------------------

class Sample:
    """Repeats of one measurement."""

    def __init__(self, values):
        self.taken, self.values = values, sorted(values)
        self.median = statistics.median(values)
        self.n = len(values)

    def spread(self):
        """Half the distance between the quartiles, in parts of the median."""
        if self.n < 4:
            return (self.values[-1] - self.values[0]) / 2 / self.median
        low, _, high = statistics.quantiles(self.values, n=4)
        return (high - low) / 2 / self.median


def in_turn(measures, n):
    """The measurements one after the other, n times over: a Sample of each, and of the
    ratio of each to the first."""
    rounds = [[m() for m in measures] for _ in range(n)]
    return [Sample(list(c)) for c in zip(*rounds)], [Sample([r[i] / r[0] for r in rounds]) for i in range(len(measures))]
