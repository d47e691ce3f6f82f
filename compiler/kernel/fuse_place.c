/* fuse_place.c — from arrays to kernels, second part: which stored arrays share a
 * kernel, and the order of kernels and loops in each region.
 *
 * Requires: every stored array has its expression (fuse.c).
 * Keeps: nothing is computed before what it reads; inside a kernel an item may use
 *   another item's value at the same point, never its elements elsewhere.
 *
 * Items with the same iteration space may share a kernel.  A greedy scheduler picks
 * one space after the other and puts everything into its kernel that is ready; it
 * waits with a space as long as more items of it become ready from other work, so
 * that passes over memory are few. */
#include "fuse.h"

#include <stdlib.h>
#include <string.h>

/* ---- who makes what ------------------------------------------------------------------ */

int fuse_producer(const Fuse *fu, Ref array) {
    const Ir *ir = fu->ir;
    switch (NODE(ir, array)->op) {
    case AR_MAP: case AR_REDUCE: case AR_CALL: return fu->info[array].item;
    case AR_PROJ: case AR_STACK: return fu->loop[NODE(ir, NARG(ir, array, 0))->aux].item;
    default: return -1;
    }
}

/* Marks what the outputs and loops need, through expressions; a map whose readers
 * all inlined it before it was stored is needed no more. */
static void find_needed(Fuse *fu, uint8_t *needed) {
    const Ir *ir = fu->ir;
    Refs work = {0};
    for (int i = 0; i < fu->f->nout; i++) vec_push(&work, fu->f->out[i]);
    for (int i = 0; i < fu->arrays.n; i++) {
        Ref a = fu->arrays.data[i];
        if (NODE(ir, a)->op != AR_LOOP) continue;
        LoopPlan *l = &fu->loop[NODE(ir, a)->aux];
        for (int j = 0; j < l->ncarry; j++)
            if (l->carry[j].live) vec_push(&work, l->carry[j].init), vec_push(&work, l->carry[j].next);
    }
    while (work.n) {
        Ref a = work.data[--work.n];
        if (needed[a]) continue;
        needed[a] = 1;
        for (uint32_t i = 0; fuse_is_call(fu, a) && i < NODE(ir, a)->nargs; i++) vec_push(&work, NARG(ir, a, i));
        if (!fu->info[a].stored || fuse_is_call(fu, a)) continue;
        fuse_walk(fu, fu->info[a].expr);
        for (int i = 0; i < fu->walk.n; i++)
            if (NODE(ir, fu->walk.data[i])->op == SC_READ) vec_push(&work, NARG(ir, fu->walk.data[i], 0));
    }
    vec_free(&work);
}

/* ---- items and their dependences ----------------------------------------------------- */

static bool is_alone(const Fuse *fu, Ref a) { return NODE(fu->ir, a)->op == AR_LOOP || fuse_is_call(fu, a); }

/* Arrays with the same axes, reduced ones included, share a space; but those that are restricted
 * to some points do so only with each other.  Loops and calls have their own. */
static int space_of(const Fuse *fu, Ref a) {
    const Ir *ir = fu->ir;
    if (is_alone(fu, a)) return fu->items.n;
    int rank = fuse_rank(ir, a);
    for (int i = 0; i < fu->items.n; i++) {
        Ref b = fu->items.data[i].node;
        if (fu->info[a].only == fu->info[b].only && !is_alone(fu, b) && fuse_rank(ir, b) == rank &&
            (rank == 0 || memcmp(fuse_dims(ir, a), fuse_dims(ir, b), (size_t)rank * sizeof(int64_t)) == 0))
            return fu->items.data[i].space;
    }
    return fu->items.n;
}

static void add_dep(Item *it, int on, bool pointwise) {
    for (int i = 0; i < it->deps.n; i++)
        if (it->deps.data[i].item == on) {
            it->deps.data[i].pointwise &= pointwise;
            return;
        }
    vec_push(&it->deps, ((Dep){on, pointwise}));
}

/* `array` is read in `region`, by `item` there or by nothing that has a place (-1).
 * The dependence is on the level where the array is made: of the loop around the reader. */
