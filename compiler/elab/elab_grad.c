/* elab_grad.c — grad(S, q): the derivative of a function at a point, or of an
 * expression with respect to a name it uses (language reference §4.7).
 *
 * A real S of real q: dS/dq.  A real S of complex q: dS/dRe q + i dS/dIm q, the
 * direction of steepest ascent.  A complex S of complex q is taken as holomorphic:
 * dS/dq = dRe S/dRe q - i dRe S/dIm q (Cauchy and Riemann). */
#include "elab.h"

#include <string.h>

#define MAX_PARTS (MAX_ITEMS + 2)

/* The real components of the point: re and im of every field of a tuple. */
typedef struct Parts { const Value *field[MAX_PARTS]; bool imaginary[MAX_PARTS]; int n; } Parts;

static bool collect_parts(Elab *e, const Value *v, Parts *p, Span at) {
    if (v->kind == VK_TUPLE) {
        for (int i = 0; i < v->u.tuple.n; i++)
            if (!collect_parts(e, v->u.tuple.items[i], p, at)) return false;
        return true;
    }
    if (v->kind != VK_NUM || v->u.num.boolean || p->n + 2 > MAX_PARTS) {
        if (v->kind != VK_ERROR) elab_error(e, "E0501", at, "a derivative is taken with respect to numbers, not %s", value_describe(e, v));
        return false;
    }
    p->field[p->n] = v, p->imaginary[p->n++] = false;
    if (v->u.num.complex) p->field[p->n] = v, p->imaginary[p->n++] = true;
    return true;
}

/* A value of the same structure whose parts are the given array nodes over the
 * prefix symbols and the sets of each field. */
static const Value *assemble(Elab *e, const Value *like, const Ref *nodes, int *next, int nprefix, const Sym *prefix, Span at) {
    if (like->kind == VK_TUPLE) {
        const Value *items[MAX_ITEMS];
        for (int i = 0; i < like->u.tuple.n; i++) items[i] = assemble(e, like->u.tuple.items[i], nodes, next, nprefix, prefix, at);
        return value_tuple(e, like->u.tuple.n, items, at);
    }
    Ref re = nodes[(*next)++], im = like->u.num.complex ? nodes[(*next)++] : 0;
    return value_array(e, re, im, nprefix, prefix, like->u.num.nsets, like->u.num.sets, at);
}

static int part_dims(Elab *e, const Value *field, int nprefix, const Sym *prefix, int64_t *dims) {
    int n = 0;
    for (int i = 0; i < nprefix; i++) dims[n++] = elab_sym_extent(e, prefix[i]);
    for (int i = 0; i < field->u.num.nsyms; i++) dims[n++] = elab_sym_extent(e, field->u.num.syms[i]);
    return n;
}

static void not_differentiable(Elab *e, const DiffError *err, Span at) {
    elab_error(e, "E0502", at, "this cannot be differentiated: %s", err->why ? err->why : "no rule");
}

/* The scalar over the prefix symbols made a rank-0 array: summed over them, since
 * each element depends on its own copy of the point only. */
static Ref total(Elab *e, Ref scalar, int nprefix, const Sym *prefix) {
    return ir_map(e->ir, 0, NULL, nprefix ? elab_reduce(e, SC_ADD, scalar, nprefix, prefix) : scalar);
}

/* Gradients of re (and im) of S with respect to all parts. */
static bool gradients(Elab *e, const Value *S, int nprefix, const Sym *prefix, const Parts *p, const Ref *wrt, Ref *out, Span at) {
    DiffError err = {0};
    Ref re = total(e, S->u.num.re, nprefix, prefix);
    if (!ir_grad(e->ir, re, 0, p->n, wrt, out, &err)) { not_differentiable(e, &err, at); return false; }
    if (!S->u.num.complex) return true;
    bool real_point = true;
    for (int i = 0; i < p->n; i++) real_point &= !p->imaginary[i];
    if (real_point) return true;                 /* the caller adds the imaginary part */
    for (int i = 0; i < p->n; i++) {
        if (!p->imaginary[i]) continue;
        int64_t dims[IR_MAX_RANK];
        Index ix[IR_MAX_RANK];
        int rank = part_dims(e, p->field[i], nprefix, prefix, dims);
        for (int k = 0; k < rank; k++) ix[k] = (Index){aff_sym(e->ir, (Sym)k), IX_EXACT, dims[k]};
        out[i] = ir_map(e->ir, rank, dims, ir_unary(e->ir, SC_NEG, ir_read(e->ir, out[i], ix)));
    }
    return true;
}

