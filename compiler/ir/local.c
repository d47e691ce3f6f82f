/* local.c — differences of a sum of local terms when one element of an array changes, and the
 * colours of elements that may change together.
 *
 * S is taken apart into terms  c * sum_y f(y)  with c independent of q, where f reads q at
 * y + k for some constants k, y being an axis of the sum for each axis of q (or a constant
 * index).  The element u is read by the terms y = u - k, so
 *     S(q') - S(q) = c * sum over the different k of  f_q'(u - k) - f_q(u - k).
 * In f(u - k) a read at y + k' is the element u exactly when k' = k, modulo the extent on
 * a periodic axis: that is decided here, not when it runs, and small extents, where
 * several k are one, need no special case.  Where y = u - k leaves its range, the term is one
 * that lies a whole extent away (periodic), or does not exist (open): a condition on u. */
#include "local.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TERMS = 256, MAX_READS = 256, MAX_UNROLLED = 64, MAX_DEPTH = 4000 };

typedef struct Local {
    Ir   *ir;
    Ref   q, v;
    int   rank;
    const char *why;
    struct { Ref c, body; int nred; int64_t dims[IR_MAX_RANK]; } term[MAX_TERMS];
    int   nterms;
} Local;

static Ref failed(Local *w, const char *why) {
    if (!w->why) w->why = why;
    return 0;
}

static bool depends(const Local *w, Ref r) { return ir_depends(w->ir, r, w->q); }

/* ---- S as terms ------------------------------------------------------------------------ */

static void collect(Local *w, Ref r, Ref c, int depth);
static void add_sum(Local *w, Ref c, Ref reduce);

static void add_term(Local *w, Ref c, Ref body, int nred, const int64_t *dims) {
    if (w->nterms == MAX_TERMS) { failed(w, "it has too many terms"); return; }
    w->term[w->nterms].c = c, w->term[w->nterms].body = body, w->term[w->nterms].nred = nred;
    if (nred) memcpy(w->term[w->nterms].dims, dims, (size_t)nred * sizeof *dims);
    w->nterms++;
}

/* A term of a sum, split where it is a sum itself: f(y) = factor*(a + b) gives two terms with
 * smaller neighbourhoods, which is what few colours and cheap differences need. */
typedef struct Split { Ref c; int nred; int64_t dims[IR_MAX_RANK]; int most; } Split;

static void split(Local *w, const Split *s, Ref factor, Ref r, int depth) {
    Ir *ir = w->ir;
    const Node n = *NODE(ir, r);
    Ref a = n.nargs > 0 ? NARG(ir, r, 0) : 0, b = n.nargs > 1 ? NARG(ir, r, 1) : 0;
    if (w->nterms > s->most || depth > MAX_DEPTH) { w->nterms = s->most + 1; return; }
    switch (n.op) {
    case SC_ADD: split(w, s, factor, a, depth + 1), split(w, s, factor, b, depth + 1); return;
    case SC_SUB: split(w, s, factor, a, depth + 1), split(w, s, ir_unary(ir, SC_NEG, factor), b, depth + 1); return;
    case SC_NEG: split(w, s, ir_unary(ir, SC_NEG, factor), a, depth + 1); return;
    case SC_FMA:
        split(w, s, factor, NARG(ir, r, 2), depth + 1);
        split(w, s, factor, ir_binary(ir, SC_MUL, a, b), depth + 1);
        return;
    case SC_MUL: {
        Op x = (Op)NODE(ir, a)->op, y = (Op)NODE(ir, b)->op;
        bool sum_a = x == SC_ADD || x == SC_SUB || x == SC_NEG || x == SC_FMA || x == SC_MUL;
        bool sum_b = y == SC_ADD || y == SC_SUB || y == SC_NEG || y == SC_FMA || y == SC_MUL;
        if (a == b || (!sum_a && !sum_b)) break;
        if (sum_b) split(w, s, ir_binary(ir, SC_MUL, factor, a), b, depth + 1);
        else split(w, s, ir_binary(ir, SC_MUL, factor, b), a, depth + 1);
        return;
    }
    default: break;
    }
    Ref body = ir_binary(ir, SC_MUL, factor, r);
    if (depends(w, body)) add_term(w, s->c, body, s->nred, s->dims);
}

