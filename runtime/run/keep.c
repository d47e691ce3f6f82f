/* keep.c — the run directory of a run: what is written there, when, and how a run goes on.
 *
 * A checkpoint is {task, sample, warming, step, draw, …} with the arrays of the sample that is
 * running, the values of all variables and what the finished samples have besides their series.
 * The series themselves are in measurements.h5, a group for each sample.  The draws of a chain
 * depend on its state and the number of the step alone, so a run that goes on from a checkpoint
 * gives the bits that it would have given without the interruption. */
#include "results.h"
#include "store.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FORMAT = 1, MAX_NAME = 60 };
static const double usual_interval = 10;              /* seconds between checkpoints */
static const double greatest_cost = 0.01;             /* the part of the time that they may take */

struct Keeper {
    Store      *store;
    Checkpoint *from;                                 /* the run goes on from here, or NULL */
    json_t     *about;                                /* of it */
    json_t     *finished;                             /* a list: of each sample that is done */
    double    **means;                                /* [sample] warm-up means of those, or NULL */
    int        *group;                                /* [sample] in measurements.h5, -1: not yet */
    int64_t    *committed;                            /* [sample] draws there */
    double      last, cost;                           /* when the last checkpoint was made; what it took */
};

static int failed(int status, const char *err) {
    fprintf(stderr, "lqft: %s\n", err);
    return status;
}

static json_t *number(double v) { return v - v == 0 ? json_real(v) : json_null(); }

/* ==== run.json =============================================================================== */

static json_t *params_of(const RunProgram *p) {
    json_t *o = json_object();
    for (int i = 0; i < p->nparams; i++)
        json_object_set_new(o, p->params[i].name, p->params[i].boolean ? json_boolean(p->params[i].value != 0) : number(p->params[i].value));
    return o;
}

static json_t *samples_of(const RunProgram *p) {
    json_t *list = json_array();
    for (int i = 0; i < p->nsamples; i++) {
        const RunSample *t = &p->samples[i];
        json_t *o = json_object(), *fields = json_array();
        for (int k = 0; k < t->ntargets; k++) json_array_append_new(fields, json_string(t->targets[k]));
        json_object_set_new(o, t->minimizes ? "over" : "fields", fields);
        json_object_set_new(o, "method", json_string(t->method));
        json_object_set_new(o, "precision", json_string(t->single ? "single" : "double"));
        json_object_set_new(o, "chains", json_integer(t->chains));
        json_object_set_new(o, "warmup", json_integer(t->warmup));
        json_object_set_new(o, "draws", json_integer(t->draws));
        json_object_set_new(o, "thin", json_integer(t->thin));
        json_array_append_new(list, o);
    }
    return list;
}

/* Of what the command line set: options of methods, by their texts. Parameters and sizes are above. */
static json_t *options_of(const RunResult *r) {
    static const char *const sizes[] = {"chains", "warmup", "draws", "thin", "precision"};
    json_t *o = r->settings->given ? json_loads(r->settings->given, 0, NULL) : NULL;
    if (!o) o = json_object();
    for (int i = 0; i < LQ_COUNT(sizes); i++) json_object_del(o, sizes[i]);
    for (int i = 0; i < r->program->nparams; i++) json_object_del(o, r->program->params[i].name);
    return o;
}

/* What makes it this run: on resuming, all of it must be the same. */
static json_t *identity(const RunResult *r) {
    char hash[20];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->program->source);
    json_t *o = json_object();
    json_object_set_new(o, "source", json_string(hash));
    json_object_set_new(o, "seed", json_integer(r->settings->seed));
    json_object_set_new(o, "params", params_of(r->program));
    json_object_set_new(o, "tasks", samples_of(r->program));
    json_object_set_new(o, "options", options_of(r));
    return o;
}

/* Of all members but itself; a seed with one digit changed would be a seed too. */
static const char *checksum(Arena *a, const json_t *o) {
    json_t *rest = json_copy((json_t *)o);
    json_object_del(rest, "checksum");
    char *text = json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS);
    uint64_t h = text ? lq_hash(text, strlen(text), 0) : 0;
    free(text);
    json_decref(rest);
    return arena_printf(a, "%016llx", (unsigned long long)h);
}

static bool is_whole(Arena *a, const json_t *o) {
    const char *sum = json_string_value(json_object_get(o, "checksum"));
    return sum && !strcmp(sum, checksum(a, o));
}

static void add_time(json_t *o, const char *name) {
    char text[40];
    time_t t = time(NULL);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_object_set_new(o, name, json_string(text));
}

