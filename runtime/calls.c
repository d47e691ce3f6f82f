/* calls.c — functions of whole arrays, carried out: gathers and scatters here, contractions in
 * contract.c, matrix functions in linalg.c.  Orders of summation are fixed: a scatter adds in
 * row-major order of its argument, in the precision of its arrays. */
#include "calls.h"
#include "linalg.h"

#include <math.h>
#include <string.h>

/* ---- elements of either precision ------------------------------------------------------- */

static double get(const void *a, bool single, int64_t i) { return single ? ((const float *)a)[i] : ((const double *)a)[i]; }

static void set(void *a, bool single, int64_t i, double v) {
    if (single) ((float *)a)[i] = (float)v;
    else ((double *)a)[i] = v;
}

static void clear(const LqCall *c, void *out) { memset(out, 0, (size_t)c->nout * (c->out_single ? 4 : 8)); }

/* ---- scatter ------------------------------------------------------------------------------ */

/* Where index ix is at a point: the place along its axis, or -1; changes the sign with each turn
 * of an antiperiodic one. */
static int64_t place_of(const LqIndex *ix, const int64_t *at, int rank, double *sign) {
    int64_t p = ix->k;
    for (int i = 0; i < rank; i++) p += ix->c[i] * at[i];
    if (ix->mode == 0 || ix->mode == 3) return p >= 0 && p < ix->n ? p : -1;
    int64_t turns = p / ix->n - (p % ix->n < 0);
    if (ix->mode == 2 && turns & 1) *sign = -*sign;
    return p - turns * ix->n;
}

/* The places of a row differ by a constant while no axis turns round; that is not made use of. */
static void run_scatter(const LqCall *c, const void *in, void *out) {
    int64_t at[LQ_AXES] = {0}, n = 1;
    for (int i = 0; i < c->rank; i++) n *= c->ext[i];
    clear(c, out);
    for (int64_t e = 0; e < n; e++) {
        double sign = 1;
        int64_t place = 0;
        for (int d = 0; d < c->to.rank && place >= 0; d++) {
            int64_t p = place_of(&c->to.ix[d], at, c->rank, &sign);
            place = p < 0 ? -1 : place * c->to.ix[d].n + p;
        }
        if (place >= 0) set(out, c->out_single, place, get(out, c->out_single, place) + sign * get(in, c->in_single[0], e));
        for (int axis = c->rank - 1; axis >= 0 && ++at[axis] == c->ext[axis]; axis--) at[axis] = 0;
    }
}

/* ---- take and put --------------------------------------------------------------------------- */

/* Which place a number names, or -1: it is rounded to a whole one. */
static int64_t named_place(const LqCall *c, const void *places, bool single, int64_t i) {
    double p = rint(get(places, single, i));
    return p >= 0 && p < (double)c->n ? (int64_t)p : -1;
}

static void run_take(const LqCall *c, const void *source, const void *places, void *out) {
    for (int64_t i = 0; i < c->m; i++) {
        int64_t p = named_place(c, places, c->in_single[1], i);
        for (int64_t k = 0; k < c->rest; k++)
            set(out, c->out_single, i * c->rest + k, p < 0 ? 0 : get(source, c->in_single[0], p * c->rest + k));
    }
}

static void run_put(const LqCall *c, const void *places, const void *values, void *out) {
    clear(c, out);
    for (int64_t i = 0; i < c->m; i++) {
        int64_t p = named_place(c, places, c->in_single[0], i);
        for (int64_t k = 0; k < c->rest && p >= 0; k++) {
            int64_t to = p * c->rest + k;
            set(out, c->out_single, to, get(out, c->out_single, to) + get(values, c->in_single[1], i * c->rest + k));
        }
    }
}

/* ---- matrix functions ------------------------------------------------------------------------- */

/* Scratch: arguments and result as doubles where the arrays are of single precision, then what
 * LAPACK wants. */
static size_t doubles_of(bool single, int64_t n) { return single ? ((size_t)n * 8 + 63) / 64 * 64 : 0; }

