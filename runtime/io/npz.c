/* npz.c — several NPY files in a ZIP archive, stored or deflated (PKWARE APPNOTE 6.3.10,
 * RFC 1951; with 64-bit sizes).  The directory at the end of the archive is what counts;
 * an entry is inflated piece by piece, as far as the array's declared size and no
 * further. */
#include "format.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50, END64 = 0x06064b50, LOCATOR64 = 0x07064b50,
    LOCAL_BYTES = 30, CENTRAL_BYTES = 46, END_BYTES = 22, END64_BYTES = 56, LOCATOR64_BYTES = 20,
    STORED = 0, DEFLATED = 8,
    LONGEST_COMMENT = 65535,
    MAX_ENTRIES = 100000,
    MOST_INFLATED = 1032, /* bytes out of one byte in: the limit of the format */
};

/* ---- little-endian numbers ------------------------------------------------------------ */

static uint64_t get(const unsigned char *p, int bytes)
{
    uint64_t u = 0;
    for (int i = 0; i < bytes; i++) u |= (uint64_t)p[i] << 8 * i;
    return u;
}

static void put(Text *t, uint64_t u, int bytes)
{
    for (int i = 0; i < bytes; i++) text_putn(t, (const char[]){(char)(u >> 8 * i)}, 1);
}

/* ---- the directory ----------------------------------------------------------------------- */

typedef struct Entry {
    int64_t header, packed, size; /* place of the local header; bytes packed and not */
    uint32_t crc;
    int method;
} Entry;

typedef struct Directory { int64_t at, bytes, entries; } Directory;

/* The 64-bit record, whose place stands before the ordinary one. */
static bool find_end64(ArrayFile *f, int64_t end, Directory *d)
{
    unsigned char locator[LOCATOR64_BYTES], record[END64_BYTES];
    if (end < LOCATOR64_BYTES) return true;
    if (!array_bytes(f, end - LOCATOR64_BYTES, locator, LOCATOR64_BYTES)) return false;
    if (get(locator, 4) != LOCATOR64) return true;
    uint64_t at = get(locator + 8, 8);
    if (at > (uint64_t)end || !array_bytes(f, (int64_t)at, record, END64_BYTES) || get(record, 4) != END64)
        return array_problem(f, "the 64-bit end of its directory is damaged");
    uint64_t entries = get(record + 32, 8), bytes = get(record + 40, 8), start = get(record + 48, 8);
    if (entries > INT64_MAX || bytes > INT64_MAX || start > INT64_MAX)
        return array_problem(f, "the 64-bit end of its directory is damaged");
    *d = (Directory){(int64_t)start, (int64_t)bytes, (int64_t)entries};
    return true;
}

static bool find_directory(ArrayFile *f, Directory *d)
{
    int64_t n = f->size < END_BYTES + LONGEST_COMMENT ? f->size : END_BYTES + LONGEST_COMMENT;
    unsigned char *tail = lq_alloc((size_t)n + 1);
    int64_t k = n - END_BYTES;
    if (!array_bytes(f, f->size - n, tail, n)) return free(tail), false;
    while (k >= 0 && !(get(tail + k, 4) == END && k + END_BYTES + (int64_t)get(tail + k + 20, 2) == n)) k--;
    if (k >= 0) *d = (Directory){(int64_t)get(tail + k + 16, 4), (int64_t)get(tail + k + 12, 4), (int64_t)get(tail + k + 10, 2)};
    free(tail);
    int64_t end = f->size - n + k;
    if (k < 0) return array_problem(f, "the directory at the end of the archive is missing: is the file complete?");
    if (!find_end64(f, end, d)) return false;
    if (d->at > end || d->bytes > end - d->at || d->entries > d->bytes / CENTRAL_BYTES || d->entries > MAX_ENTRIES)
        return array_problem(f, "its directory does not fit into the file");
    return true;
}

