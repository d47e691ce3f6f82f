/* tasks.c — what a file asks to be run (language reference §8): each `sample` becomes
 * three functions of the array IR (start, step, measure), each `report` a function of
 * expectation values with its gradient. */
#include "expect.h"
#include "plan.h"

#include "../../runtime/io/arrays.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- expectations ------------------------------------------------------------------------- */

static Env *bind_fields(Elab *e, Env *env, const SampleTask *t) {
    for (int i = 0; i < t->target.n; i++)
        env = env_bind(e, env, t->target.names[i],
                       t->config->kind == VK_TUPLE ? t->config->u.tuple.items[i] : t->config);
    return env;
}

static bool same_primary(const Primary *p, Ref re, Ref im) {
    return p->node_re == re && p->node_im == im;
}

static Primary *add_primary(Elab *e, Ref re, Ref im, Span at) {
    SampleTask *t = e->sample;
    for (int i = 0; i < t->primaries.n; i++)
        if (same_primary(&t->primaries.data[i], re, im)) return &t->primaries.data[i];
    int64_t dims[IR_MAX_RANK];
    int rank = NODE(e->ir, re)->rank;
    for (int i = 0; i < rank; i++) dims[i] = NDIM(e->ir, re, i);
    Primary p = {.node_re = re, .node_im = im, .at = at};
    p.input_re = ir_input(e->ir, "E", rank, dims, true, false);
    if (im) p.input_im = ir_input(e->ir, "E", rank, dims, true, false);
    vec_push(&t->primaries, p);
    return &t->primaries.data[t->primaries.n - 1];
}

typedef struct MeanSearch { const Ir *ir; bool found; } MeanSearch;

static void find_mean(void *ctx, Ref r) {
    MeanSearch *s = ctx;
    const Node *n = NODE(s->ir, r);
    s->found |= n->op == AR_INPUT && n->uniform && !strcmp(s->ir->slot_names.data[n->aux], "E");
}

static bool uses_mean(Elab *e, const Value *v) {
    MeanSearch s = {e->ir, false};
    if (v->kind != VK_NUM) return false;
    ir_walk(e->ir, v->u.num.im ? 2 : 1, (Ref[]){v->u.num.re, v->u.num.im}, find_mean, &s);
    return s.found;
}

/* What is measured: the value on a configuration, closed over the free indices. */
static const Value *measured(Elab *e, Env *env, const Expr *x, Span at) {
    if (!e->sample) {
        if (e->no_sample) return value_error();
        Diag *d = elab_error(e, "E0226", at, "an expectation value needs a `sample` before it");
        diag_help(&e->front->sink, d, "sample phi ~ exp(-S(phi)) with hmc()");
        return value_error();
    }
    if (e->in_expectation) {
        Diag *d = elab_error(e, "E0226", at, "E[…] inside E[…]: a mean is not known yet while it is measured");
        diag_help(&e->front->sink, d, "multiply out: the variance is `E[M^2] - E[M]^2`");
        return value_error();
    }
    e->in_expectation = 1;
    const Value *v = elab_expr(e, bind_fields(e, env, e->sample), x);
    e->in_expectation = 0;
    if (v->kind == VK_ERROR) return v;
    v = value_number(e, v, x->at, "E[…]");
    if (v->kind == VK_NUM && v->u.num.boolean)
        v = value_select(e, v, value_const(e, 1, at), value_const(e, 0, at), at);   /* a probability */
    v = value_close(e, v);
    if (!uses_mean(e, v)) return v;
    Diag *d = elab_error(e, "E0226", at, "a mean over the configurations is not known yet while they are measured");
    diag_help(&e->front->sink, d, "multiply out: the variance is `E[M^2] - E[M]^2`");
    return value_error();
}

const Value *expectation(Elab *e, Env *env, const Expr *x, Span at) {
    const Value *v = measured(e, env, x, at);
    if (v->kind == VK_ERROR) return v;
    Sym prefix[IR_MAX_RANK];
    int n = value_outer_syms(e, v, prefix);
    if (n + v->u.num.nsyms > IR_MAX_RANK) return ELAB_FAIL(e, "E0219", at, "more than %d index components at once", IR_MAX_RANK);
    Primary *p = add_primary(e, value_node_over(e, v, false, n, prefix), v->u.num.complex ? value_node_over(e, v, true, n, prefix) : 0, at);
    return value_array(e, p->input_re, p->input_im, n, prefix, v->u.num.nsets, v->u.num.sets, at);
}

/* ---- sample: settings ------------------------------------------------------------------------- */

Override *plan_override(Model *m, const char *name) {
    for (int i = 0; i < m->noverrides; i++)
        if (!strcmp(m->overrides[i].name, name)) return &m->overrides[i];
    return NULL;
}

const Expr *plan_override_expr(Model *m, Override *o) {
    return parse_expr(m->front, source_add(&m->front->sources, "command line", o->text, strlen(o->text)));
}

static const struct { const char *name; int64_t dflt, lo, hi; } settings[] = {
    {"chains", 16, 1, 1 << 20}, {"warmup", 500, 0, 1000000000}, {"draws", 1000, 1, 1000000000}, {"thin", 1, 1, 1000000000}};

/* `precision = single` or `double`. */
bool plan_precision(Elab *e, const Expr *x, SampleTask *t) {
    bool word = x->kind == EX_NAME;
    t->single = word && !strcmp(x->name, "single");
    if (t->single || (word && !strcmp(x->name, "double"))) return true;
    elab_error(e, "E0320", x->at, "`precision` is `single` or `double`");
    return false;
}

static bool read_settings(Model *m, SampleTask *t, const Expr **start) {
    Elab *e = m->elab;
    int64_t *into[] = {&t->chains, &t->warmup, &t->draws, &t->thin};
    bool ok = true;
    const char *names[LQ_COUNT(settings) + 2];
    for (int i = 0; i < LQ_COUNT(settings); i++) names[i] = settings[i].name, *into[i] = settings[i].dflt;
    names[LQ_COUNT(settings)] = "start", names[LQ_COUNT(settings) + 1] = "precision";
    for (int k = 0; k < t->decl->nsettings; k++) {
        const Option *o = &t->decl->settings[k];
        int which = -1;
        for (int i = 0; i < LQ_COUNT(settings); i++)
            if (!strcmp(o->name, settings[i].name)) which = i;
        if (which >= 0) ok &= elab_int(e, e->globals, o->value, o->name, settings[which].lo, settings[which].hi, into[which]);
        else if (!strcmp(o->name, "start")) *start = o->value;
        else if (!strcmp(o->name, "precision")) ok &= plan_precision(e, o->value, t);
        else {
            Diag *d = elab_error(e, "E0312", o->at, "`sample` has no setting `%s`", o->name);
            const char *near = diag_nearest(o->name, names, LQ_COUNT(names));
            if (near) diag_help(&e->front->sink, d, "did you mean `%s`?", near);
            ok = false;
        }
    }
    for (int i = 0; i < LQ_COUNT(settings); i++)
        for (int j = 0; j < m->noverrides; j++) {
            Override *o = &m->overrides[j];
            if (strcmp(o->name, settings[i].name) != 0 || env_find(e->globals, intern(o->name))) continue;
            o->used = true;
            const Expr *x = plan_override_expr(m, o);
            ok &= x && elab_int(e, e->globals, x, settings[i].name, settings[i].lo, settings[i].hi, into[i]);
        }
    for (int j = 0; j < m->noverrides; j++) {
        Override *o = &m->overrides[j];
        if (strcmp(o->name, "precision") != 0 || env_find(e->globals, intern(o->name))) continue;
        o->used = true;
        const Expr *x = plan_override_expr(m, o);
        ok &= x && plan_precision(e, x, t);
    }
    return ok;
}

