/* llvm_read.c — reads of buffers.  Neighbours along a row are loaded once: in a loop
 * over the innermost axis the foremost read is a load, and those behind it are what
 * it gave some iterations ago, kept in registers.  That saves memory traffic, and the
 * wait for stores whose address looks like that of a load in its last 12 bits. */
#include "llvm_emit.h"

static Access access_of(Nest *z, Ref r, int level) {
    Func *f = z->f;
    Unit *u = f->u;
    Ir *ir = f->p->ir;
    Ref array = NARG(ir, r, 0);
    Access a = {.buf = array < f->p->nbuf_of ? f->p->buf_of[array] : -1};
    if (a.buf < 0) return ll_wrong(u, "a read of an array without a buffer"), a;
    int64_t stride = buf_width(f, a.buf);
    for (int d = NODE(ir, r)->nidx - 1; d >= 0; d--) {
        Place p = ll_place(z, NIDX(ir, r, d));
        ll_offset_add(z, &a.offset, NIDX(ir, r, d), &p, stride);
        stride *= NDIM(ir, array, d);
        ll_at_level(z, level);
        if (p.odd) a.odd = a.odd ? LLVMBuildXor(u->b, a.odd, p.odd, "") : p.odd;
        if (p.inside) a.inside = a.inside ? LLVMBuildAnd(u->b, a.inside, p.inside, "") : p.inside;
    }
    return a;
}

static Val load_element(Nest *z, const Access *a, int level) {
    Val address = ll_offset_address(z, &a->offset, a->buf, level);
    return l_load(z->f->u, buf_type(z->f, a->buf), address, buf_align(z->f, a->buf));
}

/* The value at a place: sign and zero of the modes applied. */
static Val read_modes(Unit *u, Val v, Val odd, Val inside) {
    if (!l_is_truth(v) && odd && !(l_is_known(odd) && !l_known(odd))) {
        Val minus = LLVMBuildFNeg(u->b, v, "");
        v = l_is_known(odd) ? minus : l_select(u, odd, minus, v);
    }
    if (inside && !l_is_known(inside)) v = l_select(u, inside, v, LLVMConstNull(LLVMTypeOf(v)));
    return v;
}

static Stream *stream_of(Nest *z, Ref r) {
    for (int i = 0; i < z->nstreams; i++)
        if (z->stream[i].read == r) return &z->stream[i];
    return NULL;
}

Val ll_read(Nest *z, Ref r, int level) {
    Unit *u = z->f->u;
    bool boolean = NODE(z->f->p->ir, r)->boolean;
    Access a = access_of(z, r, level);
    if (a.buf < 0) return l_real(u, 0);
    if (a.inside && l_is_known(a.inside) && !l_known(a.inside)) return (boolean ? l_bool(u, false) : l_real(u, 0));
    Stream *s = level == z->k->rank ? stream_of(z, r) : NULL;
    Val v = s && s->lag ? z->stream[s->leader].past.at[s->lag] : load_element(z, &a, level);
    if (s && !s->lag) s->past.at[0] = v;
    return read_modes(u, boolean ? ll_as_truth(u, v) : v, a.odd, a.inside);
}

/* ---- reads along a row ------------------------------------------------------------------------------ */

static bool is_written(const Nest *z, int buf) {
    for (int i = 0; i < z->k->nroots; i++)
        if (z->k->roots[i].buf == buf) return true;
    return false;
}

/* Turns that an index makes in this segment, as a shift; false when they vary. */
static bool index_shift(const Nest *z, const Index *ix, int64_t *shift) {
    *shift = 0;
    if (ix->mode == IX_EXACT) return true;
    Range r = ll_affine_range(z, aff_get(z->f->p->ir, ix->aff));
    if (ix->mode == IX_ZERO) return r.lo >= 0 && r.hi < ix->n;
    *shift = -floor_div(r.lo, ix->n) * ix->n;
    return floor_div(r.lo, ix->n) == floor_div(r.hi, ix->n);
}

/* Constant part and advance of a read's address; false when it does not simply
 * advance along the row. */
static bool stream_start(const Nest *z, Ref r, Stream *s) {
    const Ir *ir = z->f->p->ir;
    Ref array = NARG(ir, r, 0);
    *s = (Stream){.read = r};
    int64_t stride = 1;
    for (int d = NODE(ir, r)->nidx - 1; d >= 0; d--) {
        const Index *ix = NIDX(ir, r, d);
        int64_t c = aff_coef(ir, ix->aff, (Sym)(z->k->rank - 1)), shift;
        bool simple = index_shift(z, ix, &shift);
        Range range = ll_affine_range(z, aff_get(ir, ix->aff));
        if (!simple && c) return false;
        if (ix->mode == IX_ZERO && (range.hi < 0 || range.lo >= ix->n)) return false;
        if (simple) s->k += (aff_get(ir, ix->aff)->k + shift) * stride;
        s->step += c * stride;
        stride *= NDIM(ir, array, d);
    }
    int buf = array < z->f->p->nbuf_of ? z->f->p->buf_of[array] : -1;
    return buf >= 0 && s->step && !is_written(z, buf);
}

