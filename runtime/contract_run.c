/* contract_run.c — a planned contraction carried out: blocks, packing, tiles.  See
 * contract_plan.h. */
#include <string.h>

#include "contract_plan.h"
#include "threads.h"

/* A contraction as tasks: some of its entries (points of slices and batch axes), some of their
 * columns, some of their rows. */
typedef struct Job {
    const LqContractPlan *p;
    const char *operand[2];      /* a and b */
    char *out, *scratch;
    int64_t entries, entry_parts, entry_unit, column_parts, column_part, row_parts, row_part;
    const LqFollower *follower;  /* NULL: none, or it comes when all is made */
} Job;

typedef struct Run {
    const LqContractPlan *p;
    const char *s, *v;       /* operands of one batch entry */
    char *out;
    int64_t first_row, end_row, first_column, end_column;
    char *packed_s, *packed_v, *tile;
    const char *packed_from; /* the scalar operand that is packed as a whole */
    const Job *job;
    int worker;
    int64_t followed;        /* the follower's next task */
    int64_t *room_k[2], *room_r[2], *room_c[2];
    /* the block at hand */
    const int64_t *ks, *kv, *rows, *out_rows, *columns, *out_columns;
    int64_t nk, nrows, ncolumns;
    bool add;
    char *packed_block;
    int npanels;
    struct Panel {
        int64_t column;      /* first of its columns */
        int width, vectors;  /* columns, vectors */
        int skip;            /* columns of its first vector that belong to the panel before */
        bool direct;         /* a tile can be stored in out as it is */
        const char *v;
        const int64_t *kv;
    } panel[CT_COLUMNS + 1];
} Run;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How many offsets from the first on are those of neighbours, at most n. */
static int64_t neighbours(const int64_t *offset, int64_t n, int64_t element)
{
    int64_t i = 1;
    while (i < n && offset[i] == offset[i - 1] + element) i++;
    return i;
}

static void put(char *to, const char *from, int64_t element)
{
    if (element == sizeof(float)) *(float *)to = *(const float *)from;
    else *(double *)to = *(const double *)from;
}

/* ---- the vector operand ---------------------------------------------------------------- */

/* Columns at any offsets, element by element; zeros fill the last vector. */
static void pack_elements(const Run *r, const struct Panel *q, char *to)
{
    const LqContractPlan *p = r->p;
    const int64_t *columns = r->columns + q->column;
    int64_t e = p->element, room = q->vectors * p->machine->lanes;
    for (int64_t k = 0; k < r->nk; k++, to += p->panel_step) {
        const char *from = r->v + r->kv[k];
        if (e == sizeof(float))
            for (int j = 0; j < q->width; j++) ((float *)to)[j] = *(const float *)(from + columns[j]);
        else
            for (int j = 0; j < q->width; j++) ((double *)to)[j] = *(const double *)(from + columns[j]);
        memset(to + q->width * e, 0, (size_t)((room - q->width) * e));
    }
}

static void pack_panel(const Run *r, const struct Panel *q, char *to)
{
    const LqContractPlan *p = r->p;
    const CtMachine *m = p->machine;
    const int64_t *columns = r->columns + q->column;
    bool whole = q->width == q->vectors * m->lanes;
    if (whole && neighbours(columns, q->width, p->element) == q->width)
        m->copy(to, p->panel_step, r->v + columns[0], r->kv, r->nk, q->width);
    else if (whole && neighbours(r->kv, r->nk, p->element) == r->nk)
        m->turn(to, p->panel_step, r->v + r->kv[0], columns, r->nk, q->width);
    else pack_elements(r, q, to);
}

/* The panel at the end of n neighbours may be wider than what is left: it then begins before. */
static void add_panel(Run *r, int64_t before, int64_t column, int64_t width, char **room)
{
    const LqContractPlan *p = r->p;
    int lanes = p->machine->lanes;
    struct Panel *q = &r->panel[r->npanels++];
    *q = (struct Panel){.column = column, .width = (int)width, .vectors = (int)((width + lanes - 1) / lanes)};
    int64_t beyond = q->vectors * lanes - width;
    q->direct = !beyond && neighbours(r->out_columns + column, width, p->element) == width;
    if (!p->pack_v && beyond <= before) {
        q->skip = (int)beyond;
        q->v = r->v + r->columns[column - beyond];
        q->kv = r->kv;
        return;
    }
    pack_panel(r, q, *room);
    q->v = *room;
    q->kv = p->packed_kv;
    *room += p->panel_step * r->nk;
}

/* n columns from c on, cut into panels of about equal width; those of one panel are neighbours
 * if they are not packed. */
