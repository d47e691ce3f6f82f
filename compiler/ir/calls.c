/* calls.c — functions of whole arrays: constructors that find the shape of the result, and the
 * rules about shapes.  What they compute says calls.def; runtime/calls.c carries them out. */
#include "ir.h"

static const struct { const char *name; int nargs; } info[IR_NCALLS] = {
#define CALL(id, name, nargs) [CALL_##id] = {name, nargs},
#include "calls.def"
#undef CALL
};

const char *call_name(CallKind kind) { return kind < IR_NCALLS ? info[kind].name : "?"; }
int call_arity(CallKind kind) { return info[kind].nargs; }

/* ---- constructors -------------------------------------------------------------------- */

Ref ir_scatter(Ir *ir, Ref values, int rank, const int64_t *dims, const Index *ix) {
    return ir_call(ir, CALL_SCATTER, 1, &values, rank, 0, dims, rank, ix, 0);
}

Ref ir_take(Ir *ir, Ref source, Ref places, int leading) {
    int64_t dims[2 * IR_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < NODE(ir, places)->rank; i++) dims[rank++] = NDIM(ir, places, i);
    for (int i = leading; i < NODE(ir, source)->rank; i++) dims[rank++] = NDIM(ir, source, i);
    return ir_call(ir, CALL_TAKE, 2, (Ref[]){source, places}, rank, 0, dims, 0, NULL, leading);
}

Ref ir_put(Ir *ir, Ref places, Ref values, int leading, int rank, const int64_t *dims) {
    return ir_call(ir, CALL_PUT, 2, (Ref[]){places, values}, rank, 0, dims, 0, NULL, leading);
}

Ref ir_svd(Ir *ir, Ref a) {
    int64_t m = NDIM(ir, a, 0), n = NDIM(ir, a, 1), k = m < n ? m : n, size = (m + n + 1) * k;
    return ir_call(ir, CALL_SVD, 1, &a, 1, 0, &size, 0, NULL, 0);
}

Ref ir_eigh(Ir *ir, Ref a) {
    int64_t n = NDIM(ir, a, 0), size = n + n * n;
    return ir_call(ir, CALL_EIGH, 1, &a, 1, 0, &size, 0, NULL, 0);
}

Ref ir_cholesky(Ir *ir, Ref a) {
    int64_t dims[2] = {NDIM(ir, a, 0), NDIM(ir, a, 1)};
    return ir_call(ir, CALL_CHOLESKY, 1, &a, 2, 0, dims, 0, NULL, 0);
}

Ref ir_solve(Ir *ir, Ref a, Ref b) {
    int64_t dims[2] = {NDIM(ir, b, 0), NDIM(ir, b, 1)};
    return ir_call(ir, CALL_SOLVE, 2, (Ref[]){a, b}, 2, 0, dims, 0, NULL, 0);
}

Ref ir_logdet(Ir *ir, Ref a) { return ir_call(ir, CALL_LOGDET, 1, &a, 0, 0, NULL, 0, NULL, 0); }

Ref ir_reshape(Ir *ir, Ref a, int rank, const int64_t *dims) {
    Aff place = aff_const(ir, 0);
    Index ix[IR_MAX_RANK];
    bool same = NODE(ir, a)->rank == rank;
    for (int i = 0; i < rank && same; i++) same = NDIM(ir, a, i) == dims[i];
    if (same) return a;
    for (int i = 0; i < rank; i++) place = aff_add(ir, aff_scale(ir, place, dims[i]), aff_sym(ir, (Sym)i));
    int64_t n = ir_elements(ir, a);
    if (NODE(ir, a)->rank != 1) {        /* in one row first: the places of a are those of a scatter */
        int64_t from[IR_MAX_RANK];
        Aff row = aff_const(ir, 0);
        for (int i = 0; i < NODE(ir, a)->rank; i++) row = aff_add(ir, aff_scale(ir, row, from[i] = NDIM(ir, a, i)), aff_sym(ir, (Sym)i));
        ix[0] = (Index){row, IX_EXACT, n};
        a = ir_scatter(ir, a, 1, &n, ix);
    }
    ix[0] = (Index){place, IX_EXACT, n};
    return ir_map(ir, rank, dims, ir_read(ir, a, ix));
}

