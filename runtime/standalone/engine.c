/* engine.c — the code of a payload as the engine of a run.  The group for a sample is the one for
 * this processor and the number of replicas; results depend on neither. */
#include "payload.h"
#include "settings.h"

#include <stdlib.h>

struct RunPrepared { const PayloadGroup *group; Code *code; };

/* others: reports, starts and data, once loaded; values: of the recipes; data: computed with this seed. */
typedef struct Context { Payload *payload; RunPrepared *others; double *values; double **data; uint32_t seed; } Context;

/* Settings are known now. */
static const double *values_of(Context *c) {
    const RunProgram *p = c->payload->program;
    if (!c->values) c->values = lq_alloc(((size_t)p->nrecipes + 1) * sizeof *c->values);
    settings_compute(p, c->values);
    return c->values;
}

enum { NATIVE = 5 };                            /* above all levels of x86-64 */

static int level_of(const char *cpu) {
    return !strcmp(cpu, "x86-64-v4") ? 4 : !strcmp(cpu, "x86-64-v3") ? 3 : !strcmp(cpu, "x86-64-v2") ? 2 : NATIVE;
}

static int level_here(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return 4;
    if (__builtin_cpu_supports("x86-64-v3")) return 3;
    return __builtin_cpu_supports("x86-64-v2") ? 2 : 1;
}

int payload_processor(Payload *p, char *err, size_t errlen) {
    const char *wish = getenv("LQFT_CPU");
    int here = level_here(), level = wish && *wish ? level_of(wish) : here;
    p->level = p->native ? NATIVE : level;
    if (!wish || !*wish) return 0;
    if (level == NATIVE) return snprintf(err, errlen, "LQFT_CPU is x86-64-v2, x86-64-v3 or x86-64-v4, not `%.60s`", wish), 2;
    if (p->native) return snprintf(err, errlen, "LQFT_CPU chooses from the variants of what was built with --portable, and this was not"), 2;
    if (level > here) return snprintf(err, errlen, "LQFT_CPU is %s, which this processor is not", wish), 2;
    return 0;
}

static PayloadGroup *choose(const Payload *p, int sample, bool alone) {
    PayloadGroup *best = NULL;
    int best_value = -1;
    for (int i = 0; i < p->ngroups; i++) {
        PayloadGroup *g = &p->groups[i];
        int value = 2 * level_of(g->cpu) + (g->alone == alone);
        if (g->sample == sample && level_of(g->cpu) <= p->level && value > best_value) best = g, best_value = value;
    }
    return best;
}

/* NULL: not computed yet. */
static void fill(CodeConstant *c, const double *data) {
    for (int64_t k = 0; data && k < c->n; k++) c->data[c->row ? row_place(c->row, k) : k] = data[k];
}

/* The group keeps its contents: it may be prepared again. */
static RunPrepared *load(PayloadGroup *g, const double *values, double *const *data, char *err, size_t errlen) {
    CodeGroup copy = g->code;
    copy.constants = lq_alloc(((size_t)copy.nconstants + 1) * sizeof *copy.constants);
    copy.calls = lq_alloc(((size_t)copy.ncalls + 1) * sizeof *copy.calls);
    for (int i = 0; i < copy.nconstants; i++) {
        copy.constants[i] = g->code.constants[i];
        copy.constants[i].data = lq_alloc_vectors((size_t)copy.constants[i].n * sizeof(double));
        if (!copy.constants[i].data) lq_out_of_memory((size_t)copy.constants[i].n * sizeof(double));
        if (copy.constants[i].from) fill(&copy.constants[i], data[copy.constants[i].from - 1]);
        else memcpy(copy.constants[i].data, g->code.constants[i].data, (size_t)copy.constants[i].n * sizeof(double));
    }
    for (int i = 0; i < copy.ncalls; i++) {
        copy.calls[i] = g->code.calls[i];
        copy.calls[i].call = lq_alloc((size_t)(copy.calls[i].n + 1) * sizeof *copy.calls[i].call);
        memcpy(copy.calls[i].call, g->code.calls[i].call, (size_t)copy.calls[i].n * sizeof *copy.calls[i].call);
    }
    copy.settings = lq_alloc(((size_t)copy.nsettings + 1) * sizeof *copy.settings);
    for (int i = 0; i < copy.nsettings; i++) {
        const CodeSettings *s = &g->code.settings[i];
        copy.settings[i] = (CodeSettings){s->program, s->n, lq_alloc_vectors((size_t)(s->n + 1) * sizeof(double)), NULL};
        for (int k = 0; k < s->n; k++) copy.settings[i].value[k] = values[s->from[k]];
    }
    Code *code = code_load(&copy, err, errlen);
    if (!code) return NULL;
    RunPrepared *r = lq_alloc(sizeof *r);
    *r = (RunPrepared){g, code};
    return r;
}