static void add_sum(Local *w, Ref c, Ref reduce) {
    Ir *ir = w->ir;
    enum { MOST = 64 };
    Split s = {.c = c, .nred = NODE(ir, reduce)->nred, .most = w->nterms + MOST};
    if (s.most >= MAX_TERMS) s.most = MAX_TERMS - 1;
    for (int i = 0; i < s.nred; i++) s.dims[i] = NDIM(ir, reduce, i);
    int before = w->nterms;
    split(w, &s, ir_const(ir, 1), NARG(ir, reduce, 0), 0);
    if (w->nterms <= s.most) return;
    w->nterms = before;                                  /* too many: as it stands */
    add_term(w, c, NARG(ir, reduce, 0), s.nred, s.dims);
}

/* Is every dependence of a scalar on q a read of q itself? */
static bool reads_only_q(const Local *w, Ref r, int depth) {
    const Ir *ir = w->ir;
    if (depth > MAX_DEPTH) return false;
    if (NODE(ir, r)->op == SC_READ) return NARG(ir, r, 0) == w->q || !depends(w, NARG(ir, r, 0));
    for (uint32_t i = 0; i < NODE(ir, r)->nargs; i++)
        if (!reads_only_q(w, NARG(ir, r, (int)i), depth + 1)) return false;
    return true;
}

static void collect_product(Local *w, Ref r, Ref c, int depth) {
    Ir *ir = w->ir;
    Ref a = NARG(ir, r, 0), b = NARG(ir, r, 1);
    if (!depends(w, b)) collect(w, a, ir_binary(ir, SC_MUL, c, b), depth + 1);
    else if (!depends(w, a)) collect(w, b, ir_binary(ir, SC_MUL, c, a), depth + 1);
    else if (reads_only_q(w, r, 0)) add_term(w, c, r, 0, NULL);
    else failed(w, "it holds a product of two sums over the field");
}

static void collect(Local *w, Ref r, Ref c, int depth) {
    Ir *ir = w->ir;
    if (w->why || !depends(w, r)) return;
    if (depth > MAX_DEPTH) { failed(w, "it is too deep"); return; }
    Op op = (Op)NODE(ir, r)->op;
    Ref a = NODE(ir, r)->nargs > 0 ? NARG(ir, r, 0) : 0, b = NODE(ir, r)->nargs > 1 ? NARG(ir, r, 1) : 0;
    Ref minus = ir_unary(ir, SC_NEG, c);
    switch (op) {
    case SC_ADD: collect(w, a, c, depth + 1), collect(w, b, c, depth + 1); return;
    case SC_SUB: collect(w, a, c, depth + 1), collect(w, b, minus, depth + 1); return;
    case SC_NEG: collect(w, a, minus, depth + 1); return;
    case SC_MUL: collect_product(w, r, c, depth); return;
    case SC_DIV:
        if (!depends(w, b)) { collect(w, a, ir_binary(ir, SC_DIV, c, b), depth + 1); return; }
        break;
    case SC_FMA:
        collect(w, NARG(ir, r, 2), c, depth + 1);
        collect_product(w, r, c, depth);
        return;
    case SC_READ:
        if (NODE(ir, a)->op == AR_REDUCE && NODE(ir, a)->rank == 0) {
            if (NODE(ir, a)->aux == SC_ADD) add_sum(w, c, a);
            else failed(w, "it holds a product, maximum or minimum over the field");
            return;
        }
        if (NODE(ir, a)->op == AR_MAP && NODE(ir, a)->rank == 0) { collect(w, NARG(ir, a, 0), c, depth + 1); return; }
        break;
    default: break;
    }
    if (reads_only_q(w, r, 0)) add_term(w, c, r, 0, NULL);
    else failed(w, op == SC_READ ? "it uses the field by way of a loop" : "a sum over the field stands inside a function that is not linear");
}

/* ---- arrays computed from q, in place of their reads ----------------------------------------- */

/* Axes replaced by affine forms that may leave their range on a periodic axis. */
typedef struct Place { int n; Sym syms[IR_MAX_RANK]; Aff by[IR_MAX_RANK]; bool turns[IR_MAX_RANK]; int64_t ext[IR_MAX_RANK]; } Place;

/* An index of a body that is moved to other places: a plain read of a whole axis becomes
 * periodic where the axis turns. */
static bool move_index(Local *w, const Place *p, bool test, Index *ix) {
    Ir *ir = w->ir;
    const Affine *a = aff_get(ir, ix->aff);
    for (int i = 0; i < p->n; i++) {
        if (!p->turns[i] || !aff_coef(ir, ix->aff, p->syms[i])) continue;
        bool plain = a->n == 1 && a->t[0].c == 1 && ix->n == p->ext[i] && !test;
        if (ix->mode == IX_PERIODIC && ix->n == p->ext[i] && !test) continue;
        if (ix->mode == IX_EXACT && plain && a->k == 0) ix->mode = IX_PERIODIC;
        else return failed(w, "a term uses its own place in a way that does not continue beyond the ends"), false;
    }
    ix->aff = aff_subst(ir, ix->aff, p->n, p->syms, p->by);
    return true;
}

