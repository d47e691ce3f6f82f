/* elab_expr.c — expressions: names, calls, members, indexing, binders, conditionals
 * (language reference §4).  Every function returns the error value after it, or
 * something below it, has reported a mistake. */
#include "elab.h"

#include <math.h>
#include <string.h>

#define MAX_ARGS 16
#define MAX_CALL_DEPTH 64
#define MAX_NESTING 20000

/* ---- errors ---------------------------------------------------------------------------- */

static uint64_t place_of(Span at) { return (uint64_t)at.file << 48 ^ (uint64_t)at.lo << 20 ^ (uint64_t)(at.hi - at.lo); }

void elab_mark(Elab *e, Span at) { vec_push(&e->reported, place_of(at)); }

Diag *elab_error(Elab *e, const char *code, Span at, const char *fmt, ...) {
    static Diag scratch;
    for (int i = 0; i < e->reported.n; i++)
        if (e->reported.data[i] == place_of(at)) {
            scratch = (Diag){0};
            scratch.nlabels = LQ_COUNT(scratch.labels);      /* full: labels for it are dropped */
            return &scratch;
        }
    if (e->reported.n < 10000) elab_mark(e, at);
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(e->arena, fmt, ap);
    va_end(ap);
    Diag *d = diag_error(&e->front->sink, code, at, "%s", text);
    if (e->ncalls > 0) {                                     /* where the specialisation was asked for */
        Span call = e->call_at[e->ncalls - 1];
        if (call.hi > 0 && (call.file != at.file || call.lo > at.hi || call.hi < at.lo))
            diag_label(&e->front->sink, d, call, "in this use");
        /* In a library used by a library: the place in the file of the first call, which the user wrote. */
        for (int k = e->ncalls - 2; k >= 0 && call.file != e->call_at[0].file && at.file != e->call_at[0].file; k--) {
            if (e->call_at[k].file != e->call_at[0].file) continue;
            diag_label(&e->front->sink, d, e->call_at[k], "from here");
            break;
        }
    }
    return d;
}

/* ---- environments ------------------------------------------------------------------------ */

Env *env_bind(Elab *e, Env *up, const char *name, const Value *v) {
    Env *env = arena_alloc(e->arena, sizeof *env);
    *env = (Env){name, v, up};
    return env;
}

const Value *env_find(const Env *env, const char *name) {
    for (; env; env = env->up)
        if (env->name == name) return env->value;
    return NULL;
}

/* ---- constants that the compiler needs ------------------------------------------------------ */

bool elab_const(Elab *e, Env *env, const Expr *x, const char *what, double *out) {
    const Value *v = elab_expr(e, env, x);
    if (v->kind == VK_ERROR) return false;
    v = value_number(e, v, x->at, what);
    if (v->kind == VK_ERROR) return false;
    if (v->u.num.boolean) {
        elab_error(e, "E0205", x->at, "%s must be a number, and this is a condition", what);
        return false;
    }
    const char *before = e->ir->fixing;
    e->ir->fixing = arena_printf(e->arena, "%s must be known when it is compiled", what);
    bool known = value_is_const(e, v, out);
    e->ir->fixing = before;
    if (known) return true;
    elab_error(e, "E0213", x->at, "%s must be known before the program runs: a number, parameters and arithmetic on them", what);
    return false;
}

bool elab_int(Elab *e, Env *env, const Expr *x, const char *what, int64_t lo, int64_t hi, int64_t *out) {
    double v;
    if (!elab_const(e, env, x, what, &v)) return false;
    bool whole = v == rint(v);
    if (!whole || v < (double)lo || v > (double)hi) {
        Diag *d = whole ? elab_error(e, "E0215", x->at, "%s must lie between %lld and %lld, and this is %.10g", what, (long long)lo, (long long)hi, v)
                        : elab_error(e, "E0214", x->at, "%s must be a whole number, and this is %.10g", what, v);
        const Value *named = x->kind == EX_NAME ? env_find(env, x->name) : NULL;
        if (named && named->origin.hi > named->origin.lo) diag_label(&e->front->sink, d, named->origin, "`%s` comes from here", x->name);
        return false;
    }
    *out = (int64_t)v;
    return true;
}

IndexSet *elab_set(Elab *e, Env *env, const Expr *x) {
    if (x->kind == EX_RANGE) {
        int64_t lo, hi;
        if (!x->a) {
            elab_error(e, "E0223", x->at, "`..` stands for the indices that are left where an array is read, and here a set is needed");
            return NULL;
        }
        if (!elab_int(e, env, x->a, "the start of a range", -1000000000, 1000000000, &lo)) return NULL;
        if (!elab_int(e, env, x->b, "the end of a range", lo, lo + 1000000000, &hi)) return NULL;
        return set_range(e, lo, hi, x->at);
    }
    const Value *v = elab_expr(e, env, x);
    if (v->kind == VK_ERROR) return NULL;
    if (v->kind == VK_SET) return v->u.set;
    Diag *d = elab_error(e, "E0203", x->at, "an index runs over an index set (a lattice, grid or axis), and this is %s", value_describe(e, v));
    double n;
    if (v->kind == VK_NUM && v->u.num.nsets == 1) diag_help(&e->front->sink, d, "name the set of its index: `%s`", v->u.num.sets[0]->name);
    if (value_is_const(e, v, &n)) diag_help(&e->front->sink, d, "write a range, 0..%g, or declare an axis", n - 1);
    return NULL;
}

/* ---- names --------------------------------------------------------------------------------- */

/* An observable or action named in E[…] without arguments means its value on the
 * configuration, when its parameters are named like the fields. */
static const Value *apply_to_fields(Elab *e, Env *env, const Value *f, Span at) {
    const Decl *d = f->u.func.decl;
    const Value *args[MAX_ARGS];
    Span spans[MAX_ARGS];
    if (d->nparams == 0 || d->nparams > MAX_ARGS) return NULL;
    for (int i = 0; i < d->nparams; i++) {
        args[i] = env_find(env, d->params[i].name);
        spans[i] = at;
        if (!args[i] || args[i]->kind != VK_NUM) return NULL;
    }
    return elab_call(e, f, d->nparams, args, spans, 0, NULL, NULL, at);
}

static const Value *unknown_name(Elab *e, Env *env, const Expr *x) {
    for (int i = 0; e->model && i < e->model->unknown.n; i++)
        if (e->model->unknown.data[i] == x->name) return value_error();
    if (!strcmp(x->name, "warmup")) return ELAB_FAIL(e, "E0201", x->at, "`warmup` is known inside samplers only");
    if (!strcmp(x->name, "accepted")) return ELAB_FAIL(e, "E0201", x->at, "`accepted` is known after an `accept` of a sampler only");
    if (env_find(e->globals, x->name)) {
        Diag *d = elab_error(e, "E0201", x->at, "`%s` belongs to the file that imports this one, which is not seen here", x->name);
        diag_help(&e->front->sink, d, "make it an argument or an option");
        return value_error();
    }
    if (e->depth > 0 || e->frame) {    /* names have been resolved: it is one that some way through the block does not bind */
        Diag *d = elab_error(e, "E0201", x->at, "`%s` has no value here", x->name);
        diag_help(&e->front->sink, d, "it is bound in a branch that is not always taken: give it a value before the `if`");
        return value_error();
    }
    const char *names[512];
    int n = 0, nbuiltin;
    for (Env *v = env; v && n < 400; v = v->up) names[n++] = v->name;
    const char *const *builtins = builtin_names(&nbuiltin);
    for (int i = 0; i < nbuiltin && n < 512; i++) names[n++] = builtins[i];
    Diag *d = elab_error(e, "E0201", x->at, "nothing here is called `%s`", x->name);
    const char *near = diag_nearest(x->name, names, n);
    if (near) diag_help(&e->front->sink, d, "did you mean `%s`?", near);
    return value_error();
}