static size_t converted(const LqCall *c) {
    size_t bytes = doubles_of(c->out_single, c->nout);
    for (int i = 0; i < c->nargs; i++) bytes += doubles_of(c->in_single[i], c->nin[i]);
    return bytes + (c->kind == LQ_CALL_LOGDET ? 64 : 0);
}

static LqLinalgKind kind_of(const LqCall *c) {
    return c->kind == LQ_CALL_SVD ? LQ_SVD : c->kind == LQ_CALL_EIGH ? LQ_EIGH : c->kind == LQ_CALL_CHOLESKY ? LQ_CHOLESKY
         : c->kind == LQ_CALL_SOLVE ? LQ_SOLVE : LQ_LOGDET;
}

static size_t linalg_scratch(const LqCall *c) {
    return lq_linalg_scratch(kind_of(c), c->m, c->kind == LQ_CALL_SOLVE ? c->m : c->n);
}

/* A failed function leaves numbers that are none: the caller sees that in its results. */
static void run_matrix(const LqCall *c, const void *const *in, void *out, char *scratch) {
    const double *a[LQ_CALL_ARGS];
    double *to = out, logdet[2];
    for (int i = 0; i < c->nargs; i++) {
        a[i] = in[i];
        if (!c->in_single[i]) continue;
        double *copy = (double *)scratch;
        for (int64_t k = 0; k < c->nin[i]; k++) copy[k] = ((const float *)in[i])[k];
        a[i] = copy, scratch += doubles_of(true, c->nin[i]);
    }
    if (c->out_single) to = (double *)scratch, scratch += doubles_of(true, c->nout);
    switch (c->kind) {
    case LQ_CALL_SVD: lq_svd(c->m, c->n, a[0], to, scratch); break;
    case LQ_CALL_EIGH: lq_eigh(c->m, a[0], to, scratch); break;
    case LQ_CALL_CHOLESKY: lq_cholesky(c->m, a[0], to, scratch); break;
    case LQ_CALL_SOLVE: lq_solve(c->m, c->n, a[0], a[1], to, scratch); break;
    default: lq_logdet(c->m, a[0], logdet, scratch), to[0] = logdet[0];
    }
    for (int64_t k = 0; c->out_single && k < c->nout; k++) ((float *)out)[k] = (float)to[k];
}

/* ---- contractions ------------------------------------------------------------------------------- */

/* All arrays of a contraction have one precision; numbers of rank 0, constants and what all
 * replicas share may have another in memory. */
static size_t other_precision(const LqCall *c) {
    size_t bytes = c->single && !c->out_single ? 64 : 0;
    for (int i = 0; i < c->nargs; i++)
        if (c->single && !c->in_single[i]) bytes += ((size_t)c->nin[i] * 4 + 63) / 64 * 64;
    return bytes;
}

static void run_contraction(const LqCall *c, const void *const *in, void *out, char *scratch, const LqFollower *follower) {
    const void *a[LQ_CALL_ARGS];
    float number, *to = out;
    for (int i = 0; i < c->nargs; i++) {
        a[i] = in[i];
        if (!c->single || c->in_single[i]) continue;
        float *copy = (float *)scratch;
        for (int64_t k = 0; k < c->nin[i]; k++) copy[k] = (float)((const double *)in[i])[k];
        a[i] = copy, scratch += ((size_t)c->nin[i] * 4 + 63) / 64 * 64;
    }
    if (c->single && !c->out_single) to = &number;
    lq_contract_followed(c->plan, a[0], a[1], to, scratch, follower);
    if (to == &number) *(double *)out = number;
}

/* ---- the interface ------------------------------------------------------------------------------ */

static bool is_matrix(const LqCall *c) { return c->kind >= LQ_CALL_SVD; }

void lq_call_prepare(LqCall *c) { c->plan = c->kind == LQ_CALL_CONTRACT ? lq_contract_plan(&c->contraction) : NULL; }

