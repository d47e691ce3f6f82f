/* diff.c — reverse-mode differentiation of the array IR.
 * Requires: a well-formed graph.  Gives ordinary nodes, which can be differentiated again.
 *
 * For O[x] = f(…, A[φ(x)], …) with adjoint Ō, each read of A contributes to
 *     Ā[u] = sum of Ō[x] ∂f/∂A[φ(x)] over all x with φ(x) = u.
 * The equation φ(x) = u is solved for as many axes as possible, one dimension at a
 * time, so that the contribution is a gather; axes that remain are summed over.
 *
 * Where that would visit many places for one, the values are scattered instead (diff_calls.c).
 *   scalar sweep     the partial derivatives of a body with respect to its reads
 *   index inversion  one read's contribution as an expression in u
 *   array sweep      backprop(): nodes in reverse order, several roots
 *   loops            a loop's reverse is a loop that reads the stacked carries backwards */
#include "diff.h"

#include <stdlib.h>
#include <string.h>

typedef VEC(Ref) Refs;

/* What a node reads at its own loop level: arrays, and iteration numbers of loops. */
typedef struct Kids { int first, n, sym_first, nsyms; bool known; } Kids;

/* State of one ir_grad call. Tables by Ref grow with the graph; a mark counts only when
 * it equals the current stamp. */
typedef struct Grad {
    Ir *ir;
    DiffError *err;
    int cap;
    uint32_t *mark, stamp;
    Ref *value;                  /* with mark: scalar adjoints, substituted scalars */
    uint8_t *active;             /* with mark: the scalar depends on a variable */
    Kids *kids;
    Refs kid_pool;
    VEC(Sym) sym_pool;
} Grad;

static void grad_ensure(Grad *g) {
    int n = g->ir->nodes.n;
    if (n <= g->cap) return;
    int cap = n + n / 2 + 256;
    size_t old = (size_t)g->cap, add = (size_t)(cap - g->cap);
    g->mark = lq_realloc(g->mark, (size_t)cap * sizeof *g->mark);
    memset(g->mark + old, 0, add * sizeof *g->mark);
    g->value = lq_realloc(g->value, (size_t)cap * sizeof *g->value);
    g->active = lq_realloc(g->active, (size_t)cap);
    g->kids = lq_realloc(g->kids, (size_t)cap * sizeof *g->kids);
    memset(g->kids + old, 0, add * sizeof *g->kids);
    g->cap = cap;
}

static bool fail(Grad *g, Ref node, const char *why) {
    if (!g->err->why) *g->err = (DiffError){node, why};
    return false;
}

static void copy_dims(const Ir *ir, Ref r, int64_t *dims) {
    const Node *n = NODE(ir, r);
    for (int i = 0; i < n->rank + n->nred; i++) dims[i] = ir->dims.data[n->dims + i];
}

/* a[first, first+1, …]: the array at consecutive axes. */
static Ref read_axes(Ir *ir, Ref a, int first) {
    Index ix[IR_MAX_RANK];
    for (int i = 0; i < NODE(ir, a)->rank; i++)
        ix[i] = (Index){aff_sym(ir, (Sym)(first + i)), IX_EXACT, NDIM(ir, a, i)};
    return ir_read(ir, a, ix);
}

static Ref constant_like(Ir *ir, Ref a, double v) {
    int64_t dims[IR_MAX_RANK];
    copy_dims(ir, a, dims);
    return ir_map(ir, NODE(ir, a)->rank, dims, ir_const(ir, v));
}

/* ==== scalar sweep ============================================================= */

/* Every scalar below body, operands first; leaves their marks at g->stamp. */
static void scalar_order(Grad *g, Ref body, Refs *out) {
    Ir *ir = g->ir;
    grad_ensure(g);
    g->stamp += 2;                       /* stamp-1: operands pushed, stamp: listed */
    Refs stack = {0};
    out->n = 0;
    vec_push(&stack, body);
    while (stack.n) {
        Ref r = stack.data[stack.n - 1];
        if (g->mark[r] == g->stamp) { stack.n--; continue; }
        if (g->mark[r] == g->stamp - 1) {
            g->mark[r] = g->stamp;
            vec_push(out, r);
            stack.n--;
            continue;
        }
        g->mark[r] = g->stamp - 1;
        if (NODE(ir, r)->op == SC_READ) continue;
        for (int i = (int)NODE(ir, r)->nargs - 1; i >= 0; i--)
            if (g->mark[NARG(ir, r, i)] < g->stamp - 1) vec_push(&stack, NARG(ir, r, i));
    }
    vec_free(&stack);
}

typedef struct Partial { Ref read, value; } Partial;
typedef VEC(Partial) Partials;

static bool scalar_active(Grad *g, Ref r, const uint8_t *dep) {
    const Node *n = NODE(g->ir, r);
    if (n->boolean || diff_is_flat((Op)n->op)) return false;
    if (n->op == SC_READ) return dep[NARG(g->ir, r, 0)];
    bool any = false;
    for (uint32_t i = n->op == SC_SELECT; i < n->nargs; i++) any |= g->active[NARG(g->ir, r, (int)i)];
    return any;
}

/* Partial derivatives of the body, times weight, with respect to every read of an array
 * that has dep. */
static bool scalar_sweep(Grad *g, Ref body, Ref weight, const uint8_t *dep, Partials *out) {
    Ir *ir = g->ir;
    Refs order = {0};
    scalar_order(g, body, &order);
    for (int i = 0; i < order.n; i++) {
        g->value[order.data[i]] = 0;
        g->active[order.data[i]] = scalar_active(g, order.data[i], dep);
    }
    g->value[body] = weight;
    bool good = true;
    for (int i = order.n - 1; i >= 0 && good; i--) {
        Ref r = order.data[i], adj = g->value[r], pass[3];
        if (!g->active[r] || !adj || ir_is_zero(ir, adj)) continue;
        if (NODE(ir, r)->op == SC_READ) {
            Partial p = {r, adj};
            vec_push(out, p);
            continue;
        }
        int n = (int)NODE(ir, r)->nargs;
        bool active[3] = {0};
        for (int k = 0; k < n; k++) active[k] = g->active[NARG(ir, r, k)];
        const char *why = NULL;
        good = diff_rule(ir, r, adj, active, pass, &why) || fail(g, r, why);
        for (int k = 0; good && k < n; k++) {
            Ref arg = NARG(ir, r, k);
            if (!pass[k]) continue;
            g->value[arg] = g->value[arg] ? ir_binary(ir, SC_ADD, g->value[arg], pass[k]) : pass[k];
        }
    }
    vec_free(&order);
    return good;
}

/* ==== index inversion ============================================================ */

/* What is known of an axis s of O once an equation is solved for it.
 * EXACT_AXIS: s = sub, in range wherever the guard of s holds.
 * WRAPPED_AXIS: s = sub modulo its extent; sub may lie outside. */
typedef enum AxisKind { FREE_AXIS, EXACT_AXIS, WRAPPED_AXIS } AxisKind;

/* While equations are solved, symbols 0 … n-1 are the axes of O and n … n+m-1 the axes
 * u of A; at the end u comes first and the free axes follow. */
