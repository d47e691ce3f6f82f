/* keep.c — the run directory of a run: what is written there, when, and how a run goes on.
 *
 * A checkpoint is {task, sample, warming, step, draw, …} with the arrays of the sample that is
 * running, the values of all variables and what the finished samples have besides their series.
 * The series themselves are in measurements.h5, a group for each sample.  The draws of a chain
 * depend on its state and the number of the step alone, so a run that goes on from a checkpoint
 * gives the bits that it would have given without the interruption. */
#include "keep_parts.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

enum { FORMAT = 1 };                                  /* of checkpoints */
static const double usual_interval = 10;              /* seconds between checkpoints */
static const double greatest_cost = 0.01;             /* the part of the time that they may take */

static int failed(int status, const char *err) {
    fprintf(stderr, "lqft: %s\n", err);
    return status;
}

/* ==== the log ==================================================================================== */

void keep_event(RunResult *r, const char *event, const char *fmt, ...) {
    char members[600], err[300] = "";
    va_list ap;
    if (!r->keeper || r->settings->report) return;
    va_start(ap, fmt);
    vsnprintf(members, sizeof members, fmt, ap);
    va_end(ap);
    (void)store_log(r->keeper->store, event, members, err, sizeof err);      /* no measurement is lost with a line */
}

/* ==== measurements ================================================================================== */

static int open_group(RunResult *r, SampleData *d, char *err, size_t errlen) {
    Keeper *k = r->keeper;
    int sample = (int)(d->task - r->program->samples), n;
    if (k->group[sample] >= 0) return 0;
    StoreColumn *c = columns_of(r->arena, d, &n);
    if (n == 0) return 0;
    return store_group(k->store, group_name(r, sample), d->task->method, d->chains, n, c, &k->group[sample], err, errlen);
}

static void pointers_of(Arena *a, const SampleData *d, double ***data, int64_t **rows) {
    int n = d->nprimaries + d->nstats;
    *data = arena_alloc(a, (size_t)(n + 1) * sizeof **data), *rows = arena_alloc(a, (size_t)(n + 1) * sizeof **rows);
    for (int i = 0; i < n; i++) {
        const Series *s = i < d->nprimaries ? &d->primaries[i] : &d->stats[i - d->nprimaries];
        (*data)[i] = s->data;
        (*rows)[i] = d->task->minimizes ? d->task->draws : s->draws;
    }
}

static int append(RunResult *r, SampleData *d, int64_t draws, char *err, size_t errlen) {
    Keeper *k = r->keeper;
    int sample = (int)(d->task - r->program->samples);
    int status = open_group(r, d, err, errlen);
    if (status || k->group[sample] < 0 || draws == k->committed[sample]) return status;
    double **data;
    int64_t *rows;
    Arena *a = arena_new();
    pointers_of(a, d, &data, &rows);
    status = store_append(k->store, k->group[sample], k->committed[sample], draws - k->committed[sample], (const double *const *)data, rows, err, errlen);
    arena_free(a);
    if (!status) k->committed[sample] = draws;
    return status;
}

static int read_back(RunResult *r, SampleData *d, int64_t draws, char *err, size_t errlen) {
    Keeper *k = r->keeper;
    int sample = (int)(d->task - r->program->samples);
    int status = open_group(r, d, err, errlen);
    if (status || k->group[sample] < 0 || draws == 0) return status;
    double **data;
    int64_t *rows;
    Arena *a = arena_new();
    pointers_of(a, d, &data, &rows);
    status = store_read(k->store, k->group[sample], draws, data, rows, err, errlen);
    arena_free(a);
    k->committed[sample] = draws;
    return status;
}

/* ==== checkpoints ==================================================================================== */

static const char *indexed(Arena *a, const char *what, int i) { return arena_printf(a, "%s.%d", what, i); }

/* state NULL: between two samples. */
static int write_checkpoint(RunResult *r, const KeepState *state, char *err, size_t errlen) {
    Keeper *k = r->keeper;
    Arena *a = arena_new();
    VEC(StoreArray) arrays = {0};
    int done = (int)json_array_size(k->finished);
    for (int i = 0; state && i < state->narrays; i++) vec_push(&arrays, ((StoreArray){state->names[i], state->n[i], state->data[i]}));
    for (int i = 0; i < r->program->nvariables; i++)
        if (r->variables[i].data) vec_push(&arrays, ((StoreArray){indexed(a, "variable", i), r->program->variables[i].n, r->variables[i].data}));
    for (int i = 0; i < done; i++)
        vec_push(&arrays, ((StoreArray){indexed(a, "mean", i), r->program->samples[i].nstats, k->means[i]}));
    json_t *o = json_object();
    json_object_set_new(o, "format", json_integer(FORMAT));
    json_object_set_new(o, "task", json_integer(state ? r->task : r->task + 1));
    json_object_set(o, "finished", k->finished);
    if (state) {
        json_object_set_new(o, "warming", json_boolean(state->warming));
        json_object_set_new(o, "step", json_integer(state->step));
        json_object_set_new(o, "draw", json_integer(state->draw));
        json_object_set_new(o, "seconds", json_number(state->seconds));
        json_object_set_new(o, "warmup_seconds", json_number(state->warmup_seconds));
        json_object_set_new(o, "cpu_seconds", json_number(state->cpu_seconds));
    }
    char *about = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    int status = store_checkpoint(k->store, about, arrays.n, arrays.data, err, errlen);
    free(about);
    vec_free(&arrays);
    arena_free(a);
    return status;
}

