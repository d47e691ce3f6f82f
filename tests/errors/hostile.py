#!/usr/bin/env python3
"""hostile.py [LQFT] [--only WORD] [--keep] [--no-memory-limit] [--seconds N]

Input that nobody means well, through the real program: every case must end in time, by
itself, with a status that the language reference names and with a message; never by a
signal, an assertion or an "internal error".  One line for each failure, then a count."""
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
STATUSES = {0, 1, 2, 65, 66, 73, 74, 75}
MEMORY = 4 << 30
TEN_MB = 10 * 1000 * 1000
GOOD = ("import samplers.hmc\nparam L = 4\nparam kappa = 0.2 in (0, 1)\nlattice X = torus(L, L)\n"
        "field phi[X] : real\naction S(phi) = sum[x in X] phi[x]^2 * (1 + kappa)\n"
        "sample phi ~ exp(-S(phi)) with hmc(steps = 4) { chains = 4 warmup = 10 draws = 20 }\n"
        "report phi2 = E[mean[x in X] phi[x]^2]\n")
MODEL = GOOD[:GOOD.index("action")]


class Case:
    def __init__(self, name, text=None, args=None, want=None, command="check", files=None, prepare=None, quiet_ok=False,
                 tool="check"):
        self.name, self.text, self.args = name, text, args or []
        self.want = want                    # statuses; None: any documented one that is not 0
        self.command, self.files, self.prepare, self.quiet_ok = command, files or {}, prepare, quiet_ok


