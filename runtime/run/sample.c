/* sample.c — the run of one sample task: warm-up and draws, series, checkpoints.  A block of chains
 * runs many steps between two visits, so that its fields stay in cache. */
#include "chains.h"
#include "results.h"

#include "../io/arrays.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_SERIES_BYTES (6.0e9)
#define PLOT_ONLY_ELEMENTS 2000000

typedef struct Sampling {
    RunResult  *r;
    const RunSample *t;
    SampleData *data;
    Chains      c;
    uint32_t    step, phase_start;    /* steps done so far; where warm-up or measurement began */
    int64_t     chunk;                /* steps (warm-up) or draws in this visit */
    bool        warming;
    int64_t     draw;                 /* draws done */
    double     *accept_sum;           /* [chain] for progress */
    int         accept_stat, ratio_stat;
    int64_t    *bad_step;             /* [chain] first step with a non-finite number, or -1 */
    int        *bad_what;             /* primary number, or -1: the acceptance ratio */
    KeepState  *kept;                 /* what a checkpoint holds */
    double      cpu_before;           /* processor seconds of the draws before this process, less those of this one before them */
} Sampling;

static double seconds_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double now(void) { return seconds_of(CLOCK_MONOTONIC); }

/* ---- one block ---------------------------------------------------------------------------------------- */

static void block_start(void *ctx, int64_t index, int worker) {
    Sampling *s = ctx;
    (void)worker;
    chains_start(&s->c, &s->c.block[index]);
}

static void note_bad(Sampling *s, int64_t chain, uint32_t step, int what) {
    if (s->bad_step[chain] < 0) s->bad_step[chain] = step, s->bad_what[chain] = what;
}

/* Copies what a block measured into the series of its chains. */
static void record(Sampling *s, ChainBlock *b, int64_t draw, uint32_t step) {
    SampleData *d = s->data;
    for (int l = 0; l < s->c.lanes; l++) {
        int64_t chain = b->chains[l];
        if (chain >= d->chains) break;
        for (int i = 0; i < d->nstats; i++) d->stats[i].data[chain * d->draws + draw] = b->stats[i * s->c.lanes + l];
        int output = 0;
        for (int i = 0; i < d->nprimaries; i++) {
            Series *p = &d->primaries[i];
            const RunPrimary *prim = &s->t->primaries[i];
            int outputs = prim->complex ? 2 : 1;
            int64_t n = p->n / outputs;
            bool keep = draw % p->stride == 0 && draw / p->stride < p->draws;
            for (int o = 0; o < outputs; o++, output++) {
                const double *m = b->measured[output];
                double *to = keep ? p->data + (chain * p->draws + draw / p->stride) * p->n + o * n : NULL;
                bool finite = true, single = prim->single[o];
                for (int64_t k = 0; k < n; k++) {
                    int64_t at = s->c.split ? row_place(p->row, k) : k * s->c.lanes + l;
                    double v = single ? ((const float *)m)[at] : m[at];
                    finite &= isfinite(v) != 0;
                    if (to) to[k] = v;
                }
                if (!finite) note_bad(s, chain, step, i);
            }
        }
    }
}

static void watch_acceptance(Sampling *s, ChainBlock *b, uint32_t step) {
    if (s->accept_stat < 0) return;
    for (int l = 0; l < s->c.lanes && b->chains[l] < s->data->chains; l++) {
        s->accept_sum[b->chains[l]] += b->stats[s->accept_stat * s->c.lanes + l];
        if (!s->warming && isnan(b->stats[s->ratio_stat * s->c.lanes + l])) note_bad(s, b->chains[l], step, -1);
    }
}

