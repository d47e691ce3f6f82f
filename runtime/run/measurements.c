/* measurements.c — measurements.h5 as libhdf5 writes it: see inside.h.
 *
 *   /identity                     which index belongs to the file
 *   /<group>/<column>             [chain, draw, axes…], chunked, unlimited in draws
 *   /<group>/chain, draw, <axis>  dimension scales: the points of the axes.  Columns that are kept
 *                                 more rarely than the others have their own draw_<stride>
 *
 * The attributes of dimension scales are written by hand, for the functions that do it are in a
 * second library.  From the first draw on the file is in SWMR mode: it can be read while it grows,
 * by h5py.File(…, swmr=True).  Numbers are flushed before the scales of draws say that they are
 * there; all are then read again from the file, at the places that the index will name, for with
 * a full disk libhdf5 can say that it has written what it has not. */
#include "inside.h"

#include "../io/hdf5_library.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(hid_t) == sizeof(int64_t), "inside.h keeps names of libhdf5 as int64_t");

enum { SCALE_ROWS = 1024 };

static const Hdf5 *h;

/* ---- what went wrong ------------------------------------------------------------------------------ */

static int cause; /* errno of the first system call that failed, or 0 */

/* The library puts it into the text of an error. */
static herr_t find_errno(unsigned n, const H5E_error2_t *e, void *context)
{
    (void)n, (void)context;
    const char *at = e->desc ? strstr(e->desc, "errno = ") : NULL;
    if (at && !cause) cause = atoi(at + 8);
    return 0;
}

/* Called for each function of the library that fails, where others would print; what is closed
 * after it would else take its errors away. */
static herr_t note_errors(hid_t stack, void *context)
{
    return h->H5Ewalk2_(stack, H5E_WALK_UPWARD, find_errno, context);
}

int h5_ready(const Store *s, char *err, size_t errlen)
{
    const char *why;
    h = hdf5_library(&why);
    if (!h) return store_failed(CANNOT_CREATE, err, errlen, s->path_data, "%s", why);
    h->H5Eset_auto2_(H5E_DEFAULT, note_errors, NULL);
    return 0;
}

static int h5_failed(int status, char *err, size_t errlen, const char *path)
{
    return store_failed(status, err, errlen, path, "cannot %s: %s", status == CANNOT_CREATE ? "create" : "write",
                        cause ? strerror(cause) : "the library for HDF5 fails");
}

/* ---- attributes and scales ---------------------------------------------------------------------------- */

