/* minimize.c — `minimize`: an objective, what it is minimised over, and an optimizer, as
 * functions of the IR.  One iteration is a step like that of a sampler, whose state are the
 * variables and what the optimizer keeps; its first monitor is the objective. */
#include "plan.h"

#include <string.h>

/* ---- what is minimised over --------------------------------------------------------------- */

typedef struct Targets { Variable *v[MAX_ITEMS]; int n; } Targets;

static bool add_target(Elab *e, Targets *t, Variable *v, Span at) {
    for (int i = 0; i < t->n; i++)
        if (t->v[i] == v) return true;
    if (t->n == MAX_ITEMS) {
        elab_error(e, "E0334", at, "more than %d arrays to minimise over", MAX_ITEMS);
        return false;
    }
    t->v[t->n++] = v;
    return true;
}

/* net.weights, or some of them: net.weights[2..5]. */
static bool add_weights(Elab *e, Targets *t, const Over *o) {
    const Expr *x = o->of;
    bool some = x->kind == EX_INDEX;
    const Expr *member = some ? x->a : x;
    const Value *f = member->kind == EX_MEMBER && !strcmp(member->name, "weights") ? elab_expr(e, e->globals, member->a) : NULL;
    if (f && f->kind == VK_ERROR) return false;
    if (!f || f->kind != VK_FUNC || f->u.func.kind != FN_NETWORK) {
        Diag *d = elab_error(e, "E0334", o->at, "only the weights of a network and fields can be minimised over");
        if (f) diag_here(&e->front->sink, d, "%s", value_describe(e, f));
        return false;
    }
    Network *net = f->u.func.network;
    int64_t lo = 0, hi = net->weights.n - 1;
    if (!net->ready) {
        elab_error(e, "E0334", o->at, "the objective does not depend on the network `%s`", net->name);
        return false;
    }
    if (some) {
        const Expr *range = x->nbinds == 1 ? x->binds[0].set : NULL;
        bool ranged = range && range->kind == EX_RANGE && range->a && range->b;
        if (!range || !elab_int(e, e->globals, ranged ? range->a : range, "the number of a weight", 0, hi, &lo)) return false;
        if (!ranged) hi = lo;
        else if (!elab_int(e, e->globals, range->b, "the number of a weight", lo, hi, &hi)) return false;
    }
    for (int64_t i = lo; i <= hi; i++)
        if (!add_target(e, t, net->weights.data[i], o->at)) return false;
    return true;
}

static bool field_kind(Elab *e, const Expr *type, FieldKind *kind) {
    static const struct { const char *name; FieldKind kind; } kinds[] = {{"real", FIELD_REAL}, {"positive", FIELD_POSITIVE}, {"angle", FIELD_ANGLE}};
    for (int i = 0; i < LQ_COUNT(kinds); i++)
        if (type->kind == EX_NAME && !strcmp(type->name, kinds[i].name)) { *kind = kinds[i].kind; return true; }
    elab_error(e, "E0334", type->at, "what is minimised over is real, positive or an angle");
    return false;
}

/* r[W] : positive — a variable that begins here, at 0, or at 1 when it is positive. */
static Variable *new_variable(Elab *e, const Over *o) {
    IndexSet *sets[MAX_SETS];
    int64_t dims[IR_MAX_RANK];
    int rank = 0;
    FieldKind kind;
    if (!field_kind(e, o->type, &kind)) return NULL;
    for (int i = 0; i < o->nbinds; i++) {
        Expr name = {.kind = EX_NAME, .at = o->binds[i].at, .name = o->binds[i].name};
        if (i == MAX_SETS || !(sets[i] = elab_set(e, e->globals, o->binds[i].set ? o->binds[i].set : &name))) return NULL;
        for (int k = 0; k < sets[i]->rank && rank < IR_MAX_RANK; k++) dims[rank++] = sets[i]->ext[k];
    }
    Ref node = ir_map(e->ir, rank, dims, ir_const(e->ir, kind == FIELD_POSITIVE ? 1 : 0));
    const Value *init = value_array(e, node, 0, 0, NULL, o->nbinds, sets, o->at);
    Variable *v = variable_new(e, o->name, kind, init, o->at);
    e->globals = env_bind(e, e->globals, o->name, v->in);
    return v;
}

static Variable *known_variable(Elab *e, const Over *o) {
    const Value *v = env_find(e->globals, o->name);
    for (int i = 0; i < e->variables.n; i++)
        if (v && e->variables.data[i]->in == v) return e->variables.data[i];
    Diag *d = elab_error(e, "E0334", o->at, "`%s` is not something that can be minimised over", o->name);
    if (v) diag_label(&e->front->sink, d, v->origin, "declared here");
    diag_help(&e->front->sink, d, "say what it is: `over %s[X] : real`", o->name);
    return NULL;
}

