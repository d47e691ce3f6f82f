/* fuse_buffers.c — from arrays to kernels, third part: statements and buffers.
 *
 * Requires: items placed in the steps of their regions (fuse_place.c).
 * Keeps: each stored array has its value from the step that computes it to its last
 *   reader.  Promises of an executor that are relied upon: all roots of a kernel are
 *   evaluated at a point before any is stored there; the carries of a loop are
 *   exchanged together, after the body; buffers stay exchanged after the loop, and an
 *   output that ended in its partner's memory is brought home at the very end.
 *
 * Values that never live together by construction (a carry, its initial and its next
 * value) share one store, see fuse_plan.h; each becomes an output or part of the scratch
 * space.
 *
 * Positions of reads in a region: 2*step + 1 for what step reads; 2*step for the
 * copies before a loop, which come before anything that the loop changes; AT_END. */
#include "fuse_plan.h"

#include <stdlib.h>
#include <string.h>

/* ---- stores -------------------------------------------------------------------------- */

static int64_t row_of(const Ir *ir, Ref a) { return NODE(ir, a)->rank ? NDIM(ir, a, NODE(ir, a)->rank - 1) : 1; }

/* Room for a value like `array`. */
static int new_store(Plan *pl, int region, Ref array) {
    Store s = {.up = pl->stores.n, .region = region, .out = -1, .buf = -1, .n = ir_elements(pl->ir, array), .row = row_of(pl->ir, array),
               .single = pl->fu->f->single && NODE(pl->ir, array)->rank > 0};
    vec_push(&pl->stores, s);
    return s.up;
}

Store *fuse_class(const Plan *pl, int store) {
    while (pl->stores.data[store].up != store) store = pl->stores.data[store].up;
    return &pl->stores.data[store];
}

static int depth_of(const Fuse *fu, int region) { return region == TOP ? 0 : fu->loop[region].depth; }

void fuse_join(Plan *pl, int a, int b) {
    Store *x = fuse_class(pl, a), *y = fuse_class(pl, b);
    if (x == y) return;
    if (depth_of(pl->fu, y->region) < depth_of(pl->fu, x->region)) x->region = y->region;
    if (y->rows) x->rows = y->rows;
    if (y->lead > x->lead) x->lead = y->lead;
    if (y->tail > x->tail) x->tail = y->tail;
    x->exchanged |= y->exchanged;
    y->up = x->up;
}

/* Rings move on by themselves, and buffers that a loop exchanges are none. */
static bool may_join(const Plan *pl, int a, int b) {
    const Store *x = fuse_class(pl, a), *y = fuse_class(pl, b);
    return !(x->rows && y->exchanged) && !(y->rows && x->exchanged);
}

bool fuse_is_loop(const Plan *pl, int item) {
    return NODE(pl->ir, pl->fu->items.data[item].node)->op == AR_LOOP;
}

LoopPlan *fuse_loop_of(const Plan *pl, int item) {
    return &pl->fu->loop[NODE(pl->ir, pl->fu->items.data[item].node)->aux];
}

static void make_stores(Plan *pl) {
    Fuse *fu = pl->fu;
    for (int i = 0; i < fu->items.n; i++) {
        Item *it = &fu->items.data[i];
        if (!fuse_is_loop(pl, i)) {
            fu->info[it->node].store = new_store(pl, it->region, it->node);
            continue;
        }
        LoopPlan *l = fuse_loop_of(pl, i);
        for (int j = 0; j < l->ncarry; j++) {
            CarryPlan *c = &l->carry[j];
            if (!c->live) continue;
            c->cur = new_store(pl, l->parent, c->init);
            if (c->proj) fu->info[c->proj].store = c->cur;
            if (c->stack) fu->info[c->stack].store = new_store(pl, l->parent, c->stack);
        }
    }
    for (int i = 0; i < fu->arrays.n; i++) {
        Ref a = fu->arrays.data[i];
        const Node *k = NODE(pl->ir, a);
        if (k->op == AR_CARRY) fu->info[a].store = fu->loop[k->aux].carry[(int)k->val].cur;
    }
}

/* ---- roots --------------------------------------------------------------------------- */

/* What the same kernel computes at the same point is used as a value, not read. */
static void make_root(Plan *pl, int item) {
    Fuse *fu = pl->fu;
    Item *it = &fu->items.data[item];
    Refs from = {0}, to = {0};
    fuse_walk(fu, fu->info[it->node].expr);
    for (int i = 0; i < fu->walk.n; i++) {
        Ref r = fu->walk.data[i];
        int maker = NODE(pl->ir, r)->op == SC_READ ? fuse_producer(fu, NARG(pl->ir, r, 0)) : -1;
        if (maker < 0 || fuse_is_loop(pl, maker)) continue;
        Item *m = &fu->items.data[maker];
        if (m->region != it->region || m->step != it->step) continue;
        vec_push(&from, r);
        vec_push(&to, m->root);
    }
    it->root = fuse_replace(fu, fu->info[it->node].expr, from.n, from.data, to.data);
    vec_free(&from);
    vec_free(&to);
}