/* Sizes of 32 ones stand in the extra field, in this order. */
static bool read_extra(const unsigned char *p, int64_t n, int64_t *const wide[3])
{
    for (int64_t id, len; n >= 4; p += 4 + len, n -= 4 + len) {
        id = (int64_t)get(p, 2), len = (int64_t)get(p + 2, 2);
        if (len > n - 4) return false;
        for (int64_t i = 0, at = 0; id == 1 && i < 3; i++) {
            if (*wide[i] != UINT32_MAX) continue;
            if (at + 8 > len || get(p + 4 + at, 8) > INT64_MAX) return false;
            *wide[i] = (int64_t)get(p + 4 + at, 8);
            at += 8;
        }
    }
    return true;
}

static const char *entry_problem(const ArrayFile *f, const Entry *e, unsigned flags)
{
    if (flags & 1) return "it is encrypted";
    if (e->method != STORED && e->method != DEFLATED) return "its compression is not read (stored and deflated are)";
    if (e->header > f->size - LOCAL_BYTES || e->packed > f->size - LOCAL_BYTES - e->header) return "it ends beyond the file";
    if (e->method == STORED ? e->size != e->packed : e->size / MOST_INFLATED > e->packed)
        return "its size is not possible";
    return NULL;
}

/* ---- one entry, byte by byte --------------------------------------------------------------- */

typedef struct Unpacker {
    ByteStream stream;
    ArrayFile *f;
    const Entry *e;
    int64_t at, packed; /* next byte in the file, bytes left there */
    uint32_t crc;
    bool inflating;
    z_stream z;
    unsigned char in[16384];
} Unpacker;

static bool broken(Unpacker *u, const char *problem)
{
    u->stream.problem = problem;
    return false;
}

static bool inflate_some(Unpacker *u, void *to, int64_t n)
{
    u->z.next_out = to;
    while (n > 0) {
        if (!u->z.avail_in && u->packed) {
            int64_t k = u->packed < (int64_t)sizeof u->in ? u->packed : (int64_t)sizeof u->in;
            if (!array_bytes(u->f, u->at, u->in, k)) return broken(u, "it ends too early");
            u->at += k, u->packed -= k;
            u->z.next_in = u->in, u->z.avail_in = (uInt)k;
        }
        uInt want = n < 1 << 30 ? (uInt)n : 1 << 30;
        u->z.avail_out = want;
        int status = inflate(&u->z, Z_NO_FLUSH);
        n -= want - u->z.avail_out;
        if (status != Z_OK && !(status == Z_STREAM_END && n == 0)) return broken(u, "its compressed data are damaged");
    }
    return true;
}

static bool read_entry(ByteStream *s, void *to, int64_t n)
{
    Unpacker *u = (Unpacker *)s;
    if (n > s->left) return broken(u, "it ends too early");
    if (u->inflating) {
        if (!inflate_some(u, to, n)) return false;
    } else {
        if (!array_bytes(u->f, u->at, to, n)) return broken(u, "it ends too early");
        u->at += n;
    }
    for (int64_t i = 0, k; i < n; i += k) {
        k = n - i < 1 << 30 ? n - i : 1 << 30;
        u->crc = (uint32_t)crc32(u->crc, (const unsigned char *)to + i, (uInt)k);
    }
    s->left -= n;
    if (s->left == 0 && u->crc != u->e->crc) return broken(u, "its checksum is wrong");
    return true;
}

static const char *unpack_begin(Unpacker *u, ArrayFile *f, const Entry *e)
{
    unsigned char local[LOCAL_BYTES];
    u->stream = (ByteStream){.read = read_entry, .left = e->size};
    u->f = f, u->e = e, u->crc = 0, u->inflating = false;
    if (!array_bytes(f, e->header, local, LOCAL_BYTES) || get(local, 4) != LOCAL) return "its header is damaged";
    u->at = e->header + LOCAL_BYTES + (int64_t)get(local + 26, 2) + (int64_t)get(local + 28, 2);
    u->packed = e->packed;
    if (u->at > f->size || e->packed > f->size - u->at) return "it ends beyond the file";
    if (e->method == STORED) return NULL;
    memset(&u->z, 0, sizeof u->z);
    if (inflateInit2(&u->z, -15) != Z_OK) lq_out_of_memory(1 << 16);
    u->inflating = true;
    return NULL;
}

