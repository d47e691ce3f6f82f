#!/usr/bin/env python3
"""Whole runs with --out that are killed, stopped, damaged, without room, and resumed: in the end
everything in the directory is, bit for bit, what a run has that nobody touched.

    tests/run/resume.py [--lqft PATH] [--quick] [-v] [NAME …]

measurements.h5 is read through libhdf5 itself, with ctypes.  What needs a mount (full and read-only
disks) is skipped where `unshare` makes none.  Counts are printed as the tests go.
"""
import collections
import ctypes
import ctypes.util
import glob
import json
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
QUICK = script.flag("--quick")
CACHE = tempfile.mkdtemp(prefix="lqft-resume-cache-")

ACTION = """lattice X = torus(L, L)
field phi[X] : real
action S(phi) = sum[x in X] (0.956*phi[x]^2 + 0.022*phi[x]^4 - 2*kappa*sum[mu in X.dirs] phi[x]*phi[x + mu])
observable M(phi) = mean[x in X] phi[x]
"""
HMC = "import samplers.hmc\nparam L = 8\nparam kappa = 0.2\n" + ACTION + """
observable slices(phi) {
  s[t in X.axes[0]] = mean[x in X if x[0] == t] phi[x]
  return s
}
sample phi ~ exp(-S(phi)) with hmc(length = 1, steps = 6) { chains = 8  warmup = 3000  draws = 12000  thin = 5 }
report chi2 = volume(X)*(E[M^2] - E[M]^2)
report G[t in X.axes[0]] = E[slices[0]*slices[t]]
plot history(M)
save G to "below/G.npy"
"""
# little enough for hundreds of runs
SMALL = HMC.replace("draws = 12000  thin = 5", "draws = 6000").replace("warmup = 3000", "warmup = 300")
SCAN = "import samplers.hmc\nparam L = 8\nparam kappa = 0.2\ngrid Ls = points(4, 6)\ngrid K = linspace(0.18, 0.22, 3)\n" + ACTION + """
scan L in Ls, kappa in K {
  sample phi ~ exp(-S(phi)) with hmc(length = 1, steps = 6) { chains = 8  warmup = 500  draws = 4000 }
  report chi2 = volume(X)*(E[M^2] - E[M]^2)
}
report total = sum(chi2)
save chi2 to "chi2.csv"
"""
ISING = """import samplers.heatbath, samplers.metropolis
param L = 8
lattice X = torus(L, L)
field s[X] : spin
action S(s) = -0.44*sum[x in X, mu in X.dirs] s[x]*s[x + mu]
observable M(s) = mean[x in X] s[x]
sample s ~ exp(-S(s)) with flips(sweeps = 2) { chains = 16  warmup = 2000  draws = 8000 }
report energy = E[S]
report absM = E[abs(M)]
sample s ~ exp(-S(s)) with heatbath(sweeps = 1) { chains = 16  warmup = 100  draws = 4000  thin = 2 }
report again = E[S]
plot history(M)
"""
XY = """import samplers.metropolis
param beta = 1
lattice X = torus(8, 8)
field theta[X] : angle
action S(theta) = -beta*sum[x in X, mu in X.dirs] cos(theta[x + mu] - theta[x])
sample theta ~ exp(-S(theta)) with metropolis(sweeps = 2, width = 2) { chains = 10  warmup = 500  draws = 10000 }
report energy = E[S]/volume(X)
save mean[x in X] cos(theta[x]) to "m.npy"
"""
LANGEVIN = """import samplers.langevin
field z : complex
def S(z, sigma) = sigma/2*z^2 + z^4/4
sample z ~ exp(-S(z, 1 + 1i)) with complex_langevin(step = 0.01, scheme = heun) { chains = 16  warmup = 200  draws = 8000 }
report z2 = E[z^2]
plot histogram(log(abs(grad(S(z, 1 + 1i), z))))
save z to "z.npz"
"""
# a sample whose configurations train a network, whose weights stand in a later sample
TRAIN = """import samplers.hmc, nn.dense, nn.activations, optimizers.adam
axis N = 64
axis B = 8
param L = 4
param kappa = 0.2
""" + ACTION + """sample phi ~ exp(-S(phi)) with hmc(length = 1, steps = 6) { chains = 8  warmup = 200  draws = 10000 }
report phi2 = E[mean[x in X] phi[x]^2]
keep c[n in N] = mean[x in X] phi[x]^2
network net : real -> real = dense(8, tanh) >> dense(1)
loss off() {
  u[b in B] ~ uniform(-1, 1)
  return mean[b in B] (net(u[b]) - sin(3*u[b]))^2 + 0.01*mean[n in N] (net(c[n]) - 1)^2
}
minimize off over net.weights with adam(rate = 1e-2) { steps = 60000 }
report at = net(0.5)
plot history("objective")
save net.weights to "net.safetensors"
sample phi ~ exp(-S(phi)*(1 + at^2)) with hmc(length = 1, steps = 6) { chains = 8  warmup = 200  draws = 10000 }
report late = E[mean[x in X] phi[x]^2]
"""
MODELS = {"hmc": (HMC, []), "scan": (SCAN, []), "ising": (ISING, []), "xy": (XY, []), "langevin": (LANGEVIN, []), "train": (TRAIN, []),
          "hmc single": (HMC, ["precision=single", "steps=5", "chains=13"]), "train single": (TRAIN, ["precision=single"])}
# a step takes a second and more: the interpreter
SLOW = ["--device", "interp", "steps=40000", "warmup=0", "draws=2", "chains=2"]


def say(text):
    print(text, flush=True)


# ---- what is in a directory -----------------------------------------------------------------------


