/* test_llvm.c — compiled kernel programs against keval.c, bit for bit: the LLVM back
 * end without optimisation, with it, and as object code; 1 to 16 lanes.  One line per
 * check; exit status 1 after a failure. */
#include "kbuild.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failures;

static void check(bool ok, const char *what, const char *detail) {
    printf("%s %s%s%s\n", ok ? "ok  " : "FAIL", what, *detail ? ": " : "", detail);
    failures += !ok;
}

/* ---- random choices ------------------------------------------------------------------ */

static uint64_t dice_state;

static uint32_t dice(uint32_t n) {
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((dice_state >> 33) % n);
}

static int64_t between(int64_t lo, int64_t hi) { return lo + (int64_t)dice((uint32_t)(hi - lo + 1)); }

static double some_number(void) {
    static const double special[] = {0, 1, -1, 0.5, -2, 3, 1e300, -1e-300};
    if (dice(6) == 0) return special[dice(LQ_COUNT(special))];
    return (double)between(-1000000, 1000000) / 300000.0;
}

/* ---- running and comparing -------------------------------------------------------------- */

/* Memory of one call; every run of a case starts with the same contents. */
typedef struct Memory { const KProgram *p; int lanes; double **in, **out, *scratch; } Memory;

static int64_t doubles_of(const KProgram *p, KBufKind kind, int slot, int lanes) {
    for (int i = 0; i < p->nbufs; i++)
        if (p->bufs[i].kind == kind && p->bufs[i].slot == slot)
            return p->bufs[i].n * (p->bufs[i].uniform ? 1 : lanes);
    return 0;
}

static double *new_doubles(int64_t n) {
    double *p = lq_alloc_vectors((size_t)n * sizeof *p + 64);
    if (!p) lq_out_of_memory((size_t)n * sizeof *p);
    return p;
}

static bool slot_is_boolean(const KBuild *b, int slot) {
    for (int i = 0; i < b->p->nbufs; i++)
        if (b->p->bufs[i].kind == KB_IN && b->p->bufs[i].slot == slot) return b->boolean[i];
    return false;
}

static Memory memory_new(const KBuild *b, int lanes, uint64_t seed) {
    const KProgram *p = b->p;
    Memory m = {.p = p, .lanes = lanes};
    m.in = calloc((size_t)p->nin + 1, sizeof *m.in);
    m.out = calloc((size_t)p->nout + 1, sizeof *m.out);
    uint64_t keep = dice_state;
    dice_state = seed;
    for (int s = 0; s < p->nin; s++) {
        int64_t n = doubles_of(p, KB_IN, s, lanes);
        m.in[s] = new_doubles(n);
        for (int64_t i = 0; i < n; i++) m.in[s][i] = slot_is_boolean(b, s) ? dice(2) : some_number();
    }
    dice_state = keep;
    for (int s = 0; s < p->nout; s++) m.out[s] = new_doubles(doubles_of(p, KB_OUT, s, lanes));
    m.scratch = new_doubles(p->scratch * lanes);
    return m;
}

static void memory_free(Memory *m) {
    for (int s = 0; s < m->p->nin; s++) free(m->in[s]);
    for (int s = 0; s < m->p->nout; s++) free(m->out[s]);
    free(m->in);
    free(m->out);
    free(m->scratch);
}

static const uint32_t chains[16] = {7, 8, 9, 10, 11, 12, 13, 14, 100, 101, 102, 103, 104, 105, 106, 107};

static CallArgs memory_args(const Memory *m) {
    return (CallArgs){.in = (const double *const *)m->in, .out = m->out, .scratch = m->scratch,
                      .seed = 12345, .step = 67, .chains = chains};
}

/* NaNs are one value: which bits an operation gives them is the processor's matter. */
static bool same_bits(const double *a, const double *b, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]))) return false;
    return true;
}

static bool memory_equal(const Memory *a, const Memory *b) {
    for (int s = 0; s < a->p->nout; s++)
        if (!same_bits(a->out[s], b->out[s], doubles_of(a->p, KB_OUT, s, a->lanes))) return false;
    return same_bits(a->scratch, b->scratch, a->p->scratch * a->lanes);
}

/* Lanes that are sites: rows of eight parts lie split.  `to`: into that order. */
static void rearrange(double *a, const KBuf *b, bool to) {
    double *copy = new_doubles(b->n);
    for (int64_t i = 0; i < b->n; i++)
        copy[to ? kernel_place(b->row, i) : i] = a[to ? i : kernel_place(b->row, i)];
    memcpy(a, copy, (size_t)b->n * sizeof *a);
    free(copy);
}