static void unpack_end(Unpacker *u)
{
    if (u->inflating) inflateEnd(&u->z);
}

/* ---- reading ----------------------------------------------------------------------------------- */

static bool begins(const unsigned char *start, int n)
{
    return n >= 4 && (get(start, 4) == LOCAL || get(start, 4) == END);
}

/* Lists an entry; those that are no NPY files are passed over. */
static void add_entry(ArrayFile *f, const Entry *e, const char *name, size_t n, const char *problem)
{
    if (n < 4 || memcmp(name + n - 4, ".npy", 4) || memchr(name, 0, n)) return;
    NpyHeader h = {0};
    Unpacker *u = lq_alloc(sizeof *u);
    if (!problem && !(problem = unpack_begin(u, f, e))) {
        problem = npy_header(&u->stream, &h);
        unpack_end(u);
    }
    free(u);
    if (problem) h.info = (ArrayInfo){0};
    h.info.name = arena_strndup(f->arena, name, n - 4), h.info.problem = problem;
    Entry *entries = f->own;
    entries[f->arrays.n] = *e;
    vec_push(&f->arrays, h.info);
}

static bool read_directory(ArrayFile *f, const Directory *d, const unsigned char *p)
{
    const unsigned char *end = p + d->bytes;
    for (int64_t i = 0; i < d->entries; i++) {
        if (end - p < CENTRAL_BYTES || get(p, 4) != CENTRAL) return array_problem(f, "entry %lld of its directory is damaged", (long long)i);
        int64_t name = (int64_t)get(p + 28, 2), extra = (int64_t)get(p + 30, 2), comment = (int64_t)get(p + 32, 2);
        Entry e = {(int64_t)get(p + 42, 4), (int64_t)get(p + 20, 4), (int64_t)get(p + 24, 4), (uint32_t)get(p + 16, 4), (int)get(p + 10, 2)};
        if (name + extra + comment > end - p - CENTRAL_BYTES ||
            !read_extra(p + CENTRAL_BYTES + name, extra, (int64_t *const[3]){&e.size, &e.packed, &e.header}))
            return array_problem(f, "entry %lld of its directory is damaged", (long long)i);
        add_entry(f, &e, (const char *)p + CENTRAL_BYTES, (size_t)name, entry_problem(f, &e, (unsigned)get(p + 8, 2)));
        p += CENTRAL_BYTES + name + extra + comment;
    }
    return true;
}

static bool open_npz(ArrayFile *f)
{
    Directory d = {0};
    if (!find_directory(f, &d)) return false;
    unsigned char *bytes = malloc((size_t)d.bytes + 1);
    if (!bytes) return array_problem(f, "too large for memory");
    f->own = arena_alloc(f->arena, ((size_t)d.entries + 1) * sizeof(Entry));
    bool ok = array_bytes(f, d.at, bytes, d.bytes) && read_directory(f, &d, bytes);
    free(bytes);
    return ok;
}

static bool load_npz(ArrayFile *f, int i, double *out)
{
    NpyHeader h;
    char text[128];
    Unpacker *u = lq_alloc(sizeof *u);
    const char *problem = unpack_begin(u, f, (const Entry *)f->own + i);
    if (!problem) {
        problem = npy_header(&u->stream, &h);
        if (!problem && h.info.count != f->arrays.data[i].count) problem = "the file has changed";
        if (!problem) problem = npy_data(&u->stream, &h, out, text);
        unpack_end(u);
    }
    free(u);
    return problem ? array_problem(f, "%s: %s", f->arrays.data[i].name, problem) : true;
}

/* ---- writing: stored, as numpy.savez does -------------------------------------------------------- */

typedef struct Written { Text name, head; uint64_t at, size; uint32_t crc; } Written;

