/* interp.c — the meaning of a program: runs a function of the array IR for one
 * replica, point by point, with no choice of order left open.
 *
 * Each array node is evaluated once per iteration of the loop that it belongs to
 * (schedule.h).  Its body is compiled once into a list of steps, sorted by the last
 * axis on which each depends, so that what only depends on outer axes is not
 * evaluated again at every point.  Requires what ir_verify accepts. */
#include "calls.h"
#include "schedule.h"

#include "../../runtime/philox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One affine index: base + sum of terms over axes; the base takes up the loop
 * symbols, whose values are fixed while one node is evaluated. */
typedef struct Access {
    const Affine *form;
    int64_t base, n;
    int     nterms;
    AffTerm *term;
    IndexMode mode;
} Access;

/* A step writes the value with its own number. */
typedef struct Step {
    Op       op;
    int      level;          /* last axis it depends on, -1: none */
    uint32_t arg[3];         /* numbers of earlier steps */
    uint32_t aux;
    Ref      array;          /* SC_READ */
    const double *data;
    int      naccess;
    Access  *access;
} Step;

typedef struct Body {
    Step    *step;
    double  *value;          /* by step */
    uint32_t *start;         /* start[k + 1]: first step of level >= k */
    uint32_t n, result;
    bool     single;         /* precision of its values, see ir.h */
} Body;

typedef struct LoopRun {
    int      ncarry;
    double **cur, **next;    /* carries of this iteration and of the following one */
    double **stack;          /* by carry: where AR_STACK wants its values, or NULL */
    int64_t *elements;
} LoopRun;

typedef struct CallRun CallRun;

typedef struct Interp {
    const Ir *ir;
    const IrFunc *f;
    Schedule *s;
    Arena    *arena;
    RandKey   key;
    const double **value;    /* by position in the schedule: the array's elements */
    double  **store;         /* by position: memory of a map or reduction */
    Body    **body;          /* by position */
    LoopRun **run;           /* by position of the AR_LOOP */
    CallRun **call;          /* by position of the AR_CALL */
    VEC(CallRun *) calls;    /* all of them */
    LoopRun **inside;        /* by loop number: the loop being run */
    int64_t  *iteration;     /* by loop number */
    ScalarWalk *walk;
} Interp;

static int64_t floor_div(int64_t a, int64_t n)
{
    int64_t q = a / n;
    return q - (a % n < 0);
}

/* ---- compiling a body ------------------------------------------------------------ */

static void compile_access(Interp *in, Access *a, const Index *ix, int *level)
{
    *a = (Access){.form = aff_get(in->ir, ix->aff), .n = ix->n, .mode = (IndexMode)ix->mode};
    a->term = arena_alloc(in->arena, (size_t)a->form->n * sizeof *a->term);
    for (int i = 0; i < a->form->n; i++) {
        AffTerm t = a->form->t[i];
        if (t.sym >= SYM_LOOP) continue;
        a->term[a->nterms++] = t;
        if ((int)t.sym > *level) *level = (int)t.sym;
    }
}

/* The step of a scalar node; place: see ScalarWalk, whose order `earlier` has. */
static Step compile_step(Interp *in, Ref r, const Step *earlier, const uint32_t *place)
{
    const Ir *ir = in->ir;
    const Node *n = NODE(ir, r);
    Step step = {.op = (Op)n->op, .level = -1, .aux = n->aux, .naccess = n->nidx};
    if (n->op == SC_READ) step.array = NARG(ir, r, 0);
    else
        for (uint32_t i = 0; i < n->nargs; i++) {
            step.arg[i] = place[NARG(ir, r, i)] - 1;
            int level = earlier[step.arg[i]].level;
            if (level > step.level) step.level = level;
        }
    step.access = arena_alloc(in->arena, (size_t)n->nidx * sizeof *step.access);
    for (int i = 0; i < n->nidx; i++) compile_access(in, &step.access[i], NIDX(ir, r, i), &step.level);
    return step;
}

/* Steps sorted by level keep their order within one level: arguments have a lower
 * or the same level, so they stay in front. */
static void sort_by_level(Body *b, const Step *unsorted, uint32_t *moved, int naxes)
{
    uint32_t at = 0;
    for (int level = -1; level < naxes; level++) {
        b->start[level + 1] = at;
        for (uint32_t i = 0; i < b->n; i++)
            if (unsorted[i].level == level) moved[i] = at, b->step[at++] = unsorted[i];
    }
    for (uint32_t i = 0; i < b->n; i++)
        for (int j = 0; j < 3; j++) b->step[i].arg[j] = moved[b->step[i].arg[j]];
}