static void memory_rearrange(const Memory *m, bool to) {
    for (int i = 0; i < m->p->nbufs; i++) {
        const KBuf *b = &m->p->bufs[i];
        if (b->kind == KB_IN) rearrange(m->in[b->slot], b, to);
        if (b->kind == KB_OUT) rearrange(m->out[b->slot], b, to);
        if (b->kind == KB_TEMP) rearrange(m->scratch + b->offset, b, to);
    }
}

/* In plain buffers nothing is handed on from point to point, and what it would stand in is not written. */
static void forget_kept(const KStmt *s, int n, const Memory *expected, Memory *found) {
    for (int i = 0; i < n; i++) {
        if (s[i].kind == KS_LOOP) forget_kept(s[i].u.loop.body, s[i].u.loop.nbody, expected, found);
        for (int k = 0; s[i].kind == KS_KERNEL && k < s[i].u.kernel.nkept; k++) {
            int buf = s[i].u.kernel.kept[k].buf;
            if (buf < 0) continue;
            const KBuf *b = &found->p->bufs[buf];
            memcpy(found->scratch + b->offset, expected->scratch + b->offset, (size_t)b->n * sizeof(double));
        }
    }
}

/* ---- many programs, compiled together ------------------------------------------------------ */

enum { BATCH = 64, SITES = 0, PLAIN = -1 };             /* numbers of lanes: of sites, in plain buffers too */

typedef struct Cases {
    Ir    *ir;
    Arena *arena;
    KBuild b[BATCH];
    KProgram *p[BATCH];
    int    n;
} Cases;

static void cases_begin(Cases *c) { *c = (Cases){.ir = ir_new(), .arena = arena_new()}; }

static void cases_end(Cases *c) {
    for (int i = 0; i < c->n; i++) vec_free(&c->b[i].stmts);
    arena_free(c->arena);
    ir_free(c->ir);
}

static KBuild *cases_open(Cases *c) {
    kbuild_begin(&c->b[c->n], c->ir, c->arena, arena_printf(c->arena, "case%d", c->n));
    return &c->b[c->n];
}

static void cases_close(Cases *c) {
    c->p[c->n] = kbuild_end(&c->b[c->n]);
    c->n++;
}

/* Number of the first program that differs from keval, or -1; -2: does not compile. */
static int cases_differ(Cases *c, int lanes, int optimize) {
    char err[512] = "";
    bool sites = lanes <= 0, split = lanes == SITES;
    BackendOptions o = {.lanes = sites ? 8 : lanes, .sites = sites, .optimize = optimize};
    for (int i = 0; i < c->n; i++) c->p[i]->plain = lanes == PLAIN;
    if (sites) lanes = 1;
    Compiled *code = backend_native.compile(c->p, c->n, &o, err, sizeof err);
    if (!code) {
        printf("     %s\n", err);
        return -2;
    }
    int bad = -1;
    for (int i = 0; i < c->n && bad < 0; i++) {
        Memory expected = memory_new(&c->b[i], lanes, 99 + (uint64_t)i);
        Memory found = memory_new(&c->b[i], lanes, 99 + (uint64_t)i);
        CallArgs e = memory_args(&expected), f = memory_args(&found);
        if (split) memory_rearrange(&found, true);
        f.chains = sites ? (const uint32_t[8]){7, 7, 7, 7, 7, 7, 7, 7} : f.chains;
        keval_call(c->p[i], lanes, &e);
        backend_native.call(code, i, &f);
        if (split) memory_rearrange(&found, false);
        if (lanes == 1 && c->p[i]->plain) forget_kept(c->p[i]->stmts, c->p[i]->nstmts, &expected, &found);
        if (!memory_equal(&expected, &found)) bad = i;
        memory_free(&expected);
        memory_free(&found);
    }
    backend_native.release(code);
    return bad;
}

static void cases_check(Cases *c, const char *what) {
    static const int widths[] = {1, 2, 4, 8, 16, SITES, PLAIN};
    bool ok = true;
    char detail[128] = "";
    for (int w = 0; w < LQ_COUNT(widths) && ok; w++)
        for (int optimize = 0; optimize < 2 && ok; optimize++) {
            int bad = cases_differ(c, widths[w], optimize);
            ok = bad == -1;
            if (!ok) snprintf(detail, sizeof detail, "program %d, W = %d, O%d", bad, widths[w], optimize);
        }
    check(ok, what, detail);
}

/* ---- stencils ----------------------------------------------------------------------------------- */

