/* check.c — lqft check: what a model claims, tested on random fields.
 *   gradients       directional derivatives against central differences, whose error
 *                   must fall like h^2
 *   objectives      the same of what is minimised, array by array (check_loss.c)
 *   symmetries      S of the transformed field against S
 *   samplers        reversible claims, and <acceptance ratio> = 1 on a short run */
#include "run.h"

#include "../../runtime/philox.h"
#include "../../runtime/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_SEED 20250101u

/* There and back is up to some thousand updates of numbers of order ten, each rounded by at
 * most 2^-24 of its size, were all rounded alike; they are not, and what is seen is about
 * the root of the number: 10^-6 to 10^-5.  In double precision it is 2^29 times smaller. */
#define SINGLE_REVERSIBLE (1e4 * 0x1p-24)

typedef struct Checker { Session *s; const RunOptions *o; int passed, failed; } Checker;

static void verdict(Checker *c, bool ok, const char *fmt, ...) LQ_PRINTF(3, 4);
static void verdict(Checker *c, bool ok, const char *fmt, ...) {
    va_list ap;
    printf("%s  ", ok ? "ok    " : "FAILED");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    if (ok) c->passed++;
    else c->failed++;
}

/* ---- random fields ------------------------------------------------------------------------------ */

typedef struct Point { const FieldInfo *fields[16]; Ref in[32]; double *data[32]; int64_t n[32]; int nparts; } Point;

static double normal_number(uint32_t draw, int64_t site) {
    double v;
    uint32_t chain = 0;
    lq_rand_normal(&v, 1, &chain, CHECK_SEED, 0, draw, 0, (uint32_t)site);
    return v;
}

static void fill_field(const FieldInfo *f, double *x, int64_t n, uint32_t draw) {
    for (int64_t k = 0; k < n; k++) {
        double v = normal_number(draw, k);
        x[k] = f->kind == FIELD_POSITIVE ? exp(0.5 * v) : f->kind == FIELD_ANGLE ? 1.5 * v : f->kind == FIELD_SPIN ? (v < 0 ? -1 : 1) : v;
    }
}

const Value *field_input(Elab *e, const FieldInfo *f) {
    int64_t dims[IR_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < f->nsets; i++)
        for (int k = 0; k < f->sets[i]->rank; k++) dims[rank++] = f->sets[i]->ext[k];
    bool complex = f->kind == FIELD_COMPLEX;
    Ref re = ir_input(e->ir, complex ? arena_printf(e->arena, "%s.re", f->name) : f->name, rank, dims, false, false);
    Ref im = complex ? ir_input(e->ir, arena_printf(e->arena, "%s.im", f->name), rank, dims, false, false) : 0;
    return value_array(e, re, im, 0, NULL, f->nsets, f->sets, f->at);
}

/* Inputs for the parameters of an action that are named like fields; NULL when they are not. */
static bool field_inputs(Elab *e, const Decl *d, const Value **point, const FieldInfo **fields) {
    if (d->nparams < 1 || d->nparams > 16) return false;
    for (int k = 0; k < d->nopts; k++)
        if (!d->opts[k].value) return false;
    for (int k = 0; k < d->nparams; k++) {
        fields[k] = model_field(e->model, d->params[k].name);
        if (!fields[k]) return false;
    }
    for (int k = 0; k < d->nparams; k++) point[k] = field_input(e, fields[k]);
    return true;
}


const Value *action_gradient(Elab *e, const Decl *d, const Value **point, const FieldInfo **fields) {
    if (!field_inputs(e, d, point, fields)) return NULL;
    Env *env = env_bind(e, e->globals, intern("q"), value_tuple(e, d->nparams, point, d->at));
    Expr f = {.kind = EX_NAME, .at = d->name_at, .name = d->name}, q = {.kind = EX_NAME, .at = d->name_at, .name = intern("q")};
    Expr *list[2] = {&f, &q};
    Expr grad = {.kind = EX_NAME, .at = d->name_at, .name = intern("grad")};
    Expr call = {.kind = EX_CALL, .at = d->name_at, .a = &grad, .list = list, .n = 2};
    return elab_grad(e, env, &call);
}

