/* stats.c — the Γ-method, split-R̂ and effective sample sizes: see stats.h for the
 * conventions and the papers. */
#include "stats.h"

#include "base.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- sums over series ------------------------------------------------------------ */

static double mean_of(const double *x, int64_t n)
{
    long double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return (double)(sum / (long double)n);
}

static double dot(const double *a, const double *b, int64_t n)
{ /* eight running sums: faster, and a smaller rounding error than one */
    double s[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) s[j] += a[i + j] * b[i + j];
    for (; i < n; i++) s[i & 7] += a[i] * b[i];
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

static bool all_finite(const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

/* ---- autocorrelation ---------------------------------------------------------------- */

typedef struct Complex {
    double re, im;
} Complex;

/* Forward transform in place, n a power of two, decimation in frequency: the result
 * is in bit-reversed order.  root[k] = exp(-2πik/n), k < n/2. */
static void transform(Complex *x, int64_t n, const Complex *root)
{
    for (int64_t half = n / 2, stride = 1; half >= 1; half /= 2, stride *= 2)
        for (int64_t base = 0; base < n; base += 2 * half)
            for (int64_t k = 0; k < half; k++) {
                Complex *p = &x[base + k], *q = p + half, w = root[k * stride];
                double re = p->re - q->re, im = p->im - q->im;
                *p = (Complex){p->re + q->re, p->im + q->im};
                *q = (Complex){re * w.re - im * w.im, re * w.im + im * w.re};
            }
}

static int64_t bit_reverse(int64_t i, int64_t n)
{
    int64_t r = 0;
    for (int64_t bit = 1; bit < n; bit *= 2, i /= 2) r = 2 * r + (i & 1);
    return r;
}

/* sum[t] += Σ_i x[i] x[i+t] for t < nt <= n, by the Wiener–Khinchin theorem */
static void correlate_fft(const double *x, int64_t n, int64_t nt, double *sum)
{
    int64_t m = 2;
    while (m < n + nt) m *= 2; /* zero padding keeps the wrapped part out */
    Complex *z = lq_alloc((size_t)m * sizeof *z), *root = lq_alloc((size_t)m / 2 * sizeof *root);
    for (int64_t k = 0; k < m / 2; k++) {
        double angle = -2 * M_PI * (double)k / (double)m;
        root[k] = (Complex){cos(angle), sin(angle)};
    }
    for (int64_t i = 0; i < m; i++) z[i] = (Complex){i < n ? x[i] : 0, 0};
    transform(z, m, root);
    for (int64_t i = 0; i < m; i++) /* the power spectrum, still in reversed order */
        z[i] = (Complex){z[i].re * z[i].re + z[i].im * z[i].im, 0};
    for (int64_t i = 0; i < m; i++) {
        int64_t j = bit_reverse(i, m);
        if (i < j) {
            Complex swap = z[i];
            z[i] = z[j];
            z[j] = swap;
        }
    }
    transform(z, m, root); /* real and even: forward is backward */
    for (int64_t t = 0; t < nt; t++) sum[t] += z[bit_reverse(t, m)].re / (double)m;
    free(root);
    free(z);
}

/* Lagged products of fluctuations, summed over replica, for t < ntimes: the first
 * few directly, which is exact and mostly enough; all by Fourier when more are asked
 * for. */
typedef struct Correlator {
    const double *delta; /* replica one after the other, their means subtracted */
    const int64_t *length;
    int nrep;
    int64_t ntimes, known;
    double *sum;
} Correlator;

enum { DIRECT_TIMES = 512 };

static double correlator(Correlator *c, int64_t t)
{
    if (t >= c->known && t < DIRECT_TIMES) {
        const double *x = c->delta;
        for (int r = 0; r < c->nrep; x += c->length[r++])
            if (t < c->length[r]) c->sum[t] += dot(x, x + t, c->length[r] - t);
        c->known = t + 1;
    } else if (t >= c->known) {
        memset(c->sum, 0, (size_t)c->ntimes * sizeof *c->sum);
        const double *x = c->delta;
        for (int r = 0; r < c->nrep; x += c->length[r++])
            correlate_fft(x, c->length[r],
                          c->length[r] < c->ntimes ? c->length[r] : c->ntimes, c->sum);
        c->known = c->ntimes;
    }
    return c->sum[t];
}

/* Γ(t), Wolff eq. (31): normalised by the number of pairs */
static double gamma_at(Correlator *c, int64_t t)
{
    int64_t pairs = 0;
    for (int r = 0; r < c->nrep; r++)
        if (t < c->length[r]) pairs += c->length[r] - t;
    return correlator(c, t) / (double)(pairs ? pairs : 1);
}

/* ---- Γ-method ---------------------------------------------------------------------------- */

/* Negative once the statistical error of τ(W) exceeds the truncation error:
 * Wolff eq. (52). */
static double window_excess(double tau, double S, int64_t W, double N)
{
    double decay = S / log((2 * tau + 1) / (2 * tau - 1));
    return exp(-(double)W / decay) - decay / sqrt((double)W * N);
}

/* Sums the normalised Γ up to the automatic window; W stays below `limit`. */
static void find_window(Correlator *c, double gamma0, double S, double N, int64_t limit,
                        GammaResult *r)
{
    double sum = 0.5, tau = 0.5;
    int64_t W = 0;
    if (S > 0)
        for (W = 1; W < limit; W++) {
            sum += gamma_at(c, W) / gamma0;
            tau = sum <= 0.5 ? 0.5 + DBL_EPSILON : sum;
            if (window_excess(tau, S, W, N) < 0 || W == limit - 1) break;
        }
    if (W >= limit) W = 0; /* too short for any window */
    r->window = W;
    r->tau_int_error = W ? 2 * tau * sqrt(fabs((double)W + 0.5 - tau) / N) : 0;
    r->tau_int = W ? tau * (1 + (2 * (double)W + 1) / N) / (1 + 1 / N) : 0.5;
}

/* the numbers that follow from Γ(0) and τ_int */
static void finish(GammaResult *r, double gamma0, double N)
{
    r->variance = gamma0 * (1 + 1 / N);
    r->error = r->window ? sqrt(2 * r->tau_int * gamma0 * (1 + 1 / N) / N)
                         : sqrt(gamma0 / (N - 1));
    r->error_error = r->error * sqrt(((double)r->window + 0.5) / N);
    r->ess = N / (2 * r->tau_int);
}

static int64_t total_length(int nrep, const int64_t *length)
{
    int64_t n = 0;
    for (int r = 0; r < nrep; r++) n += length[r];
    return n;
}

void stats_gamma_projected(const double *projected, int nrep, const int64_t *length,
                           double S, double value, GammaResult *r)
{
    int64_t n = total_length(nrep, length), longest = 0;
    *r = (GammaResult){value, NAN, NAN, NAN, NAN, 0, NAN, NAN};
    if (n < 2 || !isfinite(value) || !(S >= 0) || !all_finite(projected, n)) return;

    double *delta = lq_alloc((size_t)n * sizeof *delta);
    bool constant = true;
    for (int64_t rep = 0, i = 0; rep < nrep; rep++) {
        if (length[rep] > longest) longest = length[rep];
        double mean = mean_of(projected + i, length[rep]), first = projected[i];
        for (int64_t end = i + length[rep]; i < end; i++) {
            constant = constant && projected[i] == first;
            delta[i] = projected[i] - mean;
        }
    }
    if (longest < 2) {                    /* one value a replicum: no scatter within any */
        free(delta);
        return;
    }
    int64_t limit = longest / 2;
    Correlator c = {delta, length, nrep, limit > 1 ? limit : 1, 0, NULL};
    c.sum = lq_alloc((size_t)c.ntimes * sizeof *c.sum);
    memset(c.sum, 0, (size_t)c.ntimes * sizeof *c.sum);
    double gamma0 = gamma_at(&c, 0), N = (double)n;
    if (constant || gamma0 < 10 * DBL_MIN) /* a mean of equal values may be rounded */
        *r = (GammaResult){value, 0, 0, 0.5, 0, 0, N, 0};
    else {
        find_window(&c, gamma0, S, N, limit, r);
        finish(r, gamma0, N);
    }
    free(c.sum);
    free(delta);
}

void stats_gamma(const double *series, int nrep, const int64_t *length, double S,
                 GammaResult *r)
{
    int64_t n = total_length(nrep, length);
    stats_gamma_projected(series, nrep, length, S, n > 0 ? mean_of(series, n) : NAN, r);
}

/* ---- ranks ---------------------------------------------------------------------------------- */

/* Φ⁻¹(p), 0 < p < 1: Abramowitz and Stegun 26.2.23 (error below 4.5e-4), then two
 * steps of Halley's method, each cubing it. */
static double normal_quantile(double p)
{
    double tail = p < 0.5 ? p : 1 - p, t = sqrt(-2 * log(tail));
    double z = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                       (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    for (int step = 0; step < 2; step++) {
        double density = exp(-0.5 * z * z) / sqrt(2 * M_PI);
        double newton = (0.5 * erfc(z * M_SQRT1_2) - tail) / density;
        z += newton / (1 - 0.5 * z * newton);
    }
    return p < 0.5 ? -z : z;
}

/* The scores of whole ranks 1 … n, kept from call to call: all the quantities of a run
 * have the same number of values.  One table a thread. */
static const double *normal_scores(int64_t n)
{
    static _Thread_local double *table;
    static _Thread_local int64_t size;
    if (n == size) return table;
    table = lq_realloc(table, (size_t)n * sizeof *table);
    size = n;
    for (int64_t i = 0; i < (n + 1) / 2; i++) {
        double z = normal_quantile(((double)(i + 1) - 0.375) / ((double)n + 0.25));
        table[i] = z;
        table[n - 1 - i] = -z;
    }
    if (n % 2) table[n / 2] = 0;
    return table;
}

typedef struct Ranked {
    uint64_t key;  /* orders as the value does */
    int64_t place;
} Ranked;

enum { RADIX_BITS = 11, RADIX_SIZE = 1 << RADIX_BITS };

/* The bits of a double as an unsigned number of the same order; -0 equals 0. */
static uint64_t sort_key(double x)
{
    uint64_t bits;
    x += 0.0;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

/* Least significant digit first, eleven bits a pass; digits that are all equal are
 * skipped.  Returns whichever of the two arrays holds the result. */
static Ranked *radix_sort(Ranked *from, Ranked *to, int64_t n)
{
    for (int shift = 0; shift < 64; shift += RADIX_BITS) {
        int64_t count[RADIX_SIZE + 1] = {0};
        for (int64_t i = 0; i < n; i++) count[1 + (from[i].key >> shift) % RADIX_SIZE]++;
        if (count[1 + (from[0].key >> shift) % RADIX_SIZE] == n) continue;
        for (int d = 0; d < RADIX_SIZE; d++) count[d + 1] += count[d];
        for (int64_t i = 0; i < n; i++) to[count[(from[i].key >> shift) % RADIX_SIZE]++] = from[i];
        Ranked *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

/* Replaces values by normal scores of their ranks, ties sharing the mean rank:
 * Vehtari et al. eq. (14).  Returns the median of the values. */
static double rank_normalise(double *x, int64_t n)
{
    Ranked *memory = lq_alloc(2 * (size_t)n * sizeof *memory);
    const double *scores = normal_scores(n);
    for (int64_t i = 0; i < n; i++) memory[i] = (Ranked){sort_key(x[i]), i};
    const Ranked *sorted = radix_sort(memory, memory + n, n);
    double median = 0.5 * (x[sorted[(n - 1) / 2].place] + x[sorted[n / 2].place]);
    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && sorted[j].key == sorted[i].key;) j++;
        double rank = 0.5 * (double)(i + 1 + j); /* the mean of i+1 … j */
        double z = j == i + 1 ? scores[i] : normal_quantile((rank - 0.375) / ((double)n + 0.25));
        for (int64_t k = i; k < j; k++) x[sorted[k].place] = z;
    }
    free(memory);
    return median;
}

/* ---- split-R̂ and the bulk ESS ----------------------------------------------------------------- */

typedef struct Halves {
    double *x; /* nchains chains of n values */
    int64_t n, nchains;
} Halves;

static bool is_constant(const double *x, int64_t n)
{
    for (int64_t i = 1; i < n; i++)
        if (x[i] != x[0]) return false;
    return true;
}

/* The first and the last n of the first 2n or 2n+1 values of each chain; false (and
 * nothing allocated) when there is too little, or nothing to compare. */
static bool split(const double *series, int nrep, const int64_t *length, Halves *h)
{
    if (nrep < 1) return false;
    int64_t shortest = length[0];
    for (int r = 1; r < nrep; r++)
        if (length[r] < shortest) shortest = length[r];
    if (shortest < 4 || !all_finite(series, total_length(nrep, length))) return false;
    *h = (Halves){NULL, shortest / 2, 2 * (int64_t)nrep};
    h->x = lq_alloc((size_t)(h->n * h->nchains) * sizeof *h->x);
    for (int r = 0; r < nrep; series += length[r++]) {
        size_t bytes = (size_t)h->n * sizeof *h->x;
        memcpy(h->x + 2 * r * h->n, series, bytes);
        memcpy(h->x + (2 * r + 1) * h->n, series + shortest - h->n, bytes);
    }
    if (!is_constant(h->x, h->n * h->nchains)) return true;
    free(h->x);
    return false;
}

static double variance_of(const double *x, int64_t n)
{
    double mean = mean_of(x, n);
    long double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (long double)(x[i] - mean) * (x[i] - mean);
    return (double)(sum / (long double)(n - 1));
}

/* mean of the variances within chains, and the variance of their means */
static void within_between(const Halves *h, double *within, double *between)
{
    double *mean = lq_alloc((size_t)h->nchains * sizeof *mean), sum = 0;
    for (int64_t c = 0; c < h->nchains; c++) {
        mean[c] = mean_of(h->x + c * h->n, h->n);
        sum += variance_of(h->x + c * h->n, h->n);
    }
    *within = sum / (double)h->nchains;
    *between = variance_of(mean, h->nchains);
    free(mean);
}

/* Vehtari et al. eqs. (1)–(4) */
static double rhat_of(const Halves *h)
{
    double within, between, n = (double)h->n;
    within_between(h, &within, &between);
    return sqrt((n * between / within + n - 1) / n);
}

/* R̂ from the split chains and their normal scores (which it takes over). */
static double split_rhat(const Halves *raw, const Halves *bulk, double median)
{
    int64_t total = raw->n * raw->nchains;
    Halves folded = *raw;
    for (int64_t i = 0; i < total; i++) folded.x[i] = fabs(raw->x[i] - median);
    double rhat = rhat_of(bulk);
    if (is_constant(folded.x, total)) return rhat; /* two-valued, as a spin is: no spread to fold */
    rank_normalise(folded.x, total);
    return fmax(rhat, rhat_of(&folded));
}

/* The autocorrelation at lag t of all chains together, Vehtari et al. eq. (10). */
static double combined_rho(Correlator *c, const Halves *h, double within, double var_plus,
                           int64_t t)
{
    double covariance = correlator(c, t) / (double)(h->n * h->nchains);
    return 1 - (within - covariance) / var_plus;
}

/* -1 + 2 Σ ρ over Geyer's initial positive sequence of pairs, made monotone; the first
 * even ρ after it counts once when positive. */
static double geyer_time(Correlator *c, const Halves *h, double within, double var_plus)
{
    double even = 1, odd = combined_rho(c, h, within, var_plus, 1);
    double previous = even + odd, sum = 0;
    int64_t t = 1; /* the pair (even, odd) is at lags t-1 and t, not yet in sum */
    while (t < h->n - 3 && even + odd > 0) {
        double pair = even + odd < previous ? even + odd : previous;
        sum += pair;
        previous = pair;
        even = combined_rho(c, h, within, var_plus, t + 1);
        odd = combined_rho(c, h, within, var_plus, t + 2);
        t += 2;
    }
    return -1 + 2 * sum + (even > 0 ? even : 0);
}

/* ESS from the normal scores of split chains, which it centres. */
static double bulk_ess(Halves h)
{
    int64_t total = h.n * h.nchains;
    double within, between, n = (double)h.n;
    within_between(&h, &within, &between);
    double var_plus = within * (n - 1) / n + between;

    int64_t *lengths = lq_alloc((size_t)h.nchains * sizeof *lengths);
    for (int64_t c = 0; c < h.nchains; c++) {
        lengths[c] = h.n;
        double mean = mean_of(h.x + c * h.n, h.n);
        for (int64_t i = 0; i < h.n; i++) h.x[c * h.n + i] -= mean;
    }
    Correlator c = {h.x, lengths, (int)h.nchains, h.n, 0, NULL};
    c.sum = lq_alloc((size_t)h.n * sizeof *c.sum);
    memset(c.sum, 0, (size_t)h.n * sizeof *c.sum);
    double tau = fmax(geyer_time(&c, &h, within, var_plus), 1 / log10((double)total));
    free(c.sum);
    free(lengths);
    return (double)total / tau;
}

void stats_mixing(const double *series, int nrep, const int64_t *length, double *rhat, double *ess)
{
    Halves raw;
    *rhat = *ess = NAN;
    if (!split(series, nrep, length, &raw)) return;
    int64_t total = raw.n * raw.nchains;
    Halves bulk = raw;
    bulk.x = lq_alloc((size_t)total * sizeof *bulk.x);
    memcpy(bulk.x, raw.x, (size_t)total * sizeof *bulk.x);
    double median = rank_normalise(bulk.x, total);
    *rhat = split_rhat(&raw, &bulk, median);
    *ess = bulk_ess(bulk);
    free(bulk.x);
    free(raw.x);
}

double stats_split_rhat(const double *series, int nrep, const int64_t *length)
{
    double rhat, ess;
    stats_mixing(series, nrep, length, &rhat, &ess);
    return rhat;
}

double stats_ess_bulk(const double *series, int nrep, const int64_t *length)
{
    double rhat, ess;
    stats_mixing(series, nrep, length, &rhat, &ess);
    return ess;
}

/* ---- weights ---------------------------------------------------------------------------------------- */

double stats_kish_ess(const double *logw, int64_t n)
{
    double largest = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(logw[i]) || logw[i] == INFINITY) return NAN;
        largest = fmax(largest, logw[i]);
    }
    if (largest == -INFINITY) return 0;
    long double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        double w = exp(logw[i] - largest);
        sum += w;
        squares += (long double)w * w;
    }
    return (double)(sum * sum / squares);
}
