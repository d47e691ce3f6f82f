/* ir.h — the array IR: hash-consed, immutable, closed nodes on two levels.
 *
 * Array nodes have a shape and no names.  The scalar body of a Map or Reduce
 * refers to the node's own axes by position (Sym 0, 1, …), to the iteration
 * number of an enclosing Loop, and to other arrays through Read; nothing else is
 * free in it.  Equal computations are therefore the same node.
 *
 * All values are real numbers (double) or truth values; complex numbers are pairs
 * of reals made by the elaborator.  The IR knows neither lattices nor chains: a
 * program is a function of input arrays, and an executor may run many replicas of
 * it side by side (inputs are marked `uniform` when replicas share them). */
#ifndef LQFT_IR_H
#define LQFT_IR_H

#include "../front/front.h"
#include "../../runtime/run/program.h"       /* row_parts */

typedef uint32_t Ref;                      /* a node; 0 is none */

typedef enum Op {
    /* scalar level, from ops.def: SC_ADD … SC_SELECT */
    SC_NONE = 0,
#define OP(id, name, arity, type, value, vm, cost) SC_##id,
#include "../../runtime/ops.def"
#undef OP
    SC_CONST,    /* val */
    SC_IDX,      /* index 0, as a number */
    SC_INRANGE,  /* index 0 (mode ignored): 0 <= affine < n, a truth value */
    SC_READ,     /* arg 0: array; one index per axis of it */
    SC_RAND,     /* aux: draw << 1 | normal; index 0: site counter, index 1: iteration */
    /* array level */
    AR_INPUT,    /* aux: slot; uniform */
    AR_CONST,    /* aux: entry of the constant pool */
    AR_MAP,      /* arg 0: scalar body over axes 0 … rank-1 */
    AR_REDUCE,   /* arg 0: scalar body over axes 0 … rank+nred-1; aux: SC_ADD, SC_MUL, SC_MAX, SC_MIN */
    AR_LOOP,     /* see below; aux: loop number */
    AR_CARRY,    /* aux: loop number; nred unused; arg 0: initial value (for its shape); val: which */
    AR_PROJ,     /* arg 0: AR_LOOP; aux: which carry: its value after the last iteration */
    AR_STACK,    /* arg 0: AR_LOOP; aux: which carry: [iteration, …] its value before each iteration */
    AR_CALL,     /* aux: CallKind: an array made as a whole by a function of the runtime, see calls.def */
    IR_NOPS
} Op;

/* A symbol in an affine index: an axis position of the closed node (< SYM_FREE),
 * a free index of the elaborator (SYM_FREE + n; never inside a closed node), or
 * the iteration number of loop n (SYM_LOOP + n). */
typedef uint32_t Sym;
#define SYM_FREE 0x20000000u
#define SYM_LOOP 0x40000000u
#define IR_MAX_RANK 16

typedef uint32_t Aff;                      /* an interned affine form k + sum c*sym */
typedef struct AffTerm { Sym sym; int64_t c; } AffTerm;
typedef struct Affine { int64_t k; int n; AffTerm t[]; } Affine;   /* sorted by sym, c != 0 */

typedef enum IndexMode {
    IX_EXACT,         /* proven inside 0 … n-1 */
    IX_PERIODIC,      /* modulo n */
    IX_ANTIPERIODIC,  /* modulo n; the value read changes sign with each turn */
    IX_ZERO           /* outside 0 … n-1 the value read is 0 */
} IndexMode;

/* Functions of whole arrays, from calls.def. */
typedef enum CallKind {
#define CALL(id, name, nargs) CALL_##id,
#include "calls.def"
#undef CALL
    IR_NCALLS
} CallKind;

typedef struct Index { Aff aff; uint32_t mode; int64_t n; } Index;

typedef struct Node {
    uint16_t op;
    uint8_t  rank, nred;     /* arrays: outer and reduced axes */
    uint8_t  boolean;        /* scalar or array of truth values */
    uint8_t  uniform;        /* AR_INPUT: the same for all replicas */
    uint16_t nidx;
    uint32_t aux;
    uint32_t nargs, args;    /* offset in Ir.args */
    uint32_t dims;           /* offset in Ir.dims: rank + nred extents */
    uint32_t idx;            /* offset in Ir.index */
    double   val;
} Node;

