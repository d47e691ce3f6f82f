/* complete.c — what may stand at the cursor: names of the session and of the language, members,
 * modules, commands, files; and \phi for φ. */
#include "repl.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static const struct Symbol { const char *name, *text; } symbols[] = {
#define SYMBOL(name, text) {name, text},
#include "symbols.def"
#undef SYMBOL
};

const char *symbol_of(const char *name) {
    for (int i = 0; i < LQ_COUNT(symbols); i++)
        if (!strcmp(symbols[i].name, name)) return symbols[i].text;
    return NULL;
}

static bool is_inner(char c) { return isalnum((unsigned char)c) || c == '_' || c == '\'' || (c & 0x80); }

/* Where the word begins that ends at the cursor. */
static int word_start(const char *text, int cursor) {
    while (cursor > 0 && is_inner(text[cursor - 1])) cursor--;
    return cursor;
}

typedef struct Completing { Completions *out; const char *prefix; size_t n; } Completing;

static void offer(Completing *c, const char *name) {
    if (strncmp(name, c->prefix, c->n) != 0 || !strcmp(name, "_") || !strncmp(name, "lqft_", 5)) return;
    for (int i = 0; i < c->out->names.n; i++)
        if (!strcmp(c->out->names.data[i], name)) return;
    name = arena_strndup(c->out->arena, name, strlen(name));
    vec_push(&c->out->names, name);
}

/* ---- \phi ------------------------------------------------------------------------------------ */

static bool in_symbol(char c) { return isalnum((unsigned char)c) || c == '^' || c == '_' || c == '-'; }

static bool complete_symbol(const char *text, int cursor, Completions *out) {
    int at = cursor;
    while (at > 0 && in_symbol(text[at - 1])) at--;
    if (at == 0 || text[at - 1] != '\\') return false;
    const char *name = arena_strndup(out->arena, text + at, (size_t)(cursor - at)), *symbol = symbol_of(name);
    out->start = at - 1;
    Completing c = {out, "", 0};
    if (symbol) offer(&c, symbol);
    else
        for (int i = 0; i < LQ_COUNT(symbols); i++)
            if (!strncmp(symbols[i].name, name, strlen(name))) offer(&c, arena_printf(out->arena, "\\%s", symbols[i].name));
    return true;
}

/* ---- files and modules --------------------------------------------------------------------------- */

/* Names of a folder that go on from what is typed; `suffix` is needed and left out. */
static void offer_folder(Completing *c, const char *folder, const char *before, const char *suffix, bool dots) {
    DIR *d = opendir(folder);
    for (struct dirent *f; d && (f = readdir(d));) {
        size_t n = strlen(f->d_name), s = strlen(suffix);
        bool is_folder = f->d_type == DT_DIR;
        if (f->d_name[0] == '.' || (!is_folder && (n <= s || strcmp(f->d_name + n - s, suffix)))) continue;
        offer(c, arena_printf(c->out->arena, "%s%.*s%s", before, (int)(is_folder ? n : n - (dots ? s : 0)), f->d_name, is_folder ? dots ? "." : "/" : ""));
    }
    if (d) closedir(d);
}

static void complete_module(Repl *r, const char *word, Completing *c) {
    const char *dot = strrchr(word, '.');
    const char *before = dot ? arena_strndup(c->out->arena, word, (size_t)(dot + 1 - word)) : "";
    char *below = arena_strndup(c->out->arena, before, strlen(before));
    for (char *s = below; *s; s++)
        if (*s == '.') *s = '/';
    const char *roots[] = {r->o.library, path_folder(c->out->arena, r->o.path)};
    for (int i = 0; i < LQ_COUNT(roots); i++) offer_folder(c, arena_printf(c->out->arena, "%s/%s", roots[i], below), before, ".lqft", true);
}

static void complete_file(const char *word, Completing *c) {
    const char *slash = strrchr(word, '/');
    const char *before = slash ? arena_strndup(c->out->arena, word, (size_t)(slash + 1 - word)) : "";
    offer_folder(c, slash ? before : ".", before, ".lqft", false);
}

/* ---- names ------------------------------------------------------------------------------------------ */

static void offer_names(Repl *r, Completing *c) {
    const Build *b = r->build;
    for (int i = 0; i < b->entries.n; i++)
        for (int k = 0; k < b->entries.data[i]->names.n && b->entries.data[i]->kind != DC_IMPORT; k++) offer(c, b->entries.data[i]->names.data[k]);
    for (int i = 0; i < b->s.model->decls.n; i++) {
        const Decl *d = b->s.model->decls.data[i];
        if (d->name && d->kind != DC_SYMMETRY && d->kind != DC_ERROR) offer(c, d->name);
    }
    for (int class = 0; class < WORD_CLASS_COUNT; class++) {
        const char *words[64];
        int n = class == WORD_RESERVED ? 0 : words_of((WordClass)class, words, LQ_COUNT(words));
        for (int i = 0; i < n; i++) offer(c, words[i]);
    }
    int n;
    const char *const *names = builtin_names(&n);
    for (int i = 0; i < n; i++) offer(c, names[i]);
}

static void offer_members(Repl *r, const char *of, Completing *c) {
    const Value *v = env_find(r->build->s.model->elab->globals, intern(of));
    if (v && v->kind == VK_SET && v->u.set->kind == SET_LATTICE) offer(c, "dirs"), offer(c, "axes");
    if (v && v->kind == VK_FUNC && v->u.func.kind == FN_NETWORK) offer(c, "weights");
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static const char *line_of(const char *text, int cursor) {
    while (cursor > 0 && text[cursor - 1] != '\n') cursor--;
    return text + cursor + strspn(text + cursor, " \t");
}

void complete(Repl *r, const char *text, int cursor, Completions *out) {
    *out = (Completions){.arena = arena_new()};
    if (complete_symbol(text, cursor, out)) return;
    const char *line = line_of(text, cursor);
    int start = word_start(text, cursor), word = cursor;
    while (word > 0 && !strchr(" \t\n,(", text[word - 1])) word--;
    Completing c = {.out = out};
    bool module = !strncmp(line, "import ", 7), file = !strncmp(line, ":load ", 6) || !strncmp(line, ":save ", 6);
    if (module || file) start = word;
    bool command = *line == ':' && start == (int)(line - text) + 1;
    if (command) start--;
    out->start = start;
    c.prefix = arena_strndup(out->arena, text + start, (size_t)(cursor - start)), c.n = (size_t)(cursor - start);
    if (command) {
        const char *names[64];
        int n = command_names(names, LQ_COUNT(names));
        for (int i = 0; i < n; i++) offer(&c, arena_printf(out->arena, ":%s", names[i]));
    } else if (module) complete_module(r, c.prefix, &c);
    else if (file) complete_file(c.prefix, &c);
    else if (start > 0 && text[start - 1] == '.') {
        int name = word_start(text, start - 1);
        offer_members(r, arena_strndup(out->arena, text + name, (size_t)(start - 1 - name)), &c);
    } else if (c.n) offer_names(r, &c);
    if (out->names.n > 1) qsort(out->names.data, (size_t)out->names.n, sizeof *out->names.data, by_name);
}

void completions_free(Completions *c) {
    vec_free(&c->names);
    arena_free(c->arena);
}
