/* npy.c — arrays in NumPy's NPY format (NumPy Enhancement Proposal 1, versions 1.0 to 3.0
 * in, 1.0 out): by themselves, and as the members of an NPZ file. */
#include "format.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_HEADER = 65536 };

/* ---- the header: a Python dictionary of three known keys ---------------------------- */

typedef struct Header {
    const char *p, *end; /* what is left to read */
    NpyHeader *out;
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
    static const struct { const char *word; ArrayType type; } types[] = {
        {"f8", ARRAY_F64}, {"f4", ARRAY_F32}, {"f2", ARRAY_F16}, {"i8", ARRAY_I64}, {"i4", ARRAY_I32},
        {"i2", ARRAY_I16}, {"i1", ARRAY_I8}, {"u8", ARRAY_U64}, {"u4", ARRAY_U32}, {"u2", ARRAY_U16},
        {"u1", ARRAY_U8}, {"b1", ARRAY_BOOL}, {"c16", ARRAY_C128}, {"c8", ARRAY_C64},
    };
    static const char orders[] = "<>|";
    for (int i = 0; i < LQ_COUNT(types) * 3; i++) {
        char word[8];
        snprintf(word, sizeof word, "%c%s", orders[i % 3], types[i / 3].word);
        if (!quoted(h, word)) continue;
        h->out->info.type = types[i / 3].type;
        h->out->big_endian = orders[i % 3] == '>';
        return orders[i % 3] != '|' || array_type_bytes(types[i / 3].type) == 1;
    }
    return false;
}

static bool read_shape(Header *h)
{
    ArrayInfo *a = &h->out->info;
    if (!accept(h, "(")) return false;
    for (a->rank = 0; !accept(h, ")"); a->rank++) {
        int64_t n = 0;
        const char *first = h->p; /* accept has skipped blanks */
        for (; h->p < h->end && *h->p >= '0' && *h->p <= '9'; h->p++)
            if (!lq_mul_ok(n, 10, &n) || __builtin_add_overflow(n, *h->p - '0', &n)) return false;
        if (h->p == first || a->rank == ARRAY_MAX_RANK) return false;
        a->shape[a->rank] = n;
        if (!accept(h, ",") && !(h->p < h->end && *h->p == ')')) return false;
    }
    return true;
}

static const char *read_dictionary(Header *h)
{
    static const char bad[] = "its header is not understood";
    if (!accept(h, "{")) return bad;
    while (!accept(h, "}")) {
        unsigned key = quoted(h, "descr")           ? 1
                       : quoted(h, "fortran_order") ? 2
                       : quoted(h, "shape")         ? 4
                                                    : 0;
        if (!key || (h->seen & key) || !accept(h, ":")) return bad;
        h->seen |= key;
        if (key == 1 && !read_type(h)) return "it holds no numbers of a known type";
        if (key == 2 && !(h->out->fortran = accept(h, "True")) && !accept(h, "False")) return bad;
        if (key == 4 && !read_shape(h)) return bad;
        if (!accept(h, ",") && !(h->p < h->end && *h->p == '}')) return bad;
    }
    accept(h, ""); /* skips blanks */
    return h->seen == 7 && h->p == h->end ? NULL : bad;
}

const char *npy_header(ByteStream *s, NpyHeader *out)
{
    unsigned char start[12];
    if (s->left < 12 || !s->read(s, start, 10)) return "it is no NPY file";
    if (memcmp(start, "\x93NUMPY", 6)) return "it is no NPY file";
    if (start[6] < 1 || start[6] > 3) return "it has an unknown NPY version";
    int64_t length = start[8] | start[9] << 8;
    if (start[6] > 1) {
        if (!s->read(s, start + 10, 2)) return s->problem;
        length |= (int64_t)start[10] << 16 | (int64_t)start[11] << 24;
    }
    if (length > s->left) return "it ends inside its header";
    if (length > LONGEST_HEADER) return "its header is too long";
    char *text = lq_alloc((size_t)length + 1);
    *out = (NpyHeader){0};
    Header h = {.p = text, .end = text + length, .out = out};
    const char *problem = s->read(s, text, length) ? read_dictionary(&h) : s->problem;
    free(text);
    if (problem) return problem;
    int64_t size = array_type_bytes(out->info.type);
    if (!array_count(out->info.rank, out->info.shape, size, &out->info.count) || out->info.count * size != s->left)
        return "the shape does not agree with the number of bytes";
    return NULL;
}

/* ---- the numbers ------------------------------------------------------------------------ */

/* In Fortran order the first index runs fastest: walks the C-ordered result with a
 * counter and its stride in the file. */