/* Where a constant comes from: a setting (the number of one, or -1), or an operation on constants. */
typedef struct Recipe { int setting; Op op; int n; Ref args[3]; } Recipe;
/* A number that the program can be given anew; dflt: computed from others, or 0; fixed: why it cannot
 * have another value, or NULL. */
typedef struct Setting { const char *name; double value; Ref dflt; Span at; const char *fixed; } Setting;
enum { CONST_RECIPE = 2 };     /* SC_CONST: aux is 0 for a literal, 1 for a truth value, else this and the number of a recipe */

/* source: the closed array that was computed, where it depends on settings or the seed (settings.c), or 0. */
typedef struct ConstData { const double *data; int64_t n; Ref source; } ConstData;
typedef struct LoopInfo { int64_t trip; Span at; } LoopInfo;

typedef struct Ir {
    VEC(Node)     nodes;     /* nodes.data[0] is unused */
    VEC(Ref)      args;
    VEC(int64_t)  dims;
    VEC(Index)    index;
    VEC(Affine *) affs;
    VEC(ConstData) consts;
    VEC(LoopInfo) loops;
    VEC(Recipe)   recipes;
    uint32_t     *recipe_table; int recipe_cap;
    VEC(Setting)  settings;
    const char   *fixing;           /* what is being decided, for Setting.fixed, or NULL */
    VEC(const char *) slot_names;   /* of AR_INPUT slots, for dumps */
    VEC(Span)     draw_at;          /* where each random draw stands in the source */
    Ref     *table;  uint32_t table_cap, table_n;
    Aff     *aff_table; uint32_t aff_cap;
    uint32_t next_free;
    Arena   *arena;
} Ir;

#define NODE(ir, r)      (&(ir)->nodes.data[r])
#define NARG(ir, r, i)   ((ir)->args.data[NODE(ir, r)->args + (i)])
#define NDIM(ir, r, i)   ((ir)->dims.data[NODE(ir, r)->dims + (i)])
#define NIDX(ir, r, i)   (&(ir)->index.data[NODE(ir, r)->idx + (i)])

/* ==== ir.c: construction ==================================================== */

Ir  *ir_new(void);
void ir_free(Ir *ir);

Aff  aff_const(Ir *ir, int64_t k);
Aff  aff_sym(Ir *ir, Sym s);
Aff  aff_add(Ir *ir, Aff a, Aff b);
Aff  aff_scale(Ir *ir, Aff a, int64_t c);
Aff  aff_shift(Ir *ir, Aff a, int64_t k);
const Affine *aff_get(const Ir *ir, Aff a);
int64_t aff_coef(const Ir *ir, Aff a, Sym s);
bool aff_is_const(const Ir *ir, Aff a, int64_t *k);
/* Symbols substituted by affine forms. */
Aff  aff_subst(Ir *ir, Aff a, int n, const Sym *syms, const Aff *by);

Ref  ir_const(Ir *ir, double v);
Ref  ir_bool(Ir *ir, bool v);
Ref  ir_unary(Ir *ir, Op op, Ref a);
Ref  ir_binary(Ir *ir, Op op, Ref a, Ref b);
Ref  ir_select(Ir *ir, Ref c, Ref a, Ref b);
Ref  ir_fma(Ir *ir, Ref a, Ref b, Ref c);
Ref  ir_op(Ir *ir, Op op, int n, const Ref *args);      /* any row of ops.def */
Ref  ir_idx(Ir *ir, Index ix);
Ref  ir_inrange(Ir *ir, Aff a, int64_t n);
Ref  ir_read(Ir *ir, Ref array, const Index *ix);        /* rank(array) indices */
Ref  ir_rand(Ir *ir, uint32_t draw, bool normal, Aff site, Aff iteration);
Ref  ir_input(Ir *ir, const char *name, int rank, const int64_t *dims, bool uniform, bool boolean);
Ref  ir_const_array(Ir *ir, int rank, const int64_t *dims, const double *data);
/* The values of `source`, which depends on settings or the seed. */
Ref  ir_const_array_from(Ir *ir, int rank, const int64_t *dims, const double *data, Ref source);
Ref  ir_map(Ir *ir, int rank, const int64_t *dims, Ref body);
Ref  ir_reduce(Ir *ir, Op op, int rank, int nred, const int64_t *dims, Ref body);

