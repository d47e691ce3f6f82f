/* kernel.h — the kernel IR: what fusion makes of a function of the array IR, and
 * what back ends turn into machine code.  A program is a list of statements over
 * numbered buffers: loop nests (kernels), copies, and loops with carried buffers.
 * It still describes one replica.  A back end puts in the W lanes of its vectors
 *   either W replicas side by side: element e of replica l of a buffer at [e*W + l],
 *   of a uniform buffer at [e];
 *   or the parts of one replica's rows ("lanes are sites"): an array whose last
 *   extent has eight parts or four (reduce_parts) is split, element x of row o at
 *   [kernel_place(row, o*row + x)]; all others lie in order, and so do all buffers of a
 *   program that is plain.
 *
 * The order of reduction is fixed, part of the meaning: see ir.h.
 *
 * What an executor promises besides: all roots at a point are evaluated before any
 * of them is stored; buffers exchanged by a loop stay exchanged after it, also when
 * an inner loop is entered again; an exchanged KB_OUT buffer is brought home at the
 * end of the program; a copy may read a uniform buffer into a varying one. */
#ifndef LQFT_KERNEL_H
#define LQFT_KERNEL_H

#include "../ir/ir.h"
#include "../ir/schedule.h"
#include "../ir/calls.h"
#include "../../runtime/run/program.h"

typedef enum KBufKind { KB_IN, KB_OUT, KB_TEMP, KB_CONST } KBufKind;

typedef struct KBuf {
    KBufKind kind;
    int      slot;           /* KB_IN: which input; KB_OUT: which output */
    int64_t  n;              /* elements per replica */
    int64_t  row;            /* last extent; 1 for a single number */
    /* A ring of rows (KLoop.sweep), or slots = 0: n elements in order.  Row y is in slot
     * (first + y) mod slots, for y from -lead to rows + slots - lead; first is `lead` at
     * the start of the program. */
    int64_t  rows, slots, lead;
    /* A ring may be cut into parts, one for each thread, see KProgram.parts. */
    bool     cut;
    bool     uniform;        /* KB_CONST, uniform inputs */
    bool     single;         /* of single precision: float, else double (ir.h) */
    const double *data;      /* KB_CONST */
    Ref      source;         /* KB_CONST: what it was computed from, where that depends on settings or the seed */
    int64_t  offset;         /* KB_TEMP: where it starts in the scratch space (doubles per replica) */
    const char *name;        /* for dumps */
} KBuf;

/* A root of a kernel: a scalar expression over all `rank` axes of the kernel.
 * nred = 0: stored at the element given by all axes (row-major).
 * nred > 0: reduced over the last nred axes and stored at the remaining ones. */
typedef struct KRoot {
    Ref expr;
    int nred;
    Op  op;
    int buf;
    int64_t ahead;           /* rows before its own place at which a row is stored in a ring */
} KRoot;

/* A value that need not be computed: at each point whose index along the axis is not 0,
 * `before` is what `here` is at the point one step back.  An executor may hand it on; along
 * an axis that is not the innermost one it has a buffer for that, with an element for each
 * point of the axes after it, for each iteration of a wave: a lot, of which each of the tasks
 * of threads has one. */
typedef struct KKept {
    Ref here, before;
    int axis, buf;
    int64_t lot;
    bool closes;             /* along the innermost axis: `here` at the last point is `before` at the first */
} KKept;

/* Points that a kernel is restricted to (restrict.c): those where the truth value `test` is
 * true, that is where axis number `axis` is at `phase` modulo `every`; `phase` is affine in the
 * axes before it and the numbers of loops.  Elsewhere no root changes anything: what is stored
 * is what was there, what is reduced is the identity.  So an executor may leave these points
 * out, or not.  Buffers that are written may be read at other points than the own one where the
 * test is false for the element that is read. */
typedef struct KOnly {
    Ref     test;            /* 0: not restricted */
    bool    everywhere;      /* some root takes the old value from another buffer: no point is left out */
    int     axis;
    int64_t every;
    Aff     phase;
} KOnly;

/* The numbers lo, lo + step, …, n of them; whole, step a power of two. */
typedef struct KFew { int64_t lo, step; int n; } KFew;

/* A value that is a function of one or two others with few values each: entry i + n0*j is what it
 * is for number i of base 0 and number j of base 1.  An executor may look it up. */
enum { KERNEL_TABLE = 16 };            /* entries at most */
typedef struct KTable { Ref value; int nbase; Ref base[2]; KFew few[2]; } KTable;

typedef struct KKernel {
    int     rank;
    int64_t ext[IR_MAX_RANK];
    KRoot  *roots; int nroots;
    KOnly   only;
    KTable *tables; int ntables;
    /* Tasks for threads, 1: none.  Each makes rows_per_task of the rows (the first axis), the
     * last one what is left; where all axes are reduced, these are whole bands (ir.h). */
    int64_t tasks, rows_per_task;
    KKept  *kept; int nkept;
    const char *name;        /* "kernel.3" */
} KKernel;

