#!/usr/bin/env python3
"""lqft fmt: what it keeps, what it settles, and what it does with files.

    tests/fmt/run.py [--lqft PATH] [--front PATH] [--seed N] [-v] [NAME …]

The corpus is every model of the repository that parses, and the same with its white space
damaged at random (--seed): tokens and comments must come out the same, and a second pass must
change nothing.  front_main --tokens says what the tokens are.
"""
import os
import random
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import script

ROOT = script.ROOT
LQFT = script.path("--lqft", "build/lqft")
FRONT = script.path("--front", "build/tests/front_main")
SEED = int(script.value("--seed", 1))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def corpus():
    """Paths of all models in the repository."""
    for top in ("examples", "stdlib", "tests"):
        for folder, _, names in sorted(os.walk(os.path.join(ROOT, top))):
            for name in sorted(names):
                if name.endswith(".lqft"):
                    yield os.path.join(folder, name)


def fmt(*arguments, text=None, cwd=None, **more):
    return subprocess.run([LQFT, "fmt", *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, timeout=100, **more)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="lqft-fmt-"))
        self.addCleanup(shutil.rmtree, self.folder, True)

    def write(self, text, name="model.lqft"):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return path

    def lexemes(self, text):
        """[(class, letters, first on its line)]; blanks at the end of comments do not count."""
        path = self.write(text, "tokens.lqft")
        done = subprocess.run([FRONT, "--tokens", path], stdout=subprocess.PIPE, check=True)
        out, end = [], 0
        for m in re.finditer(rb"^(\d+) (\d+) (\w+) ", done.stdout, flags=re.M):
            lo, hi = int(m[1]), int(m[2])
            letters = text[lo:hi].rstrip(b" \t\r\f") if m[3] == b"comment" else text[lo:hi]
            out.append((m[3], letters, b"\n" in text[end:lo] or not out))
            end = hi
        return out

    def keeps(self, text, name):
        """None when the text does not parse; else what fmt makes of it, after the checks."""
        done = fmt("-", text=text)
        self.assertIn(done.returncode, (0, 1), f"{name}: {done.stderr.decode(errors='replace')}")
        if done.returncode:
            self.assertRegex(done.stderr.decode(errors="replace"), r"^-:\d+:\d+: error\[E\d{4}\]: ")
            self.assertEqual(done.stdout, b"")
            return None
        self.assertEqual(self.lexemes(done.stdout), self.lexemes(text), name)
        again = fmt("-", text=done.stdout)
        self.assertEqual((again.returncode, again.stdout), (0, done.stdout), f"{name}: a second pass changes it")
        for line in done.stdout.split(b"\n"):
            self.assertEqual(line, line.rstrip(), name)
        self.assertNotIn(b"\n\n\n", done.stdout, name)
        return done.stdout


