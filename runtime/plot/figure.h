/* figure.h — figures from arrays: an SVG file or a drawing in the terminal.
 * Nothing here fails on data: values that cannot be shown (NaN, infinities, what
 * is not positive on a logarithmic axis) are left out. */
#ifndef LQFT_FIGURE_H
#define LQFT_FIGURE_H

#include "../base.h"

typedef enum {
    CURVE_LINE,
    CURVE_POINTS, /* with error bars */
    CURVE_BAND,   /* line with error band */
    CURVE_STEPS,  /* histogram: x[i] is the left edge of bin i, x[i+1] its right
                   * edge, and the last bin is as wide as the one before it, so
                   * that the edges of histogram() can be given with n = nbins */
} CurveStyle;

typedef struct Curve {
    const char *label; /* NULL: numbered when there are several; "": no entry */
    CurveStyle style;
    const double *x; /* NULL: 0, 1, 2, … */
    const double *y;
    const double *error; /* may be NULL */
    int64_t n;
} Curve;

typedef struct Figure {
    const char *title, *xlabel, *ylabel; /* UTF-8; each may be NULL */
    const Curve *curves;
    int ncurves;
    bool log_x, log_y;
    /* or a heat map: heat[row * heat_cols + col], row 0 at the bottom */
    const double *heat;
    int64_t heat_rows, heat_cols;
    double heat_x[2], heat_y[2]; /* coordinates of the first and the last column and row;
                                  * equal: their numbers */
} Figure;

/* figure_svg.c */
void figure_svg(const Figure *f, Text *out);
/* Whole or not at all: a temporary file beside `path`, then a rename.
 * 0, or -1 with the reason in err. */
int figure_write_svg(const Figure *f, const char *path, char *err, size_t errlen);

/* figure_term.c: at most rows lines of at most `columns` columns (80 x 24 for
 * sizes of zero or less), each ended by a newline. */
void figure_terminal(const Figure *f, int columns, int rows, bool unicode,
                     bool color, Text *out);

/* histogram.c: values that are not finite do not count. */
int64_t histogram_bins(const double *v, int64_t n); /* in [10, 200] */
/* edges[nbins + 1], density[nbins] normalised to 1, error[nbins] (may be NULL)
 * as for independent values. */
void histogram(const double *v, int64_t n, int64_t nbins, double *edges,
               double *density, double *error);

#endif