/* out[x] = in[x + shift] with every mode, over a cube of extent n. */
static void stencil_program(Cases *c, int rank, int64_t n, int64_t shift, int64_t slope) {
    KBuild *b = cases_open(c);
    int64_t ext[3] = {n, n, n};
    int in = kbuild_buf(b, KB_IN, rank, ext, false, false, NULL);
    int inu = kbuild_buf(b, KB_IN, rank, ext, true, false, NULL);
    KRoot roots[6];
    for (int mode = IX_PERIODIC; mode <= IX_ZERO; mode++) {
        Index ix[3];
        for (int d = 0; d < rank; d++)      /* neighbouring axes shifted the other way */
            ix[d] = (Index){aff_shift(c->ir, aff_scale(c->ir, aff_sym(c->ir, (Sym)d), slope), d & 1 ? -shift : shift),
                            (uint32_t)mode, n};
        Ref v = ir_read(c->ir, b->array[in], ix), w = ir_read(c->ir, b->array[inu], ix);
        int k = 2 * (mode - IX_PERIODIC);
        roots[k] = (KRoot){ir_binary(c->ir, SC_ADD, v, w), 0, SC_NONE,
                           kbuild_buf(b, KB_OUT, rank, ext, false, false, NULL), 0};
        Ref where = ir_idx(c->ir, (Index){ix[rank - 1].aff, mode == IX_ZERO ? IX_EXACT : IX_PERIODIC, n});
        Ref inside = ir_inrange(c->ir, ix[rank - 1].aff, n);
        roots[k + 1] = (KRoot){ir_select(c->ir, inside, where, v), 1, SC_ADD,
                               kbuild_buf(b, KB_OUT, rank - 1, ext, false, false, NULL), 0};
    }
    vec_push(&b->stmts, kbuild_kernel(b, rank, ext, 6, roots));
    cases_close(c);
}

static void check_stencils(void) {
    static const int64_t extents[] = {1, 2, 3, 5, 8, 16, 24, 33};
    for (int rank = 1; rank <= 3; rank++)
        for (int e = 0; e < LQ_COUNT(extents); e++) {
            int64_t n = extents[e];
            if (rank == 3 && n > 8) continue;
            int64_t shifts[] = {0, 1, -1, 2, n, -n, 2 * n + 1, -7 * n - 2, 40 * n};
            Cases c;
            cases_begin(&c);
            for (int s = 0; s < LQ_COUNT(shifts); s++)
                for (int slope = -1; slope <= 1; slope += 2) stencil_program(&c, rank, n, shifts[s], slope);
            stencil_program(&c, rank, n, 1, 3), stencil_program(&c, rank, n, 0, -20);
            char what[64];
            snprintf(what, sizeof what, "shifts and modes, %d axes of extent %d", rank, (int)n);
            cases_check(&c, what);
            cases_end(&c);
        }
}

/* Many shifts of one field at once, as an operator of high order reads it; slope -1
 * and 2 walk rows backwards and in steps. */
static void check_rows(void) {
    static const int64_t extents[] = {1, 2, 3, 5, 8, 16, 24, 33}, slopes[] = {1, -1, 2};
    Cases c;
    cases_begin(&c);
    for (int e = 0; e < LQ_COUNT(extents); e++)
        for (int mode = IX_PERIODIC; mode <= IX_ZERO; mode++)
            for (int k = 0; k < LQ_COUNT(slopes) && c.n < BATCH; k++) {
                KBuild *b = cases_open(&c);
                int64_t n = extents[e], ext[2] = {3, n};
                int in = kbuild_buf(b, KB_IN, 2, ext, false, false, NULL);
                Ref sum = ir_const(c.ir, 0.25);
                for (int dy = 0; dy < 3; dy++)
                    for (int dx = -5; dx <= 5; dx++) {
                        Index ix[2] = {{aff_shift(c.ir, aff_sym(c.ir, 0), dy - 1), (uint32_t)mode, 3},
                                       {aff_shift(c.ir, aff_scale(c.ir, aff_sym(c.ir, 1), slopes[k]), dx), (uint32_t)mode, n}};
                        sum = ir_fma(c.ir, ir_const(c.ir, 1.0 / (7 + dx + 3 * dy)), ir_read(c.ir, b->array[in], ix), sum);
                    }
                KRoot root = {sum, 0, SC_NONE, kbuild_buf(b, KB_OUT, 2, ext, false, false, NULL), 0};
                vec_push(&b->stmts, kbuild_kernel(b, 2, ext, 1, &root));
                cases_close(&c);
            }
    cases_check(&c, "many shifts along a row");
    cases_end(&c);
}

/* exp of two neighbours along each axis, at both ends of the link, with every mode; and a
 * chain of three points. */
