/* elab_arrays.c — functions of whole arrays: svd, eigh, cholesky, solve, logdet; elements chosen by
 * computed numbers; arrays over windows added up on their lattice. */
#include "elab.h"

#include <string.h>

/* A real array over so many index sets, known without indices around it. */
static bool whole_array(Elab *e, const Value *v, int nsets, const char *name, Span at, Ref *node) {
    Sym outer[IR_MAX_RANK];
    if (v->kind == VK_ERROR) return false;
    if (v->kind != VK_NUM || v->u.num.nsets != nsets || v->u.num.complex || v->u.num.boolean) {
        elab_error(e, "E0336", at, "`%s` takes a real array over %d index set%s, and this is %s", name, nsets, nsets == 1 ? "" : "s", value_describe(e, v));
        return false;
    }
    v = value_close(e, v);
    if (value_outer_syms(e, v, outer)) {
        Diag *d = elab_error(e, "E0336", at, "`%s` takes a whole array, and this one depends on an index from outside", name);
        diag_help(&e->front->sink, d, "call `%s` before the indices are bound", name);
        return false;
    }
    *node = value_node(e, v, false);
    return true;
}

/* rows x columns of the two sets of a matrix: axes of lattices count together. */
static int64_t rows_of(const Value *v) { return set_size(v->u.num.sets[0]); }
static int64_t columns_of(const Value *v) { return set_size(v->u.num.sets[1]); }

/* The matrix of an array over two sets, its lattices written as one axis each. */
static Ref flat_matrix(Elab *e, const Value *v, Ref node) {
    Ir *ir = e->ir;
    return NODE(ir, node)->rank == 2 ? node : ir_reshape(ir, node, 2, (int64_t[]){rows_of(v), columns_of(v)});
}

/* Part of a packed row from `first` on, as an array over these sets. */
static const Value *unpack(Elab *e, Ref packed, int64_t first, int n, IndexSet *const *sets, Span at) {
    Ir *ir = e->ir;
    int64_t dims[IR_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < sets[i]->rank; k++) dims[rank++] = sets[i]->ext[k];
    Aff place = aff_const(ir, 0);
    for (int i = 0; i < rank; i++) place = aff_add(ir, aff_scale(ir, place, dims[i]), aff_sym(ir, (Sym)i));
    Index ix = {aff_shift(ir, place, first), IX_EXACT, NDIM(ir, packed, 0)};
    return value_array(e, ir_map(ir, rank, dims, ir_read(ir, packed, &ix)), 0, 0, NULL, n, sets, at);
}

static bool square(Elab *e, const Value *v, const char *name, Span at) {
    if (rows_of(v) == columns_of(v)) return true;
    Diag *d = elab_error(e, "E0336", at, "`%s` takes a square matrix, and this one has %lld rows and %lld columns", name,
                         (long long)rows_of(v), (long long)columns_of(v));
    for (int i = 0; i < 2; i++) diag_label(&e->front->sink, d, v->u.num.sets[i]->at, "%s", set_describe(e->arena, v->u.num.sets[i]));
    return false;
}

const Value *elab_svd(Elab *e, const Value *a, Span at) {
    Ref node;
    if (!whole_array(e, a, 2, "svd", at, &node)) return value_error();
    int64_t m = rows_of(a), n = columns_of(a), k = m < n ? m : n;
    Ref packed = ir_svd(e->ir, flat_matrix(e, a, node));
    IndexSet *K = set_range(e, 0, k - 1, at), *rows = a->u.num.sets[0], *columns = a->u.num.sets[1];
    const Value *items[3] = {unpack(e, packed, 0, 2, (IndexSet *[]){rows, K}, at), unpack(e, packed, m * k, 1, &K, at),
                             unpack(e, packed, m * k + k, 2, (IndexSet *[]){columns, K}, at)};
    return value_tuple(e, 3, items, at);
}

/* What lies below the diagonal and what lies above it count alike, also in derivatives. */
static Ref symmetrised(Ir *ir, Ref a) {
    Index i = {aff_sym(ir, 0), IX_EXACT, NDIM(ir, a, 0)}, j = {aff_sym(ir, 1), IX_EXACT, NDIM(ir, a, 1)};
    Ref sum = ir_binary(ir, SC_ADD, ir_read(ir, a, (Index[]){i, j}), ir_read(ir, a, (Index[]){j, i}));
    return ir_map(ir, 2, (int64_t[]){NDIM(ir, a, 0), NDIM(ir, a, 1)}, ir_binary(ir, SC_MUL, ir_const(ir, 0.5), sum));
}

