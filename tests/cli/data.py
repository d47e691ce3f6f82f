#!/usr/bin/env python3
"""Files of arrays, as programs read and write them: every format, shapes, and what lies
outside of the folders that a program may use.

    tests/cli/data.py [--lqft PATH] [-v] [NAME …]
"""
import math
import os
import shutil
import sys
import unittest

import run
from run import Case

FIXTURES = os.path.join(run.ROOT, "tests", "io", "data")


class Loads(Case):
    """Arrays that NumPy, h5py and safetensors wrote: see tests/io/fixtures.py."""

    def setUp(self):
        super().setUp()
        for name in os.listdir(FIXTURES):
            shutil.copy(os.path.join(FIXTURES, name), self.folder)

    CUBE = "axis A = 2\naxis B = 3\naxis C = 4\naxis N = 4\n"

    def values(self, text, *more):
        return {k: v["value"] for k, v in self.report(self.write(self.CUBE + text), *more)["report"].items()}

    def refused(self, text, code, *words, more=()):
        done = self.lqft("check", self.write(self.CUBE + text), *more, status=1)
        self.assertEqual(done.err.count("error["), 1, done.err)
        self.assertIn(f"error[{code}]", done.err)
        for word in words:
            self.assertIn(word, done.err)

    def test_every_format(self):
        for file, name in (("numpy.npy", None), ("numpy.npz", "a"), ("packed.npz", "f"), ("numpy.npz", "big"), ("h5py.h5", "/a"),
                           ("h5py.h5", "group/inner/a"), ("latest.h5", "f"), ("weights.safetensors", "a")):
            array = f'"{file}", "{name}"' if name else f'"{file}"'
            got = self.values(f"data d[A, B, C] = load({array})\nreport all[a in A, b in B, c in C] = d[a, b, c]\nreport s = sum(d)\n")
            self.assertEqual(got["all"], [[[(12*a + 4*b + c)/7 for c in range(4)] for b in range(3)] for a in range(2)], array)
            self.assertAlmostEqual(got["s"], 276/7, 12)

    def test_integers_and_complex_numbers(self):
        for file in ("numpy.npz", "h5py.h5"):
            got = self.values(f'data i[N], z[N] = load("{file}")\nreport i[n in N] = i[n]\nreport z[n in N] = z[n]\n')
            self.assertEqual(got["i"], [-2**53, -1, 0, 2**53])
            self.assertEqual((got["z.re"], got["z.im"]), ([0, 1, 2, 3], [3, 2, 1, 0]))

    def test_names(self):
        got = self.values('data one = load("h5py.h5")\nreport one = one\n')            # called like the data
        self.assertEqual(got["one"], 2.5)
        self.refused('data x = load("h5py.h5")\n', "E0603", 'no array "x"', "it has ")
        self.refused('data x = load("numpy.npz", "sigma")\n', "E0603", 'no array "sigma"', "it has text, a, f")
        self.refused('data x = load("numpy.npz", 1)\n', "E0602", "in quotes")
        self.refused('data x[N] = load("h5py.h5", "outside")\n', "E0603", "link to another file")
        self.refused('data x[N] = load("numpy.npz", "text")\n', "E0603", "no numbers")
        self.refused('axis T = 2\ndata x[T] = load("numpy.npz", "too_large")\n', "E0603", "element 1", "no double equals")
        self.refused('data x[N] = load("numpy.npz", "half")\n', "E0603", "that at (3) is inf")

    def test_shapes(self):
        for file in ("numpy.npz", "h5py.h5", "weights.safetensors"):
            self.refused(f'data d[C, B, A] = load("{file}", "a")\n', "E0604", "has the shape (2, 3, 4), and `d` has (4, 3, 2)", "axis `C`")
        self.refused('axis Z = 24\ndata d[Z] = load("numpy.npz", "a")\n', "E0604", "(2, 3, 4)", "(24)")
        self.refused('axis H = 1024\ndata d[H, H] = load("h5py.h5", "huge")\n', "E0604", "(1099511627776, 1024)")
        self.refused('data d = load("bomb.npz")\n', "E0603", "size is not possible")
        got = self.values('lattice X = torus(4, 4)\ndata d[X] = load("col.csv")\nreport d[x in X] = d[x]\n'
                          .replace("col.csv", self.csv("col.csv", range(16))))
        self.assertEqual(got["d"], [[4*a + b for b in range(4)] for a in range(4)])

    def csv(self, name, numbers):
        self.write("v\n" + "".join(f"{x}\n" for x in numbers), name)
        return name

    def test_damaged(self):
        with open(os.path.join(self.folder, "h5py.h5"), "rb") as f:
            whole = f.read()
        for n in (7, 100, 1000, 9000):
            with open(os.path.join(self.folder, "cut.h5"), "wb") as f:
                f.write(whole[:n])
            self.refused('data x[N] = load("cut.h5", "i")\n', "E0603", "cut.h5")
        self.refused('data x[N] = load("loop.h5", "i")\n', "E0603", "nested too deeply")