def texts():
    """Malformed and monstrous texts."""
    for seed in range(12):
        r = random.Random(seed)
        yield f"random bytes {seed}", r.randbytes(r.choice([1, 10, 1000, 100000]))
    for seed in range(12):
        r = random.Random(seed)
        words = GOOD.replace("(", " ( ").replace("[", " [ ").split(" ")
        yield f"shuffled words {seed}", " ".join(r.choice(words) for _ in range(300))
    yield "random megabytes", random.Random(99).randbytes(3000000)
    long = {"identifier": "a" * TEN_MB, "sum": "param x = " + "1+" * (TEN_MB // 2) + "1", "sum of names": "def f(a) = " + "a+" * (TEN_MB // 2) + "a",
            "(": "(" * TEN_MB, "[": "[" * TEN_MB, "{": "{" * TEN_MB, ")": ")" * TEN_MB, "digits": "param x = " + "7" * TEN_MB,
            "digits after the point": "param x = 0." + "7" * TEN_MB, "string": 'print "' + "s" * TEN_MB + '"', "open string": 'print "' + "s" * TEN_MB,
            "comment": "# " + "c" * TEN_MB, "doc comment": "## " + "c" * TEN_MB, "minus": "param x = " + "-" * TEN_MB, "if": "param x = " + "if " * (TEN_MB // 3),
            "not": "param x = " + "not " * (TEN_MB // 4), "sums": "param x = " + "sum[x in X] " * (TEN_MB // 12), "commas": "," * TEN_MB,
            "calls": "param x = " + "f(" * (TEN_MB // 2), "powers": "param x = " + "2^" * (TEN_MB // 2) + "2", "dots": "import " + "a." * (TEN_MB // 2) + "a",
            "members": "param x = a" + ".a" * (TEN_MB // 2), "indices": "param x = a" + "[0]" * (TEN_MB // 3), "spaces": " " * TEN_MB, "tabs": "\t" * TEN_MB,
            "blank lines": "\n" * TEN_MB, "quotes": '"' * TEN_MB, "semicolons": ";" * TEN_MB, "greek": "φ" * (TEN_MB // 2), "backslashes": "\\" * TEN_MB,
            "at": "@" * TEN_MB, "repeat": "def f(x) { " + "repeat 2 { " * (TEN_MB // 11), "arguments": "def f(" + "a, " * (TEN_MB // 3) + "a) = 1",
            "items": "def f() = (" + "1, " * (TEN_MB // 3) + "1)", "or": "param x = " + "true or " * (TEN_MB // 8) + "true",
            "then": "param x = " + "if true then 1 else " * (TEN_MB // 20) + "1"}
    for name, text in long.items():
        yield "10 MB of " + name, text
    yield "empty file", ""
    yield "only comments", "# one\n# two\n"
    yield "zero bytes", b"\0" * 1000
    yield "zero byte in a name", b"param a\0b = 1\n"
    yield "zero byte in a good program", GOOD.encode().replace(b"report", b"\0report")
    yield "invalid UTF-8", b"param a = \xff\xfe 1\n"
    yield "overlong UTF-8", b"param \xc0\x80 = 1\n"
    yield "cut UTF-8", b"param a = 1 \xe2\x82"
    yield "byte order mark", b"\xef\xbb\xbf" + GOOD.encode()
    yield "UTF-16", GOOD.encode("utf-16")
    yield "CRLF", GOOD.replace("\n", "\r\n")
    yield "CR only", GOOD.replace("\n", "\r")
    for n in (150, 199, 250, 4000, 100000):
        yield f"{n} parentheses", f"param x = {'(' * n}1{')' * n}\n"
        yield f"{n} minus signs", f"param x = {'-' * n}1\n"
        yield f"{n} nots", f"param x = {'not ' * n}true\n"
        yield f"{n} ifs", f"param x = {'if true then 1 else ' * n}1\n"
        yield f"{n} powers", f"param x = {'1^' * n}1\n"
        yield f"{n} terms", f"param x = {'1.5 + ' * n}1\n"
        yield f"{n} sums", MODEL + f"action S(phi) = {'sum[x in X] ' * n}phi[x]\nsymmetry phi -> -phi of S\n"
        yield f"{n} blocks", f"def f(x) {{ {'repeat 2 { ' * n} x = x + 1 {'} ' * n}\n return x }}\nparam y = 1\nreport a = f(y)\n"
        yield f"{n} conditional blocks", f"def f(x) {{ {'if x > 0 { ' * n} x = x + 1 {'} ' * n}\n return x }}\nreport a = f(1)\n"
        yield f"{n} calls", f"def g(x) = x + 0.5\nreport a = {'g(' * n}1{')' * n}\n"
        yield f"{n} functions", "def f0(x) = sin(x)\n" + "".join(f"def f{i}(x) = f{i-1}(x)*x\n" for i in range(1, n if n < 5000 else 15000)) + f"report a = f{(n if n < 5000 else 15000) - 1}(0.5)\n"
        yield f"{n} statements", MODEL + "observable f(phi) {\n s = sum(phi)\n" + "  s = s*s + 1\n" * n + "  return s\n}\n"
        yield f"{n} sines", MODEL + "observable f(phi) {\n s = sum(phi)\n" + "  s = sin(s)\n" * n + "  return s\n}\n"
        yield f"{n} terms of a field", MODEL + f"action S(phi) = sum[x in X] ({'sin(phi[x])*phi[x] + ' * n} 1)\n"
        yield f"{n} powers of a field", MODEL + f"action S(phi) = sum[x in X] ({'sin(phi[x]) ^ ' * n} 1)\n"
        yield f"{n} members", "lattice X = torus(4)\nreport a = size(X" + ".axes" * n + ")\n"
        yield f"{n} indices", "data D[i in 0..3] = i\nreport a = D" + "[0]" * n + "\n"
        yield f"{n} arguments", "def f(x) = x\nreport a = f(" + "1, " * n + "1)\n"
        yield f"{n} components", "report a = sum((" + "1, " * n + "1))\n"
        yield f"{n} directions", "lattice X = torus(" + "2, " * n + "2)\n"
        yield f"{n} index sets", "axis A = 1\nfield phi[" + "A, " * n + "A] : real\n"
        yield f"{n} indices of a sum", "axis A = 1\nreport a = sum[" + "".join(f"i{k} in A, " for k in range(n)) + "j in A] 1\n"
        yield f"{n} names", "def f() { " + "".join(f"a{k}, " for k in range(n)) + "b = 1 return b }\nreport a = f()\n"
        yield f"{n} lists", "print " + "1, " * n + "1\n"


def programs():
    """Well-formed programs that ask for too much."""
    yield "doubling functions", "def f0(x) = x\n" + "".join(f"def f{i}(x) = f{i-1}(x) + f{i-1}(x)\n" for i in range(1, 41)) + "report a = f40(1)\n"
    yield "doubling functions of a field", MODEL + "def f0(x) = sin(x)\n" + "".join(f"def f{i}(x) = f{i-1}(x) * f{i-1}(x + {i})\n" for i in range(1, 41)) + "action S(phi) = f40(sum(phi))\n"
    yield "doubling arguments", "def d(x) = x + x\nreport a = " + "d(" * 60 + "1" + ")" * 60 + "\n"
    yield "doubling statements", MODEL + "observable f(phi) {\n  s = sum(phi)\n" + "  s = s*sin(s) + s\n" * 3000 + "  return s\n}\n"
    yield "doubling sines and its force", MODEL + "action S(phi) {\n  s = sum(phi)\n" + "  s = s*sin(s) + cos(s)\n" * 300 + "  return s\n}\nsymmetry phi -> -phi of S\n"
    yield "doubling tuples", "def f() {\n  a = (1, 2)\n" + "  a = (a, a)\n" * 60 + "  return sum(a)\n}\nreport a = f()\n"
    yield "tuples in a loop", "def f() {\n  a = (1, 2)\n  repeat 40 { a = (a, a) }\n  return sum(a)\n}\nreport a = f()\n"
    yield "functions as arguments", "def twice(f, x) = f(f(x))\ndef g(x) = x + 1\n" + "".join(f"def t{i}(x) = twice({'g' if i == 0 else f't{i-1}'}, x)\n" for i in range(50)) + "report a = t49(1)\n"
    deep = "(" * 190 + "-" * 1500
    yield "deep calls of deep expressions", "def f0(x) = x\n" + "".join(f"def f{i}(x) = {deep}f{i-1}(x){')' * 190}\n" for i in range(1, 60)) + "report a = f59(1)\n"
    yield "blocks in calls in blocks", "def f0(x) = x\n" + "".join(f"def f{i}(x) {{ {'repeat 2 { ' * 150} x = f{i-1}(x) {'} ' * 150}\n  return x }}\n" for i in range(1, 60)) + "report a = f59(1)\n"
    yield "self application", "def w(f) = f(f)\nreport a = w(w)\n"
    yield "default calls itself", "def f(x; y = f(1)) = x + y\nreport a = f(1)\n"
    yield "recursion", "def f(x) = if x < 1 then 1 else x*f(x - 1)\nreport a = f(5)\n"
    yield "mutual recursion", "def f(x) = g(x)\ndef g(x) = h(x)\ndef h(x) = f(x)\nreport a = f(5)\n"
    yield "long cycle", "".join(f"def f{i}(x) = f{(i+1) % 1000}(x)\n" for i in range(1000)) + "report a = f0(1)\n"
    yield "100000 declarations", "".join(f"param p{i} = {i}\n" for i in range(100000))
    yield "100000 functions", "".join(f"def f{i}(x) = x + {i}\n" for i in range(100000))
    yield "100000 chained numbers", "param p0 = 1\n" + "".join(f"param p{i} = p{i-1} + 1\n" for i in range(1, 100000))
    yield "100000 mistakes", "".join(f"param p{i} = q{i}\n" for i in range(100000))
    yield "100000 syntax mistakes", "".join(f"param p{i} = )\n" for i in range(100000))
    yield "100000 duplicates", "param p = 1\n" * 100000
    yield "100000 statements", "def f(x) {\n" + "  x = x + 1\n" * 100000 + "  return x\n}\nreport a = f(1)\n"
    yield "10000 reports", "".join(f"report r{i} = {i}\n" for i in range(10000))
    yield "2000 samples", GOOD + "sample phi ~ exp(-S(phi)) with hmc(steps = 4)\n" * 2000
    yield "huge repeat", "def f(x) { repeat 100000000 { x = x + 1 } return x }\ndata d = f(1)\n"
    yield "nested huge repeats", "def f(x) { repeat 100000000 { repeat 100000000 { x = x + 1 } } return x }\nreport a = f(1)\n"
    yield "nested huge repeats as data", "def f(x) { repeat 60000 { repeat 60000 { x = x + 1 } } return x }\ndata d = f(1)\n"
    yield "too many repeats", "def f(x) { repeat 10^9 { x = x + 1 } return x }\nreport a = f(1)\n"
    yield "infinite repeats", "def f(x) { repeat inf { x = x + 1 } return x }\nreport a = f(1)\n"
    yield "negative repeats", "def f(x) { repeat -1 { x = x + 1 } return x }\nreport a = f(1)\n"
    yield "nan repeats", "def f(x) { repeat inf - inf { x = x + 1 } return x }\nreport a = f(1)\n"
    yield "repeat 0.5", "def f(x) { repeat 0.5 { x = x + 1 } return x }\nreport a = f(1)\n"
    yield "huge bound of a while", "def f(x) { repeat while x > 0 at most 10^12 { x = x + 1 } return x }\nreport a = f(1)\n"
    yield "while forever in data", "def f(x) { repeat while x > 0 at most 10^8 { repeat 100 { x = x + 1 } } return x }\ndata d = f(1)\n"
    yield "while without a bound", "def f(x) { while x > 0 { x = x + 1 } return x }\nreport a = f(1)\n"
    yield "for over a billion", "def f(x) { for i in 0..1000000000 { x = x + i } return x }\nreport a = f(1)\n"
    yield "sum over a billion", "param p = sum[i in 0..1000000000] i\n"
    yield "sum over a quintillion in data", "data d = sum[i in 0..1000000000, j in 0..1000000000] i*j\n"
    yield "array of a quintillion", "data d[i in 0..1000000000, j in 0..1000000000] = i*j\n"
    yield "array of a billion", "data d[i in 0..1000000000] = i\n"
    yield "four billion-fold array", "def f() {\n a[i in 0..999999999, j in 0..999999999, k in 0..999999999] = i\n return sum(a)\n}\nreport a = f()\n"
    for ext in ("2147483648", "2147483649", "4611686018427387904", "9223372036854775807", "9223372036854775808", "1e300", "1e-300", "-1", "0", "0.5", "inf", "-inf",
                "inf - inf", "0/0", "1i", "true", '"4"', "X", "(4, 4)", "sum", "10^400", "2^31", "normal(0, 1)"):
        yield f"axis of {ext}", f"axis A = {ext}\nfield phi[A] : real\naction S(phi) = sum[a in A] phi[a]^2\nreport r = size(A)\n"
        yield f"lattice of {ext}", f"lattice X = torus({ext}, 4)\nfield phi[X] : real\naction S(phi) = sum[x in X] phi[x]^2\n"
        yield f"grid of {ext}", f"grid G = linspace(0, 1, {ext})\ndata d[g in G] = g\n"
        yield f"grid to {ext}", f"grid G = logspace(1, {ext}, 10)\ndata d[g in G] = g\n"
        yield f"range to {ext}", f"data d[i in 0..{ext}] = i\n"
        yield f"param of {ext}", f"param p = {ext}\n"
        yield f"bounds of {ext}", f"param p = 1 in (0, {ext})\n"
        yield f"chains of {ext}", GOOD.replace("chains = 4", f"chains = {ext}")
        yield f"steps of {ext}", GOOD.replace("steps = 4", f"steps = {ext}")
        yield f"length of {ext}", GOOD.replace("steps = 4", f"length = {ext}")
        yield f"start of {ext}", GOOD.replace("chains = 4", f"start = {ext}")
        yield f"index of {ext}", f"data d[i in 0..3] = i\nreport r = d[{ext}]\n"
        yield f"shift of {ext}", MODEL + f"action S(phi) = sum[x in X] phi[x]*phi[x + {ext}*X.dirs[0]]\n"
        yield f"power of {ext}", MODEL + f"action S(phi) = sum[x in X] phi[x]^({ext})\n"
    yield "8 directions of a million", "lattice X = torus(" + ", ".join(["1000000"] * 8) + ")\nfield phi[X] : real\n"
    yield "9 directions", "lattice X = torus(2, 2, 2, 2, 2, 2, 2, 2, 2)\n"
    yield "no direction", "lattice X = torus()\n"
    yield "huge field", "import samplers.hmc\nlattice X = torus(2^15, 2^16)\nfield phi[X] : real\naction S(phi) = sum[x in X] phi[x]^2\nsample phi ~ exp(-S(phi)) with hmc()\nreport r = E[mean[x in X] phi[x]^2]\n"
    yield "huge axis and data over it", "axis A = 2*10^9\ndata d[a in A] = a\n"
    yield "huge measurement", "import samplers.hmc\nlattice X = torus(2^10, 2^10)\nfield phi[X] : real\naction S(phi) = sum[x in X] phi[x]^2\nsample phi ~ exp(-S(phi)) with hmc()\nreport r[x in X, y in X] = E[phi[x]*phi[y]]\n"
    yield "far shifts", MODEL + "action S(phi) = sum[x in X, mu in X.dirs] phi[x]*phi[x + 1000000000*(1000000000*(1000000000*mu))]\n"
    yield "far shifts added up", MODEL + "def far(mu) {\n  s = 1000000000*mu\n" + "  s = s + s\n" * 70 + "  return s\n}\naction S(phi) = sum[x in X, mu in X.dirs] phi[x]*phi[x + far(mu)]\n"
    yield "far index", "axis A = 8\ndata d[a in A] = a\ndef far(a) {\n  s = a\n" + "  s = s + s\n" * 70 + "  return s\n}\nreport r = sum[a in A] d[far(a)]\n"
    yield "100 fields", "axis A = 2\n" + "".join(f"field f{i}[A] : real\n" for i in range(100)) + "action S(" + ", ".join(f"f{i}" for i in range(100)) + ") = sum(f0)\nimport samplers.hmc\nsample " + ", ".join(f"f{i}" for i in range(100)) + " ~ exp(-S(" + ", ".join(f"f{i}" for i in range(100)) + ")) with hmc()\n"
    yield "30 fields", "axis A = 2\n" + "".join(f"field f{i}[A] : complex\n" for i in range(30)) + "action S(" + ", ".join(f"f{i}" for i in range(16)) + ") = sum(abs(f0)^2)\nimport samplers.hmc\nsample " + ", ".join(f"f{i}" for i in range(30)) + " ~ exp(-sum(abs(f0)^2)) with hmc()\n"
    yield "8 index sets of a field", "axis A = 2\nfield phi[A, A, A, A, A, A, A, A] : real\naction S(phi) = sum(phi^2)\nreport r = 1\n"
    yield "sum of 17 indices", "axis A = 2\ndef f(" + ", ".join(f"a{i}" for i in range(3)) + ") = a0\nreport r = " + "".join(f"sum[i{k} in A] " for k in range(17)) + "(" + "+".join(f"i{k}" for k in range(17)) + ")\n"
    yield "force of a force of a force", MODEL + "action S(phi) = sum[x in X] sin(phi[x])^3\nobservable f(phi) = " + "".join("sum(" for _ in range(12)) + "grad(S, phi)" + ")" * 12 + "\n"
    yield "names of 60000 letters", f"param {'a' * 60000} = 1\nreport r = {'a' * 59999}b\n"
    yield "everything wrong", "".join(f"def f{i}(x) = x[{i}] + sum[y] z{i}\n" for i in range(3000)) + "report r = f0(f1)\n"


def imports():
    yield Case("import of itself", "import main\nparam a = 1\n", want={0, 1})
    yield Case("import cycle", "import b\nparam a = 1\nreport r = a\n", files={"b.lqft": "import c\ndef fb(x) = x\n", "c.lqft": "import b\nimport main\ndef fc(x) = x\n"}, want={0, 1}, quiet_ok=True)
    yield Case("import of a missing file", "import nowhere.to.be.found\nreport r = foo(1)\n", want={1})
    yield Case("import with mistakes", "import b\nreport r = fb(1)\n", files={"b.lqft": "def fb(x) = x +\ndef fc(x) = unknown(x)\n"}, want={1})
    yield Case("import of garbage", "import b\nreport r = 1\n", files={"b.lqft": random.Random(5).randbytes(50000)}, want={1})
    yield Case("import of a folder", "import b\nreport r = 1\n", prepare=lambda d: os.mkdir(os.path.join(d, "b.lqft")), want={1})
    yield Case("import chain", "import m0\nreport r = 1\n", files={f"m{i}.lqft": f"import m{i+1}\n" if i < 999 else "def f(x) = x\n" for i in range(1000)}, want={0, 1}, quiet_ok=True)
    yield Case("import of a long name", "import " + "a" * 100000 + "\n", want={1})
    csv = {"missing": None, "empty": b"", "text": b"a,b\nx,y\n", "ragged": b"1,2\n3\n", "binary": random.Random(7).randbytes(10000), "zeros": b"\0" * 5000, "long line": b"1," * 2000000 + b"1\n",
           "huge number": b"1e999\n2\n3\n4\n", "nan": b"nan\n1\n2\n3\n", "quotes": b'"' * 100000, "folder": "folder", "long field": b"7" * 5000000 + b"\n"}
    for name, content in csv.items():
        files = {} if content is None or content == "folder" else {"d.csv": content}
        yield Case(f"csv: {name}", 'axis A = 4\ndata d[A] = load("d.csv")\nreport r = sum(d)\n', files=files, want={1, 65},
                   prepare=(lambda d: os.mkdir(os.path.join(d, "d.csv"))) if content == "folder" else None)
    header = lambda text: b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    npy = {"missing": None, "empty": b"", "only magic": b"\x93NUMPY", "short header": b"\x93NUMPY\x01\x00\xff\xff{", "huge shape": header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }   \n"),
           "overflowing shape": header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }   \n"), "negative shape": header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-4,), }   \n"),
           "objects": header(b"{'descr': '|O', 'fortran_order': False, 'shape': (4,), }   \n") + b"\0" * 32, "short data": header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }   \n") + b"\0" * 31,
           "garbage": b"\x93NUMPY" + random.Random(8).randbytes(10000), "no shape": header(b"{'descr': '<f8'}\n")}
    for name, content in npy.items():
        yield Case(f"npy: {name}", 'axis A = 4\ndata d[A] = load("d.npy")\nreport r = sum(d)\n', files={} if content is None else {"d.npy": content}, want={1, 65})
    yield Case("load outside the folder", 'axis A = 4\ndata d[A] = load("../../etc/passwd")\n', want={1})
    yield Case("load of an absolute path", 'axis A = 4\ndata d[A] = load("/etc/passwd")\n', want={1})
    yield Case("load of a long name", 'axis A = 4\ndata d[A] = load("' + "x/" * 50000 + '.csv")\n', want={1})


def command_lines():
    f = ["main.lqft"]
    def c(name, args, want, command="run", text=GOOD, **kw): return Case(name, text, args, want, command, **kw)
    for v in ("nan", "inf", "1e400", "-inf", "0/0", "1/0", "abc", "", "1 +", "(", '"a"', "1i", "normal(0,1)", "X", "phi", "5", "[1,2]", "é", "1;2", "sum[x in X] 1", "(" * 1000, "1" * 1000000 if False else "1" * 100000):
        yield c(f"kappa={v[:20]}", f + [f"kappa={v}"], {1})
    for v in ("abc", "", "=3", "0", "-4", "2.5", "1e300", "2^40", "true", "2147483649"):
        yield c(f"L={v}", f + [f"L={v}"], {1, 2})
    yield c("unknown parameter", f + ["kapa=0.1"], {2})
    yield c("unknown parameter, check", f + ["kapa=0.1"], {2}, "check")
    yield c("unknown parameter, no neighbour", f + ["zzzzzzz=0.1"], {2})
    yield c("parameter twice", f + ["kappa=0.1", "kappa=0.2"], {2})
    yield c("no name", f + ["=3"], {2})
    yield c("1000 unknown parameters", f + [f"p{i}=1" for i in range(1000)], {2})
    for o in (["--seed", "-1"], ["--seed", "4294967296"], ["--seed", "x"], ["--seed", ""], ["--seed"], ["--chains", "0"], ["--chains", "-3"], ["--chains", "99999999"], ["--chains", "4.5"], ["--threads", "0"],
              ["--threads", "99999"], ["--threads"], ["--device", "abacus"], ["--device"], ["--color", "blue"], ["--nonsense"], ["--"], ["-x"], ["--seed=x"], ["--out"], ["extra"], ["--help=1"]):
        yield c("option " + " ".join(o), f + o, {2})
    yield c("warmup below zero", f + ["warmup=-1"], {1})
    yield c("draws of zero", f + ["draws=0"], {1})
    yield c("chains of nan", f + ["chains=0/0"], {1})
    yield c("missing file", ["nowhere.lqft"], {66})
    yield c("folder", ["."], {66})
    yield c("device file", ["/dev/null"], {0, 1, 66})
    yield c("unreadable file", f, {66}, prepare=lambda d: os.chmod(os.path.join(d, "main.lqft"), 0)) if os.geteuid() else c("name with a zero length", [""], {66})
    yield c("long path", ["x" * 5000 + ".lqft"], {66})
    yield c("no file", [], {2})
    yield c("unknown command", f, {2}, "rnu")
    yield c("empty command", f, {2}, "")
    yield c("show nothing", f, {2}, "show")
    yield c("show nonsense", f + ["nonsense"], {1, 2}, "show")
    yield c("explain nothing", [], {2}, "explain")
    yield c("explain nonsense", ["E9999"], {2}, "explain")
    yield c("explain long", ["E" * 100000], {2}, "explain")
    yield c("out is a file", f + ["--out", "main.lqft"], {0, 73, 74, 2, 1})
    yield c("out is nowhere", f + ["--out", "/proc/nowhere"], {0, 73, 74, 2, 1})
    yield c("no library", f, {0, 1, 66}, files={}, text=GOOD)


def all_cases():
    for name, text in list(texts()) + list(programs()):
        yield Case(name, text, ["main.lqft"], {0, 1}, quiet_ok=True)
    for case in imports():
        case.args = ["main.lqft"]
        yield case
    yield from command_lines()


def run(case, lqft, seconds, limit_memory, keep):
    with tempfile.TemporaryDirectory() as folder:
        files = dict(case.files)
        if case.text is not None:
            files["main.lqft"] = case.text
        for name, content in files.items():
            with open(os.path.join(folder, name), "wb") as f:
                f.write(content if isinstance(content, bytes) else content.encode())
        if case.prepare:
            case.prepare(folder)

        def limits():
            if limit_memory:
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        start = time.time()
        try:
            p = subprocess.run([lqft, case.command] + case.args, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, preexec_fn=limits)
        except subprocess.TimeoutExpired:
            return case, f"took longer than {seconds} s", "", seconds
        took = time.time() - start
        err = p.stderr.decode("utf-8", "replace")
        why = None
        if p.returncode < 0:
            why = f"ended by signal {-p.returncode}"
        elif p.returncode not in (case.want or STATUSES - {0}):
            why = f"status {p.returncode}"
        elif "internal error" in err or "Assertion" in err or "Sanitizer" in err or "runtime error:" in err:
            why = "an internal error"
        elif p.returncode != 0 and not err.strip() and not p.stdout.strip():
            why = f"status {p.returncode} without a message"
        elif len(p.stderr) > 100000:
            why = f"{len(p.stderr)} bytes of messages"
        return case, why, err, took


def main():
    args = sys.argv[1:]
    only, seconds, lqft = None, 10, os.path.join(HERE, "..", "..", "build", "lqft")
    limit, keep, verbose, jobs = True, False, False, os.cpu_count() or 1
    while args:
        a = args.pop(0)
        if a == "--only": only = args.pop(0)
        elif a == "--seconds": seconds = float(args.pop(0))
        elif a == "--jobs": jobs = int(args.pop(0))
        elif a == "--no-memory-limit": limit = False
        elif a == "--verbose": verbose = True
        elif a.startswith("-"): sys.exit(__doc__)
        else: lqft = a
    lqft = os.path.abspath(lqft)
    if not os.access(lqft, os.X_OK):
        sys.exit(f"hostile.py: {lqft} is not a program")
    cases = [c for c in all_cases() if not only or only in c.name]
    passed = failed = 0
    with ThreadPoolExecutor(jobs) as pool:
        for case, why, err, took in pool.map(lambda c: run(c, lqft, seconds, limit, keep), cases):
            if why:
                failed += 1
                print(f"FAIL {case.name}: {why}" + ("" if not err else "\n     " + "\n     ".join(err[:600].splitlines()[:6])), flush=True)
            else:
                passed += 1
                if verbose:
                    print(f"ok   {case.name} ({took:.2f} s): {err[:400].strip()}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