class Hdf5:
    """Every dataset of a file: {path: (shape, bytes of its doubles)}."""

    def __init__(self):
        names = glob.glob("/usr/lib/*/libhdf5_serial.so.*") + [ctypes.util.find_library(n) for n in ("hdf5_serial", "hdf5")]
        name = next((n for n in sorted(n for n in names if n)), None)
        self.lib = ctypes.CDLL(name) if name else None
        if not self.lib:
            return
        for function in ("H5Fopen", "H5Gopen2", "H5Dopen2", "H5Dget_space"):
            getattr(self.lib, function).restype = ctypes.c_int64
        self.lib.H5open()
        self.lib.H5Eset_auto2(ctypes.c_int64(0), None, None)
        self.double = ctypes.c_int64.in_dll(self.lib, "H5T_NATIVE_DOUBLE_g")

    def read(self, path, swmr=False):
        f = ctypes.c_int64(self.lib.H5Fopen(path.encode(), ctypes.c_uint(0x40 if swmr else 0), ctypes.c_int64(0)))
        if f.value < 0:
            raise OSError(f"{path}: libhdf5 does not open it")
        out = {}
        self.group(f, "/", out)
        self.lib.H5Fclose(f)
        return out

    def group(self, f, path, out):
        g = ctypes.c_int64(self.lib.H5Gopen2(f, path.encode(), ctypes.c_int64(0)))
        n = ctypes.c_uint64()
        self.lib.H5Gget_num_objs(g, ctypes.byref(n))
        for i in range(n.value):
            name = ctypes.create_string_buffer(1000)
            self.lib.H5Gget_objname_by_idx(g, ctypes.c_uint64(i), name, ctypes.c_size_t(1000))
            below = path.rstrip("/") + "/" + name.value.decode()
            if self.lib.H5Gget_objtype_by_idx(g, ctypes.c_uint64(i)) == 0:
                self.group(f, below, out)
            elif below != "/identity":                       # which each file has of its own
                out[below] = self.dataset(f, below)
        self.lib.H5Gclose(g)

    def dataset(self, f, path):
        d = ctypes.c_int64(self.lib.H5Dopen2(f, path.encode(), ctypes.c_int64(0)))
        space = ctypes.c_int64(self.lib.H5Dget_space(d))
        dims = (ctypes.c_uint64*32)()
        rank = self.lib.H5Sget_simple_extent_dims(space, dims, None)
        shape = tuple(dims[:rank])
        n = 1
        for k in shape:
            n *= k
        data = ctypes.create_string_buffer(8*n + 1)
        bad = self.lib.H5Dread(d, self.double, ctypes.c_int64(0), ctypes.c_int64(0), ctypes.c_int64(0), data)
        self.lib.H5Sclose(space), self.lib.H5Dclose(d)
        if bad < 0:
            raise OSError(f"{path}: libhdf5 does not read it")
        return shape, data.raw[:8*n]


HDF5 = Hdf5()
TIMES = ("timing", "seconds", "warmup_seconds", "compile_seconds")


def timeless(o, folder):
    """An answer without times, and without the name of its folder."""
    if isinstance(o, dict):
        return {k: timeless(v, folder) for k, v in o.items() if k not in TIMES}
    if isinstance(o, list):
        return [timeless(v, folder) for v in o]
    return o.replace(folder, "DIR") if isinstance(o, str) else o


def snapshot(folder):
    """All that must not depend on what happened to a run."""
    out = {"measurements": HDF5.read(os.path.join(folder, "measurements.h5")) if HDF5.lib else None}
    with open(os.path.join(folder, "summary.json"), encoding="utf-8") as f:
        out["summary"] = timeless(json.load(f), folder)
    for top, folders, names in os.walk(folder):
        folders[:] = [d for d in folders if os.path.join(top, d) != os.path.join(folder, "checkpoint")]
        for name in names:
            path = os.path.relpath(os.path.join(top, name), folder)
            if path in ("run.json", "log.jsonl", "lock", "measurements.h5", "measurements.h5.damaged", "summary.json", "report.html"):
                continue
            with open(os.path.join(top, name), "rb") as f:
                out[path] = f.read()
    return out


def tree(folder):
    """Every file below, byte by byte."""
    out = {}
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            if os.path.islink(path):
                out[os.path.relpath(path, folder)] = os.readlink(path)
                continue
            with open(path, "rb") as f:
                out[os.path.relpath(path, folder)] = f.read()
    return out


def events(folder):
    try:
        with open(os.path.join(folder, "log.jsonl"), encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.endswith("\n")]
    except FileNotFoundError:
        return []


def states(folder):
    return sorted(glob.glob(os.path.join(folder, "checkpoint", "state-*")))


def state_of(folder):
    """The text of the newest state, or None."""
    names = [n for n in states(folder) if not n.endswith(".tmp")]
    if not names:
        return None
    with open(names[-1], "rb") as f:
        data = f.read()
    length, text, arrays = struct.unpack("<3q", data[16:40])
    assert length == len(data), f"{names[-1]} has {len(data)} bytes, not {length}"
    return json.loads(data[40 + 16*arrays:40 + 16*arrays + text])


# ---- running ----------------------------------------------------------------------------------------------


