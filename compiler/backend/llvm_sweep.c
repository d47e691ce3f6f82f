/* llvm_sweep.c — loops that are swept row by row (KSweep): new rows take the places of old
 * ones in a ring, and in a wave several iterations run behind each other in one pass.
 *
 * Of J kernels in a wave, kernel j makes row y when kernel j - 1 has made row y + radius.
 * At time t the wave makes row t - j*radius by kernel j, for all j in turn.  Rows beyond
 * both ends are there as copies of the rows at the other end, made before the wave; kernel
 * j makes those rows of them that the kernels after it still want, (J - 1 - j)*radius. */
#include "llvm_emit.h"

/* ---- rings -------------------------------------------------------------------------------- */

Val ll_ring_slot(Func *f, int buf, Val first, Val y) {
    Unit *u = f->u;
    Val slot = l_add(u, first, y), slots = l_int(u, buf_get(f, buf)->slots);
    return l_select(u, l_compare(u, LLVMIntSGE, slot, slots), l_sub(u, slot, slots), slot);
}

static int64_t row_numbers(const Func *f, int buf) { return buf_get(f, buf)->n / buf_get(f, buf)->rows * buf_width(f, buf); }

/* A load waits for a store whose address has the same last 12 bits.  So neighbouring rows,
 * and those two apart, should not be near a multiple of 4096 bytes apart. */
int64_t ll_ring_pitch(const Func *f, int buf) {
    enum { PAGE = 4096, NEAR = 320, STEP = 8 };        /* PAGE, NEAR: bytes */
    int64_t row = row_numbers(f, buf), pitch = row, bytes = buf_bytes(f, buf);
    if (buf_get(f, buf)->n / buf_get(f, buf)->rows < KERNEL_LONG_ROW || row % STEP) return row;
    for (; pitch < row + KERNEL_ROW_GAP; pitch += STEP) {
        int64_t one = pitch * bytes % PAGE, two = 2 * pitch * bytes % PAGE;
        if (one >= NEAR && one <= PAGE - NEAR && two >= NEAR && two <= PAGE - NEAR) break;
    }
    return pitch;
}

