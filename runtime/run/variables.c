/* variables.c — the values of weights and of fields that were minimised over, while a program
 * runs: drawn when they are first needed, then found by minimisations or loaded. */
#include "results.h"

#include "../io/arrays.h"

#include <math.h>
#include <stdlib.h>

/* Code reads whole vectors of its inputs, from where vectors may lie. */
static double *vectors_room(Arena *a, int64_t n) {
    size_t bytes = ((size_t)n * sizeof(double) + 63) / 64 * 64;
    char *p = arena_alloc(a, bytes + 64);
    return (double *)(p + (-(uintptr_t)p & 63));
}

double *variable_room(RunResult *r, int variable) {
    VariableData *d = &r->variables[variable];
    if (!d->data) d->data = vectors_room(r->arena, r->program->variables[variable].n);
    return d->data;
}

const double *variable_data(RunResult *r, int variable) {
    const RunVariable *v = &r->program->variables[variable];
    if (r->variables[variable].data) return r->variables[variable].data;
    if (v->before >= 0) return variable_data(r, v->before);      /* the task that gives it was interrupted */
    double *data = variable_room(r, variable);
    r->engine->evaluate(r->engine->context, &v->start, NULL, &data, r->settings->seed, 0);
    return data;
}

/* The values as code wants them whose rows lie in eight parts. */
static const double *split_data(RunResult *r, int variable) {
    const double *data = variable_data(r, variable);
    const RunVariable *v = &r->program->variables[variable];
    VariableData *d = &r->variables[variable];
    int64_t row = shape_row(&v->shape);
    if (!d->split) d->split = vectors_room(r->arena, v->n);
    for (int64_t k = 0; k < v->n; k++) d->split[row_place(row, k)] = data[k];
    return d->split;
}

void variable_inputs(RunResult *r, const RunVariables *uses, bool split, const double **in) {
    for (int i = 0; i < uses->n; i++) in[i] = split ? split_data(r, uses->at[i]) : variable_data(r, uses->at[i]);
}

/* ---- files ---------------------------------------------------------------------------------- */

int variables_save(RunResult *r, const RunTask *t, const char *folder) {
    const RunVariables *all = &t->variables;
    Array *a = arena_alloc(r->arena, (size_t)(all->n + 1) * sizeof *a);
    char err[512] = "";
    for (int i = 0; i < all->n; i++) {
        const RunVariable *v = &r->program->variables[all->at[i]];
        a[i] = (Array){.name = v->name, .rank = v->shape.rank, .data = variable_data(r, all->at[i])};
        for (int k = 0; k < v->shape.rank; k++) a[i].shape[k] = v->shape.dim[k];
    }
    return arrays_write(folder, t->path, all->n, a, err, sizeof err) ? output_failed(t->path, err) : 0;
}

static int refuse(const RunTask *t, const char *what) {
    run_complain(&t->path_at, "%s", what);
    return 66;
}

/* One array of the file becomes the values of a variable; NULL, or what is wrong. */
static const char *load_one(RunResult *r, ArrayFile *f, const char *path, int variable) {
    const RunVariable *v = &r->program->variables[variable];
    int rank = v->shape.rank, i = arrays_find(f, v->name);
    char a[128], b[128], err[400] = "";
    if (i < 0) return arena_printf(r->arena, "%s has no array \"%s\"", path, v->name);
    const ArrayInfo *info = arrays_info(f, i);
    bool same = info->rank == rank && !array_is_complex(info->type);
    for (int k = 0; same && k < rank; k++) same = info->shape[k] == v->shape.dim[k];
    if (!same) return arena_printf(r->arena, "%s: \"%s\" has the shape %s there, and %s in this program", path, v->name,
                                   array_shape_text(info->rank, info->shape, a), array_shape_text(rank, v->shape.dim, b));
    double *data = vectors_room(r->arena, v->n);
    if (arrays_load(f, i, data, err, sizeof err)) return arena_printf(r->arena, "%s", err);
    for (int64_t k = 0; k < v->n; k++)
        if (!isfinite(data[k])) return arena_printf(r->arena, "%s: element %lld of \"%s\" is not a finite number", path, (long long)k, v->name);
    r->variables[variable].data = data;
    return NULL;
}

int variables_load(RunResult *r, const RunTask *t) {
    char err[400] = "";
    ArrayFile *f = arrays_open_below(own_folder(r), t->path, err, sizeof err);
    if (!f && !*err && r->settings->out) f = arrays_open_below(r->settings->out, t->path, err, sizeof err);
    for (int i = 0; !f && !*err && i < r->settings->ndata; i++) f = arrays_open_below(r->settings->data[i], t->path, err, sizeof err);
    if (!f) return refuse(t, *err ? err : arena_printf(r->arena, "there is no file %s", t->path));
    const char *problem = NULL;
    for (int i = 0; i < t->variables.n && !problem; i++) problem = load_one(r, f, t->path, t->variables.at[i]);
    arrays_close(f);
    return problem ? refuse(t, problem) : 0;
}

/* Configurations spread evenly over all chains and draws become the elements of a variable. */
int variables_keep(RunResult *r, const RunTask *t) {
    if (t->sample >= r->samples.n) return 0;              /* interrupted before the first draw */
    int variable = t->variables.at[0];
    const SampleData *d = r->samples.data[t->sample];
    const Series *s = &d->primaries[t->kept];
    int64_t n = r->program->variables[variable].n / (s->n ? s->n : 1), rows = d->chains * s->draws;
    double *data = variable_room(r, variable);
    for (int64_t i = 0; i < n; i++)
        memcpy(data + i * s->n, s->data + i * rows / n * s->n, (size_t)s->n * sizeof *data);
    return 0;
}
