/* vmath_text.h — elementary functions, written once for every machine and precision.
 *
 * The text is straight-line and branch-free, over the vocabulary that a *machine*
 * defines (vmath_machine.h: plain C; the LLVM back end: instructions of a vector), so
 * all executors do the same operations and agree in every bit.  Include it after a
 * machine; it may be included once for each machine and precision.
 *
 *   vreal vint vbool            a number, an integer as wide as it, a truth value
 *   VFN(type, name, args) {…}   defines a function; VDO(name, args) calls it
 *   v_k(c) v_ki(c)              constants
 *   v_add v_sub v_mul v_div v_fma v_sqrt v_neg v_abs v_rint
 *   v_lt v_le v_eq v_ne  v_and v_or v_not  v_sel(b, x, y)  v_seli(b, i, j)
 *   v_bits(x) v_real(i)         the same bits as an integer, as a number
 *   v_iadd v_isub v_imul v_iand v_ior v_ixor  v_shl(i, n) v_shr(i, n)
 *   VC(NAME)                    a constant of vmath_coef.h in the machine's precision
 *   V_MANT V_BIAS               bits of the fraction, bias of the exponent
 *
 * Methods: reduction by rounding with a large constant and a constant in parts (Cody
 * and Waite, "Software Manual for the Elementary Functions", 1980), exact with fused
 * multiply-add; the form of log, f - (f²/2 - s(f²/2 + R)), is that of Tang, ACM TOMS 16
 * (1990) 378; inverse functions by the identities that lose no digits. */

/* c0 + c1 x + …, in groups of four: x2 and x4 are powers that the caller has. */
#ifndef VP_1
#define VP_1(a) v_k(a)
#define VP_2(a, b) v_fma(x, v_k(b), v_k(a))
#define VP_3(a, b, c) v_fma(x2, v_k(c), VP_2(a, b))
#define VP_4(a, b, c, d) v_fma(x2, VP_2(c, d), VP_2(a, b))
#define VP_5(a, b, c, d, ...) v_fma(x4, VP_1(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_6(a, b, c, d, ...) v_fma(x4, VP_2(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_7(a, b, c, d, ...) v_fma(x4, VP_3(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_8(a, b, c, d, ...) v_fma(x4, VP_4(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_9(a, b, c, d, ...) v_fma(x4, VP_5(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_10(a, b, c, d, ...) v_fma(x4, VP_6(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_11(a, b, c, d, ...) v_fma(x4, VP_7(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_12(a, b, c, d, ...) v_fma(x4, VP_8(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_13(a, b, c, d, ...) v_fma(x4, VP_9(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_14(a, b, c, d, ...) v_fma(x4, VP_10(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_15(a, b, c, d, ...) v_fma(x4, VP_11(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_16(a, b, c, d, ...) v_fma(x4, VP_12(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_17(a, b, c, d, ...) v_fma(x4, VP_13(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_18(a, b, c, d, ...) v_fma(x4, VP_14(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_19(a, b, c, d, ...) v_fma(x4, VP_15(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_20(a, b, c, d, ...) v_fma(x4, VP_16(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_21(a, b, c, d, ...) v_fma(x4, VP_17(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_22(a, b, c, d, ...) v_fma(x4, VP_18(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_23(a, b, c, d, ...) v_fma(x4, VP_19(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_24(a, b, c, d, ...) v_fma(x4, VP_20(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_25(a, b, c, d, ...) v_fma(x4, VP_21(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_26(a, b, c, d, ...) v_fma(x4, VP_22(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_27(a, b, c, d, ...) v_fma(x4, VP_23(__VA_ARGS__), VP_4(a, b, c, d))
#define VP_28(a, b, c, d, ...) v_fma(x4, VP_24(__VA_ARGS__), VP_4(a, b, c, d))

/* By even and odd powers: not slower for this degree, and x4 is not wanted. */
#define VE_7(a, b, c, d, e, f, g)                                                       \
    v_fma(x, v_fma(x2, v_fma(x2, v_k(f), v_k(d)), v_k(b)),                              \
          v_fma(x2, v_fma(x2, v_fma(x2, v_k(g), v_k(e)), v_k(c)), v_k(a)))

/* A polynomial of vmath_coef.h as a function of x. */
#define V_POLYNOMIAL(name, table)                             \
    VFN(vreal, name, vreal x)                                 \
    {                                                         \
        vreal x2 = v_mul(x, x), x4 = v_mul(x2, x2);           \
        (void)x4;                                             \
        return VC_POLY(table);                                \
    }
