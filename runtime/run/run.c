/* run.c — the tasks of a program in order, and its results. */
#include "results.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

void run_complain(const RunPlace *at, const char *fmt, ...) {
    va_list ap;
    fprintf(stderr, "%s:%d:%d: error: ", at->file, at->line, at->column);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void run_begin(RunResult *r, const RunProgram *p, const RunSettings *o, const RunEngine *e, Arena *arena) {
    *r = (RunResult){.program = p, .settings = o, .engine = e, .arena = arena, .begin = run_clock()};
    r->variables = arena_alloc(arena, (size_t)(p->nvariables + 1) * sizeof *r->variables);
}

static void free_series(SampleData *d) {
    if (d->task->minimizes) return;                  /* in the arena */
    for (int i = 0; i < d->nprimaries; i++) free(d->primaries[i].data);
    for (int i = 0; i < d->nstats; i++) free(d->stats[i].data);
}

void run_end(RunResult *r) {
    keep_close(r);
    for (int i = 0; i < r->samples.n; i++) free_series(r->samples.data[i]);
    vec_free(&r->samples);
    vec_free(&r->reports);
    vec_free(&r->diagnostics);
    vec_free(&r->files);
}

static int run_sample(RunResult *r, const RunSample *t) {
    SampleData *data = NULL;
    int status = t->minimizes ? minimize_run(r, t, &data) : sample_run(r, t, &data);
    if (!data) return status;
    vec_push(&r->samples, data);
    if (!t->minimizes) summarize_sample(r, data);
    return status;
}

static void print(RunResult *r, const RunTask *t) {
    for (int i = 0; i < t->nprinted; i++) {
        if (t->printed[i] < 0) { fprintf(stderr, "%s ", t->texts[i]); continue; }
        ReportResult *result = summarize_report(r, &r->program->reports[t->printed[i]]);
        fprintf(stderr, "%s = %s ", t->texts[i], format_value_error(r->arena, result->value[0], result->error[0]));
    }
    fputc('\n', stderr);
}

static int run_task(RunResult *r, const RunTask *t) {
    switch (t->kind) {
    case TASK_SAMPLE: return run_sample(r, &r->program->samples[t->sample]);
    case TASK_REPORT: {
        ReportResult *result = summarize_report(r, &r->program->reports[t->report]);
        vec_push(&r->reports, result);
        return 0;
    }
    case TASK_KEEP: return keep_is_past(r) ? 0 : variables_keep(r, t);
    case TASK_LOAD: return keep_is_past(r) ? 0 : variables_load(r, t);
    case TASK_PLOT: return plots_write(r, t);
    case TASK_SAVE: return saves_write(r, t);
    case TASK_PRINT: print(r, t); return 0;
    }
    return 0;
}

/* After an interruption, the tasks that follow the interrupted sample up to the next;
 * none of them when it stopped before its first draw. */
static int run_tasks(RunResult *r) {
    int status = 0, samples = 0;
    for (int i = 0; i < r->program->ntasks && (status == 0 || status >= 73); i++) {
        const RunTask *t = &r->program->tasks[i];
        if (run_interrupted() && status == 0) status = 75;       /* between two samples */
        if (status >= 73 && (t->kind == TASK_SAMPLE || r->samples.n < samples)) break;
        samples += t->kind == TASK_SAMPLE;
        r->task = i;
        int task_status = run_task(r, t);
        if (task_status && (status == 0 || task_status < status)) status = task_status;
    }
    return status;
}

static int print_results(const RunResult *r) {
    if (r->settings->json) output_json(r, stdout);
    else output_table(r, stdout);
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    fprintf(stderr, "lqft: cannot write the results: %s\n", strerror(errno));
    return 74;
}

static bool has_failed(const RunResult *r) {
    for (int i = 0; i < r->diagnostics.n; i++)
        if (r->diagnostics.data[i].notice == NOTICE_FAILED) return true;
    return false;
}

int run_program(const RunProgram *p, const RunSettings *o, const RunEngine *e, double front_seconds) {
    RunResult r;
    Arena *arena = arena_new();
    signal(SIGXFSZ, SIG_IGN);                      /* a limit on files makes writes fail, with a message */
    run_begin(&r, p, o, e, arena);
    r.front_seconds = front_seconds;
    /* a run that is kept ends in order at any time, also while a task is compiled */
    RunSignals *signals = o->out && !o->report ? run_signals_begin() : NULL;
    int status = keep_open(&r);
    if (status == 0) {
        status = run_tasks(&r);
        r.total_seconds = run_clock() - r.begin + front_seconds;
        if (status == 0 || status >= 73) {         /* a file that could not be written costs no numbers */
            if (o->report && status == 75) status = 0;     /* of a run that is not finished: what there is */
            int kept = o->report ? keep_page(&r) : keep_summary(&r, status), printed = print_results(&r);
            if (status == 0) status = printed ? printed : kept;
            if (status == 0 && o->strict && has_failed(&r)) status = 3;
        } else keep_event(&r, "stopped", "\"status\": %d", status);
    }
    run_end(&r);
    if (signals) run_signals_end(signals);
    arena_free(arena);
    return status;
}
