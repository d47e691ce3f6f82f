/* llvm_nest.c — a kernel as a loop nest.
 *
 * A kernel of rank R is R nested loops.  Level l of a nest is inside the loops of
 * axes 0 … l-1; level R is the point.  Every value and every part of an address is
 * emitted at the level of the deepest axis it depends on, so that rows are found
 * once per row.  The innermost loop is cut into segments in which every index that
 * turns round with the innermost axis alone is affine: no division, no select. */
#include "llvm_emit.h"

#include <stdlib.h>

enum { MOST_PHASES = 64, MOST_UNROLLED = 8, MOST_UNROLLED_NODES = 64 };

/* ---- scalar nodes ------------------------------------------------------------ */

/* Does the kernel leave out points of this axis, which is not the innermost one? */
static bool steps_over(const Nest *z, int axis) {
    const KOnly *only = &z->k->only;
    return only->test && !only->everywhere && only->axis == axis && axis < z->k->rank - 1;
}

/* What restricts the kernel is true wherever it is evaluated, when no other points are. */
static bool is_known_test(const Nest *z, Ref r) {
    return r == z->k->only.test && (z->step > 1 || steps_over(z, z->k->only.axis));
}

/* Does the node differ from lane to lane, since lanes are sites? */
static bool across_lanes(const Nest *z, Ref r) {
    return ll_lane_coef(z, NIDX(z->f->p->ir, r, 0)->aff) != 0;
}

static Val emit_index_of(Nest *z, Index ix, int level) {
    Unit *u = z->f->u;
    Place p = {0};
    if (ix.mode == IX_PERIODIC || ix.mode == IX_ANTIPERIODIC) p = ll_place(z, &ix);
    ll_at_level(z, level);
    Val at = p.at ? p.at : ll_affine_value(z, aff_get(z->f->p->ir, ix.aff), p.shift);
    return LLVMBuildSIToFP(u->b, at, u->f64, "");      /* exact */
}

static Val emit_in_range(Nest *z, Index ix) {
    const Affine *a = aff_get(z->f->p->ir, ix.aff);
    return ll_in_range(z, a, ll_affine_range(z, a), ix.n);
}

/* c*(sites before lane l), by lane. */
static Val lane_starts(Nest *z, int64_t c) {
    Val lane[REDUCE_PARTS];
    for (int l = 0; l < (int)z->f->u->lanes; l++) lane[l] = l_double(z->f->u, (double)(c * l * z->apart));
    return LLVMConstVector(lane, z->f->u->lanes);
}

/* An index as a double, or a range test. */
static Val index_value(Nest *z, Ref r, int level) {
    Unit *u = z->f->u;
    Ir *ir = z->f->p->ir;
    bool test = NODE(ir, r)->op == SC_INRANGE;
    Index ix = *NIDX(ir, r, 0);
    if (!across_lanes(z, r)) return test ? emit_in_range(z, ix) : emit_index_of(z, ix, level);
    if (!test && ix.mode != IX_PERIODIC && ix.mode != IX_ANTIPERIODIC) {
        Val first = ll_as_vector(u, emit_index_of(z, ix, level));
        return LLVMBuildFAdd(u->b, first, lane_starts(z, ll_lane_coef(z, ix.aff)), "");
    }
    Val lane[REDUCE_PARTS];
    for (unsigned l = 0; l < u->lanes; l++) {
        ll_lane_indices(z, r, l, &ix);
        lane[l] = test ? emit_in_range(z, ix) : emit_index_of(z, ix, level);
    }
    return ll_from_lanes(u, lane);
}

static Val emit_index(Nest *z, Ref r, int level) {
    Val v = index_value(z, r, level);
    return l_is_truth(v) ? v : l_convert(z->f->u, v, z->f->u->real);
}

/* ---- random numbers -------------------------------------------------------------------------- */

/* Do lanes follow each other along the row?  It is drawn in its order then, as if by one lane. */
static bool lanes_follow(const Nest *z) { return z->mode == LANES_ROW || (z->mode == LANES_PARTS && z->apart == 1); }
static unsigned drawn_lanes(const Nest *z) { return lanes_follow(z) ? 1 : z->f->u->lanes; }
/* Points of a row that one of these lanes has. */
static int64_t drawn_length(const Nest *z) { return z->mode == LANES_PARTS && lanes_follow(z) ? z->length * z->f->u->lanes : z->length; }
static int64_t row_points(const Nest *z) { return (drawn_length(z) + z->step - 1) / z->step; }

/* May a whole row be drawn by one call?  When sites follow each other along it. */
static bool draws_row(const Nest *z, Ref r) {
    const Ir *ir = z->f->p->ir;
    int inner = z->k->rank - 1;
    if (NODE(ir, r)->op != SC_RAND || z->f->level[r] != z->k->rank) return false;
    return aff_coef(ir, NIDX(ir, r, 0)->aff, (Sym)inner) == 1 && aff_coef(ir, NIDX(ir, r, 1)->aff, (Sym)inner) == 0 &&
           (z->mode == LANES_PARTS || z->mode == LANES_ROW || !z->f->u->sites) && row_points(z) * drawn_lanes(z) <= MAX_ROW &&
           (z->step == 1 || z->step < z->length);
}

/* Short rows whose sites follow each other: so many are drawn by one call, which costs the
 * less the more it draws; they stay in the nearest cache. */
static int64_t rows_together(const Nest *z, Ref r) {
    const Ir *ir = z->f->p->ir;
    int inner = z->k->rank - 1, axis = inner - 1;
    int64_t row = drawn_length(z) * drawn_lanes(z), rows = 1;
    bool together = !z->f->u->sites || (z->mode == LANES_PARTS && lanes_follow(z));
    if (axis < 0 || z->k->only.test || !together || (axis == 0 && (z->sweep || z->from))) return 1;
    if (aff_coef(ir, NIDX(ir, r, 0)->aff, (Sym)axis) != z->k->ext[inner] || aff_coef(ir, NIDX(ir, r, 1)->aff, (Sym)axis)) return 1;
    while (2 * rows * row <= NEAR_ROWS && z->k->ext[axis] % (2 * rows) == 0) rows *= 2;
    return rows;
}