typedef struct KCopy {       /* dst[at .. at+n) = src[0 .. n) */
    int dst, src;
    int64_t n;
    Aff at;                  /* in elements; may use loop symbols */
} KCopy;

/* A function of whole arrays, by the runtime.  Its scratch space takes lq_call_room bytes. */
typedef struct KCall {
    LqCall call;             /* not prepared */
    int  number;             /* calls of the program are counted */
    int  arg[LQ_CALL_ARGS], out, scratch;      /* buffers */
    /* The kernel after it, whose tasks are rows, reads of `out` its own rows only, and writes to no
     * argument: an executor may run task t when rows t*rows_per_task … of `out` are made. */
    bool followed;
    const char *name;        /* "contract", for dumps */
} KCall;

struct KStmt;
typedef struct KCarry { int cur, next; } KCarry;  /* exchanged after each iteration when different */

/* A loop that can be swept: its body is kernels over the same rows (the first axis), which
 * read what the body writes at their own point, or at row + k, |k| <= radius, at whatever
 * other indices.  What is so read and written by one kernel stays in one buffer, a ring
 * whose rows move on by `ahead` places in the sweep, so that a new row never takes the
 * place of an old one that is still wanted.
 * wave > 1: so many iterations are made in one pass over the rows, each some rows behind
 * the one before it; the rows at both ends are computed twice instead of waited for. */
typedef struct KSweep {
    int64_t radius, wave;    /* radius < 0: not swept */
    /* Cut into parts of rows, as its rings are (KProgram.parts): each has so many rows at least
     * for an iteration of a wave, or the wave takes fewer iterations.  0: not cut. */
    int64_t cut;
    bool    pairs;           /* in waves: two rows at a time, which read much the same */
} KSweep;

typedef struct KLoop {
    uint32_t loop;           /* Sym SYM_LOOP + loop is the iteration number */
    int64_t  trip;
    int      active;         /* index into carry of a buffer with one truth value (1.0/0.0), or
                              * -1: the loop may end when it is 0.0 for all replicas */
    struct KStmt *body; int nbody;
    KCarry  *carry; int ncarry;
    KSweep   sweep;
} KLoop;

typedef enum KStmtKind { KS_KERNEL, KS_COPY, KS_CALL, KS_LOOP } KStmtKind;
typedef struct KStmt {
    KStmtKind kind;
    union { KKernel kernel; KCopy copy; KCall *call; KLoop loop; } u;
} KStmt;

typedef struct KProgram {
    const char *name;
    Ir    *ir;               /* holds the scalar expressions */
    KBuf  *bufs; int nbufs;
    int   *buf_of;           /* by Ref of the array node that an SC_READ names; -1: none */
    uint32_t nbuf_of;
    KStmt *stmts; int nstmts;
    int64_t scratch;         /* doubles per replica */
    /* Most threads that a sweep can use.  With T of them (found out when the program is called)
     * the rows of rings and sweeps that are cut lie in parts of ceil(rows/T); each part is a ring
     * of its own, with room before and behind it for rows of its neighbours, which it makes
     * itself, so that within a wave no thread waits for another. */
    int    parts;
    int64_t bands;           /* where the totals of bands are, in the scratch space: KERNEL_BANDS for each root */
    bool   single;           /* kernels of rank >= 1 compute in single precision */
    int    nin, nout;
    KCall **calls; int ncalls;   /* of all statements, by number */
    Ref   *settings; int nsettings;      /* its constants that depend on settings (settings.c) */
    bool   plain;            /* no buffer is split: it has calls, or shares buffers with one that has */
} KProgram;

/* Where element e of an array with rows of `row` elements lies when lanes are sites. */
static inline int64_t kernel_place(int64_t row, int64_t e) {
    return row_place(row, e);
}

/* Long rows of a ring may lie some doubles apart, see llvm_sweep.c. */
enum { KERNEL_LONG_ROW = 128, KERNEL_ROW_GAP = 64 };
/* Elements of room that a buffer takes, in a program of so many parts. */
static inline int64_t kernel_room(const KBuf *b, int parts) {
    int64_t row = b->slots ? b->n / b->rows : 0, more = b->slots - b->rows;
    int64_t slots = b->cut ? b->rows + parts * (more + 1) : b->slots;
    return b->slots ? slots * (row + (row >= KERNEL_LONG_ROW ? KERNEL_ROW_GAP : 0)) : b->n;
}
/* The same in doubles. */
static inline int64_t kernel_doubles(const KBuf *b, int parts) {
    return b->single ? (kernel_room(b, parts) + 1) / 2 : kernel_room(b, parts);
}
/* The totals of the bands of a root that is reduced by several threads; KProgram.bands. */
enum { KERNEL_BANDS = REDUCE_BANDS };
/* Kernels between two exchanges of rows at the ends, and the rows that these reach. */
static inline int64_t sweep_depth(const KLoop *l) { return l->sweep.wave > 1 ? l->sweep.wave * l->nbody : 1; }

/* ==== fuse.c: array IR to kernels ============================================ */

/* Requires simplified roots; keeps the IrFunc. */
KProgram *fuse(const IrFunc *f, Arena *arena);
/* The same, with waves planned for so many replicas side by side. */
KProgram *fuse_for(const IrFunc *f, int replicas, Arena *arena);

