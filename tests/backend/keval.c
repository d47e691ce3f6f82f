/* keval.c — evaluates kernel programs point by point, lane by lane, from the words of
 * kernel.h alone: what compiled code is compared with. */
#include "kbuild.h"

#include "../../runtime/philox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Eval {
    const KProgram *p;
    const CallArgs *args;
    int      lanes, lane;
    double **at;                 /* by buffer */
    int64_t  axis[IR_MAX_RANK];
    int64_t *iteration;          /* by loop */
    double  *value; uint64_t *when; uint64_t now;   /* memo of one point */
} Eval;

static int64_t width(const Eval *e, int buf) { return e->p->bufs[buf].uniform ? 1 : e->lanes; }

static double *element(const Eval *e, int buf, int64_t i) {
    return e->p->bufs[buf].uniform ? &e->at[buf][i] : &e->at[buf][i * e->lanes + e->lane];
}

static int64_t affine(const Eval *e, Aff a) {
    const Affine *f = aff_get(e->p->ir, a);
    int64_t v = f->k;
    for (int i = 0; i < f->n; i++) {
        Sym s = f->t[i].sym;
        v += f->t[i].c * (s >= SYM_LOOP ? e->iteration[s - SYM_LOOP] : e->axis[s]);
    }
    return v;
}

static int64_t floor_mod(int64_t a, int64_t n) { return (a % n + n) % n; }

static double eval_read(const Eval *e, Ref r) {
    Ir *ir = e->p->ir;
    Ref array = NARG(ir, r, 0);
    int64_t place = 0;
    bool outside = false, odd = false;
    for (int d = 0; d < NODE(ir, r)->nidx; d++) {
        const Index *ix = NIDX(ir, r, d);
        int64_t v = affine(e, ix->aff);
        if (ix->mode == IX_ZERO && (v < 0 || v >= ix->n)) outside = true, v = 0;
        if (ix->mode == IX_PERIODIC || ix->mode == IX_ANTIPERIODIC) {
            int64_t in = floor_mod(v, ix->n);
            if (ix->mode == IX_ANTIPERIODIC) odd ^= (v - in) / ix->n & 1;
            v = in;
        }
        if (v < 0 || v >= NDIM(ir, array, d)) abort();
        place = place * NDIM(ir, array, d) + v;
    }
    if (outside) return 0;
    double v = *element(e, e->p->buf_of[array], place);
    if (NODE(ir, r)->boolean) return v != 0;
    return odd ? -v : v;
}

static double eval_index(const Eval *e, const Index *ix) {
    int64_t v = affine(e, ix->aff);
    return (double)(ix->mode == IX_PERIODIC ? floor_mod(v, ix->n) : v);
}

static double eval_random(const Eval *e, Ref r) {
    Ir *ir = e->p->ir;
    uint32_t aux = NODE(ir, r)->aux;
    uint32_t site = (uint32_t)affine(e, NIDX(ir, r, 0)->aff), iter = (uint32_t)affine(e, NIDX(ir, r, 1)->aff);
    double v;
    (aux & 1 ? lq_rand_normal : lq_rand_uniform)(&v, 1, e->args->chains + e->lane, e->args->seed,
                                                 e->args->step, aux >> 1, iter, site);
    return v;
}

static double eval(Eval *e, Ref r) {
    if (e->when[r] == e->now) return e->value[r];
    Ir *ir = e->p->ir;
    const Node *n = NODE(ir, r);
    double v, a[3] = {0};
    switch (n->op) {
    case SC_CONST: v = n->val; break;
    case SC_IDX: v = eval_index(e, NIDX(ir, r, 0)); break;
    case SC_INRANGE: {
        int64_t x = affine(e, NIDX(ir, r, 0)->aff);
        v = x >= 0 && x < NIDX(ir, r, 0)->n;
        break;
    }
    case SC_READ: v = eval_read(e, r); break;
    case SC_RAND: v = eval_random(e, r); break;
    default:
        for (uint32_t i = 0; i < n->nargs; i++) a[i] = eval(e, NARG(ir, r, i));
        v = op_value((Op)n->op, a[0], a[1], a[2]);
    }
    e->when[r] = e->now;
    return e->value[r] = v;
}