/* Into the slot; returns where the numbers of this row are. */
static Val draw_row(Nest *z, Ref r, Val slot) {
    Func *f = z->f;
    Unit *u = f->u;
    Ir *ir = f->p->ir;
    LLVMTypeRef type = ll_drawn_number(u, NODE(ir, r)->aux);
    int64_t rows = rows_together(z, r), row = drawn_length(z) * drawn_lanes(z);
    Val place = slot;
    BasicBlock after = NULL;
    l_goto_end(u, z->here);
    if (rows > 1) {
        Val number = LLVMBuildAnd(u->b, z->axis[z->k->rank - 2], l_int(u, rows - 1), "");
        BasicBlock draw = l_block(f, "draw");
        after = l_block(f, "row");
        place = l_at_number(u, type, slot, l_mul(u, number, row));
        LLVMBuildCondBr(u->b, l_compare(u, LLVMIntEQ, number, l_int(u, 0)), draw, after);
        l_goto_end(u, z->here = draw);
    }
    Val site = ll_affine_value(z, aff_get(ir, NIDX(ir, r, 0)->aff), 0);
    Val iteration = ll_affine_value(z, aff_get(ir, NIDX(ir, r, 1)->aff), 0);
    ll_fill_random(f, NODE(ir, r)->aux, slot, site, z->step, rows > 1 ? rows * drawn_length(z) : row_points(z), iteration, drawn_lanes(z),
                   z->mode == LANES_PARTS && !lanes_follow(z) ? z->apart : 0);
    if (!after) return place;
    LLVMBuildBr(u->b, after);
    l_goto_end(u, z->here = after);
    return place;
}

/* Before the innermost loop, which stands at its first point: draws its random numbers. */
static void draw_rows(Nest *z) {
    Func *f = z->f;
    int inner = z->k->rank - 1;
    z->axis[inner] = z->phase;
    z->ndrawn = 0;
    for (int i = 0; i < f->order.n && z->ndrawn < LQ_COUNT(z->drawn); i++) {
        Ref r = f->order.data[i];
        if (!draws_row(z, r)) continue;
        l_goto_end(f->u, z->here);
        Val *slot = &f->row_slot[z->ndrawn];
        if (!*slot) *slot = l_alloca(f, LLVMArrayType2(f->u->f64, MAX_ROW), "drawn");
        z->drawn_at[z->ndrawn] = draw_row(z, r, *slot);
        z->drawn[z->ndrawn++] = r;
    }
}

/* Iterations that differ from lane to lane. */
static Val random_by_lane(Nest *z, Ref r) {
    Ir *ir = z->f->p->ir;
    Index ix[2];
    Val lane[REDUCE_PARTS];
    for (unsigned l = 0; l < z->f->u->lanes; l++) {
        ll_lane_indices(z, r, l, ix);
        Val site = ll_affine_value(z, aff_get(ir, ix[0].aff), 0), iteration = ll_affine_value(z, aff_get(ir, ix[1].aff), 0);
        lane[l] = ll_random(z->f, NODE(ir, r)->aux, site, iteration, 1, 0);
    }
    return ll_from_lanes(z->f->u, lane);
}

static Val emit_random(Nest *z, Ref r) {
    Unit *u = z->f->u;
    Ir *ir = z->f->p->ir;
    for (int i = 0; i < z->ndrawn; i++) {
        if (z->drawn[i] != r) continue;
        bool alone = u->sites && z->mode == LANES_ALIKE, row = alone || z->mode == LANES_ROW;
        Val point = z->axis[z->k->rank - 1];
        if (z->step > 1) point = LLVMBuildUDiv(u->b, point, l_int(u, z->step), "");
        LLVMTypeRef number = ll_drawn_number(u, NODE(ir, r)->aux), type = alone || u->lanes == 1 ? number : LLVMVectorType(number, u->lanes);
        Val p = l_at_number(u, number, z->drawn_at[i], l_mul(u, point, row ? 1 : u->lanes));
        return ll_drawn(z->f, NODE(ir, r)->aux, l_load(u, type, p, number == u->f32 ? 4 : row ? 8 : u->align));
    }
    if (ll_lane_coef(z, NIDX(ir, r, 1)->aff)) return random_by_lane(z, r);
    Val site = ll_affine_value(z, aff_get(ir, NIDX(ir, r, 0)->aff), 0);
    Val iteration = ll_affine_value(z, aff_get(ir, NIDX(ir, r, 1)->aff), 0);
    int64_t apart = z->apart * ll_lane_coef(z, NIDX(ir, r, 0)->aff);
    return ll_random(z->f, NODE(ir, r)->aux, site, iteration, u->sites && !apart ? 1 : u->lanes, apart);
}

Val ll_node(Nest *z, Ref r) {
    Func *f = z->f;
    Ir *ir = f->p->ir;
    const Node *n = NODE(ir, r);
    int level = f->level[r];
    const KKept *kept = ll_kept(z, r);
    if (is_known_test(z, r)) return l_bool(f->u, true);
    if (kept) return ll_kept_value(z, kept);
    const KTable *table = ll_table(z, r);
    if (table) return ll_looked_up(z, table, level);
    Val closing = ll_closing_value(z, r);
    if (closing) return closing;
    ll_at_level(z, level);
    switch (n->op) {
    case SC_CONST: return n->boolean ? l_bool(f->u, n->val != 0) : ir_recipe(ir, r) ? ll_setting(f, r) : l_real(f->u, n->val);
    case SC_IDX: case SC_INRANGE: return emit_index(z, r, level);
    case SC_READ:  return ll_read(z, r, level);
    case SC_RAND:  return emit_random(z, r);
    default: break;
    }
    if (n->op >= SC_CONST || n->nargs > 3) return ll_wrong(f->u, "a node that is not scalar"), l_real(f->u, 0);
    Val args[3];
    for (uint32_t i = 0; i < n->nargs; i++) args[i] = f->value[NARG(ir, r, i)];
    return ll_op(f, (Op)n->op, args, (int)n->nargs);
}

/* ---- the scalar nodes of a kernel, in order ------------------------------------------------ */

uint8_t ll_node_level(const Nest *z, Ref r) {
    const Func *f = z->f;
    const Ir *ir = f->p->ir;
    const Node *n = NODE(ir, r);
    int level = 0;
    const KTable *table = ll_table(z, r);
    if (kernel_kept(z->k, r)) return (uint8_t)z->k->rank;
    for (int i = 0; table && i < table->nbase; i++)
        if (f->level[table->base[i]] > level) level = f->level[table->base[i]];
    if (table) return (uint8_t)level;
    for (int i = 0; i < n->nidx; i++) {
        int l = ll_affine_level(z, aff_get(ir, NIDX(ir, r, i)->aff));
        if (l > level) level = l;
    }
    for (uint32_t i = 0; i < n->nargs && n->op != SC_READ; i++)
        if (f->level[NARG(ir, r, i)] > level) level = f->level[NARG(ir, r, i)];
    return (uint8_t)level;
}

/* Appends the nodes below a root to f->order, operands first.  Expressions may be
 * deeper than the C stack, hence the work list. */