/* A loop: carry i starts as init[i]; in the body its value is carry[i]; next[i]
 * follows it.  `trip` iterations.  `active` names a rank-0 carry of truth value, or
 * is -1: once it is false, further iterations leave every carry as it is (the body
 * says so with selects), so that an executor may stop as soon as it is false for
 * all of its replicas.
 * Args of AR_LOOP: ncarry inits, then ncarry nexts; val: active. */
uint32_t ir_loop_new(Ir *ir, int64_t trip, Span at);
Ref  ir_carry(Ir *ir, uint32_t loop, int which, Ref init);
Ref  ir_loop(Ir *ir, uint32_t loop, int active, int ncarry, const Ref *init, const Ref *next);
Ref  ir_proj(Ir *ir, Ref loop, int which);
Ref  ir_stack(Ir *ir, Ref loop, int which);

/* An array made by a call.  dims: rank + nred extents; indices and val as calls.def says. */
Ref  ir_call(Ir *ir, CallKind kind, int nargs, const Ref *args, int rank, int nred, const int64_t *dims,
             int nidx, const Index *ix, int64_t val);

int64_t ir_elements(const Ir *ir, Ref array);            /* product of outer extents */
bool ir_is_array(const Ir *ir, Ref r);
/* Least and greatest value of an affine form when axis i runs over 0 … dims[i]-1. */
void ir_aff_range(const Ir *ir, Aff a, int ndims, const int64_t *dims, int64_t *lo, int64_t *hi);
/* Asking for the value fixes the settings that it was computed from (settings.c). */
bool ir_is_const(const Ir *ir, Ref r, double *v);

/* ==== settings.c: constants that a compiled program can be given anew ========= */

bool ir_is_literal(const Ir *ir, Ref r, double *v);      /* a constant that depends on no setting */
double ir_const_value(const Ir *ir, Ref r);              /* of a constant, now; nothing is fixed */
const Recipe *ir_recipe(const Ir *ir, Ref r);            /* NULL: a literal, or no constant */
Ref  ir_setting(Ir *ir, const char *name, double value, Ref dflt, Span at);
/* An operation on constants, one of which has a recipe. */
Ref  ir_const_computed(Ir *ir, Op op, int n, const Ref *args);
void ir_fix(Ir *ir, Ref r);
/* Does an array without inputs depend on settings, or on random numbers? */
bool ir_is_variable(const Ir *ir, Ref array);
/* Of a constant array: what it was computed from, or 0. */
Ref  ir_source(const Ir *ir, Ref array);
Ref  ir_const_by_recipe(Ir *ir, uint32_t recipe, double value);    /* ir.c, for settings.c */

static inline bool ir_is_zero(const Ir *ir, Ref r) { double v; return ir_is_literal(ir, r, &v) && v == 0; }
uint32_t ir_fresh(Ir *ir);                               /* a new free symbol */

/* ==== calls.c: functions of whole arrays ===================================== */

const char *call_name(CallKind kind);
int  call_arity(CallKind kind);
/* The calls that users and derivatives need, with their shapes found; see calls.def. */
Ref  ir_scatter(Ir *ir, Ref values, int rank, const int64_t *dims, const Index *ix);
Ref  ir_take(Ir *ir, Ref source, Ref places, int leading);
Ref  ir_put(Ir *ir, Ref places, Ref values, int leading, int rank, const int64_t *dims);
/* The same elements in the same row-major order. */
Ref  ir_reshape(Ir *ir, Ref a, int rank, const int64_t *dims);
Ref  ir_svd(Ir *ir, Ref a);
Ref  ir_eigh(Ir *ir, Ref a);
Ref  ir_cholesky(Ir *ir, Ref a);
Ref  ir_solve(Ir *ir, Ref a, Ref b);
Ref  ir_logdet(Ir *ir, Ref a);
/* NULL, or what is wrong with the shapes of a call. */
const char *call_problem(const Ir *ir, Ref call);