typedef struct Invert {
    Grad *g;
    Ir *ir;
    int n, m;
    int64_t dims[2 * IR_MAX_RANK];      /* extents of O's axes, then of A's */
    Index phi[IR_MAX_RANK];             /* of the read */
    bool pending[IR_MAX_RANK];          /* dimension not yet dealt with */
    AxisKind kind[IR_MAX_RANK];
    Aff sub[IR_MAX_RANK];
    bool anti[IR_MAX_RANK];             /* solved from an antiperiodic equation */
    bool conditioned[IR_MAX_RANK];      /* dimension that became a condition */
    Ref term;
    Refs order;                         /* scalars of the term, where uses are looked up */
} Invert;

static bool inside(const Invert *v, Aff a, int64_t extent) {
    int64_t lo, hi;
    ir_aff_range(v->ir, a, v->n + v->m, v->dims, &lo, &hi);
    return lo >= 0 && hi < extent;
}

/* (-1)^turns of an affine form taken modulo n: a read of ones that is antiperiodic. */
static Ref sign_at(Ir *ir, Aff a, int64_t n) {
    double *ones = lq_alloc((size_t)n * sizeof *ones);
    for (int64_t i = 0; i < n; i++) ones[i] = 1;
    Ref array = ir_const_array(ir, 1, &n, ones);
    free(ones);
    int64_t k;
    if (aff_is_const(ir, a, &k)) {
        int64_t turns = (k - ((k % n) + n) % n) / n;
        return ir_const(ir, turns & 1 ? -1 : 1);
    }
    Index ix = {a, IX_ANTIPERIODIC, n};
    return ir_read(ir, array, &ix);
}

/* May s be known only modulo its extent where this index is used? */
static bool index_wraps(const Invert *v, Op op, Index ix, Sym s) {
    int64_t c = aff_coef(v->ir, ix.aff, s);
    if (c == 0 || op == SC_INRANGE) return true;         /* truth values are rewritten */
    if (op == SC_RAND) return false;
    if (op == SC_IDX && ix.mode == IX_EXACT) return true;  /* c*(s mod n) + the rest */
    if (ix.mode == IX_ZERO || ix.n <= 0) return false;
    return c * v->dims[s] % ix.n == 0;
}

/* Is every use of s outside dimension d such that s modulo its extent is enough? */
static bool may_wrap(Invert *v, int d, Sym s) {
    Ir *ir = v->ir;
    for (int i = 0; i < v->m; i++) {                     /* equations still to be solved */
        int64_t c = aff_coef(ir, v->phi[i].aff, s);
        if (i == d || !v->pending[i] || c == 0) continue;
        if (v->phi[i].mode != IX_PERIODIC || c * v->dims[s] % v->phi[i].n) return false;
    }
    for (int t = 0; t < v->n; t++) {                     /* axes expressed through s */
        if (v->kind[t] == FREE_AXIS || aff_coef(ir, v->sub[t], s) == 0) continue;
        if (v->kind[t] == EXACT_AXIS || v->anti[t]) return false;
        if (aff_coef(ir, v->sub[t], s) * v->dims[s] % v->dims[t]) return false;
    }
    if (v->order.n == 0) scalar_order(v->g, v->term, &v->order);
    for (int i = 0; i < v->order.n; i++) {
        Ref r = v->order.data[i];
        for (int k = 0; k < NODE(ir, r)->nidx; k++)
            if (!index_wraps(v, (Op)NODE(ir, r)->op, *NIDX(ir, r, k), s)) return false;
    }
    return true;
}

static void set_term(Invert *v, Ref term) {
    v->term = term;
    v->order.n = 0;
}

/* What s must be for φ_d = u_d; its coefficient c is 1 or -1. */
static Aff solution(const Invert *v, int d, Sym s, int64_t c) {
    Ir *ir = v->ir;
    Aff rest = aff_add(ir, v->phi[d].aff, aff_scale(ir, aff_sym(ir, s), -c));
    Aff u = aff_sym(ir, (Sym)(v->n + d));
    return aff_scale(ir, aff_add(ir, u, aff_scale(ir, rest, -1)), c);
}

/* s := the solution of dimension d. An antiperiodic equation multiplies the term by the
 * sign of the solution's own turns (in finish): if s = sub + j*extent, φ(s) = u ± j*extent. */
static void solve_for(Invert *v, int d, Sym s, AxisKind kind) {
    Ir *ir = v->ir;
    Index ix = v->phi[d];
    Aff sub = solution(v, d, s, aff_coef(ir, ix.aff, s));
    v->pending[d] = false;
    v->kind[s] = kind;
    v->sub[s] = sub;
    v->anti[s] = kind == WRAPPED_AXIS && ix.mode == IX_ANTIPERIODIC;
    for (int i = 0; i < v->m; i++)
        if (v->pending[i]) v->phi[i].aff = aff_subst(ir, v->phi[i].aff, 1, &s, &sub);
    for (int t = 0; t < v->n; t++)
        if (v->kind[t] != FREE_AXIS && (Sym)t != s) v->sub[t] = aff_subst(ir, v->sub[t], 1, &s, &sub);
}

/* Does the term draw random numbers whose counters hold s? They must not leave its range. */
static bool draws_with(Invert *v, Sym s) {
    Ir *ir = v->ir;
    if (v->order.n == 0) scalar_order(v->g, v->term, &v->order);
    for (int i = 0; i < v->order.n; i++) {
        Ref r = v->order.data[i];
        for (int k = 0; k < NODE(ir, r)->nidx && NODE(ir, r)->op == SC_RAND; k++)
            if (aff_coef(ir, NIDX(ir, r, k)->aff, s)) return true;
    }
    return false;
}

/* Which axis should dimension d be solved for, and how? Axes whose solution stays inside
 * its extent come first, then those of the same extent, then the longest. */
static bool find_axis(Invert *v, int d, Sym *axis, AxisKind *kind) {
    Ir *ir = v->ir;
    Index ix = v->phi[d];
    bool cyclic = (ix.mode == IX_PERIODIC || ix.mode == IX_ANTIPERIODIC) && !inside(v, ix.aff, ix.n);
    int64_t best = -1;
    for (int s = 0; s < v->n; s++) {
        int64_t c = aff_coef(ir, ix.aff, (Sym)s);
        if (v->kind[s] != FREE_AXIS || (c != 1 && c != -1)) continue;
        bool in = inside(v, solution(v, d, (Sym)s, c), v->dims[s]);
        AxisKind k = EXACT_AXIS;
        if (cyclic) {
            if (v->dims[s] != ix.n) continue;
            if (ix.mode == IX_ANTIPERIODIC || !in) k = WRAPPED_AXIS;
            if (k == WRAPPED_AXIS && !may_wrap(v, d, (Sym)s)) continue;
        }
        if (k == EXACT_AXIS && !in && draws_with(v, (Sym)s)) continue;
        int64_t score = v->dims[s] < ((int64_t)1 << 40) ? v->dims[s] : (int64_t)1 << 40;
        if (v->dims[s] == ix.n) score += (int64_t)1 << 42;
        if (in) score += (int64_t)1 << 43;
        if (score > best) best = score, *axis = (Sym)s, *kind = k;
    }
    return best >= 0;
}

/* Dimension d as a condition on the term: right for every index, but the axes in it
 * are summed over. */
