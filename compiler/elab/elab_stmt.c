/* elab_stmt.c — blocks (language reference §6): names bound again make new values,
 * and a loop carries exactly the names that its body binds again. */
#include "elab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PARTS (MAX_ITEMS + 64)
#define MAX_TRIP 100000000

/* The state of running a block. */
typedef struct Run {
    Env  *env;
    const Value *returned;     /* set by `return` */
    Span  returned_at;
    bool  failed;
    int   loops;               /* nesting of loops that were not unrolled */
} Run;

static void run_block(Elab *e, Run *r, const Block *b);

static void fail(Run *r) { r->failed = true; }

static void bind(Elab *e, Run *r, const char *name, const Value *v, Span at) {
    if (v->kind == VK_NUM || v->kind == VK_TUPLE) v = value_close(e, v);
    if (v->kind == VK_ERROR) fail(r);
    if (v->kind == VK_NUM) {
        Value *named = value_new(e, VK_NUM, at);
        named->u = v->u;
        named->name = name;
        v = named;
    }
    r->env = env_bind(e, r->env, name, v);
}

/* ---- draws ------------------------------------------------------------------------------------ */

/* The counter of a site: its number in row-major order over the active symbols and
 * the array's own. */
static Aff site_counter(Elab *e, const Value *shape) {
    Aff a = aff_const(e->ir, 0);
    int64_t n;
    for (int i = 0; i < e->active.n + shape->u.num.nsyms; i++) {
        Sym s = i < e->active.n ? e->active.data[i] : shape->u.num.syms[i - e->active.n];
        n = elab_sym_extent(e, s);
        a = aff_add(e->ir, aff_scale(e->ir, a, n), aff_sym(e->ir, s));
    }
    return a;
}

static Ref draw_node(Elab *e, const Value *shape, bool normal, Span at) {
    uint32_t number = (uint32_t)e->ir->draw_at.n;
    vec_push(&e->ir->draw_at, at);
    return ir_rand(e->ir, number, normal, site_counter(e, shape), e->iteration);
}

static const Value *draw_real(Elab *e, DistKind kind, const Value *a, const Value *b, Span at) {
    const Value *shape = a->u.num.nsets >= b->u.num.nsets ? a : b;
    Value *noise = value_new(e, VK_NUM, at);
    noise->u.num = shape->u.num;
    noise->u.num.complex = noise->u.num.boolean = false;
    noise->u.num.im = 0;
    noise->u.num.re = draw_node(e, shape, kind == DIST_NORMAL, at);
    switch (kind) {
    case DIST_NORMAL: return value_binary(e, OP_ADD, a, value_binary(e, OP_MUL, b, noise, at, at), at, at);
    case DIST_UNIFORM: return value_binary(e, OP_ADD, a, value_binary(e, OP_MUL, value_binary(e, OP_SUB, b, a, at, at), noise, at, at), at, at);
    default: return value_unary(e, OP_NEG, value_binary(e, OP_DIV, value_map1(e, SC_LOG, noise, at), a, at, at), at);
    }
}

static const Value *draw_like(Elab *e, DistKind kind, const Value *a, const Value *b, Span at) {
    if (a->kind == VK_TUPLE || b->kind == VK_TUPLE) {
        const Value *items[MAX_ITEMS], *t = a->kind == VK_TUPLE ? a : b;
        for (int i = 0; i < t->u.tuple.n; i++) {
            items[i] = draw_like(e, kind, a->kind == VK_TUPLE ? a->u.tuple.items[i] : a, b->kind == VK_TUPLE ? b->u.tuple.items[i] : b, at);
            if (items[i]->kind == VK_ERROR) return items[i];
        }
        return value_tuple(e, t->u.tuple.n, items, at);
    }
    if (b->u.num.complex) return ELAB_FAIL(e, "E0206", at, "the width of a distribution is a real number");
    if (!a->u.num.complex) return draw_real(e, kind, a, b, at);
    const Value *i = value_complex(e, ir_const(e->ir, 0), ir_const(e->ir, 1), at);
    const Value *re = draw_real(e, kind, value_part(e, a, false), b, at), *im = draw_real(e, kind, value_part(e, a, true), b, at);
    return value_binary(e, OP_ADD, re, value_binary(e, OP_MUL, i, im, at, at), at, at);
}

const Value *elab_draw(Elab *e, const Value *dist, Span at) {
    if (dist->kind == VK_ERROR) return dist;
    if (dist->kind != VK_DIST) {
        Diag *d = elab_error(e, "E0307", at, "right of `~` stands a distribution, and this is %s", value_describe(e, dist));
        diag_help(&e->front->sink, d, "for example `normal(0, 1)` or `uniform(0, 1)`");
        return value_error();
    }
    return value_close(e, draw_like(e, dist->u.dist.kind, dist->u.dist.a, dist->u.dist.b, at));
}

/* What stands right of `~`: a distribution, or the call of a function that draws, which is
 * a distribution of the user's own; what it returns is the draw. */
static const Value *draw_from(Elab *e, Env *env, const Expr *x) {
    int draws = e->ir->draw_at.n;
    const Value *v = elab_expr(e, env, x);
    bool drawn = x->kind == EX_CALL && e->ir->draw_at.n > draws && v->kind != VK_DIST;
    return drawn ? v : elab_draw(e, v, x->at);
}