/* ==== rewrite.c: substitution and traversal ================================= */

/* A scalar expression with symbols replaced by affine forms (reads keep their modes). */
Ref  ir_subst_syms(Ir *ir, Ref scalar, int n, const Sym *syms, const Aff *by);
/* A node with some array nodes replaced by others of the same shape, everywhere below. */
Ref  ir_subst_arrays(Ir *ir, Ref r, int n, const Ref *from, const Ref *to);
/* Every map and reduction below the roots with its body replaced by body(ir, it, its axes). */
void ir_rewrite_bodies(Ir *ir, int n, Ref *roots, Ref (*body)(Ir *ir, Ref body, int ndims, const int64_t *dims));
/* Every array below the roots replaced by array(ir, it), which has its shape. */
void ir_rewrite_arrays(Ir *ir, int n, Ref *roots, Ref (*array)(Ir *ir, Ref array));
/* A node like r with other arguments and indices; a carry or loop of the given number. */
Ref  ir_remake(Ir *ir, Ref r, const Ref *args, const Index *ix, uint32_t loop);
/* A node like r with its arguments replaced, memo[a] for a. */
Ref  ir_remade(Ir *ir, Ref r, const Ref *memo);
/* Free symbols of a scalar expression, sorted; returns the count (<= cap). */
int  ir_free_syms(const Ir *ir, Ref scalar, Sym *out, int cap);
/* Calls f on every distinct node reachable from roots, arguments first. */
void ir_walk(const Ir *ir, int n, const Ref *roots, void (*f)(void *ctx, Ref r), void *ctx);
bool ir_depends(const Ir *ir, Ref r, Ref on);
/* About how many elements are computed for r, all iterations of loops included. */
double ir_work(const Ir *ir, Ref r);

/* ==== contract.c ============================================================ */

/* Sums of products of arrays become contractions where that pays; for functions of one replica. */
void ir_match_contractions(Ir *ir, int n, Ref *roots);

/* ==== share.c ============================================================= */

/* What an argument of a call holds anyway is read there, not computed again. */
void ir_share_maps(Ir *ir, int n, Ref *roots);
/* Does the read name each of the axes 0 … naxes-1 once, and nothing else?  order[i]: which one is
 * its index i. */
bool ir_read_order(const Ir *ir, Ref read, int naxes, int *order);

/* ==== signs.c =============================================================== */

/* Are all elements of the array provably +1 or -1, when those of the known arrays are? */
bool ir_is_signs(const Ir *ir, Ref array, int nknown, const Ref *known);

/* ==== merge.c =============================================================== */

/* Maps that one body reads once, at its own point, become part of it. */
void ir_merge_maps(Ir *ir, int n, Ref *roots);

/* ==== simplify.c ============================================================ */

/* Algebraic identities applied by the constructors above. */
Ref  simplify_node(Ir *ir, Op op, int n, const Ref *args);
/* Sum over an axis of a term that is non-zero at one point only (`if x == t`). */
Ref  simplify_reduce(Ir *ir, Op op, int rank, int nred, const int64_t *dims, Ref body);
/* Normal form of sums (like terms merged, common factors taken out) and fused
 * multiply-add; for every executor, so that all round alike. Keeps shapes. */
void simplify_roots(Ir *ir, int n, Ref *roots);

/* ==== diff.c ================================================================ */

typedef struct DiffError { Ref node; const char *why; } DiffError;
/* d(sum of all elements of seed*root)/d(wrt[i]); root a real array, seed an array of the
 * same shape or 0 for 1.  out[i] has the shape of wrt[i]. False: err says what cannot be
 * differentiated. */
bool ir_grad(Ir *ir, Ref root, Ref seed, int n, const Ref *wrt, Ref *out, DiffError *err);

