/* entry.c — declarations as they were typed. */
#include "repl.h"

#include <stdlib.h>
#include <string.h>

static bool has(const NameList *l, const char *name) {
    for (int i = 0; i < l->n; i++)
        if (l->data[i] == name) return true;
    return false;
}

bool entry_is_task(const Entry *e) {
    switch (e->kind) {
    case DC_SCAN: case DC_SAMPLE: case DC_MINIMIZE: case DC_KEEP: case DC_LOAD: case DC_REPORT: case DC_PLOT: case DC_SAVE: case DC_PRINT:
        return true;
    default: return false;
    }
}

/* Plots, saves and the like have no names: the same text again is the same task. */
static bool is_named(const Entry *e) {
    switch (e->kind) {
    case DC_SCAN: case DC_LOAD: case DC_PLOT: case DC_SAVE: case DC_PRINT: case DC_SYMMETRY: return false;
    default: return e->names.n > 0;
    }
}

bool entry_declares(const Entry *e, const char *name) { return has(&e->names, name); }

bool entry_replaces(const Entry *a, const Entry *b) {
    if (entry_is_task(a) != entry_is_task(b)) return false;
    if (entry_is_task(a) && a->kind != b->kind) return false;
    if (!is_named(a) || !is_named(b)) return a->kind == b->kind && a->hash == b->hash;
    if (entry_is_task(a) && a->names.n != b->names.n) return false;
    for (int i = 0; i < b->names.n; i++)         /* one that declares more is not replaced by a part of it */
        if (!has(&a->names, b->names.data[i])) return false;
    return true;
}

const char *entry_title(Arena *a, const Entry *e) {
    Text t = {0};
    text_printf(&t, "%s", e->keyword ? e->keyword : "?");
    if (is_named(e))
        for (int i = 0; i < e->names.n; i++) text_printf(&t, "%s%s", i ? ", " : " ", e->names.data[i]);
    else {                                       /* its first line, not too long */
        const char *s = e->text + e->prefix, *at = strstr(s, e->keyword ? e->keyword : "");
        if (at) at += strlen(e->keyword ? e->keyword : "");
        int n = at ? (int)strcspn(at, "\n{#") : 0;
        while (n > 0 && at[n - 1] == ' ') n--;
        text_printf(&t, "%.*s%s", n > 40 ? 40 : n, at ? at : "", n > 40 ? "…" : "");
    }
    const char *s = arena_strndup(a, t.s, t.n);
    text_free(&t);
    return s;
}

/* ---- from text -------------------------------------------------------------------------- */

static void add_name(NameList *l, const char *name) {
    if (name && !has(l, name)) vec_push(l, name);
}

static void read_names(Entry *e, const Decl *d) {
    if (d->kind == DC_MINIMIZE) {
        for (int i = 0; i < d->nover; i++) {
            const Expr *of = d->over[i].of;
            while (of && (of->kind == EX_MEMBER || of->kind == EX_INDEX)) of = of->a;
            add_name(&e->names, d->over[i].name ? d->over[i].name : of && of->kind == EX_NAME ? of->name : NULL);
        }
    } else if (d->kind == DC_LOAD) {
        const Expr *x = d->value;
        while (x && (x->kind == EX_MEMBER || x->kind == EX_INDEX)) x = x->a;
        add_name(&e->names, x && x->kind == EX_NAME ? x->name : NULL);
    } else if (d->kind != DC_SYMMETRY && d->kind != DC_SCAN && d->kind != DC_PLOT && d->kind != DC_SAVE && d->kind != DC_PRINT) {
        add_name(&e->names, d->name);
        for (int i = 0; i < d->nnames; i++) add_name(&e->names, d->names[i]);
    }
}

/* Names and the hash of the tokens. */
static void read_tokens(Front *f, uint32_t file, uint32_t lo, uint32_t hi, Entry *e) {
    const char *text = f->sources.files.data[file]->text;
    Lexemes l = lexemes(f, file);
    uint64_t h = 0x9E3779B9u;
    for (int i = 0; i < l.n; i++) {
        const Lexeme *x = &l.data[i];
        if (x->lo < lo || x->hi > hi || x->class == LEX_COMMENT) continue;
        h = lq_hash(text + x->lo, x->hi - x->lo, h + x->class);
        if (x->first) h++;                       /* where lines end may matter */
        if (x->class == LEX_NAME) add_name(&e->mentions, intern_n(text + x->lo, x->hi - x->lo));
    }
    e->hash = h;
    vec_free(&l);
}

/* From the end of the part before, its line included, to the end of its own line: comments
 * before a declaration belong to it. */
static size_t begin_of(const char *text, size_t from, size_t lo) {
    size_t at = from;
    while (at < lo && (text[at] == '\n' || text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == ';')) at++;
    size_t line = at;
    while (line > from && text[line - 1] != '\n') line--;
    return line;
}

static size_t end_of(const char *text, size_t length, size_t hi) {
    size_t at = hi;
    while (at < length && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r')) at++;
    if (at < length && text[at] == '#')
        while (at < length && text[at] != '\n') at++;
    return at < length && text[at] != '\n' ? hi : at;
}

static Entry *new_entry(Arena *a, const char *prefix, const Origin *o, size_t lo, size_t hi) {
    Entry *e = arena_alloc(a, sizeof *e);
    e->prefix = strlen(prefix);
    char *text = arena_printf(a, "%s%.*s", prefix, (int)(hi - lo), o->text + lo);
    e->text = text, e->length = strlen(text);
    e->origin = o, e->at = lo;
    return e;
}

bool entries_read(Arena *a, Front *f, const Origin *o, size_t lo, size_t hi, Entries *out) {
    uint32_t file = source_add(&f->sources, o->path, o->text + lo, hi - lo);
    const char *text = o->text + lo;
    Program *p = parse_file(f, file);
    if (f->sink.nerrors) return false;
    size_t from = 0;
    for (int i = 0; i < p->decls.n; i++) {
        const Decl *d = p->decls.data[i];
        if (d->at.lo < from) continue;           /* a task inside a scan */
        size_t begin = begin_of(text, from, d->at.lo), end = end_of(text, hi - lo, d->at.hi);
        Entry *e = new_entry(a, "", o, lo + begin, lo + end);
        e->kind = d->kind, e->keyword = d->keyword;
        read_names(e, d);
        read_tokens(f, file, d->at.lo, (uint32_t)end, e);
        vec_push(out, e);
        from = end;
    }
    return true;
}

const Entry *entry_passing(Arena *a, const char *prefix, const Origin *o, size_t lo, size_t hi) {
    Entry *e = new_entry(a, prefix, o, lo, hi);
    Front f;
    front_init(&f);
    uint32_t file = source_add(&f.sources, o->path, e->text, e->length);
    Program *p = parse_file(&f, file);
    if (p->decls.n) {
        const Decl *d = p->decls.data[0];
        e->kind = d->kind, e->keyword = d->keyword;
        if (d->kind != DC_ERROR) read_names(e, d);
    }
    read_tokens(&f, file, 0, (uint32_t)e->length, e);
    e->passing = true;
    front_free(&f);
    return e;
}