/* ---- sample: fields and start ------------------------------------------------------------------- */

static bool find_fields(Model *m, SampleTask *t) {
    Elab *e = m->elab;
    const Decl *d = t->decl;
    t->target.names = d->names;
    t->target.n = d->nnames;
    t->target.density = d->value;
    t->target.env = e->globals;
    t->target.fields = arena_alloc(e->arena, (size_t)d->nnames * sizeof *t->target.fields);
    for (int i = 0; i < d->nnames; i++) {
        t->target.fields[i] = model_field(m, d->names[i]);
        if (t->target.fields[i]) continue;
        if (env_find(e->globals, d->names[i]) && env_find(e->globals, d->names[i])->kind == VK_ERROR) return false;
        const char *names[64];
        int n = 0;
        for (int k = 0; k < m->fields.n && n < 64; k++) names[n++] = m->fields.data[k]->name;
        Diag *g = elab_error(e, "E0313", d->names_at[i], "there is no field `%s` to sample", d->names[i]);
        const char *near = diag_nearest(d->names[i], names, n);
        if (near) diag_help(&e->front->sink, g, "did you mean `%s`?", near);
        return false;
    }
    return true;
}

/* A value of the shape of a field, all parts equal to c. */
const Value *plan_field_shape(Elab *e, const FieldInfo *f, double c) {
    int64_t dims[IR_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < f->nsets; i++)
        for (int k = 0; k < f->sets[i]->rank; k++) dims[rank++] = f->sets[i]->ext[k];
    Ref node = ir_map(e->ir, rank, dims, ir_const(e->ir, c));
    Ref im = f->kind == FIELD_COMPLEX ? ir_map(e->ir, rank, dims, ir_const(e->ir, 0)) : 0;
    Value *v = (Value *)value_array(e, node, im, 0, NULL, f->nsets, f->sets, f->at);
    v->name = f->name;
    return v;
}

/* Spins: the signs of symmetric numbers, or of what is given; all up when cold. */
static const Value *start_spins(Model *m, const FieldInfo *f, const Expr *start, bool cold) {
    Elab *e = m->elab;
    const Value *v = plan_field_shape(e, f, 1), *half = value_const(e, 0.5, f->at);
    if (cold) return v;
    if (start) {
        v = elab_expr(e, e->globals, start);
        if (v->kind == VK_DIST) v = elab_draw(e, v, start->at);
        if (v->kind != VK_ERROR) v = value_number(e, v, start->at, "`start`");
        if (v->kind != VK_ERROR) v = value_binary(e, OP_ADD, plan_field_shape(e, f, 0), v, start->at, start->at);
        if (v->kind == VK_ERROR) return v;
        if (v->u.num.complex) return ELAB_FAIL(e, "E0314", start->at, "a complex start for the spins `%s`", f->name);
    } else {
        Value *dist = value_new(e, VK_DIST, f->at);
        dist->u.dist.kind = DIST_UNIFORM;
        dist->u.dist.a = plan_field_shape(e, f, -1), dist->u.dist.b = value_const(e, 1, f->at);
        v = elab_draw(e, dist, f->at);
        if (v->kind == VK_ERROR) return v;
    }
    /* sign(sign(v) + 1/2): also 0 becomes a spin */
    return value_map1(e, SC_SIGN, value_binary(e, OP_ADD, value_map1(e, SC_SIGN, v, f->at), half, f->at, f->at), f->at);
}

static const Value *start_value(Model *m, const FieldInfo *f, const Expr *start) {
    Elab *e = m->elab;
    const Value *zero = plan_field_shape(e, f, 0), *one = value_const(e, 1, f->at);
    bool hot = !start || (start->kind == EX_NAME && !strcmp(start->name, "hot"));
    bool cold = start && start->kind == EX_NAME && !strcmp(start->name, "cold");
    if (f->kind == FIELD_SPIN) return start_spins(m, f, cold || hot ? NULL : start, cold);
    if (cold) return zero;
    Value *dist = value_new(e, VK_DIST, f->at);
    dist->u.dist.kind = f->kind == FIELD_ANGLE ? DIST_UNIFORM : DIST_NORMAL;
    dist->u.dist.a = f->kind == FIELD_ANGLE ? value_binary(e, OP_SUB, zero, value_const(e, M_PI, f->at), f->at, f->at) : zero;
    dist->u.dist.b = f->kind == FIELD_ANGLE ? value_const(e, M_PI, f->at) : one;
    if (hot) return elab_draw(e, dist, f->at);
    const Value *v = elab_expr(e, e->globals, start);
    if (v->kind == VK_DIST) v = elab_draw(e, v, start->at);
    if (v->kind == VK_ERROR) return v;
    v = value_number(e, v, start->at, "`start`");
    if (v->kind != VK_ERROR) v = value_binary(e, OP_ADD, zero, v, start->at, start->at);
    if (v->kind != VK_ERROR && v->u.num.complex && f->kind != FIELD_COMPLEX)
        return ELAB_FAIL(e, "E0314", start->at, "a complex start for the real field `%s`", f->name);
    return v->kind != VK_ERROR && f->kind == FIELD_POSITIVE ? value_map1(e, SC_LOG, v, start->at) : v;
}

/* The coordinate that samplers move, as the user sees the field. */
const Value *plan_as_field(Elab *e, const FieldInfo *f, const Value *u) {
    return f->kind == FIELD_POSITIVE ? value_close(e, value_map1(e, SC_EXP, u, f->at)) : u;
}

/* Angles are kept in [-pi, pi]. */
static const Value *wrap_angle(Elab *e, const FieldInfo *f, const Value *u) {
    if (f->kind != FIELD_ANGLE) return u;
    const Value *turns = value_map1(e, SC_ROUND, value_binary(e, OP_MUL, u, value_const(e, 1 / (2 * M_PI), f->at), f->at, f->at), f->at);
    return value_binary(e, OP_SUB, u, value_binary(e, OP_MUL, value_const(e, 2 * M_PI, f->at), turns, f->at, f->at), f->at, f->at);
}

