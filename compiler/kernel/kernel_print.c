/* kernel_print.c — what kernels cost, and the text of `lqft show FILE kernels`. */
#include "kernel.h"
#include "../ir/print.h"

#include <stdlib.h>

/* ---- cost ----------------------------------------------------------------------- */

static double points(const KKernel *k, int from)
{
    double n = 1;
    for (int i = from; i < k->rank; i++) n *= (double)k->ext[i];
    return n;
}

/* The share of points at which each scalar has to be evaluated: one that does not
 * depend on the innermost axes is evaluated once for all their points, and what only a
 * kept value would need at the first points alone. */
static double *shares(ScalarWalk *w, const KKernel *k)
{
    const Ir *ir = w->ir;
    bool *needed = lq_alloc((size_t)ir->nodes.n * sizeof *needed);
    kernel_scalars(w, k, needed);
    size_t n = (size_t)w->list.n;
    int *level = lq_alloc(n * sizeof *level);
    double *share = lq_alloc(n * sizeof *share);
    for (size_t i = 0; i < n; i++) {
        Ref r = w->list.data[i];
        level[i] = -1;
        for (uint32_t j = 0; j < NODE(ir, r)->nargs; j++) {
            uint32_t at = w->place[NARG(ir, r, j)];
            if (at && level[at - 1] > level[i]) level[i] = level[at - 1];
        }
        for (int j = 0; j < NODE(ir, r)->nidx; j++) {
            const Affine *f = aff_get(ir, NIDX(ir, r, j)->aff);
            for (int t = 0; t < f->n; t++)
                if (f->t[t].sym < SYM_FREE && (int)f->t[t].sym > level[i]) level[i] = (int)f->t[t].sym;
        }
        double inner = points(k, level[i] + 1);
        const KKept *kept = k->nkept ? kernel_kept(k, w->list.data[i]) : NULL;
        share[i] = needed[i] && !kept && inner > 0 ? 1 / inner : 0;
    }
    free(level);
    free(needed);
    return share;
}

static KCost cost_of(const ScalarWalk *w, const double *share, const KKernel *k)
{
    KCost c = {0};
    for (int i = 0; i < w->list.n; i++) {
        Op op = (Op)NODE(w->ir, w->list.data[i])->op;
        c.flops += share[i] * op_cost(op);
        if (op == SC_READ) c.reads += share[i];
    }
    for (int i = 0; i < k->nroots; i++) {
        const KRoot *r = &k->roots[i];
        double reduced = points(k, k->rank - r->nred);
        c.writes += reduced > 0 ? 1 / reduced : 0;
        if (r->nred) c.flops += op_cost(r->op);
    }
    return c;
}

KCost kernel_cost(const KProgram *p, const KKernel *k)
{
    ScalarWalk *w = scalar_walk_new(p->ir);
    double *share = shares(w, k);
    KCost c = cost_of(w, share, k);
    free(share);
    scalar_walk_free(w);
    return c;
}

/* ---- text ------------------------------------------------------------------------ */

typedef struct KPrinter {
    const KProgram *p;
    ScalarPrinter scalar;
    Text   *out;
    double *reads;           /* by buffer: distinct reads per point of the current kernel */
    double  flops, bytes, kernels;      /* of one call */
} KPrinter;

static void buf_name(const KPrinter *k, int buf, Text *out)
{
    const char *name = k->p->bufs[buf].name;
    if (name) text_printf(out, "%s", name);
    else text_printf(out, "b%d", buf);
}

static void array_name(void *ctx, Ref array, Text *out)
{
    KPrinter *k = ctx;
    int buf = array < k->p->nbuf_of ? k->p->buf_of[array] : -1;
    if (buf >= 0) buf_name(k, buf, out);
    else text_printf(out, "%%%u", array);
}

static void print_buffers(KPrinter *k)
{
    static const char *const kinds[] = {
        [KB_IN] = "input", [KB_OUT] = "output", [KB_TEMP] = "scratch", [KB_CONST] = "constant",
    };
    for (int i = 0; i < k->p->nbufs; i++) {
        const KBuf *b = &k->p->bufs[i];
        text_printf(k->out, "    ");
        buf_name(k, i, k->out);
        text_printf(k->out, ": %s", kinds[b->kind]);
        if (b->kind == KB_IN || b->kind == KB_OUT) text_printf(k->out, " %d", b->slot);
        if (b->kind == KB_TEMP) text_printf(k->out, " at %lld", (long long)b->offset);
        text_printf(k->out, ", %lld element%s%s\n", (long long)b->n, b->n == 1 ? "" : "s",
                    b->uniform && b->kind == KB_IN ? ", uniform" : "");
    }
}

