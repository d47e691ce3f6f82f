/* functions.c — nanoseconds an element of each elementary function, inside a kernel that
 * the back end generates: a row of 512 elements of W lanes, out = f(in); and how long a
 * kernel with 500 different cosines takes to compile.
 *
 *     functions [lanes]      8 lanes unless given
 *
 * CPU times, medians of 15 runs.  `copy` is the kernel without a function: what loads and
 * stores cost.  A measurement, not a test. */
#include "../backend/kbuild.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N = 512, REPEAT = 200, RUNS = 15 };

static double cpu_time(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What the kernel stores: of one element x. */
typedef Ref Body(Ir *ir, Ref x, int which);

static KProgram *program(Ir *ir, Arena *arena, bool single, Body *body, int which) {
    static const int64_t dims[1] = {N};
    KBuild b;
    kbuild_begin(&b, ir, arena, "f");
    int in = kbuild_buf(&b, KB_IN, 1, dims, false, false, NULL), out = kbuild_buf(&b, KB_OUT, 1, dims, false, false, NULL);
    Index here = {aff_sym(ir, 0), IX_EXACT, N};
    KRoot root = {body(ir, ir_read(ir, b.array[in], &here), which), 0, SC_NONE, out, 0};
    vec_push(&b.stmts, kbuild_kernel(&b, 1, dims, 1, &root));
    KProgram *p = kbuild_end(&b);
    p->single = single;
    for (int i = 0; i < p->nbufs; i++) p->bufs[i].single = single;
    return p;
}

static Compiled *compiled(KProgram *p, int lanes) {
    char err[256];
    BackendOptions o = {.lanes = lanes, .optimize = 1};
    Compiled *c = backend_native.compile(&p, 1, &o, err, sizeof err);
    if (!c) printf("%s\n", err), exit(1);
    return c;
}

static void fill(void *data, int n, bool single, double lo, double hi) {
    for (int i = 0; i < n; i++) {
        double x = lo + (hi - lo) * (double)(i * 7919u % 10007u) / 10007.0;
        if (single) ((float *)data)[i] = (float)x;
        else ((double *)data)[i] = x;
    }
}

static double measure(int lanes, bool single, Body *body, int which, double lo, double hi) {
    Ir *ir = ir_new();
    Arena *arena = arena_new();
    Compiled *c = compiled(program(ir, arena, single, body, which), lanes);
    double *in = lq_alloc_vectors((size_t)(N * lanes) * 8), *out = lq_alloc_vectors((size_t)(N * lanes) * 8), ns[RUNS];
    fill(in, N * lanes, single, lo, hi);
    CallArgs args = {.in = (const double *[]){in}, .out = (double *[]){out}};
    for (int r = 0; r < RUNS; r++) {
        double t = cpu_time();
        for (int i = 0; i < REPEAT; i++) backend_native.call(c, 0, &args);
        ns[r] = 1e9 * (cpu_time() - t) / ((double)REPEAT * N * lanes);
    }
    qsort(ns, RUNS, sizeof *ns, by_size);
    backend_native.release(c);
    free(in), free(out);
    arena_free(arena);
    ir_free(ir);
    return ns[RUNS / 2];
}

static Ref apply(Ir *ir, Ref x, int which) {
    Op op = (Op)which;
    if (op == SC_NONE) return x;
    if (op == SC_POW) return ir_binary(ir, op, x, ir_const(ir, 1.7));
    if (op == SC_HASH) return ir_binary(ir, op, x, ir_const(ir, 0.7));
    if (op == SC_ATAN2) return ir_binary(ir, op, x, ir_const(ir, 0.7));
    return ir_unary(ir, op, x);
}

static Ref sine_and_cosine(Ir *ir, Ref x, int which) {
    (void)which;
    return ir_binary(ir, SC_MUL, ir_unary(ir, SC_SIN, x), ir_unary(ir, SC_COS, x));
}

static Ref many_cosines(Ir *ir, Ref x, int which) {
    Ref sum = ir_const(ir, 0);
    for (int i = 0; i < which; i++)
        sum = ir_binary(ir, SC_ADD, sum, ir_unary(ir, SC_COS, ir_binary(ir, SC_MUL, x, ir_const(ir, 1 + 0.01 * i))));
    return sum;
}

int main(int argc, char **argv) {
    static const struct { Op op; double lo, hi; } f[] = {
        {SC_NONE, -1, 1}, {SC_EXP, -20, 20}, {SC_EXPM1, -3, 3}, {SC_LOG, 0.01, 50}, {SC_LOG1P, -0.9, 10},
        {SC_SIN, -20, 20}, {SC_COS, -20, 20}, {SC_TAN, -20, 20}, {SC_ASIN, -1, 1}, {SC_ACOS, -1, 1},
        {SC_ATAN, -5, 5}, {SC_ATAN2, -5, 5}, {SC_SINH, -5, 5}, {SC_COSH, -5, 5}, {SC_TANH, -3, 3},
        {SC_ASINH, -5, 5}, {SC_ACOSH, 1, 9}, {SC_ATANH, -1, 1}, {SC_POW, 0.1, 9}, {SC_SQRT, 0, 9},
        {SC_SIGMOID, -9, 9}, {SC_SOFTPLUS, -9, 9}, {SC_ERF, -3, 3}, {SC_ERFC, -3, 9}, {SC_LGAMMA, 0.1, 20},
        {SC_DIGAMMA, 0.1, 20}, {SC_LOG_I0, -20, 20}, {SC_BESSEL_RATIO, -20, 20},
        {SC_HASH, 0, 1000}};
    int lanes = argc > 1 ? atoi(argv[1]) : 8;
    printf("ns an element, %d lanes: double, single\n", lanes);
    for (int i = 0; i < LQ_COUNT(f); i++)
        printf("  %-14s %6.2f %6.2f\n", f[i].op == SC_NONE ? "copy" : op_name(f[i].op),
               measure(lanes, false, apply, f[i].op, f[i].lo, f[i].hi), measure(lanes, true, apply, f[i].op, f[i].lo, f[i].hi));
    printf("  %-14s %6.2f %6.2f\n", "sin(x)*cos(x)", measure(lanes, false, sine_and_cosine, 0, -20, 20),
           measure(lanes, true, sine_and_cosine, 0, -20, 20));
    Ir *ir = ir_new();
    Arena *arena = arena_new();
    KProgram *p = program(ir, arena, false, many_cosines, 500);
    double t = cpu_time();
    Compiled *c = compiled(p, lanes);
    printf("compiling 500 cosines: %.0f ms\n", 1e3 * (cpu_time() - t));
    backend_native.release(c);
    arena_free(arena);
    ir_free(ir);
    return 0;
}
