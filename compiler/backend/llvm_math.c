/* llvm_math.c — elementary functions inside generated code, from the text that the
 * runtime and the interpreter compute with: the same operations, so the same bits.
 *
 * A function becomes an internal LLVM function for each type that uses it.  A module
 * that uses it rarely has it inlined into its loops; beyond a budget it is called. */
#include "llvm_machine.h"

#include "../../runtime/vmath_coef.h"
#include "../../runtime/vmath_coef_special.h"
#include "../../runtime/vmath_list.h"

#define VM(name) double_##name
#define VC(name) v_k(D_##name)
#define VC_POLY(name) D_##name
#define V_MANT 52
#define V_EXP_BITS 11
#define V_BIAS 1023
#include "../../runtime/vmath_text.h"
#include "../../runtime/vmath_special.h"

#undef VM
#undef VC
#undef VC_POLY
#undef V_MANT
#undef V_EXP_BITS
#undef V_BIAS
#define VM(name) single_##name
#define VC(name) v_k(F_##name)
#define VC_POLY(name) F_##name
#define V_MANT 23
#define V_EXP_BITS 8
#define V_BIAS 127
#include "../../runtime/vmath_text.h"

/* The special functions in single precision, by way of double. */
static Val widened(const Machine *wide, Val a) { return LLVMBuildFPExt(wide->u->b, a, wide->real, ""); }
static Val narrowed(const Machine *m, Val a) { return LLVMBuildFPTrunc(m->u->b, a, m->real, ""); }

#define X(f)                                             \
    static Val single_##f(Machine *m, Val a) {           \
        Machine wide = lm_wide(m);                       \
        return narrowed(m, double_##f(&wide, widened(&wide, a))); \
    }
VMATH_SPECIAL_1(X)
#define X_RARE(f, rare) X(f)
VMATH_SPECIAL_RARE(X_RARE)
#undef X
#undef X_RARE
#define X(f)                                             \
    static Val single_##f(Machine *m, Val a, Val b) {    \
        Machine wide = lm_wide(m);                       \
        return narrowed(m, double_##f(&wide, widened(&wide, a), widened(&wide, b))); \
    }
VMATH_SPECIAL_2(X)
#undef X
#define single_gamma_rare double_gamma_rare     /* a comparison: the type is its operand's */

typedef Val Emit(Machine *m, Val a);
typedef Val Emit2(Machine *m, Val a, Val b);

/* For one precision. */
typedef struct MathText { Emit *one; Emit2 *two; Emit *rare; } MathText;

typedef struct MathRow { const char *name; MathText in_double, in_single; } MathRow;

static const MathRow rows[] = {
#define X(f) {#f, {double_##f, NULL, NULL}, {single_##f, NULL, NULL}},
    VMATH_1(X) VMATH_SPECIAL_1(X)
#undef X
#define X(f) {#f, {NULL, double_##f, NULL}, {NULL, single_##f, NULL}},
    VMATH_2(X) VMATH_SPECIAL_2(X)
#undef X
#define X(f, rare) {#f, {double_##f, NULL, double_##rare}, {single_##f, NULL, single_##rare}},
    VMATH_RARE(X) VMATH_SPECIAL_RARE(X)
#undef X
};

static const MathRow *find_row(const char *name) {
    for (int i = 0; i < LQ_COUNT(rows); i++)
        if (!strcmp(rows[i].name, name)) return &rows[i];
    return NULL;
}

/* ---- a function ---------------------------------------------------------------------- */

/* math.exp.8d: eight doubles. */
static void function_name(char *out, size_t size, const char *name, const Unit *u, LLVMTypeRef t) {
    bool vector = LLVMGetTypeKind(t) == LLVMVectorTypeKind;
    snprintf(out, size, "math.%s.%u%c", name, vector ? LLVMGetVectorSize(t) : 1,
             lm_scalar(t) == u->f64 ? 'd' : 'f');
}

static bool is_math(Val fn) {
    size_t length;
    return !strncmp(LLVMGetValueName2(fn, &length), "math.", 5);
}

static Val stack_slot(Machine *m) {
    Val v = LLVMBuildAlloca(m->u->b, m->real, "");
    LLVMSetAlignment(v, 64);
    return v;
}