/* ---- let, draw, state --------------------------------------------------------------------------- */

static void bind_names(Elab *e, Run *r, const Stmt *s, const Value *v) {
    if (v->kind == VK_ERROR) fail(r);
    if (s->nnames == 1 || v->kind == VK_ERROR) {
        for (int i = 0; i < s->nnames; i++) bind(e, r, s->names[i], v, s->name_at[i]);
        return;
    }
    if (v->kind != VK_TUPLE || v->u.tuple.n != s->nnames) {
        elab_error(e, "E0303", s->at, "%d names on the left, and %s on the right", s->nnames, value_describe(e, v));
        fail(r);
        return;
    }
    for (int i = 0; i < s->nnames; i++) bind(e, r, s->names[i], v->u.tuple.items[i], s->name_at[i]);
}

static void run_let(Elab *e, Run *r, const Stmt *s) {
    const Value *v = s->nbinds ? elab_array(e, r->env, s->nbinds, s->binds, s->value, elab_expr, s->name_at[0])
                               : elab_expr(e, r->env, s->value);
    bind_names(e, r, s, v);
}

static void run_draw(Elab *e, Run *r, const Stmt *s) {
    const Value *v = s->nbinds ? elab_array(e, r->env, s->nbinds, s->binds, s->value, draw_from, s->name_at[0])
                               : draw_from(e, r->env, s->value);
    if (s->nnames > 1 && v->kind != VK_TUPLE && v->kind != VK_ERROR) {
        for (int i = 0; i < s->nnames; i++)          /* a, b ~ normal(): one draw each */
            bind(e, r, s->names[i], i ? draw_from(e, r->env, s->value) : v, s->name_at[i]);
        return;
    }
    bind_names(e, r, s, v);
}

/* Inputs that stand for a value that enters a step from outside. */
const Value *elab_input_like(Elab *e, const char *name, const Value *like, Span at) {
    Ref parts[2] = {0, 0};
    int64_t dims[IR_MAX_RANK];
    for (int i = 0; i < like->u.num.nsyms; i++) dims[i] = elab_sym_extent(e, like->u.num.syms[i]);
    for (int p = 0; p < (like->u.num.complex ? 2 : 1); p++)
        parts[p] = ir_input(e->ir, like->u.num.complex ? arena_printf(e->arena, "%s.%s", name, p ? "im" : "re") : name,
                            like->u.num.nsyms, dims, false, like->u.num.boolean);
    return value_array(e, parts[0], parts[1], 0, NULL, like->u.num.nsets, like->u.num.sets, at);
}

/* The value of a state variable at the beginning of a step: inputs like its initial value,
 * one for each component of a tuple; NULL when it is none of these. */
static const Value *add_states(Elab *e, const char *name, const Value *init, Span at) {
    const Value *in[MAX_ITEMS];
    bool tuple = init->kind == VK_TUPLE;
    int n = tuple ? init->u.tuple.n : 1;
    for (int i = 0; i < n; i++)
        if ((tuple ? init->u.tuple.items[i] : init)->kind != VK_NUM) return NULL;
    for (int i = 0; i < n; i++) {
        const Value *part = tuple ? init->u.tuple.items[i] : init;
        in[i] = elab_input_like(e, tuple ? arena_printf(e->arena, "%s.%d", name, i) : name, part, at);
        StateVar v = {name, at, part, in[i], NULL, tuple ? i : -1, n};
        vec_push(&e->frame->states, v);
    }
    return value_tuple(e, n, in, at);
}

static void run_state(Elab *e, Run *r, const Stmt *s) {
    if (!e->frame || r->loops || e->depth > 0) {
        elab_error(e, "E0304", s->at, "`state` belongs directly into the body of a sampler");
        fail(r);
        return;
    }
    const Value *init = s->nbinds ? elab_array(e, r->env, s->nbinds, s->binds, s->value, elab_expr, s->name_at[0])
                                  : value_close(e, elab_expr(e, r->env, s->value));
    if (init->kind == VK_INDEX) init = value_number(e, init, s->at, "`state`");
    const Value *in = init->kind == VK_ERROR ? init : add_states(e, s->names[0], init, s->at);
    if (!in) in = ELAB_FAIL(e, "E0304", s->value->at, "a state variable is a number, an array, or a tuple of them, and this is %s", value_describe(e, init));
    bind(e, r, s->names[0], in, s->name_at[0]);
}

/* ---- weights and the end of a minimisation --------------------------------------------------------- */

