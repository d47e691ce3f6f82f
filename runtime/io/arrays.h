/* arrays.h — named arrays in files, whatever the format: NPY, NPZ, CSV, safetensors,
 * HDF5.  A file is told by its content when it is read, and by the suffix of its name
 * when it is written.
 *
 * Nothing in a file is trusted: every size is checked against the length of the file,
 * with overflow-checked arithmetic, before memory is taken; the data of an array are
 * read only when they are asked for, so that the caller compares the shape with what it
 * expects first. */
#ifndef LQFT_IO_ARRAYS_H
#define LQFT_IO_ARRAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARRAY_MAX_RANK = 32 };

/* Numbers as they are in a file; in memory all are doubles. */
typedef enum ArrayType {
    ARRAY_F64, /* what is written when nothing else is said */
    ARRAY_F32, ARRAY_F16, ARRAY_BF16,
    ARRAY_I64, ARRAY_I32, ARRAY_I16, ARRAY_I8,
    ARRAY_U64, ARRAY_U32, ARRAY_U16, ARRAY_U8,
    ARRAY_BOOL,
    ARRAY_C128, ARRAY_C64, /* two doubles each: real part, imaginary part */
    ARRAY_NTYPES
} ArrayType;

typedef struct ArrayInfo {
    const char *name; /* "" where the format has no names */
    ArrayType type;
    int rank;
    int64_t shape[ARRAY_MAX_RANK];
    int64_t count;       /* elements */
    const char *problem; /* why it cannot be loaded, or NULL */
} ArrayInfo;

bool        array_is_complex(ArrayType t);
const char *array_type_name(ArrayType t); /* "float64" */
int         array_type_bytes(ArrayType t);
/* "(2, 3)", "()" for one number; in buf. */
const char *array_shape_text(int rank, const int64_t *shape, char buf[static 128]);

/* ---- reading ---------------------------------------------------------------------- */

typedef struct ArrayFile ArrayFile;

/* Opens a file and lists its arrays, without their data.  The first form reads any
 * path; the second the file `name` below `folder` (see file_open_below), and gives NULL
 * with an empty err when there is none.  NULL and a message in err when the file cannot
 * be read. */
ArrayFile *arrays_open(const char *path, char *err, size_t errlen);
ArrayFile *arrays_open_below(const char *folder, const char *name, char *err, size_t errlen);
/* The same for bytes in memory, which must stay; name is for messages. */
ArrayFile *arrays_open_bytes(const void *bytes, int64_t size, const char *name, char *err,
                             size_t errlen);
void       arrays_close(ArrayFile *f); /* or NULL */

const char      *arrays_format(const ArrayFile *f); /* "npz" */
/* The file has a table's columns: arrays of one index that belong together. */
bool             arrays_are_columns(const ArrayFile *f);
int              arrays_count(const ArrayFile *f);
const ArrayInfo *arrays_info(const ArrayFile *f, int i);
/* The array of this name (a leading "/" means nothing), or -1. */
int              arrays_find(const ArrayFile *f, const char *name);
/* "a, b and c": the names in the file, at most ten of them; in buf. */
const char      *arrays_names(const ArrayFile *f, char *buf, size_t n);
/* The elements of array i in C order: arrays_info()->count doubles, twice as many when
 * it is complex.  0, or -1 with a message: damaged data, or an integer that no double
 * equals. */
int arrays_load(ArrayFile *f, int i, double *out, char *err, size_t errlen);

/* ---- writing ----------------------------------------------------------------------- */

typedef struct Array {
    const char *name;
    ArrayType type; /* F64, F32, I64 or C128 */
    int rank;
    int64_t shape[ARRAY_MAX_RANK];
    const double *data; /* C order */
} Array;

/* Does a name end like a file that can be written?  A list of the suffixes for a
 * message: arrays_suffixes(). */
bool        arrays_writable(const char *name);
bool        arrays_single(const char *name); /* only one array fits in such a file */
const char *arrays_suffixes(void);

/* Replaces a file, whole or not at all (temporary file, fsync, rename), by n arrays with
 * different names.  With a folder, `name` is below it (see file_create_below); without,
 * it is any path.  A CSV file takes arrays of one common shape as its columns.  0, or -1
 * with a message in err. */
int arrays_write(const char *folder, const char *name, int n, const Array *arrays, char *err,
                 size_t errlen);

#endif
