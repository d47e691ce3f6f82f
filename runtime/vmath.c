/* vmath.c — elementary functions over arrays: loops over the kernels of
 * vmath_kernels.h.  See vmath.h. */
#if defined(__GNUC__) && !defined(__clang__)
/* vectorise; both options leave every result as it is */
#pragma GCC optimize("O3", "no-math-errno", "no-trapping-math")
#endif
#include "vmath.h"

#include "vmath_kernels.h"
#include "vmath_list.h"
#include "vmath_rare.h"

#define KERNEL(name)                                                         \
    LQ_CLONES void lqm_##name(double *restrict out, const double *restrict x, \
                              int n)                                         \
    {                                                                        \
        for (int i = 0; i < n; i++) out[i] = k_##name(x[i]);                 \
    }

VMATH_1(KERNEL)
VMATH_SPECIAL_1(KERNEL)

#define KERNEL_2(name)                                                          \
    LQ_CLONES void lqm_##name(double *restrict out, const double *restrict x,    \
                              const double *restrict y, int n)                  \
    {                                                                           \
        for (int i = 0; i < n; i++) out[i] = k_##name(x[i], y[i]);              \
    }

VMATH_2(KERNEL_2)
VMATH_SPECIAL_2(KERNEL_2)

/* The text for all, then another way for the few that are rare: which of the two an
 * element gets depends on that element only. */
#define KERNEL_RARE(name, rare)                                                 \
    static void rare_##name(double *restrict out, const double *restrict x,     \
                            int n)                                              \
    {                                                                           \
        for (int i = 0; i < n; i++)                                             \
            if (k_##rare(x[i])) out[i] = lq_rare_##name(x[i]);                  \
    }                                                                           \
    LQ_CLONES void lqm_##name(double *restrict out, const double *restrict x,   \
                              int n)                                            \
    {                                                                           \
        uint64_t any = 0;                                                       \
        for (int i = 0; i < n; i++) {                                           \
            any |= k_##rare(x[i]) ? (uint64_t)1 : 0;                            \
            out[i] = k_##name(x[i]);                                            \
        }                                                                       \
        if (any) rare_##name(out, x, n);                                        \
    }

VMATH_RARE(KERNEL_RARE)
VMATH_SPECIAL_RARE(KERNEL_RARE)
