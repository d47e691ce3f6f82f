/* summary.c — from series to numbers with errors: the Γ-method for every report,
 * through the gradient that the compiler derived, and what a physicist would look at
 * before believing them.
 *
 * A report is a function f of expectation values.  Its value is f at the means; its
 * error is that of the projected series δ = Σ_α (∂f/∂ā_α)(a_α - ā_α) (U. Wolff,
 * hep-lat/0306017, section 3), one series for each element of the report. */
#include "results.h"

#include "../stats.h"
#include "../threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 2.0            /* S of the automatic window */

void run_diagnostic(RunResult *r, Notice notice, const char *code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    Diagnostic d = {code, arena_vprintf(r->arena, fmt, ap), notice};
    va_end(ap);
    vec_push(&r->diagnostics, d);
}

static int64_t *equal_lengths(int64_t chains, int64_t draws) {
    int64_t *length = lq_alloc((size_t)(chains ? chains : 1) * sizeof *length);
    for (int64_t c = 0; c < chains; c++) length[c] = draws;
    return length;
}

/* ==== the means ============================================================================= */

/* One input of a report's function: a mean, and where its series lies. */
typedef struct Input {
    const Series *series;
    int     ensemble;
    int64_t offset, n;                /* elements offset … offset+n-1 of each draw */
    double *mean;
} Input;

/* The configurations of one sample: independent of those of the others. */
typedef struct Ensemble {
    const SampleData *data;
    int64_t  draws, stride;           /* draws that all series in use have, every `stride` */
    int64_t *length;                  /* of each chain */
} Ensemble;

typedef struct Inputs {
    Input    *at; int n;
    Ensemble *ensembles; int nensembles;
    int64_t   longest;                /* values of the longest projected series */
    bool      missing;                /* a sample was interrupted before its first draw */
} Inputs;

static void compute_mean(const Input *x, int64_t chains) {
    const Series *s = x->series;
    int64_t rows = chains * s->draws;
    for (int64_t k = 0; k < x->n; k++) x->mean[k] = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < x->n; k++) x->mean[k] += s->data[i * s->n + x->offset + k];
    for (int64_t k = 0; k < x->n; k++) x->mean[k] /= (double)rows;
}

static int ensemble_of(Inputs *in, const SampleData *d) {
    for (int i = 0; i < in->nensembles; i++)
        if (in->ensembles[i].data == d) return i;
    in->ensembles[in->nensembles] = (Ensemble){.data = d, .stride = 1};
    return in->nensembles++;
}

/* In the order of the function's inputs. */
static Inputs make_inputs(Arena *arena, const RunResult *r, const RunReport *t) {
    Inputs in = {.at = arena_alloc(arena, (size_t)(t->ninputs + 1) * sizeof *in.at),
                 .ensembles = arena_alloc(arena, (size_t)(t->ninputs + 1) * sizeof *in.ensembles)};
    for (int i = 0; i < t->ninputs; i++) {
        const RunInput *q = &t->inputs[i];
        if (q->sample >= r->samples.n) { in.missing = true; return in; }
        const SampleData *d = r->samples.data[q->sample];
        const Series *s = &d->primaries[q->primary];
        int64_t n = s->n / (d->task->primaries[q->primary].complex ? 2 : 1);
        Input x = {s, ensemble_of(&in, d), q->imaginary ? n : 0, n, arena_alloc(arena, (size_t)(n + 1) * sizeof(double))};
        compute_mean(&x, d->chains);
        if (s->stride > in.ensembles[x.ensemble].stride) in.ensembles[x.ensemble].stride = s->stride;
        in.at[in.n++] = x;
    }
    for (int i = 0; i < in.nensembles; i++) {
        Ensemble *m = &in.ensembles[i];
        m->draws = (m->data->draws + m->stride - 1) / m->stride;
        m->length = arena_alloc(arena, (size_t)m->data->chains * sizeof *m->length);
        for (int64_t c = 0; c < m->data->chains; c++) m->length[c] = m->draws;
        if (m->data->chains * m->draws > in.longest) in.longest = m->data->chains * m->draws;
    }
    return in;
}

/* ==== gradients ============================================================================= */

/* The columns that an element of a report depends on. */
typedef struct Column { int input; int64_t k; double g; } Column;
typedef struct Gradient { Column *at; int64_t n; } Gradient;