class Case(unittest.TestCase):
    references = {}

    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="lqft-resume-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.begin = time.monotonic()
        self.counts = collections.Counter()

    def tearDown(self):
        text = ", ".join(f"{n} {what}" for what, n in sorted(self.counts.items()))
        say(f"  {self.id().split('.', 1)[1]}: {text or 'done'} ({time.monotonic() - self.begin:.1f} s)")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, text, name="model.lqft"):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return name

    def start(self, *arguments, stdout=subprocess.PIPE, **more):
        return subprocess.Popen([LQFT, *map(str, arguments)], cwd=self.folder, stdout=stdout, stderr=subprocess.PIPE,
                                env=dict(os.environ, LQFT_CACHE=CACHE), **more)

    def finish(self, process, status=0):
        out, err = process.communicate(timeout=100)
        process.out, process.err = (out or b"").decode(), err.decode()
        if status is not None:
            self.assertEqual(process.returncode, status, f"{process.args[1:]}\n{process.out[:2000]}\n{process.err}")
        self.assertNotIn("internal error", process.err)
        return process

    def lqft(self, *arguments, status=0, **more):
        return self.finish(self.start(*arguments, **more), status)

    def answer(self, done, folder):
        return timeless(json.loads(done.out), folder)

    def reference(self, text, *arguments):
        """What a run leaves that nobody disturbs, and the time that it takes; made once."""
        key = text, arguments
        if key not in Case.references:
            folder = tempfile.mkdtemp(prefix="lqft-resume-whole-", dir=CACHE)
            shutil.rmtree(folder)
            begin = time.monotonic()
            # a path that all tests have: it stands in the answer
            with open(os.path.join(CACHE, "model.lqft"), "w", encoding="utf-8") as f:
                f.write(text)
            done = subprocess.run([LQFT, "run", "model.lqft", "--out", folder, "--json", "--quiet", "--threads", "1", *arguments], cwd=CACHE,
                                  env=dict(os.environ, LQFT_CACHE=CACHE), capture_output=True, check=True)
            seconds = time.monotonic() - begin
            Case.references[key] = snapshot(folder), timeless(json.loads(done.stdout), folder), seconds
            shutil.rmtree(folder)
        return Case.references[key]

    def assertSame(self, folder, done, reference, what=""):
        """The directory, and what was printed, are those of the undisturbed run."""
        whole, answer, _ = reference
        got = snapshot(folder)
        for name in whole["measurements"] or ():
            self.assertNumbers(got["measurements"].get(name, ((), b"")), whole["measurements"][name], f"{what}: {name}")
        self.assertEqual(got["summary"], whole["summary"], what)
        for name in whole.keys() | got.keys():
            self.assertTrue(got.get(name) == whole.get(name), f"{what}: {name} differs")
        if done:
            self.assertEqual(self.answer(done, folder), answer, what)
        self.counts["ends with the same bits"] += 1

    def assertNumbers(self, got, want, what):
        """Equal bit for bit; the message has the first difference only, not megabytes."""
        if got == want:
            return
        self.assertEqual(got[0], want[0], f"{what}: the shape")
        a, b = (struct.unpack(f"<{len(x[1])//8}d", x[1]) for x in (got, want))
        k = next(k for k in range(len(a)) if struct.pack("<d", a[k]) != struct.pack("<d", b[k]))
        self.fail(f"{what}: element {k} of shape {got[0]} is {a[k]!r}, not {b[k]!r}")

    def wait_for(self, process, condition, seconds=30):
        """Until something holds, or the process has ended."""
        until = time.monotonic() + seconds
        while not condition() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.001)
        return condition()

    def interrupted(self, text, *arguments, checkpoints=3, name="run", status=75):
        """A run stopped by SIGTERM after some checkpoints."""
        for _ in range(50):
            process = self.start("run", self.write(text), "--out", self.path(name), "--checkpoint", "0.005", "--quiet", "--json", "--threads", 1, *arguments)
            self.wait_for(process, lambda: sum(e["event"] == "checkpoint" for e in events(self.path(name))) >= checkpoints)
            process.send_signal(signal.SIGTERM)
            self.finish(process, None)
            self.assertIn(process.returncode, (0, status), process.err)
            if process.returncode == status and state_of(self.path(name)).get("draw"):
                return process
            shutil.rmtree(self.path(name))
        self.fail("the run always ends before it can be interrupted")

    def resume(self, *arguments, name="run", status=0):
        return self.lqft("run", "model.lqft", "--out", self.path(name), "--resume", "--json", "--quiet", *arguments, status=status)


def some(rng):
    """What no result may depend on."""
    return ["--threads", rng.choice("123"), "--lanes", rng.choice(("chains", "sites", "cheapest")), "--device", "cpu",
            "--checkpoint", rng.choice(("0.01", "0.02", "0.05", "0.2"))]


# ---- kills ----------------------------------------------------------------------------------------------


class Kills(Case):
    def promised(self, folder):
        """(samples done, draw) of the last checkpoint that the log says is made."""
        out = (0, -1)
        for e in events(folder):
            if e["event"] == "checkpoint":
                out = e["sample"], e["draw"]
            elif e["event"] == "sampled":
                out = e["sample"] + 1, -1
        return out

    def delay(self, process, folder, rng, seconds):
        """Kills at a moment: at the start, anywhere, or close to a line of the log."""
        kind = rng.random()
        if kind < (0.2 if states(folder) else 0.5):
            time.sleep(rng.uniform(0, 0.02))
        elif kind < 0.75:
            try:
                process.wait(rng.uniform(0.01, 0.1 + seconds/4))
            except subprocess.TimeoutExpired:
                pass
        else:
            before = len(events(folder))
            self.wait_for(process, lambda: len(events(folder)) > before + 1, 1)
            time.sleep(rng.uniform(0, 0.02))

    def stage(self, folder, nsamples):
        state = state_of(folder)
        if not os.path.exists(os.path.join(folder, "run.json")):
            return "kills before run.json"
        if state is None:
            return "kills before a checkpoint"
        if len(state["finished"]) == nsamples:
            return "kills after all samples"
        return "kills in a warm-up" if state.get("warming") else "kills in the draws" if "step" in state else "kills between samples"

    def check_state(self, folder):
        """The newest state has what the log promises."""
        state, (sample, draw) = state_of(folder), self.promised(folder)
        done = len(state["finished"]) if state else 0
        self.assertGreaterEqual((done, state.get("draw", -1) if state else -1), (sample, draw), folder)
        return state

    def check_resumed(self, folder, state, before):
        """The run went on from that state."""
        for e in events(folder)[before:]:
            if e["event"] == "resume":
                want = {k: state.get(k, 0) for k in ("task", "step", "draw")} if state else {"from": "the beginning"}
                self.assertEqual({k: e.get(k) for k in want}, want)
                self.counts["resumptions checked"] += 1
                return

    def run_killed(self, model, seed, rng, kills):
        """One run to its end, with so many kills at most; how many there were."""
        text, arguments = MODELS[model]
        reference = self.reference(text, "--seed", str(seed), *arguments)
        folder, killed, before, state = self.path(f"{model} {rng.random()}"), 0, 0, None
        self.write(text)
        nsamples = len(reference[1]["sample"]) + len(reference[1].get("minimize", []))
        while True:
            begun = os.path.exists(os.path.join(folder, "run.json"))
            known = begun and rng.random() < 0.5             # then the seed and the parameters are those of run.json
            process = self.start("run", "model.lqft", "--out", folder, "--json", "--quiet", *some(rng), *(["--resume"] if begun or rng.random() < 0.5 else []),
                                 *([] if known else ["--seed", str(seed), *arguments]))
            if killed < kills:
                self.delay(process, folder, rng, reference[2])
                process.kill()
            self.finish(process, None)
            self.assertIn(process.returncode, (0, -signal.SIGKILL), process.err)
            self.check_resumed(folder, state, before)
            if process.returncode == 0:
                self.assertSame(folder, process, reference, model)
                shutil.rmtree(folder)
                return killed
            state = self.check_state(folder)
            before = len(events(folder))
            killed += 1
            self.counts["kills"] += 1
            self.counts[self.stage(folder, nsamples)] += 1

    def kills(self, model, n):
        rng = random.Random(model)
        killed = 0
        while killed < n:
            killed += self.run_killed(model, 7, rng, n - killed)