static void condition(Invert *v, int d) {
    Ir *ir = v->ir;
    Index ix = v->phi[d];
    Sym u = (Sym)(v->n + d);
    v->pending[d] = false, v->conditioned[d] = true;
    Ref term = v->term, cond = ir_bool(ir, true);
    if (ix.n > 1 || ix.mode == IX_ZERO) {
        Ref here = ir_idx(ir, (Index){aff_sym(ir, u), IX_EXACT, v->dims[u]});
        cond = ir_binary(ir, SC_EQ, ir_idx(ir, ix), here);
    }
    if (ix.mode == IX_ZERO) cond = ir_binary(ir, SC_AND, ir_inrange(ir, ix.aff, ix.n), cond);
    if (ix.mode == IX_ANTIPERIODIC) term = diff_scale(ir, SC_MUL, term, sign_at(ir, ix.aff, ix.n));
    set_term(v, ir_select(ir, cond, term, ir_const(ir, 0)));
}

/* ---- where a gather would visit far more than it adds ---- */

enum { MOST_VISITS = 8 };    /* of a sum over an axis for which few elements, or one, are not 0 */

/* Would axes be summed over for one element in many?  Those are axes in a condition, and those
 * that enter an axis solved for with a stride. */
static bool is_wasteful(const Invert *v) {
    int64_t visits = 1;
    for (int s = 0; s < v->n; s++) {
        bool waste = false;
        if (v->kind[s] != FREE_AXIS) continue;
        for (int d = 0; d < v->m; d++) waste |= v->conditioned[d] && aff_coef(v->ir, v->phi[d].aff, (Sym)s) != 0;
        for (int t = 0; t < v->n; t++) {
            int64_t c = v->kind[t] == FREE_AXIS ? 0 : aff_coef(v->ir, v->sub[t], (Sym)s);
            waste |= c > 1 || c < -1;
        }
        if (waste && visits <= MOST_VISITS) visits *= v->dims[s];
    }
    return visits > MOST_VISITS;
}

static void solve_dimension(Invert *v, int d) {
    Sym s;
    AxisKind kind;
    if (find_axis(v, d, &s, &kind)) solve_for(v, d, s, kind);
    else condition(v, d);
}

/* ---- the term with its axes replaced ---- */

typedef struct Replace {
    Invert *v;
    int n;                              /* axes of the result: u, then the free ones */
    int64_t dims[2 * IR_MAX_RANK];      /* extents of the result's axes */
    int nsyms;
    Sym syms[2 * IR_MAX_RANK];
    Aff by[2 * IR_MAX_RANK];            /* of syms[i] = i */
} Replace;

static Aff replaced(const Replace *p, Aff a) { return aff_subst(p->v->ir, a, p->nsyms, p->syms, p->by); }

static bool stays_inside(const Replace *p, Aff a, int64_t extent) {
    int64_t lo, hi;
    ir_aff_range(p->v->ir, a, p->n, p->dims, &lo, &hi);
    return lo >= 0 && hi < extent;
}

/* Is axis s only known modulo its extent (and not evidently inside)? */
static bool is_wrapped(const Replace *p, Sym s) {
    return p->v->kind[s] == WRAPPED_AXIS && !stays_inside(p, p->by[s], p->v->dims[s]);
}

/* An index of a read; *sign collects the turns that antiperiodic reads would miscount. */
static Index replace_index(const Replace *p, Index ix, Ref *sign) {
    Ir *ir = p->v->ir;
    bool wrapped = false, exact = false;
    for (int s = 0; s < p->v->n; s++) {
        int64_t c = aff_coef(ir, ix.aff, (Sym)s);
        if (c == 0 || p->v->kind[s] == FREE_AXIS) continue;
        if (!is_wrapped(p, (Sym)s)) { exact = true; continue; }
        wrapped = true;
        if (ix.mode == IX_ANTIPERIODIC && (c * p->v->dims[s] / ix.n) & 1)
            *sign = ir_binary(ir, SC_MUL, *sign, sign_at(ir, p->by[s], p->v->dims[s]));
    }
    Index out = {replaced(p, ix.aff), ix.mode, ix.n};
    if (ix.mode == IX_EXACT && (wrapped || exact) && !stays_inside(p, out.aff, ix.n))
        out.mode = wrapped ? IX_PERIODIC : IX_ZERO;
    return out;
}

/* The value of a plain affine index, axes known modulo their extent reduced to it. */
static Ref replace_number(const Replace *p, Aff a) {
    Ir *ir = p->v->ir;
    Ref sum = 0;
    for (int s = 0; s < p->v->n; s++) {
        int64_t c = aff_coef(ir, a, (Sym)s);
        if (c == 0 || !is_wrapped(p, (Sym)s)) continue;
        a = aff_add(ir, a, aff_scale(ir, aff_sym(ir, (Sym)s), -c));
        Ref value = ir_idx(ir, (Index){p->by[s], IX_PERIODIC, p->v->dims[s]});
        value = ir_binary(ir, SC_MUL, ir_const(ir, (double)c), value);
        sum = sum ? ir_binary(ir, SC_ADD, sum, value) : value;
    }
    Ref rest = ir_idx(ir, (Index){replaced(p, a), IX_EXACT, 0});
    return sum ? ir_binary(ir, SC_ADD, rest, sum) : rest;
}

static bool uses_wrapped(const Replace *p, Aff a) {
    for (int s = 0; s < p->v->n; s++)
        if (aff_coef(p->v->ir, a, (Sym)s) && is_wrapped(p, (Sym)s)) return true;
    return false;
}

static Ref replace_leaf(const Replace *p, Ref r) {
    Ir *ir = p->v->ir;
    Node n = *NODE(ir, r);
    Index ix[IR_MAX_RANK];
    Ref sign = ir_const(ir, 1);
    switch (n.op) {
    case SC_READ: {
        for (int i = 0; i < n.nidx; i++) ix[i] = replace_index(p, *NIDX(ir, r, i), &sign);
        return ir_binary(ir, SC_MUL, ir_read(ir, NARG(ir, r, 0), ix), sign);
    }
    case SC_IDX:
        ix[0] = *NIDX(ir, r, 0);
        if (ix[0].mode == IX_EXACT) return replace_number(p, ix[0].aff);
        return ir_idx(ir, (Index){replaced(p, ix[0].aff), ix[0].mode, ix[0].n});
    case SC_INRANGE: {
        ix[0] = *NIDX(ir, r, 0);
        if (!uses_wrapped(p, ix[0].aff)) return ir_inrange(ir, replaced(p, ix[0].aff), ix[0].n);
        Ref value = replace_number(p, ix[0].aff);
        return ir_binary(ir, SC_AND, ir_binary(ir, SC_LE, ir_const(ir, 0), value),
                         ir_binary(ir, SC_LT, value, ir_const(ir, (double)ix[0].n)));
    }
    case SC_RAND: {
        Aff site = replaced(p, NIDX(ir, r, 0)->aff), iteration = replaced(p, NIDX(ir, r, 1)->aff);
        return ir_rand(ir, n.aux >> 1, n.aux & 1, site, iteration);
    }
    default: return r;
    }
}

static Ref replace_term(const Replace *p, Ref term) {
    Grad *g = p->v->g;
    Ir *ir = g->ir;
    Refs order = {0};
    scalar_order(g, term, &order);
    for (int i = 0; i < order.n; i++) {
        Ref r = order.data[i], args[3], out;
        int nargs = (int)NODE(ir, r)->nargs;
        if (NODE(ir, r)->op >= SC_CONST) {
            out = replace_leaf(p, r);
        } else {
            for (int k = 0; k < nargs; k++) args[k] = g->value[NARG(ir, r, k)];
            out = ir_op(ir, (Op)NODE(ir, r)->op, nargs, args);
        }
        g->value[r] = out;
    }
    vec_free(&order);
    return g->value[term];
}