static bool write_attribute(hid_t object, const char *name, hid_t type, hid_t memory, int64_t n, const void *value)
{
    hsize_t dims = (hsize_t)n;
    hid_t space = n < 0 ? h->H5Screate_(H5S_SCALAR) : h->H5Screate_simple_(1, &dims, NULL);
    hid_t a = space < 0 ? -1 : h->H5Acreate2_(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = a >= 0 && h->H5Awrite_(a, memory, value) >= 0;
    if (a >= 0 && h->H5Aclose_(a) < 0) ok = false;
    if (space >= 0) h->H5Sclose_(space);
    return ok;
}

/* Of fixed length where the standard of dimension scales asks for it; else as h5py reads a str. */
static bool write_text(hid_t object, const char *name, const char *text, bool fixed)
{
    if (!text) return true;
    hid_t type = h->H5Tcopy_(h->H5T_C_S1_);
    bool ok = type >= 0 && h->H5Tset_size_(type, fixed ? strlen(text) + 1 : H5T_VARIABLE) >= 0 && (fixed || h->H5Tset_cset_(type, H5T_CSET_UTF8) >= 0) &&
              write_attribute(object, name, type, type, -1, fixed ? (const void *)text : &text);
    if (type >= 0) h->H5Tclose_(type);
    return ok;
}

/* Where a scale is attached: the elements of its REFERENCE_LIST. */
typedef struct Use { hobj_ref_t set; int dimension; } Use;

typedef struct Axis {
    char *name; /* in the group */
    int64_t n;  /* points, or -1: of draws */
    int64_t stride;
    const double *points;
    hid_t set;
    hobj_ref_t reference;
    VEC(Use) uses;
} Axis;

/* A group being made. */
typedef struct Making {
    Measurements *m;
    Group *g;
    hid_t group;
    VEC(Axis) axes;
    int taken[ARRAY_MAX_RANK], ntaken; /* axes of the column being made: each is another one */
} Making;

static hid_t create_set(hid_t group, const char *name, hid_t type, int rank, const hsize_t *dims, const hsize_t *most, const hsize_t *chunk)
{
    hid_t space = rank ? h->H5Screate_simple_(rank, dims, most) : h->H5Screate_(H5S_SCALAR), plist = h->H5Pcreate_(h->class_dataset);
    bool ok = space >= 0 && plist >= 0 && h->H5Pset_obj_track_times_(plist, false) >= 0;
    if (ok && chunk) ok = h->H5Pset_chunk_(plist, rank, chunk) >= 0;
    else if (ok) ok = h->H5Pset_layout_(plist, H5D_CONTIGUOUS) >= 0 && h->H5Pset_alloc_time_(plist, H5D_ALLOC_TIME_EARLY) >= 0;
    hid_t set = ok ? h->H5Dcreate2_(group, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT) : -1;
    if (space >= 0) h->H5Sclose_(space);
    if (plist >= 0) h->H5Pclose_(plist);
    return set;
}

/* The points of an axis that are not given are 0, 1, 2 …, as whole numbers. */
static bool write_points(hid_t set, const Axis *a)
{
    if (a->n < 0) return true;
    if (a->points) return h->H5Dwrite_(set, h->H5T_NATIVE_DOUBLE_, H5S_ALL, H5S_ALL, H5P_DEFAULT, a->points) >= 0;
    int64_t *count = lq_alloc((size_t)a->n * sizeof *count);
    for (int64_t i = 0; i < a->n; i++) count[i] = i;
    bool ok = h->H5Dwrite_(set, h->H5T_NATIVE_INT64_, H5S_ALL, H5S_ALL, H5P_DEFAULT, count) >= 0;
    free(count);
    return ok;
}

static bool create_axis(Making *k, Axis *a)
{
    hsize_t dims = a->n < 0 ? 0 : (hsize_t)a->n, most = H5S_UNLIMITED, chunk = SCALE_ROWS;
    hid_t type = a->points ? h->H5T_IEEE_F64LE_ : h->H5T_STD_I64LE_;
    a->set = create_set(k->group, a->name, type, 1, &dims, a->n < 0 ? &most : NULL, a->n < 0 ? &chunk : NULL);
    return a->set >= 0 && write_points(a->set, a) && write_text(a->set, "CLASS", "DIMENSION_SCALE", true) &&
           write_text(a->set, "NAME", a->name, true) && h->H5Rcreate_(&a->reference, k->group, a->name, H5R_OBJECT, -1) >= 0;
}

static Axis *axis_named(Making *k, const char *name)
{
    for (int i = 0; i < k->axes.n; i++)
        if (!strcmp(k->axes.data[i].name, name)) return &k->axes.data[i];
    return NULL;
}

static bool is_column(const Group *g, const char *name)
{
    for (int i = 0; i < g->ncolumns; i++)
        if (!strcmp(g->columns[i].spec.name, name)) return true;
    return false;
}

static bool is_taken(const Making *k, const Axis *a)
{
    for (int i = 0; i < k->ntaken; i++)
        if (k->taken[i] == a - k->axes.data) return true;
    return false;
}

static bool same_axis(const Axis *a, const Axis *b)
{
    if (a->n != b->n || (a->n < 0 && a->stride != b->stride) || !a->points != !b->points) return false;
    return !a->points || !memcmp(a->points, b->points, (size_t)a->n * sizeof *a->points);
}

/* The axis of this name and these points: one that is there, or a new one; its name gets a mark
 * when another axis or a column has it. */
static Axis *axis_for(Making *k, const char *name, int64_t n, int64_t stride, const double *points)
{
    Axis want = {.name = arena_printf(k->m->arena, "%s", name), .n = n, .stride = stride, .points = points, .set = -1};
    for (Axis *a;; want.name = arena_printf(k->m->arena, "%s_", want.name)) {
        if (is_column(k->g, want.name)) continue;
        a = axis_named(k, want.name);
        if (a && same_axis(a, &want) && !is_taken(k, a)) return a;
        if (!a) break;
    }
    vec_push(&k->axes, want);
    Axis *made = &k->axes.data[k->axes.n - 1];
    return create_axis(k, made) ? made : NULL;
}

static Axis *column_axis(Making *k, const StoreColumn *c, int i)
{
    const char *name = c->axes && c->axes[i] ? c->axes[i] : NULL;
    if (!name) name = arena_printf(k->m->arena, "%s_%d", c->name, i);
    return axis_for(k, name, c->shape[i], 1, c->coords ? c->coords[i] : NULL);
}

static int64_t least_stride(const Group *g)
{
    int64_t least = g->ncolumns ? g->columns[0].spec.stride : 1;
    for (int i = 1; i < g->ncolumns; i++)
        if (g->columns[i].spec.stride < least) least = g->columns[i].spec.stride;
    return least;
}

static Axis *draw_axis(Making *k, int64_t stride)
{
    const char *name = stride == least_stride(k->g) ? "draw" : arena_printf(k->m->arena, "draw_%lld", (long long)stride);
    return axis_for(k, name, -1, stride, NULL);
}

/* ---- groups ---------------------------------------------------------------------------------------------- */

/* Of a column: for each dimension the axes that belong to it, one. */
static bool attach(Making *k, const Column *c, Axis *const *axes, int rank)
{
    hobj_ref_t refs[ARRAY_MAX_RANK];
    hvl_t lists[ARRAY_MAX_RANK];
    hobj_ref_t own;
    if (h->H5Rcreate_(&own, k->group, c->spec.name, H5R_OBJECT, -1) < 0) return false;
    for (int i = 0; i < rank; i++) {
        refs[i] = axes[i]->reference;
        lists[i] = (hvl_t){1, &refs[i]};
        Use use = {own, i};
        vec_push(&axes[i]->uses, use);
    }
    hid_t type = h->H5Tvlen_create_(h->H5T_STD_REF_OBJ_);
    bool ok = type >= 0 && write_attribute(c->set, "DIMENSION_LIST", type, type, rank, lists);
    if (type >= 0) h->H5Tclose_(type);
    return ok;
}

static bool create_column(Making *k, Column *c)
{
    const StoreColumn *spec = &c->spec;
    int rank = spec->rank + 2;
    hsize_t dims[ARRAY_MAX_RANK] = {(hsize_t)k->g->chains}, most[ARRAY_MAX_RANK] = {dims[0], H5S_UNLIMITED};
    hsize_t chunk[ARRAY_MAX_RANK] = {(hsize_t)c->block_chains, (hsize_t)c->block_rows};
    Axis *axes[ARRAY_MAX_RANK];
    for (int i = 2; i < rank; i++) dims[i] = most[i] = chunk[i] = (hsize_t)spec->shape[i - 2];
    for (k->ntaken = 0; k->ntaken < rank;) {
        int i = k->ntaken;
        Axis *a = i == 0 ? axis_for(k, "chain", k->g->chains, 1, NULL) : i == 1 ? draw_axis(k, spec->stride) : column_axis(k, spec, i - 2);
        if (!a) return false;
        k->taken[k->ntaken++] = (int)(a - k->axes.data); /* a number, for axes move while others are added */
    }
    for (int i = 0; i < rank; i++) axes[i] = &k->axes.data[k->taken[i]];
    k->ntaken = 0;
    c->set = create_set(k->group, spec->name, h->H5T_IEEE_F64LE_, rank, dims, most, chunk);
    return c->set >= 0 && write_text(c->set, "long_name", spec->about, false) && attach(k, c, axes, rank);
}

static bool write_uses(const Axis *a)
{
    hid_t memory = h->H5Tcreate_(H5T_COMPOUND, sizeof(Use)), type = h->H5Tcreate_(H5T_COMPOUND, sizeof(hobj_ref_t) + 4);
    bool ok = memory >= 0 && type >= 0 && h->H5Tinsert_(memory, "dataset", offsetof(Use, set), h->H5T_STD_REF_OBJ_) >= 0 &&
              h->H5Tinsert_(memory, "dimension", offsetof(Use, dimension), h->H5T_NATIVE_INT_) >= 0 &&
              h->H5Tinsert_(type, "dataset", 0, h->H5T_STD_REF_OBJ_) >= 0 && h->H5Tinsert_(type, "dimension", sizeof(hobj_ref_t), h->H5T_STD_I32LE_) >= 0 &&
              write_attribute(a->set, "REFERENCE_LIST", type, memory, a->uses.n, a->uses.data);
    if (memory >= 0) h->H5Tclose_(memory);
    if (type >= 0) h->H5Tclose_(type);
    return ok;
}

/* Scales of draws are opened again with the columns; the others are as they are. */
static bool finish_axes(Making *k)
{
    bool ok = true;
    k->g->scales = arena_alloc(k->m->arena, (size_t)k->axes.n * sizeof *k->g->scales);
    for (int i = 0; i < k->axes.n; i++) {
        Axis *a = &k->axes.data[i];
        ok = ok && a->set >= 0 && (!a->uses.n || write_uses(a));
        if (a->n < 0) k->g->scales[k->g->nscales++] = (struct Scale){a->stride, a->set};
        else if (a->set >= 0 && h->H5Dclose_(a->set) < 0) ok = false;
        vec_free(&a->uses);
    }
    vec_free(&k->axes);
    return ok;
}

static bool create_group(Measurements *m, Group *g)
{
    Making k = {.m = m, .g = g};
    hid_t links = h->H5Pcreate_(h->class_link);
    bool ok = links >= 0 && h->H5Pset_create_intermediate_group_(links, 1) >= 0;
    k.group = ok ? h->H5Gcreate2_(m->file, g->name, links, H5P_DEFAULT, H5P_DEFAULT) : -1;
    ok = k.group >= 0 && write_text(k.group, "description", g->about, false) && axis_for(&k, "chain", g->chains, 1, NULL) && draw_axis(&k, least_stride(g));
    for (int i = 0; i < g->ncolumns && ok; i++) ok = create_column(&k, &g->columns[i]);
    if (!finish_axes(&k)) ok = false;
    if (k.group >= 0) h->H5Gclose_(k.group);
    if (links >= 0) h->H5Pclose_(links);
    return ok;
}

/* ---- the file ------------------------------------------------------------------------------------------------ */

static bool create_identity(Measurements *m)
{
    hid_t set = create_set(m->file, "identity", h->H5T_STD_I64LE_, 0, NULL, NULL, NULL);
    int64_t id = (int64_t)m->id;
    bool ok = set >= 0 && h->H5Dwrite_(set, h->H5T_NATIVE_INT64_, H5S_ALL, H5S_ALL, H5P_DEFAULT, &id) >= 0 &&
              (m->id_place = h->H5Dget_offset_(set)) != HADDR_UNDEF && write_text(set, "description", "which index in checkpoint/ belongs to this file", false);
    if (set >= 0) h->H5Dclose_(set);
    return ok;
}

/* The library's own locks fail on some network disks; the run has its lock. */
static hid_t create_file(const char *path)
{
    hid_t access = h->H5Pcreate_(h->class_access), file = -1;
    if (access >= 0 && h->H5Pset_libver_bounds_(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST) >= 0 &&
        h->H5Pset_file_locking_(access, false, true) >= 0 && h->H5Pset_fclose_degree_(access, H5F_CLOSE_STRONG) >= 0)
        file = h->H5Fcreate_(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (access >= 0) h->H5Pclose_(access);
    return file;
}

int h5_create(Measurements *m, const char *path, char *err, size_t errlen)
{
    void *fd;
    cause = 0;
    m->file = create_file(path);
    if (m->file < 0) return h5_failed(CANNOT_CREATE, err, errlen, path);
    if (h->H5Fget_vfd_handle_(m->file, H5P_DEFAULT, &fd) < 0) return h5_failed(CANNOT_CREATE, err, errlen, path);
    m->file_fd = *(int *)fd;
    bool ok = create_identity(m);
    for (int i = 0; i < m->groups.n && ok; i++) ok = create_group(m, m->groups.data[i]);
    if (!ok || h->H5Fflush_(m->file, H5F_SCOPE_GLOBAL) < 0 || h->H5Fstart_swmr_write_(m->file) < 0 || h->H5Fflush_(m->file, H5F_SCOPE_GLOBAL) < 0)
        return h5_failed(CANNOT_WRITE, err, errlen, path);
    return 0;
}

/* ---- appending ------------------------------------------------------------------------------------------------- */

/* The library copies whole runs of numbers where both selections have the same rank and shape; else it
 * asks for the place of each number. */
static bool write_rows(const Group *g, const Column *c, const Rows *from, int64_t row, int64_t end)
{
    int rank = c->spec.rank + 2;
    int64_t in_chain = g->chains > 1 ? from->chain_rows : end - row;
    hsize_t dims[ARRAY_MAX_RANK] = {(hsize_t)g->chains, (hsize_t)end}, start[ARRAY_MAX_RANK] = {0, (hsize_t)row};
    hsize_t count[ARRAY_MAX_RANK] = {(hsize_t)g->chains, (hsize_t)(end - row)};
    hsize_t memory_dims[ARRAY_MAX_RANK] = {(hsize_t)g->chains, (hsize_t)in_chain}, memory_start[ARRAY_MAX_RANK] = {0};
    for (int i = 2; i < rank; i++) dims[i] = count[i] = memory_dims[i] = (hsize_t)c->spec.shape[i - 2];
    if (h->H5Dset_extent_(c->set, dims) < 0) return false;
    hid_t space = h->H5Dget_space_(c->set), memory = h->H5Screate_simple_(rank, memory_dims, NULL);
    bool ok = space >= 0 && memory >= 0 && h->H5Sselect_hyperslab_(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
              h->H5Sselect_hyperslab_(memory, H5S_SELECT_SET, memory_start, NULL, count, NULL) >= 0 &&
              h->H5Dwrite_(c->set, h->H5T_NATIVE_DOUBLE_, memory, space, H5P_DEFAULT, from->data + (row - from->first_row) * c->elements) >= 0;
    if (space >= 0) h->H5Sclose_(space);
    if (memory >= 0) h->H5Sclose_(memory);
    return ok;
}

/* The places of the chunks that got their first rows. */
static bool find_places(const Group *g, Column *c, int64_t row, int64_t end)
{
    hsize_t offset[ARRAY_MAX_RANK] = {0}, size;
    unsigned mask;
    int64_t first = (row + c->block_rows - 1) / c->block_rows, last = (end + c->block_rows - 1) / c->block_rows, blocks = chain_blocks(g, c);
    c->places.n = (int)(first * blocks); /* those of an append that failed are looked up again */
    for (int64_t i = first * blocks; i < last * blocks; i++) {
        haddr_t place;
        offset[0] = (hsize_t)(i % blocks * c->block_chains), offset[1] = (hsize_t)(i / blocks * c->block_rows);
        if (h->H5Dget_chunk_info_by_coord_(c->set, offset, &mask, &place, &size) < 0 || place == HADDR_UNDEF) return false;
        uint64_t value = place;
        vec_push(&c->places, value);
    }
    return true;
}

/* Is in the file what was given? */
static bool is_there(Measurements *m, const Group *g, Column *c, const Rows *from, int64_t row, int64_t end)
{
    c->sums.n = 0;
    for (int64_t to; row < end; row = to) {
        to = piece_end(c, row, end);
        c->cached = -1;
        uint64_t sum = piece_checksum(g, c, from, row, to);
        if (!piece_is_there(m, g, c, from, row, to)) return false;
        vec_push(&c->sums, sum);
    }
    return true;
}

static bool write_draws(struct Scale *scale, int64_t first, int64_t last)
{
    hsize_t row = (hsize_t)rows_of(first, scale->stride), end = (hsize_t)rows_of(last, scale->stride), n = end - row;
    if (!n) return true;
    int64_t *draws = lq_alloc(n * sizeof *draws);
    for (hsize_t i = 0; i < n; i++) draws[i] = (int64_t)(row + i) * scale->stride;
    bool ok = h->H5Dset_extent_(scale->set, &end) >= 0;
    hid_t space = ok ? h->H5Dget_space_(scale->set) : -1, memory = h->H5Screate_simple_(1, &n, NULL);
    ok = space >= 0 && memory >= 0 && h->H5Sselect_hyperslab_(space, H5S_SELECT_SET, &row, NULL, &n, NULL) >= 0 &&
         h->H5Dwrite_(scale->set, h->H5T_NATIVE_INT64_, memory, space, H5P_DEFAULT, draws) >= 0;
    if (space >= 0) h->H5Sclose_(space);
    if (memory >= 0) h->H5Sclose_(memory);
    free(draws);
    return ok;
}

int h5_append(Measurements *m, const char *path, Group *g, int64_t first, int64_t n, const Rows *rows, char *err, size_t errlen)
{
    bool ok = true;
    cause = 0;
#define EACH_COLUMN(what)                                                                                          \
    for (int i = 0; i < g->ncolumns && ok; i++) {                                                                  \
        Column *c = &g->columns[i];                                                                                \
        int64_t row = rows_of(first, c->spec.stride), end = rows_of(first + n, c->spec.stride);                    \
        if (row < end) ok = what;                                                                                  \
    }
    EACH_COLUMN(write_rows(g, c, &rows[i], row, end))
    ok = ok && h->H5Fflush_(m->file, H5F_SCOPE_GLOBAL) >= 0;
    EACH_COLUMN(find_places(g, c, row, end))
    for (int i = 0; i < g->nscales && ok; i++) ok = write_draws(&g->scales[i], first, first + n);
    if (!ok || h->H5Fflush_(m->file, H5F_SCOPE_GLOBAL) < 0) return h5_failed(CANNOT_WRITE, err, errlen, path);
    EACH_COLUMN(is_there(m, g, c, &rows[i], row, end))
    return ok ? 0 : store_failed(CANNOT_WRITE, err, errlen, path, "cannot write: what was written is not in the file; is the disk full?");
}

/* ---- closing ------------------------------------------------------------------------------------------------------ */

static void close_sets(Measurements *m)
{
    for (int i = 0; i < m->groups.n; i++) {
        Group *g = m->groups.data[i];
        for (int k = 0; k < g->ncolumns; g->columns[k++].set = -1)
            if (g->columns[k].set >= 0) h->H5Dclose_(g->columns[k].set);
        for (int k = 0; k < g->nscales; g->scales[k++].set = -1)
            if (g->scales[k].set >= 0) h->H5Dclose_(g->scales[k].set);
    }
}

/* The library cannot give up a file that it cannot write: closing fails, and it keeps the file
 * and its space as long as the process lives.  It is given memory to write to instead. */
void h5_abandon(Measurements *m)
{
    if (m->file < 0) return;
    int nowhere = memfd_create("abandoned", MFD_CLOEXEC);
    if (nowhere < 0) nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere >= 0 && m->file_fd >= 0) dup3(nowhere, m->file_fd, O_CLOEXEC);
    if (nowhere >= 0) close(nowhere);
    close_sets(m);
    h->H5Fclose_(m->file);
    m->file = m->file_fd = -1;
}

/* Closing twice what failed to close crashes the library, so what can fail is done before; after
 * that only the mark that the file is closed can be missing, and the file is left as it is. */
void h5_close(Measurements *m)
{
    if (m->file < 0) return;
    close_sets(m);
    if (h->H5Fflush_(m->file, H5F_SCOPE_GLOBAL) < 0) h5_abandon(m);
    else h->H5Fclose_(m->file);
    m->file = m->file_fd = -1;
}