/* ---- when values are read last ------------------------------------------------------- */

/* A read of `array` at a position of `region` also counts where the array was made: as
 * a read by the loop around the reader. */
static void note_read(Plan *pl, int region, int pos, Ref array) {
    Fuse *fu = pl->fu;
    const Node *k = NODE(pl->ir, array);
    if (k->op == AR_INPUT || k->op == AR_CONST) return;
    int level = k->op == AR_CARRY ? (int)k->aux : fu->info[array].region;
    for (; region != level; region = fu->loop[region].parent)
        pos = 2 * fu->items.data[fu->loop[region].item].step + 1;
    int *last = k->op == AR_CARRY ? &fu->loop[k->aux].carry[(int)k->val].last : &fu->info[array].last;
    if (*last < pos) *last = pos;
}

bool fuse_is_carry(const Plan *pl, Ref a, uint32_t loop, int which) {
    const Node *k = NODE(pl->ir, a);
    return k->op == AR_CARRY && k->aux == loop && (int)k->val == which;
}

/* How each carry gets its next value; an array can be the next of one carry directly. */
static void choose_kinds(Plan *pl, LoopPlan *l) {
    Fuse *fu = pl->fu;
    uint32_t number = NODE(pl->ir, l->node)->aux;
    for (int i = 0; i < l->ncarry; i++) {
        CarryPlan *c = &l->carry[i];
        if (!c->live) continue;
        Info *next = &fu->info[c->next];
        c->kind = fuse_is_carry(pl, c->next, number, i) ? NEXT_SAME : NEXT_COPY;
        if (next->item < 0 || next->region != (int)number || next->taken) continue;
        c->kind = NEXT_DIRECT;
        next->taken = true;
    }
}

static void note_reads_of_loop(Plan *pl, int item) {
    LoopPlan *l = fuse_loop_of(pl, item);
    int number = (int)NODE(pl->ir, l->node)->aux, step = pl->fu->items.data[item].step;
    for (int i = 0; i < l->ncarry; i++) {
        if (!l->carry[i].live) continue;
        note_read(pl, l->parent, 2 * step, l->carry[i].init);
        if (l->carry[i].kind == NEXT_COPY) note_read(pl, number, AT_END, l->carry[i].next);
    }
}

static void note_reads(Plan *pl) {
    Fuse *fu = pl->fu;
    for (int i = 0; i < fu->arrays.n; i++) fu->info[fu->arrays.data[i]].last = NEVER;
    for (int i = 0; i < fu->items.n; i++) {
        Item *it = &fu->items.data[i];
        if (fuse_is_loop(pl, i)) { note_reads_of_loop(pl, i); continue; }
        if (fuse_is_call(fu, it->node)) {
            for (uint32_t j = 0; j < NODE(pl->ir, it->node)->nargs; j++)
                note_read(pl, it->region, 2 * it->step + 1, NARG(pl->ir, it->node, j));
            continue;
        }
        make_root(pl, i);
        fuse_walk(fu, it->root);
        for (int j = 0; j < fu->walk.n; j++)
            if (NODE(pl->ir, fu->walk.data[j])->op == SC_READ)
                note_read(pl, it->region, 2 * it->step + 1, NARG(pl->ir, fu->walk.data[j], 0));
    }
    for (int i = 0; i < fu->f->nout; i++) note_read(pl, TOP, AT_END, fu->f->out[i]);
}

/* ---- carries ------------------------------------------------------------------------- */

/* May the next value of carry `which` overwrite the present one?  Then nothing reads the
 * present one afterwards, and the kernel that makes the change reads it pointwise only, or
 * where it does not change it. */