static const Value *field_outside(Elab *e, const Expr *x) {
    Diag *d = elab_error(e, "E0227", x->at, "the field `%s` is random: it has values only inside E[…], or as the argument of a function", x->name);
    if (e->sample) diag_help(&e->front->sink, d, "the mean over the configurations is E[…]");
    diag_label(&e->front->sink, d, model_field(e->model, x->name)->at, "declared here");
    return value_error();
}

static const Value *elab_name(Elab *e, Env *env, const Expr *x) {
    const Value *v = env_find(env, x->name);
    if (!v) v = builtin_value(e, x->name, x->at);
    if (!v) {
        int b = builtin_find(x->name);
        if (b < 0 && e->model && model_field(e->model, x->name)) return field_outside(e, x);
        if (b < 0) return unknown_name(e, env, x);
        Value *f = value_new(e, VK_FUNC, x->at);
        f->u.func.kind = FN_BUILTIN;
        f->u.func.builtin = b;
        f->name = x->name;
        return f;
    }
    v = param_value(e, v, x->at);
    if (v->kind == VK_FUNC && v->u.func.kind == FN_DECL) {
        const Decl *d = v->u.func.decl;
        if ((d->kind == DC_DEF || d->kind == DC_LOSS) && d->nparams == 0 && d->nopts == 0)
            return elab_call(e, v, 0, NULL, NULL, 0, NULL, NULL, x->at);
        if (e->in_expectation && (d->kind == DC_OBSERVABLE || d->kind == DC_ACTION)) {
            const Value *applied = apply_to_fields(e, env, v, x->at);
            if (applied) return applied;
        }
    }
    return v;
}

/* ---- calls ---------------------------------------------------------------------------------- */

static const Value *wrong_count(Elab *e, const Decl *d, int given, Span at) {
    Diag *g = elab_error(e, "E0217", at, "`%s` takes %d argument%s, here %s %d", d->name, d->nparams,
                         d->nparams == 1 ? "" : "s", given == 1 ? "is" : "are", given);
    diag_label(&e->front->sink, g, d->name_at, "defined here");
    return value_error();
}

static const Value *unknown_option(Elab *e, const Decl *d, const Option *o) {
    const char *names[64];
    int n = 0;
    for (int i = 0; i < d->nopts && n < 64; i++) names[n++] = d->opts[i].name;
    Diag *g = elab_error(e, "E0218", o->at, "`%s` has no option called `%s`", d->name, o->name);
    diag_label(&e->front->sink, g, d->name_at, "defined here");
    const char *near = diag_nearest(o->name, names, n);
    if (near) diag_help(&e->front->sink, g, "did you mean `%s`?", near);
    return value_error();
}

Env *elab_scope(Elab *e, const Decl *d) {
    Env *scope = d->file < LQ_COUNT(e->scope) ? e->scope[d->file] : NULL;
    return scope ? scope : e->globals;
}

/* Binds options: given ones, else their defaults, which may use the parameters. */
/* A number that is an option of a method can be set in an executable too, by its name; not where a
 * parameter has that name. */
static const Value *option_setting(Elab *e, const char *name, const Value *v) {
    if (v->kind != VK_NUM || v->u.num.boolean || !value_is_const(e, v, NULL) || !isfinite(ir_const_value(e->ir, v->u.num.re)) ||
        env_find(e->globals, name) || (v->name && param_named(e, v->name) == v)) return v;      /* a method may vary a parameter */
    Value *out = value_new(e, VK_NUM, v->origin);
    *out = *v;
    out->u.num.re = ir_setting(e->ir, name, ir_const_value(e->ir, v->u.num.re), v->u.num.re, v->origin);
    return out;
}

Env *elab_bind_options(Elab *e, Env *env, const Decl *d, int nopts, const Option *opts,
                       const Value *const *values, Span at) {
    for (int i = 0; i < nopts; i++) {
        bool known = false;
        for (int j = 0; j < d->nopts; j++) known |= d->opts[j].name == opts[i].name;
        if (!known) { unknown_option(e, d, &opts[i]); return NULL; }
    }
    bool opens = e->opens;
    e->opens = false;                                   /* not of what the values of options call */
    for (int j = 0; j < d->nopts; j++) {
        const Value *v = NULL;
        for (int i = 0; i < nopts; i++)
            if (opts[i].name == d->opts[j].name) v = values[i];
        if (!v && d->opts[j].value) v = elab_expr(e, env, d->opts[j].value);
        if (!v) {
            Diag *g = elab_error(e, "E0218", at, "`%s` needs its option `%s`", d->name, d->opts[j].name);
            diag_label(&e->front->sink, g, d->name_at, "defined here");
            diag_help(&e->front->sink, g, "give it by name: `%s(…; %s = …)`", d->name, d->opts[j].name);
            return NULL;
        }
        if (v->kind == VK_ERROR) return NULL;
        v = value_close(e, v);
        env = env_bind(e, env, d->opts[j].name, opens ? option_setting(e, d->opts[j].name, v) : v);
    }
    return env;
}

/* Arguments beyond the parameters are the options that have no value yet, in their order; returns
 * how many arguments are left. */
static int options_by_place(const Decl *d, int n, const Value *const *args, int nopts, const Option *opts, const Value *const *values,
                            Option *all, const Value **all_values, int *nall, Span at) {
    int used = d->nparams;
    for (int i = 0; i < nopts; i++) all[i] = opts[i], all_values[i] = values[i];
    for (int k = 0; k < d->nopts && used < n && nopts < MAX_ARGS; k++) {
        bool given = false;
        for (int i = 0; i < nopts; i++) given |= all[i].name == d->opts[k].name;
        if (!given) all[nopts] = (Option){d->opts[k].name, at, NULL}, all_values[nopts++] = args[used++];
    }
    *nall = nopts;
    return used == n ? d->nparams : n;
}

static const Value *call_decl(Elab *e, const Value *f, int n, const Value *const *args, int nopts,
                              const Option *opts, const Value *const *opt_values, Span at) {
    const Decl *d = f->u.func.decl;
    if (n == 1 && d->nparams > 1 && args[0]->kind == VK_TUPLE)      /* S(q) with q = (phi, chi) */
        return call_decl(e, f, args[0]->u.tuple.n, args[0]->u.tuple.items, nopts, opts, opt_values, at);
    Option more[MAX_ARGS];
    const Value *more_values[MAX_ARGS];
    if (n > d->nparams && d->kind == DC_LAYER) {           /* dense(64, tanh): settings in their order */
        n = options_by_place(d, n, args, nopts, opts, opt_values, more, more_values, &nopts, at);
        opts = more, opt_values = more_values;
    }
    if (n != d->nparams) return wrong_count(e, d, n, at);
    if (e->depth >= MAX_CALL_DEPTH)
        return ELAB_FAIL(e, "E0301", at, "calls are nested more than %d deep: does `%s` use itself?", MAX_CALL_DEPTH, d->name);
    Env *env = f->u.func.env ? f->u.func.env : elab_scope(e, d);
    for (int i = 0; i < n; i++) {
        if (args[i]->kind == VK_ERROR) return args[i];
        const Value *a = value_close(e, args[i]);
        env = env_bind(e, env, d->params[i].name, a);
    }
    e->call_at[e->ncalls++] = at;
    e->depth++;
    env = elab_bind_options(e, env, d, nopts, opts, opt_values, at);
    const Value *v = !env ? value_error() : d->kind == DC_LAYER ? layer_with(e, f, env, at) : d->has_body ? elab_block(e, env, &d->body) : elab_expr(e, env, d->value);
    e->depth--;
    e->ncalls--;
    if (v->kind == VK_TUPLE || v->kind == VK_ERROR || v->kind == VK_FUNC || v->kind == VK_DIST) return v;
    if (d->kind == DC_ACTION && (v->kind != VK_NUM || v->u.num.nsets || v->u.num.boolean)) {
        Diag *g = elab_error(e, "E0220", d->has_body ? d->name_at : d->value->at, "the action `%s` must be a number, and this is %s", d->name, value_describe(e, v));
        if (v->kind == VK_NUM && v->u.num.nsets) {
            diag_label(&e->front->sink, g, v->u.num.sets[0]->at, "%s", set_describe(e->arena, v->u.num.sets[0]));
            diag_help(&e->front->sink, g, "sum over it: `sum(…)`, or `sum[x in %s] …` with indices", v->u.num.sets[0]->name);
        }
        return value_error();
    }
    return v;
}