class Texts(Case):
    def test_library_and_examples_are_formatted(self):
        for path in corpus():
            if path.startswith(os.path.join(ROOT, "tests")):
                continue
            done = fmt("--check", path)
            self.assertEqual((done.returncode, done.stdout), (0, b""), "run lqft fmt on it")

    def test_corpus(self):
        parsed = sum(self.keeps(read(path), path) is not None for path in corpus())
        self.assertGreater(parsed, 200)

    def test_damaged_white_space(self):
        """Blanks put in and taken out between tokens, lines indented anew, blank lines, tabs,
        carriage returns: no letter may change, and most of it must still parse."""
        dice = random.Random(SEED)
        files = [p for p in corpus() if not p.startswith(os.path.join(ROOT, "tests", "errors"))]
        parsed = total = 0
        for path in dice.sample(files, min(90, len(files))):
            text = self.damaged(read(path), dice)
            total += 1
            parsed += self.keeps(text, f"{path}, damaged with --seed {SEED}") is not None
        self.assertGreater(parsed, 0.8*total)

    def damaged(self, text, dice):
        path = self.write(text, "whole.lqft")
        done = subprocess.run([FRONT, "--tokens", path], stdout=subprocess.PIPE, check=True)
        out, at = [], 0
        spans = [(int(m[1]), int(m[2]), m[3]) for m in re.finditer(rb"^(\d+) (\d+) (\w+) ", done.stdout, flags=re.M)]
        for lo, hi, kind in spans:
            gap = text[at:lo]
            if b"\n" in gap:
                lines = gap.count(b"\n") + dice.choice((0, 0, 0, 1, 3))
                indent = b"" if gap.endswith(b"\n") and dice.random() < 0.7 else dice.choice((b" ", b"  ", b"\t", b"      "))
                if gap.endswith(b"\n") and kind == b"keyword":
                    indent = b""                         # a declaration at the very left stays there
                gap = dice.choice((b"", b" ", b"\r")) + b"\n"*lines + indent
            elif dice.random() < 0.3:
                word = re.compile(rb"[\w'.\x80-\xff]")
                apart = at > 0 and word.match(text[at - 1:at]) and word.match(text[lo:lo + 1])
                gap = dice.choice((b" ", b"  ", b"\t", b"    ", b" " if apart or gap else b""))
                if at > 0 and not apart and text[at - 1:at] in b"([,;=" and dice.random() < 0.5:
                    gap = b""
            out.append(gap + text[lo:hi])
            at = hi
        return b"".join(out) + dice.choice((b"", b"\n", b"\n\n\n  "))

    def test_form(self):
        """The rules, one by one: what is written, and what becomes of it."""
        for written, wanted in (
            ("param  L=8\n", "param L = 8\n"),
            ("param L      = 8\nparam lambda = 2\n", "param L      = 8\nparam lambda = 2\n"),
            ("param L         = 8\nparam lambda    = 2\n", "param L      = 8\nparam lambda = 2\n"),
            ("param L   = 8\n\nparam lambda = 2\n", "param L = 8\n\nparam lambda = 2\n"),
            ("lattice X = torus( 8,8 )\nfield   p[ X ]:real", "lattice X = torus( 8, 8 )\nfield   p[X] : real\n"),
            ("def f(x)=x[n+1]-x [n-1]*-2^ - 1\n", "def f(x) = x[n + 1] - x[n - 1]*-2^-1\n"),
            ("def f(x) = a *b / c\n", "def f(x) = a * b / c\n"),
            ("def f(x) = sum[ x in X ]-x[x]² .re\n", "def f(x) = sum[x in X] -x[x]².re\n"),
            ("def f(;a,b=2){ c=a;d=b\nreturn c+d }\n", "def f(; a, b = 2) { c = a; d = b\n  return c + d }\n"),
            ("def f(x) {\n\n      y = (x\n+ 1)\n  if y>0 {\n return y\n}   else{\nreturn -y }\n\n}\n",
             "def f(x) {\n  y = (x\n       + 1)\n  if y > 0 {\n    return y\n  } else {\n    return -y }\n}\n"),
            ("def f(x) =\n x\n", "def f(x) =\n x\n"),
            ("def f(x) =\nx\n", "def f(x) =\n    x\n"),
            ("def f(x) = g(\nx,\n  2\n  )\n", "def f(x) = g(\n  x,\n  2\n)\n"),
            ("param a = 1# one\nparam bb = 2    # two   \n", "param a = 1  # one\nparam bb = 2    # two\n"),
            ("\n\n\n  # first\n\n\n\n  param a = 1\n\n\n", "# first\n\nparam a = 1\n"),
            ("sample x ~ exp(-x^2) with walk(){chains=4 draws = 5}\n", "sample x ~ exp(-x^2) with walk() { chains = 4  draws = 5 }\n"),
            ("def f(x) = x . next+0 .. 3\n", None),
            ("data a[i in 0 ..  3] = 1. + i\n", "data a[i in 0..3] = 1. + i\n"),
            ("data r = r[k,  ..]\n", "data r = r[k, ..]\n"),
            ("", ""), ("\n \n", ""), ("# only\n", "# only\n"),
        ):
            done = fmt("-", text=written.encode())
            if wanted is None:
                self.assertEqual(done.returncode, 1, written)
                continue
            self.assertEqual(done.stdout.decode(), wanted, written)
            self.keeps(written.encode(), written)

    def test_deep_and_long(self):
        """Time is linear in the text."""
        for text in ("def a = " + "("*190 + "1" + ")"*190 + "\n", "# comment\n"*200000, "param a = 1 # c\n"*50000, "def a = 1" + " + 1"*4000 + "\n",
                     "def f(x) {\n" + "  y = x\n"*20000 + "  return y\n}\n"):
            done = fmt("-", text=text.encode())
            self.assertEqual(done.returncode, 0, text[:40])


