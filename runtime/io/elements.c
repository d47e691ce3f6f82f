/* elements.c — numbers as they stand in files, from and to doubles. */
#include "format.h"

#include <math.h>
#include <string.h>

static const struct { const char *name; int bytes, part; } types[] = {
    [ARRAY_F64] = {"float64", 8, 8},   [ARRAY_F32] = {"float32", 4, 4},  [ARRAY_F16] = {"float16", 2, 2},
    [ARRAY_BF16] = {"bfloat16", 2, 2}, [ARRAY_I64] = {"int64", 8, 8},    [ARRAY_I32] = {"int32", 4, 4},
    [ARRAY_I16] = {"int16", 2, 2},     [ARRAY_I8] = {"int8", 1, 1},      [ARRAY_U64] = {"uint64", 8, 8},
    [ARRAY_U32] = {"uint32", 4, 4},    [ARRAY_U16] = {"uint16", 2, 2},   [ARRAY_U8] = {"uint8", 1, 1},
    [ARRAY_BOOL] = {"bool", 1, 1},     [ARRAY_C128] = {"complex128", 16, 8}, [ARRAY_C64] = {"complex64", 8, 4},
};
_Static_assert(sizeof types / sizeof *types == ARRAY_NTYPES, "a row for every type");

bool array_is_complex(ArrayType t)
{
    return t == ARRAY_C128 || t == ARRAY_C64;
}

const char *array_type_name(ArrayType t)
{
    return types[t].name;
}

int array_type_bytes(ArrayType t)
{
    return types[t].bytes;
}

static double float_of(uint32_t u)
{
    union { uint32_t u; float f; } x = {.u = u};
    return x.f;
}

static double half_of(unsigned h) /* IEEE 754 binary16 */
{
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double m = exponent == 31 ? (mantissa ? NAN : INFINITY)
               : exponent     ? ldexp(1024 + mantissa, exponent - 25)
                              : ldexp(mantissa, -24);
    return h >> 15 ? -m : m;
}

/* false when no double equals the integer */
static bool number_of(ArrayType t, uint64_t u, double *x)
{
    union { uint64_t u; double f; } eight = {.u = u};
    switch (t) {
    case ARRAY_F64: case ARRAY_C128: *x = eight.f; return true;
    case ARRAY_F32: case ARRAY_C64: *x = float_of((uint32_t)u); return true;
    case ARRAY_F16: *x = half_of((unsigned)u); return true;
    case ARRAY_BF16: *x = float_of((uint32_t)u << 16); return true;
    case ARRAY_I64: *x = (double)(int64_t)u; return fabs(*x) < 0x1p63 ? (int64_t)*x == (int64_t)u : u == 1ull << 63;
    case ARRAY_I32: *x = (int32_t)u; return true;
    case ARRAY_I16: *x = (int16_t)u; return true;
    case ARRAY_I8: *x = (int8_t)u; return true;
    case ARRAY_BOOL: *x = u != 0; return true;
    default: *x = (double)u; return *x < 0x1p64 && (uint64_t)*x == u; /* unsigned ones */
    }
}

int64_t elements_read(ArrayType t, bool big_endian, const unsigned char *from, int64_t n, double *to)
{
    int size = types[t].part, parts = array_is_complex(t) ? 2 : 1;
    if (t == ARRAY_F64 && !big_endian && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
        memcpy(to, from, (size_t)n * 8);
        return -1;
    }
    for (int64_t i = 0; i < n * parts; i++, from += size) {
        uint64_t u = 0;
        for (int b = 0; b < size; b++) u |= (uint64_t)from[b] << 8 * (big_endian ? size - 1 - b : b);
        if (!number_of(t, u, &to[i])) return i / parts;
    }
    return -1;
}

int64_t elements_of(const Array *a)
{
    int64_t n = 1;
    for (int i = 0; i < a->rank; i++) n *= a->shape[i];
    return n;
}

size_t elements_pack(const Array *a, int64_t first, int64_t n, unsigned char *to)
{
    int size = types[a->type].part, parts = array_is_complex(a->type) ? 2 : 1;
    for (int64_t i = first * parts; i < (first + n) * parts; i++) {
        union { uint64_t u; int64_t i; double f; } eight = {.f = a->data[i]};
        union { uint32_t u; float f; } four = {.f = (float)a->data[i]};
        uint64_t u = size == 8 ? eight.u : four.u;
        if (a->type == ARRAY_I64) u = (uint64_t)(int64_t)a->data[i];
        for (int b = 0; b < size; b++) *to++ = (unsigned char)(u >> 8 * b);
    }
    return (size_t)n * (size_t)types[a->type].bytes;
}

void elements_write(const Array *a, FILE *f)
{
    unsigned char block[ELEMENT_BLOCK];
    int64_t count = elements_of(a), most = ELEMENT_BLOCK / types[a->type].bytes;
    for (int64_t i = 0, n; i < count && !ferror(f); i += n) {
        n = count - i < most ? count - i : most;
        fwrite(block, 1, elements_pack(a, i, n, block), f);
    }
}
