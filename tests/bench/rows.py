"""rows.py: what the table of run.py shows, as data: the models, and a row for each figure.

A row has a name, which is also how one asks for it, a kind, which says how it is measured
(run.py, KINDS), and what that kind needs:

    hand      programs written by hand for the same update, (file, definitions, arguments);
              where there are several, the fastest counts
    model     one of MODELS, and its parameters
    chains    how many chains the generated code runs
    least     what issue 3 promises of the ratio, and more where it promises more"""

HMC = """
sample phi ~ exp(-S(phi)) with hmc(length = eps*n, steps = n, integrator = leapfrog, jitter = 0, tune = false) {
  chains = 8
  warmup = 0
  draws  = 1
  %(settings)s
}
report m = E[mean[x in X] phi[x]]
"""

HEAD = """import samplers.hmc
param n   = 10
param eps = 1e-5
lattice X = torus(%(shape)s)
"""

PHI4 = HEAD + """
param kappa  = 0.21
param lambda = 0.022
field phi[X] : real
action S(phi) = sum[x in X] ( -2*kappa * sum[mu in X.dirs] phi[x]*phi[x + mu]
                              + (1 - 2*lambda) * phi[x]^2 + lambda * phi[x]^4 )
""" + HMC

# An action that nothing was ever tuned for.
PHI6 = HEAD + """
param kappa = 0.17
param mixed = 0.03
param g4    = 0.021
param g6    = 0.004
field phi[X] : real
action S(phi) = sum[x in X] ( -2*kappa * sum[mu in X.dirs] phi[x]*phi[x + mu]
                              - 2*mixed * sum[mu in X.dirs] phi[x]*phi[x + 2*mu]
                              + phi[x]^2 + g4 * phi[x]^4 + g6 * phi[x]^6 )
""" + HMC

XY = HEAD + """
field phi[X] : angle
action S(phi) = -1.0 * sum[x in X, mu in X.dirs] cos(phi[x + mu] - phi[x])
""" + HMC

LOCAL = """import samplers.metropolis
lattice X = torus(%(shape)s)
%(field)s
sample phi ~ exp(-S(phi)) with %(method)s {
  chains = 8
  warmup = 0
  draws  = 1
  %(settings)s
}
report m = E[mean[x in X] phi[x]]
"""

MODELS = {
    "phi4": PHI4, "phi6": PHI6, "xy": XY,
    "metropolis_phi4": LOCAL.replace("%(method)s", "metropolis()").replace("%(field)s", """field phi[X] : real
action S(phi) = sum[x in X] ( -0.42 * sum[mu in X.dirs] phi[x]*phi[x + mu] + 0.956*phi[x]^2 + 0.022*phi[x]^4 )"""),
    "metropolis_ising": LOCAL.replace("%(method)s", "flips()").replace("%(field)s", """field phi[X] : spin
action S(phi) = -0.4 * sum[x in X, mu in X.dirs] phi[x]*phi[x + mu]"""),
}

ROWS = []


def row(name, what, kind, **more):
    ROWS.append({"name": name, "what": what, "kind": kind, **more})


def heading(text):
    ROWS.append({"heading": text})


heading("the machine")
row("limits", "", "limits")

heading("leapfrog steps of φ⁴, many chains of 32²: force, momentum and field")
for chains in (8, 64, 512, 4096):
    row("chains-%d" % chains, "%d chains" % chains, "leapfrog", model="phi4", shape="32, 32", chains=chains, least=0.95, peak=0.60,
        hand=[("chains2d", "-DNV=1", "%d 200" % chains), ("chains2d", "-DNV=2", "%d 200" % max(chains, 16))])

row("chains-even", "the slowest of these, against the fastest", "evenness", of=["chains-%d" % n for n in (8, 64, 512, 4096)], least=0.8)

heading("the same, one lattice")
for side in (128, 256, 512, 1024, 2048):
    row("lattice-%d" % side, "%d²" % side, "leapfrog", model="phi4", shape="%d, %d" % (side, side), chains=1, least=0.95,
        hand=[("lattice2d", "-DL=%d" % side, "1"), ("lattice2d", "-DL=%d" % side, "8"), ("lattice2d", "-DL=%d" % side, "16")])
