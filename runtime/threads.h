/* threads.h — a pool of threads that live as long as the pool and share out the tasks
 * of one parallel loop at a time. */
#ifndef LQFT_THREADS_H
#define LQFT_THREADS_H

#include <stdint.h>

typedef struct Pool Pool;

/* One task of a parallel loop: its number, and the worker that carries it out. */
typedef void PoolTask(void *ctx, int64_t index, int worker);

/* A pool of nthreads workers, the caller of pool_run counted; nthreads < 1 asks for
 * one per available CPU.  Where the system refuses threads the pool is smaller: see
 * pool_size.  A pool with a worker for every CPU of an otherwise idle machine pins
 * each to its CPU, the calling thread included, until pool_free or until waiting
 * shows that somebody else wants the CPUs too. */
Pool *pool_new(int nthreads);
void pool_free(Pool *pool);
int pool_size(const Pool *pool);

/* Calls task(ctx, index, worker) once for each index in 0 … ntasks - 1, in no
 * particular order, worker in 0 … pool_size - 1 and never twice at the same time;
 * returns when all have returned.  What they wrote is visible then.  Tasks are handed
 * out one by one, very short ones some at a time.  With one worker or one task, and when called from inside a task of
 * the same pool, the calls are made right here in order (as the calling worker); jobs
 * that last time were too short to be worth waking anybody begin right here too.  One
 * thread at a time may call. */
void pool_run(Pool *pool, int64_t ntasks, PoolTask *task, void *ctx);

/* The pool that lq_parallel uses when this thread calls it; NULL: none.  Returns the
 * one before. */
Pool *pool_use(Pool *pool);

/* pool_run for code that knows no pool, such as generated code: with the pool of this
 * thread, or, where there is none and inside a task, right here in order. */
void lq_parallel(int64_t ntasks, PoolTask *task, void *ctx);

/* How many threads lq_parallel has, called here. */
int lq_workers(void);

#endif
