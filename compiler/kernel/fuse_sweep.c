/* fuse_sweep.c — from arrays to kernels: loops whose rows can be swept (KSweep).
 *
 * Requires: the items of the loop in their steps, with their roots, and the positions of
 *   last reads (fuse_buffers.c).
 * Keeps: every value; where rows are computed in another order, none is overwritten before
 *   its last reader, which is what the rows of a ring and the distance between the
 *   iterations of a wave are for.
 *
 * A kick and a drift make p' = p - F(q) and q' = q + p' in one kernel, where F reads q at
 * neighbouring rows.  With a second buffer for q' each step would move half as much memory
 * again.  In place, row by row, it is enough to store row y of q' where row y - radius of q
 * was.  The same holds for a chain of values q, q1, q2 … in one iteration. */
#include "fuse_plan.h"

#include <stdlib.h>
#include <string.h>

enum {
    LEAST_ROWS = 8,
    MOST_RADIUS = 4,
    MOST_WAVE = 16,
    MOST_NEAR_WAVE = 6,
    NEAR_ROWS = 4,           /* least rows in the nearest cache for a wave there */
    MOST_PAIR_NODES = 64,
    MOST_LINKS = 32          /* values of one chain in an iteration */
};

typedef struct Sweep {
    Plan *pl;
    Fuse *fu;
    Ir   *ir;
    LoopPlan *l;
    int   number;            /* of the loop */
    int   rank;
    const int64_t *dims;
    int64_t radius;
    bool far;                /* all rows are more than the second cache holds */
} Sweep;

/* ---- is every kernel a stencil over the same rows? -------------------------------------- */

static Item *item_of_array(const Sweep *s, Ref a) {
    int i = fuse_producer(s->fu, a);
    return i >= 0 ? &s->fu->items.data[i] : NULL;
}

/* Does the body of the loop write the array? */
static bool is_written(const Sweep *s, Ref a) {
    const Node *n = NODE(s->ir, a);
    if (n->op == AR_CARRY) {
        if ((int)n->aux != s->number) return false;
        const CarryPlan *c = &s->l->carry[(int)n->val];
        return c->live && c->kind != NEXT_SAME;
    }
    const Item *it = item_of_array(s, a);
    return it && it->region == s->number;
}

static bool same_space(const Sweep *s, Ref a) {
    if (NODE(s->ir, a)->rank != s->rank || NODE(s->ir, a)->nred) return false;
    for (int d = 0; d < s->rank; d++)
        if (NDIM(s->ir, a, d) != s->dims[d]) return false;
    return true;
}

/* k, when the first index of a read is row + k and no other holds the row. */
static bool row_offset(const Sweep *s, Ref r, int64_t *k) {
    const Affine *a = aff_get(s->ir, NIDX(s->ir, r, 0)->aff);
    *k = a->k;
    if (a->n != 1 || a->t[0].sym != 0 || a->t[0].c != 1) return false;
    for (int d = 1; d < NODE(s->ir, r)->nidx; d++)
        if (aff_coef(s->ir, NIDX(s->ir, r, d)->aff, 0)) return false;
    return true;
}

/* Along the other axes, is it the reader's own place? */
static bool own_column(const Sweep *s, Ref r) {
    for (int d = 1; d < s->rank; d++) {
        const Affine *a = aff_get(s->ir, NIDX(s->ir, r, d)->aff);
        if (a->k || a->n != 1 || a->t[0].sym != (Sym)d || a->t[0].c != 1) return false;
    }
    return true;
}

static bool item_is_stencil(Sweep *s, const Item *it) {
    if (NODE(s->ir, it->node)->op != AR_MAP || !same_space(s, it->node)) return false;
    if (s->fu->info[it->node].output || s->fu->info[it->node].only) return false;
    fuse_walk(s->fu, it->root);
    for (int i = 0; i < s->fu->walk.n; i++) {
        Ref r = s->fu->walk.data[i];
        int64_t k;
        if (NODE(s->ir, r)->op != SC_READ || !is_written(s, NARG(s->ir, r, 0))) continue;
        if (!same_space(s, NARG(s->ir, r, 0)) || !row_offset(s, r, &k)) return false;
        if (k < 0) k = -k;
        if (k > MOST_RADIUS || 4 * k > s->dims[0]) return false;
        if (k > s->radius) s->radius = k;
    }
    return true;
}

