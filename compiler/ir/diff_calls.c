/* diff_calls.c — the adjoints of functions of whole arrays.
 *
 * Matrix functions after Giles, "An extended collection of matrix derivative results"
 * (Oxford NA-08/01, 2008), and for the thin singular value decomposition Townsend,
 * "Differentiating the singular value decomposition" (2016): with F_ij = 1/(s_j^2 - s_i^2) off
 * the diagonal.  Vectors of equal values have no derivative; there F divides by zero. */
#include "diff.h"

#include <string.h>

/* ---- matrices ------------------------------------------------------------------------- */

/* An element of a matrix that lies in an array from `first` on, rows of `row` elements. */
typedef struct Mat { Ref array; int64_t first, rows, cols; bool packed; } Mat;

static Mat mat_of(const Ir *ir, Ref a) { return (Mat){a, 0, NDIM(ir, a, 0), NDIM(ir, a, 1), false}; }

static Aff axis(Ir *ir, int i) { return aff_sym(ir, (Sym)i); }

/* m[i, j] as a scalar. */
static Ref at(Ir *ir, Mat m, Aff i, Aff j) {
    if (!m.packed) return ir_read(ir, m.array, (Index[]){{i, IX_EXACT, m.rows}, {j, IX_EXACT, m.cols}});
    Aff place = aff_shift(ir, aff_add(ir, aff_scale(ir, i, m.cols), j), m.first);
    return ir_read(ir, m.array, (Index[]){{place, IX_EXACT, NDIM(ir, m.array, 0)}});
}

static Ref matrix(Ir *ir, int64_t rows, int64_t cols, Ref body) { return ir_map(ir, 2, (int64_t[]){rows, cols}, body); }

/* a b, either transposed. */
static Mat mul(Ir *ir, Mat a, bool ta, Mat b, bool tb) {
    int64_t rows = ta ? a.cols : a.rows, inner = ta ? a.rows : a.cols, cols = tb ? b.rows : b.cols;
    Ref x = ta ? at(ir, a, axis(ir, 2), axis(ir, 0)) : at(ir, a, axis(ir, 0), axis(ir, 2));
    Ref y = tb ? at(ir, b, axis(ir, 1), axis(ir, 2)) : at(ir, b, axis(ir, 2), axis(ir, 1));
    return mat_of(ir, ir_reduce(ir, SC_ADD, 2, 1, (int64_t[]){rows, cols, inner}, ir_binary(ir, SC_MUL, x, y)));
}

/* Element i, j of a matrix, or of its transpose. */
static Ref here(Ir *ir, Mat m) { return at(ir, m, axis(ir, 0), axis(ir, 1)); }
static Ref mirrored(Ir *ir, Mat m) { return at(ir, m, axis(ir, 1), axis(ir, 0)); }

static Mat make(Ir *ir, Mat like, Ref body) { return mat_of(ir, matrix(ir, like.rows, like.cols, body)); }

static Mat transposed(Ir *ir, Mat m) { return mat_of(ir, matrix(ir, m.cols, m.rows, mirrored(ir, m))); }

static Ref index_number(Ir *ir, int i, int64_t n) { return ir_idx(ir, (Index){axis(ir, i), IX_EXACT, n}); }

static Ref on_diagonal(Ir *ir, int64_t n) { return ir_binary(ir, SC_EQ, index_number(ir, 0, n), index_number(ir, 1, n)); }

static Mat unit(Ir *ir, int64_t n) {
    return mat_of(ir, matrix(ir, n, n, ir_select(ir, on_diagonal(ir, n), ir_const(ir, 1), ir_const(ir, 0))));
}

static Mat add(Ir *ir, Mat a, Mat b) { return make(ir, a, ir_binary(ir, SC_ADD, here(ir, a), here(ir, b))); }
static Mat subtract(Ir *ir, Mat a, Mat b) { return make(ir, a, ir_binary(ir, SC_SUB, here(ir, a), here(ir, b))); }

static Mat symmetric_part(Ir *ir, Mat m) {
    return make(ir, m, ir_binary(ir, SC_MUL, ir_const(ir, 0.5), ir_binary(ir, SC_ADD, here(ir, m), mirrored(ir, m))));
}

/* An element of a vector that lies in a row from `first` on, at an axis. */
static Ref vector_at(Ir *ir, Ref row, int64_t first, Aff i) {
    return ir_read(ir, row, (Index[]){{aff_shift(ir, i, first), IX_EXACT, NDIM(ir, row, 0)}});
}

/* ---- solve, logdet, cholesky ------------------------------------------------------------- */

static Mat solve(Ir *ir, Mat a, bool ta, Mat b) {
    Mat m = ta ? transposed(ir, a) : a;
    return mat_of(ir, ir_solve(ir, m.array, b.array));
}