static bool direct_in_place(Plan *pl, const LoopPlan *l, int which) {
    Fuse *fu = pl->fu;
    const CarryPlan *c = &l->carry[which];
    const Item *it = &fu->items.data[fu->info[c->next].item];
    uint32_t number = NODE(pl->ir, l->node)->aux;
    if (c->last < 2 * it->step) return true;
    if (c->last > 2 * it->step + 1 || NODE(pl->ir, c->next)->op != AR_MAP) return false;
    const Step *step = &l->body.steps.data[it->step];
    int rank = fuse_rank(pl->ir, c->next);
    const int64_t *dims = fuse_dims(pl->ir, c->next);
    KOnly only = {0};
    if (fu->info[c->next].only) kernel_only(pl->ir, fu->info[c->next].only, rank, dims, &only);
    for (int i = 0; i < step->items.n; i++) {
        const Item *other = &fu->items.data[step->items.data[i]];
        fuse_walk(fu, other->root);
        for (int j = 0; j < fu->walk.n; j++) {
            Ref r = fu->walk.data[j];
            if (NODE(pl->ir, r)->op != SC_READ || !fuse_is_carry(pl, NARG(pl->ir, r, 0), number, which)) continue;
            if (fuse_pointwise(pl->ir, r, rank, dims)) continue;
            if (!only.test || !kernel_reads_apart(pl->ir, &only, rank, dims, r)) return false;
        }
    }
    return true;
}

/* The copies at the end of the body run in the order of the carries. */
static bool copy_in_place(const Plan *pl, const LoopPlan *l, int which) {
    for (int i = which + 1; i < l->ncarry; i++)
        if (l->carry[i].live && l->carry[i].kind == NEXT_COPY &&
            fuse_is_carry(pl, l->carry[i].next, NODE(pl->ir, l->node)->aux, which))
            return false;
    return true;
}

static void place_next(Plan *pl, LoopPlan *l, int which) {
    CarryPlan *c = &l->carry[which];
    c->nxt = c->cur;
    if (l->sweep.radius >= 0) return;              /* fuse_sweep.c did it */
    if (c->kind == NEXT_SAME) return;
    if (c->kind == NEXT_COPY) {
        if (!copy_in_place(pl, l, which)) c->nxt = new_store(pl, l->parent, c->init);
        return;
    }
    if (!direct_in_place(pl, l, which)) c->nxt = new_store(pl, l->parent, c->init);
    fuse_join(pl, c->nxt, pl->fu->info[c->next].store);
}

/* The initial value is the carry of the loop around, which this loop brings forward. */
static bool continue_outer_carry(Plan *pl, LoopPlan *l, int which) {
    Fuse *fu = pl->fu;
    CarryPlan *c = &l->carry[which];
    const Node *k = NODE(pl->ir, c->init);
    if (k->op != AR_CARRY || (int)k->aux != l->parent || !c->proj) return false;
    CarryPlan *outer = &fu->loop[k->aux].carry[(int)k->val];
    if (outer->next != c->proj || outer->last > 2 * fu->items.data[l->item].step) return false;
    if (!may_join(pl, outer->cur, c->cur)) return false;
    outer->kind = NEXT_SAME;
    fuse_join(pl, outer->cur, c->cur);
    return true;
}

/* Can the initial value be computed where the carry starts?  Then it dies here. */
static bool load_directly(Plan *pl, LoopPlan *l, int which) {
    Fuse *fu = pl->fu;
    CarryPlan *c = &l->carry[which];
    Info *init = &fu->info[c->init];
    bool made = NODE(pl->ir, c->init)->op != AR_CARRY && init->store >= 0;
    if (!made || init->taken || init->output || init->region != l->parent) return false;
    if (init->last > 2 * fu->items.data[l->item].step || !may_join(pl, c->cur, init->store)) return false;
    init->taken = true;
    fuse_join(pl, c->cur, init->store);
    return true;
}

static void place_carries(Plan *pl) {
    for (int i = 0; i < pl->fu->items.n; i++) {
        if (!fuse_is_loop(pl, i)) continue;
        LoopPlan *l = fuse_loop_of(pl, i);
        fuse_sweep(pl, l);
        for (int j = 0; j < l->ncarry; j++) {
            if (!l->carry[j].live) continue;
            place_next(pl, l, j);
            if (l->carry[j].nxt == l->carry[j].cur) continue;
            fuse_class(pl, l->carry[j].cur)->exchanged = fuse_class(pl, l->carry[j].nxt)->exchanged = true;
        }
    }
    for (int i = 0; i < pl->fu->items.n; i++) {
        if (!fuse_is_loop(pl, i)) continue;
        LoopPlan *l = fuse_loop_of(pl, i);
        for (int j = 0; j < l->ncarry; j++)
            if (l->carry[j].live) l->carry[j].loaded = continue_outer_carry(pl, l, j) || load_directly(pl, l, j);
    }
}

/* ---- outputs ------------------------------------------------------------------------- */

