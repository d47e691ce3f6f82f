/* vmath_kernels.h — one-element kernels of vmath.c and philox.c: branch-free, every
 * multiply-add written out, so that a loop over them vectorises and a result has the
 * same bits at any vector width.  Private to runtime/.
 *
 * Methods: argument reduction by rounding with a large constant and a two-part
 * constant (Cody and Waite, "Software Manual for the Elementary Functions", 1980);
 * polynomials are Chebyshev interpolants computed in 60 digits; the form of log and
 * log1p, f - (f²/2 - s(f²/2 + R)), is that of Tang, ACM TOMS 16 (1990) 378. */
#ifndef LQFT_VMATH_KERNELS_H
#define LQFT_VMATH_KERNELS_H

#include <stdint.h>
#include <string.h>

#define LQ_INLINE static inline __attribute__((always_inline))

/* One copy of a loop for each x86-64 level; the loader picks one (GNU ifunc). */
#if defined(__x86_64__) && defined(__ELF__) && defined(__GLIBC__) && !defined(__clang__) && \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define LQ_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LQ_CLONES
#endif

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

#define K_SIGN 0x8000000000000000u
#define K_ROUND 0x1.8p52 /* adding it rounds to an integer, found in the low bits */
#define K_LN2_HI 0x1.62e42fefa39efp-1
#define K_LN2_LO 0x1.abc9e3b39803fp-56
#define K_INV_LN2 0x1.71547652b82fep+0
#define K_INF __builtin_inf()
#define K_NAN __builtin_nan("")

LQ_INLINE double k_abs(double x)
{
    return k_double(k_bits(x) & ~K_SIGN);
}

LQ_INLINE double k_copysign(double magnitude, double sign)
{
    return k_double(k_bits(magnitude) | (k_bits(sign) & K_SIGN));
}

/* 2^k for -1022 <= k <= 1023, k an integer */
LQ_INLINE double k_pow2(uint64_t k)
{
    return k_double((k + 1023) << 52);
}

/* ---- exponentials ------------------------------------------------------------ */

/* (e^r - 1 - r)/r² for |r| <= ln2/2 */
LQ_INLINE double k_exp_tail(double r)
{
    double r2 = r * r, r4 = r2 * r2;
    double c01 = k_fma(r, 0x1.5555555555557p-3, 0.5);
    double c23 = k_fma(r, 0x1.1111111110036p-7, 0x1.5555555555556p-5);
    double c45 = k_fma(r, 0x1.a01a01ac41f85p-13, 0x1.6c16c16c16276p-10);
    double c67 = k_fma(r, 0x1.71de0115a8b98p-19, 0x1.a01a01a70bf0fp-16);
    double c89 = k_fma(r, 0x1.af503572d408ep-26, 0x1.27e4dac236f7ap-22);
    double low = k_fma(r2, c23, c01);
    double mid = k_fma(r2, c67, c45);
    double high = k_fma(r2, 0x1.1f74532e4ad59p-29, c89);
    return k_fma(r4, k_fma(r4, high, mid), low);
}

/* e^x·2^shift, shift 0 or -1: with -1 it overflows one ln2 later */
LQ_INLINE double k_exp_shifted(double x, int shift)
{
    x = x > 711 ? 711 : x; /* written so that NaN passes */
    x = x < -747 ? -747 : x;
    double t = k_fma(x, K_INV_LN2, K_ROUND), n = t - K_ROUND;
    double r = k_fma(n, -K_LN2_HI, x);
    r = k_fma(n, -K_LN2_LO, r);
    double p = 1 + k_fma(r * r, k_exp_tail(r), r);
    /* 2^n in two factors: the first product is exact, so a denormal is rounded once */
    uint64_t k = k_bits(t) - k_bits(K_ROUND) + (uint64_t)(int64_t)shift;
    uint64_t half = ((k + 2048) >> 1) - 1024;
    return p * k_pow2(half) * k_pow2(k - half);
}

