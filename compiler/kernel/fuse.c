/* fuse.c — from arrays to kernels, first part: which arrays are computed where they
 * are read, and which are stored.
 *
 * Requires: a function that ir_verify accepts, simplified.
 * Keeps: the function, and every bit of its results; expressions are only put in the
 *   place of reads, never simplified again (rounding would change).
 * Breaks: nothing; new scalar nodes are added to the Ir.
 *
 * An array is stored when something needs it as a whole (an output, a reduction, the
 * initial or next value of a carry), or when computing it anew at each place that
 * reads it would cost more than the memory traffic. */
#include "fuse.h"

#include <stdlib.h>
#include <string.h>

/* ---- walks over scalar expressions --------------------------------------------------- */

static void grow_marks(Fuse *fu) {
    Ref n = (Ref)fu->ir->nodes.n;
    if (n <= fu->nmark) return;
    Ref cap = n + n / 2;
    fu->mark = lq_realloc(fu->mark, cap * sizeof *fu->mark);
    fu->memo = lq_realloc(fu->memo, cap * sizeof *fu->memo);
    memset(fu->mark + fu->nmark, 0, (cap - fu->nmark) * sizeof *fu->mark);
    fu->nmark = cap;
}

/* mark: epoch while waiting for the arguments, epoch + 1 when listed. */
void fuse_walk(Fuse *fu, Ref root) {
    const Ir *ir = fu->ir;
    grow_marks(fu);
    fu->epoch += 2;
    fu->walk.n = fu->stack.n = 0;
    vec_push(&fu->stack, root);
    while (fu->stack.n) {
        Ref r = fu->stack.data[fu->stack.n - 1];
        if (fu->mark[r] >= fu->epoch) {
            fu->stack.n--;
            if (fu->mark[r] == fu->epoch) vec_push(&fu->walk, r);
            fu->mark[r] = fu->epoch + 1;
            continue;
        }
        fu->mark[r] = fu->epoch;
        for (int i = (int)NODE(ir, r)->nargs - 1; i >= 0; i--) {
            Ref a = NARG(ir, r, i);
            if (!ir_is_array(ir, a) && fu->mark[a] < fu->epoch) vec_push(&fu->stack, a);
        }
    }
}

/* ---- copies of operations ------------------------------------------------------------ */

static uint64_t clone_hash(int op, int n, const Ref *args) {
    uint64_t h = (uint64_t)op;
    for (int i = 0; i < n; i++) h = (h ^ args[i]) * 0xff51afd7ed558ccdu, h ^= h >> 32;
    return h;
}

static Ref *clone_slot(const Fuse *fu, int op, int n, const Ref *args) {
    const CloneTable *t = &fu->clones;
    const Ir *ir = fu->ir;
    uint32_t h = (uint32_t)clone_hash(op, n, args) & (t->cap - 1);
    for (; t->slot[h]; h = (h + 1) & (t->cap - 1)) {
        const Node *k = NODE(ir, t->slot[h]);
        if (k->op == op && memcmp(ir->args.data + k->args, args, (size_t)n * sizeof *args) == 0) break;
    }
    return &t->slot[h];
}

static void clone_insert(Fuse *fu, Ref r) {
    const Node *k = NODE(fu->ir, r);
    Ref *slot = clone_slot(fu, k->op, (int)k->nargs, fu->ir->args.data + k->args);
    if (!*slot) *slot = r, fu->clones.n++;
}

static void clone_resize(Fuse *fu, uint32_t cap) {
    CloneTable old = fu->clones;
    fu->clones = (CloneTable){lq_alloc(cap * sizeof(Ref)), cap, 0};
    memset(fu->clones.slot, 0, cap * sizeof(Ref));
    for (uint32_t i = 0; i < old.cap; i++)
        if (old.slot[i]) clone_insert(fu, old.slot[i]);
    free(old.slot);
}

