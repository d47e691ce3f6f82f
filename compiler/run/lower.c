/* lower.c — a plan as plain data (runtime/run/program.h): what is run, without the text and the
 * expressions that it came from.  Places become text, index sets extents and points, variables
 * and tasks numbers; the functions stay what they are, for the engine.
 * Requires: a plan without errors.  Keeps: the order of tasks, samples and reports. */
#include "run.h"

#include "../elab/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TEXT = 100 };

typedef struct Lowering {
    Session    *s;
    Arena      *arena;
    RunProgram *out;
    VEC(const ReportTask *) reports;       /* by their numbers */
    VEC(const SampleTask *) samples;
} Lowering;

#define ROOM(l, n, type) ((type *)arena_alloc((l)->arena, (size_t)((n) + 1) * sizeof(type)))

/* ---- small things --------------------------------------------------------------------------- */

static RunPlace place_of(Lowering *l, Span at) {
    const Sources *ss = &l->s->front.sources;
    const Source *src = ss->files.data[at.file];
    RunPlace p = {.file = src->path};
    source_position(ss, at.file, at.lo, &p.line, &p.column);
    p.text = arena_strndup(l->arena, src->text + at.lo, at.hi - at.lo > MOST_TEXT ? MOST_TEXT : (size_t)(at.hi - at.lo));
    return p;
}

static Shape shape_of_node(const Ir *ir, Ref r) {
    Shape s = {.rank = NODE(ir, r)->rank};
    for (int i = 0; i < s.rank; i++) s.dim[i] = NDIM(ir, r, i);
    return s;
}

static Shape shape_of_value(const Value *v) {
    Shape s = {0};
    for (int i = 0; i < v->u.num.nsets; i++)
        for (int k = 0; k < v->u.num.sets[i]->rank; k++) s.dim[s.rank++] = v->u.num.sets[i]->ext[k];
    return s;
}

static RunFunction function_of(const IrFunc *f) { return (RunFunction){.name = f->name, .nin = f->nin, .nout = f->nout, .source = f}; }

static int number_of_variable(Lowering *l, const Variable *v) {
    const Elab *e = l->s->model->elab;
    for (int i = 0; i < e->variables.n; i++)
        if (e->variables.data[i] == v) return i;
    return -1;
}

static RunVariables variables_of(Lowering *l, int n, Variable *const *v) {
    RunVariables out = {n, ROOM(l, n, int)};
    for (int i = 0; i < n; i++) out.at[i] = number_of_variable(l, v[i]);
    return out;
}

/* Of an array: one entry for each extent. */
static Axis *axes_of(Lowering *l, const Value *v, int *count) {
    Axis *out = ROOM(l, RUN_MAX_RANK, Axis);
    int n = 0;
    for (int i = 0; v && v->kind == VK_NUM && i < v->u.num.nsets; i++) {
        const IndexSet *s = v->u.num.sets[i];
        for (int k = 0; k < s->rank && n < RUN_MAX_RANK; k++, n++) {
            out[n] = (Axis){s->name, s->ext[k], s->kind == SET_RANGE ? s->first : 0, s->kind == SET_GRID ? s->coords : NULL};
            if (s->rank > 1) out[n].name = arena_printf(l->arena, "%s.%d", s->name, k);
            if (s->kind == SET_RANGE || !s->name) out[n].name = arena_printf(l->arena, "index%d", n);
        }
    }
    *count = n;
    return out;
}

/* ---- reports ---------------------------------------------------------------------------------- */

static int number_of_report(Lowering *l, const ReportTask *t) {
    if (!t) return -1;
    for (int i = 0; i < l->reports.n; i++)
        if (l->reports.data[i] == t) return i;
    vec_push(&l->reports, t);
    ((ReportTask *)t)->number = l->reports.n - 1;
    return l->reports.n - 1;
}