static const Value *check_scalar(Elab *e, const Value *S, Span at) {
    if (S->kind == VK_ERROR) return S;
    if (S->kind != VK_NUM || S->u.num.nsets || S->u.num.boolean) {
        Diag *d = elab_error(e, "E0503", at, "the derivative of %s is not defined: `grad` needs a number", value_describe(e, S));
        if (S->kind == VK_NUM && S->u.num.nsets) diag_help(&e->front->sink, d, "sum over its indices first");
        return value_error();
    }
    return S;
}

/* Derivative of the complex S at a real point: grad Re S + i grad Im S. */
static const Value *complex_at_real(Elab *e, const Value *S, const Value *q, int nprefix, const Sym *prefix,
                                    const Parts *p, const Ref *wrt, const Ref *re_grad, Span at) {
    Ref im_grad[MAX_PARTS];
    DiffError err = {0};
    Ref im = total(e, S->u.num.im, nprefix, prefix);
    if (!ir_grad(e->ir, im, 0, p->n, wrt, im_grad, &err)) { not_differentiable(e, &err, at); return value_error(); }
    int k = 0;
    const Value *re = assemble(e, q, re_grad, &k, nprefix, prefix, at);
    k = 0;
    const Value *imv = assemble(e, q, im_grad, &k, nprefix, prefix, at);
    const Value *i = value_complex(e, ir_const(e->ir, 0), ir_const(e->ir, 1), at);
    return value_binary(e, OP_ADD, re, value_binary(e, OP_MUL, i, imv, at, at), at, at);
}

/* ---- grad(function, point) ---------------------------------------------------------------- */

static GradMemo *find_memo(Elab *e, const Value *f, const Value *q) {
    for (int i = 0; i < e->grads.n; i++) {
        GradMemo *m = &e->grads.data[i];
        bool same = m->decl == f->u.func.decl && m->env == f->u.func.env && m->target == f->u.func.target &&
                    m->builtin == f->u.func.builtin && value_same_shape(m->like, q);
        const Value *a = m->like, *b = q;
        if (same && a->kind == VK_NUM && a->u.num.complex == b->u.num.complex) return m;
        if (!same || a->kind != VK_TUPLE) continue;
        for (int k = 0; k < a->u.tuple.n; k++) same &= a->u.tuple.items[k]->u.num.complex == b->u.tuple.items[k]->u.num.complex;
        if (same) return m;
    }
    return NULL;
}

/* The free indices around, each of which has its own copy of the point; -1: too many. */
static int active_prefix(Elab *e, Sym *prefix, Span at) {
    int n = e->active.n;
    if (n > IR_MAX_RANK) {
        elab_error(e, "E0219", at, "more than %d index components at once", IR_MAX_RANK);
        return -1;
    }
    if (n) memcpy(prefix, e->active.data, (size_t)n * sizeof *prefix);
    return n;
}

/* A field of spins takes two values: nothing depends on it smoothly. */
static bool has_spins(Elab *e, const Value *f, Span at) {
    if (f->u.func.kind != FN_TARGET) return false;
    const Target *t = f->u.func.target;
    for (int i = 0; i < t->n; i++) {
        if (t->fields[i]->kind != FIELD_SPIN) continue;
        Diag *d = elab_error(e, "E0506", t->density->at, "the spins `%s` are +1 or -1, so that the density has no derivative by them", t->fields[i]->name);
        diag_label(&e->front->sink, d, t->fields[i]->at, "declared here");
        diag_label(&e->front->sink, d, at, "the derivative is taken here");
        diag_help(&e->front->sink, d, "choose a method that takes no derivatives, such as local updates");
        return true;
    }
    return false;
}

