/* threads.c — the thread pool of threads.h.
 *
 * A job is open while it has tasks to give away.  Workers enter an open job, take
 * tasks until there are none, and leave; the caller takes tasks itself, closes the job
 * and waits for those inside only.  A worker that sleeps, or that the system has put
 * aside, is therefore never waited for unless it holds a task: on a loaded machine a
 * job takes at most the caller's own time plus that of one task held up.
 *
 * Out of work, a worker looks at the job number for SPIN_NS, as the next loop usually
 * follows at once, and then sleeps in a futex.  Waking it costs the caller a system call
 * of some microseconds, which is measured, and it comes tens of microseconds later.  Jobs
 * that lasted less than 20 such calls in all when they last ran are begun by the caller
 * alone, who calls for help when that time is over: so a pool loses 5 % to one thread at
 * most.  Where workers are awake the same holds of the hand-over, some tenths of a
 * microsecond, and jobs longer than WORTH_SHARING_NS. */
#include "threads.h"

#include "base.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MOST_THREADS = 1024, KINDS = 64, SLOW_JOINS = 8 };
enum { SPIN_NS = 100000, WORTH_SHARING_NS = 1500, CHUNK_NS = 500 };
enum { WAKE_NS = 7000, MOST_WAKE_NS = 20000, WORTH_WAKING = 20 }; /* the first guess; a bound against outliers */
enum { LOOKS = 64 }; /* at a variable, between two at the clock */

/* Pool.state: the workers inside, and two marks. */
#define OPEN ((uint32_t)1 << 31)    /* there may be tasks */
#define WAITING ((uint32_t)1 << 30) /* the caller may be asleep: the last one out wakes it */
#define INSIDE (WAITING - 1)

typedef struct Worker {
    Pool *pool;
    pthread_t thread;
    int number;
} Worker;

/* How long jobs of one kind take: tasks with the same code, equally many. */
typedef struct Kind {
    PoolTask *task;
    int64_t ntasks, ns; /* ns of one thread, for all tasks, estimated the last time */
} Kind;

struct Pool {
    int nworkers; /* with the caller, who is worker 0 */
    Worker *worker;
    bool crowded; /* more workers than CPUs: spinning would take the CPU of one that works */
    bool pinned;
    int slow_joins; /* the caller had to sleep for a task of another */
    int64_t wake_ns; /* what waking costs the caller, running mean */
    cpu_set_t cpus; /* what was allowed before pinning */
    Kind kind[KINDS];

    /* One job at a time: written by the caller while it is closed and nobody inside. */
    PoolTask *task;
    void *ctx;
    int64_t ntasks, chunk; /* tasks taken at a time */
    _Atomic bool stop;

    _Alignas(64) _Atomic uint32_t job;      /* number of jobs opened; sleepers wait for it */
    _Atomic uint32_t asleep;                /* how many wait, or are about to */
    _Alignas(64) _Atomic uint32_t state;    /* see above */
    _Alignas(64) _Atomic int64_t next;      /* first index not taken */
};

/* the pool whose task this thread is in, and as which worker */
static _Thread_local Pool *inside;
static _Thread_local int inside_as;
static _Thread_local Pool *ambient; /* of lq_parallel */

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * (int64_t)1000000000 + t.tv_nsec;
}

static int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* Sleeps unless *word is no longer `seen`; may return early. */
static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int most)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, most, NULL, NULL, 0);
}

/* ---- workers ---------------------------------------------------------------------- */

static int64_t take_tasks(Pool *p, int worker)
{
    int64_t index, taken = 0;
    inside = p;
    inside_as = worker;
    while ((index = atomic_fetch_add_explicit(&p->next, p->chunk, memory_order_relaxed)) < p->ntasks)
        for (int64_t end = index + p->chunk < p->ntasks ? index + p->chunk : p->ntasks; index < end; index++, taken++)
            p->task(p->ctx, index, worker);
    inside = NULL;
    return taken;
}