static Body *compile_body(Interp *in, Ref root, int naxes)
{
    const Ir *ir = in->ir;
    ScalarWalk *w = in->walk;
    scalar_walk(w, 1, &root);
    Body *b = arena_alloc(in->arena, sizeof *b);
    b->n = (uint32_t)w->list.n;
    b->single = in->f->single && naxes > 0;
    b->step = arena_alloc(in->arena, b->n * sizeof *b->step);
    b->value = arena_alloc(in->arena, b->n * sizeof *b->value);
    b->start = arena_alloc(in->arena, (size_t)(naxes + 1) * sizeof *b->start);
    Step *unsorted = lq_alloc(b->n * sizeof *unsorted);
    uint32_t *moved = lq_alloc(b->n * sizeof *moved);
    for (uint32_t i = 0; i < b->n; i++)
        unsorted[i] = compile_step(in, w->list.data[i], unsorted, w->place);
    sort_by_level(b, unsorted, moved, naxes);
    for (uint32_t i = 0; i < b->n; i++)
        if (unsorted[i].op == SC_CONST) {
            double v = NODE(ir, w->list.data[i])->val;
            b->value[moved[i]] = b->single ? single_of(v) : v;
        }
    b->result = moved[b->n - 1];
    free(unsorted);
    free(moved);
    return b;
}

/* ---- running a body --------------------------------------------------------------- */

static int64_t position(const Access *a, const int64_t *at)
{
    int64_t v = a->base;
    for (int i = 0; i < a->nterms; i++) v += a->term[i].c * at[a->term[i].sym];
    return v;
}

static double read_element(const Step *s, const int64_t *at)
{
    int64_t offset = 0;
    bool negative = false;
    for (int i = 0; i < s->naccess; i++) {
        const Access *a = &s->access[i];
        int64_t v = position(a, at);
        if (v < 0 || v >= a->n) {
            if (a->mode == IX_ZERO || a->n <= 0) return 0.0;
            int64_t turns = floor_div(v, a->n);
            v -= turns * a->n;
            if (a->mode == IX_ANTIPERIODIC && turns % 2 != 0) negative = !negative;
        }
        offset = offset * a->n + v;
    }
    return negative ? -s->data[offset] : s->data[offset];
}

static double index_value(const Access *a, const int64_t *at)
{
    int64_t v = position(a, at);
    bool inside = v >= 0 && v < a->n;
    if (a->mode == IX_EXACT || inside) return (double)v;
    if (a->mode == IX_ZERO || a->n <= 0) return 0.0;
    return (double)(v - floor_div(v, a->n) * a->n);
}

static double draw(const Interp *in, const Step *s, bool single, const int64_t *at)
{
    uint32_t site = (uint32_t)position(&s->access[0], at);
    uint32_t iter = (uint32_t)position(&s->access[1], at);
    double out;
    bool normal = s->aux & 1;
    if (single && normal) {
        float x;
        lq_rand_normals_single(&x, 1, &in->key.chain, in->key.seed, in->key.step, s->aux >> 1, iter, site, 0, 1, 1);
        return (double)x;
    }
    (normal ? lq_rand_normal : lq_rand_uniform)(&out, 1, &in->key.chain, in->key.seed,
                                                in->key.step, s->aux >> 1, iter, site);
    return single ? (double)single_of_random(out) : out;
}

/* Steps from the first one on level `changed` (or deeper) on; -1: all. */
static double run_body(const Interp *in, Body *b, int changed, const int64_t *at)
{
    double *v = b->value;
    for (uint32_t i = b->start[changed + 1]; i < b->n; i++) {
        const Step *s = &b->step[i];
        switch (s->op) {
        case SC_CONST: continue;
        case SC_IDX: v[i] = index_value(&s->access[0], at); break;
        case SC_INRANGE: {
            int64_t x = position(&s->access[0], at);
            v[i] = x >= 0 && x < s->access[0].n;
            break;
        }
        case SC_READ: v[i] = read_element(s, at); break;
        case SC_RAND:
            v[i] = draw(in, s, b->single, at);
            continue;
        default:
            if (b->single) v[i] = op_value_single(s->op, (float)v[s->arg[0]], (float)v[s->arg[1]], (float)v[s->arg[2]]);
            else v[i] = op_value(s->op, v[s->arg[0]], v[s->arg[1]], v[s->arg[2]]);
            continue;
        }
        if (b->single) v[i] = single_of(v[i]);
    }
    return v[b->result];
}