/* ---- settings --------------------------------------------------------------------------------- */

typedef struct Settings { Env *env; const Expr *until; } Settings;

/* `steps`, `precision` and `until` belong to the language; other names are the objective's. */
static bool read_settings(Model *m, SampleTask *t, Settings *s) {
    Elab *e = m->elab;
    bool ok = true;
    Override *o = env_find(e->globals, intern("steps")) ? NULL : plan_override(m, "steps");
    const Expr *steps = NULL;
    for (int i = 0; i < t->decl->nsettings; i++)
        if (!strcmp(t->decl->settings[i].name, "steps")) steps = t->decl->settings[i].value;
    if (o) o->used = true, steps = plan_override_expr(m, o);
    t->draws = 1000;
    if (steps) ok &= elab_int(e, e->globals, steps, "steps", 1, 1000000000, &t->draws);
    const Value *last = value_const(e, t->draws > 1 ? (double)(t->draws - 1) : 1, t->decl->at);
    t->clock_in = ir_input(e->ir, "iteration", 0, NULL, true, false);
    e->step = value_real(e, ir_read(e->ir, t->clock_in, NULL), t->decl->at);
    e->progress = value_binary(e, OP_DIV, e->step, last, t->decl->at, t->decl->at);
    for (int i = 0; i < t->decl->nsettings; i++) {
        const Option *x = &t->decl->settings[i];
        if (!strcmp(x->name, "steps")) continue;
        if (!strcmp(x->name, "until")) s->until = x->value;
        else if (!strcmp(x->name, "precision")) ok &= plan_precision(e, x->value, t);
        else {
            Override *set = env_find(e->globals, x->name) ? NULL : plan_override(m, x->name);
            const Expr *value = set ? plan_override_expr(m, set) : x->value;
            const Value *v = value ? elab_expr(e, s->env, value) : value_error();
            if (set) set->used = true;
            if (v->kind == VK_ERROR) ok = false;
            s->env = env_bind(e, s->env, x->name, v->kind == VK_NUM ? value_close(e, v) : v);
        }
    }
    return ok;
}

/* ---- the objective ------------------------------------------------------------------------------- */

/* Elaborated once where all variables have their own values: then all networks are known. */
static bool find_shapes(Elab *e, const Decl *d, Env *env) {
    for (int round = 0; round < 2; round++) {
        e->waits = false, e->may_wait = round == 0;
        bool good = elab_expr(e, env, d->value)->kind != VK_ERROR;
        e->may_wait = false;
        if (!good) return false;
        if (!e->waits) return true;
    }
    return true;
}

static bool find_targets(Model *m, SampleTask *t, Targets *all) {
    Elab *e = m->elab;
    for (int i = 0; i < t->decl->nover; i++) {
        const Over *o = &t->decl->over[i];
        if (o->of) {
            if (!add_weights(e, all, o)) return false;
            continue;
        }
        Variable *v = o->name ? known_variable(e, o) : NULL;
        if (!v || !add_target(e, all, v, o->at)) return false;
    }
    return all->n > 0;
}

static FieldInfo *as_field_info(Elab *e, const Variable *v) {
    FieldInfo *f = arena_alloc(e->arena, sizeof *f);
    *f = (FieldInfo){.name = v->name, .at = v->at, .kind = v->kind, .nsets = v->in->u.num.nsets};
    memcpy(f->sets, v->in->u.num.sets, (size_t)f->nsets * sizeof *f->sets);
    return f;
}

static void set_target(Elab *e, SampleTask *t, const Targets *all, Env *env) {
    Target *g = &t->target;
    g->n = all->n, g->density = t->decl->value, g->env = env;
    g->names = arena_alloc(e->arena, (size_t)all->n * sizeof *g->names);
    g->fields = arena_alloc(e->arena, (size_t)all->n * sizeof *g->fields);
    g->variables = arena_alloc(e->arena, (size_t)all->n * sizeof *g->variables);
    for (int i = 0; i < all->n; i++)
        g->names[i] = all->v[i]->name, g->fields[i] = as_field_info(e, all->v[i]), g->variables[i] = all->v[i];
    t->minimized = g->variables;
    g->draws = arena_alloc(e->arena, sizeof *g->draws);
    *g->draws = -1;
}

/* ---- the task --------------------------------------------------------------------------------------- */

static const Value *objective_at(Elab *e, const SampleTask *t, const Value *q) {
    Value *f = value_new(e, VK_FUNC, t->decl->value->at);
    Span at = t->decl->value->at;
    f->u.func.kind = FN_TARGET, f->u.func.target = &t->target;
    return elab_call(e, f, 1, &q, &at, 0, NULL, NULL, at);
}

