#!/usr/bin/env python3
"""lqft build: executables and shared libraries against `lqft run`.

    tests/build/run.py [--lqft PATH] [-v] [NAME …]

Same         every example, and random settings: the same JSON and the same files
Open         --open: values that decide about the code
Settings     --help; names and values that are refused
File         what is linked, the size, the time of a start, without HDF5 and OpenBLAS
Damage       truncated files, flipped bits
Directories  runs that are killed, resumed by the other program, reported
Portable     every variant of the code that this processor can run
Library      draw.c, draw.py, library.c: numbers, gradients, wrong uses, a sanitizer, valgrind
Hostile      places that cannot be written, models with errors

What is not installed (h5py, NumPy, valgrind, the address sanitizer) is left out, which -v shows.  The last
lines are the counts of what was compared.
"""
import collections
import concurrent.futures
import ctypes
import glob
import importlib.util
import json
import math
import os
import random
import re
import resource
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import script

ROOT = script.ROOT
LQFT = script.path("--lqft", "build/lqft")
HERE = os.path.dirname(os.path.abspath(__file__))
HEADERS = os.path.join(ROOT, "runtime", "standalone")
COUNTS = collections.Counter()

# What is set when it is built, and when it is run: small.
FEW = "draws=20 warmup=5 chains=8"
EXAMPLES = {
    "complex_langevin": ("step=0.02", FEW),
    "critical": ("steps=3", "draws=10 warmup=5 chains=8 lambda=0.03"),
    "double_well": ("N=12 steps=6", FEW + " T=6"),
    "ising": ("L=8 sweeps=2", FEW + " beta=0.4"),
    "ising_classify": ("L=4", "warmup=5 thin=1"),
    "langevin": ("L=4", FEW + " kappa=0.2"),
    "my_sampler": ("L=4", FEW + " kappa=0.2 eps=0.4"),
    "null_modes": ("L=10 n=40", "alpha=1e-5"),
    "oscillator": ("N=12 steps=6", FEW + " T=6 thin=2"),
    "phi4": ("L=6 steps=6", FEW + " kappa=0.2 jitter=0.3"),
    "phi4_4d": ("L=4 steps=4", FEW + " kappa=0.1"),
    "phi4_mass": ("L=6 steps=4", FEW + " m2=0.7"),
    "spectral_bayes": ("", "noise=1e-3"),
    "spectral_cases": ("steps=20", "noise=1e-3"),
    "spectral_gp": ("", "noise=1e-3"),
    "spectral_list": ("steps=20 noise=1e-3", ""),
    "spectral_nn": ("steps=20", ""),
    "spectral_nnp2p": ("steps=20", ""),
    "supervised_inverse": ("steps=20", "noise=1e-2"),
    "tempering": ("L=4 steps=4", FEW),
    "unet": ("L=8 steps=10", "draws=16 warmup=5 strength=0.4"),
    "xy": ("L=4 steps=4", FEW + " beta=0.9"),
    "xy_metropolis": ("L=4 sweeps=2", FEW + " beta=0.9"),
}

MODEL = """import samplers.hmc
## How far the lattice extends.
param L = 4
## The hopping parameter,
## of nearest neighbours.
param kappa = 0.2 in (0, 1)
param lambda = 0.022 in [0, inf)
param half = kappa/2
param even = true
lattice X = torus(L, L)
field phi[X] : real
action S(phi) = sum[x in X] ((1 - 2*lambda)*phi[x]^2 + lambda*phi[x]^4 + half*phi[x]^2/10 - 2*kappa*sum[mu in X.dirs] phi[x]*phi[x + mu])
observable M(phi) = mean[x in X] phi[x]
sample phi ~ exp(-S(phi)) with hmc(length = 1, steps = 4) { chains = 8  warmup = 20  draws = 30 }
report chi2 = volume(X)*E[M^2]
report other = if even then E[abs(M)] else E[M^4]
save M to "m.npy"
save chi2, other to "results.csv"
plot history(M)
"""

# All kinds of fields.
FIELDS = """import samplers.hmc
param L = 4
param a = 1 in (0, 10)
param b = a/2
lattice X = torus(L, L)
field phi[X] : real
field z[X] : complex
field r[X] : positive
action S(phi, z, r) = sum[x in X] (a*phi[x]^2 + b*phi[x]^4 + abs(z[x])^2 + a*r[x]^2 + r[x]*phi[x]^2 - sum[mu in X.dirs] (phi[x]*phi[x + mu] + Re(z[x]*conj(z[x + mu])))/4)
sample phi, z, r ~ exp(-S(phi, z, r)) with hmc(length = 1, steps = 6) { chains = 3  warmup = 10  draws = 7  thin = 2 }
report s = E[S]
save phi to "phi.npy"
save z to "z.npy"
save r to "r.npy"
"""

# A minimisation after a sample, for runs that are interrupted.
LONG = MODEL.replace("draws = 30", "draws = 60000")
TIMES = {"seconds", "warmup_seconds", "compile_seconds", "timing"}
NOT_COMPARED = {"run.json", "log.jsonl", "lock", "checkpoint", "measurements.h5", "summary.json", "report.html"}


def have(module):
    return importlib.util.find_spec(module) is not None


def call(*command, seconds=120, **more):
    more.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([str(c) for c in command], stderr=subprocess.PIPE, timeout=seconds, **more)


def text_of(done):
    return (done.stdout or b"").decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")


def numbers(value):
    """A result without times; of files the last part of the name."""
    if isinstance(value, dict):
        return {k: [os.path.basename(f) for f in v] if k == "files" else numbers(v) for k, v in value.items() if k not in TIMES}
    return [numbers(v) for v in value] if isinstance(value, list) else value


def leaves(value):
    if isinstance(value, dict):
        return sum(leaves(v) for v in value.values())
    return sum(leaves(v) for v in value) if isinstance(value, list) else isinstance(value, (int, float)) and not isinstance(value, bool)