LQ_INLINE double k_exp(double x)
{
    return k_exp_shifted(x, 0);
}

LQ_INLINE double k_expm1(double x0)
{
    double x = x0 > 711 ? 711 : x0;
    x = x < -40 ? -40 : x;
    double t = k_fma(x, K_INV_LN2, K_ROUND), n = t - K_ROUND;
    double r = k_fma(n, -K_LN2_HI, x);
    r = k_fma(n, -K_LN2_LO, r);
    double p = k_fma(r * r, k_exp_tail(r), r);
    /* 2^n p + (2^n - 1), halved and doubled for n > 1000 against overflow */
    uint64_t k = k_bits(t) - k_bits(K_ROUND);
    uint64_t one = x > 690 ? 4 : 0; /* any exact power does */
    double s = k_pow2(k - one);
    double y = k_fma(s, p, s - k_pow2(0 - one)) * k_pow2(one);
    return x0 == 0 ? x0 : y; /* keeps -0 */
}

LQ_INLINE double k_sinh(double x)
{
    double a = k_abs(x);
    double e = k_expm1(a > 30 ? 30 : a);
    double small = 0.5 * (e + e / (e + 1));
    double y = a > 22 ? k_exp_shifted(a, -1) : small;
    return k_copysign(a != a ? a : y, x);
}

LQ_INLINE double k_cosh(double x)
{
    double half = k_exp_shifted(k_abs(x), -1);
    return half + 0.25 / half;
}

LQ_INLINE double k_tanh(double x)
{
    double a = k_abs(x);
    double e = k_expm1(2 * (a > 20 ? 20 : a));
    double q = 1 / (e + 2);
    double y = a > 0.5 ? 1 - 2 * q : e / (e + 2);
    return k_copysign(a != a ? a : y, x);
}

/* ---- logarithms ---------------------------------------------------------------- */

/* log((1 + f)·2^e) + c for 1 + f in [√½, √2) and tiny c */
LQ_INLINE double k_log_parts(double f, double e, double c)
{
    double s = f / (f + 2), z = s * s, z2 = z * z, z4 = z2 * z2;
    double c01 = k_fma(z, 0x1.9999999999a43p-2, 0x1.5555555555555p-1);
    double c23 = k_fma(z, 0x1.c71c7204621fep-3, 0x1.249249247513dp-2);
    double c45 = k_fma(z, 0x1.3b1c79943fca2p-3, 0x1.745cf7c1d5dafp-3);
    double c67 = k_fma(z, 0x1.0c4d8297b1431p-3, 0x1.0fb77bcdefa76p-3);
    double p = k_fma(z4, k_fma(z2, c67, c45), k_fma(z2, c23, c01));
    double h = 0.5 * f * f;
    double low = k_fma(e, K_LN2_LO, k_fma(s, k_fma(z, p, h), c));
    return k_fma(e, K_LN2_HI, f - (h - low));
}

/* x = m·2^*e, m in [√½, √2), for normal positive x */
LQ_INLINE double k_split(double x, double *e)
{
    uint64_t u = k_bits(x) - k_bits(0x1.6a09e667f3bcdp-1) + ((uint64_t)1024 << 52);
    uint64_t biased = u >> 52;                                   /* e + 1024 */
    *e = k_double(k_bits(0x1p52) | biased) - (0x1p52 + 1024.0);  /* exact int to double */
    return k_double(k_bits(x) - ((biased - 1024) << 52));
}

/* log of a normal positive x */
LQ_INLINE double k_log_normal(double x)
{
    double e, m = k_split(x, &e);
    return k_log_parts(m - 1, e, 0);
}

LQ_INLINE double k_log(double x)
{
    double tiny = x < 0x1p-1022 ? 1.0 : 0.0, e;
    double m = k_split(x < 0x1p-1022 ? x * 0x1p54 : x, &e);
    double y = k_log_parts(m - 1, e - 54 * tiny, 0);
    y = x == 0 ? -K_INF : y;
    y = x < 0 ? K_NAN : y;
    y = x == K_INF ? x : y;
    return x != x ? x : y;
}

