/* ast.c — constructors of the syntax tree, used by the grammar's actions only, and
 * its two printed forms. */
#include "parse.h"

#include <stdlib.h>
#include <string.h>

bool ast_is_binder_word(const char *name)
{
    return word_is(name, WORD_BINDER);
}

/* ==== expressions ============================================================= */

Expr *ast_expr(Parse *p, ExprKind kind, Span at)
{
    Expr *e = arena_alloc(p->arena, sizeof *e);
    e->kind = kind;
    e->at = e->op_at = at;
    return e;
}

/* Later passes recurse over expressions, so the depth is bounded where they are
 * made: a node that would be too deep becomes an error leaf. */
static Expr *deeper(Parse *p, Expr *e, const Expr *child)
{
    if (child && child->depth >= e->depth) e->depth = child->depth + 1;
    if (e->depth <= MAX_EXPR_DEPTH) return e;
    parse_too_deep(p, e->at);
    return ast_expr(p, EX_ERROR, e->at);
}

Expr *ast_name(Parse *p, const char *name, Span at)
{
    Expr *e = ast_expr(p, EX_NAME, at);
    e->name = name;
    return e;
}

Expr *ast_unary(Parse *p, AstOp op, Expr *a, Span op_at, Span at)
{
    Expr *e = ast_expr(p, EX_UNARY, at);
    e->op = op, e->op_at = op_at, e->a = a;
    return deeper(p, e, a);
}

Expr *ast_binary(Parse *p, AstOp op, Expr *a, Expr *b, Span op_at, Span at)
{
    Expr *e = ast_expr(p, EX_BINARY, at);
    e->op = op, e->op_at = op_at, e->a = a, e->b = b;
    e = deeper(p, e, a);
    return e->kind == EX_ERROR ? e : deeper(p, e, b);
}

Expr *ast_if(Parse *p, Expr *a, Expr *b, Expr *c, Span at)
{
    Expr *e = ast_expr(p, EX_IF, at);
    e->a = a, e->b = b, e->c = c;
    e = deeper(p, e, a);
    if (e->kind != EX_ERROR) e = deeper(p, e, b);
    return e->kind == EX_ERROR ? e : deeper(p, e, c);
}

Expr *ast_range(Parse *p, Expr *a, Expr *b, Span op_at, Span at)
{
    Expr *e = ast_expr(p, EX_RANGE, at);
    e->op_at = op_at, e->a = a, e->b = b;        /* neither: `..`, the indices that are left */
    e = deeper(p, e, a);
    return e->kind == EX_ERROR ? e : deeper(p, e, b);
}

static Expr *with_binds(Parse *p, Expr *e, BindList *binds)
{
    e->binds = binds->data, e->nbinds = binds->n;
    for (int i = 0; i < binds->n && e->kind != EX_ERROR; i++) e = deeper(p, e, binds->data[i].set);
    return e;
}

Expr *ast_binder(Parse *p, const char *word, Span word_at, BindList *binds, Expr *cond,
                 Expr *body, Span at)
{
    Expr *e = ast_expr(p, EX_BINDER, at);
    e->name = word, e->op_at = word_at, e->a = body, e->b = cond;
    e = deeper(p, e, body);
    if (e->kind != EX_ERROR) e = deeper(p, e, cond);
    return e->kind == EX_ERROR ? e : with_binds(p, e, binds);
}

Expr *ast_call(Parse *p, Expr *f, Args *args, Span at)
{
    if (f->kind == EX_NUM || f->kind == EX_IMAG) {
        if (!p->failed) {
            const Source *s = p->src;
            Diag *d = diag_error(p->sink, "E0127", at, "a number is not a function");
            diag_here(p->sink, d, "reads as a call of `%s`", f->name);
            diag_help(p->sink, d, "write the product with `*`: %.*s*%.*s", (int)(f->at.hi - f->at.lo),
                      s->text + f->at.lo, at.hi - f->at.hi > 40 ? 3 : (int)(at.hi - f->at.hi),
                      at.hi - f->at.hi > 40 ? "(…" : s->text + f->at.hi);
        }
        p->failed = true;
        return ast_expr(p, EX_ERROR, at);
    }
    Expr *e = ast_expr(p, EX_CALL, at);
    e->a = f;
    e->list = args->list.data, e->n = args->list.n;
    e->opts = args->opts.data, e->nopts = args->opts.n;
    e = deeper(p, e, f);
    for (int i = 0; i < args->list.n && e->kind != EX_ERROR; i++)
        e = deeper(p, e, args->list.data[i]);
    for (int i = 0; i < args->opts.n && e->kind != EX_ERROR; i++)
        e = deeper(p, e, args->opts.data[i].value);
    return e;
}