/* ==== keep.c: values that another point has computed =============================== */

/* Finds the kept values of a kernel; those along outer axes still want a buffer. */
void kernel_keep(const Ir *ir, KKernel *k, Arena *arena);
const KKept *kernel_kept(const KKernel *k, Ref before);     /* NULL: none */
/* Elements of the buffer of one that is kept along an axis other than the innermost. */
int64_t kernel_plane(const KKernel *k, int axis);
/* The scalars of a kernel into w; needed[i]: number i of them is computed at each point
 * (room for as many as the Ir has nodes). */
void kernel_scalars(ScalarWalk *w, const KKernel *k, bool *needed);

/* ==== tables.c: values that are few ================================================ */

/* Finds the values of a kernel that tables are worth while for. */
void kernel_tables(const IrFunc *f, KKernel *k, Arena *arena);
const KTable *kernel_table(const KKernel *k, Ref r);         /* NULL: none */

/* ==== restrict.c: kernels that change some points only ============================= */

/* Is the truth value a residue class of points over these axes? */
bool kernel_only(Ir *ir, Ref test, int rank, const int64_t *ext, KOnly *out);
/* A truth value of that kind without which `expr` changes nothing: it is select(test and …,
 * new, old), old the element at the own point of an array; or of a reduction with `op`, the
 * identity.  0: none.  `want`: this one or none; 0: any. */
Ref  kernel_only_test(Ir *ir, Ref expr, int rank, const int64_t *ext, Op op, Ref want, Ref *old);
/* Seen from a point where the test is true: is it false where the element read is? */
bool kernel_reads_apart(const Ir *ir, const KOnly *only, int rank, const int64_t *ext, Ref read);
/* Does the read take the element at the own point: the axes in order? */
bool kernel_reads_own(const Ir *ir, int rank, const int64_t *ext, Ref read);
/* Points along the innermost axis stand so far apart: `every`, or 1 where an executor goes along
 * all of it; across: its lanes are the parts of that axis. */
int64_t kernel_step(const KKernel *k, bool across);
/* Points at which it evaluates the kernel. */
double kernel_points(const KKernel *k, bool across);
/* ==== choose.c: outputs that are one of two arrays ================================== */

/* Lets a kernel that reads the first array store it into the output. */
void kernel_choose(KProgram *p, const Ref *out, Arena *arena);
/* Is the kernel out[x] = if c then out[x] else …, with c the same at all points?  It may be
 * left out where c is true for all replicas. */
bool kernel_choice(const KProgram *p, const KKernel *k, Ref *condition);

/* ==== lanes.c: what the lanes of vectors are ===================================== */

typedef struct KLanes {
    int  lanes;              /* W */
    bool sites;              /* eight sites of a row, else W replicas */
    bool split;              /* and buffers are split into parts of rows: kernel_place */
    char why[240];           /* a sentence for `lqft show FILE kernels` */
} KLanes;

/* Bytes of the cache that a core has for itself; plan for another size (0: the machine's). */
double kernel_cache(void);
/* Of the one nearest to it. */
double kernel_near_cache(void);
void   kernel_plan_for_cache(double bytes);
/* Rows that there should be for each row that a wave makes twice; fewer in such a plan. */
int64_t kernel_rows_for_wave(void);

/* Programs that share buffers: plain when one of them is.  To be called before what follows. */
void   kernel_share_layout(KProgram *const *programs, int n);
/* The cheaper choice for so many replicas of some programs, by their own counts. */
KLanes kernel_lanes(KProgram *const *programs, int n, int64_t replicas);

/* ==== settings.c: constants that executors read from a table =================== */

void kernel_collect_settings(KProgram *p, Arena *arena);
/* The number of a constant in the table, or -1. */
int  kernel_setting(const KProgram *p, Ref r);

/* ==== share.c: what threads share ============================================= */

/* Decides which kernels and loops of a program threads share; only the room for it is missing
 * then: p->scratch is not known yet. */
void kernel_share(KProgram *p);
/* Does it sweep a loop row by row? */
bool kernel_sweeps(const KProgram *p);
/* Does a call of the program share anything? */
bool kernel_is_shared(const KProgram *p);
/* Plan as if work of so many ns were worth sharing (0: what is), for tests. */
void kernel_plan_for_work(double ns);
double kernel_planned_work(void);

/* ==== follow.c: kernels that follow a contraction row by row ======================== */

/* Marks calls whose next kernel follows them, and cuts it into tasks. */
void kernel_follow(KProgram *p);
/* Keeps that the promise of KCall.followed? */
bool kernel_may_follow(const KProgram *p, const KCall *c, const KKernel *k);

/* ==== kernel_print.c, kernel_verify.c ========================================= */

typedef struct KCost { double flops, reads, writes; } KCost;  /* reads, writes: array elements touched per point */
KCost kernel_cost(const KProgram *p, const KKernel *k);
void  kernel_print(const KProgram *p, FILE *out);
const char *kernel_verify(const KProgram *p);                /* NULL or what is wrong */

#endif