static double identity(Op op) {
    return op == SC_MUL ? 1 : op == SC_MAX ? -INFINITY : op == SC_MIN ? INFINITY : 0;
}

/* Row-major number of the point among the first n axes. */
static int64_t point_number(const Eval *e, const KKernel *k, int n) {
    int64_t at = 0;
    for (int a = 0; a < n; a++) at = at * k->ext[a] + e->axis[a];
    return at;
}

/* Are axes from … to-1 all at their first (last) value? */
static bool at_first(const Eval *e, int from, int to) {
    for (int a = from; a < to; a++)
        if (e->axis[a]) return false;
    return true;
}
static bool at_last(const Eval *e, const KKernel *k, int from, int to) {
    for (int a = from; a < to; a++)
        if (e->axis[a] != k->ext[a] - 1) return false;
    return true;
}

/* A reduction on its way, in the order of ir.h. */
typedef struct Sum { double part[REDUCE_PARTS], band, total; } Sum;

static void eval_reduce(Eval *e, const KKernel *k, const KRoot *root, double v, Sum *s) {
    int R = k->rank, outer = R - root->nred;
    int64_t x = e->axis[R - 1], n = k->ext[R - 1], parts = reduce_parts(n), part = x / (n / parts);
    int64_t y = e->axis[outer], m = k->ext[outer], rows = root->nred > 1 ? m / reduce_bands(m) : 1;
    if (x % (n / parts) == 0) s->part[part] = identity(root->op);
    s->part[part] = op_value(root->op, s->part[part], v, 0);
    if (x != n - 1) return;
    for (int64_t half = parts / 2; half >= 1; half /= 2)
        for (int64_t i = 0; i < half; i++) s->part[i] = op_value(root->op, s->part[i], s->part[i + half], 0);
    if (root->nred == 1) s->total = s->part[0];
    else {
        if (at_first(e, outer, R - 1)) s->total = identity(root->op);
        if (y % rows == 0 && at_first(e, outer + 1, R - 1)) s->band = identity(root->op);
        s->band = op_value(root->op, s->band, s->part[0], 0);
        if (y % rows == rows - 1 && at_last(e, k, outer + 1, R - 1)) s->total = op_value(root->op, s->total, s->band, 0);
    }
    if (at_last(e, k, outer, R)) *element(e, root->buf, point_number(e, k, outer)) = s->total;
}

/* What a kernel says it need not compute is what it was one step back.  The buffer is left
 * as one that hands it on leaves it. */
static void check_kept(Eval *e, const KKernel *k, double *here, int64_t point, int64_t points) {
    for (int i = 0; i < k->nkept; i++) {
        const KKept *v = &k->kept[i];
        double *all = here + (int64_t)i * points, is = eval(e, v->before);
        all[point] = eval(e, v->here);
        if (v->buf >= 0) *element(e, v->buf, point % kernel_plane(k, v->axis)) = all[point];
        if (e->axis[v->axis] == 0) continue;
        double was = all[point - kernel_plane(k, v->axis)];
        if (memcmp(&is, &was, sizeof is) && !(isnan(is) && isnan(was))) {
            fprintf(stderr, "%s: kept value %d is %a, and was %a\n", k->name ? k->name : "kernel", i, is, was);
            abort();
        }
    }
}