static void transpose(const ArrayInfo *a, int64_t parts, const double *from, double *to)
{
    int64_t index[ARRAY_MAX_RANK] = {0}, stride[ARRAY_MAX_RANK], at = 0;
    for (int i = 0; i < a->rank; i++) stride[i] = i ? stride[i - 1] * a->shape[i - 1] : 1;
    for (int64_t i = 0; i < a->count; i++) {
        for (int64_t p = 0; p < parts; p++) to[i * parts + p] = from[at * parts + p];
        for (int d = a->rank - 1; d >= 0; d--) {
            at += stride[d];
            if (++index[d] < a->shape[d]) break;
            at -= index[d] * stride[d];
            index[d] = 0;
        }
    }
}

static const char *read_numbers(ByteStream *s, const NpyHeader *h, double *out, char text[static 128])
{
    unsigned char block[ELEMENT_BLOCK];
    int64_t size = array_type_bytes(h->info.type), parts = array_is_complex(h->info.type) ? 2 : 1;
    for (int64_t i = 0, n; i < h->info.count; i += n) {
        n = h->info.count - i < ELEMENT_BLOCK / size ? h->info.count - i : ELEMENT_BLOCK / size;
        if (!s->read(s, block, n * size)) return s->problem;
        int64_t bad = elements_read(h->info.type, h->big_endian, block, n, out + i * parts);
        if (bad < 0) continue;
        snprintf(text, 128, "element %lld is an integer that no double equals", (long long)(i + bad));
        return text;
    }
    return NULL;
}

const char *npy_data(ByteStream *s, const NpyHeader *h, double *out, char text[static 128])
{
    if (!h->fortran || h->info.rank < 2) return read_numbers(s, h, out, text);
    int64_t parts = array_is_complex(h->info.type) ? 2 : 1;
    double *raw = malloc((size_t)(h->info.count ? h->info.count * parts : 1) * sizeof *raw);
    if (!raw) return "too large for memory";
    const char *problem = read_numbers(s, h, raw, text);
    if (!problem) transpose(&h->info, parts, raw, out);
    free(raw);
    return problem;
}

/* ---- the file ----------------------------------------------------------------------------- */

typedef struct Plain {
    ByteStream stream;
    ArrayFile *f;
    int64_t at;
} Plain;

static bool read_plain(ByteStream *s, void *to, int64_t n)
{
    Plain *p = (Plain *)s;
    if (n > s->left || !array_bytes(p->f, p->at, to, n)) {
        s->problem = "the file ends too early";
        return false;
    }
    p->at += n, s->left -= n;
    return true;
}

static bool begins(const unsigned char *start, int n)
{
    return n >= 6 && !memcmp(start, "\x93NUMPY", 6);
}

static bool open_npy(ArrayFile *f)
{
    Plain p = {.stream = {.read = read_plain, .left = f->size}, .f = f};
    NpyHeader h;
    const char *problem = npy_header(&p.stream, &h);
    if (problem) return array_problem(f, "%s", problem);
    h.info.name = "";
    vec_push(&f->arrays, h.info);
    return true;
}

static bool load_npy(ArrayFile *f, int i, double *out)
{
    Plain p = {.stream = {.read = read_plain, .left = f->size}, .f = f};
    NpyHeader h;
    char text[128];
    const char *problem = npy_header(&p.stream, &h);
    if (!problem && h.info.count != f->arrays.data[i].count) problem = "the file has changed";
    if (!problem) problem = npy_data(&p.stream, &h, out, text);
    return problem ? array_problem(f, "%s", problem) : true;
}

void npy_put_header(Text *out, const Array *a)
{
    static const char *const words[] = {[ARRAY_F64] = "f8", [ARRAY_F32] = "f4", [ARRAY_I64] = "i8", [ARRAY_C128] = "c16"};
    Text t = {0};
    text_printf(&t, "{'descr': '<%s', 'fortran_order': False, 'shape': (", words[a->type]);
    for (int i = 0; i < a->rank; i++)
        text_printf(&t, "%lld%s", (long long)a->shape[i], a->rank == 1 ? "," : i + 1 < a->rank ? ", " : "");
    text_printf(&t, "), }");
    while ((10 + t.n + 1) % 64) text_putn(&t, " ", 1); /* data start at a multiple of 64 */
    text_putn(&t, "\n", 1);
    const char start[10] = {(char)0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)(t.n & 255), (char)(t.n >> 8)};
    text_putn(out, start, sizeof start);
    text_putn(out, t.s, t.n);
    text_free(&t);
}

static const char *write_npy(NewFile *nf, int n, const Array *a)
{
    Text header = {0};
    npy_put_header(&header, a);
    fwrite(header.s, 1, header.n, nf->f); /* file_commit sees the error flag */
    text_free(&header);
    elements_write(a, nf->f);
    return n == 1 ? NULL : "an NPY file holds one array";
}

const ArrayFormat format_npy = {
    .name = "npy", .suffix = ".npy", .single = true, .begins = begins, .open = open_npy, .load = load_npy, .write = write_npy,
};
