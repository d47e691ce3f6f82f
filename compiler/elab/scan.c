/* scan.c — `scan L in Ls, kappa in K { … }` (language reference §8.3): the tasks of the
 * block are planned once for each point, with the declarations at these values of the
 * parameters, and each report becomes an array over the sets of the scan.  Its elements
 * are functions of the means of different samples; what is made of the array afterwards,
 * values and errors, needs nothing more. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SCANNED 4

typedef struct Scan {
    Model      *m;
    Plan       *plan;
    const Decl *decl;
    int         n;                    /* parameters */
    IndexSet   *sets[MAX_SCANNED];
    int64_t     points;
    VEC(const Decl *) tasks;
    VEC(const Value *) values;        /* [point][task]: of reports */
    bool       *used;                 /* overrides that were, before the scan */
} Scan;

/* ---- what is scanned ---------------------------------------------------------------------- */

static bool scans_param(Scan *s, const Bind *b) {
    Elab *e = s->m->elab;
    const char *names[256];
    int n = 0;
    for (int i = 0; i < s->m->params.n; i++) {
        const ParamInfo *p = &s->m->params.data[i];
        if (n < 256) names[n++] = p->name;
        if (p->name != b->name) continue;
        for (int k = 0; k < s->m->noverrides; k++)
            if (!strcmp(s->m->overrides[k].name, b->name)) {
                elab_error(e, "E0318", b->at, "`%s` is set on the command line, and runs over several values here", b->name);
                return false;
            }
        if (p->boolean) elab_error(e, "E0318", b->at, "a scan sets numbers, and `%s` is true or false", b->name);
        return p->bound != NULL && !p->boolean;
    }
    Diag *d = elab_error(e, "E0318", b->at, "a scan sets parameters, and `%s` is none", b->name);
    const char *near = diag_nearest(b->name, names, n);
    if (near) diag_help(&e->front->sink, d, "did you mean `%s`?", near);
    return false;
}

static bool find_sets(Scan *s) {
    Elab *e = s->m->elab;
    const Decl *d = s->decl;
    if (d->nbinds > MAX_SCANNED) {
        elab_error(e, "E0318", d->at, "a scan of more than %d parameters", MAX_SCANNED);
        return false;
    }
    s->points = 1;
    for (int i = 0; i < d->nbinds; i++) {
        for (int k = 0; k < i; k++)
            if (d->binds[k].name == d->binds[i].name) {
                elab_error(e, "E0318", d->binds[i].at, "`%s` is scanned twice", d->binds[i].name);
                return false;
            }
        IndexSet *set = scans_param(s, &d->binds[i]) ? elab_set(e, e->globals, d->binds[i].set) : NULL;
        if (!set) return false;
        if (set->rank != 1 || set_is_static(set)) {
            Diag *g = elab_error(e, "E0318", d->binds[i].set->at, "a scan runs over numbers: a grid, an axis or a range, not %s", set_describe(e->arena, set));
            diag_help(&e->front->sink, g, "grid Ls = points(8, 16, 32)");
            return false;
        }
        s->sets[s->n++] = set;
        if (!lq_mul_ok(s->points, set->ext[0], &s->points) || s->points > MAX_SAMPLES) {
            elab_error(e, "E0302", d->at, "a scan of more than %d points", MAX_SAMPLES);
            return false;
        }
    }
    return true;
}

static int64_t coordinate_of(const Scan *s, int64_t point, int which) {
    for (int i = s->n - 1; i > which; i--) point /= s->sets[i]->ext[0];
    return point % s->sets[which]->ext[0];
}

static double value_of(const Scan *s, int64_t point, int which) {
    const IndexSet *set = s->sets[which];
    int64_t k = coordinate_of(s, point, which);
    return set->kind == SET_GRID ? set->coords[k] : (double)(set->first + k);
}

/* ---- one point -------------------------------------------------------------------------------- */

static const Forced *force(const Scan *s, int64_t point) {
    const Forced *list = NULL;
    for (int i = 0; i < s->n; i++) {
        Forced *f = arena_alloc(s->m->elab->arena, sizeof *f);
        const Bind *b = &s->decl->binds[i];
        *f = (Forced){b->name, {.kind = EX_NUM, .at = b->set->at, .num = value_of(s, point, i)}, list};
        list = f;
    }
    return list;
}

