/* npy.c — NumPy's NPY files: see npy.h. */
#include "npy.h"

#include "../base.h"
#include "file.h"

#include <stdlib.h>
#include <string.h>

/* ---- writing ------------------------------------------------------------------ */

static int64_t count_of(int rank, const int64_t *shape)
{ /* -1 when negative or too many for 8 bytes each */
    int64_t n = 1, bytes;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0) return -1;
        if (!shape[i]) empty = true;
        else if (!lq_mul_ok(n, shape[i], &n)) return -1;
    }
    if (!lq_mul_ok(n, 8, &bytes)) return -1;
    return empty ? 0 : n;
}

static void put_header(FILE *f, int rank, const int64_t *shape)
{
    Text t = {0};
    text_printf(&t, "{'descr': '<f8', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < rank; i++)
        text_printf(&t, "%lld%s", (long long)shape[i], rank == 1 ? "," : i + 1 < rank ? ", " : "");
    text_printf(&t, "), }");
    while ((10 + t.n + 1) % 64) text_putn(&t, " ", 1); /* data start at a multiple of 64 */
    text_putn(&t, "\n", 1);
    unsigned char start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(t.n & 255),
                               (unsigned char)(t.n >> 8)};
    fwrite(start, 1, sizeof start, f); /* file_commit sees the error flag */
    fwrite(t.s, 1, t.n, f);
    text_free(&t);
}

static uint64_t little_endian(uint64_t u)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? u : __builtin_bswap64(u);
}

int npy_write(const char *path, const double *data, int rank, const int64_t *shape, char *err,
              size_t errlen)
{
    int64_t n = rank >= 0 && rank <= NPY_MAX_RANK ? count_of(rank, shape) : -1;
    if (n < 0) return file_error(err, errlen, path, "not a possible array shape");
    NewFile nf;
    if (file_create(&nf, path, err, errlen)) return -1;
    put_header(nf.f, rank, shape);
    for (int64_t i = 0, k; i < n && !ferror(nf.f); i += k) {
        uint64_t block[512];
        k = n - i < 512 ? n - i : 512;
        memcpy(block, data + i, (size_t)k * 8);
        for (int64_t j = 0; j < k; j++) block[j] = little_endian(block[j]);
        fwrite(block, 8, (size_t)k, nf.f);
    }
    return file_commit(&nf, err, errlen);
}

/* ---- reading: a Python dictionary of three known keys ------------------------------- */

typedef struct Header {
    const char *p, *end; /* what is left to read */
    char order, kind;    /* '<' or '>', 'f' or 'i' */
    int size;            /* bytes a number */
    bool fortran;
    int rank;
    int64_t shape[NPY_MAX_RANK];
    unsigned seen; /* one bit a key */
} Header;

static bool accept(Header *h, const char *word)
{
    while (h->p < h->end && (*h->p == ' ' || *h->p == '\n' || *h->p == '\t')) h->p++;
    size_t n = strlen(word);
    if ((size_t)(h->end - h->p) < n || memcmp(h->p, word, n)) return false;
    h->p += n;
    return true;
}

static bool quoted(Header *h, const char *word)
{
    Header start = *h;
    const char *q = accept(h, "'") ? "'" : accept(h, "\"") ? "\"" : NULL;
    if (q && accept(h, word) && accept(h, q)) return true;
    *h = start;
    return false;
}

static bool read_type(Header *h)
{
    static const char *const types[] = {"<f8", "<f4", "<i8", "<i4", ">f8", ">f4", ">i8", ">i4"};
    for (int i = 0; i < LQ_COUNT(types); i++)
        if (quoted(h, types[i])) {
            h->order = types[i][0];
            h->kind = types[i][1];
            h->size = types[i][2] - '0';
            return true;
        }
    return false;
}

