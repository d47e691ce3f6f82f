/* test_interp.c — the interpreter against sums written out in C, the printer on one
 * function, and the verifier on nodes broken one field at a time. */
#include "../../compiler/ir/ir.h"
#include "../../compiler/ir/notation.h"
#include "../../runtime/philox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void check(bool ok, const char *fmt, ...) LQ_PRINTF(2, 3);
static void check(bool ok, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf(ok ? "ok    " : "FAIL  ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    failures += !ok;
}

static bool same(const double *a, const double *b, int n)
{ /* as numbers of which the bits count, but one NaN is like another */
    for (int i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]))) return false;
    return true;
}

static Index axis(Ir *ir, Sym s, int64_t shift, IndexMode mode, int64_t n)
{
    return (Index){aff_shift(ir, aff_sym(ir, s), shift), mode, n};
}

static void call(Ir *ir, int nin, Ref *in, int nout, Ref *out, const double *const *x, double *const *y,
                 const char *what)
{
    IrFunc f = {"test", in, nin, out, nout, ir, false, NULL, 0, false};
    const char *wrong = ir_verify(&f);
    if (wrong) { check(false, "%s: %s", what, wrong); return; }
    interp_call(&f, x, y, (RandKey){11, 22, 33});
}

/* ---- shifts ------------------------------------------------------------------------ */

static double shifted(const double *x, int64_t n, int64_t at, IndexMode mode)
{ /* one step at a time around the ring */
    double sign = 1;
    if (mode == IX_ZERO && (at < 0 || at >= n)) return 0;
    for (; at < 0; at += n) sign = -sign;
    for (; at >= n; at -= n) sign = -sign;
    return mode == IX_ANTIPERIODIC ? sign * x[at] : x[at];
}

static void test_shifts(void)
{
    static const char *const names[] = {"exact", "periodic", "antiperiodic", "zero"};
    const double data[3] = {1.5, -2.25, 4.125};
    for (int64_t n = 1; n <= 3; n++)
        for (int mode = IX_PERIODIC; mode <= IX_ZERO; mode++) {
            bool ok = true;
            for (int64_t shift = -7; shift <= 7; shift++) {
                Ir *ir = ir_new();
                Ref x = ir_input(ir, "x", 1, &n, false, false);
                Index ix = axis(ir, 0, shift, (IndexMode)mode, n);
                Ref y = ir_map(ir, 1, &n, ir_read(ir, x, &ix));
                double out[3], want[3];
                call(ir, 1, &x, 1, &y, (const double *[]){data}, (double *[]){out}, "shift");
                for (int64_t i = 0; i < n; i++) want[i] = shifted(data, n, i + shift, (IndexMode)mode);
                ok &= same(out, want, (int)n);
                ir_free(ir);
            }
            check(ok, "shifts -7 … 7, %s, extent %d", names[mode], (int)n);
        }
}

/* Two antiperiodic axes: the signs multiply; a stride and a reflection. */
static void test_two_axes(void)
{
    Ir *ir = ir_new();
    const int64_t dims[2] = {2, 3};
    Ref x = ir_input(ir, "x", 2, dims, false, false);
    Aff i = aff_sym(ir, 0), j = aff_sym(ir, 1);
    Index ix[2] = {{aff_shift(ir, aff_scale(ir, i, 2), 1), IX_ANTIPERIODIC, 2},
                   {aff_add(ir, aff_scale(ir, j, -1), i), IX_ANTIPERIODIC, 3}};
    Ref y = ir_map(ir, 2, dims, ir_read(ir, x, ix));
    double in[6] = {1, 2, 3, 4, 5, 6}, out[6], want[6];
    call(ir, 1, &x, 1, &y, (const double *[]){in}, (double *[]){out}, "two axes");
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 3; b++) {
            int r = 2 * a + 1, c = a - b, turns = 0;
            while (r >= 2) r -= 2, turns++;
            while (c < 0) c += 3, turns++;
            want[3 * a + b] = turns % 2 ? -in[3 * r + c] : in[3 * r + c];
        }
    check(same(out, want, 6), "strides, reflections and signs of two axes");
    ir_free(ir);
}