static void clone_add(Fuse *fu, Ref r) {
    if (2 * fu->clones.n >= fu->clones.cap) clone_resize(fu, 2 * fu->clones.cap);
    clone_insert(fu, r);
}

/* Truth values that became known decide selects, so that no work is done for the
 * branch not taken; nothing else is folded. */
static Ref known(Fuse *fu, int op, bool boolean, const Ref *args, int n) {
    double v[3] = {0};
    if (op == SC_SELECT && ir_is_const(fu->ir, args[0], v)) return args[v[0] != 0 ? 1 : 2];
    if (!boolean || op == SC_SELECT) return 0;
    for (int i = 0; i < n; i++)
        if (!ir_is_const(fu->ir, args[i], &v[i])) return 0;
    return ir_bool(fu->ir, op_value((Op)op, v[0], v[1], v[2]) != 0);
}

/* The operation r with other operands.  Not by ir_op: its identities change rounding. */
static Ref clone(Fuse *fu, Ref r, const Ref *args) {
    Ir *ir = fu->ir;
    Node k = *NODE(ir, r);
    int n = (int)k.nargs;
    Ref other = known(fu, k.op, k.boolean, args, n);
    if (other) return other;
    Ref found = *clone_slot(fu, k.op, n, args);
    if (!found && (k.op == SC_ADD || k.op == SC_MUL))    /* a+b is b+a to the last bit */
        found = *clone_slot(fu, k.op, n, (Ref[]){args[1], args[0]});
    if (found) return found;
    k.args = (uint32_t)ir->args.n;
    for (int i = 0; i < n; i++) vec_push(&ir->args, args[i]);
    vec_push(&ir->nodes, k);
    Ref new = (Ref)ir->nodes.n - 1;
    clone_add(fu, new);
    return new;
}

/* The operation r with its operands taken from fu->memo. */
static Ref with_memo(Fuse *fu, Ref r) {
    const Node *k = NODE(fu->ir, r);
    Ref args[3];
    bool changed = false;
    for (uint32_t i = 0; i < k->nargs; i++) {
        args[i] = fu->memo[NARG(fu->ir, r, i)];
        changed |= args[i] != NARG(fu->ir, r, i);
    }
    return changed ? clone(fu, r, args) : r;
}

Ref fuse_replace(Fuse *fu, Ref expr, int n, const Ref *from, const Ref *to) {
    if (n == 0) return expr;
    fuse_walk(fu, expr);
    for (int i = 0; i < fu->walk.n; i++) fu->memo[fu->walk.data[i]] = fu->walk.data[i];
    for (int i = 0; i < n; i++) fu->memo[from[i]] = to[i];
    for (int i = 0; i < fu->walk.n; i++) {
        Ref r = fu->walk.data[i];
        if (NODE(fu->ir, r)->op < SC_CONST) fu->memo[r] = with_memo(fu, r);
    }
    return fu->memo[expr];
}

/* ---- reads --------------------------------------------------------------------------- */

static bool is_axis(const Ir *ir, Aff a, int axis) {
    const Affine *f = aff_get(ir, a);
    return f->k == 0 && f->n == 1 && f->t[0].sym == (Sym)axis && f->t[0].c == 1;
}

bool fuse_pointwise(const Ir *ir, Ref read, int rank, const int64_t *dims) {
    Ref a = NARG(ir, read, 0);
    if (NODE(ir, a)->rank != rank) return false;
    for (int i = 0; i < rank; i++)         /* in any mode: the own point is inside */
        if (!is_axis(ir, NIDX(ir, read, i)->aff, i) || dims[i] != NDIM(ir, a, i)) return false;
    return true;
}

/* A read that never leaves its range is exact, whatever happens outside. */
static Index tighten(const Ir *ir, Index ix, Ref space) {
    int64_t lo, hi;
    if (ix.mode == IX_EXACT) return ix;
    ir_aff_range(ir, ix.aff, fuse_rank(ir, space), fuse_dims(ir, space), &lo, &hi);
    if (lo >= 0 && hi < ix.n) ix.mode = IX_EXACT;
    return ix;
}

