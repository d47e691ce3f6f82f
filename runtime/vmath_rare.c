/* vmath_rare.c — gamma functions of negative arguments; sin, cos and tan of huge ones: x/π modulo 2 with as many bits of
 * 1/π as matter (Payne and Hanek, ACM SIGNUM Newsletter 18 (1983) 19), then the
 * polynomials of vmath_text.h. */
#include "vmath_rare.h"

#include "vmath_kernels.h"

#include <math.h>

typedef unsigned __int128 Wide;

/* 1/π: bit j, of weight 2^-j, after one word of zeros. */
static const uint64_t inverse_pi[] = {
    0,
    0x517cc1b727220a94u, 0xfe13abe8fa9a6ee0u, 0x6db14acc9e21c820u, 0xff28b1d5ef5de2b0u,
    0xdb92371d2126e970u, 0x0324977504e8c90eu, 0x7f0ef58e5894d39fu, 0x74411afa975da242u,
    0x74ce38135a2fbf20u, 0x9cc8eb1cc1a99cfau, 0x4e422fc5defc941du, 0x8ffc4bffef02cc07u,
    0xf79788c5ad05368fu, 0xb69b3f6793e584dbu, 0xa7a31fb34f2ff516u, 0xba93dd63f5f2f8bdu,
    0x9e839cfbc5294975u, 0x35fdafd88fc6ae84u, 0x2b0198237e3db5d5u, 0xf867de104d7a1b0eu,
};

/* 64 bits from bit j on, j > -64. */
static uint64_t bits_from(int j)
{
    int at = j + 63, word = at / 64, shift = at % 64;
    uint64_t high = inverse_pi[word] << shift;
    return shift ? high | inverse_pi[word + 1] >> (64 - shift) : high;
}

/* An angle of n half turns (tangent: quarter turns) and r + c. */
typedef struct Angle { uint64_t n; double r, c; } Angle;

/* finite x >= 2^40: x = m·2^e, so the bits of 1/π before bit e make whole turns, and
 * of 192 bits from there the error is below 2^-138; no double is closer to a multiple
 * of π/2 than about 2^-62.  The angle is shifted left by so many bits, then by half. */
static Angle reduce(double x, int shift, bool half, double unit_1, double unit_2)
{
    int e = (int)(k_bits(x) >> 52) - 1075;
    uint64_t m = (k_bits(x) & 0xfffffffffffffu) | (uint64_t)1 << 52;
    Wide p0 = (Wide)m * bits_from(e + 128);
    Wide p1 = (Wide)m * bits_from(e + 64) + (p0 >> 64);
    uint64_t w1 = (uint64_t)p1, w2 = m * bits_from(e) + (uint64_t)(p1 >> 64);
    for (; shift; shift--) {
        w2 = w2 << 1 | w1 >> 63;
        w1 = w1 << 1 | (uint64_t)p0 >> 63;
    }
    if (half) w2 += (uint64_t)1 << 62;
    /* w2:w1 in units of 2^-127: rounded to n, the rest is signed */
    __int128 f = (__int128)((Wide)w2 << 65 | (Wide)w1 << 1) >> 1;
    double hi = (double)f, lo = (double)(f - (__int128)hi);
    hi *= 0x1p-127, lo *= 0x1p-127;
    double r = hi * unit_1;
    double c = __builtin_fma(hi, unit_1, -r) + __builtin_fma(hi, unit_2, lo * unit_1);
    return (Angle){(w2 >> 63) + (f < 0), r + c, (r - (r + c)) + c};
}

static double flip(double y, double sign)
{
    return k_double(k_bits(y) ^ k_sign_of(sign));
}

double lq_rare_sin(double x)
{
    double a = __builtin_fabs(x);
    if (!(a < V_INFINITY)) return V_NAN;
    Angle t = reduce(a, 0, false, D_PI_1, D_PI_2);
    return flip(k_sin_half_turns(t.r, t.n), x);
}

double lq_rare_cos(double x)
{
    double a = __builtin_fabs(x);
    if (!(a < V_INFINITY)) return V_NAN;
    Angle t = reduce(a, 0, true, D_PI_1, D_PI_2);
    return k_sin_half_turns(t.r, t.n);
}

double lq_rare_tan(double x)
{
    double a = __builtin_fabs(x);
    if (!(a < V_INFINITY)) return V_NAN;
    Angle t = reduce(a, 1, false, D_PI_2_1, D_PI_2_2);
    return flip(k_tan_quarter_turns(t.r, t.c, t.n), x);
}

double lq_rare_lgamma(double x)
{
    int sign; /* lgammal itself writes a global */
    return (double)lgammal_r(x, &sign);
}

/* ψ(x) = ψ(1 - x) - π cot(πx), in long double: the zeros between the poles cost digits */
double lq_rare_digamma(double x)
{
    long double fraction = (long double)x - rintl(x), turned = 0;
    if (fraction == 0 || isinf(x)) return V_NAN;
    if (fabsl(fraction) != 0.5L) turned = M_PIl / tanl(M_PIl * fraction);
    return (double)(k_digamma(1 - x) - turned);
}

float lq_rare_lgammaf(float x)
{
    return (float)lq_rare_lgamma(x);
}

float lq_rare_digammaf(float x)
{
    return (float)lq_rare_digamma(x);
}

/* Single precision by way of double, whose errors round away. */

float lq_rare_sinf(float x)
{
    return (float)(k_trig_rare(x) ? lq_rare_sin(x) : k_sin(x));
}

float lq_rare_cosf(float x)
{
    return (float)(k_trig_rare(x) ? lq_rare_cos(x) : k_cos(x));
}

float lq_rare_tanf(float x)
{
    return (float)(k_trig_rare(x) ? lq_rare_tan(x) : k_tan(x));
}