static int write_run(RunResult *r, char *err, size_t errlen) {
    char host[256] = "";
    json_t *o = identity(r), *given = r->settings->given ? json_loads(r->settings->given, 0, NULL) : NULL;
    gethostname(host, sizeof host - 1);
    json_object_set_new(o, "format", json_integer(FORMAT));
    json_object_set_new(o, "program", json_string(r->program->path));
    char *model = realpath(r->program->path, NULL);       /* also from another folder */
    if (model) json_object_set_new(o, "model", json_string(model));
    free(model);
    json_object_set_new(o, "version", json_string(LQFT_VERSION));
    json_object_set_new(o, "given", given ? given : json_object());
    json_object_set_new(o, "host", json_string(host));
    add_time(o, "begun");
    json_object_set_new(o, "checksum", json_string(checksum(r->arena, o)));
    char *text = json_dumps(o, JSON_INDENT(2));
    json_decref(o);
    if (!text) return snprintf(err, errlen, "run.json: a name in the program is no UTF-8 text"), 65;
    int status = store_write_text(r->keeper->store, "run.json", text, strlen(text), err, errlen);
    free(text);
    return status;
}

/* The first member that differs, down to values that have no members; its name is added to `name`. */
static void first_difference(json_t **a, json_t **b, Text *name) {
    const char *key = NULL;
    json_t *x = NULL;
    size_t i;
    if (json_is_array(*a) && json_is_array(*b) && json_array_size(*a) == json_array_size(*b)) {
        for (i = 0; json_equal(json_array_get(*a, i), json_array_get(*b, i));) i++;
        text_printf(name, " number %zu", i + 1);
        x = json_array_get(*a, i), *b = json_array_get(*b, i);
    } else if (json_is_object(*a) && json_is_object(*b)) {
        json_object_foreach(*a, key, x)
            if (!json_equal(x, json_object_get(*b, key))) break;
        if (!key)                                          /* one that only b has */
            json_object_foreach(*b, key, x)
                if (!json_object_get(*a, key)) break;
        text_printf(name, " `%s`", key);
        x = json_object_get(*a, key), *b = json_object_get(*b, key);
    } else return;
    *a = x;
    first_difference(a, b, name);
}

/* A sentence about the first difference between the run in the directory and this one; empty: none. */
static void compare(const json_t *was, const json_t *is, char *out, size_t n) {
    static const struct { const char *key, *what; } parts[] = {
        {"source", "the text of the model, or of a library that it imports, has changed since it began"},
        {"seed", "it has another seed"}, {"params", "it has other parameters"}, {"tasks", "its samples have other sizes or methods"},
        {"options", "its methods have other options"}};
    *out = 0;
    for (int i = 0; i < LQ_COUNT(parts); i++) {
        json_t *a = json_object_get(was, parts[i].key), *b = json_object_get(is, parts[i].key);
        if (json_equal(a, b)) continue;
        Text name = {0};
        first_difference(&a, &b, &name);
        char *x = json_dumps(a, JSON_ENCODE_ANY | JSON_COMPACT), *y = json_dumps(b, JSON_ENCODE_ANY | JSON_COMPACT);
        if (i == 0) snprintf(out, n, "%s", parts[i].what);
        else snprintf(out, n, "%s:%.150s %.300s there, %.300s here", parts[i].what, name.n ? name.s : "", x ? x : "nothing", y ? y : "nothing");
        free(x), free(y);
        text_free(&name);
        return;
    }
}