/* `a[i in I]` reads as a comparison here; a definition turns it back. */
Expr *ast_index(Parse *p, Expr *a, BindList *binds, Span at)
{
    Expr *e = ast_expr(p, EX_INDEX, at);
    e->a = a;
    for (int i = 0; i < binds->n; i++) {
        Bind *b = &binds->data[i];
        if (b->name) {
            Expr *name = ast_name(p, b->name, b->at);
            b->set = b->set ? ast_binary(p, OP_IN, name, b->set, b->at, span_join(b->at, b->set->at))
                            : name;
            b->name = NULL;
        }
    }
    e = deeper(p, e, a);
    return e->kind == EX_ERROR ? e : with_binds(p, e, binds);
}

Expr *ast_member(Parse *p, Expr *a, const char *name, Span name_at, Span at)
{
    Expr *e = ast_expr(p, EX_MEMBER, at);
    e->a = a, e->name = name, e->op_at = name_at;
    return deeper(p, e, a);
}

Expr *ast_tuple(Parse *p, ExprList *list, Span at)
{
    Expr *e = ast_expr(p, EX_TUPLE, at);
    e->list = list->data, e->n = list->n;
    for (int i = 0; i < list->n && e->kind != EX_ERROR; i++) e = deeper(p, e, list->data[i]);
    return e;
}

Bind ast_bind(Expr *e)
{
    return e->kind == EX_NAME ? (Bind){e->name, e->at, NULL} : (Bind){NULL, e->at, e};
}

Args *ast_add_arg(Parse *p, Args *args, Expr *e)
{
    if (!args) args = arena_alloc(p->arena, sizeof *args);
    if (args->opts.n && !p->failed) {
        Diag *d = diag_error(p->sink, "E0121", e->at,
                             "an argument without a name follows one with a name");
        diag_label(p->sink, d, args->opts.data[0].at, "this one has a name");
        diag_help(p->sink, d, "put the arguments without a name first, or name this one");
        p->failed = true;
    }
    list_push(p->arena, &args->list, e);
    return args;
}

Args *ast_add_option(Parse *p, Args *args, const char *name, Span at, Expr *value)
{
    if (!args) args = arena_alloc(p->arena, sizeof *args);
    if (!value) value = ast_name(p, name, at);
    list_push(p->arena, &args->opts, ((Option){name, at, value}));
    return args;
}

Params *ast_add_param(Parse *p, Params *ps, const char *name, Span at, Expr *value, bool required)
{
    if (!ps) ps = arena_alloc(p->arena, sizeof *ps);
    Param param = {name, at, value};
    if (value || required) {
        list_push(p->arena, &ps->opts, param);
        return ps;
    }
    if (ps->opts.n && !p->failed) {
        Diag *d = diag_error(p->sink, "E0121", at,
                             "a parameter without a default follows one with a default");
        diag_label(p->sink, d, ps->opts.data[0].at, "this one has a default");
        diag_help(p->sink, d, "put `%s` first, or write it after `;` as a required option", name);
        p->failed = true;
    }
    list_push(p->arena, &ps->list, param);
    return ps;
}

/* What a layer is applied to; its `value` are the names of its index sets. */
Params *ast_add_input(Parse *p, Params *ps, Word name, ExprList *sets, Span sets_at)
{
    if (!ps) ps = arena_alloc(p->arena, sizeof *ps);
    Param param = {name.name, name.at, sets ? ast_tuple(p, sets, sets_at) : NULL};
    list_push(p->arena, &ps->list, param);
    return ps;
}

/* ==== statements ================================================================ */

Stmt *ast_stmt(Parse *p, StmtKind kind, Span at)
{
    Stmt *s = arena_alloc(p->arena, sizeof *s);
    s->kind = kind;
    s->at = at;
    return s;
}

/* The binds of `name[i in I] =`, from the index expression that was parsed. */
static Bind *binds_of_index(Parse *p, const Expr *e)
{
    Bind *binds = arena_alloc(p->arena, (size_t)e->nbinds * sizeof *binds);
    for (int i = 0; i < e->nbinds; i++) {
        Expr *set = e->binds[i].set;
        if (set && set->kind == EX_BINARY && set->op == OP_IN && set->a->kind == EX_NAME)
            binds[i] = (Bind){set->a->name, set->a->at, set->b};
        else if (set)
            binds[i] = ast_bind(set);
    }
    return binds;
}