static void test_index_values(void)
{
    Ir *ir = ir_new();
    const int64_t n = 4;
    Ref idx = ir_idx(ir, axis(ir, 0, 3, IX_PERIODIC, n));
    Ref inside = ir_inrange(ir, aff_shift(ir, aff_sym(ir, 0), -1), 2);
    Ref y = ir_map(ir, 1, &n, ir_select(ir, inside, idx, ir_const(ir, -1)));
    double out[4];
    call(ir, 0, NULL, 1, &y, NULL, (double *[]){out}, "index");
    check(same(out, (double[]){-1, 0, 1, -1}, 4), "index values, wrapped, and range tests");
    ir_free(ir);
}

/* ---- reductions -------------------------------------------------------------------------- */

static void test_reduction_order(void)
{
    enum { A = 3, N = 5, M = 7 };
    Ir *ir = ir_new();
    const int64_t dims[3] = {A, N, M};
    double x[A * N * M], two[A], one[A * N], want2[A], want1[A * N];
    for (int i = 0; i < A * N * M; i++) x[i] = sin(i * 1.7) * pow(10, i % 13 - 6);
    Ref in = ir_input(ir, "x", 3, dims, false, false);
    Index ix[3];
    for (int i = 0; i < 3; i++) ix[i] = axis(ir, (Sym)i, 0, IX_EXACT, dims[i]);
    Ref body = ir_read(ir, in, ix);
    Ref out[2] = {ir_reduce(ir, SC_ADD, 1, 2, dims, body), ir_reduce(ir, SC_ADD, 2, 1, dims, body)};
    call(ir, 1, &in, 2, out, (const double *[]){x}, (double *[]){two, one}, "reduce");
    for (int a = 0; a < A; a++) {
        want2[a] = 0;
        for (int n = 0; n < N; n++) {
            double row = 0;
            for (int m = 0; m < M; m++) row += x[(a * N + n) * M + m];
            want1[a * N + n] = row;
            want2[a] += row;
        }
    }
    check(same(two, want2, A), "sum over two axes: rows first, then their sum");
    check(same(one, want1, A * N), "sum over one axis");
    ir_free(ir);
}

static void test_reduction_kinds(void)
{
    static const struct { Op op; double want, nothing; } row[] = {
        {SC_ADD, -1.5, 0}, {SC_MUL, -6, 1}, {SC_MAX, 2, -INFINITY}, {SC_MIN, -4, INFINITY},
    };
    for (int k = 0; k < LQ_COUNT(row); k++)
        for (int empty = 0; empty < 2; empty++) {
            Ir *ir = ir_new();
            const int64_t n = empty ? 0 : 4;
            const double x[4] = {2, 0.5, -4, 1.5};
            Ref in = ir_input(ir, "x", 1, &n, false, false);
            Index ix = axis(ir, 0, 0, IX_PERIODIC, n);
            Ref body = ir_read(ir, in, &ix);
            if (row[k].op == SC_ADD) body = ir_binary(ir, SC_SUB, body, ir_const(ir, 0.375));
            Ref r = ir_reduce(ir, row[k].op, 0, 1, &n, body);
            double out, want = empty ? row[k].nothing : row[k].want;
            call(ir, 1, &in, 1, &r, (const double *[]){x}, (double *[]){&out}, "kinds");
            check(same(&out, &want, 1), "reduction with %s%s", op_name(row[k].op), empty ? " of nothing" : "");
            ir_free(ir);
        }
}

/* ---- loops ------------------------------------------------------------------------------------ */

static Ref scalar_read(Ir *ir, Ref a) { return ir_read(ir, a, NULL); }
static Ref scalar(Ir *ir, Ref body) { return ir_map(ir, 0, NULL, body); }