static Ref move(Local *w, const Place *p, Ref r, Ref *memo, int limit);

static Ref move_leaf(Local *w, const Place *p, Ref r) {
    Ir *ir = w->ir;
    Node n = *NODE(ir, r);
    Index ix[IR_MAX_RANK];
    if (n.op == SC_RAND) return failed(w, "it draws random numbers");
    for (int i = 0; i < n.nidx; i++) {
        ix[i] = *NIDX(ir, r, i);
        if (n.op == SC_IDX && ix[i].mode == IX_EXACT && ix[i].n == 0)      /* the number of an axis: its extent is known */
            for (int k = 0; k < p->n; k++)
                if (aff_coef(ir, ix[i].aff, p->syms[k])) ix[i].n = p->ext[k];
        if (!move_index(w, p, n.op == SC_INRANGE, &ix[i])) return 0;
    }
    Ref args[1] = {n.op == SC_READ ? NARG(ir, r, 0) : 0};
    return ir_remake(ir, r, args, ix, n.aux);
}

static Ref move(Local *w, const Place *p, Ref r, Ref *memo, int limit) {
    Ir *ir = w->ir;
    if (w->why) return 0;
    if ((int)r < limit && memo[r]) return memo[r];
    Node n = *NODE(ir, r);
    Ref args[4], out;
    if (n.nidx > 0 || n.op == SC_READ) out = move_leaf(w, p, r);
    else if (n.nargs == 0) out = r;
    else {
        for (uint32_t i = 0; i < n.nargs && i < 4; i++) args[i] = move(w, p, NARG(ir, r, (int)i), memo, limit);
        out = w->why ? 0 : ir_op(ir, (Op)n.op, (int)n.nargs, args);
    }
    if ((int)r < limit) memo[r] = out;
    return out;
}

static Ref moved(Local *w, const Place *p, Ref body) {
    int limit = w->ir->nodes.n;
    Ref *memo = lq_alloc((size_t)limit * sizeof *memo);
    memset(memo, 0, (size_t)limit * sizeof *memo);
    Ref out = move(w, p, body, memo, limit);
    free(memo);
    return out;
}

static Ref expand(Local *w, Ref r, Ref *memo, int limit, int depth);

static Ref expanded(Local *w, Ref body, int depth) {
    int limit = w->ir->nodes.n;
    Ref *memo = lq_alloc((size_t)limit * sizeof *memo);
    memset(memo, 0, (size_t)limit * sizeof *memo);
    Ref out = expand(w, body, memo, limit, depth);
    free(memo);
    return out;
}

/* The body of an array at the indices of a read; a small reduction written out. */
static Ref expand_read(Local *w, Ref r, int depth) {
    Ir *ir = w->ir;
    Ref a = NARG(ir, r, 0);
    Node n = *NODE(ir, a);
    if ((n.op != AR_MAP && n.op != AR_REDUCE) || depth > 30) return failed(w, "it uses the field by way of a loop");
    if (n.op == AR_REDUCE && n.aux != SC_ADD) return failed(w, "a term holds a product, maximum or minimum over the field");
    Place p = {.n = n.rank + n.nred};
    int64_t points = 1, dims[IR_MAX_RANK];
    for (int i = 0; i < p.n; i++) p.syms[i] = (Sym)i, dims[i] = p.ext[i] = NDIM(ir, a, i);
    for (int i = 0; i < n.rank; i++) {
        Index ix = *NIDX(ir, r, i);
        p.by[i] = ix.aff;
        p.turns[i] = ix.mode == IX_PERIODIC;
        if (ix.mode == IX_ANTIPERIODIC || ix.mode == IX_ZERO) return failed(w, "an array computed from the field is read across an antiperiodic or open end");
    }
    for (int i = n.rank; i < p.n; i++) points *= dims[i];
    if (points > MAX_UNROLLED) return failed(w, "a sum over the field stands inside a term");
    Ref body = expanded(w, NARG(ir, a, 0), depth + 1), sum = 0;
    for (int64_t k = 0; k < points && !w->why; k++) {
        int64_t rest = k;
        for (int i = p.n - 1; i >= n.rank; i--) p.by[i] = aff_const(ir, rest % dims[i]), rest /= dims[i];
        Ref one = moved(w, &p, body);
        sum = sum && one ? ir_binary(ir, SC_ADD, sum, one) : one;
    }
    return w->why ? 0 : sum ? sum : ir_const(ir, 0);
}