static void order_root(Nest *z, Ref root) {
    Func *f = z->f;
    const Ir *ir = f->p->ir;
    VEC(Ref) stack = {0};
    vec_push(&stack, root);
    while (stack.n) {
        Ref r = stack.data[stack.n - 1];
        if (f->seen[r] == f->stamp) {                   /* operands are done */
            f->seen[r]++;
            f->level[r] = is_known_test(z, r) ? 0 : ll_node_level(z, r);
            vec_push(&f->order, r);
        }
        if (f->seen[r] > f->stamp) {
            stack.n--;
            continue;
        }
        f->seen[r] = f->stamp;
        const Node *n = NODE(ir, r);
        const KTable *table = ll_table(z, r);
        bool leaf = n->op == SC_READ || ll_kept(z, r) || is_known_test(z, r) || table;
        for (int i = 0; table && i < table->nbase; i++)
            if (f->seen[table->base[i]] < f->stamp) vec_push(&stack, table->base[i]);
        for (int i = (int)n->nargs - 1; i >= 0 && !leaf; i--)
            if (f->seen[NARG(ir, r, i)] < f->stamp) vec_push(&stack, NARG(ir, r, i));
    }
    vec_free(&stack);
}

/* Even: behind so many elementary functions that branch; odd: such a function, so that
 * those of one phase do not wait for each other. */
static uint16_t phase_of(const Nest *z, Ref r) {
    const Func *f = z->f;
    const Node *n = NODE(f->p->ir, r);
    int phase = 0;
    if (n->op == SC_READ || ll_kept(z, r) || ll_table(z, r) || is_known_test(z, r)) return 0;
    for (uint32_t i = 0; i < n->nargs; i++)
        if (f->phase[NARG(f->p->ir, r, i)] > phase) phase = f->phase[NARG(f->p->ir, r, i)];
    bool branches = f->level[r] == z->k->rank && ll_math_branches((Op)n->op);
    if (phase % 2) phase += branches ? 2 : 1;
    else phase += branches;
    return phase > UINT16_MAX - 2 ? UINT16_MAX - 2 : (uint16_t)phase;
}

/* What is plain waits until it is wanted: little is alive across a branch. */
static void sink_plain(Nest *z, int last) {
    Func *f = z->f;
    const Ir *ir = f->p->ir;
    uint16_t *wanted = lq_alloc((size_t)f->order.n * sizeof *wanted);     /* by position in order */
    uint16_t end = (uint16_t)(last + last % 2);
    for (int i = 0; i < f->order.n; i++) wanted[i] = end, f->place[f->order.data[i]] = (uint32_t)i;
    for (int i = f->order.n - 1; i >= 0; i--) {
        Ref r = f->order.data[i];
        if (f->phase[r] % 2 == 0) f->phase[r] = wanted[i];
        if (NODE(ir, r)->op == SC_READ || ll_kept(z, r)) continue;
        uint16_t by = (uint16_t)(f->phase[r] - f->phase[r] % 2);
        for (uint32_t k = 0; k < NODE(ir, r)->nargs; k++) {
            uint16_t *w = &wanted[f->place[NARG(ir, r, (int)k)]];
            if (*w > by) *w = by;
        }
    }
    free(wanted);
}

/* Functions that branch stand together where they can. */
static void order_by_phase(Nest *z) {
    Func *f = z->f;
    int last = 0, n = 0;
    for (int i = 0; i < f->order.n; i++) {
        Ref r = f->order.data[i];
        f->phase[r] = phase_of(z, r);
        if (f->phase[r] > last) last = f->phase[r];
    }
    if (last < 1 || last > MOST_PHASES) return;
    sink_plain(z, last);
    last += last % 2;
    Ref *sorted = lq_alloc((size_t)f->order.n * sizeof *sorted);
    for (int p = 0; p <= last; p++)
        for (int i = 0; i < f->order.n; i++)
            if (f->phase[f->order.data[i]] == p) sorted[n++] = f->order.data[i];
    memcpy(f->order.data, sorted, (size_t)n * sizeof *sorted);
    free(sorted);
}

static void order_nodes(Nest *z) {
    Func *f = z->f;
    f->order.n = 0;
    f->stamp += 2;
    for (int i = 0; i < z->k->nroots; i++) order_root(z, z->k->roots[i].expr);
    for (int i = 0; i < z->k->nkept; i++) order_root(z, z->filling ? z->k->kept[i].before : z->k->kept[i].here);
    order_by_phase(z);
}

/* ---- roots --------------------------------------------------------------------------------------- */

/* A buffer that is not split: the lanes lie apart. */
static void store_lanes(Nest *z, int buf, Val v, Val address, int64_t apart) {
    Unit *u = z->f->u;
    v = ll_as_vector(u, v);
    for (unsigned l = 0; l < u->lanes; l++)
        l_store(u, LLVMBuildExtractElement(u->b, v, l_int32(u, l), ""), buf_at(z->f, buf, address, l_int(u, l * apart)), (unsigned)buf_bytes(z->f, buf));
}

static void store_root(Nest *z, const KRoot *root, Val v, int naxes) {
    Func *f = z->f;
    Unit *u = f->u;
    bool split = buf_split(f, root->buf), own = naxes == z->k->rank;
    bool row = z->mode == LANES_PARTS && own && (split || !lanes_follow(z));
    bool along = (own && lanes_follow(z) && !row) || z->mode == LANES_KEPT;
    int64_t apart = z->apart;                  /* in memory */
    bool lone = buf_lone(f, root->buf) && !row && !along;
    Val address = ll_own_address(z, root->buf, naxes, root->ahead);
    ll_at_level(z, z->depth);
    v = l_convert(u, ll_as_real(u, v), buf_number(f, root->buf));
    for (int a = (int)ll_lane_axis(z) + 1; z->mode == LANES_KEPT && a < naxes; a++) apart *= z->k->ext[a];
    if ((row && !split) || (along && apart > 1)) return store_lanes(z, root->buf, v, address, apart);
    if (!lone) v = ll_as_vector(u, v);
    else if (l_is_vector(v)) return ll_wrong(u, "a varying value for a uniform buffer");
    l_store(u, v, address, row ? buf_vector_align(f, root->buf) : buf_align(f, root->buf));
}

/* Accumulators are vectors; but numbers when lanes are sites, except along the row. */
static Val load_slot(Nest *z, Val slot, bool wide) {
    Unit *u = z->f->u;
    return l_load(u, wide ? u->vec : u->f64, slot, wide ? u->align : 8);
}

static void accumulate(Nest *z, const KRoot *root, Val slot, Val v, bool wide) {
    Unit *u = z->f->u;
    Val args[2] = {load_slot(z, slot, wide), l_convert(u, ll_as_real(u, v), u->f64)}, sum = ll_op(z->f, root->op, args, 2);
    l_store(u, wide ? ll_as_vector(u, sum) : sum, slot, wide ? u->align : 8);
}

/* Along a row that is summed in one part: one lane after the other. */
static void accumulate_lanes(Nest *z, const KRoot *root, Val slot, Val v) {
    Unit *u = z->f->u;
    Val sum = load_slot(z, slot, false), x = l_convert(u, ll_as_real(u, v), u->f64);
    for (unsigned l = z->first_lane; l < u->lanes; l++) {
        Val lane = l_is_vector(x) ? LLVMBuildExtractElement(u->b, x, l_int32(u, l), "") : x;
        sum = ll_op(z->f, root->op, (Val[]){sum, lane}, 2);
    }
    l_store(u, sum, slot, 8);
}

