#!/usr/bin/env python3
"""Writes the lists of words in the files of the editors, from the compiler's own table.

    editors/generate.py [--lqft PATH] [--check]

`lqft words` prints the table (compiler/front/words.def, and the built-in functions).  With
--check nothing is written; the exit status is 1 when a file does not agree with it.
"""
import argparse
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PLURAL = {"boundary": "boundaries"}

# How each class is coloured by TextMate: the scope, and what follows or precedes the word.
TEXTMATE = {
    "declaration": ("keyword.declaration.lqft", "", ""),
    "statement": ("keyword.control.lqft", "", ""),
    "joint": ("keyword.other.lqft", "", ""),
    "operator": ("keyword.operator.word.lqft", "", ""),
    "constant": ("constant.language.lqft", "", ""),
    "reserved": ("invalid.illegal.reserved.lqft", "", ""),
    "special": ("support.variable.lqft", "", ""),
    "binder": ("keyword.operator.binder.lqft", "", r"(?=\s*\[)"),
    "function": ("support.function.lqft", "", r"(?=\s*\()"),
    "kind": ("storage.type.lqft", r"(?<=[:\s])", r"(?=\s*(?:#|$))"),
    "boundary": ("constant.language.lqft", "", ""),
    "setting": ("variable.parameter.lqft", "", r"(?=\s*=[^=])"),
}
# The same for Vim: group, then what surrounds the words.
VIM = {
    "declaration": ("lqftDeclaration", "", ""),
    "statement": ("lqftStatement", "", ""),
    "joint": ("lqftJoint", "", ""),
    "operator": ("lqftWordOperator", "", ""),
    "constant": ("lqftConstant", "", ""),
    "reserved": ("lqftReserved", "", ""),
    "special": ("lqftSpecial", "", ""),
    "binder": ("lqftBinder", "", r"\ze\s*\["),
    "function": ("lqftFunction", "", r"\ze\s*("),
    "maker": ("lqftMaker", "", r"\ze\s*("),
    "plot": ("lqftPlot", "", r"\ze\s*("),
    "kind": ("lqftKind", r"\%(:\s*\)\@<=", ""),
    "boundary": ("lqftBoundary", "", ""),
    "choice": ("lqftChoice", r"\%(=\s*\)\@<=", ""),
    "setting": ("lqftSetting", "", r"\ze\s*=[^=]"),
}


def table(lqft):
    """Class to words, in the order of the compiler."""
    done = subprocess.run([lqft, "words"], stdout=subprocess.PIPE, text=True, check=True)
    classes = {}
    for line in done.stdout.splitlines():
        kind, word = line.split("\t")
        classes.setdefault(kind, []).append(word)
    return classes


def vim(classes):
    for kind, (group, before, after) in VIM.items():
        yield "syntax match " + group + " /" + before + r"\<\%(" + r"\|".join(classes[kind]) + r"\)\>" + after + "/"


def wrapped(head, words, tail, indent):
    """head "a" "b" … tail, broken into lines of at most 100."""
    lines, line = [], head
    for word in words:
        if len(line) + len(word) + len(tail) > 100:
            lines.append(line.rstrip())
            line = indent
        line += word
    return lines + [line.rstrip() + tail]


def emacs(classes):
    for kind, words in classes.items():
        name = "lqft-" + PLURAL.get(kind, kind + "s")
        yield from wrapped(f"(defconst {name}\n  '(", [f'"{w}" ' for w in words], ")", "    ")
        yield f'  "Words of the class {kind}.")'


def pygments(classes):
    for kind, words in classes.items():
        name = PLURAL.get(kind, kind + "s").upper()
        yield from wrapped(f"{name} = (", [f'"{w}", ' for w in words], ")", " " * (len(name) + 4))


REGIONS = {
    "vim/syntax/lqft.vim": ('"', vim),
    "emacs/lqft-mode.el": (";;", emacs),
    "pygments/lqft_lexer.py": ("#", pygments),
}


def region(text, mark, lines):
    """The text with these lines between the two marks."""
    begin, end = f"{mark} words:\n", f"{mark} end words\n"
    if text.count(begin) != 1 or text.count(end) != 1:
        sys.exit(f"the marks `{begin.strip()}` and `{end.strip()}` are not there once each")
    before, rest = text.split(begin)
    return before + begin + "\n".join(lines) + "\n" + end + rest.split(end)[1]


def textmate(text, classes):
    grammar = json.loads(text)
    merged = dict(classes, function=classes["function"] + classes["maker"] + classes["plot"],
                  boundary=classes["boundary"] + classes["choice"])
    for kind, (scope, before, after) in TEXTMATE.items():
        words = "|".join(merged[kind])
        grammar["repository"][kind] = {"name": scope, "match": rf"{before}(?<![\p{{L}}\p{{N}}_'])(?:{words})(?![\p{{L}}\p{{N}}_'])" + after}
    return json.dumps(grammar, indent=2, ensure_ascii=False) + "\n"


def main():
    options = argparse.ArgumentParser(description="write the lists of words in the files of the editors")
    options.add_argument("--lqft", default=os.path.join(HERE, "..", "build", "lqft"))
    options.add_argument("--check", action="store_true", help="write nothing; 1 when a file does not agree")
    chosen = options.parse_args()
    classes = table(chosen.lqft)
    jobs = {path: lambda t, m=mark, f=lines: region(t, m, f(classes)) for path, (mark, lines) in REGIONS.items()}
    jobs["vscode/syntaxes/lqft.tmLanguage.json"] = lambda t: textmate(t, classes)
    stale = 0
    for path, write in jobs.items():
        full = os.path.join(HERE, path)
        with open(full, encoding="utf-8") as f:
            old = f.read()
        new = write(old)
        if new == old:
            continue
        stale += 1
        if chosen.check:
            print(f"editors/{path} does not agree with `lqft words`: run editors/generate.py")
            continue
        with open(full, "w", encoding="utf-8") as f:
            f.write(new)
        print(f"editors/{path}")
    return 1 if stale and chosen.check else 0


if __name__ == "__main__":
    sys.exit(main())