/* Where the arrays now are, and the iteration numbers, for one evaluation. */
static void bind_body(const Interp *in, Body *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        Step *s = &b->step[i];
        if (s->op == SC_READ) s->data = in->value[PLACE(in->s, s->array)];
        for (int j = 0; j < s->naccess; j++) {
            Access *a = &s->access[j];
            a->base = a->form->k;
            for (int t = 0; t < a->form->n; t++)
                if (a->form->t[t].sym >= SYM_LOOP)
                    a->base += a->form->t[t].c * in->iteration[a->form->t[t].sym - SYM_LOOP];
        }
    }
}

/* The next point in row-major order; returns the first axis that changed. */
static int advance(int64_t *at, const int64_t *dims, int rank)
{
    int axis = rank - 1;
    while (axis > 0 && ++at[axis] == dims[axis]) at[axis--] = 0;
    if (axis == 0) at[0]++;
    return axis;
}

static int64_t product(const int64_t *dims, int n)
{
    int64_t p = 1;
    for (int i = 0; i < n; i++) p *= dims[i];
    return p;
}

static void run_map(const Interp *in, Body *b, const int64_t *dims, int rank, double *out)
{
    int64_t at[IR_MAX_RANK] = {0}, n = product(dims, rank);
    int changed = -1;
    for (int64_t e = 0; e < n; e++) {
        out[e] = run_body(in, b, changed, at);
        changed = advance(at, dims, rank);
    }
}

static double identity_of(Op op)
{
    return op == SC_MUL ? 1 : op == SC_MAX ? -INFINITY : op == SC_MIN ? INFINITY : 0;
}

/* The parts of a row, by halves (the order of ir.h). */
static double join_parts(Op op, double *part, int64_t parts)
{
    for (int64_t half = parts / 2; half >= 1; half /= 2)
        for (int64_t i = 0; i < half; i++) part[i] = op_value(op, part[i], part[i + half], 0);
    return part[0];
}

/* A row of the innermost axis, from the point `at` on, which moves to the next row. */
static double run_row(const Interp *in, Body *b, Op op, int *changed, int64_t *at, const int64_t *dims, int naxes)
{
    int64_t length = dims[naxes - 1], parts = reduce_parts(length);
    double part[REDUCE_PARTS];
    for (int64_t p = 0; p < parts; p++) {
        part[p] = identity_of(op);
        for (int64_t i = 0; i < length / parts; i++) {
            part[p] = op_value(op, part[p], run_body(in, b, *changed, at), 0);
            *changed = advance(at, dims, naxes);
        }
    }
    return join_parts(op, part, parts);
}

/* The order of ir.h: rows into bands, bands into the total. */
static void run_reduce(const Interp *in, Body *b, const Node *n, const int64_t *dims, double *out)
{
    Op op = (Op)n->aux;
    int naxes = n->rank + n->nred, changed = -1;
    int64_t at[IR_MAX_RANK] = {0}, elements = product(dims, n->rank);
    int64_t rows = product(dims + n->rank, n->nred - 1), bands = n->nred > 1 ? reduce_bands(dims[n->rank]) : 1;
    for (int64_t e = 0; e < elements; e++) {
        double total = identity_of(op);
        for (int64_t band = 0; band < bands && n->nred > 1; band++) {
            double sum = identity_of(op);
            for (int64_t row = 0; row < rows / bands; row++)
                sum = op_value(op, sum, run_row(in, b, op, &changed, at, dims, naxes), 0);
            total = op_value(op, total, sum, 0);
        }
        out[e] = n->nred > 1 ? total : run_row(in, b, op, &changed, at, dims, naxes);
    }
}

/* ---- array nodes -------------------------------------------------------------------- */

static double *new_array(Interp *in, int64_t n)
{
    int64_t bytes;
    if (n < 0 || !lq_mul_ok(n, sizeof(double), &bytes)) lq_out_of_memory(SIZE_MAX);
    return arena_alloc(in->arena, (size_t)bytes);
}

static void run_section(Interp *in, const Section *section);

