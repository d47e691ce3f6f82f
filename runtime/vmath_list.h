/* vmath_list.h — the functions of vmath_text.h, for those who make something of each.
 *
 *   VMATH_1(X): X(name) one argument      VMATH_2(X): X(name) two
 *   VMATH_RARE(X): X(name) of one argument, with a text name_rare or trig_rare for
 *                  arguments that an out-of-line function of the runtime takes
 *   VMATH_SPECIAL_1, _2, _RARE: the same of vmath_special.h */
#ifndef LQFT_VMATH_LIST_H
#define LQFT_VMATH_LIST_H

#define VMATH_1(X)                                                                   \
    X(exp) X(expm1) X(log) X(log1p) X(sinh) X(cosh) X(tanh) X(asinh) X(acosh) X(atanh) \
    X(asin) X(acos) X(atan) X(sigmoid) X(softplus)
#define VMATH_2(X) X(atan2)
#define VMATH_RARE(X) X(sin, trig_rare) X(cos, trig_rare) X(tan, trig_rare)

#define VMATH_SPECIAL_1(X) X(erf) X(erfc) X(bessel_ratio) X(log_i0)
#define VMATH_SPECIAL_2(X) X(pow) X(hash)
#define VMATH_SPECIAL_RARE(X) X(lgamma, gamma_rare) X(digamma, gamma_rare)

#endif
