/* test_fuse.c — fused programs against the interpreter, bit for bit, for functions
 * made by hand (with budgets on kernels and copies) and for random ones. */
#include "../backend/kbuild.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void check(bool ok, const char *fmt, ...) LQ_PRINTF(2, 3);
static void check(bool ok, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    printf(ok ? "ok    " : "FAIL  ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    failures += !ok;
}

/* ---- running both ways ------------------------------------------------------------- */

enum { LANES = 2, SEED = 7, STEP = 3 };
static const uint32_t chains[LANES] = {4, 9};

static double noise(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(*state >> 11) / (double)(1ull << 53) * 4 - 2;
}

static double *new_doubles(int64_t n) {
    double *p = lq_alloc(((size_t)n + 1) * sizeof *p);
    memset(p, 0xff, ((size_t)n + 1) * sizeof *p);        /* not a number */
    return p;
}

typedef struct Memory { double **in, **out, *scratch; } Memory;

/* Inputs of both lanes side by side; uniform ones once. */
static Memory make_memory(const IrFunc *f, int64_t scratch, uint64_t seed) {
    Memory m = {lq_alloc(((size_t)f->nin + 1) * sizeof(double *)), lq_alloc(((size_t)f->nout + 1) * sizeof(double *)), NULL};
    for (int i = 0; i < f->nin; i++) {
        const Node *k = NODE(f->ir, f->in[i]);
        int64_t n = ir_elements(f->ir, f->in[i]) * (k->uniform ? 1 : LANES);
        m.in[i] = new_doubles(n);
        for (int64_t e = 0; e < n; e++) m.in[i][e] = k->boolean ? noise(&seed) > 0 : noise(&seed);
    }
    for (int i = 0; i < f->nout; i++) m.out[i] = new_doubles(ir_elements(f->ir, f->out[i]) * LANES);
    m.scratch = new_doubles(scratch * LANES);
    return m;
}

static void free_memory(const IrFunc *f, Memory *m) {
    for (int i = 0; i < f->nin; i++) free(m->in[i]);
    for (int i = 0; i < f->nout; i++) free(m->out[i]);
    free(m->in);
    free(m->out);
    free(m->scratch);
}

/* The interpreter's results for one lane. */
static double **interpret(const IrFunc *f, const Memory *m, int lane) {
    double **in = lq_alloc(((size_t)f->nin + 1) * sizeof *in), **out = lq_alloc(((size_t)f->nout + 1) * sizeof *out);
    for (int i = 0; i < f->nin; i++) {
        int64_t n = ir_elements(f->ir, f->in[i]);
        bool uniform = NODE(f->ir, f->in[i])->uniform;
        in[i] = new_doubles(n);
        for (int64_t e = 0; e < n; e++) in[i][e] = m->in[i][uniform ? e : e * LANES + lane];
    }
    for (int i = 0; i < f->nout; i++) out[i] = new_doubles(ir_elements(f->ir, f->out[i]));
    interp_call(f, (const double *const *)in, out, (RandKey){SEED, chains[lane], STEP});
    for (int i = 0; i < f->nin; i++) free(in[i]);
    free(in);
    return out;
}

static bool same_bits(double a, double b) { return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b)); }

static bool agree(const IrFunc *f, const KProgram *p) {
    Memory m = make_memory(f, p->scratch, 12345);
    CallArgs args = {(const double *const *)m.in, m.out, m.scratch, SEED, STEP, chains};
    bool ok = true;
    keval_call(p, LANES, &args);
    for (int lane = 0; lane < LANES; lane++) {
        double **want = interpret(f, &m, lane);
        for (int i = 0; i < f->nout; i++) {
            int64_t n = ir_elements(f->ir, f->out[i]);
            for (int64_t e = 0; e < n; e++) ok &= same_bits(want[i][e], m.out[i][e * LANES + lane]);
            free(want[i]);
        }
        free(want);
    }
    free_memory(f, &m);
    return ok;
}

/* ---- counting --------------------------------------------------------------------------- */

typedef struct Count { int kernels, copies, loops, in_place, roots; } Count;

static Count count(const KStmt *s, int n) {
    Count c = {0};
    for (int i = 0; i < n; i++) {
        if (s[i].kind == KS_KERNEL) c.kernels++, c.roots += s[i].u.kernel.nroots;
        if (s[i].kind == KS_COPY) c.copies++;
        if (s[i].kind != KS_LOOP) continue;
        c.loops++;
        for (int j = 0; j < s[i].u.loop.ncarry; j++) c.in_place += s[i].u.loop.carry[j].cur == s[i].u.loop.carry[j].next;
    }
    return c;
}

static const KLoop *first_loop(const KStmt *s, int n) {
    for (int i = 0; i < n; i++)
        if (s[i].kind == KS_LOOP) return &s[i].u.loop;
    return NULL;
}

static Count body_count(const KLoop *l) { return count(l->body, l->nbody); }

/* A function under test. */
typedef struct Case { Ir *ir; Arena *arena; IrFunc f; Ref in[16], out[16]; KProgram *p; bool ok; } Case;