static void call(const RunPrepared *p, int function, const CallArgs *args) { code_call(p->code, function, args); }
static int64_t scratch(const RunPrepared *p) { return p->group->scratch; }
static bool shared(const RunPrepared *p) { return p->group->shared; }

static void release(RunPrepared *p) {
    if (!p) return;
    code_free(p->code);
    free(p);
}

static void call_once(const RunPrepared *p, const RunFunction *f, const double *const *in, double *const *out, uint32_t seed, uint32_t chain) {
    size_t bytes = (size_t)(p->group->scratch + 8) * sizeof(double);
    double *room = lq_alloc_room(bytes);
    if (!room) lq_out_of_memory(bytes);
    CallArgs a = {.in = in, .out = out, .scratch = room, .seed = seed, .chains = &chain};
    code_call(p->code, f->number, &a);
    free(room);
}

enum { DATA_CHAIN = UINT32_MAX };               /* whose random numbers data are drawn from, as in the compiler */

static const char no_code[] = "there is no code for this processor";

/* Reports, starts and data; the data are computed, in their order, since later ones use earlier ones.
 * NULL and a message when they cannot be loaded. */
static RunPrepared *others(Context *c, char *err, size_t errlen) {
    const RunProgram *p = c->payload->program;
    if (c->others) return c->others;
    PayloadGroup *g = choose(c->payload, -1, true);
    if (!g) return snprintf(err, errlen, "%s", no_code), NULL;
    if (!c->data) c->data = lq_alloc(((size_t)p->ndata + 1) * sizeof *c->data);
    for (int i = 0; i < p->ndata; i++) c->data[i] = NULL;
    c->others = load(g, values_of(c), c->data, err, errlen);
    if (!c->others) return NULL;
    for (int i = 0; i < p->ndata; i++) {
        c->data[i] = lq_alloc(((size_t)p->data[i].n + 1) * sizeof **c->data);
        call_once(c->others, &p->data[i].make, NULL, &c->data[i], c->seed, DATA_CHAIN);
        code_fill(c->others->code, i + 1, fill, c->data[i]);
    }
    return c->others;
}

static RunPrepared *prepare(void *context, const RunFunction *const *f, int n, int64_t replicas, RunLayout *layout, char *err, size_t errlen) {
    Context *c = context;
    PayloadGroup *g = choose(c->payload, f[0]->number / RUN_FUNCTIONS, replicas == 1);
    if (!g || n != RUN_FUNCTIONS) return snprintf(err, errlen, "%s", no_code), NULL;
    *layout = g->layout;
    if (c->payload->program->ndata && !others(c, err, errlen)) return NULL;
    return load(g, values_of(c), c->data, err, errlen);
}

static void evaluate(void *context, const RunFunction *f, const double *const *in, double *const *out, uint32_t seed, uint32_t chain) {
    char err[600] = "";
    const RunPrepared *p = others(context, err, sizeof err);
    if (!p) {
        fprintf(stderr, "lqft: %s\n", err);
        exit(70);
    }
    call_once(p, f, in, out, seed, chain);
}

bool payload_engine_ready(RunEngine *e, char *err, size_t errlen) {
    Context *c = e->context;
    for (int i = 0; i < c->payload->ngroups; i++)
        if (c->payload->groups[i].sample < 0) return others(c, err, errlen) != NULL;
    return true;
}

void payload_engine_renew(RunEngine *e) {
    Context *c = e->context;
    release(c->others);
    c->others = NULL;
    for (int i = 0; c->data && i < c->payload->program->ndata; i++) free(c->data[i]), c->data[i] = NULL;
}

void payload_engine_seed(RunEngine *e, uint32_t seed) { ((Context *)e->context)->seed = seed; }

void payload_free(Payload *p) {
    for (int i = 0; i < p->ngroups; i++) code_group_free(&p->groups[i].code);
}

RunEngine payload_engine(Payload *p, Arena *arena) {
    Context *c = arena_alloc(arena, sizeof *c);
    c->payload = p;
    return (RunEngine){c, prepare, call, scratch, shared, release, evaluate};
}

void payload_engine_free(RunEngine *e) {
    Context *c = e->context;
    payload_engine_renew(e);
    free(c->values);
    free(c->data);
    payload_free(c->payload);
}