#endif

V_POLYNOMIAL(exp_tail, EXP_TAIL)   /* (e^x - 1 - x)/x²,           |x| <= ln2/2 */
V_POLYNOMIAL(log_tail, LOG_TAIL)   /* (2 artanh(s)/s - 2)/x,       x = s², s <= 3 - √8 */
V_POLYNOMIAL(sin_tail, SIN_TAIL)   /* ((sin(r)/r - 1)/x + 1/6)/x,  x = r², r <= π/2 */
V_POLYNOMIAL(sin4_tail, SIN4_TAIL) /* (sin(r)/r - 1)/x,            x = r², r <= π/4 */
V_POLYNOMIAL(cos4_tail, COS4_TAIL) /* (cos(r) - 1 + x/2)/x²,       x = r², r <= π/4 */
V_POLYNOMIAL(atan_tail, ATAN_TAIL) /* (atan(t)/t - 1)/x,           x = t², t <= 1 */

/* ---- bits ---------------------------------------------------------------------- */

VFN(vint, sign_of, vreal x)
{
    return v_iand(v_bits(x), v_shl(v_ki(1), V_MANT + V_EXP_BITS));
}

VFN(vreal, with_sign, vreal magnitude, vreal sign)
{
    return v_real(v_ior(v_bits(magnitude), VDO(sign_of, sign)));
}

/* 2^k for 1 - bias <= k <= bias */
VFN(vreal, pow2, vint k)
{
    return v_real(v_shl(v_iadd(k, v_ki(V_BIAS)), V_MANT));
}

/* p·2^k rounded once: the first of the two products is exact */
VFN(vreal, scale, vreal p, vint k)
{
    vint half = v_isub(v_shr(v_iadd(k, v_ki(2048)), 1), v_ki(1024));
    return v_mul(v_mul(p, VDO(pow2, half)), VDO(pow2, v_isub(k, half)));
}

/* An integer that was rounded by adding VC(ROUND). */
VFN(vint, rounded, vreal t)
{
    return v_isub(v_bits(t), v_bits(VC(ROUND)));
}

VFN(vreal, clamp, vreal x, vreal lo, vreal hi)
{ /* NaN passes */
    x = v_sel(v_lt(hi, x), hi, x);
    return v_sel(v_lt(x, lo), lo, x);
}

/* ---- exponentials ------------------------------------------------------------ */

/* e^x = 2^*k (1 + result) */
VFN(vreal, exp_parts, vreal x, vint *k)
{
    vreal t = v_fma(x, VC(INV_LN2), VC(ROUND)), n = v_sub(t, VC(ROUND));
    vreal r = v_fma(n, v_neg(VC(LN2_1)), x);
    r = v_fma(n, v_neg(VC(LN2_2)), r);
    *k = VDO(rounded, t);
    return v_fma(v_mul(r, r), VDO(exp_tail, r), r);
}

/* e^x·2^shift, shift 0 or -1: with -1 it overflows one ln2 later */
VFN(vreal, exp_shifted, vreal x, vint shift)
{
    vint k;
    vreal p = VDO(exp_parts, VDO(clamp, x, VC(EXP_MIN), VC(EXP_MAX)), &k);
    return VDO(scale, v_add(v_k(1), p), v_iadd(k, shift));
}

VFN(vreal, exp, vreal x)
{
    return VDO(exp_shifted, x, v_ki(0));
}

/* e^x - 1 for x <= VC(EXPM1_MAX), where 2^k is still below twice the largest number */
VFN(vreal, expm1_below, vreal x)
{
    vint k;
    vreal p = VDO(exp_parts, x, &k);
    /* 2^k p + (2^k - 1), by halves against overflow; half of p is exact where p is not tiny, and where
     * it is, p is x but for the sign of 0: no number is that close to another multiple of ln2 */
    vreal s = VDO(pow2, v_isub(k, v_ki(1)));
    vreal y = v_fma(s, p, v_sub(s, v_k(0.5)));
    return v_sel(v_lt(v_abs(p), VC(EXPM1_TINY)), x, v_add(y, y));
}

VFN(vreal, expm1, vreal x)
{
    return VDO(expm1_below, VDO(clamp, x, v_k(-40), VC(EXPM1_MAX)));
}

