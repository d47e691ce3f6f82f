/* commands.c — what begins with a colon. */
#include "repl.h"

#include "../../runtime/io/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct Command { const char *name, *arguments, *what; int (*run)(Repl *, char *); } Command;

static int run_type(Repl *r, char *arg) { return *arg ? ask_type(r, arg, false) : eval_complain(r, ":type E"); }
static int run_shape(Repl *r, char *arg) { return *arg ? ask_type(r, arg, true) : eval_complain(r, ":shape E"); }

static int run_grad(Repl *r, char *arg) {
    char *by = strstr(arg, " wrt ");
    if (!by) return eval_complain(r, ":grad E wrt x, as in :grad S wrt phi");
    *by = 0, by += 5;
    by += strspn(by, " ");
    for (char *end = by + strlen(by); end > by && end[-1] == ' ';) *--end = 0;
    return ask_gradient(r, arg, by);
}

static int run_time(Repl *r, char *arg) {
    double start = run_clock();
    int status = eval_text(r, "timed", arg, strlen(arg));
    fprintf(r->out, "%.3g s\n", run_clock() - start);
    return status;
}

/* A plot as the language has it, or of something measured its distribution. */
static int run_plot(Repl *r, char *arg) {
    const Origin *o = eval_origin(r, "plotted", arg, strlen(arg));
    int status = eval_passing(r, entry_passing(r->arena, "plot ", o, 0, o->length), true);
    if (status != 1) return status != 0;
    const char *histogram = arena_printf(r->arena, "histogram(%s)", arg);
    const Origin *h = eval_origin(r, "plotted", histogram, strlen(histogram));
    status = eval_passing(r, entry_passing(r->arena, "plot ", h, 0, h->length), true);
    if (status != 1) return status != 0;
    return eval_passing(r, entry_passing(r->arena, "plot ", o, 0, o->length), false) != 0;
}

static int run_show(Repl *r, char *arg) {
    static const char *const plans[] = {"ast", "ir", "kernels", "llvm"};
    if (!*arg || !strcmp(arg, "session")) { print_session(r); return 0; }
    if (!strcmp(arg, "force")) { ask_forces(r); return 0; }
    for (int i = 0; i < LQ_COUNT(plans); i++)
        if (!strcmp(arg, plans[i])) { fflush(r->out); show_session(&r->build->s, &r->o, arg); return 0; }
    if (!strcmp(arg, "stale")) {
        for (int i = 0; i < r->build->entries.n; i++)
            if (build_is_stale(r->build, i)) fprintf(r->out, "%s\n", entry_title(r->arena, r->build->entries.data[i]));
        return 0;
    }
    for (int i = 0; i < r->build->entries.n; i++)
        if (entry_declares(r->build->entries.data[i], intern(arg))) { fprintf(r->out, "%s\n", r->build->entries.data[i]->text); return 0; }
    return eval_complain(r, ":show takes a name of the session, session, stale, force, ast, ir, kernels or llvm, not `%s`", arg);
}

/* ---- files ---------------------------------------------------------------------------------- */

static const char *default_path(Repl *r, const char *arg) { return *arg ? arg : r->loaded; }

static bool read_text(Repl *r, const char *path, Text *out) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (f && (fstat(fileno(f), &st) != 0 || S_ISDIR(st.st_mode))) fclose(f), f = NULL, errno = EISDIR;
    if (!f) {
        eval_complain(r, "%s: %s", path, strerror(errno));
        return false;
    }
    char buffer[65536];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;) text_putn(out, buffer, n);
    fclose(f);
    return true;
}

/* The session is the file; its tasks wait for :run. */
static int load(Repl *r, const char *path) {
    Text t = {0};
    if (!read_text(r, path, &t)) { text_free(&t); return 1; }
    const Origin *o = eval_origin(r, path, t.s ? t.s : "", t.n);
    text_free(&t);
    if (memchr(o->text, 0, o->length)) return eval_complain(r, "%s: a NUL byte is no text", path);
    Front f;
    Entries fresh = {0}, none = {0};
    front_init(&f);
    int status = 1;
    bool read = entries_read(r->arena, &f, o, 0, o->length, &fresh);
    if (!read) eval_messages(r, &f);
    front_free(&f);
    if (read) {
        const char *before = r->o.path;
        r->o.path = r->loaded = o->path;         /* what it imports lies beside it */
        Build *b = build_new(r, &fresh);
        if (b->s.front.sink.diags.n) build_relocate(b), eval_messages(r, &b->s.front);
        if (b->sound) {
            eval_accept(r, b);
            status = 0;
            int tasks = 0;
            for (int i = 0; i < b->entries.n; i++) tasks += build_is_stale(b, i);
            fprintf(r->out, "%s: %d declaration%s", path, fresh.n, fresh.n == 1 ? "" : "s");
            fprintf(r->out, tasks ? ", %d task%s to be carried out: `:run`\n" : "\n", tasks, tasks == 1 ? "" : "s");
        } else {
            build_free(b);
            r->o.path = before;
        }
    }
    vec_free(&fresh), vec_free(&none);
    return status;
}