static void begin(Case *c) {
    *c = (Case){.ir = ir_new(), .arena = arena_new()};
    c->f = (IrFunc){"case", c->in, 0, c->out, 0, c->ir, false, NULL, 0, false};
}

static Ref input(Case *c, const char *name, int rank, const int64_t *dims, bool uniform) {
    return c->in[c->f.nin++] = ir_input(c->ir, name, rank, dims, uniform, false);
}

static void output(Case *c, Ref r) { c->out[c->f.nout++] = r; }

static const char *fuse_case(Case *c) {
    const char *wrong = ir_verify(&c->f);
    if (wrong) return wrong;
    c->p = fuse(&c->f, c->arena);
    if ((wrong = kernel_verify(c->p))) return wrong;
    return agree(&c->f, c->p) ? NULL : "results differ from the interpreter's";
}

static Count top_count(const Case *c) { return count(c->p->stmts, c->p->nstmts); }

static void end(Case *c, const char *what, bool budget) {
    const char *wrong = c->ok ? NULL : "failed";
    check(!wrong && budget, "%s", what);
    if (!budget && getenv("SHOW")) kernel_print(c->p, stdout);
    ir_free(c->ir);
    arena_free(c->arena);
}

/* Fuses and compares; a failure here is a line of its own. */
static void run(Case *c) {
    const char *wrong = fuse_case(c);
    c->ok = !wrong;
    if (wrong) check(false, "%s", wrong);
}

/* ---- building ------------------------------------------------------------------------------ */

static Index at(Ir *ir, Sym s, int64_t shift, IndexMode mode, int64_t n) {
    return (Index){aff_shift(ir, aff_sym(ir, s), shift), mode, n};
}

/* array at the own point, moved by `shift` along `axis`, periodic. */
static Ref read_shifted(Ir *ir, Ref a, int axis, int64_t shift) {
    Index ix[IR_MAX_RANK];
    for (int i = 0; i < NODE(ir, a)->rank; i++) {
        bool moved = i == axis && shift;
        ix[i] = at(ir, (Sym)i, moved ? shift : 0, moved ? IX_PERIODIC : IX_EXACT, NDIM(ir, a, i));
    }
    return ir_read(ir, a, ix);
}

static Ref own(Ir *ir, Ref a) { return read_shifted(ir, a, -1, 0); }
static Ref num(Ir *ir, double v) { return ir_const(ir, v); }
static Ref add(Ir *ir, Ref a, Ref b) { return ir_binary(ir, SC_ADD, a, b); }
static Ref sub(Ir *ir, Ref a, Ref b) { return ir_binary(ir, SC_SUB, a, b); }
static Ref mul(Ir *ir, Ref a, Ref b) { return ir_binary(ir, SC_MUL, a, b); }

static const int64_t box[2] = {6, 8};
static Ref map2(Ir *ir, Ref body) { return ir_map(ir, 2, box, body); }
static Ref sum2(Ir *ir, Ref body) { return ir_reduce(ir, SC_ADD, 0, 2, box, body); }

/* Force and action of φ⁴ in two dimensions, as bodies. */
static Ref force(Ir *ir, Ref q) {
    Ref x = own(ir, q), s = mul(ir, x, add(ir, num(ir, 4.5), mul(ir, num(ir, 0.3), mul(ir, x, x))));
    for (int a = 0; a < 2; a++) s = sub(ir, sub(ir, s, read_shifted(ir, q, a, 1)), read_shifted(ir, q, a, -1));
    return s;
}

static Ref action(Ir *ir, Ref q) {
    Ref x = own(ir, q), x2 = mul(ir, x, x);
    Ref s = add(ir, mul(ir, num(ir, 2.25), x2), mul(ir, num(ir, 0.075), mul(ir, x2, x2)));
    for (int a = 0; a < 2; a++) s = sub(ir, s, mul(ir, x, read_shifted(ir, q, a, 1)));
    return s;
}

static Ref kinetic(Ir *ir, Ref p) { return mul(ir, num(ir, 0.5), mul(ir, own(ir, p), own(ir, p))); }

static Ref kick(Ir *ir, Ref p, Ref q, double eps) { return map2(ir, sub(ir, own(ir, p), mul(ir, num(ir, eps), force(ir, q)))); }
static Ref drift(Ir *ir, Ref q, Ref p, double eps) { return map2(ir, add(ir, own(ir, q), mul(ir, num(ir, eps), own(ir, p)))); }

static Ref gaussian_momentum(Ir *ir) {
    Span none = {0};
    vec_push(&ir->draw_at, none);
    Aff site = aff_add(ir, aff_scale(ir, aff_sym(ir, 0), 8), aff_sym(ir, 1));
    return map2(ir, ir_rand(ir, 0, true, site, aff_const(ir, 0)));
}

/* ---- HMC ---------------------------------------------------------------------------------------- */