static void evaluate(RunResult *r, const RunReport *t, const Inputs *in, double *value) {
    const double **args = lq_alloc((size_t)(t->eval.nin + 1) * sizeof *args);
    for (int i = 0; i < in->n; i++) args[i] = in->at[i].mean;
    variable_inputs(r, &t->uses, false, args + in->n);
    r->engine->evaluate(r->engine->context, &t->eval, args, &value, 0, 0);
    free(args);
}

static Gradient gather(Arena *arena, const Inputs *in, double *const *g) {
    Gradient out = {0};
    for (int i = 0; i < in->n; i++)
        for (int64_t k = 0; k < in->at[i].n; k++) out.n += g[i][k] != 0;
    out.at = arena_alloc(arena, (size_t)(out.n + 1) * sizeof *out.at);
    int64_t n = 0;
    for (int i = 0; i < in->n; i++)
        for (int64_t k = 0; k < in->at[i].n; k++)
            if (g[i][k] != 0) out.at[n++] = (Column){i, k, g[i][k]};
    return out;
}

/* The gradient of each element, by a one-hot seed. */
static Gradient *gradients(Arena *arena, RunResult *r, const RunReport *t, const Inputs *in, int64_t n) {
    Gradient *out = arena_alloc(arena, (size_t)(n + 1) * sizeof *out);
    if (!t->has_vjp) return out;
    const double **args = arena_alloc(arena, (size_t)(in->n + 1 + t->vjp_uses.n) * sizeof *args);
    variable_inputs(r, &t->vjp_uses, false, args + in->n + 1);
    double **g = arena_alloc(arena, (size_t)(in->n + 1) * sizeof *g), *seed = arena_alloc(arena, (size_t)n * sizeof *seed);
    for (int i = 0; i < in->n; i++) {
        args[i] = in->at[i].mean;
        g[i] = arena_alloc(arena, (size_t)(in->at[i].n + 1) * sizeof **g);
    }
    args[in->n] = seed;
    for (int64_t k = 0; k < n; k++) {
        seed[k] = 1;
        r->engine->evaluate(r->engine->context, &t->vjp, args, g, 0, 0);
        seed[k] = 0;
        out[k] = gather(arena, in, g);
    }
    return out;
}

/* ==== errors ================================================================================ */

typedef struct Analysis {
    const Inputs   *in;
    const Gradient *gradients;
    double        **work;             /* one projected series for each worker */
    ReportResult   *result;
} Analysis;

/* Draws outside, columns inside: the columns of one draw lie together.  False when the
 * element does not depend on this ensemble. */
static bool project(const Inputs *in, int ensemble, const Gradient *g, double *out) {
    const Ensemble *m = &in->ensembles[ensemble];
    bool depends = false;
    for (int64_t i = 0; i < g->n; i++) depends |= in->at[g->at[i].input].ensemble == ensemble;
    for (int64_t c = 0; depends && c < m->data->chains; c++)
        for (int64_t d = 0; d < m->draws; d++) {
            double sum = 0;
            for (int64_t i = 0; i < g->n; i++) {
                const Column *col = &g->at[i];
                const Input *x = &in->at[col->input];
                if (x->ensemble != ensemble) continue;
                int64_t row = c * x->series->draws + d * (m->stride / x->series->stride);
                sum += col->g * (x->series->data[row * x->series->n + x->offset + col->k] - x->mean[col->k]);
            }
            out[c * m->draws + d] = sum;
        }
    return depends;
}

/* Ensembles are independent: their errors add in quadrature.  Of the rest the report has
 * what is worst: the smallest effective size, the largest R-hat, and the tau_int that is
 * longest for the draws that there are. */
static void combine(ReportResult *r, int64_t k, bool first, const Ensemble *m, const GammaResult *g, double rhat, double ess) {
    double total = (double)m->data->chains * (double)m->data->draws, tau = g->tau_int * (double)m->stride;   /* in draws, even when few were kept */
    r->error[k] = first ? g->error : hypot(r->error[k], g->error);
    if (first || tau / total > r->tau_int[k] / r->draws[k])
        r->tau_int[k] = tau, r->tau_int_error[k] = g->tau_int_error * (double)m->stride, r->draws[k] = total;
    r->rhat[k] = first ? rhat : fmax(r->rhat[k], rhat);
    r->ess[k] = first ? ess : fmin(r->ess[k], ess);
}

