/* program_file.c — a program as JSON text, and back.  One description of each type serves both
 * directions: a visitor goes through its members and either writes or fills them. */
#include "program_file.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

enum { MOST = 1 << 24 };

typedef struct Io {
    json_t *at;                       /* the object being written or read */
    bool    reading, wrong;
    Arena  *arena;
} Io;

typedef void Visit(Io *io, void *item);

static json_t *member(Io *io, const char *key) { return json_object_get(io->at, key); }

static void io_int64(Io *io, const char *key, int64_t *v) {
    if (!io->reading) { json_object_set_new(io->at, key, json_integer(*v)); return; }
    json_t *m = member(io, key);
    io->wrong |= !json_is_integer(m);
    *v = json_integer_value(m);
}

static void io_int(Io *io, const char *key, int *v) {
    int64_t w = *v;
    io_int64(io, key, &w);
    io->wrong |= w < -MOST || w > MOST;
    *v = (int)w;
}

static void io_bool(Io *io, const char *key, bool *v) {
    if (!io->reading) { json_object_set_new(io->at, key, json_boolean(*v)); return; }
    io->wrong |= !json_is_boolean(member(io, key));
    *v = json_is_true(member(io, key));
}

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_string(isnan(v) ? "nan" : v > 0 ? "inf" : "-inf"); }
static double number_value(const json_t *j) { return json_is_string(j) ? strtod(json_string_value(j), NULL) : json_number_value(j); }

static void io_double(Io *io, const char *key, double *v) {
    if (!io->reading) json_object_set_new(io->at, key, number(*v));
    else *v = number_value(member(io, key));
}

/* NULL is a text too. */
static void io_text(Io *io, const char *key, const char **v) {
    if (!io->reading) {
        json_t *s = *v ? json_string(*v) : json_null();
        io->wrong |= !s;
        json_object_set_new(io->at, key, s ? s : json_null());
        return;
    }
    json_t *m = member(io, key);
    io->wrong |= !json_is_string(m) && !json_is_null(m);
    *v = json_is_string(m) ? arena_strndup(io->arena, json_string_value(m), json_string_length(m)) : NULL;
}

static void io_object(Io *io, const char *key, void *item, Visit *visit) {
    json_t *outer = io->at;
    if (io->reading) io->at = json_object_get(outer, key), io->wrong |= !json_is_object(io->at);
    else io->at = json_object();
    visit(io, item);
    if (!io->reading) json_object_set_new(outer, key, io->at);
    io->at = outer;
}

/* n items of some size; read into new memory. */
static void io_list(Io *io, const char *key, int *n, void **items, size_t size, Visit *visit) {
    json_t *outer = io->at, *list = io->reading ? json_object_get(outer, key) : json_array();
    if (io->reading) {
        io->wrong |= !json_is_array(list) || json_array_size(list) > MOST;
        *n = io->wrong ? 0 : (int)json_array_size(list);
        *items = arena_alloc(io->arena, ((size_t)*n + 1) * size);
    }
    for (int i = 0; i < *n; i++) {
        io->at = io->reading ? json_array_get(list, (size_t)i) : json_object();
        visit(io, (char *)*items + (size_t)i * size);
        if (!io->reading) json_array_append_new(list, io->at);
    }
    io->at = outer;
    if (!io->reading) json_object_set_new(outer, key, list);
}

#define LIST(io, key, n, items, visit) io_list(io, key, n, (void **)(items), sizeof **(items), visit)

static void io_numbers(Io *io, const char *key, int64_t n, const double **v) {
    if (!io->reading) {
        json_t *list = *v ? json_array() : json_null();
        for (int64_t i = 0; *v && i < n; i++) json_array_append_new(list, number((*v)[i]));
        json_object_set_new(io->at, key, list);
        return;
    }
    json_t *list = member(io, key);
    *v = NULL;
    if (json_is_null(list)) return;
    io->wrong |= !json_is_array(list) || (int64_t)json_array_size(list) != n;
    if (io->wrong) return;
    double *out = arena_alloc(io->arena, ((size_t)n + 1) * sizeof *out);
    for (int64_t i = 0; i < n; i++) out[i] = number_value(json_array_get(list, (size_t)i));
    *v = out;
}

static void io_ints(Io *io, const char *key, int n, int **v) {
    if (!io->reading) {
        json_t *list = json_array();
        for (int i = 0; *v && i < n; i++) json_array_append_new(list, json_integer((*v)[i]));
        json_object_set_new(io->at, key, list);
        return;
    }
    json_t *list = member(io, key);
    io->wrong |= !json_is_array(list) || json_array_size(list) > MOST;
    if (io->wrong) n = 0;
    *v = arena_alloc(io->arena, ((size_t)n + 1) * sizeof **v);
    for (int i = 0; i < n; i++) (*v)[i] = (int)json_integer_value(json_array_get(list, (size_t)i));
}

