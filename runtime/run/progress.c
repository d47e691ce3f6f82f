/* progress.c — what a user sees and may interrupt while a task runs: a line that is redrawn on a
 * terminal, by spaces rather than escape codes, or a full line now and then elsewhere; and SIGINT and
 * SIGTERM, which end the task after its present step. */
#include "run.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* ---- signals -------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;
static int begun;                    /* how often, and not ended */

static void on_signal(int sig) {
    if (interrupted && (sig == SIGINT || sig == SIGTERM)) _exit(128 + sig);
    interrupted = 1;
}

void run_interrupt(void) { interrupted = 1; }

/* Batch systems announce the end of a job by SIGUSR1 or SIGUSR2. */
static const int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
struct RunSignals { struct sigaction old[LQ_COUNT(signals)]; };

RunSignals *run_signals_begin(void) {
    RunSignals *s = lq_alloc(sizeof *s);
    struct sigaction act = {.sa_handler = on_signal};
    if (begun++ == 0) interrupted = 0;
    for (int i = 0; i < LQ_COUNT(signals); i++) sigaction(signals[i], &act, &s->old[i]);
    return s;
}

void run_signals_end(RunSignals *s) {
    begun--;
    for (int i = 0; i < LQ_COUNT(signals); i++) sigaction(signals[i], &s->old[i], NULL);
    free(s);
}

bool run_interrupted(void) { return interrupted != 0; }

/* ---- the line ---------------------------------------------------------------------------------- */

double run_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct RunProgress { bool on, redraw, shown; double last; int width; };

RunProgress *run_progress(const RunSettings *o) {
    const char *term = getenv("TERM");
    RunProgress *p = lq_alloc(sizeof *p);
    *p = (RunProgress){.on = !o->quiet, .redraw = isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0, .last = run_clock()};
    return p;
}

bool run_progress_due(const RunProgress *p) { return p->on && run_clock() - p->last >= (p->redraw ? 0.2 : 10.0); }

static void show(RunProgress *p, const char *text) {
    struct winsize w;
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? w.ws_col - 1 : 79;
    if (!p->redraw) {
        fprintf(stderr, "%s\n", text);
        return;
    }
    fprintf(stderr, "\r%-*.*s", p->width, columns, text);
    p->width = (int)strlen(text) < columns ? (int)strlen(text) : columns;
    if (!*text) fputc('\r', stderr);
    fflush(stderr);
}

void run_progress_text(RunProgress *p, const char *fmt, ...) {
    char text[240];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    show(p, text);
    p->last = run_clock();
    p->shown = true;
}

void run_progress_end(RunProgress *p) {
    if (p->shown && p->redraw) show(p, "");
    free(p);
}