/* Axes of A first, then those of O that are still free; then the substitution itself. */
static int number_axes(Invert *v, Replace *p) {
    Ir *ir = v->ir;
    *p = (Replace){.v = v, .n = v->m, .nsyms = v->n + v->m};
    for (int i = 0; i < p->nsyms; i++) p->syms[i] = (Sym)i;
    for (int d = 0; d < v->m; d++) {
        p->by[v->n + d] = aff_sym(ir, (Sym)d);
        p->dims[d] = v->dims[v->n + d];
    }
    for (int s = 0; s < v->n; s++) {
        if (v->kind[s] != FREE_AXIS) continue;
        p->by[s] = aff_sym(ir, (Sym)p->n);
        p->dims[p->n++] = v->dims[s];
    }
    for (int s = 0; s < v->n; s++) {
        if (v->kind[s] == FREE_AXIS) continue;
        Sym syms[2 * IR_MAX_RANK];        /* a solution holds free axes and u only */
        Aff to[2 * IR_MAX_RANK];
        int k = 0;
        for (int i = 0; i < p->nsyms; i++)
            if (i >= v->n || v->kind[i] == FREE_AXIS) syms[k] = (Sym)i, to[k++] = p->by[i];
        p->by[s] = aff_subst(ir, v->sub[s], k, syms, to);
    }
    return p->n - v->m;
}

/* The contribution as a scalar over the axes of A. */
static bool finish(Invert *v, Ref at, Ref *out) {
    Ir *ir = v->ir;
    Replace p;
    int free_axes = number_axes(v, &p);
    if (p.n > IR_MAX_RANK) return fail(v->g, at, "the derivative needs an array of too many axes");
    Ref term = replace_term(&p, v->term), cond = ir_bool(ir, true);
    for (int s = 0; s < v->n; s++) {
        if (v->anti[s] && !stays_inside(&p, p.by[s], v->dims[s]))
            term = diff_scale(ir, SC_MUL, term, sign_at(ir, p.by[s], v->dims[s]));
        if (v->kind[s] == EXACT_AXIS && !stays_inside(&p, p.by[s], v->dims[s]))
            cond = ir_binary(ir, SC_AND, cond, ir_inrange(ir, p.by[s], v->dims[s]));
    }
    term = ir_select(ir, cond, term, ir_const(ir, 0));
    *out = term;
    if (free_axes == 0 || ir_is_zero(ir, term)) return true;
    Ref sum = ir_reduce(ir, SC_ADD, v->m, free_axes, p.dims, term);
    *out = NODE(ir, sum)->op == AR_MAP ? NARG(ir, sum, 0) : read_axes(ir, sum, 0);
    return true;
}

/* The contribution of a read, with term over the n axes of extents dims, to the adjoint
 * of the array it reads: a scalar over that array's axes. */
static bool invert_read(Grad *g, Ref at, int n, const int64_t *dims, Ref read, Ref term, Ref *out) {
    Ir *ir = g->ir;
    Ref array = NARG(ir, read, 0);
    Invert v = {.g = g, .ir = ir, .n = n, .m = NODE(ir, array)->rank};
    memcpy(v.dims, dims, (size_t)n * sizeof *dims);
    for (int d = 0; d < v.m; d++) {
        v.phi[d] = *NIDX(ir, read, d);
        v.phi[d].n = v.dims[n + d] = NDIM(ir, array, d);
        v.pending[d] = true;
    }
    set_term(&v, term);
    for (int d = 0; d < v.m; d++) solve_dimension(&v, d);
    Ref added = is_wasteful(&v) ? diff_scattered(ir, n, dims, read, term) : 0;
    bool good = added ? (*out = read_axes(ir, added, 0), true) : finish(&v, at, out);
    vec_free(&v.order);
    return good;
}

/* ==== the graph of arrays ========================================================== */

static void add_sym(Grad *g, Kids *k, Sym s) {
    for (int i = 0; i < k->nsyms; i++)
        if (g->sym_pool.data[k->sym_first + i] == s) return;
    vec_push(&g->sym_pool, s);
    k->nsyms++;
}

static Kids kids_of(Grad *g, Ref r);

/* Every array below the roots at their own loop level, kids first; not below stop. */
static void level_order(Grad *g, int n, const Ref *roots, const uint8_t *stop, Refs *out) {
    uint8_t *mark = lq_alloc((size_t)g->ir->nodes.n);
    memset(mark, 0, (size_t)g->ir->nodes.n);
    Refs stack = {0};
    out->n = 0;
    for (int i = n - 1; i >= 0; i--) vec_push(&stack, roots[i]);
    while (stack.n) {
        Ref r = stack.data[stack.n - 1];
        if (mark[r] == 2) { stack.n--; continue; }
        if (mark[r] == 1) {
            mark[r] = 2;
            vec_push(out, r);
            stack.n--;
            continue;
        }
        mark[r] = 1;
        if (stop && stop[r]) continue;
        Kids k = kids_of(g, r);
        for (int i = k.n - 1; i >= 0; i--)
            if (!mark[g->kid_pool.data[k.first + i]]) vec_push(&stack, g->kid_pool.data[k.first + i]);
    }
    vec_free(&stack);
    free(mark);
}

static Kids body_kids(Grad *g, Ref body) {
    Ir *ir = g->ir;
    Kids k = {.first = g->kid_pool.n, .sym_first = g->sym_pool.n, .known = true};
    Refs order = {0};
    scalar_order(g, body, &order);
    for (int i = 0; i < order.n; i++) {
        Ref r = order.data[i];
        for (int j = 0; j < NODE(ir, r)->nidx; j++) {
            const Affine *a = aff_get(ir, NIDX(ir, r, j)->aff);
            for (int t = 0; t < a->n; t++)
                if (a->t[t].sym >= SYM_LOOP) add_sym(g, &k, a->t[t].sym);
        }
        if (NODE(ir, r)->op != SC_READ) continue;
        Ref array = NARG(ir, r, 0);
        if (g->mark[array] == g->stamp) continue;
        g->mark[array] = g->stamp;
        vec_push(&g->kid_pool, array);
        k.n++;
    }
    vec_free(&order);
    return k;
}

/* What each array below a loop's next values has to do with the loop. */
typedef struct LoopBody { Refs order; uint8_t *inside; } LoopBody;

/* inside: depends on the loop's carries or its iteration number. */
static LoopBody loop_body(Grad *g, Ref loop) {
    Ir *ir = g->ir;
    LoopBody b = {0};
    uint32_t number = NODE(ir, loop)->aux;
    int ncarry = (int)NODE(ir, loop)->nargs / 2;
    level_order(g, ncarry, ir->args.data + NODE(ir, loop)->args + ncarry, NULL, &b.order);
    b.inside = lq_alloc((size_t)ir->nodes.n);
    memset(b.inside, 0, (size_t)ir->nodes.n);
    for (int i = 0; i < b.order.n; i++) {
        Ref r = b.order.data[i];
        bool in = NODE(ir, r)->op == AR_CARRY && NODE(ir, r)->aux == number;
        Kids k = kids_of(g, r);
        for (int j = 0; j < k.n; j++) in |= b.inside[g->kid_pool.data[k.first + j]];
        for (int j = 0; j < k.nsyms; j++) in |= g->sym_pool.data[k.sym_first + j] == SYM_LOOP + number;
        b.inside[r] = in;
    }
    return b;
}