/* One trajectory; kick_first: p' = p - eps F(q), q' = q + eps p', else drift, then kick. */
static void test_hmc(bool kick_first) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref q = input(&c, "q", 2, box, false), u = input(&c, "u", 0, NULL, false), p = gaussian_momentum(ir);
    Ref half = kick(ir, p, q, 0.05);
    uint32_t loop = ir_loop_new(ir, 5, (Span){0});
    Ref init[2] = {q, half}, next[2];
    Ref cq = ir_carry(ir, loop, 0, q), cp = ir_carry(ir, loop, 1, half);
    next[1] = kick_first ? kick(ir, cp, cq, 0.1) : 0;
    next[0] = drift(ir, cq, kick_first ? next[1] : cp, 0.1);
    if (!kick_first) next[1] = kick(ir, cp, next[0], 0.1);
    Ref l = ir_loop(ir, loop, -1, 2, init, next);
    Ref q1 = ir_proj(ir, l, 0), p1 = ir_proj(ir, l, 1);
    Ref p2 = kick(ir, p1, q1, -0.05);
    Ref h0 = add(ir, own(ir, sum2(ir, action(ir, q))), own(ir, sum2(ir, kinetic(ir, p))));
    Ref h1 = add(ir, own(ir, sum2(ir, action(ir, q1))), own(ir, sum2(ir, kinetic(ir, p2))));
    Ref dh = ir_map(ir, 0, NULL, sub(ir, h1, h0));
    Ref accept = ir_map(ir, 0, NULL, ir_binary(ir, SC_LT, own(ir, u), ir_unary(ir, SC_EXP, ir_unary(ir, SC_NEG, own(ir, dh)))));
    output(&c, map2(ir, ir_select(ir, own(ir, accept), own(ir, q1), own(ir, q))));
    output(&c, dh);
    run(&c);
    const KLoop *k = first_loop(c.p->stmts, c.p->nstmts);
    Count body = body_count(k), top = top_count(&c);
    if (kick_first)
        end(&c, "HMC, kick then drift: one kernel per step with two roots, p in place, q exchanged",
            body.kernels == 1 && body.roots == 2 && body.copies == 0 && top.in_place == 1);
    else
        end(&c, "HMC, drift then kick: two kernels per step, both in place",
            body.kernels == 2 && body.copies == 0 && top.in_place == 2);
    check(top.kernels == 4 && top.copies == 1, "  outside the loop: start, end, accept, select (%d kernels, %d copies)",
          top.kernels, top.copies);
}

/* ---- single properties ----------------------------------------------------------------------------- */

static void test_inline_pointwise(void) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false);
    Ref e = map2(ir, ir_unary(ir, SC_EXP, own(ir, x)));
    Ref s = map2(ir, ir_unary(ir, SC_SIN, own(ir, e)));
    output(&c, map2(ir, add(ir, own(ir, e), own(ir, s))));
    output(&c, sum2(ir, mul(ir, own(ir, s), own(ir, e))));
    run(&c);
    Count n = top_count(&c);
    end(&c, "a chain of maps and a sum at the same points: one kernel, no scratch",
        n.kernels == 1 && n.roots == 2 && c.p->scratch == 0);
}

static void test_shifted_costly(void) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false);
    Ref e = map2(ir, ir_unary(ir, SC_EXP, own(ir, x))), twice = map2(ir, mul(ir, num(ir, 2), own(ir, x)));
    output(&c, map2(ir, add(ir, read_shifted(ir, e, 0, 1), read_shifted(ir, e, 0, -1))));
    output(&c, map2(ir, add(ir, read_shifted(ir, twice, 0, 1), read_shifted(ir, twice, 0, -1))));
    run(&c);
    Count n = top_count(&c);
    end(&c, "exp(x) at two shifts is stored, 2x is not", n.kernels == 2 && n.roots == 3 && c.p->scratch == 48);
}

/* The force of angles: each sine is wanted at both ends of its link.  What costs little is
 * computed twice, and so is what has no neighbour that is one step away. */
static void test_kept(void) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref q = input(&c, "q", 2, box, false), x = own(ir, q), links = num(ir, 0), cheap = num(ir, 0), apart = num(ir, 0);
    for (int a = 0; a < 2; a++) {
        Ref up = read_shifted(ir, q, a, 1), down = read_shifted(ir, q, a, -1);
        links = add(ir, links, sub(ir, ir_unary(ir, SC_SIN, sub(ir, up, x)), ir_unary(ir, SC_SIN, sub(ir, x, down))));
        cheap = add(ir, cheap, sub(ir, mul(ir, up, x), mul(ir, x, down)));
        apart = add(ir, apart, add(ir, ir_unary(ir, SC_EXP, up), ir_unary(ir, SC_EXP, down)));
    }
    output(&c, map2(ir, links));
    output(&c, sum2(ir, links));
    output(&c, map2(ir, cheap));
    output(&c, map2(ir, apart));
    run(&c);
    const KKernel *k = &c.p->stmts[0].u.kernel;
    bool along[2] = {false, false};
    for (int i = 0; i < k->nkept; i++) along[k->kept[i].axis] = true;
    end(&c, "the sines of links are computed once, sums and distant values where they are wanted",
        c.p->nstmts == 1 && k->nkept == 2 && along[0] && along[1]);
}

