/* library.c — the functions of lqft_sampler.h: the first sample of the payload, step by step. */
#include "lqft_sampler.h"
#include "payload.h"
#include "settings.h"

#include "../run/chains.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

typedef struct Sampler {
    Arena      *arena;
    Payload    *payload;
    RunEngine   engine;
    RunSettings settings;
    RunResult   run;
    RunSample  *t;
    Chains      chains;
    Pool       *pool;
    bool        started;
    uint32_t    step; int64_t draw;
    int64_t     ahead;                /* steps of this draw */
    char        err[600];
} Sampler;

/* A handle stays when its sampler is closed, so that a use of it after that is an error, and no other. */
struct lqft_sampler { Sampler *open; lqft_sampler *next; };

static lqft_sampler *closed;
static pthread_mutex_t closing = PTHREAD_MUTEX_INITIALIZER;

static _Thread_local char open_error[600];

static int failed(Sampler *s, const char *fmt, const char *what) {
    snprintf(s->err, sizeof s->err, fmt, what);
    return -1;
}

/* NULL and a message when there is none. */
static Sampler *sampler_of(const lqft_sampler *handle) {
    if (!handle) snprintf(open_error, sizeof open_error, "there is no sampler: the handle is NULL");
    return handle ? handle->open : NULL;
}

/* ---- opening -------------------------------------------------------------------------------- */

/* The file that these functions are in: the payload is at its end. */
static const char *own_file(void) {
    Dl_info info;
    void *here;
    const char *(*f)(const lqft_sampler *) = lqft_error;
    memcpy(&here, &f, sizeof here);
    return dladdr(here, &info) && info.dli_fname ? info.dli_fname : "";
}

/* What a task before this sample finds, loads or keeps, and the sample uses; or NULL. */
static const char *found_before(const RunProgram *p, const RunSample *t) {
    for (int i = 0; i < p->ntasks && p->tasks[i].sample != (int)(t - p->samples); i++) {
        const RunTask *k = &p->tasks[i];
        const RunSample *m = k->kind == TASK_SAMPLE ? &p->samples[k->sample] : NULL;
        int n = m ? (m->minimizes ? m->ntargets : 0) : k->kind == TASK_LOAD || k->kind == TASK_KEEP ? k->variables.n : 0;
        for (int j = 0; j < n; j++)
            for (int f = 0; f < RUN_FUNCTIONS; f++)
                for (int u = 0; u < t->uses[f].n; u++)
                    if (t->uses[f].at[u] == (m ? m->found[j] : k->variables.at[j])) return p->variables[t->uses[f].at[u]].name;
    }
    return NULL;
}

static bool open_payload(Sampler *s) {
    char *err = open_error;
    size_t n = sizeof open_error;
    Payloads *all = payloads_open(own_file(), s->arena, err, n);
    s->payload = all ? payload_read(all, 0, s->arena, err, n) : NULL;
    if (all) payloads_close(all);
    if (!s->payload || payload_processor(s->payload, err, n)) return false;
    const RunProgram *p = s->payload->program;
    for (int i = 0; i < p->nsamples && !s->t; i++)
        if (!p->samples[i].minimizes) s->t = &s->payload->program->samples[i];
    if (!s->t) return snprintf(err, n, "the model has no sample"), false;
    const char *name = found_before(p, s->t);
    if (name) snprintf(err, n, "the first sample of the model needs `%.100s`, which an earlier task gives: `lqft run` carries out both", name);
    return !name;
}

lqft_sampler *lqft_open(uint32_t seed) {
    Arena *arena = arena_new();
    Sampler *s = arena_alloc(arena, sizeof *s);
    *open_error = 0;
    s->arena = arena;
    if (!open_payload(s)) {
        if (s->payload) payload_free(s->payload);
        arena_free(arena);
        return NULL;
    }
    s->engine = payload_engine(s->payload, arena);
    s->settings = (RunSettings){.seed = seed, .seed_given = true, .quiet = true};
    payload_engine_seed(&s->engine, seed);
    lqft_sampler *handle = lq_alloc(sizeof *handle);
    *handle = (lqft_sampler){.open = s};
    return handle;
}