row("lattice-4096", "4096²", "memory", model="phi4", shape="4096, 4096", chains=1, least=0.95, bound=1.5,
    hand=[("lattice2d", "-DL=4096", "1"), ("lattice2d", "-DL=4096", "8"), ("lattice2d", "-DL=4096", "16")])

heading("the same in four dimensions")
row("4d-8", "8⁴, 8 chains", "leapfrog", model="phi4", shape="8, 8, 8, 8", chains=8, least=0.9,
    hand=[("lattice4d", "-DL=8 -DCHAINS", "1 20"), ("lattice4d", "-DL=8", "8 20")])
row("4d-8-one", "8⁴, one lattice", "leapfrog", model="phi4", shape="8, 8, 8, 8", chains=1, least=0.9, hand=[("lattice4d", "-DL=8", "1 20")])
row("4d-16", "16⁴, one lattice", "leapfrog", model="phi4", shape="16, 16, 16, 16", chains=1, least=0.9, hand=[("lattice4d", "-DL=16", "1 5")])
row("4d-32", "32⁴, one lattice", "leapfrog", model="phi4", shape="32, 32, 32, 32", chains=1, least=0.9, hand=[("lattice4d", "-DL=32", "1 2")])

heading("whole trajectories of φ⁴, 64 chains of 32², ten leapfrog steps: momenta, energies, accept")
for precision in ("double", "single"):
    row("hmc-" + precision, "%s, beside the hand-written leapfrog alone" % precision, "hmc", model="phi4", shape="32, 32", chains=64, least=0.55,
        precision=precision, hand=[("chains2d", "-DNV=1" + (" -DSINGLE" if precision == "single" else ""), "64 200")])
    for how, name, least in (("torch-autograd", "PyTorch, autograd", 60), ("torch-force", "PyTorch, force by hand", 15),
                             ("jax", "JAX, jitted", 10), ("numpy", "NumPy", None)):
        row("%s-%s" % (how, precision), "%s, %s" % (name, precision), "framework", model="phi4", shape="32, 32", chains=64, how=how,
            precision=precision, least=least)

heading("other actions, 64 chains of 32²")
row("phi6", "φ⁶ with next-to-nearest neighbours, against φ⁴: share of the peak", "share", model="phi6", other="phi4", shape="32, 32", chains=64, least=0.8)

row("xy", "XY model, leapfrog", "sines", model="xy", shape="32, 32", chains=64, least=0.8, hand=[("xy", "", "64 20"), ("xy", "-DSITES", "64 20")], alone=("xy", "-DSINES", "64 20"))

heading("local Metropolis, 64 chains of 32², sweeps of all sites")
row("metropolis-phi4", "φ⁴", "metropolis", model="metropolis_phi4", shape="32, 32", chains=64, least=0.7, hand=[("metropolis", "", "64 20")])
row("metropolis-ising", "Ising model", "metropolis", model="metropolis_ising", shape="32, 32", chains=64, least=0.7, hand=[("metropolis", "-DISING", "64 40")])

heading("single against double precision, generated")
row("single-chains", "64 chains of 32²", "single", model="phi4", shape="32, 32", chains=64, least=1.8)
row("single-lattice", "one lattice of 256²", "single", model="phi4", shape="256, 256", chains=1, least=1.8)

heading("two threads against one, on the clock, generated")
row("threads-chains", "512 chains of 32²", "threads", model="phi4", shape="32, 32", chains=512, least=1.8)
row("threads-lattice", "one lattice of 1024²", "threads", model="phi4", shape="1024, 1024", chains=1, least=1.8)

heading("from a model file to its first trajectory")
row("cold", "examples/phi4.lqft, for the first time", "latency", cached=False, most=60)
row("cached", "examples/phi4.lqft, from the cache", "latency", cached=True, most=20)
row("memory", "peak memory, one lattice of 4096²", "space", model="phi4", shape="4096, 4096", chains=1, most=1.5)
