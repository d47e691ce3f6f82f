#!/usr/bin/env python3
"""What others find in a run directory: measurements.h5 by h5py, and by xarray, where they are
installed; what stands beside it by the standard library.

    tests/run/layout.py TEST_STORE
"""
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import tempfile

failures = 0


def check(ok, text):
    global failures
    failures += not ok
    print("ok  " if ok else "FAIL", text)


def value(group, column, chain, draw, element):
    return math.sin(1e3 * group + 1e2 * column + 1e1 * chain + draw + 1e-3 * element)


def check_h5py(path):
    import h5py
    with h5py.File(path, "r") as f:
        phi = f["phi"]
        check(phi["M"].shape == (3, 101) and phi["C"].shape == (3, 34, 5) and phi["z"].shape == (3, 101, 4, 2), "h5py: shapes")
        check(list(phi["draw_3"][:3]) == [0, 3, 6] and list(phi["t"]) == [0, 0.5, 1, 1.5, 2], "h5py: points of the axes")
        check([list(d.keys()) for d in phi["C"].dims] == [["chain"], ["draw_3"], ["t"]], "h5py: scales are attached")
        check(phi["M"].attrs["long_name"] == "mean of φ" and phi.attrs["description"] == "draws of φ", "h5py: texts")
        same = all(abs(f["tasks/second/C"][c, r, e] - value(1, 1, c, 3 * r, e)) < 1e-12 for c in range(3) for r in range(4) for e in range(5))
        check(same, "h5py: numbers")


def check_xarray(path):
    import xarray
    d = xarray.open_dataset(path, group="phi", engine="h5netcdf")
    check(d.M.dims == ("chain", "draw") and d.C.dims == ("chain", "draw_3", "t") and d.z.dims == ("chain", "draw", "k", "part"), "xarray: dimensions")
    check(abs(float(d.C.sel(chain=2, draw_3=33, t=1.5)) - value(0, 1, 2, 33, 3)) < 1e-12, "xarray: a number by its coordinates")


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a run")
        subprocess.run([sys.argv[1], "make", path], check=True)
        names = sorted(os.listdir(path))
        check(names == ["checkpoint", "lock", "log.jsonl", "measurements.h5", "run.json"], f"files: {' '.join(names)}")
        with open(os.path.join(path, "log.jsonl"), encoding="utf-8") as f:
            events = [json.loads(line) for line in f]
        check([e["event"] for e in events] == ["start", "a \"strange\"\n one"] and events[1]["draw"] == 10, "log: JSON, a line each")
        check(all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", e["time"]) for e in events), "log: times")
        with open(os.path.join(path, "measurements.h5"), "rb") as f:
            head = f.read(16)
        check(head[:8] == b"\x89HDF\r\n\x1a\n" and head[11] == 0, "measurements.h5 is closed")
        for name, test in (("h5py", check_h5py), ("xarray", check_xarray)):
            if importlib.util.find_spec(name) and (name != "xarray" or importlib.util.find_spec("h5netcdf")):
                test(os.path.join(path, "measurements.h5"))
            else:
                print(f"skipped: {name} is not installed")
    print(f"{failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