static RunReport lower_report(Lowering *l, const ReportTask *t) {
    RunReport r = {.name = t->name, .shape = shape_of_node(t->eval.ir, t->eval.out[0]), .eval = function_of(&t->eval), .has_vjp = t->has_vjp};
    r.axes = axes_of(l, t->value, &r.naxes);
    r.ninputs = t->inputs.n, r.inputs = ROOM(l, t->inputs.n, RunInput);
    for (int i = 0; i < t->inputs.n; i++)
        r.inputs[i] = (RunInput){t->inputs.data[i].sample->index, t->inputs.data[i].primary, t->inputs.data[i].imaginary};
    r.uses = variables_of(l, t->uses.n, t->uses.data);
    r.vjp_uses = variables_of(l, t->vjp_uses.n, t->vjp_uses.data);
    if (t->has_vjp) r.vjp = function_of(&t->vjp);
    return r;
}

/* ---- samples ------------------------------------------------------------------------------------ */

static bool report_reads(const SampleTask *t, const ReportTask *r, const Primary *p) {
    return ir_depends(t->step.ir, r->eval.out[0], p->input_re) || (p->input_im && ir_depends(t->step.ir, r->eval.out[0], p->input_im));
}

/* Is each draw of what is measured needed, and not only some for a plot? */
static bool is_wanted(Lowering *l, const SampleTask *t, const Primary *p) {
    const Plan *plan = l->s->plan;
    for (int i = 0; i < plan->tasks.n; i++) {
        const Task *k = plan->tasks.data[i];
        if (k->kind == TASK_KEEP && k->sample == t && &t->primaries.data[k->kept] == p) return true;
        for (int j = 0; k->sample == t && j < k->saved.n; j++)
            if (!k->saved.data[j].report && &t->primaries.data[k->saved.data[j].primary] == p) return true;
        if (k->report && report_reads(t, k->report, p)) return true;
        for (int j = 0; j < k->reports.n; j++)
            if (k->reports.data[j] && report_reads(t, k->reports.data[j], p)) return true;
    }
    return false;
}

static void lower_state(Lowering *l, const SampleTask *t, RunSample *r) {
    r->nstate = t->state_in.n, r->state = ROOM(l, t->state_in.n, RunArray);
    for (int i = 0; i < t->state_in.n; i++)
        r->state[i] = (RunArray){shape_of_node(t->step.ir, t->state_in.data[i]), ir_is_single(&t->step, t->state_in.data[i])};
}

static void lower_measured(Lowering *l, const SampleTask *t, RunSample *r) {
    r->nprimaries = t->primaries.n, r->primaries = ROOM(l, t->primaries.n, RunPrimary);
    for (int i = 0, output = 0; i < t->primaries.n; i++) {
        const Primary *p = &t->primaries.data[i];
        RunPrimary *q = &r->primaries[i];
        *q = (RunPrimary){.at = place_of(l, p->at), .shape = shape_of_node(t->step.ir, p->node_re), .complex = p->node_im != 0,
                          .wanted = is_wanted(l, t, p)};
        for (int o = 0; o < 1 + q->complex && output < t->measure.nout; o++) q->single[o] = t->measure.single && NODE(t->step.ir, t->measure.out[output++])->rank > 0;
    }
    r->nmonitors = t->frame.monitors.n, r->monitors = ROOM(l, r->nmonitors, RunMonitor);
    for (int i = 0; i < r->nmonitors; i++) r->monitors[i] = (RunMonitor){t->frame.monitors.data[i].name, t->frame.monitors.data[i].tail};
    r->nwarnings = t->frame.warnings.n, r->warnings = ROOM(l, r->nwarnings, RunWarning);
    for (int i = 0; i < r->nwarnings; i++)
        r->warnings[i] = (RunWarning){t->frame.warnings.data[i].name, t->frame.warnings.data[i].text, t->frame.warnings.data[i].always};
}

