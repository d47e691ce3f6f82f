/* ir.c — construction of the array IR: interned affine forms and hash-consed
 * nodes.  Equal computations get the same Ref; nothing is ever changed. */
#include "ir.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(Node) <= 48, "nodes stay small");

Ir *ir_new(void) {
    Ir *ir = lq_alloc(sizeof *ir);
    memset(ir, 0, sizeof *ir);
    ir->arena = arena_new();
    ir->table_cap = 1024;
    ir->table = lq_alloc(ir->table_cap * sizeof *ir->table);
    memset(ir->table, 0, ir->table_cap * sizeof *ir->table);
    ir->aff_cap = 256;
    ir->aff_table = lq_alloc(ir->aff_cap * sizeof *ir->aff_table);
    memset(ir->aff_table, 0, ir->aff_cap * sizeof *ir->aff_table);
    Node none = {0};
    vec_push(&ir->nodes, none);
    vec_push(&ir->affs, NULL);
    return ir;
}

void ir_free(Ir *ir) {
    if (!ir) return;
    vec_free(&ir->nodes);
    vec_free(&ir->args);
    vec_free(&ir->dims);
    vec_free(&ir->index);
    vec_free(&ir->affs);
    vec_free(&ir->consts), vec_free(&ir->recipes), vec_free(&ir->settings);
    vec_free(&ir->loops);
    vec_free(&ir->slot_names);
    vec_free(&ir->draw_at);
    free(ir->table);
    free(ir->aff_table);
    arena_free(ir->arena);
    free(ir);
}

uint32_t ir_fresh(Ir *ir) { return SYM_FREE + ir->next_free++; }

/* ---- affine forms ------------------------------------------------------------ */

static uint64_t aff_hash(const Affine *a) {
    uint64_t h = (uint64_t)a->k * 0x9e3779b97f4a7c15u + (uint64_t)a->n;
    for (int i = 0; i < a->n; i++)
        h = (h ^ a->t[i].sym ^ (uint64_t)a->t[i].c << 32) * 0xff51afd7ed558ccdu, h ^= h >> 29;
    return h;
}

static bool aff_equal(const Affine *a, const Affine *b) {
    if (a->k != b->k || a->n != b->n) return false;
    for (int i = 0; i < a->n; i++)
        if (a->t[i].sym != b->t[i].sym || a->t[i].c != b->t[i].c) return false;
    return true;
}

static void aff_grow(Ir *ir) {
    uint32_t cap = ir->aff_cap * 2;
    free(ir->aff_table);
    ir->aff_table = lq_alloc(cap * sizeof *ir->aff_table);
    memset(ir->aff_table, 0, cap * sizeof *ir->aff_table);
    ir->aff_cap = cap;
    for (int i = 1; i < ir->affs.n; i++) {
        uint32_t h = (uint32_t)aff_hash(ir->affs.data[i]) & (cap - 1);
        while (ir->aff_table[h]) h = (h + 1) & (cap - 1);
        ir->aff_table[h] = (Aff)i;
    }
}

static Aff aff_intern(Ir *ir, const Affine *a) {
    if (2u * (uint32_t)ir->affs.n > ir->aff_cap) aff_grow(ir);
    uint32_t h = (uint32_t)aff_hash(a) & (ir->aff_cap - 1);
    for (; ir->aff_table[h]; h = (h + 1) & (ir->aff_cap - 1))
        if (aff_equal(ir->affs.data[ir->aff_table[h]], a)) return ir->aff_table[h];
    size_t size = sizeof(Affine) + (size_t)a->n * sizeof(AffTerm);
    Affine *copy = arena_alloc(ir->arena, size);
    memcpy(copy, a, size);
    Aff id = (Aff)ir->affs.n;
    vec_push(&ir->affs, copy);
    return ir->aff_table[h] = id;
}

const Affine *aff_get(const Ir *ir, Aff a) { return ir->affs.data[a]; }

Aff aff_const(Ir *ir, int64_t k) {
    Affine a = {.k = k, .n = 0};
    return aff_intern(ir, &a);
}

/* Room for one affine form with n terms on the stack. */
#define AFFINE_BUFFER(name, n)                                             \
    _Alignas(Affine) char name##_bytes[sizeof(Affine) + (size_t)(n) * sizeof(AffTerm)]; \
    Affine *name = (Affine *)name##_bytes

