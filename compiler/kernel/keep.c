/* keep.c — values of a kernel that another point of it has computed already (KKept).
 *
 * Requires: the roots of a kernel.
 * Keeps: every bit of the results; an executor that computes each value anew is right too.
 *
 * The force on an angle holds sin(q[x + 1] - q[x]) and sin(q[x] - q[x - 1]): the second is
 * the first of the point before.  So it is for the link or the plaquette of any action that
 * is a sum over them: each is wanted at all of its ends.  A value that costs at least as
 * much as an elementary function is computed once, at the foremost point that wants it, and
 * handed on: in a register along the innermost axis, in a buffer along another one.
 * What is cheap is computed anew. */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

enum {
    COSTLY = 20,             /* flops: an elementary function */
    LEAST_EXTENT = 4,        /* of the axis: the first point computes both */
    MOST_IN_REGISTERS = 8,
    MOST_KEPT = 32,
    MOST_DEPTH = 40,         /* of expressions compared */
    MOST_COMPARED = 400      /* nodes of one comparison */
};

/* What is known of a scalar of the kernel, by position in the walk. */
typedef struct Known {
    uint64_t shape;          /* the same for expressions that differ by a shift */
    double cost;             /* of the expression as a tree */
    bool point;              /* differs from point to point of a row */
    bool drawn;              /* holds random numbers */
    bool seen;               /* by the choice */
    int next;                /* another of the same bucket of shapes, -1: none */
} Known;

typedef struct Keep {
    const Ir *ir;
    ScalarWalk *walk;
    Known *known;
    KKernel *k;
    int *bucket; uint64_t nbuckets;         /* heads of lists of positions, by shape */
    VEC(Ref) stack;
    KKept kept[MOST_KEPT]; int nkept, nregisters;
    int axis, budget;        /* of the comparison being made */
    bool closing;            /* it is about the last point of the axis and the first one */
} Keep;

/* ---- shapes --------------------------------------------------------------------------- */

