/* llvm.c — object code through LLVM: one module per unit of programs, optimised by a short
 * pipeline.  This file and the other llvm*.c are a library of their own, which is loaded
 * only when there is something to compile (native.c). */
#include "llvm_emit.h"

#include "code_maker.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include <pthread.h>
#include <stdlib.h>

/* Explicit vectors need no vectoriser: these passes give the speed of -O3 in half the
 * time.  Early SROA turns accumulators and exchanged addresses into registers.  Left
 * to itself, instcombine ends the process when one round was not enough. */
static const char PIPELINE[] =
    "always-inline,function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"
    "loop-simplify,lcssa,loop-mssa(licm),gvn,dse,adce)";

/* Addresses are found where they change (levels of a nest), so strength reduction of loops
 * finds little: without it code is made in a fifth less time, and seven programs took 0.95 to 1.05, in
 * the mean 1.006, of the time that they took with it. */
static const char *const SETTINGS[] = {"lqft", "-disable-lsr"};

/* ---- the host ----------------------------------------------------------------------- */

static pthread_once_t host_once = PTHREAD_ONCE_INIT;
static struct { LLVMTargetRef target; char *triple, *cpu, *features, *problem; } host;

static void host_find(void) {
    LLVMParseCommandLineOptions(LQ_COUNT(SETTINGS), SETTINGS, NULL);
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

static const char *llvm_problem(void) {
    pthread_once(&host_once, host_find);
    return host.problem;
}

/* What the emitter asks about is named too; the rest follows from the level. */
static const char *features_of(const BackendOptions *o) {
    if (!o->cpu) return host.features;
    return !strcmp(o->cpu, "x86-64-v4") ? "+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl" : "";
}

static LLVMTargetMachineRef new_machine(const BackendOptions *o) {
    LLVMCodeGenOptLevel level = o->optimize ? LLVMCodeGenLevelDefault : LLVMCodeGenLevelNone;
    return LLVMCreateTargetMachine(host.target, host.triple, o->cpu ? o->cpu : host.cpu, features_of(o), level,
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

static void unit_begin(Unit *u, LLVMContextRef cx, const BackendOptions *o, bool whole) {
    LLVMTypeRef f64 = LLVMDoubleTypeInContext(cx), i1 = LLVMInt1TypeInContext(cx);
    unsigned w = (unsigned)o->lanes;
    *u = (Unit){
        .cx = cx, .b = LLVMCreateBuilderInContext(cx), .lanes = w, .sites = o->sites, .whole = whole,
        .module = LLVMModuleCreateWithNameInContext("lqft", cx),
        .f64 = f64, .real = f64, .f32 = LLVMFloatTypeInContext(cx), .vec = w > 1 ? LLVMVectorType(f64, w) : f64,
        .i1 = i1, .i32 = LLVMInt32TypeInContext(cx), .i64 = LLVMInt64TypeInContext(cx),
        .ptr = LLVMPointerTypeInContext(cx, 0), .none = LLVMVoidTypeInContext(cx),
        .align = w >= 8 ? 64 : 8 * w, .cpu = o->cpu ? o->cpu : host.cpu, .features = features_of(o),
    };
}

static void unit_end(Unit *u) {
    if (u->module) LLVMDisposeModule(u->module);
    LLVMDisposeBuilder(u->b);
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

/* Programs share their Ir, to which emission may add affine forms. */
static pthread_mutex_t emission = PTHREAD_MUTEX_INITIALIZER;

static bool unit_fill(Unit *u, LLVMTargetMachineRef tm, KProgram *const *programs, int n,
                      const BackendOptions *o, char *err, size_t errlen) {
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(tm);
    LLVMSetTarget(u->module, host.triple);
    LLVMSetModuleDataLayout(u->module, layout);
    LLVMDisposeTargetData(layout);
    pthread_mutex_lock(&emission);
    for (int i = 0; i < n; i++) ll_program(u, programs[i], i);
    ll_math_choose_inline(u);
    pthread_mutex_unlock(&emission);
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
    if (llvm_problem()) {
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

/* ---- object code ------------------------------------------------------------------------------ */

static bool to_memory(const Unit *u, LLVMTargetMachineRef tm, CodeObject *out, char *err, size_t errlen) {
    LLVMMemoryBufferRef buffer = NULL;
    char *why = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(tm, u->module, LLVMObjectFile, &why, &buffer)) {
        say(err, errlen, "LLVM code generation", why);
        LLVMDisposeMessage(why);
        return false;
    }
    out->size = LLVMGetBufferSize(buffer);
    out->bytes = lq_alloc(out->size + 1);
    memcpy(out->bytes, LLVMGetBufferStart(buffer), out->size);
    LLVMDisposeMemoryBuffer(buffer);
    return true;
}

static bool llvm_make(KProgram *const *programs, int n, const BackendOptions *o, bool whole, CodeObject *out,
                      char *err, size_t errlen) {
    if (!options_are_sound(o, err, errlen)) return false;
    LLVMContextRef cx = LLVMContextCreate();
    LLVMTargetMachineRef tm = new_machine(o);
    Unit u;
    unit_begin(&u, cx, o, whole);
    bool ok = unit_fill(&u, tm, programs, n, o, err, errlen) && to_memory(&u, tm, out, err, errlen);
    unit_end(&u);
    LLVMDisposeTargetMachine(tm);
    LLVMContextDispose(cx);
    return ok;
}

const CodeMaker lqft_code_maker = {.problem = llvm_problem, .make = llvm_make};
