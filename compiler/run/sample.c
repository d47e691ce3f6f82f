/* sample.c — the chains of one sample task.  Chains run in blocks of W lanes; a
 * block runs many steps between two visits, so that its fields stay in cache, and
 * blocks are spread over threads; when there is but one, the threads share its kernels.
 * A chain's numbers depend on (seed, chain, step) alone: not on W, not on the number of
 * threads, not on the other chains. */
#include "run.h"

#include "../../runtime/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_LANES 16
#define MAX_SERIES_BYTES (6.0e9)
#define PLOT_ONLY_ELEMENTS 2000000

enum { FN_INIT, FN_STEP, FN_MEASURE, NFUNCTIONS };

typedef struct LaneBlock {
    double **state, **next;          /* per part: elements x lanes */
    double  *stats, **measured, **step_out, *scratch;
    const double **in;
    uint32_t chains[MAX_LANES];
} LaneBlock;

typedef struct Sampling {
    RunResult  *r;
    SampleTask *t;
    SampleData *data;
    Executable *x;
    int         lanes, nblocks;       /* lanes: chains of a block */
    bool        sites, split;         /* lanes are sites of one chain; its rows are split */
    LaneBlock      *blocks;
    const double  **variables[NFUNCTIONS];   /* further inputs of each function */
    uint32_t    step, phase_start;    /* steps done so far; where warm-up or measurement began */
    int64_t     chunk;                /* steps (warm-up) or draws in this visit */
    bool        warming;
    int64_t     draw;                 /* draws done */
    double      flag;                 /* the `warmup` input */
    double     *accept_sum;           /* [chain] for progress */
    int         accept_stat, ratio_stat;
    int64_t    *bad_step;             /* [chain] first step with a non-finite number, or -1 */
    int        *bad_what;             /* primary number, or -1: the acceptance ratio */
} Sampling;

static double seconds_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double now(void) { return seconds_of(CLOCK_MONOTONIC); }

static int64_t elements(const SampleTask *t, Ref r) { return ir_elements(t->step.ir, r); }

/* Of state and measurements: what has a rank is stored in the precision of the task. */
static bool is_single(const SampleTask *t, Ref r) { return t->step.single && NODE(t->step.ir, r)->rank > 0; }

static int stat_named(const SampleTask *t, const char *name) {
    for (int i = 0; i < t->frame.monitors.n; i++)
        if (!strcmp(t->frame.monitors.data[i].name, name)) return i;
    return -1;
}

/* ---- memory -------------------------------------------------------------------------------------- */

static double *lanes_of(int64_t n, int lanes) {
    double *p = lq_alloc_vectors((size_t)(n ? n : 1) * (size_t)lanes * sizeof *p);
    if (!p) lq_out_of_memory((size_t)n * (size_t)lanes * sizeof *p);
    return p;
}

/* Room for the elements of an array of the state, or of what is measured. */
static double *room_for(const Sampling *s, Ref array) {
    int64_t n = elements(s->t, array);
    return lanes_of(is_single(s->t, array) ? (n + 1) / 2 : n, s->lanes);
}

static void block_init(Sampling *s, LaneBlock *b, int number) {
    const SampleTask *t = s->t;
    int parts = t->state_in.n, nstats = t->stats_out.n;
    b->state = lq_alloc((size_t)(parts + 1) * sizeof *b->state);
    b->next = lq_alloc((size_t)(parts + 1) * sizeof *b->next);
    b->in = lq_alloc((size_t)(parts + 2 + t->init_uses.n + t->step_uses.n + t->measure_uses.n) * sizeof *b->in);
    b->step_out = lq_alloc((size_t)(parts + nstats + 1) * sizeof *b->step_out);
    b->measured = lq_alloc((size_t)(t->measure.nout + 1) * sizeof *b->measured);
    for (int i = 0; i < parts; i++) {
        b->state[i] = room_for(s, t->state_in.data[i]);
        b->next[i] = room_for(s, t->state_in.data[i]);
    }
    b->stats = lanes_of(nstats, s->lanes);
    for (int i = 0; i < t->measure.nout; i++) b->measured[i] = room_for(s, t->measure.out[i]);
    size_t scratch = (size_t)(executable_scratch(s->x) + 8 * s->lanes) * sizeof *b->scratch;
    b->scratch = lq_alloc_room(scratch);       /* more than is used, when there are few threads */
    if (!b->scratch) lq_out_of_memory(scratch);
    for (int l = 0; l < MAX_LANES; l++) b->chains[l] = (uint32_t)(number * s->lanes + (s->sites ? 0 : l));
}