static void add_read(Fuse *fu, int region, int item, Ref array, bool pointwise) {
    int on = fuse_producer(fu, array), reader = item;
    if (on < 0) return;
    for (int at = region; at != fu->items.data[on].region; at = fu->loop[at].parent) reader = fu->loop[at].item;
    if (reader >= 0) add_dep(&fu->items.data[reader], on, pointwise && reader == item);
}

static void add_deps_of_kernel(Fuse *fu, int item) {
    const Ir *ir = fu->ir;
    Ref a = fu->items.data[item].node;
    if (fuse_is_call(fu, a)) {
        for (uint32_t i = 0; i < NODE(ir, a)->nargs; i++) add_read(fu, fu->items.data[item].region, item, NARG(ir, a, i), false);
        return;
    }
    fuse_walk(fu, fu->info[a].expr);
    for (int i = 0; i < fu->walk.n; i++) {
        Ref r = fu->walk.data[i];
        if (NODE(ir, r)->op != SC_READ) continue;
        Ref b = NARG(ir, r, 0);
        bool forward = NODE(ir, b)->op == AR_MAP && fuse_pointwise(ir, r, fuse_rank(ir, a), fuse_dims(ir, a));
        add_read(fu, fu->items.data[item].region, item, b, forward);
    }
}

static void add_deps_of_loop(Fuse *fu, int item) {
    int number = (int)NODE(fu->ir, fu->items.data[item].node)->aux;
    LoopPlan *l = &fu->loop[number];
    for (int i = 0; i < l->ncarry; i++) {
        if (!l->carry[i].live) continue;
        add_read(fu, l->parent, item, l->carry[i].init, false);
        add_read(fu, number, -1, l->carry[i].next, false);
    }
}

/* Does the array replace a carry of its loop at some points only, and may it do so in place? */
static Ref restricted_next(Fuse *fu, Ref a) {
    Ir *ir = fu->ir;
    int rank = fuse_rank(ir, a);
    const int64_t *dims = fuse_dims(ir, a);
    Ref old, test = NODE(ir, a)->op == AR_MAP ? kernel_only_test(ir, fu->info[a].expr, rank, dims, SC_NONE, 0, &old) : 0;
    KOnly only;
    if (!test || NODE(ir, old)->op != AR_CARRY || (int)NODE(ir, old)->aux != fu->info[a].region) return 0;
    if (fu->loop[NODE(ir, old)->aux].carry[(int)NODE(ir, old)->val].next != a) return 0;
    kernel_only(ir, test, rank, dims, &only);
    fuse_walk(fu, fu->info[a].expr);
    for (int i = 0; i < fu->walk.n; i++) {
        Ref r = fu->walk.data[i];
        if (NODE(ir, r)->op != SC_READ || NARG(ir, r, 0) != old || kernel_reads_own(ir, rank, dims, r)) continue;
        if (!kernel_reads_apart(ir, &only, rank, dims, r)) return 0;
    }
    return test;
}

/* Does it sum over the points of a map that is restricted?  The axis that is walked in
 * steps must be summed over. */
static Ref restricted_sum(Fuse *fu, Ref a, Ref map) {
    Ir *ir = fu->ir;
    int rank = fuse_rank(ir, a);
    const int64_t *dims = fuse_dims(ir, a);
    Ref test = fu->info[map].only, old;
    KOnly only;
    if (fu->info[map].region != fu->info[a].region || fuse_rank(ir, map) != rank) return 0;
    if (memcmp(dims, fuse_dims(ir, map), (size_t)rank * sizeof *dims)) return 0;
    if (!kernel_only_test(ir, fu->info[a].expr, rank, dims, (Op)NODE(ir, a)->aux, test, &old)) return 0;
    return kernel_only(ir, test, rank, dims, &only) && only.axis >= rank - NODE(ir, a)->nred ? test : 0;
}

