/* llvm_sweep.c — loops that are swept row by row (KSweep): new rows take the places of old
 * ones in a ring, and in a wave several iterations run behind each other in one pass.
 *
 * Of J kernels in a wave, kernel j makes row y when kernel j - 1 has made row y + radius.
 * At time t the wave makes row t - j*radius by kernel j, for all j in turn.  Rows beyond
 * both ends are there as copies of the rows at the other end, made before the wave; kernel
 * j makes those rows of them that the kernels after it still want, (J - 1 - j)*radius. */
#include "llvm_emit.h"

/* ---- rings -------------------------------------------------------------------------------- */

static Val ring_slots(const Func *f, int buf) {
    return f->part_slots[buf] ? f->part_slots[buf] : l_int(f->u, buf_get(f, buf)->slots);
}

static Val slot_in_part(Func *f, int buf, Val first, Val y) {
    Unit *u = f->u;
    Val slot = l_add(u, first, y), slots = ring_slots(f, buf);
    return l_select(u, l_compare(u, LLVMIntSGE, slot, slots), l_sub(u, slot, slots), slot);
}

Val ll_ring_slot_own(Func *f, int buf, Val first, Val y) {
    Val slot = slot_in_part(f, buf, first, y);
    return f->part_at[buf] ? l_add(f->u, slot, f->part_at[buf]) : slot;
}

Val ll_ring_slot(Func *f, int buf, Val first, Val y) {
    Unit *u = f->u;
    if (!f->part_rows[buf]) return slot_in_part(f, buf, first, y);
    Val part = LLVMBuildUDiv(u->b, y, f->part_rows[buf], "");
    Val before = LLVMBuildNSWMul(u->b, part, f->part_rows[buf], "");
    Val at = LLVMBuildNSWMul(u->b, part, f->part_slots[buf], "");
    return l_add(u, slot_in_part(f, buf, first, l_sub(u, y, before)), at);
}

static int64_t row_numbers(const Func *f, int buf) { return buf_get(f, buf)->n / buf_get(f, buf)->rows * buf_width(f, buf); }

/* A load waits for an earlier store whose address has the same last 12 bits.  Rows that are
 * multiples of half that apart, or nearly, never do: their loads run ahead of the stores at the
 * same place (and rings are staggered, fuse_buffers.c).  Other neighbouring rows, and those two
 * apart, should not be near a multiple of 4096 bytes apart. */
int64_t ll_ring_pitch(const Func *f, int buf) {
    enum { PAGE = 4096, NEAR = 320, STEP = 8 };        /* PAGE, NEAR: bytes */
    int64_t row = row_numbers(f, buf), pitch = row, bytes = buf_bytes(f, buf);
    if (row * bytes % (PAGE / 2) == 0) return row;
    if (buf_get(f, buf)->n / buf_get(f, buf)->rows < KERNEL_LONG_ROW || row % STEP) return row;
    for (; pitch < row + KERNEL_ROW_GAP; pitch += STEP) {
        int64_t one = pitch * bytes % PAGE, two = 2 * pitch * bytes % PAGE;
        if (one >= NEAR && one <= PAGE - NEAR && two >= NEAR && two <= PAGE - NEAR) break;
    }
    return pitch;
}

/* The rows that are swept: all, or the part of a task.  Row y of the part is row from + y. */
typedef struct Part { Val from, rows; } Part;

static Part all_rows(Func *f, int64_t rows) { return (Part){l_int(f->u, 0), l_int(f->u, rows)}; }

static Val row_address(Func *f, int buf, Val slot) {
    return buf_at(f, buf, buf_address(f, buf), l_mul(f->u, slot, ll_ring_pitch(f, buf)));
}

