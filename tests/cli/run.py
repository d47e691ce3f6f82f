#!/usr/bin/env python3
"""The command line as people and scripts meet it: exit statuses, what goes to which
stream, files, terminals, signals.

    tests/cli/run.py [--lqft PATH] [-v] [NAME …]

NAME selects tests, such as Statuses or Statuses.test_usage.
"""
import ast
import json
import math
import os
import pty
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import script

ROOT = script.ROOT
LQFT = script.path("--lqft", "build/lqft")

MODEL = """
import samplers.hmc

param L      = 8
param kappa  = 0.2
param lambda = 0.02

lattice X = torus(L, L)
field   phi[X] : real

action S(phi) = sum[x in X] ( -2*kappa * sum[mu in X.dirs] phi[x]*phi[x + mu]
                              + (1 - 2*lambda) * phi[x]^2 + lambda * phi[x]^4 )
observable M(phi) = mean[x in X] phi[x]
observable slices(phi) {
  s[t in X.axes[0]] = mean[x in X if x[0] == t] phi[x]
  return s
}

sample phi ~ exp(-S(phi)) with hmc(length = 1, steps = 6) { chains = 8  warmup = 50  draws = 100 }

report chi2 = volume(X) * (E[M^2] - E[M]^2)
report phi2 = E[mean[x in X] phi[x]^2]
"""
CORRELATOR = "report G[t in X.axes[0]] = E[slices[0]*slices[t]]\n"
NOT_FINITE = """
import samplers.hmc
lattice X = torus(4)
field phi[X] : real
action S(phi) = sum[x in X] log(phi[x])
sample phi ~ exp(-S(phi)) with hmc(tune = false) { chains = 4  warmup = 0  draws = 10 }
report a = E[phi[0]]
"""


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="lqft-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, True)

    def write(self, text, name="model.lqft"):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def lqft(self, *arguments, status=0, stdout=subprocess.PIPE, **more):
        """Runs lqft in the test's folder; out and err of the answer are text."""
        environment = dict(os.environ, **more.pop("env", {}))
        done = subprocess.run([LQFT, *arguments], stdout=stdout, stderr=subprocess.PIPE, cwd=more.pop("cwd", self.folder),
                              env=environment, timeout=100, **more)
        done.out = (done.stdout or b"").decode()
        done.err = done.stderr.decode()
        if status is not None:
            self.assertEqual(done.returncode, status, f"{arguments}\n{done.out}\n{done.err}")
        self.assertNotIn("internal error", done.err)
        return done

    def report(self, *arguments, **more):
        return json.loads(self.lqft("run", *arguments, "--json", "--quiet", **more).out)

    def on_terminal(self, *arguments, term="xterm", columns=100, **environment):
        """Runs lqft with its standard error on a pseudo-terminal, and returns what that showed."""
        master, slave = pty.openpty()
        import fcntl
        import termios
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
        env.update(environment, TERM=term)
        process = subprocess.Popen([LQFT, *arguments], stdout=subprocess.DEVNULL, stderr=slave, cwd=self.folder, env=env)
        os.close(slave)
        shown = drain(master)
        self.status = process.wait(60)
        os.close(master)
        return shown


def drain(master, until=None, seconds=60):
    shown = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (until and until in shown):
        if not select.select([master], [], [], 0.2)[0]:
            continue
        try:
            piece = os.read(master, 65536)
        except OSError:             # the other end is closed
            break
        if not piece:
            break
        shown += piece
    return shown.decode(errors="replace")


def read_npy(path):
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    length, = struct.unpack("<H", data[8:10])
    assert (10 + length) % 64 == 0
    header = ast.literal_eval(data[10:10 + length].decode())
    assert header["descr"] == "<f8" and not header["fortran_order"]
    count = 1
    for n in header["shape"]:
        count *= n
    assert len(data) == 10 + length + 8 * count
    return header["shape"], struct.unpack(f"<{count}d", data[10 + length:])