static int run_load(Repl *r, char *arg) {
    if (!*arg) return eval_complain(r, ":load FILE");
    return load(r, arg);
}

static int run_reload(Repl *r, char *arg) {
    (void)arg;
    if (!r->loaded) return eval_complain(r, "no file was loaded");
    return load(r, r->loaded);
}

static int run_save(Repl *r, char *arg) {
    const char *path = default_path(r, arg);
    NewFile nf;
    char err[1024];
    if (!path) return eval_complain(r, ":save FILE");
    if (file_create(&nf, path, err, sizeof err) != 0) return eval_complain(r, "%s", err);
    bool ok = true;
    for (int i = 0; i < r->build->entries.n; i++) {
        const Entry *e = r->build->entries.data[i];
        if (!e->passing) ok &= fwrite(e->text, 1, e->length, nf.f) == e->length && fputc('\n', nf.f) != EOF;
    }
    if (!ok) {
        file_discard(&nf);
        return eval_complain(r, "%s: cannot write: %s", path, strerror(errno));
    }
    if (file_commit(&nf, err, sizeof err) != 0) return eval_complain(r, "%s", err);
    fprintf(r->out, "wrote %s\n", path);
    return 0;
}

/* ---- settings ----------------------------------------------------------------------------------- */

/* The session with its settings of now; false: it is not sound, or has nothing that is called as
 * what was set, and is as before. */
static bool rebuild(Repl *r, const char *set) {
    Entries all = {0};
    for (int i = 0; i < r->build->entries.n; i++)
        if (!r->build->entries.data[i]->passing) vec_push(&all, r->build->entries.data[i]);
    Build *b = build_new(r, &all);
    vec_free(&all);
    bool known = !set;
    for (int i = 0; i < r->overrides.n; i++) known |= r->overrides.data[i].name == set && r->overrides.data[i].used;
    if (b->sound && known) {
        eval_accept(r, b);
        return true;
    }
    build_relocate(b);
    eval_messages(r, &b->s.front);
    if (b->sound) eval_complain(r, "nothing in the session has a parameter or an option called `%s`", set);
    build_free(b);
    return false;
}

static void set_overrides(Repl *r) { r->o.overrides = r->overrides.data, r->o.noverrides = r->overrides.n; }

static int run_set(Repl *r, char *arg) {
    if (!*arg) {
        for (int i = 0; i < r->overrides.n; i++) fprintf(r->out, "%s = %s\n", r->overrides.data[i].name, r->overrides.data[i].text);
        return 0;
    }
    char *eq = strchr(arg, '=');
    if (!eq || eq == arg) return eval_complain(r, ":set name=value, as for `lqft run`; :set name= takes it back");
    char *end = eq;
    while (end > arg && end[-1] == ' ') end--;
    const char *name = intern_n(arg, (size_t)(end - arg)), *text = eq + 1 + strspn(eq + 1, " ");
    VEC(Override) before = {0};
    for (int i = 0; i < r->overrides.n; i++) vec_push(&before, r->overrides.data[i]);
    int k = 0;
    for (int i = 0; i < r->overrides.n; i++)
        if (r->overrides.data[i].name != name) r->overrides.data[k++] = r->overrides.data[i];
    r->overrides.n = k;
    Override o = {.name = name, .text = arena_strndup(r->arena, text, strlen(text))};
    if (*text) vec_push(&r->overrides, o);
    set_overrides(r);
    bool ok = rebuild(r, *text ? name : NULL);
    if (!ok) {
        r->overrides.n = 0;
        for (int i = 0; i < before.n; i++) vec_push(&r->overrides, before.data[i]);
        set_overrides(r);
    }
    vec_free(&before);
    return !ok;
}

static int run_seed(Repl *r, char *arg) {
    char *end;
    errno = 0;
    long long v = strtoll(arg, &end, 10);
    if (!*arg) { fprintf(r->out, "seed %u\n", r->o.run.seed); return 0; }
    if (errno || *end || v < 0 || v > UINT32_MAX) return eval_complain(r, "a seed is a whole number from 0 to 4294967295, not `%s`", arg);
    uint32_t before = r->o.run.seed;
    r->o.run.seed = (uint32_t)v;
    if (rebuild(r, NULL)) return 0;
    r->o.run.seed = before;
    return 1;
}