/* The runtime's function over arrays, for the lanes of a. */
static Val call_runtime(Machine *m, const char *name, Val out, Val in, Val a) {
    Unit *u = m->u;
    bool vector = LLVMGetTypeKind(m->real) == LLVMVectorTypeKind;
    LLVMTypeRef params[3] = {u->ptr, u->ptr, u->i32};
    LLVMTypeRef type = LLVMFunctionType(u->none, params, 3, 0);
    Val args[3] = {out, in, l_int32(u, vector ? LLVMGetVectorSize(m->real) : 1)};
    char full[32];
    snprintf(full, sizeof full, "%s_%s", lm_scalar(m->real) == u->f64 ? "lqm" : "lqmf", name);
    l_store(u, a, in, 64);
    LLVMBuildCall2(u->b, type, ll_runtime_function(u, full, type), args, 3, "");
    return l_load(u, m->real, out, 64);
}

static Val upper_half(Unit *u, Val v, bool upper) {
    unsigned n = LLVMGetVectorSize(LLVMTypeOf(v)) / 2;
    Val lane[16];
    for (unsigned i = 0; i < n; i++) lane[i] = l_int32(u, upper ? n + i : i);
    return LLVMBuildShuffleVector(u->b, v, v, LLVMConstVector(lane, n), "");
}

/* Is |a| at least the limit, or not a number?  Of the two vectors of a pair the sum is asked,
 * lane by lane: one is rare then, or nearly.  A sum and a comparison of integers, as which
 * NaN is greater than all, leave the units for multiply-adds alone. */
static Val trig_rare_bits(Machine *m, Val a) {
    Unit *u = m->u;
    Val limit = LLVMConstReal(lm_scalar(m->real), lm_scalar(m->real) == u->f64 ? D_TRIG_MAX : F_TRIG_MAX);
    Val size = lm_call(m, "llvm.fabs", a, NULL, NULL, 1);
    LLVMTypeRef t = m->bits;
    if (l_is_vector(a) && LLVMGetVectorSize(t) * (lm_scalar(t) == u->i64 ? 8 : 4) > 64) {
        size = LLVMBuildFAdd(u->b, upper_half(u, size, false), upper_half(u, size, true), "");
        t = LLVMVectorType(lm_scalar(t), LLVMGetVectorSize(LLVMTypeOf(size)));
    }
    Val bits = LLVMBuildBitCast(u->b, size, t, "");
    return l_compare(u, LLVMIntUGE, bits, lm_splat(t, LLVMConstBitCast(limit, lm_scalar(t))));
}

/* The branch that keeps rare arguments out of the text: which of the two an element
 * gets does not change its bits, so the runtime takes all lanes. */
static void emit_rare(Machine *m, Val fn, const MathRow *row, const MathText *text, Val a) {
    Unit *u = m->u;
    Val out = stack_slot(m), in = stack_slot(m);
    BasicBlock cold = LLVMAppendBasicBlockInContext(u->cx, fn, "rare");
    BasicBlock usual = LLVMAppendBasicBlockInContext(u->cx, fn, "usual");
    bool trig = text->rare == double_trig_rare || text->rare == single_trig_rare;
    Val any = trig ? trig_rare_bits(m, a) : text->rare(m, a);
    if (l_is_vector(any)) {
        LLVMTypeRef bits = LLVMIntTypeInContext(u->cx, LLVMGetVectorSize(LLVMTypeOf(any)));
        any = l_compare(u, LLVMIntNE, LLVMBuildBitCast(u->b, any, bits, ""), LLVMConstNull(bits));
    }
    l_unlikely(u, LLVMBuildCondBr(u->b, any, cold, usual));
    l_goto_end(u, cold);
    LLVMBuildRet(u->b, call_runtime(m, row->name, out, in, a));
    l_goto_end(u, usual);
}

static void emit_body(Machine *m, Val fn, const MathRow *row) {
    Unit *u = m->u;
    const MathText *text = lm_scalar(m->real) == u->f64 ? &row->in_double : &row->in_single;
    Val a = LLVMGetParam(fn, 0);
    l_goto_end(u, LLVMAppendBasicBlockInContext(u->cx, fn, "entry"));
    if (text->rare) emit_rare(m, fn, row, text, a);
    LLVMBuildRet(u->b, text->two ? text->two(m, a, LLVMGetParam(fn, 1)) : text->one(m, a));
}