class Place(unittest.TestCase):
    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        cls.folder = os.path.realpath(tempfile.mkdtemp(prefix="lqft-build-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.made = {}

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return self.path(name)

    def model(self, text=MODEL, name="model.lqft"):
        return self.write(name, text)

    def good(self, *command, **more):
        done = call(*command, **more)
        self.assertEqual(done.returncode, 0, f"{command}\n{text_of(done)[-1500:]}")
        return done

    def build(self, model, *arguments):
        """The executable of a model, made once."""
        key = (model, arguments)
        if key not in self.made:
            out = self.path(f"program{len(self.made)}" + (".so" if "--shared" in arguments else ""))
            self.good(LQFT, "build", model, *arguments, "-o", out)
            self.made[key] = out
            COUNTS["built"] += 1
        return self.made[key]

    def built(self, text=MODEL, *arguments):
        return self.build(self.model(text, f"model{abs(hash(text)) % 10**6}.lqft"), *arguments)

    def result(self, *command, **more):
        return numbers(json.loads(self.good(*command, "--json", "--quiet", **more).stdout))

    def same(self, model, built, given, out=True, executable=None):
        """An executable and `lqft run` print and write the same."""
        program = executable or self.build(model, *built)
        folders = [tempfile.mkdtemp(dir=self.folder) for _ in range(2)]
        where = [["--out", f] if out else [] for f in folders]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            done = [pool.submit(self.result, *c, cwd=f) for c, f in
                    (((program, *given, *where[0]), folders[0]), ((LQFT, "run", model, *built, *given, *where[1]), folders[1]))]
        one, two = (d.result() for d in done)
        self.assertEqual(one, two, f"{os.path.basename(model)} {built} {given}")
        COUNTS["numbers"] += leaves(two)
        COUNTS["runs"] += 1
        if out:
            self.same_files(*folders)
        return two

    def same_files(self, one, two):
        names = sorted(os.listdir(one))
        self.assertEqual(names, sorted(os.listdir(two)))
        for name in names:
            if name in NOT_COMPARED:
                continue
            with open(os.path.join(one, name), "rb") as a, open(os.path.join(two, name), "rb") as b:
                self.assertEqual(a.read(), b.read(), name)
            COUNTS["files"] += 1
        with open(os.path.join(one, "summary.json")) as a, open(os.path.join(two, "summary.json")) as b:
            self.assertEqual(numbers(json.load(a)), numbers(json.load(b)))
        if have("h5py"):
            self.same_measurements(os.path.join(one, "measurements.h5"), os.path.join(two, "measurements.h5"))

    def same_measurements(self, one, two):
        import h5py
        self.assertEqual(os.path.exists(one), os.path.exists(two))
        if not os.path.exists(one):
            return
        with h5py.File(one, "r", swmr=True) as a, h5py.File(two, "r", swmr=True) as b:
            names = []
            a.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) and name != "identity" else None)   # of the file
            for name in names:
                self.assertEqual(a[name][()].tobytes(), b[name][()].tobytes(), name)
                COUNTS["datasets"] += 1

    def refused(self, status, pattern, *command, **more):
        more.setdefault("cwd", self.folder)
        done = call(*command, **more)
        said = done.stderr.decode("utf-8", "replace")
        self.assertEqual(done.returncode, status, f"{command}\n{text_of(done)[-800:]}")
        self.assertRegex(said, pattern)
        COUNTS["refused"] += 1
        return said


class Same(Place):
    def example(self, name):
        built, given = EXAMPLES[name]
        return self.same(os.path.join(ROOT, "examples", name + ".lqft"), built.split(), given.split() + ["--seed", "5"])

    def test_some(self):
        for name in ("phi4", "complex_langevin", "spectral_nn"):
            with self.subTest(name):
                self.example(name)
                COUNTS["examples"] += 1

    def test_examples(self):
        found = {os.path.basename(p)[:-5] for p in glob.glob(os.path.join(ROOT, "examples", "*.lqft"))}
        self.assertEqual(found, set(EXAMPLES), "EXAMPLES has all of examples/*.lqft")
        for name in sorted(found):
            with self.subTest(name):
                self.example(name)
                COUNTS["examples"] += 1

    def settings(self, many):
        r = random.Random(1)
        model = self.model()
        programs = {even: self.build(model, f"even={even}") for even in ("true", "false")}
        phi4 = os.path.join(ROOT, "examples", "phi4.lqft")
        for _ in range(many):
            even = r.choice(("true", "false"))
            given = [f"kappa={r.uniform(0.01, 0.24)!r}", f"lambda={r.choice((0, 0.022, 1e-300, 0.5))}", f"length={r.uniform(0.2, 2):.3g}",
                     f"jitter={r.choice((0, 0.1, 0.5))}", f"chains={r.choice((1, 2, 5, 8, 9, 17, 33))}", f"draws={r.choice((2, 3, 20))}",
                     f"warmup={r.choice((0, 1, 10))}", f"thin={r.choice((1, 3))}", f"half={r.uniform(-1, 1)!r}"]
            given = r.sample(given, r.randrange(len(given) + 1)) + ["--seed", str(r.choice((0, 1, 2**32 - 1, r.randrange(2**32)))), "--threads", str(r.choice((1, 2, 3)))]
            self.same(model, [f"even={even}"], given, executable=programs[even], out=r.random() < 0.5)
        # another value at the build: the same numbers where it is set at the start
        other = self.build(phi4, "L=4", "kappa=0.1", "draws=7", "chains=3")
        one = self.build(phi4, "L=4")
        self.assertEqual(self.result(other, "kappa=0.2", "warmup=3", "--seed", "3", cwd=self.folder),
                         self.result(one, "kappa=0.2", "draws=7", "chains=3", "warmup=3", "--seed", "3", cwd=self.folder))
        self.same(phi4, ["L=4", "precision=single"], ["draws=5", "warmup=5", "chains=9", "--seed", "1", "kappa=0.19"])

    def test_settings_few(self):
        self.settings(6)

    def test_settings(self):
        self.settings(60)


class Settings(Place):
    def test_help(self):
        text = self.good(self.built(), "--help").stdout.decode()
        for line in ("  L=4    real\n      How far the lattice extends.\n      fixed: the extent of a lattice must be known when it is compiled\n",
                     "  kappa=0.2    real in (0, 1)\n      The hopping parameter,\n      of nearest neighbours.\n  lambda=0.022    real in [0, inf)\n",
                     "  half=0.1    real\n", "  even=true    truth value\n      fixed: truth values decide what is compiled\n",
                     "  length=1    option of a method\n",
                     "  steps=4    option of a method\n      fixed: a number of repetitions must be known when it is compiled\n",
                     "  chains=8    independent chains of each sample\n", "  warmup=20    ", "  draws=30    ", "  thin=1    "):
            self.assertIn(line, text)
            COUNTS["lines of --help"] += 1
        self.assertNotIn("LQFT_CPU", text)
        text = self.good(self.built(MODEL, "kappa=0.125", "draws=9"), "--help").stdout.decode()
        self.assertIn("  kappa=0.125    real", text)
        self.assertIn("  draws=9    ", text)
        for option in re.findall(r"(?m)^  (--[a-z-]+)", text):
            if option not in ("--help", "--report"):         # `lqft report` is a command
                self.assertIn(option, text_of(self.good(LQFT, "run", "--help")), option)

    def test_refused(self):
        program = self.built()
        for arguments, pattern in (
                ("kapa=0.2", "there is nothing called `kapa`; did you mean `kappa`\\?"),
                ("lenght=2", "did you mean `length`"), ("drows=2", "did you mean `draws`"), ("Kappa=0.1", "did you mean `kappa`"),
                ("nosuchthing=1", "there is nothing called `nosuchthing`; there are chains .* kappa"),
                ("kappa=1", "`kappa` = 1 lies outside its bounds \\(0, 1\\)"), ("kappa=0", "outside its bounds"), ("kappa=-0.5", "outside its bounds"),
                ("lambda=-1e-9", "outside its bounds \\[0, inf\\)"),
                ("kappa=abc", "`kappa` is a finite number, not `abc`"), ("kappa=", "finite number"), ("kappa=nan", "finite number"), ("kappa=inf", "finite number"),
                ("kappa=1e999", "finite number"), ("kappa=0.2x", "finite number"), ("kappa=\n0.2", "finite number"),
                ("kappa=0.1 kappa=0.2", "`kappa` is given twice"), ("chains=2 --chains 3", "`chains` is given twice"), ("kappa=0.1 kappa=0.1", "given twice"),
                ("L=5", "`L` is 4 in this executable, and cannot be 5: the extent of a lattice must be known when it is compiled"),
                ("steps=5", "`steps` is 4 in this executable, and cannot be 5: a number of repetitions"),
                ("even=false", "`even` is true in this executable: a truth value decides what is compiled"), ("even=perhaps", "truth value"),
                ("chains=0", "whole number from 1"), ("chains=2.5", "whole number"), ("draws=0", "whole number"), ("warmup=-1", "whole number"), ("thin=x", "whole number"),
                ("chains=99999999999999999999", "whole number"),
                ("--nosuch", "there is no option --nosuch"), ("--seed", "--seed needs a value"), ("--seed -1", "a seed is a whole number"),
                ("--seed 4294967296", "a seed is"), ("--threads 0", "a number of threads"), ("--color blue", "--color is"), ("--max-time soon", "a time is"),
                ("--chains", "--chains needs a value"), ("--resume", "which one\\? --out DIR"), ("something", "what is `something`\\?"), ("=3", "what is `=3`\\?")):
            with self.subTest(arguments):
                self.refused(2, pattern, program, *re.split(" ", arguments))
        # what it has may be said
        self.good(program, "L=4", "steps=4", "even=true", "draws=2", "--quiet", cwd=self.folder)

    def test_kept(self):
        """Not more configurations are kept than there are."""
        text = MODEL.replace("report chi2", "axis N = 40\nkeep c[N] = phi\nreport chi2").replace('save M to "m.npy"\n', "") + "report last = mean[n in N] mean[x in X] c[n, x]^2\n"
        model = self.model(text, "kept.lqft")
        program = self.build(model)
        self.same(model, [], ["chains=2", "draws=20", "--seed", "1"])
        self.refused(2, "`c` keeps 40 configurations, and the sample has 38", program, "chains=2", "draws=19")
        self.refused(1, "E0338", LQFT, "run", model, "chains=2", "draws=19")