/* ==== func.c: a function of arrays, the unit that executors run =============== */

typedef struct IrFunc {
    const char *name;
    Ref *in;  int nin;       /* AR_INPUT nodes */
    Ref *out; int nout;
    Ir  *ir;
    bool single;             /* precision, see below */
    Ref *signs; int nsigns;  /* inputs whose elements are +1 or -1 */
    bool whole;              /* of one replica: sums of products are contractions (contract.c) */
} IrFunc;

/* signs.c: the same of any array of a function, in its loops too, by IrFunc.signs. */
bool ir_holds_signs(const IrFunc *f, Ref array);

/* ==== single precision, part of the meaning ====================================
 * In a function that is `single`, arrays of rank >= 1 hold single precision numbers, all
 * but constants and uniform inputs; numbers (rank 0) are double.  What becomes an element
 * of such an array is rounded to it.  The body of a map of rank >= 1, and that of any
 * reduction, is evaluated in single precision: constants, indices, uniform random numbers and what
 * is read are rounded, normal random numbers are those of single precision (philox.h), and so is the result of each operation; fma rounds once; the functions
 * of vmath_list.h have a text in single precision, others are the double ones, rounded.
 * Terms are accumulated in double precision. */

static inline float single_of(double x) { return (float)x; }
/* A uniform number stays below 1. */
static inline float single_of_random(double x) {
    float most = 0x1.fffffep-1f, s = (float)x;
    return s < most ? s : most;
}
/* Are the elements of an array of this function single precision numbers? */
static inline bool ir_is_single(const IrFunc *f, Ref array) {
    const Node *n = NODE(f->ir, array);
    return f->single && n->rank > 0 && n->op != AR_CONST && !(n->op == AR_INPUT && n->uniform);
}

/* ==== print.c, verify.c ===================================================== */

const char *op_name(Op op);
int  op_arity(Op op);
const char *op_vmath(Op op);
int  op_cost(Op op);
double op_value(Op op, double a, double b, double c);    /* by ops.def */
float op_value_single(Op op, float a, float b, float c);
void ir_print_func(const IrFunc *f, FILE *out);
void ir_print_scalar(const Ir *ir, Ref r, Text *out);
/* NULL when the function obeys every rule of this header, else what is wrong. */
const char *ir_verify(const IrFunc *f);

/* ==== the order of reductions, part of the meaning ============================
 * The last axis, of extent n, is cut into reduce_parts(n) equal parts; each is
 * accumulated in order from the identity, and the parts are combined by halves:
 * of eight, part i with part i + 4, the results i with i + 2, then 0 with 1.  That is the row
 * value, and with one reduced axis the result.  Otherwise rows are accumulated in
 * row-major order into the total of a band, from the identity: the first reduced
 * axis, of extent m, is cut into reduce_bands(m) equal bands.  The totals of the
 * bands are accumulated in order, from the identity.
 *
 * So a row is summed alike by one lane that goes along it and by lanes that go along
 * a part each; and bands can be summed by different threads.  Only extents matter. */

enum { REDUCE_PARTS = 8, REDUCE_BANDS = 64, REDUCE_BAND_ROWS = 8 };

/* Eight where that cuts n evenly, else four, else one. */
static inline int64_t reduce_parts(int64_t n) {
    return row_parts(n);
}
/* The largest power of two that cuts m evenly, into bands of at least eight rows. */
static inline int64_t reduce_bands(int64_t m) {
    int64_t bands = 1;
    while (bands < REDUCE_BANDS && m % (2 * bands) == 0 && m / (2 * bands) >= REDUCE_BAND_ROWS) bands *= 2;
    return bands;
}

/* ==== interp.c: the meaning of a program ==================================== */

typedef struct RandKey { uint32_t seed, chain, step; } RandKey;

/* Runs f for one replica: in[i], out[i] are row-major arrays, of single precision numbers
 * where ir_is_single. */
void interp_call(const IrFunc *f, const double *const *in, double *const *out, RandKey key);
/* Did a call need a library that is not installed?  There was a message then, and its result is nan. */
bool interp_is_incomplete(void);

#endif
