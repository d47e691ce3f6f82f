/* lanes.c — what the lanes of vectors are: replicas, or sites.
 *
 * Replicas side by side turn any kernel into vector code, at no cost; but there have to
 * be some, and a block of eight needs eight times the memory of one.  Sites side by side
 * (eight or four parts of the innermost axis) serve one replica alone; kernels whose innermost
 * axis has no parts stay scalar, and a read that does not simply go along the row
 * is made lane by lane.  Both orders of work are priced in vector operations of eight
 * lanes, from the flops that kernel_print.c counts, and the bytes of a block are held
 * against the cache that it should stay in. */
#include "kernel.h"
#include "../ir/schedule.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    FULL_LANES = 8,
    SCATTERED_COST = 24      /* a read lane by lane: loads, and putting them together */
};

/* ---- what programs cost ----------------------------------------------------------- */

/* In operations on all lanes of eight replicas, and on the eight parts of one. */
typedef struct Price {
    double replicas, sites, scattered;
    double calls, moves;               /* of one replica alone; to it from several */
    double deep;                       /* the part of `replicas` that is over three axes or more */
} Price;

/* Reads that differ from lane to lane otherwise than along the row; in plain buffers rows may
 * be of any length. */
static int scattered_reads(ScalarWalk *w, const KKernel *k, bool plain) {
    const Ir *ir = w->ir;
    Ref roots[64];
    int n = 0, inner = k->rank - 1;
    for (int i = 0; i < k->nroots && n < 64; i++) roots[n++] = k->roots[i].expr;
    scalar_walk(w, n, roots);
    n = 0;
    for (int i = 0; i < w->list.n; i++) {
        Ref r = w->list.data[i];
        int last = NODE(ir, r)->nidx - 1;
        bool varies = false, row = true;
        if (NODE(ir, r)->op != SC_READ) continue;
        for (int d = 0; d <= last; d++) {
            int64_t c = aff_coef(ir, NIDX(ir, r, d)->aff, (Sym)inner);
            varies |= c != 0;
            row &= d < last ? c == 0 : c == 1 && (plain || (aff_get(ir, NIDX(ir, r, d)->aff)->n == 1 && NDIM(ir, NARG(ir, r, 0), d) == k->ext[inner]));
        }
        n += varies && !row;
    }
    return n;
}

static void price_kernel(const KProgram *p, ScalarWalk *w, const KKernel *k, double times, Price *out) {
    double n = times * kernel_points(k, false), flops = kernel_cost(p, k).flops + 2;      /* and a store or a sum */
    out->replicas += n * flops;
    if (k->rank > 2) out->deep += n * flops;
    if (k->rank == 0 || (p->plain ? k->ext[k->rank - 1] < FULL_LANES : reduce_parts(k->ext[k->rank - 1]) == 1)) {
        out->sites += n * flops;
        return;
    }
    int scattered = scattered_reads(w, k, p->plain);
    n = times * kernel_points(k, true);
    int64_t parts = p->plain ? FULL_LANES : reduce_parts(k->ext[k->rank - 1]);      /* four cost as much as eight */
    out->sites += n / (double)parts * (flops + scattered * SCATTERED_COST);
    if (scattered) out->scattered += n;
}

/* A call is made for one replica at a time, by vector code of its own. */
static void price_call(const KCall *c, double times, Price *out) {
    double flops = 0, moved = (double)c->call.nout;
    for (int i = 0; i < c->call.nargs; i++) moved += (double)c->call.nin[i];
    if (c->call.kind == LQ_CALL_CONTRACT) {
        flops = 2;
        for (int a = 0; a < c->call.contraction.rank + c->call.contraction.nred; a++) flops *= (double)c->call.contraction.ext[a];
    } else if (c->call.kind >= LQ_CALL_SVD) flops = 4 * (double)c->call.m * (double)c->call.n * (double)(c->call.m > c->call.n ? c->call.m : c->call.n);
    out->calls += times * (flops + moved) / FULL_LANES;
    out->moves += times * moved;
}