bool keep_due(const RunResult *r) {
    const RunSettings *o = r->settings;
    if (o->max_time > 0 && run_clock() - r->begin >= o->max_time) run_interrupt();
    if (!r->keeper) return false;
    double interval = o->every > 0 ? o->every : usual_interval;
    if (o->every <= 0 && r->keeper->cost > interval * greatest_cost) interval = r->keeper->cost / greatest_cost;
    return run_clock() - r->keeper->last >= interval;
}

int keep_state(RunResult *r, SampleData *d, const KeepState *state) {
    Keeper *k = r->keeper;
    char err[700] = "";
    if (r->pause) pause_hold(r->pause, state);
    if (!k) return 0;
    double begin = run_clock();
    int status = state->warming ? 0 : append(r, d, state->draw, err, sizeof err);
    if (!status) status = write_checkpoint(r, state, err, sizeof err);
    if (status) return failed(status, err);
    keep_event(r, "checkpoint", "\"sample\": %d, \"step\": %lld, \"draw\": %lld", (int)(d->task - r->program->samples), (long long)state->step, (long long)state->draw);
    k->last = run_clock();
    k->cost = k->last - begin;
    return 0;
}

int keep_sample(RunResult *r, SampleData *d, const KeepState *state) {
    Keeper *k = r->keeper;
    char err[700] = "";
    (void)state;
    if (!k) return 0;
    int status = append(r, d, d->draws, err, sizeof err);
    json_t *o = json_object();
    json_object_set_new(o, "draws", json_integer(d->draws));
    json_object_set_new(o, "seconds", json_number(d->seconds));
    json_object_set_new(o, "warmup_seconds", json_number(d->warmup_seconds));
    json_object_set_new(o, "cpu_seconds", json_number(d->cpu_seconds));
    k->means[json_array_size(k->finished)] = d->warmup_mean;
    json_array_append_new(k->finished, o);
    if (!status) status = write_checkpoint(r, NULL, err, sizeof err);
    if (status) return failed(status, err);
    keep_event(r, "sampled", "\"sample\": %d, \"draws\": %lld", (int)(d->task - r->program->samples), (long long)d->draws);
    k->last = run_clock();
    return 0;
}

/* ==== going on ========================================================================================= */

static double number_of(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }
static int64_t integer_of(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }

static int damaged(const RunResult *r, const char *what) {
    fprintf(stderr, "lqft: the checkpoint in %s does not fit this program: %s\n", r->settings->out, what);
    return 65;
}

bool keep_wanted(const RunResult *r) { return r->keeper || r->pause; }

bool keep_is_past(const RunResult *r) {
    return r->keeper && r->keeper->from && r->task < integer_of(r->keeper->about, "task");
}

int keep_finished(RunResult *r, SampleData *d, bool *finished) {
    Keeper *k = r->keeper;
    char err[700] = "";
    *finished = false;
    if (!k || !k->from) return 0;
    size_t sample = (size_t)(d->task - r->program->samples);
    json_t *o = json_array_get(json_object_get(k->about, "finished"), sample);
    if (!o) return 0;
    int64_t draws = integer_of(o, "draws");
    const StoreArray *mean = checkpoint_find(k->from, indexed(r->arena, "mean", (int)sample));
    if (draws < 0 || draws > d->task->draws || !mean || mean->n != d->nstats) return damaged(r, "its samples are others");
    int status = read_back(r, d, draws, err, sizeof err);
    if (status) return failed(status, err);
    for (int i = 0; i < d->nstats; i++) {
        d->warmup_mean[i] = mean->data[i];
        if (d->task->minimizes) d->stats[i].draws = draws;
    }
    d->draws = draws;
    d->seconds = number_of(o, "seconds"), d->warmup_seconds = number_of(o, "warmup_seconds"), d->cpu_seconds = number_of(o, "cpu_seconds");
    k->means[json_array_size(k->finished)] = d->warmup_mean;
    json_array_append(k->finished, o);
    *finished = true;
    return 0;
}

int keep_restore(RunResult *r, SampleData *d, KeepState *state, bool *found) {
    Keeper *k = r->keeper;
    char err[700] = "";
    *found = r->pause && r->pause->go_on && pause_restore(r->pause, d, state);
    if (*found || !k || !k->from || r->task != integer_of(k->about, "task") || !json_object_get(k->about, "step")) return 0;
    for (int i = 0; i < state->narrays; i++) {
        const StoreArray *a = checkpoint_find(k->from, state->names[i]);
        if (!a || a->n != state->n[i]) return damaged(r, state->names[i]);
        memcpy(state->data[i], a->data, (size_t)a->n * sizeof *a->data);
    }
    state->warming = json_is_true(json_object_get(k->about, "warming"));
    state->step = integer_of(k->about, "step"), state->draw = integer_of(k->about, "draw");
    state->seconds = number_of(k->about, "seconds"), state->warmup_seconds = number_of(k->about, "warmup_seconds");
    state->cpu_seconds = number_of(k->about, "cpu_seconds");
    if (state->draw < 0 || state->draw > d->task->draws) return damaged(r, "its draws are others");
    int status = state->warming ? 0 : read_back(r, d, state->draw, err, sizeof err);
    if (status) return failed(status, err);
    *found = true;
    return 0;
}

