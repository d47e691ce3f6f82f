/* columns.c — a CSV table as named arrays: its columns. */
#include "csv.h"
#include "format.h"

#include <stdlib.h>
#include <string.h>

static bool begins(const unsigned char *start, int n)
{
    return n == 0 || !memchr(start, 0, (size_t)n);
}

static void free_table(void *own)
{
    csv_free(own);
}

static char *text_of(ArrayFile *f)
{
    char *text;
    if (!f->bytes) return file_contents(&f->file, f->path, &text, f->err, f->errlen) ? NULL : text;
    text = lq_alloc((size_t)f->size + 1);
    memcpy(text, f->bytes, (size_t)f->size);
    text[f->size] = '\0';
    return text;
}

static bool open_columns(ArrayFile *f)
{
    char *text = text_of(f);
    CsvTable *t = arena_alloc(f->arena, sizeof *t);
    if (!text) return false;
    int status = csv_parse(text, f->size, f->path, t, f->err, f->errlen);
    free(text);
    if (status) return false;
    f->own = t, f->own_free = free_table;
    for (int i = 0; i < t->ncols; i++) {
        ArrayInfo a = {.name = t->names ? t->names[i] : arena_printf(f->arena, "%d", i), .rank = 1, .shape = {t->nrows}, .count = t->nrows};
        vec_push(&f->arrays, a);
    }
    return true;
}

static bool load_column(ArrayFile *f, int i, double *out)
{
    const CsvTable *t = f->own;
    if (t->nrows) memcpy(out, t->columns[i], (size_t)t->nrows * sizeof *out);
    return true;
}

static const char *write_columns(NewFile *nf, int n, const Array *a)
{
    const char **names = lq_alloc((size_t)n * sizeof *names);
    const double **columns = lq_alloc((size_t)n * sizeof *columns);
    const char *problem = NULL;
    for (int i = 0; i < n; i++) {
        names[i] = a[i].name && *a[i].name ? a[i].name : "value";
        columns[i] = a[i].data;
        if (a[i].rank != a->rank || memcmp(a[i].shape, a->shape, (size_t)a->rank * sizeof *a->shape))
            problem = "the columns of a table have one length";
        if (a[i].type == ARRAY_C128) problem = "a table holds real numbers";
    }
    if (!problem) csv_put(nf->f, n, names, elements_of(a), columns);
    free(names), free(columns);
    return problem;
}

const ArrayFormat format_csv = {
    .name = "csv", .suffix = ".csv", .columns = true, .begins = begins, .open = open_columns, .load = load_column, .write = write_columns,
};
