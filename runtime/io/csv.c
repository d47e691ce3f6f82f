/* csv.c — columns of numbers as text: see csv.h. */
#include "csv.h"

#include "../base.h"
#include "file.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing --------------------------------------------------------------------- */

static void put_name(FILE *f, const char *s)
{
    if (*s && !strpbrk(s, ",;\"\r\n# \t")) {
        fputs(s, f);
        return;
    }
    putc('"', f);
    for (; *s; s++) {
        if (*s == '"') putc('"', f);
        putc(*s, f);
    }
    putc('"', f);
}

void csv_put(FILE *f, int ncols, const char *const *names, int64_t nrows, const double *const *columns)
{
    locale_t point = newlocale(LC_ALL_MASK, "C", (locale_t)0), old = uselocale(point);
    for (int c = 0; names && c < ncols; c++) {
        put_name(f, names[c]);
        putc(c + 1 < ncols ? ',' : '\n', f);
    }
    for (int64_t r = 0; r < nrows && !ferror(f); r++)
        for (int c = 0; c < ncols; c++)
            fprintf(f, "%.17g%c", columns[c][r], c + 1 < ncols ? ',' : '\n');
    uselocale(old);
    freelocale(point);
}

int csv_write(const char *path, int ncols, const char *const *names, int64_t nrows,
              const double *const *columns, char *err, size_t errlen)
{
    NewFile nf;
    if (file_create(&nf, path, err, errlen)) return -1;
    csv_put(nf.f, ncols, names, nrows, columns);
    return file_commit(&nf, err, errlen);
}

/* ---- reading ------------------------------------------------------------------------ */

typedef VEC(double) Numbers;
typedef VEC(char *) Names;

typedef struct Reader {
    char *p; /* the next line; the text is cut into fields in place */
    char separator; /* ' ' is any run of blanks, 0 not yet known */
    int64_t line;
    Names fields;
} Reader;

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The end of a field that starts at p; a quoted one loses its quotes. */
static char *end_of_field(const Reader *r, char *p)
{
    if (*p == '"') {
        char *to = p;
        for (char *q = p + 1; *q; q++) {
            if (*q == '"' && *++q != '"') {
                memset(to, ' ', (size_t)(q - to)); /* trimmed by the caller */
                return q + strcspn(q, r->separator == ';' ? ";" : r->separator == ',' ? "," : " \t");
            }
            *to++ = *q;
        }
        return p + strlen(p);
    }
    return p + strcspn(p, r->separator == ';' ? ";" : r->separator == ',' ? "," : " \t");
}

/* Cuts one line, without its end and comment, into r->fields. */
static void cut(Reader *r, char *line)
{
    r->fields.n = 0;
    for (char *p = line, *end;; p = end + 1) {
        while (blank(*p)) p++;
        end = end_of_field(r, p);
        bool last = !*end;
        char *tail = end;
        while (tail > p && blank(tail[-1])) tail--;
        *tail = '\0';
        if (r->separator != ' ' || *p) vec_push(&r->fields, p);
        if (last) return;
    }
}

static char *comment_in(char *line)
{
    bool quoted = false;
    for (; *line; line++) {
        if (*line == '"') quoted = !quoted;
        if (*line == '#' && !quoted) return line;
    }
    return NULL;
}

/* The next line with something on it, in r->fields; false at the end. */
static bool next_line(Reader *r)
{
    while (r->p) {
        char *line = r->p, *end = strchr(line, '\n');
        r->p = end ? end + 1 : NULL;
        if (end) *end = '\0';
        r->line++;
        char *comment = comment_in(line);
        if (comment) *comment = '\0';
        if (!line[strspn(line, " \t\r")]) continue;
        if (!r->separator) r->separator = strchr(line, ';') ? ';' : strchr(line, ',') ? ',' : ' ';
        cut(r, line);
        if (r->fields.n) return true; /* none: empty quotes between blanks */
    }
    return false;
}

