#!/usr/bin/env python3
"""--help, the man pages, the completions and the reference speak of the same commands and
options, and the program takes them.

    tests/cli/help.py [--lqft PATH] [-v] [NAME …]

zsh and fish are asked where they are installed; bash is there.
"""
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


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def lqft(*arguments, **more):
    return subprocess.run([LQFT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, **more)


def commands():
    return re.findall(r"^(?:usage:|      ) lqft (\w+)", lqft("--help").stdout, re.M)


def options(command):
    """{name: value or ""} from `lqft COMMAND --help`."""
    return dict(re.findall(r"^  (--?\w[\w-]*)(?: (\S+))?  ", lqft(command, "--help").stdout, re.M))


def plain(page):
    """What man shows of a page; where there is no man, the page without its marks."""
    if not shutil.which("man"):
        return re.sub(r"\\f[BIR]|\\&", "", page).replace("\\-", "-").replace("\\e", "\\")
    done = subprocess.run(["man", "--warnings", "-l", "-"], input=page, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, MANPAGER="cat", MANWIDTH="200", LC_ALL="C.UTF-8"))
    assert done.stderr == "", done.stderr
    return re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout)


class Help(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lqft-help-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def test_help(self):
        self.assertGreaterEqual(len(commands()), 9)
        for command in commands():
            done = lqft(command, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(done.stdout.startswith(f"usage: lqft {command}"), done.stdout)
            self.assertIn("--help", options(command))
            self.assertEqual(lqft("help", command).stdout, done.stdout)
            self.assertTrue(all(len(line) <= 110 for line in done.stdout.splitlines()))

    def test_options_are_taken(self):
        """Each option of the table is taken by its command (a missing file is the next thing
        that is wrong), and no other one is."""
        for command in ("run", "check", "show"):
            for name, value in options(command).items():
                argument = [] if not value else [value.split("|")[0] if "|" in value else "7" if value in ("N", "TIME", "SECONDS") else "."]
                done = lqft(command, "none.lqft", *(["ast"] if command == "show" else []), name, *argument, cwd=self.folder)
                self.assertEqual(done.returncode, 0 if name == "--help" else 66, f"{command} {name}: {done.stderr}")
                for choice in value.split("|") if "|" in value else []:
                    self.assertNotEqual(lqft(command, "none.lqft", name, choice).returncode, 2 if command != "show" else -1)
        self.assertIn("has no option --stdlib", lqft("run", "none.lqft", "--stdlib").stderr)

    def test_table_is_whole(self):
        """main.c, fmt.c and doc.c ask for no option that the table lacks."""
        known = {name for command in commands() for name in options(command)}
        for path in ("compiler/main.c", "compiler/tools/fmt.c", "compiler/tools/doc.c"):
            for name in re.findall(r'(?:strcmp\(\w+(?:\[\w+\])?, |i, )"(--?\w[\w-]*)"', read(path)):
                self.assertIn(name, known | {"--version", "-h"}, path)

    def test_man(self):
        main = plain(lqft("man").stdout)
        for command in commands():
            self.assertRegex(main, rf"(?m)^ +{command}\b")
            self.assertIn(f"lqft-{command}(1)", main)
            page = plain(lqft("man", command).stdout)
            self.assertIn(f"lqft {command}", page)
            for name, value in options(command).items():
                self.assertRegex(page, rf"(?m)^ +{re.escape((name + ' ' + value).strip())}(\s|$)")
        self.assertEqual(lqft("man", "nothing").returncode, 2)

    def test_reference(self):
        section = read("grammar", "reference.md").split("\n## 9. Command line")[1].split("\n## 10.")[0]
        for command in commands():
            self.assertIn(f"lqft {command}", section)
            for name in options(command):
                if name not in ("--help", "--color"):
                    self.assertIn(f"{name}", section, command)

    def bash(self, *words):
        script = self.write("lqft.bash", lqft("completion", "bash").stdout)
        line = f'compopt() {{ :; }}; source {script}; COMP_WORDS=({" ".join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}; _lqft; printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "--norc", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder)
        self.assertEqual(done.stderr, "")
        return sorted(set(done.stdout.split()))

    def test_bash(self):
        self.write("model.lqft", "param kappa = 1\nparam L = 2\n")
        self.assertEqual(self.bash("lqft", ""), sorted([*commands(), "--help", "--version"]))
        for command in commands():
            self.assertEqual(self.bash("lqft", command, "-"), sorted(options(command)))
            for name, value in options(command).items():
                if "|" in value:
                    self.assertEqual(self.bash("lqft", command, name, ""), sorted(value.split("|")))
        self.assertEqual(self.bash("lqft", "run", "mo"), ["model.lqft"])
        self.assertEqual(self.bash("lqft", "run", "model.lqft", "ka"), ["kappa="])
        self.assertEqual(self.bash("lqft", "show", "model.lqft", "ke"), ["kernels"])

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish(self):
        script = self.write("lqft.fish", lqft("completion", "fish").stdout)

        def complete(line):
            done = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, cwd=self.folder, env=dict(os.environ, HOME=self.folder))
            self.assertEqual(done.stderr, "")
            return {row.split("\t")[0] for row in done.stdout.splitlines()}
        self.write("model.lqft", "param kappa = 1\n")
        self.assertEqual(complete("lqft "), set(commands()))
        for command in commands():
            self.assertEqual({o for o in complete(f"lqft {command} -") if not o.startswith("-o")}, set(options(command)) - {"-o"})
            for name, value in options(command).items():
                if "|" in value:
                    self.assertEqual(complete(f"lqft {command} {name} "), set(value.split("|")))
        self.assertIn("kappa=", complete("lqft run model.lqft k"))
        self.assertIn("model.lqft", complete("lqft run m"))

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh(self):
        """It loads; _arguments is given every option, and nothing that it cannot read."""
        self.write("_lqft", lqft("completion", "zsh").stdout)
        asked = ("fpath=($PWD $fpath); autoload -U compinit; compinit -u -d $PWD/dump; print -r -- $_comps[lqft]; autoload +X _lqft\n"
                 "_describe() { print -rl -- ${(P)2} }; _arguments() { print -rl -- \"$@\" }; compdef() { : }\n"
                 "function complete_() { words=(\"$@\"); CURRENT=$#words; _lqft_main }\n"
                 "source ./_lqft; functions[_lqft_main]=$functions[_lqft]\n")

        def complete(*words):
            done = subprocess.run(["zsh", "-f", "-c", asked + "complete_ " + " ".join(words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder)
            self.assertEqual(done.stderr, "")
            rows = done.stdout.splitlines()
            self.assertEqual(rows[0], "_lqft")
            return rows[1:]
        self.assertEqual([row.split(":")[0] for row in complete("lqft", "''")], commands())
        for command in commands():
            rows = [row for row in complete("lqft", command, "-") if row.startswith("*-")]
            self.assertEqual({re.match(r"\*(-[\w-]+)\[", row)[1] for row in rows}, set(options(command)))
            for row in rows:
                value = options(command)[re.match(r"\*(-[\w-]+)\[", row)[1]]
                self.assertEqual(":" in re.sub(r"\\.|\[.*\]", "", row), bool(value), row)


if __name__ == "__main__":
    unittest.main()