static void solve_adjoint(Ir *ir, Ref call, Ref adj, Ref *out) {
    Mat b = solve(ir, mat_of(ir, NARG(ir, call, 0)), true, mat_of(ir, adj));
    Mat a = mul(ir, b, false, mat_of(ir, call), true);
    out[0] = make(ir, a, ir_unary(ir, SC_NEG, here(ir, a))).array;
    out[1] = b.array;
}

static void logdet_adjoint(Ir *ir, Ref call, Ref adj, Ref *out) {
    Mat a = mat_of(ir, NARG(ir, call, 0)), inverse = solve(ir, a, true, unit(ir, a.rows));
    out[0] = make(ir, a, ir_binary(ir, SC_MUL, ir_read(ir, adj, NULL), here(ir, inverse))).array;
}

/* The lower triangle, its diagonal halved. */
static Mat half_lower(Ir *ir, Mat m) {
    Ref i = index_number(ir, 0, m.rows), j = index_number(ir, 1, m.cols), zero = ir_const(ir, 0);
    Ref diagonal = ir_binary(ir, SC_MUL, ir_const(ir, 0.5), here(ir, m));
    return make(ir, m, ir_select(ir, ir_binary(ir, SC_LT, j, i), here(ir, m), ir_select(ir, ir_binary(ir, SC_EQ, i, j), diagonal, zero)));
}

static void cholesky_adjoint(Ir *ir, Ref call, Ref adj, Ref *out) {
    Mat l = mat_of(ir, call), inner = half_lower(ir, mul(ir, l, true, mat_of(ir, adj), false));
    Mat x = solve(ir, l, true, inner);                                   /* L^-T inner */
    Mat p = transposed(ir, solve(ir, l, true, transposed(ir, x)));       /* L^-T inner L^-1 */
    out[0] = symmetric_part(ir, p).array;
}

/* ---- eigenvalues --------------------------------------------------------------------------- */

static void eigh_adjoint(Ir *ir, Ref call, Ref adj, Ref *out) {
    int64_t n = NDIM(ir, NARG(ir, call, 0), 0);
    Mat v = {call, n, n, n, true}, bar = {adj, n, n, n, true};
    Mat g = mul(ir, v, true, bar, false);
    Ref gap = ir_binary(ir, SC_SUB, vector_at(ir, call, 0, axis(ir, 1)), vector_at(ir, call, 0, axis(ir, 0)));
    Ref body = ir_select(ir, on_diagonal(ir, n), vector_at(ir, adj, 0, axis(ir, 0)), ir_binary(ir, SC_DIV, here(ir, g), gap));
    Mat inner = mat_of(ir, matrix(ir, n, n, body));
    out[0] = symmetric_part(ir, mul(ir, mul(ir, v, false, inner, false), false, v, true)).array;
}

/* ---- singular values ------------------------------------------------------------------------ */

typedef struct Svd { Mat u, v, u_bar, v_bar; Ref call, adj; int64_t k, s; } Svd;    /* s: where the values lie */

static Ref value_at(Ir *ir, const Svd *d, int i) { return vector_at(ir, d->call, d->s, axis(ir, i)); }

/* F ∘ (g + transpose) of F ∘ g, for g = a^T b. */
static Mat rotation(Ir *ir, const Svd *d, Mat a, Mat b) {
    Mat g = mul(ir, a, true, b, false);
    Ref si = value_at(ir, d, 0), sj = value_at(ir, d, 1);
    Ref gap = ir_binary(ir, SC_SUB, ir_binary(ir, SC_MUL, sj, sj), ir_binary(ir, SC_MUL, si, si));
    Ref body = ir_binary(ir, SC_DIV, ir_binary(ir, SC_SUB, here(ir, g), mirrored(ir, g)), gap);
    return make(ir, g, ir_select(ir, on_diagonal(ir, d->k), ir_const(ir, 0), body));
}

/* m with its columns divided by the singular values. */
static Mat over_values(Ir *ir, const Svd *d, Mat m) { return make(ir, m, ir_binary(ir, SC_DIV, here(ir, m), value_at(ir, d, 1))); }

/* What of m lies outside the space of the columns of q. */
static Mat outside(Ir *ir, Mat q, Mat m) { return subtract(ir, m, mul(ir, q, false, mul(ir, q, true, m, false), false)); }