class Statuses(Case):
    def test_done(self):
        done = self.lqft("run", self.write(MODEL))
        self.assertIn("chi2", done.out)
        self.assertIn("phi2", done.out)

    def test_errors_of_the_program(self):
        path = self.write(MODEL.replace("phi[x]^4", "psi[x]^4"))
        done = self.lqft("run", path, status=1)
        self.assertEqual(done.out, "")
        self.assertRegex(done.err, r"model\.lqft:12:\d+: error\[E\d{4}\]: .*psi")
        self.lqft("run", self.write("param = \n"), status=1)

    def test_usage(self):
        model = self.write(MODEL)
        for wrong in (["rum", model], ["run"], ["run", model, "--sed", "1"], ["run", model, "--seed"], ["run", model, "--seed", "x"],
                      ["run", model, "--seed", "-1"], ["run", model, "--seed", "4294967296"], ["run", model, "--chains", "0"],
                      ["run", model, "--threads", "no"], ["run", model, "--device", "abacus"], ["run", model, "other.lqft"],
                      ["run", model, "L=4", "L=8"], ["show", model], ["show", model, "farce"], ["explain"], ["explain", "E9999"],
                      ["run", model, "--color", "pink"]):
            done = self.lqft(*wrong, status=2)
            self.assertEqual(done.out, "", wrong)
            self.assertTrue(done.err.startswith("lqft: "), done.err)
        self.assertIn("`L` is given twice", self.lqft("run", model, "L=4", "L=5", status=2).err)
        self.assertIn("did you mean `run`?", self.lqft("rum", model, status=2).err)
        self.assertIn("did you mean `force`?", self.lqft("show", model, "farce", status=2).err)

    def test_help_and_version(self):
        self.assertIn("usage: lqft run", self.lqft("--help").out)
        self.assertRegex(self.lqft("--version").out, r"^lqft \d+\.\d+\n$")

    def test_strict(self):
        stuck = self.write(MODEL.replace("hmc(length = 1, steps = 6)", "hmc(length = 60, steps = 1, tune = false)"))
        done = self.lqft("run", stuck, "--strict", status=3)
        self.assertIn("failed[D0101]", done.out)
        self.lqft("run", stuck, status=0)
        self.lqft("run", self.write(MODEL), "--strict", "draws=1000", "--seed", "1", status=0)

    def test_no_such_input(self):
        for path in ("missing.lqft", self.folder, "/dev/null/x.lqft"):
            done = self.lqft("run", path, status=66)
            self.assertIn(path, done.err)
        self.lqft("check", "missing.lqft", status=66)
        self.lqft("show", "missing.lqft", "force", status=66)

    def test_not_finite(self):
        path = self.write(NOT_FINITE)
        done = self.lqft("run", path, status=70)
        self.assertEqual(done.out, "")
        self.assertRegex(done.err, r"model\.lqft:6:\d+: error: the acceptance ratio of `exp\(-S\(phi\)\)` is not a finite number "
                         r"in chain \d+ at step 1\n")
        measured = self.write(MODEL + "report bad = E[log(-M^2)]\n")
        done = self.lqft("run", measured, status=70)
        self.assertRegex(done.err, r"model\.lqft:23:\d+: error: `.*log\(-M\^2\).*` is not a finite number in chain \d+ at step 51\n")

    def test_cannot_create(self):
        model = self.write(MODEL + "plot history(M)\n")
        self.write("", "file")
        for folder in ("file", "file/below", "/dev/null/x", ""):
            done = self.lqft("run", model, "--out", folder, status=73)
            self.assertRegex(done.err, f"lqft: .*{re.escape(folder)}.*: ")
            self.assertEqual(done.out, "")          # before anything is computed
        os.mkdir(os.path.join(self.folder, "model.history-M.svg"))
        done = self.lqft("run", model, status=74)
        self.assertIn("lqft: cannot write", done.err)
        self.assertIn("chi2", done.out)             # a file that cannot be written costs no numbers

    def test_cannot_write(self):
        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        model = self.write(MODEL + "plot history(M)\n")
        done = self.lqft("run", model, status=74, preexec_fn=small_files, restore_signals=False)
        self.assertIn("lqft: cannot write", done.err)
        self.assertEqual(os.listdir(self.folder), ["model.lqft"])

    def test_full_disk_at_stdout(self):
        model = self.write(MODEL)
        for arguments in (["run", model], ["run", model, "--json"], ["show", model, "force"], ["explain", "E0101"], ["--help"], ["--version"]):
            with open("/dev/full", "wb") as full:
                done = self.lqft(*arguments, status=74, stdout=full)
            self.assertIn("No space left", done.err)

    def test_read_only_folder(self):
        model = self.write(MODEL + "plot history(M)\n")
        os.chmod(self.folder, 0o555)
        self.addCleanup(os.chmod, self.folder, 0o755)
        more = {}
        if os.geteuid() == 0:                       # root may write anywhere: become nobody
            more = {"user": 65534, "group": 65534, "extra_groups": []}
        try:
            done = self.lqft("run", model, status=None, **more)
        except PermissionError:
            self.skipTest("nobody cannot reach the executable")
        if done.returncode in (66, 126, 127):
            self.skipTest("nobody cannot reach the folder")
        self.assertEqual(done.returncode, 73, done.err)
        self.assertRegex(done.err, r"lqft: cannot create .*model\.history-M\.svg: Permission denied")