/* Fibonacci: the body exchanges its carries; the stack shows each before its iteration. */
static void test_loop(void)
{
    Ir *ir = ir_new();
    uint32_t l = ir_loop_new(ir, 6, (Span){0});
    Ref init[2] = {scalar(ir, ir_const(ir, 0)), scalar(ir, ir_const(ir, 1))};
    Ref a = ir_carry(ir, l, 0, init[0]), b = ir_carry(ir, l, 1, init[1]);
    Ref next[2] = {b, scalar(ir, ir_binary(ir, SC_ADD, scalar_read(ir, a), scalar_read(ir, b)))};
    Ref loop = ir_loop(ir, l, -1, 2, init, next);
    Ref out[3] = {ir_proj(ir, loop, 0), ir_proj(ir, loop, 1), ir_stack(ir, loop, 0)};
    double last[2], stack[6];
    call(ir, 0, NULL, 3, out, NULL, (double *[]){&last[0], &last[1], stack}, "loop");
    check(same(last, (double[]){8, 13}, 2), "loop: carries are exchanged at once");
    check(same(stack, (double[]){0, 1, 1, 2, 3, 5}, 6), "loop: the stack of a carry");
    ir_free(ir);
}

/* for s in 0..2 { y = x; for t in 0..3 { y = y*s + t + c }; x = x + y }, with c from outside,
 * s*s only of the outer loop, and the carry of the outer loop read in the inner one. */
static void test_nested(void)
{
    Ir *ir = ir_new();
    Ref c = ir_input(ir, "c", 0, NULL, false, false);
    uint32_t outer = ir_loop_new(ir, 3, (Span){0}), inner = ir_loop_new(ir, 4, (Span){0});
    Ref s = ir_idx(ir, (Index){aff_sym(ir, SYM_LOOP + outer), IX_EXACT, 3});
    Ref t = ir_idx(ir, (Index){aff_sym(ir, SYM_LOOP + inner), IX_EXACT, 4});
    Ref x0 = scalar(ir, ir_const(ir, 2)), x = ir_carry(ir, outer, 0, x0);
    Ref square = scalar(ir, ir_binary(ir, SC_MUL, s, s));
    Ref y = ir_carry(ir, inner, 0, x);
    Ref step = ir_binary(ir, SC_MUL, scalar_read(ir, y), s);
    step = ir_binary(ir, SC_ADD, step, ir_binary(ir, SC_ADD, t, scalar_read(ir, c)));
    step = ir_binary(ir, SC_ADD, step, ir_binary(ir, SC_MUL, scalar_read(ir, square), scalar_read(ir, x)));
    Ref y1 = scalar(ir, step), li = ir_loop(ir, inner, -1, 1, &x, &y1);
    Ref sum = ir_binary(ir, SC_ADD, scalar_read(ir, x), scalar_read(ir, ir_proj(ir, li, 0)));
    Ref x1 = scalar(ir, sum), lo = ir_loop(ir, outer, -1, 1, &x0, &x1);
    Ref out[2] = {ir_proj(ir, lo, 0), ir_stack(ir, lo, 0)};
    double input = 0.5, last, stack[3], xs = 2, want[3];
    call(ir, 1, &c, 2, out, (const double *[]){&input}, (double *[]){&last, stack}, "nested");
    for (int i = 0; i < 3; i++) {
        double ys = xs;
        want[i] = xs;
        for (int j = 0; j < 4; j++) ys = ys * i + (j + input) + i * i * xs;
        xs += ys;
    }
    check(last == xs && same(stack, want, 3), "nested loops: %g", last);
    ir_free(ir);
}