static void place_outputs(Plan *pl) {
    const IrFunc *f = pl->fu->f;
    pl->in_place = arena_alloc(pl->fu->arena, (size_t)f->nout + 1);
    for (int i = 0; i < f->nout; i++) {
        int store = pl->fu->info[f->out[i]].store;
        if (store < 0 || fuse_class(pl, store)->out >= 0 || fuse_class(pl, store)->rows) continue;
        fuse_class(pl, store)->out = i;
        pl->in_place[i] = true;
    }
}

/* ---- buffers ------------------------------------------------------------------------- */

static int add_buf(Plan *pl, KBuf b, int region) {
    vec_push(&pl->bufs, b);
    vec_push(&pl->home, region);
    return pl->bufs.n - 1;
}

/* Inputs first, then outputs, then the scratch buffers. */
static void make_bufs(Plan *pl) {
    const IrFunc *f = pl->fu->f;
    Ir *ir = pl->ir;
    Arena *a = pl->fu->arena;
    for (int i = 0; i < f->nin; i++)
        add_buf(pl, (KBuf){.kind = KB_IN, .slot = i, .n = ir_elements(ir, f->in[i]), .row = row_of(ir, f->in[i]), .uniform = NODE(ir, f->in[i])->uniform, .single = ir_is_single(f, f->in[i]),
                           .name = ir->slot_names.data[NODE(ir, f->in[i])->aux]}, TOP);
    for (int i = 0; i < f->nout; i++)
        add_buf(pl, (KBuf){.kind = KB_OUT, .slot = i, .n = ir_elements(ir, f->out[i]), .row = row_of(ir, f->out[i]), .single = f->single && NODE(ir, f->out[i])->rank > 0,
                           .name = arena_printf(a, "out.%d", i)}, TOP);
    for (int i = 0; i < pl->stores.n; i++) {
        Store *s = &pl->stores.data[i];
        if (s->up != i) continue;
        s->buf = s->out >= 0 ? f->nin + s->out
               : add_buf(pl, (KBuf){.kind = KB_TEMP, .n = s->n, .row = s->row, .single = s->single, .rows = s->rows, .lead = s->lead,
                                 .slots = s->rows ? s->rows + s->lead + s->tail : 0, .name = arena_printf(a, "t.%d", pl->bufs.n)}, s->region);
    }
}

static void make_buf_of(Plan *pl) {
    Fuse *fu = pl->fu;
    KProgram *p = pl->p;
    p->nbuf_of = fu->ninfo;
    p->buf_of = arena_alloc(fu->arena, (size_t)fu->ninfo * sizeof *p->buf_of);
    for (Ref r = 0; r < fu->ninfo; r++) p->buf_of[r] = -1;
    for (int i = 0; i < fu->f->nin; i++)
        if (fu->f->in[i] < fu->ninfo) p->buf_of[fu->f->in[i]] = i;
    for (int i = 0; i < fu->arrays.n; i++) {
        Ref a = fu->arrays.data[i];
        if (fu->info[a].store >= 0) p->buf_of[a] = fuse_class(pl, fu->info[a].store)->buf;
        if (NODE(pl->ir, a)->op != AR_CONST) continue;
        const ConstData *c = &pl->ir->consts.data[NODE(pl->ir, a)->aux];
        p->buf_of[a] = add_buf(pl, (KBuf){.kind = KB_CONST, .n = c->n, .row = row_of(pl->ir, a), .uniform = true, .data = c->data, .source = c->source,
                                          .name = arena_printf(fu->arena, "c.%d", pl->bufs.n)}, TOP);
    }
}

/* ---- statements ---------------------------------------------------------------------- */

typedef VEC(KStmt) Stmts;

static void emit_copy(Plan *pl, Stmts *out, int dst, Ref src, Aff at) {
    KCopy c = {.dst = dst, .src = pl->p->buf_of[src], .n = ir_elements(pl->ir, src), .at = at};
    vec_push(out, ((KStmt){.kind = KS_COPY, .u.copy = c}));
}

/* Room for what a kernel hands on from one row to the next, or plane; the iterations of a
 * wave, which are between different rows, have some each. */
static void keep_values(Plan *pl, KKernel *k, int region) {
    int64_t wave = region == TOP ? 1 : pl->fu->loop[region].sweep.wave;
    kernel_keep(pl->ir, k, pl->fu->arena);
    for (int i = 0; i < k->nkept; i++) {
        KKept *v = &k->kept[i];
        if (v->axis == k->rank - 1) continue;
        v->lot = kernel_plane(k, v->axis) * (v->axis == 0 && wave > 1 ? wave : 1);
        KBuf b = {.kind = KB_TEMP, .n = v->lot, .row = k->ext[k->rank - 1],
                  .single = pl->fu->f->single, .name = arena_printf(pl->fu->arena, "t.%d", pl->bufs.n)};
        v->buf = add_buf(pl, b, region);
    }
}

