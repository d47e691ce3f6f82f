/* resolve.c — names, before anything is elaborated: unknown names, names declared
 * twice, functions that use themselves (language reference §3).
 *
 * Requires the syntax trees of all files; changes nothing.  After it, without an
 * error, every name in the program means something and the calls of functions form
 * no cycle, so that specialising them ends.  Bodies are read even if nobody calls
 * them.  What a name means, and whether it fits, is the elaborator's business. */
#include "elab.h"

#include <stdlib.h>
#include <string.h>

#define MAX_DECLARATIONS 20000
#define MAX_STATEMENTS   10000        /* of a block */

typedef struct Global { const char *name; Span at; const Decl *decl; int order; } Global;
typedef struct Edge { int from, to; } Edge;                  /* numbers of globals */
typedef struct Escape { const char *name; const Expr *binder; } Escape;

typedef struct Resolver {
    Model *m;
    Sink  *sink;
    VEC(Global) globals;             /* imports first: the last of a name is the one meant */
    VEC(const char *) locals;        /* a stack */
    VEC(const char *) reports;       /* names of reports, known to plot, save and print */
    VEC(Edge) edges;                 /* who uses whom, among functions */
    VEC(Escape) ended;               /* binders of the same expression that are over */
    const Expr *last_escape;         /* the binder of the last message about such an index */
    int   depth;                     /* inside an expression */
    int   current;                   /* number of the declaration being read, or -1 */
    bool  silent;                    /* something before is broken: names may be missing */
    bool  in_plot, in_lattice;
    bool  in_function;               /* of the main file: it may name what tasks make, and be used after them */
} Resolver;

/* Does the declaration give a name to the whole program? */
static bool is_global(const Decl *d) {
    switch (d->kind) {
    case DC_PARAM: case DC_AXIS: case DC_GRID: case DC_LATTICE: case DC_FIELD: case DC_DATA: case DC_NETWORK: return true;
    default: return decl_is_function(d->kind);
    }
}

/* ---- what is known ------------------------------------------------------------------- */

static bool among(const char *const *words, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (!strcmp(words[i], name)) return true;
    return false;
}

static bool is_builtin(const char *name) {
    int n;
    const char *const *names = builtin_names(&n);
    return among(names, n, name) || word_is(name, WORD_CONSTANT) || word_is(name, WORD_SPECIAL) || !strcmp(name, "π");
}

/* The declaration that a name means: values hide functions, later files earlier ones. */
static int find_global(const Resolver *r, const char *name) {
    int function = -1;
    for (int i = r->globals.n - 1; i >= 0; i--) {
        if (r->globals.data[i].name != name) continue;
        if (!decl_is_function(r->globals.data[i].decl->kind)) return i;
        if (function < 0) function = i;
    }
    return function;
}

static bool is_local(const Resolver *r, const char *name) {
    for (int i = r->locals.n - 1; i >= 0; i--)
        if (r->locals.data[i] == name) return true;
    return false;
}

static bool is_report(const Resolver *r, const char *name) {
    for (int i = 0; i < r->reports.n; i++)
        if (r->reports.data[i] == name) return true;
    return false;
}

static bool is_known(const Resolver *r, const char *name) {
    if (is_local(r, name) || find_global(r, name) >= 0 || is_builtin(name)) return true;
    if ((r->current < 0 || r->in_function) && is_report(r, name)) return true;
    if (r->in_plot && word_is(name, WORD_PLOT)) return true;
    return r->in_lattice && word_is(name, WORD_BOUNDARY);
}

/* ---- messages ------------------------------------------------------------------------ */

static const char *nearest(const Resolver *r, const char *name) {
    VEC(const char *) names = {0};
    int n;
    const char *const *builtins = builtin_names(&n);
    for (int i = r->locals.n - 1; i >= 0; i--) vec_push(&names, r->locals.data[i]);
    for (int i = r->globals.n - 1; i >= 0; i--) vec_push(&names, r->globals.data[i].name);
    for (int i = 0; i < r->reports.n; i++) vec_push(&names, r->reports.data[i]);
    for (int i = 0; i < n; i++) vec_push(&names, builtins[i]);
    const char *plots[16];
    for (int i = r->in_plot ? words_of(WORD_PLOT, plots, LQ_COUNT(plots)) - 1 : -1; i >= 0; i--) vec_push(&names, plots[i]);
    const char *best = diag_nearest(name, names.data, names.n);
    vec_free(&names);
    return best;
}