Aff aff_sym(Ir *ir, Sym s) {
    AFFINE_BUFFER(a, 1);
    a->k = 0, a->n = 1, a->t[0] = (AffTerm){s, 1};
    return aff_intern(ir, a);
}

Aff aff_add(Ir *ir, Aff x, Aff y) {
    const Affine *p = aff_get(ir, x), *q = aff_get(ir, y);
    AFFINE_BUFFER(r, p->n + q->n + 1);
    r->k = p->k + q->k, r->n = 0;
    for (int i = 0, j = 0; i < p->n || j < q->n;) {
        AffTerm t;
        if (j == q->n || (i < p->n && p->t[i].sym < q->t[j].sym)) t = p->t[i++];
        else if (i == p->n || q->t[j].sym < p->t[i].sym) t = q->t[j++];
        else t = (AffTerm){p->t[i].sym, p->t[i].c + q->t[j].c}, i++, j++;
        if (t.c) r->t[r->n++] = t;
    }
    return aff_intern(ir, r);
}

Aff aff_scale(Ir *ir, Aff x, int64_t c) {
    const Affine *p = aff_get(ir, x);
    if (c == 0) return aff_const(ir, 0);
    AFFINE_BUFFER(r, p->n + 1);
    r->k = p->k * c, r->n = p->n;
    for (int i = 0; i < p->n; i++) r->t[i] = (AffTerm){p->t[i].sym, p->t[i].c * c};
    return aff_intern(ir, r);
}

Aff aff_shift(Ir *ir, Aff a, int64_t k) { return k ? aff_add(ir, a, aff_const(ir, k)) : a; }

int64_t aff_coef(const Ir *ir, Aff a, Sym s) {
    const Affine *p = aff_get(ir, a);
    for (int i = 0; i < p->n; i++)
        if (p->t[i].sym == s) return p->t[i].c;
    return 0;
}

bool aff_is_const(const Ir *ir, Aff a, int64_t *k) {
    const Affine *p = aff_get(ir, a);
    if (p->n == 0 && k) *k = p->k;
    return p->n == 0;
}

Aff aff_subst(Ir *ir, Aff a, int n, const Sym *syms, const Aff *by) {
    const Affine *p = aff_get(ir, a);
    bool touched = false;
    for (int i = 0; i < p->n && !touched; i++)
        for (int j = 0; j < n; j++) touched |= p->t[i].sym == syms[j];
    if (!touched) return a;
    Aff r = aff_const(ir, p->k);
    int terms = p->n;
    for (int i = 0; i < terms; i++) {
        AffTerm t = aff_get(ir, a)->t[i];
        Aff s = 0;
        for (int j = 0; j < n && !s; j++)
            if (t.sym == syms[j]) s = by[j];
        r = aff_add(ir, r, aff_scale(ir, s ? s : aff_sym(ir, t.sym), t.c));
    }
    return r;
}

/* ---- hash consing ------------------------------------------------------------- */

/* What identifies a node, before it has a place in the pools. */
typedef struct Proto {
    Node n;
    const Ref *args;
    const int64_t *dims;
    const Index *index;
} Proto;

static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0xff51afd7ed558ccdu;
    return h ^ h >> 31;
}

static uint64_t proto_hash(const Proto *p) {
    uint64_t bits;
    memcpy(&bits, &p->n.val, 8);
    uint64_t h = mix(mix(p->n.op, p->n.aux), bits);
    h = mix(h, p->n.rank | (uint64_t)p->n.nred << 8 | (uint64_t)p->n.nargs << 16 | (uint64_t)p->n.nidx << 48);
    for (uint32_t i = 0; i < p->n.nargs; i++) h = mix(h, p->args[i]);
    for (int i = 0; i < p->n.rank + p->n.nred; i++) h = mix(h, (uint64_t)p->dims[i]);
    for (int i = 0; i < p->n.nidx; i++)
        h = mix(mix(h, p->index[i].aff | (uint64_t)p->index[i].mode << 32), (uint64_t)p->index[i].n);
    return h;
}