/* A value that only its own kernel uses stays in registers. */
static bool never_read(const Plan *pl, const Item *it) {
    const Info *n = &pl->fu->info[it->node];
    return n->last == NEVER && !n->taken && !n->output;
}

/* Restricted: all items are, to the same points.  These alone are wanted when maps have taken the
 * place of what they replace. */
static void restrict_kernel(Plan *pl, KKernel *k, Ref test) {
    KOnly only;
    Ref old;
    if (!test || !kernel_only(pl->ir, test, k->rank, k->ext, &only)) return;
    for (int i = 0; i < k->nroots; i++) {
        const KRoot *r = &k->roots[i];
        if (!kernel_only_test(pl->ir, r->expr, k->rank, k->ext, r->op, test, &old)) return;
        only.everywhere |= !r->nred && pl->p->buf_of[old] != r->buf;
    }
    k->only = only;
}

static void emit_kernel(Plan *pl, Stmts *out, const Step *step) {
    Fuse *fu = pl->fu;
    Ref first = fu->items.data[step->items.data[0]].node;
    KKernel k = {.rank = fuse_rank(pl->ir, first), .tasks = 1};
    for (int i = 0; i < k.rank; i++) k.ext[i] = fuse_dims(pl->ir, first)[i];
    k.name = arena_printf(fu->arena, "kernel.%d", pl->nkernels++);
    k.roots = arena_alloc(fu->arena, (size_t)step->items.n * sizeof *k.roots);
    for (int i = 0; i < step->items.n; i++) {
        const Item *it = &fu->items.data[step->items.data[i]];
        const Node *n = NODE(pl->ir, it->node);
        if (never_read(pl, it)) continue;
        k.roots[k.nroots++] = (KRoot){it->root, n->nred, n->nred ? (Op)n->aux : SC_NONE, pl->p->buf_of[it->node],
                                      fu->info[it->node].ahead};
    }
    restrict_kernel(pl, &k, fu->info[first].only);
    kernel_tables(fu->f, &k, fu->arena);
    if (!k.only.test) keep_values(pl, &k, fu->info[first].region);
    if (k.nroots) vec_push(out, ((KStmt){.kind = KS_KERNEL, .u.kernel = k}));
}

static int64_t doubles_of_room(const LqCall *c) {
    LqCall prepared = *c;
    lq_call_prepare(&prepared);
    size_t bytes = lq_call_room(&prepared);
    lq_call_release(&prepared);
    return (int64_t)((bytes + 7) / 8);
}

static void emit_call(Plan *pl, Stmts *out, const Step *step) {
    const Item *it = &pl->fu->items.data[step->items.data[0]];
    if (never_read(pl, it)) return;
    KCall *c = arena_alloc(pl->fu->arena, sizeof *c);
    *c = (KCall){.number = pl->calls.n, .out = pl->p->buf_of[it->node], .name = call_name((CallKind)NODE(pl->ir, it->node)->aux)};
    ir_call_describe(pl->ir, it->node, pl->fu->f->single, &c->call);
    for (int i = 0; i < c->call.nargs; i++) c->arg[i] = pl->p->buf_of[NARG(pl->ir, it->node, (uint32_t)i)];
    c->scratch = add_buf(pl, (KBuf){.kind = KB_TEMP, .n = doubles_of_room(&c->call), .row = 1, .name = arena_printf(pl->fu->arena, "room.%d", c->number)}, it->region);
    vec_push(&pl->calls, c);
    vec_push(out, ((KStmt){.kind = KS_CALL, .u.call = c}));
}

static KStmt *keep(Plan *pl, Stmts *s, int *n) {
    KStmt *kept = arena_alloc(pl->fu->arena, (size_t)s->n * sizeof *kept + 1);
    if (s->n) memcpy(kept, s->data, (size_t)s->n * sizeof *kept);
    *n = s->n;
    vec_free(s);
    return kept;
}

static void emit_steps(Plan *pl, Stmts *out, const Region *region);

