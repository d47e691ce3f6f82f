/* agree.c — the interpreter, LLVM without optimisation and LLVM with it must agree on
 * random well-typed programs (gen.py), bit for bit: all of them call the same vector
 * functions and keep the order of kernel.h, so the bound is 0 ulp, everywhere (a NaN
 * equals a NaN).  Each program's start, step and measure functions, its reports with
 * their gradients, and the gradients of its actions run on
 *     LLVM optimised, 8 lanes      the reference; its state goes on to the next step
 *     LLVM unoptimised, 8 lanes    all lanes
 *     the interpreter              three of the lanes
 *     LLVM with 1 lane, both ways  two of the lanes
 *     LLVM with lanes = sites      two of the lanes; planned for a cache of 6000 bytes, so that
 *                                  loops over lattices run in waves; and with plain buffers
 *     the last, and 8 lanes with waves and without, planned so that threads share the
 *     smallest kernels             by one thread, two (tasks in reverse order), three
 * and every function passes ir_verify and kernel_verify.  Gradients of smooth actions
 * are compared with central differences, whose error must fall like h^2.  The programs
 * in cases/ are what once failed; their reports called …_left must be 0.
 *
 *     agree [--single] [--many N] [--seed S] [--keep DIR] [--jobs J] [FILE ...]
 *
 * --single: all functions in single precision, gradients and identities not looked at.
 *
 * Programs run in batches in child processes, so that a crash costs one batch, which
 * is then run again one by one.  Exit status 1 when anything disagrees or crashes, or
 * when fewer than 95 % of the generated programs are well typed. */
#include "../../compiler/run/run.h"
#include "../../runtime/philox.h"
#include "../../runtime/threads.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef AGREE_DIR
#define AGREE_DIR "tests/agreement"
#endif
#ifndef LQFT_STDLIB
#define LQFT_STDLIB "stdlib"
#endif

enum { LANES = 8, BATCH = 8, STEPS = 3, MAX_FUNCS = 4096, LIMIT_SECONDS = 60 };
#define SEED 77u

static const uint32_t chains[LANES] = {0, 1, 2, 3, 11, 5, 1000000, 7};

/* ---- what a child says ---------------------------------------------------------------------- */

static FILE *say_to;
static const char *current;          /* the program being run */
static void say(char kind, const char *fmt, ...) LQ_PRINTF(2, 3);
static void say(char kind, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fprintf(say_to, "%c %s: ", kind, current);
    vfprintf(say_to, fmt, ap);
    fprintf(say_to, "\n");
    va_end(ap);
    fflush(say_to);
}

static bool single_precision;

/* ---- a program and its functions ---------------------------------------------------------------- */

typedef struct Prog {
    const char *path;
    Session s;
    RunOptions o;
    bool    smooth, ok;
    int     first;                 /* of its functions in the batch */
    struct Slope { IrFunc value, grad; Ref in[64]; int nin; bool complex, field_complex[64]; FieldKind kind[64]; const char *name;
                   int at; } slope[8];
    int     nslopes;
    int     waves, pairs;          /* loops that run in waves; in pairs of rows */
} Prog;

static IrFunc  *funcs[MAX_FUNCS];
static KProgram *fused[MAX_FUNCS];
static KProgram *shared[MAX_FUNCS], *waved[MAX_FUNCS], *plain[MAX_FUNCS];  /* for threads, and for a tiny cache too */
static Prog    *owner[MAX_FUNCS];
static int      nfuncs;
static Arena   *arena;

static int waves_of(const KStmt *s, int n, bool pairs) {
    int waves = 0;
    for (int i = 0; i < n; i++)
        if (s[i].kind == KS_LOOP)
            waves += s[i].u.loop.sweep.wave > 1 ? !pairs || s[i].u.loop.sweep.pairs : waves_of(s[i].u.loop.body, s[i].u.loop.nbody, pairs);
    return waves;
}

