/* llvm_emit.h — private to backend/llvm*: the only header that knows LLVM.  What the
 * files share has the prefix ll_; small helpers (l_) make emission readable. */
#ifndef LQFT_LLVM_EMIT_H
#define LQFT_LLVM_EMIT_H

#include <llvm-c/Core.h>
#include <llvm/Config/llvm-config.h>

#include <string.h>

#include "backend.h"

typedef LLVMValueRef Val;                  /* double, <W x double>, i1, <W x i1> or i64 */
typedef LLVMBasicBlockRef BasicBlock;

/* ==== a module being generated ================================================ */

typedef struct Unit {
    LLVMContextRef cx;
    LLVMModuleRef  module;
    LLVMBuilderRef b;
    LLVMTypeRef    f64, vec, i1, mask, i32, i64, ptr, none;
    LLVMTypeRef    f32;
    LLVMTypeRef    real;                   /* f64 or f32: in what numbers are now computed */
    unsigned       lanes;                  /* W; vec is double itself when W = 1.  Where lanes are sites, of the kernel */
    bool           sites;                  /* lanes are parts of rows, not replicas */
    unsigned       align;                  /* of element vectors in memory, bytes */
    bool           whole;                  /* large constants in the object too */
    bool           seldom;                 /* what is emitted now runs for few points */
    const char    *cpu, *features;
    const char    *wrong;                  /* first thing that cannot be generated, or NULL */
} Unit;

/* One KProgram, as a function.  A buffer that some loop exchanges has its address
 * in a stack slot, which becomes a register; the others have it in `base`. */
typedef struct Func {
    Unit *u;
    const KProgram *p; int number;
    Val    fn;
    Val    allocas;                        /* stack slots are made before this instruction */
    Val   *base;                           /* by buffer: address */
    Val   *slot;                           /* by buffer: where the address is, or NULL */
    Val   *first;                          /* by buffer: a ring's first, in a stack slot, or NULL */
    Val   *first_now;                      /* its value in the sweep being emitted, or NULL */
    Val    workers;                        /* threads of this call: parts of what is cut */
    Val   *part_rows, *part_slots;         /* by buffer: of a ring that is cut, rows and slots of a part */
    Val   *part_at;                        /* by buffer: where the part being swept begins, in rows, or NULL */
    Val    args;                           /* CallArgs */
    Val    scratch;
    Val    task;                           /* in a task: its index, else NULL */
    Val    frame;                          /* what tasks are told, see llvm_task.c, or NULL */
    Val   *iteration;                      /* by loop number: i64, while inside */
    int64_t *trip;                         /* by loop number */
    uint32_t nloops;
    Val    seed, step, chains;
    Val    call_slot[3];                   /* of runtime calls: result, operands */
    Val    row_slot[4];                    /* rows of random numbers, room for MAX_ROW doubles each */
    /* Of the kernel being emitted, by Ref. */
    Val      *value;
    uint8_t  *level;
    uint32_t *place;                       /* position in order, while it is being sorted */
    uint16_t *phase;                       /* plain, and behind so many elementary functions */
    uint32_t *seen;                        /* stamp: waits for operands; stamp + 1: in order */
    uint32_t  stamp;
    VEC(Ref)  order;                       /* scalar nodes of the kernel, operands first */
} Func;

/* ==== a kernel being emitted ===================================================== */

typedef struct Range { int64_t lo, hi; } Range;          /* both included */

typedef struct Loop { BasicBlock head; Val i; int64_t end; } Loop;

/* A function that lq_parallel calls for each index. */
enum { MOST_TOLD = 4 };
typedef struct Task {
    Func  inner;                           /* emission goes on in it */
    Func *outer;
    BasicBlock from;                       /* where the outer function goes on */
    Val   index;
    Val   told[MOST_TOLD];                 /* numbers of the outer function, in the inner one */
} Task;

/* Random numbers of a row are drawn together up to this many doubles. */
enum { MAX_ROW = 4096, NEAR_ROWS = 1024 };

