/* test_calls.c — functions of whole arrays in native code, against the interpreter bit for bit: each
 * kind by itself, in loops and beside ordinary kernels; 1 to 16 lanes of replicas, lanes that are
 * sites; double and single precision; with the optimiser and without. */
#include "../../compiler/backend/backend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void check(bool ok, const char *fmt, ...) LQ_PRINTF(2, 3);
static void check(bool ok, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    if (!ok) printf("FAIL  "), vprintf(fmt, ap), printf("\n");
    va_end(ap);
    failures += !ok;
}

/* ---- building -------------------------------------------------------------------------- */

enum { MOST = 8 };

typedef struct Built { Ir *ir; Ref in[MOST], out[MOST]; int nin, nout; } Built;

static Ir *ir;           /* of the case being built */
static Built *b;

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

static Ref num(double v) { return ir_const(ir, v); }
static Ref add(Ref x, Ref y) { return ir_binary(ir, SC_ADD, x, y); }
static Ref sub(Ref x, Ref y) { return ir_binary(ir, SC_SUB, x, y); }
static Ref mul(Ref x, Ref y) { return ir_binary(ir, SC_MUL, x, y); }
static Ref fun(Op op, Ref x) { return ir_unary(ir, op, x); }
static Aff ax(Sym s, int64_t k) { return aff_shift(ir, aff_sym(ir, s), k); }
static Ref at0(Ref a) { return ir_read(ir, a, NULL); }
static Ref at1(Ref a, Aff i, IndexMode m) { return ir_read(ir, a, (Index[]){{i, m, NDIM(ir, a, 0)}}); }
static Ref at2(Ref a, Aff i, IndexMode m, Aff j, IndexMode n) {
    return ir_read(ir, a, (Index[]){{i, m, NDIM(ir, a, 0)}, {j, n, NDIM(ir, a, 1)}});
}
static Ref own2(Ref a) { return at2(a, ax(0, 0), IX_EXACT, ax(1, 0), IX_EXACT); }
static Ref map2(int64_t m, int64_t n, Ref body) { return ir_map(ir, 2, DIMS(m, n), body); }
static Ref like(Ref a, Ref body) { return map2(NDIM(ir, a, 0), NDIM(ir, a, 1), body); }

static Ref input(int rank, const int64_t *dims, bool uniform) {
    Ref r = ir_input(ir, "x", rank, dims, uniform, false);
    b->in[b->nin++] = r;
    return r;
}
static Ref matrix(int64_t m, int64_t n) { return input(2, DIMS(m, n), false); }
static void output(Ref r) { b->out[b->nout++] = r; }

static Ref constant(int64_t m, int64_t n) {
    double *v = arena_alloc(ir->arena, (size_t)(m * n) * sizeof *v);
    for (int64_t i = 0; i < m * n; i++) v[i] = sin(1.7 * (double)i);
    return ir_const_array(ir, 2, DIMS(m, n), v);
}

/* A B, of [m, k] and [k, n]. */
static Ref product(Ref x, Ref y) {
    int64_t m = NDIM(ir, x, 0), k = NDIM(ir, x, 1), n = NDIM(ir, y, 1);
    Index ix[4] = {{ax(0, 0), IX_EXACT, m}, {ax(2, 0), IX_EXACT, k}, {ax(2, 0), IX_EXACT, k}, {ax(1, 0), IX_EXACT, n}};
    return ir_call(ir, CALL_CONTRACT, 2, (Ref[]){x, y}, 2, 1, DIMS(m, n, k), 4, ix, 0);
}

/* A^T B of square matrices: each row wants all rows of A. */
static Ref product_turned(Ref x, Ref y) {
    int64_t n = NDIM(ir, x, 0);
    Index ix[4] = {{ax(2, 0), IX_EXACT, n}, {ax(0, 0), IX_EXACT, n}, {ax(2, 0), IX_EXACT, n}, {ax(1, 0), IX_EXACT, n}};
    return ir_call(ir, CALL_CONTRACT, 2, (Ref[]){x, y}, 2, 1, DIMS(n, n, n), 4, ix, 0);
}

