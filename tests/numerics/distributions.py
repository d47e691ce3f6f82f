"""Distributions of the standard library: draws against exact distribution functions
(Kolmogorov and Smirnov) and moments, machine code against the interpreter bit for bit,
and parameters out of range, which must stop the run.

    tests/numerics/distributions.py LQFT

Seeds are fixed.  A statistic sqrt(N) D above 2.6 has probability 2 exp(-2*2.6^2) = 2.7e-6,
a mean further off than 5 standard errors 6e-7: a correct program fails one of the tests
with a probability below 2e-4."""
import math
import os
import struct
import subprocess
import sys
import tempfile

LQFT = sys.argv[1]
MODEL = """import distributions
lattice X = torus(4)
field x[X] : real
param a = 1
param b = 1
axis W = 5
data w[k in W] = if k == 2 then 0 else k + 1
action S(x) = 0*sum(x)
sampler independent(S, q) {
  DRAW
  return y
}
sample x ~ exp(-S(x)) with independent() { chains = 16  warmup = 1  draws = 1000 }
report first = E[mean(x)]
report second = E[mean(x^2)]
save x to "x.npy"
"""


def gamma_p(a, x):
    """The regularised incomplete gamma function P(a, x): series, continued fraction."""
    if x <= 0:
        return 0.0
    front = math.exp(a*math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1/a
        n = a
        while abs(term) > 1e-17*abs(total):
            n += 1
            term *= x/n
            total += term
        return front*total
    b, c = x + 1 - a, 1e300
    d = h = 1/b
    for i in range(1, 10000):
        an = -i*(i - a)
        b += 2
        d = 1/(an*d + b)
        c = b + an/c
        h *= d*c
        if abs(d*c - 1) < 1e-16:
            break
    return 1 - front*h


def integrated(f, lo, hi, n=4000):
    """The distribution function of a smooth density: Simpson's rule on a grid, linear between."""
    h = (hi - lo)/n
    total, table = 0.0, [0.0]
    for i in range(n):
        total += h/6*(f(lo + i*h) + 4*f(lo + (i + 0.5)*h) + f(lo + (i + 1)*h))
        table.append(total)

    def cdf(x):
        t = (x - lo)/h
        i = min(n - 1, max(0, int(t)))
        return (table[i] + (t - i)*(table[i + 1] - table[i]))/total
    return cdf


def beta_cdf(a, b):
    """With x = sin^2 t the density of t is smooth for a, b >= 1/2."""
    f = integrated(lambda t: math.sin(t)**(2*a - 1)*math.cos(t)**(2*b - 1), 0, math.pi/2)
    return lambda x: f(math.asin(math.sqrt(x)))


def von_mises_cdf(mu, k):
    def density(t):
        return math.exp(k*(math.cos(t - mu) - 1))
    return integrated(density, -math.pi, math.pi)


def run(folder, draw, device, *arguments, status=0):
    path = os.path.join(folder, "m.lqft")
    with open(path, "w") as f:
        f.write(MODEL.replace("DRAW", draw))
    done = subprocess.run([LQFT, "run", path, "--seed", "7", "--quiet", "--device", device, *arguments],
                          capture_output=True, text=True)
    if done.returncode != status:
        return fail(f"{draw}: status {done.returncode}, expected {status}: {done.stderr}")
    if status:
        return []
    with open(os.path.join(folder, "x.npy"), "rb") as f:
        data = f.read()
    header = 10 + struct.unpack("<H", data[8:10])[0]
    return list(struct.unpack(f"<{(len(data) - header)//8}d", data[header:]))


failures = 0


def fail(text):
    global failures
    failures += 1
    print("FAIL", text)
    return []


def check(ok, text):
    print("ok  ", text) if ok else fail(text)


def against_cdf(draw, cdf, x):
    n = len(x)
    f = [cdf(v) for v in sorted(x)]
    d = max(max((i + 1)/n - f[i], f[i] - i/n) for i in range(n))*math.sqrt(n)
    check(d < 2.6, f"{draw}: Kolmogorov and Smirnov's sqrt(N) D = {d:.2f} for {n} draws")


def moments(draw, mean, variance, x):
    pull = (sum(x)/len(x) - mean)/math.sqrt(variance/len(x))
    check(abs(pull) < 5, f"{draw}: mean off by {pull:+.2f} sigma")


CONTINUOUS = [
    ("y ~ exponential(a + 0*q)", {"a": 2}, lambda x: -math.expm1(-2*x), 0.5, 0.25),
    ("y ~ gamma(a + 0*q, b)", {"a": 2.5, "b": 2}, lambda x: gamma_p(2.5, 2*x), 1.25, 0.625),
    ("y ~ gamma(a + 0*q, b)", {"a": 1, "b": 1}, lambda x: gamma_p(1, x), 1, 1),
    ("y ~ gamma(a + 0*q, b)", {"a": 0.3, "b": 0.5}, lambda x: gamma_p(0.3, 0.5*x), 0.6, 1.2),
    ("y ~ gamma(a + 0*q, b)", {"a": 200, "b": 1}, lambda x: gamma_p(200, x), 200, 200),
    ("y[n in X] ~ gamma(a, b)", {"a": 0.7, "b": 3}, lambda x: gamma_p(0.7, 3*x), 0.7/3, 0.7/9),
    ("y ~ beta(a + 0*q, b)", {"a": 0.5, "b": 2}, beta_cdf(0.5, 2), 0.2, 0.16/3.5),
    ("y ~ beta(a + 0*q, b)", {"a": 3, "b": 3}, beta_cdf(3, 3), 0.5, 0.25/7),
    ("y ~ von_mises(a + 0*q, b)", {"a": 0, "b": 2}, von_mises_cdf(0, 2), 0, 0.9),
    ("y ~ von_mises(a + 0*q, b)", {"a": 2, "b": 0.4}, von_mises_cdf(2, 0.4), None, None),
    ("y ~ von_mises(a + 0*q, b)", {"a": 0, "b": 0}, von_mises_cdf(0, 0), 0, math.pi**2/3),
    ("y ~ von_mises(a + 0*q, b)", {"a": 0, "b": 60}, von_mises_cdf(0, 60), 0, 0.017),
    ("y ~ von_mises(a + 0*q, b)", {"a": 0, "b": -1}, von_mises_cdf(0, -1), None, None),
]


def main():
    with tempfile.TemporaryDirectory() as folder:
        for draw, parameters, cdf, mean, variance in CONTINUOUS:
            given = [f"{k}={v}" for k, v in parameters.items()]
            x = run(folder, draw, "cpu", *given)
            name = f"{draw} {parameters}"
            if len(x) != 64000:
                fail(f"{name}: {len(x)} draws")
                continue
            against_cdf(name, cdf, x)
            if mean is not None:
                moments(name, mean, variance, x)
            few = [*given, "draws=5", "chains=3"]
            check(run(folder, draw, "cpu", *few) == run(folder, draw, "interp", *few), f"{name}: the interpreter's bits")
        discrete(folder)
        for draw in ("y ~ gamma(a + 0*q, 1)", "y ~ gamma(1, a + 0*q)", "y ~ beta(a + 0*q, 1)"):
            for a in ("-0.5", "-2", "0"):
                before = failures
                run(folder, draw, "cpu", f"a={a}", status=70)
                if failures == before:
                    print("ok  ", f"{draw} with a = {a} stops the run")
    print(f"{failures} failures")
    return 1 if failures else 0


def discrete(folder):
    x = run(folder, "y[n in X] ~ categorical(w)", "cpu")
    for k, w in enumerate((1, 2, 0, 4, 5)):
        p = w/12
        n = sum(1 for v in x if v == k)
        check(abs(n - p*len(x)) <= 5*math.sqrt(p*(1 - p)*len(x)), f"categorical: number {k} {n} times of {len(x)}")
    check(len(x) == 64000 and set(x) <= {0, 1, 3, 4}, "categorical: nothing else")
    x = run(folder, "y ~ bernoulli(0.3 + 0*q)", "cpu")
    check(set(x) <= {0, 1}, "bernoulli: 0 or 1")
    moments("bernoulli(0.3)", 0.3, 0.21, x)


sys.exit(main())