static bool loop_is_stencil(Sweep *s) {
    const Region *body = &s->l->body;
    if (s->l->active >= 0 || s->l->trip < 1 || body->steps.n == 0) return false;
    for (int i = 0; i < s->l->ncarry; i++) {
        const CarryPlan *c = &s->l->carry[i];
        if (c->live && (c->stack || c->kind == NEXT_COPY)) return false;
    }
    for (int i = 0; i < body->steps.n; i++) {
        const Step *step = &body->steps.data[i];
        if (step->loop) return false;
        for (int j = 0; j < step->items.n; j++) {
            const Item *it = &s->fu->items.data[step->items.data[j]];
            if (!s->dims) s->rank = NODE(s->ir, it->node)->rank, s->dims = fuse_dims(s->ir, it->node);
            if (s->rank < 2 || s->dims[0] < LEAST_ROWS || !item_is_stencil(s, it)) return false;
        }
    }
    return true;
}

/* ---- chains of values in one place -------------------------------------------------------- */

typedef struct Link { Ref made; int64_t ahead; } Link;     /* a value, and how far its rows move */
typedef struct Chain { Link link[MOST_LINKS]; int n; } Chain;

/* How far the rows of what replaces `old` in a step have to move on: 0 when the step reads
 * it pointwise; at least to where its farthest row is read by its own column only. */
static int64_t rows_ahead(Sweep *s, const Step *step, Ref old) {
    bool pointwise = true;
    int64_t ahead = s->radius;
    for (int i = 0; i < step->items.n; i++) {
        fuse_walk(s->fu, s->fu->items.data[step->items.data[i]].root);
        for (int j = 0; j < s->fu->walk.n; j++) {
            Ref r = s->fu->walk.data[j];
            int64_t k;
            if (NODE(s->ir, r)->op != SC_READ || NARG(s->ir, r, 0) != old) continue;
            pointwise &= fuse_pointwise(s->ir, r, s->rank, s->dims);
            if (row_offset(s, r, &k) && k == -s->radius && !own_column(s, r)) ahead = s->radius + 1;
        }
    }
    return pointwise ? 0 : ahead;
}

/* Is the array read anywhere in the loop at other points than the reader's own? */
static bool is_spread(const Sweep *s, Ref a) {
    for (int u = s->fu->info[a].uses; u >= 0; u = s->fu->uses.data[u].next) {
        Use use = s->fu->uses.data[u];
        if (!fuse_pointwise(s->ir, use.read, fuse_rank(s->ir, use.consumer), fuse_dims(s->ir, use.consumer))) return true;
    }
    return false;
}

/* A value that is made and used up in the loop: is it read last in this step? */
static bool dies_in(const Sweep *s, Ref a, int step) {
    const Info *info = &s->fu->info[a];
    const Item *it = item_of_array(s, a);
    return it && it->region == s->number && it->step < step && info->last == 2 * step + 1 && !info->taken;
}

/* Extends the chain from `made` backwards to the carry; the steps read what they replace at
 * their own point. */
