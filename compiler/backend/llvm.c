/* llvm.c — the LLVM back end: one module per compilation, optimised by a short
 * pipeline, then either loaded by an LLJIT of its own or written as object code. */
#include "llvm_emit.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "../../runtime/philox.h"
#include "../../runtime/threads.h"
#include "../../runtime/vmath.h"

typedef void (*Entry)(const CallArgs *);

struct Compiled {
    LLVMOrcLLJITRef jit;
    Entry   *entry; int n;
    double **kept;  int nkept;         /* large constants that the code points to */
};

/* Explicit vectors need no vectoriser: these passes give the speed of -O3 in half the
 * time.  Early SROA turns accumulators and exchanged addresses into registers.  Left
 * to itself, instcombine ends the process when one round was not enough. */
static const char PIPELINE[] =
    "always-inline,function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"
    "loop-simplify,lcssa,loop-mssa(licm),gvn,dse,adce)";

/* ---- the host ----------------------------------------------------------------------- */

static pthread_once_t host_once = PTHREAD_ONCE_INIT;
static struct { LLVMTargetRef target; char *triple, *cpu, *features, *problem; } host;

static void host_find(void) {
    if (LLVMInitializeNativeTarget() || LLVMInitializeNativeAsmPrinter()) {
        host.problem = "LLVM was built without this machine's target";
        return;
    }
    host.triple = LLVMGetDefaultTargetTriple();
    host.cpu = LLVMGetHostCPUName();
    host.features = LLVMGetHostCPUFeatures();
    if (LLVMGetTargetFromTriple(host.triple, &host.target, &host.problem) && !host.problem)
        host.problem = "no such target";
}

static bool llvm_available(void) {
    pthread_once(&host_once, host_find);
    return !host.problem;
}

static LLVMTargetMachineRef new_machine(const BackendOptions *o) {
    LLVMCodeGenOptLevel level = o->optimize ? LLVMCodeGenLevelDefault : LLVMCodeGenLevelNone;
    return LLVMCreateTargetMachine(host.target, host.triple, host.cpu, host.features, level,
                                   LLVMRelocPIC, LLVMCodeModelDefault);
}

/* ---- messages ------------------------------------------------------------------------ */

static void say(char *err, size_t errlen, const char *what, const char *why) {
    if (errlen) snprintf(err, errlen, "%s%s%s", what, why ? ": " : "", why ? why : "");
}

/* True when e is an error; consumes it. */
static bool failed(LLVMErrorRef e, char *err, size_t errlen, const char *what) {
    if (!e) return false;
    char *why = LLVMGetErrorMessage(e);
    say(err, errlen, what, why);
    LLVMDisposeErrorMessage(why);
    return true;
}

/* ---- a module --------------------------------------------------------------------------- */

static void unit_begin(Unit *u, LLVMContextRef cx, const BackendOptions *o, bool jit) {
    LLVMTypeRef f64 = LLVMDoubleTypeInContext(cx), i1 = LLVMInt1TypeInContext(cx);
    unsigned w = (unsigned)o->lanes;
    *u = (Unit){
        .cx = cx, .b = LLVMCreateBuilderInContext(cx), .lanes = w, .sites = o->sites, .jit = jit,
        .module = LLVMModuleCreateWithNameInContext("lqft", cx),
        .f64 = f64, .vec = w > 1 ? LLVMVectorType(f64, w) : f64,
        .i1 = i1, .i32 = LLVMInt32TypeInContext(cx), .i64 = LLVMInt64TypeInContext(cx),
        .ptr = LLVMPointerTypeInContext(cx, 0), .none = LLVMVoidTypeInContext(cx),
        .align = w >= 8 ? 64 : 8 * w, .cpu = host.cpu, .features = host.features,
    };
}

static void unit_end(Unit *u) {
    if (u->module) LLVMDisposeModule(u->module);
    LLVMDisposeBuilder(u->b);
    for (int i = 0; i < u->kept.n; i++) free(u->kept.data[i]);
    vec_free(&u->kept);
}

static void dump_module(const Unit *u, const char *when) {
    char *text = LLVMPrintModuleToString(u->module);
    fprintf(stderr, "; ---- LLVM, %s\n%s", when, text);
    LLVMDisposeMessage(text);
}

/* A module that LLVM finds malformed is a mistake of this back end. */
static bool module_is_sound(const Unit *u, char *err, size_t errlen) {
    bool sound = true;
#ifndef NDEBUG
    char *why = NULL;
    sound = !LLVMVerifyModule(u->module, LLVMReturnStatusAction, &why);
    if (!sound) say(err, errlen, "internal error: LLVM", why);
    LLVMDisposeMessage(why);
#else
    (void)u, (void)err, (void)errlen;
#endif
    return sound;
}