/* Short rows without a call. */
static void copy_row(Func *f, int buf, Val to, Val from) {
    Unit *u = f->u;
    enum { SHORT = 512, STEP = 8 };
    unsigned align = (unsigned)buf_bytes(f, buf);
    int64_t n = row_numbers(f, buf);
    Val dst = row_address(f, buf, to), src = row_address(f, buf, from);
    if (n > SHORT || n % STEP) {
        LLVMBuildMemCpy(u->b, dst, align, src, align, l_int(u, align * n));
        return;
    }
    LLVMTypeRef v = LLVMVectorType(buf_number(f, buf), STEP);
    Loop l = ll_loop_begin(f, 0, n / STEP, "copy");
    Val at = l_mul(u, l.i, STEP);
    l_store(u, l_load(u, v, buf_at(f, buf, src, at), align), buf_at(f, buf, dst, at), align);
    ll_loop_end(f, &l);
}

static Val modulo_rows(Func *f, Val y, int64_t rows) {
    Unit *u = f->u;
    Val below = l_compare(u, LLVMIntSLT, y, l_int(u, 0)), beyond = l_compare(u, LLVMIntSGE, y, l_int(u, rows));
    Val at = l_select(u, below, l_add(u, y, l_int(u, rows)), y);
    return l_select(u, beyond, l_sub(u, y, l_int(u, rows)), at);
}

/* Row y of the part, outside of it, is a copy of that row where it is at home. */
static void copy_from_home(Func *f, int buf, const Part *part, Val y) {
    Val first = l_load(f->u, f->u->i64, f->first[buf], 8);
    Val home = modulo_rows(f, l_add(f->u, part->from, y), buf_get(f, buf)->rows);
    copy_row(f, buf, ll_ring_slot_own(f, buf, first, y), ll_ring_slot(f, buf, first, home));
}

/* So many rows beyond the last one, and before the first one. */
static void copy_ends(Func *f, int buf, const Part *part, Val rows, bool before) {
    Unit *u = f->u;
    if (l_is_known(rows) && !l_known(rows)) return;
    Loop l = ll_loop_open(f, l_int(u, 0), "ends");
    copy_from_home(f, buf, part, l_add(u, l.i, part->rows));
    if (before) copy_from_home(f, buf, part, l_sub(u, l.i, rows));
    Val next = l_add(u, l.i, l_int(u, 1));
    ll_loop_close(f, &l, next, l_compare(u, LLVMIntSLT, next, rows));
}

/* The rows have moved by so many: keeps `first` between lead and lead + slots. */
static void move_first(Func *f, int buf, Val by) {
    Unit *u = f->u;
    const KBuf *b = buf_get(f, buf);
    Val first = l_sub(u, l_load(u, u->i64, f->first[buf], 8), by);
    Val below = l_compare(u, LLVMIntSLT, first, l_int(u, b->lead));
    l_store(u, l_select(u, below, l_add(u, first, ring_slots(f, buf)), first), f->first[buf], 8);
}

/* ---- parts ------------------------------------------------------------------------------ */

/* A task for each part of the rows, in the function of the program `t->inner`, from the numbers
 * that it is told; the last part may have less rows. */
static Part part_begin(Task *t, Func *f, const KLoop *l, const char *name, const Val *tell, int ntell) {
    ll_task_begin(t, f, name, tell, ntell);
    Func *g = &t->inner;
    Unit *u = g->u;
    int64_t rows = l->body[0].u.kernel.ext[0];
    Val each = ll_part_rows(g, rows);
    Part p = {.from = LLVMBuildNSWMul(u->b, t->index, each, "")};
    Val left = l_sub(u, l_int(u, rows), p.from);
    p.rows = l_select(u, l_compare(u, LLVMIntSLT, left, each), left, each);
    for (int i = 0; i < g->p->nbufs; i++)
        if (g->part_slots[i]) g->part_at[i] = LLVMBuildNSWMul(u->b, t->index, g->part_slots[i], "");
    return p;
}

/* As many as have rows. */
static Val parts_of(Func *f, const KLoop *l) {
    Unit *u = f->u;
    int64_t rows = l->body[0].u.kernel.ext[0];
    Val each = ll_part_rows(f, rows);
    return LLVMBuildUDiv(u->b, l_add(u, each, l_int(u, rows - 1)), each, "");
}

