/* minimize.c — the iterations of one `minimize`: a compiled step, called until it has been made
 * `steps` times or says that it is the last. */
#include "results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Minimizing {
    RunResult  *r;
    const RunSample *t;
    SampleData *data;
    RunPrepared *x;
    bool        split;               /* rows lie in eight parts (row_place) */
    double    **state, **next, **out, **results, *stats, *scratch;
    const double **in;
    double      clock;
    uint32_t    chain;
    int         stop_stat[2], nstops;
} Minimizing;

static double *room(int64_t n) { return lq_alloc_vectors((size_t)(n > 0 ? n : 1) * sizeof(double)); }

static void prepare(Minimizing *s) {
    const RunSample *t = s->t;
    int parts = t->nstate, nstats = t->nstats, uses = t->uses[RUN_INIT].n + t->uses[RUN_STEP].n + t->uses[RUN_MEASURE].n;
    s->state = lq_alloc((size_t)(parts + 1) * sizeof *s->state);
    s->next = lq_alloc((size_t)(parts + 1) * sizeof *s->next);
    s->out = lq_alloc((size_t)(parts + nstats + 1) * sizeof *s->out);
    s->in = lq_alloc((size_t)(parts + uses + 2) * sizeof *s->in);
    s->results = lq_alloc((size_t)(t->function[RUN_MEASURE].nout + 1) * sizeof *s->results);
    for (int i = 0; i < parts; i++) {
        int64_t n = shape_elements(&t->state[i].shape);
        s->state[i] = room(n), s->next[i] = room(n);
    }
    for (int i = 0; i < t->nprimaries; i++) s->results[i] = room(shape_elements(&t->primaries[i].shape));
    s->stats = room(nstats);
    s->scratch = room(s->r->engine->scratch(s->x) + 8);
    for (int i = 0; i < nstats; i++)
        if (!strcmp(t->monitors[i].name, "stop.now") && s->nstops < 2) s->stop_stat[s->nstops++] = i;
}

static void release(Minimizing *s) {
    for (int i = 0; i < s->t->nstate; i++) free(s->state[i]), free(s->next[i]);
    for (int i = 0; i < s->t->nprimaries; i++) free(s->results[i]);
    free(s->state), free(s->next), free(s->out), free(s->in), free(s->results), free(s->stats), free(s->scratch);
}

static CallArgs call_args(Minimizing *s, uint32_t step) {
    return (CallArgs){.in = s->in, .scratch = s->scratch, .seed = s->r->settings->seed, .step = step, .chains = &s->chain};
}

static void start(Minimizing *s) {
    variable_inputs(s->r, &s->t->uses[RUN_INIT], s->split, s->in);
    CallArgs a = call_args(s, 0);
    a.out = s->state;
    s->r->engine->call(s->x, RUN_INIT, &a);
}

static void iterate(Minimizing *s, int64_t k) {
    int parts = s->t->nstate;
    for (int i = 0; i < parts; i++) s->in[i] = s->state[i], s->out[i] = s->next[i];
    s->in[parts] = &s->clock;
    for (int i = 0; i < s->t->nstats; i++) s->out[parts + i] = &s->stats[i];
    s->clock = (double)k;
    CallArgs a = call_args(s, (uint32_t)k + 1);
    a.out = s->out;
    s->r->engine->call(s->x, RUN_STEP, &a);
    double **t = s->state;
    s->state = s->next, s->next = t;
}

/* The variables become what the state says. */
static void keep_results(Minimizing *s) {
    const RunSample *t = s->t;
    int parts = t->nstate;
    for (int i = 0; i < parts; i++) s->in[i] = s->state[i];
    variable_inputs(s->r, &t->uses[RUN_MEASURE], s->split, s->in + parts);
    CallArgs a = call_args(s, 0);
    a.out = s->results;
    s->r->engine->call(s->x, RUN_MEASURE, &a);
    for (int i = 0; i < t->ntargets; i++) {
        const RunPrimary *p = &t->primaries[i];
        int64_t row = shape_row(&p->shape), n = s->r->program->variables[t->found[i]].n;
        double *data = variable_room(s->r, t->found[i]);
        for (int64_t k = 0; k < n; k++) {
            int64_t at = s->split ? row_place(row, k) : k;
            data[k] = p->single[0] ? ((const float *)s->results[i])[at] : s->results[i][at];
        }
    }
}