static uint64_t mixed(uint64_t h, uint64_t x) {
    h = (h ^ x) * 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

static bool operands_commute(int op) { return op == SC_ADD || op == SC_MUL || op == SC_FMA; }

static Known *known_of(const Keep *s, Ref r) { return &s->known[s->walk->place[r] - 1]; }

/* All but the constants of indices, and their modes. */
static uint64_t shape_of_indices(const Ir *ir, Ref r, uint64_t h) {
    for (int i = 0; i < NODE(ir, r)->nidx; i++) {
        const Affine *a = aff_get(ir, NIDX(ir, r, i)->aff);
        h = mixed(h, (uint64_t)NIDX(ir, r, i)->n);
        for (int t = 0; t < a->n; t++) h = mixed(mixed(h, a->t[t].sym), (uint64_t)a->t[t].c);
    }
    return h;
}

static void learn(Keep *s, Ref r) {
    const Ir *ir = s->ir;
    const Node *n = NODE(ir, r);
    int inner = s->k->rank - 1;
    uint64_t bits, of[3] = {0};
    Known k = {.cost = op_cost((Op)n->op), .drawn = n->op == SC_RAND};
    memcpy(&bits, &n->val, sizeof bits);
    k.shape = mixed(mixed(n->op, n->boolean), n->op == SC_CONST ? bits : n->op == SC_READ ? NARG(ir, r, 0) : 0);
    for (int i = 0; i < n->nidx; i++) k.point |= aff_coef(ir, NIDX(ir, r, i)->aff, (Sym)inner) != 0;
    for (uint32_t i = 0; i < n->nargs && n->op != SC_READ; i++) {
        const Known *a = known_of(s, NARG(ir, r, (int)i));
        k.cost += a->cost, k.point |= a->point, k.drawn |= a->drawn;
        of[i < 3 ? i : 2] = a->shape;
    }
    if (operands_commute(n->op)) k.shape = mixed(mixed(k.shape, of[0] + of[1]), of[2]);
    else k.shape = mixed(mixed(mixed(k.shape, of[0]), of[1]), of[2]);
    k.shape = shape_of_indices(ir, r, k.shape);
    *known_of(s, r) = k;
}

/* ---- is one expression the other, one step back? ------------------------------------------ */

/* At the last point of the axis, and at the first: the same element? */
static bool index_closes(const Keep *s, const Index *here, const Index *before) {
    const Affine *a = aff_get(s->ir, here->aff), *b = aff_get(s->ir, before->aff);
    int64_t apart = a->k + aff_coef(s->ir, here->aff, (Sym)s->axis) * (s->k->ext[s->axis] - 1) - b->k;
    bool turns = here->mode <= IX_PERIODIC && before->mode <= IX_PERIODIC;
    return apart == 0 || (turns && here->n > 0 && apart % here->n == 0);
}

/* Where one of the modes is exact, the index is inside, and all modes mean the same there. */
static bool index_is_behind(const Keep *s, const Index *here, const Index *before) {
    const Affine *a = aff_get(s->ir, here->aff), *b = aff_get(s->ir, before->aff);
    bool modes = here->mode == before->mode || here->mode == IX_EXACT || before->mode == IX_EXACT;
    if (!modes || here->n != before->n || a->n != b->n) return false;
    int64_t k = a->k;
    for (int i = 0; i < a->n; i++) {
        if (a->t[i].sym != b->t[i].sym || a->t[i].c != b->t[i].c) return false;
        if (a->t[i].sym == (Sym)s->axis) k -= a->t[i].c;
    }
    return k == b->k && (!s->closing || index_closes(s, here, before));
}

static bool is_behind(Keep *s, Ref here, Ref before, int depth);

static bool operands_behind(Keep *s, const Ref *here, const Ref *before, int n, int depth) {
    for (int i = 0; i < n; i++)
        if (!is_behind(s, here[i], before[i], depth)) return false;
    return true;
}

static bool is_behind(Keep *s, Ref here, Ref before, int depth) {
    const Ir *ir = s->ir;
    const Node *a = NODE(ir, here), *b = NODE(ir, before);
    if (--s->budget < 0 || depth > MOST_DEPTH) return false;
    if (known_of(s, here)->shape != known_of(s, before)->shape) return false;
    if (a->op != b->op || a->boolean != b->boolean || a->nargs != b->nargs || a->nidx != b->nidx) return false;
    if (a->op == SC_CONST) return here == before || (ir_is_literal(ir, here, NULL) && ir_is_literal(ir, before, NULL) && memcmp(&a->val, &b->val, sizeof a->val) == 0);
    if (a->op == SC_READ && NARG(ir, here, 0) != NARG(ir, before, 0)) return false;
    for (int i = 0; i < a->nidx; i++)
        if (!index_is_behind(s, NIDX(ir, here, i), NIDX(ir, before, i))) return false;
    if (a->op >= SC_CONST) return a->op != SC_RAND;
    const Ref *x = ir->args.data + a->args, *y = ir->args.data + b->args;
    if (operands_behind(s, x, y, (int)a->nargs, depth + 1)) return true;
    if (!operands_commute(a->op)) return false;
    Ref turned[3] = {y[1], y[0], a->nargs == 3 ? y[2] : 0};
    return operands_behind(s, x, turned, (int)a->nargs, depth + 1);
}

/* ---- the choice ------------------------------------------------------------------------------ */

/* Flops of the different nodes below r, or more than COSTLY. */
static double cost_below(Keep *s, Ref r) {
    Ref seen[64];
    int n = 0;
    double cost = 0;
    seen[n++] = r;
    for (int i = 0; i < n && cost <= COSTLY; i++) {
        const Node *node = NODE(s->ir, seen[i]);
        cost += op_cost((Op)node->op);
        for (uint32_t a = 0; a < node->nargs && node->op != SC_READ; a++) {
            Ref arg = NARG(s->ir, seen[i], (int)a);
            int j = 0;
            while (j < n && seen[j] != arg) j++;
            if (j < n) continue;
            if (n == LQ_COUNT(seen)) return COSTLY + 1;
            seen[n++] = arg;
        }
    }
    return cost;
}

/* The value that `before` is one step back along the axis; 0: none. */
static Ref partner(Keep *s, Ref before, int axis) {
    s->axis = axis;
    for (int i = s->bucket[known_of(s, before)->shape & (s->nbuckets - 1)]; i >= 0; i = s->known[i].next) {
        s->budget = MOST_COMPARED;
        if (s->walk->list.data[i] != before && is_behind(s, s->walk->list.data[i], before, 0)) return s->walk->list.data[i];
    }
    return 0;
}

/* The innermost axis first: what it hands on need not be stored, and planes grow outwards. */
static bool find_kept(Keep *s, Ref before) {
    const Known *k = known_of(s, before);
    if (!k->point || k->drawn || k->cost < COSTLY || s->nkept == MOST_KEPT || NODE(s->ir, before)->boolean) return false;
    if (cost_below(s, before) < COSTLY) return false;
    for (int axis = s->k->rank - 1; axis >= 0; axis--) {
        bool inner = axis == s->k->rank - 1;
        if (s->k->ext[axis] < LEAST_EXTENT || (inner && s->nregisters == MOST_IN_REGISTERS)) continue;
        Ref here = partner(s, before, axis);
        if (!here) continue;
        s->nregisters += inner;
        s->budget = MOST_COMPARED, s->closing = inner;
        bool closes = inner && is_behind(s, here, before, 0);
        s->closing = false;
        s->kept[s->nkept++] = (KKept){here, before, axis, -1, 0, closes};
        return true;
    }
    return false;
}

/* From the roots down: the largest expressions come first, and what only a kept value
 * would need is not looked at. */
static void choose(Keep *s) {
    for (int i = 0; i < s->k->nroots; i++) vec_push(&s->stack, s->k->roots[i].expr);
    while (s->stack.n) {
        Ref r = s->stack.data[--s->stack.n];
        Known *k = known_of(s, r);
        if (k->seen) continue;
        k->seen = true;
        if (find_kept(s, r)) {
            vec_push(&s->stack, s->kept[s->nkept - 1].here);
            continue;
        }
        for (uint32_t i = 0; i < NODE(s->ir, r)->nargs && NODE(s->ir, r)->op != SC_READ; i++)
            vec_push(&s->stack, NARG(s->ir, r, (int)i));
    }
}

static void walk_roots(ScalarWalk *w, const KKernel *k) {
    VEC(Ref) roots = {0};
    for (int i = 0; i < k->nroots; i++) vec_push(&roots, k->roots[i].expr);
    scalar_walk(w, roots.n, roots.data);
    vec_free(&roots);
}

static void list_shapes(Keep *s) {
    for (s->nbuckets = 16; s->nbuckets < (uint64_t)s->walk->list.n; s->nbuckets *= 2) {}
    s->bucket = lq_alloc(s->nbuckets * sizeof *s->bucket);
    for (uint64_t i = 0; i < s->nbuckets; i++) s->bucket[i] = -1;
    for (int i = 0; i < s->walk->list.n; i++) {
        int *head = &s->bucket[s->known[i].shape & (s->nbuckets - 1)];
        s->known[i].next = *head, *head = i;
    }
}

void kernel_keep(const Ir *ir, KKernel *k, Arena *arena) {
    bool costly = false;
    k->kept = NULL, k->nkept = 0;
    if (k->rank == 0 || k->only.test) return;       /* restricted: the point before may be left out */
    Keep s = {.ir = ir, .walk = scalar_walk_new(ir), .k = k};
    walk_roots(s.walk, k);
    s.known = lq_alloc(((size_t)s.walk->list.n + 1) * sizeof *s.known);
    for (int i = 0; i < s.walk->list.n; i++) {
        learn(&s, s.walk->list.data[i]);
        costly |= s.known[i].point && s.known[i].cost >= COSTLY;
    }
    if (costly) {
        list_shapes(&s);
        choose(&s);
    }
    if (s.nkept) {
        k->kept = arena_alloc(arena, (size_t)s.nkept * sizeof *k->kept);
        memcpy(k->kept, s.kept, (size_t)s.nkept * sizeof *k->kept);
        k->nkept = s.nkept;
    }
    free(s.known);
    free(s.bucket);
    vec_free(&s.stack);
    scalar_walk_free(s.walk);
}

/* ---- what is left to compute ---------------------------------------------------------------- */

const KKept *kernel_kept(const KKernel *k, Ref before) {
    for (int i = 0; i < k->nkept; i++)
        if (k->kept[i].before == before) return &k->kept[i];
    return NULL;
}

int64_t kernel_plane(const KKernel *k, int axis) {
    int64_t n = 1;
    for (int a = axis + 1; a < k->rank; a++) n *= k->ext[a];
    return n;
}

void kernel_scalars(ScalarWalk *w, const KKernel *k, bool *needed) {
    const Ir *ir = w->ir;
    VEC(Ref) stack = {0};
    walk_roots(w, k);
    for (int i = 0; i < w->list.n; i++) needed[i] = k->nkept == 0;
    for (int i = 0; i < k->nroots && k->nkept; i++) vec_push(&stack, k->roots[i].expr);
    while (stack.n) {
        Ref r = stack.data[--stack.n];
        bool *seen = &needed[w->place[r] - 1];
        if (*seen) continue;
        *seen = true;
        const KKept *kept = kernel_kept(k, r);
        if (kept) { vec_push(&stack, kept->here); continue; }
        for (uint32_t i = 0; i < NODE(ir, r)->nargs && NODE(ir, r)->op != SC_READ; i++) vec_push(&stack, NARG(ir, r, (int)i));
    }
    vec_free(&stack);
}