/* Newton's iteration for a square root that stops itself; its stack goes on. */
static void test_active(void)
{
    Ir *ir = ir_new();
    uint32_t l = ir_loop_new(ir, 5, (Span){0});
    Ref init[2] = {scalar(ir, ir_const(ir, 1)), scalar(ir, ir_bool(ir, true))};
    Ref n = ir_carry(ir, l, 0, init[0]), go = ir_carry(ir, l, 1, init[1]);
    Ref value = scalar_read(ir, n), twice = ir_binary(ir, SC_MUL, ir_const(ir, 2), value);
    Ref next[2] = {scalar(ir, ir_select(ir, scalar_read(ir, go), twice, value)),
                   scalar(ir, ir_binary(ir, SC_AND, scalar_read(ir, go),
                                        ir_binary(ir, SC_LT, twice, ir_const(ir, 4))))};
    Ref loop = ir_loop(ir, l, 1, 2, init, next);
    Ref out[2] = {ir_proj(ir, loop, 0), ir_stack(ir, loop, 0)};
    double last, stack[5];
    call(ir, 0, NULL, 2, out, NULL, (double *[]){&last, stack}, "active");
    check(last == 4 && same(stack, (double[]){1, 2, 4, 4, 4}, 5), "a loop that stops early repeats its carries");
    ir_free(ir);
}

static void test_rand(void)
{
    enum { N = 6 };
    Ir *ir = ir_new();
    const int64_t n = N;
    uint32_t l = ir_loop_new(ir, 3, (Span){0});
    Index whole = axis(ir, 0, 0, IX_EXACT, n);
    Ref init = ir_map(ir, 1, &n, ir_const(ir, 0)), c = ir_carry(ir, l, 0, init);
    Ref z = ir_rand(ir, 5, true, aff_sym(ir, 0), aff_sym(ir, SYM_LOOP + l));
    Ref next = ir_map(ir, 1, &n, ir_binary(ir, SC_ADD, ir_read(ir, c, &whole), z));
    Ref loop = ir_loop(ir, l, -1, 1, &init, &next);
    Ref u = ir_rand(ir, 2, false, aff_shift(ir, aff_scale(ir, aff_sym(ir, 0), 2), 1), aff_const(ir, 0));
    Ref out[2] = {ir_proj(ir, loop, 0), ir_map(ir, 1, &n, u)};
    double sum[N], uniform[N], want[N] = {0}, want_u[N];
    call(ir, 0, NULL, 2, out, NULL, (double *[]){sum, uniform}, "rand");
    const uint32_t chain = 22;
    for (uint32_t i = 0; i < N; i++) {
        for (uint32_t t = 0; t < 3; t++) {
            double v;
            lq_rand_normal(&v, 1, &chain, 11, 33, 5, t, i);
            want[i] += v;
        }
        lq_rand_uniform(&want_u[i], 1, &chain, 11, 33, 2, 0, 2 * i + 1);
    }
    check(same(sum, want, N), "normal numbers by site and iteration");
    check(same(uniform, want_u, N), "uniform numbers by site");
    ir_free(ir);
}

/* ---- depth and speed ------------------------------------------------------------------------------ */

static void test_deep(void)
{
    enum { DEPTH = 100000 };
    Ir *ir = ir_new();
    Ref x = ir_input(ir, "x", 0, NULL, false, false), e = scalar_read(ir, x), a = x;
    for (int i = 0; i < DEPTH; i++) {
        e = ir_unary(ir, SC_SIN, ir_binary(ir, SC_ADD, e, ir_const(ir, 1.0 / (i + 3))));
        a = scalar(ir, ir_unary(ir, SC_SQRT, ir_binary(ir, SC_ADD, scalar_read(ir, a), ir_const(ir, i % 7 + 1))));
    }
    Ref out[2] = {scalar(ir, e), a};
    double in = 0.25, got[2], want_e = in, want_a = in;
    call(ir, 1, &x, 2, out, (const double *[]){&in}, (double *[]){&got[0], &got[1]}, "deep");
    for (int i = 0; i < DEPTH; i++) {
        want_e = op_value(SC_SIN, want_e + 1.0 / (i + 3), 0, 0);
        want_a = sqrt(want_a + (i % 7 + 1));
    }
    check(got[0] == want_e, "a scalar expression %d deep", DEPTH);
    check(got[1] == want_a, "a chain of %d arrays", DEPTH);
    Text text = {0};
    ir_print_scalar(ir, e, &text);
    check(text.n > DEPTH, "printing it: %zu characters", text.n);
    text_free(&text);
    for (int i = 0; i < 2; i++) {
        notation_print(ir, out[i], NULL, &text);
        check(text.n > DEPTH, "index notation of it: %zu characters", text.n);
        text_free(&text);
    }
    ir_free(ir);
}