void plan_push_parts(Elab *e, const Value *v, SampleTask *t, int where) {
    for (int p = 0; p < (v->u.num.complex ? 2 : 1); p++) {
        Ref r = value_node(e, v, p);
        if (where == 0) vec_push(&t->state_in, r);
        else if (where == 1) vec_push(&t->state_out, r);
        else vec_push(&t->start, r);
    }
}

/* ---- sample: the sampler --------------------------------------------------------------------------- */

/* The method's options: those in the file, and those set on the command line. */
static int method_options(Model *m, const Decl *sampler, const Expr *method, Option *opts, const Value **values, bool *ok) {
    Elab *e = m->elab;
    int n = 0;
    for (int i = 0; method->kind == EX_CALL && i < method->nopts && n < 32; i++) {
        opts[n] = method->opts[i];
        Override *o = env_find(e->globals, opts[n].name) ? NULL : plan_override(m, opts[n].name);
        const Expr *x = method->opts[i].value;
        if (o) o->used = true, x = plan_override_expr(m, o);
        values[n] = x ? elab_expr(e, e->globals, x) : value_error();
        if (values[n++]->kind == VK_ERROR) *ok = false;
    }
    for (int i = 0; i < sampler->nopts && n < 32; i++) {
        bool given = env_find(e->globals, sampler->opts[i].name) != NULL;
        for (int k = 0; k < n; k++) given |= opts[k].name == sampler->opts[i].name;
        Override *o = given ? NULL : plan_override(m, sampler->opts[i].name);
        if (!o) continue;
        o->used = true;
        const Expr *x = plan_override_expr(m, o);
        opts[n] = (Option){sampler->opts[i].name, sampler->opts[i].at, NULL};
        values[n] = x ? elab_expr(e, e->globals, x) : value_error();
        if (values[n++]->kind == VK_ERROR) *ok = false;
    }
    return n;
}

const Decl *plan_find_method(Model *m, const Expr *method, DeclKind kind) {
    Elab *e = m->elab;
    const Expr *name = method->kind == EX_CALL ? method->a : method;
    if (name->kind != EX_NAME) {
        elab_error(e, "E0315", method->at, kind == DC_SAMPLER ? "after `with` stands a sampler, such as `hmc(length = 1)`"
                                                              : "after `with` stands an optimizer, such as `adam(rate = 1e-3)`");
        return NULL;
    }
    const Value *f = env_find(e->globals, name->name);
    if (f && f->kind == VK_FUNC && f->u.func.kind == FN_DECL && f->u.func.decl->kind == kind) return f->u.func.decl;
    Diag *d = elab_error(e, "E0315", name->at, "%s`%s`%s", f ? "" : kind == DC_SAMPLER ? "there is no sampler called " : "there is no optimizer called ",
                         name->name, !f ? "" : kind == DC_SAMPLER ? " is not a sampler" : " is not an optimizer");
    const char *names[256];
    int n = 0;
    for (Env *v = e->globals; v && n < 256; v = v->up)
        if (v->value->kind == VK_FUNC && v->value->u.func.kind == FN_DECL && v->value->u.func.decl->kind == kind) names[n++] = v->name;
    const char *near = diag_nearest(name->name, names, n), *module = f ? NULL : library_module(m, name->name);
    if (module) diag_help(&e->front->sink, d, "it is in the library: `import %s`", module);
    else if (near) diag_help(&e->front->sink, d, "did you mean `%s`?", near);
    return NULL;
}

/* The sampler's parameters: the action S = -log density, the state q, then what the
 * call in the file gives. */
Env *plan_bind_method(Model *m, SampleTask *t, const Decl *s, const Value *q) {
    Elab *e = m->elab;
    const Expr *method = t->decl->method;
    int given = method->kind == EX_CALL ? method->n : 0;
    if (s->nparams != given + 2) {
        Diag *d = elab_error(e, "E0217", method->at, "`%s` takes %d argument%s besides the action and the fields, here %s %d", s->name,
                             s->nparams - 2, s->nparams == 3 ? "" : "s", given == 1 ? "is" : "are", given);
        diag_label(&e->front->sink, d, s->name_at, "defined here");
        if (s->nparams == 2 && s->nopts) diag_help(&e->front->sink, d, "its settings have names: `%s(%s = …)`", s->name, s->opts[0].name);
        return NULL;
    }
    Value *S = value_new(e, VK_FUNC, t->decl->value->at);
    S->u.func.kind = FN_TARGET;
    S->u.func.target = &t->target;
    Env *env = env_bind(e, elab_scope(e, s), s->params[0].name, S);
    env = env_bind(e, env, s->params[1].name, q);
    for (int i = 0; i < given; i++) {
        const Value *v = elab_expr(e, e->globals, method->list[i]);
        if (v->kind == VK_ERROR) return NULL;
        env = env_bind(e, env, s->params[i + 2].name, v);
    }
    Option opts[32];
    const Value *values[32];
    bool ok = true;
    int n = method_options(m, s, method, opts, values, &ok);
    if (!ok) return NULL;
    e->opens = true;
    env = elab_bind_options(e, env, s, n, opts, values, method->at);
    e->opens = false;
    return env;
}

void plan_finish(IrFunc *f, const char *name, bool single, Ir *ir) {
    f->name = name;
    f->single = single;
    f->ir = ir;
    if (f->whole) {
        ir_match_contractions(ir, f->nout, f->out);
        ir_share_maps(ir, f->nout, f->out);
    }
    simplify_roots(ir, f->nout, f->out);
}

/* The variables on which a function depends: further inputs, in the order of `used`. */
void plan_add_variables(Elab *e, IrFunc *f, Variables *used) {
    for (int i = 0; i < e->variables.n; i++) {
        Ref in = value_node(e, e->variables.data[i]->in, false);
        bool depends = false;
        for (int k = 0; k < f->nout && !depends; k++) depends = ir_depends(e->ir, f->out[k], in);
        if (depends) vec_push(used, e->variables.data[i]);
    }
    if (used->n == 0) return;
    Ref *all = arena_alloc(e->arena, (size_t)(f->nin + used->n) * sizeof *all);
    if (f->nin) memcpy(all, f->in, (size_t)f->nin * sizeof *all);
    for (int i = 0; i < used->n; i++) all[f->nin++] = value_node(e, used->data[i]->in, false);
    f->in = all;
}

static Ref *copy_refs(Elab *e, const Ref *from, int n) {
    Ref *to = arena_alloc(e->arena, (size_t)(n ? n : 1) * sizeof *to);
    if (n) memcpy(to, from, (size_t)n * sizeof *to);
    return to;
}