static void cut(Run *r, int64_t c, int64_t n, char **room)
{
    const LqContractPlan *p = r->p;
    int lanes = p->machine->lanes;
    int64_t vectors = (n + lanes - 1) / lanes, panels = (vectors + p->panel - 1) / p->panel;
    if (!p->pack_v && n % lanes && panels == 1 && vectors > 1) panels = 2;
    for (int64_t i = 0, at = 0; i < panels; i++) {
        int64_t width = (vectors / panels + (i < vectors % panels)) * lanes;
        add_panel(r, at, c + at, smaller(width, n - at), room);
        at += width;
    }
}

static void make_panels(Run *r)
{
    const LqContractPlan *p = r->p;
    char *room = r->packed_v;
    r->npanels = 0;
    for (int64_t c = 0, n; c < r->ncolumns; c += n) {
        n = p->pack_v ? r->ncolumns : neighbours(r->columns + c, r->ncolumns - c, p->element);
        cut(r, c, n, &room);
    }
}

/* ---- the scalar operand ------------------------------------------------------------------- */

/* Rows of tile i of n: as equal as can be. */
static int64_t tile_begin(int64_t rows, int64_t tiles, int64_t i)
{
    return i * (rows / tiles) + smaller(i, rows % tiles);
}

static int64_t count_tiles(const Run *r)
{
    int most = r->p->machine->tile_rows;
    return (r->nrows + most - 1) / most;
}

static int64_t tile_bytes(const LqContractPlan *p)
{
    return p->machine->tile_rows * (p->block + 64 / p->element) * p->element;
}

/* Rows that are neighbours: all of them at once for each k. */
static void pack_neighbours(const Run *r, const char *from, int64_t n, char *to)
{
    const int64_t *packed = r->p->packed_ks, bytes = n * r->p->element;
    if (bytes == 64)
        for (int64_t k = 0; k < r->nk; k++) memcpy(to + packed[k], from + r->ks[k], 64);
    else if (bytes == 32)
        for (int64_t k = 0; k < r->nk; k++) memcpy(to + packed[k], from + r->ks[k], 32);
    else
        for (int64_t k = 0; k < r->nk; k++) memcpy(to + packed[k], from + r->ks[k], (size_t)bytes);
}

static void pack_tile(const Run *r, int64_t first, int64_t n, char *to)
{
    const LqContractPlan *p = r->p;
    int64_t e = p->element;
    if (p->packed_by_k && neighbours(r->rows + first, n, e) == n) {
        pack_neighbours(r, r->s + r->rows[first], n, to);
        return;
    }
    bool k_run = !p->packed_by_k && neighbours(r->ks, r->nk, e) == r->nk;
    for (int64_t i = 0; i < n; i++) {
        const char *from = r->s + r->rows[first + i];
        char *row = to + p->packed_rows[i];
        if (k_run) memcpy(row, from + r->ks[0], (size_t)(r->nk * e));
        else if (p->single)
            for (int64_t k = 0; k < r->nk; k++) *(float *)(row + p->packed_ks[k]) = *(const float *)(from + r->ks[k]);
        else
            for (int64_t k = 0; k < r->nk; k++) *(double *)(row + p->packed_ks[k]) = *(const double *)(from + r->ks[k]);
    }
}

static void pack_rows(Run *r)
{
    int64_t tiles = count_tiles(r);
    for (int64_t i = 0; i < tiles; i++) {
        int64_t first = tile_begin(r->nrows, tiles, i);
        pack_tile(r, first, tile_begin(r->nrows, tiles, i + 1) - first, r->packed_block + i * tile_bytes(r->p));
    }
}

/* ---- tiles ------------------------------------------------------------------------------------ */

/* A tile from where it was made to its columns in out. */
static void scatter(const Run *r, const struct Panel *q, const int64_t *out_rows, int64_t n)
{
    int64_t width = q->vectors * r->p->machine->lanes;
    const int64_t *columns = r->out_columns + q->column;
    for (int64_t i = 0; i < n; i++) {
        char *o = r->out + out_rows[i];
        if (r->p->single) {
            const float *t = (const float *)r->tile + i * width + q->skip;
            for (int j = 0; j < q->width; j++) {
                float *to = (float *)(o + columns[j]);
                *to = r->add ? *to + t[j] : t[j];
            }
        } else {
            const double *t = (const double *)r->tile + i * width + q->skip;
            for (int j = 0; j < q->width; j++) {
                double *to = (double *)(o + columns[j]);
                *to = r->add ? *to + t[j] : t[j];
            }
        }
    }
}

