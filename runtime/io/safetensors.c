/* safetensors.c — the weights' format of Hugging Face: 8 bytes of length, a JSON object
 * {"name": {"dtype", "shape", "data_offsets"}, …, "__metadata__"}, then the numbers,
 * little-endian.  As its specification asks, the arrays cover the rest of the file
 * without gaps or overlaps. */
#include "format.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_HEADER = 100000000 }; /* of the specification */

static const struct { const char *word; ArrayType type; } dtypes[] = {
    {"F64", ARRAY_F64}, {"F32", ARRAY_F32}, {"F16", ARRAY_F16}, {"BF16", ARRAY_BF16}, {"I64", ARRAY_I64},
    {"I32", ARRAY_I32}, {"I16", ARRAY_I16}, {"I8", ARRAY_I8}, {"U64", ARRAY_U64}, {"U32", ARRAY_U32},
    {"U16", ARRAY_U16}, {"U8", ARRAY_U8}, {"BOOL", ARRAY_BOOL}, {"C64", ARRAY_C64},
};

/* ---- reading ---------------------------------------------------------------------------- */

typedef struct Extent { int64_t first, end; } Extent; /* of the bytes after the header */

typedef struct Weights {
    int64_t data; /* where the numbers begin */
    VEC(Extent) at;
} Weights;

static void free_weights(void *own)
{
    vec_free(&((Weights *)own)->at);
}

static bool begins(const unsigned char *start, int n)
{
    uint64_t length = 0;
    for (int i = 0; i < 8 && i < n; i++) length |= (uint64_t)start[i] << 8 * i;
    return n >= 10 && start[8] == '{' && length >= 2 && length <= LONGEST_HEADER;
}

static bool read_dtype(const json_t *v, ArrayType *t)
{
    const char *word = json_string_value(v);
    for (int i = 0; word && i < LQ_COUNT(dtypes); i++)
        if (!strcmp(word, dtypes[i].word)) {
            *t = dtypes[i].type;
            return true;
        }
    return false;
}

static bool read_shape(const json_t *v, ArrayInfo *a)
{
    if (!json_is_array(v) || json_array_size(v) > ARRAY_MAX_RANK) return false;
    a->rank = (int)json_array_size(v);
    for (int i = 0; i < a->rank; i++) {
        const json_t *n = json_array_get(v, (size_t)i);
        if (!json_is_integer(n)) return false;
        a->shape[i] = json_integer_value(n);
    }
    return array_count(a->rank, a->shape, array_type_bytes(a->type), &a->count);
}

static bool read_extent(const json_t *v, int64_t bytes, Extent *e)
{
    const json_t *first = json_array_get(v, 0), *end = json_array_get(v, 1);
    if (json_array_size(v) != 2 || !json_is_integer(first) || !json_is_integer(end)) return false;
    *e = (Extent){json_integer_value(first), json_integer_value(end)};
    return e->first >= 0 && e->first <= e->end && e->end <= bytes;
}

static bool add_array(ArrayFile *f, const char *name, const json_t *v)
{
    Weights *w = f->own;
    ArrayInfo a = {.name = arena_strndup(f->arena, name, strlen(name))};
    Extent e;
    if (json_object_size(v) != 3) return array_problem(f, "%s: it has not exactly a type, a shape and offsets", name);
    if (!read_extent(json_object_get(v, "data_offsets"), f->size - w->data, &e))
        return array_problem(f, "%s: its offsets are outside the file", name);
    if (!read_dtype(json_object_get(v, "dtype"), &a.type)) a.problem = "its numbers are of a type that is not read";
    else if (!read_shape(json_object_get(v, "shape"), &a)) return array_problem(f, "%s: its shape is not possible", name);
    else if (a.count * array_type_bytes(a.type) != e.end - e.first)
        return array_problem(f, "%s: its shape does not agree with the number of bytes", name);
    vec_push(&w->at, e);
    vec_push(&f->arrays, a);
    return true;
}