for _model in MODELS:
    setattr(Kills, "test_" + _model.replace(" ", "_"), lambda self, model=_model: self.kills(model, 4 if QUICK else 26))


# ---- signals, time, and runs that are done ------------------------------------------------------------------


class Signals(Case):
    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)

    def test_every_signal(self):
        rng = random.Random(5)
        for model in ("hmc", "train", "scan", "ising"):
            text, arguments = MODELS[model]
            reference = self.reference(text, "--seed", "11", *arguments)
            for sig in rng.sample(self.SIGNALS, 1) if QUICK else self.SIGNALS:
                self.one(text, arguments, sig, rng, reference)

    def one(self, text, arguments, sig, rng, reference):
        folder = self.path("run")
        shutil.rmtree(folder, True)
        process = self.start("run", self.write(text), "--seed", 11, *arguments, "--out", folder, "--json", "--quiet", *some(rng))
        for left in range(3, -1, -1):                        # three signals, or until it ends by itself
            seen = len(events(folder))
            self.wait_for(process, lambda: len(events(folder)) > seen)
            if left:
                time.sleep(rng.uniform(0, reference[2]/2))
            ended = process.poll() is not None
            if left:
                process.send_signal(sig)
            self.finish(process, None if left else 0)
            if process.returncode == 0:
                break
            self.assertFalse(ended, process.err)
            self.assertEqual(process.returncode, 75, f"{sig}: {process.err}")
            self.assertEqual(events(folder)[-1]["event"], "interrupted")
            self.assertTrue(states(folder), sig)
            self.counts["signals, status 75"] += 1
            self.report(folder, process)
            process = self.start("run", "model.lqft", "--out", folder, "--resume", "--json", "--quiet", *some(rng))
        self.assertSame(folder, process, reference, str(sig))

    def report(self, folder, process):
        """`lqft report` says what the run printed when it was interrupted.  One that was stopped on its way
        back to the newest state printed what comes before."""
        report = self.lqft("report", folder, "--json")
        last = [e["event"] for e in events(folder)]
        early = not {"checkpoint", "sampled"} & set(last[max(k for k, e in enumerate(last) if e in ("begin", "resume")):])
        for part in ("report", "params", "seed", "sample", "minimize"):
            got, want = (timeless(json.loads(p.out), folder).get(part) for p in (report, process))
            if early and part == "report":
                got = {k: got[k] for k in want}
            elif early and isinstance(got, list):
                got = got[:len(want or [])] or want
            self.assertEqual(got, want, part)
        self.counts["reports after an interruption"] += 1

    def test_a_second_one_ends_it(self):
        for sig in (signal.SIGINT, signal.SIGTERM)[:1 if QUICK else 2]:
            shutil.rmtree(self.path("run"), True)
            process = self.start("run", self.write(SMALL), "--seed", 3, "--out", self.path("run"), "--quiet", "--checkpoint", "0.01", *SLOW)
            self.assertTrue(self.wait_for(process, lambda: events(self.path("run"))))
            time.sleep(0.1)
            begin = time.monotonic()
            process.send_signal(sig)
            time.sleep(0.1)
            self.assertIsNone(process.poll(), "the first signal lets the step end: the test needs a longer one")
            process.send_signal(sig)
            self.finish(process, 128 + sig)
            self.assertLess(time.monotonic() - begin, 1)
            self.assertNotEqual(events(self.path("run"))[-1]["event"], "interrupted")
            self.counts["ended by a second signal"] += 1

    def test_max_time(self):
        seconds = 0.2 if QUICK else 1
        arguments = ["draws=12000"] if QUICK else ["draws=60000"]
        reference = self.reference(HMC.replace('save G to "below/G.npy"', ""), "--seed", "2", "--threads", "1", *arguments)
        text = self.write(HMC.replace('save G to "below/G.npy"', ""))
        begin, n = time.monotonic(), 1
        done = self.lqft("run", text, "--seed", 2, "--out", self.path("run"), "--threads", 1, "--json", "--quiet", "--max-time", seconds, *arguments, status=75)
        self.assertGreater(time.monotonic() - begin, 0.9*seconds)
        self.assertEqual(events(self.path("run"))[-1]["event"], "interrupted")
        while done.returncode == 75 and n < 50:
            done, n = self.lqft("run", text, "--out", self.path("run"), "--resume", "--json", "--quiet", "--max-time", seconds, status=None), n + 1
        self.assertGreater(n, 1)
        self.counts["parts by --max-time"] = n
        self.assertSame(self.path("run"), done, reference)