static void set_identity(Nest *z, const KRoot *root, Val *slot, bool wide) {
    Unit *u = z->f->u;
    l_goto_end(u, z->here);
    if (!*slot) *slot = l_alloca(z->f, u->vec, "sum");
    Val one = l_double(u, ll_identity(root->op));
    l_store(u, wide ? ll_as_vector(u, one) : one, *slot, wide ? u->align : 8);
}

static bool wide_rows(const Nest *z) { return z->mode == LANES_PARTS || z->mode == LANES_KEPT || !z->f->u->sites; }
static bool wide_totals(const Nest *z) { return z->mode == LANES_KEPT || !z->f->u->sites; }

/* ---- the order of reductions (ir.h) ----------------------------------------------- */

/* Rows of a band of a root's first reduced axis; the whole axis: one band. */
static int64_t band_rows(const Nest *z, const KRoot *root) {
    int64_t m = z->k->ext[z->k->rank - root->nred];
    return m / reduce_bands(m);
}

/* Elements of a part of a row; the whole row: one part, or no root is reduced. */
static int64_t part_length(const Nest *z) {
    int64_t n = z->k->ext[z->k->rank - 1];
    for (int i = 0; i < z->k->nroots && z->mode != LANES_PARTS; i++)
        if (z->k->roots[i].nred > 0) return n / reduce_parts(n);
    return n;
}

/* Is it reduced by several tasks, each of which leaves the totals of its bands? */
static bool is_shared(const Nest *z, const KRoot *root) { return z->from && root->nred == z->k->rank; }

static Val band_address(Func *f, const KRoot *root, const KKernel *k, Val number) {
    Unit *u = f->u;
    int64_t width = u->sites ? 1 : u->lanes, at = f->p->bands + (root - k->roots) * KERNEL_BANDS;
    return l_at(u, l_at(u, f->scratch, l_int(u, at * width)), l_mul(u, number, width));
}

static void store_band(Nest *z, const KRoot *root, Val v, Val number) {
    Unit *u = z->f->u;
    l_store(u, v, band_address(z->f, root, z->k, number), wide_totals(z) ? u->align : 8);
}

static Val part_place(Nest *z, const KRoot *root, Val number) {
    Unit *u = z->f->u;
    return l_at(u, z->sum[root - z->k->roots].parts, l_mul(u, number, u->lanes));
}

/* The part that ends before element `next` of the row is put aside. */
static void end_part(Nest *z, Val number) {
    Unit *u = z->f->u;
    for (int i = 0; i < z->k->nroots; i++) {
        const KRoot *root = &z->k->roots[i];
        if (root->nred == 0) continue;
        l_store(u, l_load(u, u->vec, z->sum[i].row, u->align), part_place(z, root, number), u->align);
        l_store(u, ll_as_vector(u, l_double(u, ll_identity(root->op))), z->sum[i].row, u->align);
    }
}

static bool rows_are_cut(const Nest *z) { return part_length(z) < z->k->ext[z->k->rank - 1]; }
/* Is each point of a row a part of it? */
static bool points_are_parts(const Nest *z) { return rows_are_cut(z) && part_length(z) == 1; }

static void put_part(Nest *z, const KRoot *root, Val v) {
    Unit *u = z->f->u;
    Val args[2] = {l_double(u, ll_identity(root->op)), l_convert(u, ll_as_real(u, v), u->f64)};
    Val part = ll_as_vector(u, ll_op(z->f, root->op, args, 2));
    l_store(u, part, part_place(z, root, z->axis[z->k->rank - 1]), u->align);
}

/* Before a row some points of which are left out. */
static void clear_parts(Nest *z, const KRoot *root) {
    Unit *u = z->f->u;
    Val one = ll_as_vector(u, l_double(u, ll_identity(root->op)));
    for (int i = 0; i < reduce_parts(z->k->ext[z->k->rank - 1]); i++) l_store(u, one, part_place(z, root, l_int(u, i)), u->align);
}

/* Before a segment from a known place: which part is it in, where does that end? */
static void parts_begin(Nest *z, int64_t from) {
    Unit *u = z->f->u;
    int64_t length = part_length(z);
    if (!rows_are_cut(z) || points_are_parts(z)) return;
    l_goto_end(u, z->here);
    if (!z->part) z->part = l_alloca(z->f, u->i64, "part"), z->part_end = l_alloca(z->f, u->i64, "end");
    l_store(u, l_int(u, from / length), z->part, 8);
    l_store(u, l_int(u, (from / length + 1) * length), z->part_end, 8);
}

/* After a point: does a part end with it?  Counted, not divided. */
static void end_point(Nest *z) {
    Func *f = z->f;
    Unit *u = f->u;
    if (!rows_are_cut(z) || points_are_parts(z)) return;
    l_goto_end(u, z->here);
    Val next = l_add(u, z->axis[z->k->rank - 1], l_int(u, z->step));
    Val last = l_load(u, u->i64, z->part_end, 8), number = l_load(u, u->i64, z->part, 8);
    BasicBlock end = l_block(f, "part"), after = l_block(f, "on");
    LLVMBuildCondBr(u->b, l_compare(u, z->step > 1 ? LLVMIntSGE : LLVMIntEQ, next, last), end, after);
    l_goto_end(u, end);
    end_part(z, number);
    l_store(u, l_add(u, number, l_int(u, 1)), z->part, 8);
    l_store(u, l_add(u, last, l_int(u, part_length(z))), z->part_end, 8);
    LLVMBuildBr(u->b, after);
    l_goto_end(u, after);
    z->here = after;
}

/* The value of a finished row. */
static Val row_value(Nest *z, const KRoot *root) {
    Unit *u = z->f->u;
    int64_t parts = reduce_parts(z->k->ext[z->k->rank - 1]);
    Val row = load_slot(z, z->sum[root - z->k->roots].row, wide_rows(z)), part[REDUCE_PARTS];
    if (parts == 1) return row;
    for (int i = 0; i < parts; i++)
        part[i] = z->mode == LANES_PARTS ? LLVMBuildExtractElement(u->b, row, l_int32(u, i), "")
                            : l_load(u, u->vec, part_place(z, root, l_int(u, i)), u->align);
    for (int half = (int)parts / 2; half >= 1; half /= 2)
        for (int i = 0; i < half; i++) part[i] = ll_op(z->f, root->op, (Val[]){part[i], part[i + half]}, 2);
    return part[0];
}