static Proto node_proto(const Ir *ir, Ref r) {
    const Node *n = NODE(ir, r);
    return (Proto){*n, ir->args.data + n->args, ir->dims.data + n->dims, ir->index.data + n->idx};
}

static bool proto_equal(const Proto *a, const Proto *b) {
    const Node *x = &a->n, *y = &b->n;
    if (x->op != y->op || x->aux != y->aux || x->rank != y->rank || x->nred != y->nred ||
        x->nargs != y->nargs || x->nidx != y->nidx || memcmp(&x->val, &y->val, 8) != 0)
        return false;
    for (uint32_t i = 0; i < x->nargs; i++)
        if (a->args[i] != b->args[i]) return false;
    for (int i = 0; i < x->rank + x->nred; i++)
        if (a->dims[i] != b->dims[i]) return false;
    for (int i = 0; i < x->nidx; i++)
        if (a->index[i].aff != b->index[i].aff || a->index[i].mode != b->index[i].mode ||
            a->index[i].n != b->index[i].n)
            return false;
    return true;
}

static void table_grow(Ir *ir) {
    free(ir->table);
    ir->table_cap *= 2;
    ir->table = lq_alloc(ir->table_cap * sizeof *ir->table);
    memset(ir->table, 0, ir->table_cap * sizeof *ir->table);
    for (int r = 1; r < ir->nodes.n; r++) {
        Proto p = node_proto(ir, (Ref)r);
        uint32_t h = (uint32_t)proto_hash(&p) & (ir->table_cap - 1);
        while (ir->table[h]) h = (h + 1) & (ir->table_cap - 1);
        ir->table[h] = (Ref)r;
    }
}

static Ref node_intern(Ir *ir, Proto p) {
    if (2u * (uint32_t)ir->nodes.n > ir->table_cap) table_grow(ir);
    uint32_t h = (uint32_t)proto_hash(&p) & (ir->table_cap - 1);
    for (; ir->table[h]; h = (h + 1) & (ir->table_cap - 1)) {
        Proto q = node_proto(ir, ir->table[h]);
        if (proto_equal(&p, &q)) return ir->table[h];
    }
    p.n.args = (uint32_t)ir->args.n;
    for (uint32_t i = 0; i < p.n.nargs; i++) vec_push(&ir->args, p.args[i]);
    p.n.dims = (uint32_t)ir->dims.n;
    for (int i = 0; i < p.n.rank + p.n.nred; i++) vec_push(&ir->dims, p.dims[i]);
    p.n.idx = (uint32_t)ir->index.n;
    for (int i = 0; i < p.n.nidx; i++) vec_push(&ir->index, p.index[i]);
    Ref r = (Ref)ir->nodes.n;
    vec_push(&ir->nodes, p.n);
    return ir->table[h] = r;
}

/* ---- scalar nodes -------------------------------------------------------------- */

Ref ir_const(Ir *ir, double v) {
    if (v == 0) v = 0;                     /* one zero: -0.0 is not kept as a literal */
    return node_intern(ir, (Proto){.n = {.op = SC_CONST, .val = v}});
}

Ref ir_const_by_recipe(Ir *ir, uint32_t recipe, double v) {
    return node_intern(ir, (Proto){.n = {.op = SC_CONST, .val = v == 0 ? 0 : v, .aux = CONST_RECIPE + recipe}});
}

Ref ir_bool(Ir *ir, bool v) {
    return node_intern(ir, (Proto){.n = {.op = SC_CONST, .val = v, .boolean = 1, .aux = 1}});
}

static bool op_is_boolean(Op op) {
    switch (op) {
#define R 0
#define B 1
#define OP(id, name, arity, type, value, vm, cost) case SC_##id: return type;
#include "../../runtime/ops.def"
#undef OP
#undef R
#undef B
    default: return false;
    }
}

Ref ir_op(Ir *ir, Op op, int n, const Ref *args) {
    Ref simpler = simplify_node(ir, op, n, args);
    if (simpler) return simpler;
    Proto p = {.n = {.op = (uint16_t)op, .nargs = (uint32_t)n, .boolean = op_is_boolean(op)}, .args = args};
    if (op == SC_SELECT && n == 3) p.n.boolean = NODE(ir, args[1])->boolean;
    return node_intern(ir, p);
}

