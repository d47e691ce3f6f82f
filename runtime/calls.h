/* calls.h — functions of whole arrays that programs call: contractions, matrix functions,
 * gathers and their adjoints.  A call is described once, prepared, and then carried out
 * any number of times, from several threads, each with its own scratch space; nothing
 * is allocated by it.  What each computes says compiler/ir/calls.def. */
#ifndef LQFT_CALLS_H
#define LQFT_CALLS_H

#include "contract.h"

typedef enum LqCallKind {
    LQ_CALL_CONTRACT, LQ_CALL_SCATTER, LQ_CALL_TAKE, LQ_CALL_PUT, LQ_CALL_SVD, LQ_CALL_EIGH, LQ_CALL_CHOLESKY,
    LQ_CALL_SOLVE, LQ_CALL_LOGDET
} LqCallKind;

enum { LQ_CALL_ARGS = 2 };

typedef struct LqCall {
    LqCallKind kind;
    bool  single;                /* arrays are float (double: numbers of rank 0), else double */
    int   nargs;
    int64_t nin[LQ_CALL_ARGS], nout;     /* elements */
    bool  in_single[LQ_CALL_ARGS], out_single;
    LqContraction contraction;   /* LQ_CALL_CONTRACT */
    int   rank; int64_t ext[LQ_AXES];    /* LQ_CALL_SCATTER: of the argument */
    LqOperand to;                /*             where its elements go */
    int64_t m, n;                /* matrix functions: rows, columns (solve: order, right sides); take, put:
                                  * number of places taken, places that there are */
    int64_t rest;                /* take, put: elements at a place */
    LqContractPlan *plan;        /* made by lq_call_prepare */
} LqCall;

void   lq_call_prepare(LqCall *c);
/* Why it cannot be carried out: a library that is not installed.  NULL: it can. */
const char *lq_call_missing(const LqCall *c);
void   lq_call_release(LqCall *c);
/* Bytes of scratch space that lq_call_run wants, aligned to 64. */
size_t lq_call_scratch(const LqCall *c);
void   lq_call_run(const LqCall *c, const void *const *in, void *out, void *scratch);

/* For `lanes` replicas side by side: element e of replica l of an array at [e*lanes + l]; but
 * of argument i, where `shared` has bit i, at [e] for all of them.  Bytes of scratch space for
 * each of the lanes, then the call itself: what code that was generated calls. */
size_t lq_call_room(const LqCall *c);
void   lq_call_lanes(const LqCall *c, int32_t lanes, int32_t shared, const void *a, const void *b, void *out, void *scratch);

/* For one replica, with what follows row by row (contract.h): a contraction. */
void   lq_call_followed(const LqCall *c, const void *a, const void *b, void *out, void *scratch, int64_t rows, int64_t tasks,
                        PoolTask *task, void *ctx);

#endif
