/* allocations.c — nothing allocates inside a trajectory.  Compiles the functions of the
 * examples as `lqft run` does, and counts the calls of the allocator while steps and
 * measurements run: the program's own, those of generated code, of the runtime and of the
 * libraries below them.
 *
 *   allocations STDLIB FILE… */
#include "../../compiler/run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 100, LANES = 8 };

#ifdef __SANITIZE_ADDRESS__
enum { COUNTED = 0 };                    /* the sanitizer has an allocator of its own */
static long calls;
#else
enum { COUNTED = 1 };
static long calls;

/* These replace the functions of the C library everywhere in the process. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void  __libc_free(void *p);

void *malloc(size_t n) { calls++; return __libc_malloc(n); }
void *calloc(size_t n, size_t size) { calls++; return __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { calls++; return __libc_realloc(p, n); }
void *memalign(size_t align, size_t n) { calls++; return __libc_memalign(align, n); }
void *aligned_alloc(size_t align, size_t n) { calls++; return __libc_memalign(align, n); }
int posix_memalign(void **p, size_t align, size_t n) { calls++; *p = __libc_memalign(align, n); return *p ? 0 : 12; }
void free(void *p) { calls += p != NULL; __libc_free(p); }
#endif

static double *lanes_of(const IrFunc *f, Ref r) {
    double *p = lq_alloc_vectors((size_t)(ir_elements(f->ir, r) + 8) * LANES * sizeof *p);
    if (!p) lq_out_of_memory((size_t)ir_elements(f->ir, r));
    return p;
}

static Ref value_input(const Variable *v) { return NARG(v->start.ir, v->in->u.num.re, 0); }

/* Calls of the allocator in STEPS steps of a chain block, with a measurement after each. */
static long count(SampleTask *t, const char *path) {
    const IrFunc *functions[] = {&t->init, &t->step, &t->measure};
    char err[512] = "";
    KLanes lanes;
    /* Chains fill the lanes; a minimisation is one replica, and fewer iterations show as much. */
    RunOptions o = {.device = DEVICE_CPU, .lanes = t->minimizes ? LANES_CHEAPEST : LANES_CHAINS};
    uint32_t steps = t->minimizes ? STEPS / 20 : STEPS;
    Executable *x = compile_functions(functions, LQ_COUNT(functions), t->minimizes ? 1 : LANES, &o, &lanes, err, sizeof err);
    if (!x) { fprintf(stderr, "%s: %s\n", path, err); exit(1); }
    int parts = t->state_in.n, nstats = t->stats_out.n;
    double **state = lq_alloc((size_t)(parts + 1) * sizeof *state);
    double **out = lq_alloc((size_t)(parts + nstats + 1) * sizeof *out);
    double **measured = lq_alloc((size_t)(t->measure.nout + 1) * sizeof *measured);
    const Variables *uses[] = {&t->init_uses, &t->step_uses, &t->measure_uses};
    const double **in = lq_alloc((size_t)(parts + 2 + uses[0]->n + uses[1]->n + uses[2]->n) * sizeof *in);
    double flag = 1, *scratch = lq_alloc_vectors((size_t)(executable_scratch(x) + 64) * sizeof *scratch);
    uint32_t chains[LANES];
    for (uint32_t l = 0; l < LANES; l++) chains[l] = l;
    for (int i = 0; i < parts; i++) state[i] = lanes_of(&t->step, t->state_in.data[i]);
    for (int i = 0; i < parts + nstats; i++) out[i] = lanes_of(&t->step, t->step.out[i]);
    for (int i = 0; i < t->measure.nout; i++) measured[i] = lanes_of(&t->measure, t->measure.out[i]);
    CallArgs a = {.in = in, .out = state, .scratch = scratch, .seed = 1, .chains = chains};
    double **variables[3];
    for (int k = 0; k < 3; k++) {
        variables[k] = lq_alloc((size_t)(uses[k]->n + 1) * sizeof **variables);
        for (int i = 0; i < uses[k]->n; i++) variables[k][i] = lanes_of(&t->step, value_input(uses[k]->data[i]));
    }
    memcpy(in, variables[0], (size_t)uses[0]->n * sizeof *in);
    execute(x, 0, &a);
    long before = calls;
    for (a.step = 1; a.step <= steps; a.step++) {
        flag = a.step <= steps / 2;
        for (int i = 0; i < parts; i++) in[i] = state[i];
        in[parts] = &flag;
        memcpy(in + parts + 1, variables[1], (size_t)uses[1]->n * sizeof *in);
        a.out = out;
        execute(x, 1, &a);
        for (int i = 0; i < parts; i++) {              /* the state that came out goes in */
            double *s = state[i];
            in[i] = state[i] = out[i], out[i] = s;
        }
        memcpy(in + parts, variables[2], (size_t)uses[2]->n * sizeof *in);
        a.out = measured;
        execute(x, 2, &a);
    }
    long during = calls - before;
    double sum = 0;
    for (int i = 0; i < t->measure.nout; i++) sum += measured[i][0];
    printf("%-28s %ld calls of the allocator in %d steps; first chain sums to %.6g\n", path, during, STEPS, sum);
    for (int i = 0; i < parts; i++) free(state[i]);
    for (int i = 0; i < parts + nstats; i++) free(out[i]);
    for (int i = 0; i < t->measure.nout; i++) free(measured[i]);
    free(state), free(out), free(measured), free(in), free(scratch);
    executable_free(x);
    return during;
}

int main(int argc, char **argv) {
    long total = 0, before = calls;
    int tasks = 0;
    free(malloc(argc > 0 ? 16 : 0));                   /* the counter counts */
    if (COUNTED && calls < before + 2) { fprintf(stderr, "allocations: the allocator is not counted\n"); return 1; }
    for (int i = 2; i < argc; i++) {
        RunOptions o = {.path = argv[i], .library = argv[1], .run = {.seed = 1}};
        Session s;
        session_open(&s, &o, false);
        if (session_check(&s, &o)) return 1;
        for (int k = 0; k < s.plan->tasks.n; k++)
            if (s.plan->tasks.data[k]->kind == TASK_SAMPLE) total += count(s.plan->tasks.data[k]->sample, argv[i]), tasks++;
        session_close(&s);
    }
    if (!tasks) { fprintf(stderr, "allocations: nothing was run\n"); return 1; }
    if (total) fprintf(stderr, "FAILED: memory is allocated inside a trajectory\n");
    return total != 0;
}