/* Which axes of the array a, whose expression is in fu->walk, may be taken modulo
 * their extent: all that depends on them must be the same for i and i + extent. */
static uint32_t wrapping_axes(const Fuse *fu, Ref a) {
    const Ir *ir = fu->ir;
    uint32_t ok = UINT32_MAX;
    for (int i = 0; i < fu->walk.n; i++) {
        Ref r = fu->walk.data[i];
        int op = NODE(ir, r)->op;
        for (int j = 0; j < NODE(ir, r)->nidx; j++) {
            const Index *ix = NIDX(ir, r, j);
            const Affine *f = aff_get(ir, ix->aff);
            for (int t = 0; t < f->n; t++) {
                if (f->t[t].sym >= (Sym)NODE(ir, a)->rank) continue;
                int64_t n = NDIM(ir, a, f->t[t].sym);
                bool plain = f->n == 1 && f->k == 0 && f->t[t].c == 1;
                bool good = op == SC_READ ? ix->n == n && (ix->mode == IX_EXACT || ix->mode == IX_PERIODIC)
                          : op == SC_IDX  ? ix->mode == IX_PERIODIC ? ix->n == n : plain
                                          : false;
                if (!good) ok &= ~(1u << f->t[t].sym);
            }
        }
    }
    return ok;
}

/* Does the expression in fu->walk hold a read that changes sign along one axis and is
 * zero outside along another?  With a constant index the sign becomes a negation, which
 * would turn the zero outside into -0. */
static bool has_signed_border(const Fuse *fu) {
    for (int i = 0; i < fu->walk.n; i++) {
        Ref r = fu->walk.data[i];
        uint32_t modes = 0;
        for (int j = 0; j < NODE(fu->ir, r)->nidx; j++) modes |= 1u << NIDX(fu->ir, r, j)->mode;
        if (modes >> IX_ANTIPERIODIC & 1 && modes >> IX_ZERO & 1) return true;
    }
    return false;
}

/* May the read of an inlined array be replaced by its expression? */
static bool can_inline_at(const Fuse *fu, Ref read, Ref space) {
    Ref a = NARG(fu->ir, read, 0);
    for (int i = 0; i < NODE(fu->ir, read)->nidx; i++) {
        Index ix = tighten(fu->ir, *NIDX(fu->ir, read, i), space);
        if (fu->info[a].rigid && !is_axis(fu->ir, ix.aff, i)) return false;
        if (ix.mode == IX_EXACT) continue;
        if (ix.mode != IX_PERIODIC || !(fu->info[a].wraps >> i & 1)) return false;
    }
    return true;
}

/* ---- substitution -------------------------------------------------------------------- */

/* Axis i of an inlined array becomes by[i], modulo its extent where wrap has bit i. */
typedef struct Shift {
    int  rank;
    Sym  syms[IR_MAX_RANK];
    Aff  by[IR_MAX_RANK];
    uint32_t wrap;
    int64_t n[IR_MAX_RANK];
    Ref  space;              /* the reader: its extents bound the new indices */
} Shift;

static Aff shift_aff(Fuse *fu, const Shift *s, Aff a) { return aff_subst(fu->ir, a, s->rank, s->syms, s->by); }

static Index shift_index(Fuse *fu, const Shift *s, Index ix) {
    const Affine *f = aff_get(fu->ir, ix.aff);
    for (int i = 0; i < f->n; i++)
        if (f->t[i].sym < (Sym)s->rank && s->wrap >> f->t[i].sym & 1)
            ix.mode = IX_PERIODIC, ix.n = s->n[f->t[i].sym];
    ix.aff = shift_aff(fu, s, ix.aff);
    return tighten(fu->ir, ix, s->space);
}