static void io_texts(Io *io, const char *key, int n, const char ***v) {
    if (!io->reading) {
        json_t *list = json_array();
        for (int i = 0; *v && i < n; i++) json_array_append_new(list, (*v)[i] ? json_string((*v)[i]) : json_null());
        json_object_set_new(io->at, key, list);
        return;
    }
    json_t *list = member(io, key);
    *v = arena_alloc(io->arena, ((size_t)n + 1) * sizeof **v);
    for (int i = 0; i < n && !io->wrong; i++) {
        json_t *s = json_array_get(list, (size_t)i);
        io->wrong |= !s;
        (*v)[i] = json_is_string(s) ? arena_strndup(io->arena, json_string_value(s), json_string_length(s)) : NULL;
    }
}

/* ==== the types ============================================================================= */

static void visit_shape(Io *io, void *item) {
    Shape *s = item;
    json_t *list = io->reading ? member(io, "dim") : json_array();
    io_int(io, "rank", &s->rank);
    if (io->reading) io->wrong |= s->rank < 0 || s->rank > RUN_MAX_RANK || (int)json_array_size(list) != s->rank;
    if (io->wrong) s->rank = 0;
    for (int i = 0; i < s->rank; i++) {
        if (io->reading) s->dim[i] = json_integer_value(json_array_get(list, (size_t)i));
        else json_array_append_new(list, json_integer(s->dim[i]));
    }
    if (!io->reading) json_object_set_new(io->at, "dim", list);
}

static void visit_function(Io *io, void *item) {
    RunFunction *f = item;
    io_text(io, "name", &f->name);
    io_int(io, "in", &f->nin), io_int(io, "out", &f->nout), io_int(io, "number", &f->number);
}

static void visit_place(Io *io, void *item) {
    RunPlace *p = item;
    io_text(io, "file", &p->file), io_int(io, "line", &p->line), io_int(io, "column", &p->column), io_text(io, "text", &p->text);
}

static void visit_variables(Io *io, void *item) {
    RunVariables *v = item;
    io_int(io, "n", &v->n);
    io_ints(io, "at", v->n, &v->at);
}

static void visit_variable(Io *io, void *item) {
    RunVariable *v = item;
    io_text(io, "name", &v->name);
    io_object(io, "shape", &v->shape, visit_shape);
    io_int64(io, "n", &v->n), io_int(io, "before", &v->before);
    io_object(io, "start", &v->start, visit_function);
}

static void visit_array(Io *io, void *item) {
    RunArray *a = item;
    io_object(io, "shape", &a->shape, visit_shape);
    io_bool(io, "single", &a->single);
}

static void visit_field(Io *io, void *item) {
    RunField *f = item;
    io_text(io, "name", &f->name);
    io_object(io, "shape", &f->shape, visit_shape);
    io_bool(io, "complex", &f->complex), io_bool(io, "positive", &f->positive), io_int(io, "part", &f->part);
}

static void visit_action(Io *io, void *item) {
    RunAction *a = item;
    io_text(io, "name", &a->name);
    LIST(io, "fields", &a->nfields, &a->fields, visit_field);
    io->wrong |= a->nfields > RUN_MAX_FIELDS;
    io_object(io, "value", &a->value, visit_function);
    io_object(io, "gradient", &a->gradient, visit_function);
}

static void visit_primary(Io *io, void *item) {
    RunPrimary *p = item;
    io_object(io, "place", &p->at, visit_place);
    io_object(io, "shape", &p->shape, visit_shape);
    io_bool(io, "complex", &p->complex), io_bool(io, "wanted", &p->wanted);
    io_bool(io, "single", &p->single[0]), io_bool(io, "single.im", &p->single[1]);
}

static void visit_monitor(Io *io, void *item) {
    RunMonitor *m = item;
    io_text(io, "name", &m->name), io_bool(io, "tail", &m->tail);
}

static void visit_warning(Io *io, void *item) {
    RunWarning *w = item;
    io_text(io, "name", &w->name), io_text(io, "text", &w->text), io_bool(io, "always", &w->always);
}

