/* vmath_single.c — the functions of vmath.c in single precision.  See vmath.h. */
#if defined(__GNUC__) && !defined(__clang__)
/* vectorise; both options leave every result as it is */
#pragma GCC optimize("O3", "no-math-errno", "no-trapping-math")
#endif
#include "vmath.h"

#include "vmath_kernels.h"
#undef VM_SINGLE
#define VM_SINGLE 1
#include "vmath_machine.h"
#include "vmath_text.h"

#include "vmath_list.h"
#include "vmath_rare.h"

/* By way of double. */
#define SPECIAL(name) LQ_INLINE float kf_##name(float x) { return (float)k_##name(x); }
#define SPECIAL_2(name) LQ_INLINE float kf_##name(float x, float y) { return (float)k_##name(x, y); }
#define SPECIAL_RARE(name, rare) SPECIAL(name)
VMATH_SPECIAL_1(SPECIAL)
VMATH_SPECIAL_2(SPECIAL_2)
VMATH_SPECIAL_RARE(SPECIAL_RARE)
#define kf_gamma_rare k_gamma_rare

#define KERNEL(name)                                                                   \
    LQ_CLONES void lqmf_##name(float *restrict out, const float *restrict x, int n)    \
    {                                                                                  \
        for (int i = 0; i < n; i++) out[i] = kf_##name(x[i]);                          \
    }

VMATH_1(KERNEL)
VMATH_SPECIAL_1(KERNEL)

#define KERNEL_2(name)                                                                 \
    LQ_CLONES void lqmf_##name(float *restrict out, const float *restrict x,           \
                               const float *restrict y, int n)                         \
    {                                                                                  \
        for (int i = 0; i < n; i++) out[i] = kf_##name(x[i], y[i]);                    \
    }

VMATH_2(KERNEL_2)
VMATH_SPECIAL_2(KERNEL_2)

/* As in vmath.c: the text for all, then another way for the few that are rare. */
#define KERNEL_RARE(name, rare)                                                        \
    static void rare_##name(float *restrict out, const float *restrict x, int n)       \
    {                                                                                  \
        for (int i = 0; i < n; i++)                                                    \
            if (kf_##rare(x[i])) out[i] = lq_rare_##name##f(x[i]);                     \
    }                                                                                  \
    LQ_CLONES void lqmf_##name(float *restrict out, const float *restrict x, int n)    \
    {                                                                                  \
        uint32_t any = 0;                                                              \
        for (int i = 0; i < n; i++) {                                                  \
            any |= kf_##rare(x[i]) ? (uint32_t)1 : 0;                                  \
            out[i] = kf_##name(x[i]);                                                  \
        }                                                                              \
        if (any) rare_##name(out, x, n);                                               \
    }

VMATH_RARE(KERNEL_RARE)
VMATH_SPECIAL_RARE(KERNEL_RARE)