static Ref shift_leaf(Fuse *fu, const Shift *s, Ref r) {
    Ir *ir = fu->ir;
    Node k = *NODE(ir, r);
    Index ix[IR_MAX_RANK];
    if (k.op == SC_CONST) return r;
    for (int i = 0; i < k.nidx; i++) ix[i] = *NIDX(ir, r, i);
    if (k.op == SC_INRANGE) return ir_inrange(ir, shift_aff(fu, s, ix[0].aff), ix[0].n);
    if (k.op == SC_RAND)
        return ir_rand(ir, k.aux >> 1, k.aux & 1, shift_aff(fu, s, ix[0].aff), shift_aff(fu, s, ix[1].aff));
    for (int i = 0; i < k.nidx; i++) ix[i] = shift_index(fu, s, ix[i]);
    return k.op == SC_IDX ? ir_idx(ir, ix[0]) : ir_read(ir, NARG(ir, r, 0), ix);
}

/* The expression of an inlined array at the indices of a read. */
static Ref inline_read(Fuse *fu, Ref read, Ref space) {
    Ir *ir = fu->ir;
    Ref a = NARG(ir, read, 0);
    Shift s = {.rank = NODE(ir, a)->rank, .space = space};
    bool identity = true;
    for (int i = 0; i < s.rank; i++) {
        Index ix = tighten(ir, *NIDX(ir, read, i), space);
        s.syms[i] = (Sym)i, s.by[i] = ix.aff, s.n[i] = ix.n;
        identity &= is_axis(ir, ix.aff, i) && ix.mode == IX_EXACT;
        if (ix.mode == IX_PERIODIC) s.wrap |= 1u << i;
    }
    if (identity) return fu->info[a].expr;
    fuse_walk(fu, fu->info[a].expr);
    for (int i = 0; i < fu->walk.n; i++) {
        Ref r = fu->walk.data[i];
        fu->memo[r] = NODE(ir, r)->op < SC_CONST ? with_memo(fu, r) : shift_leaf(fu, &s, r);
    }
    return fu->memo[fu->info[a].expr];
}

/* ---- expressions of array nodes ------------------------------------------------------ */

static bool is_computed(const Ir *ir, Ref a) { return NODE(ir, a)->op == AR_MAP || NODE(ir, a)->op == AR_REDUCE; }

static bool is_inlined(const Fuse *fu, Ref a) { return NODE(fu->ir, a)->op == AR_MAP && !fu->info[a].stored; }

/* The nodes of the body of `a` into fu->walk.  Bounds what its expression will be: the
 * largest inlined arrays are stored until it is small. */
static void bound_size(Fuse *fu, Ref a) {
    const Ir *ir = fu->ir;
    fuse_walk(fu, NARG(ir, a, 0));
    for (;;) {
        int64_t total = fu->walk.n;
        Ref largest = 0;
        for (int i = 0; i < fu->walk.n; i++) {
            Ref r = fu->walk.data[i], b;
            if (NODE(ir, r)->op != SC_READ || !is_inlined(fu, b = NARG(ir, r, 0))) continue;
            total += fu->info[b].size;
            if (!largest || fu->info[b].size > fu->info[largest].size) largest = b;
        }
        if (total <= MAX_INLINED || !largest) return;
        fu->info[largest].stored = true;
    }
}

static void add_heavy(Refs *list, Ref a) {
    for (int i = 0; i < list->n; i++)
        if (list->data[i] == a) return;
    vec_push(list, a);
}

/* A read kept as a read, with exact indices where they are. */
static Ref kept_read(Fuse *fu, Ref read, Ref space) {
    Index ix[IR_MAX_RANK];
    bool changed = false;
    for (int i = 0; i < NODE(fu->ir, read)->nidx; i++) {
        ix[i] = tighten(fu->ir, *NIDX(fu->ir, read, i), space);
        changed |= ix[i].mode != NIDX(fu->ir, read, i)->mode;
    }
    return changed ? ir_read(fu->ir, NARG(fu->ir, read, 0), ix) : read;
}

