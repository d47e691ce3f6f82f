/* saves.c — the files of `save`: results with their errors, values, and whole series; where
 * files may go, and what is said when that fails.
 *
 *   NPZ, HDF5, safetensors   G, G.error, G.tau_int for a result G, the points of its grids;
 *           D for a value; a series as NPY has it
 *   NPY     result [shape…, 2]: value, error.  Value [shape…].
 *           Series [chain, draw, shape…] (complex: [chain, draw, 2, shape…], re and im)
 *   CSV     result: index…, value, error, tau_int.  Several: their names instead.
 *           Series: chain, draw, element, value */
#include "results.h"

#include "../io/arrays.h"
#include "../io/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CANNOT_CREATE = 73, CANNOT_WRITE = 74 };

/* ==== where files go ========================================================================= */

bool make_folders(const char *path) {
    size_t n = strlen(path);
    char *copy = lq_alloc(n + 1);
    memcpy(copy, path, n + 1);
    bool ok = true;
    for (size_t i = 1; i <= n && ok; i++) {
        if (copy[i] != '/' && copy[i] != '\0') continue;
        char end = copy[i];
        copy[i] = '\0';
        ok = mkdir(copy, 0777) == 0 || errno == EEXIST || errno == EISDIR;
        copy[i] = end;
    }
    struct stat st;
    int cause = errno;
    if (ok && stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) ok = false, cause = ENOTDIR;
    free(copy);
    errno = cause;
    return ok;
}

const char *own_folder(const RunResult *r) { return r->settings->folder ? r->settings->folder : path_folder(r->arena, r->program->path); }

const char *output_folder(RunResult *r) {
    const char *folder = r->settings->out ? r->settings->out : own_folder(r);
    if (*folder && make_folders(folder)) return folder;
    fprintf(stderr, "lqft: cannot create the folder %s: %s\n", folder, *folder ? strerror(errno) : "it has no name");
    return NULL;
}

/* The writers name the step, the path and the cause, in this or another order. */
int output_failed(const char *path, const char *err) {
    bool create = strstr(err, "cannot create") != NULL;
    const char *reason = err;
    for (const char *c = err; (c = strstr(c, ": ")); ) reason = c += 2;
    fprintf(stderr, "lqft: cannot %s %s: %s\n", create ? "create" : "write", path, *reason ? reason : "unknown reason");
    return create ? CANNOT_CREATE : CANNOT_WRITE;
}

/* ==== results and their axes ==================================================================== */

const ReportResult *result_of(RunResult *r, int report) {
    const RunReport *t = &r->program->reports[report];
    for (int i = 0; i < r->reports.n; i++)
        if (r->reports.data[i]->task == t) return r->reports.data[i];
    return summarize_report(r, t);
}

double axis_label(const Axis *a, int64_t i) { return a->coords ? a->coords[i] : (double)(a->first + i); }

/* ==== a file =================================================================================== */

/* The arrays of a file, and what is made for them. */
typedef struct Contents {
    RunResult *run;
    Arena *arena;
    VEC(Array) arrays;
} Contents;

static double *numbers(Contents *c, int64_t n) { return arena_alloc(c->arena, (size_t)(n ? n : 1) * sizeof(double)); }

static void add_array(Contents *c, const char *name, int rank, const int64_t *shape, const double *data) {
    Array a = {.name = name, .rank = rank, .data = data};
    if (rank) memcpy(a.shape, shape, (size_t)rank * sizeof *shape);
    vec_push(&c->arrays, a);
}

/* ==== tables ==================================================================================== */

static double *column(Contents *c, const char *name, int64_t rows) {
    double *v = numbers(c, rows);
    add_array(c, name, 1, &rows, v);
    return v;
}

static void known_column(Contents *c, const char *name, int64_t rows, const double *data) { add_array(c, name, 1, &rows, data); }

/* Where each row stands. */
static void index_columns(Contents *c, const ReportResult *r) {
    const Axis *axes = r->task->axes;
    int n = r->task->naxes;
    int64_t inner = r->n;
    for (int i = 0; i < n && n == r->rank; i++) {
        double *v = column(c, axes[i].name, r->n);
        inner /= axes[i].n ? axes[i].n : 1;
        for (int64_t k = 0; k < r->n; k++) v[k] = axis_label(&axes[i], k / inner % axes[i].n);
    }
}

/* Results of one shape.  A single one is called value. */
static void report_columns(Contents *c, const RunItem *items, int n) {
    for (int i = 0; i < n; i++) {
        const ReportResult *r = result_of(c->run, items[i].report);
        bool alone = n == 1 && !items[i].value;
        if (i == 0) index_columns(c, r);
        known_column(c, alone ? "value" : items[i].name, r->n, r->value);
        if (items[i].value) continue;
        known_column(c, alone ? "error" : arena_printf(c->arena, "%s.error", items[i].name), r->n, r->error);
        known_column(c, alone ? "tau_int" : arena_printf(c->arena, "%s.tau_int", items[i].name), r->n, r->tau_int);
    }
}