/* Outputs of a step: the new state, then each monitor. */
void plan_step(Elab *e, SampleTask *t) {
    for (int i = 0; i < t->target.n; i++) plan_push_parts(e, wrap_angle(e, t->target.fields[i], value_item(t->frame.q, i)), t, 1);
    for (int i = 0; i < t->frame.states.n; i++) {
        StateVar *v = &t->frame.states.data[i];
        const Value *out = v->out;
        if (v->in->u.num.complex && !out->u.num.complex) {
            vec_push(&t->state_out, value_node(e, out, false));
            vec_push(&t->state_out, value_node(e, out, true));
        } else plan_push_parts(e, out, t, 1);
    }
    t->step.nin = t->state_in.n + 1;
    t->step.in = arena_alloc(e->arena, (size_t)t->step.nin * sizeof(Ref));
    memcpy(t->step.in, t->state_in.data, (size_t)t->state_in.n * sizeof(Ref));
    t->step.in[t->state_in.n] = t->clock_in;
    for (int i = 0; i < t->frame.monitors.n; i++) vec_push(&t->stats_out, value_node(e, t->frame.monitors.data[i].value, false));
    t->step.nout = t->state_out.n + t->stats_out.n;
    t->step.out = arena_alloc(e->arena, (size_t)t->step.nout * sizeof(Ref));
    memcpy(t->step.out, t->state_out.data, (size_t)t->state_out.n * sizeof(Ref));
    if (t->stats_out.n) memcpy(t->step.out + t->state_out.n, t->stats_out.data, (size_t)t->stats_out.n * sizeof(Ref));
    plan_add_variables(e, &t->step, &t->step_uses);
    t->step.whole = t->minimizes;
    plan_finish(&t->step, arena_printf(e->arena, "step%d", t->index), t->single, e->ir);
}

/* State variables start from their initial expressions, with the fields (and earlier state
 * variables) replaced by their start. */
void plan_start_states(Elab *e, SampleTask *t) {
    Ref clock = ir_map(e->ir, 0, NULL, ir_const(e->ir, !t->minimizes && t->warmup > 0));   /* as in the first step */
    for (int i = 0; i < t->frame.states.n; i++) {
        const Value *init = t->frame.states.data[i].init;
        for (int p = 0; p < (init->u.num.complex ? 2 : 1); p++) {
            Ref r = ir_subst_arrays(e->ir, value_node(e, init, p), t->start.n, t->state_in.data, t->start.data);
            if (t->clock_in) r = ir_subst_arrays(e->ir, r, 1, &t->clock_in, &clock);
            vec_push(&t->start, r);
        }
    }
}

/* The start: draws for the fields, then the state variables. */
static bool build_start(Model *m, SampleTask *t, const Expr *start) {
    Elab *e = m->elab;
    for (int i = 0; i < t->target.n; i++) {
        const Value *v = start_value(m, t->target.fields[i], start);
        if (v->kind == VK_ERROR) return false;
        if (t->target.fields[i]->kind == FIELD_COMPLEX && !v->u.num.complex) {
            vec_push(&t->start, value_node(e, v, false));
            vec_push(&t->start, value_node(e, v, true));
        } else plan_push_parts(e, v, t, 2);
    }
    plan_start_states(e, t);
    t->init = (IrFunc){.in = NULL, .nin = 0, .out = copy_refs(e, t->start.data, t->start.n), .nout = t->start.n};
    plan_add_variables(e, &t->init, &t->init_uses);
    plan_finish(&t->init, arena_printf(e->arena, "start%d", t->index), t->single, e->ir);
    return true;
}

/* All replicas of the configuration, before and after a step. */
static bool fits_memory(Elab *e, const SampleTask *t) {
    double need = 0, have = available_memory();
    for (int i = 0; i < t->state_in.n; i++) need += 16.0 * (double)ir_elements(e->ir, t->state_in.data[i]) * (double)t->chains;
    if (need <= have) return true;
    Diag *d = elab_error(e, "E0233", t->decl->at, "the fields of %lld chains need %.3g GB, and this machine has %.3g GB",
                         (long long)t->chains, need * 1e-9, have * 1e-9);
    diag_label(&e->front->sink, d, t->target.fields[0]->at, "%lld numbers for each chain", (long long)ir_elements(e->ir, t->state_in.data[0]));
    diag_help(&e->front->sink, d, "take a smaller lattice or fewer chains");
    return false;
}

Task *plan_new_task(Plan *p, Elab *e, TaskKind kind, const Decl *d) {
    Task *t = arena_alloc(e->arena, sizeof *t);
    t->kind = kind, t->decl = d;
    vec_push(&p->tasks, t);
    return t;
}

static bool plan_sampler(Model *m, SampleTask *t, bool claims) {
    Elab *e = m->elab;
    const Expr *start = NULL;
    bool ok = read_settings(m, t, &start);
    const Decl *s = plan_find_method(m, t->decl->method, DC_SAMPLER);
    const Value *q[64], *seen[64];
    if (t->decl->nnames > 64) {
        elab_error(e, "E0313", t->decl->at, "more than 64 fields in one `sample`");
        return false;
    }
    if (!find_fields(m, t)) return false;
    for (int i = 0; i < t->target.n; i++) {
        Value *u = (Value *)elab_input_like(e, t->target.names[i], plan_field_shape(e, t->target.fields[i], 0), t->target.fields[i]->at);
        u->name = t->target.names[i];
        q[i] = u;
        plan_push_parts(e, u, t, 0);
        seen[i] = plan_as_field(e, t->target.fields[i], u);
    }
    t->nfield_parts = t->state_in.n;
    t->config = value_tuple(e, t->target.n, seen, t->decl->at);
    if (!s) return false;
    t->sampler = t->method = s->name;
    t->clock_in = ir_input(e->ir, "warmup", 0, NULL, true, true);
    e->warmup = value_real(e, ir_read(e->ir, t->clock_in, NULL), t->decl->at);
    const Value *state = value_tuple(e, t->target.n, q, t->decl->at);
    t->frame = (SamplerFrame){.q = state, .claims = claims};
    t->frame.q_name = s->nparams > 1 ? s->params[1].name : intern("q");
    if (s->nparams < 2) {
        elab_error(e, "E0315", s->name_at, "a sampler has two parameters at least: the action and the state");
        return false;
    }
    Env *env = plan_bind_method(m, t, s, state);
    if (!env || !ok) return false;
    e->frame = &t->frame;
    e->call_at[e->ncalls++] = t->decl->method->at;
    elab_sampler_body(e, env, &s->body);
    e->ncalls--;
    e->frame = NULL;
    e->warmup = NULL;
    if (t->frame.q->kind == VK_ERROR) return false;
    for (int i = 0; i < t->frame.states.n; i++) plan_push_parts(e, t->frame.states.data[i].in, t, 0);
    for (int i = 0; i < t->target.n; i++) {
        const Value *out = value_item(t->frame.q, i);
        if (out->u.num.complex == value_item(state, i)->u.num.complex) continue;
        elab_error(e, "E0308", t->decl->method->at, "`%s` is %s after a step of `%s`", t->target.names[i], value_describe(e, out), s->name);
        return false;
    }
    if (!spins_stay(e, t, state)) return false;
    if (!fits_memory(e, t) || !build_start(m, t, start)) return false;
    plan_step(e, t);
    spins_mark(e, t);
    return true;
}