static void eval_kernel(Eval *e, const KKernel *k) {
    Sum *sum = calloc((size_t)k->nroots + 1, sizeof *sum);
    double *v = calloc((size_t)k->nroots + 1, sizeof *v);
    int64_t points = 1;
    for (int a = 0; a < k->rank; a++) points *= k->ext[a];
    double *later = calloc((size_t)points * (size_t)k->nroots + 1, sizeof *later);   /* into rings: here whole arrays */
    double *here = calloc((size_t)points * (size_t)k->nkept + 1, sizeof *here);
    for (int64_t i = 0; i < points; i++) {
        int64_t rest = i;
        for (int a = k->rank - 1; a >= 0; a--) e->axis[a] = rest % k->ext[a], rest /= k->ext[a];
        e->now++;
        for (int r = 0; r < k->nroots; r++) v[r] = eval(e, k->roots[r].expr);
        check_kept(e, k, here, i, points);
        for (int r = 0; r < k->nroots; r++) {
            const KRoot *root = &k->roots[r];
            if (root->nred) eval_reduce(e, k, root, v[r], &sum[r]);
            else if (root->ahead) later[(size_t)r * (size_t)points + (size_t)i] = v[r];
            else *element(e, root->buf, i) = v[r];
        }
    }
    for (int r = 0; r < k->nroots; r++)
        for (int64_t i = 0; i < points && k->roots[r].ahead; i++)
            *element(e, k->roots[r].buf, i) = later[(size_t)r * (size_t)points + (size_t)i];
    free(later);
    free(here);
    free(sum);
    free(v);
}

static void eval_copy(Eval *e, const KCopy *c) {
    int64_t at = affine(e, c->at);
    for (int64_t i = 0; i < c->n; i++) *element(e, c->dst, at + i) = *element(e, c->src, i);
}

static bool any_active(const Eval *e, int buf) {
    for (int64_t l = 0; l < width(e, buf); l++)
        if (e->at[buf][l] != 0) return true;
    return false;
}

static void eval_statements(Eval *e, const KStmt *s, int n);

static void eval_loop(Eval *e, const KLoop *k) {
    for (int64_t t = 0; t < k->trip; t++) {
        if (k->active >= 0 && !any_active(e, k->carry[k->active].cur)) return;
        e->iteration[k->loop] = t;
        eval_statements(e, k->body, k->nbody);
        for (int i = 0; i < k->ncarry; i++) {
            double *cur = e->at[k->carry[i].cur];
            e->at[k->carry[i].cur] = e->at[k->carry[i].next];
            e->at[k->carry[i].next] = cur;
        }
    }
}

static void eval_statements(Eval *e, const KStmt *s, int n) {
    for (int i = 0; i < n; i++) {
        if (s[i].kind == KS_LOOP) {
            eval_loop(e, &s[i].u.loop);
            continue;
        }
        for (e->lane = 0; e->lane < e->lanes; e->lane++) {
            if (s[i].kind == KS_KERNEL) eval_kernel(e, &s[i].u.kernel);
            else eval_copy(e, &s[i].u.copy);
        }
    }
}

void keval_call(const KProgram *p, int lanes, const CallArgs *args) {
    size_t nodes = (size_t)p->ir->nodes.n;
    Eval e = {.p = p, .args = args, .lanes = lanes};
    e.at = calloc((size_t)p->nbufs + 1, sizeof *e.at);
    e.iteration = calloc((size_t)p->ir->loops.n + 1, sizeof *e.iteration);
    e.value = calloc(nodes, sizeof *e.value);
    e.when = calloc(nodes, sizeof *e.when);
    for (int i = 0; i < p->nbufs; i++) {
        const KBuf *b = &p->bufs[i];
        e.at[i] = b->kind == KB_IN ? (double *)args->in[b->slot]
                : b->kind == KB_OUT ? args->out[b->slot]
                : b->kind == KB_TEMP ? args->scratch + b->offset * lanes : (double *)b->data;
    }
    eval_statements(&e, p->stmts, p->nstmts);
    /* An output exchanged by a loop comes home. */
    for (int i = 0; i < p->nbufs; i++) {
        const KBuf *b = &p->bufs[i];
        if (b->kind == KB_OUT && e.at[i] != args->out[b->slot])
            memcpy(args->out[b->slot], e.at[i], (size_t)(b->n * lanes) * sizeof(double));
    }
    free(e.at);
    free(e.iteration);
    free(e.value);
    free(e.when);
}