static void expand(Fuse *fu, Ref a) {
    Ir *ir = fu->ir;
    Info *info = &fu->info[a];
    Refs from = {0}, to = {0};
    bound_size(fu, a);
    info->heavy.n = 0, info->shared = false;
    for (int i = 0; i < fu->walk.n; i++)
        if (NODE(ir, fu->walk.data[i])->op == SC_READ) vec_push(&from, fu->walk.data[i]);
    for (int i = 0; i < from.n; i++) {
        Ref b = NARG(ir, from.data[i], 0);
        bool in = is_inlined(fu, b);
        vec_push(&to, in ? inline_read(fu, from.data[i], a) : kept_read(fu, from.data[i], a));
        if (!in) continue;
        Info *bi = &fu->info[b];
        bool several = bi->uses >= 0 && fu->uses.data[bi->uses].next >= 0;
        info->shared |= bi->shared || (several && (bi->cost > CHEAP_COST || bi->reads > CHEAP_READS));
        if (bi->cost >= HEAVY_COST) add_heavy(&info->heavy, b);
        for (int j = 0; j < bi->heavy.n; j++) add_heavy(&info->heavy, bi->heavy.data[j]);
    }
    info->expr = fuse_replace(fu, NARG(ir, a, 0), from.n, from.data, to.data);
    vec_free(&from);
    vec_free(&to);
}

static void measure(Fuse *fu, Ref a) {
    const Ir *ir = fu->ir;
    Info *info = &fu->info[a];
    fuse_walk(fu, info->expr);
    info->size = fu->walk.n;
    info->cost = info->reads = 0;
    for (int i = 0; i < fu->walk.n; i++) {
        Ref r = fu->walk.data[i];
        info->cost += op_cost((Op)NODE(ir, r)->op);
        info->reads += NODE(ir, r)->op == SC_READ && NODE(ir, r)->nidx > 0;
    }
    info->wraps = wrapping_axes(fu, a);
    info->rigid = has_signed_border(fu);
}

/* ---- stored or inlined --------------------------------------------------------------- */

static int64_t points(const Ir *ir, Ref a) {
    int64_t n = 1;
    for (int i = 0; i < fuse_rank(ir, a); i++) n *= fuse_dims(ir, a)[i];
    return n;
}

/* Computing a map where it is read beats storing it when that is nearly free, when it is
 * read at the reader's own points only (then each kernel computes it once), or when
 * there is one reader at one index. */
static bool better_stored(const Fuse *fu, Ref a) {
    const Ir *ir = fu->ir;
    const Info *info = &fu->info[a];
    bool cheap = info->cost <= CHEAP_COST && info->reads <= CHEAP_READS;
    bool pointwise = true, one = true;
    for (int u = info->uses; u >= 0; u = fu->uses.data[u].next) {
        Use use = fu->uses.data[u];
        if (!can_inline_at(fu, use.read, use.consumer)) return true;
        if (fu->f->single && (fuse_rank(ir, a) > 0) != (fuse_rank(ir, use.consumer) > 0)) return true;   /* another precision */
        pointwise &= fuse_pointwise(ir, use.read, fuse_rank(ir, use.consumer), fuse_dims(ir, use.consumer));
        one &= use.next < 0 && u == info->uses && points(ir, use.consumer) <= points(ir, a);
        /* Not computed again and again inside a loop. */
        if (fu->info[use.consumer].region != info->region) cheap &= info->reads <= 1, pointwise = one = false;
    }
    return !(cheap || pointwise || (one && !info->shared));
}

static void decide(Fuse *fu) {
    for (int i = 0; i < fu->arrays.n; i++) {
        Ref a = fu->arrays.data[i];
        if (NODE(fu->ir, a)->op == AR_CALL) fu->info[a].stored = true;
        if (!is_computed(fu->ir, a)) continue;
        Info *info = &fu->info[a];
        expand(fu, a);
        measure(fu, a);
        info->stored = info->fixed || NODE(fu->ir, a)->op == AR_REDUCE || better_stored(fu, a);
    }
}

/* ---- the nodes needed, their regions and uses ---------------------------------------- */