/* The first element of the variables that is no finite number, for the message; the objective of the
 * iteration may be the first to notice. */
static void name_first(const Minimizing *s, Text *out) {
    for (int i = 0; i < s->t->ntargets; i++) {
        const RunVariable *v = &s->r->program->variables[s->t->found[i]];
        const double *data = s->r->variables[s->t->found[i]].data;
        for (int64_t k = 0; data && k < v->n; k++) {
            if (isfinite(data[k])) continue;
            text_printf(out, "`%s", v->name);
            int64_t rest = k;
            const int64_t *ext = v->shape.dim;
            int n = v->shape.rank;
            for (int a = 0; a < n; a++) {
                int64_t below = 1;
                for (int b = a + 1; b < n; b++) below *= ext[b];
                text_printf(out, "%s%lld", a ? ", " : "[", (long long)(rest / below));
                rest %= below;
            }
            text_printf(out, "%s` is %g", n ? "]" : "", data[k]);
            return;
        }
    }
}

/* Not a number, or infinite: where it stands, when, and what was the first to be so. */
static int report_bad(Minimizing *s, int64_t k) {
    Text first = {0};
    double **t = s->state;                        /* as it was before the iteration */
    s->state = s->next, s->next = t;
    keep_results(s);
    name_first(s, &first);
    run_complain(&s->t->at, "`%s` is %g at iteration %lld of `%s`%s%s", s->t->at.text, s->stats[0], (long long)k, s->t->method,
                 first.n ? "; " : ", with all variables finite", first.n ? first.s : "");
    fprintf(stderr, "the run stops; a smaller rate, or gradients that are clipped, may help\n");
    text_free(&first);
    return 70;
}

static bool wants_stop(const Minimizing *s) {
    for (int i = 0; i < s->nstops; i++)
        if (s->stats[s->stop_stat[i]] != 0) return true;
    return false;
}

/* ---- the state, in order ------------------------------------------------------------------- */

/* Element k of part i of the state, where it lies. */
static int64_t place_of(const Minimizing *s, int i, int64_t k) { return s->split ? row_place(shape_row(&s->t->state[i].shape), k) : k; }

static KeepState *keep_arrays(Minimizing *s) {
    Arena *a = s->r->arena;
    KeepState *k = arena_alloc(a, sizeof *k);
    if (!keep_wanted(s->r)) return k;
    int n = s->t->nstate;
    k->narrays = n;
    k->names = arena_alloc(a, (size_t)(n + 1) * sizeof *k->names);
    k->n = arena_alloc(a, (size_t)(n + 1) * sizeof *k->n);
    k->data = arena_alloc(a, (size_t)(n + 1) * sizeof *k->data);
    for (int i = 0; i < n; i++) {
        k->names[i] = arena_printf(a, "state.%d", i);
        k->n[i] = shape_elements(&s->t->state[i].shape);
        k->data[i] = arena_alloc(a, (size_t)(k->n[i] + 1) * sizeof **k->data);
    }
    return k;
}

static void state_to_arrays(const Minimizing *s, KeepState *k) {
    for (int i = 0; i < k->narrays; i++)
        for (int64_t e = 0; e < k->n[i]; e++) {
            int64_t at = place_of(s, i, e);
            k->data[i][e] = s->t->state[i].single ? ((const float *)s->state[i])[at] : s->state[i][at];
        }
}

static void arrays_to_state(const Minimizing *s, const KeepState *k) {
    for (int i = 0; i < k->narrays; i++)
        for (int64_t e = 0; e < k->n[i]; e++) {
            int64_t at = place_of(s, i, e);
            if (s->t->state[i].single) ((float *)s->state[i])[at] = (float)k->data[i][e];
            else s->state[i][at] = k->data[i][e];
        }
}

/* ---- the iterations --------------------------------------------------------------------------- */

static int checkpoint(Minimizing *s, KeepState *k, int64_t done, double seconds) {
    if (!keep_wanted(s->r)) return 0;
    state_to_arrays(s, k);
    k->draw = k->step = done, k->seconds = seconds;
    return keep_state(s->r, s->data, k);
}

