#!/usr/bin/env python3
"""Files of arrays, as programs read and write them: every format, shapes, and what lies
outside of the folders that a program may use.

    tests/cli/data.py [--lqft PATH] [-v] [NAME …]
"""
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
        self.assertEqual(self.report(self.program("below/good.csv"))["report"]["s"]["value"], 6)
        for name, code in (("../secret.csv", "E0602"), (f"{self.folder}/secret.csv", "E0602"), ("below/../../secret.csv", "E0602"),
                           ("link.csv", "E0603"), ("up/secret.csv", "E0603"), ("beside/good.csv", "E0603"), ("below", "E0603"),
                           ("./below/good.csv", "E0602"), ("none.csv", "E0603")):
            done = self.lqft("run", self.program(name), status=1)
            self.assertIn(f"error[{code}]", done.err, name)
            self.assertNotIn("= 6", done.out)

    def test_named_folders(self):
        path = self.program("secret.csv")
        self.lqft("run", path, status=1)
        self.assertEqual(self.report(path, "--data", self.folder)["report"]["s"]["value"], 6)
        self.write("x\n4\n5\n6\n", "inner/secret.csv")                     # what is beside the model comes first
        self.assertEqual(self.report(path, "--data", self.folder)["report"]["s"]["value"], 15)
        self.lqft("run", self.program("sub/link.csv"), "--data", self.folder, "--data", "inner", status=1)
        self.lqft("run", path, "--data", status=2)


if __name__ == "__main__":
    if "--lqft" in sys.argv:
        at = sys.argv.index("--lqft")
        run.LQFT = os.path.abspath(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    unittest.main()