/* A task of the pool: the statistics of one element. */
static void analyse(void *ctx, int64_t k, int worker) {
    Analysis *a = ctx;
    ReportResult *r = a->result;
    r->tau_int[k] = r->tau_int_error[k] = r->ess[k] = r->rhat[k] = NAN;      /* of a constant */
    if (!a->work[worker]) a->work[worker] = lq_alloc((size_t)(a->in->longest + 1) * sizeof **a->work);
    double *series = a->work[worker];
    bool first = true;
    for (int i = 0; i < a->in->nensembles; i++) {
        if (!project(a->in, i, &a->gradients[k], series)) continue;
        const Ensemble *m = &a->in->ensembles[i];
        int chains = (int)m->data->chains;
        double rhat, ess;
        GammaResult g;
        stats_gamma_projected(series, chains, m->length, WINDOW, r->value[k], &g);
        stats_mixing(series, chains, m->length, &rhat, &ess);
        combine(r, k, first, m, &g, rhat, ess);
        first = false;
    }
}

static void analyse_all(const RunSettings *o, ReportResult *r, const Inputs *in, const Gradient *g) {
    Pool *pool = pool_new(r->n > 1 ? o->threads : 1);
    int workers = pool_size(pool);
    Analysis a = {in, g, lq_alloc((size_t)workers * sizeof *a.work), r};
    for (int i = 0; i < workers; i++) a.work[i] = NULL;
    pool_run(pool, r->n, analyse, &a);
    pool_free(pool);
    for (int i = 0; i < workers; i++) free(a.work[i]);
    free(a.work);
}

static void set_exact(ReportResult *r) {
    r->exact = true;
    for (int64_t k = 0; k < r->n; k++) r->error[k] = 0, r->tau_int[k] = r->tau_int_error[k] = r->ess[k] = r->rhat[k] = NAN;
}

/* ==== what deserves a warning ================================================================= */

/* " at element 3 of 32", or nothing for a number. */
static const char *where(Arena *a, const ReportResult *r, int64_t k) {
    return r->n == 1 ? "" : arena_printf(a, " at element %lld of %lld", (long long)k, (long long)r->n);
}

/* Among the elements that have a value: the others have a message of their own. */
static int64_t largest(const ReportResult *r, const double *v) {
    int64_t at = -1;
    for (int64_t k = 0; k < r->n; k++)
        if (isfinite(r->value[k]) && isfinite(v[k]) && (at < 0 || v[k] > v[at])) at = k;
    return at;
}

static void check_finite(RunResult *run, const ReportResult *r) {
    for (int64_t k = 0; k < r->n; k++) {
        if (isfinite(r->value[k]) && (r->exact || isfinite(r->error[k]))) continue;
        if (isfinite(r->value[k]))
            run_diagnostic(run, NOTICE_FAILED, "D0107", "`%s`%s has no error: too few draws, or its derivative at the means is not finite. "
                           "Take more draws, or report a quantity that is smooth there.", r->name, where(run->arena, r, k));
        else
            run_diagnostic(run, NOTICE_FAILED, "D0107", "`%s`%s is %s, not a finite number: it is a function of the means that is not defined "
                           "at their values. Take more draws, or report a quantity that is defined there.", r->name,
                           where(run->arena, r, k), isnan(r->value[k]) ? "nan" : r->value[k] > 0 ? "inf" : "-inf");
        return;
    }
}

static void check_length(RunResult *run, const ReportResult *r) {
    int64_t k = largest(r, r->tau_int);
    double total = k < 0 ? 0 : r->draws[k];
    if (k < 0 || !(total < 50 * r->tau_int[k])) return;
    run_diagnostic(run, NOTICE_WARNING, "D0104", "`%s`%s has tau_int = %.3g draws, and the %.0f draws of all chains are fewer than 50 tau_int: "
                   "its error is uncertain and probably too small. Take at least %.0f draws in all, or thin the chain.",
                   r->name, where(run->arena, r, k), r->tau_int[k], total, ceil(50 * r->tau_int[k]));
}

static void check_mixing(RunResult *run, const ReportResult *r) {
    int64_t k = largest(r, r->rhat);
    if (k < 0 || !(r->rhat[k] > 1.01)) return;
    run_diagnostic(run, NOTICE_WARNING, "D0105", "`%s`%s has R-hat = %.3f, above 1.01: the chains have not yet forgotten where they started, and "
                   "its error may be too small. Use a longer warm-up or more draws.", r->name, where(run->arena, r, k), r->rhat[k]);
}

/* ==== reports ================================================================================= */

static double *column(Arena *a, int64_t n) { return arena_alloc(a, (size_t)(n + 1) * sizeof(double)); }