/* A A^T + n: positive definite. */
static Ref positive(Ref x) {
    int64_t n = NDIM(ir, x, 0), k = NDIM(ir, x, 1);
    Ref body = mul(at2(x, ax(0, 0), IX_EXACT, ax(2, 0), IX_EXACT), at2(x, ax(1, 0), IX_EXACT, ax(2, 0), IX_EXACT));
    Ref square = ir_reduce(ir, SC_ADD, 2, 1, DIMS(n, n, k), body);
    Ref i = ir_idx(ir, (Index){ax(0, 0), IX_EXACT, n}), j = ir_idx(ir, (Index){ax(1, 0), IX_EXACT, n});
    Ref same = ir_binary(ir, SC_EQ, i, j);
    return map2(n, n, add(own2(square), ir_select(ir, same, num((double)n), num(0))));
}

static Ref squash(Ref a) { return like(a, fun(SC_TANH, mul(num(0.3), own2(a)))); }

/* ---- cases: each kind ----------------------------------------------------------------------- */

static void contract_plain(void) {
    Ref p = product(matrix(20, 16), matrix(16, 24));
    output(squash(p));
    output(p);
}

/* Of inputs and constants as they stand, with nothing else in the program. */
static void contract_alone(void) { output(product(matrix(9, 5), matrix(5, 7))); }
static void contract_shared(void) {
    Ref x = input(2, DIMS(9, 5), true), y = matrix(5, 7), z = matrix(6, 9);
    output(product(x, y)), output(product(z, x));
}
static void contract_constants(void) { output(product(constant(9, 5), constant(5, 7))), output(product(constant(3, 9), matrix(9, 4))); }

static void contract_number(void) {
    Ref x = matrix(6, 8), y = matrix(6, 8);
    Index ix[4] = {{ax(0, 0), IX_EXACT, 6}, {ax(1, 0), IX_EXACT, 8}, {ax(0, 0), IX_EXACT, 6}, {ax(1, 1), IX_ANTIPERIODIC, 8}};
    Ref s = ir_call(ir, CALL_CONTRACT, 2, (Ref[]){x, y}, 0, 2, DIMS(6, 8), 4, ix, 0);
    output(s);
    output(like(x, mul(own2(x), at0(s))));
    Ref n = ir_map(ir, 0, NULL, fun(SC_SIN, at0(s)));       /* a number as an argument */
    Index one[1] = {{ax(0, 0), IX_EXACT, 5}};
    Ref v = input(1, DIMS(5), false);
    output(ir_call(ir, CALL_CONTRACT, 2, (Ref[]){n, v}, 1, 0, DIMS(5), 1, one, 0));
}

static void convolution(void) {
    Ref x = input(3, DIMS(2, 8, 16), false), k = input(4, DIMS(3, 2, 3, 3), false);
    Aff i = aff_add(ir, ax(1, -1), ax(4, 0)), j = aff_add(ir, ax(2, -1), ax(5, 0));
    Index ix[7] = {{ax(3, 0), IX_EXACT, 2}, {i, IX_PERIODIC, 8}, {j, IX_ZERO, 16},
                   {ax(0, 0), IX_EXACT, 3}, {ax(3, 0), IX_EXACT, 2}, {ax(4, 0), IX_EXACT, 3}, {ax(5, 0), IX_EXACT, 3}};
    Ref c = ir_call(ir, CALL_CONTRACT, 2, (Ref[]){x, k}, 3, 3, DIMS(3, 8, 16, 2, 3, 3), 7, ix, 0);
    output(c);
    Index own[3] = {{ax(0, 0), IX_EXACT, 3}, {ax(1, 0), IX_EXACT, 8}, {ax(2, 0), IX_EXACT, 16}};
    output(ir_map(ir, 3, DIMS(3, 8, 16), fun(SC_EXP, ir_read(ir, c, own))));
}

static void scatter(void) {
    Ref x = matrix(8, 16);
    Index ix[2] = {{aff_scale(ir, ax(1, 0), 2), IX_PERIODIC, 20}, {ax(0, -3), IX_ZERO, 6}};
    Ref s = ir_scatter(ir, x, 2, DIMS(20, 6), ix);
    output(s), output(squash(s));
}

/* Places from numbers, some of which are none. */
static Ref some_places(int64_t m, int64_t n) {
    Ref x = input(1, DIMS(m), false);
    return ir_map(ir, 1, DIMS(m), fun(SC_FLOOR, mul(num((double)n), at1(x, ax(0, 0), IX_EXACT))));
}