/* A name, or one name with indices: what `=` and `~` may define. */
static bool target(Parse *p, Expr *e, bool alone, const char *verb)
{
    if (e->kind == EX_NAME || e->kind == EX_ERROR) return e->kind == EX_NAME;
    if (e->kind == EX_INDEX && e->a->kind == EX_NAME && alone) return true;
    if (p->failed) return false;
    p->failed = true;
    Diag *d = diag_error(p->sink, "E0120", e->at, "this cannot be %s", verb);
    if (e->kind == EX_CALL && e->a->kind == EX_NAME && *verb == 'd' && verb[1] == 'e') {
        diag_here(p->sink, d, "a call");
        diag_help(p->sink, d, "a function is declared outside the blocks: def %s(…) = …", e->a->name);
    } else if (e->kind == EX_INDEX && e->a->kind == EX_NAME) {
        diag_here(p->sink, d, "several names are %s together only without indices", verb);
    } else {
        diag_help(p->sink, d, "on the left stands a name, or a name with indices: a[x in X]");
    }
    return false;
}

Stmt *ast_assign(Parse *p, StmtKind kind, ExprList *targets, Expr *value, Span at)
{
    Stmt *s = ast_stmt(p, kind, at);
    const char *verb = kind == ST_DRAW ? "drawn" : "defined";
    s->value = value;
    s->names = arena_alloc(p->arena, (size_t)targets->n * sizeof *s->names);
    s->name_at = arena_alloc(p->arena, (size_t)targets->n * sizeof *s->name_at);
    for (int i = 0; i < targets->n; i++) {
        Expr *e = targets->data[i];
        if (!target(p, e, targets->n == 1 && kind != ST_CLAIM, verb)) {
            s->kind = ST_ERROR;
            return s;
        }
        if (e->kind == EX_INDEX) {
            s->binds = binds_of_index(p, e), s->nbinds = e->nbinds;
            e = e->a;
        }
        s->names[s->nnames] = e->name;
        s->name_at[s->nnames++] = e->at;
    }
    return s;
}

Stmt *ast_unused(Parse *p, ExprList *list, Span at)
{
    if (!p->failed) {
        Diag *d = diag_error(p->sink, "E0119", at, "this value is not used");
        const Expr *e = list->data[0];
        if (list->n == 1 && e->kind == EX_BINARY && e->op == OP_EQ)
            diag_help(p->sink, d, "a name is defined with one `=`");
        else diag_help(p->sink, d, "give it a name with `=`, or hand it back with `return`");
        p->failed = true;
    }
    return ast_stmt(p, ST_ERROR, at);
}

/* ==== declarations =============================================================== */

Decl *ast_decl(Parse *p, DeclKind kind, Span at)
{
    Decl *d = arena_alloc(p->arena, sizeof *d);
    d->kind = kind;
    d->at = at;
    d->file = p->file;
    vec_push(&p->decls, d);
    return d;
}

Decl *ast_function(Parse *p, DeclKind kind, Word name, Params *ps, Span at)
{
    Decl *d = ast_decl(p, kind, at);
    d->name = name.name, d->name_at = name.at;
    if (ps) {
        d->params = ps->list.data, d->nparams = ps->list.n;
        d->opts = ps->opts.data, d->nopts = ps->opts.n;
    }
    return d;
}

static void set_names(Parse *p, Decl *d, const WordList *words)
{
    d->nnames = words->n;
    d->names = arena_alloc(p->arena, (size_t)words->n * sizeof *d->names);
    d->names_at = arena_alloc(p->arena, (size_t)words->n * sizeof *d->names_at);
    for (int i = 0; i < words->n; i++)
        d->names[i] = words->data[i].name, d->names_at[i] = words->data[i].at;
    d->name = d->names[0], d->name_at = d->names_at[0];
}

static void print_binds(const Bind *binds, int n, Text *t);

/* `a[X], b[X]`: later names must repeat the index sets of the first. */
Heads *ast_add_head(Parse *p, Heads *h, const char *name, Span at, BindList *binds, Span binds_at)
{
    BindList none = {0};
    if (!binds) binds = &none;
    Word w = {name, at};
    if (!h) {
        h = arena_alloc(p->arena, sizeof *h);
        h->binds = *binds;
        h->binds_at = binds_at;
    } else if (!p->failed) {
        Text a = {0}, b = {0};
        print_binds(h->binds.data, h->binds.n, &a);
        print_binds(binds->data, binds->n, &b);
        if (a.n != b.n || (a.n && memcmp(a.s, b.s, a.n))) {
            Diag *d = diag_error(p->sink, "E0124", binds_at,
                                 "`%s` is declared together with `%s` but has other index sets", name,
                                 h->words.data[0].name);
            diag_label(p->sink, d, h->binds_at, "these are the index sets of both");
            diag_help(p->sink, d, "declare them on two lines");
            p->failed = true;
        }
        text_free(&a);
        text_free(&b);
    }
    list_push(p->arena, &h->words, w);
    return h;
}