/* The same with sums of products as contractions, as steps have them: the interpreter is quick then. */
static const Value *contracted(Elab *e, const Value *v) {
    if (v->kind == VK_TUPLE) {
        const Value *items[MAX_ITEMS];
        for (int i = 0; i < v->u.tuple.n; i++) items[i] = contracted(e, v->u.tuple.items[i]);
        return value_tuple(e, v->u.tuple.n, items, v->origin);
    }
    if (v->kind != VK_NUM || v->u.num.complex) return v;
    Ref node = value_node(e, v, false);
    ir_match_contractions(e->ir, 1, &node);
    return value_array(e, node, 0, 0, NULL, v->u.num.nsets, v->u.num.sets, v->origin);
}

const Value *minimize_gradient(Elab *e, const SampleTask *t, const Value *q, const Value **objective) {
    Span at = t->decl->value->at;
    e->step = value_real(e, ir_read(e->ir, t->clock_in, NULL), at);
    e->progress = value_const(e, 0, at);
    *objective = objective_at(e, t, q);
    Value *f = value_new(e, VK_FUNC, at);
    f->u.func.kind = FN_TARGET, f->u.func.target = &t->target;
    Env *env = env_bind(e, env_bind(e, e->globals, intern("objective"), f), intern("q"), q);
    Expr name = {.kind = EX_NAME, .at = at, .name = intern("objective")}, point = {.kind = EX_NAME, .at = at, .name = intern("q")};
    Expr *list[2] = {&name, &point}, grad = {.kind = EX_NAME, .at = at, .name = intern("grad")};
    Expr call = {.kind = EX_CALL, .at = at, .a = &grad, .list = list, .n = 2};
    const Value *g = (*objective)->kind == VK_ERROR ? *objective : elab_grad(e, env, &call);
    e->step = e->progress = NULL;
    *objective = contracted(e, *objective);
    return contracted(e, g);
}

static bool monitor(SampleTask *t, const char *name, const Value *v) {
    Monitor m = {name, v, false};
    if (v->kind == VK_ERROR) return false;
    vec_push(&t->frame.monitors, m);
    return true;
}

/* `until`: one more condition for the last iteration, with the variables as they stand. */
static bool add_until(Elab *e, SampleTask *t, const Settings *s, const Value *q, const Value *objective) {
    if (!s->until) return true;
    for (int i = 0; i < t->target.n; i++) t->minimized[i]->now = plan_as_field(e, t->target.fields[i], value_item(q, i));
    Env *env = env_bind(e, s->env, intern("objective"), objective);
    for (int i = 0; i < t->target.n; i++) env = env_bind(e, env, t->target.names[i], t->minimized[i]->now);
    const Value *c = elab_expr(e, env, s->until);
    for (int i = 0; i < t->target.n; i++) t->minimized[i]->now = NULL;
    if (c->kind == VK_ERROR) return false;
    if (c->kind != VK_NUM || !c->u.num.boolean || c->u.num.nsets) {
        elab_error(e, "E0205", s->until->at, "`until` needs a condition, and this is %s", value_describe(e, c));
        return false;
    }
    Span at = s->until->at;
    return monitor(t, intern("stop.now"), value_select(e, c, value_const(e, 1, at), value_const(e, 0, at), at));
}

/* The variables as coordinates that are free to move, read where the run keeps them. */
static void add_start(Elab *e, SampleTask *t) {
    for (int i = 0; i < t->target.n; i++) {
        const Value *v = t->minimized[i]->in;
        if (t->minimized[i]->kind == FIELD_POSITIVE) v = value_close(e, value_map1(e, SC_LOG, v, t->minimized[i]->at));
        vec_push(&t->start, value_node(e, v, false));
    }
    plan_start_states(e, t);
    t->init = (IrFunc){.out = t->start.data, .nout = t->start.n};
    plan_add_variables(e, &t->init, &t->init_uses);
    plan_finish(&t->init, arena_printf(e->arena, "start%d", t->index), t->single, e->ir);
}

/* What the run keeps of the state at the end: the variables as the user sees them. */
static void add_results(Elab *e, SampleTask *t, const Value *q) {
    for (int i = 0; i < t->target.n; i++) {
        Primary p = {.node_re = value_node(e, plan_as_field(e, t->target.fields[i], value_item(q, i)), false), .at = t->decl->at};
        vec_push(&t->primaries, p);
    }
}