static void take(void) { output(ir_take(ir, matrix(12, 5), some_places(17, 12), 1)), output(ir_take(ir, matrix(4, 4), some_places(16, 16), 2)); }
static void put(void) {
    Ref p = some_places(17, 12);
    output(ir_put(ir, p, matrix(17, 5), 1, 2, DIMS(12, 5)));
}

static void svd(void) { output(ir_svd(ir, matrix(7, 5))), output(ir_svd(ir, matrix(4, 16))), output(ir_svd(ir, constant(6, 6))); }
static void eigh(void) { output(ir_eigh(ir, positive(matrix(6, 7)))); }
static void cholesky(void) { output(ir_cholesky(ir, positive(matrix(16, 9)))); }
static void solve(void) { output(ir_solve(ir, positive(matrix(16, 5)), matrix(16, 3))); }
static void logdet(void) {
    Ref d = ir_logdet(ir, positive(matrix(5, 5)));
    output(d), output(ir_map(ir, 0, NULL, fun(SC_EXP, mul(num(0.1), at0(d)))));
}
/* No result: not a number throughout. */
static void broken(void) { output(ir_cholesky(ir, map2(4, 4, num(-1)))), output(squash(b->out[0])); }

/* ---- cases: loops ------------------------------------------------------------------------------ */

static Ref loop_of(int64_t trip, int n, const Ref *init, Ref *carry, uint32_t *number) {
    *number = ir_loop_new(ir, trip, (Span){0});
    for (int i = 0; i < n; i++) carry[i] = ir_carry(ir, *number, i, init[i]);
    return 0;
}

/* q' = q q, scaled: the next value is made by the call itself. */
static void loop_direct(void) {
    Ref x = matrix(6, 6), init = like(x, mul(num(0.5), own2(x))), q;
    uint32_t t;
    loop_of(5, 1, &init, &q, &t);
    Ref l = ir_loop(ir, t, -1, 1, &init, (Ref[]){product(q, q)});
    output(ir_proj(ir, l, 0)), output(ir_stack(ir, l, 0));
}

/* Calls whose argument is a carry, invariant, changed before it; the start is a call. */
static void loop_mixed(void) {
    Ref w = input(2, DIMS(16, 16), true), x = matrix(16, 8), inv = ir_solve(ir, positive(w), x);
    Ref init[2] = {product(w, x), inv}, c[2];
    uint32_t t;
    loop_of(4, 2, init, c, &t);
    Ref moved = product(positive(w), c[1]), next = like(c[0], sub(own2(c[0]), mul(num(0.01), own2(moved))));
    Ref after = product(w, next);
    Ref iteration = ir_idx(ir, (Index){aff_sym(ir, SYM_LOOP + t), IX_EXACT, 4});
    Ref l = ir_loop(ir, t, -1, 2, init, (Ref[]){squash(after), like(c[1], add(own2(next), mul(num(0.1), iteration)))});
    output(ir_proj(ir, l, 0)), output(ir_proj(ir, l, 1)), output(ir_svd(ir, ir_proj(ir, l, 0)));
}

/* Carries exchanged; an inner loop goes on with the carry of the outer one. */
static void loop_nested(void) {
    Ref init[2] = {squash(matrix(5, 5)), squash(matrix(5, 5))}, o[2], c;
    uint32_t t, s;
    loop_of(3, 2, init, o, &t);
    loop_of(2, 1, &o[0], &c, &s);
    Ref inner = ir_loop(ir, s, -1, 1, &o[0], (Ref[]){product(squash(c), o[1])});
    Ref l = ir_loop(ir, t, -1, 2, init, (Ref[]){o[1], squash(ir_proj(ir, inner, 0))});
    output(ir_proj(ir, l, 0)), output(ir_proj(ir, l, 1)), output(product(ir_proj(ir, l, 1), ir_proj(ir, l, 0)));
}

