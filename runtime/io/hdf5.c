/* hdf5.c — arrays in HDF5 files, through libhdf5.
 *
 * The library is not made for files nobody vouches for: damaged ones can make it crash or
 * run forever.  So it reads in a process of its own (isolate.h), which opens no further
 * file; what it finds comes back through a pipe and is checked again here.  Refused before
 * anything is read: links to other files, data kept in other files, virtual data sets,
 * and filters other than the library's deflate, shuffle and checksum. */
#include "format.h"
#include "hdf5_library.h"
#include "isolate.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_DEPTH = 16, MAX_OBJECTS = 10000, LONGEST_NAME = 1024 };

/* ---- in the reading process -------------------------------------------------------------- */

/* One message through the pipe; a name of so many bytes follows. */
typedef struct Record {
    enum { RECORD_ARRAY = 1, RECORD_END, RECORD_FAILED, RECORD_DATA } kind;
    int32_t type, rank, name;
    int64_t shape[ARRAY_MAX_RANK];
    char problem[96];
} Record;

typedef struct Reading {
    const Hdf5 *h;
    hid_t file;
    int out, objects;
    int fd;           /* the file, open */
    const char *name; /* of the array that is wanted, or NULL for the list */
    int64_t count;    /* its elements, and their type */
    ArrayType type;
} Reading;

static void send(Reading *r, Record *record, const char *name)
{
    record->name = (int32_t)strlen(name);
    isolated_write(r->out, record, sizeof *record);
    isolated_write(r->out, name, record->name);
}

static void fail(Reading *r, const char *problem)
{
    Record record = {.kind = RECORD_FAILED};
    snprintf(record.problem, sizeof record.problem, "%s", problem);
    send(r, &record, "");
    _exit(0);
}

/* {r, i}, as h5py writes complex numbers; NULL or what is wrong. */
static const char *compound_type(const Hdf5 *h, hid_t t, ArrayType *out)
{
    int re = h->H5Tget_member_index_(t, "r"), im = h->H5Tget_member_index_(t, "i");
    if (h->H5Tget_nmembers_(t) != 2 || re < 0 || im < 0) return "it is a table of records, which are not read";
    if (h->H5Tget_member_class_(t, (unsigned)re) != H5T_FLOAT || h->H5Tget_member_class_(t, (unsigned)im) != H5T_FLOAT)
        return "it is a table of records, which are not read";
    *out = ARRAY_C128;
    return NULL;
}

static const char *number_type(const Hdf5 *h, hid_t t, ArrayType *out)
{
    static const ArrayType floats[] = {[2] = ARRAY_F16, [4] = ARRAY_F32, [8] = ARRAY_F64};
    static const ArrayType whole[] = {[1] = ARRAY_I8, [2] = ARRAY_I16, [4] = ARRAY_I32, [8] = ARRAY_I64};
    size_t n = h->H5Tget_size_(t);
    bool power = n == 1 || n == 2 || n == 4 || n == 8;
    switch (h->H5Tget_class_(t)) {
    case H5T_FLOAT:
        if (!power || n == 1) return "its numbers are of a type that is not read";
        *out = floats[n];
        return NULL;
    case H5T_INTEGER:
        if (!power) return "its numbers are of a type that is not read";
        *out = h->H5Tget_sign_(t) == H5T_SGN_NONE ? whole[n] + (ARRAY_U64 - ARRAY_I64) : whole[n];
        return NULL;
    case H5T_ENUM: /* true and false of h5py */
        if (n != 1) return "it holds no numbers";
        *out = ARRAY_BOOL;
        return NULL;
    case H5T_COMPOUND: return compound_type(h, t, out);
    default: return "it holds no numbers";
    }
}

static const char *storage_problem(const Hdf5 *h, hid_t plist)
{
    if (h->H5Pget_external_count_(plist) != 0) return "its data are in another file";
    H5D_layout_t layout = h->H5Pget_layout_(plist);
    if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED) return "it is a view of other data sets";
    int n = h->H5Pget_nfilters_(plist);
    if (n < 0) return "its filters are damaged";
    for (int i = 0; i < n; i++) {
        unsigned flags;
        size_t values = 0;
        H5Z_filter_t id = h->H5Pget_filter2_(plist, (unsigned)i, &flags, &values, NULL, 0, NULL, NULL);
        if (id != H5Z_FILTER_DEFLATE && id != H5Z_FILTER_SHUFFLE && id != H5Z_FILTER_FLETCHER32)
            return "its compression is not read (deflate is)";
    }
    return NULL;
}