static bool read_shape(Header *h)
{
    if (!accept(h, "(")) return false;
    for (h->rank = 0; !accept(h, ")"); h->rank++) {
        int64_t n = 0;
        const char *first = h->p; /* accept has skipped blanks */
        for (; h->p < h->end && *h->p >= '0' && *h->p <= '9'; h->p++)
            if (!lq_mul_ok(n, 10, &n) || __builtin_add_overflow(n, *h->p - '0', &n)) return false;
        if (h->p == first || h->rank == NPY_MAX_RANK) return false;
        h->shape[h->rank] = n;
        if (!accept(h, ",") && !(h->p < h->end && *h->p == ')')) return false;
    }
    return true;
}

static bool read_header(Header *h)
{
    if (!accept(h, "{")) return false;
    while (!accept(h, "}")) {
        unsigned key = quoted(h, "descr")           ? 1
                       : quoted(h, "fortran_order") ? 2
                       : quoted(h, "shape")         ? 4
                                                    : 0;
        if (!key || (h->seen & key) || !accept(h, ":")) return false;
        h->seen |= key;
        if (key == 1 && !read_type(h)) return false;
        if (key == 2 && !(h->fortran = accept(h, "True")) && !accept(h, "False")) return false;
        if (key == 4 && !read_shape(h)) return false;
        if (!accept(h, ",") && !(h->p < h->end && *h->p == '}')) return false;
    }
    accept(h, ""); /* skips blanks */
    return h->seen == 7 && h->p == h->end;
}

static double number_at(const Header *h, const unsigned char *p)
{
    uint64_t u = 0;
    for (int i = 0; i < h->size; i++)
        u |= (uint64_t)p[i] << 8 * (h->order == '<' ? i : h->size - 1 - i);
    union { uint32_t u; float f; int32_t i; } four = {.u = (uint32_t)u};
    union { uint64_t u; double f; int64_t i; } eight = {.u = u};
    if (h->size == 4) return h->kind == 'f' ? (double)four.f : four.i;
    return h->kind == 'f' ? eight.f : (double)eight.i;
}

/* In Fortran order the first index runs fastest: walk the C-ordered result with a
 * counter and its stride in the file. */
static void convert(const Header *h, const unsigned char *p, int64_t n, double *out)
{
    int64_t index[NPY_MAX_RANK] = {0}, stride[NPY_MAX_RANK], from = 0;
    for (int i = 0; i < h->rank; i++) stride[i] = i ? stride[i - 1] * h->shape[i - 1] : 1;
    for (int64_t i = 0; i < n; i++) {
        out[i] = number_at(h, p + (h->fortran ? from : i) * h->size);
        for (int d = h->rank - 1; h->fortran && d >= 0; d--) {
            from += stride[d];
            if (++index[d] < h->shape[d]) break;
            from -= index[d] * stride[d];
            index[d] = 0;
        }
    }
}

static const char *parse(const char *file, int64_t size, NpyArray *out)
{
    const unsigned char *u = (const unsigned char *)file;
    if (size < 12 || memcmp(file, "\x93NUMPY", 6)) return "not an NPY file";
    if (u[6] < 1 || u[6] > 3) return "an unknown NPY version";
    int64_t start = u[6] == 1 ? 10 : 12, length = u[8] | u[9] << 8;
    if (u[6] > 1) length |= (int64_t)u[10] << 16 | (int64_t)u[11] << 24;
    if (length > size - start) return "the file ends inside its header";
    Header h = {.p = file + start, .end = file + start + length};
    if (!read_header(&h)) return "header not understood (real f4, f8, i4, i8 arrays are read)";
    int64_t n = count_of(h.rank, h.shape);
    if (n < 0 || n * h.size != size - start - length)
        return "the shape does not agree with the length of the file";
    *out = (NpyArray){malloc(n ? (size_t)n * sizeof *out->data : 1), n, h.rank, {0}};
    if (!out->data) return "too large for memory";
    memcpy(out->shape, h.shape, sizeof h.shape);
    convert(&h, u + start + length, n, out->data);
    return NULL;
}

int npy_read(const char *path, NpyArray *out, char *err, size_t errlen)
{
    char *file;
    int64_t size;
    *out = (NpyArray){0};
    if (file_read(path, &file, &size, err, errlen)) return -1;
    const char *problem = parse(file, size, out);
    free(file);
    return problem ? file_error(err, errlen, path, "%s", problem) : 0;
}