static void block_free(Sampling *s, LaneBlock *b) {
    for (int i = 0; i < s->t->state_in.n; i++) free(b->state[i]), free(b->next[i]);
    for (int i = 0; i < s->t->measure.nout; i++) free(b->measured[i]);
    free(b->state), free(b->next), free(b->in), free(b->step_out), free(b->measured), free(b->stats), free(b->scratch);
}

/* ---- one block ---------------------------------------------------------------------------------------- */

/* The state, for a step the flag of the warm-up, then the variables in use. */
static CallArgs call_args(const Sampling *s, LaneBlock *b, int function, uint32_t step) {
    const Variables *uses[] = {&s->t->init_uses, &s->t->step_uses, &s->t->measure_uses};
    int n = 0;
    for (int i = 0; function != FN_INIT && i < s->t->state_in.n; i++) b->in[n++] = b->state[i];
    if (function == FN_STEP) b->in[n++] = &s->flag;
    memcpy(b->in + n, s->variables[function], (size_t)uses[function]->n * sizeof *b->in);
    return (CallArgs){.in = b->in, .scratch = b->scratch, .seed = s->r->options->seed, .step = step, .chains = b->chains};
}

static void block_start(void *ctx, int64_t index, int worker) {
    Sampling *s = ctx;
    LaneBlock *b = &s->blocks[index];
    (void)worker;
    CallArgs a = call_args(s, b, FN_INIT, 0);
    a.out = b->state;
    execute(s->x, FN_INIT, &a);
}

static void note_bad(Sampling *s, int64_t chain, uint32_t step, int what) {
    if (s->bad_step[chain] < 0) s->bad_step[chain] = step, s->bad_what[chain] = what;
}

static void block_step(Sampling *s, LaneBlock *b, uint32_t step) {
    int parts = s->t->state_in.n;
    CallArgs a = call_args(s, b, FN_STEP, step);
    for (int i = 0; i < parts; i++) b->step_out[i] = b->next[i];
    for (int i = 0; i < s->t->stats_out.n; i++) b->step_out[parts + i] = b->stats + i * s->lanes;
    a.out = b->step_out;
    execute(s->x, FN_STEP, &a);
    double **t = b->state;
    b->state = b->next;
    b->next = t;
}

/* Copies what a block measured into the series of its chains. */
static void record(Sampling *s, LaneBlock *b, int64_t draw, uint32_t step) {
    SampleData *d = s->data;
    for (int l = 0; l < s->lanes; l++) {
        int64_t chain = b->chains[l];
        if (chain >= d->chains) break;
        for (int i = 0; i < d->nstats; i++) d->stats[i].data[chain * d->draws + draw] = b->stats[i * s->lanes + l];
        int output = 0;
        for (int i = 0; i < d->nprimaries; i++) {
            Series *p = &d->primaries[i];
            const Primary *prim = &s->t->primaries.data[i];
            int outputs = prim->node_im ? 2 : 1;
            int64_t n = p->n / outputs;
            bool keep = draw % p->stride == 0 && draw / p->stride < p->draws;
            for (int o = 0; o < outputs; o++, output++) {
                const double *m = b->measured[output];
                double *to = keep ? p->data + (chain * p->draws + draw / p->stride) * p->n + o * n : NULL;
                bool finite = true, single = is_single(s->t, s->t->measure.out[output]);
                for (int64_t k = 0; k < n; k++) {
                    int64_t at = s->split ? kernel_place(p->row, k) : k * s->lanes + l;
                    double v = single ? ((const float *)m)[at] : m[at];
                    finite &= isfinite(v) != 0;
                    if (to) to[k] = v;
                }
                if (!finite) note_bad(s, chain, step, i);
            }
        }
    }
}

static void watch_acceptance(Sampling *s, LaneBlock *b, uint32_t step) {
    if (s->accept_stat < 0) return;
    for (int l = 0; l < s->lanes && b->chains[l] < s->data->chains; l++) {
        s->accept_sum[b->chains[l]] += b->stats[s->accept_stat * s->lanes + l];
        if (!s->warming && isnan(b->stats[s->ratio_stat * s->lanes + l])) note_bad(s, b->chains[l], step, -1);
    }
}

