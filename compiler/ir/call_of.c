/* call_of.c — a call of the IR as the runtime wants it described. */
#include "calls.h"

static LqIndex index_of(const Ir *ir, const Index *ix) {
    const Affine *f = aff_get(ir, ix->aff);
    LqIndex out = {.k = f->k, .n = ix->n, .mode = (int)ix->mode};
    for (int i = 0; i < f->n; i++) out.c[f->t[i].sym] = f->t[i].c;
    return out;
}

static LqOperand operand_of(const Ir *ir, Ref call, int first, int rank) {
    LqOperand o = {.rank = rank};
    for (int i = 0; i < rank; i++) o.ix[i] = index_of(ir, NIDX(ir, call, first + i));
    return o;
}

static void describe_contraction(const Ir *ir, Ref r, LqCall *c) {
    const Node *n = NODE(ir, r);
    int ra = NODE(ir, NARG(ir, r, 0))->rank, rb = NODE(ir, NARG(ir, r, 1))->rank;
    c->contraction = (LqContraction){.rank = n->rank, .nred = n->nred, .single = c->single,
                                     .a = operand_of(ir, r, 0, ra), .b = operand_of(ir, r, ra, rb)};
    for (int i = 0; i < n->rank + n->nred; i++) c->contraction.ext[i] = NDIM(ir, r, i);
}

static void describe_scatter(const Ir *ir, Ref r, LqCall *c) {
    Ref v = NARG(ir, r, 0);
    c->rank = NODE(ir, v)->rank;
    for (int i = 0; i < c->rank; i++) c->ext[i] = NDIM(ir, v, i);
    c->to = operand_of(ir, r, 0, NODE(ir, r)->rank);
}

/* Of source[p, …] and the values at the places. */
static void describe_taking(const Ir *ir, Ref source, Ref places, int leading, LqCall *c) {
    c->n = c->rest = 1;
    for (int i = 0; i < NODE(ir, source)->rank; i++) *(i < leading ? &c->n : &c->rest) *= NDIM(ir, source, i);
    c->m = ir_elements(ir, places);
}

void ir_call_describe(const Ir *ir, Ref r, bool single, LqCall *c) {
    const Node *n = NODE(ir, r);
    *c = (LqCall){.kind = (LqCallKind)n->aux, .single = single, .nargs = (int)n->nargs, .nout = ir_elements(ir, r),
                  .out_single = single && n->rank > 0};
    for (int i = 0; i < c->nargs; i++) {
        Ref a = NARG(ir, r, i);
        c->nin[i] = ir_elements(ir, a);
        c->in_single[i] = single && NODE(ir, a)->rank > 0 && NODE(ir, a)->op != AR_CONST && !(NODE(ir, a)->op == AR_INPUT && NODE(ir, a)->uniform);
    }
    switch (n->aux) {
    case CALL_CONTRACT: describe_contraction(ir, r, c); break;
    case CALL_SCATTER: describe_scatter(ir, r, c); break;
    case CALL_TAKE: describe_taking(ir, NARG(ir, r, 0), NARG(ir, r, 1), (int)n->val, c); break;
    case CALL_PUT: describe_taking(ir, r, NARG(ir, r, 0), (int)n->val, c); break;
    default:
        c->m = NDIM(ir, NARG(ir, r, 0), 0);
        c->n = n->aux == CALL_SOLVE ? NDIM(ir, NARG(ir, r, 1), 1) : NDIM(ir, NARG(ir, r, 0), 1);
    }
}