/* A proposal and what decides about it: the kernel that reads it last stores it into the
 * output, and the choice reads it there.  Not so where the choice differs from point to point. */
static void test_choice(bool by_point) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false);
    Ref a = map2(ir, ir_unary(ir, SC_EXP, add(ir, read_shifted(ir, x, 0, 1), read_shifted(ir, x, 1, 1))));
    Ref s = sum2(ir, mul(ir, own(ir, a), read_shifted(ir, a, 0, 1)));
    Ref less = ir_binary(ir, SC_LT, ir_read(ir, s, NULL), by_point ? own(ir, x) : num(ir, 0));
    output(&c, map2(ir, ir_select(ir, less, own(ir, a), own(ir, x))));
    run(&c);
    Ref condition;
    const KKernel *last = &c.p->stmts[c.p->nstmts - 1].u.kernel, *sum = &c.p->stmts[c.p->nstmts - 2].u.kernel;
    bool chosen = kernel_choice(c.p, last, &condition);
    end(&c, by_point ? "a choice at each point" : "a choice for all points: what is taken stands in the output",
        chosen == !by_point && sum->nroots == (by_point ? 1 : 2));
}

static void test_one_use_elsewhere(void) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false);
    Ref e = map2(ir, ir_unary(ir, SC_EXP, add(ir, own(ir, x), read_shifted(ir, x, 1, 3))));
    output(&c, map2(ir, mul(ir, own(ir, x), read_shifted(ir, e, 1, -2))));
    run(&c);
    end(&c, "one reader at one shift: inlined through the period", top_count(&c).kernels == 1 && c.p->scratch == 0);
}

/* Where the border is not periodic, or a draw would be renumbered, the array is stored. */
static void test_borders(void) {
    static const IndexMode modes[3] = {IX_PERIODIC, IX_ANTIPERIODIC, IX_ZERO};
    for (int m = 0; m < 3; m++)
        for (int what = 0; what < 4; what++) {
            Case c;
            begin(&c);
            Ir *ir = c.ir;
            const int64_t n = 6;
            Ref x = input(&c, "x", 1, &n, false), body = 0;
            Index back = at(ir, 0, -2, IX_ANTIPERIODIC, n), own_point = at(ir, 0, 0, IX_EXACT, n);
            Span none = {0};
            vec_push(&ir->draw_at, none);
            if (what == 0) body = mul(ir, num(ir, 2), ir_read(ir, x, &own_point));
            if (what == 1) body = ir_read(ir, x, &back);
            if (what == 2) body = ir_rand(ir, 0, false, aff_sym(ir, 0), aff_const(ir, 0));
            if (what == 3) body = add(ir, ir_idx(ir, own_point), num(ir, 1));
            Ref a = ir_map(ir, 1, &n, body);
            Index there = at(ir, 0, 3, modes[m], n);
            output(&c, ir_map(ir, 1, &n, mul(ir, num(ir, 0.5), ir_read(ir, a, &there))));
            run(&c);
            bool inlines = m == 0 && (what == 0 || what == 3);
            static const char *const names[] = {"2x", "x antiperiodic", "a draw", "an index number"};
            static const char *const modes_names[] = {"periodic", "antiperiodic", "zero"};
            Count k = top_count(&c);
            char line[100];
            snprintf(line, sizeof line, "%s read %s: %s", names[what], modes_names[m], inlines ? "inlined" : "stored");
            end(&c, line, k.kernels == (inlines ? 1 : 2));
        }
}

static void test_outputs(void) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false), w = input(&c, "w", 2, box, true);
    double data[48];
    for (int i = 0; i < 48; i++) data[i] = i;
    Ref k = ir_const_array(ir, 2, box, data);
    Ref y = map2(ir, mul(ir, own(ir, x), add(ir, own(ir, w), own(ir, k))));
    output(&c, x);
    output(&c, y);
    output(&c, y);
    output(&c, w);
    output(&c, k);
    run(&c);
    Count n = top_count(&c);
    end(&c, "outputs that are inputs, constants, or twice the same: copies",
        n.kernels == 1 && n.copies == 4 && c.p->scratch == 0);
}

static void test_scalars(void) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false);
    Ref a = sum2(ir, own(ir, x)), shifted = map2(ir, mul(ir, own(ir, x), ir_unary(ir, SC_EXP, own(ir, x))));
    Ref b = ir_reduce(ir, SC_MAX, 0, 2, box, add(ir, read_shifted(ir, shifted, 0, 1), read_shifted(ir, shifted, 0, 2)));
    output(&c, ir_map(ir, 0, NULL, ir_unary(ir, SC_EXP, own(ir, a))));
    output(&c, ir_map(ir, 0, NULL, ir_unary(ir, SC_SIN, own(ir, b))));
    run(&c);
    end(&c, "two sweeps, then all numbers in one kernel", top_count(&c).kernels == 3);
}

