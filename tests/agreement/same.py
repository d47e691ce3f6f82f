#!/usr/bin/env python3
"""same.py: what must not change a run's numbers, through the binary.

    same.py LQFT [--many N] [--seed S]

On some examples and on N generated programs (gen.py), with small settings:
  threads    1, 2 and 4 threads print the same JSON, apart from times and files written
  one        one chain of a lattice that is large enough for its threads to share kernels: the
             same JSON with 1, 2 and 3 threads, an odd extent among them
  chains     chain c is the same, byte for byte, in runs of 1, 3, 8, 11 and 16 chains
             (1 to 8 lanes in a block, 16 in single precision; full and partly filled blocks)
  devices    the interpreter, code without optimisation and optimised code print the
             same JSON
  seeds      the same seed gives the same run, another seed another
  draws      a longer run begins with the shorter one
The examples once more in single precision."""
import argparse
import array
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
EXAMPLES = {                       # settings that make them small
    "phi4.lqft": ["L=6"],
    "xy.lqft": ["L=4"],
    "oscillator.lqft": ["N=12", "T=6"],
    "my_sampler.lqft": ["L=4"],
    "complex_langevin.lqft": [],
    "tempering.lqft": ["L=4"],
    "langevin.lqft": ["L=4"],
}
COUNTS = (1, 3, 8, 11, 16)
SINGLE = ("phi4.lqft", "xy.lqft", "tempering.lqft", "langevin.lqft")
MACHINE = {"seconds", "warmup_seconds", "compile_seconds", "timing", "files"}


LARGE = ("L=256", "L=257", "L=300")   # of phi4.lqft


class Failed(Exception):
    pass


def run(lqft, path, *args, timeout=120):
    if "--out" in args:                                # of the run before
        shutil.rmtree(args[args.index("--out") + 1], ignore_errors=True)
    p = subprocess.run([lqft, "run", path, "--quiet", *args], capture_output=True, timeout=timeout)
    if p.returncode < 0 or p.returncode not in (0, 70):
        raise Failed(f"exit status {p.returncode}: {p.stderr.decode(errors='replace')[-300:]}")
    return p


def numbers(value):
    """JSON without what measures the machine."""
    if isinstance(value, dict):
        return {k: numbers(v) for k, v in value.items() if k not in MACHINE}
    if isinstance(value, list):
        return [numbers(v) for v in value]
    return value


def report(lqft, path, settings, *args):
    """The numbers of a run, or None when it met one that is not finite."""
    p = run(lqft, path, "--json", *settings, *args)
    return None if p.returncode == 70 else json.dumps(numbers(json.loads(p.stdout)), sort_keys=True)


def read_npy(path):
    with open(path, "rb") as f:
        data = f.read()
    if data[:6] != b"\x93NUMPY":
        raise Failed(f"{path} is not an npy file")
    size = int.from_bytes(data[8:10], "little") + 10
    header = data[10:size].decode()
    shape = [int(n) for n in re.search(r"'shape': \(([^)]*)\)", header).group(1).split(",") if n.strip()]
    return shape, data[size:]


def series(lqft, path, text, settings, folder, chains, draws, *args):
    """Bytes of each chain of what the added `save` writes."""
    out = os.path.join(folder, f"c{chains}d{draws}{''.join(args)}".replace("-", "").replace("=", ""))
    p = run(lqft, path, *settings, "--chains", str(chains), f"draws={draws}", "--out", out, "--seed", "5", *args)
    if p.returncode == 70:
        return None
    found = [os.path.join(d, n) for d, _, names in os.walk(out) for n in names if n.endswith("m.npy")]
    if len(found) != 1:
        raise Failed(f"expected one m.npy, found {found}: {p.stderr.decode(errors='replace')[-300:]}")
    shape, data = read_npy(found[0])
    if len(data) % chains or shape[0] != chains:
        raise Failed(f"m.npy has the shape {shape} for {chains} chains")
    n = len(data) // chains
    return [data[i * n:(i + 1) * n] for i in range(chains)]


