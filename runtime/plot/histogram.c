/* histogram.c — how many bins, and what is in them. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "figure.h"

static int64_t finite_values(const double *v, int64_t n, double *lo, double *hi)
{
    int64_t m = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(v[i]))
            continue;
        *lo = m ? fmin(*lo, v[i]) : v[i];
        *hi = m ? fmax(*hi, v[i]) : v[i];
        m++;
    }
    return m;
}

/* The k-th smallest of v[0 … n), which is reordered (Hoare's selection). */
static double kth(double *v, int64_t n, int64_t k)
{
    int64_t l = 0, r = n - 1;
    while (l < r) {
        double pivot = v[l + (r - l) / 2];
        int64_t i = l, j = r;
        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                double t = v[i];
                v[i++] = v[j];
                v[j--] = t;
            }
        }
        if (k <= j)
            r = j;
        else if (k >= i)
            l = i;
        else
            break;
    }
    return v[k];
}

/* Freedman and Diaconis: bins as wide as 2 IQR / n^(1/3).  Where more than half of
 * the values coincide that says nothing, and the number of bins follows Sturges. */
int64_t histogram_bins(const double *v, int64_t n)
{
    double lo = 0, hi = 0;
    int64_t m = finite_values(v, n, &lo, &hi);
    if (m < 2)
        return 10;
    double *w = lq_alloc((size_t)m * sizeof *w);
    for (int64_t i = 0, j = 0; i < n; i++)
        if (isfinite(v[i]))
            w[j++] = v[i] / 4; /* differences cannot overflow */
    double iqr = kth(w, m, m - 1 - (m - 1) / 4) - kth(w, m, (m - 1) / 4);
    free(w);
    double bins = (hi / 4 - lo / 4) / (2 * iqr) * cbrt((double)m);
    if (!(iqr > 0) || isnan(bins))
        bins = 1 + log2((double)m);
    return bins < 10 ? 10 : bins > 200 ? 200 : (int64_t)ceil(bins);
}

/* Bins need a width that can be divided by: 1e-300 at least, and some units in
 * the last place of the values. */
static void widen(double *lo, double *hi, int64_t nbins)
{
    double big = fmax(fabs(*lo), fabs(*hi));
    double least = (double)nbins * fmax(8 * DBL_EPSILON * big, 1e-300);
    if (*hi / 2 - *lo / 2 >= least / 2)
        return;
    double half = *lo == *hi ? fmax(least, big > 0 ? 0.05 * big : 0.5) : least;
    *lo = fmax(*lo - half, -DBL_MAX);
    *hi = fmin(*hi + half, DBL_MAX);
}

static int64_t bin_of(const double *edges, int64_t nbins, double v)
{
    double lo = edges[0] / 2, hi = edges[nbins] / 2;
    double t = (v / 2 - lo) / (hi - lo) * (double)nbins;
    int64_t i = t > 0 ? (t < (double)nbins ? (int64_t)t : nbins - 1) : 0;
    while (i > 0 && v < edges[i]) /* the edges decide, not the rounding of t */
        i--;
    while (i + 1 < nbins && v >= edges[i + 1])
        i++;
    return i;
}

void histogram(const double *v, int64_t n, int64_t nbins, double *edges,
               double *density, double *error)
{
    double lo = 0, hi = 1;
    if (nbins < 1)
        return;
    int64_t m = finite_values(v, n, &lo, &hi);
    widen(&lo, &hi, nbins);
    for (int64_t i = 0; i <= nbins; i++) {
        double t = (double)i / (double)nbins;
        edges[i] = i == nbins ? hi : lo * (1 - t) + hi * t;
    }
    memset(density, 0, (size_t)nbins * sizeof *density);
    for (int64_t i = 0; i < n; i++)
        if (isfinite(v[i]))
            density[bin_of(edges, nbins, v[i])]++;
    for (int64_t i = 0; i < nbins; i++) {
        double width = fmin(edges[i + 1] - edges[i], DBL_MAX);
        double p = m ? density[i] / (double)m : 0; /* binomial: a fixed number of values */
        if (error)
            error[i] = m ? sqrt(p * (1 - p) / (double)m) / width : 0;
        density[i] = p / width;
    }
}