class Streams(Case):
    def test_json(self):
        model = self.write(MODEL + CORRELATOR)
        done = self.lqft("run", model, "--json", "--seed", "3")
        answer = json.loads(done.out)                       # fails when anything else is printed
        for key in ("program", "params", "seed", "report", "diagnostics", "timing"):
            self.assertIn(key, answer)
        self.assertEqual(answer["program"], model)
        self.assertEqual(answer["seed"], 3)
        self.assertEqual(answer["params"], {"L": 8, "kappa": 0.2, "lambda": 0.02})
        self.assertEqual(set(answer["report"]), {"chi2", "phi2", "G"})
        for name, n in (("chi2", None), ("G", 8)):
            for key in ("value", "error", "tau_int", "ess", "rhat"):
                number = answer["report"][name][key]
                self.assertTrue(isinstance(number, float) if n is None else len(number) == n, (name, key))
        self.assertTrue(0 < answer["report"]["chi2"]["error"] < 1)
        self.assertTrue(1 < answer["report"]["chi2"]["value"] < 4)
        self.assertTrue(answer["timing"])

    def test_json_with_warnings(self):
        answer = json.loads(self.lqft("run", self.write(MODEL), "draws=20", "warmup=0", "--json", "--seed", "1").out)
        self.assertTrue(answer["diagnostics"])
        for one in answer["diagnostics"]:
            self.assertRegex(one["code"], r"^D\d{4}$")
            self.assertTrue(one["text"])
            self.assertIs(one["failed"], False)

    def test_print_goes_to_stderr(self):
        done = self.lqft("run", self.write(MODEL + 'print "here:", E[M^2]\n'), "--json")
        json.loads(done.out)
        self.assertIn("here:", done.err)

    def test_quiet(self):
        self.assertEqual(self.lqft("run", self.write(MODEL), "--quiet").err, "")

    def test_table(self):
        done = self.lqft("run", self.write(MODEL), "--seed", "7")
        self.assertRegex(done.out, r"(?m)^chi2 = \d\.\d+\(\d+\) +\d.*$")
        self.assertIn("tau_int", done.out)
        self.assertIn("seed 7\n", done.out)
        self.assertNotIn("\033", done.out + done.err)
        self.assertEqual(done.err, "")

    def test_seed(self):
        model = self.write(MODEL)
        first = self.lqft("run", model)
        seed = re.search(r"^seed (\d+)$", first.err, re.M).group(1)
        self.assertEqual(re.search(r"^seed (\d+)$", first.out, re.M).group(1), seed)
        def table(text):
            return text.split("\n\n")[0]
        self.assertEqual(table(self.lqft("run", model, "--seed", seed).out), table(first.out))
        self.assertNotEqual(table(self.lqft("run", model).out), table(first.out))
        tables = {table(self.lqft("run", model, "draws=20", "--seed", s).out) for s in ("1", "65537", "2147483649", "4294967295")}
        self.assertEqual(len(tables), 4)

    def test_same_numbers_everywhere(self):
        model = self.write(MODEL + CORRELATOR)
        arguments = [model, "--seed", "5", "draws=20", "warmup=5", "L=4"]
        first = self.report(*arguments)["report"]
        for more in (["--threads", "1"], ["--threads", "3"], ["--device", "interp"]):
            self.assertEqual(self.report(*arguments, *more)["report"], first, more)


class Settings(Case):
    def test_parameters(self):
        answer = self.report(self.write(MODEL), "L=4", "kappa=0.1*2", "lambda=-0.0")
        self.assertEqual(answer["params"], {"L": 4, "kappa": 0.2, "lambda": 0})

    def test_settings(self):
        answer = self.report(self.write(MODEL), "draws=30", "chains=4", "thin=2", "warmup=10")
        sample, = answer["sample"]
        self.assertEqual([sample[k] for k in ("draws", "chains", "thin", "warmup")], [30, 4, 2, 10])
        self.assertEqual(self.report(self.write(MODEL), "--chains", "3")["sample"][0]["chains"], 3)

    def test_thin(self):
        model = self.write(MODEL + 'save M to "M.npy"\n')
        series = []
        for draws, thin in ((30, 3), (90, 1)):
            self.report(model, "--seed", "1", "chains=3", "tune=false", f"draws={draws}", f"thin={thin}")
            series.append(read_npy(os.path.join(self.folder, "M.npy"))[1])
        every_third = [series[1][c*90 + i] for c in range(3) for i in range(2, 90, 3)]
        self.assertEqual(list(series[0]), every_third)

    def test_sampler_options(self):
        model = self.write(MODEL)
        few, many = (self.report(model, "--seed", "1", f"steps={n}", "length=2", "tune=false")["sample"][0] for n in (3, 20))
        self.assertLess(abs(many["ratio"] - 1), abs(few["ratio"] - 1))
        self.assertGreater(many["acceptance"], few["acceptance"])

    def test_scan(self):
        model = self.write("""
param L = 2
param k = 1
grid K = points(0.5, 1, 2)
lattice X = torus(L)
field x[X] : real
sampler still(S, q; a = 0) {
  q ~ normal(a + 0*q, 1/sqrt(k))
  monitor a
}
scan k in K {
  sample x ~ exp(-k*sum(x^2)/2) with still() { chains = 4  draws = 500 }
  report x2 = E[mean(x^2)], sites = volume(X)
}
report total = sum(sites)
""")
        result = self.report(model, "--seed", "1", "L=3", "draws=200", "a=0.5")
        self.assertEqual(result["report"]["sites"]["value"], [3, 3, 3])
        self.assertEqual(result["report"]["total"]["value"], 9)
        self.assertEqual([s["at"] for s in result["sample"]], [{"k": 0.5}, {"k": 1}, {"k": 2}])
        self.assertEqual([s["draws"] for s in result["sample"]], [200] * 3)
        self.assertEqual([s["monitors"]["a"]["value"] for s in result["sample"]], [0.5] * 3)
        for k, value, error in zip((0.5, 1, 2), result["report"]["x2"]["value"], result["report"]["x2"]["error"]):
            self.assertLess(abs(value - 1/k - 0.25), 5 * error)
        self.assertIn(b"E0318", self.lqft("run", model, "k=1", status=1).stderr)

    def test_tuning_ends_with_the_warmup(self):
        scales = MODEL.replace("hmc(length = 1, steps = 6)", "hmc_scales(fast = fast, length = 1, steps = 6)")
        scales = scales.replace("sample phi", "def fast(phi) = sum(phi^2)/2\nsample phi")
        for text in (MODEL, scales):
            model = self.write(text)
            tuned, fixed = (self.report(model, "--seed", "1", "length=8", "steps=3", "warmup=0", f"tune={t}") for t in ("true", "false"))
            self.assertEqual(tuned["report"], fixed["report"])
            self.assertLess(fixed["sample"][0]["acceptance"], 0.7)
            tuned = self.report(model, "--seed", "1", "length=8", "steps=3", "warmup=200")
            self.assertGreater(tuned["sample"][0]["acceptance"], fixed["sample"][0]["acceptance"])

    def test_bounds(self):
        model = self.write("param a = 1 in (0, 1]\nparam b = 0 in [0, 1)\nreport c = a + b\n")
        for value, status in (("a=1", 0), ("b=0", 0), ("a=0", 1), ("b=1", 1), ("a=1.01", 1), ("b=-0.01", 1)):
            self.lqft("run", model, value, status=status)

    def test_wrong_values(self):
        model = self.write(MODEL)
        for wrong in ("kappa=abc", "kappa=", "kappa=1/0", "L=2.5", "L=-1", "L=0", "draws=0", "chains=-2", "draws=1.5", "steps=0.5",
                      "kappa=(", "kappa=1 2", "kappa=phi"):
            done = self.lqft("run", model, wrong, status=1)
            self.assertIn("error", done.err, wrong)
            self.assertEqual(done.out, "")

    def test_unknown_names(self):
        model = self.write(MODEL)
        for wrong, right in (("kapa=1", "kappa"), ("drws=10", "draws"), ("stps=3", "steps"), ("Chains=3", "chains")):
            done = self.lqft("run", model, wrong, status=2)
            self.assertIn(f"did you mean `{right}`?", done.err)
            self.assertEqual(done.out, "")
        self.assertIn("parameters: L kappa lambda", self.lqft("run", model, "whatever=1", status=2).err)
        self.lqft("show", model, "force", "kapa=1", status=2)
        self.lqft("check", model, "kapa=1", status=2)


