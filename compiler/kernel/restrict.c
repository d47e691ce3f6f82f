/* restrict.c — kernels that change a part of their points only: a colour of a lattice in a local
 * update, one site of a sequential one.
 *
 * Recognises  x' = select(test and p, new, x)  where the test is an equation of integers,
 * affine in the axes and the numbers of loops, perhaps modulo m: a residue class.  Solved for
 * the innermost axis that takes part it says: every m-th point, from a phase on.  With axes
 * a0, a1 and a loop t,  (a0 + a1) mod 2 == t  is  a1 = a0 + t (mod 2).
 *
 * Such a kernel can be done in place although it reads neighbours, when none of these is in
 * the class itself: that is decided here from the indices, turns at the ends included.  It
 * holds of points that are left out as well as of points that are computed and keep
 * their value, so an executor that cannot leave points out need not. */
#include "kernel.h"

enum { MOST_MODULUS = 1 << 30, MOST_TURNS = 64 };

static int64_t mod(int64_t a, int64_t m) { return (a % m + m) % m; }

/* x with a*x = 1 modulo m; 0 when there is none. */
static int64_t inverse(int64_t a, int64_t m) {
    int64_t r = m, s = mod(a, m), x = 0, y = 1;
    while (s) {
        int64_t q = r / s, t = r - q * s;
        r = s, s = t;
        t = x - q * y, x = y, y = t;
    }
    return r == 1 ? mod(x, m) : 0;
}

/* ---- the class ------------------------------------------------------------------------ */

static bool whole(const Ir *ir, Ref r, int64_t *v) {
    double x;
    if (!ir_is_literal(ir, r, &x) || !(x > -MOST_MODULUS && x < MOST_MODULUS) || x != (double)(int64_t)x) return false;
    *v = (int64_t)x;
    return true;
}

/* The space of the axes that a truth value is looked at over. */
typedef struct Axes { Ir *ir; int rank; const int64_t *ext; } Axes;

/* The number of an axis, or a loop: below 2^30, so that what follows is exact. */
static bool number(const Axes *x, Ref r, Aff *out) {
    int64_t lo, hi;
    if (NODE(x->ir, r)->op != SC_IDX || NIDX(x->ir, r, 0)->mode != IX_EXACT) return false;
    *out = NIDX(x->ir, r, 0)->aff;
    ir_aff_range(x->ir, *out, x->rank, x->ext, &lo, &hi);
    return lo > -MOST_MODULUS && hi < MOST_MODULUS;
}

static bool multiple(const Axes *x, Ref a, Ref b, Aff *out) {
    enum { MOST_FACTOR = 1 << 20 };
    int64_t c;
    if (!whole(x->ir, a, &c)) { Ref t = a; a = b, b = t; }
    if (!whole(x->ir, a, &c) || c >= MOST_FACTOR || c <= -MOST_FACTOR || !number(x, b, out)) return false;
    *out = aff_scale(x->ir, *out, c);
    return true;
}

/* An affine form in place of arithmetic with whole numbers, which is exact. */
static bool whole_affine(const Axes *x, Ref r, int depth, Aff *out) {
    enum { MOST_DEPTH = 3 };
    Ir *ir = x->ir;
    Op op = (Op)NODE(ir, r)->op;
    int64_t c;
    Aff a, b;
    if (whole(ir, r, &c)) { *out = aff_const(ir, c); return true; }
    if (number(x, r, out)) return true;
    if (depth == MOST_DEPTH || (op != SC_ADD && op != SC_SUB && op != SC_MUL && op != SC_FMA)) return false;
    if (op == SC_MUL) return multiple(x, NARG(ir, r, 0), NARG(ir, r, 1), out);
    if (op == SC_FMA ? !multiple(x, NARG(ir, r, 0), NARG(ir, r, 1), &a) : !whole_affine(x, NARG(ir, r, 0), depth + 1, &a)) return false;
    if (!whole_affine(x, NARG(ir, r, op == SC_FMA ? 2 : 1), depth + 1, &b)) return false;
    *out = aff_add(ir, a, op == SC_SUB ? aff_scale(ir, b, -1) : b);
    return true;
}

/* A side of the equation. */
static bool side(const Axes *x, Ref r, Index *out) {
    *out = (Index){0, IX_EXACT, 0};
    if (NODE(x->ir, r)->op != SC_IDX || NIDX(x->ir, r, 0)->mode != IX_PERIODIC) return whole_affine(x, r, 0, &out->aff);
    *out = *NIDX(x->ir, r, 0);
    return true;
}

