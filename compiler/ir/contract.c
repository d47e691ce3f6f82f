/* contract.c — sums of products of arrays become contractions, calls that blocked kernels carry out.
 *
 * Requires: closed nodes.  Gives equal values up to the order of summation; for functions of one
 *   replica, before the normal form of sums.
 *
 * The factors of the body of a sum are grouped by the axes on which they depend.  Two groups at a
 * time are contracted, first the two that are cheapest together, over the reduced axes that no other
 * group has; so a product of three matrices is made in its better order.  A group that is one plain
 * read is used where it lies, with all its shifts and turns; any other becomes an array first. */
#include "ir.h"
#include "schedule.h"

#include <string.h>

enum {
    MOST_FACTORS = 24,
    LEAST_WORK = 2048        /* multiply-adds below which a sum stays one */
};

typedef uint32_t Axes;       /* bit i: axis i of the reduction */

typedef struct Group { Axes axes; Ref body; } Group;   /* body: over the axes of the reduction */

typedef struct Match {
    Ir *ir;
    int rank, naxes;
    int64_t dims[IR_MAX_RANK];
    Ref c;                   /* constant factors */
    Group g[MOST_FACTORS];
    int n;
    bool called;             /* something became a contraction */
} Match;

/* ---- factors -------------------------------------------------------------------------------- */

/* The axes that a scalar depends on; reads are leaves. */
static Axes axes_of(const Match *m, Ref scalar) {
    Sym syms[64];
    int n = ir_free_syms(m->ir, scalar, syms, 64);
    Axes axes = 0;
    for (int i = 0; i < n; i++)
        if (syms[i] < (Sym)m->naxes) axes |= (Axes)1 << syms[i];
    return axes;
}

static bool add_group(Match *m, Ref body) {
    Axes axes = axes_of(m, body);
    for (int i = 0; i < m->n; i++) {
        if (m->g[i].axes != axes) continue;
        m->g[i].body = ir_binary(m->ir, SC_MUL, m->g[i].body, body);
        return true;
    }
    if (m->n == MOST_FACTORS) return false;
    m->g[m->n++] = (Group){axes, body};
    return true;
}

/* Products, signs and `if c then x else 0` are taken apart. */
static bool add_factors(Match *m, Ref r, int depth) {
    Ir *ir = m->ir;
    int op = NODE(ir, r)->op;
    if (depth > MOST_FACTORS) return false;
    if (ir_is_const(ir, r, NULL)) { m->c = ir_binary(ir, SC_MUL, m->c, r); return true; }
    if (op == SC_MUL) return add_factors(m, NARG(ir, r, 0), depth + 1) && add_factors(m, NARG(ir, r, 1), depth + 1);
    if (op == SC_NEG) { m->c = ir_unary(ir, SC_NEG, m->c); return add_factors(m, NARG(ir, r, 0), depth + 1); }
    if (op == SC_DIV) {
        Ref below = ir_binary(ir, SC_DIV, ir_const(ir, 1), NARG(ir, r, 1));
        return axes_of(m, NARG(ir, r, 0)) == axes_of(m, NARG(ir, r, 1)) ? add_group(m, r)
             : add_factors(m, NARG(ir, r, 0), depth + 1) && add_group(m, below);
    }
    if (op == SC_SELECT && ir_is_zero(ir, NARG(ir, r, 2)) && !NODE(ir, r)->boolean) {
        Ref where = ir_select(ir, NARG(ir, r, 0), ir_const(ir, 1), ir_const(ir, 0)), x = NARG(ir, r, 1);
        if (axes_of(m, where) == axes_of(m, r)) return add_group(m, r);
        return add_group(m, where) && add_factors(m, x, depth + 1);
    }
    return add_group(m, r);
}

/* ---- arrays ---------------------------------------------------------------------------------- */

static int list_axes(const Match *m, Axes axes, int *out) {
    int n = 0;
    for (int i = 0; i < m->naxes; i++)
        if (axes >> i & 1) out[n++] = i;
    return n;
}