Decl *ast_fields(Parse *p, DeclKind kind, Heads *h, Span at)
{
    Decl *d = ast_decl(p, kind, at);
    set_names(p, d, &h->words);
    d->binds = h->binds.data, d->nbinds = h->binds.n;
    return d;
}

Decl *ast_symmetry(Parse *p, Expr *left, Expr *value, Word action, Span at)
{
    Decl *d = ast_decl(p, DC_SYMMETRY, at);
    WordList names = {0};
    Expr **items = left->kind == EX_TUPLE ? left->list : &left;
    int n = left->kind == EX_TUPLE ? left->n : 1;
    d->name = action.name, d->name_at = action.at, d->value = value;
    for (int i = 0; i < n; i++) {
        Expr *e = items[i];
        if (e->kind == EX_INDEX && e->a->kind == EX_NAME && n == 1) {
            d->binds = binds_of_index(p, e), d->nbinds = e->nbinds;
            e = e->a;
        }
        if (e->kind != EX_NAME) break;
        list_push(p->arena, &names, ((Word){e->name, e->at}));
    }
    if (names.n == n && n > 0) {
        set_names(p, d, &names);
        d->name = action.name, d->name_at = action.at;
        return d;
    }
    d->kind = DC_ERROR;
    if (!p->failed) {
        Diag *g = diag_error(p->sink, "E0129", left->at, "a symmetry begins with the fields it changes");
        diag_help(p->sink, g, "symmetry phi -> -phi of S, or symmetry (a, b) -> (b, a) of S");
        p->failed = true;
    }
    return d;
}

Decl *ast_sample(Parse *p, WordList *names, Expr *value, Expr *method, OptionList *settings, Span at)
{
    Decl *d = ast_decl(p, DC_SAMPLE, at);
    set_names(p, d, names);
    d->value = value, d->method = method;
    if (settings) d->settings = settings->data, d->nsettings = settings->n;
    return d;
}

Decl *ast_plot(Parse *p, ExprList *list, BindList *binds, OptionList *settings, Span at)
{
    Decl *d = ast_decl(p, DC_PLOT, at);
    d->list = list->data, d->nlist = list->n;
    if (binds) d->binds = binds->data, d->nbinds = binds->n;
    if (settings) d->settings = settings->data, d->nsettings = settings->n;
    return d;
}

Decl *ast_layer(Parse *p, Word name, Params *ps, Params *inputs, Span at)
{
    Decl *d = ast_function(p, DC_LAYER, name, ps, at);
    d->inputs = inputs->list.data, d->ninputs = inputs->list.n;
    return d;
}

/* A name, a name with index sets and a type, or something with weights. */
Over ast_over(Parse *p, Expr *what, Expr *type)
{
    Over o = {.at = what->at, .type = type};
    if (what->kind == EX_INDEX && what->a->kind == EX_NAME && type) {
        o.name = what->a->name, o.at = what->a->at;
        o.binds = binds_of_index(p, what), o.nbinds = what->nbinds;
    } else if (what->kind == EX_NAME) {
        o.name = what->name;
    } else if (!type && (what->kind == EX_MEMBER || (what->kind == EX_INDEX && what->a->kind == EX_MEMBER))) {
        o.of = what;
    } else if (what->kind != EX_ERROR && !p->failed) {
        Diag *d = diag_error(p->sink, "E0334", what->at, "this cannot be minimised over");
        diag_help(p->sink, d, "write `over net.weights`, or a field: `over r[W] : real`");
        p->failed = true;
    }
    return o;
}

Decl *ast_minimize(Parse *p, Expr *value, OverList *over, Expr *method, OptionList *settings, Span at)
{
    Decl *d = ast_decl(p, DC_MINIMIZE, at);
    d->value = value, d->method = method;
    d->over = over->data, d->nover = over->n;
    if (settings) d->settings = settings->data, d->nsettings = settings->n;
    return d;
}