static Ref expand(Local *w, Ref r, Ref *memo, int limit, int depth) {
    Ir *ir = w->ir;
    if (w->why) return 0;
    if ((int)r < limit && memo[r]) return memo[r];
    Node n = *NODE(ir, r);
    Ref args[4], out = r;
    if (n.op == SC_READ) {
        Ref a = NARG(ir, r, 0);
        if (a != w->q && depends(w, a)) out = expand_read(w, r, depth);
    } else if (n.nargs > 0 && n.op < SC_CONST) {
        for (uint32_t i = 0; i < n.nargs && i < 4; i++) args[i] = expand(w, NARG(ir, r, (int)i), memo, limit, depth);
        out = w->why ? 0 : ir_op(ir, (Op)n.op, (int)n.nargs, args);
    }
    if ((int)r < limit) memo[r] = out;
    return out;
}

/* ---- the neighbourhood of a term --------------------------------------------------------------- */

typedef enum AxisKind { AXIS_LINE, AXIS_RING } AxisKind;

/* How the axes of q follow those of a term. */
typedef struct LocalShape {
    bool    smooth[IR_MAX_RANK];     /* by axis of q: a term beyond the ends is the same expression */
    int     nred;
    int64_t dims[IR_MAX_RANK];
    int     axis[IR_MAX_RANK];       /* by axis of q: the axis of the term, -1: a constant index */
    AxisKind kind[IR_MAX_RANK];
    bool    sign[IR_MAX_RANK];       /* antiperiodic */
    int     nreads;
    Ref     read[MAX_READS];
    int64_t k[MAX_READS][IR_MAX_RANK];
} LocalShape;

static void find_reads(Local *w, Ref r, LocalShape *s, uint8_t *seen, int depth) {
    const Ir *ir = w->ir;
    if (seen[r] || ir_is_array(ir, r) || w->why) return;
    seen[r] = 1;
    if (depth > MAX_DEPTH) { failed(w, "it is too deep"); return; }
    if (NODE(ir, r)->op == SC_READ && NARG(ir, r, 0) == w->q) {
        if (s->nreads == MAX_READS) { failed(w, "a term reads the field too often"); return; }
        s->read[s->nreads++] = r;
    }
    for (uint32_t i = 0; i < NODE(ir, r)->nargs; i++) find_reads(w, NARG(ir, r, (int)i), s, seen, depth + 1);
}

static bool shape_of_read(Local *w, LocalShape *s, int number, int64_t *k) {
    const Ir *ir = w->ir;
    Ref r = s->read[number];
    for (int d = 0; d < w->rank; d++) {
        const Index *ix = NIDX(ir, r, d);
        const Affine *a = aff_get(ir, ix->aff);
        int axis = -1;
        if (a->n > 1 || (a->n == 1 && (a->t[0].c != 1 || a->t[0].sym >= (Sym)s->nred)))
            return failed(w, "a term reads the field at a place that is not its own plus a constant"), false;
        if (a->n == 1) axis = (int)a->t[0].sym;
        k[d] = a->k;
        if (number > 0 && axis != s->axis[d]) return failed(w, "a term reads the field along different axes"), false;
        s->axis[d] = axis;
        int64_t n = NDIM(ir, w->q, d);
        if (axis >= 0 && s->dims[axis] != n && ix->mode != IX_EXACT) return failed(w, "a term runs over another set than the field"), false;
        if (axis >= 0 && (ix->mode == IX_PERIODIC || ix->mode == IX_ANTIPERIODIC)) s->kind[d] = AXIS_RING;
        if (ix->mode == IX_ANTIPERIODIC) s->sign[d] = true;
        if (axis < 0 && ix->mode == IX_PERIODIC) k[d] = (k[d] % n + n) % n;
    }
    for (int d = 0; d < w->rank; d++)
        for (int e = 0; e < d; e++)
            if (s->axis[d] >= 0 && s->axis[d] == s->axis[e]) return failed(w, "a term reads the field on a diagonal"), false;
    return true;
}

