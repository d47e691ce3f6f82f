/* doc.c — lqft doc: pages from doc comments.  A module is checked as `lqft run` would check
 * it; signatures and sizes come from the checked program.
 *
 * A doc comment is paragraphs; lines indented by two blanks or more are set as they are; what
 * follows `Example:`, up to an empty line, is a program (tests/doc runs those of the library). */
#include "tools.h"
#include "doc.h"

#include "../../runtime/io/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct DocRun {
    Arena      *arena;
    const char *library, *out;
    DocFormat   format;
    bool        check, color;
    DocModules  modules;
    VEC(Session *) sessions;   /* the pages point into them */
} DocRun;

/* ---- doc comments --------------------------------------------------------------------- */

typedef struct PieceMaker {
    Arena  *arena;
    Pieces *out;
    Text    text;
    PieceKind kind;
    bool    any;
} PieceMaker;

static void end_piece(PieceMaker *m) {
    if (m->text.n) {
        Piece p = {m->kind, arena_strndup(m->arena, m->text.s, m->text.n)};
        vec_push(m->out, p);
    }
    text_free(&m->text);
    m->text = (Text){0};
    m->any = false;
}

static void add_line(PieceMaker *m, const char *line, int n) {
    int indent = 0;
    while (indent < n && line[indent] == ' ') indent++;
    if (indent == n) {
        if (m->kind == PIECE_EXAMPLE || m->kind == PIECE_TEXT) end_piece(m), m->kind = PIECE_TEXT;
        else if (m->text.n) text_putn(&m->text, "\n", 1);
        return;
    }
    static const char mark[] = "Example:";
    if (n >= (int)sizeof mark - 1 && !strncmp(line, mark, sizeof mark - 1)) {
        end_piece(m);
        m->kind = PIECE_EXAMPLE;
        line += sizeof mark - 1, n -= (int)sizeof mark - 1;
        while (n > 0 && *line == ' ') line++, n--;
        if (n == 0) return;
        indent = 0;
    } else if (m->kind != PIECE_EXAMPLE) {
        PieceKind kind = indent >= 2 ? PIECE_CODE : PIECE_TEXT;
        if (kind != m->kind) end_piece(m);
        m->kind = kind;
    }
    int skip = m->kind == PIECE_TEXT ? indent : indent < 2 ? indent : 2;
    if (m->text.n) text_putn(&m->text, "\n", 1);
    text_putn(&m->text, line + skip, (size_t)(n - skip));
}

static Pieces pieces_of(Arena *a, const char *doc) {
    Pieces out = {0};
    PieceMaker m = {.arena = a, .out = &out};
    for (const char *s = doc; s && *s;) {
        const char *end = strchr(s, '\n');
        int n = end ? (int)(end - s) : (int)strlen(s);
        add_line(&m, s, n);
        s += n + (end != NULL);
    }
    end_piece(&m);
    return out;
}

/* The comment that begins a file, without its `#` and without the name of the file. */
static Pieces intro_of(Arena *a, const Source *src) {
    Text t = {0};
    const char *s = src->text;
    while (s[0] == '#' && s[1] != '#') {
        const char *end = strchr(s, '\n');
        int n = end ? (int)(end - s) : (int)strlen(s);
        int skip = n > 1 && s[1] == ' ' ? 2 : 1;
        text_printf(&t, "%.*s\n", n - skip, s + skip);
        if (!end) break;
        s = end + 1;
    }
    const char *text = t.s ? t.s : "", *colon = strstr(text, ".lqft: "), *line = strchr(text, '\n');
    if (colon && line && colon < line) text = colon + 7;
    Pieces out = pieces_of(a, text);
    text_free(&t);
    return out;
}

/* ---- signatures -------------------------------------------------------------------------- */