/* An index used after its binder: Σ takes a product, and a sum ended it. */
static const Expr *ended_binder(const Resolver *r, const char *name) {
    for (int i = r->ended.n - 1; i >= 0; i--)
        if (r->ended.data[i].name == name) return r->ended.data[i].binder;
    return NULL;
}

/* The text of a binder up to its body: "sum[x in X]". */
static const char *binder_text(const Resolver *r, const Expr *binder) {
    const Source *s = r->m->front->sources.files.data[binder->at.file];
    uint32_t lo = binder->at.lo, hi = binder->a->at.lo;
    while (hi > lo && (s->text[hi - 1] == ' ' || s->text[hi - 1] == '(' || s->text[hi - 1] == '\n')) hi--;
    return hi - lo > 80 ? arena_printf(r->sink->arena, "%s[…]", binder->name) : arena_strndup(r->sink->arena, s->text + lo, hi - lo);
}

static void report_unknown(Resolver *r, const char *name, Span at) {
    if (r->silent) return;
    const Expr *binder = ended_binder(r, name);
    for (int i = 0; i < r->m->unknown.n; i++)
        if (r->m->unknown.data[i] == name && (!binder || binder == r->last_escape)) return;
    vec_push(&r->m->unknown, name);
    r->last_escape = binder;
    if (binder) {
        Diag *d = diag_error(r->sink, "E0201", at, "the index `%s` is used outside its `%s`", name, binder->name);
        diag_here(r->sink, d, "`%s` is not known here", name);
        diag_label(r->sink, d, binder->at, "`%s` is bound by this `%s`, which takes a product and ends before the next `+` or `-`", name, binder->name);
        diag_help(r->sink, d, "put parentheses around the body of the `%s`: %s (… + …)", binder->name, binder_text(r, binder));
        return;
    }
    Diag *d = diag_error(r->sink, "E0201", at, "nothing here is called `%s`", name);
    const char *near = nearest(r, name), *module = library_module(r->m, name);
    if (module) diag_help(r->sink, d, "it is in the library: `import %s`", module);
    else if (near) diag_help(r->sink, d, "did you mean `%s`?", near);
}

/* A number or set is known from its declaration on; functions are known everywhere. */
static void check_order(Resolver *r, const Global *g, Span at) {
    if (r->current < 0 || decl_is_function(g->decl->kind) || r->silent) return;
    const Global *user = &r->globals.data[r->current];
    if (decl_is_function(user->decl->kind) || g->order < user->order) return;
    for (int i = 0; i < r->m->unknown.n; i++)
        if (r->m->unknown.data[i] == g->name) return;
    vec_push(&r->m->unknown, g->name);
    Diag *d = diag_error(r->sink, "E0201", at, "`%s` is not known yet", g->name);
    if (g->decl == user->decl) {
        diag_here(r->sink, d, "its own declaration uses it");
        return;
    }
    diag_here(r->sink, d, "used here");
    diag_label(r->sink, d, g->at, "declared only here");
    diag_help(r->sink, d, "declare `%s` first", g->name);
}

static void use(Resolver *r, const char *name, Span at) {
    if (is_local(r, name)) return;
    int g = find_global(r, name);
    if (g < 0) {
        if (!is_known(r, name)) report_unknown(r, name, at);
        return;
    }
    check_order(r, &r->globals.data[g], at);
    if (r->current >= 0 && decl_is_function(r->globals.data[g].decl->kind)) {
        Edge e = {r->current, g};
        vec_push(&r->edges, e);
    }
}

/* ---- expressions ---------------------------------------------------------------------- */

static void walk(Resolver *r, const Expr *x);

static void duplicate(Resolver *r, const char *name, Span first, Span second, const char *what) {
    Diag *d = diag_error(r->sink, "E0228", second, "%s `%s` is declared twice", what, name);
    diag_here(r->sink, d, "declared again here");
    diag_label(r->sink, d, first, "first declared here");
}

