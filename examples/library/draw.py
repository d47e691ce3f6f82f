"""draw.py — a model as a library, from Python with NumPy.

    lqft build examples/phi4.lqft --shared -o libphi4.so
    python3 examples/library/draw.py ./libphi4.so

The same numbers as `lqft run` with the same seed: the configurations are arrays [chain, x, y].
"""
import ctypes
import sys

import numpy as np


class Sampler:
    """The first sample of a model that was built with `lqft build --shared`."""

    def __init__(self, path, seed=1, **settings):
        self.lib = ctypes.CDLL(path)
        doubles = ctypes.POINTER(ctypes.c_double)
        for name, result, arguments in [
                ("open", ctypes.c_void_p, [ctypes.c_uint32]), ("close", None, [ctypes.c_void_p]),
                ("error", ctypes.c_char_p, [ctypes.c_void_p]),
                ("set", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_double]),
                ("setting", ctypes.c_double, [ctypes.c_void_p, ctypes.c_char_p]),
                ("shape", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_int64)]),
                ("size", ctypes.c_int64, [ctypes.c_void_p, ctypes.c_char_p]),
                ("draw", ctypes.c_int, [ctypes.c_void_p]), ("get", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, doubles]),
                ("action", ctypes.c_int, [ctypes.c_void_p, ctypes.POINTER(doubles), doubles]),
                ("gradient", ctypes.c_int, [ctypes.c_void_p, ctypes.POINTER(doubles), ctypes.POINTER(doubles)])]:
            f = getattr(self.lib, "lqft_" + name)
            f.restype, f.argtypes = result, arguments
            setattr(self, "_" + name, f)
        self.doubles = doubles
        self.handle = self._open(seed)
        if not self.handle:
            raise RuntimeError(self._error(None).decode())
        for name, value in settings.items():
            self._checked(self._set(self.handle, name.encode(), value))

    def _checked(self, status):
        if status < 0:
            raise RuntimeError(self._error(self.handle).decode())
        return status

    def _pointer(self, array):
        return array.ctypes.data_as(self.doubles)

    def shape(self, field):
        dims = (ctypes.c_int64 * 16)()
        return tuple(dims[:self._checked(self._shape(self.handle, field.encode(), dims))])

    def draws(self, field):
        """The configurations, one array [chain, …] after the other."""
        chains = int(self._setting(self.handle, b"chains"))
        while self._checked(self._draw(self.handle)):
            out = np.empty((chains,) + self.shape(field))
            self._checked(self._get(self.handle, field.encode(), self._pointer(out)))
            yield out

    def gradient(self, phi):
        phi, out = np.ascontiguousarray(phi, dtype=float), np.empty(np.shape(phi))
        ins, outs = (self.doubles * 1)(self._pointer(phi)), (self.doubles * 1)(self._pointer(out))
        self._checked(self._gradient(self.handle, ins, outs))
        return out

    def close(self):
        self._close(self.handle)


if __name__ == "__main__":
    s = Sampler(sys.argv[1] if len(sys.argv) > 1 else "./libphi4.so", seed=7, kappa=0.2, chains=16, draws=200)
    phi2 = [np.mean(phi**2) for phi in s.draws("phi")]
    print(f"<phi^2> = {np.mean(phi2):.4f} from {len(phi2)} draws of 16 chains")
    phi = np.ones(s.shape("phi"))
    kappa, lam = 0.2, 0.022
    print("the gradient at phi = 1 is off by", np.max(np.abs(s.gradient(phi) - (-2 * kappa * 4 + 2 * (1 - 2 * lam) + 4 * lam))))
    s.close()