/* Before the loop of an axis: the accumulators that it fills. */
static void reductions_begin(Nest *z, int axis) {
    Unit *u = z->f->u;
    bool cut = z->mode != LANES_PARTS && reduce_parts(z->k->ext[z->k->rank - 1]) > 1;
    for (int i = 0; i < z->k->nroots; i++) {
        const KRoot *root = &z->k->roots[i];
        Sum *s = &z->sum[i];
        if (root->nred > 0 && axis == z->k->rank - 1) {
            set_identity(z, root, &s->row, wide_rows(z));
            if (cut && !s->parts) s->parts = l_alloca(z->f, LLVMArrayType2(u->f64, REDUCE_PARTS * u->lanes), "parts");
            if (points_are_parts(z) && z->step > 1) clear_parts(z, root);
        }
        if (root->nred <= 1 || axis != z->k->rank - root->nred) continue;
        set_identity(z, root, &s->band, wide_totals(z));
        bool shared = is_shared(z, root);
        if (band_rows(z, root) == z->k->ext[axis] && !shared) continue;
        if (!shared) set_identity(z, root, &s->total, wide_totals(z));
        if (!s->band_end) s->band_end = l_alloca(z->f, u->i64, "end");
        Val first = l_int(u, band_rows(z, root));
        l_store(u, shared ? l_add(u, z->from, first) : first, s->band_end, 8);
    }
}

/* At the end of an iteration of a root's first reduced axis: a band may end with it. */
static void bands_end(Nest *z, int axis) {
    Func *f = z->f;
    Unit *u = f->u;
    for (int i = 0; i < z->k->nroots; i++) {
        const KRoot *root = &z->k->roots[i];
        int64_t rows = root->nred > 1 ? band_rows(z, root) : 0;
        bool shared = is_shared(z, root);
        if (root->nred <= 1 || axis != z->k->rank - root->nred || (rows == z->k->ext[axis] && !shared)) continue;
        l_goto_end(u, z->here);
        Val next = l_add(u, z->axis[axis], l_int(u, 1)), last = l_load(u, u->i64, z->sum[i].band_end, 8);
        BasicBlock end = l_block(f, "band"), after = l_block(f, "on");
        LLVMBuildCondBr(u->b, l_compare(u, LLVMIntEQ, next, last), end, after);
        l_goto_end(u, end);
        l_store(u, l_add(u, last, l_int(u, rows)), z->sum[i].band_end, 8);
        z->here = end;
        Val band = load_slot(z, z->sum[i].band, wide_totals(z));
        if (shared) store_band(z, root, band, LLVMBuildUDiv(u->b, z->axis[axis], l_int(u, rows), ""));
        else accumulate(z, root, z->sum[i].total, band, wide_totals(z));
        set_identity(z, root, &z->sum[i].band, wide_totals(z));
        LLVMBuildBr(u->b, after);
        l_goto_end(u, after);
        z->here = after;
    }
}

/* After it: the row joins the band; what is complete is stored. */
static void reductions_end(Nest *z, int axis) {
    Unit *u = z->f->u;
    for (int i = 0; i < z->k->nroots; i++) {
        const KRoot *root = &z->k->roots[i];
        if (root->nred == 0) continue;
        l_goto_end(u, z->here);
        Val row = axis == z->k->rank - 1 ? row_value(z, root) : NULL;
        if (row && root->nred > 1) accumulate(z, root, z->sum[i].band, row, wide_totals(z));
        if (axis != z->k->rank - root->nred || is_shared(z, root)) continue;
        Val result = row;
        if (root->nred > 1) {
            Val one = l_double(u, ll_identity(root->op));
            result = load_slot(z, z->sum[i].total ? z->sum[i].total : z->sum[i].band, wide_totals(z));
            if (!z->sum[i].total) result = ll_op(z->f, root->op, (Val[]){one, result}, 2);
        }
        store_root(z, root, result, axis);
    }
}

/* ---- the nest --------------------------------------------------------------------------------------- */

/* The same function that branches, of two vectors that do not wait for each other. */
static bool emit_pair(Nest *z, Ref r, Ref s) {
    Func *f = z->f;
    const Node *a = NODE(f->p->ir, r), *b = NODE(f->p->ir, s);
    if (f->phase[r] % 2 == 0 || f->phase[s] != f->phase[r] || a->op != b->op || ll_kept(z, r) || ll_kept(z, s) ||
        ll_closing_value(z, r) || ll_closing_value(z, s)) return false;
    Val x = f->value[NARG(f->p->ir, r, 0)], y = f->value[NARG(f->p->ir, s, 0)];
    if (!l_is_vector(x) || LLVMTypeOf(x) != LLVMTypeOf(y)) return false;
    ll_at_level(z, z->k->rank);
    ll_math_pair(f->u, (Op)a->op, &x, &y);
    f->value[r] = x, f->value[s] = y;
    return true;
}

static void exchange_values(Nest *z) {
    Val *v = z->f->value;
    z->f->value = z->value;
    z->value = v;
}

/* Emission goes on in the twin, where z stands. */
static Nest *twin_begin(Nest *z) {
    Nest *t = z->twin;
    int inner = z->k->rank - 1;
    if (!t) return NULL;
    t->here = z->here, t->depth = z->depth;
    memcpy(t->block, z->block, sizeof t->block);
    t->axis[inner] = z->axis[inner], t->range[inner] = z->range[inner];
    exchange_values(t);
    return t;
}

static void twin_end(Nest *z) {
    exchange_values(z->twin);
    z->here = z->twin->here;
}

/* The nodes at the level of points, or all at those outside. */
static void emit_nodes(Nest *z, bool points) {
    Func *f = z->f;
    for (int i = 0; i < f->order.n; i++) {
        Ref r = f->order.data[i];
        if ((f->level[r] == z->k->rank) != points) continue;
        if (points && i + 1 < f->order.n && emit_pair(z, r, f->order.data[i + 1])) i++;
        else f->value[r] = ll_node(z, r);
    }
}

static void emit_roots(Nest *z) {
    Func *f = z->f;
    int rank = z->k->rank;
    for (int i = 0; i < z->k->nroots; i++) {
        const KRoot *root = &z->k->roots[i];
        ll_at_level(z, rank);
        Val v = f->value[root->expr];
        if (root->nred == 0) store_root(z, root, v, rank);
        else if (points_are_parts(z)) put_part(z, root, v);
        else if (z->mode == LANES_ROW) accumulate_lanes(z, root, z->sum[i].row, v);
        else accumulate(z, root, z->sum[i].row, v, wide_rows(z));
    }
}

/* Code of one point: all values first, then all stores, for buffers updated in place. */
static void emit_point(Nest *z) {
    Nest *t;
    emit_nodes(z, true);
    if ((t = twin_begin(z))) emit_nodes(t, true), twin_end(z);
    emit_roots(z);
    if ((t = twin_begin(z))) emit_roots(t), twin_end(z);
    ll_keep_point(z);
    if (z->k->rank > 0) end_point(z);
}