static int by_place(const void *a, const void *b)
{
    const Extent *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* No gaps and no overlaps: nothing is hidden in the file, and nothing is read twice. */
static bool covers(ArrayFile *f)
{
    Weights *w = f->own;
    int64_t at = 0, n = w->at.n;
    Extent *sorted = lq_alloc((size_t)(n ? n : 1) * sizeof *sorted);
    if (n) memcpy(sorted, w->at.data, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_place);
    bool ok = true;
    for (int64_t i = 0; i < n && ok; i++) ok = sorted[i].first == at, at = sorted[i].end;
    free(sorted);
    return (ok && at == f->size - w->data) || array_problem(f, "its arrays overlap or leave gaps");
}

static bool read_object(ArrayFile *f, json_t *header)
{
    const char *name;
    json_t *v;
    if (!json_is_object(header)) return array_problem(f, "its header is no JSON object");
    json_object_foreach(header, name, v)
        if (strcmp(name, "__metadata__") && !add_array(f, name, v)) return false;
    return covers(f);
}

static bool open_weights(ArrayFile *f)
{
    unsigned char start[8];
    uint64_t length = 0;
    if (!array_bytes(f, 0, start, 8)) return false;
    for (int i = 0; i < 8; i++) length |= (uint64_t)start[i] << 8 * i;
    if (length > (uint64_t)f->size - 8) return array_problem(f, "the file ends inside its header");
    char *text = malloc((size_t)length);
    if (!text) return array_problem(f, "too large for memory");
    if (!array_bytes(f, 8, text, (int64_t)length)) return free(text), false;
    json_error_t error;
    json_t *header = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &error); /* bounds the depth itself */
    free(text);
    if (!header) return array_problem(f, "its header is not understood, near byte %d: %s", 8 + error.position, error.text);
    Weights *w = arena_alloc(f->arena, sizeof *w);
    w->data = 8 + (int64_t)length;
    f->own = w, f->own_free = free_weights;
    bool ok = read_object(f, header);
    json_decref(header);
    return ok;
}

static bool load_weights(ArrayFile *f, int i, double *out)
{
    const Weights *w = f->own;
    const ArrayInfo *a = &f->arrays.data[i];
    unsigned char block[ELEMENT_BLOCK];
    int64_t size = array_type_bytes(a->type), parts = array_is_complex(a->type) ? 2 : 1;
    for (int64_t k = 0, n; k < a->count; k += n) {
        n = a->count - k < ELEMENT_BLOCK / size ? a->count - k : ELEMENT_BLOCK / size;
        if (!array_bytes(f, w->data + w->at.data[i].first + k * size, block, n * size)) return false;
        int64_t bad = elements_read(a->type, false, block, n, out + k * parts);
        if (bad >= 0) return array_problem(f, "%s: element %lld is an integer that no double equals", a->name, (long long)(k + bad));
    }
    return true;
}

/* ---- writing -------------------------------------------------------------------------------- */

static json_t *describe(const Array *a, int64_t at, int64_t bytes)
{
    json_t *shape = json_array();
    const char *dtype = a->type == ARRAY_F32 ? "F32" : a->type == ARRAY_I64 ? "I64" : "F64";
    for (int i = 0; i < a->rank; i++) json_array_append_new(shape, json_integer(a->shape[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype, "shape", shape, "data_offsets", (json_int_t)at, (json_int_t)(at + bytes));
}

static const char *write_weights(NewFile *nf, int n, const Array *arrays)
{
    json_t *header = json_object();
    const char *problem = NULL;
    int64_t at = 0;
    for (int i = 0; i < n && !problem; i++) {
        int64_t bytes = elements_of(&arrays[i]) * array_type_bytes(arrays[i].type);
        if (arrays[i].type == ARRAY_C128) problem = "complex numbers have no place in a safetensors file";
        else if (json_object_set_new(header, arrays[i].name && *arrays[i].name ? arrays[i].name : "value", describe(&arrays[i], at, bytes)))
            problem = "a name is not UTF-8";
        at += bytes;
    }
    char *text = problem ? NULL : json_dumps(header, JSON_COMPACT);
    json_decref(header);
    if (!text) return problem ? problem : "no memory";
    size_t length = strlen(text), padded = (length + 7) / 8 * 8; /* the numbers are aligned */
    for (int i = 0; i < 8; i++) putc((int)(padded >> 8 * i & 255), nf->f);
    fwrite(text, 1, length, nf->f);
    for (size_t i = length; i < padded; i++) putc(' ', nf->f);
    free(text);
    for (int i = 0; i < n; i++) elements_write(&arrays[i], nf->f);
    return NULL;
}

const ArrayFormat format_safetensors = {
    .name = "safetensors", .suffix = ".safetensors", .begins = begins, .open = open_weights, .load = load_weights, .write = write_weights,
};
