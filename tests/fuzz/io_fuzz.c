/* io_fuzz.c — any bytes are opened as a file of arrays, and what opens is loaded: no crash,
 * no leak, no memory beyond what the file's length allows, and a message for what is
 * refused. */
#include "../../runtime/io/arrays.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 1 << 20 }; /* elements: a reader's caller compares the shape first, too */

static void load_one(ArrayFile *f, int i)
{
    const ArrayInfo *a = arrays_info(f, i);
    char err[300] = "", shape[128];
    int64_t n = 1;
    for (int k = 0; k < a->rank; k++) n *= a->shape[k];
    if (!a->problem && n != a->count) abort();
    array_shape_text(a->rank, a->shape, shape);
    if (a->count > MOST) return;
    /* not one number more may be written than the caller was told */
    double *x = malloc((size_t)a->count * (array_is_complex(a->type) ? 2 : 1) * sizeof *x + 1);
    if (arrays_load(f, i, x, err, sizeof err) && !*err) abort();
    if (arrays_find(f, a->name) < 0) abort();
    free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char err[300] = "", names[200];
    ArrayFile *f = arrays_open_bytes(data, (int64_t)size, "fuzz", err, sizeof err);
    if (!f && !*err) abort();
    if (!f) return 0;
    arrays_names(f, names, sizeof names);
    int n = arrays_count(f), most = strcmp(arrays_format(f), "hdf5") ? 100 : 2; /* a process each */
    for (int i = 0; i < n && i < most; i++) load_one(f, (i + (int)(size % 7)) % n);
    arrays_close(f);
    return 0;
}