/* A matrix times a vector, again and again: reductions at different extents. */
static void test_matvec_loop(int64_t trip) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    const int64_t dims[2] = {5, 5};
    Ref m = input(&c, "m", 2, dims, true), v = input(&c, "v", 1, dims, false);
    uint32_t loop = ir_loop_new(ir, trip, (Span){0});
    Ref cv = ir_carry(ir, loop, 0, v);
    Index j = at(ir, 1, 0, IX_EXACT, 5);
    Ref mv = ir_reduce(ir, SC_ADD, 1, 1, dims, mul(ir, own(ir, m), ir_read(ir, cv, &j)));
    Ref l = ir_loop(ir, loop, -1, 1, &v, &mv);
    output(&c, ir_proj(ir, l, 0));
    output(&c, ir_stack(ir, l, 0));
    run(&c);
    const KLoop *k = first_loop(c.p->stmts, c.p->nstmts);
    Count body = body_count(k);
    char line[100];
    snprintf(line, sizeof line, "matrix times vector, %d times, with the history", (int)trip);
    end(&c, line, body.kernels == 1 && body.copies == 1 && k->carry[0].cur != k->carry[0].next);
}

static void test_swap(void) {
    for (int64_t trip = 0; trip < 4; trip++) {
        Case c;
        begin(&c);
        Ir *ir = c.ir;
        Ref x = input(&c, "x", 2, box, false), y = input(&c, "y", 2, box, false);
        uint32_t loop = ir_loop_new(ir, trip, (Span){0});
        Ref cx = ir_carry(ir, loop, 0, x), cy = ir_carry(ir, loop, 1, y), cz = ir_carry(ir, loop, 2, x);
        Ref next[3] = {cy, cx, map2(ir, add(ir, own(ir, cz), mul(ir, own(ir, cx), read_shifted(ir, cy, 0, 1))))};
        Ref l = ir_loop(ir, loop, -1, 3, (Ref[]){x, y, x}, next);
        for (int i = 0; i < 3; i++) output(&c, ir_proj(ir, l, i));
        run(&c);
        char line[100];
        snprintf(line, sizeof line, "carries that change places, %d times", (int)trip);
        end(&c, line, body_count(first_loop(c.p->stmts, c.p->nstmts)).kernels == 1);
    }
}

/* Fibonacci's way of carrying: c0' = c1, c1' = f(c0, c1), c2' = something from outside. */
static void test_history(void) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false), y = input(&c, "y", 2, box, false);
    Ref costly = map2(ir, ir_unary(ir, SC_EXP, own(ir, y)));
    uint32_t loop = ir_loop_new(ir, 5, (Span){0});
    Ref c0 = ir_carry(ir, loop, 0, x), c1 = ir_carry(ir, loop, 1, y), c2 = ir_carry(ir, loop, 2, x);
    Ref next[3] = {c1, map2(ir, add(ir, own(ir, c0), mul(ir, own(ir, c1), own(ir, c2)))), costly};
    Ref l = ir_loop(ir, loop, -1, 3, (Ref[]){x, y, x}, next);
    for (int i = 0; i < 3; i++) output(&c, ir_proj(ir, l, i));
    run(&c);
    Count top = top_count(&c);
    end(&c, "carries that follow each other; what does not change is computed before the loop", top.kernels == 1 && top.loops == 1);
}

static void test_active(bool stack) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false);
    Ref go = ir_map(ir, 0, NULL, ir_bool(ir, true));
    uint32_t loop = ir_loop_new(ir, 9, (Span){0});
    Ref cx = ir_carry(ir, loop, 0, x), cgo = ir_carry(ir, loop, 1, go);
    Ref size = sum2(ir, mul(ir, own(ir, cx), own(ir, cx)));
    Ref next[2] = {map2(ir, ir_select(ir, own(ir, cgo), mul(ir, num(ir, 0.7), read_shifted(ir, cx, 1, 1)), own(ir, cx))),
                   ir_map(ir, 0, NULL, ir_binary(ir, SC_AND, own(ir, cgo), ir_binary(ir, SC_LT, num(ir, 3), own(ir, size))))};
    Ref l = ir_loop(ir, loop, 1, 2, (Ref[]){x, go}, next);
    output(&c, ir_proj(ir, l, 0));
    if (stack) output(&c, ir_stack(ir, l, 0));
    run(&c);
    const KLoop *k = first_loop(c.p->stmts, c.p->nstmts);
    end(&c, stack ? "a loop with a history runs to its end" : "a loop that may end early",
        (k->active >= 0) == !stack && body_count(k).kernels == 2);
}