NO_DLOPEN = r"""#include <stdio.h>
void *dlopen(const char *name, int flags) { (void)flags; fprintf(stderr, "asked for %s\n", name ? name : "itself"); return NULL; }
char *dlerror(void) { return "dlopen was refused"; }
"""


class Open(Place):
    """--open: code for several values of what decides about it."""
    OPEN = ("--open", "L=4,6", "--open", "even=true,false", "--open", "steps=3,2")

    def test_each(self):
        model = self.model()
        program = self.build(model, *self.OPEN)
        for extent in ("4", "6"):
            for even in ("true", "false"):
                self.same(model, [], [f"L={extent}", f"even={even}", "steps=2", "kappa=0.15", "--seed", "3"], executable=program)
        self.assertEqual(self.result(program, "--seed", "3", cwd=self.folder), self.result(LQFT, "run", model, "steps=3", "--seed", "3", cwd=self.folder))
        self.assertEqual(self.result(program, "L=6.0", "steps=2e0", "--seed", "3", cwd=self.folder),
                         self.result(LQFT, "run", model, "L=6", "steps=2", "--seed", "3", cwd=self.folder))
        text = self.good(program, "--help").stdout.decode()
        for line in ("  L=4    real\n      How far the lattice extends.\n      one of 4, 6: there is code for each\n", "      one of true, false: there is code for each\n",
                     "  steps=3    option of a method\n      one of 3, 2: there is code for each\n"):
            self.assertIn(line, text)

    def test_refused(self):
        program = self.built(MODEL, *self.OPEN)
        for argument, pattern in (("L=5", "`L` is one of 4, 6 in this executable"), ("L=", "one of 4, 6"), ("even=no", "`even` is one of true, false"), ("steps=4", "one of 3, 2"),
                                  ("L=x", "one of 4, 6"), ("kapa=1", "did you mean `kappa`")):
            self.refused(2, pattern, program, argument)
        model = self.model()
        for arguments, pattern in ((("--open", "L"), "--open is followed by name=value"), (("--open", "L="), "a value is missing"), (("--open", "L=4,,6"), "a value is missing"),
                                   (("--open", "L=4,4"), "`4` is given twice"), (("--open", "L=4", "--open", "L=6"), "`L` is open twice"), (("--open", "L=4,6", "L=4"), "`L` is open, and has a value"),
                                   (("--open", "K=4,6"), "no parameter or option called `K`"), (("--open", "=4"), "--open is followed by"),
                                   (("--open", "L=4,6", "--shared"), "a library has one value"),
                                   (("--open", "L=" + ",".join(map(str, range(2, 11))), "--open", "steps=" + ",".join(map(str, range(2, 11)))), "more than 64")):
            self.refused(2, pattern, LQFT, "build", model, *arguments, "-o", self.path("none"))
        self.refused(1, "E0201", LQFT, "build", model, "--open", "L=4,x", "-o", self.path("none"))
        self.assertFalse(os.path.exists(self.path("none")))

    def test_resumed(self):
        """The run in a directory knows which code it is of."""
        program = self.build(self.model(), *self.OPEN)
        out = self.path("open run")
        given = ("L=6", "steps=2", "--seed", "5")
        self.refused(75, "interrupted", program, *given, "--out", out, "--max-time", "1e-9", cwd=self.folder)
        again = self.result(program, "--out", out, "--resume", cwd=self.folder)
        self.assertEqual(again["params"]["L"], 6)
        self.assertEqual(again["report"], self.result(LQFT, "run", self.model(), *given, cwd=self.folder)["report"])
        self.refused(65, "other parameters", program, "L=4", "--out", out, "--resume", cwd=self.folder)

    def test_damaged(self):
        """A flip in any of the payloads is found, whichever is asked for."""
        with open(self.built(MODEL, *self.OPEN), "rb") as f:
            data = f.read()
        r, ends, payloads = random.Random(5), len(data), []
        while ends:
            at, size, before = struct.unpack("<QQQ", data[ends - TAIL:ends - TAIL + 24])
            payloads.append((at, ends))
            ends = before
        self.assertEqual(len(payloads), 8)
        for lo, hi in payloads:
            for _ in range(4):
                bad = bytearray(data)
                bad[r.randrange(lo, hi)] ^= 1 << r.randrange(8)
                path = self.write("damaged", bytes(bad))
                os.chmod(path, 0o755)
                self.refused(70, "damaged|not complete|no program was built", path, "draws=2", cwd=self.folder)
                os.unlink(path)
                COUNTS["damaged"] += 1