static void emit_segment(Nest *z, int64_t from, int64_t end) {
    Func *f = z->f;
    int inner = z->k->rank - 1;
    z->range[inner] = (Range){from, end - 1};
    z->axis[inner] = l_int(f->u, from);
    z->nstreams = 0;
    if (z->twin) z->twin->nstreams = 0;
    parts_begin(z, from);
    l_goto_end(f->u, z->here);
    ll_keep_segment(z, from);
    l_goto_end(f->u, z->here);
    if (end - from == 1) {
        z->last = z->first && z->mode == LANES_ALIKE && from > 0 && end == z->length;
        emit_point(z);
        z->last = false;
        l_goto_end(f->u, z->here);
        ll_keep_advance(z, false);
        return;
    }
    StreamPast first[MAX_READS], after[MAX_READS];
    Nest *t;
    ll_streams_find(z);
    ll_streams_begin(z, first);
    if ((t = twin_begin(z))) {
        ll_streams_find(t);
        ll_streams_begin(t, after);
        ll_streams_pair(z, t);
        twin_end(z);
    }
    l_goto_end(f->u, z->here);
    Loop l = ll_loop_begin(f, from, end, "point");
    ll_streams_enter(z, first, z->here);
    ll_keep_enter(z, z->here);
    if (t) ll_streams_enter(t, after, z->here);
    z->here = l.head;
    z->axis[inner] = l.i;
    emit_point(z);
    l_goto_end(f->u, z->here);
    ll_streams_advance(z);
    ll_keep_advance(z, true);
    if (t) ll_streams_advance(t);
    ll_loop_end(f, &l);
    z->here = l_here(f->u);
}

/* A part of the nest that is done where `on` is true. */
typedef struct Case { BasicBlock after; } Case;

static Case case_begin(Nest *z, Val on) {
    Case c = {l_block(z->f, "left")};
    BasicBlock run = l_block(z->f, "met");
    LLVMBuildCondBr(z->f->u->b, on, run, c.after);
    l_goto_end(z->f->u, run);
    z->here = run;
    return c;
}

static void case_end(Nest *z, const Case *c) {
    l_goto_end(z->f->u, z->here);
    LLVMBuildBr(z->f->u->b, c->after);
    l_goto_end(z->f->u, c->after);
    z->here = c->after;
}

/* The points of a segment that the kernel is restricted to: from the first one on in steps.
 * Parts of rows are counted through, since a part may end in the segment before its end. */
static void emit_stepped_segment(Nest *z, int64_t from, int64_t end) {
    Func *f = z->f;
    Unit *u = f->u;
    int inner = z->k->rank - 1;
    bool one = end - from == 1, sure = end - from >= z->step;
    z->range[inner] = (Range){from, end - 1};
    z->axis[inner] = l_int(u, from);
    z->nstreams = 0;
    if (from == 0) parts_begin(z, 0);
    l_goto_end(u, z->here);
    Val ahead = l_sub(u, z->phase, l_int(u, from % z->step)), zero = l_int(u, 0);
    ahead = l_select(u, l_compare(u, LLVMIntSLT, ahead, zero), l_add(u, ahead, l_int(u, z->step)), ahead);
    Case c = {0};
    if (!sure) c = case_begin(z, l_compare(u, LLVMIntSLT, ahead, l_int(u, end - from)));
    if (one) emit_point(z);
    else {
        Loop l = ll_loop_open(f, l_add(u, ahead, l_int(u, from)), "point");
        z->here = l.head;
        z->axis[inner] = l.i;
        emit_point(z);
        l_goto_end(u, z->here);
        Val next = l_add(u, l.i, l_int(u, z->step));
        ll_loop_close(f, &l, next, l_compare(u, LLVMIntSLT, next, l_int(u, end)));
        z->here = l_here(u);
    }
    if (!sure) case_end(z, &c);
}

/* Where the points of this row begin that the kernel is restricted to. */
static Val find_phase(Nest *z) {
    const KOnly *only = &z->k->only;
    Place p = ll_place(z, &(Index){only->phase, IX_PERIODIC, only->every});
    ll_at_level(z, p.level);
    return p.at ? p.at : ll_affine_value(z, aff_get(z->f->p->ir, only->phase), p.shift);
}

/* Is the kernel restricted to this point of an axis that is not the innermost one? */
static Val meets_phase(Nest *z, int axis) {
    Unit *u = z->f->u;
    Val phase = find_phase(z);
    ll_at_level(z, axis + 1);
    Val rest = LLVMBuildURem(u->b, z->axis[axis], l_int(u, z->k->only.every), "");
    return l_compare(u, LLVMIntEQ, rest, phase);
}

/* Places from … end - 1 along the row, eight at a time: a multiple of eight. */
static void emit_vectors(Nest *z, int64_t from, int64_t end) {
    Func *f = z->f;
    Unit *u = f->u;
    int inner = z->k->rank - 1;
    z->range[inner] = (Range){from, end - REDUCE_PARTS};
    z->axis[inner] = l_int(u, from);
    z->nstreams = 0;
    l_goto_end(u, z->here);
    if (end - from == REDUCE_PARTS) {
        emit_point(z);
        return;
    }
    Loop l = ll_loop_open(f, l_int(u, from), "vector");
    z->here = l.head;
    z->axis[inner] = l.i;
    emit_point(z);
    l_goto_end(u, z->here);
    Val next = l_add(u, l.i, l_int(u, REDUCE_PARTS));
    ll_loop_close(f, &l, next, l_compare(u, LLVMIntSLT, next, l_int(u, end)));
    z->here = l_here(u);
}

/* What is left of a row behind whole vectors of neighbours. */
static void emit_rest(Nest *z, const Cuts *cuts) {
    int64_t n = z->length, rest = n % REDUCE_PARTS;
    if (rest == 0) return;
    if (z->overlap) {
        z->first_lane = (unsigned)(REDUCE_PARTS - rest);
        emit_vectors(z, n - REDUCE_PARTS, n);
        z->first_lane = 0;
        return;
    }
    z->mode = LANES_ALIKE;
    for (int i = 0; i + 1 < cuts->n; i++)
        if (cuts->at[i + 1] > n - rest) emit_segment(z, cuts->at[i] > n - rest ? cuts->at[i] : n - rest, cuts->at[i + 1]);
    z->mode = LANES_ROW;
}

static void emit_segments(Nest *z, const Cuts *cuts) {
    bool neighbours = z->mode == LANES_ROW, seldom = z->f->u->seldom;
    Cuts all = neighbours ? ll_vector_cuts(z) : *cuts;
    for (int i = 0; i + 1 < all.n; i++) {
        z->f->u->seldom = seldom || 8 * (all.at[i + 1] - all.at[i]) < z->length;
        (neighbours ? emit_vectors : z->step > 1 ? emit_stepped_segment : emit_segment)(z, all.at[i], all.at[i + 1]);
    }
    z->f->u->seldom = seldom || z->length >= 4 * REDUCE_PARTS;
    if (neighbours) emit_rest(z, cuts);
    z->f->u->seldom = seldom;
}