/* ---- printing ------------------------------------------------------------------------------------------- */

static Ref lattice_sum(Ir *ir, Ref phi, const int64_t *dims)
{
    Index at[2] = {axis(ir, 0, 0, IX_EXACT, dims[0]), axis(ir, 1, 0, IX_EXACT, dims[1])};
    Index up[2] = {axis(ir, 0, 1, IX_PERIODIC, dims[0]), at[1]};
    Ref f = ir_read(ir, phi, at), g = ir_read(ir, phi, up);
    Ref difference = ir_binary(ir, SC_SUB, f, ir_binary(ir, SC_SUB, g, ir_const(ir, 0.5)));
    return ir_reduce(ir, SC_ADD, 0, 2, dims, ir_binary(ir, SC_DIV, difference, ir_binary(ir, SC_MUL, f, g)));
}

static void test_print(void)
{
    Ir *ir = ir_new();
    const int64_t dims[2] = {4, 6};
    Ref phi = ir_input(ir, "phi", 2, dims, false, false), s = lattice_sum(ir, phi, dims);
    uint32_t l = ir_loop_new(ir, 3, (Span){0});
    Ref c = ir_carry(ir, l, 0, s), t = ir_idx(ir, (Index){aff_sym(ir, SYM_LOOP + l), IX_EXACT, 3});
    Ref next = scalar(ir, ir_binary(ir, SC_MUL, scalar_read(ir, c), ir_unary(ir, SC_EXP, t)));
    Ref out = ir_proj(ir, ir_loop(ir, l, -1, 1, &s, &next), 0);
    IrFunc f = {"f", &phi, 1, &out, 1, ir, false, NULL, 0, false};
    char *text = NULL;
    size_t size = 0;
    FILE *mem = open_memstream(&text, &size);
    ir_print_func(&f, mem);
    fclose(mem);
    static const char *const parts[] = {
        "func f\n", "%1 = input phi [4,6]\n", "reduce + [] over [4,6] ", "%1[a0+1 per, a1]",
        "loop 0, 3 times, from %2 {\n", "        %4 = carry [] 0 of loop 0\n", "exp(idx(t0))*%4",
        "        next %5\n    }\n", "return %6\n",
    };
    bool all = true;
    for (int i = 0; i < LQ_COUNT(parts); i++)
        if (!strstr(text, parts[i])) all = false, printf("missing: %s\n", parts[i]);
    if (!all) printf("%s", text);
    check(all, "a function as text");
    free(text);
    ir_free(ir);
}

/* ---- index notation ----------------------------------------------------------------------------------------- */

typedef struct Lattice { Ir *ir; Ref phi; int64_t dims[2]; Index at[2]; } Lattice;

static Ref neighbour(Lattice *l, Ref array, int direction, int64_t shift)
{
    Index ix[2] = {l->at[0], l->at[1]};
    if (shift) ix[direction] = axis(l->ir, (Sym)direction, shift, IX_PERIODIC, l->dims[direction]);
    return ir_read(l->ir, array, ix);
}

static Ref neighbour_sum(Lattice *l, Ref array)
{
    Ref sum = ir_const(l->ir, 0);
    for (int i = 0; i < 4; i++)
        sum = ir_binary(l->ir, SC_ADD, sum, neighbour(l, array, i / 2, i % 2 ? -1 : 1));
    return sum;
}