static void visit_sample(Io *io, void *item) {
    static const char *const functions[] = {"init", "step", "measure"}, *const uses[] = {"init.uses", "step.uses", "measure.uses"};
    RunSample *s = item;
    io_object(io, "place", &s->at, visit_place);
    io_text(io, "objective", &s->objective);
    io_bool(io, "minimizes", &s->minimizes), io_bool(io, "single", &s->single);
    io_int64(io, "chains", &s->chains), io_int64(io, "warmup", &s->warmup), io_int64(io, "draws", &s->draws), io_int64(io, "thin", &s->thin);
    io_text(io, "sampler", &s->sampler), io_text(io, "method", &s->method);
    io_int(io, "nat", &s->nat);
    io_texts(io, "at.name", s->nat, &s->at_name);
    io_numbers(io, "at.value", s->nat, (const double **)&s->at_value);
    io_int(io, "ntargets", &s->ntargets);
    io_texts(io, "targets", s->ntargets, &s->targets);
    int nfields = s->fields ? s->ntargets : 0;
    LIST(io, "fields", &nfields, &s->fields, visit_field);
    io->wrong |= !s->minimizes && nfields != s->ntargets;
    io_ints(io, "minimized", s->minimizes ? s->ntargets : 0, &s->minimized);
    io_ints(io, "found", s->minimizes ? s->ntargets : 0, &s->found);
    LIST(io, "state", &s->nstate, &s->state, visit_array);
    io_int(io, "nstats", &s->nstats);
    LIST(io, "primaries", &s->nprimaries, &s->primaries, visit_primary);
    LIST(io, "monitors", &s->nmonitors, &s->monitors, visit_monitor);
    LIST(io, "warnings", &s->nwarnings, &s->warnings, visit_warning);
    for (int i = 0; i < RUN_FUNCTIONS; i++) {
        io_object(io, functions[i], &s->function[i], visit_function);
        io_object(io, uses[i], &s->uses[i], visit_variables);
    }
}

static void visit_axis(Io *io, void *item) {
    Axis *a = item;
    io_text(io, "name", &a->name), io_int64(io, "n", &a->n), io_int64(io, "first", &a->first);
    io_numbers(io, "coords", a->n, &a->coords);
}

static void visit_input(Io *io, void *item) {
    RunInput *i = item;
    io_int(io, "sample", &i->sample), io_int(io, "primary", &i->primary), io_bool(io, "imaginary", &i->imaginary);
}

static void visit_report(Io *io, void *item) {
    RunReport *r = item;
    io_text(io, "name", &r->name);
    io_object(io, "shape", &r->shape, visit_shape);
    LIST(io, "axes", &r->naxes, &r->axes, visit_axis);
    LIST(io, "inputs", &r->ninputs, &r->inputs, visit_input);
    io_object(io, "uses", &r->uses, visit_variables);
    io_object(io, "vjp.uses", &r->vjp_uses, visit_variables);
    io_object(io, "eval", &r->eval, visit_function);
    io_object(io, "vjp", &r->vjp, visit_function);
    io_bool(io, "has_vjp", &r->has_vjp);
}

static void visit_curve(Io *io, void *item) {
    RunCurve *c = item;
    int kind = c->kind;
    io_int(io, "kind", &kind);
    c->kind = (PlotKind)kind;
    io_text(io, "label", &c->label), io_text(io, "monitor", &c->monitor);
    io_int(io, "sample", &c->sample), io_int(io, "primary", &c->primary), io_int(io, "report", &c->report), io_int(io, "error", &c->error);
    io_int(io, "count", &c->count), io_int64(io, "ngrid", &c->ngrid);
    io_numbers(io, "grid", c->ngrid, &c->grid);
    io_bool(io, "joins", &c->joins);
}

static void visit_look(Io *io, void *item) {
    PlotLook *l = item;
    int style = l->style;
    io_text(io, "title", &l->title), io_text(io, "xlabel", &l->xlabel), io_text(io, "ylabel", &l->ylabel);
    io_text(io, "xunit", &l->xunit), io_text(io, "yunit", &l->yunit);
    io_bool(io, "log_x", &l->log_x), io_bool(io, "log_y", &l->log_y);
    io_int(io, "style", &style);
    l->style = (PlotStyle)style;
}

static void visit_item(Io *io, void *item) {
    RunItem *i = item;
    io_text(io, "name", &i->name), io_int(io, "report", &i->report), io_bool(io, "value", &i->value), io_int(io, "primary", &i->primary);
}