static const char *read_space(const Hdf5 *h, hid_t space, Record *r)
{
    hsize_t dims[H5S_MAX_RANK];
    H5S_class_t class = h->H5Sget_simple_extent_type_(space);
    if (class != H5S_SIMPLE && class != H5S_SCALAR) return "it is empty";
    r->rank = h->H5Sget_simple_extent_ndims_(space);
    if (r->rank < 0 || r->rank > ARRAY_MAX_RANK || h->H5Sget_simple_extent_dims_(space, dims, NULL) < 0)
        return r->rank = 0, "its shape is damaged";
    for (int i = 0; i < r->rank; i++) r->shape[i] = dims[i] > INT64_MAX ? -1 : (int64_t)dims[i];
    return NULL;
}

/* Type, shape, and whether it can be read. */
static void describe(Reading *r, hid_t set, Record *record)
{
    const Hdf5 *h = r->h;
    ArrayType type = ARRAY_F64;
    hid_t t = h->H5Dget_type_(set), space = h->H5Dget_space_(set), plist = h->H5Dget_create_plist_(set);
    const char *problem = t < 0 || space < 0 || plist < 0 ? "its description is damaged" : NULL;
    if (!problem) problem = read_space(h, space, record);
    if (!problem) problem = number_type(h, t, &type);
    if (!problem) problem = storage_problem(h, plist);
    record->type = (int32_t)type;
    if (problem) snprintf(record->problem, sizeof record->problem, "%s", problem);
    if (t >= 0) h->H5Tclose_(t);
    if (space >= 0) h->H5Sclose_(space);
    if (plist >= 0) h->H5Pclose_(plist);
}

static void list_group(Reading *r, hid_t group, const char *path, int depth);

static void list_object(Reading *r, hid_t group, const char *link, const char *path, int depth)
{
    const Hdf5 *h = r->h;
    hid_t object = h->H5Oopen_(group, link, H5P_DEFAULT);
    H5I_type_t kind = object < 0 ? H5I_BADID : h->H5Iget_type_(object);
    if (object < 0) fail(r, "one of its objects is damaged");
    if (kind == H5I_GROUP) list_group(r, object, path, depth + 1);
    if (kind == H5I_DATASET) {
        Record record = {.kind = RECORD_ARRAY};
        describe(r, object, &record);
        send(r, &record, path);
    }
    h->H5Oclose_(object);
}

static void list_link(Reading *r, hid_t group, hsize_t i, const char *path, int depth)
{
    const Hdf5 *h = r->h;
    char link[LONGEST_NAME], full[LONGEST_NAME];
    H5L_info_t info;
    ssize_t n = h->H5Lget_name_by_idx_(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, link, sizeof link, H5P_DEFAULT);
    if (n < 0 || h->H5Lget_info_(group, link, &info, H5P_DEFAULT) < 0) fail(r, "one of its names is damaged");
    int m = snprintf(full, sizeof full, "%s%s%s", path, *path ? "/" : "", link);
    if (n >= (ssize_t)sizeof link || m >= (int)sizeof full) fail(r, "a name is longer than 1000 bytes");
    if (++r->objects > MAX_OBJECTS) fail(r, "it has more than 10000 objects");
    if (info.type == H5L_TYPE_HARD) list_object(r, group, link, full, depth);
    if (info.type != H5L_TYPE_EXTERNAL) return; /* a link within the file repeats what has a name */
    Record record = {.kind = RECORD_ARRAY, .problem = "it is a link to another file"};
    send(r, &record, full);
}

static void list_group(Reading *r, hid_t group, const char *path, int depth)
{
    H5G_info_t info;
    if (depth > MAX_DEPTH) fail(r, "its groups are nested too deeply");
    if (r->h->H5Gget_info_(group, &info) < 0) fail(r, "one of its groups is damaged");
    for (hsize_t i = 0; i < info.nlinks; i++) list_link(r, group, i, path, depth);
}

/* The type of the numbers in memory; closed by nobody, for the process ends. */
static hid_t memory_type(const Hdf5 *h, ArrayType t)
{
    if (t >= ARRAY_U64 && t <= ARRAY_U8) return h->H5T_NATIVE_UINT64_;
    if (t >= ARRAY_I64 && t <= ARRAY_BOOL) return h->H5T_NATIVE_INT64_;
    if (t != ARRAY_C128) return h->H5T_NATIVE_DOUBLE_;
    hid_t pair = h->H5Tcreate_(H5T_COMPOUND, 16);
    h->H5Tinsert_(pair, "r", 0, h->H5T_NATIVE_DOUBLE_);
    h->H5Tinsert_(pair, "i", 8, h->H5T_NATIVE_DOUBLE_);
    return pair;
}