/* A positive field is exp(u) of the coordinate u that samplers move. */
static const Value *constrain(Elab *e, const FieldInfo *f, const Value *u) {
    return f->kind == FIELD_POSITIVE ? value_map1(e, SC_EXP, u, f->at) : u;
}

/* A density as exp(exponent)*rest, either of which may be absent: factors exp(…), and
 * those of a prod[…], are collected from products and quotients, since their product may leave the range of a
 * double where the sum of their exponents does not. */
typedef struct Density { const Expr *exponent, *rest; } Density;

static const Expr *joined(Elab *e, const Expr *like, AstOp op, const Expr *a, const Expr *b) {
    if (!b || (!a && op == OP_ADD) || (!a && op == OP_MUL)) return b ? b : a;
    Expr *out = arena_alloc(e->arena, sizeof *out);
    *out = *like;
    Expr *first = arena_alloc(e->arena, sizeof *first);
    *first = a ? *a : (Expr){.kind = EX_NUM, .at = like->at, .num = op == OP_DIV};      /* 1/b, or 0 - b */
    Expr *second = arena_alloc(e->arena, sizeof *second);
    *second = *b;
    out->kind = EX_BINARY, out->op = op, out->a = first, out->b = second;
    return out;
}

static const Expr *rebound(Elab *e, const Expr *binder, const char *name, const Expr *body) {
    if (!body) return NULL;
    Expr *out = arena_alloc(e->arena, sizeof *out), *inner = arena_alloc(e->arena, sizeof *inner);
    *out = *binder, *inner = *body;
    out->name = intern(name), out->a = inner;
    return out;
}

static const Expr *applied(Elab *e, const char *function, const Expr *x) {
    Expr *out = arena_alloc(e->arena, sizeof *out), *name = arena_alloc(e->arena, sizeof *name), *argument = arena_alloc(e->arena, sizeof *argument);
    *argument = *x;
    *name = (Expr){.kind = EX_NAME, .at = x->at, .name = intern(function)};
    *out = (Expr){.kind = EX_CALL, .at = x->at, .a = name, .n = 1};
    out->list = arena_alloc(e->arena, sizeof *out->list);
    out->list[0] = argument;
    return out;
}

static Density split_density(Elab *e, const Expr *d) {
    if (d->kind == EX_CALL && d->n == 1 && d->nopts == 0 && d->a->kind == EX_NAME && !strcmp(d->a->name, "exp"))
        return (Density){d->list[0], NULL};
    if (d->kind == EX_BINARY && (d->op == OP_MUL || d->op == OP_DIV)) {
        Density a = split_density(e, d->a), b = split_density(e, d->b);
        if (!a.exponent && !b.exponent) return (Density){NULL, d};
        return (Density){joined(e, d, d->op == OP_MUL ? OP_ADD : OP_SUB, a.exponent, b.exponent), joined(e, d, d->op, a.rest, b.rest)};
    }
    if (d->kind == EX_BINDER && !strcmp(d->name, "prod")) {
        Density a = split_density(e, d->a);      /* log prod r = sum log |r| + log prod sign r */
        if (!a.rest) return (Density){rebound(e, d, "sum", a.exponent), NULL};
        const Expr *size = applied(e, "log", applied(e, "abs", a.rest));
        return (Density){rebound(e, d, "sum", joined(e, d, OP_ADD, a.exponent, size)), rebound(e, d, "prod", applied(e, "sign", a.rest))};
    }
    return (Density){NULL, d};
}

/* An objective as a function of the free coordinates of what it is minimised over. */
static const Value *call_objective(Elab *e, const Target *t, const Value *const *args) {
    Env *env = t->env;
    for (int i = 0; i < t->n; i++) {
        const Value *u = value_close(e, args[i]);
        if (u->kind == VK_ERROR) return u;
        t->variables[i]->now = value_close(e, constrain(e, t->fields[i], u));
        env = env_bind(e, env, t->names[i], t->variables[i]->now);
    }
    e->call_at[e->ncalls++] = t->density->at;
    /* In one iteration its value, its gradient and a line search see the same random numbers. */
    int draws = e->ir->draw_at.n;
    Aff iteration = e->iteration;
    if (*t->draws < 0) *t->draws = draws;
    e->ir->draw_at.n = *t->draws, e->iteration = aff_const(e->ir, 0);
    const Value *v = elab_expr(e, env, t->density);
    if (e->ir->draw_at.n < draws) e->ir->draw_at.n = draws;
    e->iteration = iteration;
    e->ncalls--;
    for (int i = 0; i < t->n; i++) t->variables[i]->now = NULL;
    if (v->kind == VK_ERROR) return v;
    v = value_number(e, v, t->density->at, "`minimize`");
    if (v->kind == VK_ERROR || (v->kind == VK_NUM && !v->u.num.nsets && !v->u.num.complex && !v->u.num.boolean)) return v;
    Diag *d = elab_error(e, "E0335", t->density->at, "what is minimised is one real number, and this is %s", value_describe(e, v));
    if (v->u.num.nsets) diag_help(&e->front->sink, d, "sum over its elements: sum[i in %s] …", v->u.num.sets[0]->name);
    return value_error();
}

/* The log-density as -S: `exp(-S(phi))` gives S itself, anything else its logarithm;
 * the change to unconstrained coordinates adds the logarithm of its Jacobian. */
static const Value *call_target(Elab *e, const Target *t, int n, const Value *const *args, Span at) {
    if (n == 1 && args[0]->kind == VK_TUPLE) return call_target(e, t, args[0]->u.tuple.n, args[0]->u.tuple.items, at);
    if (n != t->n) return ELAB_FAIL(e, "E0217", at, "the %s takes %d fields, here are %d", t->variables ? "objective" : "target density", t->n, n);
    if (t->variables) return call_objective(e, t, args);
    Env *env = t->env;
    const Value *jacobian = NULL;
    for (int i = 0; i < n; i++) {
        const Value *u = value_close(e, args[i]);
        if (u->kind == VK_ERROR) return u;
        env = env_bind(e, env, t->names[i], value_close(e, constrain(e, t->fields[i], u)));
        if (t->fields[i]->kind != FIELD_POSITIVE) continue;
        const Value *s = elab_reduce_all(e, "sum", u, at);
        jacobian = jacobian ? value_binary(e, OP_ADD, jacobian, s, at, at) : s;
    }
    const Expr *d = t->density;
    const Value *S;
    e->call_at[e->ncalls++] = d->at;             /* its mistakes are not those of the sampler */
    static const char *const used[] = {"exp", "log", "abs", "sign"};
    bool own = false;                            /* functions of these names declared in the file */
    for (int i = 0; i < LQ_COUNT(used); i++) own |= env_find(env, intern(used[i])) != NULL;
    Density split = own ? (Density){NULL, d} : split_density(e, d);
    S = split.exponent ? elab_expr(e, env, split.exponent) : NULL;
    if (split.rest && (!S || S->kind != VK_ERROR)) {
        const Value *p = elab_expr(e, env, split.rest);
        if (p->kind == VK_NUM && p->u.num.complex) p = ELAB_FAIL(e, "E0221", split.rest->at, "a factor of a density is real, and this is %s", value_describe(e, p));
        if (p->kind == VK_NUM && !p->u.num.boolean) p = value_map1(e, SC_LOG, p, d->at);
        S = !S || p->kind != VK_NUM || p->u.num.boolean ? p : value_binary(e, OP_ADD, S, p, d->at, d->at);
    }
    if (S->kind != VK_NUM || S->u.num.nsets || S->u.num.boolean) {
        Diag *g = S->kind == VK_ERROR ? NULL : elab_error(e, "E0221", d->at, "a density is one number for each configuration, and this is %s", value_describe(e, S));
        if (g && S->kind == VK_NUM && S->u.num.nsets) diag_help(&e->front->sink, g, "sum over the sites in the exponent: exp(-sum[x in %s] …)", S->u.num.sets[0]->name);
        S = value_error();
    }
    e->ncalls--;
    if (S->kind == VK_ERROR) return S;
    S = value_unary(e, OP_NEG, S, d->at);
    return jacobian ? value_binary(e, OP_SUB, S, jacobian, at, at) : S;
}

