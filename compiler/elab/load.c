/* load.c — `data … = load("file", "name", …)`: arrays from files (language reference §2.4).
 * A file is looked for in the folder of the file that names it, then in the folders of the
 * command line, and nowhere else. */
#include "elab.h"

#include "../../runtime/io/arrays.h"
#include "../../runtime/io/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE = 400 };

/* NULL after a message. */
static ArrayFile *find_file(Elab *e, Arena *arena, const Decl *d, const Expr *name) {
    char err[MESSAGE] = "";
    ArrayFile *f = arrays_open_below(path_folder(arena, e->front->sources.files.data[d->file]->path), name->name, err, sizeof err);
    for (int i = 0; !f && !*err && i < e->front->ndata; i++) f = arrays_open_below(e->front->data[i], name->name, err, sizeof err);
    if (f) return f;
    Diag *g = elab_error(e, "E0603", name->at, "%s", *err ? err : arena_printf(arena, "there is no file %s", name->name));
    if (*err) return NULL;
    diag_help(&e->front->sink, g, e->front->ndata ? "it is looked for beside the model and in the folders of --data"
                                                  : "it is looked for beside the model; other folders are named with --data");
    return NULL;
}

/* Which array of the file is for the name number `which`; -1 after a message. */
static int choose_array(Elab *e, const ArrayFile *f, const Decl *d, int which, const char *file) {
    const Expr *x = d->value, *wanted = which + 1 < x->n ? x->list[which + 1] : NULL;
    const char *what = arrays_are_columns(f) ? "column" : "array";
    char names[MESSAGE];
    int i = -1;
    if (wanted && wanted->kind == EX_STR) {
        if ((i = arrays_find(f, wanted->name)) >= 0) return i;
        Diag *g = elab_error(e, "E0603", wanted->at, "%s has no %s \"%s\"", file, what, wanted->name);
        diag_help(&e->front->sink, g, "it has %s", arrays_names(f, names, sizeof names));
        return -1;
    }
    if (wanted) return elab_error(e, "E0602", wanted->at, "the %s of the file is named in quotes", what), -1;
    if (arrays_are_columns(f)) {
        if (which < arrays_count(f)) return which;
        return elab_error(e, "E0603", x->at, "%s has only %d columns", file, arrays_count(f)), -1;
    }
    if ((i = arrays_find(f, d->names[which])) >= 0) return i;
    if (arrays_count(f) == 1 && d->nnames == 1) return 0;
    Diag *g = elab_error(e, "E0603", x->at, "%s has no array \"%s\"", file, d->names[which]);
    diag_help(&e->front->sink, g, "it has %s: load(\"%s\", \"name\") chooses", arrays_names(f, names, sizeof names), file);
    return -1;
}

/* The shape of the declaration, its axes one by one. */
static int declared_shape(const Decl *d, IndexSet *const *sets, int64_t *dims, int64_t *count) {
    int rank = 0;
    *count = 1;
    for (int i = 0; i < d->nbinds; i++)
        for (int k = 0; k < sets[i]->rank; k++, rank++) {
            dims[rank] = sets[i]->ext[k];
            if (!lq_mul_ok(*count, dims[rank], count)) *count = INT64_MAX;
        }
    return rank;
}

/* The columns of a table have one index, whatever is made of them. */
static bool same_shape(const ArrayFile *f, const ArrayInfo *a, int rank, const int64_t *dims, int64_t count) {
    if (a->count != count) return false;
    return arrays_are_columns(f) || (a->rank == rank && !memcmp(a->shape, dims, (size_t)rank * sizeof *dims));
}

static const Value *wrong_shape(Elab *e, Arena *arena, const ArrayFile *f, const ArrayInfo *a, const Decl *d, int which, int rank,
                                const int64_t *dims, int64_t count, IndexSet *const *sets) {
    char theirs[128], ours[128];
    const char *name = d->value->list[0]->name;
    Span at = d->value->list[0]->at;
    Diag *g;
    if (arrays_are_columns(f) || (a->rank == 1 && rank == 1))
        g = elab_error(e, "E0604", at, "%s has %lld numbers, and `%s` has %lld elements", name, (long long)a->count, d->names[which], (long long)count);
    else
        g = elab_error(e, "E0604", at, "%s%s%s has the shape %s, and `%s` has %s", name, *a->name ? ": " : "", a->name,
                       array_shape_text(a->rank, a->shape, theirs), d->names[which], array_shape_text(rank, dims, ours));
    for (int i = 0; i < d->nbinds && i < 3; i++) diag_label(&e->front->sink, g, sets[i]->at, "%s", set_describe(arena, sets[i]));
    return value_error();
}