VFN(vreal, sinh, vreal x)
{
    vreal a = v_abs(x);
    vreal e = VDO(expm1_below, v_sel(v_lt(v_k(30), a), v_k(30), a));
    vreal small = v_mul(v_k(0.5), v_add(e, v_div(e, v_add(e, v_k(1)))));
    vreal y = v_sel(v_lt(v_k(22), a), VDO(exp_shifted, a, v_ki(-1)), small);
    return VDO(with_sign, y, x);
}

VFN(vreal, cosh, vreal x)
{
    vreal half = VDO(exp_shifted, v_abs(x), v_ki(-1));
    return v_add(half, v_div(v_k(0.25), half));
}

/* e/(e + 2) or 1 - 2/(e + 2), e = e^2|x| - 1: one division */
VFN(vreal, tanh, vreal x)
{
    vreal a = v_abs(x);
    vreal e = VDO(expm1_below, v_mul(v_k(2), v_sel(v_lt(v_k(20), a), v_k(20), a)));
    vbool large = v_lt(v_k(0.5), a);
    vreal q = v_div(v_sel(large, v_k(1), e), v_add(e, v_k(2)));
    return VDO(with_sign, v_sel(large, v_fma(v_k(-2), q, v_k(1)), q), x);
}

/* 1/(1 + e^-x): of e = e^-|x|, 1/(1 + e) or e/(1 + e) */
VFN(vreal, sigmoid, vreal x)
{
    vreal e = VDO(exp, v_neg(v_abs(x)));
    return v_div(v_sel(v_lt(x, v_k(0)), e, v_k(1)), v_add(v_k(1), e));
}

/* ---- logarithms ---------------------------------------------------------------- */

/* log((1 + f)·2^e) + c for 1 + f in [√½, √2) and tiny c */
VFN(vreal, log_parts, vreal f, vreal e, vreal c)
{
    vreal s = v_div(f, v_add(f, v_k(2))), z = v_mul(s, s);
    vreal h = v_mul(v_mul(v_k(0.5), f), f);
    vreal low = v_fma(s, v_fma(z, VDO(log_tail, z), h), c);
    low = v_fma(e, VC(LN2_2), low);
    return v_fma(e, VC(LN2_1), v_sub(f, v_sub(h, low)));
}

/* x = m·2^*e, m in [√½, √2), for normal positive x */
VFN(vreal, split, vreal x, vreal *e)
{
    vint u = v_iadd(v_isub(v_bits(x), v_bits(VC(SQRT_HALF))), v_shl(v_ki(V_BIAS + 1), V_MANT));
    vint biased = v_shr(u, V_MANT); /* e + bias + 1; as a number: */
    *e = v_sub(v_real(v_ior(v_bits(VC(INT)), biased)), VC(INT_BIAS));
    return v_real(v_isub(v_bits(x), v_shl(v_isub(biased, v_ki(V_BIAS + 1)), V_MANT)));
}

/* y where x > 0 is finite; annex F elsewhere */
VFN(vreal, log_edges, vreal x, vreal y)
{
    y = v_sel(v_eq(x, v_k(0)), v_k(-V_INFINITY), y);
    y = v_sel(v_lt(x, v_k(0)), v_k(V_NAN), y);
    return v_sel(v_lt(x, v_k(V_INFINITY)), y, v_add(x, x)); /* +inf and NaN */
}

VFN(vreal, log, vreal x)
{
    vbool tiny = v_lt(x, VC(MIN_NORMAL));
    vreal e, m = VDO(split, v_sel(tiny, v_mul(x, VC(LIFT)), x), &e);
    e = v_sub(e, v_sel(tiny, VC(LIFT_EXP), v_k(0)));
    return VDO(log_edges, x, VDO(log_parts, v_sub(m, v_k(1)), e, v_k(0)));
}

/* log((1 + x + xl)·2^more), x > -1 finite, xl below its last place */
VFN(vreal, log1p_pair, vreal x, vreal xl, vreal more)
{
    vreal u = v_add(v_k(1), x), back = v_sub(u, v_k(1));
    vreal lost = v_add(v_sub(v_k(1), v_sub(u, back)), v_sub(x, back)); /* u + lost = 1 + x */
    vreal e, m = VDO(split, u, &e);
    return VDO(log_parts, v_sub(m, v_k(1)), v_add(e, more), v_div(v_add(lost, xl), u));
}

VFN(vreal, log1p_shifted, vreal x, vreal more)
{
    return VDO(log1p_pair, x, v_k(0), more);
}