static void test_nested(void) {
    for (int64_t trip = 1; trip < 4; trip++) {
        Case c;
        begin(&c);
        Ir *ir = c.ir;
        Ref x = input(&c, "x", 2, box, false);
        uint32_t outer = ir_loop_new(ir, 3, (Span){0}), inner = ir_loop_new(ir, trip, (Span){0});
        Ref a = ir_carry(ir, outer, 0, x), b = ir_carry(ir, inner, 0, a);
        Aff both = aff_add(ir, aff_sym(ir, SYM_LOOP + inner), aff_scale(ir, aff_sym(ir, SYM_LOOP + outer), 4));
        Ref next_b = map2(ir, add(ir, mul(ir, num(ir, 0.5), read_shifted(ir, b, 0, 1)), ir_idx(ir, (Index){both, IX_EXACT, 0})));
        Ref lb = ir_loop(ir, inner, -1, 1, &a, &next_b);
        Ref pb = ir_proj(ir, lb, 0);
        Ref la = ir_loop(ir, outer, -1, 1, &x, &pb);
        output(&c, ir_proj(ir, la, 0));
        run(&c);
        const KLoop *k = first_loop(c.p->stmts, c.p->nstmts);
        char line[100];
        snprintf(line, sizeof line, "an inner loop carries the outer carry on: no copies (%d iterations)", (int)trip);
        end(&c, line, body_count(k).copies == 0 && body_count(k).kernels == 0 && top_count(&c).copies == 1);
    }
}

static void test_dead_carry(void) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false);
    uint32_t loop = ir_loop_new(ir, 4, (Span){0});
    Ref a = ir_carry(ir, loop, 0, x), b = ir_carry(ir, loop, 1, x);
    Ref next[2] = {map2(ir, mul(ir, own(ir, a), own(ir, a))), map2(ir, add(ir, read_shifted(ir, b, 0, 1), own(ir, a)))};
    Ref l = ir_loop(ir, loop, -1, 2, (Ref[]){x, x}, next);
    output(&c, ir_proj(ir, l, 0));
    run(&c);
    const KLoop *k = first_loop(c.p->stmts, c.p->nstmts);
    end(&c, "a carry that nobody needs is left out", k->ncarry == 1 && c.p->scratch == 0);
}

static void test_scratch(void) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false);
    for (int i = 0; i < 10; i++)
        x = map2(ir, ir_unary(ir, SC_SIN, add(ir, read_shifted(ir, x, 0, 1), read_shifted(ir, x, 1, -1))));
    output(&c, x);
    run(&c);
    end(&c, "ten sweeps in a row share two scratch arrays", top_count(&c).kernels == 10 && c.p->scratch == 2 * 48);
}

/* exp(x) is read at own points only, but by kernels that cannot be one. */
static void test_costly_in_two_kernels(void) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false);
    Ref e = map2(ir, ir_unary(ir, SC_EXP, own(ir, x))), s = map2(ir, ir_unary(ir, SC_SIN, own(ir, e)));
    output(&c, s);
    output(&c, map2(ir, add(ir, own(ir, e), add(ir, read_shifted(ir, s, 0, 1), read_shifted(ir, s, 1, 1)))));
    run(&c);
    Count n = top_count(&c);
    end(&c, "exp(x) needed by two kernels is stored by the first", n.kernels == 2 && n.roots == 3 && c.p->scratch == 48);
}

/* Forty sums over forty arrays: more than one kernel can read. */
static void test_many_streams(void) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false), total = 0;
    for (int i = 0; i < 40; i++) {
        Ref a = map2(ir, ir_unary(ir, SC_SIN, add(ir, read_shifted(ir, x, 0, i), read_shifted(ir, x, 1, i + 1))));
        Ref far = map2(ir, mul(ir, read_shifted(ir, a, 0, 1), read_shifted(ir, a, 0, 2)));
        Ref part = own(ir, sum2(ir, own(ir, far)));
        total = total ? add(ir, total, part) : part;
    }
    output(&c, ir_map(ir, 0, NULL, total));
    run(&c);
    end(&c, "forty arrays, forty sums: one sweep makes them, two read them", top_count(&c).kernels == 4);
}

/* Each level would double the expression of the one before. */
static void test_blow_up(void) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false);
    for (int i = 0; i < 40; i++) x = map2(ir, add(ir, read_shifted(ir, x, 0, 1), read_shifted(ir, x, 1, 1 + i % 3)));
    output(&c, x);
    run(&c);
    end(&c, "forty shifted sums stay within bounds", top_count(&c).kernels <= 40);
}

/* Inlining must not meet simplification: 0.1*(0.3*x) is not 0.03*x to the last bit. */
static void test_rounding(void) {
    Case c;
    begin(&c);
    Ir *ir = c.ir;
    Ref x = input(&c, "x", 2, box, false);
    Ref a = map2(ir, mul(ir, num(ir, 0.3), own(ir, x)));
    Ref e = map2(ir, ir_unary(ir, SC_EXP, own(ir, x)));
    output(&c, map2(ir, mul(ir, num(ir, 0.1), read_shifted(ir, a, 0, 1))));
    output(&c, map2(ir, ir_unary(ir, SC_LOG, own(ir, e))));
    run(&c);
    end(&c, "operations are not merged across arrays", top_count(&c).kernels == 1);
}

/* ---- random functions ----------------------------------------------------------------------------------- */

static uint64_t dice_state;
static int dice(int n) {
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (int)((dice_state >> 33) % (uint64_t)n);
}

typedef struct Gen {
    Ir  *ir;
    VEC(Ref) pool;           /* arrays in scope */
    VEC(uint32_t) loops;     /* loops around */
    uint32_t draws;
} Gen;

