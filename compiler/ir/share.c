/* share.c — what a stored array holds anyway is read there instead of computed again.
 *
 * An argument of a call is an array in memory.
 *   - A reduction with the same body, its axes perhaps in another order, reads that array: the
 *     gradient of a bias sums the adjoint of which the gradient of the weights is a contraction.
 *   - A costly value in the body of another array is read if it is that array's element at the same
 *     point: the tanh of a layer in the layer's derivative.
 *   - So is one that the element is under a condition, where the same condition decides:
 *     if x > 0 then x else expm1(x), and if x > 0 then … else g*(expm1(x) + 1).
 *
 * Requires: closed nodes; before ir_merge_maps, while equal values are still equal nodes.
 * Keeps: every value. */
#include "ir.h"
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

enum { COSTLY = 20 };        /* an elementary function, see ops.def: more than to read a number */

/* A computed argument of a call, as it is now; its body before it shared anything, as others hold
 * it; a read in there that names all of its axes, in this order (0: there is none); whether the
 * body is costly, and the branches of a choice. */
typedef struct Stored {
    Ref map, body, read;
    int order[IR_MAX_RANK];
    bool costly, branch[2];
    const LoopSet *loops;    /* to which it belongs */
} Stored;

typedef struct Share {
    Ir  *ir;
    Schedule *nodes;
    uint8_t *argument;       /* by Ref: is it an argument of a call? */
    Ref *memo;               /* by Ref: what has become of it, 0: not yet known */
    VEC(Stored) maps;
} Share;

bool ir_read_order(const Ir *ir, Ref read, int naxes, int *order) {
    if (NODE(ir, read)->op != SC_READ || NODE(ir, read)->nidx != naxes) return false;
    bool met[IR_MAX_RANK] = {false};
    for (int i = 0; i < naxes; i++) {
        const Affine *f = aff_get(ir, NIDX(ir, read, i)->aff);
        if (f->k || f->n != 1 || f->t[0].c != 1 || f->t[0].sym >= (Sym)naxes || met[f->t[0].sym]) return false;
        met[order[i] = (int)f->t[0].sym] = true;
    }
    return true;
}

/* ---- scalars ----------------------------------------------------------------------------- */

static ScalarWalk *walked(const Ir *ir, Ref scalar) {
    ScalarWalk *w = scalar_walk_new(ir);
    scalar_walk(w, 1, &scalar);
    return w;
}

static bool is_costly(const Ir *ir, Ref scalar) {
    ScalarWalk *w = walked(ir, scalar);
    int cost = 0;
    for (int i = 0; i < w->list.n; i++) cost += op_cost((Op)NODE(ir, w->list.data[i])->op);
    scalar_walk_free(w);
    return cost >= COSTLY;
}

/* An array's element at the point of the reader, what it is, and, if that is a choice, its parts
 * that are worth reading (else 0). */
typedef struct Element { Ref read, value, condition, yes, no; } Element;

static Ref replaced(Ir *ir, Ref scalar, const Element *e);

/* A branch of a choice with the condition of the element: there the element is `part`. */
static Ref replaced_in_branch(Ir *ir, Ref branch, const Element *e, Ref part) {
    return part ? replaced(ir, branch, &(Element){.read = e->read, .value = part}) : branch;
}

static Ref replaced_node(Ir *ir, Ref r, const Element *e, const ScalarWalk *w, const Ref *new) {
    if (r == e->value) return e->read;
    Node n = *NODE(ir, r);
    Ref args[4] = {0}, was[4] = {0};
    bool changed = false;
    if (n.op >= SC_CONST || n.nargs > 4) return r;
    for (uint32_t i = 0; i < n.nargs; i++) was[i] = NARG(ir, r, (int)i), args[i] = new[w->place[was[i]] - 1];
    if (n.op == SC_SELECT && was[0] == e->condition) {
        if (args[1] == was[1]) args[1] = replaced_in_branch(ir, was[1], e, e->yes);
        if (args[2] == was[2]) args[2] = replaced_in_branch(ir, was[2], e, e->no);
    }
    for (uint32_t i = 0; i < n.nargs; i++) changed |= args[i] != was[i];
    return changed ? ir_op(ir, (Op)n.op, (int)n.nargs, args) : r;
}

