/* philox_single_text.h — normal pairs of single precision, written once for several machines.
 * Whoever includes it has defined
 *
 *   TEXT           what stands before a function
 *   T_W, T_F       32-bit words, floats: one each, or one for each vector lane
 *   W_OF(x), F_OF(x): constants
 *   W_ADD, W_AND, W_OR, W_SHL(a, n), W_SHR(a, n)
 *   W_SIGN(a, b)   a with its sign bit flipped where that of b is set
 *   F_WHOLE(a)       the word as a signed number, rounded
 *   F_FMA(a, b, c), F_ADD, F_SUB, F_MUL, F_DIV, F_SQRT, F_MIN
 *   F_FROM(w), W_FROM(f): the same bits
 *   F_PICK(w, a, b)  a where the top bit of w is set, else b
 *
 * Every rounding is written out, so that all machines give the same bits.  Private to
 * philox.c. */

#define SINGLE_HALF_ROOT 0x3f3504f3u /* √½ */

/* -2 ln u for u in (0, 1): u = 2^e·m, √½ <= m < √2, s = (m - 1)/(m + 1),
 * -2 ln m = s·(-4 + s²·R(s²)), R by interpolation at Chebyshev's points (error 3e-9 of the whole) */
TEXT T_F single_minus_two_log(T_F u)
{
    T_W t = W_ADD(W_FROM(u), W_OF((128u << 23) - SINGLE_HALF_ROOT)); /* above bit 23: 128 + e */
    T_F e = F_SUB(F_FROM(W_OR(W_SHR(t, 23), W_OF(0x4b000000u))), F_OF(0x1p23f + 128));
    T_F m = F_FROM(W_ADD(W_AND(t, W_OF(0x7fffffu)), W_OF(SINGLE_HALF_ROOT)));
    T_F s = F_DIV(F_SUB(m, F_OF(1)), F_ADD(m, F_OF(1))), z = F_MUL(s, s);
    T_F p = F_FMA(z, F_FMA(z, F_OF(-0x1.2ee610p-1f), F_OF(-0x1.997c30p-1f)), F_OF(-0x1.55555cp+0f));
    p = F_FMA(z, p, F_OF(-4));
    return F_FMA(e, F_OF(-0x1.62e430p+0f), F_MUL(s, p));
}

/* sin and cos of f·π/2, |f| <= ½; polynomials as above (4e-8) */
TEXT void single_eighth(T_F f, T_F *sine, T_F *cosine)
{
    T_F z = F_MUL(f, f);
    T_F p = F_FMA(z, F_OF(-0x1.2d9b40p-8f), F_OF(0x1.465ec4p-4f));
    p = F_FMA(z, p, F_OF(-0x1.4abbbap-1f));
    *sine = F_MUL(f, F_FMA(z, p, F_OF(0x1.921fb6p+0f)));
    p = F_FMA(z, F_OF(0x1.db6492p-11f), F_OF(-0x1.55cb98p-6f));
    p = F_FMA(z, p, F_OF(0x1.03c1eap-2f));
    p = F_FMA(z, p, F_OF(-0x1.3bd3ccp+0f));
    *cosine = F_FMA(z, p, F_OF(1));
}

/* Two independent normal numbers from two words (philox.h says how). */
TEXT void single_normals(T_W a, T_W b, T_F *first, T_F *second)
{
    T_F u = F_FMA(F_WHOLE(W_SHR(a, 1)), F_OF(0x1p-31f), F_OF(0x1p-32f));
    T_F sine, cosine, radius = F_SQRT(single_minus_two_log(F_MIN(u, F_OF(0x1.fffffep-1f))));
    single_eighth(F_MUL(F_WHOLE(W_SHL(b, 2)), F_OF(0x1p-32f)), &sine, &cosine);
    T_F s = F_MUL(radius, sine), c = F_FROM(W_SIGN(W_FROM(F_MUL(radius, cosine)), W_SHL(b, 1)));
    *first = F_PICK(b, s, c);
    *second = F_PICK(b, c, s);
}
