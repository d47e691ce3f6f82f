/* npy.h — arrays in NumPy's NPY format (NumPy Enhancement Proposal 1, versions 1.0 to
 * 3.0 in, 1.0 out). */
#ifndef LQFT_IO_NPY_H
#define LQFT_IO_NPY_H

#include <stddef.h>
#include <stdint.h>

enum { NPY_MAX_RANK = 32 };

/* Replaces path by an array of little-endian doubles in C order; rank 0 is one
 * number.  The old file stays when anything fails.  Returns 0, or -1 with a message
 * in err. */
int npy_write(const char *path, const double *data, int rank, const int64_t *shape, char *err,
              size_t errlen);

typedef struct NpyArray {
    double *data; /* C order, free() it; never NULL after success */
    int64_t count;
    int rank;
    int64_t shape[NPY_MAX_RANK];
} NpyArray;

/* Reads real numbers (f4, f8, i4, i8, either byte order; C or Fortran order) as
 * doubles; i8 beyond 2^53 is rounded.  Nothing is allocated for the array before its
 * size agrees with the file's length.  Returns 0, or -1 with a message in err. */
int npy_read(const char *path, NpyArray *out, char *err, size_t errlen);

#endif
