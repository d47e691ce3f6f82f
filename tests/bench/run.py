#!/usr/bin/env python3
"""run.py: how fast the generated code is, beside what a person writes by hand, what the
machine can do, and what the frameworks of machine learning make of the same work.

    run.py [ROW…] [--list] [--quick] [--markdown] [--readme] [--repeats N] [--lqft build/lqft] [--python PYTHON]

One table, a line a figure; ROW chooses lines by the beginning of their names.  Programs that
are compared run in turn, N times over (5); shown are the medians, and after the ratio half
the distance of its quartiles.  A figure whose feature or framework is not there is "–".
--python is an interpreter that has PyTorch, JAX or NumPy, for their lines.  --readme
puts the table into README.md.  --quick takes a few seconds and asserts what holds on any
machine."""

import argparse
import os
import re
import shutil
import sys
import tempfile
import time

from measure import HERE, ROOT, Failed, Hand, Model, Run, Sample, compilers, in_turn
from rows import MODELS, ROWS

# Promised to --quick, on any machine and however busy.
SHARE = 1 / 3                  # of the hand-written leapfrog
LATENCY = 0.6                  # CPU time from source to the first trajectory, in that of a C compiler for the kernel by hand

DASH = "–"


class Bench:
    """What all rows share."""

    def __init__(self, lqft, folder, repeats, python):
        self.lqft, self.folder, self.repeats, self.python = lqft, folder, repeats, python
        self.cache = os.path.join(folder, "cache")
        self.limits, self.seen = {}, {}

    def limit(self, precision="double"):
        """Medians: FMA peak, copies of 16 and 256 KiB, of 128 MiB, bypassing, in place."""
        if precision not in self.limits:
            hand = Hand(self.folder, "limits", "-DSINGLE" if precision == "single" else "")
            self.limits[precision] = [Sample(list(c)).median for c in zip(*hand.all(5))]
        return self.limits[precision]

    def model(self, row, name=None, precision="double"):
        name = name or row["model"]
        settings = "" if precision == "double" else "precision = single"
        sites = 1
        for extent in row["shape"].split(","):
            sites *= int(extent)
        file = "%s-%s-%s" % (name, row["shape"].replace(", ", "x"), precision)
        return Model(self.lqft, self.folder, file, MODELS[name] % {"shape": row["shape"], "settings": settings}, sites)

    def hand(self, row):
        """The fastest of those that there are."""
        programs = [Hand(self.folder, *h) for h in row["hand"]]
        if len(programs) > 1:
            programs.sort(key=lambda p: -max(p.rate() for _ in range(2)))
        return programs[0]

    def flops(self, model, chains):
        """Per site and step, as the compiler counts those of the busiest kernel of the integrator."""
        counts = [float(x) for x in re.findall(r"([\d.]+) flops/site", self.loops(model, chains))]
        return max(counts) if counts else 0

    @staticmethod
    def loops(model, chains):
        """What `lqft show … kernels` prints of the loop of the integrator."""
        text = model.show("kernels", chains=chains).split("\nprogram step", 1)[-1].split("\nprogram", 1)[0]
        return text.split("loop", 1)[-1].split("\n    }\n", 1)[0]


# ---- a kind of row: the lines it gives -------------------------------------------------------------

def line(what, by_hand=None, made=None, ratio=None, least=None, note="", most=None, judged=None):
    """Numbers are Gsite-updates/s unless they are texts; ratio is a Sample or a number, and is
    what is promised to be at least or at most so much, unless something else is judged."""
    return {"what": what, "hand": by_hand, "made": made, "ratio": ratio, "least": least, "most": most, "note": note, "judged": judged}


def of_peak(bench, model, rate, chains, precision="double"):
    flops = bench.flops(model, chains)
    return "%.0f %% of the FMA peak (%.3g flops a site)" % (100 * rate * flops / bench.limit(precision)[0], flops) if flops else ""


def limits(bench, row):
    lines = []
    for precision in ("double", "single"):
        fma, near, far, plain, bypass, in_place = bench.limit(precision)
        lines.append(line("fused multiply-add, %s" % precision, "%.0f GF/s" % fma))
        if precision == "double":
            lines.append(line("copy within 32 KiB, 512 KiB", "%.0f, %.0f GB/s" % (near, far)))
            lines.append(line("copy within 256 MiB", "%.1f GB/s" % bypass, note="with ordinary stores %.1f; in place %.1f GB/s" % (plain, in_place)))
    return lines