static void collect_point(Elab *e, const Value *const *point, const FieldInfo *const *fields, int n, Point *p) {
    p->nparts = 0;
    for (int k = 0; k < n; k++) {
        p->fields[k] = fields[k];
        for (int im = 0; im < (point[k]->u.num.complex ? 2 : 1); im++) {
            Ref r = value_node(e, point[k], im);
            int64_t count = ir_elements(e->ir, r);
            p->in[p->nparts] = r, p->n[p->nparts] = count;
            p->data[p->nparts] = lq_alloc((size_t)(count + 1) * sizeof(double));
            fill_field(fields[k], p->data[p->nparts], count, (uint32_t)p->nparts);
            p->nparts++;
        }
    }
}

static void free_point(Point *p) {
    for (int i = 0; i < p->nparts; i++) free(p->data[i]);
}

static double evaluate(Elab *e, const Point *p, Ref scalar_array) {
    double out = NAN, *outs[1] = {&out};
    IrFunc f = {.name = "check", .in = (Ref *)p->in, .nin = p->nparts, .out = &scalar_array, .nout = 1, .ir = e->ir};
    interp_call(&f, (const double *const *)p->data, outs, (RandKey){CHECK_SEED, 0, 0});
    return out;
}

/* ---- gradients -------------------------------------------------------------------------------------- */

static void shift_point(Point *p, double h, int nparts) {
    for (int i = 0; i < nparts; i++)
        for (int64_t k = 0; k < p->n[i]; k++) p->data[i][k] += h * normal_number(100 + (uint32_t)i, k);
}

/* The derivative along a random direction by the gradient. */
static double directional(Elab *e, Point *p, const Value *g) {
    double sum = 0;
    int part = 0;
    int nfields = g->kind == VK_TUPLE ? g->u.tuple.n : 1;
    for (int k = 0; k < nfields; k++) {
        const Value *gk = g->kind == VK_TUPLE ? g->u.tuple.items[k] : g;
        for (int im = 0; im < (gk->u.num.complex ? 2 : 1); im++, part++) {
            Ref node = value_node(e, gk, im);
            double *out = lq_alloc((size_t)(p->n[part] + 1) * sizeof *out);
            IrFunc f = {.name = "gradient", .in = p->in, .nin = p->nparts, .out = &node, .nout = 1, .ir = e->ir};
            interp_call(&f, (const double *const *)p->data, &out, (RandKey){CHECK_SEED, 0, 0});
            for (int64_t i = 0; i < p->n[part]; i++) sum += out[i] * normal_number(100 + (uint32_t)part, i);
            free(out);
        }
    }
    return sum;
}

static void check_gradient(Checker *c, const Decl *d) {
    Elab *e = c->s->model->elab;
    const Value *point[16];
    const FieldInfo *fields[16];
    const Value *g = action_gradient(e, d, point, fields);
    if (!g || g->kind == VK_ERROR) return;
    const Value *f = env_find(e->globals, d->name);
    Span at[16];
    for (int i = 0; i < 16; i++) at[i] = d->name_at;
    const Value *S = elab_call(e, f, d->nparams, point, at, 0, NULL, NULL, d->name_at);
    if (S->kind != VK_NUM || S->u.num.complex) return;        /* no order, so no difference quotient of one number */
    Ref node = ir_map(e->ir, 0, NULL, S->u.num.re);
    Point p;
    collect_point(e, point, fields, d->nparams, &p);
    double exact = directional(e, &p, g), value = evaluate(e, &p, node), error[3];
    static const double steps[3] = {4e-3, 2e-3, 1e-3};
    for (int i = 0; i < 3; i++) {
        shift_point(&p, steps[i], p.nparts);
        double up = evaluate(e, &p, node);
        shift_point(&p, -2 * steps[i], p.nparts);
        double down = evaluate(e, &p, node);
        shift_point(&p, steps[i], p.nparts);
        error[i] = fabs((up - down) / (2 * steps[i]) - exact);
    }
    /* Rounding in S limits the difference quotient to about eps |S| / h. */
    double noise = 1e-12 * (fabs(value) + 1) / steps[2], slope = log2(error[0] / error[2]) / 2;
    bool ok = isfinite(exact) && (error[2] < noise + 1e-9 * fabs(exact) || (slope > 1.8 && slope < 2.3) || (slope >= 2.3 && error[2] < 1e-5 * fabs(exact)));
    verdict(c, ok, "gradient of %s: %.6e along a random direction, differences off by %.1e, %.1e, %.1e for h = 4, 2, 1 x 1e-3", d->name,
            exact, error[0], error[1], error[2]);
    free_point(&p);
}