/* Stacks take the value before the iteration; next values by copy come last. */
static void emit_body(Plan *pl, KLoop *k, const LoopPlan *l) {
    Stmts body = {0};
    Aff iteration = aff_sym(pl->ir, SYM_LOOP + k->loop);
    for (int i = 0; i < l->ncarry; i++) {
        const CarryPlan *c = &l->carry[i];
        if (!c->live || !c->stack) continue;
        int64_t n = fuse_class(pl, c->cur)->n;
        KCopy copy = {.dst = pl->p->buf_of[c->stack], .src = fuse_class(pl, c->cur)->buf, .n = n,
                      .at = aff_scale(pl->ir, iteration, n)};
        vec_push(&body, ((KStmt){.kind = KS_COPY, .u.copy = copy}));
    }
    emit_steps(pl, &body, &l->body);
    for (int i = 0; i < l->ncarry; i++)
        if (l->carry[i].live && l->carry[i].kind == NEXT_COPY)
            emit_copy(pl, &body, fuse_class(pl, l->carry[i].nxt)->buf, l->carry[i].next, aff_const(pl->ir, 0));
    k->body = keep(pl, &body, &k->nbody);
}

static void emit_loop(Plan *pl, Stmts *out, int item) {
    const LoopPlan *l = fuse_loop_of(pl, item);
    KLoop k = {.loop = NODE(pl->ir, l->node)->aux, .trip = l->trip, .active = -1, .sweep = l->sweep};
    k.carry = arena_alloc(pl->fu->arena, (size_t)l->ncarry * sizeof *k.carry);
    for (int i = 0; i < l->ncarry; i++) {
        const CarryPlan *c = &l->carry[i];
        if (!c->live) continue;
        if (!c->loaded) emit_copy(pl, out, fuse_class(pl, c->cur)->buf, c->init, aff_const(pl->ir, 0));
        if (i == l->active) k.active = k.ncarry;
        k.carry[k.ncarry++] = (KCarry){fuse_class(pl, c->cur)->buf, fuse_class(pl, c->nxt)->buf};
    }
    emit_body(pl, &k, l);
    vec_push(out, ((KStmt){.kind = KS_LOOP, .u.loop = k}));
}

static void emit_steps(Plan *pl, Stmts *out, const Region *region) {
    for (int i = 0; i < region->steps.n; i++) {
        const Step *step = &region->steps.data[i];
        if (step->loop) emit_loop(pl, out, step->items.data[0]);
        else if (step->call) emit_call(pl, out, step);
        else emit_kernel(pl, out, step);
    }
}

static void emit_program(Plan *pl) {
    const IrFunc *f = pl->fu->f;
    Stmts top = {0};
    emit_steps(pl, &top, &pl->fu->top);
    for (int i = 0; i < f->nout; i++)
        if (!pl->in_place[i]) emit_copy(pl, &top, f->nin + i, f->out[i], aff_const(pl->ir, 0));
    pl->p->stmts = keep(pl, &top, &pl->p->nstmts);
}

/* ---- scratch space ------------------------------------------------------------------- */

typedef struct Life { int lo, hi; } Life;

typedef struct Lives {
    Plan *pl;
    Life *buf;               /* by buffer; lo > hi: never used */
    Life *loop;              /* by loop number: its statements */
    int   now;
} Lives;

static void number_loops(Lives *v, const KStmt *s, int n) {
    for (int i = 0; i < n; i++) {
        int at = v->now++;
        if (s[i].kind != KS_LOOP) continue;
        number_loops(v, s[i].u.loop.body, s[i].u.loop.nbody);
        v->loop[s[i].u.loop.loop] = (Life){at, v->now++};
    }
}

/* What holds a value from outside a loop, or across its iterations, is in use during
 * the whole loop. */
static void touch(Lives *v, int buf, int region, int at) {
    Life use = {at, at};
    /* The iterations of a wave overlap. */
    if (region != TOP && v->pl->fu->loop[region].sweep.wave > 1) use = v->loop[region];
    for (; region != v->pl->home.data[buf] && region != TOP; region = v->pl->fu->loop[region].parent)
        use = v->loop[region];
    Life *b = &v->buf[buf];
    if (use.lo < b->lo) b->lo = use.lo;
    if (use.hi > b->hi) b->hi = use.hi;
}

static void touch_kernel(Lives *v, const KKernel *k, int region, int at) {
    Fuse *fu = v->pl->fu;
    for (int i = 0; i < k->nroots; i++) {
        touch(v, k->roots[i].buf, region, at);
        fuse_walk(fu, k->roots[i].expr);
        for (int j = 0; j < fu->walk.n; j++)
            if (NODE(fu->ir, fu->walk.data[j])->op == SC_READ)
                touch(v, v->pl->p->buf_of[NARG(fu->ir, fu->walk.data[j], 0)], region, at);
    }
    for (int i = 0; i < k->nkept; i++)
        if (k->kept[i].buf >= 0) touch(v, k->kept[i].buf, region, at);
}

