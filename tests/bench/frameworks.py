#!/usr/bin/env python3
"""frameworks.py: hybrid Monte Carlo of two-dimensional phi^4 as one writes it for a tensor
framework, to compare the generated code with.

    frameworks.py HOW single|double CHAINS REPEATS      Gsite-updates/s of CPU time, a number a repeat
    frameworks.py --versions                            what is installed

HOW is torch-autograd, torch-force, jax or numpy.  L = 32, ten leapfrog steps, momenta, both
energies and the accept step, one thread.  Whatever is not installed ends with status 9."""

import os
import sys
import time

L, STEPS, EPS = 32, 10, 0.1
KAPPA, LAMBDA = 0.21, 0.022
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ.setdefault("JAX_PLATFORMS", "cpu")


def action(phi, roll):
    near, square = roll(phi, 1, 1) + roll(phi, 1, 2), phi*phi
    return (-2*KAPPA*phi*near + (1 - 2*LAMBDA)*square + LAMBDA*square*square).sum((1, 2))


def slope(phi, roll):
    near = roll(phi, 1, 1) + roll(phi, -1, 1) + roll(phi, 1, 2) + roll(phi, -1, 2)
    return -2*KAPPA*near + 2*(1 - 2*LAMBDA)*phi + 4*LAMBDA*phi*phi*phi


def leapfrog(phi, p, gradient):
    p = p - EPS/2*gradient(phi)
    for _ in range(STEPS - 1):
        phi = phi + EPS*p
        p = p - EPS*gradient(phi)
    phi = phi + EPS*p
    return phi, p - EPS/2*gradient(phi)


def torch_step(precision, chains, autograd):
    import torch
    torch.set_num_threads(1)
    real = torch.float32 if precision == "single" else torch.float64

    def derived(phi):
        x = phi.detach().requires_grad_(True)
        return torch.autograd.grad(action(x, torch.roll).sum(), x)[0]

    def step(phi):
        p = torch.randn_like(phi)
        before = action(phi, torch.roll) + 0.5*(p*p).sum((1, 2))
        new, p = leapfrog(phi, p, derived if autograd else lambda q: slope(q, torch.roll))
        after = action(new, torch.roll) + 0.5*(p*p).sum((1, 2))
        accepted = torch.rand(chains, dtype=real) < torch.exp(before - after)
        return torch.where(accepted[:, None, None], new, phi)

    return step, 0.1*torch.randn(chains, L, L, dtype=real), lambda phi: phi


def numpy_step(precision, chains):
    import numpy as np
    real, rng = np.dtype("f4" if precision == "single" else "f8"), np.random.default_rng(1)

    def step(phi):
        p = rng.standard_normal(phi.shape, dtype=real)
        before = action(phi, np.roll) + 0.5*(p*p).sum((1, 2))
        new, p = leapfrog(phi, p, lambda q: slope(q, np.roll))
        after = action(new, np.roll) + 0.5*(p*p).sum((1, 2))
        return np.where((rng.random(chains) < np.exp(before - after))[:, None, None], new, phi)

    return step, (0.1*rng.standard_normal((chains, L, L))).astype(real), lambda phi: phi


def jax_step(precision, chains):
    import jax
    import jax.numpy as jnp
    jax.config.update("jax_enable_x64", precision == "double")
    real = jnp.float32 if precision == "single" else jnp.float64
    derived = jax.grad(lambda phi: action(phi, jnp.roll).sum())

    @jax.jit
    def step(state):
        key, phi = state
        key, one, two = jax.random.split(key, 3)
        p = jax.random.normal(one, phi.shape, real)
        before = action(phi, jnp.roll) + 0.5*(p*p).sum((1, 2))
        new, p = leapfrog(phi, p, derived)
        after = action(new, jnp.roll) + 0.5*(p*p).sum((1, 2))
        accepted = jax.random.uniform(two, (chains,), real) < jnp.exp(before - after)
        return key, jnp.where(accepted[:, None, None], new, phi)

    key = jax.random.key(1)
    return step, (key, 0.1*jax.random.normal(key, (chains, L, L), real)), lambda state: state[1].block_until_ready()


def versions():
    found = []
    for module, name in (("torch", "PyTorch"), ("jax", "JAX"), ("numpy", "NumPy")):
        try:
            found.append("%s %s" % (name, __import__(module).__version__))
        except ImportError:
            pass
    return ", ".join(found)


def main():
    if sys.argv[1:] == ["--versions"]:
        return print(versions())
    how, precision, chains, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    make = {"torch-autograd": lambda: torch_step(precision, chains, True), "torch-force": lambda: torch_step(precision, chains, False),
            "jax": lambda: jax_step(precision, chains), "numpy": lambda: numpy_step(precision, chains)}[how]
    try:
        step, state, wait = make()
    except ImportError:
        sys.exit(9)
    for _ in range(3):
        state = step(state)
    wait(state)
    trajectories = max(2, 512//chains)
    for _ in range(repeats):
        begin = time.process_time()
        for _ in range(trajectories):
            state = step(state)
        wait(state)
        print("%.5f" % (1e-9*chains*L*L*STEPS*trajectories/(time.process_time() - begin)), flush=True)


if __name__ == "__main__":
    main()
