/* eval.c — what a text does that is entered: declarations change the program, expressions are
 * asked of it, commands begin with a colon. */
#include "repl.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const Origin *eval_origin(Repl *r, const char *path, const char *text, size_t length) {
    Origin *o = arena_alloc(r->arena, sizeof *o);
    *o = (Origin){arena_strndup(r->arena, path, strlen(path)), arena_strndup(r->arena, text, length), length};
    return o;
}

int eval_complain(Repl *r, const char *fmt, ...) {
    va_list ap;
    fflush(r->out);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    return 1;
}

void eval_messages(Repl *r, Front *f) {
    if (r->on_diagnostics) r->on_diagnostics(r, &f->sink);
    fflush(r->out);
    diag_print_all(&f->sink, stderr, r->o.run.color);
}

/* ---- the program changes ----------------------------------------------------------------------- */

/* Those before, with the fresh ones in the places of what they replace, or behind it all. */
static void merge(const Entries *before, const Entries *fresh, Entries *out) {
    bool *placed = lq_alloc(((size_t)fresh->n + 1) * sizeof *placed);
    memset(placed, 0, (size_t)fresh->n * sizeof *placed);
    for (int i = 0; i < before->n; i++) {
        const Entry *e = before->data[i], *now = e->passing ? NULL : e;
        for (int k = 0; k < fresh->n && now == e; k++) {
            if (!entry_replaces(fresh->data[k], e)) continue;
            now = placed[k] ? NULL : fresh->data[k];
            placed[k] = true;
        }
        if (now) vec_push(out, now);
    }
    for (int k = 0; k < fresh->n; k++)
        if (!placed[k]) vec_push(out, fresh->data[k]);
    free(placed);
}

static bool mentions(const Entry *e, const Entry *of) {
    for (int i = 0; i < of->names.n; i++)
        for (int k = 0; k < e->mentions.n; k++)
            if (e->mentions.data[k] == of->names.data[i]) return true;
    return false;
}

/* Does i need, by itself or through functions, a value that is not placed yet? */
static bool waits(const Entries *all, int i, const bool *placed, bool *seen) {
    for (int k = 0; k < all->n; k++) {
        const Entry *e = all->data[k];
        if (k == i || seen[k] || entry_is_task(e) || !mentions(all->data[i], e)) continue;
        seen[k] = true;
        if (decl_is_function(e->kind) ? waits(all, k, placed, seen) : !placed[k]) return true;
    }
    return false;
}

/* In an order in which values are declared before they are used, else as they were: what is entered
 * anew may be made of something that was declared later. */
static void reorder(const Entries *all, Entries *out) {
    bool *placed = lq_alloc(((size_t)all->n + 1) * sizeof *placed), *seen = lq_alloc(((size_t)all->n + 1) * sizeof *seen);
    memset(placed, 0, (size_t)all->n * sizeof *placed);
    while (out->n < all->n) {
        int next = -1;
        bool task = false;                       /* tasks keep their order */
        for (int i = 0; i < all->n && next < 0; i++) {
            if (placed[i] || (task && entry_is_task(all->data[i]))) continue;
            memset(seen, 0, (size_t)all->n * sizeof *seen);
            if (decl_is_function(all->data[i]->kind) || !waits(all, i, placed, seen)) next = i;
            else task |= entry_is_task(all->data[i]);
        }
        for (int i = 0; i < all->n && next < 0; i++)        /* a circle: its error will say so */
            if (!placed[i]) next = i;
        placed[next] = true;
        vec_push(out, all->data[next]);
    }
    free(placed), free(seen);
}

static bool is_fresh(const Entries *fresh, const Entry *e) {
    for (int k = 0; k < fresh->n; k++)
        if (fresh->data[k] == e) return true;
    return false;
}