/* The tasks of the block have been made: the scan goes before them. */
Decl *ast_scan(Parse *p, BindList *binds, Span at)
{
    Decl *d = ast_decl(p, DC_SCAN, at);
    d->binds = binds->data, d->nbinds = binds->n;
    for (int i = p->decls.n - 1; i > 0; i--) {
        p->decls.data[i] = p->decls.data[i - 1];
        p->decls.data[i]->scan = d;
    }
    p->decls.data[0] = d;
    return d;
}

/* The text of an expression as the user wrote it, on one line. */
static const char *spelling(Parse *p, Span at)
{
    const char *s = p->src->text;
    Text t = {0};
    for (uint32_t i = at.lo; i < at.hi; i++) {
        if (s[i] == '#') {
            while (i < at.hi && s[i] != '\n') i++;
            i--;
        } else if (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
            if (t.n && t.s[t.n - 1] != ' ') text_putn(&t, " ", 1);
        } else {
            text_putn(&t, s + i, 1);
        }
    }
    const char *name = intern_n(t.s ? t.s : "", t.n);
    text_free(&t);
    return name;
}

Decl *ast_report(Parse *p, Expr *target_, Expr *value, Span at)
{
    Decl *d = ast_decl(p, DC_REPORT, at);
    d->name_at = target_->at;
    if (!value) {
        d->value = target_;
        d->name = target_->kind == EX_NAME ? target_->name : spelling(p, target_->at);
        return d;
    }
    d->value = value;
    if (!target(p, target_, true, "defined")) {
        d->kind = DC_ERROR;
        return d;
    }
    if (target_->kind == EX_INDEX) {
        d->binds = binds_of_index(p, target_), d->nbinds = target_->nbinds;
        target_ = target_->a;
    }
    d->name = target_->name, d->name_at = target_->at;
    return d;
}

/* ==== back to source text ========================================================== */

/* Levels of the grammar: an operand prints in parentheses when it is below what its
 * place asks for. */
enum { P_IF, P_COMPOSE, P_OR, P_AND, P_NOT, P_COMPARE, P_SUM, P_MUL, P_UNARY, P_POWER, P_POSTFIX };

static const struct { const char *text; int level; } ops[] = {
    [OP_ADD] = {" + ", P_SUM},   [OP_SUB] = {" - ", P_SUM},   [OP_MUL] = {"*", P_MUL},
    [OP_DIV] = {"/", P_MUL},     [OP_POW] = {"^", P_POWER},   [OP_LT] = {" < ", P_COMPARE},
    [OP_LE] = {" <= ", P_COMPARE}, [OP_GT] = {" > ", P_COMPARE}, [OP_GE] = {" >= ", P_COMPARE},
    [OP_EQ] = {" == ", P_COMPARE}, [OP_NE] = {" != ", P_COMPARE}, [OP_AND] = {" and ", P_AND},
    [OP_OR] = {" or ", P_OR},    [OP_IN] = {" in ", P_COMPARE}, [OP_NEG] = {"-", P_UNARY},
    [OP_NOT] = {"not ", P_NOT},  [OP_COMPOSE] = {" >> ", P_COMPOSE},
};

static int level(const Expr *e)
{
    switch (e->kind) {
    case EX_UNARY: case EX_BINARY: return ops[e->op].level;
    case EX_IF: case EX_RANGE: return P_IF;
    case EX_BINDER: return P_MUL;
    default: return P_POSTFIX;
    }
}

/* Ends in a binder, which would take a factor that follows. */
static bool ends_in_binder(const Expr *e)
{
    while ((e->kind == EX_BINARY && (e->op == OP_MUL || e->op == OP_DIV)) || e->kind == EX_UNARY)
        e = e->kind == EX_BINARY ? e->b : e->a;
    return e->kind == EX_BINDER;
}

static void print_at(const Expr *e, int least, Text *t);

static void print_list(Expr **list, int n, Text *t)
{
    for (int i = 0; i < n; i++) {
        if (i) text_printf(t, ", ");
        print_at(list[i], P_IF, t);
    }
}

static void print_options(const Option *opts, int n, Text *t)
{
    for (int i = 0; i < n; i++) {
        text_printf(t, "%s%s = ", i ? ", " : "", opts[i].name);
        print_at(opts[i].value, P_IF, t);
    }
}

static void print_binds(const Bind *binds, int n, Text *t)
{
    for (int i = 0; i < n; i++) {
        if (i) text_printf(t, ", ");
        if (binds[i].name) text_printf(t, "%s", binds[i].name);
        if (binds[i].name && binds[i].set) text_printf(t, " in ");
        if (binds[i].set) print_at(binds[i].set, P_IF, t);
    }
}

