/* llvm_scalar.c — scalar operations as LLVM instructions: one value of every lane,
 * or one uniform value for all lanes.  Rounding is that of the C expressions in
 * ops.def to the last bit: no fast-math flag is ever set. */
#include "llvm_emit.h"

#include <math.h>

/* ---- kinds of values ------------------------------------------------------------ */

Val ll_as_real(Unit *u, Val v) {
    if (!l_is_truth(v)) return v;
    /* 1.0 and 0.0 are exact, so the conversion is a select of constants. */
    Val one = l_real(u, 1), zero = l_real(u, 0);
    if (l_is_vector(v)) one = ll_as_vector(u, one), zero = ll_as_vector(u, zero);
    return l_select(u, v, one, zero);
}

Val ll_as_truth(Unit *u, Val v) {
    if (l_is_truth(v)) return v;
    return LLVMBuildFCmp(u->b, LLVMRealUNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
}

static Val splat_constant(Unit *u, Val v) {
    Val lane[16];
    for (unsigned i = 0; i < u->lanes; i++) lane[i] = v;
    return LLVMConstVector(lane, u->lanes);
}

Val ll_as_vector(Unit *u, Val v) {
    if (u->lanes == 1 || l_is_vector(v)) return v;
    if (LLVMIsConstant(v)) return splat_constant(u, v);
    /* LLVM's selector ends the process on some spread negatives, unoptimised: negate after. */
    if (LLVMIsAInstruction(v) && LLVMGetInstructionOpcode(v) == LLVMFNeg)
        return LLVMBuildFNeg(u->b, ll_as_vector(u, LLVMGetOperand(v, 0)), "");
    LLVMTypeRef t = LLVMVectorType(LLVMTypeOf(v), u->lanes);
    Val one = LLVMBuildInsertElement(u->b, LLVMGetPoison(t), v, l_int32(u, 0), "");
    LLVMTypeRef lanes = LLVMVectorType(u->i32, u->lanes);
    return LLVMBuildShuffleVector(u->b, one, LLVMGetPoison(t), LLVMConstNull(lanes), "");
}

Val ll_from_lanes(Unit *u, Val *lane) {
    Val v = LLVMGetPoison(LLVMVectorType(LLVMTypeOf(lane[0]), u->lanes));
    for (unsigned l = 0; l < u->lanes; l++) v = LLVMBuildInsertElement(u->b, v, lane[l], l_int32(u, l), "");
    return v;
}

Val ll_any_lane(Unit *u, Val v) {
    v = ll_as_truth(u, v);
    if (!l_is_vector(v)) return v;
    LLVMTypeRef bits = LLVMIntTypeInContext(u->cx, u->lanes);
    Val all = LLVMBuildBitCast(u->b, v, bits, "");
    return l_compare(u, LLVMIntNE, all, LLVMConstNull(bits));
}

double ll_identity(Op op) {
    switch (op) {
    case SC_MUL: return 1;
    case SC_MAX: return -INFINITY;
    case SC_MIN: return INFINITY;
    default:     return 0;
    }
}

/* ---- calls of the runtime --------------------------------------------------------- */

/* The runtime's functions touch nothing but what their arguments point to, so calls
 * do not keep the optimiser from moving loads of fields across them. */
Val ll_runtime_function(Unit *u, const char *name, LLVMTypeRef type) {
    Val fn = LLVMGetNamedFunction(u->module, name);
    if (fn) return fn;
    fn = LLVMAddFunction(u->module, name, type);
    unsigned whole = (unsigned)LLVMAttributeFunctionIndex;
    l_enum_attr(u, fn, whole, "nounwind", 0);
    l_enum_attr(u, fn, whole, "willreturn", 0);
    l_enum_attr(u, fn, whole, "memory", 3);      /* argmem: readwrite */
    LLVMTypeRef params[12];
    LLVMGetParamTypes(type, params);
    for (unsigned i = 0; i < LLVMCountParamTypes(type); i++)
        if (params[i] == u->ptr) l_enum_attr(u, fn, i + 1, "nocapture", 0);
    return fn;
}

static Val call_vmath(Func *f, const char *name, const Val *args, int n) {
    Unit *u = f->u;
    LLVMTypeRef params[4];
    Val actual[4];
    LLVMTypeRef t = LLVMTypeOf(args[0]);
    for (int i = 0; i <= n; i++) params[i] = u->ptr, actual[i] = f->call_slot[i];
    for (int i = 0; i < n; i++) l_store(u, args[i], actual[i + 1], u->align);
    params[n + 1] = u->i32;
    actual[n + 1] = l_int32(u, l_is_vector(args[0]) ? u->lanes : 1);
    LLVMTypeRef type = LLVMFunctionType(u->none, params, (unsigned)n + 2, 0);
    LLVMBuildCall2(u->b, type, ll_runtime_function(u, name, type), actual, (unsigned)n + 2, "");
    return l_load(u, t, actual[0], u->align);
}

static Val word(Unit *u, Val v) { return LLVMBuildTrunc(u->b, v, u->i32, ""); }

/* Normal numbers of single precision are drawn as such, others in double precision. */
LLVMTypeRef ll_drawn_number(Unit *u, uint32_t aux) { return aux & 1 ? u->real : u->f64; }

static void fill_single(Func *f, uint32_t aux, Val out, Val site0, int64_t every, int64_t nsites, Val iteration, unsigned lanes, int64_t apart) {
    Unit *u = f->u;
    LLVMTypeRef params[11] = {u->ptr, u->i32, u->ptr, u->i32, u->i32, u->i32, u->i32, u->i32, u->i32, u->i32, u->i64};
    LLVMTypeRef type = LLVMFunctionType(u->none, params, 11, 0);
    Val args[11] = {out, l_int32(u, lanes), f->chains, f->seed, f->step, l_int32(u, aux >> 1),
                    word(u, iteration), word(u, site0), l_int32(u, apart), l_int32(u, every), l_int(u, nsites)};
    LLVMBuildCall2(u->b, type, ll_runtime_function(u, "lq_rand_normals_single", type), args, 11, "");
}

/* Element s of lane l at out[s*lanes + l], s < nsites: for the chain of the lane, and
 * site site0 + s*every + l*apart. */
void ll_fill_random(Func *f, uint32_t aux, Val out, Val site0, int64_t every, int64_t nsites, Val iteration, unsigned lanes, int64_t apart) {
    Unit *u = f->u;
    if (ll_drawn_number(u, aux) == u->f32) {
        fill_single(f, aux, out, site0, every, nsites, iteration, lanes, apart);
        return;
    }
    LLVMTypeRef params[12] = {u->ptr, u->i1, u->i32, u->ptr, u->i32, u->i32, u->i32, u->i32, u->i32, u->i32, u->i32, u->i64};
    LLVMTypeRef type = LLVMFunctionType(u->none, params, 12, 0);
    Val args[12] = {out, l_bool(u, aux & 1), l_int32(u, lanes), f->chains, f->seed, f->step, l_int32(u, aux >> 1),
                    word(u, iteration), word(u, site0), l_int32(u, apart), l_int32(u, every), l_int(u, nsites)};
    Val fn = ll_runtime_function(u, "lq_rand_every", type);
    l_enum_attr(u, fn, 2, "zeroext", 0);
    LLVMBuildCall2(u->b, type, fn, args, 12, "");
}

/* What was drawn, in the precision of the kernel; a uniform number stays below 1. */
Val ll_drawn(Func *f, uint32_t aux, Val v) {
    Unit *u = f->u;
    v = l_convert(u, v, u->real);
    if (u->real == u->f64 || aux & 1) return v;
    return ll_op(f, SC_MIN, (Val[]){v, l_real(u, 0x1.fffffep-1)}, 2);
}

Val ll_random(Func *f, uint32_t aux, Val site, Val iteration, unsigned lanes, int64_t apart) {
    Unit *u = f->u;
    ll_fill_random(f, aux, f->call_slot[0], site, 1, 1, iteration, lanes, apart);
    LLVMTypeRef number = ll_drawn_number(u, aux);
    unsigned align = number == u->f32 ? 4 : 8;
    return ll_drawn(f, aux, l_load(u, lanes > 1 ? LLVMVectorType(number, lanes) : number, f->call_slot[0], align));
}

/* ---- operations ---------------------------------------------------------------------- */

static Val intrinsic(Unit *u, const char *name, const Val *args, int n) {
    return l_intrinsic(u, name, LLVMTypeOf(args[0]), (Val *)args, (unsigned)n);
}

static Val constant_like(Unit *u, Val v, double c) {
    LLVMTypeRef t = LLVMTypeOf(v);
    Val k = LLVMConstReal(l_is_vector(v) ? LLVMGetElementType(t) : t, c);
    return l_is_vector(v) ? ll_as_vector(u, k) : k;
}

/* 1, -1 or 0; NaN compares false twice and gives 0. */
static Val sign(Unit *u, Val a) {
    Val zero = constant_like(u, a, 0);
    Val below = LLVMBuildFCmp(u->b, LLVMRealOLT, a, zero, "");
    Val above = LLVMBuildFCmp(u->b, LLVMRealOGT, a, zero, "");
    return l_select(u, above, constant_like(u, a, 1),
                    l_select(u, below, constant_like(u, a, -1), zero));
}

static Val choose(Unit *u, Val cond, Val a, Val b) {
    if (l_is_vector(cond) && !l_is_vector(a)) a = ll_as_vector(u, a), b = ll_as_vector(u, b);
    return l_select(u, cond, a, b);
}

/* Operands of one kind: all vectors when one is, all numbers or all truth values. */
static void unify(Unit *u, bool truth, Val *v, int n) {
    bool vector = false;
    for (int i = 0; i < n; i++) vector |= l_is_vector(v[i]);
    for (int i = 0; i < n; i++) {
        v[i] = truth ? ll_as_truth(u, v[i]) : ll_as_real(u, v[i]);
        if (vector) v[i] = ll_as_vector(u, v[i]);
    }
}

static Val arithmetic(Func *f, Op op, const Val *v, int n) {
    Unit *u = f->u;
    LLVMBuilderRef b = u->b;
    switch (op) {
    case SC_ADD:   return LLVMBuildFAdd(b, v[0], v[1], "");
    case SC_SUB:   return LLVMBuildFSub(b, v[0], v[1], "");
    case SC_MUL:   return LLVMBuildFMul(b, v[0], v[1], "");
    case SC_DIV:   return LLVMBuildFDiv(b, v[0], v[1], "");
    case SC_FMA:   return intrinsic(u, "llvm.fma", v, 3);
    case SC_NEG:   return LLVMBuildFNeg(b, v[0], "");
    case SC_ABS:   return intrinsic(u, "llvm.fabs", v, 1);
    case SC_SIGN:  return sign(u, v[0]);
    case SC_FLOOR: return intrinsic(u, "llvm.floor", v, 1);
    case SC_ROUND: return intrinsic(u, "llvm.rint", v, 1);
    case SC_SQRT:  return intrinsic(u, "llvm.sqrt", v, 1);
    case SC_MIN:   return l_select(u, LLVMBuildFCmp(b, LLVMRealOLT, v[0], v[1], ""), v[0], v[1]);
    case SC_MAX:   return l_select(u, LLVMBuildFCmp(b, LLVMRealOGT, v[0], v[1], ""), v[0], v[1]);
    case SC_LT:    return LLVMBuildFCmp(b, LLVMRealOLT, v[0], v[1], "");
    case SC_LE:    return LLVMBuildFCmp(b, LLVMRealOLE, v[0], v[1], "");
    case SC_EQ:    return LLVMBuildFCmp(b, LLVMRealOEQ, v[0], v[1], "");
    case SC_NE:    return LLVMBuildFCmp(b, LLVMRealUNE, v[0], v[1], "");
    default:       break;
    }
    const char *name = op_vmath(op);
    if (name) {
        Val inside = ll_math(u, name + strlen("lqm_"), v, (unsigned)n), wide[3] = {0};
        if (inside) return inside;
        for (int i = 0; i < n; i++) wide[i] = l_convert(u, v[i], u->f64);
        return l_convert(u, call_vmath(f, name, wide, n), u->real);
    }
    if (!u->wrong) u->wrong = "an operation that code generation does not know";
    return l_real(u, 0);
}

Val ll_op(Func *f, Op op, const Val *args, int n) {
    Unit *u = f->u;
    Val v[3];
    for (int i = 0; i < n; i++) v[i] = args[i];
    switch (op) {
    case SC_AND: unify(u, true, v, 2); return LLVMBuildAnd(u->b, v[0], v[1], "");
    case SC_OR:  unify(u, true, v, 2); return LLVMBuildOr(u->b, v[0], v[1], "");
    case SC_NOT: return LLVMBuildNot(u->b, ll_as_truth(u, v[0]), "");
    case SC_SELECT: {
        v[0] = ll_as_truth(u, v[0]);
        unify(u, l_is_truth(v[1]) && l_is_truth(v[2]), v + 1, 2);
        return choose(u, v[0], v[1], v[2]);
    }
    default: unify(u, false, v, n); return arithmetic(f, op, v, n);
    }
}
