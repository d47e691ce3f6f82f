/* llvm_machine.h — the vocabulary of runtime/vmath_text.h as LLVM instructions: a text
 * included after it becomes functions that emit themselves at the builder's place, for
 * one number or a vector, whatever the machine's type of numbers is.  Private to backend/llvm*.
 *
 * Define VM(name), VC(name), VC_POLY(name), V_MANT, V_EXP_BITS and V_BIAS for the
 * precision of the text (llvm_math.c). */
#ifndef LQFT_LLVM_MACHINE_H
#define LQFT_LLVM_MACHINE_H

#include <math.h>

#include "llvm_emit.h"

typedef struct Machine {
    Unit *u;
    LLVMTypeRef real, bits;            /* numbers, integers as wide: scalars or vectors */
} Machine;

static inline Machine lm_machine(Unit *u, LLVMTypeRef real) {
    bool vector = LLVMGetTypeKind(real) == LLVMVectorTypeKind;
    LLVMTypeRef one = vector ? LLVMGetElementType(real) : real;
    LLVMTypeRef bits = one == u->f64 ? u->i64 : u->i32;
    return (Machine){u, real, vector ? LLVMVectorType(bits, LLVMGetVectorSize(real)) : bits};
}

static inline Val lm_splat(LLVMTypeRef t, Val v) {
    if (LLVMGetTypeKind(t) != LLVMVectorTypeKind) return v;
    Val lane[32];                      /* two vectors of singles */
    unsigned n = LLVMGetVectorSize(t);
    for (unsigned i = 0; i < n; i++) lane[i] = v;
    return LLVMConstVector(lane, n);
}

static inline LLVMTypeRef lm_scalar(LLVMTypeRef t) {
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t;
}

static inline Val lm_real(const Machine *m, double c) {
    return lm_splat(m->real, LLVMConstReal(lm_scalar(m->real), c));
}
static inline Val lm_int(const Machine *m, uint64_t c) {
    return lm_splat(m->bits, LLVMConstInt(lm_scalar(m->bits), c, 0));
}
/* The machine for as many doubles. */
static inline Machine lm_wide(const Machine *m) {
    bool vector = LLVMGetTypeKind(m->real) == LLVMVectorTypeKind;
    return lm_machine(m->u, vector ? LLVMVectorType(m->u->f64, LLVMGetVectorSize(m->real)) : m->u->f64);
}
static inline Val lm_call(const Machine *m, const char *name, Val a, Val b, Val c, unsigned n) {
    Val args[3] = {a, b, c};
    return l_intrinsic(m->u, name, m->real, args, n);
}
static inline Val lm_cmp(const Machine *m, LLVMRealPredicate p, Val a, Val b) {
    return LLVMBuildFCmp(m->u->b, p, a, b, "");
}

#define VFN(type, name, ...) static __attribute__((unused)) type VM(name)(Machine *mach, __VA_ARGS__)
#define VDO(name, ...) VM(name)(mach, __VA_ARGS__)
#define vreal Val
#define vint Val
#define vbool Val
#define v_k(c) lm_real(mach, c)
#define v_ki(c) lm_int(mach, (uint64_t)(c))
#define v_add(a, c) LLVMBuildFAdd(mach->u->b, a, c, "")
#define v_sub(a, c) LLVMBuildFSub(mach->u->b, a, c, "")
#define v_mul(a, c) LLVMBuildFMul(mach->u->b, a, c, "")
#define v_div(a, c) LLVMBuildFDiv(mach->u->b, a, c, "")
#define v_neg(a) LLVMBuildFNeg(mach->u->b, a, "")
#define v_fma(a, b, c) lm_call(mach, "llvm.fma", a, b, c, 3)
#define v_sqrt(a) lm_call(mach, "llvm.sqrt", a, NULL, NULL, 1)
#define v_abs(a) lm_call(mach, "llvm.fabs", a, NULL, NULL, 1)
#define v_rint(a) lm_call(mach, "llvm.rint", a, NULL, NULL, 1)
#define v_lt(a, b) lm_cmp(mach, LLVMRealOLT, a, b)
#define v_le(a, b) lm_cmp(mach, LLVMRealOLE, a, b)
#define v_eq(a, b) lm_cmp(mach, LLVMRealOEQ, a, b)
#define v_ne(a, b) lm_cmp(mach, LLVMRealUNE, a, b)
#define v_and(a, c) LLVMBuildAnd(mach->u->b, a, c, "")
#define v_or(a, c) LLVMBuildOr(mach->u->b, a, c, "")
#define v_not(a) LLVMBuildNot(mach->u->b, a, "")
#define v_sel(c, x, y) LLVMBuildSelect(mach->u->b, c, x, y, "")
#define v_seli(c, x, y) LLVMBuildSelect(mach->u->b, c, x, y, "")
#define v_bits(a) LLVMBuildBitCast(mach->u->b, a, mach->bits, "")
#define v_real(a) LLVMBuildBitCast(mach->u->b, a, mach->real, "")
#define v_iadd(a, c) LLVMBuildAdd(mach->u->b, a, c, "")
#define v_isub(a, c) LLVMBuildSub(mach->u->b, a, c, "")
#define v_imul(a, c) LLVMBuildMul(mach->u->b, a, c, "")
#define v_iand(a, c) LLVMBuildAnd(mach->u->b, a, c, "")
#define v_ior(a, c) LLVMBuildOr(mach->u->b, a, c, "")
#define v_ixor(a, c) LLVMBuildXor(mach->u->b, a, c, "")
#define v_shl(a, n) LLVMBuildShl(mach->u->b, a, v_ki(n), "")
#define v_shr(a, n) LLVMBuildLShr(mach->u->b, a, v_ki(n), "")
#define V_INFINITY INFINITY
#define V_NAN NAN

#endif