/* Reads of one row that are shifted against each other along the innermost axis: the
 * foremost is loaded, the others are what it was `lag` iterations ago. */
enum { MAX_READS = 48, MAX_LAG = 4, MAX_CARRIED = 10 };

/* By lag: a leader's value that many iterations ago. */
typedef struct StreamPast { Val at[MAX_LAG + 1]; } StreamPast;

/* The segments of an axis: sorted, the first 0, the last one its extent. */
enum { MAX_SEGMENTS = 16 };
typedef struct Cuts { int64_t at[2 * MAX_SEGMENTS + 3]; int n; } Cuts;

/* What was loaded of an array from a row that is one vector: the places of its other axes, known
 * numbers or affine forms. */
enum { MAX_LOADED = 128 };
typedef struct Loaded { Ref array; int64_t place[IR_MAX_RANK]; bool known[IR_MAX_RANK]; Val v; } Loaded;

typedef struct Stream {
    Ref     read;
    int     leader;                    /* number of the foremost read; itself: loads */
    int64_t k, step;                   /* constant of its address; advance per iteration */
    int64_t along;                     /* the part of k that is not the first index's */
    int     lag;
    StreamPast past;                   /* of a leader */
    const struct Stream *twin;         /* a leader of the other row of a pair, which had it */
    int     twin_lag;                  /* so many iterations ago; or NULL */
} Stream;

/* Accumulators of a reduction, in stack slots: of the part of a row that is being summed,
 * the finished parts, the band, the finished bands (NULL: one band), where the band ends. */
typedef struct Sum { Val row, parts, band, total, band_end; } Sum;

/* A row of a sweep: its number in the part that is swept, which in a wave may lie outside; its
 * number among all rows; the block before the sweep; the loop that is swept. */
typedef struct Row {
    Val number, wrapped;
    BasicBlock outside;
    uint32_t loop;
    bool wave;
    Val  lap;                          /* in a wave: number of its iteration */
} Row;

enum { LL_MOST_KEPT = 32 };
/* What differs from lane to lane when lanes are sites, see llvm_lanes.c. */
typedef enum LaneMode {
    LANES_ALIKE,                       /* nothing, or lanes are replicas */
    LANES_PARTS, LANES_ROW, LANES_KEPT
} LaneMode;

/* A kernel being emitted. */
typedef struct Nest {
    Func *f;
    const KKernel *k;
    const KKernel *whole;              /* the kernel that this one fills buffers of; k itself */
    const Row *sweep;                  /* the row that is made, or NULL: all of them */
    KKernel anew_each;                 /* k without kept values, in plain buffers */
    LaneMode mode;
    int64_t apart;                     /* sites from lane to lane */
    bool  overlap;                     /* rows end with a vector that overlaps the one before */
    unsigned first_lane;               /* lanes before it were made already: in that vector */
    int64_t length;                    /* places of lane 0 along the innermost axis */
    int64_t step;                      /* from one to the next: more than 1 in a restricted kernel, */
    Val   phase;                       /* from this one on, found once a row */
    Val   from, end;                   /* in a task: of the first axis, else NULL */
    int   depth;                       /* level of `here` */
    BasicBlock here;                   /* where code is being appended */
    BasicBlock block[IR_MAX_RANK + 1]; /* by level < depth: its code before the inner loop */
    Val   axis[IR_MAX_RANK];
    Range range[IR_MAX_RANK];          /* of each axis; of the innermost in this segment */
    Sum  *sum;                         /* by root */
    Val   part, part_end;              /* stack slots: number of the part of the row, its end */
    Stream stream[MAX_READS]; int nstreams;
    Loaded loaded[MAX_LOADED]; int nloaded;   /* since the unrolled places of an axis began */
    bool  loaded_stay;                 /* it is there for the places after this one */
    Ref   drawn[4]; int ndrawn;        /* random numbers that stand in row slots, */
    Val   drawn_at[4];                 /* those of this row there */
    bool  filling;                     /* makes what the first points are handed, and no root */
    bool  anew;                        /* kept values are being computed */
    Val   past[LL_MOST_KEPT];          /* by kept value: at the point before this one of the row */
    Val   opening[LL_MOST_KEPT];       /* the same at the first point of the row */
    bool  last;                        /* the last point of the row is being made, by itself */
    ScalarWalk *first;                 /* scalars that the first points of rows want, or NULL */
    struct Nest *twin;                 /* the next row of a sweep, made together with this one */
    Val  *value;                       /* of a twin: what Func.value is while it is emitted */
} Nest;