static bool shape_of_term(Local *w, Ref body, int nred, const int64_t *dims, LocalShape *s) {
    *s = (LocalShape){.nred = nred};
    if (nred) memcpy(s->dims, dims, (size_t)nred * sizeof *dims);
    uint8_t *seen = lq_alloc((size_t)w->ir->nodes.n);
    memset(seen, 0, (size_t)w->ir->nodes.n);
    find_reads(w, body, s, seen, 0);
    free(seen);
    for (int i = 0; i < s->nreads && !w->why; i++) shape_of_read(w, s, i, s->k[i]);
    for (int i = 0; i < s->nreads && !w->why; i++)              /* on a ring, modulo the extent */
        for (int d = 0; d < w->rank; d++) {
            int64_t n = NDIM(w->ir, w->q, d);
            if (s->axis[d] >= 0 && s->kind[d] == AXIS_RING) s->k[i][d] -= (s->k[i][d] >= 0 ? s->k[i][d] / n : -((n - 1 - s->k[i][d]) / n)) * n;
        }
    return !w->why;
}

/* Do two reads of a term take the same element along the axes that it follows? */
static bool same_offset(const Local *w, const LocalShape *s, int a, int b) {
    for (int d = 0; d < w->rank; d++)
        if (s->axis[d] >= 0 && s->k[a][d] != s->k[b][d]) return false;
    return true;
}

/* ---- differences ---------------------------------------------------------------------------------- */

/* The terms y = u - k of one offset: where y[axis] is u - k + turn*extent. */
typedef struct Visit {
    Local *w;
    const LocalShape *s;
    int   offset;                    /* number of a read with this offset */
    int64_t turn[IR_MAX_RANK];       /* by axis of q */
    bool  changed;                   /* with v in place of q at u */
    Ref  *memo; int limit;
} Visit;

static Aff place_of_axis(const Visit *x, int axis) {
    Ir *ir = x->w->ir;
    int other = 0;
    for (int d = 0; d < x->w->rank; d++)
        if (x->s->axis[d] == axis)
            return aff_shift(ir, aff_sym(ir, (Sym)d), -x->s->k[x->offset][d] + x->turn[d] * NDIM(ir, x->w->q, d));
    for (int a = 0; a < axis; a++) {                          /* an axis that q does not follow: summed over */
        bool follows = false;
        for (int d = 0; d < x->w->rank; d++) follows |= x->s->axis[d] == a;
        other += !follows;
    }
    return aff_sym(ir, (Sym)(x->w->rank + other));
}

static Aff visit_aff(const Visit *x, Aff a) {
    Sym syms[IR_MAX_RANK];
    Aff by[IR_MAX_RANK];
    for (int i = 0; i < x->s->nred; i++) syms[i] = (Sym)i, by[i] = place_of_axis(x, i);
    return aff_subst(x->w->ir, a, x->s->nred, syms, by);
}

/* A read of q in the term: the element u, maybe (constant indices), or another one. */
static Ref visit_field(const Visit *x, Ref r) {
    Ir *ir = x->w->ir;
    int rank = x->w->rank, number = 0;
    while (x->s->read[number] != r) number++;
    Index ix[IR_MAX_RANK], own[IR_MAX_RANK];
    for (int d = 0; d < rank; d++) {
        ix[d] = *NIDX(ir, r, d);
        ix[d].aff = visit_aff(x, ix[d].aff);
        own[d] = (Index){aff_sym(ir, (Sym)d), IX_EXACT, NDIM(ir, x->w->q, d)};
        if (ix[d].mode == IX_EXACT && x->s->axis[d] >= 0) ix[d].mode = IX_ZERO;     /* where y is in its range it is inside */
    }
    Ref old = ir_read(ir, x->w->q, ix);
    if (!x->changed || !same_offset(x->w, x->s, number, x->offset)) return old;
    Ref new = ir_read(ir, x->w->v, own), hit = 0;
    int64_t turns = 0;
    for (int d = 0; d < rank; d++) {
        if (x->s->axis[d] < 0) {
            Ref here = ir_inrange(ir, aff_shift(ir, aff_sym(ir, (Sym)d), -x->s->k[number][d]), 1);
            hit = hit ? ir_binary(ir, SC_AND, hit, here) : here;
        } else if (x->s->sign[d]) {                                   /* whole extents between the place read and u */
            int64_t n = NDIM(ir, x->w->q, d);
            turns += (aff_get(ir, ix[d].aff)->k) / n;
        }
    }
    if (turns % 2) new = ir_unary(ir, SC_NEG, new);
    return hit ? ir_select(ir, hit, new, old) : new;
}

