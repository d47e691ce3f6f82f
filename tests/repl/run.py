#!/usr/bin/env python3
"""The prompt: the session of README.md line for line, sessions that change, ^C, completion,
`lqft repl --json`, the Jupyter kernel, and input that nobody means well.

    tests/repl/run.py [--lqft PATH] [-v] [NAME …]

Terminals are pseudo-terminals.  The kernel is driven by jupyter_client where it and ipykernel are
installed, else by a stand-in for its base class; -v says which.
"""
import json
import os
import pty
import random
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import script

ROOT = script.ROOT
LQFT = script.path("--lqft", "build/lqft")
KERNEL = os.path.join(ROOT, "editors", "jupyter")
PROMPTS = ("lqft> ", "    | ")

MODEL = """import samplers.hmc
param L = 8
param kappa = 0.2
param unused = 1
lattice X = torus(L, L)
field phi[X] : real
action S(phi) = sum[x in X] (0.956*phi[x]^2 + 0.022*phi[x]^4 - 2*kappa*sum[mu in X.dirs] phi[x]*phi[x + mu])
observable M(phi) = mean[x in X] phi[x]
"""
SAMPLE = "sample phi ~ exp(-S(phi)) with hmc(length = 1, steps = 6) { chains = 8  warmup = 50  draws = 200 }\n"
# a second of work or more: to be interrupted
LONG = "sample phi ~ exp(-S(phi)) with hmc(length = 1, steps = 6) { chains = 8  warmup = 0  draws = 50000  thin = 4 }\n"


class Terminal:
    """lqft on a pseudo-terminal."""

    def __init__(self, *arguments, folder, history=""):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(LQFT, ["lqft", *arguments], dict(os.environ, TERM="dumb", LQFT_HISTORY=history, LC_ALL="C.UTF-8", HOME=folder))
        self.open = True

    def read(self, ends=PROMPTS, seconds=60):
        """What comes until the last line is one of these."""
        got, until = b"", time.monotonic() + seconds
        while time.monotonic() < until:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    part = os.read(self.fd, 65536)
                except OSError:
                    part = b""
                if not part:
                    break
                got += part
            if any(got.endswith(e.encode()) for e in ends):
                break
        return got.decode("utf-8", "replace").replace("\r", "")

    def type(self, text):
        os.write(self.fd, text.encode())

    def say(self, line, **more):
        self.type(line + "\n")
        return self.read(**more)

    def close(self):
        if not self.open:
            return
        self.open = False
        try:
            self.type("\x04")
            self.read(("no such end",), 5)
        except OSError:
            pass
        if os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


