/* ask.c — questions about expressions: what they are, their shapes, their derivatives.  Each is
 * put to an elaboration of its own, so that nothing of it stays behind. */
#include "repl.h"

#include "../ir/notation.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- an elaboration to ask ------------------------------------------------------------------- */

typedef struct Question {
    Repl  *r;
    Build *b;
    Elab  *e;
    Env   *env;                    /* the globals, and the fields as arrays that are not known */
    const Origin *o;
} Question;

static const Value *unknown_field(Elab *e, const FieldInfo *f) {
    Value *v = (Value *)field_input(e, f);
    v->name = f->name;
    return v;
}

/* The session with some more entries; false after messages. */
static bool ask(Question *q, Repl *r, const Origin *o, const Entry *const *more, int n) {
    Entries all = {0};
    for (int i = 0; i < r->build->entries.n; i++)
        if (!r->build->entries.data[i]->passing) vec_push(&all, r->build->entries.data[i]);
    for (int i = 0; i < n; i++) vec_push(&all, more[i]);
    *q = (Question){.r = r, .b = build_new(r, &all), .o = o};
    vec_free(&all);
    q->e = q->b->s.model->elab;
    if (!q->b->sound) return false;
    q->env = q->e->globals;
    for (int i = 0; i < q->b->s.model->fields.n; i++) {
        const FieldInfo *f = q->b->s.model->fields.data[i];
        q->env = env_bind(q->e, q->env, f->name, unknown_field(q->e, f));
    }
    return true;
}

static void messages(Question *q) {
    build_relocate(q->b);
    eval_messages(q->r, &q->b->s.front);
}

static const Value *elaborate(Question *q, const char *text, size_t length) {
    Front *f = &q->b->s.front;
    Expr *x = parse_expr(f, source_add(&f->sources, q->o->path, text, length));
    if (!x) return value_error();
    const Value *v = elab_expr(q->e, q->env, x);
    return f->sink.nerrors ? value_error() : v;
}

/* ---- values ------------------------------------------------------------------------------------- */

static int64_t put_shape(const Value *v, Text *out) {
    int64_t n = 1;
    for (int i = 0; i < v->u.num.nsets; i++) {
        const IndexSet *s = v->u.num.sets[i];
        text_printf(out, "%s%s (", i ? ", " : "", s->name ? s->name : "a range");
        for (int k = 0; k < s->rank; k++) text_printf(out, "%s%lld", k ? " × " : "", (long long)s->ext[k]);
        text_printf(out, ")");
        n *= set_size(s);
    }
    return n;
}

static void put_params(const Decl *d, Text *t) {
    if (!d->nparams && !d->nopts) return;
    text_printf(t, "(");
    for (int i = 0; i < d->nparams; i++) text_printf(t, "%s%s", i ? ", " : "", d->params[i].name);
    for (int i = 0; i < d->nopts; i++) {
        text_printf(t, "%s%s", i ? ", " : "; ", d->opts[i].name);
        if (!d->opts[i].value) continue;
        text_printf(t, " = ");
        ast_print_expr(d->opts[i].value, t);
    }
    text_printf(t, ")");
}

static void put_type(Question *q, const Value *v, bool shape, Text *out) {
    const Decl *d = v->kind == VK_FUNC && v->u.func.kind == FN_DECL ? v->u.func.decl : NULL;
    if (shape && v->kind == VK_NUM) {
        int64_t n = put_shape(v, out);
        if (!v->u.num.nsets) text_printf(out, "one number");
        else text_printf(out, ": %lld numbers%s", (long long)n, v->u.num.complex ? ", complex" : "");
    } else if (v->kind == VK_SET) text_printf(out, "%s", set_describe(q->b->s.arena, v->u.set));
    else if (d) text_printf(out, "%s %s", d->keyword ? d->keyword : "function", d->name), put_params(d, out);
    else if (v->kind == VK_TUPLE) {
        text_printf(out, "(");
        for (int i = 0; i < v->u.tuple.n; i++) {
            if (i) text_printf(out, ", ");
            put_type(q, v->u.tuple.items[i], shape, out);
        }
        text_printf(out, ")");
    } else text_printf(out, "%s", value_describe(q->e, v));
}

int ask_type(Repl *r, const char *text, bool shape) {
    Question q;
    Text out = {0};
    const Origin *o = eval_origin(r, "question", text, strlen(text));
    const Value *v = ask(&q, r, o, NULL, 0) ? elaborate(&q, o->text, o->length) : value_error();
    bool ok = v->kind != VK_ERROR;
    if (ok) {
        put_type(&q, v, shape, &out);
        fprintf(r->out, "%s\n", out.s ? out.s : "");
    } else messages(&q);
    text_free(&out);
    build_free(q.b);
    return !ok;
}

