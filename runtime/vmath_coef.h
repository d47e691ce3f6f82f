/* vmath_coef.h — constants of vmath_text.h: D_ in double, F_ in single precision.
 *
 * Polynomials interpolate their function in Chebyshev nodes of the interval that the
 * text names, computed in 90 digits and rounded coefficient by coefficient; the number
 * of terms is the smallest whose error, relative to the whole result, stays below a
 * quarter to half of a unit in the last place.  Those of F_SIN were then moved by a few
 * last places until cos(0) is 1.  NAME_1 + NAME_2 + NAME_3 is a constant in three parts,
 * each the rounded remainder of the ones before.  Private to runtime/ and to the machines. */
#ifndef LQFT_VMATH_COEF_H
#define LQFT_VMATH_COEF_H

#define D_ROUND 0x1.8p52 /* adding it rounds to an integer, found in the low bits */
#define D_EXP_MAX 711
#define D_EXP_MIN -747
#define D_EXPM1_MAX 709.9
#define D_EXPM1_TINY 0x1p-1000
#define D_SQRT_HALF 0x1.6a09e667f3bcdp-1
#define D_INT 0x1p52 /* with an integer in its low bits it is that much larger */
#define D_INT_BIAS 0x1.00000000004p52 /* 2^52 + 1024 */
#define D_MIN_NORMAL 0x1p-1022
#define D_LIFT 0x1p54
#define D_LIFT_EXP 54
#define D_HYP_LARGE 0x1p28
#define D_TRIG_MAX 0x1p40
#define D_EXP_TAIL \
    VP_10(0x1.0000000000001p-1, 0x1.5555555555556p-3, 0x1.5555555553d5cp-5, \
    0x1.11111111109b1p-7, 0x1.6c16c1788e9bap-10, 0x1.a01a01a7c5dp-13, \
    0x1.a019b90272651p-16, 0x1.71de0da7cb47ap-19, 0x1.289192205fdc5p-22, \
    0x1.af38b95ff4cbdp-26)
#define D_LOG_TAIL \
    VP_7(0x1.5555555555558p-1, 0x1.99999999952e2p-2, 0x1.2492492df14bcp-2, \
    0x1.c71c62e57c3c4p-3, 0x1.7462b4ac441afp-3, 0x1.39fe604146b74p-3, \
    0x1.2b584c6b42d6p-3)
#define D_SIN_3 -0x1.5555555555555p-3
#define D_SIN_TAIL \
    VE_7(0x1.1111111111111p-7, -0x1.a01a01a019ceep-13, 0x1.71de3a551a5cap-19, \
    -0x1.ae64561ba7c03p-26, 0x1.61242791d2e82p-33, -0x1.ae5cf85ba0e42p-41, \
    0x1.8b0cbdf5af5b4p-49)
#define D_SIN4_TAIL \
    VP_6(-0x1.5555555555555p-3, 0x1.1111111110bacp-7, -0x1.a01a019e8214ap-13, \
    0x1.71de37947b7d5p-19, -0x1.ae6008de3fb5p-26, 0x1.5e0a547eb63b8p-33)
#define D_COS4_TAIL \
    VP_6(0x1.5555555555555p-5, -0x1.6c16c16c16963p-10, 0x1.a01a019f4de4cp-16, \
    -0x1.27e4fa16d281dp-22, 0x1.1eeb67d6be385p-29, -0x1.907cddbdcf545p-37)
#define D_ATAN_TAIL \
    VP_20(-0x1.5555555555555p-2, 0x1.999999999962p-3, -0x1.24924924753ecp-3, \
    0x1.c71c71bb00a6cp-4, -0x1.745d15ee35819p-4, 0x1.3b1399d1dcdc7p-4, \
    -0x1.110fff599e4d2p-4, 0x1.e1d0239d392a6p-5, -0x1.aebbb1647a168p-5, \
    0x1.841dcf603a209p-5, -0x1.5d02278205cc7p-5, 0x1.3328700bb8169p-5, \
    -0x1.00390504e9f2fp-5, 0x1.843f4bca23369p-6, -0x1.fd0e4de8fed9p-7, \
    0x1.123baedb61abdp-7, -0x1.ca3677db66678p-9, 0x1.1325b2f8964bep-10, \
    -0x1.a359b96a4eee4p-13, 0x1.2f07811f9f6e9p-16)
#define D_PI_1 0x1.921fb54442d18p+1
#define D_PI_2 0x1.1a62633145c07p-53
#define D_PI_3 -0x1.f1976b7ed8fbcp-109
#define D_PI_2_1 0x1.921fb54442d18p+0
#define D_PI_2_2 0x1.1a62633145c07p-54
#define D_PI_2_3 -0x1.f1976b7ed8fbcp-110
#define D_LN2_1 0x1.62e42fefa39efp-1
#define D_LN2_2 0x1.abc9e3b39803fp-56
#define D_LN2_3 0x1.7b57a079a1934p-111
#define D_INV_PI 0x1.45f306dc9c883p-2
#define D_INV_PI_2 0x1.45f306dc9c883p-1
#define D_INV_LN2 0x1.71547652b82fep+0

#define F_ROUND 0x1.8p23
#define F_EXP_MAX 90
#define F_EXP_MIN -105
#define F_EXPM1_MAX 88.9
#define F_EXPM1_TINY 0x1p-100
#define F_SQRT_HALF 0x1.6a09e6p-1
#define F_INT 0x1p23
#define F_INT_BIAS 0x1.0001p23 /* 2^23 + 128 */
#define F_MIN_NORMAL 0x1p-126
#define F_LIFT 0x1p25
#define F_LIFT_EXP 25
#define F_HYP_LARGE 0x1p13
#define F_TRIG_MAX 0x1p15
#define F_EXP_TAIL \
    VP_5(0x1p-1, 0x1.5554dcp-3, 0x1.55551ap-5, 0x1.120b8p-7, 0x1.6d111cp-10)
#define F_LOG_TAIL \
    VP_3(0x1.55555cp-1, 0x1.997c3p-2, 0x1.2ee61p-2)
#define F_SIN_3 -0x1.555558p-3
#define F_SIN_TAIL \
    VP_4(0x1.111122p-7, -0x1.a019bp-13, 0x1.71b814p-19, -0x1.a0b996p-26)
#define F_SIN4_TAIL \
    VP_3(-0x1.555552p-3, 0x1.110c26p-7, -0x1.9ac85ep-13)
#define F_COS4_TAIL \
    VP_3(0x1.555554p-5, -0x1.6c12dp-10, 0x1.9bd78cp-16)
#define F_ATAN_TAIL \
    VP_9(-0x1.555554p-2, 0x1.99983cp-3, -0x1.246cd2p-3, 0x1.c3f168p-4, -0x1.6295f8p-4, \
    0x1.0001c6p-4, -0x1.25dc12p-5, 0x1.ba9f66p-7, -0x1.38de56p-9)
#define F_PI_1 0x1.921fb6p+1
#define F_PI_2 -0x1.777a5cp-24
#define F_PI_3 -0x1.ee59dap-49
#define F_PI_2_1 0x1.921fb6p+0
#define F_PI_2_2 -0x1.777a5cp-25
#define F_PI_2_3 -0x1.ee59dap-50
#define F_LN2_1 0x1.62e43p-1
#define F_LN2_2 -0x1.05c61p-29
#define F_LN2_3 -0x1.950d88p-54
#define F_INV_PI 0x1.45f306p-2
#define F_INV_PI_2 0x1.45f306p-1
#define F_INV_LN2 0x1.715476p+0

#endif
