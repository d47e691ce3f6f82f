/* vmath_machine.h — the vocabulary of vmath_text.h in plain C: one element at a time,
 * in loops that the compiler vectorises.  Define VM_SINGLE as 0 (names k_…) or 1 (kf_…)
 * before; include again for the other precision.  Private to runtime/. */
#ifndef LQFT_VMATH_MACHINE_H
#define LQFT_VMATH_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "vmath_coef.h"
#include "vmath_coef_special.h"

#define LQ_INLINE static inline __attribute__((always_inline))
#define K_SIGN 0x8000000000000000u

LQ_INLINE double k_fma(double a, double b, double c)
{
    return __builtin_fma(a, b, c);
}

LQ_INLINE uint64_t k_bits(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

LQ_INLINE double k_double(uint64_t u)
{
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

LQ_INLINE uint32_t kf_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

LQ_INLINE float kf_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* One copy of a loop for each x86-64 level; the loader picks one (GNU ifunc). */
#if defined(__x86_64__) && defined(__ELF__) && defined(__GLIBC__) && !defined(__clang__) && \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define LQ_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LQ_CLONES
#endif

#define VFN(type, name, ...) LQ_INLINE type VM(name)(__VA_ARGS__)
#define VDO(name, ...) VM(name)(__VA_ARGS__)
#define vbool _Bool
#define v_k(c) ((vreal)(c))
#define v_ki(c) ((vint)(c))
#define v_add(a, b) ((a) + (b))
#define v_sub(a, b) ((a) - (b))
#define v_mul(a, b) ((a) * (b))
#define v_div(a, b) ((a) / (b))
#define v_neg(a) (-(a))
#define v_lt(a, b) ((a) < (b))
#define v_le(a, b) ((a) <= (b))
#define v_eq(a, b) ((a) == (b))
#define v_ne(a, b) ((a) != (b))
#define v_and(a, b) ((a) & (b))
#define v_or(a, b) ((a) | (b))
#define v_not(a) (!(a))
#define v_sel(c, a, b) ((c) ? (a) : (b))
#define v_seli(c, a, b) ((c) ? (a) : (b))
#define v_iadd(a, b) ((a) + (b))
#define v_isub(a, b) ((a) - (b))
#define v_imul(a, b) ((a) * (b))
#define v_iand(a, b) ((a) & (b))
#define v_ior(a, b) ((a) | (b))
#define v_ixor(a, b) ((a) ^ (b))
#define v_shl(a, n) ((a) << (n))
#define v_shr(a, n) ((a) >> (n))
#define V_INFINITY __builtin_inf()
#define V_NAN __builtin_nan("")
#endif

#undef vreal
#undef vint
#undef VM
#undef VC
#undef VC_POLY
#undef V_MANT
#undef V_EXP_BITS
#undef V_BIAS
#undef v_fma
#undef v_sqrt
#undef v_abs
#undef v_rint
#undef v_bits
#undef v_real
#if VM_SINGLE
#define vreal float
#define vint uint32_t
#define VM(name) kf_##name
#define VC(name) v_k(F_##name)
#define VC_POLY(name) F_##name
#define V_MANT 23
#define V_EXP_BITS 8
#define V_BIAS 127
#define v_fma(a, b, c) __builtin_fmaf(a, b, c)
#define v_sqrt(a) __builtin_sqrtf(a)
#define v_abs(a) __builtin_fabsf(a)
#define v_rint(a) __builtin_rintf(a)
#define v_bits(a) kf_bits(a)
#define v_real(a) kf_float(a)
#else
#define vreal double
#define vint uint64_t
#define VM(name) k_##name
#define VC(name) v_k(D_##name)
#define VC_POLY(name) D_##name
#define V_MANT 52
#define V_EXP_BITS 11
#define V_BIAS 1023
#define v_fma(a, b, c) __builtin_fma(a, b, c)
#define v_sqrt(a) __builtin_sqrt(a)
#define v_abs(a) __builtin_fabs(a)
#define v_rint(a) __builtin_rint(a)
#define v_bits(a) k_bits(a)
#define v_real(a) k_double(a)
#endif
