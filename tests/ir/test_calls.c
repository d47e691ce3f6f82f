/* test_calls.c — functions of whole arrays: their derivatives, of first and second order, against
 * central differences; what the results must satisfy; and contractions that are found in sums of
 * products, against the sums themselves.
 *
 * Differences are of fourth order with h = 2^-9: for functions whose fifth derivative is of order
 * 1e3 they are off by 1e3 h^4/30 = 5e-10, and by 1e-13/h = 5e-11 from rounding; the bound is 1e-7. */
#include "../../compiler/ir/ir.h"
#include "../../compiler/ir/schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void check(bool ok, const char *fmt, ...) LQ_PRINTF(2, 3);
static void check(bool ok, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    printf(ok ? "ok    " : "FAIL  ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    failures += !ok;
}

/* ---- building ------------------------------------------------------------------------ */

static Ir *ir;           /* of the test that runs */

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

static Ref num(double v) { return ir_const(ir, v); }
static Ref add(Ref x, Ref y) { return ir_binary(ir, SC_ADD, x, y); }
static Ref mul(Ref x, Ref y) { return ir_binary(ir, SC_MUL, x, y); }
static Aff ax(Sym s, int64_t k) { return aff_shift(ir, aff_sym(ir, s), k); }
static Ref at1(Ref a, Aff i) { return ir_read(ir, a, (Index[]){{i, IX_EXACT, NDIM(ir, a, 0)}}); }
static Ref at2(Ref a, Aff i, Aff j) { return ir_read(ir, a, (Index[]){{i, IX_EXACT, NDIM(ir, a, 0)}, {j, IX_EXACT, NDIM(ir, a, 1)}}); }
static Ref matrix(const char *name, int64_t m, int64_t n) { return ir_input(ir, name, 2, DIMS(m, n), false, false); }
static Ref idx(int i, int64_t n) { return ir_idx(ir, (Index){ax((Sym)i, 0), IX_EXACT, n}); }

/* a[own point], for any rank. */
static Ref own(Ref a) {
    Index ix[IR_MAX_RANK];
    for (int i = 0; i < NODE(ir, a)->rank; i++) ix[i] = (Index){ax((Sym)i, 0), IX_EXACT, NDIM(ir, a, i)};
    return ir_read(ir, a, ix);
}

static Ref like(Ref a, Ref body) {
    int64_t dims[IR_MAX_RANK];
    for (int i = 0; i < NODE(ir, a)->rank; i++) dims[i] = NDIM(ir, a, i);
    return ir_map(ir, NODE(ir, a)->rank, dims, body);
}

/* Sum of all elements of a times cos(1 + 0.7 place): no symmetry is left. */
static Ref weighed(Ref a) {
    int rank = NODE(ir, a)->rank;
    int64_t dims[IR_MAX_RANK];
    Ref place = num(1);
    for (int i = 0; i < rank; i++) dims[i] = NDIM(ir, a, i), place = add(mul(place, num(2.3)), idx(i, dims[i]));
    return ir_reduce(ir, SC_ADD, 0, rank, dims, mul(own(a), ir_unary(ir, SC_COS, mul(num(0.7), place))));
}

/* x x^T/n + 1: positive definite; and x + 2 on its diagonal, not symmetric. */
static Ref positive(Ref x) {
    int64_t n = NDIM(ir, x, 0), k = NDIM(ir, x, 1);
    Ref s = ir_reduce(ir, SC_ADD, 2, 1, DIMS(n, n, k), mul(at2(x, ax(0, 0), ax(2, 0)), at2(x, ax(1, 0), ax(2, 0))));
    return like(s, add(own(s), ir_select(ir, ir_binary(ir, SC_EQ, idx(0, n), idx(1, n)), num(1), num(0))));
}
static Ref regular(Ref x) {
    int64_t n = NDIM(ir, x, 0);
    return like(x, add(own(x), ir_select(ir, ir_binary(ir, SC_EQ, idx(0, n), idx(1, n)), add(num(2), idx(0, n)), num(0))));
}

/* Singular values well apart, as derivatives of the vectors grow with 1/gap. */
static Ref separated(Ref x) {
    Ref diagonal = add(num(2), mul(num(2), idx(0, NDIM(ir, x, 0))));
    Ref same = ir_binary(ir, SC_EQ, idx(0, NDIM(ir, x, 0)), idx(1, NDIM(ir, x, 1)));
    return like(x, add(mul(num(0.5), own(x)), ir_select(ir, same, diagonal, num(0))));
}

/* Numbers 0, 2, 1, 5, … of so many places, the last two of them none. */
static Ref places(int64_t m, int64_t n) {
    double *v = arena_alloc(ir->arena, (size_t)m * sizeof *v);
    for (int64_t i = 0; i < m; i++) v[i] = (double)(i * 7 % n);
    v[m - 1] = -1, v[m - 2] = (double)n;
    return ir_const_array(ir, 1, &m, v);
}

/* ---- running ------------------------------------------------------------------------- */

static double noise(uint32_t *state) { /* in (-1, 1) */
    *state = *state * 1664525u + 1013904223u;
    return ((double)(*state >> 8) + 0.5) / 8388608.0 - 1;
}

static double *numbers(int64_t n) { return arena_alloc(ir->arena, (size_t)(n + 1) * sizeof(double)); }

static double *random_numbers(int64_t n, uint32_t seed) {
    double *x = numbers(n);
    for (int64_t i = 0; i < n; i++) x[i] = noise(&seed);
    return x;
}

static double *value(int nin, Ref *in, double **x, Ref out) {
    IrFunc f = {.name = "test", .in = in, .nin = nin, .out = &out, .nout = 1, .ir = ir};
    const char *wrong = ir_verify(&f);
    if (wrong) { check(false, "%s", wrong); exit(1); }
    double *y = numbers(ir_elements(ir, out));
    interp_call(&f, (const double *const *)x, &y, (RandKey){1, 2, 3});
    return y;
}

/* ---- derivatives ------------------------------------------------------------------------ */

/* The gradient of the number s along dx, by differences. */
static double slope(int nin, Ref *in, double **x, double **dx, Ref s) {
    enum { STEPS = 5 };
    double h = 0x1p-9, f[STEPS];
    for (int k = 0; k < STEPS; k++) {
        double *at[2];
        for (int i = 0; i < nin; i++) {
            int64_t n = ir_elements(ir, in[i]);
            at[i] = numbers(n);
            for (int64_t e = 0; e < n; e++) at[i][e] = x[i][e] + (k - 2) * h * dx[i][e];
        }
        f[k] = *value(nin, in, at, s);
    }
    return (8 * (f[3] - f[1]) - (f[4] - f[0])) / (12 * h);
}

/* Along three directions; returns the number whose gradient is the derivative along the last one. */
static Ref check_slope(const char *name, int nin, Ref *in, double **x, Ref s) {
    Ref grad[2], along = 0;
    DiffError err;
    if (!ir_grad(ir, s, 0, nin, in, grad, &err)) {
        check(false, "%s: no derivative: %s", name, err.why);
        return 0;
    }
    double worst = 0;
    for (uint32_t t = 0; t < 3; t++) {
        double *dx[2], got = 0, scale = 1e-3;
        for (int i = 0; i < nin; i++) {
            int64_t n = ir_elements(ir, in[i]);
            double *g = value(nin, in, x, grad[i]);
            dx[i] = random_numbers(n, 77 + 5 * t + (uint32_t)i);
            for (int64_t e = 0; e < n; e++) got += g[e] * dx[i][e], scale += fabs(g[e] * dx[i][e]);
        }
        double err_now = fabs(got - slope(nin, in, x, dx, s)) / scale;
        if (!(err_now <= worst)) worst = err_now;
    }
    check(worst < 1e-7, "%s: the gradient is off by %.2g of its size", name, worst);
    for (int i = 0; i < nin; i++) {
        Ref part = weighed(grad[i]);
        along = along ? ir_map(ir, 0, NULL, add(ir_read(ir, along, NULL), ir_read(ir, part, NULL))) : part;
    }
    return along;
}

static void derivatives(const char *name, int nin, Ref *in, Ref result) {
    double *x[2];
    char second[80];
    for (int i = 0; i < nin; i++) x[i] = random_numbers(ir_elements(ir, in[i]), 5 + (uint32_t)i);
    /* not linear in the result, so that second derivatives are of it too */
    Ref s = weighed(like(result, add(own(result), mul(num(0.5), mul(own(result), own(result))))));
    Ref along = check_slope(name, nin, in, x, s);
    snprintf(second, sizeof second, "%s, second order", name);
    if (along) check_slope(second, nin, in, x, along);
}

static void begin(void) { ir = ir_new(); }
static void end(void) { ir_free(ir); }

static void check_derivatives(void) {
    static const int64_t sizes[][2] = {{5, 3}, {3, 5}, {4, 4}};
    for (int i = 0; i < 3; i++) {
        char name[80];
        int64_t m = sizes[i][0], n = sizes[i][1];
        begin();
        Ref a = matrix("a", m, n);
        snprintf(name, sizeof name, "svd of %lld x %lld", (long long)m, (long long)n);
        derivatives(name, 1, &a, ir_svd(ir, separated(a)));
        end();
    }
    begin();
    Ref a = matrix("a", 4, 4);
    derivatives("eigh", 1, &a, ir_eigh(ir, positive(a)));
    end(), begin();
    a = matrix("a", 4, 4);
    derivatives("cholesky", 1, &a, ir_cholesky(ir, positive(a)));
    end(), begin();
    a = matrix("a", 4, 4);
    derivatives("logdet", 1, &a, ir_logdet(ir, regular(a)));
    end(), begin();
    Ref in[2] = {matrix("a", 4, 4), matrix("b", 4, 3)};
    derivatives("solve", 2, in, ir_solve(ir, regular(in[0]), in[1]));
    end(), begin();
    a = matrix("a", 4, 4);
    Ref r = regular(a);
    derivatives("solve with one argument twice", 1, &a, ir_solve(ir, r, ir_solve(ir, r, a)));
    end(), begin();
    a = matrix("a", 6, 3);
    derivatives("take", 1, &a, ir_take(ir, a, places(9, 6), 1));
    end(), begin();
    a = matrix("a", 9, 3);
    derivatives("put", 1, &a, ir_put(ir, places(9, 6), a, 1, 2, DIMS(6, 3)));
    end(), begin();
    a = matrix("a", 5, 6);
    Index ix[2] = {{ax(1, 2), IX_ANTIPERIODIC, 4}, {aff_scale(ir, ax(0, -1), 2), IX_ZERO, 7}};
    derivatives("scatter", 1, &a, ir_scatter(ir, a, 2, DIMS(4, 7), ix));
    end();
}

/* ---- identities ---------------------------------------------------------------------------- */

static double most_of(int64_t n, const double *x) {
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(x[i]) <= most)) most = fabs(x[i]);
    return most;
}

