/* contract.c — the plan of a contraction: groups of axes, which operand is read by vectors,
 * what is packed, tables of offsets.  See contract.h and contract_plan.h. */
#include "contract.h"

#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "contract_plan.h"
#include "threads.h"

/* ---- groups of axes ------------------------------------------------------------------ */

/* Appends an axis, or makes the last one longer if all arrays go on in the same stride. */
static void group_add(CtGroup *g, CtAxis ax)
{
    CtAxis *last = g->rank ? &g->ax[g->rank - 1] : NULL;
    bool follows = last != NULL;
    g->n *= ax.n;
    for (int i = 0; follows && i < 3; i++) follows = last->by[i] == ax.by[i] * ax.n;
    if (!follows) {
        g->ax[g->rank++] = ax;
        return;
    }
    ax.n *= last->n;
    *last = ax;
}

/* Consecutive points of a group that are neighbours in an array. */
static int64_t run(const CtGroup *g, CtArray array, int64_t element)
{
    if (g->rank == 0) return 1;
    const CtAxis *last = &g->ax[g->rank - 1];
    return last->by[array] == element ? last->n : 1;
}

/* The axis that is contiguous in an array made the last one, if there is one. */
static CtGroup turned(const CtGroup *g, CtArray array, int64_t element)
{
    CtGroup t = {.n = 1};
    int unit = -1;
    for (int i = 0; i < g->rank; i++)
        if (g->ax[i].by[array] == element) unit = i;
    for (int i = 0; i < g->rank; i++)
        if (i != unit) group_add(&t, g->ax[i]);
    if (unit >= 0) group_add(&t, g->ax[unit]);
    return t;
}

static void fill(const CtGroup *g, CtArray array, int64_t first, int64_t n, int64_t *out)
{
    int64_t at[LQ_AXES], offset = 0;
    for (int i = g->rank - 1; i >= 0; i--) {
        at[i] = first % g->ax[i].n;
        first /= g->ax[i].n;
        offset += at[i] * g->ax[i].by[array];
    }
    int last = g->rank - 1;
    if (last < 0) {
        if (n) out[0] = 0;
        return;
    }
    while (n > 0) {
        int64_t by = g->ax[last].by[array], m = g->ax[last].n - at[last];
        if (m > n) m = n;
        for (int64_t i = 0; i < m; i++) out[i] = offset + i * by;
        out += m, n -= m;
        offset -= at[last] * by;
        at[last] = 0;
        for (int i = last - 1; i >= 0; i--) {
            offset += g->ax[i].by[array];
            if (++at[i] < g->ax[i].n) break;
            offset -= at[i] * g->ax[i].by[array];
            at[i] = 0;
        }
    }
}

const int64_t *ct_offsets(const CtGroup *g, int which, int64_t first, int64_t n, int64_t *room)
{
    if (g->table[which]) return g->table[which] + first;
    fill(g, g->which[which], first, n, room);
    return room;
}

static void group_tables(CtGroup *g, CtArray first, CtArray second)
{
    g->which[0] = first;
    g->which[1] = second;
    if (g->n > CT_TABLE) return;
    for (int w = 0; w < 2; w++) {
        g->table[w] = lq_alloc((size_t)g->n * sizeof(int64_t));
        fill(g, g->which[w], 0, g->n, g->table[w]);
    }
}

static CtGroup swapped(CtGroup g)
{
    for (int i = 0; i < g.rank; i++) {
        int64_t s = g.ax[i].by[CT_S];
        g.ax[i].by[CT_S] = g.ax[i].by[CT_V];
        g.ax[i].by[CT_V] = s;
    }
    return g;
}

/* ---- which way ------------------------------------------------------------------------- */

/* One way to do it, and about how many cycles it takes with vectors of 512 bits: numbers
 * that depend on no machine, since inner products add in another order than tiles. */
typedef struct Way {
    CtGroup rows, columns, reduced;
    bool a_is_vector, dot, pack;
    double cycles;
} Way;

