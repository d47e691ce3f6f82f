/* llvm_lanes.c — which sites the lanes of a kernel's vectors are, when lanes are sites.
 *
 * In split buffers, eight or four parts of a row: that is how numbers lie in memory.  In plain buffers
 * there is a choice:
 *   parts    eight or four parts of the innermost axis, where the order of a reduction asks for them; loads
 *            are made lane by lane
 *   row      eight neighbours along the innermost axis: in maps, and in reductions whose rows are
 *            summed in one part, which take a vector's lanes one after the other
 *   kept     eight neighbours along the last axis that a reduction keeps: eight sums at a time
 * Neighbours of an extent that is no multiple of eight end with a vector that overlaps the one
 * before it, whose elements are then made twice; where a buffer is updated in place they must not
 * be: a row ends with single elements then, and `kept` is not taken. */
#include "llvm_emit.h"

/* The last axis that reductions keep; negative: none is kept. */
static int kept_axis(const KKernel *k) {
    int nred = 0;
    for (int i = 0; i < k->nroots; i++)
        if (k->roots[i].nred > nred) nred = k->roots[i].nred;
    return k->rank - nred - 1;
}

Sym ll_lane_axis(const Nest *z) { return (Sym)(z->mode == LANES_KEPT ? kept_axis(z->k) : z->k->rank - 1); }

/* The coefficient of the axis along which lanes differ; 0: alike for all. */
int64_t ll_lane_coef(const Nest *z, Aff a) { return z->mode == LANES_ALIKE ? 0 : aff_coef(z->f->p->ir, a, ll_lane_axis(z)); }

/* Lanes are neighbours: does a read go along their axis, by its last index alone? */
static bool goes_along(const Nest *z, Ref r) {
    const Ir *ir = z->f->p->ir;
    int last = NODE(ir, r)->nidx - 1;
    for (int d = 0; d < last; d++)
        if (ll_lane_coef(z, NIDX(ir, r, d)->aff)) return false;
    return last >= 0 && ll_lane_coef(z, NIDX(ir, r, last)->aff) == 1;
}

bool ll_is_along(const Nest *z, Ref r) {
    const Ir *ir = z->f->p->ir;
    if (!z->f->p->plain || z->mode == LANES_ALIKE || z->apart > 1 || !goes_along(z, r)) return false;
    const Index *ix = NIDX(ir, r, NODE(ir, r)->nidx - 1);
    if (ix->mode == IX_EXACT) return true;
    Range x = ll_affine_range(z, aff_get(ir, ix->aff));
    int64_t turn = floor_div(x.lo, ix->n), end = floor_div(x.hi + z->f->u->lanes - 1, ix->n);
    if (ix->mode != IX_ZERO) return turn == end;
    return (turn == 0 && end == 0) || end < 0 || turn > 0;
}

/* ---- the choice --------------------------------------------------------------------- */

static bool is_read(const Nest *z, int buf) {
    const Func *f = z->f;
    for (int i = 0; i < f->order.n; i++) {
        Ref r = f->order.data[i];
        if (NODE(f->p->ir, r)->op != SC_READ) continue;
        Ref a = NARG(f->p->ir, r, 0);
        if (a < f->p->nbuf_of && f->p->buf_of[a] == buf) return true;
    }
    return false;
}

static bool updates_in_place(const Nest *z) {
    for (int i = 0; i < z->k->nroots; i++)
        if (is_read(z, z->k->roots[i].buf)) return true;
    return false;
}

/* Reads and stores that would be made lane by lane. */
static int scattered_reads(Nest *z, LaneMode mode) {
    const Func *f = z->f;
    LaneMode was = z->mode;
    int n = 0;
    z->mode = mode;
    for (int i = 0; i < f->order.n; i++) {
        Ref r = f->order.data[i];
        bool varies = false;
        if (NODE(f->p->ir, r)->op != SC_READ) continue;
        for (int d = 0; d < NODE(f->p->ir, r)->nidx; d++) varies |= ll_lane_coef(z, NIDX(f->p->ir, r, d)->aff) != 0;
        n += varies && ((mode == LANES_PARTS && z->length > reduce_parts(z->length)) || !goes_along(z, r));
    }
    for (int i = 0; i < z->k->nroots; i++) n += mode != LANES_ROW && z->k->roots[i].nred == 0;
    z->mode = was;
    return n;
}