/* The start of a weight knows nothing of the indices and loops around the layer. */
static void run_weight(Elab *e, Run *r, const Stmt *s) {
    Sym active[IR_MAX_RANK];
    int n = e->active.n;
    if (n > IR_MAX_RANK || s->nnames != 1) {
        elab_error(e, "E0332", s->at, "`weight` declares one array at a time, under at most %d indices", IR_MAX_RANK);
        fail(r);
        return;
    }
    if (n) memcpy(active, e->active.data, (size_t)n * sizeof *active);
    Aff iteration = e->iteration;
    e->active.n = 0, e->iteration = aff_const(e->ir, 0);
    const Value *(*make)(Elab *, Env *, const Expr *) = s->drawn ? draw_from : elab_expr;
    const Value *init = s->nbinds ? elab_array(e, r->env, s->nbinds, s->binds, s->value, make, s->name_at[0]) : make(e, r->env, s->value);
    if (init->kind == VK_INDEX) init = value_number(e, init, s->at, "`weight`");
    if (init->kind == VK_NUM) init = value_close(e, init);
    e->active.n = n, e->iteration = iteration;
    if (n) memcpy(e->active.data, active, (size_t)n * sizeof *active);
    if (r->loops && init->kind != VK_ERROR)
        init = ELAB_FAIL(e, "E0332", s->at, "a layer with weights cannot be applied in a loop: each application has weights of its own");
    bind(e, r, s->names[0], elab_weight(e, s->names[0], init, s->at), s->name_at[0]);
}

/* The hidden name of a step's wish to be the last one. */
static const char *stop_name(void) { return intern("stop.now"); }

static void run_stop(Elab *e, Run *r, const Stmt *s) {
    if (!e->frame || !e->step || r->loops || e->depth > 0) {
        elab_error(e, "E0304", s->at, "`stop` belongs directly into the body of an optimizer, outside loops");
        fail(r);
        return;
    }
    const Value *c = elab_expr(e, r->env, s->value);
    if (c->kind == VK_ERROR) { fail(r); return; }
    if (c->kind != VK_NUM || !c->u.num.boolean || c->u.num.nsets) {
        elab_error(e, "E0205", s->value->at, "`stop if` needs a condition, and this is %s", value_describe(e, c));
        fail(r);
        return;
    }
    Monitor m = {stop_name(), value_select(e, c, value_const(e, 1, s->at), value_const(e, 0, s->at), s->at), false};
    vec_push(&e->frame->monitors, m);
}

/* ---- accept, monitor, claims ----------------------------------------------------------------------- */

static const char *tries_name, *accepted_name, *ratio_name;   /* hidden names that loops carry */

static void intern_hidden(void) {
    tries_name = intern("accept.tries");
    accepted_name = intern("accept.accepted");
    ratio_name = intern("accept.ratio");
}

static void add_to(Elab *e, Run *r, const char *name, const Value *v, Span at) {
    const Value *old = env_find(r->env, name);
    r->env = env_bind(e, r->env, name, value_binary(e, OP_ADD, old, v, at, at));
}

/* The proposal replaces the state with probability min(1, ratio). */
static void run_accept(Elab *e, Run *r, const Stmt *s) {
    if (!e->frame || e->depth > 0) {
        elab_error(e, "E0304", s->at, "`accept` belongs into the body of a sampler");
        fail(r);
        return;
    }
    const Value *proposal = value_close(e, elab_expr(e, r->env, s->value)), *ratio = elab_expr(e, r->env, s->limit);
    const Value *q = env_find(r->env, e->frame->q_name);
    if (proposal->kind == VK_ERROR || ratio->kind == VK_ERROR) { fail(r); return; }
    if (!value_same_shape(q, proposal)) {
        Diag *d = elab_error(e, "E0308", s->value->at, "the proposal is %s, and the state is %s", value_describe(e, proposal), value_describe(e, q));
        diag_help(&e->front->sink, d, "a proposal has the shape of the sampler's second argument, `%s`", e->frame->q_name);
        fail(r);
        return;
    }
    if (ratio->kind != VK_NUM || ratio->u.num.nsets || ratio->u.num.complex || ratio->u.num.boolean) {
        elab_error(e, "E0308", s->limit->at, "an acceptance ratio is one real number, and this is %s", value_describe(e, ratio));
        fail(r);
        return;
    }
    Value *shape = value_new(e, VK_NUM, s->at);
    Ref u = draw_node(e, shape, false, s->at);
    const Value *yes = value_real(e, ir_binary(e->ir, SC_LT, u, ratio->u.num.re), s->at);
    const Value *one = value_const(e, 1, s->at), *zero = value_const(e, 0, s->at);
    bind(e, r, e->frame->q_name, value_select(e, yes, proposal, q, s->at), s->at);
    add_to(e, r, tries_name, one, s->at);
    add_to(e, r, accepted_name, value_select(e, yes, one, zero, s->at), s->at);
    add_to(e, r, ratio_name, ratio, s->at);
    r->env = env_bind(e, r->env, intern("accepted"), yes);
    e->frame->naccepts++;
}

static void run_monitor(Elab *e, Run *r, const Stmt *s) {
    if (!e->frame || r->loops || e->depth > 0) {
        elab_error(e, "E0304", s->at, "`monitor` belongs directly into the body of a sampler, outside loops");
        fail(r);
        return;
    }
    const Value *v = elab_expr(e, r->env, s->value);
    if (v->kind != VK_ERROR) v = value_number(e, v, s->value->at, "`monitor`");
    if (v->kind == VK_ERROR) { fail(r); return; }
    if (v->u.num.nsets || v->u.num.complex) {
        elab_error(e, "E0309", s->value->at, "`monitor` watches one real number, and this is %s", value_describe(e, v));
        fail(r);
        return;
    }
    if (s->limit && strcmp(s->limit->name, "tail") != 0) {
        Diag *d = elab_error(e, "E0317", s->limit->at, "a monitor has no test called `%s`", s->limit->name);
        diag_help(&e->front->sink, d, "`with tail` asks whether its distribution falls off exponentially or faster");
        fail(r);
        return;
    }
    Text t = {0};
    ast_print_expr(s->value, &t);
    Monitor m = {s->nnames ? s->names[0] : arena_strndup(e->arena, t.s, t.n), v, s->limit != NULL};
    text_free(&t);
    vec_push(&e->frame->monitors, m);
}