static ReportResult *new_result(Arena *arena, const RunReport *t) {
    ReportResult *r = arena_alloc(arena, sizeof *r);
    r->task = t, r->name = t->name;
    r->n = shape_elements(&t->shape);
    r->rank = t->shape.rank;
    for (int i = 0; i < r->rank; i++) r->shape[i] = t->shape.dim[i];
    r->value = column(arena, r->n), r->error = column(arena, r->n);
    r->tau_int = column(arena, r->n), r->tau_int_error = column(arena, r->n);
    r->ess = column(arena, r->n), r->rhat = column(arena, r->n), r->draws = column(arena, r->n);
    return r;
}

ReportResult *summarize_report(RunResult *run, const RunReport *t) {
    ReportResult *r = new_result(run->arena, t);
    Arena *scratch = arena_new();
    Inputs in = make_inputs(scratch, run, t);
    if (in.missing) {                               /* interrupted before the first draw */
        for (int64_t k = 0; k < r->n; k++) r->value[k] = NAN;
        set_exact(r);
        arena_free(scratch);
        return r;
    }
    evaluate(run, t, &in, r->value);
    if (!t->has_vjp) {
        set_exact(r);
    } else {
        analyse_all(run->settings, r, &in, gradients(scratch, run, t, &in, r->n));
        check_length(run, r);
        check_mixing(run, r);
    }
    check_finite(run, r);
    arena_free(scratch);
    return r;
}

/* ==== samples ================================================================================= */

const Series *sample_stat(const SampleData *d, const char *name) {
    for (int i = 0; i < d->nstats && i < d->task->nmonitors; i++)
        if (!strcmp(d->task->monitors[i].name, name)) return &d->stats[i];
    return NULL;
}

bool sample_acceptance(const SampleData *d, Acceptance *a) {
    const Series *accepted = sample_stat(d, "accept.accepted"), *ratio = sample_stat(d, "accept.ratio");
    *a = (Acceptance){.first_stuck = -1};
    if (!accepted || !ratio || d->chains == 0 || accepted->draws == 0) return false;
    for (int64_t c = 0; c < d->chains; c++) {
        double sum = 0;
        for (int64_t i = 0; i < accepted->draws; i++) sum += accepted->data[c * accepted->draws + i];
        a->accepted += sum;
        if (sum == 0 && a->stuck++ == 0) a->first_stuck = c;
    }
    a->accepted /= (double)(accepted->draws * d->chains);
    GammaResult g;
    int64_t *length = equal_lengths(d->chains, ratio->draws);
    stats_gamma(ratio->data, (int)d->chains, length, WINDOW, &g);
    free(length);
    a->ratio = g.value;
    a->ratio_error = g.error;
    return true;
}

static void check_acceptance(RunResult *r, const SampleData *d, const Acceptance *a) {
    const char *method = d->task->method;
    if (a->stuck)
        run_diagnostic(r, NOTICE_FAILED, "D0101", "`%s`: %lld of %lld chains accepted nothing in %lld draws (the first is chain %lld), so they "
                       "sample nothing. Make the step smaller (more `steps` at the same length), or lengthen the warm-up.", method,
                       (long long)a->stuck, (long long)d->chains, (long long)d->draws, (long long)a->first_stuck);
    else if (a->accepted < 0.2)
        run_diagnostic(r, NOTICE_WARNING, "D0102", "`%s` accepts %.1f %% of its proposals, below 20 %%: most of the work repeats old configurations "
                       "and autocorrelations grow. Make the step smaller (more `steps` at the same length).", method, 100 * a->accepted);
}

/* <exp(-dH)> = 1 holds for every reversible, volume-preserving proposal (M. Creutz, Phys.
 * Rev. D 38 (1988) 1228).  At low acceptance the mean is carried by events that a run of
 * this length does not see, and lies below 1 without meaning anything. */
/* Where the density vanishes inside its domain, proposals from there are missing in
 * the mean, which is then below 1 for a correct sampler: nothing to judge by. */
static bool meets_zero_density(const SampleData *d) {
    const Series *s = sample_stat(d, "accept.ratio");
    for (int64_t i = 0; s && i < d->chains * s->draws; i++)
        if (s->data[i] == 0) return true;
    return false;
}