static const Value *grad_of_function(Elab *e, const Value *f, const Value *q, Span at) {
    Parts p = {.n = 0};
    if (has_spins(e, f, at)) return value_error();
    if (!collect_parts(e, q, &p, at)) return value_error();
    Sym prefix[IR_MAX_RANK];
    int nprefix = active_prefix(e, prefix, at);
    if (nprefix < 0) return value_error();
    Ref point[MAX_PARTS], out[MAX_PARTS], at_point[MAX_PARTS];
    for (int i = 0; i < p.n; i++) point[i] = value_node_over(e, p.field[i], p.imaginary[i], nprefix, prefix);

    bool plain = nprefix == 0 && !f->u.func.replaced && !e->replaced;
    GradMemo *memo = plain ? find_memo(e, f, q) : NULL, fresh = {0};
    if (!memo) {
        for (int i = 0; i < p.n; i++) {
            int64_t dims[IR_MAX_RANK];
            int rank = part_dims(e, p.field[i], nprefix, prefix, dims);
            fresh.in[i] = ir_input(e->ir, "q", rank, dims, false, false);
        }
        int k = 0;
        const Value *variable = assemble(e, q, fresh.in, &k, nprefix, prefix, at);
        const Value *S = check_scalar(e, elab_call(e, f, 1, &variable, &at, 0, NULL, NULL, at), at);
        if (S->kind == VK_ERROR) return S;
        /* What cannot be differentiated stands in the density, not in the sampler. */
        Span blame = f->u.func.kind == FN_TARGET ? f->u.func.target->density->at : at;
        if (!gradients(e, S, nprefix, prefix, &p, fresh.in, out, blame)) return value_error();
        bool real_point = true;
        for (int i = 0; i < p.n; i++) real_point &= !p.imaginary[i];
        if (S->u.num.complex && real_point) {
            const Value *g = complex_at_real(e, S, q, nprefix, prefix, &p, fresh.in, out, at);
            if (g->kind != VK_NUM) return g->kind == VK_ERROR ? g : ELAB_FAIL(e, "E0503", at, "a complex function of several real fields has no gradient here");
            g = value_close(e, g);
            Ref parts[2] = {value_node_over(e, g, false, nprefix, prefix), value_node_over(e, g, true, nprefix, prefix)};
            for (int i = 0; i < 2; i++) parts[i] = ir_subst_arrays(e->ir, parts[i], p.n, fresh.in, point);
            return value_array(e, parts[0], parts[1], nprefix, prefix, g->u.num.nsets, g->u.num.sets, at);
        }
        fresh.decl = f->u.func.decl, fresh.env = f->u.func.env, fresh.target = f->u.func.target;
        fresh.builtin = f->u.func.builtin, fresh.like = q, fresh.n = p.n;
        memcpy(fresh.out, out, sizeof out);
        if (plain) vec_push(&e->grads, fresh);
        memo = &fresh;
    }
    for (int i = 0; i < p.n; i++) at_point[i] = ir_subst_arrays(e->ir, memo->out[i], p.n, memo->in, point);
    int k = 0;
    return assemble(e, q, at_point, &k, nprefix, prefix, at);
}

/* ---- grad(expression, name) ----------------------------------------------------------------- */

static bool depends_on(Elab *e, const Value *S, const Parts *p, const Ref *nodes) {
    bool yes = false;
    for (int i = 0; i < p->n; i++) {
        yes |= ir_depends(e->ir, S->u.num.re, nodes[i]);
        if (S->u.num.im) yes |= ir_depends(e->ir, S->u.num.im, nodes[i]);
    }
    return yes;
}

/* Elements that share one point need a copy of it each: the expression is elaborated
 * again with its name as a variable over the enclosing indices. */