/* ---- warnings ---------------------------------------------------------------------------------------- */

/* The hidden name of a warning: 1 once it was met in this step. */
static const char *warning_name(Elab *e, const Stmt *s) {
    return intern(arena_printf(e->arena, "warn.%u.%u", s->at.file, s->at.lo));
}

static void run_warn(Elab *e, Run *r, const Stmt *s) {
    if (!e->frame || e->depth > 0) {
        elab_error(e, "E0304", s->at, "`warn` belongs into the body of a sampler");
        fail(r);
        return;
    }
    r->env = env_bind(e, r->env, warning_name(e, s), value_const(e, 1, s->at));
}

/* No warning has been met when a step begins. */
static Env *bind_warnings(Elab *e, Env *env, const Block *b) {
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->stmts[i];
        if (s->kind == ST_WARN) env = env_bind(e, env, warning_name(e, s), value_const(e, 0, s->at));
        env = bind_warnings(e, bind_warnings(e, env, &s->body), &s->orelse);
    }
    return env;
}

/* Those that some step may meet; one that depends on the run is counted by a monitor. */
static void collect_warnings(Elab *e, Env *env, const Block *b) {
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->stmts[i];
        collect_warnings(e, env, &s->body);
        collect_warnings(e, env, &s->orelse);
        if (s->kind != ST_WARN) continue;
        const Value *met = env_find(env, warning_name(e, s));
        double known;
        Warning w = {warning_name(e, s), s->value->name, value_is_const(e, met, &known)};
        if (w.always && known == 0) continue;
        vec_push(&e->frame->warnings, w);
        if (w.always) continue;
        Monitor m = {w.name, met, false};
        vec_push(&e->frame->monitors, m);
    }
}

static const Value *largest_difference(Elab *e, const Value *a, const Value *b, Span at) {
    const Value *d = value_binary(e, OP_SUB, a, b, at, at);
    if (d->kind == VK_ERROR) return d;
    int b_abs = builtin_find("abs");
    d = builtin_call(e, b_abs, 1, &d, &at, at);
    return d->kind == VK_ERROR ? d : elab_reduce_all(e, "max", d, at);
}

/* q1, p1 = reversible f(…, q, p): the claim that f takes (q1, -p1) back to (q, -p).
 * `lqft check` measures it; a run just calls f. */
static void run_claim(Elab *e, Run *r, const Stmt *s) {
    const Expr *x = s->value;
    const Value *args[16], *opts[16];
    Span at[16];
    if (x->kind != EX_CALL || x->n < s->nnames || x->n > 16 || x->nopts > 16) {
        elab_error(e, "E0310", x->at, "`reversible` stands before a call whose last arguments are what it maps");
        fail(r);
        return;
    }
    const Value *f = elab_expr(e, r->env, x->a);
    bool bad = f->kind == VK_ERROR;
    if (!bad && f->kind != VK_FUNC) {
        elab_error(e, "E0202", x->a->at, "%s cannot be called like a function", value_describe(e, f));
        bad = true;
    }
    for (int i = 0; i < x->n; i++) args[i] = elab_expr(e, r->env, x->list[i]), at[i] = x->list[i]->at, bad |= args[i]->kind == VK_ERROR;
    for (int i = 0; i < x->nopts; i++) opts[i] = elab_expr(e, r->env, x->opts[i].value), bad |= opts[i]->kind == VK_ERROR;
    const Value *v = bad ? value_error() : elab_call(e, f, x->n, args, at, x->nopts, x->opts, opts, x->at);
    v = value_close(e, v);
    bind_names(e, r, s, v);
    if (r->failed || !e->frame || !e->frame->claims || v->kind == VK_ERROR) return;
    int k = s->nnames, first = x->n - k;
    const Value *start[16], *forward[16];
    for (int i = 0; i < k; i++) {
        start[i] = args[first + i];
        forward[i] = k == 1 ? v : v->u.tuple.items[i];
        args[first + i] = i == k - 1 && k > 1 ? value_unary(e, OP_NEG, forward[i], s->at) : forward[i];
    }
    const Value *back = elab_call(e, f, x->n, args, at, x->nopts, x->opts, opts, x->at);
    if (back->kind == VK_ERROR) { fail(r); return; }
    const Value *worst = value_const(e, 0, s->at);
    for (int i = 0; i < k; i++) {
        const Value *b = k == 1 ? back : back->u.tuple.items[i];
        if (i == k - 1 && k > 1) b = value_unary(e, OP_NEG, b, s->at);
        const Value *d = largest_difference(e, b, start[i], s->at);
        if (d->kind == VK_ERROR) { fail(r); return; }
        worst = value_map2(e, SC_MAX, worst, d, s->at);
    }
    Monitor m = {"reversibility", worst, false};
    vec_push(&e->frame->monitors, m);
}

