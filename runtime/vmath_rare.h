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

#endif
