/* vmath_special.h — pow, error functions, gamma functions, Bessel functions, hash: the second
 * part of vmath_text.h, in its vocabulary, for double precision only.  Single precision
 * takes these through double, where they cost about the same and their errors round away.
 *
 * Where a result needs more than double precision on the way it is a pair hi + lo of
 * doubles (Dekker, Numer. Math. 18 (1971) 224); products are split by fused
 * multiply-add. */

/* A polynomial as a pair: c0 in two parts and x times the rest, whose error weighs less. */
#define V_PAIR(name, table)                                                       \
    V_POLYNOMIAL(name##_tail, table)                                              \
    VFN(vreal, name, vreal x, vreal *lo)                                          \
    {                                                                             \
        vreal tail = v_fma(x, VDO(name##_tail, x), VC(table##_X));                \
        vreal tl, t = VDO(two_product, x, tail, &tl);                             \
        vreal hi = VDO(any_two_sum, VC(table##_C0), t, lo);                       \
        *lo = v_add(*lo, v_add(tl, VC(table##_C1)));                              \
        return hi;                                                                \
    }

/* hi + lo is what it was, lo below hi's last place; |hi| >= |lo| */
VFN(vreal, two_sum, vreal hi, vreal *lo)
{
    vreal sum = v_add(hi, *lo);
    *lo = v_add(v_sub(hi, sum), *lo);
    return sum;
}

/* a·b = result + *lo */
VFN(vreal, two_product, vreal a, vreal b, vreal *lo)
{
    vreal p = v_mul(a, b);
    *lo = v_fma(a, b, v_neg(p));
    return p;
}

/* a + b = result + *lo, whichever is larger */
VFN(vreal, any_two_sum, vreal a, vreal b, vreal *lo)
{
    vreal sum = v_add(a, b), back = v_sub(sum, a);
    *lo = v_add(v_sub(a, v_sub(sum, back)), v_sub(b, back));
    return sum;
}

V_POLYNOMIAL(erf_tail, ERF_TAIL)       /* erf(r)/r - 1,                  x = r² <= 1 */
V_PAIR(erfc_scaled, ERFC_TAIL)         /* (a + 4) e^a² erfc(a),          x = (a - 4)/(a + 4), a >= ½ */
V_PAIR(lgamma_1, LGAMMA_1)             /* ln Γ(1 + x)/x,                 |x| <= ½ */
V_PAIR(lgamma_2, LGAMMA_2)             /* ln Γ(x + 2½)/(x + ½),          |x| <= 1 */
V_POLYNOMIAL(stirling, STIRLING)       /* the tail of Stirling's series times y, x = y^-2, y >= 7½ */
V_PAIR(digamma_1, DIGAMMA_1)           /* ψ(x + 1½)/(x + 1½ - root),     |x| <= ½ */
V_PAIR(digamma_2, DIGAMMA_2)           /* ψ(3 + x),                      |x| <= 1 */
V_PAIR(digamma_4, DIGAMMA_4)           /* ψ(6 + 2x),                     |x| <= 1 */
V_POLYNOMIAL(digamma_8, DIGAMMA_3)     /* y²(ln y - 1/2y - ψ(y)),        x = y^-2, y >= 8 */
V_PAIR(i0_less_1, I0_TAIL)             /* (I0(r) - 1)/x,                 x = r²/4 <= 1 */
V_POLYNOMIAL(i1_tail, I1_TAIL)         /* (I1(r)/(r/2) - 1)/x,           x = r²/4 <= 1 */
V_PAIR(i_ratio_2, I_RATIO_2)           /* I1(r)/I0(r),                   x = (r - 4)/(r + 4), r in [2, 8] */
V_POLYNOMIAL(i_ratio_8, I_RATIO)       /* (1 - I1(r)/I0(r)) r/8,         x = 16/r - 1, r >= 8 */
V_PAIR(log_i0_2, LOG_I0_2)             /* ln I0(r)/r,                    x = (r - 4)/(r + 4), r in [2, 8] */
V_POLYNOMIAL(log_i0_8, LOG_I0_TAIL)    /* ln(I0(r) e^-r √r),             x = 16/r - 1, r >= 8 */
V_POLYNOMIAL(pow_tail, POW_TAIL)       /* ((2 artanh(s)/s - 2)/x - 2/3)/x, x = s², s <= 3 - √8 */

/* ---- pow ------------------------------------------------------------------------------ */

/* log(x) = result + *lo to 2^-64 of it, x > 0 finite */
VFN(vreal, log_pair, vreal x, vreal *lo)
{
    vbool tiny = v_lt(x, VC(MIN_NORMAL));
    vreal e, m = VDO(split, v_sel(tiny, v_mul(x, VC(LIFT)), x), &e);
    e = v_sub(e, v_sel(tiny, VC(LIFT_EXP), v_k(0)));
    /* s + sl = (m - 1)/(m + 1) */
    vreal f = v_sub(m, v_k(1)), d = v_add(m, v_k(1)), dl = v_sub(m, v_sub(d, v_k(1)));
    vreal inverse = v_div(v_k(1), d), s = v_mul(f, inverse);
    vreal sl = v_mul(v_sub(v_fma(v_neg(s), d, f), v_mul(s, dl)), inverse);
    vreal zl, z = VDO(two_product, s, s, &zl);
    zl = v_fma(v_add(s, s), sl, zl);
    /* 2 artanh s = 2s + s·z·(2/3 + z·tail) */
    vreal t = v_mul(z, VDO(pow_tail, z)), a = v_add(VC(TWO_THIRDS_1), t);
    vreal al = v_add(v_add(v_sub(VC(TWO_THIRDS_1), a), t), VC(TWO_THIRDS_2));
    vreal bl, b = VDO(two_product, z, a, &bl);
    bl = v_add(bl, v_fma(z, al, v_mul(zl, a)));
    vreal cl, c = VDO(two_product, s, b, &cl);
    cl = v_add(cl, v_fma(s, bl, v_mul(sl, b)));
    vreal l1 = v_add(s, s), hi = VDO(two_sum, v_mul(e, VC(LN2_HEAD)), &l1);
    vreal l2 = c;
    hi = VDO(two_sum, hi, &l2);
    *lo = v_add(v_add(l1, l2), v_fma(e, VC(LN2_REST), v_add(cl, v_add(sl, sl))));
    return VDO(two_sum, hi, lo);
}

VFN(vbool, is_integer, vreal x)
{
    return v_eq(v_rint(x), x);
}

/* e^(y log|x|), with the sign of an odd power */
VFN(vreal, pow, vreal x, vreal y)
{
    vreal a = v_abs(x), lo, log = VDO(log_pair, a, &lo);
    vreal hi = VDO(log_edges, a, log);
    vreal l, p = VDO(two_product, y, hi, &l);
    l = v_fma(y, lo, l);
    l = v_sel(v_lt(v_abs(p), v_k(800)), l, v_k(0)); /* beyond, p alone decides, or is infinite */
    vint k;
    vreal q = VDO(exp_parts, VDO(clamp, p, VC(EXP_MIN), VC(EXP_MAX)), &k);
    q = v_fma(l, v_add(v_k(1), q), q);
    vreal r = VDO(scale, v_add(v_k(1), q), k);
    vbool whole = VDO(is_integer, y);
    vbool odd = v_and(whole, v_not(VDO(is_integer, v_mul(v_k(0.5), y))));
    r = v_sel(odd, VDO(with_sign, r, x), r);
    vbool real_root = v_or(whole, v_not(v_and(v_lt(x, v_k(0)), v_lt(v_k(-V_INFINITY), x))));
    r = v_sel(real_root, r, v_k(V_NAN));
    r = v_sel(v_and(v_eq(a, v_k(1)), v_eq(v_abs(y), v_k(V_INFINITY))), v_k(1), r);
    vbool one = v_or(v_eq(x, v_k(1)), v_eq(y, v_k(0)));
    r = v_sel(v_or(v_ne(x, x), v_ne(y, y)), v_add(x, y), r);
    return v_sel(one, v_k(1), r);
}

/* ---- error functions --------------------------------------------------------------------- */

/* erf(x), |x| <= 1 */
VFN(vreal, erf_small, vreal x, vreal *lo)
{
    vreal tail = VDO(erf_tail, v_mul(x, x));
    *lo = v_mul(x, tail);
    return VDO(two_sum, x, lo);
}

/* erfc(a), a >= ½ */
VFN(vreal, erfc_large, vreal a)
{
    a = v_sel(v_lt(v_k(28), a), v_k(28), a); /* 0 from 27.3 on */
    vreal lo, hi = VDO(two_product, a, a, &lo);
    vint k;
    vreal p = VDO(exp_parts, VDO(clamp, v_neg(hi), VC(EXP_MIN), VC(EXP_MAX)), &k);
    p = v_fma(v_neg(lo), v_add(v_k(1), p), p);
    /* v + vl = 1/(a + 4) */
    vreal d = v_add(a, v_k(4)), dl = v_sub(a, v_sub(d, v_k(4))), v = v_div(v_k(1), d);
    vreal vl = v_mul(v, v_sub(v_fma(v_neg(v), d, v_k(1)), v_mul(v, dl)));
    vreal a4 = v_sub(a, v_k(4)), ql, q = VDO(erfc_scaled, v_fma(a4, v, v_mul(a4, vl)), &ql);
    vreal rl, r = VDO(two_product, q, v, &rl);
    rl = v_fma(ql, v, v_fma(q, vl, rl));
    return VDO(scale, v_add(r, v_fma(p, r, v_fma(p, rl, rl))), k);
}

VFN(vreal, erf, vreal x)
{
    vreal a = v_abs(x), lo, hi = VDO(erf_small, a, &lo);
    vreal large = v_sub(v_k(1), VDO(erfc_large, a));
    return VDO(with_sign, v_sel(v_lt(v_k(1), a), large, v_add(hi, lo)), x);
}

VFN(vreal, erfc, vreal x)
{
    vreal a = v_abs(x), large = VDO(erfc_large, a);
    large = v_sel(v_lt(x, v_k(0)), v_sub(v_k(2), large), large);
    vreal lo, hi = VDO(erf_small, x, &lo), rest, small = VDO(any_two_sum, v_k(1), v_neg(hi), &rest);
    small = v_add(small, v_sub(rest, lo));
    return v_sel(v_lt(v_k(0.75), a), large, small);
}

/* ---- gamma functions ----------------------------------------------------------------------- */

/* Negative arguments: an out-of-line function of the runtime takes them. */
VFN(vbool, gamma_rare, vreal x)
{
    return v_lt(x, v_k(0));
}

/* Three ranges by polynomials and a logarithm (of x below ½; of factors of
 * Γ(x) = (x-1)(x-2)…Γ(x-2n) from 3½ on), one by Stirling's series. */
VFN(vreal, lgamma, vreal x)
{
    vbool below = v_lt(x, v_k(0.5)), series = v_le(v_k(7.5), x);
    vbool two = v_le(v_k(3.5), x), four = v_le(v_k(5.5), x);
    vreal x1 = v_sub(x, v_k(1)), x2 = v_sub(x, v_k(2));
    vreal f2 = v_mul(x1, x2), f4 = v_mul(f2, v_mul(v_sub(x, v_k(3)), v_sub(x, v_k(4))));
    vreal w = v_sel(series, x, v_sel(four, f4, v_sel(two, f2, v_sel(below, x, v_k(1)))));
    vreal lo, hi = VDO(log_pair, w, &lo);
    vreal r = v_sub(x, v_sel(four, v_k(4), v_sel(two, v_k(2), v_k(0)))); /* ½ … 3½ */
    vbool one = v_lt(r, v_k(1.5));
    vreal l1, h1 = VDO(lgamma_1, v_sel(below, x, v_sub(r, v_k(1))), &l1);
    vreal l2, h2 = VDO(lgamma_2, v_sub(r, v_k(2.5)), &l2);
    vreal zero = v_sel(one, v_sel(below, x, v_sub(r, v_k(1))), v_sub(r, v_k(2)));
    vreal pl, p = VDO(two_product, zero, v_sel(one, h1, h2), &pl);
    pl = v_fma(zero, v_sel(one, l1, l2), pl);
    vreal yl, y = VDO(any_two_sum, v_sel(below, v_neg(hi), hi), p, &yl);
    y = v_add(y, v_add(yl, v_add(pl, v_sel(below, v_neg(lo), lo))));
    /* (x - ½)(ln x - 1) + (ln 2π - 1)/2 + … */
    vreal inverse = v_div(v_k(1), x), h = v_sub(x, v_k(0.5)), a = v_sub(hi, v_k(1));
    vreal bl, b = VDO(two_product, h, a, &bl);
    bl = v_add(v_fma(h, lo, bl), VC(STIRLING_1));
    bl = v_fma(inverse, VDO(stirling, v_mul(inverse, inverse)), bl);
    bl = v_sel(v_lt(b, v_k(V_INFINITY)), bl, v_k(0));
    y = v_sel(series, v_add(b, bl), y);
    y = v_sel(v_eq(x, v_k(0)), v_k(V_INFINITY), y);
    return v_sel(v_lt(x, v_k(V_INFINITY)), y, v_add(x, x));
}

/* Below 1 by ψ(x) = ψ(x + 1) - 1/x, three polynomials, from 8 on by the series. */
VFN(vreal, digamma, vreal x)
{
    vbool below = v_lt(x, v_k(1));
    vreal inverse = v_div(v_k(1), x), z = v_mul(inverse, inverse);
    vreal il = v_mul(inverse, v_fma(v_neg(inverse), x, v_k(1)));
    vreal d = v_sub(v_sel(below, v_add(x, v_k(1)), x), VC(DIGAMMA_ROOT_1));
    vreal near = v_sub(d, VC(DIGAMMA_ROOT_2)), nl = v_sub(v_sub(d, near), VC(DIGAMMA_ROOT_2));
    vreal h1l, h1 = VDO(digamma_1, v_sel(below, v_sub(x, v_k(0.5)), v_sub(x, v_k(1.5))), &h1l);
    vreal pl, p = VDO(two_product, near, h1, &pl);
    pl = v_fma(near, h1l, v_fma(nl, h1, pl));
    vreal yl, y1 = VDO(any_two_sum, v_sel(below, v_neg(inverse), v_k(0)), p, &yl);
    yl = v_add(yl, v_add(pl, v_sel(below, v_neg(il), v_k(0))));
    y1 = v_sel(v_lt(v_abs(y1), v_k(V_INFINITY)), v_add(y1, yl), y1);
    vreal h2l, h2 = VDO(digamma_2, v_sub(x, v_k(3)), &h2l);
    vreal h4l, h4 = VDO(digamma_4, v_mul(v_k(0.5), v_sub(x, v_k(6))), &h4l);
    vreal middle = v_sel(v_lt(x, v_k(4)), v_add(h2, h2l), v_add(h4, h4l));
    vreal less = v_fma(z, VDO(digamma_8, z), v_mul(v_k(0.5), inverse));
    vreal y8 = v_sub(VDO(log, x), less);
    vreal y = v_sel(v_lt(x, v_k(2)), y1, v_sel(v_lt(x, v_k(8)), middle, y8));
    return v_sel(v_lt(x, v_k(V_INFINITY)), y, v_add(x, x));
}

/* ---- Bessel functions ------------------------------------------------------------------------ */

/* I1(x)/I0(x): two series, a polynomial, from 8 on one in 1/x */
VFN(vreal, bessel_ratio, vreal x)
{
    vreal a = v_abs(x), h = v_mul(v_k(0.5), a), z = v_mul(h, h);
    vreal i0l, i0 = VDO(i0_less_1, z, &i0l); /* 1 + z·i0 and 1 + z·i1 as pairs */
    vreal ul = v_mul(z, i0), under = VDO(two_sum, v_k(1), &ul);
    vreal ol = v_mul(z, VDO(i1_tail, z)), over = VDO(two_sum, v_k(1), &ol);
    ul = v_fma(z, i0l, ul);
    vreal inverse = v_div(v_k(1), under), q = v_mul(over, inverse);
    vreal rest = v_add(v_fma(v_neg(q), under, over), v_fma(v_neg(q), ul, ol));
    vreal small = v_fma(h, q, v_mul(h, v_mul(rest, inverse)));
    vreal t = v_div(v_sub(a, v_k(4)), v_add(a, v_k(4)));
    vreal ml, middle = VDO(i_ratio_2, t, &ml);
    vreal w = v_div(v_k(8), a);
    vreal large = v_fma(v_neg(w), VDO(i_ratio_8, v_fma(v_k(2), w, v_k(-1))), v_k(1));
    vreal y = v_sel(v_lt(a, v_k(2)), small, v_sel(v_lt(a, v_k(8)), v_add(middle, ml), large));
    return VDO(with_sign, v_sel(v_eq(x, x), y, x), x);
}

/* ln I0(x): of the series, a polynomial, from 8 on by e^x/√x */
VFN(vreal, log_i0, vreal x)
{
    vreal a = v_abs(x), h = v_mul(v_k(0.5), a), zl, z = VDO(two_product, h, h, &zl);
    vreal i0l, i0 = VDO(i0_less_1, z, &i0l), ul, u = VDO(two_product, z, i0, &ul);
    ul = v_add(ul, v_fma(zl, i0, v_mul(z, i0l)));
    vreal small = VDO(log1p_pair, u, ul, v_k(0));
    vreal t = v_div(v_sub(a, v_k(4)), v_add(a, v_k(4)));
    vreal ml, middle = VDO(log_i0_2, t, &ml);
    middle = v_fma(a, middle, v_mul(a, ml));
    vreal w = v_div(v_k(8), a);
    vreal less = v_fma(v_k(0.5), VDO(log, a), v_neg(VDO(log_i0_8, v_fma(v_k(2), w, v_k(-1)))));
    less = v_sel(v_lt(a, v_k(V_INFINITY)), less, v_k(0));
    vreal y = v_sel(v_lt(a, v_k(2)), small, v_sel(v_lt(a, v_k(8)), middle, v_sub(a, less)));
    return v_sel(v_eq(x, x), y, x);
}

/* ---- hash --------------------------------------------------------------------------- */

/* One round of Philox4x32 (philox.h) of four words, each below 2^32. */
VFN(void, philox_round, vint c[4], uint32_t k0, uint32_t k1)
{
    vint p0 = v_imul(c[0], v_ki(0xD2511F53u)), p1 = v_imul(c[2], v_ki(0xCD9E8D57u));
    vint low = v_ki(0xFFFFFFFFu);
    c[0] = v_ixor(v_ixor(v_shr(p1, 32), c[1]), v_ki(k0));
    c[2] = v_ixor(v_ixor(v_shr(p0, 32), c[3]), v_ki(k1));
    c[1] = v_iand(p1, low);
    c[3] = v_iand(p0, low);
}

VFN(vreal, hash, vreal x, vreal y)
{
    vint a = v_bits(v_add(x, v_k(0))), b = v_bits(v_add(y, v_k(0))); /* -0 is 0 */
    vint c[4] = {v_iand(a, v_ki(0xFFFFFFFFu)), v_shr(a, 32), v_iand(b, v_ki(0xFFFFFFFFu)), v_shr(b, 32)};
    for (uint32_t round = 0; round < 10; round++) VDO(philox_round, c, round * 0x9E3779B9u, round * 0xBB67AE85u);
    vint word = v_ior(c[0], v_shl(c[1], 32));
    vint mantissa = v_ior(v_iand(word, v_ki(0xFFFFFFFFFFFFFu)), v_ki(0x3FF0000000000000u));
    vreal uniform = v_sub(v_real(mantissa), v_k(0x1.fffffffffffffp-1)); /* midpoints: never 0 or 1 */
    return v_sel(v_or(v_ne(x, x), v_ne(y, y)), v_add(x, y), uniform);
}