/* ---- one kernel after the other --------------------------------------------------------- */

static void find_firsts(Func *f) {
    for (int i = 0; i < f->p->nbufs; i++)
        f->first_now[i] = f->first[i] ? l_load(f->u, f->u->i64, f->first[i], 8) : NULL;
}

static void forget_firsts(Func *f) {
    for (int i = 0; i < f->p->nbufs; i++) f->first_now[i] = NULL;
}

static void sweep_ends(Func *f, const KLoop *l, const KKernel *k, const Part *part) {
    for (int i = 0; i < k->nroots; i++)
        if (k->roots[i].ahead) copy_ends(f, k->roots[i].buf, part, l_int(f->u, l->sweep.radius), l->sweep.cut);
}

static void sweep_rows(Func *f, const KLoop *l, const KKernel *k, const Part *part, BasicBlock outside) {
    Unit *u = f->u;
    find_firsts(f);
    ll_kernel_fill(f, k, &(Row){.number = l_int(u, 0), .wrapped = part->from, .outside = outside, .loop = l->loop});
    Loop rows = ll_loop_open(f, l_int(u, 0), "row");
    Val wrapped = l_add(u, part->from, rows.i);
    ll_kernel_row(f, k, &(Row){.number = rows.i, .wrapped = wrapped, .outside = outside, .loop = l->loop});
    Val next = l_add(u, rows.i, l_int(u, 1));
    ll_loop_close(f, &rows, next, l_compare(u, LLVMIntSLT, next, part->rows));
    forget_firsts(f);
}

static bool moves_rows(const KKernel *k) {
    for (int i = 0; i < k->nroots; i++)
        if (k->roots[i].ahead) return true;
    return false;
}

/* By several threads.  Rows of neighbours have to be copied before anybody moves any. */
static void sweep_in_parts(Func *f, const KLoop *l, const KKernel *k) {
    Task t;
    Val parts = parts_of(f, l);
    if (moves_rows(k)) {
        Part ends = part_begin(&t, f, l, "ends", NULL, 0);
        sweep_ends(&t.inner, l, k, &ends);
        ll_task_end(&t, parts);
    }
    Part part = part_begin(&t, f, l, k->name ? k->name : "sweep", NULL, 0);
    sweep_rows(&t.inner, l, k, &part, ll_next_block(&t.inner, "outside"));
    ll_task_end(&t, parts);
}

static void sweep_kernel(Func *f, const KLoop *l, const KKernel *k, BasicBlock outside) {
    Part all = all_rows(f, k->ext[0]);
    if (l->sweep.cut) sweep_in_parts(f, l, k);
    else sweep_ends(f, l, k, &all), sweep_rows(f, l, k, &all, outside);
    for (int i = 0; i < k->nroots; i++)
        if (k->roots[i].ahead) move_first(f, k->roots[i].buf, l_int(f->u, k->roots[i].ahead));
}

static void sweep_singly(Func *f, const KLoop *l, BasicBlock outside) {
    Loop times = ll_loop_begin(f, 0, l->trip, "sweep");
    f->iteration[l->loop] = times.i;
    for (int i = 0; i < l->nbody; i++) sweep_kernel(f, l, &l->body[i].u.kernel, outside);
    f->iteration[l->loop] = NULL;
    ll_loop_end(f, &times);
}

/* ---- waves --------------------------------------------------------------------------------- */

/* Rows by which a buffer moves on in the first n kernels of the body. */
static int64_t rows_ahead(const KLoop *l, int n, int buf) {
    int64_t sum = 0;
    for (int i = 0; i < n; i++)
        for (int r = 0; r < l->body[i].u.kernel.nroots; r++)
            if (l->body[i].u.kernel.roots[r].buf == buf) sum += l->body[i].u.kernel.roots[r].ahead;
    return sum;
}

