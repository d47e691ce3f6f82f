/* arrays.c — named arrays in files: the formats behind one interface, see arrays.h. */
#include "format.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* CSV comes last: any text may be it. */
static const ArrayFormat *const formats[] = {&format_npy, &format_npz, &format_hdf5, &format_safetensors, &format_csv};

/* ---- what the formats use ------------------------------------------------------------ */

bool array_problem(ArrayFile *f, const char *fmt, ...)
{
    va_list ap;
    char text[512];
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    file_error(f->err, f->errlen, f->path, "%s", text);
    return false;
}

bool array_bytes(ArrayFile *f, int64_t at, void *to, int64_t n)
{
    if (at < 0 || n < 0 || at > f->size || n > f->size - at)
        return array_problem(f, "the file ends at byte %lld, within something that goes on", (long long)f->size);
    if (f->bytes) {
        if (n) memcpy(to, f->bytes + at, (size_t)n);
        return true;
    }
    for (ssize_t k; n > 0; at += k, n -= k, to = (char *)to + k) {
        k = pread(f->file.fd, to, (size_t)n, at);
        if (k < 0 && errno == EINTR) k = 0;
        else if (k <= 0) return array_problem(f, "cannot read: %s", k < 0 ? strerror(errno) : "the file shrank");
    }
    return true;
}

bool array_count(int rank, const int64_t *shape, int64_t bytes, int64_t *count)
{
    int64_t n = 1;
    bool empty = false, fits = true;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0) return false;
        if (!shape[i]) empty = true;
        else fits = fits && lq_mul_ok(n, shape[i], &n);
    }
    int64_t all, doubles = bytes > 16 ? bytes : 16;
    *count = empty ? 0 : n;
    return fits && lq_mul_ok(n, doubles, &all);
}

const char *array_shape_text(int rank, const int64_t *shape, char buf[static 128])
{
    int n = snprintf(buf, 128, "(");
    for (int i = 0; i < rank && n < 100; i++)
        n += snprintf(buf + n, (size_t)(128 - n), "%s%lld", i ? ", " : "", (long long)shape[i]);
    snprintf(buf + n, (size_t)(128 - n), n < 100 ? ")" : ", ...)");
    return buf;
}

/* ---- reading ---------------------------------------------------------------------------- */

static ArrayFile *new_file(const char *path, OldFile file, const void *bytes, int64_t size)
{
    ArrayFile *f = lq_alloc(sizeof *f);
    *f = (ArrayFile){.file = file, .bytes = bytes, .size = size, .arena = arena_new()};
    f->path = arena_strndup(f->arena, path, strlen(path));
    return f;
}

static const ArrayFormat *format_of(const char *name)
{
    size_t n = strlen(name);
    for (int i = 0; i < LQ_COUNT(formats); i++) {
        const char *suffixes[] = {formats[i]->suffix, formats[i]->suffix2};
        for (int k = 0; k < 2; k++) {
            size_t m = suffixes[k] ? strlen(suffixes[k]) : n;
            if (n > m && !strcmp(name + n - m, suffixes[k])) return formats[i];
        }
    }
    return NULL;
}

/* Content decides; but what is no array file at all is no table either when its name
 * says that it should be another. */
static bool begin(ArrayFile *f)
{
    const ArrayFormat *named = format_of(f->path);
    unsigned char start[16];
    int n = f->size < 16 ? (int)f->size : 16;
    if (!array_bytes(f, 0, start, n)) return false;
    for (int i = 0; i < LQ_COUNT(formats); i++) {
        if (!formats[i]->begins(start, n)) continue;
        if (formats[i] == &format_csv && named && named != &format_csv)
            return array_problem(f, "it is named %s, and does not begin like such a file", named->suffix);
        f->format = formats[i];
        return f->format->open(f);
    }
    return array_problem(f, "neither NPY, NPZ, HDF5, safetensors nor a table of numbers");
}

static ArrayFile *opened(ArrayFile *f, char *err, size_t errlen)
{
    f->err = err, f->errlen = errlen;
    if (begin(f)) return f;
    arrays_close(f);
    return NULL;
}

ArrayFile *arrays_open(const char *path, char *err, size_t errlen)
{
    OldFile file;
    if (file_open(&file, path, err, errlen)) return NULL;
    return opened(new_file(path, file, NULL, file.size), err, errlen);
}

ArrayFile *arrays_open_below(const char *folder, const char *name, char *err, size_t errlen)
{
    OldFile file;
    if (errlen) *err = '\0';
    if (file_open_below(&file, folder, name, err, errlen)) return NULL;
    return opened(new_file(name, file, NULL, file.size), err, errlen);
}