static const Value *call_kind(Elab *e, const Value *f, int n, const Value *const *args, const Span *arg_at,
                              int nopts, const Option *opts, const Value *const *opt_values, Span at) {
    bool layer = f->u.func.kind == FN_LAYER || f->u.func.kind == FN_COMPOSE || f->u.func.kind == FN_NETWORK;
    if (layer && !nopts) return layer_apply(e, f, n, args, arg_at, at);
    if (f->u.func.kind == FN_DECL) return call_decl(e, f, n, args, nopts, opts, opt_values, at);
    if (nopts) {
        const char *what = f->name ? arena_printf(e->arena, "`%s`", f->name) : "the density";
        Diag *d = elab_error(e, "E0218", opts[0].at, "%s has no option `%s`", what, opts[0].name);
        if (f->u.func.kind == FN_TARGET) diag_help(&e->front->sink, d, "it takes the parameters of the program as options");
        return value_error();
    }
    return f->u.func.kind == FN_TARGET ? call_target(e, f->u.func.target, n, args, at)
                                       : builtin_call(e, f->u.func.builtin, n, args, arg_at, at);
}

static bool has_option(const Value *f, const char *name) {
    for (int k = 0; f->u.func.kind == FN_DECL && k < f->u.func.decl->nopts; k++)
        if (f->u.func.decl->opts[k].name == name) return true;
    return f->u.func.kind == FN_BUILTIN;
}

/* Options that are parameters of the program: the function sees other values of them.
 * The other options are left in `rest`; NULL after a message. */
static const Value *take_params(Elab *e, const Value *f, int nopts, const Option *opts, const Value *const *values,
                                Option *rest, const Value **rest_values, int *n) {
    *n = 0;
    for (int i = 0; i < nopts; i++) {
        const Value *param = has_option(f, opts[i].name) ? NULL : param_named(e, opts[i].name);
        if (param) f = param_vary(e, f, param, values[i], opts[i].value ? opts[i].value->at : opts[i].at);
        else if (*n < MAX_ARGS) rest[*n] = opts[i], rest_values[(*n)++] = values[i];
        if (f->kind == VK_ERROR) return f;
    }
    return f;
}

static const Replaced *joined_replacements(Elab *e, const Replaced *inner, const Replaced *outer) {
    if (!inner) return outer;
    Replaced *r = arena_alloc(e->arena, sizeof *r);
    *r = (Replaced){inner->param, inner->value, joined_replacements(e, inner->up, outer)};
    return r;
}

const Value *elab_call(Elab *e, const Value *f, int n, const Value *const *args, const Span *arg_at,
                       int nopts, const Option *opts, const Value *const *opt_values, Span at) {
    for (int i = 0; i < n; i++)
        if (args[i]->kind == VK_ERROR) return args[i];
    Option rest[MAX_ARGS];
    const Value *rest_values[MAX_ARGS];
    int left;
    const Value *g = take_params(e, f, nopts, opts, opt_values, rest, rest_values, &left);
    if (g->kind == VK_ERROR) return g;
    bool waits = g->u.func.kind == FN_TARGET || (g->u.func.kind == FN_DECL && g->u.func.decl->nparams > 0);
    if (n == 0 && nopts > 0 && left == 0 && waits) return g;      /* S(; kappa = v): the function itself */
    const Replaced *outer = e->replaced;
    e->replaced = joined_replacements(e, g->u.func.replaced, outer);
    const Value *v = call_kind(e, g, n, args, arg_at, left, rest, rest_values, at);
    e->replaced = outer;
    return v;
}

/* What is called: a function with parameters is itself here, also inside E[…]. */
static const Value *elab_callee(Elab *e, Env *env, const Expr *x) {
    const Value *v = x->kind == EX_NAME ? env_find(env, x->name) : NULL;
    bool function = v && v->kind == VK_FUNC && v->u.func.kind == FN_DECL && v->u.func.decl->nparams > 0;
    return function ? v : elab_expr(e, env, x);
}

static const Value *elab_call_expr(Elab *e, Env *env, const Expr *x) {
    if (x->a->kind == EX_NAME && !strcmp(x->a->name, "grad") && !env_find(env, x->a->name)) return elab_grad(e, env, x);
    const Value *f = elab_callee(e, env, x->a);
    if (f->kind == VK_ERROR) return f;
    if (f->kind != VK_FUNC) {
        Diag *d = elab_error(e, "E0202", x->a->at, "%s cannot be called like a function", value_describe(e, f));
        if (x->a->kind == EX_NAME) diag_label(&e->front->sink, d, f->origin, "declared here");
        if (f->kind == VK_NUM && f->u.num.nsets) diag_help(&e->front->sink, d, "an array is indexed with brackets: `%s[…]`", x->a->kind == EX_NAME ? x->a->name : "a");
        else if (f->kind == VK_NUM) diag_help(&e->front->sink, d, "is a `*` missing?");
        return value_error();
    }
    const Value *args[MAX_ARGS], *opts[MAX_ARGS];
    Span at[MAX_ARGS];
    if (x->n > MAX_ARGS || x->nopts > MAX_ARGS) return ELAB_FAIL(e, "E0217", x->at, "more than %d arguments", MAX_ARGS);
    bool bad = false;
    for (int i = 0; i < x->n; i++) {
        bool function = i == 0 && f->u.func.kind == FN_BUILTIN && builtin_wants_function(f->u.func.builtin);
        args[i] = function ? elab_callee(e, env, x->list[i]) : elab_expr(e, env, x->list[i]);
        at[i] = x->list[i]->at;
        bad |= args[i]->kind == VK_ERROR;
    }
    for (int i = 0; i < x->nopts; i++) {
        opts[i] = elab_expr(e, env, x->opts[i].value);
        bad |= opts[i]->kind == VK_ERROR;
    }
    if (bad) return value_error();
    return elab_call(e, f, x->n, args, at, x->nopts, x->opts, opts, x->at);
}

/* ---- members and indexing ---------------------------------------------------------------------- */

static const Value *set_value(Elab *e, IndexSet *s, Span at) {
    Value *v = value_new(e, VK_SET, at);
    v->u.set = s;
    return v;
}

static const Value *neighbour(Elab *e, const Value *v, int64_t step, Span at) {
    Value *out = value_new(e, VK_INDEX, at);
    out->u.index = v->u.index;
    out->u.index.c[0] = aff_shift(e->ir, v->u.index.c[0], step);
    return out;
}

static const Value *elab_member(Elab *e, Env *env, const Expr *x) {
    const Value *v = elab_expr(e, env, x->a);
    if (v->kind == VK_ERROR) return v;
    if (v->kind == VK_SET && v->u.set->kind == SET_LATTICE) {
        IndexSet *s = v->u.set;
        if (!strcmp(x->name, "dirs")) return set_value(e, s->dirs, x->at);
        if (!strcmp(x->name, "axes")) {
            const Value *items[IR_MAX_RANK];
            for (int i = 0; i < s->rank; i++) items[i] = set_value(e, s->axes[i], x->at);
            if (s->rank > 1) return value_tuple(e, s->rank, items, x->at);
            Value *t = value_new(e, VK_TUPLE, x->at);
            t->u.tuple.n = t->u.tuple.leaves = 1;
            t->u.tuple.items = arena_alloc(e->arena, sizeof *t->u.tuple.items);
            t->u.tuple.items[0] = items[0];
            return t;
        }
    }
    if (v->kind == VK_FUNC && v->u.func.kind == FN_NETWORK && !strcmp(x->name, "weights")) return network_weights(e, v, x->at);
    if (v->kind == VK_INDEX && v->u.index.set->rank == 1) {
        if (!strcmp(x->name, "next")) return neighbour(e, v, 1, x->at);
        if (!strcmp(x->name, "prev")) return neighbour(e, v, -1, x->at);
    }
    Diag *d = elab_error(e, "E0222", x->op_at, "%s has no member `%s`", value_describe(e, v), x->name);
    if (v->kind == VK_SET && v->u.set->kind == SET_LATTICE) diag_help(&e->front->sink, d, "a lattice has `.dirs` (its directions) and `.axes` (its coordinate axes)");
    return value_error();
}