static void find_restricted(Fuse *fu, const uint8_t *needed) {
    Refs maps = {0};
    for (int i = 0; i < fu->arrays.n; i++) {
        Ref a = fu->arrays.data[i];
        Info *info = &fu->info[a];
        info->only = 0;
        if (!needed[a] || !info->stored || info->region == TOP || NODE(fu->ir, a)->op != AR_MAP) continue;
        info->only = restricted_next(fu, a);
        if (info->only) vec_push(&maps, a);
    }
    for (int i = 0; i < fu->arrays.n && maps.n; i++) {
        Ref a = fu->arrays.data[i];
        if (!needed[a] || !fu->info[a].stored || NODE(fu->ir, a)->op != AR_REDUCE) continue;
        for (int j = 0; j < maps.n && !fu->info[a].only; j++) fu->info[a].only = restricted_sum(fu, a, maps.data[j]);
    }
    vec_free(&maps);
}

static void make_items(Fuse *fu) {
    const Ir *ir = fu->ir;
    uint8_t *needed = lq_alloc(fu->ninfo);
    memset(needed, 0, fu->ninfo);
    find_needed(fu, needed);
    find_restricted(fu, needed);
    for (int i = 0; i < fu->arrays.n; i++) {
        Ref a = fu->arrays.data[i];
        bool loop = NODE(ir, a)->op == AR_LOOP;
        if (!loop && !(needed[a] && fu->info[a].stored)) continue;
        Item it = {.node = a, .region = fu->info[a].region, .space = space_of(fu, a), .step = -1};
        if (loop) fu->loop[NODE(ir, a)->aux].item = fu->items.n;
        else fu->info[a].item = fu->items.n;
        vec_push(&fuse_region(fu, it.region)->items, fu->items.n);
        vec_push(&fu->items, it);
    }
    for (int i = 0; i < fu->items.n; i++) {
        if (NODE(ir, fu->items.data[i].node)->op == AR_LOOP) add_deps_of_loop(fu, i);
        else add_deps_of_kernel(fu, i);
    }
    free(needed);
}

/* ---- the scheduler ------------------------------------------------------------------- */

/* When every item that is not yet placed and not of `space` were done, would more of
 * `space` be ready than is now?  able[item]: done in that sense. */
static bool worth_waiting(const Fuse *fu, const Region *region, int space, uint8_t *able) {
    bool more = false;
    for (int i = 0; i < region->items.n && !more; i++) {
        int n = region->items.data[i];
        const Item *it = &fu->items.data[n];
        bool now = true, then = true;
        for (int d = 0; d < it->deps.n; d++) {
            int on = it->deps.data[d].item;
            bool placed = fu->items.data[on].step >= 0;
            now &= placed, then &= placed || able[on];
        }
        able[n] = then && it->space != space;
        more = it->step < 0 && it->space == space && then && !now;
    }
    return more;
}

static bool ready(const Fuse *fu, const Item *it) {
    for (int d = 0; d < it->deps.n; d++)
        if (fu->items.data[it->deps.data[d].item].step < 0) return false;
    return true;
}

/* The space to work in next: the first one not worth waiting with; else the smallest,
 * since waiting saves most where sweeps are long. */
static int choose_space(const Fuse *fu, const Region *region, uint8_t *able) {
    int smallest = -1;
    int64_t least = INT64_MAX;
    for (int i = 0; i < region->items.n; i++) {
        const Item *it = &fu->items.data[region->items.data[i]];
        if (it->step >= 0 || !ready(fu, it)) continue;
        bool seen = false;       /* another item of this space was asked already */
        for (int j = 0; j < i && !seen; j++) {
            const Item *other = &fu->items.data[region->items.data[j]];
            seen = other->space == it->space && other->step < 0 && ready(fu, other);
        }
        if (seen) continue;
        if (!worth_waiting(fu, region, it->space, able)) return it->space;
        int64_t n = 1;
        for (int d = 0; d < fuse_rank(fu->ir, it->node); d++) n *= fuse_dims(fu->ir, it->node)[d];
        if (n < least) least = n, smallest = it->space;
    }
    return smallest;
}

/* What a kernel reads and computes so far. */
typedef struct Load { Refs streams, nodes; uint8_t *has; Ref cap; } Load;

