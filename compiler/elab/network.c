/* network.c — layers, networks and their weights.
 *
 * A layer is a function with settings; with these bound it waits for what it is applied to.  Its
 * weights belong to the network that applies it.  They are made when a network is applied for the
 * first time, which is when shapes are known, and are met in the same order in every later
 * application: the k-th `weight` of one is the k-th of all. */
#include "elab.h"

#include <string.h>

static Value *function_value(Elab *e, FuncKind kind, const char *name, Span at) {
    Value *v = value_new(e, VK_FUNC, at);
    v->u.func.kind = kind;
    v->name = name;
    return v;
}

/* ---- variables -------------------------------------------------------------------------- */

Variable *variable_new(Elab *e, const char *name, FieldKind kind, const Value *init, Span at) {
    Variable *v = arena_alloc(e->arena, sizeof *v);
    int64_t dims[IR_MAX_RANK];
    Ref node = value_node(e, init, false);
    int rank = NODE(e->ir, node)->rank;
    for (int i = 0; i < rank; i++) dims[i] = NDIM(e->ir, node, i);
    Ref in = ir_input(e->ir, name, rank, dims, true, false);
    Value *value = (Value *)value_array(e, in, 0, 0, NULL, init->u.num.nsets, init->u.num.sets, at);
    value->name = name;
    *v = (Variable){.name = name, .at = at, .kind = kind, .in = value, .init = init, .n = ir_elements(e->ir, node), .task = -1};
    vec_push(&e->variables, v);
    return v;
}

Variable *variable_next(Elab *e, Variable *v, int task) {
    Variable *next = variable_new(e, v->name, v->kind, v->init, v->at);
    next->before = v, next->task = task;
    for (int i = 0; i < e->networks.n; i++)
        for (int k = 0; k < e->networks.data[i]->weights.n; k++)
            if (e->networks.data[i]->weights.data[k] == v) e->networks.data[i]->weights.data[k] = next;
    if (env_find(e->globals, v->name) == v->in) e->globals = env_bind(e, e->globals, v->name, next->in);
    return next;
}

const Value *variable_value(const Variable *v) {
    for (const Variable *w = v; w; w = w->before)        /* `lqft check` asks when later tasks have been planned */
        if (w->now) return w->now;
    return v->in;
}

/* ---- layers ------------------------------------------------------------------------------- */

const Value *layer_with(Elab *e, const Value *f, Env *env, Span at) {
    Value *v = function_value(e, FN_LAYER, f->u.func.decl->name, at);
    v->u.func.decl = f->u.func.decl;
    v->u.func.env = env;
    return v;
}

/* Fewer index sets than the layer names: the missing first ones have one element. */
static const Value *with_unit_sets(Elab *e, const Value *x, int missing, Span at) {
    Value *v = value_new(e, VK_NUM, at);
    *v = *x;
    IndexSet *one = set_range(e, 0, 0, at);
    if (v->u.num.nsets + missing > MAX_SETS || v->u.num.nsyms + missing > IR_MAX_RANK)
        return ELAB_FAIL(e, "E0219", at, "more than %d index components at once", IR_MAX_RANK);
    memmove(v->u.num.sets + missing, v->u.num.sets, (size_t)v->u.num.nsets * sizeof *v->u.num.sets);
    memmove(v->u.num.syms + missing, v->u.num.syms, (size_t)v->u.num.nsyms * sizeof *v->u.num.syms);
    for (int i = 0; i < missing; i++) {
        const Value *index = elab_enter(e, one, at);
        v->u.num.sets[i] = one, v->u.num.syms[i] = aff_get(e->ir, index->u.index.c[0])->t[0].sym;
        elab_leave(e, one);
    }
    v->u.num.nsets += missing, v->u.num.nsyms += missing;
    return value_close(e, v);
}

/* Binds an input, and the names that its index sets have in the layer. */
static Env *bind_input(Elab *e, Env *env, const Decl *d, const Param *p, const Value *x, Span at) {
    const Expr *sets = p->value;
    int n = !sets ? 0 : sets->kind == EX_TUPLE ? sets->n : 1;
    if (x->kind == VK_INDEX) x = value_number(e, x, at, d->name);
    if (x->kind == VK_ERROR) return NULL;
    if (x->kind == VK_NUM) x = value_close(e, x);
    if (n == 0) return env_bind(e, env, p->name, x);
    if (x->kind != VK_NUM || x->u.num.nsets > n) {
        Diag *g = elab_error(e, "E0330", at, "`%s` takes an array over %d index set%s, and this is %s", d->name, n, n == 1 ? "" : "s", value_describe(e, x));
        diag_label(&e->front->sink, g, p->at, "declared here");
        for (int i = 0; x->kind == VK_NUM && i < x->u.num.nsets && i < 3; i++)
            diag_label(&e->front->sink, g, x->u.num.sets[i]->at, "%s", set_describe(e->arena, x->u.num.sets[i]));
        return NULL;
    }
    if (x->u.num.nsets < n) x = with_unit_sets(e, x, n - x->u.num.nsets, at);
    if (x->kind == VK_ERROR) return NULL;
    for (int i = 0; i < n; i++) {
        const Expr *name = sets->kind == EX_TUPLE ? sets->list[i] : sets;
        Value *s = value_new(e, VK_SET, name->at);
        s->u.set = x->u.num.sets[i];
        s->name = s->u.set->name;
        env = env_bind(e, env, name->name, s);
    }
    return env_bind(e, env, p->name, x);
}