/* The axes of `order` are numbered 0, 1, … */
static Ref renumbered(const Match *m, Ref scalar, int n, const int *order) {
    Sym syms[IR_MAX_RANK];
    Aff by[IR_MAX_RANK];
    for (int i = 0; i < n; i++) syms[i] = (Sym)order[i], by[i] = aff_sym(m->ir, (Sym)i);
    return ir_subst_syms(m->ir, scalar, n, syms, by);
}

/* array[order…], over the axes of the reduction. */
static Ref read_at(const Match *m, Ref array, int n, const int *order) {
    Index ix[IR_MAX_RANK];
    for (int i = 0; i < n; i++) ix[i] = (Index){aff_sym(m->ir, (Sym)order[i]), IX_EXACT, m->dims[order[i]]};
    return ir_read(m->ir, array, ix);
}

static Ref read_over(const Match *m, Ref array, Axes axes) {
    int order[IR_MAX_RANK], n = list_axes(m, axes, order);
    return read_at(m, array, n, order);
}

/* The axes in the order in which some array of the body has them: then it is read and stored in
 * rows, and contractions take operands of any layout. */
static void order_as_read(const Match *m, Ref body, int n, int *order) {
    int as_read[IR_MAX_RANK], other[IR_MAX_RANK];
    Ref own = renumbered(m, body, n, order);
    ScalarWalk *walk = scalar_walk_new(m->ir);
    scalar_walk(walk, 1, &own);
    bool found = false;
    for (int i = 0; i < walk->list.n && !found; i++) found = ir_read_order(m->ir, walk->list.data[i], n, as_read);
    scalar_walk_free(walk);
    for (int i = 0; found && i < n; i++) other[i] = order[as_read[i]];
    if (found) memcpy(order, other, (size_t)n * sizeof *order);
}

/* body summed over `over`, made an array over `axes` and read again. */
static Ref stored(const Match *m, Ref body, Axes axes, Axes over) {
    int order[IR_MAX_RANK], n = list_axes(m, axes, order), all = n + list_axes(m, over, order + n);
    int64_t dims[IR_MAX_RANK];
    if (!over) order_as_read(m, body, n, order);
    for (int i = 0; i < all; i++) dims[i] = m->dims[order[i]];
    Ref array = ir_reduce(m->ir, SC_ADD, n, all - n, dims, renumbered(m, body, all, order));
    return read_at(m, array, n, order);
}

/* Can a group be handed to a call as it stands: one read, its indices of axes alone? */
static bool is_operand(const Match *m, Ref body) {
    if (NODE(m->ir, body)->op != SC_READ || NODE(m->ir, NARG(m->ir, body, 0))->boolean) return false;
    for (int i = 0; i < NODE(m->ir, body)->nidx; i++) {
        const Affine *f = aff_get(m->ir, NIDX(m->ir, body, i)->aff);
        for (int t = 0; t < f->n; t++)
            if (f->t[t].sym >= (Sym)m->naxes) return false;
    }
    return true;
}

/* ---- contractions ------------------------------------------------------------------------------- */

static double points(const Match *m, Axes axes) {
    double n = 1;
    for (int i = 0; i < m->naxes; i++)
        if (axes >> i & 1) n *= (double)m->dims[i];
    return n;
}

static Axes reduced_axes(const Match *m) { return (((Axes)1 << m->naxes) - 1) & ~(((Axes)1 << m->rank) - 1); }

/* Reduced axes of two groups that no other has. */
static Axes own_axes(const Match *m, int i, int j) {
    Axes others = 0;
    for (int k = 0; k < m->n; k++)
        if (k != i && k != j) others |= m->g[k].axes;
    return (m->g[i].axes | m->g[j].axes) & reduced_axes(m) & ~others;
}

/* A group is summed first over reduced axes that only it has. */
static void sum_alone(Match *m, int i) {
    Axes alone = own_axes(m, i, i);
    if (!alone || m->n == 1) return;
    Axes left = m->g[i].axes & ~alone;
    m->g[i].body = stored(m, m->g[i].body, left, alone);
    m->g[i].axes = left;
}

