#!/usr/bin/env python3
"""The map of the repository is true: what may include what, which names stand where,
and a README in each folder that names its files.

    tests/structure/run.py
"""
import fnmatch
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
failures = []

# What the compiler may use of the runtime.
RUNTIME_FOR_COMPILER = ("base.h", "vmath.h", "vmath_text.h", "vmath_special.h", "vmath_coef.h", "vmath_coef_special.h", "vmath_list.h", "philox.h", "stats.h", "threads.h", "calls.h", "contract.h", "linalg.h", "io/*.h", "plot/figure.h", "run/program.h", "run/run.h", "run/store.h", "ops.h", "ops.def", "code/code.h", "standalone/payload.h")
# Headers of libraries, and the only places that may include them.
LIBRARIES = {
    r"llvm-c/": "compiler/backend/llvm*",
    r"jansson": "runtime/run/output.c runtime/run/keep*.[ch] runtime/run/store*.c runtime/run/checkpoint.c runtime/run/program_file.c runtime/standalone/payload.c runtime/io/safetensors.c compiler/repl/json.c",
    r"histedit": "compiler/repl/line.c",
    r"hdf5": "runtime/io/hdf5_library.h",
    r"zlib": "runtime/io/npz.c",
    r"(cblas|lapacke?|openblas)": "runtime/blas*",
}
# Methods of physics are library text (stdlib/): the compiler knows none of them.
METHODS = r"(?i)\bhmc|leapfrog|omelyan|metropolis|langevin|heat.?bath|wolff_cluster"
METHODS_ALLOWED = {
    # line of text in the file: why it may stay
    'diag_help(&e->front->sink, d, "sample phi ~ exp(-S(phi)) with hmc()");': "help text: an example of a sample declaration",
    '"after `with` stands a sampler, such as `hmc(length = 1)`"': "help text: an example of a sampler",
}
CODE = (".c", ".h", ".def", ".re", ".y", ".py", ".sh", ".cmake", ".lqft")
MOST_LINES = 1200


def fail(path, line, text):
    message = f"{path}:{line}: {text}" if line else f"{path}: {text}"
    if message not in failures:
        failures.append(message)


def ignored():
    with open(os.path.join(ROOT, ".gitignore"), encoding="utf-8") as f:
        return [line.strip() for line in f if line.strip() and line[0] not in "#!"]


def all_files():
    """Paths below the root of what belongs to the repository."""
    patterns = ignored()
    found = []
    for folder, folders, names in os.walk(ROOT):
        below = os.path.relpath(folder, ROOT)
        folders[:] = sorted(d for d in folders if d not in (".git", "__pycache__") and not (below == "." and re.match(r"build(-.*)?$", d))
                            and not (below == "." and d == "shared"))
        for name in sorted(names):
            path = os.path.normpath(os.path.join(below, name))
            data = path.startswith("tests/") and name.endswith(".npy")
            if data or not any(fnmatch.fnmatch(name, p) or fnmatch.fnmatch(path, p) for p in patterns):
                found.append(path)
    return found


def read(path):
    with open(os.path.join(ROOT, path), "rb") as f:
        return f.read().decode("utf-8", "replace")


def includes(path):
    """(line, text between the quotes, quoted or angle)"""
    for number, line in enumerate(read(path).split("\n"), 1):
        m = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if m:
            yield number, m.group(2), m.group(1) == '"'


def check_includes(path):
    half = path.split("/")[0]
    for number, name, quoted in includes(path):
        if not quoted:
            for pattern, place in LIBRARIES.items():
                if re.match(pattern, name) and half != "tests" and not any(fnmatch.fnmatch(path, p) for p in place.split()):
                    fail(path, number, f"<{name}> may be included by {place} only")
            continue
        target = os.path.normpath(os.path.join(os.path.dirname(path), name))
        if name == "parser.h" and path in ("compiler/front/parse.c", "compiler/front/words.c", "compiler/front/lexemes.c", "compiler/front/format.c", "grammar/lexer.re"):
            continue                                     # generated
        if half == "grammar" and name == "parse.h":
            continue                                     # the generated files are built with -Icompiler/front
        if path.startswith("examples/library/"):
            continue                                     # installed headers
        if not os.path.exists(os.path.join(ROOT, target)):
            fail(path, number, f'"{name}" is no file beside it')
        elif target.startswith("tests/") and half != "tests":
            fail(path, number, "nothing includes from tests")
        elif half == "runtime" and not target.startswith("runtime/"):
            fail(path, number, f"the runtime includes only itself, not {target}")
        elif half == "compiler":
            check_compiler_include(path, number, target)
        elif half == "grammar" and target != "compiler/front/parse.h":
            fail(path, number, "the grammar includes compiler/front/parse.h only")
    if path.startswith("runtime/plot/"):
        for number, name, quoted in includes(path):
            if quoted and "/" in name and name != "../base.h":
                fail(path, number, "runtime/plot includes ../base.h and itself")


