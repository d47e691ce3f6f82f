/* contract_wrap.c — operands whose indices leave their array, copied so that they do not:
 * after that, addresses are linear in the axes.
 *
 * Usually each axis of the operand is extended to the range of its index; if that is much
 * more than what is read (a stride of a thousand on a ring of ten), the copy has the axes
 * of the contraction instead. */
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "contract_plan.h"

typedef __int128 Wide;

/* A stretch of the last axis: from consecutive elements, or zeros. */
typedef struct Stretch {
    int64_t to, from, bytes;
    int sign;              /* 0: zeros */
} Stretch;

struct CtWrap {
    size_t element;
    int rank;
    int64_t n[LQ_AXES], step[LQ_AXES];   /* of the copy */
    size_t bytes;
    /* ranges of the operand's own axes: where each index of the copy comes from */
    int64_t *from[LQ_AXES];
    signed char *sign[LQ_AXES];
    Stretch *stretch;
    int nstretch;
    /* axes of the contraction */
    bool by_axes;
    LqOperand o;
    int axis[LQ_AXES];
};

/* Where an index is read: 0 … n-1, and the sign of what is read. */
static int64_t place(const LqIndex *ix, Wide i, int *sign)
{
    Wide turns = (i >= 0 ? i : i - ix->n + 1) / ix->n;
    *sign = ix->mode == LQ_ZERO && turns ? 0 : ix->mode == LQ_ANTIPERIODIC && turns % 2 ? -1 : 1;
    return (int64_t)(i - turns * ix->n);
}

/* Representative of x modulo n that is nearest to 0. */
static int64_t nearest(int64_t x, int64_t n)
{
    x %= n;
    return x > n / 2 ? x - n : x < -(n / 2) ? x + n : x;
}

/* Least and greatest value of an index; whole turns are taken out of its coefficients. */
static void range(LqIndex *ix, int naxes, const int64_t *ext, Wide *lo, Wide *hi)
{
    int64_t turn = ix->mode == LQ_PERIODIC ? ix->n : ix->mode == LQ_ANTIPERIODIC ? 2 * ix->n : 0;
    if (turn) ix->k = nearest(ix->k, turn);
    *lo = *hi = ix->k;
    for (int x = 0; x < naxes; x++) {
        if (turn) ix->c[x] = nearest(ix->c[x], turn);
        Wide far = (Wide)ix->c[x] * (ext[x] - 1);
        *(far < 0 ? lo : hi) += far;
    }
}

static void strides(const LqOperand *o, int naxes, const int64_t *step, const Wide *lo, int64_t *base, int64_t *by)
{
    *base = 0;
    memset(by, 0, (size_t)naxes * sizeof *by);
    for (int d = 0; d < o->rank; d++) {
        *base += step[d] * (o->ix[d].k - (int64_t)lo[d]);
        for (int x = 0; x < naxes; x++) by[x] += step[d] * o->ix[d].c[x];
    }
}

/* Row-major steps, rows a little apart where they would share cache sets. */
static size_t steps(int rank, const int64_t *n, size_t element, bool apart, int64_t *step)
{
    int64_t size = (int64_t)element;
    for (int d = rank - 1; d >= 0; d--) {
        step[d] = size;
        size *= n[d];
        if (apart && d && size >= 512 && size % 512 == 0) size += 64;
    }
    return (size_t)size;
}

static void find_stretches(CtWrap *w)
{
    int d = w->rank - 1;
    int64_t size = (int64_t)w->element, last = 0;
    w->stretch = lq_alloc((size_t)w->n[d] * sizeof *w->stretch);
    for (int64_t j = 0; j < w->n[d]; j++) {
        Stretch *s = w->nstretch ? &w->stretch[w->nstretch - 1] : NULL;
        bool follows = s && s->sign == w->sign[d][j] && (!s->sign || w->from[d][j] == last + size);
        if (follows) s->bytes += size;
        else w->stretch[w->nstretch++] = (Stretch){j * size, w->from[d][j], size, w->sign[d][j]};
        last = w->from[d][j];
    }
}

/* The copy has the operand's axes, each of the range of its index. */
static void plan_ranges(CtWrap *w, const LqOperand *o, const int64_t *source_step, const Wide *lo)
{
    w->rank = o->rank;
    for (int d = 0; d < o->rank; d++) {
        w->from[d] = lq_alloc((size_t)w->n[d] * sizeof *w->from[d]);
        w->sign[d] = lq_alloc((size_t)w->n[d]);
        for (int64_t j = 0; j < w->n[d]; j++) {
            int sign;
            w->from[d][j] = source_step[d] * place(&o->ix[d], lo[d] + j, &sign);
            w->sign[d][j] = (signed char)sign;
        }
    }
    find_stretches(w);
}

static bool uses(const LqOperand *o, int x)
{
    for (int d = 0; d < o->rank; d++)
        if (o->ix[d].c[x]) return true;
    return false;
}

/* The copy has the axes of the contraction that the operand depends on. */
static void plan_axes(CtWrap *w, int naxes, const int64_t *ext, int64_t *base, int64_t *by)
{
    w->by_axes = true;
    for (int x = 0; x < naxes; x++)
        if (ext[x] > 1 && uses(&w->o, x)) w->axis[w->rank] = x, w->n[w->rank++] = ext[x];
    w->bytes = steps(w->rank, w->n, w->element, false, w->step);
    *base = 0;
    memset(by, 0, (size_t)naxes * sizeof *by);
    for (int i = 0; i < w->rank; i++) by[w->axis[i]] = w->step[i];
}