/* Elements that must move per point when each array passes through memory once. */
static double traffic(KPrinter *k, const KKernel *kernel, const double *share)
{
    const ScalarWalk *w = k->scalar.walk;
    double moved = 0, n = points(kernel, 0);
    for (int i = 0; i < k->p->nbufs; i++) k->reads[i] = 0;
    for (int i = 0; i < w->list.n; i++) {
        Ref r = w->list.data[i];
        if (NODE(w->ir, r)->op != SC_READ) continue;
        Ref array = NARG(w->ir, r, 0);
        int buf = array < k->p->nbuf_of ? k->p->buf_of[array] : -1;
        if (buf >= 0) k->reads[buf] += share[i];
    }
    for (int i = 0; i < k->p->nbufs && n > 0; i++) {
        double whole = (double)k->p->bufs[i].n / n;
        moved += k->reads[i] < whole ? k->reads[i] : whole;
    }
    return moved;
}

static void print_roots(KPrinter *k, const KKernel *kernel, int indent)
{
    Text *out = k->out, before = {0};
    text_printf(&before, "%*s", indent, "");
    scalar_print_names(&k->scalar, before.s, "\n", out);
    for (int i = 0; i < kernel->nroots; i++) {
        const KRoot *r = &kernel->roots[i];
        text_printf(out, "%s", before.s);
        buf_name(k, r->buf, out);
        if (r->ahead) text_printf(out, " (%lld row%s ahead)", (long long)r->ahead, r->ahead == 1 ? "" : "s");
        text_printf(out, " = ");
        if (r->nred) {
            text_printf(out, "reduce %s over", op_name(r->op));
            for (int a = kernel->rank - r->nred; a < kernel->rank; a++) text_printf(out, " a%d", a);
            text_printf(out, ": ");
        }
        scalar_print(&k->scalar, r->expr, out);
        text_printf(out, "\n");
    }
    text_free(&before);
}

static void print_kept(KPrinter *k, const KKernel *kernel, int indent)
{
    for (int i = 0; i < kernel->nkept; i++) {
        const KKept *v = &kernel->kept[i];
        text_printf(k->out, "%*skept along a%d", indent, "", v->axis);
        if (v->axis < kernel->rank - 1) text_printf(k->out, " in "), buf_name(k, v->buf, k->out);
        text_printf(k->out, ": ");
        scalar_print(&k->scalar, v->before, k->out);
        text_printf(k->out, "\n");
    }
}

static void print_uses(KPrinter *k, const KKernel *kernel, int indent)
{
    Text *out = k->out;
    text_printf(out, "%*sreads", indent, "");
    int n = 0;
    for (int i = 0; i < k->p->nbufs; i++) {
        if (k->reads[i] <= 0) continue;
        text_printf(out, n++ ? ", " : " ");
        buf_name(k, i, out);
        text_printf(out, " (%.3g)", k->reads[i]);
    }
    text_printf(out, n ? "; writes " : " nothing; writes ");
    for (int i = 0; i < kernel->nroots; i++) {
        if (i) text_printf(out, ", ");
        buf_name(k, kernel->roots[i].buf, out);
    }
    if (kernel->ntables) text_printf(out, "; %d value%s of a table", kernel->ntables, kernel->ntables == 1 ? "" : "s");
    text_printf(out, "\n");
}

static void print_kernel(KPrinter *k, const KKernel *kernel, int indent, double calls)
{
    Text *out = k->out;
    VEC(Ref) roots = {0};
    for (int i = 0; i < kernel->nroots; i++) vec_push(&roots, kernel->roots[i].expr);
    scalar_plan(&k->scalar, roots.n, roots.data);
    double *share = shares(k->scalar.walk, kernel);
    KCost c = cost_of(k->scalar.walk, share, kernel);
    double bytes = 8 * (traffic(k, kernel, share) + c.writes);

    text_printf(out, "%*s%s [", indent, "", kernel->name ? kernel->name : "kernel");
    for (int i = 0; i < kernel->rank; i++) text_printf(out, "%s%lld", i ? "," : "", (long long)kernel->ext[i]);
    text_printf(out, "]");
    if (kernel->only.test && !kernel->only.everywhere) {
        text_printf(out, ", only a%d = ", kernel->only.axis);
        print_affine(k->p->ir, kernel->only.phase, out);
        text_printf(out, " mod %lld", (long long)kernel->only.every);
    }
    if (kernel->tasks > 1) text_printf(out, ", threads share %lld tasks of %lld rows", (long long)kernel->tasks, (long long)kernel->rows_per_task);
    text_printf(out, "\n");
    print_roots(k, kernel, indent + 4);
    print_kept(k, kernel, indent + 4);
    print_uses(k, kernel, indent + 4);
    text_printf(out, "%*s%.3g bytes/site, %.3g flops/site, %.3g flops/byte\n", indent + 4, "", bytes,
                c.flops, bytes > 0 ? c.flops / bytes : 0);
    k->flops += calls * kernel_points(kernel, false) * c.flops;
    k->bytes += calls * kernel_points(kernel, false) * bytes;
    k->kernels += calls;
    free(share);
    vec_free(&roots);
}