static void label_sample(const Scan *s, int64_t point, SampleTask *t) {
    Arena *arena = s->m->elab->arena;
    Text text = {0};
    t->nat = s->n;
    t->at_name = arena_alloc(arena, (size_t)s->n * sizeof *t->at_name);
    t->at_value = arena_alloc(arena, (size_t)s->n * sizeof *t->at_value);
    for (int i = 0; i < s->n; i++) {
        t->at_name[i] = s->decl->binds[i].name, t->at_value[i] = value_of(s, point, i);
        text_printf(&text, "%s%s = %.6g", i ? ", " : "", t->at_name[i], t->at_value[i]);
    }
    if (t->method) t->method = arena_printf(arena, "%s at %s", t->sampler, text.s);
    text_free(&text);
}

static void plan_point(Scan *s, int64_t point) {
    Model *m = s->m, saved;
    Elab *e = m->elab;
    Env *globals = e->globals;
    for (int i = 0; i < m->noverrides; i++) m->overrides[i].used = s->used[i];     /* options hold at every point */
    m->retrains = false;
    for (int i = 0; i < s->tasks.n; i++) m->retrains |= s->tasks.data[i]->kind == DC_MINIMIZE;
    model_force(m, force(s, point), &saved);
    e->sample = NULL;
    for (int i = 0; i < s->tasks.n; i++) {
        const Decl *d = s->tasks.data[i];
        const Value *v = NULL;
        if (d->kind == DC_SAMPLE || d->kind == DC_MINIMIZE) {
            SampleTask *t = d->kind == DC_SAMPLE ? plan_sample(m, s->plan, d) : plan_minimize(m, s->plan, d);
            if (t) label_sample(s, point, t);
        } else {
            v = plan_report_value(e, d);
            Value *named = value_new(e, v->kind, d->name_at);
            named->u = v->u;
            named->name = d->name;
            e->globals = env_bind(e, e->globals, d->name, named);
        }
        vec_push(&s->values, v);
    }
    e->sample = NULL;
    model_unforce(m, &saved, globals);
}

/* ---- reports as arrays over the scan ------------------------------------------------------------ */

/* The sets that the elements of a report have of their own, the same at all points. */
static bool own_sets(Scan *s, int task, IndexSet **own, int *n) {
    Elab *e = s->m->elab;
    const Value *first = s->values.data[task];
    *n = first->u.num.nsets;
    for (int64_t p = 0; p < s->points; p++) {
        const Value *v = s->values.data[p * s->tasks.n + task];
        bool same = v->u.num.nsets == *n;
        for (int i = 0; i < *n && same; i++)
            same = set_size(v->u.num.sets[i]) == set_size(first->u.num.sets[i]) && v->u.num.sets[i]->rank == first->u.num.sets[i]->rank;
        if (same) continue;
        Diag *d = elab_error(e, "E0319", s->tasks.data[task]->name_at, "`%s` has not the same shape at all points of the scan", s->tasks.data[task]->name);
        diag_here(&e->front->sink, d, "%s and %s", value_describe(e, first), value_describe(e, v));
        diag_help(&e->front->sink, d, "report a number, or an array over a set that does not depend on what is scanned");
        return false;
    }
    for (int i = 0; i < *n; i++) {
        const Value *declared = env_find(s->m->declared, first->u.num.sets[i]->name);
        bool known = declared && declared->kind == VK_SET && set_size(declared->u.set) == set_size(first->u.num.sets[i]);
        own[i] = known ? declared->u.set : first->u.num.sets[i];
    }
    return true;
}

/* The element at these symbols: that of the point whose coordinates the first ones are. */
static Ref choose(const Scan *s, int task, bool imaginary, const Value *const *at, int nown, const Sym *own) {
    Elab *e = s->m->elab;
    Ref out = 0;
    for (int64_t p = s->points - 1; p >= 0; p--) {
        Ref node = value_node(e, s->values.data[p * s->tasks.n + task], imaginary), here = ir_bool(e->ir, true);
        Index ix[IR_MAX_RANK];
        for (int i = 0; i < nown; i++) ix[i] = (Index){aff_sym(e->ir, own[i]), IX_EXACT, NDIM(e->ir, node, i)};
        Ref element = ir_read(e->ir, node, ix);
        for (int i = 0; i < s->n; i++) {
            Index k = {at[i]->u.index.c[0], IX_EXACT, 0};
            here = ir_binary(e->ir, SC_AND, here, ir_binary(e->ir, SC_EQ, ir_idx(e->ir, k), ir_const(e->ir, (double)coordinate_of(s, p, i))));
        }
        out = out ? ir_select(e->ir, here, element, out) : element;
    }
    return out;
}