class File(Place):
    def test_linked(self):
        program = self.built()
        allowed = {"linux-vdso.so.1", "libm.so.6", "libc.so.6", "ld-linux-x86-64.so.2"}
        linked = {os.path.basename(w) for w in re.findall(r"(?m)^\s+(\S+)", self.good("ldd", program).stdout.decode())}
        with open(os.path.join(os.path.dirname(LQFT), "CMakeCache.txt"), encoding="utf-8") as f:
            archives = len(re.findall(r"(?m)^(?:JANSSON|ZLIB)_STATIC:[^=]*=.*\.a$", f.read())) == 2
        self.assertEqual(linked - allowed - (set() if archives else {"libjansson.so.4", "libz.so.1"}), set())
        shared = {os.path.basename(w) for w in re.findall(r"(?m)^\s+(\S+)", self.good("ldd", self.built(MODEL, "--shared")).stdout.decode())}
        self.assertEqual(shared - allowed - {"libjansson.so.4", "libz.so.1"}, set())

    def test_size(self):
        sizes = {"model": os.path.getsize(self.built())}
        for name in ("phi4", "spectral_gp"):
            sizes[name] = os.path.getsize(self.build(os.path.join(ROOT, "examples", name + ".lqft"), *EXAMPLES[name][0].split()))
        print(", ".join(f"{n} {s/1e6:.2f} MB" for n, s in sizes.items()))
        for name, size in sizes.items():
            self.assertLess(size, 3e6, name)
        self.assertLess(sizes["model"], 1.5e6)

    def test_all_sizes(self):
        for name, (built, _) in EXAMPLES.items():
            self.assertLess(os.path.getsize(self.build(os.path.join(ROOT, "examples", name + ".lqft"), *built.split())), 3e6, name)

    def test_start(self):
        """Processor time is that of this program; the clock also counts what others do: its fastest."""
        program = self.built()
        for arguments in (["--help"], ["draws=1", "warmup=0", "chains=1", "--quiet", "--threads", "1", "--seed", "1"]):
            wall, cpu = [], []
            for _ in range(30):
                before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
                self.good(program, *arguments, cwd=self.folder)
                wall.append(time.perf_counter() - begin)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            what = "--help" if len(arguments) == 1 else "one draw"
            print(f"{what}: wall clock {1e3*min(wall):.1f} ms, median {1e3*statistics.median(wall):.1f}; processor {1e3*statistics.median(cpu):.1f} ms")
            self.assertLess(min(wall), 0.01, what)
            self.assertLess(statistics.median(cpu), 0.01, what)

    def without(self):
        """An environment in which no library can be loaded at run time."""
        if not shutil.which("cc"):
            self.skipTest("there is no C compiler")
        library = self.path("refuse.so")
        self.good("cc", "-shared", "-fPIC", self.write("refuse.c", NO_DLOPEN), "-o", library)
        return dict(os.environ, LD_PRELOAD=library)

    def test_without_libraries(self):
        env = self.without()
        program = self.built()
        arguments = ("--quiet", "--json", "--seed", "1")
        usual = self.good(program, *arguments, cwd=self.folder)
        done = self.good(program, *arguments, cwd=self.folder, env=env)
        self.assertEqual(numbers(json.loads(done.stdout)), numbers(json.loads(usual.stdout)))
        self.assertNotIn(b"asked for", done.stderr)
        # run directories need HDF5: that is said, and the results are printed
        done = call(program, *arguments, "--out", self.path("without"), env=env)
        self.assertEqual(done.returncode, 73, text_of(done))
        self.assertRegex(done.stderr.decode(), r"asked for libhdf5(.|\n)*the library for HDF5 is not installed")
        # linear algebra needs OpenBLAS
        program = self.build(os.path.join(ROOT, "examples", "spectral_gp.lqft"))
        done = call(program, *arguments, cwd=self.folder, env=env)
        self.assertEqual(done.returncode, 70, text_of(done))
        self.assertRegex(done.stderr.decode(), r"asked for libopenblas(.|\n)*linear algebra needs libopenblas\.so\.0; install the package libopenblas0")
        self.assertEqual(done.stdout, b"")
        # and so says `lqft run`
        done = call(LQFT, "run", os.path.join(ROOT, "examples", "spectral_gp.lqft"), "--device", "interp", *arguments, "--out", self.path("no gp"), env=env)
        self.assertEqual(done.returncode, 70, text_of(done))
        self.assertRegex(done.stderr.decode(), r"linear algebra needs libopenblas\.so\.0")
        self.assertEqual(done.stdout, b"")
        COUNTS["without libraries"] += 4


TAIL = 40                       # at, size, before, hash, mark