static void check_notation(const char *what, Lattice *l, Ref array, const char *want)
{
    static const NotationAxis site[2] = {{"x", 0, 2}, {"x", 1, 2}};
    Text text = {0};
    notation_print(l->ir, array, &(NotationNames){site, 2}, &text);
    bool ok = text.s && !strcmp(text.s, want);
    check(ok, "notation: %s%s%s", what, ok ? "" : ": ", ok ? "" : text.s);
    text_free(&text);
}

static void test_notation(void)
{
    Lattice l = {.ir = ir_new(), .dims = {32, 16}};
    Ir *ir = l.ir;
    l.phi = ir_input(ir, "phi", 2, l.dims, false, false);
    Ref beta = ir_read(ir, ir_input(ir, "beta", 0, NULL, true, false), NULL);
    for (int i = 0; i < 2; i++) l.at[i] = axis(ir, (Sym)i, 0, IX_EXACT, l.dims[i]);
    Ref f = neighbour(&l, l.phi, 0, 0), square = ir_binary(ir, SC_MUL, f, f);
    Ref hop = ir_binary(ir, SC_MUL, ir_const(ir, -0.42), neighbour_sum(&l, l.phi));
    Ref potential = ir_binary(ir, SC_MUL, f, ir_fma(ir, ir_const(ir, 0.088), square, ir_const(ir, 1.912)));
    check_notation("the force of phi^4", &l, ir_map(ir, 2, l.dims, ir_binary(ir, SC_ADD, hop, potential)),
                   "-0.42*(phi[x + e0] + phi[x - e0] + phi[x + e1] + phi[x - e1]) + phi[x]*(1.912 + 0.088*phi[x]^2)");

    Ref rest = ir_binary(ir, SC_DIV, f, ir_binary(ir, SC_MUL, beta, ir_unary(ir, SC_COSH, f)));
    check_notation("differences and quotients", &l, ir_map(ir, 2, l.dims, ir_binary(ir, SC_SUB, square, rest)),
                   "phi[x]^2 - phi[x]/(beta*cosh(phi[x]))");
    Ref inner = ir_map(ir, 2, l.dims, ir_binary(ir, SC_MUL, neighbour(&l, l.phi, 1, 2), beta));
    check_notation("an array used once", &l, ir_map(ir, 2, l.dims, ir_unary(ir, SC_SIN, neighbour(&l, inner, 0, -1))),
                   "sin(beta*phi[x - e0 + 2*e1])");
    inner = ir_map(ir, 2, l.dims, ir_unary(ir, SC_EXP, ir_binary(ir, SC_MUL, beta, f)));
    check_notation("an array used four times", &l, ir_map(ir, 2, l.dims, neighbour_sum(&l, inner)),
                   "where t1[x] = exp(beta*phi[x])\nt1[x + e0] + t1[x - e0] + t1[x + e1] + t1[x - e1]");
    Ref total = ir_reduce(ir, SC_ADD, 0, 2, l.dims, ir_binary(ir, SC_SUB, square, beta));
    check_notation("a sum", &l, ir_map(ir, 2, l.dims, ir_binary(ir, SC_MUL, f, ir_read(ir, total, NULL))),
                   "phi[x]*(sum[y] (phi[y]^2 - beta))");
    ir_free(ir);
}

/* ---- the verifier ------------------------------------------------------------------------------------------ */

typedef struct Sample {
    Ir *ir;
    IrFunc f;
    Ref phi, read, body, map, reduce, flag, carry, active, loop, proj, in[1], out[2];
} Sample;