static bool is_carried(const KLoop *l, int buf) {
    for (int i = 0; i < l->ncarry; i++)
        if (l->carry[i].cur == buf) return true;
    return false;
}

typedef struct Wave {
    Func *f;
    const KLoop *l;
    BasicBlock outside;
    Part part;
    Val first_iteration, count;        /* of this wave: iterations */
    Val depth;                         /* its kernels less one, in rows */
    Val time, until;                   /* of the block of rows: from 0 on */
    Val s;                             /* iteration of the wave */
} Wave;

/* The time at which kernel i of iteration s makes its first row. */
static Val begins_at(const Wave *w, Val s, int i) {
    Unit *u = w->f->u;
    int64_t radius = w->l->sweep.radius;
    return l_add(u, l_mul(u, s, 2 * radius * w->l->nbody), l_int(u, 2 * radius * i));
}

/* At its first row: what the kernel hands on to the next. */
static void wave_fill(const Wave *w, int i, const Row *row, Val time) {
    Func *f = w->f;
    Unit *u = f->u;
    KKept kept[LL_MOST_KEPT];
    if (!ll_keep_along(&w->l->body[i].u.kernel, 0, kept)) return;
    BasicBlock fill = l_block(f, "fill"), after = l_block(f, "filled");
    LLVMBuildCondBr(u->b, l_compare(u, LLVMIntEQ, begins_at(w, w->s, i), time), fill, after);
    l_goto_end(u, fill);
    ll_kernel_fill(f, &w->l->body[i].u.kernel, row);
    LLVMBuildBr(u->b, after);
    l_goto_end(u, after);
}

/* The row of kernel number i of iteration s of the wave that is made at that time. */
static Row row_at(const Wave *w, int i, Val time) {
    Unit *u = w->f->u;
    const KLoop *l = w->l;
    int64_t radius = l->sweep.radius;
    Val behind = l_add(u, l_mul(u, w->s, l->nbody * radius), l_int(u, i * radius));
    Val number = l_sub(u, l_sub(u, time, w->depth), behind);
    Val wrapped = modulo_rows(w->f, l_add(u, w->part.from, number), l->body[i].u.kernel.ext[0]);
    return (Row){.number = number, .wrapped = wrapped, .outside = w->outside, .loop = l->loop, .wave = true, .lap = w->s};
}

static void wave_row(const Wave *w, int i, Val time) {
    Row row = row_at(w, i, time);
    wave_fill(w, i, &row, time);
    ll_kernel_row(w->f, &w->l->body[i].u.kernel, &row);
}

static void wave_pair(const Wave *w, int i, Val time) {
    Row row = row_at(w, i, time), next = row_at(w, i, l_add(w->f->u, time, l_int(w->f->u, 1)));
    ll_kernel_pair(w->f, &w->l->body[i].u.kernel, &row, &next);
}

/* Rows that a kernel of a wave makes before the next one follows: what it made should still be
 * in the cache nearest to the core, which holds twice NEAR_BYTES. */
static int64_t block_rows(const Func *f, const KLoop *l) {
    enum { NEAR_BYTES = 16384, MOST = 8 };
    int64_t bytes = 0;
    for (int i = 0; i < l->ncarry; i++)
        if (f->first[l->carry[i].cur]) bytes += row_numbers(f, l->carry[i].cur) * buf_bytes(f, l->carry[i].cur);
    int64_t rows = bytes ? NEAR_BYTES / bytes : 1;
    if (rows > MOST) rows = MOST;
    return l->sweep.pairs ? (rows < 2 ? 2 : rows / 2 * 2) : rows < 1 ? 1 : rows;
}