static Ref visit(const Visit *x, Ref r) {
    Ir *ir = x->w->ir;
    if (x->w->why) return 0;
    if ((int)r < x->limit && x->memo[r]) return x->memo[r];
    Node n = *NODE(ir, r);
    Ref out = r, args[4];
    if (n.op == SC_RAND) return failed(x->w, "it draws random numbers");
    if (n.op == SC_READ && NARG(ir, r, 0) == x->w->q) out = visit_field(x, r);
    else if (n.op == SC_READ || n.nidx > 0) {
        Index ix[IR_MAX_RANK];
        for (int i = 0; i < n.nidx; i++) {
            ix[i] = *NIDX(ir, r, i);
            bool varies = aff_get(ir, ix[i].aff)->n > 0;
            ix[i].aff = visit_aff(x, ix[i].aff);
            if (n.op == SC_READ && varies && ix[i].mode == IX_EXACT) ix[i].mode = IX_ZERO;
        }
        Ref array[1] = {n.op == SC_READ ? NARG(ir, r, 0) : 0};
        out = ir_remake(ir, r, array, ix, n.aux);
    } else if (n.nargs > 0) {
        for (uint32_t i = 0; i < n.nargs && i < 4; i++) args[i] = visit(x, NARG(ir, r, (int)i));
        out = x->w->why ? 0 : ir_op(ir, (Op)n.op, (int)n.nargs, args);
    }
    if ((int)r < x->limit) x->memo[r] = out;
    return out;
}

static Ref visited(Visit *x, Ref body, bool changed) {
    x->changed = changed, x->limit = x->w->ir->nodes.n;
    x->memo = lq_alloc((size_t)x->limit * sizeof *x->memo);
    memset(x->memo, 0, (size_t)x->limit * sizeof *x->memo);
    Ref out = visit(x, body);
    free(x->memo);
    return out;
}

/* Is the element u one that the reads of this offset can be at all (constant indices)? */
static Ref reached(const Visit *x) {
    Ir *ir = x->w->ir;
    Ref any = 0;
    bool constant = false;
    for (int d = 0; d < x->w->rank; d++) constant |= x->s->axis[d] < 0;
    for (int i = 0; i < x->s->nreads && constant; i++) {
        if (!same_offset(x->w, x->s, i, x->offset)) continue;
        Ref here = 0;
        for (int d = 0; d < x->w->rank; d++) {
            if (x->s->axis[d] >= 0) continue;
            Ref at = ir_inrange(ir, aff_shift(ir, aff_sym(ir, (Sym)d), -x->s->k[i][d]), 1);
            here = here ? ir_binary(ir, SC_AND, here, at) : at;
        }
        any = any ? ir_binary(ir, SC_OR, any, here) : here;
    }
    return any;
}

/* f_q'(y) - f_q(y) at the y that the visit names, where y is in its range. */
static Ref visit_difference(Visit *x, Ref body) {
    Ir *ir = x->w->ir;
    Ref after = visited(x, body, true), before = visited(x, body, false);
    if (x->w->why) return 0;
    Ref d = ir_binary(ir, SC_SUB, after, before), when = reached(x);
    for (int k = 0; k < x->w->rank; k++) {
        if (x->s->axis[k] < 0 || x->s->smooth[k]) continue;
        int64_t lo, hi, dims[IR_MAX_RANK];
        for (int i = 0; i < x->w->rank; i++) dims[i] = NDIM(ir, x->w->q, i);
        Aff y = place_of_axis(x, x->s->axis[k]);
        ir_aff_range(ir, y, x->w->rank, dims, &lo, &hi);
        if (lo >= 0 && hi < x->s->dims[x->s->axis[k]]) continue;
        Ref in = ir_inrange(ir, y, x->s->dims[x->s->axis[k]]);
        when = when ? ir_binary(ir, SC_AND, when, in) : in;
    }
    return when ? ir_select(ir, when, d, ir_const(ir, 0)) : d;
}

/* All the terms of one offset: on a ring, y may lie an extent further on. */
static Ref all_turns(Visit *x, Ref body, int d) {
    Ir *ir = x->w->ir;
    if (d == x->w->rank) return visit_difference(x, body);
    bool ring = x->s->axis[d] >= 0 && x->s->kind[d] == AXIS_RING && !x->s->smooth[d];
    Ref sum = 0;
    for (int64_t t = 0; t < (ring && x->s->k[x->offset][d] ? 2 : 1); t++) {
        x->turn[d] = t;
        Ref one = all_turns(x, body, d + 1);
        if (x->w->why) return 0;
        sum = sum ? ir_binary(ir, SC_ADD, sum, one) : one;
    }
    x->turn[d] = 0;
    return sum;
}

