#!/usr/bin/env python3
"""lqft doc: the examples in the library's doc comments run and give what they say; the pages
hold what the comments hold.

    tests/doc/run.py [--lqft PATH] [-v] [NAME …]

An example is checked as a program of the reference is: `# => name = 0.50(1)`.
"""
import concurrent.futures
import html.parser
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import script

ROOT = script.ROOT
LQFT = script.path("--lqft", "build/lqft")

spec = importlib.util.spec_from_file_location("reference", os.path.join(ROOT, "tests", "reference", "run.py"))
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)

MODEL = """# model.lqft: a *model* with <angles> & a back\\slash.
#
#   a table   of numbers
#
# .TH is no request here.

## Twice x, for `f_` too.
##
##   f(x) = 2 x
##
## Example:
##   report r = twice(2)      # => r = 4
def twice(x; y = 1, z) = 2*x
param L = 2*4 in [1, inf)
lattice X = torus(L, 3)
## Kept apart.
field a[X], b[X] : real
data w[x in X] = x[0]
sampler s(S, q) { monitor S(q) }
report r = twice(1; z = 2)
"""


class Html(html.parser.HTMLParser):
    """Are all elements closed?  Which ids and links are there?"""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.ids += [v for k, v in attributes if k == "id"]
        self.links += [v for k, v in attributes if k == "href"]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


class Doc(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="lqft-doc-"))
        self.addCleanup(shutil.rmtree, self.folder, True)

    def lqft(self, *arguments, status=0):
        done = subprocess.run([LQFT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder, timeout=100)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def pages(self, style, *arguments):
        out = os.path.join(self.folder, style)
        self.lqft("doc", *arguments, "--format", style, "-o", out)
        pages = {}
        for name in sorted(os.listdir(out)):
            with open(os.path.join(out, name), encoding="utf-8") as f:
                pages[name] = f.read()
        return pages

    def model(self):
        path = os.path.join(self.folder, "model.lqft")
        with open(path, "w", encoding="utf-8") as f:
            f.write(MODEL)
        return path

    def test_examples_of_the_library(self):
        jobs = []
        for name, page in self.pages("markdown", "--stdlib").items():
            jobs += [(name, line, program) for line, info, program in reference.blocks(page) if info == "run"]
        self.assertGreater(len(jobs), 40)

        def run(job):
            folder = tempfile.mkdtemp(dir=self.folder)
            wrong = reference.check(LQFT, "run", job[2], folder)
            return wrong if reference.EXPECTED.search(job[2]) else wrong + ["nothing is expected of it"]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for job, wrong in zip(jobs, pool.map(run, jobs)):
                with self.subTest(f"{job[0]}: {job[2]}"):
                    self.assertEqual(wrong, [])

    def test_every_name_is_documented(self):
        """Each name of the library has a doc comment and an example."""
        done = subprocess.run([LQFT, "doc", "--stdlib", "--check"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_library_pages(self):
        modules = [os.path.relpath(os.path.join(folder, name), os.path.join(ROOT, "stdlib"))[:-5].replace("/", ".")
                   for folder, _, names in os.walk(os.path.join(ROOT, "stdlib")) for name in names if name.endswith(".lqft")]
        pages = self.pages("html", "--stdlib")
        self.assertEqual(sorted(pages), sorted([m + ".html" for m in modules] + ["index.html"]))
        parsed = {name: Html(text) for name, text in pages.items()}
        for name, page in parsed.items():
            self.assertEqual(page.open, [], name)
            for link in page.links:
                target, _, place = link.partition("#")
                self.assertIn(target or name, pages)
                self.assertTrue(not place or place in parsed[target or name].ids, f"{name}: {link}")
        self.assertEqual(sorted(self.pages("man", "--stdlib")), sorted(f"lqft-{m}.7" for m in modules))

    def test_a_model(self):
        path = self.model()
        page = self.lqft("doc", path, "--format", "html").stdout
        parsed = Html(page)
        self.assertEqual(parsed.ids, ["twice", "L", "X", "a", "b", "w", "s"])
        for text in ("a *model* with <angles> & a back\\slash.", "a table   of numbers", "Twice x, for f_ too.", "f(x) = 2 x",
                     "def twice(x; y = 1, z)", "param L = 2*4 in [1, inf)", "lattice X (8 x 3 sites)", "field b[X] : real",
                     "a real array over X", "sampler s(S, q)", "report r = twice(2)      # => r = 4"):
            self.assertIn(text, parsed.text)
        self.assertNotIn("report r = twice(1", parsed.text)          # tasks are no names
        markdown = self.lqft("doc", path).stdout
        self.assertIn("\n## `twice`\n\n    def twice(x; y = 1, z)\n\nTwice x, for `f_` too.\n\n    f(x) = 2 x\n\n```lqft run\nreport r = twice(2)", markdown)
        self.assertIn("a \\*model\\* with \\<angles\\> & a back\\\\slash.", markdown)

    def test_man(self):
        path = self.model()
        page = self.lqft("doc", path, "--format", "man").stdout
        self.assertTrue(page.startswith('.TH "MODEL" 7 '))
        for line in page.splitlines():
            if line.startswith((".", "'")):
                self.assertRegex(line, r"^\.(TH|SH|SS|PP|nf|fi|RS|RE|BR)\b")
        if shutil.which("man"):
            path = os.path.join(self.folder, "model.7")
            with open(path, "w", encoding="utf-8") as f:
                f.write(page)
            done = subprocess.run(["man", "--warnings", "-l", path], env=dict(os.environ, MANPAGER="cat", MANWIDTH="100", LC_ALL="C.UTF-8"),
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertEqual(done.stderr, "")
            for text in ("back\\slash", ".TH is no request here.", "def twice(x; y = 1, z)", "2*4 in [1, inf)"):
                self.assertIn(text, re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout))

    def test_check_and_errors(self):
        path = self.model()
        done = self.lqft("doc", "--check", path, status=1)
        self.assertIn(f"{path}:14:7: `L` has no doc comment\n", done.stdout)
        self.assertIn(f"{path}:17:7: `a` has no example\n", done.stdout)
        self.assertNotIn("twice", done.stdout)
        broken = os.path.join(self.folder, "broken.lqft")
        with open(broken, "w", encoding="utf-8") as f:
            f.write("def f(x) = y\n")
        self.assertRegex(self.lqft("doc", broken, "-o", "out", status=1).stderr, r"broken\.lqft:1:12: error\[E0201\]")
        self.assertFalse(os.path.exists(os.path.join(self.folder, "out")))
        self.lqft("doc", "none.lqft", status=66)
        for arguments in ((), ("--format", "pdf", path), ("--format",), ("-x",)):
            self.lqft("doc", *arguments, status=2)
        self.lqft("doc", path, "-o", os.path.join(path, "below"), status=73)


if __name__ == "__main__":
    unittest.main()