static int add(Prog *p, IrFunc *f) {
    if (nfuncs == MAX_FUNCS) abort();
    current = p->path;
    f->single = single_precision;
    const char *broken = ir_verify(f);
    if (broken) { say('F', "ir_verify of %s: %s", f->name, broken); return -1; }
    KProgram *k = fuse(f, arena);
    broken = kernel_verify(k);
    if (broken) { say('F', "kernel_verify of %s: %s", f->name, broken); return -1; }
    kernel_plan_for_work(1e-9);
    KProgram *t = fuse(f, arena);
    /* in turn: a second cache that is too small for one replica, and a nearest one that is for eight */
    bool near = nfuncs % 2;
    kernel_plan_for_cache((single_precision ? 0.5 : 1) * (near ? 80000 : 6000));
    KProgram *w = fuse_for(f, near ? 8 : 1, arena);
    kernel_plan_for_cache(0);
    kernel_plan_for_work(0);
    broken = kernel_verify(t);
    if (broken) { say('F', "kernel_verify of %s, for threads: %s", f->name, broken); return -1; }
    broken = kernel_verify(w);
    if (broken) { say('F', "kernel_verify of %s, in waves: %s", f->name, broken); return -1; }
    p->waves += waves_of(w->stmts, w->nstmts, false), p->pairs += waves_of(w->stmts, w->nstmts, true);
    owner[nfuncs] = p, funcs[nfuncs] = f, fused[nfuncs] = k, shared[nfuncs] = t, waved[nfuncs] = w;
    plain[nfuncs] = arena_alloc(arena, sizeof *w);
    *plain[nfuncs] = *w, plain[nfuncs]->plain = true;
    return nfuncs++;
}

static bool is_smooth(const char *path) {
    FILE *f = fopen(path, "r");
    char line[64] = "";
    bool smooth = f && fgets(line, sizeof line, f) && strstr(line, "# smooth");
    if (f) fclose(f);
    return smooth;
}

/* S and grad S of an action as functions of its fields. */
static void add_action(Prog *p, const Decl *d) {
    Elab *e = p->s.model->elab;
    const Value *point[16];
    const FieldInfo *fields[16];
    if (p->nslopes == LQ_COUNT(p->slope)) return;
    const Value *g = action_gradient(e, d, point, fields);
    if (!g) return;
    if (g->kind == VK_ERROR) { say('N', "the action %s has no gradient", d->name); return; }
    struct Slope *s = &p->slope[p->nslopes];
    Span at[16];
    for (int i = 0; i < 16; i++) at[i] = d->name_at;
    const Value *S = elab_call(e, env_find(e->globals, d->name), d->nparams, point, at, 0, NULL, NULL, d->name_at);
    if (S->kind != VK_NUM) return;
    s->name = d->name;
    Ref *out = arena_alloc(arena, 64 * sizeof *out), *value = arena_alloc(arena, 2 * sizeof *value);
    int n = 0;
    value[n++] = ir_map(e->ir, 0, NULL, S->u.num.re);
    if ((s->complex = S->u.num.complex)) value[n++] = ir_map(e->ir, 0, NULL, S->u.num.im);
    s->value = (IrFunc){.name = "action", .out = value, .nout = n, .ir = e->ir};
    n = 0;
    for (int k = 0; k < d->nparams; k++) {
        const Value *gk = g->kind == VK_TUPLE ? g->u.tuple.items[k] : g;
        for (int im = 0; im < (point[k]->u.num.complex ? 2 : 1); im++) {
            s->in[s->nin] = value_node(e, point[k], im);
            s->field_complex[s->nin] = point[k]->u.num.complex;
            s->kind[s->nin++] = fields[k]->kind;
        }
        for (int im = 0; im < (gk->u.num.complex ? 2 : 1); im++) out[n++] = value_node(e, gk, im);
    }
    s->grad = (IrFunc){.name = "gradient", .in = s->in, .nin = s->nin, .out = out, .nout = n, .ir = e->ir};
    s->value.in = s->in, s->value.nin = s->nin;
    simplify_roots(e->ir, s->value.nout, value);
    simplify_roots(e->ir, n, out);
    s->at = nfuncs;
    if (add(p, &s->value) >= 0 && add(p, &s->grad) >= 0) p->nslopes++;
}