class Library(Case):
    """libhdf5 is loaded by the programs that use it, and missed by them only."""

    def test_loaded_when_needed(self):
        plain = self.write("axis A = 2\ndata d[a in A] = a\nsave d to \"d.npz\"\nreport s = sum(d)\n", "plain.lqft")
        self.assertNotIn("hdf5", self.lqft("run", plain, env={"LD_DEBUG": "libs"}).err)
        self.lqft("run", self.write("axis A = 2\ndata d[a in A] = a\nsave d to \"d.h5\"\n"))
        reads = self.write("axis A = 2\ndata d[A] = load(\"d.h5\")\nreport s = sum(d)\n", "reads.lqft")
        self.assertEqual(self.report(reads)["report"]["s"]["value"], 1)
        self.write("no library", "libhdf5_serial.so.103")                  # found first, and not what it should be
        missing = {"LD_LIBRARY_PATH": self.folder}
        self.lqft("run", plain, env=missing)
        self.assertIn("not installed", self.lqft("run", reads, env=missing, status=1).err)
        self.assertIn("not installed", self.lqft("run", self.write("save 1 to \"e.h5\"\n"), env=missing, status=74).err)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "e.h5")))


class Saves(Case):
    """What is saved is read again by a second program, and is what the report says."""

    MODEL = run.MODEL + run.CORRELATOR + """
grid W = linspace(0, 1, 8)
axis T = 8
data D[t in T] = 1/(t + 1)
data z[t in T] = exp(1i*t)
def half = 1/2
report f[w in W] = w*phi2
"""

    def saved(self, lines):
        answer = self.report(self.write(self.MODEL + lines), "--seed", "3")["report"]
        return {k: v for k, v in answer.items()}

    def read(self, text):
        return {k: v["value"] for k, v in self.report(self.write(text, "read.lqft"))["report"].items()}

    def test_results_and_values(self):
        for suffix in ("h5", "npz", "safetensors", "hdf5"):
            name = "all." + suffix
            got = self.saved(f'save G, f, D, sum(D), z, chi2, half, M, phi, G[0]/G[1], E[M] to "{name}"\n')
            back = self.read(f"""
axis T = 8
axis C = 8
axis N = 100
lattice X = torus(8, 8)
data G[T], f[T], W[T], D[T] = load("{name}")
data G_error[T], tau[T], z[T] = load("{name}", "G.error", "G.tau_int", "z.im")
data chi2 = load("{name}")
data total, half, ratio, mean_, error = load("{name}", "sum(D)", "half", "G[0]÷G[1]", "E[M]", "E[M].error")
data M[C, N] = load("{name}")
data phi[C, N, X] = load("{name}")
report G[t in T] = G[t]
report f[t in T] = f[t]
report W[t in T] = W[t]
report D[t in T] = D[t]
report e[t in T] = G_error[t]
report tau[t in T] = tau[t]
report z[t in T] = z[t]
report chi2 = chi2
report total = total
report half = half
report ratio = ratio
report error = error
report zero = mean_ - mean(M)
report square = 64*(mean(M^2) - mean(M)^2)
report apart = max[c in C, n in N] abs(M[c, n] - mean[x in X] phi[c, n, x])
""")
            self.assertEqual(back["G"], got["G"]["value"])
            self.assertEqual(back["e"], got["G"]["error"])
            self.assertEqual(back["tau"], got["G"]["tau_int"])
            self.assertEqual(back["f"], got["f"]["value"])
            self.assertEqual(back["W"], [k/7 for k in range(8)])
            self.assertEqual(back["D"], [1/(t + 1) for t in range(8)])
            self.assertEqual(back["chi2"], got["chi2"]["value"])
            self.assertEqual(back["half"], 0.5)
            self.assertEqual(back["ratio"], got["G"]["value"][0]/got["G"]["value"][1])
            self.assertGreater(back["error"], 0)
            self.assertAlmostEqual(back["total"], sum(1/(t + 1) for t in range(8)), 14)
            for t in range(8):
                self.assertAlmostEqual(back["z"][t], math.sin(t), 14)
            self.assertAlmostEqual(back["zero"], 0, 14)
            self.assertAlmostEqual(back["square"], got["chi2"]["value"], 9)
            self.assertAlmostEqual(back["apart"], 0, 14)

    def test_tables(self):
        got = self.saved('save G, G*2 to "two.csv"\nsave D, D^2 to "D.csv"\nsave G to "G.csv"\nsave f to "f.csv"\n')
        first = {}
        for name in ("two.csv", "D.csv", "G.csv", "f.csv"):
            with open(os.path.join(self.folder, name), encoding="utf-8") as f:
                first[name] = f.readline().strip()
        self.assertEqual(first["two.csv"], "X.axes[0],G,G.error,G.tau_int,G*2,G*2.error,G*2.tau_int")
        self.assertEqual(first["D.csv"], "T,D,D^2")
        self.assertEqual(first["G.csv"], "X.axes[0],value,error,tau_int")
        self.assertEqual(first["f.csv"], "W,value,error,tau_int")
        back = self.read('axis T = 8\ndata d[T], e[T] = load("D.csv", "D", "D^2")\ndata g[T] = load("two.csv", "G*2")\n'
                         'report d[t in T] = d[t]\nreport e[t in T] = e[t]\nreport g[t in T] = g[t]\n')
        self.assertEqual(back["d"], [1/(t + 1) for t in range(8)])
        self.assertEqual(back["g"], [2*g for g in got["G"]["value"]])

    def test_tuples(self):
        self.report(self.write('axis A = 2\ndata d[a in A] = a\ndef pair(v) { return v, 2*v }\nsave pair(d) to "p.h5"\n'))
        back = self.read('axis A = 2\ndata x[A], y[A] = load("p.h5", "pair(d).0", "pair(d).1")\nreport x[a in A] = x[a]\nreport y[a in A] = y[a]\n')
        self.assertEqual((back["x"], back["y"]), ([0, 1], [0, 2]))

    def test_a_value_needs_no_sample(self):
        self.report(self.write('axis A = 2\naxis B = 3\ndata d[a in A, b in B] = 10*a + b\nsave d to "d.npy"\nsave d, 2*d to "d.h5"\n'))
        self.assertEqual(run.read_npy(os.path.join(self.folder, "d.npy")), ((2, 3), (0, 1, 2, 10, 11, 12)))

    def test_refused(self):
        for line, words in (('save G to "G.txt"', "ends in .npy"), ('save G, f to "x.npy"', "holds one array, and `G` and `f`"),
                            ('save G, M to "x.csv"', "series of draws stands alone"), ('save G, f to "x.csv"', "index sets differ"),
                            ('save G, G to "x.h5"', "twice"), ('save z to "z.npy"', "`z.re` and `z.im`")):
            done = self.lqft("check", self.write(self.MODEL + line + "\n"), status=1)
            self.assertIn("error[E0605]", done.err)
            self.assertIn(words, done.err)

    def test_stays_below(self):
        os.mkdir(os.path.join(self.folder, "other"))
        for name in ("../x.h5", "/dev/shm/lqft-x.h5", "link/x.h5", "link.h5"):
            self.write("", "inner/model.lqft")
            if not os.path.lexists(os.path.join(self.folder, "inner", "link")):
                os.symlink("../other", os.path.join(self.folder, "inner", "link"))
                os.symlink("../other/x.h5", os.path.join(self.folder, "inner", "link.h5"))
            done = self.lqft("run", self.write(f'axis A = 2\ndata d[a in A] = a\nsave d to "{name}"\n', "inner/model.lqft"), status=73)
            self.assertIn("cannot create", done.err)
            self.assertEqual(os.listdir(os.path.join(self.folder, "other")), [])
            self.assertFalse(os.path.exists("/dev/shm/lqft-x.h5"))