class Diagnostics(Case):
    """Each diagnostic appears where the reference says so, and nowhere else."""
    MODEL = """
lattice X = torus(2)
field   phi[X] : real
action S(phi) = sum[x in X] phi[x]^2/2
sampler relax(S, q; keep = 0.9) {
  p ~ normal(0*q, 1)
  q = keep*q + sqrt(1 - keep^2)*p
}
sampler proposals(S, q; factor = 1, fixed = false) {
  p ~ normal(0*q, 0.7)
  q1 = q + p
  accept q1 with factor*(if fixed then 1 else exp(S(q) - S(q1)))
}
sampler energies(S, q; part = 0) {
  u ~ uniform(0, 1)
  dH = if u < part then 11 else 0.5
  monitor dH
  q ~ normal(0*q, 1)
}
sample phi ~ DENSITY with SAMPLER { chains = 8  warmup = 50  draws = 4000  start = START }
report m = E[phi[0]]
"""

    def answer(self, sampler, *arguments, density="exp(-S(phi))", start="0", more=""):
        model = self.MODEL.replace("SAMPLER", sampler).replace("DENSITY", density).replace("START", start) + more
        answer = self.report(self.write(model), "--seed", "1", *arguments)
        return answer, {d["code"]: d["failed"] for d in answer["diagnostics"]}

    def codes(self, *arguments, **more):
        return self.answer(*arguments, **more)[1]

    def test_acceptance(self):
        self.assertEqual(self.codes("proposals()"), {})
        self.assertEqual(self.codes("proposals()", "factor=1e-9", "fixed=true"), {"D0101": True})
        some, = (d["text"] for d in self.answer("proposals()", "factor=0.03", "fixed=true", "chains=64", "draws=20")[0]["diagnostics"]
                 if d["code"] == "D0101")
        stuck = int(re.search(r"(\d+) of 64 chains", some)[1])           # 0.97^20 = 0.54 of them
        self.assertTrue(15 < stuck < 55, some)
        self.assertIn("D0102", self.codes("proposals()", "factor=0.18", "fixed=true"))
        self.assertNotIn("D0102", self.codes("proposals()", "factor=0.22", "fixed=true"))

    def test_moved(self):
        """A method that moves nothing accepts all of it."""
        for steps, expected in (("0", [False]), ("6", [])):
            answer = self.report(self.write(MODEL), "--seed", "1", f"steps={steps}", "draws=200")
            self.assertEqual([d["failed"] for d in answer["diagnostics"] if d["code"] == "D0101"], expected)
        constant = self.report(self.write(MODEL), "--seed", "1", "steps=0", "draws=9")              # too few to say so
        self.assertNotIn("D0101", [d["code"] for d in constant["diagnostics"]])

    def test_ratio(self):
        for factor in ("0.8", "1.2"):
            self.assertEqual(self.codes("proposals()", f"factor={factor}"), {"D0103": True})
        half = "exp(-S(phi))*prod[x in X] (if phi[x] > -0.5 then 1 else 0)"     # proposals that leave have the ratio 0
        self.assertNotIn("D0103", self.codes("proposals()", density=half))
        self.assertIn("D0103", self.codes("proposals()", "factor=4", density=half))

    def test_autocorrelation(self):
        seen = set()
        for draws in (200, 300, 400, 450, 600):
            answer, codes = self.answer("relax(keep = 0.95)", "chains=2", f"draws={draws}")
            few = 2*draws < 50*answer["report"]["m"]["tau_int"]
            self.assertEqual("D0104" in codes, few, draws)
            seen.add(few)
        self.assertEqual(seen, {False, True})

    def test_mixing(self):
        seen = set()
        for draws in (100, 200, 400, 800, 3000):
            answer, codes = self.answer("relax()", f"draws={draws}")
            rhat = answer["report"]["m"]["rhat"]
            self.assertEqual("D0105" in codes, rhat > 1.01, (draws, rhat))
            seen.add((rhat > 1.01) + (rhat > 1.05))
        self.assertEqual(seen, {0, 1, 2})

    def test_warmup(self):
        slow = "relax(keep = 0.99)"
        self.assertIn("D0106", self.codes(slow, "warmup=0", "chains=64", "draws=1000", start="4"))
        self.assertNotIn("D0106", self.codes(slow, "warmup=0", "chains=64", "draws=1000"))
        self.assertNotIn("D0106", self.codes(slow, "warmup=1000", "chains=64", "draws=1000", start="4"))

    def test_error_by_hand(self):
        """tau_int and the error of a mean from its saved series: U. Wolff, hep-lat/0306017, with S = 2."""
        m = self.answer("relax()", "draws=300", more='save phi[0] to "m.npy"\n')[0]["report"]["m"]
        (chains, n), series = read_npy(os.path.join(self.folder, "m.npy"))
        parts = [[x - sum(part)/n for x in part] for part in (series[c*n:(c + 1)*n] for c in range(chains))]
        gamma = [sum(d[i]*d[i + t] for d in parts for i in range(n - t)) / (chains*(n - t)) for t in range(n//2)]
        tau, window, total = 0.5, 0, chains*n
        while window == 0 or math.exp(-window/decay) >= decay/math.sqrt(window*total):
            window += 1
            tau += gamma[window]/gamma[0]
            decay = 2/math.log((2*tau + 1)/(2*tau - 1))
        self.assertAlmostEqual(m["tau_int_error"]/(2*tau*math.sqrt((window + 0.5 - tau)/total)), 1, 9)
        tau *= (1 + (2*window + 1)/total)/(1 + 1/total)
        self.assertAlmostEqual(m["tau_int"]/tau, 1, 9)
        self.assertAlmostEqual(m["error"]/math.sqrt(2*tau*gamma[0]*(1 + 1/total)/total), 1, 9)

    def test_undefined_reports(self):
        self.assertEqual(self.codes("relax(keep = 0)", more="report b = log(m - 10)\n"), {"D0107": True})
        self.assertEqual(self.codes("relax(keep = 0)", more="report b = sqrt(E[0*phi[0]])\n"), {"D0107": True})

    def test_energy(self):
        self.assertEqual(self.codes("energies(part = 0.013)"), {"D0108": False})
        self.assertEqual(self.codes("energies(part = 0.007)"), {})


class Commands(Case):
    def test_show(self):
        model = self.write(MODEL)
        self.assertRegex(self.lqft("show", model, "force", "lambda=0").out, r"^dS/dphi\[x\] = .*phi\[x \+ e0\].*\n$")
        for what, word in (("kernels", "flop"), ("ir", "func "), ("ast", "(action S"), ("llvm", "define")):
            done = self.lqft("show", model, what)
            self.assertIn(word, done.out + done.err if what == "llvm" else done.out)

    def test_check(self):
        done = self.lqft("check", self.write(MODEL + "symmetry phi -> -phi of S\n"))
        self.assertIn("gradient of S", done.out)
        self.assertNotIn("FAILED", done.out)
        done = self.lqft("check", self.write(MODEL + "symmetry phi -> 2*phi of S\n"), status=1)
        self.assertRegex(done.out, r"FAILED +symmetry")

    def test_check_finds(self):
        """Small errors, each in one place."""
        model = MODEL + "symmetry phi -> PHI of S\n"
        for factor, status in (("1.0001", 1), ("-1", 0)):
            self.lqft("check", self.write(model.replace("PHI", factor + "*phi")), status=status)
        jumps = MODEL.replace("lambda * phi[x]^4 )", "lambda * phi[x]^4 + 1e-8*round(1e5*phi[x]) )")   # slope 0.001, derivative 0
        self.assertRegex(self.lqft("check", self.write(jumps), status=1).out, r"FAILED +gradient of S")
        mine = """
def kicks(S, q, p; eps) {
  p = p - eps/2*grad(S, q)
  q = q + eps*p
  p = p - LAST*eps/2*grad(S, q)
  return q, p
}
sampler mine(S, q; eps = 0.3) {
  p ~ momenta(q)
  q1, p1 = reversible kicks(S, q, p; eps)
  accept q1 with FACTOR*exp(S(q) + kinetic(p) - S(q1) - kinetic(p1))
}
sample phi ~"""
        model = MODEL.replace("sample phi ~", mine).replace("hmc(length = 1, steps = 6)", "mine()").replace("warmup = 50", "warmup = 300")
        for last, factor, failed in (("1", "1", []), ("0.98", "1", ["there and back"]), ("1", "1.05", ["<ratio>"])):
            out = self.lqft("check", self.write(model.replace("LAST", last).replace("FACTOR", factor)), status=None).out
            found = [line for line in out.splitlines() if line.startswith("FAILED")]
            self.assertEqual(len(found), len(failed), out)
            for line, word in zip(found, failed):
                self.assertIn(word, line)

    def test_explain(self):
        page = self.lqft("explain", "e0207").out
        self.assertTrue(page.startswith("## E0207 "), page)
        self.assertEqual(self.lqft("explain", "E0207").out, page)


class Files(Case):
    def svg(self, path):
        root = xml.etree.ElementTree.parse(path).getroot()
        self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
        return root

    def test_plots(self):
        model = self.write(MODEL + CORRELATOR + "plot histogram(M), history(M)\nplot G\n")
        done = self.lqft("run", model)
        written = sorted(n for n in os.listdir(self.folder) if n.endswith(".svg"))
        self.assertEqual(written, ["model.G.svg", "model.histogram-M.svg", "model.history-M.svg"])
        for name in written:
            self.svg(os.path.join(self.folder, name))
            self.assertIn(f"wrote {self.folder}/{name}", done.out)
        answer = self.report(model, "--out", "new/folder")
        kept = ["checkpoint", "lock", "log.jsonl", "measurements.h5", "run.json", "summary.json"]
        self.assertEqual(sorted(os.listdir(os.path.join(self.folder, "new", "folder"))), sorted(written + kept))
        self.assertEqual(sorted(answer["files"]), [f"new/folder/{name}" for name in written])

    def test_plot_settings(self):
        """Labels, units, logarithmic axes, bands, given errors and maps, in files and in the terminal."""
        done = self.lqft("run", self.write(MODEL + CORRELATOR + """
grid W = linspace(0.1, 10, 50)
grid V = linspace(0, 1, 11)
axis T = 8
data D[t in T] = exp(-t)
data s[t in T] = D[t]/10
report wave[v in V, w in W] = v*sin(w)
plot G { title = "correlator <G>"  ylabel = "G(t)"  xlabel = "t"  xunit = "fm"  style = band }
plot 1/w, w^2 for w in W { log = xy, yunit = "GeV" }
plot errors(D[t], s[t]), D[t]/2 for t in T { log = y }
plot map(phi), wave
plot history("dH"), histogram("dH") { style = line }
"""), "--plot", "--seed", "2", env={"COLUMNS": "80", "LC_ALL": "C.UTF-8"})
        texts = {}
        for name in ("G", "1-w", "D-t", "map-phi", "wave"):
            root = self.svg(os.path.join(self.folder, f"model.{name}.svg"))
            texts[name] = ["".join(e.itertext()) for e in root.iter() if e.tag.endswith("}text")]
        self.assertTrue({"correlator <G>", "G(t)", "t [fm]", "G"} <= set(texts["G"]), texts["G"])
        self.assertTrue({"1/w", "w^2", "W", "[GeV]", "0.01", "1", "100"} <= set(texts["1-w"]), texts["1-w"])
        self.assertTrue({"D[t]", "D[t]/2"} <= set(texts["D-t"]), texts["D-t"])
        self.assertTrue({"phi", "x[0]", "x[1]"} <= set(texts["map-phi"]), texts["map-phi"])
        self.assertTrue({"V", "W", "0.4", "0.8"} <= set(texts["wave"]), texts["wave"])
        for kind in ("history", "histogram"):
            self.assertIn("dH", "".join(self.svg(os.path.join(self.folder, f"model.{kind}-dH.svg")).itertext()))
        for word in ("correlator <G>", "t [fm]", "w^2", "[GeV]", "D[t]/2", "x[1]"):
            self.assertIn(word, done.err)
        plain = self.report(self.write(MODEL + CORRELATOR + "plot G { style = points }\n"), "--seed", "2")
        with open(os.path.join(self.folder, plain["files"][0]), encoding="utf-8") as f:
            points = f.read()
        self.report(self.write(MODEL + CORRELATOR + "plot G { style = band }\n"), "--seed", "2")
        with open(os.path.join(self.folder, plain["files"][0]), encoding="utf-8") as f:
            self.assertNotEqual(points, f.read())

    def test_saves(self):
        model = self.write(MODEL + CORRELATOR + """
save G to "G.npy"
save G to "sub/G.csv"
save chi2 to "chi2.csv"
save chi2 to "chi2.npy"
save M to "M.npy"
save M to "M.csv"
""")
        answer = self.report(model, "--out", "out")
        out = os.path.join(self.folder, "out")
        G, chi2 = answer["report"]["G"], answer["report"]["chi2"]
        shape, numbers = read_npy(os.path.join(out, "G.npy"))
        self.assertEqual(shape, (8, 2))
        self.assertEqual(list(numbers[0::2]), G["value"])
        self.assertEqual(list(numbers[1::2]), G["error"])
        shape, numbers = read_npy(os.path.join(out, "chi2.npy"))
        self.assertEqual((shape, list(numbers)), ((2,), [chi2["value"], chi2["error"]]))
        shape, series = read_npy(os.path.join(out, "M.npy"))
        self.assertEqual(shape, (8, 100))
        mean, square = sum(series) / 800, sum(m * m for m in series) / 800
        self.assertAlmostEqual(64 * (square - mean * mean), chi2["value"], 9)
        with open(os.path.join(out, "sub", "G.csv"), encoding="utf-8") as f:
            rows = [line.strip().split(",") for line in f if not line.startswith("#")]
        self.assertEqual(rows[0][-3:], ["value", "error", "tau_int"])
        self.assertEqual([float(r[-3]) for r in rows[1:]], G["value"])
        with open(os.path.join(out, "M.csv"), encoding="utf-8") as f:
            rows = [line.strip().split(",") for line in f if not line.startswith("#")]
        self.assertEqual(rows[0], ["chain", "draw", "element", "value"])
        self.assertEqual(tuple(float(r[3]) for r in rows[1:]), series)

    def test_order_in_saves(self):
        """Two indices in a table, and the two parts of a complex series."""
        self.report(self.write("""
lattice X = torus(3)
field z[X] : complex
sampler fixed(S, q) { q = (2 + 3i) + 0*q }
sample z ~ 1 with fixed() { chains = 2  warmup = 1  draws = 5 }
report table[i in 1..3, x in X] = 10*i + x[0]
save table to "table.csv"
save z to "z.npy"
"""))
        with open(os.path.join(self.folder, "table.csv"), encoding="utf-8") as f:
            rows = [[float(x) for x in line.split(",")[:3]] for line in f.readlines()[1:]]
        self.assertEqual(rows, [[i, x, 10*i + x] for i in (1, 2, 3) for x in (0, 1, 2)])
        self.assertEqual(read_npy(os.path.join(self.folder, "z.npy")), ((2, 5, 2, 3), (2, 2, 2, 3, 3, 3)*10))

    def test_saves_stay_below(self):
        for path in ("../out.npy", "/dev/shm/lqft-out.npy", "a/../../out.npy"):
            done = self.lqft("run", self.write(MODEL + f'save chi2 to "{path}"\n', "below/model.lqft"), status=None)
            self.assertIn(done.returncode, (1, 73))
            self.assertIn(path, done.err)
            self.assertEqual(os.listdir(self.folder), ["below"])
            self.assertFalse(os.path.exists("/dev/shm/lqft-out.npy"))

    def test_other_folders(self):
        inner = self.write(MODEL + "plot history(M)\nsave chi2 to \"chi2.csv\"\n", "a/b/model.lqft")
        there = os.path.dirname(inner)
        for path, cwd in (("a/b/model.lqft", self.folder), ("model.lqft", there), ("../b/./model.lqft", there), (inner, "/")):
            self.lqft("run", path, cwd=cwd)
            self.assertEqual(sorted(os.listdir(there)), ["chi2.csv", "model.history-M.svg", "model.lqft"])
            os.remove(os.path.join(there, "chi2.csv"))
            os.remove(os.path.join(there, "model.history-M.svg"))

    def test_odd_names(self):
        for name in ("mit Leer zeichen/φ⁴ model.lqft", "ein=gleich.lqft", "noext", "-dash/x.lqft", ".hidden.lqft", "two.dots.lqft"):
            path = self.write(MODEL + "plot history(M)\n", name)
            relative = name if "=" not in name and not name.startswith("-") else "./" + name
            answer = self.report(relative)
            self.assertEqual(answer["program"], relative)
            figure, = answer["files"]
            self.svg(os.path.join(self.folder, figure))
            self.assertEqual(os.path.dirname(os.path.join(self.folder, figure)).replace("/./", "/").rstrip("./") or "/",
                             os.path.dirname(path))
        latin = os.path.join(self.folder.encode(), b"gr\xfc\xdfe.lqft")
        shutil.copy(path, latin)
        json.loads(self.lqft("run", latin, "--json").out)

    def test_import_next_to_the_model(self):
        self.write("observable double(phi) = 2*sum(phi)\n", "models/extra.lqft")
        model = self.write("import extra\n" + MODEL + "report d = E[double]\n", "models/model.lqft")
        self.assertIn("d", self.report(model)["report"])
        self.assertIn("d", self.report("models/model.lqft")["report"])
        broken = self.write("import extre\n" + MODEL, "models/broken.lqft")
        self.assertIn("extre", self.lqft("run", broken, status=1).err)


class Terminals(Case):
    LONG = ("draws=6000", "steps=60", "L=16")

    def test_progress_is_redrawn(self):
        shown = self.on_terminal("run", self.write(MODEL), *self.LONG, columns=60)
        self.assertEqual(self.status, 0)
        self.assertIn("\rhmc: ", shown)
        self.assertNotIn("\n\rhmc", shown.split("\n", 1)[1])
        for line in re.split(r"[\r\n]+", shown):
            self.assertLess(len(line), 60)

    def test_colours(self):
        wrong = self.write(MODEL.replace("phi[x]^4", "psi[x]^4"))
        shown = self.on_terminal("run", wrong)
        self.assertEqual(self.status, 1)
        self.assertIn("\033[", shown)
        for shown in (self.on_terminal("run", wrong, NO_COLOR="1"), self.on_terminal("run", wrong, term="dumb"),
                      self.on_terminal("run", wrong, "--color", "never")):
            self.assertIn("psi", shown)
            self.assertNotIn("\033", shown)
        self.assertIn("\033[", self.lqft("run", wrong, "--color=always", status=1).err)
        self.assertNotIn("\033", self.lqft("run", wrong, status=1).err)

    def test_no_escape_codes(self):
        model = self.write(MODEL + "plot history(M)\n")
        for term, more in (("xterm", {"NO_COLOR": "1"}), ("dumb", {})):
            shown = self.on_terminal("run", model, "--plot", *self.LONG, term=term, **more)
            self.assertEqual(self.status, 0)
            self.assertNotIn("\033", shown)
        self.assertNotIn("\rhmc", shown)                # a dumb terminal is not redrawn

    def test_plot_in_the_terminal(self):
        model = self.write(MODEL + "plot history(M)\n")
        shown = self.on_terminal("run", model, "--plot", LC_ALL="C.UTF-8")
        self.assertRegex(shown, "[\u2801-\u28ff]")       # braille
        for line in shown.split("\n"):
            self.assertLessEqual(len(re.sub(r"\033\[[0-9;]*m", "", line).rstrip("\r")), 100)
        shown = self.on_terminal("run", model, "--plot", LC_ALL="C", NO_COLOR="1")
        self.assertTrue(shown.replace("\r", "").isascii())
        self.assertGreater(shown.count("\n"), 10)


class Signals(Case):
    def start(self, *arguments):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = subprocess.Popen([LQFT, "run", *arguments], stdout=subprocess.PIPE, stderr=slave, cwd=self.folder,
                                   env=dict(os.environ, TERM="xterm"), start_new_session=True)
        os.close(slave)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process, master

    def interrupt(self, *arguments, until=b": draw ", sig=signal.SIGINT):
        process, master = self.start(*arguments)
        self.assertIn(until.decode(), drain(master, until))
        process.send_signal(sig)
        out = process.stdout.read().decode()
        self.assertEqual(process.wait(20), 75)
        return out, drain(master)

    def test_interrupted(self):
        model = self.write(MODEL + CORRELATOR + 'plot G, history(M)\nsave M to "M.npy"\n')
        settings = ("draws=400000", "L=16", "steps=20", "--seed", "1")
        out, shown = self.interrupt(model, *settings)
        self.assertRegex(out, r"(?m)^chi2 += \d\.\d+\(\d+\)")
        self.assertIn("(interrupted)", out)
        self.assertRegex(shown, r"lqft: interrupted after \d+ of 400000 draws")
        done = int(re.search(r"after (\d+) of", shown).group(1))
        shape, _ = read_npy(os.path.join(self.folder, "M.npy"))
        self.assertEqual(shape, (8, done))
        # what there is, is what a shorter run gives
        short = self.report(model, *settings[1:], f"draws={done}")["report"]["chi2"]
        printed = float(re.search(r"(?m)^chi2 += ([0-9.]+)", out).group(1))
        self.assertLess(abs(printed - short["value"]), short["error"] / 5)
        out, _ = self.interrupt(model, *settings, "--json", sig=signal.SIGTERM)
        answer = json.loads(out)
        self.assertTrue(answer["sample"][0]["interrupted"])
        self.assertTrue(0 < answer["sample"][0]["draws"] < 400000)

    def test_interrupted_in_the_warmup(self):
        out, shown = self.interrupt(self.write(MODEL + 'save M to "M.npy"\nplot history(M)\n'), "warmup=1000000", "L=16", "--json", until=b"warm-up")
        self.assertEqual(json.loads(out)["report"], {})
        self.assertRegex(shown, r"after 0 of 100 draws")
        self.assertEqual(os.listdir(self.folder), ["model.lqft"])

    def test_interrupted_in_the_second_sample(self):
        sample = MODEL[MODEL.index("sample phi"):MODEL.index("report chi2")]
        model = self.write(MODEL + sample.replace("draws = 100", "draws = 1000000") + "report later = E[M^2]\n" + sample + "report never = E[M^2]\n")
        out, _ = self.interrupt(model, "--json", "L=16", until=b"/1000000")
        answer = json.loads(out)
        self.assertEqual(set(answer["report"]), {"chi2", "phi2", "later"})
        self.assertEqual([s["interrupted"] for s in answer["sample"]], [False, True])

    def test_second_interrupt(self):
        process, _ = self.start(self.write(MODEL), "steps=50000000", "L=16", "tune=false")
        end = time.monotonic() + 20
        while time.monotonic() < end:                     # until the handler is there
            with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
                caught = int(re.search(r"SigCgt:\s*([0-9a-f]+)", f.read()).group(1), 16)
            if caught >> (signal.SIGINT - 1) & 1:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        self.assertEqual(process.wait(20), 128 + signal.SIGINT)
        self.assertLess(time.monotonic() - start, 5)


if __name__ == "__main__":
    unittest.main()