static const int64_t shapes[4][3] = {{0}, {4}, {3, 4}, {3, 4, 2}};

static Ref random_array_of(Gen *g, int rank) {
    for (int tries = 0; tries < 30; tries++) {
        Ref a = g->pool.data[g->pool.n - 1 - (dice(2) ? dice(g->pool.n) : dice(g->pool.n < 4 ? g->pool.n : 4))];
        if (rank >= 0 && NODE(g->ir, a)->rank != rank) continue;
        bool same = !NODE(g->ir, a)->boolean;
        for (int i = 0; i < rank; i++) same &= NDIM(g->ir, a, i) == shapes[rank][i];
        if (same) return a;
    }
    for (int i = 0; i < g->pool.n; i++) {
        Ref a = g->pool.data[i];
        bool same = NODE(g->ir, a)->rank == rank;
        for (int d = 0; d < rank && same; d++) same = NDIM(g->ir, a, d) == shapes[rank][d];
        if (same) return a;
    }
    return 0;
}

static Index random_index(Gen *g, int d, int rank, const int64_t *dims, int64_t n) {
    Ir *ir = g->ir;
    int64_t lo, hi;
    if (d < rank && dims[d] == n && dice(2)) return at(ir, (Sym)d, 0, dice(5) ? IX_EXACT : (IndexMode)dice(4), n);
    Aff a = aff_const(ir, dice(7) - 3);
    if (rank && dice(4)) a = aff_add(ir, a, aff_scale(ir, aff_sym(ir, (Sym)dice(rank)), dice(4) ? 1 : dice(4) - 2));
    if (rank && !dice(5)) a = aff_add(ir, a, aff_sym(ir, (Sym)dice(rank)));
    if (g->loops.n && !dice(5)) a = aff_add(ir, a, aff_sym(ir, SYM_LOOP + g->loops.data[dice(g->loops.n)]));
    ir_aff_range(ir, a, rank, dims, &lo, &hi);
    if (lo >= 0 && hi < n && dice(2)) return (Index){a, IX_EXACT, n};
    return (Index){a, dice(3) ? IX_PERIODIC : 1 + (IndexMode)dice(3), n};
}

static Ref random_read(Gen *g, int rank, const int64_t *dims) {
    Ref a = random_array_of(g, -1);
    if (!a) return ir_const(g->ir, 0.5);
    Index ix[IR_MAX_RANK];
    for (int d = 0; d < NODE(g->ir, a)->rank; d++) ix[d] = random_index(g, d, rank, dims, NDIM(g->ir, a, d));
    return ir_read(g->ir, a, ix);
}

static Ref random_draw(Gen *g, int rank, const int64_t *dims) {
    Ir *ir = g->ir;
    Aff site = aff_const(ir, dice(3)), iteration = aff_const(ir, dice(2));
    for (int d = 0; d < rank; d++) site = aff_add(ir, aff_scale(ir, site, dims[d]), aff_sym(ir, (Sym)d));
    for (int i = 0; i < g->loops.n; i++) iteration = aff_add(ir, iteration, aff_sym(ir, SYM_LOOP + g->loops.data[i]));
    Span none = {0};
    vec_push(&ir->draw_at, none);
    return ir_rand(ir, g->draws++, dice(2), site, iteration);
}

static Ref random_condition(Gen *g, int rank, const int64_t *dims);

static Ref random_scalar(Gen *g, int depth, int rank, const int64_t *dims) {
    Ir *ir = g->ir;
    if (depth == 0 || dice(8) == 0) {
        int what = dice(12);
        if (what == 0) return ir_const(ir, (dice(9) - 4) * 0.3);
        if (what == 1) return random_draw(g, rank, dims);
        if (what == 2 && rank) return ir_idx(ir, random_index(g, 0, rank, dims, dims[0]));
        return random_read(g, rank, dims);
    }
    static const Op unary[] = {SC_NEG, SC_ABS, SC_SIN, SC_TANH, SC_EXP, SC_LOG, SC_FLOOR};
    static const Op binary[] = {SC_ADD, SC_SUB, SC_MUL, SC_MIN, SC_MAX, SC_ADD, SC_MUL, SC_DIV};
    if (dice(5) == 0) return ir_unary(ir, unary[dice(dice(2) ? 2 : LQ_COUNT(unary))], random_scalar(g, depth - 1, rank, dims));
    Ref a = random_scalar(g, depth - 1, rank, dims), b = random_scalar(g, depth - 1, rank, dims);
    if (dice(8) == 0) return ir_select(ir, random_condition(g, rank, dims), a, b);
    if (dice(8) == 0) return ir_fma(ir, a, b, random_scalar(g, depth - 1, rank, dims));
    return ir_binary(ir, binary[dice(LQ_COUNT(binary))], a, b);
}

static Ref random_condition(Gen *g, int rank, const int64_t *dims) {
    Ir *ir = g->ir;
    if (rank && dice(3) == 0) return ir_inrange(ir, random_index(g, 0, rank, dims, dims[0]).aff, dims[0]);
    return ir_binary(ir, dice(2) ? SC_LT : SC_LE, random_read(g, rank, dims), random_scalar(g, 0, rank, dims));
}