static int check_run(RunResult *r, char *err, size_t errlen) {
    size_t n;
    char *text = store_read_text(r->keeper->store, "run.json", &n, err, errlen), why[800];
    if (!text) return *err ? 65 : (snprintf(err, errlen, "%s has no run.json", r->settings->out), 65);
    json_t *was = json_loadb(text, n, 0, NULL), *is = identity(r);
    free(text);
    if (!is_whole(r->arena, was)) snprintf(why, sizeof why, "its run.json is damaged");
    else compare(was, is, why, sizeof why);
    json_decref(was), json_decref(is);
    if (!*why) return 0;
    snprintf(err, errlen, "cannot resume the run in %s: %s", r->settings->out, why);
    return 65;
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

/* What is measured of a mean E[x] is x. */
static const char *measured(Arena *a, const char *text) {
    size_t n = strlen(text);
    return n > 3 && !strncmp(text, "E[", 2) && text[n - 1] == ']' ? arena_strndup(a, text + 2, n - 3) : text;
}

/* A name for a dataset: no slash in it, not too long, and nobody else's. */
static const char *column_name(Arena *a, const char *text, const StoreColumn *taken, int n) {
    Text t = {0};
    for (const char *c = text; *c && t.n < MAX_NAME; c++) {
        if (*c == '/') text_printf(&t, "∕");
        else if (*c == '\n' || *c == ' ') { if (t.n && t.s[t.n - 1] != ' ') text_putn(&t, " ", 1); }
        else text_putn(&t, c, 1);
    }
    while (t.n && (t.s[t.n - 1] & 0xC0) == 0x80 && text[t.n] && (text[t.n] & 0xC0) == 0x80) t.n--;     /* no letter cut in two */
    const char *base = t.n && strcmp(t.s, ".") ? arena_strndup(a, t.s, t.n) : "value", *name = base;
    text_free(&t);
    for (int k = 2, i = 0; i < n; i++)
        if (!strcmp(taken[i].name, name)) name = arena_printf(a, "%s.%d", base, k++), i = -1;
    return name;
}

/* Primaries, then monitors. */
static StoreColumn *columns_of(Arena *a, const SampleData *d, int *n) {
    const RunSample *t = d->task;
    *n = d->nprimaries + d->nstats;
    StoreColumn *c = arena_alloc(a, (size_t)(*n + 1) * sizeof *c);
    for (int i = 0; i < d->nprimaries; i++) {
        const RunPrimary *p = &t->primaries[i];
        c[i] = (StoreColumn){.name = column_name(a, measured(a, p->at.text), c, i), .stride = d->primaries[i].stride, .about = p->at.text};
        if (p->complex) c[i].shape[c[i].rank++] = 2, c[i].about = arena_printf(a, "%s: real part, imaginary part", p->at.text);
        for (int k = 0; k < p->shape.rank; k++) c[i].shape[c[i].rank++] = p->shape.dim[k];
    }
    for (int i = 0; i < d->nstats; i++) {
        const char *name = i < t->nmonitors ? t->monitors[i].name : arena_printf(a, "monitor.%d", i);
        StoreColumn *s = &c[d->nprimaries + i];
        *s = (StoreColumn){.name = column_name(a, name, c, d->nprimaries + i), .stride = 1, .about = "what the method watches"};
    }
    return c;
}

static const char *group_name(RunResult *r, int sample) {
    const RunSample *t = &r->program->samples[sample];
    const char *base = t->ntargets ? t->targets[0] : "sample";
    int before = 0;
    for (int i = 0; i < sample; i++)
        before += !strcmp(r->program->samples[i].ntargets ? r->program->samples[i].targets[0] : "sample", base);
    Text s = {0};
    for (const char *c = base; *c; c++) text_putn(&s, *c == '/' ? "_" : c, 1);
    const char *name = before ? arena_printf(r->arena, "%.*s.%d", (int)s.n, s.s, before + 1) : arena_strndup(r->arena, s.s, s.n);
    text_free(&s);
    return name;
}

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
        json_object_set_new(o, "seconds", number(state->seconds));
        json_object_set_new(o, "warmup_seconds", number(state->warmup_seconds));
        json_object_set_new(o, "cpu_seconds", number(state->cpu_seconds));
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
    json_object_set_new(o, "seconds", number(d->seconds));
    json_object_set_new(o, "warmup_seconds", number(d->warmup_seconds));
    json_object_set_new(o, "cpu_seconds", number(d->cpu_seconds));
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
    int status = check_run(r, err, sizeof err);
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

const char *keep_program(const RunSettings *o, Arena *arena) {
    char path[4096];
    json_error_t error = {.text = "its name is too long"};
    json_t *was = (size_t)snprintf(path, sizeof path, "%s/run.json", o->out) < sizeof path ? json_load_file(path, 0, &error) : NULL;
    json_t *model = json_object_get(was, "model");
    const char *program = json_string_value(model ? model : json_object_get(was, "program")), *out = program ? arena_printf(arena, "%s", program) : NULL;
    if (!out) fprintf(stderr, "lqft: there is no run in %s: %s\n", o->out, was ? "its run.json names no program" : error.text);
    json_decref(was);
    return out;
}

int keep_recall(RunSettings *o, Arena *arena, int *n, Given **given) {
    char path[4096];
    *n = 0, *given = NULL;
    if (!o->out || !o->resume || (size_t)snprintf(path, sizeof path, "%s/run.json", o->out) >= sizeof path) return 0;
    if (access(path, F_OK) != 0) return 0;            /* store_open will say what is the matter */
    json_error_t error;
    json_t *was = json_load_file(path, 0, &error), *list = json_object_get(was, "given"), *text;
    const char *name;
    if (!json_is_object(list) || !is_whole(arena, was)) {
        fprintf(stderr, "lqft: cannot resume the run in %s: its run.json is damaged: %s\n", o->out, was ? "its checksum is another" : error.text);
        json_decref(was);
        return 65;
    }
    if (!o->seed_given) o->seed = (uint32_t)json_integer_value(json_object_get(was, "seed")), o->seed_given = true;
    *given = arena_alloc(arena, (json_object_size(list) + 1) * sizeof **given);
    json_object_foreach(list, name, text)
        if (json_is_string(text)) (*given)[(*n)++] = (Given){arena_printf(arena, "%s", name), arena_printf(arena, "%s", json_string_value(text))};
    json_decref(was);
    return 0;
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
    status = write_run(r, err, sizeof err);
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
