/* contract.c — the rate of contractions on one core, beside its peak of fused multiply-adds.
 *
 *   contract [name…]   the rows whose names begin so; GF/s (median of rounds) and % of the
 *                      peak, which is measured before and after each row */
#include "../../runtime/base.h"
#include "../../runtime/contract.h"

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the peak ------------------------------------------------------------------------- */

/* GF/s in double precision; twice as many in single. */
#define STEP(i, fma) v[i] = fma(v[i], a, b); __asm__ volatile("" : "+v"(v[i]));
#define STEPS(fma) STEP(0, fma) STEP(1, fma) STEP(2, fma) STEP(3, fma) STEP(4, fma) STEP(5, fma) STEP(6, fma) STEP(7, fma) STEP(8, fma) STEP(9, fma)
#define PEAK(name, Vec, lanes, splat, fma, target)                                            \
    target static double name(void)                                                           \
    {                                                                                         \
        enum { CHAINS = 10, TIMES = 100000 };                                                 \
        Vec v[CHAINS], a = splat(0.999999), b = splat(1e-9);                                  \
        for (int i = 0; i < CHAINS; i++) v[i] = splat(1.0 + i);                               \
        double t = cpu_seconds();                                                             \
        for (int n = 0; n < TIMES; n++) {                                                     \
            STEPS(fma)                                                                        \
        }                                                                                     \
        return 2e-9 * lanes * CHAINS * TIMES / (cpu_seconds() - t);                           \
    }
PEAK(peak_512, __m512d, 8, _mm512_set1_pd, _mm512_fmadd_pd, __attribute__((target("avx512f"), optimize("O3"))))
PEAK(peak_256, __m256d, 4, _mm256_set1_pd, _mm256_fmadd_pd, __attribute__((target("avx2,fma"), optimize("O3"))))

static double peak(void)
{
    return __builtin_cpu_supports("avx512f") ? peak_512() : peak_256();
}

/* ---- one row ---------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int64_t operand_size(const LqOperand *o)
{
    int64_t n = 1;
    for (int d = 0; d < o->rank; d++) n *= o->ix[d].n;
    return n;
}

static void *numbers(int64_t n, bool single)
{
    void *p = lq_alloc_vectors((size_t)(n + 64) * 8);
    for (int64_t i = 0; i < n; i++) {
        double x = (double)(i * 7919 % 2003) / 1001.5 - 1;
        if (single) ((float *)p)[i] = (float)x;
        else ((double *)p)[i] = x;
    }
    return p;
}

static void measure(const char *name, const LqContraction *c)
{
    enum { ROUNDS = 9 };
    double flops = 2, rate[ROUNDS], peaks[ROUNDS];
    int64_t n = 1;
    for (int x = 0; x < c->rank + c->nred; x++) flops *= (double)c->ext[x];
    for (int x = 0; x < c->rank; x++) n *= c->ext[x];
    void *a = numbers(operand_size(&c->a), c->single), *b = numbers(operand_size(&c->b), c->single), *out = numbers(n, c->single);
    LqContractPlan *p = lq_contract_plan(c);
    void *scratch = lq_alloc_vectors(lq_contract_scratch(p) + 64);
    int64_t times = 1 + (int64_t)(1e9 / flops);
    if (times > 200000) times = 200000;
    lq_contract(p, a, b, out, scratch);
    for (int i = 0; i < ROUNDS; i++) {
        peaks[i] = peak();
        double t = cpu_seconds();
        for (int64_t j = 0; j < times; j++) lq_contract(p, a, b, out, scratch);
        rate[i] = 1e-9 * flops * (double)times / (cpu_seconds() - t);
    }
    qsort(rate, ROUNDS, sizeof *rate, by_size);
    qsort(peaks, ROUNDS, sizeof *peaks, by_size);
    double most = peaks[ROUNDS / 2] * (c->single ? 2 : 1), got = rate[ROUNDS / 2];
    printf("%-34s %-6s %7.1f GF/s %5.0f %%  %10.3f us\n", name, c->single ? "single" : "double", got, 100 * got / most, 1e-3 * flops / got);
    fflush(stdout);
    lq_contract_plan_free(p);
    free(a), free(b), free(out), free(scratch);
}

/* ---- what is measured ----------------------------------------------------------------------- */

static int nnames;
static char **names;