static void check_indices(Resolver *r, const Bind *binds, int n, bool named) {
    for (int i = 1; i < n; i++)
        for (int j = 0; j < i; j++)
            if (binds[i].name && binds[i].name == binds[j].name && (named || binds[i].set || binds[j].set)) {
                duplicate(r, binds[i].name, binds[j].at, binds[i].at, "the index");
                return;
            }
}

static void walk_binder(Resolver *r, const Expr *x) {
    int mark = r->locals.n;
    check_indices(r, x->binds, x->nbinds, true);
    for (int i = 0; i < x->nbinds; i++) walk(r, x->binds[i].set);   /* sets do not see the indices */
    for (int i = 0; i < x->nbinds; i++)
        if (x->binds[i].name) vec_push(&r->locals, x->binds[i].name);
    walk(r, x->b);
    walk(r, x->a);
    r->locals.n = mark;
    for (int i = 0; i < x->nbinds; i++) {
        Escape e = {x->binds[i].name, x};
        if (e.name) vec_push(&r->ended, e);
    }
}

static void walk_index(Resolver *r, const Expr *x) {
    walk(r, x->a);
    for (int i = 0; i < x->nbinds; i++) {
        const Expr *set = x->binds[i].set;
        if (!set) {
            if (x->binds[i].name) use(r, x->binds[i].name, x->binds[i].at);
        } else if (r->in_plot && set->kind == EX_BINARY && set->op == OP_IN && set->a->kind == EX_NAME) {
            walk(r, set->b);                     /* C[t in T]: the index is named here */
        } else {
            walk(r, set);
        }
    }
}

static void walk(Resolver *r, const Expr *x) {
    if (!x) return;
    if (r->depth++ == 0) r->ended.n = 0;
    switch (x->kind) {
    case EX_NAME: use(r, x->name, x->at); break;
    case EX_BINDER: walk_binder(r, x); break;
    case EX_INDEX: walk_index(r, x); break;
    default:
        walk(r, x->a);
        walk(r, x->b);
        walk(r, x->c);
        for (int i = 0; i < x->n; i++) walk(r, x->list[i]);
        for (int i = 0; i < x->nopts; i++) walk(r, x->opts[i].value);
    }
    r->depth--;
}

/* Only the arguments: the function is a word of the declaration (torus, load, …). */
static void walk_arguments(Resolver *r, const Expr *x) {
    if (!x || x->kind != EX_CALL || x->a->kind != EX_NAME) {
        walk(r, x);
        return;
    }
    for (int i = 0; i < x->n; i++) walk(r, x->list[i]);
    for (int i = 0; i < x->nopts && !r->in_lattice; i++) walk(r, x->opts[i].value);
}

static bool mentions(const Expr *x, const char *name) {
    if (!x) return false;
    if (x->kind == EX_NAME) return x->name == name;
    bool found = mentions(x->a, name) || mentions(x->b, name) || mentions(x->c, name);
    for (int i = 0; i < x->n && !found; i++) found = mentions(x->list[i], name);
    for (int i = 0; i < x->nbinds && !found; i++)
        found = x->binds[i].set ? mentions(x->binds[i].set, name) : x->binds[i].name == name;
    for (int i = 0; i < x->nopts && !found; i++) found = mentions(x->opts[i].value, name);
    return found;
}

/* The indices of a definition `a[x in X, Y] = value`.  A bare name is a set when one
 * of that name is known, else an index whose set the value tells. */
static void bind_indices(Resolver *r, const Bind *binds, int n, const Expr *value) {
    check_indices(r, binds, n, false);
    VEC(const char *) indices = {0};
    for (int i = 0; i < n; i++) {
        const Bind *b = &binds[i];
        if (b->set) walk(r, b->set);
        if (b->name && !b->set && (is_known(r, b->name) || !mentions(value, b->name))) use(r, b->name, b->at);
        else if (b->name) vec_push(&indices, b->name);
    }
    for (int i = 0; i < indices.n; i++) vec_push(&r->locals, indices.data[i]);
    vec_free(&indices);
}