static bool load(Prog *p) {
    current = p->path;
    p->o = (RunOptions){.path = p->path, .library = LQFT_STDLIB, .run = {.seed = SEED}};
    p->smooth = is_smooth(p->path);
    session_open(&p->s, &p->o, false);
    Sink *k = &p->s.front.sink;
    if (k->nerrors) {
        for (int i = 0; i < k->diags.n; i++)
            if (k->diags.data[i]->severity == SEV_ERROR) {
                int line, column;
                Diag *d = k->diags.data[i];
                source_position(&p->s.front.sources, d->labels[0].at.file, d->labels[0].at.lo, &line, &column);
                say(strstr(d->message, "internal") ? 'F' : 'R', "%d:%d: %s %s", line, column, d->code, d->message);
                break;
            }
        return false;
    }
    p->first = nfuncs;
    for (int i = 0; i < p->s.plan->tasks.n; i++) {
        Task *t = p->s.plan->tasks.data[i];
        if (t->kind == TASK_SAMPLE && (add(p, &t->sample->init) < 0 || add(p, &t->sample->step) < 0 || add(p, &t->sample->measure) < 0)) return false;
        if (t->kind == TASK_REPORT && (add(p, &t->report->eval) < 0 || (t->report->has_vjp && add(p, &t->report->vjp) < 0))) return false;
    }
    for (int i = 0; i < p->s.model->decls.n; i++)
        if (p->s.model->decls.data[i]->kind == DC_ACTION) add_action(p, p->s.model->decls.data[i]);
    return true;
}

/* ---- running one function everywhere ---------------------------------------------------------------- */

enum { O1_W8, O0_W8, O1_W1, O0_W1, SHARED, WAVES, SITES, PLAIN, NMACHINES };
static const struct { const char *name; int lanes; bool optimize; KProgram **programs; } setup[] = {
    [O1_W8] = {"O1, 8 lanes", 8, true, fused},  [O0_W8] = {"O0, 8 lanes", 8, false, fused},
    [O1_W1] = {"O1, 1 lane", 1, true, fused},   [O0_W1] = {"O0, 1 lane", 1, false, fused},
    [SHARED] = {"8 lanes shared", 8, false, shared}, [WAVES] = {"8 lanes in waves", 8, true, waved},
    [SITES] = {"lanes of sites in waves", 8, true, waved}, [PLAIN] = {"lanes of sites, plain", 8, true, plain},
};
static Compiled *machine[NMACHINES];

/* Generated code finds these in place of the runtime's: with two threads, tasks are made one
 * after the other in reverse order, which nothing may depend on; with three, by a pool. */
enum { ONE_THREAD = 1, REVERSE = 2, POOL = 3 };
static int threads = ONE_THREAD;
static Pool *pool;
void __real_lq_parallel(int64_t ntasks, PoolTask *task, void *ctx);
void __wrap_lq_parallel(int64_t ntasks, PoolTask *task, void *ctx);
int  __wrap_lq_workers(void);

void __wrap_lq_parallel(int64_t ntasks, PoolTask *task, void *ctx) {
    if (threads == POOL) __real_lq_parallel(ntasks, task, ctx);
    else for (int64_t i = 0; i < ntasks; i++) task(ctx, threads == REVERSE ? ntasks - 1 - i : i, 0);
}
int __wrap_lq_workers(void) { return threads; }

static const char *machine_name(int m) {
    static char text[80];
    snprintf(text, sizeof text, "%s%s", setup[m].name, threads == REVERSE ? ", two threads" : threads == POOL ? ", three threads" : "");
    return text;
}

static double *numbers(int64_t n) {
    double *p = lq_alloc_vectors((size_t)(n + 16) * sizeof *p);
    if (!p) abort();
    for (int64_t i = 0; i < n; i++) p[i] = 1e300;        /* what is not written shows */
    return p;
}

static bool same(double a, double b) { return (isnan(a) && isnan(b)) || !memcmp(&a, &b, sizeof a); }

static bool compare(int f, const char *who, int lane, int o, const double *got, int stride, int at, const double *want) {
    int64_t n = ir_elements(funcs[f]->ir, funcs[f]->out[o]);
    for (int64_t k = 0; k < n; k++) {
        double g = got[k * stride + at], w = want[k * LANES + lane];
        if (same(g, w)) continue;
        say('F', "%s: output %d, element %lld, lane %d: %s gives %.17g (%a), O1, 8 lanes %.17g (%a)", funcs[f]->name, o, (long long)k, lane, who, g, g, w, w);
        return false;
    }
    return true;
}

static int64_t row_of(const IrFunc *f, Ref a) { return NODE(f->ir, a)->rank ? NDIM(f->ir, a, NODE(f->ir, a)->rank - 1) : 1; }

/* From the order of lanes that are sites to row-major order. */
static void unsplit(const IrFunc *f, Ref a, double *x) {
    int64_t n = ir_elements(f->ir, a);
    double *copy = numbers(n);
    for (int64_t k = 0; k < n; k++) copy[k] = x[kernel_place(row_of(f, a), k)];
    memcpy(x, copy, (size_t)n * sizeof *x);
    free(copy);
}

