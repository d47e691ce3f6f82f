/* line.c — lines of input: edited on a terminal by libedit, with a history and completion; plain
 * ones otherwise. */
#include "repl.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <langinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#define HISTORY_LINES 2000

struct Lines {
    Repl     *r;
    EditLine *el;
    History  *history;
    HistEvent event;
    char     *path;                /* of the history, or NULL */
    bool      more;
    char     *line; size_t room;   /* of plain input */
};

static volatile sig_atomic_t interrupted;
static void on_interrupt(int sig) { (void)sig; interrupted = 1; }

static Lines *lines_of(EditLine *el) {
    void *l = NULL;
    el_get(el, EL_CLIENTDATA, &l);
    return l;
}

static char *prompt(EditLine *el) {
    static char first[] = "lqft> ", next[] = "    | ";
    return lines_of(el)->more ? next : first;
}

/* libedit's own reader goes on after a signal. */
static int read_letter(EditLine *el, wchar_t *out) {
    mbstate_t state = {0};
    (void)el;
    for (;;) {
        char c;
        if (interrupted) return -1;
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR && !interrupted) continue;        /* the window has another size */
        if (n <= 0) return n < 0 ? -1 : 0;
        size_t took = mbrtowc(out, &c, 1, &state);
        if (took == (size_t)-2) continue;
        if (took == (size_t)-1) *out = L'\uFFFD';
        return 1;
    }
}

/* ---- completion ------------------------------------------------------------------------------- */

static size_t common_prefix(const Completions *c) {
    size_t n = strlen(c->names.data[0]);
    for (int i = 1; i < c->names.n; i++) {
        size_t k = 0;
        while (k < n && c->names.data[i][k] == c->names.data[0][k]) k++;
        n = k;
    }
    while (n > 0 && (c->names.data[0][n] & 0xC0) == 0x80) n--;        /* whole letters */
    return n;
}

static int letters(const char *s, size_t n) {
    int count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)s[i] & 0xC0) != 0x80;
    return count;
}

static void list(Lines *l, const Completions *c) {
    fprintf(l->r->out, "\n");
    for (int i = 0; i < c->names.n && i < 60; i++) fprintf(l->r->out, "%s%s", i ? "  " : "", c->names.data[i]);
    fprintf(l->r->out, "%s\n", c->names.n > 60 ? "  …" : "");
    fflush(l->r->out);
}

static unsigned char on_tab(EditLine *el, int ch) {
    Lines *l = lines_of(el);
    const LineInfo *info = el_line(el);
    int cursor = (int)(info->cursor - info->buffer), length = (int)(info->lastchar - info->buffer);
    char *text = lq_alloc((size_t)length + 1);
    (void)ch;
    memcpy(text, info->buffer, (size_t)length);
    text[length] = 0;
    Completions c;
    complete(l->r, text, cursor, &c);
    int result = CC_ERROR;
    if (c.names.n) {
        size_t n = common_prefix(&c), typed = (size_t)(cursor - c.start);
        if (n > typed || (c.names.n == 1 && strcmp(c.names.data[0], text + c.start))) {
            char *insert = arena_strndup(c.arena, c.names.data[0], n);
            el_deletestr(el, letters(text + c.start, typed));
            el_insertstr(el, insert);
            result = CC_REFRESH;
        } else if (c.names.n > 1) {
            list(l, &c);
            result = CC_REDISPLAY;
        }
    }
    completions_free(&c);
    free(text);
    return (unsigned char)result;
}

/* ---- history -------------------------------------------------------------------------------------- */

static char *history_path(void) {
    const char *set = getenv("LQFT_HISTORY"), *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char path[4096];
    if (set) return *set ? strdup(set) : NULL;
    if (state && *state) snprintf(path, sizeof path, "%s/lqft-history", state);
    else if (home && *home) snprintf(path, sizeof path, "%s/.lqft-history", home);
    else return NULL;
    return strdup(path);
}

void lines_remember(Lines *l, const char *text) {
    if (!l->history || !*text || strspn(text, " \n\t") == strlen(text)) return;
    history(l->history, &l->event, H_ENTER, text);
    if (l->path) history(l->history, &l->event, H_SAVE, l->path);
}

/* ---- lines ------------------------------------------------------------------------------------------- */

static void use_utf8(void) {
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
}

static bool edit(Lines *l) {
    use_utf8();
    l->el = el_init("lqft", stdin, stdout, stderr);
    if (!l->el) return false;
    el_set(l->el, EL_CLIENTDATA, l);
    el_set(l->el, EL_PROMPT, prompt);
    el_set(l->el, EL_EDITOR, "emacs");
    el_set(l->el, EL_GETCFN, read_letter);
    el_set(l->el, EL_ADDFN, "lqft-complete", "completes the word before the cursor", on_tab);
    el_set(l->el, EL_BIND, "\t", "lqft-complete", NULL);
    el_set(l->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    l->history = history_init();
    if (l->history) {
        history(l->history, &l->event, H_SETSIZE, HISTORY_LINES);
        history(l->history, &l->event, H_SETUNIQUE, 1);
        l->path = history_path();
        mode_t mask = umask(077);                /* what was typed is nobody else's */
        if (l->path) history(l->history, &l->event, H_LOAD, l->path);
        umask(mask);
        el_set(l->el, EL_HIST, history, l->history);
    }
    el_source(l->el, NULL);
    return true;
}

Lines *lines_new(Repl *r) {
    Lines *l = lq_alloc(sizeof *l);
    *l = (Lines){.r = r};
    if (r->terminal) {
        struct sigaction act = {.sa_handler = on_interrupt};
        sigaction(SIGINT, &act, NULL);
        if (!edit(l)) r->terminal = false;
    }
    return l;
}

static const char *plain(Lines *l, size_t *length) {
    ssize_t n = getline(&l->line, &l->room, stdin);
    if (n < 0) return NULL;
    if (n > 0 && l->line[n - 1] == '\n') l->line[--n] = 0;
    *length = (size_t)n;
    return l->line;
}

const char *lines_next(Lines *l, bool more, size_t *length, bool *stopped) {
    *stopped = false;
    if (!l->el) return plain(l, length);
    int n = 0;
    l->more = more;
    interrupted = 0;
    fflush(l->r->out);
    el_set(l->el, EL_PREP_TERM, 1);              /* before the prompt, so that what comes after it is echoed once */
    const char *s = el_gets(l->el, &n);
    if (!s || n <= 0) {
        *stopped = interrupted;
        if (interrupted) el_reset(l->el);
        fprintf(l->r->out, interrupted ? "^C\n" : "\n");
        return NULL;
    }
    free(l->line);
    l->line = strdup(s);
    if (!l->line) lq_out_of_memory((size_t)n);
    l->room = 0;
    *length = strlen(l->line);
    if (*length && l->line[*length - 1] == '\n') l->line[--*length] = 0;
    return l->line;
}

void lines_free(Lines *l) {
    if (l->el) el_end(l->el);
    if (l->history) history_end(l->history);
    free(l->path);
    free(l->line);
    free(l);
}