static Val row_address(Func *f, int buf, Val y) {
    Unit *u = f->u;
    Val first = l_load(u, u->i64, f->first[buf], 8);
    return buf_at(f, buf, buf_address(f, buf), l_mul(u, ll_ring_slot(f, buf, first, y), ll_ring_pitch(f, buf)));
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

/* The rows at each end, as they continue beyond the other. */
static void copy_ends(Func *f, int buf, int64_t rows) {
    Unit *u = f->u;
    int64_t all = buf_get(f, buf)->rows;
    if (rows == 0) return;
    Loop l = ll_loop_begin(f, 0, rows, "ends");
    copy_row(f, buf, l_add(u, l.i, l_int(u, all)), l.i);
    copy_row(f, buf, l_sub(u, l.i, l_int(u, rows)), l_add(u, l.i, l_int(u, all - rows)));
    ll_loop_end(f, &l);
}

/* The rows have moved by so many: keeps `first` between lead and lead + slots. */
static void move_first(Func *f, int buf, Val by) {
    Unit *u = f->u;
    const KBuf *b = buf_get(f, buf);
    Val first = l_sub(u, l_load(u, u->i64, f->first[buf], 8), by);
    Val below = l_compare(u, LLVMIntSLT, first, l_int(u, b->lead));
    l_store(u, l_select(u, below, l_add(u, first, l_int(u, b->slots)), first), f->first[buf], 8);
}

/* ---- one kernel after the other --------------------------------------------------------- */

static void find_firsts(Func *f) {
    for (int i = 0; i < f->p->nbufs; i++)
        f->first_now[i] = f->first[i] ? l_load(f->u, f->u->i64, f->first[i], 8) : NULL;
}

static void forget_firsts(Func *f) {
    for (int i = 0; i < f->p->nbufs; i++) f->first_now[i] = NULL;
}

static void sweep_kernel(Func *f, const KLoop *l, const KKernel *k, BasicBlock outside) {
    Unit *u = f->u;
    for (int i = 0; i < k->nroots; i++)
        if (k->roots[i].ahead) copy_ends(f, k->roots[i].buf, l->sweep.radius);
    find_firsts(f);
    Loop rows = ll_loop_begin(f, 0, k->ext[0], "row");
    ll_kernel_row(f, k, &(Row){.number = rows.i, .wrapped = rows.i, .outside = outside, .loop = l->loop});
    ll_loop_end(f, &rows);
    forget_firsts(f);
    for (int i = 0; i < k->nroots; i++)
        if (k->roots[i].ahead) move_first(f, k->roots[i].buf, l_int(u, k->roots[i].ahead));
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
    Val first_iteration, depth;        /* of this wave; its kernels less one, in rows */
    Val time;                          /* from 0 on */
    Val s;                             /* iteration of the wave */
} Wave;

/* Kernel number i of iteration s of the wave. */
static void wave_kernel(const Wave *w, int i) {
    Func *f = w->f;
    Unit *u = f->u;
    const KLoop *l = w->l;
    int64_t rows = l->body[i].u.kernel.ext[0], radius = l->sweep.radius;
    Val behind = l_add(u, l_mul(u, w->s, l->nbody * radius), l_int(u, i * radius));
    Val number = l_sub(u, l_sub(u, w->time, w->depth), behind);
    Val below = l_compare(u, LLVMIntSLT, number, l_int(u, 0)), beyond = l_compare(u, LLVMIntSGE, number, l_int(u, rows));
    Val wrapped = l_select(u, below, l_add(u, number, l_int(u, rows)), number);
    wrapped = l_select(u, beyond, l_sub(u, number, l_int(u, rows)), wrapped);
    for (int b = 0; b < f->p->nbufs; b++) {
        if (!f->first[b]) continue;
        Val moved = l_add(u, l_mul(u, w->s, rows_ahead(l, l->nbody, b)), l_int(u, rows_ahead(l, i, b)));
        f->first_now[b] = l_sub(u, l_load(u, u->i64, f->first[b], 8), moved);
    }
    f->iteration[l->loop] = l_add(u, w->first_iteration, w->s);
    ll_kernel_row(f, &l->body[i].u.kernel,
                  &(Row){.number = number, .wrapped = wrapped, .outside = w->outside, .loop = l->loop, .wave = true});
    f->iteration[l->loop] = NULL;
    forget_firsts(f);
}

/* Has kernel i of iteration s its first row by now? */
static Val has_begun(const Wave *w, Val s, int i) {
    Unit *u = w->f->u;
    int64_t radius = w->l->sweep.radius;
    Val from = l_add(u, l_mul(u, s, 2 * radius * w->l->nbody), l_int(u, 2 * radius * i));
    return l_compare(u, LLVMIntSLE, from, w->time);
}

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

/* A loop from 0 whose end is known only when it runs; entered at least once. */
static Loop open_loop(Func *f, const char *name) { return ll_loop_begin(f, 0, 0, name); }

static void close_loop(Func *f, const Loop *l, Val next, Val on) {
    Unit *u = f->u;
    BasicBlock last = l_here(u), after = l_block(f, "after");
    LLVMAddIncoming(l->i, &next, &last, 1);
    LLVMBuildCondBr(u->b, on, l->head, after);
    l_goto_end(u, after);
}

/* The iterations s of one time step that have begun. */
static void wave_time(Wave *w, Val count) {
    Func *f = w->f;
    Unit *u = f->u;
    Loop s = open_loop(f, "iteration");
    w->s = s.i;
    wave_body(w);
    Val next = l_add(u, s.i, l_int(u, 1));
    Val on = LLVMBuildAnd(u->b, l_compare(u, LLVMIntSLT, next, count), has_begun(w, next, 0), "");
    close_loop(f, &s, next, on);
}

static void sweep_waves(Func *f, const KLoop *l, BasicBlock outside) {
    Unit *u = f->u;
    int64_t radius = l->sweep.radius, rows = l->body[0].u.kernel.ext[0], wave = l->sweep.wave;
    int64_t waves = (l->trip + wave - 1) / wave, left = l->trip - (waves - 1) * wave;
    Loop b = ll_loop_begin(f, 0, waves, "wave");
    Val is_last = l_compare(u, LLVMIntEQ, b.i, l_int(u, waves - 1));
    Val count = l_select(u, is_last, l_int(u, left), l_int(u, wave));
    for (int i = 0; i < f->p->nbufs; i++)
        if (f->first[i] && is_carried(l, i)) copy_ends(f, i, wave * l->nbody * radius);
    Wave w = {.f = f, .l = l, .outside = outside};
    w.first_iteration = l_mul(u, b.i, wave);
    w.depth = l_sub(u, l_mul(u, count, l->nbody * radius), l_int(u, radius));
    Loop t = open_loop(f, "time");
    w.time = t.i;
    wave_time(&w, count);
    Val next = l_add(u, t.i, l_int(u, 1)), end = l_add(u, l_mul(u, w.depth, 2), l_int(u, rows));
    close_loop(f, &t, next, l_compare(u, LLVMIntSLT, next, end));
    for (int i = 0; i < f->p->nbufs; i++)
        if (f->first[i] && rows_ahead(l, l->nbody, i)) move_first(f, i, l_mul(u, count, rows_ahead(l, l->nbody, i)));
    ll_loop_end(f, &b);
}

void ll_sweep(Func *f, const KLoop *l) {
    BasicBlock outside = ll_next_block(f, "outside");
    if (l->sweep.wave > 1) sweep_waves(f, l, outside);
    else sweep_singly(f, l, outside);
}