static void block_visit(void *ctx, int64_t index, int worker) {
    Sampling *s = ctx;
    ChainBlock *b = &s->c.block[index];
    SampleData *d = s->data;
    (void)worker;
    int64_t per_draw = s->warming ? 1 : s->t->thin;
    for (int64_t k = 0; k < s->chunk; k++) {
        uint32_t step = s->step + (uint32_t)(k * per_draw);
        for (int64_t i = 0; i < per_draw; i++) {
            chains_step(&s->c, b, ++step);
            watch_acceptance(s, b, step);
        }
        if (s->warming) {
            for (int l = 0; l < s->c.lanes && b->chains[l] < d->chains; l++)
                for (int i = 0; i < d->nstats; i++)        /* by chain first: the sum must not depend on threads */
                    d->stats[i].data[b->chains[l] * d->draws] += b->stats[i * s->c.lanes + l];
            continue;
        }
        chains_measure(&s->c, b, step);
        record(s, b, s->draw + k, step);
    }
}

/* ---- progress --------------------------------------------------------------------------------------------- */

static void progress_line(const Sampling *s, RunProgress *p, double start, int64_t done, int64_t total) {
    if (!run_progress_due(p)) return;
    double t = now() - start, acceptance = 0, rate = (double)s->step / (t + 1e-9) * (double)s->data->chains;
    for (int64_t c = 0; c < s->data->chains; c++) acceptance += s->accept_sum[c];
    acceptance /= (double)(s->step - s->phase_start) * (double)s->data->chains + 1e-300;
    double left = done ? t * (double)(total - done) / (double)done : 0;
    char accepted[40] = "";
    if (s->accept_stat >= 0) snprintf(accepted, sizeof accepted, ", acceptance %.2f", acceptance);
    run_progress_text(p, "%.60s: %s %lld/%lld, %.3g steps/s%s, %.0f s left", s->t->method, s->warming ? "warm-up" : "draw",
                      (long long)(s->warming ? s->step : s->draw), (long long)(s->warming ? s->t->warmup : s->t->draws), rate, accepted, left);
}

/* ---- the series ------------------------------------------------------------------------------------------------ */

/* Room for all series; plots alone need only some of the configurations. */
static SampleData *make_series(RunResult *r, const RunSample *t) {
    SampleData *d = arena_alloc(r->arena, sizeof *d);
    d->task = t, d->chains = t->chains, d->draws = t->draws;
    d->nprimaries = t->nprimaries, d->nstats = t->nstats;
    d->primaries = arena_alloc(r->arena, (size_t)(d->nprimaries + 1) * sizeof *d->primaries);
    d->stats = arena_alloc(r->arena, (size_t)(d->nstats + 1) * sizeof *d->stats);
    d->warmup_mean = arena_alloc(r->arena, (size_t)(d->nstats + 1) * sizeof *d->warmup_mean);
    double bytes = 8.0 * (double)d->nstats * (double)d->chains * (double)d->draws;
    for (int i = 0; i < d->nprimaries; i++) {
        const RunPrimary *p = &t->primaries[i];
        Series *s = &d->primaries[i];
        s->n = shape_elements(&p->shape) * (p->complex ? 2 : 1);
        s->row = shape_row(&p->shape);
        s->stride = 1, s->draws = d->draws;
        if (!p->wanted) {
            double all = (double)s->n * (double)d->chains * (double)d->draws;
            s->stride = (int64_t)ceil(all / PLOT_ONLY_ELEMENTS);
            if (s->stride < 1) s->stride = 1;
            if (s->stride > d->draws) s->stride = d->draws;
            s->draws = (d->draws + s->stride - 1) / s->stride;
        }
        bytes += 8.0 * (double)s->n * (double)d->chains * (double)s->draws;
    }
    if (bytes > MAX_SERIES_BYTES) {
        fprintf(stderr, "lqft: the measurements of this run would take %.1f GB of memory; measure less (fewer draws, chains or elements)\n", bytes / 1e9);
        return NULL;
    }
    for (int i = 0; i < d->nprimaries; i++)
        d->primaries[i].data = chains_room(d->primaries[i].n * d->chains * d->primaries[i].draws, 1);
    for (int i = 0; i < d->nstats; i++)
        d->stats[i] = (Series){.n = 1, .row = 1, .data = chains_room(d->chains * d->draws, 1), .draws = d->draws, .stride = 1};
    return d;
}

