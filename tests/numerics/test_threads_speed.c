/* test_threads_speed.c — what the pool costs: latency of fork and join; never slower
 * than one thread; no collapse where every CPU has a competitor.  Times are the best
 * of several trials, so that what else runs must spoil all of them to spoil a verdict. */
#include "../../runtime/threads.h"

#include "check.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TRIALS = 9 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct Work {
    int64_t turns; /* of a dependent chain, about a nanosecond each */
    double out[4096 * 8];
} Work;

static void nothing(void *ctx, int64_t index, int worker)
{
    (void)ctx, (void)index, (void)worker;
}

static void turn(void *ctx, int64_t index, int worker)
{
    (void)worker;
    Work *w = ctx;
    double x = (double)index;
    for (int64_t i = 0; i < w->turns; i++) x = x * 0.999 + 1;
    w->out[8 * index] = x;
}

__attribute__((noinline, noclone)) static void serially(int64_t ntasks, PoolTask *task, void *ctx)
{
    for (int64_t i = 0; i < ntasks; i++) task(ctx, i, 0);
}

/* ---- latency: printed, not judged ----------------------------------------------------- */

static void pause_for(double seconds)
{
    for (double end = now() + seconds; now() < end;) continue;
}

static void latency(Pool *pool, Work *w)
{
    enum { N = 2000 };
    static double took[N];
    w->turns = 2000; /* long enough to be shared out at all */
    double alone = 1e9;
    for (int i = 0; i < N; i++) {
        double t = now();
        turn(w, 0, 0);
        t = now() - t;
        if (t < alone) alone = t;
    }
    static const double gaps[] = {0, 2e-6, 20e-6, 400e-6};
    for (int g = 0; g < 4; g++) {
        double best = 1e9, sum = 0;
        for (int i = 0; i < N / (g == 3 ? 10 : 1); i++) {
            pause_for(gaps[g]);
            double t = now();
            pool_run(pool, pool_size(pool), turn, w);
            took[i] = now() - t;
            if (took[i] < best) best = took[i];
            sum += took[i];
        }
        printf("     a job every %.0f us, one task of %.1f us a worker: fork and join cost %.2f us at best, %.2f us on average\n",
               gaps[g] * 1e6, alone * 1e6, (best - alone) * 1e6, (sum / (N / (g == 3 ? 10 : 1)) - alone) * 1e6);
    }
    double t = now();
    for (int i = 0; i < 100000; i++) pool_run(pool, 2, nothing, NULL);
    printf("     a job of nothing: %.3f us\n", (now() - t) * 10);
}

/* ---- against one thread ------------------------------------------------------------------ */

/* n jobs, a pause before each; returns seconds without the pauses. */
static double jobs(Pool *pool, Work *w, int n, int64_t ntasks, double pause)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        if (pause > 0) pause_for(pause);
        double t = now();
        if (pool) pool_run(pool, ntasks, turn, w);
        else serially(ntasks, turn, w);
        sum += now() - t;
    }
    return sum;
}

static double ratio_to_serial(Pool *pool, Work *w, int64_t ntasks, int64_t turns, double pause)
{
    w->turns = turns;
    int n = 1 + (int)(4e6 / (double)(ntasks * turns + (int64_t)(1e9 * pause)));
    jobs(pool, w, n / 4 + 2, ntasks, pause); /* it learns how long they take */
    double best = 1e9;
    for (int trial = 0; trial < TRIALS; trial++) {
        double one = jobs(NULL, w, n, ntasks, pause), many = jobs(pool, w, n, ntasks, pause);
        if (many / one < best) best = many / one;
    }
    return best;
}

static void never_slower(Pool *pool, Work *w)
{
    static const double pauses[] = {0, 1e-3}; /* workers awake, and asleep */
    for (int p = 0; p < 2; p++)
        for (int64_t ntasks = 2; ntasks <= 512; ntasks *= 16)
            for (int64_t turns = 30; turns <= 100000; turns *= 8) {
                if (ntasks * turns > 4000000) continue;
                /* the clock is read twice a job, and after a pause what the pool knows is no longer
                 * in the nearest cache: 0.3 us in all */
                double clock = 0.3e-6 / ((double)(ntasks * turns) * 1e-9), r = 1e9;
                for (int again = 0; again < 4 && r >= 1.05 + clock; again++) /* somebody else may have run */
                    r = fmin(r, ratio_to_serial(pool, w, ntasks, turns, pauses[p]));
                check(r < 1.05 + clock, "%3lld tasks of %6lld turns, %s: %.2f of the time of one thread", (long long)ntasks,
                      (long long)turns, p ? "workers asleep" : "workers awake ", r);
            }
}

/* ---- on a loaded machine ------------------------------------------------------------------ */

/* The same work by as many processes as workers that wait for nobody: what is fair. */
static double fair_share(Work *w, int n, int ntasks, int cpus)
{
    double t = now();
    pid_t worker[cpus];
    for (int i = 0; i < cpus; i++)
        if ((worker[i] = fork()) == 0) {
            jobs(NULL, w, n / cpus, ntasks, 0);
            _exit(0);
        }
    for (int i = 0; i < cpus; i++) waitpid(worker[i], NULL, 0);
    return now() - t;
}

/* One competitor a CPU.  With P workers and P competitors on P CPUs the workers' fair share
 * is one half.  The pool is slower than that by what is lost in waiting: while a worker that
 * holds a task is put aside, for a slice of its competitor, the others wait once the job has
 * no more tasks.  At a fair share a worker is put aside as long as it runs, so that this
 * costs at most as much again: a factor of two; the tenth on top is for the wakings.
 * Spinning without a bound, or waiting for workers to say that they have seen the job,
 * costs a slice for many jobs. */
static void loaded(Work *w, int cpus)
{
    pid_t *rival = calloc((size_t)cpus, sizeof *rival);
    for (int i = 0; i < cpus; i++) {
        rival[i] = fork();
        if (rival[i] == 0)
            for (volatile long n = 0;; n++) continue;
    }
    w->turns = 5000;
    const int n = 6000, ntasks = 8;
    double best = 1e9;
    for (int trial = 0; trial < 6 && (trial < 3 || best >= 2.2); trial++) {
        double fair = fair_share(w, n, ntasks, cpus);
        Pool *pool = pool_new(cpus);
        double many = jobs(pool, w, n, ntasks, 0);
        pool_free(pool);
        printf("     with a competitor on every CPU: %.2f of the time at a fair share\n", many / fair);
        if (many / fair < best) best = many / fair;
    }
    check(best < 2.2, "many small jobs with a competitor on every CPU: %.2f of the time at a fair share", best);
    for (int i = 0; i < cpus; i++) kill(rival[i], SIGKILL), waitpid(rival[i], NULL, 0);
    free(rival);
}

/* ---- affinity is given back ------------------------------------------------------------------ */

static void affinity(void)
{
    cpu_set_t before, after;
    sched_getaffinity(0, sizeof before, &before);
    Pool *pool = pool_new(0);
    pool_free(pool);
    sched_getaffinity(0, sizeof after, &after);
    check(CPU_EQUAL(&before, &after), "the caller may run where it could before");
}

int main(void)
{
    cpu_set_t set;
    int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    Work *w = calloc(1, sizeof *w);
    affinity();
    Pool *pool = pool_new(cpus);
    if (pool_size(pool) > 1) {
        latency(pool, w);
        never_slower(pool, w);
    }
    pool_free(pool);
    if (cpus > 1) loaded(w, cpus);
    free(w);
    return check_result();
}
