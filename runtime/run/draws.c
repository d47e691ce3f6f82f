/* draws.c — the measurements of a run: groups, appending, reading back: see store.h and inside.h. */
#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COPY_BYTES = 1 << 23 };

/* ---- groups --------------------------------------------------------------------------------------- */

static const char *copy_text(Arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

static void copy_spec(Arena *arena, StoreColumn *to, const StoreColumn *from)
{
    const char **axes = arena_alloc(arena, (size_t)from->rank * sizeof *axes);
    const double **coords = arena_alloc(arena, (size_t)from->rank * sizeof *coords);
    *to = *from;
    to->name = copy_text(arena, from->name), to->about = copy_text(arena, from->about);
    for (int i = 0; i < from->rank; i++) {
        axes[i] = from->axes ? copy_text(arena, from->axes[i]) : NULL;
        if (!from->coords || !from->coords[i]) continue;
        size_t bytes = (size_t)from->shape[i] * sizeof(double);
        coords[i] = memcpy(arena_alloc(arena, bytes), from->coords[i], bytes);
    }
    to->axes = axes, to->coords = coords;
}

/* A group without draws in m; NULL when a shape is impossible. */
static Group *add_group(Measurements *m, const char *name, const char *about, int64_t chains, int n, const StoreColumn *columns)
{
    Group *g = arena_alloc(m->arena, sizeof *g);
    *g = (Group){.name = copy_text(m->arena, name), .about = copy_text(m->arena, about), .chains = chains, .ncolumns = n};
    g->columns = arena_alloc(m->arena, (size_t)n * sizeof *g->columns);
    for (int i = 0; i < n; i++) {
        Column *c = &g->columns[i];
        c->spec.rank = columns[i].rank, c->spec.stride = columns[i].stride, c->set = c->cached = -1;
        memcpy(c->spec.shape, columns[i].shape, sizeof c->spec.shape);
        if (!column_shape(g, c)) return NULL;
        copy_spec(m->arena, &c->spec, &columns[i]);
    }
    vec_push(&m->groups, g);
    return g;
}

static void add_group_like(Measurements *m, const Group *g)
{
    StoreColumn *columns = lq_alloc((size_t)g->ncolumns * sizeof *columns);
    for (int i = 0; i < g->ncolumns; i++) columns[i] = g->columns[i].spec;
    add_group(m, g->name, g->about, g->chains, g->ncolumns, columns);
    free(columns);
}

static bool same_points(const StoreColumn *a, const StoreColumn *b, int i)
{
    const double *p = a->coords ? a->coords[i] : NULL, *q = b->coords ? b->coords[i] : NULL;
    return !p == !q && (!p || !memcmp(p, q, (size_t)a->shape[i] * sizeof *p));
}

/* How a column differs from the one there was; NULL when it does not. */
static const char *difference(const StoreColumn *was, const StoreColumn *now)
{
    if (strcmp(was->name, now->name)) return "has another name";
    if (was->stride != now->stride) return "is kept on other draws";
    if (was->rank != now->rank || memcmp(was->shape, now->shape, (size_t)was->rank * sizeof *was->shape)) return "has another shape";
    for (int i = 0; i < was->rank; i++)
        if (!same_points(was, now, i)) return "has other points on its axes";
    return NULL;
}

static int check_group(const Store *s, const Group *g, int64_t chains, int n, const StoreColumn *columns, char *err, size_t errlen)
{
    if (g->chains != chains)
        return store_failed(BAD_DATA, err, errlen, s->path_data, "%s has %lld chains, and now %lld are asked for", g->name, (long long)g->chains, (long long)chains);
    if (g->ncolumns != n)
        return store_failed(BAD_DATA, err, errlen, s->path_data, "%s has %d quantities, and now %d are asked for", g->name, g->ncolumns, n);
    for (int i = 0; i < n; i++) {
        const char *how = difference(&g->columns[i].spec, &columns[i]);
        if (how) return store_failed(BAD_DATA, err, errlen, s->path_data, "%s/%s %s: it belongs to another run", g->name, g->columns[i].spec.name, how);
    }
    return 0;
}

/* ---- a new file in place of the old one -------------------------------------------------------------- */

/* So many draws at a time. */
static int64_t batch(const Group *g)
{
    double bytes = 1;
    for (int i = 0; i < g->ncolumns; i++) bytes += 8.0 * (double)g->chains * (double)g->columns[i].elements / (double)g->columns[i].spec.stride;
    return bytes > COPY_BYTES ? 1 : (int64_t)(COPY_BYTES / bytes) + 1;
}

static int cannot_read(const Store *s, const Group *g, const Column *c, char *err, size_t errlen)
{
    int cause = s->m->read_cause;
    return store_failed(BAD_DATA, err, errlen, s->path_data, "cannot read %s/%s: %s", g->name, c->spec.name, cause ? strerror(cause) : "it is cut off");
}

/* Draws [first, last) of a group of the old file. */
static int copy_draws(const Store *s, Measurements *to, const char *path, int group, int64_t first, int64_t last, double **data, char *err, size_t errlen)
{
    Group *old = s->m->groups.data[group], *new = to->groups.data[group];
    Rows *rows = lq_alloc((size_t)new->ncolumns * sizeof *rows);
    int status = 0;
    for (int i = 0; i < new->ncolumns && !status; i++) {
        Column *c = &old->columns[i];
        int64_t row = rows_of(first, c->spec.stride), end = rows_of(last, c->spec.stride);
        rows[i] = (Rows){data[i], end - row, row};
        c->cached = -1;
        if (!rows_read(s->m, old, c, data[i], end - row, row, row, end))
            status = cannot_read(s, old, c, err, errlen);
    }
    if (!status) status = h5_append(to, path, new, first, last - first, rows, err, errlen);
    if (!status) status = index_add_draws(s, to, group, first, last - first, err, errlen);
    if (!status) new->draws = last;
    free(rows);
    return status;
}

static int copy_group(const Store *s, Measurements *to, const char *path, int group, int64_t draws, char *err, size_t errlen)
{
    Group *g = to->groups.data[group];
    int64_t n = batch(g);
    int status = 0;
    if (n > draws) n = draws;
    double **data = lq_alloc((size_t)g->ncolumns * sizeof *data);
    for (int i = 0; i < g->ncolumns; i++) data[i] = lq_alloc((size_t)(rows_of(n, g->columns[i].spec.stride) + 1) * (size_t)g->chains * (size_t)g->columns[i].elements * 8);
    for (int64_t first = 0; first < draws && !status; first += n)
        status = copy_draws(s, to, path, group, first, first + n < draws ? first + n : draws, data, err, errlen);
    for (int i = 0; i < g->ncolumns; i++) free(data[i]);
    free(data);
    return status;
}

static int fill_new(const Store *s, Measurements *to, const char *path, int cut, int64_t draws, char *err, size_t errlen)
{
    int status = h5_create(to, path, err, errlen);
    if (!status && (to->data = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        status = store_failed(CANNOT_CREATE, err, errlen, path, "cannot open: %s", strerror(errno));
    uint64_t id;
    if (!status && (pread(to->data, &id, sizeof id, (off_t)to->id_place) != sizeof id || id != to->id))
        status = store_failed(CANNOT_WRITE, err, errlen, path, "cannot write: what was written is not in the file; is the disk full?");
    if (!status) status = index_create(s, to, err, errlen);
    for (int i = 0; i < to->groups.n && !status; i++) status = index_add_group(s, to, to->groups.data[i], err, errlen);
    for (int i = 0; i < s->m->groups.n && !status; i++)
        status = copy_group(s, to, path, i, i == cut ? draws : s->m->groups.data[i]->draws, err, errlen);
    if (!status && (fsync(to->data) || fsync(to->index))) status = store_failed(CANNOT_WRITE, err, errlen, path, "cannot sync: %s", strerror(errno));
    if (!status) status = store_sync_directory(s->path_checkpoints, err, errlen); /* the index is there before the file */
    if (!status && rename(path, s->path_data)) status = store_failed(CANNOT_WRITE, err, errlen, path, "cannot rename: %s", strerror(errno));
    return status;
}

/* A file of which not all can be taken over stays beside the new one. */
static void keep_damaged(const Store *s)
{
    char *path = arena_printf(s->m->arena, "%s.damaged", s->path_data);
    for (int i = 0; i < s->m->groups.n; i++)
        if (s->m->groups.data[i]->problem && link(s->path_data, path) == 0) return;
}

/* The file is written anew, with the groups of `to`, which has those of s->m first; group `cut`
 * up to `draws`.  When this fails, what there was is there still. */
static int replace_file(Store *s, Measurements *to, int cut, int64_t draws, char *err, size_t errlen)
{
    char *path = arena_printf(to->arena, "%s.tmp", s->path_data);
    int status = h5_ready(s, err, errlen);
    if (!status) status = store_make_checkpoints(s, err, errlen);
    if (status) return measurements_free(to), status;
    h5_close(s->m);
    keep_damaged(s);
    unlink(path); /* of a process that was killed: libhdf5 may still have it open */
    status = fill_new(s, to, path, cut, draws, err, errlen);
    if (status) {
        h5_abandon(to);
        unlink(path);
        index_remove(s, to->id, false);
        measurements_free(to);
        return status;
    }
    measurements_free(s->m);
    s->m = to;
    status = store_sync_directory(s->dir, err, errlen);
    if (!status) index_remove(s, to->id, true);
    return status;
}

static Measurements *measurements_like(const Measurements *m)
{
    Measurements *to = measurements_new();
    for (int i = 0; i < m->groups.n; i++) add_group_like(to, m->groups.data[i]);
    return to;
}

/* A file that was never closed opens for nobody but SWMR readers. */
void measurements_close(Store *s)
{
    char err[256];
    if (s->m->unclean && s->m->groups.n) replace_file(s, measurements_like(s->m), -1, 0, err, sizeof err);
    h5_close(s->m);
    measurements_free(s->m);
}

/* ---- what the caller has ------------------------------------------------------------------------------- */

int store_group(Store *s, const char *name, const char *about, int64_t chains, int ncolumns, const StoreColumn *columns, int *out,
                char *err, size_t errlen)
{
    int status = store_begun(s, "store_group", err, errlen);
    if (!status) status = h5_ready(s, err, errlen);
    if (status) return status;
    if (s->m->problem)
        return store_failed(BAD_DATA, err, errlen, s->path_data, "%s (to measure anew, move it and checkpoint/ away)", s->m->problem);
    for (*out = 0; *out < s->m->groups.n; ++*out)
        if (!strcmp(s->m->groups.data[*out]->name, name)) return check_group(s, s->m->groups.data[*out], chains, ncolumns, columns, err, errlen);
    Measurements *to = measurements_like(s->m);
    if (!add_group(to, name, about, chains, ncolumns, columns)) {
        measurements_free(to);
        return store_failed(BAD_DATA, err, errlen, s->path_data, "%s: a quantity without elements, or too large to be kept", name);
    }
    return replace_file(s, to, -1, 0, err, errlen);
}

int64_t store_draws(const Store *s, int group)
{
    return s->m->groups.data[group]->draws;
}

static int missing_draws(const Store *s, const Group *g, int64_t n, char *err, size_t errlen)
{
    return store_failed(BAD_DATA, err, errlen, s->path_data, "%s has %lld draws, and %lld are needed%s%s", g->name, (long long)g->draws, (long long)n,
                        g->problem ? ": " : "", g->problem ? g->problem : "");
}

int store_append(Store *s, int group, int64_t first, int64_t n, const double *const *data, const int64_t *chain_rows,
                 char *err, size_t errlen)
{
    Group *g = s->m->groups.data[group];
    int status = 0;
    if (first > g->draws) return missing_draws(s, g, first, err, errlen);
    if (n <= 0) return 0;
    if (first < g->draws) states_forget_damaged(s);
    if (s->m->file < 0 || first < g->draws) status = replace_file(s, measurements_like(s->m), group, first, err, errlen);
    if (status) return status;
    g = s->m->groups.data[group];
    Rows *rows = lq_alloc((size_t)g->ncolumns * sizeof *rows);
    for (int i = 0; i < g->ncolumns; i++) rows[i] = (Rows){data[i], chain_rows[i], 0};
    status = h5_append(s->m, s->path_data, g, first, n, rows, err, errlen);
    if (!status) status = index_add_draws(s, s->m, group, first, n, err, errlen);
    free(rows);
    if (status) h5_abandon(s->m), s->m->unclean = true; /* the next call writes a new file, from what the index has */
    else g->draws = first + n;
    return status;
}

int store_read(Store *s, int group, int64_t n, double *const *data, const int64_t *chain_rows, char *err, size_t errlen)
{
    Group *g = s->m->groups.data[group];
    if (n > g->draws) return missing_draws(s, g, n, err, errlen);
    for (int i = 0; i < g->ncolumns; i++) {
        Column *c = &g->columns[i];
        c->cached = -1;
        if (!rows_read(s->m, g, c, data[i], chain_rows[i], 0, 0, rows_of(n, c->spec.stride)))
            return cannot_read(s, g, c, err, errlen);
    }
    return 0;
}
