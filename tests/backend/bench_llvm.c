/* bench_llvm.c — the rate of one kernel that matters: a leapfrog step of φ⁴ in two
 * dimensions, L = 32, a block of W chains; and how long it takes to compile. */
#include "kbuild.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { L = 32 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static Ref read2(KBuild *b, int buf, int64_t dy, int64_t dx) {
    Index ix[2] = {{aff_shift(b->ir, aff_sym(b->ir, 0), dy), dy ? IX_PERIODIC : IX_EXACT, L},
                   {aff_shift(b->ir, aff_sym(b->ir, 1), dx), dx ? IX_PERIODIC : IX_EXACT, L}};
    return ir_read(b->ir, b->array[buf], ix);
}

/* p' = p + ε (Σ neighbours - φ (a + b φ²)), φ' = φ + ε p': p in place, φ exchanged. */
static KProgram *leapfrog(Ir *ir, Arena *arena, const char *name, int64_t steps) {
    static const int64_t dims[2] = {L, L};
    KBuild b;
    kbuild_begin(&b, ir, arena, name);
    int in = kbuild_buf(&b, KB_IN, 2, dims, false, false, NULL), eps = kbuild_buf(&b, KB_IN, 0, NULL, true, false, NULL);
    int q = kbuild_buf(&b, KB_TEMP, 2, dims, false, false, NULL), p = kbuild_buf(&b, KB_TEMP, 2, dims, false, false, NULL);
    int q2 = kbuild_buf(&b, KB_TEMP, 2, dims, false, false, NULL), out = kbuild_buf(&b, KB_OUT, 2, dims, false, false, NULL);
    Ref e = ir_read(ir, b.array[eps], NULL), phi = read2(&b, q, 0, 0);
    Ref sum = ir_binary(ir, SC_ADD, ir_binary(ir, SC_ADD, read2(&b, q, 0, -1), read2(&b, q, 0, 1)),
                        ir_binary(ir, SC_ADD, read2(&b, q, -1, 0), read2(&b, q, 1, 0)));
    Ref t = ir_fma(ir, ir_binary(ir, SC_MUL, phi, phi), ir_const(ir, -0.4), ir_const(ir, -2.5));
    Ref force = ir_fma(ir, phi, t, sum);
    Ref p1 = ir_fma(ir, e, force, read2(&b, p, 0, 0)), q1 = ir_fma(ir, e, p1, phi);
    KRoot roots[2] = {{p1, 0, SC_NONE, p, 0}, {q1, 0, SC_NONE, q2, 0}};
    KStmt body = kbuild_kernel(&b, 2, dims, 2, roots);
    uint32_t loop = ir_loop_new(ir, steps, (Span){0});
    KCarry carry = {q, q2};
    vec_push(&b.stmts, kbuild_copy(q, in, L * L, aff_const(ir, 0)));
    vec_push(&b.stmts, kbuild_loop(&b, loop, steps, -1, 1, &body, 1, &carry));
    vec_push(&b.stmts, kbuild_copy(out, q, L * L, aff_const(ir, 0)));
    return kbuild_end(&b);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(int lanes, int optimize, bool dump) {
    enum { STEPS = 200, RUNS = 25, NPROG = 10 };
    Ir *ir = ir_new();
    Arena *arena = arena_new();
    KProgram *p[NPROG];
    for (int i = 0; i < NPROG; i++) p[i] = leapfrog(ir, arena, arena_printf(arena, "p%d", i), STEPS);
    char err[256];
    BackendOptions o = {.lanes = lanes, .optimize = optimize, .dump = dump};
    double t0 = now();
    Compiled *one = backend_native.compile(p, 1, &o, err, sizeof err);
    double t1 = now();
    o.dump = false;
    Compiled *ten = backend_native.compile(p, NPROG, &o, err, sizeof err);
    double t2 = now();
    if (!one || !ten) { printf("%s\n", err); exit(1); }
    size_t bytes = (size_t)(L * L * lanes) * sizeof(double);
    double *in = lq_alloc_vectors(bytes), *out = lq_alloc_vectors(bytes), eps = 0.01;
    double *scratch = lq_alloc_vectors((size_t)p[0]->scratch * (size_t)lanes * 8);
    for (int i = 0; i < L * L * lanes; i++) in[i] = sin(i);
    CallArgs args = {.in = (const double *[]){in, &eps}, .out = (double *[]){out}, .scratch = scratch};
    double rate[RUNS];
    for (int r = 0; r < RUNS; r++) {
        double s = now();
        backend_native.call(one, 0, &args);
        rate[r] = 1e-9 * STEPS * L * L * lanes / (now() - s);
    }
    qsort(rate, RUNS, sizeof *rate, by_size);
    printf("phi4 leapfrog L=%d W=%-2d O%d: median %.2f best %.2f Gsite.chain/s; compile 1 kernel %.1f ms, %d kernels %.1f ms\n",
           L, lanes, optimize, rate[RUNS / 2], rate[RUNS - 1], 1e3 * (t1 - t0), NPROG, 1e3 * (t2 - t1));
    backend_native.release(one);
    backend_native.release(ten);
    free(in), free(out), free(scratch);
    arena_free(arena);
    ir_free(ir);
}

int main(int argc, char **argv) {
    bool dump = argc > 1 && strcmp(argv[1], "dump") == 0;
    if (dump) { measure(8, 1, true); return 0; }
    for (int lanes = 1; lanes <= 16; lanes *= 2) measure(lanes, 1, false);
    measure(8, 0, false);
    return 0;
}