static void visit_task(Io *io, void *item) {
    RunTask *t = item;
    int kind = t->kind;
    io_int(io, "kind", &kind);
    t->kind = (TaskKind)kind;
    io_int(io, "sample", &t->sample), io_int(io, "report", &t->report);
    LIST(io, "curves", &t->ncurves, &t->curves, visit_curve);
    io_object(io, "look", &t->look, visit_look);
    io_int(io, "nprinted", &t->nprinted);
    io_ints(io, "printed", t->nprinted, &t->printed);
    io_texts(io, "texts", t->nprinted, &t->texts);
    LIST(io, "items", &t->nitems, &t->items, visit_item);
    io_text(io, "path", &t->path);
    io_object(io, "path.at", &t->path_at, visit_place);
    io_bool(io, "of_variables", &t->of_variables);
    io_object(io, "variables", &t->variables, visit_variables);
    io_int(io, "kept", &t->kept);
}

static void visit_given(Io *io, void *item) {
    Given *g = item;
    io_text(io, "name", &g->name), io_text(io, "text", &g->text);
    io->wrong |= !g->name || !g->text;
}

static void visit_param(Io *io, void *item) {
    RunParam *p = item;
    io_text(io, "name", &p->name), io_text(io, "doc", &p->doc), io_bool(io, "boolean", &p->boolean), io_bool(io, "whole", &p->whole);
    io_double(io, "value", &p->value), io_double(io, "default", &p->dflt);
    io_text(io, "bounds", &p->bounds), io_text(io, "fixed", &p->fixed);
    io_double(io, "lo", &p->lo), io_double(io, "hi", &p->hi), io_bool(io, "lo_open", &p->lo_open), io_bool(io, "hi_open", &p->hi_open);
}

static void visit_setting(Io *io, void *item) {
    RunSetting *s = item;
    io_text(io, "name", &s->name), io_double(io, "value", &s->value), io_int(io, "default", &s->dflt), io_text(io, "fixed", &s->fixed);
}

static void visit_recipe(Io *io, void *item) {
    static const char *const args[] = {"a", "b", "c"};
    RunRecipe *r = item;
    io_int(io, "setting", &r->setting), io_int(io, "op", &r->op), io_double(io, "value", &r->value);
    for (int i = 0; i < 3; i++) io_int(io, args[i], &r->arg[i]);
}

static void visit_data(Io *io, void *item) {
    RunData *d = item;
    io_object(io, "make", &d->make, visit_function), io_int64(io, "n", &d->n);
}

/* Recipes refer to earlier ones and to settings that there are. */
static bool recipes_are_sound(const RunProgram *p) {
    for (int i = 0; i < p->nrecipes; i++) {
        const RunRecipe *r = &p->recipes[i];
        if (r->setting >= p->nsettings) return false;
        for (int k = 0; k < 3; k++)
            if (r->arg[k] < 0 || (r->op && r->arg[k] >= i && r->arg[k] > 0)) return false;
    }
    for (int i = 0; i < p->nsettings; i++)
        if (p->settings[i].dflt >= p->nrecipes) return false;
    return true;
}

static void visit_program(Io *io, RunProgram *p) {
    int64_t source = (int64_t)p->source;
    io_text(io, "path", &p->path), io_text(io, "title", &p->title), io_int64(io, "source", &source);
    p->source = (uint64_t)source;
    LIST(io, "given", &p->ngiven, &p->given, visit_given);
    LIST(io, "params", &p->nparams, &p->params, visit_param);
    LIST(io, "settings", &p->nsettings, &p->settings, visit_setting);
    LIST(io, "recipes", &p->nrecipes, &p->recipes, visit_recipe);
    LIST(io, "data", &p->ndata, &p->data, visit_data);
    LIST(io, "variables", &p->nvariables, &p->variables, visit_variable);
    LIST(io, "samples", &p->nsamples, &p->samples, visit_sample);
    LIST(io, "reports", &p->nreports, &p->reports, visit_report);
    LIST(io, "tasks", &p->ntasks, &p->tasks, visit_task);
    io_object(io, "action", &p->action, visit_action);
}

char *program_write(const RunProgram *p) {
    RunProgram copy = *p;
    Io io = {.at = json_object()};
    visit_program(&io, &copy);
    char *text = io.wrong ? NULL : json_dumps(io.at, JSON_COMPACT);
    json_decref(io.at);
    return text;
}

RunProgram *program_read(const char *text, size_t n, Arena *arena) {
    Io io = {.at = json_loadb(text, n, 0, NULL), .reading = true, .arena = arena};
    RunProgram *p = arena_alloc(arena, sizeof *p);
    if (!json_is_object(io.at)) return NULL;
    visit_program(&io, p);
    json_decref(io.at);
    return io.wrong || !recipes_are_sound(p) ? NULL : p;
}