int keep_partial(RunResult *r, SampleData *d, int64_t *draws) {
    Keeper *k = r->keeper;
    char err[700] = "";
    *draws = 0;
    if (!k || !k->from || r->task != integer_of(k->about, "task") || json_is_true(json_object_get(k->about, "warming"))) return 0;
    *draws = integer_of(k->about, "draw");
    if (*draws < 0 || *draws > d->task->draws) return damaged(r, "its draws are others");
    int status = read_back(r, d, *draws, err, sizeof err);
    return status ? failed(status, err) : 0;
}

static int restore_variables(RunResult *r) {
    for (int i = 0; i < r->program->nvariables; i++) {
        const StoreArray *a = checkpoint_find(r->keeper->from, indexed(r->arena, "variable", i));
        if (!a) continue;
        if (a->n != r->program->variables[i].n) return damaged(r, a->name);
        memcpy(variable_room(r, i), a->data, (size_t)a->n * sizeof *a->data);
    }
    return 0;
}

static int resume(RunResult *r) {
    Keeper *k = r->keeper;
    char err[1200] = "", *warning = NULL;
    int status = run_json_check(r, err, sizeof err);
    if (!status) status = store_restore(k->store, &k->from, &warning, err, sizeof err);
    if (warning) fprintf(stderr, "lqft: %s\n", warning);
    free(warning);
    if (status) return failed(status, err);
    if (!k->from) {
        keep_event(r, "resume", "\"from\": \"the beginning\"");
        return 0;
    }
    k->about = json_loads(k->from->about, 0, NULL);
    if (!json_is_object(k->about) || integer_of(k->about, "format") != FORMAT) return damaged(r, "another version of lqft wrote it");
    keep_event(r, "resume", "\"task\": %lld, \"step\": %lld, \"draw\": %lld", (long long)integer_of(k->about, "task"),
               (long long)integer_of(k->about, "step"), (long long)integer_of(k->about, "draw"));
    return restore_variables(r);
}

/* ==== the whole ========================================================================================== */

int keep_open(RunResult *r) {
    char err[700] = "";
    Store *store = NULL;
    if (!r->settings->out) {
        if (r->settings->resume) return failed(2, "--resume continues the run in a directory: which one? --out DIR");
        return 0;
    }
    int status = store_open(r->settings->out, r->settings->resume, &store, err, sizeof err);
    if (status) return failed(status, err);
    Keeper *k = arena_alloc(r->arena, sizeof *k);
    int n = r->program->nsamples;
    *k = (Keeper){.store = store, .finished = json_array(), .last = run_clock()};
    k->means = arena_alloc(r->arena, (size_t)(n + 1) * sizeof *k->means);
    k->group = arena_alloc(r->arena, (size_t)(n + 1) * sizeof *k->group);
    k->committed = arena_alloc(r->arena, (size_t)(n + 1) * sizeof *k->committed);
    for (int i = 0; i < n; i++) k->group[i] = -1;
    r->keeper = k;
    if (store_is_resumed(store)) return resume(r);
    if (r->settings->report) return failed(66, arena_printf(r->arena, "there is no run in %s", r->settings->out));
    status = run_json_write(r, err, sizeof err);
    if (status) return failed(status, err);
    keep_event(r, "begin", "\"seed\": %u", r->settings->seed);
    return 0;
}

int keep_page(RunResult *r) {
    char err[700] = "";
    Text page = {0};
    page_text(r, &page);
    int status = store_write_text(r->keeper->store, "report.html", page.s, page.n, err, sizeof err);
    text_free(&page);
    if (status) return failed(status, err);
    vec_push(&r->files, arena_printf(r->arena, "%s/report.html", r->settings->out));
    return 0;
}

int keep_summary(RunResult *r, int status) {
    char *text = NULL, err[700] = "";
    size_t n = 0;
    if (!r->keeper) return 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) lq_out_of_memory(1);
    output_json(r, f);
    fclose(f);
    int wrote = store_write_text(r->keeper->store, "summary.json", text, n, err, sizeof err);
    free(text);
    keep_event(r, status == 75 ? "interrupted" : status ? "failed" : "done", "\"status\": %d", status);
    return wrote ? failed(wrote, err) : 0;
}

void keep_close(RunResult *r) {
    Keeper *k = r->keeper;
    if (!k) return;
    checkpoint_free(k->from);
    json_decref(k->about);
    json_decref(k->finished);
    store_close(k->store);
    r->keeper = NULL;
}