/* The largest element of a - b, as arrays of the IR; what is NaN is infinite. */
static double apart(int nin, Ref *in, double **x, Ref a, Ref b) {
    double most = most_of(ir_elements(ir, a), value(nin, in, x, like(a, ir_binary(ir, SC_SUB, own(a), own(b)))));
    return isnan(most) ? INFINITY : most;
}

static Ref product(Ref a, bool ta, Ref b, bool tb) {
    int64_t m = NDIM(ir, a, ta), k = NDIM(ir, a, !ta), n = NDIM(ir, b, !tb);
    Ref x = ta ? at2(a, ax(2, 0), ax(0, 0)) : at2(a, ax(0, 0), ax(2, 0)), y = tb ? at2(b, ax(1, 0), ax(2, 0)) : at2(b, ax(2, 0), ax(1, 0));
    return ir_reduce(ir, SC_ADD, 2, 1, DIMS(m, n, k), mul(x, y));
}

/* Rows of `cols` from a packed row. */
static Ref unpacked(Ref row, int64_t first, int64_t rows, int64_t cols) {
    return ir_map(ir, 2, DIMS(rows, cols), at1(row, aff_shift(ir, aff_add(ir, aff_scale(ir, ax(0, 0), cols), ax(1, 0)), first)));
}
static Ref columns_times(Ref m, Ref row, int64_t first) { return like(m, mul(own(m), at1(row, ax(1, first)))); }
static Ref unit(int64_t n) { return ir_map(ir, 2, DIMS(n, n), ir_select(ir, ir_binary(ir, SC_EQ, idx(0, n), idx(1, n)), num(1), num(0))); }