SampleTask *plan_sample(Model *m, Plan *p, const Decl *d) {
    Elab *e = m->elab;
    if (p->nsamples == MAX_SAMPLES) {
        elab_error(e, "E0302", d->at, "more than %d `sample` in a program", MAX_SAMPLES);
        return NULL;
    }
    SampleTask *t = arena_alloc(e->arena, sizeof *t);
    t->decl = d, t->index = p->nsamples++;
    bool claims = p->claims;
    bool ok = plan_sampler(m, t, claims);
    e->frame = NULL;
    if (ok) plan_new_task(p, e, TASK_SAMPLE, d)->sample = t;
    e->sample = t->config ? t : NULL;       /* its fields are known: what follows is checked too */
    e->no_sample = !t->config;
    return t;
}

/* ---- reports ---------------------------------------------------------------------------------------------- */

static ReportTask *new_report(Elab *e, const Decl *d, const char *name, const Value *v) {
    ReportTask *r = arena_alloc(e->arena, sizeof *r);
    r->decl = d, r->name = name, r->value = v;
    return r;
}

/* A complex report becomes two: its real and its imaginary part. */
void plan_add_report(Plan *p, Elab *e, const Decl *d, const char *name, const Value *v) {
    for (int part = 0; part < (v->u.num.complex ? 2 : 1); part++) {
        const char *full = v->u.num.complex ? arena_printf(e->arena, "%s.%s", name, part ? "im" : "re") : name;
        Task *t = plan_new_task(p, e, TASK_REPORT, d);
        t->report = new_report(e, d, full, value_close(e, value_part(e, v, part)));
    }
}

static const char *expr_text(Elab *e, const Expr *x) {
    Text t = {0};
    ast_print_expr(x, &t);
    const char *s = arena_strndup(e->arena, t.s, t.n);
    text_free(&t);
    return s;
}

/* Reports with several indices that repeat their sets, or whole arrays. */
const Value *plan_report_value(Elab *e, const Decl *d) {
    const Value *v = d->nbinds ? elab_array(e, e->globals, d->nbinds, d->binds, d->value, elab_expr, d->name_at)
                               : elab_expr(e, e->globals, d->value);
    if (v->kind == VK_ERROR) return v;
    v = value_number(e, v, d->value->at, "`report`");
    if (v->kind == VK_NUM && v->u.num.boolean)
        return ELAB_FAIL(e, "E0205", d->value->at, "a report is a number, and this is a condition");
    return value_close(e, v);
}

static void plan_report(Model *m, Plan *p, const Decl *d) {
    Elab *e = m->elab;
    const Value *v = plan_report_value(e, d);
    Value *named = value_new(e, v->kind, d->name_at);
    named->u = v->u;
    named->name = d->name;
    if (v->kind == VK_NUM) plan_add_report(p, e, d, d->name, v);
    e->globals = env_bind(e, e->globals, d->name, named);
}

/* ---- plots, saves, prints -------------------------------------------------------------------------------------- */

static int primary_of(Elab *e, const Expr *x) {
    if (x->kind == EX_INDEX && x->a->kind == EX_NAME && !strcmp(x->a->name, "E") && x->nbinds == 1 && !env_find(e->globals, x->a->name)) {
        Diag *d = elab_error(e, "E0226", x->at, "here stands what is measured on each configuration, and this is its mean");
        diag_help(&e->front->sink, d, "leave out the `E[…]`");
        return -1;
    }
    const Value *v = measured(e, e->globals, x, x->at);
    if (v->kind == VK_ERROR) return -1;
    Ref re = value_node(e, v, false), im = v->u.num.complex ? value_node(e, v, true) : 0;
    Primary *p = add_primary(e, re, im, x->at);
    return (int)(p - e->sample->primaries.data);
}

static ReportTask *report_named(Plan *p, const char *name) {
    for (int i = p->tasks.n - 1; i >= 0; i--)
        if (p->tasks.data[i]->kind == TASK_REPORT && !strcmp(p->tasks.data[i]->report->name, name)) return p->tasks.data[i]->report;
    return NULL;
}

/* A map shows one configuration over a lattice of two directions, or over two sets. */
static bool is_map(Elab *e, const Expr *x, int primary) {
    const Primary *p = &e->sample->primaries.data[primary];
    if (NODE(e->ir, p->node_re)->rank == 2 && !p->node_im) return true;
    elab_error(e, "E0322", x->at, "a map is drawn of a real array with two indices, and this has %d%s", NODE(e->ir, p->node_re)->rank, p->node_im ? ", and is complex" : "");
    return false;
}

/* history("dH"): what the method of the last task watches, by the name that it has there. */
static void plan_monitor(Elab *e, const Plan *p, const Expr *x, PlotCurve *c) {
    const char *names[64];
    int n = 0;
    c->sample = NULL;
    for (int i = 0; i < p->tasks.n; i++)
        if (p->tasks.data[i]->kind == TASK_SAMPLE) c->sample = p->tasks.data[i]->sample;
    for (int i = 0; c->sample && i < c->sample->frame.monitors.n && n < LQ_COUNT(names); i++) names[n++] = c->sample->frame.monitors.data[i].name;
    for (int i = 0; i < n; i++)
        if (!strcmp(names[i], x->name)) c->monitor = names[i];
    if (c->monitor || e->no_sample) return;
    Diag *d = c->sample ? elab_error(e, "E0322", x->at, "`%s` watches nothing called `%s`", c->sample->method, x->name)
                        : elab_error(e, "E0322", x->at, "nothing is watched before this: there is no `%s`", x->name);
    const char *near = diag_nearest(x->name, names, n);
    if (near) diag_help(&e->front->sink, d, "did you mean `%s`?", near);
}

static bool plan_series_curve(Elab *e, const Plan *p, const Expr *x, PlotCurve *c) {
    static const struct { const char *name; PlotKind kind; } kinds[] = {
        {"histogram", PLOT_HISTOGRAM}, {"density", PLOT_HISTOGRAM}, {"history", PLOT_HISTORY},
        {"paths", PLOT_LINES}, {"lines", PLOT_LINES}, {"map", PLOT_MAP}};
    if (x->kind != EX_CALL || x->a->kind != EX_NAME || env_find(e->globals, x->a->name)) return false;
    for (int i = 0; i < LQ_COUNT(kinds); i++) {
        if (strcmp(kinds[i].name, x->a->name) != 0) continue;
        int64_t count = 5;
        c->primary = -1;
        if (x->n < 1 || x->n > 2) elab_error(e, "E0217", x->at, "`%s` takes what is plotted, and perhaps how many curves", x->a->name);
        else if (x->list[0]->kind == EX_STR && (kinds[i].kind == PLOT_HISTORY || kinds[i].kind == PLOT_HISTOGRAM)) {
            c->kind = kinds[i].kind, c->label = x->list[0]->name;
            plan_monitor(e, p, x->list[0], c);
            return true;
        } else if (x->n == 1 || elab_int(e, e->globals, x->list[1], "a number of curves", 1, 64, &count)) c->primary = primary_of(e, x->list[0]);
        c->kind = kinds[i].kind, c->count = (int)count, c->sample = e->sample;
        c->label = x->n ? expr_text(e, x->list[0]) : "";
        if (c->kind == PLOT_MAP && c->primary >= 0 && !is_map(e, x, c->primary)) c->primary = -1;
        return true;
    }
    return false;
}

