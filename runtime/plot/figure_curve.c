/* figure_curve.c — from the arrays of a curve to the points that are drawn.
 *
 * A history of a million sweeps has hundreds of points in every column of
 * pixels.  Of those, the first, the lowest, the highest and the last draw the
 * same picture as all of them. */
#include <math.h>
#include <stdlib.h>

#include "plot.h"

enum {
    LIMIT = 5000,       /* shorter curves are drawn as they are */
    LIMIT_PATH = 20000, /* of a curve that goes back and forth in x */
    GRID = 256,         /* a cloud of points is drawn once per cell */
};

/* ---- the arrays ------------------------------------------------------------------ */

static int64_t curve_n(const Curve *c)
{
    return c->y && c->n > 0 ? c->n : 0;
}

/* Also the edge i of bin i of a histogram; i = n is its last edge. */
static double x_of(const Curve *c, int64_t i)
{
    if (!c->x)
        return (double)i;
    if (i < c->n)
        return c->x[i];
    return c->n > 1 ? c->x[i - 1] + (c->x[i - 1] - c->x[i - 2]) : c->x[i - 1] + 1;
}

static double error_of(const Curve *c, int64_t i)
{
    return c->error && isfinite(c->error[i]) ? fabs(c->error[i]) : 0;
}

void curve_range(const Curve *c, bool log_x, bool log_y, Range *rx, Range *ry)
{
    int64_t n = curve_n(c);
    for (int64_t i = 0; i < n; i++) {
        double x = x_of(c, i), y = c->y[i], e = error_of(c, i);
        bool steps = c->style == CURVE_STEPS;
        if (!isfinite(x) || !isfinite(y) || (log_x && x <= 0 && !steps) ||
            (log_y && y <= 0 && !steps))
            continue;
        range_add(rx, x, log_x);
        range_add(ry, y, log_y);
        if (steps)
            range_add(rx, x_of(c, i + 1), log_x);
        if (e == 0 || c->style == CURVE_LINE || (log_y && y <= 0))
            continue;
        range_add(ry, y + e, log_y);
        /* an error as large as its value must not stretch a log axis */
        range_add(ry, log_y ? fmax(y - e, y / 10) : y - e, log_y);
    }
    if (n && c->style == CURVE_STEPS)
        range_add(ry, 0, log_y);
}

void figure_ranges(const Figure *f, Range *rx, Range *ry, AxisWish *wx, AxisWish *wy)
{
    bool points = false, steps = false;
    *rx = *ry = (Range){0};
    for (int i = 0; f->curves && i < f->ncurves; i++) {
        curve_range(&f->curves[i], f->log_x, f->log_y, rx, ry);
        points = points || f->curves[i].style == CURVE_POINTS;
        steps = steps || f->curves[i].style == CURVE_STEPS;
    }
    double pad = points ? 0.03 : 0;
    *wx = (AxisWish){f->log_x, false, pad, pad, 8};
    *wy = (AxisWish){f->log_y, false, 0.05, 0.06, 6};
    if (steps && (f->log_y || ry->lo >= 0)) /* bars stand on the axis */
        wy->pad_lo = 0;
}

const char *curve_label(const Figure *f, int i, char buf[32])
{
    const char *label = f->curves[i].label;
    if (!label && f->ncurves > 1) {
        snprintf(buf, 32, "curve %d", i + 1);
        label = buf;
    }
    return label && *label ? label : NULL;
}

/* ---- one point ------------------------------------------------------------------- */

double curve_baseline(const Axis *ay)
{
    return axis_at(ay, 0);
}

static Point place(const Curve *c, double x, int64_t i, const Axis *ax, const Axis *ay)
{
    double y = c->y[i], e = error_of(c, i);
    if (c->style == CURVE_STEPS && isfinite(x)) {
        double at = isnan(y) ? curve_baseline(ay) : axis_at(ay, y);
        return (Point){axis_at(ax, x), at, at, at, false};
    }
    if (!axis_shows(ax, x) || !axis_shows(ay, y))
        return (Point){.gap = true};
    Point p = {.x = axis_at(ax, x), .y = axis_at(ay, y)};
    p.lo = e > 0 ? axis_at(ay, y - e) : p.y;
    p.hi = e > 0 ? axis_at(ay, y + e) : p.y;
    return p;
}

/* The corners of a histogram are two per bin; other curves have their points. */
static int64_t count(const Curve *c)
{
    int64_t n = curve_n(c);
    return c->style == CURVE_STEPS ? 2 * n : n;
}

static Point point(const Curve *c, int64_t j, const Axis *ax, const Axis *ay)
{
    if (c->style == CURVE_STEPS)
        return place(c, x_of(c, j / 2 + j % 2), j / 2, ax, ay);
    return place(c, x_of(c, j), j, ax, ay);
}