static void tiles_of_panel(Run *r, const struct Panel *q)
{
    const LqContractPlan *p = r->p;
    int64_t tiles = count_tiles(r), tile_rows[CT_TILE_ROWS];
    for (int i = 0; i < CT_TILE_ROWS; i++) tile_rows[i] = i * q->vectors * p->machine->lanes * p->element;
    CtTile t = {.s = r->s, .v = q->v, .ks = r->ks, .kv = q->kv, .n = r->nk};
    for (int64_t i = 0; i < tiles; i++) {
        int64_t first = tile_begin(r->nrows, tiles, i), n = tile_begin(r->nrows, tiles, i + 1) - first;
        t.rows = r->rows + first;
        if (p->pack_s) t.s = r->packed_block + i * tile_bytes(p), t.rows = p->packed_rows, t.ks = p->packed_ks;
        t.out = q->direct ? r->out + r->out_columns[q->column] : r->tile;
        t.out_rows = q->direct ? r->out_rows + first : tile_rows;
        t.add = q->direct && r->add;
        p->machine->tile[n - 1][q->vectors - 1](&t);
        if (!q->direct) scatter(r, q, r->out_rows + first, n);
    }
}

static void row_block(Run *r, int64_t first, bool pack)
{
    const LqContractPlan *p = r->p;
    r->nrows = smaller(CT_ROWS, r->end_row - first);
    r->rows = ct_offsets(&p->rows, 0, first, r->nrows, r->room_r[0]);
    r->out_rows = ct_offsets(&p->rows, 1, first, r->nrows, r->room_r[1]);
    if (p->pack_s && pack) pack_rows(r);
    for (int i = 0; i < r->npanels; i++) tiles_of_panel(r, &r->panel[i]);
}

static void reduced_block(Run *r, int64_t first)
{
    const LqContractPlan *p = r->p;
    r->nk = smaller(p->block, p->reduced.n - first);
    r->ks = ct_offsets(&p->reduced, 0, first, r->nk, r->room_k[0]);
    r->kv = ct_offsets(&p->reduced, 1, first, r->nk, r->room_k[1]);
    r->add = first > 0;
}

/* Points of the first axis of out up to `end` have been made. */
static void follow(Run *r, int64_t end)
{
    const LqFollower *f = r->job->follower;
    for (; r->followed < f->tasks && smaller((r->followed + 1) * f->rows, r->p->first) <= end; r->followed++)
        f->task(f->ctx, r->followed, r->worker);
}

static void rows_made(Run *r, int64_t end)
{
    if (r->job->follower && r->p->row_rows) follow(r, end / r->p->row_rows);
}

/* One batch entry. */
static void product(Run *r)
{
    const LqContractPlan *p = r->p;
    for (int64_t c = r->first_column; c < r->end_column; c += p->column_block) {
        r->ncolumns = smaller(p->column_block, r->end_column - c);
        r->columns = ct_offsets(&p->columns, 0, c, r->ncolumns, r->room_c[0]);
        r->out_columns = ct_offsets(&p->columns, 1, c, r->ncolumns, r->room_c[1]);
        bool pack = !p->pack_once || r->packed_from != r->s;
        for (int64_t k = 0; k < p->reduced.n; k += p->block) {
            reduced_block(r, k);
            make_panels(r);
            r->packed_block = r->packed_s + (p->pack_once ? k / p->block * p->packed_bytes : 0);
            bool last = c + p->column_block >= r->end_column && k + p->block >= p->reduced.n;
            for (int64_t i = r->first_row; i < r->end_row; i += CT_ROWS) {
                row_block(r, i, pack);
                if (last) rows_made(r, i + r->nrows);
            }
        }
        r->packed_from = r->s;
    }
}

/* ---- inner products ------------------------------------------------------------------------------ */

/* The reduced axes of a column of the vector operand as neighbours. */
static const char *gathered(const Run *r, const char *v)
{
    const LqContractPlan *p = r->p;
    int64_t e = p->element, room[CT_BLOCK];
    const CtAxis *last = &p->reduced.ax[p->reduced.rank - 1];
    if (last->by[CT_V] == e) return v;
    for (int64_t k = 0; k < p->reduced.n; k += CT_BLOCK) {
        int64_t n = smaller(CT_BLOCK, p->reduced.n - k);
        const int64_t *kv = ct_offsets(&p->reduced, 1, k, n, room);
        for (int64_t i = 0; i < n; i++) put(r->packed_v + (k + i) * e, v + kv[i], e);
    }
    return r->packed_v;
}

