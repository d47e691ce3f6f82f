/* llvm_index.c — indices and addresses.  No address is ever found by a division: the
 * interval of an index says how many turns it may make, and the turns are taken back
 * by a constant, by compare and select, or (many turns, outer axes) by a division by
 * a constant, which LLVM turns into a multiplication. */
#include "llvm_emit.h"

/* More turns than this are counted by a multiplication. */
enum { MAX_SELECTS = 4 };

/* ---- affine indices ------------------------------------------------------------------ */

int ll_sym_level(const Nest *z, Sym s) {
    if (z->sweep && s == SYM_LOOP + z->sweep->loop) return 1;      /* iterations of a sweep are inside it */
    return s < (Sym)z->k->rank && z->k->ext[s] > 1 ? (int)s + 1 : 0;
}

int ll_affine_level(const Nest *z, const Affine *a) {
    int level = 0;
    for (int i = 0; i < a->n; i++) {
        int l = ll_sym_level(z, a->t[i].sym);
        if (l > level) level = l;
    }
    return level;
}

static Range sym_range(const Nest *z, Sym s) {
    if (s < (Sym)z->k->rank) return z->range[s];
    if (s >= SYM_LOOP && s - SYM_LOOP < z->f->nloops) return (Range){0, z->f->trip[s - SYM_LOOP] - 1};
    ll_wrong(z->f->u, "an index with an unknown symbol");
    return (Range){0, 0};
}

static Val sym_value(Nest *z, Sym s) {
    Val v = NULL;
    if (s < (Sym)z->k->rank) v = z->axis[s];
    else if (s >= SYM_LOOP && s - SYM_LOOP < z->f->nloops) v = z->f->iteration[s - SYM_LOOP];
    if (v) return v;
    ll_wrong(z->f->u, "an index with a symbol that has no value here");
    return l_int(z->f->u, 0);
}

Range ll_affine_range(const Nest *z, const Affine *a) {
    Range r = {a->k, a->k};
    for (int i = 0; i < a->n; i++) {
        Range s = sym_range(z, a->t[i].sym);
        int64_t c = a->t[i].c;
        r.lo += c > 0 ? c * s.lo : c * s.hi;
        r.hi += c > 0 ? c * s.hi : c * s.lo;
    }
    return r;
}

Val ll_affine_value(Nest *z, const Affine *a, int64_t shift) {
    Unit *u = z->f->u;
    Val sum = l_int(u, a->k + shift);
    for (int i = 0; i < a->n; i++) sum = l_add(u, l_mul(u, sym_value(z, a->t[i].sym), a->t[i].c), sum);
    return sum;
}

/* ---- modes ------------------------------------------------------------------------------ */

/* base counts from 0 and makes at most `turns` turns: where is it, after how many? */
static void turn_back(Unit *u, Place *p, Val base, int64_t turns, int64_t n) {
    Val odd = l_bool(u, false);
    p->at = base;
    if (turns > MAX_SELECTS) {         /* by a constant: a multiplication, not a division */
        Val q = LLVMBuildUDiv(u->b, base, l_int(u, n), "");
        p->at = l_sub(u, base, l_mul(u, q, n));
        odd = LLVMBuildTrunc(u->b, q, u->i1, "");
    } else {
        for (int64_t t = 1; t <= turns; t++) {
            Val beyond = l_compare(u, LLVMIntSGE, base, l_int(u, t * n));
            p->at = l_select(u, beyond, l_sub(u, base, l_int(u, t * n)), p->at);
            odd = LLVMBuildXor(u->b, odd, beyond, "");
        }
    }
    p->odd = odd;
}

static Place place_periodic(Nest *z, const Affine *a, Range r, int64_t n) {
    Unit *u = z->f->u;
    int64_t first = floor_div(r.lo, n), last = floor_div(r.hi, n);
    Place p = {.shift = -first * n, .level = ll_affine_level(z, a)};
    bool odd = first & 1;
    if (first == last) {
        p.odd = l_bool(u, odd);
        return p;
    }
    ll_at_level(z, p.level);
    turn_back(u, &p, ll_affine_value(z, a, p.shift), last - first, n);
    if (odd) p.odd = LLVMBuildNot(u->b, p.odd, "");
    return p;
}