static bool optimize(const Unit *u, LLVMTargetMachineRef tm, char *err, size_t errlen) {
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef e = LLVMRunPasses(u->module, PIPELINE, tm, options);
    LLVMDisposePassBuilderOptions(options);
    return !failed(e, err, errlen, "internal error: LLVM passes");
}

/* Fills the module; fn[i] is the function of program i. */
static bool unit_fill(Unit *u, LLVMTargetMachineRef tm, KProgram *const *programs, int n, Val *fn,
                      const BackendOptions *o, char *err, size_t errlen) {
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(tm);
    LLVMSetTarget(u->module, host.triple);
    LLVMSetModuleDataLayout(u->module, layout);
    LLVMDisposeTargetData(layout);
    for (int i = 0; i < n; i++) fn[i] = ll_program(u, programs[i]);
    ll_math_choose_inline(u);
    if (u->wrong) {
        say(err, errlen, "internal error", u->wrong);
        return false;
    }
    if (o->dump) dump_module(u, "as generated");
    if (!module_is_sound(u, err, errlen)) return false;
    if (o->optimize && !optimize(u, tm, err, errlen)) return false;
    if (o->dump && o->optimize) dump_module(u, "optimised");
    return true;
}

static bool options_are_sound(const BackendOptions *o, char *err, size_t errlen) {
    if (!llvm_available()) {
        say(err, errlen, "LLVM is not available", host.problem);
        return false;
    }
    int w = o->lanes;
    if (o->sites && w != REDUCE_PARTS) {
        say(err, errlen, "internal error", "lanes that are sites must be 8");
        return false;
    }
    if (w == 1 || w == 2 || w == 4 || w == 8 || w == 16) return true;
    say(err, errlen, "internal error", "lanes must be 1, 2, 4, 8 or 16");
    return false;
}

/* ---- just in time ------------------------------------------------------------------------- */

/* All that generated code may call; nothing else of the process is visible to it.
 * The last row: what instruction selection falls back to on machines without the
 * instruction. */
#define SYMBOLS(S)                                                                        \
    S(lqm_sin) S(lqm_cos) S(lqm_tan) S(lqmf_sin) S(lqmf_cos) S(lqmf_tan)                  \
    S(lqm_erf) S(lqm_lgamma) S(lqm_pow)                                                   \
    S(lq_rand_spread) S(lq_parallel)                                                      \
    S(memcpy) S(memset) S(memmove) S(fma) S(floor) S(rint)

static LLVMErrorRef define_symbols(LLVMOrcLLJITRef jit) {
    static const struct { const char *name; void (*address)(void); } known[] = {
#define S(f) {#f, (void (*)(void))(f)},
        SYMBOLS(S)
#undef S
    };
    LLVMOrcCSymbolMapPair pairs[LQ_COUNT(known)];
    for (int i = 0; i < LQ_COUNT(known); i++) {
        pairs[i].Name = LLVMOrcLLJITMangleAndIntern(jit, known[i].name);
        pairs[i].Sym.Address = (LLVMOrcExecutorAddress)(uintptr_t)known[i].address;
        pairs[i].Sym.Flags.GenericFlags =
            LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable;
        pairs[i].Sym.Flags.TargetFlags = 0;
    }
    LLVMOrcMaterializationUnitRef all = LLVMOrcAbsoluteSymbols(pairs, LQ_COUNT(known));
    LLVMErrorRef e = LLVMOrcJITDylibDefine(LLVMOrcLLJITGetMainJITDylib(jit), all);
    if (e) LLVMOrcDisposeMaterializationUnit(all);
    return e;
}

static LLVMOrcLLJITRef new_jit(const BackendOptions *o, char *err, size_t errlen) {
    LLVMOrcLLJITRef jit = NULL;
    LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
    /* The builder takes the description, which takes the machine. */
    LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(
        builder, LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(new_machine(o)));
    if (failed(LLVMOrcCreateLLJIT(&jit, builder), err, errlen, "LLVM JIT")) return NULL;
    if (!failed(define_symbols(jit), err, errlen, "LLVM JIT")) return jit;
    LLVMConsumeError(LLVMOrcDisposeLLJIT(jit));
    return NULL;
}

static LLVMOrcThreadSafeContextRef new_context(LLVMContextRef *cx) {
#if LLVM_VERSION_MAJOR >= 21
    *cx = LLVMContextCreate();
    return LLVMOrcCreateNewThreadSafeContextFromLLVMContext(*cx);
#else
    LLVMOrcThreadSafeContextRef shared = LLVMOrcCreateNewThreadSafeContext();
    *cx = LLVMOrcThreadSafeContextGetContext(shared);
    return shared;
#endif
}