/* Between doubles, in which this test holds all numbers, and what the code works on. */
static void call_machine(int m, int f, const CallArgs *a, int lanes) {
    const IrFunc *q = funcs[f];
    float **packed = lq_alloc((size_t)(q->nin + q->nout + 1) * sizeof *packed);
    const double **in = lq_alloc((size_t)(q->nin + 1) * sizeof *in);
    double **out = lq_alloc((size_t)(q->nout + 1) * sizeof *out);
    CallArgs b = *a;
    for (int i = 0; i < q->nin; i++) {
        int64_t n = ir_elements(q->ir, q->in[i]) * lanes;
        in[i] = a->in[i], packed[i] = NULL;
        if (!ir_is_single(q, q->in[i])) continue;
        in[i] = (double *)(packed[i] = (float *)numbers(n));
        for (int64_t k = 0; k < n; k++) packed[i][k] = (float)a->in[i][k];
    }
    for (int o = 0; o < q->nout; o++) {
        bool pack = q->single && NODE(q->ir, q->out[o])->rank > 0;
        packed[q->nin + o] = pack ? (float *)numbers(ir_elements(q->ir, q->out[o]) * lanes) : NULL;
        out[o] = pack ? (double *)packed[q->nin + o] : a->out[o];
    }
    b.in = in, b.out = out;
    backend_native.call(machine[m], f, &b);
    for (int i = 0; i < q->nin + q->nout; i++) {
        for (int64_t k = 0; i >= q->nin && packed[i] && k < ir_elements(q->ir, q->out[i - q->nin]) * lanes; k++) a->out[i - q->nin][k] = packed[i][k];
        free(packed[i]);
    }
    free(packed), free(in), free(out);
}

/* in: 8 lanes (uniform inputs: once); out: what the optimised code with 8 lanes gives. */
static bool run_everywhere(int f, const double *const *in, double *const *out, uint32_t step) {
    const IrFunc *q = funcs[f];
    current = owner[f]->path;
    double *scratch = numbers((fused[f]->scratch + shared[f]->scratch + waved[f]->scratch) * LANES);
    CallArgs a = {.in = in, .out = out, .scratch = scratch, .seed = SEED, .step = step, .chains = chains};
    call_machine(O1_W8, f, &a, LANES);
    double **other = lq_alloc((size_t)(q->nout + 1) * sizeof *other);
    const double **one = lq_alloc((size_t)(q->nin + 1) * sizeof *one);
    for (int o = 0; o < q->nout; o++) other[o] = numbers(ir_elements(q->ir, q->out[o]) * LANES);
    a.out = other;
    bool ok = true;
    static const struct { int machine, threads; } full[] = {
        {O0_W8, 1}, {SHARED, ONE_THREAD}, {SHARED, REVERSE}, {SHARED, POOL}, {WAVES, ONE_THREAD}, {WAVES, REVERSE}, {WAVES, POOL}};
    for (int i = 0; i < LQ_COUNT(full) && ok; i++) {
        threads = full[i].threads;
        call_machine(full[i].machine, f, &a, LANES);
        for (int o = 0; o < q->nout && ok; o++)
            for (int l = 0; l < LANES && ok; l++) ok = compare(f, machine_name(full[i].machine), l, o, other[o], LANES, l, out[o]);
    }
    static const struct { int lane, machine, threads; } single[] = {      /* machine < 0: the interpreter */
        {0, -1, 1}, {3, -1, 1}, {6, -1, 1}, {0, O0_W1, 1}, {0, O1_W1, 1}, {4, O0_W1, 1}, {4, O1_W1, 1},
        {0, SITES, ONE_THREAD}, {0, SITES, REVERSE}, {4, SITES, REVERSE}, {4, SITES, POOL},
        {0, PLAIN, ONE_THREAD}, {4, PLAIN, REVERSE}};
    for (int which = 0; which < LQ_COUNT(single) && ok; which++) {
        int lane = single[which].lane, m = single[which].machine;
        bool sites = m == SITES && !waved[f]->plain;
        threads = single[which].threads;
        uint32_t same_chain[LANES];
        for (int l = 0; l < LANES; l++) same_chain[l] = chains[lane];
        for (int i = 0; i < q->nin; i++) {
            bool uniform = NODE(q->ir, q->in[i])->uniform;
            int64_t n = ir_elements(q->ir, q->in[i]);
            double *copy = numbers(n);
            for (int64_t k = 0; k < n; k++) {
                double v = uniform ? in[i][k] : in[i][k * LANES + lane];
                copy[sites ? kernel_place(row_of(q, q->in[i]), k) : k] = ir_is_single(q, q->in[i]) ? single_of(v) : v;
            }
            one[i] = copy;
        }
        const char *who = "the interpreter";
        if (m < 0) interp_call(q, one, other, (RandKey){SEED, chains[lane], step});
        else {
            who = machine_name(m);
            CallArgs b = {.in = one, .out = other, .scratch = scratch, .seed = SEED, .step = step, .chains = same_chain};
            call_machine(m, f, &b, 1);
            for (int o = 0; o < q->nout && sites; o++) unsplit(q, q->out[o], other[o]);
        }
        for (int o = 0; o < q->nout && ok; o++) ok = compare(f, who, lane, o, other[o], 1, 0, out[o]);
        for (int i = 0; i < q->nin; i++) free((double *)one[i]);
    }
    threads = ONE_THREAD;
    for (int o = 0; o < q->nout; o++) free(other[o]);
    free(other), free(one), free(scratch);
    return ok;
}