static void print_string(const char *s, Text *t)
{
    text_printf(t, "\"");
    for (; *s; s++) {
        if (*s == '\n') text_printf(t, "\\n");
        else if (*s == '"' || *s == '\\') text_printf(t, "\\%c", *s);
        else text_putn(t, s, 1);
    }
    text_printf(t, "\"");
}

static void print_binary(const Expr *e, Text *t)
{
    int at = ops[e->op].level;
    bool loose = e->op == OP_MUL || e->op == OP_DIV;
    int left = e->op == OP_POW ? P_POSTFIX : at == P_COMPARE ? P_SUM : at;
    int right = e->op == OP_POW ? P_POWER : at == P_COMPARE ? P_SUM : at + 1;
    if (loose && ends_in_binder(e->a)) left = P_POSTFIX;
    if (loose && (e->b->kind == EX_BINDER || (e->b->kind == EX_UNARY && e->b->op == OP_NEG)))
        right = P_MUL;
    if (e->op == OP_POW && e->b->kind == EX_UNARY && level(e->b->a) >= P_POWER) right = P_UNARY;
    print_at(e->a, left, t);
    text_printf(t, "%s", ops[e->op].text);
    print_at(e->b, right, t);
}

/* `1..x` and `sum[x]` would read as something else. */
static void print_callee(const Expr *e, Text *t)
{
    bool odd = e->kind == EX_NUM || e->kind == EX_IMAG ||
               (e->kind == EX_NAME && ast_is_binder_word(e->name));
    text_printf(t, odd ? "(" : "");
    print_at(e, P_POSTFIX, t);
    text_printf(t, odd ? ")" : "");
}

static void print_at(const Expr *e, int least, Text *t)
{
    bool parens = level(e) < least;
    if (parens) text_printf(t, "(");
    switch (e->kind) {
    case EX_ERROR: text_printf(t, "?"); break;
    case EX_NUM: case EX_IMAG: case EX_NAME: text_printf(t, "%s", e->name); break;
    case EX_STR: print_string(e->name, t); break;
    case EX_BOOL: text_printf(t, e->num != 0 ? "true" : "false"); break;
    case EX_CALL:
        print_at(e->a, P_POSTFIX, t);
        text_printf(t, "(");
        print_list(e->list, e->n, t);
        if (e->nopts) text_printf(t, e->n ? "; " : "");
        print_options(e->opts, e->nopts, t);
        text_printf(t, ")");
        break;
    case EX_INDEX:
        print_callee(e->a, t);
        text_printf(t, "[");
        print_binds(e->binds, e->nbinds, t);
        text_printf(t, "]");
        break;
    case EX_MEMBER:
        print_callee(e->a, t);
        text_printf(t, ".%s", e->name);
        break;
    case EX_UNARY:
        text_printf(t, "%s", ops[e->op].text);
        print_at(e->a, e->op == OP_NOT ? P_NOT : e->a->kind == EX_BINDER ? P_MUL : P_UNARY, t);
        break;
    case EX_BINARY: print_binary(e, t); break;
    case EX_IF:
        text_printf(t, "if ");
        print_at(e->a, P_IF, t);
        text_printf(t, " then ");
        print_at(e->b, P_IF, t);
        text_printf(t, " else ");
        print_at(e->c, P_IF, t);
        break;
    case EX_BINDER:
        text_printf(t, "%s[", e->name);
        print_binds(e->binds, e->nbinds, t);
        if (e->b) {
            text_printf(t, " if ");
            print_at(e->b, P_IF, t);
        }
        text_printf(t, "] ");
        print_at(e->a, P_MUL, t);
        break;
    case EX_TUPLE:
        text_printf(t, "(");
        print_list(e->list, e->n, t);
        text_printf(t, ")");
        break;
    case EX_RANGE:
        if (e->a) print_at(e->a, P_OR, t);
        text_printf(t, e->a ? " .. " : "..");
        if (e->b) print_at(e->b, P_OR, t);
        break;
    }
    if (parens) text_printf(t, ")");
}

void ast_print_expr(const Expr *e, Text *out)
{
    print_at(e, P_IF, out);
}

/* ==== S-expressions ================================================================== */