/* ---- statements ------------------------------------------------------------------------- */

static void walk_block(Resolver *r, const Block *b);

static void define(Resolver *r, const Stmt *s) {
    int mark = r->locals.n;
    bind_indices(r, s->binds, s->nbinds, s->value);
    walk(r, s->value);
    r->locals.n = mark;
    for (int i = 0; i < s->nnames; i++) vec_push(&r->locals, s->names[i]);
}

/* What a loop's body binds first is not known after it: it might run zero times. */
static void walk_loop(Resolver *r, const Stmt *s) {
    walk(r, s->limit);
    int mark = r->locals.n;
    for (int i = 0; i < s->nbinds; i++) walk(r, s->binds[i].set);
    for (int i = 0; i < s->nbinds; i++)
        if (s->binds[i].name) vec_push(&r->locals, s->binds[i].name);
    walk(r, s->value);
    walk_block(r, &s->body);
    r->locals.n = mark;
}

/* Names first bound in a branch stay known: its condition may be known beforehand,
 * and the elaborator judges that. */
static void walk_if(Resolver *r, const Stmt *s) {
    walk(r, s->value);
    int mark = r->locals.n;
    walk_block(r, &s->body);
    int first = r->locals.n;
    VEC(const char *) bound = {0};
    for (int i = mark; i < first; i++) vec_push(&bound, r->locals.data[i]);
    r->locals.n = mark;
    walk_block(r, &s->orelse);
    for (int i = 0; i < bound.n; i++) vec_push(&r->locals, bound.data[i]);
    vec_free(&bound);
}

static void walk_stmt(Resolver *r, const Stmt *s) {
    switch (s->kind) {
    case ST_ERROR: r->silent = true; break;      /* what it would have bound is unknown */
    case ST_LET: case ST_DRAW: case ST_STATE: case ST_CLAIM: case ST_WEIGHT: define(r, s); break;
    case ST_REPEAT: case ST_WHILE: case ST_FOR: walk_loop(r, s); break;
    case ST_IF: walk_if(r, s); break;
    case ST_RETURN: case ST_ACCEPT:
        walk(r, s->value);
        walk(r, s->limit);
        break;
    case ST_MONITOR: case ST_STOP: walk(r, s->value); break;       /* its test is a word of the statement */
    case ST_WARN: break;
    }
}

static void walk_block(Resolver *r, const Block *b) {
    if (b->n > MAX_STATEMENTS) {
        Diag *d = diag_error(r->sink, "E0302", b->stmts[0]->at, "a block of %d statements; %d is the limit", b->n, MAX_STATEMENTS);
        diag_help(r->sink, d, "use an array and a binder, or repeat with `repeat n { … }`");
        return;
    }
    for (int i = 0; i < b->n; i++) walk_stmt(r, b->stmts[i]);
}

/* ---- declarations -------------------------------------------------------------------------- */

/* Parameters and options are one list of names. */
static void check_parameters(Resolver *r, const Decl *d) {
    int n = d->nparams + d->nopts;
    for (int i = 1; i < n; i++) {
        const Param *p = i < d->nparams ? &d->params[i] : &d->opts[i - d->nparams];
        for (int k = 0; k < i; k++) {
            const Param *q = k < d->nparams ? &d->params[k] : &d->opts[k - d->nparams];
            if (p->name != q->name) continue;
            duplicate(r, p->name, q->at, p->at, "the parameter");
            break;
        }
    }
}

static void resolve_function(Resolver *r, const Decl *d) {
    check_parameters(r, d);
    for (int i = 0; i < d->nparams; i++) vec_push(&r->locals, d->params[i].name);
    for (int i = 0; i < d->nopts; i++) {
        walk(r, d->opts[i].value);
        vec_push(&r->locals, d->opts[i].name);
    }
    for (int i = 0; i < d->ninputs; i++) {
        const Expr *sets = d->inputs[i].value;
        vec_push(&r->locals, d->inputs[i].name);
        if (sets && sets->kind == EX_NAME) vec_push(&r->locals, sets->name);
        for (int k = 0; sets && k < sets->n; k++) vec_push(&r->locals, sets->list[k]->name);
    }
    if (d->has_body) walk_block(r, &d->body);
    else walk(r, d->value);
}