static void loop_places(void) {
    Ref places = some_places(9, 12), init = matrix(12, 4), c;
    uint32_t t;
    loop_of(3, 1, &init, &c, &t);
    Ref taken = ir_take(ir, c, places, 1);
    Ref l = ir_loop(ir, t, -1, 1, &init, (Ref[]){ir_put(ir, places, squash(taken), 1, 2, DIMS(12, 4))});
    output(ir_proj(ir, l, 0));
    output(ir_reduce(ir, SC_ADD, 1, 1, DIMS(4, 12), at2(ir_proj(ir, l, 0), ax(1, 0), IX_EXACT, ax(0, 0), IX_EXACT)));
}

/* ---- cases: what stands beside calls is in plain buffers ------------------------------------------- */

static void beside(int64_t m, int64_t n) {
    Ref x = matrix(m, n), p = product(x, matrix(n, n));
    IndexMode modes[3] = {IX_PERIODIC, IX_ANTIPERIODIC, IX_ZERO};
    Ref sum = own2(p);
    for (int i = 0; i < 3; i++)
        for (int k = -2; k <= 2; k++)
            sum = add(sum, mul(num(0.1 + 0.01 * k), at2(x, ax(0, i - 1), IX_PERIODIC, ax(1, k * (i + 1)), modes[i])));
    Ref site = ir_rand(ir, 1, true, aff_add(ir, aff_scale(ir, ax(0, 0), n), ax(1, 0)), aff_const(ir, 0));
    Ref place = ir_idx(ir, (Index){ax(1, 3), IX_PERIODIC, n});
    Ref test = ir_inrange(ir, ax(1, -1), n - 3);
    Ref y = like(x, ir_select(ir, test, add(sum, site), mul(place, own2(x))));
    output(y);
    output(ir_reduce(ir, SC_ADD, 1, 1, DIMS(m, n), own2(y)));
    output(ir_reduce(ir, SC_MAX, 0, 2, DIMS(m, n), mul(own2(y), own2(p))));
    output(ir_reduce(ir, SC_ADD, 1, 1, DIMS(n, m), at2(y, ax(1, 0), IX_EXACT, ax(0, 0), IX_EXACT)));
    output(map2(n, m, at2(y, ax(1, 0), IX_EXACT, ax(0, 1), IX_PERIODIC)));
    output(ir_map(ir, 1, DIMS(m), at2(y, ax(0, 0), IX_EXACT, aff_const(ir, 1), IX_EXACT)));
}

/* Sums over a batch and what they are made of, kept axis first: large enough for threads to share. */
static void beside_batch(int64_t units, int64_t batch) {
    Ref x = matrix(batch, units), w = matrix(units, units), y = product(x, w);
    Ref term = mul(at2(y, ax(1, 0), IX_EXACT, ax(0, 0), IX_EXACT), fun(SC_TANH, at2(x, ax(1, 0), IX_EXACT, ax(0, 0), IX_EXACT)));
    output(ir_reduce(ir, SC_ADD, 1, 1, DIMS(units, batch), term));
    output(ir_reduce(ir, SC_MAX, 1, 1, DIMS(units, batch), add(term, term)));
    output(map2(units, batch, fun(SC_EXP, term)));
}
static void beside_batch_64(void) { beside_batch(64, 500); }
static void beside_batch_19(void) { beside_batch(19, 320); }

static void beside_16(void) { beside(3, 16); }
static void beside_24(void) { beside(5, 24); }
static void beside_19(void) { beside(4, 19); }
static void beside_8(void) { beside(16, 8); }
static void beside_7(void) { beside(9, 7); }

/* A loop that is swept row by row, in a program with a call. */
static void beside_sweep(void) {
    Ref q0 = matrix(16, 32), p0 = matrix(16, 32), init[2] = {q0, p0}, c[2];
    uint32_t t;
    loop_of(6, 2, init, c, &t);
    Ref force = add(at2(c[0], ax(0, 1), IX_PERIODIC, ax(1, 0), IX_EXACT), at2(c[0], ax(0, 0), IX_EXACT, ax(1, -1), IX_PERIODIC));
    Ref p1 = like(q0, sub(own2(c[1]), mul(num(0.1), force)));
    Ref l = ir_loop(ir, t, -1, 2, init, (Ref[]){like(q0, add(own2(c[0]), mul(num(0.2), own2(p1)))), p1});
    output(ir_proj(ir, l, 0)), output(product(ir_proj(ir, l, 1), matrix(32, 8)));
}

/* ---- cases: kernels that follow a contraction by rows ------------------------------------------------ */

