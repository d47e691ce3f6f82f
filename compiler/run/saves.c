/* saves.c — the files of `save`: reports with their errors, and whole series, as NPY or
 * CSV; where files may go, and what is said when that fails.
 *
 *   report  NPY [shape…, 2]: value, error.  CSV: index…, value, error, tau_int
 *   series  NPY [chain, draw, shape…] (complex: [chain, draw, 2, shape…], re and im).
 *           CSV: chain, draw, element, value */
#include "results.h"

#include "../../runtime/io/arrays.h"
#include "../../runtime/io/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CANNOT_CREATE = 73, CANNOT_WRITE = 74 };

/* ==== where files go ========================================================================= */

/* The folder and those above it. */
static bool make_folders(const char *path) {
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

const char *output_folder(RunResult *r) {
    const char *folder = r->options->out ? r->options->out : path_folder(r->arena, r->options->path);
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

/* Relative, and never upwards: a model writes below its folder only. */
static bool path_stays_below(const char *path) {
    if (!path || !*path || *path == '/') return false;
    for (const char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        if (part[0] == '.' && part[1] == '.' && (part[2] == '/' || part[2] == '\0')) return false;
    return true;
}

/* The place of a saved file, its folder made; NULL after a message. */
static const char *place_of(RunResult *r, const char *path) {
    if (!path_stays_below(path)) {
        fprintf(stderr, "lqft: cannot create %s: files are saved below the output folder, by a path without `..`\n", path ? path : "");
        run_diagnostic(r, NOTICE_FAILED, "D0201", "`save … to \"%s\"` was refused: a program writes only below its output folder. Give a relative path "
                       "without `..`, and choose the folder with --out.", path ? path : "");
        return NULL;
    }
    const char *folder = output_folder(r);
    if (!folder) return NULL;
    const char *full = arena_printf(r->arena, "%s/%s", folder, path);
    if (strcmp(folder, ".") == 0 && !r->options->out) full = path;
    const char *below = path_folder(r->arena, full);
    if (make_folders(below)) return full;
    fprintf(stderr, "lqft: cannot create the folder %s: %s\n", below, strerror(errno));
    return NULL;
}

/* ==== results and their axes ==================================================================== */

const ReportResult *result_of(RunResult *r, const ReportTask *t) {
    for (int i = 0; i < r->reports.n; i++)
        if (r->reports.data[i]->task == t) return r->reports.data[i];
    return summarize_report(r, t);
}

int value_axes(Arena *arena, const Value *v, Axis *out) {
    int n = 0;
    for (int i = 0; v && v->kind == VK_NUM && i < v->u.num.nsets; i++) {
        const IndexSet *s = v->u.num.sets[i];
        for (int k = 0; k < s->rank && n < IR_MAX_RANK; k++, n++) {
            out[n] = (Axis){s->name, s->ext[k], s->kind == SET_RANGE ? s->first : 0, s->kind == SET_GRID ? s->coords : NULL};
            if (s->rank > 1) out[n].name = arena_printf(arena, "%s.%d", s->name, k);
            if (s->kind == SET_RANGE || !s->name) out[n].name = arena_printf(arena, "index%d", n);
        }
    }
    return n;
}

double axis_label(const Axis *a, int64_t i) { return a->coords ? a->coords[i] : (double)(a->first + i); }

/* ==== CSV ======================================================================================= */

typedef struct Columns { int n; const char *names[IR_MAX_RANK + 4]; double *at[IR_MAX_RANK + 4]; } Columns;

static double *new_column(Columns *c, const char *name, int64_t rows) {
    double *v = lq_alloc((size_t)(rows ? rows : 1) * sizeof *v);
    c->names[c->n] = name;
    c->at[c->n++] = v;
    return v;
}

static int write_columns(const char *path, Columns *c, int64_t rows) {
    char err[512] = "";
    int bad = csv_write(path, c->n, c->names, rows, (const double *const *)c->at, err, sizeof err);
    for (int i = 0; i < c->n; i++) free(c->at[i]);
    return bad ? output_failed(path, err) : 0;
}

static int report_csv(RunResult *run, const char *path, const ReportResult *r) {
    Axis axes[IR_MAX_RANK];
    Columns c = {0};
    int n = value_axes(run->arena, r->task->value, axes);
    int64_t inner = r->n;
    for (int i = 0; i < n && n == r->rank; i++) {
        double *v = new_column(&c, axes[i].name, r->n);
        inner /= axes[i].n ? axes[i].n : 1;
        for (int64_t k = 0; k < r->n; k++) v[k] = axis_label(&axes[i], k / inner % axes[i].n);
    }
    size_t bytes = (size_t)r->n * sizeof(double);
    memcpy(new_column(&c, "value", r->n), r->value, bytes);
    memcpy(new_column(&c, "error", r->n), r->error, bytes);
    memcpy(new_column(&c, "tau_int", r->n), r->tau_int, bytes);
    return write_columns(path, &c, r->n);
}

static int series_csv(const char *path, const Series *s, int64_t chains) {
    Columns c = {0};
    int64_t rows = chains * s->draws * s->n;
    double *chain = new_column(&c, "chain", rows), *draw = new_column(&c, "draw", rows);
    double *element = new_column(&c, "element", rows), *value = new_column(&c, "value", rows);
    for (int64_t i = 0; i < rows; i++) {
        chain[i] = (double)(i / (s->draws * s->n));
        draw[i] = (double)(i / s->n % s->draws * s->stride);
        element[i] = (double)(i % s->n);
        value[i] = s->data[i];
    }
    return write_columns(path, &c, rows);
}

/* ==== NPY ======================================================================================= */

static int write_array(const char *path, const double *data, int rank, const int64_t *shape) {
    char err[512] = "";
    Array a = {.rank = rank, .data = data};
    memcpy(a.shape, shape, (size_t)rank * sizeof *shape);
    return arrays_write(NULL, path, 1, &a, err, sizeof err) ? output_failed(path, err) : 0;
}

static int report_npy(const char *path, const ReportResult *r) {
    int64_t shape[IR_MAX_RANK + 1];
    double *both = lq_alloc(2 * (size_t)(r->n ? r->n : 1) * sizeof *both);
    for (int64_t k = 0; k < r->n; k++) both[2 * k] = r->value[k], both[2 * k + 1] = r->error[k];
    for (int i = 0; i < r->rank; i++) shape[i] = r->shape[i];
    shape[r->rank] = 2;
    int status = write_array(path, both, r->rank + 1, shape);
    free(both);
    return status;
}

static int series_npy(const char *path, const Series *s, const SampleData *d, const Primary *p) {
    const Ir *ir = d->task->measure.ir;
    int64_t shape[IR_MAX_RANK + 3] = {d->chains, s->draws};
    int rank = 2;
    if (p->node_im) shape[rank++] = 2;
    for (int i = 0; i < NODE(ir, p->node_re)->rank; i++) shape[rank++] = NDIM(ir, p->node_re, i);
    return write_array(path, s->data, rank, shape);
}

/* ==== save ====================================================================================== */

static int save_series(RunResult *r, const Task *t, const char *path, bool npy) {
    if (!t->sample || t->sample->index >= r->samples.n) return 0;      /* interrupted before the first draw */
    const SampleData *d = r->samples.data[t->sample->index];
    if (t->primary < 0 || t->primary >= d->nprimaries) return 0;
    const Series *s = &d->primaries[t->primary];
    return npy ? series_npy(path, s, d, &t->sample->primaries.data[t->primary]) : series_csv(path, s, d->chains);
}

int saves_write(RunResult *r, const Task *t) {
    const char *path = place_of(r, t->path);
    if (!path) return CANNOT_CREATE;
    size_t n = strlen(path);
    bool npy = n > 4 && strcmp(path + n - 4, ".npy") == 0;
    int status;
    if (!t->report) status = save_series(r, t, path, npy);
    else if (npy) status = report_npy(path, result_of(r, t->report));
    else status = report_csv(r, path, result_of(r, t->report));
    if (status == 0) vec_push(&r->files, path);
    return status;
}
