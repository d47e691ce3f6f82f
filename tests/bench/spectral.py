#!/usr/bin/env python3
"""spectral.py [--lqft PATH] [--seeds N] [ROW …] — the spectral examples beside published reconstructions.

The mean squared error over the 500 ω of the papers' double peak, without noise and at ε = 1e-4, 100 momenta
(σ = ε D p/Δp): mean over N seeds, of which each draws another noise and other starting weights, with the
standard deviation of a single one; and χ² of the 100 data beside it. Without noise χ² is that of errors
of 1e-4 (of the 500 values: 1e-5), which weigh the data. Published, of one set of data each: Wang, Shi, Zhou, Phys. Rev. D 106, L051502;
no spread is given there. Prints one table; some minutes for five seeds.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# row: (what, file, report of the error, report of χ², published without noise, published at 1e-4)
ROWS = {
    "nn": ("NN, constant → ρ", "spectral_nn", "mse", "chi2_", 1.32e-3, 2.44e-3),
    "p2p": ("NN-P2P, ω → ρ(ω)", "spectral_nnp2p", "mse", "chi2_", 2.64e-3, 2.58e-3),
    "list": ("500 values", "spectral_list", "mse", "chi2_", None, None),
    "mem8": ("maximum entropy, rank 8", "spectral_bayes", "mse_bryan", "chi2_bryan", 4.03e-3, 4.57e-3),
    "mem": ("maximum entropy", "spectral_bayes", "mse_entropy", "chi2_entropy", 1.77e-3, 1.86e-2),
    "br": ("Burnier, Rothkopf", "spectral_bayes", "mse_rothkopf", "chi2_rothkopf", None, None),
}
NOISE_FREE = {"spectral_bayes": None}        # this example divides by its noise


def run(lqft, file, noise, seed, folder):
    command = [lqft, "run", os.path.join(ROOT, "examples", file + ".lqft"), f"noise={noise}", "--seed", str(seed), "--json", "--quiet", "--out", tempfile.mkdtemp(dir=folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return {name: r["value"] for name, r in json.loads(done.stdout)["report"].items()}


def cell(values):
    spread = statistics.stdev(values) if len(values) > 1 else 0
    return f"{1e3*statistics.mean(values):.2f} ± {1e3*spread:.2f}"


def main():
    a = argparse.ArgumentParser(description="mean squared errors of the spectral examples")
    a.add_argument("--lqft", default=os.path.join(ROOT, "build", "lqft"))
    a.add_argument("--seeds", type=int, default=5)
    a.add_argument("rows", nargs="*", default=list(ROWS), metavar="ROW")
    a = a.parse_args()
    print("| mean squared error, 10⁻³ | without noise | χ² | published | ε = 10⁻⁴ | χ² | published |\n|---|---|---|---|---|---|---|")
    known = {}
    with tempfile.TemporaryDirectory() as folder:
        for row in a.rows or ROWS:
            what, file, error, chi2, *published = ROWS[row]
            cells = [what]
            for noise, theirs in zip((0, 1e-4), published):
                if noise == 0 and file in NOISE_FREE:
                    cells += ["–", "–", f"{1e3*theirs:.2f}" if theirs else "–"]
                    continue
                for seed in range(1, a.seeds + 1):
                    if (file, noise, seed) not in known:
                        known[file, noise, seed] = run(a.lqft, file, noise, seed, folder)
                found = [known[file, noise, seed] for seed in range(1, a.seeds + 1)]
                cells += [cell([r[error] for r in found]), f"{statistics.mean(r[chi2] for r in found):.0f}", f"{1e3*theirs:.2f}" if theirs else "–"]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