static void put_params(const Decl *d, Text *t) {
    if (!d->nparams && !d->nopts) {
        if (d->has_body) text_printf(t, "()");
        return;
    }
    text_printf(t, "(");
    for (int i = 0; i < d->nparams; i++) text_printf(t, "%s%s", i ? ", " : "", d->params[i].name);
    for (int i = 0; i < d->nopts; i++) {
        text_printf(t, "%s%s", i ? ", " : d->nparams ? "; " : "; ", d->opts[i].name);
        if (!d->opts[i].value) continue;
        text_printf(t, " = ");
        ast_print_expr(d->opts[i].value, t);
    }
    text_printf(t, ")");
}

/* What a layer is applied to. */
static void put_inputs(const Decl *d, Text *t) {
    for (int i = 0; i < d->ninputs; i++) {
        const Expr *sets = d->inputs[i].value;
        text_printf(t, "%s%s%s", i ? ", " : " (", d->inputs[i].name, sets ? "[" : "");
        for (int k = 0; sets && k < (sets->kind == EX_TUPLE ? sets->n : 1); k++)
            text_printf(t, "%s%s", k ? ", " : "", (sets->kind == EX_TUPLE ? sets->list[k] : sets)->name);
        text_printf(t, "%s%s", sets ? "]" : "", i + 1 == d->ninputs ? ")" : "");
    }
}

static void put_binds(const Decl *d, Text *t) {
    for (int i = 0; i < d->nbinds; i++) {
        const Bind *b = &d->binds[i];
        text_printf(t, "%s%s%s", i ? ", " : "[", b->name ? b->name : "", b->name && b->set ? " in " : "");
        if (b->set) ast_print_expr(b->set, t);
    }
    if (d->nbinds) text_printf(t, "]");
}

static bool is_value(const Decl *d) {
    return d->kind == DC_PARAM || d->kind == DC_AXIS || d->kind == DC_GRID || d->kind == DC_LATTICE || d->kind == DC_DATA ||
           d->kind == DC_FIELD;
}

static const char *signature(Arena *a, const Decl *d, const char *name) {
    Text t = {0};
    text_printf(&t, "%s %s", d->keyword, name);
    if (decl_is_function(d->kind)) {
        put_params(d, &t);
        put_inputs(d, &t);
    } else {
        put_binds(d, &t);
        text_printf(&t, d->kind == DC_FIELD ? " : " : " = ");
        ast_print_expr(d->kind == DC_FIELD ? d->type : d->value, &t);
    }
    if (d->lo) {
        text_printf(&t, " in %c", d->lo_open ? '(' : '[');
        ast_print_expr(d->lo, &t);
        text_printf(&t, ", ");
        ast_print_expr(d->hi, &t);
        text_printf(&t, "%c", d->hi_open ? ')' : ']');
    }
    const char *out = arena_strndup(a, t.s, t.n);
    text_free(&t);
    return out;
}

/* What the checker knows and the text does not say: sizes of sets, shapes of data, values of
 * parameters that are computed. */
static const char *note_of(Arena *a, const Session *s, const Decl *d, const char *name) {
    Model *m = s->model;
    if (d->kind == DC_PARAM) {
        for (int i = 0; i < m->params.n; i++) {
            const ParamInfo *p = &m->params.data[i];
            bool literal = d->value && (d->value->kind == EX_NUM || d->value->kind == EX_BOOL);
            if (p->decl == d && !literal) return arena_printf(a, "%.12g", p->value);
        }
        return NULL;
    }
    const Value *v = env_find(m->elab->globals, name);
    if (!v || v->kind == VK_ERROR) return NULL;
    if (v->kind == VK_SET) return set_describe(a, v->u.set);
    return d->kind == DC_DATA ? value_describe(m->elab, v) : NULL;
}

/* ---- modules ------------------------------------------------------------------------------ */

static void add_entries(DocRun *r, const Session *s, DocModule *m, const Decl *d) {
    if (!decl_is_function(d->kind) && !is_value(d)) return;
    int n = d->nnames ? d->nnames : 1;
    for (int i = 0; i < n; i++) {
        const char *name = d->nnames ? d->names[i] : d->name;
        if (!name) continue;
        DocEntry e = {.name = name, .word = d->keyword, .signature = signature(r->arena, d, name),
                      .note = note_of(r->arena, s, d, name), .pieces = pieces_of(r->arena, d->doc),
                      .documented = d->doc != NULL, .at = d->nnames ? d->names_at[i] : d->name_at};
        for (int k = 0; k < e.pieces.n; k++) e.example |= e.pieces.data[k].kind == PIECE_EXAMPLE;
        vec_push(&m->entries, e);
    }
}