static bool number(const char *s, locale_t c, double *x)
{
    if (!*s) {
        *x = NAN;
        return true;
    }
    char *end;
    *x = strtod_l(s, &end, c);
    return end != s && !*end;
}

static bool is_header(const Reader *r, locale_t c)
{
    double x;
    for (int i = 0; i < r->fields.n; i++)
        if (!number(r->fields.data[i], c, &x)) return true;
    return false;
}

static void set_header(const Reader *r, CsvTable *t)
{
    t->ncols = r->fields.n;
    t->names = lq_alloc((size_t)t->ncols * sizeof *t->names);
    for (int i = 0; i < t->ncols; i++) {
        size_t n = strlen(r->fields.data[i]) + 1;
        t->names[i] = memcpy(lq_alloc(n), r->fields.data[i], n);
    }
}

/* NULL, or what is wrong with the line just cut */
static const char *add_row(const Reader *r, CsvTable *t, locale_t c, double **rows, int64_t *cap)
{
    if (r->fields.n > 65536) return "more than 65536 columns";
    if (!t->ncols) t->ncols = r->fields.n;
    if (r->fields.n != t->ncols) return "another number of columns than above";
    if (t->nrows == *cap) {
        int64_t bytes;
        *cap = *cap ? 2 * *cap : 256;
        if (!lq_mul_ok(*cap, t->ncols * (int64_t)sizeof **rows, &bytes)) return "too large";
        *rows = lq_realloc(*rows, (size_t)bytes);
    }
    for (int i = 0; i < t->ncols; i++)
        if (!number(r->fields.data[i], c, &(*rows)[t->nrows * t->ncols + i]))
            return "not a number";
    t->nrows++;
    return NULL;
}

static void set_columns(CsvTable *t, const double *rows)
{
    t->columns = lq_alloc((size_t)t->ncols * sizeof *t->columns);
    for (int i = 0; i < t->ncols; i++) {
        t->columns[i] = lq_alloc((size_t)t->nrows * sizeof **t->columns);
        for (int64_t k = 0; k < t->nrows; k++) t->columns[i][k] = rows[k * t->ncols + i];
    }
}

int csv_parse(char *text, int64_t size, const char *path, CsvTable *out, char *err, size_t errlen)
{
    int64_t cap = 0;
    *out = (CsvTable){0};
    if (memchr(text, '\0', (size_t)size))
        return file_error(err, errlen, path, "a zero byte: not a text file");
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* a decimal point is a point */
    Reader r = {.p = strncmp(text, "\xef\xbb\xbf", 3) ? text : text + 3};
    double *rows = NULL;
    const char *problem = NULL;
    bool any = next_line(&r);
    if (any && is_header(&r, c)) {
        set_header(&r, out);
        any = next_line(&r);
    }
    for (; any && !problem; any = next_line(&r))
        if ((problem = add_row(&r, out, c, &rows, &cap)))
            file_error(err, errlen, path, "line %lld: %s", (long long)r.line, problem);
    if (!problem && !out->ncols) problem = "no data", file_error(err, errlen, path, "no data");
    if (problem) out->nrows = 0, csv_free(out);
    else set_columns(out, rows);
    free(rows);
    vec_free(&r.fields);
    freelocale(c);
    return problem ? -1 : 0;
}

int csv_read(const char *path, CsvTable *out, char *err, size_t errlen)
{
    char *text;
    int64_t size;
    *out = (CsvTable){0};
    if (file_read(path, &text, &size, err, errlen)) return -1;
    int status = csv_parse(text, size, path, out, err, errlen);
    free(text);
    return status;
}

void csv_free(CsvTable *t)
{
    for (int i = 0; i < t->ncols; i++) {
        if (t->names) free(t->names[i]);
        if (t->columns) free(t->columns[i]);
    }
    free(t->names);
    free(t->columns);
    *t = (CsvTable){0};
}