class Json:
    """lqft repl --json."""

    def __init__(self, *arguments, folder, memory=None):
        limit = (lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory))) if memory else None
        self.process = subprocess.Popen([LQFT, "repl", "--json", *arguments], cwd=folder, preexec_fn=limit, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.number = 0

    def raw(self, line):
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ask(self, code, **more):
        self.number += 1
        reply = self.raw(json.dumps({"id": self.number, "code": code, **more}).encode())
        assert reply["id"] == self.number, reply
        return reply

    def text(self, code):
        return self.ask(code)["text"]

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(timeout=30)
        errors = self.process.stderr.read()
        self.process.stdout.close(), self.process.stderr.close()
        assert errors == b"", errors
        return status


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lqft-repl-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def json(self, *arguments, **more):
        session = Json(*arguments, folder=self.folder, **more)
        self.addCleanup(self.end, session)
        return session

    def end(self, session):
        self.assertEqual(session.close(), 0)

    def terminal(self, *arguments, **more):
        t = Terminal(*arguments, folder=self.folder, **more)
        self.addCleanup(t.close)
        return t

    def plain(self, text, *arguments):
        if isinstance(text, str):
            text = text.encode()
        return subprocess.run([LQFT, "repl", *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder, timeout=120)

    def run_saved(self, name, *arguments):
        done = subprocess.run([LQFT, "run", name, "--quiet", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def value(self, text, name):
        found = re.search(rf"^{re.escape(name)} *= (\S+)", text, re.M)
        self.assertTrue(found, text)
        return found[1]


class Readme(Case):
    def test_session(self):
        """The session of README.md, line for line."""
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
            block = re.search(r"```\n\$ lqft (repl .*)\n((?:.*\n)*?)```", f.read())
        t = self.terminal(*block[1].split())
        banner = t.read()
        self.assertRegex(banner, r"^lqft [\d.]+, seed 7; :help lists the commands\nlqft> $")
        got = "lqft> "
        typed = [line[6:] for line in block[2].splitlines() if line.startswith(PROMPTS)]
        for line in typed:
            got += t.say(line)
        self.assertGreaterEqual(len(typed), 12)
        self.assertEqual(got, block[2] + "lqft> ")
        for needed in ("stale: sample phi", ":grad", ":type", "report"):
            self.assertIn(needed, block[2])

    def test_start(self):
        """A first answer within 100 ms of starting."""
        times = []
        for _ in range(5):
            start = time.monotonic()
            t = Terminal(folder=self.folder)
            t.read(("lqft> ",))
            self.assertEqual(t.say("1 + 1").split("\n")[1], "2")
            times.append(time.monotonic() - start)
            t.close()
        print(f"from the start to the first answer: {1000*min(times):.1f} ms, the slowest of {len(times)} {1000*max(times):.1f} ms")
        self.assertLess(min(times), 0.1)


class Sessions(Case):
    def start(self, text=MODEL, *arguments):
        s = self.json("--seed", "11", *arguments)
        reply = s.ask(text)
        self.assertEqual(reply["status"], "ok", reply)
        return s

    def test_expressions(self):
        s = self.start()
        for code, text in (("kappa + 1", "1.2\n"), ("L > 3", "true\n"), ("L == 3", "false\n"), ("X", "lattice `X` (8 x 8 sites)\n"), ("S", "action S(phi)\n"),
                           ("1 + 2i", "1 + 2i\n"), ("-2i", "0 - 2i\n"), ("phi", "field phi[X] : real, 64 numbers\n"), ("volume(X)", "64\n"), ("1 +\n 1", "2\n"),
                           ("kappa # a comment", "0.2\n"), ("", ""), ("# nothing", ""), ("kappa; L", "0.2\n8\n")):
            self.assertEqual(s.ask(code)["text"], text, code)
        self.assertEqual(s.text("data D[x in X] = 3\nD"), "(3, 3, 3, 3, 3, 3, …, 3)  over X (8 × 8)\n")

    def test_questions(self):
        s = self.start()
        self.assertEqual(s.text(":type grad(S, phi)"), "a real array over `X`\n")
        self.assertEqual(s.text(":type (kappa, X)"), "(a real number, lattice `X` (8 x 8 sites))\n")
        self.assertEqual(s.text(":shape grad(S, phi)"), "X (8 × 8): 64 numbers\n")
        self.assertEqual(s.text(":shape kappa"), "one number\n")
        force = s.text(":grad S wrt phi")
        self.assertEqual(force, "dS/dphi[x] = phi[x]*(1.912 + 0.088*phi[x]^2) - 0.4*(phi[x + e0] + phi[x + e1] + phi[x - e1] + phi[x - e0])\n")
        self.assertEqual(s.text(":show force"), force)
        self.assertEqual(s.text(":grad a^3*kappa wrt a"), "d(a^3*kappa)/da = 0.6*a^2\n")
        self.assertIn("dS/dkappa = sum[", s.text(":grad S wrt kappa"))
        self.assertIn("-2*phi", s.text(":grad S wrt kappa"))
        self.assertEqual(s.text(":grad kappa^2 wrt kappa"), "d(kappa^2)/dkappa = 2*kappa\n")
        for bad in (":grad S", ":grad S wrt 3", ":grad foo wrt phi", ":type", ":type foo", ":type 1 +", ":shape (", ":nothing", ":doc nothing", ":show nothing"):
            self.assertEqual(s.ask(bad)["status"], "error", bad)
        self.assertIn("did you mean `:type`?", s.text(":typ 1"))
        self.assertIn("Hybrid Monte Carlo", s.text(":doc hmc"))
        self.assertIn("# ", s.text(":doc E0207"))
        self.assertIn("built-in", s.text(":doc sin"))
        self.assertIn(":resume", s.text(":help"))
        self.assertEqual(s.text(":show kappa"), "param kappa = 0.2\n")
        self.assertEqual(s.text(":show"), MODEL)
        self.assertIn("(action ", s.text(":show ast"))

    def test_force_is_that_of_show(self):
        self.write("model.lqft", MODEL + SAMPLE)
        shown = subprocess.run([LQFT, "show", "model.lqft", "force"], stdout=subprocess.PIPE, text=True, cwd=self.folder).stdout
        s = self.json()
        s.ask(":load model.lqft")
        self.assertEqual(s.text(":show force"), shown)
        self.assertIn("kernel", s.text(":show kernels"))

    def test_stale(self):
        """What depends on a declaration is named when it changes, and nothing else."""
        s = self.start(MODEL + SAMPLE + "report m = E[M^2]\nreport five = 5\n")
        before = s.text("m")
        self.assertEqual(s.text("param unused = 2"), "")
        self.assertEqual(s.text("# only a comment\nparam kappa = 0.2  # the same"), "")
        self.assertEqual(s.text("param kappa = 0.21"), "stale: sample phi, report m\n")
        self.assertEqual(s.text(":show stale"), "sample phi\nreport m\n")
        self.assertEqual(s.text("kappa"), "0.21\n")
        now = s.text("m")
        self.assertTrue(now.startswith("phi: hmc"), now)
        self.assertNotEqual(self.value(now, "m"), self.value(before, "m"))
        self.assertEqual(s.text(":show stale"), "")
        # a function that the action calls
        self.assertEqual(s.text("def w(a) = a^2"), "")
        self.assertIn("stale: sample phi", s.text("action S(phi) = sum[x in X] w(phi[x])"))
        s.text("m")
        self.assertEqual(s.text("def w(a) = 2*a^2"), "stale: sample phi, report m\n")
        # an observable changes its reports, not the chains
        s.text("m")
        self.assertEqual(s.text("observable M(phi) = phi[0, 0]"), "stale: report m\n")
        self.assertNotIn("phi: hmc", s.text("m"))
        # the seed, and a value set by hand
        self.assertEqual(s.text(":seed 12"), "stale: sample phi, report m, report five\n")
        s.text(":run")
        self.assertEqual(s.text(":set draws = 100"), "stale: sample phi, report m\n")
        self.assertIn("× 100 draws", s.text(":run"))

    def test_old_value_finds_its_chains(self):
        s = self.start(MODEL + SAMPLE + "report m = E[M^2]\n")
        before = s.text("m")
        s.text("param kappa = 0.21")
        s.text("m")
        s.text("param kappa = 0.2")
        again = s.text("m")
        self.assertNotIn("phi: hmc", again)
        self.assertEqual(self.value(again, "m"), self.value(before, "m"))

    def test_stale_through_tasks(self):
        """Weights that a minimisation finds, and what uses them."""
        s = self.start("import nn.dense, nn.activations, optimizers.adam\nparam rate = 0.1\naxis P = 4\ndata D[p in P] = p/4\n"
                       "network f : real -> real = dense(4, tanh) >> dense(1)\n"
                       "minimize sum[p in P] (f(p/4) - D[p])^2 over f.weights with adam(rate = rate) { steps = 50 }\n"
                       "report at = f(0.5)\n")
        before = s.text("at")
        self.assertEqual(s.text("param other = 1"), "")
        self.assertEqual(s.text("at"), "at = " + self.value(before, "at") + "\n")
        self.assertEqual(s.text("param rate = 0.2"), "stale: minimize f, report at\n")
        after = s.text("at")
        self.assertIn("adam, 50 iterations", after)
        self.assertNotEqual(self.value(after, "at"), self.value(before, "at"))
        s.text(":save net.lqft")
        self.assertEqual(self.value(self.run_saved("net.lqft", "--seed", "11"), "at"), self.value(after, "at"))

    def test_draws_that_move(self):
        """Random numbers are counted through the whole program: a draw before others moves them, and a
        saved session still has the numbers of the session."""
        s = self.start("import nn.dense\nnetwork f : real -> real = dense(4) >> dense(1)\nreport a = f(0.5)\n")
        s.text("axis A = 3\ndata D[a in A] = normal(0, 1)")
        now = self.value(s.text("a"), "a")
        s.text(":save net.lqft")
        self.assertEqual(self.value(self.run_saved("net.lqft", "--seed", "11"), "a"), now)

    def test_same_numbers_as_run(self):
        """What the session found, piece by piece, is what `lqft run` finds in the file that it saves: bit
        for bit, for chains that ran before anything was asked of them."""
        s = self.start(MODEL)
        s.text("def noise(x) = x")                        # declarations before and after
        s.text(SAMPLE)
        s.text("report m = E[M^2]")
        s.text("E[abs(M)^3]")                             # asked, and not part of the session
        s.text("report c[t in X.axes[0]] = E[phi[0, 0]*phi[t, 0]]")
        s.text('save m, c, M to "here.npz"')
        s.text(":save all.lqft")
        os.rename(self.path("here.npz"), self.path("there.npz"))
        self.run_saved("all.lqft", "--seed", "11")
        self.assertTrue(self.arrays("here.npz") == self.arrays("there.npz"))

    def arrays(self, name):
        import zipfile
        with zipfile.ZipFile(self.path(name)) as z:
            return {n: z.read(n) for n in z.namelist()}

    def test_without_kept_configurations(self):
        """A sample that is too large to be kept, here because the process may have 1 GB, runs again, and gives
        the same numbers."""
        big = ("import samplers.langevin\nlattice X = torus(256, 256)\nfield phi[X] : real\n"
               "sample phi ~ exp(-sum(phi^2)) with langevin(step = 0.1) { chains = 4  warmup = 0  draws = 128 }\n")
        s = self.json("--seed", "11", memory=1000000000)
        self.assertEqual(s.ask(big)["status"], "ok")
        text = s.text("report m = E[mean(phi)^2]")
        self.assertIn("not kept, so the chains run again", text)
        s.text(":save big.lqft")
        self.assertEqual(self.value(self.run_saved("big.lqft", "--seed", "11"), "m"), self.value(text, "m"))

    def test_errors_change_nothing(self):
        s = self.start(MODEL + SAMPLE + "report m = E[M^2]\n")
        before, session = s.text("m"), s.text(":show")
        for bad in ("param kappa = foo", "param kappa = ", "lattice X = torus(0)", "field phi[Y] : real", "action S(phi) = phi", "param = 3", "x = 3",
                    "report m = E[nothing]", "import nothing.here", "param a = 1\nparam b = foo", "sample phi ~ exp(-S(phi)) with nothing()", "def f(x) = f(x)\nf(1)",
                    "def f(x) = ))", "$$$", "param kappa = 0.1 param L = 4", "1/", "foo", "observable M(phi) = phi[0,0,0]", ":set nothing = 3", ":load nothing.lqft"):
            self.assertNotEqual(s.ask(bad)["status"], "ok", bad)
            self.assertEqual(s.text(":show"), session, bad)
        self.assertEqual(s.text("m"), before)
        self.assertEqual(s.text(":show stale"), "")

    def test_places_are_those_of_the_input(self):
        s = self.start()
        d = s.ask("param a = 1\nparam b = kapa")["diagnostics"][0]
        self.assertEqual((d["line"], d["col"], d["code"]), (2, 11, "E0201"))
        d = s.ask("\n\n  kapa + 1")["diagnostics"][0]
        self.assertEqual((d["line"], d["col"], d["file"]), (3, 3, "input 3"))
        self.write("bad.lqft", "param a = 1\n\nparam b = kapa\n")
        d = s.ask(":load bad.lqft")["diagnostics"][0]
        self.assertEqual((d["line"], d["col"], d["file"]), (3, 11, "bad.lqft"))
        # a mistake that a new declaration causes elsewhere is shown where that stands
        d = s.ask("axis X = 4")["diagnostics"][0]
        self.assertIn(d["file"], ("input 1", "input 5"), d)

    def test_declared_in_any_order(self):
        s = self.start("param a = 1\nparam b = a + 1\nparam c = 5\n")
        self.assertEqual(s.text("param a = 2*c\nb"), "11\n")
        self.assertEqual(s.text("c"), "5\n")
        self.assertEqual(s.ask("param c = a")["status"], "error")          # in a circle
        s.text(MODEL)
        self.assertEqual(s.ask("param W = 4\ndef size2(n) = n + W - 4\nlattice X = torus(size2(L), W)\nX")["text"], "lattice `X` (8 x 4 sites)\n")
        self.assertEqual(s.text("b"), "11\n")
        self.assertEqual(s.text("phi"), "field phi[X] : real, 32 numbers\n")

    def test_several_names(self):
        s = self.start("axis A = 2\nfield u[A], v[A] : real\n")
        self.assertEqual(s.ask("field u[A] : angle")["status"], "error")    # v would be gone
        self.assertEqual(s.text("field u[A], v[A] : angle\nu"), "field u[A] : angle, 2 numbers\n")

    def test_scan(self):
        s = self.start(MODEL + "grid K = points(0.1, 0.2)\nscan kappa in K {\n  " + SAMPLE + "  report m = E[M^2]\n}\n")
        both = s.text("report ratio = m[K[1]]/m[K[0]]")
        self.assertIn("ratio = ", both)
        self.assertEqual(self.value(s.text("ratio"), "ratio"), self.value(both, "ratio"))
        self.assertIn("stale: scan kappa in K", s.text("param L = 4"))

    def test_files(self):
        self.write("model.lqft", "## The coupling.\n" + MODEL + SAMPLE + "report m = E[M^2]\n")
        s = self.json("--seed", "3")
        self.assertEqual(s.text(":load model.lqft"), "model.lqft: 10 declarations, 2 tasks to be carried out: `:run`\n")
        first = s.text(":run")
        self.assertEqual(self.value(first, "m"), self.value(self.run_saved("model.lqft", "--seed", "3"), "m"))
        self.write("model.lqft", MODEL.replace("0.2", "0.19") + SAMPLE + "report m = E[M^2]\n")
        self.assertIn("stale: sample phi, report m", s.text(":reload") + s.text(":show stale").replace("\nreport", ", report").replace("sample", "stale: sample"))
        self.assertEqual(s.text("kappa"), "0.19\n")
        self.assertEqual(s.text(":save copy.lqft"), "wrote copy.lqft\n")
        with open(self.path("copy.lqft")) as f:
            self.assertEqual(f.read(), MODEL.replace("0.2", "0.19") + SAMPLE + "report m = E[M^2]\n")
        self.assertEqual(s.ask(":save /dev/full/x")["status"], "error")

    def test_settings(self):
        s = self.start()
        self.assertEqual(s.text(":set kappa = 0.25\nkappa"), "0.25\n")
        self.assertEqual(s.text(":set"), "kappa = 0.25\n")
        self.assertEqual(s.text(":set kappa =\nkappa"), "0.2\n")
        self.assertEqual(s.text(":seed"), "seed 11\n")
        self.assertEqual(s.ask(":seed -1")["status"], "error")
        self.assertRegex(s.text(":time 1 + 1"), r"^2\n[\d.e-]+ s\n$")

    def test_data_from_files(self):
        """A file that has changed makes what was computed from it stale."""
        self.write("d.csv", "1\n2\n")
        s = self.start('axis A = 2\ndata D[A] = load("d.csv")\nreport t = sum(D)\n')
        self.assertEqual(s.text("t"), "t = 3\n")
        self.write("d.csv", "1\n5\n")
        self.assertIn("stale: report t", s.text("param new = 1"))
        self.assertEqual(s.text("t"), "t = 6\n")

    def test_plots(self):
        s = self.start(MODEL + SAMPLE)
        for code in ("plot histogram(M)", ":plot M", ":plot histogram(phi)"):
            svg = s.ask(code)["svg"]
            self.assertEqual(len(svg), 1, code)
            self.assertIn("<svg", svg[0])
        self.assertEqual([n for n in os.listdir(self.folder) if n.endswith(".svg")], [])


class Whole(Case):
    """When is a text whole?"""

    def test_is_complete(self):
        s = self.json()
        for code, whole in (("param L = 8", True), ("param L =", False), ("param L", False), ("def f(x) = (", False), ("def f(x) = (1 +\n x)", True),
                            ("sampler s(S, q) {", False), ("sampler s(S, q) {\n return q\n}", True), ("1 +", False), ("1 + 1", True), (":type (", True),
                            ("sum[x in X]", False), ("if a then b", False), ("if a then b else c", True), ("", True), ("# c", True), ("## doc", False),
                            ("## doc\nparam a = 1", True), ("foo(", False), ("))", True), ("param a = 1 +\n", False), ('"text', True), ("x = (", False),
                            ("param a = 1\nparam b =", False), ("param a = $\nparam b = (", True), ("(1, 2", False), ("[", False), ("report", False),
                            ("sample phi ~ exp(-S(phi)) with", False), ("minimize a over", False), ("plot", False), ("import", False), ("1\n+", False)):
            self.assertEqual(s.ask(code, type="is_complete")["status"], "complete" if whole else "incomplete", code)

    def test_lines(self):
        done = self.plain("param a = (1\n+ 2)\na\ndef f(x) =\n x^2\nf(a)\n")
        self.assertEqual((done.returncode, done.stdout.decode(), done.stderr.decode()), (0, "3\n9\n", ""))
        done = self.plain("param a = (1\n\nparam a = 2\na\n")            # an empty line gives up
        self.assertEqual((done.returncode, done.stdout), (1, b"2\n"))
        self.assertIn(b"E0102", done.stderr)
        done = self.plain("2")                                            # no end of line
        self.assertEqual((done.returncode, done.stdout), (0, b"2\n"))
        done = self.plain("param a = (")
        self.assertEqual(done.returncode, 1)

    def test_lqft_alone(self):
        done = subprocess.run([LQFT], input=b"1 + 1\n:quit\n3\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"2\n", b""))

    def test_file_and_parameters(self):
        self.write("m.lqft", "param a = 2\nreport b = a^2\n")
        done = self.plain("b\n", "m.lqft", "a=3")
        self.assertEqual((done.returncode, done.stdout.decode().splitlines()[1]), (0, "b = 9"))
        self.assertEqual(self.plain("", "m.lqft", "c=3").returncode, 1)
        self.assertEqual(self.plain("", "none.lqft").returncode, 1)


class Keys(Case):
    """At a terminal."""

    def test_completion(self):
        t = self.terminal()
        t.read()
        t.say("lattice Lat = torus(4, 4)")
        self.assertIn("directions `Lat.dirs`", t.say("Lat.di\t"))
        self.assertIn("16", t.say("volume(La\t)"))
        self.assertIn("lqft> param φ", t.say("param \\phi\t = 3"))
        self.assertIn("\n9\n", t.say("φ^2"))
        self.assertIn("import samplers.nuts", t.say("import samplers.nu\t"))
        self.assertIn("a real number", t.say(":ty\t 1"))
        self.assertRegex(t.say("l\t\x15"), r"lattice.*log")                # several: a list

    def test_history(self):
        path = self.path("history")
        t = self.terminal(history=path)
        t.read()
        t.say("1 + 1")
        t.say("def f(x) = (")
        t.say("x)")
        t.close()
        self.assertEqual(os.stat(path).st_mode & 0o077, 0)
        again = self.terminal(history=path)
        again.read()
        self.assertIn("\n2\n", again.say("\x1b[A\x1b[A"))

    def test_interrupt_at_the_prompt(self):
        t = self.terminal()
        t.read()
        t.type("param a = (")
        time.sleep(0.2)
        t.type("\x03")
        self.assertIn("^C", t.read())
        self.assertIn("\n2\n", t.say("1 + 1"))
        t.say("foo(")
        t.type("\x03")
        t.read()
        self.assertIn("\n2\n", t.say("1 + 1"))

    def test_interrupt_a_task(self):
        """^C twice: the task stops, its draws are kept; :resume ends as an uninterrupted run."""
        self.write("m.lqft", MODEL + LONG + "report m = E[M^2]\n")
        whole = self.value(self.run_saved("m.lqft", "--seed", "5"), "m")
        for delay in (0.4, 0.8, 0.2, 1.6, 3.2):             # until it meets a run on its way
            t = self.terminal("repl", "m.lqft", "--seed", "5")
            t.read()
            t.type(":run phi\n")
            time.sleep(delay)
            t.type("\x03")
            time.sleep(0.02)
            t.type("\x03")
            text = t.read()
            found = re.search(r"interrupted after (\d+) of 50000 draws", text)
            if found and int(found[1]) > 0:
                break
            t.close()
        self.assertTrue(0 < int(found[1]) < 50000)
        self.assertIn("(interrupted, 50000 draws wanted)", text)
        self.assertNotEqual(self.value(t.say("m"), "m"), whole)
        text = t.say(":resume")
        self.assertIn("8 chains × 50000 draws", text)
        self.assertNotIn("from its beginning", text)
        self.assertEqual(self.value(t.say("m"), "m"), whole)
        self.assertIn("nothing was interrupted", t.say(":resume"))


class Protocol(Case):
    def test_malformed(self):
        s = self.json()
        for line in (b"nonsense", b"[1]", b"3", b"null", b'"text"', b"{", b'{"id": 1', b'{"id": 1}', b'{"id": 1, "code": 3}', b'{"id": 1, "code": null}',
                     b'{"id": 1, "type": 3, "code": "1"}', b'{"id": 1, "type": "none", "code": "1"}', b'{"id": 1, "code": "1", "code"}', b"\xff\xfe", b"{}\x00{}",
                     b'{"id": 1, "code": "\\ud800"}', b"[" * 100000, b'{"a":' * 5000, b'{"id": 1, "type": "complete"}'):
            self.assertEqual(s.raw(line)["status"], "error", line[:40])
        self.assertEqual(s.raw(b'{"id": {"a": [1, 2.5]}, "code": "1 + 1"}'), {"id": {"a": [1, 2.5]}, "text": "2\n", "svg": [], "diagnostics": [], "status": "ok"})
        self.assertEqual(s.raw(b'{"code": "1 + 1"}')["id"], None)
        self.assertEqual(s.ask("", type="quit")["status"], "ok")
        self.assertEqual(s.process.wait(timeout=10), 0)

    def test_answers(self):
        s = self.json()
        reply = s.ask("foo")
        self.assertEqual(reply["diagnostics"], [{"file": "input 1", "line": 1, "col": 1, "code": "E0201", "severity": "error", "text": "nothing here is called `foo`"}])
        self.assertEqual(s.ask("def f(x) = (")["status"], "incomplete")
        self.assertEqual(s.ask("f")["status"], "error")
        s.ask("lattice X = torus(3, 3)\nparam φκ = 1")
        reply = s.ask("volume(X) + X.d", type="complete")
        self.assertEqual((reply["names"], reply["start"], reply["end"]), (["dirs"], 14, 15))
        reply = s.ask("φ + φ + 1", type="complete", cursor=5)               # in letters, not bytes
        self.assertEqual((reply["names"], reply["start"], reply["end"]), (["φκ"], 4, 5))
        self.assertIn("report", s.ask("rep", type="complete")["names"])
        self.assertIn("sqrt", s.ask("sq", type="complete")["names"])
        self.assertIn("samplers.", s.ask("import sam", type="complete")["names"])
        self.assertIn(":load", s.ask(":l", type="complete")["names"])
        self.assertEqual(s.ask("", type="complete")["names"], [])
        reply = s.ask("1 + X", type="inspect", cursor=5)
        self.assertTrue(reply["found"] and "9 sites" in reply["text"] or "3 x 3" in reply["text"], reply)
        self.assertFalse(s.ask("1 + nothing", type="inspect")["found"])

    def test_interrupt(self):
        s = self.json("--seed", "5")
        s.ask(MODEL)
        s.process.send_signal(signal.SIGINT)                               # nothing runs
        self.assertEqual(s.text("1 + 1"), "2\n")
        s.process.stdin.write(json.dumps({"id": "long", "code": LONG}).encode() + b"\n")
        s.process.stdin.flush()
        time.sleep(0.6)
        s.process.send_signal(signal.SIGINT)
        s.process.send_signal(signal.SIGINT)
        reply = json.loads(s.process.stdout.readline())
        self.assertEqual((reply["id"], reply["status"]), ("long", "error"))
        self.assertIn("`:resume` goes on", reply["text"])
        self.assertEqual(s.text("1 + 1"), "2\n")

    def interrupted(self, s, code, delay):
        """Sends the code, and ^C after a while: was it stopped on its way?"""
        s.process.stdin.write(json.dumps({"id": "long", "code": code}).encode() + b"\n")
        s.process.stdin.flush()
        time.sleep(delay)
        s.process.send_signal(signal.SIGINT)
        reply = json.loads(s.process.stdout.readline())
        return reply["status"] == "error" and "`:resume` goes on" in reply["text"]

    def test_resume(self):
        """What was stopped, and stopped again, ends with the numbers of what was not: chains in their draws, in their warm-up, at a point of a
        scan, and minimisations; also when something else was asked in between."""
        scan = "grid Ks = linspace(0.15, 0.25, 3)\nscan kappa in Ks {\n  " + LONG.replace("50000", "15000") + "  report m = E[M^2]\n}\n"
        fit = ("import optimizers.adam\naxis D = 4000\nloss cost(u) = sum[d in D] (u[d] - sin(d))^2 + (sum[d in D] u[d]^3)^2\n"
               "minimize cost(u) over u[D] : real with adam(rate = 1e-4) { steps = 60000 }\n")
        cases = {"draws": (MODEL, LONG, "E[M^2]"), "warm-up": (MODEL, LONG.replace("warmup = 0  draws = 50000", "warmup = 150000  draws = 100"), "E[M^2]"),
                 "scan": (MODEL, scan, None), "minimisation": (fit[:fit.index("minimize")], fit[fit.index("minimize"):], "cost(u)")}
        for name, (model, task, asked) in cases.items():
            with self.subTest(name):
                plain = self.json("--seed", "5")
                plain.ask(model)
                whole = plain.ask(task)
                self.assertEqual(whole["status"], "ok", whole)
                wanted = plain.text(asked) if asked else None
                times = 0
                for delay in (0.3, 0.15, 0.6, 0.08, 1.2):                  # until it meets a run on its way
                    s = self.json("--seed", "5")
                    s.ask(model)
                    if not self.interrupted(s, task, delay):
                        continue
                    times = 1
                    while self.interrupted(s, ":resume", 0.1 + 0.05*times):
                        times += 1
                        self.assertEqual(s.text("1 + 1"), "2\n")
                        self.assertLess(times, 200)
                    break
                self.assertGreater(times, 0)
                text = s.text(":resume") if "nothing was interrupted" not in s.ask(":resume")["text"] else ""
                self.assertNotIn("from its beginning", text)
                if asked:
                    self.assertEqual(s.text(asked), wanted)
                else:
                    self.assertEqual(re.findall("m = .*", s.text(":run m")), re.findall("m = .*", plain.text(":run m")))
                print(f"{name}: interrupted {times} times", file=sys.stderr)

    def test_symbols(self):
        """Every \\name gives what the lexer reads."""
        with open(os.path.join(ROOT, "compiler", "repl", "symbols.def"), encoding="utf-8") as f:
            symbols = re.findall(r'SYMBOL\("([^"]+)", "([^"]+)"\)', f.read())
        self.assertGreater(len(symbols), 80)
        s = self.json()
        s.ask("axis A = 3\ndef one(x) = x")
        uses = {"sum": "∑[a in A] 1", "prod": "∏[a in A] 1", "int": None, "in": "sum[a ∈ A] 1", "cdot": "2·3", "times": "2×3", "div": "2÷3", "minus": "2−3", "le": "1 ≤ 2",
                "ge": "1 ≥ 2", "ne": "1 ≠ 2", "infty": "1/∞", "half": "½", "pi": "π", "to": None}
        for name, symbol in symbols:
            self.assertEqual(s.ask("\\" + name, type="complete")["names"], [symbol], name)
            code = uses[name] if name in uses else f"2{symbol}" if name[0] == "^" else f"def a{symbol}(x) = x" if name[0] == "_" else f"def {symbol}x(y) = y"
            if code:
                self.assertEqual(s.ask(code)["status"], "ok", code)
        s.ask("grid W = linspace(0, 1, 11)")
        self.assertEqual(s.text("∫[w in W] w"), s.text("integral[w in W] w"))
        self.assertEqual(s.ask("field f[A] : real\naction S(f) = sum(f^2)\nsymmetry f → -f of S")["status"], "ok")
        for letter in "αβγδεζηθικλμνξοπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ":
            self.assertIn(letter, [symbol for _, symbol in symbols])


class Hostile(Case):
    """Whatever comes in, the session goes on."""

    def inputs(self):
        r = random.Random(1)
        alphabet = ["param", "lattice", "X", "=", "(", ")", "[", "]", "{", "}", "1", "+", "phi", "sum", "in", "report", "E", "\n", " ", ":", "type", "grad", "wrt", "#", "\"",
                    "φ", ",", ";", "~", "sample", "exp", "-", "with", "\\", "if", "then", "_", "import", ".", "scan", "keep", "load", "0"]
        yield "(" * 100000
        yield "1" + " + 1" * 100000
        yield "a" * 1000000
        yield "param " + "x" * 100000 + " = 1"
        yield "-" * 50000 + "1"
        yield "{" * 300
        yield "1e999999"
        yield "param a = " + "9" * 100000
        yield "x" + "^2" * 2000
        yield ":" + "t" * 100000
        yield ":type " + "(" * 5000
        yield ":grad " + "x*" * 2000 + "x wrt x"
        yield ":set " + "=" * 1000
        yield ":set L = " + "(" * 1000
        yield ":seed 99999999999999999999"
        yield ":load " + "../" * 2000
        yield ":load /dev/null"
        yield ":load ."
        yield ":save ."
        yield ":doc " + "%s%n" * 100
        yield ":plot %s%n"
        yield "%s%n%d"
        yield "report _ = 1"
        yield "def lqft_g(x) = x"
        yield "_"
        for _ in range(200):
            yield " ".join(r.choice(alphabet) for _ in range(r.randrange(1, 25)))

    def test_json(self):
        s = self.json()
        s.ask("lattice X = torus(4, 4)\nfield phi[X] : real")
        for code in self.inputs():
            self.assertIn(s.ask(code)["status"], ("ok", "error", "incomplete"), code[:60])
            self.assertIn("names", s.ask(code[:5000], type="complete"))
            s.ask(code[:5000], type="inspect")
        self.assertEqual(s.text("1 + 1"), "2\n")

    def test_plain(self):
        r = random.Random(2)
        for data in (b"1 + 1\n\x00\x00\n2 + 2\n", b"\xff\xfe\xfd\n1 + 1\n", b"\xe2\x88\n", bytes(r.randrange(256) for _ in range(20000)), b"(" * 200000, b"\n" * 10000,
                     b"1\r\n", b"\xef\xbb\xbf1\n", b"param a = \xc3\x28\n", b":\n:\x00\n", b"\x1b[A\x1b[B\n"):
            done = self.plain(data)
            self.assertIn(done.returncode, (0, 1), (data[:40], done.stderr[-300:]))
        self.assertEqual(self.plain(b"\x00\n2 + 2\n").stdout, b"4\n")

    def test_terminal(self):
        r = random.Random(3)
        t = self.terminal()
        t.read()
        for _ in range(60):
            junk = bytes(r.choice([r.randrange(32, 127), r.randrange(128, 256), 9, 27, 1, 2, 5, 6, 11]) for _ in range(30))
            os.write(t.fd, junk)
        time.sleep(0.5)
        t.type("\x03")
        t.read(seconds=2)
        for _ in range(3):
            t.type("\x03")
            t.read(seconds=2)
        self.assertIn("\n42\n", t.say("6*7"))


class Jupyter(Case):
    CELL = "import samplers.hmc\nlattice X = torus(4, 4)\nfield phi[X] : real\nsample phi ~ exp(-sum(phi^2)) with hmc() { draws = 50 }\nplot histogram(phi)\n6*7"

    def setUp(self):
        super().setUp()
        sys.path.insert(0, KERNEL)
        self.addCleanup(sys.path.remove, KERNEL)
        os.environ["LQFT"] = LQFT
        sys.dont_write_bytecode = True

    def test_driver(self):
        """The kernel's class, over a stand-in for its base."""
        sent = []

        class Kernel:
            execution_count, iopub_socket = 1, None

            def __init__(self, **more):
                pass

            def send_response(self, socket, kind, content):
                sent.append((kind, content))
        stand_in = types.ModuleType("ipykernel.kernelbase")
        stand_in.Kernel = Kernel
        kept = {n: sys.modules.get(n) for n in ("ipykernel", "ipykernel.kernelbase", "lqft_kernel.kernel")}
        sys.modules.update({"ipykernel": types.ModuleType("ipykernel"), "ipykernel.kernelbase": stand_in})
        sys.modules.pop("lqft_kernel.kernel", None)
        try:
            from lqft_kernel.kernel import LqftKernel
            kernel = LqftKernel()
            self.addCleanup(kernel.do_shutdown, False)
        finally:
            for name, module in kept.items():
                sys.modules.pop(name, None)
                if module:
                    sys.modules[name] = module
        self.assertEqual(kernel.do_execute(self.CELL, False)["status"], "ok")
        self.assertEqual([kind for kind, _ in sent], ["stream", "display_data"])
        self.assertIn("42", sent[0][1]["text"])
        self.assertIn("<svg", sent[1][1]["data"]["image/svg+xml"])
        reply = kernel.do_execute("foo", False)
        self.assertEqual((reply["status"], reply["ename"]), ("error", "E0201"))
        self.assertEqual(kernel.do_complete("X.d", 3)["matches"], ["dirs"])
        self.assertEqual(kernel.do_is_complete("f(")["status"], "incomplete")
        self.assertTrue(kernel.do_inspect("hmc", 2)["found"])
        kernel.lqft.process.kill()                       # a new session, and a word about it
        self.assertEqual(kernel.do_execute("1", False)["status"], "error")
        self.assertEqual(kernel.do_execute("1", False)["status"], "ok")

    def test_real(self):
        """Jupyter's own client and a kernel process."""
        try:
            import ipykernel  # noqa: F401
            from jupyter_client.kernelspec import KernelSpecManager
            from jupyter_client.manager import KernelManager
        except ImportError:
            self.skipTest("jupyter_client and ipykernel are not installed")
        env = dict(os.environ, PYTHONPATH=KERNEL, PYTHONDONTWRITEBYTECODE="1")
        subprocess.run([sys.executable, "-m", "lqft_kernel", "install", "--prefix", self.folder], env=env, check=True, stdout=subprocess.PIPE)
        specs = KernelSpecManager(kernel_dirs=[self.path("share/jupyter/kernels")])
        manager = KernelManager(kernel_name="lqft", kernel_spec_manager=specs)
        manager.start_kernel(env=env, cwd=self.folder)
        self.addCleanup(manager.shutdown_kernel, now=True)
        client = manager.client()
        client.start_channels()
        self.addCleanup(client.stop_channels)
        client.wait_for_ready(timeout=60)
        sent = []
        reply = client.execute_interactive(self.CELL, timeout=60, output_hook=lambda m: sent.append((m["msg_type"], m["content"])))
        self.assertEqual(reply["content"]["status"], "ok")
        kinds = dict(sent)
        self.assertIn("42", kinds["stream"]["text"])
        self.assertIn("<svg", kinds["display_data"]["data"]["image/svg+xml"])
        self.assertEqual(client.complete("X.d", reply=True, timeout=30)["content"]["matches"], ["dirs"])
        timer = time.monotonic()
        interrupt = threading.Timer(1.5, lambda: manager.interrupt_kernel())
        interrupt.start()
        self.addCleanup(interrupt.join)
        reply = client.execute_interactive(MODEL + LONG.replace("50000", "500000"), timeout=60, output_hook=lambda m: sent.append((m["msg_type"], m["content"])))
        self.assertEqual(reply["content"]["status"], "error")
        self.assertIn("`:resume` goes on", sent[-2][1].get("text", sent[-1][1].get("text", "")), sent[-3:])
        self.assertLess(time.monotonic() - timer, 40)


if __name__ == "__main__":
    unittest.main()