static const Value *grad_of_copies(Elab *e, Env *env, const Expr *x, const Value *q, const Parts *p, const Ref *wrt, int nprefix, const Sym *prefix) {
    const Expr *name = x->list[1];
    Ref fresh[MAX_PARTS], out[MAX_PARTS], point[MAX_PARTS];
    if (name->kind != EX_NAME) return ELAB_FAIL(e, "E0504", name->at, "the derivative is taken with respect to a name");
    for (int i = 0; i < p->n; i++) {
        int64_t dims[IR_MAX_RANK];
        int rank = part_dims(e, p->field[i], nprefix, prefix, dims);
        fresh[i] = ir_input(e->ir, "q", rank, dims, false, false);
        point[i] = value_node_over(e, p->field[i], p->imaginary[i], nprefix, prefix);
    }
    int k = 0;
    Value *variable = (Value *)assemble(e, q, fresh, &k, nprefix, prefix, x->at);
    variable->name = name->name;
    const Value *S = elab_expr(e, env_bind(e, env, name->name, variable), x->list[0]);
    if (S->kind == VK_ERROR) return S;
    S = check_scalar(e, value_number(e, S, x->list[0]->at, "`grad`"), x->list[0]->at);
    if (S->kind == VK_ERROR) return S;
    if (depends_on(e, S, p, wrt)) {
        Diag *d = elab_error(e, "E0504", x->at, "this depends on `%s` by way of other names too, and differs from index to index", name->name);
        diag_help(&e->front->sink, d, "write what is differentiated in terms of `%s` inside this `grad`", name->name);
        return value_error();
    }
    if (!gradients(e, S, nprefix, prefix, p, fresh, out, x->at)) return value_error();
    const Value *g;
    bool real_point = true;
    for (int i = 0; i < p->n; i++) real_point &= !p->imaginary[i];
    k = 0;
    if (S->u.num.complex && real_point) {
        if (p->n != 1) return ELAB_FAIL(e, "E0503", x->at, "a complex function of several real fields has no gradient here");
        g = complex_at_real(e, S, q, nprefix, prefix, p, fresh, out, x->at);
        g = value_close(e, g);
        if (g->kind == VK_ERROR) return g;
        Ref parts[2] = {value_node_over(e, g, false, nprefix, prefix), value_node_over(e, g, true, nprefix, prefix)};
        for (int i = 0; i < 2; i++) parts[i] = ir_subst_arrays(e->ir, parts[i], p->n, fresh, point);
        return value_array(e, parts[0], parts[1], nprefix, prefix, g->u.num.nsets, g->u.num.sets, x->at);
    }
    for (int i = 0; i < p->n; i++) out[i] = ir_subst_arrays(e->ir, out[i], p->n, fresh, point);
    return assemble(e, q, out, &k, nprefix, prefix, x->at);
}

/* Does S use an enclosing index that the point was not defined under? */
static bool uses_other(Elab *e, const Value *S, int nprefix, const Sym *prefix, int nown, const Sym *own) {
    Sym found[64];
    for (int part = 0; part < 2; part++) {
        Ref body = part ? S->u.num.im : S->u.num.re;
        int m = body ? ir_free_syms(e->ir, body, found, 64) : 0;
        for (int i = 0; i < m; i++) {
            bool outer = false, known = false;
            for (int k = 0; k < nprefix; k++) outer |= prefix[k] == found[i];
            for (int k = 0; k < nown; k++) known |= own[k] == found[i];
            if (outer && !known) return true;
        }
    }
    return false;
}

