/* vmath.h — elementary functions over arrays: out[i] = f(x[i]).
 *
 * An element's result depends on that element alone: not on n, its position or the
 * vector width of the CPU.  out must not overlap the arguments.  Signed zeros,
 * infinities, NaN and denormals follow C17 annex F; errno and the floating-point
 * flags are not kept.  Arguments of circular functions are in radians.
 *
 * Own kernels (vmath_kernels.h), worst error seen against long double over their
 * whole range, in units in the last place (tests/numerics/test_vmath.c bounds it):
 *
 *     exp   0.97   log   0.76   sin  0.79   sinh  2.15
 *     expm1 1.67   log1p 0.73   cos  0.81   cosh  1.36   tanh 2.17
 *
 * sin and cos of |x| > 1e5 and every other function come from the C library, element
 * by element: their last bit may change with the library, not with n. */
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
/* ln|Γ(x)|; +inf at 0, -1, -2, …  Safe from several threads. */
void lqm_lgamma(double *restrict out, const double *restrict x, int n);

/* The angle of the point (x, y), in (-π, π]. */
void lqm_atan2(double *restrict out, const double *restrict y, const double *restrict x, int n);
void lqm_pow(double *restrict out, const double *restrict x, const double *restrict y, int n);

/* The same in single precision. */
#define LQMF_1(name) void lqmf_##name(float *restrict out, const float *restrict x, int n)
#define LQMF_2(name) \
    void lqmf_##name(float *restrict out, const float *restrict x, const float *restrict y, int n)
LQMF_1(exp); LQMF_1(expm1); LQMF_1(log); LQMF_1(log1p); LQMF_1(sigmoid); LQMF_1(softplus);
LQMF_1(sin); LQMF_1(cos); LQMF_1(tan); LQMF_1(asin); LQMF_1(acos); LQMF_1(atan); LQMF_2(atan2);
LQMF_1(sinh); LQMF_1(cosh); LQMF_1(tanh); LQMF_1(asinh); LQMF_1(acosh); LQMF_1(atanh);
#undef LQMF_1
#undef LQMF_2

#endif