/* Of a loop: its initial values, then the greatest arrays of the body that do not change
 * from one iteration to the next. */
static Kids loop_kids(Grad *g, Ref loop) {
    Ir *ir = g->ir;
    uint32_t number = NODE(ir, loop)->aux;
    int ncarry = (int)NODE(ir, loop)->nargs / 2;
    LoopBody b = loop_body(g, loop);
    Refs fixed = {0};
    Kids out = {.sym_first = 0, .known = true};
    uint8_t *taken = lq_alloc((size_t)ir->nodes.n);
    memset(taken, 0, (size_t)ir->nodes.n);
    for (int i = 0; i < ncarry; i++) vec_push(&fixed, NARG(ir, loop, i));
    for (int i = 0; i < ncarry; i++) {
        Ref next = NARG(ir, loop, ncarry + i);
        if (!b.inside[next] && !taken[next]) taken[next] = 1, vec_push(&fixed, next);
    }
    out.sym_first = g->sym_pool.n;
    for (int i = 0; i < b.order.n; i++) {
        if (!b.inside[b.order.data[i]]) continue;
        Kids k = kids_of(g, b.order.data[i]);
        for (int j = 0; j < k.n; j++) {
            Ref kid = g->kid_pool.data[k.first + j];
            if (!b.inside[kid] && !taken[kid]) taken[kid] = 1, vec_push(&fixed, kid);
        }
        for (int j = 0; j < k.nsyms; j++) {
            Sym s = g->sym_pool.data[k.sym_first + j];
            if (s != SYM_LOOP + number) add_sym(g, &out, s);
        }
    }
    out.first = g->kid_pool.n, out.n = fixed.n;
    for (int i = 0; i < fixed.n; i++) vec_push(&g->kid_pool, fixed.data[i]);
    vec_free(&fixed);
    vec_free(&b.order);
    free(b.inside);
    free(taken);
    return out;
}

static Kids kids_of(Grad *g, Ref r) {
    grad_ensure(g);
    if (g->kids[r].known) return g->kids[r];
    Kids k = {.known = true};
    switch (NODE(g->ir, r)->op) {
    case AR_MAP: case AR_REDUCE: k = body_kids(g, NARG(g->ir, r, 0)); break;
    case AR_LOOP: k = loop_kids(g, r); break;
    case AR_CALL:
        k.first = g->kid_pool.n;
        for (uint32_t i = 0; i < NODE(g->ir, r)->nargs; i++)
            if (i == 0 || NARG(g->ir, r, 1) != NARG(g->ir, r, 0)) vec_push(&g->kid_pool, NARG(g->ir, r, i)), k.n++;
        break;
    case AR_PROJ: case AR_STACK:
        k.first = g->kid_pool.n, k.n = 1;
        vec_push(&g->kid_pool, NARG(g->ir, r, 0));
        break;
    default: break;
    }
    return g->kids[r] = k;
}

/* ==== array sweep ================================================================== */

/* The adjoint that arrived at one result of a loop. */
typedef struct LoopAdjoint { Ref loop; int which; bool stack; Ref array; } LoopAdjoint;

typedef struct Sweep {
    Grad *g;
    uint8_t *dep;                /* by Ref: depends on a variable and has an adjoint */
    Ref *adj;                    /* by Ref: adjoint as a scalar over the array's axes */
    VEC(LoopAdjoint) at_loops;
} Sweep;

static void accumulate(Sweep *w, Ref array, Ref scalar) {
    Ref *a = &w->adj[array];
    *a = *a ? ir_binary(w->g->ir, SC_ADD, *a, scalar) : scalar;
}

static Ref adjoint_array(Ir *ir, Ref array, Ref scalar) {
    int64_t dims[IR_MAX_RANK];
    copy_dims(ir, array, dims);
    return ir_map(ir, NODE(ir, array)->rank, dims, scalar);
}

/* Where all of the reduced axes r equal r': axes rank.. and rank+nred.. . */
static Ref same_place(Ir *ir, int rank, int nred, const int64_t *dims) {
    Ref cond = ir_bool(ir, true);
    for (int i = rank; i < rank + nred; i++) {
        Ref a = ir_idx(ir, (Index){aff_sym(ir, (Sym)i), IX_EXACT, dims[i]});
        Ref b = ir_idx(ir, (Index){aff_sym(ir, (Sym)(i + nred)), IX_EXACT, dims[i]});
        cond = ir_binary(ir, SC_AND, cond, ir_binary(ir, SC_EQ, a, b));
    }
    return cond;
}

/* The product over all other places of the reduced axes: right where factors are 0. */
static Ref other_factors(Grad *g, Ref o, const int64_t *dims) {
    Ir *ir = g->ir;
    Node n = *NODE(ir, o);
    int rank = n.rank, nred = n.nred;
    int64_t all[IR_MAX_RANK];
    if (rank + 2 * nred > IR_MAX_RANK) return 0;
    Sym syms[IR_MAX_RANK];
    Aff by[IR_MAX_RANK];
    memcpy(all, dims, (size_t)(rank + nred) * sizeof *all);
    for (int i = 0; i < nred; i++) {
        all[rank + nred + i] = dims[rank + i];
        syms[i] = (Sym)(rank + i);
        by[i] = aff_sym(ir, (Sym)(rank + nred + i));
    }
    Ref f = ir_subst_syms(ir, NARG(ir, o, 0), nred, syms, by);
    f = ir_select(ir, same_place(ir, rank, nred, dims), ir_const(ir, 1), f);
    return read_axes(ir, ir_reduce(ir, SC_MUL, rank + nred, nred, all, f), 0);
}

/* The adjoint goes in equal parts to the places that attain the extremum. Value and
 * extremum come from one stored array, so that they compare equal however f is compiled. */
static Ref extremum_weight(Grad *g, Ref o, const int64_t *dims, Ref adj) {
    Ir *ir = g->ir;
    Node n = *NODE(ir, o);
    Ref body = NARG(ir, o, 0), f = body, best = read_axes(ir, o, 0);
    if (NODE(ir, body)->op != SC_READ) {
        Ref values = ir_map(ir, n.rank + n.nred, dims, body);
        f = read_axes(ir, values, 0);
        best = read_axes(ir, ir_reduce(ir, (Op)n.aux, n.rank, n.nred, dims, f), 0);
    }
    Ref hit = ir_binary(ir, SC_EQ, f, best), zero = ir_const(ir, 0);
    Ref ties = ir_reduce(ir, SC_ADD, n.rank, n.nred, dims, ir_select(ir, hit, ir_const(ir, 1), zero));
    return ir_select(ir, hit, ir_binary(ir, SC_DIV, adj, read_axes(ir, ties, 0)), zero);
}

/* The adjoint of o in its own axes: as it stands where it is one plain read, otherwise
 * through an array, so that the places that use it share it. */