static void check_ratio(RunResult *r, const SampleData *d, const Acceptance *a) {
    double off = a->ratio - 1, pull = off / a->ratio_error;
    if (off < 0 && meets_zero_density(d)) return;
    if (fabs(off) < 1e-9 || (a->accepted < 0.2 && off < 0)) return;
    if (isfinite(a->ratio) && !(fabs(pull) > 5)) return;
    run_diagnostic(r, NOTICE_FAILED, "D0103", "`%s`: the mean of the acceptance ratio, <exp(-dH)>, is %s, %.1f standard errors from 1, and 5 "
                   "are allowed: the proposals are not reversible or do not preserve volume, or the run is not thermalised. Test the "
                   "sampler with `lqft check`, or lengthen the warm-up.", d->task->method,
                   format_value_error(r->arena, a->ratio, a->ratio_error), fabs(pull));
}

static void check_energy(RunResult *r, const SampleData *d) {
    const Series *s = sample_stat(d, "dH");
    if (!s) return;
    int64_t total = d->chains * s->draws, above[3] = {0};
    for (int64_t i = 0; i < total; i++) {
        double dH = fabs(s->data[i]);
        above[0] += !(dH <= 1), above[1] += !(dH <= 10), above[2] += !(dH <= 100);   /* NaN counts as large */
    }
    double part[3];
    for (int i = 0; i < 3; i++) part[i] = 100 * (double)above[i] / (double)(total ? total : 1);
    if (!(part[1] > 1)) return;
    run_diagnostic(r, NOTICE_WARNING, "D0108", "`%s`: |dH| is above 1 in %.1f %%, above 10 in %.1f %% and above 100 in %.1f %% of the trajectories; "
                   "more than 1 %% above 10 means that the integration is unstable somewhere. Make the step smaller (more `steps`).",
                   d->task->method, part[0], part[1], part[2]);
}

/* ---- is the warm-up over? ------------------------------------------------------------------------ */

/* Draws from … from+n-1 of all chains of a series of single numbers, one after the other. */
static GammaResult part_of(const Series *s, int64_t chains, int64_t from, int64_t n) {
    double *part = lq_alloc((size_t)(chains * n) * sizeof *part);
    for (int64_t c = 0; c < chains; c++) memcpy(part + c * n, s->data + c * s->draws + from, (size_t)n * sizeof *part);
    int64_t *length = equal_lengths(chains, n);
    GammaResult g;
    stats_gamma(part, (int)chains, length, WINDOW, &g);
    free(length);
    free(part);
    return g;
}

static double chain_mean(const Series *s, int64_t chain, int64_t from, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += s->data[chain * s->draws + from + i];
    return sum / (double)n;
}

/* The scatter over chains of (first tenth - rest): an error that slow modes within a
 * chain cannot hide. */
static double scatter_over_chains(const Series *s, int64_t chains, int64_t tenth) {
    if (chains < 4) return 0;
    double sum = 0, squares = 0;
    for (int64_t c = 0; c < chains; c++) {
        double d = chain_mean(s, c, 0, tenth) - chain_mean(s, c, tenth, s->draws - tenth);
        sum += d, squares += d * d;
    }
    double variance = (squares - sum * sum / (double)chains) / (double)(chains - 1);
    return variance > 0 ? sqrt(variance / (double)chains) : 0;
}

static void check_thermalised(RunResult *r, const SampleData *d, int which) {
    const Series *s = &d->primaries[which];
    int64_t tenth = s->draws / 10;
    if (s->n != 1 || tenth < 5 || d->chains < 1) return;
    GammaResult first = part_of(s, d->chains, 0, tenth), rest = part_of(s, d->chains, tenth, s->draws - tenth);
    double error = fmax(hypot(first.error, rest.error), scatter_over_chains(s, d->chains, tenth));
    double off = fabs(first.value - rest.value);
    if (!(off > 5 * error) || off <= 1e-12 * fabs(rest.value)) return;
    const char *text = d->task->primaries[which].at.text;
    run_diagnostic(r, NOTICE_WARNING, "D0106", "`%.60s`: its mean over the first tenth of the draws, %s, differs from the rest, %s, by more than 5 combined "
                   "errors: `%s` is still thermalising, and every report is biased. Use a longer warm-up (now %lld).", text,
                   format_value_error(r->arena, first.value, first.error), format_value_error(r->arena, rest.value, rest.error),
                   d->task->method, (long long)d->task->warmup);
}

/* ---- what the sampler itself has to say ---------------------------------------------------------- */

/* Several samples by the same method say it once. */
static bool is_said(const RunResult *r, const char *text) {
    for (int i = 0; i < r->diagnostics.n; i++)
        if (!strcmp(r->diagnostics.data[i].text, text)) return true;
    return false;
}