static void kept_program(Cases *c, int rank, int64_t n, uint32_t mode) {
    KBuild *b = cases_open(c);
    Ir *ir = c->ir;
    int64_t ext[3] = {n, n, n};
    int in = kbuild_buf(b, KB_IN, rank, ext, false, false, NULL);
    Ref sum = ir_const(ir, 0.5);
    for (int axis = 0; axis < rank; axis++)
        for (int back = 0; back < (axis ? 2 : 3); back++) {
            Ref end[2];
            for (int e = 0; e < 2; e++) {
                Index ix[3];
                for (int d = 0; d < rank; d++) ix[d] = (Index){aff_shift(ir, aff_sym(ir, (Sym)d), d == axis ? 1 - back - e : 0), mode, n};
                end[e] = ir_read(ir, b->array[in], ix);
            }
            Ref link = ir_unary(ir, SC_EXP, ir_binary(ir, SC_MUL, end[0], end[1]));
            sum = ir_fma(ir, ir_const(ir, 1.0 / (3 + axis + 3 * back)), link, sum);
        }
    KRoot roots[2] = {{sum, 0, SC_NONE, kbuild_buf(b, KB_OUT, rank, ext, false, false, NULL), 0},
                      {sum, 1, SC_ADD, kbuild_buf(b, KB_OUT, rank - 1, ext, false, false, NULL), 0}};
    KStmt s = kbuild_kernel(b, rank, ext, 2, roots);
    int most = n < 4 ? 0 : rank + 1;
    if (s.u.kernel.nkept != most) check(false, "values handed on", "not as many as there are links");
    vec_push(&b->stmts, s);
    cases_close(c);
}

static void check_kept(void) {
    static const int64_t extents[] = {1, 3, 4, 5, 16, 33};
    Cases c;
    cases_begin(&c);
    for (int rank = 1; rank <= 3; rank++)
        for (int e = 0; e < LQ_COUNT(extents); e++)
            for (uint32_t mode = IX_PERIODIC; mode <= IX_ZERO && (rank < 3 || extents[e] < 16); mode++)
                kept_program(&c, rank, extents[e], mode);
    cases_check(&c, "values handed on from point to point");
    cases_end(&c);
}

/* ---- random programs ------------------------------------------------------------------------------- */

typedef struct Gen {
    KBuild *b;
    Ir     *ir;
    int     rank; int64_t dims[4];          /* of fields */
    int     nbufs, brank[KB_MAX]; int64_t bdims[KB_MAX][4];
    bool    ready[KB_MAX];                  /* holds a value, may be read */
    bool    closed[KB_MAX];                 /* written by the kernel being made */
    bool    own[KB_MAX];                    /* … at its own point, where it may be read */
    int     krank; int64_t ext[5];          /* of the kernel being made */
    int     nloops; uint32_t loop[4];       /* inside these */
    int64_t trip[4];
} Gen;

static int gen_buf(Gen *g, KBufKind kind, int rank, const int64_t *dims, bool uniform, bool boolean) {
    int64_t n = 1;
    for (int d = 0; d < rank; d++) n *= dims[d];
    double *data = NULL;
    if (kind == KB_CONST) {
        data = arena_alloc(g->b->arena, (size_t)n * sizeof *data);
        for (int64_t i = 0; i < n; i++) data[i] = some_number();
    }
    int i = kbuild_buf(g->b, kind, rank, dims, uniform, boolean, data);
    g->brank[i] = rank;
    if (rank) memcpy(g->bdims[i], dims, (size_t)rank * sizeof *dims);
    g->ready[i] = kind == KB_IN || kind == KB_CONST;
    g->nbufs = i + 1;
    return i;
}

static Aff gen_affine(Gen *g, int64_t n) {
    Aff a = aff_const(g->ir, dice(3) ? between(-2, 2) : between(-3 * n, 3 * n));
    int terms = (int)dice(3);
    for (int t = 0; t < terms; t++) {
        static const int64_t slopes[] = {1, 1, 1, -1, 2, -3};
        int choice = (int)dice((uint32_t)(g->krank + g->nloops + 1));
        if (choice == g->krank + g->nloops) continue;
        Sym s = choice < g->krank ? (Sym)choice : SYM_LOOP + g->loop[choice - g->krank];
        a = aff_add(g->ir, a, aff_scale(g->ir, aff_sym(g->ir, s), slopes[dice(LQ_COUNT(slopes))]));
    }
    return a;
}

static Index gen_index(Gen *g, int d, int64_t n) {
    uint32_t mode = IX_PERIODIC + dice(3);
    if (dice(3) == 0) return (Index){aff_const(g->ir, between(0, n - 1)), IX_EXACT, n};
    if (dice(2) && d < g->krank) {           /* the usual read: near the own point */
        Aff a = aff_sym(g->ir, (Sym)d);
        if (g->ext[d] <= n && dice(2)) return (Index){aff_shift(g->ir, a, between(0, n - g->ext[d])), IX_EXACT, n};
        return (Index){aff_shift(g->ir, a, between(-2, 2)), mode, n};
    }
    return (Index){gen_affine(g, n), mode, n};
}