/* In their order in the state: real parts, imaginary parts of complex ones. */
static RunField *lower_fields(Lowering *l, int n, const FieldInfo *const *fields) {
    RunField *out = ROOM(l, n, RunField);
    for (int i = 0, part = 0; i < n; i++) {
        const FieldInfo *f = fields[i];
        out[i] = (RunField){.name = f->name, .complex = f->kind == FIELD_COMPLEX, .positive = f->kind == FIELD_POSITIVE, .part = part};
        for (int k = 0; k < f->nsets; k++)
            for (int a = 0; a < f->sets[k]->rank; a++) out[i].shape.dim[out[i].shape.rank++] = f->sets[k]->ext[a];
        part += out[i].complex ? 2 : 1;
    }
    return out;
}

static RunSample lower_sample(Lowering *l, const SampleTask *t) {
    RunSample r = {.at = place_of(l, t->decl->value->at), .minimizes = t->minimizes, .single = t->single, .chains = t->chains,
                   .warmup = t->warmup, .draws = t->draws, .thin = t->thin, .sampler = t->sampler, .method = t->method,
                   .nat = t->nat, .at_name = t->at_name, .at_value = t->at_value, .ntargets = t->target.n, .targets = t->target.names,
                   .nstats = t->stats_out.n};
    Text text = {0};
    ast_print_expr(t->decl->value, &text);
    r.objective = arena_strndup(l->arena, text.s, text.n);
    text_free(&text);
    lower_state(l, t, &r);
    if (!t->minimizes) r.fields = lower_fields(l, t->target.n, t->target.fields);
    lower_measured(l, t, &r);
    if (t->minimizes) {
        r.minimized = variables_of(l, t->target.n, t->minimized).at;
        r.found = variables_of(l, t->target.n, t->found).at;
    }
    const IrFunc *f[RUN_FUNCTIONS] = {&t->init, &t->step, &t->measure};
    const Variables *uses[RUN_FUNCTIONS] = {&t->init_uses, &t->step_uses, &t->measure_uses};
    for (int i = 0; i < RUN_FUNCTIONS; i++) {
        r.function[i] = function_of(f[i]);
        r.uses[i] = variables_of(l, uses[i]->n, uses[i]->data);
    }
    return r;
}

/* ---- tasks ---------------------------------------------------------------------------------------- */

/* The only index set of this size, when it is a grid: a measured array does not say
 * over which set it runs. */
static const double *grid_of_size(const Model *m, int64_t n) {
    const IndexSet *found = NULL;
    for (int i = 0; i < m->sets.n; i++) {
        if (set_size(m->sets.data[i]) != n) continue;
        if (found) return NULL;
        found = m->sets.data[i];
    }
    return found && found->kind == SET_GRID ? found->coords : NULL;
}

/* Curves of a kind share a figure, reports when they run over the same index sets. */
static bool share_axes(const PlotCurve *a, const PlotCurve *b) {
    if (a->kind != b->kind || a->kind == PLOT_MAP) return false;
    return a->kind != PLOT_REPORT || value_same_shape(a->report->value, b->report->value);
}

static void lower_curves(Lowering *l, const Task *t, RunTask *r) {
    r->ncurves = t->curves.n, r->curves = ROOM(l, t->curves.n, RunCurve);
    for (int i = 0, first = 0; i < t->curves.n; i++) {
        const PlotCurve *c = &t->curves.data[i];
        RunCurve *q = &r->curves[i];
        *q = (RunCurve){.kind = c->kind, .label = c->label, .monitor = c->monitor, .sample = c->sample ? c->sample->index : -1,
                        .primary = c->primary, .report = number_of_report(l, c->report), .error = number_of_report(l, c->error), .count = c->count};
        q->joins = i > 0 && share_axes(&t->curves.data[first], c);
        if (!q->joins) first = i;
        if (c->kind != PLOT_LINES || !c->sample || c->primary < 0 || c->primary >= c->sample->primaries.n) continue;
        q->ngrid = ir_elements(c->sample->step.ir, c->sample->primaries.data[c->primary].node_re);
        q->grid = grid_of_size(l->s->model, q->ngrid);
    }
}