bool ask_describe(Repl *r, const char *text, size_t length, Text *out) {
    Question q;
    double value;
    const Origin *o = eval_origin(r, "question", text, length);
    const char *name = intern_n(text, length);
    const FieldInfo *f = model_field(r->build->s.model, name);
    if (f && ask_doc(r, name, out)) return true;
    const Value *v = ask(&q, r, o, NULL, 0) ? elaborate(&q, o->text, o->length) : value_error();
    bool ok = true;
    if (v->kind == VK_STR) text_printf(out, "\"%s\"", v->u.str);
    else if (v->kind == VK_NUM && v->u.num.boolean && v->u.num.nsets == 0 && value_is_const(q.e, v, &value)) text_printf(out, value ? "true" : "false");
    else if (v->kind == VK_NUM || v->kind == VK_ERROR) ok = false;
    else put_type(&q, v, false, out);
    build_free(q.b);
    return ok;
}

/* ---- derivatives ----------------------------------------------------------------------------------- */

static int axes_of(const Value *v, NotationAxis *axes) {
    static const char *const letters[] = {"x", "y", "z", "u", "v", "w", "s", "t"};
    int n = 0;
    for (int i = 0; i < v->u.num.nsets; i++)
        for (int k = 0; k < v->u.num.sets[i]->rank; k++)
            axes[n++] = (NotationAxis){letters[i], k, v->u.num.sets[i]->kind == SET_LATTICE && v->u.num.sets[i]->rank > 1 ? v->u.num.sets[i]->rank : 0};
    return n;
}

static void put_gradient(Question *q, const char *of, const char *by, const Value *g) {
    static const char *const parts[] = {"", "Re ", "Im "};
    for (int p = 0; p < (g->u.num.complex ? 2 : 1); p++) {
        Ref node = value_node(q->e, g, p);
        simplify_roots(q->e->ir, 1, &node);
        NotationAxis axes[IR_MAX_RANK];
        NotationNames names = {axes, axes_of(g, axes)};
        Text t = {0};
        notation_print(q->e->ir, node, &names, &t);
        char *last = t.s ? strrchr(t.s, '\n') : NULL;      /* what it uses comes first */
        if (last) fprintf(q->r->out, "%.*s", (int)(last + 1 - t.s), t.s);
        fprintf(q->r->out, "%sd%s/d%s", parts[g->u.num.complex ? p + 1 : 0], of, by);
        for (int i = 0, k = 0; i < g->u.num.nsets; k += g->u.num.sets[i]->rank, i++) fprintf(q->r->out, "%s%s", i ? ", " : "[", axes[k].name);
        fprintf(q->r->out, "%s = %s\n", g->u.num.nsets ? "]" : "", last ? last + 1 : t.s ? t.s : "0");
        text_free(&t);
    }
}

static bool is_name(const char *s) {
    if (!isalpha((unsigned char)*s) && *s != '_' && !(*s & 0x80)) return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_' && *s != '\'' && !(*s & 0x80)) return false;
    return true;
}

/* S as S(phi), when it is a function of parameters called like fields or what is derived by. */
static const char *applied(Repl *r, const char *text) {
    const Value *f = is_name(text) ? env_find(r->build->s.model->elab->globals, intern(text)) : NULL;
    if (!f || f->kind != VK_FUNC || f->u.func.kind != FN_DECL || !f->u.func.decl->nparams) return text;
    Text t = {0};
    text_printf(&t, "%s(", text);
    for (int i = 0; i < f->u.func.decl->nparams; i++) text_printf(&t, "%s%s", i ? ", " : "", f->u.func.decl->params[i].name);
    text_printf(&t, ")");
    const char *s = arena_strndup(r->arena, t.s, t.n);
    text_free(&t);
    return s;
}

/* A parameter stands in the bodies of functions: these see it replaced. */
static const char *varied(Repl *r, const char *of, const char *by) {
    Text t = {0};
    const Model *m = r->build->s.model;
    text_printf(&t, "vary(lqft_f, %s, lqft_x)(", by);
    for (int i = 0; i < m->fields.n; i++) text_printf(&t, "%s%s", i ? ", " : "", m->fields.data[i]->name);
    text_printf(&t, ")");
    const char *s = arena_strndup(r->arena, t.s, t.n);
    text_free(&t);
    (void)of;
    return s;
}

static const char *all_fields(Repl *r) {
    Text t = {0};
    const Model *m = r->build->s.model;
    for (int i = 0; i < m->fields.n; i++) text_printf(&t, "%s%s", i ? ", " : "", m->fields.data[i]->name);
    const char *s = arena_strndup(r->arena, t.s ? t.s : "", t.n);
    text_free(&t);
    return s;
}

static const Value *gradient_of(Question *q, const char *by) {
    Elab *e = q->e;
    const FieldInfo *f = model_field(q->b->s.model, by);
    const Value *x = f ? env_find(q->env, by) : value_real(e, ir_read(e->ir, ir_input(e->ir, by, 0, NULL, true, false), NULL), (Span){0});
    e->globals = q->env;                         /* the other fields stand in the body */
    q->env = env_bind(e, q->env, intern("lqft_q"), x);
    static const char call[] = "grad(lqft_g, lqft_q)";
    return elaborate(q, call, sizeof call - 1);
}