static void check_identities(void) {
    begin();
    Ref a = matrix("a", 7, 4);
    double *x[2] = {random_numbers(28, 3)};
    Ref svd = ir_svd(ir, a), u = unpacked(svd, 0, 7, 4), v = unpacked(svd, 32, 4, 4);
    check(apart(1, &a, x, product(columns_times(u, svd, 28), false, v, true), a) < 1e-11, "svd: U s V^T is the matrix");
    check(apart(1, &a, x, product(u, true, u, false), unit(4)) < 1e-11, "svd: U^T U is 1");
    Ref p = positive(a), eigh = ir_eigh(ir, p), w = unpacked(eigh, 7, 7, 7);
    check(apart(1, &a, x, product(columns_times(w, eigh, 0), false, w, true), p) < 1e-11, "eigh: V w V^T is the matrix");
    Ref l = ir_cholesky(ir, p);
    check(apart(1, &a, x, product(l, false, l, true), p) < 1e-11, "cholesky: L L^T is the matrix");
    Ref logs = ir_reduce(ir, SC_ADD, 0, 1, DIMS(7), mul(num(2), ir_unary(ir, SC_LOG, at2(l, ax(0, 0), ax(0, 0)))));
    check(apart(1, &a, x, logs, ir_logdet(ir, p)) < 1e-11, "logdet is that of cholesky");
    check(apart(1, &a, x, product(p, false, ir_solve(ir, p, a), false), a) < 1e-11, "solve: A X is B");
    end(), begin();
    Ref in[2] = {matrix("v", 9, 3), matrix("w", 6, 3)};
    double *y[2] = {random_numbers(27, 4), random_numbers(18, 5)};
    Ref at = places(9, 6), put = ir_put(ir, at, in[0], 1, 2, DIMS(6, 3)), take = ir_take(ir, in[1], at, 1);
    Ref one = ir_reduce(ir, SC_ADD, 0, 2, DIMS(6, 3), mul(own(put), own(in[1]))), two = ir_reduce(ir, SC_ADD, 0, 2, DIMS(9, 3), mul(own(in[0]), own(take)));
    check(apart(2, in, y, one, two) < 1e-13, "put and take are each other's adjoint");
    end();
}