static bool wanted(const char *name)
{
    for (int i = 0; i < nnames; i++)
        if (!strncmp(name, names[i], strlen(names[i]))) return true;
    return nnames == 0;
}

static void row(const char *name, LqContraction c)
{
    if (!wanted(name)) return;
    for (int single = 0; single < 2; single++) {
        c.single = single;
        measure(name, &c);
    }
}

static LqIndex of(int64_t n, int axis)
{
    LqIndex ix = {.n = n};
    ix.c[axis] = 1;
    return ix;
}

static LqIndex near(int64_t n, int axis, int by, int64_t sign)
{
    LqIndex ix = {.n = n, .mode = LQ_PERIODIC, .k = -sign};
    ix.c[axis] = 1, ix.c[by] = sign;
    return ix;
}

/* a of m x k (or k x m), b of k x n (or n x k) */
static void matrices(int64_t m, int64_t n, int64_t k, const char *layout)
{
    char name[64];
    bool at = layout[0] == 'T', bt = layout[1] == 'T';
    LqContraction c = {.rank = 2, .nred = 1, .ext = {m, n, k}};
    c.a = (LqOperand){2, {at ? of(k, 2) : of(m, 0), at ? of(m, 0) : of(k, 2)}};
    c.b = (LqOperand){2, {bt ? of(n, 1) : of(k, 2), bt ? of(k, 2) : of(n, 1)}};
    snprintf(name, sizeof name, "%s %dx%dx%d", layout, (int)m, (int)n, (int)k);
    row(name, c);
}

static void convolutions(int64_t nb, int64_t ci, int64_t co, int64_t l)
{
    char name[64];
    LqOperand w = {4, {of(co, 1), of(ci, 4), of(3, 5), of(3, 6)}};
    LqContraction f = {.rank = 4, .nred = 3, .ext = {nb, co, l, l, ci, 3, 3}, .a = w};
    f.b = (LqOperand){4, {of(nb, 0), of(ci, 4), near(l, 2, 5, 1), near(l, 3, 6, 1)}};
    snprintf(name, sizeof name, "convolution %d: %dx%dx%d^2", (int)nb, (int)ci, (int)co, (int)l);
    row(name, f);
    LqContraction dw = {.rank = 4, .nred = 3, .ext = {co, ci, 3, 3, nb, l, l}};
    dw.a = (LqOperand){4, {of(nb, 4), of(co, 0), of(l, 5), of(l, 6)}};
    dw.b = (LqOperand){4, {of(nb, 4), of(ci, 1), near(l, 5, 2, 1), near(l, 6, 3, 1)}};
    row("convolution, gradient of weights", dw);
    LqContraction di = {.rank = 4, .nred = 3, .ext = {nb, ci, l, l, co, 3, 3}};
    di.a = (LqOperand){4, {of(co, 4), of(ci, 1), of(3, 5), of(3, 6)}};
    di.b = (LqOperand){4, {of(nb, 0), of(co, 4), near(l, 2, 5, -1), near(l, 3, 6, -1)}};
    row("convolution, gradient of input", di);
}

int main(int argc, char **argv)
{
    static const int64_t squares[] = {16, 32, 64, 96, 100, 128, 192, 256, 384, 500, 512, 768, 1000, 1024};
    nnames = argc - 1, names = argv + 1;
    for (int i = 0; i < LQ_COUNT(squares); i++) matrices(squares[i], squares[i], squares[i], "NN");
    for (int i = 2; i < LQ_COUNT(squares); i += 3)
        for (int t = 0; t < 3; t++) matrices(squares[i], squares[i], squares[i], (const char *[]){"NT", "TN", "TT"}[t]);
    for (int t = 0; t < 4; t++) {
        const char *layout = (const char *[]){"NN", "NT", "TN", "TT"}[t];
        matrices(500, 64, 64, layout);
        matrices(64, 64, 500, layout);
        matrices(64, 500, 64, layout);
        matrices(25, 1, 500, layout);
        matrices(1, 25, 500, layout);
        matrices(64, 500, 1, layout);
        matrices(500, 1, 64, layout);
        matrices(1, 500, 64, layout);
    }
    convolutions(64, 32, 32, 32);
    convolutions(64, 32, 32, 12);
    convolutions(16, 1, 32, 32);
    return 0;
}