Ref ir_unary(Ir *ir, Op op, Ref a) { return ir_op(ir, op, 1, &a); }
Ref ir_binary(Ir *ir, Op op, Ref a, Ref b) { return ir_op(ir, op, 2, (Ref[]){a, b}); }
Ref ir_select(Ir *ir, Ref c, Ref a, Ref b) { return ir_op(ir, SC_SELECT, 3, (Ref[]){c, a, b}); }
Ref ir_fma(Ir *ir, Ref a, Ref b, Ref c) { return ir_op(ir, SC_FMA, 3, (Ref[]){a, b, c}); }

static int64_t floor_mod(int64_t a, int64_t n) { return ((a % n) + n) % n; }

/* A constant index is wrapped here, so that equal places are equal nodes. */
static Index index_fold(Ir *ir, Index ix, bool *odd) {
    int64_t k;
    *odd = false;
    if (ix.mode == IX_EXACT || ix.n < 1 || !aff_is_const(ir, ix.aff, &k)) return ix;
    if (ix.mode == IX_ZERO) {
        if (k >= 0 && k < ix.n) ix.mode = IX_EXACT;
        return ix;
    }
    int64_t in = floor_mod(k, ix.n);
    *odd = ix.mode == IX_ANTIPERIODIC && (((k - in) / ix.n) & 1);
    return (Index){aff_const(ir, in), IX_EXACT, ix.n};
}

Ref ir_idx(Ir *ir, Index ix) {
    bool odd;
    int64_t k;
    if (ix.mode == IX_ANTIPERIODIC) ix.mode = IX_PERIODIC;   /* a number has no sign to change */
    ix = index_fold(ir, ix, &odd);
    if (aff_is_const(ir, ix.aff, &k)) return ir_const(ir, (double)k);
    if (ix.mode == IX_EXACT || ix.mode == IX_ZERO) ix.n = 0, ix.mode = IX_EXACT;
    return node_intern(ir, (Proto){.n = {.op = SC_IDX, .nidx = 1}, .index = &ix});
}

Ref ir_inrange(Ir *ir, Aff a, int64_t n) {
    int64_t k;
    if (aff_is_const(ir, a, &k)) return ir_bool(ir, k >= 0 && k < n);
    Index ix = {a, IX_EXACT, n};
    return node_intern(ir, (Proto){.n = {.op = SC_INRANGE, .nidx = 1, .boolean = 1}, .index = &ix});
}

Ref ir_read(Ir *ir, Ref array, const Index *ix) {
    const Node *a = NODE(ir, array);
    int rank = a->rank;
    Index folded[IR_MAX_RANK];
    bool negative = false, outside = false;
    for (int i = 0; i < rank; i++) {
        bool odd;
        int64_t k;
        folded[i] = index_fold(ir, ix[i], &odd);
        negative ^= odd;
        outside |= folded[i].mode == IX_ZERO && aff_is_const(ir, folded[i].aff, &k);
    }
    if (outside) return a->boolean ? ir_bool(ir, false) : ir_const(ir, 0);
    /* A map of a constant is that constant, unless reads outside give zero. */
    double v;
    bool zero_mode = false;
    for (int i = 0; i < rank; i++) zero_mode |= folded[i].mode == IX_ZERO || folded[i].mode == IX_ANTIPERIODIC;
    if (a->op == AR_MAP && ir_is_const(ir, NARG(ir, array, 0), NULL) && (!zero_mode || (ir_is_literal(ir, NARG(ir, array, 0), &v) && v == 0)))
        return negative ? ir_unary(ir, SC_NEG, NARG(ir, array, 0)) : NARG(ir, array, 0);
    /* An array of rank 0 with a body free of axes is read by using the body. */
    if (a->op == AR_MAP && rank == 0 && NODE(ir, NARG(ir, array, 0))->op == SC_READ)
        return NARG(ir, array, 0);
    Ref r = node_intern(ir, (Proto){.n = {.op = SC_READ, .nargs = 1, .nidx = (uint16_t)rank, .boolean = a->boolean},
                                    .args = &array, .index = folded});
    return negative ? ir_unary(ir, SC_NEG, r) : r;
}