static void scan_ring(const Local *w, const LocalShape *s, Ref r, int axis, int64_t n, uint8_t *seen, bool *smooth) {
    const Ir *ir = w->ir;
    if (!*smooth || seen[r] || ir_is_array(ir, r)) return;
    seen[r] = 1;
    for (int i = 0; i < NODE(ir, r)->nidx; i++) {
        const Index *ix = NIDX(ir, r, i);
        const Affine *a = aff_get(ir, ix->aff);
        if (!aff_coef(ir, ix->aff, (Sym)axis)) continue;
        bool plain = a->n == 1 && a->t[0].c == 1 && a->k == 0 && NODE(ir, r)->op == SC_READ && ix->mode == IX_EXACT && ix->n == n;
        bool turns = NODE(ir, r)->op != SC_INRANGE && ix->mode == IX_PERIODIC && ix->n == n;
        *smooth &= plain || turns;
    }
    for (uint32_t i = 0; i < NODE(ir, r)->nargs; i++) scan_ring(w, s, NARG(ir, r, (int)i), axis, n, seen, smooth);
}

/* Where nothing but periodic reads follows an axis, a term a whole extent away is the same
 * expression: one case instead of two with a condition. */
static bool is_smooth_ring(const Local *w, const LocalShape *s, Ref body, int d) {
    if (s->axis[d] < 0 || s->kind[d] != AXIS_RING || s->sign[d]) return false;
    bool smooth = true;
    uint8_t *seen = lq_alloc((size_t)w->ir->nodes.n);
    memset(seen, 0, (size_t)w->ir->nodes.n);
    scan_ring(w, s, body, s->axis[d], NDIM(w->ir, w->q, d), seen, &smooth);
    free(seen);
    return smooth;
}

/* Plain reads of the axes that turn smoothly become periodic ones. */
static Ref make_rings(Local *w, const LocalShape *s, Ref body, const bool *smooth) {
    Place p = {.n = 0};
    for (int d = 0; d < w->rank; d++) {
        if (!smooth[d]) continue;
        p.syms[p.n] = (Sym)s->axis[d], p.by[p.n] = aff_sym(w->ir, (Sym)s->axis[d]);
        p.turns[p.n] = true, p.ext[p.n++] = NDIM(w->ir, w->q, d);
    }
    return p.n ? moved(w, &p, body) : body;
}

static Ref term_difference(Local *w, int number) {
    Ir *ir = w->ir;
    LocalShape s;
    Ref body = expanded(w, w->term[number].body, 0);
    int nred = w->term[number].nred;
    if (w->why || !shape_of_term(w, body, nred, w->term[number].dims, &s)) return 0;
    bool smooth[IR_MAX_RANK] = {false};
    for (int d = 0; d < w->rank; d++) smooth[d] = is_smooth_ring(w, &s, body, d);
    body = make_rings(w, &s, body, smooth);
    if (w->why || !shape_of_term(w, body, nred, w->term[number].dims, &s)) return 0;
    memcpy(s.smooth, smooth, sizeof smooth);
    Ref sum = 0;
    for (int i = 0; i < s.nreads; i++) {
        bool first = true;
        for (int j = 0; j < i; j++) first &= !same_offset(w, &s, i, j);
        if (!first) continue;
        Visit x = {.w = w, .s = &s, .offset = i};
        Ref part = all_turns(&x, body, 0);
        if (w->why) return 0;
        sum = sum ? ir_binary(ir, SC_ADD, sum, part) : part;
    }
    if (!sum) return ir_const(ir, 0);
    int64_t dims[IR_MAX_RANK];
    int n = w->rank, nfree = 0;
    for (int d = 0; d < w->rank; d++) dims[d] = NDIM(ir, w->q, d);
    for (int a = 0; a < nred; a++) {
        bool follows = false;
        for (int d = 0; d < w->rank; d++) follows |= s.axis[d] == a;
        if (!follows) dims[n++] = s.dims[a], nfree++;
    }
    if (nfree) {                                             /* axes that the field does not follow */
        Index own[IR_MAX_RANK];
        for (int d = 0; d < w->rank; d++) own[d] = (Index){aff_sym(ir, (Sym)d), IX_EXACT, dims[d]};
        sum = ir_read(ir, ir_reduce(ir, SC_ADD, w->rank, nfree, dims, sum), own);
    }
    return ir_binary(ir, SC_MUL, w->term[number].c, sum);
}

Ref ir_difference(Ir *ir, Ref S, Ref q, Ref v, LocalError *err) {
    Local w = {.ir = ir, .q = q, .v = v, .rank = NODE(ir, q)->rank};
    collect(&w, S, ir_const(ir, 1), 0);
    Ref sum = ir_const(ir, 0);
    for (int i = 0; i < w.nterms && !w.why; i++) {
        Ref d = term_difference(&w, i);
        if (!w.why) sum = ir_binary(ir, SC_ADD, sum, d);
    }
    err->why = w.why;
    if (w.why) return 0;
    int64_t dims[IR_MAX_RANK];
    for (int d = 0; d < w.rank; d++) dims[d] = NDIM(ir, q, d);
    return ir_map(ir, w.rank, dims, sum);
}

