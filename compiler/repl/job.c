/* job.c — carrying out tasks: the one place here that calls what runs chains, minimisations and
 * the rest (sample_run, minimize_run, …).  An interrupted task keeps what it has, and `:resume`
 * carries it out to the end. */
#include "repl.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* ---- ^C -------------------------------------------------------------------------------------- */

/* A second ^C would end the program: only the first one reaches a job.  A thread waits for the
 * signal while the job runs, and all others leave it alone. */
typedef struct Watch { pthread_t thread; sigset_t old, set; struct sigaction before; volatile sig_atomic_t over; bool on; } Watch;

static void *watch(void *ctx) {
    Watch *w = ctx;
    bool asked = false, told = false;
    while (!w->over) {
        struct timespec wait = {.tv_nsec = 20000000};
        asked |= sigtimedwait(&w->set, NULL, &wait) == SIGINT;
        struct sigaction act;
        if (!asked || told || sigaction(SIGINT, NULL, &act) != 0 || act.sa_handler == w->before.sa_handler) continue;
        act.sa_handler(SIGINT);                  /* of the job, which has begun */
        told = true;
    }
    return NULL;
}

static void watch_begin(Watch *w) {
    w->over = 0;
    sigaction(SIGINT, NULL, &w->before);
    sigemptyset(&w->set);
    sigaddset(&w->set, SIGINT);
    w->on = pthread_sigmask(SIG_BLOCK, &w->set, &w->old) == 0 && pthread_create(&w->thread, NULL, watch, w) == 0;
    if (!w->on) pthread_sigmask(SIG_SETMASK, &w->old, NULL);
}

static void watch_end(Watch *w) {
    if (!w->on) return;
    w->over = 1;
    pthread_join(w->thread, NULL);
    struct timespec none = {0};
    while (sigtimedwait(&w->set, NULL, &none) == SIGINT) {}         /* those that came too late */
    pthread_sigmask(SIG_SETMASK, &w->old, NULL);
}

/* ---- series that a task wants ------------------------------------------------------------------- */

Chain *job_chain(Build *b, const SampleTask *t) {
    for (int i = 0; i < b->entries.n; i++)
        for (int k = 0; k < b->results[i].chains.n; k++)
            if (b->results[i].chains.data[k].data->task == build_sample(b, t)) return &b->results[i].chains.data[k];
    return NULL;
}

static void wish_report(Wishes *w, const ReportTask *q) {
    for (int i = 0; q && i < q->inputs.n; i++) {
        Wish one = {q->inputs.data[i].sample, q->inputs.data[i].primary};
        vec_push(w, one);
    }
}

static void wish_series(Wishes *w, const SampleTask *t, int primary) {
    if (!t) return;
    Wish one = {t, primary};
    vec_push(w, one);
}

void wishes_of(const Task *t, Wishes *w) {
    if (t->kind == TASK_REPORT) wish_report(w, t->report);
    if (t->kind == TASK_KEEP) wish_series(w, t->sample, t->kept);
    for (int i = 0; i < t->reports.n; i++) wish_report(w, t->reports.data[i]);
    for (int i = 0; i < t->curves.n; i++) {
        const PlotCurve *c = &t->curves.data[i];
        if (!c->report) wish_series(w, c->sample, c->monitor ? -1 : c->primary);
        wish_report(w, c->report), wish_report(w, c->error);
    }
    for (int i = 0; i < t->saved.n; i++) {
        if (t->saved.data[i].report) wish_report(w, t->saved.data[i].report);
        else wish_series(w, t->sample, t->saved.data[i].primary);
    }
}

static int carry_out(Repl *r, Build *b, int i, bool on);

/* The chain has all series that are wanted of it; they are measured now when they are not there. */
static int provide(Repl *r, Build *b, const SampleTask *t, const Wishes *w) {
    Chain *c = job_chain(b, t);
    if (!c || t->minimizes) return 0;
    bool *wanted = arena_alloc(b->s.arena, (size_t)(t->primaries.n + 1) * sizeof *wanted), any = false;
    for (int i = 0; i < w->n; i++)
        if (w->data[i].sample == t && w->data[i].primary >= 0 && w->data[i].primary < c->nprimaries && !kept_has(c, w->data[i].primary)) wanted[w->data[i].primary] = any = true;
    KeptState state = any ? kept_measure(b, c, wanted) : KEPT_MEASURED;
    if (state != KEPT_MISSING) return state == KEPT_MEASURED ? 0 : state == KEPT_STOPPED ? 75 : 70;
    int owner = build_entry_at(b, t->decl->at);
    fprintf(stderr, "%s: the configurations were not kept, so the chains run again, the same draws\n", entry_title(b->s.arena, b->entries.data[owner]));
    return carry_out(r, b, owner, false);
}