def leapfrog(bench, row):
    hand, model, chains = bench.hand(row), bench.model(row), row["chains"]
    (by_hand, made), (_, ratio) = in_turn([hand.rate, lambda: model.leapfrog(chains)], bench.repeats)
    bench.seen[row["name"]] = made.median
    lines = [line(row["what"], by_hand, made, ratio, row["least"], of_peak(bench, model, made.median, chains))]
    if "peak" in row:
        share = made.median * bench.flops(model, chains) / bench.limit()[0]
        lines.append(line("  of the FMA peak", None, None, share, row["peak"]))
    return lines


def evenness(bench, row):
    """The slowest of some rows against the fastest."""
    for name in row["of"]:
        if name not in bench.seen:
            leapfrog(bench, next(r for r in ROWS if r.get("name") == name))
    rates = [bench.seen[name] for name in row["of"]]
    return [line(row["what"], None, min(rates), min(rates) / max(rates), row["least"])]


def memory(bench, row):
    """Lattices much larger than the caches: 32 bytes a site and sweep at least."""
    bypass = max(bench.limit()[3:5])
    bound = bypass / 32
    lines = leapfrog(bench, row)
    once = Hand(bench.folder, *row["hand"][0])
    rate = Sample([once.rate() for _ in range(bench.repeats)])
    made = lines[0]["made"]
    lines[0]["note"] = "by hand without waves %.2f" % rate.median
    lines.append(line("  single sweeps at the bandwidth of a copy, 32 B a site", bound, made, made.median / bound, row["bound"]))
    return lines


def hmc(bench, row):
    hand, model, chains = bench.hand(row), bench.model(row, precision=row["precision"]), row["chains"]
    (by_hand, made), (_, ratio) = in_turn([hand.rate, lambda: trajectories(model, chains)], bench.repeats)
    return [line(row["what"], by_hand, made, ratio, row["least"])]


def trajectories(model, chains):
    model.settings["eps"] = 0.1
    return model.hmc(chains)


def framework(bench, row):
    command = [bench.python, os.path.join(HERE, "frameworks.py"), row["how"], row["precision"], str(row["chains"])]

    def theirs():
        return Sample([x[0] for x in Run(command + ["3"], cores={os.cpu_count() - 1}).numbers()]).median
    try:
        theirs()
    except Failed:
        return [line(row["what"])]
    model = bench.model(row, precision=row["precision"])
    (other, made), (_, ratio) = in_turn([theirs, lambda: trajectories(model, row["chains"])], bench.repeats)
    return [line(row["what"], "%.3f" % other.median, made, ratio, row["least"])]


def share(bench, row):
    """The fractions of the peak that two actions reach."""
    models, chains = [bench.model(row, name) for name in (row["other"], row["model"])], row["chains"]
    flops = [bench.flops(m, chains) for m in models]
    (_, made), (_, ratio) = in_turn([lambda m=m, f=f: f * m.leapfrog(chains) for m, f in zip(models, flops)], bench.repeats)
    rate = Sample([v / flops[1] for v in made.values])
    return [line(row["what"], None, rate, ratio, row["least"], of_peak(bench, models[1], rate.median, chains))]


def sines(bench, row):
    """Beside a program by hand, and beside its sines alone, two a site."""
    hand, alone, model, chains = bench.hand(row), Hand(bench.folder, *row["alone"]), bench.model(row), row["chains"]
    (by_hand, only, made), (_, _, ratio) = in_turn([hand.rate, alone.rate, lambda: model.leapfrog(chains)], bench.repeats)
    return [line(row["what"], by_hand, made, ratio),
            line("  beside two sines a site alone", only, made, Sample([m / o for m, o in zip(made.taken, only.taken)]), row["least"])]


def metropolis(bench, row):
    hand, model, chains = bench.hand(row), bench.model(row), row["chains"]
    (by_hand, made), (_, ratio) = in_turn([hand.rate, lambda: model.hmc(chains, steps=1)], bench.repeats)
    return [line(row["what"], by_hand, made, ratio, row["least"])]


def single(bench, row):
    models, chains = [bench.model(row, precision=p) for p in ("double", "single")], row["chains"]
    (_, made), (_, ratio) = in_turn([lambda m=m: m.leapfrog(chains) for m in models], bench.repeats)
    return [line(row["what"], None, made, ratio, row["least"])]