const Value *elab_eigh(Elab *e, const Value *a, Span at) {
    Ref node;
    if (!whole_array(e, a, 2, "eigh", at, &node) || !square(e, a, "eigh", at)) return value_error();
    Ref packed = ir_eigh(e->ir, symmetrised(e->ir, flat_matrix(e, a, node)));
    IndexSet *K = set_range(e, 0, rows_of(a) - 1, at);
    const Value *items[2] = {unpack(e, packed, 0, 1, &K, at), unpack(e, packed, rows_of(a), 2, (IndexSet *[]){a->u.num.sets[0], K}, at)};
    return value_tuple(e, 2, items, at);
}

static const Value *matrix_value(Elab *e, Ref node, int n, IndexSet *const *sets, Span at) {
    int64_t dims[IR_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < sets[i]->rank; k++) dims[rank++] = sets[i]->ext[k];
    if (NODE(e->ir, node)->rank != rank) node = ir_reshape(e->ir, node, rank, dims);
    return value_array(e, node, 0, 0, NULL, n, sets, at);
}

const Value *elab_cholesky(Elab *e, const Value *a, Span at) {
    Ref node;
    if (!whole_array(e, a, 2, "cholesky", at, &node) || !square(e, a, "cholesky", at)) return value_error();
    return matrix_value(e, ir_cholesky(e->ir, symmetrised(e->ir, flat_matrix(e, a, node))), 2, a->u.num.sets, at);
}

const Value *elab_solve(Elab *e, const Value *a, const Value *b, Span a_at, Span b_at, Span at) {
    Ref an, bn;
    int columns = b->kind == VK_NUM && b->u.num.nsets == 2 ? 2 : 1;
    if (!whole_array(e, a, 2, "solve", a_at, &an) || !square(e, a, "solve", a_at) || !whole_array(e, b, columns, "solve", b_at, &bn)) return value_error();
    if (b->u.num.sets[0] != a->u.num.sets[0]) {
        Diag *d = elab_error(e, "E0336", b_at, "the right side is an array over `%s`, and the rows of the matrix are `%s`", b->u.num.sets[0]->name, a->u.num.sets[0]->name);
        diag_label(&e->front->sink, d, a_at, "the matrix");
        return value_error();
    }
    int64_t rows = rows_of(a), width = columns == 2 ? columns_of(b) : 1;
    Ref right = ir_reshape(e->ir, bn, 2, (int64_t[]){rows, width});
    Ref x = ir_solve(e->ir, flat_matrix(e, a, an), right);
    IndexSet *sets[2] = {a->u.num.sets[1], columns == 2 ? b->u.num.sets[1] : NULL};
    return matrix_value(e, x, columns, sets, at);
}

const Value *elab_logdet(Elab *e, const Value *a, Span at) {
    Ref node;
    if (!whole_array(e, a, 2, "logdet", at, &node) || !square(e, a, "logdet", at)) return value_error();
    return value_real(e, ir_read(e->ir, ir_logdet(e->ir, flat_matrix(e, a, node)), NULL), at);
}

/* ---- elements chosen by computed numbers --------------------------------------------------------- */

/* v[p, …] with a number p that only the run knows: its elements over the sets that are left. */
const Value *elab_taken(Elab *e, const Value *v, const Value *place, Span at) {
    Sym prefix[IR_MAX_RANK], outer[IR_MAX_RANK];
    IndexSet *s = v->u.num.sets[0];
    const Value *closed = value_close(e, v), *number = value_close(e, place);
    if (value_outer_syms(e, closed, outer)) {
        Diag *d = elab_error(e, "E0210", at, "an element is chosen by a computed number only where the array does not depend on other indices");
        diag_help(&e->front->sink, d, "give the array a name outside the indices");
        return value_error();
    }
    if (s->first) number = value_close(e, value_binary(e, OP_SUB, number, value_const(e, (double)s->first, at), at, at));
    int n = value_outer_syms(e, number, prefix);
    Ref places = value_node_over(e, number, false, n, prefix), parts[2] = {0, 0};
    for (int p = 0; p < (v->u.num.complex ? 2 : 1); p++) parts[p] = ir_take(e->ir, value_node(e, closed, p), places, s->rank);
    return value_array(e, parts[0], parts[1], n, prefix, v->u.num.nsets - 1, v->u.num.sets + 1, at);
}

/* ---- windows ------------------------------------------------------------------------------------ */

/* v over (…, S, D), S a coarse lattice or a lattice, D a window or block of the fine one: at each fine
 * site the sum of all v[…, s, d] with factor*s + d there.  The adjoint of reading at factor*s + d. */
