/* tail.c — how the distribution of a series falls off: exponentially or faster, or as
 * a power.  The largest values beyond a threshold follow a generalised Pareto
 * distribution (Pickands, Ann. Stat. 3 (1975) 119), whose shape is 0 for an exponential
 * tail, negative for one that falls faster, and 1/alpha for the survival x^-alpha. */
#include "stats.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base.h"

enum { FEWEST = 200, ENOUGH = 1000, MOST = 8000, FEW_GROUPS = 16, MANY_GROUPS = 32 };

/* An excess over the threshold, and the group of draws it comes from. */
typedef struct Excess { double y; int group; } Excess;

static int by_size(const void *a, const void *b)
{
    double x = ((const Excess *)a)->y, y = ((const Excess *)b)->y;
    return (x > y) - (x < y);
}

/* The shape from excesses in increasing order, leaving out one group (-1: none): the
 * estimator of Zhang and Stephens, Technometrics 51 (2009) 316, a mean over the likelihood
 * of the scale parameter theta, as accurate as the largest likelihood and without its
 * failures.  Their k is minus the shape. */
static double shape_of(const Excess *x, int64_t n, int without, double *y)
{
    int64_t m = 0;
    for (int64_t i = 0; i < n; i++)
        if (x[i].group != without) y[m++] = x[i].y;
    if (m < 5) return NAN;
    int steps = 30 + (int)sqrt((double)m);
    double quartile = y[m / 4], largest = y[m - 1], best = -INFINITY, sum = 0, weights = 0;
    double *theta = lq_alloc(2 * (size_t)steps * sizeof *theta), *likelihood = theta + steps;
    for (int j = 0; j < steps; j++) {
        theta[j] = 1 / largest + (1 - sqrt(steps / (j + 0.5))) / (3 * quartile);
        double k = 0;
        for (int64_t i = 0; i < m; i++) k -= log1p(-theta[j] * y[i]);
        k /= (double)m;
        likelihood[j] = (double)m * (log(theta[j] / k) + k - 1);
        if (likelihood[j] > best) best = likelihood[j];
    }
    for (int j = 0; j < steps; j++) {
        double w = exp(likelihood[j] - best);
        if (!isfinite(w)) continue;
        sum += w * theta[j], weights += w;
    }
    double shape = 0;
    for (int64_t i = 0; i < m; i++) shape += log1p(-(sum / weights) * y[i]);
    free(theta);
    return shape / (double)m;
}

/* The k-th largest of n values, by halving an interval of its bits: no copy, no sort. */
static double largest_but(const double *series, int64_t n, int64_t k)
{
    double lo = series[0], hi = series[0];
    for (int64_t i = 1; i < n; i++) {
        if (series[i] < lo) lo = series[i];
        if (series[i] > hi) hi = series[i];
    }
    for (int step = 0; step < 200 && lo < hi; step++) {
        double mid = lo + (hi - lo) / 2;
        if (mid <= lo || mid >= hi) break;
        int64_t above = 0;
        for (int64_t i = 0; i < n; i++) above += series[i] > mid;
        if (above > k) lo = mid;
        else hi = mid;
    }
    return hi;
}

/* Chains are independent groups; where they are few, consecutive parts of each, and
 * where they are many, several together. */
typedef struct Groups { int chains, parts, n; } Groups;

static Groups make_groups(int nrep)
{
    Groups g = {nrep, nrep >= FEW_GROUPS ? 1 : (FEW_GROUPS + nrep - 1) / nrep, 0};
    g.n = nrep > MANY_GROUPS ? MANY_GROUPS : nrep * g.parts;
    return g;
}

static int group_of(const Groups *g, int64_t i, int64_t length, int chain)
{
    if (g->chains > MANY_GROUPS) return (int)((int64_t)chain * MANY_GROUPS / g->chains);
    return chain * g->parts + (int)(i * g->parts / length);
}

static int64_t collect(const double *series, int nrep, const int64_t *length, const Groups *g, double threshold, Excess *out)
{
    int64_t n = 0;
    for (int r = 0; r < nrep; series += length[r++])
        for (int64_t i = 0; i < length[r]; i++)
            if (series[i] > threshold) out[n++] = (Excess){series[i] - threshold, group_of(g, i, length[r], r)};
    return n;
}

/* Deleting one group after the other: the scatter knows of autocorrelation within
 * chains.  Never less than the error of independent excesses, (1 + shape)/sqrt(n). */
static double error_of(const Excess *x, int64_t n, int groups, double shape)
{
    double *y = lq_alloc((size_t)n * sizeof *y), sum = 0, squares = 0;
    for (int g = 0; g < groups; g++) {
        double d = shape_of(x, n, g, y) - shape;
        sum += d, squares += d * d;
    }
    free(y);
    double scatter = squares - sum * sum / groups;
    double jackknife = sqrt((scatter > 0 ? scatter : 0) * (groups - 1) / groups);
    return fmax(jackknife, fmax(0.5, 1 + shape) / sqrt((double)n));
}

void stats_tail(const double *series, int nrep, const int64_t *length, TailResult *r)
{
    int64_t n = 0;
    for (int i = 0; i < nrep; i++) n += length[i];
    *r = (TailResult){TAIL_UNDECIDED, NAN, 0, NAN, NAN, NAN, NAN};
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(series[i])) return;
    int64_t wanted = n / 100 > ENOUGH ? n / 100 : n / 10 < ENOUGH ? n / 10 : ENOUGH;
    if (wanted > MOST) wanted = MOST;
    if (wanted < FEWEST) return;
    Groups groups = make_groups(nrep);
    r->threshold = largest_but(series, n, wanted);
    Excess *x = lq_alloc((size_t)(wanted + 1) * sizeof *x);
    r->excesses = collect(series, nrep, length, &groups, r->threshold, x);
    if (r->excesses >= FEWEST) {
        double *y = lq_alloc((size_t)r->excesses * sizeof *y);
        qsort(x, (size_t)r->excesses, sizeof *x, by_size);
        r->shape = shape_of(x, r->excesses, -1, y);
        r->shape_error = error_of(x, r->excesses, groups.n, r->shape);
        free(y);
        double scale = x[r->excesses / 2].y / M_LN2;       /* of an exponential with this median */
        r->largest = x[r->excesses - 1].y / scale;
        r->reach = 1.5 * (log((double)r->excesses) + 10);
        if (r->shape > 4 * r->shape_error || r->largest > r->reach) r->verdict = TAIL_POWER;
        else if (r->shape < 2.5 * r->shape_error && r->shape_error < 0.1) r->verdict = TAIL_EXPONENTIAL;
    }
    free(x);
}
