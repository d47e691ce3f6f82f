/* philox_text.h — Philox rounds, uniform and normal pairs, written once for several
 * machines.  Whoever includes it has defined
 *
 *   TEXT           what stands before a function
 *   T_U, T_D       64-bit words, doubles: one each, or one for each vector lane
 *   U_OF(x)        the constant x; D_OF(x) the same for doubles
 *   U_MUL(a, b)    product of the low halves; U_ADD, U_SHL(a, n), U_SHR(a, n)
 *   U_XOR3(a, b, c), U_SIGN(a, b): a with its sign bit flipped where that of b is set
 *   U_WORD(a, b)   low half of a, and above it the low half of b
 *   U_BITS(a, m, b)  (a and m) or b
 *   D_FMA(a, b, c), D_ADD, D_SUB, D_MUL, D_DIV, D_SQRT
 *   D_FROM(u), U_FROM(d): the same bits
 *   D_PICK(u, a, b)  a where the top bit of u is set, else b
 *
 * Every rounding is written out, so that all machines give the same bits.  Private to
 * philox.c. */

#define TEXT_MANTISSA 0xfffffffffffffu
#define TEXT_ONE 0x3ff0000000000000u       /* 1.0 */
#define TEXT_HALF_ROOT 0x3fe6a09e667f3bcdu /* √½ */

/* One round; high halves of the words hold what the arithmetic leaves there. */
TEXT void text_round(T_U c[4], T_U k0, T_U k1)
{
    T_U p0 = U_MUL(c[0], U_OF(0xD2511F53u)), p1 = U_MUL(c[2], U_OF(0xCD9E8D57u));
    c[0] = U_XOR3(U_SHR(p1, 32), c[1], k0);
    c[2] = U_XOR3(U_SHR(p0, 32), c[3], k1);
    c[1] = p1;
    c[3] = p0;
}

/* 1.b, b the low 52 bits */
TEXT T_D text_one_to_two(T_U word)
{
    return D_FROM(U_BITS(word, U_OF(TEXT_MANTISSA), U_OF(TEXT_ONE)));
}

/* (b + ½)·2^-52, b the low 52 bits: in (0, 1), exact */
TEXT T_D text_uniform(T_U word)
{
    return D_SUB(text_one_to_two(word), D_OF(0x1.fffffffffffffp-1));
}

/* -2 ln u for such u, to 2 ulp: u = 2^e·m, √½ <= m < √2, s = (m - 1)/(m + 1),
 * -2 ln m = s·(-4 + s²·R(s²)), R by interpolation at Chebyshev's points (error 5e-18) */
TEXT T_D text_minus_two_log(T_D u)
{
    T_U t = U_ADD(U_FROM(u), U_OF(((uint64_t)1024 << 52) - TEXT_HALF_ROOT)); /* above bit 52: 1024 + e */
    T_D e = D_SUB(D_FROM(U_BITS(U_SHR(t, 52), U_OF(~(uint64_t)0), U_OF(0x4330000000000000u))), D_OF(0x1p52 + 1024));
    T_D m = D_FROM(U_ADD(U_BITS(t, U_OF(TEXT_MANTISSA), U_OF(0)), U_OF(TEXT_HALF_ROOT)));
    T_D s = D_DIV(D_SUB(m, D_OF(1)), D_ADD(m, D_OF(1)));
    T_D z = D_MUL(s, s), z2 = D_MUL(z, z);
    T_D even = D_FMA(z2, D_OF(-0x1.2b584aae78a57p-2), D_OF(-0x1.7462b4ab2ef6bp-2));
    T_D odd = D_FMA(z2, D_OF(-0x1.39fe606542ddep-2), D_OF(-0x1.c71c62e5800a1p-2));
    even = D_FMA(z2, even, D_OF(-0x1.2492492df148dp-1));
    odd = D_FMA(z2, odd, D_OF(-0x1.99999999952e2p-1));
    even = D_FMA(z2, even, D_OF(-0x1.5555555555558p+0));
    T_D p = D_FMA(z, D_FMA(z, odd, even), D_OF(-4));
    return D_FMA(e, D_OF(-0x1.62e42fefa39efp+0), D_MUL(s, p));
}

/* sin and cos of f·π/2, |f| <= ½, to 1.5 ulp; polynomials as above (2e-17) */
TEXT void text_eighth(T_D f, T_D *sine, T_D *cosine)
{
    T_D z = D_MUL(f, f), z2 = D_MUL(z, z);
    T_D even = D_FMA(z2, D_OF(-0x1.e3027dea82bd7p-19), D_OF(-0x1.32d2cce500387p-8));
    T_D odd = D_FMA(z2, D_OF(0x1.e4a9d9166f052p-25), D_OF(0x1.50783208843ebp-13));
    even = D_FMA(z2, even, D_OF(-0x1.4abbce625be52p-1));
    odd = D_FMA(z2, odd, D_OF(0x1.466bc6775a476p-4));
    *sine = D_MUL(f, D_FMA(z, D_FMA(z, odd, even), D_OF(0x1.921fb54442d18p+0)));
    even = D_FMA(z2, D_OF(-0x1.b2f3eb054afcdp-28), D_OF(-0x1.a6d1eef479be1p-16));
    odd = D_FMA(z2, D_OF(0x1.f9ce245cada0bp-22), D_OF(0x1.e1f5068688d5bp-11));
    even = D_FMA(z2, even, D_OF(-0x1.55d3c7e3cb241p-6));
    odd = D_FMA(z2, odd, D_OF(0x1.03c1f081b5ac0p-2));
    even = D_FMA(z2, even, D_OF(-0x1.3bd3cc9be45dep+0));
    *cosine = D_FMA(z, D_FMA(z, odd, even), D_OF(1));
}

/* Two independent normal numbers (philox.h says how): the point at radius √(-2 ln u) in
 * the eighth of a turn about the axis, turned over and exchanged by two more bits. */
TEXT void text_normals(T_U lo, T_U hi, T_D *first, T_D *second)
{
    T_D sine, cosine, radius = D_SQRT(text_minus_two_log(text_uniform(lo)));
    text_eighth(D_SUB(text_one_to_two(hi), D_OF(1.5)), &sine, &cosine);
    T_D s = D_MUL(radius, sine), c = D_FROM(U_SIGN(U_FROM(D_MUL(radius, cosine)), U_SHL(hi, 1)));
    *first = D_PICK(hi, s, c);
    *second = D_PICK(hi, c, s);
}
