#!/usr/bin/env python3
"""run.py [LQFT] [--update] [--only WORD]

check/*.lqft are wrong programs: `lqft check` must print exactly check/*.expected, and end
with status 1.  Besides, every code of compiler/front/diag.def is used in the sources, has a page
that `lqft explain` prints, and a wrong program here or in parse/.  --update rewrites the
expectations; read what changed: is it what a physicist would want to read?"""
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
passed = failed = 0


def verdict(ok, what, why=""):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {what}" + (f": {why}" if why else ""))


def normal(text):
    """Lines of the library may move: their numbers and texts are left out."""
    out, library = [], False
    for line in text.splitlines():
        library = re.match(r" +in \.\./.*stdlib/", line) is not None or (library and re.match(r" *\d* \|", line) is not None)
        if not library or " in " in line[:9]:
            out.append(line)
        elif re.match(r" *\d+ \|", line):
            out.append("   | …")
        else:
            out.append("   | " + re.sub(r"^[ |-]*", "", line))
    return "\n".join(out) + ("\n" if text else "")


def difference(want, got):
    w, g = want.splitlines(), got.splitlines()
    for i in range(max(len(w), len(g))):
        a, b = (w[i] if i < len(w) else "(nothing)"), (g[i] if i < len(g) else "(nothing)")
        if a != b:
            return f"line {i + 1}\n  expected {a}\n  found    {b}"
    return ""


def check(lqft, name, folder, **env):
    return subprocess.run([lqft, "check", name], cwd=folder, capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
                          env=dict(os.environ, NO_COLOR="1", **env))


def check_programs(lqft, update, only):
    folder = os.path.join(HERE, "check")
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".lqft") or (only and only not in name):
            continue
        p = check(lqft, name, folder, LQFT_STDLIB="../../../stdlib")        # as messages name it
        got, path = normal(p.stderr.decode("utf-8", "replace")), os.path.join(folder, name[:-5] + ".expected")
        if update:
            with open(path, "w", encoding="utf-8") as f:
                f.write(got)
        want = open(path, encoding="utf-8").read() if os.path.exists(path) else ""
        code = name.split("_")[0]
        if p.returncode != 1:
            verdict(False, name, f"status {p.returncode}, not 1")
        elif re.match(r"[ED]\d{4}$", code) and (got.count(f"[{code}]") != 1 or len(re.findall(r"(?:error|warning)\[", got)) != 1):
            verdict(False, name, f"should give {code}, once, and nothing else")
        else:
            verdict(got == want, name, difference(want, got))


def sources(folder, *ends):
    for path in glob.glob(os.path.join(ROOT, folder, "**"), recursive=True):
        if path.endswith(ends):
            yield open(path, encoding="utf-8").read()


def check_page(lqft, code, page):
    """The first program of a page makes the mistake, the last one is right."""
    programs = [re.sub(r"^    ", "", block, flags=re.M) for block in re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", page, re.M)]
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "corr.csv"), "w") as f:
            f.write("t,C\n0,1\n1,0.5\n2,0.25\n")
        for program, wrong in ((programs[0], True), (programs[-1], False)):
            with open(os.path.join(folder, "page.lqft"), "w", encoding="utf-8") as f:
                f.write(program)
            p = check(lqft, "page.lqft", folder)
            codes = re.findall(r"(?:error|warning)\[(\w+)\]", p.stderr.decode("utf-8", "replace"))
            if wrong:
                verdict(codes == [code], f"the first program of the page of {code}", f"gives {' '.join(codes) or 'no message'}")
            else:
                verdict(p.returncode == 0, f"the last program of the page of {code}", p.stderr.decode("utf-8", "replace")[:300] or p.stdout.decode()[:300])


def check_codes(lqft):
    table = dict(re.findall(r'^X\(([A-Z]\d{4}), "((?:[^"\\]|\\.)*)"\)', open(os.path.join(ROOT, "compiler", "front", "diag.def"), encoding="utf-8").read(), re.M))
    used = set()
    for text in sources("compiler", ".c", ".h"):
        used.update(re.findall(r'"([ED]\d{4})"', text))
    for text in sources("runtime/run", ".c"):
        used.update(re.findall(r'"(D\d{4})"', text))
    for text in sources("grammar", ".re", ".y"):
        used.update(re.findall(r'"([ED]\d{4})"', text))
    shown = set()
    for text in sources("tests/errors", ".expected"):
        shown.update(re.findall(r"(?:error|warning)\[([ED]\d{4})\]", text))
    with tempfile.TemporaryDirectory() as folder:           # too large to be kept
        with open(os.path.join(folder, "large.lqft"), "w") as f:
            f.write("#" * 63 + "\n")
            f.write(("#" * 63 + "\n") * (1 << 20))
        p = check(lqft, "large.lqft", folder)
        verdict(p.returncode == 1 and b"[E0128]" in p.stderr, "a file of more than 64 MiB")
        shown.add("E0128")
    for code in sorted(used | set(table)):
        verdict(code in table, f"{code}: used, and has no row in diag.def")
        verdict(code in used, f"{code}: has a row in diag.def, and nothing uses it")
        p = subprocess.run([lqft, "explain", code.lower()], capture_output=True)
        page = p.stdout.decode()
        verdict(p.returncode == 0 and page.startswith(f"## {code} {table.get(code)}\n"), f"lqft explain {code}", page.split("\n")[0] or p.stderr.decode().strip())
        verdict(page.count("\n    ") >= 1 or code[0] == "D", f"{code}: no program on its page")
        if re.match(r"E0[2-9]", code) and page.count("\n    ") >= 1:
            check_page(lqft, code, page)
        if code[0] == "E":
            verdict(code in shown, f"{code}: no wrong program in tests/errors")


def main():
    args = sys.argv[1:]
    update = "--update" in args
    only = args[args.index("--only") + 1] if "--only" in args else None
    rest = [a for a in args if not a.startswith("--") and a != only]
    lqft = os.path.abspath(rest[0] if rest else os.path.join(ROOT, "build", "lqft"))
    check_programs(lqft, update, only)
    if not only:
        check_codes(lqft)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
