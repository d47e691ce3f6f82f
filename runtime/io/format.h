/* format.h — what the formats share; private to this folder. */
#ifndef LQFT_IO_FORMAT_H
#define LQFT_IO_FORMAT_H

#include "../base.h"
#include "arrays.h"
#include "file.h"

/* ---- arrays.c ------------------------------------------------------------------------ */

typedef VEC(ArrayInfo) ArrayInfos;

struct ArrayFile {
    const struct ArrayFormat *format;
    const char *path;           /* for messages */
    OldFile file;               /* fd -1: bytes in memory */
    const unsigned char *bytes; /* or NULL */
    int64_t size;
    Arena *arena;
    ArrayInfos arrays;
    void *own;                  /* of the format, in the arena */
    void (*own_free)(void *own);
    char *err;
    size_t errlen;
};

/* Writes the message and returns false. */
bool array_problem(ArrayFile *f, const char *fmt, ...) LQ_PRINTF(2, 3);
/* n bytes from `at`; a message when the file ends before. */
bool array_bytes(ArrayFile *f, int64_t at, void *to, int64_t n);
/* The product of the extents; false when one is negative, or `bytes` for each element
 * do not fit an int64_t. */
bool array_count(int rank, const int64_t *shape, int64_t bytes, int64_t *count);

typedef struct ArrayFormat {
    const char *name, *suffix, *suffix2; /* suffix2 or NULL */
    bool single;                         /* one array a file */
    bool columns;
    /* Do the first n bytes (at most 16) look like this format? */
    bool (*begins)(const unsigned char *start, int n);
    bool (*open)(ArrayFile *f);                        /* lists the arrays */
    bool (*load)(ArrayFile *f, int i, double *out);
    /* Into nf->f; NULL, or what is wrong.  Write errors are left to file_commit. */
    const char *(*write)(NewFile *nf, int n, const Array *arrays);
} ArrayFormat;

extern const ArrayFormat format_npy, format_npz, format_safetensors, format_hdf5, format_csv;

/* ---- elements.c ------------------------------------------------------------------------ */

/* n numbers to doubles (two for a complex one); -1, or the first that no double equals. */
int64_t elements_read(ArrayType t, bool big_endian, const unsigned char *from, int64_t n, double *to);
/* The numbers of an array to be written, little-endian, block by block. */
enum { ELEMENT_BLOCK = 8192 };
size_t  elements_pack(const Array *a, int64_t first, int64_t n, unsigned char *to);
void    elements_write(const Array *a, FILE *f);
int64_t elements_of(const Array *a); /* how many */

/* ---- npy.c: an NPY file as part of another ---------------------------------------------- */

/* Bytes one after the other; false at their end, or when they are damaged. */
typedef struct ByteStream {
    bool (*read)(struct ByteStream *s, void *to, int64_t n);
    int64_t left;        /* bytes that are still to come */
    const char *problem; /* after false */
} ByteStream;

typedef struct NpyHeader {
    ArrayInfo info;
    bool big_endian, fortran;
} NpyHeader;

/* The header, its shape checked against the bytes that are left.  NULL, or what is wrong. */
const char *npy_header(ByteStream *s, NpyHeader *h);
/* The numbers after it; text holds a message that has numbers in it. */
const char *npy_data(ByteStream *s, const NpyHeader *h, double *out, char text[static 128]);
void npy_put_header(Text *t, const Array *a);

#endif