/* ---- loops --------------------------------------------------------------------------------------------- */

typedef VEC(const char *) Names;

static void add_name(Names *n, const char *name) {
    for (int i = 0; i < n->n; i++)
        if (n->data[i] == name) return;
    vec_push(n, name);
}

/* The names that a block binds, with those that accept binds behind the scenes. */
static void bound_names(Elab *e, const Block *b, Names *out) {
    for (int i = 0; i < b->n; i++) {
        const Stmt *s = b->stmts[i];
        if (s->kind == ST_LET || s->kind == ST_DRAW || s->kind == ST_CLAIM || s->kind == ST_WEIGHT || s->kind == ST_STATE)
            for (int k = 0; k < s->nnames; k++) add_name(out, s->names[k]);
        if (s->kind == ST_ACCEPT && e->frame) {
            add_name(out, e->frame->q_name);
            add_name(out, tries_name);
            add_name(out, accepted_name);
            add_name(out, ratio_name);
        }
        if (s->kind == ST_WARN) add_name(out, warning_name(e, s));
        bound_names(e, &s->body, out);
        bound_names(e, &s->orelse, out);
    }
}

typedef struct Carried {
    Names names;
    const Value *init[MAX_PARTS];
    Ref   nodes[MAX_PARTS];           /* initial values of all parts */
    int   nparts;
} Carried;

static bool is_data(const Value *v) {
    if (v->kind == VK_TUPLE) {
        for (int i = 0; i < v->u.tuple.n; i++)
            if (!is_data(v->u.tuple.items[i])) return false;
        return true;
    }
    return v->kind == VK_NUM;
}

static bool flatten(Elab *e, const Value *v, bool complex, int nprefix, const Sym *prefix, Ref *out, int *n) {
    if (v->kind == VK_TUPLE) {
        for (int i = 0; i < v->u.tuple.n; i++)
            if (!flatten(e, v->u.tuple.items[i], complex, nprefix, prefix, out, n)) return false;
        return true;
    }
    if (*n + 2 > MAX_PARTS) return false;
    out[(*n)++] = value_node_over(e, v, false, nprefix, prefix);
    if (v->u.num.complex) out[(*n)++] = value_node_over(e, v, true, nprefix, prefix);
    return true;
}

static const Value *unflatten(Elab *e, const Value *like, const Ref *nodes, int *next, int nprefix, const Sym *prefix) {
    if (like->kind == VK_TUPLE) {
        const Value *items[MAX_ITEMS];
        for (int i = 0; i < like->u.tuple.n; i++) items[i] = unflatten(e, like->u.tuple.items[i], nodes, next, nprefix, prefix);
        return value_tuple(e, like->u.tuple.n, items, like->origin);
    }
    Ref re = nodes[(*next)++], im = like->u.num.complex ? nodes[(*next)++] : 0;
    return value_array(e, re, im, nprefix, prefix, like->u.num.nsets, like->u.num.sets, like->origin);
}

static const Value *as_complex(Elab *e, const Value *v) {
    if (v->kind == VK_TUPLE || v->u.num.complex) return v;
    Value *out = value_new(e, VK_NUM, v->origin);
    out->u.num = v->u.num;
    out->u.num.im = ir_const(e->ir, 0);
    out->u.num.complex = true;
    return out;
}

/* Does the value after an iteration fit the one before?  A real carry that becomes
 * complex is promoted and the loop elaborated again. */
typedef enum Fit { FIT_OK, FIT_PROMOTE, FIT_BAD } Fit;

static Fit carry_fits(const Value *before, const Value *after) {
    if (!value_same_shape(before, after)) return FIT_BAD;
    if (before->kind == VK_TUPLE) {
        for (int i = 0; i < before->u.tuple.n; i++)
            if (carry_fits(before->u.tuple.items[i], after->u.tuple.items[i]) != FIT_OK) return FIT_BAD;
        return FIT_OK;
    }
    if (before->u.num.boolean != after->u.num.boolean) return FIT_BAD;
    return after->u.num.complex && !before->u.num.complex ? FIT_PROMOTE : FIT_OK;
}

static void carry_mismatch(Elab *e, Run *r, const char *name, const Value *before, const Value *after, Span at) {
    Diag *d = elab_error(e, "E0305", after->origin.hi ? after->origin : at, "`%s` is %s before the loop and %s after one round", name,
                         value_describe(e, before), value_describe(e, after));
    diag_label(&e->front->sink, d, before->origin, "before the loop");
    if (after->kind == VK_NUM && before->kind == VK_NUM && after->u.num.nsets > before->u.num.nsets)
        diag_help(&e->front->sink, d, "start it as an array: `%s = 0*a` for an array a of the same shape", name);
    fail(r);
}

typedef struct LoopForm { int64_t trip; const Stmt *stmt; IndexSet *set; bool whilst; } LoopForm;

