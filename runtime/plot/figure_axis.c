/* figure_axis.c — axes: the range shown, where the ticks are and what they say.
 *
 * A linear axis works on values divided by a power of ten near the largest, so
 * that the largest and smallest doubles are as easy as 1.  A tick is an integer
 * times a power of ten: its label is exact, whatever the rounding of its place. */
#include <math.h>
#include <string.h>

#include "plot.h"

void range_add(Range *r, double v, bool log)
{
    if (!isfinite(v) || (log && v <= 0))
        return;
    r->lo = r->any ? fmin(r->lo, v) : v;
    r->hi = r->any ? fmax(r->hi, v) : v;
    r->any = true;
}

bool axis_shows(const Axis *a, double v)
{
    return isfinite(v) && (!a->log || v > 0);
}

double axis_at(const Axis *a, double v)
{
    double u = a->log ? (v > 0 ? log10(v) : -INFINITY) : v * a->scale1 * a->scale2;
    double t = (u - a->lo) / (a->hi - a->lo);
    return t > 0 ? fmin(t, 1) : 0; /* also for NaN */
}

/* ---- labels ------------------------------------------------------------------- */

/* m × 10^q in full, without rounding and without the locale. */
static void put_decimal(char s[26], int64_t m, int q)
{
    char t[26];
    int k = (int)sizeof t - 1, decimals = q < 0 && m ? -q : 0;
    uint64_t u = m < 0 ? -(uint64_t)m : (uint64_t)m;
    t[k] = 0;
    for (int i = 0; m && i < q && k > 1; i++)
        t[--k] = '0';
    for (int i = 0; (u > 0 || i <= decimals) && k > 2; i++, u /= 10) {
        if (i && i == decimals)
            t[--k] = '.';
        t[--k] = (char)('0' + u % 10);
    }
    if (m < 0)
        t[--k] = '-';
    memcpy(s, t + k, sizeof t - (size_t)k);
}

static int digits_of(int64_t m)
{
    int n = 1;
    for (; m > 9 || m < -9; m /= 10)
        n++;
    return n;
}

/* An offset stands alone, so it carries its own exponent where it is long. */
static void put_offset(char *s, size_t size, int64_t m, int q)
{
    for (; m && m % 10 == 0; m /= 10)
        q++;
    int first = digits_of(m) - 1 + q;
    char t[26];
    if (first >= -4 && first < 9) {
        put_decimal(t, m, q);
        snprintf(s, size, "%s", t);
    } else {
        put_decimal(t, m, 1 - digits_of(m));
        snprintf(s, size, "%se%+d", t, first);
    }
}

static Tick *add_tick(Axis *a, double u, bool minor)
{
    double t = (u - a->lo) / (a->hi - a->lo);
    if (a->nticks == MAX_TICKS || !(t > -1e-9 && t < 1 + 1e-9))
        return NULL;
    Tick *tick = &a->ticks[a->nticks++];
    *tick = (Tick){.at = fmin(fmax(t, 0), 1), .minor = minor};
    return tick;
}

/* ---- linear ticks --------------------------------------------------------------- */

typedef struct Step { int digit, power; double size; } Step; /* digit × 10^power */

static Step nice_step(double span, int ticks, int least_power)
{
    double raw = span / (ticks > 0 ? ticks : 1);
    int power = (int)floor(log10(raw));
    double f = raw / pow(10, power) * (1 - 1e-9);
    int digit = f <= 1 ? 1 : f <= 2 ? 2 : f <= 5 ? 5 : 10;
    if (digit == 10) {
        digit = 1;
        power++;
    }
    if (power < least_power) {
        power = least_power;
        digit = 1;
    }
    return (Step){digit, power, digit * pow(10, power)};
}

/* A linear axis shows u itself; a short logarithmic one its logarithm. */
static double place_of(const Axis *a, double u, int e)
{
    return !a->log ? u : u > 0 ? log10(u) + e : -INFINITY;
}

/* The labels of ticks m × 10^q, m from first to last: a common factor where they
 * are large or small, a common offset where they differ only far behind. */
typedef struct Labels { int64_t offset; int power; } Labels;

static Labels choose_labels(Axis *a, int64_t first, int64_t last, int q)
{
    Labels l = {0, q};
    int64_t most = last > -first ? last : -first;
    if (digits_of(most) > 6) {
        int64_t unit = 1;
        while (unit <= last - first)
            unit *= 10;
        l.offset = first / unit * unit - (first % unit < 0 ? unit : 0);
        put_offset(a->offset, sizeof a->offset, l.offset, q);
        most = last - l.offset;
    }
    int size = digits_of(most) - 1 + q;
    if (most && (size < -3 || size > 4)) {
        a->exponent = size;
        l.power = q - size;
    }
    return l;
}