/* The product of two groups summed over `over`: a call where that pays. */
static Ref contracted(Match *m, const Group *a, const Group *b, Axes over) {
    Ir *ir = m->ir;
    Axes all = a->axes | b->axes, left = all & ~over;
    int order[IR_MAX_RANK], n = list_axes(m, left, order), naxes = n + list_axes(m, over, order + n);
    const Group *side[2] = {a, b};
    Ref args[2];
    Index ix[2 * IR_MAX_RANK];
    int64_t dims[IR_MAX_RANK];
    int nidx = 0;
    for (int s = 0; s < 2; s++) {
        Ref body = is_operand(m, side[s]->body) ? side[s]->body : stored(m, side[s]->body, side[s]->axes, 0);
        if (NODE(ir, body)->op != SC_READ || nidx + NODE(ir, body)->nidx > IR_MAX_RANK) return 0;
        body = renumbered(m, body, naxes, order);
        args[s] = NARG(ir, body, 0);
        for (int i = 0; i < NODE(ir, body)->nidx; i++) ix[nidx++] = *NIDX(ir, body, i);
    }
    for (int i = 0; i < naxes; i++) dims[i] = m->dims[order[i]];
    m->called = true;
    return ir_call(ir, CALL_CONTRACT, 2, args, n, naxes - n, dims, nidx, ix, 0);
}

static bool pays(const Match *m, const Group *a, const Group *b, Axes over) {
    return over && a->axes != b->axes && ((a->axes | b->axes) & ~over) && points(m, a->axes | b->axes) >= LEAST_WORK;
}

/* Two groups become one. */
static void join(Match *m, int i, int j) {
    Group a = m->g[i], b = m->g[j];
    Axes over = own_axes(m, i, j), all = a.axes | b.axes;
    Ref call = pays(m, &a, &b, over) ? contracted(m, &a, &b, over) : 0;
    Ref product = call ? 0 : ir_binary(m->ir, SC_MUL, a.body, b.body);
    Group out = {all & ~over, 0};
    if (call) out.body = read_over(m, call, out.axes);
    else if (over && m->n > 2) out.body = stored(m, product, out.axes, over);
    else out = (Group){all, product};
    m->g[i] = out;
    m->g[j] = m->g[--m->n];
}

static void join_all(Match *m) {
    while (m->n > 1) {
        int bi = 0, bj = 1;
        double best = 0;
        for (int i = 0; i < m->n; i++)
            for (int j = i + 1; j < m->n; j++) {
                double cost = points(m, m->g[i].axes | m->g[j].axes);
                if (best == 0 || cost < best) best = cost, bi = i, bj = j;
            }
        join(m, bi, bj);
    }
}

/* The reduction r by contractions, or r itself. */
static Ref match(Ir *ir, Ref r) {
    const Node *k = NODE(ir, r);
    if (k->op != AR_REDUCE || k->aux != SC_ADD || k->rank == 0) return r;
    Match m = {.ir = ir, .rank = k->rank, .naxes = k->rank + k->nred, .c = ir_const(ir, 1)};
    double work = 1;
    for (int i = 0; i < m.naxes; i++) work *= (double)(m.dims[i] = NDIM(ir, r, i));
    if (work < LEAST_WORK || !add_factors(&m, NARG(ir, r, 0), 0) || m.n < 2) return r;
    Axes met = 0;
    for (int i = 0; i < m.n; i++) met |= m.g[i].axes;
    for (int i = m.rank; i < m.naxes; i++)
        if (!(met >> i & 1)) m.c = ir_binary(ir, SC_MUL, m.c, ir_const(ir, (double)m.dims[i]));
    for (int i = 0; i < m.n; i++) sum_alone(&m, i);
    join_all(&m);
    if (!m.called) return r;
    Axes outer = ((Axes)1 << m.rank) - 1, over = m.g[0].axes & ~outer;
    Ref body = m.g[0].body;
    if (over) body = stored(&m, body, m.g[0].axes & outer, over);
    if (m.c != ir_const(ir, 1)) body = ir_binary(ir, SC_MUL, m.c, body);
    return ir_map(ir, m.rank, m.dims, body);
}

void ir_match_contractions(Ir *ir, int n, Ref *roots) { ir_rewrite_arrays(ir, n, roots, match); }