/* A function with one node of each interesting kind. */
static void sample_init(Sample *s)
{
    const int64_t n = 8;
    Ir *ir = s->ir = ir_new();
    s->phi = ir_input(ir, "phi", 1, &n, false, false);
    Index at = axis(ir, 0, 0, IX_EXACT, n), up = axis(ir, 0, 1, IX_PERIODIC, n);
    s->read = ir_read(ir, s->phi, &at);
    s->body = ir_binary(ir, SC_MUL, ir_read(ir, s->phi, &up), ir_unary(ir, SC_EXP, s->read));
    s->map = ir_map(ir, 1, &n, s->body);
    Ref value = ir_read(ir, s->map, &at);
    s->reduce = ir_reduce(ir, SC_ADD, 0, 1, &n, ir_unary(ir, SC_SIN, value));
    uint32_t l = ir_loop_new(ir, 5, (Span){0});
    s->flag = scalar(ir, ir_binary(ir, SC_LT, scalar_read(ir, s->reduce), ir_const(ir, 3)));
    Ref init[2] = {s->map, s->flag};
    s->carry = ir_carry(ir, l, 0, s->map), s->active = ir_carry(ir, l, 1, s->flag);
    Ref cell = ir_read(ir, s->carry, &at);
    Ref go = ir_read(ir, s->active, NULL);
    Ref next[2] = {ir_map(ir, 1, &n, ir_select(ir, go, ir_unary(ir, SC_COS, cell), cell)), s->active};
    s->loop = ir_loop(ir, l, 1, 2, init, next);
    s->proj = ir_proj(ir, s->loop, 0);
    s->in[0] = s->phi, s->out[0] = s->reduce, s->out[1] = s->proj;
    s->f = (IrFunc){"sample", s->in, 1, s->out, 2, ir, false, NULL, 0, false};
}

static void set_index(Sample *s, Ref r, Aff aff, uint32_t mode)
{
    NIDX(s->ir, r, 0)->aff = aff;
    NIDX(s->ir, r, 0)->mode = mode;
}
static void set_dim(Sample *s, Ref r, int i, int64_t n) { NDIM(s->ir, r, i) = n; }

static void break_op(Sample *s) { NODE(s->ir, s->map)->op = IR_NOPS; }
static void break_cycle(Sample *s) { NARG(s->ir, s->body, 1) = s->body; }
static void break_level(Sample *s) { NARG(s->ir, s->body, 1) = s->phi; }
static void break_arity(Sample *s) { NODE(s->ir, s->body)->nargs = 1; }
static void break_pool(Sample *s) { NODE(s->ir, s->body)->args = 1u << 30; }
static void break_nidx(Sample *s) { NODE(s->ir, s->read)->nidx = 0; }
static void break_mode(Sample *s) { NIDX(s->ir, s->read, 0)->mode = 9; }
static void break_aff(Sample *s) { NIDX(s->ir, s->read, 0)->aff = 1u << 30; }
static void break_extent(Sample *s) { NIDX(s->ir, s->read, 0)->n = 7; }
static void break_exact(Sample *s) { set_index(s, s->read, aff_shift(s->ir, aff_sym(s->ir, 0), 1), IX_EXACT); }
static void break_below(Sample *s) { set_index(s, s->read, aff_scale(s->ir, aff_sym(s->ir, 0), -1), IX_EXACT); }
static void break_axis(Sample *s) { set_index(s, s->read, aff_sym(s->ir, 1), IX_PERIODIC); }
static void break_free(Sample *s) { set_index(s, s->read, aff_sym(s->ir, ir_fresh(s->ir)), IX_PERIODIC); }
static void break_loop_symbol(Sample *s) { set_index(s, s->read, aff_sym(s->ir, SYM_LOOP + 9), IX_PERIODIC); }
static void break_outside(Sample *s) { set_index(s, s->read, aff_sym(s->ir, SYM_LOOP), IX_PERIODIC); }
static void break_negative(Sample *s) { set_dim(s, s->map, 0, -8); }
static void break_huge(Sample *s) { set_dim(s, s->map, 0, INT64_MAX); }
static void break_reduce_op(Sample *s) { NODE(s->ir, s->reduce)->aux = SC_SUB; }
static void break_nred(Sample *s) { NODE(s->ir, s->reduce)->nred = 0; }
static void break_boolean(Sample *s) { NODE(s->ir, s->flag)->boolean = 0; }
static void break_carry(Sample *s) { NODE(s->ir, s->carry)->val = 2; }
static void break_carry_shape(Sample *s) { set_dim(s, s->carry, 0, 4); }
static void break_loop_number(Sample *s) { NODE(s->ir, s->carry)->aux = 4; }
static void break_active(Sample *s) { NODE(s->ir, s->loop)->val = 0; }
static void break_next(Sample *s) { NARG(s->ir, s->loop, 2) = s->flag; }
static void break_odd(Sample *s) { NODE(s->ir, s->loop)->nargs = 3; }
static void break_proj(Sample *s) { NODE(s->ir, s->proj)->aux = 2; }
static void break_proj_shape(Sample *s) { set_dim(s, s->proj, 0, 9); }
static void break_escape(Sample *s) { s->out[0] = s->carry; }
static void break_input(Sample *s) { s->f.nin = 0; }
static void break_not_input(Sample *s) { s->in[0] = s->map; }
static void break_output(Sample *s) { s->out[0] = s->body; }
static void break_no_node(Sample *s) { s->out[0] = 0; }