static const char *const op_words[] = {
    [OP_ADD] = "+", [OP_SUB] = "-", [OP_MUL] = "*", [OP_DIV] = "/", [OP_POW] = "^",
    [OP_LT] = "<", [OP_LE] = "<=", [OP_GT] = ">", [OP_GE] = ">=", [OP_EQ] = "==", [OP_NE] = "!=",
    [OP_AND] = "and", [OP_OR] = "or", [OP_IN] = "in", [OP_NEG] = "-", [OP_NOT] = "not", [OP_COMPOSE] = ">>",
};

static void sx(const Expr *e, FILE *out);

static void sx_binds(const Bind *binds, int n, FILE *out)
{
    fprintf(out, " [");
    for (int i = 0; i < n; i++) {
        if (i) fprintf(out, " ");
        if (binds[i].name && binds[i].set) {
            fprintf(out, "(in %s ", binds[i].name);
            sx(binds[i].set, out);
            fprintf(out, ")");
        } else if (binds[i].name) {
            fprintf(out, "%s", binds[i].name);
        } else if (binds[i].set) {
            sx(binds[i].set, out);
        }
    }
    fprintf(out, "]");
}

static void sx_options(const Option *opts, int n, FILE *out)
{
    for (int i = 0; i < n; i++) {
        fprintf(out, " :%s ", opts[i].name);
        sx(opts[i].value, out);
    }
}

static void sx_child(const Expr *e, FILE *out)
{
    fprintf(out, " ");
    sx(e, out);
}

static void sx(const Expr *e, FILE *out)
{
    Text t = {0};
    switch (e->kind) {
    case EX_ERROR: fprintf(out, "<error>"); return;
    case EX_NUM: case EX_IMAG: case EX_NAME: fprintf(out, "%s", e->name); return;
    case EX_BOOL: fprintf(out, e->num != 0 ? "true" : "false"); return;
    case EX_STR:
        print_string(e->name, &t);
        fprintf(out, "%s", t.s);
        text_free(&t);
        return;
    case EX_CALL: fprintf(out, "(call"); break;
    case EX_INDEX: fprintf(out, "(index"); break;
    case EX_MEMBER: fprintf(out, "(. "); sx(e->a, out); fprintf(out, " %s)", e->name); return;
    case EX_UNARY: case EX_BINARY: fprintf(out, "(%s", op_words[e->op]); break;
    case EX_IF: fprintf(out, "(if"); break;
    case EX_BINDER:
        fprintf(out, "(%s", e->name);
        sx_binds(e->binds, e->nbinds, out);
        if (e->b) {
            fprintf(out, " (where");
            sx_child(e->b, out);
            fprintf(out, ")");
        }
        sx_child(e->a, out);
        fprintf(out, ")");
        return;
    case EX_TUPLE: fprintf(out, "(tuple"); break;
    case EX_RANGE: fprintf(out, "(range"); break;
    }
    if (e->a) sx_child(e->a, out);
    if (e->b) sx_child(e->b, out);
    if (e->c) sx_child(e->c, out);
    if (e->kind == EX_INDEX) sx_binds(e->binds, e->nbinds, out);
    for (int i = 0; i < e->n; i++) sx_child(e->list[i], out);
    sx_options(e->opts, e->nopts, out);
    fprintf(out, ")");
}

static void indent(int depth, FILE *out)
{
    fprintf(out, "\n%*s", 2 * depth, "");
}

static void sx_block(const Block *b, int depth, FILE *out);

static const char *const stmt_words[] = {
    [ST_ERROR] = "error", [ST_LET] = "let", [ST_DRAW] = "draw", [ST_REPEAT] = "repeat",
    [ST_WHILE] = "while", [ST_FOR] = "for", [ST_IF] = "if", [ST_RETURN] = "return",
    [ST_ACCEPT] = "accept", [ST_MONITOR] = "monitor", [ST_WARN] = "warn", [ST_STATE] = "state", [ST_CLAIM] = "reversible",
    [ST_WEIGHT] = "weight", [ST_STOP] = "stop",
};

static void sx_stmt(const Stmt *s, int depth, FILE *out)
{
    indent(depth, out);
    fprintf(out, "(%s", stmt_words[s->kind]);
    for (int i = 0; i < s->nnames; i++) fprintf(out, " %s", s->names[i]);
    if (s->nbinds) sx_binds(s->binds, s->nbinds, out);
    if (s->value) sx_child(s->value, out);
    if (s->limit) sx_child(s->limit, out);
    sx_block(&s->body, depth + 1, out);
    if (s->orelse.n) {
        indent(depth, out);
        fprintf(out, " else");
        sx_block(&s->orelse, depth + 1, out);
    }
    fprintf(out, ")");
}