static Ref replaced(Ir *ir, Ref scalar, const Element *e) {
    ScalarWalk *w = walked(ir, scalar);
    Ref *new = lq_alloc((size_t)w->list.n * sizeof *new);
    for (int i = 0; i < w->list.n; i++) new[i] = replaced_node(ir, w->list.data[i], e, w, new);
    Ref out = new[w->place[scalar] - 1];
    free(new);
    scalar_walk_free(w);
    return out;
}

/* ---- arrays -------------------------------------------------------------------------------- */

/* The element of the map at a point of `reader`, its axis i being axis to[i] there; false: their
 * extents differ. */
static bool element_at(Ir *ir, const Stored *m, Ref reader, const int *to, Element *out) {
    int rank = NODE(ir, m->map)->rank;
    Sym syms[IR_MAX_RANK];
    Aff by[IR_MAX_RANK];
    Index ix[IR_MAX_RANK];
    bool own = true;
    for (int i = 0; i < rank; i++) {
        if (NDIM(ir, m->map, i) != NDIM(ir, reader, to[i])) return false;
        syms[i] = (Sym)i, by[i] = aff_sym(ir, (Sym)to[i]);
        ix[i] = (Index){by[i], IX_EXACT, NDIM(ir, m->map, i)};
        own &= to[i] == i;
    }
    Ref value = m->body;
    if (!own) value = ir_subst_syms(ir, value, rank, syms, by);
    *out = (Element){.read = ir_read(ir, m->map, ix), .value = value};
    if (NODE(ir, value)->op != SC_SELECT) return true;
    out->condition = NARG(ir, value, 0);
    if (m->branch[0]) out->yes = NARG(ir, value, 1);
    if (m->branch[1]) out->no = NARG(ir, value, 2);
    return true;
}

/* The body of `reader` with its axes so named: the element instead of it, or instead of values in it. */
static Ref body_with(Ir *ir, const Stored *m, Ref reader, const int *to, bool whole) {
    Element e;
    Ref body = NARG(ir, reader, 0);
    if (!element_at(ir, m, reader, to, &e)) return body;
    if (whole) return e.value == body ? e.read : body;
    return replaced(ir, body, &e);
}

/* Which axis is which: the same ones, or as one array is read by all of them in both bodies. */
static Ref body_sharing(Ir *ir, const Stored *m, Ref reader, bool whole) {
    int rank = NODE(ir, m->map)->rank, here[IR_MAX_RANK], to[IR_MAX_RANK];
    Ref body = NARG(ir, reader, 0), out;
    if (NODE(ir, reader)->rank + NODE(ir, reader)->nred != rank) return body;
    if (whole ? NODE(ir, m->body)->op != NODE(ir, body)->op : !m->costly) return body;
    for (int i = 0; i < rank; i++) to[i] = i;
    if ((out = body_with(ir, m, reader, to, whole)) != body || !m->read) return out;
    ScalarWalk *w = walked(ir, body);
    for (int i = 0; i < w->list.n && out == body; i++) {
        Ref r = w->list.data[i];
        if (NODE(ir, r)->op != SC_READ || NARG(ir, r, 0) != NARG(ir, m->read, 0) || !ir_read_order(ir, r, rank, here)) continue;
        for (int j = 0; j < rank; j++) to[m->order[j]] = here[j];
        out = body_with(ir, m, reader, to, whole);
    }
    scalar_walk_free(w);
    return out;
}

/* Is the map there whenever an array of these loops is made? */
static bool is_there(const Stored *m, const LoopSet *loops) {
    for (int i = 0; i < m->loops->n; i++)
        if (!loopset_has(loops, m->loops->loop[i])) return false;
    return true;
}

static Ref with_body(Ir *ir, Ref array, Ref body) {
    int64_t dims[IR_MAX_RANK];
    Node n = *NODE(ir, array);
    for (int d = 0; d < n.rank + n.nred; d++) dims[d] = NDIM(ir, array, d);
    return n.op == AR_MAP ? ir_map(ir, n.rank, dims, body) : ir_reduce(ir, (Op)n.aux, n.rank, n.nred, dims, body);
}