Ref ir_rand(Ir *ir, uint32_t draw, bool normal, Aff site, Aff iteration) {
    Index ix[2] = {{site, IX_EXACT, 0}, {iteration, IX_EXACT, 0}};
    return node_intern(ir, (Proto){.n = {.op = SC_RAND, .nidx = 2, .aux = draw << 1 | normal}, .index = ix});
}

/* ---- array nodes ---------------------------------------------------------------- */

Ref ir_input(Ir *ir, const char *name, int rank, const int64_t *dims, bool uniform, bool boolean) {
    uint32_t slot = (uint32_t)ir->slot_names.n;
    vec_push(&ir->slot_names, name);
    return node_intern(ir, (Proto){.n = {.op = AR_INPUT, .rank = (uint8_t)rank, .aux = slot,
                                         .uniform = uniform, .boolean = boolean}, .dims = dims});
}

Ref ir_const_array(Ir *ir, int rank, const int64_t *dims, const double *data) { return ir_const_array_from(ir, rank, dims, data, 0); }

Ref ir_const_array_from(Ir *ir, int rank, const int64_t *dims, const double *data, Ref source) {
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    for (int i = 0; i < ir->consts.n; i++)      /* the same data already there? */
        if (ir->consts.data[i].n == n && ir->consts.data[i].source == source && memcmp(ir->consts.data[i].data, data, (size_t)n * 8) == 0)
            return node_intern(ir, (Proto){.n = {.op = AR_CONST, .rank = (uint8_t)rank, .aux = (uint32_t)i,
                                                 .uniform = 1}, .dims = dims});
    double *copy = arena_alloc(ir->arena, (size_t)n * sizeof *copy);
    memcpy(copy, data, (size_t)n * sizeof *copy);
    ConstData c = {copy, n, source};
    vec_push(&ir->consts, c);
    return node_intern(ir, (Proto){.n = {.op = AR_CONST, .rank = (uint8_t)rank, .aux = (uint32_t)ir->consts.n - 1,
                                         .uniform = 1}, .dims = dims});
}

/* The array that a body merely copies, or 0. */
static Ref identity_of(const Ir *ir, int rank, const int64_t *dims, Ref body) {
    if (NODE(ir, body)->op != SC_READ) return 0;
    Ref a = NARG(ir, body, 0);
    if (NODE(ir, a)->rank != rank) return 0;
    for (int i = 0; i < rank; i++) {
        const Index *ix = NIDX(ir, body, i);
        const Affine *f = aff_get(ir, ix->aff);
        if (f->k || f->n != 1 || f->t[0].sym != (Sym)i || f->t[0].c != 1 || dims[i] != NDIM(ir, a, i)) return 0;
    }
    return a;
}

Ref ir_map(Ir *ir, int rank, const int64_t *dims, Ref body) {
    Ref same = identity_of(ir, rank, dims, body);
    if (same) return same;
    return node_intern(ir, (Proto){.n = {.op = AR_MAP, .rank = (uint8_t)rank, .nargs = 1,
                                         .boolean = NODE(ir, body)->boolean},
                                   .args = &body, .dims = dims});
}

Ref ir_reduce(Ir *ir, Op op, int rank, int nred, const int64_t *dims, Ref body) {
    if (nred == 0) return ir_map(ir, rank, dims, body);
    Ref simpler = simplify_reduce(ir, op, rank, nred, dims, body);
    if (simpler) return simpler;
    return node_intern(ir, (Proto){.n = {.op = AR_REDUCE, .rank = (uint8_t)rank, .nred = (uint8_t)nred,
                                         .nargs = 1, .aux = (uint32_t)op},
                                   .args = &body, .dims = dims});
}

/* ---- loops ---------------------------------------------------------------------- */

uint32_t ir_loop_new(Ir *ir, int64_t trip, Span at) {
    LoopInfo info = {trip, at};
    vec_push(&ir->loops, info);
    return (uint32_t)ir->loops.n - 1;
}

Ref ir_carry(Ir *ir, uint32_t loop, int which, Ref init) {
    int64_t dims[IR_MAX_RANK];
    const Node *a = NODE(ir, init);
    int rank = a->rank;
    bool boolean = a->boolean;
    for (int i = 0; i < rank; i++) dims[i] = NDIM(ir, init, i);
    return node_intern(ir, (Proto){.n = {.op = AR_CARRY, .rank = (uint8_t)rank, .nargs = 1, .aux = loop,
                                         .val = which, .boolean = boolean},
                                   .args = &init, .dims = dims});
}