static int report_bad(const Sampling *s) {
    for (int64_t c = 0; c < s->data->chains; c++) {
        if (s->bad_step[c] < 0) continue;
        const RunPlace *at = s->bad_what[c] < 0 ? &s->t->at : &s->t->primaries[s->bad_what[c]].at;
        run_complain(at, "%s`%s` is not a finite number in chain %lld at step %lld", s->bad_what[c] < 0 ? "the acceptance ratio of " : "",
                     at->text, (long long)c, (long long)s->bad_step[c]);
        fprintf(stderr, "the run stops; a smaller step size (more `steps`), a longer warm-up, or a bounded action may help\n");
        return 70;
    }
    return 0;
}

/* After an interruption: the draws that all chains have. */
static void truncate_series(SampleData *d, int64_t draws) {
    for (int i = 0; i < d->nprimaries + d->nstats; i++) {
        Series *p = i < d->nprimaries ? &d->primaries[i] : &d->stats[i - d->nprimaries];
        int64_t kept = (draws + p->stride - 1) / p->stride;
        for (int64_t c = 0; c < d->chains; c++) memmove(p->data + c * kept * p->n, p->data + c * p->draws * p->n, (size_t)(kept * p->n) * sizeof(double));
        p->draws = kept;
    }
    d->draws = draws;
    d->interrupted = true;
}

/* ---- the state, by chains ------------------------------------------------------------------------------------ */

/* What a checkpoint holds besides the fields. */
enum { KEEP_ACCEPTED, KEEP_WARMUP, KEEP_MEANS, KEEP_OTHERS };

/* Part by part [chain][element], whatever the lanes; then sums over the steps so far. */
static KeepState *keep_arrays(Sampling *s) {
    static const char *const others[] = {[KEEP_ACCEPTED] = "accepted", [KEEP_WARMUP] = "warmup.sums", [KEEP_MEANS] = "warmup.means"};
    Arena *a = s->r->arena;
    KeepState *k = arena_alloc(a, sizeof *k);
    if (!keep_wanted(s->r)) return k;
    int parts = s->t->nstate, n = parts + KEEP_OTHERS;
    int64_t chains = s->data->chains, sizes[] = {[KEEP_ACCEPTED] = chains, [KEEP_WARMUP] = chains * s->data->nstats, [KEEP_MEANS] = s->data->nstats};
    k->narrays = n;
    k->names = arena_alloc(a, (size_t)n * sizeof *k->names);
    k->n = arena_alloc(a, (size_t)n * sizeof *k->n);
    k->data = arena_alloc(a, (size_t)n * sizeof *k->data);
    for (int i = 0; i < n; i++) {
        k->names[i] = i < parts ? arena_printf(a, "state.%d", i) : others[i - parts];
        k->n[i] = i < parts ? chains * shape_elements(&s->t->state[i].shape) : sizes[i - parts];
        k->data[i] = arena_alloc(a, (size_t)(k->n[i] + 1) * sizeof **k->data);
    }
    return k;
}

/* Between the state of a block and the arrays. */
static void exchange(Sampling *s, KeepState *k, bool restore) {
    for (int i = 0; i < s->t->nstate; i++) chains_state(&s->c, i, k->data[i], restore);
    SampleData *d = s->data;
    double **others = k->data + s->t->nstate;
    for (int64_t c = 0; c < d->chains; c++) {
        if (restore) s->accept_sum[c] = others[KEEP_ACCEPTED][c];
        else others[KEEP_ACCEPTED][c] = s->accept_sum[c];
        for (int i = 0; i < d->nstats && s->warming; i++) {
            double *sum = &d->stats[i].data[c * d->draws];
            if (restore) *sum = others[KEEP_WARMUP][i * d->chains + c];
            else others[KEEP_WARMUP][i * d->chains + c] = *sum;
        }
    }
    for (int i = 0; i < d->nstats && !s->warming; i++) {
        if (restore) d->warmup_mean[i] = others[KEEP_MEANS][i];
        else others[KEEP_MEANS][i] = d->warmup_mean[i];
    }
}