/* Those of a network that was not yet applied where the task stands are the first that it had. */
static RunVariables variables_of_task(Lowering *l, const Task *t) {
    if (t->variables.n || !t->network) return variables_of(l, t->variables.n, t->variables.data);
    Variable **first = ROOM(l, t->network->weights.n, Variable *);
    for (int i = 0; i < t->network->weights.n; i++)
        for (first[i] = t->network->weights.data[i]; first[i]->before;) first[i] = first[i]->before;
    return variables_of(l, t->network->weights.n, first);
}

static RunTask lower_task(Lowering *l, const Task *t) {
    RunTask r = {.kind = t->kind, .sample = t->sample ? t->sample->index : -1, .report = number_of_report(l, t->report), .look = t->look,
                 .path = t->path, .kept = t->kept, .of_variables = t->network || t->variables.n};
    if (t->path && t->decl && t->decl->path) r.path_at = place_of(l, t->decl->path->at);
    lower_curves(l, t, &r);
    r.nprinted = t->texts.n, r.printed = ROOM(l, t->texts.n, int), r.texts = ROOM(l, t->texts.n, const char *);
    for (int i = 0; i < t->texts.n; i++) r.texts[i] = t->texts.data[i], r.printed[i] = number_of_report(l, t->reports.data[i]);
    r.nitems = t->saved.n, r.items = ROOM(l, t->saved.n, RunItem);
    for (int i = 0; i < t->saved.n; i++)
        r.items[i] = (RunItem){t->saved.data[i].name, number_of_report(l, t->saved.data[i].report), t->saved.data[i].value, t->saved.data[i].primary};
    r.variables = variables_of_task(l, t);
    return r;
}

/* ---- the whole --------------------------------------------------------------------------------------- */

/* Of all texts that were read. */
static uint64_t hash_of_sources(const Sources *ss) {
    uint64_t h = 0;
    for (int i = 0; i < ss->files.n; i++) {
        const Source *s = ss->files.data[i];
        if (strcmp(s->path, "command line")) h = lq_hash(s->text, s->len, h);
    }
    return h;
}

static const char *bounds_of(Lowering *l, const ParamInfo *p) {
    const Decl *d = p->decl;
    if (!d || !d->lo) return NULL;
    Text t = {0};
    text_printf(&t, "%c", d->lo_open ? '(' : '[');
    ast_print_expr(d->lo, &t);
    text_printf(&t, ", ");
    ast_print_expr(d->hi, &t);
    text_printf(&t, "%c", d->hi_open ? ')' : ']');
    const char *s = arena_strndup(l->arena, t.s, t.n);
    text_free(&t);
    return s;
}

static double bound_of(const Lowering *l, const Expr *x) {
    double v = NAN;
    if (x) (void)elab_const(l->s->model->elab, l->s->model->elab->globals, x, "a bound", &v);
    return v;
}

static void lower_params(Lowering *l) {
    const Model *m = l->s->model;
    l->out->nparams = m->params.n, l->out->params = ROOM(l, m->params.n, RunParam);
    for (int i = 0; i < m->params.n; i++) {
        const ParamInfo *p = &m->params.data[i];
        l->out->params[i] = (RunParam){.name = p->name, .doc = p->doc, .boolean = p->boolean, .value = p->value, .dflt = p->dflt, .bounds = bounds_of(l, p)};
        RunParam *q = &l->out->params[i];
        if (q->bounds) q->lo = bound_of(l, p->decl->lo), q->hi = bound_of(l, p->decl->hi), q->lo_open = p->decl->lo_open, q->hi_open = p->decl->hi_open;
    }
}

/* ---- the action, for libraries ---------------------------------------------------------------------------- */

