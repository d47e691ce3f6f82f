#!/usr/bin/env python3
"""The files of editors/: do they agree with the compiler about every letter of examples/ and
stdlib/?

    tests/editors/run.py --lqft PATH --front PATH [-v] [NAME …]

The compiler says what is a comment, a string, a number, a keyword (front_main --tokens); each
editor is asked the same, the real one where it is installed: vim, emacs, the Python package
pygments, and for VS Code the package vscode-textmate of node.  A test whose program is not
there says so and is left out.  The words must be those of `lqft words`, messages must be
understood, and `=` in Vim and indent-region in Emacs must leave formatted files alone.
"""
import json
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
HERE = os.path.join(ROOT, "tests", "editors")
EDITORS = os.path.join(ROOT, "editors")
LQFT = script.path("--lqft", "build/lqft")
FRONT = script.path("--front", "build/tests/front_main")
LETTERS = os.path.join(HERE, "letters.lqft")


def models():
    found = [LETTERS]
    for top in ("examples", "stdlib"):
        for folder, _, names in sorted(os.walk(os.path.join(ROOT, top))):
            found += [os.path.join(folder, n) for n in sorted(names) if n.endswith(".lqft")]
    return found


def read(path):
    with open(path, "rb") as f:
        return f.read()


def lexemes(path):
    """(lo, hi, class) of every token and comment, from the compiler."""
    done = subprocess.run([FRONT, "--tokens", path], stdout=subprocess.PIPE, check=True)
    for line in done.stdout.decode().splitlines():
        lo, hi, kind = line.split(" ")[:3]
        yield int(lo), int(hi), kind