static const Value *apply_layer(Elab *e, const Value *f, int n, const Value *const *args, const Span *arg_at, Span at) {
    const Decl *d = f->u.func.decl;
    if (n != d->ninputs) {
        Diag *g = elab_error(e, "E0217", at, "the layer `%s` is applied to %d value%s, here %s %d", d->name, d->ninputs, d->ninputs == 1 ? "" : "s", n == 1 ? "is" : "are", n);
        diag_label(&e->front->sink, g, d->name_at, "defined here");
        return value_error();
    }
    Env *env = f->u.func.env;
    for (int i = 0; i < n && env; i++) env = bind_input(e, env, d, &d->inputs[i], args[i], arg_at[i]);
    if (!env) return value_error();
    NetFrame *net = e->net, inner = {0};
    if (net) {
        inner = *net;
        inner.path = arena_printf(e->arena, "%s.%d", net->path, ++net->layers);
        inner.layers = 0;
        e->net = &inner;
    }
    e->call_at[e->ncalls++] = f->origin;               /* pool(2), where it was written */
    e->depth++;
    const Value *v = d->has_body ? elab_block(e, env, &d->body) : elab_expr(e, env, d->value);
    e->depth--;
    e->ncalls--;
    if (net) net->next = inner.next;
    e->net = net;
    return v;
}

/* ---- weights --------------------------------------------------------------------------------- */

static const Value *weight_changed(Elab *e, const NetFrame *f, const Variable *w, const char *name, const Value *init, Span at) {
    Diag *d;
    if (f->net->changed) return value_error();
    f->net->changed = true;
    if (w) d = elab_error(e, "E0331", at, "the network `%s` is applied to arrays of different shapes: its weight `%s` is %s here, and was %s",
                          f->net->name, name, value_describe(e, init), value_describe(e, w->in));
    else d = elab_error(e, "E0331", at, "the network `%s` has more weights here than where it was applied first", f->net->name);
    diag_label(&e->front->sink, d, f->at, "applied here");
    if (f->net->first.lo != f->at.lo) diag_label(&e->front->sink, d, f->net->first, "applied first here");
    diag_help(&e->front->sink, d, "a network has one set of weights; declare another one for arrays of another shape");
    return value_error();
}

const Value *elab_weight(Elab *e, const char *name, const Value *init, Span at) {
    NetFrame *f = e->net;
    if (init->kind == VK_ERROR) return init;
    if (!f) {
        Diag *d = elab_error(e, "E0332", at, "`weight` belongs to a network, and here a layer is applied outside one");
        diag_help(&e->front->sink, d, "give the composition a name first: network net = …");
        return value_error();
    }
    Sym outer[IR_MAX_RANK];
    if (init->kind != VK_NUM || init->u.num.complex || init->u.num.boolean)
        return ELAB_FAIL(e, "E0332", at, "a weight is a real number or an array of them, and this is %s", value_describe(e, init));
    if (value_outer_syms(e, init, outer)) {
        Diag *d = elab_error(e, "E0332", at, "the start of the weight `%s` depends on what the layer is applied to", name);
        diag_help(&e->front->sink, d, "it may use shapes: `zeros(x)` is an array like x");
        return value_error();
    }
    int k = f->next++;
    if (k == f->net->weights.n && !f->net->ready) {
        const char *full = arena_printf(e->arena, "%s%s.%s", f->net->name, f->path, name);
        vec_push(&f->net->weights, variable_new(e, full, FIELD_REAL, init, at));
    }
    Variable *w = k < f->net->weights.n ? f->net->weights.data[k] : NULL;
    if (!w || !value_same_shape(w->in, init)) return weight_changed(e, f, w, name, init, at);
    return variable_value(w);
}

/* ---- networks ---------------------------------------------------------------------------------- */

void elab_network(Elab *e, const Decl *d) {
    const Value *f = elab_expr(e, e->globals, d->value);
    if (f->kind == VK_FUNC && f->u.func.kind == FN_DECL && f->u.func.decl->kind == DC_LAYER && f->u.func.decl->nparams == 0)
        f = elab_call(e, f, 0, NULL, NULL, 0, NULL, NULL, d->value->at);
    if (f->kind != VK_FUNC && f->kind != VK_ERROR) {
        Diag *g = elab_error(e, "E0333", d->value->at, "a network is made of layers and functions, and this is %s", value_describe(e, f));
        diag_help(&e->front->sink, g, "for example `network net = dense(64, tanh) >> dense(1)`");
        f = value_error();
    }
    Value *v = f->kind == VK_ERROR ? (Value *)f : function_value(e, FN_NETWORK, d->name, d->name_at);
    if (v->kind == VK_FUNC) {
        v->u.func.network = arena_alloc(e->arena, sizeof *v->u.func.network);
        *v->u.func.network = (Network){.name = d->name, .at = d->name_at, .f = f};
        vec_push(&e->networks, v->u.func.network);
    }
    if (v->kind == VK_FUNC) param_uses(e, v);
    e->globals = env_bind(e, e->globals, d->name, v);
}