static void measure(Written *w, const Array *a)
{
    unsigned char block[ELEMENT_BLOCK];
    int64_t count = elements_of(a), most = ELEMENT_BLOCK / array_type_bytes(a->type);
    npy_put_header(&w->head, a);
    text_printf(&w->name, "%s.npy", a->name && *a->name ? a->name : "arr_0");
    w->size = w->head.n + (uint64_t)count * (uint64_t)array_type_bytes(a->type);
    w->crc = (uint32_t)crc32(0, (const unsigned char *)w->head.s, (uInt)w->head.n);
    for (int64_t i = 0, n; i < count; i += n) {
        n = count - i < most ? count - i : most;
        w->crc = (uint32_t)crc32(w->crc, block, (uInt)elements_pack(a, i, n, block));
    }
}

/* What the two headers of an entry have in common.  Sizes stand in the extra field
 * always: one form is enough. */
static void put_common(Text *t, const Written *w, size_t extra)
{
    put(t, 45, 2);                     /* version needed: 64-bit sizes */
    put(t, 1 << 11, 2);                /* the name is UTF-8 */
    put(t, STORED, 2);
    put(t, 0, 2), put(t, 0x21, 2);     /* 1 January 1980: the same bytes for the same arrays */
    put(t, w->crc, 4);
    put(t, UINT32_MAX, 4), put(t, UINT32_MAX, 4);
    put(t, w->name.n, 2), put(t, extra, 2);
}

static void put_local(Text *t, const Written *w)
{
    put(t, LOCAL, 4);
    put_common(t, w, 20);
    text_putn(t, w->name.s, w->name.n);
    put(t, 1, 2), put(t, 16, 2), put(t, w->size, 8), put(t, w->size, 8);
}

static void put_central(Text *t, const Written *w)
{
    put(t, CENTRAL, 4), put(t, 45, 2);
    put_common(t, w, 28);
    put(t, 0, 2), put(t, 0, 2), put(t, 0, 2), put(t, 0, 4); /* comment, disk, attributes */
    put(t, UINT32_MAX, 4);
    text_putn(t, w->name.s, w->name.n);
    put(t, 1, 2), put(t, 24, 2), put(t, w->size, 8), put(t, w->size, 8), put(t, w->at, 8);
}

static void put_end(Text *t, uint64_t n, uint64_t at, uint64_t bytes)
{
    put(t, END64, 4), put(t, END64_BYTES - 12, 8), put(t, 45, 2), put(t, 45, 2), put(t, 0, 4), put(t, 0, 4);
    put(t, n, 8), put(t, n, 8), put(t, bytes, 8), put(t, at, 8);
    put(t, LOCATOR64, 4), put(t, 0, 4), put(t, at + bytes, 8), put(t, 1, 4);
    put(t, END, 4), put(t, 0, 4), put(t, n < 65535 ? n : 65535, 2), put(t, n < 65535 ? n : 65535, 2);
    put(t, bytes < UINT32_MAX ? bytes : UINT32_MAX, 4), put(t, at < UINT32_MAX ? at : UINT32_MAX, 4), put(t, 0, 2);
}

static const char *write_npz(NewFile *nf, int n, const Array *arrays)
{
    Text directory = {0};
    uint64_t at = 0;
    for (int i = 0; i < n; i++) {
        Written w = {.at = at};
        Text local = {0};
        measure(&w, &arrays[i]);
        put_local(&local, &w);
        fwrite(local.s, 1, local.n, nf->f);
        fwrite(w.head.s, 1, w.head.n, nf->f);
        elements_write(&arrays[i], nf->f);
        put_central(&directory, &w);
        at += local.n + w.size;
        text_free(&local), text_free(&w.name), text_free(&w.head);
    }
    uint64_t bytes = directory.n;
    put_end(&directory, (uint64_t)n, at, bytes);
    fwrite(directory.s, 1, directory.n, nf->f);
    text_free(&directory);
    return NULL;
}

const ArrayFormat format_npz = {
    .name = "npz", .suffix = ".npz", .begins = begins, .open = open_npz, .load = load_npz, .write = write_npz,
};