static const Value *index_set_element(Elab *e, IndexSet *s, const Expr *x, Env *env) {
    int64_t k;
    if (x->nbinds != 1 || s->rank != 1) return ELAB_FAIL(e, "E0212", x->at, "an element of `%s` is chosen by one number", s->name);
    if (!elab_int(e, env, x->binds[0].set, "an element of a set", s->first, s->first + s->ext[0] - 1, &k)) return value_error();
    Value *v = value_new(e, VK_INDEX, x->at);
    v->u.index.set = s;
    v->u.index.c[0] = aff_const(e->ir, k - s->first);
    return v;
}

static const Value *index_component(Elab *e, const Value *v, const Expr *x, Env *env) {
    IndexSet *s = v->u.index.set;
    int64_t k;
    if (s->kind != SET_LATTICE || x->nbinds != 1)
        return ELAB_FAIL(e, "E0202", x->at, "%s cannot be indexed", value_describe(e, v));
    if (!elab_int(e, env, x->binds[0].set, "the number of a coordinate", 0, s->rank - 1, &k)) return value_error();
    Value *out = value_new(e, VK_INDEX, x->at);
    out->u.index.set = s->axes[k];
    out->u.index.c[0] = v->u.index.c[k];
    return out;
}

static const Value *elab_expectation(Elab *e, Env *env, const Expr *x);

static bool is_rest(const Expr *set) { return set && set->kind == EX_RANGE && !set->a; }

/* a[i, ..]: the array over the index sets that are left; of a tuple, of each component. */
static const Value *read_rest(Elab *e, const Value *v, int n, const Value *const *given, const Expr *x) {
    const Value *items[MAX_ITEMS], *index[MAX_ARGS + 1] = {0};
    if (v->kind == VK_TUPLE) {
        for (int i = 0; i < v->u.tuple.n; i++) {
            items[i] = read_rest(e, v->u.tuple.items[i], n, given, x);
            if (items[i]->kind == VK_ERROR) return items[i];
        }
        return value_tuple(e, v->u.tuple.n, items, x->at);
    }
    if (v->kind != VK_NUM || v->u.num.nsets < n)
        return ELAB_FAIL(e, "E0212", x->at, "%s has fewer than %d indices", value_describe(e, v), n);
    Value *out = value_new(e, VK_NUM, x->at);
    int left = v->u.num.nsets - n, nsyms = 0;
    Sym syms[IR_MAX_RANK];
    IndexSet *sets[MAX_SETS];
    for (int i = 0; i < n; i++) index[i] = given[i];
    for (int i = 0; i < left; i++) {
        sets[i] = v->u.num.sets[n + i];
        index[n + i] = elab_enter(e, sets[i], x->at);
        for (int k = 0; k < sets[i]->rank; k++) syms[nsyms++] = aff_get(e->ir, index[n + i]->u.index.c[k])->t[0].sym;
    }
    const Value *element = value_at(e, v, index, x->at);
    for (int i = left - 1; i >= 0; i--) elab_leave(e, sets[i]);
    if (element->kind == VK_ERROR) return element;
    out->u.num = element->u.num;
    out->u.num.nsets = left, out->u.num.nsyms = nsyms;
    memcpy(out->u.num.sets, sets, (size_t)left * sizeof *sets);
    memcpy(out->u.num.syms, syms, (size_t)nsyms * sizeof *syms);
    return out;
}

static const Value *elab_index(Elab *e, Env *env, const Expr *x) {
    if (x->a->kind == EX_NAME && x->a->name == intern("E") && !env_find(env, x->a->name)) return elab_expectation(e, env, x);
    const Value *v = elab_expr(e, env, x->a);
    if (v->kind == VK_ERROR) return v;
    bool rest = x->nbinds > 0 && is_rest(x->binds[x->nbinds - 1].set);
    for (int i = 0; i < x->nbinds - rest; i++)
        if (is_rest(x->binds[i].set)) return ELAB_FAIL(e, "E0212", x->binds[i].set->at, "`..` stands last: it is what is left of the indices");
    if (rest && v->kind != VK_NUM && v->kind != VK_TUPLE)
        return ELAB_FAIL(e, "E0202", x->at, "%s has no indices that could be left", value_describe(e, v));
    if (v->kind == VK_SET) return index_set_element(e, v->u.set, x, env);
    if (v->kind == VK_INDEX) return index_component(e, v, x, env);
    if (v->kind == VK_TUPLE && !rest) {
        int64_t k;
        if (x->nbinds != 1 || !elab_int(e, env, x->binds[0].set, "a component of a tuple", 0, v->u.tuple.n - 1, &k)) return value_error();
        return v->u.tuple.items[k];
    }
    if (v->kind != VK_TUPLE && (v->kind != VK_NUM || v->u.num.nsets == 0)) {
        Diag *d = elab_error(e, "E0202", x->a->at, "%s cannot be indexed", value_describe(e, v));
        if (v->kind == VK_FUNC) diag_help(&e->front->sink, d, "a function is called with parentheses");
        else diag_label(&e->front->sink, d, v->origin, "declared here");
        return value_error();
    }
    const Value *index[MAX_ARGS + 1] = {0};
    if (x->nbinds > MAX_ARGS) return ELAB_FAIL(e, "E0212", x->at, "more than %d indices", MAX_ARGS);
    for (int i = 0; i < x->nbinds - rest; i++) {
        index[i] = elab_expr(e, env, x->binds[i].set);
        if (index[i]->kind == VK_ERROR) return index[i];
    }
    if (rest) return read_rest(e, value_close(e, v), x->nbinds - 1, index, x);
    Value named = *v;
    if (x->a->kind == EX_NAME) named.name = x->a->name;
    return value_at(e, &named, index, x->at);
}

/* ---- binders ---------------------------------------------------------------------------------------- */

const Value *elab_enter(Elab *e, IndexSet *s, Span at) {
    Value *v = value_new(e, VK_INDEX, at);
    v->u.index.set = s;
    for (int i = 0; i < s->rank; i++) {
        vec_push(&e->sym_ext, s->ext[i]);
        Sym sym = ir_fresh(e->ir);
        vec_push(&e->active, sym);
        v->u.index.c[i] = aff_sym(e->ir, sym);
    }
    return v;
}

void elab_leave(Elab *e, IndexSet *s) { e->active.n -= s->rank; }

/* Reduces a scalar expression over the symbols; what else is free in it becomes the
 * outer axes of the reduction, and is read there again. */
Ref elab_reduce(Elab *e, Op op, Ref body, int nsyms, const Sym *syms) {
    Sym all[64], outer[IR_MAX_RANK];
    int n = ir_free_syms(e->ir, body, all, 64), nouter = 0;
    for (int i = 0; i < n; i++) {
        bool reduced = false;
        for (int j = 0; j < nsyms; j++) reduced |= all[i] == syms[j];
        if (!reduced && nouter < IR_MAX_RANK) outer[nouter++] = all[i];
    }
    if (nouter + nsyms > IR_MAX_RANK) {
        elab_error(e, "E0219", e->ncalls ? e->call_at[e->ncalls - 1] : (Span){0}, "more than %d index components at once", IR_MAX_RANK);
        return ir_const(e->ir, 0);
    }
    int64_t dims[IR_MAX_RANK];
    Sym order[IR_MAX_RANK];
    Aff by[IR_MAX_RANK];
    Index ix[IR_MAX_RANK];
    for (int i = 0; i < nouter + nsyms; i++) {
        order[i] = i < nouter ? outer[i] : syms[i - nouter];
        dims[i] = elab_sym_extent(e, order[i]);
        by[i] = aff_sym(e->ir, (Sym)i);
        if (i < nouter) ix[i] = (Index){aff_sym(e->ir, order[i]), IX_EXACT, dims[i]};
    }
    Ref closed = ir_subst_syms(e->ir, body, nouter + nsyms, order, by);
    return ir_read(e->ir, ir_reduce(e->ir, op, nouter, nsyms, dims, closed), ix);
}