/* "stale: sample phi, report chi2" */
static void name_stale(Repl *r, const Build *b, const Entries *stale) {
    Text t = {0};
    for (int i = 0; i < b->entries.n; i++) {
        const Entry *e = b->entries.data[i];
        bool was = false;
        for (int k = 0; k < stale->n; k++) was |= stale->data[k] == e;
        if (was && build_is_stale(b, i)) text_printf(&t, "%s%s", t.n ? ", " : "", entry_title(r->arena, e));
    }
    if (t.n) fprintf(r->out, "stale: %s\n", t.s);
    text_free(&t);
}

void eval_accept(Repl *r, Build *b) {
    Build *before = r->build;
    Entries had = {0};
    for (int i = 0; i < before->entries.n; i++)
        if (before->sound && before->results[i].done && before->results[i].key == before->key[i]) vec_push(&had, before->entries.data[i]);
    build_inherit(b, before);
    r->build = b;
    build_free(before);
    name_stale(r, b, &had);
    vec_free(&had);
}

static Build *try_build(Repl *r, const Entries *fresh) {
    Entries merged = {0}, reordered = {0};
    merge(&r->build->entries, fresh, &merged);
    Build *b = build_new(r, &merged);
    if (!b->sound) {
        reorder(&merged, &reordered);
        Build *other = build_new(r, &reordered);
        if (other->sound) { build_free(b); b = other; }
        else build_free(other);
    }
    vec_free(&merged), vec_free(&reordered);
    return b;
}

int eval_shown(Repl *r, int i, int status) {
    Build *b = r->build;
    if (status == 0 || b->results[i].done) print_result(r, b, i);
    if (status == 75) fprintf(r->out, "interrupted; `:resume` goes on\n");
    return status;
}

int eval_run(Repl *r, int i) { return eval_shown(r, i, job_run(r, r->build, i)); }

/* Runs the fresh tasks of the program in their order; a broken one stops the rest. */
static int run_fresh(Repl *r, Build *b, const Entries *fresh) {
    int status = 0;
    for (int i = 0; i < b->entries.n && status == 0; i++) {
        const Entry *e = b->entries.data[i];
        if (!is_fresh(fresh, e) || !entry_is_task(e)) continue;
        if (e->kind == DC_PLOT || e->kind == DC_SAVE || e->kind == DC_PRINT) b->results[i].done = false;     /* wanted again */
        status = eval_run(r, i);
    }
    return status;
}

int eval_enter(Repl *r, const Entries *fresh, bool carry_out) {
    Build *b = try_build(r, fresh);
    if (b->s.front.sink.diags.n) {
        build_relocate(b);
        eval_messages(r, &b->s.front);
    }
    if (!b->sound) {
        build_free(b);
        return 1;
    }
    eval_accept(r, b);
    return carry_out && run_fresh(r, b, fresh) ? 1 : 0;
}

int eval_passing(Repl *r, const Entry *e, bool quiet) {
    Entries fresh = {0};
    vec_push(&fresh, e);
    Build *b = try_build(r, &fresh);
    int status = 1;
    if (b->sound) {
        eval_accept(r, b);
        status = run_fresh(r, b, &fresh) ? 2 : 0;
    } else {
        if (!quiet) {
            build_relocate(b);
            eval_messages(r, &b->s.front);
        }
        build_free(b);
    }
    vec_free(&fresh);
    return status;
}

/* ---- one text -------------------------------------------------------------------------------------- */

/* A report of the session by its name: its number, or -1. */
static int report_named(const Build *b, const char *name) {
    for (int i = b->entries.n - 1; i >= 0; i--)
        if (b->entries.data[i]->kind == DC_REPORT && !b->entries.data[i]->passing && entry_declares(b->entries.data[i], name)) return i;
    return -1;
}

static int expression(Repl *r, const Origin *o, size_t lo, size_t hi) {
    int named = report_named(r->build, intern_n(o->text + lo, hi - lo));
    if (named >= 0) return eval_run(r, named);
    int status = eval_passing(r, entry_passing(r->arena, "report _ = ", o, lo, hi), true);
    if (status != 1) return status != 0;
    Text t = {0};
    if (ask_describe(r, o->text + lo, hi - lo, &t)) {
        fprintf(r->out, "%s\n", t.s ? t.s : "");
        text_free(&t);
        return 0;
    }
    text_free(&t);
    return eval_passing(r, entry_passing(r->arena, "report _ = ", o, lo, hi), false) != 0;
}

