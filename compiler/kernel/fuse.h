/* fuse.h — what the three parts of fusion share.
 *   fuse.c          which arrays are computed in place of their reads, which are stored
 *   fuse_place.c    in which kernels the stored ones are computed, and in what order
 *   fuse_buffers.c  statements, buffers, scratch space
 * Words: an array is *stored* when it gets a buffer, *inlined* when its body takes
 * the place of its reads.  A *region* is the body of a loop (by loop number) or the
 * top of the function (TOP); an array is computed in the innermost region that it
 * depends on.  A read is *pointwise* when it takes the element at the reader's own
 * point: axes in order, same extents. */
#ifndef LQFT_FUSE_H
#define LQFT_FUSE_H

#include "kernel.h"
#include "../ir/schedule.h"

enum {
    TOP = -1,
    NEVER = -1, AT_END = INT32_MAX,     /* positions of last reads, see fuse_buffers.c */
    CHEAP_COST = 2, CHEAP_READS = 2,    /* recomputed at will */
    HEAVY_COST = 20,                    /* an elementary function: not computed in two kernels */
    MAX_INLINED = 4000,                 /* nodes of one expression */
    MAX_KERNEL_NODES = 3000,
    MAX_STREAMS = 24                    /* arrays that one kernel reads */
};

typedef VEC(Ref) Refs;
typedef VEC(int) Ints;

/* What is known of an array node. */
typedef struct Info {
    bool live;               /* needed for some output */
    bool fixed;              /* must be stored: output, initial or next value of a carry */
    bool output;
    bool stored;
    bool shared;             /* inlined, and holds something costly that others inline too */
    int  region;
    int  uses;               /* head of a list in Fuse.uses, -1: end */
    Ref  expr;               /* body with reads of inlined arrays replaced */
    int  size, cost, reads;  /* of expr: nodes, flops, arrays of rank > 0 read */
    uint32_t wraps;          /* axes that may be taken modulo their extent in expr */
    bool rigid;              /* expr may only be used at the own point */
    Refs heavy;              /* costly inlined arrays in expr */
    Ref  only;               /* stored, and restricted to points where this is true (KOnly); 0: all points */
    int  item;               /* in Fuse.items, -1: none */
    int  last;               /* position of the last read in its region */
    int  store;              /* in the table of fuse_buffers.c, -1: none */
    bool taken;              /* its store is also that of a carry */
    int64_t ahead;           /* see KRoot */
} Info;

typedef struct Use { Ref consumer, read; int next; } Use;

/* Something with a place in the order of its region: a stored array (or a loop). */
typedef struct Dep { int item; bool pointwise; } Dep;
typedef struct Item {
    Ref  node;
    int  region;
    int  space;              /* iteration space, shared by items that may share a kernel */
    VEC(Dep) deps;
    int  step;               /* in the region's list, -1: not yet placed */
    Ref  root;               /* expression with what the same kernel computes put in */
} Item;

/* One statement to be: a kernel that computes some items, or a loop, or a call. */
typedef struct Step { bool loop, call; Ints items; } Step;
typedef struct Region { Ints items; VEC(Step) steps; } Region;

typedef enum NextKind {
    NEXT_SAME,               /* nothing to do: the carry does not change, or changes where it is */
    NEXT_DIRECT,             /* a kernel of the body stores it where the carry finds it */
    NEXT_COPY                /* copied at the end of the body */
} NextKind;

typedef struct CarryPlan {
    bool live;
    Ref  init, next;
    Ref  proj, stack;        /* results read elsewhere, 0: none */
    NextKind kind;
    int  last;               /* position of the last read in the body */
    int  cur, nxt;           /* stores */
    bool loaded;             /* the initial value is computed where the carry starts */
} CarryPlan;

typedef struct LoopPlan {
    Ref  node;               /* 0: not reached */
    int  parent, depth;
    int  item;
    int  ncarry; CarryPlan *carry;
    int  active;
    int64_t trip;
    Region body;
    KSweep sweep;
} LoopPlan;

/* Copies of operations with other operands, found again by content. */
typedef struct CloneTable { Ref *slot; uint32_t cap, n; } CloneTable;

typedef struct Fuse {
    const IrFunc *f;
    Ir    *ir;
    Arena *arena;
    int    replicas;         /* that lie side by side, for the size of waves */
    Schedule *order;
    Refs   arrays;           /* live array nodes, arguments first */
    Info  *info; Ref ninfo;  /* by Ref of the nodes that were there before fusion */
    VEC(Use) uses;
    LoopPlan *loop;          /* by loop number */
    Region top;
    VEC(Item) items;
    CloneTable clones;
    uint32_t *mark; Ref *memo; Ref nmark; uint32_t epoch;   /* of walks over scalars */
    Refs   stack, walk;
} Fuse;

/* ---- fuse.c -------------------------------------------------------------------------- */

/* The scalar nodes below r into fu->walk, arguments first. */
void fuse_walk(Fuse *fu, Ref r);
bool fuse_pointwise(const Ir *ir, Ref read, int rank, const int64_t *dims);
/* expr with some reads replaced: to[i] for from[i]. */
Ref  fuse_replace(Fuse *fu, Ref expr, int n, const Ref *from, const Ref *to);
static inline Region *fuse_region(Fuse *fu, int region) { return region == TOP ? &fu->top : &fu->loop[region].body; }
/* Makes its array as a whole: has no expression, and a step of its own. */
static inline bool fuse_is_call(const Fuse *fu, Ref a) { return NODE(fu->ir, a)->op == AR_CALL; }
static inline int fuse_rank(const Ir *ir, Ref a) { return NODE(ir, a)->rank + NODE(ir, a)->nred; }
static inline const int64_t *fuse_dims(const Ir *ir, Ref a) { return ir->dims.data + NODE(ir, a)->dims; }

/* ---- fuse_place.c -------------------------------------------------------------------- */

void fuse_place(Fuse *fu);
void fuse_unplace(Fuse *fu);
/* The item that makes an array; -1: it is an input, a constant or a carry. */
int  fuse_producer(const Fuse *fu, Ref array);

/* ---- fuse_buffers.c ------------------------------------------------------------------ */

KProgram *fuse_emit(Fuse *fu);

#endif