/* Where an index points after its mode.  While the number of turns is known, it is
 * the affine form plus `shift`; otherwise a computed value. */
typedef struct Place {
    int64_t shift;
    Val at;                            /* NULL: affine + shift */
    Val odd;                           /* i1: odd number of turns; NULL: never */
    Val inside;                        /* i1; NULL: always */
    int level;                         /* of these values */
} Place;

/* An element's offset in doubles: one part per level and a constant. */
typedef struct Offset { Val part[IR_MAX_RANK + 1]; int64_t k; } Offset;

/* Where a read finds its element, and what its modes make of it.  A read along the row
 * of a kernel whose lanes are sites finds a vector: its lane l is wanted in lane l - turns,
 * having made a turn of the whole axis where that is no lane. */
typedef struct Access {
    int buf;
    Offset offset;
    Val odd, inside;
    bool row; int64_t turns; uint32_t mode;
    bool along;                        /* lanes are neighbours in memory */
} Access;

/* ==== llvm_emit.c ============================================================== */

/* Adds the function of a program to the module; u->wrong says when that failed. */
Val  ll_program(Unit *u, const KProgram *p, int number);
/* Notes the first thing that cannot be generated: a mistake of an earlier pass. */
void ll_wrong(Unit *u, const char *what);

/* Every function is for the processor of the unit. */
void ll_target_attributes(Unit *u, Val fn);
/* A new block that follows the current one. */
BasicBlock ll_next_block(Func *f, const char *name);
/* for (i = from; i != end; i++), entered at least once. */
Loop ll_loop_begin(Func *f, int64_t from, int64_t end, const char *name);
void ll_loop_end(Func *f, const Loop *l);
/* The same with bounds that are found when it runs: from `from`, in steps, while `on`. */
Loop ll_loop_open(Func *f, Val from, const char *name);
void ll_loop_close(Func *f, const Loop *l, Val next, Val on);
/* Builder to a level: appending at the current one, before the inner loop at others. */
void ll_at_level(Nest *z, int level);

/* A function of the program `f->p`: its tables and the entry block, where its buffers are
 * found; then, when nloops and workers are known, what else is found once.  outer: the one
 * that it is a task of, or NULL. */
void ll_func_open(Func *f, Val fn, Val args, const Func *outer);
void ll_func_start(Func *f);
void ll_func_close(Func *f);

/* ==== llvm_task.c =============================================================== */

void ll_task_begin(Task *t, Func *outer, const char *name, const Val *tell, int ntell);
/* Ends the function t->inner.fn; emission goes on in the outer one, which has t->outer->frame for it. */
void ll_task_close(Task *t);
/* A function of the runtime that calls tasks: unlike others it touches any memory. */
Val  ll_task_runner(Unit *u, const char *name, LLVMTypeRef type);
/* Closes it, and calls lq_parallel with it. */
void ll_task_end(Task *t, Val ntasks);
/* Rows of a part of what is cut: the last part may have less. */
Val  ll_part_rows(Func *f, int64_t rows);
Val  ll_setting(Func *f, Ref r);          /* a constant that depends on settings */

/* ==== llvm_nest.c =============================================================== */