/* From time `from` on, as many pairs of rows as there are.  Returns the time after them. */
static Val wave_pairs(const Wave *w, int i, Val from) {
    Func *f = w->f;
    Unit *u = f->u;
    BasicBlock before = l_here(u), some = l_block(f, "pairs"), after = l_block(f, "odd");
    Val last = l_sub(u, w->until, l_int(u, 1));
    LLVMBuildCondBr(u->b, l_compare(u, LLVMIntSLT, from, last), some, after);
    l_goto_end(u, some);
    Loop t = ll_loop_open(f, from, "pair");
    wave_pair(w, i, t.i);
    Val next = l_add(u, t.i, l_int(u, 2));
    ll_loop_close(f, &t, next, l_compare(u, LLVMIntSLT, next, last));
    BasicBlock done = l_here(u);
    LLVMBuildBr(u->b, after);
    l_goto_end(u, after);
    Val on = LLVMBuildPhi(u->b, u->i64, "");
    LLVMAddIncoming(on, (Val[]){from, next}, (BasicBlock[]){before, done}, 2);
    return on;
}

/* Its rows from a time on, one by one. */
static void wave_singles(const Wave *w, int i, Val from) {
    Func *f = w->f;
    Unit *u = f->u;
    Loop t = ll_loop_open(f, from, "time");
    wave_row(w, i, t.i);
    Val next = l_add(u, t.i, l_int(u, 1));
    ll_loop_close(f, &t, next, l_compare(u, LLVMIntSLT, next, w->until));
}

/* The rows of the block that kernel i of iteration s makes; there are some. */
static void wave_kernel(const Wave *w, int i) {
    Func *f = w->f;
    Unit *u = f->u;
    const KLoop *l = w->l;
    Val from = begins_at(w, w->s, i);
    from = l_select(u, l_compare(u, LLVMIntSGT, from, w->time), from, w->time);
    for (int b = 0; b < f->p->nbufs; b++) {
        if (!f->first[b]) continue;
        Val moved = l_add(u, l_mul(u, w->s, rows_ahead(l, l->nbody, b)), l_int(u, rows_ahead(l, i, b)));
        f->first_now[b] = l_sub(u, l_load(u, u->i64, f->first[b], 8), moved);
    }
    f->iteration[l->loop] = l_add(u, w->first_iteration, w->s);
    if (block_rows(f, l) == 1) wave_row(w, i, w->time);
    else if (!l->sweep.pairs || l->body[i].u.kernel.nkept) wave_singles(w, i, from);
    else {
        from = wave_pairs(w, i, from);
        BasicBlock odd = l_block(f, "single"), after = l_block(f, "after");
        LLVMBuildCondBr(u->b, l_compare(u, LLVMIntSLT, from, w->until), odd, after);
        l_goto_end(u, odd);
        wave_row(w, i, from);
        LLVMBuildBr(u->b, after);
        l_goto_end(u, after);
    }
    f->iteration[l->loop] = NULL;
    forget_firsts(f);
}

static Val has_begun(const Wave *w, Val s, int i) { return l_compare(w->f->u, LLVMIntSLT, begins_at(w, s, i), w->until); }

static void wave_body(const Wave *w) {
    Func *f = w->f;
    Unit *u = f->u;
    wave_kernel(w, 0);
    for (int i = 1; i < w->l->nbody; i++) {
        BasicBlock run = l_block(f, "begun"), after = l_block(f, "after");
        LLVMBuildCondBr(u->b, has_begun(w, w->s, i), run, after);
        l_goto_end(u, run);
        wave_kernel(w, i);
        LLVMBuildBr(u->b, after);
        l_goto_end(u, after);
    }
}

/* The iterations s that have begun by the end of a block of rows. */
static void wave_block(Wave *w) {
    Func *f = w->f;
    Unit *u = f->u;
    Loop s = ll_loop_open(f, l_int(u, 0), "iteration");
    w->s = s.i;
    wave_body(w);
    Val next = l_add(u, s.i, l_int(u, 1));
    Val on = LLVMBuildAnd(u->b, l_compare(u, LLVMIntSLT, next, w->count), has_begun(w, next, 0), "");
    ll_loop_close(f, &s, next, on);
}