static int provide_all(Repl *r, Build *b, const Task *t) {
    Wishes w = {0};
    int status = 0;
    wishes_of(t, &w);
    for (int i = 0; i < w.n && status == 0; i++) status = provide(r, b, w.data[i].sample, &w);
    vec_free(&w);
    return status;
}

/* ---- one task --------------------------------------------------------------------------------------- */

/* What the chains measured beside the configurations, which nobody asked for. */
static void summarize(Build *b, const Chain *c) {
    SampleData shown = *c->data;
    shown.nprimaries = c->nprimaries;
    summarize_sample(&b->run, &shown);
}

/* The series of a minimisation lie in the arena of its program, and outlive it here. */
static void own_series(SampleData *d) {
    for (int i = 0; i < d->nstats; i++) {
        double *own = lq_alloc((size_t)(d->draws + 1) * sizeof *own);
        memcpy(own, d->stats[i].data, (size_t)d->draws * sizeof *own);
        d->stats[i].data = own;
    }
}

static int run_chains(Build *b, Result *out, Task *t) {
    SampleData *data = NULL;
    const RunSample *sample = build_sample(b, t->sample);
    int status = sample->minimizes ? minimize_run(&b->run, sample, &data) : sample_run(&b->run, sample, &data);
    if (!data) return status ? status : 75;
    if (t->sample->minimizes) own_series(data);
    b->run.samples.data[t->sample->index] = data;
    Chain c = kept_chain(b, t->sample, data);
    vec_push(&out->chains, c);
    out->interrupted |= data->interrupted;
    if (!t->sample->minimizes) summarize(b, &c);
    for (int i = 0; t->sample->minimizes && i < t->sample->target.n; i++) {
        int v = sample->found[i];
        if (!b->run.variables[v].data) return status ? status : 75;
        vec_push(&out->found, b->run.variables[v].data);
        vec_push(&out->nfound, b->program->variables[v].n);
    }
    return status;
}

/* The task as the runtime has it. */
static const RunTask *runs(const Build *b, const Task *t) {
    for (int i = 0; i < b->s.plan->tasks.n; i++)
        if (b->s.plan->tasks.data[i] == t) return &b->program->tasks[i];
    return NULL;
}

static void run_print(Repl *r, Build *b, const Task *t) {
    for (int i = 0; i < t->texts.n; i++) {
        const ReportTask *q = t->reports.data[i];
        if (!q) { fprintf(r->out, "%s ", t->texts.data[i]); continue; }
        ReportResult *x = summarize_report(&b->run, build_report(b, q));
        fprintf(r->out, "%s = %s ", t->texts.data[i], format_value_error(b->s.arena, x->value[0], x->error[0]));
    }
    fprintf(r->out, "\n");
}

static int run_plot(Repl *r, Build *b, Task *t) {
    const char *out = b->settings.out;
    if (r->svg_folder && !out) b->settings.out = r->svg_folder;
    b->settings.draw = r->terminal;
    int status = plots_write(&b->run, runs(b, t));
    b->settings.out = out;
    for (int i = 0; i < b->run.files.n; i++) vec_push(&r->svg, b->run.files.data[i]);
    if (r->svg_folder && !out) b->run.files.n = 0;
    return status;
}

static int run_task(Repl *r, Build *b, Result *out, Task *t) {
    int status = 0;
    switch (t->kind) {
    case TASK_SAMPLE: return run_chains(b, out, t);
    case TASK_REPORT: {
        ReportResult *q = summarize_report(&b->run, build_report(b, t->report));
        vec_push(&out->reports, q);
        vec_push(&b->run.reports, q);
        return 0;
    }
    case TASK_LOAD: return variables_load(&b->run, runs(b, t));
    case TASK_KEEP:
        status = variables_keep(&b->run, runs(b, t));
        for (int i = 0; status == 0 && i < t->variables.n; i++) {
            int v = build_variable(b, t->variables.data[i]);
            vec_push(&out->found, b->run.variables[v].data);
            vec_push(&out->nfound, b->program->variables[v].n);
        }
        return status;
    case TASK_PLOT: return run_plot(r, b, t);
    case TASK_SAVE: return saves_write(&b->run, runs(b, t));
    case TASK_PRINT: run_print(r, b, t); return 0;
    }
    return 0;
}

/* ---- entries ----------------------------------------------------------------------------------------- */

static void forget(Build *b, Result *old) {
    int n = 0;
    for (int i = 0; i < b->run.reports.n; i++) {
        bool own = false;
        for (int k = 0; k < old->reports.n; k++) own |= old->reports.data[k] == b->run.reports.data[i];
        if (!own) b->run.reports.data[n++] = b->run.reports.data[i];
    }
    b->run.reports.n = n;
    for (int i = 0; i < old->chains.n; i++) b->run.samples.data[old->chains.data[i].data->task - b->program->samples] = NULL;
    result_free(old);
}

