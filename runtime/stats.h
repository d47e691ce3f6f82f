/* stats.h — errors of correlated series: the Γ-method, split-R̂, effective sample
 * sizes.  A series is nrep replica (chains) one after the other, length[r] values
 * each, in simulation order.  Units: value, error and error_error carry the units of
 * the series; times are in draws; the rest is dimensionless.  Nothing here fails: too
 * little data or non-finite values give NaN where no number can be given. */
#ifndef LQFT_STATS_H
#define LQFT_STATS_H

#include <stdint.h>

typedef struct GammaResult {
    double value;         /* mean over all values, or the caller's derived value */
    double error;         /* σ of value, bias corrected */
    double error_error;   /* statistical error of error */
    double tau_int;       /* integrated autocorrelation time, ½ for independent data */
    double tau_int_error;
    int64_t window;       /* W of the automatic window */
    double ess;           /* N/(2 tau_int) */
    double variance;      /* Γ(0)(1 + 1/N): variance of one value */
} GammaResult;

/* Γ-method with automatic window: U. Wolff, Comput. Phys. Commun. 156 (2004) 143,
 * hep-lat/0306017: Γ(t) eq. (31), window eqs. (50)–(52), bias eq. (49), error of τ
 * eq. (42); S is the ratio of the decay time of the systematic error to τ_int (2 is
 * usual; 0 takes the data as uncorrelated).  Conventions as in the pyerrors package,
 * to rounding: each replicum's own mean is subtracted, W stays below half the longest
 * replicum, τ_int >= ½.  A constant series has error 0 and tau_int ½; fewer than two
 * values in every replicum have error NaN; a non-finite value makes every number NaN. */
void stats_gamma(const double *series, int nrep, const int64_t *length, double S,
                 GammaResult *r);

/* The same for a derived quantity f(ā): projected[i] = Σ_α (∂f/∂a_α)(a_α,i - ā_α),
 * Wolff section 3; value = f(ā) is passed through.  Only differences of projected
 * values matter. */
void stats_gamma_projected(const double *projected, int nrep, const int64_t *length,
                           double S, double value, GammaResult *r);

/* Rank-normalised split-R̂, the larger of the bulk and the folded one: Vehtari,
 * Gelman, Simpson, Carpenter and Bürkner, Bayesian Analysis 16 (2021) 667, eqs. (4),
 * (14) and section 4.1.  Chains are cut to the shortest.  NaN when a chain has fewer
 * than 4 values, a value is not finite, or all are equal. */
double stats_split_rhat(const double *series, int nrep, const int64_t *length);

/* Bulk effective sample size of the rank-normalised split chains (same paper, eqs.
 * (10)–(13), Geyer's initial monotone sequence).  NaN as above; at most
 * N log10 N. */
double stats_ess_bulk(const double *series, int nrep, const int64_t *length);
/* Both at once, which costs little more than one. */
void stats_mixing(const double *series, int nrep, const int64_t *length, double *rhat, double *ess);

/* Kish's effective number (Σw)²/Σw² of n weights given by their logarithms; -inf is a
 * zero weight.  0 when n = 0 or all weights vanish, NaN for NaN or +inf. */
double stats_kish_ess(const double *logw, int64_t n);

/* ---- tail.c ---- */

typedef enum TailVerdict {
    TAIL_EXPONENTIAL,     /* falls exponentially or faster, as far as it was seen */
    TAIL_POWER,           /* falls more slowly than every exponential */
    TAIL_UNDECIDED,       /* too few values, a shape 2.5 to 4 errors above 0, or an error above 0.1 */
} TailVerdict;

typedef struct TailResult {
    TailVerdict verdict;
    double  threshold;    /* the tail is what lies above */
    int64_t excesses;     /* values there */
    double  shape;        /* of the generalised Pareto distribution: 0 exponential, > 0 a power */
    double  shape_error;
    double  largest;      /* excess, in scales of an exponential with the median of the excesses */
    double  reach;        /* what n values of an exponential do not exceed */
} TailResult;

/* The upper tail of the distribution of a series: the largest hundredth of the values
 * (at least 1000 of them, or a tenth if there are fewer, and at most 8000).  A power law
 * when the shape lies more than 4 errors above 0, or when a value lies so far out that an
 * exponential has none there: beyond 1.5 (log n + 10) of its scales, which rare excursions
 * reach whose shape cannot be measured.  The error is the larger of that from
 * deleting one of 16 to 32 groups of chains (or parts of chains) at a time and that of
 * independent values; 16 groups make the pull Student's t with 15 degrees of freedom or
 * better, so that a tail that falls exactly exponentially is called a power law with
 * probability below 6e-4 (the other criterion adds less than 1e-6, however the values are
 * correlated), and one that falls faster less often.  A non-finite value, or
 * fewer than 2000 values, leave it undecided. */
void stats_tail(const double *series, int nrep, const int64_t *length, TailResult *r);

#endif