static bool find_chain(Sweep *s, int which, Ref made, Chain *c) {
    const CarryPlan *carry = &s->l->carry[which];
    bool spread = is_spread(s, made);
    int step = item_of_array(s, made)->step;
    const Step *at = &s->l->body.steps.data[step];
    if (c->n == MOST_LINKS || carry->last > 2 * step + 1) return false;
    if (carry->last == 2 * step + 1) {
        Ref old = 0;
        fuse_walk(s->fu, s->fu->items.data[at->items.data[0]].root);
        for (int i = 0; i < at->items.n && !old; i++) {
            fuse_walk(s->fu, s->fu->items.data[at->items.data[i]].root);
            for (int j = 0; j < s->fu->walk.n; j++) {
                Ref r = s->fu->walk.data[j];
                if (NODE(s->ir, r)->op == SC_READ && fuse_is_carry(s->pl, NARG(s->ir, r, 0), (uint32_t)s->number, which)) old = NARG(s->ir, r, 0);
            }
        }
        c->link[c->n++] = (Link){made, old ? rows_ahead(s, at, old) : 0};
        return true;
    }
    Refs olds = {0};
    fuse_walk(s->fu, item_of_array(s, made)->root);
    for (int i = 0; i < s->fu->walk.n; i++) {
        Ref r = s->fu->walk.data[i];
        if (NODE(s->ir, r)->op != SC_READ || !fuse_pointwise(s->ir, r, s->rank, s->dims)) continue;
        if (!dies_in(s, NARG(s->ir, r, 0), step)) continue;
        vec_push(&olds, NARG(s->ir, r, 0));
        if (is_spread(s, olds.data[olds.n - 1]) != spread) continue;     /* the likeliest first */
        Ref first = olds.data[0];
        olds.data[0] = olds.data[olds.n - 1], olds.data[olds.n - 1] = first;
    }
    int n = c->n;
    bool found = false;
    for (int i = 0; i < olds.n && !found; i++) {
        c->link[c->n++] = (Link){made, rows_ahead(s, at, olds.data[i])};
        found = c->n < MOST_LINKS && find_chain(s, which, olds.data[i], c);
        if (!found) c->n = n;
    }
    vec_free(&olds);
    if (found) return true;
    c->link[c->n++] = (Link){made, 0};         /* the old value is not read any more */
    return carry->last < 2 * step;
}

/* ---- waves ---------------------------------------------------------------------------------- */

/* Where all rows do not fit in the second cache: as many iterations as keep the rows between
 * the first and the last there. */
static int64_t far_wave(const Sweep *s, double row, int64_t distance) {
    int64_t wave = (int64_t)(0.5 * kernel_cache() / (row * (double)distance));
    if (wave > MOST_WAVE) wave = MOST_WAVE;
    while (wave > 1 && kernel_rows_for_wave() * wave * distance > s->dims[0]) wave--;
    return wave;
}

/* Where they fit there, but not in the nearest one: a few, whose rows do.  They move half as much
 * or a third between these caches; more gain little, and have rows to make twice.  Measured for
 * chains of 32^2, 64^2 and lattices of 128^2, 256^2: 1.15 to 1.4 times the rate of single sweeps where
 * the second cache is slow. */
static int64_t near_wave(const Sweep *s, double row, int64_t distance) {
    double near = kernel_near_cache();
    if (row * (double)s->dims[0] <= near || NEAR_ROWS * row > near) return 1;
    int64_t wave = (int64_t)(0.25 * near / (row * (double)distance));
    if (wave > MOST_NEAR_WAVE) wave = MOST_NEAR_WAVE;
    while (wave > 2 && 12 * wave * distance > s->dims[0]) wave--;
    if (wave < 2) wave = 2;
    return 8 * wave * distance <= s->dims[0] ? wave : 1;
}

/* Iterations of a wave, 1: single sweeps. */
static int64_t choose_wave(Sweep *s, int narrays) {
    int64_t points = 1, kernels = s->l->body.steps.n, distance = kernels * (s->radius > 0 ? s->radius : 1);
    for (int d = 0; d < s->rank; d++) points *= s->dims[d];
    double row = (s->pl->fu->f->single ? 4.0 : 8.0) * narrays * s->pl->fu->replicas * (double)(points / s->dims[0]);
    if (s->radius == 0) return 1;
    s->far = row * (double)s->dims[0] >= 0.75 * kernel_cache();
    int64_t wave = s->far ? far_wave(s, row, distance) : near_wave(s, row, distance);
    if (wave > s->l->trip) wave = s->l->trip;
    return wave > 1 ? wave : 1;
}

/* Nodes that differ from point to point, of those last walked; varies: by Ref. */
static int varying_nodes(const Sweep *s, bool *varies) {
    int n = 0;
    for (int i = 0; i < s->fu->walk.n; i++) {
        Ref r = s->fu->walk.data[i];
        const Node *node = NODE(s->ir, r);
        varies[r] = false;
        for (int d = 0; d < node->nidx; d++)
            for (int k = 0; k < s->rank; k++) varies[r] |= aff_coef(s->ir, NIDX(s->ir, r, d)->aff, (Sym)k) != 0;
        for (uint32_t j = 0; j < node->nargs && node->op != SC_READ; j++) varies[r] |= varies[NARG(s->ir, r, j)];
        n += varies[r];
    }
    return n;
}