/* A report by its name, or what else is known when the samples are done; NULL after a message. */
static ReportTask *plotted(Plan *p, Task *t, const Decl *d, const Expr *x) {
    Elab *e = p->model->elab;
    ReportTask *r = x->kind == EX_NAME ? report_named(p, x->name) : NULL;
    if (r) return r;
    const Value *v = d->nbinds ? elab_array(e, e->globals, d->nbinds, d->binds, x, elab_expr, x->at) : elab_expr(e, e->globals, x);
    if (v->kind != VK_ERROR) v = value_number(e, v, x->at, "`plot`");
    if (v->kind == VK_ERROR) return NULL;
    r = new_report(e, d, expr_text(e, x), value_close(e, value_part(e, v, false)));
    vec_push(&t->reports, r);
    return r;
}

/* errors(y, s): y with the errors s. */
static bool plan_errors(Plan *p, Task *t, const Decl *d, const Expr *x, PlotCurve *c) {
    Elab *e = p->model->elab;
    if (x->kind != EX_CALL || x->a->kind != EX_NAME || strcmp(x->a->name, "errors") || env_find(e->globals, x->a->name)) return false;
    if (x->n != 2) {
        elab_error(e, "E0217", x->at, "`errors` takes what is plotted and its errors");
        return true;
    }
    ReportTask *y = plotted(p, t, d, x->list[0]), *s = y ? plotted(p, t, d, x->list[1]) : NULL;
    if (!s) return true;
    if (!value_same_shape(y->value, s->value)) {
        elab_error(e, "E0322", x->list[1]->at, "these errors are %s, and the values are %s", value_describe(e, s->value), value_describe(e, y->value));
        return true;
    }
    c->report = y, c->error = s, c->label = expr_text(e, x->list[0]);
    return true;
}

static void plan_plot(Model *m, Plan *p, const Decl *d) {
    Elab *e = m->elab;
    Task *t = plan_new_task(p, e, TASK_PLOT, d);
    t->look = plan_look(e, d);
    for (int i = 0; i < d->nlist; i++) {
        const Expr *x = d->list[i];
        PlotCurve c = {.label = expr_text(e, x), .primary = -1, .kind = PLOT_REPORT, .sample = e->sample};
        if (plan_series_curve(e, p, x, &c)) {
            if (c.primary >= 0 || c.monitor) vec_push(&t->curves, c);
        } else if (plan_errors(p, t, d, x, &c) || (c.report = plotted(p, t, d, x))) {
            if (c.report) vec_push(&t->curves, c);
        }
    }
}

/* Names of what is drawn anew on each configuration: fields, and functions without their
 * arguments, which are those of the fields. */
static bool is_measured(Elab *e, const Expr *x) {
    if (!x) return false;
    if (x->kind == EX_INDEX && x->a->kind == EX_NAME && !strcmp(x->a->name, "E") && !env_find(e->globals, x->a->name)) return false;
    if (x->kind == EX_NAME) {
        const Value *v = env_find(e->globals, x->name);
        for (int i = 0; e->sample && i < e->sample->target.n; i++)
            if (e->sample->target.names[i] == x->name) return true;
        const Decl *f = v && v->kind == VK_FUNC && v->u.func.kind == FN_DECL ? v->u.func.decl : NULL;
        return v && v->kind == VK_FUNC && (!f || f->nparams || f->has_body || is_measured(e, f->value));
    }
    bool found = is_measured(e, x->kind == EX_CALL && x->a->kind == EX_NAME ? NULL : x->a) || is_measured(e, x->b) || is_measured(e, x->c);
    for (int i = 0; i < x->n; i++) found |= is_measured(e, x->list[i]);
    for (int i = 0; i < x->nopts; i++) found |= is_measured(e, x->opts[i].value);
    for (int i = 0; i < x->nbinds; i++) found |= is_measured(e, x->binds[i].set);
    return found;
}

/* The text of an expression as the name of an array: `/` would make folders of it in HDF5. */
static const char *array_name(Elab *e, const Expr *x) {
    Text t = {0};
    for (const char *s = expr_text(e, x); *s; s++) text_putn(&t, *s == '/' ? "÷" : s, *s == '/' ? strlen("÷") : 1);
    const char *name = arena_strndup(e->arena, t.s ? t.s : "", t.n);
    text_free(&t);
    return name;
}

/* A function of means, or what is known before the run; a complex one is two arrays. */
static void save_number(Elab *e, Task *t, const Decl *d, const Expr *x, const char *name, const Value *v) {
    v = value_number(e, v, x->at, "`save`");
    if (v->kind != VK_NUM) return;
    if (v->u.num.boolean) v = value_select(e, v, value_const(e, 1, x->at), value_const(e, 0, x->at), x->at);
    v = value_close(e, v);
    bool known = !uses_mean(e, v);
    for (int part = 0; part < (v->u.num.complex ? 2 : 1); part++) {
        const char *full = v->u.num.complex ? arena_printf(e->arena, "%s.%s", name, part ? "im" : "re") : name;
        SaveItem item = {.name = full, .report = new_report(e, d, full, value_close(e, value_part(e, v, part))), .value = known};
        vec_push(&t->reports, item.report);
        vec_push(&t->saved, item);
    }
}

/* A tuple is saved component by component: q.0, q.1, … */
static void save_value(Elab *e, Task *t, const Decl *d, const Expr *x, const char *name, const Value *v) {
    if (v->kind == VK_ERROR) return;
    if (v->kind != VK_TUPLE) save_number(e, t, d, x, name, v);
    for (int i = 0; v->kind == VK_TUPLE && i < v->u.tuple.n; i++)
        save_value(e, t, d, x, arena_printf(e->arena, "%s.%d", name, i), v->u.tuple.items[i]);
}

