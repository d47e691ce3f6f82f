/* merge.c — maps that are read in one place only, at the reader's own point, become part of
 * the reader's body, so that the normal form of sums (simplify.c) sees the whole: a force
 * and the kick that it gives are one polynomial.
 *
 * Keeps: values up to rounding.  A map stays by itself when it belongs to another loop than
 * its reader (it would be computed anew in each iteration), when it is a result or a carry's
 * initial or next value, and when the body would become larger than MAX_MERGED. */
#include "ir.h"
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_MERGED = 600 };       /* nodes of a body */

/* Who reads a map: one array by one read (reader, read), nobody yet (0), or MANY. */
#define MANY ((Ref)-1)
typedef struct Reader { Ref array, read; int size; } Reader;

typedef struct Merge {
    Ir  *ir;
    Schedule *order;
    ScalarWalk *walk;
    Reader *by;              /* by Ref of arrays */
    Ref *memo;
} Merge;

static bool reads_own_point(const Ir *ir, Ref read, Ref reader) {
    Ref a = NARG(ir, read, 0);
    int rank = NODE(ir, reader)->rank + NODE(ir, reader)->nred;
    if (NODE(ir, a)->rank != rank || NODE(ir, a)->op != AR_MAP) return false;
    for (int i = 0; i < rank; i++) {
        const Affine *f = aff_get(ir, NIDX(ir, read, i)->aff);
        if (f->k || f->n != 1 || f->t[0].sym != (Sym)i || f->t[0].c != 1) return false;
        if (NDIM(ir, a, i) != NDIM(ir, reader, i)) return false;
    }
    return true;
}

static bool same_loops(const Merge *m, Ref a, Ref b) {
    const LoopSet *x = m->order->deps[PLACE(m->order, a)], *y = m->order->deps[PLACE(m->order, b)];
    bool same = x->n == y->n;
    for (int i = 0; i < x->n && same; i++) same = x->loop[i] == y->loop[i];
    return same;
}

static void note_readers(Merge *m, Ref array) {
    const Ir *ir = m->ir;
    const Node *n = NODE(ir, array);
    if (n->op != AR_MAP && n->op != AR_REDUCE) {
        for (uint32_t i = 0; i < n->nargs; i++) m->by[NARG(ir, array, (int)i)].array = MANY;
        return;
    }
    Ref body = NARG(ir, array, 0);
    scalar_walk(m->walk, 1, &body);
    m->by[array].size = m->walk->list.n;
    for (int i = 0; i < m->walk->list.n; i++) {
        Ref r = m->walk->list.data[i];
        if (NODE(ir, r)->op != SC_READ) continue;
        Reader *by = &m->by[NARG(ir, r, 0)];
        by->array = by->array ? MANY : array;
        by->read = r;
    }
}

/* Arguments come first in the order, so a map's own size is final when its reader is met. */
static void decide(Merge *m) {
    const Ir *ir = m->ir;
    for (int i = 0; i < m->order->nodes.n; i++) {
        Ref a = m->order->nodes.data[i];
        if (NODE(ir, a)->op != AR_MAP) continue;
        Reader *by = &m->by[a];
        bool good = by->array && by->array != MANY && reads_own_point(ir, by->read, by->array) &&
                    same_loops(m, a, by->array) && m->by[by->array].size + by->size <= MAX_MERGED;
        if (good) m->by[by->array].size += by->size;
        else by->array = 0;
    }
}

static Ref remake(Merge *m, Ref r) {
    Ir *ir = m->ir;
    if (NODE(ir, r)->op == SC_READ) {
        Ref a = NARG(ir, r, 0);
        if (NODE(ir, a)->op == AR_MAP && m->by[a].array && m->by[a].read == r) return m->memo[NARG(ir, a, 0)];
    }
    return ir_remade(ir, r, m->memo);
}

void ir_merge_maps(Ir *ir, int n, Ref *roots) {
    Merge m = {.ir = ir, .order = schedule_new(ir, n, roots), .walk = scalar_walk_new(ir)};
    size_t nodes = (size_t)ir->nodes.n;
    m.by = lq_alloc(nodes * sizeof *m.by);
    m.memo = lq_alloc(nodes * sizeof *m.memo);
    memset(m.by, 0, nodes * sizeof *m.by);
    for (int i = 0; i < m.order->nodes.n; i++)
        if (ir_is_array(ir, m.order->nodes.data[i])) note_readers(&m, m.order->nodes.data[i]);
    for (int i = 0; i < n; i++) m.by[roots[i]].array = MANY;
    decide(&m);
    for (int i = 0; i < m.order->nodes.n; i++) {
        Ref r = m.order->nodes.data[i];
        m.memo[r] = remake(&m, r);
    }
    for (int i = 0; i < n; i++) roots[i] = m.memo[roots[i]];
    scalar_walk_free(m.walk);
    schedule_free(m.order);
    free(m.by);
    free(m.memo);
}
