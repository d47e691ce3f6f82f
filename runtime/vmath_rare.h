/* vmath_rare.h — arguments that the straight-line texts of vmath_text.h leave out: one
 * element at a time, slowly.  Private to runtime/. */
#ifndef LQFT_VMATH_RARE_H
#define LQFT_VMATH_RARE_H

/* |x| >= 2^40 (single: 2^15), infinities (NaN) and NaN. */
double lq_rare_sin(double x);
double lq_rare_cos(double x);
double lq_rare_tan(double x);
float lq_rare_sinf(float x);
float lq_rare_cosf(float x);
float lq_rare_tanf(float x);

/* x < 0.  The logarithm of |Γ(x)| has a zero between any two poles, where its relative
 * error would grow: it is made from the C library's function for long double. */
double lq_rare_lgamma(double x);
double lq_rare_digamma(double x);
float lq_rare_lgammaf(float x);
float lq_rare_digammaf(float x);

#endif