/* A map or a reduction: what it is as a whole comes first. */
static Ref sharing(const Share *s, Ref array, const LoopSet *loops) {
    Ir *ir = s->ir;
    int op = NODE(ir, array)->op;
    for (int whole = op == AR_REDUCE; whole >= 0; whole--)
        for (int i = 0; i < s->maps.n && NODE(ir, array)->op == op; i++) {
            const Stored *m = &s->maps.data[i];
            Ref body = NARG(ir, array, 0), new = body;
            if (NODE(ir, body)->op == SC_READ) return array;
            if (m->map != array && is_there(m, loops)) new = body_sharing(ir, m, array, whole);
            if (new != body) array = with_body(ir, array, new);
        }
    return array;
}

/* `was`: the map before it shared anything. */
static void note_map(Share *s, Ref map, Ref was, const LoopSet *loops) {
    const Ir *ir = s->ir;
    if (NODE(ir, map)->op != AR_MAP || NODE(ir, map)->rank == 0 || NODE(ir, was)->op != AR_MAP) return;
    Ref body = NARG(ir, was, 0);
    Stored m = {.map = map, .body = body, .loops = loops};
    if (NODE(ir, body)->op == SC_READ) return;
    ScalarWalk *w = walked(ir, body);
    for (int i = 0; i < w->list.n && !m.read; i++)
        if (ir_read_order(ir, w->list.data[i], NODE(ir, map)->rank, m.order)) m.read = w->list.data[i];
    scalar_walk_free(w);
    m.costly = is_costly(ir, body);
    for (int i = 0; i < 2 && NODE(ir, body)->op == SC_SELECT; i++) m.branch[i] = is_costly(ir, NARG(ir, body, i + 1));
    vec_push(&s->maps, m);
}

/* ---- the order ------------------------------------------------------------------------------ */

static bool is_ready(const Share *s, Ref r) {
    for (uint32_t i = 0; i < NODE(s->ir, r)->nargs; i++)
        if (!s->memo[NARG(s->ir, r, (int)i)]) return false;
    return true;
}

/* All that can be made without further reductions, or these reductions: so that they find what is
 * stored.  Whatever is read comes before its reader.  Returns whether anything was made. */
static bool make(Share *s, bool reductions) {
    bool any = false;
    for (int i = 0; i < s->nodes->nodes.n; i++) {
        Ref r = s->nodes->nodes.data[i];
        int op = NODE(s->ir, r)->op;
        if (s->memo[r] || (op == AR_REDUCE) != reductions || !is_ready(s, r)) continue;
        const LoopSet *loops = s->nodes->deps[i];
        Ref was = ir_remade(s->ir, r, s->memo), new = was;
        if ((op == AR_MAP || op == AR_REDUCE) && NODE(s->ir, was)->op == op) new = sharing(s, was, loops);
        if (s->argument[r]) note_map(s, new, was, loops);
        s->memo[r] = new;
        any = true;
    }
    return any;
}

void ir_share_maps(Ir *ir, int n, Ref *roots) {
    Share s = {.ir = ir, .nodes = schedule_new(ir, n, roots)};
    size_t nodes = (size_t)ir->nodes.n;
    bool any = false;
    s.argument = lq_alloc(nodes), memset(s.argument, 0, nodes);
    s.memo = lq_alloc(nodes * sizeof *s.memo), memset(s.memo, 0, nodes * sizeof *s.memo);
    for (int i = 0; i < s.nodes->nodes.n; i++) {
        Ref r = s.nodes->nodes.data[i];
        for (uint32_t j = 0; NODE(ir, r)->op == AR_CALL && j < NODE(ir, r)->nargs; j++) s.argument[NARG(ir, r, (int)j)] = any = true;
    }
    if (any) {
        while (make(&s, false) | make(&s, true)) {}
        for (int i = 0; i < n; i++) roots[i] = s.memo[roots[i]];
    }
    schedule_free(s.nodes);
    free(s.argument);
    free(s.memo);
    vec_free(&s.maps);
}