/* A layer and its derivative: bias, activation, sums along the rows; what is summed over rows does not follow. */
static void follow_layer(void) {
    Ref w = matrix(24, 16), x = matrix(37, 24), bias = input(1, DIMS(16), false), p = product(x, w);
    Ref y = like(p, fun(SC_TANH, add(own2(p), at1(bias, ax(1, 0), IX_EXACT))));
    Ref v = matrix(16, 24), q = product(y, v), d = like(q, mul(own2(q), sub(num(1), mul(own2(x), own2(x)))));
    output(y), output(d);
    output(ir_reduce(ir, SC_ADD, 1, 1, DIMS(37, 24), own2(d)));
    output(ir_reduce(ir, SC_ADD, 1, 1, DIMS(24, 37), at2(d, ax(1, 0), IX_EXACT, ax(0, 0), IX_EXACT)));
}

/* Other columns of the own row; another row: that one does not follow. */
static void follow_columns(void) {
    Ref p = product(matrix(21, 9), matrix(9, 13));
    output(like(p, sub(own2(p), at2(p, ax(0, 0), IX_EXACT, ax(1, 1), IX_PERIODIC))));
    Ref q = product(matrix(21, 9), matrix(9, 13));
    output(like(q, sub(own2(q), at2(q, ax(0, 1), IX_PERIODIC, ax(1, 0), IX_EXACT))));
    Ref r = product(matrix(13, 9), matrix(9, 13));
    output(like(r, sub(own2(r), at2(r, ax(1, 0), IX_EXACT, ax(0, 0), IX_EXACT))));
}

/* Many blocks of the reduced axis, and of the rows. */
static void follow_blocks(void) {
    Ref p = product(matrix(300, 520), matrix(520, 24));
    output(like(p, fun(SC_ABS, own2(p))));
    Ref q = product(matrix(500, 30), matrix(30, 16));
    output(like(q, fun(SC_ABS, own2(q))));
}

/* Layer after layer: what one of them reads is not needed any more when its follower has made its rows. */
static void follow_chain(void) {
    Ref h = squash(matrix(330, 24)), w = matrix(24, 24);
    for (int i = 0; i < 4; i++) h = squash(product(h, w));
    output(h);
    Ref t = squash(matrix(136, 136)), v = matrix(136, 136);
    for (int i = 0; i < 3; i++) t = squash(product_turned(t, v));
    output(t);
}

/* A batch of configurations. */
static void follow_convolution(void) {
    Ref x = input(4, DIMS(5, 2, 48, 64), false), k = input(4, DIMS(3, 2, 3, 3), false);
    Aff i = aff_add(ir, ax(2, -1), ax(5, 0)), j = aff_add(ir, ax(3, -1), ax(6, 0));
    Index ix[8] = {{ax(0, 0), IX_EXACT, 5}, {ax(4, 0), IX_EXACT, 2}, {i, IX_PERIODIC, 48}, {j, IX_ANTIPERIODIC, 64},
                   {ax(1, 0), IX_EXACT, 3}, {ax(4, 0), IX_EXACT, 2}, {ax(5, 0), IX_EXACT, 3}, {ax(6, 0), IX_EXACT, 3}};
    Ref c = ir_call(ir, CALL_CONTRACT, 2, (Ref[]){x, k}, 4, 3, DIMS(5, 3, 48, 64, 2, 3, 3), 8, ix, 0);
    Index own[4] = {{ax(0, 0), IX_EXACT, 5}, {ax(1, 0), IX_EXACT, 3}, {ax(2, 0), IX_EXACT, 48}, {ax(3, 0), IX_EXACT, 64}};
    Ref at = ir_read(ir, c, own);
    Ref y = ir_map(ir, 4, DIMS(5, 3, 48, 64), ir_binary(ir, SC_MAX, at, num(0)));
    output(y), output(ir_reduce(ir, SC_ADD, 1, 3, DIMS(5, 3, 48, 64), ir_read(ir, y, own)));
}

/* The argument of the call is a carry whose next value the follower makes. */
static void follow_in_loop(void) {
    Ref w = input(2, DIMS(16, 16), true), init = squash(matrix(40, 16)), c;
    uint32_t t;
    loop_of(6, 1, &init, &c, &t);
    Ref p = product(c, w), q = product(squash(p), w);
    Ref l = ir_loop(ir, t, -1, 1, &init, (Ref[]){like(c, add(mul(num(0.3), fun(SC_TANH, own2(q))), mul(num(0.5), own2(c))))});
    output(ir_proj(ir, l, 0));
}