static void save_item(Elab *e, Plan *p, Task *t, const Decl *d, const Expr *x) {
    static const char *const parts[] = {"", ".re", ".im"};
    bool found = false;
    for (int i = 0; x->kind == EX_NAME && i < LQ_COUNT(parts); i++) {
        SaveItem item = {.name = arena_printf(e->arena, "%s%s", x->name, parts[i])};
        if (!(item.report = report_named(p, item.name))) continue;
        vec_push(&t->saved, item);
        found = true;
    }
    if (found) return;
    if (!is_measured(e, x)) {
        save_value(e, t, d, x, array_name(e, x), elab_expr(e, e->globals, x));
        return;
    }
    SaveItem item = {.name = array_name(e, x), .primary = primary_of(e, x)};
    t->sample = e->sample;
    if (item.primary >= 0) vec_push(&t->saved, item);
}

/* The columns of a table have the same index sets. */
static void check_table(Elab *e, const Task *t, const Decl *d) {
    const SaveItem *first = &t->saved.data[0];
    for (int i = 1; i < t->saved.n; i++) {
        const SaveItem *item = &t->saved.data[i];
        if (first->report && item->report && value_same_shape(first->report->value, item->report->value)) continue;
        Diag *g = elab_error(e, "E0605", d->path->at, "`%s` and `%s` are no columns of one table: %s", first->name, item->name,
                             first->report && item->report ? "their index sets differ" : "a series of draws stands alone");
        diag_help(&e->front->sink, g, "save them to a file that ends in .npz or .h5");
        return;
    }
}

static void plan_save(Model *m, Plan *p, const Decl *d) {
    Elab *e = m->elab;
    Task *t = plan_new_task(p, e, TASK_SAVE, d);
    t->path = d->path && d->path->kind == EX_STR ? d->path->name : NULL;
    if (!t->path || !arrays_writable(t->path)) {
        elab_error(e, "E0605", d->path ? d->path->at : d->at, "a file to save to ends in %s", arrays_suffixes());
        return;
    }
    if (d->nlist == 1 && plan_named_variables(e, d->list[0], t)) return;
    for (int i = 0; i < d->nlist; i++) save_item(e, p, t, d, d->list[i]);
    for (int i = 1; i < t->saved.n; i++)
        for (int k = 0; k < i; k++)
            if (!strcmp(t->saved.data[i].name, t->saved.data[k].name)) {
                elab_error(e, "E0605", d->at, "`%s` is saved twice to one file", t->saved.data[i].name);
                return;
            }
    if (t->saved.n < 2) return;
    if (!strcmp(t->path + strlen(t->path) - 4, ".csv")) check_table(e, t, d);
    if (!arrays_single(t->path)) return;
    Diag *g = elab_error(e, "E0605", d->path->at, "such a file holds one array, and `%s` and `%s` are two", t->saved.data[0].name, t->saved.data[1].name);
    diag_help(&e->front->sink, g, "save them to a file that ends in .npz or .h5");
}

static void plan_print(Model *m, Plan *p, const Decl *d) {
    Elab *e = m->elab;
    Task *t = plan_new_task(p, e, TASK_PRINT, d);
    for (int i = 0; i < d->nlist; i++) {
        const Expr *x = d->list[i];
        const Value *v = x->kind == EX_STR ? NULL : elab_expr(e, e->globals, x);
        if (v && v->kind != VK_ERROR) v = value_number(e, v, x->at, "`print`");
        if (v && v->kind == VK_ERROR) continue;
        vec_push(&t->texts, x->kind == EX_STR ? x->name : expr_text(e, x));
        ReportTask *r = v ? new_report(e, d, expr_text(e, x), value_close(e, value_part(e, v, false))) : NULL;
        vec_push(&t->reports, r);
    }
}

/* ---- keep: configurations for later tasks ------------------------------------------------------------------------ */

/* keep c[n in N] = phi: as many configurations as N has elements, evenly through the run. */
static void plan_keep(Model *m, Plan *p, const Decl *d) {
    Elab *e = m->elab;
    Expr bare = {.kind = EX_NAME, .at = d->nbinds ? d->binds[0].at : d->at, .name = d->nbinds ? d->binds[0].name : NULL};
    IndexSet *N = d->nbinds == 1 ? elab_set(e, e->globals, d->binds[0].set ? d->binds[0].set : &bare) : NULL, *sets[MAX_SETS];
    if (d->nbinds != 1) elab_error(e, "E0338", d->name_at, "what is kept has one index set, whose elements are configurations: keep %s[n in N] = …", d->name);
    int primary = N ? primary_of(e, d->value) : -1;
    e->globals = env_bind(e, e->globals, d->name, value_error());
    if (primary < 0) return;
    const Primary *q = &e->sample->primaries.data[primary];
    if (set_size(N) > e->sample->chains * e->sample->draws) {
        Diag *g = elab_error(e, "E0338", d->name_at, "`%s` has %lld elements, and the sample has %lld configurations", N->name, (long long)set_size(N),
                             (long long)(e->sample->chains * e->sample->draws));
        diag_label(&e->front->sink, g, N->at, "%s", set_describe(e->arena, N));
        return;
    }
    const Value *v = measured(e, e->globals, d->value, d->value->at);
    if (v->kind == VK_ERROR || q->node_im || v->u.num.nsets + 1 > MAX_SETS || N->rank + v->u.num.nsyms > IR_MAX_RANK) {
        if (v->kind != VK_ERROR) elab_error(e, "E0338", d->value->at, "real numbers and arrays are kept, and this is %s", value_describe(e, v));
        return;
    }
    int64_t dims[IR_MAX_RANK];
    int rank = N->rank;
    for (int i = 0; i < N->rank; i++) dims[i] = N->ext[i];
    for (int i = 0; i < NODE(e->ir, q->node_re)->rank; i++) dims[rank++] = NDIM(e->ir, q->node_re, i);
    sets[0] = N;
    memcpy(sets + 1, v->u.num.sets, (size_t)v->u.num.nsets * sizeof *sets);
    Ref zeros = ir_map(e->ir, rank, dims, ir_const(e->ir, 0));
    Variable *kept = variable_new(e, d->name, FIELD_REAL, value_array(e, zeros, 0, 0, NULL, v->u.num.nsets + 1, sets, d->name_at), d->name_at);
    kept->task = p->tasks.n;
    Task *t = plan_new_task(p, e, TASK_KEEP, d);
    t->sample = e->sample, t->kept = primary;
    vec_push(&t->variables, kept);
    e->globals = env_bind(e, e->globals, d->name, kept->in);
}

/* ---- closing the plan: functions that need all primaries ----------------------------------------------------------- */

static void close_measure(Elab *e, SampleTask *t) {
    IrFunc *f = &t->measure;
    f->nin = t->state_in.n;
    f->in = copy_refs(e, t->state_in.data, t->state_in.n);
    f->out = arena_alloc(e->arena, (2 * (size_t)t->primaries.n + 1) * sizeof(Ref));
    for (int i = 0; i < t->primaries.n; i++) {
        f->out[f->nout++] = t->primaries.data[i].node_re;
        if (t->primaries.data[i].node_im) f->out[f->nout++] = t->primaries.data[i].node_im;
    }
    plan_add_variables(e, f, &t->measure_uses);
    f->whole = t->minimizes;
    plan_finish(f, arena_printf(e->arena, "measure%d", t->index), t->single, e->ir);
}