/* One attempt; returns false when a carry had to be promoted to complex. */
static bool run_loop_once(Elab *e, Run *r, const LoopForm *form, Carried *c) {
    const Stmt *s = form->stmt;
    int nprefix = e->active.n;
    Sym prefix[IR_MAX_RANK];
    if (nprefix) memcpy(prefix, e->active.data, (size_t)nprefix * sizeof *prefix);
    int64_t no_dims[1];
    c->nparts = 0;
    for (int i = 0; i < c->names.n; i++)
        if (!flatten(e, c->init[i], false, nprefix, prefix, c->nodes, &c->nparts)) {
            elab_error(e, "E0305", s->at, "a loop carries more than %d arrays", MAX_PARTS);
            fail(r);
            return true;
        }
    int active = -1;
    if (form->whilst) {
        active = c->nparts;
        int64_t dims[IR_MAX_RANK];
        for (int i = 0; i < nprefix; i++) dims[i] = elab_sym_extent(e, prefix[i]);
        c->nodes[c->nparts++] = ir_map(e->ir, nprefix, nprefix ? dims : no_dims, ir_bool(e->ir, true));
    }
    uint32_t loop = ir_loop_new(e->ir, form->trip, s->at);
    Ref carry[MAX_PARTS], next[MAX_PARTS];
    for (int i = 0; i < c->nparts; i++) carry[i] = ir_carry(e->ir, loop, i, c->nodes[i]);

    Aff outer_iteration = e->iteration;
    int64_t outer_count = e->iterations;
    e->iteration = aff_add(e->ir, aff_scale(e->ir, outer_iteration, form->trip), aff_sym(e->ir, SYM_LOOP + loop));
    e->iterations = outer_count * form->trip;
    Run body = {.env = r->env, .loops = r->loops + 1};
    int k = 0;
    const Value *before[MAX_PARTS];
    for (int i = 0; i < c->names.n; i++) {
        before[i] = unflatten(e, c->init[i], carry, &k, nprefix, prefix);
        body.env = env_bind(e, body.env, c->names.data[i], before[i]);
    }
    if (form->set) {
        Value *t = value_new(e, VK_INDEX, s->at);
        t->u.index.set = form->set;
        t->u.index.c[0] = aff_sym(e->ir, SYM_LOOP + loop);
        t->name = s->binds[0].name;
        body.env = env_bind(e, body.env, s->binds[0].name, t);
    }
    const Value *go = NULL;
    if (form->whilst) {
        const Value *cond = elab_expr(e, body.env, s->value);
        Index ix[IR_MAX_RANK];
        for (int i = 0; i < nprefix; i++) ix[i] = (Index){aff_sym(e->ir, prefix[i]), IX_EXACT, elab_sym_extent(e, prefix[i])};
        if (cond->kind != VK_NUM || !cond->u.num.boolean || cond->u.num.nsets) {
            if (cond->kind != VK_ERROR) elab_error(e, "E0205", s->value->at, "`repeat while` needs a condition, and this is %s", value_describe(e, cond));
            fail(r);
        } else {
            go = value_real(e, ir_binary(e->ir, SC_AND, ir_read(e->ir, carry[active], ix), cond->u.num.re), s->at);
        }
    }
    if (!r->failed) run_block(e, &body, &s->body);
    e->iteration = outer_iteration;
    e->iterations = outer_count;
    if (body.returned) {
        elab_error(e, "E0306", s->at, "`return` stands at the end of a function, not inside a loop");
        fail(r);
    }
    r->failed |= body.failed;
    if (r->failed) return true;
    int m = 0;
    for (int i = 0; i < c->names.n; i++) {
        const Value *after = env_find(body.env, c->names.data[i]);
        Fit fit = carry_fits(before[i], after);
        if (fit == FIT_BAD) { carry_mismatch(e, r, c->names.data[i], c->init[i], after, s->at); return true; }
        if (fit == FIT_PROMOTE) { c->init[i] = as_complex(e, c->init[i]); return false; }
        if (before[i]->kind == VK_NUM && before[i]->u.num.complex) after = as_complex(e, after);
        if (go) after = value_select(e, go, after, before[i], s->at);
        if (before[i]->kind == VK_NUM && before[i]->u.num.complex) after = as_complex(e, after);
        flatten(e, after, false, nprefix, prefix, next, &m);
    }
    if (go) next[m++] = value_node_over(e, go, false, nprefix, prefix);
    Ref node = ir_loop(e->ir, loop, nprefix ? -1 : active, c->nparts, c->nodes, next);
    Ref result[MAX_PARTS];
    for (int i = 0; i < c->nparts; i++) result[i] = ir_proj(e->ir, node, i);
    k = 0;
    for (int i = 0; i < c->names.n; i++)
        r->env = env_bind(e, r->env, c->names.data[i], unflatten(e, before[i], result, &k, nprefix, prefix));
    return true;
}

static void run_loop(Elab *e, Run *r, const LoopForm *form) {
    if (form->trip == 0) return;
    if (e->iterations > UINT32_MAX / form->trip) {
        elab_error(e, "E0311", form->stmt->at, "nested loops with more than 2^32 iterations in all");
        fail(r);
        return;
    }
    Names all = {0};
    Carried c = {0};
    bound_names(e, &form->stmt->body, &all);
    for (int i = 0; i < all.n; i++) {
        const Value *v = env_find(r->env, all.data[i]);
        if (!v || !is_data(v)) continue;
        if (c.names.n == MAX_PARTS) break;
        c.init[c.names.n] = value_close(e, v);
        vec_push(&c.names, all.data[i]);
    }
    for (int attempt = 0; attempt < MAX_PARTS; attempt++)
        if (run_loop_once(e, r, form, &c)) break;
    vec_free(&all);
    vec_free(&c.names);
}

