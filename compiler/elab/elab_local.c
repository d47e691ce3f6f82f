/* elab_local.c — difference(S, q, v), colour(S, q), colours(S, q): what one element of a
 * field does to a sum of local terms, and which elements may change together (language
 * reference §4.8).  The derivation is ir/local.c. */
#include "elab.h"
#include "../ir/local.h"

#include <string.h>

/* A real array or number that a function of one argument is looked at as a function of. */
static bool is_field(Elab *e, const char *name, const Value *q, Span at) {
    if (q->kind == VK_ERROR) return false;
    if (q->kind == VK_NUM && !q->u.num.boolean && !q->u.num.complex) return true;
    Diag *d = elab_error(e, "E0505", at, "`%s` looks at the elements of one real field, and this is %s", name, value_describe(e, q));
    if (q->kind == VK_TUPLE) diag_help(&e->front->sink, d, "define a function of one of them, with the others fixed");
    return false;
}

static bool is_function(Elab *e, const char *name, const Value *f, Span at) {
    if (f->kind == VK_FUNC) return true;
    if (f->kind != VK_ERROR) elab_error(e, "E0505", at, "`%s` takes a function first, and this is %s", name, value_describe(e, f));
    return false;
}

static int field_dims(Elab *e, const Value *q, int64_t *dims) {
    int n = 0;
    for (int i = 0; i < q->u.num.nsyms; i++) dims[n++] = elab_sym_extent(e, q->u.num.syms[i]);
    return n;
}

/* S of a fresh input of q's shape; 0 after a message. */
static Ref density_at(Elab *e, const char *name, const Value *f, const Value *q, Ref input, Span at) {
    const Value *variable = value_array(e, input, 0, 0, NULL, q->u.num.nsets, q->u.num.sets, at);
    const Value *S = elab_call(e, f, 1, &variable, &at, 0, NULL, NULL, at);
    if (S->kind == VK_ERROR) return 0;
    S = value_number(e, S, at, name);
    if (S->kind == VK_ERROR) return 0;
    if (S->kind == VK_NUM && !S->u.num.nsets && !S->u.num.boolean && !S->u.num.complex) return S->u.num.re;
    elab_error(e, "E0505", at, "`%s` needs a function that gives a real number, and this gives %s", name, value_describe(e, S));
    return 0;
}

static const Value *no_local_form(Elab *e, const char *name, const Value *f, const LocalError *err, Span at) {
    Span blame = f->u.func.kind == FN_TARGET ? f->u.func.target->density->at : at;
    Diag *d = elab_error(e, "E0505", blame, "this is no sum of local terms, which `%s` needs: %s", name, err->why);
    if (f->u.func.kind == FN_TARGET) diag_label(&e->front->sink, d, at, "asked for here");
    return value_error();
}

/* Points are closed, so that S and what the point is made of stay apart. */
static bool prepare(Elab *e, const char *name, const Value *f, const Value **q, const Span *arg_at, Span at, Ref *input, int64_t *dims, int *rank) {
    if (!is_function(e, name, f, arg_at[0])) return false;
    *q = value_close(e, *q);
    if (!is_field(e, name, *q, arg_at[1])) return false;
    if (e->active.n) {
        elab_error(e, "E0505", at, "`%s` stands for a whole array and cannot be used under an index", name);
        return false;
    }
    *rank = field_dims(e, *q, dims);
    *input = ir_input(e->ir, "q", *rank, dims, false, false);
    return true;
}

const Value *elab_difference(Elab *e, const Value *const *args, const Span *arg_at, Span at) {
    const Value *q = args[1], *v = args[2];
    Ref in[2], point[2];
    int64_t dims[IR_MAX_RANK];
    int rank;
    if (!prepare(e, "difference", args[0], &q, arg_at, at, &in[0], dims, &rank)) return value_error();
    /* A number changes every element to itself; anything else has q's own index sets. */
    v = value_number(e, v, arg_at[2], "difference");
    if (v->kind == VK_ERROR) return v;
    v = value_binary(e, OP_ADD, value_binary(e, OP_MUL, value_const(e, 0, at), q, at, at), v, at, arg_at[2]);
    if (v->kind == VK_ERROR) return v;
    v = value_close(e, v);
    if (!is_field(e, "difference", v, arg_at[2])) return value_error();
    if (!value_same_shape(q, v)) return ELAB_FAIL(e, "E0505", arg_at[2], "the new values are not over the index sets of the field");
    in[1] = ir_input(e->ir, "v", rank, dims, false, false);
    Ref S = density_at(e, "difference", args[0], q, in[0], at);
    if (!S) return value_error();
    LocalError err = {0};
    Ref d = ir_difference(e->ir, S, in[0], in[1], &err);
    if (!d) return no_local_form(e, "difference", args[0], &err, at);
    point[0] = value_node(e, q, false), point[1] = value_node(e, v, false);
    d = ir_subst_arrays(e->ir, d, 2, in, point);
    return value_array(e, d, 0, 0, NULL, q->u.num.nsets, q->u.num.sets, at);
}

const Value *elab_colour(Elab *e, bool count, const Value *const *args, const Span *arg_at, Span at) {
    const char *name = count ? "colours" : "colour";
    const Value *q = args[1];
    Ref in;
    int64_t dims[IR_MAX_RANK], a[IR_MAX_RANK], m;
    int rank;
    if (!prepare(e, name, args[0], &q, arg_at, at, &in, dims, &rank)) return value_error();
    Ref S = density_at(e, name, args[0], q, in, at);
    if (!S) return value_error();
    LocalError err = {0};
    if (!ir_colouring(e->ir, S, in, a, &m, &err)) return no_local_form(e, name, args[0], &err, at);
    if (count) return value_const(e, (double)m, at);
    Aff sum = aff_const(e->ir, 0);
    for (int d = 0; d < rank; d++) sum = aff_add(e->ir, sum, aff_scale(e->ir, aff_sym(e->ir, (Sym)d), a[d]));
    Ref node = ir_map(e->ir, rank, dims, m > 1 ? ir_idx(e->ir, (Index){sum, IX_PERIODIC, m}) : ir_const(e->ir, 0));
    return value_array(e, node, 0, 0, NULL, q->u.num.nsets, q->u.num.sets, at);
}