/* Adds the item's expression to the load unless that makes it too large. */
static bool fits(Fuse *fu, Load *load, const Item *it) {
    const Ir *ir = fu->ir;
    fuse_walk(fu, fu->info[it->node].expr);
    Ref n = (Ref)ir->nodes.n;
    if (n > load->cap) {
        load->has = lq_realloc(load->has, n);
        memset(load->has + load->cap, 0, n - load->cap);
        load->cap = n;
    }
    int streams = load->streams.n, nodes = load->nodes.n;
    for (int i = 0; i < fu->walk.n; i++) {
        Ref r = fu->walk.data[i];
        if (load->has[r]) continue;
        load->has[r] = 1;
        vec_push(&load->nodes, r);
        if (NODE(ir, r)->op != SC_READ || NODE(ir, r)->nidx == 0) continue;
        Ref a = NARG(ir, r, 0);
        if (!load->has[a]) load->has[a] = 1, vec_push(&load->streams, a);
    }
    if (nodes == 0 || (load->streams.n <= MAX_STREAMS && load->nodes.n <= MAX_KERNEL_NODES)) return true;
    while (load->nodes.n > nodes) load->has[load->nodes.data[--load->nodes.n]] = 0;
    while (load->streams.n > streams) load->has[load->streams.data[--load->streams.n]] = 0;
    return false;
}

static void unload(Load *load) {
    for (int i = 0; i < load->nodes.n; i++) load->has[load->nodes.data[i]] = 0;
    for (int i = 0; i < load->streams.n; i++) load->has[load->streams.data[i]] = 0;
    load->nodes.n = load->streams.n = 0;
}

/* May the item join the kernel at this step? */
static bool joins(const Fuse *fu, const Item *it, int step) {
    for (int d = 0; d < it->deps.n; d++) {
        int at = fu->items.data[it->deps.data[d].item].step;
        if (at < 0 || (at == step && !it->deps.data[d].pointwise)) return false;
    }
    return true;
}

static void schedule_region(Fuse *fu, Region *region) {
    uint8_t *able = lq_alloc((size_t)fu->items.n + 1);
    memset(able, 0, (size_t)fu->items.n + 1);
    Load load = {0};
    int left = region->items.n;
    while (left > 0) {
        int space = choose_space(fu, region, able), at = region->steps.n;
        Step step = {0};
        for (int i = 0; i < region->items.n; i++) {
            int n = region->items.data[i];
            Item *it = &fu->items.data[n];
            if (it->step >= 0 || it->space != space || !joins(fu, it, at)) continue;
            step.loop = NODE(fu->ir, it->node)->op == AR_LOOP;
            step.call = fuse_is_call(fu, it->node);
            if (!step.loop && !step.call && !fits(fu, &load, it)) continue;
            it->step = at;
            vec_push(&step.items, n);
            left--;
        }
        unload(&load);
        vec_push(&region->steps, step);
    }
    vec_free(&load.nodes);
    vec_free(&load.streams);
    free(load.has);
    free(able);
}

/* ---- the whole ----------------------------------------------------------------------- */

void fuse_place(Fuse *fu) {
    make_items(fu);
    schedule_region(fu, &fu->top);
    for (int i = 0; i < fu->ir->loops.n; i++)
        if (fu->loop[i].node) schedule_region(fu, &fu->loop[i].body);
}

static void clear_region(Region *r) {
    for (int i = 0; i < r->steps.n; i++) vec_free(&r->steps.data[i].items);
    vec_free(&r->steps);
    vec_free(&r->items);
}

void fuse_unplace(Fuse *fu) {
    for (int i = 0; i < fu->items.n; i++) {
        Item *it = &fu->items.data[i];
        if (NODE(fu->ir, it->node)->op != AR_LOOP) fu->info[it->node].item = -1;
        vec_free(&it->deps);
    }
    fu->items.n = 0;
    clear_region(&fu->top);
    for (int i = 0; i < fu->ir->loops.n; i++) clear_region(&fu->loop[i].body);
}
