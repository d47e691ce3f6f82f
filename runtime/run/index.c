/* index.c — where the numbers lie in measurements.h5, with checksums: see inside.h.
 *
 * The index is a file of records that is only appended to; each has a checksum of its own, and
 * the first one that is not whole ends it.
 *
 *   kind, 0: 32 bits each; bytes, checksum: 64 bits each; so many bytes:
 *   HEAD    text "lqft-idx", version, id, place of the id in measurements.h5
 *   GROUP   name, about, chains, columns: name, about, rank, shape, stride, chunk, axes with points
 *   DRAWS   group, first, n; for each column, for each block of rows that gets some:
 *           [places of its chunks, when it begins here], checksum of its new rows */
#include "inside.h"

#include "../io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION = 1, MOST_COLUMNS = 1 << 16, SMALL_CHUNK = 1 << 17, LARGE_CHUNK = 1 << 20, MOST_BLOCK_ROWS = 4096, MOST_CHUNK = 1 << 30 };
enum { HEAD = 1, GROUP, DRAWS };
enum { H5_FLAGS = 11 }; /* the byte of the superblock that is zero when a file was closed */

typedef struct Frame { uint32_t kind, zero; uint64_t bytes, checksum; } Frame;
_Static_assert(sizeof(Frame) == 24, "the head of a record as it is in the file");

/* ---- shapes ---------------------------------------------------------------------------------- */

int64_t rows_of(int64_t draws, int64_t stride)
{
    return draws / stride + (draws % stride != 0);
}

int64_t chain_blocks(const Group *g, const Column *c)
{
    return (g->chains + c->block_chains - 1) / c->block_chains;
}

int64_t piece_end(const Column *c, int64_t row, int64_t end)
{
    int64_t block_end = (row / c->block_rows + 1) * c->block_rows;
    return block_end < end ? block_end : end;
}

static int64_t chunk_bytes(const Column *c)
{
    return c->block_chains * c->block_rows * c->elements * 8;
}

/* Small rows share a chunk, of a size that a disk likes; of large ones each chunk has one, of as
 * many chains as are no more than a megabyte. */