static const Value *stack(Scan *s, int task) {
    Elab *e = s->m->elab;
    IndexSet *sets[MAX_SCANNED + MAX_SETS];
    Sym syms[IR_MAX_RANK];
    const Value *at[MAX_SCANNED + MAX_SETS];
    int nown, n = s->n, nsyms = 0;
    bool complex = false;
    for (int64_t p = 0; p < s->points; p++) {
        const Value *v = s->values.data[p * s->tasks.n + task];
        if (v->kind != VK_NUM) return value_error();
        complex |= v->u.num.complex;
    }
    if (!own_sets(s, task, sets + n, &nown)) return value_error();
    memcpy(sets, s->sets, (size_t)n * sizeof *sets);
    int rank = n;
    for (int i = n; i < n + nown; i++) rank += sets[i]->rank;
    Span where = s->tasks.data[task]->name_at;
    if (n + nown > MAX_SETS || rank > IR_MAX_RANK) return ELAB_FAIL(e, "E0219", where, "more than %d index components at once", IR_MAX_RANK);
    for (int i = 0; i < n + nown; i++) {
        at[i] = elab_enter(e, sets[i], where);
        for (int k = 0; k < sets[i]->rank; k++) syms[nsyms++] = aff_get(e->ir, at[i]->u.index.c[k])->t[0].sym;
    }
    Value *v = value_new(e, VK_NUM, where);
    v->u.num.re = choose(s, task, false, at, nsyms - n, syms + n);
    if (complex) v->u.num.im = choose(s, task, true, at, nsyms - n, syms + n), v->u.num.complex = true;
    for (int i = n + nown - 1; i >= 0; i--) elab_leave(e, sets[i]);
    v->u.num.nsets = n + nown, v->u.num.nsyms = nsyms;
    memcpy(v->u.num.sets, sets, (size_t)(n + nown) * sizeof *sets);
    memcpy(v->u.num.syms, syms, (size_t)nsyms * sizeof *syms);
    return value_close(e, v);
}

static void stack_reports(Scan *s) {
    Elab *e = s->m->elab;
    for (int i = 0; i < s->tasks.n; i++) {
        const Decl *d = s->tasks.data[i];
        if (d->kind != DC_REPORT) continue;
        Value *named = (Value *)stack(s, i);
        if (named->kind == VK_NUM) {
            named->name = d->name;
            plan_add_report(s->plan, e, d, d->name, named);
        }
        e->globals = env_bind(e, e->globals, d->name, named);
    }
}

/* ---- the scan --------------------------------------------------------------------------------------- */

void plan_scan(Model *m, Plan *p, const Decl *d) {
    Elab *e = m->elab;
    Scan s = {.m = m, .plan = p, .decl = d};
    for (int i = 0; i < m->tasks.n; i++)
        if (m->tasks.data[i]->scan == d) vec_push(&s.tasks, m->tasks.data[i]);
    s.used = arena_alloc(e->arena, (size_t)(m->noverrides + 1) * sizeof *s.used);
    for (int i = 0; i < m->noverrides; i++) s.used[i] = m->overrides[i].used;
    if (find_sets(&s)) {
        for (int64_t k = 0; k < s.points && e->front->sink.nerrors == 0; k++) plan_point(&s, k);
        if (s.values.n == s.points * s.tasks.n) stack_reports(&s);
    }
    for (int i = 0; i < s.tasks.n; i++)              /* after a mistake: known, without a value */
        if (s.tasks.data[i]->kind == DC_REPORT && !env_find(e->globals, s.tasks.data[i]->name))
            e->globals = env_bind(e, e->globals, s.tasks.data[i]->name, value_error());
    e->sample = NULL;
    e->no_sample = e->front->sink.nerrors > 0;
    vec_free(&s.tasks);
    vec_free(&s.values);
}