static void resolve_sets(Resolver *r, const Bind *binds, int n) {
    for (int i = 0; i < n; i++) {
        if (binds[i].set) walk(r, binds[i].set);
        else if (binds[i].name) use(r, binds[i].name, binds[i].at);
    }
}

static bool is_load(const Expr *x) {
    return x && x->kind == EX_CALL && x->a->kind == EX_NAME && !strcmp(x->a->name, "load");
}

static void resolve_data(Resolver *r, const Decl *d) {
    if (is_load(d->value)) {
        resolve_sets(r, d->binds, d->nbinds);
        return;
    }
    bind_indices(r, d->binds, d->nbinds, d->value);
    walk(r, d->value);
}

static void resolve_symmetry(Resolver *r, const Decl *d) {
    use(r, d->name, d->name_at);
    for (int i = 0; i < d->nnames; i++) vec_push(&r->locals, d->names[i]);
    bind_indices(r, d->binds, d->nbinds, d->value);
    walk(r, d->value);
}

static bool is_setting_word(const Option *o) {
    if (o->value->kind != EX_NAME) return false;
    if (!strcmp(o->name, "precision")) return true;        /* read_precision knows the words */
    return !strcmp(o->name, "start") && (!strcmp(o->value->name, "hot") || !strcmp(o->value->name, "cold"));
}

/* The fields and the sampler are looked up with better messages when they are used. */
static void resolve_sample(Resolver *r, const Decl *d) {
    for (int i = 0; i < d->nnames; i++) vec_push(&r->locals, d->names[i]);
    walk(r, d->value);
    r->locals.n = 0;
    if (d->method && d->method->kind != EX_NAME) walk_arguments(r, d->method);
    for (int i = 0; i < d->nsettings; i++)
        if (!is_setting_word(&d->settings[i])) walk(r, d->settings[i].value);
}

/* Settings that the language does not know are names of the objective. */
static void resolve_minimize(Resolver *r, const Decl *d) {
    for (int i = 0; i < d->nover; i++) {
        const Over *o = &d->over[i];
        walk(r, o->of);
        resolve_sets(r, o->binds, o->nbinds);
        if (o->name && !o->type) use(r, o->name, o->at);
    }
    for (int i = 0; i < d->nover; i++)
        if (d->over[i].name) vec_push(&r->locals, d->over[i].name);
    for (int i = 0; i < d->nsettings; i++) {
        int mark = r->locals.n;
        if (!strcmp(d->settings[i].name, "until")) vec_push(&r->locals, intern("objective"));
        if (!is_setting_word(&d->settings[i])) walk(r, d->settings[i].value);
        r->locals.n = mark;
        vec_push(&r->locals, d->settings[i].name);
    }
    walk(r, d->value);
    if (d->method && d->method->kind != EX_NAME) walk_arguments(r, d->method);
}

static void resolve_list(Resolver *r, const Decl *d) {
    r->in_plot = d->kind == DC_PLOT;
    for (int i = 0; i < d->nbinds; i++) walk(r, d->binds[i].set);
    for (int i = 0; i < d->nbinds; i++)
        if (d->binds[i].name) vec_push(&r->locals, d->binds[i].name);
    for (int i = 0; i < d->nlist; i++) walk(r, d->list[i]);
    walk(r, d->value);
    r->in_plot = false;
}