static Ref gen_read(Gen *g) {
    int i = (int)dice((uint32_t)g->nbufs);
    for (int tries = 0; tries < KB_MAX; tries++, i = (i + 1) % g->nbufs) {
        if (!g->ready[i] || (g->closed[i] && !g->own[i])) continue;
        Index ix[4];
        for (int d = 0; d < g->brank[i]; d++)
            ix[d] = g->own[i] ? (Index){aff_sym(g->ir, (Sym)d), IX_EXACT, g->bdims[i][d]}
                              : gen_index(g, d, g->bdims[i][d]);
        return ir_read(g->ir, g->b->array[i], ix);
    }
    return ir_const(g->ir, 1.5);
}

static Ref gen_leaf(Gen *g) {
    switch (dice(12)) {
    case 0: return ir_const(g->ir, some_number());
    case 1: return ir_idx(g->ir, (Index){gen_affine(g, 5), dice(2) ? IX_PERIODIC : IX_EXACT, 5});
    case 2: return ir_inrange(g->ir, gen_affine(g, 4), between(1, 6));
    case 3: return ir_rand(g->ir, dice(3), dice(2), gen_affine(g, 7), gen_affine(g, 2));
    default: return gen_read(g);
    }
}

/* Truth values and numbers where operations want them. */
static Ref gen_kind(Gen *g, Ref r, bool boolean) {
    if (NODE(g->ir, r)->boolean == boolean) return r;
    if (boolean) return ir_binary(g->ir, SC_LT, r, ir_const(g->ir, 0.3));
    return ir_select(g->ir, r, ir_const(g->ir, 1), ir_const(g->ir, 0));
}

static Ref gen_scalar(Gen *g, int depth) {
    if (depth == 0 || dice(8) == 0) return gen_leaf(g);
    Op op = (Op)(SC_ADD + dice(SC_SELECT - SC_ADD + 1));
    if (dice(2)) op = (Op)(SC_ADD + dice(4)) == SC_DIV ? SC_FMA : (Op)(SC_ADD + dice(3));
    bool logic = op == SC_AND || op == SC_OR || op == SC_NOT;
    Ref args[3];
    for (int i = 0; i < op_arity(op); i++)
        args[i] = gen_kind(g, gen_scalar(g, depth - 1), logic || (op == SC_SELECT && i == 0));
    return ir_op(g->ir, op, op_arity(op), args);
}

/* A buffer of a shape that this kernel may write, or -1. */
static int gen_target(Gen *g, int rank) {
    int start = (int)dice((uint32_t)g->nbufs);
    for (int t = 0; t < g->nbufs; t++) {
        int i = (start + t) % g->nbufs;
        const KBuf *b = &g->b->p->bufs[i];
        if (g->closed[i] || g->brank[i] != rank || b->kind == KB_IN || b->kind == KB_CONST) continue;
        if (memcmp(g->bdims[i], g->ext, (size_t)rank * sizeof *g->ext) == 0) return i;
    }
    return -1;
}

static void gen_extents(Gen *g, int extra) {
    g->krank = g->rank + extra;
    memcpy(g->ext, g->dims, sizeof g->dims);
    if (extra) g->ext[g->rank] = between(1, 4);
    memset(g->closed, 0, sizeof g->closed);
    memset(g->own, 0, sizeof g->own);
}

/* `target` >= 0: the first root stores there, over all axes. */
static KStmt gen_kernel(Gen *g, int target) {
    static const Op reductions[] = {SC_ADD, SC_MUL, SC_MAX, SC_MIN};
    gen_extents(g, target < 0 && dice(3) == 0);
    KRoot roots[3];
    int n = 0, want = 1 + (int)dice(3);
    for (int i = 0; i < want; i++) {
        int nred = i == 0 && target >= 0 ? 0 : (int)dice((uint32_t)g->krank + 1);
        int buf = i == 0 && target >= 0 ? target : gen_target(g, g->krank - nred);
        if (buf < 0 || g->closed[buf]) continue;
        roots[n++] = (KRoot){0, nred, reductions[dice(4)], buf, 0};
        g->closed[buf] = true;
        g->own[buf] = nred == 0;
    }
    for (int i = 0; i < n; i++)
        roots[i].expr = gen_kind(g, gen_scalar(g, (int)between(1, 5)), g->b->boolean[roots[i].buf]);
    KStmt s = kbuild_kernel(g->b, g->krank, g->ext, n, roots);
    for (int i = 0; i < n; i++) g->ready[roots[i].buf] = true;
    return s;
}