void lqft_close(lqft_sampler *handle) {
    Sampler *s = handle ? handle->open : NULL;
    if (!s) return;
    if (s->started) {
        pool_free(s->pool);
        chains_close(&s->chains);
        run_end(&s->run);
    }
    payload_engine_free(&s->engine);
    arena_free(s->arena);
    handle->open = NULL;
    pthread_mutex_lock(&closing);
    handle->next = closed, closed = handle;
    pthread_mutex_unlock(&closing);
}

const char *lqft_error(const lqft_sampler *s) { return !s ? open_error : s->open ? s->open->err : "the sampler is closed"; }

/* ---- settings ---------------------------------------------------------------------------------- */

/* As they are, to be put back. */
typedef struct Before { RunParam *params; RunSetting *settings; RunSample *samples; } Before;

static void *copy_of(const void *p, int n, size_t size) {
    void *copy = lq_alloc(((size_t)n + 1) * size);
    if (n) memcpy(copy, p, (size_t)n * size);
    return copy;
}

static void restore(RunProgram *p, const Before *b) {
    if (p->nparams) memcpy(p->params, b->params, (size_t)p->nparams * sizeof *p->params);
    if (p->nsettings) memcpy(p->settings, b->settings, (size_t)p->nsettings * sizeof *p->settings);
    if (p->nsamples) memcpy(p->samples, b->samples, (size_t)p->nsamples * sizeof *p->samples);
}

int lqft_set(lqft_sampler *handle, const char *name, double value) {
    Sampler *s = sampler_of(handle);
    char text[40];
    if (!s) return -1;
    if (!name) return failed(s, "a setting has a name%s", "");
    if (s->started) return failed(s, "`%.100s` is set after the first draw", name);
    snprintf(text, sizeof text, "%.17g", value);
    RunProgram *p = s->payload->program;
    Before b = {copy_of(p->params, p->nparams, sizeof *p->params), copy_of(p->settings, p->nsettings, sizeof *p->settings),
                copy_of(p->samples, p->nsamples, sizeof *p->samples)};
    bool bad = setting_set(p, name, text, s->err, sizeof s->err) || settings_settle(p, s->err, sizeof s->err);
    if (bad) restore(p, &b);
    free(b.params), free(b.settings), free(b.samples);
    payload_engine_renew(&s->engine);
    return bad ? -1 : 0;
}

double lqft_setting(const lqft_sampler *handle, const char *name) {
    const Sampler *s = sampler_of(handle);
    return s && name ? setting_value(s->payload->program, s->t, name) : NAN;
}

/* ---- fields --------------------------------------------------------------------------------------- */

static const RunField *field_named(const Sampler *s, const char *name) {
    for (int i = 0; s && name && i < s->t->ntargets; i++)
        if (!strcmp(s->t->fields[i].name, name)) return &s->t->fields[i];
    return NULL;
}

const char *lqft_field(const lqft_sampler *handle, int number) {
    const Sampler *s = sampler_of(handle);
    return s && number >= 0 && number < s->t->ntargets ? s->t->fields[number].name : NULL;
}

static int no_field(Sampler *s, const char *field) { return s ? failed(s, "there is no field `%.100s`", field ? field : "NULL") : -1; }

int lqft_shape(const lqft_sampler *handle, const char *field, int64_t dims[16]) {
    Sampler *s = sampler_of(handle);
    const RunField *f = field_named(s, field);
    if (!f) return no_field(s, field);
    for (int i = 0; dims && i < f->shape.rank; i++) dims[i] = f->shape.dim[i];
    return f->shape.rank;
}

int64_t lqft_size(const lqft_sampler *handle, const char *field) {
    Sampler *s = sampler_of(handle);
    const RunField *f = field_named(s, field);
    return f ? s->t->chains * shape_elements(&f->shape) * (f->complex ? 2 : 1) : no_field(s, field);
}

/* ---- drawing ---------------------------------------------------------------------------------------- */

static void start_block(void *ctx, int64_t index, int worker) {
    Sampler *s = ctx;
    (void)worker;
    chains_start(&s->chains, &s->chains.block[index]);
}

static void step_block(void *ctx, int64_t index, int worker) {
    Sampler *s = ctx;
    (void)worker;
    for (int64_t i = 0; i < s->ahead; i++) chains_step(&s->chains, &s->chains.block[index], s->step + 1 + (uint32_t)i);
}

static void advance(Sampler *s, int64_t steps) {
    Pool *outer = pool_use(s->pool);
    s->ahead = steps;
    pool_run(s->pool, s->chains.nblocks, step_block, s);
    pool_use(outer);
    s->step += (uint32_t)steps;
}