VFN(vreal, log1p, vreal x)
{
    vreal y = VDO(log1p_shifted, x, v_k(0));
    y = v_sel(v_eq(x, v_k(-1)), v_k(-V_INFINITY), y);
    y = v_sel(v_lt(x, v_k(-1)), v_k(V_NAN), y);
    y = v_sel(v_eq(x, v_k(0)), x, y); /* keeps -0 */
    return v_sel(v_lt(x, v_k(V_INFINITY)), y, v_add(x, x));
}

/* log(1 + e^x) = max(x, 0) + log1p(e^-|x|) */
VFN(vreal, softplus, vreal x)
{
    vreal e = VDO(exp, v_neg(v_abs(x)));
    return v_add(v_sel(v_lt(v_k(0), x), x, v_k(0)), VDO(log1p_shifted, e, v_k(0)));
}

/* log(1 + u), or log(2x) where x is large: the sum would lose nothing but itself */
VFN(vreal, log1p_or_2x, vreal u, vreal x)
{
    vbool large = v_lt(VC(HYP_LARGE), x);
    vreal more = v_sel(large, v_k(1), v_k(0));
    vreal y = VDO(log1p_shifted, v_sel(large, v_sub(x, v_k(1)), u), more);
    return v_sel(v_lt(x, v_k(V_INFINITY)), y, v_add(x, x));
}

VFN(vreal, asinh, vreal x)
{
    vreal a = v_abs(x), root = v_sqrt(v_fma(a, a, v_k(1)));
    vreal u = v_add(a, v_div(v_mul(a, a), v_add(v_k(1), root)));
    return VDO(with_sign, VDO(log1p_or_2x, u, a), x);
}

VFN(vreal, acosh, vreal x)
{
    vreal t = v_sub(x, v_k(1));
    vreal u = v_add(t, v_sqrt(v_fma(t, t, v_add(t, t))));
    vreal y = VDO(log1p_or_2x, u, x);
    return v_sel(v_lt(x, v_k(1)), v_k(V_NAN), y);
}

VFN(vreal, atanh, vreal x)
{
    vreal a = v_abs(x);
    vreal y = VDO(log1p, v_div(v_add(a, a), v_sub(v_k(1), a)));
    return VDO(with_sign, v_mul(v_k(0.5), y), x);
}

/* ---- circular functions --------------------------------------------------------- */

/* Arguments of sin, cos and tan that the texts below do not reduce well enough, with
 * infinities and NaN: an out-of-line function of the runtime takes them. */
VFN(vbool, trig_rare, vreal x)
{
    return v_not(v_lt(v_abs(x), VC(TRIG_MAX)));
}

/* sin(r + n π), |r| <= π/2, n in the lowest bit */
VFN(vreal, sin_half_turns, vreal r, vint n)
{
    vreal z = v_mul(r, r), p = v_fma(z, VDO(sin_tail, z), VC(SIN_3));
    vreal y = v_fma(v_mul(r, z), p, r);
    return v_real(v_ixor(v_bits(y), v_shl(n, V_MANT + V_EXP_BITS)));
}

/* x - nπ: the first step is exact, a small multiple of the last place of the smaller
 * operand; the third counts where the second cancels */
VFN(vreal, minus_half_turns, vreal x, vreal n)
{
    vreal r = v_fma(n, v_neg(VC(PI_1)), x);
    r = v_fma(n, v_neg(VC(PI_2)), r);
    return v_fma(n, v_neg(VC(PI_3)), r);
}

VFN(vreal, sin, vreal x)
{
    vreal a = v_abs(x);
    vreal t = v_fma(a, VC(INV_PI), VC(ROUND));
    vreal r = VDO(minus_half_turns, a, v_sub(t, VC(ROUND)));
    vreal y = VDO(sin_half_turns, r, v_bits(t));
    return v_real(v_ixor(v_bits(y), VDO(sign_of, x)));
}

/* cos(x) = -sin(x - (n + ½)π)·(-1)^n */
VFN(vreal, cos, vreal x)
{
    vreal a = v_abs(x);
    vreal t = v_add(v_fma(a, VC(INV_PI), v_k(-0.5)), VC(ROUND));
    vreal r = VDO(minus_half_turns, a, v_add(v_sub(t, VC(ROUND)), v_k(0.5)));
    return VDO(sin_half_turns, r, v_iadd(v_bits(t), v_ki(1)));
}