/* ---- contractions found in sums ---------------------------------------------------------------- */

static int count_calls(Ref root) {
    VEC(Ref) stack = {0};
    bool *seen = calloc((size_t)ir->nodes.n, sizeof *seen);
    int n = 0;
    vec_push(&stack, root);
    while (stack.n) {
        Ref r = stack.data[--stack.n];
        if (seen[r]) continue;
        seen[r] = true;
        n += NODE(ir, r)->op == AR_CALL;
        for (uint32_t i = 0; i < NODE(ir, r)->nargs; i++) vec_push(&stack, NARG(ir, r, i));
    }
    free(seen);
    vec_free(&stack);
    return n;
}

/* Sums of n terms of order 1 in any order differ by n eps of the sum of magnitudes: here 1e-12. */
static void check_match(const char *name, int nin, Ref *in, Ref sum, int calls) {
    double *x[3];
    Ref matched = sum;
    for (int i = 0; i < nin; i++) x[i] = random_numbers(ir_elements(ir, in[i]), 11 + (uint32_t)i);
    ir_match_contractions(ir, 1, &matched);
    int found = count_calls(matched);
    double err = apart(nin, in, x, sum, matched);
    check(found == calls && err < 1e-10, "%s: %d contraction%s (%d wanted), off by %.2g", name, found, found == 1 ? "" : "s", calls, err);
}

/* Gradients of sum of w*out with respect to each input, matched. */
static void check_match_gradients(const char *name, int nin, Ref *in, Ref out, const int *calls) {
    Ref grad[3];
    DiffError err;
    char what[100];
    Ref s = weighed(like(out, mul(own(out), own(out))));
    if (!ir_grad(ir, s, 0, nin, in, grad, &err)) { check(false, "%s: %s", name, err.why); return; }
    for (int i = 0; i < nin; i++) {
        snprintf(what, sizeof what, "%s, gradient %d", name, i);
        check_match(what, nin, in, grad[i], calls[i]);
    }
}