static LoopRun *new_loop_run(Interp *in, Ref loop)
{
    LoopRun *run = arena_alloc(in->arena, sizeof *run);
    int n = run->ncarry = (int)NODE(in->ir, loop)->nargs / 2;
    run->cur = arena_alloc(in->arena, (size_t)n * sizeof *run->cur);
    run->next = arena_alloc(in->arena, (size_t)n * sizeof *run->next);
    run->stack = arena_alloc(in->arena, (size_t)n * sizeof *run->stack);
    run->elements = arena_alloc(in->arena, (size_t)n * sizeof *run->elements);
    for (int i = 0; i < n; i++) {
        run->elements[i] = ir_elements(in->ir, NARG(in->ir, loop, i));
        run->cur[i] = new_array(in, run->elements[i]);
        run->next[i] = new_array(in, run->elements[i]);
    }
    return run;
}

/* The elements of one array become those of another, which may be of single precision. */
static void take(double *to, const double *from, int64_t n, bool single)
{
    if (!single && n) memcpy(to, from, (size_t)n * sizeof *to);
    for (int64_t i = 0; single && i < n; i++) to[i] = single_of(from[i]);
}

static void push_stacks(const Interp *in, LoopRun *run, int64_t t)
{
    for (int i = 0; i < run->ncarry; i++)
        if (run->stack[i]) take(run->stack[i] + t * run->elements[i], run->cur[i], run->elements[i], in->f->single);
}

static bool is_single_carry(const Interp *in, Ref loop, int which)
{
    return in->f->single && NODE(in->ir, NARG(in->ir, loop, which))->rank > 0;
}

/* All next values are taken before any carry changes: a body may exchange carries. */
static void step_carries(Interp *in, Ref loop, LoopRun *run)
{
    for (int i = 0; i < run->ncarry; i++) {
        Ref next = NARG(in->ir, loop, run->ncarry + i);
        take(run->next[i], in->value[PLACE(in->s, next)], run->elements[i], is_single_carry(in, loop, i));
    }
    double **t = run->cur;
    run->cur = run->next, run->next = t;
}

static void run_loop(Interp *in, Ref loop)
{
    const Node *n = NODE(in->ir, loop);
    LoopRun *run = in->run[PLACE(in->s, loop)], *outer = in->inside[n->aux];
    int64_t trip = in->ir->loops.data[n->aux].trip;
    int active = (int)n->val;
    for (int i = 0; i < run->ncarry; i++)
        take(run->cur[i], in->value[PLACE(in->s, NARG(in->ir, loop, i))], run->elements[i], is_single_carry(in, loop, i));
    in->inside[n->aux] = run;
    for (int64_t t = 0; t < trip; t++) {
        push_stacks(in, run, t);
        if (active >= 0 && run->cur[active][0] == 0) continue;   /* only the stacks go on */
        in->iteration[n->aux] = t;
        run_section(in, &in->s->body[PLACE(in->s, loop)]);
        step_carries(in, loop, run);
    }
    in->inside[n->aux] = outer;
}

static void run_body_node(Interp *in, Ref r)
{
    const Ir *ir = in->ir;
    const Node *n = NODE(ir, r);
    uint32_t at = PLACE(in->s, r);
    const int64_t *dims = ir->dims.data + n->dims;
    if (!in->body[at]) {
        in->body[at] = compile_body(in, NARG(ir, r, 0), n->rank + n->nred);
        in->store[at] = new_array(in, ir_elements(ir, r));
        in->value[at] = in->store[at];
    }
    bind_body(in, in->body[at]);
    if (n->op == AR_MAP) run_map(in, in->body[at], dims, n->rank, in->store[at]);
    else run_reduce(in, in->body[at], n, dims, in->store[at]);
    if (n->op == AR_REDUCE && ir_is_single(in->f, r)) take(in->store[at], in->store[at], ir_elements(ir, r), true);
}

/* ---- calls ---------------------------------------------------------------------------- */

/* A call prepared, with room for what it wants: arrays of single precision as such. */
struct CallRun { LqCall call; float *in[LQ_CALL_ARGS], *out; void *scratch; };

static bool incomplete;

bool interp_is_incomplete(void) { return incomplete; }

static CallRun *new_call_run(Interp *in, Ref r)
{
    CallRun *run = arena_alloc(in->arena, sizeof *run);
    ir_call_describe(in->ir, r, in->f->single, &run->call);
    lq_call_prepare(&run->call);
    const char *missing = lq_call_missing(&run->call);
    if (missing && !incomplete) incomplete = true, fprintf(stderr, "lqft: %s\n", missing);
    for (int i = 0; i < run->call.nargs; i++)
        if (run->call.in_single[i]) run->in[i] = (float *)new_array(in, run->call.nin[i]);
    if (run->call.out_single) run->out = (float *)new_array(in, run->call.nout);
    size_t bytes = lq_call_scratch(&run->call) + 64;
    run->scratch = (void *)(((uintptr_t)arena_alloc(in->arena, bytes) + 63) / 64 * 64);
    vec_push(&in->calls, run);
    return run;
}