/* Ticks for scaled values from lo to hi, where the scale is 10^e. */
static void linear_ticks(Axis *a, double lo, double hi, int e, AxisWish wish)
{
    Step s = nice_step(hi - lo, wish.ticks, wish.integers ? -e : -400);
    double slack = 1e-9 * (hi - lo) / s.size;
    int64_t first = (int64_t)ceil(lo / s.size - slack);
    int64_t last = (int64_t)floor(hi / s.size + slack);
    if (last < first)
        return;
    Labels l = choose_labels(a, first * s.digit, last * s.digit, s.power + e);
    for (int64_t k = first; k <= last; k++) {
        Tick *t = add_tick(a, place_of(a, (double)k * s.size, e), false);
        if (t)
            put_decimal(t->text, k * s.digit - l.offset, l.power);
    }
    if (wish.integers || last - first > 30)
        return;
    int parts = s.digit == 2 ? 4 : 5;
    for (int64_t k = (first - 1) * parts; k < (last + 1) * parts; k++)
        if (k % parts)
            add_tick(a, place_of(a, (double)k * s.size / parts, e), true);
}

static void make_linear(Axis *a, Range r, AxisWish wish)
{
    double big = fmax(fabs(r.lo), fabs(r.hi));
    int e = big > 0 ? (int)floor(log10(big)) : 0;
    a->scale1 = pow(10, -(e / 2));
    a->scale2 = pow(10, -(e - e / 2));
    double lo = r.lo * a->scale1 * a->scale2, hi = r.hi * a->scale1 * a->scale2;
    double least = 1e-12 * fmax(fabs(lo), fabs(hi));
    if (lo == hi) {
        double half = lo == 0 ? 1 : 0.1 * fabs(lo);
        lo -= half;
        hi += half;
    } else if (hi - lo < least) {
        lo -= least;
        hi += least;
    }
    double span = hi - lo;
    a->lo = lo - wish.pad_lo * span;
    a->hi = hi + wish.pad_hi * span;
    linear_ticks(a, a->lo, a->hi, e, wish);
}

/* ---- logarithmic ticks ------------------------------------------------------------ */

static void label_power(Tick *t, int digit, int power, bool plain)
{
    t->exponent = power;
    t->power = !plain;
    if (plain)
        put_decimal(t->text, digit, power);
    else if (digit != 1)
        snprintf(t->text, sizeof t->text, "%d", digit);
}

static int decade_stride(int decades, int ticks)
{
    static const int strides[] = {1, 2, 5, 10, 20, 50, 100, 200};
    for (int i = 0; i < LQ_COUNT(strides); i++)
        if (decades <= strides[i] * (ticks > 2 ? ticks : 2))
            return strides[i];
    return 500;
}

static void decade_ticks(Axis *a, int first, int last, int ticks)
{
    int stride = decade_stride(last - first + 1, ticks);
    bool plain = a->lo > -3 && a->hi < 4;
    bool few = last - first < 2; /* then 2 and 5 are labelled too */
    for (int k = first - 1; k <= last; k++) {
        bool labelled = (k % stride + stride) % stride == 0;
        Tick *t = add_tick(a, k, !labelled);
        if (t && labelled)
            label_power(t, 1, k, plain);
        for (int d = 2; stride == 1 && d < 10; d++) {
            bool major = few && ticks >= 4 && (d == 2 || d == 5);
            t = add_tick(a, k + log10(d), !major);
            if (t && major)
                label_power(t, d, k, plain);
        }
    }
}

static void make_log(Axis *a, Range r, AxisWish wish)
{
    double lo = log10(r.lo), hi = log10(r.hi);
    if (hi - lo < 1e-9) {
        lo -= 0.5;
        hi += 0.5;
    }
    double span = hi - lo;
    a->lo = lo - wish.pad_lo * span;
    a->hi = hi + wish.pad_hi * span;
    int first = (int)ceil(a->lo - 1e-9), last = (int)floor(a->hi + 1e-9);
    if (last > first) {
        decade_ticks(a, first, last, wish.ticks);
    } else { /* less than two decades inside: ticks as on a linear axis */
        int e = (int)floor(a->hi);
        linear_ticks(a, pow(10, a->lo - e), pow(10, a->hi - e), e, wish);
    }
}

/* ---- both ------------------------------------------------------------------------- */

void axis_make(Axis *a, Range r, AxisWish wish)
{
    memset(a, 0, sizeof *a);
    a->log = wish.log;
    a->scale1 = a->scale2 = 1;
    if (!r.any)
        r = wish.log ? (Range){1, 10, true} : (Range){0, 1, true};
    if (wish.log)
        make_log(a, r, wish);
    else
        make_linear(a, r, wish);
}

int axis_widest(const Axis *a)
{
    int widest = 0;
    for (int i = 0; i < a->nticks; i++) {
        const Tick *t = &a->ticks[i];
        int n = (int)strlen(t->text);
        if (t->power)
            n += snprintf(NULL, 0, "%s10%d", n ? "x" : "", t->exponent);
        if (!t->minor && n > widest)
            widest = n;
    }
    return widest;
}

static bool labels_fit(const Axis *a, int columns)
{
    int need = axis_widest(a) + 2;
    double before = -1;
    for (int i = 0; i < a->nticks; i++) {
        if (a->ticks[i].minor)
            continue;
        if (before >= 0 && fabs(a->ticks[i].at - before) * columns < need)
            return false;
        before = a->ticks[i].at;
    }
    return true;
}

void axis_fit(Axis *a, Range r, AxisWish wish, int columns)
{
    do
        axis_make(a, r, wish);
    while (!labels_fit(a, columns) && wish.ticks-- > 1);
}