def words():
    done = subprocess.run([LQFT, "words"], stdout=subprocess.PIPE, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def have(program):
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed")


class Colours(unittest.TestCase):
    def agree(self, path, runs, groups):
        """Runs (lo, hi, group) against the compiler; groups maps a group to a class of
        lexemes: comment, string, number, keyword; others are free for names and signs."""
        text = read(path)
        keywords = [w for _, w in words()]
        got = [None] * (len(text) + 1)
        for lo, hi, group in runs:
            for i in range(lo, min(hi, len(text))):
                got[i] = groups(group)
        for lo, hi, kind in lexemes(path):
            want = kind if kind in ("comment", "string", "number", "keyword") else None
            shown = text[lo:hi].decode()
            if kind == "sign" and shown in "²³⁻¹½∞⁰⁴⁵⁶⁷⁸⁹":
                continue
            if kind == "name" and shown in keywords:      # what a report calls its result
                continue
            for i in range(lo, hi):
                if shown.isascii() or want:
                    self.assertEqual(got[i], want, f"{path}: byte {i}, `{shown}`")

    def test_words_agree(self):
        done = subprocess.run([sys.executable, os.path.join(EDITORS, "generate.py"), "--lqft", LQFT, "--check"],
                              stdout=subprocess.PIPE, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_reference_lists_the_keywords(self):
        """§1 of the reference names exactly the keywords, and the reserved ones apart."""
        text = read(os.path.join(ROOT, "grammar", "reference.md")).decode()
        used, later = re.search(r"\*\*Keywords\*\* cannot be names: `([^`]*)`, and, reserved for\s+later, `([^`]*)`", text).groups()
        keywords = [w for c, w in words() if c in ("declaration", "statement", "operator", "joint") or w in ("true", "false")]
        self.assertEqual(sorted(used.split()), sorted(keywords))
        self.assertEqual(sorted(later.split()), sorted(w for c, w in words() if c == "reserved"))

    def test_words_are_known(self):
        """The compiler takes each word of the table for what the table says it is."""
        program = {"kind": "field x : {0}", "boundary": "lattice X = torus(4; boundary = {0})",
                   "plot": "field x : real\nplot {0}(x)", "binder": "axis A = 2\nreport r = {0}[i in A] 1",
                   "constant": "def a = {0}"}
        for kind, word in words():
            if kind not in program or (kind, word) == ("binder", "integral"):
                continue
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "word.lqft")
                with open(path, "w", encoding="utf-8") as f:
                    f.write(program[kind].format(word) + "\n")
                done = subprocess.run([LQFT, "show", path, "ast"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                self.assertNotRegex(done.stderr, r"E0(201|101|23\d)\]", f"{kind} {word}")

    @have("vim")
    def test_vim(self):
        groups = {"lqftComment": "comment", "lqftDocComment": "comment", "lqftTodo": "comment", "lqftString": "string", "lqftEscape": "string",
                  "lqftNumber": "number", "lqftDeclaration": "keyword", "lqftStatement": "keyword", "lqftJoint": "keyword",
                  "lqftWordOperator": "keyword", "lqftReserved": "keyword"}
        for path, lines, indented in self.in_vim(models()):
            runs, at = [], 0
            text = read(path).split(b"\n")
            for line, row in zip(text, lines):
                names = row.split(",")
                for i, name in enumerate(names):
                    truth = line[i:i + 1] and name == "lqftConstant" and re.match(rb"true|false|rue|alse|ue|lse|se|e", line[i:])
                    runs.append((at + i, at + i + 1, "lqftStatement" if truth else name))
                at += len(line) + 1
            self.agree(path, runs, groups.get)
            self.assertEqual("\n".join(indented) + "\n", read(path).decode(), f"{path} is indented otherwise by Vim")

    def in_vim(self, files):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out")
            self.vim("colours.vim", "\n".join(files), out)
            lines = read(out).decode().split("\n")[:-1]
        at = 0
        for path in files:
            self.assertEqual(lines[at], f"file {path}")
            n = len(read(path).decode().split("\n")) - 1
            self.assertEqual(lines[at + 1 + n], "indented")
            yield path, lines[at + 1:at + 1 + n], lines[at + 2 + n:at + 2 + 2*n]
            at += 2 + 2*n

    def vim(self, script, files, out):
        env = dict(os.environ, LQFT_VIM=os.path.join(EDITORS, "vim"), LQFT_FILES=files, LQFT_OUT=out,
                   PATH=os.path.dirname(LQFT) + ":" + os.environ["PATH"])
        done = subprocess.run(["vim", "-es", "-i", "NONE", "-u", "NONE", "-S", os.path.join(HERE, script)], env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100)
        self.assertTrue(os.path.exists(out), done.stdout.decode(errors="replace"))

    @have("vim")
    def test_vim_reads_messages(self):
        with tempfile.TemporaryDirectory() as folder:
            path, out = os.path.join(folder, "wrong model.lqft"), os.path.join(folder, "out")
            with open(path, "w", encoding="utf-8") as f:
                f.write("param kappa = 0.21\nreport ψψ = 2*kapa\naxis A = 4\naxis B = 4\ndata w[i in A] = 1\nreport s = sum[j in B] w[j]\n")
            self.vim("messages.vim", path, out)
            lines = read(out).decode().splitlines()
        self.assertEqual([line.split("|")[:5] for line in lines],
                         [["wrong model.lqft", "2", lines[0].split("|")[2], "e", "201"], ["wrong model.lqft", "6", "24", "e", "210"]])
        self.assertIn("did you mean `kappa`?", lines[0])

    @have("emacs")
    def test_emacs(self):
        files = models()
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out")
            done = subprocess.run(["emacs", "--batch", "-Q", "-l", os.path.join(EDITORS, "emacs", "lqft-mode.el"),
                                   "-l", os.path.join(HERE, "colours.el"), *files], env=dict(os.environ, LQFT_OUT=out),
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100)
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            output = read(out)
        groups = {"font-lock-comment-face": "comment", "font-lock-comment-delimiter-face": "comment", "font-lock-string-face": "string",
                  "font-lock-keyword-face": "keyword", "font-lock-warning-face": "keyword"}
        pieces = re.split(rb"^file (.*)\n", output, flags=re.M)[1:]
        self.assertEqual(len(pieces), 2*len(files))
        for name, piece in zip(pieces[::2], pieces[1::2]):
            path = name.decode()
            faces, indented = piece.split(b"indented\n", 1)
            text, runs = read(path), []
            for line in faces.decode().splitlines():
                lo, hi, face = line.split(" ", 2)
                truth = face == "font-lock-constant-face" and text[int(lo):int(hi)] in (b"true", b"false")
                runs.append((int(lo), int(hi), "font-lock-keyword-face" if truth else face))
            # numbers have no colour in Emacs
            runs += [(lo, hi, "number") for lo, hi, kind in lexemes(path) if kind == "number"]
            self.agree(path, runs, lambda g: "number" if g == "number" else groups.get(g))
            self.assertEqual(indented.decode(), text.decode(), f"{path} is indented otherwise by Emacs")

    @have("emacs")
    def test_emacs_is_clean(self):
        """It compiles without a warning, and finds the places of messages."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(os.path.join(EDITORS, "emacs", "lqft-mode.el"), folder)
            done = subprocess.run(["emacs", "--batch", "-Q", "--eval", "(setq byte-compile-error-on-warn t)", "-f", "batch-byte-compile", "lqft-mode.el"],
                                  cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100)
            self.assertEqual(done.returncode, 0, done.stdout.decode())
            script = ('(progn (require (quote compile)) (string-match (nth 1 (assq (quote lqft) compilation-error-regexp-alist-alist)) "a b.lqft:7:12: error[E0201]: x") '
                      '(princ (list (match-string 1 "a b.lqft:7:12: error[E0201]: x") (match-string 2 "a b.lqft:7:12: error[E0201]: x"))))')
            done = subprocess.run(["emacs", "--batch", "-Q", "-l", "./lqft-mode.elc", "--eval", script], cwd=folder, stdout=subprocess.PIPE, text=True, timeout=100)
            self.assertEqual(done.stdout, "(a b.lqft 7)")

    def test_pygments(self):
        python = next((p for p in (sys.executable, "/usr/bin/python3")
                       if subprocess.run([p, "-c", "import pygments"], stderr=subprocess.DEVNULL).returncode == 0), None)
        if not python:
            self.skipTest("pygments is not installed")
        script = ("import sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True\n"
                  "from lqft_lexer import LqftLexer\n"
                  "for path in sys.argv[2:]:\n"
                  "    print('file', path); at = 0\n"
                  "    for kind, text in LqftLexer(stripnl=False, ensurenl=False).get_tokens(open(path, encoding='utf-8').read()):\n"
                  "        print(at, at + len(text.encode()), kind); at += len(text.encode())\n")
        files = models()
        done = subprocess.run([python, "-c", script, os.path.join(EDITORS, "pygments"), *files], stdout=subprocess.PIPE, text=True, check=True, timeout=100)

        def kind_of(token):
            for prefix, kind in (("Token.Comment", "comment"), ("Token.Literal.String", "string"), ("Token.Literal.Number", "number"),
                                 ("Token.Keyword.Type", None), ("Token.Keyword", "keyword"), ("Token.Operator.Word", "keyword"),
                                 ("Token.Error", "error")):
                if token.startswith(prefix):
                    return kind
            return None
        self.compare(done.stdout, files, kind_of, lambda text: text not in (b"pi", b"inf"))

    def compare(self, output, files, kind_of, is_keyword=lambda text: True):
        pieces = re.split(r"^file (.*)\n", output, flags=re.M)[1:]
        self.assertEqual(pieces[::2], files)
        for path, piece in zip(pieces[::2], pieces[1::2]):
            text, runs = read(path), []
            for line in piece.splitlines():
                lo, hi, group = line.split(" ", 2)
                lo, hi = int(lo), int(hi)
                if kind_of(group) != "keyword" or is_keyword(text[lo:hi]):
                    runs.append((lo, hi, group))
            self.agree(path, runs, kind_of)

    @staticmethod
    def scope_kind(scope):
        for prefix, kind in (("comment", "comment"), ("string", "string"), ("constant.character", "string"), ("constant.numeric", "number"),
                             ("keyword.operator.word", "keyword"), ("keyword.operator", None), ("keyword", "keyword"),
                             ("constant.language", "keyword"), ("invalid", "keyword")):
            if scope.startswith(prefix):
                return kind
        return None

    def test_textmate(self):
        """The grammar of VS Code, by a reading of its rules here."""
        path = os.path.join(EDITORS, "vscode", "syntaxes", "lqft.tmLanguage.json")
        with open(path, encoding="utf-8") as f:
            grammar = json.load(f)
        rules = list(flat_rules(grammar, grammar["patterns"]))
        files, out = models(), []
        for path in files:
            out.append(f"file {path}")
            at = 0
            for line in read(path).decode().split("\n"):
                for lo, hi, scope in tokenize(rules, line):
                    out.append(f"{at + len(line[:lo].encode())} {at + len(line[:hi].encode())} {scope}")
                at += len(line.encode()) + 1
        self.compare("\n".join(out) + "\n", files, self.scope_kind, is_language_word)

    @have("node")
    def test_textmate_by_vscode(self):
        files = models()
        done = subprocess.run(["node", os.path.join(HERE, "textmate.js"), os.path.join(EDITORS, "vscode", "syntaxes", "lqft.tmLanguage.json"), *files],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100)
        if done.returncode == 77:
            self.skipTest("vscode-textmate is not installed")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.compare(done.stdout, files, self.scope_kind, is_language_word)

    def test_vscode_files(self):
        """The package names files that exist, and each snippet is a program without mistakes
        in its form."""
        folder = os.path.join(EDITORS, "vscode")
        with open(os.path.join(folder, "package.json"), encoding="utf-8") as f:
            contributes = json.load(f)["contributes"]
        for path in [contributes["languages"][0]["configuration"]] + [x["path"] for k in ("grammars", "snippets") for x in contributes[k]]:
            with open(os.path.join(folder, path), encoding="utf-8") as f:
                json.load(f)
        pattern = contributes["problemMatchers"][0]["pattern"]["regexp"]
        self.assertEqual(re.match(pattern, "a b.lqft:7:12: error[E0201]: x").groups(), ("a b.lqft", "7", "12", "error", "E0201", "x"))
        with open(os.path.join(folder, "snippets", "lqft.json"), encoding="utf-8") as f:
            snippets = json.load(f)
        for name, snippet in snippets.items():
            text = "\n".join(snippet["body"])
            while True:                                  # the innermost places first
                less = re.sub(r"\$\{\d+\|([^,|}]*)[^}]*\}|\$\{\d+:([^{}]*)\}", lambda m: m[1] or m[2], text)
                less = re.sub(r"\$\d+", "", less)
                if less == text:
                    break
                text = less
            with tempfile.TemporaryDirectory() as work:
                path = os.path.join(work, "snippet.lqft")
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text + "\n")
                done = subprocess.run([FRONT, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""), f"{name}:\n{text}")


def is_language_word(text):
    return text not in (b"pi", b"inf", b"periodic", b"antiperiodic", b"open", b"hot", b"cold", b"single", b"double")


def flat_rules(grammar, patterns):
    """(pattern, scope, scopes of groups, end) in order."""
    def translate(pattern):
        pattern = pattern.replace(r"[\p{L}_][\p{L}\p{N}\p{M}_']*", r"[^\W\d][\w']*").replace(r"[\p{L}\p{N}_']", r"[\w']")
        return re.compile(pattern)
    for p in patterns:
        if "include" in p:
            yield from flat_rules(grammar, [grammar["repository"][p["include"][1:]]])
        elif "match" in p:
            groups = {int(k): v["name"] for k, v in p.get("captures", {}).items()}
            yield translate(p["match"]), p.get("name", ""), groups, None
        elif "begin" in p:
            yield translate(p["begin"]), p["name"], {}, translate(p["end"])
        else:
            yield from flat_rules(grammar, p["patterns"])


def tokenize(rules, line):
    """As TextMate does: the leftmost match, the first rule among equals."""
    at = 0
    while at <= len(line):
        best = None
        for rule in rules:
            m = rule[0].search(line, at)
            if m and m.end() > m.start() and (best is None or m.start() < best[0].start()):
                best = (m, rule)
        if best is None:
            return
        m, (_, scope, groups, end) = best
        at = m.end()
        if end:
            escape = re.compile(r'\\[n"\\]')
            while True:
                stop, skip = end.search(line, at), escape.search(line, at)
                if not skip or skip.start() >= stop.start():
                    break
                at = skip.end()
            at = stop.end()
        if scope:
            yield m.start(), at, scope
        for group, name in groups.items():
            yield m.start(group), m.end(group), name


if __name__ == "__main__":
    unittest.main()