/* Its place in C order as indices, for a message. */
static const char *place_text(const ArrayInfo *a, int64_t k, char buf[static 128]) {
    int64_t index[ARRAY_MAX_RANK];
    for (int i = a->rank - 1; i >= 0; k /= a->shape[i], i--) index[i] = k % a->shape[i];
    return array_shape_text(a->rank, index, buf);
}

static const Value *array_of(Elab *e, ArrayFile *f, int i, const Decl *d, int which, int rank, const int64_t *dims, IndexSet *const *sets) {
    const ArrayInfo *a = arrays_info(f, i);
    Span at = d->value->list[0]->at;
    int64_t n = a->count, parts = array_is_complex(a->type) ? 2 : 1;
    char err[MESSAGE] = "", place[128];
    double *data = malloc((size_t)(n * (parts + 1) + 1) * sizeof *data), *part = data ? data + n * parts : NULL;
    const Value *v = NULL;
    if (!data) v = ELAB_FAIL(e, "E0603", at, "%s: too large for memory", d->value->list[0]->name);
    else if (arrays_load(f, i, data, err, sizeof err)) v = ELAB_FAIL(e, "E0603", at, "%s", err);
    for (int64_t k = 0; k < n * parts && !v; k++)
        if (!isfinite(data[k]))
            v = ELAB_FAIL(e, "E0603", at, "%s%s%s: not all of its numbers are finite: that at %s is %g", d->value->list[0]->name,
                          *a->name ? ": " : "", a->name, place_text(a, k / parts, place), data[k]);
    Ref ref[2] = {0};
    for (int64_t p = 0; p < parts && !v; p++) {
        for (int64_t k = 0; k < n; k++) part[k] = data[k * parts + p];
        ref[p] = ir_const_array(e->ir, rank, dims, part);
    }
    free(data);
    return v ? v : value_array(e, ref[0], ref[1], 0, NULL, d->nbinds, (IndexSet **)sets, d->names_at[which]);
}

const Value *load_data(Model *m, Arena *arena, const Decl *d, int which, IndexSet *const *sets) {
    Elab *e = m->elab;
    const Expr *x = d->value;
    if (x->n < 1 || x->list[0]->kind != EX_STR) return ELAB_FAIL(e, "E0602", x->at, "`load` needs the name of a file in quotes");
    const char *problem = file_name_problem(x->list[0]->name);
    if (problem) {
        Diag *g = elab_error(e, "E0602", x->list[0]->at, "a model reads only below its own folder: %s", problem);
        diag_help(&e->front->sink, g, "other folders are named on the command line: --data FOLDER");
        return value_error();
    }
    ArrayFile *f = find_file(e, arena, d, x->list[0]);
    int64_t dims[IR_MAX_RANK], count;
    int i = f ? choose_array(e, f, d, which, x->list[0]->name) : -1, rank = declared_shape(d, sets, dims, &count);
    const Value *v = value_error();
    if (i >= 0) {
        const ArrayInfo *a = arrays_info(f, i);
        if (a->problem)
            v = ELAB_FAIL(e, "E0603", x->list[0]->at, "%s%s%s: %s", x->list[0]->name, *a->name ? ": " : "", a->name, a->problem);
        else if (!same_shape(f, a, rank, dims, count)) v = wrong_shape(e, arena, f, a, d, which, rank, dims, count, sets);
        else if (count > MAX_DATA)
            v = ELAB_FAIL(e, "E0233", d->name_at, "the data `%s` have %.3g elements, more than 2^27", d->names[which], (double)count);
        else v = array_of(e, f, i, d, which, rank, dims, sets);
    }
    if (f) arrays_close(f);
    return v;
}
