/* chains.c — the chains of one sample in memory.  They run in blocks of W lanes, and blocks are spread
 * over threads; when there is but one, the threads share its kernels.  A chain's numbers depend on
 * (seed, chain, step) alone: not on W, not on the number of threads, not on the other chains. */
#include "chains.h"

#include <stdlib.h>
#include <unistd.h>

int chains_monitor(const RunSample *t, const char *name) {
    for (int i = 0; i < t->nmonitors; i++)
        if (!strcmp(t->monitors[i].name, name)) return i;
    return -1;
}

/* ---- memory -------------------------------------------------------------------------------------- */

double *chains_room(int64_t n, int lanes) {
    double *p = lq_alloc_vectors((size_t)(n ? n : 1) * (size_t)lanes * sizeof *p);
    if (!p) lq_out_of_memory((size_t)n * (size_t)lanes * sizeof *p);
    return p;
}

/* Room for the elements of an array of the state, or of what is measured. */
static double *room_for(const Chains *s, const Shape *shape, bool single) {
    int64_t n = shape_elements(shape);
    return chains_room(single ? (n + 1) / 2 : n, s->lanes);
}

static void block_init(Chains *s, ChainBlock *b, int number) {
    const RunSample *t = s->t;
    int parts = t->nstate, nstats = t->nstats, uses = 0;
    for (int i = 0; i < RUN_FUNCTIONS; i++) uses += t->uses[i].n;
    b->state = lq_alloc((size_t)(parts + 1) * sizeof *b->state);
    b->next = lq_alloc((size_t)(parts + 1) * sizeof *b->next);
    b->in = lq_alloc((size_t)(parts + 2 + uses) * sizeof *b->in);
    b->step_out = lq_alloc((size_t)(parts + nstats + 1) * sizeof *b->step_out);
    b->measured = lq_alloc((size_t)(t->function[RUN_MEASURE].nout + 1) * sizeof *b->measured);
    for (int i = 0; i < parts; i++) {
        b->state[i] = room_for(s, &t->state[i].shape, t->state[i].single);
        b->next[i] = room_for(s, &t->state[i].shape, t->state[i].single);
    }
    b->stats = chains_room(nstats, s->lanes);
    for (int i = 0, output = 0; i < t->nprimaries; i++)
        for (int o = 0; o < 1 + t->primaries[i].complex; o++) b->measured[output++] = room_for(s, &t->primaries[i].shape, t->primaries[i].single[o]);
    size_t scratch = (size_t)(s->r->engine->scratch(s->code) + 8 * s->lanes) * sizeof *b->scratch;
    b->scratch = lq_alloc_room(scratch);       /* more than is used, when there are few threads */
    if (!b->scratch) lq_out_of_memory(scratch);
    for (int l = 0; l < RUN_MAX_LANES; l++) b->chains[l] = (uint32_t)(number * s->lanes + (s->sites ? 0 : l));
}

static void block_free(Chains *s, ChainBlock *b) {
    for (int i = 0; i < s->t->nstate; i++) free(b->state[i]), free(b->next[i]);
    for (int i = 0; i < s->t->function[RUN_MEASURE].nout; i++) free(b->measured[i]);
    free(b->state), free(b->next), free(b->in), free(b->step_out), free(b->measured), free(b->stats), free(b->scratch);
}

/* ---- one block ---------------------------------------------------------------------------------------- */

/* The state, for a step the flag of the warm-up, then the variables in use. */
static CallArgs call_args(const Chains *s, ChainBlock *b, int function, uint32_t step) {
    int n = 0;
    for (int i = 0; function != RUN_INIT && i < s->t->nstate; i++) b->in[n++] = b->state[i];
    if (function == RUN_STEP) b->in[n++] = &s->flag;
    memcpy(b->in + n, s->variables[function], (size_t)s->t->uses[function].n * sizeof *b->in);
    return (CallArgs){.in = b->in, .scratch = b->scratch, .seed = s->r->settings->seed, .step = step, .chains = b->chains};
}

void chains_start(Chains *s, ChainBlock *b) {
    CallArgs a = call_args(s, b, RUN_INIT, 0);
    a.out = b->state;
    s->r->engine->call(s->code, RUN_INIT, &a);
}

void chains_step(Chains *s, ChainBlock *b, uint32_t step) {
    int parts = s->t->nstate;
    CallArgs a = call_args(s, b, RUN_STEP, step);
    for (int i = 0; i < parts; i++) b->step_out[i] = b->next[i];
    for (int i = 0; i < s->t->nstats; i++) b->step_out[parts + i] = b->stats + i * s->lanes;
    a.out = b->step_out;
    s->r->engine->call(s->code, RUN_STEP, &a);
    double **t = b->state;
    b->state = b->next;
    b->next = t;
}

void chains_measure(Chains *s, ChainBlock *b, uint32_t step) {
    CallArgs a = call_args(s, b, RUN_MEASURE, step);
    a.out = b->measured;
    s->r->engine->call(s->code, RUN_MEASURE, &a);
}

void chains_state(Chains *s, int i, double *data, bool restore) {
    const RunArray *part = &s->t->state[i];
    int64_t n = shape_elements(&part->shape), row = shape_row(&part->shape);
    for (int b = 0; b < s->nblocks; b++)
        for (int l = 0; l < s->lanes && s->block[b].chains[l] < s->n; l++) {
            double *mine = s->block[b].state[i], *kept = data + s->block[b].chains[l] * n;
            for (int64_t e = 0; e < n; e++) {
                int64_t at = s->split ? row_place(row, e) : e * s->lanes + l;
                if (restore && part->single) ((float *)mine)[at] = (float)kept[e];
                else if (restore) mine[at] = kept[e];
                else kept[e] = part->single ? ((const float *)mine)[at] : mine[at];
            }
        }
}

/* ---- all of them --------------------------------------------------------------------------------------- */

bool chains_open(Chains *s, RunResult *r, const RunSample *t, char *err, size_t errlen) {
    const RunFunction *functions[RUN_FUNCTIONS] = {&t->function[RUN_INIT], &t->function[RUN_STEP], &t->function[RUN_MEASURE]};
    RunLayout layout;
    *s = (Chains){.r = r, .t = t, .n = t->chains};
    s->code = r->engine->prepare(r->engine->context, functions, RUN_FUNCTIONS, t->chains, &layout, err, errlen);
    if (!s->code) return false;
    s->sites = layout.sites, s->split = layout.split;
    s->lanes = layout.sites ? 1 : layout.lanes;
    s->nblocks = (int)((t->chains + s->lanes - 1) / s->lanes);
    for (int i = 0; i < RUN_FUNCTIONS; i++) {
        s->variables[i] = arena_alloc(r->arena, (size_t)(t->uses[i].n + 1) * sizeof *s->variables[i]);
        variable_inputs(r, &t->uses[i], s->split, s->variables[i]);
    }
    s->block = lq_alloc((size_t)s->nblocks * sizeof *s->block);
    for (int i = 0; i < s->nblocks; i++) block_init(s, &s->block[i], i);
    return true;
}

void chains_close(Chains *s) {
    for (int i = 0; i < s->nblocks; i++) block_free(s, &s->block[i]);
    free(s->block);
    s->r->engine->release(s->code);
}

Pool *chains_pool(const Chains *s) {
    int threads = s->r->settings->threads;
    if (threads == 0) threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    /* a single block is called outside of pool tasks, so that its code has all threads */
    bool alone = s->nblocks == 1 && s->r->engine->shared(s->code);
    return pool_new(threads > s->nblocks && !alone ? s->nblocks : threads);
}