static double **outputs(const IrFunc *f, int lanes) {
    double **out = lq_alloc((size_t)(f->nout + 1) * sizeof *out);
    for (int o = 0; o < f->nout; o++) out[o] = numbers(ir_elements(f->ir, f->out[o]) * lanes);
    return out;
}

static void release(double **x, int n) {
    for (int i = 0; i < n; i++) free(x[i]);
    free(x);
}

static double noise(uint32_t draw, int64_t site, uint32_t chain) {
    double v;
    lq_rand_normal(&v, 1, &chain, SEED, 9, draw, 0, (uint32_t)site);
    return v;
}

/* ---- gradients against differences ---------------------------------------------------------------------- */

static int slopes_checked;

/* (S(q + h d) - S(q - h d))/2h, and what rounding S may change in it. */
static void difference(const struct Slope *s, const double *const *x, double h, double out[2], double round[2]) {
    double value[2][2] = {{0}}, *to[2];
    double **at = lq_alloc((size_t)(s->nin + 1) * sizeof *at);
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < s->nin; i++) {
            int64_t n = ir_elements(s->value.ir, s->in[i]);
            at[i] = numbers(n);
            for (int64_t k = 0; k < n; k++) at[i][k] = x[i][k] + (side ? -h : h) * noise(50 + (uint32_t)i, k, 0);
        }
        to[0] = &value[side][0], to[1] = &value[side][1];
        interp_call(&s->value, (const double *const *)at, to, (RandKey){SEED, 0, 0});
        for (int i = 0; i < s->nin; i++) free(at[i]);
    }
    free(at);
    for (int c = 0; c < 2; c++) {
        out[c] = (value[0][c] - value[1][c]) / (2 * h);
        round[c] = 1e-14 * (fabs(value[0][c]) + fabs(value[1][c])) / h;
    }
}

/* The error must be small somewhere, after the term in h^2 is taken out, and that term
 * must be there: errors fall by four from h to h/2 where they are not round-off. */
static void check_slope(const struct Slope *s, const double *const *x, double *const *g) {
    double exact[2] = {0, 0}, scale = 1e-3;
    int part = 0;
    for (int i = 0; i < s->nin; i++) {
        int64_t n = ir_elements(s->value.ir, s->in[i]);
        bool pair = s->field_complex[i];
        for (int64_t k = 0; k < n; k++) {
            double d = noise(50 + (uint32_t)i, k, 0), e = pair ? noise(51 + (uint32_t)i, k, 0) : 0;
            if (s->complex) {                       /* holomorphic: grad times a complex direction */
                exact[0] += g[part][k] * d - g[part + 1][k] * e;
                exact[1] += g[part + 1][k] * d + g[part][k] * e;
                scale += (fabs(g[part][k]) + fabs(g[part + 1][k])) * (fabs(d) + fabs(e));
            } else {
                exact[0] += g[part][k] * d + (pair ? g[part + 1][k] * e : 0);
                scale += fabs(g[part][k] * d) + (pair ? fabs(g[part + 1][k] * e) : 0);
            }
        }
        part += pair || s->complex ? 2 : 1;
        i += pair;
    }
    if (!isfinite(exact[0]) || !isfinite(exact[1])) return;
    for (int c = 0; c < (s->complex ? 2 : 1); c++) {
        double err[9], best = INFINITY, h = 1.0 / 128, before = 0;
        bool falls = false, finite = true;
        for (int i = 0; i < 9; i++, h /= 2) {
            double d[2], round[2];
            difference(s, x, h, d, round);
            finite &= isfinite(d[c]);
            err[i] = fabs(d[c] - exact[c]);
            best = fmin(best, err[i] - round[c]);
            if (i > 0) best = fmin(best, fabs((4 * d[c] - before) / 3 - exact[c]) - round[c]);
            if (err[i] < round[c]) falls = true;              /* nothing to be seen */
            if (i > 0 && err[i - 1] > 3.2 * err[i] && err[i - 1] < 5 * err[i]) falls = true;
            before = d[c];
        }
        if (!finite) continue;
        slopes_checked++;
        if (best > 1e-6 * scale || (err[0] > 1e-4 * scale && !falls))
            say('F', "gradient of %s: %.15g, errors of differences %.3g %.3g %.3g … %.3g %.3g (terms %.3g)", s->name, exact[c], err[0], err[1], err[2], err[7], err[8], scale);
    }
}