class Folders(Case):
    PROGRAM = 'axis N = 3\ndata x[N] = load("NAME")\nreport s = sum(x)\n'

    def program(self, name):
        return self.write(self.PROGRAM.replace("NAME", name), "inner/model.lqft")

    def setUp(self):
        super().setUp()
        self.write("x\n1\n2\n3\n", "secret.csv")
        self.write("x\n1\n2\n3\n", "inner/below/good.csv")
        os.symlink("../secret.csv", os.path.join(self.folder, "inner", "link.csv"))
        os.symlink("..", os.path.join(self.folder, "inner", "up"))
        os.symlink("below", os.path.join(self.folder, "inner", "beside"))

    def test_reads_below_its_folder_only(self):
        for name in ("below/good.csv", "./below/good.csv"):
            self.assertEqual(self.report(self.program(name))["report"]["s"]["value"], 6)
        for name, code in (("../secret.csv", "E0602"), (f"{self.folder}/secret.csv", "E0602"), ("below/../../secret.csv", "E0602"),
                           ("link.csv", "E0603"), ("up/secret.csv", "E0603"), ("beside/good.csv", "E0603"), ("below", "E0603"),
                           ("below//good.csv", "E0602"), ("none.csv", "E0603")):
            done = self.lqft("run", self.program(name), status=1)
            self.assertIn(f"error[{code}]", done.err, name)
            self.assertNotIn("= 6", done.out)

    def test_imports(self):
        self.write("param secret = 5\n", "secret.lqft")
        self.write("param fine = 5\n", "inner/own.lqft")
        os.symlink("../secret.lqft", os.path.join(self.folder, "inner", "lib.lqft"))
        for name, status in (("own", 0), ("lib", 1), ("up.secret", 1)):
            done = self.lqft("run", self.write(f"import {name}\nreport one = 1\n", "inner/model.lqft"), status=status)
            self.assertEqual("symbolic link" in done.err, status == 1, done.err)

    def test_named_folders(self):
        path = self.program("secret.csv")
        self.lqft("run", path, status=1)
        self.assertEqual(self.report(path, "--data", self.folder)["report"]["s"]["value"], 6)
        self.write("x\n4\n5\n6\n", "inner/secret.csv")                     # what is beside the model comes first
        self.assertEqual(self.report(path, "--data", self.folder)["report"]["s"]["value"], 15)
        self.lqft("run", self.program("sub/link.csv"), "--data", self.folder, "--data", "inner", status=1)
        self.lqft("run", path, "--data", status=2)


if __name__ == "__main__":
    unittest.main()