/* Loops over directions, and single rounds, are written out. */
static void unroll_loop(Elab *e, Run *r, const Stmt *s, IndexSet *set, int64_t n) {
    Names all = {0};
    bound_names(e, &s->body, &all);
    for (int64_t k = 0; k < n && !r->failed; k++) {
        Run body = {.env = r->env, .loops = r->loops};
        if (set) {
            Value *t = value_new(e, VK_INDEX, s->at);
            t->u.index.set = set;
            t->u.index.c[0] = aff_const(e->ir, k);
            t->name = s->binds[0].name;
            body.env = env_bind(e, body.env, s->binds[0].name, t);
        }
        run_block(e, &body, &s->body);
        r->failed |= body.failed;
        if (body.returned) {
            elab_error(e, "E0306", s->at, "`return` stands at the end of a function, not inside a loop");
            fail(r);
        }
        for (int i = 0; i < all.n; i++)
            if (env_find(r->env, all.data[i])) r->env = env_bind(e, r->env, all.data[i], env_find(body.env, all.data[i]));
    }
    vec_free(&all);
}

static void run_repeat(Elab *e, Run *r, const Stmt *s) {
    LoopForm form = {.stmt = s, .whilst = s->kind == ST_WHILE};
    const Expr *count = form.whilst ? s->limit : s->value;
    if (!elab_int(e, r->env, count, form.whilst ? "the bound of a loop" : "a number of repetitions", 0, MAX_TRIP, &form.trip)) { fail(r); return; }
    if (form.trip == 1 && !form.whilst) unroll_loop(e, r, s, NULL, 1);
    else run_loop(e, r, &form);
}

static void run_for(Elab *e, Run *r, const Stmt *s) {
    if (s->nbinds != 1 || !s->binds[0].name || !s->binds[0].set) {
        elab_error(e, "E0223", s->at, "a `for` loop names its index and its set: `for t in T { … }`");
        fail(r);
        return;
    }
    IndexSet *set = elab_set(e, r->env, s->binds[0].set);
    if (!set) { fail(r); return; }
    if (set->rank != 1) {
        Diag *d = elab_error(e, "E0306", s->binds[0].at, "a `for` loop runs along one axis, and `%s` has %d", set->name, set->rank);
        diag_help(&e->front->sink, d, "define an array over its sites: `a[x in %s] = …`", set->name);
        fail(r);
        return;
    }
    if (set_is_static(set)) { unroll_loop(e, r, s, set, set->ext[0]); return; }
    LoopForm form = {.stmt = s, .trip = set->ext[0], .set = set};
    run_loop(e, r, &form);
}

/* ---- conditionals ------------------------------------------------------------------------------------------ */

static void run_if(Elab *e, Run *r, const Stmt *s) {
    const Value *c = elab_expr(e, r->env, s->value);
    double known;
    if (c->kind == VK_ERROR) { fail(r); return; }
    c = value_number(e, c, s->value->at, "`if`");
    if (c->kind == VK_ERROR) { fail(r); return; }
    if (!c->u.num.boolean || c->u.num.nsets) {
        elab_error(e, "E0205", s->value->at, "`if` needs a condition, such as `x > 0`, and this is %s", value_describe(e, c));
        fail(r);
        return;
    }
    Names all = {0};
    bound_names(e, &s->body, &all);
    bound_names(e, &s->orelse, &all);
    Run yes = {.env = r->env, .loops = r->loops}, no = yes;
    bool fixed = value_is_const(e, c, &known);
    if (!fixed || known) run_block(e, &yes, &s->body);
    if (!fixed || !known) run_block(e, &no, &s->orelse);
    r->failed |= yes.failed || no.failed;
    if (fixed) {
        Run *taken = known ? &yes : &no;
        r->returned = taken->returned, r->returned_at = taken->returned_at;
        /* Names first bound in a branch that is always taken stay known. */
        for (int i = 0; i < all.n; i++)
            if (env_find(taken->env, all.data[i])) r->env = env_bind(e, r->env, all.data[i], env_find(taken->env, all.data[i]));
        vec_free(&all);
        return;
    }
    if (yes.returned || no.returned) {
        r->returned_at = s->at;
        if (yes.returned && no.returned) r->returned = value_select(e, c, yes.returned, no.returned, s->at);
        else {
            Diag *d = elab_error(e, "E0306", s->at, "`return` in one branch only: a function has one result");
            diag_help(&e->front->sink, d, "use the expression `if … then … else …`");
            fail(r);
        }
    }
    for (int i = 0; i < all.n && !r->failed; i++) {
        const Value *a = env_find(yes.env, all.data[i]), *b = env_find(no.env, all.data[i]);
        if (!env_find(r->env, all.data[i]) && !(a && b)) continue;       /* local to a branch */
        if (a == b) continue;
        const Value *v = value_close(e, value_select(e, c, a, b, s->at));
        if (v->kind == VK_ERROR) fail(r);
        r->env = env_bind(e, r->env, all.data[i], v);
    }
    vec_free(&all);
}