static bool run_slope(Prog *p, struct Slope *s) {
    double **x = lq_alloc(64 * sizeof *x);
    for (int i = 0; i < s->nin; i++) {
        int64_t n = ir_elements(s->value.ir, s->in[i]);
        x[i] = numbers(n * LANES);
        for (int64_t k = 0; k < n; k++)
            for (int l = 0; l < LANES; l++) {
                double v = noise((uint32_t)i, k, chains[l]);
                x[i][k * LANES + l] = s->kind[i] == FIELD_POSITIVE ? exp(0.5 * v) : v;
            }
    }
    double **value = outputs(&s->value, LANES), **g = outputs(&s->grad, LANES);
    bool ok = run_everywhere(s->at, (const double *const *)x, value, 0) && run_everywhere(s->at + 1, (const double *const *)x, g, 0);
    if (ok && p->smooth && !single_precision) {
        for (int i = 0; i < s->nin; i++)                 /* lane 0 */
            for (int64_t k = 0; k < ir_elements(s->value.ir, s->in[i]); k++) x[i][k] = x[i][k * LANES];
        for (int i = 0; i < s->grad.nout; i++)
            for (int64_t k = 0; k < ir_elements(s->value.ir, s->grad.out[i]); k++) g[i][k] = g[i][k * LANES];
        check_slope(s, (const double *const *)x, g);
    }
    release(x, s->nin), release(value, s->value.nout), release(g, s->grad.nout);
    return ok;
}

/* ---- a whole program --------------------------------------------------------------------------------------- */

/* Where the measurements of a step have the mean that a report asks for. */
static int output_of(const ReportInput *in) {
    int output = in->imaginary;
    for (int k = 0; k < in->primary; k++) output += in->sample->primaries.data[k].input_im ? 2 : 1;
    return output;
}

/* A report called …_left is what is left of an identity: 0 on each configuration. */
static void check_identities(const Prog *p, const SampleTask *t, double *const *measured) {
    for (int i = 0; i < p->s.plan->tasks.n; i++) {
        ReportTask *r = p->s.plan->tasks.data[i]->report;
        size_t length = r && r->name ? strlen(r->name) : 0;
        if (p->s.plan->tasks.data[i]->kind != TASK_REPORT || r->inputs.n == 0 || r->inputs.data[0].sample != t || length < 5 || strcmp(r->name + length - 5, "_left") || single_precision) continue;
        double **one = lq_alloc((size_t)(r->eval.nin + 1) * sizeof *one), **left = outputs(&r->eval, 1);
        for (int k = 0; k < r->eval.nin; k++) {
            int64_t n = ir_elements(r->eval.ir, r->eval.in[k]);
            one[k] = numbers(n);
            for (int64_t j = 0; j < n; j++) one[k][j] = measured[output_of(&r->inputs.data[k])][j * LANES];
        }
        interp_call(&r->eval, (const double *const *)one, left, (RandKey){SEED, 0, 0});
        for (int64_t j = 0; j < ir_elements(r->eval.ir, r->eval.out[0]); j++)
            if (!(fabs(left[0][j]) < 1e-9)) say('F', "%s: %g is left", r->name, left[0][j]);
        release(one, r->eval.nin), release(left, r->eval.nout);
    }
}