const Value *elab_spread(Elab *e, const Value *v, Span at) {
    int n = v->kind == VK_NUM ? v->u.num.nsets : 0;
    IndexSet *D = n >= 2 ? v->u.num.sets[n - 1] : NULL, *S = n >= 2 ? v->u.num.sets[n - 2] : NULL;
    if (!D || D->kind != SET_WINDOW || !(S == D->lattice || S->fine == D->lattice)) {
        Diag *d = elab_error(e, "E0336", at, "`spread` takes an array over sites and a window of their lattice, and this is %s", value_describe(e, v));
        diag_help(&e->front->sink, d, "for example over coarse(X, 2) and block(X, 2)");
        return value_error();
    }
    Sym prefix[IR_MAX_RANK];
    Ir *ir = e->ir;
    v = value_close(e, v);
    int np = value_outer_syms(e, v, prefix), axis = np, rank = 0;
    int64_t dims[IR_MAX_RANK], factor = S == D->lattice ? 1 : S->factor;
    Index ix[IR_MAX_RANK];
    Ref values = value_node_over(e, v, false, np, prefix);
    for (int i = 0; i < np; i++) dims[rank] = elab_sym_extent(e, prefix[i]), ix[rank] = (Index){aff_sym(ir, (Sym)i), IX_EXACT, dims[rank]}, rank++;
    for (int i = 0; i < n - 2; i++)
        for (int k = 0; k < v->u.num.sets[i]->rank; k++, axis++)
            dims[rank] = v->u.num.sets[i]->ext[k], ix[rank] = (Index){aff_sym(ir, (Sym)axis), IX_EXACT, dims[rank]}, rank++;
    for (int k = 0; k < S->rank; k++) {
        Aff site = aff_add(ir, aff_scale(ir, aff_sym(ir, (Sym)(axis + k)), factor), aff_sym(ir, (Sym)(axis + S->rank + k)));
        dims[rank] = D->lattice->ext[k];
        ix[rank++] = (Index){aff_shift(ir, site, D->first), D->lattice->mode[k], D->lattice->ext[k]};
    }
    IndexSet *sets[MAX_SETS];
    memcpy(sets, v->u.num.sets, (size_t)(n - 2) * sizeof *sets);
    sets[n - 2] = D->lattice;
    return value_array(e, ir_scatter(ir, values, rank, dims, ix), 0, np, prefix, n - 1, sets, at);
}

/* ---- the same elements over other sets ----------------------------------------------------------------- */

/* The elements of v, row by row, as an array over n sets with as many elements in all. */
static const Value *over_sets(Elab *e, const Value *v, int n, IndexSet *const *sets, Span at) {
    Sym prefix[IR_MAX_RANK];
    v = value_close(e, v);
    int np = value_outer_syms(e, v, prefix), rank = 0;
    int64_t dims[IR_MAX_RANK];
    for (int i = 0; i < np; i++) dims[rank++] = elab_sym_extent(e, prefix[i]);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < sets[i]->rank; k++) {
            if (rank == IR_MAX_RANK) return ELAB_FAIL(e, "E0219", at, "more than %d index components at once", IR_MAX_RANK);
            dims[rank++] = sets[i]->ext[k];
        }
    Ref parts[2] = {0, 0};
    for (int p = 0; p < (v->u.num.complex ? 2 : 1); p++) {
        parts[p] = value_node_over(e, v, p, np, prefix);
        if (NODE(e->ir, parts[p])->rank != rank || memcmp(&NDIM(e->ir, parts[p], 0), dims, (size_t)rank * sizeof *dims) != 0)
            parts[p] = ir_reshape(e->ir, parts[p], rank, dims);
    }
    return value_array(e, parts[0], parts[1], np, prefix, n, sets, at);
}

static int64_t elements_of(const Value *v) {
    int64_t n = 1;
    for (int i = 0; i < v->u.num.nsets; i++) n *= set_size(v->u.num.sets[i]);
    return n;
}

/* flat(v): over 0..size(v) - 1. */
const Value *elab_flat(Elab *e, const Value *v, Span at) {
    if (v->kind != VK_NUM || v->u.num.boolean)
        return ELAB_FAIL(e, "E0336", at, "`flat` takes an array, and this is %s", value_describe(e, v));
    IndexSet *all = set_range(e, 0, elements_of(v) - 1, at);
    return over_sets(e, v, 1, &all, at);
}

/* shaped(v, like): over the sets of `like`. */
const Value *elab_shaped(Elab *e, const Value *v, const Value *like, const Span *arg_at, Span at) {
    for (int i = 0; i < 2; i++) {
        const Value *a = i ? like : v;
        if (a->kind != VK_NUM || a->u.num.boolean)
            return ELAB_FAIL(e, "E0336", arg_at[i], "`shaped` takes two arrays, and this is %s", value_describe(e, a));
    }
    if (elements_of(v) != elements_of(like)) {
        Diag *d = elab_error(e, "E0336", arg_at[0], "`shaped` takes arrays of as many elements, and these have %lld and %lld", (long long)elements_of(v),
                             (long long)elements_of(like));
        diag_label(&e->front->sink, d, arg_at[1], "%s", value_describe(e, like));
        return value_error();
    }
    return over_sets(e, v, like->u.num.nsets, like->u.num.sets, at);
}