/* The innermost axis: first what does not depend on it, at its levels. */
static void emit_row(Nest *z) {
    Func *f = z->f;
    int inner = z->k->rank - 1;
    Cuts cuts = ll_segment_cuts(z);
    z->block[inner] = z->here;
    z->here = ll_next_block(f, "row");
    z->depth = z->k->rank;
    emit_nodes(z, false);
    Nest *t = twin_begin(z);
    if (t) emit_nodes(t, false), twin_end(z);
    z->phase = z->step > 1 ? find_phase(z) : l_int(f->u, 0);
    ll_keep_rows(z);
    draw_rows(z);
    emit_segments(z, &cuts);
    ll_keep_end(z);
    z->depth = inner;
}

/* Eight neighbours of the axis of lanes from a place on; the last ones overlap those before. */
static Val kept_place(Nest *z, Val at) {
    Unit *u = z->f->u;
    int64_t n = z->k->ext[ll_lane_axis(z)];
    Val last = l_int(u, n - REDUCE_PARTS);
    return n % REDUCE_PARTS ? l_select(u, l_compare(u, LLVMIntSLT, at, last), at, last) : at;
}

static void nest_begin(Nest *z, Func *f, const KKernel *k);
static void emit_axis(Nest *z, int axis);
static void order_nodes(Nest *z);

/* Before the loop of an axis: a nest over those inside it, at its first place, for what the
 * points there are handed along it. */
static void fill_planes(Nest *z, int axis, Val place) {
    KKept kept[LL_MOST_KEPT];
    KKernel k = *z->k;
    Nest fill;
    if (z->filling || !(k.nkept = ll_keep_along(z->k, axis, kept))) return;
    k.kept = kept, k.nroots = 0;
    l_goto_end(z->f->u, z->here);
    nest_begin(&fill, z->f, &k);
    fill.filling = z->f->u->seldom = true;
    fill.sweep = z->sweep;
    fill.whole = z->k;
    for (int a = 0; a < axis; a++) fill.axis[a] = z->axis[a], fill.block[a] = z->block[a];
    fill.axis[axis] = place;
    if (l_is_known(place)) fill.range[axis] = (Range){0, 0};
    fill.block[axis] = axis == 0 && z->sweep ? z->sweep->outside : z->here;
    fill.here = ll_next_block(z->f, "first");
    fill.depth = axis + 1;
    order_nodes(&fill);
    emit_axis(&fill, axis + 1);
    z->here = fill.here;
    free(fill.sum);
    z->f->u->seldom = false;
    order_nodes(z);
}

/* Where a row is one vector, the axis before it is the loop that matters. */
static bool rows_are_unrolled(const Nest *z, int axis) {
    bool one = z->mode == LANES_PARTS && z->length == 1 && axis == z->k->rank - 2;
    return one && !(axis == 0 && z->from) && !z->k->only.test && !z->k->nkept && z->k->ext[axis] > 1 && z->f->order.n <= MOST_UNROLLED_NODES;
}

/* A place of an axis, or those of a loop over it. */
static void emit_places(Nest *z, int axis, int64_t from, int64_t end) {
    Func *f = z->f;
    Loop l = {0};
    bool loop = end - from > 1;
    z->range[axis] = (Range){from, end - 1};
    z->block[axis] = z->here;
    l_goto_end(f->u, z->here);
    if (loop) l = ll_loop_begin(f, from, end, "axis");
    else ll_next_block(f, "place");
    z->axis[axis] = loop ? l.i : l_int(f->u, from);
    z->here = l_here(f->u);
    z->depth = axis + 1;
    emit_axis(z, axis + 1);
    bands_end(z, axis);
    l_goto_end(f->u, z->here);
    if (loop) ll_loop_end(f, &l);
    z->here = l_here(f->u);
    z->depth = axis;
}

/* An axis in segments as the innermost one is, few places of it one by one, so that indices are
 * known and what one place has loaded is there for the next. */
static void emit_unrolled(Nest *z, int axis) {
    Cuts cuts = ll_axis_cuts(z, axis);
    Range all = z->range[axis];
    z->nloaded = 0;
    for (int i = 0; i + 1 < cuts.n; i++) {
        int64_t from = cuts.at[i], end = cuts.at[i + 1];
        z->loaded_stay = end - from <= MOST_UNROLLED;
        if (!z->loaded_stay) emit_places(z, axis, from, end);
        else for (int64_t y = from; y < end; y++) emit_places(z, axis, y, y + 1);
    }
    z->loaded_stay = false;
    z->nloaded = 0;
    z->range[axis] = all;
}

static void emit_axis(Nest *z, int axis) {
    Func *f = z->f;
    if (axis == z->k->rank) {           /* rank 0: a point */
        emit_point(z);
        return;
    }
    reductions_begin(z, axis);
    l_goto_end(f->u, z->here);
    if (axis == z->k->rank - 1) {
        emit_row(z);
        reductions_end(z, axis);
        return;
    }
    if (rows_are_unrolled(z, axis)) {
        emit_unrolled(z, axis);
        reductions_end(z, axis);
        return;
    }
    fill_planes(z, axis, z->from && axis == 0 ? z->from : l_int(f->u, 0));
    bool once = z->k->ext[axis] == 1;
    Loop l = {0};
    z->block[axis] = z->here;
    bool some = z->from && axis == 0, kept = z->mode == LANES_KEPT && (Sym)axis == ll_lane_axis(z);
    if (kept) {
        some = true;
        l = ll_loop_open(f, z->from && axis == 0 ? z->from : l_int(f->u, 0), "axis");
        z->axis[axis] = kept_place(z, l.i);
    } else if (once) ll_next_block(f, "axis");
    else if (some) l = ll_loop_open(f, z->from, "axis"), z->axis[axis] = l.i;
    else l = ll_loop_begin(f, 0, z->k->ext[axis], "axis"), z->axis[axis] = l.i;
    z->here = l_here(f->u);
    z->depth = axis + 1;
    bool some_points = steps_over(z, axis);
    Case c = {0};
    if (some_points) c = case_begin(z, meets_phase(z, axis));
    emit_axis(z, axis + 1);
    if (some_points) case_end(z, &c);
    bands_end(z, axis);
    l_goto_end(f->u, z->here);
    Val next = some ? l_add(f->u, l.i, l_int(f->u, kept ? REDUCE_PARTS : 1)) : NULL;
    Val end = z->from && axis == 0 ? z->end : l_int(f->u, z->k->ext[axis]);
    if (some) ll_loop_close(f, &l, next, l_compare(f->u, LLVMIntSLT, next, end));
    else if (!once) ll_loop_end(f, &l);
    z->here = l_here(f->u);
    z->depth = axis;
    reductions_end(z, axis);
}

/* Over an empty range: reductions give their identity. */
static void emit_empty(Func *f, const KKernel *k) {
    Unit *u = f->u;
    for (int i = 0; i < k->nroots; i++) {
        const KRoot *root = &k->roots[i];
        int64_t n = buf_width(f, root->buf);
        for (int a = 0; a < k->rank - root->nred; a++) n *= k->ext[a];
        if (root->nred == 0 || n == 0) continue;
        Val base = buf_address(f, root->buf);
        Loop l = ll_loop_begin(f, 0, n, "empty");
        Val one = LLVMConstReal(buf_number(f, root->buf), ll_identity(root->op));
        l_store(u, one, buf_at(f, root->buf, base, l.i), (unsigned)buf_bytes(f, root->buf));
        ll_loop_end(f, &l);
    }
}