static bool run_sample(Prog *p, SampleTask *t, int f) {
    double **state = outputs(&t->init, LANES), flag = 1;
    int n = t->state_in.n;
    bool ok = run_everywhere(f, NULL, state, 0);
    const double **in = lq_alloc((size_t)(n + 2) * sizeof *in);
    for (uint32_t step = 0; step < STEPS && ok; step++) {
        double **next = outputs(&t->step, LANES);
        for (int i = 0; i < n; i++) in[i] = state[i];
        in[n] = &flag;
        flag = step == 0;
        ok = run_everywhere(f + 1, in, next, step);
        release(state, n);
        state = next;
        for (int i = n; i < t->step.nout; i++) free(next[i]);
        double **measured = outputs(&t->measure, LANES);
        for (int i = 0; i < n; i++) in[i] = state[i];
        ok = ok && run_everywhere(f + 2, in, measured, step);
        if (ok) check_identities(p, t, measured);
        release(measured, t->measure.nout);
    }
    release(state, n);
    free(in);
    return ok;
}

static bool run_uniform(IrFunc *q, int f) {
    double **x = lq_alloc((size_t)(q->nin + 1) * sizeof *x), **out = outputs(q, LANES);
    for (int i = 0; i < q->nin; i++) {
        int64_t n = ir_elements(q->ir, q->in[i]);
        x[i] = numbers(n);
        for (int64_t k = 0; k < n; k++) x[i][k] = noise((uint32_t)i, k, 3);
    }
    bool ok = run_everywhere(f, (const double *const *)x, out, 0);
    release(x, q->nin), release(out, q->nout);
    return ok;
}

static void check_program(Prog *p) {
    int f = p->first;
    bool ok = true;
    for (int i = 0; i < p->s.plan->tasks.n && ok; i++) {
        Task *t = p->s.plan->tasks.data[i];
        if (t->kind == TASK_SAMPLE) ok = run_sample(p, t->sample, f), f += 3;
        if (t->kind != TASK_REPORT) continue;
        ok = run_uniform(&t->report->eval, f++);
        if (ok && t->report->has_vjp) ok = run_uniform(&t->report->vjp, f++);
    }
    for (int i = 0; i < p->nslopes && ok; i++) ok = run_slope(p, &p->slope[i]);
    current = p->path;
    if (ok) say('A', "%d %d %d", slopes_checked, p->waves, p->pairs);
    slopes_checked = 0;
}

static void run_batch(char *const *paths, int n) {
    static Prog progs[BATCH];
    arena = arena_new();
    bool any = false;
    for (int i = 0; i < n; i++) {
        progs[i] = (Prog){.path = paths[i]};
        int before = nfuncs;
        progs[i].ok = load(&progs[i]);
        if (!progs[i].ok) nfuncs = before;
        any |= progs[i].ok;
    }
    if (!any) return;
    for (int m = 0; m < NMACHINES; m++) {
        char err[512] = "";
        BackendOptions o = {.lanes = setup[m].lanes, .sites = m == SITES || m == PLAIN, .optimize = setup[m].optimize};
        machine[m] = backend_native.compile(setup[m].programs, nfuncs, &o, err, sizeof err);
        if (machine[m]) continue;
        if (n > 1) _exit(99);                     /* again, one by one */
        say('F', "%s: %s", setup[m].name, err);
        return;
    }
    pool = pool_new(POOL);
    pool_use(pool);
    for (int i = 0; i < n; i++)
        if (progs[i].ok) check_program(&progs[i]);
    pool_free(pool);
}

/* ---- the parent: batches, children, the account ---------------------------------------------------------------- */

typedef struct Child { pid_t pid; FILE *says; char **paths; int n; } Child;
static int accepted, rejected, failed, no_gradient, slopes, waves, pairs, listed;

static void start(Child *c, char **paths, int n) {
    *c = (Child){.says = tmpfile(), .paths = paths, .n = n};
    fflush(NULL);
    c->pid = fork();
    if (c->pid < 0 || !c->says) { perror("agree"); exit(2); }
    if (c->pid) return;
    alarm(LIMIT_SECONDS);
    say_to = c->says;
    run_batch(paths, n);
    fflush(say_to);
    _exit(0);
}

static void account(const char *line) {
    switch (*line) {
    case 'A': {
        int s = 0, w = 0, two = 0;
        sscanf(strrchr(line, ':') + 1, "%d %d %d", &s, &w, &two);
        accepted++, slopes += s, waves += w, pairs += two;
        break;
    }
    case 'R': rejected++; if (listed++ < 10) printf("rejected  %s", line + 2); break;
    case 'N': no_gradient++; break;
    default: failed++; printf("FAILED  %s", line + 2);
    }
}