/* The activity of the next iteration: still active, and a coin says so. */
static KStmt gen_activity(Gen *g, int cur, int next, bool first) {
    g->krank = 0;
    Ref coin = ir_rand(g->ir, 5, false, aff_const(g->ir, 3), first ? aff_const(g->ir, 0) : aff_sym(g->ir, SYM_LOOP + g->loop[g->nloops - 1]));
    Ref go = ir_binary(g->ir, SC_LT, coin, ir_const(g->ir, 0.7));
    if (!first) go = ir_binary(g->ir, SC_AND, go, ir_read(g->ir, g->b->array[cur], NULL));
    KRoot root = {go, 0, SC_NONE, next, 0};
    return kbuild_kernel(g->b, 0, NULL, 1, &root);
}

/* A loop with a carried field that is exchanged, a stack of its values, perhaps an
 * activity, perhaps a loop inside. */
static KStmt gen_loop(Gen *g, int cur, int next, int depth) {
    int64_t trip = between(1, 4), n = 1, at[5];
    uint32_t loop = ir_loop_new(g->ir, trip, (Span){0});
    g->loop[g->nloops] = loop, g->trip[g->nloops++] = trip;
    int nbody = 0, ncarry = 1;
    KStmt body[8];
    KCarry carry[2] = {{cur, next}};
    at[0] = trip;
    for (int d = 0; d < g->rank; d++) n *= at[d + 1] = g->dims[d];
    int stack = gen_buf(g, KB_TEMP, g->rank + 1, at, false, false);
    int act = gen_buf(g, KB_TEMP, 0, NULL, false, true), act2 = gen_buf(g, KB_TEMP, 0, NULL, false, true);
    bool active = dice(2);
    body[nbody++] = kbuild_copy(stack, cur, n, aff_scale(g->ir, aff_sym(g->ir, SYM_LOOP + loop), n));
    body[nbody++] = gen_kernel(g, next);
    if (depth > 0 && dice(2)) {
        int64_t dims[4];
        memcpy(dims, g->dims, sizeof dims);
        int a = gen_buf(g, KB_TEMP, g->rank, dims, false, false), b = gen_buf(g, KB_TEMP, g->rank, dims, false, false);
        body[nbody++] = kbuild_copy(a, next, n, aff_const(g->ir, 0));
        body[nbody++] = gen_loop(g, a, b, depth - 1);
        g->ready[a] = true;
    }
    if (dice(2)) body[nbody++] = gen_kernel(g, -1);
    if (active) body[nbody++] = gen_activity(g, act, act2, false), carry[ncarry++] = (KCarry){act, act2};
    KStmt s = kbuild_loop(g->b, loop, trip, active ? 1 : -1, nbody, body, ncarry, carry);
    g->nloops--;
    g->ready[cur] = g->ready[stack] = true;
    return s;
}

/* Activities of all loops start as coins. */
static void gen_start(Gen *g) {
    for (int i = 0; i < g->nbufs; i++)
        if (g->b->boolean[i] && g->b->p->bufs[i].kind == KB_TEMP)
            vec_push(&g->b->stmts, gen_activity(g, i, i, true));
}

static void gen_extents_of_fields(Gen *g) {
    static const int64_t extents[] = {1, 2, 3, 5, 8, 16, 24, 33};
    g->rank = (int)dice(4);
    int64_t points;
    do {
        points = 1;
        for (int d = 0; d < g->rank; d++) points *= g->dims[d] = extents[dice(LQ_COUNT(extents))];
    } while (points > 120);
}

static void random_program(Cases *c) {
    Gen g = {.b = cases_open(c), .ir = c->ir};
    gen_extents_of_fields(&g);
    gen_buf(&g, KB_IN, g.rank, g.dims, false, false), gen_buf(&g, KB_IN, g.rank, g.dims, true, false);
    gen_buf(&g, KB_IN, g.rank, g.dims, false, true), gen_buf(&g, KB_IN, 0, NULL, true, false);
    gen_buf(&g, KB_CONST, 1, (int64_t[]){between(1, 7)}, true, false);
    for (int r = 0; r <= g.rank; r++) {
        gen_buf(&g, KB_TEMP, r, g.dims, false, false), gen_buf(&g, KB_OUT, r, g.dims, false, false);
        gen_buf(&g, KB_OUT, r, g.dims, false, dice(2));
    }
    int cur = gen_buf(&g, dice(4) ? KB_TEMP : KB_OUT, g.rank, g.dims, false, false);
    int next = gen_buf(&g, KB_TEMP, g.rank, g.dims, false, false);
    VEC(KStmt) rest = {0};
    int n = 1 + (int)dice(3);
    for (int i = 0; i < n; i++) vec_push(&rest, gen_kernel(&g, -1));
    if (dice(2)) {
        vec_push(&rest, kbuild_copy(cur, (int)dice(2), g.b->p->bufs[0].n, aff_const(c->ir, 0)));
        vec_push(&rest, gen_loop(&g, cur, next, 1));
        vec_push(&rest, gen_kernel(&g, -1));
    }
    gen_start(&g);
    for (int i = 0; i < rest.n; i++) vec_push(&g.b->stmts, rest.data[i]);
    vec_free(&rest);
    cases_close(c);
}

