/* llvm_keep.c — values that a kernel hands on from one point to the next (KKept): in a
 * register along the innermost axis, in a buffer along others.
 *
 * The first point of an axis has nobody before it.  What it is handed is computed there:
 * for the innermost axis before the first segment of each row, for others by a nest over
 * the axes after it, which fills the buffer. */
#include "llvm_emit.h"

#include <stdlib.h>

/* Numbers, not vectors, are values of a kernel along whose rows no lanes lie. */
static Val as_kept(Nest *z, Val v) {
    Unit *u = z->f->u;
    v = ll_as_real(u, v);
    return z->mode == LANES_PARTS || !u->sites ? ll_as_vector(u, v) : v;
}

static bool is_inner(const Nest *z, const KKept *v) { return v->axis == z->k->rank - 1; }

const KKept *ll_kept(const Nest *z, Ref r) { return z->anew || z->filling ? NULL : kernel_kept(z->k, r); }

/* ---- along the innermost axis ------------------------------------------------------------ */

/* The scalars below what is handed on along rows, for the first points. */
static void walk_first(Nest *z, ScalarWalk *w) {
    VEC(Ref) roots = {0};
    for (int i = 0; i < z->k->nkept; i++)
        if (is_inner(z, &z->k->kept[i])) vec_push(&roots, z->k->kept[i].before);
    scalar_walk(w, roots.n, roots.data);
    vec_free(&roots);
}

void ll_keep_rows(Nest *z) {
    if (!z->k->nkept || z->filling) return;
    Func *f = z->f;
    z->first = scalar_walk_new(f->p->ir);
    walk_first(z, z->first);
    for (int i = 0; i < z->first->list.n; i++) {
        Ref r = z->first->list.data[i];
        if (f->seen[r] > f->stamp) continue;             /* computed anyway */
        f->level[r] = ll_node_level(z, r);
        if (f->level[r] < z->k->rank) f->value[r] = ll_node(z, r);
    }
}

/* The row stands at its first point. */
static void compute_first(Nest *z) {
    Func *f = z->f;
    bool seldom = f->u->seldom;
    z->anew = f->u->seldom = true;
    for (int i = 0; i < z->first->list.n; i++) {
        Ref r = z->first->list.data[i];
        if (f->level[r] == z->k->rank) f->value[r] = ll_node(z, r);
    }
    z->anew = false, f->u->seldom = seldom;
    for (int i = 0; i < z->k->nkept; i++)
        if (is_inner(z, &z->k->kept[i])) z->opening[i] = z->past[i] = as_kept(z, f->value[z->k->kept[i].before]);
}

Val ll_closing_value(const Nest *z, Ref r) {
    for (int i = 0; i < z->k->nkept && z->last; i++)
        if (z->k->kept[i].here == r && z->k->kept[i].closes) return z->opening[i];
    return NULL;
}

void ll_keep_segment(Nest *z, int64_t from) {
    int inner = z->k->rank - 1;
    if (!z->first || from > 0) return;
    Range all = z->range[inner];
    z->range[inner] = (Range){0, 0};
    compute_first(z);
    z->range[inner] = all;
}

void ll_keep_enter(Nest *z, BasicBlock before) {
    for (int i = 0; i < z->k->nkept && z->first; i++) {
        if (!is_inner(z, &z->k->kept[i])) continue;
        Val phi = LLVMBuildPhi(z->f->u->b, LLVMTypeOf(z->past[i]), "");
        LLVMAddIncoming(phi, &z->past[i], &before, 1);
        z->past[i] = phi;
    }
}

/* At the end of a point; in a loop, whose values at its head the present ones follow. */
void ll_keep_advance(Nest *z, bool loop) {
    Val next[LL_MOST_KEPT];
    if (!z->first) return;
    BasicBlock last = l_here(z->f->u);
    for (int i = 0; i < z->k->nkept; i++)
        if (is_inner(z, &z->k->kept[i])) next[i] = as_kept(z, z->f->value[z->k->kept[i].here]);
    for (int i = 0; i < z->k->nkept; i++) {
        if (!is_inner(z, &z->k->kept[i])) continue;
        if (loop) LLVMAddIncoming(z->past[i], &next[i], &last, 1);
        z->past[i] = next[i];
    }
}

void ll_keep_end(Nest *z) {
    scalar_walk_free(z->first);
    z->first = NULL;
}

/* ---- along other axes ---------------------------------------------------------------------- */

Val ll_kept_value(Nest *z, const KKept *v) {
    Func *f = z->f;
    if (is_inner(z, v)) return z->past[v - z->k->kept];
    Val p = ll_plane_address(z, v);
    ll_at_level(z, z->k->rank);
    return l_convert(f->u, z->mode == LANES_PARTS ? l_load(f->u, buf_vector(f, v->buf), p, buf_vector_align(f, v->buf))
                                     : l_load(f->u, buf_type(f, v->buf), p, buf_align(f, v->buf)), f->u->real);
}

void ll_keep_point(Nest *z) {
    Func *f = z->f;
    Unit *u = f->u;
    for (int i = 0; i < z->k->nkept; i++) {
        const KKept *v = &z->k->kept[i];
        if (is_inner(z, v)) continue;
        Val p = ll_plane_address(z, v);
        ll_at_level(z, z->k->rank);
        Val x = l_convert(u, as_kept(z, f->value[z->filling ? v->before : v->here]), buf_number(f, v->buf));
        l_store(u, x, p, z->mode == LANES_PARTS ? buf_vector_align(f, v->buf) : buf_align(f, v->buf));
    }
}

int ll_keep_along(const KKernel *k, int axis, KKept *out) {
    int n = 0;
    for (int i = 0; i < k->nkept; i++)
        if (k->kept[i].axis == axis && axis != k->rank - 1) out[n++] = k->kept[i];
    return n;
}