static void block_visit(void *ctx, int64_t index, int worker) {
    Sampling *s = ctx;
    LaneBlock *b = &s->blocks[index];
    SampleData *d = s->data;
    (void)worker;
    int64_t per_draw = s->warming ? 1 : s->t->thin;
    for (int64_t k = 0; k < s->chunk; k++) {
        uint32_t step = s->step + (uint32_t)(k * per_draw);
        for (int64_t i = 0; i < per_draw; i++) {
            block_step(s, b, ++step);
            watch_acceptance(s, b, step);
        }
        if (s->warming) {
            for (int l = 0; l < s->lanes && b->chains[l] < d->chains; l++)
                for (int i = 0; i < d->nstats; i++)        /* by chain first: the sum must not depend on threads */
                    d->stats[i].data[b->chains[l] * d->draws] += b->stats[i * s->lanes + l];
            continue;
        }
        CallArgs a = call_args(s, b, FN_MEASURE, step);
        a.out = b->measured;
        execute(s->x, FN_MEASURE, &a);
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

/* ---- the whole task ------------------------------------------------------------------------------------------ */

static bool used_by_reports(const RunResult *r, const SampleTask *t, const Primary *p) {
    for (int i = 0; i < r->plan->tasks.n; i++) {
        const Task *k = r->plan->tasks.data[i];
        if (k->kind == TASK_KEEP && k->sample == t && &t->primaries.data[k->kept] == p) return true;
        for (int j = 0; k->sample == t && j < k->saved.n; j++)
            if (!k->saved.data[j].report && &t->primaries.data[k->saved.data[j].primary] == p) return true;
        const ReportTask *reports[65];
        int n = 0;
        if (k->report) reports[n++] = k->report;
        for (int j = 0; j < k->reports.n && n < 64; j++)
            if (k->reports.data[j]) reports[n++] = k->reports.data[j];
        for (int j = 0; j < n; j++)
            if (ir_depends(t->step.ir, reports[j]->eval.out[0], p->input_re) ||
                (p->input_im && ir_depends(t->step.ir, reports[j]->eval.out[0], p->input_im)))
                return true;
    }
    return false;
}

/* Room for all series; plots alone need only some of the configurations. */
static SampleData *make_series(RunResult *r, SampleTask *t) {
    SampleData *d = arena_alloc(r->arena, sizeof *d);
    d->task = t, d->chains = t->chains, d->draws = t->draws;
    d->nprimaries = t->primaries.n, d->nstats = t->stats_out.n;
    d->primaries = arena_alloc(r->arena, (size_t)(d->nprimaries + 1) * sizeof *d->primaries);
    d->stats = arena_alloc(r->arena, (size_t)(d->nstats + 1) * sizeof *d->stats);
    d->warmup_mean = arena_alloc(r->arena, (size_t)(d->nstats + 1) * sizeof *d->warmup_mean);
    double bytes = 8.0 * (double)d->nstats * (double)d->chains * (double)d->draws;
    for (int i = 0; i < d->nprimaries; i++) {
        const Primary *p = &t->primaries.data[i];
        Series *s = &d->primaries[i];
        s->n = elements(t, p->node_re) * (p->node_im ? 2 : 1);
        const Node *node = NODE(t->step.ir, p->node_re);
        s->row = node->rank ? NDIM(t->step.ir, p->node_re, node->rank - 1) : 1;
        s->stride = 1, s->draws = d->draws;
        if (!used_by_reports(r, t, p)) {
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
        d->primaries[i].data = lanes_of(d->primaries[i].n * d->chains * d->primaries[i].draws, 1);
    for (int i = 0; i < d->nstats; i++)
        d->stats[i] = (Series){.n = 1, .row = 1, .data = lanes_of(d->chains * d->draws, 1), .draws = d->draws, .stride = 1};
    return d;
}

static int report_bad(const Sampling *s) {
    for (int64_t c = 0; c < s->data->chains; c++) {
        if (s->bad_step[c] < 0) continue;
        const Sources *ss = &s->r->model->front->sources;
        Span at = s->bad_what[c] < 0 ? s->t->decl->value->at : s->t->primaries.data[s->bad_what[c]].at;
        int line, column;
        source_position(ss, at.file, at.lo, &line, &column);
        const Source *src = ss->files.data[at.file];
        fprintf(stderr, "%s:%d:%d: error: %s`%.*s` is not a finite number in chain %lld at step %lld\n", src->path, line, column,
                s->bad_what[c] < 0 ? "the acceptance ratio of " : "", (int)(at.hi - at.lo > 100 ? 100 : at.hi - at.lo), src->text + at.lo,
                (long long)c, (long long)s->bad_step[c]);
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

/* Visits all blocks until `total` steps or draws are done; chunks grow to about a
 * tenth of a second, so that signals and progress are seen to. */
static void advance(Sampling *s, Pool *pool, RunProgress *p, double start, int64_t total, int64_t all) {
    int64_t done = 0, chunk = 1;
    while (done < total && !run_interrupted()) {
        s->chunk = chunk < total - done ? chunk : total - done;
        double t = now();
        pool_run(pool, s->nblocks, block_visit, s);
        double took = now() - t;
        done += s->chunk;
        s->step += (uint32_t)(s->chunk * (s->warming ? 1 : s->t->thin));
        if (!s->warming) s->draw += s->chunk;
        if (took < 0.05 && chunk < 1 << 20) chunk *= 2;
        else if (took > 0.2 && chunk > 1) chunk /= 2;
        for (int64_t c = 0; c < s->data->chains; c++)
            if (s->bad_step[c] >= 0) return;
        progress_line(s, p, start, s->step, all);
    }
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
    s->flag = 0;
    s->phase_start = s->step;
}

static int run_chains(Sampling *s) {
    RunResult *r = s->r;
    int threads = r->options->threads;
    if (threads == 0) threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    /* a single block is called outside of pool tasks, so that its code has all threads */
    bool alone = s->nblocks == 1 && executable_is_shared(s->x);
    if (threads > s->nblocks && !alone) threads = s->nblocks;
    Pool *pool = pool_new(threads);
    Pool *outer = pool_use(pool);
    RunProgress *p = run_progress(r->options);
    double begin = now();
    int64_t all = s->t->warmup + s->t->draws * s->t->thin;
    double start = now();
    pool_run(pool, s->nblocks, block_start, s);
    s->warming = true, s->flag = 1;
    advance(s, pool, p, begin, s->t->warmup, all);
    end_warmup(s);
    s->data->warmup_seconds = now() - start;
    double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    start = now();
    if (!run_interrupted()) advance(s, pool, p, begin, s->t->draws, all);
    s->data->seconds = now() - start;
    s->data->cpu_seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    run_progress_end(p);
    pool_use(outer);
    pool_free(pool);
    int status = report_bad(s);
    if (status == 0 && run_interrupted()) {
        fprintf(stderr, "lqft: interrupted after %lld of %lld draws\n", (long long)s->draw, (long long)s->t->draws);
        truncate_series(s->data, s->draw);
        status = 75;
    }
    return status;
}

int sample_run(RunResult *r, SampleTask *t, SampleData **out) {
    Sampling s = {.r = r, .t = t};
    double start = now();
    s.data = make_series(r, t);
    if (!s.data) return 1;
    const IrFunc *functions[NFUNCTIONS] = {&t->init, &t->step, &t->measure};
    char err[512] = "";
    KLanes lanes;
    s.x = compile_functions(functions, NFUNCTIONS, t->chains, r->options, &lanes, err, sizeof err);
    if (!s.x) {
        fprintf(stderr, "lqft: %s\n", err);
        return 70;
    }
    s.sites = lanes.sites, s.split = lanes.split;
    s.lanes = lanes.sites ? 1 : lanes.lanes;
    s.nblocks = (int)((t->chains + s.lanes - 1) / s.lanes);
    s.data->compile_seconds = now() - start;
    s.accept_stat = stat_named(t, "accept.accepted"), s.ratio_stat = stat_named(t, "accept.ratio");
    const Variables *uses[NFUNCTIONS] = {&t->init_uses, &t->step_uses, &t->measure_uses};
    for (int i = 0; i < NFUNCTIONS; i++) {
        s.variables[i] = arena_alloc(r->arena, (size_t)(uses[i]->n + 1) * sizeof *s.variables[i]);
        variable_inputs(r, uses[i], s.split, s.variables[i]);
    }
    s.blocks = lq_alloc((size_t)s.nblocks * sizeof *s.blocks);
    s.accept_sum = lanes_of(t->chains, 1);
    s.bad_step = lq_alloc((size_t)t->chains * sizeof *s.bad_step);
    s.bad_what = lq_alloc((size_t)t->chains * sizeof *s.bad_what);
    for (int64_t c = 0; c < t->chains; c++) s.bad_step[c] = -1;
    for (int i = 0; i < s.nblocks; i++) block_init(&s, &s.blocks[i], i);
    RunSignals *signals = run_signals_begin();
    int status = run_chains(&s);
    run_signals_end(signals);
    for (int i = 0; i < s.nblocks; i++) block_free(&s, &s.blocks[i]);
    free(s.blocks), free(s.accept_sum), free(s.bad_step), free(s.bad_what);
    executable_free(s.x);
    if (s.data->draws > 0 && (status == 0 || status == 75)) *out = s.data;
    return status;
}