bool column_shape(const Group *g, Column *c)
{
    int64_t row = g->chains;
    if (g->chains < 1 || c->spec.stride < 1 || c->spec.rank < 0 || c->spec.rank > ARRAY_MAX_RANK - 2) return false;
    c->elements = 1;
    for (int i = 0; i < c->spec.rank; i++)
        if (c->spec.shape[i] < 1 || !lq_mul_ok(c->elements, c->spec.shape[i], &c->elements)) return false;
    if (c->elements > MOST_CHUNK / 8 || !lq_mul_ok(row, c->elements * 8, &row)) return false;
    c->block_chains = row <= LARGE_CHUNK ? g->chains : c->elements * 8 >= LARGE_CHUNK ? 1 : LARGE_CHUNK / (c->elements * 8);
    c->block_rows = c->block_chains < g->chains || row >= SMALL_CHUNK ? 1 : SMALL_CHUNK / row;
    if (c->block_rows > MOST_BLOCK_ROWS) c->block_rows = MOST_BLOCK_ROWS;
    return true;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

/* One chunk into the column's cache.  What lies beyond the end of the file is zero: a chunk at the
 * end may have been written in part, and the checksums say whether that was enough. */
static bool load_chunk(Measurements *m, Column *c, int64_t i)
{
    int64_t bytes = chunk_bytes(c), got = 0;
    if (c->cached == i) return true;
    if (i >= c->places.n || c->places.data[i] > INT64_MAX - (uint64_t)bytes) return false;
    if (!c->cache) c->cache = lq_alloc_room((size_t)bytes);
    if (!c->cache) return m->read_cause = ENOMEM, false;
    c->cached = -1;
    for (ssize_t k = 1; got < bytes && k; got += k) {
        k = pread(m->data, (char *)c->cache + got, (size_t)(bytes - got), (off_t)c->places.data[i] + got);
        if (k < 0 && errno != EINTR) return m->read_cause = errno, false;
        if (k < 0) got -= k; /* once more */
    }
    memset((char *)c->cache + got, 0, (size_t)(bytes - got));
    c->cached = i;
    return true;
}

static const double *chunk_row(Measurements *m, const Group *g, Column *c, int64_t chain, int64_t row)
{
    if (!load_chunk(m, c, row / c->block_rows * chain_blocks(g, c) + chain / c->block_chains)) return NULL;
    return c->cache + (chain % c->block_chains * c->block_rows + row % c->block_rows) * c->elements;
}

uint64_t piece_checksum(const Group *g, const Column *c, const Rows *from, int64_t row, int64_t end)
{
    uint64_t h = (uint64_t)row;
    for (int64_t chain = 0; chain < g->chains; chain++)
        h = lq_hash(from->data + (chain * from->chain_rows + row - from->first_row) * c->elements, (size_t)((end - row) * c->elements) * 8, h);
    return h;
}

bool piece_checksum_read(Measurements *m, const Group *g, Column *c, int64_t row, int64_t end, uint64_t *sum)
{
    *sum = (uint64_t)row;
    for (int64_t chain = 0; chain < g->chains; chain++) {
        const double *x = chunk_row(m, g, c, chain, row);
        if (!x) return false;
        *sum = lq_hash(x, (size_t)((end - row) * c->elements) * 8, *sum);
    }
    return true;
}

bool piece_is_there(Measurements *m, const Group *g, Column *c, const Rows *from, int64_t row, int64_t end)
{
    for (int64_t chain = 0; chain < g->chains; chain++) {
        const double *x = chunk_row(m, g, c, chain, row), *want = from->data + (chain * from->chain_rows + row - from->first_row) * c->elements;
        if (!x || memcmp(x, want, (size_t)((end - row) * c->elements) * 8)) return false;
    }
    return true;
}

bool rows_read(Measurements *m, const Group *g, Column *c, double *data, int64_t chain_rows, int64_t first_row, int64_t row, int64_t end)
{
    for (int64_t to; row < end; row = to) {
        to = piece_end(c, row, end);
        for (int64_t chain = 0; chain < g->chains; chain++) {
            const double *x = chunk_row(m, g, c, chain, row);
            if (!x) return false;
            memcpy(data + (chain * chain_rows + row - first_row) * c->elements, x, (size_t)((to - row) * c->elements) * 8);
        }
    }
    return true;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static void put(Text *t, int64_t x)
{
    text_putn(t, (const char *)&x, sizeof x);
}

static void put_text(Text *t, const char *s)
{
    put(t, s ? (int64_t)strlen(s) : -1);
    if (s) text_putn(t, s, strlen(s));
}

static char *index_path(const Store *s, uint64_t id)
{
    char name[64];
    snprintf(name, sizeof name, "checkpoint/index-%016llx", (unsigned long long)id);
    return store_path(s, name);
}

/* A record, whole or not at all: what is written in part is cut off again; where even that fails,
 * nothing is appended any more. */
static int add_record(const Store *s, Measurements *m, uint32_t kind, Text *payload, char *err, size_t errlen)
{
    Frame f = {kind, 0, payload->n, lq_hash(payload->s, payload->n, kind)};
    Text t = {0};
    text_putn(&t, (const char *)&f, sizeof f);
    text_putn(&t, payload->s, payload->n);
    size_t put = 0;
    int cause = 0;
    while (put < t.n && !cause) {
        ssize_t k = pwrite(m->index, t.s + put, t.n - put, m->index_size + (off_t)put);
        if (k < 0 && errno != EINTR) cause = errno;
        if (k > 0) put += (size_t)k;
        if (k == 0) cause = EIO;
    }
    if (!cause) m->index_size += (int64_t)t.n;
    else if (ftruncate(m->index, m->index_size)) m->index_size = -1;
    text_free(&t), text_free(payload);
    return cause ? store_failed(CANNOT_WRITE, err, errlen, index_path(s, m->id), "cannot write: %s", strerror(cause)) : 0;
}

int index_create(const Store *s, Measurements *m, char *err, size_t errlen)
{
    Text t = {0};
    const char *path = index_path(s, m->id);
    m->index = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (m->index < 0) return store_failed(CANNOT_CREATE, err, errlen, path, "cannot create: %s", strerror(errno));
    text_putn(&t, "lqft-idx", 8);
    put(&t, VERSION), put(&t, (int64_t)m->id), put(&t, (int64_t)m->id_place);
    return add_record(s, m, HEAD, &t, err, errlen);
}

static void put_column(Text *t, const Column *c)
{
    const StoreColumn *spec = &c->spec;
    put_text(t, spec->name), put_text(t, spec->about), put(t, spec->rank);
    for (int i = 0; i < spec->rank; i++) put(t, spec->shape[i]);
    put(t, spec->stride), put(t, c->block_chains), put(t, c->block_rows);
    for (int i = 0; i < spec->rank; i++) {
        put_text(t, spec->axes ? spec->axes[i] : NULL);
        bool points = spec->coords && spec->coords[i];
        put(t, points);
        if (points) text_putn(t, (const char *)spec->coords[i], (size_t)spec->shape[i] * 8);
    }
}

int index_add_group(const Store *s, Measurements *m, const Group *g, char *err, size_t errlen)
{
    Text t = {0};
    put_text(&t, g->name), put_text(&t, g->about), put(&t, g->chains), put(&t, g->ncolumns);
    for (int i = 0; i < g->ncolumns; i++) put_column(&t, &g->columns[i]);
    return add_record(s, m, GROUP, &t, err, errlen);
}

static void put_pieces(Text *t, const Group *g, const Column *c, int64_t row, int64_t end)
{
    int64_t blocks = chain_blocks(g, c);
    for (int i = 0; row < end; row = piece_end(c, row, end), i++) {
        if (row % c->block_rows == 0) text_putn(t, (const char *)&c->places.data[row / c->block_rows * blocks], (size_t)blocks * 8);
        put(t, (int64_t)c->sums.data[i]);
    }
}

int index_add_draws(const Store *s, Measurements *m, int group, int64_t first, int64_t n, char *err, size_t errlen)
{
    Text t = {0};
    const Group *g = m->groups.data[group];
    put(&t, group), put(&t, first), put(&t, n);
    for (int i = 0; i < g->ncolumns; i++)
        put_pieces(&t, g, &g->columns[i], rows_of(first, g->columns[i].spec.stride), rows_of(first + n, g->columns[i].spec.stride));
    return add_record(s, m, DRAWS, &t, err, errlen);
}

/* ---- reading: nothing in the file is trusted -------------------------------------------------------------- */

typedef struct Cursor { const char *p, *end; bool bad; } Cursor;

static const void *take(Cursor *c, int64_t n)
{
    const char *at = c->p;
    if (n < 0 || n > c->end - c->p) c->bad = true;
    if (c->bad) return NULL;
    c->p += n;
    return at;
}

static int64_t take_number(Cursor *c)
{
    int64_t x = 0;
    const void *p = take(c, sizeof x);
    if (p) memcpy(&x, p, sizeof x);
    return x;
}

static const char *take_text(Cursor *c, Arena *arena)
{
    int64_t n = take_number(c);
    const char *p = n < 0 ? NULL : take(c, n);
    return p ? arena_strndup(arena, p, (size_t)n) : NULL;
}

static void take_axes(Cursor *c, Arena *arena, StoreColumn *spec)
{
    const char **axes = arena_alloc(arena, (size_t)spec->rank * sizeof *axes);
    const double **coords = arena_alloc(arena, (size_t)spec->rank * sizeof *coords);
    for (int i = 0; i < spec->rank && !c->bad; i++) {
        axes[i] = take_text(c, arena);
        int64_t bytes = 0;
        if (!take_number(c)) continue;
        const void *p = lq_mul_ok(spec->shape[i], 8, &bytes) ? take(c, bytes) : NULL;
        if (!p) c->bad = true;
        else coords[i] = memcpy(arena_alloc(arena, (size_t)bytes), p, (size_t)bytes);
    }
    spec->axes = axes, spec->coords = coords;
}

static void take_column(Cursor *c, Arena *arena, const Group *g, Column *column)
{
    StoreColumn *spec = &column->spec;
    column->set = column->cached = -1;
    spec->name = take_text(c, arena), spec->about = take_text(c, arena);
    int64_t rank = take_number(c);
    if (!spec->name || rank < 0 || rank > ARRAY_MAX_RANK) c->bad = true;
    for (int i = 0; i < rank && !c->bad; i++) spec->shape[i] = take_number(c);
    spec->rank = c->bad ? 0 : (int)rank;
    spec->stride = take_number(c);
    int64_t chains = take_number(c), rows = take_number(c);
    if (c->bad || !column_shape(g, column) || chains != column->block_chains || rows != column->block_rows) c->bad = true;
    else take_axes(c, arena, spec);
}

static bool take_group(Cursor *c, Measurements *m)
{
    Group *g = arena_alloc(m->arena, sizeof *g);
    g->name = take_text(c, m->arena), g->about = take_text(c, m->arena);
    g->chains = take_number(c);
    int64_t n = take_number(c);
    if (c->bad || !g->name || n < 0 || n > MOST_COLUMNS) return false;
    g->columns = arena_alloc(m->arena, (size_t)n * sizeof *g->columns);
    for (g->ncolumns = 0; g->ncolumns < n && !c->bad; g->ncolumns++) take_column(c, m->arena, g, &g->columns[g->ncolumns]);
    vec_push(&m->groups, g);
    return !c->bad;
}

/* One column's part of a record of draws; false when the file has not what the checksum says. */
static bool take_pieces(Cursor *c, Measurements *m, const Group *g, Column *column, int64_t row, int64_t end)
{
    bool whole = true;
    uint64_t sum = 0;
    for (int64_t to; row < end && !c->bad; row = to) {
        to = piece_end(column, row, end);
        for (int64_t k = 0; row % column->block_rows == 0 && k < chain_blocks(g, column) && !c->bad; k++) {
            uint64_t place = (uint64_t)take_number(c);
            vec_push(&column->places, place);
        }
        uint64_t want = (uint64_t)take_number(c);
        if (whole && !c->bad) whole = piece_checksum_read(m, g, column, row, to, &sum) && sum == want;
    }
    return whole;
}

static bool take_draws(Cursor *c, Measurements *m)
{
    int64_t group = take_number(c), first = take_number(c), n = take_number(c), last;
    if (c->bad || group < 0 || group >= m->groups.n || n < 1 || __builtin_add_overflow(first, n, &last)) return false;
    Group *g = m->groups.data[group];
    if (g->problem) return true; /* what came before is lost */
    if (first != g->draws) return false;
    bool whole = true;
    for (int i = 0; i < g->ncolumns && whole && !c->bad; i++) {
        Column *column = &g->columns[i];
        whole = take_pieces(c, m, g, column, rows_of(first, column->spec.stride), rows_of(last, column->spec.stride));
        if (!whole) g->problem = arena_printf(m->arena, "the numbers of %s differ from their checksum", column->spec.name);
    }
    if (whole && !c->bad) g->draws = last;
    return !c->bad;
}

static bool take_record(Cursor *c, Measurements *m)
{
    Frame f;
    const void *p = take(c, sizeof f);
    if (!p) return false;
    memcpy(&f, p, sizeof f);
    p = f.bytes > INT64_MAX ? NULL : take(c, (int64_t)f.bytes);
    if (!p || f.zero || lq_hash(p, f.bytes, f.kind) != f.checksum) return false;
    Cursor payload = {p, (const char *)p + f.bytes, false};
    if (f.kind == GROUP) return take_group(&payload, m);
    return f.kind == DRAWS && take_draws(&payload, m);
}

/* The head; does the id stand in measurements.h5 where it should? */
static bool take_head(Cursor *c, Measurements *m)
{
    Frame f;
    uint64_t there;
    const void *p = take(c, sizeof f);
    if (!p) return false;
    memcpy(&f, p, sizeof f);
    if (f.kind != HEAD || f.bytes != 32 || !(p = take(c, 32)) || memcmp(p, "lqft-idx", 8) || lq_hash(p, 32, HEAD) != f.checksum) return false;
    Cursor head = {(const char *)p + 8, (const char *)p + 32, false};
    if (take_number(&head) != VERSION) return false;
    m->id = (uint64_t)take_number(&head), m->id_place = (uint64_t)take_number(&head);
    if (m->id_place > INT64_MAX) return false;
    ssize_t got = pread(m->data, &there, 8, (off_t)m->id_place);
    if (got < 0) m->read_cause = errno;
    return got == 8 && there == m->id;
}

static void forget_caches(Measurements *m)
{
    for (int i = 0; i < m->groups.n; i++)
        for (int k = 0; k < m->groups.data[i]->ncolumns; k++) {
            Column *c = &m->groups.data[i]->columns[k];
            free(c->cache);
            c->cache = NULL, c->cached = -1;
        }
}

/* Reads one index: 0, 1 when it belongs to another file, -1 with a message. */
static int index_read(Measurements *m, const char *path, char *err, size_t errlen)
{
    char *text;
    int64_t size;
    if (file_read(path, &text, &size, err, errlen)) return -1;
    Cursor c = {text, text + size, false};
    bool ours = take_head(&c, m);
    if (ours)
        while (take_record(&c, m)) m->index_size = c.p - text;
    free(text);
    forget_caches(m);
    if (m->read_cause) return store_failed(-1, err, errlen, path, "what it says of measurements.h5 cannot be checked: %s", strerror(m->read_cause));
    return !ours;
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

Measurements *measurements_new(void)
{
    Measurements *m = lq_alloc(sizeof *m);
    *m = (Measurements){.arena = arena_new(), .data = -1, .index = -1, .file = -1, .file_fd = -1};
    if (getrandom(&m->id, sizeof m->id, 0) != sizeof m->id) m->id = (uint64_t)(uintptr_t)m ^ (uint64_t)getpid() << 40;
    return m;
}

void measurements_free(Measurements *m)
{
    if (!m) return;
    forget_caches(m);
    for (int i = 0; i < m->groups.n; i++)
        for (int k = 0; k < m->groups.data[i]->ncolumns; k++) {
            vec_free(&m->groups.data[i]->columns[k].places);
            vec_free(&m->groups.data[i]->columns[k].sums);
        }
    vec_free(&m->groups);
    if (m->data >= 0) close(m->data);
    if (m->index >= 0) close(m->index);
    arena_free(m->arena);
    free(m);
}

/* Without its file: does an index tell of draws?  An index is made before its file is in place. */
static int index_has_draws(const char *path, bool *draws, char *err, size_t errlen)
{
    char *text;
    int64_t size;
    Frame f;
    if (file_read(path, &text, &size, err, errlen)) return -1;
    Cursor c = {text, text + size, false};
    for (const void *p; (p = take(&c, sizeof f));) {
        memcpy(&f, p, sizeof f);
        if (f.bytes > INT64_MAX || !take(&c, (int64_t)f.bytes)) break;
        *draws = *draws || f.kind == DRAWS;
    }
    free(text);
    return 1;
}

static int find_index(const Store *s, Measurements *m, char *err, size_t errlen)
{
    int status = 1;
    bool draws = false;
    DIR *d = opendir(s->path_checkpoints);
    if (!d && errno != ENOENT) return store_failed(BAD_DATA, err, errlen, s->path_checkpoints, "cannot read: %s", strerror(errno));
    for (struct dirent *e; d && status > 0 && (errno = 0, e = readdir(d));) {
        if (strncmp(e->d_name, "index-", 6)) continue;
        const char *path = store_path(s, arena_printf(s->arena, "checkpoint/%s", e->d_name));
        status = m->data >= 0 ? index_read(m, path, err, errlen) : index_has_draws(path, &draws, err, errlen);
    }
    if (status > 0 && d && errno) status = store_failed(-1, err, errlen, s->path_checkpoints, "cannot read: %s", strerror(errno));
    if (d) closedir(d);
    if (status > 0 && m->data >= 0) m->problem = "no index in checkpoint/ belongs to this file: it is damaged, or of another run";
    if (status > 0 && draws) m->problem = "the file is missing, and checkpoint/ tells of draws in it";
    return status < 0 ? BAD_DATA : 0;
}

int measurements_find(Store *s, char *err, size_t errlen)
{
    struct stat st;
    unsigned char flags = 0;
    Measurements *m = s->m = measurements_new();
    m->data = open(s->path_data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (m->data < 0 && errno != ENOENT) return store_failed(BAD_DATA, err, errlen, s->path_data, "cannot open: %s", strerror(errno));
    if (m->data < 0) return find_index(s, m, err, errlen);
    if (fstat(m->data, &st) || !S_ISREG(st.st_mode)) return store_failed(BAD_DATA, err, errlen, s->path_data, "not a regular file");
    m->unclean = pread(m->data, &flags, 1, H5_FLAGS) == 1 && flags; /* else it is taken to be closed */
    return find_index(s, m, err, errlen);
}

int measurements_sync(const Store *s, char *err, size_t errlen)
{
    const Measurements *m = s->m;
    if (m->data >= 0 && fsync(m->data)) return store_failed(CANNOT_WRITE, err, errlen, s->path_data, "cannot sync: %s", strerror(errno));
    if (m->index >= 0 && fsync(m->index))
        return store_failed(CANNOT_WRITE, err, errlen, index_path(s, m->id), "cannot sync: %s", strerror(errno));
    return 0;
}

void index_remove(const Store *s, uint64_t id, bool others)
{
    char own[32];
    snprintf(own, sizeof own, "index-%016llx", (unsigned long long)id);
    DIR *d = opendir(s->path_checkpoints);
    for (struct dirent *e; d && (e = readdir(d));)
        if (!strncmp(e->d_name, "index-", 6) && (strcmp(e->d_name, own) != 0) == others) unlinkat(dirfd(d), e->d_name, 0);
    if (d) closedir(d);
}