/* Enters the job if it is open: from then on its description stays as it is. */
static bool enter(Pool *p)
{
    uint32_t state = atomic_load_explicit(&p->state, memory_order_relaxed);
    while (state & OPEN)
        if (atomic_compare_exchange_weak_explicit(&p->state, &state, state + 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static void leave(Pool *p)
{
    if (atomic_fetch_sub_explicit(&p->state, 1, memory_order_release) == (WAITING | 1))
        futex_wake(&p->state, 1);
}

/* Returns the number of the job after `seen`, or of a later one. */
static uint32_t await_job(Pool *p, uint32_t seen)
{
    uint32_t job;
    for (int64_t end = p->crowded ? 0 : now_ns() + SPIN_NS; end; end = now_ns() < end ? end : 0)
        for (int i = 0; i < LOOKS; i++, relax())
            if ((job = atomic_load_explicit(&p->job, memory_order_acquire)) != seen) return job;
    atomic_fetch_add(&p->asleep, 1); /* before looking: the caller raises job, then looks here */
    while ((job = atomic_load(&p->job)) == seen) futex_wait(&p->job, seen);
    atomic_fetch_sub(&p->asleep, 1);
    return job;
}

static void *work(void *arg)
{
    Worker *w = arg;
    Pool *p = w->pool;
    for (uint32_t job = 0;;) {
        job = await_job(p, job);
        if (p->stop) return NULL;
        if (!enter(p)) continue;
        take_tasks(p, w->number);
        leave(p);
    }
}

/* ---- the caller ------------------------------------------------------------------- */

static void call_workers(Pool *p, int64_t wanted)
{
    atomic_fetch_add(&p->job, 1);
    if (!atomic_load(&p->asleep)) return;
    int64_t begin = now_ns();
    futex_wake(&p->job, wanted < INT_MAX ? (int)wanted : INT_MAX);
    int64_t took = now_ns() - begin;
    p->wake_ns += ((took < MOST_WAKE_NS ? took : MOST_WAKE_NS) - p->wake_ns) / 8;
}

static void open_job(Pool *p, int64_t first)
{
    atomic_store_explicit(&p->next, first, memory_order_relaxed);
    atomic_store_explicit(&p->state, OPEN, memory_order_release);
    call_workers(p, p->ntasks - first - 1);
}

static void unpin(Pool *p)
{
    if (!p->pinned) return;
    for (int i = 0; i < p->nworkers; i++) pthread_setaffinity_np(p->worker[i].thread, sizeof p->cpus, &p->cpus);
    p->pinned = false;
}

/* Takes no notice of workers that are not inside. */
static void close_job(Pool *p)
{
    uint32_t state = atomic_fetch_and_explicit(&p->state, ~OPEN, memory_order_acquire);
    if (!(state & INSIDE)) return;
    for (int64_t end = p->crowded ? 0 : now_ns() + SPIN_NS; end; end = now_ns() < end ? end : 0)
        for (int i = 0; i < LOOKS; i++, relax())
            if (!atomic_load_explicit(&p->state, memory_order_acquire)) return;
    atomic_fetch_or_explicit(&p->state, WAITING, memory_order_acquire);
    while ((state = atomic_load_explicit(&p->state, memory_order_acquire)) & INSIDE) futex_wait(&p->state, state);
    if (++p->slow_joins == SLOW_JOINS) unpin(p); /* uneven tasks, or we are not alone */
}

static Kind *kind_of(Pool *p, PoolTask *task, int64_t ntasks)
{
    uint64_t hash = ((uint64_t)(uintptr_t)task ^ (uint64_t)ntasks << 32) * 0x9E3779B97F4A7C15u;
    Kind *k = &p->kind[hash >> 58];
    _Static_assert(KINDS == 64, "six bits of hash");
    if (k->task != task || k->ntasks != ntasks) *k = (Kind){task, ntasks, INT64_MAX};
    return k;
}

/* So many tasks last about ns: taking one, and looking at the clock, cost little then. */
static int64_t tasks_in(const Kind *k, double ns)
{
    return k->ns == INT64_MAX ? 1 : 1 + (int64_t)(ns * (double)k->ntasks / ((double)k->ns + 1));
}

static int64_t chunk_size(const Pool *p, const Kind *k)
{
    int64_t chunk = tasks_in(k, CHUNK_NS), most = k->ntasks / (4 * p->nworkers);
    return chunk < most ? chunk : most > 0 ? most : 1;
}

/* Begins alone, and returns after how many tasks help would have been worth while. */
static int64_t begin_alone(Pool *p, const Kind *k, int64_t end)
{
    int64_t i = 0, chunk = tasks_in(k, 4 * CHUNK_NS);
    inside = p;
    inside_as = 0;
    while (i < p->ntasks) {
        for (int64_t stop = i + chunk < p->ntasks ? i + chunk : p->ntasks; i < stop; i++) p->task(p->ctx, i, 0);
        if (i < p->ntasks && now_ns() >= end) break;
    }
    inside = NULL;
    return i;
}

/* Jobs grow, but a job in which the caller was put aside says little: it must happen
 * again and again before it counts. */
static void learn(Kind *k, double ns)
{
    double most = k->ns == INT64_MAX ? 1e18 : 4 * ((double)k->ns + 100);
    k->ns = (int64_t)(ns < most ? ns : most);
}

static void run_job(Pool *p, Kind *kind)
{
    bool asleep = atomic_load_explicit(&p->asleep, memory_order_relaxed) > 0;
    int64_t worth = asleep ? WORTH_WAKING * p->wake_ns : WORTH_SHARING_NS;
    bool help = kind->ns >= worth;
    /* a worker that is woken may take the caller's own CPU: that time is not the job's */
    clockid_t clock = asleep && help ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    int64_t begin = clock_ns(clock), alone = 0, taken = 0;
    p->chunk = chunk_size(p, kind);
    if (!help) alone = begin_alone(p, kind, begin + worth);
    if (alone < p->ntasks) {
        open_job(p, alone);
        taken = take_tasks(p, 0);
    }
    if (alone + taken > 0) learn(kind, (double)(clock_ns(clock) - begin) * (double)p->ntasks / (double)(alone + taken));
    if (alone < p->ntasks) close_job(p);
}

void pool_run(Pool *p, int64_t ntasks, PoolTask *task, void *ctx)
{
    bool nested = inside == p;
    if (nested || p->nworkers == 1 || ntasks <= 1) {
        int worker = nested ? inside_as : 0;
        for (int64_t i = 0; i < ntasks; i++) task(ctx, i, worker);
        return;
    }
    p->task = task;
    p->ctx = ctx;
    p->ntasks = ntasks;
    Pool *outer = inside; /* a task of another pool may call */
    int outer_as = inside_as;
    run_job(p, kind_of(p, task, ntasks));
    inside = outer;
    inside_as = outer_as;
}

Pool *pool_use(Pool *pool)
{
    Pool *before = ambient;
    ambient = pool;
    return before;
}

void lq_parallel(int64_t ntasks, PoolTask *task, void *ctx)
{
    if (ambient && !inside) {
        pool_run(ambient, ntasks, task, ctx);
        return;
    }
    for (int64_t i = 0; i < ntasks; i++) task(ctx, i, inside ? inside_as : 0);
}

int lq_workers(void)
{
    return ambient && !inside ? ambient->nworkers : 1;
}

/* ---- start and end ------------------------------------------------------------------ */

/* Is nobody else running, now and in the last minute? */
static bool machine_idle(int cpus)
{
    double load = 1e9;
    int running = INT_MAX;
    FILE *f = fopen("/proc/loadavg", "r");
    if (!f) return false;
    bool read = fscanf(f, "%lf %*f %*f %d/", &load, &running) == 2;
    fclose(f);
    return read && running <= 1 && load < 0.25 * cpus;
}

static void pin(Pool *p)
{
    p->pinned = true;
    for (int cpu = 0, i = 0; cpu < CPU_SETSIZE && i < p->nworkers; cpu++) {
        if (!CPU_ISSET(cpu, &p->cpus)) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (pthread_setaffinity_np(p->worker[i++].thread, sizeof one, &one)) {
            unpin(p);
            return;
        }
    }
}

static void start_workers(Pool *p, int nthreads)
{
    sigset_t all, old; /* signals are the main thread's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (int i = 1; i < nthreads; i++) {
        p->worker[i] = (Worker){.pool = p, .number = i};
        if (pthread_create(&p->worker[i].thread, NULL, work, &p->worker[i])) break;
        p->nworkers++; /* only the caller's thread reads it */
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

Pool *pool_new(int nthreads)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    bool known = sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0;
    int cpus = known ? CPU_COUNT(&set) : 1;
    if (nthreads < 1) nthreads = cpus;
    if (nthreads > MOST_THREADS) nthreads = MOST_THREADS;
    Pool *p = aligned_alloc(64, (sizeof *p + 63) / 64 * 64);
    if (!p) lq_out_of_memory(sizeof *p);
    *p = (Pool){.nworkers = 1, .crowded = nthreads > cpus, .wake_ns = WAKE_NS, .cpus = set};
    p->worker = lq_alloc((size_t)nthreads * sizeof *p->worker);
    p->worker[0] = (Worker){.pool = p, .thread = pthread_self()};
    bool ours = known && nthreads == cpus && cpus > 1 && machine_idle(cpus);
    start_workers(p, nthreads);
    if (ours && p->nworkers == cpus) pin(p);
    return p;
}

void pool_free(Pool *p)
{
    if (!p) return;
    unpin(p);
    p->stop = true;
    call_workers(p, INT_MAX);
    for (int i = 1; i < p->nworkers; i++) pthread_join(p->worker[i].thread, NULL);
    free(p->worker);
    free(p);
}

int pool_size(const Pool *p)
{
    return p->nworkers;
}