/* One element made by the layers themselves is a number. */
static const Value *single_number(Elab *e, const Value *v, Span at) {
    if (v->kind != VK_NUM || v->u.num.nsets != 1 || v->u.num.sets[0]->kind != SET_RANGE || set_size(v->u.num.sets[0]) != 1) return v;
    Value *first = value_new(e, VK_INDEX, at);
    first->u.index.set = v->u.num.sets[0];
    first->u.index.c[0] = aff_const(e->ir, 0);
    return value_at(e, v, (const Value *[]){first, NULL}, at);
}

static const Value *apply_network(Elab *e, const Value *f, int n, const Value *const *args, const Span *arg_at, Span at) {
    Network *net = f->u.func.network;
    NetFrame frame = {.net = net, .path = "", .at = at}, *outer = e->net;
    e->net = &frame;
    net->changed = false;
    e->call_at[e->ncalls++] = at;
    const Value *v = elab_call(e, net->f, n, args, arg_at, 0, NULL, NULL, at);
    e->ncalls--;
    e->net = outer;
    if (v->kind == VK_ERROR) return v;
    if (net->ready && frame.next != net->weights.n) return weight_changed(e, &frame, NULL, "", v, at);
    if (!net->ready) net->first = at;
    net->ready = true;
    return single_number(e, v, at);
}

const Value *network_weights(Elab *e, const Value *f, Span at) {
    Network *net = f->u.func.network;
    const Value *items[MAX_ITEMS];
    if (!net->ready && !e->may_wait) {
        Diag *d = elab_error(e, "E0337", at, "the weights of the network `%s` are known when it has been applied to something", net->name);
        diag_label(&e->front->sink, d, net->at, "declared here");
        diag_help(&e->front->sink, d, "what it is applied to decides their shapes: apply it in the objective, or in a `report` above");
        return value_error();
    }
    if (!net->ready) e->waits = true;                 /* asked again when all has been applied once */
    if (net->weights.n > MAX_ITEMS) return ELAB_FAIL(e, "E0209", at, "a network of more than %d arrays of weights", MAX_ITEMS);
    if (net->weights.n == 0) return value_const(e, 0, at);
    for (int i = 0; i < net->weights.n; i++) items[i] = variable_value(net->weights.data[i]);
    return value_tuple(e, net->weights.n, items, at);
}

/* ---- compositions --------------------------------------------------------------------------------- */

/* A layer without settings may be named alone. */
static const Value *composable(Elab *e, const Value *f, Span at) {
    if (f->kind == VK_ERROR) return f;
    if (f->kind != VK_FUNC) return ELAB_FAIL(e, "E0333", at, "`>>` joins layers and functions, and this is %s", value_describe(e, f));
    bool bare = f->u.func.kind == FN_DECL && f->u.func.decl->kind == DC_LAYER;
    return bare ? elab_call(e, f, 0, NULL, NULL, 0, NULL, NULL, at) : f;
}

const Value *function_compose(Elab *e, const Value *first, const Value *second, Span at) {
    first = composable(e, first, at), second = composable(e, second, at);
    if (first->kind == VK_ERROR || second->kind == VK_ERROR) return value_error();
    Value *v = function_value(e, FN_COMPOSE, NULL, at);
    v->u.func.first = first, v->u.func.second = second;
    return v;
}

enum { MOST_TIMES = 1000 };

const Value *function_power(Elab *e, const Value *f, const Value *times, Span at) {
    double n;
    if (times->kind == VK_ERROR) return times;
    if (!value_is_const(e, times, &n) || n != (int)n || n < 1 || n > MOST_TIMES)
        return ELAB_FAIL(e, "E0333", at, "a function is repeated a whole number of times, 1 to %d", MOST_TIMES);
    const Value *v = composable(e, f, at);
    for (int i = 1; i < (int)n && v->kind != VK_ERROR; i++) v = function_compose(e, v, f, at);
    return v;
}

const Value *layer_apply(Elab *e, const Value *f, int n, const Value *const *args, const Span *arg_at, Span at) {
    if (f->u.func.kind == FN_LAYER) return apply_layer(e, f, n, args, arg_at, at);
    if (f->u.func.kind == FN_NETWORK) return apply_network(e, f, n, args, arg_at, at);
    const Value *v = elab_call(e, f->u.func.first, n, args, arg_at, 0, NULL, NULL, at);
    return v->kind == VK_ERROR ? v : elab_call(e, f->u.func.second, 1, &v, &at, 0, NULL, NULL, at);
}