class Damage(Place):
    MESSAGE = r"^damaged: .*: (its contents are damaged|it is not complete|no program was built into it|it was built by another version|cannot read it)"

    def setUp(self):
        self.program = self.built(MODEL, "kappa=0.17")
        with open(self.program, "rb") as f:
            self.bytes = f.read()
        self.at, self.size = struct.unpack("<QQ", self.bytes[-TAIL:-TAIL + 16])
        self.assertEqual(self.at + self.size + TAIL, len(self.bytes))
        self.expected = self.run_bytes(self.bytes).stdout

    def run_bytes(self, data, name="damaged"):
        # never open for writing when another process is started
        path = self.path(name)
        with open(path + ".new", "wb") as f:
            f.write(data)
        os.chmod(path + ".new", 0o755)
        os.replace(path + ".new", path)
        return call(path, "draws=2", "warmup=0", "--quiet", "--seed", "1", "--threads", "1", cwd=self.folder)

    def table(self, done):
        return re.sub(rb", [^,\n]* trajectories/s", b"", done)

    def try_one(self, data, what):
        done = self.run_bytes(data)
        self.assertEqual(done.returncode, 70, f"{what}: {text_of(done)[-300:]}")
        self.assertRegex(done.stderr.decode("utf-8", "replace"), self.MESSAGE, what)
        self.assertEqual(done.stdout, b"", what)
        COUNTS["damaged"] += 1

    def flips(self, many):
        r = random.Random(2)
        head = 16 + sum(struct.unpack("<QQ", self.bytes[self.at:self.at + 16]))
        end = len(self.bytes)
        for i in range(many):
            # the head, code and constants, the tail
            lo, hi = ((self.at, self.at + head), (self.at + head, end - TAIL), (end - TAIL, end))[i % 3 if i % 9 else 0]
            data = bytearray(self.bytes)
            where, bit = r.randrange(lo, hi), r.randrange(8)
            data[where] ^= 1 << bit
            self.try_one(bytes(data), f"bit {bit} of byte {where - self.at} of the payload")
        for i in range(many // 2):
            size = r.randrange(self.at + 1, end) if i else end - 1
            self.try_one(self.bytes[:size], f"{size} bytes of {end}")
        for i in range(many // 10):
            at = r.randrange(self.at, end - TAIL - 100)
            data = bytearray(self.bytes)
            data[at:at + 100] = r.randbytes(100)
            self.try_one(bytes(data), f"100 bytes at {at}")

    def test_few(self):
        self.flips(60)

    def test_many(self):
        self.flips(900)

    def test_tails(self):
        """Sizes that overflow, that lie beyond the file, or are none."""
        end = len(self.bytes)
        mark = self.bytes[-8:]
        for at, size in ((end - 8, 2**64 - 24), (end, 2**64 - TAIL), (2**64 - 1, end), (2**63, 2**63), (end - TAIL, 0), (0, 2**64 - 1), (0, end - TAIL), (end - TAIL - 4, 4)):
            self.try_one(self.bytes[:-TAIL] + struct.pack("<QQQQ", at, size, 0, 0) + mark, f"tail {at} {size}")
        self.try_one(self.bytes + b"\0", "a byte more")
        with open(self.program, "rb") as f:
            self.try_one(f.read()[:self.at], "the carrier alone")

    def test_elsewhere(self):
        """Between the carrier and the payload nothing is read."""
        with open(os.path.join(os.path.dirname(LQFT), "lqft_sampler"), "rb") as f:
            carrier = f.read()
        self.assertTrue(self.bytes.startswith(carrier))
        for at in range(len(carrier), self.at):
            data = bytearray(self.bytes)
            data[at] ^= 0xFF
            done = self.run_bytes(bytes(data), "elsewhere")
            self.assertEqual((done.returncode, self.table(done.stdout)), (0, self.table(self.expected)))
            COUNTS["damaged elsewhere"] += 1

    def test_library(self):
        with open(self.built(MODEL, "--shared"), "rb") as f:
            data = f.read()
        at = struct.unpack("<Q", data[-TAIL:-TAIL + 8])[0]
        script = "import ctypes, sys\nl = ctypes.CDLL(sys.argv[1]); l.lqft_open.restype = ctypes.c_void_p; l.lqft_error.restype = ctypes.c_char_p; l.lqft_error.argtypes = [ctypes.c_void_p]\nprint(l.lqft_open(1), l.lqft_error(None).decode())"
        r = random.Random(3)
        for _ in range(5):
            bad = bytearray(data)
            bad[r.randrange(at, len(data))] ^= 1 << r.randrange(8)
            done = self.good(sys.executable, "-c", script, self.write("damaged.so", bytes(bad)))
            self.assertRegex(done.stdout.decode(), "^None (its contents are damaged|it is not complete|no program was built into it)")
            COUNTS["damaged"] += 1


class Directories(Place):
    BUILT = ("kappa=0.19", "chains=4")
    GIVEN = ("lambda=0.03", "thin=2", "--seed", "11")

    def setUp(self):
        self.model_path = self.model(LONG, "long.lqft")
        self.program = self.build(self.model_path, *self.BUILT)
        self.number = getattr(self, "number", 0)

    def here(self):
        """A new name of a run directory."""
        return tempfile.mkdtemp(dir=self.folder) + "/run"

    def command(self, other):
        return (LQFT, "run", self.model_path) if other else (self.program,)

    def begin(self, other, out, how, after):
        """Begins a run and stops it."""
        built = self.BUILT if other else ()
        p = subprocess.Popen([*self.command(other), *built, *self.GIVEN, "--out", out, "--checkpoint", "0.02", "--quiet", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        until = time.monotonic() + 30
        while not os.path.exists(os.path.join(out, "checkpoint")) and p.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        time.sleep(after)
        p.send_signal(how)
        p.communicate(timeout=60)
        return p.returncode

    def go_on(self, other, out, how=None, after=0.1):
        """Resumes a run: its result, or None when it was stopped once more."""
        p = subprocess.Popen([*self.command(other), "--out", out, "--resume", "--checkpoint", "0.02", "--quiet", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if how:
            time.sleep(after)
            p.send_signal(how)
        stdout, stderr = p.communicate(timeout=60)
        if p.returncode == 75 or p.returncode == -signal.SIGKILL:
            return None
        self.assertEqual(p.returncode, 0, stderr)
        return numbers(json.loads(stdout))

    def whole(self):
        if not hasattr(type(self), "reference"):
            out = self.here()
            type(self).reference = self.result(*self.command(False), *self.GIVEN, "--out", out), out
        return type(self).reference

    def resumed(self, first, then, how):
        expected, reference = self.whole()
        out, stopped = self.here(), 0
        status = self.begin(first, out, how, 0.05)
        if how == signal.SIGTERM:
            self.assertIn(status, (0, 75))
        result = None
        for _ in range(3):
            stopped += 1
            result = self.go_on(then, out, how)
            if result:
                break
        result = result or self.go_on(then, out)
        self.assertEqual(result, expected)
        self.same_files(out, reference)
        COUNTS["resumed"] += stopped

    def test_terminated(self):
        self.resumed(False, False, signal.SIGTERM)

    def test_killed(self):
        self.resumed(False, False, signal.SIGKILL)

    def test_by_run(self):
        """Begun by the executable, resumed by `lqft run`, which learns from run.json what was set at build."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            self.resumed(False, True, how)

    def test_by_executable(self):
        for how in (signal.SIGTERM, signal.SIGKILL):
            self.resumed(True, False, how)

    def test_refused(self):
        out = self.here()
        self.begin(False, out, signal.SIGTERM, 0.02)
        self.refused(65, "it has another seed: 11 there, 12 here", self.program, "--out", out, "--resume", "--seed", "12")
        self.refused(65, "it has other parameters", self.program, "--out", out, "--resume", "lambda=0.04")
        self.refused(65, "its samples have other sizes", self.program, "--out", out, "--resume", "draws=3")
        self.refused(65, "it has other parameters", LQFT, "run", self.model_path, "--out", out, "--resume", "kappa=0.2")
        other = self.build(self.model(LONG.replace("plot history(M)", "plot histogram(M)"), "other.lqft"), *self.BUILT)
        self.refused(65, "the text of the model, or of a library that it imports, has changed", other, "--out", out, "--resume")
        # what was fixed differently: the reason
        other = self.build(self.model_path, "L=6")
        self.refused(65, "it has other parameters", other, "--out", out, "--resume")
        self.refused(73, "not empty|--resume", self.program, "--out", out)
        elsewhere = self.path("elsewhere")
        os.mkdir(elsewhere)
        open(os.path.join(elsewhere, "letter"), "w").close()
        self.refused(73, "is not the directory of a run", self.program, "--out", elsewhere)
        with open(os.path.join(out, "run.json"), "w") as f:
            f.write("{")
        self.refused(65, "run.json is damaged", self.program, "--out", out, "--resume")

    def test_expression(self):
        """`lqft run` takes expressions; those that an executable was built with are known to it."""
        model = self.model(MODEL, "expression.lqft")
        program = self.build(model, "L=2*2", "kappa=1/8")
        one, two = self.here(), self.here()
        self.result(LQFT, "run", model, "L=2*2", "kappa=1/8", "--seed", "1", "--out", one)
        self.result(program, "--seed", "1", "--out", two)
        self.same_files(one, two)
        self.result(program, "--out", one, "--resume")
        self.result(LQFT, "run", model, "--out", two, "--resume")
        self.result(LQFT, "run", model, "kappa=1/7", "--seed", "1", "--out", self.here())

    def test_report(self):
        model = self.model()
        program = self.build(model, "kappa=0.15")
        out = self.here()
        result = self.result(program, "lambda=0.1", "--seed", "3", "--out", out)
        for command in ((program, "--out", out, "--report"), (LQFT, "report", out)):
            page = os.path.join(out, "report.html")
            if os.path.exists(page):
                os.unlink(page)
            again = numbers(json.loads(self.good(*command, "--json").stdout))
            self.assertEqual(again["report"], result["report"], command)
            self.assertEqual(again["params"], result["params"])
            self.assertIn(page, [os.path.join(out, f) for f in again["files"]])
            with open(page, encoding="utf-8") as f:
                self.assertIn("chi2", f.read())
            COUNTS["reported"] += 1
        self.refused(66, "there is no run in", program, "--out", self.here(), "--report")
        # of a run that is not finished
        out = self.here()
        self.begin(False, out, signal.SIGTERM, 0.05)
        self.assertIn("chi2", self.result(self.program, "--out", out, "--report")["report"])


LEVELS = ("x86-64-v2", "x86-64-v3", "x86-64-v4")


def levels_here():
    """Of x86-64, as the loader of the C library names them."""
    with open("/proc/cpuinfo") as f:
        flags = set(re.search(r"(?m)^flags\s*:(.*)$", f.read())[1].split())
    needs = ({"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"}, {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"}, {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
    n = 0
    while n < 3 and needs[n] <= flags:
        n += 1
    return LEVELS[:n]


def lq_hash(data):
    """As runtime/base.c has it, with seed 1."""
    mask, golden = 2**64 - 1, 0x9e3779b97f4a7c15

    def mix(h):
        h = (h ^ h >> 33)*0xff51afd7ed558ccd & mask
        h = (h ^ h >> 33)*0xc4ceb9fe1a85ec53 & mask
        return h ^ h >> 33
    h = mix(1 ^ golden ^ len(data))
    for word in struct.unpack_from(f"<{len(data)//8}Q", data):
        h = mix(h ^ word) + golden & mask
    return mix(h ^ int.from_bytes(data[len(data)//8*8:], "little"))


class Portable(Place):
    def variants(self, model, built, given):
        program = self.build(model, *built, "--portable")
        native = self.build(model, *built)
        expected = self.result(native, *given, "--out", tempfile.mkdtemp(dir=self.folder))
        for level in (None, *levels_here()):
            env = dict(os.environ, LQFT_CPU=level) if level else os.environ
            self.assertEqual(self.result(program, *given, "--out", tempfile.mkdtemp(dir=self.folder), env=env), expected, f"{model} {level}")
            COUNTS["variants"] += 1
            COUNTS["numbers"] += leaves(expected)

    def test_model(self):
        for chains in (1, 9):
            self.variants(self.model(), [], [f"chains={chains}", "--seed", "2"])
        self.variants(self.model(FIELDS, "fields.lqft"), [], ["--seed", "2"])

    def test_examples(self):
        for name in ("phi4", "xy", "ising", "my_sampler", "complex_langevin", "langevin", "spectral_nn", "spectral_gp", "ising_classify", "tempering"):
            built, given = EXAMPLES[name]
            with self.subTest(name):
                self.variants(os.path.join(ROOT, "examples", name + ".lqft"), built.split(), given.split() + ["--seed", "4"])
        self.variants(os.path.join(ROOT, "examples", "phi4.lqft"), ["L=4", "precision=single"], ["draws=5", "warmup=5", "--seed", "4"])

    def test_chosen(self):
        """Where one variant alone is left, the names of lower ones run nothing."""
        program = self.built(MODEL, "--portable")
        with open(program, "rb") as f:
            data = f.read()
        at, size = struct.unpack("<QQ", data[-TAIL:-TAIL + 16])
        expected = self.result(program, "--seed", "1", cwd=self.folder)
        here = levels_here()
        for left in here:
            payload = data[at:at + size]
            self.assertEqual(lq_hash(payload), struct.unpack("<Q", data[-16:-8])[0])
            for gone in set(LEVELS) - {left}:
                self.assertIn(f'"cpu":"{gone}"'.encode(), payload)
                payload = payload.replace(f'"cpu":"{gone}"'.encode(), b'"cpu":"x86-64-v_"')
            other = self.write("one of them", data[:at] + payload + struct.pack("<QQQQ", at, size, 0, lq_hash(payload)) + data[-8:])
            os.chmod(other, 0o755)
            for level in here:
                env = dict(os.environ, LQFT_CPU=level)
                if level < left:
                    self.refused(70, "there is no code for this processor", other, "--seed", "1", cwd=self.folder, env=env)
                else:
                    self.assertEqual(self.result(other, "--seed", "1", cwd=self.folder, env=env), expected)
                COUNTS["variants"] += 1
            os.unlink(other)

    def test_wishes(self):
        program, native = self.built(MODEL, "--portable"), self.built()
        self.assertIn("LQFT_CPU", self.good(program, "--help").stdout.decode())
        for wish in ("x86-64-v5", "native", "v2", "x86-64-v3 ", "4"):
            self.refused(2, f"LQFT_CPU is x86-64-v2, x86-64-v3 or x86-64-v4, not `{re.escape(wish)}`", program, "draws=1", cwd=self.folder, env=dict(os.environ, LQFT_CPU=wish))
        for wish in LEVELS[len(levels_here()):]:
            self.refused(2, f"LQFT_CPU is {wish}, which this processor is not", program, "draws=1", cwd=self.folder, env=dict(os.environ, LQFT_CPU=wish))
        self.refused(2, "built with --portable, and this was not", native, "draws=1", cwd=self.folder, env=dict(os.environ, LQFT_CPU="x86-64-v2"))
        self.good(program, "draws=2", "--quiet", cwd=self.folder, env=dict(os.environ, LQFT_CPU=""))


class Library(Place):
    def compiled(self, library, source=None, *flags):
        if not shutil.which("cc"):
            self.skipTest("there is no C compiler")
        out = self.path("use" + re.sub(r"\W", "", "".join(flags) + os.path.basename(library) + os.path.basename(source or "")))
        source = source or os.path.join(HERE, "library.c")
        self.good("cc", "-Wall", "-Wextra", "-Werror", "-O1", "-g", *flags, "-I", HEADERS, source, library, "-o", out, "-lm", "-lpthread")
        return out

    def test_example(self):
        """draw.c and draw.py print what `lqft run` finds."""
        phi4 = os.path.join(ROOT, "examples", "phi4.lqft")
        library = self.build(phi4, "--shared")
        program = self.compiled(library, os.path.join(ROOT, "examples", "library", "draw.c"))
        done = self.good(program).stdout.decode()
        run = self.result(LQFT, "run", phi4, "kappa=0.2", "chains=16", "draws=200", "--seed", "7", "--out", self.path("draw"))
        phi2 = run["report"]["phi2"]["value"]
        self.assertIn(f"<phi^2> = {phi2:.4f} from 200 draws of 16 chains", done)
        self.assertLess(float(re.search(r"off by (\S+)", done)[1]), 1e-5)
        self.good("c++", "-fsyntax-only", "-x", "c++", "-I", HEADERS, self.write("use.cc", "#include \"lqft_sampler.h\"\nint main() { return lqft_open(1) != nullptr; }\n")) if shutil.which("c++") else None
        if have("numpy"):
            done = self.good(sys.executable, os.path.join(ROOT, "examples", "library", "draw.py"), library).stdout.decode()
            self.assertIn(f"<phi^2> = {phi2:.4f} from 200 draws of 16 chains", done)
            self.assertLess(float(re.search(r"off by (\S+)", done)[1]), 1e-12)
        COUNTS["examples of the library"] += 1 + have("numpy")

    def npy(self, path):
        with open(path, "rb") as f:
            data = f.read()
        size = int.from_bytes(data[8:10], "little") + 10
        shape = [int(n) for n in re.search(r"'shape': \(([^)]*)\)", data[:size].decode("latin-1"))[1].split(",") if n.strip()]
        return shape, struct.unpack(f"<{(len(data) - size)//8}d", data[size:])

    def expected(self, model, given, seed):
        """[draw][field][chain][…], from the files of `lqft run`."""
        out = tempfile.mkdtemp(dir=self.folder)
        self.result(LQFT, "run", model, *given, "--seed", str(seed), "--out", out)
        fields = [self.npy(os.path.join(out, f"{name}.npy")) for name in ("phi", "z", "r")]
        chains, draws = fields[0][0][:2]
        result = []
        for d in range(draws):
            for shape, values in fields:
                n = math.prod(shape[2:])
                result += [v for c in range(chains) for v in values[(c*draws + d)*n:(c*draws + d + 1)*n]]
        return result

    def two(self, command, program, model, given, **more):
        files = [self.path("one.bin"), self.path("two.bin")]
        self.good(program, *given, command, files[0], 4, files[1], 5, **more)
        for path, seed in zip(files, (4, 5)):
            with open(path, "rb") as f:
                data = f.read()
            found, expected = struct.unpack(f"<{len(data)//8}d", data), self.expected(model, given, seed)
            self.assertEqual(len(found), len(expected))
            n = len(found)
            # positive fields are exponentials of what is drawn, of another function: the last bit may differ
            for i in range(n):
                if found[i] != expected[i]:
                    self.assertLessEqual(abs(found[i] - expected[i]), 4e-16*abs(expected[i]), i)
            COUNTS["configurations' numbers"] += n

    def test_two(self):
        """Two samplers by turns, and in two threads, draw what `lqft run` draws."""
        model = self.model(FIELDS, "fields.lqft")
        program = self.compiled(self.build(model, "--shared"))
        for given in ([], ["a=2.5", "chains=9", "warmup=0", "length=0.5"], ["chains=1", "draws=3", "thin=1"]):
            self.two("two", program, model, given)
        self.two("threads", program, model, ["a=0.5"])

    def test_gradient(self):
        program = self.compiled(self.build(self.model(FIELDS, "fields.lqft"), "--shared"))
        for a in (0.5, 1, 3):
            value, worst, n = self.good(program, f"a={a}", "gradient").stdout.split()
            self.assertEqual(int(n), 4*16)
            self.assertLess(float(worst), 1e-7)
            self.assertTrue(math.isfinite(float(value)))
            COUNTS["derivatives"] += int(n)
        values = {a: float(self.good(program, f"a={a}", "gradient").stdout.split()[0]) for a in (1, 2, 3)}
        self.assertAlmostEqual(values[3] - values[2], values[2] - values[1], 9)      # linear in a
        self.assertGreater(values[2], values[1] + 1)

    ERRORS = """unknown|-1|there is nothing called `lenght`; did you mean `length`?
outside|-1|`a` = 1000 lies outside its bounds (0, 10)
still|1|
inside|0|
not a number|-1|`a` is a finite number, not `nan`
infinite|-1|`a` is a finite number, not `inf`
fixed|-1|`L` is 4 in this executable, and cannot be 5: the extent of a lattice must be known when it is compiled
half a chain|-1|`chains` is a whole number from 1 to 1048576, not `2.5`
no chain|-1|`chains` is a whole number from 1 to 1048576, not `0`
no name|-1|a setting has a name
no setting|nan|
no setting's name|nan|
field|-1|there is no field `nosuch`
field's shape|-1|there is no field `nosuch`
field's name|-1|there is no field `NULL`
shape|2|
beyond|0|
too early|-1|nothing was drawn yet: lqft_draw comes before lqft_get
acceptance|1|
no point|-1|an array of `phi` is NULL
no value|-1|there is no room for the action: the pointer is NULL
no gradient|-1|an array of `phi` is NULL
no field|-1|an array of `phi` is NULL
no field of it|-1|an array of `phi` is NULL
draw|1|
too late|-1|`a` is set after the first draw
get nothing|-1|there is no field `nosuch`
get nowhere|-1|there is no room for the configuration: the array is NULL
get|0|
closed draw|-1|the sampler is closed
closed set|-1|the sampler is closed
closed field|0|the sampler is closed
closed get|-1|the sampler is closed
closed action|-1|the sampler is closed
the other|1|
none set|-1|there is no sampler: the handle is NULL
none setting|1|there is no sampler: the handle is NULL
none field|0|there is no sampler: the handle is NULL
none shape|-1|there is no sampler: the handle is NULL
none size|-1|there is no sampler: the handle is NULL
none draw|-1|there is no sampler: the handle is NULL
none get|-1|there is no sampler: the handle is NULL
none acceptance|1|there is no sampler: the handle is NULL
none action|-1|there is no sampler: the handle is NULL
none gradient|-1|there is no sampler: the handle is NULL
""".splitlines()

    def check_errors(self, output):
        lines = output.splitlines()
        self.assertEqual(len(lines), len(self.ERRORS))
        for line, expected in zip(lines, self.ERRORS):
            if expected.endswith("|"):
                self.assertTrue(line.startswith(expected), line)     # no failure: nothing new is said
            else:
                self.assertEqual(line, expected)
            COUNTS["wrong uses"] += 1

    def test_errors(self):
        program = self.compiled(self.build(self.model(FIELDS, "fields.lqft"), "--shared"))
        self.check_errors(self.good(program, "errors").stdout.decode())

    def test_python(self):
        """By ctypes alone."""
        library = ctypes.CDLL(self.build(self.model(FIELDS, "fields.lqft"), "--shared"))
        library.lqft_open.restype = ctypes.c_void_p
        for f in (library.lqft_draw, library.lqft_close):
            f.argtypes = [ctypes.c_void_p]
        library.lqft_get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_double)]
        library.lqft_set.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_double]
        s, field, found = library.lqft_open(4), (ctypes.c_double * 48)(), []
        self.assertEqual(library.lqft_set(s, b"a", 1.5), 0)
        while library.lqft_draw(s) > 0:
            library.lqft_get(s, b"phi", field)
            found += list(field)
        library.lqft_close(s)
        out = self.path("python")
        self.result(LQFT, "run", self.model(FIELDS, "fields.lqft"), "a=1.5", "--seed", "4", "--out", out)
        (chains, draws, *_), phi = self.npy(os.path.join(out, "phi.npy"))
        self.assertEqual(found, [v for d in range(draws) for c in range(chains) for v in phi[(c*draws + d)*16:(c*draws + d + 1)*16]])

    def test_unusable(self):
        """Models without a sample of their own, and without an action of its fields."""
        script = "import ctypes, sys\nl = ctypes.CDLL(sys.argv[1]); l.lqft_open.restype = ctypes.c_void_p; l.lqft_error.restype = ctypes.c_char_p; l.lqft_error.argtypes = [ctypes.c_void_p]\ns = l.lqft_open(1); print(s is None, l.lqft_error(None).decode())"

        def opened(library, **more):
            return self.good(sys.executable, "-c", script, library, **more).stdout.decode()
        self.assertEqual(opened(self.built("report one = 1\n", "--shared")), "True the model has no sample\n")
        learned = "import samplers.hmc, optimizers.sgd\nlattice X = torus(4)\nfield x[X] : real\nminimize (w - 2)^2 over w : real with sgd(rate = 0.1) { steps = 50 }\n" \
                  "sample x ~ exp(-sum[n in X] (x[n] - w)^2) with hmc() { chains = 2  warmup = 5  draws = 5 }\nreport m = E[mean[n in X] x[n]]\n"
        self.assertRegex(opened(self.built(learned, "--shared")), "True the first sample of the model needs `w`, which an earlier task gives")
        self.same(self.model(learned, "learned.lqft"), [], ["--seed", "1"])
        portable = self.built(FIELDS, "--shared", "--portable")
        self.assertEqual(opened(portable), "False \n")
        self.assertRegex(opened(portable, env=dict(os.environ, LQFT_CPU="x86-64-v9")), "True LQFT_CPU is x86-64-v2")

    def test_sanitizer(self):
        """The program is instrumented, and memory that the library does not give back is found."""
        probe = call("cc", "-fsanitize=address,undefined", "-x", "c", "-", "-o", self.path("probe"), input=b"int main(void) { return 0; }") if shutil.which("cc") else None
        if probe is None or probe.returncode or call(self.path("probe")).returncode:
            self.skipTest("there is no address sanitizer")
        model = self.model(FIELDS, "fields.lqft")
        program = self.compiled(self.build(model, "--shared"), None, "-fsanitize=address,undefined", "-fno-sanitize-recover")
        self.check_errors(self.good(program, "errors").stdout.decode())
        self.two("threads", program, model, [])
        self.good(program, "a=2", "gradient")

    def test_valgrind(self):
        """It knows AVX2 at most: the best variant that it can run is chosen."""
        if not shutil.which("valgrind"):
            self.skipTest("valgrind is not installed")
        program = self.compiled(self.build(self.model(FIELDS, "fields.lqft"), "--shared", "--portable"))
        options = ("valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite")
        self.check_errors(self.good(*options, program, "errors", seconds=300).stdout.decode())
        self.good(*options, program, "draws=2", "two", self.path("v1"), 1, self.path("v2"), 2, seconds=300)
        self.good(*options, program, "gradient", seconds=300)


class Hostile(Place):
    def test_places(self):
        model = self.model()
        folder = self.path("some folder")
        os.makedirs(os.path.join(folder, "inside"))
        for target, status, pattern in ((self.path("nowhere", "program"), 73, "cannot create .*No such file"),
                                        (folder, 73, "cannot create .*(directory|folder)"),
                                        (os.path.join(model, "program"), 73, "cannot create .*Not a directory"),
                                        (self.path("x" * 300), 73, "cannot create .*name too long"),
                                        ("/proc/program", 73, "cannot create")):
            with self.subTest(target):
                self.refused(status, pattern, LQFT, "build", model, "-o", target)
        self.assertEqual(os.listdir(folder), ["inside"])
        self.refused(2, "build needs the name", LQFT, "build", model)
        self.refused(66, "No such file", LQFT, "build", self.path("nosuch.lqft"), "-o", self.path("p"))
        self.refused(2, "did you mean `kappa`", LQFT, "build", model, "kapa=1", "-o", self.path("p"))
        self.assertFalse(os.path.exists(self.path("p")))

    def test_device(self):
        """A device is written to, not replaced.  Named by a link of this folder: a mistake replaces the link."""
        for device, status, pattern in (("/dev/full", 74, "cannot write .*full: No space left on device"), ("/dev/null", 0, "^$")):
            link = self.path("link to " + os.path.basename(device))
            os.symlink(device, link)
            self.refused(status, pattern, LQFT, "build", self.model(), "-o", link)
            self.assertTrue(os.path.islink(link))
            self.assertEqual(glob.glob(glob.escape(link) + ".*"), [])

    def test_read_only(self):
        folder = self.path("read only")
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o555)
        self.addCleanup(os.chmod, folder, 0o755)
        more = {}
        if os.access(folder, os.W_OK):                      # as root: as nobody
            os.chmod(self.folder, 0o755)
            more = {"user": 65534, "env": dict(os.environ, LQFT_CACHE="")}
            try:
                usable = call(LQFT, "check", self.model(), **more).returncode == 0
            except OSError:
                usable = False
            if not usable:
                self.skipTest("lqft cannot be run by another user")
        self.refused(73, "cannot create .*Permission denied", LQFT, "build", self.model(), "-o", os.path.join(folder, "p"), **more)
        self.assertEqual(os.listdir(folder), [])

    def test_limited(self):
        """A file that cannot be written to its end is no file; what was there stays."""
        old = self.write("limited", "the old one")

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        env = dict(os.environ, LQFT_CACHE="")
        self.refused(74, "cannot write .*File too large", LQFT, "build", self.model(), "-o", old, preexec_fn=limit, env=env)
        with open(old) as f:
            self.assertEqual(f.read(), "the old one")
        self.assertEqual(glob.glob(old + ".*"), [])

    def test_errors(self):
        """The messages of `lqft check`, status 1, no file."""
        os.makedirs(self.path("wrong"), exist_ok=True)
        tried = 0
        for text in (MODEL.replace("phi[x]^2 +", "phi[y]^2 +"), MODEL.replace("report chi2 =", "report chi2 = ("), MODEL.replace("param kappa = 0.2", "param kappa = 7"),
                     MODEL.replace("hmc(length", "hmcc(length"), "import nosuch.file\n", MODEL.replace("torus(L, L)", "torus(0)")):
            model = self.model(text, "wrong/wrong.lqft")
            check = call(LQFT, "check", model)
            build = call(LQFT, "build", model, "-o", self.path("wrong", "program"))
            self.assertEqual(check.returncode, 1)
            self.assertEqual((build.returncode, build.stderr, build.stdout), (1, check.stderr, b""))
            self.assertRegex(build.stderr.decode(), r"error\[E\d+\]")
            tried += 1
        self.assertEqual(os.listdir(self.path("wrong")), ["wrong.lqft"])
        COUNTS["models with errors"] += tried

    def test_replaced(self):
        """An existing file is replaced as a whole, also while it runs; when the build fails it stays."""
        model, target = self.model(), self.path("program of mine")
        self.good(LQFT, "build", model, "-o", target)
        with open(target, "rb") as f:
            old = f.read()
        inode = os.stat(target).st_ino
        wrong = self.model("report x = y\n", "wrong.lqft")
        self.refused(1, "E0201", LQFT, "build", wrong, "-o", target)
        with open(target, "rb") as f:
            self.assertEqual(f.read(), old)
        running = subprocess.Popen([target, "draws=2000000", "chains=1", "--quiet", "--threads", "1"], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.good(LQFT, "build", model, "kappa=0.11", "-o", target)
        self.assertIsNone(running.poll())
        running.terminate()
        self.assertIn(running.wait(timeout=60), (75, -signal.SIGTERM))
        self.assertNotEqual(os.stat(target).st_ino, inode)
        self.assertIn("kappa=0.11", self.good(target, "--help").stdout.decode())
        self.assertEqual(glob.glob(glob.escape(target) + ".*"), [])
        # the same program is the same file
        again = self.path("again")
        self.good(LQFT, "build", model, "kappa=0.11", "-o", again)
        with open(target, "rb") as a, open(again, "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_link(self):
        """A link to a file: the link is replaced, what it names stays."""
        kept = self.write("kept", "text")
        link = self.path("link")
        os.symlink(kept, link)
        self.good(LQFT, "build", self.model(), "-o", link)
        with open(kept) as f:
            self.assertEqual(f.read(), "text")
        self.assertFalse(os.path.islink(link))

    def test_output(self):
        """Of the executable: a full device."""
        with open("/dev/full", "wb") as full:
            done = call(self.built(), "draws=2", "--quiet", stdout=full, cwd=self.folder)
            self.assertEqual(done.returncode, 74)
            self.assertIn(b"No space left", done.stderr)
            done = call(self.built(), "--help", stdout=full)
            self.assertEqual(done.returncode, 74)


def main():
    program = unittest.main(exit=False)
    print(", ".join(f"{n} {what}" for what, n in sorted(COUNTS.items())))
    sys.exit(not program.result.wasSuccessful())


if __name__ == "__main__":
    main()