static int add_module(DocRun *r, const char *path, const char *name, bool library) {
    Session *s = arena_alloc(r->arena, sizeof *s);
    RunOptions o = {.path = path, .library = r->library, .run = {.quiet = true, .color = r->color}};
    session_open(s, &o, false);
    vec_push(&r->sessions, s);
    diag_print_all(&s->front.sink, stderr, r->color);
    if (s->front.sink.nerrors) return 1;
    DocModule m = {.name = name, .path = path};
    if (library && strcmp(name, "prelude") != 0) m.import = name;
    for (int i = 0; i < s->front.sources.files.n; i++)
        if (!strcmp(s->front.sources.files.data[i]->path, path)) {
            m.intro = intro_of(r->arena, s->front.sources.files.data[i]);
            for (int k = 0; k < s->model->decls.n; k++)
                if (s->model->decls.data[k]->file == (uint32_t)i) add_entries(r, s, &m, s->model->decls.data[k]);
            break;
        }
    vec_push(&r->modules, m);
    return 0;
}

/* samplers/nuts.lqft is samplers.nuts */
static const char *module_name(Arena *a, const char *path) {
    size_t n = strlen(path), suffix = strlen(".lqft");
    char *name = arena_strndup(a, path, n > suffix && !strcmp(path + n - suffix, ".lqft") ? n - suffix : n);
    for (char *c = name; *c; c++)
        if (*c == '/') *c = '.';
    return name;
}

static int visible(const struct dirent *d) { return d->d_name[0] != '.'; }

static int add_folder(DocRun *r, const char *below) {
    const char *folder = *below ? arena_printf(r->arena, "%s/%s", r->library, below) : r->library;
    struct dirent **list;
    int status = 0, n = scandir(folder, &list, visible, alphasort);
    if (n < 0) {
        fprintf(stderr, "lqft: %s: %s\n", folder, strerror(errno));
        return 66;
    }
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;
        const char *path = *below ? arena_printf(r->arena, "%s/%s", below, name) : arena_strndup(r->arena, name, strlen(name));
        const char *full = arena_printf(r->arena, "%s/%s", r->library, path);
        struct stat st;
        size_t length = strlen(name);
        int one = 0;
        if (lstat(full, &st) == 0 && S_ISDIR(st.st_mode)) one = add_folder(r, path);
        else if (length > 5 && !strcmp(name + length - 5, ".lqft")) one = add_module(r, full, module_name(r->arena, path), true);
        if (one > status) status = one;
        free(list[i]);
    }
    free(list);
    return status;
}

static int add_file(DocRun *r, const char *path) {
    struct stat st;
    if (stat(path, &st) != 0 || S_ISDIR(st.st_mode)) {
        fprintf(stderr, "lqft: %s: %s\n", path, errno ? strerror(errno) : "a folder, not a model file");
        return 66;
    }
    const char *slash = strrchr(path, '/');
    return add_module(r, path, module_name(r->arena, slash ? slash + 1 : path), false);
}

/* ---- output --------------------------------------------------------------------------------- */

/* The names that lack a doc comment or an example; 1 when there are some. */
static int report_lacking(const DocRun *r) {
    int lacking = 0, names = 0;
    for (int i = 0; i < r->modules.n; i++)
        for (int k = 0; k < r->modules.data[i].entries.n; k++) {
            const DocEntry *e = &r->modules.data[i].entries.data[k];
            int line, column;
            names++;
            if (e->documented && e->example) continue;
            source_position(&r->sessions.data[i]->front.sources, e->at.file, e->at.lo, &line, &column);
            printf("%s:%d:%d: `%s` has no %s\n", r->modules.data[i].path, line, column, e->name, e->documented ? "example" : "doc comment");
            lacking++;
        }
    fprintf(stderr, "%d names, %d without a doc comment or an example\n", names, lacking);
    return lacking != 0;
}