static void check_warnings(RunResult *r, const SampleData *d) {
    for (int i = 0; i < d->task->nwarnings; i++) {
        const RunWarning *w = &d->task->warnings[i];
        const Series *s = w->always ? NULL : sample_stat(d, w->name);
        double met = 0, total = s ? (double)d->chains * (double)s->draws : 1;
        for (int64_t k = 0; s && k < d->chains * s->draws; k++) met += s->data[k];
        const char *always = arena_printf(r->arena, "`%s`: %s", d->task->method, w->text);
        if (w->always && !is_said(r, always)) run_diagnostic(r, NOTICE_WARNING, "D0109", "%s", always);
        else if (met > 0)
            run_diagnostic(r, NOTICE_WARNING, "D0109", "`%s`, in %.3g %% of the steps: %s", d->task->method, 100 * met / total, w->text);
    }
}

Mean monitor_mean(const SampleData *d, int monitor) {
    GammaResult g;
    int64_t *length = equal_lengths(d->chains, d->stats[monitor].draws);
    stats_gamma(d->stats[monitor].data, (int)d->chains, length, WINDOW, &g);
    free(length);
    return (Mean){g.value, g.error};
}

TailResult monitor_tail(const SampleData *d, int monitor) {
    TailResult t;
    int64_t *length = equal_lengths(d->chains, d->stats[monitor].draws);
    stats_tail(d->stats[monitor].data, (int)d->chains, length, &t);
    free(length);
    return t;
}

static void check_tail(RunResult *r, const SampleData *d, int monitor) {
    TailResult t = monitor_tail(d, monitor);
    const char *name = d->task->monitors[monitor].name, *method = d->task->method;
    const char *shape = isfinite(t.shape) ? format_value_error(r->arena, t.shape, t.shape_error) : "unknown";
    switch (t.verdict) {
    case TAIL_EXPONENTIAL:
        run_diagnostic(r, NOTICE_REMARK, "D0110", "`%s`: the distribution of `%s` falls off exponentially or faster: beyond %.4g the shape of "
                       "its tail is %s, and 0 is exponential.", method, name, t.threshold, shape);
        break;
    case TAIL_POWER:
        run_diagnostic(r, NOTICE_FAILED, "D0111", "`%s`: the distribution of `%s` falls off more slowly than an exponential: beyond %.4g the "
                       "shape of its tail is %s (0 is exponential, and more than 4 errors are too much), and its largest value is %.3g "
                       "scales out (of an exponential %.0f). Where the method needs a faster fall, its results are not to be trusted.",
                       method, name, t.threshold, shape, t.largest, t.reach);
        break;
    case TAIL_UNDECIDED:
        run_diagnostic(r, NOTICE_WARNING, "D0112", "`%s`: whether the distribution of `%s` falls off exponentially or like a power cannot be "
                       "told from this run: the shape of its tail is %s (0 is exponential). Take more draws.", method, name, shape);
    }
}

enum { DRAWS_TO_MOVE = 10 };

static bool is_constant(const Series *s, int64_t chains) {
    for (int64_t c = 0; c < chains; c++) {
        const double *first = s->data + c * s->draws * s->n;
        for (int64_t k = s->n; k < s->draws * s->n; k++)
            if (first[k] != first[k % s->n]) return false;
    }
    return true;
}

/* Steps that leave everything as it is are all accepted, with the ratio 1. */
static void check_moved(RunResult *r, const SampleData *d) {
    bool moved = d->nprimaries == 0 || d->draws < DRAWS_TO_MOVE;
    for (int i = 0; i < d->nprimaries && !moved; i++) moved = !is_constant(&d->primaries[i], d->chains);
    if (!moved)
        run_diagnostic(r, NOTICE_WARNING, "D0101", "`%s`: all that is measured kept its value in each of %lld chains for %lld draws: "
                       "the method moves nothing with these options, or only constants are measured.", d->task->method, (long long)d->chains, (long long)d->draws);
}

void summarize_sample(RunResult *r, const SampleData *data) {
    Acceptance a = {0};
    if (sample_acceptance(data, &a)) {
        check_acceptance(r, data, &a);
        check_ratio(r, data, &a);
    }
    check_energy(r, data);
    if (!a.stuck) check_moved(r, data);
    check_warnings(r, data);
    for (int i = 0; i < data->nstats && i < data->task->nmonitors; i++)
        if (data->task->monitors[i].tail) check_tail(r, data, i);
    for (int i = 0; i < data->nprimaries; i++) check_thermalised(r, data, i);
}