void ll_kernel(Func *f, const KKernel *k);
/* Begins and fills a task that makes rows of it; returns how many each makes. */
int64_t ll_kernel_task(Task *t, Func *f, const KKernel *k);
/* One row of it; code that does not depend on the row goes into row->outside. */
void ll_kernel_row(Func *f, const KKernel *k, const Row *row);
/* Two rows that follow each other, point by point; of a kernel without reductions, random
 * numbers, or more than two axes. */
void ll_kernel_pair(Func *f, const KKernel *k, const Row *row, const Row *next);

/* Before the first row: what the kernel hands on to the next one. */
void ll_kernel_fill(Func *f, const KKernel *k, const Row *row);
/* The value of a scalar, from those of its operands; the deepest axis it depends on. */
Val  ll_node(Nest *z, Ref r);
uint8_t ll_node_level(const Nest *z, Ref r);

/* ==== llvm_cuts.c =============================================================== */

Cuts ll_segment_cuts(Nest *z);             /* of the innermost axis */
/* Lanes are neighbours: a vector in which an index turns is a segment by itself. */
Cuts ll_vector_cuts(Nest *z);
Cuts ll_axis_cuts(const Nest *z, int axis);

/* ==== llvm_keep.c =============================================================== */

/* Is the scalar handed on, here and now?  NULL: it is computed. */
const KKept *ll_kept(const Nest *z, Ref r);
Val  ll_kept_value(Nest *z, const KKept *v);
/* At the last point of a row: what it shares with the first, or NULL. */
Val  ll_closing_value(const Nest *z, Ref r);
/* Those along an axis other than the innermost. */
int  ll_keep_along(const KKernel *k, int axis, KKept *out);
/* In a row: what the first point needs and does not depend on it. */
void ll_keep_rows(Nest *z);
/* In front of a segment, at the head of its loop, at the end of a point of it. */
void ll_keep_segment(Nest *z, int64_t from);
void ll_keep_enter(Nest *z, BasicBlock before);
void ll_keep_advance(Nest *z, bool loop);
void ll_keep_end(Nest *z);
/* After the values of a point: into the buffers. */
void ll_keep_point(Nest *z);

/* ==== llvm_table.c ============================================================== */

/* The table in which the value of a node is looked up, or NULL. */
const KTable *ll_table(const Nest *z, Ref r);
Val  ll_looked_up(Nest *z, const KTable *t, int level);

/* ==== llvm_sweep.c ============================================================== */

void ll_sweep(Func *f, const KLoop *l);
/* Numbers from one row of a ring to the next. */
int64_t ll_ring_pitch(const Func *f, int buf);
/* Where row y of a ring is, in rows; and row y of the part that is being swept. */
Val  ll_ring_slot(Func *f, int buf, Val first, Val y);
Val  ll_ring_slot_own(Func *f, int buf, Val first, Val y);

/* ==== llvm_index.c ============================================================== */

int   ll_sym_level(const Nest *z, Sym s);
int   ll_affine_level(const Nest *z, const Affine *a);
Range ll_affine_range(const Nest *z, const Affine *a);
/* a + shift, at the builder's place. */
Val   ll_affine_value(Nest *z, const Affine *a, int64_t shift);
/* Is 0 <= a < n?  Known, or compared at the builder's place. */
Val   ll_in_range(Nest *z, const Affine *a, Range r, int64_t n);
Place ll_place(Nest *z, const Index *ix);
void  ll_offset_add(Nest *z, Offset *o, const Index *ix, const Place *p, int64_t stride);
void  ll_offset_add_split(Nest *z, Offset *o, int level, Val e, int64_t n);
Val   ll_offset_address(Nest *z, const Offset *o, int buf, int level);
/* The element of the point, over the first naxes axes; in a ring so many rows ahead. */
Val   ll_own_address(Nest *z, int buf, int naxes, int64_t ahead);
/* The same over the axes inside that of a kept value, in its buffer. */
Val  ll_plane_address(Nest *z, const KKept *v);
/* The first index of a read of a ring. */
void  ll_offset_add_row(Nest *z, Offset *o, int buf, const Index *ix, const Place *p);
/* When lanes are sites: place of element e of a row of n, of an array with such rows. */
Val   ll_split(Unit *u, Val e, int64_t n);
Val   ll_split_element(Unit *u, Val e, int64_t n);
/* The indices of a node for lane l alone. */
void  ll_lane_indices(Nest *z, Ref r, unsigned lane, Index *out);

