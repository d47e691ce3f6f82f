/* vmath.h — elementary functions over arrays: out[i] = f(x[i]).
 *
 * An element's result depends on that element alone: not on n, its position or the
 * vector width of the CPU.  out must not overlap the arguments.  Signed zeros,
 * infinities, NaN and denormals follow C17 annex F; errno and the floating-point
 * flags are not kept.  Arguments of circular functions are in radians.
 *
 * At most 2.5 units in the last place; worst error seen over the whole range, against
 * references of 113 bits (tests/numerics/test_vmath.c bounds it), double and single:
 *
 *     exp          1.05 0.95    expm1        2.18 1.45    log          0.79 0.74
 *     log1p        0.75 0.74    sin          1.87 1.47    cos          2.39 2.16
 *     tan          2.21 1.90    sinh         2.35 1.88    cosh         1.40 1.29
 *     tanh         2.35 2.12    asin         2.18 1.70    acos         2.15 1.34
 *     atan         1.90 1.34    atan2        1.89 1.50    asinh        1.51 1.47
 *     acosh        1.96 1.40    atanh        1.80 1.80    sigmoid      2.07 1.88
 *     softplus     1.44 1.45    pow          1.26 0.50    erf          1.22 0.50
 *     erfc         2.18 0.50    lgamma       2.09 0.50    digamma      1.70 0.50
 *     bessel_ratio 1.52 0.50    log_i0       1.87 0.50
 *
 * Only lgamma and digamma of negative arguments come from the C library (long double,
 * element by element): their last bit may change with the library, not with n.  digamma
 * is not bounded there, near its zeros. */
#ifndef LQFT_VMATH_H
#define LQFT_VMATH_H

void lqm_exp(double *restrict out, const double *restrict x, int n);
void lqm_expm1(double *restrict out, const double *restrict x, int n); /* e^x - 1 */
void lqm_log(double *restrict out, const double *restrict x, int n);
void lqm_log1p(double *restrict out, const double *restrict x, int n); /* ln(1 + x) */
void lqm_sin(double *restrict out, const double *restrict x, int n);
void lqm_cos(double *restrict out, const double *restrict x, int n);
void lqm_sinh(double *restrict out, const double *restrict x, int n);
void lqm_cosh(double *restrict out, const double *restrict x, int n);
void lqm_tanh(double *restrict out, const double *restrict x, int n);

void lqm_tan(double *restrict out, const double *restrict x, int n);
void lqm_asin(double *restrict out, const double *restrict x, int n);
void lqm_acos(double *restrict out, const double *restrict x, int n);
void lqm_atan(double *restrict out, const double *restrict x, int n);
void lqm_asinh(double *restrict out, const double *restrict x, int n);
void lqm_acosh(double *restrict out, const double *restrict x, int n);
void lqm_atanh(double *restrict out, const double *restrict x, int n);
void lqm_sigmoid(double *restrict out, const double *restrict x, int n);  /* 1/(1 + e^-x) */
void lqm_softplus(double *restrict out, const double *restrict x, int n); /* ln(1 + e^x) */
void lqm_erf(double *restrict out, const double *restrict x, int n);
void lqm_erfc(double *restrict out, const double *restrict x, int n);
void lqm_digamma(double *restrict out, const double *restrict x, int n); /* (ln Γ)'; NaN at 0, -1, … */
void lqm_bessel_ratio(double *restrict out, const double *restrict x, int n); /* I1(x)/I0(x) */
void lqm_log_i0(double *restrict out, const double *restrict x, int n);       /* ln I0(x) */
/* ln|Γ(x)|; +inf at 0, -1, -2, …  Safe from several threads. */
void lqm_lgamma(double *restrict out, const double *restrict x, int n);

/* The angle of the point (x, y), in (-π, π]. */
void lqm_atan2(double *restrict out, const double *restrict y, const double *restrict x, int n);
void lqm_pow(double *restrict out, const double *restrict x, const double *restrict y, int n);

/* A number in (0, 1) that is as good as drawn, for each pair (x, y): the uniform number of
 * philox.h from the first two words of the block with key (0, 0) and the counter (low word of x's
 * bits, high word, low word of y's, high word), -0 taken as 0.  NaN if x or y is. */
void lqm_hash(double *restrict out, const double *restrict x, const double *restrict y, int n);

/* The same in single precision. */
#define LQMF_1(name) void lqmf_##name(float *restrict out, const float *restrict x, int n)
#define LQMF_2(name) \
    void lqmf_##name(float *restrict out, const float *restrict x, const float *restrict y, int n)
LQMF_1(exp); LQMF_1(expm1); LQMF_1(log); LQMF_1(log1p); LQMF_1(sigmoid); LQMF_1(softplus);
LQMF_1(sin); LQMF_1(cos); LQMF_1(tan); LQMF_1(asin); LQMF_1(acos); LQMF_1(atan); LQMF_2(atan2);
LQMF_1(sinh); LQMF_1(cosh); LQMF_1(tanh); LQMF_1(asinh); LQMF_1(acosh); LQMF_1(atanh);
LQMF_1(erf); LQMF_1(erfc); LQMF_1(lgamma); LQMF_1(digamma); LQMF_1(bessel_ratio); LQMF_1(log_i0);
LQMF_2(pow); LQMF_2(hash);
#undef LQMF_1
#undef LQMF_2

#endif