static void open_loop(Fuse *fu, Ref node) {
    const Ir *ir = fu->ir;
    LoopPlan *l = &fu->loop[NODE(ir, node)->aux];
    if (l->node) return;
    l->node = node;
    l->trip = ir->loops.data[NODE(ir, node)->aux].trip;
    l->active = (int)NODE(ir, node)->val;
    l->ncarry = (int)NODE(ir, node)->nargs / 2;
    l->carry = arena_alloc(fu->arena, (size_t)l->ncarry * sizeof *l->carry);
    for (int i = 0; i < l->ncarry; i++)
        l->carry[i] = (CarryPlan){.init = NARG(ir, node, i), .next = NARG(ir, node, l->ncarry + i), .last = NEVER};
}

static void need_carry(Fuse *fu, uint32_t loop, int which) {
    CarryPlan *c = &fu->loop[loop].carry[which];
    if (c->live) return;
    c->live = true;
    fu->info[c->init].fixed = fu->info[c->next].fixed = true;
    vec_push(&fu->stack, c->init);
    vec_push(&fu->stack, c->next);
}

/* Carries that no result needs are left out; which are needed is known only when
 * everything that reads them is. */
static void find_live(Fuse *fu) {
    const Ir *ir = fu->ir;
    for (int i = 0; i < fu->order->nodes.n; i++)
        if (NODE(ir, fu->order->nodes.data[i])->op == AR_LOOP) open_loop(fu, fu->order->nodes.data[i]);
    for (int i = 0; i < fu->f->nout; i++) {
        Info *out = &fu->info[fu->f->out[i]];
        out->fixed = out->output = true;
        vec_push(&fu->stack, fu->f->out[i]);
    }
    while (fu->stack.n) {
        Ref r = fu->stack.data[--fu->stack.n];
        if (fu->info[r].live) continue;
        fu->info[r].live = true;
        const Node *k = NODE(ir, r);
        if (k->op == AR_CARRY) { need_carry(fu, k->aux, (int)k->val); continue; }
        if (k->op == AR_PROJ || k->op == AR_STACK) {
            Ref node = NARG(ir, r, 0);
            LoopPlan *l = &fu->loop[NODE(ir, node)->aux];
            *(k->op == AR_PROJ ? &l->carry[k->aux].proj : &l->carry[k->aux].stack) = r;
            if (k->op == AR_STACK) l->active = -1;      /* no iteration may be missing in it */
            fu->info[node].live = true;
            need_carry(fu, NODE(ir, node)->aux, (int)NODE(ir, r)->aux);
            if (NODE(ir, node)->val >= 0) need_carry(fu, NODE(ir, node)->aux, (int)NODE(ir, node)->val);
            continue;
        }
        for (uint32_t i = 0; i < k->nargs; i++) {
            vec_push(&fu->stack, NARG(ir, r, (int)i));
            if (k->op == AR_CALL) fu->info[NARG(ir, r, (int)i)].fixed = true;
        }
    }
}

/* Outer loops stand after what is inside them. */
static int innermost(const Fuse *fu, Ref r) {
    const LoopSet *deps = fu->order->deps[PLACE(fu->order, r)];
    int best = TOP;
    for (int i = 0; i < deps->n; i++)
        if (best == TOP || fu->loop[deps->loop[i]].depth > fu->loop[best].depth) best = (int)deps->loop[i];
    return best;
}

static void find_regions(Fuse *fu) {
    for (int i = fu->order->nodes.n - 1; i >= 0; i--) {
        Ref r = fu->order->nodes.data[i];
        if (NODE(fu->ir, r)->op != AR_LOOP) continue;
        LoopPlan *l = &fu->loop[NODE(fu->ir, r)->aux];
        l->parent = innermost(fu, r);
        l->depth = l->parent == TOP ? 1 : fu->loop[l->parent].depth + 1;
    }
    for (int i = 0; i < fu->order->nodes.n; i++) {
        Ref r = fu->order->nodes.data[i];
        if (!ir_is_array(fu->ir, r) || !fu->info[r].live) continue;
        fu->info[r].region = innermost(fu, r);
        vec_push(&fu->arrays, r);
    }
}