/* Term by term: the bytes between the members of a term are not part of it. */
static bool same_terms(const Affine *a, const Affine *b) {
    bool same = a->n == b->n;
    for (int i = 0; i < a->n && same; i++) same = a->t[i].sym == b->t[i].sym && a->t[i].c == b->t[i].c;
    return same;
}

/* Do two reads differ by the constant in their address alone? */
static bool same_row(const Nest *z, Ref a, Ref b) {
    const Ir *ir = z->f->p->ir;
    if (NARG(ir, a, 0) != NARG(ir, b, 0)) return false;
    for (int d = 0; d < NODE(ir, a)->nidx; d++) {
        const Index *x = NIDX(ir, a, d), *y = NIDX(ir, b, d);
        int64_t shift;
        bool fixed = index_shift(z, x, &shift) && index_shift(z, y, &shift);
        if (!fixed && (x->aff != y->aff || x->mode != y->mode)) return false;
        if (!same_terms(aff_get(ir, x->aff), aff_get(ir, y->aff))) return false;
    }
    return true;
}

/* Iterations by which b comes after a, or -1. */
static int64_t lag_between(const Nest *z, const Stream *a, const Stream *b) {
    if (a->step != b->step || (a->k - b->k) % a->step || (a->k - b->k) / a->step < 0) return -1;
    return same_row(z, a->read, b->read) ? (a->k - b->k) / a->step : -1;
}

/* Finds the reads that follow others within MAX_LAG iterations. */
void ll_streams_find(Nest *z) {
    Func *f = z->f;
    int carried = 0;
    z->nstreams = 0;
    for (int i = 0; i < f->order.n && z->nstreams < MAX_READS; i++) {
        Ref r = f->order.data[i];
        if (NODE(f->p->ir, r)->op != SC_READ || f->level[r] != z->k->rank) continue;
        if (stream_start(z, r, &z->stream[z->nstreams])) z->nstreams++;
    }
    for (int i = 0; i < z->nstreams; i++) {             /* to the foremost within reach */
        Stream *s = &z->stream[i];
        s->leader = i;
        for (int j = 0; j < z->nstreams; j++) {
            int64_t lag = lag_between(z, &z->stream[j], s);
            if (lag > s->lag && lag <= MAX_LAG) s->leader = j, s->lag = (int)lag;
        }
    }
    for (int i = 0; i < z->nstreams; i++) {             /* leaders follow nobody */
        Stream *s = &z->stream[i];
        if (z->stream[s->leader].lag || carried + s->lag > MAX_CARRIED) s->leader = i, s->lag = 0;
        carried += s->lag;
    }
}

/* How far back the reads behind a leader reach. */
static int longest_lag(const Nest *z, int leader) {
    int lag = 0;
    for (int i = 0; i < z->nstreams; i++)
        if (z->stream[i].leader == leader && z->stream[i].lag > lag) lag = z->stream[i].lag;
    return lag;
}

/* In front of the loop, whose axis stands at its first value: the past of leaders. */
void ll_streams_begin(Nest *z, StreamPast *first) {
    for (int i = 0; i < z->nstreams; i++)
        for (int lag = 1; lag <= longest_lag(z, i); lag++) {
            Access a = access_of(z, z->stream[i].read, z->k->rank);
            a.offset.k -= lag * z->stream[i].step * buf_width(z->f, a.buf);
            first[i].at[lag] = load_element(z, &a, z->k->rank);
        }
}

/* At the head of the loop. */
void ll_streams_enter(Nest *z, StreamPast *first, BasicBlock before) {
    for (int i = 0; i < z->nstreams; i++)
        for (int lag = 1; lag <= longest_lag(z, i); lag++) {
            Val phi = LLVMBuildPhi(z->f->u->b, LLVMTypeOf(first[i].at[lag]), "");
            LLVMAddIncoming(phi, &first[i].at[lag], &before, 1);
            z->stream[i].past.at[lag] = phi;
        }
}

/* At its end: the present becomes the past. */
void ll_streams_advance(Nest *z) {
    BasicBlock last = l_here(z->f->u);
    for (int i = 0; i < z->nstreams; i++)
        for (int lag = longest_lag(z, i); lag >= 1; lag--)
            LLVMAddIncoming(z->stream[i].past.at[lag], &z->stream[i].past.at[lag - 1], &last, 1);
}