static Ref outer_adjoint(Sweep *w, Ref o) {
    Ir *ir = w->g->ir;
    Ref adj = w->adj[o], r = adj;
    if (NODE(ir, r)->op == SC_NEG) r = NARG(ir, r, 0);
    if (NODE(ir, r)->op == SC_MUL && ir_is_const(ir, NARG(ir, r, 0), NULL)) r = NARG(ir, r, 1);
    bool plain = NODE(ir, r)->op == SC_READ;
    for (int i = 0; plain && i < NODE(ir, r)->nidx; i++) plain = NIDX(ir, r, i)->mode == IX_EXACT;
    return plain ? adj : read_axes(ir, adjoint_array(ir, o, adj), 0);
}

/* A map or reduction passes its adjoint on to the arrays that its body reads. */
static bool sweep_body(Sweep *w, Ref o) {
    Grad *g = w->g;
    Ir *ir = g->ir;
    Node n = *NODE(ir, o);
    int64_t dims[IR_MAX_RANK];
    copy_dims(ir, o, dims);
    Ref weight = outer_adjoint(w, o);
    if (n.op == AR_REDUCE && n.aux == SC_MUL) {
        Ref others = other_factors(g, o, dims);
        if (!others) return fail(g, o, "the derivative of this product needs an array of too many axes");
        weight = ir_binary(ir, SC_MUL, weight, others);
    } else if (n.op == AR_REDUCE && n.aux != SC_ADD) {
        weight = extremum_weight(g, o, dims, weight);
    }
    Partials parts = {0};
    bool good = scalar_sweep(g, NARG(ir, o, 0), weight, w->dep, &parts);
    for (int i = 0; i < parts.n && good; i++) {
        Ref share = 0, read = parts.data[i].read;
        good = invert_read(g, o, n.rank + n.nred, dims, read, parts.data[i].value, &share);
        if (good && !ir_is_zero(ir, share)) accumulate(w, NARG(ir, read, 0), share);
    }
    vec_free(&parts);
    return good;
}

/* ==== loops ========================================================================== */

/* A forward loop while its reverse is being made. */
typedef struct Reverse {
    Sweep *w;
    Ref loop;
    uint32_t number, back;       /* loop numbers, forward and reverse */
    int ncarry;
    Ref *init, *next, *carry;    /* of the forward loop */
    bool *varies;                /* real, and depends on a variable */
    bool *wanted;                /* and its adjoint is needed */
    Refs fixed;                  /* arrays of the body that do not change, and have dep */
    Refs all_fixed;
} Reverse;

/* Does next depend on the varying carries or on fixed arrays with dep? */
static void mark_varying(Reverse *v, const LoopBody *b) {
    Grad *g = v->w->g;
    Ir *ir = g->ir;
    uint8_t *moves = lq_alloc((size_t)ir->nodes.n);
    for (bool more = true; more;) {
        more = false;
        memset(moves, 0, (size_t)ir->nodes.n);
        for (int i = 0; i < v->fixed.n; i++) moves[v->fixed.data[i]] = 1;
        for (int i = 0; i < v->ncarry; i++) moves[v->carry[i]] = v->varies[i];
        for (int i = 0; i < b->order.n; i++) {
            Ref r = b->order.data[i];
            Kids k = kids_of(g, r);
            for (int j = 0; j < k.n && b->inside[r]; j++) moves[r] |= moves[g->kid_pool.data[k.first + j]];
            if (NODE(ir, r)->boolean) moves[r] = 0;
        }
        for (int i = 0; i < v->ncarry; i++) {
            if (v->varies[i] || !moves[v->next[i]] || NODE(ir, v->carry[i])->boolean) continue;
            v->varies[i] = more = true;
        }
    }
    free(moves);
}

/* Carries that some wanted adjoint flows to. */
static void mark_wanted(Reverse *v) {
    Grad *g = v->w->g;
    for (bool more = true; more;) {
        more = false;
        Refs roots = {0}, order = {0};
        for (int i = 0; i < v->ncarry; i++)
            if (v->wanted[i]) vec_push(&roots, v->next[i]);
        level_order(g, roots.n, roots.data, NULL, &order);
        for (int k = 0; k < order.n; k++)
            for (int i = 0; i < v->ncarry; i++)
                if (order.data[k] == v->carry[i] && v->varies[i] && !v->wanted[i]) v->wanted[i] = more = true;
        vec_free(&roots);
        vec_free(&order);
    }
}

static Ref loop_adjoint(const Sweep *w, Ref loop, int which, bool stack) {
    for (int i = 0; i < w->at_loops.n; i++) {
        LoopAdjoint a = w->at_loops.data[i];
        if (a.loop == loop && a.which == which && a.stack == stack) return a.array;
    }
    return 0;
}

/* stacked[T-1-j, …] with j the iteration of the reverse loop. */
static Ref read_backwards(const Reverse *v, Ref stacked) {
    Ir *ir = v->w->g->ir;
    Index ix[IR_MAX_RANK];
    int64_t trip = ir->loops.data[v->number].trip;
    Aff at = aff_shift(ir, aff_scale(ir, aff_sym(ir, SYM_LOOP + v->back), -1), trip - 1);
    ix[0] = (Index){at, IX_EXACT, trip};
    for (int i = 1; i < NODE(ir, stacked)->rank; i++)
        ix[i] = (Index){aff_sym(ir, (Sym)(i - 1)), IX_EXACT, NDIM(ir, stacked, i)};
    return ir_read(ir, stacked, ix);
}

/* ---- a body's derivative moved into the reverse loop ---- */

/* One rebuild of several roots: arrays replaced, one iteration number replaced by an
 * affine form, and every loop that this changes renumbered, since its carries are new. */
typedef struct Move {
    Ir *ir;
    Ref *memo;                   /* by Ref: what it becomes */
    uint8_t *touched;
    uint32_t *number;            /* by loop: its number afterwards */
    int nloops, nsyms;
    Sym *syms;
    Aff *by;
} Move;

/* Below the roots, arguments first, not below what has a memo. */
static void move_order(const Move *m, const Refs *roots, Refs *out) {
    Ir *ir = m->ir;
    uint8_t *mark = lq_alloc((size_t)ir->nodes.n);
    memset(mark, 0, (size_t)ir->nodes.n);
    Refs stack = {0};
    for (int i = 0; i < roots->n; i++) vec_push(&stack, roots->data[i]);
    while (stack.n) {
        Ref r = stack.data[stack.n - 1];
        if (mark[r] == 1) vec_push(out, r);
        if (mark[r]) { if (mark[r] == 1) mark[r] = 2; stack.n--; continue; }
        mark[r] = 1;
        if (m->memo[r]) { mark[r] = 2; continue; }
        for (int i = (int)NODE(ir, r)->nargs - 1; i >= 0; i--)
            if (!mark[NARG(ir, r, i)]) vec_push(&stack, NARG(ir, r, i));
    }
    vec_free(&stack);
    free(mark);
}

static bool node_touched(const Move *m, Ref r) {
    const Node *n = NODE(m->ir, r);
    for (uint32_t i = 0; i < n->nargs; i++)
        if (m->touched[NARG(m->ir, r, (int)i)]) return true;
    for (int i = 0; i < n->nidx; i++)
        for (int k = 0; k < m->nsyms; k++)
            if (aff_coef(m->ir, NIDX(m->ir, r, i)->aff, m->syms[k])) return true;
    return (n->op == AR_CARRY || n->op == AR_LOOP) && (int)n->aux < m->nloops && m->number[n->aux] != n->aux;
}