def threads(bench, row):
    models, chains = [bench.model(row), bench.model(row)], row["chains"]
    (_, made), (_, ratio) = in_turn([lambda m=m, t=t: m.leapfrog(chains, 0.5 * t, "sampling", t) for t, m in zip((1, 2), models)], bench.repeats)
    return [line(row["what"], None, made, ratio, row["least"], "needs two idle cores")]


def first_trajectory(bench, cached):
    """From the start of the program to its end, with one step of warm-up and one draw."""
    env = {**os.environ, "LQFT_CACHE": bench.cache}
    shutil.copy("examples/phi4.lqft", bench.folder)              # its figures go beside it
    command = [bench.lqft, "run", os.path.join(bench.folder, "phi4.lqft"), "chains=8", "warmup=1", "draws=1", "--json", "--quiet", "--seed", "1"]
    if cached:
        Run(command, env=env)
    else:
        Run(["rm", "-rf", bench.cache])
    return Run(command, env=env)


def compile_by_hand(bench):
    return Run([compilers()[0], "-std=gnu17", "-O3", "-march=native", "-c", os.path.join(HERE, "chains2d.c"), "-o", os.path.join(bench.folder, "by-hand.o")]).cpu


def latency(bench, row):
    runs = [first_trajectory(bench, row["cached"]) for _ in range(2 * bench.repeats)]
    wall, cpu = Sample([1e3 * r.wall for r in runs]), Sample([1e3 * r.cpu for r in runs])
    return [line(row["what"], None, "%.0f ms" % wall.median, None, None, "the fastest of %d runs %.0f ms; CPU time %.0f ms; %.0f MB" % (wall.n, wall.values[0], cpu.median, runs[0].megabytes),
                 row["most"], wall.median)]


def space(bench, row):
    """Live are, of a step that is followed until the end: the fields before and after, and
    the momenta.  The compiler is what a small lattice takes."""
    small, model = bench.model({**row, "shape": "16, 16"}), bench.model(row)
    compiler, whole = small.run(chains=1).megabytes, model.run(chains=1).megabytes
    live = 3 * 8 * model.sites / 2**20
    return [line(row["what"], "%.0f MB" % live, "%.0f MB" % whole, (whole - compiler) / live, None,
                 "live: fields before and after, momenta; besides %.0f MB of compiler" % compiler, row["most"])]


KINDS = {f.__name__: f for f in (limits, leapfrog, evenness, memory, hmc, framework, share, sines, metropolis, single, threads, latency, space)}


# ---- the table ------------------------------------------------------------------------------------

def text_of(x):
    return "" if x is None else x if isinstance(x, str) else "%.2f" % (x.median if isinstance(x, Sample) else x)


def ratio_text(l):
    ratio = l["ratio"]
    if ratio is None:
        return DASH if l["hand"] is None and l["made"] is None else ""
    value = ratio.median if isinstance(ratio, Sample) else ratio
    text = "%.0f" % value if value >= 20 else "%.2f" % value
    return text + (" ±%.0f %%" % (100 * ratio.spread()) if isinstance(ratio, Sample) else "")


def promise_text(l):
    """What is promised of the ratio, or of the figure that is judged in its place."""
    judged = l["judged"] if l["judged"] is not None else l["ratio"]
    value = judged.median if isinstance(judged, Sample) else judged
    if l["least"]:
        return "≥ %.3g" % l["least"] + (" missed" if value is not None and value < l["least"] else "")
    if l["most"]:
        return "≤ %g" % l["most"] + (" missed" if value is not None and value > l["most"] else "")
    return ""


def cells(l):
    """The texts of a line: what, by hand, generated, ratio, promised, note."""
    return [l["what"], text_of(l["hand"]), text_of(l["made"]), ratio_text(l), promise_text(l), l["note"]]


TITLES = ["", "by hand, or theirs", "generated", "ratio", "promised", ""]
WIDTHS = [68, 18, 10, 12, 14, 0]


def shown(texts, markdown):
    if markdown:
        return "| " + " | ".join(t.strip() for t in texts) + " |"
    return "  ".join(t.ljust(w) for t, w in zip(texts, WIDTHS)).rstrip()


def shown_heading(text, markdown):
    return shown(["**%s**" % text if markdown else "-- " + text, "", "", "", "", ""], markdown)