Ref ir_loop(Ir *ir, uint32_t loop, int active, int ncarry, const Ref *init, const Ref *next) {
    Ref *args = lq_alloc(2 * (size_t)ncarry * sizeof *args);
    memcpy(args, init, (size_t)ncarry * sizeof *args);
    memcpy(args + ncarry, next, (size_t)ncarry * sizeof *args);
    Ref r = node_intern(ir, (Proto){.n = {.op = AR_LOOP, .nargs = 2 * (uint32_t)ncarry, .aux = loop, .val = active},
                                    .args = args});
    free(args);
    return r;
}

static Ref loop_result(Ir *ir, Op op, Ref loop, int which, int extra, int64_t trip) {
    Ref init = NARG(ir, loop, which);
    const Node *a = NODE(ir, init);
    int64_t dims[IR_MAX_RANK + 1] = {trip};
    for (int i = 0; i < a->rank; i++) dims[extra + i] = NDIM(ir, init, i);
    Proto p = {.n = {.op = (uint16_t)op, .rank = (uint8_t)(a->rank + extra), .nargs = 1, .aux = (uint32_t)which,
                     .boolean = a->boolean}, .args = &loop, .dims = dims};
    return node_intern(ir, p);
}

Ref ir_proj(Ir *ir, Ref loop, int which) {
    int ncarry = (int)NODE(ir, loop)->nargs / 2;
    uint32_t number = NODE(ir, loop)->aux;
    Ref init = NARG(ir, loop, which), next = NARG(ir, loop, ncarry + which);
    /* A carry that the body does not change is its initial value. */
    if (NODE(ir, next)->op == AR_CARRY && NODE(ir, next)->aux == number && (int)NODE(ir, next)->val == which)
        return init;
    return loop_result(ir, AR_PROJ, loop, which, 0, 0);
}

Ref ir_stack(Ir *ir, Ref loop, int which) {
    return loop_result(ir, AR_STACK, loop, which, 1, ir->loops.data[NODE(ir, loop)->aux].trip);
}

Ref ir_call(Ir *ir, CallKind kind, int nargs, const Ref *args, int rank, int nred, const int64_t *dims,
            int nidx, const Index *ix, int64_t val) {
    return node_intern(ir, (Proto){.n = {.op = AR_CALL, .rank = (uint8_t)rank, .nred = (uint8_t)nred, .nargs = (uint32_t)nargs,
                                         .nidx = (uint16_t)nidx, .aux = kind, .val = (double)val},
                                   .args = args, .index = ix, .dims = dims});
}

/* ---- questions -------------------------------------------------------------------- */

int64_t ir_elements(const Ir *ir, Ref array) {
    int64_t n = 1;
    for (int i = 0; i < NODE(ir, array)->rank; i++) n *= NDIM(ir, array, i);
    return n;
}

bool ir_is_array(const Ir *ir, Ref r) { return NODE(ir, r)->op >= AR_INPUT; }

bool ir_is_const(const Ir *ir, Ref r, double *v) {
    if (NODE(ir, r)->op != SC_CONST) return false;
    if (!v) return true;
    if (NODE(ir, r)->aux >= CONST_RECIPE) ir_fix((Ir *)ir, r);
    *v = NODE(ir, r)->val;
    return true;
}

void ir_aff_range(const Ir *ir, Aff a, int ndims, const int64_t *dims, int64_t *lo, int64_t *hi) {
    const Affine *f = aff_get(ir, a);
    *lo = *hi = f->k;
    for (int i = 0; i < f->n; i++) {
        Sym s = f->t[i].sym;
        int64_t n = (int64_t)1 << 40;          /* a symbol of unknown range */
        if (s < (Sym)ndims) n = dims[s];
        else if (s >= SYM_LOOP) n = ir->loops.data[s - SYM_LOOP].trip;
        int64_t reach = f->t[i].c * (n > 0 ? n - 1 : 0);
        if (reach > 0) *hi += reach;
        else *lo += reach;
    }
}