static void restore(Sampling *s, KeepState *k) {
    s->warming = k->warming, s->c.flag = k->warming;
    s->step = (uint32_t)k->step, s->draw = k->draw;
    s->phase_start = k->warming ? 0 : (uint32_t)s->t->warmup;
    exchange(s, k, true);
}

/* seconds: of this phase, up to now. */
static int checkpoint(Sampling *s, double seconds) {
    KeepState *k = s->kept;
    if (!keep_wanted(s->r)) return 0;
    exchange(s, k, false);
    k->warming = s->warming, k->step = s->step, k->draw = s->draw;
    if (s->warming) k->warmup_seconds = seconds;
    else k->seconds = seconds, k->cpu_seconds = s->cpu_before + seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    return keep_state(s->r, s->data, k);
}

/* Where a chain is when it has no finite action, for a look at it. */
static void dump(Sampling *s) {
    char err[300] = "";
    if (!s->r->keeper) return;
    exchange(s, s->kept, false);
    Array *a = arena_alloc(s->r->arena, (size_t)(s->t->nstate + 1) * sizeof *a);
    for (int i = 0; i < s->t->nstate; i++) {
        const Shape *shape = &s->t->state[i].shape;
        a[i] = (Array){.name = s->kept->names[i], .rank = shape->rank + 1, .data = s->kept->data[i]};
        a[i].shape[0] = s->data->chains;
        for (int k = 0; k < shape->rank; k++) a[i].shape[k + 1] = shape->dim[k];
    }
    if (arrays_write(s->r->settings->out, "dump.npz", s->t->nstate, a, err, sizeof err)) fprintf(stderr, "lqft: no dump.npz: %s\n", err);
    else fprintf(stderr, "the state of all chains soon after is in %s/dump.npz\n", s->r->settings->out);
}

/* ---- the whole task ------------------------------------------------------------------------------------------ */

/* Visits all blocks until `total` steps or draws are done; chunks grow to about a
 * tenth of a second, so that signals, progress and checkpoints are seen to. */
static int advance(Sampling *s, Pool *pool, RunProgress *p, double start, double phase, int64_t done, int64_t total, int64_t all) {
    int64_t chunk = 1;
    int status = 0;
    while (done < total && !run_interrupted() && !status) {
        s->chunk = chunk < total - done ? chunk : total - done;
        double t = now();
        pool_run(pool, s->c.nblocks, block_visit, s);
        double took = now() - t;
        done += s->chunk;
        s->step += (uint32_t)(s->chunk * (s->warming ? 1 : s->t->thin));
        if (!s->warming) s->draw += s->chunk;
        if (took < 0.05 && chunk < 1 << 20) chunk *= 2;
        else if (took > 0.2 && chunk > 1) chunk /= 2;
        for (int64_t c = 0; c < s->data->chains; c++)
            if (s->bad_step[c] >= 0) return 0;
        if (keep_due(s->r) && done < total) status = checkpoint(s, now() - phase);
        progress_line(s, p, start, s->step, all);
    }
    return status;
}

static void end_warmup(Sampling *s) {
    SampleData *d = s->data;
    for (int i = 0; i < d->nstats; i++) {
        double sum = 0;
        for (int64_t c = 0; c < d->chains; c++) sum += d->stats[i].data[c * d->draws], d->stats[i].data[c * d->draws] = 0;
        d->warmup_mean[i] = s->t->warmup ? sum / (double)(s->t->warmup * d->chains) : NAN;
    }
    memset(s->accept_sum, 0, (size_t)d->chains * sizeof *s->accept_sum);
    s->warming = false;
    s->c.flag = 0;
    s->phase_start = s->step;
}

