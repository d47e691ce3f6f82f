/* check_loss.c — lqft check: the gradients of what is minimised.
 *
 * The derivative by each array along a random direction, by the gradient and by central
 * differences, near the start of the minimisation.  With h from 1e-3 to 1e-7 there is one
 * where both errors of a difference are small: that of the expansion, h^2 where the objective
 * is smooth and h where it has kinks between the points (relu), and that of rounding, about
 * 1e-16 |L|/h a rounding.  A gradient that is wrong by 1e-5 of its size in one array is found. */
#include "run.h"

#include "../../runtime/philox.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double steps[] = {1e-3, 1e-5, 1e-7};
enum { DRAW_POINT = 1000, DRAW_DIRECTION = 2000 };

/* All that the objective reads: what is minimised over, then other variables and the clock. */
typedef struct Inputs { Ref *in; double **data; int64_t *n; int count, moved; } Inputs;

static double normal_number(uint32_t seed, uint32_t draw, int64_t k) {
    double v;
    uint32_t chain = 0;
    lq_rand_normal(&v, 1, &chain, seed, 0, draw, 0, (uint32_t)k);
    return v;
}

static void add_input(Inputs *p, Ref in, int64_t n, double *data) {
    p->in[p->count] = in, p->n[p->count] = n, p->data[p->count++] = data;
}

static int number_of(const Elab *e, const Variable *v) {
    int i = 0;
    while (e->variables.data[i] != v) i++;
    return i;
}

/* Near the start, and not at it: biases are 0 there, and relu has its kink at 0. */
static double *point_of(RunResult *r, const Elab *e, Variable *v, uint32_t draw) {
    const double *start = variable_data(r, number_of(e, v));
    double *x = arena_alloc(r->arena, (size_t)(v->n + 1) * sizeof *x);
    for (int64_t k = 0; k < v->n; k++)
        x[k] = (v->kind == FIELD_POSITIVE ? log(start[k]) : start[k]) + 0.1 * normal_number(r->settings->seed, draw, k);
    return x;
}

static const Value *collect(RunResult *r, Elab *e, const SampleTask *t, Inputs *p) {
    const Value *q[MAX_ITEMS];
    int most = e->variables.n + t->target.n + 1;
    *p = (Inputs){arena_alloc(r->arena, (size_t)most * sizeof *p->in), arena_alloc(r->arena, (size_t)most * sizeof *p->data),
                  arena_alloc(r->arena, (size_t)most * sizeof *p->n), 0, t->target.n};
    for (int i = 0; i < t->target.n; i++) {
        Variable *v = t->minimized[i];
        q[i] = elab_input_like(e, v->name, v->in, v->at);
        add_input(p, value_node(e, q[i], false), v->n, point_of(r, e, v, DRAW_POINT + (uint32_t)i));
    }
    for (int i = 0; i < e->variables.n; i++) {
        Variable *v = e->variables.data[i];
        add_input(p, value_node(e, v->in, false), v->n, (double *)variable_data(r, i));
    }
    add_input(p, t->clock_in, 1, arena_alloc(r->arena, sizeof(double)));
    return value_tuple(e, t->target.n, q, t->decl->at);
}

static void evaluate(const RunOptions *o, Elab *e, const Inputs *p, Ref node, double *out) {
    IrFunc f = {.name = "check", .in = p->in, .nin = p->count, .out = &node, .nout = 1, .ir = e->ir};
    interp_call(&f, (const double *const *)p->data, &out, (RandKey){o->run.seed, 0, 0});
}

static double moved(const RunOptions *o, Elab *e, Inputs *p, int i, double h, Ref objective) {
    double *x = p->data[i], *shifted = lq_alloc((size_t)(p->n[i] + 1) * sizeof *shifted), value = NAN;
    for (int64_t k = 0; k < p->n[i]; k++) shifted[k] = x[k] + h * normal_number(o->run.seed, DRAW_DIRECTION + (uint32_t)i, k);
    p->data[i] = shifted;
    evaluate(o, e, p, objective, &value);
    p->data[i] = x;
    free(shifted);
    return value;
}

/* By how much of the size of the gradient the best difference is off; `beyond`: what rounding does
 * not explain of it. */
static double error_of(const RunOptions *o, Elab *e, Inputs *p, int i, Ref objective, const Value *g, double value, double *beyond) {
    double *by = lq_alloc((size_t)(p->n[i] + 1) * sizeof *by), exact = 0, size = 0, best = INFINITY;
    evaluate(o, e, p, value_node(e, g, false), by);
    for (int64_t k = 0; k < p->n[i]; k++) exact += by[k] * normal_number(o->run.seed, DRAW_DIRECTION + (uint32_t)i, k), size += by[k] * by[k];
    free(by);
    *beyond = INFINITY;
    if (!isfinite(exact)) return INFINITY;
    size = sqrt(size) + 1e-300;
    for (int k = 0; k < LQ_COUNT(steps); k++) {
        double h = steps[k], difference = (moved(o, e, p, i, h, objective) - moved(o, e, p, i, -h, objective)) / (2 * h);
        double off = fabs(difference - exact), rounding = 1e-15 * (fabs(value) + 1) / h;
        best = fmin(best, off / (size + rounding + 1e-6 * (fabs(value) + 1)));   /* some gradients are 0 but for rounding */
        *beyond = fmin(*beyond, off <= rounding ? 0 : (off - rounding) / size);
    }
    return best;
}

/* True if all is well; the line to print is in `out`. */
bool check_objective(Session *s, const RunOptions *o, const SampleTask *t, Text *out) {
    Elab *e = s->model->elab;
    RunEngine engine = compiling_engine(o);
    RunSettings settings = run_settings(o, s->arena);
    RunResult r;
    Inputs p;
    run_begin(&r, lower_plan(s), &settings, &engine, s->arena);
    const Value *objective, *q = collect(&r, e, t, &p), *g = minimize_gradient(e, t, q, &objective);
    if (g->kind == VK_ERROR) return text_printf(out, "the gradient of an objective"), false;
    Ref node = ir_map(e->ir, 0, NULL, objective->u.num.re);
    double value = NAN, worst = -1, beyond, most = 0;
    int at = 0;
    evaluate(o, e, &p, node, &value);
    for (int i = 0; i < p.moved; i++) {
        double error = error_of(o, e, &p, i, node, g->kind == VK_TUPLE ? g->u.tuple.items[i] : g, value, &beyond);
        most = fmax(most, beyond);
        if (error > worst) worst = error, at = i;
    }
    Text text = {0};
    ast_print_expr(t->decl->value, &text);
    text_printf(out, "gradient of %.60s by %d array%s: differences off by %.1e of it, most for %s", text.s, p.moved, p.moved == 1 ? "" : "s", worst, t->target.names[at]);
    text_free(&text);
    return most < 1e-5;
}