static void run_call(Interp *in, Ref r)
{
    uint32_t at = PLACE(in->s, r);
    CallRun *run = in->call[at];
    const void *args[LQ_CALL_ARGS];
    if (!run) {
        run = in->call[at] = new_call_run(in, r);
        in->value[at] = in->store[at] = new_array(in, run->call.nout);
    }
    for (int i = 0; i < run->call.nargs; i++) {
        const double *from = in->value[PLACE(in->s, NARG(in->ir, r, (uint32_t)i))];
        args[i] = from;
        if (!run->in[i]) continue;
        for (int64_t k = 0; k < run->call.nin[i]; k++) run->in[i][k] = (float)from[k];
        args[i] = run->in[i];
    }
    lq_call_run(&run->call, args, run->out ? (void *)run->out : (void *)in->store[at], run->scratch);
    for (int64_t k = 0; run->out && k < run->call.nout; k++) in->store[at][k] = run->out[k];
}

static void run_node(Interp *in, Ref r)
{
    const Ir *ir = in->ir;
    const Node *n = NODE(ir, r);
    const double **value = &in->value[PLACE(in->s, r)];
    LoopRun *run = n->op == AR_PROJ || n->op == AR_STACK ? in->run[PLACE(in->s, NARG(ir, r, 0))] : NULL;
    switch (n->op) {
    case AR_INPUT: break;                               /* bound before the run */
    case AR_CONST: *value = ir->consts.data[n->aux].data; break;
    case AR_CARRY: *value = in->inside[n->aux]->cur[(int)n->val]; break;
    case AR_PROJ: *value = run->cur[n->aux]; break;
    case AR_STACK: *value = run->stack[n->aux]; break;
    case AR_LOOP: run_loop(in, r); break;
    case AR_CALL: run_call(in, r); break;
    default: run_body_node(in, r);
    }
}

static void run_section(Interp *in, const Section *section)
{
    for (int i = 0; i < section->n; i++) run_node(in, section->node[i]);
}

/* ---- a call ---------------------------------------------------------------------------- */

static void prepare(Interp *in, const IrFunc *f, const double *const *inputs)
{
    size_t n = (size_t)in->s->nodes.n, loops = (size_t)in->ir->loops.n;
    in->value = arena_alloc(in->arena, n * sizeof *in->value);
    in->store = arena_alloc(in->arena, n * sizeof *in->store);
    in->body = arena_alloc(in->arena, n * sizeof *in->body);
    in->run = arena_alloc(in->arena, n * sizeof *in->run);
    in->call = arena_alloc(in->arena, n * sizeof *in->call);
    in->inside = arena_alloc(in->arena, loops * sizeof *in->inside);
    in->iteration = arena_alloc(in->arena, loops * sizeof *in->iteration);
    for (int i = 0; i < f->nin; i++)
        if (in->s->place[f->in[i]]) in->value[PLACE(in->s, f->in[i])] = inputs[i];
    for (int i = 0; i < in->s->nodes.n; i++) {      /* a loop stands before its stacks */
        Ref r = in->s->nodes.data[i];
        const Node *node = NODE(in->ir, r);
        if (node->op == AR_LOOP) in->run[i] = new_loop_run(in, r);
        if (node->op != AR_STACK) continue;
        LoopRun *run = in->run[PLACE(in->s, NARG(in->ir, r, 0))];
        if (!run->stack[node->aux]) run->stack[node->aux] = new_array(in, ir_elements(in->ir, r));
    }
}

void interp_call(const IrFunc *f, const double *const *in, double *const *out, RandKey key)
{
    Interp it = {.ir = f->ir, .f = f, .key = key, .arena = arena_new()};
    it.s = schedule_new(f->ir, f->nout, f->out);
    it.walk = scalar_walk_new(f->ir);
    prepare(&it, f, in);
    run_section(&it, &it.s->top);
    for (int i = 0; i < f->nout; i++) {
        const double *value = it.value[PLACE(it.s, f->out[i])];
        take(out[i], value, ir_elements(f->ir, f->out[i]), f->single && NODE(f->ir, f->out[i])->rank > 0);
    }
    for (int i = 0; i < it.calls.n; i++) lq_call_release(&it.calls.data[i]->call);
    vec_free(&it.calls);
    scalar_walk_free(it.walk);
    schedule_free(it.s);
    arena_free(it.arena);
}