/* ---- symmetries ----------------------------------------------------------------------------------------- */

static void check_symmetry(Checker *c, const Decl *d) {
    Elab *e = c->s->model->elab;
    const Value *f = env_find(e->globals, d->name);
    if (!f || f->kind != VK_FUNC || f->u.func.kind != FN_DECL || f->u.func.decl->kind != DC_ACTION) {
        elab_error(e, "E0316", d->at, "a symmetry is one of an action, and `%s` is none", d->name);
        return;
    }
    const Decl *action = f->u.func.decl;
    const Value *point[16], *image[16];
    const FieldInfo *fields[16];
    Span at[16];
    if (!field_inputs(e, action, point, fields)) {
        elab_error(e, "E0316", d->at, "the parameters of `%s` must be named like fields for a symmetry to be tested", action->name);
        return;
    }
    for (int i = 0; i < d->nnames; i++) {
        bool found = false;
        for (int k = 0; k < action->nparams; k++) found |= fields[k]->name == d->names[i];
        if (found) continue;
        Diag *g = elab_error(e, "E0316", d->at, "`%s` is no field of the action `%s`", d->names[i], action->name);
        diag_label(&e->front->sink, g, action->name_at, "declared here");
        return;
    }
    Env *env = e->globals;
    for (int k = 0; k < action->nparams; k++) env = env_bind(e, env, fields[k]->name, point[k]), image[k] = point[k], at[k] = d->at;
    const Value *v = d->nbinds ? elab_array(e, env, d->nbinds, d->binds, d->value, elab_expr, d->at) : value_close(e, elab_expr(e, env, d->value));
    if (v->kind == VK_ERROR) return;
    for (int i = 0; i < d->nnames; i++)
        for (int k = 0; k < action->nparams; k++) {
            if (fields[k]->name != d->names[i]) continue;
            const Value *to = d->nnames == 1 ? v : v->kind == VK_TUPLE && i < v->u.tuple.n ? v->u.tuple.items[i] : v;
            image[k] = to->kind == VK_NUM && to->u.num.nsets == 0 ? value_binary(e, OP_ADD, value_zero_like(e, point[k]), to, d->at, d->at) : to;
            if (!value_same_shape(image[k], point[k])) {
                elab_error(e, "E0316", d->value->at, "the image of `%s` is %s, and the field is %s", d->names[i], value_describe(e, image[k]), value_describe(e, point[k]));
                return;
            }
        }
    const Value *S = elab_call(e, f, action->nparams, point, at, 0, NULL, NULL, d->at);
    const Value *T = elab_call(e, f, action->nparams, image, at, 0, NULL, NULL, d->at);
    if (S->kind != VK_NUM || T->kind != VK_NUM) return;
    Point p;
    collect_point(e, point, fields, action->nparams, &p);
    double a = evaluate(e, &p, ir_map(e->ir, 0, NULL, S->u.num.re)), b = evaluate(e, &p, ir_map(e->ir, 0, NULL, T->u.num.re)), sites = 0;
    for (int i = 0; i < p.nparts; i++) sites += (double)p.n[i];
    Text t = {0}, names = {0};
    ast_print_expr(d->value, &t);
    for (int i = 0; i < d->nnames; i++) text_printf(&names, "%s%s", i ? ", " : "", d->names[i]);
    verdict(c, fabs(a - b) <= 1e-11 * (fabs(a) + sites), d->nnames > 1 ? "symmetry (%s) -> %s of %s: S = %.12g and %.12g" : "symmetry %s -> %s of %s: S = %.12g and %.12g",
            names.s, t.s, action->name, a, b);
    text_free(&names);
    text_free(&t);
    free_point(&p);
}

