/* repl.c — the prompt: reads until a text is whole, has it evaluated, goes on. */
#include "repl.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { MAX_TEXT = 16 << 20 };

static void ignore(int sig) { (void)sig; }

/* Lines until they are a whole text; an empty one ends it in any case. */
static bool read_input(Repl *r, Lines *l, Text *t, bool *stopped) {
    t->n = 0;
    for (bool more = false;; more = true) {
        size_t n;
        const char *line = lines_next(l, more, &n, stopped);
        if (!line) return t->n > 0 && !*stopped;
        text_putn(t, line, n);
        text_putn(t, "\n", 1);
        if (t->n > MAX_TEXT) return true;
        bool empty = strspn(line, " \t\r") == n;
        if (empty || !eval_is_open(t->s, t->n)) return true;
    }
    (void)r;
}

static void loop(Repl *r) {
    Lines *l = lines_new(r);
    Text t = {0};
    while (!r->stop) {
        bool stopped = false;
        if (!read_input(r, l, &t, &stopped)) {
            if (stopped) continue;
            break;
        }
        while (t.n && t.s[t.n - 1] == '\n') t.n--;
        if (!t.n) continue;
        t.s[t.n] = 0;
        lines_remember(l, t.s);
        char name[32];
        snprintf(name, sizeof name, "input %d", ++r->ninputs);
        if (t.n > MAX_TEXT) r->nerrors += eval_complain(r, "%s: more than %d MiB", name, MAX_TEXT >> 20);
        else eval_text(r, name, t.s, t.n);
        fflush(r->out);
        fflush(stderr);
    }
    text_free(&t);
    lines_free(l);
}

static int open_file(Repl *r, const char *path) {
    char *line = arena_printf(r->arena, ":load %s", path);
    int status = command_run(r, line);
    for (int i = 0; i < r->overrides.n && status == 0; i++)
        if (!r->overrides.data[i].used) status = eval_complain(r, "%s has no parameter or option called `%s`", path, r->overrides.data[i].name);
    return status;
}

int repl_command(const RunOptions *o) {
    Repl repl = {.o = *o, .arena = arena_new(), .started = run_clock(), .json = o->run.json}, *r = &repl;
    const char *file = o->path;
    r->out = stdout;
    setvbuf(stdout, NULL, _IOLBF, 0);           /* in order with the messages */
    r->terminal = !o->run.json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    r->o.path = "session";
    for (int i = 0; i < o->noverrides; i++) vec_push(&r->overrides, o->overrides[i]);
    r->o.overrides = r->overrides.data;
    struct sigaction act = {.sa_handler = ignore, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &act, NULL);
    if (!o->run.seed_given && getrandom(&r->o.run.seed, sizeof r->o.run.seed, 0) != sizeof r->o.run.seed) return 70;
    Entries none = {0};
    r->build = build_new(r, &none);
    int status = 0;
    if (o->run.json) status = json_loop(r);
    else {
        if (r->terminal) fprintf(r->out, "lqft " LQFT_VERSION ", seed %u; :help lists the commands\n", r->o.run.seed);
        if (file) r->nerrors += open_file(r, file);
        loop(r);
        status = !r->terminal && r->nerrors ? 1 : 0;
    }
    build_free(r->build);
    pause_drop(&r->pause);
    vec_free(&r->overrides), vec_free(&r->svg);
    text_free(&r->diagnostics);
    arena_free(r->arena);
    return status;
}