/* Code generation happens here, at the first lookup. */
static bool look_up(Compiled *c, char *const *names, char *err, size_t errlen) {
    for (int i = 0; i < c->n; i++) {
        LLVMOrcExecutorAddress address = 0;
        if (failed(LLVMOrcLLJITLookup(c->jit, &address, names[i]), err, errlen, "LLVM code generation"))
            return false;
        c->entry[i] = (Entry)(uintptr_t)address;
    }
    return true;
}

static void llvm_release(Compiled *c) {
    if (!c) return;
    if (c->jit) LLVMConsumeError(LLVMOrcDisposeLLJIT(c->jit));
    for (int i = 0; i < c->nkept; i++) free(c->kept[i]);
    free(c->kept);
    free(c->entry);
    free(c);
}

/* The module goes to the JIT; the constants that its code points to, to c. */
static bool unit_load(Unit *u, Compiled *c, LLVMOrcThreadSafeContextRef shared, const Val *fn,
                      char *err, size_t errlen) {
    Arena *names_arena = arena_new();
    char **names = arena_alloc(names_arena, (size_t)c->n * sizeof *names);
    for (int i = 0; i < c->n; i++) {
        size_t length;
        const char *name = LLVMGetValueName2(fn[i], &length);
        names[i] = arena_strndup(names_arena, name, length);
    }
    LLVMOrcThreadSafeModuleRef module = LLVMOrcCreateNewThreadSafeModule(u->module, shared);
    u->module = NULL;                  /* `module` owns it now */
    c->kept = u->kept.data, c->nkept = u->kept.n;
    u->kept.data = NULL, u->kept.n = u->kept.cap = 0;
    LLVMErrorRef e = LLVMOrcLLJITAddLLVMIRModule(c->jit, LLVMOrcLLJITGetMainJITDylib(c->jit), module);
    if (e) LLVMOrcDisposeThreadSafeModule(module);
    bool ok = !failed(e, err, errlen, "LLVM JIT") && look_up(c, names, err, errlen);
    arena_free(names_arena);
    return ok;
}

static Compiled *llvm_compile(KProgram *const *programs, int n, const BackendOptions *o,
                              char *err, size_t errlen) {
    if (!options_are_sound(o, err, errlen)) return NULL;
    LLVMOrcLLJITRef jit = new_jit(o, err, errlen);
    if (!jit) return NULL;
    Compiled *c = lq_alloc(sizeof *c);
    *c = (Compiled){.jit = jit, .n = n, .entry = lq_alloc(((size_t)n + 1) * sizeof(Entry))};
    LLVMContextRef cx;
    LLVMOrcThreadSafeContextRef shared = new_context(&cx);
    LLVMTargetMachineRef tm = new_machine(o);
    Val *fn = lq_alloc(((size_t)n + 1) * sizeof *fn);
    Unit u;
    unit_begin(&u, cx, o, true);
    bool ok = unit_fill(&u, tm, programs, n, fn, o, err, errlen) &&
              unit_load(&u, c, shared, fn, err, errlen);
    unit_end(&u);
    free(fn);
    LLVMDisposeTargetMachine(tm);
    LLVMOrcDisposeThreadSafeContext(shared);
    if (ok) return c;
    llvm_release(c);
    return NULL;
}

static void llvm_call(const Compiled *c, int program, const CallArgs *args) { c->entry[program](args); }

/* ---- object code ------------------------------------------------------------------------------ */

static bool llvm_emit_object(KProgram *const *programs, int n, const BackendOptions *o,
                             const char *path, char *err, size_t errlen) {
    if (!options_are_sound(o, err, errlen)) return false;
    LLVMContextRef cx = LLVMContextCreate();
    LLVMTargetMachineRef tm = new_machine(o);
    Val *fn = lq_alloc(((size_t)n + 1) * sizeof *fn);
    Unit u;
    unit_begin(&u, cx, o, false);
    bool ok = unit_fill(&u, tm, programs, n, fn, o, err, errlen);
    char *why = NULL;
    if (ok && LLVMTargetMachineEmitToFile(tm, u.module, path, LLVMObjectFile, &why)) {
        say(err, errlen, path, why);
        LLVMDisposeMessage(why);
        ok = false;
    }
    unit_end(&u);
    free(fn);
    LLVMDisposeTargetMachine(tm);
    LLVMContextDispose(cx);
    return ok;
}

const Backend backend_llvm = {
    .name = "llvm",
    .available = llvm_available,
    .compile = llvm_compile,
    .call = llvm_call,
    .release = llvm_release,
    .emit_object = llvm_emit_object,
};