/* Rows that the wave's kernels reach beyond the ends. */
static Val wave_reach(Unit *u, const KLoop *l, Val count) { return l_mul(u, count, l->nbody * l->sweep.radius); }

static void wave_ends(Func *f, const KLoop *l, const Part *part, Val count) {
    for (int i = 0; i < f->p->nbufs; i++)
        if (f->first[i] && is_carried(l, i)) copy_ends(f, i, part, wave_reach(f->u, l, count), true);
}

static void wave_rows(Wave *w) {
    Func *f = w->f;
    Unit *u = f->u;
    w->depth = l_sub(u, wave_reach(u, w->l, w->count), l_int(u, w->l->sweep.radius));
    Val end = l_add(u, l_mul(u, w->depth, 2), w->part.rows);
    Loop t = ll_loop_open(f, l_int(u, 0), "block");
    Val next = l_add(u, t.i, l_int(u, block_rows(f, w->l)));
    w->time = t.i;
    w->until = l_select(u, l_compare(u, LLVMIntSLT, next, end), next, end);
    wave_block(w);
    ll_loop_close(f, &t, next, l_compare(u, LLVMIntSLT, next, end));
}

/* By several threads: each makes its part of the wave for itself. */
static void wave_in_parts(Wave *w) {
    Task t;
    Val tell[2] = {w->first_iteration, w->count}, parts = parts_of(w->f, w->l);
    Part ends = part_begin(&t, w->f, w->l, "ends", tell, 2);
    wave_ends(&t.inner, w->l, &ends, t.told[1]);
    ll_task_end(&t, parts);
    Part part = part_begin(&t, w->f, w->l, "wave", tell, 2);
    Wave own = {.f = &t.inner, .l = w->l, .part = part, .outside = ll_next_block(&t.inner, "outside")};
    own.first_iteration = t.told[0], own.count = t.told[1];
    wave_rows(&own);
    ll_task_end(&t, parts);
}

/* Iterations of a wave: among several threads as their parts have rows for. */
static Val wave_length(Func *f, const KLoop *l) {
    Unit *u = f->u;
    Val wave = l_int(u, l->sweep.wave), one = l_int(u, 1);
    if (!l->sweep.cut) return wave;
    Val each = ll_part_rows(f, l->body[0].u.kernel.ext[0]);
    Val most = LLVMBuildUDiv(u->b, each, l_int(u, l->sweep.cut), "");
    most = l_select(u, l_compare(u, LLVMIntSLT, most, one), one, most);
    most = l_select(u, l_compare(u, LLVMIntSLT, most, wave), most, wave);
    return l_select(u, l_compare(u, LLVMIntSGT, f->workers, one), most, wave);
}

static void sweep_waves(Func *f, const KLoop *l, BasicBlock outside) {
    Unit *u = f->u;
    Val wave = wave_length(f, l), trip = l_int(u, l->trip);
    Loop b = ll_loop_open(f, l_int(u, 0), "wave");
    Val left = l_sub(u, trip, b.i);
    Wave w = {.f = f, .l = l, .outside = outside, .part = all_rows(f, l->body[0].u.kernel.ext[0])};
    w.first_iteration = b.i;
    w.count = l_select(u, l_compare(u, LLVMIntSLT, left, wave), left, wave);
    if (l->sweep.cut) wave_in_parts(&w);
    else wave_ends(f, l, &w.part, w.count), wave_rows(&w);
    for (int i = 0; i < f->p->nbufs; i++)
        if (f->first[i] && rows_ahead(l, l->nbody, i)) move_first(f, i, l_mul(u, w.count, rows_ahead(l, l->nbody, i)));
    Val next = l_add(u, b.i, wave);
    ll_loop_close(f, &b, next, l_compare(u, LLVMIntSLT, next, trip));
}

void ll_sweep(Func *f, const KLoop *l) {
    BasicBlock outside = ll_next_block(f, "outside");
    if (l->sweep.wave > 1) sweep_waves(f, l, outside);
    else sweep_singly(f, l, outside);
}