static void price_statements(const KProgram *p, ScalarWalk *w, const KStmt *s, int n, double times, Price *out) {
    for (int i = 0; i < n; i++) {
        if (s[i].kind == KS_KERNEL) price_kernel(p, w, &s[i].u.kernel, times, out);
        if (s[i].kind == KS_CALL) price_call(s[i].u.call, times, out);
        if (s[i].kind == KS_LOOP)
            price_statements(p, w, s[i].u.loop.body, s[i].u.loop.nbody, times * (double)s[i].u.loop.trip, out);
    }
}

static double bytes_of(const KProgram *p) {
    double n = (double)p->scratch;     /* doubles */
    for (int i = 0; i < p->nbufs; i++)
        if (p->bufs[i].kind == KB_IN || p->bufs[i].kind == KB_OUT) n += (double)kernel_doubles(&p->bufs[i], p->parts);
    return 8 * n;
}

/* ---- the choice ------------------------------------------------------------------- */

static double planned_cache;

void kernel_plan_for_cache(double bytes) { planned_cache = bytes; }

double kernel_cache(void) {
    long n = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return planned_cache > 0 ? planned_cache : n > 0 ? (double)n : 1 << 20;
}

double kernel_near_cache(void) {
    if (planned_cache > 0) return planned_cache / 2;
    long n = sysconf(_SC_LEVEL1_DCACHE_SIZE);
    return n > 0 ? (double)n : 1 << 15;
}

int64_t kernel_rows_for_wave(void) { return planned_cache > 0 ? 8 : 32; }

static int replica_lanes(int64_t replicas, int most) {
    int w = 1;
    while (w < most && w < replicas) w *= 2;
    return w;
}

void kernel_share_layout(KProgram *const *programs, int n) {
    bool plain = false;
    for (int i = 0; i < n; i++) plain |= programs[i]->plain;
    for (int i = 0; i < n; i++) programs[i]->plain = plain;
}

KLanes kernel_lanes(KProgram *const *programs, int n, int64_t replicas) {
    Price price = {0};
    double bytes = 0;
    for (int i = 0; i < n; i++) {
        ScalarWalk *w = scalar_walk_new(programs[i]->ir);
        price_statements(programs[i], w, programs[i]->stmts, programs[i]->nstmts, 1, &price);
        scalar_walk_free(w);
        if (bytes_of(programs[i]) > bytes) bytes = bytes_of(programs[i]);
    }
    int full = programs[0]->single ? 2 * FULL_LANES : FULL_LANES;          /* of a vector */
    KLanes by_replica = {.lanes = replica_lanes(replicas, full)}, by_site = {.lanes = FULL_LANES, .sites = true, .split = !programs[0]->plain};
    double width = by_replica.lanes < full / 2 ? full / 2 : by_replica.lanes;    /* fewer cost as much as half a vector */
    double blocks = (double)((replicas + by_replica.lanes - 1) / by_replica.lanes);
    double a = blocks * price.replicas * width / full, b = (double)replicas * price.sites;
    a += (double)replicas * (price.calls + (by_replica.lanes > 1 ? price.moves : 0)), b += (double)replicas * price.calls;
    bool spills = bytes * by_replica.lanes > kernel_cache();
    /* Over three axes most neighbours are some slices away: where a block of chains does not stay in the
     * nearest cache, one chain after the other is faster by a fifth or so. */
    bool slices = price.deep > 0.5 * price.replicas && bytes * by_replica.lanes > kernel_near_cache();
    KLanes *best = b < a || (spills && b < 1.5 * a) || (slices && b < 1.1 * a) ? &by_site : &by_replica;
    snprintf(best->why, sizeof best->why,
             "lanes are %s: %.3g vector operations a call for %lld chain%s, %.3g with %s; a block of %d chain%s holds %.3g MB%s",
             best->sites ? "sites" : "chains", best->sites ? b : a, (long long)replicas, replicas == 1 ? "" : "s",
             best->sites ? a : b, best->sites ? "chains" : "sites", by_replica.lanes, by_replica.lanes == 1 ? "" : "s",
             1e-6 * bytes * by_replica.lanes, spills ? ", more than the cache of a core" : slices ? ", more than the nearest cache, over three axes or more" : "");
    return *best;
}