static void resolve_decl(Resolver *r, const Decl *d) {
    bool silent = r->silent;
    switch (d->kind) {
    case DC_PARAM: walk(r, d->value), walk(r, d->lo), walk(r, d->hi); break;
    case DC_AXIS: walk(r, d->value); break;
    case DC_GRID: walk_arguments(r, d->value); break;
    case DC_LATTICE:
        r->in_lattice = true;                  /* its boundaries are words of their own */
        walk_arguments(r, d->value);
        r->in_lattice = false;
        break;
    case DC_FIELD: resolve_sets(r, d->binds, d->nbinds); break;
    case DC_DATA: resolve_data(r, d); break;
    case DC_DEF: case DC_ACTION: case DC_OBSERVABLE: case DC_LOSS: case DC_KERNEL: case DC_SAMPLER: case DC_OPTIMIZER: case DC_LAYER:
        resolve_function(r, d);
        break;
    case DC_NETWORK: walk(r, d->value); break;
    case DC_MINIMIZE: resolve_minimize(r, d); break;
    case DC_LOAD: walk(r, d->value); break;
    case DC_KEEP:
        resolve_sets(r, d->binds, d->nbinds);
        walk(r, d->value);
        break;
    case DC_SYMMETRY: resolve_symmetry(r, d); break;
    case DC_SAMPLE: resolve_sample(r, d); break;
    case DC_REPORT:
        bind_indices(r, d->binds, d->nbinds, d->value);
        walk(r, d->value);
        break;
    case DC_SCAN:                              /* its names are parameters */
        for (int i = 0; i < d->nbinds; i++) walk(r, d->binds[i].set);
        break;
    case DC_PLOT: case DC_SAVE: case DC_PRINT: resolve_list(r, d); break;
    case DC_ERROR: case DC_IMPORT: break;
    }
    r->locals.n = 0;
    r->silent = silent;
}

/* ---- the names of the program -------------------------------------------------------------- */

static void add_global(Resolver *r, const char *name, Span at, const Decl *d, int order) {
    if (!name) return;
    for (int i = r->globals.n - 1; i >= 0 && d->kind != DC_ERROR; i--) {
        const Global *g = &r->globals.data[i];
        if (g->name != name || g->decl->file != d->file || g->decl->kind == DC_ERROR) continue;
        duplicate(r, name, g->at, at, "the name");
        return;
    }
    Global g = {name, at, d, order};
    vec_push(&r->globals, g);
}

/* A broken declaration still has its name, so that its uses are not reported too. */
static void collect_globals(Resolver *r) {
    for (int i = 0; i < r->m->decls.n; i++) {
        const Decl *d = r->m->decls.data[i];
        if (!is_global(d) && d->kind != DC_ERROR) continue;
        if (d->nnames == 0) add_global(r, d->name, d->name_at, d, d->kind == DC_ERROR ? -1 : i);
        for (int k = 0; k < d->nnames; k++) add_global(r, d->names[k], d->names_at[k], d, i);
    }
}

static void collect_reports(Resolver *r) {
    const Model *m = r->m;
    for (int i = 0; i < m->tasks.n; i++) {
        const Decl *d = m->tasks.data[i];
        for (int k = 0; d->kind == DC_MINIMIZE && k < d->nover; k++)
            if (d->over[k].name && d->over[k].type) vec_push(&r->reports, d->over[k].name);
        if ((d->kind != DC_REPORT && d->kind != DC_KEEP) || !d->name) continue;
        for (int k = 0; k < i; k++) {
            const Decl *o = m->tasks.data[k];
            if (o->kind != d->kind || o->name != d->name) continue;
            duplicate(r, d->name, o->name_at, d->name_at, "the report");
            break;
        }
        vec_push(&r->reports, d->name);
    }
}

/* ---- functions that use themselves ------------------------------------------------------------ */

/* A walk along the uses; `path` is the chain of functions being followed. */
typedef struct Search {
    Resolver *r;
    char *seen;                       /* 0: new, 1: on the path, 2: done */
    int  *first;                      /* first edge of each function: they are sorted */
    int  *path, *next, depth;         /* next: the edge to follow from each */
} Search;

static void report_cycle(const Search *s, int from) {
    const Global *globals = s->r->globals.data, *g = &globals[s->path[from]];
    Text t = {0};
    for (int i = from; i < s->depth && i < from + 8; i++) text_printf(&t, "`%s` uses ", globals[s->path[i]].name);
    if (s->depth > from + 8) text_printf(&t, "… ");
    text_printf(&t, "`%s`", g->name);
    Diag *d = diag_error(s->r->sink, "E0301", g->at, "a function cannot use itself: %s", t.s);
    text_free(&t);
    for (int i = from + 1; i < s->depth && i < from + 5; i++) diag_label(s->r->sink, d, globals[s->path[i]].at, "used on the way");
    diag_help(s->r->sink, d, "repeat with `repeat n { … }` or `for`: every loop of the language is bounded");
}