static void check_random(uint64_t seed, int lanes, int batches) {
    int done = 0;
    char what[96], detail[96] = "";
    bool ok = true;
    for (int k = 0; k < batches && ok; k++) {
        Cases c;
        cases_begin(&c);
        dice_state = seed + (uint64_t)k * 7919;
        for (int i = 0; i < BATCH; i++) random_program(&c);
        for (int optimize = 0; optimize < 2 && ok; optimize++) {
            int bad = cases_differ(&c, lanes, optimize);
            ok = bad == -1;
            if (!ok) snprintf(detail, sizeof detail, "seed %d, batch %d, program %d, O%d", (int)seed, k, bad, optimize);
        }
        done += c.n;
        cases_end(&c);
    }
    snprintf(what, sizeof what, lanes == PLAIN ? "%d random programs, lanes are sites in plain buffers"
             : lanes == SITES ? "%d random programs, lanes are sites" : "%d random programs, W = %d", done, lanes);
    check(ok, what, detail);
}

/* ---- single facts -------------------------------------------------------------------------------------- */

static void check_errors(void) {
    Cases c;
    cases_begin(&c);
    KBuild *b = cases_open(&c);
    int out = kbuild_buf(b, KB_OUT, 0, NULL, false, false, NULL);
    Ref lost = ir_read(c.ir, ir_input(c.ir, "lost", 0, NULL, false, false), NULL);
    KRoot root = {lost, 0, SC_NONE, out, 0};
    vec_push(&b->stmts, kbuild_kernel(b, 0, NULL, 1, &root));
    cases_close(&c);
    char err[256] = "";
    BackendOptions o = {.lanes = 4, .optimize = 1}, odd = {.lanes = 3};
    Compiled *code = backend_native.compile(c.p, 1, &o, err, sizeof err);
    check(!code && strstr(err, "internal error"), "a read without a buffer is a message", err);
    code = backend_native.compile(c.p, 1, &odd, err, sizeof err);
    check(!code && strstr(err, "lanes"), "three lanes are a message", err);
    cases_end(&c);
}

/* Every operation of ops.def alone, on ordinary and special numbers. */
static void check_operations(void) {
    Cases c;
    cases_begin(&c);
    static const double special[] = {0, -0.0, 1, -1, 0.5, 2.5, -2.5, 1e-310, 1e308, -1e308, INFINITY, -INFINITY, NAN, 3.7, 1e6};
    int64_t n = LQ_COUNT(special), ext[2] = {n, n};
    for (int half = 0; half < 2; half++) {
        KBuild *b = cases_open(&c);
        int k = kbuild_buf(b, KB_CONST, 1, &n, true, false, special), in = kbuild_buf(b, KB_TEMP, 1, &n, false, false, NULL);
        vec_push(&b->stmts, kbuild_copy(in, k, n, aff_const(c.ir, 0)));
        for (Op op = half ? SC_SINH : SC_ADD; op <= (half ? SC_SELECT : SC_COS); op++) {
            Index row = {aff_sym(c.ir, 0), IX_EXACT, n}, column = {aff_sym(c.ir, 1), IX_EXACT, n};
            Ref x = ir_read(c.ir, b->array[in], &row), y = ir_read(c.ir, b->array[k], &column);
            Ref args[3] = {x, y, ir_read(c.ir, b->array[in], &column)};
            if (op == SC_AND || op == SC_OR || op == SC_NOT || op == SC_SELECT)
                args[0] = ir_binary(c.ir, SC_LT, x, ir_const(c.ir, 1));
            if (op == SC_AND || op == SC_OR) args[1] = ir_binary(c.ir, SC_LT, y, ir_const(c.ir, 1));
            KRoot root = {ir_op(c.ir, op, op_arity(op), args), 0, SC_NONE, kbuild_buf(b, KB_OUT, 2, ext, false, false, NULL), 0};
            vec_push(&b->stmts, kbuild_kernel(b, 2, ext, 1, &root));
        }
        cases_close(&c);
    }
    cases_check(&c, "every operation on special numbers");
    cases_end(&c);
}