static void check_contractions(void) {
    begin();
    Ref in[3] = {matrix("x", 20, 12), matrix("w", 12, 16)};
    Ref dense = product(in[0], false, in[1], false);
    check_match("a matrix product", 2, in, dense, 1);
    check_match_gradients("a matrix product", 2, in, dense, (const int[]){2, 2});       /* and the product itself */
    check_match("a transposed product", 2, in, product(in[1], true, in[0], true), 1);
    Ref act = ir_reduce(ir, SC_ADD, 2, 1, DIMS(20, 16, 12), mul(mul(num(-3), ir_unary(ir, SC_TANH, at2(in[0], ax(0, 0), ax(2, 0)))), at2(in[1], ax(2, 0), ax(1, 0))));
    check_match("factors that are functions, and a constant", 2, in, act, 1);
    Ref turned = ir_reduce(ir, SC_ADD, 2, 1, DIMS(12, 14, 20), mul(ir_unary(ir, SC_TANH, at2(in[0], ax(2, 0), ax(0, 0))), at2(matrix("y", 20, 14), ax(2, 0), ax(1, 0))));
    ir_match_contractions(ir, 1, &turned);
    bool rows = false;
    for (int i = 0; i < 2 && NODE(ir, turned)->op == AR_CALL; i++) rows |= NODE(ir, NARG(ir, turned, i))->op == AR_MAP && NDIM(ir, NARG(ir, turned, i), 0) == 20;
    check(rows, "a factor that becomes an array is stored in the order in which it is read");
    Ref dot = ir_reduce(ir, SC_ADD, 0, 2, DIMS(12, 16), mul(own(in[1]), own(in[1])));
    check_match("a plain sum of squares", 2, in, dot, 0);
    Ref elementwise = ir_reduce(ir, SC_ADD, 1, 1, DIMS(20, 12), mul(own(in[0]), own(in[0])));
    check_match("sums of squares of rows", 2, in, elementwise, 0);
    end(), begin();
    Ref t = matrix("t", 64, 64);
    check_match("a trace", 1, &t, ir_reduce(ir, SC_ADD, 0, 1, DIMS(64), at2(t, ax(0, 0), ax(0, 0))), 0);
    end(), begin();
    Ref y[3] = {ir_input(ir, "a", 1, DIMS(60), false, false), matrix("b", 60, 50), matrix("c", 50, 70)};
    Ref three = ir_reduce(ir, SC_ADD, 1, 2, DIMS(70, 60, 50), mul(mul(at1(y[0], ax(1, 0)), at2(y[1], ax(1, 0), ax(2, 0))), at2(y[2], ax(2, 0), ax(0, 0))));
    check_match("a vector and two matrices", 3, y, three, 2);     /* one after the other: 6500 multiplications, not 210000 */
    end(), begin();
    Ref c[2] = {ir_input(ir, "x", 4, DIMS(3, 2, 8, 8), false, false), ir_input(ir, "k", 4, DIMS(5, 2, 3, 3), false, false)};
    Index ix[4] = {{ax(0, 0), IX_EXACT, 3}, {ax(4, 0), IX_EXACT, 2}, {aff_add(ir, ax(2, -1), ax(5, 0)), IX_PERIODIC, 8}, {aff_add(ir, ax(3, -1), ax(6, 0)), IX_ZERO, 8}};
    Index kx[4] = {{ax(1, 0), IX_EXACT, 5}, {ax(4, 0), IX_EXACT, 2}, {ax(5, 0), IX_EXACT, 3}, {ax(6, 0), IX_EXACT, 3}};
    Ref conv = ir_reduce(ir, SC_ADD, 4, 3, DIMS(3, 5, 8, 8, 2, 3, 3), mul(ir_read(ir, c[0], ix), ir_read(ir, c[1], kx)));
    check_match("a convolution", 2, c, conv, 1);
    check_match_gradients("a convolution", 2, c, conv, (const int[]){2, 2});
    end();
}

/* ---- what is stored already --------------------------------------------------------------------------- */

typedef struct Count { Op op; int n; ScalarWalk *walk; } Count;
static void count_op(void *ctx, Ref r) {
    Count *c = ctx;
    if (NODE(ir, r)->op != AR_MAP && NODE(ir, r)->op != AR_REDUCE) return;
    scalar_walk(c->walk, 1, (Ref[]){NARG(ir, r, 0)});
    for (int i = 0; i < c->walk->list.n; i++) c->n += NODE(ir, c->walk->list.data[i])->op == c->op;
}