/* test: *d is a multiple of the result; 0 when it says something else. */
static int64_t equation(Ir *ir, Ref test, int rank, const int64_t *ext, Aff *d) {
    Index a, b;
    int64_t lo, hi;
    Axes x = {ir, rank, ext};
    if (NODE(ir, test)->op != SC_EQ || !side(&x, NARG(ir, test, 0), &a) || !side(&x, NARG(ir, test, 1), &b)) return 0;
    if (a.mode == IX_EXACT) { Index c = a; a = b, b = c; }
    *d = aff_add(ir, a.aff, aff_scale(ir, b.aff, -1));
    if (a.mode == IX_EXACT) {                 /* no turns: modulo more than the two can differ by */
        ir_aff_range(ir, *d, rank, ext, &lo, &hi);
        int64_t reach = hi > -lo ? hi : -lo;
        return reach < MOST_MODULUS ? reach + 1 : 0;
    }
    ir_aff_range(ir, b.aff, rank, ext, &lo, &hi);
    if (b.mode == IX_PERIODIC ? b.n != a.n : lo < 0 || hi >= a.n) return 0;
    return a.n < MOST_MODULUS ? a.n : 0;
}

/* An axis of one point is always at 0. */
static bool is_moving(Sym s, int rank, const int64_t *ext) { return s >= (Sym)rank || ext[s] > 1; }

bool kernel_only(Ir *ir, Ref test, int rank, const int64_t *ext, KOnly *out) {
    Aff d;
    int64_t m = equation(ir, test, rank, ext, &d), c = 0;
    if (m < 2) return false;
    const Affine *f = aff_get(ir, d);
    *out = (KOnly){.test = test, .axis = -1, .every = m};
    for (int i = 0; i < f->n; i++)
        if (f->t[i].sym < (Sym)rank && is_moving(f->t[i].sym, rank, ext) && f->t[i].c % m && (int)f->t[i].sym > out->axis)
            out->axis = (int)f->t[i].sym, c = f->t[i].c;
    int64_t inv = out->axis < 0 ? 0 : inverse(c, m);
    if (!inv) return false;
    out->phase = aff_const(ir, mod(-inv * mod(f->k, m), m));
    for (int i = 0; i < (f = aff_get(ir, d))->n; i++) {
        AffTerm t = f->t[i];
        if (t.sym == (Sym)out->axis || !is_moving(t.sym, rank, ext)) continue;
        out->phase = aff_add(ir, out->phase, aff_scale(ir, aff_sym(ir, t.sym), mod(-inv * mod(t.c, m), m)));
    }
    return true;
}

/* ---- what depends on it --------------------------------------------------------------------- */

bool kernel_reads_own(const Ir *ir, int rank, const int64_t *ext, Ref read) {
    Ref a = NARG(ir, read, 0);
    if (NODE(ir, a)->rank != rank) return false;
    for (int i = 0; i < rank; i++) {
        const Affine *f = aff_get(ir, NIDX(ir, read, i)->aff);
        if (f->k || f->n != 1 || f->t[0].sym != (Sym)i || f->t[0].c != 1 || NDIM(ir, a, i) != ext[i]) return false;
    }
    return true;
}

/* The first residue class, or `want`, among the truth values of which `when` is the conjunction. */
static Ref conjunct(Ir *ir, Ref when, int rank, const int64_t *ext, Ref want, int depth) {
    enum { MOST_DEPTH = 100 };
    KOnly only;
    if (NODE(ir, when)->op == SC_AND && depth < MOST_DEPTH) {
        Ref a = conjunct(ir, NARG(ir, when, 0), rank, ext, want, depth + 1);
        return a ? a : conjunct(ir, NARG(ir, when, 1), rank, ext, want, depth + 1);
    }
    return (!want || when == want) && kernel_only(ir, when, rank, ext, &only) ? when : 0;
}

Ref kernel_only_test(Ir *ir, Ref expr, int rank, const int64_t *ext, Op op, Ref want, Ref *old) {
    double v;
    *old = 0;
    if (NODE(ir, expr)->op != SC_SELECT || NODE(ir, expr)->boolean) return 0;
    Ref otherwise = NARG(ir, expr, 2);
    if (op != SC_NONE) {            /* adding 0 to a sum that began with 0 changes no bit, nor does times 1 */
        if (!ir_is_literal(ir, otherwise, &v) || !((op == SC_ADD && v == 0) || (op == SC_MUL && v == 1))) return 0;
    } else {
        if (NODE(ir, otherwise)->op != SC_READ || !kernel_reads_own(ir, rank, ext, otherwise)) return 0;
        *old = NARG(ir, otherwise, 0);
    }
    return conjunct(ir, NARG(ir, expr, 0), rank, ext, want, 0);
}