/* Are two rows at a time worth while?  Not where registers would not do, where little is read for
 * what is computed, or where the rows are in the nearest cache. */
static bool choose_pairs(const Sweep *s) {
    bool *varies = lq_alloc((size_t)s->ir->nodes.n * sizeof *varies), good = s->rank == 2 && s->radius > 0 && s->l->sweep.wave > 1 && s->far;
    for (int i = 0; i < s->l->body.steps.n && good; i++) {
        const Step *step = &s->l->body.steps.data[i];
        int nodes = 0;
        for (int j = 0; j < step->items.n; j++) {
            fuse_walk(s->fu, s->fu->items.data[step->items.data[j]].root);
            nodes += varying_nodes(s, varies);
            for (int k = 0; k < s->fu->walk.n; k++) good &= NODE(s->ir, s->fu->walk.data[k])->op != SC_RAND || !varies[s->fu->walk.data[k]];
        }
            good &= nodes <= MOST_PAIR_NODES;
    }
    free(varies);
    return good;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* The loop is not swept after all: only the next values of carries are spoken for. */
static void release(Sweep *s, const Chain *chains) {
    for (int i = 0; i < s->l->ncarry; i++)
        for (int k = 1; k < chains[i].n; k++) s->fu->info[chains[i].link[k].made].taken = false;
}

static void make_ring(Sweep *s, int store, int64_t ahead) {
    Store *c = fuse_class(s->pl, store);
    int64_t depth = s->l->sweep.wave > 1 ? s->l->sweep.wave * s->l->body.steps.n : 1;
    int64_t tail = depth * s->radius, lead = depth * (s->radius + ahead);
    if (s->l->sweep.wave == 1 && ahead == 0) return;
    c->rows = s->dims[0];
    if (lead > c->lead) c->lead = lead;
    if (tail > c->tail) c->tail = tail;
}

void fuse_sweep(Plan *pl, LoopPlan *l) {
    Sweep s = {.pl = pl, .fu = pl->fu, .ir = pl->ir, .l = l, .number = (int)NODE(pl->ir, l->node)->aux};
    Chain *chains = lq_alloc(((size_t)l->ncarry + 1) * sizeof *chains);
    l->sweep = (KSweep){.radius = -1, .wave = 1};
    memset(chains, 0, ((size_t)l->ncarry + 1) * sizeof *chains);
    bool good = loop_is_stencil(&s);
    int narrays = 0;
    int64_t most = 0;
    for (int i = 0; i < l->ncarry && good; i++) {
        if (!l->carry[i].live || l->carry[i].kind == NEXT_SAME) continue;
        good = find_chain(&s, i, l->carry[i].next, &chains[i]);
        narrays++;
        for (int k = 0; k < chains[i].n; k++) {
            if (chains[i].link[k].ahead > most) most = chains[i].link[k].ahead;
            pl->fu->info[chains[i].link[k].made].taken = true;           /* by this chain */
        }
    }
    if (!good) release(&s, chains);
    if (good && narrays) {
        l->sweep = (KSweep){.radius = s.radius, .wave = choose_wave(&s, narrays)};
        l->sweep.pairs = choose_pairs(&s);
        if (l->sweep.pairs) most++;
        for (int i = 0; i < l->ncarry; i++) {
            int64_t total = 0;
            l->carry[i].nxt = l->carry[i].cur;
            if (!l->carry[i].live || l->carry[i].kind == NEXT_SAME) continue;
            for (int k = 0; k < chains[i].n; k++) {
                Info *info = &pl->fu->info[chains[i].link[k].made];
                fuse_join(pl, l->carry[i].cur, info->store);
                info->ahead = chains[i].link[k].ahead;
                if (info->ahead && l->sweep.pairs) info->ahead++;     /* the second row too leaves what the first reads */
                total += info->ahead;
            }
            make_ring(&s, l->carry[i].cur, total ? most : 0);
        }
        for (int i = 0; i < l->body.steps.n; i++)
            for (int j = 0; j < l->body.steps.data[i].items.n; j++)
                make_ring(&s, pl->fu->info[pl->fu->items.data[l->body.steps.data[i].items.data[j]].node].store, 0);
    }
    free(chains);
}