static void finish(Child *c) {
    int status;
    waitpid(c->pid, &status, 0);
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    char line[4096];
    if (good || c->n == 1) {
        rewind(c->says);
        while (fgets(line, sizeof line, c->says)) account(line);
        if (!good) {
            if (WIFSIGNALED(status)) printf("FAILED  %s: signal %d%s\n", c->paths[0], WTERMSIG(status), WTERMSIG(status) == SIGALRM ? " (too slow)" : "");
            else printf("FAILED  %s: exit status %d\n", c->paths[0], WEXITSTATUS(status));
            failed++;
        }
    }
    fclose(c->says);
    fflush(stdout);
    if (good || c->n == 1) return;
    for (int i = 0; i < c->n; i++) {
        Child one;
        start(&one, c->paths + i, 1);
        finish(&one);
    }
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

typedef VEC(char *) Paths;

static void list(const char *dir, Paths *out) {
    DIR *d = opendir(dir);
    if (!d) return;
    int first = out->n;
    for (struct dirent *e; (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n < 6 || strcmp(e->d_name + n - 5, ".lqft")) continue;
        char *path = lq_alloc(strlen(dir) + n + 2);
        sprintf(path, "%s/%s", dir, e->d_name);
        vec_push(out, path);
    }
    closedir(d);
    if (out->n > first) qsort(out->data + first, (size_t)(out->n - first), sizeof *out->data, by_name);
}

static void run_all(Paths *all, int jobs) {
    Child *child = lq_alloc((size_t)jobs * sizeof *child);
    int running = 0, next = 0, oldest = 0;
    while (next < all->n || running) {
        while (running < jobs && next < all->n) {
            int n = all->n - next < BATCH ? all->n - next : BATCH;
            start(&child[(oldest + running++) % jobs], all->data + next, n);
            next += n;
        }
        finish(&child[oldest]);
        oldest = (oldest + 1) % jobs;
        running--;
    }
    free(child);
}

int main(int argc, char **argv) {
    int many = 400, jobs = 2;
    const char *seed = "1", *keep = NULL;
    Paths all = {0};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--single")) single_precision = true;
        else if (!strcmp(argv[i], "--many") && i + 1 < argc) many = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--seed") && i + 1 < argc) seed = argv[++i];
        else if (!strcmp(argv[i], "--jobs") && i + 1 < argc) jobs = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--keep") && i + 1 < argc) keep = argv[++i];
        else if (argv[i][0] == '-') return fprintf(stderr, "usage: agree [--single] [--many N] [--seed S] [--keep DIR] [--jobs J] [FILE ...]\n"), 2;
        else vec_push(&all, argv[i]);
    }
    bool files = all.n > 0;
    char temporary[] = P_tmpdir "/lqft-agree-XXXXXX", command[4096];
    int drawn = 0;
    if (!files) {
        list(AGREE_DIR "/cases", &all);
        int cases = all.n;
        const char *dir = keep ? keep : mkdtemp(temporary);
        if (!dir) return perror("agree"), 2;
        snprintf(command, sizeof command, "python3 '%s/gen.py' --seed '%s' --count %d --out '%s'", AGREE_DIR, seed, many, dir);
        if (many > 0 && system(command) != 0) return fprintf(stderr, "agree: gen.py failed\n"), 2;
        list(dir, &all);
        drawn = all.n - cases;
    }
    run_all(&all, jobs < 1 ? 1 : jobs);
    printf("%d programs agree bit for bit, %d rejected by the checker, %d failures; %d gradients compared with differences, %d actions without a gradient; %d loops ran in waves, %d in pairs of rows\n",
           accepted, rejected, failed, slopes, no_gradient, waves, pairs);
    bool typed = files || rejected * 20 <= drawn;
    if (!typed) printf("FAILED  more than 5 %% of the generated programs are rejected\n");
    if (!files && !keep && !failed) {
        snprintf(command, sizeof command, "rm -r '%s'", temporary);
        if (system(command) != 0) perror("agree");
    } else if (!files) printf("the programs are in %s\n", keep ? keep : temporary);
    bool waved = files || (waves >= (single_precision ? 5 : 10) && pairs > 0);      /* rows of half the bytes */
    if (!waved) printf("FAILED  too few loops ran in waves\n");
    return failed || !typed || !waved;
}