/* A renumbered loop changes its carries, which may touch loops inside it: until stable. */
static void renumber_loops(Move *m, const Refs *order) {
    Ir *ir = m->ir;
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < order->n; i++) {
            Ref r = order->data[i];
            m->touched[r] |= node_touched(m, r);
            uint32_t old = NODE(ir, r)->aux;
            if (NODE(ir, r)->op != AR_LOOP || !m->touched[r] || m->number[old] != old) continue;
            m->number[old] = ir_loop_new(ir, ir->loops.data[old].trip, ir->loops.data[old].at);
            m->syms[m->nsyms] = SYM_LOOP + old;
            m->by[m->nsyms++] = aff_sym(ir, SYM_LOOP + m->number[old]);
            more = true;
        }
    }
}

static Ref move_node(const Move *m, Ref r) {
    Ir *ir = m->ir;
    Node n = *NODE(ir, r);
    Index ix[IR_MAX_RANK];
    Ref small[4], *a = n.nargs > 4 ? lq_alloc(n.nargs * sizeof *a) : small, out = 0;
    for (uint32_t i = 0; i < n.nargs; i++) a[i] = m->memo[NARG(ir, r, (int)i)];
    for (int i = 0; i < n.nidx; i++) {
        ix[i] = *NIDX(ir, r, i);
        ix[i].aff = aff_subst(ir, ix[i].aff, m->nsyms, m->syms, m->by);
    }
    bool looped = n.op == AR_CARRY || n.op == AR_LOOP;
    out = ir_remake(ir, r, a, ix, looped ? m->number[n.aux] : 0);
    if (a != small) free(a);
    return out;
}

/* from[i] becomes to[i] and is not looked into; sym becomes by. */
static void move_roots(Ir *ir, Refs *roots, const Refs *from, const Refs *to, Sym sym, Aff by) {
    int nodes = ir->nodes.n;
    Move m = {.ir = ir, .nloops = ir->loops.n, .nsyms = 1};
    m.memo = lq_alloc((size_t)nodes * sizeof *m.memo);
    memset(m.memo, 0, (size_t)nodes * sizeof *m.memo);
    m.touched = lq_alloc((size_t)nodes);
    memset(m.touched, 0, (size_t)nodes);
    m.number = lq_alloc((size_t)m.nloops * sizeof *m.number);
    m.syms = lq_alloc((size_t)(m.nloops + 1) * sizeof *m.syms);
    m.by = lq_alloc((size_t)(m.nloops + 1) * sizeof *m.by);
    for (int i = 0; i < m.nloops; i++) m.number[i] = (uint32_t)i;
    m.syms[0] = sym, m.by[0] = by;
    for (int i = 0; i < from->n; i++) {
        m.memo[from->data[i]] = to->data[i];
        m.touched[from->data[i]] = from->data[i] != to->data[i];
    }
    Refs order = {0};
    move_order(&m, roots, &order);
    renumber_loops(&m, &order);
    for (int i = 0; i < order.n; i++) {
        Ref r = order.data[i];
        if (!m.memo[r]) m.memo[r] = m.touched[r] ? move_node(&m, r) : r;
    }
    for (int i = 0; i < roots->n; i++) roots->data[i] = m.memo[roots->data[i]];
    vec_free(&order);
    free(m.memo);
    free(m.touched);
    free(m.number);
    free(m.syms);
    free(m.by);
}

/* ---- the reverse loop ---- */

static bool backprop(Grad *g, const Refs *roots, const Refs *seeds, const Refs *wrt, Refs *out);

/* Carries of the reverse loop: adjoints of the wanted carries, then sums for fixed arrays. */
typedef struct BackLoop { Refs target, init, carry, next; int nadjoints; } BackLoop;

static Ref add_carry(const Reverse *v, BackLoop *b, Ref target, Ref init) {
    Ref c = ir_carry(v->w->g->ir, v->back, b->carry.n, init);
    vec_push(&b->target, target);
    vec_push(&b->init, init);
    vec_push(&b->carry, c);
    return c;
}

/* The gradient of sum of adjoint_i * next_i with respect to carries and fixed arrays,
 * still in terms of the forward loop's carries and iteration number. */
static bool back_body(const Reverse *v, BackLoop *b) {
    Grad *g = v->w->g;
    Ir *ir = g->ir;
    Refs roots = {0}, seeds = {0}, wrt = {0}, out = {0};
    for (int i = 0; i < v->ncarry; i++) {
        if (!v->wanted[i]) continue;
        Ref arrived = loop_adjoint(v->w, v->loop, i, false);
        if (!arrived) arrived = constant_like(ir, v->init[i], 0);
        vec_push(&roots, v->next[i]);
        vec_push(&seeds, add_carry(v, b, (Ref)i, arrived));
        vec_push(&wrt, v->carry[i]);
    }
    b->nadjoints = b->carry.n;
    for (int i = 0; i < v->fixed.n; i++) vec_push(&wrt, v->fixed.data[i]);
    bool good = backprop(g, &roots, &seeds, &wrt, &out);
    for (int k = 0; k < wrt.n && good; k++) {
        Ref grad = out.data[k];
        if (k < b->nadjoints) {
            vec_push(&b->next, grad ? grad : constant_like(ir, wrt.data[k], 0));
        } else if (grad) {
            Ref sum = add_carry(v, b, wrt.data[k], constant_like(ir, wrt.data[k], 0));
            Ref body = ir_binary(ir, SC_ADD, read_axes(ir, sum, 0), read_axes(ir, grad, 0));
            vec_push(&b->next, adjoint_array(ir, wrt.data[k], body));
        }
    }
    vec_free(&roots);
    vec_free(&seeds);
    vec_free(&wrt);
    vec_free(&out);
    return good;
}

/* Forward carries become reads of their stacks. What the body shares with its outside
 * stays: fixed arrays, and the carries of the reverse loop. */
static void move_body(const Reverse *v, BackLoop *b) {
    Ir *ir = v->w->g->ir;
    Refs from = {0}, to = {0};
    for (int i = 0; i < v->ncarry; i++) {
        bool still = v->next[i] == v->carry[i];
        Ref past = v->init[i];
        if (!still) past = adjoint_array(ir, past, read_backwards(v, ir_stack(ir, v->loop, i)));
        vec_push(&from, v->carry[i]);
        vec_push(&to, past);
    }
    for (int i = 0; i < v->all_fixed.n + b->carry.n; i++) {
        Ref stays = i < v->all_fixed.n ? v->all_fixed.data[i] : b->carry.data[i - v->all_fixed.n];
        vec_push(&from, stays);
        vec_push(&to, stays);
    }
    int64_t trip = ir->loops.data[v->number].trip;
    Aff at = aff_shift(ir, aff_scale(ir, aff_sym(ir, SYM_LOOP + v->back), -1), trip - 1);
    move_roots(ir, &b->next, &from, &to, SYM_LOOP + v->number, at);
    vec_free(&from);
    vec_free(&to);
}

/* Adjoints of the stack arrive at the carry before each iteration. */
static void add_stacks(const Reverse *v, BackLoop *b) {
    Ir *ir = v->w->g->ir;
    for (int k = 0; k < b->nadjoints; k++) {
        int i = (int)b->target.data[k];
        Ref stack = loop_adjoint(v->w, v->loop, i, true);
        if (!stack) continue;
        Ref sum = ir_binary(ir, SC_ADD, read_axes(ir, b->next.data[k], 0), read_backwards(v, stack));
        b->next.data[k] = adjoint_array(ir, v->init[i], sum);
    }
}