static void touch_call(Lives *v, const KCall *c, int region, int at) {
    for (int i = 0; i < c->call.nargs; i++) touch(v, c->arg[i], region, at);
    touch(v, c->out, region, at);
    touch(v, c->scratch, region, at);
    if (!c->followed) return;
    for (int i = 0; i < c->call.nargs; i++) touch(v, c->arg[i], region, at + 1);
    touch(v, c->scratch, region, at + 1);
}

static void touch_stmts(Lives *v, const KStmt *s, int n, int region) {
    for (int i = 0; i < n; i++) {
        int at = v->now++;
        if (s[i].kind == KS_KERNEL) touch_kernel(v, &s[i].u.kernel, region, at);
        if (s[i].kind == KS_CALL) touch_call(v, s[i].u.call, region, at);
        if (s[i].kind == KS_COPY) touch(v, s[i].u.copy.src, region, at), touch(v, s[i].u.copy.dst, region, at);
        if (s[i].kind != KS_LOOP) continue;
        const KLoop *k = &s[i].u.loop;
        for (int j = 0; j < k->ncarry; j++)
            for (int at_end = 0; at_end < 2; at_end++) {
                int edge = at_end ? v->loop[k->loop].hi : v->loop[k->loop].lo;
                touch(v, k->carry[j].cur, region, edge), touch(v, k->carry[j].next, region, edge);
            }
        touch_stmts(v, k->body, k->nbody, (int)k->loop);
        v->now++;
    }
}

/* Two buffers that a loop exchanges are one value's in turn: each lives as long as either. */
static bool merge_pairs(Lives *v, const KStmt *s, int n) {
    bool changed = false;
    for (int i = 0; i < n; i++) {
        if (s[i].kind != KS_LOOP) continue;
        for (int j = 0; j < s[i].u.loop.ncarry; j++) {
            Life *a = &v->buf[s[i].u.loop.carry[j].cur], *b = &v->buf[s[i].u.loop.carry[j].next];
            Life both = {a->lo < b->lo ? a->lo : b->lo, a->hi > b->hi ? a->hi : b->hi};
            changed |= a->lo != both.lo || b->lo != both.lo || a->hi != both.hi || b->hi != both.hi;
            *a = *b = both;
        }
        changed |= merge_pairs(v, s[i].u.loop.body, s[i].u.loop.nbody);
    }
    return changed;
}

/* The room a buffer takes.  Large ones stand some elements apart, so that neighbours are at
 * no multiple of 4096 bytes, where loads of one wait for stores to the other: 1536 bytes beyond
 * such a multiple where lanes are eight chains, 3264 for lattices where they are sites. */
static int64_t rounded(int64_t n) {
    enum { LARGE = 4096, PAGE = 512, APART = 408 };
    if (n >= LARGE) return (n + PAGE - 1) / PAGE * PAGE + APART;
    return (n + 7) / 8 * 8 + (n >= 64 ? 24 : 0);
}

/* The lowest offset where the buffer overlaps none that is in use at the same time;
 * `placed` is sorted by offset. */
static int64_t find_room(const Lives *v, const Ints *placed, int buf) {
    const KBuf *bufs = v->pl->bufs.data;
    int64_t at = 0;
    for (int i = 0; i < placed->n; i++) {
        int o = placed->data[i];
        bool together = v->buf[o].lo <= v->buf[buf].hi && v->buf[buf].lo <= v->buf[o].hi;
        if (!together) continue;
        if (bufs[o].offset >= at + rounded(kernel_doubles(&bufs[buf], v->pl->p->parts))) break;
        int64_t end = bufs[o].offset + rounded(kernel_doubles(&bufs[o], v->pl->p->parts));
        if (end > at) at = end;
    }
    return at;
}

static void insert_sorted(const Lives *v, Ints *placed, int buf) {
    const KBuf *bufs = v->pl->bufs.data;
    int i = placed->n;
    vec_push(placed, buf);
    for (; i > 0 && bufs[placed->data[i - 1]].offset > bufs[buf].offset; i--) placed->data[i] = placed->data[i - 1];
    placed->data[i] = buf;
}

/* Large ones first: they leave the smallest holes. */
static void place_scratch(Lives *v) {
    KBuf *bufs = v->pl->bufs.data;
    Ints placed = {0};
    int parts = v->pl->p->parts;
    for (;;) {
        int next = -1;
        for (int i = 0; i < v->pl->bufs.n; i++)
            if (bufs[i].kind == KB_TEMP && bufs[i].offset < 0 && (next < 0 || kernel_doubles(&bufs[i], parts) > kernel_doubles(&bufs[next], parts))) next = i;
        if (next < 0) break;
        bufs[next].offset = find_room(v, &placed, next);
        int64_t end = bufs[next].offset + rounded(kernel_doubles(&bufs[next], v->pl->p->parts));
        if (end > v->pl->p->scratch) v->pl->p->scratch = end;
        insert_sorted(v, &placed, next);
    }
    vec_free(&placed);
}

