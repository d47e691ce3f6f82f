/* llvm_read.c — reads of buffers.  Neighbours along a row are loaded once: in a loop
 * over the innermost axis the foremost read is a load, and those behind it are what
 * it gave some iterations ago, kept in registers.  That saves memory traffic, and the
 * wait for stores whose address looks like that of a load in its last 12 bits. */
#include "llvm_emit.h"

/* Does a read go along the row of a split buffer, in a kernel whose lanes are its parts:
 * x + constant in the last index, and the innermost axis in no other? */
bool ll_is_row_read(const Nest *z, Ref r) {
    const Ir *ir = z->f->p->ir;
    Ref array = NARG(ir, r, 0);
    int last = NODE(ir, r)->nidx - 1, inner = z->k->rank - 1;
    if (z->mode != LANES_PARTS || last < 0 || z->f->p->plain) return false;
    for (int d = 0; d < last; d++)
        if (aff_coef(ir, NIDX(ir, r, d)->aff, (Sym)inner)) return false;
    const Affine *a = aff_get(ir, NIDX(ir, r, last)->aff);
    return a->n == 1 && a->t[0].sym == (Sym)inner && a->t[0].c == 1 && NDIM(ir, array, last) == z->k->ext[inner];
}

/* Whole parts that a read along the row goes beyond its own, in this segment; false when
 * they vary. */
static bool row_turns(const Nest *z, const Index *ix, int64_t *turns) {
    Range r = ll_affine_range(z, aff_get(z->f->p->ir, ix->aff));
    *turns = floor_div(r.lo, z->length);
    return *turns == floor_div(r.hi, z->length);
}

/* Does a read differ from lane to lane in a way that no vector in memory has? */
static bool is_scattered(const Nest *z, Ref r) {
    const Ir *ir = z->f->p->ir;
    int64_t turns;
    bool varies = false;
    for (int d = 0; d < NODE(ir, r)->nidx; d++) varies |= ll_lane_coef(z, NIDX(ir, r, d)->aff) != 0;
    return varies && !ll_is_along(z, r) && !(ll_is_row_read(z, r) && row_turns(z, NIDX(ir, r, NODE(ir, r)->nidx - 1), &turns));
}

static void access_modes(Nest *z, Access *a, const Place *p, int level) {
    Unit *u = z->f->u;
    ll_at_level(z, level);
    if (p->odd) a->odd = a->odd ? LLVMBuildXor(u->b, a->odd, p->odd, "") : p->odd;
    if (p->inside) a->inside = a->inside ? LLVMBuildAnd(u->b, a->inside, p->inside, "") : p->inside;
}

/* The last index of an array whose rows are split. */
static void access_split(Nest *z, Access *a, const Index *ix, int64_t n, int level) {
    const Affine *f = aff_get(z->f->p->ir, ix->aff);
    if (a->row) {
        row_turns(z, ix, &a->turns);
        a->mode = ix->mode;
        Index along = {ix->aff, IX_EXACT, n};
        ll_offset_add(z, &a->offset, &along, &(Place){.shift = -a->turns * z->length}, z->f->u->lanes);
        return;
    }
    Place p = ll_place(z, ix);
    int at = p.at ? p.level : ll_affine_level(z, f);
    ll_at_level(z, at);
    ll_offset_add_split(z, &a->offset, at, p.at ? p.at : ll_affine_value(z, f, p.shift), n);
    access_modes(z, a, &p, level);
}

/* The indices are those of the read r, or of one lane of it. */
static Access access_of(Nest *z, Ref r, const Index *ix, bool row, int level) {
    Func *f = z->f;
    Ir *ir = f->p->ir;
    Ref array = NARG(ir, r, 0);
    int nidx = NODE(ir, r)->nidx;
    Access a = {.buf = array < f->p->nbuf_of ? f->p->buf_of[array] : -1, .row = row};
    if (a.buf < 0) return ll_wrong(f->u, "a read of an array without a buffer"), a;
    int64_t stride = buf_width(f, a.buf);
    for (int d = nidx - 1; d >= 0; d--) {
        int64_t n = NDIM(ir, array, d);
        if (d == nidx - 1 && buf_split(f, a.buf)) access_split(z, &a, &ix[d], n, level);
        else {
            Place p = ll_place(z, &ix[d]);
            if (d == 0 && buf_get(f, a.buf)->slots) ll_offset_add_row(z, &a.offset, a.buf, &ix[d], &p);
            else ll_offset_add(z, &a.offset, &ix[d], &p, stride);
            access_modes(z, &a, &p, level);
        }
        stride *= n;
    }
    return a;
}

static Val load_element(Nest *z, const Access *a, int level) {
    Unit *u = z->f->u;
    Val address = ll_offset_address(z, &a->offset, a->buf, level);
    Val v = a->row ? l_load(u, buf_vector(z->f, a->buf), address, buf_vector_align(z->f, a->buf))
          : a->along ? l_load(u, buf_vector(z->f, a->buf), address, (unsigned)buf_bytes(z->f, a->buf))
                   : l_load(u, buf_type(z->f, a->buf), address, buf_align(z->f, a->buf));
    return l_convert(u, v, u->real);
}