class Done(Case):
    def test_resumed_when_it_is_done(self):
        for model in ("hmc",) if QUICK else ("hmc", "train", "scan", "langevin"):
            text, arguments = MODELS[model]
            reference = self.reference(text, "--seed", "7", *arguments)
            shutil.rmtree(self.path("run"), True)
            self.lqft("run", self.write(text), "--seed", 7, "--out", self.path("run"), "--json", "--quiet", *arguments)
            before, log = tree(self.path("run")), len(events(self.path("run")))
            for _ in range(2):
                done = self.resume()
                self.assertSame(self.path("run"), done, reference, model)
                new = [e["event"] for e in events(self.path("run"))[log:]]
                self.assertEqual(set(new), {"resume", "done"}, "nothing is sampled again")
            after = tree(self.path("run"))
            for name in before:
                if name.startswith(("measurements.h5", "checkpoint/", "run.json")):
                    self.assertTrue(after.get(name) == before[name], name)
            answer = json.loads(self.lqft("report", "run", "--json").out)
            self.assertEqual(answer["report"], json.loads(done.out)["report"])
            self.page(self.path("run", "report.html"), "\nplot" in text)

    def page(self, path, figures):
        """One page that needs nothing from elsewhere."""
        with open(path, encoding="utf-8") as f:
            text = f.read()
        self.assertEqual("<svg" in text, figures)
        self.assertNotRegex(text, r"(?i)<script[^>]*\ssrc|<link\b|<iframe|<object|<embed|@import|url\(\s*['\"]?(?!#|data:)")
        for name, value in re.findall(r"(?i)\b(src|href|data|poster|action|srcset)\s*=\s*[\"']?([^\"'\s>]*)", text):
            self.assertRegex(value, r"^(#|data:)", f"{name} = {value}")
        self.counts["pages"] += 1

    def test_begins_where_nothing_is(self):
        reference = self.reference(SMALL, "--seed", "4")
        self.write(SMALL)
        os.mkdir(self.path("empty"))
        for name in ("empty", "new", "new/below/this"):
            done = self.resume("--seed", 4, name=name)
            self.assertEqual(events(self.path(name))[0]["event"], "begin")
            if name != "new":                                # which has another run below it
                self.assertSame(self.path(name), done, reference, name)
        self.assertIn("--out", self.lqft("run", "model.lqft", "--resume", status=2).err)


# ---- damage ----------------------------------------------------------------------------------------------------


def flip(path, rng, n=1):
    with open(path, "r+b") as f:
        data = bytearray(f.read())
        for _ in range(n):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        f.seek(0)
        f.write(data)


def cut(path, rng):
    size = os.path.getsize(path)
    os.truncate(path, rng.choice((0, size - 1, size - 8, rng.randrange(size))))


def blank(path, rng):
    """A part that never came to the disk."""
    with open(path, "r+b") as f:
        f.seek(rng.randrange(max(os.path.getsize(path) - 4096, 1)))
        f.write(bytes(min(4096, os.path.getsize(path))))


class Damage(Case):
    SEED = "8"

    def setUp(self):
        super().setUp()
        self.whole = self.reference(SMALL, "--seed", self.SEED)
        self.interrupted(SMALL, "--seed", self.SEED, name="kept", checkpoints=3)
        self.draws = state_of(self.path("kept"))["draw"]

    def fresh(self):
        shutil.rmtree(self.path("run"), True)
        shutil.copytree(self.path("kept"), self.path("run"))
        return self.path("run")

    def test_states(self):
        """One of the two is damaged: the other is used."""
        rng = random.Random(1)
        self.assertEqual(len(states(self.path("kept"))), 2)
        for k in range(4 if QUICK else 30):
            folder = self.fresh()
            which = -1 if k % 4 else 0
            change = rng.choice((flip, flip, cut, blank))
            change(states(folder)[which], rng)
            done = self.resume()
            if which == -1:
                self.assertIn("the state before it is used", done.err, change.__name__)
                self.assertIn(os.path.basename(states(self.path("kept"))[-1]), done.err)
            self.assertSame(folder, done, self.whole, change.__name__)
            self.counts["newest states damaged" if which else "older states damaged"] += 1

    def test_both_states(self):
        rng = random.Random(2)
        for _ in range(1 if QUICK else 8):
            folder = self.fresh()
            for path in states(folder):
                rng.choice((flip, cut))(path, rng)
            before = tree(folder)
            done = self.resume(status=65)
            self.assertRegex(done.err, "(?s)checkpoint: no state is whole: .*state-.*state-")
            self.assertEqual(done.out, "")
            after = tree(folder)
            for name in before:
                if name != "log.jsonl":
                    self.assertTrue(after.get(name) == before[name], name)
            self.prefix(folder)
            self.counts["both states damaged, refused"] += 1

    def prefix(self, folder):
        """The draws up to the interruption are there, and those of the whole run."""
        if not HDF5.lib:
            return
        got = HDF5.read(os.path.join(folder, "measurements.h5"))
        whole = self.whole[0]["measurements"]
        self.assertEqual(got.keys(), whole.keys())
        compared = 0
        for name, (shape, data) in got.items():
            full, numbers = whole[name]
            if len(shape) < 2 or shape == full:
                continue
            self.assertEqual(shape[1], self.draws)
            row = 8*len(numbers)//8//(full[0]*full[1])
            for chain in range(shape[0]):
                self.assertEqual(data[chain*shape[1]*row:(chain + 1)*shape[1]*row], numbers[chain*full[1]*row:(chain*full[1] + shape[1])*row], name)
            compared += 1
        self.assertGreater(compared, 2)

    def harmless_or_refused(self, damage, what, times, words):
        """Whatever is damaged: the same bits in the end, or a refusal that names the file."""
        for _ in range(times):
            folder = self.fresh()
            damage(folder)
            done = self.resume(status=None)
            if done.returncode == 0:
                self.assertSame(folder, done, self.whole, what)
                self.counts[what + ", the same in the end"] += 1
                continue
            self.assertEqual(done.returncode, 65, done.err)
            self.assertRegex(done.err, words)
            self.assertEqual(done.out, "")
            self.counts[what + ", refused"] += 1

    def test_run_json(self):
        rng = random.Random(3)

        def damage(folder):
            rng.choice((flip, flip, flip, cut))(os.path.join(folder, "run.json"), rng)
        self.harmless_or_refused(damage, "run.json damaged", 4 if QUICK else 60, r"run\.json")
        self.assertEqual(self.counts["run.json damaged, the same in the end"], 0)
        for a, b in (('"seed": 8', '"seed": 9'), ('"given": {}', '"given": {"steps": "7"}'), ('"kappa": 0.2', '"kappa": 0.3')):
            path = os.path.join(self.fresh(), "run.json")
            with open(path, encoding="utf-8") as f:
                text = f.read()
            self.assertIn(a, text)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text.replace(a, b))
            self.assertIn("run.json is damaged", self.resume(status=65).err)
            self.assertIn("run.json is damaged", self.lqft("report", "run", status=65).err)

    def test_measurements(self):
        rng = random.Random(4)

        def damage(folder):
            path = os.path.join(folder, "measurements.h5")
            change = rng.choice((flip, flip, cut, blank))
            change(path, rng)
        self.harmless_or_refused(damage, "measurements.h5 damaged", 6 if QUICK else 50, r"measurements\.h5")
        os.remove(os.path.join(self.fresh(), "measurements.h5"))
        self.assertIn("measurements.h5", self.resume(status=65).err)

    def test_report_of_damaged_measurements(self):
        rng = random.Random(5)
        self.fresh()
        right = timeless(json.loads(self.lqft("report", "run", "--json").out), "")["report"]
        for _ in range(2 if QUICK else 20):
            folder = self.fresh()
            rng.choice((flip, cut, blank))(os.path.join(folder, "measurements.h5"), rng)
            done = self.lqft("report", "run", "--json", status=None)
            self.assertIn(done.returncode, (0, 65), done.err)
            if done.returncode == 0:
                self.assertEqual(json.loads(done.out)["report"], right)
            self.counts["reports right" if done.returncode == 0 else "reports refused"] += 1

    def test_index(self):
        rng = random.Random(6)

        def damage(folder):
            path, = glob.glob(os.path.join(folder, "checkpoint", "index-*"))
            rng.choice((flip, cut))(path, rng)
        self.harmless_or_refused(damage, "index damaged", 2 if QUICK else 20, r"measurements\.h5|index-")

    def test_log(self):
        for text in (b"", b"no JSON\n\x00\xff", b"{\"half\": "):
            folder = self.fresh()
            with open(os.path.join(folder, "log.jsonl"), "wb") as f:
                f.write(text)
            self.assertSame(folder, self.resume(), self.whole)