static bool reverse_loop(Reverse *v) {
    Ir *ir = v->w->g->ir;
    BackLoop b = {0};
    v->back = ir_loop_new(ir, ir->loops.data[v->number].trip, ir->loops.data[v->number].at);
    bool good = back_body(v, &b);
    if (good) {
        move_body(v, &b);
        add_stacks(v, &b);
        Ref loop = ir_loop(ir, v->back, -1, b.carry.n, b.init.data, b.next.data);
        for (int k = 0; k < b.carry.n; k++) {
            Ref target = k < b.nadjoints ? v->init[b.target.data[k]] : b.target.data[k];
            if (v->w->dep[target]) accumulate(v->w, target, read_axes(ir, ir_proj(ir, loop, k), 0));
        }
    }
    vec_free(&b.target);
    vec_free(&b.init);
    vec_free(&b.carry);
    vec_free(&b.next);
    return good;
}

static bool sweep_loop(Sweep *w, Ref loop) {
    Grad *g = w->g;
    Ir *ir = g->ir;
    Reverse v = {.w = w, .loop = loop, .number = NODE(ir, loop)->aux, .ncarry = (int)NODE(ir, loop)->nargs / 2};
    size_t n = (size_t)v.ncarry;
    Ref *refs = lq_alloc((3 * n + 1) * sizeof *refs);
    bool *flags = lq_alloc(2 * n + 1);
    v.init = refs, v.next = refs + n, v.carry = refs + 2 * n;
    v.varies = flags, v.wanted = flags + n;
    for (int i = 0; i < v.ncarry; i++) {
        v.init[i] = NARG(ir, loop, i), v.next[i] = NARG(ir, loop, v.ncarry + i);
        v.carry[i] = ir_carry(ir, v.number, i, v.init[i]);
        v.varies[i] = w->dep[v.init[i]] && !NODE(ir, v.init[i])->boolean;
    }
    Kids k = kids_of(g, loop);
    for (int i = v.ncarry; i < k.n; i++) {
        Ref r = g->kid_pool.data[k.first + i];
        vec_push(&v.all_fixed, r);
        if (w->dep[r]) vec_push(&v.fixed, r);
    }
    LoopBody b = loop_body(g, loop);
    mark_varying(&v, &b);
    bool any = false;
    for (int i = 0; i < v.ncarry; i++) {
        bool arrived = loop_adjoint(w, loop, i, false) || loop_adjoint(w, loop, i, true);
        any |= v.wanted[i] = v.varies[i] && arrived;
    }
    mark_wanted(&v);
    bool good = !any || reverse_loop(&v);
    vec_free(&v.fixed);
    vec_free(&v.all_fixed);
    vec_free(&b.order);
    free(b.inside);
    free(refs);
    free(flags);
    return good;
}

/* ==== the reverse sweep over arrays ==================================================== */

/* A function of whole arrays passes its adjoint on as an array. */
static void sweep_call(Sweep *w, Ref r) {
    Ir *ir = w->g->ir;
    Ref share[2];
    diff_call(ir, r, adjoint_array(ir, r, w->adj[r]), share);
    for (uint32_t i = 0; i < NODE(ir, r)->nargs; i++) {
        Ref a = NARG(ir, r, i);
        if (share[i] && w->dep[a]) accumulate(w, a, read_axes(ir, share[i], 0));
    }
}

static bool sweep_node(Sweep *w, Ref r) {
    Ir *ir = w->g->ir;
    Node n = *NODE(ir, r);
    if (n.op == AR_LOOP) return sweep_loop(w, r);
    if (!w->adj[r] || ir_is_zero(ir, w->adj[r])) return true;
    if (n.op == AR_MAP || n.op == AR_REDUCE) return sweep_body(w, r);
    if (n.op == AR_CALL) sweep_call(w, r);
    if (n.op == AR_PROJ || n.op == AR_STACK) {
        LoopAdjoint a = {NARG(ir, r, 0), (int)n.aux, n.op == AR_STACK, adjoint_array(ir, r, w->adj[r])};
        vec_push(&w->at_loops, a);
    }
    return true;
}

/* Arrays between the roots and wrt that depend on wrt; a carry met on the way is one of
 * an enclosing loop and does not. */
static void mark_dependent(Sweep *w, const Refs *order, const uint8_t *stop) {
    Grad *g = w->g;
    for (int i = 0; i < order->n; i++) {
        Ref r = order->data[i];
        bool dep = stop[r];
        Kids k = kids_of(g, r);
        for (int j = 0; j < k.n && !stop[r]; j++) dep |= w->dep[g->kid_pool.data[k.first + j]];
        w->dep[r] = dep && !NODE(g->ir, r)->boolean;
    }
}

/* out[i]: the gradient of the sum over k of seeds[k]*roots[k] with respect to wrt[i], or
 * 0 where nothing depends on it.  A seed of 0 stands for 1. */
static bool backprop(Grad *g, const Refs *roots, const Refs *seeds, const Refs *wrt, Refs *out) {
    Ir *ir = g->ir;
    size_t nodes = (size_t)ir->nodes.n;
    Sweep w = {.g = g, .dep = lq_alloc(nodes), .adj = lq_alloc(nodes * sizeof(Ref))};
    uint8_t *stop = lq_alloc(nodes);
    memset(w.dep, 0, nodes);
    memset(w.adj, 0, nodes * sizeof(Ref));
    memset(stop, 0, nodes);
    for (int i = 0; i < wrt->n; i++) stop[wrt->data[i]] = 1;
    Refs order = {0};
    level_order(g, roots->n, roots->data, stop, &order);
    mark_dependent(&w, &order, stop);
    for (int i = 0; i < roots->n; i++) {
        Ref root = roots->data[i];
        if (!w.dep[root]) continue;
        accumulate(&w, root, seeds->data[i] ? read_axes(ir, seeds->data[i], 0) : ir_const(ir, 1));
    }
    bool good = true;
    for (int i = order.n - 1; i >= 0 && good; i--)
        if (w.dep[order.data[i]] && !stop[order.data[i]]) good = sweep_node(&w, order.data[i]);
    for (int i = 0; i < wrt->n; i++) {
        Ref a = wrt->data[i];
        vec_push(out, w.adj[a] ? adjoint_array(ir, a, w.adj[a]) : 0);
    }
    vec_free(&order);
    vec_free(&w.at_loops);
    free(w.dep);
    free(w.adj);
    free(stop);
    return good;
}

bool ir_grad(Ir *ir, Ref root, Ref seed, int n, const Ref *wrt, Ref *out, DiffError *err) {
    *err = (DiffError){0, NULL};
    Grad g = {.ir = ir, .err = err};
    Refs roots = {0}, seeds = {0}, by = {0}, result = {0};
    vec_push(&roots, root);
    vec_push(&seeds, seed);
    for (int i = 0; i < n; i++) vec_push(&by, wrt[i]);
    bool good = backprop(&g, &roots, &seeds, &by, &result);
    for (int i = 0; i < n && good; i++) out[i] = result.data[i] ? result.data[i] : constant_like(ir, wrt[i], 0);
    vec_free(&roots);
    vec_free(&seeds);
    vec_free(&by);
    vec_free(&result);
    free(g.mark);
    free(g.value);
    free(g.active);
    free(g.kids);
    vec_free(&g.kid_pool);
    vec_free(&g.sym_pool);
    return good;
}