static int write_file(const DocRun *r, const char *name, const Text *t) {
    char err[1024];
    NewFile nf;
    const char *path = arena_printf(r->arena, "%s/%s", r->out, name);
    if (file_create(&nf, path, err, sizeof err) != 0) {
        fprintf(stderr, "lqft: %s\n", err);
        return 73;
    }
    if (fwrite(t->s, 1, t->n, nf.f) != t->n) {
        fprintf(stderr, "lqft: %s: cannot write: %s\n", path, strerror(errno));
        file_discard(&nf);
        return 74;
    }
    if (file_commit(&nf, err, sizeof err) == 0) return 0;
    fprintf(stderr, "lqft: %s\n", err);
    return 74;
}

static int write_all(const DocRun *r) {
    if (r->out && mkdir(r->out, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "lqft: %s: %s\n", r->out, strerror(errno));
        return 73;
    }
    int status = 0;
    for (int i = -1; i < r->modules.n && status == 0; i++) {
        Text t = {0};
        if (i >= 0) doc_page(r->format, &r->modules, &r->modules.data[i], &t);
        else if (r->out && r->modules.n > 1) doc_index(r->format, &r->modules, &t);
        if (t.n && r->out) status = write_file(r, doc_file_name(r->arena, r->format, i < 0 ? NULL : r->modules.data[i].name), &t);
        else if (t.n && fwrite(t.s, 1, t.n, stdout) != t.n) status = 74;
        text_free(&t);
    }
    return status;
}

static void doc_release(DocRun *r) {
    for (int i = 0; i < r->modules.n; i++) {
        DocModule *m = &r->modules.data[i];
        vec_free(&m->intro);
        for (int k = 0; k < m->entries.n; k++) vec_free(&m->entries.data[k].pieces);
        vec_free(&m->entries);
    }
    for (int i = 0; i < r->sessions.n; i++) session_close(r->sessions.data[i]);
    vec_free(&r->modules);
    vec_free(&r->sessions);
    arena_free(r->arena);
}

static int usage(const char *what, const char *arg) {
    fprintf(stderr, "lqft: %s%s\nusage: lqft doc [FILE …] [--stdlib] [--format html|markdown|man] [-o DIR] [--check]\n", what, arg);
    return 2;
}

static int read_options(DocRun *r, int argc, char **argv, bool *library, const char **files, int *nfiles) {
    for (int i = 0; i < argc; i++) {
        const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(a, "--stdlib")) *library = true;
        else if (!strcmp(a, "--check")) r->check = true;
        else if (!strcmp(a, "-o") || !strcmp(a, "--format")) {
            if (!v) return usage("doc: a value is missing after ", a);
            i++;
            if (a[1] == 'o') r->out = v;
            else if (!strcmp(v, "html")) r->format = DOC_HTML;
            else if (!strcmp(v, "markdown")) r->format = DOC_MARKDOWN;
            else if (!strcmp(v, "man")) r->format = DOC_MAN;
            else return usage("doc: a format is html, markdown or man, not ", v);
        } else if (a[0] == '-') return usage("doc has no option ", a);
        else files[(*nfiles)++] = a;
    }
    return *nfiles || *library ? 0 : usage("doc of what? a model file, or --stdlib", "");
}

int doc_command(int argc, char **argv, const char *library, bool color) {
    DocRun r = {.arena = arena_new(), .library = library, .format = DOC_MARKDOWN, .color = color};
    const char **files = arena_alloc(r.arena, (size_t)(argc + 1) * sizeof *files);
    bool of_library = false;
    int n = 0, status = read_options(&r, argc, argv, &of_library, files, &n);
    if (status == 0) {
        if (of_library) status = add_folder(&r, "");
        for (int i = 0; i < n; i++) {
            int one = add_file(&r, files[i]);
            if (one > status) status = one;
        }
        if (status == 0) status = r.check ? report_lacking(&r) : write_all(&r);
    }
    doc_release(&r);
    return status;
}
