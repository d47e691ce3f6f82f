/* fuse_plan.h — private to fuse_buffers.c and fuse_sweep.c: where values are kept.
 *
 * A *store* is a place for one value over time; stores of values that never live
 * together by construction are joined.  Each class of joined stores becomes one buffer. */
#ifndef LQFT_FUSE_PLAN_H
#define LQFT_FUSE_PLAN_H

#include "fuse.h"

typedef struct Store {
    int  up;                 /* joined into this one; itself: the head of a class */
    int  region;             /* outermost region in which it holds a value */
    int  out;                /* output slot, -1: none */
    int  buf;
    int64_t n, row;
    int64_t rows, lead, tail;    /* a ring of rows with room before and behind; rows = 0: none */
    bool exchanged;          /* changes places with another in a loop */
    bool single;             /* of single precision */
} Store;

typedef struct Plan {
    Fuse  *fu;
    Ir    *ir;
    VEC(Store) stores;
    VEC(KBuf)  bufs;
    Ints   home;             /* by buffer: its region */
    bool  *in_place;         /* by output slot: computed there, no copy needed */
    KProgram *p;
    int    nkernels;
    VEC(KCall *) calls;
} Plan;

/* ---- fuse_buffers.c ------------------------------------------------------------------ */

Store    *fuse_class(const Plan *pl, int store);
void      fuse_join(Plan *pl, int a, int b);
bool      fuse_is_loop(const Plan *pl, int item);
LoopPlan *fuse_loop_of(const Plan *pl, int item);
bool      fuse_is_carry(const Plan *pl, Ref a, uint32_t loop, int which);

/* ---- fuse_sweep.c -------------------------------------------------------------------- */

/* Decides whether a loop is swept; if so, its carries stay in place. */
void fuse_sweep(Plan *pl, LoopPlan *l);

#endif