static int64_t nominal_lanes(int64_t element)
{
    return 64 / element;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* Cycles a column and k for packing the vector operand. */
static double cost_of_packing(const Way *w, int64_t element)
{
    double lanes = (double)nominal_lanes(element), k = (double)w->reduced.n;
    if ((double)run(&w->columns, CT_V, element) >= 2 * lanes) return 0.2;
    return (double)run(&w->reduced, CT_V, element) >= least(lanes, k) ? 0.5 : 1.3;
}

static void cost_of_tiles(Way *w, int64_t element)
{
    double r = (double)w->rows.n, c = (double)w->columns.n, k = (double)w->reduced.n;
    int64_t lanes = nominal_lanes(element), unit = run(&w->columns, CT_V, element);
    double packed = (double)((w->columns.n + lanes - 1) / lanes), blocks = (double)((w->reduced.n + CT_BLOCK - 1) / CT_BLOCK);
    double unpacked = (double)(w->columns.n / unit * ((unit + lanes - 1) / lanes)), packing = cost_of_packing(w, element) * c;
    double storing = run(&w->columns, CT_O, element) >= lanes ? 2.0 / (double)lanes : 2.5;
    double rows = r < 4 ? r + 0.5 : r;
    w->pack = unit < lanes || rows * unpacked > rows * packed + packing;
    w->cycles = (w->pack ? rows * packed + packing : rows * unpacked) * k + storing * r * c * blocks;
}

static void cost_of_dots(Way *w, int64_t element)
{
    double r = (double)w->rows.n, c = (double)w->columns.n, k = (double)w->reduced.n;
    double gather = run(&w->reduced, CT_V, element) == w->reduced.n ? 0 : 1.5;
    r = (double)((w->rows.n + CT_DOT_ROWS - 1) / CT_DOT_ROWS * CT_DOT_ROWS);
    w->cycles = r * c * (1.3 * k / (double)nominal_lanes(element) + 12) + gather * c * k;
}

static void consider(Way *best, Way *w, int64_t element)
{
    bool one_run = run(&w->reduced, CT_S, element) == w->reduced.n && w->reduced.n > 1;
    w->dot = false;
    cost_of_tiles(w, element);
    if (best->cycles < 0 || w->cycles < best->cycles) *best = *w;
    if (!one_run) return;
    w->dot = true;
    cost_of_dots(w, element);
    if (w->cycles < best->cycles) *best = *w;
}

/* Axes of a only, of b only, and reduced ones; strides of a stand at CT_S. */
static Way choose(const CtGroup *in_a, const CtGroup *in_b, const CtGroup *reduced, int64_t element)
{
    Way best = {.cycles = -1};
    for (int a_is_vector = 0; a_is_vector < 2; a_is_vector++)
        for (int turn = 0; turn < 2; turn++) {
            Way w = {.rows = a_is_vector ? swapped(*in_b) : *in_a,
                     .columns = a_is_vector ? swapped(*in_a) : *in_b,
                     .reduced = a_is_vector ? swapped(*reduced) : *reduced,
                     .a_is_vector = a_is_vector};
            if (turn) w.columns = turned(&w.columns, CT_V, element);
            consider(&best, &w, element);
        }
    return best;
}

/* ---- what is packed ---------------------------------------------------------------------- */

static int64_t largest_step(const CtGroup *g, CtArray array)
{
    int64_t most = 0;
    for (int i = 0; i < g->rank; i++) {
        int64_t by = llabs(g->ax[i].by[array]);
        if (by > most) most = by;
    }
    return most;
}

static void decide_packing(LqContractPlan *p, const Way *w)
{
    int64_t e = p->element;
    p->pack_v = w->pack;
    /* rows of the vector operand far apart: many pages, few cache sets */
    int64_t far = w->reduced.rank == 1 ? p->block * largest_step(&w->reduced, CT_V) : 0;
    if (far > 64 * 1024 && w->rows.n >= 16) p->pack_v = true;
    p->pack_s = w->columns.n >= 96;
    p->packed_by_k = run(&w->rows, CT_S, e) > run(&w->reduced, CT_S, e);
}

static void offsets_in_packed(LqContractPlan *p)
{
    int64_t e = p->element, rows = p->machine->tile_rows, apart = p->block + 64 / e;
    p->packed_rows = lq_alloc(CT_TILE_ROWS * sizeof(int64_t));
    p->packed_ks = lq_alloc((size_t)p->block * sizeof(int64_t));
    p->packed_kv = lq_alloc((size_t)p->block * sizeof(int64_t));
    p->panel_step = p->panel * p->machine->lanes * e;
    for (int r = 0; r < CT_TILE_ROWS; r++) p->packed_rows[r] = p->packed_by_k ? r * e : r * apart * e;
    for (int64_t k = 0; k < p->block; k++) {
        p->packed_ks[k] = p->packed_by_k ? k * rows * e : k * e;
        p->packed_kv[k] = k * p->panel_step;
    }
}

/* Most columns of a block: whole runs, if they are read where they are. */
static int64_t column_block(const LqContractPlan *p)
{
    int64_t unit = run(&p->columns, CT_V, p->element);
    if (p->pack_v || unit > CT_COLUMNS) return CT_COLUMNS;
    return CT_COLUMNS / unit * unit;
}

static void plan_tiles(LqContractPlan *p, const Way *w)
{
    int64_t blocks = (p->reduced.n + CT_BLOCK - 1) / CT_BLOCK;
    p->block = (p->reduced.n + blocks - 1) / blocks;
    decide_packing(p, w);
    int64_t vectors = (p->columns.n + p->machine->lanes - 1) / p->machine->lanes;
    p->panel = p->rows.n <= 2 ? CT_PANEL : p->machine->panel;
    if (vectors == 4 && p->panel == 3) p->panel = 2;
    if (vectors < p->panel) p->panel = (int)vectors;
    p->column_block = column_block(p);
    offsets_in_packed(p);
}

/* ---- scratch memory ------------------------------------------------------------------------ */

static size_t place(size_t *end, size_t bytes)
{
    size_t at = *end;
    *end += (bytes + 63) & ~(size_t)63;
    return at;
}

/* Blocks of the scalar operand that are packed at a time: all of them if they fit in L2. */
static int64_t packed_blocks(const LqContractPlan *p)
{
    int64_t blocks = (p->reduced.n + p->block - 1) / p->block;
    return p->rows.n <= CT_ROWS && blocks * p->packed_bytes <= 256 * 1024 ? blocks : 1;
}

static void scratch_of_tiles(LqContractPlan *p, size_t *end)
{
    int64_t e = p->element, lanes = p->machine->lanes, tile_rows = p->machine->tile_rows;
    int64_t rows = p->rows.n < CT_ROWS ? p->rows.n : CT_ROWS, columns = p->columns.n < p->column_block ? p->columns.n : p->column_block;
    int64_t vectors = (columns + lanes - 1) / lanes, panels = (vectors + p->panel - 1) / p->panel;
    /* those that are read where they are: the last one of each run, cut or whole */
    if (!p->pack_v) panels = columns / run(&p->columns, CT_V, e) + 2;
    p->packed_bytes = (rows + tile_rows - 1) / tile_rows * tile_rows * (p->block + 64 / e) * e;
    p->pack_once = packed_blocks(p) * p->block >= p->reduced.n && p->rows.n <= CT_ROWS;
    if (p->pack_s) p->at_s = place(end, (size_t)(packed_blocks(p) * p->packed_bytes));
    p->at_v = place(end, (size_t)(panels * p->panel_step * p->block));
    p->at_tile = place(end, (size_t)(CT_TILE_ROWS * CT_PANEL * lanes * e));
    p->at_offsets = place(end, 2 * (CT_BLOCK + CT_ROWS + CT_COLUMNS) * sizeof(int64_t));
}

/* Copies of whole operands first, then for each worker what it needs by itself. */
static void plan_scratch(LqContractPlan *p)
{
    for (int i = 0; i < 2; i++)
        if (!p->sliced[i]) p->at_wrap[i] = place(&p->at_workers, ct_wrap_bytes(p->wrap[i]));
    for (int i = 0; i < 2; i++)
        if (p->sliced[i]) p->at_wrap[i] = place(&p->worker_bytes, ct_wrap_bytes(p->wrap[i]));
    if (p->dot) p->at_v = place(&p->worker_bytes, (size_t)(p->reduced.n * p->element));
    else scratch_of_tiles(p, &p->worker_bytes);
    p->bytes = p->at_workers + (size_t)p->workers * p->worker_bytes;
}

/* ---- slices -------------------------------------------------------------------------------- */

/* Is axis x of the contraction the first one of the operand, and nothing else of it? */
static bool is_first(const LqOperand *o, int x, int64_t n)
{
    if (o->rank == 0 || o->ix[0].c[x] != 1 || o->ix[0].k < 0 || o->ix[0].k + n > o->ix[0].n) return false;
    for (int i = 0; i < LQ_AXES; i++)
        if (i != x && o->ix[0].c[i]) return false;
    for (int d = 1; d < o->rank; d++)
        if (o->ix[d].c[x]) return false;
    return true;
}

/* Operands that are copied to be wrapped are copied slice by slice, along an outer axis that
 * is their first one (the fields of a batch): slices stay in the cache. */
static int slice_axis(const LqContractPlan *p, const LqContraction *c)
{
    const LqOperand *operand[2] = {&c->a, &c->b};
    for (int x = 0; x < c->rank; x++)
        for (int i = 0; i < 2 && c->ext[x] > 1; i++)
            if ((int64_t)ct_wrap_bytes(p->wrap[i]) / c->ext[x] >= CT_SLICE && is_first(operand[i], x, c->ext[x])) return x;
    return -1;
}

/* The operand of one slice, and how far apart slices are. */
static void slice_operand(LqContractPlan *p, int i, LqOperand *o, int x, int64_t n)
{
    if (!p->wrap[i] || !is_first(o, x, n)) return;
    p->sliced[i] = p->element;
    for (int d = 1; d < o->rank; d++) p->sliced[i] *= o->ix[d].n;
    p->slice_base[i] = o->ix[0].k * p->sliced[i];
    o->ix[0] = (LqIndex){.n = 1};
}

/* ---- the plan -------------------------------------------------------------------------------- */

/* Reduced axes along which the vector operand goes backwards, the other way round: caches
 * foresee forward reads better (convolutions' gradients are a fifth faster). */
static void forwards(LqContractPlan *p)
{
    for (int i = 0; i < p->reduced.rank; i++) {
        CtAxis *ax = &p->reduced.ax[i];
        if (ax->by[CT_V] >= 0) continue;
        for (int o = CT_S; o <= CT_V; o++) {
            p->base[o] += (ax->n - 1) * ax->by[o];
            ax->by[o] = -ax->by[o];
        }
    }
}

static void plan_groups(LqContractPlan *p, const LqContraction *c, int64_t by[3][LQ_AXES], const int64_t *base)
{
    CtGroup in_a = {.n = 1}, in_b = {.n = 1}, reduced = {.n = 1}, batch = {.n = 1};
    for (int x = 0; x < c->rank + c->nred; x++) {
        CtAxis ax = {c->ext[x], {by[CT_S][x], by[CT_V][x], by[CT_O][x]}};
        bool a = ax.by[CT_S] != 0, b = ax.by[CT_V] != 0;
        if (ax.n == 1) continue;
        if (x >= c->rank && !a && !b) p->times *= (double)ax.n;
        else if (x >= c->rank) group_add(&reduced, ax);
        else group_add(a == b ? &batch : a ? &in_a : &in_b, ax);
    }
    Way way = choose(&in_a, &in_b, &reduced, p->element);
    p->a_is_vector = way.a_is_vector;
    p->dot = way.dot;
    p->rows = way.rows;
    p->columns = way.columns;
    p->reduced = way.reduced;
    p->batch = way.a_is_vector ? swapped(batch) : batch;
    p->base[CT_S] = base[way.a_is_vector ? 1 : 0];
    p->base[CT_V] = base[way.a_is_vector ? 0 : 1];
    if (!p->dot) forwards(p);
    if (!p->dot) plan_tiles(p, &way);
    group_tables(&p->rows, CT_S, CT_O);
    group_tables(&p->columns, CT_V, CT_O);
    group_tables(&p->reduced, CT_S, CT_V);
}

/* Addresses of the operands as linear functions of the axes. */
static void plan_operands(LqContractPlan *p, const LqContraction *c, int64_t by[3][LQ_AXES], int64_t *base)
{
    const LqOperand *o[2] = {&c->a, &c->b};
    for (int i = 0; i < 2; i++) {
        ct_wrap_free(p->wrap[i]);
        ct_wrap_plan(o[i], c->rank + c->nred, c->ext, (size_t)p->element, &base[i], by[i], &p->wrap[i]);
    }
}

static void plan_slices(LqContractPlan *p, LqContraction *c, int64_t by[3][LQ_AXES], int64_t *base)
{
    int x = slice_axis(p, c);
    p->slices = (CtAxis){.n = 1};
    if (x < 0) return;
    int64_t step[3] = {by[0][x], by[1][x], by[2][x]};
    p->slices.n = c->ext[x];
    slice_operand(p, 0, &c->a, x, c->ext[x]);
    slice_operand(p, 1, &c->b, x, c->ext[x]);
    /* another operand that is wrapped may have the axis elsewhere: it keeps its extent */
    plan_operands(p, c, by, base);
    for (int i = 0; i < 3; i++) p->slices.by[i] = i < 2 && p->sliced[i] ? 0 : step[i];
    c->ext[x] = 1;
}

static bool leads(const LqContractPlan *p, const CtAxis *ax)
{
    return ax->n > 1 && ax->n * ax->by[CT_O] == p->out_n * p->element;
}

static void plan_first_axis(LqContractPlan *p, int64_t first)
{
    p->first = first;
    if (p->slices.n > 1) p->row_entries = leads(p, &p->slices) ? p->batch.n : 0;
    else if (p->batch.rank && leads(p, &p->batch.ax[0])) p->row_entries = p->batch.n / first;
    else if (p->batch.n == 1 && p->rows.rank && leads(p, &p->rows.ax[0])) p->row_rows = p->rows.n / first;
}

static int workers_for(const LqContractPlan *p)
{
    double work = (double)p->rows.n * (double)p->columns.n * (double)p->reduced.n * (double)p->batch.n * (double)p->slices.n;
    return work < CT_WORK ? 1 : lq_workers();
}

LqContractPlan *ct_plan(const LqContraction *given, const CtMachine *machine)
{
    LqContractPlan *p = lq_alloc(sizeof *p);
    LqContraction c = *given;
    int64_t by[3][LQ_AXES] = {{0}}, base[2];
    *p = (LqContractPlan){.machine = machine, .single = c.single, .times = 1, .out_n = 1};
    p->element = c.single ? sizeof(float) : sizeof(double);
    for (int x = c.rank + c.nred - 1; x >= 0; x--) {
        if (x >= c.rank) p->zero |= c.ext[x] == 0;
        else by[CT_O][x] = p->out_n * p->element, p->out_n *= c.ext[x];
    }
    if (p->out_n == 0) p->zero = true;
    if (p->zero) return p;
    plan_operands(p, &c, by, base);
    plan_slices(p, &c, by, base);
    plan_groups(p, &c, by, base);
    plan_first_axis(p, given->rank ? given->ext[0] : 1);
    p->workers = workers_for(p);
    plan_scratch(p);
    return p;
}

LqContractPlan *lq_contract_plan(const LqContraction *c)
{
    return ct_plan(c, ct_machine(c->single, 0));
}

void lq_contract_plan_free(LqContractPlan *p)
{
    CtGroup *groups[] = {&p->rows, &p->columns, &p->reduced};
    for (int g = 0; g < 3; g++)
        for (int w = 0; w < 2; w++) free(groups[g]->table[w]);
    ct_wrap_free(p->wrap[0]);
    ct_wrap_free(p->wrap[1]);
    free(p->packed_rows);
    free(p->packed_ks);
    free(p->packed_kv);
    free(p);
}

size_t lq_contract_scratch(const LqContractPlan *p)
{
    return p->bytes;
}