static void read_array(Reading *r)
{
    const Hdf5 *h = r->h;
    Record record = {.kind = RECORD_DATA};
    hid_t set = h->H5Dopen2_(r->file, r->name, H5P_DEFAULT);
    if (set < 0) fail(r, "its description is damaged");
    describe(r, set, &record);
    int64_t count = 0, width = array_is_complex(r->type) ? 16 : 8;
    if (*record.problem) fail(r, record.problem);
    if (!array_count(record.rank, record.shape, width, &count) || count != r->count || record.type != (int32_t)r->type)
        fail(r, "the file has changed");
    void *data = calloc((size_t)count + 1, (size_t)width);
    if (!data) fail(r, "too large for memory");
    if (count && h->H5Dread_(set, memory_type(h, r->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        fail(r, "its data are damaged");
    send(r, &record, "");
    isolated_write(r->out, data, count * width);
}

static void work(int out, void *context)
{
    Reading *r = context;
    char path[32];
    const char *why;
    r->out = out;
    snprintf(path, sizeof path, "/proc/self/fd/%d", r->fd);
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1); /* reading needs no lock, and some disks have none */
    r->h = hdf5_library(&why);
    if (!r->h) fail(r, why);
    r->file = r->h->H5Fopen_(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (r->file < 0) fail(r, "it is a damaged or incomplete HDF5 file");
    isolated_close_doors();
    if (r->name) {
        read_array(r);
        return;
    }
    hid_t root = r->h->H5Gopen2_(r->file, "/", H5P_DEFAULT);
    if (root < 0) fail(r, "it is a damaged or incomplete HDF5 file");
    list_group(r, root, "", 0);
    Record end = {.kind = RECORD_END};
    send(r, &end, "");
}

/* ---- on this side of the pipe ------------------------------------------------------------------ */

static bool begins(const unsigned char *start, int n)
{
    return n >= 8 && !memcmp(start, "\x89HDF\r\n\x1a\n", 8);
}

static bool receive(Isolated *p, Record *r, char name[static LONGEST_NAME])
{
    if (!isolated_read(p, r, sizeof *r) || r->name < 0 || r->name >= LONGEST_NAME || !isolated_read(p, name, r->name)) return false;
    name[r->name] = '\0';
    r->problem[sizeof r->problem - 1] = '\0';
    return true;
}

/* False when the record cannot be true. */
static bool add_array(ArrayFile *f, const Record *r, const char *name)
{
    ArrayInfo a = {.name = arena_strndup(f->arena, name, strlen(name)), .type = (ArrayType)r->type, .rank = r->rank};
    if (r->type < 0 || r->type >= ARRAY_NTYPES || r->rank < 0 || r->rank > ARRAY_MAX_RANK) return false;
    memcpy(a.shape, r->shape, sizeof a.shape);
    if (*r->problem) a.problem = arena_strndup(f->arena, r->problem, strlen(r->problem));
    if (!a.problem && !array_count(a.rank, a.shape, 16, &a.count)) a.problem = "its shape is not possible";
    vec_push(&f->arrays, a);
    return f->arrays.n <= MAX_OBJECTS;
}

/* Says what went wrong: what the process said, or how it ended. */
static bool failed(ArrayFile *f, const char *what, const Record *r, const char *end)
{
    const char *problem = r->kind == RECORD_FAILED ? r->problem : end ? end : "it is damaged";
    return array_problem(f, "%s%s%s", what, *what ? ": " : "", problem);
}

/* Bytes in memory become a file that is nowhere. */
static int file_of(ArrayFile *f)
{
    if (!f->bytes || f->file.fd >= 0) return f->file.fd;
    f->file = (OldFile){memfd_create("hdf5", MFD_CLOEXEC), f->size};
    int64_t put = 0;
    for (ssize_t k; f->file.fd >= 0 && put < f->size; put += k)
        if ((k = write(f->file.fd, f->bytes + put, (size_t)(f->size - put))) <= 0) return -1;
    return f->file.fd;
}

static bool open_hdf5(ArrayFile *f)
{
    Reading r = {.fd = file_of(f)};
    Record record = {0};
    char name[LONGEST_NAME];
    Isolated p;
    if (r.fd < 0 || !isolated_begin(&p, work, &r, f->size)) return array_problem(f, "cannot start reading it");
    bool ok = true;
    while (ok && (ok = receive(&p, &record, name)) && record.kind == RECORD_ARRAY) ok = add_array(f, &record, name);
    const char *end = isolated_end(&p);
    return (ok && record.kind == RECORD_END) || failed(f, "", &record, end);
}

/* Integers came as 64 bits each; doubles in their place, or the first that is none. */
static int64_t to_doubles(ArrayType t, int64_t n, double *data)
{
    unsigned char block[8];
    bool big = __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__;
    if (t < ARRAY_I64 || t > ARRAY_BOOL) return -1;
    for (int64_t i = 0; i < n; i++) {
        memcpy(block, &data[i], 8);
        if (elements_read(t >= ARRAY_U64 && t <= ARRAY_U8 ? ARRAY_U64 : ARRAY_I64, big, block, 1, &data[i]) >= 0) return i;
    }
    return -1;
}

static bool load_hdf5(ArrayFile *f, int i, double *out)
{
    const ArrayInfo *a = &f->arrays.data[i];
    Reading r = {.fd = file_of(f), .name = a->name, .count = a->count, .type = a->type};
    Record record = {0};
    char name[LONGEST_NAME];
    Isolated p;
    int64_t bytes = a->count * (array_is_complex(a->type) ? 16 : 8);
    if (r.fd < 0 || !isolated_begin(&p, work, &r, 4 * bytes + f->size)) return array_problem(f, "cannot start reading it");
    bool ok = receive(&p, &record, name) && record.kind == RECORD_DATA && isolated_read(&p, out, bytes);
    const char *end = isolated_end(&p);
    if (!ok) return failed(f, a->name, &record, end);
    int64_t bad = to_doubles(a->type, a->count, out);
    return bad < 0 || array_problem(f, "%s: element %lld is an integer that no double equals", a->name, (long long)bad);
}

/* ---- writing -------------------------------------------------------------------------------------- */

static bool write_array(const Hdf5 *h, hid_t file, hid_t links, hid_t creation, const Array *a)
{
    hsize_t dims[ARRAY_MAX_RANK];
    for (int i = 0; i < a->rank; i++) dims[i] = (hsize_t)a->shape[i];
    hid_t memory = memory_type(h, a->type == ARRAY_C128 ? ARRAY_C128 : ARRAY_F64);
    hid_t type = a->type == ARRAY_F32 ? h->H5T_IEEE_F32LE_ : a->type == ARRAY_I64 ? h->H5T_STD_I64LE_
               : a->type == ARRAY_C128 ? memory : h->H5T_IEEE_F64LE_;
    hid_t space = a->rank ? h->H5Screate_simple_(a->rank, dims, NULL) : h->H5Screate_(H5S_SCALAR);
    hid_t set = space < 0 ? -1 : h->H5Dcreate2_(file, *a->name ? a->name : "value", type, space, links, creation, H5P_DEFAULT);
    bool ok = set >= 0 && (elements_of(a) == 0 || h->H5Dwrite_(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, a->data) >= 0);
    if (set >= 0 && h->H5Dclose_(set) < 0) ok = false;
    if (space >= 0) h->H5Sclose_(space);
    if (a->type == ARRAY_C128) h->H5Tclose_(memory);
    return ok;
}

static const char *write_hdf5(NewFile *nf, int n, const Array *arrays)
{
    char path[32];
    const char *why = "the arrays could not be written: is the disk full?";
    const Hdf5 *h = hdf5_library(&why);
    if (!h) return why;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(nf->f)); /* the temporary file, whatever its folder is called now */
    hid_t file = h->H5Fcreate_(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (file < 0) return why;
    hid_t links = h->H5Pcreate_(h->class_link), creation = h->H5Pcreate_(h->class_dataset);
    bool ok = links >= 0 && creation >= 0 && h->H5Pset_create_intermediate_group_(links, 1) >= 0 &&
              h->H5Pset_obj_track_times_(creation, false) >= 0; /* the same bytes for the same arrays */
    const char *problem = ok ? NULL : why;
    for (int i = 0; i < n && !problem; i++)
        if (!write_array(h, file, links, creation, &arrays[i])) problem = why;
    if (h->H5Fflush_(file, H5F_SCOPE_GLOBAL) < 0) problem = why; /* a full disk shows here, if anywhere */
    if (links >= 0) h->H5Pclose_(links);
    if (creation >= 0) h->H5Pclose_(creation);
    if (h->H5Fclose_(file) < 0) problem = why;
    return problem;
}

const ArrayFormat format_hdf5 = {
    .name = "hdf5", .suffix = ".h5", .suffix2 = ".hdf5", .begins = begins, .open = open_hdf5, .load = load_hdf5, .write = write_hdf5,
};
