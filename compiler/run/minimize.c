/* minimize.c — the iterations of one `minimize`: a compiled step, called until it has been made
 * `steps` times or says that it is the last. */
#include "results.h"

#include "../../runtime/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FN_INIT, FN_STEP, FN_RESULT, NFUNCTIONS };

typedef struct Minimizing {
    RunResult  *r;
    SampleTask *t;
    SampleData *data;
    Executable *x;
    bool        split;               /* rows lie in eight parts (kernel_place) */
    double    **state, **next, **out, **results, *stats, *scratch;
    const double **in;
    double      clock;
    uint32_t    chain;
    int         stop_stat[2], nstops;
} Minimizing;

static double *room(int64_t n) { return lq_alloc_vectors((size_t)(n > 0 ? n : 1) * sizeof(double)); }

static void prepare(Minimizing *s) {
    SampleTask *t = s->t;
    int parts = t->state_in.n, nstats = t->stats_out.n, uses = t->init_uses.n + t->step_uses.n + t->measure_uses.n;
    s->state = lq_alloc((size_t)(parts + 1) * sizeof *s->state);
    s->next = lq_alloc((size_t)(parts + 1) * sizeof *s->next);
    s->out = lq_alloc((size_t)(parts + nstats + 1) * sizeof *s->out);
    s->in = lq_alloc((size_t)(parts + uses + 2) * sizeof *s->in);
    s->results = lq_alloc((size_t)(t->measure.nout + 1) * sizeof *s->results);
    for (int i = 0; i < parts; i++) {
        int64_t n = ir_elements(t->step.ir, t->state_in.data[i]);
        s->state[i] = room(n), s->next[i] = room(n);
    }
    for (int i = 0; i < t->measure.nout; i++) s->results[i] = room(ir_elements(t->step.ir, t->measure.out[i]));
    s->stats = room(nstats);
    s->scratch = room(executable_scratch(s->x) + 8);
    for (int i = 0; i < nstats; i++)
        if (!strcmp(t->frame.monitors.data[i].name, "stop.now") && s->nstops < 2) s->stop_stat[s->nstops++] = i;
}

static void release(Minimizing *s) {
    for (int i = 0; i < s->t->state_in.n; i++) free(s->state[i]), free(s->next[i]);
    for (int i = 0; i < s->t->measure.nout; i++) free(s->results[i]);
    free(s->state), free(s->next), free(s->out), free(s->in), free(s->results), free(s->stats), free(s->scratch);
}

static CallArgs call_args(Minimizing *s, uint32_t step) {
    return (CallArgs){.in = s->in, .scratch = s->scratch, .seed = s->r->options->seed, .step = step, .chains = &s->chain};
}

static void start(Minimizing *s) {
    variable_inputs(s->r, &s->t->init_uses, s->split, s->in);
    CallArgs a = call_args(s, 0);
    a.out = s->state;
    execute(s->x, FN_INIT, &a);
}

static void iterate(Minimizing *s, int64_t k) {
    int parts = s->t->state_in.n;
    for (int i = 0; i < parts; i++) s->in[i] = s->state[i], s->out[i] = s->next[i];
    s->in[parts] = &s->clock;
    for (int i = 0; i < s->t->stats_out.n; i++) s->out[parts + i] = &s->stats[i];
    s->clock = (double)k;
    CallArgs a = call_args(s, (uint32_t)k + 1);
    a.out = s->out;
    execute(s->x, FN_STEP, &a);
    double **t = s->state;
    s->state = s->next, s->next = t;
}

/* The variables become what the state says. */
static void keep_results(Minimizing *s) {
    SampleTask *t = s->t;
    int parts = t->state_in.n;
    for (int i = 0; i < parts; i++) s->in[i] = s->state[i];
    variable_inputs(s->r, &t->measure_uses, s->split, s->in + parts);
    CallArgs a = call_args(s, 0);
    a.out = s->results;
    execute(s->x, FN_RESULT, &a);
    for (int i = 0; i < t->target.n; i++) {
        Variable *v = t->found[i];
        const Ref node = t->primaries.data[i].node_re;
        int64_t row = NODE(t->step.ir, node)->rank ? NDIM(t->step.ir, node, NODE(t->step.ir, node)->rank - 1) : 1;
        bool single = t->single && NODE(t->step.ir, node)->rank > 0;
        if (!v->data) v->data = arena_alloc(s->r->arena, (size_t)(v->n + 1) * sizeof *v->data);
        for (int64_t k = 0; k < v->n; k++) {
            int64_t at = s->split ? kernel_place(row, k) : k;
            v->data[k] = single ? ((const float *)s->results[i])[at] : s->results[i][at];
        }
    }
}

/* The first element of the variables that is no finite number, for the message; the objective of the
 * iteration may be the first to notice. */
