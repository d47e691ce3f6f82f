/* test_threads.c — every task once, never two at a time on a worker, results visible;
 * meant to be run under ThreadSanitizer too. */
#include "../../runtime/threads.h"

#include "check.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { MOST = 4096 };

typedef struct Count {
    Pool *pool;
    int times[MOST];            /* plain: the pool must order these */
    _Atomic int inside[64];     /* by worker */
    _Atomic int clashes, strange;
    int nested[MOST][3];
} Count;

static void count(void *ctx, int64_t index, int worker)
{
    Count *c = ctx;
    if (worker < 0 || worker >= pool_size(c->pool)) atomic_fetch_add(&c->strange, 1);
    else if (atomic_fetch_add(&c->inside[worker], 1)) atomic_fetch_add(&c->clashes, 1);
    c->times[index]++;
    if (worker >= 0 && worker < 64) atomic_fetch_sub(&c->inside[worker], 1);
}

static void once_each(int nthreads)
{
    Pool *pool = pool_new(nthreads);
    Count *c = calloc(1, sizeof *c);
    c->pool = pool;
    int wrong = 0, jobs = 0;
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 64, 1000, MOST};
    for (int repeat = 0; repeat < 200; repeat++)
        for (int s = 0; s < (repeat < 5 ? 8 : 6); s++, jobs++) {
            for (int i = 0; i < MOST; i++) c->times[i] = 0;
            pool_run(pool, sizes[s], count, c);
            for (int i = 0; i < MOST; i++) wrong += c->times[i] != (i < sizes[s]);
        }
    check(!wrong, "%d threads: each task once in %d jobs (%d wrong)", nthreads, jobs, wrong);
    check(!c->clashes && !c->strange, "%d threads: one task at a time a worker", nthreads);
    free(c);
    pool_free(pool);
}

static void inner(void *ctx, int64_t index, int worker)
{
    (void)worker;
    ((int *)ctx)[index]++;
}

static void outer(void *ctx, int64_t index, int worker)
{
    (void)worker;
    Count *c = ctx;
    pool_run(c->pool, 3, inner, c->nested[index]);
}

static void nesting(void)
{
    Count *c = calloc(1, sizeof *c);
    c->pool = pool_new(4);
    pool_run(c->pool, 100, outer, c);
    int wrong = 0;
    for (int i = 0; i < 100; i++)
        for (int k = 0; k < 3; k++) wrong += c->nested[i][k] != 1;
    check(!wrong, "a loop inside a task runs inline (%d wrong)", wrong);
    pool_free(c->pool);
    free(c);
}

typedef struct Meeting {
    _Atomic int waiting;
    _Atomic int met;
} Meeting;

static void meet(void *ctx, int64_t index, int worker)
{ /* returns quickly only when another worker is in here too */
    (void)index;
    (void)worker;
    Meeting *m = ctx;
    atomic_fetch_add(&m->waiting, 1);
    for (long i = 0; i < 2000000000L && atomic_load(&m->waiting) < 2; i++) continue;
    if (atomic_load(&m->waiting) >= 2) atomic_fetch_add(&m->met, 1);
}

static void in_parallel(void)
{
    Pool *pool = pool_new(2);
    Meeting m = {0};
    if (pool_size(pool) == 2) {
        pool_run(pool, 2, meet, &m);
        check(m.met == 2, "two tasks run at the same time");
    }
    pool_free(pool);
}

static void outer_parallel(void *ctx, int64_t index, int worker)
{
    (void)worker;
    lq_parallel(3, inner, ((Count *)ctx)->nested[index]);
}

static int wrong_nested(Count *c)
{
    int wrong = 0;
    for (int i = 0; i < 100; i++)
        for (int k = 0; k < 3; k++) wrong += c->nested[i][k] != 1, c->nested[i][k] = 0;
    return wrong;
}

/* Code that knows no pool: with one, without, and from inside. */
static void ambient(void)
{
    Count *c = calloc(1, sizeof *c);
    lq_parallel(100, outer_parallel, c);
    check(!wrong_nested(c), "without a pool: in order, right here");
    Pool *pool = pool_new(3);
    check(pool_use(pool) == NULL, "no pool was in use");
    lq_parallel(100, outer_parallel, c);
    check(!wrong_nested(c), "with the pool in use, and inside a task");
    pool_run(pool, 100, outer_parallel, c);
    check(!wrong_nested(c), "inside a task of pool_run");
    check(pool_use(NULL) == pool, "the pool was in use");
    pool_free(pool);
    free(c);
}

/* Jobs of all lengths after pauses of all lengths: workers awake, asleep, on their way. */
static void short_task(void *ctx, int64_t index, int worker)
{
    (void)worker;
    int *times = ctx;
    for (volatile int i = 0; i < index % 50; i++) continue;
    times[index]++;
}

static void stress(void)
{
    Pool *pool = pool_new(3);
    static int times[MOST];
    uint32_t random = 1, wrong = 0;
    for (int job = 0; job < 3000; job++) {
        random = random * 1664525 + 1013904223;
        int n = (int)(random >> 24) * (job % 100 ? 1 : 16);
        for (int i = 0; i < n; i++) times[i] = 0;
        pool_run(pool, n, short_task, times);
        for (int i = 0; i < n; i++) wrong += times[i] != 1;
        for (volatile uint32_t i = 0, m = 1u << (random >> 12 & 15); i < m; i++) continue;
    }
    check(!wrong, "3000 jobs of all sizes after pauses of all lengths (%u wrong)", wrong);
    pool_free(pool);
}

int main(void)
{
    static const int sizes[] = {1, 2, 3, 8, 0};
    for (int i = 0; i < 5; i++) once_each(sizes[i]);
    nesting();
    in_parallel();
    ambient();
    stress();
    for (int i = 0; i < 50; i++) pool_free(pool_new(4));
    check(true, "pools start and stop without work");
    return check_result();
}