static RunFunction action_function(Lowering *l, const char *name, int nin, const Ref *in, int nout, const Ref *out) {
    IrFunc *f = arena_alloc(l->arena, sizeof *f);
    *f = (IrFunc){.whole = true, .in = ROOM(l, nin, Ref), .nin = nin, .out = ROOM(l, nout, Ref), .nout = nout};
    memcpy(f->in, in, (size_t)nin * sizeof *in);
    memcpy(f->out, out, (size_t)nout * sizeof *out);
    plan_finish(f, name, false, l->s->model->elab->ir);
    return function_of(f);
}

static void push_parts(Elab *e, const Value *v, bool complex, Ref *out, int *n) {
    for (int im = 0; im < 1 + complex; im++)
        out[(*n)++] = im && !v->u.num.complex ? value_node(e, value_zero_like(e, v), false) : value_node(e, v, im);
}

static bool lower_action(Lowering *l, const Decl *d) {
    Elab *e = l->s->model->elab;
    const Value *point[RUN_MAX_FIELDS];
    const FieldInfo *fields[RUN_MAX_FIELDS];
    Span at[RUN_MAX_FIELDS];
    Ref in[2 * RUN_MAX_FIELDS], out[2 * RUN_MAX_FIELDS];
    int nin = 0, nout = 0;
    if (d->kind != DC_ACTION || d->nparams > RUN_MAX_FIELDS) return false;
    const Value *g = action_gradient(e, d, point, fields);
    if (!g || g->kind == VK_ERROR) return false;
    for (int i = 0; i < d->nparams; i++) at[i] = d->name_at;
    const Value *S = elab_call(e, env_find(e->globals, d->name), d->nparams, point, at, 0, NULL, NULL, d->name_at);
    if (S->kind != VK_NUM || S->u.num.complex) return false;
    for (int i = 0; i < d->nparams; i++) {
        push_parts(e, point[i], fields[i]->kind == FIELD_COMPLEX, in, &nin);
        push_parts(e, value_item(g, i), fields[i]->kind == FIELD_COMPLEX, out, &nout);
    }
    Ref value = value_node(e, S, false);
    RunAction *a = &l->out->action;
    *a = (RunAction){.name = d->name, .nfields = d->nparams, .fields = lower_fields(l, d->nparams, fields)};
    a->value = action_function(l, "action", nin, in, 1, &value);
    a->gradient = action_function(l, "gradient", nin, in, nout, out);
    return true;
}

void lower_actions(Session *s, RunProgram *p) {
    Lowering l = {.s = s, .arena = s->arena, .out = p};
    for (int i = 0; i < s->model->decls.n; i++)
        if (lower_action(&l, s->model->decls.data[i])) return;
}

/* ---- settings: after the code was made, when it is known which are fixed -------------------------------- */

typedef struct Recipes { const Ir *ir; Arena *arena; VEC(RunRecipe) out; VEC(Ref) of; int *leaf; } Recipes;

static int number_of_recipe(Recipes *b, Ref r) {
    for (int i = 0; i < b->of.n; i++)
        if (b->of.data[i] == r) return i;
    const Recipe *q = ir_recipe(b->ir, r);
    RunRecipe out = {.setting = -1, .value = ir_const_value(b->ir, r)};
    if (q && q->setting >= 0) {
        Ref dflt = b->ir->settings.data[q->setting].dflt;
        if (dflt) (void)number_of_recipe(b, dflt);
        out.setting = q->setting;
    } else if (q) {
        out.op = q->op;
        for (int i = 0; i < q->n; i++) out.arg[i] = number_of_recipe(b, q->args[i]);
    }
    vec_push(&b->out, out);
    vec_push(&b->of, r);
    return b->of.n - 1;
}

