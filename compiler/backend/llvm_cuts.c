/* llvm_cuts.c — where the loop over an axis is cut into segments: inside a segment every index
 * that turns round with that axis alone is affine, without division or select. */
#include "llvm_emit.h"

static void cut_insert(Cuts *c, int64_t x) {
    int i = c->n;
    while (i > 0 && c->at[i - 1] > x) i--;
    if (i > 0 && c->at[i - 1] == x) return;
    memmove(c->at + i + 1, c->at + i, (size_t)(c->n - i) * sizeof *c->at);
    c->at[i] = x;
    c->n++;
}

/* Where c*x + k passes a multiple of n (only 0 and n when `once`).  All cuts or none. */
static void cut_index(Cuts *cuts, int64_t ext, int64_t c, int64_t k, int64_t n, bool once) {
    int64_t a = k, b = c * (ext - 1) + k;
    int64_t first = floor_div(a < b ? a : b, n) + 1, last = floor_div(a < b ? b : a, n);
    if (once && first < 0) first = 0;
    if (once && last > 1) last = 1;
    if (last - first + 1 > MAX_SEGMENTS) return;
    Cuts more = *cuts;
    for (int64_t t = first; t <= last; t++) {
        /* c > 0: the first x with c*x + k >= t*n; c < 0: the first with c*x + k < t*n. */
        int64_t x = c > 0 ? -floor_div(k - t * n, c) : floor_div(k - t * n, -c) + 1;
        if (x <= 0 || x >= ext) continue;
        if (more.n > MAX_SEGMENTS) return;
        cut_insert(&more, x);
    }
    *cuts = more;
}

/* Lanes are sites: where a read along the row enters another lane's part. */
static void cut_row_read(const Nest *z, Cuts *cuts, Ref r) {
    if (!ll_is_row_read(z, r)) return;
    const Ir *ir = z->f->p->ir;
    const Affine *a = aff_get(ir, NIDX(ir, r, NODE(ir, r)->nidx - 1)->aff);
    cut_index(cuts, z->length, 1, a->k, z->length, false);
}

/* Where an index turns round that varies along this axis alone. */
static void cut_node(const Nest *z, Cuts *cuts, Ref r, int axis) {
    const Ir *ir = z->f->p->ir;
    const Node *n = NODE(ir, r);
    if (n->op != SC_READ && n->op != SC_IDX && n->op != SC_INRANGE) return;
    for (int i = 0; i < n->nidx; i++) {
        const Index *ix = NIDX(ir, r, i);
        bool once = n->op == SC_INRANGE || ix->mode == IX_ZERO;
        if (ix->mode == IX_EXACT && !once) continue;
        const Affine *a = aff_get(ir, ix->aff);
        int64_t c = aff_coef(ir, ix->aff, (Sym)axis);
        Range rest = ll_affine_range(z, a);                /* less this axis: one value? */
        int64_t span = (c > 0 ? c : -c) * (z->k->ext[axis] - 1);
        if (c == 0 || rest.hi - rest.lo != span) continue;
        cut_index(cuts, z->k->ext[axis], c, c > 0 ? rest.lo : rest.hi, ix->n, once);
    }
}

Cuts ll_segment_cuts(Nest *z) {
    Cuts cuts = {.at = {0, z->length}, .n = 2};
    for (int i = 0; i < z->f->order.n; i++) {
        if (z->mode == LANES_PARTS) cut_row_read(z, &cuts, z->f->order.data[i]);
        else cut_node(z, &cuts, z->f->order.data[i], z->k->rank - 1);
    }
    return cuts;
}

Cuts ll_axis_cuts(const Nest *z, int axis) {
    Cuts cuts = {.at = {0, z->k->ext[axis]}, .n = 2};
    for (int i = 0; i < z->f->order.n; i++) cut_node(z, &cuts, z->f->order.data[i], axis);
    return cuts;
}

/* Lanes are neighbours: a vector in which an index turns is a segment by itself. */
Cuts ll_vector_cuts(Nest *z) {
    Cuts cuts = ll_segment_cuts(z), out = {.n = 2};
    int64_t whole = z->length / REDUCE_PARTS * REDUCE_PARTS;
    out.at[1] = whole;
    for (int i = 1; i + 1 < cuts.n; i++) {
        int64_t x = cuts.at[i] / REDUCE_PARTS * REDUCE_PARTS, end = x + (x < cuts.at[i] ? REDUCE_PARTS : 0);
        if (x < whole) cut_insert(&out, x);
        if (end < whole) cut_insert(&out, end);
    }
    return out;
}
