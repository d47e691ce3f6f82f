/* test_contract.c — contractions against a plain sum, on every machine that this CPU can be.
 *
 * The plain sum has at least eleven more bits.  A sum of K terms is made of blocks of at
 * most 256 (inner products: of chains of 128 and a tree), each a chain of fused
 * multiply-adds or, on the plain machine, of products and sums.  So a term is rounded at
 * most min(K, 256) + 1 times in its block, ceil(K/256) times after it, and once when
 * multiplied by the extent of an axis that is in no operand; with u the unit roundoff the
 * error is at most (min(K, 256) + ceil(K/256) + 2) u sum|a b|, up to a factor 1 + 1e-4
 * for terms of second order in single precision (Higham, "Accuracy and Stability of
 * Numerical Algorithms", 2002, ch. 3). */
#include "../../runtime/base.h"
#include "../../runtime/contract.h"
#include "../../runtime/contract_plan.h"
#include "../../runtime/threads.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u;

static uint64_t random_bits(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

static int64_t pick(int64_t lo, int64_t hi)
{
    return lo + (int64_t)(random_bits() % (uint64_t)(hi - lo + 1));
}

/* ---- arrays --------------------------------------------------------------------------- */

enum { GUARD = 64 };

/* Memory with guards at both ends. */
static char *new_guarded(size_t bytes)
{
    size_t all = ((bytes + 63) & ~(size_t)63) + 2 * GUARD;
    char *p = aligned_alloc(64, all);
    memset(p, 0xa5, all);
    return p + GUARD;
}

static bool free_guarded(char *p, size_t bytes)
{
    bool whole = true;
    for (int i = 0; i < GUARD; i++) whole = whole && (unsigned char)p[-1 - i] == 0xa5 && (unsigned char)p[bytes + (size_t)i] == 0xa5;
    free(p - GUARD);
    return whole;
}

static double at(const void *array, bool single, int64_t i)
{
    return single ? (double)((const float *)array)[i] : ((const double *)array)[i];
}

static int64_t operand_size(const LqOperand *o)
{
    int64_t n = 1;
    for (int d = 0; d < o->rank; d++) n *= o->ix[d].n;
    return n;
}

static char *random_operand(const LqOperand *o, bool single)
{
    int64_t n = operand_size(o);
    char *p = new_guarded((size_t)n * (single ? 4 : 8));
    for (int64_t i = 0; i < n; i++) {
        double x = (double)(random_bits() >> 11) * 0x1p-52 - 1;
        if (single) ((float *)p)[i] = (float)x;
        else ((double *)p)[i] = x;
    }
    return p;
}

/* ---- the plain sum ----------------------------------------------------------------------- */

static double element(const LqOperand *o, int naxes, const int64_t *point, const void *data, bool single)
{
    int64_t where = 0;
    double sign = 1;
    for (int d = 0; d < o->rank; d++) {
        const LqIndex *ix = &o->ix[d];
        int64_t i = ix->k, turns = 0;
        for (int x = 0; x < naxes; x++) i += ix->c[x] * point[x];
        for (; i < 0; i += ix->n) turns++;
        for (; i >= ix->n; i -= ix->n) turns++;
        if (ix->mode == LQ_ZERO && turns) return 0;
        if (ix->mode == LQ_ANTIPERIODIC && turns % 2) sign = -sign;
        where = where * ix->n + i;
    }
    return sign * at(data, single, where);
}

static bool next(const int64_t *ext, int first, int end, int64_t *point)
{
    for (int x = end - 1; x >= first; x--) {
        if (++point[x] < ext[x]) return true;
        point[x] = 0;
    }
    return false;
}

typedef struct Sum {
    long double sum, size;   /* of the terms, of their magnitudes */
} Sum;

static Sum *plain_sums(const LqContraction *c, const void *a, const void *b, int64_t nout, int64_t terms)
{
    int n = c->rank + c->nred;
    int64_t point[LQ_AXES] = {0};
    Sum *sums = calloc((size_t)nout + 1, sizeof *sums);
    for (int64_t o = 0; o < nout; o++, next(c->ext, 0, c->rank, point))
        for (int64_t t = 0; t < terms; t++, next(c->ext, c->rank, n, point)) {
            long double x = (long double)element(&c->a, n, point, a, c->single) * element(&c->b, n, point, b, c->single);
            sums[o].sum += x;
            sums[o].size += fabsl(x);
        }
    return sums;
}

/* The greatest error of out in units of the bound. */
static double worst(const Sum *sums, const void *out, int64_t nout, int64_t terms, bool single)
{
    double blocks = (double)((terms + 255) / 256), chain = terms < 256 ? (double)terms : 256, most = 0;
    double bound = (chain + blocks + 2) * (single ? 0x1p-24 * (1 + 1e-4) : 0x1p-53);
    for (int64_t o = 0; o < nout; o++) {
        double off = (double)fabsl(at(out, single, o) - sums[o].sum), allowed = bound * (double)sums[o].size + 0x1p-1070;
        if (!(off <= most * allowed)) most = isfinite(off) ? off / allowed : INFINITY;
    }
    return most;
}

/* ---- one contraction on all machines --------------------------------------------------------- */

static double worst_seen;
static int wrong, cases, shared, followed_early;
static Pool *three;

static void describe(const LqContraction *c)
{
    printf("  %s, rank %d, reduced %d, extents", c->single ? "single" : "double", c->rank, c->nred);
    for (int x = 0; x < c->rank + c->nred; x++) printf(" %d", (int)c->ext[x]);
    for (int o = 0; o < 2; o++) {
        const LqOperand *p = o ? &c->b : &c->a;
        printf("\n  %c:", 'a' + o);
        for (int d = 0; d < p->rank; d++) {
            printf(" [n %d mode %d: %d", (int)p->ix[d].n, p->ix[d].mode, (int)p->ix[d].k);
            for (int x = 0; x < c->rank + c->nred; x++)
                if (p->ix[d].c[x]) printf(" %+d*x%d", (int)p->ix[d].c[x], x);
            printf("]");
        }
    }
    printf("\n");
}

/* The same on three threads, where it is large enough to be shared. */
static bool same_in_threads(const LqContraction *c, const void *a, const void *b, const void *want, size_t out_bytes)
{
    Pool *before = pool_use(three);
    LqContractPlan *p = lq_contract_plan(c);
    size_t bytes = lq_contract_scratch(p);
    char *out = new_guarded(out_bytes), *scratch = new_guarded(bytes);
    shared += p->workers > 1;
    lq_contract(p, a, b, out, scratch);
    bool same = !memcmp(out, want, out_bytes);
    lq_contract_plan_free(p);
    pool_use(before);
    return free_guarded(scratch, bytes) & free_guarded(out, out_bytes) & same;
}

/* Rows of the result as a follower finds them, and how often it was called for each. */
typedef struct Copies {
    const char *out;
    char *copy;
    size_t row_bytes;
    int64_t rows, first;
    int *calls;
} Copies;

static void copy_rows(void *ctx, int64_t t, int worker)
{
    Copies *c = ctx;
    (void)worker;
    int64_t from = t * c->rows, to = from + c->rows < c->first ? from + c->rows : c->first;
    memcpy(c->copy + (size_t)from * c->row_bytes, c->out + (size_t)from * c->row_bytes, (size_t)(to - from) * c->row_bytes);
    c->calls[t]++;
}

/* A follower sees each row as it is at the end, once. */
static bool same_followed(const LqContraction *c, Pool *pool, const void *a, const void *b, const void *want, size_t out_bytes)
{
    int64_t first = c->rank ? c->ext[0] : 0;
    if (first < 1 || out_bytes == 0) return true;
    Pool *before = pool_use(pool);
    LqContractPlan *p = lq_contract_plan(c);
    size_t bytes = lq_contract_scratch(p);
    char *out = new_guarded(out_bytes), *scratch = new_guarded(bytes);
    Copies copies = {.out = out, .copy = malloc(out_bytes), .row_bytes = out_bytes / (size_t)first, .rows = pick(1, first), .first = first,
                     .calls = calloc((size_t)first, sizeof *copies.calls)};
    LqFollower follower = {copies.rows, (first + copies.rows - 1) / copies.rows, copy_rows, &copies};
    memset(out, 0x55, out_bytes);
    lq_contract_followed(p, a, b, out, scratch, &follower);
    bool same = !memcmp(out, want, out_bytes) && !memcmp(copies.copy, want, out_bytes);
    for (int64_t t = 0; t < follower.tasks; t++) same &= copies.calls[t] == 1;
    followed_early += p->row_rows || p->row_entries;
    lq_contract_plan_free(p);
    pool_use(before);
    free(copies.copy), free(copies.calls);
    return free_guarded(scratch, bytes) & free_guarded(out, out_bytes) & same;
}

static void try(const LqContraction *c)
{
    int64_t nout = 1, terms = 1;
    for (int x = 0; x < c->rank + c->nred; x++) *(x < c->rank ? &nout : &terms) *= c->ext[x];
    size_t out_bytes = (size_t)nout * (c->single ? 4 : 8);
    char *a = random_operand(&c->a, c->single), *b = random_operand(&c->b, c->single), *first = NULL;
    Sum *sums = plain_sums(c, a, b, nout, terms);
    cases++;
    for (int m = 0; ct_machine(c->single, m); m++) {
        LqContractPlan *p = ct_plan(c, ct_machine(c->single, m));
        size_t bytes = lq_contract_scratch(p);
        char *out = new_guarded(out_bytes), *scratch = new_guarded(bytes);
        lq_contract(p, a, b, out, scratch);
        double off = worst(sums, out, nout, terms, c->single);
        if (off > worst_seen) worst_seen = off;
        bool last = !ct_machine(c->single, m + 1);  /* without fused multiply-add: other bits */
        bool same = !first || last || !memcmp(first, out, out_bytes);
        bool whole = free_guarded(scratch, bytes);
        if (!(off <= 1) || !same || !whole) {
            if (wrong++ < 5) {
                check(false, "machine %d: error %.3g of the bound, bits %s, guards %s", m, off, same ? "agree" : "differ", whole ? "whole" : "broken");
                describe(c);
            }
        }
        lq_contract_plan_free(p);
        if (!first) first = out;
        else if (!free_guarded(out, out_bytes)) wrong++, check(false, "written outside out");
    }
    if (!same_in_threads(c, a, b, first, out_bytes) && wrong++ < 5) {
        check(false, "three threads: other bits, or written outside");
        describe(c);
    }
    if (!(same_followed(c, NULL, a, b, first, out_bytes) & same_followed(c, three, a, b, first, out_bytes)) && wrong++ < 5) {
        check(false, "a follower sees other rows, or not each once");
        describe(c);
    }
    if (!free_guarded(first, out_bytes)) wrong++, check(false, "written outside out");
    free(a - GUARD);
    free(b - GUARD);
    free(sums);
}

static void report(const char *what)
{
    check(!wrong, "%s: %d contractions (%d shared by threads, %d followed as they are made), largest error %.2f of the bound", what, cases, shared, followed_early, worst_seen);
    worst_seen = cases = wrong = shared = followed_early = 0;
}

/* ---- random descriptors -------------------------------------------------------------------------- */

static LqOperand random_indices(const LqContraction *c)
{
    LqOperand o = {.rank = (int)pick(0, 4)};
    int naxes = c->rank + c->nred;
    for (int d = 0; d < o.rank; d++) {
        LqIndex *ix = &o.ix[d];
        int64_t lo = 0, hi = 0;
        ix->mode = (int)pick(0, 9) < 6 ? LQ_EXACT : (int)pick(1, 3);
        for (int64_t i = pick(0, 5) ? pick(1, 2) : 0; i > 0 && naxes; i--) {
            int64_t x = pick(0, naxes - 1);
            ix->c[x] = pick(0, 2) ? 1 : pick(-3, 3);
        }
        for (int x = 0; x < naxes; x++) {
            int64_t far = ix->c[x] * (c->ext[x] > 0 ? c->ext[x] - 1 : 0);
            *(far < 0 ? &lo : &hi) += far;
        }
        if (ix->mode == LQ_EXACT) ix->k = pick(0, 2) - lo, ix->n = hi + ix->k + 1 + pick(0, 2);
        else ix->k = pick(-9, 9), ix->n = pick(0, 3) ? pick(1, 7) : hi - lo + 1;
    }
    return o;
}

static void random_cases(int n)
{
    static const int64_t extents[] = {1, 1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 24, 31, 32, 33, 40, 64, 65, 100, 130, 300, 1000};
    for (int i = 0; i < n; i++) {
        LqContraction c = {.rank = (int)pick(0, 4), .nred = (int)pick(0, 3), .single = pick(0, 1)};
        int64_t points = 1;
        for (int x = 0; x < c.rank + c.nred; x++) {
            c.ext[x] = pick(0, 60) ? extents[pick(0, LQ_COUNT(extents) - 1)] : 0;
            if (points * c.ext[x] > 60000) c.ext[x] = pick(1, 3);
            points *= c.ext[x] ? c.ext[x] : 1;
        }
        c.a = random_indices(&c);
        c.b = random_indices(&c);
        if (operand_size(&c.a) > 1000000 || operand_size(&c.b) > 1000000) continue;
        try(&c);
    }
    report("random axes");
}

/* ---- what programs consist of ---------------------------------------------------------------------- */

static LqIndex index_of(int64_t n, int axis)
{
    LqIndex ix = {.n = n};
    ix.c[axis] = 1;
    return ix;
}

/* out[i, j] = sum over k; layout bit 0: a is [k, i], bit 1: b is [j, k], bit 2: out is [j, i]. */
static LqContraction matrices(int64_t m, int64_t n, int64_t k, int layout, bool single)
{
    int i = layout & 4 ? 1 : 0, j = 1 - i;
    LqContraction c = {.rank = 2, .nred = 1, .single = single};
    c.ext[i] = m, c.ext[j] = n, c.ext[2] = k;
    c.a.rank = c.b.rank = 2;
    c.a.ix[layout & 1] = index_of(m, i), c.a.ix[!(layout & 1)] = index_of(k, 2);
    c.b.ix[!(layout & 2)] = index_of(n, j), c.b.ix[!!(layout & 2)] = index_of(k, 2);
    return c;
}

static void matrix_cases(bool full)
{
    static const int64_t sizes[][3] = {{1, 1, 1}, {8, 24, 8}, {16, 16, 16}, {17, 5, 33}, {64, 64, 64}, {65, 63, 70}, {1, 500, 64},
                                       {500, 1, 64}, {25, 1, 500}, {1, 64, 1}, {64, 500, 1}, {3, 100, 700}, {100, 2, 513}, {1, 1, 9000},
                                       {2, 3, 5000}, {130, 97, 257}, {128, 128, 300}, {100, 1000, 20}, {1000, 40, 40}, {33, 2000, 17}};
    for (int s = 0; s < LQ_COUNT(sizes) - (full ? 0 : 5); s++)
        for (int layout = 0; layout < 8; layout++)
            for (int single = 0; single < 2; single++) {
                LqContraction c = matrices(sizes[s][0], sizes[s][1], sizes[s][2], layout, single);
                try(&c);
            }
    report("matrix products of every layout");
}

/* a[b, i, k] and b[b, k, j] */
static void batch_cases(void)
{
    static const int64_t sizes[][4] = {{50, 4, 4, 4}, {7, 1, 1, 40}, {7, 8, 16, 8}, {3, 20, 30, 300}, {200, 1, 1, 1}};
    for (int s = 0; s < LQ_COUNT(sizes); s++)
        for (int single = 0; single < 2; single++) {
            const int64_t *n = sizes[s];
            LqContraction c = {.rank = 3, .nred = 1, .ext = {n[0], n[1], n[2], n[3]}, .single = single};
            c.a = (LqOperand){3, {index_of(n[0], 0), index_of(n[1], 1), index_of(n[3], 3)}};
            c.b = (LqOperand){3, {index_of(n[0], 0), index_of(n[3], 3), index_of(n[2], 2)}};
            try(&c);
        }
    report("batches");
}

static LqIndex shifted(int64_t n, int x, int dx, int64_t sign, int mode)
{
    LqIndex ix = {.n = n, .mode = mode, .k = -sign};
    ix.c[x] = 1, ix.c[dx] = sign;
    return ix;
}

/* Convolutions of nb fields of l x l sites, ci channels to co, and their gradients. */
static void convolution(int64_t nb, int64_t ci, int64_t co, int64_t l, int mode, bool single)
{
    /* out[b, o, x, y] = sum over i, dx, dy of w[o, i, dx, dy] * in[b, i, x + dx - 1, y + dy - 1] */
    LqContraction f = {.rank = 4, .nred = 3, .ext = {nb, co, l, l, ci, 3, 3}, .single = single};
    f.a = (LqOperand){4, {index_of(co, 1), index_of(ci, 4), index_of(3, 5), index_of(3, 6)}};
    f.b = (LqOperand){4, {index_of(nb, 0), index_of(ci, 4), shifted(l, 2, 5, 1, mode), shifted(l, 3, 6, 1, mode)}};
    try(&f);
    /* dw[o, i, dx, dy] = sum over b, x, y of g[b, o, x, y] * in[b, i, x + dx - 1, y + dy - 1] */
    LqContraction w = {.rank = 4, .nred = 3, .ext = {co, ci, 3, 3, nb, l, l}, .single = single};
    w.a = (LqOperand){4, {index_of(nb, 4), index_of(co, 0), index_of(l, 5), index_of(l, 6)}};
    w.b = (LqOperand){4, {index_of(nb, 4), index_of(ci, 1), shifted(l, 5, 2, 1, mode), shifted(l, 6, 3, 1, mode)}};
    try(&w);
    /* din[b, i, x, y] = sum over o, dx, dy of w[o, i, dx, dy] * g[b, o, x - dx + 1, y - dy + 1] */
    LqContraction g = {.rank = 4, .nred = 3, .ext = {nb, ci, l, l, co, 3, 3}, .single = single};
    g.a = (LqOperand){4, {index_of(co, 4), index_of(ci, 1), index_of(3, 5), index_of(3, 6)}};
    g.b = (LqOperand){4, {index_of(nb, 0), index_of(co, 4), shifted(l, 2, 5, -1, mode), shifted(l, 3, 6, -1, mode)}};
    try(&g);
}

static void convolution_cases(bool full)
{
    for (int mode = LQ_PERIODIC; mode <= LQ_ZERO; mode++)
        for (int single = 0; single < 2; single++) {
            convolution(2, 3, 5, 6, mode, single);
            convolution(1, 4, 2, 16, mode, single);
            convolution(1, 1, 1, 2, mode, single);
            convolution(3, single ? 8 : 4, 2, 32, mode, single);  /* done by slices */
            if (full) convolution(2, 9, 17, 20, mode, single), convolution(3, 9, 8, 33, mode, single);
        }
    report("convolutions and their gradients");
}

/* ---- sums must not depend on what else is summed ------------------------------------------------------ */

/* A row of a product has the bits that it has in a product of fewer rows, as long as both
 * are made of tiles. */
static void rows_alone(void)
{
    enum { M = 37, N = 200, K = 700 };
    static double a[M * K], b[K * N], out[M * N], part[M * N];
    for (int i = 0; i < M * K; i++) a[i] = (double)pick(-1000, 1000) / 1001;
    for (int i = 0; i < K * N; i++) b[i] = (double)pick(-1000, 1000) / 1001;
    int differ = 0;
    for (int rows = M; rows > 0; rows -= 4) {
        LqContraction c = matrices(rows, N, K, 0, false);
        LqContractPlan *p = lq_contract_plan(&c);
        void *scratch = aligned_alloc(64, (lq_contract_scratch(p) + 64) & ~(size_t)63);
        lq_contract(p, a, b, rows == M ? out : part, scratch);
        if (rows < M) differ += memcmp(out, part, (size_t)rows * N * sizeof *out) != 0;
        free(scratch);
        lq_contract_plan_free(p);
    }
    check(!differ, "rows have the same bits in products of fewer rows");
}

/* Long enough for threads to work at the same time; both operands are packed. */
static void threads_at_a_time(void)
{
    enum { N = 330, TIMES = 20 };
    LqContraction c = matrices(N, N, N, 2, false);
    char *a = random_operand(&c.a, false), *b = random_operand(&c.b, false);
    double *want = calloc(N * N, sizeof *want), *out = calloc(N * N, sizeof *out);
    int differ = 0;
    for (int i = 0; i < TIMES; i++) {
        Pool *before = i ? pool_use(three) : NULL;
        LqContractPlan *p = lq_contract_plan(&c);
        void *scratch = lq_alloc_vectors(lq_contract_scratch(p));
        lq_contract(p, a, b, i ? out : want, scratch);
        differ += i && memcmp(out, want, N * N * sizeof *out);
        free(scratch);
        lq_contract_plan_free(p);
        if (i) pool_use(before);
    }
    check(!differ, "three threads on one large product: the same bits");
    free(a - GUARD), free(b - GUARD), free(want), free(out);
}

int main(int argc, char **argv)
{
    bool full = argc > 1 && !strcmp(argv[1], "full");
    three = pool_new(3);
    matrix_cases(full);
    batch_cases();
    convolution_cases(full);
    rows_alone();
    threads_at_a_time();
    random_cases(full ? 15000 : 500);
    pool_free(three);
    return check_result();
}