/* ---- samplers ------------------------------------------------------------------------------------------------ */

static void check_sampler(Checker *c, SampleTask *t) {
    if (t->chains < 16) t->chains = 16;
    if (t->chains > 64) t->chains = 64;
    if (t->warmup > 300) t->warmup = 300;
    if (t->warmup < 50) t->warmup = 50;
    t->draws = 100, t->thin = 1;
    RunProgram *program = lower_plan(c->s);
    RunEngine engine = compiling_engine(c->o);
    RunSettings settings = run_settings(c->o, c->s->arena);
    RunResult r;
    SampleData *d = NULL;
    run_begin(&r, program, &settings, &engine, c->s->arena);
    int status = sample_run(&r, &program->samples[t->index], &d);
    run_end(&r);
    if (status || !d) { verdict(c, false, "sampler %s: the run stopped", t->method); return; }
    for (int i = 0; i < d->nstats; i++) {
        const char *name = t->frame.monitors.data[i].name;
        int64_t n = d->chains * d->draws;
        double mean = 0, worst = 0;
        for (int64_t k = 0; k < n; k++) mean += d->stats[i].data[k] / (double)n, worst = fmax(worst, fabs(d->stats[i].data[k]));
        if (!strcmp(name, "reversibility"))
            verdict(c, worst < (t->single ? SINGLE_REVERSIBLE : 1e-6), "sampler %s: there and back differs by at most %.1e in %lld steps", t->method, worst, (long long)n);
        if (!strcmp(name, "accept.accepted")) verdict(c, mean > 0, "sampler %s: acceptance %.3f", t->method, mean);
        if (strcmp(name, "accept.ratio") != 0) continue;
        int64_t *length = lq_alloc((size_t)d->chains * sizeof *length);
        for (int64_t k = 0; k < d->chains; k++) length[k] = d->draws;
        GammaResult g;
        stats_gamma(d->stats[i].data, (int)d->chains, length, 2, &g);
        free(length);
        double pull = (g.value - 1) / g.error;
        verdict(c, !(fabs(pull) > 5), "sampler %s: <ratio> = %.5f +- %.5f, %.1f sigma from 1", t->method, g.value, g.error, g.error > 0 ? pull : 0);
    }
}

static void check_minimized(Checker *c, const SampleTask *t) {
    Text line = {0};
    bool ok = check_objective(c->s, c->o, t, &line);
    verdict(c, ok, "%s", line.s);
    text_free(&line);
}

int check_model(const RunOptions *options) {
    RunOptions o = *options;
    if (!o.run.seed_given) o.run.seed = CHECK_SEED;
    o.run.quiet = true;
    Session s;
    session_open(&s, &o, true);
    int status = session_check(&s, &o);
    Checker c = {.s = &s, .o = &o};
    if (status == 0) {
        for (int i = 0; i < s.model->decls.n; i++)
            if (s.model->decls.data[i]->kind == DC_ACTION) check_gradient(&c, s.model->decls.data[i]);
        for (int i = 0; i < s.model->decls.n; i++)
            if (s.model->decls.data[i]->kind == DC_SYMMETRY) check_symmetry(&c, s.model->decls.data[i]);
        for (int i = 0; i < s.plan->tasks.n; i++)
            if (s.plan->tasks.data[i]->kind == TASK_SAMPLE && s.plan->tasks.data[i]->sample->minimizes) check_minimized(&c, s.plan->tasks.data[i]->sample);
            else if (s.plan->tasks.data[i]->kind == TASK_SAMPLE) check_sampler(&c, s.plan->tasks.data[i]->sample);
        diag_print_all(&s.front.sink, stderr, o.run.color);
        printf("%d passed, %d failed\n", c.passed, c.failed + s.front.sink.nerrors);
        status = c.failed || s.front.sink.nerrors ? 1 : 0;
    }
    session_close(&s);
    return status;
}