static void sx_block(const Block *b, int depth, FILE *out)
{
    for (int i = 0; i < b->n; i++) sx_stmt(b->stmts[i], depth, out);
}

static const char *const decl_words[] = {
    [DC_ERROR] = "error", [DC_IMPORT] = "import", [DC_PARAM] = "param", [DC_AXIS] = "axis",
    [DC_GRID] = "grid", [DC_LATTICE] = "lattice", [DC_FIELD] = "field", [DC_DATA] = "data",
    [DC_DEF] = "def", [DC_ACTION] = "action", [DC_OBSERVABLE] = "observable",
    [DC_LOSS] = "loss", [DC_KERNEL] = "kernel", [DC_OPTIMIZER] = "optimizer", [DC_LAYER] = "layer",
    [DC_NETWORK] = "network", [DC_MINIMIZE] = "minimize", [DC_LOAD] = "load", [DC_KEEP] = "keep",
    [DC_SAMPLER] = "sampler", [DC_SCAN] = "scan", [DC_SYMMETRY] = "symmetry", [DC_SAMPLE] = "sample",
    [DC_REPORT] = "report", [DC_PLOT] = "plot", [DC_SAVE] = "save", [DC_PRINT] = "print",
};

static void sx_params(const Decl *d, FILE *out)
{
    fprintf(out, " (");
    for (int i = 0; i < d->nparams; i++) fprintf(out, "%s%s", i ? " " : "", d->params[i].name);
    for (int i = 0; i < d->nopts; i++) {
        fprintf(out, "%s:%s", i || d->nparams ? " " : "", d->opts[i].name);
        if (d->opts[i].value) sx_child(d->opts[i].value, out);
    }
    fprintf(out, ")");
}

static void sx_inputs(const Decl *d, FILE *out)
{
    fprintf(out, " (");
    for (int i = 0; i < d->ninputs; i++) {
        fprintf(out, "%s%s", i ? " " : "", d->inputs[i].name);
        if (d->inputs[i].value) sx_child(d->inputs[i].value, out);
    }
    fprintf(out, ")");
}

static void sx_over(const Decl *d, FILE *out)
{
    for (int i = 0; i < d->nover; i++) {
        const Over *o = &d->over[i];
        fprintf(out, " (over");
        if (o->name) fprintf(out, " %s", o->name);
        if (o->nbinds) sx_binds(o->binds, o->nbinds, out);
        if (o->of) sx_child(o->of, out);
        if (o->type) sx_child(o->type, out);
        fprintf(out, ")");
    }
}

bool decl_is_function(DeclKind kind)
{
    return kind == DC_DEF || kind == DC_ACTION || kind == DC_OBSERVABLE || kind == DC_LOSS || kind == DC_KERNEL ||
           kind == DC_SAMPLER || kind == DC_OPTIMIZER || kind == DC_LAYER;
}

static void sx_decl(const Decl *d, FILE *out)
{
    fprintf(out, "(%s", decl_words[d->kind]);
    if (d->name) fprintf(out, d->kind == DC_REPORT && strpbrk(d->name, " ()[]") ? " |%s|" : " %s", d->name);
    for (int i = d->kind == DC_SYMMETRY ? 0 : 1; i < d->nnames; i++) fprintf(out, " %s", d->names[i]);
    if (d->nbinds) sx_binds(d->binds, d->nbinds, out);
    if (decl_is_function(d->kind)) sx_params(d, out);
    if (d->kind == DC_LAYER) sx_inputs(d, out);
    if (d->doc) {
        Text t = {0};
        print_string(d->doc, &t);
        fprintf(out, " (doc %s)", t.s);
        text_free(&t);
    }
    if (d->type) sx_child(d->type, out);
    if (d->value) sx_child(d->value, out);
    if (d->lo && d->hi) {
        fprintf(out, " (interval %s", d->lo_open ? "open" : "closed");
        sx_child(d->lo, out);
        sx_child(d->hi, out);
        fprintf(out, " %s)", d->hi_open ? "open" : "closed");
    }
    sx_over(d, out);
    if (d->method) sx_child(d->method, out);
    sx_options(d->settings, d->nsettings, out);
    for (int i = 0; i < d->nlist; i++) sx_child(d->list[i], out);
    if (d->path) sx_child(d->path, out);
    if (d->has_body) sx_block(&d->body, 1, out);
    fprintf(out, ")\n");
}

void ast_print(const Program *p, FILE *out)
{
    for (int i = 0; i < p->decls.n; i++) sx_decl(p->decls.data[i], out);
}
