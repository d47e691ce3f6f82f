/* params.c — parameters that have another value inside a function: S(q; kappa = v) and
 * vary(S, kappa, v).  Parameters are constants of the program, known before anything is
 * elaborated; a function is elaborated anew where it is called, so there one of them can
 * mean something else, even a number of the run.  What was computed from the parameter
 * beforehand, the extent of a lattice above all, cannot follow: that is refused. */
#include "elab.h"

#include <stdlib.h>
#include <string.h>

static bool among(const Value *const *list, int n, const Value *v) {
    for (int i = 0; i < n; i++)
        if (list[i] == v) return true;
    return false;
}

const Value *param_named(const Elab *e, const char *name) {
    for (int i = 0; e->model && i < e->model->params.n; i++)
        if (e->model->params.data[i].name == name) return e->model->params.data[i].bound;
    return NULL;
}

static bool is_param(const Elab *e, const Value *v) {
    for (int i = 0; e->model && i < e->model->params.n; i++)
        if (e->model->params.data[i].bound == v) return true;
    return false;
}

static const char *what_of(const Value *v) {
    return v->kind == VK_SET ? "index set" : "value";
}

const Value *param_value(Elab *e, const Value *v, Span at) {
    if (!v->nuses) return v;                             /* a parameter is among its own uses */
    if (e->read.n < 4096 && !among(e->read.data, e->read.n, v)) vec_push(&e->read, v);
    for (const Replaced *r = e->replaced; r; r = r->up) {
        if (r->param == v) return r->value;
        if (!among(v->uses, v->nuses, r->param)) continue;
        Diag *d = elab_error(e, "E0404", at, "the %s `%s` was computed from `%s`, which has another value here", what_of(v), v->name, r->param->name);
        diag_label(&e->front->sink, d, v->origin, "computed here, once, before the run");
        if (v->kind == VK_NUM) diag_help(&e->front->sink, d, "make it a definition, `def %s = …`, which is computed where it is used", v->name);
        return value_error();
    }
    return v;
}

void param_uses(Elab *e, Value *v) {
    VEC(const Value *) all = {0};
    for (int i = 0; i < e->read.n; i++)
        for (int k = 0; k < e->read.data[i]->nuses; k++)
            if (!among(all.data, all.n, e->read.data[i]->uses[k])) vec_push(&all, e->read.data[i]->uses[k]);
    v->nuses = all.n;
    v->uses = arena_alloc(e->arena, (size_t)(all.n + 1) * sizeof *v->uses);
    if (all.n) memcpy(v->uses, all.data, (size_t)all.n * sizeof *v->uses);
    vec_free(&all);
}

/* An index set whose extent was computed from the parameter, or NULL.  A grid may have
 * points that were: what reads them is refused by itself. */
static const Value *set_made_from(const Elab *e, const Value *param) {
    for (const Env *v = e->globals; v; v = v->up)
        if (v->value->kind == VK_SET && v->value->u.set->kind != SET_GRID && among(v->value->uses, v->value->nuses, param)) return v->value;
    return NULL;
}

const Value *param_vary(Elab *e, const Value *f, const Value *param, const Value *v, Span at) {
    if (f->kind == VK_ERROR || param->kind == VK_ERROR || v->kind == VK_ERROR) return value_error();
    if (f->kind != VK_FUNC) return ELAB_FAIL(e, "E0202", at, "a function can see another value of a parameter, and this is %s", value_describe(e, f));
    if (!is_param(e, param)) {
        Diag *d = elab_error(e, "E0405", at, "what is varied is a parameter of the program, and this is %s", value_describe(e, param));
        diag_help(&e->front->sink, d, "pass its name: `vary(S, kappa, 0.2)`");
        return value_error();
    }
    const Value *set = set_made_from(e, param);
    if (set) {
        if (e->ncalls && e->call_at[0].file != at.file) at = e->call_at[0];      /* what the user wrote, not the library */
        Diag *d = elab_error(e, "E0404", at, "`%s` fixes the extent of `%s`, so it has one value in the whole program", param->name, set->name);
        diag_label(&e->front->sink, d, set->origin, "%s", set_describe(e->arena, set->u.set));
        return value_error();
    }
    v = value_number(e, v, at, "a parameter");
    if (v->kind == VK_ERROR) return v;
    if (v->kind != VK_NUM || v->u.num.nsets || v->u.num.complex || v->u.num.boolean != param->u.num.boolean)
        return ELAB_FAIL(e, "E0401", at, "the parameter `%s` is %s, and this is %s", param->name, value_describe(e, param), value_describe(e, v));
    Replaced *r = arena_alloc(e->arena, sizeof *r);
    *r = (Replaced){param, v, f->u.func.replaced};
    Value *out = value_new(e, VK_FUNC, f->origin);
    *out = *f;
    out->u.func.replaced = r;
    return out;
}
