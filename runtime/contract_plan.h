/* contract_plan.h — how a contraction is carried out; private to contract*.c.
 *
 * First, operands whose indices leave their array are copied, wrapped, into a larger one
 * (contract_wrap.c).  Then every address is linear in the axes, and the axes fall into four
 * groups: rows (in one operand only), columns (in the other only), reduced, and batch (in
 * both).  Of each batch entry a matrix product is made by tiles: a few rows by one to six
 * vectors of columns, accumulated in registers over a block of the reduced axes.  For each
 * k a tile reads vectors of the *vector operand* and single numbers of the *scalar operand*,
 * both at offsets taken from tables, so that tiles need not know whether a block has been
 * packed.  Products with few rows and columns are inner products of vectors along k.
 *
 * The order of summation: the reduced axes, in row-major order (backwards where the vector
 * operand goes backwards), are cut into equal blocks
 * of at most CT_BLOCK; a block is a chain of fused multiply-adds from 0; the sums of the
 * blocks are added in order.  Inner products: blocks of CT_DOT_BLOCK; CT_LANES numbers
 * are accumulated (element k by lane k mod CT_LANES) and added by halves. */
#ifndef LQFT_CONTRACT_PLAN_H
#define LQFT_CONTRACT_PLAN_H

#include "contract.h"

enum {
    CT_BLOCK = 256,      /* most of the reduced axes in a block */
    CT_ROWS = 64,        /* most rows in a block: packed, they stay in L2 */
    CT_COLUMNS = 960,    /* most columns in a block; a multiple of every panel */
    CT_TABLE = 4096,     /* offsets of groups up to this size are kept in the plan */
    CT_TILE_ROWS = 8,    /* most rows of a tile, on any machine */
    CT_PANEL = 6,        /* most vectors of a tile */
    CT_SLICE = 32 * 1024, /* least bytes of a slice */
    CT_WORK = 200000,    /* least multiply-adds that are shared among threads */
    CT_DOT_BLOCK = 4096,
    CT_DOT_ROWS = 4,     /* inner products made at a time */
    CT_LANES = 32        /* in double precision; twice as many in single */
};

/* An axis of extent n and its strides in bytes: in the scalar and vector operands, in out. */
typedef enum CtArray { CT_S, CT_V, CT_O } CtArray;
typedef struct CtAxis {
    int64_t n;
    int64_t by[3];
} CtAxis;

/* Axes, the last one fastest; of two arrays the offsets of all points, if they are few. */
typedef struct CtGroup {
    int rank;
    CtAxis ax[LQ_AXES];
    int64_t n;
    CtArray which[2];
    int64_t *table[2];
} CtGroup;

/* ---- kernels (contract_kernels.c) ------------------------------------------------- */

/* R rows by W vectors: out[r][·] = (add ? out[r][·] : 0) + sum over k < n of s[r][k]*v[k][·]. */
typedef struct CtTile {
    const char *s, *v;
    const int64_t *rows, *ks, *kv;   /* offsets: of a row in s; of k in s and in v */
    int64_t n;
    char *out;
    const int64_t *out_rows;
    bool add;
} CtTile;
typedef void CtTileKernel(const CtTile *t);

/* Inner products of R rows with x: out[r] += sum over k < n. */
typedef void CtDotKernel(const char *const *rows, const char *x, int64_t n, char *out);
/* panel[k][j] = source[kv[k] + j], j < width (a multiple of a vector), k < n. */
typedef void CtCopyKernel(char *panel, int64_t step, const char *source, const int64_t *kv, int64_t n, int width);
/* panel[k][j] = source[columns[j] + k], j < width (a multiple of a vector), k < n. */
typedef void CtTurnKernel(char *panel, int64_t step, const char *source, const int64_t *columns, int64_t n, int width);

typedef struct CtMachine {
    int lanes;               /* elements of a vector */
    int tile_rows, panel;    /* largest tile of many rows */
    CtTileKernel *tile[CT_TILE_ROWS][CT_PANEL];   /* [R-1][W-1]; where it is NULL there is none */
    CtDotKernel *dot[CT_DOT_ROWS];
    CtCopyKernel *copy;
    CtTurnKernel *turn;
} CtMachine;

/* Those that this CPU can run, the best one first: number i, NULL after the last. */
const CtMachine *ct_machine(bool single, int i);

/* ---- wrapping (contract_wrap.c) ------------------------------------------------------ */

typedef struct CtWrap CtWrap;

/* Strides in bytes of an operand along each axis, and the offset of its first element; if
 * indices wrap, those of a copy, which *wrap makes (else NULL). */
void ct_wrap_plan(const LqOperand *o, int naxes, const int64_t *ext, size_t element, int64_t *base, int64_t *by, CtWrap **wrap);
size_t ct_wrap_bytes(const CtWrap *w);
void ct_wrap(const CtWrap *w, const void *from, void *to);
void ct_wrap_free(CtWrap *w);

/* ---- the plan -------------------------------------------------------------------------- */

struct LqContractPlan {
    const CtMachine *machine;
    bool single;
    int64_t element;
    int64_t out_n;           /* elements of out */
    double times;            /* factor of reduced axes that neither operand has */
    bool zero;               /* nothing to add up */
    CtWrap *wrap[2];         /* of a and b */
    bool a_is_vector;
    int64_t base[2];         /* first element of the scalar and the vector operand, in bytes */
    CtAxis slices;           /* an axis whose points are done one by one; strides of a, b, out */
    int64_t sliced[2];       /* bytes from slice to slice of an operand that is copied by slices, */
    int64_t slice_base[2];   /* and of its first slice */
    CtGroup rows, columns, reduced, batch;
    /* The extent of the first axis of out, and how many rows, or batch entries of the slices, make a
     * point of it; 0: not these. */
    int64_t first, row_rows, row_entries;
    bool dot;
    int64_t block;           /* of the reduced axes */
    bool pack_s, pack_v;
    bool packed_by_k;        /* a packed tile of the scalar operand is [k][row], else [row][k] */
    int64_t column_block;
    int64_t panel_step;      /* bytes from k to k + 1 in a packed panel */
    int panel;               /* most vectors in a panel */
    int64_t *packed_rows, *packed_ks, *packed_kv; /* offsets in packed blocks */
    int64_t packed_bytes;    /* of a packed block of the scalar operand */
    bool pack_once;          /* all of the scalar operand is packed before */
    int workers;             /* most threads; the rest of the scratch memory is for each of them */
    size_t at_workers, worker_bytes, bytes;
    size_t at_wrap[2], at_s, at_v, at_tile, at_offsets;
};

LqContractPlan *ct_plan(const LqContraction *c, const CtMachine *machine);

/* Offsets of the points first … first + n - 1 of a group, for one of its two arrays. */
const int64_t *ct_offsets(const CtGroup *g, int which, int64_t first, int64_t n, int64_t *room);

#endif