ArrayFile *arrays_open_bytes(const void *bytes, int64_t size, const char *name, char *err, size_t errlen)
{
    return opened(new_file(name, (OldFile){-1, 0}, bytes, size), err, errlen);
}

void arrays_close(ArrayFile *f)
{
    if (!f) return;
    if (f->own_free) f->own_free(f->own);
    file_close(&f->file);
    vec_free(&f->arrays);
    arena_free(f->arena);
    free(f);
}

const char *arrays_format(const ArrayFile *f)
{
    return f->format->name;
}

bool arrays_are_columns(const ArrayFile *f)
{
    return f->format->columns;
}

int arrays_count(const ArrayFile *f)
{
    return f->arrays.n;
}

const ArrayInfo *arrays_info(const ArrayFile *f, int i)
{
    return &f->arrays.data[i];
}

int arrays_find(const ArrayFile *f, const char *name)
{
    for (int i = 0; i < f->arrays.n; i++)
        if (!strcmp(f->arrays.data[i].name, name)) return i;
    return *name == '/' ? arrays_find(f, name + strspn(name, "/")) : -1;
}

const char *arrays_names(const ArrayFile *f, char *buf, size_t n)
{
    Text t = {0};
    int shown = f->arrays.n > 10 ? 10 : f->arrays.n;
    for (int i = 0; i < shown; i++)
        text_printf(&t, "%s%s", !i ? "" : i + 1 == f->arrays.n ? " and " : ", ", f->arrays.data[i].name);
    if (f->arrays.n > shown) text_printf(&t, " and %d more", f->arrays.n - shown);
    snprintf(buf, n, "%s", t.n ? t.s : "nothing");
    text_free(&t);
    return buf;
}

int arrays_load(ArrayFile *f, int i, double *out, char *err, size_t errlen)
{
    f->err = err, f->errlen = errlen;
    const ArrayInfo *a = &f->arrays.data[i];
    if (a->problem) return array_problem(f, "%s%s%s", a->name, *a->name ? ": " : "", a->problem) ? 0 : -1;
    return f->format->load(f, i, out) ? 0 : -1;
}

/* ---- writing ------------------------------------------------------------------------------ */

bool arrays_writable(const char *name)
{
    return format_of(name) != NULL;
}

bool arrays_single(const char *name)
{
    const ArrayFormat *f = format_of(name);
    return f && f->single;
}

const char *arrays_suffixes(void)
{
    return ".npy, .npz, .csv, .h5 or .safetensors";
}

/* What no format takes: NULL, or what is wrong. */
static const char *cannot_be_written(const ArrayFormat *format, int n, const Array *a)
{
    if (!format) return "the name ends in none of .npy, .npz, .csv, .h5, .hdf5, .safetensors";
    if (n < 1) return "there is no array to write";
    if (format->single && n > 1) return "such a file holds one array, and these are several";
    for (int i = 0; i < n; i++) {
        int64_t count, parts = a[i].type == ARRAY_C128 ? 2 : 1;
        bool possible = a[i].rank >= 0 && a[i].rank <= ARRAY_MAX_RANK &&
                        array_count(a[i].rank, a[i].shape, 16, &count);
        if (!possible) return "not a possible array shape";
        if (a[i].type != ARRAY_F64 && a[i].type != ARRAY_F32 && a[i].type != ARRAY_I64 && a[i].type != ARRAY_C128)
            return "numbers of this type are not written";
        for (int64_t k = 0; a[i].type == ARRAY_I64 && k < count * parts; k++)
            if (!(fabs(a[i].data[k]) < 0x1p63) || a[i].data[k] != rint(a[i].data[k]))
                return "not all of the numbers are integers";
        for (int k = 0; k < i; k++)
            if (!strcmp(a[i].name ? a[i].name : "", a[k].name ? a[k].name : ""))
                return "two arrays have the same name";
    }
    return NULL;
}

int arrays_write(const char *folder, const char *name, int n, const Array *arrays, char *err, size_t errlen)
{
    const ArrayFormat *format = format_of(name);
    const char *problem = cannot_be_written(format, n, arrays);
    NewFile nf;
    if (problem) return file_error(err, errlen, name, "cannot write: %s", problem);
    if (folder ? file_create_below(&nf, folder, name, err, errlen) : file_create(&nf, name, err, errlen)) return -1;
    problem = format->write(&nf, n, arrays);
    if (!problem) return file_commit(&nf, err, errlen);
    file_error(err, errlen, nf.path, "cannot write: %s", problem);
    file_discard(&nf);
    return -1;
}