static void find_uses(Fuse *fu) {
    const Ir *ir = fu->ir;
    for (int i = 0; i < fu->arrays.n; i++) {
        Ref a = fu->arrays.data[i];
        if (!is_computed(ir, a)) continue;
        fuse_walk(fu, NARG(ir, a, 0));
        for (int j = 0; j < fu->walk.n; j++) {
            Ref r = fu->walk.data[j];
            if (NODE(ir, r)->op < SC_CONST) clone_add(fu, r);
            if (NODE(ir, r)->op != SC_READ) continue;
            Info *read = &fu->info[NARG(ir, r, 0)];
            Use use = {a, r, read->uses};
            read->uses = fu->uses.n;
            vec_push(&fu->uses, use);
        }
    }
}

/* ---- the whole ----------------------------------------------------------------------- */

static void fuse_begin(Fuse *fu) {
    Ir *ir = fu->ir;
    fu->order = schedule_new(ir, fu->f->nout, fu->f->out);
    fu->ninfo = (Ref)ir->nodes.n;
    fu->info = lq_alloc((size_t)fu->ninfo * sizeof *fu->info);
    memset(fu->info, 0, (size_t)fu->ninfo * sizeof *fu->info);
    for (Ref r = 0; r < fu->ninfo; r++) fu->info[r].uses = fu->info[r].item = fu->info[r].store = -1;
    fu->loop = arena_alloc(fu->arena, ((size_t)ir->loops.n + 1) * sizeof *fu->loop);
    clone_resize(fu, 1024);
    find_live(fu);
    find_regions(fu);
    find_uses(fu);
}

static void fuse_end(Fuse *fu) {
    fuse_unplace(fu);
    for (Ref r = 0; r < fu->ninfo; r++) vec_free(&fu->info[r].heavy);
    free(fu->info);
    free(fu->mark);
    free(fu->memo);
    free(fu->clones.slot);
    vec_free(&fu->uses);
    vec_free(&fu->arrays);
    vec_free(&fu->items);
    vec_free(&fu->stack);
    vec_free(&fu->walk);
    schedule_free(fu->order);
}

/* A costly array that ended up in several kernels is stored after all. */
static bool store_repeated(Fuse *fu) {
    bool any = false;
    int *kernel = lq_alloc((size_t)fu->ninfo * sizeof *kernel);
    memset(kernel, 0, (size_t)fu->ninfo * sizeof *kernel);
    for (int i = 0; i < fu->items.n; i++) {
        Item *it = &fu->items.data[i];
        if (NODE(fu->ir, it->node)->op == AR_LOOP) continue;
        int id = fuse_region(fu, it->region)->steps.data[it->step].items.data[0] + 1;
        Refs *heavy = &fu->info[it->node].heavy;
        for (int j = 0; j < heavy->n; j++) {
            Ref a = heavy->data[j];
            if (!kernel[a]) kernel[a] = id;
            else if (kernel[a] != id && !fu->info[a].fixed) any = fu->info[a].fixed = true;
        }
    }
    free(kernel);
    return any;
}

KProgram *fuse(const IrFunc *f, Arena *arena) { return fuse_for(f, 1, arena); }

KProgram *fuse_for(const IrFunc *f, int replicas, Arena *arena) {
    Fuse fu = {.f = f, .ir = f->ir, .arena = arena, .replicas = replicas};
    fuse_begin(&fu);
    for (int round = 0; round < 4; round++) {
        decide(&fu);
        fuse_place(&fu);
        if (round == 3 || !store_repeated(&fu)) break;
        fuse_unplace(&fu);
    }
    KProgram *p = fuse_emit(&fu);
    fuse_end(&fu);
    kernel_collect_settings(p, arena);
    return p;
}