const char *lq_call_missing(const LqCall *c) {
    return is_matrix(c) && lq_linalg_load() == LQ_LINALG_MISSING ? lq_linalg_message(LQ_LINALG_MISSING) : NULL;
}

void lq_call_release(LqCall *c) {
    if (c->plan) lq_contract_plan_free(c->plan);
    c->plan = NULL;
}

size_t lq_call_scratch(const LqCall *c) {
    return c->plan ? other_precision(c) + lq_contract_scratch(c->plan) : is_matrix(c) ? converted(c) + linalg_scratch(c) : 0;
}

void lq_call_run(const LqCall *c, const void *const *in, void *out, void *scratch) {
    switch (c->kind) {
    case LQ_CALL_CONTRACT: run_contraction(c, in, out, scratch, NULL); break;
    case LQ_CALL_SCATTER: run_scatter(c, in[0], out); break;
    case LQ_CALL_TAKE: run_take(c, in[0], in[1], out); break;
    case LQ_CALL_PUT: run_put(c, in[0], in[1], out); break;
    default: run_matrix(c, in, out, scratch);
    }
}

void lq_call_followed(const LqCall *c, const void *a, const void *b, void *out, void *scratch, int64_t rows, int64_t tasks,
                      PoolTask *task, void *ctx) {
    LqFollower follower = {rows, tasks, task, ctx};
    run_contraction(c, (const void *[]){a, b}, out, scratch, &follower);
}

/* ---- replicas side by side ------------------------------------------------------------------------ */

static size_t bytes_of(bool single, int64_t n) { return ((size_t)n * (single ? 4 : 8) + 63) / 64 * 64; }

/* Lane l of an array to a row, and back. */
static void take_lane(void *row, const void *lanes, bool single, int64_t n, int64_t width, int64_t lane) {
    for (int64_t k = 0; single && k < n; k++) ((float *)row)[k] = ((const float *)lanes)[k * width + lane];
    for (int64_t k = 0; !single && k < n; k++) ((double *)row)[k] = ((const double *)lanes)[k * width + lane];
}

static void put_lane(const void *row, void *lanes, bool single, int64_t n, int64_t width, int64_t lane) {
    for (int64_t k = 0; single && k < n; k++) ((float *)lanes)[k * width + lane] = ((const float *)row)[k];
    for (int64_t k = 0; !single && k < n; k++) ((double *)lanes)[k * width + lane] = ((const double *)row)[k];
}

/* Two lanes or more have room together for one copy of everything. */
size_t lq_call_room(const LqCall *c) {
    size_t own = (lq_call_scratch(c) + 63) / 64 * 64, copies = bytes_of(c->out_single, c->nout);
    for (int i = 0; i < c->nargs; i++) copies += bytes_of(c->in_single[i], c->nin[i]);
    return own > copies ? own : (own + copies + 127) / 128 * 64;
}

void lq_call_lanes(const LqCall *c, int32_t lanes, int32_t shared, const void *a, const void *b, void *out, void *scratch) {
    const void *from[LQ_CALL_ARGS] = {a, b}, *in[LQ_CALL_ARGS] = {a, b};
    int32_t all = (1 << c->nargs) - 1;
    if (lanes == 1) {
        lq_call_run(c, in, out, scratch);
        return;
    }
    char *at = scratch, *copy[LQ_CALL_ARGS];
    for (int i = 0; i < c->nargs; i++) copy[i] = at, at += bytes_of(c->in_single[i], c->nin[i]);
    char *row = at;
    at += bytes_of(c->out_single, c->nout);
    for (int lane = 0; lane < lanes; lane++) {
        for (int i = 0; i < c->nargs; i++) {
            if (shared >> i & 1) continue;
            take_lane(copy[i], from[i], c->in_single[i], c->nin[i], lanes, lane);
            in[i] = copy[i];
        }
        if (lane == 0 || (shared & all) != all) lq_call_run(c, in, row, at);
        put_lane(row, out, c->out_single, c->nout, lanes, lane);
    }
}