/* By lane: is the place turns parts further on beyond the row, an odd number of times
 * (`odd`) or at all? */
static Val beyond_row(Unit *u, int64_t turns, bool odd) {
    Val lane[REDUCE_PARTS];
    for (int l = 0; l < (int)u->lanes; l++) {
        int64_t whole = floor_div(l + turns, u->lanes);
        lane[l] = l_bool(u, odd ? whole & 1 : whole != 0);
    }
    return LLVMConstVector(lane, u->lanes);
}

static Val rotate(Unit *u, Val v, int64_t turns) {
    int64_t by = turns - floor_div(turns, u->lanes) * u->lanes;
    Val lane[REDUCE_PARTS];
    for (int l = 0; l < (int)u->lanes; l++) lane[l] = l_int32(u, (l + by) % u->lanes);
    if (by == 0) return v;
    return LLVMBuildShuffleVector(u->b, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(lane, u->lanes), "");
}

/* What was loaded, as the read wants it: lanes, sign and zero of the modes. */
static Val read_modes(Unit *u, Val v, const Access *a, bool boolean) {
    if (a->row) v = rotate(u, v, a->turns);
    if (boolean) v = ll_as_truth(u, v);
    else if (a->row && a->turns && a->mode == IX_ANTIPERIODIC)
        v = l_select(u, beyond_row(u, a->turns, true), LLVMBuildFNeg(u->b, v, ""), v);
    if (!boolean && a->odd && !(l_is_known(a->odd) && !l_known(a->odd))) {
        Val minus = LLVMBuildFNeg(u->b, v, "");
        v = l_is_known(a->odd) ? minus : l_select(u, a->odd, minus, v);
    }
    Val zero = LLVMConstNull(LLVMTypeOf(v));
    if (a->inside && !l_is_known(a->inside)) v = l_select(u, a->inside, v, zero);
    if (a->row && a->turns && a->mode == IX_ZERO) v = l_select(u, beyond_row(u, a->turns, false), zero, v);
    return v;
}

static Stream *stream_of(Nest *z, Ref r) {
    for (int i = 0; i < z->nstreams; i++)
        if (z->stream[i].read == r) return &z->stream[i];
    return NULL;
}

static bool is_outside(const Access *a) { return a->inside && l_is_known(a->inside) && !l_known(a->inside); }

/* Lane by lane. */
static Val read_scattered(Nest *z, Ref r, int level) {
    Unit *u = z->f->u;
    bool boolean = NODE(z->f->p->ir, r)->boolean;
    Index ix[IR_MAX_RANK];
    Val lane[REDUCE_PARTS];
    for (unsigned l = 0; l < u->lanes; l++) {
        ll_lane_indices(z, r, l, ix);
        Access a = access_of(z, r, ix, false, level);
        if (a.buf < 0) return l_real(u, 0);
        lane[l] = is_outside(&a) ? (boolean ? l_bool(u, false) : l_real(u, 0))
                                 : read_modes(u, load_element(z, &a, level), &a, boolean);
    }
    return ll_from_lanes(u, lane);
}

/* ---- reads of rows that are one vector ------------------------------------------------------------ */

static bool is_written(const Nest *z, int buf);

/* Where the read's row is, for one that stays what it is while the kernel goes on. */
static bool find_row_place(const Nest *z, Ref r, int buf, Loaded *out) {
    const Ir *ir = z->f->p->ir;
    *out = (Loaded){.array = NARG(ir, r, 0)};
    if (!z->loaded_stay || !ll_is_row_read(z, r) || is_written(z, buf)) return false;
    for (int d = 0; d + 1 < NODE(ir, r)->nidx; d++) {
        const Index *ix = NIDX(ir, r, d);
        Range x = ll_affine_range(z, aff_get(ir, ix->aff));
        bool turns = ix->mode == IX_PERIODIC || ix->mode == IX_ANTIPERIODIC;
        out->known[d] = x.lo == x.hi;
        if (out->known[d]) out->place[d] = turns ? x.lo - floor_div(x.lo, ix->n) * ix->n : x.lo;
        else out->place[d] = (int64_t)ix->aff * 16 + ix->mode;
    }
    return true;
}

static bool same_place(const Loaded *a, const Loaded *b) {
    bool same = a->array == b->array;
    for (int d = 0; d < IR_MAX_RANK && same; d++) same = a->known[d] == b->known[d] && a->place[d] == b->place[d];
    return same;
}

/* From memory, or what another read of the same row has loaded. */
static Val load_row(Nest *z, Ref r, const Access *a, int level) {
    Loaded row;
    if (!find_row_place(z, r, a->buf, &row)) return load_element(z, a, level);
    for (int i = 0; i < z->nloaded; i++)
        if (same_place(&z->loaded[i], &row)) return z->loaded[i].v;
    row.v = load_element(z, a, level);
    if (z->nloaded < MAX_LOADED) z->loaded[z->nloaded++] = row;
    return row.v;
}