/* The draws of the task that was interrupted, when it had any. */
static const SampleData *paused(const Build *b, const Result *x, const Task *t) {
    for (int i = 0; i < x->chains.n && t->kind == TASK_SAMPLE; i++)
        if (x->chains.data[i].data->task == build_sample(b, t->sample)) return x->chains.data[i].data;
    return NULL;
}

/* One task, from where it was interrupted; its draws until then are given back when it has them all. */
static int run_paused(Repl *r, Build *b, Result *out, Task *t) {
    Chain old = {0};
    if (paused(b, out, t)) {
        b->run.samples.data[t->sample->index] = NULL;
        old = out->chains.data[--out->chains.n];
        int n = t->sample->minimizes ? t->sample->target.n : 0;
        out->found.n -= n, out->nfound.n -= n;
    }
    r->pause.go_on = r->pause.held, r->pause.data = old.data;
    int status = run_task(r, b, out, t);
    r->pause.go_on = false, r->pause.data = NULL;
    if (old.data) {
        Result gone = {0};
        vec_push(&gone.chains, old);
        result_free(&gone);
    }
    return status;
}

/* What was made of fewer draws than the entry will have. */
static void forget_dependents(Build *b, int i) {
    for (int j = 0; j < b->entries.n; j++)
        if (b->needs[j][i]) forget(b, &b->results[j]);
}

/* The tasks of an entry; `on`: those that are left after an interruption. */
static int carry_out(Repl *r, Build *b, int i, bool on) {
    Result *out = &b->results[i];
    Task *tasks[512];
    int n = build_tasks(b, i, tasks, LQ_COUNT(tasks)), status = 0;
    if (n > LQ_COUNT(tasks)) {
        fprintf(stderr, "lqft: %s has more than %d tasks\n", entry_title(b->s.arena, b->entries.data[i]), LQ_COUNT(tasks));
        return 1;
    }
    for (int k = 0; k < n && status == 0; k++) status = provide_all(r, b, tasks[k]);
    if (status) return status;
    if (out->interrupted) forget_dependents(b, i);
    if (!on) forget(b, out);
    int first = out->ntasks;
    int64_t states = r->pause.count;
    out->interrupted = false, out->done = false;
    for (int k = first; k < n && status == 0; k++) {
        status = on && k == first ? run_paused(r, b, out, tasks[k]) : run_task(r, b, out, tasks[k]);
        if (status == 0) out->ntasks++;
    }
    /* what an interrupted task has can be shown when it is the only one */
    out->interrupted = status == 75;
    if (status && !out->interrupted) forget(b, out);
    out->done = status == 0 || (out->interrupted && n == 1 && out->chains.n == 1);
    out->key = b->key[i];
    if (status == 75 && r->pause.count == states && !(on && out->ntasks == first)) pause_drop(&r->pause);     /* of another task */
    if (status == 75) r->resume = b->entries.data[i];
    else if (r->resume == b->entries.data[i]) r->resume = NULL, pause_drop(&r->pause);
    return status;
}

/* What it has not measured of the draws that it has is measured now: it goes on with all of it. */
static bool complete_measurements(Build *b, Result *out) {
    Chain *c = out->chains.n ? &out->chains.data[out->chains.n - 1] : NULL;
    if (!c || c->data->task->minimizes) return true;
    bool *wanted = arena_alloc(b->s.arena, (size_t)(c->nprimaries + 1) * sizeof *wanted), any = false;
    for (int i = 0; i < c->nprimaries; i++) wanted[i] = !kept_has(c, i), any |= wanted[i];
    return !any || kept_measure(b, c, wanted) == KEPT_MEASURED;
}

static int run_needed(Repl *r, Build *b, int i, int of) {
    if (!build_is_stale(b, i)) return 0;
    int status = 0;
    for (int k = 0; k < i && status == 0; k++)
        if (b->needs[i][k] && entry_is_task(b->entries.data[k])) status = run_needed(r, b, k, of);
    if (status) return status;
    status = carry_out(r, b, i, false);
    if (i != of && status == 0) print_result(r, b, i);
    return status;
}

int job_run(Repl *r, Build *b, int i) {
    Watch w;
    watch_begin(&w);
    int status = run_needed(r, b, i, i);
    watch_end(&w);
    return status;
}

int job_resume(Repl *r, Build *b, int i) {
    Watch w;
    Result *x = &b->results[i];
    bool on = x->interrupted && x->key == b->key[i] && r->pause.held && complete_measurements(b, x);
    if (!on) fprintf(stderr, "%s: from its beginning, with the same draws\n", entry_title(b->s.arena, b->entries.data[i]));
    watch_begin(&w);
    int status = carry_out(r, b, i, on);
    watch_end(&w);
    return status;
}
