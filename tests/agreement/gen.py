#!/usr/bin/env python3
"""gen.py: random well-typed lqft programs, from a seed.

    gen.py --seed S --count N --out DIR     writes DIR/p00000.lqft ...
    gen.py --seed S                         prints one program

Program number i of a seed depends on (seed, i) alone.  Every second program is smooth
(its first line says so): its actions use only functions without kinks or poles, so
that their gradients can be compared with differences.  The others use everything that
the language has, and now and then a function outside its domain."""
import argparse
import os
import random

SMALL = [1, 1, 2, 2, 3, 3, 4, 5]


class Set:
    """An index set; kind: axis, grid, lattice, coord, range, dirs."""

    def __init__(self, name, kind, size, rank=1, ext=None, lattice=None, open_=False, first=0):
        self.name, self.kind, self.size, self.rank = name, kind, size, rank
        self.ext, self.lattice, self.open, self.first = ext or [size], lattice, open_, first


class Array:
    def __init__(self, name, sets, cplx):
        self.name, self.sets, self.cplx = name, sets, cplx


class Scope:
    """What an expression may mention, and what evaluating it once multiplies."""

    def __init__(self, up=None):
        self.idx = list(up.idx) if up else []          # (name, Set)
        self.arr = list(up.arr) if up else []
        self.num = list(up.num) if up else []          # (name, complex)
        self.boo = list(up.boo) if up else []
        self.tup = list(up.tup) if up else []          # (name, [Array])
        self.calls = list(up.calls) if up else []      # scalar functions of the scope: (name, nargs)
        self.cost = up.cost if up else 1
        self.depth = up.depth if up else 0

    def index(self, name, s):
        sub = Scope(self)
        sub.idx.append((name, s))
        sub.cost *= s.size
        sub.depth += 1
        return sub


