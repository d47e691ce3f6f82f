/* test_diff.c — derivatives against central differences and against the transposed
 * dot product, through the interpreter: indices in every mode, reductions, loops. */
#include "../../compiler/ir/ir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void check(bool ok, const char *fmt, ...) LQ_PRINTF(2, 3);
static void check(bool ok, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf(ok ? "ok    " : "FAIL  ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    failures += !ok;
}

/* ---- building ------------------------------------------------------------------------ */

static Ir *ir;      /* of the test that runs */

static Ref num(double v) { return ir_const(ir, v); }
static Ref add(Ref a, Ref b) { return ir_binary(ir, SC_ADD, a, b); }
static Ref sub(Ref a, Ref b) { return ir_binary(ir, SC_SUB, a, b); }
static Ref mul(Ref a, Ref b) { return ir_binary(ir, SC_MUL, a, b); }
static Ref dvd(Ref a, Ref b) { return ir_binary(ir, SC_DIV, a, b); }
static Ref fun(Op op, Ref a) { return ir_unary(ir, op, a); }
static Ref sq(Ref a) { return mul(a, a); }

static Aff ax(Sym s, int64_t k) { return aff_shift(ir, aff_sym(ir, s), k); }

static Ref at0(Ref a) { return ir_read(ir, a, NULL); }

static Ref at1(Ref a, Aff i, IndexMode mode)
{
    Index ix = {i, mode, NDIM(ir, a, 0)};
    return ir_read(ir, a, &ix);
}

static Ref at2(Ref a, Aff i, IndexMode mi, Aff j, IndexMode mj)
{
    Index ix[2] = {{i, mi, NDIM(ir, a, 0)}, {j, mj, NDIM(ir, a, 1)}};
    return ir_read(ir, a, ix);
}

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

static Ref vec(const char *name, int64_t n) { return ir_input(ir, name, 1, &n, false, false); }
static Ref mat(const char *name, int64_t n, int64_t m) { return ir_input(ir, name, 2, DIMS(n, m), false, false); }
static Ref sum(int nred, const int64_t *dims, Ref body) { return ir_reduce(ir, SC_ADD, 0, nred, dims, body); }

/* ---- running ------------------------------------------------------------------------- */

static double noise(uint32_t *state)
{ /* in (-1, 1) */
    *state = *state * 1664525u + 1013904223u;
    return ((double)(*state >> 8) + 0.5) / 8388608.0 - 1;
}

static const char *run(int nin, const Ref *in, int nout, const Ref *out, double **x, double **y)
{
    IrFunc f = {"test", (Ref *)in, nin, (Ref *)out, nout, ir, false, NULL, 0, false};
    const char *wrong = ir_verify(&f);
    if (!wrong) interp_call(&f, (const double *const *)x, y, (RandKey){1, 2, 3});
    return wrong;
}

static double *values(Ref a, uint32_t seed, double center, double width)
{
    int64_t n = ir_elements(ir, a);
    double *x = lq_alloc((size_t)(n + 1) * sizeof *x);
    seed *= 2654435761u;      /* neighbouring seeds would start alike */
    for (int64_t i = 0; i < n; i++) x[i] = center + width * noise(&seed);
    return x;
}

/* Largest |a - b| over the largest |b|; NaN counts as far. */
static double distance(const double *a, const double *b, int64_t n)
{
    double d = 0, scale = 1e-3;
    for (int64_t i = 0; i < n; i++) {
        if (!(fabs(a[i] - b[i]) <= d)) d = isnan(a[i] - b[i]) ? INFINITY : fabs(a[i] - b[i]);
        scale = fmax(scale, fabs(b[i]));
    }
    return d / scale;
}

#define MAX_IN 6
static double center = 0.3, width = 1;

static double value_at(int nin, const Ref *in, double **x, Ref s)
{
    double v = NAN, *y = &v;
    run(nin, in, 1, &s, x, &y);
    return v;
}

/* Gradient of the rank-0 array s against central differences: 4th order, step h. */
static double gradient_error(int nin, const Ref *in, Ref s, const char **wrong)
{
    Ref g[MAX_IN];
    double *x[MAX_IN], *y[MAX_IN], worst = 0;
    DiffError err;
    *wrong = NULL;
    if (!ir_grad(ir, s, 0, nin, in, g, &err)) { *wrong = err.why; return INFINITY; }
    for (int i = 0; i < nin; i++) {
        x[i] = values(in[i], 77u + (uint32_t)i, center, width);
        y[i] = values(in[i], 0, 0, 0);
    }
    *wrong = run(nin, in, nin, g, x, y);
    for (int i = 0; i < nin && !*wrong; i++) {
        int64_t n = ir_elements(ir, in[i]);
        double *d = values(in[i], 0, 0, 0);
        for (int64_t k = 0; k < n; k++) {
            double old = x[i][k], h = 1e-3, v[4];
            for (int j = 0; j < 4; j++) {
                x[i][k] = old + h * (j < 2 ? j - 2 : j - 1);
                v[j] = value_at(nin, in, x, s);
            }
            x[i][k] = old;
            d[k] = (8 * (v[2] - v[1]) - (v[3] - v[0])) / (12 * h);
        }
        worst = fmax(worst, distance(y[i], d, n));
        free(d);
    }
    for (int i = 0; i < nin; i++) free(x[i]), free(y[i]);
    return worst;
}

static bool grad_quiet(int nin, const Ref *in, Ref s, const char *what)
{
    const char *wrong;
    double e = gradient_error(nin, in, s, &wrong);
    if (wrong) check(false, "%s: %s", what, wrong);
    else if (!(e < 1e-7)) check(false, "%s: off by %.2g", what, e);
    return !wrong && e < 1e-7;
}

static void grad_check(int nin, const Ref *in, Ref s, const char *what)
{
    if (grad_quiet(nin, in, s, what)) check(true, "%s", what);
}

/* The gradient of w·gradient with fixed weights w: second derivatives. */
static Ref weighted_gradient(Ref s, int nin, const Ref *in)
{
    Ref g[MAX_IN], total = num(0);
    DiffError err;
    if (!ir_grad(ir, s, 0, nin, in, g, &err)) return 0;
    for (int i = 0; i < nin; i++) {
        int rank = NODE(ir, in[i])->rank;
        int64_t dims[IR_MAX_RANK];
        Index ix[IR_MAX_RANK];
        Ref w = num(0.7);
        for (int d = 0; d < rank; d++) {
            dims[d] = NDIM(ir, in[i], d);
            ix[d] = (Index){ax((Sym)d, 0), IX_EXACT, dims[d]};
            w = add(w, mul(num(0.3 + d), fun(SC_SIN, ir_idx(ir, ix[d]))));
        }
        total = add(total, at0(ir_reduce(ir, SC_ADD, 0, rank, dims, mul(w, ir_read(ir, g[i], ix)))));
    }
    return ir_map(ir, 0, NULL, total);
}

static void second_check(int nin, const Ref *in, Ref s, const char *what)
{
    Ref d = weighted_gradient(s, nin, in);
    if (d) grad_check(nin, in, d, what);
    else check(false, "%s: no first derivative", what);
}

/* <J x, y> = <x, J^T y> for an output linear in x (inputs other than x stay fixed). */
static double dot_error(int nin, const Ref *in, int which, Ref out, const char **wrong)
{
    int64_t dims[IR_MAX_RANK];
    int rank = NODE(ir, out)->rank;
    for (int i = 0; i < rank; i++) dims[i] = NDIM(ir, out, i);
    Ref seed = ir_input(ir, "seed", rank, dims, false, false), all[MAX_IN + 1], outs[2] = {out, 0};
    DiffError err;
    memcpy(all, in, (size_t)nin * sizeof *all);
    all[nin] = seed;
    if (!ir_grad(ir, out, seed, 1, &in[which], &outs[1], &err)) { *wrong = err.why; return INFINITY; }
    double *x[MAX_IN + 1], *y[2] = {values(out, 0, 0, 0), values(in[which], 0, 0, 0)};
    for (int i = 0; i <= nin; i++) x[i] = values(all[i], 5u + (uint32_t)i, 0, 1);
    *wrong = run(nin + 1, all, 2, outs, x, y);
    double a = 0, b = 0, size = 0;
    for (int64_t i = 0; i < ir_elements(ir, out); i++) a += y[0][i] * x[nin][i], size += fabs(y[0][i] * x[nin][i]);
    for (int64_t i = 0; i < ir_elements(ir, in[which]); i++) b += y[1][i] * x[which][i];
    for (int i = 0; i <= nin; i++) free(x[i]);
    free(y[0]), free(y[1]);
    return fabs(a - b) / (size + 1e-12);
}

static void dot_check(int nin, const Ref *in, int which, Ref out, const char *what)
{
    const char *wrong = NULL;
    double e = dot_error(nin, in, which, out, &wrong);
    if (wrong) check(false, "%s: %s", what, wrong);
    else check(e < 1e-11, "%s: %.1g", what, e);
}

/* ---- scalar rules ---------------------------------------------------------------------- */

static void test_rules(void)
{
    static const struct { Op op; double center, width; } one[] = {
        {SC_NEG, 0, 1}, {SC_ABS, 2, 1}, {SC_SQRT, 2, 1}, {SC_EXP, 0, 1}, {SC_EXPM1, 0, 1}, {SC_LOG, 2, 1},
        {SC_LOG1P, 1, 1}, {SC_SIN, 0, 2}, {SC_COS, 0, 2}, {SC_TAN, 0, 1}, {SC_ASIN, 0, .6}, {SC_ACOS, 0, .6},
        {SC_ATAN, 0, 2}, {SC_SINH, 0, 1}, {SC_COSH, 0, 1}, {SC_TANH, 0, 1}, {SC_ASINH, 0, 2}, {SC_ACOSH, 3, 1},
        {SC_ATANH, 0, .6}, {SC_ERF, 0, 1}, {SC_ERFC, 0, 1}, {SC_LGAMMA, 2, 1}, {SC_LGAMMA, 6, 3}, {SC_LOG_I0, 0, 3},
        {SC_LOG_I0, 9, 3}, {SC_BESSEL_RATIO, 0, 3}, {SC_BESSEL_RATIO, 9, 3}, {SC_SOFTPLUS, 0, 3}, {SC_SIGMOID, 0, 3}, {SC_SIGN, 2, 1}, {SC_FLOOR, .5, .4}, {SC_ROUND, .1, .3}};
    static const Op two[] = {SC_ADD, SC_SUB, SC_MUL, SC_DIV, SC_MIN, SC_MAX, SC_ATAN2, SC_POW};
    bool good = true;
    for (int i = 0; i < LQ_COUNT(one); i++) {
        ir = ir_new();
        Ref x = vec("x", 5), f = fun(one[i].op, at1(x, ax(0, 0), IX_EXACT));
        center = one[i].center, width = one[i].width;
        good &= grad_quiet(1, &x, sum(1, DIMS(5), f), op_name(one[i].op));
        ir_free(ir);
    }
    check(good, "operations of one operand");
    center = 2, width = 1, good = true;
    for (int i = 0; i < LQ_COUNT(two); i++) {
        ir = ir_new();
        Ref in[2] = {vec("x", 5), vec("y", 5)};
        Ref f = ir_binary(ir, two[i], at1(in[0], ax(0, 0), IX_EXACT), at1(in[1], ax(0, 0), IX_EXACT));
        good &= grad_quiet(2, in, sum(1, DIMS(5), f), op_name(two[i]));
        good &= grad_quiet(2, in, sum(1, DIMS(5), sq(f)), op_name(two[i]));
        ir_free(ir);
    }
    check(good, "operations of two operands");
    ir = ir_new();
    Ref in[3] = {vec("x", 5), vec("y", 5), vec("z", 5)}, r[3];
    for (int i = 0; i < 3; i++) r[i] = at1(in[i], ax(0, 0), IX_EXACT);
    Ref f = ir_fma(ir, fun(SC_SIN, r[0]), r[1], sq(r[2]));
    f = add(f, ir_select(ir, ir_binary(ir, SC_LT, r[0], r[1]), mul(r[0], r[2]), fun(SC_EXP, r[1])));
    f = add(f, ir_binary(ir, SC_POW, r[0], num(2.5)));
    grad_check(3, in, sum(1, DIMS(5), f), "fma, select, constant power");
    second_check(3, in, sum(1, DIMS(5), f), "the same twice");
    Ref x = vec("x", 1), x0 = at1(x, ax(0, 0), IX_EXACT), g, l = sum(1, DIMS(1), fun(SC_DIGAMMA, x0));
    DiffError err;
    check(!ir_grad(ir, l, 0, 1, &x, &g, &err) && strstr(err.why, "digamma"), "digamma is refused");
    Ref root = ir_select(ir, ir_binary(ir, SC_LT, num(0), x0), fun(SC_SQRT, x0), num(0));
    double zero = 0, slope = NAN, *px = &zero, *py = &slope;
    check(ir_grad(ir, sum(1, DIMS(1), sq(root)), 0, 1, &x, &g, &err) && !run(1, &x, 1, &g, &px, &py) && slope == 0,
          "the branch not taken adds nothing, not even NaN");
    ir_free(ir);
    center = 0.3, width = 1;
}

/* ---- index modes ------------------------------------------------------------------------ */

static const IndexMode modes[] = {IX_PERIODIC, IX_ANTIPERIODIC, IX_ZERO};
static const char *const mode_name[] = {"periodic", "antiperiodic", "zero"};
static const int64_t extents[] = {1, 2, 3, 4, 7};
static const int64_t shifts[][2] = {{1, 0}, {0, 5}, {-2, 1}};

/* A nonlinear action on an L x (L+1) lattice with reads at all of the shifts. */
static Ref action(Ref phi, int64_t l, IndexMode mode)
{
    Ref here = at2(phi, ax(0, 0), IX_EXACT, ax(1, 0), IX_EXACT), body = sq(sq(here));
    Ref previous = here;
    for (int k = 0; k < LQ_COUNT(shifts); k++) {
        Ref there = at2(phi, ax(0, shifts[k][0]), mode, ax(1, shifts[k][1]), mode);
        body = add(body, mul(num(0.5 + k), mul(here, sq(there))));
        body = add(body, fun(SC_SIN, sub(there, previous)));
        body = add(body, mul(there, mul(previous, previous)));
        previous = there;
    }
    return sum(2, DIMS(l, l + 1), body);
}

static void test_modes(void)
{
    for (int m = 0; m < 3; m++) {
        bool first = true, second = true, linear = true;
        for (int e = 0; e < LQ_COUNT(extents); e++) {
            int64_t l = extents[e];
            ir = ir_new();
            Ref phi = mat("phi", l, l + 1), s = action(phi, l, modes[m]);
            first &= grad_quiet(1, &phi, s, mode_name[m]);
            if (l < 4) second &= grad_quiet(1, &phi, weighted_gradient(s, 1, &phi), mode_name[m]);
            for (int k = -9; k < 10; k++)
                for (int c = -1; c <= 1; c += 2) {
                    const char *wrong = NULL;
                    Ref x = vec("x", l);
                    Ref y = ir_map(ir, 1, &l, at1(x, aff_shift(ir, aff_scale(ir, ax(0, 0), c), k), modes[m]));
                    linear &= dot_error(1, &x, 0, y, &wrong) < 1e-11 && !wrong;
                }
            ir_free(ir);
        }
        check(first, "2-D action, %s", mode_name[m]);
        check(second, "2-D action twice, %s", mode_name[m]);
        check(linear, "shifts and reflections, %s: transposed", mode_name[m]);
    }
}

static void count_sums(void *ctx, Ref r) { *(int *)ctx += NODE(ir, r)->op == AR_REDUCE; }

/* Shifts on a ring invert to shifts: the derivative is a gather, without any sum. */
static void test_gather(void)
{
    for (int m = 0; m < 3; m++) {
        ir = ir_new();
        Ref phi = mat("phi", 4, 5), s = action(phi, 4, modes[m]), g, sum_of_g, h;
        DiffError err;
        int n = 0, n2 = 0;
        bool ok = ir_grad(ir, s, 0, 1, &phi, &g, &err);
        ir_walk(ir, 1, &g, count_sums, &n);
        sum_of_g = sum(2, DIMS(4, 5), sq(at2(g, ax(0, 0), IX_EXACT, ax(1, 0), IX_EXACT)));
        ok = ok && ir_grad(ir, sum_of_g, 0, 1, &phi, &h, &err);
        ir_walk(ir, 1, &h, count_sums, &n2);
        check(ok && n == 0 && n2 == 0, "derivatives of the action are gathers, %s", mode_name[m]);
        ir_free(ir);
    }
}

/* Two reads at all pairs of shifts and signs: factors of wrapped axes must cancel. */
static void test_pairs(void)
{
    for (int m = 0; m < 3; m++)
        for (int m2 = 0; m2 < 3; m2++) {
            bool good = true;
            for (int64_t l = 1; l <= 3; l++) {
                ir = ir_new();
                Ref in[2] = {vec("x", l), vec("y", l)}, total = num(0);
                for (int a = -4; a <= 4; a++)
                    for (int c = -1; c <= 1; c += 2) {
                        Ref p = at1(in[0], ax(0, a), modes[m]);
                        Ref q = at1(in[1], aff_shift(ir, aff_scale(ir, ax(0, 0), c), 2 - a), modes[m2]);
                        Ref n = ir_idx(ir, (Index){ax(0, a), IX_PERIODIC, l});
                        Ref n2 = ir_idx(ir, (Index){ax(0, 1), IX_EXACT, 0});
                        Ref f = mul(add(p, add(n, n2)), mul(q, num(1 + 0.1 * a)));
                        f = ir_select(ir, ir_inrange(ir, ax(0, -1), 2), f, sq(f));
                        total = add(total, f);
                    }
                good &= grad_quiet(2, in, sum(1, &l, total), "pairs of shifted reads");
                ir_free(ir);
            }
            check(good, "products of shifted reads, %s and %s", mode_name[m], mode_name[m2]);
        }
}

static void test_indices(void)
{
    ir = ir_new();
    Ref in[3];
    /* convolution: two axes in one index, all modes, and exact */
    in[0] = vec("x", 7), in[1] = vec("w", 3);
    Ref conv = ir_reduce(ir, SC_ADD, 1, 1, DIMS(5, 3), mul(at1(in[1], ax(1, 0), IX_EXACT),
                         at1(in[0], aff_add(ir, ax(0, 0), ax(1, 0)), IX_EXACT)));
    dot_check(2, in, 0, conv, "x[i+t], exact");
    dot_check(2, in, 1, conv, "w[t] with x[i+t]");
    grad_check(2, in, sum(1, DIMS(5), sq(at1(conv, ax(0, 0), IX_EXACT))), "square of a convolution");
    for (int m = 0; m < 3; m++) {
        Aff i = aff_add(ir, ax(0, -2), aff_scale(ir, ax(1, 0), m == 1 ? -1 : 1));
        conv = ir_reduce(ir, SC_ADD, 1, 1, DIMS(7, 3), mul(at1(in[1], ax(1, 0), IX_EXACT), at1(in[0], i, modes[m])));
        Ref s = sum(1, DIMS(7), sq(at1(conv, ax(0, 0), IX_EXACT)));
        char what[80];
        snprintf(what, sizeof what, "convolution around the ring, %s", mode_name[m]);
        dot_check(2, in, 0, conv, what);
        grad_check(2, in, s, what);
        second_check(2, in, s, what);
    }
    /* both axes of the same length: correlation over the whole ring */
    for (int m = 0; m < 3; m++) {
        Ref f = mul(at1(in[0], ax(0, 0), IX_EXACT), at1(in[0], aff_add(ir, ax(0, 0), ax(1, 1)), modes[m]));
        Ref cor = ir_reduce(ir, SC_ADD, 1, 1, DIMS(7, 7), mul(f, at1(in[0], ax(1, 2), modes[(m + 1) % 3])));
        Ref s = sum(1, DIMS(7), fun(SC_SIN, at1(cor, ax(0, 0), IX_EXACT)));
        grad_check(1, in, s, "correlation over a ring");
    }
    /* constant, strided, reversed */
    Ref one = add(at1(in[0], aff_const(ir, 3), IX_EXACT), at1(in[0], aff_const(ir, -1), IX_ANTIPERIODIC));
    dot_check(1, in, 0, ir_map(ir, 1, DIMS(4), mul(one, ir_idx(ir, (Index){ax(0, 1), IX_EXACT, 0}))), "x[3] - x[6]");
    Aff odd = aff_shift(ir, aff_scale(ir, ax(0, 0), 2), 1);
    dot_check(1, in, 0, ir_map(ir, 1, DIMS(3), at1(in[0], odd, IX_EXACT)), "x[2i+1]");
    for (int m = 0; m < 3; m++)
        dot_check(1, in, 0, ir_map(ir, 1, DIMS(9), at1(in[0], odd, modes[m])), "x[2i+1] around the ring");
    dot_check(1, in, 0, ir_map(ir, 1, DIMS(7), at1(in[0], aff_shift(ir, aff_scale(ir, ax(0, 0), -1), 6), IX_EXACT)),
              "x[6-i]");
    for (int64_t n = 4; n <= 11; n += 7)
        for (int m = 0; m < 3; m++)
            dot_check(1, in, 0, ir_map(ir, 1, &n, at1(in[0], ax(0, 2), modes[m])), "another extent");
    /* diagonal, contraction, transposition */
    in[0] = mat("a", 4, 4), in[1] = vec("x", 4), in[2] = mat("w", 5, 4);
    dot_check(1, in, 0, ir_map(ir, 1, DIMS(4), at2(in[0], ax(0, 0), IX_EXACT, ax(0, 0), IX_EXACT)), "a[i,i]");
    for (int m = 0; m < 3; m++)
        dot_check(1, in, 0, ir_map(ir, 1, DIMS(4), at2(in[0], ax(0, 1), modes[m], ax(0, -2), modes[(m + 1) % 3])),
                  "a[i+1,i-2]");
    for (int m = 0; m < 3; m++)
        dot_check(1, in, 0, ir_map(ir, 2, DIMS(4, 4),
                  at2(in[0], aff_add(ir, ax(0, 1), ax(1, 0)), modes[m], ax(1, 3), modes[(m + 1) % 3])), "a[i+j+1,j+3]");
    Ref wx = ir_reduce(ir, SC_ADD, 1, 1, DIMS(5, 4), mul(at2(in[2], ax(0, 0), IX_EXACT, ax(1, 0), IX_EXACT),
                                                         at1(in[1], ax(1, 0), IX_EXACT)));
    dot_check(3, in, 1, wx, "w[j,i]*x[i] by x");
    dot_check(3, in, 2, wx, "w[j,i]*x[i] by w");
    grad_check(3, in, sum(1, DIMS(5), fun(SC_TANH, at1(wx, ax(0, 0), IX_EXACT))), "a layer");
    second_check(3, in, sum(1, DIMS(5), fun(SC_TANH, at1(wx, ax(0, 0), IX_EXACT))), "a layer, twice");
    ir_free(ir);
}

/* ---- reductions ---------------------------------------------------------------------------- */

static void test_reductions(void)
{
    ir = ir_new();
    Ref x = mat("x", 3, 4), here = at2(x, ax(0, 0), IX_EXACT, ax(1, 0), IX_EXACT);
    Ref shifted = add(here, at2(x, ax(0, 1), IX_PERIODIC, ax(1, -1), IX_PERIODIC));
    Ref prod = ir_reduce(ir, SC_MUL, 1, 1, DIMS(3, 4), shifted);
    Ref s = sum(1, DIMS(3), sq(at1(prod, ax(0, 0), IX_EXACT)));
    grad_check(1, &x, s, "product");
    second_check(1, &x, s, "product, twice");
    Ref zeros = ir_select(ir, ir_binary(ir, SC_EQ, ir_idx(ir, (Index){ax(1, 0), IX_EXACT, 0}), num(2)),
                          sub(here, here), here);
    grad_check(1, &x, sum(1, DIMS(3), at1(ir_reduce(ir, SC_MUL, 1, 1, DIMS(3, 4), zeros), ax(0, 0), IX_EXACT)),
               "product with a constant zero");
    Ref peak = ir_reduce(ir, SC_MAX, 1, 1, DIMS(3, 4), sq(shifted)), low = ir_reduce(ir, SC_MIN, 1, 1, DIMS(3, 4), here);
    grad_check(1, &x, sum(1, DIMS(3), mul(at1(peak, ax(0, 0), IX_EXACT), at1(low, ax(0, 1), IX_PERIODIC))),
               "maximum and minimum");
    second_check(1, &x, sum(1, DIMS(3), mul(at1(peak, ax(0, 0), IX_EXACT), at1(low, ax(0, 1), IX_PERIODIC))),
                 "maximum and minimum, twice");
    Ref mean = ir_reduce(ir, SC_ADD, 1, 1, DIMS(3, 4), fun(SC_EXP, here));
    Ref soft = ir_map(ir, 2, DIMS(3, 4), dvd(fun(SC_EXP, here), at1(mean, ax(0, 0), IX_EXACT)));
    Ref f = mul(at2(soft, ax(0, 0), IX_EXACT, ax(1, 0), IX_EXACT), fun(SC_LOG, at2(soft, ax(0, 0), IX_EXACT, ax(1, 1), IX_PERIODIC)));
    grad_check(1, &x, sum(2, DIMS(3, 4), f), "nested reductions");
    second_check(1, &x, sum(2, DIMS(3, 4), f), "nested reductions, twice");
    Ref v = vec("v", 4), g;
    DiffError err;
    double one[4] = {0, 2, 0, 3}, d[4], *px = one, *py = d;
    Ref p = ir_reduce(ir, SC_MUL, 0, 1, DIMS(4), at1(v, ax(0, 0), IX_EXACT));
    bool ok = ir_grad(ir, p, 0, 1, &v, &g, &err) && !run(1, &v, 1, &g, &px, &py);
    check(ok && d[0] == 0 && d[1] == 0 && d[2] == 0 && d[3] == 0, "product with two zeros");
    one[2] = 5;
    ok = ok && !run(1, &v, 1, &g, &px, &py);
    check(ok && d[0] == 30 && d[1] == 0 && d[2] == 0 && d[3] == 0, "product with one zero");
    p = ir_reduce(ir, SC_MAX, 0, 1, DIMS(4), at1(v, ax(0, 0), IX_EXACT));
    one[0] = 5;
    ok = ir_grad(ir, p, 0, 1, &v, &g, &err) && !run(1, &v, 1, &g, &px, &py);
    check(ok && d[0] == 0.5 && d[1] == 0 && d[2] == 0.5 && d[3] == 0, "ties of a maximum share");
    ir_free(ir);
}

/* ---- draws ------------------------------------------------------------------------------------ */

/* Draws are constants, told apart by the number of their site: where the derivative moves
 * an axis around the ring, that number must come back into the range of the axis. */
static void test_draws(void)
{
    ir = ir_new();
    for (int m = 0; m < 3; m++) {
        Ref x = vec("x", 4), draw = ir_rand(ir, 0, true, ax(0, 0), aff_const(ir, 0));
        Ref y = ir_map(ir, 1, DIMS(4), mul(draw, at1(x, ax(0, 1), modes[m])));
        Ref there = at1(y, ax(0, 0), IX_EXACT);
        grad_check(1, &x, sum(1, DIMS(4), fun(SC_SIN, there)), "draws with a shifted width");
        second_check(1, &x, sum(1, DIMS(4), fun(SC_SIN, there)), "draws with a shifted width, twice");
    }
    ir_free(ir);
}

/* ---- loops ------------------------------------------------------------------------------------ */

static Ref force(Ref q, int64_t n)
{
    Ref here = at1(q, ax(0, 0), IX_EXACT), there = at1(q, ax(0, 1), IX_ANTIPERIODIC);
    Ref s = sum(1, &n, add(sq(sq(here)), sq(sub(here, there)))), g;
    DiffError err;
    return ir_grad(ir, s, 0, 1, &q, &g, &err) ? g : 0;
}

static Ref axpy(Ref y, double a, Ref x, int64_t n)
{
    return ir_map(ir, 1, &n, add(at1(y, ax(0, 0), IX_EXACT), mul(num(a), at1(x, ax(0, 0), IX_EXACT))));
}

/* The energy after some leapfrog steps whose force is itself a gradient. */
static Ref leapfrog(const Ref *in, int64_t n, int steps)
{
    uint32_t loop = ir_loop_new(ir, steps, (Span){0, 0, 0});
    Ref q = ir_carry(ir, loop, 0, in[0]), p = ir_carry(ir, loop, 1, in[1]);
    Ref half = axpy(p, -0.05, force(q, n), n), q1 = axpy(q, 0.1, half, n), p1 = axpy(half, -0.05, force(q1, n), n);
    Ref next[2] = {q1, p1}, end = ir_loop(ir, loop, -1, 2, in, next);
    Ref a = at1(ir_proj(ir, end, 0), ax(0, 0), IX_EXACT), b = at1(ir_proj(ir, end, 1), ax(0, 0), IX_EXACT);
    return sum(1, &n, add(mul(a, sq(b)), fun(SC_SIN, a)));
}

/* A loop over x with a fixed array w, its iteration number, and a use of the stack. */
static Ref driven(const Ref *in, int64_t n, int64_t trip)
{
    uint32_t loop = ir_loop_new(ir, trip, (Span){0, 0, 0});
    Ref x = ir_carry(ir, loop, 0, in[0]);
    Ref t = ir_idx(ir, (Index){aff_sym(ir, SYM_LOOP + loop), IX_EXACT, 0});
    Ref w = ir_map(ir, 1, &n, fun(SC_COS, at1(in[1], ax(0, 0), IX_EXACT)));
    Aff moving = aff_add(ir, ax(0, 0), aff_sym(ir, SYM_LOOP + loop));
    Ref f = mul(at1(w, moving, IX_PERIODIC), add(num(1), mul(num(0.1), t)));
    f = add(mul(num(0.5), fun(SC_SIN, at1(x, ax(0, 1), IX_PERIODIC))), mul(f, at1(x, ax(0, 0), IX_EXACT)));
    Ref next = ir_map(ir, 1, &n, f), end = ir_loop(ir, loop, -1, 1, in, &next);
    Ref stack = ir_stack(ir, end, 0), last = ir_proj(ir, end, 0);
    Ref h = sum(2, DIMS(trip, n), fun(SC_SIN, at2(stack, ax(0, 0), IX_EXACT, ax(1, 0), IX_EXACT)));
    Ref e = sum(1, &n, sq(at1(last, ax(0, 0), IX_EXACT)));
    return ir_map(ir, 0, NULL, add(at0(h), mul(at0(e), at0(e))));
}

/* An outer loop whose body runs an inner one that uses the outer carry, both iteration
 * numbers and a fixed array. */
static Ref nested(const Ref *in, int64_t n)
{
    uint32_t outer = ir_loop_new(ir, 3, (Span){0, 0, 0}), inner = ir_loop_new(ir, 2, (Span){0, 0, 0});
    Ref x = ir_carry(ir, outer, 0, in[0]), zero = ir_map(ir, 1, &n, num(0.2)), y = ir_carry(ir, inner, 0, zero);
    Ref t = ir_idx(ir, (Index){aff_add(ir, aff_sym(ir, SYM_LOOP + outer), aff_sym(ir, SYM_LOOP + inner)), IX_EXACT, 0});
    Ref f = add(mul(at1(in[1], ax(0, 1), IX_PERIODIC), at1(x, ax(0, 0), IX_EXACT)), mul(num(0.1), mul(t, at1(y, ax(0, 0), IX_EXACT))));
    Ref y1 = ir_map(ir, 1, &n, fun(SC_SIN, add(f, sq(at1(y, ax(0, 2), IX_ANTIPERIODIC)))));
    Ref run_inner = ir_loop(ir, inner, -1, 1, &zero, &y1), res = ir_proj(ir, run_inner, 0);
    Ref x1 = ir_map(ir, 1, &n, add(at1(res, ax(0, 0), IX_EXACT), mul(num(0.3), at1(x, ax(0, 1), IX_PERIODIC))));
    Ref end = ir_loop(ir, outer, -1, 1, in, &x1);
    return sum(1, &n, sq(at1(ir_proj(ir, end, 0), ax(0, 0), IX_EXACT)));
}

static void test_loops(void)
{
    ir = ir_new();
    Ref in[2] = {vec("q", 4), vec("p", 4)};
    grad_check(2, in, leapfrog(in, 4, 5), "leapfrog of 5 steps");
    second_check(2, in, leapfrog(in, 4, 5), "leapfrog of 5 steps, twice");
    grad_check(2, in, leapfrog(in, 4, 1), "leapfrog of 1 step");
    for (int trip = 1; trip <= 4; trip++) grad_check(2, in, driven(in, 4, trip), "loop with a fixed array and its stack");
    second_check(2, in, driven(in, 4, 3), "loop with a fixed array and its stack, twice");
    ir_free(ir);
    ir = ir_new();
    in[0] = vec("q", 3), in[1] = vec("p", 3);
    grad_check(2, in, nested(in, 3), "nested loops");
    second_check(2, in, nested(in, 3), "nested loops, twice");
    ir_free(ir);
}

/* A loop with a truth value among its carries that stops it early. */
static void test_stopping(void)
{
    ir = ir_new();
    Ref x = vec("x", 2), yes = ir_map(ir, 0, NULL, ir_bool(ir, true)), init[2] = {x, yes};
    uint32_t loop = ir_loop_new(ir, 6, (Span){0, 0, 0});
    Ref c = ir_carry(ir, loop, 0, x), on = ir_carry(ir, loop, 1, yes), here = at1(c, ax(0, 0), IX_EXACT);
    Ref grown = ir_map(ir, 1, DIMS(2), ir_select(ir, at0(on), mul(here, add(num(1.3), mul(num(0.1), sq(here)))), here));
    Ref size = sum(1, DIMS(2), sq(here));
    Ref still = ir_map(ir, 0, NULL, ir_binary(ir, SC_LT, at0(size), num(0.7)));
    Ref next[2] = {grown, still}, end = ir_loop(ir, loop, 1, 2, init, next);
    grad_check(1, &x, sum(1, DIMS(2), fun(SC_SIN, at1(ir_proj(ir, end, 0), ax(0, 0), IX_EXACT))), "loop that stops early");
    ir_free(ir);
}

static void test_depth(void)
{
    ir = ir_new();
    Ref x = vec("x", 3), a = x;
    for (int i = 0; i < 10000; i++) {
        Ref here = at1(a, ax(0, 0), IX_EXACT);
        Ref f = add(here, mul(num(1e-4), fun(SC_SIN, at1(a, ax(0, 1), IX_PERIODIC))));
        a = ir_map(ir, 1, DIMS(3), f);
    }
    grad_check(1, &x, sum(1, DIMS(3), sq(at1(a, ax(0, 0), IX_EXACT))), "a chain of 10000 maps");
    ir_free(ir);
}

int main(void)
{
    test_rules();
    test_modes();
    test_gather();
    test_pairs();
    test_indices();
    test_reductions();
    test_draws();
    test_loops();
    test_stopping();
    test_depth();
    return failures != 0;
}
