/* threads.h — a pool of threads that live as long as the pool and share out the tasks
 * of one parallel loop at a time. */
#ifndef LQFT_THREADS_H
#define LQFT_THREADS_H

#include <stdint.h>

typedef struct Pool Pool;

/* A pool of nthreads workers, the caller of pool_run counted; nthreads < 1 asks for
 * one per available CPU.  Where the system refuses threads the pool is smaller: see
 * pool_size. */
Pool *pool_new(int nthreads);
void pool_free(Pool *pool);
int pool_size(const Pool *pool);

/* Calls task(ctx, index, worker) once for each index in 0 … ntasks - 1, in no
 * particular order, worker in 0 … pool_size - 1 and never twice at the same time;
 * returns when all have returned.  What they wrote is visible then.  Tasks are handed
 * out one by one: make them last at least some microseconds.  With one worker or one
 * task, and when called from inside a task of the same pool, the calls are made right
 * here in order (as the calling worker).  One thread at a time may call. */
void pool_run(Pool *pool, int64_t ntasks,
              void (*task)(void *ctx, int64_t index, int worker), void *ctx);

#endif
