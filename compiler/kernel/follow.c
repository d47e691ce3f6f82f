/* follow.c — kernels that follow a contraction: a layer's bias and activation, the derivative of
 * one, an optimizer's step.
 *
 * Requires: statements and buffers, tasks (share.c); no scratch space yet, as what a contraction
 *   reads has to stay until its follower is done.
 * Keeps: every value and its bits: the follower's tasks are rows, and it reads of the contraction's
 *   result its own row only.
 *
 * The contraction makes some rows, the follower then takes them from the nearest cache, where a
 * kernel by itself would find them in the second one, or in none. */
#include "kernel.h"

enum {
    LEAST_BYTES = 32768,     /* of the result: less stays near anyway */
    NEAR_BYTES = 16384,      /* of its rows that are a task */
    MOST_TASKS = 4096
};

/* Reads the element's row of the follower, and no other. */
static bool reads_own_row(const Ir *ir, Ref read) {
    for (int d = 0; d < NODE(ir, read)->nidx; d++) {
        const Affine *a = aff_get(ir, NIDX(ir, read, d)->aff);
        bool own = a->k == 0 && a->n == 1 && a->t[0].sym == 0 && a->t[0].c == 1;
        if (d == 0 ? !own : aff_coef(ir, NIDX(ir, read, d)->aff, 0) != 0) return false;
    }
    return NODE(ir, read)->nidx > 0;
}

/* Of the contraction's result it reads something, and only rows of its own. */
static bool reads_rows(const KProgram *p, const KCall *c, const KKernel *k) {
    ScalarWalk *w = scalar_walk_new(p->ir);
    Ref roots[64];
    bool some = false, own = k->nroots <= 64;
    for (int i = 0; i < k->nroots && own; i++) roots[i] = k->roots[i].expr;
    if (own) scalar_walk(w, k->nroots, roots);
    for (int i = 0; i < w->list.n && own; i++) {
        Ref r = w->list.data[i];
        if (NODE(p->ir, r)->op != SC_READ || p->buf_of[NARG(p->ir, r, 0)] != c->out) continue;
        some = true, own = NDIM(p->ir, NARG(p->ir, r, 0), 0) == k->ext[0] && reads_own_row(p->ir, r);
    }
    scalar_walk_free(w);
    return some && own;
}

/* Are rows of the follower made independently, and not in place of what the contraction reads?  What a
 * kernel keeps from row to row, each task would begin anew, in room of its own. */
static bool writes_rows(const KCall *c, const KKernel *k) {
    for (int i = 0; i < k->nroots; i++) {
        if (k->roots[i].nred == k->rank || k->roots[i].ahead) return false;
        for (int j = 0; j < c->call.nargs; j++)
            if (k->roots[i].buf == c->arg[j]) return false;
    }
    for (int i = 0; i < k->nkept; i++)
        if (k->kept[i].buf >= 0) return false;
    return k->only.test == 0;
}

bool kernel_may_follow(const KProgram *p, const KCall *c, const KKernel *k) {
    if (c->call.kind != LQ_CALL_CONTRACT || c->call.contraction.rank < 2 || k->rank < 2 || k->ext[0] != c->call.contraction.ext[0]) return false;
    return k->ext[0] >= 2 && writes_rows(c, k) && reads_rows(p, c, k);
}

static void follow(const KProgram *p, KCall *c, KKernel *k) {
    int64_t rows = k->ext[0], number = c->call.out_single ? 4 : 8, bytes = c->call.nout * number;
    bool smallest = kernel_planned_work() > 0;
    if ((bytes < LEAST_BYTES && !smallest) || !kernel_may_follow(p, c, k)) return;
    int64_t each = smallest ? 1 : NEAR_BYTES * rows / bytes;
    if (each * MOST_TASKS < rows) each = (rows + MOST_TASKS - 1) / MOST_TASKS;
    if (each < 1) each = 1;
    if (each >= rows) return;
    k->rows_per_task = each, k->tasks = (rows + each - 1) / each;
    c->followed = true;
}

static void follow_in(const KProgram *p, KStmt *s, int n) {
    for (int i = 0; i < n; i++) {
        if (s[i].kind == KS_CALL && i + 1 < n && s[i + 1].kind == KS_KERNEL) follow(p, s[i].u.call, &s[i + 1].u.kernel);
        if (s[i].kind == KS_LOOP && s[i].u.loop.sweep.radius < 0) follow_in(p, s[i].u.loop.body, s[i].u.loop.nbody);
    }
}

void kernel_follow(KProgram *p) { follow_in(p, p->stmts, p->nstmts); }