static int run_iterations(Minimizing *s) {
    SampleData *d = s->data;
    KeepState *kept = keep_arrays(s);
    bool found = false, stops = false;
    int status = keep_restore(s->r, d, kept, &found);
    if (status) return status;
    if (found) arrays_to_state(s, kept);
    else start(s);
    RunProgress *p = run_progress(s->r->settings);
    int64_t k = kept->draw, first = k;
    double before = kept->seconds, begin = run_clock() - before;
    variable_inputs(s->r, &s->t->uses[RUN_STEP], s->split, s->in + s->t->nstate + 1);
    while (k < s->t->draws && !stops && !run_interrupted() && !status) {
        iterate(s, k);
        if (!isfinite(s->stats[0])) return run_progress_end(p), report_bad(s, k);
        for (int i = 0; i < d->nstats; i++) d->stats[i].data[k] = s->stats[i];
        stops = wants_stop(s);
        k++;
        if (!stops && keep_due(s->r)) status = checkpoint(s, kept, k, run_clock() - begin);
        if (run_progress_due(p)) {
            double rate = (double)(k - first) / (run_clock() - begin - before + 1e-9);
            run_progress_text(p, "%.60s: iteration %lld/%lld, objective %.6g, %.3g/s, %.0f s left", s->t->method, (long long)k,
                              (long long)s->t->draws, s->stats[0], rate, (double)(s->t->draws - k) / rate);
        }
    }
    run_progress_end(p);
    d->seconds = run_clock() - begin;
    d->draws = k;
    for (int i = 0; i < d->nstats; i++) d->stats[i].draws = k;
    bool complete = stops || k == s->t->draws;
    if (!complete && !status) status = checkpoint(s, kept, k, d->seconds);
    keep_results(s);
    if (complete && !status) return keep_sample(s->r, d, kept);
    fprintf(stderr, "lqft: interrupted after %lld of %lld iterations\n", (long long)k, (long long)s->t->draws);
    d->interrupted = true;
    return status ? status : 75;
}

/* For `lqft report`: the variables and the curve as the newest state has them. */
static int show_iterations(Minimizing *s, const KeepState *kept) {
    SampleData *d = s->data;
    arrays_to_state(s, kept);
    keep_results(s);
    d->seconds = kept->seconds;
    d->draws = kept->draw;
    for (int i = 0; i < d->nstats; i++) d->stats[i].draws = kept->draw;
    d->interrupted = true;
    return 75;
}

static SampleData *new_data(RunResult *r, const RunSample *t) {
    SampleData *d = arena_alloc(r->arena, sizeof *d);
    d->task = t, d->chains = 1, d->draws = t->draws, d->nstats = t->nstats;
    d->primaries = arena_alloc(r->arena, sizeof *d->primaries);
    d->stats = arena_alloc(r->arena, (size_t)(d->nstats + 1) * sizeof *d->stats);
    d->warmup_mean = arena_alloc(r->arena, (size_t)(d->nstats + 1) * sizeof *d->warmup_mean);
    for (int i = 0; i < d->nstats; i++)
        d->stats[i] = (Series){.n = 1, .row = 1, .data = arena_alloc(r->arena, (size_t)t->draws * sizeof(double)), .draws = t->draws, .stride = 1};
    return d;
}

int minimize_run(RunResult *r, const RunSample *t, SampleData **out) {
    Minimizing s = {.r = r, .t = t};
    const RunFunction *functions[RUN_FUNCTIONS] = {&t->function[RUN_INIT], &t->function[RUN_STEP], &t->function[RUN_MEASURE]};
    char err[512] = "";
    RunLayout layout;
    double begin = run_clock();
    bool finished = false, found = false;
    KeepState *kept = NULL;
    s.data = new_data(r, t);
    int status = keep_finished(r, s.data, &finished);
    if (status || finished) {
        if (finished) *out = s.data;
        return status;
    }
    if (r->settings->report) {
        kept = keep_arrays(&s);
        status = keep_restore(r, s.data, kept, &found);
        if (status || !found) return status ? status : 75;
    }
    s.x = r->engine->prepare(r->engine->context, functions, RUN_FUNCTIONS, 1, &layout, err, sizeof err);
    if (!s.x) {
        fprintf(stderr, "lqft: %s\n", err);
        return 70;
    }
    s.split = layout.split;
    s.data->compile_seconds = run_clock() - begin;
    prepare(&s);
    RunSignals *signals = run_signals_begin();
    status = kept ? show_iterations(&s, kept) : run_iterations(&s);
    run_signals_end(signals);
    release(&s);
    r->engine->release(s.x);
    if (status == 0 || status >= 73) *out = s.data;
    return status;
}