def check_compiler_include(path, number, target):
    if target.startswith("runtime/"):
        if not any(fnmatch.fnmatch(target[len("runtime/"):], p) for p in RUNTIME_FOR_COMPILER):
            fail(path, number, f"{target} is private to the runtime")
    elif not target.startswith("compiler/"):
        fail(path, number, f"the compiler includes itself and headers of the runtime, not {target}")
    elif target.startswith("compiler/backend/") and not path.startswith("compiler/backend/") and target != "compiler/backend/backend.h":
        fail(path, number, "back ends are reached through backend/backend.h")
    elif target.startswith("compiler/repl/") and not path.startswith("compiler/repl/") and path != "compiler/main.c":
        fail(path, number, "the prompt is above everything but main.c")
    elif path.startswith("compiler/backend/") and not target.startswith("compiler/backend/") and target not in ("compiler/kernel/kernel.h", "compiler/ir/schedule.h"):
        fail(path, number, "back ends include ../kernel.h and the walk over scalars only")
    elif target == "compiler/front/parse.h" and path not in tuple("compiler/front/" + f for f in ("parse.c", "ast.c", "words.c", "lexemes.c", "format.c")):
        fail(path, number, "parse.h belongs to the readers of tokens and the grammar")


def check_names(path, text):
    code = path.endswith((".c", ".h", ".def"))
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"(?<![\w.])/(tmp|work|home|root)\b(?!\()", line) and path != "tests/structure/run.py":
            fail(path, number, "a path of one machine")
        if not code or not path.startswith(("compiler/", "runtime/")):
            continue
        if re.search(r"(?i)cuda|nvptx", line) and not path.startswith(("compiler/backend/cuda", "runtime/device/")):
            fail(path, number, "names of one device belong to its back end")
        if path.startswith("compiler/") and re.search(METHODS, line) and not any(a in line for a in METHODS_ALLOWED):
            fail(path, number, f"the compiler names a method of physics: {re.search(METHODS, line).group(0)}")


def readme_above(folder):
    while folder and not os.path.exists(os.path.join(ROOT, folder, "README.md")):
        folder = os.path.dirname(folder)
    return folder


def check_readmes(files):
    """Each file of code is named in the README of its folder, or with its folder's name in
    the nearest README above; of test data, the folder is named."""
    for path in files:
        folder, name = os.path.split(path)
        if not folder or not name.endswith(CODE):
            continue
        data = folder.startswith("tests/") and name.endswith(".lqft")
        top = readme_above(folder)
        if not top:
            fail(folder, 0, "no README.md here or above")
            continue
        wanted = os.path.relpath(folder, top) + "/" if data else os.path.relpath(path, top)
        text = read(os.path.join(top, "README.md"))
        if not re.search(r"(?<![\w./])" + re.escape(wanted), text):
            fail(f"{top}/README.md", 0, f"does not name {wanted}")
    for top in sorted({readme_above(os.path.dirname(p)) for p in files if "/" in p} - {""}):
        for name in re.findall(r"`([\w./]+\.(?:c|h|def|re|y|py|sh|cmake|lqft))`", read(f"{top}/README.md")):
            places = (os.path.join(ROOT, top, name), os.path.join(ROOT, name), os.path.join(ROOT, top, "..", name))
            if not any(map(os.path.exists, places)) and not any(p.endswith("/" + name) for p in files):
                fail(f"{top}/README.md", 0, f"names {name}, which does not exist")


def main():
    files = all_files()
    for path in files:
        if path.endswith((".cc", ".cpp", ".cxx", ".C", ".hpp", ".hh", ".cu")):
            fail(path, 0, "the languages here are C and lqft")
        if path.startswith(("stdlib/", "examples/")) and not path.endswith((".lqft", "README.md", ".csv", ".npy")) and not path.startswith("examples/library/"):
            fail(path, 0, "the library and the examples are written in lqft")     # but for programs that use a built one
        if path.endswith((".npy", ".png", ".gif")):
            continue
        text = read(path)
        if path.endswith(CODE) and text.count("\n") > MOST_LINES:
            fail(path, 0, f"{text.count(chr(10))} lines; {MOST_LINES} are the limit")
        if path.endswith((".c", ".h", ".re", ".y", ".def")):
            check_includes(path)
        check_names(path, text)
    for line, reason in METHODS_ALLOWED.items():
        if not any(line in read(p) for p in files if p.startswith("compiler/")):
            fail("tests/structure/run.py", 0, f"allows what no longer exists: {line} ({reason})")
    check_readmes(files)
    for text in failures:
        print(text)
    print(f"{len(files)} files, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