typedef enum BinderKind { BIND_SUM, BIND_PROD, BIND_MAX, BIND_MIN, BIND_MEAN, BIND_INTEGRAL } BinderKind;

static const struct { const char *name; Op op; double empty; AstOp combine; } binders[] = {
    [BIND_SUM] = {"sum", SC_ADD, 0, OP_ADD},       [BIND_PROD] = {"prod", SC_MUL, 1, OP_MUL},
    [BIND_MAX] = {"max", SC_MAX, -INFINITY, OP_ADD}, [BIND_MIN] = {"min", SC_MIN, INFINITY, OP_ADD},
    [BIND_MEAN] = {"mean", SC_ADD, 0, OP_ADD},     [BIND_INTEGRAL] = {"integral", SC_ADD, 0, OP_ADD},
};

static int binder_kind(const char *name) {
    for (int i = 0; i < LQ_COUNT(binders); i++)
        if (!strcmp(binders[i].name, name)) return i;
    return -1;
}

static bool mentions(const Expr *x, const char *name) {
    if (!x) return false;
    if (x->kind == EX_NAME) return x->name == name;
    if (mentions(x->a, name) || mentions(x->b, name) || mentions(x->c, name)) return true;
    for (int i = 0; i < x->n; i++)
        if (mentions(x->list[i], name)) return true;
    for (int i = 0; i < x->nbinds; i++)
        if (mentions(x->binds[i].set, name)) return true;
    for (int i = 0; i < x->nopts; i++)
        if (mentions(x->opts[i].value, name)) return true;
    return false;
}

/* Looks for a[…index…] below x where a is a known array. */
static IndexSet *find_use(Elab *e, Env *env, const Expr *x, const char *index) {
    if (!x) return NULL;
    if (x->kind == EX_INDEX && x->a->kind == EX_NAME) {
        const Value *v = env_find(env, x->a->name);
        bool rest = x->nbinds > 0 && is_rest(x->binds[x->nbinds - 1].set);
        if (rest && v && v->kind == VK_TUPLE) v = v->u.tuple.items[0];
        if (v && v->kind == VK_NUM && (v->u.num.nsets == x->nbinds || (rest && v->u.num.nsets >= x->nbinds - 1)))
            for (int i = 0; i < x->nbinds - rest; i++)
                if (mentions(x->binds[i].set, index)) return v->u.num.sets[i];
    }
    IndexSet *s = find_use(e, env, x->a, index);
    if (!s) s = find_use(e, env, x->b, index);
    if (!s) s = find_use(e, env, x->c, index);
    for (int i = 0; i < x->n && !s; i++) s = find_use(e, env, x->list[i], index);
    for (int i = 0; i < x->nbinds && !s; i++) s = find_use(e, env, x->binds[i].set, index);
    for (int i = 0; i < x->nopts && !s; i++) s = find_use(e, env, x->opts[i].value, index);
    return s;
}

IndexSet *elab_infer_set(Elab *e, Env *env, const Expr *body, const char *index, Span at) {
    IndexSet *s = find_use(e, env, body, index);
    if (!s) {
        Diag *d = elab_error(e, "E0223", at, "it is not clear which index set `%s` runs over", index);
        diag_help(&e->front->sink, d, "say it: `%s in X`", index);
    }
    return s;
}


/* Static sets (directions): the body once for each element. */
static const Value *unroll(Elab *e, Env *env, const Expr *x, int kind, int nstatic, const Bind *const *binds,
                           IndexSet *const *sets, const Value **guard_count) {
    if (nstatic == 0) {
        const Value *guard = NULL;
        if (x->b) {
            guard = elab_expr(e, env, x->b);
            double known;
            if (guard->kind == VK_ERROR) return guard;
            if (guard->kind != VK_NUM || !guard->u.num.boolean || guard->u.num.nsets)
                return ELAB_FAIL(e, "E0205", x->b->at, "the `if` of a binder needs a condition");
            if (value_is_const(e, guard, &known) && known == 0) return NULL;    /* no term */
        }
        const Value *v = elab_expr(e, env, x->a);
        if (v->kind == VK_ERROR) return v;
        v = value_number(e, v, x->a->at, x->name);
        if (v->kind == VK_ERROR) return v;
        if (v->u.num.boolean) {
            Diag *d = elab_error(e, "E0205", x->a->at, "`%s` needs numbers, and this is a condition", x->name);
            diag_help(&e->front->sink, d, "write `if … then 1 else 0` to count");
            return value_error();
        }
        const Value *one = value_const(e, 1, x->at);
        if (guard) {
            one = value_select(e, guard, one, value_const(e, 0, x->at), x->at);
            v = value_select(e, guard, v, value_const(e, binders[kind].empty, x->at), x->at);
        }
        *guard_count = *guard_count ? value_binary(e, OP_ADD, *guard_count, one, x->at, x->at) : one;
        return v;
    }
    const Value *acc = NULL;
    for (int64_t k = 0; k < sets[0]->ext[0]; k++) {
        Value *index = value_new(e, VK_INDEX, binds[0]->at);
        index->u.index.set = sets[0];
        index->u.index.c[0] = aff_const(e->ir, k);
        index->name = binds[0]->name;
        const Value *v = unroll(e, env_bind(e, env, binds[0]->name, index), x, kind, nstatic - 1, binds + 1, sets + 1, guard_count);
        if (!v) continue;
        if (v->kind == VK_ERROR) return v;
        if (!acc) acc = v;
        else if (kind == BIND_MAX || kind == BIND_MIN) acc = value_map2(e, binders[kind].op, acc, v, x->at);
        else acc = value_binary(e, binders[kind].combine, acc, v, x->at, x->op_at);
        if (acc->kind == VK_ERROR) return acc;
    }
    return acc;
}

static const Value *reduce_value(Elab *e, Op op, const Value *v, int n, const Sym *syms, Span at) {
    if (n == 0) return v;
    if (v->u.num.complex && op != SC_ADD)
        return ELAB_FAIL(e, "E0206", at, "only sums and means are defined for complex numbers here");
    Value *out = value_new(e, VK_NUM, at);
    out->u.num = v->u.num;
    out->u.num.re = elab_reduce(e, op, v->u.num.re, n, syms);
    if (v->u.num.im) out->u.num.im = elab_reduce(e, op, v->u.num.im, n, syms);
    return out;
}

static Ref quadrature_weight(Elab *e, IndexSet *s, const Value *index) {
    if (s->step != 0 || s->ext[0] == 1) return ir_const(e->ir, s->weights[0]);
    Ref table = ir_const_array(e->ir, 1, s->ext, s->weights);
    Index ix = {index->u.index.c[0], IX_EXACT, s->ext[0]};
    return ir_read(e->ir, table, &ix);
}