static void random_array(Gen *g) {
    int rank = dice(4), nred = dice(4) ? 0 : dice(rank + 1);
    Ref body = random_scalar(g, 1 + dice(3), rank, shapes[rank]);
    static const Op ops[] = {SC_ADD, SC_ADD, SC_MUL, SC_MAX, SC_MIN};
    vec_push(&g->pool, ir_reduce(g->ir, ops[dice(LQ_COUNT(ops))], rank - nred, nred, shapes[rank], body));
}

static void random_arrays(Gen *g, int n, int nesting);

static Ref guarded(Gen *g, Ref active, Ref value, Ref before) {
    Ir *ir = g->ir;
    return ir_map(ir, NODE(ir, value)->rank, shapes[NODE(ir, value)->rank],
                  ir_select(ir, own(ir, active), own(ir, value), own(ir, before)));
}

/* Carries of one or more shapes; the next values are any arrays in scope. */
static void random_loop(Gen *g, int nesting) {
    Ir *ir = g->ir;
    int n = 1 + dice(4), outside = g->pool.n;
    bool active = dice(5) == 0;
    uint32_t loop = ir_loop_new(ir, dice(5), (Span){0});
    Ref init[6], carry[6], next[6];
    for (int i = 0; i < n; i++) {
        do init[i] = random_array_of(g, dice(3)); while (!init[i]);
        carry[i] = ir_carry(ir, loop, i, init[i]);
    }
    for (int i = 0; i < n; i++) vec_push(&g->pool, carry[i]);
    vec_push(&g->loops, loop);
    random_arrays(g, 1 + dice(5), nesting + 1);
    for (int i = 0; i < n; i++) do next[i] = random_array_of(g, NODE(ir, init[i])->rank); while (!next[i]);
    if (active) {
        init[n] = ir_map(ir, 0, NULL, ir_bool(ir, true));
        carry[n] = ir_carry(ir, loop, n, init[n]);
        next[n] = ir_map(ir, 0, NULL, ir_binary(ir, SC_AND, own(ir, carry[n]), random_condition(g, 0, NULL)));
        for (int i = 0; i < n; i++) next[i] = guarded(g, carry[n], next[i], carry[i]);
    }
    g->loops.n--;
    g->pool.n = outside;
    Ref l = ir_loop(ir, loop, active ? n : -1, n + active, init, next);
    for (int i = 0; i < n; i++) {
        if (dice(4)) vec_push(&g->pool, ir_proj(ir, l, i));
        if (dice(4) == 0 && ir->loops.data[loop].trip) vec_push(&g->pool, ir_stack(ir, l, i));
    }
}

static void random_arrays(Gen *g, int n, int nesting) {
    for (int i = 0; i < n; i++) {
        if (nesting < 3 && dice(5) == 0) random_loop(g, nesting);
        else random_array(g);
    }
}

static bool test_random(uint64_t seed) {
    Case c;
    begin(&c);
    dice_state = seed * 7919 + 1;
    Gen g = {.ir = c.ir};
    for (int i = 0; i < 4; i++) {
        vec_push(&g.pool, input(&c, "x", i % 4, shapes[i % 4], false));
        if (i < 3) vec_push(&g.pool, input(&c, "w", i, shapes[i], true));
    }
    random_arrays(&g, 3 + dice(12), 0);
    int nout = 1 + dice(6);
    for (int i = 0; i < nout; i++) output(&c, g.pool.data[g.pool.n - 1 - dice(g.pool.n < 6 ? g.pool.n : 6)]);
    if (dice(3) == 0) simplify_roots(c.ir, c.f.nout, c.out);
    const char *wrong = fuse_case(&c);
    if (wrong) {
        check(false, "random function %d: %s", (int)seed, wrong);
        if (getenv("SHOW")) ir_print_func(&c.f, stdout), c.p ? kernel_print(c.p, stdout) : (void)0;
    }
    vec_free(&g.pool);
    vec_free(&g.loops);
    ir_free(c.ir);
    arena_free(c.arena);
    return !wrong;
}

int main(int argc, char **argv) {
    if (argc > 1) return !test_random((uint64_t)atoi(argv[1]));
    test_hmc(true);
    test_hmc(false);
    test_inline_pointwise();
    test_shifted_costly();
    test_kept();
    test_choice(false);
    test_choice(true);
    test_one_use_elsewhere();
    test_borders();
    test_outputs();
    test_scalars();
    for (int64_t trip = 1; trip < 5; trip++) test_matvec_loop(trip);
    test_swap();
    test_history();
    test_active(false);
    test_active(true);
    test_nested();
    test_dead_carry();
    test_scratch();
    test_costly_in_two_kernels();
    test_many_streams();
    test_blow_up();
    test_rounding();
    int good = 0, all = 10000;
    for (int i = 0; i < all; i++) good += test_random((uint64_t)i);
    check(good == all, "%d of %d random functions give the interpreter's bits", good, all);
    return failures != 0;
}