/* How many arrays compute it. */
static int count_of(Op op, Ref root) {
    Count c = {op, 0, scalar_walk_new(ir)};
    ir_walk(ir, 1, &root, count_op, &c);
    scalar_walk_free(c.walk);
    return c.n;
}

/* Gradients of a layer act(x w + b) and of what follows it, a matrix product with v: with respect to
 * w, b and v, matched, and what they hold read where it is stored.  Each sum keeps its value. */
static void check_sharing(const char *name, Ref (*act)(Ref), Op costly) {
    begin();
    Ref in[4] = {matrix("x", 20, 12), matrix("w", 12, 16), ir_input(ir, "b", 1, DIMS(16), false, false), matrix("v", 16, 14)};
    Ref layer = product(in[0], false, in[1], false), grad[3];
    Ref out = product(like(layer, act(add(own(layer), at1(in[2], ax(1, 0))))), false, in[3], false);
    double *x[4];
    DiffError err;
    for (int i = 0; i < 4; i++) x[i] = random_numbers(ir_elements(ir, in[i]), 31 + (uint32_t)i);
    if (!ir_grad(ir, weighed(like(out, mul(own(out), own(out)))), 0, 3, in + 1, grad, &err)) { check(false, "%s: %s", name, err.why); end(); return; }
    Ref matched[3] = {grad[0], grad[1], grad[2]};
    ir_match_contractions(ir, 3, matched);
    ir_share_maps(ir, 3, matched);
    for (int i = 0; i < 3; i++) {
        double off = apart(4, in, x, grad[i], matched[i]);
        check(off < 1e-10, "%s, gradient %d: shared, off by %.2g", name, i, off);
    }
    const Node *sum = NODE(ir, matched[1]);
    Ref read = NARG(ir, matched[1], 0);
    bool reads = sum->op == AR_REDUCE && NODE(ir, read)->op == SC_READ && NODE(ir, NARG(ir, read, 0))->op == AR_MAP;
    check(reads && NDIM(ir, NARG(ir, read, 0), 0) == 20, "%s: the gradient of the bias is a sum of stored elements, in rows as they are read", name);
    check(count_of(costly, grad[1]) > 1 && count_of(costly, matched[1]) == 1, "%s: computed %d times, then %d", name, count_of(costly, grad[1]), count_of(costly, matched[1]));
    end();
}

static Ref act_tanh(Ref x) { return ir_unary(ir, SC_TANH, x); }
static Ref act_elu(Ref x) {
    Ref low = ir_unary(ir, SC_EXPM1, ir_binary(ir, SC_MIN, x, num(0)));
    return ir_select(ir, ir_binary(ir, SC_LT, num(0), x), x, low);
}

/* Reduced axes with one point go; of truth values a sum stays a number. */
static void check_one_term(void) {
    begin();
    Ref a = matrix("a", 5, 7), b = matrix("b", 5, 1);
    Ref outer = ir_reduce(ir, SC_ADD, 2, 1, DIMS(5, 7, 1), mul(at2(a, ax(0, 0), ax(1, 0)), at2(b, ax(0, 0), ax(2, 0))));
    Ref most = ir_reduce(ir, SC_MAX, 1, 2, DIMS(5, 1, 7), at2(a, ax(0, 0), ax(2, 0)));
    Ref count = ir_reduce(ir, SC_ADD, 1, 1, DIMS(5, 1), ir_binary(ir, SC_LT, num(0), at2(b, ax(0, 0), ax(1, 0))));
    check(NODE(ir, outer)->op == AR_MAP && NODE(ir, outer)->rank == 2, "an outer product is no sum");
    check(NODE(ir, most)->op == AR_REDUCE && NODE(ir, most)->nred == 1 && NDIM(ir, most, 1) == 7, "an axis with one point is left out");
    check(!NODE(ir, count)->boolean, "a count of one is a number");
    end();
}

int main(void) {
    check_derivatives();
    check_identities();
    check_contractions();
    check_sharing("a layer with tanh", act_tanh, SC_TANH);
    check_sharing("a layer with elu", act_elu, SC_EXPM1);
    check_one_term();
    printf("%d failures\n", failures);
    return failures != 0;
}
