/* variables.c — the values of weights and of fields that were minimised over, while a program
 * runs: drawn when they are first needed, then found by minimisations or loaded. */
#include "results.h"

#include "../../runtime/io/arrays.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const double *variable_data(const RunResult *r, Variable *v) {
    if (v->data) return v->data;
    if (v->before) return variable_data(r, v->before);      /* the task that gives it was interrupted */
    v->data = arena_alloc(r->arena, (size_t)(v->n + 1) * sizeof *v->data);
    interp_call(&v->start, NULL, &v->data, (RandKey){r->options->seed, 0, 0});
    return v->data;
}

/* The values as code wants them whose rows lie in eight parts. */
static const double *split_data(const RunResult *r, Variable *v) {
    const double *data = variable_data(r, v);
    const Ir *ir = v->start.ir;
    Ref node = v->start.out[0];
    int64_t row = NODE(ir, node)->rank ? NDIM(ir, node, NODE(ir, node)->rank - 1) : 1;
    if (!v->split) v->split = arena_alloc(r->arena, (size_t)(v->n + 1) * sizeof *v->split);
    for (int64_t k = 0; k < v->n; k++) v->split[kernel_place(row, k)] = data[k];
    return v->split;
}

void variable_inputs(const RunResult *r, const Variables *uses, bool split, const double **in) {
    for (int i = 0; i < uses->n; i++) in[i] = split ? split_data(r, uses->data[i]) : variable_data(r, uses->data[i]);
}

/* ---- files ---------------------------------------------------------------------------------- */

/* Those of a network that was not yet applied where the task stands are the first that it had. */
static const Variables *variables_of(const RunResult *r, const Task *t) {
    if (t->variables.n || !t->network) return &t->variables;
    Variables *first = arena_alloc(r->arena, sizeof *first);
    *first = (Variables){.data = arena_alloc(r->arena, (size_t)(t->network->weights.n + 1) * sizeof *first->data), .n = t->network->weights.n};
    for (int i = 0; i < first->n; i++) {
        Variable *w = t->network->weights.data[i];
        while (w->before) w = w->before;
        first->data[i] = w;
    }
    return first;
}

static int shape_of(const Variable *v, int64_t *shape) {
    int rank = 0;
    for (int i = 0; i < v->in->u.num.nsets; i++)
        for (int k = 0; k < v->in->u.num.sets[i]->rank; k++) shape[rank++] = v->in->u.num.sets[i]->ext[k];
    return rank;
}

int variables_save(RunResult *r, const Task *t, const char *folder) {
    const Variables *all = variables_of(r, t);
    Array *a = arena_alloc(r->arena, (size_t)(all->n + 1) * sizeof *a);
    char err[512] = "";
    for (int i = 0; i < all->n; i++) {
        a[i] = (Array){.name = all->data[i]->name, .data = variable_data(r, all->data[i])};
        a[i].rank = shape_of(all->data[i], a[i].shape);
    }
    return arrays_write(folder, t->path, all->n, a, err, sizeof err) ? output_failed(t->path, err) : 0;
}

static int refuse(const RunResult *r, const Task *t, const char *what) {
    const Sources *ss = &r->model->front->sources;
    Span at = t->decl->path->at;
    int line, column;
    source_position(ss, at.file, at.lo, &line, &column);
    fprintf(stderr, "%s:%d:%d: error: %s\n", ss->files.data[at.file]->path, line, column, what);
    return 66;
}

/* One array of the file becomes the values of a variable; NULL, or what is wrong. */
static const char *load_one(RunResult *r, ArrayFile *f, const char *path, Variable *v) {
    int64_t want[IR_MAX_RANK];
    int rank = shape_of(v, want), i = arrays_find(f, v->name);
    char a[128], b[128], err[400] = "";
    if (i < 0) return arena_printf(r->arena, "%s has no array \"%s\"", path, v->name);
    const ArrayInfo *info = arrays_info(f, i);
    bool same = info->rank == rank && !array_is_complex(info->type);
    for (int k = 0; same && k < rank; k++) same = info->shape[k] == want[k];
    if (!same) return arena_printf(r->arena, "%s: \"%s\" has the shape %s there, and %s in this program", path, v->name,
                                   array_shape_text(info->rank, info->shape, a), array_shape_text(rank, want, b));
    double *data = arena_alloc(r->arena, (size_t)(v->n + 1) * sizeof *data);
    if (arrays_load(f, i, data, err, sizeof err)) return arena_printf(r->arena, "%s", err);
    for (int64_t k = 0; k < v->n; k++)
        if (!isfinite(data[k])) return arena_printf(r->arena, "%s: element %lld of \"%s\" is not a finite number", path, (long long)k, v->name);
    v->data = data;
    return NULL;
}

int variables_load(RunResult *r, const Task *t) {
    char err[400] = "";
    const Variables *all = variables_of(r, t);
    ArrayFile *f = arrays_open_below(path_folder(r->arena, r->options->path), t->path, err, sizeof err);
    if (!f && !*err && r->options->out) f = arrays_open_below(r->options->out, t->path, err, sizeof err);
    for (int i = 0; !f && !*err && i < r->model->front->ndata; i++) f = arrays_open_below(r->model->front->data[i], t->path, err, sizeof err);
    if (!f) return refuse(r, t, *err ? err : arena_printf(r->arena, "there is no file %s", t->path));
    const char *problem = NULL;
    for (int i = 0; i < all->n && !problem; i++) problem = load_one(r, f, t->path, all->data[i]);
    arrays_close(f);
    return problem ? refuse(r, t, problem) : 0;
}

/* Configurations spread evenly over all chains and draws become the elements of a variable. */
int variables_keep(RunResult *r, const Task *t) {
    if (t->sample->index >= r->samples.n) return 0;              /* interrupted before the first draw */
    Variable *v = t->variables.data[0];
    const SampleData *d = r->samples.data[t->sample->index];
    const Series *s = &d->primaries[t->kept];
    int64_t n = v->n / (s->n ? s->n : 1), rows = d->chains * s->draws;
    if (!v->data) v->data = arena_alloc(r->arena, (size_t)(v->n + 1) * sizeof *v->data);
    for (int64_t i = 0; i < n; i++)
        memcpy(v->data + i * s->n, s->data + i * rows / n * s->n, (size_t)s->n * sizeof *v->data);
    return 0;
}
