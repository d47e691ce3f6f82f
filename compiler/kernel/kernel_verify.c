/* kernel_verify.c — the rules of kernel.h: buffers, extents, ranges of reads, what
 * a kernel may do in place, and carried buffers of loops.  That scratch buffers in
 * use at the same time do not overlap is left to the tests of fuse.c. */
#include "kernel.h"
#include "../ir/schedule.h"

#include <stdarg.h>
#include <stdlib.h>

static _Thread_local char message[400];

typedef struct KVerify {
    const KProgram *p;
    const Ir   *ir;
    ScalarWalk *walk;
    VEC(uint32_t) inside;    /* numbers of the enclosing loops */
} KVerify;

static bool fail(const KVerify *v, const char *where, const char *fmt, ...) LQ_PRINTF(3, 4);
static bool fail(const KVerify *v, const char *where, const char *fmt, ...)
{
    char what[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    snprintf(message, sizeof message, "%s: %s: %s", v->p->name ? v->p->name : "program",
             where ? where : "kernel", what);
    return false;
}

static int64_t elements(const int64_t *ext, int n)
{
    int64_t total = 1;
    for (int i = 0; i < n; i++) total *= ext[i];
    return total;
}

static bool buffer_ok(const KVerify *v, int buf) { return buf >= 0 && buf < v->p->nbufs; }

static bool writable(const KVerify *v, int buf)
{
    const KBuf *b = &v->p->bufs[buf];
    return (b->kind == KB_OUT || b->kind == KB_TEMP) && !b->uniform;
}

/* ---- buffers ------------------------------------------------------------------------ */

static bool check_buffer(const KVerify *v, int i)
{
    const KProgram *p = v->p;
    const KBuf *b = &p->bufs[i];
    if (b->n < 0) return fail(v, b->name, "buffer %d has %lld elements", i, (long long)b->n);
    if (b->slots && (b->kind != KB_TEMP || b->rows <= 0 || b->n % b->rows || b->slots < b->rows))
        return fail(v, b->name, "buffer %d is a ring of %lld rows", i, (long long)b->slots);
    if (b->kind == KB_TEMP && (b->offset < 0 || b->offset + kernel_doubles(b, v->p->parts) > p->scratch))
        return fail(v, b->name, "buffer %d ends after the scratch space", i);
    if (b->kind == KB_CONST && b->n && !b->data) return fail(v, b->name, "buffer %d has no data", i);
    int slots = b->kind == KB_IN ? p->nin : b->kind == KB_OUT ? p->nout : 0;
    if (slots && (b->slot < 0 || b->slot >= slots)) return fail(v, b->name, "buffer %d has slot %d", i, b->slot);
    return true;
}

/* ---- kernels -------------------------------------------------------------------------- */

static bool check_symbols(const KVerify *v, const char *where, const Affine *f, int naxes)
{
    for (int i = 0; i < f->n; i++) {
        Sym s = f->t[i].sym;
        bool known = s < (Sym)naxes;
        for (int j = 0; j < v->inside.n; j++) known |= s == SYM_LOOP + v->inside.data[j];
        if (!known) return fail(v, where, "index symbol %#x is neither an axis nor of an enclosing loop", s);
    }
    return true;
}

static bool check_indices(const KVerify *v, const KKernel *k, Ref r)
{
    const Node *n = NODE(v->ir, r);
    for (int i = 0; i < n->nidx; i++) {
        const Index *ix = NIDX(v->ir, r, i);
        if (!check_symbols(v, k->name, aff_get(v->ir, ix->aff), k->rank)) return false;
        bool bounded = n->op == SC_RAND || (n->op == SC_READ && ix->mode == IX_EXACT);
        int64_t lo, hi, last = n->op == SC_RAND ? INT32_MAX : ix->n - 1;
        ir_aff_range(v->ir, ix->aff, k->rank, k->ext, &lo, &hi);
        if (bounded && (lo < 0 || hi > last))
            return fail(v, k->name, "index %d of node %u reaches %lld … %lld, outside 0 … %lld", i, r,
                        (long long)lo, (long long)hi, (long long)last);
    }
    return true;
}

/* In a ring, a row that the rows stored so far have not reached: at most `ahead` behind. */
static bool reads_row_behind(const KVerify *v, const KKernel *k, Ref r, const KRoot *root)
{
    const Affine *f = aff_get(v->ir, NIDX(v->ir, r, 0)->aff);
    return NODE(v->ir, r)->nidx == k->rank && f->n == 1 && f->t[0].sym == 0 && f->t[0].c == 1 && f->k >= -root->ahead &&
           v->p->bufs[root->buf].slots >= k->ext[0] + root->ahead + (f->k > 0 ? f->k : -f->k);
}

static bool check_read(const KVerify *v, const KKernel *k, Ref r)
{
    Ref array = NARG(v->ir, r, 0);
    int buf = array < v->p->nbuf_of ? v->p->buf_of[array] : -1;
    if (!buffer_ok(v, buf)) return fail(v, k->name, "reads node %u, which has no buffer", array);
    if (ir_elements(v->ir, array) != v->p->bufs[buf].n)
        return fail(v, k->name, "node %u has %lld elements, buffer %d has %lld", array,
                    (long long)ir_elements(v->ir, array), buf, (long long)v->p->bufs[buf].n);
    for (int i = 0; i < k->nroots; i++) {
        const KRoot *root = &k->roots[i];
        if (root->buf != buf) continue;
        if (root->ahead && reads_row_behind(v, k, r, root)) continue;
        if (k->only.test && kernel_reads_apart(v->ir, &k->only, k->rank, k->ext, r)) continue;
        if (NODE(v->ir, r)->nidx != k->rank - root->nred || !kernel_reads_own(v->ir, k->rank - root->nred, k->ext, r))
            return fail(v, k->name, "reads other elements of buffer %d, which it writes", buf);
    }
    return true;
}

static bool check_root(const KVerify *v, const KKernel *k, int i)
{
    const KRoot *r = &k->roots[i];
    if (r->expr == 0 || r->expr >= (Ref)v->ir->nodes.n || ir_is_array(v->ir, r->expr))
        return fail(v, k->name, "root %d is no scalar", i);
    if (r->nred < 0 || r->nred > k->rank) return fail(v, k->name, "root %d reduces %d axes", i, r->nred);
    if (r->nred && r->op != SC_ADD && r->op != SC_MUL && r->op != SC_MAX && r->op != SC_MIN)
        return fail(v, k->name, "root %d reduces with %s", i, op_name(r->op));
    if (!buffer_ok(v, r->buf) || !writable(v, r->buf))
        return fail(v, k->name, "root %d is stored in buffer %d", i, r->buf);
    int64_t n = elements(k->ext, k->rank - r->nred);
    if (n != v->p->bufs[r->buf].n)
        return fail(v, k->name, "root %d has %lld elements, buffer %d has %lld", i, (long long)n, r->buf,
                    (long long)v->p->bufs[r->buf].n);
    if (r->ahead && (r->nred || !v->p->bufs[r->buf].slots)) return fail(v, k->name, "root %d moves no ring on", i);
    for (int j = 0; j < i; j++)
        if (k->roots[j].buf == r->buf) return fail(v, k->name, "roots %d and %d write buffer %d", j, i, r->buf);
    return true;
}

/* What is handed on along an outer axis is kept where nobody else looks. */
static bool check_kept(const KVerify *v, const KKernel *k, int i)
{
    const KKept *kept = &k->kept[i];
    if (!v->walk->place[kept->here] || !v->walk->place[kept->before] || kept->axis < 0 || kept->axis >= k->rank)
        return fail(v, k->name, "keeps a value %d that it does not compute", i);
    if (kept->axis == k->rank - 1) return true;
    if (!buffer_ok(v, kept->buf) || !writable(v, kept->buf) || v->p->bufs[kept->buf].kind != KB_TEMP ||
        v->p->bufs[kept->buf].n < kernel_plane(k, kept->axis) || v->p->bufs[kept->buf].slots)
        return fail(v, k->name, "keeps value %d in buffer %d", i, kept->buf);
    for (int j = 0; j < k->nroots; j++)
        if (k->roots[j].buf == kept->buf) return fail(v, k->name, "root %d is stored in a kept value's buffer", j);
    for (int j = 0; j < i; j++)
        if (k->kept[j].buf == kept->buf) return fail(v, k->name, "kept values %d and %d share a buffer", j, i);
    return true;
}

/* Every root is restricted by the test, and stores in place. */
static bool check_only(const KVerify *v, const KKernel *k)
{
    KOnly only;
    Ref old;
    if (!k->only.test) return true;
    if (!kernel_only(v->p->ir, k->only.test, k->rank, k->ext, &only) || only.axis != k->only.axis ||
        only.every != k->only.every || only.phase != k->only.phase)
        return fail(v, k->name, "restricted to points that its test does not say");
    for (int i = 0; i < k->nroots; i++) {
        const KRoot *r = &k->roots[i];
        bool good = kernel_only_test(v->p->ir, r->expr, k->rank, k->ext, r->op, k->only.test, &old) != 0;
        good = good && (r->nred ? only.axis >= k->rank - r->nred : (k->only.everywhere || v->p->buf_of[old] == r->buf) && !r->ahead);
        if (!good) return fail(v, k->name, "root %d changes points that the kernel is not restricted to", i);
    }
    return true;
}

static bool check_kernel(const KVerify *v, const KKernel *k)
{
    if (k->rank < 0 || k->rank > IR_MAX_RANK) return fail(v, k->name, "%d axes", k->rank);
    bool empty = false;
    for (int i = 0; i < k->rank; i++) {
        if (k->ext[i] < 0) return fail(v, k->name, "extent %d is %lld", i, (long long)k->ext[i]);
        empty |= k->ext[i] == 0;
    }
    VEC(Ref) roots = {0};
    bool ok = true;
    for (int i = 0; i < k->nroots && ok; i++) {
        ok = check_root(v, k, i);
        vec_push(&roots, k->roots[i].expr);
    }
    if (ok) scalar_walk(v->walk, roots.n, roots.data);
    for (int i = 0; i < v->walk->list.n && ok && !empty; i++) {
        Ref r = v->walk->list.data[i];
        ok = check_indices(v, k, r) && (NODE(v->ir, r)->op != SC_READ || check_read(v, k, r));
    }
    for (int i = 0; i < k->nkept && ok; i++) ok = check_kept(v, k, i);
    vec_free(&roots);
    return ok && check_only(v, k);
}

/* ---- copies and loops -------------------------------------------------------------------- */

static bool check_copy(const KVerify *v, const KCopy *c)
{
    if (!buffer_ok(v, c->src) || !buffer_ok(v, c->dst) || c->src == c->dst || !writable(v, c->dst))
        return fail(v, "copy", "from buffer %d to buffer %d", c->src, c->dst);
    if (c->n < 0 || c->n > v->p->bufs[c->src].n)
        return fail(v, "copy", "%lld elements of buffer %d", (long long)c->n, c->src);
    if (!check_symbols(v, "copy", aff_get(v->ir, c->at), 0)) return false;
    int64_t lo, hi;
    ir_aff_range(v->ir, c->at, 0, NULL, &lo, &hi);
    if (lo < 0 || hi + c->n > v->p->bufs[c->dst].n)
        return fail(v, "copy", "to elements %lld … %lld of buffer %d, which has %lld", (long long)lo,
                    (long long)(hi + c->n - 1), c->dst, (long long)v->p->bufs[c->dst].n);
    return true;
}

static bool check_carry(const KVerify *v, const KLoop *l, int i)
{
    KCarry c = l->carry[i];
    if (!buffer_ok(v, c.cur) || !buffer_ok(v, c.next) || !writable(v, c.cur) || !writable(v, c.next))
        return fail(v, "loop", "carry %d is in buffers %d and %d", i, c.cur, c.next);
    if (v->p->bufs[c.cur].n != v->p->bufs[c.next].n)
        return fail(v, "loop", "buffers %d and %d of carry %d differ in size", c.cur, c.next, i);
    for (int j = 0; j < i; j++) {
        KCarry o = l->carry[j];
        if (o.cur == c.cur || o.next == c.next || o.cur == c.next || o.next == c.cur)
            return fail(v, "loop", "carries %d and %d share a buffer", j, i);
    }
    return true;
}

/* ---- calls -------------------------------------------------------------------------------- */

static bool check_call(const KVerify *v, const KCall *c)
{
    const KBuf *bufs = v->p->bufs;
    if (c->number < 0 || c->number >= v->p->ncalls || v->p->calls[c->number] != c) return fail(v, c->name, "number %d", c->number);
    if (!buffer_ok(v, c->out) || !writable(v, c->out) || bufs[c->out].slots) return fail(v, c->name, "writes buffer %d", c->out);
    if (bufs[c->out].n != c->call.nout || bufs[c->out].single != c->call.out_single)
        return fail(v, c->name, "has %lld elements, buffer %d has %lld", (long long)c->call.nout, c->out, (long long)bufs[c->out].n);
    for (int i = 0; i < c->call.nargs; i++) {
        if (!buffer_ok(v, c->arg[i]) || c->arg[i] == c->out || c->arg[i] == c->scratch || bufs[c->arg[i]].slots)
            return fail(v, c->name, "reads buffer %d", c->arg[i]);
        if (bufs[c->arg[i]].n != c->call.nin[i] || bufs[c->arg[i]].single != c->call.in_single[i])
            return fail(v, c->name, "reads %lld elements, buffer %d has %lld", (long long)c->call.nin[i], c->arg[i], (long long)bufs[c->arg[i]].n);
    }
    if (!buffer_ok(v, c->scratch) || bufs[c->scratch].kind != KB_TEMP || c->scratch == c->out) return fail(v, c->name, "has its scratch space in buffer %d", c->scratch);
    return v->p->plain || fail(v, c->name, "stands in a program with split buffers");
}

static bool check_stmts(KVerify *v, const KStmt *stmts, int n);

static bool check_loop(KVerify *v, const KLoop *l)
{
    if (l->loop >= (uint32_t)v->ir->loops.n || l->trip < 0) return fail(v, "loop", "number %u", l->loop);
    if (v->ir->loops.data[l->loop].trip != l->trip)
        return fail(v, "loop", "%lld iterations instead of %lld", (long long)l->trip,
                    (long long)v->ir->loops.data[l->loop].trip);
    for (int i = 0; i < l->ncarry; i++)
        if (!check_carry(v, l, i)) return false;
    if (l->active < -1 || l->active >= l->ncarry) return fail(v, "loop", "active carry %d", l->active);
    if (l->active >= 0 && v->p->bufs[l->carry[l->active].cur].n != 1)
        return fail(v, "loop", "active carry %d is not one value", l->active);
    vec_push(&v->inside, l->loop);
    bool ok = check_stmts(v, l->body, l->nbody);
    v->inside.n--;
    return ok;
}

static bool check_stmts(KVerify *v, const KStmt *stmts, int n)
{
    for (int i = 0; i < n; i++) {
        const KStmt *s = &stmts[i];
        bool ok = s->kind == KS_KERNEL ? check_kernel(v, &s->u.kernel)
                : s->kind == KS_COPY   ? check_copy(v, &s->u.copy)
                : s->kind == KS_CALL   ? check_call(v, s->u.call)
                : s->kind == KS_LOOP   ? check_loop(v, &s->u.loop)
                                       : fail(v, "statement", "of kind %d", (int)s->kind);
        if (!ok) return false;
        if (s->kind != KS_CALL || !s->u.call->followed) continue;
        const KStmt *next = i + 1 < n ? s + 1 : NULL;
        if (!next || next->kind != KS_KERNEL || next->u.kernel.tasks < 2 || !kernel_may_follow(v->p, s->u.call, &next->u.kernel))
            return fail(v, s->u.call->name, "is not followed by the rows of a kernel");
    }
    return true;
}

const char *kernel_verify(const KProgram *p)
{
    KVerify v = {.p = p, .ir = p->ir, .walk = scalar_walk_new(p->ir)};
    bool ok = true;
    for (int i = 0; i < p->nbufs && ok; i++) ok = check_buffer(&v, i);
    for (uint32_t i = 0; i < p->nbuf_of && ok; i++)
        if (p->buf_of[i] < -1 || p->buf_of[i] >= p->nbufs) ok = fail(&v, "buf_of", "node %u in buffer %d", i, p->buf_of[i]);
    ok = ok && check_stmts(&v, p->stmts, p->nstmts);
    scalar_walk_free(v.walk);
    vec_free(&v.inside);
    return ok ? NULL : message;
}