/* ==== llvm_lanes.c ============================================================== */

/* A nest that begins; then, when the order of its nodes is known, which sites its lanes are. */
void ll_lanes_begin(Nest *z);
void ll_lanes_choose(Nest *z);
/* How many lanes vectors have from now on. */
void ll_lanes_set(Unit *u, unsigned lanes);
Sym  ll_lane_axis(const Nest *z);
/* Rows of a task: whole vectors. */
int64_t ll_lanes_rows(const Nest *z);
/* The coefficient of the axis along which lanes differ; 0: alike for all. */
int64_t ll_lane_coef(const Nest *z, Aff a);
/* Is a read, in this segment, one vector of neighbours in memory? */
bool ll_is_along(const Nest *z, Ref r);

/* ==== llvm_read.c =============================================================== */

Val  ll_read(Nest *z, Ref r, int level);
bool ll_is_row_read(const Nest *z, Ref r);
/* Finds the reads of this segment that follow others within MAX_LAG iterations. */
void ll_streams_find(Nest *z);
/* The streams of two rows that are made together: which follow one of the other row? */
void ll_streams_pair(Nest *z, Nest *next);
/* In front of the loop, whose axis stands at its first value: the past of leaders. */
void ll_streams_begin(Nest *z, StreamPast *first);
/* At the head of the loop. */
void ll_streams_enter(Nest *z, StreamPast *first, BasicBlock before);
/* At its end: the present becomes the past. */
void ll_streams_advance(Nest *z);

/* ==== llvm_scalar.c ============================================================ */

/* A row of ops.def applied to operands, at the builder's place. */
Val  ll_op(Func *f, Op op, const Val *args, int n);
/* Lane l draws for its own chain and for site + l*apart. */
LLVMTypeRef ll_drawn_number(Unit *u, uint32_t aux);  /* in what numbers it is drawn */
Val  ll_drawn(Func *f, uint32_t aux, Val v);  /* what was drawn, in the precision of the kernel */
Val  ll_random(Func *f, uint32_t aux, Val site, Val iteration, unsigned lanes, int64_t apart);
/* The same for sites site0, site0 + every, …: element s of lane l at out[s*lanes + l]. */
void ll_fill_random(Func *f, uint32_t aux, Val out, Val site0, int64_t every, int64_t nsites, Val iteration, unsigned lanes, int64_t apart);
Val  ll_from_lanes(Unit *u, Val *lane);       /* W scalars as a vector */
Val  ll_as_real(Unit *u, Val v);              /* truth value -> 1.0 or 0.0 */
Val  ll_as_truth(Unit *u, Val v);             /* number -> is it not 0 */
Val  ll_as_vector(Unit *u, Val v);            /* uniform -> the same in every lane */
Val  ll_any_lane(Unit *u, Val v);             /* i1: some lane is not 0 */
double ll_identity(Op op);
/* A function of the runtime, declared once. */
Val  ll_runtime_function(Unit *u, const char *name, LLVMTypeRef type);

/* ==== llvm_math.c ============================================================== */

/* The function `name` of runtime/vmath_text.h of n numbers or vectors of one type, double
 * or single; NULL when there is none.  May be called at any place of the builder. */
Val  ll_math(Unit *u, const char *name, const Val *args, unsigned n);
/* A function with a branch for rare arguments: better called for two vectors at once. */
bool ll_math_branches(Op op);
void ll_math_pair(Unit *u, Op op, Val *a, Val *b);      /* in place of the operands: the values */
/* When the module is complete: which of these functions are inlined. */
void ll_math_choose_inline(Unit *u);