static void series_columns(Contents *c, const Series *s, int64_t chains) {
    int64_t rows = chains * s->draws * s->n;
    double *chain = column(c, "chain", rows), *draw = column(c, "draw", rows);
    double *element = column(c, "element", rows);
    for (int64_t i = 0; i < rows; i++) {
        chain[i] = (double)(i / (s->draws * s->n));
        draw[i] = (double)(i / s->n % s->draws * s->stride);
        element[i] = (double)(i % s->n);
    }
    known_column(c, "value", rows, s->data);
}

/* ==== arrays ====================================================================================== */

/* NPY has no names: values and errors side by side. */
static void report_pairs(Contents *c, const ReportResult *r) {
    int64_t shape[RUN_MAX_RANK + 1];
    double *both = numbers(c, 2 * r->n);
    for (int64_t k = 0; k < r->n; k++) both[2 * k] = r->value[k], both[2 * k + 1] = r->error[k];
    for (int i = 0; i < r->rank; i++) shape[i] = r->shape[i];
    shape[r->rank] = 2;
    add_array(c, "", r->rank + 1, shape, both);
}

static bool has_array(const Contents *c, const char *name) {
    for (int i = 0; i < c->arrays.n; i++)
        if (!strcmp(c->arrays.data[i].name, name)) return true;
    return false;
}

/* The points of the grids that a result runs over, by the names of the grids. */
static void grid_arrays(Contents *c, const RunTask *t) {
    for (int i = 0; i < t->nitems; i++) {
        const RunReport *q = t->items[i].report < 0 ? NULL : &c->run->program->reports[t->items[i].report];
        const Axis *axes = q ? q->axes : NULL;
        int n = q ? q->naxes : 0;
        for (int k = 0; k < n; k++)
            if (axes[k].coords && axes[k].name && !has_array(c, axes[k].name)) add_array(c, axes[k].name, 1, &axes[k].n, axes[k].coords);
    }
}

static void report_arrays(Contents *c, const RunItem *item) {
    const ReportResult *r = result_of(c->run, item->report);
    add_array(c, item->name, r->rank, r->shape, r->value);
    if (item->value) return;
    add_array(c, arena_printf(c->arena, "%s.error", item->name), r->rank, r->shape, r->error);
    add_array(c, arena_printf(c->arena, "%s.tau_int", item->name), r->rank, r->shape, r->tau_int);
}

static void series_array(Contents *c, const char *name, const Series *s, const SampleData *d, const RunPrimary *p) {
    int64_t shape[RUN_MAX_RANK + 3] = {d->chains, s->draws};
    int rank = 2;
    if (p->complex) shape[rank++] = 2;
    for (int i = 0; i < p->shape.rank; i++) shape[rank++] = p->shape.dim[i];
    add_array(c, name, rank, shape, s->data);
}

/* ==== save ======================================================================================== */

/* False when the run was interrupted before the first draw. */
static bool add_series(Contents *c, const RunTask *t, const RunItem *item, bool table) {
    if (t->sample < 0 || t->sample >= c->run->samples.n) return false;
    const SampleData *d = c->run->samples.data[t->sample];
    if (item->primary >= d->nprimaries) return false;
    const Series *s = &d->primaries[item->primary];
    if (table) series_columns(c, s, d->chains);
    else series_array(c, item->name, s, d, &d->task->primaries[item->primary]);
    return true;
}

static bool ends_in(const char *name, const char *suffix) {
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && !strcmp(name + n - m, suffix);
}

static bool fill(Contents *c, const RunTask *t) {
    bool table = ends_in(t->path, ".csv"), alone = arrays_single(t->path), ok = true;
    if (table && t->items[0].report >= 0) {
        report_columns(c, t->items, t->nitems);
        return true;
    }
    for (int i = 0; i < t->nitems && ok; i++) {
        const RunItem *item = &t->items[i];
        if (item->report < 0) ok = add_series(c, t, item, table);
        else if (alone && !item->value) report_pairs(c, result_of(c->run, item->report));
        else report_arrays(c, item);
    }
    if (!alone && !table) grid_arrays(c, t);
    return ok;
}

/* Files are saved below the output folder only; arrays_write would refuse the others too. */
static bool may_be_written(RunResult *r, const char *path) {
    const char *problem = file_name_problem(path);
    if (!problem) return true;
    fprintf(stderr, "lqft: cannot create %s: %s\n", path, problem);
    run_diagnostic(r, NOTICE_FAILED, "D0201", "`save … to \"%s\"` was refused: a program writes only below its output folder. Give a relative path "
                   "without `..`, and choose the folder with --out.", path);
    return false;
}

int saves_write(RunResult *r, const RunTask *t) {
    const char *folder = may_be_written(r, t->path) ? output_folder(r) : NULL;
    if (!folder) return CANNOT_CREATE;
    const char *path = strcmp(folder, ".") || r->settings->out ? arena_printf(r->arena, "%s/%s", folder, t->path) : t->path;
    Contents c = {.run = r, .arena = arena_new()};
    char err[512] = "";
    int status = 0;
    if (t->of_variables) {
        if ((status = variables_save(r, t, folder)) == 0) vec_push(&r->files, path);
    } else if (fill(&c, t)) {
        if (arrays_write(folder, t->path, c.arrays.n, c.arrays.data, err, sizeof err)) status = output_failed(path, err);
        else vec_push(&r->files, path);
    }
    vec_free(&c.arrays);
    arena_free(c.arena);
    return status;
}