static const struct { const char *name; void (*apply)(Sample *s); const char *says; } breaks[] = {
    {"unknown operation", break_op, "no such operation"},
    {"cycle", break_cycle, "not an earlier one"},
    {"array among scalars", break_level, "must be a scalar"},
    {"arity", break_arity, "arguments instead of"},
    {"arguments outside the pool", break_pool, "outside their pools"},
    {"number of indices", break_nidx, "indices instead of"},
    {"index mode", break_mode, "has mode 9"},
    {"affine form", break_aff, "no affine form"},
    {"extent of an index", break_extent, "is for extent 7"},
    {"exact index above", break_exact, "reaches 1 … 8"},
    {"exact index below", break_below, "reaches -7 … 0"},
    {"axis", break_axis, "axis 1"},
    {"free index", break_free, "free index"},
    {"iteration of no loop", break_loop_symbol, "which does not exist"},
    {"iteration number outside its loop", break_outside, "inside the loop"},
    {"negative extent", break_negative, "extent 0 is -8"},
    {"too large", break_huge, "too many elements"},
    {"reduction", break_reduce_op, "cannot reduce"},
    {"no reduced axis", break_nred, "0 reduced axes"},
    {"truth value", break_boolean, "is marked as a"},
    {"carry number", break_carry, "no carry 2"},
    {"carry shape", break_carry_shape, "4"},
    {"loop number", break_loop_number, "no loop 4"},
    {"active carry", break_active, "not one truth value"},
    {"shape of a next value", break_next, "another shape"},
    {"odd number of carries", break_odd, "not as many"},
    {"result number", break_proj, "no carry 2"},
    {"result shape", break_proj_shape, "another shape"},
    {"carry outside its loop", break_escape, "outside it"},
    {"missing input", break_input, "not among the inputs"},
    {"input that is none", break_not_input, "not an input node"},
    {"output that is no array", break_output, "not an array"},
    {"no node", break_no_node, "is no node"},
};

static void test_verify(void)
{
    Sample s;
    sample_init(&s);
    const char *wrong = ir_verify(&s.f);
    check(!wrong, "the unbroken sample%s%s", wrong ? ": " : "", wrong ? wrong : "");
    ir_free(s.ir);
    for (int i = 0; i < LQ_COUNT(breaks); i++) {
        sample_init(&s);
        breaks[i].apply(&s);
        wrong = ir_verify(&s.f);
        bool found = wrong && strstr(wrong, breaks[i].says);
        const char *said = found ? "" : wrong ? wrong : "nothing";
        check(found, "refused: %s%s%s", breaks[i].name, found ? "" : ", said: ", said);
        ir_free(s.ir);
    }
}

int main(void)
{
    test_shifts();
    test_two_axes();
    test_index_values();
    test_reduction_order();
    test_reduction_kinds();
    test_loop();
    test_nested();
    test_active();
    test_rand();
    test_deep();
    test_print();
    test_notation();
    test_verify();
    printf("%d failure%s\n", failures, failures == 1 ? "" : "s");
    return failures != 0;
}
