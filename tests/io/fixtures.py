#!/usr/bin/env python3
"""Makes the files of tests/io/data with the programs that others write such files with:
NumPy, h5py and safetensors.  They are kept in the repository, for the tests need none of
these packages; run this by hand to make them anew.

    python3 tests/io/fixtures.py [FOLDER]
"""
import pathlib
import struct
import sys

import h5py
import numpy as np
from safetensors.numpy import save_file

here = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "data")
here.mkdir(exist_ok=True)

# The same arrays in every format: element k of each is a known function of k.
a = np.arange(24, dtype=np.float64).reshape(2, 3, 4) / 7
f = np.asfortranarray(a)
i = np.array([-(2**53), -1, 0, 2**53], dtype=np.int64)
too_large = np.array([1, 2**53 + 1], dtype=np.int64)
u = np.array([0, 255, 7], dtype=np.uint8)
half = np.array([1.0, -0.5, 2.0**-24, np.inf], dtype=np.float16)
single = np.linspace(0, 1, 5, dtype=np.float32)
z = (np.arange(4) + 1j * np.arange(4)[::-1]).astype(np.complex128)
big = a.astype(">f8")
flag = np.array([True, False, True])
one = np.array(2.5)
empty = np.zeros((0, 3))
text = np.array(["no", "numbers"])
arrays = dict(a=a, f=f, i=i, too_large=too_large, u=u, half=half, single=single, z=z, big=big,
              flag=flag, one=one, empty=empty)

np.savez(here / "numpy.npz", text=text, **arrays)
np.savez_compressed(here / "packed.npz", zeros=np.zeros(10000), **arrays)
np.save(here / "numpy.npy", f)

weights = {k: v for k, v in arrays.items() if k not in ("z", "big", "f")}
save_file(weights, here / "weights.safetensors", metadata={"made by": "safetensors"})

with h5py.File(here / "h5py.h5", "w") as h:
    for k, v in arrays.items():
        h[k] = v
    g = h.create_group("group/inner")
    g["a"] = a
    h.create_dataset("packed", data=np.tile(a, (10, 1, 1)), chunks=(4, 3, 4), compression="gzip", shuffle=True, fletcher32=True)
    h["text"] = "no numbers"
    h["soft"] = h5py.SoftLink("/a")
    h["outside"] = h5py.ExternalLink("other.h5", "/a")
    h["records"] = np.zeros(2, dtype=[("x", "f8"), ("y", "f8")])
    h.create_dataset("external", shape=(4,), dtype="f8", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])
    h.create_dataset("lzf", data=a, compression="lzf")
    layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(4,))
    h.create_virtual_dataset("virtual", layout)
    h.create_dataset("huge", shape=(2**40, 2**10), dtype="f8", chunks=(1024, 1024))

with h5py.File(here / "loop.h5", "w") as h:
    h["loop/again"] = 1.5
    h["loop/self"] = h["loop"]  # a group within itself

with h5py.File(here / "latest.h5", "w", libver=("v108", "v110")) as h:
    for k, v in arrays.items():
        h[k] = v
    for k in range(20):  # so many names are kept in another way
        h[f"many/{k}"] = np.full(3, k, dtype=np.float64)

# A ZIP bomb: 4 GiB of zeros declared and packed in 4 MB would be too large for the
# repository; here the declared size alone is that of a bomb.
import zlib
packed = zlib.compressobj(9, zlib.DEFLATED, -15)
head = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }".ljust(117) + b"\n"
body = packed.compress(head + bytes(100000)) + packed.flush()
size = len(head) + 8 * 2**40
name = b"x.npy"
extra = struct.pack("<HHQQ", 1, 16, size, len(body))
local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 8, 0, 0, 0, 2**32 - 1, 2**32 - 1, len(name), len(extra)) + name + extra
central = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, 8, 0, 0, 0, 2**32 - 1, 2**32 - 1, len(name), len(extra), 0, 0, 0, 0, 0) + name + extra
end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(central), len(local) + len(body), 0)
(here / "bomb.npz").write_bytes(local + body + central + end)