/* How often the coordinate of an axis counts in  axis - phase. */
static int64_t weight(const Ir *ir, const KOnly *only, int axis) {
    return axis == only->axis ? 1 : -aff_coef(ir, only->phase, (Sym)axis);
}

/* Is index d, less t turns, the own coordinate? */
static bool is_own_coordinate(const Ir *ir, const Index *ix, int d, int64_t t, const int64_t *ext) {
    const Affine *f = aff_get(ir, ix->aff);
    return ext[d] == 1 || (f->n == 1 && f->t[0].sym == (Sym)d && f->t[0].c == 1 && f->k == t * ix->n);
}

/* Can base plus the turns of the indices from number d on be a multiple of m?  Unless the
 * element is the own one (own: as far as the indices before d say), by way of turns. */
static bool meets(const Ir *ir, const KOnly *only, int rank, const int64_t *ext, Ref read, int d, bool own, int64_t base, int *left) {
    if (--*left < 0) return true;
    if (d == rank) return base == 0 && !own;
    const Index *ix = NIDX(ir, read, d);
    int64_t lo, hi, n = ix->n, first = 0, last = 0, step = mod(weight(ir, only, d) * n, only->every);
    ir_aff_range(ir, ix->aff, rank, ext, &lo, &hi);
    if (ix->mode == IX_PERIODIC || ix->mode == IX_ANTIPERIODIC) first = (lo - mod(lo, n)) / n, last = (hi - mod(hi, n)) / n;
    for (int64_t t = first; t <= last; t++) {
        int64_t there = mod(base - mod(t, only->every) * step, only->every);
        if (meets(ir, only, rank, ext, read, d + 1, own && is_own_coordinate(ir, ix, d, t, ext), there, left)) return true;
    }
    return false;
}

bool kernel_reads_apart(const Ir *ir, const KOnly *only, int rank, const int64_t *ext, Ref read) {
    Ref array = NARG(ir, read, 0);
    int64_t base = 0, coef[IR_MAX_RANK] = {0};
    int left = MOST_TURNS * (rank + 1);
    if (NODE(ir, array)->rank != rank) return false;
    for (int d = 0; d < rank; d++) {       /* by what the element's class differs from the own */
        if (NDIM(ir, array, d) != ext[d]) return false;
        const Affine *f = aff_get(ir, NIDX(ir, read, d)->aff);
        int64_t w = mod(weight(ir, only, d), only->every);
        coef[d] -= w;
        base += w * mod(f->k, only->every) % only->every;
        for (int i = 0; i < f->n; i++) {
            if (w && f->t[i].sym >= (Sym)rank) return false;
            if (f->t[i].sym < (Sym)rank) coef[f->t[i].sym] += w * mod(f->t[i].c, only->every) % only->every;
        }
    }
    for (int a = 0; a < rank; a++)
        if (ext[a] > 1 && coef[a] % only->every) return false;
    return !meets(ir, only, rank, ext, read, 0, true, mod(base, only->every), &left);
}

/* ---- what an executor makes of it --------------------------------------------------------------- */

/* The points of a part of a row that is summed for itself: from one point to the next at most one
 * part may end, unless each point is a part. */
static int64_t shortest_part(const KKernel *k) {
    int64_t n = k->ext[k->rank - 1];
    for (int i = 0; i < k->nroots; i++)
        if (k->roots[i].nred > 0) return n / reduce_parts(n);
    return n;
}

int64_t kernel_step(const KKernel *k, bool across) {
    if (!k->only.test || k->only.everywhere || k->only.axis != k->rank - 1) return 1;
    int64_t n = k->ext[k->rank - 1];
    if (across) return n / reduce_parts(n) % k->only.every ? 1 : k->only.every;      /* alike in all parts, or not */
    int64_t part = shortest_part(k);
    return part > 1 && part < n && part < k->only.every ? 1 : k->only.every;
}

double kernel_points(const KKernel *k, bool across) {
    double n = 1;
    for (int a = 0; a < k->rank; a++) n *= (double)k->ext[a];
    if (!k->only.test || k->only.everywhere) return n;
    bool outer = k->only.axis < k->rank - 1;
    int64_t every = outer ? k->only.every : kernel_step(k, across);
    if (every > k->ext[k->only.axis]) every = k->ext[k->only.axis];     /* a look at each row at least */
    return n / (double)every;
}
