/* contract.h — sums of products of two arrays over any of their axes: matrix products of
 * every layout, tensor contractions, convolutions.
 *
 *     out[i] = sum over j of a[f(i, j)] * b[g(i, j)]
 *
 * with i over `rank` outer axes, j over `nred` reduced ones, and affine indices f and g
 * that may wrap around.  All arrays are row-major, of doubles, or of floats if `single`. */
#ifndef LQFT_CONTRACT_H
#define LQFT_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "threads.h"

enum { LQ_AXES = 16 };

/* What an index outside 0 … n-1 reads. */
enum {
    LQ_EXACT,        /* it is never outside */
    LQ_PERIODIC,     /* the index modulo n */
    LQ_ANTIPERIODIC, /* the same; the sign changes with each turn */
    LQ_ZERO          /* 0 */
};

/* The index along one axis of an operand, of extent n: k + sum of c[i]*axis i; axes are
 * counted through outer and reduced ones. */
typedef struct LqIndex {
    int64_t k, n;
    int64_t c[LQ_AXES];
    int mode;
} LqIndex;

typedef struct LqOperand {
    int rank;
    LqIndex ix[LQ_AXES];
} LqOperand;

/* rank + nred <= LQ_AXES; out has the extents ext[0 … rank-1].  A reduced axis of extent
 * 0 makes zeros; one that neither operand has multiplies by its extent. */
typedef struct LqContraction {
    int rank, nred;
    int64_t ext[LQ_AXES];
    LqOperand a, b;
    bool single;
} LqContraction;

typedef struct LqContractPlan LqContractPlan;

/* How to do it on this machine, with as many threads as the caller has for lq_parallel
 * (threads.h); never NULL (out of memory ends the process). */
LqContractPlan *lq_contract_plan(const LqContraction *c);
void lq_contract_plan_free(LqContractPlan *plan);

/* Bytes that lq_contract needs besides; may be 0. */
size_t lq_contract_scratch(const LqContractPlan *plan);

/* Writes out.  scratch is aligned to 64 bytes; its contents do not matter.  out overlaps
 * nothing.  A plan may be used by several threads at a time, each with its own scratch; one
 * call uses the threads that lq_parallel has, if the work is worth it.
 *
 * The order of summation, and so every bit, depends on the extents and indices alone: not
 * on threads, nor on vector widths where there is fused multiply-add.  Sums are made in the
 * precision of the arrays, in blocks of at most 256 terms that are then added: with K terms
 * and the unit roundoff u an element is off by at most
 * (min(K, 256) + ceil(K/256) + 2) u sum|a b|, to first order. */
void lq_contract(const LqContractPlan *plan, const void *a, const void *b, void *out, void *scratch);

/* What is made of `out` row by row, while it is near: task(ctx, t, worker) reads the rows t*rows …
 * (t+1)*rows - 1 of out, along its first axis, or up to the last one; nothing that the contraction
 * reads or writes changes by it.  rank >= 1. */
typedef struct LqFollower {
    int64_t rows, tasks;
    PoolTask *task;
    void *ctx;
} LqFollower;

/* The same; each of the follower's tasks is called once, after its rows have been made. */
void lq_contract_followed(const LqContractPlan *plan, const void *a, const void *b, void *out, void *scratch, const LqFollower *follower);

#endif
