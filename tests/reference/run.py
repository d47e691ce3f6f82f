#!/usr/bin/env python3
"""Runs the programs of the language reference.

    tests/reference/run.py [--lqft PATH] [--list] [LINE …]

Every fenced block of grammar/reference.md is one program:

    ```lqft              must elaborate without an error
    ```lqft error=E0207  must give that error, and no other
    ```lqft run          must run; a comment  # => name = 0.4994(8)  demands that the report
                         lies within five times the bracket (or equals the number, to nine
                         digits, where there is none).  name[3, 0] is an element of a report.

LINE selects the block that begins in that line of the reference.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REFERENCE = os.path.join(ROOT, "grammar", "reference.md")
EXPECTED = re.compile(r"#\s*=>\s*([^\s=\[]+)(?:\[([\d, ]+)\])?\s*=\s*([-+0-9.eE]+)(?:\((\d+)\))?\s*$", re.M)


def blocks(text):
    """Yields (line, info, program) for each fenced block that begins with ```lqft."""
    lines, begin = text.split("\n"), None
    for number, line in enumerate(lines, 1):
        if begin is None and line.startswith("```lqft"):
            begin, info = number, line[len("```lqft"):].strip()
        elif begin is not None and line.startswith("```"):
            yield begin, info, "\n".join(lines[begin:number - 1]) + "\n"
            begin = None


def call(command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_expected(program, report):
    for name, index, number, digits in EXPECTED.findall(program):
        if name not in report:
            yield f"{name} is not reported"
            continue
        value = report[name]["value"]
        for k in index.split(",") if index else []:
            value = value[int(k)]
        want = float(number)
        places = len(number.split("e")[0].split(".")[1]) if "." in number else 0
        slack = 5 * float(digits) * 10 ** -places if digits else 1e-9 * max(1.0, abs(want))
        if value is None or not abs(value - want) <= slack:
            yield f"{name} = {value}, expected {number}" + (f"({digits})" if digits else "")


def check(lqft, info, program, folder):
    path = os.path.join(folder, "program.lqft")
    with open(path, "w", encoding="utf-8") as f:
        f.write(program)
    if info == "run":
        done = call([lqft, "run", path, "--json", "--quiet", "--seed", "1", "--out", os.path.join(folder, "out")])
        if done.returncode:
            return [f"exit status {done.returncode}", done.stderr]
        return list(check_expected(program, json.loads(done.stdout)["report"]))
    done = call([lqft, "show", path, "ast"])
    if info.startswith("error="):
        codes = re.findall(r"error\[(E\d{4})\]", done.stderr)
        return [] if codes == [info[6:]] else [f"gives {codes or 'no error'}", done.stderr]
    if info:
        return [f"a block cannot be marked `{info}`"]
    return [f"exit status {done.returncode}", done.stderr] if done.returncode or done.stderr else []


def main():
    options = argparse.ArgumentParser(description="run the programs of the language reference")
    options.add_argument("--lqft", default=os.path.join(ROOT, "build", "lqft"))
    options.add_argument("--list", action="store_true", help="print every block, not only those that fail")
    options.add_argument("lines", nargs="*", type=int, metavar="LINE")
    o = options.parse_args()
    passed = failed = 0
    with open(REFERENCE, encoding="utf-8") as f:
        text = f.read()
    for line, info, program in blocks(text):
        if o.lines and line not in o.lines:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                complaints = check(o.lqft, info, program, folder)
            except (OSError, ValueError, KeyError, TypeError, IndexError) as problem:
                complaints = [f"{type(problem).__name__}: {problem}"]
        passed, failed = passed + (not complaints), failed + bool(complaints)
        if complaints or o.list:
            print(f"{'FAIL' if complaints else 'ok  '} reference.md:{line} {info}")
        for c in complaints:
            print("     " + c.strip().replace("\n", "\n     "))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