/* Is 0 <= a < n?  Known, or compared at the builder's place as unsigned numbers. */
Val ll_in_range(Nest *z, const Affine *a, Range r, int64_t n) {
    Unit *u = z->f->u;
    if (r.lo >= 0 && r.hi < n) return l_bool(u, true);
    if (r.hi < 0 || r.lo >= n) return l_bool(u, false);
    return l_compare(u, LLVMIntULT, ll_affine_value(z, a, 0), l_int(u, n));
}

static Place place_zero(Nest *z, const Affine *a, Range r, int64_t n) {
    Unit *u = z->f->u;
    Place p = {.level = ll_affine_level(z, a)};
    ll_at_level(z, p.level);
    p.inside = ll_in_range(z, a, r, n);
    if (!l_is_known(p.inside))         /* a safe element when outside */
        p.at = l_select(u, p.inside, ll_affine_value(z, a, 0), l_int(u, 0));
    return p;
}

Place ll_place(Nest *z, const Index *ix) {
    const Affine *a = aff_get(z->f->p->ir, ix->aff);
    if (ix->mode == IX_EXACT) return (Place){.level = ll_affine_level(z, a)};
    Range r = ll_affine_range(z, a);
    if (ix->mode == IX_ZERO) return place_zero(z, a, r, ix->n);
    Place p = place_periodic(z, a, r, ix->n);
    if (ix->mode == IX_PERIODIC) p.odd = NULL;
    return p;
}

/* ---- addresses ------------------------------------------------------------------------ */

static void offset_add(Nest *z, Offset *o, int level, Val v, int64_t stride) {
    Unit *u = z->f->u;
    if (l_is_known(v)) {
        o->k += LLVMConstIntGetSExtValue(v) * stride;
        return;
    }
    ll_at_level(z, level);
    Val term = l_mul(u, v, stride);
    o->part[level] = o->part[level] ? l_add(u, o->part[level], term) : term;
}

void ll_offset_add(Nest *z, Offset *o, const Index *ix, const Place *p, int64_t stride) {
    const Affine *a = aff_get(z->f->p->ir, ix->aff);
    if (p->at) {
        offset_add(z, o, p->level, p->at, stride);
        return;
    }
    o->k += (a->k + p->shift) * stride;
    for (int i = 0; i < a->n; i++)
        offset_add(z, o, ll_sym_level(z, a->t[i].sym), sym_value(z, a->t[i].sym), a->t[i].c * stride);
}

/* Outer parts first: the pointer before the last part is the row's.  The constant
 * comes last, so that neighbours in a row differ by a displacement only. */
Val ll_offset_address(Nest *z, const Offset *o, int buf, int level) {
    Unit *u = z->f->u;
    ll_at_level(z, 0);
    Val p = buf_address(z->f, buf);
    for (int l = 0; l <= z->k->rank; l++) {
        if (!o->part[l]) continue;
        ll_at_level(z, l);
        p = buf_at(z->f, buf, p, o->part[l]);
    }
    ll_at_level(z, level);
    return o->k ? buf_at(z->f, buf, p, l_int(u, o->k)) : p;
}

Val ll_split(Unit *u, Val e, int64_t n) {
    int64_t parts = reduce_parts(n);
    Val part = l_int(u, n / parts);
    Val inside = LLVMBuildURem(u->b, e, part, ""), lane = LLVMBuildUDiv(u->b, e, part, "");
    return l_add(u, l_mul(u, inside, parts), lane);
}

/* Element e of an array with rows of n. */
Val ll_split_element(Unit *u, Val e, int64_t n) {
    Val x = LLVMBuildURem(u->b, e, l_int(u, n), "");
    return l_add(u, l_sub(u, e, x), ll_split(u, x, n));
}

/* Along the last axis of a split buffer: an element by itself. */
void ll_offset_add_split(Nest *z, Offset *o, int level, Val e, int64_t n) {
    ll_at_level(z, level);
    offset_add(z, o, level, ll_split(z->f->u, e, n), 1);
}

/* own: y counts from the beginning of the part that is swept. */
static void add_row(Nest *z, Offset *o, int buf, Val y, int level, int64_t ahead, bool own) {
    Func *f = z->f;
    Unit *u = f->u;
    ll_at_level(z, level);
    Val first = f->first_now[buf] ? f->first_now[buf] : l_load(u, u->i64, f->first[buf], 8);
    first = ahead ? l_sub(u, first, l_int(u, ahead)) : first;
    offset_add(z, o, level, own ? ll_ring_slot_own(f, buf, first, y) : ll_ring_slot(f, buf, first, y), ll_ring_pitch(f, buf));
}