void lower_settings(Session *s, RunProgram *p, int ngroups, CodeGroup *const *groups) {
    const Ir *ir = s->model->elab->ir;
    Recipes b = {.ir = ir, .arena = s->arena};
    for (int i = 0; i < ngroups; i++)
        for (int k = 0; k < groups[i]->nsettings; k++) {
            CodeSettings *c = &groups[i]->settings[k];
            for (int j = 0; j < c->n; j++) c->from[j] = number_of_recipe(&b, (Ref)c->from[j]);
        }
    for (int i = 0; i < s->model->params.n; i++) {       /* also those that no code reads */
        const Value *v = s->model->params.data[i].bound;
        if (v && v->kind == VK_NUM && ir_recipe(ir, v->u.num.re)) (void)number_of_recipe(&b, v->u.num.re);
    }
    p->nsettings = ir->settings.n, p->settings = arena_alloc(s->arena, (size_t)(ir->settings.n + 1) * sizeof *p->settings);
    for (int i = 0; i < ir->settings.n; i++) {
        const Setting *q = &ir->settings.data[i];
        p->settings[i] = (RunSetting){.name = q->name, .value = q->value, .dflt = q->dflt ? number_of_recipe(&b, q->dflt) : -1, .fixed = q->fixed};
    }
    p->nrecipes = b.out.n, p->recipes = arena_alloc(s->arena, (size_t)(b.out.n + 1) * sizeof *p->recipes);
    if (b.out.n) memcpy(p->recipes, b.out.data, (size_t)b.out.n * sizeof *p->recipes);
    vec_free(&b.out), vec_free(&b.of);
}

/* The first paragraph of the comment that the file begins with, or NULL. */
static const char *title_of(Lowering *l) {
    const Sources *ss = &l->s->front.sources;
    const Source *src = NULL;
    for (int i = 0; i < ss->files.n && !src; i++)
        if (!strcmp(ss->files.data[i]->path, l->s->model->path)) src = ss->files.data[i];
    Text t = {0};
    for (size_t at = 0; src && at < src->len && src->text[at] == '#';) {
        const char *line = src->text + at + 1, *end = memchr(line, '\n', src->len - at - 1);
        size_t n = end ? (size_t)(end - line) : src->len - at - 1, blank = 0;
        at += 1 + n + (end != NULL);
        while (blank < n && strchr("# \t\r", line[blank])) blank++;
        if (blank == n) break;
        text_printf(&t, "%s%.*s", t.n ? "\n" : "", (int)(n - blank), line + blank);
    }
    const char *title = t.n ? arena_strndup(l->arena, t.s, t.n) : NULL;
    text_free(&t);
    return title;
}

RunProgram *lower_plan(Session *s) {
    Lowering l = {.s = s, .arena = s->arena};
    const Elab *e = s->model->elab;
    RunProgram *p = l.out = arena_alloc(s->arena, sizeof *p);
    p->path = s->model->path;
    p->title = title_of(&l);
    p->source = hash_of_sources(&s->front.sources);
    lower_params(&l);
    p->nvariables = e->variables.n, p->variables = ROOM(&l, e->variables.n, RunVariable);
    for (int i = 0; i < e->variables.n; i++) {
        const Variable *v = e->variables.data[i];
        p->variables[i] = (RunVariable){.name = v->name, .shape = shape_of_value(v->in), .n = v->n, .before = v->before ? number_of_variable(&l, v->before) : -1,
                                        .start = function_of(&v->start)};
    }
    p->nsamples = s->plan->nsamples, p->samples = ROOM(&l, p->nsamples, RunSample);
    p->ntasks = s->plan->tasks.n, p->tasks = ROOM(&l, p->ntasks, RunTask);
    for (int i = 0; i < p->ntasks; i++) {
        const Task *t = s->plan->tasks.data[i];
        p->tasks[i] = lower_task(&l, t);
        if (t->kind == TASK_SAMPLE) p->samples[t->sample->index] = lower_sample(&l, t->sample);
    }
    p->nreports = l.reports.n, p->reports = ROOM(&l, l.reports.n, RunReport);
    for (int i = 0; i < l.reports.n; i++) p->reports[i] = lower_report(&l, l.reports.data[i]);
    vec_free(&l.reports);
    vec_free(&l.samples);
    return p;
}
