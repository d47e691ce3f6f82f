/* threads.c — the thread pool of threads.h.  A worker out of work looks at the job
 * number for some microseconds, as the next loop usually follows at once, and then
 * sleeps: spinning without a bound collapses on a loaded machine. */
#include "threads.h"

#include "base.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SPINS = 4000, MOST_THREADS = 1024 };

typedef void Task(void *ctx, int64_t index, int worker);

typedef struct Worker {
    Pool *pool;
    pthread_t thread;
    int number;
} Worker;

struct Pool {
    int nworkers; /* with the caller, who is worker 0 */
    Worker *worker;
    bool crowded; /* more workers than CPUs: spinning would take the CPU of one that works */

    /* One job at a time: written by the caller before job is raised. */
    Task *task;
    void *ctx;
    int64_t ntasks;
    bool stop;
    _Atomic uint64_t job;

    _Alignas(64) _Atomic int64_t next; /* first index not taken */
    _Alignas(64) _Atomic int busy;     /* workers still in this job, the caller not counted */

    pthread_mutex_t lock; /* for sleeping only */
    pthread_cond_t started, finished;
};

/* the pool whose task this thread is in, and as which worker */
static _Thread_local Pool *inside;
static _Thread_local int inside_as;

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_tasks(Pool *p, int worker)
{
    inside = p;
    inside_as = worker;
    int64_t index;
    while ((index = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) < p->ntasks)
        p->task(p->ctx, index, worker);
    inside = NULL;
}

static void await_job(Pool *p, uint64_t seen)
{
    for (int i = 0; i < SPINS && !p->crowded; i++) {
        if (atomic_load_explicit(&p->job, memory_order_acquire) != seen) return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->job, memory_order_acquire) == seen)
        pthread_cond_wait(&p->started, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void await_workers(Pool *p)
{
    for (int i = 0; i < SPINS && !p->crowded; i++) {
        if (!atomic_load_explicit(&p->busy, memory_order_acquire)) return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->busy, memory_order_acquire))
        pthread_cond_wait(&p->finished, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
    Worker *w = arg;
    Pool *p = w->pool;
    for (uint64_t job = 0;; job++) {
        await_job(p, job);
        if (p->stop) return NULL;
        take_tasks(p, w->number);
        if (atomic_fetch_sub_explicit(&p->busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&p->lock); /* the caller is either before its check or asleep */
            pthread_cond_signal(&p->finished);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

static void start_job(Pool *p)
{
    atomic_store_explicit(&p->busy, p->nworkers - 1, memory_order_relaxed);
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add_explicit(&p->job, 1, memory_order_release);
    pthread_cond_broadcast(&p->started);
    pthread_mutex_unlock(&p->lock);
}

static int available_cpus(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? n : 1;
}

Pool *pool_new(int nthreads)
{
    int cpus = available_cpus();
    if (nthreads < 1) nthreads = cpus;
    if (nthreads > MOST_THREADS) nthreads = MOST_THREADS;
    Pool *p = aligned_alloc(64, (sizeof *p + 63) / 64 * 64);
    if (!p) lq_out_of_memory(sizeof *p);
    *p = (Pool){.nworkers = 1, .crowded = nthreads > cpus};
    p->worker = lq_alloc((size_t)nthreads * sizeof *p->worker);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->started, NULL);
    pthread_cond_init(&p->finished, NULL);

    sigset_t all, old; /* signals are the main thread's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (int i = 1; i < nthreads; i++) {
        p->worker[i] = (Worker){.pool = p, .number = i};
        if (pthread_create(&p->worker[i].thread, NULL, work, &p->worker[i])) break;
        p->nworkers++; /* only the caller's thread reads it */
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return p;
}

void pool_free(Pool *p)
{
    if (!p) return;
    p->stop = true;
    start_job(p);
    for (int i = 1; i < p->nworkers; i++) pthread_join(p->worker[i].thread, NULL);
    pthread_cond_destroy(&p->started);
    pthread_cond_destroy(&p->finished);
    pthread_mutex_destroy(&p->lock);
    free(p->worker);
    free(p);
}

int pool_size(const Pool *p)
{
    return p->nworkers;
}

void pool_run(Pool *p, int64_t ntasks, Task *task, void *ctx)
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
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    start_job(p);
    Pool *outer = inside; /* a task of another pool may call */
    int outer_as = inside_as;
    take_tasks(p, 0);
    inside = outer;
    inside_as = outer_as;
    await_workers(p);
}