/* ---- running ----------------------------------------------------------------------------------------- */

static const struct { const char *name; void (*build)(void); } cases[] = {
#define CASE(f) {#f, f}
    CASE(contract_plain), CASE(contract_alone), CASE(contract_shared), CASE(contract_constants), CASE(contract_number),
    CASE(convolution), CASE(scatter), CASE(take), CASE(put), CASE(svd), CASE(eigh), CASE(cholesky), CASE(solve), CASE(logdet),
    CASE(broken), CASE(loop_direct), CASE(loop_mixed), CASE(loop_nested), CASE(loop_places), CASE(beside_16), CASE(beside_24),
    CASE(beside_19), CASE(beside_8), CASE(beside_7), CASE(beside_batch_64), CASE(beside_batch_19), CASE(beside_sweep),
    CASE(follow_layer), CASE(follow_columns), CASE(follow_blocks), CASE(follow_chain), CASE(follow_convolution), CASE(follow_in_loop),
};
enum { NCASES = LQ_COUNT(cases), MOST_LANES = 16, SEED = 7, STEP = 3 };

static const uint32_t chains[MOST_LANES] = {4, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4};
static const uint32_t same_chain[MOST_LANES] = {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4};

/* In (-1, 1), of this lane. */
static double start(const IrFunc *f, int i, int64_t e, int lane) {
    if (NODE(f->ir, f->in[i])->uniform) lane = 0;
    double v = sin(0.7 + 12.9898 * (double)e + 78.233 * i + 3.1 * lane) * 43758.5453;
    v = 2 * (v - floor(v)) - 1;
    return ir_is_single(f, f->in[i]) ? single_of(v) : v;
}

typedef struct Memory { void *in[MOST], *out[MOST], *scratch; } Memory;

static void *vectors(int64_t n) {
    double *p = lq_alloc_vectors(((size_t)n + 1) * sizeof *p);
    memset(p, 0xff, ((size_t)n + 1) * sizeof *p);
    return p;
}

static double get(bool single, const void *p, int64_t i) { return single ? ((const float *)p)[i] : ((const double *)p)[i]; }

static Memory memory_new(const IrFunc *f, int lanes, int64_t scratch) {
    Memory m = {.scratch = vectors(scratch * lanes)};
    for (int i = 0; i < f->nin; i++) {
        bool uniform = NODE(f->ir, f->in[i])->uniform;
        int64_t n = ir_elements(f->ir, f->in[i]), width = uniform ? 1 : lanes;
        m.in[i] = vectors(n * width);
        for (int64_t k = 0; k < n * width; k++) {
            double v = start(f, i, k / width, (int)(k % width));
            if (ir_is_single(f, f->in[i])) ((float *)m.in[i])[k] = (float)v;
            else ((double *)m.in[i])[k] = v;
        }
    }
    for (int o = 0; o < f->nout; o++) m.out[o] = vectors(ir_elements(f->ir, f->out[o]) * lanes);
    return m;
}

static void memory_free(const IrFunc *f, Memory *m) {
    for (int i = 0; i < f->nin; i++) free(m->in[i]);
    for (int o = 0; o < f->nout; o++) free(m->out[o]);
    free(m->scratch);
}

/* What the interpreter gives for a lane. */
static void interpret(const IrFunc *f, int lane, double **out) {
    double *in[MOST];
    for (int i = 0; i < f->nin; i++) {
        int64_t n = ir_elements(f->ir, f->in[i]);
        in[i] = vectors(n);
        for (int64_t k = 0; k < n; k++) in[i][k] = start(f, i, k, lane);
    }
    for (int o = 0; o < f->nout; o++) out[o] = vectors(ir_elements(f->ir, f->out[o]));
    interp_call(f, (const double *const *)in, out, (RandKey){SEED, chains[lane], STEP});
    for (int i = 0; i < f->nin; i++) free(in[i]);
}