static void plan_scratch(Plan *pl) {
    Lives v = {.pl = pl};
    KProgram *p = pl->p;
    v.buf = lq_alloc(((size_t)pl->bufs.n + 1) * sizeof *v.buf);
    v.loop = lq_alloc(((size_t)pl->ir->loops.n + 1) * sizeof *v.loop);
    for (int i = 0; i < pl->bufs.n; i++) {
        v.buf[i] = (Life){INT32_MAX, -1};
        pl->bufs.data[i].offset = pl->bufs.data[i].kind == KB_TEMP ? -1 : 0;   /* -1: no room yet */
    }
    number_loops(&v, p->stmts, p->nstmts);
    v.now = 0;
    touch_stmts(&v, p->stmts, p->nstmts, TOP);
    for (int i = 0; i < pl->bufs.n; i++)
        if (pl->bufs.data[i].kind == KB_OUT) touch(&v, i, TOP, v.now);   /* its partner too is in use until then */
    while (merge_pairs(&v, p->stmts, p->nstmts)) {}
    place_scratch(&v);
    free(v.buf);
    free(v.loop);
}

/* When it is known what threads share: of kept values, a lot for each task. */
static void make_lots(KProgram *p, const KStmt *s, int n, int64_t parts) {
    for (int i = 0; i < n; i++) {
        const KLoop *l = &s[i].u.loop;
        if (s[i].kind == KS_LOOP) make_lots(p, l->body, l->nbody, l->sweep.cut ? p->parts : 1);
        const KKernel *k = &s[i].u.kernel;
        for (int j = 0; s[i].kind == KS_KERNEL && j < k->nkept; j++)
            if (k->kept[j].buf >= 0) p->bufs[k->kept[j].buf].n *= k->tasks > 1 ? k->tasks : parts;
    }
}

/* Roots of the kernel that reduces most of them by several threads. */
static int most_shared(const KStmt *s, int n) {
    int most = 0;
    for (int i = 0; i < n; i++) {
        int here = s[i].kind == KS_LOOP ? most_shared(s[i].u.loop.body, s[i].u.loop.nbody)
                 : s[i].kind == KS_KERNEL && s[i].u.kernel.tasks > 1 ? s[i].u.kernel.nroots : 0;
        if (here > most) most = here;
    }
    return most;
}

static void place_bands(KProgram *p) {
    p->bands = rounded(p->scratch);
    int n = most_shared(p->stmts, p->nstmts);
    if (n) p->scratch = p->bands + n * KERNEL_BANDS;
}

/* ---- the whole ----------------------------------------------------------------------- */

KProgram *fuse_emit(Fuse *fu) {
    Plan pl = {.fu = fu, .ir = fu->ir};
    KProgram *p = pl.p = arena_alloc(fu->arena, sizeof *p);
    *p = (KProgram){.name = fu->f->name, .ir = fu->ir, .nin = fu->f->nin, .nout = fu->f->nout, .single = fu->f->single};
    make_stores(&pl);
    for (int i = 0; i < fu->items.n; i++)
        if (fuse_is_loop(&pl, i)) choose_kinds(&pl, fuse_loop_of(&pl, i));
    note_reads(&pl);
    place_carries(&pl);
    place_outputs(&pl);
    make_bufs(&pl);
    make_buf_of(&pl);
    emit_program(&pl);
    p->nbufs = pl.bufs.n;
    p->bufs = pl.bufs.data;
    kernel_choose(p, fu->f->out, fu->arena);
    kernel_share(p);
    kernel_follow(p);
    make_lots(p, p->stmts, p->nstmts, 1);
    p->bufs = arena_alloc(fu->arena, (size_t)pl.bufs.n * sizeof *p->bufs + 1);
    plan_scratch(&pl);
    place_bands(p);
    p->ncalls = pl.calls.n;
    p->plain = p->ncalls > 0;
    p->calls = arena_alloc(fu->arena, (size_t)pl.calls.n * sizeof *p->calls + 1);
    if (pl.calls.n) memcpy(p->calls, pl.calls.data, (size_t)pl.calls.n * sizeof *p->calls);
    if (pl.bufs.n) memcpy(p->bufs, pl.bufs.data, (size_t)pl.bufs.n * sizeof *p->bufs);
    vec_free(&pl.stores);
    vec_free(&pl.bufs);
    vec_free(&pl.home);
    vec_free(&pl.calls);
    return p;
}