static void check_empty(void) {
    Cases c;
    cases_begin(&c);
    static const Op ops[] = {SC_ADD, SC_MUL, SC_MAX, SC_MIN};
    for (int i = 0; i < LQ_COUNT(ops); i++) {
        KBuild *b = cases_open(&c);
        int64_t ext[2] = {1, 5};
        KRoot root = {ir_idx(c.ir, (Index){aff_sym(c.ir, 0), IX_EXACT, 0}), 1, ops[i],
                      kbuild_buf(b, KB_OUT, 1, ext, false, false, NULL), 0};
        vec_push(&b->stmts, kbuild_kernel(b, 2, ext, 1, &root));
        ext[1] = 0;
        root.buf = kbuild_buf(b, KB_OUT, 1, ext, false, false, NULL);
        vec_push(&b->stmts, kbuild_kernel(b, 2, ext, 1, &root));
        cases_close(&c);
    }
    BackendOptions o = {.lanes = 2, .optimize = 1};
    char err[256] = "";
    Compiled *code = backend_native.compile(c.p, c.n, &o, err, sizeof err);
    bool ok = code != NULL;
    for (int i = 0; i < c.n && ok; i++) {
        Memory m = memory_new(&c.b[i], 2, 1);
        CallArgs a = memory_args(&m);
        backend_native.call(code, i, &a);
        double v = m.out[1][1];
        ok = ops[i] == SC_ADD ? v == 0 : ops[i] == SC_MUL ? v == 1 : ops[i] == SC_MAX ? v == -INFINITY : v == INFINITY;
        memory_free(&m);
    }
    check(ok, "reductions of nothing are the identity", err);
    backend_native.release(code);
    cases_end(&c);
}

/* ---- object code ----------------------------------------------------------------------------------------- */

/* The object becomes a shared library that finds the runtime in this program, which
 * is linked with -rdynamic; CC names the C compiler. */
static bool link_object(const char *object, const char *library) {
    const char *cc = getenv("CC");
    char command[1024];
    snprintf(command, sizeof command, "%s -shared -o '%s' '%s'", cc && *cc ? cc : "cc", library, object);
    return system(command) == 0;
}

static bool object_agrees(Cases *c, void *library, int lanes) {
    bool ok = true;
    for (int i = 0; i < c->n && ok; i++) {
        char name[64];
        snprintf(name, sizeof name, "lqft_%s", c->p[i]->name);
        void *symbol = dlsym(library, name);
        if (!symbol) return false;
        void (*f)(const CallArgs *);
        memcpy(&f, &symbol, sizeof f);
        Memory expected = memory_new(&c->b[i], lanes, 5), found = memory_new(&c->b[i], lanes, 5);
        CallArgs e = memory_args(&expected), a = memory_args(&found);
        keval_call(c->p[i], lanes, &e);
        f(&a);
        ok = memory_equal(&expected, &found);
        memory_free(&expected);
        memory_free(&found);
    }
    return ok;
}

static void check_object(void) {
    char folder[] = P_tmpdir "/lqft-object-XXXXXX", object[64], library[64], err[512] = "";
    if (!mkdtemp(folder)) {
        check(false, "object code", "no temporary folder");
        return;
    }
    snprintf(object, sizeof object, "%s/k.o", folder);
    snprintf(library, sizeof library, "%s/k.so", folder);
    Cases c;
    cases_begin(&c);
    dice_state = 4242;
    for (int i = 0; i < BATCH; i++) random_program(&c);
    BackendOptions o = {.lanes = 8, .optimize = 1};
    bool ok = backend_native.emit_object(c.p, c.n, &o, object, err, sizeof err) && link_object(object, library);
    void *handle = ok ? dlopen(library, RTLD_NOW) : NULL;
    if (ok && !handle) snprintf(err, sizeof err, "%.500s", dlerror());
    check(handle && object_agrees(&c, handle, 8), "object code, linked and loaded", err);
    if (handle) dlclose(handle);
    o.lanes = 1;
    ok = backend_native.emit_object(c.p, c.n, &o, "/nonexistent/k.o", err, sizeof err);
    check(!ok && err[0], "an object that cannot be written is a message", err);
    unlink(object), unlink(library), rmdir(folder);
    cases_end(&c);
}

int main(int argc, char **argv) {
    int batches = argc > 1 ? atoi(argv[1]) : 3;   /* of BATCH programs, for each width */
    if (!backend_native.available()) {
        printf("skip: no LLVM for this machine\n");
        return 0;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    check_errors();
    check_operations();
    check_empty();
    check_stencils();
    check_rows();
    check_kept();
    static const int widths[] = {1, 2, 4, 8, 16, SITES, PLAIN};
    for (int w = 0; w < LQ_COUNT(widths); w++) check_random(1000 * (uint64_t)(w + 1), widths[w], batches);
    check_object();
    printf("%d failures\n", failures);
    return failures != 0;
}