static void print_copy(KPrinter *k, const KCopy *c, int indent, double calls)
{
    text_printf(k->out, "%*scopy ", indent, "");
    buf_name(k, c->src, k->out);
    text_printf(k->out, " to ");
    buf_name(k, c->dst, k->out);
    text_printf(k->out, "[");
    print_affine(k->p->ir, c->at, k->out);
    text_printf(k->out, "], %lld element%s\n", (long long)c->n, c->n == 1 ? "" : "s");
    k->bytes += calls * 16 * (double)c->n;
}

static void print_call(KPrinter *k, const KCall *c, int indent, double calls)
{
    text_printf(k->out, "%*s", indent, "");
    buf_name(k, c->out, k->out);
    text_printf(k->out, " = %s(", c->name);
    double moved = (double)c->call.nout;
    for (int i = 0; i < c->call.nargs; i++) {
        if (i) text_printf(k->out, ", ");
        buf_name(k, c->arg[i], k->out);
        moved += (double)c->call.nin[i];
    }
    text_printf(k->out, ")");
    if (c->call.kind == LQ_CALL_CONTRACT) {
        const LqContraction *s = &c->call.contraction;
        double flops = 2;
        for (int a = 0; a < s->rank + s->nred; a++) {
            text_printf(k->out, a == 0 ? " [" : a == s->rank ? "] over [" : ",");
            text_printf(k->out, "%lld", (long long)s->ext[a]);
            flops *= (double)s->ext[a];
        }
        text_printf(k->out, "]");
        k->flops += calls * flops;
    }
    text_printf(k->out, c->followed ? ", followed by rows\n" : "\n");
    k->bytes += calls * 8 * moved;
}

static void print_stmts(KPrinter *k, const KStmt *stmts, int n, int indent, double calls);

static void print_loop(KPrinter *k, const KLoop *l, int indent, double calls)
{
    Text *out = k->out;
    text_printf(out, "%*sloop t%u, %lld times", indent, "", l->loop, (long long)l->trip);
    if (l->active >= 0) text_printf(out, ", while "), buf_name(k, l->carry[l->active].cur, out);
    if (l->sweep.radius >= 0) text_printf(out, ", swept row by row");
    if (l->sweep.wave > 1) text_printf(out, ", %lld iterations in a pass", (long long)l->sweep.wave);
    if (l->sweep.pairs) text_printf(out, ", in pairs of rows");
    if (l->sweep.cut) text_printf(out, ", in a part for each of up to %d threads", k->p->parts);
    text_printf(out, " {\n");
    print_stmts(k, l->body, l->nbody, indent + 4, calls * (double)l->trip);
    for (int i = 0; i < l->ncarry; i++) {
        if (l->carry[i].cur == l->carry[i].next) continue;
        text_printf(out, "%*sexchange ", indent + 4, "");
        buf_name(k, l->carry[i].cur, out);
        text_printf(out, " and ");
        buf_name(k, l->carry[i].next, out);
        text_printf(out, "\n");
    }
    text_printf(out, "%*s}\n", indent, "");
}

static void print_stmts(KPrinter *k, const KStmt *stmts, int n, int indent, double calls)
{
    for (int i = 0; i < n; i++) {
        const KStmt *s = &stmts[i];
        if (s->kind == KS_KERNEL) print_kernel(k, &s->u.kernel, indent, calls);
        else if (s->kind == KS_COPY) print_copy(k, &s->u.copy, indent, calls);
        else if (s->kind == KS_CALL) print_call(k, s->u.call, indent, calls);
        else print_loop(k, &s->u.loop, indent, calls);
    }
}

void kernel_print(const KProgram *p, FILE *out)
{
    Text text = {0};
    KPrinter k = {.p = p, .out = &text};
    scalar_printer_init(&k.scalar, p->ir, array_name, &k);
    k.reads = lq_alloc((size_t)p->nbufs * sizeof *k.reads);
    text_printf(&text, "program %s: %d in, %d out, %lld scratch numbers a replica\n",
                p->name ? p->name : "", p->nin, p->nout, (long long)p->scratch);
    print_buffers(&k);
    print_stmts(&k, p->stmts, p->nstmts, 4, 1);
    text_printf(&text, "    total of a call: %.6g kernel%s, %.6g flops, %.6g bytes\n", k.kernels,
                k.kernels == 1 ? "" : "s", k.flops, k.bytes);
    fputs(text.s, out);
    free(k.reads);
    scalar_printer_free(&k.scalar);
    text_free(&text);
}
