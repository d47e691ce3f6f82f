/* schedule.h — order of evaluation: what the interpreter runs, the dumps print and
 * the verifier checks, computed once for a set of outputs.
 *
 * An array node belongs to the innermost loop on whose carries or iteration number
 * it depends; nodes that depend on no loop belong to the top section.  Running
 * the sections in order evaluates each node once per iteration of its own loop, so
 * whatever does not change in a loop is already outside it. */
#ifndef LQFT_SCHEDULE_H
#define LQFT_SCHEDULE_H

#include "ir.h"

/* The loops whose carries or iteration numbers occur below a node and are not
 * closed by an AR_LOOP on the way; sorted. */
typedef struct LoopSet { int n; uint32_t loop[]; } LoopSet;

typedef struct Section { Ref *node; int n; } Section;  /* array nodes, arguments first */

typedef struct Schedule {
    const Ir *ir;
    Arena    *arena;
    VEC(Ref)  nodes;         /* all nodes of both levels, arguments first */
    uint32_t *place;         /* by Ref: position in nodes + 1; 0: not below the outputs */
    const LoopSet **deps;    /* by position */
    Section   top;
    Section  *body;          /* by position: what an AR_LOOP runs in each iteration */
} Schedule;

Schedule *schedule_new(const Ir *ir, int n, const Ref *roots);
void      schedule_free(Schedule *s);
bool      loopset_has(const LoopSet *s, uint32_t loop);

#define PLACE(s, r) ((s)->place[r] - 1)

/* The scalar nodes of one body (or several that are evaluated together), arguments
 * first; the arrays that they read are not entered. */
typedef struct ScalarWalk {
    const Ir *ir;
    uint32_t *place;         /* by Ref: position in list + 1, or 0 */
    VEC(Ref)  list;
    VEC(Ref)  stack;
} ScalarWalk;

ScalarWalk *scalar_walk_new(const Ir *ir);
void        scalar_walk_free(ScalarWalk *w);
/* Fills w->list anew. */
void        scalar_walk(ScalarWalk *w, int n, const Ref *roots);

#endif