static const Value *elab_binder(Elab *e, Env *env, const Expr *x) {
    int kind = binder_kind(x->name), nstatic = 0, nsyms = 0, ndynamic = 0;
    const Bind *static_binds[MAX_ARGS];
    IndexSet *static_sets[MAX_ARGS], *dynamic[MAX_ARGS];
    Sym syms[IR_MAX_RANK];
    Ref weight = ir_const(e->ir, 1);
    bool bad = x->nbinds > MAX_ARGS;
    double count = 1;
    Env *outer = env;
    for (int i = 0; i < x->nbinds && !bad; i++) {
        const Bind *b = &x->binds[i];
        if (!b->name) {
            elab_error(e, "E0223", b->at, "a binder names its index: `%s[i in …]`", x->name);
            bad = true;
            break;
        }
        IndexSet *s = b->set ? elab_set(e, outer, b->set) : NULL;
        if (!b->set) {
            const Value *named = env_find(outer, b->name);
            if (named && named->kind == VK_SET) {
                Diag *d = elab_error(e, "E0223", b->at, "a binder names its index: `%s[x in %s]`", x->name, b->name);
                diag_label(&e->front->sink, d, named->u.set->at, "`%s` is an index set", b->name);
                bad = true;
                break;
            }
            s = elab_infer_set(e, outer, x->a, b->name, b->at);
        }
        if (!s) { bad = true; break; }
        if (set_is_static(s)) {
            static_binds[nstatic] = b;
            static_sets[nstatic++] = s;
            if (kind == BIND_INTEGRAL) {
                elab_error(e, "E0224", b->at, "an integral runs over a grid, and `%s` has no coordinates", s->name);
                bad = true;
            }
            continue;
        }
        if (nsyms + s->rank > IR_MAX_RANK) {
            elab_error(e, "E0219", x->at, "more than %d index components at once", IR_MAX_RANK);
            bad = true;
            break;
        }
        Value *index = (Value *)elab_enter(e, s, b->at);
        index->name = b->name;
        dynamic[ndynamic++] = s;
        for (int k = 0; k < s->rank; k++) syms[nsyms++] = aff_get(e->ir, index->u.index.c[k])->t[0].sym;
        env = env_bind(e, env, b->name, index);
        count *= (double)set_size(s);
        if (kind == BIND_INTEGRAL) {
            if (s->kind != SET_GRID) {
                Diag *d = elab_error(e, "E0224", b->at, "an integral runs over a grid, and `%s` has no coordinates", s->name);
                diag_label(&e->front->sink, d, s->at, "%s", set_describe(e->arena, s));
                diag_help(&e->front->sink, d, "use `sum`, or declare a grid");
                bad = true;
            } else weight = ir_binary(e->ir, SC_MUL, weight, quadrature_weight(e, s, index));
        }
    }
    const Value *terms = NULL, *v = bad ? value_error() : unroll(e, env, x, kind, nstatic, static_binds, static_sets, &terms);
    if (!v) v = value_const(e, binders[kind].empty, x->at), terms = value_const(e, 0, x->at);
    if (v->kind != VK_ERROR && kind == BIND_INTEGRAL)
        v = value_binary(e, OP_MUL, value_real(e, weight, x->at), v, x->at, x->at);
    if (v->kind != VK_ERROR) v = reduce_value(e, binders[kind].op, v, nsyms, syms, x->at);
    if (v->kind != VK_ERROR && kind == BIND_MEAN) {
        double per_point;
        const Value *total = value_is_const(e, terms, &per_point) ? value_const(e, per_point * count, x->at)
                                                                  : reduce_value(e, SC_ADD, terms, nsyms, syms, x->at);
        v = value_binary(e, OP_DIV, v, total, x->at, x->at);
    }
    while (ndynamic > 0) elab_leave(e, dynamic[--ndynamic]);
    return v;
}

/* sum(a), mean(a), …: over all elements of an array, or of every field of a tuple. */
const Value *elab_reduce_all(Elab *e, const char *which, const Value *v, Span at) {
    int kind = binder_kind(which);
    if (v->kind == VK_TUPLE) {
        const Value *acc = NULL;
        for (int i = 0; i < v->u.tuple.n; i++) {
            const Value *part = elab_reduce_all(e, which, v->u.tuple.items[i], at);
            if (part->kind == VK_ERROR) return part;
            if (!acc) acc = part;
            else if (kind == BIND_MAX || kind == BIND_MIN) acc = value_map2(e, binders[kind].op, acc, part, at);
            else acc = value_binary(e, binders[kind].combine, acc, part, at, at);
        }
        if (kind == BIND_MEAN && acc)
            acc = value_binary(e, OP_DIV, acc, value_const(e, v->u.tuple.n, at), at, at);
        return acc ? acc : value_error();
    }
    v = value_number(e, v, at, which);
    if (v->kind == VK_ERROR || v->u.num.nsets == 0) return v;
    if (v->u.num.boolean) return ELAB_FAIL(e, "E0205", at, "`%s` needs numbers, and this is a condition", which);
    Value flat = *v;
    flat.u.num.nsets = flat.u.num.nsyms = 0;
    const Value *out = reduce_value(e, binders[kind].op, &flat, v->u.num.nsyms, v->u.num.syms, at);
    if (out->kind == VK_ERROR || kind != BIND_MEAN) return out;
    double n = 1;
    for (int i = 0; i < v->u.num.nsets; i++) n *= (double)set_size(v->u.num.sets[i]);
    return value_binary(e, OP_DIV, out, value_const(e, n, at), at, at);
}

/* ---- array definitions ------------------------------------------------------------------------------------ */

/* The body with its static indices unrolled: select chains over their symbols. */
static const Value *array_body(Elab *e, Env *env, int n, const Bind *const *binds, IndexSet *const *sets,
                               const Sym *syms, const Expr *value,
                               const Value *(*make)(Elab *, Env *, const Expr *)) {
    if (n == 0) return make(e, env, value);
    const Value *acc = NULL;
    for (int64_t k = sets[0]->ext[0] - 1; k >= 0; k--) {
        Value *index = value_new(e, VK_INDEX, binds[0]->at);
        index->u.index.set = sets[0];
        index->u.index.c[0] = aff_const(e->ir, k);
        const Value *v = array_body(e, env_bind(e, env, binds[0]->name, index), n - 1, binds + 1, sets + 1, syms + 1, value, make);
        if (v->kind == VK_ERROR) return v;
        Index ix = {aff_sym(e->ir, syms[0]), IX_EXACT, 0};
        Ref here = ir_binary(e->ir, SC_EQ, ir_idx(e->ir, ix), ir_const(e->ir, (double)k));
        acc = acc ? value_select(e, value_real(e, here, value->at), v, acc, value->at) : v;
        if (acc->kind == VK_ERROR) return acc;
    }
    return acc;
}

/* The array whose elements are `body`, over the sets: of a tuple, the tuple of arrays; of
 * arrays over other sets, the array over both. */
static const Value *array_of(Elab *e, const Value *body, int n, IndexSet *const *sets, int nsyms, const Sym *syms, Span value_at_, Span at) {
    if (body->kind == VK_TUPLE) {
        const Value *items[MAX_ITEMS];
        for (int i = 0; i < body->u.tuple.n; i++) {
            items[i] = array_of(e, body->u.tuple.items[i], n, sets, nsyms, syms, value_at_, at);
            if (items[i]->kind == VK_ERROR) return items[i];
        }
        return value_tuple(e, body->u.tuple.n, items, at);
    }
    body = value_number(e, body, at, "an element of an array");
    if (body->kind == VK_ERROR) return body;
    bool twice = false;
    for (int i = 0; i < body->u.num.nsets; i++)
        for (int k = 0; k < n; k++) twice |= body->u.num.sets[i] == sets[k] && sets[k]->kind != SET_RANGE;   /* equal ranges are one set */
    if (twice) {
        Diag *d = elab_error(e, "E0225", value_at_, "an element must be a number, or an array over other sets, and this is %s", value_describe(e, body));
        diag_help(&e->front->sink, d, "give the array on the right its indices too: a[x] = b[x]");
        return value_error();
    }
    if (n + body->u.num.nsets > MAX_SETS || nsyms + body->u.num.nsyms > IR_MAX_RANK)
        return ELAB_FAIL(e, "E0219", at, "more than %d index components at once", IR_MAX_RANK);
    Value v = *body;
    v.origin = at;
    v.nuses = 0;
    v.u.num.nsets = n + body->u.num.nsets, v.u.num.nsyms = nsyms + body->u.num.nsyms;
    memcpy(v.u.num.sets, sets, (size_t)n * sizeof *sets);
    memcpy(v.u.num.sets + n, body->u.num.sets, (size_t)body->u.num.nsets * sizeof *sets);
    memcpy(v.u.num.syms, syms, (size_t)nsyms * sizeof *syms);
    memcpy(v.u.num.syms + nsyms, body->u.num.syms, (size_t)body->u.num.nsyms * sizeof *syms);
    return value_close(e, &v);
}