Val ll_read(Nest *z, Ref r, int level) {
    Unit *u = z->f->u;
    Ir *ir = z->f->p->ir;
    bool boolean = NODE(ir, r)->boolean;
    if (is_scattered(z, r)) return read_scattered(z, r, level);
    Index ix[IR_MAX_RANK];
    for (int i = 0; i < NODE(ir, r)->nidx; i++) ix[i] = *NIDX(ir, r, i);
    Access a = access_of(z, r, ix, ll_is_row_read(z, r), level);
    a.along = ll_is_along(z, r);
    if (a.buf < 0) return l_real(u, 0);
    if (is_outside(&a)) return boolean ? l_bool(u, false) : l_real(u, 0);
    Stream *s = level == z->k->rank ? stream_of(z, r) : NULL;
    Val v = s && s->twin ? s->twin->past.at[s->twin_lag]
          : s && s->lag ? z->stream[s->leader].past.at[s->lag] : load_row(z, r, &a, level);
    if (s && !s->lag && !s->twin) s->past.at[0] = v;
    return read_modes(u, v, &a, boolean);
}

/* ---- reads along a row ------------------------------------------------------------------------------ */

static bool is_written(const Nest *z, int buf) {
    for (int i = 0; i < z->k->nroots; i++)
        if (z->k->roots[i].buf == buf && !z->k->roots[i].ahead) return true;
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
    int64_t stride = 1, turns;
    bool row = ll_is_row_read(z, r);
    if (z->mode != LANES_ALIKE && (!row || is_scattered(z, r))) return false;
    for (int d = NODE(ir, r)->nidx - 1; d >= 0; d--) {
        const Index *ix = NIDX(ir, r, d);
        if (row && d == NODE(ir, r)->nidx - 1) {
            row_turns(z, ix, &turns);
            s->k = s->along = aff_get(ir, ix->aff)->k - turns * z->length;
            s->step = 1;
            stride = z->length;
            continue;
        }
        int64_t c = aff_coef(ir, ix->aff, (Sym)(z->k->rank - 1)), shift;
        bool simple = index_shift(z, ix, &shift);
        Range range = ll_affine_range(z, aff_get(ir, ix->aff));
        if (!simple && c) return false;
        if (ix->mode == IX_ZERO && (range.hi < 0 || range.lo >= ix->n)) return false;
        if (simple) s->k += (aff_get(ir, ix->aff)->k + shift) * stride;
        if (simple && d > 0) s->along = s->k;
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

/* Does a read the row of a ring that b reads, when b's point is in the row `apart` further on? */
static bool same_row_apart(const Nest *z, Ref a, Ref b, int64_t apart) {
    const Ir *ir = z->f->p->ir;
    int buf = z->f->p->buf_of[NARG(ir, a, 0)];
    if (NARG(ir, a, 0) != NARG(ir, b, 0) || !buf_get(z->f, buf)->slots) return false;
    const Affine *x = aff_get(ir, NIDX(ir, a, 0)->aff), *y = aff_get(ir, NIDX(ir, b, 0)->aff);
    if (!same_terms(x, y) || x->k != y->k + apart) return false;
    for (int d = 1; d < NODE(ir, a)->nidx; d++) {
        const Index *i = NIDX(ir, a, d), *j = NIDX(ir, b, d);
        int64_t shift;
        if (!index_shift(z, i, &shift) || !index_shift(z, j, &shift)) return false;
        if (!same_terms(aff_get(ir, i->aff), aff_get(ir, j->aff))) return false;
    }
    return true;
}

/* Where nobody follows s: is it what a leader of the other row had some iterations ago? */
static void follow_twin(const Nest *z, Stream *s, const Nest *other, int64_t apart) {
    if (s->lag || longest_lag(z, (int)(s - z->stream))) return;
    for (int i = 0; i < other->nstreams; i++) {
        const Stream *o = &other->stream[i];
        int64_t ahead = o->along - s->along, lag = s->step ? ahead / s->step : 0;
        if (o->step != s->step || ahead % s->step || lag < 1 || lag > longest_lag(other, i)) continue;
        if (same_row_apart(z, s->read, o->read, apart)) s->twin = o, s->twin_lag = (int)lag;
    }
}

void ll_streams_pair(Nest *z, Nest *next) {
    for (int i = 0; i < z->nstreams; i++) follow_twin(z, &z->stream[i], next, 1);
    for (int i = 0; i < next->nstreams; i++) follow_twin(next, &next->stream[i], z, -1);
}

/* In front of the loop, whose axis stands at its first value: the past of leaders. */
void ll_streams_begin(Nest *z, StreamPast *first) {
    for (int i = 0; i < z->nstreams; i++)
        for (int lag = 1; lag <= longest_lag(z, i); lag++) {
            Ref r = z->stream[i].read;
            Index ix[IR_MAX_RANK];
            for (int d = 0; d < NODE(z->f->p->ir, r)->nidx; d++) ix[d] = *NIDX(z->f->p->ir, r, d);
            Access a = access_of(z, r, ix, ll_is_row_read(z, r), z->k->rank);
            a.offset.k -= lag * z->stream[i].step * (a.row ? (int64_t)z->f->u->lanes : buf_width(z->f, a.buf));
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