def check(lqft, path, settings, observable, folder):
    done = []
    base = [*settings, "warmup=3", "--out", os.path.join(folder, "run")]
    few = [*base, "draws=6"]
    first = report(lqft, path, few, "--seed", "5", "--chains", "11", "--threads", "1")
    for threads in ("2", "4"):
        if report(lqft, path, few, "--seed", "5", "--chains", "11", "--threads", threads) != first:
            raise Failed(f"{threads} threads differ from 1")
    done.append("threads")
    if report(lqft, path, few, "--seed", "5", "--chains", "11", "--threads", "1") != first:
        raise Failed("the same seed twice differs")
    for device in ("interp", "cpu-O0"):
        if report(lqft, path, few, "--seed", "5", "--chains", "11", "--device", device) != first:
            raise Failed(f"--device {device} differs from cpu")
    done.append("devices")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    text = re.sub(r"(?m)^(plot|save) .*$", "", text)
    saved = os.path.join(folder, "saved.lqft")
    with open(saved, "w", encoding="utf-8") as f:
        f.write(text + f"\nsave {observable} to \"m.npy\"\n")
    runs = {c: series(lqft, saved, text, [*settings, "warmup=3"], folder, c, 6) for c in COUNTS}
    most = runs[COUNTS[-1]]
    if most:
        for c in COUNTS:
            if runs[c] is None:
                raise Failed(f"not finite with {c} chains alone")
            for i in range(c):
                if runs[c][i] != most[i]:
                    raise Failed(f"chain {i} of {c} chains differs from chain {i} of {COUNTS[-1]}")
        done.append("chains")
        longer = series(lqft, saved, text, [*settings, "warmup=3"], folder, 3, 9)
        if longer is None or any(not l.startswith(s) for l, s in zip(longer, runs[3])):
            raise Failed("a longer run does not begin with the shorter one")
        done.append("draws")
        values = array.array("d", b"".join(most))
        random = len(set(values)) > 2 and len(set(most)) == len(most)
        if random:                                     # there is something random in it
            other = run(lqft, saved, *settings, "warmup=3", "--chains", "16", "draws=6", "--seed", "6", "--out", os.path.join(folder, "other"))
            if other.returncode == 0:
                names = [os.path.join(d, n) for d, _, ns in os.walk(os.path.join(folder, "other")) for n in ns if n.endswith("m.npy")]
                if read_npy(names[0])[1] == b"".join(most):
                    raise Failed("another seed gives the same run")
                done.append("seeds")
    return done


def check_one(lqft, path, settings, folder):
    args = [*settings, "warmup=1", "draws=3", "length=1", "steps=6", "--out", os.path.join(folder, "run")]
    prints = {t: report(lqft, path, args, "--seed", "5", "--chains", "1", "--threads", str(t)) for t in (1, 2, 3)}
    if prints[1] is None or len(set(prints.values())) != 1:
        raise Failed("threads that share one lattice change its numbers")
    return ["one"]


def one(job):
    lqft, path, settings, observable = job
    with tempfile.TemporaryDirectory() as folder:
        try:
            if observable is None:
                return path, check_one(lqft, path, settings, folder), None
            return path, check(lqft, path, settings, observable, folder), None
        except (Failed, subprocess.TimeoutExpired, ValueError) as e:
            return path, [], str(e)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("lqft", nargs="?", default=os.path.join(ROOT, "build", "lqft"))
    a.add_argument("--many", type=int, default=12)
    a.add_argument("--seed", default="same")
    a.add_argument("--jobs", type=int, default=2)
    o = a.parse_args()
    jobs = [(o.lqft, os.path.join(ROOT, "examples", n), s, {"xy.lqft": "vortex_density", "oscillator.lqft": "x", "complex_langevin.lqft": "abs(z)", "langevin.lqft": "phi2"}.get(n, "M")) for n, s in EXAMPLES.items()]
    jobs += [(lqft, path, [*s, "precision=single"], what) for lqft, path, s, what in jobs if os.path.basename(path) in SINGLE]
    jobs += [(o.lqft, os.path.join(ROOT, "examples", "phi4.lqft"), [size], None) for size in LARGE]
    with tempfile.TemporaryDirectory() as programs:
        if o.many:
            subprocess.run([sys.executable, os.path.join(HERE, "gen.py"), "--seed", o.seed, "--count", str(o.many), "--out", programs], check=True)
        for name in sorted(os.listdir(programs)):
            path = os.path.join(programs, name)
            ok = subprocess.run([o.lqft, "check", path], capture_output=True)
            if ok.returncode not in (0, 3) and b"error[" in ok.stderr:
                continue                               # rejected: agree.c counts those
            jobs.append((o.lqft, path, [], "(S)"))
        failures, counts = 0, {}
        with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
            for path, done, why in pool.map(one, jobs):
                for d in done:
                    counts[d] = counts.get(d, 0) + 1
                if why:
                    failures += 1
                    print(f"FAILED  {path}: {why}")
                    if path.startswith(programs):
                        keep = os.path.join(tempfile.gettempdir(), "lqft-same-" + os.path.basename(path))
                        with open(path, encoding="utf-8") as f, open(keep, "w", encoding="utf-8") as g:
                            g.write(f.read())
                        print(f"        kept as {keep}")
    print(f"{len(jobs)} programs, {failures} failures; checked: " + ", ".join(f"{k} {n}" for k, n in sorted(counts.items())))
    return 1 if failures or not jobs else 0


if __name__ == "__main__":
    sys.exit(main())
