/* share.c — which kernels and swept loops of a program several threads share.
 *
 * Requires: statements and buffers; no scratch space yet, as a ring that is cut takes more.
 * Keeps: every value and its bits, whatever the number of threads, which is known only when
 *   the program is called.
 *
 * A kernel is cut into tasks of rows; where it reduces all axes, into whole bands, whose
 * totals are combined in order afterwards (ir.h).  A loop that is swept is cut into parts of
 * rows: a part makes some rows of its neighbours too, instead of waiting for them.  Handing
 * work to a thread that is awake takes some tenths of a microsecond, so only work of WORTH_NS
 * is cut, and into tasks of TASK_NS at least.  Time is estimated for one replica from the
 * flops and the elements touched that kernel_print.c counts. */
#include "kernel.h"

#include <stdlib.h>

#define OPERATIONS_PER_NS 60.0       /* of eight lanes and two units, at 3.7 GHz */
#define WORTH_NS 10000.0
#define TASK_NS 2000.0

enum {
    MOST_TASKS = 64,
    MOST_PARTS = 64,
    PART_ROWS = 16           /* of a part, for each row that it makes on each side besides */
};

static double planned_worth;

void kernel_plan_for_work(double ns) { planned_worth = ns; }
double kernel_planned_work(void) { return planned_worth; }

static double worth(void) { return planned_worth > 0 ? planned_worth : WORTH_NS; }

static double estimated_ns(const KProgram *p, const KKernel *k) {
    KCost c = kernel_cost(p, k);
    return kernel_points(k, false) * (c.flops + c.reads + c.writes) / OPERATIONS_PER_NS;
}

/* ---- kernels --------------------------------------------------------------------------- */

static bool reduces_all(const KKernel *k) {
    for (int i = 0; i < k->nroots; i++)
        if (k->roots[i].nred == k->rank) return true;
    return false;
}

static void share_kernel(const KProgram *p, KKernel *k) {
    k->tasks = 1;
    if (k->rank < 2 || k->ext[0] < 2) return;
    double ns = estimated_ns(p, k);
    if (!(ns >= worth())) return;
    int64_t rows = k->ext[0], unit = reduces_all(k) ? rows / reduce_bands(rows) : 1;
    double most = ns / (planned_worth > 0 ? 1 : TASK_NS);
    int64_t tasks = most < MOST_TASKS ? (int64_t)most : MOST_TASKS;
    if (tasks > rows / unit) tasks = rows / unit;
    if (tasks < 2) return;
    k->rows_per_task = (rows / unit + tasks - 1) / tasks * unit;
    k->tasks = (rows + k->rows_per_task - 1) / k->rows_per_task;
}

/* ---- loops that are swept ------------------------------------------------------------------ */

static bool worth_cutting(const KProgram *p, const KLoop *l) {
    double ns = 0;
    for (int i = 0; i < l->nbody; i++) ns += estimated_ns(p, &l->body[i].u.kernel);
    /* threads wait for each other twice in a wave, or for every kernel where there are none */
    return l->sweep.wave > 1 ? ns * (double)l->sweep.wave >= worth() : ns / l->nbody >= 1.5 * worth();
}

static bool uses_cut_ring(const KProgram *p, const KLoop *l) {
    for (int i = 0; i < l->nbody; i++)
        for (int r = 0; r < l->body[i].u.kernel.nroots; r++)
            if (p->bufs[l->body[i].u.kernel.roots[r].buf].cut) return true;
    return false;
}

static void cut_rings(KProgram *p, const KLoop *l) {
    for (int i = 0; i < l->nbody; i++)
        for (int r = 0; r < l->body[i].u.kernel.nroots; r++) {
            KBuf *b = &p->bufs[l->body[i].u.kernel.roots[r].buf];
            if (b->slots) b->cut = true;
        }
}

/* Rows of a part for an iteration of a wave: it makes about one in PART_ROWS twice. */
static int64_t rows_of_part(const KLoop *l) {
    int64_t radius = l->sweep.radius > 0 ? l->sweep.radius : 1;
    return (planned_worth > 0 ? 1 : PART_ROWS) * radius * (l->sweep.wave > 1 ? l->nbody : 1);
}

/* Rings take about twice their room at most. */
static int64_t most_parts(const KProgram *p, const KLoop *l) {
    int64_t rows = l->body[0].u.kernel.ext[0], most = rows / rows_of_part(l);
    for (int i = 0; i < l->nbody; i++)
        for (int r = 0; r < l->body[i].u.kernel.nroots; r++) {
            const KBuf *b = &p->bufs[l->body[i].u.kernel.roots[r].buf];
            if (b->slots && rows / (b->slots - b->rows + 1) < most) most = rows / (b->slots - b->rows + 1);
        }
    return most;
}

/* Loops that share a ring are cut alike.  Returns whether something has changed. */
static bool cut_loops(KProgram *p, KStmt *s, int n) {
    bool changed = false;
    for (int i = 0; i < n; i++) {
        if (s[i].kind != KS_LOOP) continue;
        KLoop *l = &s[i].u.loop;
        if (l->sweep.radius < 0) changed |= cut_loops(p, l->body, l->nbody);
        if (l->sweep.radius < 0 || l->sweep.cut || l->nbody == 0) continue;
        int64_t most = most_parts(p, l);
        if (!uses_cut_ring(p, l) && (most < 2 || !worth_cutting(p, l))) continue;
        if (most < p->parts) p->parts = (int)most;
        l->sweep.cut = rows_of_part(l), changed = true;
        cut_rings(p, l);
    }
    return changed;
}

static void uncut(KProgram *p, KStmt *s, int n) {
    for (int i = 0; i < p->nbufs; i++) p->bufs[i].cut = false;
    for (int i = 0; i < n; i++)
        if (s[i].kind == KS_LOOP) s[i].u.loop.sweep.cut = 0, uncut(p, s[i].u.loop.body, s[i].u.loop.nbody);
}

/* ---- the whole --------------------------------------------------------------------------------- */

static void share_kernels(const KProgram *p, KStmt *s, int n) {
    for (int i = 0; i < n; i++) {
        if (s[i].kind == KS_KERNEL) share_kernel(p, &s[i].u.kernel);
        if (s[i].kind == KS_LOOP && s[i].u.loop.sweep.radius < 0) share_kernels(p, s[i].u.loop.body, s[i].u.loop.nbody);
    }
}

void kernel_share(KProgram *p) {
    p->parts = MOST_PARTS;
    while (cut_loops(p, p->stmts, p->nstmts)) {}
    if (p->parts < 2) uncut(p, p->stmts, p->nstmts), p->parts = 1;
    share_kernels(p, p->stmts, p->nstmts);
}

static bool any_shared(const KStmt *s, int n) {
    for (int i = 0; i < n; i++) {
        if (s[i].kind == KS_KERNEL && s[i].u.kernel.tasks > 1) return true;
        if (s[i].kind == KS_LOOP && (s[i].u.loop.sweep.cut || any_shared(s[i].u.loop.body, s[i].u.loop.nbody))) return true;
    }
    return false;
}

static bool any_sweep(const KStmt *s, int n) {
    for (int i = 0; i < n; i++)
        if (s[i].kind == KS_LOOP && (s[i].u.loop.sweep.radius >= 0 || any_sweep(s[i].u.loop.body, s[i].u.loop.nbody))) return true;
    return false;
}

bool kernel_sweeps(const KProgram *p) { return any_sweep(p->stmts, p->nstmts); }
bool kernel_is_shared(const KProgram *p) { return any_shared(p->stmts, p->nstmts); }