static bool plan_optimizer(Model *m, SampleTask *t, const Settings *s) {
    Elab *e = m->elab;
    const Value *q[MAX_ITEMS];
    for (int i = 0; i < t->target.n; i++) {
        Value *u = (Value *)elab_input_like(e, t->target.names[i], plan_field_shape(e, t->target.fields[i], 0), t->target.fields[i]->at);
        u->name = t->target.names[i];
        q[i] = u;
        plan_push_parts(e, u, t, PART_OF_IN);
    }
    t->nfield_parts = t->state_in.n;
    const Decl *method = plan_find_method(m, t->decl->method, DC_OPTIMIZER);
    if (!method) return false;
    if (method->nparams < 2) {
        elab_error(e, "E0315", method->name_at, "an optimizer has two parameters at least: the objective and what it is minimised over");
        return false;
    }
    t->sampler = t->method = method->name;
    const Value *state = value_tuple(e, t->target.n, q, t->decl->at);
    t->frame = (SamplerFrame){.q = state, .q_name = method->params[1].name};
    const Value *objective = objective_at(e, t, state);
    if (!monitor(t, "objective", objective)) return false;
    Env *env = plan_bind_method(m, t, method, state);
    if (!env) return false;
    e->frame = &t->frame;
    e->call_at[e->ncalls++] = t->decl->method->at;
    elab_sampler_body(e, env, &method->body);
    e->ncalls--;
    e->frame = NULL;
    if (t->frame.q->kind == VK_ERROR || !add_until(e, t, s, state, objective)) return false;
    for (int i = 0; i < t->frame.states.n; i++) plan_push_parts(e, t->frame.states.data[i].in, t, PART_OF_IN);
    add_start(e, t);
    plan_step(e, t);
    add_results(e, t, state);
    return true;
}

SampleTask *plan_minimize(Model *m, Plan *p, const Decl *d) {
    Elab *e = m->elab;
    if (p->nsamples == MAX_SAMPLES) {
        elab_error(e, "E0302", d->at, "more than %d tasks in a program", MAX_SAMPLES);
        return NULL;
    }
    SampleTask *t = arena_alloc(e->arena, sizeof *t);
    t->decl = d, t->index = p->nsamples++, t->minimizes = true, t->chains = 1, t->thin = 1;
    bool ok = true;
    for (int i = 0; i < d->nover && ok; i++)
        if (d->over[i].name && d->over[i].type) ok = new_variable(e, &d->over[i]) != NULL;
    Settings s = {.env = e->globals};
    Targets all = {.n = 0};
    ok = ok && read_settings(m, t, &s) && find_shapes(e, d, s.env) && find_targets(m, t, &all);
    if (ok) set_target(e, t, &all, s.env);
    ok = ok && plan_optimizer(m, t, &s);
    e->step = e->progress = NULL;
    e->frame = NULL;
    if (!ok) e->sample = NULL, e->no_sample = true;      /* what refers to it is not reported again */
    if (ok) {
        t->found = arena_alloc(e->arena, (size_t)t->target.n * sizeof *t->found);
        for (int i = 0; i < t->target.n; i++) t->found[i] = variable_next(e, t->minimized[i], p->tasks.n);
        plan_new_task(p, e, TASK_SAMPLE, d)->sample = t;
    }
    return t;
}

/* ---- load, save -------------------------------------------------------------------------------- */

/* What a task names: the weights of a network, or a variable, as they are here.  The weights of a network
 * that is applied further down only are listed when the plan is complete. */
bool plan_named_variables(Elab *e, const Expr *x, Task *t) {
    if (x->kind == EX_MEMBER && !strcmp(x->name, "weights")) {
        const Value *f = elab_expr(e, e->globals, x->a);
        if (f->kind != VK_FUNC || f->u.func.kind != FN_NETWORK) return false;
        t->network = f->u.func.network;
        for (int i = 0; i < t->network->weights.n; i++) vec_push(&t->variables, t->network->weights.data[i]);
        return true;
    }
    const Value *v = x->kind == EX_NAME ? env_find(e->globals, x->name) : NULL;
    for (int i = 0; v && i < e->variables.n; i++)
        if (e->variables.data[i]->in == v) return vec_push(&t->variables, e->variables.data[i]), true;
    return false;
}

void plan_load(Model *m, Plan *p, const Decl *d) {
    Elab *e = m->elab;
    Task *t = plan_new_task(p, e, TASK_LOAD, d);
    t->path = d->path && d->path->kind == EX_STR ? d->path->name : NULL;
    if (!t->path) elab_error(e, "E0602", d->path ? d->path->at : d->at, "after `from` stands the name of a file in quotes");
    if (plan_named_variables(e, d->value, t)) {
        for (int i = 0; i < t->variables.n; i++) t->variables.data[i] = variable_next(e, t->variables.data[i], p->tasks.n - 1);
        return;
    }
    Diag *g = elab_error(e, "E0334", d->value->at, "what is loaded here are the weights of a network, or what was minimised over");
    diag_help(&e->front->sink, g, "data are loaded where they are declared: data D[P] = load(\"file\")");
}