/* The messages of a front end that read the text from `from` on, in the text as it was entered. */
static void refuse(Repl *r, Front *f, const Origin *o, size_t from) {
    uint32_t file = source_add(&f->sources, o->path, o->text, o->length);
    for (int d = 0; d < f->sink.diags.n; d++)
        for (int k = 0; k < f->sink.diags.data[d]->nlabels; k++) {
            Span *at = &f->sink.diags.data[d]->labels[k].at;
            at->lo += (uint32_t)from, at->hi += (uint32_t)from, at->file = file;
        }
    eval_messages(r, f);
}

/* Declarations that follow one another are entered together, so that they may use each other. */
static int part_of_text(Repl *r, const Origin *o, size_t lo, size_t hi) {
    Front f;
    front_init(&f);
    uint32_t file = source_add(&f.sources, o->path, o->text + lo, hi - lo);
    TextParts parts = parse_parts(&f, file);
    int status = parts.unreadable;
    if (status) refuse(r, &f, o, lo);
    front_free(&f);
    size_t from = lo;
    for (int i = 0; i < parts.n && status == 0;) {
        if (!parts.data[i].declaration) {
            status = expression(r, o, lo + parts.data[i].lo, lo + parts.data[i].hi);
            from = lo + parts.data[i++].hi;
            continue;
        }
        int last = i;
        while (last + 1 < parts.n && parts.data[last + 1].declaration) last++;
        size_t end = last + 1 < parts.n ? lo + parts.data[last + 1].lo : hi;
        Entries fresh = {0};
        front_init(&f);
        if (entries_read(r->arena, &f, o, from, end, &fresh)) status = eval_enter(r, &fresh, true);
        else {
            refuse(r, &f, o, from);
            status = 1;
        }
        front_free(&f);
        vec_free(&fresh);
        from = end, i = last + 1;
    }
    vec_free(&parts);
    return status;
}

static bool is_command(const char *line) {
    while (*line == ' ' || *line == '\t') line++;
    return *line == ':' && (isalpha((unsigned char)line[1]) || line[1] == '?' || !line[1]);
}

static size_t line_end(const char *text, size_t length, size_t at) {
    const char *end = memchr(text + at, '\n', length - at);
    return end ? (size_t)(end - text) : length;
}

bool eval_is_open(const char *text, size_t length) {
    if (memchr(text, 0, length)) return false;
    size_t last = 0;
    for (size_t at = 0; at < length; at = line_end(text, length, at) + 1)
        if (is_command(text + at)) last = line_end(text, length, at);
    if (last >= length) return false;
    Front f;
    front_init(&f);
    TextParts parts = parse_parts(&f, source_add(&f.sources, "", text + last, length - last));
    bool more = parts.more;
    vec_free(&parts);
    front_free(&f);
    return more;
}

int eval_text(Repl *r, const char *name, const char *text, size_t length) {
    if (memchr(text, 0, length)) return eval_complain(r, "%s: a NUL byte is no text", name);
    const Origin *o = eval_origin(r, name, text, length);
    size_t from = 0, at = 0;
    int status = 0;
    while (at < length && status == 0 && !r->stop) {
        size_t end = line_end(o->text, length, at);
        if (is_command(o->text + at)) {
            if (at > from) status = part_of_text(r, o, from, at);
            const char *line = arena_strndup(r->arena, o->text + at, end - at);
            if (status == 0) status = command_run(r, line + strspn(line, " \t"));
            from = end + 1;
        }
        at = end + 1;
    }
    if (from < length && status == 0 && !r->stop) status = part_of_text(r, o, from, length);
    r->nerrors += status != 0;
    return status;
}