class Gen:
    def __init__(self, seed, number):
        self.r = random.Random(f"{seed}/{number}")
        self.smooth = number % 2 == 0
        self.unique = 0
        self.budget = 0
        self.lines = []
        self.top = Scope()
        self.sets, self.lattices, self.fields, self.funs, self.arrfuns = [], [], [], [], []
        self.holomorphic = False

    # ---- helpers ------------------------------------------------------------------

    def p(self, chance):
        return self.r.random() < chance

    def pick(self, xs):
        return self.r.choice(xs)

    def fresh(self, stem):
        self.unique += 1
        return f"{stem}{self.unique}"

    def number(self):
        k = self.r.randrange(6)
        if k == 0:
            return str(self.r.randint(1, 4))
        if k == 1:
            return self.pick(["0.5", "0.25", "1.5", "2", "1e-1", "3/4"])
        if k == 2 and not self.smooth:
            return self.pick(["0", "1", "pi", "1e-3", "7", "(-0.0)", "1e3"])
        return f"{self.r.uniform(0.1, 2):.3g}"

    # ---- indices --------------------------------------------------------------------

    def index_for(self, sc, s):
        """An index expression into set s, or None when the scope has none."""
        r = self.r
        same = [n for n, t in sc.idx if t is s]
        if s.kind in ("grid", "dirs"):
            if same:
                return self.pick(same)
            return f"{s.name}[{r.randrange(s.size)}]" if self.p(0.5) else None
        if s.kind == "lattice" and s.rank > 1:
            if same:
                return self.site(sc, s, self.pick(same))
            if self.p(0.6):
                return ", ".join(self.index_for(sc, c) or str(r.randrange(c.size)) for c in s.axes)
            return None
        lines = [n for n, t in sc.idx if t.kind in ("range",)]
        if same:
            n = self.pick(same)
            k = r.randrange(9)
            if k < 4:
                return n
            if k == 4:
                return f"{n} + {r.randint(1, 3)}"
            if k == 5:
                return f"{n} - {r.randint(1, 6)}"
            if k == 6:
                return f"{r.randint(0, 4)} - {n}"
            if k == 7:
                return f"{n}.{self.pick(['next', 'prev'])}"
            if len(same) > 1 and s.kind in ("lattice", "coord", "axis"):
                return f"{n} {self.pick('+-')} {self.pick(same)}"
            return f"{n} + {self.pick(lines)}" if lines else n
        if s.kind == "coord":
            sites = [n for n, t in sc.idx if t is s.lattice]
            if sites and self.p(0.8):
                return f"{self.pick(sites)}[{s.coord}]" + (f" + {r.randint(1, 2)}" if self.p(0.3) else "")
        if lines and self.p(0.5):
            return self.pick(lines)
        return str(s.first + r.randrange(s.size)) if self.p(0.7) else None

    def site(self, sc, s, n):
        r = self.r
        if self.p(0.45):
            return n
        terms = []
        dirs = [m for m, t in sc.idx if t.kind == "dirs" and t.lattice is s]
        ranges = [m for m, t in sc.idx if t.kind == "range"]
        for _ in range(r.randint(1, 2)):
            d = self.pick(dirs) if dirs and self.p(0.7) else f"{s.name}.dirs[{r.randrange(s.rank)}]"
            k = r.randrange(8)
            d = f"2*{d}" if k == 0 else f"{self.pick(ranges)}*{d}" if k == 1 and ranges else f"(-3)*{d}" if k == 2 else d
            terms.append(f" {self.pick('++-')} {d}")
        if self.p(0.1):
            return f"{n} + ({', '.join(str(r.randint(-2, 2)) for _ in range(s.rank))})"
        return n + "".join(terms)

    def element(self, sc, cplx):
        """a[i, ...] of an array in scope, or None."""
        options = [a for a in sc.arr if (a.cplx or not cplx) and a.cplx == cplx]
        self.r.shuffle(options)
        if self.p(0.75):                       # fields before data
            options.sort(key=lambda a: a.name[0] == "D")
        for a in options[:3]:
            parts = [self.index_for(sc, s) for s in a.sets]
            if all(parts):
                return f"{a.name}[{', '.join(parts)}]"
        return None

    def some_set(self, sc, limit=400):
        fits = [s for s in self.sets if s.size * sc.cost <= limit]
        if self.p(0.15):
            lo = self.r.randint(0, 2)
            n = self.r.randint(1, 4)
            return Set(f"{lo}..{lo + n - 1}", "range", n, first=lo)
        return self.pick(fits) if fits else Set("0..1", "range", 2)

    def dirs_of(self, sc):
        here = [t for _, t in sc.idx if t.kind == "lattice"]
        return [s.dirs for s in (here or self.lattices) if s.rank * sc.cost <= 1200]

    # ---- conditions -------------------------------------------------------------------

    def condition(self, sc, d):
        r = self.r
        k = r.randrange(8)
        ones = [(n, t) for n, t in sc.idx if t.rank == 1 and t.kind != "dirs"]
        sites = [(n, t) for n, t in sc.idx if t.kind == "lattice"]
        if k == 0 and sites:
            n, t = self.pick(sites)
            return f"{n}[{r.randrange(t.rank)}] {self.pick(['==', '<', '!=', '>='])} {r.randint(0, 2)}"
        if k == 1 and ones:
            n, t = self.pick(ones)
            return f"{n} {self.pick(['==', '<', '<=', '!=', '>'])} {r.randint(0, 2)}"
        if k == 2 and sites:
            n, t = self.pick(sites)
            others = [m for m, u in sites if u is t and m != n]
            if others:
                return f"{n} {self.pick(['==', '!='])} {self.site(sc, t, self.pick(others))}"
            if t.open:
                return f"({self.site(sc, t, n)}) in {t.name}"
        if k == 3 and d > 0:
            return f"({self.condition(sc, d - 1)} {self.pick(['and', 'or'])} {self.condition(sc, d - 1)})"
        if k == 4 and d > 0:
            return f"(not ({self.condition(sc, d - 1)}))"
        if k == 5 and sc.boo:
            return self.pick(sc.boo)
        if self.smooth:                     # a condition on the field would be a kink
            if ones:
                n, t = self.pick(ones)
                return f"{n} < {r.randint(0, 3)}"
            return self.pick(["true", "1 < 2", f"{self.number()} > 1"])
        return f"{self.real(sc, d - 1)} {self.pick(['<', '<=', '>', '>=', '==', '!='])} {self.real(sc, d - 1)}"

    # ---- real numbers --------------------------------------------------------------------

    def leaf(self, sc):
        r = self.r
        for _ in range(3):
            k = r.randrange(10)
            if k < 6:
                e = self.element(sc, False)
                if e:
                    return e
            if k < 8:
                ns = [n for n, c in sc.num if not c]
                if ns:
                    return self.pick(ns)
            if k == 8:
                ones = [n for n, t in sc.idx if t.rank == 1 and t.kind != "dirs"]
                if ones:
                    return self.pick(ones)
                sites = [(n, t) for n, t in sc.idx if t.kind == "lattice"]
                if sites:
                    n, t = self.pick(sites)
                    return f"{n}[{r.randrange(t.rank)}]"
        return self.number()

    def real(self, sc, d):
        self.budget -= 1
        if d <= 0 or self.budget <= 0:
            return self.leaf(sc)
        r = self.r
        k = r.randrange(24)
        if k < 3:
            return f"({self.real(sc, d - 1)} {self.pick('+-')} {self.real(sc, d - 1)})"
        if k < 6:
            return f"{self.atom(sc, d - 1)}*{self.atom(sc, d - 1)}"
        if k == 6:
            den = self.atom(sc, d - 1)
            return f"{self.atom(sc, d - 1)}/(1 + {den}^2)" if self.smooth or self.p(0.8) else f"{self.atom(sc, d - 1)}/{den}"
        if k == 7:
            return f"-{self.atom(sc, d - 1)}"
        if k < 10 and self.smooth and self.p(0.5):     # large numbers would hide small ones from the differences
            return f"{self.pick(['sin', 'tanh'])}({self.real(sc, d - 1)})^{self.pick(['3', '4'])}"
        if k < 10 and self.smooth:
            return f"{self.atom(sc, d - 1)}^{self.pick(['2', '2', '1'])}"
        if k < 10:
            return f"{self.atom(sc, d - 1)}^{self.pick(['2', '2', '3', '4', '2', '1'])}"
        if k < 14:
            return self.function(sc, d)
        if k == 14:
            return f"(if {self.condition(sc, 1)} then {self.real(sc, d - 1)} else {self.real(sc, d - 1)})"
        if k < 18:
            return self.binder(sc, d)
        if k == 18 and not self.holomorphic:
            z = self.cplx(sc, d - 1)
            return self.pick([f"Re({z})", f"Im({z})", f"Re(({z})*conj({self.cplx(sc, d - 2)}))"] +
                             ([] if self.smooth else [f"abs({z})", f"arg({z})"]))
        if k == 19 and self.funs:
            return self.call(sc, d)
        if k == 20:
            return self.whole(sc, d)
        if k == 21 and sc.calls:
            n, args = self.pick(sc.calls)
            return f"{n}({', '.join(self.real(sc, d - 2) for _ in range(args))})"
        if k == 22 and self.p(0.5):
            return self.inner_grad(sc, d)
        return self.leaf(sc)

    def atom(self, sc, d):
        e = self.real(sc, d)
        return e if e.replace("_", "").isalnum() else f"({e})"

    def function(self, sc, d):
        a = self.real(sc, d - 1)
        safe = ["sin({})", "cos({})", "tanh({})", "atan({})", "erf({})", "asinh({})", "exp(-({})^2)", "sqrt(1 + ({})^2)",
                "log(1 + ({})^2)", "exp(sin({}))", "log1p(exp(-({})^2))", "expm1(tanh({}))", "asin(0.9*tanh({}))",
                "acos(0.9*sin({}))", "acosh(1.5 + ({})^2)", "atanh(0.8*sin({}))", "sinh(tanh({}))", "cosh(sin({}))",
                "tan(0.7*tanh({}))", "(2 + sin({}))^1.7", "softplus({})", "sigmoid({})",
                "pow(1.5 + cos({}), 0.3)", "erfc({})", "lgamma(1.5 + ({})^2)", "log_i0({})", "bessel_ratio({})"]
        if self.smooth or self.p(0.6):
            if self.p(0.1):
                return f"atan2({a}, 2 + cos({self.real(sc, d - 2)}))"
            return self.pick(safe).format(a)
        k = self.r.randrange(4)
        if k == 0:
            return f"{self.pick(['abs', 'sign', 'floor', 'round', 'wrap'])}({a})"
        if k == 1:
            rest = ", ".join(self.real(sc, d - 2) for _ in range(self.r.randint(1, 2)))
            return f"{self.pick(['min', 'max'])}({a}, {rest})"
        if k == 2:
            return self.pick([f"atan2({a}, {self.real(sc, d - 2)})", f"hash({a}, {self.real(sc, d - 2)})", f"pow(abs({a}), {self.real(sc, d - 2)})",
                              f"(abs({a}) + 0.1)^{self.pick(['0.5', '-1', '2.5', '-0.3'])}"])
        return self.pick(["log({})", "sqrt({})", "asin({})", "acosh({})", "exp({})", "1/({})", "tan({})",
                          "exp(exp({}))", "({})^0.5", "sinh({})", "cosh({})", "atanh({})", "log1p({})", "({})^-2"]).format(a)

    def binder(self, sc, d, cplx=False):
        r = self.r
        kinds = ["sum", "sum", "sum", "mean", "mean", "integral"] + ([] if cplx else ["prod"]) + \
                ([] if self.smooth or cplx else ["max", "min"])
        kind = self.pick(kinds)
        grids = [s for s in self.sets if s.kind == "grid"]
        if kind == "integral" and not grids:
            kind = "sum"
        sub, binds, bound = sc, [], 0
        for _ in range(r.choice([1, 1, 1, 2, 2, 3])):
            limit = 60 if kind == "prod" else 700
            dirs = self.dirs_of(sub)
            if kind == "integral":
                s = self.pick(grids)
            elif dirs and self.p(0.3):
                s = self.pick(dirs)
            else:
                s = self.some_set(sub, limit)
            if s.size * sub.cost > limit * 1.5 or sub.depth > 5 or sum(t.rank for _, t in sub.idx) + s.rank > 9:
                break
            n = self.fresh("i" if s.kind != "dirs" else "mu")
            sub = sub.index(n, s)
            binds.append(f"{n} in {s.name}")
            bound += 1
        if not bound:
            return self.leaf(sc) if not cplx else self.cleaf(sc)
        guard = f" if {self.condition(sub, 1)}" if self.p(0.25) else ""
        if guard and kind == "mean" and self.smooth:
            guard = ""                      # of nothing: 0/0
        body = self.cplx(sub, d - 1) if cplx else self.real(sub, d - 1)
        if kind == "prod":
            body = f"cos(0.3*({body}))"
        if not guard and bound == 1 and self.p(0.2):          # a set found from the use
            name, s = sub.idx[-1]
            plain = [a for a in sc.arr if len(a.sets) == 1 and a.sets[0] is s and a.cplx == cplx and s.kind != "dirs"]
            if plain and kind in ("sum", "mean"):
                a = self.pick(plain)
                return f"({kind}[{name}] {a.name}[{name}]*({body}))"
        mark = {"sum": "Σ"}.get(kind, kind) if self.p(0.03) else kind
        return f"({mark}[{', '.join(binds)}{guard}] ({body}))"

    def call(self, sc, d):
        name, params, opts = self.pick(self.funs)
        args = []
        for kind, what in params:
            if kind == "real":
                args.append(self.real(sc, d - 2))
            elif kind == "array":
                same = [a.name for a in sc.arr if a.sets == what and not a.cplx and a.name.isidentifier()]
                if not same:
                    return self.leaf(sc)
                args.append(f"{self.number()}*{self.pick(same)}" if self.p(0.3) else self.pick(same))
            elif kind == "index":
                same = [n for n, t in sc.idx if t is what]
                if not same:
                    return self.leaf(sc)
                args.append(self.site(sc, what, self.pick(same)) if what.kind == "lattice" and what.rank > 1 else self.pick(same))
            elif kind == "function":
                args.append(self.pick(what))
        given = [f"{o} = {self.number()}" for o in opts if self.p(0.4)]
        return f"{name}({', '.join(args)}{'; ' + ', '.join(given) if given else ''})"

    def whole(self, sc, d):
        """Reductions of whole arrays and of tuples."""
        arrays = [a for a in sc.arr if not a.cplx]
        if not arrays:
            return self.leaf(sc)
        a = self.pick(arrays)
        if self.r.random() < 0.3 and sc.tup and not self.smooth:
            return f"sumsq({self.pick(sc.tup)[0]})/10"
        like = [b for b in arrays if b.sets == a.sets]
        e = f"{a.name}*{self.pick(like).name}" if self.p(0.5) else f"{self.pick(['sin', 'tanh', 'cos'])}({a.name})"
        if self.p(0.2):
            e = f"{e} - {self.real(sc, d - 2)}"
        return f"{self.pick(['sum', 'mean'] + ([] if self.smooth else ['max', 'min']))}({e})"

    def inner_grad(self, sc, d):
        """A derivative inside an expression, in function form at a number or an array."""
        flat = [n for n, nargs in self.plain if nargs == 1]
        if flat and self.p(0.6):
            return f"grad({self.pick(flat)}, {self.real(sc, d - 2)})"
        sums = [(n, s) for n, s in self.arrfuns]
        if sums and sc.depth <= 1:
            n, s = self.pick(sums)
            same = [a.name for a in sc.arr if a.sets == s and not a.cplx and a.name.isidentifier()]
            if same:
                e = f"grad({n}, {self.pick(same)})"
                return f"mean({e}^2)" if self.p(0.5) else f"sum({e}*{self.pick(same)})"
        return self.leaf(sc)

    # ---- complex numbers -------------------------------------------------------------------

    def cleaf(self, sc):
        e = self.element(sc, True) if self.p(0.7) else None
        if e:
            return e
        ns = [n for n, c in sc.num if c]
        if ns and self.p(0.7):
            return self.pick(ns)
        return f"({self.leaf(sc)} + {self.r.uniform(0.1, 2):.2f}i)"

    def cplx(self, sc, d):
        self.budget -= 1
        if d <= 0 or self.budget <= 0:
            return self.cleaf(sc)
        k = self.r.randrange(12)
        if k < 2:
            return f"({self.cplx(sc, d - 1)} {self.pick('+-')} {self.cplx(sc, d - 1)})"
        if k < 4:
            return f"({self.cplx(sc, d - 1)})*({self.cplx(sc, d - 1)})"
        if k == 4:
            return f"({self.cplx(sc, d - 1)})*{self.atom(sc, d - 1)}"
        if k == 5:
            return f"({self.cplx(sc, d - 1)})^{self.pick(['2', '3', '2', '0'])}"
        if k == 6:
            return f"{self.pick(['exp', 'sin', 'cos', 'sinh', 'cosh', 'tanh', 'conj' if not self.holomorphic else 'sin'])}(0.5*({self.cplx(sc, d - 1)}))"
        if k == 7 and not self.smooth:
            return f"{self.pick(['log', 'sqrt'])}({self.cplx(sc, d - 1)})"
        if k == 8 and not self.smooth:
            return self.pick([f"({self.cplx(sc, d - 1)})/({self.cplx(sc, d - 1)})", f"({self.cplx(sc, d - 1)})^{self.pick(['-1', '0.5', '1i', '-2'])}"])
        if k == 9:
            return self.binder(sc, d, True)
        if k == 10:
            return f"(if {self.condition(sc, 1)} then {self.cplx(sc, d - 1)} else {self.cplx(sc, d - 1)})"
        return self.cleaf(sc)

    # ---- whole arrays -------------------------------------------------------------------------

    def array_expr(self, sc, sets, cplx, d):
        same = [a.name for a in sc.arr if a.sets == sets and (a.cplx <= cplx)]
        wanted = [a.name for a in sc.arr if a.sets == sets and a.cplx == cplx]
        if not wanted:
            return None
        e = self.pick(wanted)
        for _ in range(self.r.randint(0, d)):
            k = self.r.randrange(5)
            if k == 0:
                e = f"({e} {self.pick('+-')} {self.pick(same)})"
            elif k == 1:
                e = f"{self.pick(same)}*({e})"
            elif k == 2:
                e = f"{self.pick(['sin', 'tanh', 'cos'])}({e})" if not cplx else f"sin(0.3*({e}))"
            elif k == 3:
                e = f"({e})*({self.real(sc, 1)})"
            else:
                e = f"(if {self.condition(Scope(sc), 0)} then {e} else {self.pick(wanted)})"
        return e

    # ---- blocks ---------------------------------------------------------------------------------

    def block(self, sc, n, indent, loops=0):
        """n statements; the scope grows with what they define."""
        out = []
        pad = "  " * indent
        for _ in range(n):
            k = self.r.randrange(12)
            if k < 2:
                name = self.fresh("a")
                out.append(f"{pad}{name} = {self.real(sc, 3)}")
                sc.num.append((name, False))
            elif k == 2:
                name = self.fresh("c")
                out.append(f"{pad}{name} = {self.cplx(sc, 2)}")
                sc.num.append((name, True))
            elif k < 5:
                self.array_statement(sc, out, pad)
            elif k == 5 and not self.smooth:
                name = self.fresh("b")
                out.append(f"{pad}{name} = {self.condition(sc, 1)}")
                sc.boo.append(name)
            elif k < 8 and loops < 2:
                self.loop(sc, out, indent, loops)
            elif k == 8:
                self.branch(sc, out, indent, loops)
            elif k == 9 and sc.num:
                name, c = self.pick(sc.num)
                if self.locals(name):
                    out.append(f"{pad}{name} = {self.cplx(sc, 2) if c else self.real(sc, 2)}")
            elif k == 10:
                a, b = self.fresh("a"), self.fresh("a")
                out.append(f"{pad}{a}, {b} = ({self.real(sc, 2)}, {self.real(sc, 2)})")
                sc.num += [(a, False), (b, False)]
            elif k == 11:
                arrays = [a for a in sc.arr if not a.cplx and a.name.isidentifier()]
                if len(arrays) > 1:
                    name, two = self.fresh("t"), [self.pick(arrays), self.pick(arrays)]
                    out.append(f"{pad}{name} = ({two[0].name}, {self.number()}*{two[1].name})")
                    sc.tup.append((name, two))
                    sc.arr += [Array(f"{name}[{i}]", two[i].sets, False) for i in range(2)]
        return out

    @staticmethod
    def locals(name):
        return name[0] in "abc" and name[1:].isdigit()

    def array_statement(self, sc, out, pad):
        cplx = self.p(0.2)
        sub, binds, sets = sc, [], []
        for _ in range(self.r.choice([1, 1, 2])):
            dirs = self.dirs_of(sub)
            s = self.pick(dirs) if dirs and self.p(0.2) else self.some_set(sub, 300)
            if s.kind == "range" and self.p(0.7) or sum(t.rank for _, t in sub.idx) + s.rank > 9:
                continue
            n = self.fresh("j")
            sub = sub.index(n, s)
            binds.append(f"{n} in {s.name}")
            sets.append(s)
        if not sets:
            return
        name = self.fresh("v")
        out.append(f"{pad}{name}[{', '.join(binds)}] = {self.cplx(sub, 2) if cplx else self.real(sub, 3)}")
        sc.arr.append(Array(name, sets, cplx))
        if self.p(0.3):
            e = self.array_expr(sc, sets, cplx, 2)
            if e:
                out.append(f"{pad}{name} = {e}")

    def loop(self, sc, out, indent, loops):
        pad = "  " * indent
        carried = []
        if self.p(0.8):
            name = self.fresh("a")
            out.append(f"{pad}{name} = {self.real(sc, 1)}")
            sc.num.append((name, False))
            carried.append((name, "real"))
        arrays = [a for a in sc.arr if a.name.isidentifier() and all(s.kind != "range" for s in a.sets)]
        if arrays and self.p(0.6):
            a = self.pick(arrays)
            name = self.fresh("v")
            out.append(f"{pad}{name} = {a.name}")
            sc.arr.append(Array(name, a.sets, a.cplx))
            carried.append((name, a))
        if not carried:
            return
        inner = Scope(sc)
        inner.depth += 1
        k = self.r.randrange(6)
        n = self.r.randint(0, 4)
        if k < 3:
            inner.cost *= max(n, 1)
            out.append(f"{pad}repeat {n} {{")
        elif k < 5 or self.smooth:
            line = [s for s in self.sets if s.rank == 1 and s.kind in ("axis", "coord", "grid", "lattice")]
            s = self.pick(line) if line and self.p(0.6) else Set(f"{n}..{n + 2}", "range", 3, first=n)
            if self.p(0.15) and self.lattices:
                s = self.pick(self.lattices).dirs
            name = self.fresh("t" if s.kind != "dirs" else "nu")
            inner.cost *= s.size
            inner.idx.append((name, s))
            out.append(f"{pad}for {name} in {s.name} {{")
        else:
            cond = self.condition(inner, 1)
            out.append(f"{pad}repeat while {cond} at most {n + 1} {{")
            inner.cost *= n + 1
        body = self.block(inner, self.r.randint(0, 2), indent + 1, loops + 1)
        for name, what in carried:
            if what == "real":
                body.append(f"{pad}  {name} = {self.pick(['', '0.5*'])}{name} + sin({self.real(inner, 2)})")
            else:
                e = self.array_expr(inner, what.sets, what.cplx, 2)
                if self.p(0.4) and e:
                    j = [self.fresh("j") for _ in what.sets]
                    sub = inner
                    for x, s in zip(j, what.sets):
                        sub = sub.index(x, s)
                    value = self.cplx(sub, 1) if what.cplx else self.real(sub, 2)
                    at = self.index_list(sub, j, what.sets)
                    body.append(f"{pad}  {name}[{', '.join(f'{x} in {s.name}' for x, s in zip(j, what.sets))}] = "
                                f"0.5*{name}[{at}] + 0.1*({value})")
                elif e:
                    body.append(f"{pad}  {name} = 0.3*({e}) + 0.5*{name}")
        if self.p(0.2) and len(carried) == 1 and carried[0][1] == "real":
            body.append(f"{pad}  if {self.condition(inner, 1)} {{ {carried[0][0]} = {self.real(inner, 1)} }}")
        out += body
        out.append(f"{pad}}}")

    def index_list(self, sc, names, sets):
        return ", ".join(self.site(sc, s, n) if s.kind == "lattice" and s.rank > 1 else n for n, s in zip(names, sets))

    def branch(self, sc, out, indent, loops):
        pad = "  " * indent
        name = self.fresh("a")
        out.append(f"{pad}{name} = {self.real(sc, 1)}")
        sc.num.append((name, False))
        out.append(f"{pad}if {self.condition(sc, 1)} {{")
        out += self.block(Scope(sc), self.r.randint(0, 1), indent + 1, 2)
        out.append(f"{pad}  {name} = {self.real(sc, 2)}")
        if self.p(0.6):
            out.append(f"{pad}}} else {{")
            out.append(f"{pad}  {name} = {self.real(sc, 2)}")
        out.append(f"{pad}}}")

    # ---- declarations ----------------------------------------------------------------------------

    def emit(self, line):
        self.lines.append(line)

    def declare_sets(self):
        r = self.r
        for i in range(r.randint(0, 2)):
            n = r.choice([1, 2, 3, 4, 5, 5, 11])
            self.emit(f"axis A{i} = {n}")
            self.sets.append(Set(f"A{i}", "axis", n, open_=True))
        for i in range(r.randint(0, 1)):
            n = r.choice([1, 2, 3, 5])
            kind = self.pick(["linspace", "logspace"])
            self.emit(f"grid W{i} = {kind}(0.3, {self.pick(['2', '1.1', '5'])}, {n})")
            self.sets.append(Set(f"W{i}", "grid", n))
        for i in range(r.choice([1, 1, 2])):
            rank = r.choice([1, 1, 2, 2, 2, 3, 3, 4])
            ext = [r.choice(SMALL) for _ in range(rank)]
            if self.p(0.2):                    # a longer row
                ext[-1] = r.choice([7, 8, 8, 9, 17])
            while prod(ext) > 130:
                ext[r.randrange(rank)] = 2
            kind = "torus" if self.p(0.7) else "box"
            bc = ""
            modes = ["periodic" if kind == "torus" else "open"] * rank
            if self.p(0.5):
                modes = [self.pick(["periodic", "antiperiodic", "open"]) for _ in range(rank)]
                one = rank == 1 or self.p(0.2)
                if one:
                    modes = [modes[0]] * rank
                bc = f"; boundary = {modes[0] if one else '(' + ', '.join(modes) + ')'}"
            self.emit(f"lattice X{i} = {kind}({', '.join(map(str, ext))}{bc})")
            s = Set(f"X{i}", "lattice", prod(ext), rank, ext, open_="open" in modes)
            s.dirs = Set(f"X{i}.dirs", "dirs", rank, lattice=s)
            s.axes = []
            if rank == 1:
                s.axes = [s]
            else:
                for k in range(rank):
                    c = Set(f"X{i}.axes[{k}]", "coord", ext[k], lattice=s, open_=modes[k] == "open")
                    c.coord = k
                    s.axes.append(c)
                    if self.p(0.4):
                        self.sets.append(c)
            self.sets.append(s)
            self.lattices.append(s)

    def declare_fields(self):
        r = self.r
        names = ["phi", "chi", "psi"]
        for i in range(r.choice([1, 1, 1, 2, 2, 3])):
            k = r.randrange(8)
            sets = []
            main = self.pick(self.lattices)
            if k < 5:
                sets = [main]
            elif k == 5:
                sets = [main, self.pick([s for s in self.sets if s.kind != "coord"])]
            elif k == 6 and len(self.sets) > 1:
                sets = [self.pick(self.sets)]
            while prod([s.size for s in sets]) > 200 or sum(s.rank for s in sets) > 6:
                sets.pop()
            if k == 7 and self.p(0.5):
                sets = [main, main.dirs]
            kind = self.pick(["real", "real", "real", "positive", "angle", "complex"])
            self.emit(f"field {names[i]}{'[' + ', '.join(s.name for s in sets) + ']' if sets else ''} : {kind}")
            self.fields.append((names[i], sets, kind))

    def field_scope(self):
        sc = Scope(self.top)
        for name, sets, kind in self.fields:
            if sets:
                sc.arr.append(Array(name, sets, kind == "complex"))
                if kind != "complex":
                    sc.arr.append(Array(name, sets, False))
            else:
                sc.num.append((name, kind == "complex"))
        return sc

    def declare_data(self):
        for i in range(self.r.randint(0, 2)):
            s = self.some_set(self.top, 60)
            if s.kind in ("range",):
                continue
            name = f"D{i}"
            j = self.fresh("j")
            if self.p(0.3):
                self.emit(f"data {name}[{j} in {s.name}] = normal(0, {self.number()})")
            else:
                saved, self.funs = self.funs, []
                e = self.real(self.top.index(j, s), 2)
                self.emit(f"data {name}[{j} in {s.name}] = {f'lgamma(1.5 + tanh({e}))' if self.p(0.2) else e}")
                self.funs = saved
            self.top.arr.append(Array(name, [s], False))

    def declare_functions(self):
        r = self.r
        self.plain = []
        for i in range(r.randint(1, 3)):
            nargs = r.choice([1, 1, 2])
            names = [f"u{k}" for k in range(nargs)]
            sc = Scope(self.top)
            sc.num += [(n, False) for n in names]
            opts = ["s"] if self.p(0.3) else []
            sc.num += [(o, False) for o in opts]
            self.budget = 14
            head = f"def f{i}({', '.join(names)}{'; ' + ', '.join(f'{o} = {self.number()}' for o in opts) if opts else ''})"
            if self.p(0.4):
                body = self.block(sc, r.randint(1, 3), 1)
                self.lines += [head + " {"] + body + [f"  return {self.real(sc, 2)}", "}"]
            else:
                self.emit(f"{head} = {self.real(sc, 3)}")
            self.funs.append((f"f{i}", [("real", None)] * nargs, opts))
            if not opts:
                self.plain.append((f"f{i}", nargs))
        s = self.pick(self.lattices)
        if self.p(0.7):                        # of an array and an index
            sc = Scope(self.top)
            sc.arr.append(Array("w", [s], False))
            sc.idx.append(("y", s))
            self.budget = 12
            self.emit(f"def g(w, y) = {self.real(sc, 3)}")
            self.funs.append(("g", [("array", [s]), ("index", s)], []))
        if self.p(0.6):                        # of a whole array; can be differentiated
            sc = Scope(self.top)
            sc.arr.append(Array("w", [s], False))
            x = self.fresh("i")
            self.budget = 12
            self.emit(f"def T(w) = sum[{x} in {s.name}] ({self.real(sc.index(x, s), 3)})")
            self.funs.append(("T", [("array", [s])], []))
            self.arrfuns.append(("T", [s]))
        flat = [n for n, k in self.plain if k == 1]
        if flat and self.p(0.4):               # of a function
            self.emit("def twice(f, u) = f(u) + 0.5*f(f(u))")
            self.funs.append(("twice", [("function", flat + ["sin", "tanh"]), ("real", None)], []))
        if flat and self.p(0.3):
            n = self.pick(flat)
            self.emit(f"def d{n}(u) = grad({n}, u)")
            self.plain.append((f"d{n}", 1))
            self.funs.append((f"d{n}", [("real", None)], []))

    def quadratic(self):
        """A confining part over all fields, so that weights exist."""
        terms = []
        for name, sets, kind in self.fields:
            if not sets:
                terms.append(f"{self.number()}*(Re({name})^2 + Im({name})^2)" if kind == "complex" else f"{self.number()}*{name}^2/2")
            else:
                terms.append(f"sumsq({name})*{self.number()}/2")
        return " + ".join(terms)

    def declare_actions(self):
        names = [n for n, _, _ in self.fields]
        plist = ", ".join(names)
        self.actions = []
        for i in range(self.r.choice([1, 1, 2])):
            sc = self.field_scope()
            name = "S" if i == 0 else f"S{i}"
            self.budget = 40
            x = self.fresh("i")
            s = self.pick(self.lattices)
            density = lambda sub: self.real(sub, 4)
            if self.p(0.45):
                body = self.block(sc, self.r.randint(1, 4), 1)
                total = f"{self.quadratic()} + (sum[{x} in {s.name}] ({density(sc.index(x, s))}))"
                self.lines += [f"action {name}({plist}) {{"] + body + [f"  return {total}", "}"]
            else:
                self.emit(f"action {name}({plist}) = {self.quadratic()} + (sum[{x} in {s.name}] ({density(sc.index(x, s))}))")
            self.actions.append(name)
        if all(k == "complex" for _, _, k in self.fields) and self.p(0.6):     # holomorphic
            sc = Scope(self.top)
            for n, sets, _ in self.fields:
                if sets:
                    sc.arr.append(Array(n, sets, True))
                else:
                    sc.num.append((n, True))
            self.holomorphic = True
            self.budget = 25
            funs, self.funs = self.funs, []
            x = self.fresh("i")
            s = self.pick(self.lattices)
            self.emit(f"action H({plist}) = sum[{x} in {s.name}] ({self.cplx(sc.index(x, s), 4)})")
            self.funs = funs
            self.holomorphic = False
            self.actions.append("H")

    def point(self, sc_name=None):
        names = [n for n, _, _ in self.fields]
        return names[0] if len(names) == 1 else f"({', '.join(names)})"

    def declare_observables(self):
        plist = ", ".join(n for n, _, _ in self.fields)
        self.obs = []                             # (name, sets or None)
        for i in range(self.r.randint(1, 3)):
            sc = self.field_scope()
            self.budget = 20
            if self.p(0.5):
                body = self.block(sc, self.r.randint(1, 3), 1)
                self.lines += [f"observable O{i}({plist}) {{"] + body + [f"  return {self.real(sc, 2)}", "}"]
            else:
                self.emit(f"observable O{i}({plist}) = {self.real(sc, 3)}")
            self.obs.append((f"O{i}", None))
        real = [(n, s) for n, s, k in self.fields if s and k != "complex"]
        if self.p(0.5):                           # derivative of the action, and of its square
            self.emit(f"observable force({plist}) = mean[i0 in 0..0] (sumsq(grad(S, {self.point()})))")
            self.obs.append(("force", None))
            if self.p(0.6):
                self.emit(f"def F2({plist}) = sumsq(grad(S, {self.point()}))/2")
                self.emit(f"observable second({plist}) = sumsq(grad(F2, {self.point()}))")
                self.obs.append(("second", None))
        if real and self.p(0.4):                  # expression form
            n, sets = self.pick(real)
            sc = self.field_scope()
            self.budget = 14
            e = self.binder(sc, 3)
            self.emit(f"observable slope({plist}) {{\n  e = {e}\n  d = grad(e, {n})\n  return sum(d*{n}) + sum(d^2)\n}}")
            self.obs.append(("slope", None))
        if self.p(0.6):                           # an array
            sub, sc = None, self.field_scope()
            s = self.some_set(sc, 60)
            if s.kind != "range":
                self.budget = 12
                self.emit(f"observable arr({plist}) {{\n  s[j0 in {s.name}] = {self.real(sc.index('j0', s), 3)}\n  return s\n}}")
                self.obs.append(("arr", s))

    # ---- samplers -----------------------------------------------------------------------------------

    def sampler_block(self, indent, depth, real_q):
        """Statements of a sampler: q is the state of all fields."""
        pad = "  " * indent
        out = []
        for _ in range(self.r.randint(1, 3)):
            k = self.r.randrange(10)
            if k < 3:
                out += [f"{pad}move ~ normal(0*q, width)", f"{pad}accept q + move with exp(S(q) - S(q + move))"]
            elif k == 3:
                out += [f"{pad}p ~ momenta(q)", f"{pad}q = q - 0.01*width*grad(S, q) + sqrt(0.02*width)*p"]
            elif k == 4:
                out += [f"{pad}u ~ {self.pick(['uniform(0, 1)', 'normal(0, 1)', 'exponential(2)', 'uniform(-1, 1)'])}",
                        f"{pad}total = total + u", f"{pad}if u > 0.3 {{ q = q + 0.1*u*{self.pick(['q', 'tanh(Re(q))'] )} }}"
                        if real_q else f"{pad}q = q + 0.1*u*q"]
            elif k == 5 and depth < 2:
                out += [f"{pad}repeat {self.r.randint(1, 3)} {{"] + self.sampler_block(indent + 1, depth + 1, real_q) + [f"{pad}}}"]
            elif k == 6 and depth < 2:
                out += [f"{pad}repeat while total < {self.number()} at most {self.r.randint(1, 4)} {{", f"{pad}  w2 ~ uniform(0, 1)",
                        f"{pad}  total = total + w2"] + self.sampler_block(indent + 1, depth + 1, real_q) + [f"{pad}}}"]
            elif k == 7 and depth < 2:
                out += [f"{pad}for t in 0..{self.r.randint(1, 3)} {{", f"{pad}  total = total + 0.1*t"] + \
                    self.sampler_block(indent + 1, depth + 1, real_q) + [f"{pad}}}"]
            elif k == 8:
                out += [f"{pad}p ~ momenta(q)", f"{pad}q1, p1 = reversible hop(S, q, p; eps = 0.1*width, n = {self.r.randint(0, 3)})",
                        f"{pad}dH = S(q1) + kinetic(p1) - S(q) - kinetic(p)", f"{pad}accept q1 with exp(-dH)"]
            else:
                out += [f"{pad}total = 0.9*total + tanh(sumsq(q))"]
        return out

    def declare_sampler(self):
        if self.p(0.3):
            method = self.pick(["hmc(length = 0.3, steps = 3)", "hmc(length = 0.5, steps = 2, integrator = leapfrog)",
                                "hmc(length = 0.2, steps = 1, integrator = omelyan4, jitter = 0)"])
            return method
        n, sets, kind = self.fields[0]
        single = len(self.fields) == 1 and kind != "complex"
        self.lines += ["def hop(S, q, p; eps, n) {", "  repeat n {", "    p = p - eps*grad(S, q)", "    q = q + eps*p", "  }", "  return q, p", "}"]
        opt = f"; width = {self.pick(['0.1', '0.3', '0.7'])}"
        out = [f"sampler own(S, q{opt}) {{", "  state total = 0"]
        if self.p(0.5):
            out.append("  state rate = width")
        array = single and sets and self.p(0.5)
        if array:
            ix = [self.fresh("j") for _ in sets]
            binds = ", ".join(f"{j} in {s.name}" for j, s in zip(ix, sets))
            sc = Scope(self.top)
            for j, s in zip(ix, sets):
                sc.idx.append((j, s))
                sc.cost *= s.size
            self.budget = 8
            out.append(f"  state mem[{binds}] = 0.1*({self.real(sc, 1)})")
        out += self.sampler_block(1, 0, single)
        if array:
            sc.arr += [Array("q", sets, False), Array("mem", sets, False)]
            self.budget = 10
            at = ", ".join(ix)
            out.append(f"  noise[{binds}] ~ normal({self.leaf(sc)}, 0.1)")
            sc.arr.append(Array("noise", sets, False))
            out.append(f"  new[{binds}] = if {self.condition(sc, 0)} then q[{at}] + 0.1*noise[{at}] else 0.9*q[{at}] + 0.1*sin({self.real(sc, 2)})")
            out.append("  accept new with exp(S(q) - S(new))")
            out.append("  mem = 0.5*mem + 0.1*q + (if accepted then 0.1 else 0)")
        if any("state rate" in l for l in out):
            out.append("  if warmup { rate = 0.9*rate + 0.01*sin(total) }")
        out.append(f"  monitor {self.pick(['total', 'S(q)', 'sumsq(q)'])} as watched")
        out.append("}")
        self.lines += out
        return self.pick(["own", "own()", "own(width = 0.2)"])

    def declare_reports(self):
        for i in range(self.r.randint(1, 3)):
            scalars = [n for n, s in self.obs if s is None]
            arrays = [(n, s) for n, s in self.obs if s is not None]
            k = self.r.randrange(6)
            a, b = self.pick(scalars), self.pick(scalars)
            if k == 0:
                self.emit(f"report r{i} = E[{a}]")
            elif k == 1:
                self.emit(f"report r{i} = E[{a}*{b}] - E[{a}]*E[{b}]")
            elif k == 2:
                self.emit(f"report r{i} = {self.pick(['log(1 + E[{}]^2)', 'sin(E[{}])', 'E[S]*E[{}]', 'sqrt(1 + E[{}]^2)/E[S^2]'])}".format(a))
            elif k == 3 and arrays:
                n, s = self.pick(arrays)
                self.emit(f"report r{i}[t in {s.name}] = E[{n}[t]{'*' + n + '[t]' if self.p(0.5) else ''}] - E[{a}]^2")
            elif k == 4:
                sc = self.field_scope()
                self.budget = 10
                self.emit(f"report r{i} = E[{self.real(sc, 3)}]")
            else:
                sc = self.field_scope()
                s = self.some_set(sc, 60)
                if s.kind != "range":
                    self.budget = 10
                    self.emit(f"report r{i}[t in {s.name}] = E[{self.real(sc.index('t', s), 2)}] + 0.5*E[{a}]")

    def program(self):
        self.emit("# smooth" if self.smooth else "# anything")
        self.emit("import samplers.hmc")
        for i in range(self.r.randint(1, 3)):
            v = f"{self.r.uniform(0.1, 1.5):.3g}"
            self.emit(f"param k{i} = {v}")
            self.top.num.append((f"k{i}", False))
        self.plain = []
        self.declare_sets()
        self.budget = 10
        self.declare_data()
        self.declare_fields()
        self.declare_functions()
        self.declare_actions()
        self.declare_observables()
        method = self.declare_sampler()
        names = ", ".join(n for n, _, _ in self.fields)
        density = f"exp(-S({names}))"
        start = self.pick(["", "", "  start = cold", "  start = normal(0, 0.5)"])
        if any(k == "positive" for _, _, k in self.fields):
            start = ""
        self.emit(f"sample {names} ~ {density} with {method} {{ chains = 8  warmup = 2  draws = 4{start} }}")
        self.declare_reports()
        return "\n".join(self.lines) + "\n"


def prod(xs):
    p = 1
    for x in xs:
        p *= x
    return p


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--seed", default="1")
    a.add_argument("--count", type=int, default=1)
    a.add_argument("--first", type=int, default=0)
    a.add_argument("--out")
    o = a.parse_args()
    for i in range(o.first, o.first + o.count):
        text = Gen(o.seed, i).program()
        if o.out:
            os.makedirs(o.out, exist_ok=True)
            with open(os.path.join(o.out, f"p{i:05d}.lqft"), "w", encoding="utf-8") as f:
                f.write(text)
        else:
            print(text, end="")


if __name__ == "__main__":
    main()