static void name_first(const Minimizing *s, Text *out) {
    for (int i = 0; i < s->t->target.n; i++) {
        const Variable *v = s->t->found[i];
        for (int64_t k = 0; v->data && k < v->n; k++) {
            if (isfinite(v->data[k])) continue;
            text_printf(out, "`%s", v->name);
            const Value *shape = v->in;
            int64_t rest = k, ext[IR_MAX_RANK];
            int n = 0;
            for (int a = 0; a < shape->u.num.nsets; a++)
                for (int b = 0; b < shape->u.num.sets[a]->rank; b++) ext[n++] = shape->u.num.sets[a]->ext[b];
            for (int a = 0; a < n; a++) {
                int64_t below = 1;
                for (int b = a + 1; b < n; b++) below *= ext[b];
                text_printf(out, "%s%lld", a ? ", " : "[", (long long)(rest / below));
                rest %= below;
            }
            text_printf(out, "%s` is %g", n ? "]" : "", v->data[k]);
            return;
        }
    }
}

/* Not a number, or infinite: where it stands, when, and what was the first to be so. */
static int report_bad(Minimizing *s, int64_t k) {
    Text first = {0};
    const Sources *ss = &s->r->model->front->sources;
    Span at = s->t->decl->value->at;
    int line, column;
    source_position(ss, at.file, at.lo, &line, &column);
    const Source *src = ss->files.data[at.file];
    double **t = s->state;                        /* as it was before the iteration */
    s->state = s->next, s->next = t;
    keep_results(s);
    name_first(s, &first);
    fprintf(stderr, "%s:%d:%d: error: `%.*s` is %g at iteration %lld of `%s`%s%s\n", src->path, line, column,
            (int)(at.hi - at.lo > 100 ? 100 : at.hi - at.lo), src->text + at.lo, s->stats[0], (long long)k, s->t->method,
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

static int run_iterations(Minimizing *s) {
    SampleData *d = s->data;
    RunProgress *p = run_progress(s->r->options);
    int64_t k = 0;
    double begin = run_clock();
    start(s);
    variable_inputs(s->r, &s->t->step_uses, s->split, s->in + s->t->state_in.n + 1);
    for (; k < s->t->draws && !run_interrupted(); k++) {
        iterate(s, k);
        if (!isfinite(s->stats[0])) return run_progress_end(p), report_bad(s, k);
        for (int i = 0; i < d->nstats; i++) d->stats[i].data[k] = s->stats[i];
        if (wants_stop(s)) { k++; break; }
        if (run_progress_due(p)) {
            double rate = (double)(k + 1) / (run_clock() - begin + 1e-9);
            run_progress_text(p, "%.60s: iteration %lld/%lld, objective %.6g, %.3g/s, %.0f s left", s->t->method, (long long)(k + 1),
                              (long long)s->t->draws, s->stats[0], rate, (double)(s->t->draws - k) / rate);
        }
    }
    run_progress_end(p);
    d->seconds = run_clock() - begin;
    d->draws = k;
    for (int i = 0; i < d->nstats; i++) d->stats[i].draws = k;
    keep_results(s);
    if (!run_interrupted()) return 0;
    fprintf(stderr, "lqft: interrupted after %lld of %lld iterations\n", (long long)k, (long long)s->t->draws);
    d->interrupted = true;
    return 75;
}

static SampleData *new_data(RunResult *r, SampleTask *t) {
    SampleData *d = arena_alloc(r->arena, sizeof *d);
    d->task = t, d->chains = 1, d->draws = t->draws, d->nstats = t->stats_out.n;
    d->primaries = arena_alloc(r->arena, sizeof *d->primaries);
    d->stats = arena_alloc(r->arena, (size_t)(d->nstats + 1) * sizeof *d->stats);
    d->warmup_mean = arena_alloc(r->arena, (size_t)(d->nstats + 1) * sizeof *d->warmup_mean);
    for (int i = 0; i < d->nstats; i++)
        d->stats[i] = (Series){.n = 1, .row = 1, .data = arena_alloc(r->arena, (size_t)t->draws * sizeof(double)), .draws = t->draws, .stride = 1};
    return d;
}

int minimize_run(RunResult *r, SampleTask *t, SampleData **out) {
    Minimizing s = {.r = r, .t = t};
    const IrFunc *functions[NFUNCTIONS] = {&t->init, &t->step, &t->measure};
    char err[512] = "";
    KLanes lanes;
    double begin = run_clock();
    s.x = compile_functions(functions, NFUNCTIONS, 1, r->options, &lanes, err, sizeof err);
    if (!s.x) {
        fprintf(stderr, "lqft: %s\n", err);
        return 70;
    }
    s.split = lanes.split;
    s.data = new_data(r, t);
    s.data->compile_seconds = run_clock() - begin;
    prepare(&s);
    RunSignals *signals = run_signals_begin();
    int status = run_iterations(&s);
    run_signals_end(signals);
    release(&s);
    executable_free(s.x);
    if (status == 0 || status == 75) *out = s.data;
    return status;
}