# ---- disks ----------------------------------------------------------------------------------------------------------


class Disk:
    """A file system of its own, in a name space of its own that a sleeping process keeps."""

    def __init__(self, folder, options):
        self.process = None
        os.makedirs(folder, exist_ok=True)
        for flags in ("-m", "-rm"):
            try:
                p = subprocess.Popen(["unshare", flags, "sh", "-c", f'mount -t tmpfs -o {options} none "$0" && echo ready && exec sleep 1000', folder],
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            except OSError:
                return
            if p.stdout.readline() == b"ready\n":
                self.process, self.path = p, os.path.join("/proc", str(p.pid), "root") + folder
                return
            p.wait(), p.stdout.close()

    def close(self):
        if self.process:
            self.process.kill(), self.process.wait(), self.process.stdout.close()


class Disks(Case):
    def disk(self, options):
        disk = Disk(self.path("mount"), options)
        self.addCleanup(disk.close)
        if not disk.process or not os.path.isdir(disk.path):
            say("  skipped: unshare makes no mount here")
            self.skipTest("no mount")
        return disk.path

    def fill(self, path, room):
        """Leaves so many bytes."""
        s = os.statvfs(path)
        n = s.f_bavail*s.f_frsize - room
        with open(os.path.join(path, "ballast"), "wb") as f:
            if n > 0:
                f.write(bytes(n))

    def test_full(self):
        rng = random.Random(1)
        whole = self.reference(SMALL, "--seed", "6")
        top = self.disk("size=40m")
        self.write(SMALL)
        need = 8_000_000
        for k in range(4 if QUICK else 16):
            folder = os.path.join(top, f"run{k}")
            arguments = ["run", "model.lqft", "--seed", 6, "--out", folder, "--json", "--quiet", "--resume", *some(rng)]
            self.fill(top, int(4096*2**rng.uniform(0, 10.5)) if k else 0)
            done = self.lqft(*arguments, status=None)
            for _ in range(2):
                if done.returncode == 0:
                    self.counts["ran in what there was"] += 1
                    break
                self.assertIn(done.returncode, (73, 74), done.err)
                self.assertIn("No space left", done.err)
                self.counts[f"status {done.returncode}"] += 1
                done = self.lqft(*arguments, status=None)        # still full
            os.remove(os.path.join(top, "ballast"))
            self.assertGreater(os.statvfs(top).f_bavail*4096, need)
            self.assertSame(folder, self.lqft(*arguments), whole, f"disk {k}")
            shutil.rmtree(folder)
        self.assertGreater(self.counts["status 74"], 0)

    def test_read_only(self):
        top = self.disk("ro")
        self.write(SMALL)
        for name in ("", "below", "a/b"):
            done = self.lqft("run", "model.lqft", "--out", os.path.join(top, name), status=73)
            self.assertRegex(done.err, "lqft: .*(Read-only|cannot create)")
            self.counts["refused with 73"] += 1

    def test_limits_of_files(self):
        """RLIMIT_FSIZE: the writes fail; the signal SIGXFSZ kills nobody."""
        whole = self.reference(SMALL, "--seed", "6")
        self.write(SMALL)
        for limit in (100, 100000) if QUICK else (0, 100, 1000, 4096, 10000, 30000, 100000, 300000, 1000000, 3000000):
            shutil.rmtree(self.path("run"), True)
            done = self.lqft("run", "model.lqft", "--seed", 6, "--out", self.path("run"), "--json", "--quiet", "--checkpoint", "0.01", status=None,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
            self.assertIn(done.returncode, (73, 74), f"{limit}: {done.err}")
            self.assertIn("File too large", done.err)
            self.assertSame(self.path("run"), self.resume("--seed", 6), whole, f"limit {limit}")
            self.counts["limits"] += 1

    def test_full_standard_output(self):
        whole = self.reference(SMALL, "--seed", "6")
        self.write(SMALL)
        with open("/dev/full", "wb") as full:
            done = self.lqft("run", "model.lqft", "--seed", 6, "--out", self.path("run"), "--json", "--quiet", status=74, stdout=full)
        self.assertIn("No space left", done.err)
        self.assertSame(self.path("run"), self.resume(), whole)


# ---- what is refused ------------------------------------------------------------------------------------------------------


class Refusals(Case):
    def test_two_runs(self):
        process = self.start("run", self.write(SMALL), "--seed", 3, "--out", self.path("run"), "--quiet", *SLOW)
        self.addCleanup(process.kill)
        self.assertTrue(self.wait_for(process, lambda: events(self.path("run"))))
        for more in ([], ["--resume"]):
            done = self.lqft("run", "model.lqft", "--seed", 3, "--out", self.path("run"), "--quiet", *SLOW, *more, status=73)
            self.assertRegex(done.err, rf"another run writes to this directory: process {process.pid}\b" if more else "a run is in this directory already")
            self.counts["refused with 73"] += 1
        self.assertIsNone(process.poll(), "the first run goes on")
        process.kill()                                       # its lock goes with it
        self.finish(process, -signal.SIGKILL)
        process = self.start("run", "model.lqft", "--resume", "--out", self.path("run"), "--quiet", *SLOW)
        self.assertTrue(self.wait_for(process, lambda: events(self.path("run"))[-1]["event"] == "resume"))
        process.kill()
        self.finish(process, -signal.SIGKILL)

    def test_another_run(self):
        self.interrupted(SMALL, "--seed", "3", "steps=5", "kappa=0.21")
        before = tree(self.path("run"))
        for argument, values in (("--seed=4", ("3", "4")), ("kappa=0.3", ("0.2", "0.3")), ("L=6", ("8", "6")), ("draws=17", ("6000", "17")),
                                 ("chains=3", ("8", "3")), ("steps=7", ("5", "7")), ("warmup=1", ("300", "1")), ("thin=2", ("1", "2")),
                                 ("precision=single", ("double", "single")), ("length=2", ("nothing", "2")), ("target=0.7", ("nothing", "0.7"))):
            done = self.resume(argument, status=65)
            self.assertEqual(done.out, "")
            there, here = re.search(r"cannot resume the run in .*?: .*?([^ ]*) there, ([^ ]*) here$", done.err, re.M).groups()
            self.assertTrue(there.strip('"').startswith(values[0]), done.err)
            self.assertTrue(float(here.strip('"')) == float(values[1]) if values[1][0].isdigit() else here.strip('"') == values[1], done.err)
            self.counts["other values refused"] += 1
        self.write(SMALL + "# a remark\n")
        self.assertIn("the text of the model", self.resume(status=65).err)
        after = tree(self.path("run"))
        self.assertEqual(sorted(after), sorted(before))
        self.assertTrue(after == before, "a run that is refused changes nothing")
        self.write(SMALL)
        self.resume("--seed", 3, "kappa=0.21", "steps=5", "draws=6000")          # the same, said again

    def test_other_directories(self):
        self.write(SMALL)
        self.write("mine", "foreign/letter.txt")
        os.symlink("foreign", self.path("link"))
        self.write("", "file")
        for name in ("foreign", "link", "file", "file/below"):
            for more in ([], ["--resume"]):
                before = tree(self.folder)
                done = self.lqft("run", "model.lqft", "--out", self.path(name), *more, status=73)
                self.assertRegex(done.err, "lqft: .*(not empty|cannot create|cannot open)")
                self.assertEqual(tree(self.folder), before)
                self.counts["refused with 73"] += 1
        self.lqft("run", "model.lqft", "--out", self.path("run"), "--quiet", "--seed", 1)
        self.assertIn("--resume continues it", self.lqft("run", "model.lqft", "--out", self.path("run"), status=73).err)
        for name in ("foreign", "nowhere"):
            self.assertIn("there is no run", self.lqft("report", name, status=66).err)


class Folders(Case):
    """A model reads and writes below its own folder, --data and --out, and nowhere else."""
    NET = "import nn.dense, optimizers.adam\nnetwork net = dense(1)\n"

    def setUp(self):
        super().setUp()
        self.write("x\n1\n2\n3\n", "outside/secret.csv")
        self.write("", "inner/model.lqft")
        self.write("kept as it is", "outside/out.npz")
        self.lqft("run", self.write(self.NET + "minimize sumsq(net(2.0) - 1) over net.weights with adam() { steps = 2 }\n"
                                    'save net.weights to "w.npz"\n', "outside/make.lqft"), "--quiet")
        for name, to in (("csv.csv", "../outside/secret.csv"), ("w.npz", "../outside/w.npz"), ("out.npz", "../outside/out.npz"),
                         ("folder", "../outside"), ("dangling.npz", "../outside/new.npz"), ("nowhere", "../outside/new/folder"),
                         ("absolute.npz", self.path("outside", "out.npz")), ("self", "self")):
            os.symlink(to, self.path("inner", name))

    def refused(self, text, statuses, *more):
        before = tree(self.path("outside"))
        links = {n: os.readlink(self.path("inner", n)) for n in os.listdir(self.path("inner")) if os.path.islink(self.path("inner", n))}
        done = self.lqft("run", self.write(text, "inner/model.lqft"), "--quiet", *more, status=None)
        self.assertIn(done.returncode, statuses, f"{text}\n{done.err}")
        self.assertRegex(done.err, r"error\[|cannot|symbolic")
        self.assertTrue(tree(self.path("outside")) == before, text)
        for name, to in links.items():
            self.assertEqual(os.readlink(self.path("inner", name)), to, text)
        return done

    def reading(self):
        outside = self.path("outside")
        return {"csv": ("../outside/secret.csv", f"{outside}/secret.csv", "csv.csv", "folder/secret.csv", "./folder/../../outside/secret.csv"),
                "npz": ("../outside/w.npz", f"{outside}/w.npz", "w.npz", "folder/w.npz", "dangling.npz", "self", "nowhere/w.npz")}

    def test_reads(self):
        for more in ([], ["--out", "out"], ["--data", "inner"]):
            for name in self.reading()["csv"]:
                done = self.refused(f'axis N = 3\ndata x[N] = load("{name}")\nreport s = sum(x)\n', (1,), *more)
                self.assertNotIn("= 6", done.out)
                self.counts["data refused"] += 1
            for name in self.reading()["npz"]:
                self.refused(self.NET + f'load net.weights from "{name}"\nreport n = net(1.0)\n', (1, 65, 66), *more)
                self.counts["weights refused"] += 1
                shutil.rmtree(self.path("out"), True)
        good = self.write('axis N = 3\ndata x[N] = load("secret.csv")\nreport s = sum(x)\n', "inner/model.lqft")
        self.assertIn("s = 6", self.lqft("run", good, "--data", "outside").out)

    def writing(self):
        outside = self.path("outside")
        return ("../outside/out.npz", "../new.npz", f"{outside}/out.npz", f"{outside}/new.npz", "out.npz", "absolute.npz", "dangling.npz",
                "folder/new.npz", "nowhere/new.npz", "a/../../outside/new.npz", "folder/sub/new.npz")

    def test_writes(self):
        for statement, head in (("save d to", "axis N = 3\ndata d[n in N] = n\n"),
                                ("save net.weights to", self.NET + "minimize sumsq(net(2.0) - 1) over net.weights with adam() { steps = 2 }\n")):
            for name in self.writing():
                self.refused(head + f'{statement} "{name}"\n', (1, 73))
                self.counts["files refused"] += 1
        self.assertEqual(sorted(os.listdir(self.folder)), ["inner", "outside"])

    def test_plots(self):
        """Figures have names of their own, which a link may have had before."""
        text = "grid W = linspace(0, 1, 8)\nplot w^2 for w in W { title = \"../../t\" }\n"
        self.lqft("run", self.write(text, "inner/model.lqft"), "--quiet")
        figure, = glob.glob(self.path("inner", "model*.svg"))
        os.remove(figure)
        for to in ("../outside/secret.csv", "../outside/figure.svg", self.path("outside", "secret.csv")):
            os.symlink(to, figure)
            before = tree(self.path("outside"))
            self.lqft("run", "inner/model.lqft", "--quiet", status=None)
            self.assertEqual(tree(self.path("outside")), before)
            os.remove(figure)
            self.counts["links in the place of figures"] += 1

    def test_links_in_a_run_directory(self):
        """Put there while the run was stopped, in the place of what is written next."""
        self.write(SMALL)
        whole = self.reference(SMALL, "--seed", "9")
        for name in ("below/G.npy", "below", "summary.json", "model.history-M.svg", "checkpoint/state-999999", "log.jsonl", "report.html"):
            shutil.rmtree(self.path("run"), True)
            self.interrupted(SMALL, "--seed", "9")
            path = self.path("run", name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.remove(path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(self.path("outside") if name == "below" else self.path("outside", "secret.csv"), path)
            before = tree(self.path("outside"))
            done = self.resume(status=None)
            self.lqft("report", "run", status=None)
            self.assertEqual(tree(self.path("outside")), before, name)
            if done.returncode == 0 and not os.path.islink(path) and name != "report.html":
                self.assertEqual(self.answer(done, self.path("run"))["report"], whole[1]["report"])
            self.counts["links in a run directory"] += 1


# ---- what it costs --------------------------------------------------------------------------------------------------------


class Cost(Case):
    def test_of_writing(self):
        """Processor time with --out over that without, of the first example: less than 2 %."""
        pairs, draws = (3, 300) if QUICK else (11, 1000)
        shutil.copy(os.path.join(ROOT, "examples", "phi4.lqft"), self.path("phi4.lqft"))
        plain, kept = [], []
        for k in range(-1, pairs):
            for with_out in (True, False) if k % 2 else (False, True):
                shutil.rmtree(self.path("run"), True)
                process = subprocess.Popen([LQFT, "run", "phi4.lqft", f"draws={draws}", "--seed", "1", "--threads", "1", "--quiet", *(["--out", self.path("run")] if with_out else [])],
                                           cwd=self.folder, env=dict(os.environ, LQFT_CACHE=CACHE), stdout=subprocess.DEVNULL)
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                self.assertEqual(process.returncode, 0)
                if k >= 0:
                    (kept if with_out else plain).append(usage.ru_utime + usage.ru_stime)
        ratios = [b/a - 1 for a, b in zip(plain, kept)]
        cost = statistics.median(kept)/statistics.median(plain) - 1
        # a median of n numbers scatters by 1.25 σ/√n; σ from the distance of the quartiles
        low, _, high = statistics.quantiles(ratios, n=4)
        error = 1.2533*(high - low)/1.349/len(ratios)**0.5
        say(f"  writing costs {100*cost:.2f} ± {100*error:.2f} % of {statistics.median(plain):.2f} s, {pairs} pairs; "
            f"{64*draws} trajectories, median of the pairs {100*statistics.median(ratios):.2f} %")
        self.assertLess(cost, 0.02 + error)


def main():
    if not HDF5.lib:
        say("  libhdf5 is not found: measurements.h5 is not compared")
    try:
        unittest.main()
    finally:
        shutil.rmtree(CACHE, True)


if __name__ == "__main__":
    main()