static void dot_rows(const Run *r, const char *x, int64_t first, int64_t n, char *out)
{
    const LqContractPlan *p = r->p;
    int64_t room[2][CT_DOT_ROWS], e = p->element;
    const int64_t *rows = ct_offsets(&p->rows, 0, first, n, room[0]);
    const int64_t *out_rows = ct_offsets(&p->rows, 1, first, n, room[1]);
    const char *row[CT_DOT_ROWS];
    _Alignas(64) char sums[CT_DOT_ROWS * sizeof(double)] = {0};
    for (int64_t k = 0; k < p->reduced.n; k += CT_DOT_BLOCK) {
        for (int64_t i = 0; i < n; i++) row[i] = r->s + rows[i] + k * e;
        p->machine->dot[n - 1](row, x + k * e, smaller(CT_DOT_BLOCK, p->reduced.n - k), sums);
    }
    for (int64_t i = 0; i < n; i++) put(out + out_rows[i], sums + i * e, e);
}

static void dots(Run *r)
{
    const LqContractPlan *p = r->p;
    for (int64_t c = r->first_column; c < r->end_column; c++) {
        int64_t room[2];
        const char *x = gathered(r, r->v + *ct_offsets(&p->columns, 0, c, 1, &room[0]));
        char *out = r->out + *ct_offsets(&p->columns, 1, c, 1, &room[1]);
        for (int64_t i = r->first_row; i < r->end_row; i += CT_DOT_ROWS)
            dot_rows(r, x, i, smaller(CT_DOT_ROWS, r->end_row - i), out);
    }
    rows_made(r, r->end_row);
}

/* ---- all of it --------------------------------------------------------------------------------------- */

static void begin(Run *r, const Job *j, char *room)
{
    const LqContractPlan *p = j->p;
    int64_t *offsets = (int64_t *)(room + p->at_offsets);
    r->p = p;
    r->packed_s = room + p->at_s, r->packed_v = room + p->at_v, r->tile = room + p->at_tile;
    r->packed_from = NULL;
    for (int i = 0; i < 2; i++) {
        r->room_k[i] = offsets, offsets += CT_BLOCK;
        r->room_r[i] = offsets, offsets += CT_ROWS;
        r->room_c[i] = offsets, offsets += CT_COLUMNS;
    }
}

/* The operands of an entry; *slice is the one that has been copied last. */
static void go_to(Run *r, const Job *j, int64_t entry, char *room, int64_t *slice)
{
    const LqContractPlan *p = j->p;
    int64_t i = entry / p->batch.n, rest = entry % p->batch.n;
    const char *operand[2];
    for (int o = 0; o < 2; o++) {
        operand[o] = p->sliced[o] ? room + p->at_wrap[o] : j->operand[o] + i * p->slices.by[o];
        if (p->sliced[o] && *slice != i) ct_wrap(p->wrap[o], j->operand[o] + p->slice_base[o] + i * p->sliced[o], room + p->at_wrap[o]);
    }
    *slice = i;
    r->s = operand[p->a_is_vector ? 1 : 0] + p->base[CT_S];
    r->v = operand[p->a_is_vector ? 0 : 1] + p->base[CT_V];
    r->out = j->out + i * p->slices.by[CT_O];
    for (int x = p->batch.rank - 1; x >= 0; x--) {
        const CtAxis *ax = &p->batch.ax[x];
        int64_t at = rest % ax->n;
        rest /= ax->n;
        r->s += at * ax->by[CT_S], r->v += at * ax->by[CT_V], r->out += at * ax->by[CT_O];
    }
}

static void part(void *ctx, int64_t index, int worker)
{
    const Job *j = ctx;
    const LqContractPlan *p = j->p;
    char *room = j->scratch + p->at_workers + (size_t)worker * p->worker_bytes;
    int64_t row = index % j->row_parts, column = index / j->row_parts % j->column_parts, e = index / j->row_parts / j->column_parts;
    int64_t units = (j->entries + j->entry_unit - 1) / j->entry_unit, slice = -1;
    int64_t first = e * units / j->entry_parts * j->entry_unit, end = smaller((e + 1) * units / j->entry_parts * j->entry_unit, j->entries);
    Run r;
    begin(&r, j, room);
    r.job = j, r.worker = worker;
    r.first_row = row * j->row_part, r.end_row = smaller(p->rows.n, r.first_row + j->row_part);
    r.first_column = column * j->column_part, r.end_column = smaller(p->columns.n, r.first_column + j->column_part);
    if (j->follower) r.followed = (p->row_rows ? r.first_row / p->row_rows : first / p->row_entries) / j->follower->rows;
    for (int64_t i = first; i < end; i++) {
        go_to(&r, j, i, room, &slice);
        if (p->dot) dots(&r);
        else product(&r);
        if (j->follower && p->row_entries) follow(&r, (i + 1) / p->row_entries);
    }
}