/* ---- the rest --------------------------------------------------------------------------------------- */

static int run_doc(Repl *r, char *arg) {
    Text t = {0};
    bool found = *arg && ask_doc(r, arg, &t);
    if (found) fprintf(r->out, "%s\n", t.s);
    text_free(&t);
    return found ? 0 : eval_complain(r, *arg ? "there is no `%s`" : ":doc name", arg);
}

static int carry_out_all(Repl *r) {
    int status = 0;
    for (int i = 0; i < r->build->entries.n && status == 0; i++)
        if (build_is_stale(r->build, i) && !r->build->entries.data[i]->passing) status = eval_run(r, i);
    return status != 0;
}

static int run_run(Repl *r, char *arg) {
    if (!*arg) return carry_out_all(r);
    for (int i = r->build->entries.n - 1; i >= 0; i--) {
        const Entry *e = r->build->entries.data[i];
        if (!entry_is_task(e) || !entry_declares(e, intern(arg))) continue;
        return eval_run(r, i) != 0;
    }
    return eval_complain(r, "there is no task called `%s`", arg);
}

static int run_resume(Repl *r, char *arg) {
    (void)arg;
    int i = r->resume ? build_find(r->build, r->resume) : -1;
    if (i < 0) return eval_complain(r, "nothing was interrupted");
    return eval_shown(r, i, job_resume(r, r->build, i)) != 0;
}

static int run_quit(Repl *r, char *arg) {
    (void)arg;
    r->stop = true;
    return 0;
}

static int run_help(Repl *r, char *arg);

static const Command commands[] = {
    {"type", "E", "what an expression is", run_type},
    {"shape", "E", "the index sets of an array, with their sizes", run_shape},
    {"grad", "E wrt x", "a derivative in index notation: by a field, a parameter, or any other name", run_grad},
    {"time", "TEXT", "carries the text out, and says how long it took", run_time},
    {"plot", "E", "as `plot E`, once", run_plot},
    {"show", "[WHAT]", "the session; a declaration by its name; stale, force, ast, ir, kernels, llvm", run_show},
    {"doc", "name", "what a name is, with its comment; the page of an error", run_doc},
    {"run", "[name]", "carries out the tasks that are stale, or one of them", run_run},
    {"resume", "", "carries an interrupted task out to its end", run_resume},
    {"set", "[name=value]", "a value for a parameter or an option, as for `lqft run`; without a value: as declared", run_set},
    {"seed", "[N]", "the seed", run_seed},
    {"load", "FILE", "the session is this model file; its tasks wait for :run", run_load},
    {"reload", "", "the file once more", run_reload},
    {"save", "[FILE]", "the session as a model file", run_save},
    {"help", "", "these lines", run_help},
    {"quit", "", "the end, as ^D", run_quit},
};

static int run_help(Repl *r, char *arg) {
    (void)arg;
    fprintf(r->out, "A declaration changes the program, a task runs, an expression is evaluated.\n");
    for (int i = 0; i < LQ_COUNT(commands); i++) {
        char left[64];
        snprintf(left, sizeof left, ":%s %s", commands[i].name, commands[i].arguments);
        fprintf(r->out, "  %-20s %s\n", left, commands[i].what);
    }
    fprintf(r->out, "TAB completes names, and \\phi to φ; an empty line ends what is not complete; ^C stops a task.\n");
    return 0;
}

int command_names(const char **out, int most) {
    int n = 0;
    for (; n < LQ_COUNT(commands) && n < most; n++) out[n] = commands[n].name;
    return n;
}

int command_run(Repl *r, const char *line) {
    size_t n = strcspn(line + 1, " \t\r\n");
    char *arg = arena_strndup(r->arena, line + 1 + n, strlen(line + 1 + n));
    arg += strspn(arg, " \t");
    for (char *end = arg + strlen(arg); end > arg && strchr(" \t\r\n", end[-1]);) *--end = 0;
    const char *names[LQ_COUNT(commands)], *name = arena_strndup(r->arena, line + 1, n);
    if (!strcmp(name, "?") || !*name) return run_help(r, arg);
    if (!strcmp(name, "q")) name = "quit";
    for (int i = 0; i < LQ_COUNT(commands); i++)
        if (!strcmp(commands[i].name, name)) return commands[i].run(r, arg);
    const char *near = diag_nearest(name, names, command_names(names, LQ_COUNT(names)));
    return eval_complain(r, "there is no command `:%s`%s%s%s; `:help` lists them", name, near ? "; did you mean `:" : "", near ? near : "", near ? "`?" : "");
}