/* Warm-up, then draws: 0, 75 when it was interrupted, or what a checkpoint says. */
static int run_phases(Sampling *s, Pool *pool, RunProgress *p) {
    KeepState *k = s->kept;
    SampleData *d = s->data;
    double begin = now(), start = begin - k->warmup_seconds;
    int64_t all = s->t->warmup + s->t->draws * s->t->thin;
    int status = 0;
    if (s->warming) {
        status = advance(s, pool, p, begin, start, s->step, s->t->warmup, all);
        bool complete = s->step >= s->t->warmup;
        if (!complete && !status) status = checkpoint(s, now() - start);
        if (!complete || status) return status ? status : 75;
        k->warmup_seconds = now() - start;
        end_warmup(s);
    }
    d->warmup_seconds = k->warmup_seconds;
    s->cpu_before = k->cpu_seconds - seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    start = now() - k->seconds;
    if (!run_interrupted()) status = advance(s, pool, p, begin, start, s->draw, s->t->draws, all);
    d->seconds = now() - start;
    d->cpu_seconds = s->cpu_before + seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    for (int64_t c = 0; c < d->chains; c++)
        if (s->bad_step[c] >= 0) return status;          /* nothing of this is kept */
    if (status || s->draw == s->t->draws) return status;
    status = checkpoint(s, d->seconds);
    return status ? status : 75;
}

static int run_chains(Sampling *s) {
    RunResult *r = s->r;
    bool found = false;
    int status = keep_restore(r, s->data, s->kept, &found);
    if (status) return status;
    Pool *pool = chains_pool(&s->c);
    Pool *outer = pool_use(pool);
    RunProgress *p = run_progress(r->settings);
    s->warming = true, s->c.flag = 1;
    if (found) restore(s, s->kept);
    else pool_run(pool, s->c.nblocks, block_start, s);
    status = run_phases(s, pool, p);
    run_progress_end(p);
    pool_use(outer);
    pool_free(pool);
    int bad = report_bad(s);
    if (bad) dump(s);
    if (bad || (status && status < 73)) return bad ? bad : status;
    if (status) {
        fprintf(stderr, "lqft: interrupted after %lld of %lld draws\n", (long long)s->draw, (long long)s->t->draws);
        truncate_series(s->data, s->draw);
    }
    return status;
}

int sample_run(RunResult *r, const RunSample *t, SampleData **out) {
    Sampling s = {.r = r, .t = t};
    double start = now();
    bool finished = false;
    s.data = make_series(r, t);
    if (!s.data) return 1;
    int status = keep_finished(r, s.data, &finished);
    if (status || finished) {
        if (finished) *out = s.data;
        return status;
    }
    if (r->settings->report) {
        status = keep_partial(r, s.data, &s.draw);
        if (status || s.draw == 0) return status ? status : 75;
        truncate_series(s.data, s.draw);
        *out = s.data;
        return 75;
    }
    char err[512] = "";
    if (!chains_open(&s.c, r, t, err, sizeof err)) {
        fprintf(stderr, "lqft: %s\n", err);
        return 70;
    }
    s.data->compile_seconds = now() - start;
    s.accept_stat = chains_monitor(t, "accept.accepted"), s.ratio_stat = chains_monitor(t, "accept.ratio");
    s.accept_sum = chains_room(t->chains, 1);
    s.bad_step = lq_alloc((size_t)t->chains * sizeof *s.bad_step);
    s.bad_what = lq_alloc((size_t)t->chains * sizeof *s.bad_what);
    for (int64_t c = 0; c < t->chains; c++) s.bad_step[c] = -1;
    s.kept = keep_arrays(&s);
    RunSignals *signals = run_signals_begin();
    status = run_chains(&s);
    if (status == 0) status = keep_sample(r, s.data, s.kept);
    run_signals_end(signals);
    free(s.accept_sum), free(s.bad_step), free(s.bad_what);
    chains_close(&s.c);
    if (s.data->draws > 0 && (status == 0 || status >= 73)) *out = s.data;
    return status;
}