void ct_wrap_plan(const LqOperand *given, int naxes, const int64_t *ext, size_t element, int64_t *base, int64_t *by, CtWrap **wrap)
{
    LqOperand o = *given;
    Wide lo[LQ_AXES], hi[LQ_AXES];
    int64_t extents[LQ_AXES] = {0}, step[LQ_AXES];
    bool inside = true;
    double box = 1, points = 1;
    *wrap = NULL;
    for (int d = 0; d < o.rank; d++) {
        if (o.ix[d].mode != LQ_EXACT) range(&o.ix[d], naxes, ext, &lo[d], &hi[d]);
        else lo[d] = 0, hi[d] = o.ix[d].n - 1;
        inside = inside && lo[d] >= 0 && hi[d] < o.ix[d].n;
        extents[d] = o.ix[d].n;
        box *= (double)(hi[d] - lo[d] + 1);
    }
    for (int x = 0; x < naxes; x++)
        if (uses(&o, x)) points *= (double)ext[x];
    steps(o.rank, extents, element, false, step);
    if (inside) {
        const Wide zero[LQ_AXES] = {0};
        strides(&o, naxes, step, zero, base, by);
        return;
    }
    CtWrap *w = *wrap = lq_alloc(sizeof *w);
    *w = (CtWrap){.element = element, .o = o};
    if (box > 2 * points + 4096) {
        plan_axes(w, naxes, ext, base, by);
        return;
    }
    for (int d = 0; d < o.rank; d++) w->n[d] = (int64_t)(hi[d] - lo[d] + 1);
    w->bytes = steps(o.rank, w->n, element, true, w->step);
    plan_ranges(w, &o, step, lo);
    strides(&o, naxes, w->step, lo, base, by);
}

size_t ct_wrap_bytes(const CtWrap *w)
{
    return w ? w->bytes : 0;
}

void ct_wrap_free(CtWrap *w)
{
    if (!w) return;
    for (int d = 0; d < w->rank; d++) free(w->from[d]), free(w->sign[d]);
    free(w->stretch);
    free(w);
}

static void negate(char *to, const char *from, int64_t bytes, size_t element)
{
    if (element == sizeof(float))
        for (int64_t i = 0; i < bytes / (int64_t)element; i++) ((float *)to)[i] = -((const float *)from)[i];
    else
        for (int64_t i = 0; i < bytes / (int64_t)element; i++) ((double *)to)[i] = -((const double *)from)[i];
}

/* Calls cost more than a few elements. */
static void copy_stretch(const Stretch *s, int sign, const char *from, char *to, size_t element)
{
    const int64_t few = 4 * (int64_t)element;
    from += s->from, to += s->to;
    if (sign == 0) memset(to, 0, (size_t)s->bytes);
    else if (sign < 0) negate(to, from, s->bytes, element);
    else if (s->bytes > few) memcpy(to, from, (size_t)s->bytes);
    else if (element == sizeof(float))
        for (int64_t i = 0; i < s->bytes; i += sizeof(float)) *(float *)(to + i) = *(const float *)(from + i);
    else
        for (int64_t i = 0; i < s->bytes; i += sizeof(double)) *(double *)(to + i) = *(const double *)(from + i);
}

static void copy_ranges(const CtWrap *w, int d, const char *from, int sign, char *to)
{
    if (d < w->rank - 1) {
        for (int64_t j = 0; j < w->n[d]; j++)
            copy_ranges(w, d + 1, from + w->from[d][j], sign * w->sign[d][j], to + j * w->step[d]);
        return;
    }
    for (int i = 0; i < w->nstretch; i++) copy_stretch(&w->stretch[i], sign * w->stretch[i].sign, from, to, w->element);
}

/* The element of the operand at a point of the axes that it depends on. */
static void copy_element(const CtWrap *w, const int64_t *at, const char *from, char *to)
{
    int64_t where = 0;
    int signs = 1;
    for (int d = 0; d < w->o.rank; d++) {
        const LqIndex *ix = &w->o.ix[d];
        Wide i = ix->k;
        int sign;
        for (int x = 0; x < w->rank; x++) i += (Wide)ix->c[w->axis[x]] * at[x];
        where = where * ix->n + place(ix, i, &sign);
        signs *= sign;
    }
    from += where * (int64_t)w->element;
    if (signs == 0) memset(to, 0, w->element);
    else if (signs > 0) memcpy(to, from, w->element);
    else negate(to, from, (int64_t)w->element, w->element);
}

static void copy_axes(const CtWrap *w, const char *from, char *to)
{
    int64_t at[LQ_AXES] = {0};
    int x;
    do {
        copy_element(w, at, from, to);
        to += w->element;
        for (x = w->rank - 1; x >= 0 && ++at[x] == w->n[x]; x--) at[x] = 0;
    } while (x >= 0);
}

void ct_wrap(const CtWrap *w, const void *from, void *to)
{
    if (w->by_axes) copy_axes(w, from, to);
    else copy_ranges(w, 0, from, 1, to);
}