/* 0, or how many numbers of a lane differ. */
static int64_t differences(const IrFunc *f, const Memory *m, int lane, int lanes) {
    double *want[MOST];
    int64_t bad = 0;
    interpret(f, lane, want);
    for (int o = 0; o < f->nout; o++) {
        bool single = f->single && NODE(f->ir, f->out[o])->rank > 0;
        for (int64_t k = 0; k < ir_elements(f->ir, f->out[o]); k++) {
            double w = want[o][k], g = get(single, m->out[o], k * lanes + lane);
            if (memcmp(&w, &g, sizeof w) == 0 || (isnan(w) && isnan(g))) continue;
            if (bad++ == 0) printf("  output %d, element %lld, lane %d: %.17g, interpreter %.17g\n", o, (long long)k, lane, g, w);
        }
        free(want[o]);
    }
    return bad;
}

static void run(IrFunc *f, KProgram *const *p, int n, int lanes, int optimize) {
    bool sites = lanes == 0;
    char err[500] = "";
    BackendOptions o = {.lanes = sites ? 8 : lanes, .sites = sites, .optimize = optimize};
    Compiled *c = backend_native.compile(p, n, &o, err, sizeof err);
    check(c != NULL, "%s", err);
    if (!c) return;
    if (sites) lanes = 1;
    for (int i = 0; i < n; i++) {
        Memory m = memory_new(&f[i], lanes, p[i]->scratch);
        CallArgs a = {(const double *const *)m.in, (double *const *)m.out, m.scratch, SEED, STEP, sites ? same_chain : chains};
        int64_t bad = 0;
        for (int again = 0; again < 2; again++) {       /* nothing is left behind by a call */
            backend_native.call(c, i, &a);
            for (int lane = 0; lane < lanes; lane += 5) bad += differences(&f[i], &m, lane, lanes);
        }
        check(bad == 0, "%s, %s, %d lanes%s, O%d: %lld numbers differ", f[i].name, f[i].single ? "single" : "double", lanes,
              sites ? " of sites" : "", optimize, (long long)bad);
        memory_free(&f[i], &m);
    }
    backend_native.release(c);
}

static int count_followed(const KProgram *p) {
    int n = 0;
    for (int i = 0; i < p->ncalls; i++) n += p->calls[i]->followed;
    return n;
}

/* smallest: whatever can follow does, and threads share the smallest kernels. */
static void run_all(bool single, bool smallest) {
    int followed = 0;
    kernel_plan_for_work(smallest ? 1e-9 : 0);
    Built built[NCASES] = {0};
    IrFunc f[NCASES];
    KProgram *p[NCASES];
    Arena *arena = arena_new();
    for (int i = 0; i < NCASES; i++) {
        b = &built[i];
        ir = b->ir = ir_new();
        cases[i].build();
        simplify_roots(ir, b->nout, b->out);
        f[i] = (IrFunc){.name = cases[i].name, .in = b->in, .nin = b->nin, .out = b->out, .nout = b->nout, .ir = ir, .single = single};
        const char *wrong = ir_verify(&f[i]);
        check(!wrong, "%s: %s", cases[i].name, wrong ? wrong : "");
        if (wrong) exit(1);
        p[i] = fuse(&f[i], arena);
        wrong = kernel_verify(p[i]);
        check(!wrong, "%s: %s", cases[i].name, wrong ? wrong : "");
        check(p[i]->plain && p[i]->ncalls > 0, "%s has calls", cases[i].name);
        followed += count_followed(p[i]);
    }
    check(followed >= (smallest ? 16 : single ? 4 : 10), "%d calls are followed", followed);
    const int lanes[] = {0, 1, 2, 8, 16};
    for (int k = 0; k < LQ_COUNT(lanes); k++)
        for (int optimize = 0; optimize < 2; optimize++) run(f, p, NCASES, lanes[k], optimize);
    for (int i = 0; i < NCASES; i++) ir_free(built[i].ir);
    arena_free(arena);
}

int main(void) {
    run_all(false, false);
    run_all(true, false);
    Pool *pool = pool_new(3);
    pool_use(pool);
    run_all(false, true);
    run_all(true, true);
    pool_use(NULL);
    pool_free(pool);
    printf(failures ? "%d failures\n" : "ok: %d programs with calls agree with the interpreter\n", failures ? failures : NCASES);
    return failures != 0;
}