static void nest_begin(Nest *z, Func *f, const KKernel *k) {
    *z = (Nest){.f = f, .k = k, .whole = k};
    f->u->real = f->p->single && k->rank > 0 ? f->u->f32 : f->u->f64;
    z->sum = calloc((size_t)k->nroots + 1, sizeof *z->sum);
    if (!z->sum) lq_out_of_memory((size_t)k->nroots * sizeof *z->sum);
    for (int a = 0; a < k->rank; a++) {
        z->range[a] = (Range){0, k->ext[a] - 1};
        z->axis[a] = l_int(f->u, 0);      /* until its loop is entered; for good when extent 1 */
    }
    z->step = 1;
    if (k->rank) {
        ll_lanes_begin(z);
        if (!f->u->sites || !f->p->plain) z->step = kernel_step(k, z->mode == LANES_PARTS);
    }
}

static void nest_end(Nest *z) {
    z->f->u->real = z->f->u->f64;
    if (z->f->u->sites) ll_lanes_set(z->f->u, REDUCE_PARTS);
    l_goto_end(z->f->u, z->here);
    free(z->sum);
}

/* A kernel that is a choice: past it when its output stays as it is in all lanes.  Returns
 * where that is, or NULL. */
static BasicBlock skip_choice(Nest *z) {
    Func *f = z->f;
    Unit *u = f->u;
    Ref c;
    if (!kernel_choice(f->p, z->k, &c) || f->level[c] > 0) return NULL;
    ScalarWalk *w = scalar_walk_new(f->p->ir);
    scalar_walk(w, 1, &c);
    l_goto_end(u, z->here);
    for (int i = 0; i < w->list.n; i++) f->value[w->list.data[i]] = ll_node(z, w->list.data[i]);
    scalar_walk_free(w);
    l_goto_end(u, z->here);
    Val other = LLVMBuildNot(u->b, ll_as_truth(u, f->value[c]), "");
    BasicBlock body = l_block(f, "choice"), after = l_block(f, "chosen");
    LLVMBuildCondBr(u->b, ll_any_lane(u, other), body, after);
    l_goto_end(u, body);
    z->here = body;
    return after;
}

static void nest_open(Nest *z) {
    z->here = ll_next_block(z->f, z->k->name ? z->k->name : "kernel");
    order_nodes(z);
    ll_lanes_choose(z);
}

/* All rows, or those from z->from to z->end. */
static void emit_nest(Nest *z) {
    BasicBlock after = skip_choice(z);
    emit_axis(z, 0);
    if (after) {
        l_goto_end(z->f->u, z->here);
        LLVMBuildBr(z->f->u->b, after);
        l_goto_end(z->f->u, z->here = after);
    }
    nest_end(z);
}

/* The totals of the bands, in order. */
static void combine_bands(Func *f, const KKernel *k) {
    Unit *u = f->u;
    Nest z;
    nest_begin(&z, f, k);
    for (int i = 0; i < k->nroots; i++) {
        const KRoot *root = &k->roots[i];
        if (root->nred < k->rank) continue;
        z.here = l_here(u);
        set_identity(&z, root, &z.sum[i].total, wide_totals(&z));
        Loop l = ll_loop_begin(f, 0, reduce_bands(k->ext[0]), "bands");
        z.here = l_here(u);
        Val band = load_slot(&z, band_address(f, root, k, l.i), wide_totals(&z));
        accumulate(&z, root, z.sum[i].total, band, wide_totals(&z));
        ll_loop_end(f, &l);
        z.here = l_here(u);
        Val total = load_slot(&z, z.sum[i].total, wide_totals(&z));
        store_root(&z, root, total, 0);
    }
    z.here = l_here(u);
    nest_end(&z);
}

int64_t ll_kernel_task(Task *t, Func *f, const KKernel *k) {
    Unit *u = f->u;
    ll_task_begin(t, f, k->name ? k->name : "kernel", NULL, 0);
    Nest z;
    nest_begin(&z, &t->inner, k);
    nest_open(&z);
    l_goto_end(u, z.here);
    int64_t rows = ll_lanes_rows(&z);
    z.from = l_mul(u, t->index, rows);
    Val end = l_add(u, z.from, l_int(u, rows)), last = l_int(u, k->ext[0]);
    z.end = l_select(u, l_compare(u, LLVMIntSLT, end, last), end, last);
    emit_nest(&z);
    return rows;
}

static void kernel_in_tasks(Func *f, const KKernel *k) {
    Task t;
    int64_t rows = ll_kernel_task(&t, f, k);
    ll_task_end(&t, l_int(f->u, (k->ext[0] + rows - 1) / rows));
    combine_bands(f, k);
}

void ll_kernel(Func *f, const KKernel *k) {
    for (int a = 0; a < k->rank; a++)
        if (k->ext[a] == 0) {
            emit_empty(f, k);
            return;
        }
    if (k->tasks > 1) {
        kernel_in_tasks(f, k);
        return;
    }
    Nest z;
    nest_begin(&z, f, k);
    nest_open(&z);
    emit_nest(&z);
}

void ll_kernel_fill(Func *f, const KKernel *k, const Row *row) {
    Nest z;
    nest_begin(&z, f, k);
    z.sweep = row;
    z.here = l_here(f->u);
    fill_planes(&z, 0, row->wrapped);
    nest_end(&z);
}

static void row_begin(Nest *z, Func *f, const KKernel *k, const Row *row) {
    nest_begin(z, f, k);
    z->sweep = row;
    z->block[0] = row->outside;
    z->axis[0] = row->wrapped;
    z->depth = 1;
}

void ll_kernel_row(Func *f, const KKernel *k, const Row *row) {
    Nest z;
    row_begin(&z, f, k, row);
    z.here = ll_next_block(f, k->name ? k->name : "kernel");
    order_nodes(&z);
    ll_lanes_choose(&z);
    emit_axis(&z, 1);
    nest_end(&z);
}

void ll_kernel_pair(Func *f, const KKernel *k, const Row *row, const Row *next) {
    Nest z, twin;
    row_begin(&z, f, k, row);
    row_begin(&twin, f, k, next);
    z.twin = &twin;
    twin.value = calloc((size_t)f->p->ir->nodes.n + 1, sizeof *twin.value);
    if (!twin.value) lq_out_of_memory((size_t)f->p->ir->nodes.n * sizeof *twin.value);
    z.here = ll_next_block(f, k->name ? k->name : "kernel");
    order_nodes(&z);
    emit_axis(&z, 1);
    free(twin.value);
    free(twin.sum);
    nest_end(&z);
}