static const Value *grad_of_expression(Elab *e, Env *env, const Expr *x, const Value *S, const Value *q) {
    Span at = x->at, q_at = x->list[1]->at;
    Parts p = {.n = 0};
    if (!collect_parts(e, q, &p, q_at)) return value_error();
    Sym prefix[IR_MAX_RANK];
    int nprefix = active_prefix(e, prefix, at);
    if (nprefix < 0) return value_error();
    Ref wrt[MAX_PARTS], out[MAX_PARTS];
    bool element = false;                        /* the point is an element of an array */
    for (int i = 0; i < p.n; i++) {
        Ref body = p.imaginary[i] ? p.field[i]->u.num.im : p.field[i]->u.num.re;
        if (NODE(e->ir, body)->op != SC_READ)
            return ELAB_FAIL(e, "E0504", q_at, "the derivative with respect to a constant is not defined; make it an argument: `grad(f, x)` of a function f");
        wrt[i] = NARG(e->ir, body, 0);
        element |= p.field[i]->u.num.nsets == 0 && NODE(e->ir, body)->nidx > 0;
    }
    /* Free indices in the wrt array itself are the ones it was defined under. */
    Sym own[IR_MAX_RANK];
    int nown = 0;
    Ref first = p.field[0]->u.num.re;
    for (int i = 0; i < NODE(e->ir, first)->nidx; i++) {
        const Affine *a = aff_get(e->ir, NIDX(e->ir, first, i)->aff);
        bool bound = false;
        for (int k = 0; k < p.field[0]->u.num.nsyms; k++) bound |= a->n == 1 && a->t[0].sym == p.field[0]->u.num.syms[k];
        if (!bound && a->n == 1) own[nown++] = a->t[0].sym;
    }
    if (element || uses_other(e, S, nprefix, prefix, nown, own)) return grad_of_copies(e, env, x, q, &p, wrt, nprefix, prefix);
    if (!gradients(e, S, nown, own, &p, wrt, out, at)) return value_error();
    if (S->u.num.complex) {
        bool real_point = true;
        for (int i = 0; i < p.n; i++) real_point &= !p.imaginary[i];
        if (real_point) return complex_at_real(e, S, q, nown, own, &p, wrt, out, at);
    }
    int k = 0;
    return assemble(e, q, out, &k, nown, own, at);
}

/* grad(S, phi[x]) of an expression S is grad(S, phi)[x]. */
static const Value *grad_at_element(Elab *e, Env *env, const Expr *x) {
    Expr *list[2] = {x->list[0], x->list[1]->a};
    Expr whole = *x, element = *x->list[1];
    whole.list = list;
    element.a = &whole;
    return elab_expr(e, env, &element);
}

/* Inside E[…] the name of an action is its value, but not here. */
static const Value *differentiated(Elab *e, Env *env, const Expr *x, const Value *q) {
    const Value *v = x->kind == EX_NAME ? env_find(env, x->name) : NULL;
    int n = q->kind == VK_TUPLE ? q->u.tuple.n : 1;
    bool fits = v && v->kind == VK_FUNC && v->u.func.kind == FN_DECL && v->u.func.decl->nparams == n;
    return fits ? v : elab_expr(e, env, x);
}

const Value *elab_grad(Elab *e, Env *env, const Expr *x) {
    if (x->n != 2) return ELAB_FAIL(e, "E0217", x->at, "`grad` takes a function and a point, or an expression and a name");
    const Value *q = elab_expr(e, env, x->list[1]);
    /* A point is closed, so that what is differentiated and what the point is made of
     * stay apart. */
    q = value_close(e, q);
    if (q->kind == VK_INDEX) q = value_number(e, q, x->list[1]->at, "`grad`");
    const Value *f = q->kind == VK_ERROR ? q : differentiated(e, env, x->list[0], q);
    if (q->kind == VK_ERROR || f->kind == VK_ERROR) return value_error();
    if (f->kind == VK_FUNC) return grad_of_function(e, f, q, x->at);
    f = check_scalar(e, value_number(e, f, x->list[0]->at, "`grad`"), x->list[0]->at);
    if (f->kind == VK_ERROR) return f;
    if (x->list[1]->kind == EX_INDEX && q->kind == VK_NUM && q->u.num.nsets == 0) return grad_at_element(e, env, x);
    return grad_of_expression(e, env, x, f, q);
}