const Value *elab_array(Elab *e, Env *env, int nbinds, const Bind *binds, const Expr *value,
                        const Value *(*make)(Elab *, Env *, const Expr *), Span at) {
    IndexSet *sets[MAX_SETS], *static_sets[MAX_SETS];
    const Bind *static_binds[MAX_SETS];
    Sym syms[IR_MAX_RANK], static_syms[MAX_SETS], prefix[IR_MAX_RANK];
    int n = 0, nsyms = 0, nstatic = 0, nprefix = e->active.n;
    double total = 1;
    bool bad = nbinds > MAX_SETS || nprefix > IR_MAX_RANK;
    if (bad) elab_error(e, "E0219", at, "more than %d indices at once", nbinds > MAX_SETS ? MAX_SETS : IR_MAX_RANK);
    if (!bad && nprefix) memcpy(prefix, e->active.data, (size_t)nprefix * sizeof *prefix);
    Env *outer = env;
    for (int i = 0; i < nbinds && !bad; i++) {
        IndexSet *s = NULL;
        const char *name = binds[i].name;
        if (binds[i].set) s = elab_set(e, outer, binds[i].set);
        else {
            const Value *named = env_find(outer, name);
            if (named && named->kind == VK_SET) s = named->u.set, name = NULL;
            else s = elab_infer_set(e, outer, value, name, binds[i].at);
        }
        if (!s) { bad = true; break; }
        total *= (double)set_size(s);
        if (total > 2147483648.0) {
            elab_error(e, "E0233", at, "this array has %.3g elements or more, and 2^31 is the limit", total);
            bad = true;
        } else if (nsyms + s->rank > IR_MAX_RANK - nprefix) {
            elab_error(e, "E0219", at, "more than %d index components at once", IR_MAX_RANK);
            bad = true;
        }
        if (bad) break;
        Value *index = (Value *)elab_enter(e, s, binds[i].at);
        index->name = name;
        if (set_is_static(s) && name) {
            static_syms[nstatic] = aff_get(e->ir, index->u.index.c[0])->t[0].sym;
            static_binds[nstatic] = &binds[i];
            static_sets[nstatic++] = s;
        } else if (name) env = env_bind(e, env, name, index);
        for (int k = 0; k < s->rank; k++) syms[nsyms++] = aff_get(e->ir, index->u.index.c[k])->t[0].sym;
        sets[n++] = s;
    }
    const Value *body = bad ? value_error() : array_body(e, env, nstatic, static_binds, static_sets, static_syms, value, make);
    for (int i = n - 1; i >= 0; i--) elab_leave(e, sets[i]);
    return array_of(e, body, n, sets, nsyms, syms, value->at, at);
}

/* ---- expectations -------------------------------------------------------------------------------------------- */

#include "expect.h"

static const Value *elab_expectation(Elab *e, Env *env, const Expr *x) {
    if (x->nbinds != 1) return ELAB_FAIL(e, "E0226", x->at, "E[…] takes one expression");
    return expectation(e, env, x->binds[0].set, x->at);
}

/* ---- the dispatcher --------------------------------------------------------------------------------------------- */

static const Value *elab_in(Elab *e, Env *env, const Expr *x) {
    const Value *v = elab_expr(e, env, x->a);
    IndexSet *s = elab_set(e, env, x->b);
    if (!s || v->kind == VK_ERROR) return value_error();
    if (v->kind != VK_INDEX || v->u.index.set != s)
        return ELAB_FAIL(e, "E0210", x->at, "`in` asks whether an index of `%s` is inside it, and this is %s", s->name, value_describe(e, v));
    Ref r = ir_bool(e->ir, true);
    for (int i = 0; i < s->rank; i++)
        if (s->mode[i] == IX_ZERO) r = ir_binary(e->ir, SC_AND, r, ir_inrange(e->ir, v->u.index.c[i], s->ext[i]));
    return value_real(e, r, x->at);
}

static const Value *elab_if(Elab *e, Env *env, const Expr *x) {
    const Value *c = elab_expr(e, env, x->a);
    double known;
    if (c->kind == VK_ERROR) return c;
    if (value_is_const(e, c, &known) && c->u.num.boolean) return elab_expr(e, env, known != 0 ? x->b : x->c);
    const Value *a = elab_expr(e, env, x->b), *b = elab_expr(e, env, x->c);
    return value_select(e, c, a, b, x->at);
}

static const Value *elab_tuple(Elab *e, Env *env, const Expr *x) {
    const Value *items[MAX_ITEMS];
    if (x->n > MAX_ITEMS) return ELAB_FAIL(e, "E0209", x->at, "a tuple of more than %d components", MAX_ITEMS);
    for (int i = 0; i < x->n; i++) {
        items[i] = elab_expr(e, env, x->list[i]);
        if (items[i]->kind == VK_ERROR) return items[i];
    }
    return value_tuple(e, x->n, items, x->at);
}

/* Definitions are specialised at every use, so a short text may mean a huge program. */
static const Value *too_large(Elab *e, const Expr *x) {
    if (e->exhausted) return value_error();
    e->exhausted = true;
    int calls = e->ncalls;
    Span at = calls ? e->call_at[0] : x->at;        /* the use that is too much, wherever in it the limit was met */
    e->ncalls = 0;
    Diag *d = elab_error(e, "E0302", at, e->nesting > MAX_NESTING ? "calls and expressions are nested more than %lld levels deep here"
                         : e->work > e->work_limit ? "writing out all calls takes more than %lld expressions"
                                                   : "the program grows beyond %lld operations here",
                         e->nesting > MAX_NESTING ? (long long)MAX_NESTING : (long long)(e->work > e->work_limit ? e->work_limit : e->nodes_limit));
    e->ncalls = calls;
    diag_help(&e->front->sink, d, "give a value that is used twice a name in a block, and repeat with `repeat n { … }` or a binder");
    return value_error();
}

static const Value *elab_kind(Elab *e, Env *env, const Expr *x) {
    switch (x->kind) {
    case EX_ERROR: return value_error();
    case EX_NUM: return value_const(e, x->num, x->at);
    case EX_BOOL: return value_bool(e, x->num != 0, x->at);
    case EX_IMAG: return value_complex(e, ir_const(e->ir, 0), ir_const(e->ir, x->num), x->at);
    case EX_STR: {
        Value *v = value_new(e, VK_STR, x->at);
        v->u.str = x->name;
        return v;
    }
    case EX_NAME: return elab_name(e, env, x);
    case EX_CALL: return elab_call_expr(e, env, x);
    case EX_INDEX: return elab_index(e, env, x);
    case EX_MEMBER: return elab_member(e, env, x);
    case EX_UNARY: return value_unary(e, x->op, elab_expr(e, env, x->a), x->at);
    case EX_BINARY:
        if (x->op == OP_IN) return elab_in(e, env, x);
        {
            const Value *a = elab_expr(e, env, x->a), *b = elab_expr(e, env, x->b);
            if (x->op == OP_COMPOSE) return function_compose(e, a, b, x->at);
            if (x->op == OP_POW && a->kind == VK_FUNC) return function_power(e, a, b, x->at);
            e->operand_of = x->at, e->operand[0] = x->a->at, e->operand[1] = x->b->at;
            return value_binary(e, x->op, a, b, x->at, x->op_at);
        }
    case EX_IF: return elab_if(e, env, x);
    case EX_BINDER: return elab_binder(e, env, x);
    case EX_TUPLE: return elab_tuple(e, env, x);
    case EX_RANGE:
        return ELAB_FAIL(e, "E0203", x->at, "a range stands only where an index set is expected");
    }
    return value_error();
}

const Value *elab_expr(Elab *e, Env *env, const Expr *x) {
    e->nesting++;
    bool large = e->ir->nodes.n > e->nodes_limit || ++e->work > e->work_limit || e->nesting > MAX_NESTING;
    const Value *v = large ? too_large(e, x) : elab_kind(e, env, x);
    e->nesting--;
    return v;
}