static Val new_math(Unit *u, const MathRow *row, const char *name, LLVMTypeRef t, unsigned n) {
    LLVMTypeRef params[2] = {t, t};
    Val fn = LLVMAddFunction(u->module, name, LLVMFunctionType(t, params, n, 0));
    unsigned whole = (unsigned)LLVMAttributeFunctionIndex;
    LLVMSetLinkage(fn, LLVMInternalLinkage);
    l_enum_attr(u, fn, whole, "nounwind", 0);
    l_enum_attr(u, fn, whole, "willreturn", 0);
    l_enum_attr(u, fn, whole, "memory", 0);  /* none that a caller sees */
    ll_target_attributes(u, fn);
    Unit inside = *u;                        /* the caller's builder stays where it is */
    inside.b = LLVMCreateBuilderInContext(u->cx);
    Machine m = lm_machine(&inside, t);
    emit_body(&m, fn, row);
    LLVMDisposeBuilder(inside.b);
    return fn;
}

Val ll_math(Unit *u, const char *name, const Val *args, unsigned n) {
    const MathRow *row = find_row(name);
    LLVMTypeRef t = LLVMTypeOf(args[0]);
    char full[48];
    if (!row) return NULL;
    function_name(full, sizeof full, name, u, t);
    Val fn = LLVMGetNamedFunction(u->module, full);
    if (!fn) fn = new_math(u, row, full, t, n);
    Val call = LLVMBuildCall2(u->b, LLVMGlobalGetValueType(fn), fn, (Val *)args, n, "");
    unsigned never = LLVMGetEnumAttributeKindForName("noinline", 8);
    if (u->seldom) LLVMAddCallSiteAttribute(call, (unsigned)LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(u->cx, never, 0));
    return call;
}

/* ---- two at once ------------------------------------------------------------------------ */

bool ll_math_branches(Op op) {
    const MathRow *row = op_vmath(op) ? find_row(op_vmath(op) + strlen("lqm_")) : NULL;
    return row && row->in_double.rare;
}

/* One branch for both, and between branches the work of both side by side: a vector as
 * long as two becomes two of each instruction. */
void ll_math_pair(Unit *u, Op op, Val *a, Val *b) {
    unsigned n = LLVMGetVectorSize(LLVMTypeOf(*a));
    Val all[32];
    for (unsigned i = 0; i < 2 * n; i++) all[i] = l_int32(u, i);
    Val both = LLVMBuildShuffleVector(u->b, *a, *b, LLVMConstVector(all, 2 * n), "");
    both = ll_math(u, op_vmath(op) + strlen("lqm_"), &both, 1);
    *a = LLVMBuildShuffleVector(u->b, both, both, LLVMConstVector(all, n), "");
    *b = LLVMBuildShuffleVector(u->b, both, both, LLVMConstVector(all + n, n), "");
}

/* ---- inline or not --------------------------------------------------------------------- */

static int instructions(Val fn) {
    int n = 0;
    for (BasicBlock b = LLVMGetFirstBasicBlock(fn); b; b = LLVMGetNextBasicBlock(b))
        for (Val i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) n++;
    return n;
}

/* Calls that may be inlined: not those that run for few points. */
static int uses(Val fn) {
    unsigned never = LLVMGetEnumAttributeKindForName("noinline", 8), where = (unsigned)LLVMAttributeFunctionIndex;
    int n = 0;
    for (LLVMUseRef use = LLVMGetFirstUse(fn); use; use = LLVMGetNextUse(use))
        n += !LLVMGetCallSiteEnumAttribute(LLVMGetUser(use), where, never);
    return n;
}

/* Machine code costs about 20 µs an instruction: what is inlined stays below a budget,
 * the functions with the smallest cost first served. */
void ll_math_choose_inline(Unit *u) {
    enum { EACH = 1200, ALL = 4000 };
    int total = 0;
    for (Val fn = LLVMGetFirstFunction(u->module); fn; fn = LLVMGetNextFunction(fn)) {
        if (!is_math(fn)) continue;
        int n = uses(fn), cost = n * instructions(fn);
        bool inlined = n <= 1 || (cost <= EACH && total + cost <= ALL);
        total += inlined ? cost : 0;
        l_enum_attr(u, fn, (unsigned)LLVMAttributeFunctionIndex, inlined ? "alwaysinline" : "noinline", 0);
    }
}