bool curve_bin_bar(const Curve *c, int64_t i, const Axis *ax, const Axis *ay, Point *p)
{
    double l = x_of(c, i), r = x_of(c, i + 1), y = c->y[i], e = error_of(c, i);
    if (!isfinite(l) || !isfinite(r) || !axis_shows(ay, y) || e == 0)
        return false;
    p->x = 0.5 * (axis_at(ax, l) + axis_at(ax, r));
    p->y = axis_at(ay, y);
    p->lo = axis_at(ay, y - e);
    p->hi = axis_at(ay, y + e);
    p->gap = false;
    return true;
}

/* ---- thinning -------------------------------------------------------------------- */

typedef VEC(Point) Points;

static void push_gap(Points *out)
{
    if (out->n && !out->data[out->n - 1].gap)
        vec_push(out, (Point){.gap = true});
}

typedef struct Column { /* the points of one column, so far */
    int64_t column, at[4];
    Point first, lowest, highest, last;
    double lo, hi;
} Column;

static void column_start(Column *b, int64_t column, int64_t j, Point p)
{
    *b = (Column){column, {j, j, j, j}, p, p, p, p, p.lo, p.hi};
}

static void column_add(Column *b, int64_t j, Point p)
{
    if (p.y < b->lowest.y) {
        b->lowest = p;
        b->at[1] = j;
    }
    if (p.y > b->highest.y) {
        b->highest = p;
        b->at[2] = j;
    }
    b->last = p;
    b->at[3] = j;
    b->lo = fmin(b->lo, p.lo);
    b->hi = fmax(b->hi, p.hi);
}

static void column_flush(Column *b, Points *out)
{
    if (b->column < 0)
        return;
    bool up = b->at[1] <= b->at[2];
    const Point *order[] = {&b->first, up ? &b->lowest : &b->highest,
                            up ? &b->highest : &b->lowest, &b->last};
    int64_t at[] = {b->at[0], b->at[up ? 1 : 2], b->at[up ? 2 : 1], b->at[3]};
    for (int i = 0; i < 4; i++) {
        if (i && at[i] == at[i - 1])
            continue;
        Point p = *order[i];
        p.lo = b->lo; /* a band covers all that its column holds */
        p.hi = b->hi;
        vec_push(out, p);
    }
    b->column = -1;
}

/* Requires x in order.  A gap inside one column could not be seen. */
static void thin_columns(const Curve *c, const Axis *ax, const Axis *ay, int columns,
                         Points *out)
{
    Column b = {.column = -1};
    bool gap = false;
    for (int64_t j = 0, n = count(c); j < n; j++) {
        Point p = point(c, j, ax, ay);
        if (p.gap) {
            gap = true;
            continue;
        }
        int64_t column = (int64_t)(p.x * columns);
        if (column == b.column) {
            column_add(&b, j, p);
        } else {
            column_flush(&b, out);
            if (gap)
                push_gap(out);
            column_start(&b, column, j, p);
        }
        gap = false;
    }
    column_flush(&b, out);
}

static void thin_stride(const Curve *c, const Axis *ax, const Axis *ay, Points *out)
{
    int64_t n = count(c), stride = (n + LIMIT_PATH - 1) / LIMIT_PATH;
    for (int64_t j = 0; j < n; j += stride) {
        Point p = point(c, j, ax, ay);
        if (p.gap)
            push_gap(out);
        else
            vec_push(out, p);
    }
}

static void thin_cloud(const Curve *c, const Axis *ax, const Axis *ay, Points *out)
{
    bool *seen = lq_alloc(GRID * GRID);
    for (int i = 0; i < GRID * GRID; i++)
        seen[i] = false;
    for (int64_t j = 0, n = count(c); j < n; j++) {
        Point p = point(c, j, ax, ay);
        int cell = (int)(p.y * (GRID - 1)) * GRID + (int)(p.x * (GRID - 1));
        if (p.gap || seen[cell])
            continue;
        seen[cell] = true;
        vec_push(out, p);
    }
    free(seen);
}

static bool ordered(const Curve *c)
{
    bool up = true, down = true;
    double before = NAN;
    for (int64_t i = 0; c->x && i < c->n && (up || down); i++) {
        if (!isfinite(c->x[i]))
            continue;
        up = up && !(c->x[i] < before);
        down = down && !(c->x[i] > before);
        before = c->x[i];
    }
    return up || down;
}

Shape curve_shape(const Curve *c, const Axis *ax, const Axis *ay, int columns)
{
    Points out = {0};
    int64_t n = count(c);
    bool thinned = n > LIMIT;
    if (thinned && c->style == CURVE_POINTS)
        thin_cloud(c, ax, ay, &out);
    else if (thinned && ordered(c))
        thin_columns(c, ax, ay, columns, &out);
    else
        thin_stride(c, ax, ay, &out); /* of 1, when the curve is short */
    return (Shape){out.data, out.n, thinned};
}
