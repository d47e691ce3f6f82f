/* hand_math.h — functions of vectors of doubles, for the programs written by hand: sin and
 * exp to about an ulp where those programs need them, and Philox4x32-10. */
#ifndef HAND_MATH_H
#define HAND_MATH_H

#include "hand.h"
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define ROUNDER 0x1.8p52       /* adding it rounds to a whole number, in the lowest bits */

INLINE Vec fused(Vec a, Vec b, Vec c) { return a * b + c; }      /* contracted by the compiler */

/* |x| < 1e5: r = x - nπ in two parts (Cody and Waite), then r + r³ q(r²), where q interpolates
 * (sin r/r - 1)/r² at the Chebyshev points of r² <= (π/2)²: 0.16 ulp before rounding. */
INLINE Vec vec_sin(Vec x) {
    static const double c[8] = {-0x1.5555555555555p-3, 0x1.1111111111107p-7, -0x1.a01a01a018aaap-13, 0x1.71de3a54564dfp-19,
                                -0x1.ae6455a1c0795p-26, 0x1.612401540ed0fp-33, -0x1.ae51366b753a9p-41, 0x1.89a43bea5b135p-49};
    Vec t = x * splat(M_1_PI) + splat(ROUNDER), n = t - splat(ROUNDER);
    Vec r = n * splat(-0x1.921fb54442d18p1) + x, z, p;
    r = n * splat(-0x1.1a62633145c07p-53) + r, z = r * r;
    Vec z2 = z * z, z4 = z2 * z2;
    Vec low = fused(z2, fused(z, splat(c[3]), splat(c[2])), fused(z, splat(c[1]), splat(c[0])));
    Vec high = fused(z2, fused(z, splat(c[7]), splat(c[6])), fused(z, splat(c[5]), splat(c[4])));
    p = fused(z4, high, low);
    return (Vec)((Mask)fused(r * z, p, r) ^ ((Mask)t << 63));
}

/* Both at once: x - nπ/2, and the polynomials of fdlibm's kernels for sin and cos of
 * |r| <= π/4 (k_sin.c, k_cos.c), exchanged and with their signs by the quarter. */
typedef struct Turn { Vec sin, cos; } Turn;

INLINE Turn vec_turn(Vec x) {
    Vec t = x * splat(M_2_PI) + splat(ROUNDER), n = t - splat(ROUNDER), r = n * splat(-0x1.921fb54442d18p0) + x, s, c;
    r = n * splat(-0x1.1a62633145c07p-54) + r;
    Vec z = r * r, z2 = z * z, z4 = z2 * z2;
    s = fused(z2, fused(z, splat(2.75573137070700676789e-06), splat(-1.98412698298579493134e-04)),
              fused(z, splat(8.33333333332248946124e-03), splat(-1.66666666666666324348e-01)));
    s = fused(r * z, fused(z4, fused(z, splat(1.58969099521155010221e-10), splat(-2.50507602534068634195e-08)), s), r);
    c = fused(z2, fused(z, splat(-2.75573143513906633035e-07), splat(2.48015872894767294178e-05)),
              fused(z, splat(-1.38888888888741095749e-03), splat(4.16666666666666019037e-02)));
    c = fused(z4, fused(z, splat(-1.13596475577881948265e-11), splat(2.08757232129817482790e-09)), c);
    c = fused(z2, c, fused(z, splat(-0.5), splat(1)));
    Mask quarter = (Mask)t, odd = (quarter & 1) != 0, sign = (Mask){0} + INT64_MIN;
    return (Turn){(Vec)((Mask)choose(odd, c, s) ^ (quarter << 62 & sign)), (Vec)((Mask)choose(odd, s, c) ^ ((quarter + 1) << 62 & sign))};
}

/* Taylor to degree 12 for |r| <= ln 2/2, where the rest is 2e-16; from e^-708 to e^709. */
INLINE Vec vec_exp(Vec x) {
    x = choose(x < splat(-708), splat(-708), choose(x > splat(709), splat(709), x));
    Vec t = x * splat(M_LOG2E) + splat(ROUNDER), n = t - splat(ROUNDER);
    Vec r = n * splat(-0x1.62e42fefa39efp-1) + x;
    r = n * splat(-0x1.abc9e3b39803fp-56) + r;
    Vec r2 = r * r, r4 = r2 * r2;
    Vec a = fused(r, splat(1. / 6), splat(0.5)), b = fused(r, splat(1. / 120), splat(1. / 24));
    Vec c = fused(r, splat(1. / 5040), splat(1. / 720)), d = fused(r, splat(1. / 362880), splat(1. / 40320));
    Vec e = fused(r2, splat(1. / 479001600), fused(r, splat(1. / 39916800), splat(1. / 3628800)));
    Vec p = fused(r4, fused(r4, e, fused(r2, d, c)), fused(r2, b, a));
    return (Vec)((Mask)(fused(r2, p, r) + splat(1)) + ((Mask)t << 52));
}

/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC11 (2011), section 3.3): every lane its own
 * key, `FLIGHT` blocks at once, one 32-bit word in the low half of each lane. */
typedef uint64_t Words __attribute__((vector_size(64)));
enum { FLIGHT = 4 };
typedef struct Blocks { Words c[4]; } Blocks;

INLINE Words words(uint64_t x) { return x - (Words){0}; }

/* The product of the low halves; the three combined; lane l of the result is lane at[l] & 7. */
#ifdef __AVX512F__
INLINE Words product(Words a, Words b) { return (Words)_mm512_mul_epu32((__m512i)a, (__m512i)b); }
INLINE Words xor3(Words a, Words b, Words c) { return (Words)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0x96); }
INLINE Vec looked_up(Vec table, Mask at) { return (Vec)_mm512_permutexvar_pd((__m512i)at, (__m512d)table); }
#else
INLINE Words product(Words a, Words b) { return (a & words(0xffffffff)) * (b & words(0xffffffff)); }
INLINE Words xor3(Words a, Words b, Words c) { return a ^ b ^ c; }
INLINE Vec looked_up(Vec table, Mask at) {
    Vec v;
    for (int l = 0; l < W; l++) v[l] = table[at[l] & 7];
    return v;
}
#endif

INLINE void philox(Blocks b[FLIGHT], Words k0, Words k1) {
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
#pragma GCC unroll 4
        for (int i = 0; i < FLIGHT; i++) {
            Words *c = b[i].c, p0 = product(c[0], words(0xD2511F53u)), p1 = product(c[2], words(0xCD9E8D57u));
            c[0] = xor3(p1 >> 32, c[1], k0), c[2] = xor3(p0 >> 32, c[3], k1);
            c[1] = p1, c[3] = p0;
        }
        k0 += words(0x9E3779B9u), k1 += words(0xBB67AE85u);
    }
}

/* Two words to a number in (0, 1): the midpoints of 2^-52. */
INLINE Vec uniform(Words low, Words high) {
    Words bits = ((low & words(0xffffffff)) | high << 32) & words(0xfffffffffffffu);
    return (Vec)(bits | words(0x3ff0000000000000u)) - splat(1 - 0x1p-53);
}

#endif