/* ==== helpers ================================================================== */

static inline Val l_int(Unit *u, int64_t v) { return LLVMConstInt(u->i64, (unsigned long long)v, 1); }
static inline Val l_int32(Unit *u, int64_t v) { return LLVMConstInt(u->i32, (unsigned long long)v, 1); }
static inline Val l_bool(Unit *u, bool v) { return LLVMConstInt(u->i1, v, 0); }
static inline Val l_real(Unit *u, double v) { return LLVMConstReal(u->real, v); }      /* rounded to it */
static inline Val l_double(Unit *u, double v) { return LLVMConstReal(u->f64, v); }

static inline bool l_is_vector(Val v) { return LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind; }

static inline bool l_is_truth(Val v) {
    LLVMTypeRef t = LLVMTypeOf(v);
    if (LLVMGetTypeKind(t) == LLVMVectorTypeKind) t = LLVMGetElementType(t);
    return LLVMGetTypeKind(t) == LLVMIntegerTypeKind;
}

/* A truth value known now. */
static inline bool l_is_known(Val v) { return LLVMIsAConstantInt(v) != NULL; }
static inline bool l_known(Val v) { return LLVMConstIntGetZExtValue(v) != 0; }

static inline BasicBlock l_block(Func *f, const char *name) {
    return LLVMAppendBasicBlockInContext(f->u->cx, f->fn, name);
}
static inline BasicBlock l_here(Unit *u) { return LLVMGetInsertBlock(u->b); }
static inline void l_goto_end(Unit *u, BasicBlock b) { LLVMPositionBuilderAtEnd(u->b, b); }
/* Before the branch that ends a block. */
static inline void l_goto_last(Unit *u, BasicBlock b) { LLVMPositionBuilderBefore(u->b, LLVMGetBasicBlockTerminator(b)); }

static inline Val l_add(Unit *u, Val a, Val b) { return LLVMBuildNSWAdd(u->b, a, b, ""); }
static inline Val l_sub(Unit *u, Val a, Val b) { return LLVMBuildNSWSub(u->b, a, b, ""); }
static inline Val l_mul(Unit *u, Val a, int64_t c) {
    return c == 1 ? a : LLVMBuildNSWMul(u->b, a, l_int(u, c), "");
}
static inline Val l_select(Unit *u, Val c, Val a, Val b) { return LLVMBuildSelect(u->b, c, a, b, ""); }
static inline Val l_compare(Unit *u, LLVMIntPredicate p, Val a, Val b) { return LLVMBuildICmp(u->b, p, a, b, ""); }

/* p + i numbers of a type; p + i doubles. */
static inline Val l_at_number(Unit *u, LLVMTypeRef number, Val p, Val i) { return LLVMBuildGEP2(u->b, number, p, &i, 1, ""); }
static inline Val l_at(Unit *u, Val p, Val i) { return LLVMBuildGEP2(u->b, u->f64, p, &i, 1, ""); }

/* The number or numbers v as double, as float, or as what is computed in. */
static inline Val l_convert(Unit *u, Val v, LLVMTypeRef to) {
    LLVMTypeRef from = LLVMTypeOf(v);
    bool vector = LLVMGetTypeKind(from) == LLVMVectorTypeKind;
    if ((vector ? LLVMGetElementType(from) : from) == to) return v;
    if (vector) to = LLVMVectorType(to, LLVMGetVectorSize(from));
    return LLVMBuildFPCast(u->b, v, to, "");
}

static inline Val l_load(Unit *u, LLVMTypeRef t, Val p, unsigned align) {
    Val v = LLVMBuildLoad2(u->b, t, p, "");
    LLVMSetAlignment(v, align);
    return v;
}
static inline Val l_store(Unit *u, Val v, Val p, unsigned align) {
    Val s = LLVMBuildStore(u->b, v, p);
    LLVMSetAlignment(s, align);
    return s;
}