def machine(bench):
    with open("/proc/cpuinfo") as f:
        known = dict(re.findall(r"(.*?)\s*: (.*)", f.read()))
    parts = ["%s, family %s, model %s%s" % (known.get("model name", "unknown processor"), known.get("cpu family"), known.get("model"),
                                            ", AVX-512" if "avx512f" in known.get("flags", "") else ""), "%d cores" % os.cpu_count()]
    parts += [Run([c, "--version"]).text.splitlines()[0] for c in compilers()]
    parts += [" ".join(Run([bench.lqft, "--version"]).text.split())]
    try:
        parts += [Run([bench.python, os.path.join(HERE, "frameworks.py"), "--versions"]).text.strip() or "no framework"]
    except Failed:
        pass
    return "; ".join(parts)


def chosen(names):
    """The rows asked for, each with the heading above it."""
    above = None
    for row in ROWS:
        if "heading" in row:
            above = row
        elif not names or any(row["name"].startswith(n) for n in names):
            if above:
                yield above
                above = None
            yield row


def table(bench, names, markdown):
    """The table, a text a line, as it comes to be known."""
    yield "Gsite-updates/s, medians of %d interleaved runs. %s" % (bench.repeats, machine(bench))
    yield ""
    yield shown(TITLES, markdown)
    if markdown:
        yield shown(["---"] * len(TITLES), markdown)
    for row in chosen(names):
        if "heading" in row:
            yield shown_heading(row["heading"], markdown)
            continue
        try:
            lines = KINDS[row["kind"]](bench, row)
        except Failed as failure:
            lines = [line(row["what"], least=row.get("least"), most=row.get("most"))]
            print("%s: %s" % (row["name"], next((t for t in str(failure).splitlines() if "error" in t), failure)), file=sys.stderr)
        for l in lines:
            yield shown(cells(l), markdown)


def print_table(bench, names, markdown):
    lines = []
    for text in table(bench, names, markdown):
        print(text, flush=True)
        lines.append(text)
    return lines


def into_readme(lines):
    """Replaces what stands between the two marks."""
    path, begin, end = os.path.join(ROOT, "README.md"), "<!-- printed by tests/bench/run.py -->\n", "<!-- end -->\n"
    with open(path) as f:
        text = f.read()
    before, rest = text.split(begin)
    with open(path, "w") as f:
        f.write(before + begin + "\n".join(lines) + "\n" + end + rest.split(end, 1)[1])


# ---- the promises that hold anywhere ---------------------------------------------------------------

def insist(what, attempt, tries=4):
    """A busy machine may spoil a measurement, but not all of them."""
    for left in reversed(range(tries)):
        if attempt():
            return 0
        if left:
            time.sleep(1)
    print("FAILED: " + what)
    return 1


def quick(bench):
    row = next(r for r in ROWS if r.get("name") == "chains-8")
    hand, model = bench.hand(row), bench.model(row)

    def fast():
        (by_hand, made), (_, ratio) = in_turn([hand.rate, lambda: model.leapfrog(8)], 5)
        print(shown(cells(line("leapfrog, 8 chains", by_hand, made, ratio, SHARE)), False))
        return ratio.median >= SHARE

    def prompt():
        (by_hand, cpu), (_, ratio) = in_turn([lambda: compile_by_hand(bench), lambda: first_trajectory(bench, False).cpu], 7)
        print(shown(cells(line("first trajectory, CPU time", "%.0f ms" % (1e3 * by_hand.median), "%.0f ms" % (1e3 * cpu.median), ratio)), False))
        return ratio.median <= LATENCY

    return insist("the generated leapfrog reaches %.2f of the hand-written one" % SHARE, fast) + \
        insist("a first trajectory within %.1f of the CPU time in which %s compiles the kernel by hand" % (LATENCY, compilers()[0]), prompt)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("rows", nargs="*", metavar="ROW")
    p.add_argument("--lqft", default=os.path.join(ROOT, "build", "lqft"))
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--markdown", action="store_true")
    p.add_argument("--readme", action="store_true")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--list", action="store_true")
    a = p.parse_args()
    if a.list:
        return print("\n".join("%-24s %s" % (r["name"], r["what"]) for r in ROWS if "name" in r))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(os.path.abspath(a.lqft), folder, a.repeats, a.python)
        os.environ["LQFT_CACHE"] = os.path.join(folder, "mine")         # the user's is left alone
        if a.quick:
            return quick(bench)
        lines = print_table(bench, a.rows, a.markdown or a.readme)
        if a.readme:
            into_readme(lines)
        return 0


if __name__ == "__main__":
    sys.exit(main())