LQ_INLINE double k_log1p(double x)
{
    double u = 1 + x, back = u - 1;
    double lost = (1 - (u - back)) + (x - back); /* u + lost = 1 + x exactly */
    double e, m = k_split(u, &e);
    double y = k_log_parts(m - 1, e, lost / u);
    y = x == -1 ? -K_INF : y;
    y = x < -1 ? K_NAN : y;
    y = x == K_INF || x == 0 ? x : y;
    return x != x ? x : y;
}

/* ---- circular functions --------------------------------------------------------- */

/* sin and cos of r + c, |r| <= π/4, c below r's last place */
LQ_INLINE double k_sin_poly(double r, double c)
{
    double z = r * r, z2 = z * z;
    double a = k_fma(z, 0x1.1111111111110p-7, -0x1.5555555555555p-3);
    double b = k_fma(z, 0x1.71de3a5455b9ap-19, -0x1.a01a01a0198dep-13);
    double d = k_fma(z, 0x1.6121703ee57b1p-33, -0x1.ae64540000f84p-26);
    double p = k_fma(z2 * z2, k_fma(z2, -0x1.ab0f25d21fd92p-41, d), k_fma(z2, b, a));
    return r + k_fma(r * z, p, c);
}

LQ_INLINE double k_cos_poly(double r, double c)
{
    double z = r * r, z2 = z * z;
    double a = k_fma(z, -0x1.6c16c16c16c16p-10, 0x1.5555555555555p-5);
    double b = k_fma(z, -0x1.27e4fb770e01dp-22, 0x1.a01a01a019ce2p-16);
    double d = k_fma(z, -0x1.9394ace29bd7bp-37, 0x1.1eed8de33ebe0p-29);
    double p = k_fma(z2 * z2, k_fma(z2, 0x1.ab70a23137c25p-45, d), k_fma(z2, b, a));
    double h = 0.5 * z, w = 1 - h;
    return w + (((1 - w) - h) + k_fma(z2, p, -r * c));
}

/* sin(r + c + quadrant·π/2) */
LQ_INLINE double k_quadrant(double r, double c, uint64_t quadrant)
{
    uint64_t s = k_bits(k_sin_poly(r, c)), o = k_bits(k_cos_poly(r, c));
    uint64_t odd = 0 - (quadrant & 1);
    return k_double(((o & odd) | (s & ~odd)) ^ (quadrant >> 1) << 63);
}

#define K_TRIG_MAX 1e5 /* beyond, two parts of π/2 no longer give the full precision */

/* |x| <= K_TRIG_MAX; x - n·(high part) is exact there, being a small multiple of the
 * last place of the smaller operand */
LQ_INLINE double k_trig(double x, uint64_t quadrant)
{
    double t = k_fma(x, 0x1.45f306dc9c883p-1, K_ROUND), n = t - K_ROUND;
    double r0 = k_fma(n, -0x1.921fb54442d18p+0, x);
    double r = k_fma(n, -0x1.1a62633145c07p-54, r0);
    double c = k_fma(n, -0x1.1a62633145c07p-54, r0 - r);
    return k_quadrant(r, c, k_bits(t) + quadrant);
}

LQ_INLINE double k_sin(double x)
{
    double y = k_trig(k_abs(x), 0);
    return k_double(k_bits(y) ^ (k_bits(x) & K_SIGN));
}

LQ_INLINE double k_cos(double x)
{
    return k_trig(k_abs(x), 1);
}

/* cos(2πu), 0 <= u <= 1: the reduction is exact */
LQ_INLINE double k_cos_turns(double u)
{
    double t = k_fma(u, 4, K_ROUND), n = t - K_ROUND;
    double r = k_fma(n, -0.25, u) * 0x1.921fb54442d18p+2;
    return k_quadrant(r, 0, k_bits(t) + 1);
}

#endif
