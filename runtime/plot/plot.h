/* plot.h — what the two ways of drawing share; private to this folder. */
#ifndef LQFT_PLOT_H
#define LQFT_PLOT_H

#include "figure.h"

/* ---- figure_axis.c ----------------------------------------------------------- */

typedef struct Range { double lo, hi; bool any; } Range;

typedef struct Tick {
    double at;         /* 0 … 1 along the axis */
    bool minor;        /* no label */
    bool power;        /* the label is "<text>×10^exponent", or 10^exponent */
    int exponent;
    char text[26];
} Tick;

enum { MAX_TICKS = 256 };

typedef struct Axis {
    bool log;
    double lo, hi;         /* of the scaled value, or of its decimal logarithm */
    double scale1, scale2; /* powers of ten; two, for one could overflow */
    Tick ticks[MAX_TICKS];
    int nticks;
    int exponent;    /* labels are to be multiplied by 10^exponent … */
    char offset[40]; /* … and this is to be added ("" for none) */
} Axis;

typedef struct AxisWish {
    bool log, integers;
    double pad_lo, pad_hi; /* in units of the span */
    int ticks;             /* about this many labels */
} AxisWish;

void   range_add(Range *r, double v, bool log);
void   axis_make(Axis *a, Range r, AxisWish wish);
/* The same with fewer labels, until they fit side by side in `columns`. */
void   axis_fit(Axis *a, Range r, AxisWish wish, int columns);
bool   axis_shows(const Axis *a, double v);
double axis_at(const Axis *a, double v); /* always in [0, 1] */
int    axis_widest(const Axis *a);       /* of the labels, in columns */

/* ---- figure_curve.c ---------------------------------------------------------- */

typedef struct Point { double x, y, lo, hi; bool gap; } Point; /* in [0, 1] */

typedef struct Shape {
    Point *points;
    int n;
    bool thinned; /* some of the curve's points were left out */
} Shape;

void  curve_range(const Curve *c, bool log_x, bool log_y, Range *rx, Range *ry);
/* The curve as it is drawn on `columns` columns of pixels; free(points). */
Shape curve_shape(const Curve *c, const Axis *ax, const Axis *ay, int columns);
/* The error bar at the middle of bin i of a histogram. */
bool  curve_bin_bar(const Curve *c, int64_t i, const Axis *ax, const Axis *ay,
                    Point *p);
double curve_baseline(const Axis *ay); /* where a histogram stands */
/* The ranges and paddings of all curves of a figure. */
void  figure_ranges(const Figure *f, Range *rx, Range *ry, AxisWish *wx,
                    AxisWish *wy);
/* The label in the legend, or NULL for none; buf may hold it. */
const char *curve_label(const Figure *f, int i, char buf[32]);

/* ---- figure_heat.c ----------------------------------------------------------- */

typedef struct Rgb { unsigned char r, g, b; } Rgb;

Rgb    heat_colour(double t); /* t in [0, 1] */
bool   figure_has_heat(const Figure *f);
Range  heat_range(const Figure *f);
/* Are the coordinates of the cells whole numbers, one after the other? */
bool   heat_counts(const double at[2], int64_t n);
/* What an axis of n cells covers, to the outer edges. */
Range  heat_span(const double at[2], int64_t n);
double heat_mean(const Figure *f, int64_t r0, int64_t r1, int64_t c0, int64_t c1);

/* ---- figure_text.c ----------------------------------------------------------- */

/* The next character that may be shown; 0 at the end.  Malformed bytes become
 * U+FFFD, control characters spaces. */
uint32_t utf8_next(const char **s);
void     utf8_put(Text *t, uint32_t c);
int      char_columns(uint32_t c);
int      text_columns(const char *s); /* NULL: 0 */

#endif