static void svd_adjoint(Ir *ir, Ref call, Ref adj, Ref *out) {
    int64_t m = NDIM(ir, NARG(ir, call, 0), 0), n = NDIM(ir, NARG(ir, call, 0), 1), k = m < n ? m : n, v = m * k + k;
    Svd d = {{call, 0, m, k, true}, {call, v, n, k, true}, {adj, 0, m, k, true}, {adj, v, n, k, true}, call, adj, k, m * k};
    Mat ku = rotation(ir, &d, d.u, d.u_bar), kv = rotation(ir, &d, d.v, d.v_bar);
    Ref body = ir_binary(ir, SC_ADD, ir_binary(ir, SC_MUL, here(ir, ku), value_at(ir, &d, 1)),
                         ir_binary(ir, SC_MUL, value_at(ir, &d, 0), here(ir, kv)));
    Ref values = ir_select(ir, on_diagonal(ir, k), vector_at(ir, adj, d.s, axis(ir, 0)), ir_const(ir, 0));
    Mat p = mat_of(ir, matrix(ir, k, k, ir_binary(ir, SC_ADD, body, values)));
    Mat sum = mul(ir, mul(ir, d.u, false, p, false), false, d.v, true);
    if (m > k) sum = add(ir, sum, mul(ir, over_values(ir, &d, outside(ir, d.u, d.u_bar)), false, d.v, true));
    if (n > k) sum = add(ir, sum, mul(ir, d.u, false, over_values(ir, &d, outside(ir, d.v, d.v_bar)), true));
    out[0] = sum.array;
}

/* ---- gathers --------------------------------------------------------------------------------- */

static void scatter_adjoint(Ir *ir, Ref call, Ref adj, Ref *out) {
    Ref v = NARG(ir, call, 0);
    Index ix[IR_MAX_RANK];
    int64_t dims[IR_MAX_RANK];
    for (int i = 0; i < NODE(ir, call)->rank; i++) ix[i] = *NIDX(ir, call, i);
    for (int i = 0; i < NODE(ir, v)->rank; i++) dims[i] = NDIM(ir, v, i);
    out[0] = ir_map(ir, NODE(ir, v)->rank, dims, ir_read(ir, adj, ix));
}

static bool has_loop_symbols(const Ir *ir, Aff a) {
    const Affine *f = aff_get(ir, a);
    for (int i = 0; i < f->n; i++)
        if (f->t[i].sym >= SYM_FREE) return true;
    return false;
}

/* The contribution of a read made by a scatter: the term summed over the axes that the read does
 * not name, each value added where the read found its own.  0: the indices do not allow it. */
Ref diff_scattered(Ir *ir, int n, const int64_t *dims, Ref read, Ref term) {
    Ref array = NARG(ir, read, 0);
    Index ix[IR_MAX_RANK];
    int64_t to[IR_MAX_RANK], ext[IR_MAX_RANK];
    Sym syms[IR_MAX_RANK];
    Aff by[IR_MAX_RANK];
    int m = NODE(ir, array)->rank, named = 0, nsyms = 0;
    bool used[IR_MAX_RANK] = {false};
    for (int d = 0; d < m; d++) {
        ix[d] = *NIDX(ir, read, d), to[d] = NDIM(ir, array, d), ix[d].n = to[d];
        if (has_loop_symbols(ir, ix[d].aff)) return 0;
        for (int s = 0; s < n; s++) used[s] |= aff_coef(ir, ix[d].aff, (Sym)s) != 0;
    }
    for (int pass = 0; pass < 2; pass++)
        for (int s = 0; s < n; s++)
            if (used[s] == (pass == 0)) ext[nsyms] = dims[s], by[nsyms] = aff_sym(ir, (Sym)nsyms), syms[nsyms++] = (Sym)s, named += pass == 0;
    for (int d = 0; d < m; d++) ix[d].aff = aff_subst(ir, ix[d].aff, nsyms, syms, by);
    Ref values = ir_reduce(ir, SC_ADD, named, n - named, ext, ir_subst_syms(ir, term, nsyms, syms, by));
    return ir_scatter(ir, values, m, to, ix);
}

void diff_call(Ir *ir, Ref call, Ref adj, Ref *out) {
    out[0] = out[1] = 0;
    int leading = (int)NODE(ir, call)->val;
    switch (NODE(ir, call)->aux) {
    case CALL_SCATTER: scatter_adjoint(ir, call, adj, out); break;
    case CALL_TAKE: {
        Ref a = NARG(ir, call, 0);
        int64_t dims[IR_MAX_RANK];
        for (int i = 0; i < NODE(ir, a)->rank; i++) dims[i] = NDIM(ir, a, i);
        out[0] = ir_put(ir, NARG(ir, call, 1), adj, leading, NODE(ir, a)->rank, dims);
        break;
    }
    case CALL_PUT: out[1] = ir_take(ir, adj, NARG(ir, call, 0), leading); break;
    case CALL_SVD: svd_adjoint(ir, call, adj, out); break;
    case CALL_EIGH: eigh_adjoint(ir, call, adj, out); break;
    case CALL_CHOLESKY: cholesky_adjoint(ir, call, adj, out); break;
    case CALL_SOLVE: solve_adjoint(ir, call, adj, out); break;
    case CALL_LOGDET: logdet_adjoint(ir, call, adj, out); break;
    default: break;          /* contractions are matched after differentiation */
    }
}