/* ---- rules ---------------------------------------------------------------------------- */

static bool square(const Ir *ir, Ref a) { return NODE(ir, a)->rank == 2 && NDIM(ir, a, 0) == NDIM(ir, a, 1); }

static bool same_dims(const Ir *ir, Ref a, int from_a, Ref b, int from_b, int n) {
    for (int i = 0; i < n; i++)
        if (NDIM(ir, a, from_a + i) != NDIM(ir, b, from_b + i)) return false;
    return true;
}

static const char *contract_problem(const Ir *ir, Ref r) {
    const Node *n = NODE(ir, r);
    Ref a = NARG(ir, r, 0), b = NARG(ir, r, 1);
    int ra = NODE(ir, a)->rank;
    if (n->nidx != ra + NODE(ir, b)->rank) return "has not an index for each axis of its arguments";
    for (int i = 0; i < n->nidx; i++)
        if (NIDX(ir, r, i)->n != (i < ra ? NDIM(ir, a, i) : NDIM(ir, b, i - ra))) return "has an index for another extent";
    return NULL;
}

static const char *scatter_problem(const Ir *ir, Ref r) {
    if (NODE(ir, r)->nidx != NODE(ir, r)->rank) return "has not an index for each axis";
    for (int i = 0; i < NODE(ir, r)->rank; i++)
        if (NIDX(ir, r, i)->n != NDIM(ir, r, i)) return "has an index for another extent";
    return NULL;
}

/* source[p, …] and taken[places…, …] in take and put. */
static const char *taken_problem(const Ir *ir, Ref source, Ref places, Ref taken, int leading) {
    int rest = NODE(ir, source)->rank - leading, np = NODE(ir, places)->rank;
    if (leading < 1 || rest < 0) return "counts the places of axes that are not there";
    if (NODE(ir, taken)->rank != np + rest || !same_dims(ir, taken, 0, places, 0, np) || !same_dims(ir, taken, np, source, leading, rest))
        return "has another shape than its places and what is left";
    return NULL;
}

static const char *matrix_problem(const Ir *ir, Ref r) {
    const Node *n = NODE(ir, r);
    Ref a = NARG(ir, r, 0);
    if (n->aux != CALL_SVD && !square(ir, a)) return "wants a square matrix";
    if (NODE(ir, a)->rank != 2) return "wants a matrix";
    if (n->aux == CALL_SOLVE && (NODE(ir, NARG(ir, r, 1))->rank != 2 || NDIM(ir, NARG(ir, r, 1), 0) != NDIM(ir, a, 0)))
        return "has a right side of another size";
    return NULL;
}

const char *call_problem(const Ir *ir, Ref r) {
    const Node *n = NODE(ir, r);
    for (uint32_t i = 0; i < n->nargs; i++)
        if (NODE(ir, NARG(ir, r, i))->boolean) return "has an argument of truth values";
    for (int i = 0; i < n->nidx; i++) {
        const Affine *f = aff_get(ir, NIDX(ir, r, i)->aff);
        for (int t = 0; t < f->n; t++)
            if (f->t[t].sym >= SYM_FREE) return "has an index with a symbol from outside";
    }
    switch (n->aux) {
    case CALL_CONTRACT: return contract_problem(ir, r);
    case CALL_SCATTER: return scatter_problem(ir, r);
    case CALL_TAKE: return taken_problem(ir, NARG(ir, r, 0), NARG(ir, r, 1), r, (int)n->val);
    case CALL_PUT: return taken_problem(ir, r, NARG(ir, r, 0), NARG(ir, r, 1), (int)n->val);
    default: return matrix_problem(ir, r);
    }
}