/* ---- blocks ------------------------------------------------------------------------------------------------ */

static void run_stmt(Elab *e, Run *r, const Stmt *s) {
    switch (s->kind) {
    case ST_ERROR: fail(r); break;
    case ST_LET: run_let(e, r, s); break;
    case ST_DRAW: run_draw(e, r, s); break;
    case ST_REPEAT: case ST_WHILE: run_repeat(e, r, s); break;
    case ST_FOR: run_for(e, r, s); break;
    case ST_IF: run_if(e, r, s); break;
    case ST_ACCEPT: run_accept(e, r, s); break;
    case ST_MONITOR: run_monitor(e, r, s); break;
    case ST_STATE: run_state(e, r, s); break;
    case ST_WARN: run_warn(e, r, s); break;
    case ST_CLAIM: run_claim(e, r, s); break;
    case ST_WEIGHT: run_weight(e, r, s); break;
    case ST_STOP: run_stop(e, r, s); break;
    case ST_RETURN:
        r->returned = value_close(e, elab_expr(e, r->env, s->value));
        r->returned_at = s->at;
        if (r->returned->kind == VK_ERROR) fail(r);
        break;
    }
}

/* The names that a broken statement would have bound are known, and their values not. */
static void bind_failed(Elab *e, Run *r, const Stmt *s) {
    Names all = {0};
    bool binds = s->kind == ST_LET || s->kind == ST_DRAW || s->kind == ST_CLAIM || s->kind == ST_STATE;
    for (int i = 0; binds && i < s->nnames; i++) add_name(&all, s->names[i]);
    if (s->kind == ST_IF) bound_names(e, &s->body, &all), bound_names(e, &s->orelse, &all);
    for (int i = 0; i < all.n; i++)
        if (!env_find(r->env, all.data[i])) r->env = env_bind(e, r->env, all.data[i], value_error());
    vec_free(&all);
}

static void run_block(Elab *e, Run *r, const Block *b) {
    for (int i = 0; i < b->n; i++) {
        if (r->returned) {
            elab_error(e, "E0306", b->stmts[i]->at, "nothing after `return` is reached");
            fail(r);
            return;
        }
        run_stmt(e, r, b->stmts[i]);
        if (r->failed) bind_failed(e, r, b->stmts[i]);
        if (b->stmts[i]->kind == ST_ERROR) return;           /* what it would have bound is unknown */
    }
}

const Value *elab_block(Elab *e, Env *env, const Block *b) {
    intern_hidden();
    Run r = {.env = env};
    run_block(e, &r, b);
    if (r.failed) return value_error();
    if (!r.returned) return ELAB_FAIL(e, "E0306", b->at, "this block has no `return`");
    return r.returned;
}

void elab_sampler_body(Elab *e, Env *env, const Block *b) {
    intern_hidden();
    Span at = b->at;
    env = env_bind(e, env, tries_name, value_const(e, 0, at));
    env = env_bind(e, env, accepted_name, value_const(e, 0, at));
    env = env_bind(e, env, ratio_name, value_const(e, 0, at));
    env = bind_warnings(e, env, b);
    Run r = {.env = env};
    run_block(e, &r, b);
    if (r.returned && !r.failed) {
        if (value_same_shape(r.returned, e->frame->q)) r.env = env_bind(e, r.env, e->frame->q_name, r.returned);
        else elab_error(e, "E0308", r.returned_at, "a sampler returns its new state, and this is %s", value_describe(e, r.returned)), fail(&r);
    }
    if (r.failed) { e->frame->q = value_error(); return; }
    const Value *q = env_find(r.env, e->frame->q_name);
    if (!value_same_shape(q, e->frame->q)) {
        elab_error(e, "E0308", q->origin.hi ? q->origin : at, "the state `%s` is %s after a step and was %s before", e->frame->q_name, value_describe(e, q), value_describe(e, e->frame->q));
        q = value_error();
    }
    e->frame->q = q;
    for (int i = 0; i < e->frame->states.n; i++) {
        StateVar *v = &e->frame->states.data[i];
        v->out = env_find(r.env, v->name);
        bool tuple = v->component >= 0 && v->out->kind == VK_TUPLE && v->out->u.tuple.n == v->components;
        if (tuple) v->out = v->out->u.tuple.items[v->component];
        if (v->out->kind == VK_NUM && value_same_shape(v->out, v->in) && v->in->u.num.complex == v->out->u.num.complex) continue;
        elab_error(e, "E0304", v->at, "the state variable `%s` is %s after a step and was %s before", v->name, value_describe(e, v->out), value_describe(e, v->in));
        e->frame->q = value_error();
    }
    collect_warnings(e, r.env, b);
    if (e->frame->naccepts == 0) return;
    const Value *tries = env_find(r.env, tries_name);
    const char *const names[2] = {accepted_name, ratio_name};
    for (int i = 0; i < 2; i++) {       /* the first two monitors: mean acceptance and mean ratio */
        Monitor m = {names[i], value_binary(e, OP_DIV, env_find(r.env, names[i]), tries, at, at), false};
        vec_push(&e->frame->monitors, m);
    }
}