class Files(Case):
    def test_a_file_is_replaced(self):
        path = self.write("param  a=1\n")
        os.chmod(path, 0o640)
        done = fmt(path)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        self.assertEqual(read(path), b"param a = 1\n")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o640)
        self.assertEqual(os.listdir(self.folder), ["model.lqft"])

    def test_what_is_formatted_is_not_written(self):
        path = self.write("param a = 1\n")
        os.utime(path, (1, 1))
        self.assertEqual(fmt(path).returncode, 0)
        self.assertEqual(os.stat(path).st_mtime, 1)

    def test_broken_input_is_left_alone(self):
        broken = b"param  a=1\ndef f(x) = (x\nparam b = \xff\n"
        path, other = self.write(broken), self.write("param  a=1\n", "other.lqft")
        os.utime(path, (1, 1))
        done = fmt(path, other)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.decode(), rf"(?m)^{re.escape(path)}:2:12: error\[E0102\]: ")
        self.assertEqual((read(path), os.stat(path).st_mtime), (broken, 1))
        self.assertEqual(read(other), b"param a = 1\n")          # the others are done

    def test_errors_of_meaning_do_not_matter(self):
        self.assertEqual(fmt("-", text=b"report  r=nothing\n").stdout, b"report r = nothing\n")

    def test_check(self):
        good, bad = self.write("param a = 1\n", "good.lqft"), self.write("param  a=1\n", "bad.lqft")
        done = fmt("--check", good, bad)
        self.assertEqual((done.returncode, done.stdout.decode()), (1, bad + "\n"))
        self.assertEqual(read(bad), b"param  a=1\n")
        self.assertEqual(fmt("--check", good).returncode, 0)
        self.assertEqual(fmt("--check", "-", text=b"param  a=1").returncode, 1)

    def test_a_link_stays_a_link(self):
        path = self.write("param  a=1\n")
        link = os.path.join(self.folder, "link.lqft")
        os.symlink("model.lqft", link)
        self.assertEqual(fmt(link).returncode, 0)
        self.assertTrue(os.path.islink(link))
        self.assertEqual(read(path), b"param a = 1\n")

    def test_a_write_that_fails_changes_nothing(self):
        text = ("param  a=1\n"*2000).replace("a", "a").encode()
        path = self.write(text)

        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        done = fmt(path, preexec_fn=small_files)
        self.assertIn(done.returncode, (73, 74), done.stderr)
        self.assertIn(path.encode(), done.stderr)
        self.assertEqual(read(path), text)
        self.assertEqual(os.listdir(self.folder), ["model.lqft"])
        with open("/dev/full", "wb") as full:
            done = subprocess.run([LQFT, "fmt", "-"], input=text, stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 74, done.stderr)

    def test_usage(self):
        self.assertEqual(fmt(os.path.join(self.folder, "none.lqft")).returncode, 66)
        self.assertEqual(fmt(self.folder).returncode, 66)
        for arguments in ((), ("--chek", "a"), ("--check",)):
            self.assertEqual(fmt(*arguments).returncode, 2, arguments)


if __name__ == "__main__":
    unittest.main()