/* ---- colours ------------------------------------------------------------------------------------- */

typedef struct Conflict { int64_t d[IR_MAX_RANK]; bool ring[IR_MAX_RANK]; } Conflict;
typedef VEC(Conflict) Conflicts;

static void add_conflicts(Local *w, const LocalShape *s, Conflicts *out) {
    for (int i = 0; i < s->nreads; i++)
        for (int j = 0; j < s->nreads; j++) {
            Conflict c = {{0}, {0}};
            bool same = true;
            for (int d = 0; d < w->rank; d++) {
                c.d[d] = s->k[i][d] - s->k[j][d];
                c.ring[d] = s->axis[d] >= 0 && s->kind[d] == AXIS_RING;
                same &= c.d[d] == 0;
            }
            bool known = same;
            for (int k = 0; k < out->n && !known; k++) known = !memcmp(&out->data[k], &c, sizeof c);
            if (!known) vec_push(out, c);
        }
}

/* Have all pairs of elements that differ by c, wraps included, different colours? */
static bool separates(const Local *w, const Conflict *c, const int64_t *a, int64_t m) {
    for (int wraps = 0; wraps < 1 << w->rank; wraps++) {
        int64_t sum = 0;
        bool occurs = true;
        for (int d = 0; d < w->rank && occurs; d++) {
            int64_t n = NDIM(w->ir, w->q, d), x = c->d[d];
            if (wraps >> d & 1) {
                if (!c->ring[d] || x == 0) { occurs = false; break; }
                x -= x > 0 ? n : -n;
            }
            if (x >= n || x <= -n) { occurs = false; break; }
            sum = (sum + (a[d] % m) * (x % m)) % m;
        }
        if (occurs && sum % m == 0) return false;
    }
    return true;
}

static bool colours_work(const Local *w, const Conflicts *c, const int64_t *a, int64_t m) {
    for (int i = 0; i < c->n; i++)
        if (!separates(w, &c->data[i], a, m)) return false;
    return true;
}

/* Is the coefficient of the last axis that takes part 1?  Then a colour is every m-th place along
 * that axis, in all rows, which makes the simplest loops. */
static bool ends_in_one(const Local *w, const int64_t *a) {
    int d = w->rank - 1;
    while (d >= 0 && a[d] == 0) d--;
    return d >= 0 && a[d] == 1;
}

/* Tries all coefficients below m, or the simple ones; `left` bounds the whole search. */
static bool search(const Local *w, const Conflicts *c, int64_t m, bool simple, int64_t *a, int64_t *left) {
    for (int d = 0; d < w->rank; d++) a[d] = 0;
    for (;;) {
        bool looked = !simple || ends_in_one(w, a);
        if (looked && --*left < 0) return false;
        if (looked && colours_work(w, c, a, m)) return true;
        int d = w->rank - 1;
        while (d >= 0 && ++a[d] == m) a[d--] = 0;
        if (d < 0) return false;
    }
}

bool ir_colouring(Ir *ir, Ref S, Ref q, int64_t *a, int64_t *m, LocalError *err) {
    Local w = {.ir = ir, .q = q, .v = q, .rank = NODE(ir, q)->rank};
    Conflicts conflicts = {0};
    collect(&w, S, ir_const(ir, 1), 0);
    for (int i = 0; i < w.nterms && !w.why; i++) {
        LocalShape s;
        Ref body = expanded(&w, w.term[i].body, 0);
        if (!w.why && shape_of_term(&w, body, w.term[i].nred, w.term[i].dims, &s)) add_conflicts(&w, &s, &conflicts);
    }
    err->why = w.why;
    int64_t left = 2000000, all = ir_elements(ir, q);
    bool found = false;
    for (*m = 1; !w.why && !found && *m < all && left > 0; ++*m) {
        found = search(&w, &conflicts, *m, true, a, &left) || search(&w, &conflicts, *m, false, a, &left);
        if (found) break;
    }
    if (!w.why && !found) {
        *m = all > 0 ? all : 1;
        int64_t stride = 1;
        for (int d = w.rank - 1; d >= 0; d--) a[d] = stride, stride *= NDIM(ir, q, d);
    }
    vec_free(&conflicts);
    return !w.why;
}