/* A stack slot, made in the entry block; the builder must stand at the end of a block. */
static inline Val l_alloca(Func *f, LLVMTypeRef t, const char *name) {
    BasicBlock here = l_here(f->u);
    LLVMPositionBuilderBefore(f->u->b, f->allocas);
    Val v = LLVMBuildAlloca(f->u->b, t, name);
    if (t != f->u->ptr) LLVMSetAlignment(v, 64);
    l_goto_end(f->u, here);
    return v;
}

static inline Val l_intrinsic(Unit *u, const char *name, LLVMTypeRef t, Val *args, unsigned n) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    Val fn = LLVMGetIntrinsicDeclaration(u->module, id, &t, 1);
    return LLVMBuildCall2(u->b, LLVMIntrinsicGetType(u->cx, id, &t, 1), fn, args, n, "");
}

/* Names that this LLVM does not know are hints lost, no more. */
static inline void l_enum_attr(Unit *u, Val fn, unsigned where, const char *name, uint64_t value) {
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    if (kind) LLVMAddAttributeAtIndex(fn, where, LLVMCreateEnumAttribute(u->cx, kind, value));
}
static inline void l_text_attr(Unit *u, Val fn, const char *name, const char *value) {
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateStringAttribute(u->cx, name, (unsigned)strlen(name),
                                                      value, (unsigned)strlen(value)));
}

static inline void l_unlikely(Unit *u, Val branch) {
    Val part[3] = {LLVMMDStringInContext(u->cx, "branch_weights", 14), l_int32(u, 1), l_int32(u, 4000)};
    LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(u->cx, "prof", 4), LLVMMDNodeInContext(u->cx, part, 3));
}

static inline int64_t floor_div(int64_t a, int64_t n) { return a / n - (a % n < 0); }

static inline const KBuf *buf_get(const Func *f, int buf) { return &f->p->bufs[buf]; }

/* Numbers in memory per element, and how elements by themselves are loaded and stored. */
static inline bool buf_lone(const Func *f, int buf) { return f->u->sites || buf_get(f, buf)->uniform; }
static inline int64_t buf_width(const Func *f, int buf) { return buf_lone(f, buf) ? 1 : f->u->lanes; }
static inline LLVMTypeRef buf_number(const Func *f, int buf) { return buf_get(f, buf)->single ? f->u->f32 : f->u->f64; }
static inline int64_t buf_bytes(const Func *f, int buf) { return buf_get(f, buf)->single ? 4 : 8; }   /* of a number */
static inline LLVMTypeRef buf_vector(const Func *f, int buf) {
    return f->u->lanes > 1 ? LLVMVectorType(buf_number(f, buf), f->u->lanes) : buf_number(f, buf);
}
static inline unsigned buf_vector_align(const Func *f, int buf) { return buf_get(f, buf)->single && f->u->lanes < 16 ? f->u->align / 2 : f->u->align; }
static inline unsigned buf_align(const Func *f, int buf) { return buf_lone(f, buf) ? (unsigned)buf_bytes(f, buf) : buf_vector_align(f, buf); }
static inline LLVMTypeRef buf_type(const Func *f, int buf) { return buf_lone(f, buf) ? buf_number(f, buf) : buf_vector(f, buf); }
/* p + i numbers of the buffer. */
static inline Val buf_at(const Func *f, int buf, Val p, Val i) { return LLVMBuildGEP2(f->u->b, buf_number(f, buf), p, &i, 1, ""); }
/* Are its rows split over lanes? */
static inline bool buf_split(const Func *f, int buf) { return f->u->sites && !f->p->plain && reduce_parts(buf_get(f, buf)->row) > 1; }

static inline Val buf_address(Func *f, int buf) {
    return f->slot[buf] ? LLVMBuildLoad2(f->u->b, f->u->ptr, f->slot[buf], "") : f->base[buf];
}

#endif
