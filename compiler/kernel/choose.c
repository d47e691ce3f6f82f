/* choose.c — outputs that are one of two arrays, whole: out[x] = if c then a[x] else b[x], where
 * c is the same at all points, as when a proposal is accepted.
 *
 * Requires: statements and buffers of a program.
 * Keeps: every value.
 *
 * A kernel that comes before and reads a at its own point can store it into the output on its
 * way.  What is left is out[x] = if c then out[x] else b[x], and where c is true for all
 * replicas there is nothing to do (kernel_choice).  So a pass over memory is saved. */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

typedef struct Choose {
    KProgram *p;
    Ir   *ir;
    ScalarWalk *walk;
    const Ref *out;          /* output arrays */
    Arena *arena;
} Choose;

static bool own_point(const Ir *ir, Ref read, const KKernel *k) {
    if (NODE(ir, read)->op != SC_READ || NODE(ir, read)->nidx != k->rank) return false;
    for (int d = 0; d < k->rank; d++) {
        const Affine *f = aff_get(ir, NIDX(ir, read, d)->aff);
        if (f->k || f->n != 1 || f->t[0].sym != (Sym)d || f->t[0].c != 1 || NIDX(ir, read, d)->n != k->ext[d]) return false;
    }
    return true;
}

static bool same_everywhere(Choose *s, Ref r) {
    scalar_walk(s->walk, 1, &r);
    for (int i = 0; i < s->walk->list.n; i++) {
        Ref node = s->walk->list.data[i];
        for (int d = 0; d < NODE(s->ir, node)->nidx; d++)
            if (aff_get(s->ir, NIDX(s->ir, node, d)->aff)->n) return false;
    }
    return true;
}

bool kernel_choice(const KProgram *p, const KKernel *k, Ref *condition) {
    const Ir *ir = p->ir;
    if (k->nroots != 1 || k->roots[0].nred || k->roots[0].ahead || k->rank == 0 || k->only.test) return false;
    Ref r = k->roots[0].expr;
    if (NODE(ir, r)->op != SC_SELECT || !own_point(ir, NARG(ir, r, 1), k)) return false;
    *condition = NARG(ir, r, 0);
    return p->buf_of[NARG(ir, NARG(ir, r, 1), 0)] == k->roots[0].buf;
}

static bool kernel_touches(Choose *s, const KKernel *k, int buf) {
    for (int i = 0; i < k->nroots; i++) {
        if (k->roots[i].buf == buf) return true;
        scalar_walk(s->walk, 1, &k->roots[i].expr);
        for (int j = 0; j < s->walk->list.n; j++) {
            Ref r = s->walk->list.data[j];
            if (NODE(s->ir, r)->op == SC_READ && s->p->buf_of[NARG(s->ir, r, 0)] == buf) return true;
        }
    }
    return false;
}

static bool touches(Choose *s, const KStmt *st, int buf) {
    if (st->kind == KS_KERNEL) return kernel_touches(s, &st->u.kernel, buf);
    if (st->kind == KS_COPY) return st->u.copy.dst == buf || st->u.copy.src == buf;
    for (int i = 0; i < st->u.loop.ncarry; i++)
        if (st->u.loop.carry[i].cur == buf || st->u.loop.carry[i].next == buf) return true;
    for (int i = 0; i < st->u.loop.nbody; i++)
        if (touches(s, &st->u.loop.body[i], buf)) return true;
    return false;
}

/* A kernel over the same points that reads `read` there, and does not write the array. */
static bool passes_by(Choose *s, const KStmt *st, const KKernel *k, Ref read, int array) {
    const KKernel *o = &st->u.kernel;
    if (st->kind != KS_KERNEL || o->only.test || o->rank != k->rank || memcmp(o->ext, k->ext, (size_t)k->rank * sizeof *k->ext)) return false;
    bool reads = false;
    for (int i = 0; i < o->nroots; i++) {
        if (o->roots[i].buf == array) return false;
        scalar_walk(s->walk, 1, &o->roots[i].expr);
        reads |= s->walk->place[read] != 0;
    }
    return reads;
}

static void store_there(Choose *s, KKernel *k, Ref read, int buf) {
    KRoot *roots = arena_alloc(s->arena, ((size_t)k->nroots + 1) * sizeof *roots);
    memcpy(roots, k->roots, (size_t)k->nroots * sizeof *roots);
    roots[k->nroots++] = (KRoot){read, 0, SC_NONE, buf, 0};
    k->roots = roots;
}

/* The select with its first branch read from the output. */
static Ref from_output(Choose *s, Ref select, Ref out) {
    Ir *ir = s->ir;
    Index ix[IR_MAX_RANK];
    Ref a = NARG(ir, select, 1);
    for (int d = 0; d < NODE(ir, a)->nidx; d++) ix[d] = *NIDX(ir, a, d);
    return ir_select(ir, NARG(ir, select, 0), ir_read(ir, out, ix), NARG(ir, select, 2));
}

static void choose_in(Choose *s, int at) {
    KStmt *st = s->p->stmts;
    KKernel *k = &st[at].u.kernel;
    if (st[at].kind != KS_KERNEL || k->nroots != 1 || k->roots[0].nred || k->nkept || k->only.test) return;
    const KBuf *b = &s->p->bufs[k->roots[0].buf];
    Ref r = k->roots[0].expr;
    if (b->kind != KB_OUT || NODE(s->ir, r)->op != SC_SELECT || NODE(s->ir, r)->boolean) return;
    Ref a = NARG(s->ir, r, 1);
    int buf = k->roots[0].buf;
    if (!own_point(s->ir, a, k) || !own_point(s->ir, NARG(s->ir, r, 2), k) || NODE(s->ir, a)->boolean) return;
    if (s->p->buf_of[s->out[b->slot]] != buf || !same_everywhere(s, NARG(s->ir, r, 0))) return;
    int array = s->p->buf_of[NARG(s->ir, a, 0)], from = at - 1;
    for (; from >= 0 && !passes_by(s, &st[from], k, a, array); from--)
        if (touches(s, &st[from], buf)) return;
    if (from < 0 || touches(s, &st[from], buf)) return;
    Ref chosen = from_output(s, r, s->out[b->slot]);
    if (NODE(s->ir, chosen)->op != SC_SELECT || NARG(s->ir, chosen, 0) != NARG(s->ir, r, 0)) return;
    k->roots[0].expr = chosen;
    store_there(s, &st[from].u.kernel, a, buf);
}

void kernel_choose(KProgram *p, const Ref *out, Arena *arena) {
    Choose s = {.p = p, .ir = p->ir, .walk = NULL, .out = out, .arena = arena};
    for (int i = p->nstmts - 1; i > 0; i--) {
        s.walk = scalar_walk_new(p->ir);       /* the Ir may have grown */
        choose_in(&s, i);
        scalar_walk_free(s.walk);
    }
}