int ask_gradient(Repl *r, const char *text, const char *by) {
    if (!is_name(by)) return eval_complain(r, "`%s` is no name; :grad E wrt x, as in :grad S wrt phi", by);
    by = intern(by);
    const char *whole = applied(r, text);
    const Origin *o = eval_origin(r, "question", whole, strlen(whole));
    const Entry *more[2];
    int n = 0;
    if (param_named(r->build->s.model->elab, by)) {
        more[n++] = entry_passing(r->arena, arena_printf(r->arena, "def lqft_f(%s) = ", all_fields(r)), o, 0, o->length);
        const char *body = varied(r, whole, by);
        more[n++] = entry_passing(r->arena, arena_printf(r->arena, "def lqft_g(lqft_x) = %s + 0*", body), eval_origin(r, "question", "1", 1), 0, 1);
    } else more[n++] = entry_passing(r->arena, arena_printf(r->arena, "def lqft_g(%s) = ", by), o, 0, o->length);
    Question q;
    const Value *g = ask(&q, r, o, more, n) ? gradient_of(&q, by) : value_error();
    if (g->kind == VK_TUPLE && g->u.tuple.n == 1) g = g->u.tuple.items[0];
    bool ok = g->kind == VK_NUM;
    if (ok) put_gradient(&q, is_name(text) ? text : arena_printf(r->arena, "(%s)", text), by, g);
    else messages(&q);
    build_free(q.b);
    return !ok;
}

void ask_forces(Repl *r) {
    const Model *m = r->build->s.model;
    for (int i = 0; i < m->decls.n; i++) {
        const Decl *d = m->decls.data[i];
        if (d->kind != DC_ACTION || build_entry_at(r->build, d->at) < 0) continue;
        for (int k = 0; k < d->nparams; k++)
            if (model_field(m, d->params[k].name)) ask_gradient(r, d->name, d->params[k].name);
    }
}

/* ---- names -------------------------------------------------------------------------------------------- */

static const Decl *declaration_of(const Build *b, const char *name) {
    const Decl *found = NULL;
    for (int i = 0; i < b->s.model->decls.n; i++) {
        const Decl *d = b->s.model->decls.data[i];
        bool named = d->name == name;
        for (int k = 0; k < d->nnames; k++) named |= d->names[k] == name;
        if (named) found = d;                    /* the last one hides those of imported files */
    }
    return found;
}

static void put_declaration(const Build *b, const Decl *d, const char *name, Text *out) {
    text_printf(out, "%s %s", d->keyword ? d->keyword : "", name);
    if (decl_is_function(d->kind)) put_params(d, out);
    for (int i = 0; i < d->nbinds; i++) {
        text_printf(out, "%s%s", i ? ", " : "[", d->binds[i].name ? d->binds[i].name : "");
        if (d->binds[i].set) text_printf(out, d->binds[i].name ? " in " : ""), ast_print_expr(d->binds[i].set, out);
        if (i == d->nbinds - 1) text_printf(out, "]");
    }
    const Expr *x = d->kind == DC_FIELD ? d->type : decl_is_function(d->kind) ? NULL : d->value;
    if (x) text_printf(out, d->kind == DC_FIELD ? " : " : " = "), ast_print_expr(x, out);
    const Value *v = env_find(b->s.model->elab->globals, name);
    if (v && v->kind == VK_SET) text_printf(out, "\n%s", set_describe(b->s.arena, v->u.set));
    const FieldInfo *f = model_field(b->s.model, name);
    int64_t n = 1;
    for (int i = 0; f && i < f->nsets; i++) n *= set_size(f->sets[i]);
    if (f && f->nsets) text_printf(out, ", %lld numbers", (long long)n);
}

bool ask_doc(Repl *r, const char *name, Text *out) {
    name = intern(name);
    const Build *b = r->build;
    const Decl *d = declaration_of(b, name);
    const char *page = *name == 'E' && isdigit((unsigned char)name[1]) ? diag_explain(name) : NULL;
    if (page) text_printf(out, "%s", page);
    else if (d) {
        put_declaration(b, d, name, out);
        if (d->doc) text_printf(out, "\n%s", d->doc);
    } else if (builtin_find(name) >= 0) text_printf(out, "%s: a built-in function; section 5 of the language reference", name);
    else {
        for (int c = 0; c < WORD_CLASS_COUNT; c++)
            if (word_is(name, (WordClass)c)) {
                text_printf(out, "%s: a word of the language (%s)", name, word_class_name((WordClass)c));
                return true;
            }
        for (int i = 0; i < b->entries.n; i++)
            if (entry_declares(b->entries.data[i], name) && !b->entries.data[i]->passing) {
                text_printf(out, "%s", b->entries.data[i]->text);
                return true;
            }
        return false;
    }
    return true;
}