/* sin and cos of r + c, |r| <= π/4, c below r's last place */
VFN(vreal, sin_quarter, vreal r, vreal c)
{
    vreal z = v_mul(r, r);
    return v_add(r, v_fma(v_mul(r, z), VDO(sin4_tail, z), c));
}

VFN(vreal, cos_quarter, vreal r, vreal c)
{
    vreal z = v_mul(r, r), h = v_mul(v_k(0.5), z), w = v_sub(v_k(1), h);
    vreal tail = v_fma(v_mul(z, z), VDO(cos4_tail, z), v_neg(v_mul(r, c)));
    return v_add(w, v_add(v_sub(v_sub(v_k(1), w), h), tail));
}

/* tan(r + c + n π/2), n in the lowest bit: sin/cos or -cos/sin */
VFN(vreal, tan_quarter_turns, vreal r, vreal c, vint n)
{
    vreal s = VDO(sin_quarter, r, c), o = VDO(cos_quarter, r, c);
    vbool odd = v_ne(v_real(v_ior(v_iand(n, v_ki(1)), v_bits(v_k(1)))), v_k(1));
    vreal y = v_div(v_sel(odd, o, s), v_sel(odd, s, o));
    return v_real(v_ixor(v_bits(y), v_shl(n, V_MANT + V_EXP_BITS)));
}

VFN(vreal, tan, vreal x)
{
    vreal a = v_abs(x);
    vreal t = v_fma(a, VC(INV_PI_2), VC(ROUND)), n = v_sub(t, VC(ROUND));
    vreal first = v_fma(n, v_neg(VC(PI_2_1)), a);
    /* first - n·(second part) = r + c, also where they cancel */
    vreal w = v_mul(n, VC(PI_2_2)), r = v_sub(first, w), back = v_sub(r, first);
    vreal c = v_sub(v_sub(first, v_sub(r, back)), v_add(w, back));
    c = v_sub(c, v_fma(n, VC(PI_2_2), v_neg(w)));
    c = v_fma(n, v_neg(VC(PI_2_3)), c);
    vreal y = VDO(tan_quarter_turns, r, c, v_bits(t));
    return v_real(v_ixor(v_bits(y), VDO(sign_of, x)));
}

/* The angle in [0, π] of (±den, num), num and den >= 0, - where back. */
VFN(vreal, angle, vreal num, vreal den, vbool back)
{
    vbool steep = v_lt(den, num);
    vreal a = v_sel(steep, den, num), b = v_sel(steep, num, den);
    vreal t = v_div(a, b);
    t = v_sel(v_eq(a, b), v_k(1), t); /* two infinities */
    t = v_sel(v_eq(b, v_k(0)), v_k(0), t);
    vreal z = v_mul(t, t), y = v_fma(v_mul(t, z), VDO(atan_tail, z), t);
    /* 0 + y, π/2 - y, π - y, π/2 + y */
    vreal hi = v_sel(steep, VC(PI_2_1), v_sel(back, VC(PI_1), v_k(0)));
    vreal lo = v_sel(steep, VC(PI_2_2), v_sel(back, VC(PI_2), v_k(0)));
    vbool minus = v_or(v_and(steep, v_not(back)), v_and(back, v_not(steep)));
    return v_add(hi, v_add(v_sel(minus, v_neg(y), y), lo));
}

VFN(vreal, atan, vreal x)
{
    return VDO(with_sign, VDO(angle, v_abs(x), v_k(1), v_lt(v_k(1), v_k(0))), x);
}

VFN(vreal, atan2, vreal y, vreal x)
{
    vbool back = v_lt(VDO(with_sign, v_k(1), x), v_k(0)); /* -0 too */
    vreal angle = VDO(with_sign, VDO(angle, v_abs(y), v_abs(x), back), y);
    vreal sum = v_add(x, y);
    vbool bad = v_or(v_ne(x, x), v_ne(y, y));
    return v_sel(bad, sum, angle);
}

VFN(vreal, asin, vreal x)
{ /* 1 - x² is rounded once */
    vreal other = v_sqrt(v_fma(v_neg(x), x, v_k(1)));
    return VDO(with_sign, VDO(angle, v_abs(x), other, v_lt(v_k(1), v_k(0))), x);
}

VFN(vreal, acos, vreal x)
{
    vreal other = v_sqrt(v_fma(v_neg(x), x, v_k(1)));
    return VDO(angle, other, v_abs(x), v_lt(x, v_k(0)));
}