/* n in at most `most` parts of at least `least`, of multiples of `unit`; returns their size. */
static int64_t part_size(int64_t n, int64_t most, int64_t least, int64_t unit)
{
    int64_t parts = n / least;
    if (parts > most) parts = most;
    if (parts < 2) return n;
    return ((n + parts - 1) / parts + unit - 1) / unit * unit;
}

/* Some parts for each worker; columns in whole panels. */
static void share_out(Job *j, int workers)
{
    const LqContractPlan *p = j->p;
    int64_t want = workers > 1 ? 4 * workers : 1, unit = p->machine->lanes * 3;
    const CtAxis *last = p->columns.rank ? &p->columns.ax[p->columns.rank - 1] : NULL;
    if (!p->pack_v && last && last->n < CT_COLUMNS) unit = last->n;
    j->entries = p->slices.n * p->batch.n;
    j->entry_parts = smaller(j->entries, want);
    j->entry_unit = 1;
    want /= j->entry_parts;
    j->column_part = part_size(p->columns.n, want, 192, unit);
    j->column_parts = (p->columns.n + j->column_part - 1) / j->column_part;
    want /= j->column_parts;
    j->row_part = part_size(p->rows.n, want, CT_ROWS, CT_TILE_ROWS);
    j->row_parts = (p->rows.n + j->row_part - 1) / j->row_part;
}

/* As share_out does, in parts that make whole tasks of the follower; false: they would be too few. */
static bool share_rows(Job *j, int workers, const LqFollower *f)
{
    const LqContractPlan *p = j->p;
    int64_t want = workers > 1 ? 4 * workers : 1, unit = p->row_rows * f->rows;
    if (p->times != 1 || (!p->row_rows && !p->row_entries)) return false;
    j->entries = p->slices.n * p->batch.n;
    j->entry_unit = p->row_rows ? 1 : p->row_entries * f->rows;
    j->entry_parts = p->row_rows ? 1 : smaller(f->tasks, want);
    j->column_parts = 1, j->column_part = p->columns.n;
    j->row_part = p->rows.n;
    if (p->row_rows && workers > 1) j->row_part = part_size(p->rows.n, want, CT_ROWS, unit < CT_TILE_ROWS ? (CT_TILE_ROWS + unit - 1) / unit * unit : unit);
    j->row_parts = (p->rows.n + j->row_part - 1) / j->row_part;
    j->follower = f;
    return j->entry_parts * j->row_parts >= workers;
}

static void multiply(const LqContractPlan *p, void *out)
{
    for (int64_t i = 0; i < p->out_n; i++)
        if (p->single) ((float *)out)[i] = (float)((double)((float *)out)[i] * p->times);
        else ((double *)out)[i] *= p->times;
}

/* *follower becomes NULL if its tasks have been called. */
static void contract(const LqContractPlan *p, const void *a, const void *b, void *out, void *scratch, const LqFollower **follower)
{
    if (p->zero) {
        memset(out, 0, (size_t)(p->out_n * p->element));
        return;
    }
    Job j = {.p = p, .operand = {a, b}, .out = out, .scratch = scratch};
    for (int i = 0; i < 2; i++)
        if (p->wrap[i] && !p->sliced[i]) {
            ct_wrap(p->wrap[i], j.operand[i], j.scratch + p->at_wrap[i]);
            j.operand[i] = j.scratch + p->at_wrap[i];
        }
    int workers = p->workers > 1 ? lq_workers() : 1;
    int shared = workers <= p->workers ? workers : 1;
    if (*follower && share_rows(&j, shared, *follower)) *follower = NULL;
    else j.follower = NULL, share_out(&j, shared);
    int64_t parts = j.entry_parts * j.column_parts * j.row_parts;
    if (parts > 1 && workers <= p->workers) lq_parallel(parts, part, &j);
    else part(&j, 0, 0);
    if (p->times != 1) multiply(p, out);
}

void lq_contract_followed(const LqContractPlan *p, const void *a, const void *b, void *out, void *scratch, const LqFollower *follower)
{
    contract(p, a, b, out, scratch, &follower);
    if (follower) lq_parallel(follower->tasks, follower->task, follower->ctx);
}

void lq_contract(const LqContractPlan *p, const void *a, const void *b, void *out, void *scratch)
{
    lq_contract_followed(p, a, b, out, scratch, NULL);
}
