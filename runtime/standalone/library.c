/* library.c — the functions of lqft_sampler.h: the first sample of the payload, step by step. */
#include "lqft_sampler.h"
#include "payload.h"
#include "settings.h"

#include "../run/chains.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>

struct lqft_sampler {
    Arena      *arena;
    Payloads   *payloads;
    Payload    *payload;
    RunEngine   engine;
    RunSettings settings;
    RunResult   run;
    RunSample  *t;
    Chains      chains;
    Pool       *pool;
    bool        started;
    uint32_t    step; int64_t draw;
    int64_t     todo;                 /* steps of this draw */
    RunPrepared *action;
    char        err[600];
};

static _Thread_local char open_error[600];

static int failed(lqft_sampler *s, const char *fmt, const char *what) {
    snprintf(s->err, sizeof s->err, fmt, what);
    return -1;
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

lqft_sampler *lqft_open(uint32_t seed) {
    Arena *arena = arena_new();
    lqft_sampler *s = arena_alloc(arena, sizeof *s);
    *open_error = 0;
    s->arena = arena;
    s->payloads = payloads_open(own_file(), arena, open_error, sizeof open_error);
    s->payload = s->payloads ? payload_read(s->payloads, 0, arena, open_error, sizeof open_error) : NULL;
    if (s->payload && payload_processor(s->payload, open_error, sizeof open_error)) s->payload = NULL;
    for (int i = 0; s->payload && i < s->payload->program->nsamples && !s->t; i++)
        if (!s->payload->program->samples[i].minimizes) s->t = &s->payload->program->samples[i];
    if (s->payload && !s->t) snprintf(open_error, sizeof open_error, "the model has no sample");
    if (!s->t) {
        if (s->payloads) payloads_close(s->payloads);
        arena_free(arena);
        return NULL;
    }
    s->engine = payload_engine(s->payload, arena);
    s->settings = (RunSettings){.seed = seed, .seed_given = true, .quiet = true};
    payload_engine_seed(&s->engine, seed);
    return s;
}

void lqft_close(lqft_sampler *s) {
    if (!s) return;
    if (s->started) {
        pool_free(s->pool);
        chains_close(&s->chains);
        run_end(&s->run);
    }
    payload_engine_free(&s->engine);
    payloads_close(s->payloads);
    arena_free(s->arena);
}

const char *lqft_error(const lqft_sampler *s) { return s ? s->err : open_error; }

/* ---- settings ---------------------------------------------------------------------------------- */

int lqft_set(lqft_sampler *s, const char *name, double value) {
    char text[40];
    if (s->started) return failed(s, "`%.100s` is set after the first draw", name);
    snprintf(text, sizeof text, "%.17g", value);
    if (setting_set(s->payload->program, name, text, s->err, sizeof s->err)) return -1;
    return settings_settle(s->payload->program, s->err, sizeof s->err) ? -1 : 0;
}

double lqft_setting(const lqft_sampler *s, const char *name) { return setting_value(s->payload->program, s->t, name); }

/* ---- fields --------------------------------------------------------------------------------------- */

static const RunField *field_named(const lqft_sampler *s, const char *name) {
    for (int i = 0; i < s->t->ntargets; i++)
        if (!strcmp(s->t->fields[i].name, name)) return &s->t->fields[i];
    return NULL;
}

const char *lqft_field(const lqft_sampler *s, int number) {
    return number >= 0 && number < s->t->ntargets ? s->t->fields[number].name : NULL;
}

int lqft_shape(const lqft_sampler *s, const char *field, int64_t dims[16]) {
    const RunField *f = field_named(s, field);
    if (!f) return -1;
    for (int i = 0; i < f->shape.rank; i++) dims[i] = f->shape.dim[i];
    return f->shape.rank;
}

int64_t lqft_size(const lqft_sampler *s, const char *field) {
    const RunField *f = field_named(s, field);
    return f ? s->t->chains * shape_elements(&f->shape) * (f->complex ? 2 : 1) : -1;
}

/* ---- drawing ---------------------------------------------------------------------------------------- */

static int start(lqft_sampler *s);

static void start_block(void *ctx, int64_t index, int worker) {
    lqft_sampler *s = ctx;
    (void)worker;
    chains_start(&s->chains, &s->chains.block[index]);
}

static void step_block(void *ctx, int64_t index, int worker) {
    lqft_sampler *s = ctx;
    (void)worker;
    for (int64_t i = 0; i < s->todo; i++) chains_step(&s->chains, &s->chains.block[index], s->step + 1 + (uint32_t)i);
}

static void advance(lqft_sampler *s, int64_t steps) {
    Pool *outer = pool_use(s->pool);
    s->todo = steps;
    pool_run(s->pool, s->chains.nblocks, step_block, s);
    pool_use(outer);
    s->step += (uint32_t)steps;
}

static int start(lqft_sampler *s) {
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

int lqft_draw(lqft_sampler *s) {
    if (!s->started && start(s)) return -1;
    if (s->draw == s->t->draws) return 0;
    advance(s, s->t->thin);
    s->draw++;
    return 1;
}

/* Samplers move coordinates: the logarithm of a positive field. */
int lqft_get(const lqft_sampler *s, const char *field, double *out) {
    const RunField *f = field_named(s, field);
    if (!f) return failed((lqft_sampler *)s, "there is no field `%.100s`", field);
    if (!s->started) return failed((lqft_sampler *)s, "nothing was drawn yet: lqft_draw comes before lqft_get%s", "");
    int64_t n = shape_elements(&f->shape), parts = f->complex ? 2 : 1;
    double *part = lq_alloc((size_t)(s->t->chains * n + 1) * sizeof *part);
    for (int p = 0; p < parts; p++) {
        chains_state((Chains *)&s->chains, f->part + p, part, false);
        for (int64_t c = 0; c < s->t->chains; c++)
            for (int64_t k = 0; k < n; k++) out[(c * parts + p) * n + k] = f->positive ? exp(part[c * n + k]) : part[c * n + k];
    }
    free(part);
    return 0;
}

double lqft_acceptance(const lqft_sampler *s) {
    int which = chains_monitor(s->t, "accept.accepted");
    double sum = 0;
    if (which < 0 || !s->started) return NAN;
    for (int b = 0; b < s->chains.nblocks; b++)
        for (int l = 0; l < s->chains.lanes && s->chains.block[b].chains[l] < s->t->chains; l++)
            sum += s->chains.block[b].stats[which * s->chains.lanes + l];
    return sum / (double)s->t->chains;
}

/* ---- the action ------------------------------------------------------------------------------------------ */

/* Parts of the fields one after the other, as functions take them. */
static int call_action(lqft_sampler *s, const RunFunction *f, const double *const *in, double *const *out, bool gradient) {
    const RunAction *a = &s->payload->program->action;
    const double *ins[2 * RUN_MAX_FIELDS];
    double *outs[2 * RUN_MAX_FIELDS];
    int n = 0;
    if (!a->name) return failed(s, "the model has no action of its fields%s", "");
    for (int i = 0; i < a->nfields; i++)
        for (int p = 0; p < (a->fields[i].complex ? 2 : 1); p++, n++) {
            int64_t size = shape_elements(&a->fields[i].shape);
            ins[n] = in[i] + p * size;
            outs[n] = gradient ? out[i] + p * size : out[0];
        }
    s->engine.evaluate(s->engine.context, f, ins, outs, s->settings.seed, 0);
    return 0;
}

int lqft_action(lqft_sampler *s, const double *const *in, double *value) {
    return call_action(s, &s->payload->program->action.value, in, &value, false);
}

int lqft_gradient(lqft_sampler *s, const double *const *in, double *const *out) {
    return call_action(s, &s->payload->program->action.gradient, in, out, true);
}