static int start(Sampler *s) {
    if (settings_keep(s->payload->program, s->err, sizeof s->err) || !payload_engine_ready(&s->engine, s->err, sizeof s->err)) return -1;
    run_begin(&s->run, s->payload->program, &s->settings, &s->engine, s->arena);
    if (!chains_open(&s->chains, &s->run, s->t, s->err, sizeof s->err)) return -1;
    s->pool = chains_pool(&s->chains);
    s->started = true;
    pool_run(s->pool, s->chains.nblocks, start_block, s);
    s->chains.flag = 1;
    advance(s, s->t->warmup);
    s->chains.flag = 0;
    return 0;
}

int lqft_draw(lqft_sampler *handle) {
    Sampler *s = sampler_of(handle);
    if (!s) return -1;
    if (!s->started && start(s)) return -1;
    if (s->draw == s->t->draws) return 0;
    advance(s, s->t->thin);
    s->draw++;
    return 1;
}

/* Samplers move coordinates: the logarithm of a positive field. */
int lqft_get(const lqft_sampler *handle, const char *field, double *out) {
    Sampler *s = sampler_of(handle);
    const RunField *f = field_named(s, field);
    if (!f) return no_field(s, field);
    if (!s->started) return failed(s, "nothing was drawn yet: lqft_draw comes before lqft_get%s", "");
    if (!out) return failed(s, "there is no room for the configuration: the array is NULL%s", "");
    int64_t n = shape_elements(&f->shape), parts = f->complex ? 2 : 1;
    double *part = lq_alloc((size_t)(s->t->chains * n + 1) * sizeof *part);
    for (int p = 0; p < parts; p++) {
        chains_state(&s->chains, f->part + p, part, false);
        for (int64_t c = 0; c < s->t->chains; c++)
            for (int64_t k = 0; k < n; k++) out[(c * parts + p) * n + k] = f->positive ? exp(part[c * n + k]) : part[c * n + k];
    }
    free(part);
    return 0;
}

double lqft_acceptance(const lqft_sampler *handle) {
    const Sampler *s = sampler_of(handle);
    int which = s && s->started ? chains_monitor(s->t, "accept.accepted") : -1;
    double sum = 0;
    if (which < 0) return NAN;
    for (int b = 0; b < s->chains.nblocks; b++)
        for (int l = 0; l < s->chains.lanes && s->chains.block[b].chains[l] < s->t->chains; l++)
            sum += s->chains.block[b].stats[which * s->chains.lanes + l];
    return sum / (double)s->t->chains;
}

/* ---- the action ------------------------------------------------------------------------------------------ */

/* Parts of the fields one after the other, as functions take them. */
static int call_action(Sampler *s, const RunFunction *f, const double *const *in, double *const *out, bool gradient) {
    const RunAction *a = &s->payload->program->action;
    const double *ins[2 * RUN_MAX_FIELDS];
    double *outs[2 * RUN_MAX_FIELDS];
    int n = 0;
    if (!a->name) return failed(s, "the model has no action of its fields%s", "");
    for (int i = 0; i < a->nfields; i++) {
        if (!in || !in[i] || !out || !out[gradient ? i : 0]) return failed(s, "an array of `%.100s` is NULL", a->fields[i].name);
        for (int p = 0; p < (a->fields[i].complex ? 2 : 1); p++, n++) {
            int64_t size = shape_elements(&a->fields[i].shape);
            ins[n] = in[i] + p * size;
            outs[n] = gradient ? out[i] + p * size : out[0];
        }
    }
    if (!payload_engine_ready(&s->engine, s->err, sizeof s->err)) return -1;
    s->engine.evaluate(s->engine.context, f, ins, outs, s->settings.seed, 0);
    return 0;
}

int lqft_action(lqft_sampler *handle, const double *const *in, double *value) {
    Sampler *s = sampler_of(handle);
    if (s && !value) return failed(s, "there is no room for the action: the pointer is NULL%s", "");
    return s ? call_action(s, &s->payload->program->action.value, in, &value, false) : -1;
}

int lqft_gradient(lqft_sampler *handle, const double *const *in, double *const *out) {
    Sampler *s = sampler_of(handle);
    return s ? call_action(s, &s->payload->program->action.gradient, in, out, true) : -1;
}
