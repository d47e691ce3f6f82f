/* vmath.c — elementary functions over arrays: loops over the kernels of
 * vmath_kernels.h, and over the C library for the rest.  See vmath.h. */
#if defined(__GNUC__) && !defined(__clang__)
/* vectorise; both options leave every result as it is */
#pragma GCC optimize("O3", "no-math-errno", "no-trapping-math")
#endif
#include "vmath.h"

#include "vmath_kernels.h"

#include <math.h>

#define KERNEL(name)                                                         \
    LQ_CLONES void lqm_##name(double *restrict out, const double *restrict x, \
                              int n)                                         \
    {                                                                        \
        for (int i = 0; i < n; i++) out[i] = k_##name(x[i]);                 \
    }

KERNEL(exp)
KERNEL(expm1)
KERNEL(log)
KERNEL(log1p)
KERNEL(sinh)
KERNEL(cosh)
KERNEL(tanh)

/* The kernel for all, then the C library for the few that are too large (or not
 * finite): which of the two an element gets depends on that element only. */
#define TRIG_KERNEL(name)                                                       \
    static void large_##name(double *restrict out, const double *restrict x,    \
                             int n)                                             \
    {                                                                           \
        for (int i = 0; i < n; i++)                                             \
            if (!(fabs(x[i]) <= K_TRIG_MAX)) out[i] = name(x[i]);               \
    }                                                                           \
    LQ_CLONES void lqm_##name(double *restrict out, const double *restrict x,   \
                              int n)                                            \
    {                                                                           \
        uint64_t large = 0;                                                     \
        for (int i = 0; i < n; i++) {                                           \
            large |= k_abs(x[i]) <= K_TRIG_MAX ? 0 : (uint64_t)1;               \
            out[i] = k_##name(x[i]);                                            \
        }                                                                       \
        if (large) large_##name(out, x, n);                                     \
    }

TRIG_KERNEL(sin)
TRIG_KERNEL(cos)

#define LIBRARY(name)                                                         \
    void lqm_##name(double *restrict out, const double *restrict x, int n)    \
    {                                                                         \
        for (int i = 0; i < n; i++) out[i] = name(x[i]);                      \
    }

LIBRARY(tan)
LIBRARY(asin)
LIBRARY(acos)
LIBRARY(atan)
LIBRARY(asinh)
LIBRARY(acosh)
LIBRARY(atanh)
LIBRARY(erf)
LIBRARY(erfc)

void lqm_lgamma(double *restrict out, const double *restrict x, int n)
{
    int sign; /* lgamma itself writes a global */
    for (int i = 0; i < n; i++) out[i] = lgamma_r(x[i], &sign);
}

void lqm_atan2(double *restrict out, const double *restrict y, const double *restrict x, int n)
{
    for (int i = 0; i < n; i++) out[i] = atan2(y[i], x[i]);
}

void lqm_pow(double *restrict out, const double *restrict x, const double *restrict y, int n)
{
    for (int i = 0; i < n; i++) out[i] = pow(x[i], y[i]);
}