/* A sample measures while it runs: what a later task finds is not there yet. */
static void check_order(Elab *e, const SampleTask *t, int task) {
    for (int i = 0; i < t->measure_uses.n; i++) {
        const Variable *v = t->measure_uses.data[i];
        Span at = t->decl->at;
        if (v->task < task) continue;
        for (int k = 0; k < t->primaries.n; k++)
            if (ir_depends(e->ir, t->primaries.data[k].node_re, value_node(e, v->in, false))) at = t->primaries.data[k].at;
        Diag *d = elab_error(e, "E0339", at, "this is measured while the `sample` before it runs, and `%s` gets its value only afterwards", v->name);
        diag_label(&e->front->sink, d, t->decl->at, "the sample");
        diag_help(&e->front->sink, d, "sample once more behind the task that finds it");
        return;
    }
}

/* The means that a value depends on, of all samples before it. */
static void find_inputs(Elab *e, const Plan *p, ReportTask *r, Ref node) {
    for (int i = 0; i < p->tasks.n; i++) {
        SampleTask *t = p->tasks.data[i]->kind == TASK_SAMPLE ? p->tasks.data[i]->sample : NULL;
        for (int k = 0; t && k < t->primaries.n; k++)
            for (int part = 0; part < 2; part++) {
                Ref mean = part ? t->primaries.data[k].input_im : t->primaries.data[k].input_re;
                ReportInput in = {t, k, part == 1};
                if (mean && ir_depends(e->ir, node, mean)) vec_push(&r->inputs, in);
            }
    }
}

static bool close_report(Elab *e, const Plan *p, ReportTask *r) {
    Ref node = value_node(e, r->value, false);
    find_inputs(e, p, r, node);
    int n = r->inputs.n;
    Ref *inputs = arena_alloc(e->arena, (size_t)(n + 1) * sizeof *inputs), *grads = arena_alloc(e->arena, (size_t)(n + 1) * sizeof *grads);
    for (int i = 0; i < n; i++) {
        const ReportInput *in = &r->inputs.data[i];
        const Primary *q = &in->sample->primaries.data[in->primary];
        inputs[i] = in->imaginary ? q->input_im : q->input_re;
    }
    r->eval = (IrFunc){.whole = true, .in = copy_refs(e, inputs, n), .nin = n, .out = copy_refs(e, &node, 1), .nout = 1};
    plan_add_variables(e, &r->eval, &r->uses);
    plan_finish(&r->eval, "report", false, e->ir);
    if (n == 0) return true;
    int64_t dims[IR_MAX_RANK];
    int rank = NODE(e->ir, node)->rank;
    for (int i = 0; i < rank; i++) dims[i] = NDIM(e->ir, node, i);
    Ref seed = ir_input(e->ir, "seed", rank, dims, true, false);
    DiffError err = {0};
    if (!ir_grad(e->ir, node, seed, n, inputs, grads, &err)) {
        elab_error(e, "E0502", r->decl->at, "the error of this report needs its derivative: %s", err.why ? err.why : "no rule");
        return false;
    }
    inputs[n] = seed;
    r->vjp = (IrFunc){.whole = true, .in = copy_refs(e, inputs, n + 1), .nin = n + 1, .out = copy_refs(e, grads, n), .nout = n};
    plan_add_variables(e, &r->vjp, &r->vjp_uses);
    plan_finish(&r->vjp, "report.gradient", false, e->ir);
    r->has_vjp = true;
    return true;
}

/* Actions and observables whose parameters are fields are elaborated even when no
 * task uses them, so that their mistakes are found. */
static void check_unused(Model *m) {
    Elab *e = m->elab;
    for (int i = 0; i < m->decls.n; i++) {
        const Decl *d = m->decls.data[i];
        const Value *args[16];
        Span at[16];
        if ((d->kind != DC_ACTION && d->kind != DC_OBSERVABLE) || d->nparams < 1 || d->nparams > 16) continue;
        bool fields = true;
        for (int k = 0; k < d->nparams; k++) {
            const FieldInfo *f = model_field(m, d->params[k].name);
            at[k] = d->params[k].at;
            if (!f) { fields = false; break; }
            args[k] = elab_input_like(e, f->name, plan_field_shape(e, f, 0), f->at);
            ((Value *)args[k])->name = f->name;
        }
        for (int k = 0; k < d->nopts && fields; k++) fields = d->opts[k].value != NULL;
        const Value *f = env_find(e->globals, d->name);
        Span nowhere = {.file = d->file};           /* no use to point at */
        if (fields && f && f->kind == VK_FUNC) elab_call(e, f, d->nparams, args, at, 0, NULL, NULL, nowhere);
    }
}

/* How each variable starts. */
static void close_variables(Elab *e) {
    for (int i = 0; i < e->variables.n; i++) {
        Variable *v = e->variables.data[i];
        Ref node = value_node(e, v->init, false);
        v->start = (IrFunc){.out = copy_refs(e, &node, 1), .nout = 1};
        plan_finish(&v->start, "start", false, e->ir);
    }
}

Plan *plan_tasks(Model *m, bool claims) {
    Elab *e = m->elab;
    Plan *p = arena_alloc(e->arena, sizeof *p);
    p->model = m, p->claims = claims;
    check_unused(m);
    for (int i = 0; i < m->tasks.n; i++) {
        const Decl *d = m->tasks.data[i];
        if (d->scan) continue;                   /* planned with its scan */
        switch (d->kind) {
        case DC_SCAN: plan_scan(m, p, d); break;
        case DC_SAMPLE: if (!plan_sample(m, p, d)) return p; break;
        case DC_MINIMIZE: if (!plan_minimize(m, p, d)) return p; break;
        case DC_KEEP: plan_keep(m, p, d); break;
        case DC_LOAD: plan_load(m, p, d); break;
        case DC_REPORT: plan_report(m, p, d); break;
        case DC_PLOT: plan_plot(m, p, d); break;
        case DC_SAVE: plan_save(m, p, d); break;
        case DC_PRINT: plan_print(m, p, d); break;
        default: break;
        }
    }
    if (m->front->sink.nerrors) return p;
    close_variables(e);
    for (int i = 0; i < p->tasks.n; i++) {
        Task *t = p->tasks.data[i];
        if (t->kind == TASK_SAMPLE) close_measure(e, t->sample);
        if (t->kind == TASK_SAMPLE && !t->sample->minimizes) check_order(e, t->sample, i);
        if (t->kind == TASK_REPORT && !close_report(e, p, t->report)) return p;
        for (int k = 0; k < t->reports.n; k++)
            if (t->reports.data[k] && !close_report(e, p, t->reports.data[k])) return p;
    }
    return p;
}