static void enter(Search *s, int node) {
    s->seen[node] = 1;
    s->path[s->depth] = node;
    s->next[s->depth++] = s->first[node];
}

static void search_from(Search *s, int start) {
    const Edge *edges = s->r->edges.data;
    enter(s, start);
    while (s->depth > 0) {
        int at = s->depth - 1, node = s->path[at], edge = s->next[at]++;
        if (edge == s->r->edges.n || edges[edge].from != node) {
            s->seen[node] = 2;
            s->depth--;
            continue;
        }
        int to = edges[edge].to;
        if (s->seen[to] == 0) {
            enter(s, to);
        } else if (s->seen[to] == 1) {
            int from = 0;
            while (s->path[from] != to) from++;
            report_cycle(s, from);
            s->seen[to] = 2;          /* one message for each cycle */
        }
    }
}

static int by_user(const void *a, const void *b) {
    const Edge *x = a, *y = b;
    return x->from != y->from ? (x->from > y->from) - (x->from < y->from) : (x->to > y->to) - (x->to < y->to);
}

static void find_cycles(Resolver *r) {
    size_t n = (size_t)r->globals.n + 1;
    Search s = {.r = r, .seen = lq_alloc(n)};
    s.first = lq_alloc(n * sizeof(int)), s.path = lq_alloc(n * sizeof(int)), s.next = lq_alloc(n * sizeof(int));
    memset(s.seen, 0, n);
    if (r->edges.n) qsort(r->edges.data, (size_t)r->edges.n, sizeof *r->edges.data, by_user);
    for (int i = 0; i < r->globals.n; i++) s.first[i] = r->edges.n;
    for (int i = r->edges.n - 1; i >= 0; i--) s.first[r->edges.data[i].from] = i;
    for (int i = 0; i < r->globals.n; i++)
        if (s.seen[i] == 0) search_from(&s, i);
    free(s.seen);
    free(s.first);
    free(s.path);
    free(s.next);
}

/* ---- the pass ------------------------------------------------------------------------------------ */

static int number_of(const Resolver *r, const Decl *d) {
    for (int i = 0; i < r->globals.n; i++)
        if (r->globals.data[i].decl == d) return i;
    return -1;
}

/* A file that could not be imported takes its names with it. */
static bool lacks_import(const Sink *s) {
    for (int i = 0; i < s->diags.n; i++)
        if (!strcmp(s->diags.data[i]->code, "E0601")) return true;
    return false;
}

static void free_resolver(Resolver *r) {
    vec_free(&r->globals);
    vec_free(&r->locals);
    vec_free(&r->reports);
    vec_free(&r->edges);
    vec_free(&r->ended);
}

void resolve_model(Model *m) {
    Resolver r = {.m = m, .sink = &m->front->sink, .current = -1};
    int n = m->decls.n + m->tasks.n;
    if (n > MAX_DECLARATIONS) {
        const Decl *last = m->decls.n ? m->decls.data[m->decls.n - 1] : m->tasks.data[n - 1];
        Diag *d = diag_error(r.sink, "E0302", last->at, "a program of %d declarations; %d is the limit", n, MAX_DECLARATIONS);
        diag_help(r.sink, d, "many numbers are an array: `data a[i in 0..999] = load(\"numbers.csv\")`");
        return;
    }
    r.silent = lacks_import(r.sink) || model_lacks_tasks(m);
    collect_globals(&r);
    collect_reports(&r);
    for (int i = 0; i < m->decls.n; i++) {
        r.current = number_of(&r, m->decls.data[i]);
        r.in_function = decl_is_function(m->decls.data[i]->kind) && !strcmp(m->front->sources.files.data[m->decls.data[i]->file]->path, m->path);
        resolve_decl(&r, m->decls.data[i]);
    }
    r.current = -1;
    for (int i = 0; i < m->tasks.n; i++) resolve_decl(&r, m->tasks.data[i]);
    find_cycles(&r);
    free_resolver(&r);
}