/* Some roots may be no reductions; all reductions keep the same axes. */
static bool may_keep(const Nest *z) {
    const KKernel *k = z->k;
    int axis = kept_axis(k), nred = k->rank - axis - 1;
    for (int i = 0; i < k->nroots; i++)
        if (k->roots[i].nred && k->roots[i].nred != nred) return false;
    if (k->only.test && !k->only.everywhere) return false;       /* points may be left out along that axis */
    if (nred == 0 || axis < 0 || k->ext[axis] < REDUCE_PARTS || (axis == 0 && z->sweep)) return false;
    return k->ext[axis] % REDUCE_PARTS == 0 || !updates_in_place(z);
}

static LaneMode choose_plain(Nest *z) {
    const KKernel *k = z->k;
    int64_t n = k->ext[k->rank - 1];
    bool reduces = false;
    for (int i = 0; i < k->nroots; i++) reduces |= k->roots[i].nred > 0;
    LaneMode along = !reduces || reduce_parts(n) == 1 ? LANES_ROW : LANES_PARTS;
    if (n < REDUCE_PARTS && along == LANES_ROW) along = LANES_ALIKE;
    if (!may_keep(z)) return along;
    return along == LANES_ALIKE || scattered_reads(z, LANES_KEPT) <= scattered_reads(z, along) ? LANES_KEPT : along;
}

void ll_lanes_set(Unit *u, unsigned lanes) {
    u->lanes = lanes;
    u->vec = lanes > 1 ? LLVMVectorType(u->f64, lanes) : u->f64;
    u->align = lanes >= 8 ? 64 : 8 * lanes;
}

/* Vectors have as many lanes as the row has parts. */
static void take_parts(Nest *z) {
    int inner = z->k->rank - 1;
    int64_t parts = reduce_parts(z->k->ext[inner]);
    z->mode = LANES_PARTS;
    ll_lanes_set(z->f->u, (unsigned)parts);
    z->length = z->apart = z->k->ext[inner] / parts;
    z->range[inner].hi = z->length - 1;
}

/* Neighbours hand nothing on to each other: in plain buffers every value is computed anew. */
void ll_lanes_begin(Nest *z) {
    const Func *f = z->f;
    int64_t n = z->k->ext[z->k->rank - 1];
    z->length = n, z->apart = 1;
    if (!f->u->sites) return;
    ll_lanes_set(f->u, REDUCE_PARTS);
    if (!f->p->plain && reduce_parts(n) > 1) take_parts(z);
    if (!f->p->plain) return;
    z->anew_each = *z->k;
    z->anew_each.nkept = 0;
    if (z->whole == z->k) z->whole = &z->anew_each;
    z->k = &z->anew_each;
}

void ll_lanes_choose(Nest *z) {
    if (!z->f->u->sites || !z->f->p->plain || z->k->rank == 0) return;
    LaneMode mode = choose_plain(z);
    if (mode == LANES_PARTS) take_parts(z);
    z->mode = mode;
    if (mode == LANES_ROW) z->overlap = z->length % REDUCE_PARTS && !updates_in_place(z);
    if (mode == LANES_KEPT) z->range[ll_lane_axis(z)].hi -= REDUCE_PARTS - 1;
}

int64_t ll_lanes_rows(const Nest *z) {
    int64_t rows = z->k->rows_per_task;
    bool kept = z->mode == LANES_KEPT && ll_lane_axis(z) == 0;
    return kept ? (rows + REDUCE_PARTS - 1) / REDUCE_PARTS * REDUCE_PARTS : rows;
}