static bool moves_on(const Nest *z, int buf) {
    for (int i = 0; i < z->whole->nroots; i++)
        if (z->whole->roots[i].buf == buf && z->whole->roots[i].ahead) return true;
    return false;
}

/* Row number + k of what is swept.  Rows beyond the ends are there as copies; but where all rows are
 * one part, those before the first one are the last ones, which are still old then. */
static Val swept_row(Nest *z, int buf, int64_t k) {
    Func *f = z->f;
    Unit *u = f->u;
    Val y = l_add(u, z->sweep->number, l_int(u, k));
    if (z->sweep->wave || f->part_at[buf] || k >= 0) return y;
    Val last = l_add(u, y, l_int(u, buf_get(f, buf)->rows));
    return l_select(u, l_compare(u, LLVMIntSLT, y, l_int(u, 0)), last, y);
}

void ll_offset_add_row(Nest *z, Offset *o, int buf, const Index *ix, const Place *p) {
    const Affine *a = aff_get(z->f->p->ir, ix->aff);
    if (z->sweep && (z->sweep->wave || moves_on(z, buf))) {
        ll_at_level(z, 1);
        add_row(z, o, buf, swept_row(z, buf, a->k), 1, 0, true);
        return;
    }
    int level = p->at ? p->level : ll_affine_level(z, a);
    ll_at_level(z, level);
    add_row(z, o, buf, p->at ? p->at : ll_affine_value(z, a, p->shift), level, 0, false);
}

/* The element of the point, over the first naxes axes. */
Val ll_own_address(Nest *z, int buf, int naxes, int64_t ahead) {
    Offset o = {0};
    int64_t stride = buf_width(z->f, buf);
    for (int a = naxes - 1; a >= 0; a--) {
        int level = ll_sym_level(z, (Sym)a);
        bool split = a == naxes - 1 && buf_split(z->f, buf);
        if (a == 0 && buf_get(z->f, buf)->slots) add_row(z, &o, buf, z->sweep ? z->sweep->number : z->axis[0], 1, ahead, z->sweep != NULL);
        else if (!split) offset_add(z, &o, level, z->axis[a], stride);
        else if (naxes == z->k->rank && z->mode == LANES_PARTS) offset_add(z, &o, level, z->axis[a], z->f->u->lanes);
        else ll_offset_add_split(z, &o, level, z->axis[a], z->k->ext[a]);
        stride *= z->k->ext[a];
    }
    return ll_offset_address(z, &o, buf, naxes);
}

Val ll_plane_address(Nest *z, const KKept *v) {
    Offset o = {0};
    int buf = v->buf;
    int64_t stride = buf_width(z->f, buf);
    if (z->f->task) offset_add(z, &o, 0, z->f->task, v->lot * stride);
    for (int a = z->k->rank - 1; a > v->axis; a--) {
        int level = ll_sym_level(z, (Sym)a);
        bool split = a == z->k->rank - 1 && buf_split(z->f, buf);
        if (!split) offset_add(z, &o, level, z->axis[a], stride);
        else if (z->mode == LANES_PARTS) offset_add(z, &o, level, z->axis[a], z->f->u->lanes);
        else ll_offset_add_split(z, &o, level, z->axis[a], z->k->ext[a]);
        stride *= z->k->ext[a];
    }
    if (v->axis == 0 && z->sweep && z->sweep->wave) offset_add(z, &o, 1, z->sweep->lap, stride);
    return ll_offset_address(z, &o, buf, z->k->rank);
}

/* A lane's place along the axis of lanes is so many sites later. */
void ll_lane_indices(Nest *z, Ref r, unsigned lane, Index *out) {
    Ir *ir = z->f->p->ir;
    for (int i = 0; i < NODE(ir, r)->nidx; i++) {
        out[i] = *NIDX(ir, r, i);
        int64_t c = ll_lane_coef(z, out[i].aff);
        if (c) out[i].aff = aff_shift(ir, out[i].aff, c * (int64_t)lane * z->apart);
    }
}
